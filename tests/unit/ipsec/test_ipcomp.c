#include "ipsec/ipcomp.h"

#include "net/parse.h"
#include "net/rewrite.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>
#include <zlib.h>

#define CPI           0x1001
#define IPV4_BYTES    20
#define IPV6_BYTES    40
#define LARGE_PKTS    4
#define RANDOM_INPUTS 20000
#define LINUX_WINDOW  (-11) /* bits of the window that Linux decompresses with, raw */
#define WINDOW_MAX    (-15)

static struct crypto_env env;
static struct ipcomp *ipcomp;
static struct rte_mempool *large;
static struct rte_rcu_qsbr *qsbr;
static struct sad *sad;

static struct ipcomp *ipcomp_of(struct rte_mempool *pool)
{
	struct ipcomp_conf conf = {.large = pool, .socket = SOCKET_ID_ANY};
	struct ipcomp *made = NULL;
	struct err err;

	ck_assert_int_eq(ipcomp_create(&conf, &made, &err), 0);
	return made;
}

static void sad_begin(void)
{
	struct sad_conf conf = {.capacity = 8, .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct err err;

	qsbr = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(qsbr, 1);
	conf.qsbr = qsbr;
	ck_assert_int_eq(sad_create(&conf, &sad, &err), 0);
}

static void setup(void)
{
	eal_setup();
	crypto_env_begin(&env, CRYPTO_WAY_BEST);
	large = rte_mempool_lookup("large");
	if (!large)
		large = rte_pktmbuf_pool_create(
			"large", LARGE_PKTS, 0, sizeof(struct pkt), UINT16_MAX, SOCKET_ID_ANY);
	ck_assert_ptr_nonnull(large);
	ipcomp = ipcomp_of(large);
	sad_begin();
}

static void teardown(void)
{
	ck_assert_uint_eq(rte_mempool_in_use_count(large), 0);
	ipcomp_destroy(ipcomp);
	sad_destroy(sad);
	rte_free(qsbr);
	crypto_env_end(&env);
	eal_teardown();
}

/* Both ends of IPComp, and the SA around the inbound one. */
struct ends {
	struct sa_pair pair;
	struct sa *around;
};

static struct ends ends_create(enum sa_mode mode, uint8_t outer)
{
	struct sa_spec spec = {.protocol = SA_IPCOMP, .mode = mode, .outer = outer};
	struct sa_spec around = {.mode = SA_TRANSPORT, .outer = outer};
	struct ends ends = {.pair = sa_pair_create(&env, &spec), .around = sa_of(&env, &around, true)};
	struct err err;

	ck_assert_int_eq(sad_add(sad, ends.pair.in, &err), 0);
	ends.pair.in->around = ends.around;
	ends.around->has_inside = true;
	ends.around->ipcomp_inside = mode == SA_TUNNEL ? ends.pair.in : NULL;
	return ends;
}

static void ends_destroy(struct ends *ends)
{
	ck_assert_int_eq(sad_remove(sad, ends->pair.in), 0);
	sa_pair_destroy(&ends->pair);
	sa_destroy(ends->around);
}

/* The modes and families of a loop case. */
#define N_SHAPES 6

struct shape {
	enum sa_mode mode;
	uint8_t outer, inner;
};

static struct shape shape_of(int i)
{
	uint8_t outer = i & 1 ? IP_V6 : IP_V4, inner = i & 2 ? IP_V6 : IP_V4;

	if (i >= 4)
		return (struct shape){.mode = SA_TRANSPORT, .outer = outer, .inner = outer};
	return (struct shape){.mode = SA_TUNNEL, .outer = outer, .inner = inner};
}

/* True if it was compressed. The packet is for the SA around then. */
static bool send_one(struct sa *sa, struct rte_mbuf *m)
{
	uint64_t uncompressed = sa->counters[0].uncompressed;
	struct burst burst = {.n = 1, .pkts = {m}};

	pkt_of(m)->sa = sa;
	ipcomp_out(ipcomp, &burst, &env.tally);
	ck_assert_uint_eq(burst.n, 1);
	return sa->counters[0].uncompressed == uncompressed;
}

/* The packet as the SA around leaves it at the peer; the sent one is gone. */
static struct rte_mbuf *arriving(const struct ends *ends, struct rte_mbuf *sent)
{
	struct rte_mbuf *m = mbuf_of(rte_pktmbuf_mtod(sent, void *), sent->data_len);

	ck_assert(parse_inner_one(m, pkt_of(sent)->family));
	ck_assert_uint_eq(m->data_len, sent->data_len);
	ck_assert_uint_eq(pkt_of(m)->protocol, pkt_of(sent)->protocol);
	ck_assert_uint_eq(pkt_of(m)->l4, pkt_of(sent)->l4);
	pkt_of(m)->sa = ends->around;
	pkt_of(m)->flags |= PKT_DECAPSULATED;
	rte_pktmbuf_free(sent);
	return m;
}

/* What ipcomp_in leaves, or NULL. */
static struct rte_mbuf *receive_with(struct ipcomp *context, struct rte_mbuf *m)
{
	struct burst burst = {.n = 1, .pkts = {m}};

	ipcomp_in(context, &burst, sad, &env.tally);
	if (burst.n == 0)
		return NULL;
	ck_assert_uint_eq(burst.seen, pkt_of(burst.pkts[0])->flags);
	return burst.pkts[0];
}

static struct rte_mbuf *receive_one(struct rte_mbuf *m)
{
	return receive_with(ipcomp, m);
}

static uint64_t dropped(enum drop_reason reason)
{
	return env.drops.count[0][reason];
}

/* The ends of the SAs, so that a packet may be in transport mode too. */
static const char *source_of(uint8_t family)
{
	return family == IP_V4 ? "192.0.2.1" : "2001:db8::1";
}

static const char *destination_of(uint8_t family)
{
	return family == IP_V4 ? "198.51.100.1" : "2001:db8:1::1";
}

static struct rte_mbuf *compressible(uint8_t family, uint16_t payload_bytes)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.source = source_of(family),
		.destination = destination_of(family),
		.protocol = IPPROTO_EGP,
		.payload_bytes = payload_bytes,
		.traffic_class = 2});

	memset(rte_pktmbuf_mtod_offset(m, void *, pkt_of(m)->l4), 'a', payload_bytes);
	return m;
}

static struct rte_mbuf *incompressible(uint8_t family, uint16_t payload_bytes)
{
	struct rte_mbuf *m = compressible(family, payload_bytes);
	uint8_t *at = rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_of(m)->l4);

	for (uint16_t i = 0; i < payload_bytes; i++)
		at[i] = (uint8_t)(rand() >> 4);
	return m;
}

/* Half of it is noise. */
static struct rte_mbuf *mixed(uint8_t family, uint16_t payload_bytes)
{
	struct rte_mbuf *m = incompressible(family, payload_bytes);

	memset(rte_pktmbuf_mtod_offset(m, void *, pkt_of(m)->l4), 'b', payload_bytes / 2);
	return m;
}

static struct rte_mbuf *copy_of(struct rte_mbuf *m)
{
	struct rte_mbuf *copy = mbuf_of(rte_pktmbuf_mtod(m, void *), m->data_len);

	ck_assert(parse_inner_one(copy, pkt_of(m)->family));
	return copy;
}

static void ck_assert_same_packet(struct rte_mbuf *a, struct rte_mbuf *b)
{
	ck_assert_uint_eq(a->data_len, b->data_len);
	ck_assert_uint_eq(a->pkt_len, b->pkt_len);
	ck_assert_mem_eq(rte_pktmbuf_mtod(a, void *), rte_pktmbuf_mtod(b, void *), a->data_len);
	ck_assert_uint_eq(pkt_of(a)->family, pkt_of(b)->family);
	ck_assert_uint_eq(pkt_of(a)->protocol, pkt_of(b)->protocol);
	ck_assert_uint_eq(pkt_of(a)->ip_len, pkt_of(b)->ip_len);
	ck_assert_uint_eq(pkt_of(a)->l4, pkt_of(b)->l4);
}

// IPC-1, IPC-2
START_TEST(packets_of_every_size_come_back_as_they_were)
{
	static struct rte_mbuf *(*const kinds[])(uint8_t, uint16_t) = {compressible, incompressible, mixed};
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	uint64_t n = 0, n_compressed = 0, bytes = 0;

	for (unsigned kind = 0; kind < RTE_DIM(kinds); kind++)
		for (uint16_t size = 0; size < 1400; size += 1 + size / 100) {
			struct rte_mbuf *m = kinds[kind](shape.inner, size);
			struct rte_mbuf *original = copy_of(m), *back;
			uint16_t length = m->data_len, around = ends.pair.out->outer_bytes;
			bool compressed = send_one(ends.pair.out, m);

			ck_assert_int_eq(compressed, pkt_of(m)->protocol == IPPROTO_COMP);
			/* Shorter with the header, or exactly what there was. */
			if (compressed)
				ck_assert_uint_lt(m->data_len, length + around);
			else
				ck_assert_uint_eq(m->data_len, length + around);
			ck_assert_uint_eq(pkt_of(m)->ip_len, m->data_len);
			back = receive_one(arriving(&ends, m));
			ck_assert_ptr_nonnull(back);
			ck_assert_same_packet(back, original);
			n++;
			n_compressed += compressed;
			bytes += original->data_len;
			rte_pktmbuf_free(original);
			rte_pktmbuf_free(back);
		}

	ck_assert_uint_gt(n_compressed, n / 3);
	ck_assert_uint_lt(n_compressed, n);
	ck_assert_uint_eq(ends.pair.out->counters[0].packets, n);
	ck_assert_uint_eq(ends.pair.out->counters[0].bytes, bytes);
	ck_assert_uint_eq(ends.pair.out->counters[0].uncompressed, n - n_compressed);
	ck_assert_uint_eq(ends.pair.in->counters[0].packets, shape.mode == SA_TUNNEL ? n : n_compressed);
	ck_assert_uint_eq(
		ends.pair.in->counters[0].uncompressed, shape.mode == SA_TUNNEL ? n - n_compressed : 0);
	ck_assert_uint_eq(env.drops.total, 0);
	ends_destroy(&ends);
}
END_TEST

/* Decompress with a window of that many bits; the length. */
static size_t raw_inflate(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes, int window)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)in,
		.avail_in = (unsigned)in_bytes,
		.next_out = out,
		.avail_out = (unsigned)out_bytes};
	size_t length;

	ck_assert_int_eq(inflateInit2(&z, window), Z_OK);
	/* In steps, so that the window is all that zlib remembers. */
	while (z.avail_in > 0) {
		z.avail_out = RTE_MIN(64u, (unsigned)(out_bytes - z.total_out));
		int ret = inflate(&z, Z_SYNC_FLUSH);

		if (ret == Z_STREAM_END)
			break;
		ck_assert_int_eq(ret, Z_OK);
	}
	ck_assert_uint_eq(z.avail_in, 0);
	length = z.total_out;
	inflateEnd(&z);
	return length;
}

// IPC-1: the header of RFC 3173 section 3, and the least window that a receiver has.
START_TEST(a_compressed_packet_is_exact)
{
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	struct rte_mbuf *m = incompressible(shape.inner, 1100);
	uint8_t *payload = rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_of(m)->l4);
	struct rte_mbuf *original;
	uint8_t out[2048];

	/* Distances up to 1000 bytes. */
	memcpy(payload + 1000, payload, 100);
	original = copy_of(m);
	ck_assert(send_one(ends.pair.out, m));

	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t l4 = pkt_of(m)->l4;
	uint16_t from = shape.mode == SA_TRANSPORT ? pkt_of(original)->l4 : 0;
	uint8_t next = shape.inner == IP_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	if (shape.mode == SA_TRANSPORT)
		next = IPPROTO_EGP;
	ck_assert_uint_eq(bytes[l4], next);
	ck_assert_uint_eq(bytes[l4 + 1], 0);
	ck_assert_uint_eq(bytes[l4 + 2] << 8 | bytes[l4 + 3], CPI);
	ck_assert_uint_eq(raw_inflate(bytes + l4 + 4, m->data_len - l4 - 4u, out, sizeof(out), LINUX_WINDOW),
		original->data_len - from);
	ck_assert_mem_eq(out, rte_pktmbuf_mtod_offset(original, void *, from), original->data_len - from);
	ck_assert(!(pkt_of(m)->flags & (PKT_HAS_PORTS | PKT_LARGE)));
	ck_assert(pkt_of(m)->flags & PKT_LOCAL);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(original);
	ends_destroy(&ends);
}
END_TEST

// IPC-2
START_TEST(in_transport_mode_what_does_not_get_shorter_is_left_as_it_is)
{
	struct ends ends = ends_create(SA_TRANSPORT, IP_V4);
	struct rte_mbuf *m = incompressible(IP_V4, 1000);
	struct rte_mbuf *original = copy_of(m);

	ck_assert(!send_one(ends.pair.out, m));

	ck_assert_same_packet(m, original);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(original);
	ends_destroy(&ends);
}
END_TEST

// IPC-2, TUN-1
START_TEST(in_tunnel_mode_what_does_not_get_shorter_has_the_tunnels_header_alone)
{
	uint8_t outer = _i & 1 ? IP_V6 : IP_V4, inner = _i & 2 ? IP_V6 : IP_V4;
	struct ends ends = ends_create(SA_TUNNEL, outer);
	struct rte_mbuf *m = incompressible(inner, 1000);
	struct rte_mbuf *original = copy_of(m);
	uint8_t next = inner == IP_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	ck_assert(!send_one(ends.pair.out, m));

	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);

	ck_assert_uint_eq(m->data_len, original->data_len + ends.pair.out->outer_bytes);
	ck_assert_uint_eq(bytes[outer == IP_V4 ? 9 : 6], next);
	ck_assert_mem_eq(
		bytes + ends.pair.out->outer_bytes, rte_pktmbuf_mtod(original, void *), original->data_len);
	if (outer == IP_V4)
		ck_assert_uint_eq(packet_checksum(bytes, IPV4_BYTES, 0), 0);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(original);
	ends_destroy(&ends);
}
END_TEST

// IPC-2
START_TEST(less_than_the_least_is_not_tried)
{
	struct ends ends = ends_create(SA_TRANSPORT, IP_V4);

	for (int more = 0; more < 2; more++) {
		struct rte_mbuf *m = compressible(IP_V4, (uint16_t)(IPCOMP_TRIED_BYTES_MIN - 1 + more));

		ck_assert_int_eq(send_one(ends.pair.out, m), more);
		rte_pktmbuf_free(m);
	}
	ends_destroy(&ends);
}
END_TEST

// IPC-5
START_TEST(fragments_are_never_compressed)
{
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	const struct packet_spec pieces[] = {
		{.family = shape.inner, .payload_bytes = 800, .more_fragments = true},
		{.family = shape.inner, .payload_bytes = 800, .fragment_offset_bytes = 808},
	};

	for (unsigned i = 0; i < RTE_DIM(pieces); i++) {
		struct rte_mbuf *m = packet_mbuf(&pieces[i]);

		memset(rte_pktmbuf_mtod_offset(m, void *, pkt_of(m)->l4 + 8), 0, 700);
		ck_assert(!send_one(ends.pair.out, m));
		ck_assert_uint_ne(pkt_of(m)->protocol, IPPROTO_COMP);
		rte_pktmbuf_free(m);
	}
	ends_destroy(&ends);
}
END_TEST

/* Any payload behind a header of IPComp, as it arrives. */
static struct rte_mbuf *ipcomp_packet(
	struct ends *ends, uint8_t next_header, const void *payload, uint16_t payload_bytes)
{
	uint8_t family = ends->around->family;
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.source = source_of(family),
		.destination = destination_of(family),
		.protocol = IPPROTO_COMP,
		.payload_bytes = payload_bytes + 4u});
	uint8_t *header = rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_of(m)->l4);

	header[0] = next_header;
	header[1] = 0;
	header[2] = CPI >> 8;
	header[3] = CPI & UINT8_MAX;
	memcpy(header + 4, payload, payload_bytes);
	pkt_of(m)->sa = ends->around;
	return m;
}

static uint16_t raw_deflate(const void *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)in,
		.avail_in = (unsigned)in_bytes,
		.next_out = out,
		.avail_out = (unsigned)out_bytes};

	ck_assert_int_eq(
		deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW_MAX, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return (uint16_t)(out_bytes - z.avail_out);
}

static struct rte_mbuf *zeros_packet(struct ends *ends, size_t bytes)
{
	static uint8_t zeros[1 << 20];
	uint8_t out[1500];
	uint16_t n = raw_deflate(zeros, bytes, out, sizeof(out));

	return ipcomp_packet(ends, IPPROTO_EGP, out, n);
}

// IPC-4
START_TEST(the_longest_packet_is_decompressed_and_one_byte_more_is_dropped)
{
	uint8_t family = _i ? IP_V6 : IP_V4;
	struct ends ends = ends_create(SA_TRANSPORT, family);
	uint16_t header = family == IP_V4 ? IPV4_BYTES : IPV6_BYTES;
	struct rte_mbuf *m = receive_one(zeros_packet(&ends, UINT16_MAX - header));

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->data_len, UINT16_MAX);
	ck_assert_uint_eq(pkt_of(m)->ip_len, UINT16_MAX);
	ck_assert(pkt_of(m)->flags & PKT_LARGE);
	ck_assert_uint_eq(*rte_pktmbuf_mtod_offset(m, uint8_t *, UINT16_MAX - 1), 0);
	rte_pktmbuf_free(m);

	ck_assert_ptr_null(receive_one(zeros_packet(&ends, UINT16_MAX - header + 1u)));
	ck_assert_ptr_null(receive_one(zeros_packet(&ends, 1 << 20)));

	ck_assert_uint_eq(dropped(DROP_in_ipcomp), 2);
	ck_assert_uint_eq(ends.pair.in->counters[0].drops[SA_DROP_in_ipcomp], 2);
	ck_assert_uint_eq(ends.pair.in->counters[0].packets, 1);
	ck_assert_uint_eq(ends.pair.in->counters[0].bytes, UINT16_MAX);
	ends_destroy(&ends);
}
END_TEST

START_TEST(without_a_large_buffer_a_long_packet_is_dropped_and_a_usual_one_is_not)
{
	struct ends ends = ends_create(SA_TRANSPORT, IP_V4);
	/* The default has headroom in it. */
	uint16_t longest = RTE_MBUF_DEFAULT_BUF_SIZE - RTE_PKTMBUF_HEADROOM - IPCOMP_TAILROOM_BYTES;
	struct ipcomp *without = ipcomp_of(NULL);
	struct rte_mbuf *m;

	m = receive_with(without, zeros_packet(&ends, longest - IPV4_BYTES));
	ck_assert_ptr_nonnull(m);
	ck_assert(!(pkt_of(m)->flags & PKT_LARGE));
	ck_assert_uint_ge(rte_pktmbuf_tailroom(m), IPCOMP_TAILROOM_BYTES);
	rte_pktmbuf_free(m);
	ck_assert_ptr_null(receive_with(without, zeros_packet(&ends, longest - IPV4_BYTES + 1)));

	ck_assert_uint_eq(dropped(DROP_in_buf), 1);
	ck_assert_uint_eq(ends.pair.in->counters[0].drops[SA_DROP_in_buf], 1);
	ipcomp_destroy(without);
	ends_destroy(&ends);
}
END_TEST

/* A large buffer is not for ports, however short what is in it has become. */
START_TEST(a_packet_stays_in_a_large_buffer)
{
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	struct rte_mbuf *m = compressible(shape.inner, 1000);

	pkt_of(m)->flags |= PKT_LARGE;
	ck_assert(send_one(ends.pair.out, m));
	ck_assert(pkt_of(m)->flags & PKT_LARGE);
	rte_pktmbuf_free(m);
	ends_destroy(&ends);
}
END_TEST

static struct rte_mbuf *compressed_packet(struct ends *ends, uint8_t inner, uint16_t payload_bytes)
{
	struct rte_mbuf *m = mixed(inner, payload_bytes);

	ck_assert(send_one(ends->pair.out, m));
	return arriving(ends, m);
}

/* As it lies there, with another length. */
static struct rte_mbuf *resized(struct rte_mbuf *m, int more)
{
	struct rte_mbuf *copy = mbuf_of(rte_pktmbuf_mtod(m, void *), m->data_len);

	*pkt_of(copy) = *pkt_of(m);
	if (more > 0)
		memset(rte_pktmbuf_append(copy, (uint16_t)more), 0, (uint16_t)more);
	else
		rte_pktmbuf_trim(copy, (uint16_t)-more);
	pkt_of(copy)->ip_len = copy->data_len;
	return copy;
}

START_TEST(a_stream_that_does_not_end_with_the_packet_is_dropped)
{
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	struct rte_mbuf *m = compressed_packet(&ends, shape.inner, 600);
	uint16_t payload_bytes = m->data_len - pkt_of(m)->l4 - IPCOMP_BYTES;
	uint64_t n = 0;
	struct rte_mbuf *whole;

	for (int less = 1; less <= payload_bytes; less++, n++)
		ck_assert_ptr_null(receive_one(resized(m, -less)));
	for (int more = 1; more < 20; more++, n++)
		ck_assert_ptr_null(receive_one(resized(m, more)));

	ck_assert_uint_eq(dropped(DROP_in_ipcomp), n);
	/* What failed left nothing behind. */
	whole = receive_one(m);
	ck_assert_ptr_nonnull(whole);
	rte_pktmbuf_free(whole);
	ends_destroy(&ends);
}
END_TEST

/* What is kept is one packet and whole. */
static void ck_assert_sound(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	ck_assert_uint_eq(m->nb_segs, 1);
	ck_assert_uint_eq(m->data_len, p->ip_len);
	ck_assert_uint_eq(m->pkt_len, p->ip_len);
	ck_assert_uint_le(p->l4, p->ip_len);
	ck_assert_uint_le((uint32_t)m->data_off + m->data_len, m->buf_len);
	ck_assert(p->flags & PKT_DECAPSULATED);
}

START_TEST(a_packet_with_any_byte_changed_is_dropped_or_another_packet)
{
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	struct rte_mbuf *m = compressed_packet(&ends, shape.inner, 300);
	unsigned kept = 0, n = 0;

	for (uint16_t at = pkt_of(m)->l4; at < m->data_len; at++)
		for (unsigned bit = 0; bit < 8; bit++, n++) {
			struct rte_mbuf *changed = resized(m, 0), *out;

			rte_pktmbuf_mtod(changed, uint8_t *)[at] ^= (uint8_t)(1u << bit);
			out = receive_one(changed);
			kept += out != NULL;
			if (out)
				ck_assert_sound(out);
			rte_pktmbuf_free(out);
		}

	ck_assert_uint_eq(env.drops.total + kept, n);
	ck_assert_uint_gt(dropped(DROP_in_ipcomp), 100);
	rte_pktmbuf_free(m);
	ends_destroy(&ends);
}
END_TEST

START_TEST(random_bytes_never_crash_it)
{
	struct shape shape = shape_of(_i);
	struct ends ends = ends_create(shape.mode, shape.outer);
	static const uint8_t next_headers[] = {IPPROTO_IPIP, IPPROTO_IPV6, IPPROTO_UDP, IPPROTO_COMP};
	uint8_t bytes[200];
	unsigned kept = 0;

	for (unsigned i = 0; i < RANDOM_INPUTS; i++) {
		uint16_t length = (uint16_t)(rand() % (int)sizeof(bytes));
		struct rte_mbuf *out;

		for (uint16_t j = 0; j < length; j++)
			bytes[j] = (uint8_t)(rand() >> 4);
		out = receive_one(ipcomp_packet(&ends, next_headers[i % 4], bytes, length));
		kept += out != NULL;
		if (out)
			ck_assert_sound(out);
		rte_pktmbuf_free(out);
	}

	ck_assert_uint_eq(env.drops.total + kept, RANDOM_INPUTS);
	ends_destroy(&ends);
}
END_TEST

// IPC-1: RFC 3173 section 3.1; the flags are ignored.
START_TEST(in_tunnel_mode_only_ip_may_follow_and_flags_mean_nothing)
{
	struct ends ends = ends_create(SA_TUNNEL, IP_V4);
	struct rte_mbuf *m = compressed_packet(&ends, IP_V4, 600), *out;
	uint64_t n = 0;

	for (unsigned next = 0; next <= UINT8_MAX; next++) {
		struct rte_mbuf *changed = resized(m, 0);

		rte_pktmbuf_mtod(changed, uint8_t *)[IPV4_BYTES] = (uint8_t)next;
		out = receive_one(changed);
		ck_assert_int_eq(out != NULL, next == IPPROTO_IPIP);
		n += out == NULL;
		rte_pktmbuf_free(out);
	}
	ck_assert_uint_eq(dropped(DROP_in_ipcomp), n);

	rte_pktmbuf_mtod(m, uint8_t *)[IPV4_BYTES + 1] = UINT8_MAX;
	out = receive_one(m);
	ck_assert_ptr_nonnull(out);
	rte_pktmbuf_free(out);
	ends_destroy(&ends);
}
END_TEST

// TUN-7: the codepoints that change or drop the packet, of the 16; compressed, and not.
START_TEST(congestion_marks_of_the_tunnels_header_are_merged)
{
	static const struct {
		uint8_t inner, outer;
		int merged; /* -1: dropped */
	} cells[] = {{0, 3, -1}, {1, 3, 3}, {2, 1, 1}, {2, 3, 3}, {3, 0, 3}, {0, 2, 0}};
	struct ends ends = ends_create(SA_TUNNEL, _i & 2 ? IP_V6 : IP_V4);

	for (unsigned i = 0; i < RTE_DIM(cells); i++) {
		struct rte_mbuf *m = _i & 1 ? compressible(IP_V4, 500) : incompressible(IP_V4, 500);

		traffic_class_set_one(m, cells[i].inner);
		ck_assert_int_eq(send_one(ends.pair.out, m), _i & 1);
		ck_assert_uint_eq(traffic_class_get_one(m), cells[i].inner);
		traffic_class_set_one(m, cells[i].outer);
		m = receive_one(arriving(&ends, m));
		ck_assert_int_eq(m == NULL, cells[i].merged < 0);
		if (m)
			ck_assert_uint_eq(traffic_class_get_one(m), (uint8_t)cells[i].merged);
		rte_pktmbuf_free(m);
	}

	ck_assert_uint_eq(dropped(DROP_in_ecn), 1);
	ends_destroy(&ends);
}
END_TEST

/* Spoil the tunnel's header of an uncompressed packet; true if the inner packet is left all the same. */
static bool is_unwrapped(struct ends *ends, uint8_t outer, int at, uint8_t flip)
{
	struct rte_mbuf *m = incompressible(IP_V4, 500);
	bool unwrapped;

	ck_assert(!send_one(ends->pair.out, m));
	m = arriving(ends, m);
	if (at >= 0)
		rte_pktmbuf_mtod(m, uint8_t *)[at] ^= flip;
	m = receive_one(m);
	ck_assert_ptr_nonnull(m);
	unwrapped = pkt_of(m)->sa == ends->pair.in;
	ck_assert_uint_eq(pkt_of(m)->protocol, unwrapped ? IPPROTO_EGP : IPPROTO_IPIP);
	ck_assert_uint_eq(pkt_of(m)->family, unwrapped ? IP_V4 : outer);
	rte_pktmbuf_free(m);
	return unwrapped;
}

// IPC-2
START_TEST(only_between_the_ends_of_the_sa_the_tunnels_header_is_taken_off)
{
	uint8_t outer = _i ? IP_V6 : IP_V4;
	struct ends ends = ends_create(SA_TUNNEL, outer);
	int source = outer == IP_V4 ? 12 : 8, destination = outer == IP_V4 ? 16 : 24;

	ck_assert(is_unwrapped(&ends, outer, -1, 0));
	ck_assert(!is_unwrapped(&ends, outer, source + 3, 1));
	ck_assert(!is_unwrapped(&ends, outer, destination, 1));
	ends.around->ipcomp_inside = NULL;
	ck_assert(!is_unwrapped(&ends, outer, -1, 0));
	ends_destroy(&ends);
}
END_TEST

// IPC-3
START_TEST(only_the_sa_of_the_cpi_that_is_inside_takes_a_packet)
{
	struct ends ends = ends_create(SA_TUNNEL, IP_V4);
	struct rte_mbuf *m = compressed_packet(&ends, IP_V4, 600), *changed = resized(m, 0), *out;

	rte_pktmbuf_mtod(changed, uint8_t *)[IPV4_BYTES + 3] ^= 1;
	ck_assert_ptr_null(receive_one(changed));
	ck_assert_uint_eq(dropped(DROP_in_no_sa), 1);

	ends.pair.in->around = NULL;
	ck_assert_ptr_null(receive_one(resized(m, 0)));
	ck_assert_uint_eq(dropped(DROP_in_bundle), 1);

	/* The SA that it came out of is around nothing: whose it is, others decide. */
	ends.around->has_inside = false;
	out = receive_one(m);
	ck_assert_ptr_eq(out, m);
	ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_COMP);
	rte_pktmbuf_free(m);
	ends_destroy(&ends);
}
END_TEST

// LIF-1
START_TEST(an_sa_whose_time_is_over_carries_nothing)
{
	struct ends ends = ends_create(SA_TUNNEL, IP_V4);
	struct rte_mbuf *compressed = compressible(IP_V4, 500), *plain = incompressible(IP_V4, 500);
	struct rte_mbuf *late = compressible(IP_V4, 500);
	struct burst burst = {.n = 1, .pkts = {late}};

	ck_assert(send_one(ends.pair.out, compressed));
	ck_assert(!send_one(ends.pair.out, plain));
	atomic_store(&ends.pair.in->special, SA_ENDED);
	ck_assert_ptr_null(receive_one(arriving(&ends, compressed)));
	ck_assert_ptr_null(receive_one(arriving(&ends, plain)));
	atomic_store(&ends.pair.out->special, SA_ENDED);
	pkt_of(late)->sa = ends.pair.out;
	ipcomp_out(ipcomp, &burst, &env.tally);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(ends.pair.in->counters[0].drops[SA_DROP_in_expired], 2);
	ck_assert_uint_eq(ends.pair.out->counters[0].drops[SA_DROP_out_expired], 1);
	ends_destroy(&ends);
}
END_TEST

START_TEST(compressed_and_uncompressed_packets_keep_their_order)
{
	struct ends ends = ends_create(SA_TUNNEL, IP_V4);
	BURST(burst);

	for (uint16_t i = 0; i < BURST_MAX; i++) {
		struct rte_mbuf *m = i % 3 ? compressible(IP_V4, 200 + i) : incompressible(IP_V4, 200 + i);

		ck_assert_int_eq(send_one(ends.pair.out, m), i % 3 != 0);
		burst_add_one(&burst, arriving(&ends, m));
	}
	ipcomp_in(ipcomp, &burst, sad, &env.tally);

	ck_assert_uint_eq(burst.n, BURST_MAX);
	for (uint16_t i = 0; i < burst.n; i++)
		ck_assert_uint_eq(burst.pkts[i]->data_len, IPV4_BYTES + 200 + i);
	drop_burst(&env.drops, &burst, DROP_shutdown);
	ends_destroy(&ends);
}
END_TEST

START_TEST(a_tunnels_header_around_no_packet_is_dropped)
{
	struct ends ends = ends_create(SA_TUNNEL, IP_V4);
	struct rte_mbuf *m = incompressible(IP_V4, 500);

	ck_assert(!send_one(ends.pair.out, m));
	m = arriving(&ends, m);
	rte_pktmbuf_mtod(m, uint8_t *)[IPV4_BYTES] ^= 0x20;
	ck_assert_ptr_null(receive_one(m));

	ck_assert_uint_eq(dropped(DROP_in_ipcomp), 1);
	ends_destroy(&ends);
}
END_TEST

START_TEST(without_room_for_the_tunnels_header_a_packet_is_dropped)
{
	struct ends ends = ends_create(SA_TUNNEL, IP_V4);
	struct rte_mbuf *m = compressible(IP_V4, 500);
	struct burst burst = {.n = 1, .pkts = {m}};

	memmove(m->buf_addr, rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = 0;
	pkt_of(m)->sa = ends.pair.out;
	ipcomp_out(ipcomp, &burst, &env.tally);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(ends.pair.out->counters[0].drops[SA_DROP_out_buf], 1);
	ends_destroy(&ends);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipcomp");
	TCase *tcase = tcase_create("ipcomp");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, packets_of_every_size_come_back_as_they_were, 0, N_SHAPES);
	tcase_add_loop_test(tcase, a_compressed_packet_is_exact, 0, N_SHAPES);
	tcase_add_test(tcase, in_transport_mode_what_does_not_get_shorter_is_left_as_it_is);
	tcase_add_loop_test(
		tcase, in_tunnel_mode_what_does_not_get_shorter_has_the_tunnels_header_alone, 0, 4);
	tcase_add_test(tcase, less_than_the_least_is_not_tried);
	tcase_add_loop_test(tcase, fragments_are_never_compressed, 0, N_SHAPES);
	tcase_add_loop_test(tcase, the_longest_packet_is_decompressed_and_one_byte_more_is_dropped, 0, 2);
	tcase_add_test(tcase, without_a_large_buffer_a_long_packet_is_dropped_and_a_usual_one_is_not);
	tcase_add_loop_test(tcase, a_packet_stays_in_a_large_buffer, 0, N_SHAPES);
	tcase_add_loop_test(tcase, a_stream_that_does_not_end_with_the_packet_is_dropped, 0, N_SHAPES);
	tcase_add_loop_test(tcase, a_packet_with_any_byte_changed_is_dropped_or_another_packet, 0, N_SHAPES);
	tcase_add_loop_test(tcase, random_bytes_never_crash_it, 0, N_SHAPES);
	tcase_add_test(tcase, in_tunnel_mode_only_ip_may_follow_and_flags_mean_nothing);
	tcase_add_loop_test(tcase, congestion_marks_of_the_tunnels_header_are_merged, 0, 4);
	tcase_add_loop_test(tcase, only_between_the_ends_of_the_sa_the_tunnels_header_is_taken_off, 0, 2);
	tcase_add_test(tcase, only_the_sa_of_the_cpi_that_is_inside_takes_a_packet);
	tcase_add_test(tcase, an_sa_whose_time_is_over_carries_nothing);
	tcase_add_test(tcase, compressed_and_uncompressed_packets_keep_their_order);
	tcase_add_test(tcase, a_tunnels_header_around_no_packet_is_dropped);
	tcase_add_test(tcase, without_room_for_the_tunnels_header_a_packet_is_dropped);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
