/*
 * Culvert against librte_ipsec: the same keys, SPI, salt and sequence numbers, and each case once for every
 * combination of algorithm, ESN, families, way of the crypto and the peer's driver.
 *
 * Packets are compared from the ESP header on, since librte_ipsec's tunnel header is a template that its
 * caller has to finish: no checksum, no traffic class. Cleaning up is in the fixture, and packets are held as
 * bytes, so that a case that fails leaves nothing to the next one.
 */
#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"
#include "xvalid/librte_peer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD_MAX 1400
#define BATCH       50 /* packets that travel together; a divisor of PAYLOAD_MAX */
#define BYTES_MAX   1600
#define IV_MASK     UINT64_C(0x1122334455667788)
/* With ESN the numbers cross 2^32 on the way. A new window takes the first of them for those before it. */
#define SEQ_ESN (UINT64_C(0x100000000) - SA_PAIR_WINDOW - 64)

struct bytes {
	uint16_t length;
	uint8_t bytes[BYTES_MAX];
};

struct batch {
	uint16_t n;
	struct bytes all[BATCH];
};

/* The packets of one batch, and what becomes of them. */
static struct batch plain;
static struct batch ours;
static struct batch theirs;
static struct batch opened;

/* The case that runs. */
static struct {
	struct sa_spec spec;
	uint8_t inner;
	uint64_t seq; /* the first */
	const char *driver;
	char name[96];
	struct crypto_env env;
	struct sa *sa;
	struct librte_peer peer;
} run;

/* OpenSSL shares no code with the crypto of culvert's devices. */
static const char *const drivers[] = {"aesni_mb", "openssl"};

#define N_DRIVERS (sizeof(drivers) / sizeof(*drivers))

/* OpenSSL's driver has no ChaCha20-Poly1305; then it is the one that has nothing else. */
static const char *peer_driver(const char *alg, const char *driver)
{
	bool lacks = strcmp(driver, "openssl") == 0 && strcmp(alg, "chacha20poly1305") == 0;

	return lacks ? "chacha20_poly1305" : driver;
}

/* What librte_ipsec and the driver's session of librte_peer.c have; tests/xvalid/test_scapy.py has the rest.
 */
static const char *const algs[] = {"aes128gcm16", "aes256gcm16", "aes128-sha256", "aes256-sha256",
	"aes256-sha512", "null-sha256", "chacha20poly1305"};

#define N_ALGS (sizeof(algs) / sizeof(*algs))

/* How culvert's crypto goes, and with which driver for AES-GCM. */
static const struct {
	const char *name;
	enum crypto_way way;
	const char *driver;
} ways[] = {
	{"direct", CRYPTO_WAY_SYNC, "ipsec_mb"},
	{"sync", CRYPTO_WAY_SYNC, "aesni_gcm"},
	{"async", CRYPTO_WAY_ASYNC, "aesni_gcm"},
};

#define N_WAYS (sizeof(ways) / sizeof(*ways))

/*
 * Of each algorithm: ESN or not, two families outside and inside, the ways of culvert's crypto, and the
 * peer's drivers.
 */
#define N_VARIANTS (2 * 2 * 2 * N_WAYS * N_DRIVERS)

/* The i-th combination. */
static void run_begin(int i)
{
	size_t variant = (size_t)i % N_VARIANTS;
	size_t way = variant / 8 % N_WAYS;

	run.spec.alg = algs[(size_t)i / N_VARIANTS];
	run.spec.esn = variant % 2;
	run.spec.outer = variant / 2 % 2 ? IP_V6 : IP_V4;
	run.inner = variant / 4 % 2 ? IP_V6 : IP_V4;
	run.driver = peer_driver(run.spec.alg, drivers[variant / (8 * N_WAYS)]);
	run.seq = run.spec.esn ? SEQ_ESN : 1;
	snprintf(run.name, sizeof(run.name), "%s%s, IPv%u in IPv%u, %s, peer with %s", run.spec.alg,
		run.spec.esn ? " with ESN" : "", run.inner, run.spec.outer, ways[way].name, run.driver);
	crypto_env_begin_driver(&run.env, ways[way].way, ways[way].driver);
}

static void run_setup(void)
{
	memset(&run, 0, sizeof(run));
}

static void run_teardown(void)
{
	sa_destroy(run.sa);
	librte_peer_end(&run.peer);
	if (run.env.worker != NULL)
		crypto_env_end(&run.env);
}

static void culvert_begin(bool inbound)
{
	run.sa = sa_of(&run.env, &run.spec, inbound);
	atomic_store(&run.sa->seq.next, run.seq);
}

static void peer_begin(bool inbound)
{
	struct librte_peer_conf conf = {
		.spec = &run.spec,
		.driver = run.driver,
		.inner = run.inner,
		.inbound = inbound,
		.seq = inbound ? run.seq - 1 : run.seq,
	};

	librte_peer_begin(&run.peer, &conf);
}

/* BATCH packets, the first with that payload. */
static void plain_fill(uint16_t payload_bytes)
{
	uint8_t packet[PACKET_BYTES_MAX];

	plain.n = BATCH;
	for (uint16_t i = 0; i < BATCH; i++) {
		struct packet_spec spec = {.family = run.inner, .payload_bytes = payload_bytes + i};

		plain.all[i].length = (uint16_t)packet_build(&spec, packet);
		ck_assert_uint_le(plain.all[i].length, BYTES_MAX);
		memcpy(plain.all[i].bytes, packet, plain.all[i].length);
	}
}

static void batch_take(struct batch *batch, struct burst *burst)
{
	batch->n = burst->n;
	for (uint16_t i = 0; i < burst->n; i++) {
		batch->all[i].length = RTE_MIN(rte_pktmbuf_data_len(burst->pkts[i]), BYTES_MAX);
		memcpy(batch->all[i].bytes, rte_pktmbuf_mtod(burst->pkts[i], void *), batch->all[i].length);
	}
	rte_pktmbuf_free_bulk(burst->pkts, burst->n);
}

static void culvert_seal(const struct batch *in, struct batch *out)
{
	BURST(burst);

	for (uint16_t i = 0; i < in->n; i++) {
		burst_add_one(&burst, mbuf_of(in->all[i].bytes, in->all[i].length));
		ck_assert(parse_inner_one(burst.pkts[i], run.inner));
	}
	sa_pair_encrypt(&run.env, run.sa, &burst);
	batch_take(out, &burst);
}

static void culvert_open(const struct batch *in, struct batch *out)
{
	BURST(burst);

	for (uint16_t i = 0; i < in->n; i++) {
		burst_add_one(&burst, mbuf_exact_of(in->all[i].bytes, in->all[i].length));
		ck_assert(parse_inner_one(burst.pkts[i], run.sa->family));
		pkt_of(burst.pkts[i])->sa = run.sa;
	}
	sa_pair_decrypt(&run.env, &burst);
	batch_take(out, &burst);
}

static void peer_run(const struct batch *in, struct batch *out)
{
	BURST(burst);

	for (uint16_t i = 0; i < in->n; i++)
		burst_add_one(&burst, mbuf_of(in->all[i].bytes, in->all[i].length));
	librte_peer_run(&run.peer, &burst);
	batch_take(out, &burst);
}

/* Equal from the offset on. */
static void check_equal(const struct batch *got, const struct batch *expected, uint16_t offset)
{
	ck_assert_msg(got->n == expected->n, "%s: %u packets of %u", run.name, got->n, expected->n);
	for (uint16_t i = 0; i < got->n; i++) {
		const struct bytes *a = &got->all[i];
		const struct bytes *b = &expected->all[i];

		ck_assert_msg(a->length == b->length &&
				      memcmp(a->bytes + offset, b->bytes + offset, a->length - offset) == 0,
			"%s: payload of %u bytes", run.name, plain.all[i].length - plain.all[0].length + 1);
	}
}

/*
 * ALG-1, ALG-2, ALG-3, ALG-6, ALG-9, ESP-1, ESP-7. With an IV mask of zero culvert's IV of GCM is the number,
 * as librte_ipsec's is, and both make that of CBC by encrypting the number, if librte_ipsec's caller keeps
 * the operation's own IV at zero.
 */
START_TEST(both_seal_a_packet_alike)
{
	run_begin(_i);
	culvert_begin(false);
	peer_begin(false);
	for (uint16_t payload = 1; payload < PAYLOAD_MAX; payload += BATCH) {
		plain_fill(payload);
		culvert_seal(&plain, &ours);
		peer_run(&plain, &theirs);
		ck_assert_uint_eq(ours.n, BATCH);
		check_equal(&ours, &theirs, run.sa->outer_bytes);
	}
}
END_TEST

START_TEST(librte_ipsec_opens_what_culvert_seals)
{
	run_begin(_i);
	run.spec.iv_mask = IV_MASK;
	culvert_begin(false);
	peer_begin(true);
	for (uint16_t payload = 1; payload < PAYLOAD_MAX; payload += BATCH) {
		plain_fill(payload);
		culvert_seal(&plain, &ours);
		peer_run(&ours, &opened);
		check_equal(&opened, &plain, 0);
	}
}
END_TEST

START_TEST(culvert_opens_what_librte_ipsec_seals)
{
	run_begin(_i);
	culvert_begin(true);
	peer_begin(false);
	for (uint16_t payload = 1; payload < PAYLOAD_MAX; payload += BATCH) {
		plain_fill(payload);
		peer_run(&plain, &theirs);
		culvert_open(&theirs, &opened);
		check_equal(&opened, &plain, 0);
	}
	ck_assert_uint_eq(run.env.drops.total, 0);
}
END_TEST

// ESP-3
START_TEST(both_refuse_a_packet_whose_icv_was_changed)
{
	struct sa *out;

	run_begin(_i);
	culvert_begin(false);
	plain_fill(1);
	culvert_seal(&plain, &ours);
	ours.n = run.sa->icv_bytes;
	for (uint16_t i = 0; i < ours.n; i++)
		ours.all[i].bytes[ours.all[i].length - 1 - i] ^= (uint8_t)(1 << i % 8);
	out = run.sa;
	culvert_begin(true);
	sa_destroy(out);
	peer_begin(true);

	peer_run(&ours, &opened);
	ck_assert_msg(opened.n == 0, "%s: librte_ipsec opened %u", run.name, opened.n);
	culvert_open(&ours, &opened);
	ck_assert_msg(opened.n == 0, "%s: culvert opened %u", run.name, opened.n);
	ck_assert_uint_eq(run.env.drops.count[0][DROP_in_icv], ours.n);
}
END_TEST

static Suite *suite_make(void)
{
	Suite *suite = suite_create("xvalid/librte_ipsec");
	TCase *tcase = tcase_create("librte_ipsec");
	int n_cases = (int)(N_ALGS * N_VARIANTS);

	/* Torn down in the reverse order. */
	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_checked_fixture(tcase, run_setup, run_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, both_seal_a_packet_alike, 0, n_cases);
	tcase_add_loop_test(tcase, librte_ipsec_opens_what_culvert_seals, 0, n_cases);
	tcase_add_loop_test(tcase, culvert_opens_what_librte_ipsec_seals, 0, n_cases);
	tcase_add_loop_test(tcase, both_refuse_a_packet_whose_icv_was_changed, 0, n_cases);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return eal_run_suite(suite_make());
}
