#include "control/eal.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "base/array.h"
#include "base/log.h"

#define EAL_ARGS_MAX   (32 + 2 * (GATEWAY_PORTS_MAX + 8))
#define HUGEPAGES_PATH "/sys/kernel/mm/hugepages"
/* Memory without hugepages, in MB: route tables and classifiers, then what packets and SAs need. */
#define MEMORY_BASE_MB       384
#define MEMORY_PACKET_BYTES  2816
#define MEMORY_SA_BYTES      8192
#define MEMORY_PACKETS_GUESS 32768

/* EAL moves the pointers of the argv it is given, so it gets one of its own, and `owned` is what is freed. */
struct eal_args {
	int argc;
	char *owned[EAL_ARGS_MAX];
	char *argv[EAL_ARGS_MAX];
};

static void args_add(struct eal_args *args, const char *text)
{
	if (args->argc == EAL_ARGS_MAX - 1)
		return;
	args->owned[args->argc] = xstrdup(text);
	args->argv[args->argc] = args->owned[args->argc];
	args->argc++;
}

static void args_fini(struct eal_args *args)
{
	for (int i = 0; i < args->argc; i++)
		free(args->owned[i]);
}

bool device_is_pci(const char *device)
{
	unsigned domain, bus, slot, function;
	int used = 0;

	if (sscanf(device, "%x:%x:%x.%x%n", &domain, &bus, &slot, &function, &used) == 4 &&
		device[used] == '\0')
		return true;
	used = 0;
	return sscanf(device, "%x:%x.%x%n", &bus, &slot, &function, &used) == 3 && device[used] == '\0';
}

/* A free hugepage of any size. */
static bool hugepages_free(void)
{
	DIR *directory = opendir(HUGEPAGES_PATH);
	struct dirent *entry;
	unsigned long pages = 0;

	while (directory && (entry = readdir(directory))) {
		char path[512];
		FILE *file;
		unsigned long free_pages = 0;

		snprintf(path, sizeof(path), HUGEPAGES_PATH "/%s/free_hugepages", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%lu", &free_pages) == 1)
			pages += free_pages;
		fclose(file);
	}
	if (directory)
		closedir(directory);
	return pages > 0;
}

static bool cpu_is_worker(const struct workers_conf *workers, unsigned cpu)
{
	for (size_t i = 0; i < workers->n_lcores; i++)
		if (workers->lcores[i] == cpu)
			return true;
	return false;
}

static int check_cpus(const struct workers_conf *workers, const cpu_set_t *allowed, struct err *err)
{
	for (size_t i = 0; i < workers->n_lcores; i++)
		if (workers->lcores[i] >= CPU_SETSIZE || !CPU_ISSET(workers->lcores[i], allowed))
			return err_set(err, EINVAL,
				"workers.lcores: cpu %u is not there, or not for this process; `nproc` and "
				"`taskset -p $$` tell which are",
				workers->lcores[i]);
	return 0;
}

/* "0@(0,3),1@1,2@2": the control thread on the CPUs that no worker has, and each worker on its own. */
static void add_lcores(struct eal_args *args, const struct workers_conf *workers, const cpu_set_t *allowed)
{
	char *text;
	size_t length;
	FILE *stream = open_memstream(&text, &length);
	bool shared = CPU_COUNT(allowed) <= (int)workers->n_lcores;
	const char *separator = "";

	if (!stream)
		abort();
	fputs("0@(", stream);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, allowed) || (!shared && cpu_is_worker(workers, cpu)))
			continue;
		fprintf(stream, "%s%u", separator, cpu);
		separator = ",";
	}
	fputs(")", stream);
	for (size_t i = 0; i < workers->n_lcores; i++)
		fprintf(stream, ",%zu@%u", i + 1, workers->lcores[i]);
	fclose(stream);
	args_add(args, "--lcores");
	args_add(args, text);
	free(text);
}

static void add_memory(struct eal_args *args, const struct gateway *gateway)
{
	uint64_t packets = gateway->memory.packets ? gateway->memory.packets : MEMORY_PACKETS_GUESS;
	uint64_t bytes = packets * MEMORY_PACKET_BYTES + gateway_sas_room(gateway) * MEMORY_SA_BYTES;
	uint64_t size_mb = gateway->memory.size_mb;
	char text[32];

	if (gateway->memory.hugepages)
		args_add(args, "--in-memory");
	else {
		args_add(args, "--no-huge");
		args_add(args, "--no-shconf");
		if (size_mb == 0)
			size_mb = MEMORY_BASE_MB + bytes / (1024 * 1024);
	}
	if (size_mb > 0) {
		snprintf(text, sizeof(text), "%lu", (unsigned long)size_mb);
		args_add(args, "-m");
		args_add(args, text);
	}
}

static void add_pci(struct eal_args *args, const struct gateway *gateway)
{
	int before = args->argc;

	for (size_t i = 0; i < gateway->n_ports; i++)
		if (device_is_pci(gateway->ports[i].device)) {
			args_add(args, "-a");
			args_add(args, gateway->ports[i].device);
		}
	for (size_t i = 0; i < gateway->workers.n_crypto; i++)
		if (device_is_pci(gateway->workers.crypto[i])) {
			args_add(args, "-a");
			args_add(args, gateway->workers.crypto[i]);
		}
	if (args->argc > before)
		return;
	args_add(args, "--no-pci");
	/* Physical addresses, which no device asks for, are found by privileges that are given up (below). */
	args_add(args, "--iova-mode=va");
}

/*
 * More memory is taken where SAs and policies come while the gateway runs. Where devices want physical
 * addresses, that needs CAP_SYS_ADMIN, which control/privileges.c gives up.
 */
static void growth_check(const struct memory_conf *memory)
{
	if (memory->hugepages && memory->size_mb == 0 && rte_eal_iova_mode() == RTE_IOVA_PA)
		log_warning("memory can't grow once privileges are dropped, as there is no IOMMU: set "
			    "memory.size_mb to what later changes need too");
}

int eal_begin(const struct gateway *gateway, const char *directory, struct err *err)
{
	struct eal_args args = {0};
	cpu_set_t allowed;
	int ret;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	ret = check_cpus(&gateway->workers, &allowed, err);
	if (ret != 0)
		return ret;
	if (gateway->memory.hugepages && !hugepages_free())
		return err_set(err, ENOMEM,
			"no free hugepages: reserve some with `echo 512 > " HUGEPAGES_PATH
			"/hugepages-2048kB/nr_hugepages`, or set memory.hugepages to false (slower)");
	/* EAL puts its sockets below this directory. */
	setenv("RUNTIME_DIRECTORY", directory, 1);
	args_add(&args, "culvertd");
	add_lcores(&args, &gateway->workers, &allowed);
	add_memory(&args, gateway);
	add_pci(&args, gateway);
	args_add(&args, "--file-prefix=culvert");
	args_add(&args, "--log-level=warning");
	if (rte_eal_init(args.argc, args.argv) < 0)
		ret = err_set(err, EIO, "DPDK's environment did not start: %s; its own messages are above",
			rte_strerror(rte_errno));
	args_fini(&args);
	if (ret == 0)
		growth_check(&gateway->memory);
	return ret;
}

void eal_end(void)
{
	rte_eal_cleanup();
}
