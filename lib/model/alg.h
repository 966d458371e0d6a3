/*
 * The ESP algorithms: one table, by strongSwan's keywords, with the lengths of their RFCs.
 *
 * Constant data, for any thread. The configuration checks keys against it, an SA takes its lengths from it,
 * and ipsec/crypto_session.c maps it to a transform of cryptodev or of IPsec-MB. strongSwan 5.9 has no
 * keyword for implicit IVs; theirs here is that of AES-GCM and `iiv`. Limits: ESP only; what isn't in the
 * table isn't built.
 */
#ifndef CULVERT_MODEL_ALG_H
#define CULVERT_MODEL_ALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cipher_alg {
	CIPHER_NULL,              /* RFC 2410 */
	CIPHER_AES_CBC,           /* RFC 3602 */
	CIPHER_AES_GCM,           /* RFC 4106, authenticates too */
	CIPHER_CHACHA20_POLY1305, /* RFC 7634, likewise */
	CIPHER_AES_CCM,           /* RFC 4309, likewise */
	CIPHER_AES_GMAC,          /* RFC 4543, authenticates and does not encrypt */
	CIPHER_AES_CTR,           /* RFC 3686 */
	CIPHER_3DES_CBC,          /* RFC 2451 */
};

enum auth_alg {
	AUTH_NONE,          /* the cipher authenticates */
	AUTH_HMAC_SHA1,     /* RFC 2404 */
	AUTH_HMAC_SHA2_256, /* RFC 4868 */
	AUTH_HMAC_SHA2_384,
	AUTH_HMAC_SHA2_512,
	AUTH_AES_XCBC, /* RFC 3566 */
	AUTH_AES_CMAC, /* RFC 4494 */
};

struct alg {
	const char *name; /* strongSwan's keyword */
	enum cipher_alg cipher;
	enum auth_alg auth;
	uint8_t cipher_key_bytes;
	uint8_t salt_bytes;     /* follows the cipher key in the keying material (RFC 4106 section 8.1) */
	uint8_t auth_key_bytes; /* comes last */
	uint8_t iv_bytes;       /* on the wire */
	uint8_t icv_bytes;
	uint8_t align_bytes;  /* payload, padding and trailer are a multiple of this (RFC 4303 section 2.4) */
	const char *insecure; /* why an SA has to allow it, as what follows its name; NULL for most */
};

/* The algorithm of that keyword, or NULL. */
const struct alg *alg_find(const char *name);

/* The table's row, from 0; NULL past the last one. For listing them. */
const struct alg *alg_at(size_t index);

/* The reverse: which row it is. */
size_t alg_index(const struct alg *alg);

/*
 * Which rule forbids what a keyword means that alg_find doesn't know: encryption without integrity, or an
 * algorithm that MUST NOT be used (RFC 8221). NULL where the keyword is merely unknown. Constant text.
 */
const char *alg_forbidden(const char *name);

/* The length of the keying material: cipher key, salt and authentication key, in that order. */
static inline size_t alg_key_bytes(const struct alg *alg)
{
	return (size_t)alg->cipher_key_bytes + alg->salt_bytes + alg->auth_key_bytes;
}

/*
 * AH's algorithms are those of ESP with encryption NULL. Their keywords have this in front, which AH's lack.
 */
#define ALG_NULL_PREFIX "null-"

static inline const char *alg_auth_name(const struct alg *alg)
{
	return alg->cipher == CIPHER_NULL ? alg->name + sizeof(ALG_NULL_PREFIX) - 1 : NULL;
}

/* True where one algorithm both encrypts and authenticates. */
static inline bool alg_is_aead(const struct alg *alg)
{
	return alg->auth == AUTH_NONE && alg->cipher != CIPHER_AES_GMAC;
}

/* True where each packet begins with a block that nobody may predict (NIST SP 800-38A appendix C). */
static inline bool cipher_is_cbc(enum cipher_alg cipher)
{
	return cipher == CIPHER_AES_CBC || cipher == CIPHER_3DES_CBC;
}

static inline bool cipher_encrypts(enum cipher_alg cipher)
{
	return cipher != CIPHER_NULL && cipher != CIPHER_AES_GMAC;
}

/* True where the sequence number itself is the IV, and none is sent (RFC 8750 section 4). */
static inline bool alg_has_implicit_iv(const struct alg *alg)
{
	return alg->cipher == CIPHER_AES_GCM && alg->iv_bytes == 0;
}

#endif
