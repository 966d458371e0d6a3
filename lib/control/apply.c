#include "control/apply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/alternatives.h"
#include "control/neigh_wire.h"
#include "control/sas.h"
#include "ipsec/path_mtu.h"

#define SPDS          (SNAPSHOT_SPD_OUT | SNAPSHOT_SPD_IN)
#define PART_NAME_MAX 24 /* with the generation, since two of a kind are there for a while */

/* RFC 4303 section 3.4.4: by memcmp, as the drivers of IPsec-MB do it before DPDK 26.07. */
static bool is_icv_compared_in_the_open(
	const struct crypto_device *device, const struct crypto_session *session)
{
	static const char drivers[] = "crypto_aesni_"; /* mb and gcm */

	return session->path != CRYPTO_PATH_DIRECT &&
	       strncmp(device->name, drivers, sizeof(drivers) - 1) == 0;
}

static void log_device(const struct control *control, const struct sa *sa)
{
	const struct crypto_device *device = &control->crypto.devices[sa->session.queue];

	log_info("crypto esp=%s device=%s synchronous=%s", sa->alg->name, device->name,
		sa->session.path == CRYPTO_PATH_QUEUE ? "no" : "yes");
	if (is_icv_compared_in_the_open(device, &sa->session))
		log_warning("device=%s compares the ICVs of esp=%s, in a time that depends on them",
			device->name, sa->alg->name);
}

/* Where the SAs of each algorithm have their sessions: all of one algorithm go the same way. */
void apply_log_devices(const struct control *control)
{
	const struct alg *alg;

	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		for (size_t i = 0; i < control->n_sas; i++) {
			const struct sa *sa = control->sas[i];

			if (sa->alg != alg)
				continue;
			log_device(control, sa);
			break;
		}
	}
}

static bool is_leaving(const struct sa *sa)
{
	return (atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_RETIRED) != 0;
}

/* After a change of little, there may be none any more: then packets pass a few tests for nothing. */
static bool has_bundles(const struct apply_conf *conf)
{
	const struct control *control = conf->control;

	if (conf->is_local)
		return conf->before->has_bundles || conf->brings_bundles;
	for (size_t i = 0; i < control->n_sas; i++)
		if (!is_leaving(control->sas[i]) && !sa_is_single_esp(control->sas[i]))
			return true;
	return false;
}

/* The policies of one direction, in their order, as rules. */
static int spd_build(const struct apply_conf *conf, enum policy_direction direction, uint64_t generation,
	struct spd **spd, struct err *err)
{
	const struct gateway *gateway = conf->gateway;
	struct spd_rule *rules = xcalloc(gateway->n_policies + 1, sizeof(*rules));
	char name[PART_NAME_MAX];
	size_t n_rules = 0;
	int ret;

	snprintf(name, sizeof(name), "%s%" PRIu64, direction == POLICY_OUT ? "out" : "in", generation);
	for (size_t i = 0; i < gateway->n_policies; i++) {
		const struct policy *policy = &gateway->policies[i];

		if (policy->direction == direction)
			rules[n_rules++] = (struct spd_rule){
				.selector = &policy->selector,
				.action = policy->action,
				.sa = conf->policy_sas[i],
				.icmp_errors = policy->icmp_errors,
			};
	}
	ret = spd_create(name, rules, n_rules, (int)rte_socket_id(), spd, err);
	free(rules);
	return ret;
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

static int spds_build(const struct apply_conf *conf, struct snapshot *snapshot, struct err *err)
{
	uint64_t start_ns = clock_now_ns();
	int ret = 0;

	if (!(conf->stays & SNAPSHOT_SPD_OUT))
		ret = spd_build(conf, POLICY_OUT, snapshot->generation, &snapshot->spd_out, err);
	if (ret == 0 && !(conf->stays & SNAPSHOT_SPD_IN))
		ret = spd_build(conf, POLICY_IN, snapshot->generation, &snapshot->spd_in, err);
	log_info("policies=%zu load_ms=%" PRIu64, conf->gateway->n_policies,
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
	char name[PART_NAME_MAX];
	struct route *routes = NULL;
	size_t n_routes = 0;
	int ret;

	snprintf(name, sizeof(name), "routes%" PRIu64, snapshot->generation);
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
	ret = route_table_create(name, routes, n_routes, (int)rte_socket_id(), &snapshot->routes, err);
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
		if (!is_leaving(control->sas[i]) && control->sas[i]->dummy.interval_tsc > 0)
			list->sas[list->n++] = control->sas[i];
	return 0;
}

static void natt_port_add(const struct apply_conf *conf, size_t index, struct natt_ports *ports)
{
	const struct sa_conf *sa = &conf->gateway->sas[index];

	if (sa->encap == SA_ENCAP_UDP && conf->control->sas[index]->inbound)
		natt_ports_add(ports, sa->destination_port);
}

/*
 * RFC 3948 section 2.1's port always is one, so that what comes by it has its name. After a change of little,
 * only what comes new is looked at: a port that no SA uses any more may stay.
 */
static void natt_ports_build(const struct apply_conf *conf, struct natt_ports *ports)
{
	natt_ports_add(ports, SA_ENCAP_PORT_DEFAULT);
	if (conf->is_local) {
		*ports = conf->before->natt_ports;
		for (size_t i = 0; i < conf->n_fresh; i++)
			natt_port_add(conf, conf->fresh[i], ports);
		return;
	}
	for (size_t i = 0; i < conf->control->n_sas; i++)
		if (!is_leaving(conf->control->sas[i]))
			natt_port_add(conf, i, ports);
}

/* The parts that don't stay. */
static int parts_build(const struct apply_conf *conf, struct snapshot *snapshot, struct err *err)
{
	unsigned stays = conf->stays;
	int ret = 0;

	if (!(stays & SNAPSHOT_ROUTES))
		ret = routes_build(conf->gateway, snapshot, err);
	if (ret == 0 && (stays & SPDS) != SPDS)
		ret = spds_build(conf, snapshot, err);
	if (ret == 0 && !(stays & SNAPSHOT_ALTERNATIVES))
		ret = alternatives_build(conf->control, conf->gateway, snapshot, err);
	if (ret == 0 && !(stays & SNAPSHOT_ACQUIRES))
		ret = acquires_build(conf->gateway, snapshot, err);
	if (ret == 0 && !(stays & SNAPSHOT_DUMMIES))
		ret = dummies_build(conf->control, &snapshot->dummies, err);
	return ret;
}

static int snapshot_build(const struct apply_conf *conf, struct snapshot *snapshot, struct err *err)
{
	const struct gateway *gateway = conf->gateway;
	int ret = 0;

	snapshot->generation = conf->before ? conf->before->generation + 1 : 1;
	for (size_t i = 0; i < gateway->icmp.n_accept; i++)
		snapshot->icmp_accept |= 1u << gateway->icmp.accept[i];
	for (size_t i = 0; ret == 0 && i < gateway->n_ports; i++)
		ret = port_build(&gateway->ports[i], &conf->control->ports.ports[i], snapshot, err);
	if (ret == 0)
		ret = parts_build(conf, snapshot, err);
	if (alternatives_read_peers(snapshot->alternatives_out))
		snapshot->replies = conf->control->replies;
	snapshot->has_bundles = has_bundles(conf);
	natt_ports_build(conf, &snapshot->natt_ports);
	return ret;
}

int apply_snapshot(const struct apply_conf *conf, struct snapshot **out, struct err *err)
{
	struct snapshot *snapshot = rte_zmalloc("snapshot", sizeof(*snapshot), RTE_CACHE_LINE_SIZE);
	int ret;

	if (!snapshot)
		return err_set(err, ENOMEM, "no memory for a snapshot");
	if (conf->before)
		snapshot_inherit(snapshot, conf->before, conf->stays);
	ret = snapshot_build(conf, snapshot, err);
	if (ret != 0)
		apply_snapshot_drop(conf, snapshot);
	else
		*out = snapshot;
	return ret;
}

void apply_snapshot_drop(const struct apply_conf *conf, struct snapshot *snapshot)
{
	if (conf->before)
		snapshot_return(snapshot, conf->before, conf->stays);
	snapshot_destroy(snapshot);
}

void apply_publish(struct control *control, struct snapshot *snapshot)
{
	control->snapshot = snapshot;
	for (unsigned i = 0; i < control->n_workers; i++)
		atomic_store_explicit(&control->workers[i]->published, snapshot, memory_order_release);
}

void apply_path_mtu(struct sa *sa, const struct snapshot *snapshot)
{
	const struct next_hop *hop =
		sa->inbound ? NULL : route_find(snapshot->routes, &sa_outermost(sa)->destination);

	if (hop)
		path_mtu_set_link(sa, hop->mtu_bytes);
	else if (!sa->inbound)
		log_warning("there is no route to the destination sa=%s", sa->name);
}
