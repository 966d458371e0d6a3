#include "datapath/trace.h"

#include <string.h>

#include <rte_rcu_qsbr.h>

#include "base/clock.h"
#include "control/tracing.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

static struct gateway_env env;

/* Each case runs in each way of crypto: in the worker's call, and completing later. */
static void setup_direct(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_DIRECT));
}

static void setup_async(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_ASYNC));
}

static void read_all(void)
{
	struct rte_mbuf *m;

	while ((m = gateway_env_sent(&env, "lan")) || (m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
}

static void teardown(void)
{
	read_all();
	/* Control asks for nothing any more, and the worker begins a loop: it has let go. */
	tracing_end(&env.control);
	worker_tick(env.worker);
	tracing_destroy(&env.control);
	gateway_env_end(&env);
	eal_teardown();
}

static struct tracing_conf conf_of(uint32_t n_pkts)
{
	struct tracing_conf conf;

	tracing_conf_init(&conf);
	conf.n_pkts = n_pkts;
	return conf;
}

static void begin(struct tracing_conf conf)
{
	struct err err;

	ck_assert_msg(tracing_begin(&env.control, &conf, &err) == 0, "%s", err.text);
}

/* A loop ends, and control looks. */
static void poll_once(void)
{
	worker_tick(env.worker);
	rte_rcu_qsbr_quiescent(env.control.qsbr, env.worker->index);
	tracing_poll(&env.control, clock_now_ns());
	read_all();
}

static const struct trace_record *record_at(size_t i)
{
	ck_assert_uint_lt(i, env.control.tracing.n_records);
	return env.control.tracing.records[i];
}

/* The step by that stage, the last one if there are several. */
static const struct trace_step *step_of(const struct trace_record *record, enum stage stage)
{
	const struct trace_step *found = NULL;

	for (unsigned i = 0; i < record->n_steps; i++)
		if (record->steps[i].stage == stage)
			found = &record->steps[i];
	ck_assert_msg(found, "no step %s", tracing_stage(stage));
	return found;
}

static const struct trace_step *step_last(const struct trace_record *record)
{
	ck_assert_uint_gt(record->n_steps, 0);
	return &record->steps[record->n_steps - 1];
}

static void assert_packet(const struct trace_step *step, const char *expected)
{
	char text[TRACING_TEXT_MAX];

	ck_assert_str_eq(tracing_packet(step, text), expected);
}

static void assert_outcome(const struct trace_step *step, const char *expected)
{
	char text[TRACING_TEXT_MAX];

	ck_assert_str_eq(tracing_outcome(step, text), expected);
}

static const struct packet_spec to_peer = {.source = "10.1.0.1",
	.destination = "10.2.0.1",
	.source_port = 1000,
	.destination_port = 2000,
	.payload_bytes = 40};

START_TEST(an_outbound_packet_is_followed_from_its_port_to_the_wire)
{
	begin(conf_of(1));
	gateway_env_receive(&env, "lan", &to_peer);
	poll_once();

	const struct trace_record *record = record_at(0);
	const struct trace_step *spd = step_of(record, STAGE_spd_out);
	assert_packet(&record->steps[0], "10.1.0.1 > 10.2.0.1 udp 1000 > 2000");
	ck_assert_int_eq(record->steps[0].stage, STAGE_rx);
	ck_assert_uint_eq(record->port_in, gateway_env_port(&env, "lan"));
	assert_outcome(spd, "moved to protect");
	ck_assert_str_eq(tracing_policy(&env.gateway, spd), "out");
	ck_assert_str_eq(record->sas[spd->sa].name, "out");
	assert_packet(spd, "10.1.0.1 > 10.2.0.1 udp 1000 > 2000");
	assert_packet(
		step_of(record, STAGE_esp_out_prepare), "192.0.2.1 > 198.51.100.1 esp spi=0x00001001 seq=1");
	assert_outcome(step_last(record), "sent");
	assert_packet(step_last(record), "192.0.2.1 > 198.51.100.1 esp spi=0x00001001 seq=1");
	for (unsigned i = 1; i < record->n_steps; i++)
		ck_assert_uint_ge(record->steps[i].tsc, record->steps[i - 1].tsc);
}
END_TEST

START_TEST(an_inbound_packet_is_followed_through_its_sa)
{
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = {SITE_INNER}});

	begin(conf_of(1));
	gateway_env_receive_frames(&env, "wan", &esp, 1);
	poll_once();

	const struct trace_record *record = record_at(0);
	assert_packet(&record->steps[0], "198.51.100.1 > 192.0.2.1 esp spi=0x00002001 seq=1");
	assert_outcome(step_of(record, STAGE_local), "moved to ipsec");
	ck_assert_str_eq(record->sas[step_of(record, STAGE_sad)->sa].name, "in");
	ck_assert(record->sas[0].inbound);
	assert_packet(step_of(record, STAGE_esp_in_finish), "10.2.0.1 > 10.1.0.1 udp 0 > 0");
	ck_assert_str_eq(tracing_policy(&env.gateway, step_of(record, STAGE_spd_in_selector)), "in");
	assert_outcome(step_last(record), "sent");
}
END_TEST

START_TEST(a_drop_ends_a_trace_with_its_reason)
{
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = {SITE_INNER}});
	struct rte_mbuf *again = rte_pktmbuf_copy(esp, eal_pool(), 0, UINT32_MAX);

	gateway_env_receive_frames(&env, "wan", &esp, 1);
	begin(conf_of(2));
	gateway_env_receive_frames(&env, "wan", &again, 1);
	gateway_env_receive(&env, "lan", &(struct packet_spec){.destination = "10.2.9.1"});
	poll_once();

	assert_outcome(step_last(record_at(0)), "dropped: in_replay");
	assert_packet(step_last(record_at(0)), "198.51.100.1 > 192.0.2.1 esp spi=0x00002001 seq=1");
	ck_assert_str_eq(record_at(0)->sas[step_last(record_at(0))->sa].name, "in");
	assert_outcome(step_last(record_at(1)), "dropped: out_policy_block");
	ck_assert_int_eq(step_last(record_at(1))->stage, STAGE_spd_out);
	ck_assert_str_eq(tracing_policy(&env.gateway, step_last(record_at(1))), "blocked-out");
}
END_TEST

/* What parsing refuses has not been parsed. */
START_TEST(a_frame_that_is_no_packet_is_followed_too)
{
	struct rte_mbuf *m = gateway_env_frame_of(&env, "lan", &(struct packet_spec){0});

	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->ether_type = RTE_BE16(0x1234);
	begin(conf_of(1));
	gateway_env_receive_frames(&env, "lan", &m, 1);
	poll_once();

	assert_outcome(step_last(record_at(0)), "dropped: eth_type");
	assert_packet(step_last(record_at(0)), "");
}
END_TEST

/* A filter of what is inside a tunnel finds the packet, with what came before. */
START_TEST(a_filter_may_pass_at_any_step)
{
	struct tracing_conf conf = conf_of(2);
	struct rte_mbuf *other = gateway_env_peer_esp(&env, "wan",
		&(struct peer_esp){.sa = "in", .inner = {.source = "10.2.0.9", .destination = "10.1.0.1"}});
	struct rte_mbuf *wanted =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = {SITE_INNER}});

	ck_assert_int_eq(ip_prefix_parse("10.2.0.1/32", &conf.filter.host), 0);
	begin(conf);
	gateway_env_receive_frames(&env, "wan", &other, 1);
	gateway_env_receive_frames(&env, "wan", &wanted, 1);
	poll_once();

	ck_assert_uint_eq(env.control.tracing.n_records, 1);
	ck_assert_int_eq(record_at(0)->steps[0].stage, STAGE_rx);
	assert_packet(&record_at(0)->steps[0], "198.51.100.1 > 192.0.2.1 esp spi=0x00002001 seq=2");
}
END_TEST

START_TEST(a_filter_by_sa_takes_packets_of_that_sa_alone)
{
	struct tracing_conf conf = conf_of(5);

	strcpy(conf.filter.sa, "out-cbc");
	begin(conf);
	gateway_env_receive(&env, "lan", &to_peer);
	gateway_env_receive(
		&env, "lan", &(struct packet_spec){.source = "10.1.0.1", .destination = "10.2.3.1"});
	poll_once();

	ck_assert_uint_eq(env.control.tracing.n_records, 1);
	ck_assert_str_eq(record_at(0)->sas[0].name, "out-cbc");
}
END_TEST

START_TEST(a_trace_ends_with_the_packets_that_were_asked_for)
{
	begin(conf_of(3));
	for (unsigned i = 0; i < 10; i++)
		gateway_env_receive(&env, "lan", &to_peer);
	for (unsigned i = 0; i < 3; i++)
		poll_once();

	ck_assert_uint_eq(env.control.tracing.n_records, 3);
	ck_assert_int_eq(env.control.tracing.state, TRACING_DONE);
	ck_assert_ptr_null(env.control.tracing.trace);
	ck_assert_ptr_null(env.worker->drops.tracer);
}
END_TEST

START_TEST(a_trace_is_freed_only_when_every_worker_has_let_go)
{
	begin(conf_of(3));
	poll_once();
	tracing_end(&env.control);
	tracing_poll(&env.control, clock_now_ns());
	ck_assert_int_eq(env.control.tracing.state, TRACING_ENDS);
	ck_assert_ptr_nonnull(env.control.tracing.trace);
	struct err err;
	struct tracing_conf conf = conf_of(1);
	ck_assert_int_eq(tracing_begin(&env.control, &conf, &err), -EBUSY);

	poll_once();
	ck_assert_int_eq(env.control.tracing.state, TRACING_DONE);
}
END_TEST

/* Nobody reads, and the worker does not wait. */
START_TEST(records_without_room_are_counted_as_not_captured)
{
	begin(conf_of(TRACE_PKTS_MAX));
	for (unsigned i = 0; i < 100; i++) {
		gateway_env_receive(&env, "lan", &to_peer);
		read_all();
	}
	poll_once();

	ck_assert_uint_eq(env.control.tracing.n_records + env.control.tracing.losses.not_captured, 100);
	ck_assert_uint_gt(env.control.tracing.losses.not_captured, 0);
}
END_TEST

START_TEST(what_a_packet_is_cut_into_is_followed_as_packets)
{
	struct packet_spec spec = to_peer;

	spec.payload_bytes = 1500 - 28;
	begin(conf_of(10));
	gateway_env_receive(&env, "lan", &spec);
	poll_once();

	unsigned n_parts = 0;
	ck_assert_uint_eq(env.control.tracing.n_records, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct trace_record *record = record_at(i);

		if (record->part_of == 0) {
			assert_outcome(step_last(record), "cut");
			continue;
		}
		ck_assert_uint_eq(record->part_of, 1);
		assert_outcome(step_last(record), "sent");
		n_parts++;
	}
	ck_assert_uint_eq(n_parts, 2);
}
END_TEST

/* To the gateway itself, fragments are made whole. */
START_TEST(a_packet_made_whole_of_fragments_is_followed_on)
{
	struct packet_spec first = {.source = "10.1.0.1",
		.destination = "10.1.0.254",
		.payload_bytes = 24,
		.more_fragments = true,
		.id = 7};
	struct packet_spec later = first;

	later.more_fragments = false;
	later.fragment_offset_bytes = 32;
	begin(conf_of(10));
	gateway_env_receive(&env, "lan", &later);
	gateway_env_receive(&env, "lan", &first);
	poll_once();

	assert_outcome(step_last(record_at(0)), "waits for other fragments, or became part of a packet");
	const struct trace_record *whole = record_at(env.control.tracing.n_records - 1);
	assert_outcome(step_last(whole), "dropped: host_no_service");
	ck_assert_uint_eq(step_last(whole)->bytes, 20 + 8 + 24 + 24);
}
END_TEST

START_TEST(a_packet_that_waits_for_a_neighbour_is_at_control)
{
	begin(conf_of(1));
	gateway_env_receive(
		&env, "wan", &(struct packet_spec){.source = "203.0.113.5", .destination = "10.1.0.9"});
	poll_once();

	assert_outcome(step_last(record_at(0)), "moved to unresolved");
	ck_assert_str_eq(tracing_verdict(record_at(0)),
		"it waits at the control thread for its next hop's MAC address");
}
END_TEST

static TCase *cases(const char *name, SFun way)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, way, teardown);
	tcase_add_test(tcase, an_outbound_packet_is_followed_from_its_port_to_the_wire);
	tcase_add_test(tcase, an_inbound_packet_is_followed_through_its_sa);
	tcase_add_test(tcase, a_drop_ends_a_trace_with_its_reason);
	tcase_add_test(tcase, a_frame_that_is_no_packet_is_followed_too);
	tcase_add_test(tcase, a_filter_may_pass_at_any_step);
	tcase_add_test(tcase, a_filter_by_sa_takes_packets_of_that_sa_alone);
	tcase_add_test(tcase, a_trace_ends_with_the_packets_that_were_asked_for);
	tcase_add_test(tcase, a_trace_is_freed_only_when_every_worker_has_let_go);
	tcase_add_test(tcase, records_without_room_are_counted_as_not_captured);
	tcase_add_test(tcase, what_a_packet_is_cut_into_is_followed_as_packets);
	tcase_add_test(tcase, a_packet_made_whole_of_fragments_is_followed_on);
	tcase_add_test(tcase, a_packet_that_waits_for_a_neighbour_is_at_control);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("trace");

	suite_add_tcase(suite, cases("direct", setup_direct));
	suite_add_tcase(suite, cases("async", setup_async));
	return eal_run_suite(suite);
}
