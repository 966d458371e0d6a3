#include "control/events.h"

#include <rte_byteorder.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/json.h"
#include "control/server.h"
#include "ipsec/sa.h"

#define PERIOD_NS CLOCK_NS_PER_S

static json_t *event_of(const char *name)
{
	return json_pack("{s:s}", "event", name);
}

static json_t *event_of_sa(const char *name, const struct sa *sa)
{
	json_t *event = event_of(name);

	json_object_set_new(event, "sa", json_string(sa->name));
	json_object_set_new(event, "spi", json_sprintf("0x%08x", rte_be_to_cpu_32(sa->spi)));
	return event;
}

void events_lifetime(void *argument, const struct lifetime_event *event)
{
	struct control *control = argument;
	json_t *json;

	lifetime_log(NULL, event);
	if (!server_has_listeners(control))
		return;
	json = event_of_sa(event->is_hard ? "sa-hard-expired" : "sa-soft-expired", event->sa);
	json_object_set_new(json, "limit", json_string(lifetime_unit(event->kind)));
	json_put_number(json, "used", event->used);
	json_put_number(json, event->is_hard ? "hard" : "soft", event->limit);
	server_tell(control, json);
}

void events_sequence(void *argument, const struct sa *sa, uint64_t next, uint64_t last)
{
	struct control *control = argument;
	json_t *json;

	if (!server_has_listeners(control))
		return;
	json = event_of_sa("sa-sequence-near-end", sa);
	json_put_number(json, "next", next);
	json_put_number(json, "last", last);
	server_tell(control, json);
}

/* The packet's selectors, by which a key exchange is begun or refused. */
static json_t *flow_json(const struct flow *flow)
{
	json_t *json = json_object();
	bool is_icmp = flow->protocol == IPPROTO_NUMBER_ICMP || flow->protocol == IPPROTO_NUMBER_ICMPV6;

	json_put_address(json, "source", &flow->source);
	json_put_address(json, "destination", &flow->destination);
	json_put_number(json, "protocol", flow->protocol);
	if (flow->has_ports) {
		json_put_number(json, is_icmp ? "icmp_type" : "source_port", flow->source_port);
		json_put_number(json, is_icmp ? "icmp_code" : "destination_port", flow->destination_port);
	}
	return json;
}

void events_acquire(void *argument, const struct acquire *acquire, const char *policy)
{
	struct control *control = argument;
	json_t *json;

	if (!server_has_listeners(control))
		return;
	json = event_of("acquire");
	json_object_set_new(json, "policy", json_string(policy));
	json_object_set_new(json, "packet", flow_json(&acquire->flow));
	json_put_number(json, "suppressed", acquire->suppressed);
	server_tell(control, json);
}

void events_peer_moved(struct control *control, const struct sa *sa, const struct natt_endpoint *peer)
{
	json_t *json;

	if (!server_has_listeners(control))
		return;
	json = event_of_sa("peer-moved", sa);
	json_put_address(json, "address", &peer->address);
	json_put_number(json, "port", peer->port);
	server_tell(control, json);
}

void events_audit(struct control *control, const struct audit_record *record, const struct sa *sa)
{
	json_t *json;

	if (!server_has_listeners(control))
		return;
	json = sa ? event_of_sa("audit", sa) : event_of("audit");
	json_object_set_new(json, "reason", json_string(drop_name(record->reason)));
	if (record->view != AUDIT_CLEAR) {
		json_object_set_new(json, "spi", json_sprintf("0x%08x", rte_be_to_cpu_32(record->spi)));
		json_put_address(json, "source", &record->source);
		json_put_address(json, "destination", &record->destination);
	}
	if (record->has_seq)
		json_put_number(json, "sequence", record->seq);
	if (record->view != AUDIT_OUTER)
		json_object_set_new(json, "packet", flow_json(&record->flow));
	server_tell(control, json);
}

void events_changed(struct control *control, const char *by)
{
	json_t *json;

	if (!server_has_listeners(control))
		return;
	json = event_of("changed");
	json_object_set_new(json, "by", json_string(by));
	json_put_number(json, "generation", control->snapshot->generation);
	server_tell(control, json);
}

static void port_look(struct control *control, size_t i)
{
	const char *name = control->gateway->ports[i].name;
	uint32_t bit = UINT32_C(1) << i;
	bool is_up = ports_link_is_up(&control->ports.ports[i]);
	json_t *json;

	if (is_up == ((control->events.ports_up & bit) != 0))
		return;
	control->events.ports_up ^= bit;
	if (control->events.next_ns == 0)
		return; /* the first look learns */
	if (is_up)
		log_info("port is up port=%s", name);
	else
		log_warning("port is down port=%s", name);
	if (!server_has_listeners(control))
		return;
	json = event_of(is_up ? "port-up" : "port-down");
	json_object_set_new(json, "port", json_string(name));
	server_tell(control, json);
}

static const enum drop_reason failures[] = {
	DROP_in_no_sa, DROP_in_icv, DROP_in_replay, DROP_in_late, DROP_in_selector};

_Static_assert(sizeof(failures) / sizeof(failures[0]) == EVENTS_FAILURE_KINDS, "a count for each");

static void failures_look(struct control *control, uint64_t elapsed_ns)
{
	struct stats stats;

	stats_collect((const struct worker *const *)control->workers, control->n_workers, &control->counters,
		(uint8_t)control->gateway->n_ports, &stats);
	for (size_t i = 0; i < EVENTS_FAILURE_KINDS; i++) {
		uint64_t now = stats.drops[failures[i]], more = now - control->events.failures[i];
		uint64_t rate = more * CLOCK_NS_PER_S / elapsed_ns;
		json_t *json;

		control->events.failures[i] = now;
		if (rate < EVENTS_FAILURES_PER_S || !server_has_listeners(control))
			continue;
		json = event_of("failures");
		json_object_set_new(json, "reason", json_string(drop_name(failures[i])));
		json_put_number(json, "per_second", rate);
		server_tell(control, json);
	}
}

void events_poll(struct control *control, uint64_t now_ns)
{
	uint64_t elapsed_ns = now_ns - control->events.looked_ns;

	if (now_ns < control->events.next_ns)
		return;
	for (size_t i = 0; i < control->gateway->n_ports; i++)
		port_look(control, i);
	failures_look(control, elapsed_ns);
	control->events.looked_ns = now_ns;
	control->events.next_ns = now_ns + PERIOD_NS;
}
