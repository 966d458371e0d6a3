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

struct flow {
	struct ip_addr source;
	struct ip_addr destination;
	uint8_t protocol; /* the next layer protocol, IPv6 extension headers skipped */
	/*
	 * False where the ports can't be seen: a fragment that is not the first, or a protocol without them.
	 * Such a packet matches only ANY ports (the OPAQUE case of section 4.4.1.1).
	 */
	bool has_ports;
	/*
	 * Host order. For ICMP and ICMPv6 the type stands in the source port and the code in the destination
	 * port.
	 */
	uint16_t source_port;
	uint16_t destination_port;
};

#endif
