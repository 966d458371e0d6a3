#include "fwd/route_few.h"

#include <string.h>

/* Packets that are compared at once. */
#define LANES 8u

_Static_assert(BURST_MAX % LANES == 0, "a burst has no rest");

static void mask_set(uint8_t mask[16], unsigned length_bits)
{
	memset(mask, 0, 16);
	memset(mask, 0xff, length_bits / 8);
	if (length_bits % 8)
		mask[length_bits / 8] = (uint8_t)(0xff00 >> length_bits % 8);
}

bool route_few_add(struct route_few *few, const struct ip_prefix *to, int32_t hop)
{
	struct route_few_entry entry = {.length_bits = to->length_bits, .hop = hop};
	uint32_t at = few->n;

	if (few->n == ROUTE_FEW_MAX)
		return false;
	memcpy(entry.prefix, to->addr.bytes, sizeof(entry.prefix));
	mask_set(entry.mask, to->length_bits);
	for (; at > 0 && few->entries[at - 1].length_bits > to->length_bits; at--)
		few->entries[at] = few->entries[at - 1];
	few->entries[at] = entry;
	few->n++;
	return true;
}

void route_few_lookup_ipv4(const struct route_few *few, const rte_be32_t destinations[restrict BURST_MAX],
	uint16_t n, int32_t otherwise, int32_t hops[restrict BURST_MAX])
{
	for (size_t i = 0; i < n; i += LANES)
		for (size_t lane = 0; lane < LANES; lane++)
			hops[i + lane] = otherwise;
	for (const struct route_few_entry *entry = few->entries; entry < few->entries + few->n; entry++) {
		const int32_t hop = entry->hop;
		rte_be32_t prefix, mask;

		memcpy(&prefix, entry->prefix, sizeof(prefix));
		memcpy(&mask, entry->mask, sizeof(mask));
		for (size_t i = 0; i < n; i += LANES)
			/* A known number, and no branch: one step for several packets. */
			for (size_t lane = 0; lane < LANES; lane++)
				hops[i + lane] =
					(destinations[i + lane] & mask) == prefix ? hop : hops[i + lane];
	}
}

void route_few_lookup_ipv6(const struct route_few *few, const uint64_t destinations[BURST_MAX][2], uint16_t n,
	int32_t otherwise, int32_t hops[restrict BURST_MAX])
{
	for (size_t i = 0; i < n; i++)
		hops[i] = otherwise;
	for (const struct route_few_entry *entry = few->entries; entry < few->entries + few->n; entry++) {
		const int32_t hop = entry->hop;
		uint64_t prefix[2], mask[2];

		memcpy(prefix, entry->prefix, sizeof(prefix));
		memcpy(mask, entry->mask, sizeof(mask));
		for (size_t i = 0; i < n; i++)
			hops[i] = (((destinations[i][0] & mask[0]) ^ prefix[0]) |
					  ((destinations[i][1] & mask[1]) ^ prefix[1])) == 0
					  ? hop
					  : hops[i];
	}
}

static bool entry_matches(const struct route_few_entry *entry, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < sizeof(entry->mask); i++)
		if ((addr->bytes[i] & entry->mask[i]) != entry->prefix[i])
			return false;
	return true;
}

int32_t route_few_find(const struct route_few *few, const struct ip_addr *destination, int32_t otherwise)
{
	for (uint32_t i = few->n; i > 0; i--)
		if (entry_matches(&few->entries[i - 1], destination))
			return few->entries[i - 1].hop;
	return otherwise;
}
