/*
 * A key in a file of its own: hexadecimal digits, and nobody but its owner may touch the file.
 *
 * Called by control code while a configuration is read. What is read is wiped, but for the caller's secret.
 * Limits: KEY_FILE_BYTES_MAX; access control lists are not looked at.
 */
#ifndef CULVERT_CONFIG_KEY_FILE_H
#define CULVERT_CONFIG_KEY_FILE_H

#include "base/err.h"
#include "base/secret.h"

#define KEY_FILE_BYTES_MAX 4096

/*
 * Read the key of a file; a path that is not absolute is below directory. Space around the digits is
 * skipped. Returns 0, or -errno with a sentence that shows nothing of the file's contents.
 */
int key_file_read(const char *directory, const char *path, struct secret *key, struct err *err);

#endif
