/*
 * ESP on the way in (RFC 4303 section 3.4), tunnel mode, before and after the crypto.
 *
 * Workers only. Order: lengths, replay pre-check, ICV and decryption (ipsec/crypto.h), replay acceptance,
 * padding, next header, inner header, ECN. The window never moves for a packet whose ICV didn't verify.
 */
#ifndef CULVERT_IPSEC_ESP_IN_H
#define CULVERT_IPSEC_ESP_IN_H

#include "ipsec/sa.h"
#include "net/burst.h"

/*
 * For packets with an SA: check lengths, and set esp_offset, icv_offset and the 64-bit seq in struct pkt.
 * Drops: in_hdr (too short for the algorithm, or not aligned), in_seq_zero, in_replay, in_late.
 */
void esp_in_prepare(struct burst *burst, const struct sa_tally *tally);

/*
 * After the crypto: accept the sequence number, check and strip the ESP trailer, leave the inner packet,
 * parsed anew, with PKT_DECAPSULATED. Tunnel congestion marks are merged by RFC 6040 section 4.2. Drops:
 * crypto_failed, in_icv, in_replay, in_late, in_sa_proto, in_dummy, in_ecn.
 */
void esp_in_finish(struct burst *burst, const struct sa_tally *tally);

/* Leave what is inside an authentic packet whose number was accepted (ipsec/verdict.h). */
typedef struct verdict (*verdict_open)(struct rte_mbuf *m);

/* The same for another protocol with sequence numbers and an ICV, which `open` takes off. */
void esp_in_finish_as(struct burst *burst, const struct sa_tally *tally, verdict_open open);

#endif
