/*
 * What the daemon gives up once it runs, so that whoever takes it over by a packet has little: capabilities,
 * new privileges, and system calls.
 *
 * Main thread, when ports are open and workers run. Limits: a NIC whose driver works through the kernel while
 * it runs (mlx5) is not known here; it would need CAP_NET_RAW. In a build with a sanitizer nothing is given
 * up, since its check at the end attaches to threads.
 */
#ifndef CULVERT_CONTROL_PRIVILEGES_H
#define CULVERT_CONTROL_PRIVILEGES_H

#include "base/err.h"
#include "model/gateway.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The capabilities that the gateway's ports need while they run, as a mask of 1 << CAP_*: for kinds that talk
 * to the kernel's interfaces CAP_NET_ADMIN and CAP_NET_RAW, for captures on one CAP_NET_RAW, for all others
 * none.
 */
uint64_t privileges_needed(const struct gateway *gateway);

/*
 * In every thread of the process: no capabilities but those needed, and no new ones by a program
 * (PR_SET_NO_NEW_PRIVS); then, if `filter`, no system calls but those of control/syscall_filter.h. Returns 0
 * or -errno; then the daemon must not go on.
 */
int privileges_drop(const struct gateway *gateway, bool filter, struct err *err);

#endif
