#include "control/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/array.h"

#define PATH_BYTES 512
/* EAL's socket for telemetry is the longest name below the control directory, and a socket's path is short.
 */
#define EAL_SOCKET       "/dpdk/culvert/dpdk_telemetry.v2"
#define CONTROL_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(EAL_SOCKET))
#define STATE_PATH_MAX   (PATH_BYTES - sizeof("/sequences.lock"))

static void directory_usual(char *path, size_t bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *service = getenv("RUNTIME_DIRECTORY");

	/* systemd.exec(5): the directories of the unit, with colons between if there are several. */
	if (service)
		snprintf(path, bytes, "%.*s", (int)strcspn(service, ":"), service);
	else if (geteuid() == 0)
		snprintf(path, bytes, "/run/culvert");
	else if (runtime)
		snprintf(path, bytes, "%s/culvert", runtime);
	else
		snprintf(path, bytes, "/tmp/culvert-%u", geteuid());
}

void control_directory_set(struct gateway *gateway)
{
	char path[512];

	if (!gateway->control_directory) {
		directory_usual(path, sizeof(path));
		gateway->control_directory = xstrdup(path);
	}
	if (!gateway->control_socket &&
		asprintf(&gateway->control_socket, "%s/control.sock", gateway->control_directory) < 0)
		abort();
}

void state_directory_set(struct gateway *gateway)
{
	const char *given = getenv("STATE_DIRECTORY"), *state = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	char path[512];

	if (gateway->state_directory)
		return;
	if (given)
		snprintf(path, sizeof(path), "%s", given);
	else if (geteuid() == 0)
		snprintf(path, sizeof(path), "/var/lib/culvert");
	else if (state)
		snprintf(path, sizeof(path), "%s/culvert", state);
	else if (home)
		snprintf(path, sizeof(path), "%s/.local/state/culvert", home);
	else
		return;
	gateway->state_directory = xstrdup(path);
}

/* What a directory is for. */
struct directory_use {
	const char *name;
	const char *key; /* of the configuration */
	const char *lock;
	size_t path_max; /* so that the paths below it have room */
};

static int length_check(const char *directory, const struct directory_use *use, struct err *err)
{
	if (strlen(directory) <= use->path_max)
		return 0;
	return err_set(err, ENAMETOOLONG,
		"the path of the %s is longer than %zu characters; set %s to another: %.200s", use->name,
		use->path_max, use->key, directory);
}

/* Somebody else's directory in a place that all may write to is a trap. */
static int directory_check(const char *directory, const struct directory_use *use, struct err *err)
{
	struct stat status;

	if (lstat(directory, &status) != 0)
		return err_set(err, errno, "%s %s: %s", use->name, directory, strerror(errno));
	if (!S_ISDIR(status.st_mode) || (status.st_uid != geteuid() && status.st_uid != 0) ||
		(status.st_mode & S_IWOTH))
		return err_set(err, EPERM,
			"%s %s: it must be a directory of this user that others can't write to", use->name,
			directory);
	return 0;
}

/* And those above it that aren't there. */
static int directory_make(const char *directory)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s", directory);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (access(path, F_OK) != 0 && mkdir(path, 0700) != 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static int directory_lock(const char *directory, const struct directory_use *use, struct err *err)
{
	char path[PATH_BYTES];
	int fd, ret = length_check(directory, use, err);

	if (ret != 0)
		return ret;
	ret = directory_make(directory);
	if (ret != 0)
		return err_set(err, -ret, "%s %s can't be made: %s", use->name, directory, strerror(-ret));
	ret = directory_check(directory, use, err);
	if (ret != 0)
		return ret;
	snprintf(path, sizeof(path), "%s/%s", directory, use->lock);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return err_set(err, EBUSY,
			"%s is held: another culvertd runs with this %s; stop it, or set %s", path, use->name,
			use->key);
	}
	return fd;
}

int control_lock(const char *directory, struct err *err)
{
	static const struct directory_use use = {
		"control directory", "control.directory", "lock", CONTROL_PATH_MAX};

	return directory_lock(directory, &use, err);
}

int state_lock(const char *directory, struct err *err)
{
	static const struct directory_use use = {
		"state directory", "control.state_directory", "sequences.lock", STATE_PATH_MAX};

	return directory_lock(directory, &use, err);
}
