/*
 * What stands behind a command's name: options by a table, and words.
 *
 * Called by culvertctl's commands at their beginning. Values stay argv's.
 */
#ifndef CULVERT_CULVERTCTL_ARGUMENTS_H
#define CULVERT_CULVERTCTL_ARGUMENTS_H

#include "base/err.h"
#include "command.h"

#include <stdbool.h>
#include <stddef.h>

enum argument_kind {
	ARGUMENT_FLAG,   /* bool */
	ARGUMENT_TEXT,   /* const char * */
	ARGUMENT_NUMBER, /* long, 0 or more */
};

struct argument_option {
	const char *name; /* `--dry-run`; NULL ends a table */
	enum argument_kind kind;
	void *value; /* keeps what it has where the option is not given */
};

/*
 * Read options (NULL: there are none) as `--name VALUE` or `--name=VALUE`; words, from `least` to `most` of
 * them, are left at the beginning of argv, and argc is how many. Returns 0, or -EINVAL with err set.
 */
int arguments_read(struct invocation *invocation, const struct argument_option *options, int least, int most,
	struct err *err);

#endif
