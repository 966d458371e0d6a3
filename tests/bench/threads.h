/*
 * The workers of a gateway under measurement, and the time that each had a CPU.
 *
 * Benchmarks only, main thread. The gateway is up, its workers are made and don't run; it outlives the
 * threads.
 */
#ifndef CULVERT_TESTS_BENCH_THREADS_H
#define CULVERT_TESTS_BENCH_THREADS_H

#include "bench/site.h"
#include "control/control.h"

#include <stdint.h>
#include <time.h>

struct thread {
	struct worker *worker;
	clockid_t clock; /* counts while the thread has a CPU */
};

struct threads {
	unsigned n;
	struct thread threads[SITE_QUEUES_MAX];
};

/* Start the workers. Returns 0 or -errno; threads_end is due in any case, for whichever began. */
int threads_begin(struct threads *threads, const struct control *control);

/* Stop them and wait. Returns 0, or the first negative errno with which a worker ended. */
int threads_end(struct threads *threads);

/* Nanoseconds on that clock. */
uint64_t threads_clock_ns(clockid_t clock);

#endif
