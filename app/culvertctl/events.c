/*
 * culvertctl events: what happens at the gateway, a line of JSON each, as it comes.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "watching.h"

/* The next one is printed; false at the end. */
static bool event_print(struct client *client, struct err *err)
{
	json_t *event = client_listen(client, err);

	if (!event)
		return false;
	json_dumpf(event, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(event);
	/* Whoever reads it from a pipe has it now; nobody may be there any more. */
	return fflush(stdout) == 0;
}

/* Print so many (0: without end), until the user ends it. Returns 0, or -errno with err set. */
static int events_print(struct client *client, long count, struct err *err)
{
	for (long i = 0; count == 0 || i < count; i++) {
		if (event_print(client, err))
			continue;
		if (watching_is_ended(client->stop_fd, 0))
			return 0;
		if (err->text[0] == '\0')
			err_set(err, ECONNRESET, "%s",
				ferror(stdout) ? "standard output takes no more"
					       : "culvertd has closed the connection: no more events");
		return -ECONNRESET;
	}
	return 0;
}

/* From the answer on there are events; none is awaited for longer than the user wants. */
static int listen_to(struct client *client, long count, struct err *err)
{
	json_t *answer = client_call(client, "events", NULL, err);

	if (!answer)
		return -EINVAL;
	json_decref(answer);
	client->timeout_s = 0;
	client->stop_fd = watching_signals_begin(err);
	if (client->stop_fd < 0)
		return client->stop_fd;
	if (watching_is_seen())
		fputs("events come as they happen; Ctrl-C ends\n", stderr);
	return events_print(client, count, err);
}

static enum command_result events(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	long count = WATCHING_NOT_GIVEN;
	const struct argument_option options[] = {{"--count", ARGUMENT_NUMBER, &count}, {0}};
	struct client client;
	int ret;

	if (arguments_read(&invocation, options, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	if (count == 0) {
		err_set(err, EINVAL, "--count is 1 or more");
		return COMMAND_MISUSED;
	}
	if (client_open(&client, invocation.socket, CLIENT_SHOW_TIMEOUT_S, err) != 0)
		return COMMAND_FAILED;
	ret = listen_to(&client, count == WATCHING_NOT_GIVEN ? 0 : count, err);
	if (client.stop_fd >= 0)
		watching_signals_end(client.stop_fd);
	client_close(&client);
	return ret == 0 ? COMMAND_OK : COMMAND_FAILED;
}

const struct command events_commands[] = {
	{"events", "[--count N]", "what happens at the gateway, a line of JSON each, as it comes",
		"Lifetimes that expire, sequence numbers near their end, packets that want an SA "
		"(`acquire`), "
		"peers that move, ports that go up or down, failures past a rate, audit records, and "
		"changes. "
		"Each line has `event`, its `time` in seconds since 1970, and, where lines before it were "
		"not "
		"read in time, how many were `lost`. It ends after `--count` events, or with Ctrl-C; that "
		"the "
		"daemon has gone is an error.",
		events},
	{NULL, NULL, NULL, NULL, NULL},
};
