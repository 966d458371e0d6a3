/*
 * Outbound sequence numbers (RFC 4303 section 3.3.3): each is given out once, to any number of workers.
 *
 * Any worker, no lock: one fetch_add reserves a run of numbers for a burst. Numbers that are reserved and not
 * used are gaps, which the protocol allows; a number is never given out twice, also not past the last one.
 * Control may move the last one on while workers take numbers (seq_extend), as it reserves them on disk.
 * The owner (struct sa) puts it on a cache line of its own.
 */
#ifndef CULVERT_IPSEC_SEQ_H
#define CULVERT_IPSEC_SEQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The last number that may be sent: 2^32 - 1, or with ESN some below 2^64, so that fetch_add never wraps. */
#define SEQ_LAST     UINT64_C(0xffffffff)
#define SEQ_ESN_LAST (UINT64_MAX - (UINT64_C(1) << 32))

struct seq {
	_Atomic uint64_t next; /* the first number not given out yet */
	_Atomic uint64_t last; /* the last that may be given out now; control writes */
};

/* The last number that the protocol has. An SA may end before: struct seq's `last`. */
static inline uint64_t seq_last(bool esn)
{
	return esn ? SEQ_ESN_LAST : SEQ_LAST;
}

static inline void seq_init(struct seq *seq, bool esn)
{
	atomic_init(&seq->next, 1);
	atomic_init(&seq->last, seq_last(esn));
}

/*
 * Let numbers from `first` to `last` be given out, which come after all that might have been. Control.
 *
 * Where they don't follow those that are there, the counter jumps. A worker that takes a number beside that
 * took it before the jump, and then may use it by the old `last` alone; or after it, and then it is one of
 * the new. So it reads `last` before it takes, and here the two are written in the reverse order. Numbers
 * that it is refused are gaps.
 */
static inline void seq_extend(struct seq *seq, uint64_t first, uint64_t last)
{
	if (first != atomic_load_explicit(&seq->last, memory_order_relaxed) + 1)
		atomic_store_explicit(&seq->next, first, memory_order_relaxed);
	atomic_store_explicit(&seq->last, last, memory_order_release);
}

/*
 * Reserve `count` numbers, the first of them in *first. Returns how many may be used: count, or fewer where
 * the last number is reached, down to 0 from then on, until control moves it.
 */
static inline uint32_t seq_reserve(struct seq *seq, uint32_t count, uint64_t *first)
{
	uint64_t last = atomic_load_explicit(&seq->last, memory_order_acquire);

	/* A look first, so that an exhausted counter stands still and can't wrap however long it is asked. */
	if (atomic_load_explicit(&seq->next, memory_order_relaxed) > last)
		return 0;
	*first = atomic_fetch_add_explicit(&seq->next, count, memory_order_relaxed);
	if (*first > last)
		return 0;
	return last - *first >= count - 1 ? count : (uint32_t)(last - *first + 1);
}

#endif
