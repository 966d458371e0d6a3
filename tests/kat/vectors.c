#include "kat/vectors.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX 256

/* Where the reader is. */
struct place {
	const char *path;
	unsigned line;
	struct vectors *vectors;
	struct vector *vector;      /* being read; NULL before the first */
	struct vector_field *field; /* being read; NULL before the vector's first */
	struct err *err;
};

static int refuse(const struct place *at, const char *why)
{
	return err_set(at->err, EINVAL, "%s:%u: %s", at->path, at->line, why);
}

const struct vector_field *vector_find(const struct vector *vector, const char *field)
{
	for (unsigned i = 0; i < vector->n_fields; i++)
		if (strcmp(vector->fields[i].name, field) == 0)
			return &vector->fields[i];
	return NULL;
}

static bool copy_text(char *out, size_t size, const char *text)
{
	return (size_t)snprintf(out, size, "%s", text) < size;
}

/* Checks that can only be made when the whole vector was read. */
static int vector_end(const struct place *at)
{
	if (at->vector != NULL && at->vector->source[0] == '\0')
		return refuse(at, "the vector before this line has no source");
	return 0;
}

static int vector_begin(struct place *at, const char *name)
{
	int ret = vector_end(at);

	if (ret != 0)
		return ret;
	for (unsigned i = 0; i < at->vectors->n; i++)
		if (strcmp(at->vectors->all[i].name, name) == 0)
			return refuse(at, "a second vector of that name");
	if (at->vectors->n == VECTORS_MAX)
		return refuse(at, "too many vectors");
	at->vector = &at->vectors->all[at->vectors->n++];
	at->field = NULL;
	memset(at->vector, 0, sizeof(*at->vector));
	return copy_text(at->vector->name, sizeof(at->vector->name), name) ? 0 : refuse(at, "a long name");
}

static int text_read(struct place *at, const char *key, const char *text)
{
	if (strcmp(key, "name") == 0)
		return vector_begin(at, text);
	if (at->vector == NULL)
		return refuse(at, "a vector begins with its name");
	if (strcmp(key, "source") == 0 && copy_text(at->vector->source, sizeof(at->vector->source), text))
		return 0;
	if (strcmp(key, "alg") == 0 && copy_text(at->vector->alg, sizeof(at->vector->alg), text))
		return 0;
	return refuse(at, "neither name, source nor alg, or too long");
}

static int field_begin(struct place *at, const char *name)
{
	if (at->vector == NULL)
		return refuse(at, "a vector begins with its name");
	if (vector_find(at->vector, name) != NULL)
		return refuse(at, "a second field of that name");
	if (at->vector->n_fields == VECTOR_FIELDS_MAX)
		return refuse(at, "too many fields");
	at->field = &at->vector->fields[at->vector->n_fields++];
	return copy_text(at->field->name, sizeof(at->field->name), name) ? 0 : refuse(at, "a long name");
}

static int hex_read(struct place *at, const char *text)
{
	struct vector_field *field = at->field;

	if (field == NULL)
		return refuse(at, "a line that continues no field");
	for (; *text != '\0'; text += 2) {
		unsigned byte;

		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return refuse(at, "not pairs of hexadecimal digits");
		if (field->length == VECTOR_BYTES_MAX)
			return refuse(at, "too many bytes");
		sscanf(text, "%2x", &byte);
		field->bytes[field->length++] = (uint8_t)byte;
	}
	return 0;
}

static int line_read(struct place *at, char *line)
{
	char *value = line + strcspn(line, " :");

	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (line[0] == ' ')
		return hex_read(at, line + strspn(line, " "));
	if (strncmp(value, ": ", 2) == 0) {
		*value = '\0';
		return text_read(at, line, value + 2);
	}
	if (strncmp(value, " =", 2) == 0) {
		int ret;

		*value = '\0';
		ret = field_begin(at, line);
		return ret != 0 ? ret : hex_read(at, value + 2 + strspn(value + 2, " "));
	}
	return refuse(at, "neither `name: text` nor `name = hex`");
}

static int file_read(struct place *at, FILE *file)
{
	char line[LINE_BYTES_MAX];
	int ret = 0;

	while (ret == 0 && fgets(line, sizeof(line), file) != NULL) {
		size_t length = strcspn(line, "\n");

		at->line++;
		if (line[length] != '\n')
			return refuse(at, "a long line, or no end of line");
		line[length] = '\0';
		ret = line_read(at, line);
	}
	return ret != 0 ? ret : vector_end(at);
}

int vectors_load(const char *path, struct vectors *vectors, struct err *err)
{
	struct place at = {.path = path, .vectors = vectors, .err = err};
	FILE *file = fopen(path, "r");
	int ret;

	if (file == NULL)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	ret = file_read(&at, file);
	fclose(file);
	return ret;
}
