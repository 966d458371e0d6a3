/*
 * The narrow entries of an SPD: a table of pairs of prefixes, a source and a destination, as an IKE daemon
 * makes them, one for each tunnel. It is a tuple-space search: entries whose two prefix lengths are the same
 * form a tuple, which is one hash table, and a look-up asks each tuple for the packet's addresses cut to its
 * lengths. ipsec/spd.c makes it beside rte_acl, for which it leaves what does not fit.
 *
 * Immutable: made and destroyed by the control thread, read by workers.
 * Limits: SPD_PAIRS_TUPLES_MAX pairs of lengths, those that most entries have, with SPD_PAIRS_RULES_MIN
 * entries at least, unless nothing is left for rte_acl so; SPD_PAIRS_SAME_MAX entries of the same prefixes,
 * told apart by protocol and ports.
 */
#ifndef CULVERT_IPSEC_SPD_PAIRS_H
#define CULVERT_IPSEC_SPD_PAIRS_H

#include "ipsec/spd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define SPD_PAIRS_TUPLES_MAX 8
#define SPD_PAIRS_SAME_MAX   8
/* A smaller tuple costs more than it spares rte_acl; docs/decisions/0003-narrow-policies.md has the figures.
 */
#define SPD_PAIRS_RULES_MIN 1024
/* So many tuples of any size cost less than rte_acl, if they spare it altogether. */
#define SPD_PAIRS_ALONE_MAX 2
#define SPD_PAIRS_NONE      UINT32_MAX

struct spd_pairs;

/*
 * Make a table of those rules that fit, and set held[i] for each of them; the selectors are not kept.
 * Control thread. Returns 0 or -ENOMEM.
 */
int spd_pairs_create(
	const struct spd_rule *rules, size_t n_rules, int socket, bool *held, struct spd_pairs **pairs);
void spd_pairs_destroy(struct spd_pairs *pairs);

/*
 * Lower found[i] to the index of the first rule held here that packet i matches, if that is lower. n is 1 to
 * BURST_MAX, packets as for spd_find.
 */
void spd_pairs_find(const struct spd_pairs *pairs, struct rte_mbuf *const *pkts, uint16_t n, uint32_t *found);

#endif
