/*
 * The daemon's control socket, from the operator's side: a request is a line of JSON, and so is its answer.
 *
 * Called by culvertctl's commands; docs/control-protocol.md has the protocol. The caller owns the client, and
 * what a call returns. What is sent may hold keys, so that it is wiped; nothing of it is printed. Limits: one
 * request at a time.
 */
#ifndef CULVERT_CULVERTCTL_CLIENT_H
#define CULVERT_CULVERTCTL_CLIENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define CLIENT_VERSION 1 /* of the protocol */
/* A daemon that shows something does it at once; a change of 100,000 SAs may take its time. */
#define CLIENT_SHOW_TIMEOUT_S   20
#define CLIENT_CHANGE_TIMEOUT_S 900

struct client {
	int fd;
	unsigned timeout_s; /* without a byte from the daemon; 0: none */
	char *bytes;        /* what has come and was not taken yet */
	size_t used, capacity;
	json_t *error; /* what the daemon said of the last call that it refused: findings, or NULL */
};

/* Connect. NULL as the path is the usual one. Returns 0, or -errno with err saying what to do. */
int client_open(struct client *client, const char *path, unsigned timeout_s, struct err *err);
void client_close(struct client *client);

/*
 * Ask, and wait for the answer. `arguments`, an object or NULL, is taken over. Returns the result, which the
 * caller owns, or NULL with err set; then client->error has what the daemon said.
 */
json_t *client_call(struct client *client, const char *command, json_t *arguments, struct err *err);

/*
 * The next line that the daemon sends by itself, after a command that goes on telling; NULL at the end, with
 * err set if that is none.
 */
json_t *client_listen(struct client *client, struct err *err);

#endif
