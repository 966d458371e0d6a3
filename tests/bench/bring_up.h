/*
 * A gateway that comes up part by part, so that a benchmark can do something, or read a clock, in between.
 *
 * Benchmarks only, main thread, once in a process. The parts are those of app/culvertd/main.c that matter for
 * packets; there is no control thread, so neighbours are those of the configuration.
 */
#ifndef CULVERT_TESTS_BENCH_BRING_UP_H
#define CULVERT_TESTS_BENCH_BRING_UP_H

#include "control/control.h"

/* In their order. */
enum bring_up_part {
	BRING_UP_ENVIRONMENT,
	BRING_UP_CRYPTO,
	BRING_UP_PORTS,
	BRING_UP_TABLES,
	BRING_UP_WORKERS, /* made, not started */
	BRING_UP_POLICY,  /* SAs and the snapshot */
	BRING_UP_TRAFFIC, /* neighbours, and the ports started */
	BRING_UP_PARTS
};

struct bring_up {
	struct gateway gateway;
	struct control control;
	const char *directory; /* EAL's */
	unsigned n_up;         /* parts that are up */
};

/* Read the configuration, and nothing more. What is wrong with it goes to standard error. */
int bring_up_begin(struct bring_up *bring_up, const char *directory, const char *path, struct err *err);

/* Bring up all parts to `last`, included, that are not up yet. Returns 0 or -errno. */
int bring_up_to(struct bring_up *bring_up, enum bring_up_part last, struct err *err);

/* Take down, in mirror order, what comes after `last`. */
void bring_down_to(struct bring_up *bring_up, enum bring_up_part last);

/* Take everything down. */
void bring_down(struct bring_up *bring_up);

#endif
