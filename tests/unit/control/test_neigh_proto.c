#include "control/neigh_proto.h"

#include "control/neigh_wire.h"
#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"

#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define LAN 0 /* untagged: 10.1.0.1/24, fd00:1::1/64 */
#define WAN 1 /* VLAN 100: 192.0.2.1/24, 192.0.2.129/31 */

#define START_NS         (UINT64_C(1000) * NS_PER_S)
#define MUTATED_PACKETS  300000
#define OUTPUT_MAX       2048
#define TABLE_CAPACITY   (NEIGH_DYNAMIC_MAX + NEIGH_STATIC_MAX)
#define ND_MESSAGE_BYTES 72 /* IPv6 header, solicitation or advertisement, one option */

static const struct rte_ether_addr lan_mac = {{0x02, 0x00, 0x5e, 0x00, 0x01, 0x01}};
static const struct rte_ether_addr wan_mac = {{0x02, 0x00, 0x5e, 0x00, 0x02, 0x01}};
static const struct rte_ether_addr peer_mac = {{0x02, 0x00, 0x5e, 0x00, 0x01, 0x09}};
static const struct rte_ether_addr other_mac = {{0x02, 0x00, 0x5e, 0x00, 0x01, 0x77}};
static const struct rte_ether_addr no_mac;

/* What came out of the callbacks, in order. */
struct output {
	unsigned n;
	struct rte_mbuf *pkts[OUTPUT_MAX];
};

struct fixture {
	struct rte_rcu_qsbr *qsbr;
	struct neigh_table *table;
	struct neigh_proto *np;
	struct drops drops;
	struct output sent;
	struct output released;
	uint64_t now_ns;
};

static void on_send(void *arg, struct rte_mbuf *m)
{
	struct fixture *f = arg;

	ck_assert_uint_lt(f->sent.n, OUTPUT_MAX);
	ck_assert_uint_eq(pkt_of(m)->flags & PKT_FRAME, PKT_FRAME);
	ck_assert_uint_eq(pkt_of(m)->port_in, PKT_PORT_SELF);
	f->sent.pkts[f->sent.n++] = m;
}

static void on_release(void *arg, struct rte_mbuf *m)
{
	struct fixture *f = arg;

	ck_assert_uint_lt(f->released.n, OUTPUT_MAX);
	ck_assert_uint_eq(pkt_of(m)->flags & PKT_UNRESOLVED, 0);
	f->released.pkts[f->released.n++] = m;
}

static void output_free(struct output *output)
{
	rte_pktmbuf_free_bulk(output->pkts, output->n);
	output->n = 0;
}

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	return addr;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;

	ck_assert_int_eq(ip_prefix_parse(text, &p), 0);
	return p;
}

/*
 * Frames come from a pool of their own: mbuf_exact_of leaves memory poisoned that only a test may take again.
 */
static struct rte_mempool *frame_pool(void)
{
	struct rte_mempool *pool = rte_mempool_lookup("frames");

	if (!pool)
		pool = rte_pktmbuf_pool_create("frames", OUTPUT_MAX - 1, 0, sizeof(struct pkt), 512, 0);
	ck_assert_ptr_nonnull(pool);
	return pool;
}

static struct fixture *fixture_make(void)
{
	const struct ip_prefix lan[] = {prefix("10.1.0.1/24"), prefix("fd00:1::1/64")};
	const struct ip_prefix wan[] = {prefix("192.0.2.1/25"), prefix("192.0.2.129/31")};
	const struct neigh_proto_port ports[] = {
		[LAN] = {.name = "lan",
			.link = {.mac = lan_mac},
			.addresses = lan,
			.n_addresses = RTE_DIM(lan)},
		[WAN] = {.name = "wan",
			.link = {.mac = wan_mac, .vlan = 100},
			.addresses = wan,
			.n_addresses = RTE_DIM(wan)},
	};
	struct fixture *f = calloc(1, sizeof(*f));
	struct neigh_proto_conf conf = {
		.ports = ports,
		.n_ports = RTE_DIM(ports),
		.pool = frame_pool(),
		.drops = &f->drops,
		.send = on_send,
		.release = on_release,
		.arg = f,
	};
	struct err err;

	f->now_ns = START_NS;
	f->qsbr = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE));
	ck_assert_int_eq(rte_rcu_qsbr_init(f->qsbr, 1), 0);
	ck_assert_int_eq(neigh_table_create(TABLE_CAPACITY, f->qsbr, 0, &f->table, &err), 0);
	conf.table = f->table;
	ck_assert_int_eq(neigh_proto_create(&conf, f->now_ns, &f->np, &err), 0);
	return f;
}

static void fixture_free(struct fixture *f)
{
	output_free(&f->sent);
	output_free(&f->released);
	neigh_proto_destroy(f->np);
	neigh_table_destroy(f->table);
	ck_assert_uint_eq(rte_mempool_in_use_count(frame_pool()), 0);
	free(f->qsbr);
	free(f);
}

/* Let time pass in steps of 100 ms, as the control thread does or slower. */
static void pass(struct fixture *f, uint64_t ns)
{
	uint64_t end_ns = f->now_ns + ns;

	while (f->now_ns < end_ns) {
		f->now_ns += RTE_MIN(NEIGH_SCAN_NS, end_ns - f->now_ns);
		neigh_proto_tick(f->np, f->now_ns);
	}
}

static uint64_t dropped(const struct fixture *f, enum drop_reason reason)
{
	uint64_t n = 0;

	for (unsigned port = 0; port < PKT_PORTS_ALL; port++)
		n += f->drops.count[port][reason];
	return n;
}

/* Is the neighbour in the table, with that MAC address? */
static bool known_at(
	const struct fixture *f, uint8_t port, const char *text, const struct rte_ether_addr *mac)
{
	const struct ip_addr addr = address(text);
	struct rte_ether_addr found;

	return neigh_find(f->table, port, &addr, &found) && rte_is_same_ether_addr(&found, mac);
}

static bool known(const struct fixture *f, uint8_t port, const char *text)
{
	const struct ip_addr addr = address(text);
	struct rte_ether_addr found;

	return neigh_find(f->table, port, &addr, &found);
}

struct arp {
	uint16_t opcode;
	struct rte_ether_addr sha;
	const char *sip;
	struct rte_ether_addr tha;
	const char *tip;
};

static size_t arp_bytes(const struct arp *arp, uint8_t out[28])
{
	const struct ip_addr sip = address(arp->sip), tip = address(arp->tip);
	const uint8_t start[] = {0, 1, 8, 0, 6, 4, 0, (uint8_t)arp->opcode};

	memcpy(out, start, 8);
	memcpy(out + 8, &arp->sha, 6);
	memcpy(out + 14, sip.bytes, 4);
	memcpy(out + 18, &arp->tha, 6);
	memcpy(out + 24, tip.bytes, 4);
	return 28;
}

static struct rte_mbuf *arp_mbuf(const uint8_t *bytes, size_t n, uint8_t port)
{
	struct rte_mbuf *m = mbuf_exact_of(bytes, n);

	*pkt_of(m) = (struct pkt){.flags = PKT_ARP, .port_in = port};
	return m;
}

static void receive_arp(struct fixture *f, uint8_t port, struct arp arp)
{
	uint8_t bytes[28];

	neigh_proto_receive(f->np, arp_mbuf(bytes, arp_bytes(&arp, bytes), port));
}

struct nd {
	uint8_t type; /* 135: solicitation, 136: advertisement */
	const char *source;
	const char *destination;
	const char *target;
	uint32_t flags;                   /* 0x40000000: solicited, 0x20000000: override */
	const struct rte_ether_addr *mac; /* NULL: no option */
	uint8_t option_type;              /* 0: the one of the message */
};

#define SOLICITED 0x40000000u
#define OVERRIDE  0x20000000u

static void nd_checksum(uint8_t *packet, size_t n)
{
	uint16_t checksum;

	memset(packet + 42, 0, 2);
	checksum = packet_l4_checksum(packet, 40, n, IPPROTO_ICMPV6);
	packet[42] = (uint8_t)(checksum >> 8);
	packet[43] = (uint8_t)checksum;
}

static size_t nd_bytes(const struct nd *nd, uint8_t out[ND_MESSAGE_BYTES])
{
	const struct ip_addr source = address(nd->source), destination = address(nd->destination);
	const struct ip_addr target = address(nd->target);
	size_t n = nd->mac ? 72 : 64;

	memset(out, 0, ND_MESSAGE_BYTES);
	out[0] = 0x60;
	out[5] = (uint8_t)(n - 40);
	out[6] = IPPROTO_ICMPV6;
	out[7] = 255;
	memcpy(out + 8, source.bytes, 16);
	memcpy(out + 24, destination.bytes, 16);
	out[40] = nd->type;
	out[44] = (uint8_t)(nd->flags >> 24);
	memcpy(out + 48, target.bytes, 16);
	if (nd->mac) {
		out[64] = nd->option_type ? nd->option_type : (uint8_t)(nd->type - 134);
		out[65] = 1;
		memcpy(out + 66, nd->mac, 6);
	}
	nd_checksum(out, n);
	return n;
}

static struct rte_mbuf *nd_mbuf(const uint8_t *bytes, size_t n, uint8_t port)
{
	struct rte_mbuf *m = mbuf_exact_of(bytes, n);

	*pkt_of(m) = (struct pkt){.port_in = port,
		.family = IP_V6,
		.protocol = IPPROTO_ICMPV6,
		.l4 = 40,
		.ip_len = (uint16_t)n};
	return m;
}

static void receive_nd(struct fixture *f, uint8_t port, struct nd nd)
{
	uint8_t bytes[ND_MESSAGE_BYTES];

	neigh_proto_receive(f->np, nd_mbuf(bytes, nd_bytes(&nd, bytes), port));
}

/* The oldest frame that was sent and not looked at: its port and all its bytes. */
static void assert_frame(struct fixture *f, uint8_t port, const uint8_t *bytes, size_t n)
{
	struct rte_mbuf *m = f->sent.pkts[0];

	ck_assert_uint_gt(f->sent.n, 0);
	ck_assert_uint_eq(pkt_of(m)->port_out, port);
	ck_assert_uint_eq(rte_pktmbuf_pkt_len(m), n);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), bytes, n);
	rte_pktmbuf_free(m);
	f->sent.n--;
	memmove(&f->sent.pkts[0], &f->sent.pkts[1], f->sent.n * sizeof(f->sent.pkts[0]));
}

static size_t ether_bytes(uint8_t *out, const struct rte_ether_addr *to, uint8_t port, uint16_t type)
{
	const uint8_t tag[] = {0x81, 0x00, 0x00, 100};
	size_t n = 12;

	memcpy(out, to, 6);
	memcpy(out + 6, port == LAN ? &lan_mac : &wan_mac, 6);
	if (port == WAN) {
		memcpy(out + n, tag, sizeof(tag));
		n += sizeof(tag);
	}
	out[n] = (uint8_t)(type >> 8);
	out[n + 1] = (uint8_t)type;
	return n + 2;
}

static void assert_arp(struct fixture *f, uint8_t port, struct rte_ether_addr to, struct arp arp)
{
	uint8_t bytes[64];
	size_t n = ether_bytes(bytes, &to, port, 0x0806);

	assert_frame(f, port, bytes, n + arp_bytes(&arp, bytes + n));
}

static void assert_nd(struct fixture *f, uint8_t port, struct rte_ether_addr to, struct nd nd)
{
	uint8_t bytes[128];
	size_t n = ether_bytes(bytes, &to, port, 0x86dd);

	assert_frame(f, port, bytes, n + nd_bytes(&nd, bytes + n));
}

static const struct rte_ether_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

/* A packet that a worker found no neighbour for. */
static struct rte_mbuf *waiting_packet(uint8_t port)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.payload_bytes = 8});

	pkt_of(m)->port_out = port;
	pkt_of(m)->flags |= PKT_UNRESOLVED;
	return m;
}

static struct rte_mbuf *unresolved(struct fixture *f, uint8_t port, const char *text)
{
	const struct ip_addr addr = address(text);
	struct rte_mbuf *m = waiting_packet(port);

	neigh_proto_unresolved(f->np, m, &addr);
	return m;
}

/* Make 10.1.0.9 and fd00:1::9 known by asking for our addresses, and forget what was sent. */
static void learn_peers(struct fixture *f)
{
	receive_arp(f, LAN, (struct arp){1, peer_mac, "10.1.0.9", no_mac, "10.1.0.1"});
	receive_nd(f, LAN, (struct nd){135, "fd00:1::9", "ff02::1:ff00:1", "fd00:1::1", 0, &peer_mac, 0});
	ck_assert(known_at(f, LAN, "10.1.0.9", &peer_mac));
	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	output_free(&f->sent);
}

START_TEST(an_arp_request_for_our_address_is_answered_and_its_sender_learned)
{
	struct fixture *f = fixture_make();

	receive_arp(f, LAN, (struct arp){1, peer_mac, "10.1.0.9", no_mac, "10.1.0.1"});
	receive_arp(f, WAN, (struct arp){1, peer_mac, "192.0.2.9", no_mac, "192.0.2.1"});

	assert_arp(f, LAN, peer_mac, (struct arp){2, lan_mac, "10.1.0.1", peer_mac, "10.1.0.9"});
	assert_arp(f, WAN, peer_mac, (struct arp){2, wan_mac, "192.0.2.1", peer_mac, "192.0.2.9"});
	ck_assert(known_at(f, LAN, "10.1.0.9", &peer_mac));
	ck_assert(known_at(f, WAN, "192.0.2.9", &peer_mac));
	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert_uint_eq(f->drops.total, 0);
	fixture_free(f);
}
END_TEST

START_TEST(an_arp_request_for_anothers_address_is_neither_answered_nor_learned)
{
	struct fixture *f = fixture_make();

	receive_arp(f, LAN, (struct arp){1, peer_mac, "10.1.0.9", no_mac, "10.1.0.2"});
	receive_arp(f, LAN,
		(struct arp){1, peer_mac, "10.1.0.9", no_mac, "192.0.2.1"}); // ours, but on the other port

	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert(!known(f, LAN, "10.1.0.9"));
	fixture_free(f);
}
END_TEST

START_TEST(an_arp_probe_of_our_address_is_answered_and_not_learned) // RFC 5227 section 2.1.1
{
	struct fixture *f = fixture_make();

	receive_arp(f, LAN, (struct arp){1, peer_mac, "0.0.0.0", no_mac, "10.1.0.1"});

	assert_arp(f, LAN, peer_mac, (struct arp){2, lan_mac, "10.1.0.1", peer_mac, "0.0.0.0"});
	ck_assert(!known(f, LAN, "0.0.0.0"));
	fixture_free(f);
}
END_TEST

START_TEST(a_solicitation_of_our_address_is_answered_and_its_sender_learned) // SPD-12
{
	struct fixture *f = fixture_make();
	const char *ours = "fe80::5eff:fe00:101"; // of lan_mac, RFC 4291 appendix A

	receive_nd(f, LAN, (struct nd){135, "fd00:1::9", "ff02::1:ff00:1", "fd00:1::1", 0, &peer_mac, 0});
	assert_nd(f, LAN, peer_mac,
		(struct nd){136, "fd00:1::1", "fd00:1::9", "fd00:1::1", 0xe0000000, &lan_mac, 0});
	receive_nd(f, LAN, (struct nd){135, "fe80::9", "ff02::1:ff00:101", ours, 0, &other_mac, 0});
	assert_nd(f, LAN, other_mac, (struct nd){136, ours, "fe80::9", ours, 0xe0000000, &lan_mac, 0});

	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	ck_assert(known_at(f, LAN, "fe80::9", &other_mac));
	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert_uint_eq(f->drops.total, 0);
	fixture_free(f);
}
END_TEST

START_TEST(who_claims_our_address_is_told_so_with_all_nodes) // RFC 4862 section 5.4.3, RFC 4861 section 7.2.4
{
	const struct rte_ether_addr all_nodes = {{0x33, 0x33, 0, 0, 0, 1}};
	struct fixture *f = fixture_make();

	receive_nd(f, LAN, (struct nd){135, "::", "ff02::1:ff00:1", "fd00:1::1", 0, NULL, 0});

	assert_nd(f, LAN, all_nodes,
		(struct nd){136, "fd00:1::1", "ff02::1", "fd00:1::1", 0xa0000000, &lan_mac, 0});
	ck_assert(!known(f, LAN, "::"));
	fixture_free(f);
}
END_TEST

START_TEST(a_solicitation_of_anothers_address_is_ignored) // RFC 4861 section 7.2.3
{
	struct fixture *f = fixture_make();

	learn_peers(f);
	receive_nd(f, LAN, (struct nd){135, "fd00:1::8", "ff02::1:ff00:2", "fd00:1::2", 0, &peer_mac, 0});
	receive_nd(f, LAN, (struct nd){135, "fd00:1::9", "ff02::1:ff00:2", "fd00:1::2", 0, &other_mac, 0});

	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert(!known(f, LAN, "fd00:1::8"));
	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	fixture_free(f);
}
END_TEST

START_TEST(a_solicitation_without_a_mac_address_is_answered_from_what_is_known_or_asked_for)
{
	const struct rte_ether_addr group = {{0x33, 0x33, 0xff, 0, 0, 8}};
	struct fixture *f = fixture_make();

	learn_peers(f);
	receive_nd(f, LAN, (struct nd){135, "fd00:1::9", "fd00:1::1", "fd00:1::1", 0, NULL, 0});
	assert_nd(f, LAN, peer_mac,
		(struct nd){136, "fd00:1::1", "fd00:1::9", "fd00:1::1", 0xe0000000, &lan_mac, 0});
	receive_nd(f, LAN, (struct nd){135, "fd00:1::8", "fd00:1::1", "fd00:1::1", 0, NULL, 0});
	assert_nd(
		f, LAN, group, (struct nd){135, "fd00:1::1", "ff02::1:ff00:8", "fd00:1::8", 0, &lan_mac, 0});

	ck_assert_uint_eq(f->sent.n, 0);
	fixture_free(f);
}
END_TEST

START_TEST(an_unresolved_packet_is_held_and_asked_for_and_let_go_by_the_answer)
{
	const struct rte_ether_addr group = {{0x33, 0x33, 0xff, 0xaa, 0xbb, 0xcc}};
	struct fixture *f = fixture_make();
	struct rte_mbuf *v4 = unresolved(f, WAN, "192.0.2.9");
	struct rte_mbuf *v6 = unresolved(f, LAN, "fd00:1::12aa:bbcc");

	assert_arp(f, WAN, broadcast, (struct arp){1, wan_mac, "192.0.2.1", no_mac, "192.0.2.9"});
	assert_nd(f, LAN, group,
		(struct nd){135, "fd00:1::1", "ff02::1:ffaa:bbcc", "fd00:1::12aa:bbcc", 0, &lan_mac, 0});
	ck_assert_uint_eq(neigh_proto_held(f->np), 2);
	ck_assert_uint_eq(f->released.n, 0);

	receive_arp(f, WAN, (struct arp){2, peer_mac, "192.0.2.9", wan_mac, "192.0.2.1"});
	receive_nd(f, LAN,
		(struct nd){136, "fd00:1::12aa:bbcc", "fd00:1::1", "fd00:1::12aa:bbcc", SOLICITED | OVERRIDE,
			&peer_mac, 0});

	ck_assert_uint_eq(f->released.n, 2);
	ck_assert_ptr_eq(f->released.pkts[0], v4);
	ck_assert_ptr_eq(f->released.pkts[1], v6);
	ck_assert_uint_eq(*rte_pktmbuf_mtod(v4, uint8_t *), 0x45); // data still at the IP header
	ck_assert(known_at(f, WAN, "192.0.2.9", &peer_mac));
	ck_assert(known_at(f, LAN, "fd00:1::12aa:bbcc", &peer_mac));
	ck_assert_uint_eq(neigh_proto_held(f->np), 0);
	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert_uint_eq(f->drops.total, 0);
	fixture_free(f);
}
END_TEST

START_TEST(a_link_local_neighbour_is_asked_from_our_link_local_address)
{
	const struct rte_ether_addr group = {{0x33, 0x33, 0xff, 0, 0, 9}};
	struct fixture *f = fixture_make();

	unresolved(f, WAN, "fe80::9");
	assert_nd(f, WAN, group,
		(struct nd){135, "fe80::5eff:fe00:201", "ff02::1:ff00:9", "fe80::9", 0, &wan_mac, 0});
	fixture_free(f);
}
END_TEST

START_TEST(a_packet_whose_neighbour_came_to_be_known_is_let_go_at_once)
{
	struct fixture *f = fixture_make();
	struct rte_mbuf *m;

	learn_peers(f);
	m = unresolved(f, LAN, "10.1.0.9");
	ck_assert_uint_eq(f->released.n, 1);
	ck_assert_ptr_eq(f->released.pkts[0], m);
	ck_assert_uint_eq(f->sent.n, 0);
	fixture_free(f);
}
END_TEST

START_TEST(three_requests_a_second_apart_and_then_it_is_given_up_for_a_while)
{
	struct fixture *f = fixture_make();

	unresolved(f, LAN, "10.1.0.9");
	ck_assert_uint_eq(f->sent.n, 1);
	pass(f, NEIGH_RETRY_NS - NEIGH_SCAN_NS);
	ck_assert_uint_eq(f->sent.n, 1);
	pass(f, 2 * NEIGH_SCAN_NS);
	ck_assert_uint_eq(f->sent.n, 2);
	pass(f, NEIGH_RETRY_NS);
	ck_assert_uint_eq(f->sent.n, 3);
	ck_assert_uint_eq(neigh_proto_held(f->np), 1);
	pass(f, NEIGH_RETRY_NS);
	ck_assert_uint_eq(neigh_proto_held(f->np), 0);
	ck_assert_uint_eq(dropped(f, DROP_neigh_unresolved), 1);

	unresolved(f, LAN, "10.1.0.9"); // held down
	ck_assert_uint_eq(dropped(f, DROP_neigh_unresolved), 2);
	ck_assert_uint_eq(f->sent.n, 3);
	pass(f, NEIGH_HOLD_DOWN_NS + NEIGH_SCAN_NS);
	unresolved(f, LAN, "10.1.0.9");
	ck_assert_uint_eq(f->sent.n, 4);
	ck_assert_uint_eq(neigh_proto_held(f->np), 1);
	for (unsigned i = 0; i < 4; i++)
		assert_arp(f, LAN, broadcast, (struct arp){1, lan_mac, "10.1.0.1", no_mac, "10.1.0.9"});
	fixture_free(f);
}
END_TEST

START_TEST(a_late_answer_ends_the_hold_down)
{
	struct fixture *f = fixture_make();

	unresolved(f, LAN, "10.1.0.9");
	pass(f, NEIGH_TRIES * NEIGH_RETRY_NS + 4 * NEIGH_SCAN_NS);
	ck_assert_uint_eq(dropped(f, DROP_neigh_unresolved), 1);
	receive_arp(f, LAN, (struct arp){2, peer_mac, "10.1.0.9", lan_mac, "10.1.0.1"});
	ck_assert(known_at(f, LAN, "10.1.0.9", &peer_mac));
	fixture_free(f);
}
END_TEST

START_TEST(the_oldest_packet_makes_room_when_too_many_wait_for_one_neighbour) // RFC 4861 section 7.2.2
{
	struct fixture *f = fixture_make();
	struct rte_mbuf *m[NEIGH_HELD_EACH_MAX + 2];

	for (unsigned i = 0; i < RTE_DIM(m); i++)
		m[i] = unresolved(f, LAN, "10.1.0.9");
	ck_assert_uint_eq(neigh_proto_held(f->np), NEIGH_HELD_EACH_MAX);
	ck_assert_uint_eq(dropped(f, DROP_neigh_full), 2);
	ck_assert_uint_eq(f->sent.n, 1);
	receive_arp(f, LAN, (struct arp){2, peer_mac, "10.1.0.9", lan_mac, "10.1.0.1"});

	ck_assert_uint_eq(f->released.n, NEIGH_HELD_EACH_MAX);
	for (unsigned i = 0; i < NEIGH_HELD_EACH_MAX; i++)
		ck_assert_ptr_eq(f->released.pkts[i], m[i + 2]);
	fixture_free(f);
}
END_TEST

/* Packets to different addresses of fd00:1::/64, as of a scan from afar. */
static void scan(struct fixture *f, unsigned first, unsigned n)
{
	struct ip_addr addr = address("fd00:1::");

	for (unsigned i = first; i < first + n; i++) {
		addr.bytes[13] = 1;
		addr.bytes[14] = (uint8_t)(i >> 8);
		addr.bytes[15] = (uint8_t)i;
		neigh_proto_unresolved(f->np, waiting_packet(LAN), &addr);
		output_free(&f->sent);
	}
}

START_TEST(a_scan_of_the_link_is_bounded_and_passes) // RFC 6583
{
	struct fixture *f = fixture_make();
	struct rte_mbuf *m;

	learn_peers(f);
	scan(f, 0, 5000);
	ck_assert_uint_eq(neigh_proto_held(f->np), NEIGH_HELD_MAX);
	ck_assert_uint_eq(dropped(f, DROP_neigh_full), 5000 - NEIGH_HELD_MAX);
	m = unresolved(f, LAN, "10.1.0.9");
	ck_assert_ptr_eq(f->released.pkts[0], m); // those that are known are not hurt
	receive_arp(f, LAN, (struct arp){1, other_mac, "10.1.0.8", no_mac, "10.1.0.1"});
	ck_assert(known_at(f, LAN, "10.1.0.8", &other_mac)); // nor is one that comes to us
	output_free(&f->sent);

	for (unsigned second = 0; second < 7; second++) {
		for (unsigned i = 0; i < 10; i++) {
			pass(f, NEIGH_SCAN_NS);
			ck_assert_uint_le(f->sent.n, NEIGH_PENDING_MAX);
			output_free(&f->sent);
		}
	}
	ck_assert_uint_eq(neigh_proto_held(f->np), 0);
	ck_assert_uint_eq(dropped(f, DROP_neigh_unresolved), NEIGH_HELD_MAX);
	unresolved(f, LAN, "10.1.0.7");
	ck_assert_uint_eq(neigh_proto_held(f->np), 1);
	fixture_free(f);
}
END_TEST

START_TEST(strangers_beyond_the_limit_are_answered_but_not_learned)
{
	struct fixture *f = fixture_make();
	struct rte_ether_addr mac = peer_mac;
	unsigned learned = 0;

	for (unsigned i = 0; i < NEIGH_DYNAMIC_MAX + 100; i++) {
		struct ip_addr addr = address("fd00:1::1:0");
		char text[IP_ADDR_TEXT_MAX];

		addr.bytes[14] = (uint8_t)(i >> 8);
		addr.bytes[15] = (uint8_t)i;
		ip_addr_format(&addr, text);
		receive_nd(f, LAN, (struct nd){135, text, "ff02::1:ff00:1", "fd00:1::1", 0, &mac, 0});
		ck_assert_uint_eq(f->sent.n, 1);
		output_free(&f->sent);
		learned += known(f, LAN, text);
	}
	ck_assert_uint_eq(learned, NEIGH_DYNAMIC_MAX);
	unresolved(f, LAN, "10.1.0.9");
	ck_assert_uint_eq(dropped(f, DROP_neigh_full), 1);
	fixture_free(f);
}
END_TEST

START_TEST(a_gratuitous_announcement_changes_a_known_neighbour_and_makes_none)
{
	struct fixture *f = fixture_make();

	receive_arp(f, LAN, (struct arp){1, other_mac, "10.1.0.9", no_mac, "10.1.0.9"});
	receive_arp(f, LAN, (struct arp){2, other_mac, "10.1.0.9", other_mac, "10.1.0.9"});
	receive_nd(f, LAN, (struct nd){136, "fd00:1::9", "ff02::1", "fd00:1::9", OVERRIDE, &other_mac, 0});
	receive_nd(f, LAN,
		(struct nd){136, "fd00:1::9", "fd00:1::1", "fd00:1::9", OVERRIDE | SOLICITED, &other_mac, 0});
	ck_assert(!known(f, LAN, "10.1.0.9"));
	ck_assert(!known(f, LAN, "fd00:1::9")); // RFC 4861 section 7.2.5

	learn_peers(f);
	receive_arp(f, LAN, (struct arp){1, other_mac, "10.1.0.9", no_mac, "10.1.0.9"});
	receive_nd(f, LAN, (struct nd){136, "fd00:1::9", "ff02::1", "fd00:1::9", OVERRIDE, &other_mac, 0});
	ck_assert(known_at(f, LAN, "10.1.0.9", &other_mac));
	ck_assert(known_at(f, LAN, "fd00:1::9", &other_mac));
	/* What was not asked for is asked about at once, at the new place. */
	assert_arp(f, LAN, other_mac, (struct arp){1, lan_mac, "10.1.0.1", no_mac, "10.1.0.9"});
	assert_nd(f, LAN, other_mac, (struct nd){135, "fd00:1::1", "fd00:1::9", "fd00:1::9", 0, &lan_mac, 0});
	fixture_free(f);
}
END_TEST

START_TEST(an_advertisement_without_override_does_not_change_the_address_but_makes_us_ask) // section 7.2.5
{
	struct fixture *f = fixture_make();

	learn_peers(f);
	receive_nd(f, LAN, (struct nd){136, "fd00:1::9", "fd00:1::1", "fd00:1::9", SOLICITED, &other_mac, 0});

	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	assert_nd(f, LAN, peer_mac, (struct nd){135, "fd00:1::1", "fd00:1::9", "fd00:1::9", 0, &lan_mac, 0});
	fixture_free(f);
}
END_TEST

START_TEST(an_advertisement_without_a_mac_address_resolves_nothing_but_confirms)
{
	struct fixture *f = fixture_make();

	unresolved(f, LAN, "fd00:1::8");
	receive_nd(f, LAN, (struct nd){136, "fd00:1::8", "fd00:1::1", "fd00:1::8", SOLICITED, NULL, 0});
	ck_assert_uint_eq(neigh_proto_held(f->np), 1);
	receive_nd(f, LAN, (struct nd){136, "fd00:1::8", "fd00:1::1", "fd00:1::8", SOLICITED, &peer_mac, 0});
	ck_assert_uint_eq(f->released.n, 1);
	output_free(&f->sent);

	/* Confirmed every 25 s in this way, it is never asked. */
	for (unsigned i = 0; i < 5; i++) {
		pass(f, 25 * (uint64_t)NS_PER_S);
		receive_nd(
			f, LAN, (struct nd){136, "fd00:1::8", "fd00:1::1", "fd00:1::8", SOLICITED, NULL, 0});
	}
	ck_assert_uint_eq(f->sent.n, 0);
	fixture_free(f);
}
END_TEST

START_TEST(a_neighbour_is_asked_alone_after_a_while_and_stays_if_it_answers)
{
	struct fixture *f = fixture_make();

	learn_peers(f);
	pass(f, NEIGH_REACHABLE_MIN_NS - NEIGH_SCAN_NS);
	ck_assert_uint_eq(f->sent.n, 0);
	for (unsigned i = 0; i < 4; i++) {
		/* Answer each request, whichever comes first. */
		for (unsigned tick = 0; tick < 610; tick++) {
			pass(f, NEIGH_SCAN_NS);
			while (f->sent.n > 0 && rte_pktmbuf_pkt_len(f->sent.pkts[0]) == 42) {
				assert_arp(f, LAN, peer_mac,
					(struct arp){1, lan_mac, "10.1.0.1", no_mac, "10.1.0.9"});
				receive_arp(
					f, LAN, (struct arp){2, peer_mac, "10.1.0.9", lan_mac, "10.1.0.1"});
			}
			if (f->sent.n == 0)
				continue;
			assert_nd(f, LAN, peer_mac,
				(struct nd){135, "fd00:1::1", "fd00:1::9", "fd00:1::9", 0, &lan_mac, 0});
			receive_nd(f, LAN,
				(struct nd){136, "fd00:1::9", "fd00:1::1", "fd00:1::9", SOLICITED | OVERRIDE,
					&peer_mac, 0});
		}
		ck_assert(known_at(f, LAN, "10.1.0.9", &peer_mac));
		ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	}
	fixture_free(f);
}
END_TEST

START_TEST(a_neighbour_that_answers_no_more_is_forgotten_after_three_requests)
{
	struct fixture *f = fixture_make();

	learn_peers(f);
	pass(f, NEIGH_REACHABLE_MAX_NS + NEIGH_TRIES * NEIGH_RETRY_NS + 5 * NEIGH_SCAN_NS);

	ck_assert(!known(f, LAN, "10.1.0.9"));
	ck_assert(!known(f, LAN, "fd00:1::9"));
	ck_assert_uint_eq(f->sent.n, 2 * NEIGH_TRIES);
	output_free(&f->sent);
	unresolved(f, LAN, "10.1.0.9"); // and everyone is asked anew
	assert_arp(f, LAN, broadcast, (struct arp){1, lan_mac, "10.1.0.1", no_mac, "10.1.0.9"});
	fixture_free(f);
}
END_TEST

START_TEST(a_configured_neighbour_never_changes_and_is_never_asked)
{
	const struct ip_addr v4 = address("10.1.0.9"), v6 = address("fd00:1::9");
	struct fixture *f = fixture_make();

	ck_assert_int_eq(neigh_proto_add_static(f->np, LAN, &v4, &peer_mac), 0);
	ck_assert_int_eq(neigh_proto_add_static(f->np, LAN, &v6, &peer_mac), 0);
	receive_arp(f, LAN, (struct arp){1, other_mac, "10.1.0.9", no_mac, "10.1.0.9"});
	receive_arp(f, LAN, (struct arp){2, other_mac, "10.1.0.9", lan_mac, "10.1.0.1"});
	receive_arp(f, LAN, (struct arp){1, other_mac, "10.1.0.9", no_mac, "10.1.0.1"});
	receive_nd(f, LAN,
		(struct nd){136, "fd00:1::9", "fd00:1::1", "fd00:1::9", SOLICITED | OVERRIDE, &other_mac, 0});
	receive_nd(f, LAN, (struct nd){135, "fd00:1::9", "ff02::1:ff00:1", "fd00:1::1", 0, &other_mac, 0});
	output_free(&f->sent);
	pass(f, 3 * NEIGH_REACHABLE_MAX_NS);

	ck_assert(known_at(f, LAN, "10.1.0.9", &peer_mac));
	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	ck_assert_uint_eq(f->sent.n, 0);
	fixture_free(f);
}
END_TEST

START_TEST(a_configured_neighbour_takes_the_place_of_a_learned_one_and_frees_who_waits)
{
	const struct ip_addr learned = address("10.1.0.9"), awaited = address("10.1.0.8");
	struct fixture *f = fixture_make();

	learn_peers(f);
	unresolved(f, LAN, "10.1.0.8");
	ck_assert_int_eq(neigh_proto_add_static(f->np, LAN, &learned, &other_mac), 0);
	ck_assert_int_eq(neigh_proto_add_static(f->np, LAN, &awaited, &other_mac), 0);
	ck_assert(known_at(f, LAN, "10.1.0.9", &other_mac));
	ck_assert_uint_eq(f->released.n, 1);
	ck_assert_uint_eq(neigh_proto_held(f->np), 0);
	fixture_free(f);
}
END_TEST

START_TEST(too_many_configured_neighbours_are_refused)
{
	struct fixture *f = fixture_make();
	struct ip_addr addr = address("fd00:1::1:0");

	for (unsigned i = 0; i <= NEIGH_STATIC_MAX; i++) {
		addr.bytes[14] = (uint8_t)(i >> 8);
		addr.bytes[15] = (uint8_t)i;
		addr.bytes[13] = (uint8_t)(1 + (i >> 16));
		ck_assert_int_eq(neigh_proto_add_static(f->np, LAN, &addr, &peer_mac),
			i < NEIGH_STATIC_MAX ? 0 : -ENOSPC);
	}
	fixture_free(f);
}
END_TEST

START_TEST(our_own_addresses_are_nobodys)
{
	struct fixture *f = fixture_make();

	receive_arp(f, LAN, (struct arp){1, peer_mac, "10.1.0.1", no_mac, "10.1.0.1"});
	receive_arp(f, LAN, (struct arp){2, peer_mac, "10.1.0.1", lan_mac, "10.1.0.9"});
	receive_nd(f, LAN, (struct nd){136, "fd00:1::9", "ff02::1", "fd00:1::1", OVERRIDE, &peer_mac, 0});
	receive_nd(f, LAN, (struct nd){135, "fd00:1::1", "ff02::1:ff00:1", "fd00:1::1", 0, &peer_mac, 0});
	unresolved(f, LAN, "10.1.0.1");
	unresolved(f, LAN, "fd00:1::1");

	ck_assert(!known(f, LAN, "10.1.0.1"));
	ck_assert(!known(f, LAN, "fd00:1::1"));
	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert_uint_eq(dropped(f, DROP_neigh_unresolved), 2);
	fixture_free(f);
}
END_TEST

START_TEST(our_own_mac_address_is_nobodys)
{
	struct fixture *f = fixture_make();

	learn_peers(f);
	receive_arp(f, LAN, (struct arp){1, lan_mac, "10.1.0.8", no_mac, "10.1.0.1"});
	receive_arp(f, LAN, (struct arp){2, lan_mac, "10.1.0.9", lan_mac, "10.1.0.1"});
	receive_nd(f, LAN, (struct nd){136, "fd00:1::9", "fd00:1::1", "fd00:1::9", OVERRIDE, &lan_mac, 0});

	ck_assert(!known(f, LAN, "10.1.0.8"));
	ck_assert(known_at(f, LAN, "10.1.0.9", &peer_mac));
	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	ck_assert_uint_eq(f->sent.n, 0);
	fixture_free(f);
}
END_TEST

START_TEST(addresses_that_no_neighbour_can_have_are_neither_asked_for_nor_learned)
{
	/*
	 * Off the link, its network, its broadcast address, a group, and IPv4 where the port has none of the
	 * link.
	 */
	static const char *const addresses[] = {"10.2.0.9", "10.1.0.0", "10.1.0.255", "224.0.0.1",
		"192.0.2.9", "fd00:2::9", "ff02::9", "::", "0.0.0.0", "127.0.0.1", "::1"};
	struct fixture *f = fixture_make();

	for (unsigned i = 0; i < RTE_DIM(addresses); i++)
		unresolved(f, LAN, addresses[i]);
	ck_assert_uint_eq(dropped(f, DROP_neigh_unresolved), RTE_DIM(addresses));
	ck_assert_uint_eq(f->sent.n, 0);

	receive_arp(f, LAN, (struct arp){1, peer_mac, "10.2.0.9", no_mac, "10.1.0.1"});
	receive_nd(f, LAN, (struct nd){135, "fd00:2::9", "ff02::1:ff00:1", "fd00:1::1", 0, &peer_mac, 0});
	ck_assert_uint_eq(f->sent.n, 2); // the answer is owed all the same
	ck_assert(!known(f, LAN, "10.2.0.9"));
	ck_assert(!known(f, LAN, "fd00:2::9"));
	fixture_free(f);
}
END_TEST

START_TEST(both_addresses_of_a_point_to_point_link_are_hosts) // RFC 3021
{
	struct fixture *f = fixture_make();

	unresolved(f, WAN, "192.0.2.128");
	assert_arp(f, WAN, broadcast, (struct arp){1, wan_mac, "192.0.2.129", no_mac, "192.0.2.128"});
	fixture_free(f);
}
END_TEST

START_TEST(announcements_name_every_address_of_every_port)
{
	const struct rte_ether_addr all_nodes = {{0x33, 0x33, 0, 0, 0, 1}};
	const char *lan_local = "fe80::5eff:fe00:101", *wan_local = "fe80::5eff:fe00:201";
	struct fixture *f = fixture_make();

	neigh_proto_announce(f->np);

	assert_arp(f, LAN, broadcast, (struct arp){1, lan_mac, "10.1.0.1", no_mac, "10.1.0.1"});
	assert_nd(f, LAN, all_nodes,
		(struct nd){136, "fd00:1::1", "ff02::1", "fd00:1::1", 0xa0000000, &lan_mac, 0});
	assert_nd(f, LAN, all_nodes,
		(struct nd){136, lan_local, "ff02::1", lan_local, 0xa0000000, &lan_mac, 0});
	assert_arp(f, WAN, broadcast, (struct arp){1, wan_mac, "192.0.2.1", no_mac, "192.0.2.1"});
	assert_arp(f, WAN, broadcast, (struct arp){1, wan_mac, "192.0.2.129", no_mac, "192.0.2.129"});
	assert_nd(f, WAN, all_nodes,
		(struct nd){136, wan_local, "ff02::1", wan_local, 0xa0000000, &wan_mac, 0});
	ck_assert_uint_eq(f->sent.n, 0);
	fixture_free(f);
}
END_TEST

START_TEST(what_waits_at_the_end_is_dropped_as_shutdown)
{
	struct fixture *f = fixture_make();
	struct drops drops;

	unresolved(f, LAN, "10.1.0.9");
	unresolved(f, LAN, "10.1.0.9");
	unresolved(f, LAN, "fd00:1::9");
	neigh_proto_destroy(f->np);
	f->np = NULL;
	drops = f->drops;
	fixture_free(f);
	ck_assert_uint_eq(drops.count[0][DROP_shutdown], 3);
	ck_assert_uint_eq(drops.total, 3);
}
END_TEST

/* Receive bytes of an ARP packet, one of them changed, and expect nd_bad and no effect. */
static void assert_arp_bad(struct fixture *f, size_t at, uint8_t value)
{
	const struct arp arp = {1, peer_mac, "10.1.0.9", no_mac, "10.1.0.1"};
	uint64_t before = dropped(f, DROP_nd_bad);
	uint8_t bytes[28];
	size_t n = arp_bytes(&arp, bytes);

	bytes[at] = value;
	neigh_proto_receive(f->np, arp_mbuf(bytes, n, LAN));
	ck_assert_uint_eq(dropped(f, DROP_nd_bad), before + 1);
	ck_assert_uint_eq(f->sent.n, 0);
}

START_TEST(a_malformed_arp_packet_is_dropped)
{
	struct fixture *f = fixture_make();
	uint8_t bytes[28] = {0};

	assert_arp_bad(f, 1, 6);    // another hardware
	assert_arp_bad(f, 3, 0x06); // another protocol
	assert_arp_bad(f, 4, 8);    // lengths
	assert_arp_bad(f, 5, 16);
	assert_arp_bad(f, 8, 0x01); // the sender's MAC address is a group's
	assert_arp_bad(f, 14, 127); // the sender is loopback, or a group
	assert_arp_bad(f, 14, 224);
	for (size_t n = 0; n < 28; n++)
		neigh_proto_receive(f->np, arp_mbuf(bytes, n, LAN));
	ck_assert_uint_eq(dropped(f, DROP_nd_bad), 7 + 28);
	receive_arp(f, LAN, (struct arp){2, peer_mac, "0.0.0.0", lan_mac, "10.1.0.1"});
	ck_assert_uint_eq(dropped(f, DROP_nd_bad), 7 + 29);
	receive_arp(f, LAN,
		(struct arp){8, peer_mac, "10.1.0.9", lan_mac, "10.1.0.1"}); // inverse ARP, well-formed
	ck_assert_uint_eq(dropped(f, DROP_nd_bad), 7 + 29);
	ck_assert(!known(f, LAN, "10.1.0.9"));
	fixture_free(f);
}
END_TEST

/* Receive n bytes of a message after a change, with the checksum made right again, and expect nd_bad. */
static void assert_nd_bad(struct fixture *f, struct nd nd, size_t at, uint8_t value, size_t n)
{
	uint64_t before = dropped(f, DROP_nd_bad);
	uint8_t bytes[ND_MESSAGE_BYTES];

	nd_bytes(&nd, bytes);
	bytes[5] = (uint8_t)(n - 40);
	bytes[at] = value;
	nd_checksum(bytes, n);
	neigh_proto_receive(f->np, nd_mbuf(bytes, n, LAN));
	ck_assert_uint_eq(dropped(f, DROP_nd_bad), before + 1);
	ck_assert_uint_eq(f->sent.n, 0);
}

START_TEST(a_solicitation_that_breaks_a_rule_is_dropped) // RFC 4861 section 7.1.1
{
	const struct nd good = {135, "fd00:1::9", "ff02::1:ff00:1", "fd00:1::1", 0, &peer_mac, 0};
	const struct nd claim = {135, "::", "ff02::1:ff00:1", "fd00:1::1", 0, NULL, 0};
	struct fixture *f = fixture_make();
	struct nd bad;

	assert_nd_bad(f, good, 7, 254, 72);   // off the link
	assert_nd_bad(f, good, 41, 1, 72);    // code
	assert_nd_bad(f, good, 48, 0xff, 72); // target is a group
	assert_nd_bad(f, good, 65, 0, 72);    // an option without length
	assert_nd_bad(f, good, 65, 2, 72);    // one that reaches past the end
	assert_nd_bad(f, good, 66, 1, 72);    // the MAC address of a group
	for (size_t n = 40; n < 64; n++)
		assert_nd_bad(f, good, 40, 135, n);
	for (size_t n = 65; n < 72; n++)
		assert_nd_bad(f, good, 40, 135, n);
	bad = claim;
	bad.mac = &peer_mac; // a claim says no MAC address
	assert_nd_bad(f, bad, 40, 135, 72);
	bad = claim;
	bad.destination = "fd00:1::1"; // and goes to the solicited nodes
	assert_nd_bad(f, bad, 40, 135, 64);
	bad = good;
	bad.source = "ff02::1";
	assert_nd_bad(f, bad, 40, 135, 72);
	ck_assert(!known(f, LAN, "fd00:1::9"));
	fixture_free(f);
}
END_TEST

START_TEST(an_advertisement_that_breaks_a_rule_is_dropped) // RFC 4861 section 7.1.2
{
	const struct nd good = {
		136, "fd00:1::9", "fd00:1::1", "fd00:1::9", SOLICITED | OVERRIDE, &other_mac, 0};
	struct fixture *f = fixture_make();
	struct nd bad = good;

	learn_peers(f);
	assert_nd_bad(f, good, 7, 64, 72);
	assert_nd_bad(f, good, 41, 1, 72);
	assert_nd_bad(f, good, 65, 0, 72);
	bad.destination = "ff02::1"; // solicited, but said to everyone
	assert_nd_bad(f, bad, 40, 136, 72);
	bad = good;
	bad.source = "::";
	assert_nd_bad(f, bad, 40, 136, 72);
	ck_assert(known_at(f, LAN, "fd00:1::9", &peer_mac));
	fixture_free(f);
}
END_TEST

START_TEST(a_wrong_checksum_is_dropped)
{
	const struct nd good = {135, "fd00:1::9", "ff02::1:ff00:1", "fd00:1::1", 0, &peer_mac, 0};
	struct fixture *f = fixture_make();
	uint8_t bytes[ND_MESSAGE_BYTES];

	for (size_t at = 8; at < ND_MESSAGE_BYTES; at++) {
		nd_bytes(&good, bytes);
		bytes[at] ^= 0x10;
		neigh_proto_receive(f->np, nd_mbuf(bytes, sizeof(bytes), LAN));
	}
	ck_assert_uint_eq(dropped(f, DROP_nd_bad), ND_MESSAGE_BYTES - 8);
	fixture_free(f);
}
END_TEST

START_TEST(router_discovery_and_redirects_are_consumed)
{
	static const uint8_t types[] = {133, 134, 137};
	struct fixture *f = fixture_make();

	for (unsigned i = 0; i < RTE_DIM(types); i++)
		receive_nd(f, LAN, (struct nd){types[i], "fe80::9", "ff02::1", "fd00:1::9", 0, &peer_mac, 1});
	ck_assert_uint_eq(f->drops.total, 0);
	ck_assert_uint_eq(f->sent.n, 0);
	ck_assert(!known(f, LAN, "fd00:1::9"));
	ck_assert(!known(f, LAN, "fe80::9"));
	fixture_free(f);
}
END_TEST

/* A frame to begin from: ARP or neighbour discovery of any kind, as it comes from the wire. */
static size_t random_frame(uint8_t *out)
{
	static const char *const sources[] = {"fd00:1::9", "fd00:1::8", "fe80::9", "::"};
	static const char *const targets[] = {"fd00:1::1", "fd00:1::9", "fe80::5eff:fe00:101"};
	const struct arp arp = {(uint16_t)(1 + rte_rand_max(2)), peer_mac,
		rte_rand_max(2) ? "10.1.0.9" : "10.1.0.8", no_mac, rte_rand_max(2) ? "10.1.0.1" : "10.1.0.9"};
	const struct nd nd = {(uint8_t)(135 + rte_rand_max(2)), sources[rte_rand_max(4)],
		rte_rand_max(2) ? "ff02::1:ff00:1" : "fd00:1::1", targets[rte_rand_max(3)],
		(uint32_t)rte_rand() & (SOLICITED | OVERRIDE), rte_rand_max(4) ? &peer_mac : NULL, 0};
	bool is_arp = rte_rand_max(3) == 0;

	memcpy(out, &broadcast, 6);
	memcpy(out + 6, &peer_mac, 6);
	out[12] = is_arp ? 0x08 : 0x86;
	out[13] = is_arp ? 0x06 : 0xdd;
	return 14 + (is_arp ? arp_bytes(&arp, out + 14) : nd_bytes(&nd, out + 14));
}

/* Change some bytes, mostly with the checksum made right again, and cut the end off now and then. */
static size_t mutate(uint8_t *frame, size_t n)
{
	for (uint64_t changes = rte_rand_max(4); changes > 0; changes--)
		frame[14 + rte_rand_max(n - 14)] = (uint8_t)rte_rand();
	if (rte_rand_max(4) == 0)
		n = 14 + rte_rand_max(n - 13);
	if (frame[12] == 0x86 && n > 58 && rte_rand_max(8) != 0) {
		frame[18] = 0;
		frame[19] = (uint8_t)(n - 54);
		nd_checksum(frame + 14, n - 14);
	}
	return n;
}

START_TEST(mutated_packets_do_no_harm_and_no_mbuf_is_lost)
{
	const struct parse_port port = {.mac = lan_mac, .index = LAN};
	struct fixture *f = fixture_make();
	uint64_t given = 0;

	for (unsigned i = 0; i < MUTATED_PACKETS; i++) {
		uint8_t frame[128];
		struct burst burst = {.n = 1};
		struct drops parse_drops = {0};
		BURST(neigh);

		burst.pkts[0] = mbuf_exact_of(frame, mutate(frame, random_frame(frame)));
		parse_burst(&burst, &port, &neigh, &parse_drops);
		rte_pktmbuf_free_bulk(burst.pkts, burst.n);
		given += neigh.n;
		if (neigh.n > 0)
			neigh_proto_receive(f->np, neigh.pkts[0]);
		if (i % 16 == 0)
			unresolved(f, LAN, i % 32 ? "10.1.0.9" : "fd00:1::9");
		if (i % 64 == 0)
			pass(f, NEIGH_SCAN_NS);
		output_free(&f->sent);
		output_free(&f->released);
	}
	ck_assert_uint_gt(given, MUTATED_PACKETS / 4);
	ck_assert_uint_gt(dropped(f, DROP_nd_bad), 0);
	ck_assert_uint_lt(dropped(f, DROP_nd_bad), given);
	ck_assert_uint_eq(rte_mempool_in_use_count(eal_pool()), neigh_proto_held(f->np));
	fixture_free(f);
}
END_TEST

static TCase *answers(void)
{
	TCase *tests = tcase_create("answers");

	tcase_add_test(tests, an_arp_request_for_our_address_is_answered_and_its_sender_learned);
	tcase_add_test(tests, an_arp_request_for_anothers_address_is_neither_answered_nor_learned);
	tcase_add_test(tests, an_arp_probe_of_our_address_is_answered_and_not_learned);
	tcase_add_test(tests, a_solicitation_of_our_address_is_answered_and_its_sender_learned);
	tcase_add_test(tests, who_claims_our_address_is_told_so_with_all_nodes);
	tcase_add_test(tests, a_solicitation_of_anothers_address_is_ignored);
	tcase_add_test(
		tests, a_solicitation_without_a_mac_address_is_answered_from_what_is_known_or_asked_for);
	tcase_add_test(tests, announcements_name_every_address_of_every_port);
	return tests;
}

static TCase *resolution(void)
{
	TCase *tests = tcase_create("resolution");

	tcase_add_test(tests, an_unresolved_packet_is_held_and_asked_for_and_let_go_by_the_answer);
	tcase_add_test(tests, a_link_local_neighbour_is_asked_from_our_link_local_address);
	tcase_add_test(tests, a_packet_whose_neighbour_came_to_be_known_is_let_go_at_once);
	tcase_add_test(tests, three_requests_a_second_apart_and_then_it_is_given_up_for_a_while);
	tcase_add_test(tests, a_late_answer_ends_the_hold_down);
	tcase_add_test(tests, the_oldest_packet_makes_room_when_too_many_wait_for_one_neighbour);
	tcase_add_test(tests, a_scan_of_the_link_is_bounded_and_passes);
	tcase_add_test(tests, addresses_that_no_neighbour_can_have_are_neither_asked_for_nor_learned);
	tcase_add_test(tests, both_addresses_of_a_point_to_point_link_are_hosts);
	tcase_add_test(tests, what_waits_at_the_end_is_dropped_as_shutdown);
	return tests;
}

static TCase *trust(void)
{
	TCase *tests = tcase_create("trust");

	tcase_add_test(tests, strangers_beyond_the_limit_are_answered_but_not_learned);
	tcase_add_test(tests, a_gratuitous_announcement_changes_a_known_neighbour_and_makes_none);
	tcase_add_test(tests, an_advertisement_without_override_does_not_change_the_address_but_makes_us_ask);
	tcase_add_test(tests, an_advertisement_without_a_mac_address_resolves_nothing_but_confirms);
	tcase_add_test(tests, a_neighbour_is_asked_alone_after_a_while_and_stays_if_it_answers);
	tcase_add_test(tests, a_neighbour_that_answers_no_more_is_forgotten_after_three_requests);
	tcase_add_test(tests, a_configured_neighbour_never_changes_and_is_never_asked);
	tcase_add_test(tests, a_configured_neighbour_takes_the_place_of_a_learned_one_and_frees_who_waits);
	tcase_add_test(tests, too_many_configured_neighbours_are_refused);
	tcase_add_test(tests, our_own_addresses_are_nobodys);
	tcase_add_test(tests, our_own_mac_address_is_nobodys);
	return tests;
}

static TCase *malformed(void)
{
	TCase *tests = tcase_create("malformed");

	tcase_add_test(tests, a_malformed_arp_packet_is_dropped);
	tcase_add_test(tests, a_solicitation_that_breaks_a_rule_is_dropped);
	tcase_add_test(tests, an_advertisement_that_breaks_a_rule_is_dropped);
	tcase_add_test(tests, a_wrong_checksum_is_dropped);
	tcase_add_test(tests, router_discovery_and_redirects_are_consumed);
	tcase_add_test(tests, mutated_packets_do_no_harm_and_no_mbuf_is_lost);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("control/neigh_proto");
	TCase *cases[] = {answers(), resolution(), trust(), malformed()};

	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		tcase_add_checked_fixture(cases[i], eal_setup, eal_teardown);
		tcase_set_timeout(cases[i], 120);
		suite_add_tcase(suite, cases[i]);
	}
	return eal_run_suite(suite);
}
