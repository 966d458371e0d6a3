/*
 * EAL and one mempool for suites that need mbufs, and mbufs made from bytes.
 *
 * Test suites, on the main thread, in CK_NOFORK: a forked child would share EAL's memory with its parent.
 * Suites add eal_setup and eal_teardown as checked fixtures; every test frees each mbuf that it got.
 * Limits: one EAL a process, a pool of EAL_POOL_MBUFS.
 */
#ifndef CULVERT_TESTS_SUPPORT_EAL_H
#define CULVERT_TESTS_SUPPORT_EAL_H

#include <pthread.h>
#include <stddef.h>

#include <check.h>
#include <rte_mbuf.h>

#define EAL_POOL_MBUFS 4095

/*
 * Start EAL without huge pages, devices or configuration files, on lcore 0 and, where there is a second CPU,
 * with lcores 1 and 2 for workers. 0, also if it runs already; -1 if it doesn't start.
 */
int eal_start(void);

/*
 * The pool: mbufs with a struct pkt in their private area and the default data room. Made at the first call.
 */
struct rte_mempool *eal_pool(void);

/*
 * A thread beside the test's own, on any CPU: without this it would share the one of EAL's main thread, and
 * nothing would happen at the same time. The caller joins it.
 */
pthread_t eal_thread_create(void *(*body)(void *), void *argument);

/* Fixtures: start EAL, and assert that all mbufs are back in the pool. */
void eal_setup(void);
void eal_teardown(void);

/* Run a suite in this process; what main returns. */
int eal_run_suite(Suite *suite);

/* An mbuf with a copy of the bytes as its data, behind the default headroom, and a zeroed struct pkt. */
struct rte_mbuf *mbuf_of(const void *bytes, size_t length);

/*
 * The same, but with AddressSanitizer a byte read or written behind its data is an error, until it is made
 * again or the test ends. Without it there is no such check.
 */
struct rte_mbuf *mbuf_exact_of(const void *bytes, size_t length);

#endif
