/* The commands that change what is: by a whole configuration, or by some SAs and policies. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "control/change_answer.h"
#include "control/moves.h"
#include "control/reload.h"
#include "control/reloading.h"
#include "control/request.h"
#include "control/retire.h"
#include "control/sas.h"

/* The command's work goes on in another thread (control/reloading.h), and so does the gateway's. */
static int file_apply(struct request *request, const char *path, const char *by)
{
	bool is_dry = false;

	if (request_bool(request, "dry_run", &is_dry) != 0)
		return -EINVAL;
	if (reloading_is_under_way(request->control))
		return REQUEST_WAITS;
	return reloading_begin(request, &(struct reloading_conf){path, by, is_dry});
}

static int run_reload(struct request *request)
{
	return file_apply(request, request->control->source->path, "reload");
}

static int run_apply(struct request *request)
{
	const char *path = NULL;

	if (request_string(request, "file", true, &path) != 0)
		return -EINVAL;
	if (path[0] != '/')
		return err_set(&request->err, EINVAL, "the argument 'file' is an absolute path");
	return file_apply(request, path, "apply");
}

/* The names of a list; they stay the request's. */
static int names_read(struct request *request, const char *argument, const char ***names, size_t *n)
{
	json_t *list = json_object_get(request->arguments, argument), *name;
	size_t i;

	if (list && !json_is_array(list))
		return err_set(&request->err, EINVAL, "the argument '%s' is a list of names", argument);
	json_array_foreach(list, i, name)
	{
		if (!json_is_string(name))
			return err_set(
				&request->err, EINVAL, "the argument '%s' is a list of names", argument);
		*array_append(names, n) = json_string_value(name);
	}
	return 0;
}

/* What SAs and policies the request has, read by the configuration's schema: JSON is YAML too. */
static int part_read(struct request *request, struct gateway *part)
{
	const struct config_source *source = request->control->source;
	json_t *json = json_object();
	char *text;
	int ret;

	for (size_t i = 0; i < 2; i++) {
		const char *key = i == 0 ? "sas" : "policies";
		json_t *value = json_object_get(request->arguments, key);

		if (value)
			json_object_set(json, key, value);
	}
	text = json_dumps(json, 0);
	json_decref(json);
	if (!text)
		return err_set(&request->err, ENOMEM, "no memory for the request");
	ret = source->read_part(source->path, text, strlen(text), part, &request->report);
	explicit_bzero(text, strlen(text));
	free(text);
	return ret != 0 ? err_set(&request->err, -ret, "the request has faults; nothing has changed") : 0;
}

/* What the part adds is left alone by reload and apply, if that is asked for. */
static int lasting_set(struct request *request, struct gateway *part)
{
	bool is_lasting = false;
	int ret = request_bool(request, "lasting", &is_lasting);

	for (size_t i = 0; i < part->n_sas; i++)
		part->sas[i].is_lasting = is_lasting;
	for (size_t i = 0; i < part->n_policies; i++)
		part->policies[i].is_lasting = is_lasting;
	return ret;
}

static void count(
	struct reload_summary *summary, size_t *counter, const char *what, const char *kind, const char *name)
{
	(*counter)++;
	summary->tell(summary->argument, what, kind, name);
}

static int gone_take(struct request *request, struct change *change, struct reload_summary *summary)
{
	int ret = names_read(request, "delete_sas", &change->gone, &change->n_gone);
	struct name_index seen;

	name_index_init(&seen);
	for (size_t i = 0; ret == 0 && i < change->n_gone; i++) {
		const char *name = change->gone[i];

		if (!sas_find(request->control, name))
			ret = err_set(&request->err, ENOENT, "no SA is named '%s'", name);
		else if (name_index_find(&seen, name) >= 0)
			ret = err_set(&request->err, EINVAL, "'%s' is to be deleted twice", name);
		name_index_add(&seen, name, i);
		count(summary, &summary->sas.removed, "sas", "removed", name);
	}
	name_index_fini(&seen);
	return ret;
}

static int sas_take_new(struct request *request, struct gateway *part, bool replaces, struct change *change,
	struct reload_summary *summary)
{
	for (size_t i = 0; i < part->n_sas; i++) {
		struct sa_conf *conf = &part->sas[i];
		const struct control_sa *found = sas_find(request->control, conf->name);

		if (found && !replaces)
			return err_set(&request->err, EEXIST, "an SA '%s' is there already", conf->name);
		if (found && !reload_sa_may_change(
				     &request->control->gateway->sas[found->index], conf, &request->err))
			return -EINVAL;
		if (found)
			count(summary, &summary->sas.changed, "sas", "changed", conf->name);
		else
			count(summary, &summary->sas.added, "sas", "added", conf->name);
		*array_append(&change->fresh, &change->n_fresh) = *conf;
		*conf = (struct sa_conf){0};
	}
	return 0;
}

static void count_moved(void *argument, const char *name)
{
	struct reload_summary *summary = argument;

	count(summary, &summary->sas.changed, "sas", "changed", name);
}

static int policies_take_out(struct request *request, struct change *change, struct reload_summary *summary)
{
	const struct gateway *gateway = request->control->gateway;
	const char **names = NULL;
	size_t n = 0;
	int ret = names_read(request, "delete_policies", &names, &n);

	for (size_t i = 0; ret == 0 && i < n; i++) {
		long place;

		change_policies_begin(change, gateway);
		place = change_policy_find(change, names[i]);
		if (place < 0)
			ret = err_set(&request->err, ENOENT, "no policy is named '%s'", names[i]);
		else
			change_policy_remove(change, (size_t)place, gateway);
		count(summary, &summary->policies.removed, "policies", "removed", names[i]);
	}
	free(names);
	return ret;
}

/* Where new policies go: before or after one that is named, or at the end. */
static int place_read(struct request *request, const struct change *change, size_t *place)
{
	const char *before = NULL, *after = NULL, *name;
	long found;

	if (request_string(request, "before", false, &before) != 0 ||
		request_string(request, "after", false, &after) != 0)
		return -EINVAL;
	*place = change->n_policies;
	name = before ? before : after;
	if (!name)
		return 0;
	if (before && after)
		return err_set(&request->err, EINVAL, "a place is before a policy or after one");
	found = change_policy_find(change, name);
	if (found < 0)
		return err_set(&request->err, ENOENT, "no policy is named '%s'", name);
	*place = (size_t)found + (after != NULL);
	return 0;
}

static int policies_take_new(struct request *request, struct gateway *part, bool replaces,
	struct change *change, struct reload_summary *summary)
{
	const struct gateway *gateway = request->control->gateway;
	size_t end;
	int ret;

	if (part->n_policies == 0)
		return 0;
	change_policies_begin(change, gateway);
	ret = place_read(request, change, &end);
	for (size_t i = 0; ret == 0 && i < part->n_policies; i++) {
		struct policy *policy = &part->policies[i];
		long found = change_policy_find(change, policy->name);
		size_t place = found < 0 ? end++ : (size_t)found;

		if (found >= 0 && !replaces)
			return err_set(&request->err, EEXIST, "a policy '%s' is there already", policy->name);
		if (found >= 0)
			count(summary, &summary->policies.changed, "policies", "changed", policy->name);
		else
			count(summary, &summary->policies.added, "policies", "added", policy->name);
		if (found >= 0)
			change_policy_remove(change, place, gateway);
		change_policy_insert(change, place, policy);
	}
	return ret;
}

static int part_take(
	struct request *request, struct gateway *part, struct change *change, struct reload_summary *summary)
{
	bool replaces = false;
	int ret = request_bool(request, "replace", &replaces);

	if (ret == 0)
		ret = lasting_set(request, part);
	if (ret == 0)
		ret = gone_take(request, change, summary);
	if (ret == 0)
		ret = sas_take_new(request, part, replaces, change, summary);
	if (ret == 0)
		ret = moves_take(request->control, json_object_get(request->arguments, "moves"), change,
			count_moved, summary, &request->err);
	if (ret == 0)
		ret = policies_take_out(request, change, summary);
	return ret == 0 ? policies_take_new(request, part, replaces, change, summary) : ret;
}

/* The place of a policy in the whole list says little to who does not have the list. */
static void findings_name_policies(struct request *request, const struct change *change)
{
	const struct gateway *gateway = request->control->gateway;
	const struct policy *policies = change->has_policies ? change->policies : gateway->policies;
	size_t n = change->has_policies ? change->n_policies : gateway->n_policies, place;

	for (size_t i = 0; i < request->report.n_findings; i++) {
		struct finding *finding = &request->report.findings[i];
		char *text = NULL;

		if (sscanf(finding->path, "policies[%zu]", &place) != 1 || place >= n)
			continue;
		if (asprintf(&text, "policy '%s': %s", policies[place].name, finding->text) < 0)
			abort();
		free(finding->text);
		finding->text = text;
	}
}

static int run_change(struct request *request)
{
	struct reload_summary summary;
	struct change change;
	struct gateway part;
	bool is_dry = false;
	int ret;

	if (request_bool(request, "dry_run", &is_dry) != 0)
		return -EINVAL;
	if (reloading_is_under_way(request->control))
		return REQUEST_WAITS;
	change_answer_init(request, &summary);
	change_init(&change);
	request->findings_of = "request";
	ret = part_read(request, &part);
	if (ret == 0) {
		request->findings_of = "gateway";
		ret = part_take(request, &part, &change, &summary);
		gateway_fini(&part);
	}
	if (ret == 0) {
		change_check(request->control, &change, &request->report);
		findings_name_policies(request, &change);
		ret = change_answer_make(request, &change, is_dry);
	}
	change_fini(&change);
	change_answer_count(request, &summary);
	if (ret == 0 && !is_dry)
		change_answer_tell(request->control, "change", &summary);
	else if (ret != 0 && request->err.text[0] == '\0')
		err_set(&request->err, EINVAL, "the change can't be made; nothing has changed");
	return ret;
}

static int run_events(struct request *request)
{
	if (!request->connection)
		return err_set(&request->err, EINVAL, "events need a connection");
	request->connection->hears_events = true;
	return 0;
}

static int run_settled(struct request *request)
{
	json_object_set_new(
		request->result, "pending", json_integer((json_int_t)retire_pending(request->control)));
	return 0;
}

const struct command commands_change[] = {
	{"reload", run_reload, "dry_run",
		"Read the daemon's configuration file again and apply what is different; with `dry_run`, "
		"only tell what that is."},
	{"apply", run_apply, "file dry_run",
		"The same with another file, by its absolute path, which the daemon reads."},
	{"change", run_change,
		"sas policies moves delete_sas delete_policies before after replace lasting dry_run",
		"Add SAs (`sas`, by name, as in the configuration) and policies (a list; at the end, or "
		"`before` or `after` a policy) and delete some (lists of names), all or nothing; with "
		"`replace`, those of a name that there is take its place. `moves` gives SAs by name other "
		"ends, ports or `follows`, under the key that they have. What is added with `lasting` is "
		"left "
		"alone by `reload` and `apply`."},
	{"events", run_events, "",
		"From now on, tell each event on this connection as a line with `event` and `time`: "
		"`sa-soft-expired`, `sa-hard-expired`, `sa-sequence-near-end`, `acquire`, `peer-moved`, "
		"`port-up`, `port-down`, `failures`, `audit`, `changed`."},
	{"settled", run_settled, "", "How many changes some worker has not adopted yet."},
	{0},
};
