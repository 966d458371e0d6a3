/*
 * Writing of pcapng files (draft-ietf-opsawg-pcapng): the few blocks that a capture needs.
 *
 * One thread; the caller owns the struct and the file descriptor, to which blocks go in pieces of
 * PCAPNG_BUFFER_BYTES. A write that fails leaves a file that ends with a whole block: what was in the buffer
 * is lost, and counted. Limits: one section, interfaces before their packets, a resolution of nanoseconds.
 */
#ifndef CULVERT_CONTROL_PCAPNG_H
#define CULVERT_CONTROL_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#define PCAPNG_BUFFER_BYTES (256u << 10)
#define PCAPNG_TEXT_MAX     255 /* of a name or a comment; more is cut */

/* Of https://www.tcpdump.org/linktypes.html */
#define PCAPNG_LINK_ETHERNET 1
#define PCAPNG_LINK_RAW_IP   101

/* Of epb_flags, section 4.3.1 */
enum pcapng_direction { PCAPNG_DIRECTION_UNKNOWN, PCAPNG_DIRECTION_IN, PCAPNG_DIRECTION_OUT };

struct pcapng {
	int fd;
	uint64_t written_bytes; /* of whole blocks that are in the file */
	size_t n;               /* bytes in the buffer */
	uint64_t n_pkts;        /* packets in the file */
	uint64_t n_buffered_pkts;
	uint8_t buffer[PCAPNG_BUFFER_BYTES];
};

struct pcapng_packet {
	uint32_t interface; /* counting from 0, in the order of pcapng_interface */
	uint64_t time_ns;   /* since 1970 */
	uint32_t bytes;     /* of the packet */
	uint32_t captured_bytes;
	const uint8_t *data;
	enum pcapng_direction direction;
	const char *comment; /* "" or NULL: none */
};

/* Each returns 0, or the negative errno of the write that failed. */
int pcapng_begin(struct pcapng *pcapng, int fd, const char *application);
int pcapng_interface(struct pcapng *pcapng, const char *name, const char *description, uint16_t link_type,
	uint32_t snap_bytes);
int pcapng_packet(struct pcapng *pcapng, const struct pcapng_packet *packet);
/* What an interface had: packets that passed its filter, and those of them that are not in the file. */
int pcapng_statistics(
	struct pcapng *pcapng, uint32_t interface, uint64_t time_ns, uint64_t received, uint64_t dropped);
int pcapng_flush(struct pcapng *pcapng);

/* Bytes that the file has once all is flushed. */
uint64_t pcapng_bytes(const struct pcapng *pcapng);

#endif
