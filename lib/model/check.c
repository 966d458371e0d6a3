#include "model/check.h"
#include "base/array.h"
#include "model/bundle.h"
#include "model/check_alternatives.h"
#include "model/name_index.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_TEXT_MAX     160
#define V4_BROADCAST_BITS 30 /* the longest prefix with a broadcast address (RFC 3021) */
#define LOOPBACK_V4_NET   127

struct check {
	const struct gateway *gateway;
	struct report *report;
	const struct name_index *sas;
};

/* Printed into a struct of its own, so that one can be made in a call's arguments. */
struct path {
	char text[PATH_TEXT_MAX];
};

static const char *path_of(struct path *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *path_of(struct path *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(path->text, sizeof(path->text), format, args);
	va_end(args);
	return path->text;
}

/*
 * Two of n objects that are the same: each one after the first, with the first. The objects are sorted, so
 * that 100,000 cost no quadratic time. `compare` says the order of objects a and b; `found` adds the finding.
 */
struct same {
	int (*compare)(const struct gateway *gateway, size_t a, size_t b);
	void (*found)(struct check *check, size_t first, size_t again);
};

struct sort_context {
	const struct gateway *gateway;
	const struct same *same;
};

static int compare_indexes(const void *a, const void *b, void *context)
{
	const struct sort_context *sort = context;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int order = sort->same->compare(sort->gateway, x, y);

	return order ? order : (x > y) - (x < y);
}

static void find_same(struct check *check, size_t n, const struct same *same)
{
	struct sort_context sort = {check->gateway, same};
	size_t *indexes = xcalloc(n + 1, sizeof(*indexes));

	for (size_t i = 0; i < n; i++)
		indexes[i] = i;
	qsort_r(indexes, n, sizeof(*indexes), compare_indexes, &sort);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (same->compare(check->gateway, indexes[first], indexes[i]) == 0)
			same->found(check, indexes[first], indexes[i]);
		else
			first = i;
	}
	free(indexes);
}

static int compare_addresses(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family != b->family ? (int)a->family - (int)b->family
				      : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Why no host can have the address, or NULL. */
static const char *address_fault(const struct ip_addr *addr)
{
	static const uint8_t zero[16], loopback[16] = {[15] = 1}, broadcast[4] = {255, 255, 255, 255};

	if (ip_addr_is_multicast(addr))
		return "a multicast address";
	if (addr->family == IP_V4 && memcmp(addr->bytes, broadcast, sizeof(broadcast)) == 0)
		return "the broadcast address";
	/* RFC 1122 section 3.2.1.3: all of 0.0.0.0/8 is `this network`. */
	if (addr->family == IP_V4 ? addr->bytes[0] == 0 : memcmp(addr->bytes, zero, sizeof(zero)) == 0)
		return "unspecified";
	if (addr->family == IP_V4 ? addr->bytes[0] == LOOPBACK_V4_NET
				  : memcmp(addr->bytes, loopback, sizeof(loopback)) == 0)
		return "a loopback address";
	return NULL;
}

/* An address that wasn't read is none, and has its finding already. */
static bool is_set(const struct ip_addr *addr)
{
	return addr->family != IP_NONE;
}

/* True if a host can have the address; else adds a finding. */
static bool check_host_address(struct check *check, const char *path, const struct ip_addr *addr)
{
	const char *fault = address_fault(addr);
	char text[IP_ADDR_TEXT_MAX];

	if (fault)
		report_add(check->report, path, "%s is %s", ip_addr_format(addr, text), fault);
	return !fault;
}

static void check_sides(struct check *check)
{
	size_t n[2] = {0};

	for (size_t i = 0; i < check->gateway->n_ports; i++)
		n[check->gateway->ports[i].side]++;
	if (n[SIDE_PROTECTED] == 0)
		report_add(check->report, "ports", "no port is on the protected side");
	if (n[SIDE_UNPROTECTED] == 0)
		report_add(check->report, "ports", "no port is on the unprotected side");
}

/* What names the device: before a vdev's arguments, and without the PCI domain that may be left out. */
static size_t device_name(const char **device)
{
	if (strncmp(*device, "0000:", 5) == 0)
		*device += 5;
	return strcspn(*device, ",");
}

static int compare_devices(const struct gateway *gateway, size_t a, size_t b)
{
	const char *x = gateway->ports[a].device, *y = gateway->ports[b].device;
	size_t x_length = device_name(&x), y_length = device_name(&y);
	int order = strncmp(x, y, x_length < y_length ? x_length : y_length);

	return order ? order : (x_length > y_length) - (x_length < y_length);
}

static void same_device(struct check *check, size_t first, size_t again)
{
	const struct port_conf *ports = check->gateway->ports;
	struct path path;

	report_add(check->report, path_of(&path, "ports.%s.device", ports[again].name),
		"is the device of port '%s' too", ports[first].name);
}

/* The first and the last address of an IPv4 link are no host's. */
static void check_link_ends(struct check *check, const char *path, const struct ip_prefix *address)
{
	struct ip_range link = ip_prefix_range(address);
	char text[IP_ADDR_TEXT_MAX];

	if (address->addr.family != IP_V4 || address->length_bits > V4_BROADCAST_BITS)
		return;
	if (ip_addr_equal(&link.first, &address->addr))
		report_add(check->report, path, "%s is the address of the whole link, not of a host on it",
			ip_addr_format(&address->addr, text));
	if (ip_addr_equal(&link.last, &address->addr))
		report_add(check->report, path, "%s is the link's broadcast address",
			ip_addr_format(&address->addr, text));
}

static bool prefixes_overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_prefix_contains(a, &b->addr) || ip_prefix_contains(b, &a->addr);
}

/* Compare the address with one that comes before it. */
static void check_address_pair(struct check *check, const struct port_conf *before,
	const struct ip_prefix *first, const struct port_conf *port, size_t index)
{
	const struct ip_prefix *address = &port->addresses[index];
	struct path path;

	if (ip_addr_equal(&first->addr, &address->addr))
		report_add(check->report, path_of(&path, "ports.%s.addresses[%zu]", port->name, index),
			"is an address of port '%s' already", before->name);
	else if (port != before && prefixes_overlap(first, address))
		report_add(check->report, path_of(&path, "ports.%s.addresses[%zu]", port->name, index),
			"overlaps a link of port '%s'", before->name);
}

static void check_address(struct check *check, const struct port_conf *port, size_t index)
{
	const struct ip_prefix *address = &port->addresses[index];
	struct path path;

	path_of(&path, "ports.%s.addresses[%zu]", port->name, index);
	if (check_host_address(check, path.text, &address->addr))
		check_link_ends(check, path.text, address);
	for (const struct port_conf *before = check->gateway->ports; before <= port; before++)
		for (size_t i = 0; i < (before == port ? index : before->n_addresses); i++)
			check_address_pair(check, before, &before->addresses[i], port, index);
}

static void check_ports(struct check *check)
{
	static const struct same device = {compare_devices, same_device};
	const struct gateway *gateway = check->gateway;

	check_sides(check);
	find_same(check, gateway->n_ports, &device);
	for (size_t i = 0; i < gateway->n_ports; i++)
		for (size_t j = 0; j < gateway->ports[i].n_addresses; j++)
			check_address(check, &gateway->ports[i], j);
}

static void check_via(struct check *check, const char *path, const struct route_conf *route)
{
	char text[IP_ADDR_TEXT_MAX];

	if (!check_host_address(check, path, &route->via))
		return;
	if (is_set(&route->to.addr) && route->via.family != route->to.addr.family)
		report_add(check->report, path, "is of another family than the destinations");
	else if (gateway_find_own_address(check->gateway, &route->via) >= 0)
		report_add(check->report, path, "%s is the gateway's own address",
			ip_addr_format(&route->via, text));
	else if (gateway_find_link(check->gateway, &route->via) < 0)
		report_add(check->report, path, "%s is on no port's link", ip_addr_format(&route->via, text));
}

static int compare_routes(const struct gateway *gateway, size_t a, size_t b)
{
	const struct ip_prefix *x = &gateway->routes[a].to, *y = &gateway->routes[b].to;
	int order = compare_addresses(&x->addr, &y->addr);

	return order ? order : (int)x->length_bits - (int)y->length_bits;
}

static void same_route(struct check *check, size_t first, size_t again)
{
	struct path path;

	if (is_set(&check->gateway->routes[again].to.addr))
		report_add(check->report, path_of(&path, "routes[%zu].to", again),
			"routes[%zu] is to the same prefix", first);
}

static void check_routes(struct check *check)
{
	static const struct same to = {compare_routes, same_route};
	const struct gateway *gateway = check->gateway;
	struct path path;

	for (size_t i = 0; i < gateway->n_routes; i++)
		if (is_set(&gateway->routes[i].via))
			check_via(check, path_of(&path, "routes[%zu].via", i), &gateway->routes[i]);
	find_same(check, gateway->n_routes, &to);
}

static bool is_on_link(const struct port_conf *port, const struct ip_addr *addr)
{
	for (size_t i = 0; i < port->n_addresses; i++)
		if (ip_prefix_contains(&port->addresses[i], addr))
			return true;
	return false;
}

static void check_neighbour(struct check *check, size_t index)
{
	const struct neighbour_conf *neighbour = &check->gateway->neighbours[index];
	int port = neighbour->port ? gateway_find_port(check->gateway, neighbour->port) : -1;
	struct path path;
	char text[IP_ADDR_TEXT_MAX];

	if (neighbour->port && port < 0)
		report_add(check->report, path_of(&path, "neighbours[%zu].port", index),
			"no port is named '%s'", neighbour->port);
	path_of(&path, "neighbours[%zu].address", index);
	if (!is_set(&neighbour->address) || !check_host_address(check, path.text, &neighbour->address))
		return;
	if (gateway_find_own_address(check->gateway, &neighbour->address) >= 0)
		report_add(check->report, path.text, "%s is the gateway's own address",
			ip_addr_format(&neighbour->address, text));
	else if (port >= 0 && !is_on_link(&check->gateway->ports[port], &neighbour->address))
		report_add(check->report, path.text, "%s is not on a link of port '%s'",
			ip_addr_format(&neighbour->address, text), neighbour->port);
}

static int compare_neighbours(const struct gateway *gateway, size_t a, size_t b)
{
	const struct neighbour_conf *x = &gateway->neighbours[a], *y = &gateway->neighbours[b];
	int order = strcmp(x->port ? x->port : "", y->port ? y->port : "");

	return order ? order : compare_addresses(&x->address, &y->address);
}

static void same_neighbour(struct check *check, size_t first, size_t again)
{
	const struct neighbour_conf *neighbour = &check->gateway->neighbours[again];
	struct path path;

	if (neighbour->port && is_set(&neighbour->address))
		report_add(check->report, path_of(&path, "neighbours[%zu].address", again),
			"neighbours[%zu] has the same port and address", first);
}

static void check_neighbours(struct check *check)
{
	static const struct same address = {compare_neighbours, same_neighbour};

	for (size_t i = 0; i < check->gateway->n_neighbours; i++)
		check_neighbour(check, i);
	find_same(check, check->gateway->n_neighbours, &address);
}

/* The end that is the gateway's own must be an address of an unprotected port. */
static void check_own_end(struct check *check, const char *path, const struct ip_addr *end)
{
	int index = gateway_find_own_address(check->gateway, end);
	char text[IP_ADDR_TEXT_MAX];

	if (index >= 0 && check->gateway->ports[index].side == SIDE_PROTECTED)
		report_add(check->report, path,
			"%s is an address of port '%s', which is on the protected side",
			ip_addr_format(end, text), check->gateway->ports[index].name);
}

static void check_ends(struct check *check, const struct sa_conf *sa)
{
	bool source_own = gateway_find_own_address(check->gateway, &sa->source) >= 0;
	bool destination_own = gateway_find_own_address(check->gateway, &sa->destination) >= 0;
	struct path source, destination, path;

	path_of(&source, "sas.%s.source", sa->name);
	path_of(&destination, "sas.%s.destination", sa->name);
	if (!check_host_address(check, source.text, &sa->source) ||
		!check_host_address(check, destination.text, &sa->destination))
		return;
	if (source_own && destination_own)
		report_add(check->report, path_of(&path, "sas.%s", sa->name),
			"both ends are the gateway's own addresses");
	else if (!source_own && !destination_own)
		report_add(check->report, path_of(&path, "sas.%s", sa->name),
			"neither source nor destination is the gateway's own address");
	else
		check_own_end(check, source_own ? source.text : destination.text,
			source_own ? &sa->source : &sa->destination);
}

/* What the SAs are found by beside their SPI, which is of the same kind. */
static int compare_looked_up(const struct sa_conf *x, const struct sa_conf *y)
{
	int order;

	if (x->lookup == SA_LOOKUP_SPI)
		return (int)x->destination.family - (int)y->destination.family;
	order = compare_addresses(&x->destination, &y->destination);
	return order || x->lookup != SA_LOOKUP_SOURCE ? order : compare_addresses(&x->source, &y->source);
}

static int compare_spis(const struct gateway *gateway, size_t a, size_t b)
{
	const struct sa_conf *x = &gateway->sas[a], *y = &gateway->sas[b];

	if (x->spi != y->spi)
		return x->spi < y->spi ? -1 : 1;
	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	if (x->lookup != y->lookup)
		return x->lookup < y->lookup ? -1 : 1;
	return compare_looked_up(x, y);
}

/* RFC 4301 section 4.1: what the SA is found by is its own. */
static void same_spi(struct check *check, size_t first, size_t again)
{
	static const char *const what[SA_LOOKUP_COUNT] = {
		[SA_LOOKUP_DESTINATION] = "with the same destination",
		[SA_LOOKUP_SOURCE] = "with the same destination and source",
		[SA_LOOKUP_SPI] = "and both are found by it alone",
	};
	const struct sa_conf *sas = check->gateway->sas;
	struct path path;

	if (sas[again].spi != 0 && is_set(&sas[again].destination))
		report_add(check->report, path_of(&path, "sas.%s.spi", sas[again].name),
			"0x%08x is the SPI of '%s' too, %s", sas[again].spi, sas[first].name,
			what[sas[again].lookup]);
}

static void check_lookup(struct check *check, const struct sa_conf *sa)
{
	struct path path;

	if (sa->lookup != SA_LOOKUP_DESTINATION && !gateway_sa_is_inbound(check->gateway, sa))
		report_add(check->report, path_of(&path, "sas.%s.lookup", sa->name),
			"the SA is outbound; its peer looks it up");
}

static int compare_keys(const struct gateway *gateway, size_t a, size_t b)
{
	const struct secret *x = &gateway->sas[a].key, *y = &gateway->sas[b].key;

	if (x->length_bytes != y->length_bytes)
		return x->length_bytes < y->length_bytes ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->length_bytes);
}

/*
 * RFC 4106 section 8.1: an IV is used once with a key. The gateway sees to that of its own SAs
 * (control/seq_store.h), and can't of those that a peer sends with.
 */
static void same_key(struct check *check, size_t first, size_t again)
{
	const struct sa_conf *sas = check->gateway->sas;
	struct path path;

	if (sas[again].key.length_bytes > 0)
		report_add(check->report, path_of(&path, "sas.%s", sas[again].name),
			"has the same key as '%s'; each SA needs its own", sas[first].name);
}

/* What an SA of the other direction would not heed. */
static void check_encap_direction(struct check *check, const struct sa_conf *sa, bool inbound)
{
	struct path path;

	if (inbound && sa->keepalive_s > 0)
		report_add(check->report, path_of(&path, "sas.%s.keepalive", sa->name),
			"the SA is inbound; the outbound one sends keepalives");
	if (inbound && sa->udp_checksum != SA_UDP_CHECKSUM_COMPUTED)
		report_add(check->report, path_of(&path, "sas.%s.udp_checksum", sa->name),
			"the SA is inbound, and takes any checksum");
	if (inbound && sa->follows)
		report_add(check->report, path_of(&path, "sas.%s.follows", sa->name),
			"the SA is inbound; an outbound one follows it");
	if (!inbound && !sa->bare_esp)
		report_add(check->report, path_of(&path, "sas.%s.bare_esp", sa->name),
			"the SA is outbound, and sends in UDP only");
}

static bool has_same_peer(const struct sa_conf *out, const struct sa_conf *in)
{
	return ip_addr_equal(&out->destination, &in->source) &&
	       ip_addr_equal(&out->source, &in->destination) && out->destination_port == in->source_port &&
	       out->source_port == in->destination_port;
}

/* Why an SA can't follow that one, or NULL. */
static const char *follow_fault(
	const struct gateway *gateway, const struct sa_conf *out, const struct sa_conf *in)
{
	if (!is_set(&in->source) || !is_set(&in->destination) || !is_set(&out->destination))
		return NULL;
	if (!gateway_sa_is_inbound(gateway, in))
		return "is outbound; the SA to follow is inbound";
	if (in->encap != SA_ENCAP_UDP)
		return "is not in UDP";
	if (in->lookup == SA_LOOKUP_SOURCE)
		return "is found by its source, and would be lost where that moves";
	if (!has_same_peer(out, in))
		return "is not between the same addresses and ports";
	/* A replay from elsewhere must not pull the tunnel there. */
	if (in->replay_window_pkts == 0)
		return "has no anti-replay (its replay_window is 0), without which no packet is the newest";
	return NULL;
}

static void check_follows(struct check *check, const struct sa_conf *sa)
{
	long index = name_index_find(check->sas, sa->follows);
	const char *fault = index < 0 ? "is the name of no SA"
				      : follow_fault(check->gateway, sa, &check->gateway->sas[index]);
	struct path path;

	if (fault)
		report_add(check->report, path_of(&path, "sas.%s.follows", sa->name), "'%s' %s", sa->follows,
			fault);
}

static void check_encap(struct check *check, const struct sa_conf *sa)
{
	bool inbound = gateway_sa_is_inbound(check->gateway, sa);

	if (sa->encap != SA_ENCAP_UDP)
		return;
	check_encap_direction(check, sa, inbound);
	if (!inbound && sa->follows)
		check_follows(check, sa);
}

static void check_sa(struct check *check, const struct sa_conf *sa)
{
	if (!is_set(&sa->source) || !is_set(&sa->destination))
		return;
	check_ends(check, sa);
	check_lookup(check, sa);
	check_encap(check, sa);
}

static void check_sas(struct check *check)
{
	static const struct same spi = {compare_spis, same_spi}, key = {compare_keys, same_key};
	const struct gateway *gateway = check->gateway;

	if (gateway->n_sas > gateway_sas_room(gateway))
		report_add(check->report, "memory.sas", "has room for %u SAs, and there are %zu",
			gateway->memory.sas, gateway->n_sas);
	for (size_t i = 0; i < gateway->n_sas; i++)
		check_sa(check, &gateway->sas[i]);
	find_same(check, gateway->n_sas, &spi);
	find_same(check, gateway->n_sas, &key);
}

static void check_policy_sa(
	struct check *check, const struct policy *policy, const char *name, const char *path)
{
	long index = name_index_find(check->sas, name);
	const struct sa_conf *sa = index >= 0 ? &check->gateway->sas[index] : NULL;
	bool inbound;

	if (!sa) {
		report_add(check->report, path, "no SA is named '%s'", name);
		return;
	}
	if (!is_set(&sa->destination))
		return;
	inbound = gateway_sa_is_inbound(check->gateway, sa);
	if (inbound && policy->direction == POLICY_OUT)
		report_add(check->report, path,
			"'%s' is inbound (its destination is this gateway), the policy is outbound", name);
	if (!inbound && policy->direction == POLICY_IN)
		report_add(check->report, path,
			"'%s' is outbound (its destination is not this gateway), the policy is inbound",
			name);
}

static unsigned families_of(const struct ip_range *ranges, size_t n)
{
	unsigned families = n == 0 ? 1u << IP_V4 | 1u << IP_V6 : 0;

	for (size_t i = 0; i < n; i++)
		families |= 1u << ranges[i].first.family;
	return families;
}

static void check_policy(struct check *check, size_t index)
{
	const struct policy *policy = &check->gateway->policies[index];
	const struct selector *selector = &policy->selector;
	unsigned families = families_of(selector->sources, selector->n_sources) &
			    families_of(selector->destinations, selector->n_destinations);
	struct path path;

	if (families == 0)
		report_add(check->report, path_of(&path, "policies[%zu]", index),
			"matches nothing: source and destination are of different families");
	else if (selector->protocol == SELECTOR_PROTOCOL_OPAQUE && !(families & 1u << IP_V6))
		report_add(check->report, path_of(&path, "policies[%zu].protocol", index),
			"matches nothing: only in IPv6 packets it can be opaque");
	for (size_t i = 0; i < policy->n_sas; i++)
		check_policy_sa(
			check, policy, policy->sas[i], path_of(&path, "policies[%zu].sas[%zu]", index, i));
	for (size_t i = 0; i < policy->n_alternatives; i++)
		check_policy_sa(check, policy, policy->alternatives[i],
			path_of(&path, "policies[%zu].alternatives[%zu]", index, i));
}

static int compare_policy_names(const struct gateway *gateway, size_t a, size_t b)
{
	const char *x = gateway->policies[a].name, *y = gateway->policies[b].name;

	return strcmp(x ? x : "", y ? y : "");
}

static void same_policy_name(struct check *check, size_t first, size_t again)
{
	struct path path;

	if (check->gateway->policies[again].name)
		report_add(check->report, path_of(&path, "policies[%zu].name", again),
			"policies[%zu] has the same name", first);
}

static void check_policies(struct check *check)
{
	static const struct same name = {compare_policy_names, same_policy_name};

	for (size_t i = 0; i < check->gateway->n_policies; i++)
		check_policy(check, i);
	find_same(check, check->gateway->n_policies, &name);
}

/* Each worker has packets in hand, and fragments that wait, and a share of the buffers in its cache. */
static void check_memory(struct check *check)
{
	const struct gateway *gateway = check->gateway;
	size_t needed = MEMORY_PACKETS_EACH * gateway->workers.n_lcores;

	if (gateway->memory.packets != 0 && gateway->memory.packets < needed)
		report_add(check->report, "memory.packets", "%u packets are too few: %zu workers need %zu",
			gateway->memory.packets, gateway->workers.n_lcores, needed);
}

void gateway_check(const struct gateway *gateway, struct report *report)
{
	struct name_index names;
	struct check check = {.gateway = gateway, .report = report, .sas = &names};

	name_index_init(&names);
	for (size_t i = 0; i < gateway->n_sas; i++)
		name_index_add(&names, gateway->sas[i].name, i);
	check_memory(&check);
	check_ports(&check);
	check_routes(&check);
	check_neighbours(&check);
	check_sas(&check);
	check_policies(&check);
	bundles_check(gateway, &names, report);
	check_alternatives(gateway, &names, report);
	name_index_fini(&names);
}

void gateway_check_sa(const struct gateway *gateway, const struct name_index *names,
	const struct sa_conf *conf, struct report *report)
{
	struct check check = {.gateway = gateway, .report = report, .sas = names};

	check_sa(&check, conf);
	check_alternatives_of_sa(gateway, names, conf, report);
}
