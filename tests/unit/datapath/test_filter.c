#include "datapath/filter.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>

#include "support/eal.h"
#include "support/packet.h"

static const struct packet_spec tcp = {.source = "10.1.0.1",
	.destination = "10.2.0.1",
	.protocol = IPPROTO_TCP,
	.source_port = 1000,
	.destination_port = 443};
static const uint8_t esp_header[] = {0, 0, 0x10, 0x01, 0, 0, 0, 7};
static const struct packet_spec esp = {.source = "192.0.2.1",
	.destination = "198.51.100.1",
	.protocol = IPPROTO_ESP,
	.payload = esp_header,
	.payload_bytes = sizeof(esp_header)};

/* What is seen of the packet as a frame of port 1. */
static struct sight sight_of(const struct packet_spec *spec)
{
	struct sight sight = {.port_in = 1};
	struct rte_mbuf *m = packet_frame_mbuf(spec);

	sight_take_one(&sight, m, true);
	rte_pktmbuf_free(m);
	return sight;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix out;

	ck_assert_int_eq(ip_prefix_parse(text, &out), 0);
	return out;
}

static struct filter any(void)
{
	struct filter filter;

	filter_init(&filter);
	return filter;
}

START_TEST(a_filter_of_nothing_lets_all_pass)
{
	struct filter filter = any();
	struct sight nothing = {.port_in = 3};
	struct sight sight = sight_of(&tcp);

	ck_assert(filter_is_open(&filter));
	ck_assert(filter_match(&filter, &sight));
	ck_assert(filter_match(&filter, &nothing));
}
END_TEST

/* Each in turn: passed by what it says, refused by the rest. */
START_TEST(each_thing_that_is_asked_for_must_be_so)
{
	struct sight sight = sight_of(&tcp);
	const struct {
		struct filter good, bad;
	} cases[] = {
#define CASE(member, right, wrong)                                                                           \
	{({                                                                                                  \
		 struct filter f = any();                                                                    \
		 f.member = right;                                                                           \
		 f;                                                                                          \
	 }),                                                                                                 \
		({                                                                                           \
			struct filter f = any();                                                             \
			f.member = wrong;                                                                    \
			f;                                                                                   \
		})}
		CASE(port, 1, 2),
		CASE(protocol, IPPROTO_TCP, IPPROTO_UDP),
		CASE(source_port, 1000, 443),
		CASE(destination_port, 443, 1000),
		CASE(source, prefix("10.1.0.0/24"), prefix("10.2.0.0/24")),
		CASE(destination, prefix("10.2.0.1"), prefix("10.1.0.1")),
		CASE(host, prefix("10.2.0.0/16"), prefix("10.3.0.0/16")),
		CASE(host, prefix("10.1.0.1"), prefix("fd00::/16")),
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		ck_assert_msg(filter_match(&cases[i].good, &sight), "case %zu", i);
		ck_assert_msg(!filter_match(&cases[i].bad, &sight), "case %zu", i);
	}
}
END_TEST

START_TEST(an_spi_is_that_of_esp)
{
	struct sight of_esp = sight_of(&esp), of_tcp = sight_of(&tcp);
	struct filter filter = any();

	filter.spi = 0x1001;
	ck_assert(!filter_is_open(&filter));
	ck_assert(filter_match(&filter, &of_esp));
	ck_assert(!filter_match(&filter, &of_tcp));
	filter.spi = 0x1002;
	ck_assert(!filter_match(&filter, &of_esp));
}
END_TEST

START_TEST(an_sa_is_known_by_its_name_or_by_what_its_packets_say)
{
	struct sight sight = sight_of(&esp), inner = sight_of(&tcp);
	struct sa *sa = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*sa));
	struct filter filter = any();

	memset(sa, 0, sizeof(*sa));
	strcpy(sa->name, "hq");
	strcpy(filter.sa, "hq");
	ck_assert(!filter_is_open(&filter));
	ck_assert(!filter_match(&filter, &inner));
	inner.sa = sa;
	ck_assert(filter_match(&filter, &inner));
	strcpy(sa->name, "hq2");
	ck_assert(!filter_match(&filter, &inner));

	ck_assert(!filter_match(&filter, &sight));
	filter.sa_spi = RTE_BE32(0x1001);
	ck_assert_int_eq(ip_addr_parse("198.51.100.1", &filter.sa_destination), 0);
	ck_assert(filter_match(&filter, &sight));
	ck_assert_int_eq(ip_addr_parse("198.51.100.2", &filter.sa_destination), 0);
	ck_assert(!filter_match(&filter, &sight));
	free(sa);
}
END_TEST

START_TEST(a_tagged_frame_is_seen_through_its_tag)
{
	struct packet_spec spec = tcp;
	struct filter filter = any();

	spec.vlan = 100;
	filter.destination_port = 443;
	struct sight sight = sight_of(&spec);
	ck_assert(filter_match(&filter, &sight));
}
END_TEST

/*
 * Nobody has looked at the bytes before: however short the frame, none behind its end is read, where the rest
 * of a packet stands.
 */
START_TEST(a_frame_that_is_cut_short_is_no_packet_or_less_of_one)
{
	for (uint16_t bytes = 0; bytes <= 54; bytes++) {
		struct rte_mbuf *m = packet_frame_mbuf(&tcp);
		struct sight sight = {0};

		m->data_len = bytes;
		m->pkt_len = bytes;
		sight_take_one(&sight, m, true);
		ck_assert_int_eq(sight.is_ip, bytes >= 34);
		ck_assert_int_eq(sight.quote.flow.has_ports, bytes >= 38);
		rte_pktmbuf_free(m);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter");
	TCase *tcase = tcase_create("filter");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_test(tcase, a_filter_of_nothing_lets_all_pass);
	tcase_add_test(tcase, each_thing_that_is_asked_for_must_be_so);
	tcase_add_test(tcase, an_spi_is_that_of_esp);
	tcase_add_test(tcase, an_sa_is_known_by_its_name_or_by_what_its_packets_say);
	tcase_add_test(tcase, a_tagged_frame_is_seen_through_its_tag);
	tcase_add_test(tcase, a_frame_that_is_cut_short_is_no_packet_or_less_of_one);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
