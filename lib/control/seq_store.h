/*
 * Sequence numbers that are used once for a key, over all SAs that have the key, and over all starts (RFC
 * 4302 section 5, RFC 4106 section 3.1; RFC 8221 section 3 says why it matters for static keys).
 *
 * For each key there is the first number that was never handed out. An outbound SA begins there, and gets
 * numbers in blocks: the next block is on the disk (control/seq_file.h) before its SA may use it. So after a
 * crash the rest of a block is skipped, and after a clean stop nothing is. SAs of one key take blocks in
 * turn, whatever their names are, and whether they are there at the same time.
 *
 * A block is SEQ_BLOCK_MIN numbers, or more where it would last less than SEQ_BLOCK_SECONDS; the next is
 * taken when half of one is used. A crash costs at most one and a half: without ESN a key survives 2,730
 * crashes if it sends less than 131,000 packets a second, and 170 at a rate that uses the 2^32 numbers up in
 * half an hour.
 *
 * IVs are made of the number and a mask of the key (struct sa), random when the key is first seen and kept
 * with it: one mask maps no two numbers to one IV. If the file is lost, the new mask makes a repetition
 * improbable, where no mask would make it certain.
 *
 * A key is known by a fingerprint of the cipher's key and salt, without the integrity key, since the key
 * stream is the same with another one; of the integrity key where nothing is encrypted. It is a hash under
 * the file's secret, so that files can't be compared, and tables of hashes made beforehand are of no use.
 *
 * Control thread; workers see but struct seq. docs/decisions/0007-sequence-numbers.md.
 * Limits: SEQ_FILE_ENTRIES_MAX keys, which are never forgotten; about 150 bytes of memory for each, and 32
 * bytes on disk, up to ten times that before the file is written anew. What was sent with a key elsewhere is
 * not known, nor is it after the file is gone. Limits by bytes and time begin anew with each start.
 */
#ifndef CULVERT_CONTROL_SEQ_STORE_H
#define CULVERT_CONTROL_SEQ_STORE_H

#include "base/err.h"
#include "ipsec/sa.h"
#include "model/sa_conf.h"

#include <stdint.h>

#define SEQ_BLOCK_MIN     (UINT64_C(1) << 20)
#define SEQ_BLOCK_MAX     (UINT64_C(1) << 24)
#define SEQ_BLOCK_SECONDS 8

/* An SA is told of that has used all but such a part of its numbers. */
#define SEQ_NEAR_END 10

struct seq_store;

/* `next` is the SA's next number, `last` the last one that it may send. */
typedef void (*seq_store_listener)(void *argument, const struct sa *sa, uint64_t next, uint64_t last);

/*
 * A store whose file is in this directory, which is borrowed. Nothing is opened before an SA needs it, so a
 * directory that can't be used (or NULL) is no error where all SAs say `allow_static_iv_reuse`.
 */
struct seq_store *seq_store_create(const char *directory);

/* Who is told, once, of each SA whose numbers come to their end; the log has it anyway. */
void seq_store_listen(struct seq_store *store, seq_store_listener listener, void *argument);

/* Write what was really used, and close. All SAs are detached. */
void seq_store_destroy(struct seq_store *store);

/*
 * An outbound SA that was just made, from this conf, is to have numbers; nothing is done for others. No
 * worker sees it, and it sends nothing before seq_store_commit. Returns 0, or -errno with err naming the
 * file, or the SA.
 */
int seq_store_attach(struct seq_store *store, struct sa *sa, const struct sa_conf *conf, struct err *err);

/*
 * Write all that is wanted, by one write, and let the SAs have it. On failure, err naming the file, those
 * whose numbers it keeps have no more than before; seq_store_poll tries again.
 */
int seq_store_commit(struct seq_store *store, struct err *err);

/* The SA uses no number any more, and no worker has it. What it did not use is free again. */
void seq_store_detach(struct seq_store *store, struct sa *sa);

/* Look at some of the SAs, and reserve blocks for those that need one soon. Often. */
void seq_store_poll(struct seq_store *store, uint64_t now_ns);

#endif
