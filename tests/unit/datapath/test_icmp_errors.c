/*
 * ICMP errors, the whole way: about the tunnels' packets, from routers outside, and about what is in them,
 * from routers inside. Time is the test's.
 */
#include "datapath/icmp_errors.h"

#include <string.h>

#include "base/clock.h"
#include "control/host_if.h"
#include "net/quote.h"
#include "support/eal.h"
#include "support/gateway.h"

/*
 * Tunnels of both outer families, each for both inner ones: by IPv4 to 10.2/16 and fd00:2::/64, by IPv6 to
 * 10.3/16 and fd00:3::/64. Of the policies of the last tunnel, none takes ICMP errors.
 */
#define YAML                                                                                                 \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [0], crypto: [ipsec_mb, aesni_mb]}\n"                                             \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24, 'fd00:1::fe/64']}\n"         \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24, '2001:db8::1/64']}\n"       \
	"routes:\n"                                                                                          \
	"  - {to: 0.0.0.0/0, via: 192.0.2.254}\n"                                                            \
	"  - {to: '::/0', via: '2001:db8::fe'}\n"                                                            \
	"neighbours:\n"                                                                                      \
	"  - {port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}\n"                                  \
	"  - {port: wan, address: '2001:db8::fe', mac: '02:00:5e:00:02:fe'}\n"                               \
	"  - {port: lan, address: 10.1.0.1, mac: '02:00:5e:00:01:01'}\n"                                     \
	"  - {port: lan, address: 'fd00:1::1', mac: '02:00:5e:00:01:01'}\n"                                  \
	"sas:\n"                                                                                             \
	"  out4: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"            \
	"        key: '0x000102030405060708090a0b0c0d0e0f10111213'}\n"                                       \
	"  in4: {spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16,\n"             \
	"       key: '0x200102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"  out6: {spi: 0x1002, source: '2001:db8::1', destination: '2001:db8:1::1', esp: aes128gcm16,\n"     \
	"        key: '0x300102030405060708090a0b0c0d0e0f10111213'}\n"                                       \
	"  in6: {spi: 0x2002, source: '2001:db8:1::1', destination: '2001:db8::1', esp: aes128gcm16,\n"      \
	"       key: '0x400102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"  out-not: {spi: 0x1003, source: 192.0.2.1, destination: 198.51.100.3, esp: aes128gcm16,\n"         \
	"        key: '0x500102030405060708090a0b0c0d0e0f10111213'}\n"                                       \
	"  in-not: {spi: 0x2003, source: 198.51.100.3, destination: 192.0.2.1, esp: aes128gcm16,\n"          \
	"       key: '0x600102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"policies:\n"                                                                                        \
	"  - {name: o0, direction: out, action: discard, source: 10.1.9.0/24}\n"                             \
	"  - {name: i0, direction: in, action: discard, source: 10.2.9.0/24}\n"                              \
	"  - {name: o1, direction: out, action: protect, source: [10.1.0.0/24, 'fd00:1::/64'],\n"            \
	"     destination: [10.2.0.0/16, 'fd00:2::/64'], sas: [out4]}\n"                                     \
	"  - {name: i1, direction: in, action: protect, source: [10.2.0.0/16, 'fd00:2::/64'],\n"             \
	"     destination: [10.1.0.0/24, 'fd00:1::/64'], sas: [in4]}\n"                                      \
	"  - {name: o2, direction: out, action: protect, source: [10.1.0.0/24, 'fd00:1::/64'],\n"            \
	"     destination: [10.3.0.0/16, 'fd00:3::/64'], sas: [out6]}\n"                                     \
	"  - {name: i2, direction: in, action: protect, source: [10.3.0.0/16, 'fd00:3::/64'],\n"             \
	"     destination: [10.1.0.0/24, 'fd00:1::/64'], sas: [in6]}\n"                                      \
	"  - {name: o3, direction: out, action: protect, destination: 10.4.0.0/16, source: 10.1.0.0/24,\n"   \
	"     sas: [out-not], icmp_errors: false}\n"                                                         \
	"  - {name: i3, direction: in, action: protect, source: 10.4.0.0/16, destination: 10.1.0.0/24,\n"    \
	"     sas: [in-not], icmp_errors: false}\n"                                                          \
	"icmp: {accept: [too_big, time_exceeded], path_mtu_min_ipv4: 600, path_mtu_min_ipv6: 1280}\n"

#define ETHERNET sizeof(struct rte_ether_hdr)

static struct gateway_env env;
static uint64_t now_ns;

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, YAML);
	now_ns = clock_now_ns();
}

static void teardown(void)
{
	gateway_env_end(&env);
	eal_teardown();
}

/* The control thread's round, so many seconds later. */
static void control_after(uint64_t seconds)
{
	now_ns += seconds * CLOCK_NS_PER_S;
	host_if_poll(&env.control, now_ns);
}

static struct sa *sa_named(const char *name)
{
	for (size_t i = 0; i < env.control.n_sas; i++)
		if (strcmp(env.control.sas[i]->name, name) == 0)
			return env.control.sas[i];
	ck_abort_msg("no sa %s", name);
}

/* Send the packet from the lan; what leaves by `port`, which is one frame, in bytes. Returns its IP length.
 */
static size_t sent_from_lan(struct packet_spec spec, const char *port, uint8_t *out)
{
	struct rte_mbuf *m;
	size_t length;

	gateway_env_receive(&env, "lan", &spec);
	m = gateway_env_sent(&env, port);
	ck_assert_msg(m, "nothing left by %s", port);
	length = m->data_len - ETHERNET;
	memcpy(out, rte_pktmbuf_mtod_offset(m, void *, ETHERNET), length);
	rte_pktmbuf_free(m);
	ck_assert_ptr_null(gateway_env_sent(&env, "lan"));
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	return length;
}

static size_t esp_from_lan(struct packet_spec spec, uint8_t *esp)
{
	return sent_from_lan(spec, "wan", esp);
}

/* A router outside answers the ESP packet with that error. */
static void outside_error(const uint8_t *esp, size_t length, uint8_t type, uint8_t code, uint32_t word)
{
	bool v4 = esp[0] >> 4 == 4;

	gateway_env_receive(&env, "wan",
		&(struct packet_spec){.source = v4 ? "203.0.113.9" : "2001:db8:9::9",
			.destination = v4 ? "192.0.2.1" : "2001:db8::1",
			.protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
			.source_port = type,
			.destination_port = code,
			.icmp_word = word,
			.payload = esp,
			.payload_bytes = (uint16_t)RTE_MIN(length, 64u)});
}

static void too_big(const uint8_t *esp, size_t length, uint32_t mtu)
{
	bool v4 = esp[0] >> 4 == 4;

	outside_error(esp, length, v4 ? 3 : 2, v4 ? 4 : 0, mtu);
}

/* The site's four combinations: outer and inner family. */
static const struct tunnel {
	const char *sa;
	struct packet_spec inner;
	uint16_t header_bytes; /* of the inner packet, with UDP's */
} tunnels[] = {
	{"out4", {.source = "10.1.0.1", .destination = "10.2.0.1", .df = true}, 28},
	{"out4", {.source = "fd00:1::1", .destination = "fd00:2::1"}, 48},
	{"out6", {.source = "10.1.0.1", .destination = "10.3.0.1", .df = true}, 28},
	{"out6", {.source = "fd00:1::1", .destination = "fd00:3::1"}, 48},
};

static struct packet_spec inner_of(const struct tunnel *tunnel, uint16_t bytes)
{
	struct packet_spec spec = tunnel->inner;

	spec.payload_bytes = bytes - tunnel->header_bytes;
	return spec;
}

/* One byte more than inner_mtu is answered with it, and inner_mtu bytes fill the path, but for padding. */
static void assert_exact(const struct tunnel *tunnel, uint16_t inner_mtu, uint16_t path_mtu)
{
	uint8_t out[PACKET_BYTES_MAX];
	size_t length = sent_from_lan(inner_of(tunnel, inner_mtu), "wan", out);

	ck_assert_uint_le(length, path_mtu);
	ck_assert_uint_gt(length + 4, path_mtu);
	sent_from_lan(inner_of(tunnel, inner_mtu + 1), "lan", out);
	if (out[0] >> 4 == 4) {
		ck_assert_uint_eq(out[20], 3);
		ck_assert_uint_eq(out[21], 4);
		ck_assert_uint_eq(out[26] << 8 | out[27], inner_mtu);
	} else {
		ck_assert_uint_eq(out[40], 2);
		ck_assert_uint_eq(
			(uint32_t)out[44] << 24 | out[45] << 16 | out[46] << 8 | out[47], inner_mtu);
	}
}

/* PMT-5, PMT-2: of each outer and inner family. */
START_TEST(a_path_that_is_told_to_be_narrow_is_told_to_hosts_and_ages_back)
{
	const struct tunnel *tunnel = &tunnels[_i];
	struct sa *sa = sa_named(tunnel->sa);
	uint16_t whole = sa_inner_mtu(sa, 1500), narrow = sa_inner_mtu(sa, 1400);
	uint8_t esp[PACKET_BYTES_MAX];

	assert_exact(tunnel, whole, 1500);
	size_t length = esp_from_lan(inner_of(tunnel, whole), esp);
	too_big(esp, length, 1400);
	assert_exact(tunnel, whole, 1500); /* control has not come round */
	control_after(0);
	assert_exact(tunnel, narrow, 1400);
	ck_assert_uint_eq(sa->path.icmp_errors, 1);

	control_after(599);
	assert_exact(tunnel, narrow, 1400);
	control_after(1);
	assert_exact(tunnel, whole, 1500);
}
END_TEST

/* PMT-5, PMT-3: what may be cut is, to what the path takes. */
START_TEST(a_packet_without_df_is_cut_for_a_narrow_path)
{
	struct packet_spec spec = {
		.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 1400 - 28};
	uint8_t esp[PACKET_BYTES_MAX];
	struct rte_mbuf *m;
	unsigned n = 0;

	too_big(esp, esp_from_lan(spec, esp), 1000);
	control_after(0);
	gateway_env_receive(&env, "lan", &spec);
	for (; (m = gateway_env_sent(&env, "wan")); n++) {
		ck_assert_uint_le(m->data_len - ETHERNET, 1000);
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(n, 2);
	ck_assert_ptr_null(gateway_env_sent(&env, "lan"));
}
END_TEST

/* PMT-5: a forged error narrows the path to the bound at most. */
START_TEST(the_path_is_no_narrower_than_configured)
{
	uint8_t esp[PACKET_BYTES_MAX];

	too_big(esp, esp_from_lan(inner_of(&tunnels[0], 1400), esp), 68);
	control_after(0);
	ck_assert_uint_eq(sa_named("out4")->path.mtu_bytes, 600);
	/* RFC 8201 section 4: of IPv6, such a thing is not believed at all. */
	too_big(esp, esp_from_lan(inner_of(&tunnels[3], 1400), esp), 1279);
	control_after(0);
	ck_assert_uint_eq(sa_named("out6")->path.mtu_bytes, 1500);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_icmp_quote), 1);
}
END_TEST

/* PMT-4: over both outer families, below IPv6's least MTU, and in fragments that the path takes. */
START_TEST(ipv6_of_1280_goes_through_a_path_of_less_in_fragments_of_the_tunnels_packet)
{
	const struct tunnel *tunnel = &tunnels[_i ? 3 : 1];
	uint16_t path_mtu = _i ? 1280 : 700;
	uint8_t out[PACKET_BYTES_MAX];
	struct rte_mbuf *m;
	unsigned n = 0;
	size_t sum = 0;

	too_big(out, esp_from_lan(inner_of(tunnel, 1400), out), path_mtu);
	control_after(0);
	sent_from_lan(inner_of(tunnel, 1281), "lan", out);
	ck_assert_uint_eq((uint32_t)out[44] << 24 | out[45] << 16 | out[46] << 8 | out[47], 1280);

	struct packet_spec least = inner_of(tunnel, 1280);
	gateway_env_receive(&env, "lan", &least);
	for (; (m = gateway_env_sent(&env, "wan")); n++) {
		ck_assert_uint_le(m->data_len - ETHERNET, path_mtu);
		sum += m->data_len - ETHERNET - (_i ? 48 : 20);
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(sum, 8 + 8 + 1280 + 2 + 2 + 16); /* ESP, IV, packet, padding, trailer, ICV */
	ck_assert_ptr_null(gateway_env_sent(&env, "lan"));
}
END_TEST

static uint64_t errors_of(const char *sa)
{
	control_after(0);
	return sa_named(sa)->path.icmp_errors;
}

/* PMT-5: each of these would be a packet of ours, but for one thing. */
START_TEST(a_quote_of_what_no_sa_sent_changes_nothing)
{
	static const struct {
		uint8_t at, bits;
	} wrong[] = {{23, 1}, {19, 1}, {15, 1}, {27, 4}, {9, 1}, {6, 0x40}};
	uint8_t esp[PACKET_BYTES_MAX];
	size_t length = esp_from_lan(inner_of(&tunnels[0], 1400), esp);

	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		esp[wrong[i].at] ^= wrong[i].bits; /* SPI, destination, source, number, protocol, DF */
		too_big(esp, length, 1300);
		ck_assert_uint_eq(errors_of("out4"), 0);
		ck_assert_uint_eq(gateway_env_dropped(&env, DROP_icmp_quote), i + 1);
		esp[wrong[i].at] ^= wrong[i].bits;
	}
	too_big(esp, 27, 1300); /* without the whole number */
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_icmp_quote), RTE_DIM(wrong) + 1);
	too_big(esp, length, 1300);
	ck_assert_uint_eq(errors_of("out4"), 1);
	ck_assert_uint_eq(sa_named("out4")->path.mtu_bytes, 1300);
	ck_assert_uint_eq(sa_named("out6")->path.mtu_bytes, 1500);
}
END_TEST

/* ICM-1 */
START_TEST(kinds_of_errors_are_accepted_as_configured)
{
	uint8_t esp[PACKET_BYTES_MAX];
	size_t length = esp_from_lan(inner_of(&tunnels[0], 1400), esp);

	outside_error(esp, length, 3, 1, 0);
	outside_error(esp, length, 12, 0, 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_icmp_refused), 2);
	outside_error(esp, length, 11, 0, 0);
	ck_assert_uint_eq(errors_of("out4"), 1);
	ck_assert_uint_eq(sa_named("out4")->path.mtu_bytes, 1500);
	length = esp_from_lan(inner_of(&tunnels[3], 1400), esp);
	outside_error(esp, length, 1, 0, 0);
	outside_error(esp, length, 4, 0, 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_icmp_refused), 4);
	outside_error(esp, length, 3, 0, 0);
	ck_assert_uint_eq(errors_of("out6"), 1);
}
END_TEST

/* PMT-5: a flood of forged errors, more than any limit, holds up no true one. */
START_TEST(a_flood_of_errors_about_no_sa_does_not_hide_a_true_one)
{
	uint8_t esp[PACKET_BYTES_MAX];
	size_t length = esp_from_lan(inner_of(&tunnels[0], 1400), esp);

	esp[20] ^= 1;
	for (unsigned i = 0; i < 3000; i++)
		too_big(esp, length, 1300);
	esp[20] ^= 1;
	too_big(esp, length, 1300);
	ck_assert_uint_eq(errors_of("out4"), 1);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_icmp_quote), 3000);
}
END_TEST

/* The peer's router inside, whom no policy covers, tells a host of ours. */
struct inside {
	const char *router, *host;
	const char *quoted_source, *quoted_destination;
	uint16_t kind; /* of ICMPv4 or 6 */
};

static struct packet_spec inside_error(const struct inside *inside, uint8_t *quote)
{
	struct packet_spec quoted = {.source = inside->quoted_source,
		.destination = inside->quoted_destination,
		.source_port = 4000,
		.destination_port = 53,
		.payload_bytes = 20};
	bool v4 = !strchr(inside->router, ':');

	return (struct packet_spec){.source = inside->router,
		.destination = inside->host,
		.protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.source_port = inside->kind,
		.destination_port = 1,
		.payload_bytes = (uint16_t)packet_build(&quoted, quote),
		.payload = quote};
}

/* True if it came out of the tunnel, to the lan. */
static bool passes_in(const char *sa, const struct inside *inside)
{
	uint8_t quote[PACKET_BYTES_MAX];
	struct peer_esp esp = {.sa = sa, .inner = inside_error(inside, quote)};
	struct rte_mbuf *m = gateway_env_peer_esp(&env, "wan", &esp);

	gateway_env_receive_frames(&env, "wan", &m, 1);
	m = gateway_env_sent(&env, "lan");
	rte_pktmbuf_free(m);
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	return m != NULL;
}

static const struct inside from_peer[] = {
	{"10.77.0.1", "10.1.0.1", "10.1.0.1", "10.2.0.1", 3},
	{"fd77::1", "fd00:1::1", "fd00:1::1", "fd00:2::1", 3},
};

/* ICM-2 */
START_TEST(an_error_out_of_a_tunnel_is_judged_by_what_it_quotes)
{
	for (size_t i = 0; i < RTE_DIM(from_peer); i++)
		ck_assert(passes_in("in4", &from_peer[i]));
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_selector), 0);
}
END_TEST

/* ICM-2 */
START_TEST(an_error_whose_quote_its_sa_may_not_carry_is_dropped)
{
	static const struct inside wrong[] = {
		{"10.77.0.1", "10.1.0.1", "10.1.0.1", "10.5.0.1", 3},   /* no policy */
		{"10.77.0.1", "10.1.0.1", "10.1.0.1", "10.3.0.1", 3},   /* another SA's */
		{"10.77.0.1", "10.1.0.1", "10.1.0.1", "10.2.9.1", 3},   /* discarded */
		{"10.77.0.1", "10.1.0.1", "10.1.0.2", "10.2.0.1", 3},   /* for another host than that one */
		{"10.77.0.1", "10.1.0.1", "10.2.0.1", "10.1.0.1", 3},   /* not turned round */
		{"10.2.9.1", "10.1.0.1", "10.1.0.1", "10.2.0.1", 3},    /* its sender is discarded */
		{"10.77.0.1", "10.1.0.1", "10.1.0.1", "10.2.0.1", 8},   /* no error */
		{"10.77.0.1", "10.1.0.1", "fd00:1::1", "fd00:2::1", 3}, /* of another family */
	};

	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		ck_assert_msg(!passes_in("in4", &wrong[i]), "case %zu", i);
		ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_selector), i + 1);
	}
}
END_TEST

/* ICM-2: selectable for each policy. */
START_TEST(a_policy_may_take_no_errors_of_others)
{
	const struct inside in = {"10.77.0.1", "10.1.0.1", "10.1.0.1", "10.4.0.1", 3};
	const struct inside out = {"10.88.0.1", "10.4.0.1", "10.4.0.1", "10.1.0.1", 3};
	uint8_t quote[PACKET_BYTES_MAX];
	struct packet_spec spec = inside_error(&out, quote);

	ck_assert(!passes_in("in-not", &in));
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_selector), 1);
	gateway_env_receive(&env, "lan", &spec);
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_no_policy), 1);
}
END_TEST

/* The SPI of the ESP packet in which it left, 0 if it did not. */
static uint32_t passes_out(const struct inside *inside)
{
	uint8_t quote[PACKET_BYTES_MAX];
	struct packet_spec spec = inside_error(inside, quote);
	struct rte_mbuf *m;
	rte_be32_t spi = 0;

	gateway_env_receive(&env, "lan", &spec);
	if (!(m = gateway_env_sent(&env, "wan")))
		return 0;
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, ETHERNET);
	memcpy(&spi, ip + (ip[0] >> 4 == 4 ? 20 : 40), sizeof(spi));
	rte_pktmbuf_free(m);
	ck_assert_ptr_null(gateway_env_sent(&env, "wan"));
	return rte_be_to_cpu_32(spi);
}

/* ICM-2, RFC 4301 section 6.2: a router of ours tells a host of the peer's. */
START_TEST(an_error_into_a_tunnel_takes_the_sa_of_the_answer_to_what_it_quotes)
{
	static const struct {
		struct inside inside;
		uint32_t spi;
	} cases[] = {
		{{"10.88.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 3}, 0x1001},
		{{"fd88::1", "fd00:2::1", "fd00:2::1", "fd00:1::1", 3}, 0x1001},
		{{"10.88.0.1", "10.3.0.1", "10.3.0.1", "10.1.0.1", 11}, 0x1002},
		{{"10.88.0.1", "10.2.0.1", "10.2.0.1", "10.1.9.1", 3}, 0}, /* discarded */
		{{"10.88.0.1", "10.2.0.1", "10.3.0.1", "10.1.0.1", 3}, 0}, /* for another host */
		{{"10.88.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 8}, 0}, /* no error */
		{{"10.1.9.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 3}, 0},  /* its sender is discarded */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++)
		ck_assert_msg(passes_out(&cases[i].inside) == cases[i].spi, "case %zu", i);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_no_policy), 3);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_policy_block), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("icmp_errors");
	TCase *tcase = tcase_create("icmp_errors");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(
		tcase, a_path_that_is_told_to_be_narrow_is_told_to_hosts_and_ages_back, 0, RTE_DIM(tunnels));
	tcase_add_test(tcase, a_packet_without_df_is_cut_for_a_narrow_path);
	tcase_add_test(tcase, the_path_is_no_narrower_than_configured);
	tcase_add_loop_test(
		tcase, ipv6_of_1280_goes_through_a_path_of_less_in_fragments_of_the_tunnels_packet, 0, 2);
	tcase_add_test(tcase, a_quote_of_what_no_sa_sent_changes_nothing);
	tcase_add_test(tcase, kinds_of_errors_are_accepted_as_configured);
	tcase_add_test(tcase, a_flood_of_errors_about_no_sa_does_not_hide_a_true_one);
	tcase_add_test(tcase, an_error_out_of_a_tunnel_is_judged_by_what_it_quotes);
	tcase_add_test(tcase, an_error_whose_quote_its_sa_may_not_carry_is_dropped);
	tcase_add_test(tcase, a_policy_may_take_no_errors_of_others);
	tcase_add_test(tcase, an_error_into_a_tunnel_takes_the_sa_of_the_answer_to_what_it_quotes);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
