#include "datapath/worker.h"

#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_rcu_qsbr.h>

#include "base/clock.h"
#include "base/counter.h"
#include "control/workers.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

/*
 * The gateway's worker 0 runs as a thread, as in the daemon. Without a second CPU there is no lcore for it.
 */
static struct gateway_env env;

static void setup(void)
{
	struct err err;

	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_DIRECT));
	worker_end(env.worker);
	ck_assert_int_eq(workers_launch(&env.control, &err), 0);
}

static void teardown(void)
{
	workers_stop(&env.control);
	ck_assert_int_eq(worker_begin(env.worker), 0);
	gateway_env_end(&env);
	eal_teardown();
}

/* Wait until the condition holds, ten seconds at most. */
#define await(condition)                                                                                     \
	do {                                                                                                 \
		uint64_t await_end_ns = clock_now_ns() + 10 * CLOCK_NS_PER_S;                                \
		while (!(condition) && clock_now_ns() < await_end_ns)                                        \
			usleep(100);                                                                         \
		ck_assert(condition);                                                                        \
	} while (0)

static uint64_t loops(void)
{
	return counter_read(&env.worker->counters.loops);
}

START_TEST(an_idle_worker_goes_on_polling_and_stops_when_asked)
{
	uint64_t before = loops();

	await(loops() > before);
	workers_stop(&env.control);
	ck_assert_int_eq(rte_eal_get_lcore_state(env.worker->lcore), WAIT);
}
END_TEST

/* What a worker has adopted says that it holds nothing older. */
START_TEST(a_worker_adopts_the_snapshot_that_is_published)
{
	static struct snapshot copy;

	await(atomic_load(&env.worker->adopted) == env.control.snapshot);
	copy = *env.control.snapshot;
	atomic_store(&env.worker->published, &copy);
	await(atomic_load(&env.worker->adopted) == &copy);
	atomic_store(&env.worker->published, env.control.snapshot);
	await(atomic_load(&env.worker->adopted) == env.control.snapshot);
}
END_TEST

START_TEST(nobody_waits_long_for_an_idle_worker)
{
	uint64_t start_ns = clock_now_ns();

	usleep(50000);
	for (unsigned i = 0; i < 100; i++)
		rte_rcu_qsbr_synchronize(env.control.qsbr, RTE_QSBR_THRID_INVALID);
	ck_assert_uint_lt(clock_now_ns() - start_ns, 10 * CLOCK_NS_PER_S);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tcase = tcase_create("worker");

	if (eal_start() != 0 || rte_lcore_count() < 2) {
		puts("0 passed, 0 failed, 1 skipped");
		fputs("a worker thread needs a second CPU\n", stderr);
		return 0;
	}
	tcase_set_tags(tcase, "threads");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_idle_worker_goes_on_polling_and_stops_when_asked);
	tcase_add_test(tcase, a_worker_adopts_the_snapshot_that_is_published);
	tcase_add_test(tcase, nobody_waits_long_for_an_idle_worker);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
