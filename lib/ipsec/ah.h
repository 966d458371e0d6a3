/*
 * The authentication header, on the way out and in (RFC 4302 section 3.3 and 3.4), tunnel and transport mode,
 * before and after the crypto.
 *
 * Workers only. The crypto takes an AH packet for one of ESP with encryption NULL, whose ESP begins with the
 * IP header and whose ICV is behind the packet. So between the stages the IP header is as the ICV covers it
 * (net/mutable.h), the AH's ICV field is zero, and the header as it was lies in front of the packet, or
 * behind the ICV where there is no room in front. Limits: a received AH has no more padding than its IP
 * version asks for (RFC 4302 section 3.3.3.2.1).
 */
#ifndef CULVERT_IPSEC_AH_H
#define CULVERT_IPSEC_AH_H

#include "ipsec/sa.h"
#include "net/burst.h"

/*
 * Put the AH of the SA in struct pkt in front of each packet, with the tunnel's header, or behind its IP
 * header and extension headers (RFC 4302 section 3.1.1); struct pkt then describes the outer packet
 * (PKT_LOCAL set), with esp_offset, icv_offset and seq. Drops: out_seq_overflow, out_seq_reserved,
 * out_expired, out_buf, in_hdr (malformed IP options).
 */
void ah_out_prepare(struct burst *burst, const struct sa_tally *tally);

/* After the crypto: put the ICV in its field, restore the IP header, keep what succeeded. Drops:
 * crypto_failed. */
void ah_out_finish(struct burst *burst, const struct sa_tally *tally);

/*
 * For packets with an SA: check lengths, and set esp_offset, icv_offset and the 64-bit seq in struct pkt.
 * Drops: in_expired, in_hdr (not of the algorithm's length, or malformed IP options), in_seq_zero, in_replay,
 * in_late, in_buf.
 */
void ah_in_prepare(struct burst *burst, const struct sa_tally *tally);

/*
 * After the crypto: restore the IP header, accept the sequence number, take AH off, leave the inner packet,
 * parsed anew, with PKT_DECAPSULATED. Drops: those of esp_in_finish.
 */
void ah_in_finish(struct burst *burst, const struct sa_tally *tally);

#endif
