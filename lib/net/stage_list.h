/*
 * The one list of the pipeline's stages, and what a stage's cycles are added to.
 *
 * X(name, text): the function, or what polls and sends, and what it does to a packet; in the order in which a
 * packet may meet them. Workers write struct stage_cycles, each its own; any thread may read.
 * Limits: cycles are counted only in builds with the option stage_cycles, since reading the clock twice a
 * stage and burst is not free.
 */
#ifndef CULVERT_NET_STAGE_LIST_H
#define CULVERT_NET_STAGE_LIST_H

#include <stdint.h>

/* clang-format off */
#define STAGES(X) \
	X(rx, "take frames from a port") \
	X(parse, "check the frame and the IP headers, find protocol and ports") \
	X(reass, "make packets whole from their fragments") \
	X(local, "is it for the gateway itself?") \
	X(natt_in, "tell ESP in UDP from keepalives and IKE, take the UDP header out") \
	X(sad, "find the SA of a packet of ESP, AH or IPComp") \
	X(bundle, "find the next SA of a bundle, or check that it is the right one") \
	X(ipcomp_in, "decompress, or take off the tunnel's header of what was not compressed") \
	X(esp_in_prepare, "check lengths and the sequence number") \
	X(ah_in_prepare, "the same for AH, and clear what may have changed on the way") \
	X(flows, "find the policy and the next hop: remembered, or by SPD and routes") \
	X(spd_in, "do what the inbound policy of a packet in clear says") \
	X(spd_out, "do what the outbound policy says") \
	X(alternatives, "which of the policy's SAs?") \
	X(acquire, "tell control of a policy without an SA") \
	X(ttl, "decrement the TTL or hop limit") \
	X(esp_out_mtu, "does it fit the tunnel?") \
	X(frag, "cut into fragments what does not fit") \
	X(ipcomp_out, "compress what gets shorter by it") \
	X(esp_out_prepare, "sequence number, tunnel header, padding") \
	X(ah_out_prepare, "the same for AH, and clear what may change on the way") \
	X(crypto_run, "encrypt or decrypt, or hand over to a device") \
	X(crypto_poll, "fetch from a crypto device") \
	X(esp_out_finish, "did the encryption succeed?") \
	X(natt_out, "put the UDP header in, send to where the peer is") \
	X(esp_out_path, "does the tunnel's packet fit its path?") \
	X(esp_in_finish, "verify the ICV, accept the sequence number, leave the inner packet") \
	X(ah_in_finish, "the same for AH, whose IP header is restored") \
	X(spd_in_selector, "may this SA carry the packet?") \
	X(icmp_error, "judge an ICMP error by the packet that it quotes") \
	X(replies, "note by which peer the packet's flow comes in") \
	X(mss_back, "lower the MSS of a SYN to what the tunnel back carries") \
	X(split, "part what goes different ways") \
	X(route, "find the next hop") \
	X(route_mtu, "does it fit the link?") \
	X(neigh, "find the neighbour, put the Ethernet header in front") \
	X(tx, "send the frame") \
	X(host, "answer what is for the gateway itself") \
	X(to_host, "give what the gateway does not answer to the host's own stack") \
	X(from_host, "is it from one of the gateway's own addresses?")
/* clang-format on */

enum stage {
#define X(name, text) STAGE_##name,
	STAGES(X)
#undef X
		STAGE_COUNT
};

struct stage_cycles {
	uint64_t tsc;
	uint64_t packets; /* that came in */
};

#endif
