#include "datapath/flows.h"

#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

/* As many as generations can be told apart. */
#define GENERATIONS 65535
#define ROUNDS      3000

static struct gateway_env env;
static struct flows *flows;
static uint64_t random_state;

static void setup(void)
{
	struct err err;

	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_DIRECT));
	ck_assert_int_eq(flows_create(0, SOCKET_ID_ANY, &flows, &err), 0);
	random_state = 88172645463325252u;
}

static void teardown(void)
{
	flows_destroy(flows);
	gateway_env_end(&env);
	eal_teardown();
}

static uint32_t random_below(uint32_t end)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % end;
}

static void burst_find(struct burst *burst, enum flows_direction direction, const struct snapshot *s)
{
	struct drops drops = {0};

	flows_find(flows, burst, direction, s, &drops);
	ck_assert_uint_eq(drops.total, 0);
}

/* What is found for a packet of that spec, which is freed. */
static struct pkt find(
	const struct packet_spec *spec, enum flows_direction direction, const struct snapshot *s)
{
	struct burst burst = {.n = 1, .pkts = {packet_mbuf(spec)}};
	struct pkt found;

	burst_find(&burst, direction, s);
	ck_assert_uint_eq(burst.n, 1);
	found = *pkt_of(burst.pkts[0]);
	rte_pktmbuf_free(burst.pkts[0]);
	return found;
}

/* Few values, so that flows come again, and differ from others in one value. */
static struct packet_spec random_spec(void)
{
	static const char *const ipv4[] = {"10.1.0.1", "10.1.0.254", "10.2.0.1", "10.2.3.1", "10.2.9.1",
		"203.0.113.5", "100.64.0.1", "192.0.2.1", "192.0.2.254", "172.16.0.1"};
	static const char *const ipv6[] = {
		"fd00:1::1", "fd00:1::fe", "fd00:2::1", "2001:db8::1", "fd00:9::1"};
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};
	bool is_ipv6 = random_below(3) == 0;

	return (struct packet_spec){
		.source = is_ipv6 ? ipv6[random_below(RTE_DIM(ipv6))] : ipv4[random_below(RTE_DIM(ipv4))],
		.destination =
			is_ipv6 ? ipv6[random_below(RTE_DIM(ipv6))] : ipv4[random_below(RTE_DIM(ipv4))],
		.protocol = protocols[random_below(RTE_DIM(protocols))],
		.source_port = (uint16_t)random_below(3),
		.destination_port = (uint16_t)random_below(3),
		.fragment_offset_bytes = random_below(8) == 0 ? 64 : 0,
		.payload_bytes = 64,
	};
}

/* The whole look-up, without memory. */
static void assert_found(struct rte_mbuf *m, enum flows_direction direction, const struct snapshot *s)
{
	const struct pkt *p = pkt_of(m);
	struct ip_addr to = ip_addr_from_bytes(p->family, pkt_destination(m));
	const struct spd_entry *entry;
	uint32_t next_hop;

	spd_find(direction == FLOWS_OUT ? s->spd_out : s->spd_in, &m, 1, &entry);
	if (direction == FLOWS_OUT && entry && entry->action == POLICY_PROTECT)
		to = entry->sa->destination;
	next_hop = route_find_index(s->routes, &to);
	ck_assert_uint_eq(p->action, entry ? entry->action : SPD_NO_POLICY);
	if (entry) {
		ck_assert_uint_eq(p->policy, entry->index);
		ck_assert_ptr_eq(p->policy_sa, entry->sa);
	}
	ck_assert_uint_eq(p->next_hop, next_hop);
	if (next_hop != ROUTE_NONE)
		ck_assert_uint_eq(p->port_out, route_next_hop(s->routes, next_hop)->port);
	ck_assert_int_eq((p->flags & PKT_OWN) != 0, local_match_one(&s->local, m));
}

/* SPD-2: what is remembered is what a look-up in full finds. */
START_TEST(an_answer_is_that_of_the_spd_and_the_routes)
{
	const struct snapshot *s = env.control.snapshot;

	for (unsigned round = 0; round < ROUNDS; round++) {
		enum flows_direction direction = random_below(2) ? FLOWS_OUT : FLOWS_IN;
		BURST(burst);

		for (unsigned i = 0; i <= random_below(BURST_MAX); i++) {
			struct packet_spec spec = random_spec();

			burst_add_one(&burst, packet_mbuf(&spec));
		}
		burst_find(&burst, direction, s);
		for (uint16_t i = 0; i < burst.n; i++)
			assert_found(burst.pkts[i], direction, s);
		rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	}
}
END_TEST

/* The same snapshot with both SPDs the other way round: every answer differs. */
static struct snapshot turned_round(void)
{
	struct snapshot s = *env.control.snapshot;

	s.spd_out = env.control.snapshot->spd_in;
	s.spd_in = env.control.snapshot->spd_out;
	return s;
}

START_TEST(a_flow_is_remembered_until_the_worker_forgets)
{
	for (unsigned i = 0; i < 2; i++) {
		struct snapshot other = turned_round();
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4};
		const struct sa *before = find(&spec, FLOWS_OUT, env.control.snapshot).policy_sa;

		ck_assert_ptr_nonnull(before);
		ck_assert_ptr_eq(find(&spec, FLOWS_OUT, &other).policy_sa, before);
		flows_forget(flows);
		ck_assert_ptr_ne(find(&spec, FLOWS_OUT, &other).policy_sa, before);
		flows_forget(flows);
	}
}
END_TEST

START_TEST(what_was_forgotten_never_comes_back)
{
	for (unsigned i = 0; i < 2; i++) {
		struct snapshot other = turned_round();
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4};
		const struct sa *before = find(&spec, FLOWS_OUT, env.control.snapshot).policy_sa;

		for (unsigned n = 0; n < GENERATIONS; n++)
			flows_forget(flows);
		ck_assert_ptr_ne(find(&spec, FLOWS_OUT, &other).policy_sa, before);
		flows_forget(flows);
	}
}
END_TEST

START_TEST(a_protected_flow_goes_to_the_tunnels_other_end)
{
	struct ip_addr peer;
	struct pkt found = find(&(struct packet_spec){0}, FLOWS_OUT, env.control.snapshot);

	ck_assert_int_eq(ip_addr_parse("198.51.100.1", &peer), 0);
	ck_assert_int_eq(found.action, POLICY_PROTECT);
	ck_assert_uint_eq(found.next_hop, route_find_index(env.control.snapshot->routes, &peer));
	ck_assert_uint_eq(found.port_out, gateway_env_port(&env, "wan"));
}
END_TEST

static struct sa *sa_named(const char *name)
{
	for (size_t i = 0; i < env.control.n_sas; i++)
		if (strcmp(env.control.sas[i]->name, name) == 0)
			return env.control.sas[i];
	ck_abort_msg("no sa %s", name);
}

/* PCP-1: a worker's flows get the alternative that is for the worker; there is none for a third one. */
START_TEST(a_flow_has_the_sa_of_its_worker)
{
	struct sa *const wants[] = {sa_named("out-cbc"), sa_named("in"), sa_named("out")};
	struct snapshot s = *env.control.snapshot;
	struct err err;

	ck_assert_uint_eq(
		find(&(struct packet_spec){0}, FLOWS_OUT, &s).policy, gateway_env_policy(&env, "out"));
	ck_assert_int_eq(alternatives_create(16, 3, SOCKET_ID_ANY, &s.alternatives_out, &err), 0);
	/* What is not for all packets of the worker is left to alternatives_choose. */
	alternatives_add(s.alternatives_out, gateway_env_policy(&env, "out"),
		&(struct alternative){.sa = sa_named("in"),
			.dscps = 1,
			.workers = ALTERNATIVE_ANY,
			.peer = ALTERNATIVE_ANY});
	for (unsigned worker = 0; worker < 2; worker++)
		alternatives_add(s.alternatives_out, gateway_env_policy(&env, "out"),
			&(struct alternative){.sa = wants[worker],
				.peer = ALTERNATIVE_ANY,
				.dscps = ALTERNATIVE_ANY,
				.workers = UINT64_C(1) << worker});
	for (unsigned worker = 0; worker < RTE_DIM(wants); worker++) {
		struct pkt found;

		flows_destroy(flows);
		ck_assert_int_eq(flows_create(worker, SOCKET_ID_ANY, &flows, &err), 0);
		for (unsigned i = 0; i < 2; i++) {
			found = find(&(struct packet_spec){0}, FLOWS_OUT, &s);
			ck_assert_ptr_eq(found.policy_sa, wants[worker]);
			ck_assert_uint_eq(
				found.next_hop, route_find_index(s.routes, &wants[worker]->destination));
		}
		/* Inbound, whose policy with that index is another, nothing changes. */
		const struct packet_spec in = {SITE_INNER};
		ck_assert_ptr_eq(find(&in, FLOWS_IN, &s).policy_sa, sa_named("in"));
	}
	alternatives_destroy(s.alternatives_out);
}
END_TEST

START_TEST(a_flow_without_a_route_is_found_without_a_next_hop)
{
	const struct packet_spec spec = {.destination = "100.64.0.1"};

	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(find(&spec, FLOWS_OUT, env.control.snapshot).next_hop, ROUTE_NONE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("datapath/flows");
	TCase *tcase = tcase_create("flows");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_answer_is_that_of_the_spd_and_the_routes);
	tcase_add_test(tcase, a_flow_is_remembered_until_the_worker_forgets);
	tcase_add_test(tcase, what_was_forgotten_never_comes_back);
	tcase_add_test(tcase, a_protected_flow_goes_to_the_tunnels_other_end);
	tcase_add_test(tcase, a_flow_has_the_sa_of_its_worker);
	tcase_add_test(tcase, a_flow_without_a_route_is_found_without_a_next_hop);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
