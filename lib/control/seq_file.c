#include "control/seq_file.h"

#include "base/array.h"
#include "control/lock.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNIT_BYTES  32
#define TAG_BYTES   16
#define VERSION     1
#define BATCH_MAGIC UINT32_C(0x63746162) /* "batc" */
#define NAME        "sequences"
#define NAME_NEW    "sequences.new"
#define NOT_OPEN    (-1)
/* It is written anew when it is longer than this, and than so many times what it must hold. */
#define LONG_BYTES (UINT64_C(1) << 20)
#define LONG_TIMES 4
#define BYTES_MAX  (2 * LONG_TIMES * (uint64_t)SEQ_FILE_ENTRIES_MAX * sizeof(struct seq_entry))
#define FILE_MODE  0600

static const char header_magic[8] = "culvseq";

struct header {
	char magic[8];
	uint32_t version;
	uint32_t zero;
	uint8_t secret[KEYED_HASH_BYTES];
	uint8_t tag[TAG_BYTES];
};

struct batch {
	uint32_t magic;
	uint32_t n;
	uint64_t serial;
	uint8_t tag[TAG_BYTES];
	struct seq_entry entries[];
};

_Static_assert(sizeof(struct header) == 2 * UNIT_BYTES && sizeof(struct batch) == UNIT_BYTES &&
		       sizeof(struct seq_entry) == UNIT_BYTES,
	"the format has no holes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is the machine's own");

static size_t batch_bytes(size_t n)
{
	return sizeof(struct batch) + n * sizeof(struct seq_entry);
}

static void path_of(const struct seq_file *file, const char *name, char path[SEQ_FILE_PATH_MAX + 32])
{
	snprintf(path, SEQ_FILE_PATH_MAX + 32, "%s/%s", file->directory, name);
}

/* `/var/lib/culvert/sequences: No space left on device` */
static int fail(const struct seq_file *file, int code, const char *what, struct err *err)
{
	return err_set(err, code, "%s/" NAME ": %s", file->directory, what);
}

static void header_tag(
	const struct seq_file *file, const struct header *header, uint8_t tag[KEYED_HASH_BYTES])
{
	keyed_hash_of(&file->hash, header, offsetof(struct header, tag), tag);
}

/* The tag covers all but itself; the caller's batch is left as it was. */
static void batch_tag(const struct seq_file *file, struct batch *batch, uint8_t tag[KEYED_HASH_BYTES])
{
	uint8_t kept[TAG_BYTES];

	memcpy(kept, batch->tag, TAG_BYTES);
	memset(batch->tag, 0, TAG_BYTES);
	keyed_hash_of(&file->hash, batch, batch_bytes(batch->n), tag);
	memcpy(batch->tag, kept, TAG_BYTES);
}

/* A whole batch at the beginning of so many bytes. */
static bool batch_is_good(const struct seq_file *file, struct batch *batch, size_t bytes)
{
	uint8_t tag[KEYED_HASH_BYTES];

	if (bytes < sizeof(*batch) || batch->magic != BATCH_MAGIC || batch->n > SEQ_FILE_ENTRIES_MAX ||
		batch_bytes(batch->n) > bytes)
		return false;
	batch_tag(file, batch, tag);
	return memcmp(batch->tag, tag, TAG_BYTES) == 0;
}

static bool has_good_batch(const struct seq_file *file, uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + UNIT_BYTES <= n; at += UNIT_BYTES)
		if (batch_is_good(file, (struct batch *)(bytes + at), n - at))
			return true;
	return false;
}

static int header_read(struct seq_file *file, const uint8_t *bytes, size_t n, struct err *err)
{
	const struct header *header = (const struct header *)bytes;
	uint8_t tag[KEYED_HASH_BYTES];

	if (n < sizeof(*header) || memcmp(header->magic, header_magic, sizeof(header_magic)) != 0)
		return fail(file, EINVAL, "this is no file of sequence numbers", err);
	if (header->version != VERSION)
		return fail(file, EINVAL, "it is of another version of culvert", err);
	memcpy(file->secret, header->secret, sizeof(file->secret));
	keyed_hash_init(&file->hash, file->secret);
	header_tag(file, header, tag);
	return memcmp(header->tag, tag, TAG_BYTES) == 0 ? 0
							: fail(file, EINVAL, "its header is damaged", err);
}

static void content_add(struct seq_file_content *content, const struct batch *batch)
{
	content->entries = realloc(content->entries, (content->n + batch->n + 1) * sizeof(*content->entries));
	if (!content->entries)
		abort();
	memcpy(&content->entries[content->n], batch->entries, batch->n * sizeof(*content->entries));
	content->n += batch->n;
}

/* All batches up to the end, or to one that was not written to its end. */
static int batches_read(
	struct seq_file *file, uint8_t *bytes, size_t n, struct seq_file_content *content, struct err *err)
{
	size_t at = sizeof(struct header);

	while (at < n) {
		struct batch *batch = (struct batch *)(bytes + at);

		if (!batch_is_good(file, batch, n - at) || batch->serial != file->serial + 1)
			break;
		content_add(content, batch);
		file->serial++;
		at += batch_bytes(batch->n);
	}
	file->bytes = at;
	content->has_torn_end = at < n;
	if (at < n && has_good_batch(file, bytes + at, n - at))
		return fail(file, EINVAL, "it is damaged in the middle", err);
	return 0;
}

static int write_all(int fd, const void *bytes, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t written = pwrite(fd, bytes, n, (off_t)at);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes = (const uint8_t *)bytes + written;
		n -= (size_t)written;
		at += (uint64_t)written;
	}
	return 0;
}

static int batch_write(const struct seq_file *file, int fd, uint64_t at, uint64_t serial,
	const struct seq_entry *entries, size_t n)
{
	struct batch *batch = xcalloc(1, batch_bytes(n));
	uint8_t tag[KEYED_HASH_BYTES];
	int ret;

	*batch = (struct batch){.magic = BATCH_MAGIC, .n = (uint32_t)n, .serial = serial};
	if (n > 0)
		memcpy(batch->entries, entries, n * sizeof(*entries));
	batch_tag(file, batch, tag);
	memcpy(batch->tag, tag, TAG_BYTES);
	ret = write_all(fd, batch, batch_bytes(n), at);
	free(batch);
	return ret == 0 && fdatasync(fd) != 0 ? -errno : ret;
}

bool seq_file_wants_rewrite(const struct seq_file *file, size_t n_all)
{
	return file->must_rewrite ||
	       file->bytes > LONG_BYTES + LONG_TIMES * (uint64_t)n_all * sizeof(struct seq_entry);
}

int seq_file_append(struct seq_file *file, const struct seq_entry *entries, size_t n, struct err *err)
{
	int ret = batch_write(file, file->fd, file->bytes, file->serial + 1, entries, n);

	if (ret != 0) {
		file->must_rewrite = true;
		/* Not needed, but the next start has less to tell. */
		int ignored __attribute__((unused)) = ftruncate(file->fd, (off_t)file->bytes);
		return fail(file, -ret, strerror(-ret), err);
	}
	file->bytes += batch_bytes(n);
	file->serial++;
	return 0;
}

static int header_write(const struct seq_file *file, int fd)
{
	struct header header = {.version = VERSION};
	uint8_t tag[KEYED_HASH_BYTES];

	memcpy(header.magic, header_magic, sizeof(header.magic));
	memcpy(header.secret, file->secret, sizeof(header.secret));
	header_tag(file, &header, tag);
	memcpy(header.tag, tag, TAG_BYTES);
	return write_all(fd, &header, sizeof(header), 0);
}

/* The name of the new file must be on the disk before anything relies on what is in it. */
static int put_in_place(const struct seq_file *file, const char *from)
{
	char to[SEQ_FILE_PATH_MAX + 32];
	int fd, ret;

	path_of(file, NAME, to);
	if (rename(from, to) != 0)
		return -errno;
	fd = open(file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

int seq_file_rewrite(struct seq_file *file, const struct seq_entry *entries, size_t n, struct err *err)
{
	char path[SEQ_FILE_PATH_MAX + 32];
	int fd, ret;

	path_of(file, NAME_NEW, path);
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	ret = fd < 0 ? -errno : header_write(file, fd);
	ret = ret ? ret : batch_write(file, fd, sizeof(struct header), 1, entries, n);
	ret = ret ? ret : put_in_place(file, path);
	if (ret != 0) {
		if (fd >= 0)
			close(fd);
		unlink(path);
		file->must_rewrite = true;
		return fail(file, -ret, strerror(-ret), err);
	}
	if (file->fd != NOT_OPEN)
		close(file->fd);
	file->fd = fd;
	file->bytes = sizeof(struct header) + batch_bytes(n);
	file->serial = 1;
	file->must_rewrite = false;
	return 0;
}

static int file_make(struct seq_file *file, struct err *err)
{
	if (getrandom(file->secret, sizeof(file->secret), 0) != sizeof(file->secret))
		return fail(file, EIO, "the operating system gives no random numbers", err);
	keyed_hash_init(&file->hash, file->secret);
	return seq_file_rewrite(file, NULL, 0, err);
}

/* The secret must be one: who knows it can try keys. */
static int file_check(const struct seq_file *file, struct stat *status, struct err *err)
{
	if (fstat(file->fd, status) != 0)
		return fail(file, errno, strerror(errno), err);
	if (!S_ISREG(status->st_mode) || (status->st_uid != geteuid() && status->st_uid != 0) ||
		(status->st_mode & (S_IRWXG | S_IRWXO)))
		return fail(file, EPERM,
			"it must be a file that only this user may read and write (chmod 600)", err);
	return (uint64_t)status->st_size <= BYTES_MAX ? 0 : fail(file, EFBIG, "it is too long", err);
}

static int file_read(struct seq_file *file, struct seq_file_content *content, struct err *err)
{
	struct stat status;
	uint8_t *bytes;
	ssize_t got;
	int ret = file_check(file, &status, err);

	if (ret != 0)
		return ret;
	bytes = xcalloc((size_t)status.st_size + UNIT_BYTES, 1);
	got = pread(file->fd, bytes, (size_t)status.st_size, 0);
	if (got != status.st_size)
		ret = fail(file, EIO, got < 0 ? strerror(errno) : "it became shorter", err);
	ret = ret ? ret : header_read(file, bytes, (size_t)got, err);
	ret = ret ? ret : batches_read(file, bytes, (size_t)got, content, err);
	explicit_bzero(bytes, (size_t)status.st_size);
	free(bytes);
	return ret;
}

static int file_open(struct seq_file *file, struct seq_file_content *content, struct err *err)
{
	char path[SEQ_FILE_PATH_MAX + 32];

	path_of(file, NAME, path);
	file->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (file->fd >= 0)
		return file_read(file, content, err);
	return errno == ENOENT ? file_make(file, err) : fail(file, errno, strerror(errno), err);
}

int seq_file_open(
	struct seq_file *file, const char *directory, struct seq_file_content *content, struct err *err)
{
	int ret;

	*content = (struct seq_file_content){0};
	*file = (struct seq_file){.lock_fd = NOT_OPEN, .fd = NOT_OPEN};
	if (!directory)
		return err_set(err, EINVAL, "no state directory: set control.state_directory");
	/* Which also checks the length of the path. */
	file->lock_fd = state_lock(directory, err);
	snprintf(file->directory, sizeof(file->directory), "%s", directory);
	ret = file->lock_fd < 0 ? file->lock_fd : file_open(file, content, err);
	/* What is behind the good part goes when the file is written next. */
	file->must_rewrite |= content->has_torn_end;
	if (ret == 0)
		return 0;
	seq_file_close(file);
	free(content->entries);
	*content = (struct seq_file_content){0};
	return ret;
}

void seq_file_close(struct seq_file *file)
{
	if (file->fd != NOT_OPEN)
		close(file->fd);
	if (file->lock_fd >= 0)
		close(file->lock_fd);
	keyed_hash_fini(&file->hash);
	explicit_bzero(file->secret, sizeof(file->secret));
	file->fd = file->lock_fd = NOT_OPEN;
}
