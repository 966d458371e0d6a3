/*
 * The maximum segment size that a TCP SYN announces (RFC 9293 section 3.7.1), lowered to what a tunnel
 * carries: ends that never learn the tunnel's MTU (their ICMP is filtered on the way) then send no packets
 * that are too long for it (RFC 4459 section 3.2).
 *
 * Workers only, on packets that parse marked PKT_TCP_SYN. The MSS is never raised, and never lowered below
 * what ends assume of one that says nothing. Limits: a SYN without the option gets none; what a sender signed
 * is left alone (an IPv6 authentication header in front of TCP, and TCP-AO, which covers the options: RFC
 * 5925 section 5.1), as is what lies behind a malformed option.
 */
#ifndef CULVERT_NET_MSS_H
#define CULVERT_NET_MSS_H

#include "net/pkt.h"

/* RFC 9293 section 3.7.1: of an end that says nothing (IPv4). */
#define MSS_MIN 536

/* The packet will go through what carries IP packets of mtu_bytes: lower its MSS to that. */
void mss_clamp_one(struct rte_mbuf *m, uint16_t mtu_bytes);

#endif
