/*
 * STAGE(burst, drops, moved...): the first line of every stage. When the stage returns, it asserts that each
 * packet that came in was kept, moved to one of the named bursts (three at most), or dropped.
 *
 * Workers only. Without CULVERT_STAGE_CHECKS it is nothing.
 */
#ifndef CULVERT_NET_STAGE_H
#define CULVERT_NET_STAGE_H

#include "net/drop.h"

#ifdef CULVERT_STAGE_CHECKS

struct stage_check {
	const struct burst *bursts[4]; /* the stage's own, then the named ones; NULL where there are fewer */
	const struct drops *drops;
	uint64_t before;
};

static inline uint64_t stage_packets(const struct stage_check *check)
{
	uint64_t packets = check->drops->total;

	for (unsigned i = 0; i < 4; i++)
		packets += check->bursts[i] ? check->bursts[i]->n : 0;
	return packets;
}

static inline struct stage_check stage_begin(struct stage_check check)
{
	check.before = stage_packets(&check);
	return check;
}

static inline void stage_end(const struct stage_check *check)
{
	assert(stage_packets(check) == check->before);
}

#define STAGE(burst_, drops_, ...)                                                                           \
	const struct stage_check stage_check __attribute__((cleanup(stage_end), unused)) = stage_begin(      \
		(struct stage_check){.bursts = {burst_ __VA_OPT__(, ) __VA_ARGS__}, .drops = drops_})

#else

#define STAGE(...) ((void)0)

#endif

#endif
