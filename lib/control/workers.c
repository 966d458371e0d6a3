#include "control/workers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_random.h>
#include <rte_ring.h>

#include "base/log.h"

/* One part in so many of all buffers is for fragments that wait. */
#define REASS_POOL_SHARE 4u

/* Fragments that wait leave most of the buffers, however few there are, to packets that don't. */
static uint32_t reass_packets(const struct control *control)
{
	uint32_t share =
		control->ports.packets->size / (REASS_POOL_SHARE * control->gateway->workers.n_lcores);

	return RTE_MIN(share, (uint32_t)REASS_PKTS_MAX);
}

static int worker_create(struct control *control, unsigned index, struct err *err)
{
	unsigned lcore = index + 1; /* EAL's lcore 0 is control; see control/eal.c */
	int socket = (int)rte_lcore_to_socket_id(lcore);
	struct worker *w = rte_zmalloc_socket("worker", sizeof(*w), RTE_CACHE_LINE_SIZE, socket);
	char name[RTE_RING_NAMESIZE];

	if (!w)
		return err_set(err, ENOMEM, "no memory for worker %u", index);
	control->workers[control->n_workers++] = w;
	w->index = index;
	w->n_workers = (unsigned)control->gateway->workers.n_lcores;
	w->lcore = lcore;
	w->idle_sleep_us = control->gateway->workers.idle_sleep_us;
	w->qsbr = control->qsbr;
	w->sad = control->sad;
	w->sad_out = control->sad_out;
	w->neighbours = control->neighbours;
	w->host.to_control = control->to_control;
	w->host.to_host = control->to_host;
	snprintf(name, sizeof(name), "from_control%u", index);
	w->host.from_control = rte_ring_create(name, HOST_QUEUE_PKTS, socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!w->host.from_control)
		return err_set(err, ENOMEM, "no memory for the queue from control to worker %u", index);
	w->frag = (struct frag){
		.packets = control->ports.packets,
		.next_id = (uint32_t)rte_rand(),
		.generated = &w->counters.generated,
	};
	w->dummies.packets = control->ports.packets;
	struct reass_conf reass = {
		.pkts_max = reass_packets(control),
		.large = control->ports.large,
		.socket = socket,
	};
	struct ipcomp_conf ipcomp = {.large = control->ports.large, .socket = socket};
	int ret = flows_create(index, socket, &w->flows, err);
	if (ret == 0)
		ret = reass_create(&reass, &w->reass, err);
	if (ret == 0)
		ret = ipcomp_create(&ipcomp, &w->ipcomp, err);
	return ret != 0 ? ret : crypto_worker_create(&control->crypto, index, socket, &w->crypto, err);
}

int workers_create(struct control *control, struct err *err)
{
	int ret = 0;

	for (unsigned i = 0; ret == 0 && i < control->gateway->workers.n_lcores; i++)
		ret = worker_create(control, i, err);
	if (ret != 0) {
		workers_destroy(control);
		return ret;
	}
	ports_assign(&control->ports, control->workers, control->n_workers);
	return 0;
}

void workers_destroy(struct control *control)
{
	while (control->n_workers > 0) {
		struct worker *w = control->workers[--control->n_workers];

		if (w->crypto)
			crypto_worker_destroy(w->crypto);
		flows_destroy(w->flows);
		reass_destroy(w->reass);
		ipcomp_destroy(w->ipcomp);
		rte_ring_free(w->host.from_control);
		rte_free(w);
	}
}

static int worker_main(void *worker)
{
	return worker_run(worker);
}

int workers_launch(struct control *control, struct err *err)
{
	for (unsigned i = 0; i < control->n_workers; i++) {
		struct worker *w = control->workers[i];
		int ret = rte_eal_remote_launch(worker_main, w, w->lcore);

		if (ret != 0) {
			workers_stop(control);
			return err_set(err, -ret, "worker %u does not start: %s", i, strerror(-ret));
		}
		log_info("worker=%u cpu=%u", i, control->gateway->workers.lcores[i]);
	}
	return 0;
}

/* Workers have stopped, so nobody else touches the ring. */
static void ring_drop_all(struct rte_ring *ring, struct drops *drops)
{
	struct rte_mbuf *m;

	while (rte_ring_dequeue(ring, (void **)&m) == 0)
		drop_one(drops, m, DROP_shutdown);
}

void workers_stop(struct control *control)
{
	for (unsigned i = 0; i < control->n_workers; i++)
		atomic_store_explicit(&control->workers[i]->stop, true, memory_order_relaxed);
	for (unsigned i = 0; i < control->n_workers; i++) {
		int ret = rte_eal_wait_lcore(control->workers[i]->lcore);

		if (ret != 0)
			log_error("a worker failed: %s worker=%u", strerror(-ret), i);
	}
	for (unsigned i = 0; i < control->n_workers; i++)
		ring_drop_all(control->workers[i]->host.from_control, &control->counters.drops);
	ring_drop_all(control->to_control, &control->counters.drops);
	if (control->to_host)
		ring_drop_all(control->to_host, &control->counters.drops);
}
