/*
 * The system calls that the running daemon may make (seccomp): those of forwarding, of the control thread and
 * its sockets and files, of threads and of the C library beside them.
 *
 * Control thread, once, when ports are open and workers run. A call that is not among them fails with EPERM,
 * and the kernel's audit log has it. One that only somebody who has taken the process over would make
 * (another program, a debugger's calls, kernel modules, mounts, name spaces, BPF) ends the process: the
 * service manager starts it anew. Memory is writable or executable, not both. Limits: x86-64; paths are not
 * looked at, which is the service manager's to do.
 */
#ifndef CULVERT_CONTROL_SYSCALL_FILTER_H
#define CULVERT_CONTROL_SYSCALL_FILTER_H

#include "base/err.h"

/* For all threads, for good. Returns 0 or -errno with err set. */
int syscall_filter_install(struct err *err);

#endif
