/*
 * ICMP and ICMPv6 for packets that can't be forwarded, and echo replies; made in place of the packet.
 *
 * Workers only, on parsed packets (data starts at the IP header).
 * Limits: the caller limits the rate, and chooses the source address.
 */
#ifndef CULVERT_NET_ICMP_ERROR_H
#define CULVERT_NET_ICMP_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define ICMP_ERROR_TTL 64
/* RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4(c): an error is no longer than this. */
#define ICMP_ERROR_IPV4_BYTES_MAX 576
#define ICMP_ERROR_IPV6_BYTES_MAX 1280

/*
 * May an ICMP error answer this packet? Not one that is an ICMP error itself, a later fragment, PKT_LOCAL,
 * or from or to an address that stands for no single host (RFC 1812 section 4.3.2.7, RFC 4443
 * section 2.4(e)).
 */
bool icmp_error_allowed_one(struct rte_mbuf *m);

/*
 * Turn the packet into the ICMP error in its struct pkt (icmp_type, icmp_code, icmp_mtu), from `source` (4 or
 * 16 bytes of the packet's family, network order) to the packet's source, quoting as much as the limits
 * above allow. struct pkt then describes the error (PKT_LOCAL, PKT_HAS_PORTS; PKT_DECAPSULATED, port_in
 * and sa are kept). False if
 * the mbuf has no room for it; it is then unchanged, and still the caller's.
 */
bool icmp_error_make_one(struct rte_mbuf *m, const void *source);

/* Is the checksum of the parsed ICMP or ICMPv6 message right? For a packet that is no fragment. */
bool icmp_checksum_is_right_one(struct rte_mbuf *m);

/*
 * Turn a well-formed echo request (checksum verified) into its reply, addresses swapped, TTL ICMP_ERROR_TTL,
 * PKT_LOCAL set. False if it is no echo request, is a fragment, or its checksum is wrong; then unchanged.
 */
bool icmp_echo_reply_one(struct rte_mbuf *m);

#endif
