/*
 * One connection to the control socket: lines in, lines out, never blocking.
 *
 * Control thread, by control/server.c, and by commands that go on telling (events). Limits: a line of at most
 * CONNECTION_LINE_MAX bytes; what the other side does not read waits up to CONNECTION_UNREAD_MAX bytes, and
 * what is told past that is counted as lost.
 */
#ifndef CULVERT_CONTROL_CONNECTION_H
#define CULVERT_CONTROL_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define CONNECTION_LINE_MAX   ((size_t)1 << 20)
#define CONNECTION_UNREAD_MAX ((size_t)4 << 20)

struct connection_buffer {
	char *bytes;
	size_t used;
	size_t capacity;
};

struct connection {
	int fd;
	struct connection_buffer in;
	struct connection_buffer out;
	size_t in_seen;     /* bytes of `in` that have no end of line among them */
	uint64_t active_ns; /* when bytes last came or went */
	bool is_closing;    /* when all is written */
	bool awaits;        /* an answer that comes later, or its turn: no further line is looked at */
	bool hears_events;
	uint64_t lost; /* events that found no room since the last one that did */
};

/* Take over a non-blocking socket. */
struct connection *connection_create(int fd, uint64_t now_ns);
void connection_destroy(struct connection *connection);

enum connection_input {
	CONNECTION_NOTHING, /* no whole line yet */
	CONNECTION_LINE,
	CONNECTION_TOO_LONG, /* the line is longer than can be taken */
	CONNECTION_END,      /* closed, or failed */
};

/*
 * The next line, NUL-terminated and without its end, in *line, which is good until connection_line_done.
 * Reads from the socket only if no whole line has come yet.
 */
enum connection_input connection_line(
	struct connection *connection, uint64_t now_ns, char **line, size_t *length);
void connection_line_done(struct connection *connection, size_t length);
/* Or it stays the next line. */
void connection_line_keep(struct connection *connection, size_t length);

/* Queue the value as one line. False if there was no room. */
bool connection_send(struct connection *connection, const json_t *value);
/* Queue an event, or count it as lost; the next one that goes says how many were. */
void connection_tell(struct connection *connection, json_t *event);

/* Write what is queued, as far as the socket takes it. False if the connection has failed. */
bool connection_flush(struct connection *connection, uint64_t now_ns);

static inline bool connection_has_output(const struct connection *connection)
{
	return connection->out.used > 0;
}

#endif
