/*
 * What the benchmark program measures. Each command brings a gateway up by the code of lib/control, measures,
 * takes it down and prints one JSON object on a line; tests/bench/report.py runs it and makes the table.
 *
 * One command a process, since EAL starts once. Returns 0, or -errno with err set.
 */
#ifndef CULVERT_TESTS_BENCH_BENCH_H
#define CULVERT_TESTS_BENCH_BENCH_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct bench_options {
	bool inbound;
	bool hugepages;
	uint16_t packet_bytes; /* inner IP packet */
	uint32_t n_tunnels;
	const char *crypto;    /* the device that encrypts, as workers.crypto names it */
	unsigned cpu;          /* the worker's */
	double seconds;        /* measured, after the warm-up */
	const char *directory; /* for frames, configurations and EAL's sockets */
};

/* TSC cycles a packet of a worker that is never idle. */
int bench_forward(const struct bench_options *options, struct err *err);

/* Time from reading a configuration to its published snapshot, and memory for each SA and policy. */
int bench_load(const struct bench_options *options, struct err *err);

#endif
