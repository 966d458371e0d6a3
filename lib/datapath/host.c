#include "datapath/host.h"

#include <rte_cycles.h>
#include <rte_ring.h>

#include "net/icmp.h"
#include "net/icmp_error.h"
#include "net/stage.h"

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
static void to_control(
	struct burst *burst, const struct host_queue *queue, struct drops *drops, enum drop_reason reason)
{
	unsigned taken = rte_ring_enqueue_burst(queue->to_control, (void **)burst->pkts, burst->n, NULL);

	for (uint16_t i = (uint16_t)taken; i < burst->n; i++)
		drop_one(drops, burst->pkts[i], reason);
	burst->n = 0;
}

void host_to_control(struct burst *burst, const struct host_queue *queue, struct drops *drops)
{
	if (burst->n > 0)
		to_control(burst, queue, drops, DROP_host_full);
}

void host_hold(struct burst *burst, const struct host_queue *queue, struct drops *drops)
{
	if (burst->n == 0)
		return;
	if (rte_ring_count(queue->to_control) >= HOST_QUEUE_PKTS / 2)
		drop_burst(drops, burst, DROP_neigh_full);
	else
		to_control(burst, queue, drops, DROP_neigh_full);
}

void host_answer(struct burst *burst, struct host_limit *limit, uint64_t now_tsc, struct drops *drops)
{
	uint16_t kept = 0;

	STAGE(host, burst, drops);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (!icmp_echo_reply_one(m))
			drop_one(drops, m, DROP_host_no_service);
		else if (!host_limit_take(limit, now_tsc))
			drop_one(drops, m, DROP_icmp_limit);
		else
			burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

/* The port's address of the packet's family that an error about the packet comes from, or NULL. */
static const struct ip_addr *error_source(struct rte_mbuf *m, const struct snapshot *snapshot)
{
	const struct pkt *p = pkt_of(m);
	uint8_t port = p->port_in;
	const struct ip_addr *addr;

	if (p->flags & PKT_DECAPSULATED) {
		/*
		 * The port behind which the destination is: its address is one that the tunnel's policies
		 * cover.
		 */
		struct ip_addr destination = ip_addr_from_bytes(p->family, pkt_destination(m));
		const struct next_hop *hop = route_find(snapshot->routes, &destination);

		if (!hop)
			return NULL;
		port = hop->port;
	}
	if (port >= snapshot->n_ports)
		return NULL;
	addr = p->family == IP_V4 ? &snapshot->ports[port].ipv4 : &snapshot->ports[port].ipv6;
	return addr->family == IP_NONE ? NULL : addr;
}

static bool icmp_error_one(
	struct rte_mbuf *m, const struct snapshot *snapshot, struct host_limit *limit, uint64_t now_tsc)
{
	const struct ip_addr *source;

	if (!icmp_error_allowed_one(m))
		return false;
	source = error_source(m, snapshot);
	return source && host_limit_take(limit, now_tsc) && icmp_error_make_one(m, source->bytes);
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
