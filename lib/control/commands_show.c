/* The commands that show what is: none of them changes anything. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/clock.h"
#include "base/counter.h"
#include "control/lifetime.h"
#include "control/neigh_proto.h"
#include "control/request.h"
#include "control/sas.h"
#include "control/server.h"
#include "datapath/snapshot.h"
#include "ipsec/natt.h"
#include "ipsec/sa.h"

/* SAs and policies in one answer; more are asked for by `offset`. */
#define PAGE_DEFAULT 1000
#define PAGE_MAX     2000

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, number(value));
}

static void put_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_string(value));
}

static void put_address(json_t *object, const char *key, const struct ip_addr *addr)
{
	char text[IP_ADDR_TEXT_MAX];

	if (addr->family != IP_NONE)
		put_text(object, key, ip_addr_format(addr, text));
}

static json_t *prefix_json(const struct ip_prefix *prefix)
{
	char text[IP_ADDR_TEXT_MAX];

	return json_sprintf("%s/%u", ip_addr_format(&prefix->addr, text), prefix->length_bits);
}

/* What of a list is asked for. */
struct page {
	uint64_t offset;
	uint64_t limit;
	uint64_t n; /* items of the list so far */
};

static int page_read(struct request *request, struct page *page)
{
	int ret;

	*page = (struct page){.limit = PAGE_DEFAULT};
	ret = request_number(request, "offset", false, UINT32_MAX, &page->offset);
	return ret == 0 ? request_number(request, "limit", false, PAGE_MAX, &page->limit) : ret;
}

/* Is the next item of the list asked for? */
static bool page_takes(struct page *page)
{
	uint64_t i = page->n++;

	return i >= page->offset && i - page->offset < page->limit;
}

/* How many there are in all, and where the rest begins. A limit of 0 only counts. */
static void page_end(struct request *request, const struct page *page)
{
	put_number(request->result, "total", page->n);
	if (page->limit > 0 && page->n > page->offset + page->limit)
		put_number(request->result, "next", page->offset + page->limit);
}

static int show_version(struct request *request)
{
	put_text(request->result, "version", request->control->version);
	put_number(request->result, "protocol", SERVER_VERSION);
	put_number(request->result, "uptime_seconds",
		(clock_now_ns() - request->control->begun_ns) / CLOCK_NS_PER_S);
	return 0;
}

static int show_commands(struct request *request)
{
	const struct command *command;
	json_t *list = json_array();

	for (size_t i = 0; (command = command_at(i)) != NULL; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", command->name, "arguments",
						    command->arguments, "text", command->text));
	json_object_set_new(request->result, "commands", list);
	return 0;
}

static json_t *port_json(const struct control *control, const struct stats *stats, size_t i)
{
	const struct port_conf *conf = &control->gateway->ports[i];
	json_t *port = json_pack("{s:s, s:s, s:s}", "name", conf->name, "device", conf->device, "side",
		conf->side == SIDE_PROTECTED ? "protected" : "unprotected");
	json_t *addresses = json_array();
	struct mac_addr mac;
	char text[MAC_ADDR_TEXT_MAX];

	memcpy(mac.bytes, control->ports.ports[i].mac.addr_bytes, sizeof(mac.bytes));
	put_text(port, "mac", mac_addr_format(&mac, text));
	put_number(port, "mtu", conf->mtu_bytes);
	if (conf->vlan != PORT_VLAN_NONE)
		put_number(port, "vlan", conf->vlan);
	for (size_t a = 0; a < conf->n_addresses; a++)
		json_array_append_new(addresses, prefix_json(&conf->addresses[a]));
	json_object_set_new(port, "addresses", addresses);
	put_text(port, "link", ports_link_is_up(&control->ports.ports[i]) ? "up" : "down");
	put_number(port, "rx_packets", stats->rx_packets[i]);
	put_number(port, "rx_bytes", stats->rx_bytes[i]);
	put_number(port, "tx_packets", stats->tx_packets[i]);
	put_number(port, "tx_bytes", stats->tx_bytes[i]);
	put_number(port, "drops", stats->port_drops[i]);
	put_number(port, "missed", stats->missed[i]);
	put_number(port, "tx_errors", stats->tx_errors[i]);
	return port;
}

static int show_ports(struct request *request)
{
	json_t *list = json_array();
	struct stats stats;

	control_statistics(request->control, &stats);
	for (size_t i = 0; i < request->control->gateway->n_ports; i++)
		json_array_append_new(list, port_json(request->control, &stats, i));
	json_object_set_new(request->result, "ports", list);
	return 0;
}

static int show_workers(struct request *request)
{
	const struct control *control = request->control;
	json_t *list = json_array();

	for (unsigned i = 0; i < control->n_workers; i++) {
		const struct worker *w = control->workers[i];
		json_t *worker = json_object();
		uint64_t packets = counter_read(&w->counters.from_control);

		for (size_t p = 0; p < control->gateway->n_ports; p++)
			packets += counter_read(&w->counters.rx_packets[p]);
		put_number(worker, "worker", i);
		put_number(worker, "cpu", control->gateway->workers.lcores[i]);
		put_number(worker, "packets", packets);
		put_number(worker, "loops", counter_read(&w->counters.loops));
		put_number(worker, "busy_loops", counter_read(&w->counters.busy_loops));
		put_number(worker, "drops", counter_read(&w->drops.total));
		json_array_append_new(list, worker);
	}
	json_object_set_new(request->result, "workers", list);
	return 0;
}

static int show_drops(struct request *request)
{
	bool all = false;
	json_t *list = json_array();
	struct stats stats;

	json_object_set_new(request->result, "drops", list);
	if (request_bool(request, "all", &all) != 0)
		return -EINVAL;
	control_statistics(request->control, &stats);
	for (unsigned i = 0; i < DROP_COUNT; i++) {
		if (stats.drops[i] == 0 && !all)
			continue;
		json_array_append_new(list,
			json_pack("{s:s, s:I, s:s, s:s}", "reason", drop_name(i), "packets",
				(json_int_t)stats.drops[i], "xfrm", drop_xfrm_name(i), "text", drop_text(i)));
	}
	put_number(request->result, "received", stats.rx_total);
	put_number(request->result, "generated", stats.generated);
	put_number(request->result, "sent", stats.tx_total);
	put_number(request->result, "dropped", stats.drops_total);
	put_number(request->result, "consumed", stats.consumed);
	put_number(request->result, "held", stats.held);
	return 0;
}

static json_t *link_route_json(const struct port_conf *port, const struct ip_prefix *link)
{
	struct ip_prefix to = *link;

	to.addr = ip_prefix_range(link).first;
	return json_pack("{s:o, s:s}", "to", prefix_json(&to), "port", port->name);
}

static json_t *route_json(const struct gateway *gateway, const struct route_conf *route)
{
	json_t *object = json_pack("{s:o}", "to", prefix_json(&route->to));

	put_address(object, "via", &route->via);
	put_text(object, "port", gateway->ports[gateway_find_link(gateway, &route->via)].name);
	return object;
}

static int show_routes(struct request *request)
{
	const struct gateway *gateway = request->control->gateway;
	json_t *list = json_array();
	struct page page;
	int ret = page_read(request, &page);

	json_object_set_new(request->result, "routes", list);
	if (ret != 0)
		return ret;
	for (size_t i = 0; i < gateway->n_ports; i++)
		for (size_t j = 0; j < gateway->ports[i].n_addresses; j++)
			if (page_takes(&page))
				json_array_append_new(list,
					link_route_json(&gateway->ports[i], &gateway->ports[i].addresses[j]));
	for (size_t i = 0; i < gateway->n_routes; i++)
		if (page_takes(&page))
			json_array_append_new(list, route_json(gateway, &gateway->routes[i]));
	page_end(request, &page);
	return 0;
}

struct neighbour_list {
	json_t *list;
	const struct gateway *gateway;
	struct page page;
};

static void neighbour_append(void *argument, const struct neigh_proto_entry *entry)
{
	struct neighbour_list *to = argument;
	struct mac_addr mac;
	char text[MAC_ADDR_TEXT_MAX];
	json_t *neighbour;

	if (!page_takes(&to->page))
		return;
	neighbour = json_object();
	put_text(neighbour, "port", to->gateway->ports[entry->port].name);
	put_address(neighbour, "address", &entry->address);
	if (entry->has_mac) {
		memcpy(mac.bytes, entry->mac.addr_bytes, sizeof(mac.bytes));
		put_text(neighbour, "mac", mac_addr_format(&mac, text));
	}
	put_text(neighbour, "state", entry->state);
	json_array_append_new(to->list, neighbour);
}

static int show_neighbours(struct request *request)
{
	struct neighbour_list to = {.list = json_array(), .gateway = request->control->gateway};
	int ret = page_read(request, &to.page);

	json_object_set_new(request->result, "neighbours", to.list);
	if (ret != 0)
		return ret;
	neigh_proto_each(request->control->neigh_proto, neighbour_append, &to);
	page_end(request, &to.page);
	return 0;
}

static json_t *ranges_json(const struct ip_range *ranges, size_t n)
{
	json_t *list = json_array();
	char text[IP_RANGE_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(ip_range_format(&ranges[i], text)));
	return list;
}

static json_t *names_json(char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static void put_ports(json_t *object, const char *key, const struct port_range *range)
{
	if (port_range_is_opaque(range))
		put_text(object, key, "opaque");
	else if (!port_range_is_any(range))
		json_object_set_new(object, key, json_sprintf("%u-%u", range->first, range->last));
}

static const char *action_name(enum policy_action action)
{
	static const char *const names[] = {
		[POLICY_DISCARD] = "discard", [POLICY_BYPASS] = "bypass", [POLICY_PROTECT] = "protect"};

	return names[action];
}

static json_t *policy_json(const struct policy *policy)
{
	const struct selector *selector = &policy->selector;
	json_t *object = json_pack("{s:s, s:s, s:s}", "name", policy->name, "direction",
		policy->direction == POLICY_OUT ? "out" : "in", "action", action_name(policy->action));

	if (selector->n_sources > 0)
		json_object_set_new(object, "source", ranges_json(selector->sources, selector->n_sources));
	if (selector->n_destinations > 0)
		json_object_set_new(
			object, "destination", ranges_json(selector->destinations, selector->n_destinations));
	if (selector->protocol == SELECTOR_PROTOCOL_OPAQUE)
		put_text(object, "protocol", "opaque");
	else if (selector->protocol != SELECTOR_PROTOCOL_ANY)
		json_object_set_new(object, "protocol", json_integer(selector->protocol));
	put_ports(object, "source_port", &selector->source_ports);
	put_ports(object, "destination_port", &selector->destination_ports);
	if (policy->action == POLICY_PROTECT)
		json_object_set_new(object, "sas", names_json(policy->sas, policy->n_sas));
	if (policy->n_alternatives > 0)
		json_object_set_new(
			object, "alternatives", names_json(policy->alternatives, policy->n_alternatives));
	return object;
}

/* Does the name match the pattern, in which * and ? stand for any characters? NULL is no pattern. */
static bool name_matches(const char *pattern, const char *name)
{
	return !pattern || fnmatch(pattern, name, 0) == 0;
}

static int show_policies(struct request *request)
{
	const struct gateway *gateway = request->control->gateway;
	json_t *list = json_array();
	const char *pattern = NULL;
	struct page page;
	int ret = page_read(request, &page);

	json_object_set_new(request->result, "policies", list);
	if (ret == 0)
		ret = request_string(request, "name", false, &pattern);
	if (ret != 0)
		return ret;
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (name_matches(pattern, gateway->policies[i].name) && page_takes(&page))
			json_array_append_new(list, policy_json(&gateway->policies[i]));
	page_end(request, &page);
	return 0;
}

static const char *algorithm_name(const struct sa *sa)
{
	if (sa->protocol == SA_IPCOMP)
		return "deflate";
	return sa->protocol == SA_AH ? alg_auth_name(sa->alg) : sa->alg->name;
}

static bool has_ended(const struct sa *sa)
{
	return sa->life && atomic_load(&sa->life->ended_by) != LIFE_GOES_ON;
}

static uint64_t drops_of(const struct sa_counters *sum)
{
	uint64_t drops = 0;

	for (unsigned i = 0; i < SA_DROP_COUNT; i++)
		drops += sum->drops[i];
	return drops;
}

/* What a line of a table has. */
static json_t *sa_json(const struct sa *sa, const struct sa_counters *sum)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "name", sa->name, "direction",
		sa->inbound ? "in" : "out", "protocol", sa_protocol_name(sa->protocol), "mode",
		sa_is_transport(sa) ? "transport" : "tunnel");

	put_text(object, "algorithm", algorithm_name(sa));
	json_object_set_new(object, "spi", json_sprintf("0x%08x", rte_be_to_cpu_32(sa->spi)));
	put_address(object, "source", &sa->source);
	put_address(object, "destination", &sa->destination);
	put_text(object, "state", has_ended(sa) ? "ended" : "installed");
	put_number(object, "packets", sum->packets);
	put_number(object, "bytes", sum->bytes);
	put_number(object, "drops", drops_of(sum));
	return object;
}

/* Which SAs are asked for; what is not set is not asked. */
struct sa_filter {
	const char *name; /* a pattern */
	struct ip_addr address;
	bool has_spi;
	uint32_t spi;
	bool has_direction;
	bool inbound;
};

static int filter_read_address(struct request *request, struct sa_filter *filter)
{
	const char *text = NULL;
	int ret = request_string(request, "address", false, &text);

	if (ret == 0 && text && ip_addr_parse(text, &filter->address) != 0)
		return err_set(&request->err, EINVAL, "the argument 'address' is an IP address");
	return ret;
}

static int filter_read_spi(struct request *request, struct sa_filter *filter)
{
	uint64_t spi = UINT64_MAX;
	int ret = request_number(request, "spi", false, UINT32_MAX, &spi);

	filter->has_spi = ret == 0 && spi != UINT64_MAX;
	filter->spi = (uint32_t)spi;
	return ret;
}

static int filter_read_direction(struct request *request, struct sa_filter *filter)
{
	const char *text = NULL;
	int ret = request_string(request, "direction", false, &text);

	if (ret != 0 || !text)
		return ret;
	filter->has_direction = true;
	filter->inbound = strcmp(text, "in") == 0;
	if (!filter->inbound && strcmp(text, "out") != 0)
		return err_set(&request->err, EINVAL, "the argument 'direction' is \"in\" or \"out\"");
	return 0;
}

static int filter_read(struct request *request, struct sa_filter *filter)
{
	int ret;

	*filter = (struct sa_filter){.name = NULL};
	ret = request_string(request, "name", false, &filter->name);
	if (ret == 0)
		ret = filter_read_address(request, filter);
	if (ret == 0)
		ret = filter_read_spi(request, filter);
	return ret == 0 ? filter_read_direction(request, filter) : ret;
}

static bool filter_passes(const struct sa_filter *filter, const struct sa *sa)
{
	if (filter->has_spi && filter->spi != rte_be_to_cpu_32(sa->spi))
		return false;
	if (filter->has_direction && filter->inbound != sa->inbound)
		return false;
	if (filter->address.family != IP_NONE && !ip_addr_equal(&filter->address, &sa->source) &&
		!ip_addr_equal(&filter->address, &sa->destination))
		return false;
	return name_matches(filter->name, sa->name);
}

static int show_sas(struct request *request)
{
	const struct control *control = request->control;
	json_t *list = json_array();
	struct sa_filter filter;
	struct page page;
	int ret = page_read(request, &page);

	json_object_set_new(request->result, "sas", list);
	if (ret == 0)
		ret = filter_read(request, &filter);
	if (ret != 0)
		return ret;
	for (size_t i = 0; i < control->n_sas; i++) {
		struct sa_counters sum;

		if (!filter_passes(&filter, control->sas[i]) || !page_takes(&page))
			continue;
		sa_counters_sum(control->sas[i], &sum);
		json_array_append_new(list, sa_json(control->sas[i], &sum));
	}
	page_end(request, &page);
	return 0;
}

static json_t *limit_json(const struct sa *sa, enum sa_limit_kind kind)
{
	const struct sa_limit *limit = &sa->life->limits[kind];
	json_t *object = json_object();

	put_number(object, "used", sa_life_used(sa, kind, clock_now_ns()));
	if (limit->soft > 0)
		put_number(object, "soft", limit->soft);
	if (limit->hard > 0)
		put_number(object, "hard", limit->hard);
	return object;
}

static json_t *life_json(const struct sa *sa)
{
	json_t *object = json_object();

	for (enum sa_limit_kind kind = 0; kind < SA_LIMIT_COUNT; kind++)
		if (sa->life->limits[kind].soft > 0 || sa->life->limits[kind].hard > 0)
			json_object_set_new(object, lifetime_unit(kind), limit_json(sa, kind));
	return object;
}

static json_t *sa_drops_json(const struct sa_counters *sum)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < SA_DROP_COUNT; i++)
		if (sum->drops[i] > 0)
			put_number(object, drop_name(sa_drop_reason(i)), sum->drops[i]);
	return object;
}

static void put_encapsulation(json_t *object, const struct sa *sa, const struct sa_conf *conf)
{
	json_t *udp = json_object();

	put_number(udp, "source_port", conf->source_port);
	put_number(udp, "destination_port", conf->destination_port);
	if (sa->natt->peer && natt_peer_moves(sa->natt->peer) > 0) {
		struct natt_endpoint peer = natt_peer_read(sa->natt->peer);

		put_address(udp, "peer", &peer.address);
		put_number(udp, "peer_port", peer.port);
		put_number(udp, "moves", natt_peer_moves(sa->natt->peer));
	}
	json_object_set_new(object, "udp", udp);
}

static void put_direction(json_t *object, const struct sa *sa, const struct sa_conf *conf)
{
	if (sa->inbound) {
		put_number(object, "sequence", replay_highest(sa->replay));
		put_number(object, "replay_window", conf->replay_window_pkts);
		return;
	}
	put_number(object, "sequence", atomic_load(&sa->seq.next) - 1);
	put_number(object, "path_mtu", atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed));
	put_number(object, "inner_mtu", atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed));
	put_number(object, "icmp_errors", counter_read(&sa->path.icmp_errors));
}

static json_t *policies_of(const struct gateway *gateway, const char *sa)
{
	json_t *list = json_array();

	for (size_t i = 0; i < gateway->n_policies; i++)
		if (policy_uses_sa(&gateway->policies[i], sa))
			json_array_append_new(list, json_string(gateway->policies[i].name));
	return list;
}

static int show_sa(struct request *request)
{
	const struct control *control = request->control;
	const char *name = NULL;
	const struct control_sa *found;
	struct sa_counters sum;
	int ret = request_string(request, "name", true, &name);

	if (ret != 0)
		return ret;
	found = sas_find(control, name);
	if (!found)
		return err_set(&request->err, ENOENT, "no SA is named '%s'", name);

	const struct sa *sa = control->sas[found->index];
	const struct sa_conf *conf = &control->gateway->sas[found->index];
	sa_counters_sum(sa, &sum);
	json_t *object = sa_json(sa, &sum);
	json_object_set_new(object, "esn", json_boolean(sa->esn));
	put_direction(object, sa, conf);
	if (sa->around)
		put_text(object, "around", sa->around->name);
	if (sa_is_in_udp(sa))
		put_encapsulation(object, sa, conf);
	if (sa->protocol == SA_IPCOMP)
		put_number(object, "uncompressed", sum.uncompressed);
	put_number(object, "dummies", sum.dummies);
	if (sum.last_tsc > 0)
		put_number(object, "idle_seconds", (rte_rdtsc() - sum.last_tsc) / rte_get_tsc_hz());
	if (sa->life)
		json_object_set_new(object, "life", life_json(sa));
	json_object_set_new(object, "drop_reasons", sa_drops_json(&sum));
	if (found->last_event)
		put_text(object, "last_event", found->last_event);
	json_object_set_new(object, "policies", policies_of(control->gateway, sa->name));
	json_object_set_new(request->result, "sa", object);
	return 0;
}

const struct command commands_show[] = {
	{"show-version", show_version, "",
		"The version of the daemon and of this protocol, and how long it runs."},
	{"show-commands", show_commands, "", "This list."},
	{"show-ports", show_ports, "", "The ports, with their counters."},
	{"show-workers", show_workers, "", "The workers, with their loops and packets."},
	{"show-drops", show_drops, "all",
		"How many packets were dropped for each reason that occurred, or for `all`, and the balance "
		"of all packets."},
	{"show-routes", show_routes, "offset limit",
		"The routes: those of the ports' links, then the configured ones; a page at a time."},
	{"show-neighbours", show_neighbours, "offset limit",
		"The neighbours that are known or asked for, a page at a time."},
	{"show-policies", show_policies, "offset limit name",
		"The policies in their order, a page at a time; those whose name matches a pattern with `*` "
		"and `?`."},
	{"show-sas", show_sas, "offset limit name address spi direction",
		"The SAs, a page at a time; those whose name matches a pattern, that have the address at "
		"either end, of that SPI, or of that direction (`in` or `out`)."},
	{"show-sa", show_sa, "name", "All that is known of one SA."},
	{0},
};
