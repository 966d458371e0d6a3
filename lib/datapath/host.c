#include "datapath/host.h"

#include <netinet/in.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#include "fwd/route.h"
#include "ipsec/natt.h"
#include "net/icmp.h"
#include "net/icmp_error.h"
#include "net/stage.h"

#define IKE_PORT 500 /* RFC 7296 section 2 */

bool host_limit_take(struct host_limit *limit, uint64_t now_tsc)
{
	uint64_t tsc_per_token = rte_get_tsc_hz() / HOST_ICMP_PER_SECOND;

	/* Fill only when it is empty, so that the common case doesn't divide. */
	if (limit->tokens == 0) {
		uint64_t earned = (now_tsc - limit->filled_tsc) / tsc_per_token;

		if (earned == 0)
			return false;
		limit->tokens = (uint32_t)RTE_MIN(earned, (uint64_t)HOST_ICMP_AT_ONCE);
		limit->filled_tsc = now_tsc;
	}
	limit->tokens--;
	return true;
}

/* Put into the queue what fits, and drop the rest for that reason. */
static void enqueue(struct burst *burst, struct rte_ring *queue, struct drops *drops, enum drop_reason reason)
{
	unsigned taken = rte_ring_enqueue_burst(queue, (void **)burst->pkts, burst->n, NULL);

	for (uint16_t i = (uint16_t)taken; i < burst->n; i++)
		drop_one(drops, burst->pkts[i], reason);
	burst->n = 0;
}

void host_to_control(struct burst *burst, const struct host_queue *queue, struct drops *drops)
{
	if (burst->n > 0)
		enqueue(burst, queue->to_control, drops, DROP_host_full);
}

void host_hold(struct burst *burst, const struct host_queue *queue, struct drops *drops)
{
	if (burst->n == 0)
		return;
	if (rte_ring_count(queue->to_control) >= HOST_QUEUE_PKTS / 2)
		drop_burst(drops, burst, DROP_neigh_full);
	else
		enqueue(burst, queue->to_control, drops, DROP_neigh_full);
}

void host_answer(struct burst *burst, struct burst *others, struct host_limit *limit, uint64_t now_tsc,
	struct drops *drops)
{
	uint16_t kept = 0;

	STAGE(host, burst, drops, others);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (!icmp_echo_reply_one(m))
			burst_add_one(others, m);
		else if (!host_limit_take(limit, now_tsc))
			drop_one(drops, m, DROP_icmp_limit);
		else
			burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

/* No STAGE: they leave for the queue, where none can be counted. */
void host_give(struct burst *burst, const struct host_queue *queue, struct drops *drops)
{
	if (burst->n == 0)
		return;
	STAGE_OPEN(to_host, burst->n, drops);
	STAGE_TRACE(to_host, burst, drops);
	if (queue->to_host)
		enqueue(burst, queue->to_host, drops, DROP_host_busy);
	else
		drop_burst(drops, burst, DROP_host_no_service);
}

/* By one of its UDP ports, which is the gateway's end. */
static bool is_ike_one(struct rte_mbuf *m, uint16_t port, const struct natt_ports *ports)
{
	const struct pkt *p = pkt_of(m);
	enum natt_content content;
	uint16_t udp_bytes;

	if (p->protocol != IPPROTO_UDP || (p->flags & (PKT_HAS_PORTS | PKT_FRAGMENT)) != PKT_HAS_PORTS)
		return false;
	if (!natt_ports_has(ports, port))
		return port == IKE_PORT;
	content = natt_content_one(m, &udp_bytes);
	return content == NATT_IKE || content == NATT_KEEPALIVE;
}

bool host_is_ike_to_one(struct rte_mbuf *m, const struct snapshot *snapshot)
{
	return is_ike_one(m, pkt_of(m)->destination_port, &snapshot->natt_ports) &&
	       local_match_one(&snapshot->local_outside, m);
}

bool host_is_ike_from_one(struct rte_mbuf *m, const struct snapshot *snapshot)
{
	return is_ike_one(m, pkt_of(m)->source_port, &snapshot->natt_ports) &&
	       local_match_source_one(&snapshot->local_outside, m);
}

void host_check_source(struct burst *burst, const struct local_addrs *local, struct drops *drops)
{
	STAGE(from_host, burst, drops);
	uint16_t kept = 0, seen = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		seen |= pkt_of(m)->flags;
		if (local_match_source_one(local, m))
			burst->pkts[kept++] = m;
		else
			drop_one(drops, m, DROP_host_source);
	}
	burst->n = kept;
	burst->seen = seen;
}

/* The port whose address an error about the packet comes from; n_ports where there is none. */
static uint8_t error_port(
	struct rte_mbuf *m, const struct ip_addr *destination, const struct snapshot *snapshot)
{
	const struct next_hop *hop;

	if (!(pkt_of(m)->flags & PKT_DECAPSULATED))
		return RTE_MIN(pkt_of(m)->port_in, snapshot->n_ports);
	/* The port behind which the destination is: its address is one that the tunnel's policies cover. */
	hop = route_find(snapshot->routes, destination);
	return hop ? hop->port : snapshot->n_ports;
}

/* Where an error about the packet comes from, of its family; IP_NONE where it can come from nowhere. */
static struct ip_addr error_source(struct rte_mbuf *m, const struct snapshot *snapshot)
{
	const struct pkt *p = pkt_of(m);
	struct ip_addr destination = ip_addr_from_bytes(p->family, pkt_destination(m));
	uint8_t port;

	if (p->port_in == PKT_PORT_HOST)
		return destination;
	port = error_port(m, &destination, snapshot);
	if (port == snapshot->n_ports)
		return (struct ip_addr){.family = IP_NONE};
	return p->family == IP_V4 ? snapshot->ports[port].ipv4 : snapshot->ports[port].ipv6;
}

static bool icmp_error_one(
	struct rte_mbuf *m, const struct snapshot *snapshot, struct host_limit *limit, uint64_t now_tsc)
{
	struct ip_addr source;

	if (!icmp_error_allowed_one(m))
		return false;
	source = error_source(m, snapshot);
	return source.family != IP_NONE && host_limit_take(limit, now_tsc) &&
	       icmp_error_make_one(m, source.bytes);
}

/* Why the packet can't be forwarded, by the error that answers it. */
static enum drop_reason error_reason(struct rte_mbuf *m)
{
	if (icmp_is_time_exceeded_one(m))
		return DROP_ttl_expired;
	return icmp_is_prohibited_one(m) ? DROP_out_no_sa : DROP_out_mtu;
}

void host_icmp_errors(struct burst *burst, const struct snapshot *snapshot, struct host_limit *limit,
	uint64_t now_tsc, struct drops *drops, uint64_t *generated)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		drop_count_one(drops, m, error_reason(m));
		if (icmp_error_one(m, snapshot, limit, now_tsc))
			burst->pkts[kept++] = m;
		else
			rte_pktmbuf_free(m);
	}
	burst->n = kept;
	*generated += kept;
}
