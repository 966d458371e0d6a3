#include "control/change_answer.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/change.h"
#include "control/events.h"

/* Names in one answer; the counts tell of the rest. */
#define NAMES_SHOWN_MAX 1000

/* `{"sas": {"added": ["hq"]}}`: put the name where it belongs. */
static void name_append(void *argument, const char *what, const char *kind, const char *name)
{
	json_t *names = argument, *kinds = json_object_get(names, what), *list;

	if (!kinds) {
		kinds = json_object();
		json_object_set_new(names, what, kinds);
	}
	list = json_object_get(kinds, kind);
	if (!list) {
		list = json_array();
		json_object_set_new(kinds, kind, list);
	}
	if (json_array_size(list) < NAMES_SHOWN_MAX)
		json_array_append_new(list, json_string(name));
}

void change_answer_init(struct request *request, struct reload_summary *summary)
{
	*summary = (struct reload_summary){.tell = name_append, .argument = json_object()};
	json_object_set_new(request->result, "names", summary->argument);
}

static json_t *counts_json(const struct reload_counts *counts)
{
	return json_pack("{s:I, s:I, s:I}", "added", (json_int_t)counts->added, "changed",
		(json_int_t)counts->changed, "removed", (json_int_t)counts->removed);
}

void change_answer_count(struct request *request, const struct reload_summary *summary)
{
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:b}", "sas", counts_json(&summary->sas), "policies",
		counts_json(&summary->policies), "routes", counts_json(&summary->routes), "neighbours",
		counts_json(&summary->neighbours), "icmp", summary->icmp);

	if (summary->policies_reordered)
		json_object_set_new(json, "policies_reordered", json_true());
	json_object_set_new(request->result, "counts", json);
}

int change_answer_make(struct request *request, struct change *change, bool is_dry)
{
	uint64_t start_ns = clock_now_ns();
	int ret;

	if (report_total(&request->report) > 0)
		return -EINVAL;
	json_object_set_new(request->result, "made", json_boolean(!is_dry));
	if (is_dry)
		return 0;
	ret = change_make(request->control, change, &request->err);
	json_object_set_new(request->result, "microseconds",
		json_integer((json_int_t)((clock_now_ns() - start_ns) / CLOCK_NS_PER_US)));
	return ret;
}

void change_answer_tell(struct control *control, const char *by, const struct reload_summary *summary)
{
	events_changed(control, by);
	log_info("changed by=%s sas_added=%zu sas_changed=%zu sas_removed=%zu policies_added=%zu "
		 "policies_changed=%zu policies_removed=%zu",
		by, summary->sas.added, summary->sas.changed, summary->sas.removed, summary->policies.added,
		summary->policies.changed, summary->policies.removed);
}
