#include "ipsec/life.h"

#include "ipsec/dummy.h"
#include "ipsec/esp_out.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define N_WORKERS    4
#define PACKET_BYTES 1500
/* AES-GCM: an inner packet of 60 bytes, 2 of padding and the trailer. */
#define INNER_BYTES   60
#define PAYLOAD_BYTES 64

static struct crypto_env env;

static void setup(void)
{
	eal_setup();
	crypto_env_begin(&env, CRYPTO_WAY_BEST);
	env.tally.now_tsc = 0;
}

static void teardown(void)
{
	crypto_env_end(&env);
	eal_teardown();
}

static struct life *life_of(enum sa_limit_kind kind, struct sa_limit limit, unsigned n_workers)
{
	struct sa_limit limits[SA_LIMIT_COUNT] = {0};
	struct life *life = NULL;
	struct err err;

	limits[kind] = limit;
	ck_assert_int_eq(life_create(limits, n_workers, SOCKET_ID_ANY, &life, &err), 0);
	return life;
}

// LIF-1
START_TEST(one_worker_may_use_all_of_a_limit_and_not_a_byte_more)
{
	struct life *life = life_of(SA_LIMIT_BYTES, (struct sa_limit){.hard = 100000}, 1);
	struct life_purse purse = {0};

	for (unsigned i = 0; i < 99; i++)
		ck_assert_int_eq(life_pay(life, &purse, 1000), LIFE_GOES_ON);
	ck_assert_int_eq(life_pay(life, &purse, 1001), SA_LIMIT_BYTES);
	ck_assert_int_eq(life_pay(life, &purse, 1000), LIFE_GOES_ON);
	ck_assert_int_eq(life_pay(life, &purse, 1), SA_LIMIT_BYTES);
	life_destroy(life);
}
END_TEST

struct payer {
	pthread_t thread;
	struct life *life;
	uint64_t paid;
};

static void *pay_until_it_ends(void *argument)
{
	struct payer *payer = argument;
	struct life_purse purse = {0};
	unsigned bytes = 40;

	while (life_pay(payer->life, &purse, bytes) == LIFE_GOES_ON) {
		payer->paid += bytes;
		bytes = 40 + (bytes * 31 + 7) % (PACKET_BYTES - 40);
	}
	return NULL;
}

// LIF-1
START_TEST(workers_together_never_pass_a_limit_and_use_nearly_all)
{
	static const uint64_t limit = 50000000;
	struct life *life = life_of(SA_LIMIT_BYTES, (struct sa_limit){.hard = limit}, N_WORKERS);
	struct payer payers[N_WORKERS];
	uint64_t paid = 0;

	for (unsigned i = 0; i < N_WORKERS; i++) {
		payers[i] = (struct payer){.life = life};
		ck_assert_int_eq(pthread_create(&payers[i].thread, NULL, pay_until_it_ends, &payers[i]), 0);
	}
	for (unsigned i = 0; i < N_WORKERS; i++) {
		pthread_join(payers[i].thread, NULL);
		paid += payers[i].paid;
	}

	ck_assert_uint_le(paid, limit);
	ck_assert_uint_ge(paid, limit - limit / LIFE_CHUNKS - N_WORKERS * PACKET_BYTES);
	life_destroy(life);
}
END_TEST

START_TEST(a_soft_limit_alone_ends_nothing_and_is_counted)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.limits[SA_LIMIT_BYTES].soft = 10}, true);

	for (unsigned i = 0; i < 5000; i++)
		ck_assert(sa_pay_one(sa, &env.tally, PACKET_BYTES));
	ck_assert_uint_eq(sa_life_used(sa, SA_LIMIT_BYTES, 0), 5000 * PACKET_BYTES);
	sa_destroy(sa);
}
END_TEST

static struct sa_limit holds(const char *alg, bool esn, bool inbound, enum sa_limit_kind kind, uint64_t hard)
{
	struct sa_conf conf = {.alg = alg_find(alg), .esn = esn};
	struct sa_limit limits[SA_LIMIT_COUNT];

	conf.limits[kind].hard = hard;
	life_limits(&conf, inbound, limits);
	return limits[kind];
}

// ALG-12
START_TEST(ciphers_have_limits_of_their_own_where_this_end_encrypts)
{
	static const uint64_t aes = UINT64_C(1) << 38, tdea = 8 << 20, tdea_max = UINT64_C(8) << 32;

	ck_assert_uint_eq(holds("aes128gcm16", true, false, SA_LIMIT_PACKETS, 0).hard, aes);
	ck_assert_uint_eq(holds("aes128-sha256", true, false, SA_LIMIT_PACKETS, 0).hard, aes);
	ck_assert_uint_eq(holds("aes128gcm16", true, false, SA_LIMIT_PACKETS, aes + 1).hard, aes);
	ck_assert_uint_eq(holds("aes128gcm16", true, false, SA_LIMIT_PACKETS, 7).hard, 7);
	ck_assert_uint_eq(holds("aes128gcm16", false, false, SA_LIMIT_PACKETS, 0).hard, 0);
	ck_assert_uint_eq(holds("chacha20poly1305", true, false, SA_LIMIT_PACKETS, 0).hard, 0);
	ck_assert_uint_eq(holds("aes128gcm16", true, true, SA_LIMIT_PACKETS, 0).hard, 0);
	ck_assert_uint_eq(holds("3des-sha1", false, false, SA_LIMIT_BYTES, 0).hard, tdea);
	ck_assert_uint_eq(holds("3des-sha1", false, false, SA_LIMIT_BYTES, tdea + 1).hard, tdea + 1);
	ck_assert_uint_eq(holds("3des-sha1", false, false, SA_LIMIT_BYTES, tdea_max + 1).hard, tdea_max);
	ck_assert_uint_eq(holds("3des-sha1", false, true, SA_LIMIT_BYTES, 0).hard, 0);
}
END_TEST

// ALG-12
START_TEST(an_sa_with_aes_and_esn_sends_no_packet_past_its_ciphers_limit)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.esn = true}, false);
	struct sa *chacha = sa_of(&env, &(struct sa_spec){.esn = true, .alg = "chacha20poly1305"}, false);

	ck_assert_uint_eq(sa->seq.last, UINT64_C(1) << 38);
	ck_assert_uint_eq(chacha->seq.last, SEQ_ESN_LAST);
	ck_assert_ptr_null(chacha->life);
	sa_destroy(sa);
	sa_destroy(chacha);
}
END_TEST

START_TEST(an_sa_without_limits_has_no_account)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, _i == 1);

	ck_assert_ptr_null(sa->life);
	ck_assert_uint_eq(sa->special, 0);
	sa_destroy(sa);
}
END_TEST

static void burst_fill(struct burst *burst, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		burst_add_one(burst, packet_mbuf(&(struct packet_spec){.payload_bytes = INNER_BYTES - 28}));
}

static uint64_t dropped(enum drop_reason reason)
{
	return env.drops.count[0][reason];
}

/* What of n packets the SA sends, which are freed. */
static uint16_t n_sent(struct sa *sa, uint16_t n)
{
	BURST(burst);

	burst_fill(&burst, n);
	sa_pair_encrypt(&env, sa, &burst);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	return burst.n;
}

// LIF-1
START_TEST(an_outbound_sa_ends_where_a_packet_would_pass_its_bytes)
{
	struct sa *sa =
		sa_of(&env, &(struct sa_spec){.limits[SA_LIMIT_BYTES].hard = 5 * PAYLOAD_BYTES - 1}, false);

	ck_assert_uint_eq(n_sent(sa, 3), 3);
	ck_assert_uint_eq(n_sent(sa, 3), 1);
	ck_assert_uint_eq(n_sent(sa, 1), 0);

	ck_assert_uint_eq(dropped(DROP_out_expired), 3);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_out_expired], 3);
	ck_assert_int_eq(sa->life->ended_by, SA_LIMIT_BYTES);
	ck_assert_uint_eq(sa_life_used(sa, SA_LIMIT_BYTES, 0), 4 * PAYLOAD_BYTES);
	sa_destroy(sa);
}
END_TEST

// LIF-1
START_TEST(an_outbound_sa_sends_exactly_its_packets)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.limits[SA_LIMIT_PACKETS].hard = 5}, false);

	ck_assert_uint_eq(sa->special, 0); /* its sequence numbers are the account */
	ck_assert_uint_eq(n_sent(sa, 3), 3);
	ck_assert_uint_eq(n_sent(sa, 3), 2);
	ck_assert_uint_eq(n_sent(sa, 1), 0);

	ck_assert_uint_eq(dropped(DROP_out_expired), 2);
	ck_assert_uint_eq(dropped(DROP_out_seq_overflow), 0);
	ck_assert_uint_eq(sa_life_used(sa, SA_LIMIT_PACKETS, 0), 5);
	sa_destroy(sa);
}
END_TEST

START_TEST(an_sa_that_begins_later_sends_as_many_packets)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.limits[SA_LIMIT_PACKETS].hard = 5}, false);

	sa_number_from(sa, 1001, 0);
	seq_extend(&sa->seq, 1001, sa->seq_end);

	ck_assert_uint_eq(sa_life_used(sa, SA_LIMIT_PACKETS, 0), 0);
	ck_assert_uint_eq(n_sent(sa, 7), 5);
	ck_assert_uint_eq(dropped(DROP_out_expired), 2);
	ck_assert_uint_eq(sa_life_used(sa, SA_LIMIT_PACKETS, 0), 5);
	sa_destroy(sa);
}
END_TEST

// ALG-12
START_TEST(what_a_cipher_allows_a_key_is_counted_from_its_first_number)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.esn = true}, false);
	struct sa *spent = sa_of(&env, &(struct sa_spec){.esn = true}, false);
	uint64_t limit = UINT64_C(1) << 38;

	sa_number_from(sa, limit - 1, 0);
	sa_number_from(spent, limit + 1, 0);
	seq_extend(&sa->seq, limit - 1, sa->seq_end);

	ck_assert_uint_eq(n_sent(sa, 3), 2);
	ck_assert_uint_eq(n_sent(spent, 1), 0);
	ck_assert_uint_eq(dropped(DROP_out_expired), 2);
	ck_assert_uint_eq(sa_life_used(sa, SA_LIMIT_PACKETS, 0), sa->life->limits[SA_LIMIT_PACKETS].hard);
	sa_destroy(sa);
	sa_destroy(spent);
}
END_TEST

/* What the inbound end accepts of n packets of the other. */
static uint16_t n_received(struct sa_pair *pair, uint16_t n)
{
	BURST(burst);

	burst_fill(&burst, n);
	sa_pair_encrypt(&env, pair->out, &burst);
	sa_pair_transfer(pair->in, &burst);
	sa_pair_decrypt(&env, &burst);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	return burst.n;
}

static const struct sa_limit inbound_limits[2][SA_LIMIT_COUNT] = {
	{[SA_LIMIT_PACKETS] = {.hard = 5}},
	{[SA_LIMIT_BYTES] = {.hard = 5 * PAYLOAD_BYTES}},
};

// LIF-1
START_TEST(an_inbound_sa_accepts_exactly_its_packets_or_bytes)
{
	struct sa_spec spec = {0};
	struct sa_pair pair = {.out = sa_of(&env, &spec, false)};

	memcpy(spec.limits, inbound_limits[_i], sizeof(spec.limits));
	pair.in = sa_of(&env, &spec, true);
	ck_assert_uint_eq(n_received(&pair, 3), 3);
	ck_assert_uint_eq(n_received(&pair, 4), 2);
	ck_assert_uint_eq(n_received(&pair, 2), 0);

	ck_assert_uint_eq(dropped(DROP_in_expired), 4);
	ck_assert_uint_eq(pair.in->counters[0].drops[SA_DROP_in_expired], 4);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 7); /* the last two were not decrypted any more */
	sa_pair_destroy(&pair);
}
END_TEST

/* The SA's packet that carries a dummy, as the other end would receive it. */
static void receive_dummy(struct sa_pair *pair)
{
	BURST(burst);

	burst_fill(&burst, 1);
	pkt_of(burst.pkts[0])->sa = pair->out;
	esp_out_prepare(&burst, &env.tally);
	dummy_mark(&burst);
	crypto_env_run(&env, &burst);
	esp_out_finish(&burst, &env.tally);
	sa_pair_transfer(pair->in, &burst);
	sa_pair_decrypt(&env, &burst);
	ck_assert_uint_eq(burst.n, 0);
}

static uint64_t last_tsc(const struct sa *sa)
{
	struct sa_counters sum;

	sa_counters_sum(sa, &sum);
	return sum.last_tsc;
}

// LIF-2
START_TEST(the_time_of_the_last_authentic_packet_is_known_dummies_included)
{
	struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){0});

	ck_assert_uint_eq(last_tsc(pair.in), 0);
	env.tally.now_tsc = 1000;
	n_received(&pair, 2);
	ck_assert_uint_eq(last_tsc(pair.in), 1000);
	env.tally.now_tsc = 2000;
	receive_dummy(&pair);
	ck_assert_uint_eq(last_tsc(pair.in), 2000);
	ck_assert_uint_eq(last_tsc(pair.out), 2000);

	env.tally.now_tsc = 3000;
	atomic_store(&pair.out->seq.next, 1); /* replays */
	n_received(&pair, 2);
	ck_assert_uint_eq(dropped(DROP_in_replay), 2);
	ck_assert_uint_eq(last_tsc(pair.in), 2000);
	sa_pair_destroy(&pair);
}
END_TEST

// ESP-4
START_TEST(a_dummy_that_was_sent_is_counted_by_itself)
{
	struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){0});

	receive_dummy(&pair);

	ck_assert_uint_eq(pair.out->counters[0].dummies, 1);
	ck_assert_uint_eq(pair.out->counters[0].packets, 0);
	ck_assert_uint_eq(pair.out->counters[0].bytes, 0);
	ck_assert_uint_eq(dropped(DROP_in_dummy), 1);
	sa_pair_destroy(&pair);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/life");
	TCase *tcase = tcase_create("life");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, one_worker_may_use_all_of_a_limit_and_not_a_byte_more);
	tcase_add_test(tcase, workers_together_never_pass_a_limit_and_use_nearly_all);
	tcase_add_test(tcase, a_soft_limit_alone_ends_nothing_and_is_counted);
	tcase_add_test(tcase, ciphers_have_limits_of_their_own_where_this_end_encrypts);
	tcase_add_test(tcase, an_sa_with_aes_and_esn_sends_no_packet_past_its_ciphers_limit);
	tcase_add_loop_test(tcase, an_sa_without_limits_has_no_account, 0, 2);
	tcase_add_test(tcase, an_outbound_sa_ends_where_a_packet_would_pass_its_bytes);
	tcase_add_test(tcase, an_outbound_sa_sends_exactly_its_packets);
	tcase_add_test(tcase, an_sa_that_begins_later_sends_as_many_packets);
	tcase_add_test(tcase, what_a_cipher_allows_a_key_is_counted_from_its_first_number);
	tcase_add_loop_test(tcase, an_inbound_sa_accepts_exactly_its_packets_or_bytes, 0, 2);
	tcase_add_test(tcase, the_time_of_the_last_authentic_packet_is_known_dummies_included);
	tcase_add_test(tcase, a_dummy_that_was_sent_is_counted_by_itself);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
