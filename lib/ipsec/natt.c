#include "ipsec/natt.h"

#include <netinet/in.h>
#include <stdalign.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "net/rewrite.h"
#include "net/stage.h"
#include "net/transport.h"

#define UDP_BYTES       sizeof(struct rte_udp_hdr)
#define MARKER_BYTES    4    /* RFC 3948 section 2.2: zeroes where ESP has its SPI */
#define KEEPALIVE_BYTE  0xff /* section 2.3 */
#define KEEPALIVE_BYTES 1

struct natt *natt_create(const struct sa_conf *conf, bool inbound, int socket)
{
	struct natt *natt = rte_zmalloc_socket("natt", sizeof(*natt), RTE_CACHE_LINE_SIZE, socket);

	if (!natt)
		return NULL;
	natt->source_port = conf->source_port;
	natt->destination_port = conf->destination_port;
	natt->takes_bare = conf->bare_esp;
	natt->has_checksum =
		conf->destination.family == IP_V6 && conf->udp_checksum == SA_UDP_CHECKSUM_COMPUTED;
	if (inbound) {
		uint64_t address[2];

		memcpy(address, conf->source.bytes, sizeof(address));
		natt->own_peer.family = conf->source.family;
		atomic_init(&natt->own_peer.port, conf->source_port);
		atomic_init(&natt->own_peer.address[0], address[0]);
		atomic_init(&natt->own_peer.address[1], address[1]);
	}
	return natt;
}

void natt_destroy(struct natt *natt)
{
	rte_free(natt);
}

void natt_link(struct sa *out, struct sa *in)
{
	in->natt->peer = &in->natt->own_peer;
	out->natt->peer = &in->natt->own_peer;
}

/* Loads and stores of the contents are acquire and release, which orders them between those of the version.
 */
struct natt_endpoint natt_peer_read(const struct natt_peer *peer)
{
	struct natt_endpoint endpoint = {.address.family = peer->family};
	uint64_t address[2];
	uint32_t before, after;

	do {
		before = atomic_load_explicit(&peer->version, memory_order_acquire);
		address[0] = atomic_load_explicit(&peer->address[0], memory_order_acquire);
		address[1] = atomic_load_explicit(&peer->address[1], memory_order_acquire);
		endpoint.port = atomic_load_explicit(&peer->port, memory_order_acquire);
		after = atomic_load_explicit(&peer->version, memory_order_relaxed);
	} while (before != after || before % 2 != 0);
	memcpy(endpoint.address.bytes, address, sizeof(address));
	return endpoint;
}

void natt_peer_move(struct natt_peer *peer, const struct natt_endpoint *to, uint64_t now_tsc)
{
	uint32_t version = atomic_load_explicit(&peer->version, memory_order_acquire);
	uint64_t moved_tsc = atomic_load_explicit(&peer->moved_tsc, memory_order_relaxed);
	uint64_t interval_tsc = rte_get_tsc_hz() / 1000 * NATT_MOVE_INTERVAL_MS;
	uint64_t address[2];

	if (version % 2 != 0 || (version != 0 && now_tsc - moved_tsc < interval_tsc))
		return;
	if (!atomic_compare_exchange_strong_explicit(
		    &peer->version, &version, version + 1, memory_order_acquire, memory_order_relaxed))
		return;
	memcpy(address, to->address.bytes, sizeof(address));
	atomic_store_explicit(&peer->address[0], address[0], memory_order_release);
	atomic_store_explicit(&peer->address[1], address[1], memory_order_release);
	atomic_store_explicit(&peer->port, to->port, memory_order_release);
	atomic_store_explicit(&peer->moved_tsc, now_tsc, memory_order_relaxed);
	atomic_store_explicit(&peer->version, version + 2, memory_order_release);
}

enum natt_content natt_content_one(struct rte_mbuf *m, uint16_t *udp_bytes)
{
	static const uint8_t marker[MARKER_BYTES];
	const struct pkt *p = pkt_of(m);
	const struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4);
	const uint8_t *payload = (const uint8_t *)(udp + 1);
	uint16_t room = p->ip_len - p->l4;

	if (room < UDP_BYTES)
		return NATT_BAD;
	*udp_bytes = rte_be_to_cpu_16(udp->dgram_len);
	if (*udp_bytes > room || *udp_bytes <= UDP_BYTES)
		return NATT_BAD;
	if (*udp_bytes == UDP_BYTES + KEEPALIVE_BYTES && payload[0] == KEEPALIVE_BYTE)
		return NATT_KEEPALIVE;
	if (*udp_bytes < UDP_BYTES + MARKER_BYTES)
		return NATT_BAD;
	return memcmp(payload, marker, sizeof(marker)) == 0 ? NATT_IKE : NATT_ESP;
}

/* Take the UDP header out: the IP header moves up to ESP. */
static void udp_remove_one(struct rte_mbuf *m, uint16_t udp_bytes)
{
	struct pkt *p = pkt_of(m);

	transport_remove_one(m, p->l4, UDP_BYTES, IPPROTO_ESP);
	p->ip_len = (uint16_t)(p->l4 + udp_bytes - UDP_BYTES);
	ip_length_set_one(m, p->ip_len);
	p->protocol = IPPROTO_ESP;
	p->flags = (p->flags & ~PKT_HAS_PORTS) | PKT_ENCAP;
}

static bool is_by_port(struct rte_mbuf *m, const struct natt_ports *ports)
{
	const struct pkt *p = pkt_of(m);

	return p->protocol == IPPROTO_UDP && (p->flags & (PKT_HAS_PORTS | PKT_FRAGMENT)) == PKT_HAS_PORTS &&
	       natt_ports_has(ports, p->destination_port);
}

void natt_in(struct burst *burst, const struct natt_ports *ports, struct burst *esp, struct drops *drops)
{
	STAGE(natt_in, burst, drops, esp);
	uint16_t kept = 0, udp_bytes = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		enum natt_content content = is_by_port(m, ports) ? natt_content_one(m, &udp_bytes) : NATT_IKE;

		if (content == NATT_ESP) {
			udp_remove_one(m, udp_bytes);
			burst_add_one(esp, m);
		} else if (content == NATT_IKE) {
			burst->pkts[kept++] = m;
		} else {
			drop_one(drops, m, content == NATT_BAD ? DROP_in_udp : DROP_in_keepalive);
		}
	}
	burst->n = kept;
}

static struct natt_endpoint endpoint_one(struct rte_mbuf *m)
{
	return (struct natt_endpoint){
		.address = ip_addr_from_bytes(pkt_of(m)->family, pkt_source(m)),
		.port = pkt_of(m)->source_port,
	};
}

static bool endpoints_equal(const struct natt_endpoint *a, const struct natt_endpoint *b)
{
	return a->port == b->port && ip_addr_equal(&a->address, &b->address);
}

enum natt_match natt_match_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct sa *sa = p->sa;
	struct natt_endpoint from = endpoint_one(m);
	struct natt_endpoint peer;

	if (p->flags & PKT_ENCAP ? !sa->natt : sa->natt && !sa->natt->takes_bare)
		return NATT_OTHER_ENCAP;
	/* Where it may come from anywhere, the ICV says whose it is. */
	if (sa->lookup == SA_LOOKUP_SPI || (sa->natt->peer && p->flags & PKT_ENCAP))
		return NATT_MATCH;
	peer = natt_peer_read(&sa->natt->own_peer);
	if (!(p->flags & PKT_ENCAP))
		from.port = peer.port;
	return endpoints_equal(&from, &peer) ? NATT_MATCH : NATT_OTHER_ENDPOINT;
}

/* The packet with the highest number of those that were accepted; NULL if none was. */
static struct rte_mbuf *newest_of(
	struct rte_mbuf *const *pkts, const enum replay_verdict *accepted, uint16_t n)
{
	struct rte_mbuf *newest = NULL;

	for (uint16_t i = 0; i < n; i++)
		if (accepted[i] == REPLAY_OK && (!newest || pkt_of(pkts[i])->seq > pkt_of(newest)->seq))
			newest = pkts[i];
	return newest;
}

/*
 * Another worker may accept a higher number between the look at the window and the move. The peer then seems
 * to be where it was some microseconds ago, until its next packet.
 */
void natt_follow(
	const struct sa *sa, struct rte_mbuf *const *pkts, const enum replay_verdict *accepted, uint16_t n)
{
	struct rte_mbuf *newest = newest_of(pkts, accepted, n);
	struct natt_endpoint from, peer;

	/* Without UDP it has no port to answer to. */
	if (!newest || !(pkt_of(newest)->flags & PKT_ENCAP))
		return;
	if (pkt_of(newest)->seq != replay_highest(sa->replay))
		return;
	from = endpoint_one(newest);
	peer = natt_peer_read(sa->natt->peer);
	if (!endpoints_equal(&from, &peer))
		natt_peer_move(sa->natt->peer, &from, rte_rdtsc());
}

/* Without UDP it came past no NAT, and the checksum that it had is made again. */
void natt_mend_one(struct rte_mbuf *m)
{
	if (sa_is_in_udp(sa_outermost(pkt_of(m)->sa)))
		transport_checksum_set_one(m);
}

/* The header at l4, in front of what is there to the packet's end. The IP header names it already. */
static void udp_write_one(struct rte_mbuf *m, const struct natt *natt, uint16_t destination_port)
{
	const struct pkt *p = pkt_of(m);
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, p->l4);

	*udp = (struct rte_udp_hdr){
		.src_port = rte_cpu_to_be_16(natt->source_port),
		.dst_port = rte_cpu_to_be_16(destination_port),
		.dgram_len = rte_cpu_to_be_16(p->ip_len - p->l4),
	};
	if (!natt->has_checksum)
		return;
	udp->dgram_cksum = transport_checksum_one(m, IPPROTO_UDP, p->ip_len - p->l4);
	if (udp->dgram_cksum == 0)
		udp->dgram_cksum = UINT16_MAX; /* RFC 8200 section 8.1 */
}

/* Make room for the UDP header: the IP header moves away from ESP. */
static void udp_insert_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	transport_insert_one(m, UDP_BYTES, IPPROTO_UDP);
	p->ip_len += UDP_BYTES;
	ip_length_set_one(m, p->ip_len);
	p->protocol = IPPROTO_UDP;
}

static void destination_set_one(struct rte_mbuf *m, const struct ip_addr *address)
{
	struct rte_ipv4_hdr *ip = pkt_ipv4(m);
	uint16_t words[2], before[2];

	if (address->family == IP_V6) {
		memcpy(&pkt_ipv6(m)->dst_addr, address->bytes, sizeof(address->bytes));
		return;
	}
	memcpy(before, &ip->dst_addr, sizeof(before));
	memcpy(words, address->bytes, sizeof(words));
	memcpy(&ip->dst_addr, words, sizeof(words));
	for (unsigned i = 0; i < RTE_DIM(words); i++)
		ip->hdr_checksum = checksum_update(ip->hdr_checksum, before[i], words[i]);
}

/* True if the packet goes elsewhere than where the SA's template said. */
static bool encap_one(struct rte_mbuf *m, const struct natt *natt)
{
	bool has_moved = natt->peer && natt_peer_moves(natt->peer) > 0;
	uint16_t port = natt->destination_port;

	udp_insert_one(m);
	if (unlikely(has_moved)) {
		struct natt_endpoint peer = natt_peer_read(natt->peer);

		destination_set_one(m, &peer.address);
		port = peer.port;
	}
	udp_write_one(m, natt, port);
	return has_moved;
}

void natt_out(struct burst *burst, struct burst *moved, struct drops *drops)
{
	STAGE(natt_out, burst, drops, moved);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (pkt_of(m)->flags & PKT_ENCAP && encap_one(m, pkt_of(m)->sa->natt))
			burst_add_one(moved, m);
		else
			burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

bool natt_keepalive_write(struct rte_mbuf *m, const struct sa *sa)
{
	uint16_t bytes = sa->outer_bytes + KEEPALIVE_BYTES;
	uint8_t *ip = (uint8_t *)rte_pktmbuf_append(m, bytes);

	if (!ip || rte_pktmbuf_headroom(m) < UDP_BYTES)
		return false;
	memcpy(ip, sa->outer_header, sa->outer_bytes);
	ip[sa->outer_bytes] = KEEPALIVE_BYTE;
	*pkt_of(m) = (struct pkt){
		.flags = PKT_LOCAL,
		.port_in = PKT_PORT_SELF,
		.family = sa->family,
		.l4 = sa->outer_bytes,
		.ip_len = bytes,
	};
	encap_one(m, sa->natt);
	return true;
}
