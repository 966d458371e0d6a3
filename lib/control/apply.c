#include "control/apply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/alternatives.h"
#include "control/neigh_wire.h"
#include "ipsec/path_mtu.h"
#include "ipsec/sad.h"
#include "model/bundle.h"
#include "model/name_index.h"

static int sa_build(struct control *control, const struct sa_conf *conf, struct sa **sa, struct err *err)
{
	struct sa_params params = {
		.conf = conf,
		.inbound = gateway_sa_is_inbound(control->gateway, conf),
		.n_workers = control->n_workers,
		.socket = (int)rte_socket_id(),
	};

	if (getrandom(&params.iv_mask, sizeof(params.iv_mask), 0) != sizeof(params.iv_mask))
		return err_set(err, EIO, "the operating system gives no random numbers");
	return sa_create(&params, &control->crypto, sa, err);
}

/* Where the SAs of each algorithm have their sessions: all of one algorithm go the same way. */
static void sas_log_devices(const struct control *control)
{
	const struct alg *alg;

	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		for (size_t i = 0; i < control->n_sas; i++) {
			const struct sa *sa = control->sas[i];

			if (sa->alg != alg)
				continue;
			log_info("crypto esp=%s device=%s synchronous=%s", alg->name,
				control->crypto.devices[sa->session.queue].name,
				sa->session.path == CRYPTO_PATH_QUEUE ? "no" : "yes");
			break;
		}
	}
}

/* The table that the SA is found in by its peer's packets, or by errors about its own. */
static struct sad *sad_of(const struct control *control, const struct sa *sa)
{
	return sa->inbound ? control->sad : control->sad_out;
}

static int sas_create(struct control *control, struct err *err)
{
	const struct gateway *gateway = control->gateway;
	uint64_t start_ns = clock_now_ns();

	control->sas = xcalloc(gateway->n_sas + 1, sizeof(control->sas[0]));
	for (size_t i = 0; i < gateway->n_sas; i++) {
		int ret = sa_build(control, &gateway->sas[i], &control->sas[i], err);

		if (ret != 0)
			return ret;
		control->n_sas++;
		ret = sad_add(sad_of(control, control->sas[i]), control->sas[i], err);
		if (ret != 0)
			return ret;
	}
	sas_log_devices(control);
	log_info("sas=%zu load_ms=%" PRIu64, control->n_sas, (clock_now_ns() - start_ns) / CLOCK_NS_PER_MS);
	return 0;
}

/* Which SAs are around IPComp in tunnel mode. */
static void ipcomp_link(const struct control *control)
{
	for (size_t i = 0; i < control->n_sas; i++) {
		struct sa *sa = control->sas[i];

		if (sa->protocol == SA_IPCOMP && !sa_is_transport(sa) && sa->around &&
			!sa->around->ipcomp_inside)
			sa->around->ipcomp_inside = sa;
	}
}

/* Which SA is around which, as the policies have them. */
static void bundles_link(const struct control *control, const struct name_index *names)
{
	struct bundle_place *places = bundles_make(control->gateway, names, NULL);

	for (size_t i = 0; i < control->n_sas; i++) {
		struct sa *sa = control->sas[i];

		sa->around = places[i].around == BUNDLE_NONE ? NULL : control->sas[places[i].around];
		sa->has_inside = places[i].inside != BUNDLE_NONE;
	}
	free(places);
	ipcomp_link(control);
}

static bool has_bundles(const struct control *control)
{
	for (size_t i = 0; i < control->n_sas; i++)
		if (!sa_is_single_esp(control->sas[i]))
			return true;
	return false;
}

static void sas_destroy(struct control *control)
{
	for (size_t i = 0; i < control->n_sas; i++) {
		sad_remove(sad_of(control, control->sas[i]), control->sas[i]);
		sa_destroy(control->sas[i]);
	}
	free(control->sas);
	control->sas = NULL;
	control->n_sas = 0;
}

static struct sa *sa_of_policy(
	const struct control *control, const struct name_index *names, const struct policy *policy)
{
	return policy->n_sas > 0 ? control->sas[name_index_find(names, policy->sas[0])] : NULL;
}

/* The policies of one direction, in their order, as rules. */
static int spd_build(const struct control *control, const struct name_index *names,
	enum policy_direction direction, struct spd **spd, struct err *err)
{
	const struct gateway *gateway = control->gateway;
	struct spd_rule *rules = xcalloc(gateway->n_policies + 1, sizeof(*rules));
	size_t n_rules = 0;
	int ret;

	for (size_t i = 0; i < gateway->n_policies; i++) {
		const struct policy *policy = &gateway->policies[i];

		if (policy->direction == direction)
			rules[n_rules++] = (struct spd_rule){
				.selector = &policy->selector,
				.action = policy->action,
				.sa = sa_of_policy(control, names, policy),
				.icmp_errors = policy->icmp_errors,
			};
	}
	ret = spd_create(
		direction == POLICY_OUT ? "out" : "in", rules, n_rules, (int)rte_socket_id(), spd, err);
	free(rules);
	return ret;
}

/* The names of the SAs. */
static void names_init(struct name_index *names, const struct control *control)
{
	name_index_init(names, control->n_sas);
	for (size_t i = 0; i < control->n_sas; i++)
		name_index_add(names, control->gateway->sas[i].name, i);
	name_index_sort(names);
}

/* SAs that send to where another one's peer is. */
static void sas_link(const struct control *control)
{
	struct name_index names;

	names_init(&names, control);
	for (size_t i = 0; i < control->n_sas; i++) {
		const char *follows = control->gateway->sas[i].follows;

		if (follows)
			natt_link(control->sas[i], control->sas[name_index_find(&names, follows)]);
	}
	name_index_fini(&names);
}

static bool lacks_sa(const struct policy *policy)
{
	return policy->direction == POLICY_OUT && policy->action == POLICY_PROTECT && policy->n_sas == 0;
}

/* What tells control of SAs that are wanted; nothing, if there are all. */
static int acquires_build(const struct gateway *gateway, struct snapshot *snapshot, struct err *err)
{
	size_t n_outbound = 0, n_lacking = 0;
	int ret;

	for (size_t i = 0; i < gateway->n_policies; i++) {
		n_outbound += gateway->policies[i].direction == POLICY_OUT;
		n_lacking += lacks_sa(&gateway->policies[i]);
	}
	if (n_lacking == 0)
		return 0;
	ret = acquire_table_create(n_outbound, (int)rte_socket_id(), &snapshot->acquires, err);
	for (size_t i = 0, outbound = 0; ret == 0 && i < gateway->n_policies; i++) {
		if (gateway->policies[i].tell_sender)
			acquire_tell_senders(snapshot->acquires, outbound);
		outbound += gateway->policies[i].direction == POLICY_OUT;
	}
	return ret;
}

static int spds_build(const struct control *control, struct snapshot *snapshot, struct err *err)
{
	struct name_index names;
	uint64_t start_ns = clock_now_ns();
	int ret;

	names_init(&names, control);
	bundles_link(control, &names);
	snapshot->has_bundles = has_bundles(control);
	ret = spd_build(control, &names, POLICY_OUT, &snapshot->spd_out, err);
	if (ret == 0)
		ret = spd_build(control, &names, POLICY_IN, &snapshot->spd_in, err);
	if (ret == 0)
		ret = alternatives_build(control, &names, snapshot, err);
	name_index_fini(&names);
	log_info("policies=%zu load_ms=%" PRIu64, control->gateway->n_policies,
		(clock_now_ns() - start_ns) / CLOCK_NS_PER_MS);
	return ret;
}

static struct next_hop next_hop_on(const struct gateway *gateway, int port)
{
	return (struct next_hop){.port = (uint8_t)port, .mtu_bytes = gateway->ports[port].mtu_bytes};
}

/* The links of the ports' own addresses, then the configured routes. */
static int routes_build(const struct gateway *gateway, struct snapshot *snapshot, struct err *err)
{
	struct route *routes = NULL;
	size_t n_routes = 0;
	int ret;

	for (size_t i = 0; i < gateway->n_ports; i++)
		for (size_t j = 0; j < gateway->ports[i].n_addresses; j++)
			*array_append(&routes, &n_routes) = (struct route){
				.to = gateway->ports[i].addresses[j],
				.via = next_hop_on(gateway, (int)i),
			};
	for (size_t i = 0; i < gateway->n_routes; i++) {
		struct route *route = array_append(&routes, &n_routes);

		route->to = gateway->routes[i].to;
		route->via = next_hop_on(gateway, gateway_find_link(gateway, &gateway->routes[i].via));
		route->via.gateway = gateway->routes[i].via;
	}
	ret = route_table_create("routes", routes, n_routes, (int)rte_socket_id(), &snapshot->routes, err);
	free(routes);
	return ret;
}

/* The address is one of the gateway's own; false when a table is full. */
static bool own_address_add(
	struct snapshot *snapshot, const struct snapshot_port *port, const struct ip_addr *addr)
{
	return local_addrs_add(&snapshot->local, addr) &&
	       (port->is_protected || local_addrs_add(&snapshot->local_outside, addr));
}

static int port_build(
	const struct port_conf *conf, const struct port *port, struct snapshot *snapshot, struct err *err)
{
	uint8_t index = snapshot->n_ports++;
	struct snapshot_port *out = &snapshot->ports[index];
	struct ip_addr link_local = neigh_link_local(&port->mac);
	bool added;

	*out = (struct snapshot_port){
		.parse = {.mac = port->mac, .vlan = conf->vlan, .index = index},
		.is_protected = conf->side == SIDE_PROTECTED,
		.mtu_bytes = conf->mtu_bytes,
	};
	snapshot->neigh_ports[index] = (struct neigh_port){.mac = port->mac, .vlan = conf->vlan};
	added = own_address_add(snapshot, out, &link_local);
	for (size_t i = 0; added && i < conf->n_addresses; i++) {
		const struct ip_addr *addr = &conf->addresses[i].addr;
		struct ip_addr *first = addr->family == IP_V4 ? &out->ipv4 : &out->ipv6;

		if (first->family == IP_NONE)
			*first = *addr;
		added = own_address_add(snapshot, out, addr);
	}
	return added ? 0
		     : err_set(err, E2BIG, "ports.%s: more than %d own addresses of a family", conf->name,
			       LOCAL_ADDRS_MAX);
}

/* The SAs that send dummies. */
static int dummies_build(const struct control *control, struct dummy_list *list, struct err *err)
{
	list->sas = rte_zmalloc("dummies", (control->n_sas + 1) * sizeof(*list->sas), 0);
	if (!list->sas)
		return err_set(err, ENOMEM, "no memory for the list of SAs with dummies");
	for (size_t i = 0; i < control->n_sas; i++)
		if (control->sas[i]->dummy.interval_tsc > 0)
			list->sas[list->n++] = control->sas[i];
	return 0;
}

/* Each outbound SA's MTU comes from the link to its peer. */
static void path_mtus_set(const struct control *control, const struct snapshot *snapshot)
{
	for (size_t i = 0; i < control->n_sas; i++) {
		struct sa *sa = control->sas[i];
		const struct next_hop *hop =
			sa->inbound ? NULL : route_find(snapshot->routes, &sa_outermost(sa)->destination);

		if (hop)
			path_mtu_set_link(sa, hop->mtu_bytes);
		else if (!sa->inbound)
			log_warning("there is no route to the destination sa=%s", sa->name);
	}
}

/* RFC 3948 section 2.1's port always is one, so that what comes by it has its name. */
static void natt_ports_build(const struct gateway *gateway, struct natt_ports *ports)
{
	natt_ports_add(ports, SA_ENCAP_PORT_DEFAULT);
	for (size_t i = 0; i < gateway->n_sas; i++)
		if (gateway->sas[i].encap == SA_ENCAP_UDP && gateway_sa_is_inbound(gateway, &gateway->sas[i]))
			natt_ports_add(ports, gateway->sas[i].destination_port);
}

static int snapshot_build(const struct control *control, struct snapshot *snapshot, struct err *err)
{
	const struct gateway *gateway = control->gateway;
	int ret = 0;

	for (size_t i = 0; i < gateway->icmp.n_accept; i++)
		snapshot->icmp_accept |= 1u << gateway->icmp.accept[i];
	for (size_t i = 0; ret == 0 && i < gateway->n_ports; i++)
		ret = port_build(&gateway->ports[i], &control->ports.ports[i], snapshot, err);
	if (ret == 0)
		ret = routes_build(gateway, snapshot, err);
	if (ret == 0)
		ret = spds_build(control, snapshot, err);
	if (ret == 0)
		ret = acquires_build(gateway, snapshot, err);
	if (ret == 0)
		ret = dummies_build(control, &snapshot->dummies, err);
	natt_ports_build(gateway, &snapshot->natt_ports);
	return ret;
}

static void publish(struct control *control, struct snapshot *snapshot)
{
	control->snapshot = snapshot;
	for (unsigned i = 0; i < control->n_workers; i++)
		atomic_store_explicit(&control->workers[i]->published, snapshot, memory_order_release);
}

int apply_create(struct control *control, struct err *err)
{
	struct snapshot *snapshot = rte_zmalloc("snapshot", sizeof(*snapshot), RTE_CACHE_LINE_SIZE);
	int ret = snapshot ? sas_create(control, err) : err_set(err, ENOMEM, "no memory for a snapshot");

	if (ret == 0)
		sas_link(control);
	if (ret == 0)
		ret = snapshot_build(control, snapshot, err);
	if (ret != 0) {
		snapshot_destroy(snapshot);
		sas_destroy(control);
		return ret;
	}
	path_mtus_set(control, snapshot);
	publish(control, snapshot);
	return 0;
}

void apply_destroy(struct control *control)
{
	struct snapshot *snapshot = control->snapshot;

	publish(control, NULL);
	snapshot_destroy(snapshot);
	sas_destroy(control);
}
