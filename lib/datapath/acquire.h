/*
 * What becomes of packets that a policy protects by an SA which is not there (RFC 4301 section 5.1.1): they
 * are dropped, control is told which SA is wanted, and the sender is answered if the policy says so.
 *
 * A table belongs to a snapshot: control makes and destroys it, any number of workers post to it, and control
 * takes what they posted. A policy is told of once in ACQUIRE_INTERVAL_S; what does not fit into the queue
 * is told of later.
 */
#ifndef CULVERT_DATAPATH_ACQUIRE_H
#define CULVERT_DATAPATH_ACQUIRE_H

#include "base/err.h"
#include "base/flow.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACQUIRE_INTERVAL_S 10
#define ACQUIRE_QUEUE      1024 /* events that wait for control */

struct acquire_table;

/* An SA is wanted. */
struct acquire {
	struct flow flow;    /* of the packet that wants it */
	uint32_t policy;     /* index in the outbound SPD's list */
	uint32_t suppressed; /* packets of this policy that told nothing since the last that did */
};

/* For so many outbound policies. Returns 0, or -ENOMEM with err set. */
int acquire_table_create(size_t n_policies, int socket, struct acquire_table **table, struct err *err);
/* NULL is fine. No worker may read it. */
void acquire_table_destroy(struct acquire_table *table);

/* Answer the senders of that policy's packets with ICMP. Before the table is published. */
void acquire_tell_senders(struct acquire_table *table, size_t policy);

/*
 * Workers: packets for whose policy (struct pkt) there is no SA. Those that ICMP "administratively
 * prohibited" is to answer go to *refused, with the error set in struct pkt. Drops: out_no_sa. The burst is
 * empty then.
 */
void acquire_burst(struct burst *burst, struct acquire_table *table, uint64_t now_tsc, struct burst *refused,
	struct drops *drops);

/* Control: the oldest event; false if there is none. */
bool acquire_take(struct acquire_table *table, struct acquire *acquire);
/* Events that wait for it. Any thread. */
uint32_t acquire_waiting(const struct acquire_table *table);

#endif
