/*
 * The ESP algorithms: one table, by strongSwan's keywords, with the lengths of their RFCs.
 *
 * Constant data, for any thread. The configuration checks keys against it, an SA takes its lengths from it,
 * and ipsec/crypto_session.c maps it to a transform of cryptodev or of IPsec-MB. Limits: ESP only; what isn't
 * in the table isn't built.
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
};

enum auth_alg {
	AUTH_NONE,          /* the cipher authenticates */
	AUTH_HMAC_SHA2_256, /* RFC 4868 */
	AUTH_HMAC_SHA2_512,
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
	uint8_t align_bytes; /* payload, padding and trailer are a multiple of this (RFC 4303 section 2.4) */
};

/* The algorithm of that keyword, or NULL. */
const struct alg *alg_find(const char *name);

/* The table's row, from 0; NULL past the last one. For listing them. */
const struct alg *alg_at(size_t index);

/* The length of the keying material: cipher key, salt and authentication key, in that order. */
static inline size_t alg_key_bytes(const struct alg *alg)
{
	return (size_t)alg->cipher_key_bytes + alg->salt_bytes + alg->auth_key_bytes;
}

/* True where one algorithm both encrypts and authenticates. */
static inline bool alg_is_aead(const struct alg *alg)
{
	return alg->auth == AUTH_NONE;
}

#endif
