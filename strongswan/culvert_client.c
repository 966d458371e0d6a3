#include "culvert_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A change waits while a large configuration is read anew. */
#define ANSWER_SECONDS_MAX 30
#define ANSWER_BYTES_MAX   (4 * 1024 * 1024)
#define PROTOCOL_VERSION   1
#define FINDINGS_LOGGED    3

void culvert_client_init(struct culvert_client *client, const char *path)
{
	client->path = path;
	client->requests = -1;
	client->events = -1;
	client->used = 0;
}

bool culvert_client_is_connected(const struct culvert_client *client)
{
	return client->requests >= 0;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void culvert_client_disconnect(struct culvert_client *client)
{
	close_one(&client->requests);
	close_one(&client->events);
	client->used = 0;
}

static int connect_one(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_SECONDS_MAX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close_one(&fd);
	return -1;
}

static bool send_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		data += sent;
		length -= (size_t)sent;
	}
	return true;
}

/* The line of an answer, the caller's; NULL if none comes. No answer holds a key. */
static char *receive_line(int fd)
{
	size_t room = BUF_LEN, used = 0;
	char *line = malloc(room);

	while (line && used < ANSWER_BYTES_MAX) {
		ssize_t received = recv(fd, line + used, room - used - 1, 0);

		if (received < 0 && errno == EINTR)
			continue;
		if (received <= 0)
			break;
		used += (size_t)received;
		line[used] = '\0';
		if (line[used - 1] == '\n')
			return line;
		if (used == room - 1)
			line = realloc(line, room *= 2);
	}
	free(line);
	return NULL;
}

json_t *culvert_key_place(const struct culvert_key *key)
{
	size_t digits = 2 * (key->encryption.len + key->integrity.len);
	char *text = calloc(1, digits + 3);
	json_t *json;

	strcpy(text, "0x");
	memset(text + 2, '0', digits);
	json = json_string(text);
	free(text);
	return json;
}

static char *hex_write(char *to, chunk_t bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes.len; i++) {
		*to++ = digits[bytes.ptr[i] >> 4];
		*to++ = digits[bytes.ptr[i] & 0xf];
	}
	return to;
}

static void key_put(char *text, const struct culvert_key *key)
{
	static const char before[] = "\"key\":\"0x";
	char *place = strstr(text, before);

	if (place)
		hex_write(hex_write(place + strlen(before), key->encryption), key->integrity);
}

static void log_refusal(const char *command, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "text"));
	json_t *findings = json_object_get(error, "findings"), *finding;
	size_t i;

	DBG1(DBG_KNL, "culvertd refuses '%s': %s", command, text ? text : "it does not say why");
	json_array_foreach(findings, i, finding)
	{
		const char *path = json_string_value(json_object_get(finding, "path"));
		const char *what = json_string_value(json_object_get(finding, "text"));

		if (i < FINDINGS_LOGGED)
			DBG1(DBG_KNL, "  %s: %s", path ? path : "?", what ? what : "?");
	}
}

/* Send a request and read its answer's text, the caller's. */
static char *exchange(int fd, const char *command, json_t *arguments, const struct culvert_key *key)
{
	json_t *request = json_pack(
		"{s:i, s:s, s:o}", "version", PROTOCOL_VERSION, "command", command, "arguments", arguments);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL, *answer = NULL;

	json_decref(request);
	if (!text)
		return NULL;
	if (key)
		key_put(text, key);
	if (send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1))
		answer = receive_line(fd);
	memwipe(text, strlen(text));
	free(text);
	return answer;
}

static json_t *result_take(const char *command, const char *answer)
{
	json_t *json = json_loads(answer, 0, NULL), *result = NULL;

	if (json_is_true(json_object_get(json, "ok")))
		result = json_incref(json_object_get(json, "result"));
	else
		log_refusal(command, json_object_get(json, "error"));
	json_decref(json);
	return result;
}

json_t *culvert_client_ask(
	struct culvert_client *client, const char *command, json_t *arguments, const struct culvert_key *key)
{
	char *answer;
	json_t *result;

	if (!culvert_client_is_connected(client)) {
		DBG1(DBG_KNL, "culvertd is not there, so '%s' is not done", command);
		json_decref(arguments);
		return NULL;
	}
	answer = exchange(client->requests, command, arguments, key);
	if (!answer) {
		DBG1(DBG_KNL, "culvertd does not answer '%s'", command);
		close_one(&client->requests);
		/* Whoever waits for events hears that they are over, and connects anew. */
		shutdown(client->events, SHUT_RDWR);
		return NULL;
	}
	result = result_take(command, answer);
	free(answer);
	return result;
}

static bool events_begin(struct culvert_client *client)
{
	char *answer = exchange(client->events, "events", json_object(), NULL);
	json_t *result = answer ? result_take("events", answer) : NULL;
	bool has_begun = result != NULL;

	free(answer);
	json_decref(result);
	return has_begun && fcntl(client->events, F_SETFL, O_NONBLOCK) == 0;
}

static void log_unreachable(struct culvert_client *client)
{
	if (!client->was_refused)
		DBG1(DBG_KNL, "connecting to culvertd at '%s' failed: %s; trying again", client->path,
			strerror(errno));
	client->was_refused = true;
}

bool culvert_client_connect(struct culvert_client *client)
{
	culvert_client_disconnect(client);
	client->requests = connect_one(client->path);
	client->events = client->requests < 0 ? -1 : connect_one(client->path);
	if (client->events < 0) {
		log_unreachable(client);
		culvert_client_disconnect(client);
		return false;
	}
	client->was_refused = false;
	if (events_begin(client))
		return true;
	DBG1(DBG_KNL, "culvertd at '%s' tells no events", client->path);
	culvert_client_disconnect(client);
	return false;
}

/* Call with each whole line, and keep the rest. */
static void lines_take(
	struct culvert_client *client, void (*hear)(void *argument, json_t *event), void *argument)
{
	char *start = client->line, *end;

	while ((end = memchr(start, '\n', client->used)) != NULL) {
		json_t *event = json_loadb(start, (size_t)(end - start), 0, NULL);

		if (event)
			hear(argument, event);
		json_decref(event);
		client->used -= (size_t)(end + 1 - start);
		start = end + 1;
	}
	memmove(client->line, start, client->used);
	if (client->used == sizeof(client->line))
		client->used = 0;
}

bool culvert_client_read_events(
	struct culvert_client *client, void (*hear)(void *argument, json_t *event), void *argument)
{
	for (;;) {
		ssize_t received = recv(
			client->events, client->line + client->used, sizeof(client->line) - client->used, 0);

		if (received < 0 && errno == EINTR)
			continue;
		if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (received <= 0)
			return false;
		client->used += (size_t)received;
		lines_take(client, hear, argument);
	}
}
