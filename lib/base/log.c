#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX 1024

/* One write a line, so that lines of several threads don't mix. */
static void log_line(const char *level, const char *format, va_list args)
{
	char line[LOG_LINE_MAX];
	int used = snprintf(line, sizeof(line), "culvertd: %s: ", level);

	vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
	fprintf(stderr, "%s\n", line);
}

#define LOG_FUNCTION(level)                                                                                  \
	void log_##level(const char *format, ...)                                                            \
	{                                                                                                    \
		va_list args;                                                                                \
		va_start(args, format);                                                                      \
		log_line(#level, format, args);                                                              \
		va_end(args);                                                                                \
	}

LOG_FUNCTION(info)
LOG_FUNCTION(warning)
LOG_FUNCTION(error)
