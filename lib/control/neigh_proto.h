/*
 * ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861 section 7): the gateway answers for its own addresses,
 * and learns where its neighbours are.
 *
 * Control thread only; the one writer of the neighbour table. It opens no device: frames leave by a callback,
 * and time is what the last neigh_proto_tick said. Mbufs given to a function are owned by it, those given to
 * a callback by the callback, which must not call back in here. What a stranger says is not believed too
 * much: a neighbour that is not known is learned only when it asks for one of our addresses, or answers us;
 * configured neighbours never change; our own addresses and those that are not on the port's link are no
 * neighbours; everything is bounded by the limits below. Limits: Ethernet; no router discovery, no redirects,
 * no duplicate address detection of our own, no proxying; a solicitation without its sender's MAC address is
 * answered only once the sender is known.
 */
#ifndef CULVERT_CONTROL_NEIGH_PROTO_H
#define CULVERT_CONTROL_NEIGH_PROTO_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "fwd/neigh.h"
#include "net/drop.h"

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <stddef.h>
#include <stdint.h>

struct neigh_proto;

/*
 * Learned neighbours, with those that are being asked for; the neighbour table should hold them and the
 * configured.
 */
#define NEIGH_DYNAMIC_MAX 4096
/* Configured neighbours. */
#define NEIGH_STATIC_MAX 4096
/*
 * Of the dynamic ones, those that have not answered (yet): a scan of the link from afar takes no more (RFC
 * 6583).
 */
#define NEIGH_PENDING_MAX 1024
/* Packets that wait for one neighbour, and for all: these, or one part in so many of all buffers. */
#define NEIGH_HELD_EACH_MAX 4
#define NEIGH_HELD_MAX      256
#define NEIGH_POOL_SHARE    4
/* RFC 4861 section 10: RETRANS_TIMER, MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT. */
#define NEIGH_RETRY_NS (UINT64_C(1) * CLOCK_NS_PER_S)
#define NEIGH_TRIES    3
/* One that did not answer is not asked again for so long; packets to it are dropped. */
#define NEIGH_HOLD_DOWN_NS (UINT64_C(3) * CLOCK_NS_PER_S)
/* A neighbour is asked whether it is still there at a random time between these after its last answer. */
#define NEIGH_REACHABLE_MIN_NS (UINT64_C(30) * CLOCK_NS_PER_S)
#define NEIGH_REACHABLE_MAX_NS (UINT64_C(60) * CLOCK_NS_PER_S)
/* Times are kept to this. */
#define NEIGH_SCAN_NS (UINT64_C(100) * CLOCK_NS_PER_MS)

struct neigh_proto_port {
	const char *name; /* for the log */
	struct neigh_port link;
	const struct ip_prefix *addresses; /* our own, each with its link's length */
	size_t n_addresses;
};

/* Arrays and names are copied; the rest is borrowed until neigh_proto_destroy. */
struct neigh_proto_conf {
	const struct neigh_proto_port
		*ports; /* by port index; each gets its link-local IPv6 address beside these */
	uint8_t n_ports;
	struct neigh_table *table;
	struct rte_mempool *pool; /* for frames; its mbufs have a struct pkt */
	struct drops *drops; /* nd_bad, neigh_unresolved, neigh_full, shutdown; by the packet's port_in */
	/* A frame that is ready to leave by pkt->port_out: PKT_FRAME, port_in is PKT_PORT_SELF. */
	void (*send)(void *arg, struct rte_mbuf *m);
	/* A packet that waited; its neighbour is in the table now, and PKT_UNRESOLVED is cleared. */
	void (*release)(void *arg, struct rte_mbuf *m);
	void *arg;
};

/* How many packets may wait, of a pool of that size. */
static inline uint32_t neigh_held_max(uint32_t pool_pkts)
{
	return RTE_MIN(pool_pkts / NEIGH_POOL_SHARE, (uint32_t)NEIGH_HELD_MAX);
}

int neigh_proto_create(
	const struct neigh_proto_conf *conf, uint64_t now_ns, struct neigh_proto **np, struct err *err);
/* Drops the packets that wait, as shutdown. The table keeps its neighbours. */
void neigh_proto_destroy(struct neigh_proto *np);

/* A configured neighbour, which takes the place of a learned one. -ENOSPC: too many. */
int neigh_proto_add_static(
	struct neigh_proto *np, uint8_t port, const struct ip_addr *addr, const struct rte_ether_addr *mac);

/* The configured neighbour is one no more; what is on the link may be learned. -ENOENT: there is none. */
int neigh_proto_remove_static(struct neigh_proto *np, uint8_t port, const struct ip_addr *addr);

/* Tell the links our addresses, when the ports come up (RFC 5227 section 2.3, RFC 4861 section 7.2.6). */
void neigh_proto_announce(struct neigh_proto *np);

/* ARP or neighbour discovery that came in by pkt->port_in. Drops: nd_bad; else it is consumed. */
void neigh_proto_receive(struct neigh_proto *np, struct rte_mbuf *m);

/*
 * A packet for pkt->port_out whose neighbour a worker did not find: hold it and ask. It is released at once
 * if the neighbour has become known. Drops: neigh_unresolved, for the one that doesn't answer or can't be on
 * the link; neigh_full.
 */
void neigh_proto_unresolved(struct neigh_proto *np, struct rte_mbuf *m, const struct ip_addr *addr);

/* Retries and ageing. Call it often, at least every NEIGH_SCAN_NS; time never goes back. */
void neigh_proto_tick(struct neigh_proto *np, uint64_t now_ns);

/* A neighbour as it is now. */
struct neigh_proto_entry {
	uint8_t port;
	struct ip_addr address;
	bool has_mac;
	struct rte_ether_addr mac;
	const char *state; /* resolving, failed, reachable, probing, static */
};

/* Call `show` with each. */
void neigh_proto_each(const struct neigh_proto *np,
	void (*show)(void *argument, const struct neigh_proto_entry *entry), void *argument);

/* Packets that wait now. */
uint32_t neigh_proto_held(const struct neigh_proto *np);

#endif
