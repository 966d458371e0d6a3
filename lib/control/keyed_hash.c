#include "control/keyed_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdlib.h>

static void must(int ok)
{
	if (!ok)
		abort();
}

void keyed_hash_init(struct keyed_hash *hash, const uint8_t *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	hash->context = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	must(hash->context != NULL && EVP_MAC_init(hash->context, key, KEYED_HASH_BYTES, parameters));
}

void keyed_hash_fini(struct keyed_hash *hash)
{
	EVP_MAC_CTX_free(hash->context);
	hash->context = NULL;
}

void keyed_hash_of(const struct keyed_hash *hash, const void *data, size_t n, uint8_t out[KEYED_HASH_BYTES])
{
	size_t length;

	/* Without a key it begins anew with the one that it has. */
	must(EVP_MAC_init(hash->context, NULL, 0, NULL));
	must(EVP_MAC_update(hash->context, data, n));
	must(EVP_MAC_final(hash->context, out, &length, KEYED_HASH_BYTES));
}
