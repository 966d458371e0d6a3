#include "bad_cases.h"
#include "support.h"

#include "config/read.h"
#include "config/schema.h"
#include "config/suggest.h"

static void assert_findings(const struct bad_case *bad)
{
	struct gateway gateway;
	char *printed = load_text(bad->text, &gateway);

	ck_assert_str_eq(printed, bad->findings);
	ck_assert_uint_eq(gateway.n_ports + gateway.n_sas + gateway.n_policies + gateway.n_routes, 0);
	ck_assert_ptr_null(strstr(printed, "1111111111"));
	ck_assert_ptr_null(strstr(printed, "2222222222"));
	free(printed);
	gateway_fini(&gateway);
}

START_TEST(a_fault_of_the_sections_is_found_at_its_place)
{
	assert_findings(&root_cases[_i]);
}
END_TEST

START_TEST(a_fault_of_the_workers_is_found_at_its_place)
{
	assert_findings(&workers_cases[_i]);
}
END_TEST

START_TEST(a_fault_of_a_port_is_found_at_its_place)
{
	assert_findings(&ports_cases[_i]);
}
END_TEST

START_TEST(a_fault_of_a_route_is_found_at_its_place)
{
	assert_findings(&routes_cases[_i]);
}
END_TEST

START_TEST(a_fault_of_a_neighbour_is_found_at_its_place)
{
	assert_findings(&neighbours_cases[_i]);
}
END_TEST

/* SAL-3, TUN-10, ESP-9, ALG-3, ALG-9, ALG-11, AR-1, AR-8, ALG-13 */
START_TEST(a_fault_of_an_sa_is_found_at_its_place_and_no_key_is_shown)
{
	assert_findings(&sas_cases[_i]);
}
END_TEST

START_TEST(a_fault_of_alternatives_is_found_at_its_place)
{
	assert_findings(&alternatives_cases[_i]);
}
END_TEST

/* SPD-11, PCP-1, REK-2: all that alternatives may be is no fault, nor is a narrow one before a wide one. */
START_TEST(alternatives_of_each_kind_are_good_together)
{
	const char text[] = PORTS "sas:\n" UP("up", "0x1001", KEY_A, "")
		UP("x", "0x1002", KEY_B, "for_dscp: [ef, 10], for_worker: 0,")
			UP("y", "0x1003", KEY_C, "for_dscp: ef,")
				UP("z", "0x1004", "0x4444444444444444444444444444444444444444", "after: dn,")
					DN("dn", "0x2001", "0x5555555555555555555555555555555555555555", "")
						ALTERNATIVES("x, y, z");
	struct gateway gateway;
	char *printed = load_text(text, &gateway);
	const struct sa_conf *sas = gateway.sas;

	ck_assert_str_eq(printed, "");
	ck_assert_uint_eq(sa_conf_dscps(&sas[0]), UINT64_MAX);
	ck_assert_uint_eq(sa_conf_workers(&sas[0]), UINT64_MAX);
	ck_assert_uint_eq(sa_conf_dscps(&sas[1]), UINT64_C(1) << 46 | UINT64_C(1) << 10);
	ck_assert_uint_eq(sa_conf_workers(&sas[1]), 1);
	ck_assert_str_eq(sas[3].after, "dn");
	ck_assert_uint_eq(gateway.policies[0].n_alternatives, 3);
	ck_assert_str_eq(gateway.policies[0].alternatives[2], "z");
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

/* NAT-8: two peers by alternatives alone, each with an old SA and a new one. */
START_TEST(alternatives_for_peers_need_no_other_sa)
{
	const char text[] = PORTS "sas:\n" UP("a", "0x1001", KEY_A, "for_peer: alice, after: a2-in,")
		UP("b", "0x1002", KEY_B, "for_peer: bob,") UP("a2", "0x1003", KEY_C, "for_peer: alice,") DN(
			"a-in", "0x2001", "0x4444444444444444444444444444444444444444", "peer: alice,")
			DN("a2-in", "0x2002", "0x5555555555555555555555555555555555555555", "peer: alice,")
				DN("b-in", "0x2003", "0x6666666666666666666666666666666666666666",
					"peer: bob,") "policies:\n"
						      "  - {name: p, direction: out, action: protect, sas: "
						      "[], alternatives: [a, b, a2]}\n"
						      "  - {name: q, direction: in, action: protect, sas: "
						      "[], alternatives: [a-in, b-in, a2-in]}\n";
	struct gateway gateway;
	char *printed = load_text(text, &gateway);

	ck_assert_str_eq(printed, "");
	ck_assert_str_eq(gateway.sas[0].for_peer, "alice");
	ck_assert_ptr_null(gateway.sas[0].peer);
	ck_assert_str_eq(gateway.sas[5].peer, "bob");
	ck_assert_uint_eq(gateway.policies[0].n_sas, 0);
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(a_fault_of_a_policy_is_found_at_its_place)
{
	assert_findings(&policies_cases[_i]);
}
END_TEST

START_TEST(all_faults_of_a_file_are_found_at_once_in_its_order)
{
	assert_findings(&(struct bad_case){PORTS
		"routes:\n"
		"  - {to: 10.2.0.0/16, via: 203.0.113.9}\n"
		"  - {to: 10.3.0.0/16, vai: 192.0.2.254}\n"
		"sas:\n"
		"  up: {spi: 1, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key: 0x11}\n"
		"policies:\n"
		"  - {name: a, direction: out, action: protect, sas: [down]}\n",
		"6:28: routes[0].via: 203.0.113.9 is on no port's link\n"
		"7:5: routes[1]: 'via' is missing\n"
		"7:23: routes[1]: unknown key 'vai' (did you mean 'via'?)\n"
		"9:13: sas.up.spi: expects a whole number from 256 to 4294967295, not '1'\n"
		"9:85: sas.up.key: 1 bytes given, aes128gcm16 needs 20 (16 key + 4 salt)\n"
		"11:54: policies[0].sas[0]: no SA is named 'down'\n"});
}
END_TEST

/* An SA that is half read must not be judged by what is missing. */
START_TEST(a_faulty_value_raises_no_finding_elsewhere)
{
	assert_findings(&(struct bad_case){PORTS
		"sas:\n"
		"  up: {spi: 4097, source: 192.0.2.1, destination: nowhere, esp: aes128gcm16, key: " KEY_A
		"}\n"
		"policies:\n"
		"  - {name: a, direction: in, action: protect, sas: [up], source: [x, 10.0.0.0/8], "
		"destination: "
		"\"fd00::/8\"}\n",
		"6:51: sas.up.destination: expects an IPv4 or IPv6 address, not 'nowhere'\n"
		"8:67: policies[0].source[0]: expects an address, a prefix or a range (first-last), not "
		"'x'\n"});
}
END_TEST

/* AR-1, TUN-4, TUN-5 */
START_TEST(what_is_left_out_has_its_default)
{
	struct gateway gateway;
	char *printed = load_text(PORTS SAS "  - {name: a, direction: out, action: bypass}\n", &gateway);

	ck_assert_str_eq(printed, "");
	ck_assert_ptr_null(gateway.control_directory);
	ck_assert_ptr_null(gateway.capture_directory);
	ck_assert(!gateway.capture_inner);
	ck_assert_ptr_null(gateway.host.interface);
	ck_assert(gateway.memory.hugepages);
	ck_assert_uint_eq(gateway.memory.size_mb, 0);
	ck_assert_uint_eq(gateway.memory.packets, 0);
	ck_assert_uint_eq(gateway.memory.sas, 0);
	ck_assert_uint_eq(gateway.icmp.n_accept, 1);
	ck_assert_int_eq(gateway.icmp.accept[0], ICMP_KIND_TOO_BIG);
	ck_assert_uint_eq(gateway.icmp.path_mtu_min_ipv4, 576);
	ck_assert_uint_eq(gateway.icmp.path_mtu_min_ipv6, 1280);
	ck_assert_uint_eq(gateway.icmp.path_mtu_age_s, 600);
	ck_assert_uint_eq(gateway.workers.n_crypto, 2);
	ck_assert_str_eq(gateway.workers.crypto[0], "ipsec_mb");
	ck_assert_str_eq(gateway.workers.crypto[1], "aesni_mb");
	ck_assert_int_eq(gateway.workers.crypto_mode, CRYPTO_AUTO);
	ck_assert_uint_eq(gateway.workers.idle_sleep_us, 50);
	ck_assert_uint_eq(gateway.ports[0].mtu_bytes, 1500);
	ck_assert_uint_eq(gateway.ports[0].vlan, PORT_VLAN_NONE);
	ck_assert_uint_eq(gateway.sas[0].replay_window_pkts, 1024);
	ck_assert(!gateway.sas[0].esn);
	ck_assert_int_eq(gateway.sas[0].df, SA_DF_SET);
	ck_assert_int_eq(gateway.sas[0].dscp, SA_DSCP_COPY);
	ck_assert(gateway.audit);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_BYTES].hard, 0);
	ck_assert_int_eq(gateway.sas[0].tfc_bytes, SA_TFC_NONE);
	ck_assert_uint_eq(gateway.sas[0].dummy_rate_pps, 0);
	ck_assert_uint_eq(gateway.policies[0].selector.n_sources, 0);
	ck_assert_int_eq(gateway.policies[0].selector.protocol, SELECTOR_PROTOCOL_ANY);
	ck_assert(port_range_is_any(&gateway.policies[0].selector.source_ports));
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(what_is_given_arrives_in_the_model)
{
	struct gateway gateway;
	char *printed = load_text(
		"control: {directory: /run/c, audit: false}\n"
		"capture: {directory: /var/c, allow_inner: true}\n"
		"memory: {hugepages: false, size_mb: 512, packets: 8192, sas: 70}\n"
		"host: {interface: culvert0}\n"
		"icmp: {accept: [unreachable, parameter_problem], path_mtu_min_ipv4: 68, path_mtu_min_ipv6: "
		"1400,\n"
		"  path_mtu_age_s: 300}\n"
		"workers: {lcores: [3, 5], crypto: [openssl, \"0000:3d:01.0\"], crypto_mode: async, "
		"idle_sleep_us: 0}\n"
		"ports:\n"
		"  a: {device: \"0000:41:00.0\", side: protected, addresses: [10.1.0.1/24], mtu: 9000, vlan: "
		"7}\n"
		"  b: {device: \"net_tap1,iface=x\", side: unprotected, addresses: [\"2001:db8::1/64\"]}\n"
		"routes: [{to: \"::/0\", via: \"2001:db8::fe\"}]\n"
		"neighbours: [{port: b, address: \"2001:db8::fe\", mac: \"02:00:5E:00:02:fe\"}]\n"
		"sas:\n"
		"  s: {spi: 0xFFFFFFFF, source: \"2001:db8::1\", destination: \"2001:db8:1::1\", mode: "
		"tunnel,\n"
		"      esp: aes128gcm16, key: \"0x000102030405060708090a0b0c0d0e0f10111213\", replay_window: "
		"0, dscp: 46,\n"
		"      rekey_time: 90m, life_time: 7200, rekey_bytes: 3G, life_bytes: 2T, rekey_packets: 5,\n"
		"      life_packets: 0x100000000, tfc_padding: mtu, dummy_rate: 7}\n",
		&gateway);

	ck_assert_str_eq(printed, "");
	ck_assert_str_eq(gateway.control_directory, "/run/c");
	ck_assert_str_eq(gateway.host.interface, "culvert0");
	ck_assert_uint_eq(gateway.host.n_routes, 2);
	ck_assert_uint_eq(gateway.host.routes[0].addr.family, IP_V4);
	ck_assert_uint_eq(gateway.host.routes[1].addr.family, IP_V6);
	ck_assert_uint_eq(gateway.host.routes[1].length_bits, 0);
	ck_assert(!gateway.memory.hugepages);
	ck_assert_uint_eq(gateway.memory.size_mb, 512);
	ck_assert_uint_eq(gateway.memory.sas, 70);
	ck_assert_uint_eq(gateway.memory.packets, 8192);
	ck_assert_uint_eq(gateway.icmp.n_accept, 2);
	ck_assert_int_eq(gateway.icmp.accept[0], ICMP_KIND_UNREACHABLE);
	ck_assert_int_eq(gateway.icmp.accept[1], ICMP_KIND_PARAMETER_PROBLEM);
	ck_assert_uint_eq(gateway.icmp.path_mtu_min_ipv4, 68);
	ck_assert_uint_eq(gateway.icmp.path_mtu_min_ipv6, 1400);
	ck_assert_uint_eq(gateway.icmp.path_mtu_age_s, 300);
	ck_assert_uint_eq(gateway.workers.n_lcores, 2);
	ck_assert_uint_eq(gateway.workers.lcores[1], 5);
	ck_assert_str_eq(gateway.workers.crypto[1], "0000:3d:01.0");
	ck_assert_int_eq(gateway.workers.crypto_mode, CRYPTO_ASYNC);
	ck_assert_uint_eq(gateway.workers.idle_sleep_us, 0);
	ck_assert_str_eq(gateway.ports[0].name, "a");
	ck_assert_uint_eq(gateway.ports[0].mtu_bytes, 9000);
	ck_assert_uint_eq(gateway.ports[0].vlan, 7);
	ck_assert_str_eq(gateway.ports[1].device, "net_tap1,iface=x");
	ck_assert_int_eq(gateway.ports[1].side, SIDE_UNPROTECTED);
	ck_assert_uint_eq(gateway.ports[1].addresses[0].length_bits, 64);
	ck_assert_uint_eq(gateway.routes[0].to.length_bits, 0);
	ck_assert_uint_eq(gateway.routes[0].via.bytes[15], 0xfe);
	ck_assert_str_eq(gateway.neighbours[0].port, "b");
	ck_assert_uint_eq(gateway.neighbours[0].mac.bytes[2], 0x5e);
	ck_assert_uint_eq(gateway.sas[0].spi, UINT32_MAX);
	ck_assert_ptr_eq(gateway.sas[0].alg, alg_find("aes128gcm16"));
	ck_assert_uint_eq(gateway.sas[0].key.length_bytes, 20);
	ck_assert_uint_eq(gateway.sas[0].key.bytes[19], 0x13);
	ck_assert_uint_eq(gateway.sas[0].replay_window_pkts, 0);
	ck_assert_int_eq(gateway.sas[0].dscp, 46);
	ck_assert(!gateway.audit);
	ck_assert_str_eq(gateway.capture_directory, "/var/c");
	ck_assert(gateway.capture_inner);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_TIME].soft, 5400);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_TIME].hard, 7200);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_BYTES].soft, UINT64_C(3) << 30);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_BYTES].hard, UINT64_C(2) << 40);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_PACKETS].soft, 5);
	ck_assert_uint_eq(gateway.sas[0].limits[SA_LIMIT_PACKETS].hard, UINT64_C(1) << 32);
	ck_assert_int_eq(gateway.sas[0].tfc_bytes, SA_TFC_MTU);
	ck_assert_uint_eq(gateway.sas[0].dummy_rate_pps, 7);
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(a_policy_arrives_in_the_model)
{
	struct gateway gateway;
	char *printed = load_text(PORTS SAS "  - {name: a, direction: in, action: protect, sas: [dn], "
					    "source: [10.2.0.0/16, 10.9.0.1-10.9.0.7],\n"
					    "     destination: 10.1.0.0/24, protocol: tcp, source_port: "
					    "1024-65535, destination_port: 443, icmp_errors: false}\n"
					    "  - {name: b, direction: out, action: discard, protocol: "
					    "icmpv6, icmp_type: 128-129, icmp_code: 0}\n"
					    "  - {name: c, direction: out, action: bypass, protocol: 0}\n",
		&gateway);
	const struct selector *selector;

	ck_assert_str_eq(printed, "");
	ck_assert_uint_eq(gateway.n_policies, 3);
	ck_assert_int_eq(gateway.policies[0].direction, POLICY_IN);
	ck_assert_int_eq(gateway.policies[0].action, POLICY_PROTECT);
	ck_assert_str_eq(gateway.policies[0].sas[0], "dn");
	selector = &gateway.policies[0].selector;
	ck_assert_uint_eq(selector->n_sources, 2);
	ck_assert_uint_eq(selector->sources[1].last.bytes[3], 7);
	ck_assert_uint_eq(selector->n_destinations, 1);
	ck_assert_int_eq(selector->protocol, IPPROTO_NUMBER_TCP);
	ck_assert_uint_eq(selector->source_ports.first, 1024);
	ck_assert_uint_eq(selector->source_ports.last, 65535);
	ck_assert_uint_eq(selector->destination_ports.last, 443);
	ck_assert(!gateway.policies[0].icmp_errors && gateway.policies[1].icmp_errors);
	selector = &gateway.policies[1].selector;
	ck_assert_int_eq(gateway.policies[1].action, POLICY_DISCARD);
	ck_assert_uint_eq(selector->source_ports.first, 128);
	ck_assert_uint_eq(selector->source_ports.last, 129);
	ck_assert_uint_eq(selector->destination_ports.last, 0);
	ck_assert_int_eq(gateway.policies[2].selector.protocol, 0);
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

static void assert_documented(const struct schema *schema)
{
	ck_assert_uint_le(schema->n_keys, SCHEMA_KEYS_MAX);
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct schema_key *key = &schema->keys[i];

		ck_assert_msg(
			key->doc && key->doc[strlen(key->doc) - 1] == '.', "%s.%s", schema->title, key->name);
		/* An absent key is an error, has a value, or means something that is written down. */
		if (key->object)
			assert_documented(key->object);
		else
			ck_assert_msg(key->required + !!key->fallback + !!key->absent == 1, "%s.%s",
				schema->title, key->name);
	}
}

START_TEST(a_path_has_its_limit)
{
	char text[2048];
	struct gateway gateway;
	char *printed;

	snprintf(text, sizeof(text), PORTS "control: {directory: \"/%01024d\"}\n", 0);
	printed = load_text(text, &gateway);
	/* A thousand zeros look like a key, too. */
	ck_assert_str_eq(printed, "5:22: control.directory: expects a path of at most 1024 characters, not "
				  "what looks like a key\n");
	free(printed);
}
END_TEST

START_TEST(every_key_is_documented_and_says_what_its_absence_means)
{
	assert_documented(schema_gateway());
}
END_TEST

START_TEST(a_distance_counts_insertions_deletions_substitutions_and_swaps)
{
	ck_assert_uint_eq(suggest_distance("action", "action"), 0);
	ck_assert_uint_eq(suggest_distance("acton", "action"), 1);
	ck_assert_uint_eq(suggest_distance("acttion", "action"), 1);
	ck_assert_uint_eq(suggest_distance("actoin", "action"), 1);
	ck_assert_uint_eq(suggest_distance("axtiom", "action"), 2);
	ck_assert_uint_eq(suggest_distance("", "abc"), 3);
	ck_assert_uint_eq(suggest_distance("kitten", "sitting"), 3);
	/* Longer words are not compared. */
	ck_assert_uint_gt(suggest_distance("a", KEY_A KEY_A), SUGGEST_DISTANCE_MAX);
}
END_TEST

START_TEST(the_nearest_word_is_suggested_and_a_far_one_is_not)
{
	struct suggestion suggestion = suggestion_for("destination_prot");
	char text[SUGGEST_TEXT_MAX];

	suggestion_offer(&suggestion, "destination");
	suggestion_offer(&suggestion, "destination_part");
	suggestion_offer(&suggestion, "destination_port");
	ck_assert_str_eq(suggestion_format(&suggestion, text), " (did you mean 'destination_port'?)");
	suggestion = suggestion_for("xy");
	suggestion_offer(&suggestion, "to");
	ck_assert_str_eq(suggestion_format(&suggestion, text), "");
}
END_TEST

START_TEST(a_quoted_text_is_cut_and_has_no_control_characters)
{
	char quoted[READ_QUOTED_MAX];

	ck_assert_str_eq(read_quote("a\033[2Jb", quoted), "'a?[2Jb'");
	ck_assert_str_eq(
		read_quote("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww", quoted),
		"'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww...'");
	ck_assert_str_eq(read_quote("hex:00112233445566778899AAbb", quoted), "what looks like a key");
}
END_TEST

#define N_CASES(cases) (int)(sizeof(cases) / sizeof((cases)[0]))

int main(void)
{
	Suite *suite = suite_create("config/schema");
	TCase *tcase = tcase_create("schema");

	tcase_add_loop_test(tcase, a_fault_of_the_sections_is_found_at_its_place, 0, N_CASES(root_cases));
	tcase_add_loop_test(tcase, a_fault_of_the_workers_is_found_at_its_place, 0, N_CASES(workers_cases));
	tcase_add_loop_test(tcase, a_fault_of_a_port_is_found_at_its_place, 0, N_CASES(ports_cases));
	tcase_add_loop_test(tcase, a_fault_of_a_route_is_found_at_its_place, 0, N_CASES(routes_cases));
	tcase_add_loop_test(
		tcase, a_fault_of_a_neighbour_is_found_at_its_place, 0, N_CASES(neighbours_cases));
	tcase_add_loop_test(
		tcase, a_fault_of_an_sa_is_found_at_its_place_and_no_key_is_shown, 0, N_CASES(sas_cases));
	tcase_add_loop_test(
		tcase, a_fault_of_alternatives_is_found_at_its_place, 0, N_CASES(alternatives_cases));
	tcase_add_test(tcase, alternatives_of_each_kind_are_good_together);
	tcase_add_test(tcase, alternatives_for_peers_need_no_other_sa);
	tcase_add_loop_test(tcase, a_fault_of_a_policy_is_found_at_its_place, 0, N_CASES(policies_cases));
	tcase_add_test(tcase, all_faults_of_a_file_are_found_at_once_in_its_order);
	tcase_add_test(tcase, a_faulty_value_raises_no_finding_elsewhere);
	tcase_add_test(tcase, what_is_left_out_has_its_default);
	tcase_add_test(tcase, what_is_given_arrives_in_the_model);
	tcase_add_test(tcase, a_policy_arrives_in_the_model);
	tcase_add_test(tcase, a_path_has_its_limit);
	tcase_add_test(tcase, every_key_is_documented_and_says_what_its_absence_means);
	tcase_add_test(tcase, a_distance_counts_insertions_deletions_substitutions_and_swaps);
	tcase_add_test(tcase, the_nearest_word_is_suggested_and_a_far_one_is_not);
	tcase_add_test(tcase, a_quoted_text_is_cut_and_has_no_control_characters);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
