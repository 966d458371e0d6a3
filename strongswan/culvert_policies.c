#include "culvert_policies.h"

#include <stdio.h>

#include <collections/linked_list.h>

void culvert_policies_init(struct culvert_policies *policies, const char *before)
{
	*policies = (struct culvert_policies){.list = linked_list_create(), .before = before};
}

static void user_destroy(struct culvert_policy_user *user)
{
	user->source->destroy(user->source);
	user->destination->destroy(user->destination);
	free(user);
}

static void policy_destroy(struct culvert_policy *policy)
{
	policy->source->destroy(policy->source);
	policy->destination->destroy(policy->destination);
	policy->users->destroy_function(policy->users, (void (*)(void *))user_destroy);
	json_decref(policy->installed);
	json_decref(policy->wanted);
	free(policy);
}

void culvert_policies_fini(struct culvert_policies *policies)
{
	policies->list->destroy_function(policies->list, (void (*)(void *))policy_destroy);
}

struct culvert_policy *culvert_policies_find(
	const struct culvert_policies *policies, const kernel_ipsec_policy_id_t *id)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	struct culvert_policy *policy, *found = NULL;

	while (!found && enumerator->enumerate(enumerator, &policy))
		if (policy->direction == id->dir && policy->source->equals(policy->source, id->src_ts) &&
			policy->destination->equals(policy->destination, id->dst_ts))
			found = policy;
	enumerator->destroy(enumerator);
	return found;
}

struct culvert_policy *culvert_policies_add(
	struct culvert_policies *policies, const kernel_ipsec_policy_id_t *id)
{
	struct culvert_policy *policy;

	INIT(policy, .direction = id->dir, .source = id->src_ts->clone(id->src_ts),
		.destination = id->dst_ts->clone(id->dst_ts), .users = linked_list_create());
	policies->list->insert_last(policies->list, policy);
	return policy;
}

static const char *name_of(const json_t *installed)
{
	return json_string_value(json_object_get(installed, "name"));
}

struct culvert_policy *culvert_policies_find_name(const struct culvert_policies *policies, const char *name)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	struct culvert_policy *policy, *found = NULL;

	while (!found && enumerator->enumerate(enumerator, &policy))
		if (policy->installed && streq(name_of(policy->installed), name))
			found = policy;
	enumerator->destroy(enumerator);
	return found;
}

/* How many leading bits are fixed, and is there more that narrows it: at most 2 * 131. */
static uint32_t narrowness(traffic_selector_t *ts)
{
	bool has_ports = ts->get_from_port(ts) != 0 || ts->get_to_port(ts) != UINT16_MAX;
	host_t *net;
	uint8_t bits;

	ts->to_subnet(ts, &net, &bits);
	net->destroy(net);
	return bits + (ts->get_protocol(ts) != 0) + 2 * has_ports;
}

/*
 * A manual priority counts alone. Else classes are apart by more than a selector can differ, and within a
 * class the narrower selector comes first, as with charon's other backends.
 */
static uint32_t priority_of(const kernel_ipsec_policy_id_t *id, const kernel_ipsec_manage_policy_t *data)
{
	enum { MANUAL_MAX = 100000, CLASS = 1024 };

	if (data->manual_prio)
		return data->manual_prio;
	return MANUAL_MAX + (data->prio + 1) * CLASS - narrowness(id->src_ts) - narrowness(id->dst_ts);
}

static struct culvert_policy_user *user_create(
	const kernel_ipsec_policy_id_t *id, const kernel_ipsec_manage_policy_t *data)
{
	struct culvert_policy_user *user;

	INIT(user, .type = data->type, .priority = priority_of(id, data), .sa = *data->sa,
		.source = data->src->clone(data->src), .destination = data->dst->clone(data->dst));
	return user;
}

struct culvert_policy_user *culvert_policy_user_add(struct culvert_policy *policy,
	const kernel_ipsec_policy_id_t *id, const kernel_ipsec_manage_policy_t *data)
{
	struct culvert_policy_user *user = user_create(id, data), *other;
	enumerator_t *enumerator = policy->users->create_enumerator(policy->users);

	/* In front of those that are as important: the SA of a rekeying takes over. */
	while (enumerator->enumerate(enumerator, &other))
		if (other->priority >= user->priority)
			break;
	policy->users->insert_before(policy->users, enumerator, user);
	enumerator->destroy(enumerator);
	return user;
}

static bool user_is_like(const struct culvert_policy_user *a, struct culvert_policy_user *b)
{
	return a->type == b->type && a->priority == b->priority &&
	       a->source->ip_equals(a->source, b->source) &&
	       a->destination->ip_equals(a->destination, b->destination) &&
	       ipsec_sa_cfg_equals((ipsec_sa_cfg_t *)&a->sa, &b->sa);
}

bool culvert_policy_user_remove(struct culvert_policy *policy, const kernel_ipsec_policy_id_t *id,
	const kernel_ipsec_manage_policy_t *data)
{
	struct culvert_policy_user *wanted = user_create(id, data), *user, *found = NULL;
	enumerator_t *enumerator = policy->users->create_enumerator(policy->users);

	while (!found && enumerator->enumerate(enumerator, &user))
		if (user_is_like(wanted, user))
			found = user;
	if (found)
		policy->users->remove_at(policy->users, enumerator);
	enumerator->destroy(enumerator);
	user_destroy(wanted);
	if (found)
		user_destroy(found);
	return found != NULL;
}

void culvert_policy_users_remove(struct culvert_policy *policy)
{
	struct culvert_policy_user *user;

	while (policy->users->remove_first(policy->users, (void **)&user) == SUCCESS)
		user_destroy(user);
}

const struct culvert_policy_user *culvert_policy_first(const struct culvert_policy *policy)
{
	struct culvert_policy_user *user;

	return policy->users->get_first(policy->users, (void **)&user) == SUCCESS ? user : NULL;
}

void culvert_policies_made(struct culvert_policies *policies, bool is_made)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	struct culvert_policy *policy;

	while (enumerator->enumerate(enumerator, &policy)) {
		if (policy->is_told && is_made) {
			json_decref(policy->installed);
			policy->installed = json_incref(policy->wanted);
			policy->installed_priority = policy->wanted_priority;
		}
		json_decref(policy->wanted);
		policy->wanted = NULL;
		policy->is_told = false;
		if (policy->installed || policy->users->get_count(policy->users) > 0)
			continue;
		policies->list->remove_at(policies->list, enumerator);
		policy_destroy(policy);
	}
	enumerator->destroy(enumerator);
}

void culvert_policies_forget(struct culvert_policies *policies)
{
	enumerator_t *enumerator = policies->list->create_enumerator(policies->list);
	struct culvert_policy *policy;

	while (enumerator->enumerate(enumerator, &policy)) {
		json_decref(policy->installed);
		policy->installed = NULL;
	}
	enumerator->destroy(enumerator);
	culvert_policies_made(policies, false);
}
