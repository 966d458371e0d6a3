/*
 * Loading a configuration: parse the file, read it by the schema, check the whole, say where each fault is.
 *
 * Called by the daemon (start, reload, --check) and by tests. The caller owns gateway and report: report_init
 * and report_fini, gateway_fini. Nothing is applied here. The file's text is wiped, since it may hold keys.
 * Limits: see config/yaml.h.
 */
#ifndef CULVERT_CONFIG_LOAD_H
#define CULVERT_CONFIG_LOAD_H

#include "base/report.h"
#include "model/gateway.h"

#include <stdatomic.h>
#include <stdio.h>

/*
 * Fill the gateway, which needs no initialisation, from the file. Returns 0, or -errno (-EINVAL for a faulty
 * file) with findings added to the report, in the file's order, and the gateway empty.
 */
int config_load(const char *path, struct gateway *gateway, struct report *report);
/* The same, but it waits for bytes, as of a pipe, only until another thread has set *stop: -ECANCELED. */
int config_load_until(
	const char *path, const atomic_bool *stop, struct gateway *gateway, struct report *report);

/* The same from memory; key files are below directory. */
int config_load_text(const char *text, size_t length_bytes, const char *directory, struct gateway *gateway,
	struct report *report);

/*
 * SAs and policies alone, from memory, as they would stand in the file at `path`, beside which key files are.
 * They are not checked against each other; findings have no places.
 */
int config_read_part(
	const char *path, const char *text, size_t length_bytes, struct gateway *part, struct report *report);

/* Print each finding as `file:line:column: path: text`, without what isn't known. */
void config_report_print(FILE *out, const char *file, const struct report *report);

#endif
