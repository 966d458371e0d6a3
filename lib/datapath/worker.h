/*
 * A worker: one polling thread pinned to a core, with everything that it alone writes.
 *
 * Control makes the struct, starts the thread, publishes snapshots and asks it to stop; the worker runs
 * worker_run until then. The atomics are the only members that both touch while it runs.
 */
#ifndef CULVERT_DATAPATH_WORKER_H
#define CULVERT_DATAPATH_WORKER_H

#include "datapath/audit.h"
#include "datapath/flows.h"
#include "datapath/host.h"
#include "datapath/snapshot.h"
#include "fwd/frag.h"
#include "fwd/reass.h"
#include "fwd/tx.h"
#include "ipsec/crypto.h"
#include "ipsec/ipcomp.h"
#include "ipsec/sad.h"
#include "net/drop.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rte_rcu_qsbr;

/* A queue of every port; only a worker that is alone has more. */
#define WORKER_RX_QUEUES_MAX (2 * PKT_PORTS_MAX)

/* A receive queue that this worker polls, and it alone. */
struct worker_rx {
	uint16_t ethdev; /* DPDK's port number */
	uint16_t queue;
	uint8_t port; /* index in the snapshot */
};

/* What a worker counts beside drops. The worker writes, any thread reads. */
struct worker_counters {
	uint64_t rx_packets[PKT_PORTS_MAX];
	uint64_t rx_bytes[PKT_PORTS_MAX];
	uint64_t generated; /* packets that the worker made: ICMP errors, echo replies, more fragments than
			       packets */
	uint64_t answered;  /* packets that ended here because they were answered */
	uint64_t to_control;
	uint64_t from_control;
	uint64_t loops;
	uint64_t busy_loops; /* loops that found a packet */
};

struct worker {
	/* control: wo, before the thread starts; worker: ro */
	unsigned index;
	unsigned n_workers; /* of the gateway */
	unsigned lcore;     /* EAL's */
	uint16_t n_rx;
	struct worker_rx rx[WORKER_RX_QUEUES_MAX];
	uint32_t idle_sleep_us;
	struct rte_rcu_qsbr *qsbr;
	const struct sad *sad;     /* inbound SAs */
	const struct sad *sad_out; /* outbound SAs, for ICMP errors about what they sent */
	const struct neigh_table *neighbours;
	struct crypto_worker *crypto;
	struct flows *flows;        /* worker: rw */
	struct reass *reass;        /* worker: rw */
	struct audit *audit;        /* NULL: off */
	struct frag frag;           /* worker: rw */
	struct dummy_maker dummies; /* worker: rw */
	struct ipcomp *ipcomp;      /* worker: rw */
	struct host_queue host;
	/* control: wo, worker: ro, at any time */
	_Atomic(const struct snapshot *) published;
	atomic_bool stop;
	/* worker: wo, control: ro */
	_Atomic(const struct snapshot *) adopted;
	/* worker: rw; counters are read by others */
	alignas(RTE_CACHE_LINE_SIZE) const struct snapshot *snapshot;
	uint64_t now_tsc; /* of this loop */
	struct sa_tally tally;
	struct host_limit icmp_limit;
	struct host_limit icmp_error_limit; /* of errors that control is told of */
	struct burst unforwardable;         /* packets that an ICMP error may answer; empty between bursts */
	struct tx tx;
	struct drops drops;
	struct worker_counters counters;
};

/*
 * What the thread does before its first loop and after its last: announce itself to QSBR and adopt the
 * published snapshot; drain its queues and leave. Called by worker_run, and by tests that call the pipeline
 * themselves.
 */
int worker_begin(struct worker *worker);
void worker_end(struct worker *worker);

/* Adopt the published snapshot if it is another. Called by worker_run in each loop, and by such tests. */
void worker_adopt(struct worker *worker);

/* A loop begins: what takes the time in it takes this one. Called by worker_run, and by such tests. */
void worker_tick(struct worker *worker);

/*
 * The thread's function: poll until `stop`, then drain. Returns 0, or a negative errno when it can't begin.
 */
int worker_run(struct worker *worker);

#endif
