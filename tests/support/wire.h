/*
 * A link: a port with queues of its own for each worker, whose other end is the test.
 *
 * Test suites with EAL, on the main thread, while workers poll the port's receive queues and fill its
 * transmit queues. Wires stay for the process, as EAL's ports do.
 */
#ifndef CULVERT_TESTS_SUPPORT_WIRE_H
#define CULVERT_TESTS_SUPPORT_WIRE_H

#include <stdint.h>

#include <rte_mbuf.h>

#define WIRE_QUEUES 2
#define WIRE_FRAMES 1023 /* that a queue holds */

struct rte_ring;

struct wire {
	uint16_t ethdev;
	struct rte_ring *to_port[WIRE_QUEUES];
	struct rte_ring *from_port[WIRE_QUEUES];
};

/* Make the wire of that name, or find it again. */
struct wire wire_open(const char *name);

/* The frame arrives at that queue of the port, whose worker then has it. */
void wire_put(const struct wire *wire, unsigned queue, struct rte_mbuf *m);
/* The next frame that the port sent by that queue, or NULL. */
struct rte_mbuf *wire_take(const struct wire *wire, unsigned queue);
/* Free what is on it in both directions. No worker polls. */
void wire_clear(const struct wire *wire);

#endif
