/*
 * The one type that holds key material. It is wiped where it is freed, and no function prints it.
 *
 * Called by control code. The owner embeds the struct and calls secret_wipe before it frees what holds it.
 * Limits: SECRET_BYTES_MAX bytes. Copies that a crypto driver makes are the driver's: it wipes its session.
 */
#ifndef CULVERT_BASE_SECRET_H
#define CULVERT_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The longest keying material here: AES-256 in counter mode (32 and a salt of 4, RFC 3686 section 5.1)
 * followed by HMAC-SHA2-512 (64, RFC 4868 section 2.1.1).
 */
#define SECRET_BYTES_MAX 100

struct secret {
	size_t length_bytes;
	uint8_t bytes[SECRET_BYTES_MAX];
};

/* Overwrite all of it, in a way the compiler keeps. */
void secret_wipe(struct secret *secret);

/* Are they the same? In a time that the bytes don't change. */
bool secret_equal(const struct secret *a, const struct secret *b);

/*
 * Read hexadecimal digits (an optional 0x in front, either case) into secret, most significant byte first.
 * Returns 0; -EINVAL for an odd number of digits or another character; -E2BIG past SECRET_BYTES_MAX. On
 * failure the secret is wiped.
 */
int secret_parse_hex(const char *text, size_t length, struct secret *secret);

#endif
