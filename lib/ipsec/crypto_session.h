/*
 * Crypto devices, and the sessions of SAs on them.
 *
 * control/cryptodevs.c fills struct crypto, and sa_create makes a session: control thread only. A session is
 * of one device and goes one way, chosen when it is made. One device is no cryptodev but IPsec-MB itself
 * (ipsec/mb.h), for all algorithms and synchronous only: the fastest, and so the default. On a cryptodev AEAD
 * goes synchronously by default, since it gains nothing from company; CBC and HMAC go asynchronously, since
 * the driver works on several packets at once. docs/decisions/0002-crypto-ways.md has the figures. Limits:
 * the algorithms of model/alg.h.
 */
#ifndef CULVERT_IPSEC_CRYPTO_SESSION_H
#define CULVERT_IPSEC_CRYPTO_SESSION_H

#include "base/err.h"
#include "base/secret.h"
#include "model/alg.h"

#include <stdbool.h>
#include <stdint.h>

struct IMB_MGR;
struct rte_mempool;

#define CRYPTO_DEVICES_MAX 8

struct crypto_device {
	struct IMB_MGR *manager; /* the control thread's, for keys; NULL if it is a cryptodev */
	uint8_t id;              /* of cryptodev; configured and started, one queue pair a worker */
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

/* What brings the packets of a session to its device, and back. */
enum crypto_path {
	CRYPTO_PATH_QUEUE,  /* cryptodev's queue pair */
	CRYPTO_PATH_CALL,   /* cryptodev's synchronous call */
	CRYPTO_PATH_DIRECT, /* IPsec-MB on the worker */
};

struct crypto_session {
	void *handle;      /* the driver's, or a key of ipsec/mb.h */
	uint8_t device;    /* cryptodev id */
	uint8_t queue;     /* index of the device in struct crypto */
	uint8_t path;      /* enum crypto_path */
	uint8_t transform; /* enum mb_transform of the direct path */
};

struct crypto_session_conf {
	const struct alg *alg;
	const struct secret *key; /* alg_key_bytes(alg) bytes; borrowed during the call */
	bool inbound;
	bool esn; /* the ICV covers the high half of the sequence number too */
};

/*
 * Make the session of one SA direction on the first device that knows the algorithm. The only copy of the key
 * is the driver's or IPsec-MB's, in the session. Control thread. Returns 0; -ENOTSUP when no device knows the
 * algorithm (in the way that `way` demands); -ENOMEM when the device has no session left.
 */
int crypto_session_create(const struct crypto *crypto, const struct crypto_session_conf *conf,
	struct crypto_session *session, struct err *err);
/* Control thread. No packet of it may be in flight. The session's copy of the key is wiped. */
void crypto_session_destroy(struct crypto_session *session);

#endif
