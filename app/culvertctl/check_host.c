/*
 * culvertctl check-host: what the machine lacks for a gateway, with the command that mends each.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "command.h"
#include "config/load.h"
#include "host_checks.h"

struct check_options {
	const char *root;
	const char *config; /* NULL: the machine alone */
};

static void (*const checks[])(const struct host *host, struct host_report *report) = {
	check_hugepages,
	check_hugetlbfs,
	check_locked_memory,
	check_transparent_hugepages,
	check_iommu,
	check_vfio,
	check_nics,
	check_cpu_features,
	check_isolation,
	check_siblings,
	check_governor,
	check_irqbalance,
};

/* --root is for tests, and for the tree of another machine that somebody has sent. */
static int options_read(const struct invocation *invocation, struct check_options *options, struct err *err)
{
	*options = (struct check_options){.root = ""};
	for (int i = 0; i < invocation->argc; i++) {
		const char *word = invocation->argv[i];
		const char **value = strcmp(word, "--root") == 0     ? &options->root
				     : strcmp(word, "--config") == 0 ? &options->config
								     : NULL;

		if (!value)
			return err_set(err, EINVAL, "check-host: unexpected argument '%s'", word);
		if (++i == invocation->argc)
			return err_set(err, EINVAL, "check-host: %s needs an argument", word);
		*value = invocation->argv[i];
	}
	return 0;
}

static void print_table(const struct host_report *report)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		const struct host_finding *finding = &report->findings[i];

		printf("%-8s %-12s %s\n",
			finding->state == HOST_UNKNOWN ? "?" : host_state_name(finding->state),
			finding->check, finding->text);
		if (finding->cure[0] != '\0')
			printf("%-8s %-12s   %s\n", "", "", finding->cure);
	}
}

static void print_json(const struct host_report *report, bool is_ready)
{
	json_t *findings = json_array(), *whole;

	for (size_t i = 0; i < report->n_findings; i++) {
		const struct host_finding *finding = &report->findings[i];

		json_array_append_new(findings, json_pack("{s:s, s:s, s:s, s:s}", "check", finding->check,
							"state", host_state_name(finding->state), "text",
							finding->text, "cure", finding->cure));
	}
	whole = json_pack("{s:b, s:o}", "ready", is_ready, "findings", findings);
	json_dumpf(whole, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(whole);
}

static size_t count(const struct host_report *report, enum host_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n_findings; i++)
		n += report->findings[i].state == state;
	return n;
}

static void print(const struct host_report *report, bool json)
{
	size_t n_lacks = count(report, HOST_LACKS);

	if (json) {
		print_json(report, n_lacks == 0);
		return;
	}
	print_table(report);
	printf("%zu ok, %zu lacking, %zu to improve, %zu that can't be told\n", count(report, HOST_OK),
		n_lacks, count(report, HOST_ADVICE), count(report, HOST_UNKNOWN));
}

/* What the file names, too. A faulty file is told of as culvertd --check does. */
static int check_file(const struct host *host, const char *path, struct host_report *report, struct err *err)
{
	struct gateway gateway;
	struct report faults;
	int ret;

	report_init(&faults);
	ret = config_load(path, &gateway, &faults);
	config_report_print(stderr, path, &faults);
	report_fini(&faults);
	if (ret != 0)
		return err_set(err, EINVAL, "check-host: the configuration %s is faulty", path);
	check_configured(host, &gateway, report);
	gateway_fini(&gateway);
	return 0;
}

static enum command_result check_host(const struct invocation *invocation, struct err *err)
{
	struct host_report report = {.findings = NULL};
	struct check_options options;
	struct host host;
	enum command_result result;

	if (options_read(invocation, &options, err) != 0)
		return COMMAND_MISUSED;
	host = (struct host){.root = options.root};
	if (options.config && check_file(&host, options.config, &report, err) != 0) {
		host_report_fini(&report);
		return COMMAND_FAILED;
	}
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&host, &report);
	print(&report, invocation->json);
	result = count(&report, HOST_LACKS) == 0 ? COMMAND_OK : COMMAND_FAILED;
	host_report_fini(&report);
	return result;
}

const struct command check_host_commands[] = {
	{"check-host", "[--config FILE] [--root DIR]",
		"what this machine lacks for a gateway, with the command that mends each",
		"Looks at hugepages, the IOMMU and drivers of NICs, isolated CPUs and their siblings, CPU "
		"features, the "
		"clock's governor, limits of locked memory, transparent hugepages and irqbalance. A line "
		"says `ok`, "
		"`advice` (it works, and would be faster or steadier), `lacks` (hardware ports won't work "
		"without) or "
		"`?` (the machine does not tell), and where something is to do, the command below it does "
		"it. Exits with "
		"1 if something is lacking.\n\n"
		"With `--config` the CPUs and NICs that the file names are looked at too. With `--root` the "
		"files "
		"below DIR/sys and DIR/proc are read instead of this machine's.",
		check_host},
	{NULL, NULL, NULL, NULL, NULL},
};
