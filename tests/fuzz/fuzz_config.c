/*
 * Any text as a configuration: it loads, or each fault is a finding with its place and the gateway is empty.
 */
#include "config/load.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool expected)
{
	if (!expected)
		abort();
}

static void expect_findings(const struct report *report)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		const struct finding *finding = &report->findings[i];

		expect(finding->line > 0 && finding->column > 0 && finding->text[0] != '\0');
		expect(i == 0 || finding[-1].line <= finding->line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gateway gateway;
	struct report report;
	int rc;

	report_init(&report);
	rc = config_load_text((const char *)data, size, "/nonexistent", &gateway, &report);
	expect((rc == 0) == (report_total(&report) == 0));
	expect(rc == 0 || (!gateway.ports && !gateway.sas && !gateway.policies));
	expect(rc != 0 || (gateway.n_ports > 0 && gateway.workers.n_lcores > 0));
	expect_findings(&report);
	report_fini(&report);
	gateway_fini(&gateway);
	return 0;
}
