#include "ipsec/mss_back.h"

#include <stdatomic.h>
#include <string.h>

#include "net/mss.h"
#include "net/stage.h"

/* Exchange source and destination, ports included. No checksum sees the difference. */
static void turn_round_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	size_t bytes = ip_family_bytes(p->family);
	uint8_t *source = rte_pktmbuf_mtod_offset(m, uint8_t *,
		p->family == IP_V4 ? offsetof(struct rte_ipv4_hdr, src_addr)
				   : offsetof(struct rte_ipv6_hdr, src_addr));
	uint8_t kept[16];
	uint16_t port = p->source_port;

	memcpy(kept, source, bytes);
	memcpy(source, source + bytes, bytes);
	memcpy(source + bytes, kept, bytes);
	p->source_port = p->destination_port;
	p->destination_port = port;
}

/* The SA that protects the answers to the packet, or NULL. */
static const struct sa *answers_sa(
	struct rte_mbuf *m, const struct spd *out, const struct alternatives *alternatives)
{
	const struct sa *in = pkt_of(m)->sa, *of_peer = NULL;
	const struct spd_entry *entry;

	turn_round_one(m);
	spd_find(out, &m, 1, &entry);
	turn_round_one(m);
	if (!entry || entry->action != POLICY_PROTECT)
		return NULL;
	if (atomic_load_explicit(&in->special, memory_order_relaxed) & SA_OF_PEER)
		of_peer = alternatives_peer_sa(alternatives, entry->index, in->peer);
	return of_peer ? of_peer : entry->sa;
}

void mss_back(struct burst *burst, const struct spd *out, const struct alternatives *alternatives,
	struct drops *drops)
{
	STAGE(mss_back, burst, drops);

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct sa *sa =
			pkt_of(m)->flags & PKT_TCP_SYN ? answers_sa(m, out, alternatives) : NULL;

		if (sa && sa->mss_clamp)
			mss_clamp_one(m, atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed));
	}
}
