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

#define AEAD_NONCE_MAX                                                                                       \
	12 /* salt and IV, RFC 4106 section 4; ChaCha20-Poly1305 likewise, RFC 7634 section 2 */
#define CCM_NONCE_BYTES   11 /* RFC 4309 section 4 */
#define AEAD_IV_BYTES     8  /* of all of them; RFC 8750 section 4 has as many that are not sent */
#define GCM_AAD_BYTES     8  /* SPI and sequence number, RFC 4106 section 5 */
#define GCM_AAD_ESN_BYTES 12 /* SPI and both halves of the sequence number */
#define ESN_HIGH_BYTES    4  /* covered by the HMAC, never sent, RFC 4303 section 2.2.1 */
/* cryptodev's CCM: a byte in front of the nonce and a block and 2 bytes before the AAD are the driver's. */
#define CCM_IV_RESERVED  1
#define CCM_AAD_RESERVED 18

struct scratch {
	uint8_t iv[16]; /* drivers read or write 16 bytes also for GCM's 12 */
	union {
		struct {
			uint8_t aad[16];
			/*
			 * HMAC: outbound as the driver computed it, inbound as the packet brought it. Not in
			 * the packet, since with ESN the high half of the sequence number stands there while
			 * the driver works.
			 */
			uint8_t digest[ESP_ICV_BYTES_MAX];
		};
		uint8_t ccm_aad[CCM_AAD_RESERVED + GCM_AAD_ESN_BYTES];
	};
};

#define SCRATCH_OFFSET (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))
#define IV_OFFSET      (SCRATCH_OFFSET + offsetof(struct scratch, iv))

/* Bytes of a packet, from the start of its data. */
struct region {
	uint16_t offset;
	uint16_t length;
};

/*
 * Payload and trailer; for CBC and 3DES on the way out the IV field too. esp_out_prepare put a unique block
 * there, and the device's own IV is zero, so that the field becomes the block's encryption: an IV nobody can
 * predict (NIST SP 800-38A appendix C), and what follows is chained to it as ever.
 */
static inline struct region cipher_region_one(const struct sa *sa, const struct pkt *p)
{
	bool with_iv = cipher_is_cbc(sa->cipher) && !sa->inbound;
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

/* SPI and the number that the ICV covers (RFC 4106 section 5; for GMAC its beginning, RFC 4543 section 3.3).
 */
static inline void aad_write_one(uint8_t *aad, const struct sa *sa, const uint8_t *esp, uint64_t seq)
{
	rte_be32_t high = rte_cpu_to_be_32((uint32_t)(seq >> 32));

	if (!sa->esn) {
		memcpy(aad, esp, GCM_AAD_BYTES);
		return;
	}
	memcpy(aad, esp, 4);
	memcpy(aad + 4, &high, sizeof(high));
	memcpy(aad + 8, esp + 4, 4);
}

static inline uint8_t aad_bytes_of(const struct sa *sa)
{
	return sa->esn ? GCM_AAD_ESN_BYTES : GCM_AAD_BYTES;
}

/* Salt and IV, which is 8 bytes long. */
static inline void nonce_join_one(uint8_t *nonce, rte_be32_t salt, const void *iv_at)
{
	uint64_t iv, first;
	uint32_t last;

	memcpy(&iv, iv_at, sizeof(iv));
	/*
	 * Written as 8 and 4 bytes, since they are read so at once: a load that spans two stores would wait
	 * for both (x86 is little-endian).
	 */
	first = iv << 32 | salt;
	last = (uint32_t)(iv >> 32);
	memcpy(nonce, &first, sizeof(first));
	memcpy(nonce + sizeof(first), &last, sizeof(last));
}

/* An implicit IV is the sequence number, and is in no packet (RFC 8750 section 4). */
static inline void nonce_write_one(uint8_t *nonce, const struct sa *sa, const uint8_t *esp, uint64_t seq)
{
	rte_be64_t implicit = rte_cpu_to_be_64(seq);

	nonce_join_one(nonce, sa->salt, sa->iv_bytes ? esp + ESP_HEADER_BYTES : (const void *)&implicit);
}

/* CCM's salt is a byte shorter (RFC 4309 section 4). */
static inline void ccm_nonce_write_one(uint8_t *nonce, const struct sa *sa, const uint8_t *esp)
{
	memcpy(nonce, &sa->salt, CCM_NONCE_BYTES - AEAD_IV_BYTES);
	memcpy(nonce + CCM_NONCE_BYTES - AEAD_IV_BYTES, esp + ESP_HEADER_BYTES, AEAD_IV_BYTES);
}

static inline void aead_scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_offset);

	nonce_write_one(scratch->iv, sa, esp, p->seq);
	aad_write_one(scratch->aad, sa, esp, p->seq);
}

/* As cryptodev wants it. */
static inline void ccm_scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_offset);

	ccm_nonce_write_one(scratch->iv + CCM_IV_RESERVED, sa, esp);
	aad_write_one(scratch->ccm_aad + CCM_AAD_RESERVED, sa, esp, p->seq);
}

/* RFC 3686 section 4: nonce, IV and a counter that begins at 1. GMAC's nonce has no counter. */
static inline void counter_iv_write_one(uint8_t iv[16], const struct sa *sa, const uint8_t *esp)
{
	static const rte_be32_t first = RTE_BE32(1);

	nonce_write_one(iv, sa, esp, 0);
	memcpy(iv + AEAD_NONCE_MAX, &first, sizeof(first));
}

/* The block that the device begins with. On the way out CBC begins with the IV field, and with zeros here. */
static inline void cipher_iv_write_one(struct scratch *scratch, const struct sa *sa, const uint8_t *esp)
{
	if (sa->cipher == CIPHER_AES_CTR || sa->cipher == CIPHER_AES_GMAC)
		counter_iv_write_one(scratch->iv, sa, esp);
	else if (sa->inbound)
		memcpy(scratch->iv, esp + ESP_HEADER_BYTES, sa->iv_bytes);
	else
		memset(scratch->iv, 0, sizeof(scratch->iv));
}

static inline void hmac_scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint8_t *icv = rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset);
	rte_be32_t high = rte_cpu_to_be_32((uint32_t)(p->seq >> 32));

	cipher_iv_write_one(scratch, sa, icv - (p->icv_offset - p->esp_offset));
	if (sa->inbound)
		memcpy(scratch->digest, icv, sa->icv_bytes);
	if (sa->esn)
		memcpy(icv, &high, sizeof(high));
}

static inline void scratch_fill_one(struct scratch *scratch, const struct sa *sa, struct rte_mbuf *m)
{
	if (!sa->aead)
		hmac_scratch_fill_one(scratch, sa, m);
	else if (sa->cipher == CIPHER_AES_CCM)
		ccm_scratch_fill_one(scratch, sa, m);
	else
		aead_scratch_fill_one(scratch, sa, m);
}

#endif
