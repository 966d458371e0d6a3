#include "control/capturing.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "../datapath/sites.h"
#include "base/array.h"
#include "base/clock.h"
#include "control/pcapng.h"
#include "support/eal.h"
#include "support/gateway.h"

static struct gateway_env env;
static char directory[] = "/tmp/culvert-capture-XXXXXX";

static void setup(void)
{
	eal_setup();
	gateway_env_begin(&env, SITE_YAML("0", SITE_DIRECT));
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	env.gateway.capture_directory = xstrdup(directory);
	env.gateway.capture_inner = true;
}

static void read_all(void)
{
	struct rte_mbuf *m;

	while ((m = gateway_env_sent(&env, "lan")) || (m = gateway_env_sent(&env, "wan")))
		rte_pktmbuf_free(m);
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void teardown(void)
{
	read_all();
	capturing_end(&env.control);
	worker_tick(env.worker);
	capturing_destroy(&env.control);
	unlink(path_of("a"));
	unlink(path_of("b"));
	ck_assert_int_eq(rmdir(directory), 0);
	gateway_env_end(&env);
	eal_teardown();
}

static struct capturing_conf conf_of(const char *file)
{
	struct capturing_conf conf;

	capturing_conf_init(&env.control, &conf);
	conf.file = file;
	return conf;
}

static void begin(struct capturing_conf conf)
{
	struct err err;

	ck_assert_msg(capturing_begin(&env.control, &conf, &err) == 0, "%s", err.text);
}

static void refused(struct capturing_conf conf, int code, const char *text)
{
	struct err err = {.text = ""};

	ck_assert_int_eq(capturing_begin(&env.control, &conf, &err), -code);
	ck_assert_msg(strstr(err.text, text), "%s", err.text);
	ck_assert_int_eq(env.control.capturing.state, CAPTURING_NONE);
}

/* Until the capture is done; what came of it. */
static struct capturing_result finished(void)
{
	uint64_t deadline_ns = clock_now_ns() + 10 * CLOCK_NS_PER_S;
	struct capturing_result result;

	while (env.control.capturing.state != CAPTURING_DONE) {
		ck_assert_uint_lt(clock_now_ns(), deadline_ns);
		worker_tick(env.worker);
		rte_rcu_qsbr_quiescent(env.control.qsbr, env.worker->index);
		capturing_poll(&env.control, clock_now_ns());
	}
	capturing_look(&env.control, &result);
	return result;
}

static struct capturing_result stopped(void)
{
	capturing_end(&env.control);
	return finished();
}

/* A file that is read block by block, each of which must be whole. */
struct reading {
	uint8_t bytes[4u << 20];
	size_t n;
	unsigned n_interfaces;
	char names[8][32];
	unsigned n_pkts[8];     /* by interface */
	const uint8_t *last[8]; /* packet of each interface */
	uint32_t last_bytes[8];
	uint64_t last_ns;
	uint64_t received[8]; /* by the statistics, as the next */
	uint64_t dropped[8];
};

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void read_options(
	struct reading *r, uint32_t type, const uint8_t *at, const uint8_t *end, uint32_t interface)
{
	while (at < end) {
		uint16_t code = (uint16_t)word(at), length = (uint16_t)(word(at) >> 16);

		if (code == 0)
			return;
		if (type == 1 && code == 2)
			memcpy(r->names[interface], at + 4, length);
		if (type == 5 && code == 4)
			memcpy(&r->received[interface], at + 4, 8);
		if (type == 5 && code == 5)
			memcpy(&r->dropped[interface], at + 4, 8);
		at += 4 + (length + 3) / 4 * 4;
	}
	ck_assert_ptr_eq(at, end);
}

static void read_block(struct reading *r, const uint8_t *block, uint32_t length)
{
	uint32_t type = word(block), interface = word(block + 8);
	const uint8_t *end = block + length - 4;

	if (type == 1) {
		read_options(r, type, block + 16, end, r->n_interfaces++);
	} else if (type == 5) {
		read_options(r, type, block + 20, end, interface);
	} else if (type == 6) {
		uint32_t captured = word(block + 20);

		r->n_pkts[interface]++;
		r->last[interface] = block + 28;
		r->last_bytes[interface] = captured;
		r->last_ns = (uint64_t)word(block + 12) << 32 | word(block + 16);
		read_options(r, type, block + 28 + (captured + 3) / 4 * 4, end, interface);
	} else {
		ck_assert_uint_eq(type, 0x0a0d0d0a);
	}
}

static const struct reading *reading(const char *name)
{
	static struct reading r;
	int fd = open(path_of(name), O_RDONLY);

	memset(&r, 0, sizeof(r));
	ck_assert_int_ge(fd, 0);
	r.n = (size_t)read(fd, r.bytes, sizeof(r.bytes));
	close(fd);
	for (size_t at = 0; at < r.n;) {
		uint32_t length = word(r.bytes + at + 4);

		ck_assert_uint_le(at + length, r.n);
		ck_assert_uint_eq(word(r.bytes + at + length - 4), length);
		read_block(&r, r.bytes + at, length);
		at += length;
	}
	return &r;
}

static unsigned interface_of(const struct reading *r, const char *name)
{
	for (unsigned i = 0; i < r->n_interfaces; i++)
		if (strcmp(r->names[i], name) == 0)
			return i;
	ck_abort_msg("no interface %s", name);
}

static const struct packet_spec to_peer = {
	.source = "10.1.0.1", .destination = "10.2.0.1", .payload_bytes = 40};

START_TEST(a_packet_is_captured_before_and_after_encryption)
{
	uint8_t packet[PACKET_BYTES_MAX];
	struct rte_mbuf *m;

	begin(conf_of("a"));
	gateway_env_receive(&env, "lan", &to_peer);
	m = gateway_env_sent(&env, "wan");
	struct capturing_result result = stopped();

	const struct reading *r = reading("a");
	unsigned lan = interface_of(r, "lan"), wan = interface_of(r, "wan"),
		 out = interface_of(r, "inner-out");
	struct packet_spec inner = to_peer;
	inner.ttl = 63;
	ck_assert_uint_eq(packet_build(&inner, packet), r->last_bytes[out]);
	ck_assert_mem_eq(r->last[out], packet, r->last_bytes[out]);
	ck_assert_uint_eq(r->last_bytes[wan], rte_pktmbuf_data_len(m));
	ck_assert_mem_eq(r->last[wan], rte_pktmbuf_mtod(m, void *), r->last_bytes[wan]);
	ck_assert_uint_eq(r->n_pkts[lan] + r->n_pkts[wan] + r->n_pkts[out], 3);
	ck_assert_uint_eq(result.written_pkts, 3);
	ck_assert_uint_eq(result.not_captured, 0);
	ck_assert_uint_eq(result.written_bytes, r->n);
	ck_assert_str_eq(result.err.text, "");
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_packet_is_captured_after_decryption)
{
	struct rte_mbuf *esp = gateway_env_peer_esp(
		&env, "wan", &(struct peer_esp){.sa = "in", .inner = {SITE_INNER, .payload_bytes = 30}});
	struct packet_spec inner = {SITE_INNER, .payload_bytes = 30};
	uint8_t packet[PACKET_BYTES_MAX];

	begin(conf_of("a"));
	gateway_env_receive_frames(&env, "wan", &esp, 1);
	stopped();

	const struct reading *r = reading("a");
	unsigned in = interface_of(r, "inner-in");
	ck_assert_uint_eq(packet_build(&inner, packet), r->last_bytes[in]);
	ck_assert_mem_eq(r->last[in], packet, r->last_bytes[in]);
	ck_assert_uint_eq(r->received[in], 1);
}
END_TEST

START_TEST(times_are_those_of_the_wall_clock)
{
	struct timespec before, after;

	/* The time of the packet, and not that of the capture's beginning. */
	begin(conf_of("a"));
	usleep(1000);
	clock_gettime(CLOCK_REALTIME, &before);
	gateway_env_receive(&env, "lan", &to_peer);
	clock_gettime(CLOCK_REALTIME, &after);
	stopped();

	const struct reading *r = reading("a");
	/* Some microseconds for the reading of two clocks. */
	ck_assert_uint_ge(
		r->last_ns + 100000, (uint64_t)before.tv_sec * CLOCK_NS_PER_S + (uint64_t)before.tv_nsec);
	ck_assert_uint_le(
		r->last_ns, (uint64_t)after.tv_sec * CLOCK_NS_PER_S + (uint64_t)after.tv_nsec + 100000);
}
END_TEST

START_TEST(without_leave_nothing_in_clear_is_captured)
{
	struct capturing_conf conf;

	env.gateway.capture_inner = false;
	conf = conf_of("a");
	ck_assert(!conf.inner);
	conf.inner = true;
	refused(conf, EPERM, "capture.allow_inner");
	conf.inner = false;
	conf.port = gateway_env_port(&env, "lan");
	refused(conf, EPERM, "port lan is protected");

	conf.port = FILTER_ANY;
	begin(conf);
	gateway_env_receive(&env, "lan", &to_peer);
	stopped();
	const struct reading *r = reading("a");
	ck_assert_uint_eq(r->n_interfaces, 1);
	ck_assert_str_eq(r->names[0], "wan");
	ck_assert_uint_eq(r->n_pkts[0], 1);
}
END_TEST

START_TEST(a_file_is_a_new_one_in_the_directory_for_its_owner)
{
	static const char *const bad[] = {"", "../a", "/tmp/a", "x/a", ".a", ".."};
	struct stat status;

	for (size_t i = 0; i < RTE_DIM(bad); i++)
		refused(conf_of(bad[i]), EINVAL, "is a name in");
	ck_assert_int_eq(symlink("/tmp/elsewhere", path_of("b")), 0);
	refused(conf_of("b"), EEXIST, "/b: File exists");

	begin(conf_of("a"));
	stopped();
	ck_assert_int_eq(stat(path_of("a"), &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	struct err err;
	struct capturing_conf again = conf_of("a");
	ck_assert_int_eq(capturing_begin(&env.control, &again, &err), -EEXIST);
}
END_TEST

START_TEST(what_can_not_be_is_refused)
{
	struct capturing_conf conf = conf_of("a");

	conf.snap_bytes = CAPTURE_SNAP_MAX + 1;
	refused(conf, EINVAL, "bytes of a packet");
	conf = conf_of("a");
	conf.rate_pps = 0;
	refused(conf, EINVAL, "packets a second");
	conf = conf_of("a");
	conf.seconds = 0;
	refused(conf, EINVAL, "seconds");
	conf = conf_of("a");
	conf.bytes_max = 1;
	refused(conf, EINVAL, "bytes at most");
	free(env.gateway.capture_directory);
	env.gateway.capture_directory = xstrdup("/nowhere");
	refused(conf_of("a"), ENOENT, "capture.directory /nowhere");
	free(env.gateway.capture_directory);
	env.gateway.capture_directory = NULL;
	refused(conf_of("a"), EPERM, "no capture.directory");
}
END_TEST

START_TEST(one_runs_at_a_time_until_every_worker_has_let_go)
{
	struct capturing_conf second = conf_of("b");
	struct err err;

	begin(conf_of("a"));
	ck_assert_int_eq(capturing_begin(&env.control, &second, &err), -EBUSY);
	worker_tick(env.worker);
	capturing_end(&env.control);
	for (unsigned i = 0; i < 10; i++)
		capturing_poll(&env.control, clock_now_ns());
	ck_assert_int_eq(env.control.capturing.state, CAPTURING_ENDS);
	ck_assert_ptr_nonnull(env.worker->capture);

	finished();
	ck_assert_ptr_null(env.worker->capture);
	ck_assert_ptr_null(env.worker->tx.watch);
	begin(second);
	stopped();
}
END_TEST

static void receive_many(unsigned n)
{
	struct packet_spec spec = to_peer;

	spec.payload_bytes = 1000;
	for (unsigned i = 0; i < n; i++) {
		gateway_env_receive(&env, "lan", &spec);
		read_all();
	}
}

/* Each passes three points. */
START_TEST(a_capture_ends_with_the_packets_or_the_bytes_that_it_may_have)
{
	struct capturing_conf conf = conf_of("a");
	struct capturing_result result;

	conf.pkts_max = 7;
	begin(conf);
	receive_many(10);
	result = finished();
	ck_assert_uint_eq(result.written_pkts, 7);
	ck_assert_uint_eq(result.not_captured, 30 - 7);
	const struct reading *r = reading("a");
	ck_assert_uint_eq(r->received[0] + r->received[1] + r->received[2] + r->received[3], 30);
	ck_assert_uint_eq(r->dropped[0] + r->dropped[1] + r->dropped[2] + r->dropped[3], 30 - 7);

	conf = conf_of("b");
	conf.bytes_max = PCAPNG_BUFFER_BYTES;
	begin(conf);
	receive_many(200);
	result = finished();
	ck_assert_uint_le(result.written_bytes, PCAPNG_BUFFER_BYTES + 1024);
	ck_assert_uint_gt(result.written_pkts, 200);
	ck_assert_uint_eq(result.written_pkts + result.not_captured, 600);
}
END_TEST

START_TEST(a_capture_ends_after_its_time)
{
	struct capturing_conf conf = conf_of("a");

	conf.seconds = 1;
	begin(conf);
	worker_tick(env.worker);
	rte_rcu_qsbr_quiescent(env.control.qsbr, env.worker->index);
	capturing_poll(&env.control, clock_now_ns());
	ck_assert_int_eq(env.control.capturing.state, CAPTURING_RUNS);
	capturing_poll(&env.control, clock_now_ns() + CLOCK_NS_PER_S);
	ck_assert_int_eq(env.control.capturing.state, CAPTURING_ENDS);
	finished();
}
END_TEST

/* As a full disk: the write fails. What was written before is a whole file. */
START_TEST(a_write_that_fails_ends_the_capture_with_its_name)
{
	const struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY}, small = {300 << 10, RLIM_INFINITY};
	struct capturing_result result;

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	begin(conf_of("a"));
	receive_many(300);
	result = finished();
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);

	ck_assert_msg(strstr(result.err.text, "/a: File too large"), "%s", result.err.text);
	ck_assert_uint_eq(result.written_pkts + result.not_captured, 900);
	const struct reading *r = reading("a");
	ck_assert_uint_eq(r->n_pkts[0] + r->n_pkts[1] + r->n_pkts[2] + r->n_pkts[3], result.written_pkts);
	ck_assert_uint_gt(result.written_pkts, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("capturing");
	TCase *tcase = tcase_create("capturing");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_packet_is_captured_before_and_after_encryption);
	tcase_add_test(tcase, a_packet_is_captured_after_decryption);
	tcase_add_test(tcase, times_are_those_of_the_wall_clock);
	tcase_add_test(tcase, without_leave_nothing_in_clear_is_captured);
	tcase_add_test(tcase, a_file_is_a_new_one_in_the_directory_for_its_owner);
	tcase_add_test(tcase, what_can_not_be_is_refused);
	tcase_add_test(tcase, one_runs_at_a_time_until_every_worker_has_let_go);
	tcase_add_test(tcase, a_capture_ends_with_the_packets_or_the_bytes_that_it_may_have);
	tcase_add_test(tcase, a_capture_ends_after_its_time);
	tcase_add_test(tcase, a_write_that_fails_ends_the_capture_with_its_name);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
