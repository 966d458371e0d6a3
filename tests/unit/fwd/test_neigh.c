#include "fwd/neigh.h"

#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/tsan.h"

#include <rte_lcore.h>
#include <rte_rcu_qsbr.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SOCKET        0
#define CAPACITY      100
#define READER_THREAD 0
#define WRITES        TSAN_ROUNDS(200000)

struct fixture {
	struct rte_rcu_qsbr *qsbr;
	struct neigh_table *table;
	struct route_table *routes;
	struct neigh_port ports[3];
};

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	return addr;
}

static struct rte_ether_addr mac(uint8_t last)
{
	return (struct rte_ether_addr){{0x02, 0x00, 0x5e, 0x00, 0x00, last}};
}

static void set(struct neigh_table *table, uint8_t port, const char *text, uint8_t last)
{
	const struct ip_addr addr = address(text);
	const struct rte_ether_addr to = mac(last);

	ck_assert_int_eq(neigh_set(table, port, &addr, &to), 0);
}

/* The last byte of the neighbour's MAC address, or -1. */
static int get(const struct neigh_table *table, uint8_t port, const char *text)
{
	const struct ip_addr addr = address(text);
	struct rte_ether_addr to;

	return neigh_find(table, port, &addr, &to) ? to.addr_bytes[5] : -1;
}

static struct route route(const char *to, uint8_t port, const char *via)
{
	struct route r = {.via = {.port = port, .mtu_bytes = 1500}};

	ck_assert_int_eq(ip_prefix_parse(to, &r.to), 0);
	if (via)
		r.via.gateway = address(via);
	return r;
}

/* A table, and routes out of port 1 (VLAN 100) and port 2 (untagged). */
static struct fixture fixture_make(void)
{
	const struct route routes[] = {
		route("10.1.0.0/16", 1, NULL),
		route("10.2.0.0/16", 2, "192.0.2.254"),
		route("10.6.0.0/16", 2, "fe80::254"), // IPv4 by way of an IPv6 neighbour, RFC 8950
		route("fd00:1::/64", 1, NULL),
		route("fd00:2::/64", 2, "fe80::254"),
	};
	struct fixture f = {
		.qsbr = aligned_alloc(
			RTE_CACHE_LINE_SIZE, RTE_ALIGN(rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE)),
		.ports = {[1] = {.mac = mac(1), .vlan = 100}, [2] = {.mac = mac(2)}},
	};
	struct err err;

	ck_assert_int_eq(rte_rcu_qsbr_init(f.qsbr, 1), 0);
	ck_assert_int_eq(neigh_table_create(CAPACITY, f.qsbr, SOCKET, &f.table, &err), 0);
	ck_assert_int_eq(route_table_create("test", routes, RTE_DIM(routes), SOCKET, &f.routes, &err), 0);
	return f;
}

static void fixture_free(struct fixture *f)
{
	neigh_table_destroy(f->table);
	route_table_destroy(f->routes);
	free(f->qsbr);
}

static struct rte_mbuf *routed(const struct fixture *f, const char *destination)
{
	const char *source = strchr(destination, ':') ? "fd00:9::9" : "10.9.9.9";
	struct burst burst = {
		.n = 1,
		.pkts = {packet_mbuf(&(struct packet_spec){
			.source = source, .destination = destination, .payload_bytes = 3})},
	};
	struct drops drops = {0};

	route_lookup(&burst, f->routes, &drops);
	ck_assert_uint_eq(burst.n, 1);
	return burst.pkts[0];
}

START_TEST(a_neighbour_is_known_from_set_to_remove)
{
	struct fixture f = fixture_make();
	const struct ip_addr addr = address("10.1.0.9");

	ck_assert_int_eq(get(f.table, 1, "10.1.0.9"), -1);
	set(f.table, 1, "10.1.0.9", 0x11);
	ck_assert_int_eq(get(f.table, 1, "10.1.0.9"), 0x11);
	set(f.table, 1, "10.1.0.9", 0x22);
	ck_assert_int_eq(get(f.table, 1, "10.1.0.9"), 0x22);
	ck_assert_int_eq(neigh_remove(f.table, 1, &addr), 0);
	ck_assert_int_eq(get(f.table, 1, "10.1.0.9"), -1);
	ck_assert_int_eq(neigh_remove(f.table, 1, &addr), -ENOENT);
	fixture_free(&f);
}
END_TEST

START_TEST(the_same_address_on_two_ports_is_two_neighbours)
{
	struct fixture f = fixture_make();

	set(f.table, 1, "fe80::1", 0x11);
	set(f.table, 2, "fe80::1", 0x22);
	ck_assert_int_eq(get(f.table, 1, "fe80::1"), 0x11);
	ck_assert_int_eq(get(f.table, 2, "fe80::1"), 0x22);
	ck_assert_int_eq(get(f.table, 0, "fe80::1"), -1);
	fixture_free(&f);
}
END_TEST

START_TEST(an_ipv4_address_and_an_ipv6_one_of_the_same_bytes_are_two_neighbours)
{
	struct fixture f = fixture_make();

	set(f.table, 1, "32.1.13.184", 0x11); // the bytes 20 01 0d b8
	ck_assert_int_eq(get(f.table, 1, "2001:db8::"), -1);
	set(f.table, 1, "2001:db8::", 0x22);
	ck_assert_int_eq(get(f.table, 1, "32.1.13.184"), 0x11);
	fixture_free(&f);
}
END_TEST

START_TEST(a_mac_address_comes_back_with_every_byte)
{
	struct fixture f = fixture_make();
	const struct ip_addr addr = address("10.1.0.9");
	const struct rte_ether_addr in[] = {
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{{0, 0, 0, 0, 0, 0}},
		{{0x80, 0x01, 0xfe, 0x7f, 0x55, 0xaa}},
	};

	for (unsigned i = 0; i < RTE_DIM(in); i++) {
		struct rte_ether_addr out;

		ck_assert_int_eq(neigh_set(f.table, 1, &addr, &in[i]), 0);
		ck_assert(neigh_find(f.table, 1, &addr, &out));
		ck_assert_mem_eq(&out, &in[i], sizeof(out));
	}
	fixture_free(&f);
}
END_TEST

static struct ip_addr numbered(unsigned i)
{
	return (struct ip_addr){.family = IP_V4, .bytes = {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
}

START_TEST(a_full_table_takes_changes_but_no_new_neighbour)
{
	struct fixture f = fixture_make();
	const struct rte_ether_addr to = mac(1);
	struct ip_addr addr;

	for (unsigned i = 0; i < CAPACITY; i++) {
		addr = numbered(i);
		ck_assert_int_eq(neigh_set(f.table, 1, &addr, &to), 0);
	}
	addr = numbered(CAPACITY);
	ck_assert_int_eq(neigh_set(f.table, 1, &addr, &to), -ENOSPC);
	addr = numbered(0);
	ck_assert_int_eq(neigh_set(f.table, 1, &addr, &to), 0);
	ck_assert_int_eq(neigh_remove(f.table, 1, &addr), 0);
	addr = numbered(CAPACITY);
	ck_assert_int_eq(neigh_set(f.table, 1, &addr, &to), 0);
	fixture_free(&f);
}
END_TEST

START_TEST(slots_come_back_however_often_neighbours_come_and_go)
{
	struct fixture f = fixture_make();
	const struct rte_ether_addr to = mac(1);

	for (unsigned i = 0; i < 50 * CAPACITY; i++) {
		struct ip_addr addr = numbered(i);

		ck_assert_int_eq(neigh_set(f.table, 1, &addr, &to), 0);
		if (i < CAPACITY - 1)
			continue;
		addr = numbered(i - (CAPACITY - 1));
		ck_assert_int_eq(neigh_remove(f.table, 1, &addr), 0);
	}
	fixture_free(&f);
}
END_TEST

/* A worker's part of the next test: what it sees of two neighbours while they change. */
struct reader {
	const struct fixture *f;
	atomic_bool stop;
	uint64_t lookups;
	uint64_t strange; /* a MAC address that nobody wrote */
	uint64_t lost;    /* the neighbour that is never removed was not found */
};

static bool was_written(const struct rte_ether_addr *to)
{
	const struct rte_ether_addr low = {{0x02, 0x11, 0x11, 0x11, 0x11, 0x11}};
	const struct rte_ether_addr high = {{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}};

	return rte_is_same_ether_addr(to, &low) || rte_is_same_ether_addr(to, &high);
}

static void *reader_run(void *argument)
{
	struct reader *r = argument;
	const struct ip_addr steady = address("10.1.0.1"), flickering = address("10.1.0.2");

	rte_rcu_qsbr_thread_register(r->f->qsbr, READER_THREAD);
	rte_rcu_qsbr_thread_online(r->f->qsbr, READER_THREAD);
	while (!atomic_load(&r->stop)) {
		struct rte_ether_addr to;

		if (!neigh_find(r->f->table, 1, &steady, &to))
			r->lost++;
		else if (!was_written(&to))
			r->strange++;
		if (neigh_find(r->f->table, 1, &flickering, &to) && !was_written(&to))
			r->strange++;
		r->lookups += 2;
		rte_rcu_qsbr_quiescent(r->f->qsbr, READER_THREAD);
	}
	rte_rcu_qsbr_thread_offline(r->f->qsbr, READER_THREAD);
	rte_rcu_qsbr_thread_unregister(r->f->qsbr, READER_THREAD);
	return NULL;
}

/* Change both neighbours, remove the second, and let others come and go so that slots are used again. */
static void write_once(struct neigh_table *table, unsigned i)
{
	const struct rte_ether_addr macs[] = {
		{{0x02, 0x11, 0x11, 0x11, 0x11, 0x11}},
		{{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}},
	};
	const struct rte_ether_addr other = mac(0x99);
	const struct ip_addr steady = address("10.1.0.1"), flickering = address("10.1.0.2");
	const struct ip_addr passing = numbered(256 + i % 1000);

	ck_assert_int_eq(neigh_set(table, 1, &steady, &macs[i % 2]), 0);
	neigh_set(table, 1, &flickering, &macs[i % 2]); // may fail while the reader holds up the slots
	neigh_remove(table, 1, &flickering);
	neigh_set(table, 1, &passing, &other);
	neigh_remove(table, 1, &passing);
}

START_TEST(a_reader_sees_only_what_was_written_while_the_writer_changes_it)
{
	struct fixture f = fixture_make();
	struct reader reader = {.f = &f};
	pthread_t thread;

	write_once(f.table, 0);
	thread = eal_thread_create(reader_run, &reader);
	for (unsigned i = 0; i < WRITES; i++)
		write_once(f.table, i);
	atomic_store(&reader.stop, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);

	ck_assert_uint_gt(reader.lookups, 0);
	ck_assert_uint_eq(reader.strange, 0);
	ck_assert_uint_eq(reader.lost, 0);
	fixture_free(&f);
}
END_TEST

START_TEST(the_target_is_the_gateway_of_the_route_or_else_the_destination)
{
	struct fixture f = fixture_make();
	struct rte_mbuf *direct = routed(&f, "10.1.0.9");
	struct rte_mbuf *through = routed(&f, "10.2.0.9");
	struct rte_mbuf *across = routed(&f, "10.6.0.9");
	char text[IP_ADDR_TEXT_MAX];
	struct ip_addr target;

	target = neigh_target_one(direct, f.routes);
	ck_assert_str_eq(ip_addr_format(&target, text), "10.1.0.9");
	target = neigh_target_one(through, f.routes);
	ck_assert_str_eq(ip_addr_format(&target, text), "192.0.2.254");
	target = neigh_target_one(across, f.routes);
	ck_assert_str_eq(ip_addr_format(&target, text), "fe80::254");
	rte_pktmbuf_free(direct);
	rte_pktmbuf_free(through);
	rte_pktmbuf_free(across);
	fixture_free(&f);
}
END_TEST

/* Resolve one packet and compare the frame's header; the packet behind it must not have changed. */
static void assert_header(
	const struct fixture *f, const char *destination, const uint8_t *header, uint16_t bytes)
{
	struct rte_mbuf *m = routed(f, destination);
	uint16_t length = m->data_len;
	uint8_t packet[256];
	struct burst burst = {.n = 1, .pkts = {m}};
	struct drops drops = {0};
	BURST(unresolved);

	memcpy(packet, rte_pktmbuf_mtod(m, void *), length);
	neigh_resolve(&burst, f->table, f->routes, f->ports, &unresolved, &drops);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(m->data_len, bytes + length);
	ck_assert_uint_eq(m->pkt_len, bytes + length);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), header, bytes);
	ck_assert_mem_eq(rte_pktmbuf_mtod_offset(m, void *, bytes), packet, length);
	rte_pktmbuf_free(m);
}

START_TEST(the_frame_has_the_ports_tag_and_the_neighbours_address)
{
	const uint8_t tagged_ipv4[] = {2, 0, 0x5e, 0, 0, 0x11, 2, 0, 0x5e, 0, 0, 1, 0x81, 0, 0, 100, 8, 0};
	const uint8_t tagged_ipv6[] = {
		2, 0, 0x5e, 0, 0, 0x12, 2, 0, 0x5e, 0, 0, 1, 0x81, 0, 0, 100, 0x86, 0xdd};
	const uint8_t plain_ipv4[] = {2, 0, 0x5e, 0, 0, 0x21, 2, 0, 0x5e, 0, 0, 2, 8, 0};
	const uint8_t plain_ipv6[] = {2, 0, 0x5e, 0, 0, 0x22, 2, 0, 0x5e, 0, 0, 2, 0x86, 0xdd};
	const uint8_t across[] = {2, 0, 0x5e, 0, 0, 0x22, 2, 0, 0x5e, 0, 0, 2, 8, 0};
	struct fixture f = fixture_make();

	set(f.table, 1, "10.1.0.9", 0x11);
	set(f.table, 1, "fd00:1::9", 0x12);
	set(f.table, 2, "192.0.2.254", 0x21);
	set(f.table, 2, "fe80::254", 0x22);
	assert_header(&f, "10.1.0.9", tagged_ipv4, sizeof(tagged_ipv4));
	assert_header(&f, "fd00:1::9", tagged_ipv6, sizeof(tagged_ipv6));
	assert_header(&f, "10.2.0.9", plain_ipv4, sizeof(plain_ipv4));
	assert_header(&f, "fd00:2::9", plain_ipv6, sizeof(plain_ipv6));
	assert_header(&f, "10.6.0.9", across, sizeof(across));
	fixture_free(&f);
}
END_TEST

START_TEST(a_mixed_burst_keeps_the_known_in_order_and_moves_the_unknown)
{
	struct fixture f = fixture_make();
	struct rte_mbuf *m[BURST_MAX];
	struct drops drops = {0};
	BURST(burst);
	BURST(unresolved);

	set(f.table, 1, "10.1.0.9", 0x11);
	set(f.table, 2, "fe80::254", 0x22);
	for (unsigned i = 0; i < BURST_MAX; i += 4) {
		m[i] = routed(&f, "10.1.0.9");
		m[i + 1] = routed(&f, "fd00:1::9");
		m[i + 2] = routed(&f, "fd00:2::9");
		m[i + 3] = routed(&f, "10.2.0.9");
	}
	for (unsigned i = 0; i < BURST_MAX; i++)
		burst_add_one(&burst, m[i]);
	neigh_resolve(&burst, f.table, f.routes, f.ports, &unresolved, &drops);

	ck_assert_uint_eq(burst.n, BURST_MAX / 2);
	ck_assert_uint_eq(unresolved.n, BURST_MAX / 2);
	for (unsigned i = 0; i < BURST_MAX / 2; i++) {
		ck_assert_ptr_eq(burst.pkts[i], m[2 * i]);
		ck_assert_ptr_eq(unresolved.pkts[i], m[2 * i + 1]);
		ck_assert(!(pkt_of(burst.pkts[i])->flags & PKT_UNRESOLVED));
		ck_assert(pkt_of(unresolved.pkts[i])->flags & PKT_UNRESOLVED);
	}
	ck_assert_uint_eq(*rte_pktmbuf_mtod(unresolved.pkts[0], uint8_t *) >> 4, 6); // still at the IP header
	ck_assert_uint_eq(drops.total, 0);
	rte_pktmbuf_free_bulk(m, BURST_MAX);
	fixture_free(&f);
}
END_TEST

START_TEST(in_runs_of_one_next_hop_each_packet_goes_to_its_own_neighbour)
{
	/* Port 1's hosts share a next hop without gateway; behind a gateway, a run shares the neighbour. */
	static const struct {
		const char *destination;
		int mac; /* its last byte, or -1: unknown */
	} expected[] = {
		{"10.2.0.1", 0x21},
		{"10.2.0.2", 0x21},
		{"10.2.0.3", 0x21}, // a run
		{"10.1.0.1", 0x11},
		{"10.1.0.2", 0x12},
		{"10.1.0.3", -1},
		{"10.1.0.1", 0x11},
		{"10.6.0.1", -1},
		{"10.6.0.2", -1}, // a run without a neighbour
		{"10.2.0.1", 0x21},
	};
	struct fixture f = fixture_make();
	struct rte_mbuf *m[RTE_DIM(expected)];
	struct drops drops = {0};
	BURST(burst);
	BURST(unresolved);

	set(f.table, 1, "10.1.0.1", 0x11);
	set(f.table, 1, "10.1.0.2", 0x12);
	set(f.table, 2, "192.0.2.254", 0x21);
	for (unsigned i = 0; i < RTE_DIM(expected); i++) {
		m[i] = routed(&f, expected[i].destination);
		burst_add_one(&burst, m[i]);
	}
	neigh_resolve(&burst, f.table, f.routes, f.ports, &unresolved, &drops);

	ck_assert_uint_eq(burst.n, 7);
	ck_assert_uint_eq(unresolved.n, 3);
	for (unsigned i = 0, kept = 0, moved = 0; i < RTE_DIM(expected); i++) {
		if (expected[i].mac < 0) {
			ck_assert_ptr_eq(unresolved.pkts[moved++], m[i]);
			continue;
		}
		ck_assert_ptr_eq(burst.pkts[kept++], m[i]);
		ck_assert_int_eq(rte_pktmbuf_mtod(m[i], uint8_t *)[5], expected[i].mac);
	}
	rte_pktmbuf_free_bulk(m, RTE_DIM(m));
	fixture_free(&f);
}
END_TEST

START_TEST(a_packet_without_room_for_the_header_is_dropped)
{
	struct fixture f = fixture_make();
	struct rte_mbuf *m[] = {routed(&f, "10.2.0.9"), routed(&f, "10.2.0.9")};
	struct burst burst = {.n = 2, .pkts = {m[0], m[1]}};
	struct drops drops = {0};
	BURST(unresolved);

	set(f.table, 2, "192.0.2.254", 0x21);
	rte_pktmbuf_prepend(m[0], (uint16_t)(rte_pktmbuf_headroom(m[0]) - 13)); // the header is 14 bytes
	rte_pktmbuf_prepend(m[1], (uint16_t)(rte_pktmbuf_headroom(m[1]) - 14));
	neigh_resolve(&burst, f.table, f.routes, f.ports, &unresolved, &drops);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_ptr_eq(burst.pkts[0], m[1]);
	ck_assert_uint_eq(drops.count[0][DROP_out_buf], 1);
	rte_pktmbuf_free(m[1]);
	fixture_free(&f);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fwd/neigh");
	TCase *tests = tcase_create("neigh");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(tests, eal_setup, eal_teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_neighbour_is_known_from_set_to_remove);
	tcase_add_test(tests, the_same_address_on_two_ports_is_two_neighbours);
	tcase_add_test(tests, an_ipv4_address_and_an_ipv6_one_of_the_same_bytes_are_two_neighbours);
	tcase_add_test(tests, a_mac_address_comes_back_with_every_byte);
	tcase_add_test(tests, a_full_table_takes_changes_but_no_new_neighbour);
	tcase_add_test(tests, slots_come_back_however_often_neighbours_come_and_go);
	tcase_add_test(tests, the_target_is_the_gateway_of_the_route_or_else_the_destination);
	tcase_add_test(tests, the_frame_has_the_ports_tag_and_the_neighbours_address);
	tcase_add_test(tests, a_mixed_burst_keeps_the_known_in_order_and_moves_the_unknown);
	tcase_add_test(tests, in_runs_of_one_next_hop_each_packet_goes_to_its_own_neighbour);
	tcase_add_test(tests, a_packet_without_room_for_the_header_is_dropped);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(threads, eal_setup, eal_teardown);
	tcase_set_tags(threads, "threads");
	tcase_set_timeout(threads, 120);
	tcase_add_test(threads, a_reader_sees_only_what_was_written_while_the_writer_changes_it);
	suite_add_tcase(suite, threads);
	return eal_run_suite(suite);
}
