/*
 * The values of one packet that selectors look at (RFC 4301 section 4.4.1.1).
 *
 * A plain value. `net` makes it from a packet, `model` matches it against a selector, the SPD looks it up.
 */
#ifndef CULVERT_BASE_FLOW_H
#define CULVERT_BASE_FLOW_H

#include "base/addr.h"

/* Next layer protocols that carry selectors beyond the protocol number itself. */
#define IPPROTO_NUMBER_ICMP   1
#define IPPROTO_NUMBER_TCP    6
#define IPPROTO_NUMBER_UDP    17
#define IPPROTO_NUMBER_ICMPV6 58
#define IPPROTO_NUMBER_MH     135 /* the mobility header, RFC 6275 section 6.1 */

struct flow {
	struct ip_addr source;
	struct ip_addr destination;
	uint8_t protocol; /* the next layer protocol, IPv6 extension headers skipped */
	/*
	 * It can't be seen: an IPv6 fragment that is not the first, of a packet with further extension
	 * headers. `protocol` is then the number of the first of them.
	 */
	bool hides_protocol;
	/*
	 * False where the ports can't be seen: a fragment that is not the first, or a protocol without them.
	 * Such a packet matches only ANY and OPAQUE ports (section 4.4.1.1).
	 */
	bool has_ports;
	/*
	 * Host order. For ICMP and ICMPv6 the type stands in the source port and the code in the destination
	 * port; for the mobility header the type in the source port, and 0 in the other.
	 */
	uint16_t source_port;
	uint16_t destination_port;
};

#endif
