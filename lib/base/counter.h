/*
 * Counters that one thread writes and others read.
 *
 * The writer, a worker, counts with plain additions, since it alone writes. A reader on another thread takes
 * each through counter_read: the value before or after an addition, never a mixture, because counters are
 * aligned words. Limits: several counters are not of one instant.
 */
#ifndef CULVERT_BASE_COUNTER_H
#define CULVERT_BASE_COUNTER_H

#include <stdint.h>

static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
