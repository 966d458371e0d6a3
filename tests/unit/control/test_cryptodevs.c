#include "control/cryptodevs.h"

#include "support/eal.h"

#include <rte_mempool.h>

#define OWN_ADDRESS "192.0.2.1"
#define SAS_MAX     8

static struct gateway gateway;
static struct crypto crypto;
static struct port_conf port;
static struct ip_prefix own;
static struct sa_conf sas[SAS_MAX];
static uint32_t lcores[] = {1};
static char ipsec_mb[] = "ipsec_mb", aesni_gcm[] = "aesni_gcm", aesni_mb[] = "aesni_mb";
static char *drivers[2];

static void setup(void)
{
	eal_setup();
	ck_assert_int_eq(ip_prefix_parse(OWN_ADDRESS, &own), 0);
	port = (struct port_conf){.addresses = &own, .n_addresses = 1};
	gateway = (struct gateway){
		.ports = &port,
		.n_ports = 1,
		.sas = sas,
		.workers = {.lcores = lcores, .n_lcores = 1, .crypto = drivers, .n_crypto = 2},
	};
	drivers[0] = ipsec_mb;
	drivers[1] = aesni_mb;
}

static void sa_add(const char *algorithm, bool inbound, bool esn)
{
	struct sa_conf *sa = &sas[gateway.n_sas++];

	*sa = (struct sa_conf){.protocol = SA_ESP, .alg = alg_find(algorithm), .esn = esn};
	ck_assert_int_eq(ip_addr_parse(inbound ? OWN_ADDRESS : "192.0.2.2", &sa->destination), 0);
}

static uint32_t sessions_of(unsigned device)
{
	struct rte_mempool *pool;
	struct err err;
	uint32_t size;

	ck_assert_msg(cryptodevs_open(&gateway, &crypto, &err) == 0, "%s", err.text);
	pool = crypto.devices[device].sessions;
	size = pool ? pool->size : 0;
	ck_assert_uint_eq(pool ? rte_mempool_in_use_count(pool) : 0, 0);
	cryptodevs_close(&crypto);
	return size;
}

START_TEST(a_device_has_sessions_for_the_sas_that_get_it)
{
	uint32_t spare = sessions_of(1);

	sa_add("aes128gcm16", true, false);
	sa_add("aes256gcm16", false, true);
	ck_assert_uint_eq(sessions_of(1), spare);
	sa_add("aes128-sha256", true, false);
	sa_add("aes128-sha256", false, false);
	sa_add("aes256-sha512", true, true);
	ck_assert_uint_eq(sessions_of(1), spare);
	ck_assert_uint_eq(sessions_of(0), 0);
	gateway.workers.crypto_mode = CRYPTO_ASYNC;
	ck_assert_uint_eq(sessions_of(1), spare + 5);
}
END_TEST

START_TEST(the_first_device_that_knows_an_algorithm_counts)
{
	uint32_t spare;

	drivers[0] = aesni_gcm;
	spare = sessions_of(0);
	sa_add("aes128gcm16", true, false);
	sa_add("aes128-sha256", true, false);
	sa_add("aes128-sha256", false, false);
	ck_assert_uint_eq(sessions_of(0), spare + 1);
	ck_assert_uint_eq(sessions_of(1), spare + 2);
}
END_TEST

/* As many again of a device's own kinds, but no more than there is room for in all. */
START_TEST(a_device_has_sessions_for_sas_that_come)
{
	uint32_t spare;

	gateway.memory.sas = 2;
	sa_add("aes128-sha256", true, false);
	sa_add("aes128-sha256", false, false);
	spare = sessions_of(1) - 2;
	gateway.memory.sas = 7;
	ck_assert_uint_eq(sessions_of(1), spare + 2 + 5);
	gateway.memory.sas = 1000000;
	ck_assert_uint_eq(sessions_of(1), spare + 2 + MEMORY_SAS_MORE);
	gateway.memory.sas = 0;
	ck_assert_uint_eq(sessions_of(1), spare + 2 + MEMORY_SAS_MORE);
}
END_TEST

/* sa_create says so, with the SA's name. */
START_TEST(an_algorithm_that_no_device_knows_is_no_fault_here)
{
	drivers[0] = aesni_gcm;
	gateway.workers.n_crypto = 1;
	sa_add("aes128-sha256", true, false);
	ck_assert_uint_gt(sessions_of(0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control/cryptodevs");
	TCase *cases = tcase_create("cryptodevs");

	suite_add_tcase(suite, cases);
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, setup, eal_teardown);
	tcase_add_test(cases, a_device_has_sessions_for_the_sas_that_get_it);
	tcase_add_test(cases, the_first_device_that_knows_an_algorithm_counts);
	tcase_add_test(cases, a_device_has_sessions_for_sas_that_come);
	tcase_add_test(cases, an_algorithm_that_no_device_knows_is_no_fault_here);
	return eal_run_suite(suite);
}
