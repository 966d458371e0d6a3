/*
 * Transmit: frames collect in a buffer for each port and leave in bursts.
 *
 * Each worker has one struct tx and writes to transmit queues of its own. Where a port has fewer queues than
 * there are workers, workers share a queue, and only there a spinlock guards it.
 * Limits: a frame that the port doesn't take at the second attempt is dropped as tx_full.
 */
#ifndef CULVERT_FWD_TX_H
#define CULVERT_FWD_TX_H

#include "net/burst.h"
#include "net/drop.h"

#include <stdint.h>

#include <rte_spinlock.h>

struct tx_port {
	uint16_t ethdev; /* DPDK's port number */
	uint16_t queue;
	rte_spinlock_t
		*lock; /* shared with the other workers of this queue; NULL if it is this worker's alone */
	struct burst buffer;
	uint64_t packets; /* taken by the port */
	uint64_t bytes;
};

/* Who sees frames leave (datapath/capture.h): all of a port's, and how many of them, the first, it took. */
struct tx_watch {
	void (*sending)(struct tx_watch *watch, uint8_t port, const struct burst *frames);
	void (*sent)(struct tx_watch *watch, uint16_t n);
};

struct tx {
	struct tx_watch *watch; /* NULL: nobody */
	uint8_t n_ports;
	struct tx_port ports[PKT_PORTS_MAX]; /* by port index */
};

/* Queue frames by their port_out; a buffer that fills up leaves at once. The burst is empty afterwards. */
void tx_burst(struct tx *tx, struct burst *burst, struct drops *drops);

/* Send what has collected, on all ports. Call it once a loop. Drops: tx_full. */
void tx_flush(struct tx *tx, struct drops *drops);

#endif
