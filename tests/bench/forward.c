#include "bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/array.h"
#include "base/clock.h"
#include "bench/bring_up.h"
#include "bench/frames.h"
#include "bench/rewind.h"
#include "bench/site.h"
#include "bench/threads.h"
#include "fwd/reass.h"
#include "model/sa_conf.h"

#define WARM_UP_US 300000
/* How often it is looked how many fragments a worker holds. */
#define HELD_LOOK_US 1000

/* A packet that is too long, one way or the other, is as many frames. */
#define FRAGMENTS_PER_PACKET 2

/* Replay windows: the usual one, and where many SAs are wound back each round, the smallest. */
#define WINDOW_PKTS      1024
#define WINDOW_MANY_PKTS 32
#define MANY_SAS         256

/* Buffers beside those that the source keeps. */
#define PACKETS_SPARE 8191

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
	struct rewind_meeting meeting; /* of workers that share inbound SAs */
	struct threads threads;
	uint64_t held_max; /* fragments that a worker was seen to hold */
};

/* What is read of the workers at one moment; but for the first three, sums of all. */
struct sample {
	uint64_t tsc;
	uint64_t wall_ns;
	uint64_t cpu_ns[SITE_QUEUES_MAX];
	uint64_t received;
	uint64_t sent;
	uint64_t drops;
	uint64_t loops;
	uint64_t busy_loops;
	uint64_t rewind_tsc;
	uint64_t stages_tsc[STAGE_COUNT];
};

/* Frames that are received for each packet that is measured. */
static unsigned frames_per_packet(const struct forward *f)
{
	const struct bench_options *options = f->options;

	if (options->flood == FRAMES_FRAGMENTS)
		return 2; /* a packet of the tunnel, and a fragment beside it */
	return options->shape == SITE_FRAGMENTS && options->inbound ? FRAGMENTS_PER_PACKET : 1;
}

static bool shares_inbound_sas(const struct forward *f)
{
	return f->options->inbound && frames_share_sas(f->options->n_sas, f->n_workers);
}

#ifdef CULVERT_STAGE_CYCLES

/* Cycles of each stage for a packet that was received. What is missing to `cycles` lies between the stages.
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
		if (b->stages_tsc[i] == a->stages_tsc[i])
			continue;
		printf("%s\"%s\": %.2f", separator, names[i],
			(double)(b->stages_tsc[i] - a->stages_tsc[i]) / (double)(b->received - a->received));
		separator = ", ";
	}
	putchar('}');
}

static void stages_sample(struct sample *sample, const volatile struct worker *w)
{
	for (unsigned i = 0; i < STAGE_COUNT; i++)
		sample->stages_tsc[i] += w->drops.stages[i].tsc;
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
		const struct thread *thread = &f->threads.threads[i];
		const volatile struct worker *w = thread->worker;
		const volatile struct rewind *rewind = &f->rewinds[i];

		sample.cpu_ns[i] = threads_clock_ns(thread->clock);
		sample.drops += w->drops.total;
		sample.loops += w->counters.loops;
		sample.busy_loops += w->counters.busy_loops;
		sample.rewind_tsc += rewind->tsc;
		stages_sample(&sample, w);
		for (unsigned j = 0; j < w->tx.n_ports; j++) {
			sample.received += w->counters.rx_packets[j];
			sample.sent += w->tx.ports[j].packets;
		}
	}
	return sample;
}

/* Of the worker that had its CPU least. */
static double cpu_share(const struct forward *f, const struct sample *a, const struct sample *b)
{
	double share = 1;

	for (unsigned i = 0; i < f->n_workers; i++)
		share = RTE_MIN(
			share, (double)(b->cpu_ns[i] - a->cpu_ns[i]) / (double)(b->wall_ns - a->wall_ns));
	return share;
}

/* How many packets leave if all is well, when so many frames have come. */
static uint64_t to_send(const struct forward *f, uint64_t received)
{
	const struct bench_options *options = f->options;

	switch (options->flood) {
	case FRAMES_GOOD:
		if (options->shape == SITE_FRAGMENTS && !options->inbound)
			return received * FRAGMENTS_PER_PACKET;
		return received / frames_per_packet(f);
	case FRAMES_FRAGMENTS:
		return received / frames_per_packet(f);
	case FRAMES_REPLAYED:
		return f->n_frames; /* the first round */
	default:
		return 0;
	}
}

static void result_print(
	const struct forward *f, const struct sample *a, const struct sample *b, const struct sample *end)
{
	const struct bench_options *options = f->options;
	/* Where all is well, they are sent too; in a flood, dropped. */
	double packets = (double)(b->received - a->received) / frames_per_packet(f);
	double wall_ns = (double)(b->wall_ns - a->wall_ns);

	printf("{\"direction\": \"%s\", \"packet_bytes\": %u, \"sas\": %u, \"policies\": %u, "
	       "\"workers\": %u, \"frames\": %u, ",
		options->inbound ? "in" : "out",
		options->packet_bytes == FRAMES_IMIX ? FRAMES_IMIX_MEAN : options->packet_bytes,
		options->n_sas, options->n_policies, f->n_workers, f->n_frames * f->n_workers);
	printf("\"cycles\": %.2f, \"rewind_cycles\": %.2f, \"mpps\": %.4f, \"busy_share\": %.4f, "
	       "\"cpu_share\": %.4f",
		(double)(b->tsc - a->tsc) * f->n_workers / packets,
		(double)(b->rewind_tsc - a->rewind_tsc) / packets, packets * 1e3 / wall_ns,
		(double)(b->busy_loops - a->busy_loops) / (double)(b->loops - a->loops), cpu_share(f, a, b));
	if (options->flood == FRAMES_FRAGMENTS)
		printf(", \"tunnel_lost\": %" PRIu64 ", \"fragments_held\": %" PRIu64
		       ", \"fragments_held_most\": %d",
			to_send(f, end->received) - end->sent, f->held_max, REASS_PKTS_MAX);
	stages_print(a, b);
	puts("}");
}

static uint64_t drops_of(const struct forward *f, enum drop_reason reason)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < f->n_workers; i++)
		for (unsigned port = 0; port < PKT_PORTS_ALL; port++)
			n += f->threads.threads[i].worker->drops.count[port][reason];
	return n;
}

/*
 * Whether every packet of the whole run, of which `end` was read after the workers had stopped, became what
 * it should. Else the cycles are those of something that nobody asked for.
 */
static int outcome_check(const struct forward *f, const struct sample *end, struct err *err)
{
	static const enum drop_reason reasons[] = {
		[FRAMES_FORGED] = DROP_in_icv,
		[FRAMES_REPLAYED] = DROP_in_replay,
		[FRAMES_UNKNOWN] = DROP_in_no_sa,
		[FRAMES_FRAGMENTS] = DROP_frag_full,
	};
	enum frames_fault flood = f->options->flood;
	uint64_t n_to_send = to_send(f, end->received);
	uint64_t n_to_drop = flood == FRAMES_GOOD ? 0 : end->received - n_to_send;
	/* What still waited for its packet's other fragments when the worker ended. */
	uint64_t n_waited = drops_of(f, DROP_shutdown);

	if (end->received > 0 && end->sent == n_to_send && end->drops == n_to_drop &&
		n_waited <= (flood == FRAMES_FRAGMENTS ? REASS_PKTS_MAX : 0) &&
		(flood == FRAMES_GOOD || drops_of(f, reasons[flood]) + n_waited == n_to_drop))
		return 0;
	return err_set(err, EIO,
		"of %" PRIu64 " packets %" PRIu64 " were sent, not %" PRIu64
		", or some dropped for a reason that "
		"is not the flood's: nothing can be said of speed",
		end->received, end->sent, n_to_send);
}

/* No packet may have been received. */
static int rewinds_begin(struct forward *f)
{
	const struct control *control = &f->gateway.control;
	uint16_t ethdev = control->ports.ports[SITE_PORT_WAN].ethdev;
	int ret = 0;

	if (!f->options->inbound ||
		(f->options->flood != FRAMES_GOOD && f->options->flood != FRAMES_FRAGMENTS))
		return 0;
	for (unsigned i = 0; ret == 0 && i < f->n_workers; i++)
		ret = shares_inbound_sas(f) ? rewind_init_shared(&f->rewinds[i], &f->meeting, control, ethdev,
						      (uint16_t)i, f->n_frames)
					    : rewind_init(&f->rewinds[i], control, ethdev, (uint16_t)i,
						      f->frame_sas[i], f->n_frames);
	return ret;
}

/* Let the workers run for the time that is measured. */
static void run(struct forward *f)
{
	uint64_t end_ns = clock_now_ns() + (uint64_t)(f->options->seconds * 1e9);

	if (f->options->flood != FRAMES_FRAGMENTS) {
		usleep((useconds_t)(f->options->seconds * 1e6));
		return;
	}
	while (clock_now_ns() < end_ns) {
		const volatile struct reass_counters *counters =
			reass_counters(f->threads.threads[0].worker->reass);

		f->held_max = RTE_MAX(f->held_max, counters->held);
		usleep(HELD_LOOK_US);
	}
}

static int measure(struct forward *f, struct err *err)
{
	struct sample before = {0}, after = {0}, end = {0};
	int ret = rewinds_begin(f), failed;

	if (ret == 0)
		ret = threads_begin(&f->threads, &f->gateway.control);
	if (ret == 0) {
		usleep(WARM_UP_US);
		before = sample_take(f);
		run(f);
		after = sample_take(f);
	}
	rewind_meeting_close(&f->meeting);
	failed = threads_end(&f->threads);
	ret = ret != 0 ? ret : failed;
	if (ret != 0)
		return err_set(err, EIO, "the workers do not start, or failed: %s", strerror(-ret));
	end = sample_take(f);
	ret = outcome_check(f, &end, err);
	if (ret == 0 && after.received == before.received)
		ret = err_set(err, EIO, STARVED);
	if (ret == 0)
		result_print(f, &before, &after, &end);
	return ret;
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

/* Workers that share an SA need one that holds a round; see rewind.h. */
static uint32_t window_pkts(const struct forward *f)
{
	if (shares_inbound_sas(f) || f->options->flood == FRAMES_FRAGMENTS)
		return f->n_frames * f->n_workers;
	return f->options->n_sas < MANY_SAS ? WINDOW_PKTS : WINDOW_MANY_PKTS;
}

static int forward_init(struct forward *f, const struct bench_options *options, struct err *err)
{
	*f = (struct forward){
		.options = options,
		.n_workers = cpus_count(options->cpus),
		.n_frames = frames_count(options->n_policies, options->flood),
	};
	if (f->n_workers > SITE_QUEUES_MAX)
		return err_set(err, EINVAL, "more than %d workers", SITE_QUEUES_MAX);
	if (f->n_workers > 1 && (options->shape != SITE_PLAIN || options->flood == FRAMES_FRAGMENTS))
		return err_set(err, EINVAL, "several workers are measured with plain tunnels alone");
	if (!frames_share_sas(options->n_sas, f->n_workers) &&
		(options->n_sas % f->n_workers != 0 || options->n_policies % f->n_workers != 0))
		return err_set(err, EINVAL, "each worker needs as many SAs and policies as the others");
	if (shares_inbound_sas(f) && window_pkts(f) > SA_REPLAY_WINDOW_MAX)
		return err_set(err, EINVAL,
			"workers that share an inbound SA need fewer policies: no replay "
			"window holds a round of the frames for so many");
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
		.shape = options->shape,
		.hugepages = options->hugepages,
		.cpus = options->cpus,
		.algorithm = options->algorithm,
		.in_udp = options->in_udp,
		.n_sas = options->n_sas,
		.n_policies = options->n_policies,
		.replay_window_pkts = window_pkts(f),
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
			.n_frames = f->n_frames,
			.shape = options->shape,
			.inner_bytes = options->packet_bytes,
			.n_sas = options->n_sas,
			.n_policies = options->n_policies,
			.inbound = options->inbound,
			.fault = options->flood,
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
