#include "ipsec/sa.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_udp.h>

#include "base/clock.h"
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

/* What hides an outbound SA's traffic: padding and dummies. */
static void hiding_init(struct sa *sa, const struct sa_conf *conf)
{
	if (conf->tfc_bytes != SA_TFC_NONE)
		atomic_fetch_or(&sa->special, SA_TFC);
	sa->tfc_bytes = (uint16_t)conf->tfc_bytes;
	if (conf->dummy_rate_pps > 0)
		sa->dummy.interval_tsc = rte_get_tsc_hz() / conf->dummy_rate_pps;
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
	sa->lookup = (uint8_t)conf->lookup;
	sa->n_workers = params->n_workers;
	sa->mss_clamp = conf->mss_clamp;
	sa->cuts_after = conf->fragment == SA_FRAGMENT_AFTER;
	snprintf(sa->name, sizeof(sa->name), "%s", conf->name);
	seq_init(&sa->seq, conf->esn);
	outer_header_init(sa, conf->mode);
	atomic_init(&sa->special, (sa_is_transport(sa) ? SA_IS_TRANSPORT : 0) |
					  (conf->encap == SA_ENCAP_UDP ? SA_IN_UDP : 0) |
					  (conf->lookup == SA_LOOKUP_SPI ? SA_FROM_ANY : 0));
	outer_rules_init(sa, conf);
	path_mtu_set_link(sa, LINK_MTU_USUAL);
	if (!sa->inbound)
		hiding_init(sa, conf);
}

/* The limits are the key's: what the SA before has used of it counts. */
static void life_carry(struct life *life, const struct sa *before)
{
	uint64_t now_ns = clock_now_ns();

	life->made_ns = before->life->made_ns;
	atomic_store(&life->bytes.taken, sa_life_used(before, SA_LIMIT_BYTES, now_ns));
	if (before->inbound)
		atomic_store(&life->packets.taken, sa_life_used(before, SA_LIMIT_PACKETS, now_ns));
}

/* The account of an SA that has limits. */
static int life_begin(struct sa *sa, const struct sa_params *params, struct err *err)
{
	struct sa_limit limits[SA_LIMIT_COUNT];
	bool is_limited = false;
	int ret;

	life_limits(params->conf, params->inbound, limits);
	for (unsigned kind = 0; kind < SA_LIMIT_COUNT; kind++)
		is_limited |= limits[kind].soft > 0 || limits[kind].hard > 0;
	if (!is_limited)
		return 0;
	ret = life_create(limits, params->n_workers, params->socket, &sa->life, err);
	if (ret != 0)
		return ret;
	if (params->before && params->before->life)
		life_carry(sa->life, params->before);
	if (life_is_metered(sa->life, sa->inbound))
		atomic_fetch_or(&sa->special, SA_METERED);
	if (!sa->inbound)
		sa->seq.last = life_seq_last(sa->life, sa->seq.last);
	return 0;
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
		sa->replay = params->before
				     ? replay_get(params->before->replay)
				     : replay_create(conf->replay_window_pkts, conf->esn, 0, params->socket);
	if (sa_is_in_udp(sa))
		sa->natt = natt_create(conf, sa->inbound, params->socket);
	if (!sa->counters || (sa->inbound && !sa->replay) || (sa_is_in_udp(sa) && !sa->natt))
		return err_set(err, ENOMEM, "no memory");
	int ret = life_begin(sa, params, err);
	if (ret != 0)
		return ret;
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
	replay_put(sa->replay);
	natt_destroy(sa->natt);
	life_destroy(sa->life);
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
		sum->dummies += counter_read(&counters->dummies);
		sum->last_tsc = RTE_MAX(sum->last_tsc, counter_read(&counters->last_tsc));
		for (unsigned slot = 0; slot < SA_DROP_COUNT; slot++)
			sum->drops[slot] += counter_read(&counters->drops[slot]);
	}
}

void sa_end(struct sa *sa, enum sa_limit_kind by)
{
	int goes_on = LIFE_GOES_ON;

	atomic_compare_exchange_strong(&sa->life->ended_by, &goes_on, by);
	atomic_fetch_or(&sa->special, SA_ENDED);
}

/* What workers have taken, less what they still have: in this order, so that it is never too much. */
static uint64_t account_used(const struct sa *sa, const struct life_account *account, size_t purse_offset)
{
	uint64_t used = atomic_load(&account->taken);

	for (unsigned worker = 0; worker < sa->n_workers; worker++) {
		const void *purse = (const char *)&sa->counters[worker].purse + purse_offset;

		used -= RTE_MIN(used, counter_read(purse));
	}
	return used;
}

uint64_t sa_life_used(const struct sa *sa, enum sa_limit_kind kind, uint64_t now_ns)
{
	switch (kind) {
	case SA_LIMIT_TIME:
		return (now_ns - sa->life->made_ns) / CLOCK_NS_PER_S;
	case SA_LIMIT_BYTES:
		return account_used(sa, &sa->life->bytes, offsetof(struct life_purse, bytes));
	default:
		/* Numbers that were asked for past the last one were not given. */
		return sa->inbound
			       ? account_used(sa, &sa->life->packets, offsetof(struct life_purse, packets))
			       : RTE_MIN(atomic_load(&sa->seq.next) - 1, sa->seq.last);
	}
}

const char *sa_protocol_name(uint8_t protocol)
{
	if (protocol == SA_ESP)
		return "esp";
	return protocol == SA_AH ? "ah" : "ipcomp";
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
	int udp = sa_is_in_udp(sa) ? sizeof(struct rte_udp_hdr) : 0;
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
