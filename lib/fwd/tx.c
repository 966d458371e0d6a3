#include "fwd/tx.h"

#include "net/stage.h"

#include <string.h>

#include <rte_ethdev.h>

static uint64_t bytes_of(struct rte_mbuf *const *pkts, uint16_t n)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < n; i++)
		bytes += rte_pktmbuf_pkt_len(pkts[i]);
	return bytes;
}

/* Offer the frames to the port twice: a driver may free finished descriptors only in the first call. */
static uint16_t port_send(const struct tx_port *port, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t sent;

	if (port->lock)
		rte_spinlock_lock(port->lock);
	sent = rte_eth_tx_burst(port->ethdev, port->queue, pkts, n);
	if (sent < n)
		sent += rte_eth_tx_burst(port->ethdev, port->queue, pkts + sent, n - sent);
	if (port->lock)
		rte_spinlock_unlock(port->lock);
	return sent;
}

static uint16_t port_send_watched(struct tx *tx, struct tx_port *port, struct burst *frames)
{
	uint16_t sent;

	tx->watch->sending(tx->watch, (uint8_t)(port - tx->ports), frames);
	sent = port_send(port, frames->pkts, frames->n);
	tx->watch->sent(tx->watch, sent);
	return sent;
}

static void port_flush(struct tx *tx, struct tx_port *port, struct drops *drops)
{
	struct burst *buffer = &port->buffer;
	/* Counted before they are sent, since a frame that the port has taken may be gone at once. */
	uint64_t bytes = bytes_of(buffer->pkts, buffer->n);
	uint16_t sent;

	if (buffer->n == 0)
		return;
	STAGE_OPEN(tx, buffer->n, drops);
	STAGE_TRACE(tx, buffer, drops);
	sent = unlikely(tx->watch != NULL) ? port_send_watched(tx, port, buffer)
					   : port_send(port, buffer->pkts, buffer->n);
	port->packets += sent;
	port->bytes += bytes - bytes_of(buffer->pkts + sent, buffer->n - sent);
	for (uint16_t i = sent; i < buffer->n; i++)
		drop_one(drops, buffer->pkts[i], DROP_tx_full);
	buffer->n = 0;
}

/* n frames for one port. */
static void port_queue(
	struct tx *tx, struct tx_port *port, struct rte_mbuf **pkts, uint16_t n, struct drops *drops)
{
	struct burst *buffer = &port->buffer;

	while (n > 0) {
		uint16_t taken = RTE_MIN(n, (uint16_t)(BURST_MAX - buffer->n));

		memcpy(&buffer->pkts[buffer->n], pkts, taken * sizeof(pkts[0]));
		buffer->n += taken;
		pkts += taken;
		n -= taken;
		if (buffer->n == BURST_MAX)
			port_flush(tx, port, drops);
	}
}

/* No STAGE: frames leave for the ports' buffers and for the ports themselves, where none can be counted. */
void tx_burst(struct tx *tx, struct burst *burst, struct drops *drops)
{
	for (uint16_t start = 0, end; start < burst->n; start = end) {
		uint8_t port_out = pkt_of(burst->pkts[start])->port_out;

		assert(port_out < tx->n_ports);
		for (end = start + 1; end < burst->n && pkt_of(burst->pkts[end])->port_out == port_out; end++)
			;
		port_queue(tx, &tx->ports[port_out], &burst->pkts[start], end - start, drops);
	}
	burst->n = 0;
}

void tx_flush(struct tx *tx, struct drops *drops)
{
	for (uint8_t i = 0; i < tx->n_ports; i++)
		port_flush(tx, &tx->ports[i], drops);
}
