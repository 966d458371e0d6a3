#include "bench/histogram.h"

#include <math.h>

static uint32_t bucket_last(uint32_t bucket)
{
	unsigned shift;
	uint64_t next;

	if (bucket < 2 * HISTOGRAM_EXACT)
		return bucket;
	shift = (bucket >> HISTOGRAM_EXACT_BITS) - 1;
	next = (uint64_t)(bucket % HISTOGRAM_EXACT + HISTOGRAM_EXACT + 1) << shift;
	return (uint32_t)(next - 1);
}

uint32_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)histogram->n);
	uint64_t n = 0;

	for (uint32_t bucket = 0; histogram->n > 0 && bucket < HISTOGRAM_BUCKETS; bucket++) {
		uint32_t last = bucket_last(bucket);

		n += histogram->counts[bucket];
		if (n >= wanted && n > 0)
			return last < histogram->largest ? last : histogram->largest;
	}
	return histogram->largest;
}
