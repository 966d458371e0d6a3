#include "ipsec/ipcomp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_random.h>
#define ZLIB_CONST
#include <zlib.h>

#include "ipsec/natt.h"
#include "ipsec/outer.h"
#include "ipsec/verdict.h"
#include "net/parse.h"
#include "net/stage.h"
#include "net/transport.h"

/*
 * Raw DEFLATE, as negative numbers tell zlib. Linux has a window of 2^11 bytes both ways, so a sender may use
 * no more; RFC 1951 section 3.2.5 allows any up to 2^15, which a receiver takes.
 */
#define DEFLATE_WINDOW_BITS (-11)
#define INFLATE_WINDOW_BITS (-15)
/* Hash chains are cleared for each packet: more than this only takes longer, and packets get no shorter. */
#define DEFLATE_MEMORY_LEVEL 5
/* All that zlib asks for: 31 kB to compress, 40 kB to decompress (zconf.h). */
#define RESERVE_BYTES    (96u << 10)
#define RESERVE_ALIGN    16u
#define PACKET_BYTES_MAX UINT16_MAX

/* RFC 3173 section 3.1 */
struct ipcomp_header {
	uint8_t next_header;
	uint8_t flags; /* sent as 0, and ignored */
	rte_be16_t cpi;
} __rte_packed;

_Static_assert(sizeof(struct ipcomp_header) == IPCOMP_BYTES, "as on the wire");

struct ipcomp {
	z_stream deflate;
	z_stream inflate;
	struct rte_mempool *large;
	uint32_t next_id;        /* of tunnel headers without DF; begins at random */
	uint32_t reserved_bytes; /* of `reserve`, that zlib has */
	uint8_t out[PACKET_BYTES_MAX];
	alignas(RESERVE_ALIGN) uint8_t reserve[RESERVE_BYTES];
};

/* zlib's memory. It never goes back; ipcomp_destroy wipes it. */
static void *reserve_alloc(void *opaque, unsigned items, unsigned size)
{
	struct ipcomp *ipcomp = opaque;
	uint64_t bytes = RTE_ALIGN_CEIL((uint64_t)items * size, RESERVE_ALIGN);
	void *at = ipcomp->reserve + ipcomp->reserved_bytes;

	if (bytes > RESERVE_BYTES - ipcomp->reserved_bytes)
		return NULL;
	ipcomp->reserved_bytes += (uint32_t)bytes;
	return at;
}

static void reserve_free(void *opaque __rte_unused, void *at __rte_unused)
{
}

static bool streams_init(struct ipcomp *ipcomp)
{
	const z_stream stream = {.zalloc = reserve_alloc, .zfree = reserve_free, .opaque = ipcomp};
	const uint8_t dictionary[1] = {0};
	bool is_done;

	ipcomp->deflate = stream;
	ipcomp->inflate = stream;
	is_done = deflateInit2(&ipcomp->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW_BITS,
			  DEFLATE_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK &&
		  inflateInit2(&ipcomp->inflate, INFLATE_WINDOW_BITS) == Z_OK &&
		  /* The window is made when it is first needed: here, and not by a packet. */
		  inflateSetDictionary(&ipcomp->inflate, dictionary, sizeof(dictionary)) == Z_OK;
	/* There is nothing for workers. */
	ipcomp->reserved_bytes = RESERVE_BYTES;
	return is_done;
}

int ipcomp_create(const struct ipcomp_conf *conf, struct ipcomp **out, struct err *err)
{
	struct ipcomp *ipcomp =
		rte_zmalloc_socket("ipcomp", sizeof(*ipcomp), RTE_CACHE_LINE_SIZE, conf->socket);

	if (!ipcomp)
		return err_set(err, ENOMEM, "no memory for compression");
	ipcomp->large = conf->large;
	ipcomp->next_id = (uint32_t)rte_rand();
	if (!streams_init(ipcomp)) {
		ipcomp_destroy(ipcomp);
		return err_set(
			err, ENOMEM, "zlib %s does not work in %u bytes", zlibVersion(), RESERVE_BYTES);
	}
	*out = ipcomp;
	return 0;
}

void ipcomp_destroy(struct ipcomp *ipcomp)
{
	if (!ipcomp)
		return;
	explicit_bzero(ipcomp, sizeof(*ipcomp));
	rte_free(ipcomp);
}

/* Compress into ipcomp->out. The length, or 0 if it and the header are not shorter than what is there. */
static uint16_t deflate_one(struct ipcomp *ipcomp, const uint8_t *in, uint16_t bytes)
{
	z_stream *z = &ipcomp->deflate;

	deflateReset(z);
	z->next_in = in;
	z->avail_in = bytes;
	z->next_out = ipcomp->out;
	z->avail_out = bytes - IPCOMP_BYTES - 1;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? (uint16_t)z->total_out : 0;
}

/* In transport mode what is behind the IP header, in tunnel mode the whole packet. */
static uint16_t compress_one(struct ipcomp *ipcomp, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint16_t at = sa_is_transport(p->sa) ? p->l4 : 0;
	uint16_t bytes = p->ip_len - at;

	/* RFC 3173 section 2: a part of a packet is not compressed. */
	if (p->flags & PKT_FRAGMENT || bytes < IPCOMP_TRIED_BYTES_MIN)
		return 0;
	return deflate_one(ipcomp, rte_pktmbuf_mtod_offset(m, const uint8_t *, at), bytes);
}

/* IPComp's header and what is behind it; returns their length. */
static uint16_t payload_write_one(uint8_t *at, const struct ipcomp *ipcomp, const struct sa *sa,
	uint8_t next_header, uint16_t compressed_bytes)
{
	struct ipcomp_header *header = (struct ipcomp_header *)at;

	*header = (struct ipcomp_header){
		.next_header = next_header,
		.cpi = rte_cpu_to_be_16((uint16_t)rte_be_to_cpu_32(sa->spi)),
	};
	memcpy(header + 1, ipcomp->out, compressed_bytes);
	return IPCOMP_BYTES + compressed_bytes;
}

/* The outer packet from here on. A large buffer stays one, however short the packet has become. */
static void pkt_describe_one(struct pkt *p, uint8_t family, uint8_t protocol, uint16_t l4, uint16_t ip_len)
{
	p->flags = PKT_LOCAL | (p->flags & (PKT_LARGE | PKT_OUTER_CUT));
	p->family = family;
	p->protocol = protocol;
	p->l4 = l4;
	p->ip_len = ip_len;
}

static void transport_one(const struct ipcomp *ipcomp, struct rte_mbuf *m, uint16_t compressed_bytes)
{
	struct pkt *p = pkt_of(m);
	/* There is room, as it all gets shorter. */
	uint8_t next_header = transport_insert_one(m, 0, SA_IPCOMP);
	uint16_t bytes = payload_write_one(
		rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4), ipcomp, p->sa, next_header, compressed_bytes);

	pkt_describe_one(p, p->family, SA_IPCOMP, p->l4, p->l4 + bytes);
	ip_length_set_one(m, p->ip_len);
}

/* What follows the tunnel's header instead of IPComp. */
static void outer_protocol_set_one(uint8_t *out, uint8_t family, uint8_t protocol)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;

	if (family == IP_V6) {
		((struct rte_ipv6_hdr *)out)->proto = protocol;
		return;
	}
	/* It is the lower byte of a word, whose upper one stays. */
	ip->hdr_checksum = checksum_update(
		ip->hdr_checksum, rte_cpu_to_be_16(ip->next_proto_id), rte_cpu_to_be_16(protocol));
	ip->next_proto_id = protocol;
}

static void tunnel_one(struct ipcomp *ipcomp, struct rte_mbuf *m, uint16_t compressed_bytes)
{
	struct pkt *p = pkt_of(m);
	const struct sa *sa = p->sa;
	uint8_t *inner = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *out = inner - sa->outer_bytes;
	uint8_t next_header = p->family == IP_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	uint16_t bytes = compressed_bytes ? IPCOMP_BYTES + compressed_bytes : p->ip_len;

	outer_write_one(out, sa, m, sa->outer_bytes + bytes, ipcomp->next_id++);
	if (compressed_bytes)
		payload_write_one(inner, ipcomp, sa, next_header, compressed_bytes);
	else
		outer_protocol_set_one(out, sa->family, next_header);
	pkt_describe_one(p, sa->family, compressed_bytes ? SA_IPCOMP : next_header, sa->outer_bytes,
		sa->outer_bytes + bytes);
	m->data_off -= sa->outer_bytes;
	m->data_len = p->ip_len;
	m->pkt_len = p->ip_len;
}

static void apply_out_one(struct ipcomp *ipcomp, struct rte_mbuf *m, const struct sa_tally *tally)
{
	const struct pkt *p = pkt_of(m);
	struct sa_counters *counters = &p->sa->counters[tally->worker];
	uint16_t compressed_bytes = compress_one(ipcomp, m);

	counters->packets++;
	counters->bytes += p->ip_len;
	counters->uncompressed += compressed_bytes == 0;
	if (!sa_is_transport(p->sa))
		tunnel_one(ipcomp, m, compressed_bytes);
	else if (compressed_bytes)
		transport_one(ipcomp, m, compressed_bytes);
}

/* `life_time` is over. */
static bool is_ended(const struct sa *sa)
{
	return (atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_ENDED) != 0;
}

void ipcomp_out(struct ipcomp *ipcomp, struct burst *burst, const struct sa_tally *tally)
{
	STAGE(ipcomp_out, burst, tally->drops);
	uint16_t kept = 0;

	burst->seen = 0;
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (is_ended(pkt_of(m)->sa)) {
			sa_drop_one(tally, m, out_expired);
			continue;
		}
		if (pkt_of(m)->sa->outer_bytes + LINK_HEADER_BYTES > rte_pktmbuf_headroom(m)) {
			sa_drop_one(tally, m, out_buf);
			continue;
		}
		apply_out_one(ipcomp, m, tally);
		burst->seen |= pkt_of(m)->flags;
		burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

/*
 * Decompress behind the first `kept` bytes of ipcomp->out; *bytes is the length of both. False if the stream
 * is corrupt, does not end with the payload, or is a packet longer than any can be.
 */
static bool inflate_one(
	struct ipcomp *ipcomp, uint16_t kept, const uint8_t *in, uint16_t in_bytes, uint16_t *bytes)
{
	z_stream *z = &ipcomp->inflate;

	inflateReset(z);
	z->next_in = in;
	z->avail_in = in_bytes;
	z->next_out = ipcomp->out + kept;
	z->avail_out = PACKET_BYTES_MAX - kept;
	if (inflate(z, Z_FINISH) != Z_STREAM_END || z->avail_in != 0)
		return false;
	*bytes = (uint16_t)(kept + z->total_out);
	return true;
}

/* The packet's bytes become those in ipcomp->out, in its own buffer or in a large one; false without any. */
static bool refill_one(const struct ipcomp *ipcomp, struct rte_mbuf **packet, uint16_t bytes)
{
	struct rte_mbuf *m = *packet;

	if (RTE_PKTMBUF_HEADROOM + bytes + IPCOMP_TAILROOM_BYTES > m->buf_len &&
		!(pkt_of(m)->flags & PKT_LARGE)) {
		m = ipcomp->large ? rte_pktmbuf_alloc(ipcomp->large) : NULL;
		if (!m)
			return false;
		*pkt_of(m) = *pkt_of(*packet);
		pkt_of(m)->flags |= PKT_LARGE;
		rte_pktmbuf_free(*packet);
		*packet = m;
	}
	/* The longest packets leave no headroom, nor do they need it: they are cut again. */
	m->data_off = (uint16_t)RTE_MIN(RTE_PKTMBUF_HEADROOM, m->buf_len - bytes);
	m->data_len = bytes;
	m->pkt_len = bytes;
	memcpy(rte_pktmbuf_mtod(m, void *), ipcomp->out, bytes);
	return true;
}

static struct verdict decompress_one(struct ipcomp *ipcomp, struct rte_mbuf **m)
{
	const struct pkt *p = pkt_of(*m);
	bool is_transport = sa_is_transport(p->sa);
	uint16_t kept = is_transport ? p->l4 : 0;
	uint8_t outer_class = traffic_class_get_one(*m);
	const uint8_t *in = rte_pktmbuf_mtod_offset(*m, const uint8_t *, p->l4);
	uint8_t next_header = in[offsetof(struct ipcomp_header, next_header)];
	uint8_t family = p->family;
	uint16_t bytes;

	if (!is_transport && next_header != IPPROTO_IPIP && next_header != IPPROTO_IPV6)
		return DROP(in_ipcomp);
	memcpy(ipcomp->out, rte_pktmbuf_mtod(*m, void *), kept);
	if (!inflate_one(ipcomp, kept, in + IPCOMP_BYTES, p->ip_len - p->l4 - IPCOMP_BYTES, &bytes))
		return DROP(in_ipcomp);
	if (!refill_one(ipcomp, m, bytes))
		return DROP(in_buf);
	if (is_transport) {
		transport_remove_one(*m, kept, 0, next_header);
		ip_length_set_one(*m, bytes);
	} else {
		family = next_header == IPPROTO_IPIP ? IP_V4 : IP_V6;
	}
	pkt_of(*m)->flags |= PKT_DECAPSULATED;
	if (!parse_inner_one(*m, family))
		return DROP(in_ipcomp);
	if (!is_transport)
		return ecn_merge_one(*m, outer_class);
	natt_mend_one(*m);
	return KEEP;
}

/* Is it IPComp, and the SA that it came out of around one? If IPv6 has AH, that comes first. */
static bool is_compressed_one(const struct pkt *p)
{
	return p->protocol == SA_IPCOMP && p->sa->has_inside && !(p->flags & PKT_AH);
}

/* Find its SA; false if it was dropped. */
static bool find_one(struct rte_mbuf *m, const struct sad *sad, const struct sa_tally *tally)
{
	const struct sa *around = pkt_of(m)->sa;
	BURST(found);

	burst_add_one(&found, m);
	sad_lookup(&found, sad, tally);
	if (found.n == 0)
		return false;
	if (pkt_of(m)->sa->around == around)
		return true;
	sa_drop_one(tally, m, in_bundle);
	return false;
}

/* Is it IP in IP between the ends of the IPComp SA that is inside? */
static bool is_wrapped_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct sa *sa;

	if ((p->protocol != IPPROTO_IPIP && p->protocol != IPPROTO_IPV6) ||
		p->flags & (PKT_FRAGMENT | PKT_AH))
		return false;
	sa = p->sa->ipcomp_inside;
	return sa && p->family == sa->family && ip_bytes_equal(sa->family, pkt_source(m), sa->source.bytes) &&
	       ip_bytes_equal(sa->family, pkt_destination(m), sa->destination.bytes);
}

/* The packet came out of that SA's tunnel. */
static struct verdict unwrap_one(struct rte_mbuf *m, struct sa *sa)
{
	struct pkt *p = pkt_of(m);
	uint8_t family = p->protocol == IPPROTO_IPIP ? IP_V4 : IP_V6;
	uint8_t outer_class = traffic_class_get_one(m);

	m->data_off += p->l4;
	m->data_len -= p->l4;
	m->pkt_len -= p->l4;
	p->sa = sa;
	if (is_ended(sa))
		return DROP(in_expired);
	return parse_inner_one(m, family) ? ecn_merge_one(m, outer_class) : DROP(in_ipcomp);
}

static struct verdict open_uncompressed_one(struct rte_mbuf *m, const struct sa_tally *tally)
{
	struct sa *sa = pkt_of(m)->sa->ipcomp_inside;
	struct verdict verdict = unwrap_one(m, sa);

	if (is_kept_one(verdict))
		sa_count_uncompressed(sa, pkt_of(m)->ip_len, tally);
	return verdict;
}

static struct verdict open_compressed_one(
	struct ipcomp *ipcomp, struct rte_mbuf **m, const struct sa_tally *tally)
{
	struct sa_counters *counters = &pkt_of(*m)->sa->counters[tally->worker];
	struct verdict verdict = is_ended(pkt_of(*m)->sa) ? DROP(in_expired) : decompress_one(ipcomp, m);

	if (is_kept_one(verdict)) {
		counters->packets++;
		counters->bytes += pkt_of(*m)->ip_len;
	}
	return verdict;
}

/* Returns 1 if there is a packet to keep, in *kept. */
static uint16_t open_one(struct ipcomp *ipcomp, struct rte_mbuf *m, const struct sad *sad,
	const struct sa_tally *tally, struct rte_mbuf **kept)
{
	struct verdict verdict = KEEP;

	if (is_wrapped_one(m)) {
		verdict = open_uncompressed_one(m, tally);
	} else if (is_compressed_one(pkt_of(m))) {
		if (!find_one(m, sad, tally))
			return 0;
		verdict = open_compressed_one(ipcomp, &m, tally);
	}
	return apply_one(m, verdict, kept, tally);
}

void ipcomp_in(
	struct ipcomp *ipcomp, struct burst *burst, const struct sad *sad, const struct sa_tally *tally)
{
	STAGE(ipcomp_in, burst, tally->drops);
	uint16_t kept = 0;

	burst->seen = 0;
	for (uint16_t i = 0; i < burst->n; i++) {
		kept += open_one(ipcomp, burst->pkts[i], sad, tally, &burst->pkts[kept]);
		burst->seen |= kept > 0 ? pkt_of(burst->pkts[kept - 1])->flags : 0;
	}
	burst->n = kept;
}
