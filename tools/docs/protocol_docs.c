/*
 * Prints docs/control-commands.md from the daemon's tables of commands. Run by tools/gen-docs.
 */
#include "control/request.h"

#include <stdio.h>
#include <string.h>

/* `offset`, `limit` */
static void print_arguments(const char *arguments)
{
	while (*arguments) {
		size_t length = strcspn(arguments, " ");

		printf("`%.*s`%s", (int)length, arguments, arguments[length] ? ", " : "");
		arguments += length + (arguments[length] == ' ');
	}
}

int main(void)
{
	const struct command *command;

	puts("# Commands of the control socket\n\n"
	     "<!-- Written by tools/gen-docs from the daemon's tables of commands. -->\n\n"
	     "How they are asked and answered is in [control-protocol.md](control-protocol.md).\n\n"
	     "| command | arguments | what it does |\n|---|---|---|");
	for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
		printf("| `%s` | ", command->name);
		print_arguments(command->arguments);
		printf(" | %s |\n", command->text);
	}
	return 0;
}
