#include "control/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/array.h"

#define READ_CHUNK_BYTES ((size_t)16 << 10)

struct connection *connection_create(int fd, uint64_t now_ns)
{
	struct connection *connection = xcalloc(1, sizeof(*connection));

	connection->fd = fd;
	connection->active_ns = now_ns;
	return connection;
}

/* A line may have carried a key. */
static void buffer_fini(struct connection_buffer *buffer)
{
	if (buffer->bytes)
		explicit_bzero(buffer->bytes, buffer->capacity);
	free(buffer->bytes);
	*buffer = (struct connection_buffer){0};
}

void connection_destroy(struct connection *connection)
{
	close(connection->fd);
	buffer_fini(&connection->in);
	buffer_fini(&connection->out);
	free(connection);
}

/* Make room for so many bytes more, by hand, so that nothing is left behind unwiped. */
static void buffer_reserve(struct connection_buffer *buffer, size_t bytes)
{
	struct connection_buffer grown = {.used = buffer->used, .capacity = buffer->capacity};

	if (buffer->capacity - buffer->used >= bytes)
		return;
	while (grown.capacity - grown.used < bytes)
		grown.capacity = grown.capacity ? 2 * grown.capacity : READ_CHUNK_BYTES;
	grown.bytes = xcalloc(grown.capacity, 1);
	if (buffer->bytes)
		memcpy(grown.bytes, buffer->bytes, buffer->used);
	buffer_fini(buffer);
	*buffer = grown;
}

static void buffer_take(struct connection_buffer *buffer, size_t bytes)
{
	memmove(buffer->bytes, buffer->bytes + bytes, buffer->used - bytes);
	buffer->used -= bytes;
	explicit_bzero(buffer->bytes + buffer->used, bytes);
	if (buffer->used == 0 && buffer->capacity > READ_CHUNK_BYTES)
		buffer_fini(buffer);
}

/* The length of the first line that has come whole, its end not counted; false if none has. */
static bool line_find(struct connection *connection, size_t *length)
{
	const struct connection_buffer *in = &connection->in;
	const char *end = in->used > connection->in_seen ? memchr(in->bytes + connection->in_seen, '\n',
								   in->used - connection->in_seen)
							 : NULL;

	if (end)
		*length = (size_t)(end - in->bytes);
	else
		connection->in_seen = in->used;
	return end != NULL;
}

/* What the socket has now; false at its end. */
static bool input_read(struct connection *connection, uint64_t now_ns)
{
	struct connection_buffer *in = &connection->in;
	ssize_t got;

	buffer_reserve(in, READ_CHUNK_BYTES);
	got = recv(connection->fd, in->bytes + in->used, READ_CHUNK_BYTES, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got > 0)
		connection->active_ns = now_ns;
	in->used += (size_t)got;
	return got > 0;
}

enum connection_input connection_line(
	struct connection *connection, uint64_t now_ns, char **line, size_t *length)
{
	bool is_open;

	if (!line_find(connection, length)) {
		is_open = input_read(connection, now_ns);
		if (!line_find(connection, length)) {
			if (!is_open)
				return CONNECTION_END;
			return connection->in.used > CONNECTION_LINE_MAX ? CONNECTION_TOO_LONG
									 : CONNECTION_NOTHING;
		}
	}
	if (*length > CONNECTION_LINE_MAX)
		return CONNECTION_TOO_LONG;
	*line = connection->in.bytes;
	(*line)[*length] = '\0';
	return CONNECTION_LINE;
}

void connection_line_done(struct connection *connection, size_t length)
{
	buffer_take(&connection->in, length + 1);
	connection->in_seen = 0;
}

void connection_line_keep(struct connection *connection, size_t length)
{
	connection->in.bytes[length] = '\n';
}

bool connection_send(struct connection *connection, const json_t *value)
{
	struct connection_buffer *out = &connection->out;
	size_t bytes = json_dumpb(value, NULL, 0, JSON_COMPACT);

	if (bytes == 0 || out->used + bytes + 1 > CONNECTION_UNREAD_MAX)
		return false;
	buffer_reserve(out, bytes + 1);
	json_dumpb(value, out->bytes + out->used, bytes, JSON_COMPACT);
	out->bytes[out->used + bytes] = '\n';
	out->used += bytes + 1;
	return true;
}

void connection_tell(struct connection *connection, json_t *event)
{
	if (connection->lost > 0)
		json_object_set_new(event, "lost", json_integer((json_int_t)connection->lost));
	if (connection_send(connection, event))
		connection->lost = 0;
	else
		connection->lost++;
	json_object_del(event, "lost");
}

bool connection_flush(struct connection *connection, uint64_t now_ns)
{
	struct connection_buffer *out = &connection->out;
	ssize_t sent;

	if (out->used == 0)
		return true;
	sent = send(connection->fd, out->bytes, out->used, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	connection->active_ns = now_ns;
	buffer_take(out, (size_t)sent);
	return true;
}
