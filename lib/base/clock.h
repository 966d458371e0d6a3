/*
 * Time for control code, in nanoseconds since an arbitrary start. Workers read the TSC instead.
 */
#ifndef CULVERT_BASE_CLOCK_H
#define CULVERT_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_S  UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)
#define CLOCK_NS_PER_US UINT64_C(1000)

/* Monotonic; never fails, from any thread. */
uint64_t clock_now_ns(void);

#endif
