/*
 * The directories that one daemon holds, by a lock in each: the control directory, and the state directory.
 *
 * Control thread. Limits: locks are flock's, so the directories are on a local file system.
 */
#ifndef CULVERT_CONTROL_LOCK_H
#define CULVERT_CONTROL_LOCK_H

#include "base/err.h"
#include "model/gateway.h"

/*
 * Where the configuration names no control directory, set the usual one: the service's of systemd's, which is
 * in $RUNTIME_DIRECTORY; else /run/culvert for root, else $XDG_RUNTIME_DIR/culvert, else /tmp/culvert-UID.
 * The same for the socket in it.
 */
void control_directory_set(struct gateway *gateway);

/*
 * The same for the state directory: $STATE_DIRECTORY, which systemd sets, else /var/lib/culvert for root,
 * else $XDG_STATE_HOME/culvert, else $HOME/.local/state/culvert. It must outlive a reboot, so where there is
 * none of these it stays unset.
 */
void state_directory_set(struct gateway *gateway);

/*
 * Make the directory (mode 0700) if it isn't there, and lock the file `lock` in it. Returns the descriptor
 * that holds the lock until it is closed; -EBUSY when another process has it; else -errno. err is set on
 * failure.
 */
int control_lock(const char *directory, struct err *err);

/* The same for the state directory, whose lock is `sequences.lock`; both may be one directory. */
int state_lock(const char *directory, struct err *err);

#endif
