/*
 * Packets of up to 9,000 bytes in many buffers, as a NIC with scattered receive would leave them.
 */
#include <string.h>

#include "ipsec/esp_out.h"
#include "net/parse.h"
#include "net/rewrite.h"
#include "support/eal.h"
#include "support/gateway.h"

#define JUMBO_MTU   9000
#define FRAME_BYTES (PACKET_BYTES_MAX + RTE_ETHER_HDR_LEN)
#define ETHERNET    RTE_ETHER_HDR_LEN

static const char yaml[] =
	"memory: {hugepages: false, packets: 1024}\n"
	"workers: {lcores: [0], crypto: [ipsec_mb, aesni_mb]}\n"
	"ports:\n"
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24], mtu: 9000}\n"
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24], mtu: 9000}\n"
	"routes:\n"
	"  - {to: 198.51.100.0/24, via: 192.0.2.254}\n"
	"neighbours:\n"
	"  - {port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}\n"
	"  - {port: lan, address: 10.1.0.1, mac: '02:00:5e:00:01:01'}\n"
	"sas:\n"
	"  gcm-out: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"
	"            key: '0x000102030405060708090a0b0c0d0e0f10111213'}\n"
	"  gcm-in: {spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16,\n"
	"           key: '0x200102030405060708090a0b0c0d0e0f10111213'}\n"
	"  cbc-out: {spi: 0x1002, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128-sha256,\n"
	"            key: '0x300102030405060708090a0b0c0d0e0f"
	"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f'}\n"
	"  cbc-in: {spi: 0x2002, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128-sha256,\n"
	"           key: '0x400102030405060708090a0b0c0d0e0f"
	"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f'}\n"
	"policies:\n"
	"  - {name: cbc-out, direction: out, action: protect, destination: 10.2.3.0/24, sas: [cbc-out]}\n"
	"  - {name: gcm-out, direction: out, action: protect, destination: 10.2.0.0/24, sas: [gcm-out]}\n"
	"  - {name: cbc-in, direction: in, action: protect, source: 10.2.3.0/24, sas: [cbc-in]}\n"
	"  - {name: gcm-in, direction: in, action: protect, source: 10.2.0.0/24, sas: [gcm-in]}\n";

/* The far host and SA of each case, and the longest packet that its tunnel takes. */
static const struct tunnel {
	const char *host, *in;
	uint16_t inner_mtu;
} tunnels[] = {{"10.2.0.1", "gcm-in", 8946}, {"10.2.3.1", "cbc-in", 8926}};

static struct gateway_env env;

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, yaml);
}

static void teardown(void)
{
	gateway_env_end(&env);
	eal_teardown();
}

/* The bytes in buffers of the gateway's pool, `each` of them in one. */
static struct rte_mbuf *chain_of(const uint8_t *bytes, size_t length, size_t each)
{
	struct rte_mbuf *head = NULL;

	for (size_t at = 0; at < length; at += each) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(env.control.ports.packets);
		size_t n = RTE_MIN(each, length - at);

		ck_assert_ptr_nonnull(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), bytes + at, n);
		if (head)
			ck_assert_int_eq(rte_pktmbuf_chain(head, m), 0);
		else
			head = m;
	}
	return head;
}

static void set_destination(uint8_t *frame, const char *port)
{
	memcpy(frame, &env.control.ports.ports[gateway_env_port(&env, port)].mac,
		sizeof(struct rte_ether_addr));
}

/* What the peer sends: the packet inside ESP, as a frame for the wan. Returns its length. */
static size_t peer_frame(const struct tunnel *tunnel, const struct packet_spec *spec, uint8_t *frame)
{
	const struct rte_ether_addr mac = PACKET_MAC_PEER;
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t length = packet_build(spec, bytes);
	struct burst burst = {.n = 1, .pkts = {chain_of(bytes, length, length)}};
	struct rte_mbuf *m = burst.pkts[0];

	*pkt_of(m) = (struct pkt){0};
	ck_assert(parse_inner_one(m, IP_V4));
	pkt_of(m)->sa = gateway_env_peer(&env, tunnel->in);
	esp_out_prepare(&burst, &env.worker->tally);
	crypto_run(env.worker->crypto, &burst, &env.worker->tally);
	while (burst.n == 0)
		crypto_poll(env.worker->crypto, &burst);
	esp_out_finish(&burst, &env.worker->tally);
	ck_assert_uint_eq(burst.n, 1);
	ethernet_prepend_one(m, &mac, &mac, 0, RTE_ETHER_TYPE_IPV4);
	length = m->data_len;
	memcpy(frame, rte_pktmbuf_mtod(m, void *), length);
	set_destination(frame, "wan");
	rte_pktmbuf_free(m);
	return length;
}

static void receive_chain(const char *port, const uint8_t *frame, size_t length, size_t each)
{
	struct rte_mbuf *m = chain_of(frame, length, each);

	gateway_env_receive_frames(&env, port, &m, 1);
}

/* Buffers from a few bytes, less than the headers, to nearly the whole frame. */
static const size_t each_buffer[] = {40, 256, 2048, 8999};

START_TEST(a_chain_up_to_the_tunnel_s_mtu_goes_into_it)
{
	const struct tunnel *tunnel = &tunnels[_i];
	const struct packet_spec spec = {.source = "10.1.0.1",
		.destination = tunnel->host,
		.payload_bytes = (uint16_t)(tunnel->inner_mtu - 28),
		.df = true};
	uint8_t frame[FRAME_BYTES];
	size_t length = packet_build_frame(&spec, frame);

	set_destination(frame, "lan");
	for (size_t i = 0; i < RTE_DIM(each_buffer); i++) {
		receive_chain("lan", frame, length, each_buffer[i]);

		struct rte_mbuf *m = gateway_env_sent(&env, "wan");
		ck_assert_msg(m, "nothing left, in buffers of %zu", each_buffer[i]);
		ck_assert_uint_le(m->pkt_len, JUMBO_MTU + ETHERNET);
		ck_assert_uint_eq(
			env.control.sas[2 * _i]->counters[0].bytes, (i + 1) * (uint64_t)tunnel->inner_mtu);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_chain_up_to_the_link_s_mtu_comes_out_of_a_tunnel)
{
	const struct tunnel *tunnel = &tunnels[_i];
	struct packet_spec spec = {.source = tunnel->host,
		.destination = "10.1.0.1",
		.payload_bytes = (uint16_t)(tunnel->inner_mtu - 28)};
	uint8_t frame[FRAME_BYTES], expected[PACKET_BYTES_MAX];

	for (size_t i = 0; i < RTE_DIM(each_buffer); i++) {
		spec.ttl = 64;
		receive_chain("wan", frame, peer_frame(tunnel, &spec, frame), each_buffer[i]);

		struct rte_mbuf *m = gateway_env_sent(&env, "lan");
		ck_assert_msg(m, "nothing left, in buffers of %zu", each_buffer[i]);
		spec.ttl = 63;
		ck_assert_uint_eq(m->data_len, packet_build(&spec, expected) + ETHERNET);
		ck_assert_mem_eq(rte_pktmbuf_mtod_offset(m, void *, ETHERNET), expected, tunnel->inner_mtu);
		rte_pktmbuf_free(m);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jumbo");
	TCase *tcase = tcase_create("jumbo");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, a_chain_up_to_the_tunnel_s_mtu_goes_into_it, 0, (int)RTE_DIM(tunnels));
	tcase_add_loop_test(
		tcase, a_chain_up_to_the_link_s_mtu_comes_out_of_a_tunnel, 0, (int)RTE_DIM(tunnels));
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
