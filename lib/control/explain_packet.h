/*
 * A packet that is made to ask a question about (control/explain.h): as short as its headers are, or longer,
 * with a payload of zeros, and right lengths and checksums.
 *
 * Control thread. The caller frees the mbuf.
 */
#ifndef CULVERT_CONTROL_EXPLAIN_PACKET_H
#define CULVERT_CONTROL_EXPLAIN_PACKET_H

#include "control/explain.h"

#include <rte_ether.h>
#include <rte_mbuf.h>

/* The IP packet alone; of query->inner where `inner`. NULL: no buffer, or it does not fit into one. */
struct rte_mbuf *explain_packet_make(
	const struct explain_query *query, bool inner, struct rte_mempool *pool, uint8_t port);

/* Put an Ethernet header in front, to that address. */
void explain_packet_frame(struct rte_mbuf *m, const struct rte_ether_addr *to, uint16_t vlan, uint8_t family);

#endif
