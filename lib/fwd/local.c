#include "fwd/local.h"

#include "net/parse.h"
#include "net/stage.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_branch_prediction.h>

bool local_addrs_add(struct local_addrs *local, const struct ip_addr *addr)
{
	uint16_t *n = addr->family == IP_V4 ? &local->n_ipv4 : &local->n_ipv6;

	if (*n == LOCAL_ADDRS_MAX)
		return false;
	if (addr->family == IP_V4)
		memcpy(&local->ipv4[*n], addr->bytes, sizeof(local->ipv4[0]));
	else
		memcpy(local->ipv6[*n], addr->bytes, sizeof(local->ipv6[0]));
	(*n)++;
	return true;
}

static inline bool has_ipv4(const struct local_addrs *local, rte_be32_t address)
{
	for (uint16_t i = 0; i < local->n_ipv4; i++)
		if (local->ipv4[i] == address)
			return true;
	return false;
}

static inline bool has_ipv6(const struct local_addrs *local, const uint8_t *address)
{
	for (uint16_t i = 0; i < local->n_ipv6; i++)
		if (memcmp(local->ipv6[i], address, sizeof(local->ipv6[i])) == 0)
			return true;
	return false;
}

bool local_match_one(const struct local_addrs *local, struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V4 ? has_ipv4(local, pkt_ipv4(m)->dst_addr)
					  : has_ipv6(local, pkt_destination(m));
}

bool local_match_source_one(const struct local_addrs *local, struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V4 ? has_ipv4(local, pkt_ipv4(m)->src_addr)
					  : has_ipv6(local, pkt_source(m));
}

bool local_has(const struct local_addrs *local, const struct ip_addr *addr)
{
	rte_be32_t ipv4;

	if (addr->family == IP_V6)
		return has_ipv6(local, addr->bytes);
	memcpy(&ipv4, addr->bytes, sizeof(ipv4));
	return has_ipv4(local, ipv4);
}

bool local_is_ipsec_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (unlikely(p->flags & PKT_AH))
		parse_ah_one(m);
	return p->protocol == IPPROTO_ESP || p->protocol == IPPROTO_AH || p->protocol == IPPROTO_COMP;
}

void local_split(struct burst *burst, const struct local_addrs *local, struct burst *ipsec,
	struct burst *host, struct drops *drops)
{
	STAGE(local, burst, drops, ipsec, host);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (!local_match_one(local, m)) {
			if (pkt_is_link_local(m))
				drop_one(drops, m, DROP_in_link_local);
			else
				burst->pkts[kept++] = m;
		} else if (ipsec && local_is_ipsec_one(m)) {
			burst_add_one(ipsec, m);
		} else {
			burst_add_one(host, m);
		}
	}
	burst->n = kept;
}
