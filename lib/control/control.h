/*
 * The running gateway: everything that the control thread owns, and what it does while the workers run.
 *
 * Main thread only. app/culvertd/main.c brings it up in the order of the members and takes it down in mirror
 * order; each part is in a file of its own. Limits: one in a process, since EAL is.
 */
#ifndef CULVERT_CONTROL_CONTROL_H
#define CULVERT_CONTROL_CONTROL_H

#include "base/err.h"
#include "base/report.h"
#include "control/acquire_log.h"
#include "control/audit_log.h"
#include "control/capturing.h"
#include "control/host_device.h"
#include "control/lifetime.h"
#include "control/natt_watch.h"
#include "control/neigh_proto.h"
#include "control/peers.h"
#include "control/ports.h"
#include "control/sa_keys.h"
#include "control/service.h"
#include "control/tracing.h"
#include "datapath/stats.h"
#include "ipsec/crypto.h"
#include "model/gateway.h"
#include "model/name_index.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct control_sa;
struct metrics_http;
struct reloading;
struct replies;
struct retired;
struct rte_rcu_qsbr;
struct rte_ring;
struct seq_store;
struct server;

#define EVENTS_FAILURE_KINDS 5

/* Reading configurations is not control's; app/culvertd/main.c gives what does (config/load.h). */
struct config_source {
	const char *path; /* of the daemon's own file, absolute */
	/* In any thread. What it waits for, it waits for until *stop is set: -ECANCELED. */
	int (*load)(
		const char *path, const atomic_bool *stop, struct gateway *gateway, struct report *report);
	/* SAs and policies alone; key files are beside the file at `path`. Not checked as a whole. */
	int (*read_part)(const char *path, const char *text, size_t length_bytes, struct gateway *part,
		struct report *report);
};

struct control {
	const struct config_source *source;
	struct gateway *gateway; /* borrowed; what the operator wants, which changes while it runs */
	bool filter;             /* the operator's wish: give up system calls, control/privileges.c */
	struct service service;  /* control/service.c */
	int lock_fd;             /* control/lock.c */
	struct crypto crypto;    /* control/cryptodevs.c */
	struct ports ports;      /* control/ports.c */
	/* control/tables.c: what workers and control share. */
	struct rte_rcu_qsbr *qsbr;
	size_t sas_room;     /* SAs that the two SADs, and crypto devices, have room for */
	struct sad *sad;     /* inbound SAs */
	struct sad *sad_out; /* outbound SAs */
	struct neigh_table *neighbours;
	struct rte_ring *to_control;
	struct rte_ring *to_host; /* NULL: there is no host interface */
	/* control/workers.c */
	unsigned n_workers;
	struct worker *workers[GATEWAY_WORKERS_MAX];
	/* control/host_if.c: the control thread's side of ARP and neighbour discovery. */
	struct neigh_proto *neigh_proto;
	struct host_device host_device; /* control/host_device.c */
	struct control_counters counters;
	struct audit_log audit_log; /* control/audit_log.c */
	/* control/seq_store.c; NULL: a test's or a benchmark's, whose SAs begin with number 1 */
	struct seq_store *sequences;
	struct tracing tracing;     /* control/tracing.c */
	struct capturing capturing; /* control/capturing.c */
	/* control/sas.c: the SAs there are, what is known of each, and their names to their places */
	struct sa **sas;
	struct control_sa **sa_notes;
	struct name_index sa_names;
	struct sa_keys sa_keys; /* control/sa_keys.c */
	size_t n_sas;
	struct peers peers;      /* control/peers.c: of inbound SAs */
	struct replies *replies; /* control/alternatives.c; NULL until an SA is for a peer */
	/* control/change.c */
	struct name_index policy_names; /* those there are; their numbers say nothing */
	struct snapshot *snapshot;      /* the published one */
	struct retired *retired;        /* control/retire.c: what was before, until no worker has it */
	pthread_mutex_t lock; /* held while the SAs and the model change: telemetry's thread reads them */
	/* control/watches.c */
	struct lifetime lifetime;
	struct natt_watch natt;
	struct acquire_log acquires;
	uint64_t icv_hint_next_ns;
	struct {
		uint64_t next_ns;
		uint64_t looked_ns;
		uint32_t ports_up; /* bits by port */
		uint64_t failures[EVENTS_FAILURE_KINDS];
	} events;                    /* control/events.c */
	struct reloading *reloading; /* control/reloading.c; NULL: none is under way */
	struct server *server;       /* control/server.c */
	const char *version;
	uint64_t begun_ns;
	struct metrics_http *metrics; /* control/metrics_http.c; NULL: none are served */
	/* control/path_mtus.c */
	size_t n_path_mtus;         /* SAs whose path MTU ICMP told */
	uint64_t path_mtus_next_ns; /* then they are looked at again */
};

/* What a signal handler asks for. */
struct control_requests {
	volatile sig_atomic_t stop;
	volatile sig_atomic_t print_statistics;
	volatile sig_atomic_t reload;
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
