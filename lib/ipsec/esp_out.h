/*
 * ESP on the way out (RFC 4303 section 3.3), tunnel mode, before and after the crypto.
 *
 * Workers only. Runs of packets of one SA share the reservation of sequence numbers.
 * The tunnel header copies DSCP and ECN from the inner one (RFC 4301 section 5.1.2, RFC 6040 section 4.1,
 * normal mode); an IPv4 tunnel header has DF set and ID 0 (RFC 6864 section 4.1).
 */
#ifndef CULVERT_IPSEC_ESP_OUT_H
#define CULVERT_IPSEC_ESP_OUT_H

#include "ipsec/sa.h"
#include "net/burst.h"

/*
 * Keep packets that fit the SA's inner_mtu. Of the others, move those that may be cut to *oversize for
 * frag_fill (RFC 4459 section 3.4: before encryption, so that the peer need not reassemble), and the rest to
 * *too_big with the ICMP error to send in struct pkt (RFC 1191, RFC 8201). IPv6 hosts need not send packets
 * of less than 1280 bytes: such packets are kept however little fits, and it is the tunnel's packet that is
 * cut (RFC 8200 section 5, RFC 2473 section 7.1), by esp_out_path. Drops: out_mtu where next to nothing fits.
 */
void esp_out_mtu(
	struct burst *burst, struct burst *oversize, struct burst *too_big, const struct sa_tally *tally);

/*
 * Encapsulate each packet for the SA in struct pkt: tunnel header, ESP header, IV, padding, trailer and room
 * for the ICV; struct pkt then describes the outer packet (PKT_LOCAL set), with esp_offset, icv_offset, seq.
 * Drops: out_seq_overflow, out_seq_reserved, out_expired, out_buf.
 */
void esp_out_prepare(struct burst *burst, const struct sa_tally *tally);

/*
 * Packets of one SA that gives no numbers: those of the protocol are used up (out_seq_overflow), or those
 * that it may use (out_expired), or those that were reserved so far (out_seq_reserved).
 */
void esp_out_drop_unnumbered(struct rte_mbuf **pkts, uint16_t n, const struct sa_tally *tally);

/* After the crypto: keep what succeeded; burst->seen has its flags. Drops: crypto_failed. */
void esp_out_finish(struct burst *burst, const struct sa_tally *tally);

/*
 * Move packets that are longer than their SA's path takes (PKT_OUTER_CUT) to *oversize for frag_fill. To be
 * called where burst->seen has that flag; links are for route_mtu.
 */
void esp_out_path(struct burst *burst, struct burst *oversize, struct drops *drops);

#endif
