/*
 * The algorithms of IKE's proposals, by the keywords that culvertd has for them.
 *
 * Called when an SA is added. An algorithm that is not in the tables is none of culvert's, and its SA is
 * refused.
 */
#ifndef CULVERT_ALGORITHM_H
#define CULVERT_ALGORITHM_H

#include "strongswan.h"

#define CULVERT_ALGORITHM_MAX 32

/*
 * Write the keyword (`aes128gcm16`, `aes256-sha256`) of an ESP SA with these transforms, whose encryption
 * key, salt included, has so many bytes. False if culvert has none.
 */
bool culvert_esp_keyword(
	uint16_t encryption, size_t key_bytes, uint16_t integrity, char keyword[CULVERT_ALGORITHM_MAX]);

/* The same of AH (`sha256`); NULL if culvert has none. */
const char *culvert_ah_keyword(uint16_t integrity);

#endif
