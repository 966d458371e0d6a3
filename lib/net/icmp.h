/*
 * Numbers of ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443), and the errors that a router answers with.
 *
 * Constants, and setters for the worker's stages: a stage that can't forward a packet says with one of them
 * which error answers it, and moves the packet to the burst that net/icmp_error.h takes.
 */
#ifndef CULVERT_NET_ICMP_H
#define CULVERT_NET_ICMP_H

#include "net/pkt.h"

/* The part that RFC 792 and RFC 4443 section 2.1 have in common: type, code, checksum, four bytes by type. */
#define ICMP_HEADER_BYTES 8
#define ICMP_ECHO_ID_AT   4 /* in the header of an echo, both of RFC 792 and of RFC 4443 section 4 */

#define ICMPV4_ECHO_REPLY         0
#define ICMPV4_UNREACHABLE        3
#define ICMPV4_SOURCE_QUENCH      4
#define ICMPV4_REDIRECT           5
#define ICMPV4_ECHO_REQUEST       8
#define ICMPV4_TIME_EXCEEDED      11
#define ICMPV4_PARAMETER_PROBLEM  12
#define ICMPV4_ADDRESS_MASK_REPLY 18 /* the last type of RFC 792 and RFC 950 */
#define ICMPV4_CODE_NEEDS_FRAG    4
#define ICMPV4_CODE_PROHIBITED    13 /* communication administratively prohibited, RFC 1812 section 5.2.7.1 */
#define ICMPV6_UNREACHABLE        1
#define ICMPV6_CODE_PROHIBITED    1 /* RFC 4443 section 3.1 */
#define ICMPV6_PACKET_TOO_BIG     2
#define ICMPV6_TIME_EXCEEDED      3
#define ICMPV6_PARAMETER_PROBLEM  4
#define ICMPV6_INFORMATIONAL      128 /* errors are below (RFC 4443 section 2.1) */
#define ICMPV6_ECHO_REQUEST       128
#define ICMPV6_ECHO_REPLY         129
#define ICMPV6_REDIRECT           137

/* The packet's TTL or hop limit ran out. */
static inline void icmp_set_time_exceeded_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	p->icmp_type = p->family == IP_V4 ? ICMPV4_TIME_EXCEEDED : ICMPV6_TIME_EXCEEDED;
	p->icmp_code = 0;
	p->icmp_mtu = 0;
}

static inline bool icmp_is_time_exceeded_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	return p->icmp_type == (p->family == IP_V4 ? ICMPV4_TIME_EXCEEDED : ICMPV6_TIME_EXCEEDED);
}

/* A policy forbids the packet, or there is no SA for it (RFC 4301 section 5.1.1). */
static inline void icmp_set_prohibited_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	p->icmp_type = p->family == IP_V4 ? ICMPV4_UNREACHABLE : ICMPV6_UNREACHABLE;
	p->icmp_code = p->family == IP_V4 ? ICMPV4_CODE_PROHIBITED : ICMPV6_CODE_PROHIBITED;
	p->icmp_mtu = 0;
}

static inline bool icmp_is_prohibited_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	return p->family == IP_V4
		       ? p->icmp_type == ICMPV4_UNREACHABLE && p->icmp_code == ICMPV4_CODE_PROHIBITED
		       : p->icmp_type == ICMPV6_UNREACHABLE;
}

/* The packet is longer than mtu_bytes, the most that may come (RFC 1191 section 4, RFC 8201). */
static inline void icmp_set_too_big_one(struct rte_mbuf *m, uint16_t mtu_bytes)
{
	struct pkt *p = pkt_of(m);

	p->icmp_type = p->family == IP_V4 ? ICMPV4_UNREACHABLE : ICMPV6_PACKET_TOO_BIG;
	p->icmp_code = p->family == IP_V4 ? ICMPV4_CODE_NEEDS_FRAG : 0;
	p->icmp_mtu = mtu_bytes;
}

#endif
