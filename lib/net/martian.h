/*
 * Addresses that may not stand in a packet which crosses a router, and those that stand for more than one
 * host.
 *
 * Workers only; addresses are network-order bytes in a packet, 4 or 16 of them by `family`.
 * Limits: the broadcast address of a connected prefix is not known here; as a host it has no neighbour.
 */
#ifndef CULVERT_NET_MARTIAN_H
#define CULVERT_NET_MARTIAN_H

#include "base/addr.h"

#include <string.h>

#include <rte_byteorder.h>

static inline bool ipv4_is_broadcast(const uint8_t *address)
{
	return (address[0] & address[1] & address[2] & address[3]) == 0xff;
}

/* Multicast, and the limited broadcast. */
static inline bool address_is_group(uint8_t family, const uint8_t *address)
{
	if (family == IP_V4)
		return (address[0] & 0xf0) == 0xe0 || ipv4_is_broadcast(address);
	return address[0] == 0xff;
}

/* This network, loopback (RFC 1812 section 5.3.7); `::` and `::1` (RFC 4291 sections 2.5.2 and 2.5.3). */
static inline bool address_is_local(uint8_t family, const uint8_t *address)
{
	static const uint8_t zero[15];

	if (family == IP_V4)
		return address[0] == 0 || address[0] == 127;
	return memcmp(address, zero, sizeof(zero)) == 0 && address[15] <= 1;
}

/* 169.254.0.0/16 (RFC 3927 section 2.1). */
static inline bool ipv4_is_link_local(rte_be32_t address)
{
	return (address & RTE_BE32(0xffff0000)) == RTE_BE32(0xa9fe0000);
}

/* Of IPv6 (RFC 4291 section 2.5.6). */
static inline bool ipv6_is_link_local(const uint8_t *address)
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

static inline bool ipv6_is_unspecified(const uint8_t *address)
{
	static const uint8_t zero[16];

	return memcmp(address, zero, sizeof(zero)) == 0;
}

#endif
