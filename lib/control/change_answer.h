/*
 * What is answered to a request that changes the gateway, and who else is told.
 *
 * Main thread; of a configuration that is being compared, its thread (control/reloading.h) names what is
 * different. The answer is the request's `result`, as docs/control-protocol.md has it.
 */
#ifndef CULVERT_CONTROL_CHANGE_ANSWER_H
#define CULVERT_CONTROL_CHANGE_ANSWER_H

#include "control/reload.h"
#include "control/request.h"

/* An empty summary, whose names go to the answer. */
void change_answer_init(struct request *request, struct reload_summary *summary);

/* How much of each kind is different, into the answer. */
void change_answer_count(struct request *request, const struct reload_summary *summary);

/*
 * Make the change, unless it is only to be told what it would be, and put into the answer whether it was made
 * and how long it took. Returns 0 or -errno, with request->err set or findings in request->report.
 */
int change_answer_make(struct request *request, struct change *change, bool is_dry);

/* Tell the log, and those who hear events, of a change that was made. */
void change_answer_tell(struct control *control, const char *by, const struct reload_summary *summary);

#endif
