/*
 * Transport mode's part of a packet: a header between the packet's own IP header and the next layer
 * (RFC 4303 section 3.1.1, RFC 4302 section 3.1.1, RFC 3173 section 2).
 *
 * Workers only, on parsed packets. IPv4 options and IPv6 extension headers count as a part of the IP header.
 */
#ifndef CULVERT_NET_TRANSPORT_H
#define CULVERT_NET_TRANSPORT_H

#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_mbuf.h>

/*
 * Make room of `bytes` behind the IP header, which ends at pkt->l4, in the mbuf's headroom, which must have
 * it. The IP header says afterwards that `protocol` follows, and data is longer; ip_length_set_one is still
 * to be called. struct pkt stays as it is. Returns what followed before.
 */
uint8_t transport_insert_one(struct rte_mbuf *m, uint16_t bytes, uint8_t protocol);

/* The reverse: take out the `bytes` at `at`, the end of the IP header, which `protocol` follows then. */
void transport_remove_one(struct rte_mbuf *m, uint16_t at, uint16_t bytes, uint8_t protocol);

/*
 * The checksum of the `bytes` at pkt->l4, as `protocol`, with the pseudo header of the packet's addresses
 * (RFC 768, RFC 9293 section 3.1, RFC 8200 section 8.1). Its own field is zero meanwhile, or else the result
 * is 0 where that is right.
 */
rte_be16_t transport_checksum_one(struct rte_mbuf *m, uint8_t protocol, uint16_t bytes);

/*
 * Make the checksum of TCP, UDP or ICMPv6 in a whole, parsed packet right for the addresses that it has. One
 * of UDP that is zero, which is none, stays so, and what is too short for its header stays as it is.
 */
void transport_checksum_set_one(struct rte_mbuf *m);

/* Write the length of the whole packet into its IP header, and into the mbuf; the IPv4 checksum follows. */
void ip_length_set_one(struct rte_mbuf *m, uint16_t bytes);

#endif
