/*
 * The log: one fact a line on standard error, lower case, with key=value pairs; an SPI is written 0x%08x.
 *
 * Called by control threads only. Workers count (datapath/stats.h). Never pass a key.
 * Where standard error leads to systemd's journal, a line begins with its priority, `<6>`, and the journal
 * knows it. Limits: standard error is the only sink; a service manager adds time and host.
 */
#ifndef CULVERT_BASE_LOG_H
#define CULVERT_BASE_LOG_H

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
