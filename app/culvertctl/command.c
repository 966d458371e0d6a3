#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/suggest.h"

const struct command *const command_groups[] = {
	show_commands,
	show_sa_commands,
	top_commands,
	change_commands,
	check_host_commands,
	NULL,
};

/* How many words the name has if the given ones begin with it, else 0. */
static int match(const char *name, int n, char *const *words)
{
	for (int i = 0; i < n; i++) {
		size_t length = strlen(words[i]);

		if (strncmp(name, words[i], length) != 0)
			return 0;
		if (name[length] == '\0')
			return i + 1;
		if (name[length] != ' ')
			return 0;
		name += length + 1;
	}
	return 0;
}

const struct command *command_find(int n, char *const *words, int *n_words)
{
	const struct command *found = NULL;

	*n_words = 0;
	for (const struct command *const *group = command_groups; *group; group++)
		for (const struct command *command = *group; command->name; command++) {
			int matched = match(command->name, n, words);

			if (matched > *n_words) {
				found = command;
				*n_words = matched;
			}
		}
	return found;
}

bool command_begins(const struct command *command, int n, char *const *words)
{
	const char *name = command->name;

	for (int i = 0; i < n; i++) {
		size_t length = strlen(words[i]);

		if (strncmp(name, words[i], length) != 0 || name[length] != ' ')
			return false;
		name += length + 1;
	}
	return true;
}

/* The first words, as many as the name has, with one space between. */
static void join_like(const char *name, int n, char *const *words, char *buf, size_t size)
{
	int n_words = 1;

	for (const char *at = strchr(name, ' '); at; at = strchr(at + 1, ' '))
		n_words++;
	buf[0] = '\0';
	for (int i = 0; i < n && i < n_words; i++) {
		size_t used = strlen(buf);

		snprintf(buf + used, size - used, "%s%s", i > 0 ? " " : "", words[i]);
	}
}

enum command_result command_unknown(int n, char *const *words, struct err *err)
{
	struct suggestion best = suggestion_for("");
	char text[SUGGEST_TEXT_MAX], typed[2 * SUGGEST_WORD_MAX];

	for (const struct command *const *group = command_groups; *group; group++)
		for (const struct command *command = *group; command->name; command++) {
			struct suggestion suggestion;

			join_like(command->name, n, words, typed, sizeof(typed));
			suggestion = suggestion_for(typed);
			suggestion_offer(&suggestion, command->name);
			if (suggestion.distance < best.distance)
				best = suggestion;
		}
	err_set(err, EINVAL, "there is no command '%s'%s; `culvertctl --help` lists them", words[0],
		suggestion_format(&best, text));
	return COMMAND_MISUSED;
}
