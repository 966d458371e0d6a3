/*
 * The policies that charon has asked for, and how culvertd has them.
 *
 * charon installs a policy once for each CHILD_SA that wants it, so that the two of a rekeying have it
 * together, and a trap policy lies below them. Each is a user of the policy; the first user, by priority and
 * then the newest, says what culvertd is to do. A policy has its place in culvertd's list by the same
 * priority.
 *
 * The table belongs to kernel_culvert_ipsec.c, whose lock its caller holds. Whoever changes something calls
 * culvert_policy_differ or culvert_policies_differ for what culvertd has to be told, and
 * culvert_policies_made when it has been.
 */
#ifndef CULVERT_POLICIES_H
#define CULVERT_POLICIES_H

#include "culvert_sas.h"
#include "strongswan.h"

#include <jansson.h>

struct culvert_policy_user {
	policy_type_t type;
	uint32_t priority; /* the lowest comes first */
	ipsec_sa_cfg_t sa;
	host_t *source;
	host_t *destination;
};

struct culvert_policy {
	policy_dir_t direction;
	traffic_selector_t *source;
	traffic_selector_t *destination;
	linked_list_t *users; /* the first one is in force */
	/* As culvertd has it: NULL if it has it not. */
	json_t *installed;
	uint32_t installed_priority;
	/* As culvertd is being told; NULL if it is to go. */
	json_t *wanted;
	uint32_t wanted_priority;
	bool is_told;
};

struct culvert_policies {
	linked_list_t *list; /* in culvertd's order, as far as they are installed */
	unsigned n_named;    /* so that each has a name of its own */
	const char *before;  /* the policy of the configuration that they are before, or NULL: at the end.
				Borrowed */
};

void culvert_policies_init(struct culvert_policies *policies, const char *before);
void culvert_policies_fini(struct culvert_policies *policies);

/* The policy of that direction and these selectors; NULL if there is none. */
struct culvert_policy *culvert_policies_find(
	const struct culvert_policies *policies, const kernel_ipsec_policy_id_t *id);
struct culvert_policy *culvert_policies_add(
	struct culvert_policies *policies, const kernel_ipsec_policy_id_t *id);
/* The one that culvertd has by that name. */
struct culvert_policy *culvert_policies_find_name(const struct culvert_policies *policies, const char *name);

struct culvert_policy_user *culvert_policy_user_add(struct culvert_policy *policy,
	const kernel_ipsec_policy_id_t *id, const kernel_ipsec_manage_policy_t *data);
/* Remove one user like that. False if there is none. */
bool culvert_policy_user_remove(struct culvert_policy *policy, const kernel_ipsec_policy_id_t *id,
	const kernel_ipsec_manage_policy_t *data);
/* Remove all of them. */
void culvert_policy_users_remove(struct culvert_policy *policy);
/* The user in force, or NULL. */
const struct culvert_policy_user *culvert_policy_first(const struct culvert_policy *policy);

/* Put into a change's arguments what culvertd does not have as it is to be: of one policy... */
void culvert_policy_differ(struct culvert_policies *policies, struct culvert_policy *policy,
	const struct culvert_sas *sas, json_t *change);
/* ...or of those that lead to SAs of a direction and a reqid. */
void culvert_policies_differ(struct culvert_policies *policies, const struct culvert_sas *sas, bool inbound,
	uint32_t reqid, json_t *change);
/* The same of some more of those that culvertd does not have at all; false if it has all. */
bool culvert_policies_missing(
	struct culvert_policies *policies, const struct culvert_sas *sas, size_t n_max, json_t *change);

/* What was put into a change has been made, or it has not. Policies without users go. */
void culvert_policies_made(struct culvert_policies *policies, bool is_made);
/* culvertd has none of them any more. */
void culvert_policies_forget(struct culvert_policies *policies);

#endif
