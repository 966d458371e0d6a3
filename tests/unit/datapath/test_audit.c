#include "datapath/audit.h"

#include <string.h>

#include <rte_cycles.h>

#include "control/audit_log.h"
#include "control/sas.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"

#define SPI_OUT 0x1001
#define SPI_IN  0x2001

static struct gateway_env env;

static void begin(const char *yaml)
{
	struct err err;

	eal_setup();
	gateway_env_begin(&env, yaml);
	ck_assert_int_eq(audit_log_create(&env.control, &err), 0);
}

static void setup(void)
{
	begin(SITE_YAML("0", SITE_DIRECT));
}

static void teardown(void)
{
	struct rte_mbuf *m;

	while ((m = gateway_env_sent(&env, "lan")) || (m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
	audit_log_destroy(&env.control);
	gateway_env_end(&env);
	eal_teardown();
}

static void from_wan(struct rte_mbuf *m)
{
	gateway_env_receive_frames(&env, "wan", &m, 1);
}

static struct rte_mbuf *peer(struct packet_spec inner)
{
	return gateway_env_peer_esp(&env, "wan", &(struct peer_esp){.sa = "in", .inner = inner});
}

static struct rte_mbuf *peer_good(void)
{
	return peer((struct packet_spec){.source = "10.2.0.1", .destination = "10.1.0.1"});
}

static struct audit_record taken(void)
{
	struct audit_record record;

	ck_assert(audit_take(env.worker->audit, &record));
	return record;
}

static void ck_none_left(void)
{
	struct audit_record record;

	ck_assert(!audit_take(env.worker->audit, &record));
}

static void ck_addr(const struct ip_addr *addr, const char *expected)
{
	char text[IP_ADDR_TEXT_MAX];

	ck_assert_str_eq(ip_addr_format(addr, text), expected);
}

static void ck_outer(const struct audit_record *record, enum drop_reason reason, uint32_t spi, uint64_t seq)
{
	ck_assert_int_eq(record->reason, reason);
	ck_assert_uint_eq(rte_be_to_cpu_32(record->spi), spi);
	ck_assert(record->has_seq);
	ck_assert_uint_eq(record->seq, seq);
	ck_addr(&record->source, "198.51.100.1");
	ck_addr(&record->destination, "192.0.2.1");
	ck_assert_uint_eq(record->port_in, gateway_env_port(&env, "wan"));
}

#define ESP_HEADER(m) rte_pktmbuf_mtod_offset(m, uint8_t *, sizeof(struct rte_ether_hdr) + 20)

// SAL-2
START_TEST(a_packet_of_no_sa_is_recorded)
{
	struct rte_mbuf *m = peer_good();
	struct audit_record record;

	ESP_HEADER(m)[0] ^= 0x40;
	from_wan(m);

	record = taken();
	ck_outer(&record, DROP_in_no_sa, SPI_IN ^ 0x40000000, 1);
	ck_assert(!record.has_sa);
	ck_none_left();
}
END_TEST

// SAL-2
START_TEST(the_flow_label_of_an_ipv6_packet_is_recorded)
{
	struct rte_mbuf *m = gateway_env_frame_of(&env, "wan",
		&(struct packet_spec){.source = "2001:db8:1::1",
			.destination = "2001:db8::1",
			.protocol = IPPROTO_ESP,
			.payload_bytes = 40});
	struct audit_record record;

	rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, sizeof(struct rte_ether_hdr))->vtc_flow =
		RTE_BE32(0x600abcde);
	from_wan(m);

	record = taken();
	ck_assert_int_eq(record.reason, DROP_in_no_sa);
	ck_assert_uint_eq(record.label, 0xabcde);
	ck_addr(&record.source, "2001:db8:1::1");
}
END_TEST

// AR-7
START_TEST(a_duplicate_is_recorded_with_its_number)
{
	struct rte_mbuf *m = peer_good();
	struct rte_mbuf *again = rte_pktmbuf_copy(m, eal_pool(), 0, UINT32_MAX);
	struct audit_record record;

	from_wan(m);
	from_wan(again);

	record = taken();
	ck_outer(&record, DROP_in_replay, SPI_IN, 1);
	ck_assert(record.has_sa && record.inbound);
	ck_none_left();
}
END_TEST

// ESP-3
START_TEST(a_wrong_icv_is_recorded)
{
	struct rte_mbuf *m = peer_good();
	struct audit_record record;

	*rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - 1) ^= 1;
	from_wan(m);

	record = taken();
	ck_outer(&record, DROP_in_icv, SPI_IN, 1);
}
END_TEST

// SPD-5
START_TEST(a_packet_that_its_sa_may_not_carry_is_recorded_with_its_selectors)
{
	struct audit_record record;

	from_wan(peer((struct packet_spec){.source = "10.2.3.1",
		.destination = "10.1.0.1",
		.protocol = IPPROTO_TCP,
		.source_port = 5000,
		.destination_port = 443}));

	record = taken();
	ck_outer(&record, DROP_in_selector, SPI_IN, 1);
	ck_addr(&record.flow.source, "10.2.3.1");
	ck_addr(&record.flow.destination, "10.1.0.1");
	ck_assert_uint_eq(record.flow.protocol, IPPROTO_TCP);
	ck_assert_uint_eq(record.flow.source_port, 5000);
	ck_assert_uint_eq(record.flow.destination_port, 443);
}
END_TEST

/* Two SAs of the same SPI and ends: `sourced` is found by all of these, `any` by the SPI alone. */
#define SAME_ENDS "spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16, key: '0x"
#define SITE_SAME                                                                                            \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [0]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24]}\n"                          \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"                         \
	"sas:\n"                                                                                             \
	"  any: {lookup: spi, " SAME_ENDS "100102030405060708090a0b0c0d0e0f10111213'}\n"                     \
	"  sourced: {lookup: source, " SAME_ENDS "200102030405060708090a0b0c0d0e0f10111213'}\n"              \
	"policies:\n"                                                                                        \
	"  - {name: any, direction: in, action: protect, source: 10.2.0.0/16, sas: [any]}\n"                 \
	"  - {name: sourced, direction: in, action: protect, source: 10.3.0.0/16, sas: [sourced]}\n"

/* Its IPv4 source with the halves exchanged, so that the header's checksum stays right. */
static struct rte_mbuf *from_elsewhere(struct rte_mbuf *m)
{
	uint16_t *source = rte_pktmbuf_mtod_offset(
		m, uint16_t *, sizeof(struct rte_ether_hdr) + offsetof(struct rte_ipv4_hdr, src_addr));
	uint16_t first = source[0];

	source[0] = source[1];
	source[1] = first;
	return m;
}

// SAL-1
START_TEST(of_sas_that_share_an_spi_the_log_names_the_one_that_the_packet_was_of)
{
	teardown();
	begin(SITE_SAME);

	from_wan(from_elsewhere(gateway_env_peer_esp(&env, "wan",
		&(struct peer_esp){
			.sa = "any", .inner = {.source = "10.3.0.1", .destination = "10.1.0.1"}})));
	audit_log_poll(&env.control, 0);

	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_selector), 1);
	ck_assert_ptr_null(sas_find(&env.control, "sourced")->last_event);
	ck_assert_ptr_nonnull(strstr(sas_find(&env.control, "any")->last_event, " sa=any "));
}
END_TEST

// SPD-4
START_TEST(a_packet_in_clear_that_a_policy_protects_is_recorded)
{
	struct audit_record record;

	gateway_env_receive(
		&env, "wan", &(struct packet_spec){.source = "10.2.0.1", .destination = "10.1.0.1"});

	record = taken();
	ck_assert_int_eq(record.reason, DROP_in_tmpl_mismatch);
	ck_assert(!record.has_sa);
	ck_addr(&record.flow.source, "10.2.0.1");
}
END_TEST

// ESP-6
START_TEST(the_end_of_the_sequence_numbers_is_recorded)
{
	struct audit_record record;

	atomic_store(&env.control.sas[0]->seq.next, SEQ_LAST + 1);
	gateway_env_receive(&env, "lan", &(struct packet_spec){0});

	record = taken();
	ck_assert_int_eq(record.reason, DROP_out_seq_overflow);
	ck_assert_uint_eq(rte_be_to_cpu_32(record.spi), SPI_OUT);
	ck_addr(&record.source, "192.0.2.1");
	ck_addr(&record.destination, "198.51.100.1");
	ck_addr(&record.flow.destination, "10.2.0.1");
}
END_TEST

START_TEST(a_dropped_dummy_is_no_event)
{
	from_wan(gateway_env_peer_esp(&env, "wan",
		&(struct peer_esp){.sa = "in",
			.inner = {.source = "10.2.0.1", .destination = "10.1.0.1"},
			.next_header = IPPROTO_NONE}));

	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_dummy), 1);
	ck_none_left();
}
END_TEST

static void clear_from_wan(void)
{
	gateway_env_receive(
		&env, "wan", &(struct packet_spec){.source = "10.2.0.1", .destination = "10.1.0.1"});
}

static unsigned take_all(enum drop_reason reason)
{
	struct audit_record record;
	unsigned n = 0;

	while (audit_take(env.worker->audit, &record))
		n += record.reason == reason;
	return n;
}

START_TEST(a_flood_of_one_reason_is_counted_and_hides_no_other)
{
	const struct audit *audit = env.worker->audit;
	uint64_t start_tsc = rte_rdtsc();
	uint64_t recorded;

	for (unsigned i = 0; i < 1000; i++)
		clear_from_wan();
	recorded = take_all(DROP_in_tmpl_mismatch);
	ck_assert_uint_ge(recorded, AUDIT_AT_ONCE);
	ck_assert_uint_le(recorded,
		AUDIT_AT_ONCE + 1 + AUDIT_PER_SECOND * (rte_rdtsc() - start_tsc) / rte_get_tsc_hz());
	ck_assert_uint_eq(audit_suppressed(audit, DROP_in_tmpl_mismatch), 1000 - recorded);

	from_wan(peer((struct packet_spec){.source = "10.2.3.1", .destination = "10.1.0.1"}));
	ck_assert_uint_eq(take_all(DROP_in_selector), 1);
	ck_assert_uint_eq(audit_suppressed(audit, DROP_in_selector), 0);
}
END_TEST

START_TEST(a_tenth_of_a_second_brings_a_token_up_to_as_many_as_at_once)
{
	const struct drop_audit *hook = audit_hook(env.worker->audit);
	uint64_t tsc = env.worker->now_tsc + rte_get_tsc_hz();

	env.worker->drops.audit->tokens[DROP_in_replay] = 0;
	audit_refill(env.worker->audit, tsc);
	ck_assert_uint_eq(hook->tokens[DROP_in_replay], 1);
	audit_refill(env.worker->audit, tsc + rte_get_tsc_hz() / AUDIT_PER_SECOND - 1);
	ck_assert_uint_eq(hook->tokens[DROP_in_replay], 1);
	for (unsigned i = 1; i < 100; i++)
		audit_refill(env.worker->audit, tsc + i * rte_get_tsc_hz());
	ck_assert_uint_eq(hook->tokens[DROP_in_replay], AUDIT_AT_ONCE);
	ck_assert_uint_eq(hook->tokens[DROP_in_dummy], 0);
}
END_TEST

START_TEST(where_it_is_off_workers_have_nothing_to_record_into)
{
	teardown();
	begin(SITE_YAML("0", SITE_DIRECT) "control: {audit: false}\n");

	ck_assert_ptr_null(env.worker->drops.audit);
	clear_from_wan();
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_tmpl_mismatch), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("datapath/audit");
	TCase *tcase = tcase_create("audit");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_packet_of_no_sa_is_recorded);
	tcase_add_test(tcase, the_flow_label_of_an_ipv6_packet_is_recorded);
	tcase_add_test(tcase, a_duplicate_is_recorded_with_its_number);
	tcase_add_test(tcase, a_wrong_icv_is_recorded);
	tcase_add_test(tcase, a_packet_that_its_sa_may_not_carry_is_recorded_with_its_selectors);
	tcase_add_test(tcase, of_sas_that_share_an_spi_the_log_names_the_one_that_the_packet_was_of);
	tcase_add_test(tcase, a_packet_in_clear_that_a_policy_protects_is_recorded);
	tcase_add_test(tcase, the_end_of_the_sequence_numbers_is_recorded);
	tcase_add_test(tcase, a_dropped_dummy_is_no_event);
	tcase_add_test(tcase, a_flood_of_one_reason_is_counted_and_hides_no_other);
	tcase_add_test(tcase, a_tenth_of_a_second_brings_a_token_up_to_as_many_as_at_once);
	tcase_add_test(tcase, where_it_is_off_workers_have_nothing_to_record_into);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
