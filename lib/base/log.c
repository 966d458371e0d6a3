#include "base/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of syslog(3). */
#define PRIORITY_error   3
#define PRIORITY_warning 4
#define PRIORITY_info    6

#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

struct out {
	char *text;
	size_t length;
};

static void put(struct out *out, const char *text, size_t n)
{
	memcpy(out->text + out->length, text, n);
	out->length += n;
}

/* What may stand without quotes: no space, no control character, no `=`, no `"`. */
static bool is_bare(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == '=' || text[i] == '"' || text[i] == '\\' ||
			text[i] == 0x7f)
			return false;
	return n > 0;
}

static void put_value(struct out *out, const char *text, size_t n)
{
	if (is_bare(text, n)) {
		put(out, text, n);
		return;
	}
	put(out, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			put(out, "\\", 1);
		if (text[i] == '\n')
			put(out, "\\n", 2);
		else
			put(out, iscntrl((unsigned char)text[i]) ? "?" : &text[i], 1);
	}
	put(out, "\"", 1);
}

/* The length of a `key=` that the word begins with, or 0. */
static size_t key_length(const char *word, size_t n)
{
	size_t key = strspn(word, KEY_CHARACTERS);

	return key > 0 && key < n && word[key] == '=' ? key + 1 : 0;
}

static size_t word_length(const char *word)
{
	return strcspn(word, " ");
}

/* Where the pairs begin that the text ends with; its end if there are none. */
static const char *pairs_of(const char *text)
{
	const char *pairs = NULL;

	for (const char *word = text; *word; word += word_length(word)) {
		word += strspn(word, " ");
		if (key_length(word, word_length(word)) == 0)
			pairs = NULL;
		else if (!pairs)
			pairs = word;
	}
	return pairs ? pairs : text + strlen(text);
}

static void put_pairs(struct out *out, const char *pairs)
{
	while (*pairs) {
		size_t n = word_length(pairs), key = key_length(pairs, n);

		put(out, " ", 1);
		put(out, pairs, key);
		put_value(out, pairs + key, n - key);
		pairs += n;
		pairs += strspn(pairs, " ");
	}
}

void log_format(const char *level, const char *text, char out_text[LOG_TEXT_MAX])
{
	struct out out = {.text = out_text};
	const char *pairs = pairs_of(text);
	size_t words = (size_t)(pairs - text);

	while (words > 0 && text[words - 1] == ' ')
		words--;
	put(&out, "level=", 6);
	put(&out, level, strlen(level));
	if (words > 0) {
		put(&out, " msg=", 5);
		put_value(&out, text, words);
	}
	put_pairs(&out, pairs);
	out.text[out.length] = '\0';
}

/* Is standard error the journal's? JOURNAL_STREAM says which file that is (systemd.exec(5)). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(2, &status) == 0 &&
	       status.st_dev == device && status.st_ino == inode;
}

/* One write a line, so that lines of several threads don't mix. */
static void log_line(const char *level, int priority, const char *format, va_list args)
{
	char text[LOG_LINE_MAX], line[LOG_TEXT_MAX], prefix[8] = "";

	vsnprintf(text, sizeof(text), format, args);
	log_format(level, text, line);
	if (is_journal())
		snprintf(prefix, sizeof(prefix), "<%d>", priority);
	fprintf(stderr, "%s%s\n", prefix, line);
}

#define LOG_FUNCTION(level)                                                                                  \
	void log_##level(const char *format, ...)                                                            \
	{                                                                                                    \
		va_list args;                                                                                \
		va_start(args, format);                                                                      \
		log_line(#level, PRIORITY_##level, format, args);                                            \
		va_end(args);                                                                                \
	}

LOG_FUNCTION(info)
LOG_FUNCTION(warning)
LOG_FUNCTION(error)
