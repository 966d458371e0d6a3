/*
 * Prints what is made of culvertctl's table of commands: its manual page (`ctl_docs man`), or its completion
 * for bash (`ctl_docs bash`). Run by the build.
 */
#include "command.h"
#include "roff.h"

#include <stdio.h>
#include <string.h>

/* An option of the form --name among a command's arguments. */
#define OPTION_CHARACTERS "abcdefghijklmnopqrstuvwxyz-"

static void for_each_command(void (*print)(const struct command *command))
{
	for (const struct command *const *group = command_groups; *group; group++)
		for (const struct command *command = *group; command->name; command++)
			print(command);
}

static void man_command(const struct command *command)
{
	printf(".TP\n\\fB");
	roff_inline(command->name);
	printf("\\fR ");
	roff_text(command->arguments);
	/* The line of --help is a sentence without its end. */
	printf("%c", command->help[0] >= 'a' && command->help[0] <= 'z' ? command->help[0] - 'a' + 'A'
									: command->help[0]);
	roff_inline(command->help + 1);
	puts(".");
	for (const char *more = command->more; more;) {
		const char *end = strstr(more, "\n\n");
		char paragraph[4096];

		snprintf(paragraph, sizeof(paragraph), "%.*s", end ? (int)(end - more) : (int)strlen(more),
			more);
		puts(".IP");
		roff_text(paragraph);
		more = end ? end + 2 : NULL;
	}
}

static void option(const char *name, const char *text)
{
	printf(".TP\n\\fB");
	roff_inline(name);
	printf("\\fR\n");
	roff_text(text);
}

static void man(void)
{
	roff_head("culvertctl", 1, "User Commands",
		"ask a running culvert, change it, and look at its machine");
	roff_section("SYNOPSIS");
	puts(".B culvertctl\n[\\fB\\-\\-socket\\fR \\fIPATH\\fR] [\\fB\\-\\-json\\fR] \\fICOMMAND\\fR "
	     "[\\fIARGUMENTS\\fR]");
	roff_section("DESCRIPTION");
	roff_text("`culvertctl` is the operator's command for `culvertd`, the daemon of the culvert IPsec "
		  "security "
		  "gateway. It prints tables for people, or JSON for programs.");
	roff_section("OPTIONS");
	roff_text("They may stand before or behind the command.");
	option("--socket PATH", "Where the daemon listens; " COMMAND_SOCKET_DEFAULT " if left out.");
	option("--json", "Print JSON.");
	option("--help", "Print the commands, or what the given one takes.");
	option("--version", "Print the version.");
	roff_section("COMMANDS");
	for_each_command(man_command);
	roff_section("EXIT STATUS");
	roff_text("0: it was done. 1: it was not done, or what was asked is not so. 2: the arguments are "
		  "wrong.");
	roff_section("SEE ALSO");
	puts(".BR culvertd (8),\n.BR culvert.yaml (5)");
}

/* `name|options|f`, where f stands for a command that takes a file. */
static void bash_command(const struct command *command)
{
	printf("\t'%s|", command->name);
	for (const char *at = strstr(command->arguments, "--"); at; at = strstr(at + 2, "--"))
		printf("%.*s ", (int)(2 + strspn(at + 2, OPTION_CHARACTERS)), at);
	printf("|%s'\n", strncmp(command->arguments, "FILE", 4) == 0 ? "f" : "");
}

static const char bash_function[] =
	"_culvertctl()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal typed= words=() word command name options file i\n"
	"\tCOMPREPLY=()\n"
	"\tcase $previous in\n"
	"\t--config | --socket | --output)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\t\treturn\n"
	"\t\t;;\n"
	"\t--root)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$current\")\n"
	"\t\treturn\n"
	"\t\t;;\n"
	"\tesac\n"
	"\t# What is typed of a command's name, without options and their values.\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tcase $word in\n"
	"\t\t--socket) ((i++)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t*) typed+=\"$word \" ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tfor command in \"${_culvertctl_commands[@]}\"; do\n"
	"\t\tIFS='|' read -r name options file <<<\"$command\"\n"
	"\t\tif [[ \"$name \" == \"$typed\"?* ]]; then\n"
	"\t\t\tname=${name#\"$typed\"}\n"
	"\t\t\twords+=(\"${name%% *}\")\n"
	"\t\telif [[ $typed == \"$name \"* ]]; then\n"
	"\t\t\tread -ra options <<<\"$options\"\n"
	"\t\t\twords+=(\"${options[@]}\")\n"
	"\t\t\t[ -z \"$file\" ] || mapfile -t -O \"${#words[@]}\" words < <(compgen -f -- \"$current\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\twords+=(--socket --json --help)\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"${words[*]}\" -- \"$current\" | sort -u)\n"
	"}\n"
	"complete -o filenames -F _culvertctl culvertctl\n";

static void bash(void)
{
	puts("# Completion of culvertctl's commands in bash. Made by the build, of the table of commands.\n"
	     "_culvertctl_commands=(");
	for_each_command(bash_command);
	puts(")");
	fputs(bash_function, stdout);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "man") == 0)
		man();
	else if (argc == 2 && strcmp(argv[1], "bash") == 0)
		bash();
	else
		return 2;
	return 0;
}
