/*
 * The part of a scrape that is about SAs: samples of them, and the families written from those.
 *
 * Called by metrics.c, on the control thread. The caller owns the struct, zeroed at first; metrics_sas_fini
 * frees it.
 */
#ifndef CULVERT_CONTROL_METRICS_SAS_H
#define CULVERT_CONTROL_METRICS_SAS_H

#include "control/control.h"
#include "control/metrics_text.h"

#include <stdbool.h>
#include <stddef.h>

struct sa_sample;
struct sa_sample_drop;

struct metrics_sas {
	struct sa_sample *samples;
	size_t n;
	size_t size;                  /* that is allocated */
	struct sa_sample_drop *drops; /* those that occurred, in the order of the samples */
	size_t n_drops;
	size_t family; /* the next to write, and of it the next sample */
	size_t next;
};

void metrics_sas_fini(struct metrics_sas *sas);

/* Take samples of the next few SAs. False: there are no more. */
bool metrics_sas_take(struct metrics_sas *sas, const struct control *control);
/* Write the next few lines. False: there are no more. */
bool metrics_sas_write(struct metrics_sas *sas, struct metrics_text *text);

void metrics_sas_families(void (*each)(const struct metrics_family *family));

#endif
