/*
 * The way between the wire and the host's own stack, for which a pair of sockets stands: what one end is sent
 * is what the other reads, packet by packet, as with a TUN device.
 */
#include "control/host_device.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ring.h>

#include "base/clock.h"
#include "control/host_if.h"
#include "datapath/pipeline.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

#define ETHERNET sizeof(struct rte_ether_hdr)
#define IPV4(m)  rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, ETHERNET)
#define IKE_PORT 500
#define NATT     4500

static struct gateway_env env;
static int host; /* its end */

static void read_all(void)
{
	struct rte_mbuf *m;

	while ((m = gateway_env_sent(&env, "lan")) || (m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
}

static void setup(void)
{
	int ends[2];

	eal_setup();
	gateway_env_begin(&env, "host: {interface: culvert0}\n" SITE_YAML("0", SITE_DIRECT));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	env.control.host_device = (struct host_device){.is_open = true, .fd = ends[0]};
	host = ends[1];
	gateway_env_from_control(&env); // the announcements of the start
	read_all();
}

static void teardown(void)
{
	read_all();
	host_device_destroy(&env.control);
	close(host);
	gateway_env_end(&env);
	eal_teardown();
}

static void host_sends_bytes(const void *packet, size_t bytes)
{
	ck_assert_int_eq(send(host, packet, bytes, 0), (ssize_t)bytes);
}

static void host_sends(const struct packet_spec *spec)
{
	uint8_t packet[PACKET_BYTES_MAX];

	host_sends_bytes(packet, packet_build(spec, packet));
}

/* Control, then the worker. */
static void turn(void)
{
	host_if_poll(&env.control, clock_now_ns());
	gateway_env_from_control(&env);
}

static uint64_t dropped(enum drop_reason reason)
{
	return gateway_env_dropped(&env, reason);
}

static struct packet_spec udp(const char *source, const char *destination, uint16_t port)
{
	return (struct packet_spec){.source = source,
		.destination = destination,
		.source_port = port,
		.destination_port = port,
		.payload_bytes = 28,
		.ttl = 64};
}

/* The next packet that the host gets; its bytes, or 0. */
static size_t host_gets(uint8_t packet[PACKET_BYTES_MAX])
{
	ssize_t bytes;

	host_if_poll(&env.control, clock_now_ns());
	bytes = recv(host, packet, PACKET_BYTES_MAX, 0);
	return bytes > 0 ? (size_t)bytes : 0;
}

START_TEST(ike_comes_to_the_host_as_it_is) // SPD-12
{
	const struct packet_spec specs[] = {
		udp("198.51.100.1", "192.0.2.1", IKE_PORT), udp("2001:db8:9::1", "2001:db8::1", IKE_PORT)};

	for (size_t i = 0; i < RTE_DIM(specs); i++) {
		uint8_t got[PACKET_BYTES_MAX], expected[PACKET_BYTES_MAX];
		size_t bytes = packet_build(&specs[i], expected);

		gateway_env_receive(&env, "wan", &specs[i]);

		ck_assert_uint_eq(host_gets(got), bytes);
		ck_assert_mem_eq(got, expected, bytes);
	}
	ck_assert_uint_eq(env.control.counters.to_host, RTE_DIM(specs));
}
END_TEST

/* Payloads of packets to port 4500: ESP's SPI or IKE's marker, and what the host gets. */
START_TEST(behind_port_4500_the_marker_says_what_is_ike) // SPD-12
{
	static const struct {
		uint8_t payload[28];
		bool is_ike;
	} cases[] = {{{0}, true}, {{0, 0, 0, 1}, false}, {{0, 0, 0, 0, 7}, true}};

	for (unsigned side = 0; side < 2; side++)
		for (size_t i = 0; i < RTE_DIM(cases); i++) {
			struct packet_spec spec = udp("198.51.100.1", "192.0.2.1", NATT);
			uint8_t got[PACKET_BYTES_MAX];

			spec.payload = cases[i].payload;
			gateway_env_receive(&env, side ? "lan" : "wan", &spec);
			ck_assert_int_eq(host_gets(got) > 0, cases[i].is_ike);
		}
	ck_assert_uint_eq(dropped(DROP_in_no_sa), 1);
	ck_assert_uint_eq(dropped(DROP_in_no_policy), 1);
}
END_TEST

START_TEST(what_is_no_ike_comes_to_the_host_by_a_policy_alone) // SPD-12
{
	static const struct {
		const char *port, *source, *destination;
		uint16_t udp_port;
		enum drop_reason reason; /* DROP_COUNT: it comes */
	} cases[] = {
		{"wan", "198.51.100.1", "192.0.2.1", 53, DROP_in_no_policy},
		{"wan", "203.0.113.5", "192.0.2.1", 53, DROP_COUNT},
		{"wan", "203.0.113.5", "10.1.0.254", 53, DROP_COUNT},
		{"wan", "198.51.100.1", "10.1.0.254", IKE_PORT, DROP_in_no_policy},
		{"wan", "10.2.9.1", "192.0.2.1", 53, DROP_in_policy_block},
		{"wan", "10.2.9.1", "192.0.2.1", IKE_PORT, DROP_COUNT},
		{"wan", "10.2.0.1", "10.1.0.254", 53, DROP_in_tmpl_mismatch},
		{"lan", "10.1.0.1", "10.1.0.254", 53, DROP_in_no_policy},
		{"lan", "10.1.0.1", "10.1.0.254", IKE_PORT, DROP_in_no_policy},
		{"lan", "10.1.0.1", "192.0.2.1", IKE_PORT, DROP_COUNT},
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct packet_spec spec = udp(cases[i].source, cases[i].destination, cases[i].udp_port);
		bool comes = cases[i].reason == DROP_COUNT;
		uint64_t before = comes ? 0 : dropped(cases[i].reason);
		uint8_t got[PACKET_BYTES_MAX];

		gateway_env_receive(&env, cases[i].port, &spec);
		ck_assert_msg((host_gets(got) > 0) == comes, "case %zu", i);
		ck_assert_msg(comes || dropped(cases[i].reason) == before + 1, "case %zu", i);
	}
}
END_TEST

START_TEST(what_an_sa_may_carry_comes_to_the_host)
{
	struct packet_spec inner = udp("10.2.0.1", "10.1.0.254", 53);
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});
	uint8_t got[PACKET_BYTES_MAX], expected[PACKET_BYTES_MAX];
	size_t bytes = packet_build(&inner, expected);

	gateway_env_receive_frames(&env, "wan", &esp, 1);

	ck_assert_uint_eq(host_gets(got), bytes);
	ck_assert_mem_eq(got, expected, bytes);
}
END_TEST

START_TEST(echo_requests_are_answered_and_never_the_hosts)
{
	struct packet_spec echo = {.source = "203.0.113.5",
		.destination = "192.0.2.1",
		.protocol = IPPROTO_ICMP,
		.source_port = 8};
	uint8_t got[PACKET_BYTES_MAX];

	gateway_env_receive(&env, "wan", &echo);

	ck_assert_uint_eq(host_gets(got), 0);
	ck_assert_uint_eq(env.worker->counters.answered, 1);
}
END_TEST

/* What the port sent next, and no more of it than that. */
static void assert_sent(const char *port, uint8_t protocol, uint8_t ttl)
{
	struct rte_mbuf *m = gateway_env_sent(&env, port);

	ck_assert_msg(m, "nothing left by %s", port);
	ck_assert_uint_eq(IPV4(m)->next_proto_id, protocol);
	ck_assert_uint_eq(IPV4(m)->time_to_live, ttl);
	rte_pktmbuf_free(m);
}

/* SPD-12, TUN-2: it begins here. */
START_TEST(what_the_host_sends_goes_by_its_policy_with_its_ttl)
{
	const struct packet_spec ike = udp("192.0.2.1", "198.51.100.1", IKE_PORT),
				 inside = udp("10.1.0.254", "10.2.0.1", IKE_PORT),
				 bypassed = udp("192.0.2.1", "203.0.113.5", 53),
				 blocked = udp("192.0.2.1", "10.2.9.1", 53),
				 unknown = udp("192.0.2.1", "198.51.100.1", 53);

	host_sends(&ike);
	turn();
	assert_sent("wan", IPPROTO_UDP, 64);
	host_sends(&inside);
	turn();
	assert_sent("wan", IPPROTO_ESP, 64);
	host_sends(&bypassed);
	turn();
	assert_sent("wan", IPPROTO_UDP, 64);
	host_sends(&blocked);
	host_sends(&unknown);
	turn();

	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	ck_assert_uint_eq(dropped(DROP_out_policy_block), 1);
	ck_assert_uint_eq(dropped(DROP_out_no_policy), 1);
	ck_assert_uint_eq(env.control.counters.from_host, 5);
}
END_TEST

START_TEST(ike_from_another_address_than_those_outside_needs_a_policy) // SPD-12
{
	const struct packet_spec spec = udp("10.1.0.254", "198.51.100.1", IKE_PORT);

	host_sends(&spec);
	turn();

	ck_assert_uint_eq(dropped(DROP_out_no_policy), 1);
}
END_TEST

START_TEST(nothing_of_the_host_leaves_that_can_not_be_forwarded)
{
	static const struct {
		const char *source, *destination;
		enum drop_reason reason;
	} cases[] = {
		{"10.1.0.1", "10.2.0.1", DROP_host_source},
		{"192.0.2.1", "224.0.0.5", DROP_in_multicast},
		{"fe80::1", "2001:db8:9::1", DROP_in_link_local},
		{"127.0.0.1", "10.2.0.1", DROP_in_martian},
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct packet_spec spec = udp(cases[i].source, cases[i].destination, IKE_PORT);

		host_sends(&spec);
		turn();
		ck_assert_msg(dropped(cases[i].reason) == 1, "case %zu", i);
	}
	host_sends_bytes("\x45", 1);
	turn();
	ck_assert_uint_eq(dropped(DROP_in_hdr), 1);
}
END_TEST

/* The host has cut it, and its later fragments have no ports that tell of IKE. */
START_TEST(ike_in_fragments_leaves_in_clear_as_it_was_cut)
{
	struct packet_spec first = udp("192.0.2.1", "198.51.100.1", IKE_PORT), second = first;

	first.payload_bytes = 1024;
	first.more_fragments = true;
	second.fragment_offset_bytes = 1032;
	second.payload_bytes = 64;
	first.id = second.id = 7;
	host_sends(&first);
	host_sends(&second);
	turn();

	assert_sent("wan", IPPROTO_UDP, 64);
	ck_assert_uint_eq(dropped(DROP_out_no_policy), 0);
}
END_TEST

START_TEST(the_host_is_told_what_is_too_long_for_a_tunnel) // PMT-2
{
	struct packet_spec spec = udp("10.1.0.254", "10.2.0.1", 53);
	uint8_t got[PACKET_BYTES_MAX];
	struct rte_ipv4_hdr ip;

	spec.payload_bytes = 1460;
	spec.df = true;
	host_sends(&spec);
	turn();

	ck_assert_uint_gt(host_gets(got), 28);
	memcpy(&ip, got, sizeof(ip));
	ck_assert_uint_eq(ip.next_proto_id, IPPROTO_ICMP);
	ck_assert_uint_eq(got[20], 3);
	ck_assert_uint_eq(got[26] << 8 | got[27], 1446);
	/* From the other end: a host drops what says to be from itself. */
	ck_assert_uint_eq(rte_be_to_cpu_32(ip.src_addr), RTE_IPV4(10, 2, 0, 1));
	ck_assert_uint_eq(rte_be_to_cpu_32(ip.dst_addr), RTE_IPV4(10, 1, 0, 254));
	ck_assert_uint_eq(dropped(DROP_out_mtu), 1);
}
END_TEST

/* What comes back from there was the host's, and is so no more. */
START_TEST(what_waited_for_its_neighbour_crosses_the_boundary_once)
{
	const struct packet_spec spec = udp("10.1.0.254", "10.2.0.1", 53);
	const struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 9}};
	uint8_t wan = gateway_env_port(&env, "wan");
	struct ip_addr router;

	ip_addr_parse("192.0.2.254", &router);
	neigh_proto_remove_static(env.control.neigh_proto, wan, &router);
	host_sends(&spec);
	turn();
	host_if_poll(&env.control, clock_now_ns());
	ck_assert_uint_eq(env.control.counters.held, 1);
	gateway_env_from_control(&env); // the question
	read_all();
	neigh_proto_add_static(env.control.neigh_proto, wan, &router, &mac);
	turn();

	assert_sent("wan", IPPROTO_ESP, 64);
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	ck_assert_uint_eq(dropped(DROP_out_no_policy), 0);
}
END_TEST

/* However much IKE comes, and however little the control thread: ARP gets to it. */
START_TEST(a_flood_of_ike_leaves_the_neighbours_their_queue)
{
	const struct packet_spec flood = udp("198.51.100.1", "192.0.2.1", IKE_PORT),
				 solicitation = {.source = "fd00:1::1",
					 .destination = "fd00:1::fe",
					 .protocol = IPPROTO_ICMPV6,
					 .source_port = 135,
					 .payload_bytes = 16};
	uint8_t got[PACKET_BYTES_MAX];

	for (unsigned i = 0; i < 2 * HOST_QUEUE_PKTS; i++)
		gateway_env_receive(&env, "wan", &flood);
	gateway_env_receive(&env, "lan", &solicitation);

	ck_assert_uint_eq(rte_ring_count(env.control.to_control), 1);
	ck_assert_uint_eq(dropped(DROP_host_busy), 2 * HOST_QUEUE_PKTS - (HOST_STACK_PKTS - 1));
	ck_assert_uint_eq(dropped(DROP_host_full), 0);
	while (host_gets(got) > 0)
		;
}
END_TEST

/* What the host sends too fast waits in the kernel, and does not shut out what control has to send. */
START_TEST(a_host_that_sends_much_leaves_room_in_the_workers_queue)
{
	const struct packet_spec spec = udp("192.0.2.1", "198.51.100.1", IKE_PORT);
	struct rte_ring *queue = env.worker->host.from_control;
	unsigned sent = 0;
	uint8_t packet[PACKET_BYTES_MAX];
	size_t bytes = packet_build(&spec, packet);

	for (unsigned rounds = 0; rounds < 16; rounds++) {
		while (send(host, packet, bytes, 0) > 0)
			sent++;
		host_if_poll(&env.control, clock_now_ns());
	}

	ck_assert_uint_gt(sent, HOST_QUEUE_PKTS / 2);
	ck_assert_uint_eq(rte_ring_count(queue), HOST_QUEUE_PKTS / 2);
	while (rte_ring_count(queue) > 0) {
		gateway_env_from_control(&env);
		read_all();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_stack");
	TCase *tcase = tcase_create("host_stack");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, ike_comes_to_the_host_as_it_is);
	tcase_add_test(tcase, behind_port_4500_the_marker_says_what_is_ike);
	tcase_add_test(tcase, what_is_no_ike_comes_to_the_host_by_a_policy_alone);
	tcase_add_test(tcase, what_an_sa_may_carry_comes_to_the_host);
	tcase_add_test(tcase, echo_requests_are_answered_and_never_the_hosts);
	tcase_add_test(tcase, what_the_host_sends_goes_by_its_policy_with_its_ttl);
	tcase_add_test(tcase, ike_from_another_address_than_those_outside_needs_a_policy);
	tcase_add_test(tcase, nothing_of_the_host_leaves_that_can_not_be_forwarded);
	tcase_add_test(tcase, ike_in_fragments_leaves_in_clear_as_it_was_cut);
	tcase_add_test(tcase, the_host_is_told_what_is_too_long_for_a_tunnel);
	tcase_add_test(tcase, what_waited_for_its_neighbour_crosses_the_boundary_once);
	tcase_add_test(tcase, a_flood_of_ike_leaves_the_neighbours_their_queue);
	tcase_add_test(tcase, a_host_that_sends_much_leaves_room_in_the_workers_queue);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
