/*
 * What the driver needs of one packet and the packet doesn't hold. It lies behind the op, or in the worker's
 * arrays; sessions tell the driver where.
 *
 * For crypto_session.c and crypto.c alone.
 */
#ifndef CULVERT_IPSEC_CRYPTO_SCRATCH_H
#define CULVERT_IPSEC_CRYPTO_SCRATCH_H

#include "ipsec/sa.h"

#include <stddef.h>
#include <stdint.h>

#include <rte_crypto.h>

#define GCM_NONCE_BYTES   12 /* salt and wire IV, RFC 4106 section 4 */
#define GCM_AAD_BYTES     8  /* SPI and sequence number, RFC 4106 section 5 */
#define GCM_AAD_ESN_BYTES 12 /* SPI and both halves of the sequence number */

struct scratch {
	uint8_t iv[16]; /* drivers read or write 16 bytes also for GCM's 12 */
	uint8_t aad[16];
	/*
	 * HMAC: outbound as the driver computed it, inbound as the packet brought it. Not in the packet,
	 * since with ESN the high half of the sequence number stands there while the driver works.
	 */
	uint8_t digest[ESP_ICV_BYTES_MAX];
};

#define SCRATCH_OFFSET (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))
#define IV_OFFSET      (SCRATCH_OFFSET + offsetof(struct scratch, iv))

#endif
