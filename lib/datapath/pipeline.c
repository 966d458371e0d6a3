/*
 * The way of a packet. Each function below takes a burst and calls stages, one a line, in the order of
 * RFC 4301 section 5. A stage keeps packets in the burst it is given, moves others to a named burst, or drops
 * them with a reason. So what is in `b` after a line is what that line kept.
 *
 *                     +- esp  -> sad -> replay -> crypto -> ICV, strip -> selectors -+-> forward
 *   unprotected: parse+- clear -> SPD-in, must be BYPASS ----------------------------+-> forward
 *                     +- host -> answered, or to control
 *
 *                     +- clear -> SPD-out -+- PROTECT: sequence, encapsulate, crypto -> transmit
 *   protected:   parse|                    +- BYPASS -> forward
 *                     +- host -> answered, or to control
 *
 *   forward:  TTL -> transmit        transmit:  route -> MTU -> neighbour -> tx
 */
#include "datapath/pipeline.h"

#include "ipsec/esp_in.h"
#include "ipsec/esp_out.h"
#include "net/rewrite.h"
#include "net/stage.h"

typedef bool (*pkt_test)(struct rte_mbuf *m, const struct snapshot *s);

static bool is_decapsulated(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return (pkt_of(m)->flags & PKT_DECAPSULATED) != 0;
}

static bool is_outbound(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return !pkt_of(m)->sa->inbound;
}

static bool is_frame(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return (pkt_of(m)->flags & PKT_FRAME) != 0;
}

/* A routed packet whose port is on the unprotected side. */
static bool is_leaving(struct rte_mbuf *m, const struct snapshot *s)
{
	return !s->ports[pkt_of(m)->port_out].is_protected;
}

/* Move the packets for which the test is true to *moved. */
static inline void split(struct worker *w, struct burst *b, pkt_test test, struct burst *moved)
{
	uint16_t kept = 0;

	STAGE(b, &w->drops, moved);
	for (uint16_t i = 0; i < b->n; i++) {
		if (test(b->pkts[i], w->snapshot))
			burst_add_one(moved, b->pkts[i]);
		else
			b->pkts[kept++] = b->pkts[i];
	}
	b->n = kept;
}

/* Packets that a route was found for: to the link. */
static void deliver(struct worker *w, struct burst *b)
{
	const struct snapshot *s = w->snapshot;
	BURST(unresolved);

	route_mtu(b, s->routes, &w->unforwardable, &w->drops);
	neigh_resolve(b, w->neighbours, s->routes, s->neigh_ports, &unresolved, &w->drops);
	tx_burst(&w->tx, b, &w->drops);
	host_hold(&unresolved, &w->host, &w->drops);
}

/* Packets that the gateway made, ESP among them. */
static void transmit(struct worker *w, struct burst *b)
{
	route_lookup(b, w->snapshot->routes, &w->drops);
	deliver(w, b);
}

/* Packets that pass through in clear. */
static void forward(struct worker *w, struct burst *b)
{
	ttl_decrement(b, &w->unforwardable, &w->drops);
	transmit(w, b);
}

/* ESP packets whose crypto is done, on the way out. */
static void encrypted(struct worker *w, struct burst *b)
{
	esp_out_finish(b, &w->tally);
	transmit(w, b);
}

/* Clear packets that are about to cross the IPsec boundary, from the protected side out. */
static void outbound(struct worker *w, struct burst *b)
{
	BURST(protect);

	spd_out(b, w->snapshot->spd_out, &protect, &w->drops);
	forward(w, b);

	ttl_decrement(&protect, &w->unforwardable, &w->drops);
	esp_out_mtu(&protect, &w->unforwardable, &w->tally);
	esp_out_prepare(&protect, &w->tally);
	crypto_run(w->crypto, &protect, &w->tally);
	encrypted(w, &protect);
}

/* The gateway's answers go back the way that the question came: into a tunnel, or in clear. */
static void reply(struct worker *w, struct burst *b)
{
	BURST(tunnelled);

	split(w, b, is_decapsulated, &tunnelled);
	outbound(w, &tunnelled);
	transmit(w, b);
}

/* Packets for the gateway itself. */
static void to_host(struct worker *w, struct burst *b)
{
	host_answer(b, &w->icmp_limit, w->now_tsc, &w->drops);
	w->counters.answered += b->n;
	w->counters.generated += b->n;
	reply(w, b);
}

/* ESP packets whose crypto is done, on the way in. */
static void decrypted(struct worker *w, struct burst *b)
{
	const struct snapshot *s = w->snapshot;
	BURST(host);
	BURST(leaving);

	esp_in_finish(b, &w->tally);
	spd_in_selector(b, s->spd_in, &w->tally);
	local_split(b, &s->local, NULL, &host, &w->drops);
	to_host(w, &host);

	/* What goes out again (to another site, say) crosses the boundary once more. */
	route_lookup(b, s->routes, &w->drops);
	split(w, b, is_leaving, &leaving);
	outbound(w, &leaving);

	ttl_decrement(b, &w->unforwardable, &w->drops);
	deliver(w, b);
}

static void from_unprotected(struct worker *w, struct burst *b)
{
	const struct snapshot *s = w->snapshot;
	BURST(esp);
	BURST(host);
	BURST(inside);

	/* The gateway's addresses on the protected side are behind the policies like any other there. */
	local_split(b, &s->local_outside, &esp, &host, &w->drops);
	spd_in_clear(b, s->spd_in, &w->drops);
	local_split(b, &s->local, NULL, &inside, &w->drops);
	forward(w, b);
	to_host(w, &inside);

	spd_in_host(&host, s->spd_in, &w->drops);
	to_host(w, &host);

	sad_lookup(&esp, w->sad, &w->tally);
	esp_in_prepare(&esp, &w->tally);
	crypto_run(w->crypto, &esp, &w->tally);
	decrypted(w, &esp);
}

static void from_protected(struct worker *w, struct burst *b)
{
	BURST(host);

	local_split(b, &w->snapshot->local, NULL, &host, &w->drops);
	outbound(w, b);
	to_host(w, &host);
}

/*
 * ICMP errors for what could not be forwarded. An error that can't be forwarded either comes back here once,
 * and is freed, since no error answers an error.
 */
static void answer_unforwardable(struct worker *w)
{
	while (w->unforwardable.n > 0) {
		struct burst b = w->unforwardable;

		w->unforwardable.n = 0;
		host_icmp_errors(
			&b, w->snapshot, &w->icmp_limit, w->now_tsc, &w->drops, &w->counters.generated);
		reply(w, &b);
	}
}

void pipeline_receive(struct worker *w, uint8_t port, struct burst *b)
{
	const struct snapshot_port *p = &w->snapshot->ports[port];
	BURST(neigh);

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

	split(w, b, is_frame, &frames);
	tx_burst(&w->tx, &frames, &w->drops);
	transmit(w, b);
	answer_unforwardable(w);
}
