/*
 * A trace: what came of single packets, stage by stage.
 *
 * Control makes it and hands each worker its part (struct worker's `trace`); the worker follows every packet
 * that comes in, writes its steps into memory of its own, and hands over, when the packet has ended, the
 * record of one that passed the filter at any step. Nobody waits: what finds no room is counted. Control
 * frees it when every worker has let go (QSBR).
 * Followed: packets from a port and from control, through crypto devices too, and what they are cut into.
 * Limits: TRACE_FOLLOWED_MAX packets of a worker at a time, TRACE_STEPS_MAX steps of each. Not followed: ICMP
 * errors that the gateway makes of a packet, dummies, fragments that wait for others (what is made of them is
 * followed as a packet of its own), and what is with the control thread.
 */
#ifndef CULVERT_DATAPATH_TRACE_H
#define CULVERT_DATAPATH_TRACE_H

#include "base/err.h"
#include "datapath/filter.h"
#include "net/drop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TRACE_FOLLOWED_MAX 64 /* a bit each in a word */
#define TRACE_STEPS_MAX    48
#define TRACE_SAS_MAX      8
#define TRACE_SA_NONE      UINT8_MAX
#define TRACE_PKTS_MAX     1000 /* of a trace */

enum trace_outcome {
	TRACE_KEPT,
	TRACE_MOVED,   /* to the burst `moved_to` */
	TRACE_DROPPED, /* for `reason` */
	TRACE_GONE,    /* sent, handed to control or to a device, held, or cut: by the stage */
};

/* Which of the SPDs `policy` is an index of. */
enum trace_policy { TRACE_POLICY_UNKNOWN, TRACE_POLICY_NONE, TRACE_POLICY_OUT, TRACE_POLICY_IN };

struct trace_step {
	uint64_t tsc;  /* when the stage began */
	uint8_t stage; /* enum stage; STAGE_COUNT: between stages */
	uint8_t outcome;
	uint8_t moved_to;  /* place in `names` */
	uint8_t reason;    /* enum drop_reason */
	uint8_t sa;        /* index of the record's, or TRACE_SA_NONE */
	uint8_t policy_of; /* enum trace_policy */
	bool is_ip;        /* quote is of the packet as the stage left it, or dropped it */
	uint32_t policy;
	uint32_t bytes;    /* of the packet, link header included where it has one */
	const char *names; /* of bursts, with commas between; constant */
	struct quote quote;
};

struct trace_sa {
	char name[SA_NAME_MAX];
	rte_be32_t spi;
	bool inbound;
};

/* One packet's. */
struct trace_record {
	uint32_t id;      /* of the worker's, counting up from 1 */
	uint32_t part_of; /* the id of the packet that it was cut from, or 0 */
	uint16_t worker;
	uint8_t port_in; /* PKT_PORT_SELF: the gateway made it */
	uint8_t n_sas;
	uint16_t n_steps;
	uint16_t n_lost; /* steps for which there was no room */
	struct trace_sa sas[TRACE_SAS_MAX];
	struct trace_step steps[TRACE_STEPS_MAX];
};

struct trace_conf {
	struct filter filter;
	uint32_t n_pkts; /* that are recorded, 1 to TRACE_PKTS_MAX */
	unsigned n_workers;
};

/* What the workers share. */
struct trace {
	struct trace_conf conf;
	_Atomic int32_t left; /* packets that are still to be recorded */
	struct trace_worker **workers;
};

/* Returns 0 or -ENOMEM with err set. Control. */
int trace_create(const struct trace_conf *conf, struct trace **trace, struct err *err);
/* No worker has any part of it. NULL is fine. */
void trace_destroy(struct trace *trace);

/* Worker: its drops' tracer. */
struct tracer *trace_tracer(struct trace_worker *trace);
/* Worker: a loop begins, so that packets have ended which no crypto device has. */
void trace_tick(struct trace_worker *trace);
/* Worker: packets came in by that port, as frames that are not parsed yet. */
void trace_receive(struct trace_worker *trace, uint8_t port, const struct burst *burst);
/* Worker: packets and frames from control. */
void trace_from_control(struct trace_worker *trace, const struct burst *burst);

/* Control: the oldest record of that worker, or NULL; trace_release gives it back. */
const struct trace_record *trace_peek(const struct trace *trace, unsigned worker);
void trace_release(struct trace *trace, unsigned worker);

struct trace_losses {
	uint64_t not_captured; /* passed the filter, and there was no room for the record */
	uint64_t not_followed; /* came while TRACE_FOLLOWED_MAX others were followed */
};

/* Any thread. */
struct trace_losses trace_losses(const struct trace *trace);

#endif
