#include "control/seq_store.h"

#include "base/clock.h"
#include "control/seq_file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES      256
#define FILE_BYTES_ROOM (64u << 20)

static char root[PATH_BYTES];

static void setup(void)
{
	snprintf(root, sizeof(root), "/tmp/culvert-seq-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	signal(SIGXFSZ, SIG_IGN);
}

static void teardown(void)
{
	char command[PATH_BYTES + 16];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

/* A directory below the test's own; a static buffer for each number. */
static const char *directory(unsigned number)
{
	static char paths[4][PATH_BYTES + 16];

	snprintf(paths[number], sizeof(paths[number]), "%s/d%u", root, number);
	return paths[number];
}

static void file_path(const char *dir, char path[2 * PATH_BYTES])
{
	snprintf(path, 2 * PATH_BYTES, "%s/sequences", dir);
}

struct bytes {
	uint8_t *at;
	size_t n;
};

static struct bytes file_get(const char *dir)
{
	char path[2 * PATH_BYTES];
	struct bytes bytes = {.at = malloc(FILE_BYTES_ROOM)};
	FILE *file;

	file_path(dir, path);
	file = fopen(path, "rb");
	ck_assert_ptr_nonnull(file);
	bytes.n = fread(bytes.at, 1, FILE_BYTES_ROOM, file);
	fclose(file);
	return bytes;
}

static void file_put(const char *dir, const uint8_t *bytes, size_t n)
{
	char path[2 * PATH_BYTES];
	int fd;

	mkdir(dir, 0700);
	file_path(dir, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

/* What another process would find that starts now: the first one was killed. */
static const char *as_after_a_crash(const char *from, unsigned number)
{
	struct bytes bytes = file_get(from);

	file_put(directory(number), bytes.at, bytes.n);
	free(bytes.at);
	return directory(number);
}

/* An SA, without what it takes to encrypt. */
struct user {
	struct sa sa;
	struct sa_conf conf;
	char name[16];
};

static struct user *user_of(const char *alg, uint8_t key)
{
	struct user *user = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*user), 64));

	memset(user, 0, sizeof(*user));
	snprintf(user->name, sizeof(user->name), "sa%u", key);
	user->conf = (struct sa_conf){.name = user->name, .alg = alg_find(alg)};
	user->conf.key.length_bytes = alg_key_bytes(user->conf.alg);
	memset(user->conf.key.bytes, key, user->conf.key.length_bytes);
	user->sa.alg = user->conf.alg;
	seq_init(&user->sa.seq, false);
	return user;
}

static int attach(struct seq_store *store, struct user *user, struct err *err)
{
	return seq_store_attach(store, &user->sa, &user->conf, err);
}

/* A store of the directory that has given the user what it asked for. */
static struct seq_store *store_with(const char *dir, struct user *user)
{
	struct seq_store *store = seq_store_create(dir);
	struct err err = {.text = "no error"};
	int ret = attach(store, user, &err);

	ret = ret ? ret : seq_store_commit(store, &err);
	ck_assert_msg(ret == 0, "%s", err.text);
	return store;
}

static void stop(struct seq_store *store, struct user *user)
{
	seq_store_detach(store, &user->sa);
	seq_store_destroy(store);
	free(user);
}

static uint64_t take(struct user *user, uint32_t n)
{
	uint64_t first = 0;

	ck_assert_uint_eq(seq_reserve(&user->sa.seq, n, &first), n);
	return first;
}

/* The first number that a store of this directory gives to the key, without a trace. */
static uint64_t first_of(const char *dir, const char *alg, uint8_t key)
{
	struct user *user = user_of(alg, key);
	struct seq_store *store = store_with(dir, user);
	uint64_t first = user->sa.seq_first;

	stop(store, user);
	return first;
}

// MAN-1
START_TEST(a_new_key_begins_with_number_one_once_that_is_on_the_disk)
{
	struct seq_store *store = seq_store_create(directory(0));
	struct user *user = user_of("aes128gcm16", 1);
	struct err err;
	uint64_t first;

	ck_assert_int_eq(attach(store, user, &err), 0);
	ck_assert_uint_eq(seq_reserve(&user->sa.seq, 1, &first), 0);
	ck_assert_int_eq(seq_store_commit(store, &err), 0);

	ck_assert_uint_eq(take(user, 1), 1);
	stop(store, user);
}
END_TEST

// REK-6
START_TEST(after_a_crash_a_key_begins_behind_what_was_reserved)
{
	struct user *user = user_of("aes128gcm16", 1), *again = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user), *other;

	take(user, 1000);
	other = store_with(as_after_a_crash(directory(0), 1), again);

	ck_assert_uint_eq(take(again, 1), 1 + SEQ_BLOCK_MIN);
	ck_assert_uint_eq(again->sa.iv_mask, user->sa.iv_mask);
	ck_assert_uint_ne(again->sa.iv_mask, 0);
	stop(store, user);
	stop(other, again);
}
END_TEST

START_TEST(after_a_clean_stop_nothing_is_skipped)
{
	struct user *user = user_of("aes128gcm16", 1), *again = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);
	uint64_t mask = user->sa.iv_mask;

	take(user, 1000);
	stop(store, user);
	store = store_with(directory(0), again);

	ck_assert_uint_eq(take(again, 1), 1001);
	ck_assert_uint_eq(again->sa.iv_mask, mask);
	stop(store, again);
}
END_TEST

START_TEST(an_sa_gets_its_next_block_before_its_first_is_used_up)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);

	for (unsigned i = 1; i <= 8; i++) {
		take(user, SEQ_BLOCK_MIN / 2);
		seq_store_poll(store, clock_now_ns() + i * 100 * CLOCK_NS_PER_S);
	}

	ck_assert_uint_eq(take(user, 1), 4 * SEQ_BLOCK_MIN + 1);
	ck_assert_uint_le(atomic_load(&user->sa.seq.last), 5 * SEQ_BLOCK_MIN + SEQ_BLOCK_MIN / 2);
	ck_assert_uint_eq(first_of(as_after_a_crash(directory(0), 1), "aes128gcm16", 1),
		atomic_load(&user->sa.seq.last) + 1);
	stop(store, user);
}
END_TEST

START_TEST(blocks_grow_with_the_rate_up_to_a_bound)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);

	take(user, SEQ_BLOCK_MIN - 1);
	seq_store_poll(store, clock_now_ns());

	ck_assert_uint_eq(atomic_load(&user->sa.seq.last), SEQ_BLOCK_MIN + SEQ_BLOCK_MAX);
	stop(store, user);
}
END_TEST

/* RFC 8221 section 3: two SAs of one key, as while one replaces the other. */
#define SEEN_RUNS 1000

// MAN-1
START_TEST(two_sas_of_one_key_never_have_the_same_number)
{
	struct user *users[] = {user_of("aes128gcm16", 1), user_of("aes128gcm16", 1)};
	struct seq_store *store = store_with(directory(0), users[0]);
	uint32_t run = SEQ_BLOCK_MIN / 8;
	uint8_t *seen = calloc(SEEN_RUNS, 1);
	struct err err;

	ck_assert_int_eq(attach(store, users[1], &err), 0);
	ck_assert_int_eq(seq_store_commit(store, &err), 0);
	ck_assert_uint_eq(users[0]->sa.iv_mask, users[1]->sa.iv_mask);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t first = take(users[i % 2], run);

		ck_assert_uint_eq((first - 1) % run, 0);
		ck_assert_uint_lt(first / run, SEEN_RUNS);
		ck_assert_uint_eq(seen[(first - 1) / run]++, 0);
		seq_store_poll(store, clock_now_ns() + (i + 1) * 100 * CLOCK_NS_PER_S);
	}

	/* The one that had its block last gives it back, and the other's rest is lost. */
	seq_store_detach(store, &users[0]->sa);
	stop(store, users[1]);
	free(users[0]);
	ck_assert_uint_gt(first_of(directory(0), "aes128gcm16", 1), 100 * (uint64_t)run);
	free(seen);
}
END_TEST

/* What follows the cipher's key in the keying material. */
static struct user *user_with(const char *alg, uint8_t salt, uint8_t auth)
{
	struct user *user = user_of(alg, 1);
	uint8_t *rest = user->conf.key.bytes + user->conf.alg->cipher_key_bytes;

	memset(rest, salt, user->conf.alg->salt_bytes);
	memset(rest + user->conf.alg->salt_bytes, auth, user->conf.alg->auth_key_bytes);
	return user;
}

// MAN-1
START_TEST(keys_are_one_where_their_key_streams_are)
{
	static const struct {
		const char *algs[2];
		uint8_t salts[2];
		bool are_one;
	} cases[] = {
		{{"aes128gcm16", "aes128gcm16"}, {5, 5}, true},
		{{"aes128gcm16", "aes128gcm16"}, {5, 6}, false},
		{{"aes128gcm16", "aes128gcm8"}, {5, 5}, true},
		{{"aes128gcm16", "aes128ctr-sha256"}, {5, 5}, true},
		{{"aes128gcm16", "aes128gmac"}, {5, 5}, true},
		{{"aes128ctr-sha256", "aes128ctr-sha256"}, {5, 5}, true},
		{{"aes128-sha256", "aes128-sha1"}, {0, 0}, true},
		{{"aes128ccm16", "aes128gcm16"}, {3, 3}, true}, /* 03 03 03 03: flags and salt, or salt */
		{{"aes128ccm16", "aes128gcm16"}, {5, 5}, false},
		{{"null-sha256", "null-sha256"}, {0, 0}, false}, /* the integrity keys differ */
		{{"aes128gcm16", "aes256gcm16"}, {5, 5}, false},
	};
	struct user *users[2];
	struct err err;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct seq_store *store = seq_store_create(NULL);

		for (unsigned j = 0; j < 2; j++) {
			users[j] = user_with(cases[i].algs[j], cases[i].salts[j], (uint8_t)(7 + j));
			users[j]->conf.allow_static_iv_reuse = true;
			ck_assert_int_eq(attach(store, users[j], &err), 0);
		}
		ck_assert_msg((users[1]->sa.seq_first > 1) == cases[i].are_one, "case %zu", i);
		for (unsigned j = 0; j < 2; j++)
			seq_store_detach(store, &users[j]->sa);
		seq_store_destroy(store);
		free(users[0]);
		free(users[1]);
	}
}
END_TEST

START_TEST(a_key_that_is_used_up_sends_no_more)
{
	struct user *user = user_of("aes128gcm16", 1), *esn = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);
	struct err err;
	uint64_t first;

	atomic_store(&user->sa.seq.next, SEQ_LAST + 1);
	atomic_store(&user->sa.seq.last, SEQ_LAST);
	stop(store, user);
	user = user_of("aes128gcm16", 1);
	/* It gave back what it had, so the file is told by a key with extended numbers. */
	esn->conf.esn = esn->sa.esn = true;
	store = store_with(directory(0), esn);
	seq_extend(&esn->sa.seq, atomic_load(&esn->sa.seq.last) + 1, SEQ_LAST + 1);
	atomic_store(&esn->sa.seq.next, SEQ_LAST + 2);
	stop(store, esn);

	store = store_with(directory(0), user);
	ck_assert_uint_eq(seq_reserve(&user->sa.seq, 1, &first), 0);
	ck_assert_uint_ge(user->sa.seq_end, seq_last(false));
	ck_assert_int_eq(seq_store_commit(store, &err), 0);
	stop(store, user);
	ck_assert_uint_eq(first_of(directory(0), "aes128gcm16", 1), SEQ_LAST + 2);
}
END_TEST

START_TEST(a_second_process_does_not_get_the_directory)
{
	struct user *user = user_of("aes128gcm16", 1), *other = user_of("aes128gcm16", 2);
	struct seq_store *store = store_with(directory(0), user);
	struct seq_store *second = seq_store_create(directory(0));
	struct err err;

	ck_assert_int_eq(attach(second, other, &err), -EBUSY);
	ck_assert_msg(strstr(err.text, "sequences.lock is held") && strstr(err.text, "allow_static_iv_reuse"),
		"%s", err.text);
	seq_store_destroy(second);
	free(other);
	stop(store, user);
}
END_TEST

START_TEST(an_sa_that_may_reuse_ivs_leaves_nothing_on_the_disk_and_repeats_none_meanwhile)
{
	struct seq_store *store = seq_store_create(directory(0));
	struct user *users[] = {user_of("aes128gcm16", 1), user_of("aes128gcm16", 1)};
	struct err err;

	for (unsigned i = 0; i < 2; i++) {
		users[i]->conf.allow_static_iv_reuse = true;
		ck_assert_int_eq(attach(store, users[i], &err), 0);
	}
	ck_assert_int_eq(seq_store_commit(store, &err), 0);

	ck_assert_uint_eq(take(users[0], 10), 1);
	ck_assert_uint_eq(take(users[1], 10), 1 + SEQ_BLOCK_MIN);
	ck_assert_int_ne(access(directory(0), F_OK), 0);
	for (unsigned i = 0; i < 2; i++)
		seq_store_detach(store, &users[i]->sa);
	seq_store_destroy(store);
	free(users[0]);
	free(users[1]);
}
END_TEST

START_TEST(a_key_that_was_used_without_the_file_is_known_to_it_from_then_on)
{
	struct seq_store *store = seq_store_create(directory(0));
	struct user *loose = user_of("aes128gcm16", 1), *kept = user_of("aes128gcm16", 1);
	struct err err;

	loose->conf.allow_static_iv_reuse = true;
	ck_assert_int_eq(attach(store, loose, &err), 0);
	ck_assert_int_eq(seq_store_commit(store, &err), 0);
	ck_assert_int_eq(attach(store, kept, &err), 0);
	ck_assert_int_eq(seq_store_commit(store, &err), 0);

	ck_assert_uint_eq(take(loose, 1), 1);
	ck_assert_uint_eq(take(kept, 1), 1 + SEQ_BLOCK_MIN);
	ck_assert_uint_eq(
		first_of(as_after_a_crash(directory(0), 1), "aes128gcm16", 1), 1 + 2 * SEQ_BLOCK_MIN);
	seq_store_detach(store, &loose->sa);
	free(loose);
	stop(store, kept);
}
END_TEST

/* While it holds, nothing may be asserted, since that writes too. */
static void file_size_limit(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		abort();
}

/* As a full disk: the file can't become longer, nor be written anew. */
// MAN-1
START_TEST(what_can_not_be_written_is_not_used_until_it_can)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);
	uint64_t first, now_ns = clock_now_ns();

	take(user, SEQ_BLOCK_MIN - 1);
	file_size_limit(100);
	for (unsigned i = 0; i < 5; i++)
		seq_store_poll(store, now_ns += 100 * CLOCK_NS_PER_S);
	file_size_limit(RLIM_INFINITY);
	ck_assert_uint_eq(seq_reserve(&user->sa.seq, 5, &first), 1);
	ck_assert_uint_eq(seq_reserve(&user->sa.seq, 5, &first), 0);
	ck_assert_uint_eq(first_of(as_after_a_crash(directory(0), 1), "aes128gcm16", 1), 1 + SEQ_BLOCK_MIN);

	seq_store_poll(store, now_ns += 100 * CLOCK_NS_PER_S);
	ck_assert_uint_gt(take(user, 5), SEQ_BLOCK_MIN);
	ck_assert_uint_eq(first_of(as_after_a_crash(directory(0), 2), "aes128gcm16", 1),
		atomic_load(&user->sa.seq.last) + 1);
	stop(store, user);
}
END_TEST

START_TEST(a_file_that_can_not_be_made_is_an_error_with_a_way_out)
{
	struct seq_store *store = seq_store_create(directory(0));
	struct user *user = user_of("aes128gcm16", 1);
	struct err err;
	int ret;

	file_size_limit(10);
	ret = attach(store, user, &err);
	file_size_limit(RLIM_INFINITY);

	ck_assert_int_eq(ret, -EFBIG);
	ck_assert_msg(strstr(err.text, "/sequences: File too large") &&
			      strstr(err.text, "control.state_directory") &&
			      strstr(err.text, "allow_static_iv_reuse"),
		"%s", err.text);
	seq_store_destroy(store);
	free(user);
}
END_TEST

/*
 * A file with the key's numbers in batches: the first two make them more, and a third, if the process stopped
 * and was not killed, less. *next is the first number that was not used; the bytes are the caller's.
 */
static struct bytes file_of_batches(bool is_killed, uint64_t *next)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);
	struct bytes killed, stopped;

	take(user, SEQ_BLOCK_MIN - 1);
	seq_store_poll(store, clock_now_ns() + 1000 * CLOCK_NS_PER_S);
	take(user, 100);
	*next = atomic_load(&user->sa.seq.next);
	killed = file_get(directory(0));
	stop(store, user);
	stopped = file_get(directory(0));
	free(is_killed ? stopped.at : killed.at);
	return is_killed ? killed : stopped;
}

/* Numbers that the key would begin with; 0: the file is refused. */
static uint64_t first_or_refused(const char *dir, struct err *err)
{
	struct seq_store *store = seq_store_create(dir);
	struct user *user = user_of("aes128gcm16", 1);
	uint64_t first = 0;

	if (attach(store, user, err) == 0)
		first = user->sa.seq_first;
	seq_store_detach(store, &user->sa);
	seq_store_destroy(store);
	free(user);
	return first;
}

// REK-6
START_TEST(a_write_that_was_cut_anywhere_leaves_the_numbers_of_before)
{
	uint64_t next, first;
	struct bytes bytes = file_of_batches(false, &next);
	size_t header = 64, batch = 64; /* of one entry; the file was made with none */
	struct err err;

	ck_assert_uint_eq(bytes.n, header + 32 + 3 * batch);
	for (size_t cut = 1; cut < batch; cut++) {
		file_put(directory(1), bytes.at, bytes.n - cut);
		first = first_or_refused(directory(1), &err);

		ck_assert_msg(first >= next, "%zu bytes less: begins with %lu", cut, first);
	}
	/* What is told once is mended. */
	ck_assert_uint_eq(first_or_refused(directory(1), &err), first);
	free(bytes.at);
}
END_TEST

/* A batch that a later one follows was on the disk in whole, and damaged since. */
// REK-6
START_TEST(no_single_damaged_byte_lets_a_number_be_used_again)
{
	uint64_t next;
	struct bytes bytes = file_of_batches(_i == 0, &next);
	unsigned n_refused = 0, n_torn = 0;
	struct err err;

	for (size_t i = 0; i < bytes.n; i++) {
		bytes.at[i] ^= 0x10;
		file_put(directory(1), bytes.at, bytes.n);
		bytes.at[i] ^= 0x10;
		uint64_t first = first_or_refused(directory(1), &err);

		ck_assert_msg(first == 0 || first >= next, "byte %zu: begins with %lu", i, first);
		n_torn += first != 0;
		n_refused += first == 0 && strstr(err.text, directory(1)) != NULL;
	}
	ck_assert_uint_eq(n_torn, 64); /* the last batch */
	ck_assert_uint_eq(n_refused, bytes.n - n_torn);
	free(bytes.at);
}
END_TEST

START_TEST(other_files_are_refused)
{
	static const struct {
		const char *content;
		mode_t mode;
		const char *says;
	} cases[] = {
		{"", 0600, "no file of sequence numbers"},
		{"culvseq", 0600, "no file of sequence numbers"},
		{"something else that is longer than the header of the file has to be", 0600,
			"no file of sequence numbers"},
		{"x", 0640, "chmod 600"},
	};
	char path[2 * PATH_BYTES];
	struct err err;

	file_path(directory(0), path);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		file_put(directory(0), (const uint8_t *)cases[i].content, strlen(cases[i].content));
		chmod(path, cases[i].mode);

		ck_assert_uint_eq(first_or_refused(directory(0), &err), 0);
		ck_assert_msg(strstr(err.text, cases[i].says) && strstr(err.text, path), "%s", err.text);
		unlink(path);
	}
}
END_TEST

#define KEYS   5
#define USERS  4
#define RANGES 4000

/* What keys were used for, over many lives of the process. */
struct life_story {
	struct range {
		uint8_t key;
		uint64_t first, last;
		uint64_t mask;
	} ranges[RANGES];
	unsigned n_ranges;
	struct user *users[USERS];
};

static void story_use(struct life_story *story, struct user *user, uint32_t n)
{
	uint64_t first = 0;
	uint32_t got = seq_reserve(&user->sa.seq, n, &first);
	struct range range = {user->conf.key.bytes[0], first, first + got - 1, user->sa.iv_mask};

	if (got == 0)
		return;
	for (unsigned i = 0; i < story->n_ranges; i++) {
		const struct range *other = &story->ranges[i];

		if (other->key != range.key)
			continue;
		ck_assert(range.last < other->first || range.first > other->last);
		ck_assert_uint_eq(range.mask, other->mask);
	}
	story->ranges[story->n_ranges++] = range;
}

static void story_leave(struct life_story *story, struct seq_store *store, unsigned i)
{
	if (!story->users[i])
		return;
	seq_store_detach(store, &story->users[i]->sa);
	free(story->users[i]);
	story->users[i] = NULL;
}

static void story_step(struct life_story *story, struct seq_store *store)
{
	unsigned i = (unsigned)rand() % USERS;
	struct err err;

	switch (rand() % 8) {
	case 0:
		story_leave(story, store, i);
		break;
	case 1:
		if (!story->users[i]) {
			story->users[i] = user_of("aes128gcm16", (uint8_t)(1 + rand() % KEYS));
			ck_assert_int_eq(attach(store, story->users[i], &err), 0);
		}
		break;
	case 2:
		seq_store_commit(store, &err);
		break;
	case 3:
		seq_store_poll(store, clock_now_ns() + (uint64_t)rand() * CLOCK_NS_PER_S);
		break;
	case 4:
		file_size_limit((rlim_t)(rand() % 3000));
		seq_store_poll(store, clock_now_ns() + (uint64_t)rand() * CLOCK_NS_PER_S);
		file_size_limit(RLIM_INFINITY);
		break;
	default:
		if (story->users[i])
			story_use(story, story->users[i], 1 + (uint32_t)rand() % SEQ_BLOCK_MIN);
	}
}

/* The process is killed, or stops, and the next begins. */
static struct seq_store *story_restart(struct life_story *story, struct seq_store *store, unsigned *number)
{
	unsigned next = (*number + 1) % 2;
	bool is_killed = rand() % 2;

	if (is_killed)
		as_after_a_crash(directory(*number), next);
	for (unsigned i = 0; i < USERS; i++)
		story_leave(story, store, i);
	seq_store_destroy(store);
	*number = is_killed ? next : *number;
	return seq_store_create(directory(*number));
}

// MAN-1 REK-6
START_TEST(whatever_happens_no_number_of_a_key_is_used_twice)
{
	struct life_story *story = calloc(1, sizeof(*story));
	unsigned number = 0;
	struct user *first = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), first);

	srand((unsigned)_i);
	story_use(story, first, 10);
	story->users[0] = first;
	for (unsigned start = 0; start < 40; start++) {
		for (unsigned step = 0; step < 80 && story->n_ranges < RANGES; step++)
			story_step(story, store);
		store = story_restart(story, store, &number);
	}
	ck_assert_uint_gt(story->n_ranges, 200);
	seq_store_destroy(store);
	free(story);
}
END_TEST

#define MANY 100000

static void many_keys(struct user *user, uint32_t i)
{
	memcpy(user->conf.key.bytes, &i, sizeof(i));
}

/* The SAs of a large gateway, of which each costs no more than its place. */
START_TEST(a_hundred_thousand_keys_are_kept_and_found)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct sa *sas = aligned_alloc(64, MANY * sizeof(*sas));
	struct seq_store *store = seq_store_create(directory(0));
	unsigned n_good = 0, n_right = 0; /* few assertions, since many take long */
	uint64_t start_ns;
	struct err err;
	struct bytes bytes;

	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++)
			sas[i] = user->sa;
		start_ns = clock_now_ns();
		for (uint32_t i = 0; i < MANY; i++) {
			many_keys(user, i);
			n_good += seq_store_attach(store, &sas[i], &user->conf, &err) == 0;
		}
		ck_assert_int_eq(seq_store_commit(store, &err), 0);
		printf("%u keys, start %u: %lu ms\n", MANY, round,
			(clock_now_ns() - start_ns) / CLOCK_NS_PER_MS);
		for (uint32_t i = 0; i < MANY; i++) {
			n_right += sas[i].seq_first == 1 + round * (i % 7);
			atomic_fetch_add(&sas[i].seq.next, i % 7);
		}
		for (uint32_t i = 0; i < MANY; i++)
			seq_store_detach(store, &sas[i]);
		seq_store_destroy(store);
		store = seq_store_create(directory(0));
	}
	ck_assert_uint_eq(n_good, 2 * MANY);
	ck_assert_uint_eq(n_right, 2 * MANY);
	seq_store_destroy(store);
	bytes = file_get(directory(0));
	ck_assert_uint_le(bytes.n, (1u << 20) + 6 * MANY * 32);
	free(bytes.at);
	free(sas);
	free(user);
}
END_TEST

START_TEST(the_file_stays_short_however_often_it_is_written)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);
	uint64_t now_ns = clock_now_ns();
	struct bytes bytes;

	for (unsigned i = 0; i < 3000; i++) {
		take(user, SEQ_BLOCK_MIN / 2);
		seq_store_poll(store, now_ns += 1000 * CLOCK_NS_PER_S);
	}
	bytes = file_get(directory(0));
	ck_assert_uint_le(bytes.n, 1u << 18);
	free(bytes.at);
	stop(store, user);
}
END_TEST

static unsigned n_told;

static void on_end(void *argument, const struct sa *sa, uint64_t next, uint64_t last)
{
	ck_assert_ptr_eq(argument, &n_told);
	ck_assert_str_eq(sa->name, "");
	ck_assert_uint_eq(last, SEQ_LAST);
	ck_assert_uint_ge(next, SEQ_LAST - SEQ_LAST / SEQ_NEAR_END);
	n_told++;
}

START_TEST(an_sa_whose_numbers_come_to_their_end_is_told_of_once)
{
	struct user *user = user_of("aes128gcm16", 1);
	struct seq_store *store = store_with(directory(0), user);
	uint64_t now_ns = clock_now_ns();

	seq_store_listen(store, on_end, &n_told);
	n_told = 0;
	atomic_store(&user->sa.seq.next, SEQ_LAST - SEQ_LAST / SEQ_NEAR_END - 1);
	for (unsigned i = 1; i < 10; i++)
		seq_store_poll(store, now_ns + i * CLOCK_NS_PER_S);
	ck_assert_uint_eq(n_told, 0);
	atomic_store(&user->sa.seq.next, SEQ_LAST - SEQ_LAST / SEQ_NEAR_END);
	for (unsigned i = 10; i < 20; i++)
		seq_store_poll(store, now_ns + i * CLOCK_NS_PER_S);
	ck_assert_uint_eq(n_told, 1);
	seq_store_detach(store, &user->sa);
	seq_store_destroy(store);
	free(user);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control/seq_store");
	TCase *tcase = tcase_create("seq_store");
	SRunner *runner = srunner_create(suite);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_new_key_begins_with_number_one_once_that_is_on_the_disk);
	tcase_add_test(tcase, after_a_crash_a_key_begins_behind_what_was_reserved);
	tcase_add_test(tcase, after_a_clean_stop_nothing_is_skipped);
	tcase_add_test(tcase, an_sa_gets_its_next_block_before_its_first_is_used_up);
	tcase_add_test(tcase, blocks_grow_with_the_rate_up_to_a_bound);
	tcase_add_test(tcase, two_sas_of_one_key_never_have_the_same_number);
	tcase_add_test(tcase, keys_are_one_where_their_key_streams_are);
	tcase_add_test(tcase, a_key_that_is_used_up_sends_no_more);
	tcase_add_test(tcase, a_second_process_does_not_get_the_directory);
	tcase_add_test(tcase, an_sa_that_may_reuse_ivs_leaves_nothing_on_the_disk_and_repeats_none_meanwhile);
	tcase_add_test(tcase, a_key_that_was_used_without_the_file_is_known_to_it_from_then_on);
	tcase_add_test(tcase, what_can_not_be_written_is_not_used_until_it_can);
	tcase_add_test(tcase, a_file_that_can_not_be_made_is_an_error_with_a_way_out);
	tcase_add_test(tcase, a_write_that_was_cut_anywhere_leaves_the_numbers_of_before);
	tcase_add_loop_test(tcase, no_single_damaged_byte_lets_a_number_be_used_again, 0, 2);
	tcase_add_test(tcase, other_files_are_refused);
	tcase_add_loop_test(tcase, whatever_happens_no_number_of_a_key_is_used_twice, 0, 5);
	tcase_add_test(tcase, a_hundred_thousand_keys_are_kept_and_found);
	tcase_add_test(tcase, the_file_stays_short_however_often_it_is_written);
	tcase_add_test(tcase, an_sa_whose_numbers_come_to_their_end_is_told_of_once);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
