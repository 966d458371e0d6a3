/* The commands that show what is, but for SAs (control/commands_show_sas.c): none of them changes anything.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/counter.h"
#include "control/json.h"
#include "control/neigh_proto.h"
#include "control/page.h"
#include "control/request.h"
#include "control/server.h"

static json_t *prefix_json(const struct ip_prefix *prefix)
{
	char text[IP_ADDR_TEXT_MAX];

	return json_sprintf("%s/%u", ip_addr_format(&prefix->addr, text), prefix->length_bits);
}

static int show_version(struct request *request)
{
	json_put_text(request->result, "version", request->control->version);
	json_put_number(request->result, "protocol", SERVER_VERSION);
	json_put_number(request->result, "uptime_seconds",
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
	json_put_text(port, "mac", mac_addr_format(&mac, text));
	json_put_number(port, "mtu", conf->mtu_bytes);
	if (conf->vlan != PORT_VLAN_NONE)
		json_put_number(port, "vlan", conf->vlan);
	for (size_t a = 0; a < conf->n_addresses; a++)
		json_array_append_new(addresses, prefix_json(&conf->addresses[a]));
	json_object_set_new(port, "addresses", addresses);
	json_put_text(port, "link", ports_link_is_up(&control->ports.ports[i]) ? "up" : "down");
	json_put_number(port, "rx_packets", stats->rx_packets[i]);
	json_put_number(port, "rx_bytes", stats->rx_bytes[i]);
	json_put_number(port, "tx_packets", stats->tx_packets[i]);
	json_put_number(port, "tx_bytes", stats->tx_bytes[i]);
	json_put_number(port, "drops", stats->port_drops[i]);
	json_put_number(port, "missed", stats->missed[i]);
	json_put_number(port, "tx_errors", stats->tx_errors[i]);
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
		json_put_number(worker, "worker", i);
		json_put_number(worker, "cpu", control->gateway->workers.lcores[i]);
		json_put_number(worker, "packets", packets);
		json_put_number(worker, "loops", counter_read(&w->counters.loops));
		json_put_number(worker, "busy_loops", counter_read(&w->counters.busy_loops));
		json_put_number(worker, "drops", counter_read(&w->drops.total));
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
	json_put_number(request->result, "received", stats.rx_total);
	json_put_number(request->result, "generated", stats.generated);
	json_put_number(request->result, "sent", stats.tx_total);
	json_put_number(request->result, "dropped", stats.drops_total);
	json_put_number(request->result, "consumed", stats.consumed);
	json_put_number(request->result, "held", stats.held);
	json_put_number(request->result, "to_host", stats.to_host);
	json_put_number(request->result, "from_host", stats.from_host);
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

	json_put_address(object, "via", &route->via);
	json_put_text(object, "port", gateway->ports[gateway_find_link(gateway, &route->via)].name);
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
	json_put_text(neighbour, "port", to->gateway->ports[entry->port].name);
	json_put_address(neighbour, "address", &entry->address);
	if (entry->has_mac) {
		memcpy(mac.bytes, entry->mac.addr_bytes, sizeof(mac.bytes));
		json_put_text(neighbour, "mac", mac_addr_format(&mac, text));
	}
	json_put_text(neighbour, "state", entry->state);
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
		json_put_text(object, key, "opaque");
	else if (!port_range_is_any(range))
		json_object_set_new(object, key, json_sprintf("%u-%u", range->first, range->last));
}

static json_t *policy_json(const struct policy *policy)
{
	const struct selector *selector = &policy->selector;
	json_t *object = json_pack("{s:s, s:s, s:s}", "name", policy->name, "direction",
		policy_direction_name(policy->direction), "action", policy_action_name(policy->action));

	if (selector->n_sources > 0)
		json_object_set_new(object, "source", ranges_json(selector->sources, selector->n_sources));
	if (selector->n_destinations > 0)
		json_object_set_new(
			object, "destination", ranges_json(selector->destinations, selector->n_destinations));
	if (selector->protocol == SELECTOR_PROTOCOL_OPAQUE)
		json_put_text(object, "protocol", "opaque");
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
		if (page_name_matches(pattern, gateway->policies[i].name) && page_takes(&page))
			json_array_append_new(list, policy_json(&gateway->policies[i]));
	page_end(request, &page);
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
	{0},
};
