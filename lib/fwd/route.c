#include "fwd/route.h"

#include "fwd/route_few.h"
#include "net/icmp.h"
#include "net/oversize.h"
#include "net/stage.h"

#include <rte_common.h>
#include <rte_jhash.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>
#include <rte_malloc.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ROUTE_NONE as the look-ups have it. */
#define HOP_NONE (-1)

_Static_assert((uint32_t)HOP_NONE == ROUTE_NONE, "the same in either type");

/* Both kinds of table look at the first 24 bits at once, and then at a group of 256 entries for each byte. */
#define LPM_FIRST_BYTES 3
/* The next hop in an entry of rte_lpm; above it are flags and the prefix length. */
#define LPM_HOP_MASK 0xffffff
/* rte_lpm6 keeps its rules in a hash, which must not be smaller. */
#define LPM_RULES_MIN 64

struct route_table {
	/* NULL where the family has few routes, besides the default one, which these tables can't hold. */
	struct rte_lpm *ipv4;
	struct rte_lpm6 *ipv6;
	struct route_few few_ipv4;
	struct route_few few_ipv6;
	int32_t default_ipv4;
	int32_t default_ipv6;
	uint32_t n_hops;
	struct next_hop hops[];
};

/* Prefixes without host bits in the order of their first addresses. */
static int prefix_compare(const void *a, const void *b)
{
	const struct ip_prefix *x = a, *y = b;

	return memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
}

/*
 * The groups that the prefixes need: one for each distinct run of leading bytes that a longer prefix goes
 * beyond. Prefixes that have it in common are neighbours in the sorted array.
 */
static uint32_t groups_needed(const struct ip_prefix *prefixes, size_t n)
{
	uint32_t groups = 0;

	for (unsigned bytes = LPM_FIRST_BYTES; bytes < sizeof(prefixes->addr.bytes); bytes++) {
		const uint8_t *last = NULL;

		for (size_t i = 0; i < n; i++) {
			if (prefixes[i].length_bits <= 8 * bytes)
				continue;
			if (!last || memcmp(last, prefixes[i].addr.bytes, bytes) != 0)
				groups++;
			last = prefixes[i].addr.bytes;
		}
	}
	return groups;
}

/* What a family's table must hold. */
struct table_size {
	uint32_t rules; /* routes other than the default one */
	uint32_t groups;
};

/* `scratch` has room for all routes. */
static struct table_size family_size(
	const struct route *routes, size_t n_routes, uint8_t family, struct ip_prefix *scratch)
{
	size_t n = 0;

	for (size_t i = 0; i < n_routes; i++) {
		const struct ip_prefix *to = &routes[i].to;

		if (to->addr.family == family && to->length_bits > 0)
			scratch[n++] = (struct ip_prefix){ip_prefix_range(to).first, to->length_bits};
	}
	qsort(scratch, n, sizeof(scratch[0]), prefix_compare);
	return (struct table_size){.rules = (uint32_t)n, .groups = groups_needed(scratch, n)};
}

static struct rte_lpm *ipv4_create(const char *name, const struct table_size *size, int socket)
{
	const struct rte_lpm_config config = {
		.max_rules = RTE_MAX(size->rules, (uint32_t)LPM_RULES_MIN),
		.number_tbl8s = RTE_MAX(size->groups, 1u),
	};
	char lpm_name[RTE_LPM_NAMESIZE];

	snprintf(lpm_name, sizeof(lpm_name), "%s_v4", name);
	return rte_lpm_create(lpm_name, socket, &config);
}

static struct rte_lpm6 *ipv6_create(const char *name, const struct table_size *size, int socket)
{
	const struct rte_lpm6_config config = {
		.max_rules = RTE_MAX(size->rules, (uint32_t)LPM_RULES_MIN),
		.number_tbl8s = RTE_MAX(size->groups, 1u),
	};
	char lpm_name[RTE_LPM6_NAMESIZE];

	snprintf(lpm_name, sizeof(lpm_name), "%s_v6", name);
	return rte_lpm6_create(lpm_name, socket, &config);
}

/* Make the tables of families with many routes, empty and of the right size. False without memory. */
static bool tables_create(
	struct route_table *table, const char *name, const struct route *routes, size_t n_routes, int socket)
{
	struct ip_prefix *scratch = calloc(n_routes + 1, sizeof(*scratch));
	struct table_size ipv4, ipv6;

	if (!scratch)
		return false;
	ipv4 = family_size(routes, n_routes, IP_V4, scratch);
	ipv6 = family_size(routes, n_routes, IP_V6, scratch);
	free(scratch);
	if (ipv4.rules > ROUTE_FEW_MAX)
		table->ipv4 = ipv4_create(name, &ipv4, socket);
	if (ipv6.rules > ROUTE_FEW_MAX)
		table->ipv6 = ipv6_create(name, &ipv6, socket);
	return (table->ipv4 || ipv4.rules <= ROUTE_FEW_MAX) && (table->ipv6 || ipv6.rules <= ROUTE_FEW_MAX);
}

static bool next_hop_equal(const struct next_hop *a, const struct next_hop *b)
{
	return a->port == b->port && a->mtu_bytes == b->mtu_bytes && ip_addr_equal(&a->gateway, &b->gateway);
}

_Static_assert(sizeof(struct ip_addr) <= 5 * sizeof(uint32_t), "hop_index hashes all of it");

/* Which next hops a table has already, while it is made: open addressing, at most half full. */
struct hop_set {
	uint32_t *slots; /* 1 + index into the table's next hops, 0: free */
	uint32_t mask;
};

static bool hop_set_init(struct hop_set *set, size_t hops_max)
{
	uint32_t n_slots = rte_align32pow2((uint32_t)(2 * hops_max + 1));

	set->slots = calloc(n_slots, sizeof(*set->slots));
	set->mask = n_slots - 1;
	return set->slots != NULL;
}

/* Index of the next hop, added if it is new; -E2BIG when there are too many. */
static int32_t hop_index(struct route_table *table, const struct hop_set *set, const struct next_hop *via)
{
	uint32_t words[5] = {0}; // rte_jhash_32b wants them aligned
	uint32_t at;

	memcpy(words, &via->gateway, sizeof(via->gateway));
	at = rte_jhash_32b(words, RTE_DIM(words), via->port) & set->mask;
	for (; set->slots[at]; at = (at + 1) & set->mask)
		if (next_hop_equal(&table->hops[set->slots[at] - 1], via))
			return (int32_t)set->slots[at] - 1;
	if (table->n_hops == ROUTE_NEXT_HOPS_MAX)
		return -E2BIG;
	table->hops[table->n_hops] = *via;
	set->slots[at] = ++table->n_hops;
	return (int32_t)table->n_hops - 1;
}

static int ipv4_add(struct route_table *table, const struct ip_prefix *to, int32_t hop)
{
	rte_be32_t ipv4;

	if (!table->ipv4)
		return route_few_add(&table->few_ipv4, to, hop) ? 0 : -ENOSPC;
	memcpy(&ipv4, to->addr.bytes, sizeof(ipv4));
	return rte_lpm_add(table->ipv4, rte_be_to_cpu_32(ipv4), to->length_bits, (uint32_t)hop);
}

static int ipv6_add(struct route_table *table, const struct ip_prefix *to, int32_t hop)
{
	if (!table->ipv6)
		return route_few_add(&table->few_ipv6, to, hop) ? 0 : -ENOSPC;
	return rte_lpm6_add(table->ipv6, to->addr.bytes, to->length_bits, (uint32_t)hop);
}

static int route_add(struct route_table *table, const struct hop_set *set, const struct route *route)
{
	const struct ip_prefix to = {ip_prefix_range(&route->to).first, route->to.length_bits};
	int32_t hop = hop_index(table, set, &route->via);
	bool is_ipv4 = to.addr.family == IP_V4;

	if (hop < 0)
		return hop;
	if (to.length_bits == 0) {
		*(is_ipv4 ? &table->default_ipv4 : &table->default_ipv6) = hop;
		return 0;
	}
	return is_ipv4 ? ipv4_add(table, &to, hop) : ipv6_add(table, &to, hop);
}

static int routes_add(struct route_table *table, const struct hop_set *set, const struct route *routes,
	size_t n_routes, struct err *err)
{
	for (size_t i = 0; i < n_routes; i++) {
		int error = route_add(table, set, &routes[i]);
		char text[IP_ADDR_TEXT_MAX];

		if (error == -E2BIG)
			return err_set(err, E2BIG, "more than %d different next hops", ROUTE_NEXT_HOPS_MAX);
		if (error)
			return err_set(err, ENOMEM, "no room for the route to %s/%u",
				ip_addr_format(&routes[i].to.addr, text), routes[i].to.length_bits);
	}
	return 0;
}

int route_table_create(const char *name, const struct route *routes, size_t n_routes, int socket,
	struct route_table **out, struct err *err)
{
	size_t hops_max = RTE_MIN(n_routes, (size_t)ROUTE_NEXT_HOPS_MAX);
	struct hop_set set = {0};
	struct route_table *table;
	int error;

	table = rte_zmalloc_socket(
		"routes", sizeof(*table) + hops_max * sizeof(table->hops[0]), RTE_CACHE_LINE_SIZE, socket);
	if (!table || !hop_set_init(&set, hops_max) ||
		!tables_create(table, name, routes, n_routes, socket)) {
		free(set.slots);
		route_table_destroy(table);
		return err_set(err, ENOMEM, "no memory for a table of %zu routes", n_routes);
	}
	table->default_ipv4 = HOP_NONE;
	table->default_ipv6 = HOP_NONE;
	error = routes_add(table, &set, routes, n_routes, err);
	free(set.slots);
	if (error) {
		route_table_destroy(table);
		return error;
	}
	*out = table;
	return 0;
}

void route_table_destroy(struct route_table *table)
{
	if (!table)
		return;
	rte_lpm_free(table->ipv4);
	rte_lpm6_free(table->ipv6);
	rte_free(table);
}

/* The next hops of the n packets at these places of the burst, all IPv4. */
static void lookup_ipv4(const struct route_table *table, const struct burst *burst, const uint8_t *at,
	uint16_t n, int32_t hops[BURST_MAX])
{
	uint32_t destinations[BURST_MAX];
	uint32_t found[BURST_MAX] = {0};

	for (uint16_t i = 0; i < n; i++)
		destinations[i] = rte_be_to_cpu_32(pkt_ipv4(burst->pkts[at[i]])->dst_addr);
	rte_lpm_lookup_bulk(table->ipv4, destinations, found, n);
	for (uint16_t i = 0; i < n; i++)
		hops[at[i]] = found[i] & RTE_LPM_LOOKUP_SUCCESS ? (int32_t)(found[i] & LPM_HOP_MASK)
								: table->default_ipv4;
}

static void lookup_few_ipv4(const struct route_table *table, const struct burst *burst, const uint8_t *at,
	uint16_t n, int32_t hops[BURST_MAX])
{
	rte_be32_t destinations[BURST_MAX] = {0};
	int32_t found[BURST_MAX];

	for (uint16_t i = 0; i < n; i++)
		destinations[i] = pkt_ipv4(burst->pkts[at[i]])->dst_addr;
	route_few_lookup_ipv4(&table->few_ipv4, destinations, n, table->default_ipv4, found);
	for (uint16_t i = 0; i < n; i++)
		hops[at[i]] = found[i];
}

static void lookup_ipv6(const struct route_table *table, const struct burst *burst, const uint8_t *at,
	uint16_t n, int32_t hops[BURST_MAX])
{
	uint64_t destinations[BURST_MAX][2];
	int32_t found[BURST_MAX];

	for (uint16_t i = 0; i < n; i++)
		memcpy(destinations[i], pkt_destination(burst->pkts[at[i]]), sizeof(destinations[i]));
	if (table->ipv6)
		rte_lpm6_lookup_bulk_func(table->ipv6, (void *)destinations, found, n);
	else
		route_few_lookup_ipv6(&table->few_ipv6, destinations, n, HOP_NONE, found);
	for (uint16_t i = 0; i < n; i++)
		hops[at[i]] = found[i] != HOP_NONE ? found[i] : table->default_ipv6;
}

void route_lookup(struct burst *burst, const struct route_table *table, struct drops *drops)
{
	STAGE(route, burst, drops);
	uint8_t at_ipv4[BURST_MAX], at_ipv6[BURST_MAX];
	uint16_t n_ipv4 = 0, n_ipv6 = 0, kept = 0;
	int32_t hops[BURST_MAX];

	for (uint16_t i = 0; i < burst->n; i++) {
		if (pkt_of(burst->pkts[i])->family == IP_V4)
			at_ipv4[n_ipv4++] = (uint8_t)i;
		else
			at_ipv6[n_ipv6++] = (uint8_t)i;
	}
	if (n_ipv4 > 0 && table->ipv4)
		lookup_ipv4(table, burst, at_ipv4, n_ipv4, hops);
	else if (n_ipv4 > 0)
		lookup_few_ipv4(table, burst, at_ipv4, n_ipv4, hops);
	if (n_ipv6 > 0)
		lookup_ipv6(table, burst, at_ipv6, n_ipv6, hops);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (hops[i] == HOP_NONE) {
			drop_one(drops, m, DROP_no_route);
			continue;
		}
		pkt_of(m)->next_hop = (uint32_t)hops[i];
		pkt_of(m)->port_out = table->hops[hops[i]].port;
		burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

void route_mtu(struct burst *burst, const struct route_table *table, struct burst *oversize,
	struct burst *too_big, struct drops *drops)
{
	STAGE(route_mtu, burst, drops, oversize, too_big);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		uint32_t next_hop = pkt_of(m)->next_hop;

		if (next_hop == ROUTE_NONE) {
			drop_one(drops, m, DROP_no_route);
			continue;
		}
		uint16_t mtu_bytes = table->hops[next_hop].mtu_bytes;

		if (!is_oversize_one(m, mtu_bytes)) {
			burst->pkts[kept++] = m;
		} else if (oversize_is_cut_one(m, mtu_bytes)) {
			burst_add_one(oversize, m);
		} else {
			icmp_set_too_big_one(m, mtu_bytes);
			burst_add_one(too_big, m);
		}
	}
	burst->n = kept;
}

static int32_t ipv4_find(const struct route_table *table, const struct ip_addr *destination)
{
	uint32_t found;
	rte_be32_t ipv4;

	if (!table->ipv4)
		return route_few_find(&table->few_ipv4, destination, table->default_ipv4);
	memcpy(&ipv4, destination->bytes, sizeof(ipv4));
	if (rte_lpm_lookup(table->ipv4, rte_be_to_cpu_32(ipv4), &found) == 0)
		return (int32_t)found;
	return table->default_ipv4;
}

static int32_t ipv6_find(const struct route_table *table, const struct ip_addr *destination)
{
	uint32_t found;

	if (!table->ipv6)
		return route_few_find(&table->few_ipv6, destination, table->default_ipv6);
	if (rte_lpm6_lookup(table->ipv6, destination->bytes, &found) == 0)
		return (int32_t)found;
	return table->default_ipv6;
}

uint32_t route_find_index(const struct route_table *table, const struct ip_addr *destination)
{
	return (uint32_t)(destination->family == IP_V4 ? ipv4_find(table, destination)
						       : ipv6_find(table, destination));
}

const struct next_hop *route_find(const struct route_table *table, const struct ip_addr *destination)
{
	uint32_t index = route_find_index(table, destination);

	return index == ROUTE_NONE ? NULL : &table->hops[index];
}

const struct next_hop *route_next_hop(const struct route_table *table, uint32_t index)
{
	return &table->hops[index];
}
