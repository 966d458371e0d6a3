/*
 * Reassembly: packets made whole from their fragments, IPv4 (RFC 791 section 3.2) and IPv6 (RFC 8200
 * section 4.5).
 *
 * Each worker has one and alone touches it; control makes and destroys it. All fragments of a packet must
 * come to one worker: RSS hashes a fragment by its addresses alone, so they do. What waits is bounded: by
 * conf.pkts_max, and for the sources that share a hash bucket by a quarter of that (or two long packets).
 * Above either, the oldest packet's fragments are dropped, not the new ones: those of a packet come one
 * behind the other, so that under a flood of fragments that are never completed the others still find each
 * other, and packets that are no fragments don't come here at all. Limits: REASS_FRAGMENTS_MAX of one packet;
 * they come in by one port, or out of one SA. A whole packet has no more than 65535 bytes, headers included,
 * for IPv6 the fragment header too. One that does not fit the first fragment's buffer takes one of
 * conf.large; without that pool it is dropped.
 */
#ifndef CULVERT_FWD_REASS_H
#define CULVERT_FWD_REASS_H

#include "base/err.h"
#include "fwd/local.h"
#include "net/burst.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stdint.h>

#define REASS_FRAGMENTS_MAX 128
/* Fragments that wait in a worker: at least those of one packet. */
#define REASS_PKTS_MIN REASS_FRAGMENTS_MAX
#define REASS_PKTS_MAX 2048
/* RFC 1122 section 3.3.2 asks for 60 to 120 s, Linux waits 30 s; RFC 8200 section 4.5. */
#define REASS_IPV4_SECONDS 30
#define REASS_IPV6_SECONDS 60
/* What stays free behind a whole packet, for a tunnel's padding, trailer and ICV. */
#define REASS_TAILROOM_BYTES 128

struct rte_mempool;
struct reass;
struct sa;

struct reass_conf {
	uint32_t pkts_max;         /* fragments that wait */
	struct rte_mempool *large; /* of buffers for what does not fit the usual ones; NULL: it is dropped */
	int socket;
};

/* The worker writes, any thread reads. */
struct reass_counters {
	uint64_t held;   /* fragments that wait now */
	uint64_t merged; /* fragments that ended in a whole packet: all of it but one */
};

/* Returns 0, or -ENOMEM with err set. Control thread. */
int reass_create(const struct reass_conf *conf, struct reass **reass, struct err *err);
/* Nothing is held (reass_drop_all). NULL is fine. */
void reass_destroy(struct reass *reass);

/*
 * Hold the fragments of the burst until their packet is whole, and keep it in the place of the last one,
 * parsed anew, with fragment_bytes and fragment_id set in struct pkt. With `only`, fragments to other
 * addresses are kept as they are; packets that are no fragments always. burst->seen is as parse_burst or
 * esp_in_finish left it. Exact duplicates of IPv4 fragments are tolerated; after any other overlap nothing of
 * the packet comes through (RFC 5722, and as wise for IPv4, RFC 1858).
 * Drops, of fragments that came before too: frag_bad, frag_overlap, frag_duplicate, frag_full, frag_timeout.
 */
void reass_burst(struct reass *reass, struct burst *burst, const struct local_addrs *only, uint64_t now_tsc,
	struct drops *drops);

/* Drop what has waited for too long: frag_timeout. Cheap where nothing has; call it once a loop. */
void reass_expire(struct reass *reass, uint64_t now_tsc, struct drops *drops);
/* Drop all that waits. */
void reass_drop_all(struct reass *reass, enum drop_reason reason, struct drops *drops);
/* Drop what waits of packets that came out of SAs of which `is_gone` is true, and forget those SAs. */
void reass_drop_sas(struct reass *reass, bool (*is_gone)(const struct sa *sa), enum drop_reason reason,
	struct drops *drops);

const struct reass_counters *reass_counters(const struct reass *reass);
/* Fragments that may wait. */
uint32_t reass_capacity(const struct reass *reass);

#endif
