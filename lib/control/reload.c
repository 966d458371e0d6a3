#include "control/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "control/lock.h"
#include "control/sas.h"

#define PATH_TEXT_MAX 160
#define NEEDS_RESTART "can't change while the gateway runs; restart it"

static void tell(struct reload_summary *summary, const char *what, const char *kind, const char *name)
{
	if (summary->tell)
		summary->tell(summary->argument, what, kind, name);
}

static void needs_same(bool is_same, const char *path, struct report *report)
{
	if (!is_same)
		report_add(report, path, NEEDS_RESTART);
}

static bool workers_equal(const struct workers_conf *a, const struct workers_conf *b)
{
	return a->n_lcores == b->n_lcores &&
	       memcmp(a->lcores, b->lcores, a->n_lcores * sizeof(a->lcores[0])) == 0 &&
	       names_equal(a->crypto, a->n_crypto, b->crypto, b->n_crypto) &&
	       a->crypto_mode == b->crypto_mode && a->idle_sleep_us == b->idle_sleep_us;
}

static bool memory_equal(const struct memory_conf *a, const struct memory_conf *b)
{
	return a->hugepages == b->hugepages && a->size_mb == b->size_mb && a->packets == b->packets &&
	       a->sas == b->sas;
}

static bool metrics_equal(const struct metrics_conf *a, const struct metrics_conf *b)
{
	return ip_addr_equal(&a->address, &b->address) && a->port == b->port && a->sas == b->sas;
}

static bool prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_addr_equal(&a->addr, &b->addr) && a->length_bits == b->length_bits;
}

static bool host_equal(const struct host_conf *a, const struct host_conf *b)
{
	if (!texts_equal(a->interface, b->interface) || a->n_routes != b->n_routes)
		return false;
	for (size_t i = 0; i < a->n_routes; i++)
		if (!prefix_equal(&a->routes[i], &b->routes[i]))
			return false;
	return true;
}

static bool addresses_equal(const struct port_conf *a, const struct port_conf *b)
{
	if (a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++)
		if (!prefix_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return true;
}

static void port_check(const struct port_conf *running, const struct port_conf *wanted, struct report *report)
{
	char path[PATH_TEXT_MAX];

	snprintf(path, sizeof(path), "ports.%s", running->name);
	needs_same(strcmp(running->device, wanted->device) == 0 && running->side == wanted->side &&
			   running->mtu_bytes == wanted->mtu_bytes && running->vlan == wanted->vlan &&
			   addresses_equal(running, wanted),
		path, report);
}

static void ports_check(const struct gateway *running, const struct gateway *wanted, struct report *report)
{
	bool are_same = running->n_ports == wanted->n_ports;

	for (size_t i = 0; are_same && i < running->n_ports; i++)
		are_same = strcmp(running->ports[i].name, wanted->ports[i].name) == 0;
	needs_same(are_same, "ports", report);
	for (size_t i = 0; are_same && i < running->n_ports; i++)
		port_check(&running->ports[i], &wanted->ports[i], report);
}

/* What is made at the start and not again. */
static void fixed_check(const struct gateway *running, const struct gateway *wanted, struct report *report)
{
	needs_same(texts_equal(running->control_directory, wanted->control_directory), "control.directory",
		report);
	needs_same(texts_equal(running->state_directory, wanted->state_directory), "control.state_directory",
		report);
	needs_same(texts_equal(running->control_socket, wanted->control_socket), "control.socket", report);
	needs_same(texts_equal(running->control_group, wanted->control_group), "control.group", report);
	needs_same(running->audit == wanted->audit, "control.audit", report);
	needs_same(texts_equal(running->capture_directory, wanted->capture_directory) &&
			   running->capture_inner == wanted->capture_inner,
		"capture", report);
	needs_same(memory_equal(&running->memory, &wanted->memory), "memory", report);
	needs_same(workers_equal(&running->workers, &wanted->workers), "workers", report);
	needs_same(metrics_equal(&running->metrics, &wanted->metrics), "metrics", report);
	needs_same(host_equal(&running->host, &wanted->host), "host", report);
	ports_check(running, wanted, report);
}

bool reload_sa_may_change(const struct sa_conf *running, const struct sa_conf *wanted, struct err *err)
{
	if (!secret_equal(&running->key, &wanted->key) ||
		(running->replay_window_pkts == wanted->replay_window_pkts && running->esn == wanted->esn))
		return true;
	err_set(err, EINVAL,
		"replay_window and esn can't change under the same key; give the SA another key, or restart");
	return false;
}

static void window_check(const struct sa_conf *running, const struct sa_conf *wanted, struct report *report)
{
	char path[PATH_TEXT_MAX];
	struct err err;

	if (reload_sa_may_change(running, wanted, &err))
		return;
	snprintf(path, sizeof(path), "sas.%s", running->name);
	report_add(report, path, "%s", err.text);
}

/* One of the wanted SAs: the change takes those that are not there like that. */
static void sa_compare(const struct control *control, struct sa_conf *wanted, struct change *change,
	struct reload_summary *summary, struct report *report)
{
	const struct control_sa *found = sas_find(control, wanted->name);
	const struct sa_conf *running = found ? &control->gateway->sas[found->index] : NULL;

	if (running && sa_conf_equal(running, wanted))
		return;
	if (running)
		window_check(running, wanted, report);
	if (running)
		summary->sas.changed++;
	else
		summary->sas.added++;
	tell(summary, "sas", running ? "changed" : "added", wanted->name);
	*array_append(&change->fresh, &change->n_fresh) = *wanted;
	*wanted = (struct sa_conf){0};
}

/* Those that run and are not wanted. The wanted have given their names to the index. */
static void sas_missing(const struct control *control, const struct name_index *wanted, struct change *change,
	struct reload_summary *summary)
{
	const struct gateway *running = control->gateway;

	for (size_t i = 0; i < running->n_sas; i++) {
		if (name_index_find(wanted, running->sas[i].name) >= 0)
			continue;
		summary->sas.removed++;
		tell(summary, "sas", "removed", running->sas[i].name);
		*array_append(&change->gone, &change->n_gone) = running->sas[i].name;
	}
}

static void sas_compare(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary, struct report *report)
{
	struct name_index names;

	name_index_init(&names);
	for (size_t i = 0; i < wanted->n_sas; i++)
		name_index_add(&names, wanted->sas[i].name, i);
	sas_missing(control, &names, change, summary);
	name_index_fini(&names);
	for (size_t i = 0; i < wanted->n_sas; i++)
		sa_compare(control, &wanted->sas[i], change, summary, report);
}

/* How two lists of policies differ, by their names. */
static void policies_count(
	const struct gateway *running, const struct gateway *wanted, struct reload_summary *summary)
{
	struct name_index names;
	size_t n_found = 0;

	name_index_init(&names);
	for (size_t i = 0; i < running->n_policies; i++)
		name_index_add(&names, running->policies[i].name, i);
	for (size_t i = 0; i < wanted->n_policies; i++) {
		const struct policy *policy = &wanted->policies[i];
		long place = name_index_find(&names, policy->name);

		n_found += place >= 0;
		if (place < 0)
			summary->policies.added++;
		else if (!policy_equal(&running->policies[place], policy))
			summary->policies.changed++;
		else
			continue;
		tell(summary, "policies", place < 0 ? "added" : "changed", policy->name);
	}
	name_index_fini(&names);
	summary->policies.removed = running->n_policies - n_found;
}

static void policies_missing(
	const struct gateway *running, const struct gateway *wanted, struct reload_summary *summary)
{
	struct name_index names;

	name_index_init(&names);
	for (size_t i = 0; i < wanted->n_policies; i++)
		name_index_add(&names, wanted->policies[i].name, i);
	for (size_t i = 0; i < running->n_policies; i++)
		if (name_index_find(&names, running->policies[i].name) < 0)
			tell(summary, "policies", "removed", running->policies[i].name);
	name_index_fini(&names);
}

static bool policies_equal(const struct gateway *a, const struct gateway *b)
{
	if (a->n_policies != b->n_policies)
		return false;
	for (size_t i = 0; i < a->n_policies; i++)
		if (!policy_equal(&a->policies[i], &b->policies[i]))
			return false;
	return true;
}

static void policies_compare(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary)
{
	const struct gateway *running = control->gateway;
	const struct reload_counts *counts = &summary->policies;

	if (policies_equal(running, wanted))
		return;
	policies_count(running, wanted, summary);
	policies_missing(running, wanted, summary);
	summary->policies_reordered = counts->added + counts->changed + counts->removed == 0;
	change->has_policies = true;
	change->policies = wanted->policies;
	change->n_policies = wanted->n_policies;
	change->is_owned = xcalloc(wanted->n_policies + 1, sizeof(*change->is_owned));
	memset(change->is_owned, true, wanted->n_policies * sizeof(*change->is_owned));
	change->is_kept = xcalloc(running->n_policies + 1, sizeof(*change->is_kept));
	wanted->policies = NULL;
	wanted->n_policies = 0;
}

static bool route_equal(const struct route_conf *a, const struct route_conf *b)
{
	return prefix_equal(&a->to, &b->to) && ip_addr_equal(&a->via, &b->via);
}

static bool has_route(const struct gateway *gateway, const struct route_conf *route)
{
	for (size_t i = 0; i < gateway->n_routes; i++)
		if (route_equal(&gateway->routes[i], route))
			return true;
	return false;
}

static size_t routes_only_in(const struct gateway *gateway, const struct gateway *other, const char *kind,
	struct reload_summary *summary)
{
	char name[2 * IP_ADDR_TEXT_MAX], to[IP_ADDR_TEXT_MAX], via[IP_ADDR_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < gateway->n_routes; i++) {
		const struct route_conf *route = &gateway->routes[i];

		if (has_route(other, route))
			continue;
		snprintf(name, sizeof(name), "%s/%u via %s", ip_addr_format(&route->to.addr, to),
			route->to.length_bits, ip_addr_format(&route->via, via));
		tell(summary, "routes", kind, name);
		n++;
	}
	return n;
}

static void routes_compare(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary)
{
	summary->routes.added = routes_only_in(wanted, control->gateway, "added", summary);
	summary->routes.removed = routes_only_in(control->gateway, wanted, "removed", summary);
	if (summary->routes.added + summary->routes.removed == 0)
		return;
	change->has_routes = true;
	change->routes = wanted->routes;
	change->n_routes = wanted->n_routes;
	wanted->routes = NULL;
	wanted->n_routes = 0;
}

static bool has_neighbour(const struct gateway *gateway, const struct neighbour_conf *neighbour)
{
	for (size_t i = 0; i < gateway->n_neighbours; i++) {
		const struct neighbour_conf *other = &gateway->neighbours[i];

		if (strcmp(other->port, neighbour->port) == 0 &&
			ip_addr_equal(&other->address, &neighbour->address) &&
			memcmp(&other->mac, &neighbour->mac, sizeof(other->mac)) == 0)
			return true;
	}
	return false;
}

static size_t neighbours_only_in(const struct gateway *gateway, const struct gateway *other, const char *kind,
	struct reload_summary *summary)
{
	char text[IP_ADDR_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < gateway->n_neighbours; i++) {
		if (has_neighbour(other, &gateway->neighbours[i]))
			continue;
		tell(summary, "neighbours", kind, ip_addr_format(&gateway->neighbours[i].address, text));
		n++;
	}
	return n;
}

static void neighbours_compare(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary)
{
	summary->neighbours.added = neighbours_only_in(wanted, control->gateway, "added", summary);
	summary->neighbours.removed = neighbours_only_in(control->gateway, wanted, "removed", summary);
	if (summary->neighbours.added + summary->neighbours.removed == 0)
		return;
	change->has_neighbours = true;
	change->neighbours = wanted->neighbours;
	change->n_neighbours = wanted->n_neighbours;
	wanted->neighbours = NULL;
	wanted->n_neighbours = 0;
}

static bool icmp_equal(const struct icmp_conf *a, const struct icmp_conf *b)
{
	return a->n_accept == b->n_accept &&
	       (a->n_accept == 0 || memcmp(a->accept, b->accept, a->n_accept * sizeof(a->accept[0])) == 0) &&
	       a->path_mtu_min_ipv4 == b->path_mtu_min_ipv4 && a->path_mtu_min_ipv6 == b->path_mtu_min_ipv6 &&
	       a->path_mtu_age_s == b->path_mtu_age_s;
}

static void icmp_compare(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary)
{
	if (icmp_equal(&control->gateway->icmp, &wanted->icmp))
		return;
	summary->icmp = true;
	tell(summary, "icmp", "changed", "icmp");
	change->has_icmp = true;
	change->icmp = wanted->icmp;
	wanted->icmp = (struct icmp_conf){0};
}

void reload_difference(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary, struct report *report)
{
	control_directory_set(wanted);
	state_directory_set(wanted);
	fixed_check(control->gateway, wanted, report);
	sas_compare(control, wanted, change, summary, report);
	policies_compare(control, wanted, change, summary);
	routes_compare(control, wanted, change, summary);
	neighbours_compare(control, wanted, change, summary);
	icmp_compare(control, wanted, change, summary);
	gateway_fini(wanted);
}
