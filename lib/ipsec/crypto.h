/*
 * The crypto seam: ESP's transforms over cryptodev, in both of its ways.
 *
 * Synchronous: the worker calls the driver and has the result when the call returns. Asynchronous: packets of
 * all SAs in a burst are enqueued together, and crypto_poll brings them back, at once or later. A session is
 * of one device and goes one way, chosen when it is made. AEAD goes synchronously by default, since it gains
 * nothing from company; CBC and HMAC go asynchronously, since the driver works on several packets at once.
 *
 * control/cryptodevs.c fills struct crypto and makes sessions (control thread only). Each worker has a struct
 * crypto_worker of its own and never touches another's queue pair.
 * Limits: single-segment packets, in place.
 */
#ifndef CULVERT_IPSEC_CRYPTO_H
#define CULVERT_IPSEC_CRYPTO_H

#include "base/err.h"
#include "base/secret.h"
#include "model/alg.h"
#include "net/burst.h"

#include <stdbool.h>
#include <stdint.h>

struct rte_mempool;
struct sa_tally;

#define CRYPTO_DEVICES_MAX 8
/* Packets in flight on one queue pair at most; also its ring size. */
#define CRYPTO_QUEUE_DEPTH 2048

struct crypto_device {
	uint8_t id; /* of cryptodev; configured and started, one queue pair a worker */
	char name[64];
	bool is_virtual; /* made by us, a software driver */
	bool sync;       /* the driver processes in the caller's thread */
	struct rte_mempool *sessions;
};

enum crypto_way {
	CRYPTO_WAY_BEST, /* for each algorithm the faster that the device has */
	CRYPTO_WAY_SYNC,
	CRYPTO_WAY_ASYNC,
};

/* The devices in order of preference. */
struct crypto {
	struct crypto_device devices[CRYPTO_DEVICES_MAX];
	unsigned n_devices;
	enum crypto_way way;
};

struct crypto_session {
	void *handle;   /* the driver's */
	uint8_t device; /* cryptodev id */
	uint8_t queue;  /* index of the device in struct crypto */
	bool sync;
};

struct crypto_session_conf {
	const struct alg *alg;
	const struct secret *key; /* alg_key_bytes(alg) bytes; borrowed during the call */
	bool inbound;
	bool esn; /* the ICV covers the high half of the sequence number too */
};

/*
 * Make the session of one SA direction on the first device that knows the algorithm. The only copy of the key
 * is the driver's, in the session. Control thread. Returns 0; -ENOTSUP when no device knows the algorithm (in
 * the way that `way` demands); -ENOMEM when the device's session pool is empty.
 */
int crypto_session_create(const struct crypto *crypto, const struct crypto_session_conf *conf,
	struct crypto_session *session, struct err *err);
/* Control thread. No packet of it may be in flight. The driver's copy of the key is wiped. */
void crypto_session_destroy(struct crypto_session *session);

struct crypto_worker;

/*
 * What one worker needs: operations for its packets in flight, scratch, and queue pair `queue_pair` of every
 * device. Control thread; `crypto` must outlive it. It takes one session of each synchronous device, for the
 * warm-up. Returns 0 or -ENOMEM.
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
