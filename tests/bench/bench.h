/*
 * What the benchmark program measures. Each command brings a gateway up by the code of lib/control, measures,
 * takes it down and prints one JSON object on a line; tests/bench/report.py runs it and makes the table.
 *
 * One command a process, since EAL starts once. Returns 0, or -errno with err set.
 */
#ifndef CULVERT_TESTS_BENCH_BENCH_H
#define CULVERT_TESTS_BENCH_BENCH_H

#include "base/err.h"
#include "bench/frames.h"

#include <stdbool.h>
#include <stdint.h>

struct bench_options {
	bool inbound;
	bool hugepages;
	bool in_udp;             /* forward: ESP goes in UDP */
	enum site_shape shape;   /* forward */
	uint16_t packet_bytes;   /* inner IP packet; or FRAMES_IMIX */
	enum frames_fault flood; /* inbound, one SA: what is wrong with all packets, or comes beside them */
	uint32_t n_sas;          /* of a direction */
	uint32_t n_policies;     /* likewise, and no fewer than SAs */
	const char *algorithm;   /* as the configuration has it */
	const char *path;        /* crypto: direct, call, queue, or all */
	const char *cpus;        /* the workers', with commas */
	double seconds;          /* measured, after the warm-up */
	const char *directory;   /* for frames, configurations and EAL's sockets */
};

/* The error where nothing happened in the time that was measured. */
#define STARVED "a worker had no CPU while it was measured: nothing can be said of speed"

/*
 * TSC cycles a packet of a worker that is never idle; in a flood, a packet that it drops, but with fragments
 * in clear, a packet of the tunnel. A packet of SITE_FRAGMENTS is one that is whole, before or afterwards.
 */
int bench_forward(const struct bench_options *options, struct err *err);

/* The time that the gateway adds to a packet, at several loads, and what becomes of too much load. */
int bench_latency(const struct bench_options *options, struct err *err);

/* Time from reading a configuration to its published snapshot, and memory for each SA and policy. */
int bench_load(const struct bench_options *options, struct err *err);

/*
 * TSC cycles a packet of crypto_run and crypto_poll alone, bursts of 32, by each of the ways in turn: one
 * object for each.
 */
int bench_crypto(const struct bench_options *options, struct err *err);

#endif
