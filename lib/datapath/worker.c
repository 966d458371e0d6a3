#include "datapath/worker.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "datapath/pipeline.h"
#include "net/stage.h"

/*
 * Frames asked of a queue at once: few enough to stay in the first-level cache, many enough to share costs.
 */
#define WORKER_RX_BURST 32
/* Empty loops before a worker pauses, and before it sleeps. */
#define IDLE_LOOPS_PAUSE 64
#define IDLE_LOOPS_SLEEP 1024
/* How long a stopping worker waits for its crypto devices. */
#define DRAIN_LOOPS_MAX 1000000

static uint16_t port_receive(struct worker *w, const struct worker_rx *rx, struct rte_mbuf **pkts)
{
	STAGE_OPEN(rx, 0, &w->drops);

	return rte_eth_rx_burst(rx->ethdev, rx->queue, pkts, WORKER_RX_BURST);
}

static uint16_t poll_port(struct worker *w, const struct worker_rx *rx)
{
	struct burst b;

	b.n = port_receive(w, rx, b.pkts);
	if (b.n == 0)
		return 0;
	w->counters.rx_packets[rx->port] += b.n;
	for (uint16_t i = 0; i < b.n; i++)
		w->counters.rx_bytes[rx->port] += b.pkts[i]->pkt_len;
	uint16_t received = b.n;
	pipeline_receive(w, rx->port, &b);
	return received;
}

static void crypto_collect(struct worker *w, struct burst *done)
{
	STAGE_OPEN(crypto_poll, 0, &w->drops);

	crypto_poll(w->crypto, done);
}

static uint16_t poll_crypto(struct worker *w)
{
	BURST(b);

	crypto_collect(w, &b);
	uint16_t done = b.n;
	if (done > 0)
		pipeline_crypto_done(w, &b);
	return done;
}

static uint16_t poll_control(struct worker *w)
{
	struct burst b;

	b.n = (uint16_t)rte_ring_dequeue_burst(w->host.from_control, (void **)b.pkts, BURST_MAX, NULL);
	uint16_t taken = b.n;
	w->counters.from_control += taken;
	if (taken > 0)
		pipeline_from_control(w, &b);
	return taken;
}

void worker_tick(struct worker *w)
{
	w->now_tsc = rte_rdtsc();
	w->tally.now_tsc = w->now_tsc;
	if (w->audit)
		audit_refill(w->audit, w->now_tsc);
}

/* One round over everything that can bring a packet; how many came. */
static uint32_t poll_all(struct worker *w)
{
	uint32_t packets = 0;

	worker_tick(w);
	/* A burst comes in, up to two come back, so that queues to crypto don't grow with the number of
	 * ports. */
	for (uint16_t i = 0; i < w->n_rx; i++) {
		packets += poll_port(w, &w->rx[i]);
		packets += poll_crypto(w);
	}
	packets += poll_control(w);
	pipeline_dummies(w);
	reass_expire(w->reass, w->now_tsc, &w->drops);
	tx_flush(&w->tx, &w->drops);
	return packets;
}

/*
 * The crypto queues are emptied first: what is in flight was looked up in the old snapshot, and once
 * `adopted` says the new one, this worker holds nothing older.
 */
void worker_adopt(struct worker *w)
{
	const struct snapshot *published = atomic_load_explicit(&w->published, memory_order_acquire);

	if (published == w->snapshot)
		return;
	while (crypto_in_flight(w->crypto) > 0)
		poll_crypto(w);
	tx_flush(&w->tx, &w->drops);
	/* Fragments out of a tunnel hold its SA. */
	reass_drop_all(w->reass, DROP_frag_timeout, &w->drops);
	w->snapshot = published;
	flows_forget(w->flows);
	atomic_store_explicit(&w->adopted, published, memory_order_release);
}

/*
 * Rest when there is nothing to do, longer the longer that lasts, so that a core can be shared. While it
 * sleeps, the worker is offline for QSBR, so that nobody waits for it.
 */
static void idle(struct worker *w, uint32_t empty_loops)
{
	if (empty_loops < IDLE_LOOPS_PAUSE)
		return;
	if (empty_loops < IDLE_LOOPS_SLEEP || w->idle_sleep_us == 0) {
		rte_pause();
		return;
	}
	rte_rcu_qsbr_thread_offline(w->qsbr, w->index);
	usleep(RTE_MIN(1 + (empty_loops - IDLE_LOOPS_SLEEP) / 16, w->idle_sleep_us));
	rte_rcu_qsbr_thread_online(w->qsbr, w->index);
}

static void drain(struct worker *w)
{
	for (unsigned loops = 0; loops < DRAIN_LOOPS_MAX; loops++) {
		uint32_t packets = poll_crypto(w) + poll_control(w);

		tx_flush(&w->tx, &w->drops);
		if (packets == 0 && crypto_in_flight(w->crypto) == 0)
			break;
	}
}

int worker_begin(struct worker *w)
{
	int ret = crypto_worker_warm_up(w->crypto);

	if (ret != 0)
		return ret;
	w->tally = (struct sa_tally){.drops = &w->drops, .worker = w->index};
	rte_rcu_qsbr_thread_register(w->qsbr, w->index);
	rte_rcu_qsbr_thread_online(w->qsbr, w->index);
	worker_adopt(w);
	return 0;
}

void worker_end(struct worker *w)
{
	drain(w);
	reass_drop_all(w->reass, DROP_shutdown, &w->drops);
	rte_rcu_qsbr_thread_offline(w->qsbr, w->index);
	rte_rcu_qsbr_thread_unregister(w->qsbr, w->index);
}

int worker_run(struct worker *w)
{
	uint32_t empty_loops = 0;
	int ret = worker_begin(w);

	if (ret != 0)
		return ret;
	/* The default of 50 us would be added to each of idle()'s sleeps. */
	prctl(PR_SET_TIMERSLACK, 1000);
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		worker_adopt(w);
		uint32_t packets = poll_all(w);
		rte_rcu_qsbr_quiescent(w->qsbr, w->index);
		w->counters.loops++;
		w->counters.busy_loops += packets > 0;
		empty_loops = packets > 0 ? 0 : empty_loops + 1;
		idle(w, empty_loops);
	}
	worker_end(w);
	return 0;
}
