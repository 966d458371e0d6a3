#include "control/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "control/explain_packet.h"
#include "datapath/flows.h"
#include "datapath/host.h"
#include "fwd/neigh.h"
#include "fwd/route.h"
#include "ipsec/natt.h"
#include "ipsec/replies.h"
#include "ipsec/sad.h"
#include "ipsec/spd.h"
#include "net/icmp_error.h"
#include "net/oversize.h"
#include "net/quote.h"

/* Whose part alternatives that are for some workers are: the first's. */
#define AS_WORKER 0
/* Policies that nearly match, of each direction that is asked. */
#define NEARLY_MAX 3

/* A question on its way. The packet is NULL once a stage has dropped it. */
struct asking {
	const struct control *control;
	const struct snapshot *s;
	const struct explain_query *query;
	struct explanation *out;
	struct rte_mbuf *m;
	struct drops *drops; /* of nobody: what a stage drops of the packet is read there */
	struct sa_tally tally;
};

static struct explain_step *step_add(struct asking *a, enum explain_kind kind)
{
	unsigned at = RTE_MIN(a->out->n_steps, (unsigned)EXPLAIN_STEPS_MAX - 1);
	struct explain_step *step = &a->out->steps[at];

	a->out->n_steps = at + 1;
	*step = (struct explain_step){.kind = kind};
	return step;
}

static void end(struct asking *a, enum explain_end how)
{
	a->out->end = how;
}

static void end_dropped(struct asking *a, enum drop_reason reason)
{
	a->out->end = EXPLAIN_DROPPED;
	a->out->reason = reason;
}

/* The burst of the packet alone, for a stage. */
static struct burst burst_of(struct asking *a)
{
	struct burst burst = {.n = 1, .pkts = {a->m}};

	a->m = NULL;
	return burst;
}

/* Is the packet in that burst after the stage? */
static bool is_in(struct asking *a, const struct burst *burst)
{
	if (burst->n == 0)
		return false;
	a->m = burst->pkts[0];
	return true;
}

/* A stage left the packet in no burst: it was dropped, and why, the counters say. */
static void end_as_counted(struct asking *a)
{
	for (unsigned port = 0; port < PKT_PORTS_ALL; port++)
		for (unsigned reason = 0; reason < DROP_COUNT; reason++)
			if (a->drops->count[port][reason] > 0)
				end_dropped(a, (enum drop_reason)reason);
}

/* The policy of that place in the SPD's list, and its own place in the configuration. */
static const struct policy *policy_at(
	const struct gateway *gateway, enum policy_direction direction, uint32_t index)
{
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (gateway->policies[i].direction == direction && index-- == 0)
			return &gateway->policies[i];
	return NULL;
}

static bool ranges_have(const struct ip_range *ranges, size_t n, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (ip_range_contains(&ranges[i], addr))
			return true;
	return n == 0;
}

static bool ports_have(const struct port_range *range, const struct flow *flow, uint16_t port)
{
	return port_range_is_any(range) || (flow->has_ports && port >= range->first && port <= range->last);
}

/*
 * The one thing by which the packet fails a selector that it matches by another; NULL if it fails by none, or
 * by more.
 */
static const char *fails_by(const struct selector *selector, const struct flow *flow)
{
	const struct {
		const char *name;
		bool is_any;
		bool matches;
	} things[] = {
		{"source", selector->n_sources == 0,
			ranges_have(selector->sources, selector->n_sources, &flow->source)},
		{"destination", selector->n_destinations == 0,
			ranges_have(selector->destinations, selector->n_destinations, &flow->destination)},
		{"protocol", selector->protocol == SELECTOR_PROTOCOL_ANY,
			selector->protocol == flow->protocol},
		{"source port", port_range_is_any(&selector->source_ports),
			ports_have(&selector->source_ports, flow, flow->source_port)},
		{"destination port", port_range_is_any(&selector->destination_ports),
			ports_have(&selector->destination_ports, flow, flow->destination_port)},
	};
	const char *failed = NULL;
	bool matches_one = false;

	for (size_t i = 0; i < RTE_DIM(things); i++) {
		if (things[i].is_any)
			continue;
		if (things[i].matches) {
			matches_one = true;
			continue;
		}
		if (failed)
			return NULL;
		failed = things[i].name;
	}
	return matches_one ? failed : NULL;
}

/* Policies in front of the one that matched, or of the end, that would have but for one thing. */
static void note_nearly(struct asking *a, enum policy_direction direction, const struct policy *matched)
{
	const struct gateway *gateway = a->control->gateway;
	const struct flow flow = pkt_flow(a->m);
	unsigned n = 0;

	for (size_t i = 0; i < gateway->n_policies && n < NEARLY_MAX; i++) {
		const struct policy *policy = &gateway->policies[i];
		const char *failed;

		if (policy == matched)
			break;
		if (policy->direction != direction || !(failed = fails_by(&policy->selector, &flow)))
			continue;
		struct explain_step *step = step_add(a, EXPLAIN_NEARLY);
		snprintf(step->name, sizeof(step->name), "%s", policy->name);
		step->direction = direction;
		step->action = policy->action;
		step->failed = failed;
		n++;
	}
}

/* Ask the SPD of that direction, and note what it says. */
static void ask_policies(struct asking *a, enum flows_direction direction)
{
	enum policy_direction spd = direction == FLOWS_OUT ? POLICY_OUT : POLICY_IN;
	const struct pkt *p = pkt_of(a->m);
	const struct policy *policy = NULL;
	struct explain_step *step;

	flows_ask_one(a->m, AS_WORKER, direction, a->s);
	if (p->action != SPD_NO_POLICY)
		policy = policy_at(a->control->gateway, spd, p->policy);
	note_nearly(a, spd, policy);
	step = step_add(a, p->action == SPD_NO_POLICY ? EXPLAIN_NO_POLICY : EXPLAIN_POLICY);
	step->direction = spd;
	step->action = (enum policy_action)p->action;
	if (!policy)
		return;
	snprintf(step->name, sizeof(step->name), "%s", policy->name);
	step->number = (size_t)(policy - a->control->gateway->policies) + 1;
	step->of = a->control->gateway->n_policies;
}

static void note_sa(struct asking *a, enum explain_kind kind, const struct sa *sa)
{
	struct explain_step *step = step_add(a, kind);

	snprintf(step->name, sizeof(step->name), "%s", sa->name);
	step->protocol = sa->protocol;
	step->spi = rte_be_to_cpu_32(sa->spi);
	step->source = sa->source;
	step->address = sa->destination;
	if (!sa->inbound)
		step->mtu_bytes = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
}

/* The next hop is known, and so is what it must resolve. */
static void ask_neighbour(struct asking *a, const struct next_hop *hop, const struct ip_addr *destination)
{
	const struct ip_addr *target = hop->gateway.family == IP_NONE ? destination : &hop->gateway;
	struct rte_ether_addr mac;
	bool is_known = neigh_find(a->control->neighbours, hop->port, target, &mac);
	struct explain_step *step = step_add(a, is_known ? EXPLAIN_NEIGHBOUR : EXPLAIN_NO_NEIGHBOUR);

	step->address = *target;
	if (is_known)
		memcpy(step->mac.bytes, mac.addr_bytes, sizeof(step->mac.bytes));
	a->out->port_out = hop->port;
	end(a, is_known ? EXPLAIN_SENT : EXPLAIN_WAITS);
}

/* The way to that destination by the next hop of that index. */
static const struct next_hop *ask_route(struct asking *a, uint32_t index, const struct ip_addr *destination)
{
	const struct next_hop *hop = index == ROUTE_NONE ? NULL : route_next_hop(a->s->routes, index);
	struct explain_step *step = step_add(a, hop ? EXPLAIN_ROUTE : EXPLAIN_NO_ROUTE);

	if (!hop) {
		step->address = *destination;
		end_dropped(a, DROP_no_route);
		return NULL;
	}
	snprintf(step->name, sizeof(step->name), "%s", a->control->gateway->ports[hop->port].name);
	step->address = hop->gateway;
	step->mtu_bytes = hop->mtu_bytes;
	return hop;
}

/* Does it fit, or may it be cut? False: it is dropped, and its sender told where that may be. */
static bool ask_mtu(struct asking *a, uint16_t mtu_bytes)
{
	if (!is_oversize_one(a->m, mtu_bytes))
		return true;
	if (oversize_is_cut_one(a->m, mtu_bytes)) {
		step_add(a, EXPLAIN_CUT)->mtu_bytes = mtu_bytes;
		return true;
	}
	step_add(a, EXPLAIN_TOO_BIG)->mtu_bytes = mtu_bytes;
	end_dropped(a, DROP_out_mtu);
	return false;
}

/* In clear to its own destination. */
static void forward(struct asking *a)
{
	struct ip_addr destination = ip_addr_from_bytes(pkt_of(a->m)->family, pkt_destination(a->m));
	const struct next_hop *hop = ask_route(a, pkt_of(a->m)->next_hop, &destination);

	if (hop && ask_mtu(a, hop->mtu_bytes))
		ask_neighbour(a, hop, &destination);
}

/* As esp_out_mtu: an IPv6 packet that is as short as any link takes is cut afterwards. */
static bool ask_tunnel_mtu(struct asking *a, const struct sa *sa)
{
	uint16_t mtu_bytes = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);

	if (sa_is_transport(sa))
		return true;
	if (pkt_of(a->m)->family == IP_V6)
		mtu_bytes = RTE_MAX(mtu_bytes, (uint16_t)IPV6_MTU_MIN);
	if (mtu_bytes < IPV4_MTU_MIN) {
		end_dropped(a, DROP_out_mtu);
		return false;
	}
	return ask_mtu(a, mtu_bytes);
}

/* What esp_out_prepare would refuse. */
static bool may_send(struct asking *a, const struct sa *sa)
{
	if (atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_ENDED) {
		end_dropped(a, DROP_out_expired);
		return false;
	}
	if (sa->protocol == SA_IPCOMP ||
		atomic_load_explicit(&sa->seq.next, memory_order_relaxed) <= sa->seq.last)
		return true;
	end_dropped(a, DROP_out_seq_overflow);
	return false;
}

/* Where the tunnel's packet goes to; in UDP, that is where the peer is now. */
static struct ip_addr tunnel_end(const struct sa *outermost)
{
	if (sa_is_in_udp(outermost) && outermost->natt->peer)
		return natt_peer_read(outermost->natt->peer).address;
	return outermost->destination;
}

static void protect(struct asking *a)
{
	const struct sa *sa = pkt_of(a->m)->sa;
	uint32_t next_hop = pkt_of(a->m)->next_hop;
	const struct next_hop *hop;
	struct ip_addr to;

	/* There is one; a loop that asks makes gcc's sanitizers think that there may be none. */
	const struct sa *noted = sa;
	do
		note_sa(a, EXPLAIN_SA_OUT, noted);
	while ((noted = noted->around));
	if (!ask_tunnel_mtu(a, sa))
		return;
	for (const struct sa *each = sa; each; each = each->around)
		if (!may_send(a, each))
			return;
	to = tunnel_end(sa_outermost(sa));
	if (sa_is_in_udp(sa_outermost(sa)))
		next_hop = route_find_index(a->s->routes, &to);
	hop = ask_route(a, next_hop, &to);
	if (hop)
		ask_neighbour(a, hop, &to);
}

/* Where alternatives of the policy ask for it: which peer's flow the packet answers. */
static void note_peer(struct asking *a)
{
	const char *name;
	struct explain_step *step;

	if (!alternatives_ask_peer(a->s->alternatives_out, pkt_of(a->m)->policy))
		return;
	name = peers_name(&a->control->peers, replies_find_one(a->s->replies, a->m, a->tally.now_tsc));
	step = step_add(a, name ? EXPLAIN_PEER : EXPLAIN_NO_PEER);
	if (name)
		snprintf(step->name, sizeof(step->name), "%s", name);
}

/* As pipeline.c's choose. */
static void choose(struct asking *a)
{
	struct burst burst;

	if (!alternatives_read_packets(a->s->alternatives_out))
		return;
	burst = burst_of(a);
	alternatives_choose(&burst, a->s->alternatives_out, a->s->replies, &a->tally);
	is_in(a, &burst);
}

/* As pipeline.c's choose_only. False: no SA is for it. */
static bool choose_only(struct asking *a)
{
	BURST(protected);
	struct burst burst;

	if (!alternatives_any(a->s->alternatives_out, pkt_of(a->m)->policy)) {
		step_add(a, EXPLAIN_NO_SA);
		end_dropped(a, DROP_out_no_sa);
		return false;
	}
	burst = burst_of(a);
	alternatives_choose_only(&burst, a->s->alternatives_out, a->s->replies, &protected, &a->tally);
	if (is_in(a, &protected))
		return true;
	end_as_counted(a);
	return false;
}

/* Across the boundary, from the protected side out. */
static void outbound(struct asking *a)
{
	BURST(protected);
	BURST(no_sa);
	BURST(errors);
	struct burst burst;

	ask_policies(a, FLOWS_OUT);
	burst = burst_of(a);
	spd_out(&burst, &protected, &no_sa, &errors, a->drops);
	if (is_in(a, &protected)) {
		note_peer(a);
		choose(a);
		protect(a);
	} else if (is_in(a, &no_sa)) {
		note_peer(a);
		if (choose_only(a))
			protect(a);
	} else if (is_in(a, &errors)) {
		end_dropped(a, DROP_out_no_policy);
	} else if (is_in(a, &burst)) {
		forward(a);
	} else {
		end_as_counted(a);
	}
}

/* One of the stages of the way in, which keep a packet or drop it. */
static bool passes(struct asking *a, void (*stage)(struct burst *burst, struct drops *drops))
{
	struct burst burst = burst_of(a);

	stage(&burst, a->drops);
	if (is_in(a, &burst))
		return true;
	end_as_counted(a);
	return false;
}

/* As pipeline.c's give: out of an SA, IKE, or let in by a policy, which may have been asked already. */
static void give(struct asking *a, bool is_asked)
{
	if (!a->control->to_host) {
		end_dropped(a, DROP_host_no_service);
		return;
	}
	if (!(pkt_of(a->m)->flags & PKT_DECAPSULATED) && !host_is_ike_to_one(a->m, a->s)) {
		if (!is_asked)
			ask_policies(a, FLOWS_IN);
		if (!passes(a, spd_in_clear))
			return;
	}
	end(a, EXPLAIN_HOST);
}

/* The gateway itself answers an echo, and nothing else. */
static void to_host(struct asking *a, bool is_asked)
{
	step_add(a, EXPLAIN_LOCAL);
	if (icmp_echo_reply_one(a->m))
		end(a, EXPLAIN_ANSWERED);
	else
		give(a, is_asked);
}

static void clear_inbound(struct asking *a)
{
	ask_policies(a, FLOWS_IN);
	if (!passes(a, spd_in_clear))
		return;
	if (pkt_of(a->m)->flags & PKT_OWN)
		to_host(a, true);
	else
		forward(a);
}

/* In clear to the gateway's own addresses outside. What an error quotes is not in the question. */
static void host_inbound(struct asking *a)
{
	enum icmp_kind kind = icmp_kind_one(a->m);

	if (a->control->to_host && host_is_ike_to_one(a->m, a->s)) {
		step_add(a, EXPLAIN_LOCAL);
		step_add(a, EXPLAIN_IKE);
		end(a, EXPLAIN_HOST);
		return;
	}
	ask_policies(a, FLOWS_IN);
	if (!passes(a, spd_in_host))
		return;
	if (kind == ICMP_KIND_NONE) {
		to_host(a, true);
		return;
	}
	step_add(a, EXPLAIN_LOCAL);
	if (a->s->icmp_accept & 1u << kind)
		end(a, EXPLAIN_CONTROL);
	else
		end_dropped(a, DROP_icmp_refused);
}

/* What came out of the SA in struct pkt, and that SA may carry it or not. */
static void decapsulated(struct asking *a, struct sa *sa)
{
	struct explain_step *step = step_add(a, EXPLAIN_INNER);
	const struct pkt *p = pkt_of(a->m);

	step->source = a->query->inner.source;
	step->address = a->query->inner.destination;
	step->protocol = a->query->inner.protocol;
	ask_policies(a, FLOWS_IN);
	if (!spd_sa_may_carry(p, sa, a->s->alternatives_in))
		end_dropped(a, DROP_in_selector);
	else if (p->flags & PKT_OWN)
		to_host(a, true);
	else if (p->next_hop != ROUTE_NONE && !a->s->ports[p->port_out].is_protected)
		outbound(a);
	else
		forward(a);
}

/* What the packet carries takes its place. */
static void open_up(struct asking *a, struct sa *sa)
{
	uint8_t port = pkt_of(a->m)->port_in;
	struct pkt *p;

	if (!a->query->has_inner || sa->has_inside) {
		end(a, EXPLAIN_INSIDE);
		return;
	}
	rte_pktmbuf_free(a->m);
	a->m = explain_packet_make(a->query, true, a->control->ports.packets, port);
	if (!a->m)
		return;
	p = pkt_of(a->m);
	p->flags = PKT_DECAPSULATED;
	p->sa = sa;
	if (parse_inner_one(a->m, a->query->inner.source.family))
		decapsulated(a, sa);
	else
		end_dropped(a, DROP_in_sa_proto);
}

/* As sad_lookup, for an SA that is found. DROP_COUNT: it is the packet's. */
static enum drop_reason judge_sa(struct asking *a, struct sa *sa)
{
	enum natt_match match;

	pkt_of(a->m)->sa = sa;
	if (atomic_load_explicit(&sa->special, memory_order_relaxed) & (SA_IN_UDP | SA_FROM_ANY)) {
		match = natt_match_one(a->m);
		if (match != NATT_MATCH)
			return match == NATT_OTHER_ENCAP ? DROP_in_encap : DROP_in_endpoint;
	} else if (!ip_bytes_equal(sa->family, pkt_source(a->m), sa->source.bytes)) {
		return DROP_in_endpoint;
	}
	/* Inside another SA, or none at all, where its bundle has none around it. */
	if (sa->around || sa->protocol == SA_IPCOMP)
		return DROP_in_bundle;
	return atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_ENDED ? DROP_in_expired
										   : DROP_COUNT;
}

static void ipsec_inbound(struct asking *a)
{
	const struct pkt *p = pkt_of(a->m);
	struct ip_addr destination = ip_addr_from_bytes(p->family, pkt_destination(a->m));
	struct ip_addr source = ip_addr_from_bytes(p->family, pkt_source(a->m));
	struct sa *sa = sad_find(
		a->control->sad, p->protocol, rte_cpu_to_be_32(a->query->spi), &destination, &source);
	enum drop_reason reason;

	if (!sa) {
		end_dropped(a, DROP_in_no_sa);
		return;
	}
	note_sa(a, EXPLAIN_SA_IN, sa);
	reason = judge_sa(a, sa);
	if (reason != DROP_COUNT)
		end_dropped(a, reason);
	else
		open_up(a, sa);
}

static void from_unprotected(struct asking *a)
{
	BURST(ipsec);
	BURST(host);
	struct burst burst = burst_of(a);

	local_split(&burst, &a->s->local_outside, &ipsec, &host, a->drops);
	if (is_in(a, &ipsec))
		ipsec_inbound(a);
	else if (is_in(a, &host))
		host_inbound(a);
	else if (is_in(a, &burst))
		clear_inbound(a);
	else
		end_as_counted(a);
}

static void from_protected(struct asking *a)
{
	BURST(host);
	struct burst burst = burst_of(a);

	local_split(&burst, &a->s->local, NULL, &host, a->drops);
	if (is_in(a, &host))
		to_host(a, false);
	else if (is_in(a, &burst))
		outbound(a);
	else
		end_as_counted(a);
}

/* As pipeline_receive. */
static void receive(struct asking *a)
{
	const struct snapshot_port *port = &a->s->ports[a->query->port];
	struct explain_step *step = step_add(a, EXPLAIN_IN);
	BURST(neigh);
	struct burst burst;

	snprintf(step->name, sizeof(step->name), "%s", a->control->gateway->ports[a->query->port].name);
	step->direction = port->is_protected ? POLICY_OUT : POLICY_IN;
	explain_packet_frame(a->m, &port->parse.mac, port->parse.vlan, a->query->flow.source.family);
	burst = burst_of(a);
	parse_burst(&burst, &port->parse, &neigh, a->drops);
	if (is_in(a, &neigh))
		end(a, EXPLAIN_CONTROL);
	else if (!is_in(a, &burst))
		end_as_counted(a);
	else if (port->is_protected)
		from_protected(a);
	else
		from_unprotected(a);
}

int explain(const struct control *control, const struct explain_query *query, struct explanation *out,
	struct err *err)
{
	struct asking a = {.control = control, .s = control->snapshot, .query = query, .out = out};

	*out = (struct explanation){.end = EXPLAIN_DROPPED, .reason = DROP_COUNT};
	if (query->port >= control->snapshot->n_ports)
		return err_set(err, EINVAL, "there is no port %u", query->port);
	a.drops = calloc(1, sizeof(*a.drops));
	a.m = explain_packet_make(query, false, control->ports.packets, query->port);
	if (!a.drops || !a.m) {
		rte_pktmbuf_free(a.m);
		free(a.drops);
		return err_set(err, ENOMEM, "no buffer for the packet that is asked about");
	}
	a.tally = (struct sa_tally){.drops = a.drops, .worker = AS_WORKER, .now_tsc = rte_rdtsc()};
	receive(&a);
	rte_pktmbuf_free(a.m);
	free(a.drops);
	return 0;
}
