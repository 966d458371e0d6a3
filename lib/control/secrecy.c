#include "control/secrecy.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

static bool has_ipc_lock(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_IPC_LOCK) != 0;
}

/* Any limit but none is too low: EAL reserves far more than it uses. */
static bool may_lock_all(void)
{
	struct rlimit limit;

	if (has_ipc_lock())
		return true;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_max != RLIM_INFINITY)
		return false;
	limit.rlim_cur = RLIM_INFINITY;
	return setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

void secrecy_begin(void)
{
	const struct rlimit none = {0};

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (!may_lock_all())
		log_warning("keys may be swapped to disk: this user may not lock memory; set "
			    "LimitMEMLOCK=infinity "
			    "in the service (`ulimit -l unlimited` in a shell), or turn swap off");
	else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_warning("keys may be swapped to disk: memory can't be locked: %s", strerror(errno));
}
