#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -code;
}

int err_prefix(struct err *err, int code, const char *format, ...)
{
	char sentence[ERR_TEXT_MAX];
	va_list args;

	memcpy(sentence, err->text, sizeof(sentence));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	/* Cut at the end, as everything here is. */
	strncat(err->text, ": ", sizeof(err->text) - strlen(err->text) - 1);
	strncat(err->text, sentence, sizeof(err->text) - strlen(err->text) - 1);
	return code;
}
