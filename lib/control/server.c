#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/connection.h"
#include "control/reloading.h"
#include "control/request.h"

#define SOCKET_MODE    0660
#define DIRECTORY_MODE 0750
/* All of a burst of connections get an answer, if only that there are too many. */
#define BACKLOG 4096
/* Requests of one connection in a turn, and connections that are taken in a turn: others want their turn too.
 */
#define LINES_PER_TURN   8
#define ACCEPTS_PER_TURN 64
#define PEER_GROUPS_MAX  256

struct server {
	int listen_fd;
	int epoll_fd;
	gid_t group; /* whose members may connect, beside root and the daemon's own user */
	size_t n_connections;
	size_t n_listeners;
	struct connection *connections[SERVER_CONNECTIONS_MAX];
	char *path;
};

/* What JSON was made of may have been a key. */
static void wiping_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/* RFC 4301 has no word on who may change the SPD; here it is the group's members. */
static gid_t group_choose(const char *name)
{
	const struct group *group = getgrnam(name);

	return group ? group->gr_gid : getegid();
}

static int address_make(const char *path, struct sockaddr_un *address, struct err *err)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return err_set(err, ENAMETOOLONG,
			"control socket %s: the path is longer than %zu characters; set control.socket", path,
			sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, path, strlen(path));
	return 0;
}

/* Does anybody listen there? */
static bool is_alive(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is_dead = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
		       errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return !is_dead;
}

/*
 * What a daemon that was killed left behind. Only a socket is removed, and only a dead one: the lock is of
 * the control directory, and a daemon with another may have the same path set.
 */
static int leftover_remove(const char *path, const struct sockaddr_un *address, struct err *err)
{
	struct stat status;

	if (lstat(path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return err_set(err, EEXIST, "control socket %s: something else is there", path);
	if (is_alive(address))
		return err_set(err, EADDRINUSE,
			"control socket %s: another program listens there; set control.socket", path);
	return unlink(path) == 0 ? 0 : err_set(err, errno, "control socket %s: %s", path, strerror(errno));
}

/* The group is set before the mode, so that no moment has another group with access. */
static int socket_open(struct server *server, struct err *err)
{
	struct sockaddr_un address;
	const char *path = server->path;
	mode_t mask;
	int ret = address_make(path, &address, err);

	if (ret == 0)
		ret = leftover_remove(path, &address, err);
	if (ret != 0)
		return ret;
	server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->listen_fd < 0)
		return err_set(err, errno, "control socket %s: %s", path, strerror(errno));
	mask = umask(0777);
	ret = bind(server->listen_fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (ret != 0 || (server->group != getegid() && lchown(path, (uid_t)-1, server->group) != 0) ||
		chmod(path, SOCKET_MODE) != 0 || listen(server->listen_fd, BACKLOG) != 0)
		return err_set(err, errno, "control socket %s: %s", path, strerror(errno));
	return 0;
}

/* The group must get through the directory that this daemon made for itself. */
static int directory_share(const char *directory, gid_t group, struct err *err)
{
	if (group == getegid())
		return 0;
	if (chown(directory, (uid_t)-1, group) != 0 || chmod(directory, DIRECTORY_MODE) != 0)
		return err_set(err, errno, "control directory %s: %s", directory, strerror(errno));
	return 0;
}

static int watch(const struct server *server, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int server_create(struct control *control, struct err *err)
{
	struct server *server = xcalloc(1, sizeof(*server));
	int ret;

	json_set_alloc_funcs(malloc, wiping_free);
	server->path = xstrdup(control->gateway->control_socket);
	server->group = group_choose(control->gateway->control_group);
	server->listen_fd = -1;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	control->server = server;
	ret = server->epoll_fd < 0 ? err_set(err, errno, "control socket: %s", strerror(errno))
				   : directory_share(control->gateway->control_directory, server->group, err);
	if (ret == 0)
		ret = socket_open(server, err);
	if (ret == 0 && watch(server, server->listen_fd) != 0)
		ret = err_set(err, ENOMEM, "control socket: no memory");
	if (ret != 0)
		server_destroy(control);
	else
		log_info("control socket=%s", server->path);
	return ret;
}

static void connection_close(struct control *control, size_t i)
{
	struct server *server = control->server;

	reloading_forget(control, server->connections[i]);
	server->n_listeners -= server->connections[i]->hears_events;
	connection_destroy(server->connections[i]);
	server->connections[i] = server->connections[--server->n_connections];
}

void server_destroy(struct control *control)
{
	struct server *server = control->server;

	if (!server)
		return;
	while (server->n_connections > 0)
		connection_close(control, server->n_connections - 1);
	if (server->listen_fd >= 0) {
		close(server->listen_fd);
		unlink(server->path);
	}
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	free(server->path);
	free(server);
	control->server = NULL;
}

static bool peer_has_group(int fd, const struct ucred *peer, gid_t group)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t length = sizeof(groups);

	if (peer->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) != 0)
		return false;
	for (size_t i = 0; i < length / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The socket's mode says the same, as long as nobody changes it. */
static bool peer_is_allowed(const struct server *server, int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid() || peer_has_group(fd, &peer, server->group))
		return true;
	log_warning("control connection refused uid=%u pid=%d", peer.uid, peer.pid);
	return false;
}

/* Tell one line and close; whether it is read is not waited for. */
static void refuse(int fd, const char *text)
{
	json_t *refusal = request_refusal(text);
	char *line = json_dumps(refusal, JSON_COMPACT);

	if (line && send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		(void)send(fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	wiping_free(line);
	json_decref(refusal);
	close(fd);
}

/* One that hears events, or awaits an answer, is quiet while nothing happens; it is stuck only if it does not
 * read. */
static bool may_be_closed(const struct connection *connection, uint64_t now_ns)
{
	return !connection->awaits && (!connection->hears_events || connection_has_output(connection)) &&
	       now_ns - connection->active_ns >= SERVER_QUIET_S * CLOCK_NS_PER_S;
}

/* Make room by closing the connection that has been quiet longest, if it was for long. */
static bool room_make(struct control *control, uint64_t now_ns)
{
	struct server *server = control->server;
	struct connection **connections = server->connections;
	size_t quietest = SERVER_CONNECTIONS_MAX;

	if (server->n_connections < SERVER_CONNECTIONS_MAX)
		return true;
	for (size_t i = 0; i < server->n_connections; i++)
		if (may_be_closed(connections[i], now_ns) &&
			(quietest == SERVER_CONNECTIONS_MAX ||
				connections[i]->active_ns < connections[quietest]->active_ns))
			quietest = i;
	if (quietest == SERVER_CONNECTIONS_MAX)
		return false;
	connection_close(control, quietest);
	return true;
}

static void accept_one(struct control *control, int fd, uint64_t now_ns)
{
	struct server *server = control->server;

	if (!peer_is_allowed(server, fd))
		refuse(fd, "this user may not control the gateway");
	else if (!room_make(control, now_ns))
		refuse(fd, "too many connections");
	else if (watch(server, fd) != 0)
		refuse(fd, "no memory for another connection");
	else
		server->connections[server->n_connections++] = connection_create(fd, now_ns);
}

static void accept_all(struct control *control, uint64_t now_ns)
{
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(control->server->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		accept_one(control, fd, now_ns);
	}
}

static void too_long(struct connection *connection)
{
	json_t *refusal = request_refusal("the request is too long; a large configuration is applied by its "
					  "file's name");

	connection_send(connection, refusal);
	json_decref(refusal);
	connection->is_closing = true;
}

/* Answer requests that have come, but none while an answer waits to be read. */
static void connection_serve(struct control *control, struct connection *connection, uint64_t now_ns)
{
	for (unsigned i = 0; i < LINES_PER_TURN && !connection->is_closing && !connection->awaits; i++) {
		size_t length;
		char *line;

		if (!connection_flush(connection, now_ns))
			connection->is_closing = true;
		if (connection_has_output(connection) && !connection->hears_events)
			return;
		switch (connection_line(connection, now_ns, &line, &length)) {
		case CONNECTION_LINE:
			if (request_answer(control, connection, line, length))
				connection_line_done(connection, length);
			else
				connection_line_keep(connection, length);
			break;
		case CONNECTION_TOO_LONG:
			too_long(connection);
			break;
		case CONNECTION_END:
			connection->is_closing = true;
			break;
		default:
			return;
		}
	}
}

/* True while the connection lives. */
static bool connection_turn(
	struct control *control, struct connection *connection, bool has_input, uint64_t now_ns)
{
	bool heard = connection->hears_events;

	/* What waited for its turn is asked again. */
	if (!reloading_is_under_way(control))
		connection->awaits = false;
	if (!connection->is_closing && (has_input || connection->in.used > connection->in_seen))
		connection_serve(control, connection, now_ns);
	control->server->n_listeners += connection->hears_events && !heard;
	if (!connection_flush(connection, now_ns))
		return false;
	return !connection->is_closing || connection_has_output(connection);
}

static bool is_among(int fd, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++)
		if (events[i].data.fd == fd)
			return true;
	return false;
}

void server_poll(struct control *control, uint64_t now_ns)
{
	struct server *server = control->server;
	struct epoll_event events[SERVER_CONNECTIONS_MAX + 1];
	int n = epoll_wait(server->epoll_fd, events, SERVER_CONNECTIONS_MAX + 1, 0);

	if (is_among(server->listen_fd, events, n))
		accept_all(control, now_ns);
	for (size_t i = 0; i < server->n_connections;) {
		struct connection *connection = server->connections[i];

		if (connection_turn(control, connection, is_among(connection->fd, events, n), now_ns))
			i++;
		else
			connection_close(control, i);
	}
}

bool server_has_listeners(const struct control *control)
{
	return control->server && control->server->n_listeners > 0;
}

void server_tell(struct control *control, json_t *event)
{
	struct server *server = control->server;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	json_object_set_new(
		event, "time", json_real((double)now.tv_sec + (double)now.tv_nsec / (double)CLOCK_NS_PER_S));
	for (size_t i = 0; server && i < server->n_connections; i++)
		if (server->connections[i]->hears_events && !server->connections[i]->is_closing)
			connection_tell(server->connections[i], event);
	json_decref(event);
}
