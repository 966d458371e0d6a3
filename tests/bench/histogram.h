/*
 * A histogram of whole numbers from 0 to 2^32 - 1, for quantiles: exact below 64, and to one part in 64
 * above. What is larger counts as the largest. It takes 14 KB, whatever it counts.
 *
 * Benchmarks only. One thread adds; others read when it is done. All zero is empty.
 */
#ifndef CULVERT_TESTS_BENCH_HISTOGRAM_H
#define CULVERT_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_EXACT_BITS 6 /* of a number, counted from its highest bit */
#define HISTOGRAM_EXACT      (1u << HISTOGRAM_EXACT_BITS)
#define HISTOGRAM_BUCKETS    ((32 - HISTOGRAM_EXACT_BITS + 1) * HISTOGRAM_EXACT)

struct histogram {
	uint64_t n;
	uint32_t largest;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	uint32_t x = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
	uint32_t bucket = x;

	if (x >= HISTOGRAM_EXACT) {
		unsigned shift = 31 - HISTOGRAM_EXACT_BITS - (unsigned)__builtin_clz(x);

		bucket = (shift << HISTOGRAM_EXACT_BITS) + (x >> shift);
	}
	histogram->counts[bucket]++;
	histogram->n++;
	if (x > histogram->largest)
		histogram->largest = x;
}

/*
 * The number that `share` (0 to 1) of all are at most: the least such of a bucket's numbers that could be,
 * its last, so that a quantile is never told too small. 0 when empty.
 */
uint32_t histogram_quantile(const struct histogram *histogram, double share);

#endif
