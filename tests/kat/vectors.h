/*
 * Known answers as data: the reader of tests/kat/<what>.txt.
 *
 * Test suites, before they run. A file is a list of vectors. Each begins with `name:` and says its `source:`,
 * and `alg:` where one is meant; then come fields, `field = hex digits`, which indented lines continue. `#`
 * begins a comment line. Limits: the constants below.
 */
#ifndef CULVERT_TESTS_KAT_VECTORS_H
#define CULVERT_TESTS_KAT_VECTORS_H

#include "base/err.h"

#include <stdint.h>

#define VECTORS_MAX       128
#define VECTOR_FIELDS_MAX 10
#define VECTOR_BYTES_MAX  272

struct vector_field {
	char name[16];
	uint16_t length;
	uint8_t bytes[VECTOR_BYTES_MAX];
};

struct vector {
	char name[32];
	char source[80];
	char alg[32]; /* empty where the file doesn't say */
	unsigned n_fields;
	struct vector_field fields[VECTOR_FIELDS_MAX];
};

struct vectors {
	unsigned n;
	struct vector all[VECTORS_MAX];
};

/*
 * Add the vectors of the file to *vectors. Returns 0; -errno where it can't be read; -EINVAL for what the
 * format doesn't know, a name given twice, and a vector without a source. The error names the file and the
 * line.
 */
int vectors_load(const char *path, struct vectors *vectors, struct err *err);

/* The field of that name, or NULL. Borrowed. */
const struct vector_field *vector_find(const struct vector *vector, const char *field);

#endif
