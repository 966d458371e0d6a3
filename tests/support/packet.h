/*
 * Packets and frames for tests, described by their headers; what is left out has a usual value.
 *
 * Test suites. Built packets have right lengths and checksums; a test then spoils what it is about.
 * Limits: IPv6 extension headers are put in by packet_insert.
 */
#ifndef CULVERT_TESTS_SUPPORT_PACKET_H
#define CULVERT_TESTS_SUPPORT_PACKET_H

#include "net/pkt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_BYTES_MAX 9216

/* The port's address, the one that frames come from, and one of another station. */
/* clang-format off */
#define PACKET_MAC_OURS    {{0x02, 0x00, 0x5e, 0x00, 0x02, 0x01}}
#define PACKET_MAC_PEER    {{0x02, 0x00, 0x5e, 0x00, 0x02, 0xfe}}
#define PACKET_MAC_ANOTHER {{0x02, 0x00, 0x5e, 0x00, 0x02, 0x77}}
/* clang-format on */

struct packet_spec {
	const char *source;        /* text; its family is the packet's. NULL: 10.1.0.1, or fd00:1::1 */
	const char *destination;   /* NULL: 10.2.0.1, or fd00:2::1 */
	uint8_t family;            /* needed only where both addresses are NULL; 0: IP_V4 */
	uint8_t protocol;          /* 0: UDP. TCP, UDP, ICMP and ICMPv6 get a header, others only payload */
	uint16_t source_port;      /* ICMP: the type */
	uint16_t destination_port; /* ICMP: the code */
	uint16_t payload_bytes; /* behind the next layer's header; in a later fragment, the whole payload */
	const uint8_t *payload; /* NULL: bytes that count up */
	uint32_t icmp_word;     /* ICMP: the four bytes behind the checksum, such as an MTU */
	uint8_t ttl;            /* 0: 64 */
	uint8_t traffic_class;  /* DSCP and ECN */
	bool df;
	bool more_fragments;            /* IPv6: adds a fragment header, as the next two do */
	uint16_t fragment_offset_bytes; /* not 0: a later fragment, without a next layer header */
	uint32_t id;
	uint16_t vlan; /* of the frame; 0: untagged */
};

/* Write the packet and return its bytes; `out` has PACKET_BYTES_MAX. */
size_t packet_build(const struct packet_spec *spec, uint8_t *out);
/* The same in an Ethernet frame to PACKET_MAC_OURS, not padded. */
size_t packet_build_frame(const struct packet_spec *spec, uint8_t *out);

/*
 * An mbuf with the packet, and its struct pkt filled in as parse_burst does (port_in 0). The caller frees it.
 */
struct rte_mbuf *packet_mbuf(const struct packet_spec *spec);
/* An mbuf with the frame, not parsed. */
struct rte_mbuf *packet_frame_mbuf(const struct packet_spec *spec);

/*
 * Put an extension header of `bytes` (a multiple of 8, at least 8) directly behind the IPv6 header of the
 * packet, whose length is returned. Its content is zero, but for the lengths and next headers.
 */
size_t packet_insert(uint8_t *packet, size_t length, uint8_t protocol, size_t bytes);

/*
 * RFC 1071 over one buffer and a start value, byte by byte as the RFC describes it; independent of the code
 * under test. The result is the value for the field, host order.
 */
uint16_t packet_checksum(const void *bytes, size_t length, uint32_t sum);
/* The checksum of the next layer at `l4`, with the pseudo header of the packet's family; 0 if it is right. */
uint16_t packet_l4_checksum(const uint8_t *packet, size_t l4, size_t length, uint8_t protocol);

#endif
