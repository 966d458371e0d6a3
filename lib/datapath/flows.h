/*
 * The flow cache: what the SPD and the routes said of a flow, remembered by a worker for its next packets.
 *
 * Each worker has one and alone touches it; control makes and destroys it. It changes no answer: an entry is
 * of one generation, which ends when the worker adopts a snapshot, and what is not remembered is looked up in
 * full.
 * Limits: a flow has two places, so that three may push each other out, which costs a look-up a packet.
 */
#ifndef CULVERT_DATAPATH_FLOWS_H
#define CULVERT_DATAPATH_FLOWS_H

#include "base/err.h"
#include "datapath/snapshot.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdint.h>

/* Flows of each family that are remembered at most: a power of two. IPv4 takes 32 bytes each, IPv6 64. */
#define FLOWS_IPV4_ENTRIES 65536
#define FLOWS_IPV6_ENTRIES 32768

struct flows;

/* Across the IPsec boundary (RFC 4301 section 2.1): which of the snapshot's SPDs is asked. */
enum flows_direction { FLOWS_OUT, FLOWS_IN };

/* Of the worker with that index. Returns 0, or -ENOMEM with err set. Control thread. */
int flows_create(unsigned worker, int socket, struct flows **flows, struct err *err);
void flows_destroy(struct flows *flows);

/* Forget everything: the worker has adopted another snapshot. */
void flows_forget(struct flows *flows);

/*
 * Set `action`, `policy_sa`, `policy`, `next_hop`, `port_out` and PKT_OWN of each parsed packet: the SPD's
 * answer; the route to the other end of the tunnel where that is PROTECT on the way out, else to the packet's
 * destination; whether that is one of the gateway's addresses. On the way out policy_sa may be an alternative
 * of the policy, the one that is for all packets of this worker. All packets are kept. The cache is of the
 * snapshot `s` since flows_forget.
 */
void flows_find(struct flows *flows, struct burst *burst, enum flows_direction direction,
	const struct snapshot *s, struct drops *drops);

/* The same of one packet, as that worker would have it, with no cache. Control, which has the snapshot. */
void flows_ask_one(
	struct rte_mbuf *m, unsigned worker, enum flows_direction direction, const struct snapshot *s);

#endif
