#include "fwd/frag.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "net/ipv6_extension.h"
#include "net/oversize.h"
#include "net/stage.h"

#define FRAGMENT_UNIT_BYTES   8 /* of offsets, and of all lengths but the last one's */
#define IPV4_OPTION_END       0
#define IPV4_OPTION_NOP       1
#define IPV4_OPTION_COPIED    0x80 /* RFC 791 section 3.1: it is in all fragments */
#define IPV4_HEADER_BYTES_MAX 60

/* The next fragment of a packet. */
struct part {
	uint32_t at; /* in the packet's payload */
	uint16_t header_bytes;
	uint16_t bytes; /* of payload */
	bool last;
};

/* Where the payload begins that is cut: behind the headers that each fragment has. */
static uint16_t ipv6_unfragmentable_bytes(struct rte_mbuf *m, uint16_t *link)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t at = sizeof(struct rte_ipv6_hdr), last = at;
	uint8_t protocol = pkt_ipv6(m)->proto;

	/* RFC 8200 section 4.5: up to a routing header, else up to a hop-by-hop header. */
	*link = offsetof(struct rte_ipv6_hdr, proto);
	while (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_ROUTING) {
		uint16_t header = at;

		at += (uint16_t)ipv6_extension_bytes(protocol, ip[header + 1]);
		if (protocol != IPPROTO_DSTOPTS) {
			last = at;
			*link = header;
		}
		protocol = ip[header];
	}
	return last;
}

/* Write the options that a later fragment has, padded; returns the header's length. */
static uint16_t ipv4_later_header_write(uint8_t *out, const uint8_t *ip, uint16_t header_bytes)
{
	uint16_t to = sizeof(struct rte_ipv4_hdr);

	memcpy(out, ip, to);
	for (uint16_t at = to; at < header_bytes && ip[at] != IPV4_OPTION_END;) {
		uint16_t bytes = ip[at] == IPV4_OPTION_NOP || at + 1 == header_bytes ? 1 : ip[at + 1];

		if (bytes == 0 || at + bytes > header_bytes)
			break; /* malformed: what is behind it can't be read */
		if (ip[at] & IPV4_OPTION_COPIED) {
			memcpy(out + to, ip + at, bytes);
			to += bytes;
		}
		at += bytes;
	}
	while (to % 4 != 0)
		out[to++] = IPV4_OPTION_END;
	out[0] = (uint8_t)(4 << 4 | to / 4);
	return to;
}

static uint16_t ipv4_header_write(uint8_t *out, struct rte_mbuf *m, const struct part *part, uint32_t id)
{
	const struct rte_ipv4_hdr *whole = pkt_ipv4(m);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;
	uint16_t field = rte_be_to_cpu_16(whole->fragment_offset);
	uint16_t header = pkt_of(m)->l4;

	if (part->at == 0)
		memcpy(out, whole, header);
	else
		header = ipv4_later_header_write(out, (const uint8_t *)whole, header);
	if (!part->last)
		field |= RTE_IPV4_HDR_MF_FLAG;
	if (pkt_of(m)->flags & PKT_LOCAL) {
		field &= (uint16_t)~RTE_IPV4_HDR_DF_FLAG;
		ip->packet_id = rte_cpu_to_be_16((uint16_t)id);
	}
	field += (uint16_t)(part->at / FRAGMENT_UNIT_BYTES);
	ip->fragment_offset = rte_cpu_to_be_16(field);
	ip->total_length = rte_cpu_to_be_16((uint16_t)(header + part->bytes));
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (rte_be16_t)~rte_raw_cksum(ip, header);
	return header;
}

static uint16_t ipv6_header_write(uint8_t *out, struct rte_mbuf *m, const struct part *part, uint32_t id)
{
	uint16_t link;
	uint16_t front = ipv6_unfragmentable_bytes(m, &link);
	bool local = (pkt_of(m)->flags & PKT_LOCAL) != 0;
	rte_be16_t field = rte_cpu_to_be_16((uint16_t)(part->at | !part->last));
	rte_be32_t be_id = local ? rte_cpu_to_be_32(id) : pkt_of(m)->fragment_id;
	uint16_t bytes = front + IPV6_FRAGMENT_HEADER_BYTES;

	memcpy(out, pkt_ipv6(m), front);
	out[front] = out[link];
	out[front + 1] = 0;
	memcpy(out + front + 2, &field, sizeof(field));
	memcpy(out + front + 4, &be_id, sizeof(be_id));
	out[link] = IPPROTO_FRAGMENT;
	((struct rte_ipv6_hdr *)out)->payload_len =
		rte_cpu_to_be_16((uint16_t)(bytes - sizeof(struct rte_ipv6_hdr) + part->bytes));
	return bytes;
}

/* Bytes in front of the payload in the packet itself. */
static uint16_t payload_at(struct rte_mbuf *m)
{
	uint16_t link;

	return pkt_of(m)->family == IP_V4 ? pkt_of(m)->l4 : ipv6_unfragmentable_bytes(m, &link);
}

static uint16_t later_header_bytes(struct rte_mbuf *m)
{
	uint8_t header[IPV4_HEADER_BYTES_MAX];

	return ipv4_later_header_write(header, rte_pktmbuf_mtod(m, const uint8_t *), pkt_of(m)->l4);
}

/* The part that begins at `at`; false if its headers leave no room for any. */
static bool part_plan(struct rte_mbuf *m, uint32_t at, struct part *part)
{
	const struct pkt *p = pkt_of(m);
	uint32_t left = p->ip_len - payload_at(m) - at;
	uint32_t room;

	part->at = at;
	if (p->family == IP_V6)
		part->header_bytes = payload_at(m) + IPV6_FRAGMENT_HEADER_BYTES;
	else
		part->header_bytes = at == 0 ? p->l4 : later_header_bytes(m);
	if (part->header_bytes + FRAGMENT_UNIT_BYTES > p->icmp_mtu)
		return false;
	room = p->icmp_mtu - part->header_bytes;
	part->last = left <= room;
	part->bytes = (uint16_t)(part->last ? left : room - room % FRAGMENT_UNIT_BYTES);
	return true;
}

/* What is known of the fragment. */
static void part_describe(struct rte_mbuf *fragment, struct rte_mbuf *m, const struct part *part)
{
	struct pkt *p = pkt_of(fragment);
	uint16_t to_payload =
		pkt_of(m)->l4 - payload_at(m); /* extension headers that are in the first part */

	*p = *pkt_of(m);
	p->flags = (uint16_t)((p->flags & ~PKT_LARGE) | PKT_FRAGMENT);
	p->ip_len = part->header_bytes + part->bytes;
	p->l4 = part->header_bytes + (part->at == 0 ? to_payload : 0);
	p->fragment_bytes = 0;
	if (part->at != 0)
		p->flags = (uint16_t)((p->flags & ~PKT_HAS_PORTS) | PKT_LATER_FRAGMENT);
}

static struct rte_mbuf *part_make(struct frag *frag, struct rte_mbuf *m, const struct part *part, uint32_t id)
{
	struct rte_mbuf *fragment = rte_pktmbuf_alloc(frag->packets);
	const uint8_t *payload = rte_pktmbuf_mtod_offset(m, const uint8_t *, payload_at(m) + part->at);
	uint8_t *out;

	if (!fragment)
		return NULL;
	out = (uint8_t *)rte_pktmbuf_append(fragment, part->header_bytes + part->bytes);
	if (!out) {
		rte_pktmbuf_free(fragment);
		return NULL;
	}
	if (pkt_of(m)->family == IP_V4)
		ipv4_header_write(out, m, part, id);
	else
		ipv6_header_write(out, m, part, id);
	memcpy(out + part->header_bytes, payload, part->bytes);
	part_describe(fragment, m, part);
	return fragment;
}

/* The packet as it is, in a usual buffer. */
static struct rte_mbuf *copy_make(struct frag *frag, struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(frag->packets);
	char *out = copy ? rte_pktmbuf_append(copy, m->data_len) : NULL;

	if (!out) {
		rte_pktmbuf_free(copy);
		return NULL;
	}
	memcpy(out, rte_pktmbuf_mtod(m, void *), m->data_len);
	*pkt_of(copy) = *pkt_of(m);
	pkt_of(copy)->flags &= (uint16_t)~PKT_LARGE;
	return copy;
}

/* The packet is through with: it became n_made others. */
static void packet_end(struct frag *frag, struct frag_cut *cut, struct drops *drops)
{
	trace_cut_one(drops, cut->from->pkts[cut->done], NULL);
	*frag->generated += cut->n_made - 1u;
	rte_pktmbuf_free(cut->from->pkts[cut->done++]);
	cut->at = cut->n_made = 0;
}

/* The packet can't be cut, or not to its end. */
static void packet_drop(struct frag *frag, struct frag_cut *cut, enum drop_reason reason, struct drops *drops)
{
	*frag->generated += cut->n_made;
	drop_one(drops, cut->from->pkts[cut->done++], reason);
	cut->at = cut->n_made = 0;
}

/* One fragment, or one packet less. */
static void cut_one(struct frag *frag, struct frag_cut *cut, struct burst *out, struct drops *drops)
{
	struct rte_mbuf *m = cut->from->pkts[cut->done];
	bool fits = pkt_of(m)->ip_len <= pkt_of(m)->icmp_mtu;
	struct rte_mbuf *made;
	struct part part = {.last = true};

	if (!fits && !part_plan(m, cut->at, &part)) {
		packet_drop(frag, cut, DROP_out_mtu, drops);
		return;
	}
	if (cut->n_made == 0)
		cut->id = frag->next_id++;
	made = fits ? copy_make(frag, m) : part_make(frag, m, &part, cut->id);
	if (!made) {
		packet_drop(frag, cut, DROP_frag_full, drops);
		return;
	}
	burst_add_one(out, made);
	trace_cut_one(drops, m, made);
	cut->n_made++;
	cut->at += part.bytes;
	if (part.last)
		packet_end(frag, cut, drops);
}

/* No STAGE: what comes out is not what went in. */
bool frag_fill(struct frag *frag, struct frag_cut *cut, struct burst *out, struct drops *drops)
{
	if (cut->done == cut->from->n) {
		cut->from->n = cut->done = 0;
		return false;
	}
	STAGE_OPEN(frag, cut->from->n, drops);
	out->n = 0;
	while (cut->done < cut->from->n && out->n < BURST_MAX)
		cut_one(frag, cut, out, drops);
	return true;
}
