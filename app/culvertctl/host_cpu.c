/*
 * check-host: what the CPUs can do, and who else runs on them.
 */
#include <stdio.h>
#include <string.h>

#include "host_checks.h"

/* Is the word among those that blanks part? */
static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = strstr(words, word); at; at = strstr(at + 1, word))
		if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

/* Those of the wanted words that are not there, each after a blank. */
static void missing_words(const char *words, const char *const *wanted, char text[HOST_TEXT_MAX])
{
	text[0] = '\0';
	for (; *wanted; wanted++)
		if (!has_word(words, *wanted)) {
			size_t used = strlen(text);

			snprintf(text + used, HOST_TEXT_MAX - used, " %s", *wanted);
		}
}

void check_cpu_features(const struct host *host, struct host_report *report)
{
	static const char *const needed[] = {"aes", "pclmulqdq", "ssse3", NULL};
	static const char *const fast[] = {"avx2", "avx512f", "avx512bw", "vaes", "vpclmulqdq", NULL};
	char flags[HOST_LINE_MAX], missing[HOST_TEXT_MAX];

	if (!host_field(host, flags, "flags", "proc/cpuinfo")) {
		host_report_add(report, "cpu", HOST_UNKNOWN, "no flags in /proc/cpuinfo");
		return;
	}
	missing_words(flags, needed, missing);
	if (missing[0] != '\0') {
		host_report_cure(
			host_report_add(report, "cpu", HOST_LACKS, "no%.256s: AES-NI is needed", missing),
			"turn it on in the firmware's or the hypervisor's set-up, or take another CPU");
		return;
	}
	missing_words(flags, fast, missing);
	if (missing[0] != '\0')
		host_report_cure(host_report_add(report, "cpu", HOST_ADVICE, "AES-NI, but no%.256s", missing),
			"AES is faster on a CPU that has them; in a virtual machine let it have the host's "
			"CPU");
	else
		host_report_add(report, "cpu", HOST_OK, "AES-NI, AVX2, AVX-512, VAES and VPCLMULQDQ");
}

static void cure_isolation(struct host_finding *finding)
{
	host_report_cure(finding,
		"for example CPUs 2-3: sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus=2-3 nohz_full=2-3 "
		"rcu_nocbs=2-3 /' /etc/default/grub && update-grub && reboot");
}

void check_isolation(const struct host *host, struct host_report *report)
{
	struct cpu_list isolated, tickless;
	char line[HOST_LINE_MAX] = "";

	if (!host_cpus(host, &isolated, "sys/devices/system/cpu/isolated")) {
		host_report_add(report, "isolation", HOST_UNKNOWN,
			"the kernel does not tell which CPUs are isolated");
		return;
	}
	host_cpus(host, &tickless, "sys/devices/system/cpu/nohz_full");
	if (isolated.n == 0) {
		cure_isolation(host_report_add(report, "isolation", HOST_ADVICE,
			"no CPU is isolated: workers share theirs with other programs"));
		return;
	}
	host_line(host, line, "sys/devices/system/cpu/isolated");
	for (unsigned cpu = 0; cpu < HOST_CPUS_MAX; cpu++)
		if (isolated.has[cpu] && !tickless.has[cpu]) {
			cure_isolation(host_report_add(report, "isolation", HOST_ADVICE,
				"CPUs %.256s are isolated, but CPU %u is not in nohz_full: the timer's tick "
				"halts it",
				line, cpu));
			return;
		}
	host_report_add(report, "isolation", HOST_OK, "CPUs %.256s are isolated and without a tick", line);
}

void check_siblings(const struct host *host, struct host_report *report)
{
	char siblings[HOST_LINE_MAX] = "?";
	long active = host_number(host, "sys/devices/system/cpu/smt/active");

	if (active < 0)
		host_report_add(
			report, "smt", HOST_UNKNOWN, "the kernel does not tell whether cores have siblings");
	else if (active == 0)
		host_report_add(report, "smt", HOST_OK, "each CPU is a core of its own");
	else {
		host_line(host, siblings, "sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
		host_report_cure(
			host_report_add(report, "smt", HOST_ADVICE,
				"two CPUs share a core (as %.64s do): whoever runs on a worker's sibling "
				"takes from the worker",
				siblings),
			"echo off > /sys/devices/system/cpu/smt/control");
	}
}

void check_governor(const struct host *host, struct host_report *report)
{
	char governor[HOST_LINE_MAX], other[HOST_LINE_MAX] = "";
	size_t n, n_told = 0;
	char **cpus = host_names(host, "cpu", &n, "sys/devices/system/cpu");

	for (size_t i = 0; i < n; i++)
		if (host_line(
			    host, governor, "sys/devices/system/cpu/%s/cpufreq/scaling_governor", cpus[i])) {
			n_told++;
			if (strcmp(governor, "performance") != 0)
				strcpy(other, governor);
		}
	host_names_free(cpus, n);
	if (n_told == 0)
		host_report_add(report, "governor", HOST_UNKNOWN,
			"no cpufreq: the machine, or the one that hosts it, chooses the clock by itself");
	else if (other[0] == '\0')
		host_report_add(report, "governor", HOST_OK, "performance");
	else
		host_report_cure(host_report_add(report, "governor", HOST_ADVICE,
					 "%.64s: the clock follows the load, late", other),
			"echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor");
}

static bool program_runs(const struct host *host, const char *name)
{
	char line[HOST_LINE_MAX];
	bool runs = false;
	size_t n;
	char **pids = host_names(host, "", &n, "proc");

	for (size_t i = 0; i < n && !runs; i++)
		runs = pids[i][0] >= '1' && pids[i][0] <= '9' &&
		       host_line(host, line, "proc/%s/comm", pids[i]) && strcmp(line, name) == 0;
	host_names_free(pids, n);
	return runs;
}

void check_irqbalance(const struct host *host, struct host_report *report)
{
	struct cpu_list isolated;

	if (!program_runs(host, "irqbalance"))
		host_report_add(report, "irqbalance", HOST_OK, "it does not run");
	else if (host_cpus(host, &isolated, "sys/devices/system/cpu/isolated") && isolated.n > 0)
		host_report_add(report, "irqbalance", HOST_OK, "it runs, and leaves isolated CPUs alone");
	else
		host_report_cure(host_report_add(report, "irqbalance", HOST_ADVICE,
					 "it runs, and may move interrupts to the workers' CPUs"),
			"systemctl disable --now irqbalance");
}
