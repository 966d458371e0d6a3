/*
 * ThreadSanitizer and DPDK: what a build with -Db_sanitize=thread needs to know of code that it can't see.
 *
 * Test suites. Our code and DPDK's inline functions are instrumented, DPDK's libraries are not: where they
 * hand memory from one thread to another, ThreadSanitizer sees the accesses on both sides and nothing in
 * between. tsan.c tells it, object by object, of the hand-overs that DPDK promises; a test that hands over
 * memory by such a library itself says so with the two macros. Without ThreadSanitizer all this is nothing.
 */
#ifndef CULVERT_TESTS_SUPPORT_TSAN_H
#define CULVERT_TESTS_SUPPORT_TSAN_H

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define HAS_TSAN 1
#endif

#ifdef HAS_TSAN
#include <sanitizer/tsan_interface.h>
/* What this thread did before it gave the object away is seen by the one that takes it. */
#define TSAN_GIVE(object) __tsan_release(object)
#define TSAN_TAKE(object) __tsan_acquire(object)
/* A stress test's number of rounds: instrumented code takes ten times as long and needs fewer to see a race.
 */
#define TSAN_ROUNDS(n) ((n) / 10)
/* The mempools' kind (EAL's --mbuf-pool-ops-name) that knows of TSAN_GIVE and TSAN_TAKE. */
#define TSAN_POOL_OPS "tsan_ring"
/* Before EAL makes its first mempool. */
void tsan_pool_ops_register(void);
#else
#define TSAN_GIVE(object) ((void)(object))
#define TSAN_TAKE(object) ((void)(object))
#define TSAN_ROUNDS(n)    (n)
#endif

#endif
