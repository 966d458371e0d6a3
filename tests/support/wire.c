#include "support/wire.h"

#include <stdio.h>

#include <check.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include "support/eal.h"
#include "support/tsan.h"

#define RING_SIZE (WIRE_FRAMES + 1)

/* The port's driver is a library that ThreadSanitizer doesn't see; these run in the calling worker. */
static uint16_t on_rx(uint16_t port __rte_unused, uint16_t queue __rte_unused, struct rte_mbuf **pkts,
	uint16_t n, uint16_t max __rte_unused, void *context __rte_unused)
{
	for (uint16_t i = 0; i < n; i++)
		TSAN_TAKE(pkts[i]);
	return n;
}

static uint16_t on_tx(uint16_t port __rte_unused, uint16_t queue __rte_unused, struct rte_mbuf **pkts,
	uint16_t n, void *context __rte_unused)
{
	for (uint16_t i = 0; i < n; i++)
		TSAN_GIVE(pkts[i]);
	return n;
}

static struct rte_ring *ring_open(const char *wire, const char *way, unsigned queue)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *ring;

	snprintf(name, sizeof(name), "%s_%s%u", wire, way, queue);
	ring = rte_ring_lookup(name);
	if (!ring)
		ring = rte_ring_create(name, RING_SIZE, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	ck_assert_ptr_nonnull(ring);
	return ring;
}

static uint16_t port_make(const char *name, const struct wire *wire)
{
	struct rte_eth_conf conf = {0};
	int port = rte_eth_from_rings(name, (struct rte_ring *const *)wire->to_port, WIRE_QUEUES,
		(struct rte_ring *const *)wire->from_port, WIRE_QUEUES, 0);

	ck_assert_int_ge(port, 0);
	ck_assert_int_eq(rte_eth_dev_configure((uint16_t)port, WIRE_QUEUES, WIRE_QUEUES, &conf), 0);
	for (uint16_t i = 0; i < WIRE_QUEUES; i++) {
		ck_assert_int_eq(
			rte_eth_rx_queue_setup((uint16_t)port, i, RING_SIZE, 0, NULL, eal_pool()), 0);
		ck_assert_int_eq(rte_eth_tx_queue_setup((uint16_t)port, i, RING_SIZE, 0, NULL), 0);
		ck_assert_ptr_nonnull(rte_eth_add_rx_callback((uint16_t)port, i, on_rx, NULL));
		ck_assert_ptr_nonnull(rte_eth_add_tx_callback((uint16_t)port, i, on_tx, NULL));
	}
	ck_assert_int_eq(rte_eth_dev_start((uint16_t)port), 0);
	return (uint16_t)port;
}

struct wire wire_open(const char *name)
{
	char port_name[RTE_ETH_NAME_MAX_LEN];
	struct wire wire;

	for (unsigned i = 0; i < WIRE_QUEUES; i++) {
		wire.to_port[i] = ring_open(name, "to", i);
		wire.from_port[i] = ring_open(name, "from", i);
	}
	snprintf(port_name, sizeof(port_name), "net_ring_%s", name);
	if (rte_eth_dev_get_port_by_name(port_name, &wire.ethdev) != 0)
		wire.ethdev = port_make(name, &wire);
	return wire;
}

void wire_put(const struct wire *wire, unsigned queue, struct rte_mbuf *m)
{
	TSAN_GIVE(m);
	ck_assert_int_eq(rte_ring_enqueue(wire->to_port[queue], m), 0);
}

static struct rte_mbuf *ring_take(struct rte_ring *ring)
{
	void *m;

	if (rte_ring_dequeue(ring, &m) != 0)
		return NULL;
	TSAN_TAKE(m);
	return m;
}

struct rte_mbuf *wire_take(const struct wire *wire, unsigned queue)
{
	return ring_take(wire->from_port[queue]);
}

void wire_clear(const struct wire *wire)
{
	struct rte_mbuf *m;

	for (unsigned i = 0; i < WIRE_QUEUES; i++)
		while ((m = ring_take(wire->to_port[i])) || (m = ring_take(wire->from_port[i])))
			rte_pktmbuf_free(m);
}
