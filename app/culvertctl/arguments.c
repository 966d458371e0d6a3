#include "arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"

static const struct argument_option *option_find(
	const struct argument_option *options, const char *word, size_t length)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == length && strncmp(options->name, word, length) == 0)
			return options;
	return NULL;
}

static int unknown(const struct argument_option *options, const char *word, struct err *err)
{
	struct suggestion suggestion = suggestion_for(word);
	char text[SUGGEST_TEXT_MAX];

	for (; options && options->name; options++)
		suggestion_offer(&suggestion, options->name);
	return err_set(
		err, EINVAL, "there is no option %s here%s", word, suggestion_format(&suggestion, text));
}

static int value_set(const struct argument_option *option, const char *value, struct err *err)
{
	char *end;
	long number;

	if (option->kind == ARGUMENT_TEXT) {
		*(const char **)option->value = value;
		return 0;
	}
	number = strtol(value, &end, 10);
	if (end == value || *end != '\0' || number < 0)
		return err_set(err, EINVAL, "%s takes a number, not '%s'", option->name, value);
	*(long *)option->value = number;
	return 0;
}

/* The option at argv[*i], which moves to its value. */
static int option_read(
	const struct invocation *invocation, const struct argument_option *options, int *i, struct err *err)
{
	const char *word = invocation->argv[*i], *value = strchr(word, '=');
	const struct argument_option *option =
		option_find(options, word, value ? (size_t)(value - word) : strlen(word));

	if (!option)
		return unknown(options, word, err);
	if (option->kind == ARGUMENT_FLAG) {
		if (value)
			return err_set(err, EINVAL, "%s takes no value", option->name);
		*(bool *)option->value = true;
		return 0;
	}
	if (!value && *i + 1 == invocation->argc)
		return err_set(err, EINVAL, "%s needs a value", option->name);
	return value_set(option, value ? value + 1 : invocation->argv[++*i], err);
}

int arguments_read(struct invocation *invocation, const struct argument_option *options, int least, int most,
	struct err *err)
{
	int n = 0;

	for (int i = 0; i < invocation->argc; i++) {
		if (strncmp(invocation->argv[i], "--", 2) != 0)
			invocation->argv[n++] = invocation->argv[i];
		else if (option_read(invocation, options, &i, err) != 0)
			return -EINVAL;
	}
	invocation->argc = n;
	if (n > most)
		return err_set(err, EINVAL, "one argument too many: '%s'", invocation->argv[most]);
	return n >= least ? 0 : err_set(err, EINVAL, "an argument is missing");
}
