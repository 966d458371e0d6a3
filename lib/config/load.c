#include "config/load.h"
#include "base/array.h"
#include "config/read.h"
#include "config/schema.h"
#include "config/yaml.h"
#include "model/check.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_CHUNK_BYTES (64u << 10)
#define STOP_LOOK_MS     50

struct text {
	char *bytes;
	size_t length_bytes;
	size_t capacity_bytes;
};

static void text_fini(struct text *text)
{
	if (text->bytes)
		explicit_bzero(text->bytes, text->capacity_bytes);
	free(text->bytes);
}

/* Double the room by hand: realloc would leave the old text behind unwiped. */
static void text_grow(struct text *text)
{
	struct text grown = {
		.capacity_bytes = text->capacity_bytes ? 2 * text->capacity_bytes : TEXT_CHUNK_BYTES,
		.length_bytes = text->length_bytes,
	};

	grown.bytes = xcalloc(grown.capacity_bytes, 1);
	if (text->bytes)
		memcpy(grown.bytes, text->bytes, text->length_bytes);
	text_fini(text);
	*text = grown;
}

/* Until there is something to read, or the end; a pipe that nobody has opened for writing has none yet. */
static int wait_readable(int fd, const atomic_bool *stop)
{
	struct pollfd file = {.fd = fd, .events = POLLIN};

	while (!atomic_load(stop))
		if (poll(&file, 1, STOP_LOOK_MS) > 0)
			return 0;
	return -ECANCELED;
}

/* Read to the end of the file, or just past YAML_BYTES_MAX, which yaml_tree_parse then refuses. */
static int text_read(struct text *text, int fd, const atomic_bool *stop)
{
	while (text->length_bytes <= YAML_BYTES_MAX) {
		int rc = stop ? wait_readable(fd, stop) : 0;
		ssize_t got;

		if (rc != 0)
			return rc;
		if (text->length_bytes == text->capacity_bytes)
			text_grow(text);
		got = read(fd, text->bytes + text->length_bytes, text->capacity_bytes - text->length_bytes);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (got == 0)
			break;
		text->length_bytes += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

/* Give the findings of gateway_check, which knows only paths, their places. */
static void resolve_places(const struct yaml_node *root, struct report *report)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		struct finding *finding = &report->findings[i];
		const struct yaml_node *node;

		if (finding->line > 0)
			continue;
		node = yaml_node_find_path(root, finding->path);
		finding->line = node->line;
		finding->column = node->column;
	}
}

/*
 * Nearly every check of the whole asks for a port's address, so faulty ports would raise findings that go
 * away with the first ones.
 */
static bool ports_are_good(const struct gateway *gateway, const struct report *report)
{
	for (size_t i = 0; i < report->n_findings; i++)
		if (strncmp(report->findings[i].path, "ports", strlen("ports")) == 0)
			return false;
	return gateway->n_ports > 0 && report->n_more == 0;
}

int config_load_text(const char *text, size_t length_bytes, const char *directory, struct gateway *gateway,
	struct report *report)
{
	struct reader reader = {.report = report, .directory = directory};
	size_t findings = report_total(report);
	struct yaml_node *root;

	gateway_init(gateway);
	root = yaml_tree_parse(text, length_bytes, report);
	if (root) {
		read_object(&reader, schema_gateway(), root, gateway);
		if (ports_are_good(gateway, report))
			gateway_check(gateway, report);
		resolve_places(root, report);
	}
	yaml_tree_free(root);
	/* The tree is several times the model, which lies above it, so that its memory would not go back. */
	malloc_trim(0);
	if (report_total(report) == findings)
		return 0;
	report_sort(report);
	gateway_fini(gateway);
	return -EINVAL;
}

/* The directory part of a path; owned by the caller. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;

	if (!slash)
		return xstrdup(".");
	directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!directory)
		abort();
	return directory;
}

static int text_load(struct text *text, const char *path, const atomic_bool *stop, struct report *report)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (stop ? O_NONBLOCK : 0));
	int rc = fd < 0 ? -errno : text_read(text, fd, stop);

	if (rc != 0)
		report_add(report, "", "can't read the file: %s", strerror(-rc));
	if (fd >= 0)
		close(fd);
	return rc;
}

int config_load(const char *path, struct gateway *gateway, struct report *report)
{
	return config_load_until(path, NULL, gateway, report);
}

int config_load_until(
	const char *path, const atomic_bool *stop, struct gateway *gateway, struct report *report)
{
	struct text text = {0};
	char *directory;
	int rc;

	gateway_init(gateway);
	rc = text_load(&text, path, stop, report);
	if (rc == 0) {
		directory = directory_of(path);
		rc = config_load_text(text.bytes, text.length_bytes, directory, gateway, report);
		free(directory);
	}
	text_fini(&text);
	return rc;
}

/* The text was made from something else, whose places nobody knows. */
static void forget_places(struct report *report)
{
	for (size_t i = 0; i < report->n_findings; i++)
		report->findings[i].line = report->findings[i].column = 0;
}

int config_read_part(
	const char *path, const char *text, size_t length_bytes, struct gateway *part, struct report *report)
{
	char *directory = directory_of(path);
	struct reader reader = {.report = report, .directory = directory};
	size_t findings = report_total(report);
	struct yaml_node *root = yaml_tree_parse(text, length_bytes, report);

	gateway_init(part);
	if (root)
		read_object(&reader, schema_part(), root, part);
	yaml_tree_free(root);
	free(directory);
	if (report_total(report) == findings)
		return 0;
	forget_places(report);
	gateway_fini(part);
	return -EINVAL;
}

void config_report_print(FILE *out, const char *file, const struct report *report)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		const struct finding *finding = &report->findings[i];

		fprintf(out, "%s:", file);
		if (finding->line > 0)
			fprintf(out, "%u:%u:", finding->line, finding->column);
		fprintf(out, " %s%s%s\n", finding->path, finding->path[0] ? ": " : "", finding->text);
	}
	if (report->n_more > 0)
		fprintf(out, "%s: and %zu more\n", file, report->n_more);
}
