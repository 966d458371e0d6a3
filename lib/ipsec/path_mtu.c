#include "ipsec/path_mtu.h"

#include "model/gateway.h"

static void path_set(struct sa *sa, uint16_t mtu_bytes)
{
	atomic_store_explicit(&sa->path.mtu_bytes, mtu_bytes, memory_order_relaxed);
	atomic_store_explicit(&sa->inner_mtu, sa_inner_mtu(sa, mtu_bytes), memory_order_relaxed);
}

void path_mtu_set_link(struct sa *sa, uint16_t link_mtu_bytes)
{
	uint16_t mtu_bytes = atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed);

	sa->path.link_mtu_bytes = link_mtu_bytes;
	if (sa->path.is_learned && mtu_bytes < link_mtu_bytes)
		return;
	sa->path.is_learned = false;
	path_set(sa, link_mtu_bytes);
}

/* Numbers are compared modulo 2^32, since that is what the wire shows. */
static bool was_sent_lately(const struct sa *sa, uint32_t seq)
{
	uint64_t sent = atomic_load_explicit(&sa->seq.next, memory_order_relaxed) - 1;
	uint32_t ago = (uint32_t)sent - seq;

	return ago < sent && ago < PATH_MTU_QUOTE_PKTS_MAX;
}

static bool too_big_makes_sense(const struct sa *sa, const struct quote *quote)
{
	if (sa->family == IP_V6)
		return quote->mtu_bytes >= PATH_MTU_IPV6_MIN;
	return quote->has_df && sa->df != SA_DF_CLEAR;
}

bool path_mtu_quote_is_plausible(const struct sa *sa, const struct quote *quote)
{
	if (!quote->ipsec || quote->in_udp != sa_is_in_udp(sa) ||
		!ip_addr_equal(&quote->flow.source, &sa->source))
		return false;
	if (quote->kind == ICMP_KIND_TOO_BIG && !too_big_makes_sense(sa, quote))
		return false;
	return was_sent_lately(sa, quote->seq);
}

bool path_mtu_learn(struct sa *sa, uint32_t told_bytes, uint16_t min_bytes, uint64_t until_ns)
{
	uint16_t known = atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed);
	uint32_t mtu_bytes = RTE_MAX(told_bytes, (uint32_t)min_bytes);

	if (mtu_bytes > known || (mtu_bytes == known && !sa->path.is_learned))
		return false;
	sa->path.is_learned = true;
	sa->path.until_ns = until_ns;
	if (mtu_bytes == known)
		return false;
	path_set(sa, (uint16_t)mtu_bytes);
	return true;
}

void path_mtu_follow(struct sa *sa)
{
	const struct sa *last = sa_outermost(sa);

	if (last != sa)
		path_set(sa, atomic_load_explicit(&last->path.mtu_bytes, memory_order_relaxed));
}

bool path_mtu_age(struct sa *sa, uint64_t now_ns)
{
	if (!sa->path.is_learned || now_ns < sa->path.until_ns)
		return false;
	sa->path.is_learned = false;
	path_set(sa, sa->path.link_mtu_bytes);
	return true;
}
