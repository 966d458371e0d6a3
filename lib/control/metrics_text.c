#include "control/metrics_text.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MIN      4096
#define NUMBER_MAX    32 /* text of a number with its end of line */
#define MS_PER_SECOND 1000

void metrics_text_fini(struct metrics_text *text)
{
	free(text->bytes);
	*text = (struct metrics_text){.format = text->format};
}

/* Memory that runs out ends the program, as in base/array.h. */
static char *room_for(struct metrics_text *text, size_t n)
{
	if (text->length + n > text->size) {
		text->size = 2 * (text->length + n) + SIZE_MIN;
		text->bytes = realloc(text->bytes, text->size);
		if (!text->bytes)
			abort();
	}
	return text->bytes + text->length;
}

static void put(struct metrics_text *text, const char *string)
{
	size_t n = strlen(string);

	memcpy(room_for(text, n), string, n);
	text->length += n;
}

/* Backslashes and ends of lines as their escapes, quotes too where they would end something. */
static void put_escaped(struct metrics_text *text, const char *string, bool quotes)
{
	char *out = room_for(text, 2 * strlen(string)), *start = out;

	for (; *string; string++) {
		if (*string == '\\' || *string == '\n' || (quotes && *string == '"'))
			*out++ = '\\';
		*out++ = *string == '\n' ? 'n' : *string;
	}
	text->length += (size_t)(out - start);
}

static const char *ending(const struct metrics_family *family)
{
	return family->kind == METRICS_COUNTER ? "_total" : family->kind == METRICS_INFO ? "_info" : "";
}

/* `# TYPE name `: Prometheus means the samples by the name, OpenMetrics the family. */
static void put_comment(struct metrics_text *text, const char *what)
{
	put(text, what);
	put(text, text->family->name);
	if (text->format == METRICS_PROMETHEUS)
		put(text, ending(text->family));
	put(text, " ");
}

static const char *kind_name(const struct metrics_text *text)
{
	switch (text->family->kind) {
	case METRICS_COUNTER:
		return "counter";
	case METRICS_INFO:
		return text->format == METRICS_PROMETHEUS ? "gauge" : "info";
	default:
		return "gauge";
	}
}

void metrics_text_family(struct metrics_text *text, const struct metrics_family *family)
{
	text->family = family;
	put_comment(text, "# TYPE ");
	put(text, kind_name(text));
	if (text->format == METRICS_OPENMETRICS && family->unit && family->unit[0]) {
		put(text, "\n");
		put_comment(text, "# UNIT ");
		put(text, family->unit);
	}
	put(text, "\n");
	put_comment(text, "# HELP ");
	put_escaped(text, family->help, text->format == METRICS_OPENMETRICS);
	put(text, "\n");
}

static void put_name(struct metrics_text *text, const struct metrics_label *labels, size_t n_labels)
{
	const char *before = "{";

	put(text, text->family->name);
	put(text, ending(text->family));
	for (size_t i = 0; i < n_labels; i++) {
		if (!labels[i].value)
			continue;
		put(text, before);
		put(text, labels[i].name);
		put(text, "=\"");
		put_escaped(text, labels[i].value, true);
		put(text, "\"");
		before = ",";
	}
	put(text, before[0] == ',' ? "} " : " ");
}

void metrics_text_sample(
	struct metrics_text *text, const struct metrics_label *labels, size_t n_labels, uint64_t value)
{
	put_name(text, labels, n_labels);
	text->length += (size_t)snprintf(room_for(text, NUMBER_MAX), NUMBER_MAX, "%" PRIu64 "\n", value);
}

void metrics_text_sample_ms(
	struct metrics_text *text, const struct metrics_label *labels, size_t n_labels, uint64_t value_ms)
{
	put_name(text, labels, n_labels);
	text->length += (size_t)snprintf(room_for(text, NUMBER_MAX), NUMBER_MAX, "%" PRIu64 ".%03u\n",
		value_ms / MS_PER_SECOND, (unsigned)(value_ms % MS_PER_SECOND));
}

void metrics_text_end(struct metrics_text *text)
{
	if (text->format == METRICS_OPENMETRICS)
		put(text, "# EOF\n");
}
