#include "ipsec/ah.h"

#include "ipsec/esp_in.h"
#include "net/mutable.h"
#include "net/parse.h"
#include "net/rewrite.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#define N_AUTHS 7 /* that have no cipher in front */
#define N_WAYS  3
#define N_KINDS 8 /* family, mode, ESN */

#define AH_BYTES_MAX 48

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

static const char *auth_at(unsigned index)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++)
		if (alg->cipher == CIPHER_NULL && index-- == 0)
			return alg->name;
	ck_abort_msg("there are fewer");
	return NULL;
}

static struct sa_spec kind_of(int i, const char *alg)
{
	return (struct sa_spec){
		.alg = alg,
		.protocol = SA_AH,
		.outer = i & 1 ? IP_V6 : IP_V4,
		.mode = i & 2 ? SA_TRANSPORT : SA_TUNNEL,
		.esn = (i & 4) != 0,
	};
}

static struct sa_pair pair_of(int i)
{
	struct sa_spec spec = kind_of(i, "null-sha256");

	return sa_pair_create(&env, &spec);
}

/* What an SA of that kind takes: in transport mode a packet between its own ends. */
static struct rte_mbuf *packet_for(const struct sa *sa, uint16_t payload_bytes)
{
	bool v6 = sa->family == IP_V6;
	struct packet_spec spec = {
		.payload_bytes = payload_bytes, .traffic_class = 0xb8, .ttl = 17, .df = true};

	if (sa_is_transport(sa)) {
		spec.source = v6 ? "2001:db8::1" : "192.0.2.1";
		spec.destination = v6 ? "2001:db8:1::1" : "198.51.100.1";
	}
	return packet_mbuf(&spec);
}

static void protect(struct sa *sa, struct burst *burst)
{
	for (uint16_t i = 0; i < burst->n; i++)
		pkt_of(burst->pkts[i])->sa = sa;
	ah_out_prepare(burst, &env.tally);
	crypto_env_run(&env, burst);
	ah_out_finish(burst, &env.tally);
}

static void open_burst(struct burst *burst)
{
	ah_in_prepare(burst, &env.tally);
	crypto_env_run(&env, burst);
	ah_in_finish(burst, &env.tally);
}

/* The packet as it is sent; NULL if it was dropped. */
static struct rte_mbuf *sent_of(struct sa *sa, struct rte_mbuf *m)
{
	struct burst burst = {.n = 1, .pkts = {m}};

	protect(sa, &burst);
	return burst.n == 1 ? burst.pkts[0] : NULL;
}

/* A copy of the first `length` bytes as they arrive, with what parse finds in the whole packet. */
static struct rte_mbuf *arriving(struct sa *sa, struct rte_mbuf *sent, uint16_t length)
{
	struct rte_mbuf *m = mbuf_of(rte_pktmbuf_mtod(sent, void *), length);
	struct pkt *p = pkt_of(m);

	p->family = pkt_of(sent)->family;
	p->protocol = IPPROTO_AH;
	p->l4 = pkt_of(sent)->l4;
	p->ip_len = length;
	p->sa = sa;
	return m;
}

static struct rte_mbuf *arriving_whole(struct sa *sa, struct rte_mbuf *sent)
{
	return arriving(sa, sent, pkt_of(sent)->ip_len);
}

/* What was inside, or NULL. */
static struct rte_mbuf *opened(struct rte_mbuf *m)
{
	struct burst burst = {.n = 1, .pkts = {m}};

	open_burst(&burst);
	return burst.n == 1 ? burst.pkts[0] : NULL;
}

static bool is_accepted(struct rte_mbuf *m)
{
	struct rte_mbuf *inner = opened(m);

	rte_pktmbuf_free(inner);
	return inner != NULL;
}

static uint64_t dropped(enum drop_reason reason)
{
	return env.drops.count[0][reason];
}

static const uint8_t *bytes_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *);
}

// AH-1, AH-5, TUN-10
START_TEST(what_is_protected_comes_out_as_it_was)
{
	static const enum crypto_way ways[N_WAYS] = {CRYPTO_WAY_BEST, CRYPTO_WAY_SYNC, CRYPTO_WAY_ASYNC};
	enum crypto_way way = ways[_i % N_WAYS];
	struct sa_spec spec = kind_of(_i / N_WAYS % N_KINDS, auth_at((unsigned)_i / N_WAYS / N_KINDS));

	crypto_env_end(&env);
	crypto_env_begin_driver(&env, way, way == CRYPTO_WAY_SYNC ? "aesni_mb" : "ipsec_mb");
	if (!crypto_env_knows(&env, alg_find(spec.alg), spec.esn))
		return;
	struct sa_pair pair = sa_pair_create(&env, &spec);
	for (uint16_t size = 0; size < 1300; size += 1 + size / 3) {
		struct rte_mbuf *original = packet_for(pair.out, size);
		struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, size));
		uint16_t around = pair.out->outer_bytes + sa_ah_bytes(pair.out);
		struct rte_mbuf *inner;

		ck_assert_ptr_nonnull(sent);
		ck_assert_uint_eq(rte_pktmbuf_pkt_len(sent), rte_pktmbuf_pkt_len(original) + around);
		inner = opened(arriving_whole(pair.in, sent));
		ck_assert_ptr_nonnull(inner);
		ck_assert_uint_eq(rte_pktmbuf_pkt_len(inner), rte_pktmbuf_pkt_len(original));
		ck_assert_mem_eq(bytes_of(inner), bytes_of(original), rte_pktmbuf_pkt_len(original));
		ck_assert(pkt_of(inner)->flags & PKT_DECAPSULATED);
		ck_assert_uint_eq(pkt_of(inner)->protocol, IPPROTO_UDP);
		rte_pktmbuf_free(original);
		rte_pktmbuf_free(sent);
		rte_pktmbuf_free(inner);
	}
	ck_assert_uint_eq(env.drops.total, 0);
	ck_assert_uint_eq(pair.in->counters[0].bytes, pair.out->counters[0].bytes);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-1
START_TEST(every_byte_is_where_rfc_4302_has_it)
{
	/* By family and algorithm: the whole AH in IPv6 is a multiple of 8 bytes. */
	static const struct {
		const char *alg;
		uint8_t ipv4_bytes, ipv6_bytes;
	} rows[] = {
		{"null-sha1", 24, 24},
		{"null-sha256", 28, 32},
		{"null-sha256_96", 24, 24},
		{"null-sha384", 36, 40},
		{"null-sha512", 44, 48},
		{"null-aesxcbc", 24, 24},
		{"null-aescmac", 24, 24},
	};
	bool v6 = _i & 1;
	struct sa_spec spec = kind_of(_i % 4, rows[_i / 4].alg);
	uint8_t length = v6 ? rows[_i / 4].ipv6_bytes : rows[_i / 4].ipv4_bytes;
	uint8_t head[12] = {0, (uint8_t)(length / 4 - 2), 0, 0, 0, 0, 0x10, 0x01, 0, 0, 0, 1};
	static const uint8_t zeros[AH_BYTES_MAX];
	struct sa_pair pair = sa_pair_create(&env, &spec);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 30));
	const uint8_t *ip = bytes_of(sent);
	uint16_t at = v6 ? 40 : 20;
	uint16_t icv_bytes = pair.out->icv_bytes;

	ck_assert_ptr_nonnull(sent);
	ck_assert_uint_eq(sa_ah_bytes(pair.out), length);
	/* The IP header's fields that the ICV leaves out are there all the same. */
	ck_assert_uint_eq(v6 ? ip[6] : ip[9], 51);
	ck_assert_uint_eq(traffic_class_get_one(sent), 0xb8);
	ck_assert_uint_eq(v6 ? ip[7] : ip[8], spec.mode == SA_TRANSPORT ? 17 : SA_OUTER_TTL);
	if (!v6) {
		ck_assert_uint_eq(ip[6], 0x40);
		ck_assert_uint_eq(packet_checksum(ip, 20, 0), 0);
	}
	head[0] = spec.mode == SA_TRANSPORT ? 17 : 4;
	ck_assert_mem_eq(ip + at, head, sizeof(head));
	ck_assert_mem_ne(ip + at + 12, zeros, icv_bytes);
	ck_assert_mem_eq(ip + at + 12 + icv_bytes, zeros, length - 12 - icv_bytes);
	ck_assert_uint_eq(rte_pktmbuf_pkt_len(sent), at + length + (spec.mode == SA_TRANSPORT ? 38 : 58));
	ck_assert_uint_eq(pkt_of(sent)->ip_len, rte_pktmbuf_pkt_len(sent));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

/* RFC 4302 section 3.3.3.1.1.1 and 3.3.3.1.2.1, and for IPv6 the version, which is constant. */
static bool is_mutable(uint8_t family, uint16_t at)
{
	if (family == IP_V4)
		return at == 1 || at == 6 || at == 7 || at == 8 || at == 10 || at == 11;
	return at < 4 || at == 7;
}

// AH-2, AH-4, SAL-6
START_TEST(what_may_change_on_the_way_is_accepted_and_nothing_else)
{
	struct sa_pair pair = pair_of(_i);
	unsigned n_accepted = 0;

	atomic_store(&pair.out->seq.next, 0x40); /* so that no flip of its lowest byte makes it 0 */
	for (uint16_t at = 0, length = 1; at < length; at++) {
		struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 20));
		struct rte_mbuf *m = arriving_whole(pair.in, sent);
		uint64_t window = replay_highest(pair.in->replay);

		length = pkt_of(sent)->ip_len;
		rte_pktmbuf_mtod(m, uint8_t *)[at] ^= (uint8_t)(1u << at % 8);
		if (is_mutable(pair.in->family, at)) {
			ck_assert_msg(is_accepted(m), "byte %u changed, and dropped", at);
			n_accepted++;
		} else {
			ck_assert_msg(!is_accepted(m), "byte %u changed, and accepted", at);
			ck_assert_uint_eq(replay_highest(pair.in->replay), window);
		}
		rte_pktmbuf_free(sent);
	}
	ck_assert_uint_eq(n_accepted, pair.in->family == IP_V4 ? 6 : 5);
	ck_assert_uint_eq(dropped(DROP_in_hdr), 1); /* AH's own length */
	ck_assert_uint_eq(dropped(DROP_in_icv), env.drops.total - 1);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-2
START_TEST(the_packet_is_left_as_it_came_changes_on_the_way_included)
{
	struct sa_pair pair = pair_of(2 + _i);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 20));
	struct rte_mbuf *m = arriving_whole(pair.in, sent), *inner;

	rte_pktmbuf_mtod(m, uint8_t *)[_i ? 7 : 8] = 3;
	traffic_class_set_one(m, 0x2e);
	inner = opened(m);
	ck_assert_ptr_nonnull(inner);

	ck_assert_uint_eq(bytes_of(inner)[_i ? 7 : 8], 3);
	ck_assert_uint_eq(traffic_class_get_one(inner), 0x2e);
	rte_pktmbuf_free(inner);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// SAL-7
START_TEST(a_packet_cut_at_any_length_is_dropped)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 20));
	uint16_t least = pkt_of(sent)->l4 + sa_ah_bytes(pair.in);
	uint16_t length;

	for (length = pkt_of(sent)->l4; length < pkt_of(sent)->ip_len; length++) {
		uint64_t short_before = dropped(DROP_in_hdr);

		ck_assert(!is_accepted(arriving(pair.in, sent, length)));
		ck_assert_uint_eq(dropped(DROP_in_hdr) - short_before, length < least);
	}
	ck_assert_uint_eq(dropped(DROP_in_hdr) + dropped(DROP_in_icv), env.drops.total);
	ck_assert_uint_gt(dropped(DROP_in_icv), 0);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 0);
	ck_assert(is_accepted(arriving_whole(pair.in, sent)));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-1
START_TEST(a_length_field_that_is_not_the_algorithms_is_malformed)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 20));
	uint8_t right = bytes_of(sent)[pkt_of(sent)->l4 + 1];

	for (unsigned length = 0; length <= UINT8_MAX; length++) {
		struct rte_mbuf *m = arriving_whole(pair.in, sent);

		rte_pktmbuf_mtod(m, uint8_t *)[pkt_of(m)->l4 + 1] = (uint8_t)length;
		ck_assert_uint_eq(is_accepted(m), length == right);
	}
	ck_assert_uint_eq(dropped(DROP_in_hdr), UINT8_MAX);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AR-3, AR-4, AR-6
START_TEST(a_duplicate_a_late_one_and_number_zero_are_dropped_by_name)
{
	struct sa_pair pair = pair_of(_i & 3);
	struct rte_mbuf *late = sent_of(pair.out, packet_for(pair.out, 5));
	struct rte_mbuf *newest, *zero;

	atomic_store(&pair.out->seq.next, 1 + SA_PAIR_WINDOW);
	newest = sent_of(pair.out, packet_for(pair.out, 5));
	struct burst burst = {
		.n = 2, .pkts = {arriving_whole(pair.in, newest), arriving_whole(pair.in, newest)}};
	open_burst(&burst);
	ck_assert_uint_eq(burst.n, 1);
	rte_pktmbuf_free(burst.pkts[0]);
	ck_assert(!is_accepted(arriving_whole(pair.in, newest)));
	ck_assert(!is_accepted(arriving_whole(pair.in, late)));
	zero = arriving_whole(pair.in, newest);
	memset(rte_pktmbuf_mtod_offset(zero, uint8_t *, pkt_of(zero)->l4 + 8), 0, 4);
	ck_assert(!is_accepted(zero));

	ck_assert_uint_eq(dropped(DROP_in_replay), 2);
	ck_assert_uint_eq(dropped(DROP_in_late), 1);
	ck_assert_uint_eq(dropped(DROP_in_seq_zero), 1);
	ck_assert_uint_eq(pair.in->counters[0].packets, 1);
	rte_pktmbuf_free(late);
	rte_pktmbuf_free(newest);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-5
START_TEST(the_upper_half_of_the_number_is_under_the_icv_and_not_sent)
{
	struct sa_pair pair = pair_of(4 + _i);
	struct rte_mbuf *first, *ahead;

	atomic_store(&pair.out->seq.next, UINT32_MAX);
	first = sent_of(pair.out, packet_for(pair.out, 5));
	atomic_store(&pair.out->seq.next, (UINT64_C(2) << 32) + 5);
	ahead = sent_of(pair.out, packet_for(pair.out, 5));

	/* Its lower half would be right for the number 5. */
	ck_assert(!is_accepted(arriving_whole(pair.in, ahead)));
	ck_assert_uint_eq(dropped(DROP_in_icv), 1);
	ck_assert(is_accepted(arriving_whole(pair.in, first)));
	rte_pktmbuf_free(ahead);
	atomic_store(&pair.out->seq.next, (UINT64_C(1) << 32) + 5);
	ahead = sent_of(pair.out, packet_for(pair.out, 5));
	ck_assert(is_accepted(arriving_whole(pair.in, ahead)));
	ck_assert_uint_eq(replay_highest(pair.in->replay), (UINT64_C(1) << 32) + 5);
	rte_pktmbuf_free(first);
	rte_pktmbuf_free(ahead);
	sa_pair_destroy(&pair);
}
END_TEST

/* IPv4 options, padded with their end. */
struct option_case {
	uint8_t bytes[16];
	uint8_t length;
	bool is_mutable;
};

/* RFC 4302 appendix A1, and one that nobody knows. */
static const struct option_case option_cases[] = {
	{{1, 1, 1, 1}, 4, false},
	{{130, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 11, false},
	{{133, 5, 1, 2, 3}, 5, false},
	{{134, 8, 1, 2, 3, 4, 5, 6}, 8, false},
	{{148, 4, 0, 0}, 4, false},
	{{149, 6, 10, 0, 0, 1}, 6, false},
	{{7, 11, 4, 1, 2, 3, 4, 5, 6, 7, 8}, 11, true},
	{{68, 12, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 12, true},
	{{131, 7, 8, 10, 0, 0, 1}, 7, true},
	{{137, 7, 8, 10, 0, 0, 1}, 7, true},
	{{82, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 12, true},
	{{136, 4, 1, 2}, 4, true},
	{{94, 4, 1, 2}, 4, true},
};

/* A packet of a transport SA with the options, of which `bytes` are given and the rest is zero. */
static struct rte_mbuf *packet_with_options(const uint8_t *options, uint8_t bytes)
{
	uint8_t packet[PACKET_BYTES_MAX];
	uint8_t padded = (uint8_t)RTE_ALIGN_CEIL(bytes, 4);
	size_t length = packet_build(
		&(struct packet_spec){
			.source = "192.0.2.1", .destination = "198.51.100.1", .payload_bytes = 9},
		packet);
	uint16_t checksum;
	struct rte_mbuf *m;

	memmove(packet + 20 + padded, packet + 20, length - 20);
	memset(packet + 20, 0, padded);
	memcpy(packet + 20, options, bytes);
	packet[0] = (uint8_t)(0x45 + padded / 4);
	packet[3] = (uint8_t)(length + padded);
	memset(packet + 10, 0, 2);
	checksum = packet_checksum(packet, 20u + padded, 0);
	packet[10] = (uint8_t)(checksum >> 8);
	packet[11] = (uint8_t)checksum;
	m = mbuf_of(packet, length + padded);
	ck_assert(parse_inner_one(m, IP_V4));
	return m;
}

// AH-3
START_TEST(each_ipv4_option_is_proven_or_may_change)
{
	const struct option_case *row = &option_cases[_i];
	struct sa_pair pair = pair_of(2);

	/* The type of a mutable one stays, since it may become one that is not. */
	for (uint8_t at = row->is_mutable ? 2 : 0; at < row->length; at++) {
		struct rte_mbuf *sent = sent_of(pair.out, packet_with_options(row->bytes, row->length));
		struct rte_mbuf *m = arriving_whole(pair.in, sent);

		rte_pktmbuf_mtod(m, uint8_t *)[20 + at] ^= 1;
		ck_assert_msg(is_accepted(m) == row->is_mutable, "option %u, byte %u", row->bytes[0], at);
		/* What was not changed is accepted, and all options are still there. */
		if (!row->is_mutable) {
			m = opened(arriving_whole(pair.in, sent));
			ck_assert_ptr_nonnull(m);
			ck_assert_mem_eq(bytes_of(m) + 20, row->bytes, row->length);
			rte_pktmbuf_free(m);
		}
		rte_pktmbuf_free(sent);
	}
	sa_pair_destroy(&pair);
}
END_TEST

// AH-3
START_TEST(what_is_behind_the_end_of_the_options_is_proven)
{
	static const uint8_t options[] = {0, 7, 3, 4};
	struct sa_pair pair = pair_of(2);
	struct rte_mbuf *sent = sent_of(pair.out, packet_with_options(options, sizeof(options)));
	struct rte_mbuf *m = arriving_whole(pair.in, sent);

	ck_assert(is_accepted(arriving_whole(pair.in, sent)));
	rte_pktmbuf_mtod(m, uint8_t *)[22] ^= 1;
	ck_assert(!is_accepted(m));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-3
START_TEST(the_destination_behind_a_source_route_is_predicted)
{
	static const uint8_t last[] = {203, 0, 113, 9};
	uint8_t options[] = {_i ? 137 : 131, 11, 4, 203, 0, 113, 8, 203, 0, 113, 9};
	struct sa_pair pair = pair_of(2);
	struct rte_mbuf *sent = sent_of(pair.out, packet_with_options(options, sizeof(options)));
	struct rte_mbuf *m = arriving_whole(pair.in, sent);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	/* As the last router leaves it: its pointer is past the end. */
	memcpy(ip + 16, last, sizeof(last));
	ip[22] = 12;
	ck_assert(is_accepted(m));
	m = arriving_whole(pair.in, sent);
	rte_pktmbuf_mtod(m, uint8_t *)[22] = 12; /* and at another destination it is not accepted */
	ck_assert(!is_accepted(m));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-3
START_TEST(malformed_ipv4_options_are_dropped_both_ways)
{
	static const uint8_t rows[][4] = {{7, 0}, {7, 1}, {148, 5}, {1, 1, 1, 7}, {131, 2}, {1, 82, 4}};
	static const uint8_t fine[4] = {1, 1, 1, 1};
	struct sa_pair pair = pair_of(2);

	for (unsigned i = 0; i < RTE_DIM(rows); i++) {
		struct rte_mbuf *sent = sent_of(pair.out, packet_with_options(fine, sizeof(fine)));
		struct rte_mbuf *m = arriving_whole(pair.in, sent);

		ck_assert_ptr_null(sent_of(pair.out, packet_with_options(rows[i], sizeof(rows[i]))));
		memcpy(rte_pktmbuf_mtod(m, uint8_t *) + 20, rows[i], sizeof(rows[i]));
		ck_assert(!is_accepted(m));
		rte_pktmbuf_free(sent);
		ck_assert_uint_eq(dropped(DROP_in_hdr), 2 * (i + 1));
	}
	ck_assert_uint_eq(env.drops.total, dropped(DROP_in_hdr));
	sa_pair_destroy(&pair);
}
END_TEST

/* A packet of a transport SA with an extension header in front, whose content from the third byte on is
 * given. */
static struct rte_mbuf *packet_with_extension(uint8_t protocol, const uint8_t *content, size_t bytes)
{
	uint8_t packet[PACKET_BYTES_MAX];
	size_t length = packet_build(
		&(struct packet_spec){
			.source = "2001:db8::1", .destination = "2001:db8:1::1", .payload_bytes = 9},
		packet);
	struct rte_mbuf *m;

	length = packet_insert(packet, length, protocol, 2 + bytes);
	memcpy(packet + 42, content, bytes);
	m = mbuf_of(packet, length);
	ck_assert(parse_inner_one(m, IP_V6));
	return m;
}

// AH-4
START_TEST(option_data_of_ipv6_is_proven_unless_it_may_change_en_route)
{
	uint8_t protocol = _i ? IPPROTO_DSTOPTS : IPPROTO_HOPOPTS;
	/* PadN; one that may change; Pad1; one that may not. */
	static const uint8_t options[14] = {1, 1, 0, 0x3e, 3, 7, 8, 9, 0, 0x1e, 3, 4, 5, 6};
	static const bool may_change[14] = {[5] = true, [6] = true, [7] = true};
	struct sa_pair pair = pair_of(3);

	for (unsigned at = 0; at < sizeof(options); at++) {
		struct rte_mbuf *sent =
			sent_of(pair.out, packet_with_extension(protocol, options, sizeof(options)));
		struct rte_mbuf *m = arriving_whole(pair.in, sent);

		/* Behind it, RFC 4302 section 3.1.1. */
		ck_assert_uint_eq(pkt_of(sent)->l4, 56);
		ck_assert_uint_eq(bytes_of(sent)[40], 51);
		rte_pktmbuf_mtod(m, uint8_t *)[42 + at] ^= 0x80;
		ck_assert_msg(is_accepted(m) == may_change[at], "byte %u", at);
		m = opened(arriving_whole(pair.in, sent));
		ck_assert_uint_eq(m != NULL, !may_change[at]); /* else it is a replay */
		if (m)
			ck_assert_mem_eq(bytes_of(m) + 42, options, sizeof(options));
		rte_pktmbuf_free(m);
		rte_pktmbuf_free(sent);
	}
	sa_pair_destroy(&pair);
}
END_TEST

// AH-4
START_TEST(a_routing_header_of_type_0_is_proven_as_it_arrives)
{
	uint8_t routing[6 + 48] = {0, 2}; /* the first of three addresses was visited */
	struct sa_pair pair = pair_of(3);
	struct rte_mbuf *sent, *m;
	uint8_t *ip, first[16];

	for (unsigned i = 0; i < 3; i++)
		routing[6 + 16 * i + 15] = (uint8_t)(0xa0 + i);
	sent = sent_of(pair.out, packet_with_extension(IPPROTO_ROUTING, routing, sizeof(routing)));
	ck_assert_ptr_nonnull(sent);
	m = arriving_whole(pair.in, sent);
	ip = rte_pktmbuf_mtod(m, uint8_t *);
	/* What the two routers do, RFC 2460 section 4.4. */
	for (unsigned i = 1; i < 3; i++) {
		memcpy(first, ip + 24, 16);
		memcpy(ip + 24, ip + 48 + 16 * i, 16);
		memcpy(ip + 48 + 16 * i, first, 16);
		ip[43]--;
	}
	ck_assert_uint_eq(ip[43], 0);
	ck_assert(is_accepted(m));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AH-4
START_TEST(malformed_extension_headers_are_dropped)
{
	static const uint8_t option_too_long[6] = {0x3e, 5}, option_cut[6] = {0, 0, 0, 0, 0, 0x3e};
	static const uint8_t too_many_left[6 + 16] = {0, 2};
	struct sa_pair pair = pair_of(3);

	ck_assert_ptr_null(sent_of(pair.out, packet_with_extension(IPPROTO_HOPOPTS, option_too_long, 6)));
	ck_assert_ptr_null(sent_of(pair.out, packet_with_extension(IPPROTO_DSTOPTS, option_cut, 6)));
	ck_assert_ptr_null(sent_of(pair.out, packet_with_extension(IPPROTO_ROUTING, too_many_left, 22)));
	ck_assert_uint_eq(dropped(DROP_in_hdr), 3);
	sa_pair_destroy(&pair);
}
END_TEST

// TUN-7
START_TEST(congestion_marks_are_merged_out_of_a_tunnel)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 5)), *m;

	m = arriving_whole(pair.in, sent);
	traffic_class_set_one(m, 0xbb); /* congestion experienced, and the inner packet is not capable */
	ck_assert(!is_accepted(m));
	ck_assert_uint_eq(dropped(DROP_in_ecn), 1);
	rte_pktmbuf_free(sent);
	sent = sent_of(pair.out, packet_mbuf(&(struct packet_spec){.traffic_class = 2}));
	m = arriving_whole(pair.in, sent);
	traffic_class_set_one(m, 3);
	m = opened(m);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(traffic_class_get_one(m), 3);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

/* A packet of the SA whose next header is another before the ICV is made. */
static struct rte_mbuf *crafted(struct sa_pair *pair, uint8_t next_header)
{
	struct burst burst = {.n = 1, .pkts = {packet_for(pair->out, 5)}};
	struct rte_mbuf *sent = burst.pkts[0], *m;

	pkt_of(sent)->sa = pair->out;
	ah_out_prepare(&burst, &env.tally);
	rte_pktmbuf_mtod(sent, uint8_t *)[pkt_of(sent)->l4] = next_header;
	crypto_env_run(&env, &burst);
	ah_out_finish(&burst, &env.tally);
	m = arriving_whole(pair->in, sent);
	rte_pktmbuf_free(sent);
	return m;
}

START_TEST(the_next_header_is_checked)
{
	struct sa_pair pair = pair_of(_i);

	ck_assert(!is_accepted(crafted(&pair, IPPROTO_TCP)));
	ck_assert(!is_accepted(crafted(&pair, IPPROTO_IPV6))); /* the other family */
	ck_assert_uint_eq(dropped(DROP_in_sa_proto), 2);
	ck_assert(!is_accepted(crafted(&pair, IPPROTO_NONE)));
	ck_assert_uint_eq(dropped(DROP_in_dummy), 1);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 3);
	ck_assert(is_accepted(crafted(&pair, IPPROTO_IPIP)));
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(the_ip_header_is_kept_behind_the_packet_where_there_is_no_room_in_front)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *original = packet_for(pair.out, 100), *m = packet_for(pair.out, 100);
	uint16_t front = pair.out->outer_bytes + sa_ah_bytes(pair.out);

	/* Just so much that AH and the link's header fit. */
	memmove((uint8_t *)m->buf_addr + front + 18, bytes_of(m), rte_pktmbuf_data_len(m));
	m->data_off = front + 18;
	m = sent_of(pair.out, m);
	ck_assert_ptr_nonnull(m);
	struct rte_mbuf *arrived = arriving_whole(pair.in, m);
	memmove(arrived->buf_addr, bytes_of(arrived), rte_pktmbuf_data_len(arrived));
	arrived->data_off = 0;
	arrived = opened(arrived);
	ck_assert_ptr_nonnull(arrived);
	ck_assert_mem_eq(bytes_of(arrived), bytes_of(original), rte_pktmbuf_data_len(original));
	rte_pktmbuf_free(original);
	rte_pktmbuf_free(arrived);
	rte_pktmbuf_free(m);
	sa_pair_destroy(&pair);
}
END_TEST

/* The packet with just so much room, made longer for that. */
static struct rte_mbuf *squeezed(struct rte_mbuf *m, uint16_t head, uint16_t tail)
{
	uint16_t length = m->buf_len - head - tail;

	memmove((uint8_t *)m->buf_addr + head, bytes_of(m), rte_pktmbuf_data_len(m));
	m->data_off = head;
	m->data_len = length;
	m->pkt_len = length;
	pkt_of(m)->ip_len = length;
	return m;
}

START_TEST(a_packet_without_room_is_dropped_by_name)
{
	struct sa_pair pair = pair_of(_i);
	uint16_t front = pair.out->outer_bytes + sa_ah_bytes(pair.out);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 5));
	uint16_t ip_bytes = pkt_of(sent)->l4;
	/* In front and behind; the IP header, and the ICV of at most 32 bytes behind the packet. */
	const uint16_t out[][2] = {{front + 17, 500}, {500, 31}, {front + 18, 32 + ip_bytes - 1}};
	const uint16_t in[][2] = {{500, 31}, {ip_bytes - 1, 32 + ip_bytes - 1}};

	for (unsigned i = 0; i < RTE_DIM(out); i++)
		ck_assert_ptr_null(
			sent_of(pair.out, squeezed(packet_for(pair.out, 5), out[i][0], out[i][1])));
	for (unsigned i = 0; i < RTE_DIM(in); i++)
		ck_assert(!is_accepted(squeezed(arriving_whole(pair.in, sent), in[i][0], in[i][1])));
	ck_assert_uint_eq(dropped(DROP_out_buf), 3);
	ck_assert_uint_eq(dropped(DROP_in_buf), 2);
	ck_assert_uint_eq(pair.in->counters[0].drops[SA_DROP_in_buf], 2);
	ck_assert_uint_eq(env.drops.total, 5);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(the_last_number_is_used_and_none_after_it)
{
	struct sa_pair pair = pair_of(0);
	BURST(burst);

	atomic_store(&pair.out->seq.next, UINT32_MAX - 1);
	for (unsigned i = 0; i < 4; i++)
		burst_add_one(&burst, packet_for(pair.out, 5));
	protect(pair.out, &burst);
	ck_assert_uint_eq(burst.n, 2);
	ck_assert_uint_eq(dropped(DROP_out_seq_overflow), 2);
	for (uint16_t i = 0; i < burst.n; i++)
		rte_pktmbuf_free(burst.pkts[i]);
	sa_pair_destroy(&pair);
}
END_TEST

// LIF-1
START_TEST(a_lifetime_in_bytes_counts_what_the_icv_covers)
{
	struct sa_spec plain = kind_of(_i, "null-sha256"), limited = plain;
	struct sa *out = sa_of(&env, &plain, false), *limited_out, *limited_in;
	struct rte_mbuf *sent[4];

	sent[0] = sent_of(out, packet_for(out, 5));
	limited.limits[SA_LIMIT_BYTES].hard = 3 * (uint64_t)pkt_of(sent[0])->ip_len;
	limited_out = sa_of(&env, &limited, false);
	limited_in = sa_of(&env, &limited, true);
	for (unsigned i = 1; i < 4; i++)
		sent[i] = sent_of(out, packet_for(out, 5));
	for (unsigned i = 0; i < 4; i++) {
		struct rte_mbuf *m = sent_of(limited_out, packet_for(limited_out, 5));

		ck_assert_uint_eq(m != NULL, i < 3);
		ck_assert_uint_eq(is_accepted(arriving_whole(limited_in, sent[i])), i < 3);
		rte_pktmbuf_free(m);
	}
	/* Now that it has ended, no packet passes. */
	ck_assert_ptr_null(sent_of(limited_out, packet_for(limited_out, 5)));
	ck_assert(!is_accepted(arriving_whole(limited_in, sent[3])));
	ck_assert_uint_eq(dropped(DROP_out_expired), 2);
	ck_assert_uint_eq(dropped(DROP_in_expired), 2);
	for (unsigned i = 0; i < 4; i++)
		rte_pktmbuf_free(sent[i]);
	sa_destroy(out);
	sa_destroy(limited_out);
	sa_destroy(limited_in);
}
END_TEST

START_TEST(what_the_driver_failed_is_dropped)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, 5));
	struct burst burst = {.n = 1, .pkts = {arriving_whole(pair.in, sent)}};
	struct burst out = {.n = 1, .pkts = {packet_for(pair.out, 5)}};

	ah_in_prepare(&burst, &env.tally);
	pkt_of(burst.pkts[0])->flags |= PKT_CRYPTO_FAILED;
	ah_in_finish(&burst, &env.tally);
	pkt_of(out.pkts[0])->sa = pair.out;
	ah_out_prepare(&out, &env.tally);
	pkt_of(out.pkts[0])->flags |= PKT_CRYPTO_FAILED;
	ah_out_finish(&out, &env.tally);

	ck_assert_uint_eq(burst.n + out.n, 0);
	ck_assert_uint_eq(dropped(DROP_crypto_failed), 2);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 0);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(what_is_to_be_cut_or_copied_stays_marked)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *m = packet_for(pair.out, 5);

	pkt_of(m)->flags |= PKT_OUTER_CUT | PKT_LARGE;
	m = sent_of(pair.out, m);
	ck_assert_uint_eq(pkt_of(m)->flags, PKT_LOCAL | PKT_OUTER_CUT | PKT_LARGE);
	rte_pktmbuf_free(m);
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(the_inner_mtu_is_exact)
{
	struct sa_pair pair = pair_of(_i);

	for (uint16_t link = 1280; link < 1300; link++) {
		uint16_t mtu = sa_inner_mtu(pair.out, link);
		uint16_t head = pair.out->family == IP_V6 && sa_is_transport(pair.out) ? 48 : 28;
		struct rte_mbuf *sent = sent_of(pair.out, packet_for(pair.out, mtu - head));

		ck_assert_ptr_nonnull(sent);
		ck_assert_uint_eq(pkt_of(sent)->ip_len, link);
		rte_pktmbuf_free(sent);
	}
	sa_pair_destroy(&pair);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/ah");
	TCase *tcase = tcase_create("ah");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, what_is_protected_comes_out_as_it_was, 0, N_AUTHS * N_WAYS * N_KINDS);
	tcase_add_loop_test(tcase, every_byte_is_where_rfc_4302_has_it, 0, 4 * N_AUTHS);
	tcase_add_loop_test(tcase, what_may_change_on_the_way_is_accepted_and_nothing_else, 0, N_KINDS);
	tcase_add_loop_test(tcase, the_packet_is_left_as_it_came_changes_on_the_way_included, 0, 2);
	tcase_add_loop_test(tcase, a_packet_cut_at_any_length_is_dropped, 0, N_KINDS);
	tcase_add_loop_test(tcase, a_length_field_that_is_not_the_algorithms_is_malformed, 0, N_KINDS);
	tcase_add_loop_test(tcase, a_duplicate_a_late_one_and_number_zero_are_dropped_by_name, 0, 4);
	tcase_add_loop_test(tcase, the_upper_half_of_the_number_is_under_the_icv_and_not_sent, 0, 4);
	tcase_add_loop_test(tcase, each_ipv4_option_is_proven_or_may_change, 0, RTE_DIM(option_cases));
	tcase_add_test(tcase, what_is_behind_the_end_of_the_options_is_proven);
	tcase_add_loop_test(tcase, the_destination_behind_a_source_route_is_predicted, 0, 2);
	tcase_add_test(tcase, malformed_ipv4_options_are_dropped_both_ways);
	tcase_add_loop_test(tcase, option_data_of_ipv6_is_proven_unless_it_may_change_en_route, 0, 2);
	tcase_add_test(tcase, a_routing_header_of_type_0_is_proven_as_it_arrives);
	tcase_add_test(tcase, malformed_extension_headers_are_dropped);
	tcase_add_loop_test(tcase, congestion_marks_are_merged_out_of_a_tunnel, 0, 2);
	tcase_add_loop_test(tcase, the_next_header_is_checked, 0, 2);
	tcase_add_loop_test(
		tcase, the_ip_header_is_kept_behind_the_packet_where_there_is_no_room_in_front, 0, N_KINDS);
	tcase_add_loop_test(tcase, a_packet_without_room_is_dropped_by_name, 0, N_KINDS);
	tcase_add_test(tcase, the_last_number_is_used_and_none_after_it);
	tcase_add_loop_test(tcase, a_lifetime_in_bytes_counts_what_the_icv_covers, 0, N_KINDS);
	tcase_add_loop_test(tcase, what_the_driver_failed_is_dropped, 0, N_KINDS);
	tcase_add_loop_test(tcase, what_is_to_be_cut_or_copied_stays_marked, 0, N_KINDS);
	tcase_add_loop_test(tcase, the_inner_mtu_is_exact, 0, N_KINDS);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
