#include "control/tracing.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_rcu_qsbr.h>

#include "base/array.h"
#include "base/clock.h"
#include "control/control.h"
#include "control/protocols.h"

static void publish(struct control *control, struct trace *trace)
{
	for (unsigned i = 0; i < control->n_workers; i++)
		atomic_store_explicit(&control->workers[i]->trace_wanted, trace ? trace->workers[i] : NULL,
			memory_order_release);
}

void tracing_conf_init(struct tracing_conf *conf)
{
	*conf = (struct tracing_conf){.n_pkts = TRACING_PKTS_DEFAULT, .seconds = TRACING_SECONDS_DEFAULT};
	filter_init(&conf->filter);
}

static void records_forget(struct tracing *t)
{
	while (t->n_records > 0)
		free(t->records[--t->n_records]);
	free(t->records);
	t->records = NULL;
}

bool tracing_runs(const struct control *control)
{
	return control->tracing.state == TRACING_RUNS || control->tracing.state == TRACING_ENDS;
}

int tracing_begin(struct control *control, const struct tracing_conf *conf, struct err *err)
{
	struct tracing *t = &control->tracing;
	const struct trace_conf trace_conf = {
		.filter = conf->filter, .n_pkts = conf->n_pkts, .n_workers = control->n_workers};
	int ret;

	if (tracing_runs(control))
		return err_set(err, EBUSY, "a trace is under way");
	if (conf->n_pkts < 1 || conf->n_pkts > TRACE_PKTS_MAX)
		return err_set(err, EINVAL, "a trace is of 1 to %d packets", TRACE_PKTS_MAX);
	if (conf->seconds < 1 || conf->seconds > TRACING_SECONDS_MAX)
		return err_set(err, EINVAL, "a trace lasts 1 to %d seconds", TRACING_SECONDS_MAX);
	ret = trace_create(&trace_conf, &t->trace, err);
	if (ret != 0)
		return ret;
	records_forget(t);
	t->losses = (struct trace_losses){0};
	t->n_wanted = conf->n_pkts;
	t->until_ns = clock_now_ns() + conf->seconds * CLOCK_NS_PER_S;
	t->state = TRACING_RUNS;
	publish(control, t->trace);
	return 0;
}

void tracing_end(struct control *control)
{
	struct tracing *t = &control->tracing;

	if (t->state != TRACING_RUNS)
		return;
	publish(control, NULL);
	t->token = rte_rcu_qsbr_start(control->qsbr);
	t->state = TRACING_ENDS;
}

static void take_one(struct tracing *t, const struct trace_record *record)
{
	size_t bytes = offsetof(struct trace_record, steps) + record->n_steps * sizeof(record->steps[0]);
	struct trace_record *copy = xcalloc(1, bytes);

	memcpy(copy, record, bytes);
	*array_append(&t->records, &t->n_records) = copy;
}

static void take_all(struct control *control)
{
	struct tracing *t = &control->tracing;
	const struct trace_record *record;

	for (unsigned i = 0; i < control->n_workers; i++)
		while ((record = trace_peek(t->trace, i))) {
			take_one(t, record);
			trace_release(t->trace, i);
		}
	t->losses = trace_losses(t->trace);
}

static void close_down(struct control *control)
{
	struct tracing *t = &control->tracing;

	take_all(control);
	trace_destroy(t->trace);
	t->trace = NULL;
	t->state = TRACING_DONE;
}

void tracing_poll(struct control *control, uint64_t now_ns)
{
	struct tracing *t = &control->tracing;

	if (t->state != TRACING_RUNS && t->state != TRACING_ENDS)
		return;
	take_all(control);
	if (t->state == TRACING_RUNS && (now_ns >= t->until_ns || t->n_records >= t->n_wanted))
		tracing_end(control);
	else if (t->state == TRACING_ENDS && rte_rcu_qsbr_check(control->qsbr, t->token, false) == 1)
		close_down(control);
}

void tracing_destroy(struct control *control)
{
	publish(control, NULL);
	if (control->tracing.trace)
		close_down(control);
	records_forget(&control->tracing);
}

static const char *const stage_names[STAGE_COUNT + 1] = {
#define X(name, text) #name,
	STAGES(X)
#undef X
		[STAGE_COUNT] = "",
};

const char *tracing_stage(uint8_t stage)
{
	return stage_names[RTE_MIN(stage, (uint8_t)STAGE_COUNT)];
}

/* The name at that place of `a, b, &w->c`, as `c`. */
static void burst_name(const char *names, unsigned place, char text[TRACING_TEXT_MAX])
{
	size_t n;

	for (; place > 0 && names; place--)
		names = strchr(names, ',') ? strchr(names, ',') + 1 : NULL;
	names = names ? names : "";
	n = strcspn(names, ",");
	/* Only the member's name of what belongs to something. */
	for (size_t i = 0; i < n; i++)
		if (strchr(" &>.", names[i])) {
			names += i + 1;
			n -= i + 1;
			i = (size_t)-1;
		}
	snprintf(text, TRACING_TEXT_MAX, "%.*s", (int)n, names);
}

/* Where a packet goes by a stage that leaves it in no burst. */
static const char *gone_text(uint8_t stage)
{
	switch (stage) {
	case STAGE_tx:
		return "sent";
	case STAGE_crypto_run:
		return "handed to a crypto device";
	case STAGE_frag:
		return "cut";
	case STAGE_reass:
		return "waits for other fragments, or became part of a packet";
	default:
		return "gone";
	}
}

const char *tracing_outcome(const struct trace_step *step, char text[TRACING_TEXT_MAX])
{
	char name[TRACING_TEXT_MAX];

	switch (step->outcome) {
	case TRACE_KEPT:
		return "kept";
	case TRACE_MOVED:
		burst_name(step->names, step->moved_to, name);
		snprintf(text, TRACING_TEXT_MAX, "moved to %.64s", name);
		return text;
	case TRACE_DROPPED:
		snprintf(text, TRACING_TEXT_MAX, "dropped: %s", drop_name(step->reason));
		return text;
	default:
		return gone_text(step->stage);
	}
}

/* Is what looks like ESP in UDP by a port where there may be some? */
static bool shows_spi(const struct quote *quote)
{
	return quote->ipsec && (!quote->in_udp || quote->flow.source_port == SA_ENCAP_PORT_DEFAULT ||
				       quote->flow.destination_port == SA_ENCAP_PORT_DEFAULT);
}

const char *tracing_packet(const struct trace_step *step, char text[TRACING_TEXT_MAX])
{
	char source[IP_ADDR_TEXT_MAX], destination[IP_ADDR_TEXT_MAX], protocol[PROTOCOL_TEXT_MAX],
		rest[48] = "";
	const struct flow *flow = &step->quote.flow;
	bool is_icmp = flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6;

	text[0] = '\0';
	if (!step->is_ip)
		return text;
	if (shows_spi(&step->quote))
		snprintf(rest, sizeof(rest), " spi=0x%08" PRIx32 " seq=%" PRIu32,
			rte_be_to_cpu_32(step->quote.spi), step->quote.seq);
	else if (flow->has_ports)
		snprintf(rest, sizeof(rest), is_icmp ? " type %u code %u" : " %u > %u", flow->source_port,
			flow->destination_port);
	snprintf(text, TRACING_TEXT_MAX, "%s > %s %s%s", ip_addr_format(&flow->source, source),
		ip_addr_format(&flow->destination, destination), protocol_name(flow->protocol, protocol),
		rest);
	return text;
}

const char *tracing_policy(const struct gateway *gateway, const struct trace_step *step)
{
	enum policy_direction direction = step->policy_of == TRACE_POLICY_OUT ? POLICY_OUT : POLICY_IN;
	uint32_t n = 0;

	if (step->policy_of == TRACE_POLICY_NONE)
		return "none";
	if (step->policy_of == TRACE_POLICY_UNKNOWN)
		return NULL;
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (gateway->policies[i].direction == direction && n++ == step->policy)
			return gateway->policies[i].name;
	return NULL;
}

static bool ended_in(const struct trace_step *step, const char *burst)
{
	char name[TRACING_TEXT_MAX];

	if (step->outcome != TRACE_MOVED)
		return false;
	burst_name(step->names, step->moved_to, name);
	return strcmp(name, burst) == 0;
}

const char *tracing_verdict(const struct trace_record *record)
{
	const struct trace_step *last = record->n_steps > 0 ? &record->steps[record->n_steps - 1] : NULL;

	if (!last || record->n_lost > 0)
		return "its way was longer than a trace can hold";
	if (last->outcome == TRACE_DROPPED)
		return drop_text(last->reason);
	if (last->stage == STAGE_tx)
		return "it was sent";
	if (last->stage == STAGE_frag)
		return "it was cut into packets, which are followed as others";
	if (last->outcome == TRACE_GONE)
		return "it is not followed any further";
	if (ended_in(last, "unresolved"))
		return "it waits at the control thread for its next hop's MAC address";
	return "it was handed to the control thread";
}

static void print_step(FILE *file, const struct gateway *gateway, const struct trace_record *record,
	const struct trace_step *step)
{
	char outcome[TRACING_TEXT_MAX], packet[TRACING_TEXT_MAX];
	double us = (double)(step->tsc - record->steps[0].tsc) * 1e6 / (double)rte_get_tsc_hz();
	const char *policy = tracing_policy(gateway, step);

	fprintf(file, "  %+9.1f us  %-16s %-24s %s", us, tracing_stage(step->stage),
		tracing_outcome(step, outcome), tracing_packet(step, packet));
	fprintf(file, " bytes=%" PRIu32, step->bytes);
	if (step->sa != TRACE_SA_NONE)
		fprintf(file, " sa=%s", record->sas[step->sa].name);
	if (policy)
		fprintf(file, " policy=%s", policy);
	fputc('\n', file);
}

void tracing_print(FILE *file, const struct gateway *gateway, const struct trace_record *record)
{
	fprintf(file, "packet %u.%" PRIu32, record->worker, record->id);
	if (record->port_in < gateway->n_ports)
		fprintf(file, " from %s", gateway->ports[record->port_in].name);
	if (record->part_of > 0)
		fprintf(file, " cut from %u.%" PRIu32, record->worker, record->part_of);
	fputc('\n', file);
	for (unsigned i = 0; i < record->n_steps; i++)
		print_step(file, gateway, record, &record->steps[i]);
	fprintf(file, "  %s\n", tracing_verdict(record));
}
