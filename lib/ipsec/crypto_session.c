#include "ipsec/crypto_session.h"

#include "ipsec/crypto_scratch.h"
#include "ipsec/mb.h"

#include <errno.h>
#include <string.h>

#include <rte_cryptodev.h>
#include <rte_errno.h>
#include <rte_mempool.h>

struct xforms {
	struct rte_crypto_sym_xform cipher;
	struct rte_crypto_sym_xform auth;
	struct rte_crypto_sym_xform *first;
};

/* cryptodev's numbers of what model/alg.h has. */
static const enum rte_crypto_aead_algorithm aead_algos[] = {
	[CIPHER_AES_GCM] = RTE_CRYPTO_AEAD_AES_GCM,
	[CIPHER_CHACHA20_POLY1305] = RTE_CRYPTO_AEAD_CHACHA20_POLY1305,
	[CIPHER_AES_CCM] = RTE_CRYPTO_AEAD_AES_CCM,
};
static const enum rte_crypto_cipher_algorithm cipher_algos[] = {
	[CIPHER_AES_CBC] = RTE_CRYPTO_CIPHER_AES_CBC,
	[CIPHER_AES_CTR] = RTE_CRYPTO_CIPHER_AES_CTR,
	[CIPHER_3DES_CBC] = RTE_CRYPTO_CIPHER_3DES_CBC,
};
static const enum rte_crypto_auth_algorithm auth_algos[] = {
	[AUTH_HMAC_SHA1] = RTE_CRYPTO_AUTH_SHA1_HMAC,
	[AUTH_HMAC_SHA2_256] = RTE_CRYPTO_AUTH_SHA256_HMAC,
	[AUTH_HMAC_SHA2_384] = RTE_CRYPTO_AUTH_SHA384_HMAC,
	[AUTH_HMAC_SHA2_512] = RTE_CRYPTO_AUTH_SHA512_HMAC,
	[AUTH_AES_XCBC] = RTE_CRYPTO_AUTH_AES_XCBC_MAC,
	[AUTH_AES_CMAC] = RTE_CRYPTO_AUTH_AES_CMAC,
};

static void aead_xform_init(struct rte_crypto_sym_xform *xform, const struct crypto_session_conf *conf)
{
	const struct alg *alg = conf->alg;

	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead =
			{
				.op = conf->inbound ? RTE_CRYPTO_AEAD_OP_DECRYPT : RTE_CRYPTO_AEAD_OP_ENCRYPT,
				.algo = aead_algos[alg->cipher],
				.key = {.data = conf->key->bytes, .length = alg->cipher_key_bytes},
				.iv = {.offset = IV_OFFSET, .length = alg->salt_bytes + AEAD_IV_BYTES},
				.digest_length = alg->icv_bytes,
				.aad_length = conf->esn ? GCM_AAD_ESN_BYTES : GCM_AAD_BYTES,
			},
	};
}

static void cipher_xform_init(struct rte_crypto_sym_xform *xform, const struct crypto_session_conf *conf)
{
	const struct alg *alg = conf->alg;

	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher =
			{
				.op = conf->inbound ? RTE_CRYPTO_CIPHER_OP_DECRYPT
						    : RTE_CRYPTO_CIPHER_OP_ENCRYPT,
				.algo = cipher_algos[alg->cipher],
				.key = {.data = conf->key->bytes, .length = alg->cipher_key_bytes},
				.iv = {.offset = IV_OFFSET,
					.length = alg->cipher == CIPHER_AES_CTR
							  ? sizeof(((struct scratch *)NULL)->iv)
							  : alg->iv_bytes},
			},
	};
}

static enum rte_crypto_auth_operation auth_operation(const struct crypto_session_conf *conf)
{
	/*
	 * Inbound the driver compares the ICV, since those of ipsec-mb refuse to generate one before they
	 * decrypt. Before DPDK 26.07 they do it with memcmp; its time differs by less than a nanosecond a
	 * word, which nobody sees through a network and a burst of packets.
	 */
	return conf->inbound ? RTE_CRYPTO_AUTH_OP_VERIFY : RTE_CRYPTO_AUTH_OP_GENERATE;
}

static void auth_xform_init(struct rte_crypto_sym_xform *xform, const struct crypto_session_conf *conf)
{
	const struct alg *alg = conf->alg;

	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth =
			{
				.op = auth_operation(conf),
				.algo = auth_algos[alg->auth],
				.key = {.data = conf->key->bytes + alg->cipher_key_bytes + alg->salt_bytes,
					.length = alg->auth_key_bytes},
				.digest_length = alg->icv_bytes,
			},
	};
}

/* To cryptodev it is an integrity algorithm, and the only one with a nonce. */
static void gmac_xform_init(struct rte_crypto_sym_xform *xform, const struct crypto_session_conf *conf)
{
	*xform = (struct rte_crypto_sym_xform){
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth =
			{
				.op = auth_operation(conf),
				.algo = RTE_CRYPTO_AUTH_AES_GMAC,
				.key = {.data = conf->key->bytes, .length = conf->alg->cipher_key_bytes},
				.iv = {.offset = IV_OFFSET, .length = AEAD_NONCE_MAX},
				.digest_length = conf->alg->icv_bytes,
			},
	};
}

/* The driver's view of the algorithm. The keys stay where they are, in conf. */
static void xforms_init(struct xforms *xforms, const struct crypto_session_conf *conf)
{
	if (alg_is_aead(conf->alg)) {
		aead_xform_init(&xforms->cipher, conf);
		xforms->first = &xforms->cipher;
		return;
	}
	xforms->first = &xforms->auth;
	if (conf->alg->cipher == CIPHER_AES_GMAC) {
		gmac_xform_init(&xforms->auth, conf);
		return;
	}
	auth_xform_init(&xforms->auth, conf);
	if (conf->alg->cipher == CIPHER_NULL)
		return;
	cipher_xform_init(&xforms->cipher, conf);
	/* RFC 4303 sections 3.3.2 and 3.4.4: the ICV is made over what was encrypted. */
	xforms->first = conf->inbound ? &xforms->auth : &xforms->cipher;
	xforms->first->next = conf->inbound ? &xforms->cipher : &xforms->auth;
}

static bool device_knows_xform(const struct crypto_device *device, const struct rte_crypto_sym_xform *xform)
{
	const struct rte_crypto_aead_xform *aead = &xform->aead;
	const struct rte_crypto_cipher_xform *cipher = &xform->cipher;
	const struct rte_crypto_auth_xform *auth = &xform->auth;
	struct rte_cryptodev_sym_capability_idx index = {.type = xform->type};
	const struct rte_cryptodev_symmetric_capability *capability;

	if (xform->type == RTE_CRYPTO_SYM_XFORM_AEAD)
		index.algo.aead = aead->algo;
	else if (xform->type == RTE_CRYPTO_SYM_XFORM_CIPHER)
		index.algo.cipher = cipher->algo;
	else
		index.algo.auth = auth->algo;
	capability = rte_cryptodev_sym_capability_get(device->id, &index);
	if (!capability)
		return false;
	if (xform->type == RTE_CRYPTO_SYM_XFORM_AEAD)
		return rte_cryptodev_sym_capability_check_aead(capability, aead->key.length,
			       aead->digest_length, aead->aad_length, aead->iv.length) == 0;
	if (xform->type == RTE_CRYPTO_SYM_XFORM_CIPHER)
		return rte_cryptodev_sym_capability_check_cipher(
			       capability, cipher->key.length, cipher->iv.length) == 0;
	return rte_cryptodev_sym_capability_check_auth(
		       capability, auth->key.length, auth->digest_length, auth->iv.length) == 0;
}

static bool device_knows(const struct crypto_device *device, const struct xforms *xforms)
{
	for (const struct rte_crypto_sym_xform *xform = xforms->first; xform; xform = xform->next)
		if (!device_knows_xform(device, xform))
			return false;
	return true;
}

static enum crypto_path cryptodev_path(const struct crypto *crypto, const struct crypto_device *device,
	const struct crypto_session_conf *conf)
{
	if (crypto->way == CRYPTO_WAY_BEST)
		return device->sync && alg_is_aead(conf->alg) ? CRYPTO_PATH_CALL : CRYPTO_PATH_QUEUE;
	return crypto->way == CRYPTO_WAY_SYNC ? CRYPTO_PATH_CALL : CRYPTO_PATH_QUEUE;
}

/* Returns 0, -ENOTSUP, or -ENOMEM. */
static int direct_session_create(const struct crypto_device *device, const struct crypto_session_conf *conf,
	struct crypto_session *session)
{
	enum mb_transform transform = mb_transform_of(conf->alg);
	void *key;

	if (transform == MB_TRANSFORMS)
		return -ENOTSUP;
	key = mb_key_create(device->manager, conf->alg, conf->key->bytes, conf->inbound);
	if (!key)
		return -ENOMEM;
	*session = (struct crypto_session){
		.handle = key, .path = CRYPTO_PATH_DIRECT, .transform = (uint8_t)transform};
	return 0;
}

/* What goes wrong in a cryptodev, whatever its capabilities say. */
static bool cryptodev_fails(const struct crypto_session_conf *conf, enum crypto_path path)
{
	/* The high half belongs between SPI and sequence number (RFC 4543 section 3.3): no call can say so.
	 */
	if (conf->alg->cipher == CIPHER_AES_GMAC)
		return conf->esn;
	/* The call of crypto_aesni_mb 22.11 leaves out XCBC's cipher, and looks for CMAC's keys where HMAC
	 * has its. */
	return path == CRYPTO_PATH_CALL &&
	       (conf->alg->auth == AUTH_AES_XCBC || conf->alg->auth == AUTH_AES_CMAC);
}

/* Returns 0, -ENOTSUP, or -ENOMEM. */
static int cryptodev_session_create(const struct crypto *crypto, const struct crypto_device *device,
	const struct crypto_session_conf *conf, struct crypto_session *session)
{
	enum crypto_path path = cryptodev_path(crypto, device, conf);
	struct xforms xforms;
	void *handle;

	if (cryptodev_fails(conf, path))
		return -ENOTSUP;
	xforms_init(&xforms, conf);
	if (!device_knows(device, &xforms))
		return -ENOTSUP;
	rte_errno = 0;
	handle = rte_cryptodev_sym_session_create(device->id, xforms.first, device->sessions);
	if (!handle)
		return rte_errno == ENOMEM ? -ENOMEM : -ENOTSUP;
	*session = (struct crypto_session){.handle = handle, .device = device->id, .path = (uint8_t)path};
	return 0;
}

/* Whether the device has the way that is demanded. */
static bool device_goes(const struct crypto *crypto, const struct crypto_device *device)
{
	switch (crypto->way) {
	case CRYPTO_WAY_SYNC:
		return device->sync;
	case CRYPTO_WAY_ASYNC:
		return device->manager == NULL;
	default:
		return true;
	}
}

static const char *way_name(enum crypto_way way)
{
	static const char *const names[] = {
		[CRYPTO_WAY_BEST] = "",
		[CRYPTO_WAY_SYNC] = " synchronously",
		[CRYPTO_WAY_ASYNC] = " asynchronously",
	};

	return names[way];
}

int crypto_session_create(const struct crypto *crypto, const struct crypto_session_conf *conf,
	struct crypto_session *session, struct err *err)
{
	for (unsigned i = 0; i < crypto->n_devices; i++) {
		const struct crypto_device *device = &crypto->devices[i];
		int ret;

		if (!device_goes(crypto, device))
			continue;
		ret = device->manager ? direct_session_create(device, conf, session)
				      : cryptodev_session_create(crypto, device, conf, session);
		if (ret == -ENOMEM)
			return err_set(err, ENOMEM, "%s has no session left; raise memory.sas", device->name);
		if (ret == 0) {
			session->queue = (uint8_t)i;
			return 0;
		}
	}
	return err_set(err, ENOTSUP, "no crypto device knows %s%s%s", conf->alg->name,
		conf->esn ? " with ESN" : "", way_name(crypto->way));
}

static void cryptodev_session_destroy(struct crypto_session *session)
{
	struct rte_mempool *pool = rte_mempool_from_obj(session->handle);

	rte_cryptodev_sym_session_free(session->device, session->handle);
	/*
	 * Drivers of ipsec-mb leave the key schedule in the object. The pool's other users are on this thread
	 * too, so the object is still free, and nothing is kept in a free one.
	 */
	explicit_bzero(session->handle, pool->elt_size);
}

void crypto_session_destroy(struct crypto_session *session)
{
	if (session->path == CRYPTO_PATH_DIRECT)
		mb_key_destroy(session->transform, session->handle);
	else
		cryptodev_session_destroy(session);
	*session = (struct crypto_session){0};
}
