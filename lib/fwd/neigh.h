/*
 * Neighbours: the MAC address of each next hop on a link (what ARP and neighbour discovery have learned).
 *
 * One writer, the control thread (control/neigh_proto.c); any number of workers look up without a lock. A MAC
 * address is stored in the table's data word itself, so a reader never holds a pointer to anything that is
 * freed. Limits: a fixed capacity.
 */
#ifndef CULVERT_FWD_NEIGH_H
#define CULVERT_FWD_NEIGH_H

#include "base/addr.h"
#include "base/err.h"
#include "fwd/route.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

struct rte_rcu_qsbr;
struct neigh_table;

/* What a port's frames look like, by port index. */
struct neigh_port {
	struct rte_ether_addr mac; /* the port's own */
	uint16_t vlan;             /* 0: none */
};

int neigh_table_create(uint32_t capacity, struct rte_rcu_qsbr *qsbr, int socket, struct neigh_table **table,
	struct err *err);
/* No worker may be looking up any more. */
void neigh_table_destroy(struct neigh_table *table);

/* Learn or change. -ENOSPC: the table is full. Control thread. */
int neigh_set(struct neigh_table *table, uint8_t port, const struct ip_addr *addr,
	const struct rte_ether_addr *mac);
/* Forget. -ENOENT: it wasn't there. Control thread. */
int neigh_remove(struct neigh_table *table, uint8_t port, const struct ip_addr *addr);
/* False if it isn't known. */
bool neigh_find(const struct neigh_table *table, uint8_t port, const struct ip_addr *addr,
	struct rte_ether_addr *mac);

/* How many it holds, and has room for. Any thread. */
uint32_t neigh_count(const struct neigh_table *table);
uint32_t neigh_capacity(const struct neigh_table *table);

/* The address whose MAC address a routed packet needs: the next hop's gateway, or its own destination. */
struct ip_addr neigh_target_one(struct rte_mbuf *m, const struct route_table *routes);

/*
 * Put the Ethernet header in front of each routed packet whose neighbour is known; move the others to
 * *unresolved with PKT_UNRESOLVED set. `ports` is indexed by port_out. Drops: out_buf without headroom.
 */
void neigh_resolve(struct burst *burst, const struct neigh_table *table, const struct route_table *routes,
	const struct neigh_port *ports, struct burst *unresolved, struct drops *drops);

#endif
