/*
 * Every drop reason is provoked here, by a packet (or what it takes) that goes the whole way: the table at
 * the end is made of the list of reasons itself, so that a reason without its test does not compile.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include "base/clock.h"
#include "control/host_device.h"
#include "control/host_if.h"
#include "control/workers.h"
#include "datapath/pipeline.h"
#include "ipsec/bundle.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

static struct gateway_env env;

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_MIXED));
}

/* What the ports sent is read, so that the mbufs are back. */
static void read_all(void)
{
	struct rte_mbuf *m;

	while ((m = gateway_env_sent(&env, "lan")) || (m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
}

static void teardown(void)
{
	gateway_env_end(&env);
	eal_teardown();
}

static void from_lan(struct packet_spec spec)
{
	gateway_env_receive(&env, "lan", &spec);
}

static void from_wan(struct packet_spec spec)
{
	gateway_env_receive(&env, "wan", &spec);
}

static void from_wan_frame(struct rte_mbuf *m)
{
	gateway_env_receive_frames(&env, "wan", &m, 1);
}

/* A frame for the lan, to be spoiled before it arrives. */
static struct rte_mbuf *lan_frame(struct packet_spec spec)
{
	return gateway_env_frame_of(&env, "lan", &spec);
}

static void from_lan_frame(struct rte_mbuf *m)
{
	gateway_env_receive_frames(&env, "lan", &m, 1);
}

static struct rte_mbuf *peer(struct peer_esp esp)
{
	if (!esp.sa)
		esp.sa = "in";
	if (!esp.inner.source) {
		esp.inner.source = "10.2.0.1";
		esp.inner.destination = "10.1.0.1";
	}
	return gateway_env_peer_esp(&env, "wan", &esp);
}

#define IP_HEADER(m)  rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr))
#define ESP_HEADER(m) rte_pktmbuf_mtod_offset(m, uint8_t *, sizeof(struct rte_ether_hdr) + 20)

static void provoke_eth_type(void)
{
	struct rte_mbuf *m = lan_frame((struct packet_spec){0});

	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->ether_type = RTE_BE16(0x88cc);
	from_lan_frame(m);
}

static void provoke_eth_vlan(void)
{
	from_lan((struct packet_spec){.vlan = 100});
}

static void provoke_eth_not_ours(void)
{
	struct rte_mbuf *m = lan_frame((struct packet_spec){0});
	const struct rte_ether_addr another = PACKET_MAC_ANOTHER;

	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr = another;
	from_lan_frame(m);
}

static void provoke_in_hdr(void)
{
	struct rte_mbuf *m = lan_frame((struct packet_spec){0});

	IP_HEADER(m)->version_ihl = 0x55;
	from_lan_frame(m);
}

static void provoke_in_checksum(void)
{
	struct rte_mbuf *m = lan_frame((struct packet_spec){0});

	IP_HEADER(m)->hdr_checksum ^= 1;
	from_lan_frame(m);
}

static void provoke_in_martian(void)
{
	from_lan((struct packet_spec){.source = "127.0.0.1", .destination = "10.2.0.1"});
}

static void provoke_in_link_local(void)
{
	from_lan((struct packet_spec){.source = "fe80::1", .destination = "fd00:2::1"});
}

static void provoke_in_multicast(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "224.0.0.5"});
}

/* Somebody else holds the buffer, so that it may not be encrypted in place. */
static void provoke_in_buf(void)
{
	struct rte_mbuf *m = lan_frame((struct packet_spec){0});

	rte_mbuf_refcnt_update(m, 1);
	from_lan_frame(m);
	rte_pktmbuf_free(m);
}

static void provoke_in_no_sa(void)
{
	struct rte_mbuf *m = peer((struct peer_esp){0});

	ESP_HEADER(m)[0] ^= 0x40;
	from_wan_frame(m);
}

static void provoke_in_endpoint(void)
{
	struct rte_mbuf *m = peer((struct peer_esp){0});

	IP_HEADER(m)->src_addr ^= RTE_BE32(8);
	IP_HEADER(m)->hdr_checksum = 0;
	IP_HEADER(m)->hdr_checksum = rte_ipv4_cksum(IP_HEADER(m));
	from_wan_frame(m);
}

static struct packet_spec to_4500(uint16_t payload_bytes)
{
	return (struct packet_spec){.source = "198.51.100.1",
		.destination = "192.0.2.1",
		.source_port = 4500,
		.destination_port = 4500,
		.payload_bytes = payload_bytes};
}

/* Of an SA that is not in UDP; its payload is as ESP's would be. */
static void provoke_in_encap(void)
{
	struct packet_spec spec = to_4500(64);
	struct rte_mbuf *m = gateway_env_frame_of(&env, "wan", &spec);
	const rte_be32_t spi = RTE_BE32(0x2001);

	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, sizeof(struct rte_ether_hdr) + 20 + 8), &spi,
		sizeof(spi));
	from_wan_frame(m);
}

static void provoke_in_udp(void)
{
	from_wan(to_4500(3));
}

static void provoke_in_keepalive(void)
{
	struct packet_spec spec = to_4500(1);
	struct rte_mbuf *m = gateway_env_frame_of(&env, "wan", &spec);

	*rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - 1) = 0xff;
	from_wan_frame(m);
}

static void lan_fragment(uint16_t offset_bytes, uint16_t bytes, bool more, uint32_t id)
{
	from_lan((struct packet_spec){.source = "10.1.0.1",
		.destination = "10.1.0.254",
		.protocol = IPPROTO_ESP,
		.payload_bytes = bytes,
		.fragment_offset_bytes = offset_bytes,
		.more_fragments = more,
		.id = id});
}

/* Only the last fragment of a packet may have any length. */
static void provoke_frag_bad(void)
{
	lan_fragment(0, 81, true, 1);
}

static void provoke_frag_overlap(void)
{
	lan_fragment(0, 80, true, 1);
	lan_fragment(72, 80, true, 1);
}

static void provoke_frag_duplicate(void)
{
	lan_fragment(0, 80, true, 1);
	lan_fragment(0, 80, true, 1);
}

/* Its time is long over when the next one comes. */
static void provoke_frag_timeout(void)
{
	lan_fragment(0, 80, true, 1);
	reass_expire(env.worker->reass, env.worker->now_tsc + 31 * rte_get_tsc_hz(), &env.worker->drops);
}

static void provoke_frag_full(void)
{
	for (unsigned i = 0; i <= REASS_PKTS_MAX; i++)
		lan_fragment(0, 80, true, i);
}

static void provoke_in_seq_zero(void)
{
	struct rte_mbuf *m = peer((struct peer_esp){0});

	memset(ESP_HEADER(m) + 4, 0, 4);
	from_wan_frame(m);
}

static void provoke_in_replay(void)
{
	struct rte_mbuf *m = peer((struct peer_esp){0});
	struct rte_mbuf *again = rte_pktmbuf_copy(m, eal_pool(), 0, UINT32_MAX);

	from_wan_frame(m);
	from_wan_frame(again);
}

static void provoke_in_late(void)
{
	struct rte_mbuf *first = peer((struct peer_esp){0});

	atomic_store(&gateway_env_peer(&env, "in")->seq.next, 2 + SA_REPLAY_WINDOW_DEFAULT);
	from_wan_frame(peer((struct peer_esp){0}));
	from_wan_frame(first);
}

static void provoke_in_icv(void)
{
	struct rte_mbuf *m = peer((struct peer_esp){0});

	*rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - 1) ^= 1;
	from_wan_frame(m);
}

static void provoke_in_sa_proto(void)
{
	from_wan_frame(peer((struct peer_esp){.inner_version = 7}));
}

static void provoke_in_dummy(void)
{
	from_wan_frame(peer((struct peer_esp){.next_header = IPPROTO_NONE}));
}

static void provoke_in_ecn(void)
{
	from_wan_frame(peer((struct peer_esp){.outer_ecn = 3}));
}

/* The SA's packet alone, without the SA that should be around it. */
static void provoke_in_bundle(void)
{
	from_wan_frame(peer((struct peer_esp){
		.sa = "in-inside", .inner = {.source = "10.2.4.1", .destination = "10.1.0.1"}}));
}

/* Each is the payload of the next. */
static void provoke_in_nesting(void)
{
	struct rte_mbuf *m = peer((struct peer_esp){0});

	for (unsigned depth = 0; depth < BUNDLE_DEPTH_MAX; depth++) {
		struct rte_mbuf *outer = gateway_env_peer_around(&env, "wan", "in", m);

		rte_pktmbuf_free(m);
		m = outer;
	}
	from_wan_frame(m);
}

/* Bytes that count up from 0 are a header with the CPI 0x0203, and nothing that zlib knows. */
static void provoke_in_ipcomp(void)
{
	from_wan_frame(peer((struct peer_esp){.sa = "in-comp-around",
		.inner = {.source = "198.51.100.1",
			.destination = "192.0.2.1",
			.protocol = IPPROTO_COMP,
			.payload_bytes = 100}}));
}

static void provoke_in_selector(void)
{
	from_wan_frame(peer((struct peer_esp){.inner = {.source = "10.2.3.1", .destination = "10.1.0.1"}}));
}

static void provoke_in_no_policy(void)
{
	from_wan((struct packet_spec){.source = "198.18.0.1", .destination = "10.1.0.1"});
}

static void provoke_in_policy_block(void)
{
	from_wan((struct packet_spec){.source = "10.2.9.1", .destination = "10.1.0.1"});
}

static void provoke_in_tmpl_mismatch(void)
{
	from_wan((struct packet_spec){.source = "10.2.0.1", .destination = "10.1.0.1"});
}

static void provoke_out_no_policy(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "198.18.0.1"});
}

static void provoke_out_policy_block(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "10.2.9.1"});
}

static void provoke_out_no_sa(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "10.2.8.1"});
}

static struct sa *sa_named(const char *name)
{
	for (size_t i = 0; i < env.control.n_sas; i++)
		if (strcmp(env.control.sas[i]->name, name) == 0)
			return env.control.sas[i];
	ck_abort_msg("no sa %s", name);
}

static void provoke_out_seq_overflow(void)
{
	atomic_store(&sa_named("out")->seq.next, SEQ_LAST + 1);
	from_lan((struct packet_spec){0});
}

static void provoke_out_seq_reserved(void)
{
	struct sa *sa = sa_named("out");

	atomic_store(&sa->seq.last, atomic_load(&sa->seq.next) - 1);
	from_lan((struct packet_spec){0});
}

static void end_of(const char *name)
{
	atomic_fetch_or(&sa_named(name)->special, SA_ENDED);
}

static void provoke_in_expired(void)
{
	end_of("in");
	from_wan_frame(peer((struct peer_esp){0}));
}

static void provoke_out_expired(void)
{
	end_of("out");
	from_lan((struct packet_spec){0});
}

static void provoke_out_mtu(void)
{
	from_lan((struct packet_spec){.payload_bytes = 1460, .df = true});
}

/* A driver that leaves no headroom. */
static void provoke_out_buf(void)
{
	struct rte_mbuf *m = lan_frame((struct packet_spec){0});
	uint16_t bytes = m->data_len;

	memmove(m->buf_addr, rte_pktmbuf_mtod(m, void *), bytes);
	m->data_off = 0;
	from_lan_frame(m);
}

/* More than the queue holds, before anybody looks for results: these go the asynchronous way. */
static void provoke_crypto_full(void)
{
	struct rte_mbuf *frames[BURST_MAX];
	struct worker *w = env.worker;

	for (unsigned sent = 0; sent <= CRYPTO_QUEUE_DEPTH; sent += BURST_MAX) {
		struct burst burst = {.n = BURST_MAX};

		for (unsigned i = 0; i < BURST_MAX; i++)
			frames[i] = lan_frame(
				(struct packet_spec){.source = "10.1.0.1", .destination = "10.2.3.1"});
		memcpy(burst.pkts, frames, sizeof(frames));
		w->counters.rx_packets[0] += BURST_MAX;
		pipeline_receive(w, 0, &burst);
	}
	while (crypto_in_flight(w->crypto) > 0) {
		struct burst done = {0};

		crypto_poll(w->crypto, &done);
		pipeline_crypto_done(w, &done);
		tx_flush(&w->tx, &w->drops);
		read_all();
	}
}

/* A session that the driver does not take for its own. */
/* The device finds no session. */
static void provoke_crypto_failed(void)
{
	struct sa *sa = sa_named("out-cbc");
	struct crypto_session session = sa->session;

	sa->session.handle = NULL;
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "10.2.3.1"});
	sa->session = session;
}

static void provoke_ttl_expired(void)
{
	from_lan((struct packet_spec){.ttl = 1});
}

static void provoke_no_route(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "100.64.0.1"});
}

static void provoke_neigh_unresolved(void)
{
	uint64_t now_ns = clock_now_ns();

	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "192.0.2.77"});
	host_if_poll(&env.control, now_ns);
	ck_assert_uint_eq(env.control.counters.held, 1);
	for (unsigned second = 1; second < 10; second++)
		host_if_poll(&env.control, now_ns + second * CLOCK_NS_PER_S);
}

static void provoke_neigh_full(void)
{
	for (unsigned i = 0; i < 2 * NEIGH_HELD_EACH_MAX; i++)
		from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "192.0.2.77"});
	host_if_poll(&env.control, clock_now_ns());
}

static void provoke_nd_bad(void)
{
	from_lan((struct packet_spec){.source = "fd00:1::1",
		.destination = "fd00:1::fe",
		.protocol = IPPROTO_ICMPV6,
		.source_port = 135,
		.payload_bytes = 16});
	host_if_poll(&env.control, clock_now_ns());
}

static void provoke_host_no_service(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "10.1.0.254"});
}

/* The control thread does not come round. */
static void provoke_host_full(void)
{
	for (unsigned i = 0; i <= HOST_QUEUE_PKTS; i++)
		from_lan((struct packet_spec){.source = "fd00:1::1",
			.destination = "fd00:1::fe",
			.protocol = IPPROTO_ICMPV6,
			.source_port = 135,
			.payload_bytes = 16});
	host_if_poll(&env.control, clock_now_ns());
}

/* The gateway gets a host interface; returns the host's end of it. */
static int host_begin(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	env.control.to_host = rte_ring_create("to_host", HOST_STACK_PKTS, SOCKET_ID_ANY, RING_F_SC_DEQ);
	ck_assert_ptr_nonnull(env.control.to_host);
	env.worker->host.to_host = env.control.to_host;
	env.control.host_device = (struct host_device){.is_open = true, .fd = ends[0]};
	return ends[1];
}

static void host_end(int end)
{
	host_device_destroy(&env.control);
	close(end);
}

static struct packet_spec ike(void)
{
	return (struct packet_spec){.source = "198.51.100.1",
		.destination = "192.0.2.1",
		.source_port = 500,
		.destination_port = 500,
		.payload_bytes = 28};
}

/* The control thread does not come round. */
static void provoke_host_busy(void)
{
	int end = host_begin();

	for (unsigned i = 0; i < HOST_STACK_PKTS; i++)
		from_wan(ike());
	host_end(end);
	host_if_poll(&env.control, clock_now_ns());
}

/* Nobody is at the other end. */
static void provoke_host_interface(void)
{
	int end = host_begin();

	signal(SIGPIPE, SIG_IGN);
	close(end);
	from_wan(ike());
	host_if_poll(&env.control, clock_now_ns());
	host_device_destroy(&env.control);
}

static void provoke_host_source(void)
{
	const struct packet_spec spec = {.source = "10.1.0.1", .destination = "198.51.100.1"};
	uint8_t packet[PACKET_BYTES_MAX];
	size_t bytes = packet_build(&spec, packet);
	int end = host_begin();

	ck_assert_int_eq(send(end, packet, bytes, 0), (ssize_t)bytes);
	host_if_poll(&env.control, clock_now_ns());
	gateway_env_from_control(&env);
	host_end(end);
}

static void provoke_icmp_limit(void)
{
	struct rte_mbuf *frames[BURST_MAX];

	for (unsigned burst = 0; burst < 8; burst++) {
		for (unsigned i = 0; i < BURST_MAX; i++)
			frames[i] = lan_frame((struct packet_spec){.source = "10.1.0.1",
				.destination = "10.1.0.254",
				.protocol = IPPROTO_ICMP,
				.source_port = 8});
		gateway_env_receive_frames(&env, "lan", frames, BURST_MAX);
	}
}

/* A router's ICMP error about the ESP packet of `out` that has that number. */
static struct rte_mbuf *icmp_error(uint8_t code, uint8_t seq)
{
	const uint8_t esp[] = {0, 0, 0x10, 0x01, 0, 0, 0, seq};
	uint8_t quote[PACKET_BYTES_MAX];
	size_t length = packet_build(&(struct packet_spec){.source = "192.0.2.1",
					     .destination = "198.51.100.1",
					     .protocol = IPPROTO_ESP,
					     .df = true,
					     .payload = esp,
					     .payload_bytes = sizeof(esp)},
		quote);

	return gateway_env_frame_of(&env, "wan",
		&(struct packet_spec){.source = "203.0.113.9",
			.destination = "192.0.2.1",
			.protocol = IPPROTO_ICMP,
			.source_port = 3,
			.destination_port = code,
			.icmp_word = 1400,
			.payload = quote,
			.payload_bytes = (uint16_t)length});
}

/* Host unreachable. */
static void provoke_icmp_refused(void)
{
	from_lan((struct packet_spec){0});
	from_wan_frame(icmp_error(1, 1));
}

/* Nothing was sent yet. */
static void provoke_icmp_quote(void)
{
	from_wan_frame(icmp_error(4, 1));
}

static void provoke_icmp_flood(void)
{
	struct rte_mbuf *frames[BURST_MAX];

	from_lan((struct packet_spec){0});
	for (unsigned burst = 0; burst < 8; burst++) {
		for (unsigned i = 0; i < BURST_MAX; i++)
			frames[i] = icmp_error(4, 1);
		gateway_env_receive_frames(&env, "wan", frames, BURST_MAX);
	}
	host_if_poll(&env.control, clock_now_ns());
	ck_assert_uint_ge(env.control.counters.consumed, HOST_ICMP_AT_ONCE);
}

/* Nobody takes the frames off the link. */
static void provoke_tx_full(void)
{
	for (unsigned i = 0; i < 1100; i++)
		from_lan((struct packet_spec){0});
}

static void provoke_shutdown(void)
{
	from_lan((struct packet_spec){.source = "10.1.0.1", .destination = "192.0.2.77"});
	workers_stop(&env.control);
}

/* A policy with nothing but an alternative, which is for other packets than what comes. */
static void provoke_out_no_alternative(void)
{
	gateway_env_end(&env);
	gateway_env_begin(&env,
		"memory: {hugepages: false, packets: 4096}\n"
		"workers: {lcores: [0], " SITE_MIXED "}\n"
		"ports:\n"
		"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24]}\n"
		"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"
		"sas:\n"
		"  ef: {spi: 0x1001, source: 192.0.2.1, destination: 192.0.2.2, esp: aes128gcm16, for_dscp: "
		"ef,\n"
		"       key: '0x000102030405060708090a0b0c0d0e0f10111213'}\n"
		"policies:\n"
		"  - {name: out, direction: out, action: protect, sas: [], alternatives: [ef]}\n");
	from_lan((struct packet_spec){0});
}

static void (*const provoke[])(void) = {
#define X(name, xfrm, text) provoke_##name,
	DROP_REASONS(X)
#undef X
};

START_TEST(each_drop_reason_has_a_packet_that_provokes_it)
{
	enum drop_reason reason = (enum drop_reason)_i;
	uint64_t before = gateway_env_dropped(&env, reason);

	provoke[reason]();

	ck_assert_msg(gateway_env_dropped(&env, reason) > before, "%s was not provoked", drop_name(reason));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drops");
	TCase *tcase = tcase_create("drops");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, each_drop_reason_has_a_packet_that_provokes_it, 0, DROP_COUNT);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
