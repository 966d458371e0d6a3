#include "control/lifetime.h"

#include "base/clock.h"
#include "support/eal.h"
#include "support/gateway.h"

#include <stdatomic.h>
#include <string.h>

#define EVENTS_MAX 16

#define SITE                                                                                                 \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [0]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24]}\n"                          \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"                         \
	"routes: [{to: 198.51.100.0/24, via: 192.0.2.254}]\n"                                                \
	"neighbours: [{port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}]\n"                        \
	"sas:\n"                                                                                             \
	"  out: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"             \
	"        key: '0x000102030405060708090a0b0c0d0e0f10111213', rekey_time: 1h, life_time: 90m,\n"       \
	"        rekey_packets: 2, life_packets: 4, rekey_bytes: 150, life_bytes: 1M}\n"                     \
	"  free: {spi: 0x1002, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"            \
	"        key: '0x100102030405060708090a0b0c0d0e0f10111213'}\n"                                       \
	"policies:\n"                                                                                        \
	"  - {name: out, direction: out, action: protect, sas: [out]}\n"

static struct gateway_env env;
static struct lifetime lifetime;
static struct lifetime_event events[EVENTS_MAX];
static unsigned n_events;

static void on_event(void *argument, const struct lifetime_event *event)
{
	ck_assert_ptr_eq(argument, &env);
	ck_assert_uint_lt(n_events, EVENTS_MAX);
	events[n_events++] = *event;
}

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE);
	n_events = 0;
	lifetime_init(&lifetime, on_event, &env);
	for (size_t i = 0; i < env.control.n_sas; i++)
		lifetime_add(&lifetime, env.control.sas[i]);
}

static void teardown(void)
{
	lifetime_fini(&lifetime);
	gateway_env_end(&env);
	eal_teardown();
}

static void look_after(uint64_t seconds)
{
	lifetime_look(&lifetime, env.control.sas[0]->life->made_ns + seconds * CLOCK_NS_PER_S);
}

static void ck_event(unsigned i, enum sa_limit_kind kind, bool is_hard, uint64_t used, uint64_t limit)
{
	ck_assert_uint_lt(i, n_events);
	ck_assert_ptr_eq(events[i].sa, env.control.sas[0]);
	ck_assert_int_eq(events[i].kind, kind);
	ck_assert_int_eq(events[i].is_hard, is_hard);
	ck_assert_uint_eq(events[i].used, used);
	ck_assert_uint_eq(events[i].limit, limit);
}

static void send_packet(void)
{
	struct rte_mbuf *m;

	gateway_env_receive(&env, "lan",
		&(struct packet_spec){.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 32});
	while ((m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
}

// LIF-1
START_TEST(a_soft_limit_of_time_is_told_once)
{
	look_after(3599);
	ck_assert_uint_eq(n_events, 0);
	look_after(3600);
	look_after(3601);
	ck_assert_uint_eq(n_events, 1);
	ck_event(0, SA_LIMIT_TIME, false, 3600, 3600);
}
END_TEST

// LIF-1
START_TEST(at_the_hard_limit_of_time_the_sa_ends_for_the_workers)
{
	look_after(5399);
	send_packet();
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_expired), 0);
	look_after(5400);
	look_after(5401);

	ck_assert_uint_eq(n_events, 2);
	ck_event(1, SA_LIMIT_TIME, true, 5400, 5400);
	send_packet();
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_expired), 1);
}
END_TEST

// LIF-1
START_TEST(limits_that_traffic_reaches_are_told_in_their_order)
{
	send_packet();
	look_after(0);
	ck_assert_uint_eq(n_events, 0);
	send_packet();
	look_after(0);
	send_packet();
	look_after(0);
	for (unsigned i = 0; i < 3; i++)
		send_packet();
	look_after(0);
	look_after(1);

	/* 64 bytes of payload each: a packet of 60, padding and trailer. */
	ck_assert_uint_eq(n_events, 3);
	ck_event(0, SA_LIMIT_PACKETS, false, 2, 2);
	ck_event(1, SA_LIMIT_BYTES, false, 192, 150);
	ck_event(2, SA_LIMIT_PACKETS, true, 4, 4);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_expired), 2);
}
END_TEST

START_TEST(an_sa_without_limits_is_not_watched)
{
	ck_assert_uint_eq(env.control.n_sas, 2);
	ck_assert_uint_eq(lifetime.n, 1);
}
END_TEST

START_TEST(polls_between_two_looks_cost_nothing)
{
	uint64_t made_ns = env.control.sas[0]->life->made_ns;

	lifetime_poll(&lifetime, made_ns);
	lifetime_poll(&lifetime, made_ns + CLOCK_NS_PER_S / LIFETIME_LOOKS_PER_SECOND - 1);
	send_packet();
	send_packet();
	lifetime_poll(&lifetime, made_ns + CLOCK_NS_PER_S / LIFETIME_LOOKS_PER_SECOND - 1);
	ck_assert_uint_eq(n_events, 0);
	lifetime_poll(&lifetime, made_ns + CLOCK_NS_PER_S / LIFETIME_LOOKS_PER_SECOND);
	ck_assert_uint_eq(n_events, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control/lifetime");
	TCase *tcase = tcase_create("lifetime");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_soft_limit_of_time_is_told_once);
	tcase_add_test(tcase, at_the_hard_limit_of_time_the_sa_ends_for_the_workers);
	tcase_add_test(tcase, limits_that_traffic_reaches_are_told_in_their_order);
	tcase_add_test(tcase, an_sa_without_limits_is_not_watched);
	tcase_add_test(tcase, polls_between_two_looks_cost_nothing);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
