#include "model/selector.h"

#include <check.h>
#include <stdlib.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr parsed;

	ck_assert_int_eq(ip_addr_parse(text, &parsed), 0);
	return parsed;
}

/* Add a range to a list of the selector's, which selector_fini frees. */
static void range_add(struct ip_range **ranges, size_t *n_ranges, const char *text)
{
	*ranges = realloc(*ranges, (*n_ranges + 1) * sizeof(**ranges));
	ck_assert_ptr_nonnull(*ranges);
	ck_assert_int_eq(ip_range_parse(text, &(*ranges)[*n_ranges]), 0);
	(*n_ranges)++;
}

static void source_add(struct selector *selector, const char *text)
{
	range_add(&selector->sources, &selector->n_sources, text);
}

static void destination_add(struct selector *selector, const char *text)
{
	range_add(&selector->destinations, &selector->n_destinations, text);
}

static struct flow flow_make(const char *source, const char *destination)
{
	return (struct flow){
		.source = addr(source),
		.destination = addr(destination),
		.protocol = IPPROTO_NUMBER_TCP,
		.has_ports = true,
		.source_port = 1024,
		.destination_port = 80,
	};
}

static bool source_matches(const struct selector *selector, const char *source)
{
	struct flow flow = flow_make(source, addr(source).family == IP_V4 ? "192.0.2.1" : "2001:db8::1");

	return selector_match(selector, &flow);
}

static bool ports_match(const struct selector *selector, uint16_t source, uint16_t destination)
{
	struct flow flow = flow_make("10.0.0.1", "10.0.0.2");

	flow.source_port = source;
	flow.destination_port = destination;
	return selector_match(selector, &flow);
}

static struct selector selector;

static void setup(void)
{
	selector_init(&selector);
}

static void teardown(void)
{
	selector_fini(&selector);
}

START_TEST(a_fresh_selector_matches_every_packet)
{
	struct flow ipv4 = flow_make("0.0.0.0", "255.255.255.255");
	struct flow ipv6 = flow_make("::", "ffff::1");

	ipv6.has_ports = false;
	ipv6.protocol = 255;
	ck_assert(selector_match(&selector, &ipv4));
	ck_assert(selector_match(&selector, &ipv6));
}
END_TEST

/* SPD-6 */
START_TEST(a_range_that_is_no_prefix_has_exact_edges)
{
	source_add(&selector, "10.0.0.5-10.0.0.9");
	ck_assert(!source_matches(&selector, "10.0.0.4"));
	ck_assert(source_matches(&selector, "10.0.0.5"));
	ck_assert(source_matches(&selector, "10.0.0.9"));
	ck_assert(!source_matches(&selector, "10.0.0.10"));
}
END_TEST

/* SPD-6 */
START_TEST(an_ipv6_range_has_exact_edges)
{
	source_add(&selector, "2001:db8::5-2001:db8:0:1::9");
	ck_assert(!source_matches(&selector, "2001:db8::4"));
	ck_assert(source_matches(&selector, "2001:db8::5"));
	ck_assert(source_matches(&selector, "2001:db8::ffff:ffff:ffff:ffff"));
	ck_assert(source_matches(&selector, "2001:db8:0:1::9"));
	ck_assert(!source_matches(&selector, "2001:db8:0:1::a"));
}
END_TEST

/* SPD-6 */
START_TEST(any_range_of_a_list_will_do)
{
	source_add(&selector, "10.0.0.0/24");
	source_add(&selector, "10.0.2.7");
	source_add(&selector, "2001:db8::/32");
	ck_assert(source_matches(&selector, "10.0.0.255"));
	ck_assert(!source_matches(&selector, "10.0.1.0"));
	ck_assert(source_matches(&selector, "10.0.2.7"));
	ck_assert(!source_matches(&selector, "10.0.2.8"));
	ck_assert(source_matches(&selector, "2001:db8:ffff::1"));
}
END_TEST

START_TEST(a_list_of_one_family_matches_no_packet_of_the_other)
{
	source_add(&selector, "0.0.0.0/0");
	ck_assert(source_matches(&selector, "10.0.0.1"));
	ck_assert(!source_matches(&selector, "::"));
	ck_assert(!source_matches(&selector, "a00:1::"));
}
END_TEST

START_TEST(both_source_and_destination_must_match)
{
	struct flow forth = flow_make("10.1.0.1", "10.2.0.1");
	struct flow back = flow_make("10.2.0.1", "10.1.0.1");
	struct flow inside = flow_make("10.1.0.1", "10.1.0.2");

	source_add(&selector, "10.1.0.0/16");
	destination_add(&selector, "10.2.0.0/16");
	ck_assert(selector_match(&selector, &forth));
	ck_assert(!selector_match(&selector, &back));
	ck_assert(!selector_match(&selector, &inside));
}
END_TEST

/* SPD-6 */
START_TEST(a_protocol_matches_itself_alone)
{
	struct flow flow = flow_make("10.0.0.1", "10.0.0.2");

	for (int protocol = 0; protocol <= UINT8_MAX; protocol++) {
		flow.protocol = (uint8_t)protocol;
		selector.protocol = SELECTOR_PROTOCOL_ANY;
		ck_assert(selector_match(&selector, &flow));
		selector.protocol = protocol;
		ck_assert(selector_match(&selector, &flow));
		selector.protocol = (protocol + 1) % 256;
		ck_assert(!selector_match(&selector, &flow));
	}
}
END_TEST

/* SPD-6 */
START_TEST(port_ranges_have_exact_edges)
{
	selector.source_ports = (struct port_range){1000, 2000};
	selector.destination_ports = (struct port_range){80, 80};
	ck_assert(!ports_match(&selector, 999, 80));
	ck_assert(ports_match(&selector, 1000, 80));
	ck_assert(ports_match(&selector, 2000, 80));
	ck_assert(!ports_match(&selector, 2001, 80));
	ck_assert(!ports_match(&selector, 1000, 79));
	ck_assert(!ports_match(&selector, 1000, 81));
}
END_TEST

START_TEST(a_range_is_any_only_if_it_holds_every_port)
{
	ck_assert(port_range_is_any(&(struct port_range){0, SELECTOR_PORT_LAST}));
	ck_assert(!port_range_is_any(&(struct port_range){1, SELECTOR_PORT_LAST}));
	ck_assert(!port_range_is_any(&(struct port_range){0, SELECTOR_PORT_LAST - 1}));
}
END_TEST

/* SPD-8 */
START_TEST(ports_that_can_not_be_seen_match_any_alone)
{
	struct flow flow = flow_make("10.0.0.1", "10.0.0.2");

	flow.has_ports = false;
	ck_assert(selector_match(&selector, &flow));
	selector.source_ports = (struct port_range){0, SELECTOR_PORT_LAST - 1};
	ck_assert(!selector_match(&selector, &flow));
	selector_init(&selector);
	selector.destination_ports = (struct port_range){1, SELECTOR_PORT_LAST};
	ck_assert(!selector_match(&selector, &flow));
}
END_TEST

/* SPD-6: and no others, unlike ANY. */
START_TEST(opaque_matches_ports_that_can_not_be_seen)
{
	struct flow flow = flow_make("10.0.0.1", "10.0.0.2");
	struct port_range *const ranges[] = {&selector.source_ports, &selector.destination_ports};

	for (unsigned i = 0; i < 2; i++) {
		selector_init(&selector);
		*ranges[i] = (struct port_range)SELECTOR_PORTS_OPAQUE;
		ck_assert(port_range_is_opaque(ranges[i]) && !port_range_is_any(ranges[i]));
		ck_assert(selector_reads_opaque(&selector) && !selector_reads_ports(&selector));
		flow.has_ports = false;
		ck_assert(selector_match(&selector, &flow));
		flow.has_ports = true;
		ck_assert(!selector_match(&selector, &flow));
	}
	ck_assert(!port_range_is_opaque(&(struct port_range){7, 7}));
	ck_assert(!port_range_is_opaque(&(struct port_range){0, SELECTOR_PORT_LAST}));
}
END_TEST

/* SPD-6: a number does not match, though it is the one that hides the protocol. */
START_TEST(opaque_matches_a_protocol_that_can_not_be_seen)
{
	struct flow flow = flow_make("fd00::1", "fd00::2");

	flow.protocol = 60;
	for (int hides = 0; hides < 2; hides++) {
		flow.hides_protocol = hides;
		selector.protocol = SELECTOR_PROTOCOL_ANY;
		ck_assert(selector_match(&selector, &flow));
		selector.protocol = SELECTOR_PROTOCOL_OPAQUE;
		ck_assert_int_eq(selector_match(&selector, &flow), hides);
		selector.protocol = 60;
		ck_assert_int_eq(selector_match(&selector, &flow), !hides);
	}
	selector.protocol = SELECTOR_PROTOCOL_OPAQUE;
	ck_assert(selector_reads_opaque(&selector) && !selector_reads_ports(&selector));
}
END_TEST

/* SPD-6: the type stands in the source port, the code in the destination port. */
START_TEST(icmp_type_and_code_are_matched_as_ports)
{
	struct flow flow = flow_make("10.0.0.1", "10.0.0.2");

	flow.protocol = IPPROTO_NUMBER_ICMP;
	flow.source_port = 3;
	flow.destination_port = 4;
	selector.protocol = IPPROTO_NUMBER_ICMP;
	selector.source_ports = (struct port_range){3, 3};
	selector.destination_ports = (struct port_range){4, 15};
	ck_assert(selector_match(&selector, &flow));
	flow.destination_port = 3;
	ck_assert(!selector_match(&selector, &flow));
	flow.destination_port = 15;
	ck_assert(selector_match(&selector, &flow));
	flow.destination_port = 16;
	ck_assert(!selector_match(&selector, &flow));
	flow.destination_port = 4;
	flow.source_port = 11;
	ck_assert(!selector_match(&selector, &flow));
}
END_TEST

START_TEST(a_finished_selector_matches_every_packet_again)
{
	source_add(&selector, "10.0.0.0/8");
	selector.protocol = IPPROTO_NUMBER_UDP;
	selector_fini(&selector);
	ck_assert_ptr_null(selector.sources);
	ck_assert(source_matches(&selector, "192.0.2.7"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model/selector");
	TCase *cases = tcase_create("selector");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, cases);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, a_fresh_selector_matches_every_packet);
	tcase_add_test(cases, a_range_that_is_no_prefix_has_exact_edges);
	tcase_add_test(cases, an_ipv6_range_has_exact_edges);
	tcase_add_test(cases, any_range_of_a_list_will_do);
	tcase_add_test(cases, a_list_of_one_family_matches_no_packet_of_the_other);
	tcase_add_test(cases, both_source_and_destination_must_match);
	tcase_add_test(cases, a_protocol_matches_itself_alone);
	tcase_add_test(cases, port_ranges_have_exact_edges);
	tcase_add_test(cases, a_range_is_any_only_if_it_holds_every_port);
	tcase_add_test(cases, ports_that_can_not_be_seen_match_any_alone);
	tcase_add_test(cases, opaque_matches_ports_that_can_not_be_seen);
	tcase_add_test(cases, opaque_matches_a_protocol_that_can_not_be_seen);
	tcase_add_test(cases, icmp_type_and_code_are_matched_as_ports);
	tcase_add_test(cases, a_finished_selector_matches_every_packet_again);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
