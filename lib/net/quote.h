/*
 * ICMP errors that others send, and the packets that they quote (RFC 792, RFC 4443 section 2.4(c)).
 *
 * Workers and control, on parsed packets. A quote is the sender's word, and nothing proves it: who acts on
 * one compares it with what the gateway knows (an SA's number, a policy's selectors).
 * Limits: what quotes no more of AH than RFC 792 demands, 8 bytes, does not say its sequence number, and
 * counts as if AH were not there; of a quote, the front is read: its IP header, IPv6 extension headers, and
 * the first bytes behind them. Its checksums are not verified, since routers that made errors have changed
 * what they quote.
 */
#ifndef CULVERT_NET_QUOTE_H
#define CULVERT_NET_QUOTE_H

#include "base/flow.h"
#include "base/icmp_kind.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_mbuf.h>

struct quote {
	enum icmp_kind kind;
	uint32_t mtu_bytes; /* of ICMP_KIND_TOO_BIG: of the next link; 0: its router does not say */
	struct flow flow;   /* of the quoted packet, as it was sent */
	rte_be16_t echo_id; /* of an ICMP echo; 0 where the quote is cut short before it */
	bool is_fragment;
	bool has_df;   /* IPv4 */
	bool in_udp;   /* ESP in UDP (RFC 3948) */
	uint8_t ipsec; /* ESP or AH, and then the next two are there; else 0 */
	rte_be32_t spi;
	uint32_t seq; /* its low 32 bits */
};

/* The kind of a parsed packet; ICMP_KIND_NONE where it is no ICMP error, or a fragment. */
enum icmp_kind icmp_kind_one(struct rte_mbuf *m);

/*
 * Read the ICMP error and its quote. False where the packet is none, its checksum is wrong, or the quote has
 * no readable IP header of the error's own family.
 */
bool quote_read_one(struct rte_mbuf *m, struct quote *quote);

/*
 * Read the front of an IP packet, n bytes of it, as that of a quoted one; kind stays ICMP_KIND_NONE. False
 * where it has no readable IP header. The bytes are not trusted.
 */
bool quote_read_packet(const uint8_t *ip, uint32_t n, struct quote *quote);

/*
 * The flow that answers a flow: addresses and ports are exchanged (RFC 4301 section 6.2), an echo request
 * becomes its reply and the other way round.
 */
struct flow flow_reversed(const struct flow *flow);

#endif
