/*
 * The alternatives of policies: further SAs for the packets of a policy, in one direction of the SPD.
 *
 * Outbound, an alternative is for packets of some DSCPs (RFC 4301 section 4.1), of some workers (RFC 9611),
 * of the flows of a peer (RFC 3948 section 5), or for all once the other end was seen to use its SA (RFC 7296
 * section 2.8). The first that is for a packet protects it; where none is, the policy's own SA does, if it
 * has one. Inbound, a packet may come out of the policy's own SA or of any alternative.
 *
 * Made and destroyed by the control thread as part of a snapshot, which has none where no policy has one, so
 * that then nothing is paid; read by workers. It borrows the SAs. Policies are known by their index in the
 * SPD's list. Limits: a packet out of the n-th alternative of a policy costs n comparisons.
 */
#ifndef CULVERT_IPSEC_ALTERNATIVES_H
#define CULVERT_IPSEC_ALTERNATIVES_H

#include "base/err.h"
#include "ipsec/replies.h"
#include "ipsec/sa.h"
#include "net/burst.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All bits. */
#define ALTERNATIVE_ANY UINT64_MAX

/* A packet that it is for is so in each respect. Inbound, only `sa` counts. */
struct alternative {
	struct sa *sa;
	uint64_t dscps;         /* the bit of each, or ALTERNATIVE_ANY */
	uint64_t workers;       /* the bit of each index, or ALTERNATIVE_ANY */
	const struct sa *after; /* inbound, has accepted a packet; NULL: at once */
	uint64_t peer;          /* whose flows they answer (ipsec/replies.h); ALTERNATIVE_ANY */
	/* The way to the SA's other end, as in struct pkt. */
	uint32_t next_hop;
	uint8_t port_out;
};

struct alternatives;

/* Room for so many policies and alternatives. Returns 0, or -ENOMEM with err set. */
int alternatives_create(size_t n_policies, size_t n_alternatives, int socket,
	struct alternatives **alternatives, struct err *err);
/* No worker may read it. NULL is fine. */
void alternatives_destroy(struct alternatives *alternatives);

/* The next alternative of that policy; those of a policy follow one another. */
void alternatives_add(
	struct alternatives *alternatives, uint32_t policy, const struct alternative *alternative);

/*
 * The first alternative of the policy that is for every packet of that worker, always, or NULL, which
 * leaves the policy's own. Also where there are no alternatives at all (NULL), as in the next two.
 */
struct sa *alternatives_worker_sa(const struct alternatives *alternatives, uint32_t policy, unsigned worker);

/* Does any alternative depend on more than the flow and the worker, so that alternatives_choose is needed? */
bool alternatives_read_packets(const struct alternatives *alternatives);

/* Does any ask for the peer of a flow, so that alternatives_choose needs `replies`? */
bool alternatives_read_peers(const struct alternatives *alternatives);

/*
 * Outbound, for packets that policies protect, with what flows_find found: the SA in struct pkt, and the next
 * hop, become those of the first alternative that is for the packet. All packets are kept. `replies` may be
 * NULL where none asks for a peer.
 */
void alternatives_choose(struct burst *burst, struct alternatives *alternatives,
	const struct replies *replies, const struct sa_tally *tally);

/* Does any of that policy? */
bool alternatives_ask_peer(const struct alternatives *alternatives, uint32_t policy);

/* Has the policy any? */
bool alternatives_any(const struct alternatives *alternatives, uint32_t policy);

/*
 * The same as alternatives_choose for packets whose policy has no SA of its own: those that an alternative is
 * for are moved to *protect; those whose policy has no alternatives are kept. Drops: out_no_alternative.
 */
void alternatives_choose_only(struct burst *burst, struct alternatives *alternatives,
	const struct replies *replies, struct burst *protect, const struct sa_tally *tally);

/* Outbound: the first alternative of the policy that is for flows of that peer, or NULL. */
const struct sa *alternatives_peer_sa(
	const struct alternatives *alternatives, uint32_t policy, uint64_t peer);

/* Inbound: may a packet of that policy come out of the SA? */
bool alternatives_have(const struct alternatives *alternatives, uint32_t policy, const struct sa *sa);

#endif
