/*
 * Traces: who asks for the ways of the next packets, and what is kept of them until it is read.
 *
 * Main thread. A trace ends when it is asked to, after its time, or when it has as many packets as were asked
 * for; then the workers let go of it. Its records stay until the next one begins.
 * Limits: one at a time; names of policies are those of the configuration at the time when they are printed.
 */
#ifndef CULVERT_CONTROL_TRACING_H
#define CULVERT_CONTROL_TRACING_H

#include "base/err.h"
#include "datapath/trace.h"
#include "model/gateway.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct control;

#define TRACING_PKTS_DEFAULT    10
#define TRACING_SECONDS_DEFAULT 10
#define TRACING_SECONDS_MAX     3600

enum tracing_state { TRACING_NONE, TRACING_RUNS, TRACING_ENDS, TRACING_DONE };

struct tracing_conf {
	struct filter filter;
	uint32_t n_pkts;
	uint32_t seconds;
};

struct tracing {
	enum tracing_state state;
	struct trace *trace;
	uint64_t until_ns;
	uint64_t token; /* of QSBR, while workers let go */
	/* What was taken, oldest first for each worker; each is as long as it has steps. */
	struct trace_record **records;
	size_t n_records;
	uint32_t n_wanted;
	struct trace_losses losses;
};

void tracing_conf_init(struct tracing_conf *conf);

/* Begin. -EBUSY: another runs; -EINVAL: a number that can't be; -ENOMEM. */
int tracing_begin(struct control *control, const struct tracing_conf *conf, struct err *err);
/* Ask it to end; tracing_poll then sees to it. None may run. */
void tracing_end(struct control *control);
/* Called all the time. */
void tracing_poll(struct control *control, uint64_t now_ns);
bool tracing_runs(const struct control *control);

/* A part of the daemon: in the end no worker runs. */
void tracing_destroy(struct control *control);

/* What became of the packet at that step, as in `dropped: in_icv`. `text` has room for TRACING_TEXT_MAX. */
#define TRACING_TEXT_MAX 128
const char *tracing_outcome(const struct trace_step *step, char text[TRACING_TEXT_MAX]);
/* `10.1.0.1 > 10.2.0.1 udp 1000 > 2000`, `192.0.2.1 > 198.51.100.1 esp spi=0x00001001 seq=1`; "" if no IP. */
const char *tracing_packet(const struct trace_step *step, char text[TRACING_TEXT_MAX]);
/* The name of the policy that the step tells of, or NULL. */
const char *tracing_policy(const struct gateway *gateway, const struct trace_step *step);
/* Where the packet was after its last step, as a sentence. */
const char *tracing_verdict(const struct trace_record *record);
/* Name of a stage, "" for STAGE_COUNT. */
const char *tracing_stage(uint8_t stage);

/* A record as lines that a person can read. */
void tracing_print(FILE *file, const struct gateway *gateway, const struct trace_record *record);

#endif
