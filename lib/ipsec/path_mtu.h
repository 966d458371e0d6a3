/*
 * The MTU of an outbound SA's path: that of the link to the peer, or less where ICMP told so (RFC 4301
 * section 8.2, RFC 1191, RFC 8201).
 *
 * The control thread alone calls what takes a struct sa that it may change; workers and control judge quotes.
 * Workers read the result in the SA (inner_mtu, path.mtu_bytes), relaxed: each of the two is exact by itself.
 * Limits: what ICMP tells can't be proven. It lowers an SA's path and never below a configured bound, until
 * it is forgotten; time is given by the caller.
 */
#ifndef CULVERT_IPSEC_PATH_MTU_H
#define CULVERT_IPSEC_PATH_MTU_H

#include "ipsec/sa.h"
#include "net/quote.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * An error about a packet before so many others is too late to be true: it is more than a second of packets
 * at any rate that one SA has, and leaves a forger who has not seen the numbers one chance in 256.
 */
#define PATH_MTU_QUOTE_PKTS_MAX (UINT32_C(1) << 24)

/* The link to the peer has that MTU. What ICMP told before is kept. */
void path_mtu_set_link(struct sa *sa, uint16_t link_mtu_bytes);

/*
 * Could the quote be of a packet that this outbound SA sent? The caller has found it by SPI and destination.
 * False if the source is another, the number was not sent, or long ago; or where the packet is said to be too
 * big, but any router could have cut it: it had no DF (RFC 1191 section 4), or IPv6's least MTU is denied
 * (RFC 8201 section 4).
 */
bool path_mtu_quote_is_plausible(const struct sa *sa, const struct quote *quote);

/*
 * A router takes no more than mtu_bytes, or less than what was sent if that is 0 (RFC 1191 section 5): then
 * the least is assumed. Never raises the path's MTU, nor makes it less than min_bytes. Holds until until_ns,
 * which each such error that says no more than what is known prolongs. True if the MTU changed.
 */
bool path_mtu_learn(struct sa *sa, uint32_t mtu_bytes, uint16_t min_bytes, uint64_t until_ns);

/*
 * The path of the last SA of the bundle that `sa` is in is that of `sa` too: its inner_mtu follows. For an SA
 * that is alone nothing changes.
 */
void path_mtu_follow(struct sa *sa);

/* Forget what ICMP told if its time is over: the link's MTU counts again. True if it was forgotten. */
bool path_mtu_age(struct sa *sa, uint64_t now_ns);

#endif
