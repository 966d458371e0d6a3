/*
 * A configuration that is read and compared by a thread of its own, while the control thread goes on serving.
 *
 * Control thread; commands_change.c begins it, control's loop asks whether it is done. The thread reads the
 * file, checks it, and finds what is different: plain data of config and model, without DPDK. It reads the
 * running model and the index of SAs' names, which stay as they are meanwhile, since nobody else's change is
 * made until this one is (REQUEST_WAITS). The change itself is made by the control thread, which also gives
 * the answer. Limits: one at a time; a thread that parses is not interrupted, so that a stop waits for it.
 */
#ifndef CULVERT_CONTROL_RELOADING_H
#define CULVERT_CONTROL_RELOADING_H

#include "control/request.h"

/* What is wanted. The texts are the request's, or last longer. */
struct reloading_conf {
	const char *path;
	const char *by; /* for the log and for events: the command's name */
	bool is_dry;
};

/* May a change be made, or must it wait? */
static inline bool reloading_is_under_way(const struct control *control)
{
	return control->reloading != NULL;
}

/*
 * Begin. None is under way. Returns REQUEST_LATER, and the request is this one's until it is answered; or
 * -errno with request->err set.
 */
int reloading_begin(struct request *request, const struct reloading_conf *conf);

/* Make the change, and answer, once all is read and compared. */
void reloading_poll(struct control *control);

/* The connection goes: what it asked for is done nevertheless, and nobody is told. */
void reloading_forget(struct control *control, const struct connection *connection);

/* End one that is under way; nothing has changed then, and its answer says so. */
void reloading_end(struct control *control);

#endif
