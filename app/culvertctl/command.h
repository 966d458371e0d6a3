/*
 * The commands of culvertctl: one table in several groups, a file each (check_host.c is one).
 *
 * main.c finds a command here and runs it; tools/docs/ctl_docs.c makes the manual page and the completion of
 * the same table. To add a command, add its row to its group; to add a group, name it in commands.c.
 * Limits: a name has at most COMMAND_WORDS_MAX words.
 */
#ifndef CULVERT_CULVERTCTL_COMMAND_H
#define CULVERT_CULVERTCTL_COMMAND_H

#include "base/err.h"

#include <stdbool.h>

#define COMMAND_WORDS_MAX 3

/* Where the daemon listens unless --socket says otherwise, or the user runs one of his own. */
#define COMMAND_SOCKET_DEFAULT "/run/culvert/control.sock"

/* What a command returns, and culvertctl exits with. */
enum command_result {
	COMMAND_OK = 0,
	COMMAND_FAILED = 1,  /* it was not done, or what was asked is not so */
	COMMAND_MISUSED = 2, /* the arguments are wrong */
};

/* One call of a command. */
struct invocation {
	const char *socket; /* the daemon's; NULL for the usual one */
	bool json;          /* for a program, not for a person */
	int argc;           /* what stands behind the command's name */
	char **argv;
};

struct command {
	const char *name;      /* one to COMMAND_WORDS_MAX words: `show sa` */
	const char *arguments; /* as in a usage line: `NAME`, `[--config FILE]`; "" for none */
	const char *help;      /* one line, without a full stop */
	const char
		*more; /* paragraphs for the manual page and --help, Markdown's `code` allowed; may be NULL */
	/* Prints to standard output. Where it fails, err says why; an empty err is no line of its own. */
	enum command_result (*run)(const struct invocation *invocation, struct err *err);
};

/* Rows of one file; the last has no name. */
extern const struct command show_commands[];
extern const struct command show_sa_commands[];
extern const struct command top_commands[];
extern const struct command change_commands[];
extern const struct command explain_commands[];
extern const struct command trace_commands[];
extern const struct command capture_commands[];
extern const struct command events_commands[];
extern const struct command check_host_commands[];

/* The groups, in the order of --help; NULL ends them. */
extern const struct command *const command_groups[];

/*
 * The command with the longest name that the words begin with, or NULL; *n_words is how many of them are its
 * name.
 */
const struct command *command_find(int n, char *const *words, int *n_words);

/* Are the words the beginning of the command's name, and not all of it? */
bool command_begins(const struct command *command, int n, char *const *words);

/* Says in err that there is no such command, and which one may be meant. Returns COMMAND_MISUSED. */
enum command_result command_unknown(int n, char *const *words, struct err *err);

#endif
