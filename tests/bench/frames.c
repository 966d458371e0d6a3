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
#include "ipsec/esp_out.h"
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
	struct drops drops;
	struct sa_tally tally;
	const struct crypto *crypto;
	const struct gateway *gateway;
	struct sa **sas; /* NULL until it is needed */
	size_t n_sas;
};

uint32_t frames_count(uint32_t n_policies)
{
	uint32_t wanted = rte_align32pow2(n_policies * FRAMES_PER_POLICY);

	return RTE_MIN(RTE_MAX(wanted, (uint32_t)FRAMES_MIN), (uint32_t)FRAMES_MAX);
}

static int peers_init(
	struct peers *peers, const struct gateway *gateway, const struct crypto *crypto, struct err *err)
{
	int ret = crypto_worker_create(crypto, 0, SOCKET_ID_ANY, &peers->worker, err);

	if (ret == 0 && crypto_worker_warm_up(peers->worker) != 0)
		ret = err_set(err, EIO, "the crypto device does not start");
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

/* Append the inner packet to the empty mbuf, described as parse_burst does. */
static void inner_append(struct rte_mbuf *m, const struct frames *frames, uint16_t bytes, uint32_t policy)
{
	uint8_t *packet = (uint8_t *)rte_pktmbuf_append(m, bytes);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)packet;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	rte_be32_t here = random_address(SITE_LOCAL_NETWORK, UINT16_MAX + 1);
	rte_be32_t there = random_address(site_remote_network(policy), SITE_REMOTE_ADDRESSES);

	for (uint16_t i = 0; i < bytes; i++)
		packet[i] = (uint8_t)rte_rand();
	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(bytes),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = frames->inbound ? there : here,
		.dst_addr = frames->inbound ? here : there,
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(bytes - sizeof(*ip)));
	udp->dgram_cksum = 0;
	*pkt_of(m) =
		(struct pkt){.family = IP_V4, .protocol = IPPROTO_UDP, .l4 = sizeof(*ip), .ip_len = bytes};
}

/*
 * Put the packet into its tunnel, as the peer does; with the number `seq`, or the SA's next for 0. False if
 * that fails, and the packet is gone.
 */
static bool tunnel_enter(struct peers *peers, struct rte_mbuf *m, uint32_t sa, uint32_t seq)
{
	struct burst burst = {.n = 1, .pkts = {m}};

	pkt_of(m)->sa = peers_sa(peers, sa);
	if (!pkt_of(m)->sa) {
		rte_pktmbuf_free(m);
		return false;
	}
	if (seq != 0)
		atomic_store(&pkt_of(m)->sa->seq.next, seq);
	esp_out_prepare(&burst, &peers->tally);
	crypto_run(peers->worker, &burst, &peers->tally);
	while (burst.n == 0 && crypto_in_flight(peers->worker) > 0)
		crypto_poll(peers->worker, &burst);
	esp_out_finish(&burst, &peers->tally);
	natt_out(&burst, &(struct burst){0}, &peers->drops);
	return burst.n == 1;
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

	ethernet_prepend_one(m, &to, &from, 0, RTE_ETHER_TYPE_IPV4);
	record = (struct pcap_record){.kept_bytes = m->data_len, .bytes = m->data_len};
	fwrite(&record, sizeof(record), 1, out);
	fwrite(rte_pktmbuf_mtod(m, void *), m->data_len, 1, out);
	return ferror(out) ? -EIO : 0;
}

/* Frame i; NULL if it can't be made. */
static struct rte_mbuf *frame_make(
	const struct frames *frames, struct peers *peers, struct rte_mempool *pool, uint32_t i)
{
	uint32_t policy = random_policy(frames);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (!m)
		return NULL;
	frames->sas[i] = policy % frames->n_sas;
	inner_append(m, frames, inner_bytes(frames, i), policy);
	if (!frames->inbound)
		return m;
	if (!tunnel_enter(peers, m, frames->sas[i], shared_seq(frames, i)))
		return NULL;
	esp_spoil(m, frames->fault);
	return m;
}

static int frames_write_all(
	FILE *out, const struct frames *frames, struct peers *peers, struct rte_mempool *pool)
{
	const struct pcap_header header = {.magic = PCAP_MAGIC,
		.major = 2,
		.minor = 4,
		.snap_bytes = PCAP_SNAP_BYTES,
		.link = PCAP_LINK_ETHER};
	int ret = 0;

	rte_srand(FRAME_SEED + frames->queue);
	fwrite(&header, sizeof(header), 1, out);
	for (uint32_t i = 0; ret == 0 && i < frames_count(frames->n_policies); i++) {
		struct rte_mbuf *m = frame_make(frames, peers, pool, i);

		if (!m)
			return -EIO;
		ret = frame_write(out, m);
		rte_pktmbuf_free(m);
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
		ret = peers_init(&peers, gateway, crypto, err);
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
