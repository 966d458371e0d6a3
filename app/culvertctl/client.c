#include "client.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/array.h"
#include "command.h"

#define READ_BYTES ((size_t)64 << 10)
#define MS_PER_S   1000
#define PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* JSON may have been made of a key. */
static void wiping_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/* As the daemon chooses it (control/lock.h); an operator who has no daemon of his own means the machine's. */
static void usual_path(char path[PATH_BYTES])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat status;

	if (geteuid() != 0) {
		if (runtime)
			snprintf(path, PATH_BYTES, "%s/culvert/control.sock", runtime);
		else
			snprintf(path, PATH_BYTES, "/tmp/culvert-%u/control.sock", geteuid());
		/* In /tmp anybody may have made it. */
		if (lstat(path, &status) == 0 && status.st_uid == geteuid())
			return;
	}
	snprintf(path, PATH_BYTES, "%s", COMMAND_SOCKET_DEFAULT);
}

/* The group that may connect, as far as this user can see it: of the socket, or of its directory. */
static const char *group_of(const char *path)
{
	struct stat status;
	const struct group *group;
	char copy[PATH_BYTES];

	snprintf(copy, sizeof(copy), "%s", path);
	if (stat(path, &status) != 0 && stat(dirname(copy), &status) != 0)
		return NULL;
	group = getgrgid(status.st_gid);
	return group ? group->gr_name : NULL;
}

static int connect_failure(const char *path, int code, struct err *err)
{
	const char *group;

	if (code == ENOENT || code == ECONNREFUSED)
		return err_set(err, code,
			"nobody listens at %s: is culvertd running? `systemctl status culvert` tells; "
			"--socket "
			"names another place",
			path);
	if (code != EACCES && code != EPERM)
		return err_set(err, code, "%s: %s", path, strerror(code));
	group = group_of(path);
	return group && strcmp(group, "root") != 0
		       ? err_set(err, code,
				 "this user may not use %s: root and members of the group %s may (`usermod "
				 "-aG "
				 "%s USER`, then log in anew)",
				 path, group, group)
		       : err_set(err, code, "this user may not use %s: root may", path);
}

int client_open(struct client *client, const char *path, unsigned timeout_s, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int code;

	*client = (struct client){.fd = -1, .timeout_s = timeout_s};
	json_set_alloc_funcs(malloc, wiping_free);
	if (path && strlen(path) >= PATH_BYTES)
		return err_set(err, ENAMETOOLONG, "%s: a socket's path has at most %zu characters", path,
			PATH_BYTES - 1);
	if (path)
		memcpy(address.sun_path, path, strlen(path));
	else
		usual_path(address.sun_path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return err_set(err, errno, "a socket can't be made: %s", strerror(errno));
	if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	code = errno;
	client_close(client);
	return connect_failure(address.sun_path, code, err);
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->bytes);
	client->bytes = NULL;
	json_decref(client->error);
	client->error = NULL;
}

/* Wait until the daemon takes or gives something. */
static int ready_wait(const struct client *client, short events, struct err *err)
{
	struct pollfd wait = {.fd = client->fd, .events = events};
	int n;

	do
		n = poll(&wait, 1, client->timeout_s > 0 ? (int)client->timeout_s * MS_PER_S : -1);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return n == 0 ? err_set(err, ETIMEDOUT, "culvertd has not answered in %u s", client->timeout_s)
		      : err_set(err, errno, "the control socket: %s", strerror(errno));
}

/* A daemon that refuses may close before it has read all; its answer is there nevertheless. */
static int send_all(const struct client *client, const char *bytes, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t sent;
		int ret = ready_wait(client, POLLOUT, err);

		if (ret != 0)
			return ret;
		sent = send(client->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(err, errno, "the control socket: %s", strerror(errno));
		bytes += sent > 0 ? sent : 0;
		n -= sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

static int request_send(const struct client *client, const char *command, json_t *arguments, struct err *err)
{
	json_t *request = json_pack("{s:i, s:s, s:o}", "version", CLIENT_VERSION, "command", command,
		"arguments", arguments ? arguments : json_object());
	char *line = json_dumps(request, JSON_COMPACT);
	int ret;

	json_decref(request);
	if (!line)
		return err_set(err, EINVAL, "the request is not UTF-8 text");
	/* The end of the string becomes the end of the line. */
	size_t length = strlen(line);
	line[length] = '\n';
	ret = send_all(client, line, length + 1, err);
	wiping_free(line);
	return ret;
}

/* More bytes; 0 at the end of the connection, negative with err set. */
static ssize_t more_read(struct client *client, struct err *err)
{
	ssize_t got;
	int ret = ready_wait(client, POLLIN, err);

	if (ret != 0)
		return ret;
	if (client->capacity - client->used < READ_BYTES) {
		client->capacity = 2 * client->capacity + READ_BYTES;
		client->bytes = realloc(client->bytes, client->capacity);
		if (!client->bytes)
			abort();
	}
	do
		got = recv(client->fd, client->bytes + client->used, READ_BYTES, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == ECONNRESET ? 0
					   : err_set(err, errno, "the control socket: %s", strerror(errno));
	client->used += (size_t)got;
	return got;
}

static const char *line_end(const struct client *client, size_t seen)
{
	return client->used > seen ? memchr(client->bytes + seen, '\n', client->used - seen) : NULL;
}

json_t *client_listen(struct client *client, struct err *err)
{
	json_error_t fault;
	json_t *value;
	const char *end;
	size_t length;

	for (size_t seen = 0; !(end = line_end(client, seen));) {
		ssize_t got;

		seen = client->used;
		got = more_read(client, err);
		if (got <= 0)
			return NULL;
	}
	length = (size_t)(end - client->bytes) + 1;
	value = json_loadb(client->bytes, length, 0, &fault);
	if (!value)
		err_set(err, EPROTO, "culvertd's answer is no JSON: %s", fault.text);
	client->used -= length;
	memmove(client->bytes, client->bytes + length, client->used);
	return value;
}

/* The result of an answer, or NULL with what is wrong in err. */
static json_t *answer_open(struct client *client, json_t *answer, struct err *err)
{
	json_int_t version = json_integer_value(json_object_get(answer, "version"));
	const char *text;

	if (version != CLIENT_VERSION) {
		err_set(err, EPROTO,
			"culvertd speaks version %d of the protocol, this culvertctl version %d: use the "
			"one that was installed with it",
			(int)version, CLIENT_VERSION);
		return NULL;
	}
	if (json_is_true(json_object_get(answer, "ok")))
		return json_incref(json_object_get(answer, "result"));
	client->error = json_incref(json_object_get(answer, "error"));
	text = json_string_value(json_object_get(client->error, "text"));
	err_set(err, EINVAL, "%s", text ? text : "culvertd refused, and did not say why");
	return NULL;
}

json_t *client_call(struct client *client, const char *command, json_t *arguments, struct err *err)
{
	json_t *answer, *result;

	json_decref(client->error);
	client->error = NULL;
	err->text[0] = '\0';
	if (request_send(client, command, arguments, err) != 0)
		return NULL;
	answer = client_listen(client, err);
	if (!answer) {
		if (err->text[0] == '\0')
			err_set(err, ECONNRESET, "culvertd closed the connection without an answer");
		return NULL;
	}
	result = answer_open(client, answer, err);
	json_decref(answer);
	return result;
}
