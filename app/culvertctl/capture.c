/*
 * culvertctl capture: packets in a file of the gateway's, as Wireshark reads it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client.h"
#include "command.h"
#include "show.h"
#include "table.h"
#include "watching.h"

#define LOOK_EVERY_MS 200
/* What was copied is written, and the file is on the disk, after so long; a slow disk may need some of it. */
#define END_MS_MAX 60000
#define CLEAR_LINE "\r\033[K"

/* What is captured, as `--points rx,tx` has it. */
static const char *const points[] = {"rx", "tx", "inner"};

#define N_POINTS (sizeof(points) / sizeof(points[0]))

static int points_put(json_t *arguments, const char *text, struct err *err)
{
	for (size_t i = 0; i < N_POINTS; i++)
		json_object_set_new(arguments, points[i], json_false());
	for (;;) {
		size_t length = strcspn(text, ","), i = 0;

		while (i < N_POINTS && (strlen(points[i]) != length || strncmp(points[i], text, length) != 0))
			i++;
		if (i == N_POINTS)
			return err_set(err, EINVAL,
				"--points takes rx, tx and inner, with commas between, not '%s'", text);
		json_object_set_new(arguments, points[i], json_true());
		if (text[length] == '\0')
			return 0;
		text += length + 1;
	}
}

static void print_progress(const json_t *result, uint64_t begun_ns)
{
	char size[UNITS_TEXT_MAX];

	fprintf(stderr,
		CLEAR_LINE "%" PRIu64 " s: %" PRIu64 " packets, %s, %" PRIu64 " not captured; Ctrl-C ends",
		(clock_now_ns() - begun_ns) / CLOCK_NS_PER_S, show_number(result, "packets"),
		units_bytes(show_number(result, "bytes"), size), show_number(result, "not_captured"));
}

static bool has_state(const json_t *result, const char *state)
{
	return strcmp(show_text(result, "state"), state) == 0;
}

/* Until it ends by itself, or the user ends it. Returns 0, or -errno with err set. */
static int wait_end(struct client *client, int stop_fd, struct err *err)
{
	uint64_t begun_ns = clock_now_ns();
	bool goes_on = true;

	while (goes_on && !watching_is_ended(stop_fd, LOOK_EVERY_MS)) {
		json_t *result = client_call(client, "show-capture", NULL, err);

		if (!result)
			return -EIO;
		if (watching_is_seen())
			print_progress(result, begun_ns);
		goes_on = has_state(result, "running");
		json_decref(result);
	}
	if (watching_is_seen())
		fputs(CLEAR_LINE, stderr);
	return 0;
}

/* End it; what came of it, which the caller frees, or NULL with err set. */
static json_t *stop(struct client *client, struct err *err)
{
	json_t *result = client_call(client, "stop-capture", NULL, err);
	uint64_t until_ns = clock_now_ns() + END_MS_MAX * CLOCK_NS_PER_MS;

	if (!result)
		return NULL;
	for (;;) {
		json_decref(result);
		result = client_call(client, "show-capture", NULL, err);
		if (!result || has_state(result, "done") || has_state(result, "none"))
			return result;
		if (clock_now_ns() >= until_ns)
			break;
		watching_is_ended(-1, LOOK_EVERY_MS);
	}
	json_decref(result);
	err_set(err, ETIMEDOUT, "the capture has been asked to end, and has not yet");
	return NULL;
}

static int print_result(const json_t *result, bool json, struct err *err)
{
	const char *error = json_string_value(json_object_get(result, "error"));
	char size[UNITS_TEXT_MAX];

	if (json)
		show_json(result);
	else if (has_state(result, "none"))
		puts("there was no capture");
	else
		printf("%s: %" PRIu64 " packets, %s; %" PRIu64 " that passed the filter were not captured\n",
			show_text(result, "file"), show_number(result, "packets"),
			units_bytes(show_number(result, "bytes"), size), show_number(result, "not_captured"));
	return error ? err_set(err, EIO, "it ended before its time: %s", error) : 0;
}

/* Takes the arguments over. */
static int run(struct client *client, json_t *arguments, bool json, struct err *err)
{
	int stop_fd = watching_signals_begin(err), ret;
	json_t *begun = stop_fd >= 0 ? client_call(client, "capture", arguments, err) : NULL, *result;

	if (!begun)
		return -EINVAL;
	if (watching_is_seen())
		fprintf(stderr, "capturing to %s\n", show_text(begun, "file"));
	json_decref(begun);
	ret = wait_end(client, stop_fd, err);
	result = ret == 0 ? stop(client, err) : NULL;
	watching_signals_end(stop_fd);
	if (!result)
		return -EIO;
	ret = print_result(result, json, err);
	json_decref(result);
	return ret;
}

static enum command_result begin(const struct invocation *call, json_t *arguments, struct err *err)
{
	struct client client;
	int ret;

	if (client_open(&client, call->socket, CLIENT_SHOW_TIMEOUT_S, err) != 0) {
		json_decref(arguments);
		return COMMAND_FAILED;
	}
	ret = run(&client, arguments, call->json, err);
	client_close(&client);
	return ret == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static enum command_result capture(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct watching_filter filter = WATCHING_FILTER_NONE;
	const char *where = NULL;
	long seconds = WATCHING_NOT_GIVEN, packets = WATCHING_NOT_GIVEN, rate = WATCHING_NOT_GIVEN,
	     snap = WATCHING_NOT_GIVEN, size = WATCHING_NOT_GIVEN;
	const struct argument_option options[] = {{"--points", ARGUMENT_TEXT, &where},
		{"--seconds", ARGUMENT_NUMBER, &seconds}, {"--packets", ARGUMENT_NUMBER, &packets},
		{"--rate", ARGUMENT_NUMBER, &rate}, {"--snap-bytes", ARGUMENT_NUMBER, &snap},
		{"--file-bytes", ARGUMENT_NUMBER, &size}, WATCHING_FILTER_OPTIONS(&filter), {0}};
	json_t *arguments;

	if (arguments_read(&invocation, options, 1, 1, err) != 0)
		return COMMAND_MISUSED;
	arguments = json_object();
	if ((where && points_put(arguments, where, err) != 0) ||
		watching_filter_put(&filter, arguments, err) != 0) {
		json_decref(arguments);
		return COMMAND_MISUSED;
	}
	json_object_set_new(arguments, "file", json_string(invocation.argv[0]));
	watching_number_put(arguments, "seconds", seconds);
	watching_number_put(arguments, "packets", packets);
	watching_number_put(arguments, "rate", rate);
	watching_number_put(arguments, "snap_bytes", snap);
	watching_number_put(arguments, "file_bytes", size);
	return begin(&invocation, arguments, err);
}

static enum command_result stop_capture(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct client client;
	json_t *result;
	int ret;

	if (arguments_read(&invocation, NULL, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	if (client_open(&client, invocation.socket, CLIENT_SHOW_TIMEOUT_S, err) != 0)
		return COMMAND_FAILED;
	result = stop(&client, err);
	client_close(&client);
	if (!result)
		return COMMAND_FAILED;
	ret = print_result(result, invocation.json, err);
	json_decref(result);
	return ret == 0 ? COMMAND_OK : COMMAND_FAILED;
}

const struct command capture_commands[] = {
	{"capture",
		"FILE [--points POINTS] [--seconds N] [--packets N] [--rate N] [--snap-bytes N] "
		"[--file-bytes N] " WATCHING_FILTER_USAGE,
		"write packets to a file as Wireshark reads it (pcapng)",
		"The file is a new one of that name in the configuration's `capture.directory`. Points, with "
		"commas between: `rx` and `tx`, frames that ports receive and send; `inner`, packets before "
		"encryption and after decryption, where the configuration has `capture.allow_inner: true`. "
		"Without `--points` it is all that the configuration allows. It ends after 60 seconds, or "
		"`--seconds`, after `--packets`, or with Ctrl-C; forwarding never waits for it, and what "
		"comes "
		"faster than `--rate` a second, or finds no room, is counted as not captured.\n\n" //
		WATCHING_FILTER_MORE,
		capture},
	{"stop capture", "", "end the capture that runs, and tell what came of it",
		"Of a `culvertctl capture` that was killed, say.", stop_capture},
	{NULL, NULL, NULL, NULL, NULL},
};
