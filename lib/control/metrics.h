/*
 * What a scrape says of the gateway: ports, workers, drops, tables, pools, policies and SAs, as text.
 *
 * Control thread, between its other work: metrics_scrape_read does a bounded piece each time, however many
 * SAs there are. Of SAs it first takes a sample of each, SAS_PER_READ at a time, and then writes from the
 * samples, so that SAs may come and go meanwhile. Names and help stand in metrics.c and metrics_sas.c;
 * docs/metrics.md is printed from them. Limits: a scrape is not of one instant; of SAs that go while samples
 * are taken, one each that took such a place may be left out (control/sas.h); a sample takes 256 bytes of
 * memory while the scrape lasts.
 */
#ifndef CULVERT_CONTROL_METRICS_H
#define CULVERT_CONTROL_METRICS_H

#include "control/control.h"
#include "control/metrics_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct metrics_scrape;

/* What metrics_scrape_read returns at the end. */
#define METRICS_SCRAPE_DONE (-1)

/* `control` outlives it. Memory that runs out ends the program. metrics_scrape_end frees it. */
struct metrics_scrape *metrics_scrape_begin(const struct control *control, enum metrics_format format);
void metrics_scrape_end(struct metrics_scrape *scrape);

/* The next bytes, size of them at most. 0: there are none yet, ask again. METRICS_SCRAPE_DONE: that was all.
 */
ssize_t metrics_scrape_read(struct metrics_scrape *scrape, char *buffer, size_t size);

/* Call for each family that a scrape may have, in its order. */
void metrics_families(void (*each)(const struct metrics_family *family));

#endif
