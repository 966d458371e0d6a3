/*
 * The running gateway: everything that the control thread owns, and what it does while the workers run.
 *
 * Main thread only. app/culvertd/main.c brings it up in the order of the members and takes it down in mirror
 * order; each part is in a file of its own. Limits: one in a process, since EAL is.
 */
#ifndef CULVERT_CONTROL_CONTROL_H
#define CULVERT_CONTROL_CONTROL_H

#include "base/err.h"
#include "control/audit_log.h"
#include "control/capturing.h"
#include "control/neigh_proto.h"
#include "control/ports.h"
#include "control/tracing.h"
#include "datapath/stats.h"
#include "ipsec/crypto.h"
#include "model/gateway.h"

#include <signal.h>
#include <stdint.h>

struct rte_rcu_qsbr;
struct rte_ring;

struct control {
	const struct gateway *gateway; /* borrowed; what the operator wants */
	int lock_fd;                   /* control/lock.c */
	struct crypto crypto;          /* control/cryptodevs.c */
	struct ports ports;            /* control/ports.c */
	/* control/tables.c: what workers and control share. */
	struct rte_rcu_qsbr *qsbr;
	struct sad *sad;     /* inbound SAs */
	struct sad *sad_out; /* outbound SAs */
	struct neigh_table *neighbours;
	struct rte_ring *to_control;
	/* control/workers.c */
	unsigned n_workers;
	struct worker *workers[GATEWAY_WORKERS_MAX];
	/* control/host_if.c: the control thread's side of ARP and neighbour discovery. */
	struct neigh_proto *neigh_proto;
	struct control_counters counters;
	struct audit_log audit_log; /* control/audit_log.c */
	struct tracing tracing;     /* control/tracing.c */
	struct capturing capturing; /* control/capturing.c */
	/* control/apply.c */
	struct sa **sas; /* in the order of the configuration */
	size_t n_sas;
	struct snapshot *snapshot; /* the published one */
	/* control/path_mtus.c */
	size_t n_path_mtus;         /* SAs whose path MTU ICMP told */
	uint64_t path_mtus_next_ns; /* then they are looked at again */
};

/* What a signal handler asks for. */
struct control_requests {
	volatile sig_atomic_t stop;
	volatile sig_atomic_t print_statistics;
};

/*
 * Serve the workers (ARP, neighbour discovery, ageing) until requests->stop, or until no port has received a
 * packet for until_idle_s seconds (0: no such limit). Statistics go to standard output when asked for.
 * Returns 0, or -EIO when a worker failed.
 */
int control_run(struct control *control, struct control_requests *requests, uint32_t until_idle_s);

/* Print the statistics to standard output. Any time after control is up. */
void control_print_statistics(struct control *control);

/* Sum the counters of all workers and of control. Any thread. */
void control_statistics(const struct control *control, struct stats *stats);

#endif
