#include "sample.h"

#include <stdlib.h>

START_TEST(an_empty_gateway_has_its_defaults)
{
	struct gateway gateway;

	gateway_init(&gateway);
	ck_assert(gateway.memory.hugepages);
	ck_assert_uint_eq(gateway.workers.idle_sleep_us, 50);
	ck_assert_uint_eq(gateway.n_ports + gateway.n_sas + gateway.n_policies, 0);
}
END_TEST

START_TEST(a_gateway_that_is_freed_is_empty_again)
{
	struct gateway gateway, empty;

	sample_init(&gateway);
	sample_add_route(&gateway, "0.0.0.0/0", "192.0.2.254");
	sample_add_neighbour(&gateway, "wan", "192.0.2.254");
	gateway.control_directory = xstrdup("/run/culvert");
	*array_append(&gateway.workers.lcores, &gateway.workers.n_lcores) = 1;
	*array_append(&gateway.workers.crypto, &gateway.workers.n_crypto) = xstrdup("openssl");
	gateway_fini(&gateway);
	gateway_init(&empty);
	ck_assert_ptr_eq(gateway.ports, empty.ports);
	ck_assert_ptr_eq(gateway.sas, empty.sas);
	ck_assert_ptr_eq(gateway.policies, empty.policies);
	ck_assert_ptr_eq(gateway.control_directory, empty.control_directory);
	ck_assert_uint_eq(gateway.n_routes + gateway.n_neighbours + gateway.workers.n_lcores, 0);
}
END_TEST

START_TEST(a_port_is_found_by_its_whole_name)
{
	struct gateway gateway;

	sample_init(&gateway);
	ck_assert_int_eq(gateway_find_port(&gateway, "lan"), 0);
	ck_assert_int_eq(gateway_find_port(&gateway, "wan"), 1);
	ck_assert_int_eq(gateway_find_port(&gateway, "wa"), -1);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(an_own_address_is_found_and_its_neighbour_is_not)
{
	struct gateway gateway;
	struct ip_addr own = sample_addr("192.0.2.1"), other = sample_addr("192.0.2.2");

	sample_init(&gateway);
	ck_assert_int_eq(gateway_find_own_address(&gateway, &own), 1);
	ck_assert_int_eq(gateway_find_own_address(&gateway, &other), -1);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(a_link_has_the_addresses_of_its_prefix)
{
	struct gateway gateway;
	struct ip_addr on = sample_addr("10.1.0.255"), off = sample_addr("10.1.1.0"),
		       v6 = sample_addr("a01::");

	sample_init(&gateway);
	ck_assert_int_eq(gateway_find_link(&gateway, &on), 0);
	ck_assert_int_eq(gateway_find_link(&gateway, &off), -1);
	ck_assert_int_eq(gateway_find_link(&gateway, &v6), -1);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(an_sa_is_inbound_if_it_ends_here)
{
	struct gateway gateway;

	sample_init(&gateway);
	ck_assert(!gateway_sa_is_inbound(&gateway, &gateway.sas[0]));
	ck_assert(gateway_sa_is_inbound(&gateway, &gateway.sas[1]));
	gateway_fini(&gateway);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model/gateway");
	TCase *tcase = tcase_create("gateway");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, an_empty_gateway_has_its_defaults);
	tcase_add_test(tcase, a_gateway_that_is_freed_is_empty_again);
	tcase_add_test(tcase, a_port_is_found_by_its_whole_name);
	tcase_add_test(tcase, an_own_address_is_found_and_its_neighbour_is_not);
	tcase_add_test(tcase, a_link_has_the_addresses_of_its_prefix);
	tcase_add_test(tcase, an_sa_is_inbound_if_it_ends_here);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
