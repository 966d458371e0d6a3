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
	static const char separator[] = ": ";
	const size_t separator_bytes = sizeof(separator) - 1;
	char sentence[ERR_TEXT_MAX];
	size_t used, sentence_bytes;
	va_list args;

	memcpy(sentence, err->text, sizeof(sentence));
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	/* Cut at the end, as everything here is. */
	used = strlen(err->text);
	if (used + separator_bytes >= sizeof(err->text))
		return code;
	memcpy(err->text + used, separator, separator_bytes);
	used += separator_bytes;
	sentence_bytes = strnlen(sentence, sizeof(err->text) - used - 1);
	memcpy(err->text + used, sentence, sentence_bytes);
	err->text[used + sentence_bytes] = '\0';
	return code;
}
