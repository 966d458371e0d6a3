/*
 * Keys of tables as 64-bit words. Plain data, for any thread.
 */
#ifndef CULVERT_BASE_WORDS_H
#define CULVERT_BASE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* Without a branch a word, so that a constant n is unrolled. Not for secrets. */
static inline bool words_equal(const uint64_t *a, const uint64_t *b, unsigned n)
{
	uint64_t different = 0;

	for (unsigned i = 0; i < n; i++)
		different |= a[i] ^ b[i];
	return different == 0;
}

#endif
