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
 * link has.
 *
 * Where several queues bring frames for one SA, nobody may put its window back while another worker is still
 * in the round before. So at the end of each round the workers wait for each other, the last one puts the
 * windows back, and all go on; the window holds a whole round, so that however far one worker is ahead, no
 * frame is late. What they wait counts as the gateway's: with rounds of equal work it is little, unless one
 * worker loses its CPU, and then it is lost to all. Limits: crypto is synchronous there, since a frame in
 * flight would mark the new window; and a burst ends with the round.
 */
#ifndef CULVERT_TESTS_BENCH_REWIND_H
#define CULVERT_TESTS_BENCH_REWIND_H

#include "control/control.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A frame, before which a window is put back. */
struct rewind_point {
	uint32_t frame;
	void *window;
};

/* Where the workers that share SAs wait for each other. */
struct rewind_meeting {
	unsigned n_workers;
	alignas(RTE_CACHE_LINE_SIZE) atomic_uint arrived;
	atomic_uint rounds; /* that are over */
	atomic_bool closed; /* nobody waits any more, and the queues bring nothing */
};

struct rewind {
	/* Each on lines of its own: workers write theirs once a burst. NULL: the SAs are of this queue alone
	 */
	alignas(RTE_CACHE_LINE_SIZE) struct rewind_meeting *meeting;
	struct rewind_point *points; /* by their frames */
	size_t n_points;
	size_t next; /* point */
	uint32_t frame;
	uint32_t n_frames; /* of a round */
	size_t bytes;      /* of a window */
	void *fresh;       /* a window as it was at first */
	uint64_t tsc;      /* time spent, and waited */
};

/*
 * Wind back the windows of the SAs that receive what queue `queue` of the port brings: frame i is for SA
 * sas[i], and for those around it in its bundle. The ports are set up, and no packet has been received.
 * Returns 0 or -errno; then nothing is left.
 */
int rewind_init(struct rewind *rewind, const struct control *control, uint16_t ethdev, uint16_t queue,
	const uint32_t *sas, uint32_t n_frames);

/*
 * The same for a queue whose workers share all SAs of the gateway; the meeting is all zero at first, and each
 * worker joins it with its own queue. Its rounds have n_frames frames of each queue.
 */
int rewind_init_shared(struct rewind *rewind, struct rewind_meeting *meeting, const struct control *control,
	uint16_t ethdev, uint16_t queue, uint32_t n_frames);

/* Before the first worker is stopped: the others would wait for it for ever. */
void rewind_meeting_close(struct rewind_meeting *meeting);

/* No worker runs. One that is all zero is left alone. */
void rewind_fini(struct rewind *rewind);

#endif
