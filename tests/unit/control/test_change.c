#include "control/change.h"
#include "control/change_check.h"

#include "base/array.h"
#include "config/load.h"
#include "control/lock.h"
#include "control/neigh_proto.h"
#include "control/reload.h"
#include "control/retire.h"
#include "control/sas.h"
#include "ipsec/replies.h"
#include "ipsec/sad.h"
#include "support/eal.h"
#include "support/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD                                                                                                 \
	"control: {directory: /run/test}\n"                                                                  \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [0]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24]}\n"                          \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"
#define ROUTES     "routes: [{to: 198.51.100.0/24, via: 192.0.2.254}]\n"
#define NEIGHBOURS "neighbours: [{port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}]\n"
#define ESP_OUT    "source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16"
#define ESP_IN     "source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16"
#define KEY(digit)                                                                                           \
	"key: '0x" digit digit "0102030405060708090a0b0c0d0e0f10" digit digit digit digit digit digit "'"
#define SA_A  "  a: {spi: 0x1001, " ESP_OUT ", " KEY("1") "}\n"
#define SA_B  "  b: {spi: 0x1002, " ESP_OUT ", " KEY("2") "}\n"
#define SA_IN "  in: {spi: 0x2001, " ESP_IN ", " KEY("3") ", replay_window: 64}\n"
#define POLICY_OUT_BY(sa)                                                                                    \
	"  - {name: out, direction: out, action: protect, destination: 10.2.0.0/16, sas: [" sa "]}\n"
#define POLICY_IN_BY(sa)                                                                                     \
	"  - {name: in, direction: in, action: protect, source: 10.2.0.0/16, sas: [" sa "]}\n"
#define SITE                                                                                                 \
	HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B SA_IN "policies:\n" POLICY_OUT_BY("a") POLICY_IN_BY("in")

static struct gateway_env env;
static struct reload_summary summary;
static struct report report;
static struct err err;

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE);
	control_directory_set(&env.gateway);
	state_directory_set(&env.gateway);
	report_init(&report);
	err = (struct err){0};
}

static void teardown(void)
{
	report_fini(&report);
	gateway_env_end(&env);
	eal_teardown();
}

/* SAs and policies as they would stand in a file. */
static struct gateway part_of(const char *yaml)
{
	struct gateway part;

	ck_assert_int_eq(config_read_part("/none/site.yaml", yaml, strlen(yaml), &part, &report), 0);
	return part;
}

/* A change that adds SAs. */
static void change_adds(struct change *change, const char *yaml)
{
	struct gateway part = part_of(yaml);

	change_init(change);
	change->fresh = part.sas;
	change->n_fresh = part.n_sas;
	part.sas = NULL;
	part.n_sas = 0;
	gateway_fini(&part);
}

/* Add SAs by themselves; what change_make says. */
static int sas_add(const char *yaml)
{
	struct change change;

	change_adds(&change, yaml);
	change_check(&env.control, &change, &report);
	if (report_total(&report) > 0) {
		change_fini(&change);
		return -EINVAL;
	}
	return change_make(&env.control, &change, &err);
}

static int sa_delete(const char *name)
{
	struct change change;

	change_init(&change);
	*array_append(&change.gone, &change.n_gone) = name;
	change_check(&env.control, &change, &report);
	if (report_total(&report) > 0) {
		change_fini(&change);
		return -EINVAL;
	}
	return change_make(&env.control, &change, &err);
}

/* Make the gateway that of the file; findings stay in `report`. */
static int reload(const char *yaml)
{
	struct gateway wanted;
	struct change change;

	summary = (struct reload_summary){0};
	ck_assert_int_eq(config_load_text(yaml, strlen(yaml), "/none", &wanted, &report), 0);
	change_init(&change);
	reload_difference(&env.control, &wanted, &change, &summary, &report);
	if (report_total(&report) > 0) {
		change_fini(&change);
		return -EINVAL;
	}
	return change_make(&env.control, &change, &err);
}

static struct sa *sa_of(const char *name)
{
	return sas_find(&env.control, name) ? sas_named(&env.control, name) : NULL;
}

/* A packet to the far site; the SPI that it left with, or 0. */
static uint32_t send_packet(void)
{
	struct rte_mbuf *m;
	uint32_t spi = 0;

	worker_adopt(env.worker);
	gateway_env_receive(&env, "lan",
		&(struct packet_spec){.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 32});
	while ((m = gateway_env_sent(&env, "wan"))) {
		rte_be32_t wire;

		memcpy(&wire, rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + 20), sizeof(wire));
		spi = rte_be_to_cpu_32(wire);
		rte_pktmbuf_free(m);
	}
	return spi;
}

/* Frames that came out on the lan of those that the port gets. */
static unsigned receive(struct rte_mbuf *frame)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	worker_adopt(env.worker);
	gateway_env_receive_frames(&env, "wan", &frame, 1);
	/* The host's address is unknown, so that the packet waits with control. */
	n = rte_ring_count(env.control.to_control);
	while (rte_ring_dequeue(env.control.to_control, (void **)&m) == 0)
		drop_one(&env.control.counters.drops, m, DROP_shutdown);
	return n;
}

static struct peer_esp from_peer(void)
{
	return (struct peer_esp){
		.sa = "in",
		.inner = {.source = "10.2.0.1", .destination = "10.1.0.1", .payload_bytes = 32},
	};
}

static struct rte_mbuf *copy_of(const struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, eal_pool(), 0, UINT32_MAX);

	ck_assert_ptr_nonnull(copy);
	return copy;
}

// REK-5
START_TEST(an_sa_that_is_added_leaves_the_others_as_they_are)
{
	struct sa *a = sa_of("a");
	const struct spd *spd = env.control.snapshot->spd_out;

	ck_assert_uint_eq(send_packet(), 0x1001);
	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("4") "}}"), 0);

	ck_assert_ptr_eq(sa_of("a"), a);
	ck_assert_ptr_nonnull(sa_of("c"));
	ck_assert_ptr_eq(env.control.snapshot->spd_out, spd);
	ck_assert_uint_eq(send_packet(), 0x1001);
	ck_assert_uint_eq(atomic_load(&a->seq.next), 3);
}
END_TEST

START_TEST(an_sa_whose_spi_is_taken_is_refused_and_nothing_changes)
{
	const struct snapshot *before = env.control.snapshot;

	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("4") "}, "
										 "d: {spi: 0x2001, " ESP_IN
										 ", " KEY("5") "}}"),
		-EINVAL);

	ck_assert_str_eq(report.findings[0].path, "sas.d.spi");
	ck_assert_ptr_nonnull(strstr(report.findings[0].text, "0x00002001"));
	ck_assert_ptr_eq(env.control.snapshot, before);
	ck_assert_ptr_null(sa_of("c"));
	ck_assert_ptr_null(sa_of("d"));
	ck_assert_uint_eq(env.control.n_sas, 3);
	ck_assert_uint_eq(env.gateway.n_sas, 3);
	ck_assert_uint_eq(atomic_load(&sa_of("in")->special) & SA_RETIRED, 0);
}
END_TEST

START_TEST(an_sa_with_foreign_ends_is_a_finding)
{
	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, source: 203.0.113.1, destination: 198.51.100.1, "
				 "esp: aes128gcm16, " KEY("4") "}}"),
		-EINVAL);
	ck_assert_str_eq(report.findings[0].path, "sas.c");
}
END_TEST

START_TEST(an_sa_that_a_policy_names_is_not_deleted)
{
	ck_assert_int_eq(sa_delete("a"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(report.findings[0].text, "no SA is named 'a'"));
	ck_assert_ptr_nonnull(sa_of("a"));
}
END_TEST

// REK-4
START_TEST(an_sa_is_destroyed_when_every_worker_has_adopted_that_it_is_gone)
{
	ck_assert_int_eq(sa_delete("b"), 0);
	ck_assert_ptr_null(sa_of("b"));
	ck_assert_uint_eq(env.control.n_sas, 2);

	retire_poll(&env.control);
	ck_assert_uint_eq(retire_pending(&env.control), 1);
	worker_adopt(env.worker);
	retire_poll(&env.control);
	ck_assert_uint_eq(retire_pending(&env.control), 0);
}
END_TEST

START_TEST(a_worker_that_lags_keeps_all_that_it_may_hold)
{
	ck_assert_int_eq(sa_delete("b"), 0);
	worker_adopt(env.worker);
	ck_assert_int_eq(sas_add("sas: {b: {spi: 0x1003, " ESP_OUT ", " KEY("4") "}}"), 0);
	ck_assert_int_eq(sa_delete("b"), 0);

	retire_poll(&env.control);
	ck_assert_uint_eq(retire_pending(&env.control), 2);
	ck_assert_uint_eq(send_packet(), 0x1001);
	retire_poll(&env.control);
	ck_assert_uint_eq(retire_pending(&env.control), 0);
}
END_TEST

// REK-1, SPD-13
START_TEST(a_policy_that_gets_another_sa_sends_by_it)
{
	ck_assert_uint_eq(send_packet(), 0x1001);
	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B SA_IN
						       "policies:\n" POLICY_OUT_BY("b") POLICY_IN_BY("in")),
		0);

	ck_assert_uint_eq(summary.policies.changed, 1);
	ck_assert_uint_eq(summary.sas.added + summary.sas.changed + summary.sas.removed, 0);
	ck_assert_uint_eq(send_packet(), 0x1002);
	ck_assert_int_eq(sa_delete("a"), 0);
	ck_assert_uint_eq(send_packet(), 0x1002);
}
END_TEST

START_TEST(a_worker_that_hangs_stops_changes_in_the_end_and_no_more)
{
	unsigned n = 0;
	int ret;

	while ((ret = sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("4") "}}")) == 0 &&
		(ret = sa_delete("c")) == 0)
		n += 2;

	ck_assert_int_eq(ret, -EBUSY);
	ck_assert_uint_eq(n, CHANGES_PENDING_MAX);
	ck_assert_uint_eq(send_packet(), 0x1001);
	retire_poll(&env.control);
	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("4") "}}"), 0);
}
END_TEST

START_TEST(a_reload_of_the_same_changes_nothing)
{
	const struct snapshot *before = env.control.snapshot;

	ck_assert_int_eq(reload(SITE), 0);
	ck_assert_uint_eq(summary.policies.added + summary.policies.changed + summary.policies.removed, 0);
	ck_assert_ptr_eq(env.control.snapshot, before);
	ck_assert_uint_eq(send_packet(), 0x1001);
}
END_TEST

START_TEST(an_sa_that_is_gone_from_the_file_goes_and_one_that_is_new_comes)
{
	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_IN "  c: {spi: 0x1003, " ESP_OUT
						       ", " KEY("4") "}\n"
								     "policies:\n" POLICY_OUT_BY("c")
									     POLICY_IN_BY("in")),
		0);

	ck_assert_uint_eq(summary.sas.added, 1);
	ck_assert_uint_eq(summary.sas.removed, 1);
	ck_assert_ptr_null(sa_of("b"));
	ck_assert_uint_eq(send_packet(), 0x1003);
	ck_assert_uint_eq(env.gateway.n_sas, 3);
}
END_TEST

// REK-4
START_TEST(packets_of_an_sa_that_is_gone_are_of_no_sa)
{
	struct peer_esp esp = from_peer();
	struct rte_mbuf *first = gateway_env_peer_esp(&env, "wan", &esp);
	struct rte_mbuf *second = gateway_env_peer_esp(&env, "wan", &esp);

	ck_assert_uint_eq(receive(first), 1);
	ck_assert_int_eq(
		reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B "policies:\n" POLICY_OUT_BY("a")), 0);
	ck_assert_uint_eq(receive(second), 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_no_sa), 1);
}
END_TEST

/* The SA changes, its key doesn't: what was taken under the key stays taken. */
START_TEST(an_inbound_sa_that_changes_under_its_key_keeps_its_window)
{
	struct peer_esp esp = from_peer();
	struct rte_mbuf *first = gateway_env_peer_esp(&env, "wan", &esp);
	struct rte_mbuf *replayed = copy_of(first);
	struct sa *before = sa_of("in");

	ck_assert_uint_eq(receive(first), 1);
	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B "  in: {spi: 0x2001, " ESP_IN
						       ", " KEY("3") ", replay_window: 64, "
								     "rekey_time: 1h}\n"
								     "policies:\n" POLICY_OUT_BY("a")
									     POLICY_IN_BY("in")),
		0);
	ck_assert_uint_eq(summary.sas.changed, 1);
	ck_assert_ptr_ne(sa_of("in"), before);

	ck_assert_uint_eq(receive(replayed), 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_replay), 1);
	ck_assert_uint_eq(receive(gateway_env_peer_esp(&env, "wan", &esp)), 1);
}
END_TEST

START_TEST(a_window_can_not_change_its_size_under_its_key)
{
	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B "  in: {spi: 0x2001, " ESP_IN
						       ", " KEY("3") ", replay_window: 128}\n"
								     "policies:\n" POLICY_OUT_BY("a")
									     POLICY_IN_BY("in")),
		-EINVAL);
	ck_assert_str_eq(report.findings[0].path, "sas.in");
}
END_TEST

START_TEST(what_is_made_at_the_start_can_not_change)
{
	ck_assert_int_eq(reload("control: {directory: /run/other}\n"
				"memory: {hugepages: false, packets: 8192}\n"
				"workers: {lcores: [0], idle_sleep_us: 7}\n"
				"ports:\n"
				"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.253/24]}\n"
				"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"),
		-EINVAL);
	/* The directory, the socket in it, memory, workers, the port. */
	ck_assert_uint_eq(report_total(&report), 5);
	ck_assert_str_eq(report.findings[4].path, "ports.lan");
	ck_assert_uint_eq(env.gateway.n_sas, 3);
}
END_TEST

START_TEST(routes_and_neighbours_change)
{
	ck_assert_int_eq(
		reload(HEAD "routes: [{to: 198.51.100.0/24, via: 192.0.2.253}]\n"
			    "neighbours: [{port: wan, address: 192.0.2.253, mac: "
			    "'02:00:5e:00:02:fd'}]\n"
			    "sas:\n" SA_A SA_B SA_IN "policies:\n" POLICY_OUT_BY("a") POLICY_IN_BY("in")),
		0);

	ck_assert_uint_eq(summary.routes.added, 1);
	ck_assert_uint_eq(summary.routes.removed, 1);
	ck_assert_uint_eq(summary.neighbours.removed, 1);
	ck_assert_uint_eq(send_packet(), 0x1001);
	ck_assert_uint_eq(env.gateway.n_routes, 1);
}
END_TEST

/* The SA inside stays in the file as it was, but has another one around it now. */
START_TEST(sas_whose_bundle_changes_are_made_anew)
{
	struct sa *a = sa_of("a"), *b = sa_of("b");

	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B SA_IN "policies:\n" POLICY_OUT_BY(
				 "a, b") POLICY_IN_BY("in")),
		0);

	ck_assert_ptr_ne(sa_of("a"), a);
	ck_assert_ptr_ne(sa_of("b"), b);
	ck_assert_ptr_eq(sa_of("a")->around, sa_of("b"));
	ck_assert(sa_of("b")->has_inside);
	ck_assert(env.control.snapshot->has_bundles);
	ck_assert_uint_eq(send_packet(), 0x1002);
	a = sa_of("a");
	ck_assert_int_eq(reload(SITE), 0);
	ck_assert_ptr_ne(sa_of("a"), a);
	ck_assert_ptr_null(sa_of("a")->around);
	ck_assert(!env.control.snapshot->has_bundles);
	ck_assert_uint_eq(send_packet(), 0x1001);
}
END_TEST

static struct peer_esp from_peer_by(const char *sa)
{
	struct peer_esp esp = from_peer();

	esp.sa = sa;
	return esp;
}

#define SA_IN_2 "  in2: {spi: 0x2002, " ESP_IN ", " KEY("5") ", replay_window: 64}\n"
#define SA_IN_3 "  in3: {spi: 0x2003, " ESP_IN ", " KEY("6") ", replay_window: 64}\n"

/* Both ends rekeyed at once: two new SAs beside the old one. */
// REK-3
START_TEST(three_inbound_sas_are_valid_together)
{
	static const char *const names[] = {"in", "in2", "in3", "in"};

	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS
				 "sas:\n" SA_A SA_B SA_IN SA_IN_2 SA_IN_3
				 "policies:\n" POLICY_OUT_BY("b") "  - {name: in, direction: in, action: "
								  "protect, source: 10.2.0.0/16, sas: [in3], "
								  "alternatives: [in, in2]}\n"),
		0);

	for (size_t i = 0; i < RTE_DIM(names); i++) {
		struct peer_esp esp = from_peer_by(names[i]);

		ck_assert_uint_eq(receive(gateway_env_peer_esp(&env, "wan", &esp)), 1);
	}
	ck_assert_uint_eq(send_packet(), 0x1002);
}
END_TEST

// REK-2
START_TEST(a_responder_sends_by_the_old_sa_until_the_new_one_has_received)
{
	struct peer_esp esp = from_peer_by("in2");

	ck_assert_int_eq(
		reload(HEAD ROUTES NEIGHBOURS
			"sas:\n" SA_A SA_B SA_IN SA_IN_2 "  c: {spi: 0x1003, " ESP_OUT
			", " KEY("7") ", after: in2}\n"
				      "policies:\n"
				      "  - {name: out, direction: out, action: protect, destination: "
				      "10.2.0.0/16, sas: [a], alternatives: [c]}\n"
				      "  - {name: in, direction: in, action: protect, source: 10.2.0.0/16, "
				      "sas: [in], alternatives: [in2]}\n"),
		0);

	ck_assert_uint_eq(send_packet(), 0x1001);
	ck_assert_uint_eq(receive(gateway_env_peer_esp(&env, "wan", &esp)), 1);
	ck_assert_uint_eq(send_packet(), 0x1003);
}
END_TEST

START_TEST(the_last_sa_takes_the_place_of_one_that_goes)
{
	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("4") "}}"), 0);
	ck_assert_int_eq(sa_delete("b"), 0);

	ck_assert_uint_eq(sas_find(&env.control, "c")->index, 1);
	ck_assert_str_eq(env.gateway.sas[1].name, "c");
	ck_assert_str_eq(env.control.sas[1]->name, "c");
	ck_assert_int_eq(sa_delete("c"), 0);
	ck_assert_uint_eq(env.control.n_sas, 2);
}
END_TEST

// ALG-1
START_TEST(an_sa_with_the_key_of_another_is_a_finding)
{
	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("2") "}}"), -EINVAL);
	ck_assert_str_eq(report.findings[0].path, "sas.c");
	ck_assert_ptr_nonnull(strstr(report.findings[0].text, "same key as 'b'"));
	report_fini(&report);
	report_init(&report);
	ck_assert_int_eq(sa_delete("b"), 0);
	ck_assert_int_eq(sas_add("sas: {c: {spi: 0x1003, " ESP_OUT ", " KEY("2") "}}"), 0);
}
END_TEST

static int sa_add_numbered(unsigned i)
{
	char yaml[256];

	snprintf(yaml, sizeof(yaml), "sas: {n%u: {spi: %u, " ESP_OUT ", key: '0x%040x'}}", i, 0x3000 + i,
		i + 1);
	return sas_add(yaml);
}

START_TEST(sas_find_room_until_it_is_full_and_then_nothing_changes)
{
	const struct snapshot *before;
	unsigned n = 0;

	ck_assert_uint_eq(env.control.sas_room, 2 * 3 + MEMORY_SAS_MORE);
	while (env.control.n_sas < env.control.sas_room) {
		ck_assert_int_eq(sa_add_numbered(n++), 0);
		worker_adopt(env.worker);
		retire_poll(&env.control);
	}
	before = env.control.snapshot;
	ck_assert_int_eq(sa_add_numbered(n), -EINVAL);

	ck_assert_str_eq(report.findings[0].path, "memory.sas");
	ck_assert_ptr_nonnull(strstr(report.findings[0].text, "set memory.sas to more"));
	ck_assert_ptr_eq(env.control.snapshot, before);
	ck_assert_uint_eq(env.control.n_sas, env.control.sas_room);
	ck_assert_uint_eq(send_packet(), 0x1001);
	report_fini(&report);
	report_init(&report);
	ck_assert_int_eq(sa_delete("n0"), 0);
	ck_assert_int_eq(sa_add_numbered(n), 0);
}
END_TEST

/* A reload is not checked by itself before it is made: the file was. */
START_TEST(a_reload_that_finds_no_room_changes_nothing)
{
	env.control.sas_room = 3;
	ck_assert_int_eq(reload(HEAD ROUTES NEIGHBOURS "sas:\n" SA_A SA_B SA_IN "  c: {spi: 0x1003, " ESP_OUT
						       ", " KEY("4") "}\n"
								     "policies:\n" POLICY_OUT_BY("c")
									     POLICY_IN_BY("in")),
		-ENOSPC);
	ck_assert_ptr_nonnull(strstr(err.text, "memory.sas"));
	ck_assert_uint_eq(env.control.n_sas, 3);
	ck_assert_uint_eq(send_packet(), 0x1001);
}
END_TEST

/* Nearly all of a change is made when it turns out that there are too many neighbours. */
static void fail_to_add(const char *yaml)
{
	struct change change;

	change_adds(&change, yaml);
	change.has_neighbours = true;
	change.n_neighbours = NEIGH_STATIC_MAX + 1;
	change.neighbours = xcalloc(change.n_neighbours, sizeof(*change.neighbours));
	ck_assert_int_lt(change_make(&env.control, &change, &err), 0);
}

#define SA_OF_ALICE(name, spi, key)                                                                          \
	"sas:\n  " name ": {spi: " spi ", " ESP_IN ", " KEY(key) ", peer: alice}\n"

/* NAT-8: through rekeyings of both kinds, and changes that fail; and no other ever gets it. */
START_TEST(a_peer_has_its_number_for_as_long_as_an_sa_has_its_name)
{
	uint64_t number;

	ck_assert_int_eq(sas_add(SA_OF_ALICE("x", "0x3001", "5")), 0);
	number = sa_of("x")->peer;
	ck_assert_uint_ne(number, REPLIES_PEER_NONE);
	ck_assert_int_eq(sas_add(SA_OF_ALICE("x", "0x3002", "6")), 0);
	ck_assert_uint_eq(sa_of("x")->peer, number);
	ck_assert_int_eq(sas_add(SA_OF_ALICE("y", "0x3003", "7")), 0);
	ck_assert_int_eq(sa_delete("x"), 0);
	ck_assert_uint_eq(sa_of("y")->peer, number);
	fail_to_add("sas:\n  y: {spi: 0x3003, " ESP_IN ", " KEY("7") "}\n"
								     "  z: {spi: 0x3004, " ESP_IN
								     ", " KEY("8") ", peer: bob}\n");
	ck_assert_uint_eq(sa_of("y")->peer, number);
	ck_assert_uint_eq(peers_find(&env.control.peers, "alice"), number);
	ck_assert_int_eq(sa_delete("y"), 0);
	ck_assert_uint_eq(peers_find(&env.control.peers, "alice"), REPLIES_PEER_NONE);
	report_fini(&report);
	report_init(&report);
	ck_assert_int_eq(sas_add(SA_OF_ALICE("x", "0x3001", "5")), 0);
	ck_assert_uint_gt(sa_of("x")->peer, number);
	ck_assert_str_eq(peers_name(&env.control.peers, sa_of("x")->peer), "alice");
	ck_assert_ptr_null(peers_name(&env.control.peers, number));
}
END_TEST

/* Random changes of a small world, so that they often collide. */
#define RANDOM_CHANGES  4000
#define RANDOM_SAS      6
#define RANDOM_POLICIES 4

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % limit);
}

static void random_sa_write(FILE *yaml, unsigned name)
{
	bool inbound = random_below(2), in_udp = random_below(4) == 0;

	fprintf(yaml, "  r%u: {spi: %u, %s, key: '0x%040x'", name, 0x4000 + random_below(8),
		inbound ? ESP_IN : ESP_OUT, 1 + random_below(12));
	if (in_udp)
		fputs(", encap: udp", yaml);
	if (!inbound && in_udp && random_below(2))
		fprintf(yaml, ", follows: r%u", random_below(RANDOM_SAS));
	if (random_below(6) == 0)
		fprintf(yaml, ", after: r%u", random_below(RANDOM_SAS));
	if (random_below(8) == 0)
		fputs(", mode: transport", yaml);
	if (random_below(inbound ? 4 : 12) == 0)
		fprintf(yaml, ", %s: q%u", inbound ? "peer" : "for_peer", random_below(2));
	fputs("}\n", yaml);
}

static void random_policy_write(FILE *yaml, unsigned name)
{
	bool inbound = random_below(2);

	fprintf(yaml, "  - {name: p%u, direction: %s, action: protect, %s: 10.%u.0.0/16, sas: [r%u", name,
		inbound ? "in" : "out", inbound ? "source" : "destination", 3 + random_below(4),
		random_below(RANDOM_SAS));
	if (random_below(6) == 0)
		fprintf(yaml, ", r%u", random_below(RANDOM_SAS));
	fputs("]", yaml);
	if (random_below(6) == 0)
		fprintf(yaml, ", alternatives: [r%u]", random_below(RANDOM_SAS));
	fputs("}\n", yaml);
}

static char *random_part_yaml(void)
{
	char *text;
	size_t length;
	FILE *yaml = open_memstream(&text, &length);
	unsigned sas = random_below(1u << RANDOM_SAS) & random_below(1u << RANDOM_SAS);
	unsigned n_policies = random_below(3);

	fputs(sas ? "sas:\n" : "sas: {}\n", yaml);
	for (unsigned i = 0; i < RANDOM_SAS; i++)
		if (sas & 1u << i)
			random_sa_write(yaml, i);
	fputs(n_policies > 0 ? "policies:\n" : "policies: []\n", yaml);
	for (unsigned i = 0; i < n_policies; i++)
		random_policy_write(yaml, random_below(RANDOM_POLICIES));
	fclose(yaml);
	return text;
}

static bool random_part_read(struct gateway *part)
{
	char *yaml = random_part_yaml();
	int ret = config_read_part("/none/site.yaml", yaml, strlen(yaml), part, &report);

	free(yaml);
	report_fini(&report);
	report_init(&report);
	return ret == 0;
}

static bool part_has(const struct gateway *part, const char *name)
{
	for (size_t i = 0; i < part->n_sas; i++)
		if (strcmp(part->sas[i].name, name) == 0)
			return true;
	return false;
}

static void random_gone_choose(const struct gateway *part, struct change *change)
{
	const struct gateway *gateway = &env.gateway;

	for (size_t i = 0; i < gateway->n_sas; i++)
		if (random_below(5) == 0 && !part_has(part, gateway->sas[i].name))
			*array_append(&change->gone, &change->n_gone) = gateway->sas[i].name;
}

static void random_policies_choose(struct gateway *part, struct change *change)
{
	if (part->n_policies == 0 && random_below(2))
		return;
	change_policies_begin(change, &env.gateway);
	for (size_t i = change->n_policies; i-- > 0;)
		if (random_below(3) == 0)
			change_policy_remove(change, i, &env.gateway);
	for (size_t i = 0; i < part->n_policies; i++)
		change_policy_insert(
			change, random_below((uint32_t)change->n_policies + 1), &part->policies[i]);
}

static bool random_change(struct change *change)
{
	struct gateway part;

	change_init(change);
	if (!random_part_read(&part))
		return false;
	random_gone_choose(&part, change);
	random_policies_choose(&part, change);
	change->fresh = part.sas;
	change->n_fresh = part.n_sas;
	part.sas = NULL;
	part.n_sas = 0;
	gateway_fini(&part);
	return true;
}

static size_t findings_of(void (*check)(const struct control *, const struct change *, struct report *),
	const struct change *change)
{
	struct report found;
	size_t n;

	report_init(&found);
	check(&env.control, change, &found);
	n = report_total(&found);
	report_fini(&found);
	return n;
}

/* The inbound SAs of a name have its number, and there is no name more than they have. */
static void peers_check(void)
{
	const char *seen = NULL;
	size_t n = 0;

	for (size_t i = 0; i < env.control.n_sas; i++) {
		const char *name = env.gateway.sas[i].peer;
		const struct sa *sa = env.control.sas[i];

		ck_assert_uint_eq(sa->peer, name ? peers_find(&env.control.peers, name) : REPLIES_PEER_NONE);
		ck_assert_int_eq((atomic_load(&sa->special) & SA_OF_PEER) != 0, name != NULL);
		/* There are two names. */
		n += name && (!seen || (n == 1 && strcmp(seen, name) != 0));
		seen = name && !seen ? name : seen;
	}
	ck_assert_uint_eq(env.control.peers.n, n);
}

/* What counts and points is as if it had been made anew. */
static void state_check(void)
{
	const struct gateway *gateway = &env.gateway;
	unsigned users[64];
	uint32_t places[2] = {0};

	ck_assert_uint_le(env.control.n_sas, RTE_DIM(users));
	peers_check();
	for (size_t i = 0; i < env.control.n_sas; i++) {
		ck_assert_uint_eq(env.control.sa_notes[i]->n_released, 0);
		ck_assert_ptr_eq(
			sa_keys_find(&env.control.sa_keys, &gateway->sas[i].key), env.control.sa_notes[i]);
		users[i] = env.control.sa_notes[i]->n_users;
	}
	sas_count_all_users(&env.control);
	for (size_t i = 0; i < env.control.n_sas; i++)
		ck_assert_uint_eq(env.control.sa_notes[i]->n_users, users[i]);
	for (size_t i = 0; i < gateway->n_policies; i++) {
		const struct policy *policy = &gateway->policies[i];
		const struct snapshot *snapshot = env.control.snapshot;

		ck_assert_int_ge(name_index_find(&env.control.policy_names, policy->name), 0);
		ck_assert_ptr_eq(
			spd_sa(policy->direction == POLICY_OUT ? snapshot->spd_out : snapshot->spd_in,
				places[policy->direction]++),
			policy->n_sas > 0 ? sa_of(policy->sas[0]) : NULL);
	}
}

START_TEST(a_change_alone_is_accepted_where_the_whole_would_be)
{
	unsigned n_good = 0, n_local = 0, n_made = 0;
	struct change change;

	random_state = 88172645463325252u;
	for (unsigned i = 0; i < RANDOM_CHANGES; i++) {
		size_t of_whole;
		bool is_good;

		if (!random_change(&change)) {
			change_fini(&change);
			continue;
		}
		of_whole = findings_of(change_check_whole, &change);
		ck_assert_msg(findings_of(change_check, &change) == of_whole, "change %u", i);
		is_good = of_whole == 0;
		n_good += is_good;
		n_local += is_good && change_is_local(&env.control, &change);
		if (is_good && change_make(&env.control, &change, &err) == 0) {
			n_made++;
			state_check();
		}
		change_fini(&change);
		worker_adopt(env.worker);
		retire_poll(&env.control);
	}
	/* The test tests something: many of each kind. */
	ck_assert_uint_gt(n_good, RANDOM_CHANGES / 20);
	ck_assert_uint_gt(n_local, RANDOM_CHANGES / 40);
	ck_assert_uint_gt(n_good - n_local, RANDOM_CHANGES / 200);
	ck_assert_uint_gt(n_made, RANDOM_CHANGES / 40);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control/change");
	TCase *tcase = tcase_create("change");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_sa_that_is_added_leaves_the_others_as_they_are);
	tcase_add_test(tcase, an_sa_whose_spi_is_taken_is_refused_and_nothing_changes);
	tcase_add_test(tcase, an_sa_with_foreign_ends_is_a_finding);
	tcase_add_test(tcase, an_sa_that_a_policy_names_is_not_deleted);
	tcase_add_test(tcase, an_sa_is_destroyed_when_every_worker_has_adopted_that_it_is_gone);
	tcase_add_test(tcase, a_worker_that_lags_keeps_all_that_it_may_hold);
	tcase_add_test(tcase, a_policy_that_gets_another_sa_sends_by_it);
	tcase_add_test(tcase, a_worker_that_hangs_stops_changes_in_the_end_and_no_more);
	tcase_add_test(tcase, a_reload_of_the_same_changes_nothing);
	tcase_add_test(tcase, an_sa_that_is_gone_from_the_file_goes_and_one_that_is_new_comes);
	tcase_add_test(tcase, packets_of_an_sa_that_is_gone_are_of_no_sa);
	tcase_add_test(tcase, an_inbound_sa_that_changes_under_its_key_keeps_its_window);
	tcase_add_test(tcase, a_window_can_not_change_its_size_under_its_key);
	tcase_add_test(tcase, what_is_made_at_the_start_can_not_change);
	tcase_add_test(tcase, routes_and_neighbours_change);
	tcase_add_test(tcase, sas_whose_bundle_changes_are_made_anew);
	tcase_add_test(tcase, three_inbound_sas_are_valid_together);
	tcase_add_test(tcase, a_responder_sends_by_the_old_sa_until_the_new_one_has_received);
	tcase_add_test(tcase, the_last_sa_takes_the_place_of_one_that_goes);
	tcase_add_test(tcase, an_sa_with_the_key_of_another_is_a_finding);
	tcase_add_test(tcase, sas_find_room_until_it_is_full_and_then_nothing_changes);
	tcase_add_test(tcase, a_reload_that_finds_no_room_changes_nothing);
	tcase_add_test(tcase, a_peer_has_its_number_for_as_long_as_an_sa_has_its_name);
	tcase_add_test(tcase, a_change_alone_is_accepted_where_the_whole_would_be);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
