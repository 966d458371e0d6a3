/*
 * STAGE(name, burst, drops, moved...): the first line of every stage; the name is of net/stage_list.h. When
 * the stage returns, it asserts that each packet that came in was kept, moved to one of the named bursts
 * (three at most), or dropped; and its cycles are counted. STAGE_OPEN(name, n, drops): the same for n packets
 * that leave for where none can be counted; no assertion, and followed by a STAGE_TRACE of its own where they
 * are in a burst.
 *
 * Workers only. Without CULVERT_STAGE_CHECKS there is no assertion, without CULVERT_STAGE_CYCLES no count.
 */
#ifndef CULVERT_NET_STAGE_H
#define CULVERT_NET_STAGE_H

#include "net/drop.h"

/*
 * STAGE_TRACE(name, burst, drops, moved...): whoever follows packets sees them come and go. Where nobody
 * does, it is a test as the stage begins and one as it ends.
 */
#define STAGE_TRACE(name_, burst_, drops_, ...)                                                              \
	struct tracer *const stage_tracer __attribute__((cleanup(stage_tracer_end), unused)) =               \
		(drops_)->tracer;                                                                            \
	if (unlikely(stage_tracer != NULL))                                                                  \
	stage_tracer->enter(stage_tracer, &(const struct stage_visit){.stage = STAGE_##name_,                \
						  .bursts = {burst_ __VA_OPT__(, ) __VA_ARGS__},             \
						  .names = #__VA_ARGS__})

static inline void stage_tracer_end(struct tracer *const *tracer)
{
	if (unlikely(*tracer != NULL))
		(*tracer)->leave(*tracer);
}

#ifdef CULVERT_STAGE_CYCLES

#include <rte_cycles.h>

struct stage_meter {
	struct stage_cycles *cycles;
	uint64_t start_tsc;
};

static inline struct stage_meter stage_meter_begin(struct drops *drops, enum stage stage, uint16_t packets)
{
	drops->stages[stage].packets += packets;
	return (struct stage_meter){.cycles = &drops->stages[stage], .start_tsc = rte_rdtsc()};
}

static inline void stage_meter_end(const struct stage_meter *meter)
{
	meter->cycles->tsc += rte_rdtsc() - meter->start_tsc;
}

#define STAGE_OPEN(name_, n_, drops_)                                                                        \
	const struct stage_meter stage_meter __attribute__((cleanup(stage_meter_end), unused)) =             \
		stage_meter_begin(drops_, STAGE_##name_, n_)

#else

#define STAGE_OPEN(name_, n_, drops_) ((void)(n_), (void)(drops_))

#endif

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

#define STAGE(name_, burst_, drops_, ...)                                                                    \
	STAGE_OPEN(name_, (burst_)->n, drops_);                                                              \
	STAGE_TRACE(name_, burst_, drops_ __VA_OPT__(, ) __VA_ARGS__);                                       \
	const struct stage_check stage_check __attribute__((cleanup(stage_end), unused)) = stage_begin(      \
		(struct stage_check){.bursts = {burst_ __VA_OPT__(, ) __VA_ARGS__}, .drops = drops_})

#else

#define STAGE(name_, burst_, drops_, ...)                                                                    \
	STAGE_OPEN(name_, (burst_)->n, drops_);                                                              \
	STAGE_TRACE(name_, burst_, drops_ __VA_OPT__(, ) __VA_ARGS__)

#endif

#endif
