/*
 * The commands of culvertctl that change the running gateway: by a whole configuration, or by some SAs and
 * policies.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "client.h"
#include "command.h"
#include "document.h"
#include "show.h"

#define US_PER_MS 1000

/* What the request was made of, for findings about it. */
struct origin {
	const char *file;                /* that the daemon read itself; NULL: none */
	const struct document *document; /* NULL: none */
	const char *within;              /* what of a request the document is */
};

static void finding_print(const json_t *finding, const struct origin *origin, bool is_of_request)
{
	const char *path = json_string_value(json_object_get(finding, "path"));
	const char *text = show_text(finding, "text");
	uint64_t line = show_number(finding, "line");

	path = path ? path : "";
	if (origin->document && is_of_request) {
		document_finding_print(origin->document, origin->within, path, text);
		return;
	}
	if (origin->file)
		fprintf(stderr, "%s:", origin->file);
	if (origin->file && line > 0)
		fprintf(stderr, "%" PRIu64 ":%" PRIu64 ":", line, show_number(finding, "column"));
	fprintf(stderr, "%s%s%s%s\n", origin->file ? " " : "", path, path[0] ? ": " : "", text);
}

/* What the daemon found wrong, if that is why it refused. */
static void findings_print(const json_t *error, const struct origin *origin)
{
	const json_t *findings = json_object_get(error, "findings"), *finding;
	bool is_of_request = strcmp(show_text(error, "findings_of"), "request") == 0;
	uint64_t more = show_number(error, "more");
	size_t i;

	json_array_foreach((json_t *)findings, i, finding)
	{
		finding_print(finding, origin, is_of_request);
	}
	if (more > 0)
		fprintf(stderr, "and %" PRIu64 " more\n", more);
}

/* The kinds of objects, as the daemon names them and as a line of a change does. */
static const struct {
	const char *key;
	const char *name;
} objects[] = {{"sas", "sa"}, {"policies", "policy"}, {"routes", "route"}, {"neighbours", "neighbour"},
	{"icmp", NULL}};

static const struct {
	const char *key;
	char mark;
} kinds[] = {{"added", '+'}, {"changed", '~'}, {"removed", '-'}};

/* A line for each name, and one for those that the answer has no room for. */
static void print_names(const json_t *names, uint64_t count, char mark, const char *object)
{
	const json_t *name;
	size_t i;

	json_array_foreach((json_t *)names, i, name)
	{
		printf("%c %s%s%s\n", mark, object ? object : "", object ? " " : "", json_string_value(name));
	}
	if (json_array_size(names) < count)
		printf("%c and %" PRIu64 " more of %s\n", mark, count - json_array_size(names), object);
}

static uint64_t print_object(const json_t *result, size_t object)
{
	const json_t *counts = json_object_get(json_object_get(result, "counts"), objects[object].key);
	const json_t *names = json_object_get(json_object_get(result, "names"), objects[object].key);
	uint64_t total = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		const json_t *list = json_object_get(names, kinds[k].key);
		uint64_t count =
			json_is_object(counts) ? show_number(counts, kinds[k].key) : json_array_size(list);

		print_names(list, count, kinds[k].mark, objects[object].name);
		total += count;
	}
	return total;
}

static void print_change(const json_t *result)
{
	bool is_reordered =
		json_is_true(json_object_get(json_object_get(result, "counts"), "policies_reordered"));
	uint64_t total = is_reordered;

	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		total += print_object(result, i);
	if (is_reordered)
		puts("~ order of policies");
	if (total == 0)
		puts("nothing is different");
	else if (!json_is_true(json_object_get(result, "made")))
		puts("dry run: nothing has changed");
	else
		printf("changed in %.3f ms\n", (double)show_number(result, "microseconds") / US_PER_MS);
}

/* Ask for a change and print it. `arguments` are taken over. */
static enum command_result change(const struct invocation *invocation, const char *command, json_t *arguments,
	const struct origin *origin, struct err *err)
{
	struct client client;
	json_t *result;

	if (client_open(&client, invocation->socket, CLIENT_CHANGE_TIMEOUT_S, err) != 0) {
		json_decref(arguments);
		return COMMAND_FAILED;
	}
	result = client_call(&client, command, arguments, err);
	if (!result)
		findings_print(client.error, origin);
	else if (invocation->json)
		show_json(result);
	else
		print_change(result);
	client_close(&client);
	json_decref(result);
	return result ? COMMAND_OK : COMMAND_FAILED;
}

static enum command_result reload(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct origin origin = {.file = "the configuration"};
	bool is_dry = false;
	const struct argument_option options[] = {{"--dry-run", ARGUMENT_FLAG, &is_dry}, {0}};

	if (arguments_read(&invocation, options, 0, 0, err) != 0)
		return COMMAND_MISUSED;
	return change(&invocation, "reload", json_pack("{s:b}", "dry_run", is_dry), &origin, err);
}

static enum command_result apply(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	struct origin origin = {0};
	bool is_dry = false;
	const struct argument_option options[] = {{"--dry-run", ARGUMENT_FLAG, &is_dry}, {0}};
	enum command_result result;
	char *path;

	if (arguments_read(&invocation, options, 1, 1, err) != 0)
		return COMMAND_MISUSED;
	origin.file = invocation.argv[0];
	path = realpath(origin.file, NULL);
	if (!path) {
		err_set(err, errno, "%s: %s", origin.file, strerror(errno));
		return COMMAND_FAILED;
	}
	result = change(
		&invocation, "apply", json_pack("{s:s, s:b}", "file", path, "dry_run", is_dry), &origin, err);
	free(path);
	return result;
}

static bool is_one_policy(const json_t *json)
{
	return json_object_get(json, "action") || json_object_get(json, "direction");
}

/*
 * A document that may stand alone or below its key, and a policy without its list: it becomes the request's
 * argument `key`, and *within says what of the request the document is.
 */
static json_t *arguments_of(json_t *json, const char *key, const char **within)
{
	json_t *arguments = json_object();
	json_t *below = json_object_size(json) == 1 ? json_object_get(json, key) : NULL;

	if (strcmp(key, "policies") == 0 && is_one_policy(json)) {
		*within = "policies[0]";
		json_object_set_new(arguments, key, json_pack("[O]", json));
	} else {
		*within = below ? "" : key;
		json_object_set(arguments, key, below ? below : json);
	}
	json_decref(json);
	return arguments;
}

struct part_options {
	bool is_dry;
	const char *before;
	const char *after;
};

/* Add SAs or policies of a file, or with `replaces` put them in the place of those that have their names. */
static enum command_result part_change(const struct invocation *invocation, const char *key, bool replaces,
	const struct part_options *part, struct err *err)
{
	enum command_result result = COMMAND_FAILED;
	struct origin origin = {0};
	struct document document;
	json_t *json = NULL;

	if (document_read(&document, invocation->argv[0], err) == 0)
		json = document_json(&document, err);
	if (json) {
		json_t *arguments = arguments_of(json, key, &origin.within);

		origin.document = &document;
		json_object_set_new(arguments, "replace", json_boolean(replaces));
		json_object_set_new(arguments, "dry_run", json_boolean(part->is_dry));
		if (part->before)
			json_object_set_new(arguments, "before", json_string(part->before));
		if (part->after)
			json_object_set_new(arguments, "after", json_string(part->after));
		result = change(invocation, "change", arguments, &origin, err);
	}
	document_close(&document);
	return result;
}

static enum command_result sas_change(const struct invocation *call, bool replaces, struct err *err)
{
	struct invocation invocation = *call;
	struct part_options part = {0};
	const struct argument_option options[] = {{"--dry-run", ARGUMENT_FLAG, &part.is_dry}, {0}};

	if (arguments_read(&invocation, options, 1, 1, err) != 0)
		return COMMAND_MISUSED;
	return part_change(&invocation, "sas", replaces, &part, err);
}

static enum command_result sa_add(const struct invocation *invocation, struct err *err)
{
	return sas_change(invocation, false, err);
}

static enum command_result sa_update(const struct invocation *invocation, struct err *err)
{
	return sas_change(invocation, true, err);
}

static enum command_result policies_change(const struct invocation *call, bool replaces, struct err *err)
{
	struct invocation invocation = *call;
	struct part_options part = {0};
	const struct argument_option options[] = {{"--dry-run", ARGUMENT_FLAG, &part.is_dry},
		{"--before", ARGUMENT_TEXT, &part.before}, {"--after", ARGUMENT_TEXT, &part.after}, {0}};

	if (arguments_read(&invocation, options, 1, 1, err) != 0)
		return COMMAND_MISUSED;
	return part_change(&invocation, "policies", replaces, &part, err);
}

static enum command_result policy_add(const struct invocation *invocation, struct err *err)
{
	return policies_change(invocation, false, err);
}

static enum command_result policy_update(const struct invocation *invocation, struct err *err)
{
	return policies_change(invocation, true, err);
}

static enum command_result names_delete(const struct invocation *call, const char *key, struct err *err)
{
	struct invocation invocation = *call;
	struct origin origin = {0};
	bool is_dry = false;
	const struct argument_option options[] = {{"--dry-run", ARGUMENT_FLAG, &is_dry}, {0}};
	json_t *names;

	if (arguments_read(&invocation, options, 1, INT_MAX, err) != 0)
		return COMMAND_MISUSED;
	names = json_array();
	for (int i = 0; i < invocation.argc; i++)
		json_array_append_new(names, json_string(invocation.argv[i]));
	return change(
		&invocation, "change", json_pack("{s:o, s:b}", key, names, "dry_run", is_dry), &origin, err);
}

static enum command_result sa_delete(const struct invocation *invocation, struct err *err)
{
	return names_delete(invocation, "delete_sas", err);
}

static enum command_result policy_delete(const struct invocation *invocation, struct err *err)
{
	return names_delete(invocation, "delete_policies", err);
}

/* In the document all scalars are text. */
static void flags_make(json_t *arguments)
{
	static const char *const flags[] = {"replace", "lasting", "dry_run"};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const char *text = json_string_value(json_object_get(arguments, flags[i]));

		if (text && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
			json_object_set_new(arguments, flags[i], json_boolean(text[0] == 't'));
	}
}

static enum command_result change_of_file(const struct invocation *call, struct err *err)
{
	struct invocation invocation = *call;
	enum command_result result = COMMAND_FAILED;
	struct document document;
	struct origin origin = {.document = &document, .within = ""};
	bool is_dry = false;
	const struct argument_option options[] = {{"--dry-run", ARGUMENT_FLAG, &is_dry}, {0}};
	json_t *arguments = NULL;

	if (arguments_read(&invocation, options, 1, 1, err) != 0)
		return COMMAND_MISUSED;
	if (document_read(&document, invocation.argv[0], err) == 0)
		arguments = document_json(&document, err);
	if (arguments && !json_is_object(arguments)) {
		err_set(err, EINVAL, "%s: a change has keys: sas, policies, delete_sas, delete_policies",
			document.name);
		json_decref(arguments);
	} else if (arguments) {
		flags_make(arguments);
		if (is_dry)
			json_object_set_new(arguments, "dry_run", json_true());
		result = change(&invocation, "change", arguments, &origin, err);
	}
	document_close(&document);
	return result;
}

#define OF_DRY_RUN " With `--dry-run` it only tells what would change."

const struct command change_commands[] = {
	{"reload", "[--dry-run]", "read the daemon's configuration again, and apply what is different",
		"Only what is different is touched: the other SAs keep their sequence numbers, windows and "
		"counters. All of it is applied or nothing. A line begins with `+` for what was added, `~` "
		"for "
		"what was changed, `-` for what was removed." OF_DRY_RUN,
		reload},
	{"apply", "FILE [--dry-run]", "make the gateway what another configuration says",
		"As `reload`, with a file that the daemon reads, so that it must be able to. Faults are told "
		"as `FILE:LINE:COLUMN`, and nothing has changed then." OF_DRY_RUN,
		apply},
	{"change", "FILE|- [--dry-run]", "add, replace and delete SAs and policies at once",
		"A YAML or JSON file, or standard input, with `sas` and `policies` as in a configuration, "
		"`delete_sas` and `delete_policies` (lists of names); `before` or `after` (a policy) says "
		"where "
		"new policies go, and `replace: true` that SAs and policies may take the place of those of "
		"their names. `moves` gives SAs, by name, another `source`, `destination`, `source_port`, "
		"`destination_port`, `encap` or `follows` (or none, by `\"\"`), without their keys. What is "
		"added with `lasting: true` is left alone by `reload`. All or nothing; the configuration's "
		"file stays as it is. Key files are looked "
		"for beside the daemon's configuration." OF_DRY_RUN,
		change_of_file},
	{"sa add", "FILE|- [--dry-run]", "add SAs",
		"The file has them as they stand below `sas:` in a configuration, by their names." OF_DRY_RUN,
		sa_add},
	{"sa update", "FILE|- [--dry-run]", "replace SAs, or add them",
		"As `sa add`, for SAs that are there already too. An SA that keeps its key keeps its "
		"sequence "
		"numbers and window." OF_DRY_RUN,
		sa_update},
	{"sa delete", "NAME... [--dry-run]", "delete SAs that no policy uses any more",
		"All of those named, or none." OF_DRY_RUN, sa_delete},
	{"policy add", "FILE|- [--before NAME] [--after NAME] [--dry-run]", "add policies",
		"The file has them as they stand in the list below `policies:` in a configuration, or one of "
		"them. They go behind all others, or where `--before` or `--after` says." OF_DRY_RUN,
		policy_add},
	{"policy update", "FILE|- [--before NAME] [--after NAME] [--dry-run]",
		"replace policies, or add them",
		"As `policy add`; one that is there already keeps its place." OF_DRY_RUN, policy_update},
	{"policy delete", "NAME... [--dry-run]", "delete policies", "All of those named, or none." OF_DRY_RUN,
		policy_delete},
	{NULL, NULL, NULL, NULL, NULL},
};
