/*
 * The ports: NICs and virtual devices, opened, configured and started; and which worker polls which queue.
 *
 * Main thread only. Ports have the order of the configuration; a port's index is its place there.
 */
#ifndef CULVERT_CONTROL_PORTS_H
#define CULVERT_CONTROL_PORTS_H

#include "base/err.h"
#include "datapath/worker.h"
#include "model/gateway.h"

#include <rte_ether.h>
#include <rte_spinlock.h>

struct rte_mempool;

struct port {
	const struct port_conf *conf; /* borrowed */
	uint16_t ethdev;
	struct rte_ether_addr mac;
	uint16_t n_rx_queues;
	uint16_t n_tx_queues;
	bool started;
	/* One for each transmit queue that several workers share. */
	rte_spinlock_t tx_locks[GATEWAY_WORKERS_MAX];
};

struct ports {
	struct rte_mempool *packets; /* the one pool of packet buffers that ports take and send */
	struct rte_mempool *large;   /* of buffers for the longest packets, which workers cut again */
	size_t n_ports;
	struct port ports[GATEWAY_PORTS_MAX];
};

/*
 * Make the pool, open and configure all ports. Returns 0 or -errno with err naming the port; then none is
 * open.
 */
int ports_open(const struct gateway *gateway, struct ports *ports, struct err *err);
void ports_close(struct ports *ports);

/* Let packets in. ports_stop stops those that were started. */
int ports_start(struct ports *ports, struct err *err);
void ports_stop(struct ports *ports);

/* What the driver says of the port's link now, and whether what is behind a virtual device is there. */
bool ports_link_is_up(const struct port *port);

/*
 * Give every receive queue to a worker, in turn, and every worker its transmit queue of every port; say in
 * the log who polls what. Before the workers run.
 */
void ports_assign(struct ports *ports, struct worker *const *workers, unsigned n_workers);

#endif
