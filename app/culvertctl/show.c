/*
 * culvertctl show ...: what the running gateway has, as tables.
 */
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "command.h"

#define PAGE_ITEMS 2000 /* as many as the daemon gives at once */
#define COLUMNS(a) (a), sizeof(a) / sizeof((a)[0])

uint64_t show_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

const char *show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

void show_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* A column's text of an item. */
typedef void (*cell_format)(const json_t *item, const char *key, char cell[SHOW_CELL_MAX]);

struct show_column {
	struct table_column column;
	const char *key;
	cell_format format;
};

static void cell_text(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	snprintf(cell, SHOW_CELL_MAX, "%s", show_text(item, key));
}

static void cell_number(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	if (json_object_get(item, key))
		snprintf(cell, SHOW_CELL_MAX, "%" PRIu64, show_number(item, key));
	else
		snprintf(cell, SHOW_CELL_MAX, "-");
}

static void cell_bytes(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	units_bytes(show_number(item, key), cell);
}

/* `a, b, c` */
static void cell_list(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	const json_t *list = json_object_get(item, key), *value;
	size_t i, used = 0;

	snprintf(cell, SHOW_CELL_MAX, "-");
	json_array_foreach((json_t *)list, i, value)
	{
		if (used < SHOW_CELL_MAX)
			used += (size_t)snprintf(cell + used, SHOW_CELL_MAX - used, "%s%s", i > 0 ? ", " : "",
				json_string_value(value));
	}
}

/* Addresses with their ports: `10.1.0.0/16 port 80-80` */
static void cell_end(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	char port_key[32];
	const json_t *ports;
	size_t used;

	snprintf(port_key, sizeof(port_key), "%s_port", key);
	ports = json_object_get(item, port_key);
	if (json_object_get(item, key))
		cell_list(item, key, cell);
	else
		snprintf(cell, SHOW_CELL_MAX, "any");
	used = strlen(cell);
	if (ports)
		snprintf(cell + used, SHOW_CELL_MAX - used, " port %s", json_string_value(ports));
}

static void cell_protocol(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	static const struct {
		uint64_t number;
		const char *name;
	} names[] = {{1, "icmp"}, {6, "tcp"}, {17, "udp"}, {47, "gre"}, {50, "esp"}, {58, "icmpv6"},
		{132, "sctp"}};

	if (!json_object_get(item, key)) {
		snprintf(cell, SHOW_CELL_MAX, "any");
		return;
	}
	cell_number(item, key, cell);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == show_number(item, key))
			snprintf(cell, SHOW_CELL_MAX, "%s", names[i].name);
}

static void cell_busy(const json_t *item, const char *key, char cell[SHOW_CELL_MAX])
{
	uint64_t loops = show_number(item, "loops");

	snprintf(cell, SHOW_CELL_MAX, "%.1f %%",
		loops > 0 ? 100.0 * (double)show_number(item, key) / (double)loops : 0.0);
}

static const struct show_column sa_columns[] = {
	{{"name", 0}, "name", cell_text},
	{{"dir", 0}, "direction", cell_text},
	{{"spi", 0}, "spi", cell_text},
	{{"proto", 0}, "protocol", cell_text},
	{{"mode", 0}, "mode", cell_text},
	{{"algorithm", TABLE_CUT}, "algorithm", cell_text},
	{{"source", 0}, "source", cell_text},
	{{"destination", 0}, "destination", cell_text},
	{{"state", 0}, "state", cell_text},
	{{"packets", TABLE_NUMBER}, "packets", cell_number},
	{{"bytes", TABLE_NUMBER}, "bytes", cell_bytes},
	{{"drops", TABLE_NUMBER}, "drops", cell_number},
};

static const struct show_column policy_columns[] = {
	{{"name", 0}, "name", cell_text},
	{{"dir", 0}, "direction", cell_text},
	{{"action", 0}, "action", cell_text},
	{{"source", TABLE_CUT}, "source", cell_end},
	{{"destination", TABLE_CUT}, "destination", cell_end},
	{{"protocol", 0}, "protocol", cell_protocol},
	{{"sas", TABLE_CUT}, "sas", cell_list},
	{{"alternatives", TABLE_CUT | TABLE_RARE}, "alternatives", cell_list},
};

static const struct show_column port_columns[] = {
	{{"name", 0}, "name", cell_text},
	{{"side", 0}, "side", cell_text},
	{{"link", 0}, "link", cell_text},
	{{"mtu", TABLE_NUMBER}, "mtu", cell_number},
	{{"rx packets", TABLE_NUMBER}, "rx_packets", cell_number},
	{{"rx bytes", TABLE_NUMBER}, "rx_bytes", cell_bytes},
	{{"tx packets", TABLE_NUMBER}, "tx_packets", cell_number},
	{{"tx bytes", TABLE_NUMBER}, "tx_bytes", cell_bytes},
	{{"drops", TABLE_NUMBER}, "drops", cell_number},
	{{"missed", TABLE_NUMBER}, "missed", cell_number},
	{{"mac", 0}, "mac", cell_text},
	{{"addresses", TABLE_CUT}, "addresses", cell_list},
	{{"device", TABLE_CUT}, "device", cell_text},
};

static const struct show_column worker_columns[] = {
	{{"worker", TABLE_NUMBER}, "worker", cell_number},
	{{"cpu", TABLE_NUMBER}, "cpu", cell_number},
	{{"packets", TABLE_NUMBER}, "packets", cell_number},
	{{"drops", TABLE_NUMBER}, "drops", cell_number},
	{{"loops", TABLE_NUMBER}, "loops", cell_number},
	{{"with packets", TABLE_NUMBER}, "busy_loops", cell_busy},
};

static const struct show_column route_columns[] = {
	{{"to", 0}, "to", cell_text},
	{{"via", 0}, "via", cell_text},
	{{"port", 0}, "port", cell_text},
};

static const struct show_column neighbour_columns[] = {
	{{"address", 0}, "address", cell_text},
	{{"port", 0}, "port", cell_text},
	{{"mac", 0}, "mac", cell_text},
	{{"state", 0}, "state", cell_text},
};

static const struct show_column drop_columns[] = {
	{{"reason", 0}, "reason", cell_text},
	{{"packets", TABLE_NUMBER}, "packets", cell_number},
	{{"xfrm_stat", 0}, "xfrm", cell_text},
	{{"cause and cure", TABLE_CUT}, "text", cell_text},
};

/* Append a page's items; *next is where the rest begins, -1 if there is none. False without memory. */
static bool page_append(json_t *all, json_t *page, const char *name, long *next)
{
	const json_t *at = json_object_get(page, "next");
	json_t *list = json_object_get(all, name);
	json_t *items = json_object_get(page, name);

	*next = at ? (long)json_integer_value(at) : -1;
	json_object_del(page, "next");
	json_object_del(all, "next");
	if (at && *next >= 0)
		json_object_set_new(all, "next", json_integer(*next));
	json_object_set(all, "total", json_object_get(page, "total"));
	return json_array_extend(list, items) == 0;
}

/* The arguments of the next page, of the most that are still wanted (-1: all). */
static json_t *page_arguments(const json_t *arguments, long offset, long wanted)
{
	json_t *page = json_copy((json_t *)arguments);

	json_object_set_new(page, "offset", json_integer(offset));
	json_object_set_new(
		page, "limit", json_integer(wanted >= 0 && wanted < PAGE_ITEMS ? wanted : PAGE_ITEMS));
	return page;
}

json_t *show_all_pages(struct client *client, const char *command, const char *name, const json_t *arguments,
	struct err *err)
{
	json_t *all = json_pack("{s:[]}", name), *limit = json_object_get(arguments, "limit");
	long offset = (long)json_integer_value(json_object_get(arguments, "offset"));
	long wanted = limit ? (long)json_integer_value(limit) : -1;

	do {
		json_t *page = client_call(client, command, page_arguments(arguments, offset, wanted), err);
		size_t n = json_array_size(json_object_get(page, name));

		if (!page || !page_append(all, page, name, &offset)) {
			json_decref(page);
			json_decref(all);
			return NULL;
		}
		json_decref(page);
		wanted = wanted < 0 ? -1 : wanted - (long)n;
		if (n == 0)
			break;
	} while (offset >= 0 && wanted != 0);
	return all;
}

static bool is_anywhere(const json_t *list, const char *key)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		if (json_object_get(item, key))
			return true;
	}
	return false;
}

static void print_table(const json_t *list, const struct show_column *columns, size_t n)
{
	const struct show_column *shown[TABLE_COLUMNS_MAX];
	struct table_column titles[TABLE_COLUMNS_MAX];
	char cell[SHOW_CELL_MAX];
	size_t i, n_shown = 0;
	struct table table;
	const json_t *item;

	for (size_t c = 0; c < n; c++)
		if (!(columns[c].column.flags & TABLE_RARE) || is_anywhere(list, columns[c].key)) {
			titles[n_shown] = columns[c].column;
			shown[n_shown++] = &columns[c];
		}
	table_init(&table, titles, n_shown);
	json_array_foreach((json_t *)list, i, item)
	{
		for (size_t c = 0; c < n_shown; c++) {
			shown[c]->format(item, shown[c]->key, cell);
			table_add(&table, cell);
		}
	}
	table_print(&table);
	table_fini(&table);
}

/* What is not on this page, if anything. */
static void print_rest(const json_t *all, const char *name)
{
	uint64_t total = show_number(all, "total");
	size_t shown = json_array_size(json_object_get(all, name));

	if (shown < total)
		printf("%zu of %" PRIu64 " shown\n", shown, total);
}

/* A list with pages: `arguments` is taken over. */
static enum command_result show_list(const struct invocation *invocation, const char *command,
	const char *name, json_t *arguments, const struct show_column *columns, size_t n_columns,
	struct err *err)
{
	struct client client;
	json_t *all = NULL;

	if (client_open(&client, invocation->socket, CLIENT_SHOW_TIMEOUT_S, err) == 0) {
		all = show_all_pages(&client, command, name, arguments, err);
		client_close(&client);
	}
	json_decref(arguments);
	if (!all)
		return COMMAND_FAILED;
	if (invocation->json) {
		show_json(all);
	} else {
		print_table(json_object_get(all, name), columns, n_columns);
		print_rest(all, name);
	}
	json_decref(all);
	return COMMAND_OK;
}

/* An answer that is whole. */
static json_t *ask(
	const struct invocation *invocation, const char *command, json_t *arguments, struct err *err)
{
	struct client client;
	json_t *result = NULL;

	if (client_open(&client, invocation->socket, CLIENT_SHOW_TIMEOUT_S, err) == 0) {
		result = client_call(&client, command, arguments, err);
		client_close(&client);
	} else {
		json_decref(arguments);
	}
	return result;
}

/* A list without pages. */
static enum command_result show_whole(const struct invocation *call, const char *command, const char *name,
	const struct show_column *columns, size_t n_columns, struct err *err)
{
	struct invocation invocation = *call;
	json_t *result;

	if (arguments_read(&invocation, NULL, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	result = ask(&invocation, command, NULL, err);
	if (!result)
		return COMMAND_FAILED;
	if (invocation.json)
		show_json(result);
	else
		print_table(json_object_get(result, name), columns, n_columns);
	json_decref(result);
	return COMMAND_OK;
}

struct page_options {
	long offset;
	long limit; /* -1: all */
};

#define PAGE_OPTIONS(page)                                                                                   \
	{"--offset", ARGUMENT_NUMBER, &(page).offset},                                                       \
	{                                                                                                    \
		"--limit", ARGUMENT_NUMBER, &(page).limit                                                    \
	}

static json_t *page_json(const struct page_options *page)
{
	json_t *arguments = json_pack("{s:I}", "offset", (json_int_t)page->offset);

	if (page->limit >= 0)
		json_object_set_new(arguments, "limit", json_integer(page->limit));
	return arguments;
}

static void put_if_given(json_t *arguments, const char *key, const char *value)
{
	if (value)
		json_object_set_new(arguments, key, json_string(value));
}

/* As a number, whatever its base was. */
static int put_spi(json_t *arguments, const char *text, struct err *err)
{
	char *end;
	long long spi = strtoll(text, &end, 0);

	if (end == text || *end != '\0' || spi < 0 || spi > UINT32_MAX)
		return err_set(err, EINVAL, "--spi takes an SPI, as 0x1001, not '%s'", text);
	json_object_set_new(arguments, "spi", json_integer(spi));
	return 0;
}

static enum command_result show_sas(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct page_options page = {0, -1};
	const char *address = NULL, *spi = NULL, *direction = NULL;
	const struct argument_option options[] = {PAGE_OPTIONS(page), {"--address", ARGUMENT_TEXT, &address},
		{"--spi", ARGUMENT_TEXT, &spi}, {"--direction", ARGUMENT_TEXT, &direction}, {0}};
	json_t *arguments;

	if (arguments_read(&invocation, options, 0, 1, err) != 0)
		return COMMAND_MISUSED;
	arguments = page_json(&page);
	put_if_given(arguments, "name", invocation.argc > 0 ? invocation.argv[0] : NULL);
	put_if_given(arguments, "address", address);
	if (spi && put_spi(arguments, spi, err) != 0) {
		json_decref(arguments);
		return COMMAND_MISUSED;
	}
	put_if_given(arguments, "direction", direction);
	return show_list(&invocation, "show-sas", "sas", arguments, COLUMNS(sa_columns), err);
}

static enum command_result show_policies(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct page_options page = {0, -1};
	const struct argument_option options[] = {PAGE_OPTIONS(page), {0}};
	json_t *arguments;

	if (arguments_read(&invocation, options, 0, 1, err) != 0)
		return COMMAND_MISUSED;
	arguments = page_json(&page);
	put_if_given(arguments, "name", invocation.argc > 0 ? invocation.argv[0] : NULL);
	return show_list(&invocation, "show-policies", "policies", arguments, COLUMNS(policy_columns), err);
}

static enum command_result show_paged(const struct invocation *call, const char *command, const char *name,
	const struct show_column *columns, size_t n_columns, struct err *err)
{
	struct invocation invocation = *call;
	struct page_options page = {0, -1};
	const struct argument_option options[] = {PAGE_OPTIONS(page), {0}};

	if (arguments_read(&invocation, options, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	return show_list(&invocation, command, name, page_json(&page), columns, n_columns, err);
}

static enum command_result show_routes(const struct invocation *invocation, struct err *err)
{
	return show_paged(invocation, "show-routes", "routes", COLUMNS(route_columns), err);
}

static enum command_result show_neighbours(const struct invocation *invocation, struct err *err)
{
	return show_paged(invocation, "show-neighbours", "neighbours", COLUMNS(neighbour_columns), err);
}

static enum command_result show_ports(const struct invocation *invocation, struct err *err)
{
	return show_whole(invocation, "show-ports", "ports", COLUMNS(port_columns), err);
}

static enum command_result show_workers(const struct invocation *invocation, struct err *err)
{
	return show_whole(invocation, "show-workers", "workers", COLUMNS(worker_columns), err);
}

/* The most frequent first. */
static int more_packets(const void *a, const void *b)
{
	uint64_t x = show_number(*(json_t *const *)a, "packets"),
		 y = show_number(*(json_t *const *)b, "packets");

	return (y > x) - (y < x);
}

static json_t *by_packets(json_t *list)
{
	size_t n = json_array_size(list);
	json_t **items = calloc(n + 1, sizeof(*items)), *sorted = json_array();

	for (size_t i = 0; items && i < n; i++)
		items[i] = json_array_get(list, i);
	if (items)
		qsort(items, n, sizeof(*items), more_packets);
	for (size_t i = 0; items && i < n; i++)
		json_array_append(sorted, items[i]);
	free(items);
	return sorted;
}

/* Each packet that came or was made is somewhere; some are under way while they are counted. */
static void print_balance(const json_t *result)
{
	printf("received %" PRIu64 " and generated %" PRIu64 "; sent %" PRIu64 ", dropped %" PRIu64
	       ", consumed %" PRIu64 ", held %" PRIu64 "; to the host %" PRIu64 ", from it %" PRIu64 "\n",
		show_number(result, "received"), show_number(result, "generated"),
		show_number(result, "sent"), show_number(result, "dropped"), show_number(result, "consumed"),
		show_number(result, "held"), show_number(result, "to_host"),
		show_number(result, "from_host"));
}

static void print_drops(json_t *result)
{
	json_t *sorted = by_packets(json_object_get(result, "drops"));

	if (json_array_size(sorted) > 0)
		print_table(sorted, COLUMNS(drop_columns));
	else
		puts("nothing was dropped");
	print_balance(result);
	json_decref(sorted);
}

static enum command_result show_drops(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	bool all = false;
	const struct argument_option options[] = {{"--all", ARGUMENT_FLAG, &all}, {0}};
	json_t *result;

	if (arguments_read(&invocation, options, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	result = ask(&invocation, "show-drops", json_pack("{s:b}", "all", all), err);
	if (!result)
		return COMMAND_FAILED;
	if (invocation.json)
		show_json(result);
	else
		print_drops(result);
	json_decref(result);
	return COMMAND_OK;
}

static enum command_result show_version(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	char up[UNITS_TEXT_MAX];
	json_t *result;

	if (arguments_read(&invocation, NULL, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	result = ask(&invocation, "show-version", NULL, err);
	if (!result)
		return COMMAND_FAILED;
	if (invocation.json)
		show_json(result);
	else
		printf("culvertd %s, protocol %" PRIu64 ", up %s\n", show_text(result, "version"),
			show_number(result, "protocol"),
			units_seconds(show_number(result, "uptime_seconds"), up));
	json_decref(result);
	return COMMAND_OK;
}

const struct command show_commands[] = {
	{"show sas", "[PATTERN] [--address IP] [--spi SPI] [--direction DIR] [--offset N] [--limit N]",
		"the security associations, with their counters",
		"All of them, or those whose name matches the pattern (`'hq-*'`; quote it for the shell), "
		"that "
		"have the address at either end, of that SPI (`0x1001`) or direction (`in` or `out`). With "
		"`--limit` at most "
		"so "
		"many, from the one at `--offset` on.",
		show_sas},
	{"show policies", "[PATTERN] [--offset N] [--limit N]",
		"the policies, in the order in which they are searched",
		"All of them, or those whose name matches the pattern.", show_policies},
	{"show ports", "", "the ports, with their links and counters",
		"`drops` are packets that came by the port and were dropped, whatever the reason; `missed` "
		"are "
		"those that the device had no room for.",
		show_ports},
	{"show routes", "[--offset N] [--limit N]",
		"the routes: those of the ports' links, then the configured ones", NULL, show_routes},
	{"show neighbours", "[--offset N] [--limit N]",
		"the neighbours that are known or asked for, with their MAC addresses", NULL,
		show_neighbours},
	{"show workers", "", "the workers, with their packets",
		"`with packets` is the share of a worker's rounds that found any, since it began.",
		show_workers},
	{"show drops", "[--all]", "how many packets were dropped, by reason, with cause and cure",
		"The reasons that occurred, the most frequent first; with `--all` the others too. Then what "
		"became of all packets.",
		show_drops},
	{"show version", "", "the version of the running daemon, and since when it runs", NULL, show_version},
	{NULL, NULL, NULL, NULL, NULL},
};
