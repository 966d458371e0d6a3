/*
 * From frames to packets: the one place where bytes from the wire are bounds-checked.
 *
 * Workers only. After it, the mbuf is one segment of its own (direct, not shared), its data starts at the IP
 * (or ARP) header and ends with the IP packet, and its struct pkt is filled in.
 * Limits: Ethernet II with at most one 802.1Q tag, which the NIC leaves in the frame; LLC frames are dropped
 * as eth_type.
 */
#ifndef CULVERT_NET_PARSE_H
#define CULVERT_NET_PARSE_H

#include "base/addr.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

/* IPv6 extension headers that are followed in one packet (RFC 8200 section 4.1 recommends no more than 7). */
#define PARSE_EXT_HEADERS_MAX 8

/* What parsing must know of the port that the frames came in by. */
struct parse_port {
	struct rte_ether_addr mac;
	uint16_t vlan; /* the tag that each frame must have; 0: untagged, or tagged with priority only */
	uint8_t index; /* becomes pkt->port_in */
};

/*
 * Keep well-formed unicast IPv4 and IPv6 packets, move ARP and IPv6 neighbour discovery (ICMPv6 133 to 137,
 * RFC 4861) to *neigh, and drop the rest by name. IPv4 options and IPv6 extension headers (hop-by-hop,
 * destination options, routing, fragment, AH) are skipped to find the next layer protocol and its ports
 * (RFC 4301 section 4.4.1.1). Lengths: Ethernet padding is cut off by the IP length. Unicast frames that are
 * not for port->mac are dropped. Sets every field of struct pkt that parse owns and zeroes the rest.
 */
void parse_burst(
	struct burst *burst, const struct parse_port *port, struct burst *neigh, struct drops *drops);

/*
 * Parse the IP packet that data starts with, and that came out of a tunnel: fill in the parse fields of its
 * struct pkt (port_in, sa, seq and PKT_DECAPSULATED are kept) and cut off what lies behind the IP length
 * (TFC padding, RFC 4303 section 2.7). False if it is malformed, not of `family`, neighbour discovery, or has
 * a source or destination that may not be forwarded (link-local ones too); the caller drops it.
 */
bool parse_inner_one(struct rte_mbuf *m, uint8_t family);

/*
 * Parse the IP packet that data starts with, and that this host's own stack sent: fill in the parse fields of
 * its struct pkt (port_in is kept). Returns DROP_COUNT, or why the caller drops it: what may not be forwarded
 * has nowhere to go.
 */
enum drop_reason parse_host_one(struct rte_mbuf *m);

/*
 * For a parsed IPv6 packet with AH among its extension headers: make that the next layer (`protocol`, `l4`),
 * which selectors don't see.
 */
void parse_ah_one(struct rte_mbuf *m);

/*
 * Parse a packet that was made whole from its fragments, of which struct pkt still says the family: fill in
 * the parse fields (port_in, sa, seq, fragment_*, PKT_DECAPSULATED and PKT_LARGE are kept). False as in
 * parse_inner_one, but for link-local addresses.
 */
bool parse_whole_one(struct rte_mbuf *m);

#endif
