/*
 * The control directory, and the lock that makes one daemon its only holder.
 */
#ifndef CULVERT_CONTROL_LOCK_H
#define CULVERT_CONTROL_LOCK_H

#include "base/err.h"
#include "model/gateway.h"

/*
 * Where the configuration names no control directory, set the usual one: /run/culvert for root, else
 * $XDG_RUNTIME_DIR/culvert, else /tmp/culvert-UID. The same for the socket in it.
 */
void control_directory_set(struct gateway *gateway);

/*
 * Make the directory (mode 0700) if it isn't there, and lock the file `lock` in it. Returns the descriptor
 * that holds the lock until it is closed; -EBUSY when another process has it; else -errno. err is set on
 * failure.
 */
int control_lock(const char *directory, struct err *err);

#endif
