/*
 * HMAC-SHA-256 (RFC 2104, FIPS 180-4) by libcrypto, and nothing else of it: control's one place that hashes.
 *
 * Control thread. The owner embeds the struct; libcrypto keeps the key and wipes it at keyed_hash_fini.
 * Limits: libcrypto that fails has no memory, which ends the program, as in base/array.h: a wrong hash would
 * be taken for a right one.
 */
#ifndef CULVERT_CONTROL_KEYED_HASH_H
#define CULVERT_CONTROL_KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

#define KEYED_HASH_BYTES 32

struct keyed_hash {
	struct evp_mac_ctx_st *context;
};

/* The key is KEYED_HASH_BYTES long. */
void keyed_hash_init(struct keyed_hash *hash, const uint8_t *key);
void keyed_hash_fini(struct keyed_hash *hash);

/* The hash of n bytes. */
void keyed_hash_of(const struct keyed_hash *hash, const void *data, size_t n, uint8_t out[KEYED_HASH_BYTES]);

#endif
