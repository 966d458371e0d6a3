#include "model/check.h"
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>

/* The sample gateway; each test adds one fault to it. */
static struct gateway gateway;

static void setup(void)
{
	sample_init(&gateway);
}

static void teardown(void)
{
	gateway_fini(&gateway);
}

static void sample_drop_sas(struct gateway *sample)
{
	while (sample->n_policies > 0) {
		struct policy *policy = &sample->policies[--sample->n_policies];

		free(policy->sas[0]);
		free(policy->sas);
		free(policy->name);
	}
	while (sample->n_sas > 0)
		free(sample->sas[--sample->n_sas].name);
}

static void range_add(struct ip_range **ranges, size_t *n_ranges, const char *text)
{
	ck_assert_int_eq(ip_range_parse(text, array_append(ranges, n_ranges)), 0);
}

/* The findings are exactly those lines, in that order. */
static void assert_findings(const char *const *lines, size_t n_lines)
{
	struct report report;

	report_init(&report);
	gateway_check(&gateway, &report);
	for (size_t i = 0; i < n_lines && i < report.n_findings; i++) {
		char line[512];

		snprintf(line, sizeof(line), "%s: %s", report.findings[i].path, report.findings[i].text);
		ck_assert_str_eq(line, lines[i]);
	}
	ck_assert_msg(report.n_findings == n_lines, "%zu findings, the last is %s: %s", report.n_findings,
		report.n_findings ? report.findings[report.n_findings - 1].path : "",
		report.n_findings ? report.findings[report.n_findings - 1].text : "");
	report_fini(&report);
}

#define ASSERT_FINDINGS(...)                                                                                 \
	do {                                                                                                 \
		static const char *const lines[] = {__VA_ARGS__};                                            \
		assert_findings(lines, sizeof(lines) / sizeof(lines[0]));                                    \
	} while (0)

#define ASSERT_NO_FINDING() assert_findings(NULL, 0)

static const struct {
	const char *address;
	const char *finding;
} no_hosts[] = {
	{"224.1.2.3/24", "ports.dmz.addresses[0]: 224.1.2.3 is a multicast address"},
	{"ff02::1/64", "ports.dmz.addresses[0]: ff02::1 is a multicast address"},
	{"0.1.2.3/24", "ports.dmz.addresses[0]: 0.1.2.3 is unspecified"},
	{"::/64", "ports.dmz.addresses[0]: :: is unspecified"},
	{"127.0.0.1/8", "ports.dmz.addresses[0]: 127.0.0.1 is a loopback address"},
	{"::1/128", "ports.dmz.addresses[0]: ::1 is a loopback address"},
	{"255.255.255.255/32", "ports.dmz.addresses[0]: 255.255.255.255 is the broadcast address"},
	{"10.3.0.0/24",
		"ports.dmz.addresses[0]: 10.3.0.0 is the address of the whole link, not of a host on it"},
	{"10.3.0.255/24", "ports.dmz.addresses[0]: 10.3.0.255 is the link's broadcast address"},
};

START_TEST(a_ports_address_is_a_hosts)
{
	sample_add_port(&gateway, "dmz", "net_tap2", SIDE_PROTECTED, no_hosts[_i].address);
	assert_findings(&no_hosts[_i].finding, 1);
}
END_TEST

START_TEST(a_gateway_without_faults_has_no_finding)
{
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(an_sa_that_no_policy_uses_is_no_fault)
{
	sample_add_sa(&gateway, "spare", 0x3001, "198.51.100.1", "192.0.2.1");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(more_sas_than_there_is_room_for_are_a_fault)
{
	gateway.memory.sas = (uint32_t)gateway.n_sas;
	ASSERT_NO_FINDING();
	sample_add_sa(&gateway, "spare", 0x3001, "198.51.100.1", "192.0.2.1");
	ASSERT_FINDINGS("memory.sas: has room for 2 SAs, and there are 3");
}
END_TEST

START_TEST(a_gateway_needs_a_protected_port)
{
	gateway.ports[0].side = SIDE_UNPROTECTED;
	ASSERT_FINDINGS("ports: no port is on the protected side");
}
END_TEST

START_TEST(a_gateway_needs_an_unprotected_port)
{
	sample_drop_sas(&gateway);
	gateway.ports[1].side = SIDE_PROTECTED;
	ASSERT_FINDINGS("ports: no port is on the unprotected side");
}
END_TEST

START_TEST(each_worker_needs_buffers)
{
	gateway.workers.n_lcores = 3;
	gateway.memory.packets = 1536;
	ASSERT_NO_FINDING();
	gateway.memory.packets = 1535;
	ASSERT_FINDINGS("memory.packets: 1535 packets are too few: 3 workers need 1536");
	gateway.workers.n_lcores = 0;
}
END_TEST

START_TEST(a_device_is_one_port_whatever_its_arguments)
{
	sample_add_port(&gateway, "dmz", "net_tap0,iface=x", SIDE_PROTECTED, "10.3.0.1/24");
	ASSERT_FINDINGS("ports.dmz.device: is the device of port 'lan' too");
}
END_TEST

START_TEST(a_pci_address_may_leave_its_domain_out)
{
	sample_add_port(&gateway, "a", "0000:41:00.0", SIDE_PROTECTED, "10.3.0.1/24");
	sample_add_port(&gateway, "b", "41:00.0", SIDE_PROTECTED, "10.4.0.1/24");
	ASSERT_FINDINGS("ports.b.device: is the device of port 'a' too");
}
END_TEST

START_TEST(devices_whose_names_begin_alike_are_two)
{
	sample_add_port(&gateway, "dmz", "net_tap01", SIDE_PROTECTED, "10.3.0.1/24");
	sample_add_port(&gateway, "x", "0001:41:00.0", SIDE_PROTECTED, "10.4.0.1/24");
	sample_add_port(&gateway, "y", "0000:41:00.0", SIDE_PROTECTED, "10.5.0.1/24");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(an_address_belongs_to_one_port)
{
	sample_add_port(&gateway, "dmz", "net_tap2", SIDE_PROTECTED, "10.1.0.1/24");
	ASSERT_FINDINGS("ports.dmz.addresses[0]: is an address of port 'lan' already");
}
END_TEST

START_TEST(links_of_two_ports_do_not_overlap)
{
	sample_add_port(&gateway, "dmz", "net_tap2", SIDE_PROTECTED, "10.1.7.1/16");
	ASSERT_FINDINGS("ports.dmz.addresses[0]: overlaps a link of port 'lan'");
}
END_TEST

START_TEST(two_addresses_on_the_link_of_one_port_are_no_fault)
{
	*array_append(&gateway.ports[0].addresses, &gateway.ports[0].n_addresses) =
		sample_prefix("10.1.0.2/24");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(the_addresses_of_a_point_to_point_link_are_hosts)
{
	sample_add_port(&gateway, "dmz", "net_tap2", SIDE_PROTECTED, "10.3.0.0/31");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(a_next_hop_is_on_a_link)
{
	sample_add_route(&gateway, "10.2.0.0/16", "203.0.113.1");
	ASSERT_FINDINGS("routes[0].via: 203.0.113.1 is on no port's link");
}
END_TEST

START_TEST(a_next_hop_is_not_the_gateway_itself)
{
	sample_add_route(&gateway, "10.2.0.0/16", "192.0.2.1");
	ASSERT_FINDINGS("routes[0].via: 192.0.2.1 is the gateway's own address");
}
END_TEST

START_TEST(a_next_hop_is_of_the_family_of_its_route)
{
	sample_add_route(&gateway, "fd00::/8", "192.0.2.2");
	ASSERT_FINDINGS("routes[0].via: is of another family than the destinations");
}
END_TEST

START_TEST(a_next_hop_is_a_host)
{
	sample_add_route(&gateway, "10.2.0.0/16", "224.0.0.1");
	ASSERT_FINDINGS("routes[0].via: 224.0.0.1 is a multicast address");
}
END_TEST

START_TEST(a_prefix_has_one_route)
{
	sample_add_route(&gateway, "10.2.0.0/16", "192.0.2.2");
	sample_add_route(&gateway, "10.2.0.0/24", "192.0.2.2");
	sample_add_route(&gateway, "10.2.0.0/16", "192.0.2.3");
	sample_add_route(&gateway, "10.2.0.0/16", "192.0.2.4");
	ASSERT_FINDINGS("routes[2].to: routes[0] is to the same prefix",
		"routes[3].to: routes[0] is to the same prefix");
}
END_TEST

START_TEST(a_route_that_was_not_read_is_not_judged)
{
	array_append(&gateway.routes, &gateway.n_routes);
	array_append(&gateway.routes, &gateway.n_routes);
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(a_neighbours_port_exists)
{
	sample_add_neighbour(&gateway, "dmz", "192.0.2.2");
	ASSERT_FINDINGS("neighbours[0].port: no port is named 'dmz'");
}
END_TEST

START_TEST(a_neighbour_is_on_its_ports_link)
{
	sample_add_neighbour(&gateway, "wan", "10.1.0.2");
	ASSERT_FINDINGS("neighbours[0].address: 10.1.0.2 is not on a link of port 'wan'");
}
END_TEST

START_TEST(a_neighbour_is_not_the_gateway_itself)
{
	sample_add_neighbour(&gateway, "wan", "192.0.2.1");
	ASSERT_FINDINGS("neighbours[0].address: 192.0.2.1 is the gateway's own address");
}
END_TEST

START_TEST(a_neighbour_is_a_host)
{
	sample_add_neighbour(&gateway, "wan", "239.0.0.1");
	ASSERT_FINDINGS("neighbours[0].address: 239.0.0.1 is a multicast address");
}
END_TEST

START_TEST(a_neighbour_has_one_mac_address)
{
	sample_add_neighbour(&gateway, "wan", "192.0.2.2");
	sample_add_neighbour(&gateway, "wan", "192.0.2.3");
	sample_add_neighbour(&gateway, "wan", "192.0.2.2");
	ASSERT_FINDINGS("neighbours[2].address: neighbours[0] has the same port and address");
}
END_TEST

START_TEST(a_neighbour_that_was_not_read_is_not_judged)
{
	array_append(&gateway.neighbours, &gateway.n_neighbours);
	array_append(&gateway.neighbours, &gateway.n_neighbours);
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(one_end_of_an_sa_is_the_gateways_own)
{
	sample_add_sa(&gateway, "x", 0x3001, "203.0.113.1", "198.51.100.1");
	ASSERT_FINDINGS("sas.x: neither source nor destination is the gateway's own address");
}
END_TEST

START_TEST(one_end_of_an_sa_is_another_gateway)
{
	sample_add_sa(&gateway, "x", 0x3001, "192.0.2.1", "10.1.0.1");
	ASSERT_FINDINGS("sas.x: both ends are the gateway's own addresses");
}
END_TEST

START_TEST(an_outbound_sa_begins_on_an_unprotected_port)
{
	sample_add_sa(&gateway, "x", 0x3001, "10.1.0.1", "198.51.100.1");
	ASSERT_FINDINGS("sas.x.source: 10.1.0.1 is an address of port 'lan', which is on the protected side");
}
END_TEST

START_TEST(an_inbound_sa_ends_on_an_unprotected_port)
{
	sample_add_sa(&gateway, "x", 0x3001, "198.51.100.1", "10.1.0.1");
	ASSERT_FINDINGS(
		"sas.x.destination: 10.1.0.1 is an address of port 'lan', which is on the protected side");
}
END_TEST

START_TEST(the_ends_of_an_sa_are_hosts)
{
	sample_add_sa(&gateway, "x", 0x3001, "192.0.2.1", "224.0.0.1");
	sample_add_sa(&gateway, "y", 0x3002, "0.0.0.0", "192.0.2.1");
	ASSERT_FINDINGS("sas.x.destination: 224.0.0.1 is a multicast address",
		"sas.y.source: 0.0.0.0 is unspecified");
}
END_TEST

START_TEST(an_spi_and_a_destination_are_one_sa)
{
	sample_add_sa(&gateway, "x", 0x2001, "203.0.113.1", "192.0.2.1");
	ASSERT_FINDINGS("sas.x.spi: 0x00002001 is the SPI of 'down' too, with the same destination");
}
END_TEST

START_TEST(an_spi_may_serve_two_destinations)
{
	sample_add_sa(&gateway, "x", 0x1001, "192.0.2.1", "203.0.113.1");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(a_key_belongs_to_one_sa)
{
	gateway.sas[1].key = gateway.sas[0].key;
	ASSERT_FINDINGS("sas.down: has the same key as 'up'; each SA needs its own");
}
END_TEST

/* SAL-1: SAs that are found by different things may have one SPI. */
START_TEST(sas_with_one_spi_are_told_apart_by_what_they_are_found_by)
{
	struct sa_conf *sa = sample_add_sa(&gateway, "x", 0x2001, "198.51.100.2", "192.0.2.1");

	sa->lookup = SA_LOOKUP_SPI;
	ASSERT_NO_FINDING();
	sa->lookup = SA_LOOKUP_SOURCE;
	ASSERT_NO_FINDING();
	gateway.sas[1].lookup = SA_LOOKUP_SOURCE;
	ASSERT_NO_FINDING();
	sa->source = sample_addr("198.51.100.1");
	ASSERT_FINDINGS(
		"sas.x.spi: 0x00002001 is the SPI of 'down' too, with the same destination and source");
}
END_TEST

START_TEST(of_the_sas_that_are_found_by_spi_alone_each_has_its_own_of_a_family)
{
	struct sa_conf *sa = sample_add_sa(&gateway, "x", 0x2001, "198.51.100.2", "192.0.2.2");

	*array_append(&gateway.ports[1].addresses, &gateway.ports[1].n_addresses) =
		sample_prefix("192.0.2.2/24");
	*array_append(&gateway.ports[1].addresses, &gateway.ports[1].n_addresses) =
		sample_prefix("2001:db8::1/64");
	gateway.sas[1].lookup = SA_LOOKUP_SPI;
	sa->lookup = SA_LOOKUP_SPI;
	ASSERT_FINDINGS("sas.x.spi: 0x00002001 is the SPI of 'down' too, and both are found by it alone");
	sa->source = sample_addr("2001:db8::2");
	sa->destination = sample_addr("2001:db8::1");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(an_outbound_sa_is_looked_up_by_its_peer)
{
	gateway.sas[0].lookup = SA_LOOKUP_SPI;
	ASSERT_FINDINGS("sas.up.lookup: the SA is outbound; its peer looks it up");
}
END_TEST

/* Both SAs of the tunnel go in UDP, and the outbound one follows the other. */
static void put_in_udp(void)
{
	for (int i = 0; i < 2; i++) {
		struct sa_conf *sa = &gateway.sas[i];

		sa->encap = SA_ENCAP_UDP;
		sa->source_port = i == 0 ? 4500 : 61000;
		sa->destination_port = i == 0 ? 61000 : 4500;
		sa->bare_esp = true;
		sa->replay_window_pkts = SA_REPLAY_WINDOW_DEFAULT;
	}
	gateway.sas[0].follows = xstrdup("down");
}

START_TEST(an_outbound_sa_follows_the_inbound_one_of_its_peer)
{
	put_in_udp();
	ASSERT_NO_FINDING();
}
END_TEST

// NAT-6
START_TEST(an_sa_follows_only_what_can_tell_where_its_peer_is)
{
	struct sa_conf *down = &gateway.sas[1];

	put_in_udp();
	down->replay_window_pkts = 0;
	ASSERT_FINDINGS(
		"sas.up.follows: 'down' has no anti-replay (its replay_window is 0), without which no "
		"packet is the newest");
	down->replay_window_pkts = SA_REPLAY_WINDOW_DEFAULT;
	down->source_port = 4500;
	ASSERT_FINDINGS("sas.up.follows: 'down' is not between the same addresses and ports");
	gateway.sas[1].lookup = SA_LOOKUP_SOURCE;
	ASSERT_FINDINGS("sas.up.follows: 'down' is found by its source, and would be lost where that moves");
	gateway.sas[1].lookup = SA_LOOKUP_DESTINATION;
	down->encap = SA_ENCAP_NONE;
	ASSERT_FINDINGS("sas.up.follows: 'down' is not in UDP");
	free(gateway.sas[0].follows);
	gateway.sas[0].follows = xstrdup("up");
	ASSERT_FINDINGS("sas.up.follows: 'up' is outbound; the SA to follow is inbound");
	free(gateway.sas[0].follows);
	gateway.sas[0].follows = xstrdup("upp");
	ASSERT_FINDINGS("sas.up.follows: 'upp' is the name of no SA");
}
END_TEST

START_TEST(an_inbound_sa_has_nothing_that_only_a_sender_heeds)
{
	struct sa_conf *down = &gateway.sas[1];

	put_in_udp();
	down->keepalive_s = 20;
	down->udp_checksum = SA_UDP_CHECKSUM_ZERO;
	down->follows = xstrdup("up");
	ASSERT_FINDINGS("sas.down.keepalive: the SA is inbound; the outbound one sends keepalives",
		"sas.down.udp_checksum: the SA is inbound, and takes any checksum",
		"sas.down.follows: the SA is inbound; an outbound one follows it");
}
END_TEST

START_TEST(an_sa_that_was_not_read_is_not_judged)
{
	for (int i = 0; i < 2; i++) {
		struct sa_conf *sa = array_append(&gateway.sas, &gateway.n_sas);

		sa->name = xstrdup(i ? "x" : "y");
	}
	sample_add_policy(&gateway, "p", POLICY_IN, "x");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(a_policys_sa_exists)
{
	sample_add_policy(&gateway, "p", POLICY_OUT, "upp");
	ASSERT_FINDINGS("policies[2].sas[0]: no SA is named 'upp'");
}
END_TEST

START_TEST(an_outbound_policy_has_an_outbound_sa)
{
	sample_add_policy(&gateway, "p", POLICY_OUT, "down");
	ASSERT_FINDINGS("policies[2].sas[0]: 'down' is inbound (its destination is this gateway), the policy "
			"is outbound");
}
END_TEST

START_TEST(an_inbound_policy_has_an_inbound_sa)
{
	sample_add_policy(&gateway, "p", POLICY_IN, "up");
	ASSERT_FINDINGS("policies[2].sas[0]: 'up' is outbound (its destination is not this gateway), the "
			"policy is inbound");
}
END_TEST

START_TEST(a_name_belongs_to_one_policy)
{
	sample_add_policy(&gateway, "out", POLICY_IN, NULL);
	ASSERT_FINDINGS("policies[2].name: policies[0] has the same name");
}
END_TEST

START_TEST(policies_whose_names_were_not_read_are_not_judged)
{
	for (int i = 0; i < 2; i++)
		selector_init(
			&((struct policy *)array_append(&gateway.policies, &gateway.n_policies))->selector);
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(a_policys_families_agree)
{
	struct selector *selector = &sample_add_policy(&gateway, "p", POLICY_IN, NULL)->selector;

	range_add(&selector->sources, &selector->n_sources, "10.0.0.0/8");
	range_add(&selector->sources, &selector->n_sources, "11.0.0.0/8");
	range_add(&selector->destinations, &selector->n_destinations, "fd00::/8");

	ASSERT_FINDINGS("policies[2]: matches nothing: source and destination are of different families");
}
END_TEST

START_TEST(a_policy_of_both_families_on_one_side_is_no_fault)
{
	struct selector *selector = &sample_add_policy(&gateway, "p", POLICY_IN, NULL)->selector;

	range_add(&selector->sources, &selector->n_sources, "10.0.0.0/8");
	range_add(&selector->sources, &selector->n_sources, "fd01::/16");
	range_add(&selector->destinations, &selector->n_destinations, "fd00::/8");

	ASSERT_NO_FINDING();
}
END_TEST

/* An SA from the gateway to its peer, or back. */
static struct sa_conf *step_add(const char *name, enum sa_protocol protocol, enum sa_mode mode)
{
	struct sa_conf *sa =
		sample_add_sa(&gateway, name, 0x4000 + (uint32_t)gateway.n_sas, "192.0.2.1", "198.51.100.1");

	sa->protocol = protocol;
	sa->mode = mode;
	return sa;
}

static void policy_of_steps(const char *name, const char *const *sas)
{
	struct policy *policy = sample_add_policy(&gateway, name, POLICY_OUT, sas[0]);

	for (size_t i = 1; sas[i]; i++)
		*array_append(&policy->sas, &policy->n_sas) = xstrdup(sas[i]);
}

#define POLICY_OF_STEPS(name, ...) policy_of_steps(name, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(a_bundle_of_all_three_is_no_fault)
{
	step_add("comp", SA_IPCOMP, SA_TUNNEL);
	step_add("esp", SA_ESP, SA_TRANSPORT);
	step_add("ah", SA_AH, SA_TRANSPORT);
	POLICY_OF_STEPS("b", "comp", "esp", "ah");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(several_bundles_may_share_what_is_around)
{
	step_add("one", SA_ESP, SA_TUNNEL);
	step_add("two", SA_ESP, SA_TUNNEL);
	step_add("ah", SA_AH, SA_TRANSPORT);
	POLICY_OF_STEPS("b", "one", "ah");
	POLICY_OF_STEPS("c", "two", "ah");
	ASSERT_NO_FINDING();
}
END_TEST

START_TEST(an_sa_has_the_same_company_in_all_policies)
{
	step_add("esp", SA_ESP, SA_TUNNEL);
	step_add("ah", SA_AH, SA_TRANSPORT);
	POLICY_OF_STEPS("b", "esp", "ah");
	POLICY_OF_STEPS("c", "esp");
	ASSERT_FINDINGS("policies[3].sas[0]: 'esp' is in another bundle elsewhere; an SA has the same SAs "
			"around it in all policies");
}
END_TEST

START_TEST(an_sa_is_in_a_bundle_once)
{
	step_add("esp", SA_ESP, SA_TUNNEL);
	POLICY_OF_STEPS("b", "esp", "esp");
	ASSERT_FINDINGS("policies[2].sas[1]: 'esp' is in the bundle twice");
}
END_TEST

START_TEST(compression_comes_first_and_not_alone)
{
	step_add("esp", SA_ESP, SA_TUNNEL);
	step_add("comp", SA_IPCOMP, SA_TRANSPORT);
	step_add("alone", SA_IPCOMP, SA_TUNNEL);
	POLICY_OF_STEPS("b", "esp", "comp");
	POLICY_OF_STEPS("c", "alone");
	ASSERT_FINDINGS("policies[2].sas[1]: 'comp' is IPComp, which comes first: what is encrypted can't be "
			"compressed",
		"policies[3].sas[0]: 'alone' is IPComp, which protects nothing; ESP or AH must follow");
}
END_TEST

START_TEST(transport_mode_around_a_tunnel_has_the_tunnels_ends)
{
	step_add("esp", SA_ESP, SA_TUNNEL);
	step_add("ah", SA_AH, SA_TRANSPORT)->destination = sample_addr("198.51.100.2");
	POLICY_OF_STEPS("b", "esp", "ah");
	ASSERT_FINDINGS(
		"policies[2].sas[1]: 'ah' is in transport mode, but has other ends than the SA inside it");
}
END_TEST

START_TEST(udp_is_outermost)
{
	struct sa_conf *sa = step_add("esp", SA_ESP, SA_TUNNEL);

	sa->encap = SA_ENCAP_UDP;
	sa->bare_esp = true;
	step_add("ah", SA_AH, SA_TRANSPORT);
	POLICY_OF_STEPS("b", "esp", "ah");
	ASSERT_FINDINGS("policies[2].sas[0]: 'esp' goes in UDP, which no other SA can be around");
}
END_TEST

/* TUN-10 */
START_TEST(an_alternative_in_transport_mode_is_for_the_gateways_own_packets)
{
	struct sa_conf *sa = step_add("esp", SA_ESP, SA_TRANSPORT);

	*array_append(&sa->for_dscp, &sa->n_for_dscp) = 46;
	*array_append(&gateway.policies[0].alternatives, &gateway.policies[0].n_alternatives) =
		xstrdup("esp");
	ASSERT_FINDINGS("policies[0].alternatives[0]: 'esp' is in transport mode: the policy's source and "
			"destination must be the SA's, and a gateway tunnels what it forwards");
}
END_TEST

/* TUN-10 */
START_TEST(transport_mode_is_for_the_gateways_own_packets)
{
	step_add("esp", SA_ESP, SA_TRANSPORT);
	POLICY_OF_STEPS("b", "esp");
	ASSERT_FINDINGS(
		"policies[2].sas[0]: 'esp' is in transport mode: the policy's source and destination must be "
		"the SA's, and a gateway tunnels what it forwards");
	range_add(
		&gateway.policies[2].selector.sources, &gateway.policies[2].selector.n_sources, "192.0.2.1");
	range_add(&gateway.policies[2].selector.destinations, &gateway.policies[2].selector.n_destinations,
		"198.51.100.1");
	ASSERT_NO_FINDING();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model/check");
	TCase *tcase = tcase_create("check");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(
		tcase, a_ports_address_is_a_hosts, 0, (int)(sizeof(no_hosts) / sizeof(no_hosts[0])));
	tcase_add_test(tcase, a_gateway_without_faults_has_no_finding);
	tcase_add_test(tcase, an_sa_that_no_policy_uses_is_no_fault);
	tcase_add_test(tcase, more_sas_than_there_is_room_for_are_a_fault);
	tcase_add_test(tcase, a_gateway_needs_a_protected_port);
	tcase_add_test(tcase, a_gateway_needs_an_unprotected_port);
	tcase_add_test(tcase, each_worker_needs_buffers);
	tcase_add_test(tcase, a_device_is_one_port_whatever_its_arguments);
	tcase_add_test(tcase, a_pci_address_may_leave_its_domain_out);
	tcase_add_test(tcase, devices_whose_names_begin_alike_are_two);
	tcase_add_test(tcase, an_address_belongs_to_one_port);
	tcase_add_test(tcase, links_of_two_ports_do_not_overlap);
	tcase_add_test(tcase, two_addresses_on_the_link_of_one_port_are_no_fault);
	tcase_add_test(tcase, the_addresses_of_a_point_to_point_link_are_hosts);
	tcase_add_test(tcase, a_next_hop_is_on_a_link);
	tcase_add_test(tcase, a_next_hop_is_not_the_gateway_itself);
	tcase_add_test(tcase, a_next_hop_is_of_the_family_of_its_route);
	tcase_add_test(tcase, a_next_hop_is_a_host);
	tcase_add_test(tcase, a_prefix_has_one_route);
	tcase_add_test(tcase, a_route_that_was_not_read_is_not_judged);
	tcase_add_test(tcase, a_neighbours_port_exists);
	tcase_add_test(tcase, a_neighbour_is_on_its_ports_link);
	tcase_add_test(tcase, a_neighbour_is_not_the_gateway_itself);
	tcase_add_test(tcase, a_neighbour_is_a_host);
	tcase_add_test(tcase, a_neighbour_has_one_mac_address);
	tcase_add_test(tcase, a_neighbour_that_was_not_read_is_not_judged);
	tcase_add_test(tcase, one_end_of_an_sa_is_the_gateways_own);
	tcase_add_test(tcase, one_end_of_an_sa_is_another_gateway);
	tcase_add_test(tcase, an_outbound_sa_begins_on_an_unprotected_port);
	tcase_add_test(tcase, an_inbound_sa_ends_on_an_unprotected_port);
	tcase_add_test(tcase, the_ends_of_an_sa_are_hosts);
	tcase_add_test(tcase, an_spi_and_a_destination_are_one_sa);
	tcase_add_test(tcase, an_spi_may_serve_two_destinations);
	tcase_add_test(tcase, a_key_belongs_to_one_sa);
	tcase_add_test(tcase, sas_with_one_spi_are_told_apart_by_what_they_are_found_by);
	tcase_add_test(tcase, of_the_sas_that_are_found_by_spi_alone_each_has_its_own_of_a_family);
	tcase_add_test(tcase, an_outbound_sa_is_looked_up_by_its_peer);
	tcase_add_test(tcase, an_outbound_sa_follows_the_inbound_one_of_its_peer);
	tcase_add_test(tcase, an_sa_follows_only_what_can_tell_where_its_peer_is);
	tcase_add_test(tcase, an_inbound_sa_has_nothing_that_only_a_sender_heeds);
	tcase_add_test(tcase, an_sa_that_was_not_read_is_not_judged);
	tcase_add_test(tcase, a_policys_sa_exists);
	tcase_add_test(tcase, an_outbound_policy_has_an_outbound_sa);
	tcase_add_test(tcase, an_inbound_policy_has_an_inbound_sa);
	tcase_add_test(tcase, a_name_belongs_to_one_policy);
	tcase_add_test(tcase, policies_whose_names_were_not_read_are_not_judged);
	tcase_add_test(tcase, a_policys_families_agree);
	tcase_add_test(tcase, a_policy_of_both_families_on_one_side_is_no_fault);
	tcase_add_test(tcase, a_bundle_of_all_three_is_no_fault);
	tcase_add_test(tcase, several_bundles_may_share_what_is_around);
	tcase_add_test(tcase, an_sa_has_the_same_company_in_all_policies);
	tcase_add_test(tcase, an_sa_is_in_a_bundle_once);
	tcase_add_test(tcase, compression_comes_first_and_not_alone);
	tcase_add_test(tcase, transport_mode_around_a_tunnel_has_the_tunnels_ends);
	tcase_add_test(tcase, udp_is_outermost);
	tcase_add_test(tcase, an_alternative_in_transport_mode_is_for_the_gateways_own_packets);
	tcase_add_test(tcase, transport_mode_is_for_the_gateways_own_packets);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
