/*
 * culvertctl trace: the ways of the next packets, stage by stage.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client.h"
#include "command.h"
#include "show.h"
#include "watching.h"

#define LOOK_EVERY_MS   100
#define PKTS_DEFAULT    10
#define SECONDS_DEFAULT 60
/* Workers let go of a trace within microseconds, unless they are stuck. */
#define END_MS_MAX    5000
#define NS_PER_US     1000.0
#define STAGE_WIDTH   16
#define OUTCOME_WIDTH 24
#define STEP_TEXT_MAX 512

static json_t *look(struct client *client, struct err *err)
{
	return client_call(client, "show-trace", json_pack("{s:i}", "limit", 0), err);
}

/* Does the trace run? Negative, with err set, if the daemon does not say. */
static int is_running(struct client *client, struct err *err)
{
	json_t *result = look(client, err);
	int running = result ? json_is_true(json_object_get(result, "running")) : -EIO;

	json_decref(result);
	return running;
}

/* Until the trace has ended by itself, or the user ends it. */
static int wait_end(struct client *client, int stop_fd, struct err *err)
{
	int running = 1;

	while (running > 0 && !watching_is_ended(stop_fd, LOOK_EVERY_MS))
		running = is_running(client, err);
	return running < 0 ? running : 0;
}

/* Whatever came before, the daemon follows no packets any more. */
static int stop(struct client *client, struct err *err)
{
	json_t *stopped = client_call(client, "stop-trace", NULL, err);
	uint64_t until_ns = clock_now_ns() + END_MS_MAX * CLOCK_NS_PER_MS;
	int running = stopped ? 1 : -EIO;

	json_decref(stopped);
	while (running > 0 && clock_now_ns() < until_ns) {
		running = is_running(client, err);
		if (running > 0)
			watching_is_ended(-1, LOOK_EVERY_MS);
	}
	return running > 0 ? err_set(err, ETIMEDOUT, "the workers have not let go of the trace yet")
			   : running;
}

static int by_number(const void *a, const void *b)
{
	static const char *const keys[] = {"worker", "number"};
	const json_t *const *x = a, *const *y = b;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		uint64_t of_x = show_number(*x, keys[i]), of_y = show_number(*y, keys[i]);

		if (of_x != of_y)
			return of_x < of_y ? -1 : 1;
	}
	return 0;
}

/* Each worker's packets in the order in which they came, not in which they ended. Takes the list over. */
static json_t *sorted(json_t *list)
{
	size_t n = json_array_size(list);
	json_t **items = calloc(n + 1, sizeof(json_t *)), *in_order = json_array();

	if (!items)
		abort();
	for (size_t i = 0; i < n; i++)
		items[i] = json_array_get(list, i);
	qsort(items, n, sizeof(json_t *), by_number);
	for (size_t i = 0; i < n; i++)
		json_array_append(in_order, items[i]);
	free(items);
	json_decref(list);
	return in_order;
}

/* All pages as one result, or NULL with err set. The caller frees it. */
static json_t *read_all(struct client *client, struct err *err)
{
	json_t *list = json_array(), *page = NULL, *next = NULL;
	json_int_t offset = 0;

	do {
		json_decref(page);
		page = client_call(client, "show-trace", json_pack("{s:I}", "offset", offset), err);
		if (!page) {
			json_decref(list);
			return NULL;
		}
		json_array_extend(list, json_object_get(page, "packets"));
		next = json_object_get(page, "next");
		offset = json_integer_value(next);
	} while (next);
	json_object_set_new(page, "packets", sorted(list));
	return page;
}

/* `, key value` where it is not what it was at the step before. */
static void add_if_new(char text[STEP_TEXT_MAX], const json_t *step, const json_t *before, const char *key,
	const char *title)
{
	const json_t *value = json_object_get(step, key);
	size_t used = strlen(text);

	if (json_is_string(value) && !json_equal(value, json_object_get(before, key)))
		snprintf(text + used, STEP_TEXT_MAX - used, "%s%s%s", used > 0 ? ", " : "", title,
			json_string_value(value));
}

static void print_step(const json_t *step, const json_t *before)
{
	char text[STEP_TEXT_MAX] = "";

	add_if_new(text, step, before, "policy", "policy ");
	add_if_new(text, step, before, "sa", "SA ");
	add_if_new(text, step, before, "packet", "");
	printf("  %+9.1f us  %-*s  ", (double)show_number(step, "nanoseconds") / NS_PER_US, STAGE_WIDTH,
		show_text(step, "stage"));
	if (text[0] != '\0')
		printf("%-*s  %s\n", OUTCOME_WIDTH, show_text(step, "outcome"), text);
	else
		puts(show_text(step, "outcome"));
}

static void print_packet(const json_t *packet)
{
	const json_t *steps = json_object_get(packet, "steps"), *step, *before = NULL;
	size_t i;

	printf("packet %" PRIu64 " of worker %" PRIu64, show_number(packet, "number"),
		show_number(packet, "worker"));
	if (json_object_get(packet, "port"))
		printf(", from port %s", show_text(packet, "port"));
	if (json_object_get(packet, "part_of"))
		printf(", cut from packet %" PRIu64, show_number(packet, "part_of"));
	putchar('\n');
	json_array_foreach((json_t *)steps, i, step)
	{
		print_step(step, before);
		before = step;
	}
	printf("  %s\n\n", show_text(packet, "end"));
}

static void print_all(const json_t *result)
{
	const json_t *list = json_object_get(result, "packets"), *packet;
	uint64_t not_captured = show_number(result, "not_captured");
	uint64_t not_followed = show_number(result, "not_followed");
	size_t i;

	json_array_foreach((json_t *)list, i, packet)
	{
		print_packet(packet);
	}
	printf("%zu %s traced\n", json_array_size(list), json_array_size(list) == 1 ? "packet" : "packets");
	if (not_captured > 0)
		printf("not captured: %" PRIu64 " more that passed the filter, for want of room\n",
			not_captured);
	if (not_followed > 0)
		printf("not followed: %" PRIu64 " that came while the worker followed as many as it can\n",
			not_followed);
}

/* What there is when it has ended is printed, even if it did not end well. */
static int print_what_came(struct client *client, bool json, struct err *err)
{
	json_t *result = read_all(client, err);

	if (!result)
		return -EIO;
	if (json)
		show_json(result);
	else
		print_all(result);
	json_decref(result);
	return 0;
}

/* Takes the arguments over. */
static int run(struct client *client, json_t *arguments, bool json, struct err *err)
{
	int stop_fd = watching_signals_begin(err), ret, stopped;
	struct err stop_err = {.text = ""};
	json_t *begun = stop_fd >= 0 ? client_call(client, "trace", arguments, err) : NULL;

	if (!begun)
		return -EINVAL;
	json_decref(begun);
	if (watching_is_seen())
		fputs("waiting for packets; Ctrl-C ends\n", stderr);
	ret = wait_end(client, stop_fd, err);
	stopped = ret == 0 ? stop(client, &stop_err) : ret;
	watching_signals_end(stop_fd);
	ret = ret == 0 ? print_what_came(client, json, err) : ret;
	if (ret != 0 || stopped == 0)
		return ret;
	*err = stop_err;
	return stopped;
}

static enum command_result trace(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct watching_filter filter = WATCHING_FILTER_NONE;
	long count = PKTS_DEFAULT, seconds = SECONDS_DEFAULT;
	const struct argument_option options[] = {{"--count", ARGUMENT_NUMBER, &count},
		{"--seconds", ARGUMENT_NUMBER, &seconds}, WATCHING_FILTER_OPTIONS(&filter), {0}};
	json_t *arguments;
	struct client client;
	int ret;

	if (arguments_read(&invocation, options, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	arguments = json_object();
	if (watching_filter_put(&filter, arguments, err) != 0) {
		json_decref(arguments);
		return COMMAND_MISUSED;
	}
	watching_number_put(arguments, "packets", count);
	watching_number_put(arguments, "seconds", seconds);
	if (client_open(&client, invocation.socket, CLIENT_SHOW_TIMEOUT_S, err) != 0) {
		json_decref(arguments);
		return COMMAND_FAILED;
	}
	ret = run(&client, arguments, invocation.json, err);
	client_close(&client);
	return ret == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static enum command_result stop_trace(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct client client;
	int ret;

	if (arguments_read(&invocation, NULL, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	if (client_open(&client, invocation.socket, CLIENT_SHOW_TIMEOUT_S, err) != 0)
		return COMMAND_FAILED;
	ret = stop(&client, err);
	client_close(&client);
	return ret == 0 ? COMMAND_OK : COMMAND_FAILED;
}

const struct command trace_commands[] = {
	{"trace", "[--count N] [--seconds N] " WATCHING_FILTER_USAGE,
		"the ways of the next packets through the gateway, stage by stage",
		"It waits for 10 packets, or `--count`, for at most 60 seconds, or `--seconds`; Ctrl-C ends "
		"it "
		"before. Then it prints what became of each packet at every stage, with the reason of a drop "
		"and its cause. A filter may pass at any stage: by an inner address it finds the ESP packet "
		"that "
		"carries it. What is not told of is counted.\n\n" WATCHING_FILTER_MORE,
		trace},
	{"stop trace", "", "end the trace that runs", "Of a `culvertctl trace` that was killed, say.",
		stop_trace},
	{NULL, NULL, NULL, NULL, NULL},
};
