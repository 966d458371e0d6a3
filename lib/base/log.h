/*
 * The log: one fact a line on standard error, in logfmt, so that a program reads it as well as a person:
 *
 *   level=info msg="peer moved" sa=hq-out spi=0x00001001 address=198.51.100.7
 *
 * A caller writes `peer moved sa=%s spi=0x%08x address=%s`: words first, lower case, then the pairs, whose
 * values have no spaces. Quotes are put where logfmt wants them. Called by control threads only. Workers
 * count (datapath/stats.h). Never pass a key. Under systemd a line begins with its priority for the journal
 * (sd-daemon(3)). Limits: standard error is the only sink; a service manager adds time and host. A line is
 * cut at LOG_LINE_MAX.
 */
#ifndef CULVERT_BASE_LOG_H
#define CULVERT_BASE_LOG_H

#include <stddef.h>

#define LOG_LINE_MAX 1024

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a caller wrote, in logfmt. Everything may have to be escaped, and there are the level, `msg=` and
 * quotes beside it, so that is the room it needs.
 */
#define LOG_TEXT_MAX (2 * LOG_LINE_MAX + 64)
void log_format(const char *level, const char *text, char out[LOG_TEXT_MAX]);

#endif
