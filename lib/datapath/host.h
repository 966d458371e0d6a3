/*
 * Packets for the gateway itself, and the queues between the workers and the control thread.
 *
 * Workers answer ICMP echo in place; they hand ARP, neighbour discovery and packets whose next hop has no
 * known MAC address to the control thread, which answers, learns and hands frames back. What else is for the
 * gateway goes to the host's own stack, if it has an interface for that (control/host_device.h), and what the
 * host sends comes from there: by the control thread too, by a queue of its own, so that no flood of it keeps
 * ARP out. Nobody waits: what does not fit into a queue is dropped by name. Control makes and destroys the
 * queues.
 */
#ifndef CULVERT_DATAPATH_HOST_H
#define CULVERT_DATAPATH_HOST_H

#include "base/err.h"
#include "datapath/snapshot.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdint.h>

struct rte_ring;

/* Packets that wait in a queue at most. */
#define HOST_QUEUE_PKTS 1024
/* Packets that wait for the host's stack at most. */
#define HOST_STACK_PKTS 256
/*
 * ICMP errors and echo replies of one worker: so many a second, and so many at once (RFC 1812
 * section 4.3.2.8).
 */
#define HOST_ICMP_PER_SECOND 1000
#define HOST_ICMP_AT_ONCE    100

struct host_queue {
	struct rte_ring *to_control;   /* shared by all workers */
	struct rte_ring *to_host;      /* the same; NULL: the host's stack gets nothing */
	struct rte_ring *from_control; /* this worker's */
};

/* A token bucket, filled by the TSC. */
struct host_limit {
	uint64_t filled_tsc; /* when it was filled last */
	uint32_t tokens;
};

/* True if one more packet may be sent now; it is then counted. */
bool host_limit_take(struct host_limit *limit, uint64_t now_tsc);

/* Hand ARP and neighbour discovery to the control thread; the burst is empty afterwards. Drops: host_full. */
void host_to_control(struct burst *burst, const struct host_queue *queue, struct drops *drops);

/*
 * The same for packets whose next hop has no known MAC address. They may fill half of the queue, so that
 * however fast they come, the neighbour's answer gets in behind them. Drops: neigh_full.
 */
void host_hold(struct burst *burst, const struct host_queue *queue, struct drops *drops);

/*
 * Packets to the gateway's own addresses: turn echo requests into replies and keep them; move everything else
 * to *others. Drops: icmp_limit.
 */
void host_answer(struct burst *burst, struct burst *others, struct host_limit *limit, uint64_t now_tsc,
	struct drops *drops);

/*
 * Hand packets to the host's stack; the burst is empty afterwards. Drops: host_no_service where it gets
 * nothing, host_busy.
 */
void host_give(struct burst *burst, const struct host_queue *queue, struct drops *drops);

/*
 * Is the packet IKE between others and an address of the gateway outside, in clear (RFC 4301 section 4.4.1
 * lets no policy come between it and the host): UDP to, or from, port 500, or a port of ESP in UDP if its
 * payload is marked as IKE's or is a keepalive (RFC 3948 section 2)?
 */
bool host_is_ike_to_one(struct rte_mbuf *m, const struct snapshot *snapshot);
bool host_is_ike_from_one(struct rte_mbuf *m, const struct snapshot *snapshot);

/* Packets of the host: keep those from the gateway's own addresses, and say what was seen. Drops:
 * host_source.
 */
void host_check_source(struct burst *burst, const struct local_addrs *local, struct drops *drops);

/*
 * Packets that can't be forwarded, with the ICMP error to send in struct pkt: turn each into the error, from
 * an address of the port that it came in by; for one out of a tunnel, of the port that its destination is
 * behind; for one of the host's, from its destination, since the host takes none from itself. The packet
 * counts as dropped (ttl_expired, out_mtu, out_no_sa), the error as made by the gateway: *generated grows by
 * the errors kept. Where no error may be sent, the packet is freed.
 */
void host_icmp_errors(struct burst *burst, const struct snapshot *snapshot, struct host_limit *limit,
	uint64_t now_tsc, struct drops *drops, uint64_t *generated);

#endif
