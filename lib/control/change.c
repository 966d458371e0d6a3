#include "control/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "base/array.h"
#include "control/sas.h"

void change_init(struct change *change)
{
	*change = (struct change){0};
}

static void policies_free(struct change *change)
{
	for (size_t i = 0; i < change->n_policies; i++)
		if (change->is_owned[i])
			policy_fini(&change->policies[i]);
	free(change->policies);
	free(change->is_owned);
	free(change->is_kept);
}

void change_fini(struct change *change)
{
	for (size_t i = 0; i < change->n_fresh; i++)
		sa_conf_fini(&change->fresh[i]);
	free(change->fresh);
	free(change->gone);
	policies_free(change);
	free(change->routes);
	for (size_t i = 0; i < change->n_neighbours; i++)
		free(change->neighbours[i].port);
	free(change->neighbours);
	free(change->icmp.accept);
	change_init(change);
}

/* What array_append takes an array of so many to have. */
static size_t room_for(size_t n)
{
	return n > 1 ? rte_align64pow2(n) : 1;
}

void change_policies_begin(struct change *change, const struct gateway *gateway)
{
	if (change->has_policies)
		return;
	change->has_policies = true;
	change->n_policies = gateway->n_policies;
	change->policies = xcalloc(room_for(gateway->n_policies), sizeof(*change->policies));
	change->is_owned = xcalloc(room_for(gateway->n_policies), sizeof(*change->is_owned));
	if (gateway->n_policies > 0)
		memcpy(change->policies, gateway->policies, gateway->n_policies * sizeof(*change->policies));
	change->is_kept = xcalloc(gateway->n_policies + 1, sizeof(*change->is_kept));
	memset(change->is_kept, true, gateway->n_policies * sizeof(*change->is_kept));
}

void change_policy_insert(struct change *change, size_t place, struct policy *policy)
{
	size_t n_owned = change->n_policies, behind = change->n_policies - place;

	array_append(&change->policies, &change->n_policies);
	array_append(&change->is_owned, &n_owned);
	memmove(&change->policies[place + 1], &change->policies[place], behind * sizeof(*change->policies));
	memmove(&change->is_owned[place + 1], &change->is_owned[place], behind * sizeof(*change->is_owned));
	change->policies[place] = *policy;
	change->is_owned[place] = true;
	*policy = (struct policy){0};
}

/* The gateway's policy with that name's very memory. */
static void forget_kept(struct change *change, const struct gateway *gateway, const char *name)
{
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (gateway->policies[i].name == name)
			change->is_kept[i] = false;
}

void change_policy_remove(struct change *change, size_t place, const struct gateway *gateway)
{
	size_t behind = --change->n_policies - place;

	if (change->is_owned[place])
		policy_fini(&change->policies[place]);
	else
		forget_kept(change, gateway, change->policies[place].name);
	memmove(&change->policies[place], &change->policies[place + 1], behind * sizeof(*change->policies));
	memmove(&change->is_owned[place], &change->is_owned[place + 1], behind * sizeof(*change->is_owned));
}

long change_policy_find(const struct change *change, const char *name)
{
	for (size_t i = 0; i < change->n_policies; i++)
		if (strcmp(change->policies[i].name, name) == 0)
			return (long)i;
	return -1;
}

static size_t new_names(const struct control *control, const struct change *change)
{
	size_t n = 0;

	for (size_t i = 0; i < change->n_fresh; i++)
		n += sas_find(control, change->fresh[i].name) == NULL;
	return n;
}

int change_check_room(const struct control *control, const struct change *change, struct err *err)
{
	size_t n = control->n_sas + new_names(control, change) - change->n_gone;

	if (n <= control->sas_room)
		return 0;
	return err_set(err, ENOSPC,
		"there is room for %zu SAs, and there would be %zu; set memory.sas to more and restart",
		control->sas_room, n);
}
