#include "ipsec/crypto.h"

#include "ipsec/esp_in.h"
#include "ipsec/esp_out.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"

#include <string.h>

#include <rte_cryptodev.h>

#define PAYLOADS_SMALL 200
#define PAYLOAD_BIG    1400

static struct crypto_env env;

/* The loop index of a case: which way, and which driver alone where that is the question. */
static const struct {
	enum crypto_way way;
	const char *driver;
} setups[] = {
	{CRYPTO_WAY_BEST, NULL},
	{CRYPTO_WAY_SYNC, NULL},
	{CRYPTO_WAY_ASYNC, NULL},
	{CRYPTO_WAY_SYNC, "aesni_mb"},
	{CRYPTO_WAY_ASYNC, "aesni_mb"},
};

#define N_SETUPS ((int)(sizeof(setups) / sizeof(*setups)))

static void begin(int i)
{
	if (setups[i].driver)
		crypto_env_begin_driver(&env, setups[i].way, setups[i].driver);
	else
		crypto_env_begin(&env, setups[i].way);
}

/* A packet goes through the tunnel and comes out as it went in. */
static void check_round_trip(struct sa_pair *pair, uint8_t family, uint16_t payload_bytes)
{
	struct packet_spec spec = {
		.family = family, .payload_bytes = payload_bytes, .source_port = payload_bytes};
	uint8_t inner[PACKET_BYTES_MAX];
	size_t length = packet_build(&spec, inner);
	BURST(burst);

	burst_add_one(&burst, packet_mbuf(&spec));
	sa_pair_encrypt(&env, pair->out, &burst);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_ne(pkt_of(burst.pkts[0])->flags & PKT_LOCAL, 0);
	sa_pair_transfer(pair->in, &burst);
	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_ne(pkt_of(burst.pkts[0])->flags & PKT_DECAPSULATED, 0);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->family, family);
	ck_assert_uint_eq(rte_pktmbuf_data_len(burst.pkts[0]), length);
	ck_assert_mem_eq(rte_pktmbuf_mtod(burst.pkts[0], void *), inner, length);
	rte_pktmbuf_free(burst.pkts[0]);
}

static void check_round_trips(const struct sa_spec *spec)
{
	struct sa_pair pair = sa_pair_create(&env, spec);

	for (uint8_t family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
		for (uint16_t payload = 0; payload <= PAYLOADS_SMALL; payload++)
			check_round_trip(&pair, family, payload);
		check_round_trip(&pair, family, PAYLOAD_BIG);
	}
	sa_pair_destroy(&pair);
}

// ESP-1, TUN-1, ALG-1, ALG-2, ALG-3, ALG-9
START_TEST(what_goes_into_a_tunnel_comes_out_of_it)
{
	const struct alg *alg;

	begin(_i);
	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		for (unsigned esn = 0; esn < 2; esn++) {
			check_round_trips(&(struct sa_spec){.alg = alg->name, .outer = IP_V4, .esn = esn});
			check_round_trips(&(struct sa_spec){.alg = alg->name, .outer = IP_V6, .esn = esn});
		}
	}
	ck_assert_uint_eq(env.drops.total, 0);
	crypto_env_end(&env);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/crypto");
	TCase *tcase = tcase_create("crypto");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, what_goes_into_a_tunnel_comes_out_of_it, 0, N_SETUPS);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
