#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ip_addr ip_addr_from_bytes(uint8_t family, const void *bytes)
{
	struct ip_addr addr = {.family = family};

	memcpy(addr.bytes, bytes, ip_family_bytes(family));
	return addr;
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_addr_is_multicast(const struct ip_addr *addr)
{
	return addr->family == IP_V4 ? (addr->bytes[0] & 0xf0) == 0xe0 : addr->bytes[0] == 0xff;
}

int ip_addr_parse(const char *text, struct ip_addr *out)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*out = ip_addr_from_bytes(IP_V4, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*out = ip_addr_from_bytes(IP_V6, bytes);
	else
		return -EINVAL;
	return 0;
}

/* Parse the address in the first `length` characters of text. */
static int addr_parse_part(const char *text, size_t length, struct ip_addr *out)
{
	char part[IP_ADDR_TEXT_MAX];

	if (length >= sizeof(part))
		return -EINVAL;
	memcpy(part, text, length);
	part[length] = '\0';
	return ip_addr_parse(part, out);
}

int ip_prefix_parse(const char *text, struct ip_prefix *out)
{
	const char *slash = strchr(text, '/');
	struct ip_prefix prefix;
	char *end;
	long bits;

	if (addr_parse_part(text, slash ? (size_t)(slash - text) : strlen(text), &prefix.addr) != 0)
		return -EINVAL;
	prefix.length_bits = (uint8_t)ip_family_bits(prefix.addr.family);
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9' || (slash[1] == '0' && slash[2] != '\0'))
			return -EINVAL;
		bits = strtol(slash + 1, &end, 10);
		if (*end != '\0' || bits > prefix.length_bits)
			return -EINVAL;
		prefix.length_bits = (uint8_t)bits;
	}
	*out = prefix;
	return 0;
}

/* Set the host bits of addr, those after the first length_bits, to ones or to zeros. */
static struct ip_addr addr_fill_host(const struct ip_addr *addr, unsigned length_bits, bool ones)
{
	struct ip_addr filled = *addr;

	for (unsigned i = 0; i < ip_family_bytes(addr->family); i++) {
		unsigned kept = length_bits > 8 * i ? length_bits - 8 * i : 0;
		uint8_t host = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

		filled.bytes[i] = ones ? filled.bytes[i] | host : filled.bytes[i] & (uint8_t)~host;
	}
	return filled;
}

struct ip_range ip_prefix_range(const struct ip_prefix *prefix)
{
	return (struct ip_range){
		.first = addr_fill_host(&prefix->addr, prefix->length_bits, false),
		.last = addr_fill_host(&prefix->addr, prefix->length_bits, true),
	};
}

int ip_range_parse(const char *text, struct ip_range *out)
{
	const char *dash = strchr(text, '-');
	struct ip_prefix prefix;
	struct ip_range range;

	if (dash) {
		if (addr_parse_part(text, (size_t)(dash - text), &range.first) != 0 ||
			ip_addr_parse(dash + 1, &range.last) != 0 ||
			range.first.family != range.last.family ||
			memcmp(range.first.bytes, range.last.bytes, sizeof(range.first.bytes)) > 0)
			return -EINVAL;
	} else {
		if (ip_prefix_parse(text, &prefix) != 0)
			return -EINVAL;
		range = ip_prefix_range(&prefix);
		if (!ip_addr_equal(&range.first, &prefix.addr))
			return -EINVAL;
	}
	*out = range;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mac_addr_parse(const char *text, struct mac_addr *out)
{
	struct mac_addr mac;

	if (strlen(text) != MAC_ADDR_TEXT_MAX - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(mac.bytes); i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*out = mac;
	return 0;
}

const char *ip_addr_format(const struct ip_addr *addr, char buf[IP_ADDR_TEXT_MAX])
{
	if (addr->family == IP_NONE)
		return strcpy(buf, "none");
	inet_ntop(addr->family == IP_V4 ? AF_INET : AF_INET6, addr->bytes, buf, IP_ADDR_TEXT_MAX);
	return buf;
}

int ip_range_prefix_length(const struct ip_range *range)
{
	const uint8_t *first = range->first.bytes, *last = range->last.bytes;
	size_t bytes = ip_family_bytes(range->first.family), at = 0;
	uint8_t host;

	while (at < bytes && first[at] == last[at])
		at++;
	if (at == bytes)
		return (int)ip_family_bits(range->first.family);
	/* From the first bit that differs on, all bits must: those of the first end 0, those of the last 1.
	 */
	host = first[at] ^ last[at];
	if ((host & (host + 1)) != 0 || (first[at] & host) != 0)
		return -1;
	for (size_t i = at + 1; i < bytes; i++)
		if (first[i] != 0 || last[i] != UINT8_MAX)
			return -1;
	return (int)(8 * at + 8 - (unsigned)__builtin_popcount(host));
}

const char *ip_range_format(const struct ip_range *range, char buf[IP_RANGE_TEXT_MAX])
{
	char first[IP_ADDR_TEXT_MAX], last[IP_ADDR_TEXT_MAX];

	int bits = ip_range_prefix_length(range);

	if (bits >= 0) {
		snprintf(buf, IP_RANGE_TEXT_MAX, "%s/%d", ip_addr_format(&range->first, first), bits);
		return buf;
	}
	snprintf(buf, IP_RANGE_TEXT_MAX, "%s-%s", ip_addr_format(&range->first, first),
		ip_addr_format(&range->last, last));
	return buf;
}

const char *mac_addr_format(const struct mac_addr *mac, char buf[MAC_ADDR_TEXT_MAX])
{
	const uint8_t *b = mac->bytes;

	snprintf(buf, MAC_ADDR_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}

bool ip_range_contains(const struct ip_range *range, const struct ip_addr *addr)
{
	return range->first.family == addr->family &&
	       memcmp(range->first.bytes, addr->bytes, sizeof(addr->bytes)) <= 0 &&
	       memcmp(addr->bytes, range->last.bytes, sizeof(addr->bytes)) <= 0;
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	struct ip_range range = ip_prefix_range(prefix);

	return ip_range_contains(&range, addr);
}

/* Add one to an address of the family; false when it was the last one. */
static bool addr_increment(struct ip_addr *addr)
{
	for (size_t i = ip_family_bytes(addr->family); i-- > 0;)
		if (++addr->bytes[i] != 0)
			return true;
	return false;
}

size_t ip_range_prefixes(const struct ip_range *range, struct ip_prefix out[IP_RANGE_PREFIXES_MAX])
{
	struct ip_addr next = range->first;
	size_t count = 0;

	/* Take, again and again, the largest prefix that starts at `next` and ends inside the range. */
	do {
		for (unsigned bits = 0; bits <= ip_family_bits(next.family); bits++) {
			struct ip_prefix prefix = {next, (uint8_t)bits};
			struct ip_range covered = ip_prefix_range(&prefix);

			if (!ip_addr_equal(&covered.first, &next) || !ip_range_contains(range, &covered.last))
				continue;
			out[count++] = prefix;
			next = covered.last;
			break;
		}
	} while (!ip_addr_equal(&next, &range->last) && addr_increment(&next));
	return count;
}
