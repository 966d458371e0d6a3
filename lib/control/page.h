/*
 * A page of a long list: the arguments `offset` and `limit` of a request, and `total` and `next` of its
 * answer.
 *
 * Main thread. Limits: items that change their places between two requests may be missed, or come twice.
 */
#ifndef CULVERT_CONTROL_PAGE_H
#define CULVERT_CONTROL_PAGE_H

#include "control/request.h"

#include <stdbool.h>
#include <stdint.h>

/* Items in one answer. */
#define PAGE_DEFAULT 1000
#define PAGE_MAX     2000

struct page {
	uint64_t offset;
	uint64_t limit;
	uint64_t n; /* items of the list so far */
};

/* What of the list is asked for. Returns 0, or -EINVAL with request->err set. */
int page_read(struct request *request, struct page *page);

/* Is the next item of the list asked for? Call it once for each, in order. */
bool page_takes(struct page *page);

/* Answer how many there are in all, and where the rest begins. A limit of 0 only counts. */
void page_end(struct request *request, const struct page *page);

/* Does the name match the pattern, in which * and ? stand for any characters? NULL is no pattern. */
bool page_name_matches(const char *pattern, const char *name);

#endif
