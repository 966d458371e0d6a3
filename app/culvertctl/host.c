#include "host.h"

#include <ctype.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"

static bool path_make(const struct host *host, char path[HOST_PATH_MAX], const char *format, va_list args)
{
	int used = snprintf(path, HOST_PATH_MAX, "%s/", host->root);

	if (used < 0 || used >= HOST_PATH_MAX)
		return false;
	int more = vsnprintf(path + used, HOST_PATH_MAX - (size_t)used, format, args);
	return more >= 0 && used + more < HOST_PATH_MAX;
}

#define PATH_MAKE(host, path, format, made)                                                                  \
	do {                                                                                                 \
		va_list args;                                                                                \
		va_start(args, format);                                                                      \
		(made) = path_make(host, path, format, args);                                                \
		va_end(args);                                                                                \
	} while (0)

/* The first line that begins with the key, without it. */
static bool line_read(const char *path, const char *key, char line[HOST_LINE_MAX])
{
	FILE *file = fopen(path, "re");
	size_t key_length = strlen(key);
	bool found = false;

	while (file && !found && fgets(line, HOST_LINE_MAX, file))
		found = strncmp(line, key, key_length) == 0;
	if (file)
		fclose(file);
	if (!found)
		return false;
	line[strcspn(line, "\n")] = '\0';
	if (key_length > 0) {
		key_length += strspn(line + key_length, " \t:");
		memmove(line, line + key_length, strlen(line + key_length) + 1);
	}
	return true;
}

bool host_line(const struct host *host, char line[HOST_LINE_MAX], const char *format, ...)
{
	char path[HOST_PATH_MAX];
	bool made;

	PATH_MAKE(host, path, format, made);
	return made && line_read(path, "", line);
}

bool host_field(const struct host *host, char line[HOST_LINE_MAX], const char *key, const char *format, ...)
{
	char path[HOST_PATH_MAX];
	bool made;

	PATH_MAKE(host, path, format, made);
	return made && line_read(path, key, line);
}

long host_number(const struct host *host, const char *format, ...)
{
	char path[HOST_PATH_MAX], line[HOST_LINE_MAX], *end;
	long number;
	bool made;

	PATH_MAKE(host, path, format, made);
	if (!made || !line_read(path, "", line))
		return -1;
	number = strtol(line, &end, 10);
	return end == line ? -1 : number;
}

bool host_exists(const struct host *host, const char *format, ...)
{
	char path[HOST_PATH_MAX];
	bool made;

	PATH_MAKE(host, path, format, made);
	return made && access(path, F_OK) == 0;
}

bool host_link(const struct host *host, char line[HOST_LINE_MAX], const char *format, ...)
{
	char path[HOST_PATH_MAX];
	const char *slash;
	ssize_t length;
	bool made;

	PATH_MAKE(host, path, format, made);
	length = made ? readlink(path, line, HOST_LINE_MAX - 1) : -1;
	if (length < 0)
		return false;
	line[length] = '\0';
	slash = strrchr(line, '/');
	if (slash)
		memmove(line, slash + 1, strlen(slash));
	return true;
}

static int name_order(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

char **host_names(const struct host *host, const char *prefix, size_t *n, const char *format, ...)
{
	char path[HOST_PATH_MAX], **names = NULL;
	const struct dirent *entry;
	DIR *directory;
	bool made;

	*n = 0;
	PATH_MAKE(host, path, format, made);
	directory = made ? opendir(path) : NULL;
	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			*array_append(&names, n) = xstrdup(entry->d_name);
	if (directory)
		closedir(directory);
	if (*n > 0)
		qsort(names, *n, sizeof(names[0]), name_order);
	return names;
}

void host_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* `3` or `0-3` at *text, which moves behind it. */
static void cpus_take(struct cpu_list *list, const char **text)
{
	char *end;
	unsigned long first = strtoul(*text, &end, 10), last = first;

	if (*end == '-')
		last = strtoul(end + 1, &end, 10);
	for (unsigned long cpu = first; cpu <= last && cpu < HOST_CPUS_MAX; cpu++) {
		list->n += !list->has[cpu];
		list->has[cpu] = true;
	}
	*text = end;
}

bool host_cpus(const struct host *host, struct cpu_list *list, const char *format, ...)
{
	char path[HOST_PATH_MAX], line[HOST_LINE_MAX];
	bool made;

	*list = (struct cpu_list){.n = 0};
	PATH_MAKE(host, path, format, made);
	if (!made || access(path, R_OK) != 0)
		return false;
	if (!line_read(path, "", line))
		return true;
	/* `(null)` is how the kernel writes a list that was never set. */
	for (const char *at = line; isdigit((unsigned char)*at); at += *at == ',')
		cpus_take(list, &at);
	return true;
}
