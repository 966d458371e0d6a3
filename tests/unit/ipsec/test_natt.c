#include "ipsec/natt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_udp.h>

#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"
#include "support/tsan.h"

#define N_MOVERS  2
#define N_MOVES   TSAN_ROUNDS(200000)
#define N_READERS 2

static struct crypto_env env;
static struct natt_ports ports;

static void setup(void)
{
	eal_setup();
	crypto_env_begin(&env, CRYPTO_WAY_BEST);
	ports = (struct natt_ports){0};
	natt_ports_add(&ports, 4500);
}

static void teardown(void)
{
	crypto_env_end(&env);
	eal_teardown();
}

START_TEST(a_table_has_the_ports_that_were_added_alone)
{
	static const uint16_t added[] = {1, 63, 64, 4500, 65535};
	struct natt_ports table = {0};
	unsigned n = 0;

	for (size_t i = 0; i < RTE_DIM(added); i++)
		natt_ports_add(&table, added[i]);

	for (uint32_t port = 0; port <= UINT16_MAX; port++)
		n += natt_ports_has(&table, (uint16_t)port);
	ck_assert_uint_eq(n, RTE_DIM(added));
	for (size_t i = 0; i < RTE_DIM(added); i++)
		ck_assert(natt_ports_has(&table, added[i]));
}
END_TEST

/* UDP to 4500 with that payload, behind `extensions` bytes of IPv6 extension headers. Exact for
 * AddressSanitizer. */
static struct rte_mbuf *udp_packet(uint8_t family, uint16_t extensions, const void *payload, uint16_t bytes)
{
	struct packet_spec spec = {
		.family = family, .source_port = 61000, .destination_port = 4500, .payload_bytes = bytes};
	uint8_t packet[PACKET_BYTES_MAX];
	size_t length = packet_build(&spec, packet);
	uint16_t l4 = (family == IP_V4 ? 20 : 40) + extensions;

	memcpy(packet + length - bytes, payload, bytes);
	if (extensions > 0)
		length = packet_insert(packet, length, IPPROTO_DSTOPTS, extensions);
	struct rte_mbuf *m = mbuf_exact_of(packet, length);
	*pkt_of(m) = (struct pkt){
		.flags = PKT_HAS_PORTS,
		.family = family,
		.protocol = IPPROTO_UDP,
		.l4 = l4,
		.ip_len = (uint16_t)length,
		.source_port = 61000,
		.destination_port = 4500,
	};
	return m;
}

/* What natt_in makes of it: 'e'sp, 'k'ept, or dropped as 'u' (in_udp) or 'a' (in_keepalive). */
static char verdict_of(struct rte_mbuf *m)
{
	struct drops *drops = calloc(1, sizeof(*drops));
	struct burst burst = {.n = 1, .pkts = {m}}, esp = {0};
	char verdict;

	natt_in(&burst, &ports, &esp, drops);
	verdict = esp.n                                ? 'e'
		  : burst.n                            ? 'k'
		  : drops->count[0][DROP_in_udp] == 1  ? 'u'
		  : drops->count[0][DROP_in_keepalive] ? 'a'
						       : '?';
	if (verdict == 'e' || verdict == 'k')
		rte_pktmbuf_free(m);
	free(drops);
	return verdict;
}

// NAT-3
START_TEST(esp_ike_and_keepalives_are_told_apart)
{
	static const struct {
		const char *payload;
		uint16_t bytes;
		char verdict;
	} cases[] = {
		{"\xff", 1, 'a'},
		{"\xfe", 1, 'u'},
		{"", 0, 'u'},
		{"\xff\xff\xff", 3, 'u'},
		{"\0\0\0", 3, 'u'},
		{"\0\0\0\0", 4, 'k'},
		{"\0\0\0\0IKE", 7, 'k'},
		{"\0\0\0\1", 4, 'e'},
		{"\xff\xff\xff\xff", 4, 'e'},
		{"\0\0\1\0\0\0\0\1", 8, 'e'},
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		ck_assert_int_eq(
			verdict_of(udp_packet(IP_V4, 0, cases[i].payload, cases[i].bytes)), cases[i].verdict);
		ck_assert_int_eq(
			verdict_of(udp_packet(IP_V6, 0, cases[i].payload, cases[i].bytes)), cases[i].verdict);
	}
}
END_TEST

START_TEST(what_is_not_by_udp_to_such_a_port_is_kept)
{
	struct rte_mbuf *other_port = udp_packet(IP_V4, 0, "payload", 7);
	struct rte_mbuf *other_protocol = udp_packet(IP_V4, 0, "payload", 7);
	struct rte_mbuf *later_fragment = udp_packet(IP_V4, 0, "payload", 7);

	pkt_of(other_port)->destination_port = 4501;
	pkt_of(other_protocol)->protocol = IPPROTO_TCP;
	pkt_of(later_fragment)->flags = PKT_FRAGMENT | PKT_LATER_FRAGMENT;
	ck_assert_int_eq(verdict_of(other_port), 'k');
	ck_assert_int_eq(verdict_of(other_protocol), 'k');
	ck_assert_int_eq(verdict_of(later_fragment), 'k');
}
END_TEST

// NAT-9
START_TEST(every_udp_length_but_the_possible_ones_is_refused)
{
	for (unsigned length = 0; length < 40; length++) {
		struct rte_mbuf *m = udp_packet(IP_V4, 0, "\1\2\3\4\5\6\7\10", 8);
		struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, 20);

		udp->dgram_len = rte_cpu_to_be_16((uint16_t)length);
		ck_assert_int_eq(verdict_of(m), length >= 12 && length <= 16 ? 'e' : 'u');
	}
}
END_TEST

START_TEST(a_udp_header_that_is_cut_short_is_refused)
{
	for (uint16_t bytes = 4; bytes < 8; bytes++) {
		struct rte_mbuf *whole = udp_packet(IP_V4, 0, "", 0);
		struct rte_mbuf *m = mbuf_exact_of(rte_pktmbuf_mtod(whole, void *), 20 + bytes);

		*pkt_of(m) = *pkt_of(whole);
		pkt_of(m)->ip_len = 20 + bytes;
		rte_pktmbuf_free(whole);
		ck_assert_int_eq(verdict_of(m), 'u');
	}
}
END_TEST

/* The packet without its UDP header is the one that bare ESP would have been, byte for byte. */
START_TEST(esp_comes_out_of_udp_as_bare_esp_would_have_come)
{
	static const uint8_t families[] = {IP_V4, IP_V6};
	static const char payload[] = "\1\2\3\4\5\6\7\10esp";
	uint16_t extensions = _i < 2 ? 0 : 16;
	uint8_t family = families[_i % 2];
	struct packet_spec spec = {.family = family, .protocol = IPPROTO_ESP, .payload_bytes = 11};
	uint8_t expected[PACKET_BYTES_MAX];
	size_t length = packet_build(&spec, expected);
	struct drops *drops = calloc(1, sizeof(*drops));
	struct burst burst = {.n = 1}, esp = {0};

	if (family == IP_V4)
		extensions = 0;
	memcpy(expected + length - 11, payload, 11);
	if (extensions > 0)
		length = packet_insert(expected, length, IPPROTO_DSTOPTS, extensions);
	struct rte_mbuf *m = udp_packet(family, extensions, payload, 11);
	burst.pkts[0] = m;

	natt_in(&burst, &ports, &esp, drops);

	ck_assert_uint_eq(esp.n, 1);
	ck_assert_uint_eq(rte_pktmbuf_data_len(m), length);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), expected, length);
	ck_assert_uint_eq(pkt_of(m)->ip_len, length);
	ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_ESP);
	ck_assert_uint_eq(pkt_of(m)->flags, PKT_ENCAP);
	ck_assert_uint_eq(pkt_of(m)->source_port, 61000);
	rte_pktmbuf_free(m);
	free(drops);
}
END_TEST

/* And back: what natt_out makes of the bare packet is what came. IPv6's extension headers stay in front. */
START_TEST(esp_goes_into_udp_as_it_came)
{
	static const char payload[] = "\1\2\3\4\5\6\7\10esp";
	uint8_t family = _i == 0 ? IP_V4 : IP_V6;
	struct rte_mbuf *m = udp_packet(family, family == IP_V6 ? 16 : 0, payload, 11);
	struct natt natt = {.source_port = 61000, .destination_port = 4500, .has_checksum = family == IP_V6};
	struct sa sa = {.natt = &natt};
	struct drops *drops = calloc(1, sizeof(*drops));
	struct burst burst = {.n = 1, .pkts = {m}}, esp = {0}, moved = {0};
	uint8_t before[PACKET_BYTES_MAX];
	uint16_t length = rte_pktmbuf_data_len(m);
	struct rte_udp_hdr *udp = rte_pktmbuf_mtod_offset(m, struct rte_udp_hdr *, pkt_of(m)->l4);

	udp->dgram_cksum = 0;
	if (family == IP_V6)
		udp->dgram_cksum = rte_cpu_to_be_16(
			packet_l4_checksum(rte_pktmbuf_mtod(m, void *), pkt_of(m)->l4, length, IPPROTO_UDP));
	memcpy(before, rte_pktmbuf_mtod(m, void *), length);
	natt_in(&burst, &ports, &esp, drops);
	pkt_of(m)->sa = &sa;
	natt_out(&esp, &moved, drops);

	ck_assert_uint_eq(esp.n, 1);
	ck_assert_uint_eq(rte_pktmbuf_data_len(m), length);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), before, length);
	rte_pktmbuf_free(m);
	free(drops);
}
END_TEST

// PMT-2
START_TEST(the_inner_mtu_counts_the_udp_header)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.in_udp = true}, false);

	ck_assert_uint_eq(sa_inner_mtu(sa, 1500), 1438);
	sa_destroy(sa);
}
END_TEST

/* A driver that leaves room for the tunnel's header alone. */
START_TEST(a_packet_without_room_for_udp_is_dropped_before_it_is_changed)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.in_udp = true}, false);

	for (unsigned lacking = 0; lacking < 2; lacking++) {
		struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.payload_bytes = 32});
		struct burst burst = {.n = 1, .pkts = {m}}, moved = {0};
		uint16_t room = 20 + 8 + 8 + 8 + 18; /* IP, UDP, ESP, IV, the link */

		memmove((uint8_t *)m->buf_addr + room - lacking, rte_pktmbuf_mtod(m, void *), m->data_len);
		m->data_off = room - lacking;
		pkt_of(m)->sa = sa;
		sa_pair_encrypt(&env, sa, &burst);
		ck_assert_uint_eq(burst.n, 1 - lacking);
		if (burst.n == 0)
			continue;
		natt_out(&burst, &moved, &env.drops);
		ck_assert_uint_eq(rte_pktmbuf_headroom(m), 18);
		rte_pktmbuf_free(m);
	}
	sa_destroy(sa);
}
END_TEST

static struct natt_endpoint endpoint(const char *address, uint16_t port)
{
	struct natt_endpoint out = {.port = port};

	ck_assert_int_eq(ip_addr_parse(address, &out.address), 0);
	return out;
}

static void assert_at(const struct natt_peer *peer, const char *address, uint16_t port)
{
	struct natt_endpoint is = natt_peer_read(peer), expected = endpoint(address, port);

	ck_assert_uint_eq(is.port, expected.port);
	ck_assert(ip_addr_equal(&is.address, &expected.address));
}

// NAT-6
START_TEST(a_peer_moves_at_once_and_then_not_for_a_second)
{
	struct natt_peer peer = {.family = IP_V4};
	struct natt_endpoint first = endpoint("192.0.2.7", 61000), second = endpoint("192.0.2.8", 61001);
	uint64_t second_tsc = rte_get_tsc_hz();

	natt_peer_move(&peer, &first, 1);
	assert_at(&peer, "192.0.2.7", 61000);
	ck_assert_uint_eq(natt_peer_moves(&peer), 1);
	natt_peer_move(&peer, &second, second_tsc - second_tsc / 100);
	assert_at(&peer, "192.0.2.7", 61000);
	ck_assert_uint_eq(natt_peer_moves(&peer), 1);
	natt_peer_move(&peer, &second, second_tsc + 2);
	assert_at(&peer, "192.0.2.8", 61001);
	ck_assert_uint_eq(natt_peer_moves(&peer), 2);
}
END_TEST

/* A packet of that number and port whose ICV has verified. */
static struct rte_mbuf *authentic(struct sa *sa, uint64_t seq, uint16_t port, bool in_udp)
{
	struct rte_mbuf *m =
		packet_mbuf(&(struct packet_spec){.source = "203.0.113.7", .destination = "192.0.2.1"});

	pkt_of(m)->sa = sa;
	pkt_of(m)->seq = seq;
	pkt_of(m)->source_port = port;
	pkt_of(m)->flags = in_udp ? PKT_ENCAP : 0;
	return m;
}

/* They are accepted, and followed: where the peer is then, as its port. */
static uint16_t port_after(struct sa *sa, struct rte_mbuf **pkts, uint16_t n)
{
	enum replay_verdict verdicts[BURST_MAX];
	uint64_t seqs[BURST_MAX];

	for (uint16_t i = 0; i < n; i++)
		seqs[i] = pkt_of(pkts[i])->seq;
	replay_accept(sa->replay, seqs, n, verdicts);
	natt_follow(sa, pkts, verdicts, n);
	for (uint16_t i = 0; i < n; i++)
		rte_pktmbuf_free(pkts[i]);
	/* Time for the next move. */
	atomic_store(&sa->natt->own_peer.moved_tsc, 0);
	return natt_peer_read(sa->natt->peer).port;
}

// NAT-6
START_TEST(only_the_newest_packet_tells_where_the_peer_is)
{
	struct sa_spec spec = {.in_udp = true};
	struct sa_pair pair = sa_pair_create(&env, &spec);
	struct sa *in = pair.in;

	natt_link(pair.out, in);
	/* The highest of a burst, wherever it stands in it. */
	ck_assert_uint_eq(port_after(in,
				  (struct rte_mbuf *[]){authentic(in, 10, 1010, true),
					  authentic(in, 12, 1012, true), authentic(in, 11, 1011, true)},
				  3),
		1012);
	/* An old one, a replay of the newest, one without UDP, each alone. */
	ck_assert_uint_eq(port_after(in, (struct rte_mbuf *[]){authentic(in, 9, 1009, true)}, 1), 1012);
	ck_assert_uint_eq(port_after(in, (struct rte_mbuf *[]){authentic(in, 12, 1111, true)}, 1), 1012);
	ck_assert_uint_eq(port_after(in, (struct rte_mbuf *[]){authentic(in, 13, 1013, false)}, 1), 1012);
	/* A replay beside a new one. */
	ck_assert_uint_eq(
		port_after(in,
			(struct rte_mbuf *[]){authentic(in, 14, 1014, true), authentic(in, 14, 1, true)}, 2),
		1014);
	ck_assert_uint_eq(natt_peer_moves(in->natt->peer), 2);
	sa_pair_destroy(&pair);
}
END_TEST

/* Threads: places whose port says what their address must be, so that a mixture of two is seen. */

static struct natt_peer shared_peer;
static atomic_bool movers_done;

static struct natt_endpoint place_of(uint16_t number)
{
	struct natt_endpoint place = {.address = {.family = IP_V6}, .port = number};

	memset(place.address.bytes, number & 0xff, sizeof(place.address.bytes));
	return place;
}

static void *mover_main(void *argument)
{
	uint64_t interval = 2 * rte_get_tsc_hz() / 1000 * NATT_MOVE_INTERVAL_MS;
	uint16_t number = (uint16_t)(uintptr_t)argument;

	for (uint64_t i = 1; i <= N_MOVES; i++) {
		struct natt_endpoint place = place_of(number++);

		natt_peer_move(&shared_peer, &place, i * interval);
	}
	return NULL;
}

static void *reader_main(void *argument)
{
	uintptr_t *torn = argument;

	while (!atomic_load(&movers_done)) {
		struct natt_endpoint place = natt_peer_read(&shared_peer);
		struct natt_endpoint whole = place_of(place.port);

		*torn += memcmp(&place, &whole, sizeof(place)) != 0;
	}
	return NULL;
}

/* A reader that begins while a move is half done. */
#define HALF_DONE_US 20000

static atomic_bool reader_began;

static void *half_reader_main(void *argument)
{
	struct natt_endpoint *place = argument;

	atomic_store(&reader_began, true);
	*place = natt_peer_read(&shared_peer);
	return NULL;
}

/* The versions before and after are the same, so that alone the odd one tells. */
START_TEST(a_reader_waits_for_a_move_that_is_half_done)
{
	struct natt_endpoint before = place_of(7), after = place_of(8), read;
	pthread_t reader;

	shared_peer = (struct natt_peer){.family = IP_V6, .version = 1, .port = after.port};
	memcpy(shared_peer.address, before.address.bytes, sizeof(shared_peer.address));
	atomic_store(&reader_began, false);
	reader = eal_thread_create(half_reader_main, &read);
	while (!atomic_load(&reader_began))
		usleep(1);
	usleep(HALF_DONE_US);
	for (unsigned i = 0; i < RTE_DIM(shared_peer.address); i++) {
		uint64_t word;

		memcpy(&word, after.address.bytes + i * sizeof(word), sizeof(word));
		atomic_store(&shared_peer.address[i], word);
	}
	atomic_store(&shared_peer.version, 2);
	pthread_join(reader, NULL);

	ck_assert_uint_eq(read.port, after.port);
	ck_assert(ip_addr_equal(&read.address, &after.address));
}
END_TEST

START_TEST(nobody_reads_half_of_a_move)
{
	pthread_t movers[N_MOVERS], readers[N_READERS];
	uintptr_t torn[N_READERS] = {0};

	shared_peer = (struct natt_peer){.family = IP_V6};
	atomic_store(&movers_done, false);
	for (size_t i = 0; i < N_READERS; i++)
		readers[i] = eal_thread_create(reader_main, &torn[i]);
	for (size_t i = 0; i < N_MOVERS; i++)
		movers[i] = eal_thread_create(mover_main, (void *)(i * 0x8000));
	for (size_t i = 0; i < N_MOVERS; i++)
		pthread_join(movers[i], NULL);
	atomic_store(&movers_done, true);
	for (size_t i = 0; i < N_READERS; i++)
		pthread_join(readers[i], NULL);

	for (size_t i = 0; i < N_READERS; i++)
		ck_assert_uint_eq(torn[i], 0);
	ck_assert_uint_ge(natt_peer_moves(&shared_peer), N_MOVES / 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/natt");
	TCase *tcase = tcase_create("natt");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_table_has_the_ports_that_were_added_alone);
	tcase_add_test(tcase, esp_ike_and_keepalives_are_told_apart);
	tcase_add_test(tcase, what_is_not_by_udp_to_such_a_port_is_kept);
	tcase_add_test(tcase, every_udp_length_but_the_possible_ones_is_refused);
	tcase_add_test(tcase, a_udp_header_that_is_cut_short_is_refused);
	tcase_add_loop_test(tcase, esp_comes_out_of_udp_as_bare_esp_would_have_come, 0, 4);
	tcase_add_loop_test(tcase, esp_goes_into_udp_as_it_came, 0, 2);
	tcase_add_test(tcase, the_inner_mtu_counts_the_udp_header);
	tcase_add_test(tcase, a_packet_without_room_for_udp_is_dropped_before_it_is_changed);
	tcase_add_test(tcase, a_peer_moves_at_once_and_then_not_for_a_second);
	tcase_add_test(tcase, only_the_newest_packet_tells_where_the_peer_is);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_set_tags(threads, "threads");
	tcase_set_timeout(threads, 60);
	tcase_add_test(threads, a_reader_waits_for_a_move_that_is_half_done);
	tcase_add_test(threads, nobody_reads_half_of_a_move);
	suite_add_tcase(suite, threads);
	return eal_run_suite(suite);
}
