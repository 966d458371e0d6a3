#include "control/neigh_wire.h"

#include "net/martian.h"
#include "net/pkt.h"
#include "net/rewrite.h"

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ip.h>

#include <netinet/in.h>
#include <string.h>

#define ARP_BYTES 28

/* RFC 4861 section 4: types and options, and the hop limit that no router lets through. */
#define ND_SOLICITATION   135
#define ND_ADVERTISEMENT  136
#define ND_OPTION_SOURCE  1
#define ND_OPTION_TARGET  2
#define ND_OPTION_UNIT    8 /* bytes that an option's length counts */
#define ND_HOP_LIMIT      255
#define ND_FLAG_ROUTER    UINT32_C(0x80000000)
#define ND_FLAG_SOLICITED UINT32_C(0x40000000)
#define ND_FLAG_OVERRIDE  UINT32_C(0x20000000)

/* A solicitation or advertisement up to its options. */
struct nd_header {
	uint8_t type;
	uint8_t code;
	rte_be16_t checksum;
	rte_be32_t flags;
	uint8_t target[16];
} __attribute__((packed));

struct nd_mac_option {
	uint8_t type;
	uint8_t length; /* in ND_OPTION_UNIT */
	struct rte_ether_addr mac;
};

_Static_assert(
	sizeof(struct nd_header) == 24 && sizeof(struct nd_mac_option) == ND_OPTION_UNIT, "as on the wire");

static const struct rte_ether_addr everyone_ipv4 = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 0x01};
/* RFC 4291 section 2.7.1: ff02::1:ff00:0/104, with the last three bytes of the address that is asked for. */
static const uint8_t solicited_node[16] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};
#define SOLICITED_NODE_BYTES 13

bool neigh_is_unspecified(const struct ip_addr *addr)
{
	static const uint8_t zero[16];

	return memcmp(addr->bytes, zero, sizeof(zero)) == 0;
}

struct ip_addr neigh_link_local(const struct rte_ether_addr *mac)
{
	const uint8_t *b = mac->addr_bytes;

	return (struct ip_addr){
		.family = IP_V6,
		.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, b[0] ^ 0x02, b[1], b[2], 0xff, 0xfe, b[3], b[4],
			b[5]},
	};
}

/* A host's own address, or unspecified. */
static bool is_host(const struct ip_addr *addr)
{
	if (neigh_is_unspecified(addr))
		return true;
	return !address_is_local(addr->family, addr->bytes) && !address_is_group(addr->family, addr->bytes);
}

static bool arp_parse(struct rte_mbuf *m, struct neigh_message *message)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod(m, const struct rte_arp_hdr *);
	struct ip_addr sender, target;

	if (m->data_len < ARP_BYTES)
		return false;
	if (arp->arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
		arp->arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		arp->arp_hlen != sizeof(struct rte_ether_addr) || arp->arp_plen != sizeof(rte_be32_t))
		return false;
	sender = ip_addr_from_bytes(IP_V4, &arp->arp_data.arp_sip);
	target = ip_addr_from_bytes(IP_V4, &arp->arp_data.arp_tip);
	*message = (struct neigh_message){.kind = NEIGH_OTHER, .has_mac = true, .mac = arp->arp_data.arp_sha};
	if (!is_host(&sender) || !rte_is_valid_assigned_ether_addr(&message->mac))
		return false;
	if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST)) {
		message->kind = NEIGH_REQUEST;
		message->sender = sender;
		message->target = target;
	} else if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY)) {
		message->kind = NEIGH_ADVERT;
		message->target = sender;
		message->solicited = !ip_addr_equal(&sender, &target); // else it is gratuitous
		message->overrides = true;
		return !neigh_is_unspecified(&sender);
	}
	return true;
}

/* The sum over the pseudo-header (RFC 8200 section 8.1) and the message; 0xffff if the checksum is right. */
static uint16_t icmpv6_sum(const struct rte_ipv6_hdr *ip, const void *icmp, uint16_t bytes)
{
	uint32_t sum = rte_raw_cksum(&ip->src_addr, 32); // and the destination behind it

	sum += rte_raw_cksum(icmp, bytes);
	sum += rte_cpu_to_be_16(bytes);
	sum += RTE_BE16(IPPROTO_ICMPV6);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * Walk over the options, and take the MAC address from the one of that type. False if one has no length or
 * reaches past the end (section 4.6), or the MAC address is none that a station has.
 */
static bool options_parse(const uint8_t *options, size_t bytes, uint8_t wanted, struct neigh_message *message)
{
	while (bytes > 0) {
		size_t length = bytes >= ND_OPTION_UNIT ? (size_t)options[1] * ND_OPTION_UNIT : 0;

		if (length == 0 || length > bytes)
			return false;
		if (options[0] == wanted && !message->has_mac) {
			if (length != sizeof(struct nd_mac_option))
				return false;
			memcpy(&message->mac, options + offsetof(struct nd_mac_option, mac),
				sizeof(message->mac));
			if (!rte_is_valid_assigned_ether_addr(&message->mac))
				return false;
			message->has_mac = true;
		}
		options += length;
		bytes -= length;
	}
	return true;
}

/* RFC 4861 section 7.1.1, what is not of the options. */
static bool solicitation_parse(const struct rte_ipv6_hdr *ip, struct neigh_message *message)
{
	message->kind = NEIGH_REQUEST;
	message->sender = ip_addr_from_bytes(IP_V6, &ip->src_addr);
	if (!neigh_is_unspecified(&message->sender))
		return is_host(&message->sender);
	return memcmp(&ip->dst_addr, solicited_node, SOLICITED_NODE_BYTES) == 0 && !message->has_mac;
}

/* Section 7.1.2. */
static bool advertisement_parse(const struct rte_ipv6_hdr *ip, uint32_t flags, struct neigh_message *message)
{
	const uint8_t *destination = (const uint8_t *)&ip->dst_addr;
	struct ip_addr source = ip_addr_from_bytes(IP_V6, &ip->src_addr);

	message->kind = NEIGH_ADVERT;
	message->solicited = flags & ND_FLAG_SOLICITED;
	message->overrides = flags & ND_FLAG_OVERRIDE;
	if (message->solicited && address_is_group(IP_V6, destination))
		return false;
	return is_host(&source) && !neigh_is_unspecified(&source);
}

static bool nd_parse(struct rte_mbuf *m, struct neigh_message *message)
{
	const struct rte_ipv6_hdr *ip = pkt_ipv6(m);
	const struct nd_header *nd = rte_pktmbuf_mtod_offset(m, const struct nd_header *, pkt_of(m)->l4);
	size_t bytes = (size_t)(m->data_len - pkt_of(m)->l4);
	uint8_t wanted;

	*message = (struct neigh_message){.kind = NEIGH_OTHER};
	/* The shortest of them all is a router solicitation without options, section 4.1. */
	if (bytes < 8 || ip->hop_limits != ND_HOP_LIMIT || nd->code != 0 ||
		icmpv6_sum(ip, nd, (uint16_t)bytes) != 0xffff)
		return false;
	if (nd->type != ND_SOLICITATION && nd->type != ND_ADVERTISEMENT)
		return true;
	if (bytes < sizeof(*nd))
		return false;
	message->target = ip_addr_from_bytes(IP_V6, nd->target);
	wanted = nd->type == ND_SOLICITATION ? ND_OPTION_SOURCE : ND_OPTION_TARGET;
	if (!is_host(&message->target) || neigh_is_unspecified(&message->target) ||
		!options_parse((const uint8_t *)(nd + 1), bytes - sizeof(*nd), wanted, message))
		return false;
	if (nd->type == ND_SOLICITATION)
		return solicitation_parse(ip, message);
	return advertisement_parse(ip, rte_be_to_cpu_32(nd->flags), message);
}

bool neigh_wire_parse(struct rte_mbuf *m, struct neigh_message *message)
{
	return pkt_of(m)->flags & PKT_ARP ? arp_parse(m, message) : nd_parse(m, message);
}

static struct rte_mbuf *arp_build(struct rte_mempool *pool, const struct neigh_port *port, uint16_t opcode,
	const struct ip_addr *sender, const struct ip_addr *target, const struct rte_ether_addr *to)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_arp_hdr *arp;

	if (!m)
		return NULL;
	arp = (struct rte_arp_hdr *)rte_pktmbuf_append(m, ARP_BYTES);
	*arp = (struct rte_arp_hdr){
		.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = sizeof(struct rte_ether_addr),
		.arp_plen = sizeof(rte_be32_t),
		.arp_opcode = rte_cpu_to_be_16(opcode),
		.arp_data.arp_sha = port->mac,
	};
	memcpy(&arp->arp_data.arp_sip, sender->bytes, sizeof(rte_be32_t));
	memcpy(&arp->arp_data.arp_tip, target->bytes, sizeof(rte_be32_t));
	if (opcode == RTE_ARP_OP_REPLY)
		arp->arp_data.arp_tha = *to;
	ethernet_prepend_one(m, to ? to : &everyone_ipv4, &port->mac, port->vlan, RTE_ETHER_TYPE_ARP);
	return m;
}

/* The MAC address of a multicast group, RFC 2464 section 7. */
static struct rte_ether_addr group_mac(const uint8_t group[16])
{
	return (struct rte_ether_addr){{0x33, 0x33, group[12], group[13], group[14], group[15]}};
}

/* A solicitation or an advertisement, with the port's MAC address as its option. */
static struct rte_mbuf *nd_build(struct rte_mempool *pool, const struct neigh_port *port,
	const uint8_t source[16], const uint8_t destination[16], const struct nd_header *header,
	const struct rte_ether_addr *to)
{
	const struct rte_ether_addr group = group_mac(destination);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	const uint16_t bytes = sizeof(*header) + sizeof(struct nd_mac_option);
	struct nd_mac_option *option;
	struct rte_ipv6_hdr *ip;
	struct nd_header *nd;

	if (!m)
		return NULL;
	ip = (struct rte_ipv6_hdr *)rte_pktmbuf_append(m, sizeof(*ip) + bytes);
	nd = (struct nd_header *)(ip + 1);
	option = (struct nd_mac_option *)(nd + 1);
	*ip = (struct rte_ipv6_hdr){
		.vtc_flow = RTE_BE32(UINT32_C(6) << 28),
		.payload_len = rte_cpu_to_be_16(bytes),
		.proto = IPPROTO_ICMPV6,
		.hop_limits = ND_HOP_LIMIT,
	};
	memcpy(&ip->src_addr, source, 16);
	memcpy(&ip->dst_addr, destination, 16);
	*nd = *header;
	*option = (struct nd_mac_option){
		.type = nd->type == ND_SOLICITATION ? ND_OPTION_SOURCE : ND_OPTION_TARGET,
		.length = 1,
		.mac = port->mac,
	};
	nd->checksum = (rte_be16_t)~icmpv6_sum(ip, nd, bytes);
	ethernet_prepend_one(m, to ? to : &group, &port->mac, port->vlan, RTE_ETHER_TYPE_IPV6);
	return m;
}

struct rte_mbuf *neigh_wire_request(struct rte_mempool *pool, const struct neigh_port *port,
	const struct ip_addr *own, const struct ip_addr *target, const struct rte_ether_addr *to)
{
	struct nd_header header = {.type = ND_SOLICITATION};
	uint8_t group[16];

	if (target->family == IP_V4)
		return arp_build(pool, port, RTE_ARP_OP_REQUEST, own, target, to);
	memcpy(header.target, target->bytes, sizeof(header.target));
	memcpy(group, target->bytes, sizeof(group));
	memcpy(group, solicited_node, SOLICITED_NODE_BYTES);
	return nd_build(pool, port, own->bytes, to ? target->bytes : group, &header, to);
}

static struct nd_header advertisement(const struct ip_addr *own, uint32_t flags)
{
	struct nd_header header = {
		.type = ND_ADVERTISEMENT,
		.flags = rte_cpu_to_be_32(ND_FLAG_ROUTER | ND_FLAG_OVERRIDE | flags),
	};

	memcpy(header.target, own->bytes, sizeof(header.target));
	return header;
}

struct rte_mbuf *neigh_wire_reply(struct rte_mempool *pool, const struct neigh_port *port,
	const struct ip_addr *own, const struct ip_addr *asker, const struct rte_ether_addr *to)
{
	const struct nd_header header = advertisement(own, ND_FLAG_SOLICITED);

	if (own->family == IP_V4)
		return arp_build(pool, port, RTE_ARP_OP_REPLY, own, asker, to);
	return nd_build(pool, port, own->bytes, asker->bytes, &header, to);
}

struct rte_mbuf *neigh_wire_announce(
	struct rte_mempool *pool, const struct neigh_port *port, const struct ip_addr *own)
{
	const struct nd_header header = advertisement(own, 0);

	if (own->family == IP_V4)
		return arp_build(pool, port, RTE_ARP_OP_REQUEST, own, own, NULL);
	return nd_build(pool, port, own->bytes, all_nodes, &header, NULL);
}
