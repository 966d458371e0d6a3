/*
 * A capture: copies of packets, taken by workers at some points of their way and written to a file by control
 * (control/capturing.h).
 *
 * Control makes it and hands each worker its part (struct worker's `capture`). A worker copies the first
 * snap_bytes into a slot that is there already; where no slot is free, or the rate is used up, it counts the
 * packet as not captured. It never waits. Control frees it when every worker has let go (QSBR).
 * Limits: CAPTURE_SNAP_MAX bytes of a packet; packets are in order for each worker, not among several.
 */
#ifndef CULVERT_DATAPATH_CAPTURE_H
#define CULVERT_DATAPATH_CAPTURE_H

#include "base/err.h"
#include "datapath/filter.h"
#include "fwd/tx.h"
#include "net/burst.h"
#include "net/pkt.h"

#include <stdbool.h>
#include <stdint.h>

#define CAPTURE_SNAP_MIN     64
#define CAPTURE_SNAP_DEFAULT 2048
#define CAPTURE_SNAP_MAX     9600
#define CAPTURE_RATE_DEFAULT 100000
#define CAPTURE_RATE_MAX     100000000
/* Of slots, for each worker. */
#define CAPTURE_BUFFER_BYTES (8u << 20)

/*
 * Where: frames as a port gave or took them, and packets inside tunnels: before encryption, and after
 * decryption.
 */
enum capture_point { CAPTURE_RX, CAPTURE_TX, CAPTURE_INNER_OUT, CAPTURE_INNER_IN };

struct capture_conf {
	struct filter filter; /* its port: rx and tx of that port alone; inner packets that came in by it */
	uint32_t ports;       /* bits by port index: those whose frames are taken */
	bool rx;
	bool tx;
	bool inner;
	uint32_t snap_bytes;
	uint32_t rate_pps; /* of all workers together */
	unsigned n_workers;
};

/* A packet as it is in a slot. */
struct capture_slot {
	uint64_t tsc;
	uint32_t bytes;          /* of the packet */
	uint32_t captured_bytes; /* of those, that follow */
	uint8_t point;           /* enum capture_point */
	uint8_t port;            /* of RX and TX */
	uint16_t of_burst;       /* its place in it */
	char sa[SA_NAME_MAX];    /* "" where none is known */
	uint8_t data[];
};

struct capture;
struct capture_worker;

/* Returns 0 or -ENOMEM with err set. Control. */
int capture_create(const struct capture_conf *conf, struct capture **capture, struct err *err);
/* No worker has any part of it. NULL is fine. */
void capture_destroy(struct capture *capture);
struct capture_worker *capture_of(struct capture *capture, unsigned worker);

/* Worker: fill the bucket. Called in each loop. */
void capture_tick(struct capture_worker *capture, uint64_t now_tsc);
/* Worker: frames that came by that port. */
void capture_rx(struct capture_worker *capture, uint8_t port, const struct burst *burst);
/* Worker: what its struct tx calls with frames that leave. */
struct tx_watch *capture_tx(struct capture_worker *capture);
/* Worker: packets that an SA is about to protect (INNER_OUT), or came out of one (INNER_IN). */
void capture_inner(struct capture_worker *capture, enum capture_point point, const struct burst *burst);

/* Control, one thread: the oldest packet of that worker, or NULL; capture_release gives it back. */
const struct capture_slot *capture_peek(const struct capture *capture, unsigned worker);
void capture_release(struct capture *capture, unsigned worker);

struct capture_counts {
	uint64_t captured;  /* copied */
	uint64_t no_room;   /* passed the filter and were not captured: no slot was free */
	uint64_t over_rate; /* the same: the rate was used up */
};

/* Any thread; `port` of RX and TX. */
struct capture_counts capture_counts(const struct capture *capture, enum capture_point point, uint8_t port);

#endif
