/*
 * The command line of culvertd.
 */
#ifndef CULVERT_CULVERTD_OPTIONS_H
#define CULVERT_CULVERTD_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *config; /* points into argv */
	bool check_only;
	bool help;
	bool version;
	bool no_seccomp;
	uint32_t until_idle_s; /* 0: run until a signal */
};

/* Returns 0, or -EINVAL with err saying what is wrong. */
int options_parse(int argc, char **argv, struct options *options, struct err *err);

/* The text of --help. */
const char *options_usage(void);

#endif
