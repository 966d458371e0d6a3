#include "support/eal.h"

#include "net/pkt.h"
#include "support/sanitizer.h"
#include "support/tsan.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#define POOL_NAME "test-mbufs"
/* The test itself, and two workers; without a second CPU there are none. */
#define LCORES     "0@0,1@1,2@0"
#define LCORES_FEW "0@0"

/* What the process could use before EAL pinned its main thread; a thread that is created inherits the pin. */
static cpu_set_t cpus;

/* For what is no test's subject; works outside Check too, in fuzz targets and benchmarks. */
static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "tests/support: %s\n", what);
	abort();
}

/*
 * In place of Check's _mark_point (meson.build), which its macros call for every assertion that holds: that
 * writes the place to a file and flushes it, so that the parent of a child that crashed can tell where. Here
 * is no child, and it was most of the time of suites that assert often. A failed assertion says its place by
 * itself.
 */
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file __attribute__((unused)), int line __attribute__((unused)))
{
}

int eal_start(void)
{
	static bool started;
	char prefix[64];

	if (started)
		return 0;
	sched_getaffinity(0, sizeof(cpus), &cpus);
	snprintf(prefix, sizeof(prefix), "--file-prefix=culvert-test-%d", (int)getpid());
	char *arguments[] = {
		(char[]){"test"},
		(char[]){"--no-huge"},
		(char[]){"--no-shconf"},
		(char[]){"--no-pci"},
		(char[]){"--no-telemetry"},
		(char[]){"-m"},
		(char[]){"256"},
		(char[]){"--log-level=*:warning"},
		(char[]){"--lcores"},
		sysconf(_SC_NPROCESSORS_ONLN) > 1 ? (char[]){LCORES} : (char[]){LCORES_FEW},
		prefix,
#ifdef HAS_TSAN
		(char[]){"--mbuf-pool-ops-name=" TSAN_POOL_OPS},
#endif
	};

#ifdef HAS_TSAN
	tsan_pool_ops_register();
#endif
	if (rte_eal_init((int)(sizeof(arguments) / sizeof(*arguments)), arguments) < 0) {
		fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	started = true;
	return 0;
}

struct rte_mempool *eal_pool(void)
{
	struct rte_mempool *pool = rte_mempool_lookup(POOL_NAME);

	if (pool == NULL)
		pool = rte_pktmbuf_pool_create(POOL_NAME, EAL_POOL_MBUFS, 0, sizeof(struct pkt),
			RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());
	require(pool != NULL, "no memory for the mempool");
	return pool;
}

pthread_t eal_thread_create(void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	ck_assert_int_eq(pthread_create(&thread, &attributes, body, argument), 0);
	pthread_attr_destroy(&attributes);
	return thread;
}

void eal_setup(void)
{
	ck_assert_int_eq(eal_start(), 0);
	ck_assert_uint_eq(rte_mempool_in_use_count(eal_pool()), 0);
}

static void mbuf_unpoison(struct rte_mempool *pool, void *context, void *object, unsigned index)
{
	struct rte_mbuf *m = object;

	(void)pool, (void)context, (void)index;
	ASAN_UNPOISON_MEMORY_REGION(m->buf_addr, m->buf_len);
}

void eal_teardown(void)
{
	rte_mempool_obj_iter(eal_pool(), mbuf_unpoison, NULL);
	ck_assert_uint_eq(rte_mempool_in_use_count(eal_pool()), 0);
}

int eal_run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	rte_eal_cleanup();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

struct rte_mbuf *mbuf_of(const void *bytes, size_t length)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(eal_pool());

	require(m != NULL, "the mempool is empty: a test keeps its mbufs");
	require(length <= rte_pktmbuf_tailroom(m), "the packet is longer than an mbuf");
	ASAN_UNPOISON_MEMORY_REGION(m->buf_addr, m->buf_len);
	memcpy(rte_pktmbuf_append(m, (uint16_t)length), bytes, length);
	memset(pkt_of(m), 0, sizeof(struct pkt));
	return m;
}

struct rte_mbuf *mbuf_exact_of(const void *bytes, size_t length)
{
	struct rte_mbuf *m = mbuf_of(bytes, length);

	ASAN_POISON_MEMORY_REGION(
		rte_pktmbuf_mtod_offset(m, void *, rte_pktmbuf_data_len(m)), rte_pktmbuf_tailroom(m));
	return m;
}
