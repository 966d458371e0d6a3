#include "bench/generator.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_memcpy.h>
#include <rte_random.h>

/* Behind its time by more than this, it was off its CPU. */
#define BEHIND_MAX_US 10

int generator_init(struct generator *generator, const char *path, uint16_t ethdev, struct rte_mempool *pool,
	const struct probe *probe, struct err *err)
{
	struct rte_ether_addr mac;
	int ret = frames_read(path, &generator->frames, err);

	generator->ethdev = ethdev;
	generator->pool = pool;
	generator->probe = probe;
	if (ret == 0 && rte_eth_macaddr_get(ethdev, &mac) != 0)
		ret = err_set(err, EIO, "the port that receives has no address");
	for (uint32_t i = 0; ret == 0 && i < generator->frames.n; i++)
		((struct rte_ether_hdr *)generator->frames.frames[i].bytes)->dst_addr = mac;
	return ret;
}

void generator_fini(struct generator *generator)
{
	rte_pktmbuf_free(generator->ready);
	generator->ready = NULL;
	frames_free(&generator->frames);
}

/* Have the next frame's copy ready, if there is a buffer. */
static bool make_ready(struct generator *generator)
{
	const struct frame *frame = &generator->frames.frames[generator->next_frame];

	if (generator->ready)
		return true;
	generator->ready = rte_pktmbuf_alloc(generator->pool);
	if (!generator->ready)
		return false;
	rte_memcpy(rte_pktmbuf_append(generator->ready, frame->n_bytes), frame->bytes, frame->n_bytes);
	return true;
}

/*
 * Whether the queue had a place. The frame that had none is offered again, instead of the next one, so that
 * the frames that do arrive are the whole round in its order, which winding back windows relies on.
 */
static bool offer(struct generator *generator)
{
	if (!make_ready(generator))
		return false;
	*probe_stamp_one(generator->probe, generator->ready) = rte_rdtsc();
	if (rte_eth_tx_burst(generator->ethdev, 0, &generator->ready, 1) == 0)
		return false;
	generator->ready = NULL;
	if (++generator->next_frame == generator->frames.n)
		generator->next_frame = 0;
	make_ready(generator);
	return true;
}

/* Exponentially distributed about their mean. */
static void gaps_make(struct generator *generator, double mean)
{
	for (unsigned i = 0; i < GENERATOR_GAPS; i++) {
		double uniform = ((double)rte_rand_max(UINT32_MAX) + 1) / ((double)UINT32_MAX + 1);

		generator->gaps[i] = (uint32_t)(-log(uniform) * mean);
	}
}

void generator_run(struct generator *generator, double rate_hz, double seconds)
{
	const uint64_t behind_max = rte_get_tsc_hz() / 1000000 * BEHIND_MAX_US;
	uint64_t next, end;

	gaps_make(generator, (double)rte_get_tsc_hz() / rate_hz);
	next = rte_rdtsc();
	end = next + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	for (uint64_t now = next; now < end; now = rte_rdtsc()) {
		if (now < next)
			continue;
		if (now - next > behind_max)
			next = now;
		next += generator->gaps[generator->next_gap++ % GENERATOR_GAPS];
		generator->offered++;
		generator->missed += !offer(generator);
	}
}

void generator_run_full(struct generator *generator, double seconds)
{
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());

	while (rte_rdtsc() < end)
		generator->offered += offer(generator);
}
