#include "ipsec/replay.h"

#include <stdalign.h>
#include <stdatomic.h>

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include "model/sa_conf.h"

/* A word is a tag in its high half, and in its low half a bit for each number of one group. */
#define GROUP_NUMBERS 32
#define GROUP_SHIFT   5

struct replay {
	/* Read for each packet; never written after replay_create. */
	uint32_t window_pkts;
	uint32_t index_mask;
	uint8_t tag_shift;
	bool esn;
	uint16_t n_users; /* control's */
	/*
	 * Written, but in the same line, since whoever reads the one reads the other. The words have lines of
	 * their own: a packet in order writes one of them, and T.
	 */
	_Atomic uint64_t highest;
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint64_t words[];
};

/* Where a number is recorded. */
struct place {
	uint32_t index;
	uint32_t tag;
	uint32_t bit;
};

static struct place place_of(const struct replay *replay, uint64_t seq)
{
	uint64_t group = seq >> GROUP_SHIFT;

	return (struct place){
		.index = (uint32_t)group & replay->index_mask,
		.tag = (uint32_t)(group >> replay->tag_shift),
		.bit = UINT32_C(1) << (seq % GROUP_NUMBERS),
	};
}

static uint64_t word_make(uint32_t tag, uint32_t bits)
{
	return (uint64_t)tag << 32 | bits;
}

/* How many times the array went round between the word's group and the number's. */
static int32_t word_age(uint64_t word, struct place place)
{
	/*
	 * Without ESN a tag has 26 bits at most. With ESN the difference is right as long as it is less than
	 * 2^31 rounds, which are 2^37 numbers or more. A word falls behind that far only if in all these
	 * rounds none of its numbers arrived. It then refuses numbers that it should take, for as many rounds
	 * again; but it takes none twice, since a number that far behind the word is left of the window.
	 */
	return (int32_t)(place.tag - (uint32_t)(word >> 32));
}

static enum replay_verdict word_verdict(uint64_t word, struct place place)
{
	int32_t age = word_age(word, place);

	/*
	 * The word belongs to a later group, so a number was accepted that is a whole array above this
	 * group's first: with words for W + 32 numbers or more, this number is left of the window.
	 */
	if (age < 0)
		return REPLAY_LATE;
	return age == 0 && (word & place.bit) ? REPLAY_DUPLICATE : REPLAY_OK;
}

/* The word with these bits of the place's group. */
static uint64_t word_with(uint64_t word, struct place place, uint32_t bits)
{
	return word_age(word, place) == 0 ? word | bits : word_make(place.tag, bits);
}

/* The number of words: a power of two, and enough for the window wherever in a group its left edge lies. */
static uint32_t words_needed(uint32_t window_pkts)
{
	return rte_align32pow2((window_pkts + GROUP_NUMBERS + GROUP_NUMBERS - 1) / GROUP_NUMBERS);
}

/* Record all numbers up to `highest` as seen, so that the first word of a group never is another group's. */
static void words_init(struct replay *replay, uint64_t highest)
{
	uint64_t last_group = highest >> GROUP_SHIFT;
	struct place last = place_of(replay, highest);

	for (uint64_t i = 0; i <= replay->index_mask && i <= last_group; i++) {
		struct place place = place_of(replay, (last_group - i) << GROUP_SHIFT);
		uint32_t seen = i == 0 ? last.bit | (last.bit - 1) : UINT32_MAX;

		atomic_init(&replay->words[place.index], word_make(place.tag, seen));
	}
}

struct replay *replay_create(uint32_t window_pkts, bool esn, uint64_t highest, int socket)
{
	uint32_t n_words = words_needed(window_pkts);
	struct replay *replay = rte_zmalloc_socket(
		"replay", sizeof(*replay) + n_words * sizeof(replay->words[0]), RTE_CACHE_LINE_SIZE, socket);

	if (!replay)
		return NULL;
	replay->window_pkts = window_pkts;
	replay->index_mask = n_words - 1;
	replay->tag_shift = (uint8_t)rte_log2_u32(n_words);
	replay->esn = esn;
	replay->n_users = 1;
	atomic_init(&replay->highest, highest);
	words_init(replay, highest);
	return replay;
}

struct replay *replay_get(struct replay *replay)
{
	replay->n_users++;
	return replay;
}

void replay_put(struct replay *replay)
{
	if (replay && --replay->n_users == 0)
		rte_free(replay);
}

uint64_t replay_highest(const struct replay *replay)
{
	return atomic_load_explicit(&replay->highest, memory_order_relaxed);
}

void replay_prefetch(const struct replay *replay)
{
	rte_prefetch0(replay);
}

void replay_prefetch_word(const struct replay *replay, uint64_t seq)
{
	rte_prefetch0(&replay->words[place_of(replay, seq).index]);
}

/*
 * RFC 4303 appendix A2.1 with Tl, Th, Bl, W and Seql as there. Case A is a window within one subspace of 2^32
 * numbers, case B one that began in the subspace before.
 */
uint64_t replay_guess(const struct replay *replay, uint32_t low)
{
	uint64_t highest = replay_highest(replay);
	uint32_t highest_low = (uint32_t)highest;                    /* Tl */
	uint64_t high = highest >> 32;                               /* Th */
	uint32_t bottom_low = highest_low - replay->window_pkts + 1; /* Bl */

	if (!replay->esn)
		return low;
	if (highest_low >= replay->window_pkts - 1)
		high += low < bottom_low;
	else if (high > 0) /* no subspace comes before the first */
		high -= low >= bottom_low;
	return high << 32 | low;
}

/* The highest number that is left of the window, or 0, which is none. */
static inline uint64_t last_late(const struct replay *replay)
{
	uint64_t highest = replay_highest(replay);

	return highest > replay->window_pkts ? highest - replay->window_pkts : 0;
}

enum replay_verdict replay_check(const struct replay *replay, uint64_t seq)
{
	struct place place = place_of(replay, seq);

	if (seq == 0)
		return REPLAY_ZERO;
	if (replay->window_pkts == 0)
		return REPLAY_OK;
	if (seq <= last_late(replay))
		return REPLAY_LATE;
	return word_verdict(atomic_load_explicit(&replay->words[place.index], memory_order_relaxed), place);
}

/*
 * T moves before the number is recorded, so that no word is ever ahead of T. Should another worker have taken
 * the number, or one so much higher that this one is late, T is at least that high anyway.
 */
static void highest_raise(struct replay *replay, uint64_t seq)
{
	uint64_t highest = replay_highest(replay);

	while (highest < seq && !atomic_compare_exchange_weak_explicit(&replay->highest, &highest, seq,
					memory_order_relaxed, memory_order_relaxed))
		;
}

/*
 * Numbers of one group that are to be accepted, in the order in which they came. A window is no smaller than
 * a group, so T may move to the largest of them first, and none becomes late by that.
 */
struct group_run {
	const uint64_t *seqs;
	enum replay_verdict *verdicts;
	uint16_t n;
};

_Static_assert(SA_REPLAY_WINDOW_MIN >= GROUP_NUMBERS, "see struct group_run");

static inline uint64_t group_of(uint64_t seq)
{
	return seq >> GROUP_SHIFT;
}

static inline uint64_t run_highest(const struct group_run *run)
{
	uint64_t highest = run->seqs[0];

	for (uint16_t i = 1; i < run->n; i++)
		highest = RTE_MAX(highest, run->seqs[i]);
	return highest;
}

/* The bits of those that are inside the window; the others, and repetitions, get their verdict. */
static inline uint32_t run_bits(const struct replay *replay, const struct group_run *run)
{
	uint64_t late = last_late(replay);
	uint32_t bits = 0;

	for (uint16_t i = 0; i < run->n; i++) {
		uint32_t bit = place_of(replay, run->seqs[i]).bit;

		if (run->seqs[i] <= late)
			run->verdicts[i] = REPLAY_LATE;
		else if (bits & bit)
			run->verdicts[i] = REPLAY_DUPLICATE;
		else
			run->verdicts[i] = REPLAY_OK;
		bits |= run->verdicts[i] == REPLAY_OK ? bit : 0;
	}
	return bits;
}

/* Had the word none of these bits, and is it of no later group? Then all that run_bits took are taken. */
static inline bool are_all_new(uint64_t word, struct place place, uint32_t bits)
{
	int32_t age = word_age(word, place);

	return age > 0 || (age == 0 && (word & bits) == 0);
}

/* What the word said before the bits were set decides: it is the one moment at which they can be taken. */
static inline void run_judge(const struct replay *replay, const struct group_run *run, uint64_t word)
{
	for (uint16_t i = 0; i < run->n; i++)
		if (run->verdicts[i] == REPLAY_OK)
			run->verdicts[i] = word_verdict(word, place_of(replay, run->seqs[i]));
}

static void run_accept(struct replay *replay, const struct group_run *run)
{
	struct place place = place_of(replay, run->seqs[0]);
	uint64_t word = atomic_load_explicit(&replay->words[place.index], memory_order_relaxed);
	uint32_t bits;

	highest_raise(replay, run_highest(run));
	bits = run_bits(replay, run);
	do {
		if (bits == 0 || word_age(word, place) < 0)
			break;
	} while (!atomic_compare_exchange_weak_explicit(&replay->words[place.index], &word,
		word_with(word, place, bits), memory_order_relaxed, memory_order_relaxed));
	if (!are_all_new(word, place, bits))
		run_judge(replay, run, word);
}

/* Without a window every number but 0 is taken. */
static void windowless_accept(
	struct replay *replay, const uint64_t *seqs, uint16_t n, enum replay_verdict *verdicts)
{
	for (uint16_t i = 0; i < n; i++) {
		verdicts[i] = seqs[i] == 0 ? REPLAY_ZERO : REPLAY_OK;
		highest_raise(replay, seqs[i]);
	}
}

void replay_accept(struct replay *replay, const uint64_t *seqs, uint16_t n, enum replay_verdict *verdicts)
{
	if (replay->window_pkts == 0) {
		windowless_accept(replay, seqs, n, verdicts);
		return;
	}
	for (uint16_t start = 0, end; start < n; start = end) {
		struct group_run run = {.seqs = &seqs[start], .verdicts = &verdicts[start]};

		end = start + 1;
		if (seqs[start] == 0) {
			verdicts[start] = REPLAY_ZERO;
			continue;
		}
		while (end < n && group_of(seqs[end]) == group_of(seqs[start]) && seqs[end] != 0)
			end++;
		run.n = end - start;
		run_accept(replay, &run);
	}
}
