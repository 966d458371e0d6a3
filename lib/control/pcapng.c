#include "control/pcapng.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Block types, section 11.1 of the draft. */
#define BLOCK_SECTION    0x0a0d0d0au
#define BLOCK_INTERFACE  1u
#define BLOCK_STATISTICS 5u
#define BLOCK_PACKET     6u

#define BYTE_ORDER_MAGIC 0x1a2b3c4du /* section 4.1: as this machine writes numbers */
#define VERSION_MAJOR    1
#define VERSION_MINOR    0
#define LENGTH_UNKNOWN   UINT64_MAX

/* Options, sections 3.5 and 4. */
#define OPTION_END         0
#define OPTION_COMMENT     1
#define OPTION_IF_NAME     2
#define OPTION_IF_TEXT     3
#define OPTION_IF_TSRESOL  9
#define OPTION_EPB_FLAGS   2
#define OPTION_SHB_PROGRAM 4
#define OPTION_ISB_RECV    4
#define OPTION_ISB_DROP    5
#define TSRESOL_NS         9 /* 10^-9 s */

/* Of a block beside its data: type, two lengths, fixed fields and options. */
#define BLOCK_OVERHEAD_MAX 640

int pcapng_flush(struct pcapng *p)
{
	size_t done = 0;

	while (done < p->n) {
		ssize_t n = write(p->fd, p->buffer + done, p->n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int ret = -errno;

			/* No block that is cut short stays behind; if that fails too, readers say so. */
			p->n = p->n_buffered_pkts = 0;
			if (ftruncate(p->fd, (off_t)p->written_bytes) == 0)
				lseek(p->fd, (off_t)p->written_bytes, SEEK_SET);
			return ret;
		}
		done += (size_t)n;
	}
	p->written_bytes += p->n;
	p->n_pkts += p->n_buffered_pkts;
	p->n = p->n_buffered_pkts = 0;
	return 0;
}

static void put(struct pcapng *p, const void *bytes, size_t n)
{
	memcpy(p->buffer + p->n, bytes, n);
	p->n += n;
}

static void put_16(struct pcapng *p, uint16_t value)
{
	put(p, &value, sizeof(value));
}

static void put_32(struct pcapng *p, uint32_t value)
{
	put(p, &value, sizeof(value));
}

/* Section 4.1: times and counts are two words, the upper one first in times. */
static void put_time(struct pcapng *p, uint64_t time_ns)
{
	put_32(p, (uint32_t)(time_ns >> 32));
	put_32(p, (uint32_t)time_ns);
}

static void pad(struct pcapng *p)
{
	while (p->n % 4 != 0)
		p->buffer[p->n++] = 0;
}

static void put_option(struct pcapng *p, uint16_t code, const void *value, size_t n)
{
	put_16(p, code);
	put_16(p, (uint16_t)n);
	put(p, value, n);
	pad(p);
}

static void put_text(struct pcapng *p, uint16_t code, const char *text)
{
	if (text && text[0] != '\0')
		put_option(p, code, text, strnlen(text, PCAPNG_TEXT_MAX));
}

/* Make room for a block with so much data, and begin it; *at is for block_end. */
static int block_begin(struct pcapng *p, uint32_t type, size_t data_bytes, size_t *at)
{
	int ret = 0;

	if (p->n + data_bytes + BLOCK_OVERHEAD_MAX > sizeof(p->buffer))
		ret = pcapng_flush(p);
	*at = p->n;
	put_32(p, type);
	put_32(p, 0); /* the length, once it is known */
	return ret;
}

/* The length stands at both ends (section 3.1). */
static void block_end(struct pcapng *p, size_t at)
{
	uint32_t length;

	put_32(p, OPTION_END);
	length = (uint32_t)(p->n - at + sizeof(length));
	put_32(p, length);
	memcpy(p->buffer + at + 4, &length, sizeof(length));
}

int pcapng_begin(struct pcapng *p, int fd, const char *application)
{
	uint64_t unknown = LENGTH_UNKNOWN;
	size_t at;
	int ret;

	p->fd = fd;
	p->n = p->written_bytes = p->n_pkts = p->n_buffered_pkts = 0;
	ret = block_begin(p, BLOCK_SECTION, 0, &at);
	put_32(p, BYTE_ORDER_MAGIC);
	put_16(p, VERSION_MAJOR);
	put_16(p, VERSION_MINOR);
	put(p, &unknown, sizeof(unknown));
	put_text(p, OPTION_SHB_PROGRAM, application);
	block_end(p, at);
	return ret;
}

int pcapng_interface(
	struct pcapng *p, const char *name, const char *description, uint16_t link_type, uint32_t snap_bytes)
{
	const uint8_t resolution = TSRESOL_NS;
	size_t at;
	int ret = block_begin(p, BLOCK_INTERFACE, 0, &at);

	put_16(p, link_type);
	put_16(p, 0);
	put_32(p, snap_bytes);
	put_text(p, OPTION_IF_NAME, name);
	put_text(p, OPTION_IF_TEXT, description);
	put_option(p, OPTION_IF_TSRESOL, &resolution, sizeof(resolution));
	block_end(p, at);
	return ret;
}

int pcapng_packet(struct pcapng *p, const struct pcapng_packet *packet)
{
	uint32_t flags = packet->direction;
	size_t at;
	int ret = block_begin(p, BLOCK_PACKET, packet->captured_bytes, &at);

	put_32(p, packet->interface);
	put_time(p, packet->time_ns);
	put_32(p, packet->captured_bytes);
	put_32(p, packet->bytes);
	put(p, packet->data, packet->captured_bytes);
	pad(p);
	if (flags != PCAPNG_DIRECTION_UNKNOWN)
		put_option(p, OPTION_EPB_FLAGS, &flags, sizeof(flags));
	put_text(p, OPTION_COMMENT, packet->comment);
	block_end(p, at);
	p->n_buffered_pkts++;
	return ret;
}

int pcapng_statistics(
	struct pcapng *p, uint32_t interface, uint64_t time_ns, uint64_t received, uint64_t dropped)
{
	size_t at;
	int ret = block_begin(p, BLOCK_STATISTICS, 0, &at);

	put_32(p, interface);
	put_time(p, time_ns);
	put_option(p, OPTION_ISB_RECV, &received, sizeof(received));
	put_option(p, OPTION_ISB_DROP, &dropped, sizeof(dropped));
	block_end(p, at);
	return ret;
}

uint64_t pcapng_bytes(const struct pcapng *p)
{
	return p->written_bytes + p->n;
}
