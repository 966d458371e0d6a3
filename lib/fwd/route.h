/*
 * The route table: longest prefix match to a next hop (a short list, or rte_lpm and rte_lpm6).
 *
 * Immutable, part of a snapshot: made and destroyed by the control thread, read by workers.
 * Limits: ROUTE_NEXT_HOPS_MAX next hops; one next hop a route; 64 MB for each family with more
 * than ROUTE_FEW_MAX routes beside a default one.
 */
#ifndef CULVERT_FWD_ROUTE_H
#define CULVERT_FWD_ROUTE_H

#include "base/addr.h"
#include "base/err.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stddef.h>
#include <stdint.h>

#define ROUTE_NEXT_HOPS_MAX 65535
/* In place of the index of a next hop: there is no route. */
#define ROUTE_NONE UINT32_MAX

struct route_table;

struct next_hop {
	uint8_t port;           /* index */
	uint16_t mtu_bytes;     /* of the port */
	struct ip_addr gateway; /* family IP_NONE: the destination is on the port's link */
};

struct route {
	struct ip_prefix to; /* host bits are ignored */
	struct next_hop via;
};

/*
 * `name` is unique in the process, at most 20 characters. Of two routes to one prefix the later counts.
 * Returns 0, -ENOMEM or -E2BIG with err set.
 */
int route_table_create(const char *name, const struct route *routes, size_t n_routes, int socket,
	struct route_table **table, struct err *err);
void route_table_destroy(struct route_table *table);

/* Set next_hop and port_out of each packet by its destination. Drops: no_route. */
void route_lookup(struct burst *burst, const struct route_table *table, struct drops *drops);

/*
 * Keep packets that have a next hop and are no longer than its MTU. Of the others, move those that may be cut
 * to *oversize for frag_fill, and the rest to *too_big with the ICMP error to send in struct pkt (RFC 1191,
 * RFC 8201). Drops: no_route.
 */
void route_mtu(struct burst *burst, const struct route_table *table, struct burst *oversize,
	struct burst *too_big, struct drops *drops);

/* The index of the next hop towards an address, or ROUTE_NONE. Any thread. */
uint32_t route_find_index(const struct route_table *table, const struct ip_addr *destination);

/* The next hop towards an address, or NULL. Any thread. */
const struct next_hop *route_find(const struct route_table *table, const struct ip_addr *destination);

/* The next hop of a packet that route_lookup has seen. */
const struct next_hop *route_next_hop(const struct route_table *table, uint32_t index);

#endif
