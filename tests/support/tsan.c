#include "support/tsan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

/*
 * The linker's --wrap (tests/support/meson.build) sends calls of f to __wrap_f, and __real_f is DPDK's.
 * Each promise is told for one object at a time, so that a race on any other is still seen.
 */

/* Starting a thread, and waiting for its end. */

int __real_rte_eal_remote_launch(lcore_function_t *f, void *arg, unsigned lcore);
int __wrap_rte_eal_remote_launch(lcore_function_t *f, void *arg, unsigned lcore);
int __real_rte_eal_wait_lcore(unsigned lcore);
int __wrap_rte_eal_wait_lcore(unsigned lcore);

struct launch {
	lcore_function_t *function;
	void *argument;
};

static struct launch launches[RTE_MAX_LCORE];

static int launched(void *argument)
{
	struct launch *launch = argument;
	int ret;

	TSAN_TAKE(launch);
	ret = launch->function(launch->argument);
	TSAN_GIVE(launch);
	return ret;
}

int __wrap_rte_eal_remote_launch(lcore_function_t *f, void *arg, unsigned lcore)
{
	launches[lcore] = (struct launch){f, arg};
	TSAN_GIVE(&launches[lcore]);
	return __real_rte_eal_remote_launch(launched, &launches[lcore], lcore);
}

int __wrap_rte_eal_wait_lcore(unsigned lcore)
{
	int ret = __real_rte_eal_wait_lcore(lcore);

	TSAN_TAKE(&launches[lcore]);
	return ret;
}

/* A lock-free table publishes what an entry points to: who finds it sees what was written before it was
 * added. */

int __real_rte_hash_add_key_data(const struct rte_hash *h, const void *key, void *data);
int __wrap_rte_hash_add_key_data(const struct rte_hash *h, const void *key, void *data);
int __real_rte_hash_lookup_data(const struct rte_hash *h, const void *key, void **data);
int __wrap_rte_hash_lookup_data(const struct rte_hash *h, const void *key, void **data);
int __real_rte_hash_lookup_bulk_data(
	const struct rte_hash *h, const void **keys, uint32_t n, uint64_t *hits, void *data[]);
int __wrap_rte_hash_lookup_bulk_data(
	const struct rte_hash *h, const void **keys, uint32_t n, uint64_t *hits, void *data[]);

/* An entry's data need not be an address, so each value has one of these in its place. */
static char *place_of(const void *data)
{
	static char places[4096];

	return &places[((uintptr_t)data >> 6) % sizeof(places)];
}

int __wrap_rte_hash_add_key_data(const struct rte_hash *h, const void *key, void *data)
{
	TSAN_GIVE(place_of(data));
	return __real_rte_hash_add_key_data(h, key, data);
}

int __wrap_rte_hash_lookup_data(const struct rte_hash *h, const void *key, void **data)
{
	int ret = __real_rte_hash_lookup_data(h, key, data);

	if (ret >= 0)
		TSAN_TAKE(place_of(*data));
	return ret;
}

int __wrap_rte_hash_lookup_bulk_data(
	const struct rte_hash *h, const void **keys, uint32_t n, uint64_t *hits, void *data[])
{
	int ret = __real_rte_hash_lookup_bulk_data(h, keys, n, hits, data);

	for (uint32_t i = 0; i < n; i++)
		if (*hits & UINT64_C(1) << i)
			TSAN_TAKE(place_of(data[i]));
	return ret;
}

/* A mempool hands an object from the thread that frees it to the one that gets it. */

static const struct rte_mempool_ops *ring_ops(void)
{
	for (uint32_t i = 0; i < rte_mempool_ops_table.num_ops; i++)
		if (strcmp(rte_mempool_ops_table.ops[i].name, "ring_mp_mc") == 0)
			return &rte_mempool_ops_table.ops[i];
	abort();
}

static int pool_alloc(struct rte_mempool *pool)
{
	return ring_ops()->alloc(pool);
}

static void pool_free(struct rte_mempool *pool)
{
	ring_ops()->free(pool);
}

static int pool_put(struct rte_mempool *pool, void *const *objects, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		TSAN_GIVE(objects[i]);
	return ring_ops()->enqueue(pool, objects, n);
}

static int pool_get(struct rte_mempool *pool, void **objects, unsigned n)
{
	int ret = ring_ops()->dequeue(pool, objects, n);

	for (unsigned i = 0; ret == 0 && i < n; i++)
		TSAN_TAKE(objects[i]);
	return ret;
}

static unsigned pool_count(const struct rte_mempool *pool)
{
	return ring_ops()->get_count(pool);
}

void tsan_pool_ops_register(void)
{
	const struct rte_mempool_ops ops = {
		.name = TSAN_POOL_OPS,
		.alloc = pool_alloc,
		.free = pool_free,
		.enqueue = pool_put,
		.dequeue = pool_get,
		.get_count = pool_count,
	};

	if (rte_mempool_register_ops(&ops) < 0)
		abort();
}
