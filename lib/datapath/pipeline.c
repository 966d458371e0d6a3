/*
 * The way of a packet. Each function below takes a burst and calls stages, one a line, in the order of
 * RFC 4301 section 5. A stage keeps packets in the burst it is given, moves others to a named burst, or drops
 * them with a reason. So what is in `b` after a line is what that line kept.
 *
 *                     +- ipsec -> sad -> replay -> crypto -> ICV, strip -> selectors -+-> forward
 *                     |  (out of UDP first)^- and the next SA of a bundle -+          |
 *   unprotected: parse+- clear -> SPD-in, must be BYPASS -----------------------------+-> forward
 *                     +- host -> answered, or to the host
 *
 *                     +- clear -> SPD-out -+- PROTECT: MTU, sequence, encapsulate, crypto, UDP -> deliver
 *                     |                    |           (for each SA of a bundle)
 *   protected:   parse|                    +- PROTECT without SA: dropped, told to control
 *                     |                    +- BYPASS -> forward
 *                     +- host -> answered, or to the host
 *
 *   to the host: out of an SA, IKE, or SPD-in says BYPASS -> the host's own stack, by control
 *   of the host: IKE -> transmit; the rest as clear from the protected side, its TTL as it is
 *
 *   forward:  TTL -> deliver        deliver:  MTU -> neighbour -> tx        transmit:  route -> deliver
 *
 * Fragments are made whole behind parse and behind strip, if they are for the gateway itself or if policies
 * look at ports; what is too long is cut behind MTU. ICMP errors that no policy knows are judged by the
 * packets that they quote; those to the gateway itself, about its tunnels, go to control. SPD-in and SPD-out
 * are flows_find and a stage that does what it found: the policy and the next hop of a flow are looked up in
 * full once, and remembered.
 */
#include "datapath/pipeline.h"

#include "datapath/acquire.h"
#include "datapath/icmp_errors.h"
#include "datapath/split.h"
#include "fwd/frag.h"
#include "fwd/reass.h"
#include "ipsec/ah.h"
#include "ipsec/bundle.h"
#include "ipsec/dummy.h"
#include "ipsec/esp_in.h"
#include "ipsec/esp_out.h"
#include "ipsec/ipcomp.h"
#include "ipsec/mss_back.h"
#include "ipsec/natt.h"
#include "net/rewrite.h"
#include "net/stage.h"

/* What to do with packets of ESP, and with packets of AH. */
typedef void (*step)(struct burst *b, const struct sa_tally *tally);

/* To each packet what its SA's protocol says; few gateways have another than ESP. */
static __rte_always_inline void by_protocol(struct worker *w, struct burst *b, step esp, step ah)
{
	BURST(others);

	others.seen = 0;
	if (!w->snapshot->has_bundles) {
		esp(b, &w->tally);
		return;
	}
	split(w, b, is_ah, &others);
	esp(b, &w->tally);
	ah(&others, &w->tally);
	join(b, &others);
}

/*
 * Packets out of a tunnel: those for the gateway itself to *host, those whose next hop is on the unprotected
 * side to *leaving.
 */
static void split_inner(struct worker *w, struct burst *b, struct burst *host, struct burst *leaving)
{
	STAGE(split, b, &w->drops, host, leaving);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < b->n; i++) {
		const struct pkt *p = pkt_of(b->pkts[i]);

		if (p->flags & PKT_OWN)
			burst_add_one(host, b->pkts[i]);
		else if (p->next_hop != ROUTE_NONE && !w->snapshot->ports[p->port_out].is_protected)
			burst_add_one(leaving, b->pkts[i]);
		else
			b->pkts[kept++] = b->pkts[i];
	}
	b->n = kept;
}

/*
 * Fragments to the gateway itself are made whole, and where policies look at ports, which later fragments
 * don't have, all are (RFC 4301 section 7), unless there are policies for what can't be seen; so are the
 * flows of peers. Else they pass as they are. Two SPDs may be asked: the other one, or the same again.
 */
static void defragment(struct worker *w, struct burst *b, const struct spd *spd, const struct spd *other)
{
	bool read_ports = spd_reads_ports(spd) || spd_reads_ports(other) || w->snapshot->replies;
	bool read_opaque = spd_reads_opaque(spd) || spd_reads_opaque(other);
	const struct local_addrs *only = read_ports && !read_opaque ? NULL : &w->snapshot->local;

	reass_burst(w->reass, b, only, w->now_tsc, &w->drops);
}

/* Packets that fit their links. */
static void link_send(struct worker *w, struct burst *b)
{
	const struct snapshot *s = w->snapshot;
	BURST(unresolved);

	neigh_resolve(b, w->neighbours, s->routes, s->neigh_ports, &unresolved, &w->drops);
	tx_burst(&w->tx, b, &w->drops);
	host_hold(&unresolved, &w->host, &w->drops);
}

/* Packets whose next hop is known: to the link. */
static void deliver(struct worker *w, struct burst *b)
{
	BURST(oversize);
	struct frag_cut cut = {.from = &oversize};

	route_mtu(b, w->snapshot->routes, &oversize, &w->unforwardable, &w->drops);
	link_send(w, b);
	while (frag_fill(&w->frag, &cut, b, &w->drops))
		link_send(w, b);
}

/* Of a burst of tunnels' packets, those that are too long for their path: in fragments that are not. */
static void deliver_cut(struct worker *w, struct burst *b)
{
	BURST(oversize);
	BURST(fragments);
	struct frag_cut cut = {.from = &oversize};

	esp_out_path(b, &oversize, &w->drops);
	while (frag_fill(&w->frag, &cut, &fragments, &w->drops))
		deliver(w, &fragments);
}

/* Packets that the gateway made, and those that have waited for a neighbour. */
static void transmit(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	route_lookup(b, w->snapshot->routes, &w->drops);
	deliver(w, b);
}

/* Packets that pass through in clear. */
static void forward(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	ttl_decrement(b, &w->unforwardable, &w->drops);
	deliver(w, b);
}

/* Packets some of which go in UDP. */
static void enter_udp(struct worker *w, struct burst *b)
{
	BURST(moved);

	natt_out(b, &moved, &w->drops);
	transmit(w, &moved);
}

static void encrypt(struct worker *w, struct burst *b);

/* Packets that their SA is done with: to the link, or to the SA around it. */
static void applied(struct worker *w, struct burst *b)
{
	BURST(more);

	if (w->snapshot->has_bundles)
		bundle_next(b, &more, &w->drops);
	if (b->seen & PKT_ENCAP)
		enter_udp(w, b);
	if (b->seen & PKT_OUTER_CUT)
		deliver_cut(w, b);
	deliver(w, b);
	encrypt(w, &more);
}

/* Packets whose crypto is done, on the way out. */
static void encrypted(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	by_protocol(w, b, esp_out_finish, ah_out_finish);
	applied(w, b);
}

/* Packets whose SA is IPComp: shorter or not, they are through with it. */
static void compress(struct worker *w, struct burst *b)
{
	BURST(ipcomp);

	split(w, b, is_of_ipcomp, &ipcomp);
	if (ipcomp.n == 0)
		return;
	ipcomp_out(w->ipcomp, &ipcomp, &w->tally);
	applied(w, &ipcomp);
}

/* Packets that fit their tunnels. */
static void encrypt(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	if (w->snapshot->has_bundles)
		compress(w, b);
	by_protocol(w, b, esp_out_prepare, ah_out_prepare);
	crypto_run(w->crypto, b, &w->tally);
	encrypted(w, b);
}

/* Packets as they are before any SA is applied. */
static void protect_fitting(struct worker *w, struct burst *b)
{
	if (unlikely(w->capture != NULL))
		capture_inner(w->capture, CAPTURE_INNER_OUT, b);
	encrypt(w, b);
}

/* Packets that policies protect, each with its SA: what is too long for the tunnel is cut first. */
static void protect(struct worker *w, struct burst *b)
{
	BURST(oversize);
	struct frag_cut cut = {.from = &oversize};

	if (b->n == 0)
		return;
	esp_out_mtu(b, &oversize, &w->unforwardable, &w->tally);
	protect_fitting(w, b);
	while (frag_fill(&w->frag, &cut, b, &w->drops))
		protect_fitting(w, b);
}

/* What more than the flow decides: which of a policy's SAs protects a packet. */
static void choose(struct worker *w, struct burst *b)
{
	struct alternatives *alternatives = w->snapshot->alternatives_out;

	if (alternatives_read_packets(alternatives) && b->n > 0)
		alternatives_choose(b, alternatives, w->snapshot->replies, &w->tally);
}

/* The same where a policy has no SA but its alternatives. Packets whose policy has none at all are left. */
static void choose_only(struct worker *w, struct burst *no_sa, struct burst *protect)
{
	struct alternatives *alternatives = w->snapshot->alternatives_out;

	if (alternatives && no_sa->n > 0)
		alternatives_choose_only(no_sa, alternatives, w->snapshot->replies, protect, &w->tally);
}

/* Packets that policies protect, but by no SA. */
static void acquire(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	acquire_burst(b, w->snapshot->acquires, w->now_tsc, &w->unforwardable, &w->drops);
}

/*
 * Clear packets that are about to cross the IPsec boundary, from the protected side out. Those that pass
 * through have come a hop nearer to their end; those that begin here have not.
 */
static void cross(struct worker *w, struct burst *b, bool pass_through)
{
	BURST(protected);
	BURST(no_sa);
	BURST(errors);

	if (b->n == 0)
		return;
	flows_find(w->flows, b, FLOWS_OUT, w->snapshot, &w->drops);
	spd_out(b, &protected, &no_sa, &errors, &w->drops);
	if (errors.n > 0)
		icmp_errors_out(w, &errors, &protected, &no_sa);
	choose(w, &protected);
	choose_only(w, &no_sa, &protected);
	if (pass_through) {
		ttl_decrement(b, &w->unforwardable, &w->drops);
		ttl_decrement(&protected, &w->unforwardable, &w->drops);
	}
	deliver(w, b);
	protect(w, &protected);
	acquire(w, &no_sa);
}

static void outbound(struct worker *w, struct burst *b)
{
	cross(w, b, true);
}

/* The gateway's answers go back the way that the question came: into a tunnel, or in clear. */
static void reply(struct worker *w, struct burst *b)
{
	BURST(tunnelled);

	split(w, b, is_decapsulated, &tunnelled);
	outbound(w, &tunnelled);
	transmit(w, b);
}

/*
 * Packets that the gateway does not answer itself: to the host's own stack, if it may have them. What came
 * out of an SA and IKE may go there; the rest is in clear, and SPD-in says.
 */
static void give(struct worker *w, struct burst *b)
{
	BURST(clear);

	if (b->n == 0)
		return;
	if (w->host.to_host) {
		split(w, b, needs_policy, &clear);
		flows_find(w->flows, &clear, FLOWS_IN, w->snapshot, &w->drops);
		spd_in_clear(&clear, &w->drops);
	}
	host_give(b, &w->host, &w->drops);
	host_give(&clear, &w->host, &w->drops);
}

/* Packets for the gateway itself. */
static void to_host(struct worker *w, struct burst *b)
{
	BURST(others);

	if (b->n == 0)
		return;
	host_answer(b, &others, &w->icmp_limit, w->now_tsc, &w->drops);
	w->counters.answered += b->n;
	w->counters.generated += b->n;
	reply(w, b);
	give(w, &others);
}

static void inbound(struct worker *w, struct burst *b);

/* Packets out of an SA that go through another: the next of a bundle, or a tunnel in the tunnel. */
static void inbound_again(struct worker *w, struct burst *b)
{
	bundle_depth(b, &w->tally);
	inbound(w, b);
}

/* Packets out of a tunnel to the gateway itself. A tunnel that ends here as well is none of the host's. */
static void inner_to_host(struct worker *w, struct burst *b)
{
	BURST(nested);

	if (b->n == 0)
		return;
	split(w, b, is_nested, &nested);
	to_host(w, b);
	inbound_again(w, &nested);
}

/* Packets that their SA is done with. */
static void decapsulated(struct worker *w, struct burst *b)
{
	BURST(inside);
	BURST(host);
	BURST(leaving);
	BURST(errors);

	if (w->snapshot->has_bundles) {
		ipcomp_in(w->ipcomp, b, w->sad, &w->tally);
		bundle_inside(b, &inside, &w->drops);
		inbound_again(w, &inside);
	}
	if (unlikely(w->capture != NULL))
		capture_inner(w->capture, CAPTURE_INNER_IN, b);
	defragment(w, b, w->snapshot->spd_in, w->snapshot->spd_out);
	flows_find(w->flows, b, FLOWS_IN, w->snapshot, &w->drops);
	spd_in_selector(b, w->snapshot->alternatives_in, &errors, &w->tally);
	if (errors.n > 0)
		icmp_errors_in(w, &errors, b);
	if (unlikely(w->snapshot->replies != NULL))
		replies_note(b, w->snapshot->replies, &w->tally);
	if (b->seen & PKT_TCP_SYN)
		mss_back(b, w->snapshot->spd_out, w->snapshot->alternatives_out, &w->drops);
	split_inner(w, b, &host, &leaving);
	inner_to_host(w, &host);
	/* What goes out again (to another site, say) crosses the boundary once more. */
	outbound(w, &leaving);
	forward(w, b);
}

/* Packets whose crypto is done, on the way in. */
static void decrypted(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	by_protocol(w, b, esp_in_finish, ah_in_finish);
	decapsulated(w, b);
}

/* ESP, AH and IPComp for us. IPComp that is right comes out of another SA, see decapsulated. */
static void inbound(struct worker *w, struct burst *b)
{
	if (b->n == 0)
		return;
	sad_lookup(b, w->sad, &w->tally);
	if (w->snapshot->has_bundles)
		bundle_check(b, &w->tally);
	by_protocol(w, b, esp_in_prepare, ah_in_prepare);
	crypto_run(w->crypto, b, &w->tally);
	decrypted(w, b);
}

/* Packets in clear from the unprotected side that are not for an address of ours there. */
static void clear_inbound(struct worker *w, struct burst *b)
{
	BURST(inside);

	if (b->n == 0)
		return;
	flows_find(w->flows, b, FLOWS_IN, w->snapshot, &w->drops);
	spd_in_clear(b, &w->drops);
	/* The gateway's addresses on the protected side are behind the policies like any other there. */
	split(w, b, is_own, &inside);
	forward(w, b);
	to_host(w, &inside);
}

/* Packets in clear from the unprotected side for an address of ours there. */
static void clear_to_host(struct worker *w, struct burst *b)
{
	BURST(ike);

	if (b->n == 0)
		return;
	/* Where the host gets nothing, IKE is nothing special. */
	if (w->host.to_host)
		split(w, b, host_is_ike_to_one, &ike);
	flows_find(w->flows, b, FLOWS_IN, w->snapshot, &w->drops);
	spd_in_host(b, &w->drops);
	icmp_errors_to_control(w, b);
	to_host(w, b);
	host_give(&ike, &w->host, &w->drops);
}

static void from_unprotected(struct worker *w, struct burst *b)
{
	BURST(ipsec);
	BURST(host);

	defragment(w, b, w->snapshot->spd_in, w->snapshot->spd_in);
	local_split(b, &w->snapshot->local_outside, &ipsec, &host, &w->drops);
	clear_inbound(w, b);

	if (host.n > 0)
		natt_in(&host, &w->snapshot->natt_ports, &ipsec, &w->drops);
	clear_to_host(w, &host);

	inbound(w, &ipsec);
}

static void from_protected(struct worker *w, struct burst *b)
{
	BURST(host);

	defragment(w, b, w->snapshot->spd_out, w->snapshot->spd_out);
	local_split(b, &w->snapshot->local, NULL, &host, &w->drops);
	outbound(w, b);
	to_host(w, &host);
}

/* What the host sends begins here. Fragments are made whole first: IKE is known by its ports. */
static void from_host(struct worker *w, struct burst *b)
{
	BURST(ike);

	if (b->n == 0)
		return;
	host_check_source(b, &w->snapshot->local, &w->drops);
	reass_burst(w->reass, b, NULL, w->now_tsc, &w->drops);
	split(w, b, host_is_ike_from_one, &ike);
	transmit(w, &ike);
	cross(w, b, false);
}

/*
 * ICMP errors for what could not be forwarded. An error that can't be forwarded either comes back here once,
 * and is freed, since no error answers an error.
 */
static void answer_unforwardable(struct worker *w)
{
	while (w->unforwardable.n > 0) {
		struct burst b = w->unforwardable;
		BURST(host);

		w->unforwardable.n = 0;
		host_icmp_errors(
			&b, w->snapshot, &w->icmp_limit, w->now_tsc, &w->drops, &w->counters.generated);
		split(w, &b, is_of_host, &host);
		reply(w, &b);
		host_give(&host, &w->host, &w->drops);
	}
}

void pipeline_receive(struct worker *w, uint8_t port, struct burst *b)
{
	const struct snapshot_port *p = &w->snapshot->ports[port];
	BURST(neigh);

	if (unlikely(w->capture != NULL))
		capture_rx(w->capture, port, b);
	if (unlikely(w->trace != NULL))
		trace_receive(w->trace, port, b);
	parse_burst(b, &p->parse, &neigh, &w->drops);
	host_to_control(&neigh, &w->host, &w->drops);
	if (p->is_protected)
		from_protected(w, b);
	else
		from_unprotected(w, b);
	answer_unforwardable(w);
}

void pipeline_crypto_done(struct worker *w, struct burst *b)
{
	BURST(out);

	split(w, b, is_outbound, &out);
	encrypted(w, &out);
	decrypted(w, b);
	answer_unforwardable(w);
}

void pipeline_from_control(struct worker *w, struct burst *b)
{
	BURST(frames);
	BURST(host);

	if (unlikely(w->trace != NULL))
		trace_from_control(w->trace, b);
	split(w, b, is_frame, &frames);
	split(w, b, is_new_of_host, &host);
	tx_burst(&w->tx, &frames, &w->drops);
	from_host(w, &host);
	transmit(w, b);
	answer_unforwardable(w);
}

void pipeline_dummies(struct worker *w)
{
	BURST(b);

	if (w->snapshot->dummies.n == 0)
		return;
	dummy_make(&w->dummies, &w->snapshot->dummies, w->index, w->n_workers, w->now_tsc, &b);
	if (b.n == 0)
		return;
	w->counters.generated += b.n;
	esp_out_prepare(&b, &w->tally);
	dummy_mark(&b);
	route_lookup(&b, w->snapshot->routes, &w->drops);
	crypto_run(w->crypto, &b, &w->tally);
	encrypted(w, &b);
}
