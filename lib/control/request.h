/*
 * A request by the control socket: one line of JSON to a command, and its answer to one line.
 *
 * Main thread only. `{"command": "show-sa", "arguments": {"name": "hq"}}` is answered with
 * `{"version": 1, "ok": true, "result": {...}}`, or `"ok": false` and an `error`; a request's `id` comes back
 * with its answer.
 */
#ifndef CULVERT_CONTROL_REQUEST_H
#define CULVERT_CONTROL_REQUEST_H

#include "base/report.h"
#include "control/connection.h"
#include "control/control.h"

#include <jansson.h>

/* What command_run returns beside 0 and errors. */
#define REQUEST_LATER 1 /* the request is the command's, which calls request_end with what came of it */
#define REQUEST_WAITS 2 /* not now: nothing was done, and it is to be asked again */

struct request {
	struct control *control;
	struct connection *connection; /* NULL: nobody's, a signal's, or of who has left */
	bool is_signal;                /* the log has the answer */
	json_t *root;                  /* what came */
	json_t *arguments;             /* an object, which may be empty */
	json_t *result;                /* an object, for the command to fill */
	struct err err;                /* for the command to fill when it fails */
	struct report report;          /* the same, of a configuration */
	const char *findings_of;       /* what the paths in it are of; see docs/control-protocol.md */
};

/* Returns 0, REQUEST_LATER, REQUEST_WAITS, or a negative errno with request->err set; findings in
 * request->report count as well. */
typedef int (*command_run)(struct request *request);

struct command {
	const char *name;
	command_run run;
	const char *arguments; /* the names that it takes, separated by spaces */
	const char *text;      /* one sentence, for docs/control-protocol.md */
};

/* A table of commands, and the end of it has no name. */
extern const struct command commands_show[];     /* control/commands_show.c */
extern const struct command commands_show_sas[]; /* control/commands_show_sas.c */
extern const struct command commands_change[];   /* control/commands_change.c */
extern const struct command commands_watch[];    /* control/commands_watch.c */

/* All commands: the i-th, or NULL behind the last. */
const struct command *command_at(size_t i);

/*
 * Answer one line. The answer is queued on the connection; one that comes later makes the connection await
 * it. False if the line has to wait: it is to be kept, and the connection awaits its turn.
 */
bool request_answer(struct control *control, struct connection *connection, const char *line, size_t length);

/* Answer a request that a command has kept, with what the command would have returned, and free it. */
void request_end(struct request *request, int ret);

/*
 * The command `reload` without a connection, as a signal asks for it; the log has the answer, and the service
 * manager is told of its end. None is under way.
 */
void request_reload(struct control *control);

/* Refuse: an answer without a request, as of a connection that can't be served. The caller frees it. */
json_t *request_refusal(const char *text);

/*
 * The arguments. A missing one that is needed, or one of another type, is -EINVAL with request->err set;
 * *value keeps what it was where an argument that is not needed is missing.
 */
int request_string(struct request *request, const char *name, bool is_needed, const char **value);
int request_number(struct request *request, const char *name, bool is_needed, uint64_t max, uint64_t *value);
int request_bool(struct request *request, const char *name, bool *value);

#endif
