#include "ipsec/crypto.h"

#include "ipsec/esp_in.h"
#include "ipsec/esp_out.h"
#include "ipsec/mb.h"
#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"
#include "support/sanitizer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_mempool.h>

#define PAYLOADS_SMALL 65 /* of 0 to 64 bytes: each remainder of every block, in front and behind */
#ifdef HAS_ASAN
#define PAYLOADS_STEP 5 /* most remainders of a block; natively there are all */
#else
#define PAYLOADS_STEP 1
#endif
#define PAYLOAD_BIG 1400

static struct crypto_env env;

/* The loop index of a case: which way, and which driver in place of the usual one. */
static const struct {
	enum crypto_way way;
	const char *driver;
} setups[] = {
	{CRYPTO_WAY_BEST, NULL},
	{CRYPTO_WAY_SYNC, NULL},
	{CRYPTO_WAY_SYNC, "aesni_gcm"},
	{CRYPTO_WAY_ASYNC, "aesni_gcm"},
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

static void check_hex(struct rte_mbuf *m, const char *expected)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	char text[512] = "";

	ck_assert_uint_lt(rte_pktmbuf_data_len(m), sizeof(text) / 2);
	for (uint16_t i = 0; i < rte_pktmbuf_data_len(m); i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", bytes[i]);
	ck_assert_str_eq(text, expected);
}

/* What is between IV and ICV is whole blocks (RFC 4303 section 2.4), and as long as the packet and padding.
 */
static void check_layout(struct rte_mbuf *m, const struct sa *sa)
{
	const struct pkt *p = pkt_of(m);
	uint16_t text = p->icv_offset - p->esp_offset - ESP_HEADER_BYTES - sa->alg->iv_bytes;

	ck_assert_uint_eq(text % RTE_MAX(sa->alg->align_bytes, 4), 0);
	ck_assert_uint_ge(text, p->inner_len + ESP_TRAILER_BYTES);
	ck_assert_uint_lt(text, p->inner_len + ESP_TRAILER_BYTES + RTE_MAX(sa->alg->align_bytes, 4));
	ck_assert_uint_eq(rte_pktmbuf_data_len(m), p->icv_offset + sa->alg->icv_bytes);
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
	check_layout(burst.pkts[0], pair->out);
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
		for (uint16_t payload = 0; payload < PAYLOADS_SMALL; payload += PAYLOADS_STEP)
			check_round_trip(&pair, family, payload);
		check_round_trip(&pair, family, PAYLOAD_BIG);
	}
	sa_pair_destroy(&pair);
}

// ESP-1, TUN-1, ALG-1, ALG-2, ALG-3, ALG-4, ALG-5, ALG-6, ALG-7, ALG-8, ALG-9, ALG-10
START_TEST(what_goes_into_a_tunnel_comes_out_of_it)
{
	const struct alg *alg;

	begin(_i);
	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		for (unsigned esn = 0; esn < 2; esn++) {
			if (!crypto_env_knows(&env, alg, esn))
				continue;
			check_round_trips(&(struct sa_spec){.alg = alg->name, .outer = IP_V4, .esn = esn});
			check_round_trips(&(struct sa_spec){.alg = alg->name, .outer = IP_V6, .esn = esn});
		}
	}
	ck_assert_uint_eq(env.drops.total, 0);
	crypto_env_end(&env);
}
END_TEST

/*
 * ESP packets as another implementation makes them: scapy 2.5, with the ICV of HMAC and ESN computed by
 * Python's hmac. Keys are sa_pair_key's, the number is 7 (with ESN 2^32 + 7), the mask of IVs VECTOR_IV_MASK,
 * and the packet inside is UDP with 8 bytes of payload.
 */
#define VECTOR_IV_MASK UINT64_C(0x1122334455667788)

static const struct {
	const char *alg;
	bool esn;
	const char *packet;
} vectors[] = {
	{"aes128gcm16", false,
		"4500005c0000400040324e3ac0000201c63364010000100100000007112233445566778f66a4831350c39a93fa82"
		"8b8f"
		"1edd53046a78ebf02ff3c0cd15d7c9554de59781ba3fb56b713754ddf78b8423e15633cfb86b4a8133f76edf"},
	{"aes128gcm16", true,
		"4500005c0000400040324e3ac0000201c63364010000100100000007112233455566778fb79e8192efb04da4f6d3"
		"6562"
		"202b029e67d90ee4a9ed12a42eea6818f3c8710ca09060dc369a8d8f591c89f336629362f0c3cb26976f0dc8"},
	{"aes256gcm16", false,
		"4500005c0000400040324e3ac0000201c63364010000100100000007112233445566778f87b27c82068a0855232f"
		"eb54"
		"f3003bc0adfb02aba054e2ca3cf0683d85181b1e19c820adc8f98096b42f5bbaf7daf0e89ee29c85676aec98"},
	{"aes256gcm16", true,
		"4500005c0000400040324e3ac0000201c63364010000100100000007112233455566778fcf26874bbef863eadf88"
		"2d95"
		"367cf592662e3b8268c243b18d8e4198c97e89617d33fefce0bf8434001cb255c533cdb53dcf858f565972d4"},
	{"aes128-sha256", false,
		"4500006c0000400040324e2ac0000201c633640100001001000000070a893aa60a0c5c7bc21fb6dbb7cda9ca10f9"
		"a462"
		"0da9a49ec7c43c93901b8b3864c03b2e288f0cdd46d1df35a6f80861da62a9ac2ac274abc3fd31008f746755896c"
		"2f4f"
		"5179c5f94e6cd7ec4f971e9f"},
	{"aes128-sha256", true,
		"4500006c0000400040324e2ac0000201c633640100001001000000076ed1e6866a6541484aac590afcd2745a9421"
		"2c8a"
		"2ac0002f6406656256ff9609668ef34d60b9ad2c5ea682185c25471d923caed37a887c3d4a4f55f6c8920d99ff5e"
		"6d99"
		"a463d4955a5af56cdc1051fd"},
	{"aes256-sha256", false,
		"4500006c0000400040324e2ac0000201c63364010000100100000007115050c62397552c52c931572a847ac14658"
		"8ba3"
		"7e0c894c32fd67e7252d16d996889a334b4671bb4ab71eecf8b9fbf4b2ca2b38770b09c573d788a4279282795589"
		"71cb"
		"6420af7154ccebac800b6028"},
	{"aes256-sha256", true,
		"4500006c0000400040324e2ac0000201c63364010000100100000007354aef7a530c610660f7e867a67c0979f12d"
		"d145"
		"b03b2c5ee5ef056c80d479ad08c21ce12a1198e8d158732ca21f0199e7d70ab090639c17da904111f37a0764b34a"
		"c2f2"
		"62e055c8432c71e33e940bc6"},
	{"aes256-sha512", false,
		"4500007c0000400040324e1ac0000201c63364010000100100000007115050c62397552c52c931572a847ac14658"
		"8ba3"
		"7e0c894c32fd67e7252d16d996889a334b4671bb4ab71eecf8b9fbf4b2ca2b38770b09c573d788a427928279b227"
		"d3a2"
		"1d9c15a68d64952d599b1604f1f67b6ab4917a8fbe65551c61b64889"},
	{"aes256-sha512", true,
		"4500007c0000400040324e1ac0000201c63364010000100100000007354aef7a530c610660f7e867a67c0979f12d"
		"d145"
		"b03b2c5ee5ef056c80d479ad08c21ce12a1198e8d158732ca21f0199e7d70ab090639c17da904111f37a0764caef"
		"e01c"
		"55b9a1e312b4e57d762562edb0d3ba78088c1c5b46fd5aec890d90b9"},
	{"null-sha256", false,
		"450000540000400040324e42c0000201c633640100001001000000074500002400000000401166c50a0100010a02"
		"0001"
		"000000000010dfb90001020304050607010202040894950a1dfaad529da6b688e3454abe"},
	{"null-sha256", true,
		"450000540000400040324e42c0000201c633640100001001000000074500002400000000401166c50a0100010a02"
		"0001"
		"000000000010dfb90001020304050607010202048f1b19220884a0cc0df305320a1bb986"},
	{"chacha20poly1305", false,
		"4500005c0000400040324e3ac0000201c63364010000100100000007112233445566778f86401b6c7c5eae5d57bd"
		"c6ec"
		"ba0cf7f231a23126f53a9f1c538397b49cad111c10a9f5d84ed8f1f973ebc7552d63d602b811e872433def62"},
	{"chacha20poly1305", true,
		"4500005c0000400040324e3ac0000201c63364010000100100000007112233455566778fa6e5815fadddcd96cadf"
		"7575"
		"3082a5acb0592ff8b47f77919bedcbcf9a5d4270b7e0cb2eefae3cb7d7e28309f2f812c69a852ab3859c776b"},
};

START_TEST(packets_are_those_of_another_implementation)
{
	begin(_i);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		struct sa_spec spec = {
			.alg = vectors[i].alg, .esn = vectors[i].esn, .iv_mask = VECTOR_IV_MASK};
		struct sa *sa = sa_of(&env, &spec, false);
		BURST(burst);

		atomic_store(&sa->seq.next, vectors[i].esn ? UINT64_C(0x100000007) : 7);
		burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = 8}));
		sa_pair_encrypt(&env, sa, &burst);

		ck_assert_uint_eq(burst.n, 1);
		check_hex(burst.pkts[0], vectors[i].packet);
		rte_pktmbuf_free(burst.pkts[0]);
		sa_destroy(sa);
	}
	crypto_env_end(&env);
}
END_TEST

/* Of each way that IPsec-MB is called, and of each hash more than one cipher. */
static const char *const mixed_algs[] = {"aes128gcm16", "aes256gcm8", "aes192gcm16iiv", "aes256gmac",
	"chacha20poly1305", "aes128ccm16", "aes128-sha1", "null-sha1", "aes128-sha256", "aes256-sha256",
	"aes192ctr-sha256_96", "aes192-sha384", "aes256-sha512", "aes256ctr-sha512", "null-aesxcbc",
	"aes128-aescmac", "3des-sha256"};

#define N_MIXED ((int)(2 * RTE_DIM(mixed_algs))) /* with and without ESN */

/* Where a way doesn't know one, another takes its place. */
static const char *mixed_alg(size_t index)
{
	const char *alg = mixed_algs[index];

	return crypto_env_knows(&env, alg_find(alg), false) ? alg : "null-sha1";
}

static struct sa_pair *pair_of_out(struct sa_pair *pairs, const struct sa *out)
{
	for (int i = 0; i < N_MIXED; i++)
		if (pairs[i].out == out)
			return &pairs[i];
	ck_abort_msg("a packet of no SA");
}

/* A burst in which every packet has another SA than the one before. */
static void mixed_fill(struct burst *burst, struct sa_pair *pairs)
{
	for (uint16_t i = 0; i < BURST_MAX; i++) {
		struct packet_spec spec = {
			.payload_bytes = i, .source_port = i, .family = i % 3 ? IP_V4 : IP_V6};

		burst_add_one(burst, packet_mbuf(&spec));
		pkt_of(burst->pkts[i])->sa = pairs[i % N_MIXED].out;
	}
}

START_TEST(packets_of_many_sas_share_a_burst)
{
	struct sa_pair pairs[N_MIXED];
	bool seen[BURST_MAX] = {false};
	int last[N_MIXED];
	BURST(burst);

	begin(_i);
	for (int i = 0; i < N_MIXED; i++)
		last[i] = -1;
	for (uint32_t i = 0; i < (uint32_t)N_MIXED; i++) {
		const char *alg = mixed_alg(i / 2);
		struct sa_spec spec = {.alg = alg, .outer = i % 4 < 2 ? IP_V4 : IP_V6, .spi = 0x1000 + i};

		spec.esn = i % 2 && crypto_env_knows(&env, alg_find(alg), true);
		pairs[i] = sa_pair_create(&env, &spec);
	}
	mixed_fill(&burst, pairs);
	esp_out_prepare(&burst, &env.tally);
	crypto_env_run(&env, &burst);
	esp_out_finish(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, BURST_MAX);
	for (uint16_t i = 0; i < BURST_MAX; i++) {
		struct burst one = {.n = 1, .pkts = {burst.pkts[i]}};

		sa_pair_transfer(pair_of_out(pairs, pkt_of(burst.pkts[i])->sa)->in, &one);
		burst.pkts[i] = one.pkts[0];
	}
	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, BURST_MAX);
	for (uint16_t i = 0; i < BURST_MAX; i++) {
		const struct pkt *p = pkt_of(burst.pkts[i]);

		ck_assert_uint_eq(p->ip_len - p->l4, 8 + p->source_port);
		ck_assert_ptr_eq(p->sa, pairs[p->source_port % N_MIXED].in);
		ck_assert(!seen[p->source_port]);
		seen[p->source_port] = true;
		/* Those of one SA in their order; where no device has a queue, all. */
		ck_assert_int_lt(last[p->source_port % N_MIXED], p->source_port);
		last[p->source_port % N_MIXED] = p->source_port;
		if (env.crypto.way == CRYPTO_WAY_SYNC)
			ck_assert_uint_eq(p->source_port, i);
		ck_assert_uint_eq(
			packet_l4_checksum(rte_pktmbuf_mtod(burst.pkts[i], uint8_t *), p->l4, p->ip_len, 17),
			0);
		rte_pktmbuf_free(burst.pkts[i]);
	}
	for (int i = 0; i < N_MIXED; i++)
		sa_pair_destroy(&pairs[i]);
	crypto_env_end(&env);
}
END_TEST

START_TEST(the_path_is_by_algorithm_and_device_unless_a_way_is_demanded)
{
	static const struct {
		enum crypto_way way;
		const char *driver; /* with aesni_mb behind it */
		const char *alg;
		enum crypto_path path;
		uint8_t queue;
	} cases[] = {
		{CRYPTO_WAY_BEST, "ipsec_mb", "aes128gcm16", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "aes256gcm16", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "aes128-sha256", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "null-sha256", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "chacha20poly1305", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "aes128ccm8", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "aes256ctr-aescmac", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "ipsec_mb", "3des-sha1", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_BEST, "aesni_gcm", "3des-sha1", CRYPTO_PATH_QUEUE, 1},
		{CRYPTO_WAY_SYNC, "aesni_gcm", "3des-sha1", CRYPTO_PATH_CALL, 1},
		{CRYPTO_WAY_SYNC, "ipsec_mb", "aes128gcm16", CRYPTO_PATH_DIRECT, 0},
		{CRYPTO_WAY_SYNC, "ipsec_mb", "aes128-sha256", CRYPTO_PATH_DIRECT, 0},
		/* It has no queue. */
		{CRYPTO_WAY_ASYNC, "ipsec_mb", "aes128gcm16", CRYPTO_PATH_QUEUE, 1},
		{CRYPTO_WAY_ASYNC, "ipsec_mb", "aes128-sha256", CRYPTO_PATH_QUEUE, 1},
		{CRYPTO_WAY_BEST, "aesni_gcm", "aes128gcm16", CRYPTO_PATH_CALL, 0},
		{CRYPTO_WAY_BEST, "aesni_gcm", "aes128-sha256", CRYPTO_PATH_QUEUE, 1},
		{CRYPTO_WAY_BEST, "aesni_gcm", "chacha20poly1305", CRYPTO_PATH_CALL, 1},
		{CRYPTO_WAY_SYNC, "aesni_gcm", "aes128gcm16", CRYPTO_PATH_CALL, 0},
		{CRYPTO_WAY_SYNC, "aesni_gcm", "aes128-sha256", CRYPTO_PATH_CALL, 1},
		{CRYPTO_WAY_ASYNC, "aesni_gcm", "aes128gcm16", CRYPTO_PATH_QUEUE, 0},
		{CRYPTO_WAY_ASYNC, "aesni_gcm", "aes128-sha256", CRYPTO_PATH_QUEUE, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sa *sa;

		crypto_env_begin_driver(&env, cases[i].way, cases[i].driver);
		sa = sa_of(&env, &(struct sa_spec){.alg = cases[i].alg}, false);
		ck_assert_uint_eq(sa->session.path, cases[i].path);
		ck_assert_uint_eq(sa->session.queue, cases[i].queue);
		sa_destroy(sa);
		crypto_env_end(&env);
	}
}
END_TEST

START_TEST(an_algorithm_that_no_device_knows_makes_no_session)
{
	const struct alg *alg = alg_find("aes256-sha512");
	struct secret key = sa_pair_key(alg);
	struct crypto_session_conf conf = {.alg = alg, .key = &key};
	struct crypto crypto = {.n_devices = 1, .devices = {crypto_env_device("aesni_gcm")}};
	struct crypto_session session;
	struct err err;

	ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), -ENOTSUP);
	ck_assert_str_eq(err.text, "no crypto device knows aes256-sha512");
	crypto.devices[0] = crypto_env_device("aesni_mb");
	crypto.devices[0].sync = false;
	crypto.way = CRYPTO_WAY_SYNC;
	ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), -ENOTSUP);
	ck_assert_str_eq(err.text, "no crypto device knows aes256-sha512 synchronously");
}
END_TEST

// ESP-3: so without other devices each ICV is compared in constant time.
START_TEST(ipsec_mb_knows_every_algorithm_and_no_queue)
{
	struct crypto crypto = {.n_devices = 1, .devices = {crypto_env_device("ipsec_mb")}};
	const struct alg *alg;

	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		struct secret key = sa_pair_key(alg);
		struct crypto_session_conf conf = {.alg = alg, .key = &key};
		struct crypto_session session;
		char expected[80];
		struct err err;

		crypto.way = CRYPTO_WAY_ASYNC;
		ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), -ENOTSUP);
		snprintf(expected, sizeof(expected), "no crypto device knows %s asynchronously", alg->name);
		ck_assert_str_eq(err.text, expected);
		crypto.way = CRYPTO_WAY_BEST;
		ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), 0);
		ck_assert_uint_eq(session.path, CRYPTO_PATH_DIRECT);
		ck_assert_uint_eq((uintptr_t)session.handle % 64, 0);
		crypto_session_destroy(&session);
		ck_assert_ptr_null(session.handle);
	}
	mb_manager_destroy(crypto.devices[0].manager);
}
END_TEST

// ALG-5: a driver would put the high half behind the packet, as HMAC has it. Its call does other MACs of AES
// wrong.
START_TEST(no_cryptodev_gets_what_it_would_get_wrong)
{
	const struct alg *alg = alg_find("aes128gmac");
	struct secret key = sa_pair_key(alg);
	struct crypto_session_conf conf = {.alg = alg, .key = &key, .esn = true};
	struct crypto crypto = {.n_devices = 1, .devices = {crypto_env_device("aesni_mb")}};
	struct crypto_session session;
	struct err err;

	ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), -ENOTSUP);
	ck_assert_str_eq(err.text, "no crypto device knows aes128gmac with ESN");
	conf.esn = false;
	ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), 0);
	crypto_session_destroy(&session);
	for (unsigned i = 0; i < 2; i++) {
		conf.alg = alg_find(i ? "null-aescmac" : "aes128-aesxcbc");
		crypto.way = CRYPTO_WAY_BEST;
		ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), 0);
		ck_assert_uint_eq(session.path, CRYPTO_PATH_QUEUE);
		crypto_session_destroy(&session);
		crypto.way = CRYPTO_WAY_SYNC;
		ck_assert_int_eq(crypto_session_create(&crypto, &conf, &session, &err), -ENOTSUP);
	}
}
END_TEST

/* A burst of one SA, encrypted, with one bit of every second packet's ICV changed. Returns how many. */
static uint16_t icvs_change(struct sa_pair *pair, struct burst *burst)
{
	for (uint16_t i = 0; i < 2 * pair->out->icv_bytes; i++)
		burst_add_one(burst, packet_mbuf(&(struct packet_spec){.source_port = i}));
	sa_pair_encrypt(&env, pair->out, burst);
	for (uint16_t i = 0; i < burst->n; i += 2) {
		const struct pkt *p = pkt_of(burst->pkts[i]);

		*rte_pktmbuf_mtod_offset(burst->pkts[i], uint8_t *, p->icv_offset + i / 2) ^=
			(uint8_t)(1 << i / 2 % 8);
	}
	return burst->n;
}

// ESP-3
START_TEST(a_changed_bit_of_any_icv_byte_is_seen_in_that_packet_alone)
{
	const struct alg *alg;

	begin(_i);
	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		if (!crypto_env_knows(&env, alg, false))
			continue;
		struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){.alg = alg->name});
		uint64_t refused = env.drops.count[0][DROP_in_icv];
		BURST(burst);
		uint16_t n = icvs_change(&pair, &burst);

		ck_assert_uint_eq(n, 2 * alg->icv_bytes);
		sa_pair_transfer(pair.in, &burst);
		sa_pair_decrypt(&env, &burst);
		ck_assert_uint_eq(burst.n, n / 2);
		for (uint16_t i = 0; i < burst.n; i++)
			ck_assert_uint_eq(pkt_of(burst.pkts[i])->source_port % 2, 1);
		ck_assert_uint_eq(env.drops.count[0][DROP_in_icv] - refused, n / 2);
		rte_pktmbuf_free_bulk(burst.pkts, burst.n);
		sa_pair_destroy(&pair);
	}
	crypto_env_end(&env);
}
END_TEST

/* n packets of one SA through the tunnel: each comes out, in its place, as long as it was. */
static void check_burst_of(struct sa_pair *pair, uint16_t n)
{
	BURST(burst);

	for (uint16_t i = 0; i < n; i++)
		burst_add_one(
			&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = 3 * i, .source_port = i}));
	sa_pair_encrypt(&env, pair->out, &burst);
	sa_pair_transfer(pair->in, &burst);
	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, n);
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(burst.pkts[i]);

		ck_assert_uint_eq(p->source_port, i);
		ck_assert_uint_eq(p->ip_len - p->l4, 8 + 3 * i);
	}
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
}

/* IPsec-MB hashes a few packets by other functions than many. */
START_TEST(a_burst_of_any_size_is_finished_at_once_and_in_order)
{
	const struct alg *alg;

	crypto_env_begin(&env, CRYPTO_WAY_SYNC);
	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){.alg = alg->name, .esn = a % 2});

		for (uint16_t n = 1; n <= BURST_MAX; n++)
			check_burst_of(&pair, n);
		sa_pair_destroy(&pair);
	}
	ck_assert_uint_eq(env.drops.total, 0);
	crypto_env_end(&env);
}
END_TEST

// SAL-6: on the direct path, where it is ours to decide.
START_TEST(what_the_icv_does_not_prove_is_not_decrypted)
{
	static const char *const algs[] = {"aes128-sha256", "aes256-sha512", "aes128ctr-sha1"};
	BURST(burst);

	crypto_env_begin(&env, CRYPTO_WAY_SYNC);
	struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){.alg = algs[_i]});
	uint16_t n = icvs_change(&pair, &burst);
	uint8_t before[BURST_MAX][256]; /* small packets */

	sa_pair_transfer(pair.in, &burst);
	for (uint16_t i = 0; i < n; i++)
		memcpy(before[i], rte_pktmbuf_mtod(burst.pkts[i], void *),
			rte_pktmbuf_data_len(burst.pkts[i]));
	esp_in_prepare(&burst, &env.tally);
	crypto_env_run(&env, &burst);

	ck_assert_uint_eq(burst.n, n);
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(burst.pkts[i]);
		bool is_same = memcmp(before[i], rte_pktmbuf_mtod(burst.pkts[i], void *), p->icv_offset) == 0;

		ck_assert_int_eq((p->flags & PKT_ICV_BAD) != 0, i % 2 == 0);
		ck_assert_int_eq(is_same, i % 2 == 0);
	}
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	sa_pair_destroy(&pair);
	crypto_env_end(&env);
}
END_TEST

START_TEST(an_empty_session_pool_is_an_error_and_sessions_come_back)
{
	const struct alg *alg = alg_find("aes128gcm16");
	struct secret key = sa_pair_key(alg);
	struct crypto_session_conf conf = {.alg = alg, .key = &key};
	struct crypto crypto = {.n_devices = 1, .devices = {crypto_env_device("aesni_gcm")}};
	struct crypto_session sessions[CRYPTO_ENV_SESSIONS + 1];
	struct err err;
	int n = 0;

	while (crypto_session_create(&crypto, &conf, &sessions[n], &err) == 0)
		ck_assert_int_le(++n, CRYPTO_ENV_SESSIONS);

	ck_assert_int_eq(crypto_session_create(&crypto, &conf, &sessions[n], &err), -ENOMEM);
	ck_assert_str_eq(err.text, "crypto_aesni_gcm has no session left; raise memory.sas");
	ck_assert_int_eq(n, CRYPTO_ENV_SESSIONS);
	while (n > 0)
		crypto_session_destroy(&sessions[--n]);
	ck_assert_uint_eq(rte_mempool_in_use_count(crypto.devices[0].sessions), 0);
}
END_TEST

START_TEST(packets_in_flight_come_back_by_polling)
{
	struct sa_pair pair;
	BURST(burst);
	BURST(done);
	unsigned n = 0;

	crypto_env_begin(&env, CRYPTO_WAY_ASYNC);
	pair = sa_pair_create(&env, &(struct sa_spec){.alg = "aes128-sha256"});
	crypto_poll(env.worker, &done);
	ck_assert_uint_eq(done.n, 0);
	for (uint16_t i = 0; i < 10; i++) {
		burst_add_one(&burst, packet_mbuf(&(struct packet_spec){0}));
		pkt_of(burst.pkts[i])->sa = pair.out;
	}
	esp_out_prepare(&burst, &env.tally);
	crypto_run(env.worker, &burst, &env.tally);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(crypto_in_flight(env.worker), 10);
	for (int polls = 0; n < 10; polls++) {
		ck_assert_int_lt(polls, 10);
		done.n = 0;
		crypto_poll(env.worker, &done);
		n += done.n;
		ck_assert_uint_eq(crypto_in_flight(env.worker), 10 - n);
		rte_pktmbuf_free_bulk(done.pkts, done.n);
	}
	sa_pair_destroy(&pair);
	crypto_env_end(&env);
}
END_TEST

#define N_OVERFILL (CRYPTO_QUEUE_DEPTH + 2 * BURST_MAX)

/* Packets of a pool of its own, since the usual one is smaller than the queue. */
static void overfill_burst(struct burst *burst, struct rte_mempool *pool, struct sa *sa)
{
	uint8_t packet[PACKET_BYTES_MAX];
	size_t length = packet_build(&(struct packet_spec){0}, packet);

	burst->n = 0;
	for (int i = 0; i < BURST_MAX; i++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		ck_assert_ptr_nonnull(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)length), packet, length);
		memset(pkt_of(m), 0, sizeof(struct pkt));
		ck_assert(parse_inner_one(m, IP_V4));
		pkt_of(m)->sa = sa;
		burst_add_one(burst, m);
	}
}

START_TEST(what_an_overfilled_queue_does_not_take_is_dropped)
{
	/* The ring of aesni_gcm would take more; that of aesni_mb is as deep as the bound, or one less. */
	static const char *const algs[] = {"aes128gcm16", "aes128-sha256"};
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("overfill", N_OVERFILL, 0, sizeof(struct pkt), 512, SOCKET_ID_ANY);
	struct sa *sa;
	BURST(burst);
	uint64_t full;
	unsigned n = 0;

	ck_assert_ptr_nonnull(pool);
	crypto_env_begin_driver(&env, CRYPTO_WAY_ASYNC, "aesni_gcm");
	sa = sa_of(&env, &(struct sa_spec){.alg = algs[_i]}, false);
	for (int i = 0; i < N_OVERFILL; i += BURST_MAX) {
		overfill_burst(&burst, pool, sa);
		esp_out_prepare(&burst, &env.tally);
		crypto_run(env.worker, &burst, &env.tally);
		ck_assert_uint_eq(burst.n, 0);
	}

	full = env.drops.count[0][DROP_crypto_full];
	ck_assert_uint_ge(full, 2 * BURST_MAX);
	ck_assert_uint_le(full, 2 * BURST_MAX + _i);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_crypto_full], full);
	ck_assert_uint_eq(crypto_in_flight(env.worker) + full, N_OVERFILL);
	while (crypto_in_flight(env.worker) > 0) {
		burst.n = 0;
		crypto_poll(env.worker, &burst);
		esp_out_finish(&burst, &env.tally);
		n += burst.n;
		rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	}
	ck_assert_uint_eq(n + full, N_OVERFILL);
	ck_assert_uint_eq(rte_mempool_in_use_count(pool), 0);
	sa_destroy(sa);
	crypto_env_end(&env);
	rte_mempool_free(pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/crypto");
	TCase *tcase = tcase_create("crypto");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, what_goes_into_a_tunnel_comes_out_of_it, 0, N_SETUPS);
	tcase_add_loop_test(tcase, packets_are_those_of_another_implementation, 0, N_SETUPS);
	tcase_add_loop_test(tcase, packets_of_many_sas_share_a_burst, 0, N_SETUPS);
	tcase_add_test(tcase, the_path_is_by_algorithm_and_device_unless_a_way_is_demanded);
	tcase_add_test(tcase, ipsec_mb_knows_every_algorithm_and_no_queue);
	tcase_add_test(tcase, no_cryptodev_gets_what_it_would_get_wrong);
	tcase_add_loop_test(tcase, a_changed_bit_of_any_icv_byte_is_seen_in_that_packet_alone, 0, N_SETUPS);
	tcase_add_test(tcase, a_burst_of_any_size_is_finished_at_once_and_in_order);
	tcase_add_loop_test(tcase, what_the_icv_does_not_prove_is_not_decrypted, 0, 3);
	tcase_add_test(tcase, an_algorithm_that_no_device_knows_makes_no_session);
	tcase_add_test(tcase, an_empty_session_pool_is_an_error_and_sessions_come_back);
	tcase_add_test(tcase, packets_in_flight_come_back_by_polling);
	tcase_add_loop_test(tcase, what_an_overfilled_queue_does_not_take_is_dropped, 0, 2);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
