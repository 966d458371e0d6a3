#include "control/syscall_filter.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each case is a process of its own, and installs the filter in it. */
static void setup(void)
{
	const struct rlimit no_core = {0, 0};
	struct err err;

	setrlimit(RLIMIT_CORE, &no_core);
	ck_assert_msg(syscall_filter_install(&err) == 0, "%s", err.text);
}

static void ck_refused(long result)
{
	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(errno, EPERM);
}

START_TEST(another_program_ends_the_process)
{
	char *const arguments[] = {"true", NULL};

	execv("/bin/true", arguments);
}
END_TEST

START_TEST(a_debuggers_call_ends_the_process)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
END_TEST

START_TEST(a_module_of_the_kernel_ends_the_process)
{
	syscall(SYS_finit_module, -1, "", 0);
}
END_TEST

START_TEST(a_name_space_of_its_own_ends_the_process)
{
	unshare(CLONE_NEWUSER);
}
END_TEST

static void *call_bpf(void *argument)
{
	syscall(SYS_bpf, 0, NULL, 0);
	return argument;
}

START_TEST(what_a_thread_calls_ends_the_process_too)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, call_bpf, NULL), 0);
	pthread_join(thread, NULL);
}
END_TEST

/* Waits until the filter is there. */
static void *wait_and_call(void *pipe)
{
	char c;
	char *const arguments[] = {"true", NULL};

	if (read(*(int *)pipe, &c, 1) == 1)
		execv("/bin/true", arguments);
	return NULL;
}

START_TEST(threads_from_before_are_filtered_too)
{
	pthread_t thread;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_and_call, &ends[0]), 0);
	setup();
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_call_that_is_not_needed_is_refused)
{
	ck_refused(syscall(SYS_setuid, 0));
	ck_refused(syscall(SYS_io_uring_setup, 1, NULL));
	ck_refused(kill(getppid(), 0));
}
END_TEST

START_TEST(a_name_space_by_clone_is_refused)
{
	ck_refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
}
END_TEST

START_TEST(sockets_are_of_the_families_that_are_needed)
{
	static const int needed[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		ck_assert_int_ge(socket(needed[i], SOCK_DGRAM, 0), 0);
	ck_refused(socket(AF_ALG, SOCK_SEQPACKET, 0));
	ck_refused(socket(AF_VSOCK, SOCK_STREAM, 0));
}
END_TEST

static void *map(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

START_TEST(memory_is_writable_or_executable_and_not_both)
{
	void *page = map(PROT_READ | PROT_WRITE);

	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_ptr_ne(map(PROT_READ | PROT_EXEC), MAP_FAILED);
	ck_assert_ptr_eq(map(PROT_WRITE | PROT_EXEC), MAP_FAILED);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(mprotect(page, 4096, PROT_READ), 0);
	ck_refused(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}
END_TEST

static void *return_it(void *argument)
{
	return argument;
}

START_TEST(threads_are_made_as_before)
{
	pthread_t thread;
	void *result;
	int value;

	ck_assert_int_eq(pthread_create(&thread, NULL, return_it, &value), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, &value);
}
END_TEST

START_TEST(files_are_written_and_renamed_as_before)
{
	char path[] = "/tmp/culvert-test-XXXXXX", renamed[sizeof(path) + 1];
	int fd = mkstemp(path);

	snprintf(renamed, sizeof(renamed), "%sx", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(rename(path, renamed), 0);
	ck_assert_int_eq(unlink(renamed), 0);
}
END_TEST

/* Libraries for names of users are loaded when they are asked for: the loader maps them as executable. */
START_TEST(users_are_looked_up_as_before)
{
	ck_assert_ptr_nonnull(getgrnam("root"));
}
END_TEST

START_TEST(a_failed_assertion_ends_as_before)
{
	abort();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("syscall_filter");
	TCase *dead = tcase_create("ends"), *alive = tcase_create("refused and allowed");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(dead, NULL, NULL);
	tcase_add_checked_fixture(dead, setup, NULL);
	tcase_add_checked_fixture(alive, setup, NULL);
	tcase_add_test_raise_signal(dead, another_program_ends_the_process, SIGSYS);
	tcase_add_test_raise_signal(dead, a_debuggers_call_ends_the_process, SIGSYS);
	tcase_add_test_raise_signal(dead, a_module_of_the_kernel_ends_the_process, SIGSYS);
	tcase_add_test_raise_signal(dead, a_name_space_of_its_own_ends_the_process, SIGSYS);
	tcase_add_test_raise_signal(dead, what_a_thread_calls_ends_the_process_too, SIGSYS);
	tcase_add_test_raise_signal(dead, a_failed_assertion_ends_as_before, SIGABRT);
	tcase_add_test(alive, a_call_that_is_not_needed_is_refused);
	tcase_add_test(alive, a_name_space_by_clone_is_refused);
	tcase_add_test(alive, sockets_are_of_the_families_that_are_needed);
	tcase_add_test(alive, memory_is_writable_or_executable_and_not_both);
	tcase_add_test(alive, threads_are_made_as_before);
	tcase_add_test(alive, files_are_written_and_renamed_as_before);
	tcase_add_test(alive, users_are_looked_up_as_before);
	suite_add_tcase(suite, dead);
	suite_add_tcase(suite, alive);
	TCase *before = tcase_create("threads from before");
	tcase_add_test_raise_signal(before, threads_from_before_are_filtered_too, SIGSYS);
	suite_add_tcase(suite, before);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
