/*
 * check-host: hugepages, locked memory, transparent hugepages.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_checks.h"

/* What config/ and the README reserve: 1 GB in pages of 2 MB. */
#define PAGES_2MB_ADVISED 512
#define KB_PER_MB         1024
#define CAP_IPC_LOCK_BIT  14 /* capabilities(7), linux/capability.h */

struct pages {
	uint64_t reserved_kb, free_kb;
};

/* All sizes of pages below a directory. */
static struct pages pages_of(const struct host *host, const char *directory)
{
	struct pages pages = {0};
	size_t n;
	char **sizes = host_names(host, "hugepages-", &n, "%s", directory);

	for (size_t i = 0; i < n; i++) {
		uint64_t kb = strtoull(sizes[i] + strlen("hugepages-"), NULL, 10);
		long reserved = host_number(host, "%s/%s/nr_hugepages", directory, sizes[i]);
		long available = host_number(host, "%s/%s/free_hugepages", directory, sizes[i]);

		pages.reserved_kb += reserved > 0 ? (uint64_t)reserved * kb : 0;
		pages.free_kb += available > 0 ? (uint64_t)available * kb : 0;
	}
	host_names_free(sizes, n);
	return pages;
}

static void pages_report(struct host_report *report, const char *where, const char *directory,
	struct pages pages, bool elsewhere)
{
	struct host_finding *finding;

	if (pages.reserved_kb == 0) {
		finding = host_report_add(report, "hugepages", elsewhere ? HOST_ADVICE : HOST_LACKS,
			"%s: none reserved%s", where,
			elsewhere ? "; its workers would use another node's memory" : "");
		host_report_cure(
			finding, "echo %d > /%s/hugepages-2048kB/nr_hugepages", PAGES_2MB_ADVISED, directory);
		return;
	}
	finding = host_report_add(report, "hugepages", pages.free_kb > 0 || elsewhere ? HOST_OK : HOST_LACKS,
		"%s: %" PRIu64 " MB reserved, %" PRIu64 " MB free", where, pages.reserved_kb / KB_PER_MB,
		pages.free_kb / KB_PER_MB);
	if (finding->state == HOST_LACKS)
		host_report_cure(finding,
			"end the program that holds them, or reserve more: echo %" PRIu64
			" > /%s/hugepages-2048kB/nr_hugepages",
			pages.reserved_kb / (2 * KB_PER_MB) + PAGES_2MB_ADVISED, directory);
}

/* Does another node than this one have free pages? */
static bool others_have(const struct host *host, char *const *nodes, size_t n, size_t self)
{
	char directory[HOST_PATH_MAX];

	for (size_t i = 0; i < n; i++) {
		snprintf(directory, sizeof(directory), "sys/devices/system/node/%s/hugepages", nodes[i]);
		if (i != self && pages_of(host, directory).free_kb > 0)
			return true;
	}
	return false;
}

void check_hugepages(const struct host *host, struct host_report *report)
{
	static const char everywhere[] = "sys/kernel/mm/hugepages";
	char directory[HOST_PATH_MAX];
	size_t n;
	char **nodes = host_names(host, "node", &n, "sys/devices/system/node");

	for (size_t i = 0; i < n; i++) {
		struct cpu_list cpus;

		/* A node without CPUs has no workers. */
		if (host_cpus(host, &cpus, "sys/devices/system/node/%s/cpulist", nodes[i]) && cpus.n == 0)
			continue;
		snprintf(directory, sizeof(directory), "sys/devices/system/node/%s/hugepages", nodes[i]);
		pages_report(report, nodes[i], directory, pages_of(host, directory),
			others_have(host, nodes, n, i));
	}
	host_names_free(nodes, n);
	if (n == 0 && host_exists(host, "%s", everywhere))
		pages_report(report, "all", everywhere, pages_of(host, everywhere), false);
	else if (n == 0)
		host_report_add(report, "hugepages", HOST_UNKNOWN, "no NUMA nodes in /sys");
}

void check_hugetlbfs(const struct host *host, struct host_report *report)
{
	char line[HOST_LINE_MAX];

	if (!host_exists(host, "proc/mounts"))
		host_report_add(report, "hugetlbfs", HOST_UNKNOWN, "/proc/mounts can't be read");
	else if (host_field(host, line, "hugetlbfs ", "proc/mounts"))
		host_report_add(
			report, "hugetlbfs", HOST_OK, "mounted at %.*s", (int)strcspn(line, " "), line);
	else
		/* culvertd takes pages without files (EAL's --in-memory); testpmd and others want the mount.
		 */
		host_report_add(report, "hugetlbfs", HOST_OK, "not mounted, which culvertd does not need");
}

/* CAP_IPC_LOCK frees its holder from the limit. */
static bool may_lock_all(const struct host *host)
{
	char line[HOST_LINE_MAX];

	return host_field(host, line, "CapEff", "proc/self/status") &&
	       (strtoull(line, NULL, 16) >> CAP_IPC_LOCK_BIT & 1);
}

void check_locked_memory(const struct host *host, struct host_report *report)
{
	char line[HOST_LINE_MAX];
	struct host_finding *finding;

	if (!host_field(host, line, "Max locked memory", "proc/self/limits"))
		host_report_add(report, "memlock", HOST_UNKNOWN, "/proc/self/limits can't be read");
	else if (strncmp(line, "unlimited", strlen("unlimited")) == 0)
		host_report_add(report, "memlock", HOST_OK, "unlimited for this user");
	else if (may_lock_all(host))
		host_report_add(report, "memlock", HOST_OK, "no limit for this user, who has CAP_IPC_LOCK");
	else {
		finding = host_report_add(report, "memlock", HOST_LACKS,
			"%llu kB for this user: vfio-pci needs as much as the gateway's memory, and keys are "
			"not kept out of the swap (the systemd unit has no limit)",
			strtoull(line, NULL, 10) / 1024);
		host_report_cure(
			finding, "echo '* - memlock unlimited' > /etc/security/limits.d/culvert.conf");
	}
}

void check_transparent_hugepages(const struct host *host, struct host_report *report)
{
	char line[HOST_LINE_MAX];
	struct host_finding *finding;

	if (!host_line(host, line, "sys/kernel/mm/transparent_hugepage/enabled"))
		host_report_add(
			report, "thp", HOST_UNKNOWN, "the kernel has no transparent hugepages to tell of");
	else if (!strstr(line, "[always]"))
		host_report_add(report, "thp", HOST_OK, "transparent hugepages: %s", line);
	else {
		finding = host_report_add(report, "thp", HOST_ADVICE,
			"transparent hugepages are always made, and making them halts workers now and then");
		host_report_cure(finding, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
	}
}
