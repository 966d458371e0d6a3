/*
 * Internet addresses, prefixes and ranges of either family, as one type.
 *
 * Plain values, for any thread. Bytes are in network order, so memcmp gives the numeric order.
 * Limits: no zone identifiers, no IPv4-mapped forms (RFC 4291 section 2.5.5.2 is another family's address).
 */
#ifndef CULVERT_BASE_ADDR_H
#define CULVERT_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum ip_family {
	IP_NONE = 0, /* a zeroed address is no address */
	IP_V4 = 4,
	IP_V6 = 6,
};

/* An IPv4 address is in the first four bytes, and the rest is zero. */
struct ip_addr {
	uint8_t family; /* enum ip_family */
	uint8_t bytes[16];
};

struct ip_prefix {
	struct ip_addr addr; /* host bits are kept as given */
	uint8_t length_bits;
};

/* Both ends belong to the range and have one family. */
struct ip_range {
	struct ip_addr first;
	struct ip_addr last;
};

struct mac_addr {
	uint8_t bytes[6];
};

#define IP_ADDR_TEXT_MAX  46
#define IP_RANGE_TEXT_MAX (2 * IP_ADDR_TEXT_MAX)
#define MAC_ADDR_TEXT_MAX 18
/* The most prefixes that the smallest cover of a range takes: 2 * 128 - 2. */
#define IP_RANGE_PREFIXES_MAX 254

static inline size_t ip_family_bytes(uint8_t family)
{
	return family == IP_V4 ? 4 : 16;
}

static inline unsigned ip_family_bits(uint8_t family)
{
	return family == IP_V4 ? 32 : 128;
}

/* Are two addresses of that family, in network order, the same? */
static inline bool ip_bytes_equal(uint8_t family, const void *a, const void *b)
{
	/* Constant lengths are compared in place. */
	return family == IP_V4 ? memcmp(a, b, 4) == 0 : memcmp(a, b, 16) == 0;
}

/* Parse text; 0, or -EINVAL with *out untouched. A prefix without a length is a host (32 or 128 bits). */
int ip_addr_parse(const char *text, struct ip_addr *out);
int ip_prefix_parse(const char *text, struct ip_prefix *out);
/* An address, a prefix (host bits must be zero) or `first-last`. */
int ip_range_parse(const char *text, struct ip_range *out);
int mac_addr_parse(const char *text, struct mac_addr *out);

/* Write the text form into buf, of the size named above, and return buf. */
const char *ip_addr_format(const struct ip_addr *addr, char buf[IP_ADDR_TEXT_MAX]);
const char *ip_range_format(const struct ip_range *range, char buf[IP_RANGE_TEXT_MAX]);
const char *mac_addr_format(const struct mac_addr *mac, char buf[MAC_ADDR_TEXT_MAX]);

/* Make an address from network-order bytes: 4 of them for IP_V4, 16 for IP_V6. */
struct ip_addr ip_addr_from_bytes(uint8_t family, const void *bytes);
bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_addr_is_multicast(const struct ip_addr *addr);
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr);
bool ip_range_contains(const struct ip_range *range, const struct ip_addr *addr);
/* All addresses of the prefix, its host bits ignored. */
struct ip_range ip_prefix_range(const struct ip_prefix *prefix);

/* The length of the one prefix that is exactly the range, or -1 if there is none. */
int ip_range_prefix_length(const struct ip_range *range);

/*
 * The smallest set of prefixes that covers exactly the range, in rising order. Returns how many were
 * written, at most IP_RANGE_PREFIXES_MAX.
 */
size_t ip_range_prefixes(const struct ip_range *range, struct ip_prefix out[IP_RANGE_PREFIXES_MAX]);

#endif
