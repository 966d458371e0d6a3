#include "bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "base/array.h"
#include "base/clock.h"
#include "bench/bring_up.h"
#include "bench/frames.h"
#include "bench/site.h"
#include "ipsec/sa.h"

#define BURST_PKTS   32
#define WINDOW_PKTS  64
#define BUFFERS      255
#define BUFFER_BYTES 2048
#define WAYS_MAX     3
/* The ways are measured in turn so many times; a figure is the median. */
#define ROUNDS 21
/* Spreads numbers that count up over SAs (Knuth, TAOCP volume 3 section 6.4). */
#define SPREAD UINT32_C(2654435761)

/* A packet as it goes into the crypto, from the ESP header on. */
struct sample {
	uint32_t sa;
	uint8_t bytes[];
};

/* One way to the crypto, with a worker, sessions and SAs of its own. */
struct way {
	const char *name;
	struct crypto crypto;
	struct crypto_worker *worker;
	struct sa **sas;
	double cycles[ROUNDS];
};

struct crypto_bench {
	const struct bench_options *options;
	struct bring_up gateway;
	char yaml_path[256];
	struct way ways[WAYS_MAX];
	unsigned n_ways;
	uint16_t length; /* from the ESP header to the ICV's end */
	uint32_t n_samples;
	uint8_t *samples; /* of sample_bytes() each */
	uint32_t next;    /* sample */
	struct rte_mempool *pool;
	struct drops drops;
};

static bool is_wanted(const struct crypto_bench *bench, const char *way)
{
	return strcmp(bench->options->path, "all") == 0 || strcmp(bench->options->path, way) == 0;
}

static bool is_direct_alone(const struct crypto_bench *bench)
{
	return strcmp(bench->options->path, "direct") == 0;
}

static size_t sample_bytes(const struct crypto_bench *bench)
{
	return RTE_ALIGN_CEIL(sizeof(struct sample) + bench->length, RTE_CACHE_LINE_SIZE);
}

static struct sample *sample_at(const struct crypto_bench *bench, uint32_t index)
{
	return (struct sample *)(bench->samples + index % bench->n_samples * sample_bytes(bench));
}

static int yaml_write(struct crypto_bench *bench, struct err *err)
{
	const struct bench_options *options = bench->options;
	/* Cryptodevs have a session for each of them; there two ways share a device, with SAs of their own.
	 */
	uint32_t n_sas = options->n_sas * (is_direct_alone(bench) ? 1 : 2);
	struct site site = {
		.directions = SITE_OUT,
		.hugepages = options->hugepages,
		.cpus = options->cpus,
		.algorithm = options->algorithm,
		.n_sas = n_sas,
		.n_policies = n_sas,
		.replay_window_pkts = WINDOW_PKTS,
	};

	snprintf(bench->yaml_path, sizeof(bench->yaml_path), "%s/crypto-%d.yaml", options->directory,
		(int)getpid());
	return site_write(&site, bench->yaml_path, err);
}

/* The devices that the ways need, instead of those of the configuration. */
static void devices_choose(struct crypto_bench *bench)
{
	static const char *const devices[] = {"ipsec_mb", "aesni_gcm", "aesni_mb"};
	struct workers_conf *workers = &bench->gateway.gateway.workers;
	size_t n_devices = is_direct_alone(bench) ? 1 : RTE_DIM(devices);

	for (size_t i = 0; i < workers->n_crypto; i++)
		free(workers->crypto[i]);
	free(workers->crypto);
	workers->crypto = NULL;
	workers->n_crypto = 0;
	for (size_t i = 0; i < n_devices; i++)
		*array_append(&workers->crypto, &workers->n_crypto) = xstrdup(devices[i]);
	/* So that cryptodevs have a session for each SA. */
	workers->crypto_mode = CRYPTO_ASYNC;
}

static int sas_create(struct crypto_bench *bench, struct way *way, struct err *err)
{
	struct sa_params params = {
		.inbound = bench->options->inbound, .n_workers = 1, .socket = SOCKET_ID_ANY};
	int ret = 0;

	way->sas = xcalloc(bench->options->n_sas, sizeof(*way->sas));
	for (uint32_t i = 0; ret == 0 && i < bench->options->n_sas; i++) {
		params.conf = &bench->gateway.gateway.sas[i];
		ret = sa_create(&params, &way->crypto, &way->sas[i], err);
	}
	return ret;
}

static void way_end(struct crypto_bench *bench, struct way *way)
{
	for (uint32_t i = 0; way->sas && i < bench->options->n_sas; i++)
		sa_destroy(way->sas[i]);
	free(way->sas);
	crypto_worker_destroy(way->worker);
}

/* Devices `first` and on. */
static int way_begin(struct crypto_bench *bench, const char *name, unsigned first, enum crypto_way demanded,
	struct err *err)
{
	const struct crypto *all = &bench->gateway.control.crypto;
	struct way *way = &bench->ways[bench->n_ways];
	int ret;

	if (!is_wanted(bench, name))
		return 0;
	bench->n_ways++;
	way->name = name;
	way->crypto.way = demanded;
	for (unsigned i = first; i < all->n_devices; i++)
		way->crypto.devices[way->crypto.n_devices++] = all->devices[i];
	ret = crypto_worker_create(&way->crypto, 0, SOCKET_ID_ANY, &way->worker, err);
	if (ret == 0 && crypto_worker_warm_up(way->worker) != 0)
		ret = err_set(err, EIO, "a driver can't encrypt zeros");
	return ret == 0 ? sas_create(bench, way, err) : ret;
}

/* Finish a burst by that way; what is in flight is waited for. */
static void way_run(struct way *way, struct burst *burst, const struct sa_tally *tally)
{
	crypto_run(way->worker, burst, tally);
	while (crypto_in_flight(way->worker) > 0)
		crypto_poll(way->worker, burst);
}

/*
 * Put the sample into the mbuf, as it comes from esp_out_prepare or esp_in_prepare, which have read the SA.
 */
static void sample_load(const struct crypto_bench *bench, struct rte_mbuf *m, uint32_t index, struct sa *sa)
{
	struct pkt *p = pkt_of(m);

	rte_pktmbuf_reset(m);
	memcpy(rte_pktmbuf_append(m, bench->length), sample_at(bench, index)->bytes, bench->length);
	*p = (struct pkt){.icv_offset = bench->length - sa->icv_bytes, .sa = sa, .seq = index};
}

/* A packet that its peer encrypted, by the first way; it is checked by each. */
static int sample_seal(struct crypto_bench *bench, struct rte_mbuf *m, uint32_t index, struct err *err)
{
	struct sample *sample = sample_at(bench, index);
	struct sa_params params = {
		.conf = &bench->gateway.gateway.sas[sample->sa], .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct sa_tally tally = {.drops = &bench->drops};
	struct sa *sa = NULL;
	BURST(burst);
	int ret = sa_create(&params, &bench->ways[0].crypto, &sa, err);

	if (ret != 0)
		return ret;
	sample_load(bench, m, index, sa);
	burst_add_one(&burst, m);
	way_run(&bench->ways[0], &burst, &tally);
	memcpy(sample->bytes, rte_pktmbuf_mtod(m, void *), bench->length);
	sa_destroy(sa);
	return 0;
}

static void shape_init(struct crypto_bench *bench)
{
	const struct alg *alg = alg_find(bench->options->algorithm);
	uint16_t text = RTE_ALIGN_MUL_CEIL(
		(uint16_t)(bench->options->packet_bytes + ESP_TRAILER_BYTES), alg->align_bytes);

	bench->length = ESP_HEADER_BYTES + alg->iv_bytes + text + alg->icv_bytes;
}

static int samples_create(struct crypto_bench *bench, struct err *err)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(bench->pool);
	int ret = 0;

	bench->n_samples = RTE_MAX(FRAMES_MIN, bench->options->n_sas);
	bench->samples = xcalloc(bench->n_samples, sample_bytes(bench));
	for (uint32_t i = 0; ret == 0 && i < bench->n_samples; i++) {
		sample_at(bench, i)->sa = i * SPREAD % bench->options->n_sas;
		/* What CBC encrypts to the IV; GCM's is unique too. */
		memcpy(sample_at(bench, i)->bytes + ESP_HEADER_BYTES, &i, sizeof(i));
		if (bench->options->inbound)
			ret = sample_seal(bench, m, i, err);
	}
	rte_pktmbuf_free(m);
	return ret;
}

static int bench_begin(struct crypto_bench *bench, struct err *err)
{
	struct bring_up *gateway = &bench->gateway;
	int ret = yaml_write(bench, err);

	if (ret == 0)
		ret = bring_up_begin(gateway, bench->options->directory, bench->yaml_path, err);
	if (ret != 0)
		return ret;
	devices_choose(bench);
	ret = bring_up_to(gateway, BRING_UP_CRYPTO, err);
	if (ret == 0)
		ret = way_begin(bench, "direct", 0, CRYPTO_WAY_SYNC, err);
	if (ret == 0)
		ret = way_begin(bench, "call", 1, CRYPTO_WAY_SYNC, err);
	if (ret == 0)
		ret = way_begin(bench, "queue", 1, CRYPTO_WAY_ASYNC, err);
	if (ret == 0 && bench->n_ways == 0)
		ret = err_set(err, EINVAL, "--path is direct, call, queue or all");
	if (ret != 0)
		return ret;
	bench->pool = rte_pktmbuf_pool_create(
		"crypto-bench", BUFFERS, 0, sizeof(struct pkt), BUFFER_BYTES, SOCKET_ID_ANY);
	if (!bench->pool)
		return err_set(err, ENOMEM, "no memory for packets");
	shape_init(bench);
	return samples_create(bench, err);
}

static void bench_end(struct crypto_bench *bench)
{
	free(bench->samples);
	rte_mempool_free(bench->pool);
	while (bench->n_ways > 0)
		way_end(bench, &bench->ways[--bench->n_ways]);
	bring_down(&bench->gateway);
	unlink(bench->yaml_path);
}

/*
 * One burst; the time that its crypto takes is added. Before, the packets are put where a NIC and the stages
 * before have just touched them.
 */
static int burst_measure(
	struct crypto_bench *bench, struct way *way, struct rte_mbuf **mbufs, uint64_t *tsc, struct err *err)
{
	struct sa_tally tally = {.drops = &bench->drops};
	uint64_t start;
	BURST(burst);

	for (uint16_t i = 0; i < BURST_PKTS; i++) {
		uint32_t index = bench->next++;

		sample_load(bench, mbufs[i], index, way->sas[sample_at(bench, index)->sa]);
		burst_add_one(&burst, mbufs[i]);
	}
	start = rte_rdtsc_precise();
	way_run(way, &burst, &tally);
	*tsc += rte_rdtsc_precise() - start;
	for (uint16_t i = 0; i < burst.n; i++)
		if (pkt_of(burst.pkts[i])->flags != 0)
			return err_set(err, EIO, "%s did not take a good packet", way->name);
	return burst.n == BURST_PKTS ? 0 : err_set(err, EIO, "%s lost a packet", way->name);
}

/* Cycles a packet over a part of the time. */
static int round_measure(
	struct crypto_bench *bench, struct way *way, struct rte_mbuf **mbufs, double *cycles, struct err *err)
{
	uint64_t slice_ns = (uint64_t)(bench->options->seconds * 1e9 / ROUNDS / bench->n_ways);
	uint64_t end_ns = clock_now_ns() + slice_ns;
	uint64_t tsc = 0, bursts = 0;
	int ret;

	do {
		ret = burst_measure(bench, way, mbufs, &tsc, err);
		bursts++;
	} while (ret == 0 && clock_now_ns() < end_ns);
	*cycles = (double)tsc / (double)(bursts * BURST_PKTS);
	return ret;
}

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void result_print(const struct crypto_bench *bench, struct way *way)
{
	const struct bench_options *options = bench->options;

	qsort(way->cycles, ROUNDS, sizeof(*way->cycles), by_size);
	printf("{\"algorithm\": \"%s\", \"direction\": \"%s\", \"bytes\": %u, \"sas\": %u, \"path\": \"%s\", "
	       "\"cycles\": %.1f, \"least\": %.1f, \"quartiles\": [%.1f, %.1f]}\n",
		options->algorithm, options->inbound ? "in" : "out", options->packet_bytes, options->n_sas,
		way->name, way->cycles[ROUNDS / 2], way->cycles[0], way->cycles[ROUNDS / 4],
		way->cycles[ROUNDS - 1 - ROUNDS / 4]);
}

static int measure(struct crypto_bench *bench, struct err *err)
{
	struct rte_mbuf *mbufs[BURST_PKTS];
	double warm_up;
	int ret = 0;

	if (rte_pktmbuf_alloc_bulk(bench->pool, mbufs, BURST_PKTS) != 0)
		return err_set(err, ENOMEM, "no memory for packets");
	for (unsigned w = 0; ret == 0 && w < bench->n_ways; w++)
		ret = round_measure(bench, &bench->ways[w], mbufs, &warm_up, err);
	for (unsigned round = 0; ret == 0 && round < ROUNDS; round++)
		for (unsigned w = 0; ret == 0 && w < bench->n_ways; w++)
			ret = round_measure(
				bench, &bench->ways[w], mbufs, &bench->ways[w].cycles[round], err);
	rte_pktmbuf_free_bulk(mbufs, BURST_PKTS);
	for (unsigned w = 0; ret == 0 && w < bench->n_ways; w++)
		result_print(bench, &bench->ways[w]);
	return ret;
}

int bench_crypto(const struct bench_options *options, struct err *err)
{
	struct crypto_bench bench = {.options = options};
	int ret;

	if (options->packet_bytes == FRAMES_IMIX)
		return err_set(err, EINVAL, "one length at a time");
	if (!alg_find(options->algorithm))
		return err_set(err, EINVAL, "no algorithm %s", options->algorithm);
	ret = bench_begin(&bench, err);
	if (ret == 0)
		ret = measure(&bench, err);
	bench_end(&bench);
	return ret;
}
