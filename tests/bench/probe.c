#include "bench/probe.h"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

/* A loop of the worker begins here, since it asks the queue once a loop, whether there is a packet or not. */
static uint16_t on_received(uint16_t port __rte_unused, uint16_t queue __rte_unused,
	struct rte_mbuf **pkts __rte_unused, uint16_t n, uint16_t max __rte_unused, void *arg)
{
	struct probe *probe = arg;

	probe->stayed += probe->received - probe->sent;
	probe->received += n;
	return n;
}

static uint16_t on_sent(uint16_t port __rte_unused, uint16_t queue __rte_unused, struct rte_mbuf **pkts,
	uint16_t n, void *arg)
{
	struct probe *probe = arg;
	struct histogram *into = atomic_load_explicit(&probe->into, memory_order_acquire);
	uint64_t now = rte_rdtsc();

	probe->sent += n;
	for (uint16_t i = 0; into && i < n; i++) {
		uint64_t came = *probe_stamp_one(probe, pkts[i]);

		if (now < came)
			probe->before_stamp++;
		else
			histogram_add(into, now - came);
	}
	return n;
}

int probe_init(struct probe *probe, uint16_t ethdev_in, uint16_t ethdev_out)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "bench_stamp", .size = sizeof(uint64_t), .align = _Alignof(uint64_t)};

	*probe = (struct probe){.stamp_offset = rte_mbuf_dynfield_register(&field)};
	if (probe->stamp_offset < 0)
		return -rte_errno;
	if (!rte_eth_add_rx_callback(ethdev_in, 0, on_received, probe) ||
		!rte_eth_add_tx_callback(ethdev_out, 0, on_sent, probe))
		return -ENOTSUP;
	return 0;
}
