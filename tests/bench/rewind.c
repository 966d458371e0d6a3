#include "bench/rewind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include "base/array.h"
#include "ipsec/sa.h"
#include "model/policy.h"

/* More frames than can be between a receive queue and the window: those of a burst and in a crypto device. */
#define IN_FLIGHT_FRAMES 256

#define NO_FRAME UINT32_MAX

/* The frames of one SA in a round. */
struct span {
	uint32_t first;
	uint32_t last;
};

static void points_pass(struct rewind *rewind, uint32_t end)
{
	uint64_t start;

	if (rewind->next == rewind->n_points || rewind->points[rewind->next].frame >= end)
		return;
	start = rte_rdtsc();
	do
		memcpy(rewind->points[rewind->next++].window, rewind->fresh, rewind->bytes);
	while (rewind->next < rewind->n_points && rewind->points[rewind->next].frame < end);
	rewind->tsc += rte_rdtsc() - start;
}

static uint16_t rewind_burst(uint16_t port __rte_unused, uint16_t queue __rte_unused,
	struct rte_mbuf **pkts __rte_unused, uint16_t n, uint16_t max __rte_unused, void *arg)
{
	struct rewind *rewind = arg;

	rewind->frame += n;
	points_pass(rewind, rewind->frame);
	if (rewind->frame >= rewind->n_frames) {
		rewind->frame -= rewind->n_frames;
		rewind->next = 0;
		points_pass(rewind, rewind->frame);
	}
	return n;
}

/* The last to arrive puts the windows back; what it has written, the others see when they go on. */
static void meeting_attend(struct rewind_meeting *meeting, const struct rewind *rewind)
{
	unsigned round = atomic_load(&meeting->rounds);

	if (atomic_fetch_add(&meeting->arrived, 1) + 1 == meeting->n_workers) {
		for (size_t i = 0; i < rewind->n_points; i++)
			memcpy(rewind->points[i].window, rewind->fresh, rewind->bytes);
		atomic_store(&meeting->arrived, 0);
		atomic_store(&meeting->rounds, round + 1);
	}
	while (atomic_load(&meeting->rounds) == round && !atomic_load(&meeting->closed))
		rte_pause();
}

/* All frames of the round have gone their way before this burst is asked for. */
static uint16_t rewind_burst_shared(uint16_t port __rte_unused, uint16_t queue __rte_unused,
	struct rte_mbuf **pkts, uint16_t n, uint16_t max __rte_unused, void *arg)
{
	struct rewind *rewind = arg;

	if (rewind->frame == rewind->n_frames) {
		uint64_t start = rte_rdtsc();

		meeting_attend(rewind->meeting, rewind);
		rewind->frame = 0;
		rewind->tsc += rte_rdtsc() - start;
	}
	if (atomic_load_explicit(&rewind->meeting->closed, memory_order_relaxed)) {
		rte_pktmbuf_free_bulk(pkts, n);
		return 0;
	}
	rewind->frame += n;
	return n;
}

static int point_compare(const void *a, const void *b)
{
	const struct rewind_point *x = a, *y = b;

	return (x->frame > y->frame) - (x->frame < y->frame);
}

static void point_add(struct rewind *rewind, uint32_t frame, void *window)
{
	rewind->points[rewind->n_points++] =
		(struct rewind_point){.frame = frame % rewind->n_frames, .window = window};
}

/*
 * Where the gap between two rounds is short, the last frames may still be in flight when the window is put
 * back, and mark it again; so it is put back once more when they have surely arrived. Until then the first
 * frames of the new round are to the left of those marks, but inside the window.
 */
static void span_add(struct rewind *rewind, struct span span, void *window)
{
	uint32_t gap = span.first + rewind->n_frames - span.last;

	point_add(rewind, span.last + (gap + 1) / 2, window);
	if (gap < 2 * IN_FLIGHT_FRAMES)
		point_add(rewind, span.last + IN_FLIGHT_FRAMES, window);
}

/* The frames are for an SA, and for those around it. IPComp has no window. */
static void spans_add(struct rewind *rewind, struct span span, const struct sa *sa)
{
	for (; sa; sa = sa->around)
		if (sa->replay)
			span_add(rewind, span, sa->replay);
}

static void points_make(struct rewind *rewind, const struct control *control, const uint32_t *sas)
{
	struct span *spans = xcalloc(control->n_sas, sizeof(spans[0]));

	for (size_t i = 0; i < control->n_sas; i++)
		spans[i].first = NO_FRAME;
	for (uint32_t i = 0; i < rewind->n_frames; i++) {
		struct span *span = &spans[sas[i]];

		span->first = RTE_MIN(span->first, i);
		span->last = i;
	}
	/* Two points an SA of a bundle at most, and each bundle has a frame at least. */
	rewind->points = xcalloc(2 * (size_t)POLICY_BUNDLE_MAX * rewind->n_frames, sizeof(rewind->points[0]));
	for (size_t i = 0; i < control->n_sas; i++)
		if (spans[i].first != NO_FRAME)
			spans_add(rewind, spans[i], control->sas[i]);
	qsort(rewind->points, rewind->n_points, sizeof(rewind->points[0]), point_compare);
	free(spans);
}

/* Remember a fresh window, and run the callback from the queue's first burst on. */
static int rewind_begin(struct rewind *rewind, uint16_t ethdev, uint16_t queue, rte_rx_callback_fn callback)
{
	if (rte_malloc_validate(rewind->points[0].window, &rewind->bytes) != 0) {
		rewind_fini(rewind);
		return -EINVAL;
	}
	rewind->fresh = xcalloc(1, rewind->bytes);
	memcpy(rewind->fresh, rewind->points[0].window, rewind->bytes);
	if (!rte_eth_add_rx_callback(ethdev, queue, callback, rewind)) {
		rewind_fini(rewind);
		return -ENOTSUP;
	}
	return 0;
}

int rewind_init(struct rewind *rewind, const struct control *control, uint16_t ethdev, uint16_t queue,
	const uint32_t *sas, uint32_t n_frames)
{
	*rewind = (struct rewind){.n_frames = n_frames};
	points_make(rewind, control, sas);
	return rewind_begin(rewind, ethdev, queue, rewind_burst);
}

int rewind_init_shared(struct rewind *rewind, struct rewind_meeting *meeting, const struct control *control,
	uint16_t ethdev, uint16_t queue, uint32_t n_frames)
{
	*rewind = (struct rewind){.meeting = meeting, .n_frames = n_frames};
	rewind->points = xcalloc(control->n_sas, sizeof(rewind->points[0]));
	for (size_t i = 0; i < control->n_sas; i++)
		point_add(rewind, 0, control->sas[i]->replay);
	meeting->n_workers++;
	return rewind_begin(rewind, ethdev, queue, rewind_burst_shared);
}

void rewind_meeting_close(struct rewind_meeting *meeting)
{
	atomic_store(&meeting->closed, true);
}

void rewind_fini(struct rewind *rewind)
{
	free(rewind->fresh);
	free(rewind->points);
	*rewind = (struct rewind){0};
}
