#include "control/audit_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"
#include "control/events.h"
#include "control/sas.h"
#include "datapath/audit.h"
#include "ipsec/sad.h"

#define LINE_MAX_LENGTH 900
#define RANGES_MAX      4 /* of a policy's list in a line */
#define SUMMARY_NS      (10 * CLOCK_NS_PER_S)

/* A line of key=value pairs; what does not fit is cut. */
struct line {
	char text[LINE_MAX_LENGTH];
	size_t length;
};

static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->length;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->length, room, format, args);
	va_end(args);
	line->length += n < (int)room ? (size_t)n : room - 1;
}

static void put_address(struct line *line, const char *key, const struct ip_addr *addr)
{
	char text[IP_ADDR_TEXT_MAX];

	put(line, " %s=%s", key, ip_addr_format(addr, text));
}

static void put_flow(struct line *line, const char *prefix, const struct flow *flow)
{
	bool is_icmp = flow->protocol == IPPROTO_NUMBER_ICMP || flow->protocol == IPPROTO_NUMBER_ICMPV6;
	char text[IP_ADDR_TEXT_MAX];

	put(line, " %ssource=%s", prefix, ip_addr_format(&flow->source, text));
	put(line, " %sdestination=%s", prefix, ip_addr_format(&flow->destination, text));
	put(line, " %sprotocol=%u", prefix, flow->protocol);
	if (flow->has_ports && flow->protocol == IPPROTO_NUMBER_MH)
		put(line, " %smobility_type=%u", prefix, flow->source_port);
	else if (flow->has_ports)
		put(line,
			is_icmp ? " %sicmp_type=%u %sicmp_code=%u"
				: " %ssource_port=%u %sdestination_port=%u",
			prefix, flow->source_port, prefix, flow->destination_port);
}

static void put_ranges(struct line *line, const char *key, const struct ip_range *ranges, size_t n)
{
	char text[IP_RANGE_TEXT_MAX];

	put(line, " %s=", key);
	for (size_t i = 0; i < n && i < RANGES_MAX; i++)
		put(line, "%s%s", i > 0 ? "," : "", ip_range_format(&ranges[i], text));
	put(line, n == 0 ? "any" : n > RANGES_MAX ? ",..." : "");
}

static void put_ports(struct line *line, const char *key, const struct port_range *range)
{
	if (port_range_is_opaque(range))
		put(line, " %s=opaque", key);
	else if (!port_range_is_any(range))
		put(line, " %s=%u-%u", key, range->first, range->last);
}

static void put_selector(struct line *line, const struct selector *selector)
{
	put_ranges(line, "sa_source", selector->sources, selector->n_sources);
	put_ranges(line, "sa_destination", selector->destinations, selector->n_destinations);
	if (selector->protocol == SELECTOR_PROTOCOL_OPAQUE)
		put(line, " sa_protocol=opaque");
	else if (selector->protocol != SELECTOR_PROTOCOL_ANY)
		put(line, " sa_protocol=%d", selector->protocol);
	put_ports(line, "sa_source_port", &selector->source_ports);
	put_ports(line, "sa_destination_port", &selector->destination_ports);
}

/* What the SA may carry: the selectors of its first policy, and how many more it has. */
static void put_sa_selectors(struct line *line, const struct gateway *gateway, const struct sa *sa)
{
	size_t n = 0;

	for (size_t i = 0; i < gateway->n_policies; i++) {
		const struct policy *policy = &gateway->policies[i];

		if (!policy_uses_sa(policy, sa->name) || n++ > 0)
			continue;
		put(line, " sa_policy=%s", policy->name);
		put_selector(line, &policy->selector);
	}
	if (n > 1)
		put(line, " sa_more_policies=%zu", n - 1);
}

/* NULL where the record is of no SA, or it is gone. */
static const struct sa *sa_of(const struct control *control, const struct audit_record *record)
{
	const struct sa_conf conf = {
		.lookup = (enum sa_lookup)record->lookup,
		.protocol = (enum sa_protocol)record->protocol,
		.spi = rte_be_to_cpu_32(record->spi),
		.source = record->source,
		.destination = record->destination,
	};

	if (!record->has_sa)
		return NULL;
	return sad_find_same(record->inbound ? control->sad : control->sad_out, &conf);
}

static void put_esp(struct line *line, const struct audit_record *record)
{
	put(line, " spi=0x%08" PRIx32 " protocol=%s", rte_be_to_cpu_32(record->spi),
		sa_protocol_name(record->protocol));
	put_address(line, "source", &record->source);
	put_address(line, "destination", &record->destination);
	if (record->has_seq)
		put(line, " seq=%" PRIu64, record->seq);
}

/* Events of the reason that nobody was told of so far. */
static uint64_t suppressed_take(struct control *control, enum drop_reason reason)
{
	uint64_t sum = 0, untold;

	for (unsigned i = 0; i < control->n_workers; i++)
		sum += audit_suppressed(control->workers[i]->audit, reason);
	untold = sum - control->audit_log.told[reason];
	control->audit_log.told[reason] = sum;
	return untold;
}

/* The SA's last event is shown with it. */
static void remember(const struct control *control, const struct sa *sa, const char *event, const char *text)
{
	struct control_sa *note = sas_find(control, sa->name);
	char *last;

	if (!note || asprintf(&last, "event=%s%s", event, text) < 0)
		return;
	free(note->last_event);
	note->last_event = last;
}

static void tell(struct control *control, const struct audit_record *record)
{
	const struct sa *sa = sa_of(control, record);
	struct line line = {0};

	if (sa)
		put(&line, " sa=%s", sa->name);
	if (record->view != AUDIT_CLEAR)
		put_esp(&line, record);
	if (record->view != AUDIT_OUTER)
		put_flow(&line, record->view == AUDIT_INNER ? "inner_" : "", &record->flow);
	if (record->label != 0)
		put(&line, " flow_label=0x%05" PRIx32, record->label);
	if (record->reason == DROP_in_selector && sa)
		put_sa_selectors(&line, control->gateway, sa);
	if (record->port_in < control->gateway->n_ports)
		put(&line, " port=%s", control->gateway->ports[record->port_in].name);
	log_warning("audit event=%s%s suppressed=%" PRIu64, drop_name(record->reason), line.text,
		suppressed_take(control, record->reason));
	events_audit(control, record, sa);
	if (sa)
		remember(control, sa, drop_name(record->reason), line.text);
}

/* What came since the last record of its reason. */
static void tell_suppressed(struct control *control)
{
	for (unsigned reason = 0; reason < DROP_COUNT; reason++) {
		uint64_t n;

		if (audit_view_of(reason) != AUDIT_NONE && (n = suppressed_take(control, reason)) > 0)
			log_warning("audit event=%s suppressed=%" PRIu64, drop_name(reason), n);
	}
}

int audit_log_create(struct control *control, struct err *err)
{
	for (unsigned i = 0; control->gateway->audit && i < control->n_workers; i++) {
		struct worker *w = control->workers[i];
		int ret = audit_create(i, (int)rte_lcore_to_socket_id(w->lcore), &w->audit, err);

		if (ret != 0) {
			audit_log_destroy(control);
			return ret;
		}
		w->drops.audit = audit_hook(w->audit);
	}
	return 0;
}

static void take_all(struct control *control)
{
	struct audit_record record;

	for (unsigned i = 0; i < control->n_workers; i++)
		/* No more than a queue holds, so that the thread comes to its other work. */
		for (unsigned n = 0;
			n < AUDIT_QUEUE_RECORDS && audit_take(control->workers[i]->audit, &record); n++)
			tell(control, &record);
}

static bool is_on(const struct control *control)
{
	return control->n_workers > 0 && control->workers[control->n_workers - 1]->audit;
}

void audit_log_destroy(struct control *control)
{
	if (is_on(control)) {
		take_all(control);
		tell_suppressed(control);
	}
	for (unsigned i = 0; i < control->n_workers; i++) {
		control->workers[i]->drops.audit = NULL;
		audit_destroy(control->workers[i]->audit);
		control->workers[i]->audit = NULL;
	}
}

void audit_log_poll(struct control *control, uint64_t now_ns)
{
	if (!is_on(control))
		return;
	take_all(control);
	if (now_ns < control->audit_log.next_ns)
		return;
	control->audit_log.next_ns = now_ns + SUMMARY_NS;
	tell_suppressed(control);
}
