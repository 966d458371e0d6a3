/*
 * The one list of reasons for which a packet is dropped, and a worker's counters of them.
 *
 * X(name, xfrm, text): the reason, the counter of /proc/net/xfrm_stat that an operator of Linux knows it by
 * ("-" where there is none), and a sentence of cause and cure. The enum, the counters, the statistics, the
 * telemetry and docs/drop-reasons.md all come from here.
 * Workers write struct drops, each its own; any thread may read the counters. Limits: counters wrap at 2^64.
 */
#ifndef CULVERT_NET_DROP_H
#define CULVERT_NET_DROP_H

#include "net/burst.h"
#include "net/pkt.h"
#include "net/stage_list.h"

#include <stdint.h>

#include <rte_branch_prediction.h>

/* clang-format off */
#define DROP_REASONS(X) \
	X(eth_type, "-", "the frame carries neither IPv4, IPv6 nor ARP; if it should, look at who sends it") \
	X(eth_vlan, "-", "the frame's 802.1Q tag is not the port's; set the port's `vlan`, or the switch") \
	X(eth_not_ours, "-", "the frame is addressed to another station's MAC address; usual where the port hears others' traffic") \
	X(in_hdr, "InHdrError", "the IP or ESP header is malformed, or longer than the packet; the sender or the link is broken, or it is an attack") \
	X(in_checksum, "InHdrError", "the IPv4 header checksum is wrong; turn off checksum offload on a virtual peer, else suspect the link") \
	X(in_martian, "InHdrError", "the source is a loopback, multicast or unspecified address, or the destination is loopback or unspecified; no sender may use these") \
	X(in_link_local, "-", "the packet is from or to a link-local address (fe80::/10, 169.254.0.0/16), and no router forwards such; the sender must use an address that is known beyond its link") \
	X(in_multicast, "-", "the destination is a multicast or broadcast address; culvert forwards unicast only") \
	X(in_buf, "InBufferError", "the packet lies in several buffers and can't be made one, or its buffer has no room for AH's work; raise the port's buffer size or lower the peer's MTU") \
	X(in_no_sa, "InNoStates", "no inbound SA has this SPI and destination; the peers' keys or SPIs differ, or the SA is gone") \
	X(in_endpoint, "InStateMismatch", "ESP of a known SPI comes from an address that is not the SA's `source`; correct `source`, or there is a NAT between") \
	X(in_encap, "InStateMismatch", "ESP of a known SPI comes in UDP and its SA is not in UDP (`encap`), or without UDP and its SA forbids that (`bare_esp`)") \
	X(in_udp, "-", "UDP to a port of ESP in UDP (4500, say) whose length is wrong, or too short for ESP, IKE and a keepalive; a broken sender, or an attack") \
	X(in_keepalive, "-", "a keepalive of a peer behind a NAT (RFC 3948 section 2.3), meant to be dropped") \
	X(frag_bad, "-", "a fragment that fits no packet: its length, the end of the packet or its congestion marks can't be, or the packet would be longer than 65535 bytes; an attack, or a broken sender") \
	X(frag_overlap, "-", "a fragment overlaps another of its packet, all of which are dropped (RFC 5722); an attack") \
	X(frag_duplicate, "-", "a fragment came twice; the network doubles packets") \
	X(frag_timeout, "-", "the other fragments of the packet did not come in time (IPv4 30 s, IPv6 60 s), or its SA was taken out first; they are lost on the way") \
	X(frag_full, "-", "too many fragments wait for others, and the oldest had to go, or there was no buffer; a flood of fragments, or raise `memory.packets`") \
	X(in_seq_zero, "InStateSeqError", "the ESP sequence number is 0, which no sender may use (RFC 4303 section 3.3.3)") \
	X(in_replay, "InStateSeqError", "this ESP sequence number was accepted before: a duplicate on the way, or a replay") \
	X(in_late, "InStateSeqError", "the ESP sequence number is older than the replay window; raise `replay_window`, or the peer restarted with the same key") \
	X(in_icv, "InStateProtoError", "the ICV does not verify: the keys or algorithms differ, or the packet was changed on the way") \
	X(in_expired, "InStateExpired", "the inbound SA has reached a hard limit (`life_time`, `life_bytes`, `life_packets`); it needs a new key") \
	X(in_sa_proto, "InStateProtoError", "the decrypted packet is malformed (padding, next header, inner header or length); the peer is broken") \
	X(in_dummy, "-", "a dummy packet (next header 59), sent to hide traffic and meant to be dropped") \
	X(in_ecn, "-", "the tunnel marked congestion on a packet whose ends don't support it (RFC 6040 section 4.2)") \
	X(in_bundle, "InTmplMismatch", "the SA belongs to a bundle, and the packet did not come out of the SA around it; the peers' policies differ, or it is an attack") \
	X(in_nesting, "InTmplMismatch", "too many SAs one inside the other; a policy that leads back to itself at the peer, or an attack") \
	X(in_ipcomp, "InStateProtoError", "an IPComp payload can't be decompressed (it is corrupt, has something behind it, or would be longer than 65535 bytes), or what comes out is no packet; the peer is broken") \
	X(in_selector, "InStateMismatch", "the decrypted packet is not one that its SA may carry; the peers' policies differ") \
	X(in_no_policy, "InNoPols", "no inbound policy matches; add one if the packet is wanted") \
	X(in_policy_block, "InPolBlock", "an inbound policy says discard") \
	X(in_tmpl_mismatch, "InTmplMismatch", "the packet came in clear, but a policy demands protection; the peer does not encrypt, or it is an attack") \
	X(out_no_policy, "OutNoPols", "no outbound policy matches; add one if the packet is wanted") \
	X(out_no_sa, "OutNoStates", "an outbound policy protects the packet, and has no SA to do it (`sas: []`); the log says `acquire` and which") \
	X(out_no_alternative, "OutNoStates", "none of the outbound policy's alternatives is for the packet, and it has no other SA (`sas: []`); with `for_peer`: it answers nothing that came by one of these peers, or the SA of that peer is gone") \
	X(out_policy_block, "OutPolBlock", "an outbound policy says discard") \
	X(out_expired, "OutStateExpired", "the outbound SA has reached a hard limit (`life_time`, `life_bytes`, `life_packets`, or its cipher's own); it needs a new key") \
	X(out_seq_overflow, "OutStateSeqError", "the SA has used its last sequence number; it needs a new key") \
	X(out_seq_reserved, "OutStateSeqError", "the SA's reserved sequence numbers are used up, and no more could be reserved in time: the file for them can't be written (the log says why), or its disk is slower than the traffic needs") \
	X(out_mtu, "OutBundleCheckError", "the packet is too big for the tunnel or the link; ICMP said so to the sender where it may be said") \
	X(out_buf, "OutError", "the packet's buffer has no room for the tunnel's headers or trailer; raise the buffer size") \
	X(crypto_full, "OutError", "the crypto device's queue is full; it is slower than the traffic") \
	X(crypto_failed, "OutError", "the crypto device could not process the packet; see the device's own log") \
	X(ttl_expired, "-", "the TTL or hop limit ran out here; a traceroute, or a routing loop") \
	X(no_route, "-", "no route to the destination; add one to `routes`") \
	X(neigh_unresolved, "-", "the next hop did not answer ARP or neighbour discovery") \
	X(neigh_full, "-", "too many packets wait for an answer to ARP or neighbour discovery") \
	X(nd_bad, "-", "a malformed ARP or neighbour discovery packet, or one from off the link (hop limit not 255)") \
	X(host_no_service, "-", "the packet is for the gateway itself, which has nothing that takes it and no host interface (`host.interface`)") \
	X(host_full, "-", "the queue to the control thread is full; a flood of ARP or neighbour discovery") \
	X(host_busy, "-", "too many packets for the host wait for its interface; a flood of IKE, or of what policies let in") \
	X(host_interface, "-", "the host interface did not take the packet: it is down or was deleted, or the host is short of memory; the log says if it is gone") \
	X(host_source, "-", "the host sent a packet by its interface that is from none of the gateway's addresses; its routes lead there what should go elsewhere") \
	X(icmp_refused, "-", "an ICMP error from the unprotected side, of a kind that `icmp.accept` does not list") \
	X(icmp_quote, "-", "an ICMP error from the unprotected side is malformed, or quotes no packet that an SA of ours sent lately; it is late or forged, or the SA is gone") \
	X(icmp_flood, "-", "more ICMP errors about an SA's packets than are looked at in a second; a router tells each packet, or an attack from on the path") \
	X(icmp_limit, "-", "an answer to ICMP echo was held back by the rate limit") \
	X(tx_full, "-", "the port did not take the packet: the link is slower than the traffic, or down") \
	X(shutdown, "-", "the gateway stopped while it held the packet")
/* clang-format on */

enum drop_reason {
#define X(name, xfrm, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_COUNT
};

/*
 * Where drops of some reasons are recorded (datapath/audit.h). Each thread that drops has its own, and alone
 * writes it; any thread may read `suppressed`.
 */
struct drop_audit {
	void (*post)(struct drop_audit *audit, struct rte_mbuf *m, enum drop_reason reason);
	uint8_t tokens[DROP_COUNT];      /* so many may be recorded now; 0 for most reasons, always */
	uint64_t suppressed[DROP_COUNT]; /* drops that were not recorded */
};

/* A stage that packets are in: its own burst, and those that it may move packets to. */
struct stage_visit {
	enum stage stage;
	const struct burst *bursts[4]; /* the stage's own, then the named ones; NULL where there are fewer */
	const char *names;             /* of the named ones, with commas between */
};

/*
 * Who follows some packets through the stages (datapath/trace.h), called by the thread whose drops it is in,
 * while there is one.
 */
struct tracer {
	void (*enter)(struct tracer *tracer, const struct stage_visit *visit);
	void (*leave)(struct tracer *tracer); /* the stage entered last */
	void (*dropped)(struct tracer *tracer, struct rte_mbuf *m, enum drop_reason reason);
	/* `part` was made of a packet that will end: a fragment, or a copy; NULL: it has ended. */
	void (*cut)(struct tracer *tracer, struct rte_mbuf *m, struct rte_mbuf *part);
};

/* One worker's counters, by the port that the packet came in by. */
struct drops {
	uint64_t total;           /* of all reasons and ports */
	struct drop_audit *audit; /* NULL: nothing is recorded */
	struct tracer *tracer;    /* NULL: nobody follows packets */
	uint64_t count[PKT_PORTS_ALL][DROP_COUNT];
#ifdef CULVERT_STAGE_CYCLES
	struct stage_cycles stages[STAGE_COUNT]; /* here, since every stage has its worker's drops */
#endif
};

/* Constant texts of a reason. */
const char *drop_name(enum drop_reason reason);
const char *drop_xfrm_name(enum drop_reason reason);
const char *drop_text(enum drop_reason reason);

static inline void drop_audit_one(struct drop_audit *audit, struct rte_mbuf *m, enum drop_reason reason)
{
	if (audit->tokens[reason] > 0)
		audit->post(audit, m, reason);
	else
		audit->suppressed[reason]++;
}

/* Count the drop of a packet that lives on as something else (an ICMP error). */
static inline void drop_count_one(struct drops *drops, struct rte_mbuf *m, enum drop_reason reason)
{
	drops->total++;
	drops->count[pkt_of(m)->port_in][reason]++;
	if (drops->audit)
		drop_audit_one(drops->audit, m, reason);
	if (unlikely(drops->tracer != NULL))
		drops->tracer->dropped(drops->tracer, m, reason);
}

static inline void drop_one(struct drops *drops, struct rte_mbuf *m, enum drop_reason reason)
{
	drop_count_one(drops, m, reason);
	rte_pktmbuf_free(m);
}

/* The packet is being cut, and `part` was made of it; NULL: it will be freed now. */
static inline void trace_cut_one(struct drops *drops, struct rte_mbuf *m, struct rte_mbuf *part)
{
	if (unlikely(drops->tracer != NULL))
		drops->tracer->cut(drops->tracer, m, part);
}

/* Drop all packets of the burst for the same reason. */
void drop_burst(struct drops *drops, struct burst *burst, enum drop_reason reason);

#endif
