#include "control/alternatives.h"

#include <rte_lcore.h>

#include "control/sas.h"
#include "ipsec/alternatives.h"
#include "ipsec/replies.h"

static struct alternative alternative_make(
	const struct control *control, const char *name, const struct route_table *routes)
{
	const struct sa_conf *conf = &control->gateway->sas[sas_find(control, name)->index];
	struct sa *sa = sas_named(control, name);
	uint32_t next_hop = route_find_index(routes, &sa_outermost(sa)->destination);

	return (struct alternative){
		.sa = sa,
		.dscps = sa_conf_dscps(conf),
		.workers = sa_conf_workers(conf),
		.after = conf->after ? sas_named(control, conf->after) : NULL,
		.peer = conf->for_peer ? peers_find(&control->peers, conf->for_peer) : ALTERNATIVE_ANY,
		.next_hop = next_hop,
		.port_out = next_hop == ROUTE_NONE ? 0 : route_next_hop(routes, next_hop)->port,
	};
}

/* How many policies one direction has, and alternatives. */
static void count(const struct gateway *gateway, enum policy_direction direction, size_t *n_policies,
	size_t *n_alternatives)
{
	*n_policies = *n_alternatives = 0;
	for (size_t i = 0; i < gateway->n_policies; i++) {
		if (gateway->policies[i].direction != direction)
			continue;
		++*n_policies;
		*n_alternatives += gateway->policies[i].n_alternatives;
	}
}

static int direction_build(const struct control *control, const struct gateway *gateway,
	enum policy_direction direction, const struct route_table *routes, struct alternatives **out,
	struct err *err)
{
	size_t n_policies, n_alternatives;
	uint32_t index = 0; /* in the SPD's list */
	int ret;

	count(gateway, direction, &n_policies, &n_alternatives);
	if (n_alternatives == 0)
		return 0;
	ret = alternatives_create(n_policies, n_alternatives, (int)rte_socket_id(), out, err);
	for (size_t i = 0; ret == 0 && i < gateway->n_policies; i++) {
		const struct policy *policy = &gateway->policies[i];

		if (policy->direction != direction)
			continue;
		for (size_t j = 0; j < policy->n_alternatives; j++) {
			struct alternative alternative =
				alternative_make(control, policy->alternatives[j], routes);

			alternatives_add(*out, index, &alternative);
		}
		index++;
	}
	return ret;
}

int alternatives_prepare(struct control *control, struct err *err)
{
	return control->replies
		       ? 0
		       : replies_create(control->n_workers, (int)rte_socket_id(), &control->replies, err);
}

int alternatives_build(const struct control *control, const struct gateway *gateway,
	struct snapshot *snapshot, struct err *err)
{
	int ret = direction_build(
		control, gateway, POLICY_OUT, snapshot->routes, &snapshot->alternatives_out, err);

	return ret != 0 ? ret
			: direction_build(control, gateway, POLICY_IN, snapshot->routes,
				  &snapshot->alternatives_in, err);
}
