/*
 * What explain says of a packet, and what the pipeline then does with that very packet: the same, for packets
 * of each kind, and for packets at random over policies at random.
 */
#include "control/explain.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_random.h>
#include <rte_ring.h>

#include "../datapath/sites.h"
#include "control/host_if.h"
#include "support/eal.h"
#include "support/gateway.h"

static struct gateway_env env;

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_DIRECT));
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
	gateway_env_end(&env);
	eal_teardown();
}

/* What came of a packet. */
struct fate {
	enum explain_end end;
	enum drop_reason reason;
	uint8_t port_out;
};

static unsigned sent_by(const char *port)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = gateway_env_sent(&env, port))) {
		n++;
		rte_pktmbuf_free(m);
	}
	return n;
}

/* What the worker handed to control, which goes on to it. */
static enum explain_end handed_over(void)
{
	struct rte_mbuf *m;
	enum explain_end end;

	if (env.control.to_host && rte_ring_count(env.control.to_host) > 0) {
		host_if_poll(&env.control, 0); // which drops it, since there is no interface
		return EXPLAIN_HOST;
	}
	if (rte_ring_dequeue(env.control.to_control, (void **)&m) != 0)
		return EXPLAIN_INSIDE;
	end = pkt_of(m)->flags & PKT_UNRESOLVED ? EXPLAIN_WAITS : EXPLAIN_CONTROL;
	ck_assert_int_eq(rte_ring_enqueue(env.control.to_control, m), 0);
	host_if_poll(&env.control, 0);
	return end;
}

/* The frame arrives, and what then happens is found out from outside. */
static struct fate fate_of(const char *port, struct rte_mbuf *frame)
{
	uint64_t answered = env.worker->counters.answered;
	struct stats before, after;
	struct fate fate = {.reason = DROP_COUNT};

	control_statistics(&env.control, &before);
	gateway_env_receive_frames(&env, port, &frame, 1);
	control_statistics(&env.control, &after);
	for (unsigned reason = 0; reason < DROP_COUNT; reason++)
		if (after.drops[reason] > before.drops[reason])
			fate.reason = (enum drop_reason)reason;
	for (uint8_t i = 0; i < env.gateway.n_ports; i++)
		if (sent_by(env.gateway.ports[i].name) > 0 && fate.reason == DROP_COUNT) {
			fate.end = EXPLAIN_SENT;
			fate.port_out = i;
		}
	if (env.worker->counters.answered > answered)
		fate.end = EXPLAIN_ANSWERED;
	else if (fate.reason != DROP_COUNT)
		fate.end = EXPLAIN_DROPPED;
	else if (rte_ring_count(env.control.to_control) > 0 ||
		 (env.control.to_host && rte_ring_count(env.control.to_host) > 0))
		fate.end = handed_over();
	read_all();
	return fate;
}

static struct flow flow_of(const struct packet_spec *spec)
{
	struct flow flow = {.protocol = spec->protocol ? spec->protocol : IPPROTO_UDP,
		.source_port = spec->source_port,
		.destination_port = spec->destination_port};

	flow.has_ports = flow.protocol == IPPROTO_UDP || flow.protocol == IPPROTO_TCP ||
			 flow.protocol == IPPROTO_ICMP || flow.protocol == IPPROTO_ICMPV6;
	ck_assert_int_eq(ip_addr_parse(spec->source, &flow.source), 0);
	ck_assert_int_eq(ip_addr_parse(spec->destination, &flow.destination), 0);
	return flow;
}

static struct explanation explained(const struct explain_query *query)
{
	struct explanation explanation;
	struct err err;

	ck_assert_msg(explain(&env.control, query, &explanation, &err) == 0, "%s", err.text);
	return explanation;
}

static const char *whole_text(const struct explanation *explanation)
{
	static char all[EXPLAIN_STEPS_MAX * EXPLAIN_TEXT_MAX];
	char text[EXPLAIN_TEXT_MAX];

	all[0] = '\0';
	for (unsigned i = 0; i < explanation->n_steps; i++) {
		strcat(all, explain_step_text(&explanation->steps[i], text));
		strcat(all, "\n");
	}
	return strcat(all, explain_end_text(&env.control, explanation, text));
}

static void assert_agree(const struct explanation *said, const struct fate *fate)
{
	ck_assert_msg(said->end == fate->end &&
			      (said->end != EXPLAIN_DROPPED || said->reason == fate->reason) &&
			      ((said->end != EXPLAIN_SENT) || said->port_out == fate->port_out),
		"said: %s\nreally: %s %s port %u", whole_text(said), explain_end_name(fate->end),
		fate->reason < DROP_COUNT ? drop_name(fate->reason) : "", fate->port_out);
}

static struct explain_query query_of(const char *port, const struct packet_spec *spec)
{
	uint8_t packet[PACKET_BYTES_MAX];

	return (struct explain_query){.port = gateway_env_port(&env, port),
		.flow = flow_of(spec),
		.bytes = (uint16_t)packet_build(spec, packet),
		.df = spec->df};
}

/* In clear by that port: it is explained first, so that what it might change would be seen. */
static struct explanation check_clear(const char *port, const struct packet_spec *spec)
{
	struct explain_query query = query_of(port, spec);
	struct explanation said = explained(&query);
	struct fate fate = fate_of(port, gateway_env_frame_of(&env, port, spec));

	assert_agree(&said, &fate);
	return said;
}

static const struct {
	const char *port;
	struct packet_spec spec;
	enum explain_end end;
	enum drop_reason reason;
} clear_cases[] = {
	{"lan", {.source = "10.1.0.1", .destination = "10.2.0.1"}, EXPLAIN_SENT, DROP_COUNT},
	{"lan", {.source = "fd00:1::1", .destination = "fd00:2::1"}, EXPLAIN_SENT, DROP_COUNT},
	{"lan", {.source = "10.1.0.1", .destination = "10.2.3.1"}, EXPLAIN_SENT, DROP_COUNT},
	{"lan", {.source = "10.1.0.1", .destination = "203.0.113.5"}, EXPLAIN_SENT, DROP_COUNT},
	{"lan", {.source = "10.1.0.1", .destination = "192.0.2.77"}, EXPLAIN_WAITS, DROP_COUNT},
	{"lan", {.source = "10.1.0.1", .destination = "10.2.9.1"}, EXPLAIN_DROPPED, DROP_out_policy_block},
	{"lan", {.source = "10.1.0.1", .destination = "10.2.8.1"}, EXPLAIN_DROPPED, DROP_out_no_sa},
	{"lan", {.source = "10.1.0.1", .destination = "100.64.0.1"}, EXPLAIN_DROPPED, DROP_no_route},
	{"lan", {.source = "10.1.0.1", .destination = "198.18.0.1"}, EXPLAIN_DROPPED, DROP_out_no_policy},
	{"lan", {.source = "127.0.0.1", .destination = "10.2.0.1"}, EXPLAIN_DROPPED, DROP_in_martian},
	{"lan", {.source = "169.254.0.1", .destination = "10.2.0.1"}, EXPLAIN_DROPPED, DROP_in_link_local},
	{"lan", {.source = "10.1.0.1", .destination = "224.0.0.1"}, EXPLAIN_DROPPED, DROP_in_multicast},
	{"lan", {.source = "10.1.0.1", .destination = "10.1.0.254"}, EXPLAIN_DROPPED, DROP_host_no_service},
	{"lan",
		{.source = "10.1.0.1",
			.destination = "10.1.0.254",
			.protocol = IPPROTO_ICMP,
			.source_port = 8},
		EXPLAIN_ANSWERED, DROP_COUNT},
	{"lan",
		{.source = "fd00:1::1",
			.destination = "fd00:1::fe",
			.protocol = IPPROTO_ICMPV6,
			.source_port = 128},
		EXPLAIN_ANSWERED, DROP_COUNT},
	{"lan", {.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 1446 - 28, .df = true},
		EXPLAIN_SENT, DROP_COUNT},
	{"lan", {.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 1447 - 28, .df = true},
		EXPLAIN_DROPPED, DROP_out_mtu},
	{"lan", {.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 1447 - 28}, EXPLAIN_SENT,
		DROP_COUNT},
	{"lan", {.source = "fd00:1::1", .destination = "fd00:2::1", .payload_bytes = 1447 - 48},
		EXPLAIN_DROPPED, DROP_out_mtu},
	{"wan", {.source = "203.0.113.5", .destination = "10.1.0.1"}, EXPLAIN_SENT, DROP_COUNT},
	{"wan", {.source = "203.0.113.5", .destination = "10.1.0.9"}, EXPLAIN_WAITS, DROP_COUNT},
	{"wan", {.source = "10.2.0.1", .destination = "10.1.0.1"}, EXPLAIN_DROPPED, DROP_in_tmpl_mismatch},
	{"wan", {.source = "10.2.9.1", .destination = "10.1.0.1"}, EXPLAIN_DROPPED, DROP_in_policy_block},
	{"wan", {.source = "198.18.0.1", .destination = "10.1.0.1"}, EXPLAIN_DROPPED, DROP_in_no_policy},
	{"wan",
		{.source = "192.0.2.254",
			.destination = "192.0.2.1",
			.protocol = IPPROTO_ICMP,
			.source_port = 8},
		EXPLAIN_ANSWERED, DROP_COUNT},
	{"wan", {.source = "192.0.2.254", .destination = "192.0.2.1", .protocol = IPPROTO_TCP},
		EXPLAIN_DROPPED, DROP_host_no_service},
	{"wan",
		{.source = "192.0.2.254",
			.destination = "192.0.2.1",
			.protocol = IPPROTO_ICMP,
			.source_port = 11},
		EXPLAIN_DROPPED, DROP_icmp_refused},
	{"wan",
		{.source = "203.0.113.5",
			.destination = "10.1.0.254",
			.protocol = IPPROTO_ICMP,
			.source_port = 8},
		EXPLAIN_ANSWERED, DROP_COUNT},
};

START_TEST(a_packet_in_clear_goes_the_way_that_was_explained)
{
	struct explanation said = check_clear(clear_cases[_i].port, &clear_cases[_i].spec);

	ck_assert_msg(said.end == clear_cases[_i].end, "%s", whole_text(&said));
	if (said.end == EXPLAIN_DROPPED)
		ck_assert_str_eq(drop_name(said.reason), drop_name(clear_cases[_i].reason));
}
END_TEST

static const struct explain_step *step_of(const struct explanation *said, enum explain_kind kind)
{
	for (unsigned i = 0; i < said->n_steps; i++)
		if (said->steps[i].kind == kind)
			return &said->steps[i];
	ck_abort_msg("not said: %d of\n%s", kind, whole_text(said));
}

/* ESP by that SA of the peer's. */
static struct explanation check_esp(const char *sa, const struct packet_spec *inner)
{
	const struct sa *peer = gateway_env_peer(&env, sa);
	struct explain_query query = {.port = gateway_env_port(&env, "wan"),
		.flow = {.source = peer->source, .destination = peer->destination, .protocol = IPPROTO_ESP},
		.spi = rte_be_to_cpu_32(peer->spi),
		.has_spi = true,
		.has_inner = true,
		.inner = flow_of(inner)};
	struct explanation said = explained(&query);
	struct fate fate = fate_of(
		"wan", gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = sa, .inner = *inner}));

	assert_agree(&said, &fate);
	return said;
}

START_TEST(what_esp_carries_goes_the_way_that_was_explained)
{
	static const struct {
		const char *sa;
		struct packet_spec inner;
		enum drop_reason reason;
	} cases[] = {
		{"in", {SITE_INNER}, DROP_COUNT},
		{"in", {.source = "10.2.0.1", .destination = "10.2.3.1"}, DROP_COUNT}, // on by another tunnel
		{"in-other", {.source = "10.2.3.1", .destination = "10.1.0.1"}, DROP_COUNT},
		{"in-other", {SITE_INNER}, DROP_in_selector},
		{"in", {.source = "203.0.113.5", .destination = "10.1.0.1"}, DROP_in_selector},
		{"in", {.source = "10.2.0.1", .destination = "10.1.0.254"}, DROP_host_no_service},
		{"in",
			{.source = "10.2.0.1",
				.destination = "10.1.0.254",
				.protocol = IPPROTO_ICMP,
				.source_port = 8},
			DROP_COUNT},
		{"in-inside", {.source = "10.2.4.1", .destination = "10.1.0.1"}, DROP_in_bundle},
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct explanation said = check_esp(cases[i].sa, &cases[i].inner);

		ck_assert_uint_eq(said.reason, cases[i].reason);
		ck_assert_str_eq(step_of(&said, EXPLAIN_SA_IN)->name, cases[i].sa);
	}
}
END_TEST

START_TEST(esp_alone_is_explained_up_to_what_is_inside)
{
	struct explain_query query = {.port = gateway_env_port(&env, "wan")};
	struct err err;

	ck_assert_int_eq(explain_query_parse("198.51.100.1 192.0.2.1 esp 0x2001", &query, &err), 0);
	ck_assert_int_eq(explained(&query).end, EXPLAIN_INSIDE);
	query.spi = 0x9999;
	ck_assert_uint_eq(explained(&query).reason, DROP_in_no_sa);
	query.spi = 0x2001;
	ck_assert_int_eq(ip_addr_parse("198.51.100.9", &query.flow.source), 0);
	ck_assert_uint_eq(explained(&query).reason, DROP_in_endpoint);
}
END_TEST

START_TEST(policy_sa_route_and_neighbour_are_named)
{
	struct explanation said =
		check_clear("lan", &(struct packet_spec){.source = "10.1.0.1", .destination = "10.2.0.1"});

	ck_assert_str_eq(whole_text(&said),
		"it comes in by port lan, from the protected side\n"
		"outbound policy out, number 14 of 15, matches first: protect\n"
		"it is protected by SA out: esp spi=0x00001001 from 192.0.2.1 to 198.51.100.1; packets up to "
		"1446 "
		"bytes fit\n"
		"the route is via 192.0.2.254 on port wan, MTU 1500\n"
		"the neighbour 192.0.2.254 has the MAC address 02:00:5e:00:02:fe\n"
		"it is sent by port wan");
}
END_TEST

START_TEST(a_policy_that_nearly_matches_is_named_with_what_fails)
{
	struct explanation said =
		check_clear("lan", &(struct packet_spec){.source = "10.9.0.1", .destination = "10.2.0.1"});
	bool found = false;

	ck_assert_uint_eq(said.reason, DROP_out_no_policy);
	for (unsigned i = 0; i < said.n_steps; i++)
		if (said.steps[i].kind == EXPLAIN_NEARLY && strcmp(said.steps[i].name, "out") == 0) {
			ck_assert_str_eq(said.steps[i].failed, "source");
			found = true;
		}
	ck_assert_msg(found, "%s", whole_text(&said));
}
END_TEST

static bool is_nearly(const char *policy, const char *packet)
{
	struct explain_query query = {.port = gateway_env_port(&env, "wan")};
	struct explanation said;
	struct err err;

	ck_assert_int_eq(explain_query_parse(packet, &query, &err), 0);
	said = explained(&query);
	for (unsigned i = 0; i < said.n_steps; i++)
		if (said.steps[i].kind == EXPLAIN_NEARLY && strcmp(said.steps[i].name, policy) == 0)
			return true;
	return false;
}

START_TEST(a_policy_that_fails_by_two_things_is_not_named)
{
	ck_assert(is_nearly("nested-in", "198.51.100.1 192.0.2.1 udp 1 2"));
	ck_assert(!is_nearly("nested-in", "198.51.100.1 10.1.0.5 udp 1 2"));
}
END_TEST

/* Everything that a packet would change. */
struct state {
	struct stats stats;
	uint64_t next_out;
	uint64_t highest_in;
	struct sa_counters counters[16];
	unsigned buffers;
};

static void state_take(struct state *state)
{
	memset(state, 0, sizeof(*state));
	control_statistics(&env.control, &state->stats);
	for (size_t i = 0; i < env.control.n_sas; i++) {
		struct sa *sa = env.control.sas[i];

		if (sa->inbound)
			state->highest_in += replay_highest(sa->replay);
		else
			state->next_out += sa->seq.next;
		sa_counters_sum(sa, &state->counters[i]);
	}
	state->buffers = rte_mempool_avail_count(env.control.ports.packets);
}

START_TEST(a_question_changes_nothing)
{
	struct state before, after;
	struct explain_query query;

	state_take(&before);
	for (size_t i = 0; i < RTE_DIM(clear_cases); i++) {
		query = query_of(clear_cases[i].port, &clear_cases[i].spec);
		explained(&query);
	}
	struct err err;
	query = (struct explain_query){.port = gateway_env_port(&env, "wan")};
	ck_assert_int_eq(explain_query_parse("198.51.100.1 192.0.2.1 esp 0x2001 : 10.3.0.1 10.1.0.1 udp 1 2",
				 &query, &err),
		0);
	ck_assert_uint_eq(explained(&query).reason, DROP_in_selector);
	state_take(&after);

	ck_assert_mem_eq(&before, &after, sizeof(before));
}
END_TEST

START_TEST(a_question_is_read_or_refused_with_what_is_wrong)
{
	static const struct {
		const char *text;
		const char *fault; // NULL: it is good
	} cases[] = {
		{"10.1.0.1 10.2.0.1 udp 1000 53", NULL},
		{"fd00:1::1 fd00:2::1 tcp 1 65535", NULL},
		{"10.1.0.1 10.2.0.1 icmp 8 0", NULL},
		{"10.1.0.1 10.2.0.1 47", NULL},
		{"10.1.0.1 10.2.0.1 esp 0x100 : 10.3.0.1 10.4.0.1 udp 1 2", NULL},
		{"", "the packet's source is not an address: ''"},
		{"10.1.0.1", "the packet's destination is not an address: ''"},
		{"10.1.0 10.2.0.1 udp 1 2", "the packet's source is not an address: 10.1.0"},
		{"10.1.0.1 fd00::1 udp 1 2", "source and destination are of two families"},
		{"10.1.0.1 10.2.0.1 upd 1 2", "no such protocol: upd"},
		{"10.1.0.1 10.2.0.1 256", "no such protocol: 256"},
		{"10.1.0.1 10.2.0.1 udp 1", "two ports follow the protocol, 0 to 65535"},
		{"10.1.0.1 10.2.0.1 udp 1 65536", "two ports follow the protocol, 0 to 65535"},
		{"10.1.0.1 10.2.0.1 icmp 8 256", "type and code follow icmp, 0 to 255"},
		{"10.1.0.1 10.2.0.1 esp", "an SPI follows esp, ah and ipcomp"},
		{"10.1.0.1 10.2.0.1 udp 1 2 3", "'3' is more than a packet has"},
		{"10.1.0.1 10.2.0.1 udp 1 2 : 10.1.0.1 10.2.0.1 47",
			"only a packet of esp, ah or ipcomp has another inside"},
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct explain_query query = {0};
		struct err err = {.text = ""};
		int ret = explain_query_parse(cases[i].text, &query, &err);

		ck_assert_int_eq(ret, cases[i].fault ? -EINVAL : 0);
		ck_assert_str_eq(err.text, cases[i].fault ? cases[i].fault : "");
	}
}
END_TEST

/* Policies at random over few networks, ports and protocols, so that they overlap. */
static char *random_yaml(void)
{
	static const char *const networks[] = {"10.1.0.0/24", "10.1.0.0/16", "10.2.0.0/16", "10.2.1.0/24",
		"203.0.113.0/24", "0.0.0.0/0", "10.2.1.7"};
	static const char *const actions[] = {"bypass", "discard", "protect", "protect"};
	static char yaml[16384];
	const char *site = SITE_YAML("0", SITE_DIRECT);
	size_t length = (size_t)(strstr(site, "policies:\n") - site) + strlen("policies:\n");

	memcpy(yaml, site, length);
	for (unsigned i = 0; i < 30; i++) {
		bool out = rte_rand_max(2);
		const char *action = actions[rte_rand_max(4)];
		bool protects = strcmp(action, "protect") == 0;
		unsigned protocol = (unsigned)rte_rand_max(3);

		length += (size_t)sprintf(yaml + length,
			"  - {name: p%u, direction: %s, action: %s, source: %s, destination: %s%s%s}\n", i,
			out ? "out" : "in", action, networks[rte_rand_max(RTE_DIM(networks))],
			networks[rte_rand_max(RTE_DIM(networks))],
			protocol == 0   ? ""
			: protocol == 1 ? ", protocol: udp, destination_port: 1-2"
					: ", protocol: tcp",
			!protects ? ""
			: out     ? ", sas: [out]"
				  : ", sas: [in]");
	}
	return yaml;
}

static struct packet_spec random_spec(void)
{
	static const char *const addresses[] = {"10.1.0.1", "10.1.5.1", "10.2.0.1", "10.2.1.7", "10.2.1.8",
		"203.0.113.5", "198.18.0.1", "10.1.0.254"};

	return (struct packet_spec){.source = addresses[rte_rand_max(RTE_DIM(addresses))],
		.destination = addresses[rte_rand_max(RTE_DIM(addresses))],
		.protocol = rte_rand_max(2) ? IPPROTO_UDP : IPPROTO_TCP,
		.source_port = 7,
		.destination_port = (uint16_t)(1 + rte_rand_max(3))};
}

#define RANDOM_PACKETS 400

static void setup_random(void)
{
	eal_setup();
	rte_srand(1000 + (uint64_t)getpid());
	gateway_env_begin(&env, random_yaml());
}

START_TEST(packets_at_random_go_the_ways_that_were_explained)
{
	unsigned ends[EXPLAIN_INSIDE + 1] = {0};

	for (unsigned i = 0; i < RANDOM_PACKETS; i++) {
		struct packet_spec spec = random_spec();
		struct explanation said = i % 3 == 0   ? check_esp("in", &spec)
					  : i % 3 == 1 ? check_clear("lan", &spec)
						       : check_clear("wan", &spec);

		ends[said.end]++;
	}
	/* It would prove nothing if all were dropped. */
	ck_assert_uint_gt(ends[EXPLAIN_DROPPED], 0);
	ck_assert_uint_gt(ends[EXPLAIN_SENT] + ends[EXPLAIN_WAITS], 0);
}
END_TEST

#define IKE_TO(ip, port)                                                                                     \
	{                                                                                                    \
		.source = "198.51.100.1", .destination = ip, .source_port = 500, .destination_port = port,   \
		.payload_bytes = 28                                                                          \
	}

static const struct {
	const char *port;
	struct packet_spec spec;
	enum explain_end end;
	enum drop_reason reason;
} host_cases[] = {
	{"wan", IKE_TO("192.0.2.1", 500), EXPLAIN_HOST, DROP_COUNT},
	{"lan", IKE_TO("192.0.2.1", 500), EXPLAIN_HOST, DROP_COUNT},
	{"lan", IKE_TO("10.1.0.254", 500), EXPLAIN_DROPPED, DROP_in_no_policy},
	{"wan", IKE_TO("192.0.2.1", 501), EXPLAIN_DROPPED, DROP_in_no_policy},
	{"wan", {.source = "203.0.113.5", .destination = "192.0.2.1"}, EXPLAIN_HOST, DROP_COUNT},
	{"wan", {.source = "203.0.113.5", .destination = "10.1.0.254"}, EXPLAIN_HOST, DROP_COUNT},
	{"wan", {.source = "10.2.9.1", .destination = "192.0.2.1"}, EXPLAIN_DROPPED, DROP_in_policy_block},
	{"lan", {.source = "10.1.0.1", .destination = "10.1.0.254"}, EXPLAIN_DROPPED, DROP_in_no_policy},
};

static void setup_host(void)
{
	eal_setup();
	gateway_env_begin(&env, "host: {interface: culvert0}\n" SITE_YAML("0", SITE_DIRECT));
}

START_TEST(what_is_for_the_host_goes_the_way_that_was_explained)
{
	struct explanation said = check_clear(host_cases[_i].port, &host_cases[_i].spec);

	ck_assert_msg(said.end == host_cases[_i].end, "%s", whole_text(&said));
	if (said.end == EXPLAIN_DROPPED)
		ck_assert_str_eq(drop_name(said.reason), drop_name(host_cases[_i].reason));
}
END_TEST

START_TEST(what_an_sa_brings_for_the_host_is_explained_as_the_hosts)
{
	struct packet_spec inner = {.source = "10.2.0.1", .destination = "10.1.0.254"};

	ck_assert_int_eq(check_esp("in", &inner).end, EXPLAIN_HOST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("explain");
	TCase *one = tcase_create("one site"), *random = tcase_create("policies at random"),
	      *host = tcase_create("host interface");

	tcase_add_checked_fixture(one, setup, teardown);
	tcase_add_loop_test(one, a_packet_in_clear_goes_the_way_that_was_explained, 0, RTE_DIM(clear_cases));
	tcase_add_test(one, what_esp_carries_goes_the_way_that_was_explained);
	tcase_add_test(one, esp_alone_is_explained_up_to_what_is_inside);
	tcase_add_test(one, policy_sa_route_and_neighbour_are_named);
	tcase_add_test(one, a_policy_that_nearly_matches_is_named_with_what_fails);
	tcase_add_test(one, a_policy_that_fails_by_two_things_is_not_named);
	tcase_add_test(one, a_question_changes_nothing);
	tcase_add_test(one, a_question_is_read_or_refused_with_what_is_wrong);
	suite_add_tcase(suite, one);
	tcase_add_checked_fixture(random, setup_random, teardown);
	tcase_add_loop_test(random, packets_at_random_go_the_ways_that_were_explained, 0, 5);
	suite_add_tcase(suite, random);
	tcase_add_checked_fixture(host, setup_host, teardown);
	tcase_add_loop_test(
		host, what_is_for_the_host_goes_the_way_that_was_explained, 0, RTE_DIM(host_cases));
	tcase_add_test(host, what_an_sa_brings_for_the_host_is_explained_as_the_hosts);
	suite_add_tcase(suite, host);
	return eal_run_suite(suite);
}
