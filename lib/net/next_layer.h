/*
 * What selectors see of the header behind IP's (RFC 4301 section 4.4.1.1): two ports, ICMP's type and code,
 * or a mobility header's type.
 *
 * Workers and control, on bytes that may be cut short.
 */
#ifndef CULVERT_NET_NEXT_LAYER_H
#define CULVERT_NET_NEXT_LAYER_H

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

#define MH_TYPE_AT 2 /* RFC 6275 section 6.1.1 */

enum next_layer {
	NEXT_LAYER_NONE,  /* a protocol without ports */
	NEXT_LAYER_SHORT, /* they are cut off */
	NEXT_LAYER_PORTS,
};

/* Read the ports of `protocol` from its header, of which `bytes` are there; host order. */
static inline enum next_layer next_layer_ports(
	uint8_t protocol, const uint8_t *header, unsigned bytes, uint16_t *source, uint16_t *destination)
{
	rte_be16_t ports[2];

	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		if (bytes < sizeof(ports))
			return NEXT_LAYER_SHORT;
		memcpy(ports, header, sizeof(ports));
		*source = rte_be_to_cpu_16(ports[0]);
		*destination = rte_be_to_cpu_16(ports[1]);
		return NEXT_LAYER_PORTS;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (bytes < 2)
			return NEXT_LAYER_SHORT;
		*source = header[0];
		*destination = header[1];
		return NEXT_LAYER_PORTS;
	case IPPROTO_MH:
		if (bytes <= MH_TYPE_AT)
			return NEXT_LAYER_SHORT;
		*source = header[MH_TYPE_AT];
		*destination = 0;
		return NEXT_LAYER_PORTS;
	default:
		return NEXT_LAYER_NONE;
	}
}

#endif
