#include "model/alg.h"

#include <string.h>

#define GCM(name_, key_)                                                                                     \
	{                                                                                                    \
		.name = name_, .cipher = CIPHER_AES_GCM, .auth = AUTH_NONE, .cipher_key_bytes = key_,        \
		.salt_bytes = 4, .iv_bytes = 8, .icv_bytes = 16, .align_bytes = 4                            \
	}
#define CBC(name_, key_, auth_, auth_key_, icv_)                                                             \
	{                                                                                                    \
		.name = name_, .cipher = CIPHER_AES_CBC, .auth = auth_, .cipher_key_bytes = key_,            \
		.auth_key_bytes = auth_key_, .iv_bytes = 16, .icv_bytes = icv_, .align_bytes = 16            \
	}

static const struct alg algs[] = {
	GCM("aes128gcm16", 16),
	GCM("aes256gcm16", 32),
	CBC("aes128-sha256", 16, AUTH_HMAC_SHA2_256, 32, 16),
	CBC("aes256-sha256", 32, AUTH_HMAC_SHA2_256, 32, 16),
	CBC("aes256-sha512", 32, AUTH_HMAC_SHA2_512, 64, 32),
	{.name = "null-sha256",
		.cipher = CIPHER_NULL,
		.auth = AUTH_HMAC_SHA2_256,
		.auth_key_bytes = 32,
		.icv_bytes = 16,
		.align_bytes = 4},
	{.name = "chacha20poly1305",
		.cipher = CIPHER_CHACHA20_POLY1305,
		.auth = AUTH_NONE,
		.cipher_key_bytes = 32,
		.salt_bytes = 4,
		.iv_bytes = 8,
		.icv_bytes = 16,
		.align_bytes = 4},
};

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

const struct alg *alg_at(size_t index)
{
	return index < N_ALGS ? &algs[index] : NULL;
}

const struct alg *alg_find(const char *name)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}
