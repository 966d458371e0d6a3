/*
 * Known answers: the vectors of RFCs and drafts through the crypto seam, in all of its ways.
 *
 * Each vector runs with each setup in a loop case of its own; a failure names the vector and its source. The
 * argument is the directory of the vectors.
 */
#include "ipsec/crypto.h"

#include "kat/vectors.h"
#include "net/rewrite.h"
#include "support/crypto_env.h"
#include "support/eal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKET_MAX 320
#define SPI        0x1001 /* of the SA; the crypto takes the packet's */

static struct crypto_env env;

/* Read once, by main. */
static struct vectors packets;   /* of ESP, and what an HMAC is made of */
static struct vectors checksums; /* of the Internet */

static const struct {
	const char *name;
	enum crypto_way way;
	const char *driver; /* for the algorithms that it knows; aesni_mb for the others */
} setups[] = {
	{"synchronous, ipsec_mb", CRYPTO_WAY_SYNC, "ipsec_mb"},
	{"synchronous, aesni_gcm", CRYPTO_WAY_SYNC, "aesni_gcm"},
	{"asynchronous, aesni_gcm", CRYPTO_WAY_ASYNC, "aesni_gcm"},
	{"synchronous, aesni_mb", CRYPTO_WAY_SYNC, "aesni_mb"},
	{"asynchronous, aesni_mb", CRYPTO_WAY_ASYNC, "aesni_mb"},
};

#define N_SETUPS (sizeof(setups) / sizeof(*setups))

/* One vector with one setup: the case that runs. Its fixture cleans up, also behind a failed assertion. */
static struct run {
	const struct vector *vector;
	const struct alg *alg;
	struct sa *sa;
	char name[256];
} run;

struct packet {
	uint16_t length;
	uint16_t icv_offset;
	uint16_t flags; /* enum pkt_flag, after the crypto */
	uint8_t bytes[PACKET_MAX];
};

static const struct alg *alg_of(const struct vector *v)
{
	const struct alg *alg = alg_find(v->alg);

	ck_assert_msg(alg != NULL, "%s: no algorithm %s", v->name, v->alg);
	return alg;
}

static const struct vector_field *need(const struct vector *v, const char *field)
{
	const struct vector_field *found = vector_find(v, field);

	ck_assert_msg(found != NULL, "%s: no field %s", v->name, field);
	return found;
}

/* The parts of the keying material that the vector has, in their order. */
static struct secret key_of(const struct vector *v)
{
	static const char *const parts[] = {"key", "salt", "auth_key"};
	struct secret key = {0};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const struct vector_field *part = vector_find(v, parts[i]);

		if (part == NULL)
			continue;
		ck_assert_uint_le(key.length_bytes + part->length, SECRET_BYTES_MAX);
		memcpy(key.bytes + key.length_bytes, part->bytes, part->length);
		key.length_bytes += part->length;
	}
	ck_assert_msg(key.length_bytes == alg_key_bytes(alg_of(v)), "%s: a key of %zu bytes", v->name,
		key.length_bytes);
	return key;
}

/* The whole sequence number, and whether that is an extended one. Data without ESP has none. */
static uint64_t seq_of(const struct vector *v, bool *esn)
{
	const struct vector_field *seq = vector_find(v, "seq");
	uint64_t number = 0;

	*esn = seq != NULL && seq->length == sizeof(number);
	for (uint16_t i = 0; seq != NULL && i < seq->length; i++)
		number = number << 8 | seq->bytes[i];
	return number;
}

static void sa_begin(bool inbound)
{
	struct sa_conf conf = {
		.name = (char[]){"kat"},
		.spi = SPI,
		.protocol = SA_ESP,
		.alg = run.alg,
		.key = key_of(run.vector),
		.replay_window_pkts = SA_REPLAY_WINDOW_DEFAULT,
	};
	struct sa_params params = {
		.conf = &conf, .inbound = inbound, .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct err err;

	seq_of(run.vector, &conf.esn);
	ck_assert_int_eq(ip_addr_parse("192.0.2.1", &conf.source), 0);
	ck_assert_int_eq(ip_addr_parse("198.51.100.1", &conf.destination), 0);
	ck_assert_msg(sa_create(&params, &env.crypto, &run.sa, &err) == 0, "%s: %s", run.name, err.text);
}

/* False where the setup's devices don't know the algorithm, and there is nothing to see. */
static bool run_begin(int i, bool inbound)
{
	bool esn;
	size_t setup = (size_t)i % N_SETUPS;

	run.vector = &packets.all[(size_t)i / N_SETUPS];
	run.alg = alg_of(run.vector);
	snprintf(run.name, sizeof(run.name), "%s (%s), %s", run.vector->name, run.vector->source,
		setups[setup].name);
	crypto_env_begin_driver(&env, setups[setup].way, setups[setup].driver);
	seq_of(run.vector, &esn);
	if (!crypto_env_knows(&env, run.alg, esn))
		return false;
	sa_begin(inbound);
	ck_assert_msg((run.sa->session.path == CRYPTO_PATH_QUEUE) == (setups[setup].way == CRYPTO_WAY_ASYNC),
		"%s", run.name);
	return true;
}

static void run_setup(void)
{
	run = (struct run){0};
	env = (struct crypto_env){0};
}

static void run_teardown(void)
{
	sa_destroy(run.sa);
	if (env.worker != NULL)
		crypto_env_end(&env);
}

static void append(struct packet *packet, const void *bytes, size_t length)
{
	ck_assert_uint_le(packet->length + length, PACKET_MAX);
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += (uint16_t)length;
}

/* The field, or nothing where the vector has none. */
static void append_field(struct packet *packet, const struct vector *v, const char *name)
{
	const struct vector_field *field = vector_find(v, name);

	if (field != NULL)
		append(packet, field->bytes, field->length);
}

/* SPI and the half of the sequence number that is sent. */
static void append_header(struct packet *packet, const struct vector *v)
{
	const struct vector_field *seq = vector_find(v, "seq");

	append_field(packet, v, "spi");
	if (seq != NULL)
		append(packet, seq->bytes + seq->length - 4, 4);
}

/* As esp_out_prepare leaves it: the IV or its seed, plaintext, and room for the ICV. */
static struct packet packet_to_seal(const struct vector *v)
{
	static const uint8_t room[ESP_ICV_BYTES_MAX];
	struct packet packet = {0};

	append_header(&packet, v);
	append_field(&packet, v, vector_find(v, "iv_seed") ? "iv_seed" : "iv");
	append_field(&packet, v, "plaintext");
	append_field(&packet, v, "data");
	packet.icv_offset = packet.length;
	append(&packet, room, need(v, "icv")->length);
	return packet;
}

/* As it is on the wire, or once more decrypted. */
static struct packet packet_with(const struct vector *v, const char *text)
{
	struct packet packet = {0};

	append_header(&packet, v);
	append_field(&packet, v, "iv");
	append_field(&packet, v, text);
	append_field(&packet, v, "data");
	packet.icv_offset = packet.length;
	append_field(&packet, v, "icv");
	return packet;
}

/* What the crypto makes of the packet. */
static struct packet run_packet(const struct packet *packet, uint64_t seq)
{
	struct rte_mbuf *m = mbuf_exact_of(packet->bytes, packet->length);
	struct packet out = {.icv_offset = packet->icv_offset};
	BURST(burst);

	pkt_of(m)->sa = run.sa;
	pkt_of(m)->icv_offset = packet->icv_offset;
	pkt_of(m)->seq = seq;
	burst_add_one(&burst, m);
	crypto_env_run(&env, &burst);
	ck_assert_msg(burst.n == 1 && burst.pkts[0] == m, "%s: the packet is gone", run.name);
	append(&out, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_data_len(m));
	out.flags = pkt_of(m)->flags;
	rte_pktmbuf_free(m);
	return out;
}

static void check_bytes(const struct packet *got, const struct packet *expected, uint16_t length)
{
	ck_assert_msg(got->flags == 0, "%s: flags %#x", run.name, got->flags);
	ck_assert_msg(got->length == expected->length, "%s: %u bytes", run.name, got->length);
	for (uint16_t i = 0; i < length; i++)
		ck_assert_msg(got->bytes[i] == expected->bytes[i],
			"%s: byte %u is %02x, not %02x (the ICV begins at %u)", run.name, i, got->bytes[i],
			expected->bytes[i], expected->icv_offset);
}

// ALG-1, ALG-2, ALG-3, ALG-4, ALG-5, ALG-6, ALG-7, ALG-8, ALG-9, ALG-10, ESP-7
START_TEST(a_packet_is_sealed_byte_for_byte)
{
	if (!run_begin(_i, false))
		return;
	struct packet plain = packet_to_seal(run.vector);
	struct packet expected = packet_with(run.vector, "ciphertext");
	bool esn;
	struct packet sealed = run_packet(&plain, seq_of(run.vector, &esn));

	check_bytes(&sealed, &expected, expected.length);
}
END_TEST

// ALG-1, ALG-2, ALG-3, ALG-4, ALG-5, ALG-6, ALG-7, ALG-8, ALG-9, ALG-10, ESP-7
START_TEST(a_sealed_packet_is_opened_byte_for_byte)
{
	if (!run_begin(_i, true))
		return;
	struct packet sealed = packet_with(run.vector, "ciphertext");
	struct packet expected = packet_with(run.vector, "plaintext");
	bool esn;
	struct packet opened = run_packet(&sealed, seq_of(run.vector, &esn));

	/* What stands in place of the ICV afterwards nobody reads. */
	check_bytes(&opened, &expected, expected.icv_offset);
}
END_TEST

static void check_refused(const struct packet *packet, uint64_t seq, const char *what)
{
	struct packet out = run_packet(packet, seq);

	ck_assert_msg(out.flags == PKT_ICV_BAD, "%s: %s: flags %#x", run.name, what, out.flags);
}

// ESP-3: every byte that goes over the wire, the ICV's among them, and the half of the number that does not.
START_TEST(a_packet_with_one_bit_changed_is_refused)
{
	if (!run_begin(_i, true))
		return;
	struct packet sealed = packet_with(run.vector, "ciphertext");
	char what[32];
	bool esn;
	uint64_t seq = seq_of(run.vector, &esn);

	for (uint16_t i = 0; i < sealed.length; i++) {
		struct packet changed = sealed;

		changed.bytes[i] ^= (uint8_t)(1 << i % 8);
		snprintf(what, sizeof(what), "byte %u changed", i);
		check_refused(&changed, seq, what);
	}
	if (esn)
		check_refused(&sealed, seq ^ UINT64_C(1) << 32, "upper half changed");
}
END_TEST

static uint16_t word(const struct vector_field *field, uint16_t index)
{
	uint16_t word;

	memcpy(&word, field->bytes + (size_t)index * sizeof(word), sizeof(word));
	return word;
}

START_TEST(a_checksum_follows_the_words_under_it)
{
	const struct vector *v = &checksums.all[_i];
	const struct vector_field *from = need(v, "from");
	const struct vector_field *to = need(v, "to");
	rte_be16_t checksum = word(need(v, "checksum"), 0);

	ck_assert_uint_eq(from->length, to->length);
	for (uint16_t i = 0; i < to->length / sizeof(checksum); i++)
		checksum = checksum_update(checksum, word(from, i), word(to, i));

	ck_assert_msg(checksum == word(need(v, "updated"), 0), "%s (%s): %04x", v->name, v->source,
		rte_be_to_cpu_16(checksum));
}
END_TEST

static Suite *suite_make(void)
{
	Suite *suite = suite_create("kat");
	TCase *tcase = tcase_create("kat");
	int n_runs = (int)(packets.n * N_SETUPS);

	/* Torn down in the reverse order. */
	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_checked_fixture(tcase, run_setup, run_teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, a_packet_is_sealed_byte_for_byte, 0, n_runs);
	tcase_add_loop_test(tcase, a_sealed_packet_is_opened_byte_for_byte, 0, n_runs);
	tcase_add_loop_test(tcase, a_packet_with_one_bit_changed_is_refused, 0, n_runs);
	tcase_add_loop_test(tcase, a_checksum_follows_the_words_under_it, 0, (int)checksums.n);
	suite_add_tcase(suite, tcase);
	return suite;
}

static int load(const char *directory, const char *file, struct vectors *vectors)
{
	char path[4096];
	struct err err;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	if (vectors_load(path, vectors, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return -1;
}

int main(int argc, char **argv)
{
	static const char *const files[] = {"gcm.txt", "gmac.txt", "chacha20.txt", "cbc.txt", "ctr.txt",
		"hmac.txt", "mac.txt", "made.txt"};

	if (argc != 2) {
		fprintf(stderr, "usage: test_kat DIRECTORY\n");
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (load(argv[1], files[i], &packets) != 0)
			return EXIT_FAILURE;
	if (load(argv[1], "checksum.txt", &checksums) != 0)
		return EXIT_FAILURE;
	return eal_run_suite(suite_make());
}
