#include "datapath/pipeline.h"

#include <string.h>

#include <rte_arp.h>
#include <rte_icmp.h>

#include "base/clock.h"
#include "control/host_if.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

static struct gateway_env env;

/* Each case runs in each way of crypto: in the worker's call, and completing later. */
static void setup_direct(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_DIRECT));
}

static void setup_sync(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_SYNC));
}

static void setup_async(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_ASYNC));
}

static void teardown(void)
{
	gateway_env_end(&env);
	eal_teardown();
}

#define ETHERNET    sizeof(struct rte_ether_hdr)
#define IPV4(m)     rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, ETHERNET)
#define IPV6(m)     rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, ETHERNET)
#define BYTES(m)    rte_pktmbuf_mtod_offset(m, uint8_t *, ETHERNET)
#define IP_BYTES(m) (rte_pktmbuf_data_len(m) - ETHERNET)

/* The one frame that the port sent, and no other port any. The caller frees it. */
static struct rte_mbuf *sent_alone(const char *port)
{
	struct rte_mbuf *m = gateway_env_sent(&env, port);

	ck_assert_msg(m, "nothing left by %s", port);
	ck_assert_ptr_null(gateway_env_sent(&env, "lan"));
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	return m;
}

static void assert_ethernet(struct rte_mbuf *m, const char *destination)
{
	struct mac_addr mac;

	ck_assert_int_eq(mac_addr_parse(destination, &mac), 0);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), mac.bytes, sizeof(mac.bytes));
}

/* An ESP packet of that SPI from us to the peer. */
static void assert_esp(struct rte_mbuf *m, uint32_t spi, const char *peer)
{
	struct ip_addr destination;
	rte_be32_t wire;

	ck_assert_int_eq(ip_addr_parse(peer, &destination), 0);
	assert_ethernet(m, "02:00:5e:00:02:fe");
	ck_assert_uint_eq(IPV4(m)->next_proto_id, IPPROTO_ESP);
	ck_assert_mem_eq(&IPV4(m)->dst_addr, destination.bytes, 4);
	ck_assert_uint_eq(packet_checksum(IPV4(m), 20, 0), 0);
	memcpy(&wire, BYTES(m) + 20, sizeof(wire));
	ck_assert_uint_eq(rte_be_to_cpu_32(wire), spi);
}

START_TEST(a_packet_that_a_policy_protects_leaves_as_esp)
{
	for (int i = 0; i < 2; i++) {
		gateway_env_receive(&env, "lan",
			&(struct packet_spec){.family = i ? IP_V6 : IP_V4, .payload_bytes = 100});
		struct rte_mbuf *m = sent_alone("wan");

		assert_esp(m, 0x1001, "198.51.100.1");
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(cbc_and_gcm_tunnels_share_a_burst)
{
	struct rte_mbuf *frames[8];
	unsigned cbc = 0, gcm = 0;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < RTE_DIM(frames); i++)
		frames[i] = gateway_env_frame_of(&env, "lan",
			&(struct packet_spec){.source = "10.1.0.1",
				.destination = i % 2 ? "10.2.3.1" : "10.2.0.1",
				.payload_bytes = 33});
	gateway_env_receive_frames(&env, "lan", frames, RTE_DIM(frames));

	while ((m = gateway_env_sent(&env, "wan"))) {
		cbc += BYTES(m)[23] == 2;
		gcm += BYTES(m)[23] == 1;
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(cbc, 4);
	ck_assert_uint_eq(gcm, 4);
}
END_TEST

START_TEST(a_packet_out_of_a_tunnel_goes_on_with_its_ttl_less_one)
{
	struct packet_spec inner = {SITE_INNER, .payload_bytes = 77, .ttl = 64};
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});
	uint8_t expected[PACKET_BYTES_MAX];
	size_t length;

	gateway_env_receive_frames(&env, "wan", &esp, 1);

	struct rte_mbuf *m = sent_alone("lan");
	inner.ttl = 63; // TUN-2
	length = packet_build(&inner, expected);
	assert_ethernet(m, "02:00:5e:00:01:01");
	ck_assert_uint_eq(IP_BYTES(m), length);
	ck_assert_mem_eq(BYTES(m), expected, length);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(what_policies_bypass_goes_through_in_clear)
{
	gateway_env_receive(
		&env, "lan", &(struct packet_spec){.source = "10.1.0.1", .destination = "203.0.113.5"});
	struct rte_mbuf *out = sent_alone("wan");
	ck_assert_uint_eq(IPV4(out)->next_proto_id, IPPROTO_UDP);
	ck_assert_uint_eq(IPV4(out)->time_to_live, 63);
	rte_pktmbuf_free(out);

	gateway_env_receive(
		&env, "wan", &(struct packet_spec){.source = "203.0.113.5", .destination = "10.1.0.1"});
	struct rte_mbuf *in = sent_alone("lan");
	ck_assert_uint_eq(IPV4(in)->next_proto_id, IPPROTO_UDP);
	rte_pktmbuf_free(in);
}
END_TEST

/* SPD-14: what comes out of one tunnel goes into another only by an outbound policy. */
START_TEST(a_hub_sends_what_one_tunnel_brings_into_another)
{
	struct rte_mbuf *esp = gateway_env_peer_esp(&env, "wan",
		&(struct peer_esp){.sa = "in", .inner = {.source = "10.2.0.1", .destination = "10.2.3.1"}});

	gateway_env_receive_frames(&env, "wan", &esp, 1);

	struct rte_mbuf *m = sent_alone("wan");
	assert_esp(m, 0x1002, "198.51.100.2");
	rte_pktmbuf_free(m);
}
END_TEST

static struct packet_spec echo_to(const char *source, const char *destination)
{
	return (struct packet_spec){.source = source,
		.destination = destination,
		.protocol = IPPROTO_ICMP,
		.source_port = RTE_IP_ICMP_ECHO_REQUEST,
		.payload_bytes = 56};
}

START_TEST(echo_to_an_address_of_the_gateway_is_answered_on_both_sides)
{
	struct packet_spec from_lan = echo_to("10.1.0.1", "10.1.0.254");
	struct packet_spec from_wan = echo_to("192.0.2.254", "192.0.2.1");

	gateway_env_receive(&env, "lan", &from_lan);
	struct rte_mbuf *lan = sent_alone("lan");
	ck_assert_uint_eq(BYTES(lan)[20], RTE_IP_ICMP_ECHO_REPLY);
	rte_pktmbuf_free(lan);

	gateway_env_receive(&env, "wan", &from_wan);
	struct rte_mbuf *wan = sent_alone("wan");
	ck_assert_uint_eq(BYTES(wan)[20], RTE_IP_ICMP_ECHO_REPLY);
	rte_pktmbuf_free(wan);
}
END_TEST

START_TEST(echo_through_a_tunnel_is_answered_through_the_tunnel)
{
	struct rte_mbuf *esp = gateway_env_peer_esp(
		&env, "wan", &(struct peer_esp){.sa = "in", .inner = echo_to("10.2.0.1", "10.1.0.254")});

	gateway_env_receive_frames(&env, "wan", &esp, 1);

	struct rte_mbuf *m = sent_alone("wan");
	assert_esp(m, 0x1001, "198.51.100.1");
	rte_pktmbuf_free(m);
}
END_TEST

/* SPD-4: the gateway's own addresses are no way round the policies. */
START_TEST(echo_in_clear_from_a_protected_source_is_dropped)
{
	struct packet_spec spec = echo_to("10.2.0.1", "10.1.0.254");

	gateway_env_receive(&env, "wan", &spec);

	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_tmpl_mismatch), 1);
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
}
END_TEST

/* Nor do they answer strangers: from outside they are behind the policies, as all of that side is. */
START_TEST(a_protected_address_answers_in_clear_only_by_a_policy)
{
	struct packet_spec stranger = echo_to("198.18.0.1", "10.1.0.254");
	struct packet_spec bypassed = echo_to("203.0.113.5", "10.1.0.254");

	gateway_env_receive(&env, "wan", &stranger);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_no_policy), 1);
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));

	gateway_env_receive(&env, "wan", &bypassed);
	struct rte_mbuf *m = sent_alone("wan");
	ck_assert_uint_eq(BYTES(m)[20], RTE_IP_ICMP_ECHO_REPLY);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_ttl_that_runs_out_is_answered_from_the_port_it_came_in_by)
{
	gateway_env_receive(&env, "lan", &(struct packet_spec){.ttl = 1, .payload_bytes = 40});

	struct rte_mbuf *m = sent_alone("lan");
	struct ip_addr own;
	ip_addr_parse("10.1.0.254", &own);
	ck_assert_uint_eq(BYTES(m)[20], 11); // TUN-2
	ck_assert_mem_eq(&IPV4(m)->src_addr, own.bytes, 4);
	rte_pktmbuf_free(m);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_ttl_expired), 1);
}
END_TEST

START_TEST(a_ttl_that_runs_out_behind_a_tunnel_is_answered_through_the_tunnel)
{
	struct packet_spec inner = {SITE_INNER, .ttl = 1};
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});

	gateway_env_receive_frames(&env, "wan", &esp, 1);

	struct rte_mbuf *m = sent_alone("wan");
	assert_esp(m, 0x1001, "198.51.100.1");
	rte_pktmbuf_free(m);
}
END_TEST

/* PMT-2: 1446 is what AES-GCM in an IPv4 tunnel leaves of 1500. */
START_TEST(a_packet_too_big_for_the_tunnel_is_answered_with_its_mtu)
{
	gateway_env_receive(&env, "lan", &(struct packet_spec){.payload_bytes = 1446 - 28, .df = true});
	struct rte_mbuf *fits = sent_alone("wan");
	ck_assert_uint_le(IP_BYTES(fits), 1500);
	rte_pktmbuf_free(fits);

	gateway_env_receive(&env, "lan", &(struct packet_spec){.payload_bytes = 1447 - 28, .df = true});
	struct rte_mbuf *m = sent_alone("lan");
	ck_assert_uint_eq(BYTES(m)[20], 3);
	ck_assert_uint_eq(BYTES(m)[21], 4);
	ck_assert_uint_eq(BYTES(m)[26] << 8 | BYTES(m)[27], 1446);
	rte_pktmbuf_free(m);

	gateway_env_receive(&env, "lan", &(struct packet_spec){.family = IP_V6, .payload_bytes = 1447 - 48});
	m = sent_alone("lan");
	ck_assert_uint_eq(BYTES(m)[40], 2);
	ck_assert_uint_eq(BYTES(m)[46] << 8 | BYTES(m)[47], 1446);
	rte_pktmbuf_free(m);
}
END_TEST

/* PMT-3: in each way of crypto, the fragments of a burst that grows beyond BURST_MAX are sent or named. */
START_TEST(a_burst_without_df_that_is_too_big_leaves_as_twice_as_many)
{
	struct rte_mbuf *frames[BURST_MAX];
	unsigned n = 0;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < BURST_MAX; i++)
		frames[i] = gateway_env_frame_of(
			&env, "lan", &(struct packet_spec){.payload_bytes = 1500 - 28, .id = i});
	gateway_env_receive_frames(&env, "lan", frames, BURST_MAX);

	while ((m = gateway_env_sent(&env, "wan"))) {
		assert_esp(m, 0x1001, "198.51.100.1");
		ck_assert_uint_le(IP_BYTES(m), 1500);
		n++;
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(n, 2 * BURST_MAX);
}
END_TEST

/* SAL-5: the two halves of an ESP packet, the later one first. */
START_TEST(esp_in_fragments_is_made_whole_and_decrypted)
{
	struct packet_spec inner = {SITE_INNER, .payload_bytes = 600};
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});
	struct rte_mbuf *later = rte_pktmbuf_copy(esp, eal_pool(), 0, UINT32_MAX);
	uint16_t first_bytes = 400, rest_bytes = (uint16_t)(IP_BYTES(esp) - 20 - first_bytes);

	memmove(BYTES(later) + 20, BYTES(esp) + 20 + first_bytes, rest_bytes);
	rte_pktmbuf_trim(later, first_bytes);
	IPV4(later)->total_length = rte_cpu_to_be_16(20 + rest_bytes);
	IPV4(later)->fragment_offset = rte_cpu_to_be_16(first_bytes / 8);
	rte_pktmbuf_trim(esp, rest_bytes);
	IPV4(esp)->total_length = rte_cpu_to_be_16(20 + first_bytes);
	IPV4(esp)->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
	struct rte_mbuf *fragments[] = {later, esp};
	for (unsigned i = 0; i < 2; i++) {
		IPV4(fragments[i])->hdr_checksum = 0;
		IPV4(fragments[i])->hdr_checksum = rte_ipv4_cksum(IPV4(fragments[i]));
		gateway_env_receive_frames(&env, "wan", &fragments[i], 1);
	}

	struct rte_mbuf *m = sent_alone("lan");
	ck_assert_uint_eq(IP_BYTES(m), 628);
	ck_assert_uint_eq(packet_l4_checksum(BYTES(m), 20, 628, IPPROTO_UDP), 0);
	rte_pktmbuf_free(m);
}
END_TEST

/* One of two fragments of an echo request to the gateway that come through the tunnel. */
static void receive_echo_fragment(bool is_last)
{
	struct packet_spec inner = echo_to("10.2.0.1", "10.1.0.254");

	inner.id = 7;
	inner.payload_bytes = is_last ? 40 : 72; // with ICMP's header, a multiple of eight
	inner.more_fragments = !is_last;
	inner.fragment_offset_bytes = is_last ? 80 : 0;
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});
	gateway_env_receive_frames(&env, "wan", &esp, 1);
}

static void adopt_another_snapshot(void)
{
	static struct snapshot copies[2];
	static unsigned n;
	struct snapshot *copy = &copies[n++ % 2];

	*copy = *env.worker->snapshot;
	atomic_store(&env.worker->published, copy);
	worker_adopt(env.worker);
	ck_assert_ptr_eq(env.worker->snapshot, copy);
}

static struct sa *sa_in(void)
{
	for (size_t i = 0; i < env.control.n_sas; i++)
		if (env.control.sas[i]->inbound && rte_be_to_cpu_32(env.control.sas[i]->spi) == 0x2001)
			return env.control.sas[i];
	ck_abort_msg("no sa");
}

START_TEST(fragments_wait_across_snapshots)
{
	const struct reass_counters *counters = reass_counters(env.worker->reass);

	receive_echo_fragment(false);
	ck_assert_uint_eq(counters->held, 1);
	adopt_another_snapshot();
	ck_assert_uint_eq(counters->held, 1);
	receive_echo_fragment(true);

	ck_assert_uint_eq(counters->held, 0);
	ck_assert_uint_eq(counters->merged, 1);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_frag_timeout), 0);
	for (struct rte_mbuf *m; (m = gateway_env_sent(&env, "wan")); rte_pktmbuf_free(m))
		assert_esp(m, 0x1001, "198.51.100.1");
}
END_TEST

START_TEST(fragments_out_of_a_retired_sa_do_not_wait_for_the_next_snapshot)
{
	const struct reass_counters *counters = reass_counters(env.worker->reass);

	receive_echo_fragment(false);
	atomic_fetch_or(&sa_in()->special, SA_RETIRED);
	ck_assert_uint_eq(counters->held, 1);
	adopt_another_snapshot();

	ck_assert_uint_eq(counters->held, 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_frag_timeout), 1);
	atomic_fetch_and(&sa_in()->special, (uint8_t)~SA_RETIRED);
}
END_TEST

/* An ARP reply of the lan's host that was not configured. */
static struct rte_mbuf *arp_reply(const uint8_t sender_ip[4])
{
	uint8_t frame[42] = {[12] = 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9};
	const struct rte_ether_addr *own = &env.control.ports.ports[0].mac;

	memcpy(frame, own->addr_bytes, 6);
	memcpy(frame + 6, frame + 22, 6);
	memcpy(frame + 28, sender_ip, 4);
	memcpy(frame + 32, own->addr_bytes, 6);
	memcpy(frame + 38, (uint8_t[]){10, 1, 0, 254}, 4);
	return mbuf_of(frame, sizeof(frame));
}

static struct rte_mbuf *sent_of_protocol(const char *port, uint16_t ether_type)
{
	struct rte_mbuf *m;

	while ((m = gateway_env_sent(&env, port))) {
		if (rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->ether_type == rte_cpu_to_be_16(ether_type))
			return m;
		rte_pktmbuf_free(m);
	}
	return NULL;
}

START_TEST(a_packet_for_an_unknown_neighbour_waits_for_the_answer)
{
	struct packet_spec inner = {.source = "10.2.0.1", .destination = "10.1.0.9", .payload_bytes = 20};
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});
	uint64_t now_ns = clock_now_ns();
	struct rte_mbuf *m;

	gateway_env_from_control(&env); // the announcements of the start
	while ((m = gateway_env_sent(&env, "lan")) || (m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
	gateway_env_receive_frames(&env, "wan", &esp, 1);
	host_if_poll(&env.control, now_ns);
	ck_assert_uint_eq(env.control.counters.held, 1);
	gateway_env_from_control(&env);
	struct rte_mbuf *question = sent_of_protocol("lan", RTE_ETHER_TYPE_ARP);
	ck_assert_ptr_nonnull(question);
	rte_pktmbuf_free(question);

	struct rte_mbuf *answer = arp_reply((uint8_t[]){10, 1, 0, 9});
	gateway_env_receive_frames(&env, "lan", &answer, 1);
	host_if_poll(&env.control, now_ns);
	gateway_env_from_control(&env);

	m = sent_of_protocol("lan", RTE_ETHER_TYPE_IPV4);
	ck_assert_ptr_nonnull(m);
	assert_ethernet(m, "02:00:00:00:00:09");
	ck_assert_uint_eq(IPV4(m)->time_to_live, 63);
	ck_assert_uint_eq(env.control.counters.held, 0);
	rte_pktmbuf_free(m);
}
END_TEST

/* However many packets wait, the answer that lets them go must get to the control thread. */
START_TEST(a_flood_for_an_unknown_neighbour_leaves_room_for_its_answer)
{
	uint64_t now_ns = clock_now_ns();
	struct rte_ether_addr mac;
	struct ip_addr neighbour;

	ip_addr_parse("10.1.0.9", &neighbour);
	gateway_env_receive(
		&env, "wan", &(struct packet_spec){.source = "203.0.113.5", .destination = "10.1.0.9"});
	host_if_poll(&env.control, now_ns);
	for (unsigned i = 0; i < 2 * HOST_QUEUE_PKTS; i++)
		gateway_env_receive(&env, "wan",
			&(struct packet_spec){.source = "203.0.113.5", .destination = "10.1.0.9"});
	struct rte_mbuf *answer = arp_reply((uint8_t[]){10, 1, 0, 9});
	gateway_env_receive_frames(&env, "lan", &answer, 1);
	host_if_poll(&env.control, now_ns);

	ck_assert(neigh_find(env.control.neighbours, 0, &neighbour, &mac));
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_host_full), 0);
	ck_assert_uint_gt(gateway_env_dropped(&env, DROP_neigh_full), HOST_QUEUE_PKTS);
}
END_TEST

/* Nested tunnels to the gateway itself are not built; they end with a name. */
START_TEST(esp_inside_a_tunnel_to_the_gateway_is_host_no_service)
{
	struct packet_spec inner = {.source = "10.2.0.1",
		.destination = "10.1.0.254",
		.protocol = IPPROTO_ESP,
		.payload_bytes = 40};
	struct rte_mbuf *esp =
		gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});

	gateway_env_receive_frames(&env, "wan", &esp, 1);

	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_host_no_service), 1);
}
END_TEST

START_TEST(a_full_burst_of_packets_that_all_need_an_answer_is_answered)
{
	struct rte_mbuf *frames[BURST_MAX];
	unsigned answers = 0;
	struct rte_mbuf *m;

	for (unsigned i = 0; i < BURST_MAX; i++)
		frames[i] = gateway_env_frame_of(&env, "lan", &(struct packet_spec){.ttl = 1});
	gateway_env_receive_frames(&env, "lan", frames, BURST_MAX);

	while ((m = gateway_env_sent(&env, "lan"))) {
		answers++;
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(answers, BURST_MAX);
}
END_TEST

static TCase *cases(const char *name, SFun way)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, way, teardown);
	tcase_add_test(tcase, a_packet_that_a_policy_protects_leaves_as_esp);
	tcase_add_test(tcase, cbc_and_gcm_tunnels_share_a_burst);
	tcase_add_test(tcase, a_packet_out_of_a_tunnel_goes_on_with_its_ttl_less_one);
	tcase_add_test(tcase, what_policies_bypass_goes_through_in_clear);
	tcase_add_test(tcase, a_hub_sends_what_one_tunnel_brings_into_another);
	tcase_add_test(tcase, echo_to_an_address_of_the_gateway_is_answered_on_both_sides);
	tcase_add_test(tcase, echo_through_a_tunnel_is_answered_through_the_tunnel);
	tcase_add_test(tcase, echo_in_clear_from_a_protected_source_is_dropped);
	tcase_add_test(tcase, a_protected_address_answers_in_clear_only_by_a_policy);
	tcase_add_test(tcase, a_ttl_that_runs_out_is_answered_from_the_port_it_came_in_by);
	tcase_add_test(tcase, a_ttl_that_runs_out_behind_a_tunnel_is_answered_through_the_tunnel);
	tcase_add_test(tcase, a_packet_too_big_for_the_tunnel_is_answered_with_its_mtu);
	tcase_add_test(tcase, a_burst_without_df_that_is_too_big_leaves_as_twice_as_many);
	tcase_add_test(tcase, esp_in_fragments_is_made_whole_and_decrypted);
	tcase_add_test(tcase, fragments_wait_across_snapshots);
	tcase_add_test(tcase, fragments_out_of_a_retired_sa_do_not_wait_for_the_next_snapshot);
	tcase_add_test(tcase, a_packet_for_an_unknown_neighbour_waits_for_the_answer);
	tcase_add_test(tcase, a_flood_for_an_unknown_neighbour_leaves_room_for_its_answer);
	tcase_add_test(tcase, esp_inside_a_tunnel_to_the_gateway_is_host_no_service);
	tcase_add_test(tcase, a_full_burst_of_packets_that_all_need_an_answer_is_answered);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("pipeline");

	suite_add_tcase(suite, cases("direct", setup_direct));
	suite_add_tcase(suite, cases("sync", setup_sync));
	suite_add_tcase(suite, cases("async", setup_async));
	return eal_run_suite(suite);
}
