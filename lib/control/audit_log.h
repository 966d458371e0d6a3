/*
 * The audit log (RFC 4301 section 9): what workers recorded of auditable events, one line each, and how many
 * more there were.
 *
 * The control thread alone. The configuration's `control.audit` turns it off, and then workers record
 * nothing.
 */
#ifndef CULVERT_CONTROL_AUDIT_LOG_H
#define CULVERT_CONTROL_AUDIT_LOG_H

#include "base/err.h"
#include "net/drop.h"

#include <stdint.h>

struct control;

struct audit_log {
	uint64_t told[DROP_COUNT]; /* of the suppressed events, by reason */
	uint64_t next_ns;          /* when those that no record speaks of are told */
};

/* Give the workers, which exist and have not started, what they record into. 0, or -ENOMEM with err set. */
int audit_log_create(struct control *control, struct err *err);
/* They have stopped. What they recorded last is logged. */
void audit_log_destroy(struct control *control);

/* Log what was recorded since. */
void audit_log_poll(struct control *control, uint64_t now_ns);

#endif
