/*
 * Replay windows that are wound back, so that a source may repeat its frames.
 *
 * Benchmarks only: the main thread makes it before the workers run and destroys it after them; in between,
 * the worker that polls the queue runs it, as a callback of that queue, and what it costs counts as the
 * gateway's.
 *
 * How: a window is put back to what it was at first once a round, at the frame halfway between the last that
 * its SA received and the first that it will. With many SAs the window has left the caches by then, so that
 * its packet finds it as cold as it would be on a real link; putting it back there is a cost that no real
 * link has. Limits: an SA's frames are of one queue.
 */
#ifndef CULVERT_TESTS_BENCH_REWIND_H
#define CULVERT_TESTS_BENCH_REWIND_H

#include "control/control.h"

#include <stddef.h>
#include <stdint.h>

/* A frame, before which a window is put back. */
struct rewind_point {
	uint32_t frame;
	void *window;
};

struct rewind {
	struct rewind_point *points; /* by their frames */
	size_t n_points;
	size_t next; /* point */
	uint32_t frame;
	uint32_t n_frames; /* of a round */
	size_t bytes;      /* of a window */
	void *fresh;       /* a window as it was at first */
	uint64_t tsc;      /* time spent */
};

/*
 * Wind back the windows of the SAs that receive what queue `queue` of the port brings: frame i is for SA
 * sas[i]. The ports are set up, and no packet has been received. Returns 0 or -errno; then nothing is left.
 */
int rewind_init(struct rewind *rewind, const struct control *control, uint16_t ethdev, uint16_t queue,
	const uint32_t *sas, uint32_t n_frames);

/* No worker runs. One that is all zero is left alone. */
void rewind_fini(struct rewind *rewind);

#endif
