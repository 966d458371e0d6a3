/*
 * The security policy database of one direction (RFC 4301 section 4.4.1): an ordered list of selectors. The
 * first match wins, and what matches none is discarded. Narrow entries, where there are many, are in a table
 * of pairs of prefixes (ipsec/spd_pairs.h), the others in rte_acl.
 *
 * Immutable: made and destroyed by the control thread as part of a snapshot, read by workers. It borrows SAs.
 * The definition of a match is selector_match; the two give the same answer for every packet.
 * Limits, of rte_acl: an address range that is no prefix counts as up to 62 (IPv4) or 254 (IPv6) prefixes,
 * and there is room for 38 million pairs of a source and a destination prefix (IPv4), or 20 million (IPv6).
 * Hundreds of policies that overlap at random take seconds and more to build, and a hundred thousand take
 * gigabytes.
 */
#ifndef CULVERT_IPSEC_SPD_H
#define CULVERT_IPSEC_SPD_H

#include "base/err.h"
#include "ipsec/alternatives.h"
#include "ipsec/sa.h"
#include "model/policy.h"
#include "net/burst.h"

#include <stdbool.h>
#include <stddef.h>

struct spd;

/* One entry, in the order of the list. */
struct spd_rule {
	const struct selector *selector; /* borrowed during spd_create */
	enum policy_action action;
	struct sa *sa; /* for POLICY_PROTECT; NULL: there is none */
	bool icmp_errors;
};

/* The entry that a packet matched. */
struct spd_entry {
	struct sa *sa;
	uint32_t index; /* of the rule in the list */
	uint8_t action; /* enum policy_action */
	bool icmp_errors;
};

/*
 * Returns 0; -ENOMEM, or -E2BIG, with err set. `name` is unique among the SPDs of the process (else -EEXIST,
 * if both use rte_acl), at most 20 characters. Building takes some 6 kB for each rule of rte_acl for a while,
 * outside of DPDK's memory.
 */
int spd_create(const char *name, const struct spd_rule *rules, size_t n_rules, int socket, struct spd **spd,
	struct err *err);
/* No worker may be looking up any more. */
void spd_destroy(struct spd *spd);

/*
 * Does any rule look at ports, or at ICMP's type and code? Where none does, fragments match as whole packets
 * do (RFC 4301 section 7.1).
 */
bool spd_reads_ports(const struct spd *spd);
/*
 * Is any rule for packets whose ports or protocol can't be seen? Then fragments are to be shown to it as they
 * come (section 7.2).
 */
bool spd_reads_opaque(const struct spd *spd);

/*
 * The entry of each of n packets (1 to BURST_MAX) that parse has seen, NULL where none matches. For a packet
 * with an IPv4 or IPv6 header alone.
 */
void spd_find(
	const struct spd *spd, struct rte_mbuf *const *pkts, uint16_t n, const struct spd_entry **entries);

/* Does the rule of that index, which a packet matched, take ICMP errors about its packets? */
bool spd_takes_icmp_errors(const struct spd *spd, uint32_t index);

/* The SA of the rule of that index. */
struct sa *spd_sa(const struct spd *spd, uint32_t index);

/* pkt->action where no policy matches; policy_sa and policy are zero then. */
#define SPD_NO_POLICY UINT8_MAX

/*
 * The stages below do what policy_sa and action in struct pkt say, which are spd_find's answer of the SPD of
 * their direction (datapath/flows.h).
 */

/*
 * Outbound: keep BYPASS, move PROTECT to *protect with the policy's SA in struct pkt, or to *no_sa where it
 * has none, and ICMP errors that no policy matches to *errors, where their quotes are judged. Drops:
 * out_no_policy, out_policy_block.
 */
void spd_out(struct burst *burst, struct burst *protect, struct burst *no_sa, struct burst *errors,
	struct drops *drops);

/*
 * Inbound, for packets that arrived in clear: keep BYPASS. Drops: in_tmpl_mismatch where a policy demands
 * protection (RFC 4301 section 5.2 step 3c), in_policy_block, in_no_policy.
 */
void spd_in_clear(struct burst *burst, struct drops *drops);

/*
 * Inbound, for packets in clear to the gateway's own addresses: like spd_in_clear, but where no policy
 * matches, the packet is kept: the gateway's own services are the local stack's to answer or refuse.
 */
void spd_in_host(struct burst *burst, struct drops *drops);

/*
 * Inbound, for packets out of the SA in struct pkt: keep those that this SA may carry, which are those whose
 * first matching policy is PROTECT by this very SA or has it among its alternatives (RFC 4301 section 5.2
 * step 4; the search in order makes the overlapping selectors of other policies count as the decorrelated SPD
 * of section 4.4.1 would). Move ICMP errors that it may not to *errors, where their quotes are judged
 * (section 6.2), unless a policy says discard. Drops: in_selector, counted for the SA too.
 */
void spd_in_selector(struct burst *burst, const struct alternatives *alternatives, struct burst *errors,
	const struct sa_tally *tally);

/* The same for one packet, with what flows_find found of it: may it come out of that SA? */
bool spd_sa_may_carry(const struct pkt *found, const struct sa *sa, const struct alternatives *alternatives);

#endif
