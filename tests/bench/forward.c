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
#include <rte_launch.h>

#include "base/array.h"
#include "base/clock.h"
#include "bench/bring_up.h"
#include "bench/frames.h"
#include "bench/rewind.h"
#include "bench/site.h"

#define WARM_UP_US 300000

/* Replay windows: the usual one, and where many SAs are wound back each round, the smallest. */
#define WINDOW_PKTS      1024
#define WINDOW_MANY_PKTS 32
#define MANY_SAS         256

/* Buffers beside those that the source keeps. */
#define PACKETS_SPARE 8191

struct thread {
	struct worker *worker;
	clockid_t clock;
};

/* A measurement: the gateway, and for each of its workers a queue of the source. */
struct forward {
	const struct bench_options *options;
	struct bring_up gateway;
	unsigned n_workers;
	uint32_t n_frames; /* of a queue */
	char yaml_path[256];
	char frames_paths[SITE_QUEUES_MAX][256];
	uint32_t *frame_sas[SITE_QUEUES_MAX]; /* the SA of each frame */
	struct rewind rewinds[SITE_QUEUES_MAX];
	struct thread threads[SITE_QUEUES_MAX];
};

/* What is read of the running workers at one moment; but for the first two, sums of all. */
struct sample {
	uint64_t tsc;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t packets; /* sent */
	uint64_t drops;
	uint64_t loops;
	uint64_t busy_loops;
	uint64_t rewind_tsc;
	uint64_t stages[STAGE_COUNT];
};

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

#ifdef CULVERT_STAGE_CYCLES

/* Cycles of each stage for a packet that was sent. The stages that the clock is not in are what is missing.
 */
static void stages_print(const struct sample *a, const struct sample *b)
{
	static const char *const names[] = {
#define X(name, text) #name,
		STAGES(X)
#undef X
	};
	const char *separator = "";

	printf(", \"stage_cycles\": {");
	for (unsigned i = 0; i < STAGE_COUNT; i++) {
		if (b->stages[i] == a->stages[i])
			continue;
		printf("%s\"%s\": %.2f", separator, names[i],
			(double)(b->stages[i] - a->stages[i]) / (double)(b->packets - a->packets));
		separator = ", ";
	}
	putchar('}');
}

static void stages_sample(struct sample *sample, const volatile struct worker *w)
{
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		sample->stages[i] += w->drops.stages[i].tsc;
}

#else

static void stages_print(const struct sample *a __rte_unused, const struct sample *b __rte_unused)
{
}

static void stages_sample(struct sample *sample __rte_unused, const volatile struct worker *w __rte_unused)
{
}

#endif

static struct sample sample_take(const struct forward *f)
{
	struct sample sample = {.tsc = rte_rdtsc(), .wall_ns = clock_now_ns()};

	for (unsigned i = 0; i < f->n_workers; i++) {
		const volatile struct worker *w = f->threads[i].worker;
		const volatile struct rewind *rewind = &f->rewinds[i];

		sample.cpu_ns += clock_ns(f->threads[i].clock);
		sample.drops += w->drops.total;
		sample.loops += w->counters.loops;
		sample.busy_loops += w->counters.busy_loops;
		sample.rewind_tsc += rewind->tsc;
		stages_sample(&sample, w);
		for (unsigned j = 0; j < w->tx.n_ports; j++)
			sample.packets += w->tx.ports[j].packets;
	}
	return sample;
}

static int result_print(
	const struct forward *f, const struct sample *a, const struct sample *b, struct err *err)
{
	const struct bench_options *options = f->options;
	double packets = (double)(b->packets - a->packets);
	double wall_ns = (double)(b->wall_ns - a->wall_ns);

	if (b->packets == a->packets || b->drops > 0)
		return err_set(err, EIO,
			"%.0f packets were sent and %" PRIu64 " dropped: nothing can be said of speed",
			packets, b->drops);
	printf("{\"direction\": \"%s\", \"packet_bytes\": %u, \"sas\": %u, \"policies\": %u, "
	       "\"workers\": %u, \"frames\": %u, ",
		options->inbound ? "in" : "out",
		options->packet_bytes == FRAMES_IMIX ? FRAMES_IMIX_MEAN : options->packet_bytes,
		options->n_sas, options->n_policies, f->n_workers, f->n_frames * f->n_workers);
	printf("\"cycles\": %.2f, \"rewind_cycles\": %.2f, \"mpps\": %.4f, \"busy_share\": %.4f, "
	       "\"cpu_share\": %.4f",
		(double)(b->tsc - a->tsc) * f->n_workers / packets,
		(double)(b->rewind_tsc - a->rewind_tsc) / packets, packets * 1e3 / wall_ns,
		(double)(b->busy_loops - a->busy_loops) / (double)(b->loops - a->loops),
		(double)(b->cpu_ns - a->cpu_ns) / wall_ns / f->n_workers);
	stages_print(a, b);
	puts("}");
	return 0;
}

/* No packet may have been received. */
static int rewinds_begin(struct forward *f)
{
	const struct control *control = &f->gateway.control;
	int ret = 0;

	for (unsigned i = 0; ret == 0 && f->options->inbound && i < f->n_workers; i++)
		ret = rewind_init(&f->rewinds[i], control, control->ports.ports[1].ethdev, (uint16_t)i,
			f->frame_sas[i], f->n_frames);
	return ret;
}

static int threads_begin(struct forward *f)
{
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < f->n_workers; i++) {
		struct thread *thread = &f->threads[i];

		thread->worker = f->gateway.control.workers[i];
		ret = rte_eal_remote_launch(thread_main, thread, thread->worker->lcore);
	}
	return ret;
}

static int threads_end(struct forward *f)
{
	int ret = 0;

	for (unsigned i = 0; i < f->n_workers; i++)
		if (f->threads[i].worker)
			atomic_store(&f->threads[i].worker->stop, true);
	for (unsigned i = 0; i < f->n_workers; i++) {
		int failed = f->threads[i].worker ? rte_eal_wait_lcore(f->threads[i].worker->lcore) : 0;

		ret = ret != 0 ? ret : failed;
	}
	return ret;
}

static int measure(struct forward *f, struct err *err)
{
	struct sample before = {0}, after = {0};
	int ret = rewinds_begin(f), failed;

	if (ret == 0)
		ret = threads_begin(f);
	if (ret == 0) {
		usleep(WARM_UP_US);
		before = sample_take(f);
		usleep((useconds_t)(f->options->seconds * 1e6));
		after = sample_take(f);
	}
	failed = threads_end(f);
	if (ret != 0 || failed != 0)
		return err_set(err, EIO, "the workers do not start, or failed: %s",
			strerror(-(ret != 0 ? ret : failed)));
	return result_print(f, &before, &after, err);
}

static unsigned cpus_count(const char *cpus)
{
	unsigned n = 1;

	while ((cpus = strchr(cpus, ',')) != NULL) {
		cpus++;
		n++;
	}
	return n;
}

static int forward_init(struct forward *f, const struct bench_options *options, struct err *err)
{
	*f = (struct forward){
		.options = options,
		.n_workers = cpus_count(options->cpus),
		.n_frames = frames_count(options->n_policies),
	};
	if (f->n_workers > SITE_QUEUES_MAX)
		return err_set(err, EINVAL, "more than %d workers", SITE_QUEUES_MAX);
	if (options->inbound &&
		(options->n_sas % f->n_workers != 0 || options->n_policies % f->n_workers != 0))
		return err_set(err, EINVAL, "inbound, each worker needs as many SAs as the others");
	snprintf(f->yaml_path, sizeof(f->yaml_path), "%s/forward.yaml", options->directory);
	for (unsigned i = 0; i < f->n_workers; i++) {
		snprintf(f->frames_paths[i], sizeof(f->frames_paths[i]), "%s/frames%u.pcap",
			options->directory, i);
		f->frame_sas[i] = xcalloc(f->n_frames, sizeof(f->frame_sas[i][0]));
	}
	return 0;
}

static void forward_fini(struct forward *f)
{
	bring_down(&f->gateway);
	for (unsigned i = 0; i < SITE_QUEUES_MAX; i++) {
		rewind_fini(&f->rewinds[i]);
		free(f->frame_sas[i]);
	}
}

static int configuration_write(const struct forward *f, struct err *err)
{
	const struct bench_options *options = f->options;
	struct site site = {
		.directions = options->inbound ? SITE_IN : SITE_OUT,
		.hugepages = options->hugepages,
		.cpus = options->cpus,
		.algorithm = options->algorithm,
		.n_sas = options->n_sas,
		.n_policies = options->n_policies,
		.replay_window_pkts = options->n_sas < MANY_SAS ? WINDOW_PKTS : WINDOW_MANY_PKTS,
		.packets = f->n_frames > FRAMES_MIN ? f->n_frames * f->n_workers + PACKETS_SPARE : 0,
	};

	for (unsigned i = 0; i < f->n_workers; i++)
		site.frames[i] = f->frames_paths[i];
	return site_write(&site, f->yaml_path, err);
}

static int frames_make(const struct forward *f, struct err *err)
{
	const struct bench_options *options = f->options;
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < f->n_workers; i++) {
		const struct frames frames = {
			.path = f->frames_paths[i],
			.inner_bytes = options->packet_bytes,
			.n_sas = options->n_sas,
			.n_policies = options->n_policies,
			.inbound = options->inbound,
			.queue = i,
			.n_queues = f->n_workers,
			.sas = f->frame_sas[i],
		};

		ret = frames_write(&frames, &f->gateway.gateway, &f->gateway.control.crypto, err);
	}
	return ret;
}

int bench_forward(const struct bench_options *options, struct err *err)
{
	struct forward f;
	int ret = forward_init(&f, options, err);

	if (ret == 0)
		ret = configuration_write(&f, err);
	if (ret == 0)
		ret = bring_up_begin(&f.gateway, options->directory, f.yaml_path, err);
	if (ret == 0)
		ret = bring_up_to(&f.gateway, BRING_UP_CRYPTO, err);
	/* The source reads the files when it is opened. */
	if (ret == 0)
		ret = frames_make(&f, err);
	if (ret == 0)
		ret = bring_up_to(&f.gateway, BRING_UP_TRAFFIC, err);
	if (ret == 0)
		ret = measure(&f, err);
	forward_fini(&f);
	return ret;
}
