#include "control/privileges.h"

#include <check.h>
#include <dirent.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS 3

static atomic_bool stop;
static pthread_t threads[THREADS];

/* One spins as a worker does, one waits in the kernel as DPDK's own threads do. */
static void *spin(void *argument)
{
	while (!atomic_load(&stop))
		;
	return argument;
}

static void *wait(void *argument)
{
	while (!atomic_load(&stop))
		usleep(1000);
	return argument;
}

static void threads_start(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i == 0 ? spin : wait, NULL), 0);
}

static void threads_end(void)
{
	atomic_store(&stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* The number behind `key:` in the status of each thread is the expected one, in so many threads. */
static void ck_threads(const char *key, int base, unsigned long expected)
{
	DIR *directory = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(directory))) {
		char path[512], line[256];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "r");
		ck_assert_ptr_nonnull(file);
		while (fgets(line, sizeof(line), file))
			if (strncmp(line, key, strlen(key)) == 0) {
				ck_assert_msg(
					strtoul(line + strlen(key), NULL, base) == expected, "%s", line);
				n++;
			}
		fclose(file);
	}
	closedir(directory);
	ck_assert_uint_eq(n, 1 + THREADS);
}

/* Where locked memory is limited, what frees from the limit is kept. */
static uint64_t always_kept(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	return limit.rlim_cur == RLIM_INFINITY ? 0 : UINT64_C(1) << CAP_IPC_LOCK;
}

/* An ordinary user's process has none to keep. */
static uint64_t kept(uint64_t capabilities)
{
	return geteuid() == 0 ? capabilities | always_kept() : 0;
}

static struct gateway gateway_of(struct port_conf *ports, size_t n)
{
	return (struct gateway){.ports = ports, .n_ports = n};
}

static uint64_t needed_by(const char *device)
{
	struct port_conf port = {.device = (char *)device};
	struct gateway gateway = gateway_of(&port, 1);

	return privileges_needed(&gateway) & ~always_kept();
}

START_TEST(only_ports_on_the_kernels_interfaces_need_capabilities)
{
	const uint64_t raw = UINT64_C(1) << CAP_NET_RAW, both = raw | UINT64_C(1) << CAP_NET_ADMIN;

	ck_assert_uint_eq(needed_by("0000:41:00.0"), 0);
	ck_assert_uint_eq(needed_by("net_pcap0,rx_pcap=a,tx_pcap=b"), 0);
	ck_assert_uint_eq(needed_by("net_null0"), 0);
	ck_assert_uint_eq(needed_by("net_pcap0,iface=eth1"), raw);
	ck_assert_uint_eq(needed_by("net_af_packet0,iface=eth1"), both);
	ck_assert_uint_eq(needed_by("net_tap0,iface=lan"), both);
	ck_assert_uint_eq(needed_by("net_af_xdp0,iface=eth1"), both);
}
END_TEST

START_TEST(one_port_that_needs_them_is_enough)
{
	struct port_conf ports[] = {{.device = "net_null0"}, {.device = "net_tap0"}};
	struct gateway gateway = gateway_of(ports, 2);

	ck_assert_uint_ne(privileges_needed(&gateway) & ~always_kept(), 0);
}
END_TEST

START_TEST(every_thread_gives_up_its_capabilities_and_new_ones)
{
	struct gateway gateway = gateway_of(NULL, 0);
	struct err err;

	threads_start();
	ck_assert_msg(privileges_drop(&gateway, false, &err) == 0, "%s", err.text);
	ck_threads("CapPrm:", 16, kept(0));
	ck_threads("CapEff:", 16, kept(0));
	ck_threads("CapInh:", 16, 0);
	ck_threads("CapAmb:", 16, 0);
	ck_threads("NoNewPrivs:", 10, 1);
	ck_threads("Seccomp:", 10, 0);
	threads_end();
}
END_TEST

START_TEST(what_the_ports_need_is_kept)
{
	struct port_conf port = {.device = "net_tap0"};
	struct gateway gateway = gateway_of(&port, 1);
	struct err err;

	threads_start();
	ck_assert_int_eq(privileges_drop(&gateway, false, &err), 0);
	ck_threads("CapEff:", 16, kept(UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW));
	ck_threads("CapPrm:", 16, kept(UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW));
	threads_end();
}
END_TEST

START_TEST(the_filter_is_for_every_thread)
{
	struct gateway gateway = gateway_of(NULL, 0);
	struct err err;

	threads_start();
	ck_assert_int_eq(privileges_drop(&gateway, true, &err), 0);
	ck_threads("Seccomp:", 10, 2);
	threads_end();
}
END_TEST

START_TEST(a_thread_that_blocks_signals_stops_the_start)
{
	struct gateway gateway = gateway_of(NULL, 0);
	struct err err;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	threads_start();
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	ck_assert_int_lt(privileges_drop(&gateway, false, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "blocks signals"));
	threads_end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("privileges");
	TCase *tcase = tcase_create("privileges");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, only_ports_on_the_kernels_interfaces_need_capabilities);
	tcase_add_test(tcase, one_port_that_needs_them_is_enough);
	tcase_add_test(tcase, every_thread_gives_up_its_capabilities_and_new_ones);
	tcase_add_test(tcase, what_the_ports_need_is_kept);
	tcase_add_test(tcase, the_filter_is_for_every_thread);
	tcase_add_test(tcase, a_thread_that_blocks_signals_stops_the_start);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
