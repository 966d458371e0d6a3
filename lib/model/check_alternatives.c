#include "model/check_alternatives.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_TEXT_MAX 160

struct check {
	const struct gateway *gateway;
	const struct name_index *sas;
	const struct name_index *peers; /* of inbound SAs */
	struct report *report;
};

static const struct sa_conf *sa_find(const struct check *check, const char *name)
{
	long index = name_index_find(check->sas, name);

	return index >= 0 ? &check->gateway->sas[index] : NULL;
}

/* The first condition that the SA has on packets, or NULL. */
static const char *condition_of(const struct sa_conf *sa)
{
	if (sa->n_for_dscp > 0)
		return "for_dscp";
	if (sa->n_for_worker > 0)
		return "for_worker";
	if (sa->after)
		return "after";
	return sa->for_peer ? "for_peer" : NULL;
}

/* An SA whose ends were not read goes neither way, and has its finding already. */
static bool is_inbound(const struct check *check, const struct sa_conf *sa)
{
	return sa->destination.family != IP_NONE && gateway_sa_is_inbound(check->gateway, sa);
}

static bool is_outbound(const struct check *check, const struct sa_conf *sa)
{
	return sa->destination.family != IP_NONE && !gateway_sa_is_inbound(check->gateway, sa);
}

static void check_after(const struct check *check, const struct sa_conf *sa)
{
	const struct sa_conf *after = sa_find(check, sa->after);
	char path[PATH_TEXT_MAX];

	snprintf(path, sizeof(path), "sas.%s.after", sa->name);
	if (!after)
		report_add(check->report, path, "no SA is named '%s'", sa->after);
	else if (is_outbound(check, after))
		report_add(check->report, path, "'%s' is outbound, and accepts no packets", sa->after);
}

/* RFC 3948 section 5: which peer a packet is for, only what came from there can tell. */
static void check_for_peer(const struct check *check, const struct sa_conf *sa)
{
	char path[PATH_TEXT_MAX];

	if (name_index_find(check->peers, sa->for_peer) >= 0)
		return;
	snprintf(path, sizeof(path), "sas.%s.for_peer", sa->name);
	report_add(check->report, path, "no inbound SA has the peer '%s'", sa->for_peer);
}

static void check_peer(const struct check *check, const struct sa_conf *sa)
{
	char path[PATH_TEXT_MAX];

	if (!sa->peer || !is_outbound(check, sa))
		return;
	snprintf(path, sizeof(path), "sas.%s.peer", sa->name);
	report_add(check->report, path, "'%s' is outbound; 'for_peer' says which peer's flows it answers",
		sa->name);
}

static void check_workers(const struct check *check, const struct sa_conf *sa)
{
	size_t n_workers = check->gateway->workers.n_lcores;
	char path[PATH_TEXT_MAX];

	for (size_t i = 0; i < sa->n_for_worker && n_workers > 0; i++) {
		if (sa->for_worker[i] < n_workers)
			continue;
		snprintf(path, sizeof(path), "sas.%s.for_worker", sa->name);
		report_add(check->report, path, "there is no worker %u; the last is %zu", sa->for_worker[i],
			n_workers - 1);
	}
}

static void check_conditions(const struct check *check, const struct sa_conf *sa)
{
	const char *condition = condition_of(sa);
	char path[PATH_TEXT_MAX];

	if (!condition)
		return;
	if (is_inbound(check, sa)) {
		snprintf(path, sizeof(path), "sas.%s.%s", sa->name, condition);
		report_add(check->report, path, "'%s' is inbound; only an outbound SA is chosen", sa->name);
		return;
	}
	check_workers(check, sa);
	if (sa->after)
		check_after(check, sa);
	if (sa->for_peer)
		check_for_peer(check, sa);
}

/* Is `first` for every packet that `next` is for, at all times? */
static bool takes_all_of(const struct sa_conf *first, const struct sa_conf *next)
{
	return (sa_conf_dscps(next) & ~sa_conf_dscps(first)) == 0 &&
	       (sa_conf_workers(next) & ~sa_conf_workers(first)) == 0 &&
	       (!first->after || (next->after && strcmp(first->after, next->after) == 0)) &&
	       (!first->for_peer || (next->for_peer && strcmp(first->for_peer, next->for_peer) == 0));
}

/* Alternative `index` of an outbound policy, with those before it. */
static void check_reach(
	const struct check *check, const struct policy *policy, size_t index, const char *path)
{
	const struct sa_conf *sa = sa_find(check, policy->alternatives[index]);

	if (!sa || !is_outbound(check, sa))
		return;
	if (!condition_of(sa) && policy->n_sas > 0) {
		report_add(check->report, path,
			"'%s' has neither for_dscp, for_worker, after nor for_peer, so that nothing is left "
			"for '%s'",
			sa->name, policy->sas[0]);
		return;
	}
	for (size_t i = 0; i < index; i++) {
		const struct sa_conf *before = sa_find(check, policy->alternatives[i]);

		if (!before || (!condition_of(before) && policy->n_sas > 0) || !takes_all_of(before, sa))
			continue;
		report_add(check->report, path, "'%s' before it is for all of its packets", before->name);
		return;
	}
}

/* True if the SA of that alternative is in the policy once. */
static bool check_once(const struct check *check, const struct policy *policy, size_t index, const char *path)
{
	const char *name = policy->alternatives[index];
	bool is_again = false;

	for (size_t i = 0; i < policy->n_sas; i++)
		is_again |= strcmp(policy->sas[i], name) == 0;
	for (size_t i = 0; i < index; i++)
		is_again |= strcmp(policy->alternatives[i], name) == 0;
	if (is_again)
		report_add(check->report, path, "'%s' is an SA of this policy already", name);
	return !is_again;
}

static void check_policy(const struct check *check, size_t index)
{
	const struct policy *policy = &check->gateway->policies[index];
	char path[PATH_TEXT_MAX];

	for (size_t i = 0; i < policy->n_sas; i++) {
		const struct sa_conf *sa = sa_find(check, policy->sas[i]);
		const char *condition = sa ? condition_of(sa) : NULL;

		snprintf(path, sizeof(path), "policies[%zu].sas[%zu]", index, i);
		if (condition)
			report_add(check->report, path,
				"'%s' has %s, which is for alternatives; 'sas' is for what they leave",
				sa->name, condition);
	}
	for (size_t i = 0; i < policy->n_alternatives; i++) {
		snprintf(path, sizeof(path), "policies[%zu].alternatives[%zu]", index, i);
		if (check_once(check, policy, i, path) && policy->direction == POLICY_OUT)
			check_reach(check, policy, i, path);
	}
}

static void peers_index(const struct gateway *gateway, struct name_index *peers)
{
	name_index_init(peers);
	for (size_t i = 0; i < gateway->n_sas; i++) {
		const struct sa_conf *sa = &gateway->sas[i];

		/* The direction of one whose ends were not read is not known. */
		if (sa->peer && (sa->destination.family == IP_NONE || gateway_sa_is_inbound(gateway, sa)))
			name_index_add(peers, sa->peer, i);
	}
}

void check_alternatives(const struct gateway *gateway, const struct name_index *sas, struct report *report)
{
	struct name_index peers;
	const struct check check = {.gateway = gateway, .sas = sas, .peers = &peers, .report = report};

	peers_index(gateway, &peers);
	for (size_t i = 0; i < gateway->n_sas; i++) {
		check_conditions(&check, &gateway->sas[i]);
		check_peer(&check, &gateway->sas[i]);
	}
	for (size_t i = 0; i < gateway->n_policies; i++)
		check_policy(&check, i);
	name_index_fini(&peers);
}

void check_alternatives_of_sa(const struct gateway *gateway, const struct name_index *sas,
	const struct sa_conf *sa, struct report *report)
{
	struct name_index peers;
	const struct check check = {.gateway = gateway, .sas = sas, .peers = &peers, .report = report};

	peers_index(gateway, &peers);
	check_conditions(&check, sa);
	check_peer(&check, sa);
	name_index_fini(&peers);
}
