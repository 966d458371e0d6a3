/*
 * The crypto seam: ESP's transforms over cryptodev, in both of its ways, or by IPsec-MB itself.
 *
 * Synchronous: the worker calls the driver, or IPsec-MB, and has the result when crypto_run returns. IPsec-MB
 * gets the packets of all SAs in a burst together (ipsec/crypto_direct.h), a driver those of one.
 * Asynchronous: packets of all SAs in a burst are enqueued together, and crypto_poll brings them back, at
 * once or later. Which way a packet goes is its session's (ipsec/crypto_session.h).
 *
 * Workers; each has a struct crypto_worker of its own and never touches another's queue pair.
 * Limits: single-segment packets, in place.
 */
#ifndef CULVERT_IPSEC_CRYPTO_H
#define CULVERT_IPSEC_CRYPTO_H

#include "base/err.h"
#include "ipsec/crypto_session.h"
#include "net/burst.h"

#include <stdint.h>

struct sa_tally;

/* Packets in flight on one queue pair at most; also its ring size. */
#define CRYPTO_QUEUE_DEPTH 2048

struct crypto_worker;

/*
 * What one worker needs: operations for its packets in flight, scratch, a manager of IPsec-MB if that is
 * among the devices, and queue pair `queue_pair` of every cryptodev. Control thread; `crypto` must outlive
 * it. It takes one session of each synchronous cryptodev, for the warm-up. Returns 0, -ENOMEM, or what
 * mb_manager_create returns.
 */
int crypto_worker_create(const struct crypto *crypto, unsigned queue_pair, int socket,
	struct crypto_worker **worker, struct err *err);
/* Nothing may be in flight. */
void crypto_worker_destroy(struct crypto_worker *worker);

/*
 * Once on the worker's own thread before its first packet: drivers allocate per-thread state on first use.
 * Returns 0, or -EIO where a driver could not process a packet of zeros.
 */
int crypto_worker_warm_up(struct crypto_worker *worker);

/*
 * Encrypt or decrypt each packet by its sa, esp_offset, icv_offset and seq (struct pkt); the ESP header, IV
 * field, trailer and room for the ICV are in place. Keeps the packets that are finished; those that are in
 * flight belong to the crypto worker until crypto_poll returns them. A packet that fails keeps its place,
 * with PKT_ICV_BAD or PKT_CRYPTO_FAILED set; nobody may look at its contents. Drops: crypto_full,
 * crypto_failed.
 */
void crypto_run(struct crypto_worker *worker, struct burst *burst, const struct sa_tally *tally);

/* Add finished packets of all devices to *done (empty on entry), up to BURST_MAX. Call it in every loop. */
void crypto_poll(struct crypto_worker *worker, struct burst *done);

/* Packets in flight. */
uint32_t crypto_in_flight(const struct crypto_worker *worker);

#endif
