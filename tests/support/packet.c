#include "support/packet.h"

#include "base/addr.h"
#include "net/parse.h"
#include "support/eal.h"

#include <netinet/in.h>
#include <string.h>

#define FRAGMENT_HEADER_BYTES 8

static void put_be16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static unsigned get_be16(const uint8_t *in)
{
	return in[0] * 256u + in[1];
}

uint16_t packet_checksum(const void *bytes, size_t length, uint32_t sum)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? b[i] : b[i] * 256u;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t packet_l4_checksum(const uint8_t *packet, size_t l4, size_t length, uint8_t protocol)
{
	bool v4 = packet[0] >> 4 == 4;
	size_t bytes = length - l4;
	uint32_t sum = 0;

	if (!v4 || protocol != IPPROTO_ICMP) {
		const uint8_t *addresses = packet + (v4 ? 12 : 8);

		sum = (uint16_t)~packet_checksum(addresses, v4 ? 8 : 32, (uint32_t)bytes + protocol);
	}
	return packet_checksum(packet + l4, bytes, sum);
}

static struct ip_addr spec_address(const char *text, const char *v4, const char *v6, uint8_t family)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text ? text : family == IP_V6 ? v6 : v4, &addr), 0);
	return addr;
}

static uint8_t spec_family(const struct packet_spec *spec)
{
	const char *text = spec->source ? spec->source : spec->destination;

	if (text != NULL)
		return strchr(text, ':') ? IP_V6 : IP_V4;
	return spec->family ? spec->family : IP_V4;
}

static bool spec_is_fragment(const struct packet_spec *spec)
{
	return spec->more_fragments || spec->fragment_offset_bytes != 0;
}

static uint8_t spec_protocol(const struct packet_spec *spec)
{
	return spec->protocol ? spec->protocol : IPPROTO_UDP;
}

static size_t l4_header_bytes(const struct packet_spec *spec)
{
	if (spec->fragment_offset_bytes != 0)
		return 0;
	switch (spec_protocol(spec)) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

static size_t l4_checksum_at(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : 2;
}

/* The next layer at `l4` of the packet, whose IP header is written already. Returns the end of the packet. */
static size_t build_l4(const struct packet_spec *spec, uint8_t *packet, size_t l4)
{
	uint8_t protocol = spec_protocol(spec);
	size_t header = l4_header_bytes(spec);
	size_t length = l4 + header + spec->payload_bytes;
	uint8_t *out = packet + l4;

	for (size_t i = 0; i < spec->payload_bytes; i++)
		out[header + i] = spec->payload ? spec->payload[i] : (uint8_t)i;
	if (header == 0)
		return length;
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
		put_be16(out, spec->source_port);
		put_be16(out + 2, spec->destination_port);
	} else {
		out[0] = (uint8_t)spec->source_port;
		out[1] = (uint8_t)spec->destination_port;
		put_be16(out + 4, spec->icmp_word >> 16);
		put_be16(out + 6, spec->icmp_word & 0xffff);
	}
	if (protocol == IPPROTO_TCP)
		out[12] = 5 << 4;
	if (protocol == IPPROTO_UDP)
		put_be16(out + 4, (unsigned)(header + spec->payload_bytes));
	put_be16(out + l4_checksum_at(protocol), packet_l4_checksum(packet, l4, length, protocol));
	return length;
}

static size_t build_ipv4(const struct packet_spec *spec, uint8_t *out)
{
	struct ip_addr source = spec_address(spec->source, "10.1.0.1", NULL, IP_V4);
	struct ip_addr destination = spec_address(spec->destination, "10.2.0.1", NULL, IP_V4);

	out[0] = 0x45;
	out[1] = spec->traffic_class;
	put_be16(out + 2, (unsigned)(20 + l4_header_bytes(spec) + spec->payload_bytes));
	put_be16(out + 4, spec->id & 0xffff);
	put_be16(out + 6, (spec->df ? 0x4000u : 0) | (spec->more_fragments ? 0x2000u : 0) |
				  spec->fragment_offset_bytes / 8u);
	out[8] = spec->ttl ? spec->ttl : 64;
	out[9] = spec_protocol(spec);
	memcpy(out + 12, source.bytes, 4);
	memcpy(out + 16, destination.bytes, 4);
	put_be16(out + 10, packet_checksum(out, 20, 0));
	return build_l4(spec, out, 20);
}

static size_t build_ipv6(const struct packet_spec *spec, uint8_t *out)
{
	struct ip_addr source = spec_address(spec->source, NULL, "fd00:1::1", IP_V6);
	struct ip_addr destination = spec_address(spec->destination, NULL, "fd00:2::1", IP_V6);

	out[0] = (uint8_t)(0x60 | spec->traffic_class >> 4);
	out[1] = (uint8_t)(spec->traffic_class << 4);
	put_be16(out + 4, (unsigned)(l4_header_bytes(spec) + spec->payload_bytes));
	out[6] = spec_protocol(spec);
	out[7] = spec->ttl ? spec->ttl : 64;
	memcpy(out + 8, source.bytes, 16);
	memcpy(out + 24, destination.bytes, 16);
	size_t length = build_l4(spec, out, 40);
	if (!spec_is_fragment(spec))
		return length;
	length = packet_insert(out, length, IPPROTO_FRAGMENT, FRAGMENT_HEADER_BYTES);
	put_be16(out + 42, spec->fragment_offset_bytes | spec->more_fragments);
	put_be16(out + 44, spec->id >> 16);
	put_be16(out + 46, spec->id & 0xffff);
	return length;
}

size_t packet_build(const struct packet_spec *spec, uint8_t *out)
{
	memset(out, 0, PACKET_BYTES_MAX);
	return spec_family(spec) == IP_V4 ? build_ipv4(spec, out) : build_ipv6(spec, out);
}

size_t packet_build_frame(const struct packet_spec *spec, uint8_t *out)
{
	static const struct mac_addr ours = PACKET_MAC_OURS;
	static const struct mac_addr peer = PACKET_MAC_PEER;
	uint8_t packet[PACKET_BYTES_MAX];
	size_t length = packet_build(spec, packet);
	size_t at = 12;

	memcpy(out, ours.bytes, 6);
	memcpy(out + 6, peer.bytes, 6);
	if (spec->vlan != 0) {
		put_be16(out + at, 0x8100);
		put_be16(out + at + 2, spec->vlan);
		at += 4;
	}
	put_be16(out + at, spec_family(spec) == IP_V4 ? 0x0800 : 0x86dd);
	memcpy(out + at + 2, packet, length);
	return at + 2 + length;
}

struct rte_mbuf *packet_mbuf(const struct packet_spec *spec)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct rte_mbuf *m = mbuf_of(bytes, packet_build(spec, bytes));

	ck_assert(parse_inner_one(m, spec_family(spec)));
	return m;
}

struct rte_mbuf *packet_frame_mbuf(const struct packet_spec *spec)
{
	uint8_t bytes[PACKET_BYTES_MAX];

	return mbuf_of(bytes, packet_build_frame(spec, bytes));
}

size_t packet_insert(uint8_t *packet, size_t length, uint8_t protocol, size_t bytes)
{
	uint8_t *header = packet + 40;

	memmove(header + bytes, header, length - 40);
	memset(header, 0, bytes);
	header[0] = packet[6];
	if (protocol == IPPROTO_AH)
		header[1] = (uint8_t)(bytes / 4 - 2);
	else if (protocol != IPPROTO_FRAGMENT)
		header[1] = (uint8_t)(bytes / 8 - 1);
	packet[6] = protocol;
	put_be16(packet + 4, get_be16(packet + 4) + (unsigned)bytes);
	return length + bytes;
}
