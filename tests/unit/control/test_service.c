#include "control/service.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include "base/clock.h"
#include "support/eal.h"

#define WORKERS 2

/* The service manager's socket. */
static struct sockaddr_un address;
static int manager;
static struct service service;
static struct rte_rcu_qsbr *qsbr;

static void manager_listen(const char *path)
{
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));

	address = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, bytes), 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

static void setup(void)
{
	char path[64];

	eal_setup();
	snprintf(path, sizeof(path), "@culvert-test-%d", getpid());
	manager_listen(path);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	qsbr = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(WORKERS), RTE_CACHE_LINE_SIZE);
	ck_assert_int_eq(rte_rcu_qsbr_init(qsbr, WORKERS), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		rte_rcu_qsbr_thread_register(qsbr, i);
		rte_rcu_qsbr_thread_online(qsbr, i);
	}
}

static void teardown(void)
{
	service_fini(&service);
	close(manager);
	unsetenv("NOTIFY_SOCKET");
	rte_free(qsbr);
	eal_teardown();
}

static void ck_told(const char *expected)
{
	char message[256];
	ssize_t length = recv(manager, message, sizeof(message) - 1, 0);

	ck_assert_int_ge(length, 0);
	message[length] = '\0';
	ck_assert_str_eq(message, expected);
}

static void ck_told_nothing(void)
{
	char message[256];

	ck_assert_int_lt(recv(manager, message, sizeof(message), 0), 0);
}

/* A second of watchdog: a sign each quarter. */
static void watched(void)
{
	setenv("WATCHDOG_USEC", "1000000", 1);
	service_init(&service);
}

static void workers_come_round(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		rte_rcu_qsbr_quiescent(qsbr, i);
}

START_TEST(the_manager_is_told_of_each_step)
{
	service_init(&service);
	service_ready(&service);
	ck_told("READY=1\nSTATUS=forwarding");
	service_reloading(&service, 1234567890123);
	ck_told("RELOADING=1\nMONOTONIC_USEC=1234567890");
	service_stopping(&service);
	ck_told("STOPPING=1\nSTATUS=draining");
	ck_told_nothing();
}
END_TEST

START_TEST(a_socket_in_the_file_system_serves_as_well)
{
	char directory[] = "/tmp/culvert-test-XXXXXX", path[64];

	close(manager);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/notify", directory);
	manager_listen(path);
	service_init(&service);
	service_ready(&service);
	ck_told("READY=1\nSTATUS=forwarding");
	unlink(path);
	rmdir(directory);
}
END_TEST

START_TEST(without_a_manager_nobody_is_told)
{
	unsetenv("NOTIFY_SOCKET");
	watched();
	ck_assert_int_eq(service.fd, -1);
	service_ready(&service);
	service_poll(&service, qsbr, CLOCK_NS_PER_S);
	ck_told_nothing();
}
END_TEST

START_TEST(a_manager_without_a_socket_is_told_of_and_forgotten)
{
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	service_init(&service);
	ck_assert_int_eq(service.fd, -1);
	service_ready(&service);
}
END_TEST

START_TEST(a_manager_that_is_gone_does_no_harm)
{
	service_init(&service);
	close(manager);
	service_ready(&service);
	manager = -1;
}
END_TEST

START_TEST(signs_of_life_come_four_times_in_the_watchdogs_time)
{
	uint64_t now_ns = 5 * CLOCK_NS_PER_S;

	watched();
	service_poll(&service, qsbr, now_ns);
	ck_told("WATCHDOG=1");
	workers_come_round(WORKERS);
	service_poll(&service, qsbr, now_ns + CLOCK_NS_PER_S / 4 - 1);
	ck_told_nothing();
	service_poll(&service, qsbr, now_ns + CLOCK_NS_PER_S / 4);
	ck_told("WATCHDOG=1");
}
END_TEST

START_TEST(a_worker_that_hangs_silences_the_watchdog_until_it_comes_round)
{
	uint64_t now_ns = CLOCK_NS_PER_S;

	watched();
	service_poll(&service, qsbr, now_ns);
	ck_told("WATCHDOG=1");
	workers_come_round(WORKERS - 1);
	for (unsigned i = 1; i < 8; i++)
		service_poll(&service, qsbr, now_ns + i * CLOCK_NS_PER_S);
	ck_told_nothing();
	workers_come_round(WORKERS);
	service_poll(&service, qsbr, now_ns + 8 * CLOCK_NS_PER_S);
	ck_told("WATCHDOG=1");
}
END_TEST

START_TEST(a_worker_that_sleeps_is_not_one_that_hangs)
{
	watched();
	service_poll(&service, qsbr, CLOCK_NS_PER_S);
	ck_told("WATCHDOG=1");
	for (unsigned i = 0; i < WORKERS; i++)
		rte_rcu_qsbr_thread_offline(qsbr, i);
	service_poll(&service, qsbr, 2 * CLOCK_NS_PER_S);
	ck_told("WATCHDOG=1");
}
END_TEST

START_TEST(the_watchdog_of_another_process_is_none)
{
	setenv("WATCHDOG_PID", "1", 1);
	watched();
	service_poll(&service, qsbr, CLOCK_NS_PER_S);
	ck_told_nothing();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service");
	TCase *tcase = tcase_create("service");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_manager_is_told_of_each_step);
	tcase_add_test(tcase, a_socket_in_the_file_system_serves_as_well);
	tcase_add_test(tcase, without_a_manager_nobody_is_told);
	tcase_add_test(tcase, a_manager_without_a_socket_is_told_of_and_forgotten);
	tcase_add_test(tcase, a_manager_that_is_gone_does_no_harm);
	tcase_add_test(tcase, signs_of_life_come_four_times_in_the_watchdogs_time);
	tcase_add_test(tcase, a_worker_that_hangs_silences_the_watchdog_until_it_comes_round);
	tcase_add_test(tcase, a_worker_that_sleeps_is_not_one_that_hangs);
	tcase_add_test(tcase, the_watchdog_of_another_process_is_none);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
