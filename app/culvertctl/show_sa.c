/*
 * culvertctl show sa NAME: all that is known of one SA.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "command.h"
#include "show.h"

#define LABEL_WIDTH 16

static void print_text(const char *label, const char *text)
{
	printf("  %-*s  %s\n", LABEL_WIDTH, label, text);
}

static void print_number(const char *label, uint64_t number)
{
	printf("  %-*s  %" PRIu64 "\n", LABEL_WIDTH, label, number);
}

/* A row for each of the keys that the object has. */
static void print_known(const json_t *object, const char *const *keys, const char *const *labels)
{
	for (size_t i = 0; keys[i]; i++) {
		const json_t *value = json_object_get(object, keys[i]);

		if (json_is_string(value))
			print_text(labels[i], json_string_value(value));
		else if (json_is_boolean(value))
			print_text(labels[i], json_is_true(value) ? "yes" : "no");
		else if (value)
			print_number(labels[i], (uint64_t)json_integer_value(value));
	}
}

static void print_state(const json_t *sa)
{
	static const char *const keys[] = {
		"state", "spi", "protocol", "mode", "algorithm", "source", "destination", "around", NULL};
	static const char *const labels[] = {
		"state", "SPI", "protocol", "mode", "algorithm", "source", "destination", "carried by", NULL};

	printf("%s, %s\n", show_text(sa, "name"),
		strcmp(show_text(sa, "direction"), "in") == 0 ? "inbound" : "outbound");
	print_known(sa, keys, labels);
}

static void print_sequence(const json_t *sa)
{
	static const char *const keys[] = {"sequence", "esn", "replay_window", NULL};
	static const char *const labels_in[] = {"highest seen", "extended (ESN)", "window, packets", NULL};
	static const char *const labels_out[] = {"last sent", "extended (ESN)", "", NULL};

	puts("sequence numbers");
	print_known(sa, keys, strcmp(show_text(sa, "direction"), "in") == 0 ? labels_in : labels_out);
}

static const char *amount(const char *unit, uint64_t value, char buf[UNITS_TEXT_MAX])
{
	if (strcmp(unit, "bytes") == 0)
		return units_bytes(value, buf);
	if (strcmp(unit, "seconds") == 0)
		return units_seconds(value, buf);
	snprintf(buf, UNITS_TEXT_MAX, "%" PRIu64, value);
	return buf;
}

/* `1.5 GiB used; soft limit 8.0 GiB (19 %), hard limit 10.0 GiB (15 %)` */
static void print_life(const json_t *sa)
{
	static const char *const limits[] = {"soft", "hard"};
	json_t *life = json_object_get(sa, "life"), *of;
	const char *unit;

	if (!life)
		return;
	puts("lifetime");
	json_object_foreach(life, unit, of)
	{
		uint64_t used = show_number(of, "used");
		char text[UNITS_TEXT_MAX];

		printf("  %-*s  %s used", LABEL_WIDTH, unit, amount(unit, used, text));
		for (size_t i = 0; i < 2; i++) {
			uint64_t limit = show_number(of, limits[i]);

			if (limit > 0)
				printf("%s %s limit %s (%.1f %%)", i == 0 ? ";" : ",", limits[i],
					amount(unit, limit, text), 100.0 * (double)used / (double)limit);
		}
		putchar('\n');
	}
}

static void print_path(const json_t *sa)
{
	static const char *const keys[] = {"path_mtu", "inner_mtu", "icmp_errors", NULL};
	static const char *const labels[] = {"path MTU", "inner MTU", "ICMP errors", NULL};

	if (!json_object_get(sa, "path_mtu"))
		return;
	puts("path");
	print_known(sa, keys, labels);
}

static void print_udp(const json_t *sa)
{
	const json_t *udp = json_object_get(sa, "udp");

	if (!udp)
		return;
	puts("UDP encapsulation");
	printf("  %-*s  %" PRIu64 " to %" PRIu64 "\n", LABEL_WIDTH, "ports", show_number(udp, "source_port"),
		show_number(udp, "destination_port"));
	if (json_object_get(udp, "peer"))
		printf("  %-*s  %s port %" PRIu64 ", moved %" PRIu64 " times\n", LABEL_WIDTH, "peer now",
			show_text(udp, "peer"), show_number(udp, "peer_port"), show_number(udp, "moves"));
}

static void print_counters(const json_t *sa)
{
	static const char *const keys[] = {"packets", "dummies", "uncompressed", "drops", NULL};
	static const char *const labels[] = {"packets", "dummy packets", "uncompressed", "drops", NULL};
	char text[UNITS_TEXT_MAX];
	uint64_t bytes = show_number(sa, "bytes");

	puts("counters");
	print_known(sa, keys, labels);
	printf("  %-*s  %" PRIu64 " (%s)\n", LABEL_WIDTH, "bytes", bytes, units_bytes(bytes, text));
	if (json_object_get(sa, "idle_seconds"))
		printf("  %-*s  %s ago\n", LABEL_WIDTH, "last packet",
			units_seconds(show_number(sa, "idle_seconds"), text));
	else
		print_text("last packet", "none yet");
}

static void print_drops(const json_t *sa)
{
	json_t *reasons = json_object_get(sa, "drop_reasons"), *packets;
	const char *name, *last = json_string_value(json_object_get(sa, "last_event"));

	if (json_object_size(reasons) == 0 && !last)
		return;
	puts("dropped");
	json_object_foreach(reasons, name, packets)
	{
		print_number(name, (uint64_t)json_integer_value(packets));
	}
	if (last)
		print_text("the last one", last);
}

static void print_policies(const json_t *sa)
{
	const json_t *names = json_object_get(sa, "policies"), *name;
	size_t i;

	puts("policies that use it");
	json_array_foreach((json_t *)names, i, name)
	{
		printf("  %s\n", json_string_value(name));
	}
	if (json_array_size(names) == 0)
		puts("  none");
}

static enum command_result show_sa(const struct invocation *call, struct err *err)
{
	static void (*const sections[])(const json_t *sa) = {print_state, print_sequence, print_life,
		print_path, print_udp, print_counters, print_drops, print_policies};
	struct invocation invocation = *call;
	struct client client;
	json_t *result = NULL, *sa;

	if (arguments_read(&invocation, NULL, 1, 1, err) != 0)
		return COMMAND_MISUSED;
	if (client_open(&client, invocation.socket, CLIENT_SHOW_TIMEOUT_S, err) != 0)
		return COMMAND_FAILED;
	result = client_call(&client, "show-sa", json_pack("{s:s}", "name", invocation.argv[0]), err);
	client_close(&client);
	if (!result)
		return COMMAND_FAILED;
	sa = json_object_get(result, "sa");
	if (invocation.json)
		show_json(sa);
	for (size_t i = 0; !invocation.json && i < sizeof(sections) / sizeof(sections[0]); i++)
		sections[i](sa);
	json_decref(result);
	return COMMAND_OK;
}

const struct command show_sa_commands[] = {
	{"show sa", "NAME", "all that is known of one SA",
		"Its sequence number and replay window, how much of its lifetime is used, path MTU, the peer "
		"of "
		"UDP encapsulation, counters, drops by reason with the last packet that was dropped, and the "
		"policies that use it.",
		show_sa},
	{NULL, NULL, NULL, NULL, NULL},
};
