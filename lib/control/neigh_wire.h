/*
 * ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861) on the wire: packets to messages, and frames from
 * them.
 *
 * Called by control/neigh_proto.c, on the control thread. Both protocols become one kind of message, so that
 * what to do about it is decided once. Limits: Ethernet; no router discovery, no redirects, no inverse ARP.
 */
#ifndef CULVERT_CONTROL_NEIGH_WIRE_H
#define CULVERT_CONTROL_NEIGH_WIRE_H

#include "base/addr.h"
#include "fwd/neigh.h"

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <stdbool.h>

enum neigh_message_kind {
	NEIGH_REQUEST, /* who has `target`? ARP request, neighbour solicitation */
	NEIGH_ADVERT,  /* `target` is at `mac`: ARP reply, neighbour advertisement */
	NEIGH_OTHER,   /* router discovery, redirects and other operations of ARP: well-formed, and not for us
			*/
};

struct neigh_message {
	enum neigh_message_kind kind;
	struct ip_addr
		sender; /* of a request; 0.0.0.0 or `::` while it claims the address (RFC 5227, RFC 4862) */
	struct ip_addr target;
	bool has_mac;              /* ARP always has it */
	struct rte_ether_addr mac; /* a request: the sender's; an advert: the target's */
	bool solicited;            /* an advert that answers a request */
	bool overrides;            /* an advert that may change a MAC address that is known already */
};

/*
 * Read a packet that parse_burst moved to the neighbour burst. False if it is malformed or not from the link
 * (RFC 4861 section 7.1: hop limit 255, checksum, code, lengths, options); it has not been changed.
 */
bool neigh_wire_parse(struct rte_mbuf *m, struct neigh_message *message);

/*
 * Frames, complete from the Ethernet header on; NULL when the pool is empty. The caller owns them and fills
 * in their struct pkt. Their source is `own`, an address of the port, or the port's MAC address.
 */

/*
 * Who has `target`? Asks the station `to` alone, or with NULL everyone (RFC 4861: the solicited-node group).
 */
struct rte_mbuf *neigh_wire_request(struct rte_mempool *pool, const struct neigh_port *port,
	const struct ip_addr *own, const struct ip_addr *target, const struct rte_ether_addr *to);
/* `own` is here, said to `asker`, who is at `to`. */
struct rte_mbuf *neigh_wire_reply(struct rte_mempool *pool, const struct neigh_port *port,
	const struct ip_addr *own, const struct ip_addr *asker, const struct rte_ether_addr *to);
/* `own` is here, said to everyone (RFC 5227 section 2.3, RFC 4861 section 7.2.6). */
struct rte_mbuf *neigh_wire_announce(
	struct rte_mempool *pool, const struct neigh_port *port, const struct ip_addr *own);

/* The link-local address that goes with a MAC address (RFC 4291 section 2.5.6 and appendix A). */
struct ip_addr neigh_link_local(const struct rte_ether_addr *mac);

/* Is the address 0.0.0.0 or `::`? */
bool neigh_is_unspecified(const struct ip_addr *addr);

#endif
