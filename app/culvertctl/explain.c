/*
 * culvertctl explain: what would become of a packet, and why.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "client.h"
#include "command.h"
#include "show.h"
#include "watching.h"

#define WORDS_MAX   16
#define PACKET_MAX  512
#define STEP_INDENT "  "

/* The packet may be one word in quotes, or several. */
static int packet_join(const struct invocation *call, char packet[PACKET_MAX], struct err *err)
{
	size_t used = 0;

	for (int i = 0; i < call->argc && used < PACKET_MAX; i++)
		used += (size_t)snprintf(
			packet + used, PACKET_MAX - used, "%s%s", i > 0 ? " " : "", call->argv[i]);
	return used < PACKET_MAX ? 0 : err_set(err, EINVAL, "no packet is described in so many characters");
}

static void print_answer(const json_t *result)
{
	const json_t *steps = json_object_get(result, "steps"), *step;
	size_t i;

	json_array_foreach((json_t *)steps, i, step)
	{
		printf(STEP_INDENT "%s\n", json_string_value(step));
	}
	puts(show_text(result, "text"));
}

static enum command_result ask(const struct invocation *call, json_t *arguments, struct err *err)
{
	struct client client;
	json_t *result;

	if (client_open(&client, call->socket, CLIENT_SHOW_TIMEOUT_S, err) != 0) {
		json_decref(arguments);
		return COMMAND_FAILED;
	}
	result = client_call(&client, "explain", arguments, err);
	client_close(&client);
	if (!result)
		return COMMAND_FAILED;
	if (call->json)
		show_json(result);
	else
		print_answer(result);
	json_decref(result);
	return COMMAND_OK;
}

static enum command_result explain(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	const char *port = NULL;
	long bytes = WATCHING_NOT_GIVEN, dscp = WATCHING_NOT_GIVEN;
	bool df = false;
	const struct argument_option options[] = {{"--in", ARGUMENT_TEXT, &port},
		{"--bytes", ARGUMENT_NUMBER, &bytes}, {"--dscp", ARGUMENT_NUMBER, &dscp},
		{"--df", ARGUMENT_FLAG, &df}, {0}};
	char packet[PACKET_MAX];
	json_t *arguments;

	if (arguments_read(&invocation, options, 1, WORDS_MAX, err) != 0 ||
		packet_join(&invocation, packet, err) != 0)
		return COMMAND_MISUSED;
	if (!port) {
		err_set(err, EINVAL, "--in is missing: the port that the packet comes in by");
		return COMMAND_MISUSED;
	}
	arguments = json_pack("{s:s, s:s, s:b}", "port", port, "packet", packet, "df", df);
	if (arguments) {
		watching_number_put(arguments, "bytes", bytes);
		watching_number_put(arguments, "dscp", dscp);
		return ask(&invocation, arguments, err);
	}
	err_set(err, EINVAL, "the packet's description is not UTF-8 text");
	return COMMAND_FAILED;
}

const struct command explain_commands[] = {
	{"explain", "--in PORT PACKET [--bytes N] [--df] [--dscp N]",
		"what would become of a packet, and why: policy, SA, route and neighbour",
		"The packet is `SRC DST PROTOCOL SPORT DPORT`, `SRC DST icmp TYPE CODE`, or "
		"`SRC DST esp SPI`, which ` : ` and the packet inside may follow, as in "
		"`culvertctl explain --in lan '10.1.0.10 10.2.0.10 tcp 40000 443'`. It is as short as it can "
		"be "
		"unless `--bytes` says otherwise.\n\n"
		"The answer has the policy that matches first, those before it that would match but for one "
		"thing, and how it ends, with the cause and the cure of a drop. The gateway asks its own "
		"tables, and neither sends nor counts anything.",
		explain},
	{NULL, NULL, NULL, NULL, NULL},
};
