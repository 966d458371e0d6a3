/*
 * Keys stay in memory: no core file, no debugger of the same user, no swap (RFC 4301 section 4.4.2.1 has keys
 * in the SA; RFC 8221 expects them secret).
 *
 * Main thread, once, before the first key is read; what is mapped later is locked too. Pages are locked as
 * they are used (MLOCK_ONFAULT), since most of what DPDK reserves never is. MADV_DONTDUMP has no place beside
 * that: a process that is not dumpable has no core file to be left out of, not even through a pipe. Limits:
 * hibernation writes all memory, and a virtual machine's host may swap it.
 */
#ifndef CULVERT_CONTROL_SECRECY_H
#define CULVERT_CONTROL_SECRECY_H

/*
 * Do all of it. Where the process may not lock as much as it will map (RLIMIT_MEMLOCK, without CAP_IPC_LOCK),
 * nothing is locked, since later mappings would fail, and a warning says so and what to do.
 */
void secrecy_begin(void);

#endif
