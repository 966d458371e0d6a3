#include "xvalid/librte_peer.h"

#include <netinet/in.h>
#include <string.h>

#include <check.h>
#include <rte_cryptodev.h>
#include <rte_ip.h>
#include <rte_malloc.h>

#define QUEUE_PAIR 1 /* culvert's worker has 0 */
#define N_OPS      255
#define IV_OFFSET  (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))
#define IV_ROOM    32 /* for drivers that write more than the algorithm has */
/* Wide enough that packets in order are never late. */
#define WINDOW_PKTS 64

struct xforms {
	struct rte_crypto_sym_xform cipher; /* or AEAD */
	struct rte_crypto_sym_xform auth;
	struct rte_crypto_sym_xform *first;
};

static struct rte_crypto_sym_xform aead_xform(
	const struct alg *alg, const struct secret *key, bool inbound, bool esn)
{
	return (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead =
			{
				.op = inbound ? RTE_CRYPTO_AEAD_OP_DECRYPT : RTE_CRYPTO_AEAD_OP_ENCRYPT,
				.algo = alg->cipher == CIPHER_AES_GCM ? RTE_CRYPTO_AEAD_AES_GCM
								      : RTE_CRYPTO_AEAD_CHACHA20_POLY1305,
				.key = {.data = key->bytes, .length = alg->cipher_key_bytes},
				.iv = {.offset = IV_OFFSET, .length = 12},
				.digest_length = alg->icv_bytes,
				.aad_length = esn ? 12 : 8,
			},
	};
}

static struct rte_crypto_sym_xform cipher_xform(const struct alg *alg, const struct secret *key, bool inbound)
{
	return (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher =
			{
				.op = inbound ? RTE_CRYPTO_CIPHER_OP_DECRYPT : RTE_CRYPTO_CIPHER_OP_ENCRYPT,
				.algo = alg->cipher == CIPHER_NULL ? RTE_CRYPTO_CIPHER_NULL
								   : RTE_CRYPTO_CIPHER_AES_CBC,
				.key = {.data = key->bytes, .length = alg->cipher_key_bytes},
				.iv = {.offset = IV_OFFSET, .length = alg->iv_bytes},
			},
	};
}

static struct rte_crypto_sym_xform auth_xform(const struct alg *alg, const struct secret *key, bool inbound)
{
	return (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth =
			{
				.op = inbound ? RTE_CRYPTO_AUTH_OP_VERIFY : RTE_CRYPTO_AUTH_OP_GENERATE,
				.algo = alg->auth == AUTH_HMAC_SHA2_256 ? RTE_CRYPTO_AUTH_SHA256_HMAC
									: RTE_CRYPTO_AUTH_SHA512_HMAC,
				.key = {.data = key->bytes + alg->cipher_key_bytes,
					.length = alg->auth_key_bytes},
				.digest_length = alg->icv_bytes,
			},
	};
}

static void xforms_init(struct xforms *xforms, const struct alg *alg, const struct secret *key,
	const struct librte_peer_conf *conf)
{
	if (alg_is_aead(alg)) {
		xforms->cipher = aead_xform(alg, key, conf->inbound, conf->spec->esn);
		xforms->first = &xforms->cipher;
		return;
	}
	xforms->cipher = cipher_xform(alg, key, conf->inbound);
	xforms->auth = auth_xform(alg, key, conf->inbound);
	xforms->first = conf->inbound ? &xforms->auth : &xforms->cipher;
	xforms->first->next = conf->inbound ? &xforms->cipher : &xforms->auth;
}

/* The session has no NULL cipher, which not every driver has; librte_ipsec is told of one. */
static void session_begin(
	struct librte_peer *peer, const struct librte_peer_conf *conf, struct xforms *xforms)
{
	struct crypto_device device = crypto_env_device(conf->driver);
	struct xforms own = *xforms;
	struct rte_crypto_sym_xform *first;

	own.auth.next = NULL;
	if (xforms->first->type == RTE_CRYPTO_SYM_XFORM_AEAD)
		first = &own.cipher;
	else if (own.cipher.cipher.algo == RTE_CRYPTO_CIPHER_NULL)
		first = &own.auth;
	else
		first = xforms->first;
	peer->session.type = RTE_SECURITY_ACTION_TYPE_NONE;
	peer->session.crypto.dev_id = device.id;
	peer->session.crypto.ses = rte_cryptodev_sym_session_create(device.id, first, device.sessions);
	ck_assert_msg(peer->session.crypto.ses != NULL, "%s makes no session", conf->driver);
	rte_cryptodev_sym_session_opaque_data_set(peer->session.crypto.ses, (uintptr_t)&peer->session);
}

static void address_write(void *out, const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	memcpy(out, addr.bytes, ip_family_bytes(addr.family));
}

/* The template of the tunnel's header, with the addresses of sa_of. Returns its length. */
static uint16_t outer_header_write(uint8_t out[static 40], uint8_t family)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)out;

	memset(out, 0, 40);
	if (family == IP_V6) {
		ip6->vtc_flow = RTE_BE32(UINT32_C(6) << 28);
		ip6->proto = IPPROTO_ESP;
		ip6->hop_limits = 64;
		address_write(&ip6->src_addr, "2001:db8::1");
		address_write(&ip6->dst_addr, "2001:db8:1::1");
		return sizeof(*ip6);
	}
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_ESP;
	address_write(&ip->src_addr, "192.0.2.1");
	address_write(&ip->dst_addr, "198.51.100.1");
	return sizeof(*ip);
}

/*
 * librte_ipsec copies the template and fills in length and ID; the checksum it leaves to its caller, or to a
 * port that makes one.
 */
static void outer_header_finish(struct rte_mbuf *m)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

	if (ip->version_ihl == RTE_IPV4_VHL_DEF)
		ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void sa_begin(struct librte_peer *peer, const struct librte_peer_conf *conf, const struct alg *alg,
	const struct secret *key, struct xforms *xforms)
{
	uint8_t header[40];
	struct rte_ipsec_sa_prm prm = {
		.ipsec_xform =
			{
				.spi = conf->spec->spi ? conf->spec->spi : 0x1001,
				.options = {.esn = conf->spec->esn},
				.direction = conf->inbound ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS
							   : RTE_SECURITY_IPSEC_SA_DIR_EGRESS,
				.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
				.mode = RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,
				.tunnel = {.type = conf->spec->outer == IP_V6
							   ? RTE_SECURITY_IPSEC_TUNNEL_IPV6
							   : RTE_SECURITY_IPSEC_TUNNEL_IPV4},
				.replay_win_sz = conf->inbound ? WINDOW_PKTS : 0,
				.esn = {.value = conf->seq},
			},
		.crypto_xform = xforms->first,
		.tun = {.next_proto = conf->inner == IP_V6 ? IPPROTO_IPV6 : IPPROTO_IPIP, .hdr = header},
	};
	int size;

	memcpy(&prm.ipsec_xform.salt, key->bytes + alg->cipher_key_bytes, alg->salt_bytes);
	peer->outer_bytes = outer_header_write(header, conf->spec->outer);
	prm.tun.hdr_len = (uint8_t)peer->outer_bytes;
	size = rte_ipsec_sa_size(&prm);
	ck_assert_int_gt(size, 0);
	peer->session.sa = rte_zmalloc("librte_sa", (size_t)size, RTE_CACHE_LINE_SIZE);
	ck_assert_ptr_nonnull(peer->session.sa);
	/* It says so of algorithms that it doesn't know too; the packets show that it knows these. */
	ck_assert_int_eq(rte_ipsec_sa_init(peer->session.sa, &prm, (uint32_t)size), size);
}

void librte_peer_begin(struct librte_peer *peer, const struct librte_peer_conf *conf)
{
	const struct alg *alg = alg_find(conf->spec->alg);
	struct secret key = sa_pair_key(alg);
	struct xforms xforms = {0};

	*peer = (struct librte_peer){.inbound = conf->inbound};
	xforms_init(&xforms, alg, &key, conf);
	sa_begin(peer, conf, alg, &key, &xforms);
	session_begin(peer, conf, &xforms);
	ck_assert_int_eq(rte_ipsec_session_prepare(&peer->session), 0);
	peer->ops = rte_crypto_op_pool_create(
		"librte_ops", RTE_CRYPTO_OP_TYPE_SYMMETRIC, N_OPS, 0, IV_ROOM, SOCKET_ID_ANY);
	ck_assert_ptr_nonnull(peer->ops);
}

void librte_peer_end(struct librte_peer *peer)
{
	rte_mempool_free(peer->ops);
	if (peer->session.crypto.ses != NULL)
		rte_cryptodev_sym_session_free(peer->session.crypto.dev_id, peer->session.crypto.ses);
	if (peer->session.sa != NULL)
		rte_ipsec_sa_fini(peer->session.sa);
	rte_free(peer->session.sa);
	*peer = (struct librte_peer){0};
}

/* Packets to operations. What librte_ipsec refuses it puts behind the others: that is freed. */
static void prepare(struct librte_peer *peer, struct burst *burst, struct rte_crypto_op **ops)
{
	uint16_t n;

	ck_assert_uint_eq(
		rte_crypto_op_bulk_alloc(peer->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, ops, burst->n), burst->n);
	for (uint16_t i = 0; i < burst->n; i++) {
		burst->pkts[i]->l2_len = 0;
		burst->pkts[i]->l3_len = peer->inbound ? peer->outer_bytes : 0;
		/* For AES-CBC on the way out it doesn't write the operation's IV, and means it to be zero. */
		memset(rte_crypto_op_ctod_offset(ops[i], void *, IV_OFFSET), 0, IV_ROOM);
	}
	n = rte_ipsec_pkt_crypto_prepare(&peer->session, burst->pkts, ops, burst->n);
	rte_pktmbuf_free_bulk(&burst->pkts[n], burst->n - n);
	rte_mempool_put_bulk(peer->ops, (void **)&ops[n], burst->n - n);
	burst->n = n;
}

static void process_ops(const struct librte_peer *peer, struct rte_crypto_op **ops, uint16_t n)
{
	uint16_t done = 0;

	ck_assert_uint_eq(rte_cryptodev_enqueue_burst(peer->session.crypto.dev_id, QUEUE_PAIR, ops, n), n);
	while (done < n)
		done += rte_cryptodev_dequeue_burst(
			peer->session.crypto.dev_id, QUEUE_PAIR, &ops[done], n - done);
}

void librte_peer_run(struct librte_peer *peer, struct burst *burst)
{
	struct rte_crypto_op *ops[BURST_MAX];
	struct rte_ipsec_group groups[BURST_MAX];
	uint16_t n;

	prepare(peer, burst, ops);
	if (burst->n == 0)
		return;
	process_ops(peer, ops, burst->n);
	ck_assert_uint_eq(
		rte_ipsec_pkt_crypto_group((const struct rte_crypto_op **)ops, burst->pkts, groups, burst->n),
		1);
	ck_assert_ptr_eq(groups[0].id.ptr, &peer->session);
	rte_mempool_put_bulk(peer->ops, (void **)ops, burst->n);
	n = rte_ipsec_pkt_process(&peer->session, burst->pkts, burst->n);
	rte_pktmbuf_free_bulk(&burst->pkts[n], burst->n - n);
	burst->n = n;
	for (uint16_t i = 0; i < n && !peer->inbound; i++)
		outer_header_finish(burst->pkts[i]);
}
