/*
 * The commands that watch packets: traces, captures, and what would become of a packet. None of them changes
 * what becomes of one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/clock.h"
#include "control/explain.h"
#include "control/json.h"
#include "control/protocols.h"
#include "control/request.h"
#include "control/sas.h"

/* Packets of a trace in one answer; each takes some kilobytes. */
#define RECORDS_DEFAULT 20
#define RECORDS_MAX     50

/* What a filter is made of. */
#define FILTER_ARGUMENTS "port source destination host protocol source_port destination_port spi sa"

static int port_read(struct request *request, bool is_needed, int *port)
{
	const char *name = NULL;
	int ret = request_string(request, "port", is_needed, &name);

	if (ret != 0 || !name)
		return ret;
	*port = gateway_find_port(request->control->gateway, name);
	return *port >= 0 ? 0 : err_set(&request->err, ENOENT, "no port is named '%.64s'", name);
}

static int prefix_read(struct request *request, const char *argument, struct ip_prefix *prefix)
{
	const char *text = NULL;
	int ret = request_string(request, argument, false, &text);

	if (ret == 0 && text && ip_prefix_parse(text, prefix) != 0)
		return err_set(
			&request->err, EINVAL, "the argument '%s' is an address or a prefix", argument);
	return ret;
}

static int number_read(struct request *request, const char *argument, uint64_t max, int *value)
{
	uint64_t number = UINT64_MAX;
	int ret = request_number(request, argument, false, max, &number);

	if (ret == 0 && number != UINT64_MAX)
		*value = (int)number;
	return ret;
}

static int protocol_argument(struct request *request, struct filter *filter)
{
	const char *text = NULL;
	uint8_t protocol;
	bool has_ports;
	int ret = request_string(request, "protocol", false, &text);

	if (ret != 0 || !text)
		return ret;
	if (!protocol_read(text, &protocol, &has_ports))
		return err_set(&request->err, EINVAL, "no protocol is named '%.64s'", text);
	filter->protocol = protocol;
	return 0;
}

/* An SA that there is now; its successor of the same name is found by that name alone. */
static int sa_argument(struct request *request, struct filter *filter)
{
	const char *name = NULL;
	const struct sa *sa;
	int ret = request_string(request, "sa", false, &name);

	if (ret != 0 || !name)
		return ret;
	if (!sas_find(request->control, name))
		return err_set(&request->err, ENOENT, "no SA is named '%.64s'", name);
	sa = sas_named(request->control, name);
	memcpy(filter->sa, sa->name, sizeof(filter->sa));
	filter->sa_spi = sa->spi;
	filter->sa_destination = sa->destination;
	return 0;
}

static int filter_read(struct request *request, struct filter *filter)
{
	uint64_t spi = 0;
	int ret = port_read(request, false, &filter->port);

	ret = ret ? ret : prefix_read(request, "source", &filter->source);
	ret = ret ? ret : prefix_read(request, "destination", &filter->destination);
	ret = ret ? ret : prefix_read(request, "host", &filter->host);
	ret = ret ? ret : protocol_argument(request, filter);
	ret = ret ? ret : number_read(request, "source_port", UINT16_MAX, &filter->source_port);
	ret = ret ? ret : number_read(request, "destination_port", UINT16_MAX, &filter->destination_port);
	ret = ret ? ret : request_number(request, "spi", false, UINT32_MAX, &spi);
	ret = ret ? ret : sa_argument(request, filter);
	filter->spi = (uint32_t)spi;
	return ret;
}

static int run_trace(struct request *request)
{
	struct tracing_conf conf;
	uint64_t n_pkts, seconds;
	int ret;

	tracing_conf_init(&conf);
	n_pkts = conf.n_pkts;
	seconds = conf.seconds;
	ret = filter_read(request, &conf.filter);
	ret = ret ? ret : request_number(request, "packets", false, TRACE_PKTS_MAX, &n_pkts);
	ret = ret ? ret : request_number(request, "seconds", false, TRACING_SECONDS_MAX, &seconds);
	conf.n_pkts = (uint32_t)n_pkts;
	conf.seconds = (uint32_t)seconds;
	return ret ? ret : tracing_begin(request->control, &conf, &request->err);
}

static json_t *step_json(
	const struct gateway *gateway, const struct trace_record *record, const struct trace_step *step)
{
	uint64_t tsc = step->tsc - record->steps[0].tsc;
	const char *policy = tracing_policy(gateway, step);
	char text[TRACING_TEXT_MAX];
	json_t *json = json_pack(
		"{s:s, s:s}", "stage", tracing_stage(step->stage), "outcome", tracing_outcome(step, text));

	json_put_number(json, "nanoseconds", tsc * CLOCK_NS_PER_S / rte_get_tsc_hz());
	if (step->is_ip)
		json_object_set_new(json, "packet", json_string(tracing_packet(step, text)));
	json_put_number(json, "bytes", step->bytes);
	if (step->sa != TRACE_SA_NONE)
		json_object_set_new(json, "sa", json_string(record->sas[step->sa].name));
	if (policy)
		json_object_set_new(json, "policy", json_string(policy));
	return json;
}

static json_t *record_json(const struct gateway *gateway, const struct trace_record *record)
{
	json_t *json = json_object(), *steps = json_array();

	json_put_number(json, "worker", record->worker);
	json_put_number(json, "number", record->id);
	if (record->part_of > 0)
		json_put_number(json, "part_of", record->part_of);
	if (record->port_in < gateway->n_ports)
		json_object_set_new(json, "port", json_string(gateway->ports[record->port_in].name));
	for (unsigned i = 0; i < record->n_steps; i++)
		json_array_append_new(steps, step_json(gateway, record, &record->steps[i]));
	json_object_set_new(json, "steps", steps);
	json_object_set_new(json, "end", json_string(tracing_verdict(record)));
	return json;
}

static int show_trace(struct request *request)
{
	const struct tracing *t = &request->control->tracing;
	uint64_t offset = 0, limit = RECORDS_DEFAULT;
	json_t *list = json_array();
	int ret = request_number(request, "offset", false, TRACE_PKTS_MAX, &offset);

	json_object_set_new(request->result, "packets", list);
	ret = ret ? ret : request_number(request, "limit", false, RECORDS_MAX, &limit);
	if (ret != 0)
		return ret;
	json_object_set_new(request->result, "running", json_boolean(tracing_runs(request->control)));
	json_put_number(request->result, "total", t->n_records);
	json_put_number(request->result, "not_captured", t->losses.not_captured);
	json_put_number(request->result, "not_followed", t->losses.not_followed);
	for (; offset < t->n_records && json_array_size(list) < limit; offset++)
		json_array_append_new(list, record_json(request->control->gateway, t->records[offset]));
	if (offset < t->n_records)
		json_put_number(request->result, "next", offset);
	return 0;
}

static int stop_trace(struct request *request)
{
	tracing_end(request->control);
	return 0;
}

static int run_capture(struct request *request)
{
	struct capturing_conf conf;
	uint64_t snap, rate, packets = 0, seconds;
	int ret;

	capturing_conf_init(request->control, &conf);
	snap = conf.snap_bytes;
	rate = conf.rate_pps;
	seconds = conf.seconds;
	ret = request_string(request, "file", true, &conf.file);
	ret = ret ? ret : filter_read(request, &conf.filter);
	ret = ret ? ret : request_bool(request, "rx", &conf.rx);
	ret = ret ? ret : request_bool(request, "tx", &conf.tx);
	ret = ret ? ret : request_bool(request, "inner", &conf.inner);
	ret = ret ? ret : request_number(request, "snap_bytes", false, CAPTURE_SNAP_MAX, &snap);
	ret = ret ? ret : request_number(request, "rate", false, CAPTURE_RATE_MAX, &rate);
	ret = ret ? ret : request_number(request, "packets", false, INT64_MAX, &packets);
	ret = ret ? ret : request_number(request, "file_bytes", false, CAPTURING_BYTES_MAX, &conf.bytes_max);
	ret = ret ? ret : request_number(request, "seconds", false, CAPTURING_SECONDS_MAX, &seconds);
	conf.port = conf.filter.port;
	conf.snap_bytes = (uint32_t)snap;
	conf.rate_pps = (uint32_t)rate;
	conf.pkts_max = packets;
	conf.seconds = (uint32_t)seconds;
	ret = ret ? ret : capturing_begin(request->control, &conf, &request->err);
	if (ret == 0)
		json_object_set_new(
			request->result, "file", json_string(request->control->capturing.last.path));
	return ret;
}

static int show_capture(struct request *request)
{
	static const char *const states[] = {
		[CAPTURING_NONE] = "none",
		[CAPTURING_RUNS] = "running",
		[CAPTURING_ENDS] = "ending",
		[CAPTURING_WRITES] = "ending",
		[CAPTURING_DONE] = "done",
	};
	struct capturing_result result;

	capturing_look(request->control, &result);
	json_object_set_new(request->result, "state", json_string(states[result.state]));
	if (result.state == CAPTURING_NONE)
		return 0;
	json_object_set_new(request->result, "file", json_string(result.path));
	json_put_number(request->result, "packets", result.written_pkts);
	json_put_number(request->result, "bytes", result.written_bytes);
	json_put_number(request->result, "not_captured", result.not_captured);
	if (result.err.text[0] != '\0')
		json_object_set_new(request->result, "error", json_string(result.err.text));
	return 0;
}

static int stop_capture(struct request *request)
{
	capturing_end(request->control);
	return 0;
}

static void put_explanation(json_t *result, const struct control *control, const struct explanation *e)
{
	json_t *steps = json_array();
	char text[EXPLAIN_TEXT_MAX];

	for (unsigned i = 0; i < e->n_steps; i++) {
		const struct explain_step *step = &e->steps[i];

		json_array_append_new(steps, json_string(explain_step_text(step, text)));
		if (step->kind == EXPLAIN_POLICY) {
			json_object_set_new(result, "policy", json_string(step->name));
			json_put_number(result, "policy_number", step->number);
		}
		if (step->kind == EXPLAIN_SA_IN || step->kind == EXPLAIN_SA_OUT)
			json_object_set_new(result, "sa", json_string(step->name));
	}
	json_object_set_new(result, "steps", steps);
	json_object_set_new(result, "end", json_string(explain_end_name(e->end)));
	json_object_set_new(result, "text", json_string(explain_end_text(control, e, text)));
	if (e->end == EXPLAIN_DROPPED)
		json_object_set_new(result, "reason", json_string(drop_name(e->reason)));
	if (e->end == EXPLAIN_SENT || e->end == EXPLAIN_WAITS)
		json_object_set_new(result, "port", json_string(control->gateway->ports[e->port_out].name));
}

static int run_explain(struct request *request)
{
	struct explain_query query = {0};
	struct explanation explanation;
	const char *packet = NULL;
	uint64_t bytes = 0, dscp = 0;
	int port = -1;
	int ret = port_read(request, true, &port);

	ret = ret ? ret : request_string(request, "packet", true, &packet);
	ret = ret ? ret : explain_query_parse(packet, &query, &request->err);
	ret = ret ? ret : request_number(request, "bytes", false, PORT_MTU_MAX, &bytes);
	ret = ret ? ret : request_number(request, "dscp", false, SA_DSCP_MAX, &dscp);
	ret = ret ? ret : request_bool(request, "df", &query.df);
	query.port = (uint8_t)port;
	query.bytes = (uint16_t)bytes;
	query.dscp = (uint8_t)dscp;
	ret = ret ? ret : explain(request->control, &query, &explanation, &request->err);
	if (ret == 0)
		put_explanation(request->result, request->control, &explanation);
	return ret;
}

const struct command commands_watch[] = {
	{"explain", run_explain, "port packet bytes df dscp",
		"What would become of a packet that came in by that port, and why: which policy, SA, route "
		"and "
		"neighbour. `packet` is `SRC DST PROTOCOL SPORT DPORT`, `SRC DST icmp TYPE CODE`, or `SRC "
		"DST esp "
		"SPI`, which ` : ` and the packet inside may follow."},
	{"trace", run_trace, "packets seconds " FILTER_ARGUMENTS,
		"Follow the next packets that the filter lets pass, at whatever stage, until there are so "
		"many, or for "
		"so many seconds; `show-trace` has them."},
	{"show-trace", show_trace, "offset limit",
		"The packets of the latest trace, each with its stages, a page at a time."},
	{"stop-trace", stop_trace, "", "End the trace that runs; what it has stays."},
	{"capture", run_capture,
		"file rx tx inner snap_bytes rate packets file_bytes seconds " FILTER_ARGUMENTS,
		"Write packets to a new `pcapng` file in `capture.directory`: frames that ports receive "
		"(`rx`) and send "
		"(`tx`), and packets before encryption and after decryption (`inner`), at most `rate` a "
		"second."},
	{"show-capture", show_capture, "", "The capture that runs, or the latest."},
	{"stop-capture", stop_capture, "", "End the capture that runs."},
	{0},
};
