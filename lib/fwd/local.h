/*
 * The gateway's own addresses: which packets are for the gateway itself.
 *
 * Immutable, part of a snapshot: control fills it before workers read it. A plain struct that the caller
 * owns. Limits: LOCAL_ADDRS_MAX addresses of each family, searched one after the other.
 */
#ifndef CULVERT_FWD_LOCAL_H
#define CULVERT_FWD_LOCAL_H

#include "base/addr.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

#define LOCAL_ADDRS_MAX 128

struct local_addrs {
	uint16_t n_ipv4;
	uint16_t n_ipv6;
	rte_be32_t ipv4[LOCAL_ADDRS_MAX];
	uint8_t ipv6[LOCAL_ADDRS_MAX][16];
};

/* False when the table is full. */
bool local_addrs_add(struct local_addrs *local, const struct ip_addr *addr);

/* Is the destination of this parsed packet one of the gateway's own? */
bool local_match_one(const struct local_addrs *local, struct rte_mbuf *m);
/* The same of its source. */
bool local_match_source_one(const struct local_addrs *local, struct rte_mbuf *m);
/* Is the address one of them? */
bool local_has(const struct local_addrs *local, const struct ip_addr *addr);

/* Is the next layer of this packet to the gateway ESP, AH or IPComp? If IPv6 has AH, it is the next layer
 * then. */
bool local_is_ipsec_one(struct rte_mbuf *m);

/*
 * Sort out packets for the gateway itself: ESP, AH and IPComp (fragments of them too) to *ipsec, everything
 * else to *host; keep the rest, but drop what no router may forward (in_link_local). With ipsec NULL, these
 * are nothing special and go to *host.
 */
void local_split(struct burst *burst, const struct local_addrs *local, struct burst *ipsec,
	struct burst *host, struct drops *drops);

#endif
