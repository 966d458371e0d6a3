/*
 * The anti-replay window of an inbound SA (RFC 4303 section 3.4.3 and appendix A2).
 *
 * Any number of workers at once, no lock. replay_check sheds obvious replays before the crypto is paid for;
 * replay_accept, after the ICV has verified, is the decision: it says REPLAY_OK at most once for a number.
 * Sequence numbers are 64 bits wide throughout; without ESN the high half is zero.
 *
 * How: the window is an array of 64-bit words, each a tag and 32 bits. Number s belongs to group s / 32; a
 * group's word is at group modulo the array's size, and the tag is the rest of the group. A compare-and-swap
 * sets a bit in a word of the same tag, or replaces a word of an older tag. Since a word's tag never
 * decreases, no number is accepted twice, and nothing need be cleared when the window moves.
 */
#ifndef CULVERT_IPSEC_REPLAY_H
#define CULVERT_IPSEC_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replay;

enum replay_verdict {
	REPLAY_OK,
	REPLAY_ZERO, /* the number 0, which no sender may use (with ESN: the 64-bit number 0) */
	REPLAY_DUPLICATE,
	REPLAY_LATE, /* left of the window */
};

/*
 * A window of window_pkts numbers (SA_REPLAY_WINDOW_MIN to _MAX), or 0: no anti-replay, every number but 0 is
 * OK; that is for SAs without ESN, whose guess needs a window (RFC 4303 section 3.3.3). The right edge starts
 * at `highest` (0 for a new SA; tests and a restored SA set more): numbers up to it count as seen. Memory is
 * of that NUMA socket (or SOCKET_ID_ANY). NULL when memory runs out.
 */
struct replay *replay_create(uint32_t window_pkts, bool esn, uint64_t highest, int socket);
/*
 * An SA that takes the place of another under the same key shares its window, since a number may be taken
 * once under a key, whichever of the two takes it. Control thread; the last replay_put frees. NULL is fine
 * for that.
 */
struct replay *replay_get(struct replay *replay);
void replay_put(struct replay *replay);

/*
 * The 64-bit number that the 32 bits on the wire stand for (RFC 4303 appendix A2.1): without ESN the same.
 * Call it once a packet and carry the result, since the window may move before the ICV is known.
 */
uint64_t replay_guess(const struct replay *replay, uint32_t low);

/* Ask for what replay_guess reads; and, when that has been called, for the word of a number. */
void replay_prefetch(const struct replay *replay);
void replay_prefetch_word(const struct replay *replay, uint64_t seq);

/* What replay_accept would say now; changes nothing. */
enum replay_verdict replay_check(const struct replay *replay, uint64_t seq);

/*
 * Take the numbers of n packets (1 or more) whose ICVs have verified, in the order in which they came. The
 * verdict of each is what taking them one by one would give; neighbours in number share the work.
 */
void replay_accept(struct replay *replay, const uint64_t *seqs, uint16_t n, enum replay_verdict *verdicts);

/* The highest number accepted so far: the window's right edge, T. */
uint64_t replay_highest(const struct replay *replay);

#endif
