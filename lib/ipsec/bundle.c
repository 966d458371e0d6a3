#include "ipsec/bundle.h"

#include "net/parse.h"
#include "net/stage.h"

void bundle_next(struct burst *burst, struct burst *more, struct drops *drops)
{
	STAGE(bundle, burst, drops, more);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct pkt *p = pkt_of(burst->pkts[i]);

		if (p->sa->around) {
			p->sa = p->sa->around;
			burst_add_one(more, burst->pkts[i]);
		} else {
			burst->pkts[kept++] = burst->pkts[i];
		}
	}
	burst->n = kept;
}

static bool is_protocol_of_sa(uint8_t protocol)
{
	return protocol == SA_ESP || protocol == SA_AH || protocol == SA_IPCOMP;
}

void bundle_inside(struct burst *burst, struct burst *inside, struct drops *drops)
{
	STAGE(bundle, burst, drops, inside);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct pkt *p = pkt_of(m);

		if (p->flags & PKT_AH)
			parse_ah_one(m);
		if (p->sa->has_inside && is_protocol_of_sa(p->protocol)) {
			p->policy_sa = p->sa;
			burst_add_one(inside, m);
		} else {
			burst->pkts[kept++] = m;
		}
	}
	burst->n = kept;
}

void bundle_check(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(bundle, burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		const struct pkt *p = pkt_of(burst->pkts[i]);

		if (p->sa->around == p->policy_sa && p->sa->protocol != SA_IPCOMP)
			burst->pkts[kept++] = burst->pkts[i];
		else
			sa_drop_one(tally, burst->pkts[i], in_bundle);
	}
	burst->n = kept;
}

void bundle_depth(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(bundle, burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		if (++pkt_of(burst->pkts[i])->depth < BUNDLE_DEPTH_MAX)
			burst->pkts[kept++] = burst->pkts[i];
		else
			sa_drop_one(tally, burst->pkts[i], in_nesting);
	}
	burst->n = kept;
}
