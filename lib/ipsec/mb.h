/*
 * Intel IPsec-MB, called without cryptodev: its managers, the transforms that culvert takes from it, and
 * their expanded keys.
 *
 * Managers and keys are made and destroyed by the control thread. A manager is of one thread; a key never
 * changes, and is used by any number of workers at once (ipsec/crypto_direct.c).
 * Limits: the algorithms of model/alg.h; CPUs with AES-NI and PCLMULQDQ.
 */
#ifndef CULVERT_IPSEC_MB_H
#define CULVERT_IPSEC_MB_H

#include "base/err.h"
#include "model/alg.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MB_SCHEDULE_BYTES_MAX   (16 * (14 + 1)) /* AES-256: 14 rounds, FIPS 197 section 5 */
#define MB_CHACHA20_KEY_BYTES   32              /* RFC 7634 section 2 */
#define MB_HMAC_STATE_BYTES_MAX 64              /* of SHA-512 between two blocks */

struct IMB_MGR;

/* Those with an HMAC stand together, by their hash. */
enum mb_transform {
	MB_GCM_128,
	MB_GCM_256,
	MB_CHACHA20_POLY1305,
	MB_NULL_SHA256,
	MB_CBC_128_SHA256,
	MB_CBC_256_SHA256,
	MB_NULL_SHA512,
	MB_CBC_256_SHA512,
	MB_TRANSFORMS
};

/* What a packet of AES-CBC with HMAC, or of NULL with HMAC, reads of its key. */
struct mb_hmac_key {
	/* HMAC's inner state, and directly behind it the outer one: the key is hashed already. */
	alignas(64) uint8_t states[2 * MB_HMAC_STATE_BYTES_MAX];
	uint8_t schedule[MB_SCHEDULE_BYTES_MAX]; /* AES, of the SA's direction */
};

/*
 * The fastest functions that the CPU has. *manager is the caller's; its memory is near `socket`, or anywhere
 * with SOCKET_ID_ANY. Returns 0; -ENOMEM; -ENOTSUP where the CPU has no instructions for AES, which IPsec-MB
 * at best emulates; -EIO where IPsec-MB fails otherwise.
 */
int mb_manager_create(int socket, struct IMB_MGR **manager, struct err *err);

/*
 * One that hashes with the CPU's instructions for SHA-256, a packet or two at a time, where the one above
 * spreads many packets over wide registers. *manager is NULL where the CPU has no such instructions. Returns
 * 0 or as above.
 */
int mb_manager_create_sha(int socket, struct IMB_MGR **manager, struct err *err);

/* Wipes it, since packets leave parts of their keys in it. */
void mb_manager_destroy(struct IMB_MGR *manager);

/* The transform of that algorithm, or MB_TRANSFORMS where there is none. */
enum mb_transform mb_transform_of(const struct alg *alg);

/*
 * Expand keying material of the algorithm (the order of model/alg.h) for one direction: a struct
 * gcm_key_data, a struct mb_hmac_key, or for ChaCha20-Poly1305 the key itself. Returns NULL when there is no
 * memory.
 */
void *mb_key_create(struct IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound);
/* Wipes it. */
void mb_key_destroy(enum mb_transform transform, void *key);

/* How much memory a key has. */
size_t mb_key_bytes(enum mb_transform transform);

/* Of one half of mb_hmac_key.states. */
static inline size_t mb_hmac_state_bytes(enum mb_transform transform)
{
	return transform < MB_NULL_SHA512 ? MB_HMAC_STATE_BYTES_MAX / 2 : MB_HMAC_STATE_BYTES_MAX;
}

/* Of the AES key; 0 where there is none. */
static inline size_t mb_aes_key_bytes(enum mb_transform transform)
{
	switch (transform) {
	case MB_GCM_128:
	case MB_CBC_128_SHA256:
		return 16;
	case MB_GCM_256:
	case MB_CBC_256_SHA256:
	case MB_CBC_256_SHA512:
		return 32;
	default:
		return 0;
	}
}

#endif
