/*
 * What the machine tells of itself in /sys and /proc, read below a root so that tests can make machines.
 *
 * Called by check-host. A path is given without the leading slash. Limits: what is longer than a caller's
 * buffer, or than HOST_PATH_MAX, is taken for absent.
 */
#ifndef CULVERT_CULVERTCTL_HOST_H
#define CULVERT_CULVERTCTL_HOST_H

#include <stdbool.h>
#include <stddef.h>

#define HOST_PATH_MAX 512
#define HOST_LINE_MAX 4096
#define HOST_CPUS_MAX 1024

struct host {
	const char *root; /* "" for this machine */
};

struct cpu_list {
	bool has[HOST_CPUS_MAX];
	unsigned n;
};

/* The first line of a file without its end; false if it can't be read. */
bool host_line(const struct host *host, char line[HOST_LINE_MAX], const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/* What stands behind the first `key` at the beginning of a line, without blanks and colons before it. */
bool host_field(const struct host *host, char line[HOST_LINE_MAX], const char *key, const char *path, ...)
	__attribute__((format(printf, 4, 5)));

/* A decimal number; -1 if there is none. */
long host_number(const struct host *host, const char *path, ...) __attribute__((format(printf, 2, 3)));

bool host_exists(const struct host *host, const char *path, ...) __attribute__((format(printf, 2, 3)));

/* The last part of where a symbolic link leads. */
bool host_link(const struct host *host, char line[HOST_LINE_MAX], const char *path, ...)
	__attribute__((format(printf, 3, 4)));

/* The names in a directory that begin with prefix, in order; free with host_names_free. */
char **host_names(const struct host *host, const char *prefix, size_t *n, const char *path, ...)
	__attribute__((format(printf, 4, 5)));
void host_names_free(char **names, size_t n);

/* Read `0-3,8`; false if the file can't be read. An empty one is a list of none. */
bool host_cpus(const struct host *host, struct cpu_list *list, const char *path, ...)
	__attribute__((format(printf, 3, 4)));

#endif
