/*
 * A YAML (or JSON) file of SAs and policies, as JSON for the daemon, which reads it by its own schema.
 *
 * Called by change.c. Every scalar becomes a string, so that nothing of it is lost: 0x1001 stays 0x1001. The
 * caller owns the struct; the text is wiped, since it may have keys. Limits: DOCUMENT_BYTES_MAX.
 */
#ifndef CULVERT_CULVERTCTL_DOCUMENT_H
#define CULVERT_CULVERTCTL_DOCUMENT_H

#include "base/err.h"

#include <stddef.h>

#include <jansson.h>

/* The daemon takes no longer line; a larger change is a configuration that is applied by its file's name. */
#define DOCUMENT_BYTES_MAX ((size_t)1 << 20)

struct document {
	const char *name; /* of the file, for findings */
	struct yaml_node *root;
	char *text;
};

/*
 * Read the file, or standard input for `-`. Returns 0, or -errno with err set, when what is wrong within the
 * file has been printed to standard error. document_close frees it either way.
 */
int document_read(struct document *document, const char *path, struct err *err);
void document_close(struct document *document);

/* All of it. The caller frees it. NULL with err set if a key stands twice. */
json_t *document_json(const struct document *document, struct err *err);

/*
 * Print a finding of the daemon's to standard error, with the line and column of what its path names in the
 * document. `within` is the part of the path that the document itself is: `sas`, `policies`, or "".
 */
void document_finding_print(
	const struct document *document, const char *within, const char *path, const char *text);

#endif
