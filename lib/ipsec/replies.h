/*
 * Whose flow a packet answers: by which peer each flow came in last.
 *
 * Peers whose inner addresses are the same (RFC 3948 section 5) can't be told apart by the packets to them,
 * so workers note here what came out of the inbound SAs of a named peer (SA_OF_PEER), once it was authentic
 * and within its selectors, and alternatives.h asks for what goes out. A peer is a number that control gives
 * to the name, and never again (control/peers.h): what is here points to nothing, and may outlive its SAs.
 * Any worker notes and asks, at any time; nobody waits for anybody. Control makes and destroys it.
 * Limits: a flow is one peer's, the last that sent a packet of it; fragments have no flow, nor have answers
 * from other ports, such as FTP's. A flow has few places, and where these are full the one that was silent
 * for longest goes.
 */
#ifndef CULVERT_IPSEC_REPLIES_H
#define CULVERT_IPSEC_REPLIES_H

#include "base/err.h"
#include "ipsec/sa.h"
#include "net/burst.h"

#include <stdint.h>

/* Flows that are remembered at most; a power of two. They take 64 bytes each. */
#define REPLIES_ENTRIES 65536
/*
 * A flow by which nothing came in for so long is forgotten: what a NAT grants a connection of TCP at least
 * (RFC 5382 section 5, 2 hours and 4 minutes).
 */
#define REPLIES_AGE_S 7440

#define REPLIES_PEER_NONE 0

struct replies;

/* Sums over all workers. */
struct replies_counters {
	uint64_t used;       /* entries that hold a flow, or one that is too old */
	uint64_t moved;      /* flows that came by another peer than before */
	uint64_t pushed_out; /* flows that went for another, although they were not too old */
	uint64_t skipped;    /* not noted, since another worker wrote in the same place */
};

/* Returns 0, or -ENOMEM with err set. */
int replies_create(unsigned n_workers, int socket, struct replies **replies, struct err *err);
/* No worker may use it. NULL is fine. */
void replies_destroy(struct replies *replies);

/*
 * Inbound, for packets that the SA in struct pkt may carry: note their flows as its peer's, where it has one.
 * All packets are kept.
 */
void replies_note(struct burst *burst, struct replies *replies, const struct sa_tally *tally);

/*
 * Outbound: the peer whose flow the packet answers, an ICMP error that of the packet that it quotes;
 * REPLIES_PEER_NONE if none does.
 */
uint64_t replies_find_one(const struct replies *replies, struct rte_mbuf *m, uint64_t now_tsc);

/* Any thread. */
void replies_count(const struct replies *replies, struct replies_counters *sum);

#endif
