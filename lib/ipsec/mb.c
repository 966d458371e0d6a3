#include "ipsec/mb.h"

#include <errno.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <rte_malloc.h>

#define CPU_NEEDED (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ)
#define NO_AES     "this CPU has no AES-NI or no PCLMULQDQ"

/* RFC 2104 section 2 */
#define HMAC_INNER           0x36
#define HMAC_OUTER           0x5c
#define HMAC_BLOCK_BYTES_MAX IMB_SHA_512_BLOCK_SIZE

/* The rows of the table that IPsec-MB has. */
static const struct {
	enum cipher_alg cipher;
	enum auth_alg auth;
	uint8_t cipher_key_bytes;
} transforms[MB_TRANSFORMS] = {
	[MB_GCM_128] = {CIPHER_AES_GCM, AUTH_NONE, 16},
	[MB_GCM_256] = {CIPHER_AES_GCM, AUTH_NONE, 32},
	[MB_CHACHA20_POLY1305] = {CIPHER_CHACHA20_POLY1305, AUTH_NONE, MB_CHACHA20_KEY_BYTES},
	[MB_NULL_SHA256] = {CIPHER_NULL, AUTH_HMAC_SHA2_256, 0},
	[MB_CBC_128_SHA256] = {CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 16},
	[MB_CBC_256_SHA256] = {CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 32},
	[MB_NULL_SHA512] = {CIPHER_NULL, AUTH_HMAC_SHA2_512, 0},
	[MB_CBC_256_SHA512] = {CIPHER_AES_CBC, AUTH_HMAC_SHA2_512, 32},
};

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

enum mb_transform mb_transform_of(const struct alg *alg)
{
	enum mb_transform i = 0;

	while (i < MB_TRANSFORMS && (transforms[i].cipher != alg->cipher || transforms[i].auth != alg->auth ||
					    transforms[i].cipher_key_bytes != alg->cipher_key_bytes))
		i++;
	return i;
}

size_t mb_key_bytes(enum mb_transform transform)
{
	switch (transforms[transform].cipher) {
	case CIPHER_AES_GCM:
		return sizeof(struct gcm_key_data);
	case CIPHER_CHACHA20_POLY1305:
		return MB_CHACHA20_KEY_BYTES;
	default:
		return sizeof(struct mb_hmac_key);
	}
}

static void gcm_key_expand(IMB_MGR *manager, const struct alg *alg, const uint8_t *key, void *out)
{
	if (alg->cipher_key_bytes == IMB_GCM_256_KEY_LEN)
		IMB_AES256_GCM_PRE(manager, key, out);
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
	if (alg->auth == AUTH_HMAC_SHA2_256)
		IMB_SHA256_ONE_BLOCK(manager, block, state);
	else
		IMB_SHA512_ONE_BLOCK(manager, block, state);
	explicit_bzero(block, sizeof(block));
}

static void cbc_schedule_expand(
	IMB_MGR *manager, const struct alg *alg, const uint8_t *key, bool inbound, uint8_t *schedule)
{
	alignas(16) uint8_t other[MB_SCHEDULE_BYTES_MAX];
	uint8_t *encrypt = inbound ? other : schedule;
	uint8_t *decrypt = inbound ? schedule : other;

	if (alg->cipher_key_bytes == IMB_KEY_256_BYTES)
		IMB_AES_KEYEXP_256(manager, key, encrypt, decrypt);
	else
		IMB_AES_KEYEXP_128(manager, key, encrypt, decrypt);
	explicit_bzero(other, sizeof(other));
}

static void hmac_key_expand(IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound,
	struct mb_hmac_key *key)
{
	const uint8_t *auth_key = material + alg->cipher_key_bytes;
	size_t state_bytes = mb_hmac_state_bytes(mb_transform_of(alg));

	hmac_state_init(manager, alg, auth_key, HMAC_INNER, key->states);
	hmac_state_init(manager, alg, auth_key, HMAC_OUTER, key->states + state_bytes);
	if (alg->cipher_key_bytes > 0)
		cbc_schedule_expand(manager, alg, material, inbound, key->schedule);
}

void *mb_key_create(struct IMB_MGR *manager, const struct alg *alg, const uint8_t *material, bool inbound)
{
	size_t size = mb_key_bytes(mb_transform_of(alg));
	void *key = rte_zmalloc("mb_key", size, alignof(struct gcm_key_data));

	if (!key)
		return NULL;
	switch (alg->cipher) {
	case CIPHER_AES_GCM:
		gcm_key_expand(manager, alg, material, key);
		break;
	case CIPHER_CHACHA20_POLY1305:
		memcpy(key, material, size);
		break;
	default:
		hmac_key_expand(manager, alg, material, inbound, key);
	}
	return key;
}

void mb_key_destroy(enum mb_transform transform, void *key)
{
	explicit_bzero(key, mb_key_bytes(transform));
	rte_free(key);
}
