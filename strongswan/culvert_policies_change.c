/* What culvertd has to be told, so that its policies are as charon wants them. */
#include "culvert_policies.h"
#include "culvert_text.h"

#include <stdio.h>

#include <collections/linked_list.h>

/* The names of the SAs that a policy leads to, the one in use first. None: its packets wait for a key
 * exchange. */
static json_t *sas_of(const struct culvert_policy *policy, const struct culvert_policy_user *user,
	const struct culvert_sas *sas)
{
	uint32_t spi = user->sa.esp.use ? user->sa.esp.spi : user->sa.ah.spi;
	const struct culvert_sa *sa;

	if (policy->direction == POLICY_IN)
		return culvert_sas_inbound_names(sas, user->sa.reqid);
	/* A trap has no SPI, and is in force for what no CHILD_SA's own policy takes. */
	sa = culvert_sas_newest(sas, false, user->sa.reqid, spi);
	return sa ? json_pack("[s]", sa->name) : json_array();
}

/* Inbound, packets may come out of any SA of the reqid: during a rekeying both ends change over when they do.
 */
static void protect_put(json_t *json, const struct culvert_policy *policy,
	const struct culvert_policy_user *user, const struct culvert_sas *sas)
{
	json_t *names = sas_of(policy, user, sas), *first = json_array();

	json_object_set_new(json, "action", json_string("protect"));
	if (json_array_size(names) > 0) {
		json_array_append(first, json_array_get(names, 0));
		json_array_remove(names, 0);
	}
	json_object_set_new(json, "sas", first);
	if (json_array_size(names) > 0)
		json_object_set(json, "alternatives", names);
	json_decref(names);
}

static const char *kind_of(const struct culvert_policy_user *user, char text[CULVERT_NAME_MAX])
{
	if (user->type == POLICY_PASS)
		return "pass";
	if (user->type == POLICY_DROP)
		return "drop";
	snprintf(text, CULVERT_NAME_MAX, "%u", user->sa.reqid);
	return text;
}

/* `ike-<reqid>-out-<number>`; it keeps the name that it has, as long as that says what it is. */
static json_t *policy_name(struct culvert_policies *policies, const struct culvert_policy *policy,
	const struct culvert_policy_user *user)
{
	const char *name = json_string_value(json_object_get(policy->installed, "name"));
	char kind[CULVERT_NAME_MAX], start[CULVERT_NAME_MAX + 16];

	snprintf(start, sizeof(start), "ike-%s-%s-", kind_of(user, kind),
		policy->direction == POLICY_IN ? "in" : "out");
	if (name && strpfx(name, start))
		return json_string(name);
	return json_sprintf("%s%u", start, ++policies->n_named);
}

/* As it is to be; NULL if nobody wants it. */
static json_t *policy_json(
	struct culvert_policies *policies, const struct culvert_policy *policy, const struct culvert_sas *sas)
{
	const struct culvert_policy_user *user = culvert_policy_first(policy);
	json_t *json;

	if (!user)
		return NULL;
	json = json_pack("{s:o, s:s}", "name", policy_name(policies, policy, user), "direction",
		policy->direction == POLICY_IN ? "in" : "out");
	culvert_selectors_put(json, policy->source, policy->destination);
	if (user->type == POLICY_IPSEC)
		protect_put(json, policy, user, sas);
	else
		json_object_set_new(
			json, "action", json_string(user->type == POLICY_PASS ? "bypass" : "discard"));
	return json;
}

/* The list in a change's arguments, begun if it is not there. */
static json_t *list_of(json_t *change, const char *key)
{
	json_t *list = json_object_get(change, key);

	if (list)
		return list;
	list = json_array();
	json_object_set_new(change, key, list);
	return list;
}

static void priority_set(struct culvert_policy *policy)
{
	const struct culvert_policy_user *user = culvert_policy_first(policy);

	policy->wanted_priority = user ? user->priority : 0;
}

/* Our policies are in the list by priority, which is culvertd's order too. */
static void place_in_list(struct culvert_policies *policies, struct culvert_policy *policy)
{
	enumerator_t *enumerator;
	struct culvert_policy *other;

	policies->list->remove(policies->list, policy, NULL);
	enumerator = policies->list->create_enumerator(policies->list);
	while (enumerator->enumerate(enumerator, &other))
		if (other->installed && other->installed_priority > policy->wanted_priority)
			break;
	policies->list->insert_before(policies->list, enumerator, policy);
	enumerator->destroy(enumerator);
}

/* Say where culvertd is to put it: by one of ours that it has, or where the first one goes. */
static void place_put(
	const struct culvert_policies *policies, const struct culvert_policy *policy, json_t *change)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	struct culvert_policy *other;
	const char *last = NULL, *next = NULL;
	bool is_behind = false;

	while (!next && enumerator->enumerate(enumerator, &other)) {
		if (other == policy)
			is_behind = true;
		else if (other->installed && is_behind)
			next = json_string_value(json_object_get(other->installed, "name"));
		else if (other->installed)
			last = json_string_value(json_object_get(other->installed, "name"));
	}
	enumerator->destroy(enumerator);
	if (next)
		json_object_set_new(change, "before", json_string(next));
	else if (last)
		json_object_set_new(change, "after", json_string(last));
	else if (policies->before)
		json_object_set_new(change, "before", json_string(policies->before));
}

static void tell(struct culvert_policy *policy, json_t *wanted)
{
	json_decref(policy->wanted);
	policy->wanted = wanted;
	policy->is_told = true;
}

static bool stays_in_place(const struct culvert_policy *policy, const json_t *wanted)
{
	return policy->installed && wanted && policy->installed_priority == policy->wanted_priority &&
	       json_equal(
		       json_object_get(policy->installed, "name"), json_object_get((json_t *)wanted, "name"));
}

void culvert_policy_differ(struct culvert_policies *policies, struct culvert_policy *policy,
	const struct culvert_sas *sas, json_t *change)
{
	json_t *wanted = policy_json(policies, policy, sas);

	priority_set(policy);
	if ((!wanted && !policy->installed) ||
		(stays_in_place(policy, wanted) && json_equal(policy->installed, wanted))) {
		json_decref(wanted);
		return;
	}
	if (policy->installed && !stays_in_place(policy, wanted))
		json_array_append(
			list_of(change, "delete_policies"), json_object_get(policy->installed, "name"));
	if (wanted && !stays_in_place(policy, wanted)) {
		place_in_list(policies, policy);
		place_put(policies, policy, change);
	}
	if (wanted)
		json_array_append(list_of(change, "policies"), wanted);
	tell(policy, wanted);
}

void culvert_policies_differ(struct culvert_policies *policies, const struct culvert_sas *sas, bool inbound,
	uint32_t reqid, json_t *change)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	linked_list_t *concerned = linked_list_create();
	policy_dir_t direction = inbound ? POLICY_IN : POLICY_OUT;
	struct culvert_policy *policy;

	while (enumerator->enumerate(enumerator, &policy)) {
		const struct culvert_policy_user *user = culvert_policy_first(policy);

		/* What is not installed is told of as a whole when culvertd is back. */
		if (user && policy->installed && policy->direction == direction &&
			user->type == POLICY_IPSEC && user->sa.reqid == reqid)
			concerned->insert_last(concerned, policy);
	}
	enumerator->destroy(enumerator);
	while (concerned->remove_first(concerned, (void **)&policy) == SUCCESS)
		culvert_policy_differ(policies, policy, sas, change);
	concerned->destroy(concerned);
}

static int compare_places(const struct culvert_policy *a, const struct culvert_policy *b)
{
	return a->wanted_priority < b->wanted_priority ? -1 : a->wanted_priority > b->wanted_priority;
}

static int compare_in_list(const void *a, const void *b)
{
	return compare_places(*(struct culvert_policy *const *)a, *(struct culvert_policy *const *)b);
}

/* Those that culvertd has not, in their order; the caller frees it. */
static struct culvert_policy **missing_of(struct culvert_policies *policies, size_t *n)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	struct culvert_policy **missing =
		calloc((size_t)policies->list->get_count(policies->list) + 1, sizeof(*missing));
	struct culvert_policy *policy;

	*n = 0;
	while (enumerator->enumerate(enumerator, &policy)) {
		if (policy->installed || !culvert_policy_first(policy))
			continue;
		priority_set(policy);
		missing[(*n)++] = policy;
	}
	enumerator->destroy(enumerator);
	qsort(missing, *n, sizeof(*missing), compare_in_list);
	return missing;
}

bool culvert_policies_missing(
	struct culvert_policies *policies, const struct culvert_sas *sas, size_t n_max, json_t *change)
{
	size_t n;
	struct culvert_policy **missing = missing_of(policies, &n);

	for (size_t i = 0; i < n && i < n_max; i++) {
		json_t *wanted = policy_json(policies, missing[i], sas);

		/* Behind those that are there, and each behind the one before it. */
		policies->list->remove(policies->list, missing[i], NULL);
		policies->list->insert_last(policies->list, missing[i]);
		if (i == 0)
			place_put(policies, missing[i], change);
		json_array_append(list_of(change, "policies"), wanted);
		tell(missing[i], wanted);
	}
	free(missing);
	return n > 0;
}
