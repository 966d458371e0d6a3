#include "datapath/capture.h"

#include <string.h>

#include <rte_cycles.h>

#include "support/eal.h"
#include "support/packet.h"

static struct capture *capture;
static struct capture_worker *worker;

static struct capture_conf conf_of(void)
{
	struct capture_conf conf = {.ports = 3,
		.rx = true,
		.tx = true,
		.inner = true,
		.snap_bytes = CAPTURE_SNAP_DEFAULT,
		.rate_pps = CAPTURE_RATE_MAX,
		.n_workers = 1};

	filter_init(&conf.filter);
	return conf;
}

static void begin(struct capture_conf conf)
{
	struct err err;

	ck_assert_int_eq(capture_create(&conf, &capture, &err), 0);
	worker = capture_of(capture, 0);
}

static void teardown(void)
{
	capture_destroy(capture);
	eal_teardown();
}

/* n frames of rising length; the caller frees them. */
static struct burst frames(uint16_t n)
{
	struct burst burst = {.n = n};

	for (uint16_t i = 0; i < n; i++)
		burst.pkts[i] = packet_frame_mbuf(&(struct packet_spec){.payload_bytes = (uint16_t)(i + 10)});
	return burst;
}

static void frames_free(struct burst *burst)
{
	for (uint16_t i = 0; i < burst->n; i++)
		rte_pktmbuf_free(burst->pkts[i]);
}

static unsigned taken(void)
{
	unsigned n = 0;

	for (; capture_peek(capture, 0); n++)
		capture_release(capture, 0);
	return n;
}

START_TEST(frames_are_copied_with_their_lengths_in_order)
{
	struct burst burst = frames(5);

	begin(conf_of());
	capture_rx(worker, 1, &burst);

	for (uint16_t i = 0; i < 5; i++) {
		const struct capture_slot *slot = capture_peek(capture, 0);

		ck_assert_ptr_nonnull(slot);
		ck_assert_uint_eq(slot->port, 1);
		ck_assert_uint_eq(slot->point, CAPTURE_RX);
		ck_assert_uint_eq(slot->bytes, rte_pktmbuf_pkt_len(burst.pkts[i]));
		ck_assert_uint_eq(slot->captured_bytes, slot->bytes);
		ck_assert_mem_eq(slot->data, rte_pktmbuf_mtod(burst.pkts[i], void *), slot->bytes);
		capture_release(capture, 0);
	}
	ck_assert_ptr_null(capture_peek(capture, 0));
	frames_free(&burst);
}
END_TEST

START_TEST(a_long_frame_is_cut_to_the_snap_length)
{
	struct capture_conf conf = conf_of();
	struct burst burst = {
		.n = 1, .pkts = {packet_frame_mbuf(&(struct packet_spec){.payload_bytes = 1000})}};

	conf.snap_bytes = 100;
	begin(conf);
	capture_rx(worker, 0, &burst);

	const struct capture_slot *slot = capture_peek(capture, 0);
	ck_assert_uint_eq(slot->bytes, 14 + 28 + 1000);
	ck_assert_uint_eq(slot->captured_bytes, 100);
	frames_free(&burst);
}
END_TEST

/* Frames of two segments: what lies in the second is there. */
START_TEST(segments_are_put_together)
{
	struct rte_mbuf *first = packet_frame_mbuf(&(struct packet_spec){.payload_bytes = 20});
	struct rte_mbuf *second = mbuf_of("tail", 4);
	struct burst burst = {.n = 1, .pkts = {first}};
	uint32_t front = rte_pktmbuf_data_len(first);

	ck_assert_int_eq(rte_pktmbuf_chain(first, second), 0);
	begin(conf_of());
	capture_rx(worker, 0, &burst);

	const struct capture_slot *slot = capture_peek(capture, 0);
	ck_assert_uint_eq(slot->captured_bytes, front + 4);
	ck_assert_mem_eq(slot->data + front, "tail", 4);
	frames_free(&burst);
}
END_TEST

START_TEST(the_snap_length_may_end_in_any_segment)
{
	struct rte_mbuf *first = packet_frame_mbuf(&(struct packet_spec){.payload_bytes = 20});
	struct rte_mbuf *second = mbuf_of("tail", 4);
	struct burst burst = {.n = 1, .pkts = {first}};
	struct capture_conf conf = conf_of();

	conf.snap_bytes = rte_pktmbuf_data_len(first) + 1;
	ck_assert_int_eq(rte_pktmbuf_chain(first, second), 0);
	begin(conf);
	capture_rx(worker, 0, &burst);

	const struct capture_slot *slot = capture_peek(capture, 0);
	ck_assert_uint_eq(slot->captured_bytes, conf.snap_bytes);
	ck_assert_uint_eq(slot->bytes, conf.snap_bytes + 3);
	frames_free(&burst);
}
END_TEST

START_TEST(what_the_port_does_not_take_is_not_captured)
{
	struct burst burst = frames(8);
	struct tx_watch *watch;

	begin(conf_of());
	watch = capture_tx(worker);
	watch->sending(watch, 1, &burst);
	ck_assert_ptr_null(capture_peek(capture, 0));
	watch->sent(watch, 5);

	ck_assert_uint_eq(taken(), 5);
	ck_assert_uint_eq(capture_counts(capture, CAPTURE_TX, 1).captured, 5);
	frames_free(&burst);
}
END_TEST

/* The rate allows 8 at once, and none of those that were not sent were any. */
START_TEST(what_the_port_does_not_take_uses_up_no_rate)
{
	struct capture_conf conf = conf_of();
	struct burst burst = frames(8);
	struct tx_watch *watch;

	conf.rate_pps = 8 * 20;
	begin(conf);
	watch = capture_tx(worker);
	watch->sending(watch, 1, &burst);
	watch->sent(watch, 0);
	capture_rx(worker, 1, &burst);

	ck_assert_uint_eq(taken(), 8);
	ck_assert_uint_eq(capture_counts(capture, CAPTURE_RX, 1).over_rate, 0);
	frames_free(&burst);
}
END_TEST

/* Nobody reads: the rest is counted, and later ones find room again. */
START_TEST(without_a_free_slot_a_packet_is_counted)
{
	struct burst burst = frames(BURST_MAX);
	struct capture_counts counts;
	uint64_t all = 0;

	begin(conf_of());
	for (unsigned i = 0; i < 200; i++, all += BURST_MAX) {
		capture_tick(worker, rte_rdtsc() + i * rte_get_tsc_hz());
		capture_rx(worker, 0, &burst);
	}

	counts = capture_counts(capture, CAPTURE_RX, 0);
	ck_assert_uint_gt(counts.no_room, 0);
	ck_assert_uint_eq(counts.captured + counts.no_room + counts.over_rate, all);
	ck_assert_uint_eq(taken(), counts.captured);
	capture_rx(worker, 0, &burst);
	ck_assert_uint_eq(taken(), BURST_MAX);
	frames_free(&burst);
}
END_TEST

START_TEST(no_more_are_captured_a_second_than_the_rate_allows)
{
	struct capture_conf conf = conf_of();
	struct burst burst = frames(BURST_MAX);
	uint64_t now_tsc = rte_rdtsc(), second = rte_get_tsc_hz();
	unsigned n = 0;

	conf.rate_pps = 1000;
	begin(conf);
	for (unsigned i = 0; i < 1000; i++) {
		capture_tick(worker, now_tsc + i * second / 1000);
		capture_rx(worker, 0, &burst);
		n += taken();
	}

	/* A second's, and what the bucket held at first. */
	ck_assert_uint_ge(n, 1000);
	ck_assert_uint_le(n, 1000 + 1000 / 20);
	ck_assert_uint_eq(capture_counts(capture, CAPTURE_RX, 0).over_rate, 1000 * BURST_MAX - n);
	frames_free(&burst);
}
END_TEST

START_TEST(only_the_points_and_ports_that_are_asked_for_are_captured)
{
	struct capture_conf conf = conf_of();
	struct burst burst = frames(1);
	struct tx_watch *watch;

	conf.ports = 2;
	conf.tx = conf.inner = false;
	begin(conf);
	watch = capture_tx(worker);
	capture_rx(worker, 0, &burst);
	watch->sending(watch, 1, &burst);
	watch->sent(watch, 1);
	capture_inner(worker, CAPTURE_INNER_IN, &burst);
	ck_assert_uint_eq(taken(), 0);
	capture_rx(worker, 1, &burst);
	ck_assert_uint_eq(taken(), 1);
	frames_free(&burst);
}
END_TEST

START_TEST(a_filter_is_asked_for_frames)
{
	struct capture_conf conf = conf_of();
	struct burst burst = {.n = 2,
		.pkts = {packet_frame_mbuf(&(struct packet_spec){
				 .destination_port = 53, .source = "10.1.0.1", .destination = "10.2.0.1"}),
			packet_frame_mbuf(&(struct packet_spec){
				.destination_port = 54, .source = "10.1.0.1", .destination = "10.2.0.1"})}};

	conf.filter.destination_port = 54;
	begin(conf);
	capture_rx(worker, 0, &burst);

	ck_assert_mem_eq(capture_peek(capture, 0)->data, rte_pktmbuf_mtod(burst.pkts[1], void *), 42);
	ck_assert_uint_eq(taken(), 1);
	ck_assert_uint_eq(capture_counts(capture, CAPTURE_RX, 0).captured, 1);
	frames_free(&burst);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("capture");
	TCase *tcase = tcase_create("capture");

	tcase_add_checked_fixture(tcase, eal_setup, teardown);
	tcase_add_test(tcase, frames_are_copied_with_their_lengths_in_order);
	tcase_add_test(tcase, a_long_frame_is_cut_to_the_snap_length);
	tcase_add_test(tcase, segments_are_put_together);
	tcase_add_test(tcase, the_snap_length_may_end_in_any_segment);
	tcase_add_test(tcase, what_the_port_does_not_take_is_not_captured);
	tcase_add_test(tcase, what_the_port_does_not_take_uses_up_no_rate);
	tcase_add_test(tcase, without_a_free_slot_a_packet_is_counted);
	tcase_add_test(tcase, no_more_are_captured_a_second_than_the_rate_allows);
	tcase_add_test(tcase, only_the_points_and_ports_that_are_asked_for_are_captured);
	tcase_add_test(tcase, a_filter_is_asked_for_frames);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
