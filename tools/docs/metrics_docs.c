/*
 * Prints docs/metrics.md from the families that a scrape has. Run by tools/gen-docs.
 */
#include "control/metrics.h"

#include <stdio.h>

static const char *const kinds[] = {
	[METRICS_COUNTER] = "counter", [METRICS_GAUGE] = "gauge", [METRICS_INFO] = "information"};
static const char *const endings[] = {
	[METRICS_COUNTER] = "_total", [METRICS_GAUGE] = "", [METRICS_INFO] = "_info"};

static void print(const struct metrics_family *family)
{
	printf("| `%s%s` | %s | %s |\n", family->name, endings[family->kind], kinds[family->kind],
		family->help);
}

int main(void)
{
	puts("# Metrics\n\n"
	     "<!-- Written by tools/gen-docs from lib/control/metrics.c and metrics_sas.c. -->\n\n"
	     "With `metrics: {port: 9464}` in the configuration the daemon serves these at "
	     "`http://127.0.0.1:9464/metrics`, as OpenMetrics\n"
	     "or for Prometheus, whichever the client asks for. [operations.md](operations.md) tells how to "
	     "collect them, and\n"
	     "[grafana/culvert.json](grafana/culvert.json) is a dashboard of them.\n\n"
	     "Labels: `port`, `worker`, `sa`, `table` and `pool` are names of the configuration, or numbers "
	     "from 0; "
	     "`reason` is one of\n"
	     "[the drop reasons](troubleshooting.md), and `xfrm` what Linux calls it; `limit` is `soft` or "
	     "`hard`. An SA's ends,\n"
	     "SPI and algorithm are labels of `culvert_sa_info` alone: join it by `sa` where they are "
	     "wanted.\n\n"
	     "A policy has no counter of its own: what it protects, its SAs count, and what it discards is "
	     "in "
	     "`in_policy_block` and\n"
	     "`out_policy_block`.\n\n"
	     "| metric | kind | what it is |\n|---|---|---|");
	metrics_families(print);
	return 0;
}
