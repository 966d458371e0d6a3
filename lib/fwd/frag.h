/*
 * Fragmentation: packets cut so that they go through a link or a tunnel (RFC 791 section 3.2, RFC 8200
 * section 4.5).
 *
 * Workers only; each has a struct frag. Which packets may be cut, net/oversize.h says. A fragment is a buffer
 * of its own with a copy of its part, since crypto works in place, and is kept apart from the others by
 * nothing but its IP header: struct pkt is the packet's but for lengths, ports and PKT_FRAGMENT.
 */
#ifndef CULVERT_FWD_FRAG_H
#define CULVERT_FWD_FRAG_H

#include "net/burst.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;

struct frag {
	struct rte_mempool *packets; /* where fragments come from */
	uint32_t next_id;            /* of packets that the gateway made itself; begins at random */
	uint64_t *generated;         /* grows by the fragments less the packets that they were */
};

/* Packets that are being cut. On the caller's stack: `= {.from = &oversize}`. */
struct frag_cut {
	struct burst *from;
	uint16_t done;   /* packets of it */
	uint32_t at;     /* bytes of the next packet's payload that have left */
	uint16_t n_made; /* fragments of it */
	uint32_t id;     /* of all its fragments, where it had none */
};

/*
 * Fill the empty burst *out with fragments of the packets of cut->from, none longer than the packet's
 * icmp_mtu in struct pkt; false when there are no more, and cut->from is empty too. A packet that fits is
 * copied as it is (PKT_LARGE). IPv4 options are copied as their flag says, and a fragment may be cut again.
 * Drops: out_mtu where not even the headers fit, frag_full without buffers (fragments that are out already
 * stay so).
 */
bool frag_fill(struct frag *frag, struct frag_cut *cut, struct burst *out, struct drops *drops);

#endif
