#include "ipsec/spd_pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <rte_random.h>

#include "base/words.h"
#include "ipsec/spd_seen.h"

/* A key is the source and the destination as the header has them, one behind the other, in words. */
#define WORDS_V4     1
#define WORDS_V6     4
#define WORDS_MAX    WORDS_V6
#define LENGTHS      (128 + 1) /* of a prefix */
#define SLOTS_A_RULE 2

__extension__ typedef unsigned __int128 uint128;

/* A rule in its tuple's table. Followed by empty slots, or by others whose keys have the same place. */
struct slot {
	uint32_t number; /* the rule's index and 1; 0: the slot is empty */
	uint8_t protocol;
	uint8_t protocol_mask; /* 0: any */
	struct seen seen;
	struct port_range source_ports;
	struct port_range destination_ports;
	uint64_t key[]; /* cut to the tuple's lengths */
};

/* A pair of prefix lengths, and how many rules have it. */
struct lengths {
	uint8_t family;
	uint8_t source_bits;
	uint8_t destination_bits;
	uint32_t n_rules;
};

/* The rules of one pair of lengths. */
struct tuple {
	struct lengths lengths;
	uint32_t n_rules;
	uint32_t first_rule; /* the least index of them */
	uint32_t slots_mask; /* their number less 1, which is a power of two */
	uint64_t key_mask[WORDS_MAX];
	uint8_t *slots;
};

struct spd_pairs {
	uint64_t seeds[WORDS_MAX]; /* of the hash */
	unsigned n_tuples;
	struct tuple tuples[SPD_PAIRS_TUPLES_MAX]; /* by their first rule */
};

static unsigned family_words(uint8_t family)
{
	return family == IP_V4 ? WORDS_V4 : WORDS_V6;
}

/* A slot is 32 bytes or 64, so that none lies in two cache lines. */
static inline size_t slot_bytes(unsigned n_words)
{
	return n_words == WORDS_V4 ? 32 : 64;
}

_Static_assert(sizeof(struct slot) + WORDS_V4 * sizeof(uint64_t) <= 32, "a slot of IPv4");
_Static_assert(sizeof(struct slot) + WORDS_V6 * sizeof(uint64_t) <= 64, "a slot of IPv6");

static inline struct slot *slot_at(const struct tuple *tuple, uint32_t index, unsigned n_words)
{
	return (struct slot *)(void *)(tuple->slots + index * slot_bytes(n_words));
}

/*
 * Both halves of products of two words each, so that each bit of a key has a say in each bit of the sum.
 * Outsiders choose what is looked up, and peers what is narrowed down to; they don't know the seeds.
 */
static inline uint32_t key_hash(const uint64_t *seeds, const uint64_t *key, unsigned n_words)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < n_words; i += 2) {
		uint64_t second = i + 1 < n_words ? key[i + 1] : 0;
		uint128 product = (uint128)(key[i] ^ seeds[i]) * (second ^ seeds[i + 1]);

		hash ^= (uint64_t)product ^ (uint64_t)(product >> 64);
	}
	return (uint32_t)hash;
}

/* False if the selector is not one pair of prefixes of one family. */
static bool lengths_of(const struct selector *selector, struct lengths *lengths)
{
	const struct ip_range *source = selector->sources, *destination = selector->destinations;
	int source_bits, destination_bits;

	if (selector->n_sources != 1 || selector->n_destinations != 1 ||
		source->first.family != destination->first.family)
		return false;
	source_bits = ip_range_prefix_length(source);
	destination_bits = ip_range_prefix_length(destination);
	if (source_bits < 0 || destination_bits < 0)
		return false;
	*lengths = (struct lengths){
		.family = source->first.family,
		.source_bits = (uint8_t)source_bits,
		.destination_bits = (uint8_t)destination_bits,
	};
	return true;
}

static bool lengths_equal(const struct lengths *a, const struct lengths *b)
{
	return a->family == b->family && a->source_bits == b->source_bits &&
	       a->destination_bits == b->destination_bits;
}

/* How many rules there are of each pair of lengths, and of none. */
struct census {
	struct lengths pairs[2 * LENGTHS * LENGTHS]; /* of both families */
	size_t n_pairs;                              /* those that some rule has */
	size_t n_others;
};

static struct lengths *census_at(struct census *census, const struct lengths *lengths)
{
	size_t family = lengths->family == IP_V6;

	return &census->pairs[(family * LENGTHS + lengths->source_bits) * LENGTHS +
			      lengths->destination_bits];
}

static void census_take(struct census *census, const struct spd_rule *rules, size_t n_rules)
{
	for (size_t i = 0; i < n_rules; i++) {
		struct lengths lengths, *at;

		if (!lengths_of(rules[i].selector, &lengths)) {
			census->n_others++;
			continue;
		}
		at = census_at(census, &lengths);
		lengths.n_rules = at->n_rules + 1;
		census->n_pairs += at->n_rules == 0;
		*at = lengths;
	}
}

static struct lengths *census_most(struct census *census)
{
	struct lengths *most = &census->pairs[0];

	for (size_t i = 1; i < RTE_DIM(census->pairs); i++)
		if (census->pairs[i].n_rules > most->n_rules)
			most = &census->pairs[i];
	return most;
}

/*
 * Each tuple costs a look-up of its own, which it is worth if it spares rte_acl many rules, or all. Returns
 * how many pairs of lengths are chosen, those with most rules.
 */
static unsigned census_choose(struct census *census, struct lengths chosen[SPD_PAIRS_TUPLES_MAX])
{
	bool alone = census->n_others == 0 && census->n_pairs <= SPD_PAIRS_ALONE_MAX;
	uint32_t least = alone ? 1 : SPD_PAIRS_RULES_MIN;
	unsigned n = 0;

	for (; n < SPD_PAIRS_TUPLES_MAX; n++) {
		struct lengths *most = census_most(census);

		if (most->n_rules < least)
			break;
		chosen[n] = *most;
		most->n_rules = 0;
	}
	return n;
}

static void bits_set(uint8_t *bytes, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static int tuple_init(struct tuple *tuple, const struct lengths *lengths, int socket)
{
	uint8_t *mask = (uint8_t *)tuple->key_mask;
	size_t n_slots = rte_align64pow2(SLOTS_A_RULE * (uint64_t)lengths->n_rules);

	*tuple = (struct tuple){.lengths = *lengths, .slots_mask = (uint32_t)n_slots - 1};
	bits_set(mask, lengths->source_bits);
	bits_set(mask + ip_family_bytes(lengths->family), lengths->destination_bits);
	tuple->slots = rte_zmalloc_socket("spd_pairs", n_slots * slot_bytes(family_words(lengths->family)),
		RTE_CACHE_LINE_SIZE, socket);
	return tuple->slots ? 0 : -ENOMEM;
}

static struct tuple *tuple_of(struct spd_pairs *pairs, const struct selector *selector)
{
	struct lengths lengths;

	if (!lengths_of(selector, &lengths))
		return NULL;
	for (unsigned i = 0; i < pairs->n_tuples; i++)
		if (lengths_equal(&lengths, &pairs->tuples[i].lengths))
			return &pairs->tuples[i];
	return NULL;
}

static void slot_init(struct slot *slot, const struct selector *selector, uint32_t number)
{
	slot->number = number;
	slot->source_ports = selector->source_ports;
	slot->destination_ports = selector->destination_ports;
	slot->seen = seen_wanted(selector);
	if (selector->protocol >= 0) {
		slot->protocol = (uint8_t)selector->protocol;
		slot->protocol_mask = UINT8_MAX;
	}
}

/*
 * Rules come in their order, so that of those with one key the first is the first that a search meets. False
 * if there are too many of them.
 */
static bool tuple_add(
	struct tuple *tuple, const uint64_t *seeds, const struct selector *selector, uint32_t number)
{
	size_t bytes = ip_family_bytes(tuple->lengths.family);
	unsigned n_words = family_words(tuple->lengths.family), n_same = 0;
	uint64_t key[WORDS_MAX];
	struct slot *slot;

	memcpy(key, selector->sources[0].first.bytes, bytes);
	memcpy((uint8_t *)key + bytes, selector->destinations[0].first.bytes, bytes);
	for (uint32_t at = key_hash(seeds, key, n_words);; at++) {
		slot = slot_at(tuple, at & tuple->slots_mask, n_words);
		if (slot->number == 0)
			break;
		n_same += words_equal(slot->key, key, n_words);
	}
	if (n_same == SPD_PAIRS_SAME_MAX)
		return false;
	slot_init(slot, selector, number);
	memcpy(slot->key, key, n_words * sizeof(key[0]));
	if (tuple->n_rules++ == 0)
		tuple->first_rule = number - 1;
	return true;
}

static int compare_first_rules(const void *a, const void *b)
{
	const struct tuple *x = a, *y = b;

	return (x->first_rule > y->first_rule) - (x->first_rule < y->first_rule);
}

static int tuples_init(struct spd_pairs *pairs, const struct spd_rule *rules, size_t n_rules, int socket)
{
	struct census *census = calloc(1, sizeof(*census));
	struct lengths chosen[SPD_PAIRS_TUPLES_MAX];
	unsigned n_chosen = 0;
	int ret = census ? 0 : -ENOMEM;

	if (census) {
		census_take(census, rules, n_rules);
		n_chosen = census_choose(census, chosen);
	}
	free(census);
	for (unsigned i = 0; i < n_chosen && ret == 0; i++)
		ret = tuple_init(&pairs->tuples[pairs->n_tuples++], &chosen[i], socket);
	return ret;
}

static void tuples_fill(struct spd_pairs *pairs, const struct spd_rule *rules, size_t n_rules, bool *held)
{
	for (size_t i = 0; i < n_rules; i++) {
		struct tuple *tuple = tuple_of(pairs, rules[i].selector);

		held[i] = tuple && tuple_add(tuple, pairs->seeds, rules[i].selector, (uint32_t)i + 1);
	}
	qsort(pairs->tuples, pairs->n_tuples, sizeof(pairs->tuples[0]), compare_first_rules);
}

int spd_pairs_create(
	const struct spd_rule *rules, size_t n_rules, int socket, bool *held, struct spd_pairs **out)
{
	struct spd_pairs *pairs =
		rte_zmalloc_socket("spd_pairs", sizeof(*pairs), RTE_CACHE_LINE_SIZE, socket);
	int ret = pairs ? tuples_init(pairs, rules, n_rules, socket) : -ENOMEM;

	if (ret != 0) {
		spd_pairs_destroy(pairs);
		return ret;
	}
	for (unsigned i = 0; i < RTE_DIM(pairs->seeds); i++)
		pairs->seeds[i] = rte_rand();
	tuples_fill(pairs, rules, n_rules, held);
	*out = pairs;
	return 0;
}

void spd_pairs_destroy(struct spd_pairs *pairs)
{
	if (!pairs)
		return;
	for (unsigned i = 0; i < pairs->n_tuples; i++)
		rte_free(pairs->tuples[i].slots);
	rte_free(pairs);
}

static inline bool ports_match_one(const struct slot *slot, const struct pkt *p)
{
	return slot->source_ports.first <= p->source_port && p->source_port <= slot->source_ports.last &&
	       slot->destination_ports.first <= p->destination_port &&
	       p->destination_port <= slot->destination_ports.last;
}

static inline bool slot_matches_one(const struct slot *slot, const struct pkt *p)
{
	return (p->protocol & slot->protocol_mask) == slot->protocol &&
	       (seen_one(p) & slot->seen.mask) == slot->seen.bits &&
	       (!(slot->seen.bits & SEEN_PORTS) || ports_match_one(slot, p));
}

/* The tuple's first rule that the packet matches. At least half of the slots are empty, so the search ends.
 */
static inline uint32_t tuple_find_one(
	const struct tuple *tuple, uint32_t at, const uint64_t *key, const struct pkt *p, unsigned n_words)
{
	for (;; at++) {
		const struct slot *slot = slot_at(tuple, at & tuple->slots_mask, n_words);

		if (slot->number == 0)
			return SPD_PAIRS_NONE;
		if (words_equal(slot->key, key, n_words) && slot_matches_one(slot, p))
			return slot->number - 1;
	}
}

/* Where the packet's search begins; fetches it. */
static inline uint32_t tuple_prefetch_one(
	const struct tuple *tuple, const uint64_t *seeds, struct rte_mbuf *m, uint64_t *key, unsigned n_words)
{
	uint32_t at;

	memcpy(key, pkt_source(m), n_words * sizeof(key[0]));
	for (unsigned i = 0; i < n_words; i++)
		key[i] &= tuple->key_mask[i];
	at = key_hash(seeds, key, n_words);
	rte_prefetch0(slot_at(tuple, at & tuple->slots_mask, n_words));
	return at;
}

/* Of all packets of the tuple's family that a rule of it could still be the first for. */
static inline void tuple_find(const struct tuple *tuple, const uint64_t *seeds, struct rte_mbuf *const *pkts,
	uint16_t n, uint32_t *found, unsigned n_words)
{
	uint64_t keys[BURST_MAX * WORDS_MAX];
	uint32_t homes[BURST_MAX];
	uint16_t indexes[BURST_MAX];
	uint16_t n_keys = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (pkt_of(pkts[i])->family != tuple->lengths.family || found[i] < tuple->first_rule)
			continue;
		homes[n_keys] = tuple_prefetch_one(tuple, seeds, pkts[i], &keys[n_keys * n_words], n_words);
		indexes[n_keys++] = i;
	}
	for (uint16_t i = 0; i < n_keys; i++) {
		uint32_t *best = &found[indexes[i]];
		uint32_t rule = tuple_find_one(
			tuple, homes[i], &keys[i * n_words], pkt_of(pkts[indexes[i]]), n_words);

		*best = RTE_MIN(*best, rule);
	}
}

void spd_pairs_find(const struct spd_pairs *pairs, struct rte_mbuf *const *pkts, uint16_t n, uint32_t *found)
{
	for (unsigned i = 0; i < pairs->n_tuples; i++) {
		const struct tuple *tuple = &pairs->tuples[i];

		/* The compiler unrolls each. */
		if (tuple->lengths.family == IP_V4)
			tuple_find(tuple, pairs->seeds, pkts, n, found, WORDS_V4);
		else
			tuple_find(tuple, pairs->seeds, pkts, n, found, WORDS_V6);
	}
}
