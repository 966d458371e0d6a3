/*
 * The file `sequences` in the state directory: which sequence numbers of a key may have been used. What they
 * mean is control/seq_store.h's; here is only that what was written is there after a crash, or what was
 * written before it.
 *
 * Little-endian, all of it in units of 32 bytes:
 *   header  magic (8), version (4), 0 (4), random secret (32), tag (16)
 *   batch   magic (4), number of entries (4), serial (8), tag (16), then the entries
 *   entry   fingerprint of the key (16), next number (8), mask of its IVs (8)
 * A tag is HMAC-SHA-256 under the secret, cut: of the header, and of a batch with all its entries. Batches
 * are appended and synchronised one by one, their serials count from 1, and an entry replaces an earlier one
 * of its fingerprint. When the file is long it is written anew beside, and put in its place by rename.
 *
 * So a crash can only spoil the end, of which nothing was used yet. A last batch that is not whole is left
 * out, and told of. A batch that is not whole before one that is was damaged later: the file is refused.
 * A write that failed leaves the file as it was or with such an end, and the next write makes it anew: what
 * fsync did not write once it may never write (fsync(2), EIO).
 *
 * Control thread. One process has the file, by a lock on `sequences.lock` beside it.
 * Limits: SEQ_FILE_ENTRIES_MAX entries; a local file system, on which rename is atomic.
 */
#ifndef CULVERT_CONTROL_SEQ_FILE_H
#define CULVERT_CONTROL_SEQ_FILE_H

#include "base/err.h"
#include "control/keyed_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEQ_FINGERPRINT_BYTES 16
#define SEQ_FILE_ENTRIES_MAX  (UINT32_C(1) << 20)
#define SEQ_FILE_PATH_MAX     512

struct seq_entry {
	uint8_t fingerprint[SEQ_FINGERPRINT_BYTES];
	uint64_t next; /* the first number that was never handed out */
	uint64_t iv_mask;
};

struct seq_file {
	char directory[SEQ_FILE_PATH_MAX];
	int lock_fd;
	int fd;
	uint8_t secret[KEYED_HASH_BYTES];
	struct keyed_hash hash; /* under the secret */
	uint64_t bytes;         /* as far as it is good */
	uint64_t serial;        /* of the last batch */
	bool must_rewrite;      /* a write failed */
};

/* What the file held: entries in their order, later ones replacing earlier ones. free() them. */
struct seq_file_content {
	struct seq_entry *entries;
	size_t n;
	bool has_torn_end; /* the last batch was not whole, and is gone */
};

/*
 * Lock the directory, made if it isn't there, and read its file, made if it isn't there. Returns 0, or -errno
 * with err naming the file; then nothing is left open.
 */
int seq_file_open(
	struct seq_file *file, const char *directory, struct seq_file_content *content, struct err *err);
void seq_file_close(struct seq_file *file);

/* Must it be written anew rather than appended to, if so many entries are all there are? */
bool seq_file_wants_rewrite(const struct seq_file *file, size_t n_all);

/* Append entries; they are on the disk when it returns 0. Else -errno, err names the file. */
int seq_file_append(struct seq_file *file, const struct seq_entry *entries, size_t n, struct err *err);

/* The same with all entries that there are. */
int seq_file_rewrite(struct seq_file *file, const struct seq_entry *entries, size_t n, struct err *err);

#endif
