/*
 * IPComp: packets made shorter by DEFLATE before they are encrypted (RFC 3173, RFC 2394).
 *
 * Each worker has one context and alone touches it; control makes and destroys it. zlib gets all its memory
 * when the context is made. What does not get shorter goes without IPComp's header, so a receiver takes both
 * (RFC 3173 section 2.2): in transport mode the packet is left as it is, in tunnel mode it gets the tunnel's
 * header alone. Limits: fragments, and what has less than IPCOMP_TRIED_BYTES_MIN bytes, are not compressed;
 * no packet is longer than 65535 bytes once decompressed; compression makes no packet fit a link (sa.h:
 * sa_inner_mtu).
 */
#ifndef CULVERT_IPSEC_IPCOMP_H
#define CULVERT_IPSEC_IPCOMP_H

#include "base/err.h"
#include "ipsec/sad.h"
#include "net/burst.h"

/* Below this nothing is won (RFC 3173 section 2.2 leaves it to us; Linux has the same). */
#define IPCOMP_TRIED_BYTES_MIN 90
/* What stays free behind a decompressed packet, for a tunnel's padding, trailer and ICV. */
#define IPCOMP_TAILROOM_BYTES 128

struct rte_mempool;
struct ipcomp;

struct ipcomp_conf {
	struct rte_mempool *large; /* of buffers for what does not fit the usual ones; NULL: it is dropped */
	int socket;
};

/* Returns 0, or -ENOMEM with err set. Control thread. */
int ipcomp_create(const struct ipcomp_conf *conf, struct ipcomp **ipcomp, struct err *err);
/* Wipes what is left of packets. NULL is fine. */
void ipcomp_destroy(struct ipcomp *ipcomp);

/*
 * Outbound packets whose SA is IPComp: compress those that get shorter by it. All are packets for the SA
 * around theirs then. burst->seen is set. Drops: out_buf, out_expired.
 */
void ipcomp_out(struct ipcomp *ipcomp, struct burst *burst, const struct sa_tally *tally);

/*
 * Inbound packets out of any SA: decompress what is IPComp inside the SA around it, and take the tunnel's
 * header off what an IPComp SA in tunnel mode could not compress. Both came out of that SA then. The order of
 * the packets stays. burst->seen is of the packets that are kept. Drops: those of sad_lookup; in_bundle where
 * the IPComp SA has another one around it; in_ipcomp; in_buf without a buffer that is long enough; in_ecn;
 * in_expired.
 */
void ipcomp_in(
	struct ipcomp *ipcomp, struct burst *burst, const struct sad *sad, const struct sa_tally *tally);

#endif
