/*
 * A snapshot: everything about forwarding that doesn't change, published to the workers as one pointer.
 *
 * The control thread makes it, publishes it, and destroys it when no worker reads it any more: a worker
 * adopts the newest snapshot between two bursts, only when its crypto queues are empty, so that afterwards it
 * holds nothing of an older one. SPD, routes and own addresses belong to the snapshot; it borrows the SAs.
 */
#ifndef CULVERT_DATAPATH_SNAPSHOT_H
#define CULVERT_DATAPATH_SNAPSHOT_H

#include "fwd/local.h"
#include "fwd/neigh.h"
#include "fwd/route.h"
#include "ipsec/dummy.h"
#include "ipsec/spd.h"
#include "net/parse.h"

#include <stdbool.h>
#include <stdint.h>

/* One port as the data path sees it, by port index. */
struct snapshot_port {
	struct parse_port parse;
	bool is_protected;
	uint16_t mtu_bytes;
	/* Whom ICMP errors come from; family IP_NONE where the port has no address of the family. */
	struct ip_addr ipv4;
	struct ip_addr ipv6;
};

struct snapshot {
	struct spd *spd_out;
	struct spd *spd_in;
	struct route_table *routes;
	struct dummy_list dummies;
	struct local_addrs local;         /* all own addresses */
	struct local_addrs local_outside; /* those of unprotected ports */
	uint8_t n_ports;
	struct snapshot_port ports[PKT_PORTS_MAX];
	struct neigh_port neigh_ports[PKT_PORTS_MAX];
};

/* Free the snapshot and the tables that it owns. NULL is fine. No worker may read it. */
void snapshot_destroy(struct snapshot *snapshot);

#endif
