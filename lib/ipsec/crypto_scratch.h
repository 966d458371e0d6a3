/*
 * What the driver needs of one packet and the packet doesn't hold. It lies behind the op, or in the worker's
 * arrays; sessions tell the driver where.
 *
 * For crypto_session.c, crypto.c and crypto_direct.c alone.
 */
#ifndef CULVERT_IPSEC_CRYPTO_SCRATCH_H
#define CULVERT_IPSEC_CRYPTO_SCRATCH_H

#include "ipsec/sa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_crypto.h>

#define GCM_NONCE_BYTES                                                                                      \
	12 /* salt and wire IV, RFC 4106 section 4; ChaCha20-Poly1305 likewise, RFC 7634 section 2 */
#define GCM_AAD_BYTES     8  /* SPI and sequence number, RFC 4106 section 5 */
#define GCM_AAD_ESN_BYTES 12 /* SPI and both halves of the sequence number */
#define ESN_HIGH_BYTES    4  /* covered by the HMAC, never sent, RFC 4303 section 2.2.1 */

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

/* Bytes of a packet, from the start of its data. */
struct region {
	uint16_t offset;
	uint16_t length;
};

/*
 * Payload and trailer; for CBC on the way out the IV field too. esp_out_prepare put a unique block there, and
 * the device's own IV is zero, so that the field becomes the block's encryption: an IV nobody can predict
 * (NIST SP 800-38A appendix C), and what follows is chained to it as ever.
 */
static inline struct region cipher_region_one(const struct sa *sa, const struct pkt *p)
{
	bool with_iv = sa->cipher == CIPHER_AES_CBC && !sa->inbound;
	uint16_t offset = p->esp_offset + ESP_HEADER_BYTES + (with_iv ? 0 : sa->iv_bytes);

	return (struct region){.offset = offset, .length = p->icv_offset - offset};
}

/* ESP header to trailer, and the high half of the sequence number where the ICV is going to be. */
static inline struct region auth_region_one(const struct sa *sa, const struct pkt *p)
{
	return (struct region){
		.offset = p->esp_offset,
		.length = p->icv_offset - p->esp_offset + (sa->esn ? ESN_HIGH_BYTES : 0),
	};
}

static inline void aead_scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_offset);
	rte_be32_t high = rte_cpu_to_be_32((uint32_t)(p->seq >> 32));
	uint64_t iv, first;
	uint32_t last;

	/*
	 * Salt and IV, written as 8 and 4 bytes, since they are read so at once: a load that spans two stores
	 * would wait for both (x86 is little-endian).
	 */
	memcpy(&iv, esp + ESP_HEADER_BYTES, sizeof(iv));
	first = iv << 32 | sa->salt;
	last = (uint32_t)(iv >> 32);
	memcpy(scratch->iv, &first, sizeof(first));
	memcpy(scratch->iv + sizeof(first), &last, sizeof(last));
	if (!sa->esn) {
		memcpy(scratch->aad, esp, GCM_AAD_BYTES);
		return;
	}
	memcpy(scratch->aad, esp, 4);
	memcpy(scratch->aad + 4, &high, sizeof(high));
	memcpy(scratch->aad + 8, esp + 4, 4);
}

static inline void hmac_scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint8_t *icv = rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset);
	rte_be32_t high = rte_cpu_to_be_32((uint32_t)(p->seq >> 32));

	if (sa->inbound) {
		memcpy(scratch->iv, icv - (p->icv_offset - p->esp_offset) + ESP_HEADER_BYTES, sa->iv_bytes);
		memcpy(scratch->digest, icv, sa->icv_bytes);
	} else {
		memset(scratch->iv, 0, sizeof(scratch->iv));
	}
	if (sa->esn)
		memcpy(icv, &high, sizeof(high));
}

static inline void scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	if (sa->aead)
		aead_scratch_fill_one(scratch, sa, m);
	else
		hmac_scratch_fill_one(scratch, sa, m);
}

#endif
