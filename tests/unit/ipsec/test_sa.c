#include "ipsec/sa.h"

#include "ipsec/esp_out.h"
#include "ipsec/mb.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"

#include <errno.h>
#include <string.h>

#include <rte_mempool.h>

static struct crypto_env env;

static void setup(void)
{
	eal_setup();
	crypto_env_begin(&env, CRYPTO_WAY_BEST);
}

static void teardown(void)
{
	crypto_env_end(&env);
	eal_teardown();
}

START_TEST(an_sa_takes_its_values_from_its_configuration)
{
	struct sa *sa =
		sa_of(&env, &(struct sa_spec){.alg = "aes256gcm16", .esn = true, .spi = 0x2001}, true);

	ck_assert_uint_eq(sa->spi, RTE_BE32(0x2001));
	ck_assert_uint_eq(sa->salt, RTE_BE32(0x21222324)); /* what follows 32 bytes of cipher key */
	ck_assert(sa->inbound && sa->esn && sa->aead);
	ck_assert_uint_eq(sa->iv_bytes, 8);
	ck_assert_uint_eq(sa->icv_bytes, 16);
	ck_assert_uint_eq(sa->family, IP_V4);
	ck_assert_str_eq(sa->name, "in");
	ck_assert_ptr_nonnull(sa->replay);
	ck_assert_uint_eq((uintptr_t)sa % RTE_CACHE_LINE_SIZE, 0);
	ck_assert_uint_eq((uintptr_t)sa->counters % RTE_CACHE_LINE_SIZE, 0);
	sa_destroy(sa);
}
END_TEST

START_TEST(only_an_inbound_sa_has_a_replay_window)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	uint64_t first;

	ck_assert_ptr_null(sa->replay);
	ck_assert_uint_eq(seq_reserve(&sa->seq, 1, &first), 1);
	ck_assert_uint_eq(first, 1);
	sa_destroy(sa);
}
END_TEST

START_TEST(a_failure_names_the_sa_and_leaves_no_session)
{
	const struct alg *alg = alg_find("aes128-sha256");
	struct sa_conf conf = {
		.name = (char[]){"hq-out"},
		.spi = 0x1001,
		.source = {.family = IP_V4},
		.destination = {.family = IP_V4},
		.protocol = SA_ESP,
		.alg = alg,
		.key = sa_pair_key(alg),
	};
	struct sa_params params = {.conf = &conf, .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct crypto gcm_only = {.n_devices = 1, .devices = {crypto_env_device("aesni_gcm")}};
	unsigned before = rte_mempool_in_use_count(gcm_only.devices[0].sessions);
	struct sa *sa = NULL;
	struct err err;

	ck_assert_int_eq(sa_create(&params, &gcm_only, &sa, &err), -ENOTSUP);
	ck_assert_str_eq(err.text, "sa hq-out: no crypto device knows aes128-sha256");
	ck_assert_ptr_null(sa);
	ck_assert_uint_eq(rte_mempool_in_use_count(gcm_only.devices[0].sessions), before);
}
END_TEST

START_TEST(the_counters_of_all_workers_are_summed)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.n_workers = 3}, true);
	struct sa_counters sum;

	for (unsigned i = 0; i < 3; i++) {
		sa->counters[i].packets = 1u << i;
		sa->counters[i].bytes = 100u << i;
		sa->counters[i].drops[SA_DROP_in_icv] = i;
	}
	sa_counters_sum(sa, &sum);

	ck_assert_uint_eq(sum.packets, 7);
	ck_assert_uint_eq(sum.bytes, 700);
	ck_assert_uint_eq(sum.drops[SA_DROP_in_icv], 3);
	ck_assert_uint_eq(sum.drops[SA_DROP_in_late], 0);
	sa_destroy(sa);
}
END_TEST

START_TEST(a_drop_is_counted_for_the_gateway_and_for_the_sa)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.n_workers = 2}, true);
	struct sa_tally tally = {.drops = &env.drops, .worker = 1};
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){0});

	pkt_of(m)->sa = sa;
	pkt_of(m)->port_in = 5;
	sa_drop_one(&tally, m, in_late);

	ck_assert_uint_eq(sa->counters[1].drops[SA_DROP_in_late], 1);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_in_late], 0);
	ck_assert_uint_eq(env.drops.count[5][DROP_in_late], 1);
	ck_assert_uint_eq(env.drops.total, 1);
	sa_destroy(sa);
}
END_TEST

START_TEST(a_slot_has_the_drop_reason_of_its_name)
{
#define X(name) ck_assert_str_eq(drop_name(sa_drop_reason(SA_DROP_##name)), #name);
	SA_DROP_REASONS(X)
#undef X
}
END_TEST

START_TEST(an_ethernet_link_carries_1446_bytes_in_aes_gcm_over_ipv4)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);

	ck_assert_uint_eq(sa_inner_mtu(sa, 1500), 1446); // PMT-1
	ck_assert_uint_eq(sa->inner_mtu, 1446);
	sa_destroy(sa);
}
END_TEST

/* Bytes of the ESP packet around an inner packet of that length; nothing is sent. */
static uint16_t encapsulated_bytes(struct sa *sa, uint16_t inner_bytes)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.payload_bytes = inner_bytes - 28});
	uint16_t length;
	BURST(burst);

	ck_assert_uint_eq(pkt_of(m)->ip_len, inner_bytes);
	pkt_of(m)->sa = sa;
	burst_add_one(&burst, m);
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 1);
	length = pkt_of(m)->ip_len;
	ck_assert_uint_eq(rte_pktmbuf_data_len(m), length);
	rte_pktmbuf_free(m);
	return length;
}

// PMT-1
START_TEST(the_inner_mtu_is_exact_on_every_link)
{
	static const uint8_t families[] = {IP_V4, IP_V6};
	const struct alg *alg;

	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		for (size_t f = 0; f < 2; f++) {
			struct sa *sa =
				sa_of(&env, &(struct sa_spec){.alg = alg->name, .outer = families[f]}, false);

			for (uint16_t link = 1280; link <= 1500; link++) {
				uint16_t mtu = sa_inner_mtu(sa, link);

				ck_assert_uint_le(encapsulated_bytes(sa, mtu), link);
				ck_assert_uint_gt(encapsulated_bytes(sa, mtu + 1), link);
			}
			sa_destroy(sa);
		}
	}
}
END_TEST

START_TEST(a_link_too_small_for_the_headers_carries_nothing)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);

	ck_assert_uint_eq(sa_inner_mtu(sa, 0), 0);
	ck_assert_uint_eq(sa_inner_mtu(sa, 20 + 8 + 8 + 16 + 3), 0);
	ck_assert_uint_eq(sa_inner_mtu(sa, 20 + 8 + 8 + 16 + 4), 2);
	sa_destroy(sa);
}
END_TEST

static bool holds(const void *memory, size_t length, const uint8_t *bytes, size_t n)
{
	return memmem(memory, length, bytes, n) != NULL;
}

/* Of what the driver keeps, or IPsec-MB. */
static size_t session_size(const struct crypto_session *session)
{
	if (session->path == CRYPTO_PATH_DIRECT)
		return mb_key_bytes(session->transform);
	return rte_mempool_from_obj(session->handle)->elt_size;
}

// ALG-13
START_TEST(no_key_is_left_in_memory)
{
	const struct alg *alg = alg_at((size_t)_i);
	struct secret key = sa_pair_key(alg);
	/* How much to look for; NULL has no cipher key, and of 3DES only the schedule is kept. */
	size_t part = alg->cipher == CIPHER_NULL || alg->cipher == CIPHER_3DES_CBC ? 0 : 16;
	struct sa *sa = sa_of(&env, &(struct sa_spec){.alg = alg->name}, true);
	const void *session = sa->session.handle;
	size_t session_bytes = session_size(&sa->session);

	ck_assert(!holds(sa, sizeof(*sa), key.bytes, 16));
	/* The driver has the cipher key as the first part of its schedule, so the search would find it. */
	if (part > 0)
		ck_assert(holds(session, session_bytes, key.bytes, part));
	sa_destroy(sa);

	/* Freed memory, but EAL's and the pool's, which stay mapped. */
	for (size_t i = 0; i < session_bytes; i++)
		ck_assert_uint_eq(((const uint8_t *)session)[i], 0);
	for (size_t i = offsetof(struct sa, iv_mask); i < offsetof(struct sa, salt) + sizeof(sa->salt); i++)
		ck_assert_uint_eq(((const uint8_t *)sa)[i], 0);
}
END_TEST

static int n_algs(void)
{
	int n = 0;

	while (alg_at((size_t)n) != NULL)
		n++;
	return n;
}

int main(void)
{
	Suite *suite = suite_create("ipsec/sa");
	TCase *tcase = tcase_create("sa");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, an_sa_takes_its_values_from_its_configuration);
	tcase_add_test(tcase, only_an_inbound_sa_has_a_replay_window);
	tcase_add_test(tcase, a_failure_names_the_sa_and_leaves_no_session);
	tcase_add_test(tcase, the_counters_of_all_workers_are_summed);
	tcase_add_test(tcase, a_drop_is_counted_for_the_gateway_and_for_the_sa);
	tcase_add_test(tcase, a_slot_has_the_drop_reason_of_its_name);
	tcase_add_test(tcase, an_ethernet_link_carries_1446_bytes_in_aes_gcm_over_ipv4);
	tcase_add_test(tcase, the_inner_mtu_is_exact_on_every_link);
	tcase_add_test(tcase, a_link_too_small_for_the_headers_carries_nothing);
	tcase_add_loop_test(tcase, no_key_is_left_in_memory, 0, n_algs());
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
