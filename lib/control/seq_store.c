#include "control/seq_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/keyed_hash.h"
#include "control/seq_file.h"

/* How many SAs are looked at in a turn, and how long after the last look at the first of them. */
#define LOOK_SAS       1024
#define LOOK_PERIOD_NS (10 * CLOCK_NS_PER_MS)
/* Writing takes the control thread's time: SAs wait for each other so long, and after a failure. */
#define WRITE_PERIOD_NS (100 * CLOCK_NS_PER_MS)
#define RETRY_PERIOD_NS CLOCK_NS_PER_S
#define TELL_PERIOD_NS  (60 * CLOCK_NS_PER_S)
/* Of a rate that is measured; what is shorter says little. */
#define MEASURE_MIN_NS CLOCK_NS_PER_MS
#define SLOTS_MIN      64
#define NONE           UINT32_MAX
#define CCM_FLAGS      3 /* of a counter of four bytes, RFC 4309 section 4 */

#define WAY_OUT                                                                                              \
	"; sequence numbers of static keys are kept there, so that none is used again: mend it, or set "     \
	"control.state_directory, or 'allow_static_iv_reuse: true' on the SAs if reuse does not matter"

/* A key. It stays where it is, and for ever. */
struct record {
	struct seq_entry entry;
	/* The key's hash under no secret, from which the fingerprint is made. Zero: not seen by this process.
	 */
	uint8_t identity[KEYED_HASH_BYTES];
	bool is_kept;  /* in the file */
	bool is_dirty; /* and it has another there */
};

/* An SA with numbers. */
struct lease {
	struct sa *sa;
	uint32_t record;
	bool is_reusable;     /* it does not wait for the file */
	bool is_told;         /* that its numbers come to their end */
	bool is_planned;      /* the block from `first` on is taken, and not the SA's yet */
	uint64_t first;       /* of the newest block */
	uint64_t end;         /* the number behind it */
	uint64_t block;       /* its length */
	uint64_t measured_ns; /* when `measured_next` was the SA's next number */
	uint64_t measured_next;
};

struct seq_store {
	const char *directory;
	bool is_open;
	struct seq_file file;
	struct keyed_hash identities; /* under no secret */
	struct keyed_hash temporary;  /* of fingerprints, until the file is open */
	struct record *records;
	size_t n_records;
	size_t records_room;
	uint32_t *slots; /* a hash table of indexes of records, or NONE, by fingerprint */
	size_t n_slots;  /* a power of two */
	uint32_t *dirty; /* indexes of records; as much room as for records */
	size_t n_dirty;
	struct lease *leases;
	size_t n_leases;
	size_t leases_room;
	size_t n_planned;
	size_t looked_at; /* leases of this round */
	uint64_t look_ns; /* when the next round begins, and the next write, and the next line in the log */
	uint64_t write_ns;
	uint64_t tell_ns;
	bool is_failing;
	seq_store_listener listener;
	void *argument;
};

void seq_store_listen(struct seq_store *store, seq_store_listener listener, void *argument)
{
	store->listener = listener;
	store->argument = argument;
}

struct seq_store *seq_store_create(const char *directory)
{
	static const uint8_t no_secret[KEYED_HASH_BYTES];
	struct seq_store *store = xcalloc(1, sizeof(*store));
	uint8_t secret[KEYED_HASH_BYTES] = {0};

	store->directory = directory;
	keyed_hash_init(&store->identities, no_secret);
	/* In memory, where the keys are too, a poor secret would do. */
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		log_warning("the operating system gives no random numbers");
	keyed_hash_init(&store->temporary, secret);
	explicit_bzero(secret, sizeof(secret));
	return store;
}

/* Double the room of an array of so many items; what was there may be secret. */
static void *grown(void *items, size_t n, size_t room, size_t item_bytes)
{
	void *larger = xcalloc(room, item_bytes);

	if (items) {
		memcpy(larger, items, n * item_bytes);
		explicit_bzero(items, n * item_bytes);
	}
	free(items);
	return larger;
}

/* Where the fingerprint is, or would be. It is as good as random, so its first bytes are its hash. */
static uint32_t *slot_of(struct seq_store *store, const uint8_t fingerprint[SEQ_FINGERPRINT_BYTES])
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, fingerprint, sizeof(hash));
	for (at = hash & (store->n_slots - 1); store->slots[at] != NONE; at = (at + 1) & (store->n_slots - 1))
		if (memcmp(store->records[store->slots[at]].entry.fingerprint, fingerprint,
			    SEQ_FINGERPRINT_BYTES) == 0)
			break;
	return &store->slots[at];
}

/* A table of at least twice as many slots as there are records. */
static void slots_make(struct seq_store *store)
{
	size_t n = SLOTS_MIN;

	while (n < 2 * store->records_room)
		n *= 2;
	free(store->slots);
	store->slots = xcalloc(n, sizeof(store->slots[0]));
	store->n_slots = n;
	memset(store->slots, 0xff, n * sizeof(store->slots[0]));
	for (uint32_t i = 0; i < store->n_records; i++)
		*slot_of(store, store->records[i].entry.fingerprint) = i;
}

static void records_make_room(struct seq_store *store)
{
	if (store->n_records < store->records_room)
		return;
	store->records_room = store->records_room ? 2 * store->records_room : SLOTS_MIN / 2;
	store->records =
		grown(store->records, store->n_records, store->records_room, sizeof(store->records[0]));
	store->dirty = grown(store->dirty, store->n_dirty, store->records_room, sizeof(store->dirty[0]));
	slots_make(store);
}

/* The record of the fingerprint; one that is new has no numbers used. */
static struct record *record_get(struct seq_store *store, const uint8_t fingerprint[SEQ_FINGERPRINT_BYTES])
{
	uint32_t *slot;

	records_make_room(store);
	slot = slot_of(store, fingerprint);
	if (*slot == NONE) {
		struct record *record = &store->records[store->n_records];

		*record = (struct record){.entry.next = 1};
		memcpy(record->entry.fingerprint, fingerprint, SEQ_FINGERPRINT_BYTES);
		*slot = (uint32_t)store->n_records++;
	}
	return &store->records[*slot];
}

static void record_soil(struct seq_store *store, struct record *record)
{
	if (!record->is_kept || record->is_dirty)
		return;
	record->is_dirty = true;
	store->dirty[store->n_dirty++] = (uint32_t)(record - store->records);
}

static void fingerprint_of(const struct seq_store *store, const uint8_t identity[KEYED_HASH_BYTES],
	uint8_t fingerprint[SEQ_FINGERPRINT_BYTES])
{
	uint8_t hash[KEYED_HASH_BYTES];

	keyed_hash_of(
		store->is_open ? &store->file.hash : &store->temporary, identity, KEYED_HASH_BYTES, hash);
	memcpy(fingerprint, hash, SEQ_FINGERPRINT_BYTES);
}

/* What the file says of keys, of which this process may have used some without it. */
static void content_take(struct seq_store *store, const struct seq_file_content *content)
{
	for (size_t i = 0; i < content->n; i++) {
		const struct seq_entry *entry = &content->entries[i];
		struct record *record = record_get(store, entry->fingerprint);

		record->is_kept = true;
		if (memcmp(record->identity, (uint8_t[KEYED_HASH_BYTES]){0}, KEYED_HASH_BYTES) == 0)
			record->entry = *entry;
		else
			record->entry.next = RTE_MAX(record->entry.next, entry->next);
	}
}

/*
 * The end that is gone was being written when the machine stopped, and nothing of it was used. Should it have
 * been damaged later, what it gave a key was one block; so that is not used either.
 */
static void skip_torn_end(struct seq_store *store)
{
	for (size_t i = 0; i < store->n_records; i++) {
		struct record *record = &store->records[i];

		record->entry.next += SEQ_BLOCK_MAX;
		record_soil(store, record);
	}
	log_warning("%s/sequences was not written to its end: each key skips %" PRIu64 " sequence numbers",
		store->directory, SEQ_BLOCK_MAX);
}

static int store_open(struct seq_store *store, struct err *err)
{
	struct seq_file_content content;
	int ret = seq_file_open(&store->file, store->directory, &content, err);

	if (ret != 0)
		return ret;
	store->is_open = true;
	for (size_t i = 0; i < store->n_records; i++)
		fingerprint_of(store, store->records[i].identity, store->records[i].entry.fingerprint);
	slots_make(store);
	content_take(store, &content);
	if (content.has_torn_end)
		skip_torn_end(store);
	free(content.entries);
	return 0;
}

/* What the operator can do about it. */
static int with_way_out(int code, struct err *err)
{
	struct err cause = *err;

	return err_set(err, -code, "%.300s" WAY_OUT, cause.text);
}

/*
 * What an IV must not repeat under: the cipher's key and the salt, which two algorithms may share whose
 * integrity keys differ; the integrity key where nothing is encrypted. CCM's counter blocks have its flags in
 * front of a salt of three bytes (RFC 3610 section 2.3), where those of GCM and CTR have four bytes of salt.
 */
static void identity_of(
	const struct seq_store *store, const struct sa_conf *conf, uint8_t identity[KEYED_HASH_BYTES])
{
	const struct alg *alg = conf->alg;
	const uint8_t *salt = conf->key.bytes + alg->cipher_key_bytes;
	uint8_t input[SECRET_BYTES_MAX + 1];
	size_t n = alg->cipher_key_bytes;

	memcpy(input, conf->key.bytes, n);
	if (alg->cipher == CIPHER_AES_CCM)
		input[n++] = CCM_FLAGS;
	memcpy(input + n, salt, alg->salt_bytes);
	n += alg->salt_bytes;
	if (n == 0) {
		n = conf->key.length_bytes;
		memcpy(input, conf->key.bytes, n);
	}
	keyed_hash_of(&store->identities, input, n, identity);
	explicit_bzero(input, sizeof(input));
}

static int record_of(
	struct seq_store *store, const struct sa_conf *conf, struct record **out, struct err *err)
{
	uint8_t identity[KEYED_HASH_BYTES], fingerprint[SEQ_FINGERPRINT_BYTES];
	struct record *record;

	identity_of(store, conf, identity);
	fingerprint_of(store, identity, fingerprint);
	if (store->n_records >= SEQ_FILE_ENTRIES_MAX && *slot_of(store, fingerprint) == NONE)
		return err_set(err, ENOSPC,
			"%s/sequences knows %u keys already, which is all it can; remove it "
			"when all keys are new",
			store->directory ? store->directory : "memory", SEQ_FILE_ENTRIES_MAX);
	record = record_get(store, fingerprint);
	if (record->entry.iv_mask == 0 && record->entry.next == 1 &&
		getrandom(&record->entry.iv_mask, sizeof(record->entry.iv_mask), 0) !=
			sizeof(record->entry.iv_mask))
		return err_set(err, EIO, "the operating system gives no random numbers");
	memcpy(record->identity, identity, sizeof(identity));
	record->is_kept |= !conf->allow_static_iv_reuse;
	*out = record;
	return 0;
}

/* Take the key's next numbers for the SA, as many as it may still have. */
static void lease_plan(struct seq_store *store, struct lease *lease)
{
	struct record *record = &store->records[lease->record];
	uint64_t first = record->entry.next;

	if (first > lease->sa->seq_end)
		return;
	lease->first = first;
	lease->end =
		lease->sa->seq_end - first < lease->block ? lease->sa->seq_end + 1 : first + lease->block;
	lease->is_planned = true;
	store->n_planned++;
	record->entry.next = lease->end;
	record_soil(store, record);
}

static struct lease *lease_add(struct seq_store *store, struct sa *sa, const struct record *record)
{
	struct lease *lease;

	if (store->n_leases == store->leases_room) {
		store->leases_room = store->leases_room ? 2 * store->leases_room : SLOTS_MIN;
		store->leases =
			grown(store->leases, store->n_leases, store->leases_room, sizeof(store->leases[0]));
	}
	lease = &store->leases[store->n_leases++];
	*lease = (struct lease){
		.sa = sa,
		.record = (uint32_t)(record - store->records),
		.first = sa->seq_first,
		.end = sa->seq_first,
		.block = SEQ_BLOCK_MIN,
		.measured_ns = clock_now_ns(),
		.measured_next = sa->seq_first,
	};
	sa->seq_lease = (uint32_t)store->n_leases;
	return lease;
}

int seq_store_attach(struct seq_store *store, struct sa *sa, const struct sa_conf *conf, struct err *err)
{
	struct record *record = NULL;
	struct lease *lease;
	int ret = 0;

	if (sa->inbound || !conf->alg)
		return 0;
	if (!store->is_open && !conf->allow_static_iv_reuse)
		ret = store_open(store, err);
	if (ret == 0)
		ret = record_of(store, conf, &record, err);
	if (ret != 0)
		return with_way_out(ret, err);
	sa_number_from(sa, record->entry.next, record->entry.iv_mask);
	if (record->entry.next > sa->seq_end)
		log_warning("an SA can't send: its key has used its last sequence number sa=%s", sa->name);
	lease = lease_add(store, sa, record);
	lease->is_reusable = conf->allow_static_iv_reuse;
	lease_plan(store, lease);
	return 0;
}

/* All records that are kept, or those that are dirty; the caller frees them. */
static struct seq_entry *entries_collect(const struct seq_store *store, bool all, size_t *n)
{
	struct seq_entry *entries = xcalloc(store->n_records + 1, sizeof(*entries));

	*n = 0;
	if (all) {
		for (size_t i = 0; i < store->n_records; i++)
			if (store->records[i].is_kept)
				entries[(*n)++] = store->records[i].entry;
	} else {
		for (size_t i = 0; i < store->n_dirty; i++)
			entries[(*n)++] = store->records[store->dirty[i]].entry;
	}
	return entries;
}

static int dirty_write(struct seq_store *store, struct err *err)
{
	bool all = seq_file_wants_rewrite(&store->file, store->n_records);
	size_t n;
	struct seq_entry *entries;
	int ret;

	if (store->n_dirty == 0)
		return 0;
	entries = entries_collect(store, all, &n);
	ret = all ? seq_file_rewrite(&store->file, entries, n, err)
		  : seq_file_append(&store->file, entries, n, err);
	free(entries);
	if (ret != 0)
		return ret;
	while (store->n_dirty > 0)
		store->records[store->dirty[--store->n_dirty]].is_dirty = false;
	return 0;
}

/* The SAs get what is written, and what need not be. */
static void planned_grant(struct seq_store *store)
{
	/* From the end, where new SAs are: they don't wait for a walk past all the others. */
	for (size_t i = store->n_leases; store->n_planned > 0 && i > 0; i--) {
		struct lease *lease = &store->leases[i - 1];

		if (!lease->is_planned || (store->records[lease->record].is_dirty && !lease->is_reusable))
			continue;
		/* What the SA jumps over it has not used. */
		if (lease->first != atomic_load_explicit(&lease->sa->seq.last, memory_order_relaxed) + 1)
			lease->measured_next = lease->first;
		seq_extend(&lease->sa->seq, lease->first, lease->end - 1);
		lease->is_planned = false;
		store->n_planned--;
	}
}

int seq_store_commit(struct seq_store *store, struct err *err)
{
	/* What was given back is written with what is taken next: until then, it only is not used. */
	int ret = store->n_planned > 0 ? dirty_write(store, err) : 0;

	planned_grant(store);
	return ret == 0 ? 0 : with_way_out(ret, err);
}

/* Give back what the SA did not use, unless others have had numbers since. */
static void lease_return(struct seq_store *store, const struct lease *lease)
{
	struct record *record = &store->records[lease->record];
	uint64_t next = atomic_load_explicit(&lease->sa->seq.next, memory_order_relaxed);
	uint64_t last = atomic_load_explicit(&lease->sa->seq.last, memory_order_relaxed);

	if (record->entry.next != lease->end)
		return;
	/* Numbers past the last one were refused; and what is planned elsewhere was not begun. */
	record->entry.next = RTE_MIN(next, last + 1);
	if (lease->is_planned && lease->first != last + 1)
		record->entry.next = lease->first;
	record_soil(store, record);
}

void seq_store_detach(struct seq_store *store, struct sa *sa)
{
	struct lease *lease;

	if (sa->seq_lease == 0)
		return;
	lease = &store->leases[sa->seq_lease - 1];
	lease_return(store, lease);
	store->n_planned -= lease->is_planned;
	*lease = store->leases[--store->n_leases];
	lease->sa->seq_lease = sa->seq_lease;
	sa->seq_lease = 0;
}

/* How many numbers the SA uses in SEQ_BLOCK_SECONDS. */
static uint64_t lease_measure(struct lease *lease, uint64_t next, uint64_t now_ns)
{
	uint64_t used = next - RTE_MIN(next, lease->measured_next);
	uint64_t elapsed_ns = RTE_MAX(now_ns - lease->measured_ns, MEASURE_MIN_NS);

	lease->measured_ns = now_ns;
	lease->measured_next = next;
	return (uint64_t)((double)used * (SEQ_BLOCK_SECONDS * CLOCK_NS_PER_S) / (double)elapsed_ns);
}

/* Once for an SA: another must take its place (RFC 4303 section 3.3.3). */
static void end_look(const struct seq_store *store, struct lease *lease, uint64_t next)
{
	uint64_t last = lease->sa->seq_end;

	if (lease->is_told || next < last - last / SEQ_NEAR_END)
		return;
	lease->is_told = true;
	log_warning("sequence numbers come to their end sa=%s spi=0x%08x next=%" PRIu64 " last=%" PRIu64,
		lease->sa->name, rte_be_to_cpu_32(lease->sa->spi), next, last);
	if (store->listener)
		store->listener(store->argument, lease->sa, next, last);
}

static void lease_look(struct seq_store *store, struct lease *lease, uint64_t now_ns)
{
	uint64_t next = atomic_load_explicit(&lease->sa->seq.next, memory_order_relaxed);
	uint64_t wanted;

	end_look(store, lease, next);
	if (lease->is_planned || next + lease->block / 2 < lease->end)
		return;
	wanted = lease_measure(lease, next, now_ns);
	lease->block = RTE_MIN(RTE_MAX(wanted, SEQ_BLOCK_MIN), SEQ_BLOCK_MAX);
	lease_plan(store, lease);
}

/* Some of the SAs; all of them in one round. */
static void leases_look(struct seq_store *store, uint64_t now_ns)
{
	size_t end = RTE_MIN(store->looked_at + LOOK_SAS, store->n_leases);

	if (store->looked_at == 0) {
		if (now_ns < store->look_ns)
			return;
		store->look_ns = now_ns + LOOK_PERIOD_NS;
	}
	for (; store->looked_at < end; store->looked_at++)
		lease_look(store, &store->leases[store->looked_at], now_ns);
	if (store->looked_at >= store->n_leases)
		store->looked_at = 0;
}

/* A line when it begins, one a minute, and one when it is over. */
static void outcome_tell(struct seq_store *store, int ret, const struct err *err, uint64_t now_ns)
{
	if (ret == 0 && store->is_failing)
		log_info("sequence numbers can be reserved again");
	if (ret != 0 && (!store->is_failing || now_ns >= store->tell_ns)) {
		log_error("no sequence numbers can be reserved, and SAs will stop sending: %s", err->text);
		store->tell_ns = now_ns + TELL_PERIOD_NS;
	}
	store->is_failing = ret != 0;
}

void seq_store_poll(struct seq_store *store, uint64_t now_ns)
{
	struct err err;
	int ret;

	leases_look(store, now_ns);
	if (store->n_planned == 0 || now_ns < store->write_ns)
		return;
	ret = seq_store_commit(store, &err);
	outcome_tell(store, ret, &err, now_ns);
	/* By the clock, since writing took time. */
	store->write_ns = RTE_MAX(clock_now_ns(), now_ns) + (ret == 0 ? WRITE_PERIOD_NS : RETRY_PERIOD_NS);
}

void seq_store_destroy(struct seq_store *store)
{
	struct err err;

	if (!store)
		return;
	if (store->is_open && dirty_write(store, &err) != 0)
		log_error("the next start skips the sequence numbers that were reserved: %s", err.text);
	if (store->is_open)
		seq_file_close(&store->file);
	keyed_hash_fini(&store->identities);
	keyed_hash_fini(&store->temporary);
	if (store->records)
		explicit_bzero(store->records, store->n_records * sizeof(store->records[0]));
	free(store->records);
	free(store->slots);
	free(store->dirty);
	free(store->leases);
	free(store);
}
