/*
 * Extension headers of IPv6 (RFC 8200 section 4).
 *
 * Workers only. Limits: headers that are followed to find the next layer; the others count as that.
 */
#ifndef CULVERT_NET_IPV6_EXTENSION_H
#define CULVERT_NET_IPV6_EXTENSION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define IPV6_FRAGMENT_HEADER_BYTES 8 /* RFC 8200 section 4.5 */

/*
 * The length of an extension header that can be skipped, whose second byte is `length`, or 0 if `protocol` is
 * no such header.
 */
static inline uint32_t ipv6_extension_bytes(uint8_t protocol, uint8_t length)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return 8 * (length + 1u);
	case IPPROTO_FRAGMENT:
		return IPV6_FRAGMENT_HEADER_BYTES;
	case IPPROTO_AH: /* counts words of four bytes (RFC 4302 section 2.2) */
		return 4 * (length + 2u);
	default:
		return 0;
	}
}

static inline bool ipv6_is_extension(uint8_t protocol)
{
	return ipv6_extension_bytes(protocol, 0) != 0;
}

#endif
