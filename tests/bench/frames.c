#include "bench/frames.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_esp.h>
#include <rte_ether.h>
#include <rte_mempool.h>
#include <rte_random.h>
#include <rte_udp.h>

#include "base/array.h"
#include "bench/site.h"
#include "fwd/frag.h"
#include "ipsec/ah.h"
#include "ipsec/esp_out.h"
#include "ipsec/ipcomp.h"
#include "ipsec/natt.h"
#include "ipsec/sa.h"
#include "net/rewrite.h"

#define PCAP_MAGIC        0xa1b2c3d4
#define PCAP_SNAP_BYTES   65535
#define PCAP_LINK_ETHER   1
#define FRAME_SEED        1 /* each run has the same addresses */
#define FRAME_SECOND_ADDR 1 /* the first and the last of a network are left out */

#define SPI_UNKNOWN_FIRST UINT32_C(0x80000000) /* above those of site.c */
#define FORGED_BIT        0x01

/* Bytes of 16 values, which DEFLATE makes some half as long. */
#define COMPRESSIBLE_MASK 0x0f

/* Fragments in clear: as long as small packets, from anywhere in 100.64.0.0/10. */
#define FRAGMENT_BYTES         60
#define FRAGMENT_SOURCES_FIRST UINT32_C(0x64400000)
#define FRAGMENT_SOURCES       (UINT32_C(1) << 22)

struct pcap_header {
	uint32_t magic;
	uint16_t major;
	uint16_t minor;
	uint32_t zero[2];
	uint32_t snap_bytes;
	uint32_t link;
};

struct pcap_record {
	uint32_t seconds;
	uint32_t microseconds;
	uint32_t kept_bytes;
	uint32_t bytes;
};

/* What the peers need to send: their ends of the tunnels. */
struct peers {
	struct crypto_worker *worker;
	struct ipcomp *ipcomp;
	struct frag frag;
	uint64_t generated; /* frag counts it, and nobody reads it */
	struct drops drops;
	struct sa_tally tally;
	const struct crypto *crypto;
	const struct gateway *gateway;
	struct sa **sas; /* NULL until it is needed */
	size_t n_sas;
};

uint32_t frames_count(uint32_t n_policies, enum frames_fault fault)
{
	uint32_t wanted = rte_align32pow2(n_policies * FRAMES_PER_POLICY);

	if (fault == FRAMES_FRAGMENTS)
		return FRAMES_WITH_FRAGMENTS;
	return RTE_MIN(RTE_MAX(wanted, (uint32_t)FRAMES_MIN), (uint32_t)FRAMES_MAX);
}

static int peers_init(struct peers *peers, const struct gateway *gateway, const struct crypto *crypto,
	struct rte_mempool *pool, struct err *err)
{
	const struct ipcomp_conf ipcomp = {.socket = SOCKET_ID_ANY};
	int ret = crypto_worker_create(crypto, 0, SOCKET_ID_ANY, &peers->worker, err);

	if (ret == 0)
		ret = ipcomp_create(&ipcomp, &peers->ipcomp, err);
	if (ret == 0 && crypto_worker_warm_up(peers->worker) != 0)
		ret = err_set(err, EIO, "the crypto device does not start");
	peers->frag = (struct frag){.packets = pool, .generated = &peers->generated};
	peers->tally = (struct sa_tally){.drops = &peers->drops};
	peers->crypto = crypto;
	peers->gateway = gateway;
	peers->n_sas = gateway->n_sas;
	peers->sas = xcalloc(peers->n_sas, sizeof(peers->sas[0]));
	return ret;
}

static void peers_fini(struct peers *peers)
{
	for (size_t i = 0; i < peers->n_sas; i++)
		if (peers->sas[i])
			sa_destroy(peers->sas[i]);
	free(peers->sas);
	ipcomp_destroy(peers->ipcomp);
	if (peers->worker)
		crypto_worker_destroy(peers->worker);
}

/* The sending end of an SA; NULL when there is no memory for it. */
static struct sa *peers_sa(struct peers *peers, uint32_t index)
{
	struct sa_params params = {
		.conf = &peers->gateway->sas[index], .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct err err;

	if (!peers->sas[index] && sa_create(&params, peers->crypto, &peers->sas[index], &err) != 0)
		peers->sas[index] = NULL;
	return peers->sas[index];
}

static rte_be32_t random_address(uint32_t first, uint32_t count)
{
	return rte_cpu_to_be_32(first + FRAME_SECOND_ADDR + (uint32_t)rte_rand_max(count - 2));
}

/* Of the packet in frame i. */
static uint16_t inner_bytes(const struct frames *frames, uint32_t i)
{
	static const uint16_t imix[] = {64, 570, 64, 64, 570, 64, 1400, 64, 570, 64, 64, 570};

	return frames->inner_bytes == FRAMES_IMIX ? imix[i % RTE_DIM(imix)] : frames->inner_bytes;
}

static uint32_t random_policy(const struct frames *frames)
{
	uint32_t n_own = frames->n_policies / frames->n_queues;

	if (frames_share_sas(frames->n_sas, frames->n_queues))
		return (uint32_t)rte_rand_max(frames->n_policies);
	return (uint32_t)rte_rand_max(n_own) * frames->n_queues + frames->queue;
}

static uint8_t random_byte(const struct frames *frames)
{
	return (uint8_t)(rte_rand() & (frames->shape == SITE_BUNDLE ? COMPRESSIBLE_MASK : UINT8_MAX));
}

static void ipv4_write(struct rte_ipv4_hdr *ip, uint16_t bytes, rte_be32_t source, rte_be32_t destination)
{
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(bytes),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = source,
		.dst_addr = destination,
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void ipv6_write(struct rte_ipv6_hdr *ip, uint16_t bytes, rte_be32_t source, rte_be32_t destination)
{
	*ip = (struct rte_ipv6_hdr){
		.vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28),
		.payload_len = rte_cpu_to_be_16((uint16_t)(bytes - sizeof(*ip))),
		.proto = IPPROTO_UDP,
		.hop_limits = 64,
		.src_addr = SITE_IPV6_PREFIX,
		.dst_addr = SITE_IPV6_PREFIX,
	};
	memcpy(ip->src_addr + sizeof(ip->src_addr) - sizeof(source), &source, sizeof(source));
	memcpy(ip->dst_addr + sizeof(ip->dst_addr) - sizeof(destination), &destination, sizeof(destination));
}

/* Append the inner packet to the empty mbuf, described as parse_burst does. */
static void inner_append(struct rte_mbuf *m, const struct frames *frames, uint16_t bytes, uint32_t policy)
{
	uint8_t *packet = (uint8_t *)rte_pktmbuf_append(m, bytes);
	bool is_ipv6 = frames->shape == SITE_IPV6;
	uint16_t l4 = is_ipv6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(packet + l4);
	rte_be32_t here = random_address(SITE_LOCAL_NETWORK, UINT16_MAX + 1);
	rte_be32_t there = random_address(site_remote_network(policy), SITE_REMOTE_ADDRESSES);
	rte_be32_t source = frames->inbound ? there : here, destination = frames->inbound ? here : there;

	for (uint16_t i = 0; i < bytes; i++)
		packet[i] = random_byte(frames);
	if (is_ipv6)
		ipv6_write((struct rte_ipv6_hdr *)packet, bytes, source, destination);
	else
		ipv4_write((struct rte_ipv4_hdr *)packet, bytes, source, destination);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(bytes - l4));
	udp->dgram_cksum = 0;
	*pkt_of(m) = (struct pkt){
		.family = is_ipv6 ? IP_V6 : IP_V4, .protocol = IPPROTO_UDP, .l4 = l4, .ip_len = bytes};
}

/* A fragment to the gateway, the first of a packet whose others never come; NULL without a buffer. */
static struct rte_mbuf *fragment_make(struct rte_mempool *pool)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_ipv4_hdr *ip;

	if (!m)
		return NULL;
	ip = (struct rte_ipv4_hdr *)rte_pktmbuf_append(m, FRAGMENT_BYTES);
	memset(ip, 0, FRAGMENT_BYTES);
	ipv4_write(ip, FRAGMENT_BYTES, random_address(FRAGMENT_SOURCES_FIRST, FRAGMENT_SOURCES),
		rte_cpu_to_be_32(SITE_GATEWAY));
	ip->packet_id = (rte_be16_t)rte_rand();
	ip->fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*pkt_of(m) = (struct pkt){.family = IP_V4};
	return m;
}

static void encrypt(struct peers *peers, struct burst *burst)
{
	crypto_run(peers->worker, burst, &peers->tally);
	while (burst->n == 0 && crypto_in_flight(peers->worker) > 0)
		crypto_poll(peers->worker, burst);
}

/* Apply one SA to the packet, as the peer does; with the number `seq`, or the SA's next for 0. */
static void sa_apply(struct peers *peers, struct burst *burst, struct sa *sa, uint32_t seq)
{
	pkt_of(burst->pkts[0])->sa = sa;
	if (seq != 0)
		atomic_store(&sa->seq.next, seq);
	if (sa->protocol == SA_IPCOMP) {
		ipcomp_out(peers->ipcomp, burst, &peers->tally);
	} else if (sa->protocol == SA_AH) {
		ah_out_prepare(burst, &peers->tally);
		encrypt(peers, burst);
		ah_out_finish(burst, &peers->tally);
	} else {
		esp_out_prepare(burst, &peers->tally);
		encrypt(peers, burst);
		esp_out_finish(burst, &peers->tally);
	}
}

/*
 * Put the packet into its tunnel, and into the SAs around that. False if that fails, and the packet is gone.
 */
static bool tunnel_enter(
	struct peers *peers, struct burst *burst, uint32_t sa, uint32_t n_steps, uint32_t seq)
{
	for (uint32_t i = sa; burst->n == 1 && i < sa + n_steps; i++) {
		if (!peers_sa(peers, i)) {
			rte_pktmbuf_free(burst->pkts[0]);
			return false;
		}
		sa_apply(peers, burst, peers->sas[i], seq);
	}
	natt_out(burst, &(struct burst){0}, &peers->drops);
	return burst->n == 1;
}

/* Cut a packet that is too long for the link, into no more than a burst; false if that fails. */
static bool link_cut(struct peers *peers, struct burst *burst)
{
	struct burst whole = *burst;
	struct frag_cut cut = {.from = &whole};

	pkt_of(whole.pkts[0])->icmp_mtu = SITE_MTU_BYTES;
	burst->n = 0;
	/* The second time it says that there are no more. */
	return frag_fill(&peers->frag, &cut, burst, &peers->drops) &&
	       !frag_fill(&peers->frag, &cut, &(struct burst){0}, &peers->drops);
}

static void esp_spoil(struct rte_mbuf *m, enum frames_fault fault)
{
	struct rte_esp_hdr *esp = rte_pktmbuf_mtod_offset(m, struct rte_esp_hdr *, pkt_of(m)->esp_offset);

	if (fault == FRAMES_FORGED)
		*rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - 1) ^= FORGED_BIT;
	if (fault == FRAMES_UNKNOWN)
		esp->spi = rte_cpu_to_be_32(SPI_UNKNOWN_FIRST | (uint32_t)rte_rand());
}

/* The number of frame i of a queue among the frames of all queues; 0: the SA's next. */
static uint32_t shared_seq(const struct frames *frames, uint32_t i)
{
	return frames_share_sas(frames->n_sas, frames->n_queues) ? i * frames->n_queues + frames->queue + 1
								 : 0;
}

static int frame_write(FILE *out, struct rte_mbuf *m)
{
	const struct rte_ether_addr to = SITE_SOURCE_MAC;
	const struct rte_ether_addr from = {{0x02, 0x00, 0x5e, 0x00, 0x00, 0x01}};
	struct pcap_record record;

	ethernet_prepend_one(
		m, &to, &from, 0, pkt_of(m)->family == IP_V6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	record = (struct pcap_record){.kept_bytes = m->data_len, .bytes = m->data_len};
	fwrite(&record, sizeof(record), 1, out);
	fwrite(rte_pktmbuf_mtod(m, void *), m->data_len, 1, out);
	return ferror(out) ? -EIO : 0;
}

/* Make frame i, or several from frame i on; false if it can't be. */
static bool frames_make(const struct frames *frames, struct peers *peers, struct rte_mempool *pool,
	uint32_t i, struct burst *made)
{
	uint32_t policy = random_policy(frames);
	uint32_t n_steps = site_steps(frames->shape);

	frames->sas[i] = policy % frames->n_sas * n_steps;
	*made = (struct burst){.n = 1, .pkts = {rte_pktmbuf_alloc(pool)}};
	if (!made->pkts[0])
		return false;
	inner_append(made->pkts[0], frames, inner_bytes(frames, i), policy);
	if (!frames->inbound)
		return true;
	if (!tunnel_enter(peers, made, frames->sas[i], n_steps, shared_seq(frames, i)))
		return false;
	if (frames->shape == SITE_FRAGMENTS && !link_cut(peers, made))
		return false;
	if (frames->fault == FRAMES_FRAGMENTS)
		made->pkts[made->n++] = fragment_make(pool);
	else
		esp_spoil(made->pkts[0], frames->fault);
	return made->pkts[made->n - 1] != NULL;
}

/* Write what was made from frame i on, and free it. */
static int made_write(FILE *out, const struct frames *frames, uint32_t i, const struct burst *made)
{
	int ret = i + made->n <= frames->n_frames ? 0 : -EIO;

	for (uint16_t j = 0; j < made->n; j++) {
		if (ret == 0) {
			frames->sas[i + j] = frames->sas[i];
			ret = frame_write(out, made->pkts[j]);
		}
		rte_pktmbuf_free(made->pkts[j]);
	}
	return ret;
}

static int frames_write_all(
	FILE *out, const struct frames *frames, struct peers *peers, struct rte_mempool *pool)
{
	const struct pcap_header header = {.magic = PCAP_MAGIC,
		.major = 2,
		.minor = 4,
		.snap_bytes = PCAP_SNAP_BYTES,
		.link = PCAP_LINK_ETHER};
	struct burst made;
	int ret = 0;

	rte_srand(FRAME_SEED + frames->queue);
	fwrite(&header, sizeof(header), 1, out);
	for (uint32_t i = 0; ret == 0 && i < frames->n_frames; i += made.n) {
		if (!frames_make(frames, peers, pool, i, &made))
			return -EIO;
		ret = made_write(out, frames, i, &made);
	}
	return ret;
}

int frames_write(const struct frames *frames, const struct gateway *gateway, const struct crypto *crypto,
	struct err *err)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"frames", 63, 0, sizeof(struct pkt), RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	FILE *out = fopen(frames->path, "w");
	struct peers peers = {0};
	int ret = 0;

	if (frames->inbound)
		ret = pool ? peers_init(&peers, gateway, crypto, pool, err) : -ENOMEM;
	if (ret == 0) {
		ret = out && pool ? frames_write_all(out, frames, &peers, pool) : -EIO;
		if (out && fclose(out) != 0)
			ret = -EIO;
		if (ret != 0)
			err_set(err, -ret, "%s can't be written: %s", frames->path, strerror(-ret));
	}
	peers_fini(&peers);
	rte_mempool_free(pool);
	return ret;
}

static int frames_read_all(FILE *in, struct frame_list *list)
{
	struct pcap_header header;
	struct pcap_record record;

	if (fread(&header, sizeof(header), 1, in) != 1 || header.magic != PCAP_MAGIC)
		return -EIO;
	while (fread(&record, sizeof(record), 1, in) == 1) {
		struct frame *frame = array_append(&list->frames, &list->n);

		if (record.kept_bytes > PCAP_SNAP_BYTES)
			return -EIO;
		frame->n_bytes = (uint16_t)record.kept_bytes;
		frame->bytes = xcalloc(1, frame->n_bytes);
		if (fread(frame->bytes, 1, frame->n_bytes, in) != frame->n_bytes)
			return -EIO;
	}
	return list->n > 0 ? 0 : -EIO;
}

int frames_read(const char *path, struct frame_list *list, struct err *err)
{
	FILE *in = fopen(path, "r");
	int ret = in ? frames_read_all(in, list) : -EIO;

	if (in)
		fclose(in);
	return ret == 0 ? 0 : err_set(err, -ret, "%s holds no frames that can be read", path);
}

void frames_free(struct frame_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->frames[i].bytes);
	free(list->frames);
	*list = (struct frame_list){0};
}
