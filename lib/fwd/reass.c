#include "fwd/reass.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include <rte_cycles.h>
#include <rte_jhash.h>
#include <rte_malloc.h>
#include <rte_random.h>

#include "net/ipv6_extension.h"
#include "net/parse.h"
#include "net/rewrite.h"
#include "net/stage.h"

#define BUCKETS             1024u /* a power of two */
#define SOURCES             256u  /* hash buckets of source addresses; a power of two */
#define SOURCE_SHARE        4     /* what one of them may hold: a quarter, and two whole packets */
#define FAMILIES            2
#define PACKET_BYTES_MAX    65535
#define FRAGMENT_UNIT_BYTES 8 /* of offsets, and of all lengths but the last one's */
#define ECN_MASK            0x03
#define ECN_CE              0x03
#define ECN_SEEN(ecn)       (uint8_t)(1u << (ecn))

/*
 * Fragments belong together by this. Where they came from is in it, so that what comes in clear is never
 * mixed with what came out of a tunnel.
 */
struct datagram_key {
	uint8_t source[16];
	uint8_t destination[16];
	rte_be32_t id;
	uint8_t family;
	uint8_t protocol; /* IPv4 */
	uint8_t port_in;
	uint8_t zero;
	const struct sa *sa; /* that it came out of, or NULL */
};

_Static_assert(sizeof(struct datagram_key) == 48, "no padding, since the whole key is hashed and compared");

/* A fragment that waits. */
struct piece {
	struct rte_mbuf *m;
	struct piece *next; /* behind it in the packet, or the next free one */
	uint32_t offset;    /* in the packet's payload */
	uint32_t bytes;     /* of payload */
	uint16_t payload;   /* where that is in m */
};

/* A packet of which not all has come. */
struct datagram {
	TAILQ_ENTRY(datagram) by_age;
	TAILQ_ENTRY(datagram) by_source;
	LIST_ENTRY(datagram) by_key; /* free ones too */
	struct datagram_key key;
	uint64_t started_tsc;
	struct piece *pieces; /* in the order of their offsets */
	uint32_t end;         /* bytes of the whole payload; 0 until the last fragment is there */
	uint32_t reach;       /* end of the piece that reaches farthest */
	uint32_t bytes;       /* in all pieces */
	uint16_t n;
	uint16_t longest_bytes;
	uint16_t source;  /* index of the bucket */
	uint8_t ecn_seen; /* bits 1 << codepoint */
	bool df;          /* in any fragment */
	bool spoiled;     /* there was an overlap: nothing of it is taken any more */
};

TAILQ_HEAD(datagram_queue, datagram);
LIST_HEAD(datagram_list, datagram);

struct source {
	struct datagram_queue datagrams; /* the oldest first */
	uint32_t n_pieces;
};

struct reass {
	struct reass_counters counters;
	uint32_t pkts_max;
	uint32_t source_pieces_max;
	uint32_t seed;
	uint64_t timeout_tsc[FAMILIES];
	struct datagram_queue age[FAMILIES]; /* the oldest first */
	struct datagram_list free_datagrams;
	struct piece *free_pieces;
	struct rte_mempool *large;
	struct datagram_list buckets[BUCKETS];
	struct source sources[SOURCES];
	struct datagram *datagrams;
	struct piece *pieces;
};

/* What a fragment's headers say. */
struct fragment {
	uint32_t offset;
	uint32_t bytes;
	uint16_t payload; /* where it begins in the mbuf */
	bool more;
	bool df;
	rte_be32_t id;
	uint8_t protocol;
};

static unsigned family_index(uint8_t family)
{
	return family == IP_V4 ? 0 : 1;
}

static void lists_init(struct reass *r, uint32_t pkts_max)
{
	for (unsigned i = 0; i < FAMILIES; i++)
		TAILQ_INIT(&r->age[i]);
	for (unsigned i = 0; i < SOURCES; i++)
		TAILQ_INIT(&r->sources[i].datagrams);
	for (uint32_t i = 0; i < pkts_max; i++) {
		LIST_INSERT_HEAD(&r->free_datagrams, &r->datagrams[i], by_key);
		r->pieces[i].next = r->free_pieces;
		r->free_pieces = &r->pieces[i];
	}
}

int reass_create(const struct reass_conf *conf, struct reass **out, struct err *err)
{
	uint32_t n = RTE_MAX(conf->pkts_max, (uint32_t)REASS_PKTS_MIN);
	struct reass *r = rte_zmalloc_socket("reass", sizeof(*r), RTE_CACHE_LINE_SIZE, conf->socket);

	if (r) {
		r->datagrams = rte_zmalloc_socket(
			"reass_datagrams", n * sizeof(*r->datagrams), RTE_CACHE_LINE_SIZE, conf->socket);
		r->pieces = rte_zmalloc_socket(
			"reass_pieces", n * sizeof(*r->pieces), RTE_CACHE_LINE_SIZE, conf->socket);
	}
	if (!r || !r->datagrams || !r->pieces) {
		reass_destroy(r);
		return err_set(err, ENOMEM, "no memory for the fragments that a worker may hold");
	}
	r->pkts_max = n;
	r->large = conf->large;
	r->source_pieces_max = RTE_MAX(n / SOURCE_SHARE, 2u * REASS_FRAGMENTS_MAX);
	r->seed = (uint32_t)rte_rand();
	r->timeout_tsc[family_index(IP_V4)] = REASS_IPV4_SECONDS * rte_get_tsc_hz();
	r->timeout_tsc[family_index(IP_V6)] = REASS_IPV6_SECONDS * rte_get_tsc_hz();
	lists_init(r, n);
	*out = r;
	return 0;
}

void reass_destroy(struct reass *r)
{
	if (!r)
		return;
	assert(r->counters.held == 0);
	rte_free(r->datagrams);
	rte_free(r->pieces);
	rte_free(r);
}

const struct reass_counters *reass_counters(const struct reass *r)
{
	return &r->counters;
}

static struct fragment ipv4_fragment_read(struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = pkt_ipv4(m);
	uint16_t field = rte_be_to_cpu_16(ip->fragment_offset);

	return (struct fragment){
		.offset = (field & RTE_IPV4_HDR_OFFSET_MASK) * (uint32_t)RTE_IPV4_HDR_OFFSET_UNITS,
		.bytes = pkt_of(m)->ip_len - rte_ipv4_hdr_len(ip),
		.payload = rte_ipv4_hdr_len(ip),
		.more = (field & RTE_IPV4_HDR_MF_FLAG) != 0,
		.df = (field & RTE_IPV4_HDR_DF_FLAG) != 0,
		.id = ip->packet_id,
		.protocol = ip->next_proto_id,
	};
}

/* Where the fragment header is, which parse has seen; *link is where the header before says so. */
static uint16_t ipv6_fragment_header_find(const uint8_t *ip, uint16_t *link)
{
	uint32_t at = sizeof(struct rte_ipv6_hdr);

	*link = offsetof(struct rte_ipv6_hdr, proto);
	while (ip[*link] != IPPROTO_FRAGMENT) {
		uint32_t bytes = ipv6_extension_bytes(ip[*link], ip[at + 1]);

		*link = (uint16_t)at;
		at += bytes;
	}
	return (uint16_t)at;
}

static struct fragment ipv6_fragment_read(struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t link;
	uint16_t at = ipv6_fragment_header_find(ip, &link);
	uint16_t payload = at + IPV6_FRAGMENT_HEADER_BYTES;
	struct fragment f = {.payload = payload, .bytes = pkt_of(m)->ip_len - payload};
	rte_be16_t field;

	memcpy(&field, ip + at + 2, sizeof(field));
	memcpy(&f.id, ip + at + 4, sizeof(f.id));
	f.offset = rte_be_to_cpu_16(field) & 0xfff8u;
	f.more = (rte_be_to_cpu_16(field) & 1u) != 0;
	return f;
}

static struct fragment fragment_read(struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V4 ? ipv4_fragment_read(m) : ipv6_fragment_read(m);
}

static bool fragment_is_possible(const struct fragment *f)
{
	if (f->bytes == 0 || f->offset + f->bytes > PACKET_BYTES_MAX)
		return false;
	return !f->more || f->bytes % FRAGMENT_UNIT_BYTES == 0;
}

static struct datagram_key key_make(struct rte_mbuf *m, const struct fragment *f)
{
	const struct pkt *p = pkt_of(m);
	struct datagram_key key = {
		.id = f->id,
		.family = p->family,
		.protocol = f->protocol,
		.port_in = p->port_in,
		.sa = p->flags & PKT_DECAPSULATED ? p->sa : NULL,
	};

	memcpy(key.source, pkt_source(m), ip_family_bytes(p->family));
	memcpy(key.destination, pkt_destination(m), ip_family_bytes(p->family));
	return key;
}

/* Outsiders choose the keys: not CRC, under which those that collide do so with any seed. */
static uint32_t words_hash(const struct reass *r, const void *bytes, size_t length)
{
	return rte_jhash_32b(bytes, (uint32_t)(length / sizeof(uint32_t)), r->seed);
}

static struct datagram_list *bucket_of(struct reass *r, const struct datagram_key *key)
{
	return &r->buckets[words_hash(r, key, sizeof(*key)) & (BUCKETS - 1)];
}

static uint16_t source_of(const struct reass *r, const struct datagram_key *key)
{
	return (uint16_t)(words_hash(r, key->source, sizeof(key->source)) & (SOURCES - 1));
}

static struct datagram *datagram_find(struct reass *r, const struct datagram_key *key)
{
	struct datagram *d;

	LIST_FOREACH(d, bucket_of(r, key), by_key)
	{
		if (memcmp(&d->key, key, sizeof(*key)) == 0)
			return d;
	}
	return NULL;
}

static struct datagram *datagram_add(struct reass *r, const struct datagram_key *key, uint64_t now_tsc)
{
	struct datagram *d = LIST_FIRST(&r->free_datagrams);

	LIST_REMOVE(d, by_key);
	*d = (struct datagram){.key = *key, .started_tsc = now_tsc, .source = source_of(r, key)};
	LIST_INSERT_HEAD(bucket_of(r, key), d, by_key);
	TAILQ_INSERT_TAIL(&r->age[family_index(key->family)], d, by_age);
	TAILQ_INSERT_TAIL(&r->sources[d->source].datagrams, d, by_source);
	return d;
}

/* Give the pieces back, not their packets. */
static void pieces_release(struct reass *r, struct datagram *d)
{
	while (d->pieces) {
		struct piece *piece = d->pieces;

		d->pieces = piece->next;
		piece->next = r->free_pieces;
		r->free_pieces = piece;
	}
	r->sources[d->source].n_pieces -= d->n;
	r->counters.held -= d->n;
	d->n = 0;
}

static void pieces_drop(struct reass *r, struct datagram *d, enum drop_reason reason, struct drops *drops)
{
	for (const struct piece *piece = d->pieces; piece; piece = piece->next)
		drop_one(drops, piece->m, reason);
	pieces_release(r, d);
}

static void datagram_remove(struct reass *r, struct datagram *d)
{
	TAILQ_REMOVE(&r->age[family_index(d->key.family)], d, by_age);
	TAILQ_REMOVE(&r->sources[d->source].datagrams, d, by_source);
	LIST_REMOVE(d, by_key);
	LIST_INSERT_HEAD(&r->free_datagrams, d, by_key);
}

static void datagram_drop(struct reass *r, struct datagram *d, enum drop_reason reason, struct drops *drops)
{
	pieces_drop(r, d, reason, drops);
	datagram_remove(r, d);
}

static struct datagram *oldest(const struct reass *r)
{
	struct datagram *ipv4 = TAILQ_FIRST(&r->age[0]);
	struct datagram *ipv6 = TAILQ_FIRST(&r->age[1]);

	if (!ipv4 || !ipv6)
		return ipv4 ? ipv4 : ipv6;
	return ipv4->started_tsc <= ipv6->started_tsc ? ipv4 : ipv6;
}

/* Room for one more piece of that source, and for a packet that it may begin: the oldest make it. */
static void room_make(struct reass *r, struct source *source, struct drops *drops)
{
	while (source->n_pieces >= r->source_pieces_max)
		datagram_drop(r, TAILQ_FIRST(&source->datagrams), DROP_frag_full, drops);
	while (!r->free_pieces || LIST_EMPTY(&r->free_datagrams))
		datagram_drop(r, oldest(r), DROP_frag_full, drops);
}

/* The same bytes at the same place: the network doubled it. */
static bool is_duplicate(const struct piece *piece, struct rte_mbuf *m, const struct fragment *f)
{
	return piece->offset == f->offset && piece->bytes == f->bytes &&
	       memcmp(rte_pktmbuf_mtod_offset(piece->m, void *, piece->payload),
		       rte_pktmbuf_mtod_offset(m, void *, f->payload), f->bytes) == 0;
}

/* Does the end of the packet, where it is known, agree with the fragment? */
static bool end_is_right(const struct datagram *d, const struct fragment *f)
{
	uint32_t end = f->offset + f->bytes;

	if (d->end != 0 && (f->more ? end > d->end : end != d->end))
		return false;
	return f->more || d->reach <= end;
}

/* Put it between its neighbours; *place points to the first piece that does not lie before it. */
static void piece_insert(struct reass *r, struct datagram *d, struct piece **place, struct rte_mbuf *m,
	const struct fragment *f)
{
	struct piece *piece = r->free_pieces;
	uint32_t end = f->offset + f->bytes;

	r->free_pieces = piece->next;
	*piece = (struct piece){
		.m = m, .next = *place, .offset = f->offset, .bytes = f->bytes, .payload = f->payload};
	*place = piece;
	d->n++;
	d->bytes += f->bytes;
	d->reach = RTE_MAX(d->reach, end);
	d->end = f->more ? d->end : end;
	d->df |= f->df;
	d->ecn_seen |= ECN_SEEN(traffic_class_get_one(m) & ECN_MASK);
	d->longest_bytes = RTE_MAX(d->longest_bytes, pkt_of(m)->ip_len);
	r->sources[d->source].n_pieces++;
	r->counters.held++;
}

/* Take the fragment: DROP_COUNT, or for what reason it is not taken. */
static enum drop_reason piece_take(
	struct reass *r, struct datagram *d, struct rte_mbuf *m, const struct fragment *f)
{
	struct piece **place = &d->pieces;
	const struct piece *before = NULL;

	if (d->spoiled)
		return DROP_frag_overlap;
	for (; *place && (*place)->offset < f->offset; place = &(*place)->next)
		before = *place;
	if (d->key.family == IP_V4 && *place && is_duplicate(*place, m, f))
		return DROP_frag_duplicate;
	if (before && before->offset + before->bytes > f->offset)
		return DROP_frag_overlap;
	if (*place && f->offset + f->bytes > (*place)->offset)
		return DROP_frag_overlap;
	if (!end_is_right(d, f))
		return DROP_frag_bad;
	if (d->n == REASS_FRAGMENTS_MAX)
		return DROP_frag_full;
	piece_insert(r, d, place, m, f);
	return DROP_COUNT;
}

/* A buffer that begins with the first fragment and has room for the others; NULL if there is none. */
static struct rte_mbuf *whole_buffer(const struct reass *r, const struct datagram *d)
{
	struct rte_mbuf *first = d->pieces->m;
	uint32_t rest_bytes = d->end - d->pieces->bytes;
	uint32_t all_bytes = first->data_len + rest_bytes;
	struct rte_mbuf *large = NULL;

	if (rest_bytes + REASS_TAILROOM_BYTES <= rte_pktmbuf_tailroom(first))
		return first;
	if (r->large)
		large = rte_pktmbuf_alloc(r->large);
	if (!large)
		return NULL;
	/* The longest packets leave no headroom, nor do they need it: they are cut again. */
	large->data_off = (uint16_t)RTE_MIN((uint32_t)RTE_PKTMBUF_HEADROOM, large->buf_len - all_bytes);
	memcpy(rte_pktmbuf_append(large, first->data_len), rte_pktmbuf_mtod(first, void *), first->data_len);
	*pkt_of(large) = *pkt_of(first);
	pkt_of(large)->flags |= PKT_LARGE;
	return large;
}

/* All pieces become one packet, and are given back; NULL if there is no buffer. */
static struct rte_mbuf *pieces_join(struct reass *r, struct datagram *d)
{
	struct rte_mbuf *whole = whole_buffer(r, d);

	if (!whole)
		return NULL;
	for (const struct piece *piece = d->pieces; piece; piece = piece->next) {
		if (piece != d->pieces)
			memcpy(rte_pktmbuf_append(whole, (uint16_t)piece->bytes),
				rte_pktmbuf_mtod_offset(piece->m, void *, piece->payload), piece->bytes);
		if (piece->m != whole)
			rte_pktmbuf_free(piece->m);
	}
	r->counters.merged += d->n - 1u;
	pieces_release(r, d);
	return whole;
}

static void ipv4_header_finish(struct rte_mbuf *m, bool df)
{
	struct rte_ipv4_hdr *ip = pkt_ipv4(m);

	ip->total_length = rte_cpu_to_be_16(m->data_len);
	ip->fragment_offset = df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (rte_be16_t)~rte_raw_cksum(ip, rte_ipv4_hdr_len(ip));
}

/* Take the fragment header out. */
static void ipv6_header_finish(struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t link;
	uint16_t at = ipv6_fragment_header_find(ip, &link);

	ip[link] = ip[at];
	memmove(ip + IPV6_FRAGMENT_HEADER_BYTES, ip, at);
	rte_pktmbuf_adj(m, IPV6_FRAGMENT_HEADER_BYTES);
	pkt_ipv6(m)->payload_len = rte_cpu_to_be_16((uint16_t)(m->data_len - sizeof(struct rte_ipv6_hdr)));
}

/* RFC 3168 section 5.3: a mark of congestion stays, and one beside a fragment that can't have it is a fault.
 */
static bool ecn_is_possible(const struct datagram *d)
{
	return !(d->ecn_seen & ECN_SEEN(ECN_CE)) || !(d->ecn_seen & ECN_SEEN(0));
}

static bool whole_finish(struct rte_mbuf *m, const struct datagram *d)
{
	struct pkt *p = pkt_of(m);

	if (d->key.family == IP_V4)
		ipv4_header_finish(m, d->df);
	else
		ipv6_header_finish(m);
	if (d->ecn_seen & ECN_SEEN(ECN_CE))
		traffic_class_set_one(m, traffic_class_get_one(m) | ECN_CE);
	p->fragment_bytes = d->longest_bytes;
	p->fragment_id = d->key.id;
	return parse_whole_one(m);
}

/* Nothing is missing: the packet, or NULL, and it is dropped. */
static struct rte_mbuf *datagram_complete(struct reass *r, struct datagram *d, struct drops *drops)
{
	struct rte_mbuf *m;

	if (d->pieces->payload + d->end > PACKET_BYTES_MAX || !ecn_is_possible(d)) {
		datagram_drop(r, d, DROP_frag_bad, drops);
		return NULL;
	}
	m = pieces_join(r, d);
	if (!m) {
		datagram_drop(r, d, DROP_frag_full, drops);
		return NULL;
	}
	datagram_remove(r, d);
	if (whole_finish(m, d))
		return m;
	drop_one(drops, m, DROP_frag_bad);
	return NULL;
}

/* What of the fragment's packet is there is dropped, and what comes of it later. */
static void datagram_spoil(struct reass *r, struct datagram *d, enum drop_reason reason, struct drops *drops)
{
	pieces_drop(r, d, reason, drops);
	d->spoiled = true;
}

/* Hold the fragment, or drop it; the packet, if it is whole now, else NULL. */
static struct rte_mbuf *reass_one(struct reass *r, struct rte_mbuf *m, uint64_t now_tsc, struct drops *drops)
{
	struct fragment f = fragment_read(m);
	struct datagram_key key = key_make(m, &f);
	struct datagram *d;
	enum drop_reason reason;

	if (!fragment_is_possible(&f)) {
		drop_one(drops, m, DROP_frag_bad);
		return NULL;
	}
	room_make(r, &r->sources[source_of(r, &key)], drops);
	d = datagram_find(r, &key);
	if (!d)
		d = datagram_add(r, &key, now_tsc);
	reason = piece_take(r, d, m, &f);
	if (reason != DROP_COUNT) {
		drop_one(drops, m, reason);
		if (reason != DROP_frag_duplicate)
			datagram_spoil(r, d, reason, drops);
		return NULL;
	}
	return d->bytes == d->end ? datagram_complete(r, d, drops) : NULL;
}

/* No STAGE: held fragments are in no burst. The same is asserted with them. */
void reass_burst(struct reass *r, struct burst *burst, const struct local_addrs *only, uint64_t now_tsc,
	struct drops *drops)
{
	uint64_t before = burst->n + drops->total + r->counters.held;
	uint64_t merged = r->counters.merged;
	uint16_t kept = 0;

	if (!(burst->seen & PKT_FRAGMENT))
		return;
	STAGE_OPEN(reass, burst->n, drops);
	STAGE_TRACE(reass, burst, drops);
	reass_expire(r, now_tsc, drops);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (pkt_of(m)->flags & PKT_FRAGMENT && (!only || local_match_one(only, m)))
			m = reass_one(r, m, now_tsc, drops);
		if (m)
			burst->pkts[kept++] = m;
	}
	burst->n = kept;
	assert(before == burst->n + drops->total + r->counters.held + r->counters.merged - merged);
	(void)before, (void)merged;
}

void reass_expire(struct reass *r, uint64_t now_tsc, struct drops *drops)
{
	struct datagram *d;

	for (unsigned i = 0; i < FAMILIES; i++)
		while ((d = TAILQ_FIRST(&r->age[i])) && now_tsc - d->started_tsc > r->timeout_tsc[i])
			datagram_drop(r, d, DROP_frag_timeout, drops);
}

void reass_drop_all(struct reass *r, enum drop_reason reason, struct drops *drops)
{
	struct datagram *d;

	while ((d = oldest(r)))
		datagram_drop(r, d, reason, drops);
}

void reass_drop_sas(
	struct reass *r, bool (*is_gone)(const struct sa *sa), enum drop_reason reason, struct drops *drops)
{
	for (unsigned i = 0; i < FAMILIES; i++) {
		struct datagram *next;

		for (struct datagram *d = TAILQ_FIRST(&r->age[i]); d; d = next) {
			next = TAILQ_NEXT(d, by_age);
			if (d->key.sa && is_gone(d->key.sa))
				datagram_drop(r, d, reason, drops);
		}
	}
}

uint32_t reass_capacity(const struct reass *r)
{
	return r->pkts_max;
}
