#include "config/key_file.h"

#include <sys/stat.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The file may be replaced between a check by name and the read, so the open file is what is checked. */
static int key_file_check(int fd, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return err_set(err, errno, "can't look at the key file: %s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return err_set(err, EINVAL, "the key file is not a regular file");
	if (status.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, EPERM,
			"the key file has mode %04o; only its owner may have access to it (chmod 600)",
			status.st_mode & 07777);
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return err_set(err, EPERM,
			"the key file belongs to user %u, who is neither root nor the user that reads it",
			status.st_uid);
	return 0;
}

static int parse_key(const char *text, size_t length, struct secret *key, struct err *err)
{
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	for (; length > 0 && isspace((unsigned char)*text); text++)
		length--;
	if (secret_parse_hex(text, length, key) != 0 || key->length_bytes == 0)
		return err_set(err, EINVAL,
			"the key file must hold hexadecimal digits, two a byte, at most %d bytes",
			SECRET_BYTES_MAX);
	return 0;
}

static int read_key(int fd, struct secret *key, struct err *err)
{
	char text[KEY_FILE_BYTES_MAX + 1];
	size_t length = 0;
	ssize_t got;
	int rc;

	while ((got = read(fd, text + length, sizeof(text) - length)) > 0)
		length += (size_t)got;
	if (got < 0)
		rc = err_set(err, errno, "can't read the key file: %s", strerror(errno));
	else if (length > KEY_FILE_BYTES_MAX)
		rc = err_set(err, EFBIG, "the key file is longer than %d bytes", KEY_FILE_BYTES_MAX);
	else
		rc = parse_key(text, length, key, err);
	explicit_bzero(text, sizeof(text));
	return rc;
}

int key_file_read(const char *directory, const char *path, struct secret *key, struct err *err)
{
	char full[PATH_MAX];
	int fd, rc;

	if ((size_t)snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : directory,
		    path[0] == '/' ? "" : "/", path) >= sizeof(full))
		return err_set(err, ENAMETOOLONG, "can't open the key file: %s", strerror(ENAMETOOLONG));
	/* Without O_NONBLOCK a FIFO would hold us before its kind is seen. */
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_set(err, errno, "can't open the key file: %s", strerror(errno));
	rc = key_file_check(fd, err);
	if (rc == 0)
		rc = read_key(fd, key, err);
	close(fd);
	return rc;
}
