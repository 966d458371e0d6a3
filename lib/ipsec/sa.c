#include "ipsec/sa.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_udp.h>

#include "base/counter.h"
#include "ipsec/natt.h"
#include "ipsec/path_mtu.h"

/* Until control knows the link to the peer. */
#define LINK_MTU_USUAL 1500

/* What every packet reads is the front; names and addresses are at the end. */
_Static_assert(sizeof(struct sa) <= 512, "many SAs fit a cache");

static const enum drop_reason drop_reasons[SA_DROP_COUNT] = {
#define X(name) [SA_DROP_##name] = DROP_##name,
	SA_DROP_REASONS(X)
#undef X
};

static void outer_ipv4_init(struct sa *sa)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)sa->outer_header;

	ip->version_ihl = RTE_IPV4_VHL_DEF;
	/* RFC 6864 section 4.1: with DF set the packet is atomic, and its ID means nothing. */
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = SA_OUTER_TTL;
	ip->next_proto_id = sa->protocol;
	memcpy(&ip->src_addr, sa->source.bytes, sizeof(ip->src_addr));
	memcpy(&ip->dst_addr, sa->destination.bytes, sizeof(ip->dst_addr));
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	sa->outer_bytes = sizeof(*ip);
}

static void outer_ipv6_init(struct sa *sa)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)sa->outer_header;

	ip->vtc_flow = RTE_BE32(UINT32_C(6) << 28);
	ip->proto = sa->protocol;
	ip->hop_limits = SA_OUTER_TTL;
	memcpy(&ip->src_addr, sa->source.bytes, sizeof(ip->src_addr));
	memcpy(&ip->dst_addr, sa->destination.bytes, sizeof(ip->dst_addr));
	sa->outer_bytes = sizeof(*ip);
}

static void outer_header_init(struct sa *sa, enum sa_mode mode)
{
	if (mode == SA_TRANSPORT)
		return;
	if (sa->family == IP_V4)
		outer_ipv4_init(sa);
	else
		outer_ipv6_init(sa);
}

/* RFC 6040 section 4.1: ECN is always copied. */
#define CLASS_ECN_MASK   0x03
#define CLASS_DSCP_SHIFT 2

/* What varies in the tunnel's header from packet to packet, and how. */
static void outer_rules_init(struct sa *sa, const struct sa_conf *conf)
{
	bool copy = conf->dscp == SA_DSCP_COPY;

	sa->class_copied = copy ? UINT8_MAX : CLASS_ECN_MASK;
	sa->class_fixed = copy ? 0 : (uint8_t)(conf->dscp << CLASS_DSCP_SHIFT);
	sa->df = (uint8_t)conf->df;
	sa->outer_id = (uint16_t)rte_rand();
	sa->label_seed = (uint32_t)rte_rand();
}

/* IPComp has none. */
static void sa_alg_init(struct sa *sa, const struct sa_conf *conf)
{
	const struct alg *alg = conf->alg;

	if (!alg)
		return;
	memcpy(&sa->salt, conf->key.bytes + alg->cipher_key_bytes, alg->salt_bytes);
	sa->aead = alg_is_aead(alg);
	sa->cipher = (uint8_t)alg->cipher;
	sa->iv_bytes = alg->iv_bytes;
	sa->icv_bytes = alg->icv_bytes;
	sa->align_bytes = alg->align_bytes;
	sa->alg = alg;
}

/* What follows from the configuration alone. */
static void sa_init(struct sa *sa, const struct sa_params *params)
{
	const struct sa_conf *conf = params->conf;

	sa->iv_mask = params->iv_mask;
	sa->spi = rte_cpu_to_be_32(conf->spi);
	sa->protocol = (uint8_t)conf->protocol;
	sa->inbound = params->inbound;
	sa->esn = conf->esn;
	sa_alg_init(sa, conf);
	sa->family = conf->destination.family;
	sa->source = conf->source;
	sa->destination = conf->destination;
	sa->n_workers = params->n_workers;
	sa->in_udp = conf->encap == SA_ENCAP_UDP;
	sa->mss_clamp = conf->mss_clamp;
	snprintf(sa->name, sizeof(sa->name), "%s", conf->name);
	seq_init(&sa->seq, conf->esn);
	outer_header_init(sa, conf->mode);
	outer_rules_init(sa, conf);
	path_mtu_set_link(sa, LINK_MTU_USUAL);
}

/* The parts that have memory of their own. Those that were made are sa_destroy's, also on failure. */
static int sa_parts_create(
	struct sa *sa, const struct sa_params *params, const struct crypto *crypto, struct err *err)
{
	const struct sa_conf *conf = params->conf;
	struct crypto_session_conf session = {
		.alg = conf->alg,
		.key = &conf->key,
		.inbound = params->inbound,
		.esn = conf->esn,
	};

	sa->counters = rte_zmalloc_socket("sa_counters", params->n_workers * sizeof(*sa->counters),
		alignof(struct sa_counters), params->socket);
	if (sa->inbound)
		sa->replay = replay_create(conf->replay_window_pkts, conf->esn, 0, params->socket);
	if (sa->in_udp)
		sa->natt = natt_create(conf, sa->inbound, params->socket);
	if (!sa->counters || (sa->inbound && !sa->replay) || (sa->in_udp && !sa->natt))
		return err_set(err, ENOMEM, "no memory");
	return conf->alg ? crypto_session_create(crypto, &session, &sa->session, err) : 0;
}

int sa_create(const struct sa_params *params, const struct crypto *crypto, struct sa **out, struct err *err)
{
	struct sa *sa = rte_zmalloc_socket("sa", sizeof(*sa), alignof(struct sa), params->socket);
	int ret;

	if (!sa)
		return err_set(err, ENOMEM, "sa %s: no memory", params->conf->name);
	sa_init(sa, params);
	ret = sa_parts_create(sa, params, crypto, err);
	if (ret != 0) {
		sa_destroy(sa);
		return err_prefix(err, ret, "sa %s", params->conf->name);
	}
	*out = sa;
	return 0;
}

void sa_destroy(struct sa *sa)
{
	if (!sa)
		return;
	if (sa->session.handle)
		crypto_session_destroy(&sa->session);
	replay_destroy(sa->replay);
	natt_destroy(sa->natt);
	rte_free(sa->counters);
	/* The salt and the mask of IVs are part of the key. */
	explicit_bzero(sa, sizeof(*sa));
	rte_free(sa);
}

void sa_counters_sum(const struct sa *sa, struct sa_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned worker = 0; worker < sa->n_workers; worker++) {
		const struct sa_counters *counters = &sa->counters[worker];

		sum->packets += counter_read(&counters->packets);
		sum->bytes += counter_read(&counters->bytes);
		sum->uncompressed += counter_read(&counters->uncompressed);
		for (unsigned slot = 0; slot < SA_DROP_COUNT; slot++)
			sum->drops[slot] += counter_read(&counters->drops[slot]);
	}
}

enum drop_reason sa_drop_reason(enum sa_drop slot)
{
	return drop_reasons[slot];
}

static size_t ip_header_bytes(const struct sa *sa)
{
	return sa->family == IP_V4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
}

/* Of ESP. In transport mode the packet's own IP header, here without options, is not encrypted. */
static uint16_t esp_inner_mtu(const struct sa *sa, uint16_t outer_mtu_bytes)
{
	int kept = sa_is_transport(sa) ? (int)ip_header_bytes(sa) : 0;
	int udp = sa->in_udp ? sizeof(struct rte_udp_hdr) : 0;
	int around = sa->outer_bytes + udp + ESP_HEADER_BYTES + sa->iv_bytes + sa->icv_bytes;
	int room = outer_mtu_bytes - around - kept;

	if (room < sa->align_bytes)
		return 0;
	return (uint16_t)(kept + room - room % sa->align_bytes - ESP_TRAILER_BYTES);
}

static uint16_t step_inner_mtu(const struct sa *sa, uint16_t outer_mtu_bytes)
{
	int around;

	if (sa->protocol == SA_ESP)
		return esp_inner_mtu(sa, outer_mtu_bytes);
	around = sa->outer_bytes + (sa->protocol == SA_AH ? sa_ah_bytes(sa) : 0);
	return outer_mtu_bytes > around ? (uint16_t)(outer_mtu_bytes - around) : 0;
}

uint16_t sa_inner_mtu(const struct sa *sa, uint16_t link_mtu_bytes)
{
	return step_inner_mtu(sa, sa->around ? sa_inner_mtu(sa->around, link_mtu_bytes) : link_mtu_bytes);
}
