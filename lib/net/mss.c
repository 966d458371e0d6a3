#include "net/mss.h"

#include "net/ipv6_extension.h"
#include "net/rewrite.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_tcp.h>

/* RFC 9293 section 3.2. */
#define OPTION_END       0
#define OPTION_NOP       1
#define OPTION_MSS       2
#define OPTION_AUTH      29 /* TCP-AO, RFC 5925 section 2.2 */
#define OPTION_BYTES_MIN 2
#define OPTION_MSS_BYTES 4
#define MSS_VALUE_AT     2 /* in the option */

#define DATA_OFFSET_SHIFT 4 /* in words of 32 bits */

/* The options of a TCP header, by offsets from its start. */
struct options {
	uint8_t *tcp;
	unsigned end;
};

/* The first option of that kind at `at` or behind it; 0 if there is none in front of the end or of a
 * malformed one.
 */
static unsigned option_find(const struct options *options, unsigned at, uint8_t kind)
{
	const uint8_t *tcp = options->tcp;

	while (at < options->end && tcp[at] != OPTION_END) {
		unsigned left = options->end - at;

		if (tcp[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (left < OPTION_BYTES_MIN || tcp[at + 1] < OPTION_BYTES_MIN || tcp[at + 1] > left)
			return 0;
		if (tcp[at] == kind)
			return at;
		at += tcp[at + 1];
	}
	return 0;
}

/* At an odd offset the two bytes are in two words of the checksum, which swaps them (RFC 1071 section 2B). */
static rte_be16_t as_summed(rte_be16_t value, unsigned at)
{
	return at % 2 == 0 ? value : rte_bswap16(value);
}

static void mss_lower(const struct options *options, unsigned option, uint16_t limit)
{
	struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)options->tcp;
	unsigned at = option + MSS_VALUE_AT;
	rte_be16_t before, after = rte_cpu_to_be_16(limit);

	if (options->tcp[option + 1] != OPTION_MSS_BYTES)
		return;
	memcpy(&before, options->tcp + at, sizeof(before));
	if (rte_be_to_cpu_16(before) <= limit)
		return;
	memcpy(options->tcp + at, &after, sizeof(after));
	tcp->cksum = checksum_update(tcp->cksum, as_summed(before, at), as_summed(after, at));
}

/* An authentication header signs what is behind it. */
static bool is_signed(struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t protocol = pkt_ipv6(m)->proto;

	for (uint32_t at = sizeof(struct rte_ipv6_hdr); at < pkt_of(m)->l4;) {
		if (protocol == IPPROTO_AH)
			return true;
		uint32_t bytes = ipv6_extension_bytes(protocol, ip[at + 1]);
		protocol = ip[at];
		at += bytes;
	}
	return false;
}

/* The MSS counts headers without options (RFC 6691 section 2). */
static uint16_t mss_of_mtu(uint8_t family, uint16_t mtu_bytes)
{
	uint16_t headers = (family == IP_V4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr)) +
			   sizeof(struct rte_tcp_hdr);

	return mtu_bytes < headers + MSS_MIN ? MSS_MIN : mtu_bytes - headers;
}

void mss_clamp_one(struct rte_mbuf *m, uint16_t mtu_bytes)
{
	const struct pkt *p = pkt_of(m);
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, p->l4);
	struct options options = {
		.tcp = (uint8_t *)tcp, .end = (tcp->data_off >> DATA_OFFSET_SHIFT) * sizeof(uint32_t)};
	uint16_t limit = mss_of_mtu(p->family, mtu_bytes);

	if (options.end > (unsigned)(p->ip_len - p->l4) || (p->family == IP_V6 && is_signed(m)) ||
		option_find(&options, sizeof(*tcp), OPTION_AUTH))
		return;
	for (unsigned at = option_find(&options, sizeof(*tcp), OPTION_MSS); at != 0;
		at = option_find(&options, at + options.tcp[at + 1], OPTION_MSS))
		mss_lower(&options, at, limit);
}
