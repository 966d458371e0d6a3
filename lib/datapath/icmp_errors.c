#include "datapath/icmp_errors.h"

#include <stddef.h>
#include <string.h>

#include "ipsec/path_mtu.h"
#include "net/quote.h"
#include "net/stage.h"

/* Does it quote a packet that one of our SAs may have sent? */
static bool quote_is_of_sa(const struct worker *w, const struct quote *quote)
{
	const struct sa *sa;

	if (!quote->ipsec)
		return false;
	sa = sad_find(w->sad_out, quote->ipsec, quote->spi, &quote->flow.destination, &quote->flow.source);
	return sa && path_mtu_quote_is_plausible(sa, quote);
}

/* Or one that the host may have? What it sends of IPsec is its own affair, but then the SPI is none of ours.
 */
static bool quote_is_of_host(const struct worker *w, const struct quote *quote)
{
	return w->host.to_host && (!quote->ipsec || quote->in_udp) &&
	       local_has(&w->snapshot->local_outside, &quote->flow.source);
}

/* Where an error to the gateway goes; else it goes nowhere, for a drop's reason. */
enum {
	TO_CONTROL = DROP_COUNT,
	TO_HOST,
};

static int own_error_judge_one(struct worker *w, struct rte_mbuf *m, enum icmp_kind kind)
{
	struct quote quote;
	int where;

	if (!(w->snapshot->icmp_accept & 1u << kind))
		return DROP_icmp_refused;
	if (!quote_read_one(m, &quote))
		return DROP_icmp_quote;
	/* The table is asked before the limit, so that a flood of errors about no SA holds up no true one. */
	if (quote_is_of_sa(w, &quote))
		where = TO_CONTROL;
	else if (quote_is_of_host(w, &quote))
		where = TO_HOST;
	else
		return DROP_icmp_quote;
	return host_limit_take(&w->icmp_error_limit, w->now_tsc) ? where : DROP_icmp_flood;
}

static void own_errors_split(
	struct worker *w, struct burst *burst, struct burst *to_control, struct burst *to_host)
{
	STAGE(icmp_error, burst, &w->drops, to_control, to_host);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		enum icmp_kind kind = icmp_kind_one(m);
		int where;

		if (kind == ICMP_KIND_NONE) {
			burst->pkts[kept++] = m;
			continue;
		}
		where = own_error_judge_one(w, m, kind);
		if (where == TO_CONTROL || where == TO_HOST)
			burst_add_one(where == TO_CONTROL ? to_control : to_host, m);
		else
			drop_one(&w->drops, m, (enum drop_reason)where);
	}
	burst->n = kept;
}

void icmp_errors_to_control(struct worker *w, struct burst *burst)
{
	BURST(to_control);
	BURST(to_host);

	if (burst->n == 0)
		return;
	own_errors_split(w, burst, &to_control, &to_host);
	host_to_control(&to_control, &w->host, &w->drops);
	host_give(&to_host, &w->host, &w->drops);
}

/* A packet of which nothing is there but what policies look at. */
struct probe {
	struct rte_mbuf m;
	struct pkt pkt;
	uint8_t ip[sizeof(struct rte_ipv6_hdr)];
};

_Static_assert(offsetof(struct probe, pkt) == sizeof(struct rte_mbuf), "pkt_of finds it");

static void probe_init(struct probe *probe, const struct flow *flow)
{
	uint8_t family = flow->source.family;
	bool v4 = family == IP_V4;

	memset(probe, 0, sizeof(*probe));
	probe->m.buf_addr = probe->ip;
	probe->m.data_len = sizeof(probe->ip);
	probe->pkt = (struct pkt){
		.flags = flow->has_ports ? PKT_HAS_PORTS : 0,
		.family = family,
		.protocol = flow->protocol,
		.l4 = v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr),
		.source_port = flow->source_port,
		.destination_port = flow->destination_port,
	};
	memcpy(v4 ? (void *)&pkt_ipv4(&probe->m)->src_addr : &pkt_ipv6(&probe->m)->src_addr,
		flow->source.bytes, ip_family_bytes(family));
	memcpy(v4 ? (void *)&pkt_ipv4(&probe->m)->dst_addr : &pkt_ipv6(&probe->m)->dst_addr,
		flow->destination.bytes, ip_family_bytes(family));
}

/*
 * What the policies of a direction say of the traffic that returns to the packet which the error is about, in
 * *found as flows_find does. False where they don't protect it, or not errors about it, or where the error is
 * for another host than the one that sent what it quotes: nobody is to be reached by a quote.
 */
static bool quote_find_one(
	struct worker *w, struct rte_mbuf *m, enum flows_direction direction, struct pkt *found)
{
	const struct spd *spd = direction == FLOWS_OUT ? w->snapshot->spd_out : w->snapshot->spd_in;
	struct burst burst = {.n = 1};
	struct quote quote;
	struct probe probe;
	struct flow back;

	if (!quote_read_one(m, &quote) ||
		!ip_bytes_equal(pkt_of(m)->family, pkt_destination(m), quote.flow.source.bytes))
		return false;
	back = flow_reversed(&quote.flow);
	probe_init(&probe, &back);
	burst.pkts[0] = &probe.m;
	flows_find(w->flows, &burst, direction, w->snapshot, &w->drops);
	*found = probe.pkt;
	return found->action == POLICY_PROTECT && spd_takes_icmp_errors(spd, found->policy);
}

void icmp_errors_in(struct worker *w, struct burst *burst, struct burst *passed)
{
	STAGE(icmp_error, burst, &w->drops, passed);
	struct pkt found;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (quote_find_one(w, m, FLOWS_IN, &found) &&
			spd_sa_may_carry(&found, pkt_of(m)->sa, w->snapshot->alternatives_in))
			burst_add_one(passed, m);
		else
			sa_drop_one(&w->tally, m, in_selector);
	}
	burst->n = 0;
}

void icmp_errors_out(struct worker *w, struct burst *burst, struct burst *protect, struct burst *no_sa)
{
	STAGE(icmp_error, burst, &w->drops, protect, no_sa);
	struct pkt found;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct pkt *p = pkt_of(m);

		if (!quote_find_one(w, m, FLOWS_OUT, &found) ||
			!(found.policy_sa || alternatives_any(w->snapshot->alternatives_out, found.policy))) {
			drop_one(&w->drops, m, DROP_out_no_policy);
			continue;
		}
		p->sa = p->policy_sa = found.policy_sa;
		p->policy = found.policy;
		p->action = found.action;
		p->next_hop = found.next_hop;
		p->port_out = found.port_out;
		burst_add_one(found.policy_sa ? protect : no_sa, m);
	}
	burst->n = 0;
}
