#include "control/change_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "control/sas.h"
#include "ipsec/sad.h"
#include "model/check.h"

#define PATH_TEXT_MAX 160

/* SAs of the change by name; the names are borrowed. */
struct names {
	struct name_index fresh;
	struct name_index gone;
};

static void names_init(struct names *names, const struct change *change)
{
	name_index_init(&names->fresh);
	name_index_init(&names->gone);
	for (size_t i = 0; i < change->n_fresh; i++)
		name_index_add(&names->fresh, change->fresh[i].name, i);
	for (size_t i = 0; i < change->n_gone; i++)
		name_index_add(&names->gone, change->gone[i], i);
}

static void names_fini(struct names *names)
{
	name_index_fini(&names->fresh);
	name_index_fini(&names->gone);
}

static bool is_fresh(const struct names *names, const char *name)
{
	return name_index_find(&names->fresh, name) >= 0;
}

/* It goes, or another takes its place. */
static bool leaves(const struct names *names, const char *name)
{
	return is_fresh(names, name) || name_index_find(&names->gone, name) >= 0;
}

static const struct sa_conf *conf_of(const struct control *control, const struct control_sa *sa)
{
	return &control->gateway->sas[sa->index];
}

struct gateway change_lists_after(const struct gateway *gateway, const struct change *change)
{
	struct gateway after = *gateway;

	if (change->has_policies) {
		after.policies = change->policies;
		after.n_policies = change->n_policies;
	}
	if (change->has_routes) {
		after.routes = change->routes;
		after.n_routes = change->n_routes;
	}
	if (change->has_neighbours) {
		after.neighbours = change->neighbours;
		after.n_neighbours = change->n_neighbours;
	}
	if (change->has_icmp)
		after.icmp = change->icmp;
	return after;
}

static void sas_free(struct gateway *gateway)
{
	if (gateway->sas)
		explicit_bzero(gateway->sas, gateway->n_sas * sizeof(*gateway->sas));
	free(gateway->sas);
}

/* With a list of SAs that borrows everything. */
static void whole_check(const struct control *control, const struct change *change, const struct names *names,
	struct report *report)
{
	const struct gateway *gateway = control->gateway;
	struct gateway after = change_lists_after(gateway, change);

	after.sas = xcalloc(gateway->n_sas + change->n_fresh + 1, sizeof(*after.sas));
	after.n_sas = 0;
	for (size_t i = 0; i < gateway->n_sas; i++)
		if (!leaves(names, gateway->sas[i].name))
			after.sas[after.n_sas++] = gateway->sas[i];
	for (size_t i = 0; i < change->n_fresh; i++)
		after.sas[after.n_sas++] = change->fresh[i];
	gateway_check(&after, report);
	sas_free(&after);
}

void change_check_whole(const struct control *control, const struct change *change, struct report *report)
{
	struct names names;

	names_init(&names, change);
	whole_check(control, change, &names, report);
	names_fini(&names);
}

static void release(const struct control *control, const char *name, int more)
{
	struct control_sa *sa = name ? sas_find(control, name) : NULL;

	if (sa)
		sa->n_released += (unsigned)more;
}

static void release_by_sa(const struct control *control, const char *name, int more)
{
	const struct control_sa *sa = sas_find(control, name);

	if (!sa)
		return;
	release(control, conf_of(control, sa)->follows, more);
	release(control, conf_of(control, sa)->after, more);
}

static void release_by_policy(const struct control *control, const struct policy *policy, int more)
{
	for (size_t i = 0; i < policy->n_sas; i++)
		release(control, policy->sas[i], more);
	for (size_t i = 0; i < policy->n_alternatives; i++)
		release(control, policy->alternatives[i], more);
}

/* Count the uses of SAs by what goes, or, with -1, forget them. */
static void released_count(const struct control *control, const struct change *change, int more)
{
	const struct gateway *gateway = control->gateway;

	for (size_t i = 0; i < change->n_gone; i++)
		release_by_sa(control, change->gone[i], more);
	for (size_t i = 0; i < change->n_fresh; i++)
		release_by_sa(control, change->fresh[i].name, more);
	for (size_t i = 0; change->has_policies && i < gateway->n_policies; i++)
		if (!change->is_kept[i])
			release_by_policy(control, &gateway->policies[i], more);
}

static bool is_released(const struct control *control, const char *name)
{
	const struct control_sa *sa = sas_find(control, name);

	return !sa || sa->n_users == sa->n_released;
}

/* Is nothing that leaves used by what stays? */
static bool all_are_released(const struct control *control, const struct change *change)
{
	bool are = true;

	released_count(control, change, 1);
	for (size_t i = 0; are && i < change->n_gone; i++)
		are = is_released(control, change->gone[i]);
	for (size_t i = 0; are && i < change->n_fresh; i++)
		are = is_released(control, change->fresh[i].name);
	released_count(control, change, -1);
	return are;
}

/* A policy of one SA or none, which is in no bundle. */
static bool is_plain(const struct control *control, const struct policy *policy)
{
	const struct control_sa *found = policy->n_sas == 1 ? sas_find(control, policy->sas[0]) : NULL;
	const struct sa *sa = found ? control->sas[found->index] : NULL;

	return policy->n_sas <= 1 && (!sa || (!sa->around && !sa->has_inside));
}

static bool policies_are_plain(const struct control *control, const struct change *change)
{
	const struct gateway *gateway = control->gateway;

	if (!change->has_policies)
		return true;
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (!change->is_kept[i] && !is_plain(control, &gateway->policies[i]))
			return false;
	for (size_t i = 0; i < change->n_policies; i++)
		if (change->is_owned[i] && !is_plain(control, &change->policies[i]))
			return false;
	return true;
}

bool change_is_local(const struct control *control, const struct change *change)
{
	return !change->has_routes && !change->has_neighbours && !change->has_icmp &&
	       policies_are_plain(control, change) && all_are_released(control, change);
}

/* The change alone, with those SAs of the gateway that it names, and those that these name. */
struct part {
	const struct control *control;
	const struct names *names;
	struct gateway gateway;
	struct name_index taken;
};

/* An SA that leaves is not named by that any more. */
static void sa_take(struct part *part, const char *name)
{
	const struct control_sa *found = name ? sas_find(part->control, name) : NULL;
	const struct sa_conf *conf;

	if (!found || leaves(part->names, name) || name_index_find(&part->taken, name) >= 0)
		return;
	conf = conf_of(part->control, found);
	name_index_add(&part->taken, conf->name, 0);
	*array_append(&part->gateway.sas, &part->gateway.n_sas) = *conf;
	sa_take(part, conf->follows);
	sa_take(part, conf->after);
}

static void fresh_take(struct part *part, const struct sa_conf *conf)
{
	*array_append(&part->gateway.sas, &part->gateway.n_sas) = *conf;
	sa_take(part, conf->follows);
	sa_take(part, conf->after);
}

static void policy_take(struct part *part, const struct policy *policy)
{
	*array_append(&part->gateway.policies, &part->gateway.n_policies) = *policy;
	for (size_t i = 0; i < policy->n_sas; i++)
		sa_take(part, policy->sas[i]);
	for (size_t i = 0; i < policy->n_alternatives; i++)
		sa_take(part, policy->alternatives[i]);
}

static void part_init(struct part *part, const struct control *control, const struct change *change,
	const struct names *names)
{
	*part = (struct part){.control = control, .names = names, .gateway = *control->gateway};
	part->gateway.routes = NULL;
	part->gateway.n_routes = 0;
	part->gateway.neighbours = NULL;
	part->gateway.n_neighbours = 0;
	part->gateway.sas = NULL;
	part->gateway.n_sas = 0;
	part->gateway.policies = NULL;
	part->gateway.n_policies = 0;
	name_index_init(&part->taken);
	for (size_t i = 0; i < change->n_fresh; i++)
		fresh_take(part, &change->fresh[i]);
	for (size_t i = 0; change->has_policies && i < change->n_policies; i++)
		if (change->is_owned[i])
			policy_take(part, &change->policies[i]);
}

static void part_fini(struct part *part)
{
	sas_free(&part->gateway);
	free(part->gateway.policies);
	name_index_fini(&part->taken);
}

/* What gateway_check finds by comparing all with all: another SA that stays has the SPI, or the key. */
static bool sa_is_like_another(
	const struct control *control, const struct names *names, const struct sa_conf *conf)
{
	const struct control_sa *same_key = sa_keys_find(&control->sa_keys, &conf->key);
	const struct sa *same_spi = sad_find_same(
		gateway_sa_is_inbound(control->gateway, conf) ? control->sad : control->sad_out, conf);

	return (same_key && !leaves(names, conf_of(control, same_key)->name)) ||
	       (same_spi && !leaves(names, same_spi->name));
}

/* A policy that stays has the name. */
static bool policy_is_like_another(
	const struct control *control, const struct change *change, const struct policy *policy)
{
	const struct gateway *gateway = control->gateway;

	if (name_index_find(&control->policy_names, policy->name) < 0)
		return false;
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (change->is_kept[i] && strcmp(gateway->policies[i].name, policy->name) == 0)
			return true;
	return false;
}

static bool any_is_like_another(
	const struct control *control, const struct change *change, const struct names *names)
{
	for (size_t i = 0; i < change->n_fresh; i++)
		if (sa_is_like_another(control, names, &change->fresh[i]))
			return true;
	for (size_t i = 0; change->has_policies && i < change->n_policies; i++)
		if (change->is_owned[i] && policy_is_like_another(control, change, &change->policies[i]))
			return true;
	return false;
}

/* True if the change that is local has no fault; if not, the whole tells which. */
static bool is_good_alone(
	const struct control *control, const struct change *change, const struct names *names)
{
	struct report report;
	struct part part;
	bool is_good;

	if (any_is_like_another(control, change, names))
		return false;
	report_init(&report);
	part_init(&part, control, change, names);
	gateway_check(&part.gateway, &report);
	is_good = report_total(&report) == 0;
	part_fini(&part);
	report_fini(&report);
	return is_good;
}

static void names_check(const struct change *change, const struct names *names, struct report *report)
{
	char path[PATH_TEXT_MAX];

	for (size_t i = 0; i < change->n_gone; i++) {
		if (!is_fresh(names, change->gone[i]))
			continue;
		snprintf(path, sizeof(path), "sas.%s", change->gone[i]);
		report_add(report, path, "is to be deleted, and to be added");
	}
}

static void room_check(const struct control *control, const struct change *change, struct report *report)
{
	struct err err;

	if (change_check_room(control, change, &err) != 0)
		report_add(report, "memory.sas", "%s", err.text);
}

/* The last inbound SA of a peer may leave, which others are for: whom, only all of them tell. */
static bool takes_from_peers(const struct control *control, const struct change *change)
{
	for (size_t i = 0; i < change->n_gone; i++)
		if (conf_of(control, sas_find(control, change->gone[i]))->peer)
			return true;
	for (size_t i = 0; i < change->n_fresh; i++) {
		const struct control_sa *before = sas_find(control, change->fresh[i].name);

		if (before && conf_of(control, before)->peer)
			return true;
	}
	return false;
}

void change_check(const struct control *control, const struct change *change, struct report *report)
{
	struct names names;

	names_init(&names, change);
	names_check(change, &names, report);
	room_check(control, change, report);
	if (!change_is_local(control, change) || takes_from_peers(control, change) ||
		!is_good_alone(control, change, &names))
		whole_check(control, change, &names, report);
	names_fini(&names);
}
