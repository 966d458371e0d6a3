/*
 * Dummy packets (RFC 4303 section 2.6): what an outbound SA sends beside its traffic, so that nobody sees how
 * much that is. They are of random lengths, up to the longest that the tunnel carries, and of random
 * distances, `dummy_rate` a second on average; the receiver drops them.
 *
 * Each SA's are made by one worker, between its bursts. Control lists the SAs in a snapshot.
 * Limits: lengths and distances are drawn from DPDK's generator, which is no cryptographic one. A worker
 * looks at DUMMY_LOOKS SAs in a loop, and so sends fewer where there are very many.
 */
#ifndef CULVERT_IPSEC_DUMMY_H
#define CULVERT_IPSEC_DUMMY_H

#include "ipsec/sa.h"
#include "net/burst.h"

#include <stddef.h>
#include <stdint.h>

struct rte_mempool;

#define DUMMY_LOOKS     16
#define DUMMY_BYTES_MIN 40 /* as if there were an IP header of either family */

/* SAs with dummies; immutable. It borrows them. */
struct dummy_list {
	struct sa **sas;
	size_t n;
};

/* A worker's part in it. */
struct dummy_maker {
	struct rte_mempool *packets;
	size_t next; /* place in the list that is looked at next */
};

/*
 * Add to the empty burst the dummies that are due: each is an inner packet of its SA, to be encapsulated by
 * esp_out_prepare. The worker's are those whose place in the list is `worker` modulo n_workers.
 */
void dummy_make(struct dummy_maker *maker, const struct dummy_list *list, unsigned worker, unsigned n_workers,
	uint64_t now_tsc, struct burst *burst);

/* Between esp_out_prepare and crypto_run: say in each trailer that it is a dummy. */
void dummy_mark(struct burst *burst);

#endif
