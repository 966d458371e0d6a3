#include "ipsec/mb.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <rte_malloc.h>

#define CPU_NEEDED (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ)
#define NO_AES     "this CPU has no AES-NI or no PCLMULQDQ"

/* RFC 2104 section 2 */
#define HMAC_INNER           0x36
#define HMAC_OUTER           0x5c
#define HMAC_BLOCK_BYTES_MAX IMB_SHA_512_BLOCK_SIZE

#define DES_KEY_BYTES 8 /* of one of 3DES's three, RFC 2451 section 2.2 */

_Static_assert(sizeof(((struct mb_job_key *)NULL)->des_schedules[0]) == IMB_DES_KEY_SCHED_SIZE, "it fits");

/* By the index of the hash that mb.h gives. */
static const enum auth_alg hashes[MB_HASHES] = {
	AUTH_HMAC_SHA1, AUTH_HMAC_SHA2_256, AUTH_HMAC_SHA2_384, AUTH_HMAC_SHA2_512};

/* The last one of the manager, or of none. Its own numbers are above the operating system's. */
static int library_error(IMB_MGR *manager, struct err *err)
{
	int number = imb_get_errno(manager);

	if (number == IMB_ERR_NO_AESNI_EMU)
		return err_set(err, ENOTSUP, NO_AES);
	return err_set(err, number == ENOMEM ? ENOMEM : EIO, "IPsec-MB: %s", imb_get_strerror(number));
}

static int manager_init(IMB_MGR *manager, void (*init)(IMB_MGR *manager), struct err *err)
{
	init(manager);
	if (imb_get_errno(manager) != 0)
		return library_error(manager, err);
	if ((manager->features & CPU_NEEDED) != CPU_NEEDED)
		return err_set(err, ENOTSUP, NO_AES);
	return 0;
}

static int manager_create(int socket, void (*init)(IMB_MGR *manager), IMB_MGR **out, struct err *err)
{
	size_t size = imb_get_mb_mgr_size();
	void *memory = rte_zmalloc_socket("mb_manager", size, alignof(struct gcm_key_data), socket);
	int ret;

	if (!memory)
		return err_set(err, ENOMEM, "no memory for IPsec-MB's manager of %zu bytes", size);
	/* The features are known from here on. */
	*out = imb_set_pointers_mb_mgr(memory, 0, 1);
	ret = *out ? manager_init(*out, init, err) : library_error(NULL, err);
	if (ret != 0) {
		mb_manager_destroy(memory);
		*out = NULL;
	}
	return ret;
}

static void init_best(IMB_MGR *manager)
{
	init_mb_mgr_auto(manager, NULL);
}

int mb_manager_create(int socket, struct IMB_MGR **manager, struct err *err)
{
	return manager_create(socket, init_best, manager, err);
}

int mb_manager_create_sha(int socket, struct IMB_MGR **manager, struct err *err)
{
	int ret = manager_create(socket, init_mb_mgr_sse, manager, err);

	if (ret == 0 && !((*manager)->features & IMB_FEATURE_SHANI)) {
		mb_manager_destroy(*manager);
		*manager = NULL;
	}
	return ret;
}

void mb_manager_destroy(struct IMB_MGR *manager)
{
	if (!manager)
		return;
	explicit_bzero(manager, imb_get_mb_mgr_size());
	rte_free(manager);
}

/* Where the HMAC's transforms begin, or MB_TRANSFORMS. */
static enum mb_transform hmac_first(enum auth_alg auth)
{
	unsigned hash = 0;

	while (hash < MB_HASHES && hashes[hash] != auth)
		hash++;
	return MB_HMAC + hash * MB_CIPHERS;
}

static enum mb_transform hmac_transform_of(const struct alg *alg)
{
	enum mb_transform first = hmac_first(alg->auth);

	for (enum mb_transform t = first; t < MB_TRANSFORMS && t < first + MB_CIPHERS; t++)
		if (mb_hmac_cipher(t).alg == alg->cipher &&
			mb_hmac_cipher(t).key_bytes == alg->cipher_key_bytes)
			return t;
	return MB_TRANSFORMS;
}

enum mb_transform mb_transform_of(const struct alg *alg)
{
	switch (alg->cipher) {
	case CIPHER_AES_GCM:
		return MB_GCM_128 + (alg->cipher_key_bytes - 16) / 8;
	case CIPHER_AES_GMAC:
		return MB_GMAC_128 + (alg->cipher_key_bytes - 16) / 8;
	case CIPHER_CHACHA20_POLY1305:
		return MB_CHACHA20_POLY1305;
	case CIPHER_AES_CCM:
	case CIPHER_3DES_CBC:
		return MB_JOB;
	default:
		return alg->auth == AUTH_AES_XCBC || alg->auth == AUTH_AES_CMAC ? MB_JOB
										: hmac_transform_of(alg);
	}
}

size_t mb_key_bytes(enum mb_transform transform)
{
	if (transform <= MB_GMAC_256)
		return sizeof(struct gcm_key_data);
	if (transform == MB_CHACHA20_POLY1305)
		return MB_CHACHA20_KEY_BYTES;
	return transform == MB_JOB ? sizeof(struct mb_job_key) : sizeof(struct mb_hmac_key);
}

static void gcm_key_expand(IMB_MGR *manager, const struct alg *alg, const uint8_t *key, void *out)
{
	if (alg->cipher_key_bytes == IMB_KEY_256_BYTES)
		IMB_AES256_GCM_PRE(manager, key, out);
	else if (alg->cipher_key_bytes == IMB_KEY_192_BYTES)
		IMB_AES192_GCM_PRE(manager, key, out);
	else
		IMB_AES128_GCM_PRE(manager, key, out);
}

/* One of the two states: that after the key, padded to a block, under the mask. */
static void hmac_state_init(
	IMB_MGR *manager, const struct alg *alg, const uint8_t *key, uint8_t mask, uint8_t *state)
{
	uint8_t block[HMAC_BLOCK_BYTES_MAX];

	memset(block, mask, sizeof(block));
	for (size_t i = 0; i < alg->auth_key_bytes; i++)
		block[i] ^= key[i];
	if (alg->auth == AUTH_HMAC_SHA1)
		IMB_SHA1_ONE_BLOCK(manager, block, state);
	else if (alg->auth == AUTH_HMAC_SHA2_256)
		IMB_SHA256_ONE_BLOCK(manager, block, state);
	else if (alg->auth == AUTH_HMAC_SHA2_384)
		IMB_SHA384_ONE_BLOCK(manager, block, state);
	else
		IMB_SHA512_ONE_BLOCK(manager, block, state);
	explicit_bzero(block, sizeof(block));
}

/* CBC alone is undone with another schedule. */
static void aes_schedule_expand(
	IMB_MGR *manager, const struct alg *alg, const uint8_t *key, bool inbound, uint8_t *schedule)
{
	alignas(16) uint8_t other[MB_SCHEDULE_BYTES_MAX];
	bool inverse = inbound && alg->cipher == CIPHER_AES_CBC;
	uint8_t *encrypt = inverse ? other : schedule;
	uint8_t *decrypt = inverse ? schedule : other;

	if (alg->cipher_key_bytes == IMB_KEY_256_BYTES)
		IMB_AES_KEYEXP_256(manager, key, encrypt, decrypt);
	else if (alg->cipher_key_bytes == IMB_KEY_192_BYTES)
		IMB_AES_KEYEXP_192(manager, key, encrypt, decrypt);
	else
		IMB_AES_KEYEXP_128(manager, key, encrypt, decrypt);
	explicit_bzero(other, sizeof(other));
}

static const uint8_t *auth_key_of(const struct alg *alg, const uint8_t *material)
{
	return material + alg->cipher_key_bytes + alg->salt_bytes;
}

static void hmac_key_expand(IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound,
	struct mb_hmac_key *key)
{
	const uint8_t *auth_key = auth_key_of(alg, material);
	size_t state_bytes = mb_hmac_state_bytes(mb_transform_of(alg));

	hmac_state_init(manager, alg, auth_key, HMAC_INNER, key->states);
	hmac_state_init(manager, alg, auth_key, HMAC_OUTER, key->states + state_bytes);
	if (alg->cipher_key_bytes > 0)
		aes_schedule_expand(manager, alg, material, inbound, key->schedule);
}

static IMB_CIPHER_MODE job_cipher_mode(const struct alg *alg)
{
	switch (alg->cipher) {
	case CIPHER_AES_CCM:
		return IMB_CIPHER_CCM;
	case CIPHER_AES_CBC:
		return IMB_CIPHER_CBC;
	case CIPHER_AES_CTR:
		return IMB_CIPHER_CNTR;
	case CIPHER_3DES_CBC:
		return IMB_CIPHER_DES3;
	default:
		return IMB_CIPHER_NULL;
	}
}

static IMB_HASH_ALG job_hash_alg(const struct alg *alg)
{
	if (alg->cipher == CIPHER_AES_CCM)
		return IMB_AUTH_AES_CCM;
	switch (alg->auth) {
	case AUTH_HMAC_SHA1:
		return IMB_AUTH_HMAC_SHA_1;
	case AUTH_HMAC_SHA2_256:
		return IMB_AUTH_HMAC_SHA_256;
	default:
		return alg->auth == AUTH_AES_XCBC ? IMB_AUTH_AES_XCBC : IMB_AUTH_AES_CMAC;
	}
}

/* Each direction has the same schedules. */
static void des_schedules_expand(IMB_MGR *manager, const uint8_t *cipher_key, struct mb_job_key *key)
{
	for (size_t i = 0; i < sizeof(key->des_keys) / sizeof(key->des_keys[0]); i++) {
		IMB_DES_KEYSCHED(manager, key->des_schedules[i], cipher_key + i * DES_KEY_BYTES);
		key->des_keys[i] = key->des_schedules[i];
	}
}

static void cmac_key_expand(IMB_MGR *manager, const uint8_t *auth_key, struct mb_job_key *key)
{
	alignas(16) uint8_t inverse[MB_SCHEDULE_BYTES_MAX];

	IMB_AES_KEYEXP_128(manager, auth_key, key->mac_schedule, inverse);
	IMB_AES_CMAC_SUBKEY_GEN_128(manager, key->mac_schedule, key->mac_last[0], key->mac_last[1]);
	explicit_bzero(inverse, sizeof(inverse));
}

static void job_key_expand(IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound,
	struct mb_job_key *key)
{
	const uint8_t *auth_key = auth_key_of(alg, material);

	key->cipher_mode = (uint8_t)job_cipher_mode(alg);
	key->hash_alg = (uint8_t)job_hash_alg(alg);
	key->key_bytes = alg->cipher_key_bytes;
	if (alg->cipher == CIPHER_3DES_CBC) {
		des_schedules_expand(manager, material, key);
		hmac_state_init(manager, alg, auth_key, HMAC_INNER, key->mac_schedule);
		hmac_state_init(
			manager, alg, auth_key, HMAC_OUTER, key->mac_schedule + MB_JOB_HMAC_STATE_BYTES);
		return;
	}
	if (alg->cipher_key_bytes > 0)
		aes_schedule_expand(manager, alg, material, inbound, key->schedule);
	if (alg->auth == AUTH_AES_XCBC)
		IMB_AES_XCBC_KEYEXP(manager, auth_key, key->mac_schedule, key->mac_last[0], key->mac_last[1]);
	else if (alg->auth == AUTH_AES_CMAC)
		cmac_key_expand(manager, auth_key, key);
}

void *mb_key_create(struct IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound)
{
	enum mb_transform transform = mb_transform_of(alg);
	size_t size = mb_key_bytes(transform);
	void *key = rte_zmalloc("mb_key", size, alignof(struct gcm_key_data));

	if (!key)
		return NULL;
	if (transform <= MB_GMAC_256)
		gcm_key_expand(manager, alg, material, key);
	else if (transform == MB_CHACHA20_POLY1305)
		memcpy(key, material, size);
	else if (transform == MB_JOB)
		job_key_expand(manager, alg, material, inbound, key);
	else
		hmac_key_expand(manager, alg, material, inbound, key);
	return key;
}

void mb_key_destroy(enum mb_transform transform, void *key)
{
	explicit_bzero(key, mb_key_bytes(transform));
	rte_free(key);
}
