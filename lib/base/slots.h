/*
 * A queue of slots of one size between two threads: the writer fills a slot in place and publishes it, the
 * reader reads it in place and gives it back. Neither waits for the other.
 *
 * One writer and one reader. The memory is there, page by page, from slots_init on, so that a writer never
 * waits for it. Limits: a fixed number of slots, and what finds none is the writer's to count.
 */
#ifndef CULVERT_BASE_SLOTS_H
#define CULVERT_BASE_SLOTS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_LINE_BYTES 64 /* of a cache: the two threads write to different ones */

struct slots {
	uint32_t n; /* a power of two */
	size_t slot_bytes;
	char *memory;
	alignas(SLOTS_LINE_BYTES) _Atomic uint32_t written; /* counts up; slots before it are the reader's */
	alignas(SLOTS_LINE_BYTES) _Atomic uint32_t read;    /* counts up; slots before it are the writer's */
};

/* At least n_min slots of slot_bytes, rounded up to cache lines. Returns 0 or -ENOMEM. */
int slots_init(struct slots *slots, uint32_t n_min, size_t slot_bytes);
/* Neither thread uses it any more. A zeroed struct is fine. */
void slots_fini(struct slots *slots);

/* Writer: the slot `ahead` (from 0) of the next one to be published, or NULL while the reader has it. */
static inline void *slots_claim(const struct slots *slots, uint32_t ahead)
{
	uint32_t at = atomic_load_explicit(&slots->written, memory_order_relaxed) + ahead;

	if (at - atomic_load_explicit(&slots->read, memory_order_acquire) >= slots->n)
		return NULL;
	return slots->memory + (size_t)(at & (slots->n - 1)) * slots->slot_bytes;
}

/* Writer: the next n slots, which are filled, to the reader. */
static inline void slots_publish(struct slots *slots, uint32_t n)
{
	atomic_store_explicit(&slots->written,
		atomic_load_explicit(&slots->written, memory_order_relaxed) + n, memory_order_release);
}

/* Reader: the oldest slot that was published, or NULL. It stays the reader's until slots_release. */
static inline const void *slots_peek(const struct slots *slots)
{
	uint32_t at = atomic_load_explicit(&slots->read, memory_order_relaxed);

	if (at == atomic_load_explicit(&slots->written, memory_order_acquire))
		return NULL;
	return slots->memory + (size_t)(at & (slots->n - 1)) * slots->slot_bytes;
}

/* Reader: give back the slot that slots_peek returned. */
static inline void slots_release(struct slots *slots)
{
	atomic_store_explicit(&slots->read, atomic_load_explicit(&slots->read, memory_order_relaxed) + 1,
		memory_order_release);
}

#endif
