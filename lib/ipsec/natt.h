/*
 * ESP in UDP, so that it passes NATs (RFC 3948, RFC 7296 section 2.23).
 *
 * To the rest of the path there is only bare ESP: natt_in takes the UDP header out of what arrives, and
 * natt_out puts it into what leaves, both where it stands, behind the IP header. So they serve any mode, and
 * packets of other SAs never come here. Workers, but for natt_create, natt_destroy and natt_link, which are
 * control's. Limits: the peer's address may move, but not to another family; the ports are those of the SA,
 * not of each packet.
 */
#ifndef CULVERT_IPSEC_NATT_H
#define CULVERT_IPSEC_NATT_H

#include "base/addr.h"
#include "ipsec/replay.h"
#include "ipsec/sa.h"
#include "model/sa_conf.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

/* An SA's peer moves once in so long at most: each move is news to control, and may be another NAT's
 * confusion. */
#define NATT_MOVE_INTERVAL_MS 1000

/* The ports of the gateway where ESP in UDP arrives: a bit for each. Immutable, part of a snapshot. */
struct natt_ports {
	uint64_t bits[(UINT16_MAX + 1) / 64];
};

static inline void natt_ports_add(struct natt_ports *ports, uint16_t port)
{
	ports->bits[port / 64] |= UINT64_C(1) << port % 64;
}

static inline bool natt_ports_has(const struct natt_ports *ports, uint16_t port)
{
	return ports->bits[port / 64] >> port % 64 & 1;
}

/* Where a peer's packets come from, as the NAT in front of it makes them look. */
struct natt_endpoint {
	struct ip_addr address;
	uint16_t port; /* host order */
};

/*
 * The same, while workers read and write it. The version is odd while one writes; a reader that sees it odd,
 * or changed, reads again. All of it is atomic, so that a torn read is no undefined one.
 */
struct natt_peer {
	_Atomic uint32_t version; /* twice the number of moves */
	_Atomic uint16_t port;
	uint8_t family; /* never changes */
	_Atomic uint64_t address[2];
	_Atomic uint64_t moved_tsc;
};

/* What an SA in UDP has beside the others. */
struct natt {
	/* Never written once packets flow. */
	uint16_t source_port; /* host order, as the SA's configuration says */
	uint16_t destination_port;
	bool takes_bare; /* inbound */
	bool has_checksum;
	struct natt_peer *peer;    /* NULL: it stays where the configuration says. Inbound: own_peer */
	struct natt_peer own_peer; /* inbound */
};

/* Control. The part of an SA of that configuration; NULL when memory runs out. */
struct natt *natt_create(const struct sa_conf *conf, bool inbound, int socket);
void natt_destroy(struct natt *natt);

/*
 * Control, before packets flow: from now on `out` sends to where the newest packet of `in` came from, and
 * `in` takes packets from anywhere. `in` outlives the packets of `out`.
 */
void natt_link(struct sa *out, struct sa *in);

/* Where it is now. Any thread. */
struct natt_endpoint natt_peer_read(const struct natt_peer *peer);

/* How often it has moved. Any thread. */
static inline uint32_t natt_peer_moves(const struct natt_peer *peer)
{
	return atomic_load_explicit(&peer->version, memory_order_acquire) / 2;
}

/*
 * It has moved there, unless it did so a moment ago or another worker says something of it at this moment:
 * then nothing changes, and the next packet tells. Any worker.
 */
void natt_peer_move(struct natt_peer *peer, const struct natt_endpoint *to, uint64_t now_tsc);

/*
 * What the payload of a whole UDP packet is by one of the ports (RFC 3948 section 2); *udp_bytes is what its
 * UDP header says, once that is not NATT_BAD.
 */
enum natt_content { NATT_BAD, NATT_KEEPALIVE, NATT_IKE, NATT_ESP };
enum natt_content natt_content_one(struct rte_mbuf *m, uint16_t *udp_bytes);

/*
 * Of packets to the gateway itself, those by UDP to one of the ports (RFC 3948 section 2): ESP is moved to
 * *esp, the UDP header taken out, PKT_ENCAP set, and source_port kept; its length is what UDP says. IKE (a
 * zero SPI), and what is by no such port, is kept. Checksums are not looked at. Drops: in_keepalive; in_udp
 * where the lengths don't fit.
 */
void natt_in(struct burst *burst, const struct natt_ports *ports, struct burst *esp, struct drops *drops);

/*
 * May this packet be of its SA, in UDP or not, by its source address and port? The SAD asks for packets and
 * SAs in UDP, and for SAs that take packets from anywhere.
 */
enum natt_match { NATT_MATCH, NATT_OTHER_ENCAP, NATT_OTHER_ENDPOINT };
enum natt_match natt_match_one(struct rte_mbuf *m);

/*
 * n packets of one inbound SA, whose ICVs have verified, with what the replay window said of them, their
 * outer headers still in front: the newest tells where the peer is. No old one does, and no replay.
 */
void natt_follow(
	const struct sa *sa, struct rte_mbuf *const *pkts, const enum replay_verdict *accepted, uint16_t n);

/*
 * A whole packet that came out of an SA in transport mode, parsed. Where that, or the last SA of its bundle,
 * is in UDP, the sender may have summed with other addresses than those that a NAT left: the checksums of
 * TCP, UDP and ICMPv6 are made anew (RFC 3948 section 3.1.2), since the ICV has proven what they covered.
 */
void natt_mend_one(struct rte_mbuf *m);

/*
 * ESP packets that are ready to leave: those with PKT_ENCAP get their UDP header, for which esp_out has left
 * room. Those whose peer is no more where their route was looked up for are moved to *moved.
 */
void natt_out(struct burst *burst, struct burst *moved, struct drops *drops);

/*
 * The same for one keepalive, the byte 0xff (RFC 3948 section 2.3) of an outbound SA: writes IP, UDP and the
 * byte to an empty mbuf and describes it in struct pkt. False if there is no room. Control.
 */
bool natt_keepalive_write(struct rte_mbuf *m, const struct sa *sa);

#endif
