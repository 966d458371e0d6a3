#include "bench/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "base/clock.h"
#include "bench/bring_up.h"
#include "bench/site.h"

#define WINDOW_PKTS  1024
#define KB           1024
#define RESET_VM_HWM "5" /* proc(5), clear_refs */

/* What the process takes of the machine at most, in one phase of the load. */
struct peak {
	size_t resident_bytes;  /* hugepages are not among it */
	size_t hugepages_bytes; /* at the phase's end: a load gives none back */
};

/* Moments and levels of one load. */
struct load {
	uint64_t start_ns;
	uint64_t read_ns;  /* the file is parsed and checked */
	uint64_t ready_ns; /* EAL, crypto devices, ports and workers are there */
	uint64_t published_ns;
	size_t model_bytes;    /* the configuration as plain data */
	size_t sessions_bytes; /* the pool of crypto sessions */
	size_t sas_bytes;      /* SAs and their place in the SAD */
	size_t policies_bytes;
	struct peak reading;  /* before there are hugepages */
	struct peak applying; /* from EAL's start to the published snapshot */
	size_t pool_bytes;    /* of packets, whose size has nothing to do with SAs */
};

/* What is allocated of DPDK's memory, pools included. */
static size_t dpdk_bytes(void)
{
	struct rte_malloc_socket_stats stats;
	size_t bytes = 0;

	for (unsigned i = 0; i < rte_socket_count(); i++)
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
			bytes += stats.heap_allocsz_bytes;
	return bytes;
}

/* What is allocated of the C library's memory. */
static size_t libc_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* A size in /proc/self/status; 0 where the kernel doesn't tell. */
static size_t status_bytes(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t length = strlen(name), kb = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, length) == 0)
			sscanf(line + length, ": %zu", &kb);
	if (file)
		fclose(file);
	return kb * KB;
}

/* The peak since the last one that was taken; the next begins at what is resident now. */
static struct peak peak_take(void)
{
	struct peak peak = {status_bytes("VmHWM"), status_bytes("HugetlbPages")};
	FILE *file = fopen("/proc/self/clear_refs", "w");

	if (file) {
		fputs(RESET_VM_HWM, file);
		fclose(file);
	}
	return peak;
}

static void chunk_add(struct rte_mempool *pool, void *bytes, struct rte_mempool_memhdr *chunk, unsigned index)
{
	(void)pool, (void)index;
	*(size_t *)bytes += chunk->len;
}

static size_t pool_bytes(struct rte_mempool *pool)
{
	size_t bytes = 0;

	rte_mempool_mem_iter(pool, chunk_add, &bytes);
	return bytes;
}

static int load_timed(
	struct bring_up *gateway, const char *directory, const char *yaml, struct load *load, struct err *err)
{
	size_t before_bytes = libc_bytes();
	int ret;

	peak_take();
	load->start_ns = clock_now_ns();
	ret = bring_up_begin(gateway, directory, yaml, err);
	load->read_ns = clock_now_ns();
	load->model_bytes = libc_bytes() - before_bytes;
	load->reading = peak_take();
	if (ret == 0)
		ret = bring_up_to(gateway, BRING_UP_WORKERS, err);
	load->ready_ns = clock_now_ns();
	if (ret == 0)
		ret = bring_up_to(gateway, BRING_UP_POLICY, err);
	load->published_ns = clock_now_ns();
	load->applying = peak_take();
	if (ret == 0)
		load->pool_bytes = pool_bytes(gateway->control.ports.packets);
	return ret;
}

/* Both memories, with all parts up to `part` of the gateway that is down to its environment. */
static int bytes_with(struct bring_up *gateway, enum bring_up_part part, size_t *bytes, struct err *err)
{
	int ret = bring_up_to(gateway, part, err);

	*bytes = dpdk_bytes() + libc_bytes();
	bring_down_to(gateway, BRING_UP_ENVIRONMENT);
	return ret;
}

/*
 * What the parts take, once all that is made only once has been made. The SAs' part is that of the same
 * gateway without policies.
 */
static int memory_weigh(struct bring_up *gateway, struct load *load, struct err *err)
{
	struct gateway *conf = &gateway->gateway;
	size_t n_sas = conf->n_sas, n_policies = conf->n_policies;
	size_t environment = 0, crypto = 0, crypto_empty = 0, all = 0, no_policies = 0, empty = 0;
	int ret;

	bring_down_to(gateway, BRING_UP_ENVIRONMENT);
	ret = bytes_with(gateway, BRING_UP_ENVIRONMENT, &environment, err);
	if (ret == 0)
		ret = bytes_with(gateway, BRING_UP_CRYPTO, &crypto, err);
	if (ret == 0)
		ret = bytes_with(gateway, BRING_UP_POLICY, &all, err);
	conf->n_policies = 0;
	if (ret == 0)
		ret = bytes_with(gateway, BRING_UP_POLICY, &no_policies, err);
	conf->n_sas = 0;
	if (ret == 0)
		ret = bytes_with(gateway, BRING_UP_POLICY, &empty, err);
	if (ret == 0)
		ret = bytes_with(gateway, BRING_UP_CRYPTO, &crypto_empty, err);
	conf->n_sas = n_sas;
	conf->n_policies = n_policies;
	/* The drivers' pools; keys of IPsec-MB, which has none, are counted with the SAs. */
	load->sessions_bytes = crypto > crypto_empty ? crypto - crypto_empty : 0;
	load->policies_bytes = all - no_policies;
	load->sas_bytes = no_policies - empty - load->sessions_bytes;
	return ret;
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
	return (double)(to_ns - from_ns) / (double)CLOCK_NS_PER_S;
}

/* All that the process ever takes, but for the pool of packets, which is there in the second phase. */
static size_t peak_bytes(const struct load *load)
{
	size_t reading = load->reading.resident_bytes + load->reading.hugepages_bytes;
	size_t applying = load->applying.resident_bytes + load->applying.hugepages_bytes - load->pool_bytes;

	return reading > applying ? reading : applying;
}

static void result_print(const struct load *load, const struct gateway *gateway)
{
	size_t n_sas = gateway->n_sas, n_policies = gateway->n_policies;

	printf("{\"scenario\": \"load\", \"sas\": %zu, \"policies\": %zu, \"seconds\": %.3f, "
	       "\"read_seconds\": %.3f, "
	       "\"start_seconds\": %.3f, \"apply_seconds\": %.3f, \"sa_bytes\": %zu, \"session_bytes\": %zu, "
	       "\"policy_bytes\": %zu, \"model_bytes\": %zu, \"peak_bytes\": %zu, "
	       "\"reading_resident_bytes\": %zu, \"applying_resident_bytes\": %zu, "
	       "\"hugepages_bytes\": %zu, \"pool_bytes\": %zu}\n",
		n_sas, n_policies, seconds(load->start_ns, load->published_ns),
		seconds(load->start_ns, load->read_ns), seconds(load->read_ns, load->ready_ns),
		seconds(load->ready_ns, load->published_ns), load->sas_bytes / n_sas,
		load->sessions_bytes / n_sas, load->policies_bytes / n_policies, load->model_bytes / n_sas,
		peak_bytes(load), load->reading.resident_bytes, load->applying.resident_bytes,
		load->applying.hugepages_bytes, load->pool_bytes);
}

int bench_load(const struct bench_options *options, struct err *err)
{
	char yaml[256];
	const struct site site = {
		.hugepages = options->hugepages,
		.cpus = options->cpus,
		.directions = SITE_BOTH,
		.algorithm = options->algorithm,
		.n_sas = options->n_sas,
		.n_policies = options->n_policies,
		.replay_window_pkts = WINDOW_PKTS,
	};
	struct bring_up gateway = {0};
	struct load load = {0};
	int ret;

	snprintf(yaml, sizeof(yaml), "%s/load.yaml", options->directory);
	ret = site_write(&site, yaml, err);
	if (ret == 0)
		ret = load_timed(&gateway, options->directory, yaml, &load, err);
	if (ret == 0)
		ret = memory_weigh(&gateway, &load, err);
	if (ret == 0)
		result_print(&load, &gateway.gateway);
	bring_down(&gateway);
	return ret;
}
