#include "fwd/tx.h"

#include "support/eal.h"
#include "support/packet.h"
#include "support/tsan.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* A ring of n holds n - 1 frames. */
#define RING_SIZE     128
#define RING_HOLDS    (RING_SIZE - 1)
#define SHARED_FRAMES TSAN_ROUNDS(200000) /* of each of the two workers */

/* A port whose frames go into a ring; the test reads the ring. Rings and ports are made once a process. */
struct wire {
	struct rte_ring *ring;
	uint16_t ethdev;
};

static struct wire wire_make(const char *name)
{
	struct rte_eth_conf conf = {0};
	struct wire wire = {.ring = rte_ring_lookup(name)};
	char port_name[32];
	int port;

	if (wire.ring) {
		snprintf(port_name, sizeof(port_name), "net_ring_%s", name);
		ck_assert_int_eq(rte_eth_dev_get_port_by_name(port_name, &wire.ethdev), 0);
		return wire;
	}
	/* One producer: the queue itself takes no second worker at a time. */
	wire.ring = rte_ring_create(name, RING_SIZE, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	ck_assert_ptr_nonnull(wire.ring);
	port = rte_eth_from_rings(name, &wire.ring, 1, &wire.ring, 1, 0);
	ck_assert_int_ge(port, 0);
	wire.ethdev = (uint16_t)port;
	ck_assert_int_eq(rte_eth_dev_configure(wire.ethdev, 1, 1, &conf), 0);
	ck_assert_int_eq(rte_eth_rx_queue_setup(wire.ethdev, 0, RING_SIZE, 0, NULL, eal_pool()), 0);
	ck_assert_int_eq(rte_eth_tx_queue_setup(wire.ethdev, 0, RING_SIZE, 0, NULL), 0);
	ck_assert_int_eq(rte_eth_dev_start(wire.ethdev), 0);
	return wire;
}

static struct tx *tx_of(const struct wire *wires, uint8_t n)
{
	struct tx *tx = calloc(1, sizeof(*tx));

	tx->n_ports = n;
	for (uint8_t i = 0; i < n; i++)
		tx->ports[i].ethdev = wires[i].ethdev;
	return tx;
}

/* A frame of `bytes` that begins with its number. */
static struct rte_mbuf *frame(uint8_t port, uint32_t number, uint16_t bytes)
{
	uint8_t content[2048] = {0};
	struct rte_mbuf *m;

	memcpy(content, &number, sizeof(number));
	m = mbuf_of(content, bytes);
	pkt_of(m)->port_out = port;
	return m;
}

static void send_frames(struct tx *tx, uint8_t port, uint32_t first, uint32_t n, struct drops *drops)
{
	for (uint32_t sent = 0; sent < n;) {
		BURST(burst);

		for (; burst.n < BURST_MAX && sent < n; sent++)
			burst_add_one(&burst, frame(port, first + sent, 60));
		tx_burst(tx, &burst, drops);
		ck_assert_uint_eq(burst.n, 0);
	}
}

/* Take n frames off the wire and free them; they must be those numbered from `first`, in order. */
static void assert_received(const struct wire *wire, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number;
		void *m;

		ck_assert_int_eq(rte_ring_dequeue(wire->ring, &m), 0);
		memcpy(&number, rte_pktmbuf_mtod((struct rte_mbuf *)m, void *), sizeof(number));
		ck_assert_uint_eq(number, first + i);
		rte_pktmbuf_free(m);
	}
}

static void assert_silent(const struct wire *wire)
{
	ck_assert_uint_eq(rte_ring_count(wire->ring), 0);
}

START_TEST(frames_leave_at_the_flush_in_order_and_by_their_port)
{
	struct wire wires[] = {wire_make("wire_a"), wire_make("wire_b")};
	struct tx *tx = tx_of(wires, 2);
	struct drops drops = {0};
	BURST(burst);

	for (uint32_t i = 0; i < 20; i++)
		burst_add_one(&burst, frame(i % 2, i / 2, 60));
	tx_burst(tx, &burst, &drops);
	ck_assert_uint_eq(burst.n, 0);
	assert_silent(&wires[0]);
	assert_silent(&wires[1]);
	tx_flush(tx, &drops);

	assert_received(&wires[0], 0, 10);
	assert_received(&wires[1], 0, 10);
	assert_silent(&wires[0]);
	assert_silent(&wires[1]);
	free(tx);
}
END_TEST

START_TEST(a_full_buffer_leaves_without_a_flush)
{
	struct wire wire = wire_make("wire_a");
	struct tx *tx = tx_of(&wire, 1);
	struct drops drops = {0};

	send_frames(tx, 0, 0, BURST_MAX - 1, &drops);
	assert_silent(&wire);
	send_frames(tx, 0, BURST_MAX - 1, 1, &drops);
	assert_received(&wire, 0, BURST_MAX);
	send_frames(tx, 0, BURST_MAX, BURST_MAX + 3, &drops);
	assert_received(&wire, BURST_MAX, BURST_MAX);
	tx_flush(tx, &drops);
	assert_received(&wire, 2 * BURST_MAX, 3);
	free(tx);
}
END_TEST

START_TEST(what_a_full_port_does_not_take_is_dropped_and_what_it_took_keeps_its_order)
{
	struct wire wire = wire_make("wire_a");
	struct tx *tx = tx_of(&wire, 1);
	struct drops drops = {0};

	send_frames(tx, 0, 0, RING_HOLDS + 10, &drops);
	tx_flush(tx, &drops);

	ck_assert_uint_eq(drops.count[0][DROP_tx_full], 10);
	ck_assert_uint_eq(drops.total, 10);
	ck_assert_uint_eq(tx->ports[0].packets, RING_HOLDS);
	ck_assert_uint_eq(tx->ports[0].bytes, RING_HOLDS * 60);
	assert_received(&wire, 0, RING_HOLDS);
	assert_silent(&wire);
	free(tx);
}
END_TEST

START_TEST(bytes_are_those_of_the_frames_that_the_port_took)
{
	struct wire wire = wire_make("wire_a");
	struct tx *tx = tx_of(&wire, 1);
	struct drops drops = {0};
	BURST(burst);

	send_frames(tx, 0, 0, RING_HOLDS - 2, &drops);
	tx_flush(tx, &drops);
	burst_add_one(&burst, frame(0, RING_HOLDS - 2, 100));
	burst_add_one(&burst, frame(0, RING_HOLDS - 1, 1000));
	burst_add_one(&burst, frame(0, RING_HOLDS, 1500));
	tx_burst(tx, &burst, &drops);
	tx_flush(tx, &drops);

	ck_assert_uint_eq(tx->ports[0].packets, RING_HOLDS);
	ck_assert_uint_eq(tx->ports[0].bytes, (RING_HOLDS - 2) * 60 + 100 + 1000);
	ck_assert_uint_eq(drops.total, 1);
	assert_received(&wire, 0, RING_HOLDS);
	free(tx);
}
END_TEST

START_TEST(a_flush_of_nothing_does_nothing)
{
	struct wire wire = wire_make("wire_a");
	struct tx *tx = tx_of(&wire, 1);
	struct drops drops = {0};

	tx_flush(tx, &drops);
	ck_assert_uint_eq(tx->ports[0].packets, 0);
	ck_assert_uint_eq(drops.total, 0);
	assert_silent(&wire);
	free(tx);
}
END_TEST

/* A worker that shares a transmit queue. Its frames are numbered from `first`. */
struct sharer {
	struct tx *tx;
	struct drops drops;
	struct rte_mbuf **frames;
	atomic_uint *running;
	pthread_barrier_t *start;
};

static void *sharer_run(void *argument)
{
	struct sharer *s = argument;

	pthread_barrier_wait(s->start);
	for (uint32_t at = 0; at < SHARED_FRAMES; at += 8) {
		struct burst burst = {.n = 8};

		/*
		 * A reference each, so that the same few frames serve for all of the test. They never have
		 * only one, for which DPDK does not count with an atomic.
		 */
		for (uint32_t i = 0; i < 8; i++) {
			burst.pkts[i] = s->frames[(at + i) % 64];
			rte_mbuf_refcnt_update(burst.pkts[i], 1);
		}
		tx_burst(s->tx, &burst, &s->drops);
		tx_flush(s->tx, &s->drops);
	}
	atomic_fetch_sub(s->running, 1);
	return NULL;
}

/* What the driver sees of its callers. Relaxed, so that nothing but the queue's lock orders them. */
struct driver {
	atomic_bool is_busy;
	uint64_t overlaps; /* calls while another was in progress */
	uint64_t frames;   /* written without an atomic: the lock is what makes that right */
};

static uint16_t on_tx(uint16_t port __rte_unused, uint16_t queue __rte_unused,
	struct rte_mbuf **pkts __rte_unused, uint16_t n, void *context)
{
	struct driver *driver = context;

	driver->overlaps += atomic_exchange_explicit(&driver->is_busy, true, memory_order_relaxed);
	driver->frames += n;
	rte_pause();
	atomic_store_explicit(&driver->is_busy, false, memory_order_relaxed);
	return n;
}

/* Empty the ring until both workers are done; returns how many frames came. */
static uint64_t drain(const struct wire *wire, atomic_uint *running)
{
	uint64_t received = 0;
	bool last = false;

	while (!last) {
		void *frames[32];
		unsigned n;

		last = atomic_load(running) == 0;
		while ((n = rte_ring_dequeue_burst(wire->ring, frames, 32, NULL)) > 0) {
			rte_pktmbuf_free_bulk((struct rte_mbuf **)frames, n);
			received += n;
		}
	}
	return received;
}

START_TEST(two_workers_share_a_queue_behind_its_lock_and_lose_nothing)
{
	struct wire wire = wire_make("wire_a");
	rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;
	struct sharer sharers[2];
	atomic_uint running = 2;
	pthread_barrier_t start;
	struct rte_mbuf *frames[64];
	pthread_t threads[2];
	uint64_t received, sent = 0, dropped = 0;
	struct driver driver = {0};
	const void *callback = rte_eth_add_tx_callback(wire.ethdev, 0, on_tx, &driver);

	ck_assert_ptr_nonnull(callback);
	pthread_barrier_init(&start, NULL, 2);
	for (uint32_t i = 0; i < 64; i++) {
		frames[i] = frame(0, i, 60);
		rte_mbuf_refcnt_set(frames[i], 2);
	}
	for (unsigned i = 0; i < 2; i++) {
		sharers[i] = (struct sharer){
			.tx = tx_of(&wire, 1), .frames = frames, .running = &running, .start = &start};
		sharers[i].tx->ports[0].lock = &lock;
		threads[i] = eal_thread_create(sharer_run, &sharers[i]);
	}
	received = drain(&wire, &running);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		sent += sharers[i].tx->ports[0].packets;
		dropped += sharers[i].drops.count[0][DROP_tx_full];
		ck_assert_uint_eq(sharers[i].tx->ports[0].bytes, sharers[i].tx->ports[0].packets * 60);
		free(sharers[i].tx);
	}

	pthread_barrier_destroy(&start);
	ck_assert_int_eq(rte_eth_remove_tx_callback(wire.ethdev, 0, callback), 0);
	ck_assert_uint_eq(driver.overlaps, 0);
	ck_assert_uint_ge(driver.frames, sent + dropped);
	ck_assert_uint_eq(sent + dropped, 2 * SHARED_FRAMES);
	ck_assert_uint_eq(received, sent);
	for (uint32_t i = 0; i < 64; i++) {
		ck_assert_uint_eq(rte_mbuf_refcnt_read(frames[i]), 2);
		rte_mbuf_refcnt_set(frames[i], 1);
	}
	rte_pktmbuf_free_bulk(frames, 64);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fwd/tx");
	TCase *tests = tcase_create("tx");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(tests, eal_setup, eal_teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, frames_leave_at_the_flush_in_order_and_by_their_port);
	tcase_add_test(tests, a_full_buffer_leaves_without_a_flush);
	tcase_add_test(tests, what_a_full_port_does_not_take_is_dropped_and_what_it_took_keeps_its_order);
	tcase_add_test(tests, bytes_are_those_of_the_frames_that_the_port_took);
	tcase_add_test(tests, a_flush_of_nothing_does_nothing);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(threads, eal_setup, eal_teardown);
	tcase_set_tags(threads, "threads");
	tcase_set_timeout(threads, 120);
	tcase_add_test(threads, two_workers_share_a_queue_behind_its_lock_and_lose_nothing);
	suite_add_tcase(suite, threads);
	return eal_run_suite(suite);
}
