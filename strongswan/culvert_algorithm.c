#include "culvert_algorithm.h"

#include <stdio.h>

/*
 * What IKE's key of an encryption algorithm holds behind the cipher's key: RFC 4106 section 4, RFC 3686
 * section 5.1, RFC 4543 section 3.2, RFC 7634 section 2; and RFC 4309 section 4.
 */
#define SALT_BYTES     4
#define CCM_SALT_BYTES 3

static const struct encryption {
	uint16_t transform;
	uint16_t salt_bytes;
	bool needs_integrity;
	bool has_sizes;
	const char *before; /* the key's bits, if it has sizes */
	const char *after;
} encryptions[] = {
	{ENCR_AES_GCM_ICV8, SALT_BYTES, false, true, "aes", "gcm8"},
	{ENCR_AES_GCM_ICV12, SALT_BYTES, false, true, "aes", "gcm12"},
	{ENCR_AES_GCM_ICV16, SALT_BYTES, false, true, "aes", "gcm16"},
	{ENCR_AES_CCM_ICV8, CCM_SALT_BYTES, false, true, "aes", "ccm8"},
	{ENCR_AES_CCM_ICV12, CCM_SALT_BYTES, false, true, "aes", "ccm12"},
	{ENCR_AES_CCM_ICV16, CCM_SALT_BYTES, false, true, "aes", "ccm16"},
	{ENCR_NULL_AUTH_AES_GMAC, SALT_BYTES, false, true, "aes", "gmac"},
	{ENCR_CHACHA20_POLY1305, SALT_BYTES, false, false, "chacha20poly1305", ""},
	{ENCR_AES_CBC, 0, true, true, "aes", ""},
	{ENCR_AES_CTR, SALT_BYTES, true, true, "aes", "ctr"},
	{ENCR_NULL, 0, true, false, "null", ""},
};

static const struct integrity {
	uint16_t transform;
	const char *keyword;
} integrities[] = {
	{AUTH_HMAC_SHA1_96, "sha1"},
	{AUTH_HMAC_SHA2_256_128, "sha256"},
	{AUTH_HMAC_SHA2_256_96, "sha256_96"},
	{AUTH_HMAC_SHA2_384_192, "sha384"},
	{AUTH_HMAC_SHA2_512_256, "sha512"},
	{AUTH_AES_XCBC_96, "aesxcbc"},
	{AUTH_AES_CMAC_96, "aescmac"},
};

static const struct encryption *encryption_find(uint16_t transform)
{
	for (size_t i = 0; i < countof(encryptions); i++)
		if (encryptions[i].transform == transform)
			return &encryptions[i];
	return NULL;
}

const char *culvert_ah_keyword(uint16_t integrity)
{
	for (size_t i = 0; i < countof(integrities); i++)
		if (integrities[i].transform == integrity)
			return integrities[i].keyword;
	return NULL;
}

/* A size that culvert has not is not known to culvertd either, which then says so. */
static void encryption_write(
	const struct encryption *encryption, size_t key_bytes, char keyword[CULVERT_ALGORITHM_MAX])
{
	if (encryption->has_sizes)
		snprintf(keyword, CULVERT_ALGORITHM_MAX, "%s%zu%s", encryption->before,
			(key_bytes - encryption->salt_bytes) * 8, encryption->after);
	else
		snprintf(keyword, CULVERT_ALGORITHM_MAX, "%s", encryption->before);
}

bool culvert_esp_keyword(
	uint16_t encryption, size_t key_bytes, uint16_t integrity, char keyword[CULVERT_ALGORITHM_MAX])
{
	const struct encryption *found = encryption_find(encryption);
	const char *auth = culvert_ah_keyword(integrity);
	size_t length;

	if (!found || key_bytes < found->salt_bytes || (found->needs_integrity && !auth))
		return false;
	encryption_write(found, key_bytes, keyword);
	if (!found->needs_integrity)
		return integrity == AUTH_UNDEFINED;
	length = strlen(keyword);
	snprintf(keyword + length, CULVERT_ALGORITHM_MAX - length, "-%s", auth);
	return true;
}
