#include "ipsec/replies.h"

#include "net/icmp.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sanitizer.h"
#include "support/tsan.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include <rte_cycles.h>
#include <rte_random.h>

#define ALICE      3
#define BOB        5
#define N_WORKERS  3
#define N_CROWD    9 /* flows that fight for the places of one */
#define N_ROUNDS   ASAN_ROUNDS(TSAN_ROUNDS(1000000))
#define N_RANDOM   20000
#define SECONDS(n) ((n)*rte_get_tsc_hz())

static struct replies *replies;
static struct drops drops[N_WORKERS];
static uint64_t now_tsc;

static void setup(void)
{
	struct err err;

	eal_setup();
	memset(drops, 0, sizeof(drops));
	now_tsc = SECONDS(1000);
	ck_assert_int_eq(replies_create(N_WORKERS, SOCKET_ID_ANY, &replies, &err), 0);
}

static void teardown(void)
{
	replies_destroy(replies);
	eal_teardown();
}

static struct sa_tally tally_of(unsigned worker)
{
	return (struct sa_tally){.drops = &drops[worker], .worker = worker, .now_tsc = now_tsc};
}

static void note_mbuf(struct rte_mbuf *m, uint64_t peer, unsigned worker)
{
	struct sa sa = {.special = peer == REPLIES_PEER_NONE ? 0 : SA_OF_PEER, .peer = peer};
	struct burst burst = {.n = 1, .pkts = {m}};
	const struct sa_tally tally = tally_of(worker);

	pkt_of(m)->sa = &sa;
	replies_note(&burst, replies, &tally);
	ck_assert_uint_eq(burst.n, 1);
}

/* The packet comes out of an SA of that peer. */
static void note(const struct packet_spec *spec, uint64_t peer)
{
	struct rte_mbuf *m = packet_mbuf(spec);

	note_mbuf(m, peer, 0);
	rte_pktmbuf_free(m);
}

/* Whose flow the packet answers. */
static uint64_t find(const struct packet_spec *spec)
{
	struct rte_mbuf *m = packet_mbuf(spec);
	uint64_t peer = replies_find_one(replies, m, now_tsc);

	rte_pktmbuf_free(m);
	return peer;
}

/* A packet of a client, or with `back` one to it. */
static struct packet_spec flow(uint8_t family, uint8_t protocol, uint16_t client, uint16_t server, bool back)
{
	const char *clients = family == IP_V4 ? "10.2.0.10" : "fd00:2::10";
	const char *servers = family == IP_V4 ? "10.1.0.10" : "fd00:1::10";

	return (struct packet_spec){
		.source = back ? servers : clients,
		.destination = back ? clients : servers,
		.protocol = protocol,
		.source_port = back ? server : client,
		.destination_port = back ? client : server,
		.payload_bytes = 32,
	};
}

static struct packet_spec echo(uint8_t family, bool is_reply, uint16_t id, bool back)
{
	uint16_t type = family == IP_V4 ? (is_reply ? ICMPV4_ECHO_REPLY : ICMPV4_ECHO_REQUEST)
					: (is_reply ? ICMPV6_ECHO_REPLY : ICMPV6_ECHO_REQUEST);
	struct packet_spec spec = flow(family, family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0, 0, back);

	spec.source_port = type;
	spec.destination_port = 0;
	spec.icmp_word = (uint32_t)id << 16 | 0x1234;
	return spec;
}

#define NOTE(peer, ...) note(&(struct packet_spec[]){__VA_ARGS__}[0], peer)
#define FIND(...)       find(&(struct packet_spec[]){__VA_ARGS__}[0])

/* NAT-8: of either family, by addresses, protocol and ports, and only turned round. */
START_TEST(a_packet_answers_the_flow_that_is_its_own_turned_round)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t family = i ? IP_V6 : IP_V4;

		NOTE(ALICE, flow(family, IPPROTO_UDP, 1000, 53, false));
		NOTE(BOB, flow(family, IPPROTO_UDP, 1001, 53, false));
		NOTE(BOB, flow(family, IPPROTO_TCP, 1000, 53, false));
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_UDP, 1000, 53, true)), ALICE);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_UDP, 1001, 53, true)), BOB);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_TCP, 1000, 53, true)), BOB);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_TCP, 1001, 53, true)), REPLIES_PEER_NONE);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_UDP, 53, 1000, true)), REPLIES_PEER_NONE);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_UDP, 1000, 53, false)), REPLIES_PEER_NONE);
	}
}
END_TEST

/* NAT-8: what has no ports is known by its addresses and its protocol. */
START_TEST(an_echo_is_known_by_its_identifier_and_others_by_their_protocol)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t family = i ? IP_V6 : IP_V4;

		NOTE(ALICE, echo(family, false, 1, false));
		NOTE(BOB, echo(family, false, 2, false));
		NOTE(BOB, flow(family, IPPROTO_GRE, 0, 0, false));
		ck_assert_uint_eq(FIND(echo(family, true, 1, true)), ALICE);
		ck_assert_uint_eq(FIND(echo(family, true, 2, true)), BOB);
		ck_assert_uint_eq(FIND(echo(family, true, 3, true)), REPLIES_PEER_NONE);
		ck_assert_uint_eq(FIND(echo(family, false, 1, true)), REPLIES_PEER_NONE);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_GRE, 0, 0, true)), BOB);
		ck_assert_uint_eq(FIND(flow(family, IPPROTO_ESP, 0, 0, true)), REPLIES_PEER_NONE);
	}
}
END_TEST

/* NAT-8 */
START_TEST(a_flow_is_the_peers_that_sent_its_last_packet)
{
	const struct packet_spec in = flow(IP_V4, IPPROTO_UDP, 1701, 1701, false),
				 out = flow(IP_V4, IPPROTO_UDP, 1701, 1701, true);
	struct replies_counters counters;

	note(&in, ALICE);
	note(&in, BOB);
	ck_assert_uint_eq(find(&out), BOB);
	note(&in, ALICE);
	ck_assert_uint_eq(find(&out), ALICE);
	note(&in, REPLIES_PEER_NONE); /* by an SA of no peer */
	ck_assert_uint_eq(find(&out), ALICE);
	replies_count(replies, &counters);
	ck_assert_uint_eq(counters.used, 1);
	ck_assert_uint_eq(counters.moved, 2);
}
END_TEST

/* NAT-8: the first fragment would go another way than the rest. */
START_TEST(a_fragment_is_of_no_flow)
{
	struct packet_spec in = flow(IP_V4, IPPROTO_UDP, 1000, 53, false),
			   out = flow(IP_V4, IPPROTO_UDP, 1000, 53, true);

	in.more_fragments = true;
	note(&in, ALICE);
	ck_assert_uint_eq(find(&out), REPLIES_PEER_NONE);
	in.more_fragments = false;
	note(&in, ALICE);
	ck_assert_uint_eq(find(&out), ALICE);
	out.more_fragments = true;
	ck_assert_uint_eq(find(&out), REPLIES_PEER_NONE);
}
END_TEST

/* An ICMP error of the server's side, to `to`, about that packet. */
static uint64_t find_error_about(const struct packet_spec *quoted, const char *to)
{
	uint8_t family = strchr(to, ':') ? IP_V6 : IP_V4;
	uint8_t quote[PACKET_BYTES_MAX];
	size_t bytes = packet_build(quoted, quote);

	return FIND({.source = family == IP_V4 ? "10.1.0.99" : "fd00:1::99",
		.destination = to,
		.protocol = family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.source_port = family == IP_V4 ? ICMPV4_TIME_EXCEEDED : ICMPV6_TIME_EXCEEDED,
		.payload = quote,
		.payload_bytes = (uint16_t)bytes});
}

/* NAT-8, ICM-2: whoever sends it; and nobody is reached by a quote whose packet he did not send. */
START_TEST(an_icmp_error_answers_the_packet_that_it_quotes)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t family = i ? IP_V6 : IP_V4;

		const struct packet_spec in = flow(family, IPPROTO_UDP, 1000, 53, false);
		const struct packet_spec other = flow(family, IPPROTO_UDP, 1001, 53, false);
		const struct packet_spec asked = echo(family, false, 7, false);

		note(&in, ALICE);
		note(&asked, BOB);
		ck_assert_uint_eq(find_error_about(&in, in.source), ALICE);
		ck_assert_uint_eq(find_error_about(&asked, in.source), BOB);
		ck_assert_uint_eq(find_error_about(&other, in.source), REPLIES_PEER_NONE);
		ck_assert_uint_eq(find_error_about(&in, in.destination), REPLIES_PEER_NONE);
	}
}
END_TEST

/* NAT-8 */
START_TEST(a_flow_that_is_silent_for_too_long_is_forgotten)
{
	const struct packet_spec in = flow(IP_V4, IPPROTO_UDP, 1000, 53, false),
				 out = flow(IP_V4, IPPROTO_UDP, 1000, 53, true);

	note(&in, ALICE);
	now_tsc += SECONDS(REPLIES_AGE_S - 1);
	ck_assert_uint_eq(find(&out), ALICE);
	note(&in, ALICE);
	now_tsc += SECONDS(REPLIES_AGE_S - 1);
	ck_assert_uint_eq(find(&out), ALICE);
	now_tsc += SECONDS(2);
	ck_assert_uint_eq(find(&out), REPLIES_PEER_NONE);
	note(&in, BOB);
	ck_assert_uint_eq(find(&out), BOB);
	now_tsc -= SECONDS(1); /* another worker's clock is behind */
	ck_assert_uint_eq(find(&out), BOB);
}
END_TEST

/* NAT-8: against a list, which is slow and obvious; so few that none of them pushes out another. */
START_TEST(many_flows_are_remembered_as_a_list_would)
{
	static uint64_t peers[512];

	memset(peers, 0, sizeof(peers));
	for (unsigned i = 0; i < N_RANDOM; i++) {
		uint16_t port = (uint16_t)(rte_rand() % RTE_DIM(peers));

		if (rte_rand() % 2)
			NOTE(peers[port] = 1 + rte_rand() % 9, flow(IP_V4, IPPROTO_UDP, port, 53, false));
		ck_assert_uint_eq(FIND(flow(IP_V4, IPPROTO_UDP, port, 53, true)), peers[port]);
	}
}
END_TEST

/* The `number`th flow of a client, or what answers it. */
static struct rte_mbuf *numbered(uint32_t number, bool back)
{
	const struct packet_spec spec =
		flow(IP_V4, IPPROTO_UDP, (uint16_t)number, (uint16_t)(number >> 16), back);

	return packet_mbuf(&spec);
}

static void ports_set(struct rte_mbuf *m, uint32_t number, bool back)
{
	uint16_t low = (uint16_t)number, high = (uint16_t)(number >> 16);

	pkt_of(m)->source_port = back ? high : low;
	pkt_of(m)->destination_port = back ? low : high;
}

/* NAT-8: whatever comes, a flow in use stays, and the newest is there. */
START_TEST(where_the_table_is_full_the_silent_flows_go)
{
	const uint32_t used = UINT32_MAX;
	struct rte_mbuf *in = numbered(0, false), *out = numbered(0, true);
	struct replies_counters counters;

	for (uint32_t i = 0; i < 2 * REPLIES_ENTRIES; i++) {
		now_tsc += SECONDS(1);
		ports_set(in, used, false);
		note_mbuf(in, BOB, 0);
		ports_set(in, i, false);
		note_mbuf(in, ALICE, 0);
		ports_set(out, i, true);
		ck_assert_uint_eq(replies_find_one(replies, out, now_tsc), ALICE);
		ports_set(out, used, true);
		ck_assert_uint_eq(replies_find_one(replies, out, now_tsc), BOB);
		if (i % 1000 == 999)
			now_tsc -= SECONDS(999); /* or all would be too old before the table is full */
	}
	replies_count(replies, &counters);
	ck_assert_uint_le(counters.used, REPLIES_ENTRIES);
	ck_assert_uint_gt(counters.used, REPLIES_ENTRIES / 10 * 9);
	ck_assert_uint_eq(counters.pushed_out + counters.used, 2 * REPLIES_ENTRIES + 1);
	rte_pktmbuf_free(in);
	rte_pktmbuf_free(out);
}
END_TEST

/*
 * Flows that have the same places: one is the first of them, and each of the others is what pushed it out
 * when it had been silent for longest.
 */
static void crowd_find(uint32_t crowd[N_CROWD])
{
	struct rte_mbuf *in = numbered(0, false), *out = numbered(0, true);
	uint32_t next = 1;

	crowd[0] = 0;
	for (unsigned i = 1; i < N_CROWD; i++) {
		ports_set(in, crowd[0], false);
		note_mbuf(in, ALICE, 0);
		ports_set(out, crowd[0], true);
		do {
			now_tsc += 1000;
			ports_set(in, next++, false);
			note_mbuf(in, ALICE, 0);
		} while (replies_find_one(replies, out, now_tsc) != REPLIES_PEER_NONE);
		crowd[i] = next - 1;
	}
	rte_pktmbuf_free(in);
	rte_pktmbuf_free(out);
}

/* What worker `worker` calls the peer of a flow. */
static uint64_t peer_of(uint32_t number, unsigned worker)
{
	return 1 + (uint64_t)number * N_WORKERS + worker;
}

struct runner {
	pthread_t thread;
	unsigned worker;
	pthread_barrier_t *begin;
	const uint32_t *crowd;
	struct rte_mbuf *in;
	struct rte_mbuf *out;
	uint32_t random;
	unsigned n_found;
	unsigned n_wrong;
};

static uint32_t number_next(struct runner *runner)
{
	runner->random = runner->random * 1664525 + 1013904223;
	return runner->crowd[(runner->random >> 8) % N_CROWD];
}

static void *note_and_find(void *argument)
{
	struct runner *runner = argument;

	pthread_barrier_wait(runner->begin);
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		uint32_t number = number_next(runner);
		uint64_t found;

		ports_set(runner->in, number, false);
		note_mbuf(runner->in, peer_of(number, runner->worker), runner->worker);
		number = number_next(runner);
		ports_set(runner->out, number, true);
		found = replies_find_one(replies, runner->out, now_tsc);
		if (found == REPLIES_PEER_NONE)
			continue;
		runner->n_found++;
		runner->n_wrong += found < peer_of(number, 0) || found > peer_of(number, N_WORKERS - 1);
	}
	return NULL;
}

/* NAT-8: a flow's answer never is another flow's, and afterwards a flow is there once. */
START_TEST(workers_that_write_the_same_places_never_mix_flows_up)
{
	struct runner runners[N_WORKERS];
	struct replies_counters counters;
	uint32_t crowd[N_CROWD];
	pthread_barrier_t begin;

	crowd_find(crowd);
	pthread_barrier_init(&begin, NULL, N_WORKERS);
	for (unsigned i = 0; i < N_WORKERS; i++)
		runners[i] = (struct runner){.worker = i,
			.begin = &begin,
			.crowd = crowd,
			.in = numbered(0, false),
			.out = numbered(0, true),
			.random = i};
	for (unsigned i = 0; i < N_CROWD; i++) {
		now_tsc += 1000;
		ports_set(runners[0].in, crowd[i], false);
		note_mbuf(runners[0].in, peer_of(crowd[i], 0), 0);
	}
	for (unsigned i = 0; i < N_WORKERS; i++)
		ck_assert_int_eq(pthread_create(&runners[i].thread, NULL, note_and_find, &runners[i]), 0);
	for (unsigned i = 0; i < N_WORKERS; i++) {
		pthread_join(runners[i].thread, NULL);
		ck_assert_uint_eq(runners[i].n_wrong, 0);
		ck_assert_uint_gt(runners[i].n_found, N_ROUNDS / 8);
	}
	pthread_barrier_destroy(&begin);
	replies_count(replies, &counters);
	ck_assert_uint_gt(counters.pushed_out, N_ROUNDS / 8);
	for (unsigned i = 0; i < N_CROWD; i++) {
		ports_set(runners[0].in, crowd[i], false);
		ports_set(runners[0].out, crowd[i], true);
		for (uint64_t peer = ALICE; peer <= BOB; peer++) {
			note_mbuf(runners[0].in, peer, 0);
			ck_assert_uint_eq(replies_find_one(replies, runners[0].out, now_tsc), peer);
		}
	}
	for (unsigned i = 0; i < N_WORKERS; i++) {
		rte_pktmbuf_free(runners[i].in);
		rte_pktmbuf_free(runners[i].out);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/replies");
	TCase *tcase = tcase_create("replies");
	TCase *threads = tcase_create("threads");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_packet_answers_the_flow_that_is_its_own_turned_round);
	tcase_add_test(tcase, an_echo_is_known_by_its_identifier_and_others_by_their_protocol);
	tcase_add_test(tcase, a_flow_is_the_peers_that_sent_its_last_packet);
	tcase_add_test(tcase, a_fragment_is_of_no_flow);
	tcase_add_test(tcase, an_icmp_error_answers_the_packet_that_it_quotes);
	tcase_add_test(tcase, a_flow_that_is_silent_for_too_long_is_forgotten);
	tcase_add_test(tcase, many_flows_are_remembered_as_a_list_would);
	tcase_add_test(tcase, where_the_table_is_full_the_silent_flows_go);
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(threads, 60);
	tcase_set_tags(threads, "threads");
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_add_test(threads, workers_that_write_the_same_places_never_mix_flows_up);
	suite_add_tcase(suite, threads);
	return eal_run_suite(suite);
}
