#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024

/* Priorities of the levels, as syslog(3) and sd-daemon(3) number them. */
enum {
	PRIORITY_info = LOG_INFO,
	PRIORITY_warning = LOG_WARNING,
	PRIORITY_error = LOG_ERR,
};

/*
 * Does standard error lead to the journal? Its device and inode are then those that $JOURNAL_STREAM has
 * (systemd.exec(5)); a shell below a service may have the variable, and its standard error elsewhere.
 */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long device, inode;
	struct stat status;

	return stream && sscanf(stream, "%lu:%lu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

/* One write a line, so that lines of several threads don't mix. The journal knows the program by itself. */
static void log_line(int priority, const char *level, const char *format, va_list args)
{
	char line[LOG_LINE_MAX];
	int used = is_journal() ? snprintf(line, sizeof(line), "<%d>%s: ", priority, level)
				: snprintf(line, sizeof(line), "culvertd: %s: ", level);

	vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
	fprintf(stderr, "%s\n", line);
}

#define LOG_FUNCTION(level)                                                                                  \
	void log_##level(const char *format, ...)                                                            \
	{                                                                                                    \
		va_list args;                                                                                \
		va_start(args, format);                                                                      \
		log_line(PRIORITY_##level, #level, format, args);                                            \
		va_end(args);                                                                                \
	}

LOG_FUNCTION(info)
LOG_FUNCTION(warning)
LOG_FUNCTION(error)
