/*
 * culvertctl: the operator's command. main reads the options, which may stand anywhere, and runs the command.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"

#define LINE_CHARACTERS 80

#define OPTIONS_TEXT                                                                                         \
	"  --socket PATH  where the daemon listens; " COMMAND_SOCKET_DEFAULT " if left out\n"                \
	"  --json         print JSON, for programs\n"
#define EXIT_CODE_TEXT "Exit code: 0 done, 1 not done or not so, 2 wrong arguments.\n"

struct options {
	struct invocation invocation; /* argc and argv: what is no option of these */
	bool help;
	bool version;
	const struct command *command; /* that is run */
};

static void usage_print(FILE *out)
{
	fputs("usage: culvertctl [--socket PATH] [--json] COMMAND [ARGUMENTS]\n\n", out);
	for (const struct command *const *group = command_groups; *group; group++)
		for (const struct command *command = *group; command->name; command++)
			fprintf(out, "  %s %s\n      %s\n", command->name, command->arguments, command->help);
	fputs("\n" OPTIONS_TEXT "  --version      print the version\n"
	      "  --help         print this, or what a command takes\n"
	      "\n" EXIT_CODE_TEXT,
		out);
}

/* The value of `--name VALUE` or `--name=VALUE` at argv[*i]; NULL if it is another word. */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
	size_t length = strlen(name);

	if (strncmp(argv[*i], name, length) != 0)
		return NULL;
	if (argv[*i][length] == '=')
		return argv[*i] + length + 1;
	return argv[*i][length] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

/* Take the options out of argv; what is left stands at its beginning, in order. */
static void options_take(int argc, char **argv, struct options *options)
{
	bool ended = false;
	int n = 0;

	*options = (struct options){.invocation = {.argv = argv}};
	for (int i = 0; i < argc; i++) {
		const char *socket = ended ? NULL : value_of("--socket", argc, argv, &i);

		if (socket)
			options->invocation.socket = socket;
		else if (!ended && strcmp(argv[i], "--") == 0)
			ended = true;
		else if (!ended && strcmp(argv[i], "--json") == 0)
			options->invocation.json = true;
		else if (!ended && strcmp(argv[i], "--help") == 0)
			options->help = true;
		else if (!ended && strcmp(argv[i], "--version") == 0)
			options->version = true;
		else
			argv[n++] = argv[i];
	}
	options->invocation.argc = n;
}

/* The Markdown of the manual page without its marks. */
static void word_print(FILE *out, const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (word[i] != '`')
			putc(word[i], out);
}

/* Paragraphs that an empty line parts, in lines of a terminal's width. */
static void paragraphs_print(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t length = strcspn(text, " \n");

		if (column > 0 && column + 1 + length > LINE_CHARACTERS) {
			putc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, column == 0 ? "  " : " ") + length;
		word_print(out, text, length);
		text += length;
		if (strncmp(text, "\n\n", 2) == 0) {
			fputs("\n\n", out);
			column = 0;
		}
		text += strspn(text, " \n");
	}
	putc('\n', out);
}

static void usage_of(FILE *out, const struct command *command)
{
	fprintf(out, "usage: culvertctl %s %s\n\n  %s\n", command->name, command->arguments, command->help);
}

/* All that the manual page has of it. */
static void command_print(FILE *out, const struct command *command)
{
	usage_of(out, command);
	if (command->more) {
		putc('\n', out);
		paragraphs_print(out, command->more);
	}
	fputs("\n" OPTIONS_TEXT "\n" EXIT_CODE_TEXT, out);
}

/* Of `show` alone, what can be shown. False if no command begins with these words. */
static bool group_print(FILE *out, int n, char *const *words)
{
	bool any = false;

	for (const struct command *const *group = command_groups; *group; group++)
		for (const struct command *command = *group; command->name; command++)
			if (command_begins(command, n, words)) {
				fprintf(out, "  %s %s\n      %s\n", command->name, command->arguments,
					command->help);
				any = true;
			}
	return any;
}

static enum command_result run(struct options *options, struct err *err)
{
	struct invocation *call = &options->invocation;
	const struct command *command;
	int n_words;

	if (options->version) {
		puts("culvertctl " CULVERT_VERSION);
		return COMMAND_OK;
	}
	command = command_find(call->argc, call->argv, &n_words);
	if (options->help && command) {
		command_print(stdout, command);
		return COMMAND_OK;
	}
	if (!command && call->argc > 0 &&
		group_print(options->help ? stdout : stderr, call->argc, call->argv))
		return options->help ? COMMAND_OK : COMMAND_MISUSED;
	if (options->help || call->argc == 0) {
		usage_print(options->help ? stdout : stderr);
		return options->help ? COMMAND_OK : COMMAND_MISUSED;
	}
	if (!command)
		return command_unknown(call->argc, call->argv, err);
	call->argc -= n_words;
	call->argv += n_words;
	options->command = command;
	return command->run(call, err);
}

int main(int argc, char **argv)
{
	struct options options;
	struct err err = {.text = ""};
	enum command_result result;

	options_take(argc - 1, argv + 1, &options);
	result = run(&options, &err);
	if (err.text[0] != '\0')
		fprintf(stderr, "culvertctl: %s\n", err.text);
	if (result == COMMAND_MISUSED && options.command)
		usage_of(stderr, options.command);
	/* A full disk or a closed pipe is not a success. */
	if (fflush(stdout) != 0 && result == COMMAND_OK)
		result = COMMAND_FAILED;
	return (int)result;
}
