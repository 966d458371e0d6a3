#include "net/mutable.h"

#include "base/addr.h"
#include "net/ipv6_extension.h"

#include <string.h>

#include <rte_ip.h>

/* RFC 791 section 3.1: the octet that is the option's type, with its copied flag and class. */
#define OPTION_END          0
#define OPTION_NOP          1
#define OPTION_SECURITY     130 /* RFC 1108 */
#define OPTION_LSRR         131 /* loose source and record route */
#define OPTION_EXT_SECURITY 133 /* RFC 1108 */
#define OPTION_CIPSO        134 /* commercial security */
#define OPTION_SSRR         137 /* strict source and record route */
#define OPTION_ROUTER_ALERT 148 /* RFC 2113 */
#define OPTION_SDMDD        149 /* sender directed multi-destination delivery, RFC 1770 */

/* Of a source route: type, length and pointer, which counts octets from 1. */
#define ROUTE_HEADER_BYTES 3

/* RFC 8200 section 4.2 */
#define OPTION6_PAD1       0
#define OPTION6_MAY_CHANGE 0x20
#define OPTION6_HEAD_BYTES 2

/* RFC 2460 section 4.4; in front of its addresses. */
#define ROUTING_TYPE_SOURCE  0
#define ROUTING_HEADER_BYTES 8

/* RFC 4302 appendix A1: the rest, also what is unknown, is mutable or superseded. */
static bool is_immutable_option(uint8_t type)
{
	switch (type) {
	case OPTION_SECURITY:
	case OPTION_EXT_SECURITY:
	case OPTION_CIPSO:
	case OPTION_ROUTER_ALERT:
	case OPTION_SDMDD:
		return true;
	default:
		return false;
	}
}

/* The packet arrives with the last address of the route as its destination. */
static bool source_route_predict(struct rte_ipv4_hdr *ip, const uint8_t *option, uint8_t bytes)
{
	if (bytes < ROUTE_HEADER_BYTES)
		return false;
	if (bytes >= ROUTE_HEADER_BYTES + sizeof(ip->dst_addr) && option[2] <= bytes)
		memcpy(&ip->dst_addr, option + bytes - sizeof(ip->dst_addr), sizeof(ip->dst_addr));
	return true;
}

/* One option of `bytes`; a mutable one is zeroed wholly, type and length too. */
static bool option_clear(struct rte_ipv4_hdr *ip, uint8_t *option, uint8_t bytes)
{
	bool is_route = *option == OPTION_LSRR || *option == OPTION_SSRR;

	if (is_route && !source_route_predict(ip, option, bytes))
		return false;
	if (!is_immutable_option(*option))
		memset(option, 0, bytes);
	return true;
}

static bool options_clear(uint8_t *header, uint16_t bytes)
{
	uint16_t at = sizeof(struct rte_ipv4_hdr);

	while (at < bytes && header[at] != OPTION_END) {
		uint8_t length = 1;

		if (header[at] != OPTION_NOP) {
			if (at + 1 >= bytes || header[at + 1] < 2 || at + header[at + 1] > bytes)
				return false;
			length = header[at + 1];
			if (!option_clear((struct rte_ipv4_hdr *)header, header + at, length))
				return false;
		}
		at += length;
	}
	return true;
}

static bool ipv4_clear(uint8_t *header, uint16_t bytes)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)header;

	ip->type_of_service = 0;
	ip->fragment_offset = 0;
	ip->time_to_live = 0;
	ip->hdr_checksum = 0;
	return options_clear(header, bytes);
}

/* Hop-by-hop or destination options: the data of those that may change en route (RFC 8200 section 4.2). */
static bool options6_clear(uint8_t *header, uint32_t bytes)
{
	uint32_t at = OPTION6_HEAD_BYTES;

	while (at < bytes) {
		if (header[at] == OPTION6_PAD1) {
			at++;
			continue;
		}
		if (at + OPTION6_HEAD_BYTES > bytes || at + OPTION6_HEAD_BYTES + header[at + 1] > bytes)
			return false;
		if (header[at] & OPTION6_MAY_CHANGE)
			memset(header + at + OPTION6_HEAD_BYTES, 0, header[at + 1]);
		at += OPTION6_HEAD_BYTES + header[at + 1];
	}
	return true;
}

/*
 * As the last router leaves it (RFC 2460 section 4.4): each swapped the destination for the next address, so
 * that those yet to visit move down by one.
 */
static bool routing_predict(struct rte_ipv6_hdr *ip, uint8_t *header, uint32_t bytes)
{
	const size_t size = sizeof(ip->dst_addr);
	uint32_t n = (bytes - ROUTING_HEADER_BYTES) / sizeof(ip->dst_addr);
	uint8_t *left = &header[3];
	uint8_t *next, final[sizeof(ip->dst_addr)];

	if (header[2] != ROUTING_TYPE_SOURCE || *left == 0)
		return true;
	if (*left > n || header[1] % 2 != 0)
		return false;
	next = header + ROUTING_HEADER_BYTES + (n - *left) * size;
	memcpy(final, next + (*left - 1) * size, size);
	memmove(next + size, next, (*left - 1) * size);
	memcpy(next, &ip->dst_addr, size);
	memcpy(&ip->dst_addr, final, size);
	*left = 0;
	return true;
}

static bool extension_clear(uint8_t *ip, uint8_t protocol, uint8_t *header, uint32_t bytes)
{
	if (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_DSTOPTS)
		return options6_clear(header, bytes);
	if (protocol == IPPROTO_ROUTING)
		return routing_predict((struct rte_ipv6_hdr *)ip, header, bytes);
	return true;
}

static bool ipv6_clear(uint8_t *header, uint16_t bytes)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)header;
	uint8_t protocol = ip->proto;
	uint32_t at = sizeof(*ip);

	ip->vtc_flow = RTE_BE32(UINT32_C(6) << 28);
	ip->hop_limits = 0;
	while (at < bytes) {
		uint8_t next = header[at];
		uint32_t length = ipv6_extension_bytes(protocol, header[at + 1]);

		if (!extension_clear(header, protocol, header + at, length))
			return false;
		protocol = next;
		at += length;
	}
	return true;
}

bool mutable_clear(uint8_t *ip, uint16_t bytes, uint8_t family)
{
	return family == IP_V4 ? ipv4_clear(ip, bytes) : ipv6_clear(ip, bytes);
}
