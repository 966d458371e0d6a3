/*
 * The control socket: a Unix stream socket by which operators and programs ask the gateway and change it.
 *
 * Main thread only: server_poll, in control's loop, takes what has come and never waits. Who may connect is
 * said by the socket's mode (0660) and group, and checked again by the credentials that the kernel gives.
 * docs/control-protocol.md has the protocol. Limits: SERVER_CONNECTIONS_MAX at a time; one more is told so
 * and closed, unless another has been quiet for SERVER_QUIET_S, which makes room.
 */
#ifndef CULVERT_CONTROL_SERVER_H
#define CULVERT_CONTROL_SERVER_H

#include "control/control.h"

#include <jansson.h>

#define SERVER_CONNECTIONS_MAX 64
/* A request that has begun must be whole, and a reply read, in this time when others wait. */
#define SERVER_QUIET_S 10
#define SERVER_VERSION 1 /* of the protocol */

struct server;

/* Listen at control->gateway->control_socket. Returns 0 or -errno with err naming the path. */
int server_create(struct control *control, struct err *err);
/* Close all connections and remove the socket. */
void server_destroy(struct control *control);

/* Serve what has come. */
void server_poll(struct control *control, uint64_t now_ns);

/* Does anyone hear events? If not, they need not be made. */
bool server_has_listeners(const struct control *control);
/* Tell all who hear events; `event`, which gets the time, is taken over. */
void server_tell(struct control *control, json_t *event);

#endif
