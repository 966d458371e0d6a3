#include "bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_malloc.h>

#include "base/clock.h"
#include "bench/bring_up.h"
#include "bench/frames.h"
#include "bench/site.h"

#define WARM_UP_US 300000

/* Replay windows: the usual one, and where many SAs are wound back each round, the smallest. */
#define WINDOW_PKTS      1024
#define WINDOW_MANY_PKTS 32

/*
 * A source that repeats its frames would be refused by the replay window at the second round. So when a round
 * begins, each window is put back to what it was at first: packets then take the whole way, and every number
 * is new. That costs a copy of a few hundred bytes in 1024 packets, and counts as the gateway's.
 */
struct rewind {
	uint64_t packets;
	size_t n_windows;
	size_t bytes; /* of one window */
	void **windows;
	void *fresh;
};

struct thread {
	struct worker *worker;
	clockid_t clock;
};

/* What is read of a running worker at one moment. */
struct sample {
	uint64_t tsc;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t packets; /* sent */
	uint64_t drops;
	uint64_t loops;
	uint64_t busy_loops;
};

static uint16_t rewind_round(uint16_t port __rte_unused, uint16_t queue __rte_unused,
	struct rte_mbuf **pkts __rte_unused, uint16_t n, uint16_t max __rte_unused, void *arg)
{
	struct rewind *rewind = arg;

	if (rewind->packets % FRAMES_COUNT == 0)
		for (size_t i = 0; i < rewind->n_windows; i++)
			memcpy(rewind->windows[i], rewind->fresh, rewind->bytes);
	rewind->packets += n;
	return n;
}

static int rewind_begin(struct rewind *rewind, const struct control *control)
{
	rewind->windows = calloc(control->n_sas, sizeof(rewind->windows[0]));
	for (size_t i = 0; i < control->n_sas && rewind->n_windows < FRAMES_COUNT; i++)
		if (control->sas[i]->inbound)
			rewind->windows[rewind->n_windows++] = control->sas[i]->replay;
	if (rte_malloc_validate(rewind->windows[0], &rewind->bytes) != 0)
		return -EINVAL;
	rewind->fresh = malloc(rewind->bytes);
	memcpy(rewind->fresh, rewind->windows[0], rewind->bytes);
	return rte_eth_add_rx_callback(control->ports.ports[1].ethdev, 0, rewind_round, rewind) ? 0
												: -ENOTSUP;
}

static void rewind_end(struct rewind *rewind)
{
	free(rewind->fresh);
	free(rewind->windows);
}

static int thread_main(void *arg)
{
	struct thread *thread = arg;

	pthread_getcpuclockid(pthread_self(), &thread->clock);
	return worker_run(thread->worker);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static struct sample sample_take(const struct thread *thread)
{
	const volatile struct worker *w = thread->worker;
	struct sample sample = {
		.tsc = rte_rdtsc(),
		.wall_ns = clock_now_ns(),
		.cpu_ns = clock_ns(thread->clock),
		.drops = w->drops.total,
		.loops = w->counters.loops,
		.busy_loops = w->counters.busy_loops,
	};

	for (unsigned i = 0; i < w->tx.n_ports; i++)
		sample.packets += w->tx.ports[i].packets;
	return sample;
}

static int result_print(const struct bench_options *options, const struct control *control,
	const struct sample *a, const struct sample *b, struct err *err)
{
	uint64_t packets = b->packets - a->packets;
	double wall_ns = (double)(b->wall_ns - a->wall_ns);

	if (packets == 0 || b->drops != a->drops)
		return err_set(err, EIO,
			"of %" PRIu64 " packets %" PRIu64 " were dropped: nothing can be said of speed",
			packets + b->drops - a->drops, b->drops - a->drops);
	printf("{\"direction\": \"%s\", \"packet_bytes\": %u, \"sas\": %zu, \"policies\": %zu, \"cycles\": "
	       "%.2f, "
	       "\"mpps\": %.4f, \"busy_share\": %.4f, \"cpu_share\": %.4f}\n",
		options->inbound ? "in" : "out", options->packet_bytes, control->n_sas,
		control->gateway->n_policies, (double)(b->tsc - a->tsc) / (double)packets,
		(double)packets * 1e3 / wall_ns,
		(double)(b->busy_loops - a->busy_loops) / (double)(b->loops - a->loops),
		(double)(b->cpu_ns - a->cpu_ns) / wall_ns);
	return 0;
}

static int measure(const struct bench_options *options, const struct control *control, struct err *err)
{
	struct thread thread = {.worker = control->workers[0]};
	struct rewind rewind = {0};
	struct sample before, after;
	int ret = options->inbound ? rewind_begin(&rewind, control) : 0;

	if (ret == 0)
		ret = rte_eal_remote_launch(thread_main, &thread, thread.worker->lcore);
	if (ret != 0)
		return err_set(err, -ret, "the worker does not start: %s", strerror(-ret));
	usleep(WARM_UP_US);
	before = sample_take(&thread);
	usleep((useconds_t)(options->seconds * 1e6));
	after = sample_take(&thread);
	atomic_store(&thread.worker->stop, true);
	ret = rte_eal_wait_lcore(thread.worker->lcore);
	rewind_end(&rewind);
	if (ret != 0)
		return err_set(err, -ret, "the worker failed: %s", strerror(-ret));
	return result_print(options, control, &before, &after, err);
}

int bench_forward(const struct bench_options *options, struct err *err)
{
	char frames_path[256], yaml_path[256];
	const struct site site = {
		.frames = frames_path,
		.inbound = options->inbound,
		.hugepages = options->hugepages,
		.crypto = options->crypto,
		.cpu = options->cpu,
		.n_tunnels = options->n_tunnels,
		.replay_window_pkts = options->n_tunnels == 1 ? WINDOW_PKTS : WINDOW_MANY_PKTS,
	};
	const struct frames frames = {
		.path = frames_path,
		.inner_bytes = options->packet_bytes,
		.n_tunnels = options->n_tunnels,
		.inbound = options->inbound,
	};
	struct bring_up gateway = {0};
	int ret;

	snprintf(yaml_path, sizeof(yaml_path), "%s/forward.yaml", options->directory);
	snprintf(frames_path, sizeof(frames_path), "%s/%s-%u.pcap", options->directory,
		options->inbound ? "in" : "out", options->packet_bytes);
	ret = site_write(&site, yaml_path, err);
	if (ret == 0)
		ret = bring_up_begin(&gateway, options->directory, yaml_path, err);
	if (ret == 0)
		ret = bring_up_to(&gateway, BRING_UP_CRYPTO, err);
	/* The source reads the file when it is opened. */
	if (ret == 0)
		ret = frames_write(&frames, &gateway.gateway, &gateway.control.crypto, err);
	if (ret == 0)
		ret = bring_up_to(&gateway, BRING_UP_TRAFFIC, err);
	if (ret == 0)
		ret = measure(options, &gateway.control, err);
	bring_down(&gateway);
	return ret;
}
