#include "ipsec/alternatives.h"

#include "support/eal.h"
#include "support/packet.h"
#include "support/tsan.h"

#include <pthread.h>
#include <stdatomic.h>

#define N_POLICIES 4
#define N_SAS      6
#define POLICY     2 /* that packets are of */
#define OWN_SA     (&sas[5])
#define OWN_HOP    55
#define DSCP_EF    46
#define DSCP_AF41  34
#define N_ROUNDS   TSAN_ROUNDS(2000)

static struct sa sas[N_SAS];
static struct alternatives *alternatives;
static struct replies *replies;
static struct drops drops;

static void setup(void)
{
	struct err err;

	eal_setup();
	drops = (struct drops){0};
	memset(sas, 0, sizeof(sas));
	ck_assert_int_eq(alternatives_create(N_POLICIES, N_SAS, SOCKET_ID_ANY, &alternatives, &err), 0);
	ck_assert_int_eq(replies_create(1, SOCKET_ID_ANY, &replies, &err), 0);
}

static void teardown(void)
{
	alternatives_destroy(alternatives);
	replies_destroy(replies);
	eal_teardown();
}

/* SA `index` is an alternative of the policy, for all packets but for what `is` says. */
static void add(uint32_t policy, unsigned index, struct alternative is)
{
	is.sa = &sas[index];
	is.dscps = is.dscps ? is.dscps : ALTERNATIVE_ANY;
	is.workers = is.workers ? is.workers : ALTERNATIVE_ANY;
	is.peer = is.peer ? is.peer : ALTERNATIVE_ANY;
	is.next_hop = index;
	is.port_out = (uint8_t)index;
	alternatives_add(alternatives, policy, &is);
}

/* A packet of the policy, as flows_find and spd_out leave it. */
static struct rte_mbuf *packet(uint32_t policy, uint8_t family, unsigned dscp)
{
	struct rte_mbuf *m = packet_mbuf(
		&(struct packet_spec){.family = family, .traffic_class = (uint8_t)(dscp << 2 | 3)});

	pkt_of(m)->policy = policy;
	pkt_of(m)->sa = OWN_SA;
	pkt_of(m)->next_hop = OWN_HOP;
	pkt_of(m)->port_out = OWN_HOP;
	return m;
}

static void choose(struct burst *burst, unsigned worker)
{
	const struct sa_tally tally = {.drops = &drops, .worker = worker};

	alternatives_choose(burst, alternatives, replies, &tally);
}

/* The SA that is chosen; N_SAS - 1 for the policy's own. The way must go with it. */
static unsigned chosen(uint32_t policy, uint8_t family, unsigned dscp, unsigned worker)
{
	struct burst burst = {.n = 1, .pkts = {packet(policy, family, dscp)}};
	const struct pkt *p;
	unsigned index;

	choose(&burst, worker);
	ck_assert_uint_eq(burst.n, 1);
	p = pkt_of(burst.pkts[0]);
	index = (unsigned)(p->sa - sas);
	ck_assert_uint_eq(p->next_hop, p->sa == OWN_SA ? OWN_HOP : index);
	ck_assert_uint_eq(p->port_out, p->sa == OWN_SA ? OWN_HOP : index);
	rte_pktmbuf_free(burst.pkts[0]);
	return index;
}

/* SPD-11: each of the 64, both families, whatever the congestion bits. */
START_TEST(a_packet_gets_the_sa_for_its_dscp)
{
	add(POLICY, 0, (struct alternative){.dscps = UINT64_C(1) << DSCP_EF});
	add(POLICY, 1, (struct alternative){.dscps = UINT64_C(1) << DSCP_AF41 | UINT64_C(1) << 63 | 1});
	for (unsigned dscp = 0; dscp < 64; dscp++) {
		bool is_second = dscp == DSCP_AF41 || dscp == 63 || dscp == 0;
		unsigned want = dscp == DSCP_EF ? 0 : is_second ? 1 : N_SAS - 1;

		ck_assert_uint_eq(chosen(POLICY, IP_V4, dscp, 0), want);
		ck_assert_uint_eq(chosen(POLICY, IP_V6, dscp, 0), want);
	}
}
END_TEST

/* SPD-11: the packets of a burst are chosen for one by one, and stay in their order. */
START_TEST(packets_of_a_burst_get_different_sas)
{
	BURST(burst);
	struct rte_mbuf *pkts[BURST_MAX];

	add(POLICY, 3, (struct alternative){.dscps = UINT64_C(1) << DSCP_EF});
	for (unsigned i = 0; i < BURST_MAX; i++)
		burst_add_one(&burst, pkts[i] = packet(POLICY, i % 2 ? IP_V6 : IP_V4, i % 3 ? 0 : DSCP_EF));
	choose(&burst, 0);
	ck_assert_uint_eq(burst.n, BURST_MAX);
	for (unsigned i = 0; i < BURST_MAX; i++) {
		ck_assert_ptr_eq(burst.pkts[i], pkts[i]);
		ck_assert_ptr_eq(pkt_of(pkts[i])->sa, i % 3 ? OWN_SA : &sas[3]);
	}
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
}
END_TEST

/* PCP-1: alternatives_worker_sa says the same, where it need not see the packet. */
START_TEST(a_worker_gets_its_own_sa)
{
	add(POLICY, 0, (struct alternative){.workers = UINT64_C(1) << 63});
	add(POLICY, 1, (struct alternative){.workers = 1 | UINT64_C(1) << 5});
	for (unsigned worker = 0; worker < 64; worker++) {
		unsigned want = worker == 63 ? 0 : worker == 0 || worker == 5 ? 1 : N_SAS - 1;
		struct sa *of_worker = alternatives_worker_sa(alternatives, POLICY, worker);

		ck_assert_ptr_eq(of_worker ? of_worker : OWN_SA, &sas[want]);
		ck_assert_uint_eq(chosen(POLICY, IP_V4, 0, worker), want);
	}
	ck_assert(!alternatives_read_packets(alternatives));
}
END_TEST

START_TEST(the_first_that_fits_in_each_respect_is_chosen)
{
	add(POLICY, 0, (struct alternative){.dscps = UINT64_C(1) << DSCP_EF, .workers = 2});
	add(POLICY, 1, (struct alternative){.dscps = UINT64_C(1) << DSCP_EF});
	add(POLICY, 2, (struct alternative){.workers = 2});
	add(POLICY, 3, (struct alternative){.dscps = UINT64_C(1) << DSCP_EF | 1});
	ck_assert_uint_eq(chosen(POLICY, IP_V4, DSCP_EF, 1), 0);
	ck_assert_uint_eq(chosen(POLICY, IP_V4, DSCP_EF, 0), 1);
	ck_assert_uint_eq(chosen(POLICY, IP_V4, 0, 1), 2);
	ck_assert_uint_eq(chosen(POLICY, IP_V4, 0, 0), 3);
	ck_assert_uint_eq(chosen(POLICY, IP_V4, DSCP_AF41, 0), N_SAS - 1);
	ck_assert(alternatives_read_packets(alternatives));
	ck_assert_ptr_null(alternatives_worker_sa(alternatives, POLICY, 0));
	ck_assert_ptr_eq(alternatives_worker_sa(alternatives, POLICY, 1), &sas[2]);
}
END_TEST

START_TEST(a_policy_has_its_own_alternatives_alone)
{
	add(0, 0, (struct alternative){.dscps = 1});
	add(POLICY, 1, (struct alternative){.dscps = 1});
	add(POLICY, 2, (struct alternative){.workers = 1});
	add(3, 3, (struct alternative){.workers = 1});
	for (uint32_t policy = 0; policy < N_POLICIES; policy++) {
		const unsigned wants[N_POLICIES] = {0, N_SAS - 1, 1, 3};

		ck_assert_uint_eq(chosen(policy, IP_V4, 0, 0), wants[policy]);
		ck_assert_int_eq(alternatives_have(alternatives, policy, &sas[0]), policy == 0);
		ck_assert_int_eq(alternatives_have(alternatives, policy, &sas[1]), policy == POLICY);
		ck_assert_int_eq(alternatives_have(alternatives, policy, &sas[2]), policy == POLICY);
		ck_assert_int_eq(alternatives_have(alternatives, policy, &sas[3]), policy == 3);
		ck_assert_ptr_eq(alternatives_worker_sa(alternatives, policy, 0), policy == POLICY ? &sas[2]
										  : policy == 3    ? &sas[3]
												   : NULL);
	}
}
END_TEST

#define ALICE 7
#define BOB   9

/* A packet that packet() answers has come by an SA of that peer. */
static void came_from(uint64_t peer, uint8_t family)
{
	struct sa sa = {.special = SA_OF_PEER, .peer = peer};
	const bool v4 = family == IP_V4;
	struct burst burst = {.n = 1,
		.pkts = {packet_mbuf(&(struct packet_spec){.source = v4 ? "10.2.0.1" : "fd00:2::1",
			.destination = v4 ? "10.1.0.1" : "fd00:1::1"})}};

	pkt_of(burst.pkts[0])->sa = &sa;
	replies_note(&burst, replies, &(struct sa_tally){.drops = &drops});
	rte_pktmbuf_free(burst.pkts[0]);
}

/* NAT-8: and if it must be of a class too, both must be so. */
START_TEST(a_packet_gets_the_sa_for_the_peer_whose_flow_it_answers)
{
	add(POLICY, 0, (struct alternative){.peer = ALICE, .dscps = UINT64_C(1) << DSCP_EF});
	add(POLICY, 1, (struct alternative){.peer = ALICE});
	add(POLICY, 2, (struct alternative){.peer = BOB});
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t family = i ? IP_V6 : IP_V4;

		ck_assert_uint_eq(chosen(POLICY, family, 0, 0), N_SAS - 1);
		came_from(ALICE, family);
		ck_assert_uint_eq(chosen(POLICY, family, 0, 0), 1);
		ck_assert_uint_eq(chosen(POLICY, family, DSCP_EF, 0), 0);
		came_from(BOB, family);
		ck_assert_uint_eq(chosen(POLICY, family, DSCP_EF, 0), 2);
		came_from(ALICE + 1, family);
		ck_assert_uint_eq(chosen(POLICY, family, 0, 0), N_SAS - 1);
	}
	ck_assert(alternatives_read_packets(alternatives) && alternatives_read_peers(alternatives));
	ck_assert_ptr_null(alternatives_worker_sa(alternatives, POLICY, 0));
	ck_assert_ptr_eq(alternatives_peer_sa(alternatives, POLICY, BOB), &sas[2]);
	ck_assert_ptr_null(alternatives_peer_sa(alternatives, POLICY, ALICE + 1));
	ck_assert_ptr_null(alternatives_peer_sa(alternatives, 0, BOB));
	ck_assert(alternatives_ask_peer(alternatives, POLICY) && !alternatives_ask_peer(alternatives, 0));
}
END_TEST

/* NAT-8: a peer that has no number, since its name is nobody's, is not the peer of an unknown flow. */
START_TEST(an_alternative_for_nobody_is_for_no_packet)
{
	struct alternative nobody = {.sa = &sas[0],
		.dscps = ALTERNATIVE_ANY,
		.workers = ALTERNATIVE_ANY,
		.peer = REPLIES_PEER_NONE};

	alternatives_add(alternatives, POLICY, &nobody);
	ck_assert_uint_eq(chosen(POLICY, IP_V4, 0, 0), N_SAS - 1);
}
END_TEST

/* NAT-8 */
START_TEST(where_a_policy_has_only_alternatives_what_none_is_for_is_dropped)
{
	BURST(burst);
	BURST(protect);
	struct rte_mbuf *for_ef = packet(POLICY, IP_V4, DSCP_EF), *of_another = packet(0, IP_V4, DSCP_EF);

	add(POLICY, 3, (struct alternative){.dscps = UINT64_C(1) << DSCP_EF});
	burst_add_one(&burst, packet(POLICY, IP_V4, 0));
	burst_add_one(&burst, for_ef);
	burst_add_one(&burst, of_another);
	alternatives_choose_only(&burst, alternatives, NULL, &protect, &(struct sa_tally){.drops = &drops});
	ck_assert_uint_eq(protect.n, 1);
	ck_assert_ptr_eq(protect.pkts[0], for_ef);
	ck_assert_ptr_eq(pkt_of(for_ef)->sa, &sas[3]);
	ck_assert_uint_eq(pkt_of(for_ef)->next_hop, 3);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_ptr_eq(burst.pkts[0], of_another);
	ck_assert_uint_eq(drops.count[0][DROP_out_no_alternative], 1);
	rte_pktmbuf_free(for_ef);
	rte_pktmbuf_free(of_another);
}
END_TEST

START_TEST(without_alternatives_nothing_is_chosen)
{
	ck_assert(!alternatives_read_peers(NULL) && !alternatives_any(NULL, POLICY));
	ck_assert_ptr_null(alternatives_peer_sa(NULL, POLICY, ALICE));
	ck_assert(!alternatives_read_packets(NULL));
	ck_assert_ptr_null(alternatives_worker_sa(NULL, POLICY, 0));
	ck_assert(!alternatives_have(NULL, POLICY, &sas[0]));
}
END_TEST

static void take(struct replay *replay, uint64_t seq)
{
	enum replay_verdict verdict;

	replay_accept(replay, &seq, 1, &verdict);
}

/* REK-2: by its first packet, whatever number that has, with anti-replay or without; and for good. */
START_TEST(an_alternative_waits_for_a_packet_of_the_sa_that_it_comes_after)
{
	const uint32_t windows[] = {64, 0};

	for (unsigned i = 0; i < RTE_DIM(windows); i++) {
		struct sa inbound = {.replay = replay_create(windows[i], false, 0, SOCKET_ID_ANY)};

		add(i, i, (struct alternative){.after = &inbound});
		ck_assert_uint_eq(chosen(i, IP_V4, 0, 0), N_SAS - 1);
		take(inbound.replay, 0);
		ck_assert_uint_eq(chosen(i, IP_V4, 0, 0), N_SAS - 1);
		take(inbound.replay, 7);
		ck_assert_uint_eq(chosen(i, IP_V4, 0, 0), i);
		replay_put(inbound.replay);
		/* It isn't asked again. */
		inbound.replay = NULL;
		ck_assert_uint_eq(chosen(i, IP_V6, 0, 1), i);
	}
	ck_assert_ptr_null(alternatives_worker_sa(alternatives, 0, 0));
	ck_assert(alternatives_read_packets(alternatives));
}
END_TEST

/* One worker of the two that send while a third accepts the first packet. */
struct sender {
	pthread_t thread;
	unsigned worker;
	struct burst burst;
	atomic_uint *seen; /* how many senders have seen the new SA */
	atomic_bool *stop;
	bool went_back;
};

static void *send_until_stopped(void *argument)
{
	struct sender *sender = argument;
	bool has_seen = false;

	while (!atomic_load_explicit(sender->stop, memory_order_relaxed)) {
		struct pkt *p = pkt_of(sender->burst.pkts[0]);

		p->sa = OWN_SA;
		alternatives_choose(&sender->burst, alternatives, NULL,
			&(struct sa_tally){.drops = &drops, .worker = sender->worker});
		sender->went_back |= has_seen && p->sa != &sas[0];
		if (!has_seen && p->sa == &sas[0]) {
			has_seen = true;
			atomic_fetch_add_explicit(sender->seen, 1, memory_order_relaxed);
		}
	}
	return NULL;
}

/* REK-2: each worker changes over once, and never back. */
START_TEST(two_workers_change_over_for_good_while_a_third_accepts)
{
	struct sa inbound = {.replay = replay_create(64, false, 0, SOCKET_ID_ANY)};
	atomic_uint seen = 0;
	atomic_bool stop = false;
	struct sender senders[2] = {{.worker = 0}, {.worker = 1}};

	add(POLICY, 0, (struct alternative){.after = &inbound});
	for (unsigned i = 0; i < 2; i++) {
		burst_add_one(&senders[i].burst, packet(POLICY, IP_V4, 0));
		senders[i].seen = &seen;
		senders[i].stop = &stop;
		ck_assert_int_eq(
			pthread_create(&senders[i].thread, NULL, send_until_stopped, &senders[i]), 0);
	}
	ck_assert_uint_eq(atomic_load(&seen), 0);
	for (uint64_t seq = 1; seq <= N_ROUNDS || atomic_load(&seen) < 2; seq++)
		take(inbound.replay, seq);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(senders[i].thread, NULL);
		ck_assert(!senders[i].went_back);
		rte_pktmbuf_free(senders[i].burst.pkts[0]);
	}
	replay_put(inbound.replay);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/alternatives");
	TCase *tcase = tcase_create("alternatives");
	TCase *threads = tcase_create("threads");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_packet_gets_the_sa_for_its_dscp);
	tcase_add_test(tcase, packets_of_a_burst_get_different_sas);
	tcase_add_test(tcase, a_worker_gets_its_own_sa);
	tcase_add_test(tcase, the_first_that_fits_in_each_respect_is_chosen);
	tcase_add_test(tcase, a_policy_has_its_own_alternatives_alone);
	tcase_add_test(tcase, a_packet_gets_the_sa_for_the_peer_whose_flow_it_answers);
	tcase_add_test(tcase, an_alternative_for_nobody_is_for_no_packet);
	tcase_add_test(tcase, where_a_policy_has_only_alternatives_what_none_is_for_is_dropped);
	tcase_add_test(tcase, without_alternatives_nothing_is_chosen);
	tcase_add_test(tcase, an_alternative_waits_for_a_packet_of_the_sa_that_it_comes_after);
	suite_add_tcase(suite, tcase);
	tcase_set_timeout(threads, 60);
	tcase_set_tags(threads, "threads");
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_add_test(threads, two_workers_change_over_for_good_while_a_third_accepts);
	suite_add_tcase(suite, threads);
	return eal_run_suite(suite);
}
