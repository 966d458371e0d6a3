#include "control/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/syscall_filter.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

/* Nobody else here uses real-time signals. */
#define DROP_SIGNAL SIGRTMIN
/* A thread that has not run its handler by then blocks signals. */
#define DROP_TIMEOUT_NS  (5 * CLOCK_NS_PER_S)
#define DROP_LOOK_US     100
#define DROP_THREADS_MAX 1024

#define CAP_BIT(cap) (UINT64_C(1) << (cap))

static bool memlock_is_unlimited(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

static int capabilities_get(struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)syscall(SYS_capget, &header, data);
}

static bool has_capability(unsigned cap)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return capabilities_get(data) == 0 && (data[cap / 32].effective >> cap % 32 & 1);
}

/* Does the device string begin with the driver's name? */
static bool is_kind(const char *device, const char *driver)
{
	return strncmp(device, driver, strlen(driver)) == 0;
}

static uint64_t port_needs(const char *device)
{
	/* They change the interface that they are on when they stop. */
	if (is_kind(device, "net_af_packet") || is_kind(device, "net_tap") || is_kind(device, "net_af_xdp"))
		return CAP_BIT(CAP_NET_ADMIN) | CAP_BIT(CAP_NET_RAW);
	if (is_kind(device, "net_pcap") && strstr(device, "iface="))
		return CAP_BIT(CAP_NET_RAW);
	return 0;
}

uint64_t privileges_needed(const struct gateway *gateway)
{
	uint64_t needed = 0;

	for (size_t i = 0; i < gateway->n_ports; i++)
		needed |= port_needs(gateway->ports[i].device);
	/* What is mapped later is locked too, and the limit would end that (control/secrecy.h). */
	return memlock_is_unlimited() ? needed : needed | CAP_BIT(CAP_IPC_LOCK);
}

/*
 * The calling thread's capabilities become those that it has of `kept`, none of them passed on. Only system
 * calls, so that a signal handler may do it. Returns 0 or -1.
 */
static int thread_drop(uint64_t kept)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (capabilities_get(data) != 0)
		return -1;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(kept >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
		syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_capset, &header, data);
}

/* What the handler in another thread reads and counts; it can be nowhere but here. */
static struct {
	_Atomic uint64_t kept;
	_Atomic unsigned n_done;
	_Atomic unsigned n_failed;
} drop;

static void on_drop(int number __attribute__((unused)))
{
	int saved = errno;

	if (thread_drop(atomic_load(&drop.kept)) != 0)
		atomic_fetch_add(&drop.n_failed, 1);
	atomic_fetch_add(&drop.n_done, 1);
	errno = saved;
}

static bool is_known(const pid_t *threads, unsigned n, pid_t thread)
{
	for (unsigned i = 0; i < n; i++)
		if (threads[i] == thread)
			return true;
	return false;
}

/* Signal each thread that is not among the n known ones, and add it to them. -errno if there is no list. */
static int signal_new_threads(pid_t *threads, unsigned *n)
{
	DIR *directory = opendir("/proc/self/task");
	const struct dirent *entry;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory)) && *n < DROP_THREADS_MAX) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

		if (thread > 0 && !is_known(threads, *n, thread) &&
			syscall(SYS_tgkill, getpid(), thread, DROP_SIGNAL) == 0)
			threads[(*n)++] = thread;
	}
	closedir(directory);
	return 0;
}

static bool wait_done(unsigned n)
{
	uint64_t end_ns = clock_now_ns() + DROP_TIMEOUT_NS;

	while (atomic_load(&drop.n_done) < n && clock_now_ns() < end_ns)
		usleep(DROP_LOOK_US);
	return atomic_load(&drop.n_done) >= n;
}

/*
 * Capabilities are each thread's own, and DPDK has threads that run none of our code, so that each is made to
 * drop its own by a signal. A thread that was started meanwhile, by one that had not dropped them yet, is
 * found by looking again until there is no new one.
 */
static int threads_drop(struct err *err)
{
	pid_t threads[DROP_THREADS_MAX];
	unsigned n = 0, before;

	do {
		int ret;

		before = n;
		ret = signal_new_threads(threads, &n);
		if (ret != 0)
			return err_set(err, -ret, "/proc/self/task can't be read: %s", strerror(-ret));
		if (!wait_done(n))
			return err_set(err, ETIMEDOUT,
				"a thread does not give up its capabilities: it blocks signals");
	} while (n > before && n < DROP_THREADS_MAX);
	return atomic_load(&drop.n_failed) == 0 && n < DROP_THREADS_MAX
		       ? 0
		       : err_set(err, EPERM, "a thread can't give up its capabilities");
}

static int capabilities_drop(uint64_t kept, struct err *err)
{
	const struct sigaction action = {.sa_handler = on_drop, .sa_flags = SA_RESTART};
	struct sigaction saved;
	int ret;

	atomic_store(&drop.kept, kept);
	atomic_store(&drop.n_done, 0);
	atomic_store(&drop.n_failed, 0);
	sigaction(DROP_SIGNAL, &action, &saved);
	ret = threads_drop(err);
	sigaction(DROP_SIGNAL, &saved, NULL);
	return ret;
}

/* What the calling thread has, `net_admin,net_raw` */
static const char *capabilities_text(char *buf, size_t size)
{
	static const struct {
		unsigned cap;
		const char *name;
	} names[] = {{CAP_NET_ADMIN, "net_admin"}, {CAP_NET_RAW, "net_raw"}, {CAP_IPC_LOCK, "ipc_lock"}};

	snprintf(buf, size, "none");
	for (size_t i = 0, used = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (has_capability(names[i].cap))
			used += (size_t)snprintf(
				buf + used, size - used, "%s%s", used > 0 ? "," : "", names[i].name);
	return buf;
}

int privileges_drop(const struct gateway *gateway, bool filter, struct err *err)
{
	uint64_t needed = privileges_needed(gateway);
	char text[64];
	int ret;

	if (HAS_SANITIZER)
		return 0;
	ret = capabilities_drop(needed, err);
	if (ret == 0 && filter)
		ret = syscall_filter_install(err);
	if (ret == 0)
		log_info("capabilities=%s syscall_filter=%s", capabilities_text(text, sizeof(text)),
			filter ? "on" : "off");
	return ret;
}
