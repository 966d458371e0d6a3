#include "control/syscall_filter.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

#define CALL(name)   SCMP_SYS(name)
#define CALLS(table) (table), sizeof(table) / sizeof((table)[0])

#define CLONE_NEW_ANY                                                                                        \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |        \
		CLONE_NEWNET)
#define OPTIMIZE_BINARY_TREE 2 /* seccomp_attr_set(3), SCMP_FLTATR_CTL_OPTIMIZE */

/* clang-format off */
static const int allowed[] = {
	/* files */
	CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(pread64), CALL(pwrite64), CALL(preadv), CALL(pwritev),
	CALL(preadv2), CALL(pwritev2), CALL(open), CALL(openat), CALL(openat2), CALL(creat), CALL(close), CALL(close_range),
	CALL(lseek), CALL(stat), CALL(fstat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(fstatfs),
	CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat), CALL(getdents), CALL(getdents64),
	CALL(getcwd), CALL(truncate), CALL(ftruncate), CALL(fallocate), CALL(fsync), CALL(fdatasync), CALL(sync_file_range),
	CALL(rename), CALL(renameat), CALL(renameat2), CALL(link), CALL(linkat), CALL(unlink), CALL(unlinkat), CALL(mkdir),
	CALL(mkdirat), CALL(rmdir), CALL(chmod), CALL(fchmod), CALL(fchmodat), CALL(chown), CALL(fchown), CALL(fchownat),
	CALL(umask), CALL(utimensat), CALL(flock), CALL(fcntl), CALL(dup), CALL(dup2), CALL(dup3), CALL(pipe), CALL(pipe2),
	CALL(fadvise64), CALL(sendfile), CALL(copy_file_range), CALL(memfd_create), CALL(inotify_init1),
	CALL(inotify_add_watch), CALL(inotify_rm_watch), CALL(ioctl),
	/* sockets, but for their making */
	CALL(socketpair), CALL(bind), CALL(listen), CALL(accept), CALL(accept4), CALL(connect), CALL(shutdown),
	CALL(getsockname), CALL(getpeername), CALL(getsockopt), CALL(setsockopt), CALL(sendto), CALL(recvfrom),
	CALL(sendmsg), CALL(recvmsg), CALL(sendmmsg), CALL(recvmmsg),
	/* waiting */
	CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6), CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl),
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd), CALL(eventfd2), CALL(signalfd),
	CALL(signalfd4), CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime), CALL(nanosleep),
	CALL(clock_nanosleep), CALL(pause), CALL(futex), CALL(futex_waitv), CALL(restart_syscall),
	/* memory, but for mapping and protecting it */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(mincore), CALL(msync), CALL(mlock), CALL(mlock2),
	CALL(munlock), CALL(mlockall), CALL(munlockall), CALL(mbind), CALL(get_mempolicy), CALL(set_mempolicy),
	CALL(move_pages), CALL(membarrier),
	/* threads and signals; what makes a thread is below */
	CALL(exit), CALL(exit_group), CALL(set_tid_address), CALL(set_robust_list), CALL(get_robust_list), CALL(rseq),
	CALL(arch_prctl), CALL(prctl), CALL(sched_yield), CALL(sched_getaffinity), CALL(sched_setaffinity),
	CALL(sched_getparam), CALL(sched_getscheduler), CALL(sched_get_priority_max), CALL(sched_get_priority_min),
	CALL(getcpu), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigpending),
	CALL(rt_sigtimedwait), CALL(rt_sigsuspend), CALL(sigaltstack), CALL(wait4), CALL(waitid),
	/* who, when, how much */
	CALL(getpid), CALL(getppid), CALL(gettid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid),
	CALL(getresuid), CALL(getresgid), CALL(getgroups), CALL(getpgrp), CALL(getpgid), CALL(getsid), CALL(capget), CALL(uname), CALL(sysinfo),
	CALL(getrlimit), CALL(setrlimit), CALL(prlimit64), CALL(getrusage), CALL(times), CALL(getpriority), CALL(gettimeofday), CALL(time),
	CALL(clock_gettime), CALL(clock_getres), CALL(timer_create), CALL(timer_settime), CALL(timer_gettime),
	CALL(timer_delete), CALL(getrandom),
};

static const int deadly[] = {
	CALL(execve), CALL(execveat), CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(pidfd_getfd),
	CALL(init_module), CALL(finit_module), CALL(delete_module), CALL(kexec_load), CALL(kexec_file_load), CALL(reboot),
	CALL(bpf), CALL(perf_event_open), CALL(userfaultfd), CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot),
	CALL(move_mount), CALL(open_tree), CALL(fsopen), CALL(fsmount), CALL(mount_setattr), CALL(setns), CALL(unshare), CALL(swapon),
	CALL(swapoff), CALL(keyctl), CALL(add_key), CALL(request_key), CALL(open_by_handle_at),
};

/* Families of sockets: the control socket and the service manager, the metrics, interfaces, and ports on them. */
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_XDP};
/* clang-format on */

/* The action for all of them. */
static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = seccomp_rule_add(filter, action, calls[i], 0);
	return ret;
}

static int add_sockets(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(families) / sizeof(families[0]); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(socket), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
	return ret;
}

/* Memory that is written to is not executed, now or later; libraries that are loaded late pass. */
static int add_mappings(scmp_filter_ctx filter)
{
	const scmp_datum_t both = PROT_WRITE | PROT_EXEC, one_at_most[] = {0, PROT_WRITE, PROT_EXEC};
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(one_at_most) / sizeof(one_at_most[0]); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, both, one_at_most[i]));
	return ret != 0 ? ret
			: seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(mprotect), 1,
				  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/*
 * Threads and children, but no name spaces; clone3 is filter_clone3's. Signals go to this process alone.
 */
static int add_threads(scmp_filter_ctx filter)
{
	int ret = seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, CALL(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEW_ANY, 0));

	if (ret == 0)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(clone3), 0);
	return ret != 0 ? ret
			: seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1,
				  SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
}

/* For all threads, quick for what is allowed. */
static int attributes_set(scmp_filter_ctx filter)
{
	/* Workers would pay for the mitigation that kernels before 5.16 tie to a filter; no code of others
	 * runs here. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BINARY_TREE);
	return seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
}

/*
 * The flags of clone3 are in memory, where a filter can't see them; the C library takes clone where the
 * kernel does not know clone3. A filter of its own, since that is nothing for the log: it happens with each
 * new thread.
 */
static int filter_clone3(scmp_filter_ctx filter)
{
	int ret = attributes_set(filter);

	return ret != 0 ? ret : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);
}

static int filter_calls(scmp_filter_ctx filter)
{
	int ret = attributes_set(filter);

	/* Kernels before 4.14 can't. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (ret == 0)
		ret = add_all(filter, SCMP_ACT_ALLOW, CALLS(allowed));
	if (ret == 0)
		ret = add_all(filter, SCMP_ACT_KILL_PROCESS, CALLS(deadly));
	if (ret == 0)
		ret = add_sockets(filter);
	if (ret == 0)
		ret = add_mappings(filter);
	return ret != 0 ? ret : add_threads(filter);
}

/* A filter with that action for what its rules don't name. Of several, a call gets the strictest answer. */
static int load(uint32_t otherwise, int (*rules_add)(scmp_filter_ctx filter))
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int ret = filter ? rules_add(filter) : -ENOMEM;

	if (ret == 0)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}

int syscall_filter_install(struct err *err)
{
	/* The first one lets through what loads the second. */
	int ret = load(SCMP_ACT_ALLOW, filter_clone3);

	if (ret == 0)
		ret = load(SCMP_ACT_ERRNO(EPERM), filter_calls);
	if (ret != 0)
		return err_set(err, -ret,
			"the filter of system calls can't be set up: %s (--no-seccomp does without)",
			strerror(-ret));
	return 0;
}
