/*
 * A snapshot: everything about forwarding that doesn't change, published to the workers as one pointer.
 *
 * The control thread makes it, publishes it, and destroys it when no worker reads it any more: a worker
 * adopts the newest snapshot between two bursts, only when its crypto queues are empty, so that afterwards it
 * holds nothing of an older one. SPD, alternatives, routes, dummies and the table of acquires belong to the
 * newest snapshot that has them: one that is made from an older one takes over what has not changed, which
 * the older one goes on to show its readers. So snapshots are destroyed in the order in which they were made.
 * It borrows the SAs.
 */
#ifndef CULVERT_DATAPATH_SNAPSHOT_H
#define CULVERT_DATAPATH_SNAPSHOT_H

#include "datapath/acquire.h"
#include "fwd/local.h"
#include "fwd/neigh.h"
#include "fwd/route.h"
#include "ipsec/dummy.h"
#include "ipsec/natt.h"
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

/* What a snapshot may take over from the one before. */
enum snapshot_part {
	SNAPSHOT_SPD_OUT = 1 << 0,
	SNAPSHOT_SPD_IN = 1 << 5,
	SNAPSHOT_ALTERNATIVES = 1 << 1,
	SNAPSHOT_ROUTES = 1 << 2,
	SNAPSHOT_ACQUIRES = 1 << 3,
	SNAPSHOT_DUMMIES = 1 << 4,
};

struct snapshot {
	uint64_t generation; /* from 1; a later one is greater */
	unsigned lent;       /* enum snapshot_part: what a later snapshot owns now */
	struct spd *spd_out;
	struct spd *spd_in;
	bool has_bundles;                      /* some SA is not ESP, or is in a bundle (sa_is_single_esp) */
	struct alternatives *alternatives_out; /* of the policies; NULL where none has any */
	struct alternatives *alternatives_in;
	struct replies *replies; /* borrowed; NULL where no alternative asks for a peer */
	struct route_table *routes;
	struct acquire_table *acquires; /* NULL if every policy that protects has its SA */
	struct dummy_list dummies;
	struct local_addrs local;         /* all own addresses */
	struct local_addrs local_outside; /* those of unprotected ports */
	struct natt_ports natt_ports;     /* UDP ports where ESP arrives */
	uint32_t icmp_accept;             /* bits by enum icmp_kind: errors that need no authentication */
	uint8_t n_ports;
	struct snapshot_port ports[PKT_PORTS_MAX];
	struct neigh_port neigh_ports[PKT_PORTS_MAX];
};

/* Take over parts (enum snapshot_part) of the snapshot before, which owns them. It is to be published next.
 */
void snapshot_inherit(struct snapshot *snapshot, struct snapshot *before, unsigned parts);
/* Give them back: the snapshot is not published after all. */
void snapshot_return(struct snapshot *snapshot, struct snapshot *before, unsigned parts);

/* Free the snapshot and the tables that it owns. NULL is fine. No worker may read it, nor an older one. */
void snapshot_destroy(struct snapshot *snapshot);

#endif
