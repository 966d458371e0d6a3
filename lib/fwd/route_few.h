/*
 * A short list of routes of one family, searched from end to end: what rte_lpm needs 64 MB for, where there
 * are only few routes.
 *
 * Part of a route table: filled by the control thread, read by workers.
 * Limits: ROUTE_FEW_MAX routes, none of them the default one.
 */
#ifndef CULVERT_FWD_ROUTE_FEW_H
#define CULVERT_FWD_ROUTE_FEW_H

#include "base/addr.h"
#include "net/burst.h"

#include <rte_byteorder.h>

#include <stdbool.h>
#include <stdint.h>

/* Where a look-up begins to take longer than rte_lpm's, both with their tables in the cache. */
#define ROUTE_FEW_MAX 8

/* Bytes that an address must have where the mask has ones. */
struct route_few_entry {
	uint8_t length_bits;
	int32_t hop;
	uint8_t prefix[16];
	uint8_t mask[16];
};

struct route_few {
	uint32_t n;
	/* The shortest prefix first, so the last that matches counts. */
	struct route_few_entry entries[ROUTE_FEW_MAX];
};

/* The prefix has no host bits. Of two with one prefix the later counts. False when there are too many. */
bool route_few_add(struct route_few *few, const struct ip_prefix *to, int32_t hop);

/*
 * The hop of each of n addresses, or `otherwise` where no route matches. The arrays have BURST_MAX elements:
 * those behind the first n are looked at and written too, and mean nothing.
 */
void route_few_lookup_ipv4(const struct route_few *few, const rte_be32_t destinations[BURST_MAX], uint16_t n,
	int32_t otherwise, int32_t hops[BURST_MAX]);
/* The same; an address is its two halves as they lie in the packet. */
void route_few_lookup_ipv6(const struct route_few *few, const uint64_t destinations[BURST_MAX][2], uint16_t n,
	int32_t otherwise, int32_t hops[BURST_MAX]);

/* The same of one address of the list's family. */
int32_t route_few_find(const struct route_few *few, const struct ip_addr *destination, int32_t otherwise);

#endif
