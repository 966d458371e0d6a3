#include "bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mempool.h>

#include "base/array.h"
#include "base/clock.h"
#include "bench/bring_up.h"
#include "bench/generator.h"
#include "bench/rewind.h"
#include "bench/site.h"
#include "bench/threads.h"

#define WARM_UP_SECONDS 0.1
#define DRAIN_STEP_US   1000
#define DRAIN_STEPS_MAX 1000
#define REPLAY_WINDOW   1024
#define LOADS           4

/* In percent of the most that the worker forwards. Past it, the queue overflows. */
static const unsigned loads[LOADS] = {10, 50, 90, 150};

/* What is read of the two threads at one moment. */
struct moment {
	uint64_t tsc;
	uint64_t wall_ns;
	uint64_t worker_ns; /* that the thread had its CPU */
	uint64_t generator_ns;
	uint64_t sent;
	uint64_t stayed;
	uint64_t offered;
	uint64_t missed;
};

struct stretch {
	struct moment begin;
	struct moment end;
	struct histogram cycles; /* that packets took */
};

struct latency {
	const struct bench_options *options;
	struct bring_up gateway;
	uint32_t n_frames;
	char yaml_path[256];
	char frames_path[256];
	uint32_t *frame_sas;
	unsigned level; /* of the pool */
	struct probe probe;
	struct rewind rewind;
	struct generator generator;
	struct threads threads;
	struct stretch full; /* with the queue never empty */
	struct stretch stretches[LOADS];
};

static struct moment moment_of(const struct latency *l)
{
	const volatile struct probe *probe = &l->probe;

	return (struct moment){
		.tsc = rte_rdtsc(),
		.wall_ns = clock_now_ns(),
		.worker_ns = threads_clock_ns(l->threads.threads[0].clock),
		.generator_ns = threads_clock_ns(CLOCK_THREAD_CPUTIME_ID),
		.sent = probe->sent,
		.stayed = probe->stayed,
		.offered = l->generator.offered,
		.missed = l->generator.missed,
	};
}

/* Run the load, and measure once it has settled. 0: the queue is kept full. */
static void stretch_run(struct latency *l, struct stretch *stretch, double rate_hz)
{
	const double seconds[] = {WARM_UP_SECONDS, l->options->seconds};

	for (unsigned i = 0; i < RTE_DIM(seconds); i++) {
		if (i == 1) {
			stretch->begin = moment_of(l);
			atomic_store(&l->probe.into, &stretch->cycles);
		}
		if (rate_hz > 0)
			generator_run(&l->generator, rate_hz, seconds[i]);
		else
			generator_run_full(&l->generator, seconds[i]);
	}
	atomic_store(&l->probe.into, NULL);
	stretch->end = moment_of(l);
}

static double seconds_of(const struct stretch *s)
{
	return (double)(s->end.wall_ns - s->begin.wall_ns) / (double)CLOCK_NS_PER_S;
}

static double rate_hz(const struct stretch *s)
{
	return (double)(s->end.sent - s->begin.sent) / seconds_of(s);
}

static double quantile_us(const struct stretch *s, double share)
{
	return histogram_quantile(&s->cycles, share) * 1e6 / (double)rte_get_tsc_hz();
}

static double worker_share(const struct stretch *s)
{
	return (double)(s->end.worker_ns - s->begin.worker_ns) / 1e9 / seconds_of(s);
}

static double generator_share(const struct stretch *s)
{
	return (double)(s->end.generator_ns - s->begin.generator_ns) / 1e9 / seconds_of(s);
}

static void load_print(const struct stretch *s, unsigned load)
{
	printf("%s{\"load\": %u, \"offered_mpps\": %.4f, \"mpps\": %.4f, \"offered\": %" PRIu64
	       ", \"missed\": %" PRIu64 ", \"stayed\": %" PRIu64 ", ",
		load == loads[0] ? "" : ", ", load,
		(double)(s->end.offered - s->begin.offered) / seconds_of(s) / 1e6, rate_hz(s) / 1e6,
		s->end.offered - s->begin.offered, s->end.missed - s->begin.missed,
		s->end.stayed - s->begin.stayed);
	printf("\"median_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f, "
	       "\"cpu_share\": %.4f, \"generator_share\": %.4f}",
		quantile_us(s, 0.5), quantile_us(s, 0.99), quantile_us(s, 0.999), quantile_us(s, 1),
		worker_share(s), generator_share(s));
}

static void result_print(const struct latency *l)
{
	const struct bench_options *options = l->options;
	const struct stretch *full = &l->full;

	printf("{\"direction\": \"%s\", \"packet_bytes\": %u, \"sas\": %u, \"policies\": %u, "
	       "\"workers\": 1, \"frames\": %u, \"mpps\": %.4f, \"cycles\": %.2f, \"cpu_share\": %.4f, "
	       "\"generator_share\": %.4f, \"loads\": [",
		options->inbound ? "in" : "out",
		options->packet_bytes == FRAMES_IMIX ? FRAMES_IMIX_MEAN : options->packet_bytes,
		options->n_sas, options->n_policies, l->n_frames, rate_hz(full) / 1e6,
		(double)(full->end.tsc - full->begin.tsc) / (double)(full->end.sent - full->begin.sent),
		worker_share(full), generator_share(full));
	for (unsigned i = 0; i < RTE_DIM(loads); i++)
		load_print(&l->stretches[i], loads[i]);
	puts("]}");
}

/*
 * Nothing but the queue may lose a packet, however much is offered: all that it took was sent, and all
 * buffers are back.
 */
static int outcome_check(struct latency *l, struct err *err)
{
	const struct worker *w = l->threads.threads[0].worker;
	uint64_t taken = l->generator.offered - l->generator.missed;
	unsigned level;

	generator_fini(&l->generator);
	level = rte_mempool_avail_count(l->gateway.control.ports.packets);
	if (l->probe.sent != taken || w->drops.total > 0 || taken == 0)
		return err_set(err, EIO,
			"of %" PRIu64 " packets in the queue %" PRIu64 " were sent and %" PRIu64
			" dropped: nothing can be said of latency",
			taken, l->probe.sent, w->drops.total);
	for (unsigned i = 0; i < RTE_DIM(loads); i++)
		if (l->stretches[i].end.sent == l->stretches[i].begin.sent)
			return err_set(err, EIO, STARVED);
	if (level != l->level)
		return err_set(err, EIO, "%u packet buffers of %u came back", level, l->level);
	if (l->probe.before_stamp > 0)
		return err_set(
			err, EIO, "the clocks of the two CPUs differ, so no time between them is known");
	return 0;
}

/* Until the worker has emptied the queue. */
static void queue_drain(const struct latency *l)
{
	const volatile struct probe *probe = &l->probe;
	uint64_t taken = l->generator.offered - l->generator.missed;

	for (unsigned i = 0; i < DRAIN_STEPS_MAX && probe->sent < taken; i++)
		usleep(DRAIN_STEP_US);
}

static int probes_begin(struct latency *l, struct err *err)
{
	const struct control *control = &l->gateway.control;
	bool inbound = l->options->inbound;
	uint16_t in = control->ports.ports[inbound ? SITE_PORT_WAN : SITE_PORT_LAN].ethdev;
	uint16_t out = control->ports.ports[inbound ? SITE_PORT_LAN : SITE_PORT_WAN].ethdev;
	int ret = inbound ? rewind_init(&l->rewind, control, in, 0, l->frame_sas, l->n_frames) : 0;

	if (ret == 0)
		ret = probe_init(&l->probe, in, out);
	if (ret != 0)
		return err_set(err, -ret, "nothing can be measured at the ports: %s", strerror(-ret));
	l->level = rte_mempool_avail_count(control->ports.packets);
	return generator_init(&l->generator, l->frames_path, in, control->ports.packets, &l->probe, err);
}

static int measure(struct latency *l, struct err *err)
{
	int ret = probes_begin(l, err);

	if (ret != 0)
		return ret;
	ret = threads_begin(&l->threads, &l->gateway.control);
	if (ret == 0) {
		stretch_run(l, &l->full, 0);
		for (unsigned i = 0; i < RTE_DIM(loads); i++)
			stretch_run(l, &l->stretches[i], rate_hz(&l->full) * loads[i] / 100);
		queue_drain(l);
	}
	ret = ret != 0 ? ret : threads_end(&l->threads);
	if (ret != 0)
		return err_set(err, -ret, "the worker does not start, or failed: %s", strerror(-ret));
	ret = outcome_check(l, err);
	if (ret == 0)
		result_print(l);
	return ret;
}

static int configuration_write(const struct latency *l, struct err *err)
{
	const struct bench_options *options = l->options;
	const struct site site = {
		.directions = options->inbound ? SITE_IN : SITE_OUT,
		.source_is_ring = true,
		.hugepages = options->hugepages,
		.cpus = options->cpus,
		.algorithm = options->algorithm,
		.n_sas = options->n_sas,
		.n_policies = options->n_policies,
		.replay_window_pkts = REPLAY_WINDOW,
	};

	return site_write(&site, l->yaml_path, err);
}

static int frames_make(const struct latency *l, struct err *err)
{
	const struct frames frames = {
		.path = l->frames_path,
		.inner_bytes = l->options->packet_bytes,
		.n_sas = l->options->n_sas,
		.n_policies = l->options->n_policies,
		.n_frames = l->n_frames,
		.inbound = l->options->inbound,
		.n_queues = 1,
		.sas = l->frame_sas,
	};

	return frames_write(&frames, &l->gateway.gateway, &l->gateway.control.crypto, err);
}

static int latency_init(struct latency *l, const struct bench_options *options, struct err *err)
{
	*l = (struct latency){.options = options};
	l->n_frames = frames_count(options->n_policies, FRAMES_GOOD);
	l->frame_sas = xcalloc(l->n_frames, sizeof(l->frame_sas[0]));
	snprintf(l->yaml_path, sizeof(l->yaml_path), "%s/latency.yaml", options->directory);
	snprintf(l->frames_path, sizeof(l->frames_path), "%s/latency.pcap", options->directory);
	if (strchr(options->cpus, ','))
		return err_set(err, EINVAL, "latency is measured of one worker");
	return 0;
}

static void latency_fini(struct latency *l)
{
	generator_fini(&l->generator);
	bring_down(&l->gateway);
	rewind_fini(&l->rewind);
	free(l->frame_sas);
}

int bench_latency(const struct bench_options *options, struct err *err)
{
	struct latency l;
	int ret = latency_init(&l, options, err);

	if (ret == 0)
		ret = configuration_write(&l, err);
	if (ret == 0)
		ret = bring_up_begin(&l.gateway, options->directory, l.yaml_path, err);
	if (ret == 0)
		ret = bring_up_to(&l.gateway, BRING_UP_CRYPTO, err);
	if (ret == 0)
		ret = frames_make(&l, err);
	if (ret == 0)
		ret = bring_up_to(&l.gateway, BRING_UP_TRAFFIC, err);
	if (ret == 0)
		ret = measure(&l, err);
	latency_fini(&l);
	return ret;
}
