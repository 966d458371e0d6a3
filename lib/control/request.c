#include "control/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "control/server.h"
#include "control/service.h"

#define ERROR_SHOWN_MAX 64

static const struct command *const tables[] = {
	commands_show, commands_show_sas, commands_change, commands_watch};

const struct command *command_at(size_t i)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct command *command = tables[t]; command->name; command++)
			if (i-- == 0)
				return command;
	return NULL;
}

static const struct command *command_find(const char *name)
{
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)) != NULL; i++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

/* A sentence that quotes what came may be cut within a character, and JSON takes only whole ones. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	char *plain;

	if (json)
		return json;
	plain = xstrdup(text);
	for (char *at = plain; *at; at++)
		if ((unsigned char)*at > 0x7e)
			*at = '?';
	json = json_string(plain);
	free(plain);
	return json;
}

static json_t *finding_json(const struct finding *finding)
{
	json_t *object =
		json_pack("{s:o, s:o}", "path", text_json(finding->path), "text", text_json(finding->text));

	if (finding->line > 0) {
		json_object_set_new(object, "line", json_integer(finding->line));
		json_object_set_new(object, "column", json_integer(finding->column));
	}
	return object;
}

static json_t *error_json(const char *text, const struct report *report)
{
	json_t *error = json_pack("{s:o}", "text", text_json(text));
	json_t *findings;

	if (report_total(report) == 0)
		return error;
	findings = json_array();
	for (size_t i = 0; i < report->n_findings; i++)
		json_array_append_new(findings, finding_json(&report->findings[i]));
	json_object_set_new(error, "findings", findings);
	if (report->n_more > 0)
		json_object_set_new(error, "more", json_integer((json_int_t)report->n_more));
	return error;
}

static json_t *failure(const char *text, const struct report *report)
{
	return json_pack(
		"{s:i, s:b, s:o}", "version", SERVER_VERSION, "ok", 0, "error", error_json(text, report));
}

json_t *request_refusal(const char *text)
{
	struct report none = {0};

	return failure(text, &none);
}

/* Is the name one of the words that the command takes? */
static bool takes(const struct command *command, const char *name)
{
	size_t length = strlen(name);

	for (const char *word = command->arguments; *word; word += strspn(word, " ")) {
		size_t word_length = strcspn(word, " ");

		if (word_length == length && memcmp(word, name, length) == 0)
			return true;
		word += word_length;
	}
	return false;
}

/* A name that the command does not take is a mistake that would otherwise go unseen. */
static int arguments_check(struct request *request, const struct command *command)
{
	const char *name;
	json_t *value;

	json_object_foreach(request->arguments, name, value) if (!takes(command, name)) return err_set(
		&request->err, EINVAL, "command %s has no argument '%.*s'; it takes: %s", command->name,
		ERROR_SHOWN_MAX, name, command->arguments[0] ? command->arguments : "none");
	return 0;
}

static int run(struct request *request)
{
	json_t *root = request->root, *name = json_object_get(root, "command");
	json_t *arguments = json_object_get(root, "arguments");
	json_t *version = json_object_get(root, "version");
	const struct command *command;
	int ret;

	if (!json_is_object(root) || !json_is_string(name))
		return err_set(&request->err, EINVAL, "a request is an object with a string 'command'");
	if (version && json_integer_value(version) != SERVER_VERSION)
		return err_set(&request->err, EINVAL, "this is version %d of the protocol", SERVER_VERSION);
	command = command_find(json_string_value(name));
	if (!command)
		return err_set(&request->err, ENOENT, "no command is named '%.*s'", ERROR_SHOWN_MAX,
			json_string_value(name));
	if (arguments && !json_is_object(arguments))
		return err_set(&request->err, EINVAL, "'arguments' is an object");
	request->arguments = arguments ? json_incref(arguments) : json_object();
	ret = arguments_check(request, command);
	return ret == 0 ? command->run(request) : ret;
}

static json_t *answer_make(const struct request *request, int ret)
{
	json_t *answer;

	if (ret == 0 && report_total(&request->report) == 0)
		return json_pack(
			"{s:i, s:b, s:O}", "version", SERVER_VERSION, "ok", 1, "result", request->result);
	answer = failure(
		request->err.text[0] ? request->err.text : "the configuration has faults", &request->report);
	if (request->findings_of && report_total(&request->report) > 0)
		json_object_set_new(
			json_object_get(answer, "error"), "findings_of", json_string(request->findings_of));
	return answer;
}

/* Something is always answered, or the connection closed: else the other side would wait. */
static void answer_send(struct connection *connection, json_t *answer, json_t *id)
{
	if (id)
		json_object_set(answer, "id", id);
	if (!connection_send(connection, answer)) {
		json_t *refusal = request_refusal("the answer is too long; ask for a part of it by 'limit'");

		if (id)
			json_object_set(refusal, "id", id);
		connection->is_closing = !connection_send(connection, refusal);
		json_decref(refusal);
	}
	json_decref(answer);
}

static struct request *request_create(struct control *control, struct connection *connection)
{
	struct request *request = xcalloc(1, sizeof(*request));

	request->control = control;
	request->connection = connection;
	request->result = json_object();
	report_init(&request->report);
	return request;
}

static void request_destroy(struct request *request)
{
	report_fini(&request->report);
	json_decref(request->arguments);
	json_decref(request->result);
	json_decref(request->root);
	free(request);
}

/* One line for each finding, as culvertd --check has them. */
static void reload_log(const struct request *request, int ret)
{
	const char *path = request->control->source->path;

	for (size_t i = 0; i < request->report.n_findings; i++) {
		const struct finding *finding = &request->report.findings[i];

		log_error("reload: %s file=%s line=%u column=%u object=%s", finding->text, path,
			finding->line, finding->column, finding->path[0] ? finding->path : "-");
	}
	if (ret != 0)
		log_error("reload failed: %s", request->err.text);
}

void request_end(struct request *request, int ret)
{
	struct connection *connection = request->connection;

	if (request->is_signal) {
		reload_log(request, ret);
		service_ready(&request->control->service);
	}
	if (connection) {
		connection->awaits = false;
		answer_send(connection, answer_make(request, ret), json_object_get(request->root, "id"));
	}
	request_destroy(request);
}

static int parse_and_run(struct request *request, const char *line, size_t length)
{
	json_error_t fault;

	request->root = json_loadb(line, length, JSON_REJECT_DUPLICATES, &fault);
	if (request->root)
		return run(request);
	return err_set(&request->err, EINVAL, "the request is no JSON: column %d: %s", fault.column,
		json_error_code(&fault) == json_error_duplicate_key ? "a key stands twice" : "syntax");
}

bool request_answer(struct control *control, struct connection *connection, const char *line, size_t length)
{
	struct request *request = request_create(control, connection);
	int ret = parse_and_run(request, line, length);

	connection->awaits = ret == REQUEST_LATER || ret == REQUEST_WAITS;
	if (ret == REQUEST_WAITS)
		request_destroy(request);
	else if (ret != REQUEST_LATER)
		request_end(request, ret);
	return ret != REQUEST_WAITS;
}

void request_reload(struct control *control)
{
	struct request *request = request_create(control, NULL);
	int ret;

	request->is_signal = true;
	request->arguments = json_object();
	ret = command_find("reload")->run(request);
	if (ret != REQUEST_LATER)
		request_end(request, ret);
}

static int argument_find(struct request *request, const char *name, bool is_needed, json_t **value)
{
	*value = json_object_get(request->arguments, name);
	if (!*value && is_needed)
		return err_set(&request->err, EINVAL, "the argument '%s' is missing", name);
	return 0;
}

int request_string(struct request *request, const char *name, bool is_needed, const char **value)
{
	json_t *found;
	int ret = argument_find(request, name, is_needed, &found);

	if (ret == 0 && found && !json_is_string(found))
		return err_set(&request->err, EINVAL, "the argument '%s' is a string", name);
	if (ret == 0 && found)
		*value = json_string_value(found);
	return ret;
}

int request_number(struct request *request, const char *name, bool is_needed, uint64_t max, uint64_t *value)
{
	json_t *found;
	int ret = argument_find(request, name, is_needed, &found);

	if (ret == 0 && found &&
		(!json_is_integer(found) || json_integer_value(found) < 0 ||
			(uint64_t)json_integer_value(found) > max))
		return err_set(
			&request->err, EINVAL, "the argument '%s' is a number from 0 to %" PRIu64, name, max);
	if (ret == 0 && found)
		*value = (uint64_t)json_integer_value(found);
	return ret;
}

int request_bool(struct request *request, const char *name, bool *value)
{
	json_t *found;

	argument_find(request, name, false, &found);
	if (found && !json_is_boolean(found))
		return err_set(&request->err, EINVAL, "the argument '%s' is true or false", name);
	if (found)
		*value = json_is_true(found);
	return 0;
}
