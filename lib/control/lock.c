#include "control/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"

static void directory_usual(char *path, size_t bytes)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
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

/* Somebody else's directory in a place that all may write to is a trap. */
static int directory_check(const char *directory, struct err *err)
{
	struct stat status;

	if (lstat(directory, &status) != 0)
		return err_set(err, errno, "control directory %s: %s", directory, strerror(errno));
	if (!S_ISDIR(status.st_mode) || (status.st_uid != geteuid() && status.st_uid != 0) ||
		(status.st_mode & S_IWOTH))
		return err_set(err, EPERM,
			"control directory %s: it must be a directory of this user that others can't write "
			"to",
			directory);
	return 0;
}

int control_lock(const char *directory, struct err *err)
{
	char path[512];
	int fd, ret;

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return err_set(
			err, errno, "control directory %s can't be made: %s", directory, strerror(errno));
	ret = directory_check(directory, err);
	if (ret != 0)
		return ret;
	snprintf(path, sizeof(path), "%s/lock", directory);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return err_set(err, EBUSY,
			"%s is held: another culvertd runs with this control directory; stop it, or set "
			"control.directory",
			path);
	}
	return fd;
}
