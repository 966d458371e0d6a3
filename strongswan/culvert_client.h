/*
 * The connections to culvertd's control socket (docs/control-protocol.md): one for requests and their
 * answers, one for events.
 *
 * Whoever calls holds a lock of his own; nothing here is for two threads at once, but that
 * culvert_client_read_events may run beside the rest. Keys go into the text of a request alone, which is
 * wiped when it is sent.
 */
#ifndef CULVERT_CLIENT_H
#define CULVERT_CLIENT_H

#include "strongswan.h"

#include <jansson.h>

#define CULVERT_EVENT_BYTES_MAX 65536 /* a longer line is no event that we know */

struct culvert_client {
	const char *path; /* borrowed */
	int requests;     /* -1: not connected */
	int events;
	bool was_refused;                   /* when it was tried last, which the log then says once */
	char line[CULVERT_EVENT_BYTES_MAX]; /* of events, as far as it has come */
	size_t used;
};

/* Keying material of an SA that is added: both parts, one behind the other, are its `key`. */
struct culvert_key {
	chunk_t encryption;
	chunk_t integrity;
};

void culvert_client_init(struct culvert_client *client, const char *path);

/* Connect both, and ask for events. False, having logged why, if culvertd does not answer. */
bool culvert_client_connect(struct culvert_client *client);
void culvert_client_disconnect(struct culvert_client *client);
bool culvert_client_is_connected(const struct culvert_client *client);

/*
 * Ask culvertd; the arguments are taken over. Returns its result, which is the caller's, or NULL, having
 * logged what culvertd says; where it does not answer at all, the client is disconnected then. `key`, if not
 * NULL, goes to where the arguments have culvert_key_place().
 */
json_t *culvert_client_ask(
	struct culvert_client *client, const char *command, json_t *arguments, const struct culvert_key *key);

/* What stands for the key in a request until it is sent. The caller's. */
json_t *culvert_key_place(const struct culvert_key *key);

/*
 * Read what has come of events, and call `hear` with each. False if the connection is over.
 */
bool culvert_client_read_events(
	struct culvert_client *client, void (*hear)(void *argument, json_t *event), void *argument);

#endif
