/*
 * The text of metrics: OpenMetrics 1.0, or the text format 0.0.4 of Prometheus.
 *
 * Control thread. The caller owns the struct: zeroed with its format at first, metrics_text_fini frees it.
 * A family is announced, then its samples follow, all of them before the next family. Limits: counters,
 * gauges and information; numbers are whole, or seconds; no time stamps, no exemplars.
 */
#ifndef CULVERT_CONTROL_METRICS_TEXT_H
#define CULVERT_CONTROL_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum metrics_format {
	METRICS_OPENMETRICS,
	METRICS_PROMETHEUS,
};

enum metrics_kind {
	METRICS_COUNTER, /* its samples' names end in _total */
	METRICS_GAUGE,
	METRICS_INFO, /* its samples' names end in _info, and their value is 1 */
};

struct metrics_family {
	const char *name; /* without the kind's ending; ends in the unit, if there is one */
	enum metrics_kind kind;
	const char *unit; /* "" or NULL: none */
	const char *help;
};

struct metrics_label {
	const char *name;
	const char *value; /* any bytes of UTF-8; NULL: the sample has no such label */
};

struct metrics_text {
	enum metrics_format format;
	const struct metrics_family *family; /* of the samples to come */
	char *bytes;
	size_t length;
	size_t size; /* that is allocated */
};

void metrics_text_fini(struct metrics_text *text);

void metrics_text_family(struct metrics_text *text, const struct metrics_family *family);

/* A sample of the family. */
void metrics_text_sample(
	struct metrics_text *text, const struct metrics_label *labels, size_t n_labels, uint64_t value);
/* The same in seconds, down to a thousandth. */
void metrics_text_sample_ms(
	struct metrics_text *text, const struct metrics_label *labels, size_t n_labels, uint64_t value_ms);

/* metrics_text_put(text, value, {"port", name}, ...) */
#define metrics_text_put(text_, value_, ...)                                                                 \
	metrics_text_sample(text_, (const struct metrics_label[]){__VA_ARGS__},                              \
		sizeof((const struct metrics_label[]){__VA_ARGS__}) / sizeof(struct metrics_label), value_)

/* What ends the whole. */
void metrics_text_end(struct metrics_text *text);

#endif
