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
#define MB_DES_SCHEDULE_WORDS   16              /* of 8 bytes, one a round */
#define MB_HMAC_STATE_BYTES_MAX 64              /* of SHA-512 between two blocks */
#define MB_HASHES               4               /* SHA-1, SHA2-256, SHA2-384 and SHA2-512, in this order */
#define MB_CIPHERS              7               /* NULL, AES-CBC and AES-CTR, each with three keys */

struct IMB_MGR;

/* Those with an HMAC stand together, by their hash, and of each hash by their cipher. */
enum mb_transform {
	MB_GCM_128,
	MB_GCM_192,
	MB_GCM_256,
	MB_GMAC_128,
	MB_GMAC_192,
	MB_GMAC_256,
	MB_CHACHA20_POLY1305,
	MB_JOB, /* AES-CCM, AES-XCBC or AES-CMAC with any cipher, 3DES: what each is, its key says */
	MB_HMAC,
	MB_TRANSFORMS = MB_HMAC + MB_HASHES * MB_CIPHERS
};

/* What a packet of NULL, AES-CBC or AES-CTR with HMAC reads of its key. */
struct mb_hmac_key {
	/* HMAC's inner state, and directly behind it the outer one: the key is hashed already. */
	alignas(64) uint8_t states[2 * MB_HMAC_STATE_BYTES_MAX];
	uint8_t schedule[MB_SCHEDULE_BYTES_MAX]; /* AES, of the SA's direction */
};

/* What a packet of MB_JOB reads. */
struct mb_job_key {
	alignas(64) uint8_t schedule[MB_SCHEDULE_BYTES_MAX]; /* as above */
	/* XCBC's or CMAC's: the schedule, and the keys of the last block. HMAC's: both states. */
	alignas(16) uint8_t mac_schedule[MB_SCHEDULE_BYTES_MAX];
	alignas(16) uint8_t mac_last[2][16];
	uint8_t cipher_mode; /* IMB_CIPHER_MODE */
	uint8_t hash_alg;    /* IMB_HASH_ALG */
	uint8_t key_bytes;   /* of the cipher */
	/* Of 3DES alone: the schedules of its keys, and pointers to them, as IPsec-MB wants it. */
	const void *des_keys[3];
	uint64_t des_schedules[3][MB_DES_SCHEDULE_WORDS];
};

#define MB_JOB_HMAC_STATE_BYTES (MB_HMAC_STATE_BYTES_MAX / 2) /* of 3DES's SHA-1 and SHA2-256 */

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
 * gcm_key_data (GMAC too), a struct mb_hmac_key, a struct mb_job_key, or for ChaCha20-Poly1305 the key
 * itself. Returns NULL when there is no memory.
 */
void *mb_key_create(struct IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound);
/* Wipes it. */
void mb_key_destroy(enum mb_transform transform, void *key);

/* How much memory a key has. */
size_t mb_key_bytes(enum mb_transform transform);

/* Of one half of mb_hmac_key.states; SHA-1's 20 take as much room as SHA2-256's 32. */
static inline size_t mb_hmac_state_bytes(enum mb_transform transform)
{
	return transform < MB_HMAC + 2 * MB_CIPHERS ? MB_HMAC_STATE_BYTES_MAX / 2 : MB_HMAC_STATE_BYTES_MAX;
}

/* The cipher of a transform with HMAC. */
struct mb_cipher {
	enum cipher_alg alg;
	uint8_t key_bytes; /* 0: no cipher */
};

static inline struct mb_cipher mb_hmac_cipher(enum mb_transform transform)
{
	static const struct mb_cipher ciphers[MB_CIPHERS] = {
		{CIPHER_NULL, 0},
		{CIPHER_AES_CBC, 16},
		{CIPHER_AES_CBC, 24},
		{CIPHER_AES_CBC, 32},
		{CIPHER_AES_CTR, 16},
		{CIPHER_AES_CTR, 24},
		{CIPHER_AES_CTR, 32},
	};

	return ciphers[(transform - MB_HMAC) % MB_CIPHERS];
}

/* Of the AES key of a transform with GCM, GMAC or HMAC; 0 where there is none. */
static inline size_t mb_aes_key_bytes(enum mb_transform transform)
{
	if (transform >= MB_HMAC)
		return mb_hmac_cipher(transform).key_bytes;
	return transform <= MB_GMAC_256 ? 16 + transform % MB_GMAC_128 * 8 : 0;
}

#endif
