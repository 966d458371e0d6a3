#include "ipsec/crypto_direct.h"

#include "ipsec/crypto_scratch.h"
#include "ipsec/crypto_trial.h"
#include "ipsec/mb.h"
#include "net/burst.h"
#include "net/pkt.h"

#include <string.h>

#include <intel-ipsec-mb.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#define AEAD_TAG_BYTES  16
#define AES_BLOCK_BYTES 16

/* Powers of GCM's hash key that IPsec-MB multiplies with; with AVX-512 more. */
#define GCM_POWERS        8
#define GCM_POWERS_AVX512 48

/* Packets of one transform and direction. */
struct waiting {
	uint16_t n;
	struct rte_mbuf *pkts[BURST_MAX];
};

/* The transforms with the same hash: their packets share its lanes. In mb.h's order of hashes. */
struct hash {
	IMB_HASH_ALG alg;
	uint8_t icv_bytes; /* that IPsec-MB cuts to; of other lengths it writes the whole */
};

static const struct hash hashes[MB_HASHES] = {
	{IMB_AUTH_HMAC_SHA_1, 12},
	{IMB_AUTH_HMAC_SHA_256, 16},
	{IMB_AUTH_HMAC_SHA_384, 24},
	{IMB_AUTH_HMAC_SHA_512, 32},
};

static inline enum mb_transform hash_first(unsigned hash)
{
	return MB_HMAC + hash * MB_CIPHERS;
}

static inline unsigned hash_of(enum mb_transform transform)
{
	return (transform - MB_HMAC) / MB_CIPHERS;
}

/* AES-GMAC in parts, by the length of its key. */
struct gmac {
	aes_gmac_init_t init;
	aes_gmac_update_t update;
	aes_gmac_finalize_t finalize;
};

struct crypto_direct {
	struct IMB_MGR *manager;
	struct IMB_MGR *sha;           /* another for hashing a few packets; NULL where the CPU has none */
	uint16_t wide_from[MB_HASHES]; /* crypto_trial's; 0 where there is no `sha` */
	aes_gcm_enc_dec_t gcm[MB_GCM_256 + 1][2]; /* by transform; outbound, inbound */
	struct gmac gmac[3];                      /* by transform, from MB_GMAC_128 on */
	uint16_t gcm_powers;                      /* of the hash key, which are the end of what is read */
	struct gcm_context_data gcm_context;
	uint16_t n_waiting;
	uint16_t n_hash[MB_HASHES][2];            /* of them with that hash; outbound, inbound */
	struct waiting waiting[MB_TRANSFORMS][2]; /* outbound, inbound */
	/* Of the packets at work; of GCM's, the first element. */
	struct scratch scratch[BURST_MAX];
	uint8_t tags[BURST_MAX][ESP_ICV_BYTES_MAX]; /* as computed, in both directions */
	IMB_JOB jobs[BURST_MAX];
};

static void functions_init(struct crypto_direct *direct)
{
	struct IMB_MGR *manager = direct->manager;

	direct->gcm[MB_GCM_128][0] = manager->gcm128_enc;
	direct->gcm[MB_GCM_128][1] = manager->gcm128_dec;
	direct->gcm[MB_GCM_192][0] = manager->gcm192_enc;
	direct->gcm[MB_GCM_192][1] = manager->gcm192_dec;
	direct->gcm[MB_GCM_256][0] = manager->gcm256_enc;
	direct->gcm[MB_GCM_256][1] = manager->gcm256_dec;
	direct->gmac[0] =
		(struct gmac){manager->gmac128_init, manager->gmac128_update, manager->gmac128_finalize};
	direct->gmac[1] =
		(struct gmac){manager->gmac192_init, manager->gmac192_update, manager->gmac192_finalize};
	direct->gmac[2] =
		(struct gmac){manager->gmac256_init, manager->gmac256_update, manager->gmac256_finalize};
	direct->gcm_powers = manager->used_arch == IMB_ARCH_AVX512 ? GCM_POWERS_AVX512 : GCM_POWERS;
	for (unsigned hash = 0; hash < MB_HASHES && direct->sha; hash++)
		direct->wide_from[hash] =
			crypto_trial(manager, direct->sha, hashes[hash].alg, hashes[hash].icv_bytes);
}

int crypto_direct_create(int socket, struct crypto_direct **out, struct err *err)
{
	struct crypto_direct *direct =
		rte_zmalloc_socket("crypto_direct", sizeof(*direct), RTE_CACHE_LINE_SIZE, socket);
	int ret;

	if (!direct)
		return err_set(err, ENOMEM, "no memory for a worker's crypto");
	ret = mb_manager_create(socket, &direct->manager, err);
	if (ret == 0)
		ret = mb_manager_create_sha(socket, &direct->sha, err);
	if (ret != 0) {
		crypto_direct_destroy(direct);
		return ret;
	}
	functions_init(direct);
	*out = direct;
	return 0;
}

void crypto_direct_destroy(struct crypto_direct *direct)
{
	if (!direct)
		return;
	mb_manager_destroy(direct->sha);
	mb_manager_destroy(direct->manager);
	/* The context and the scratch keep what the last packets were encrypted with. */
	explicit_bzero(direct, sizeof(*direct));
	rte_free(direct);
}

static inline void lines_prefetch(const void *from, size_t length)
{
	for (size_t offset = 0; offset < length; offset += RTE_CACHE_LINE_SIZE)
		rte_prefetch0((const uint8_t *)from + offset);
}

/* Of AES's round keys: one more than rounds, which are 6 more than the key has words (FIPS 197 section 5). */
static inline size_t schedule_bytes(size_t key_bytes)
{
	return key_bytes == 0 ? 0 : AES_BLOCK_BYTES * (key_bytes / 4 + 6 + 1);
}

/*
 * The round keys stand first. Then come powers of the hash key: with AVX-512 many, of which the last are for
 * the last blocks, so that a short packet needs but the end; else a few.
 */
static inline void gcm_key_prefetch(const struct crypto_direct *direct, const struct pkt *p)
{
	const struct gcm_key_data *key = p->sa->session.handle;
	const uint8_t *powers = (const uint8_t *)&key->ghash_keys;
	uint16_t blocks = (p->icv_offset - p->esp_offset) / AES_BLOCK_BYTES;
	uint16_t read = direct->gcm_powers == GCM_POWERS ? GCM_POWERS : RTE_MIN(blocks, GCM_POWERS_AVX512);

	lines_prefetch(key, schedule_bytes(mb_aes_key_bytes(p->sa->session.transform)));
	lines_prefetch(powers + AES_BLOCK_BYTES * (direct->gcm_powers - read), AES_BLOCK_BYTES * read);
}

void crypto_direct_prefetch_one(const struct crypto_direct *direct, const struct pkt *p)
{
	enum mb_transform transform = p->sa->session.transform;
	const struct mb_hmac_key *key = p->sa->session.handle;

	if (transform <= MB_GMAC_256) {
		gcm_key_prefetch(direct, p);
	} else if (transform == MB_CHACHA20_POLY1305) {
		rte_prefetch0(key);
	} else if (transform == MB_JOB) {
		lines_prefetch(key, offsetof(struct mb_job_key, des_schedules));
	} else {
		lines_prefetch(key->states, 2 * mb_hmac_state_bytes(transform));
		lines_prefetch(key->schedule, schedule_bytes(mb_aes_key_bytes(transform)));
	}
}

/* In a time that does not depend on where they differ. Tags are whole words of 4 bytes. */
static inline bool tag_equal(const uint8_t *a, const uint8_t *b, uint8_t length)
{
	uint64_t difference = 0;
	uint8_t i = 0;

	for (; i + sizeof(uint64_t) <= length; i += sizeof(uint64_t)) {
		uint64_t left, right;

		memcpy(&left, a + i, sizeof(left));
		memcpy(&right, b + i, sizeof(right));
		difference |= left ^ right;
	}
	if (i < length) {
		uint32_t left, right;

		memcpy(&left, a + i, sizeof(left));
		memcpy(&right, b + i, sizeof(right));
		difference |= left ^ right;
	}
	return difference == 0;
}

/* IPsec-MB makes the tag in both directions; inbound, comparing it is ours. */
static inline void aead_finish_one(struct rte_mbuf *m, const struct sa *sa, const uint8_t *tag)
{
	struct pkt *p = pkt_of(m);
	uint8_t *icv = rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset);

	if (!sa->inbound)
		memcpy(icv, tag, sa->icv_bytes);
	else if (!tag_equal(icv, tag, sa->icv_bytes))
		p->flags |= PKT_ICV_BAD;
}

/*
 * n packets of one SA whose GCM is as nearly all is, with an IV of its own in the packet and the whole tag
 * for an ICV: what is covered and not encrypted stands in the packet too, but for the high half of the
 * number, and the tag is made in its place.
 */
static void gcm_run_usual(
	struct crypto_direct *direct, const struct sa *sa, struct rte_mbuf **pkts, uint16_t n)
{
	const struct gcm_key_data *key = sa->session.handle;
	const bool inbound = sa->inbound, esn = sa->esn;
	const uint64_t aad_bytes = aad_bytes_of(sa);
	aes_gcm_enc_dec_t crypt = direct->gcm[sa->session.transform][inbound];
	struct scratch *scratch = direct->scratch;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);
		uint8_t *esp = rte_pktmbuf_mtod_offset(pkts[i], uint8_t *, p->esp_offset);
		uint8_t *text = esp + ESP_HEADER_BYTES + AEAD_IV_BYTES;
		uint8_t *icv = esp + (p->icv_offset - p->esp_offset);
		uint8_t *tag = inbound ? scratch->digest : icv;

		nonce_join_one(scratch->iv, sa->salt, esp + ESP_HEADER_BYTES);
		if (esn)
			aad_write_one(scratch->aad, sa, esp, p->seq);
		crypt(key, &direct->gcm_context, text, text, icv - text, scratch->iv,
			esn ? scratch->aad : esp, aad_bytes, tag, AEAD_TAG_BYTES);
		if (inbound && !tag_equal(icv, tag, AEAD_TAG_BYTES))
			p->flags |= PKT_ICV_BAD;
	}
}

/* n packets of one SA, whatever its IV and its ICV. */
static void gcm_run(struct crypto_direct *direct, const struct sa *sa, struct rte_mbuf **pkts, uint16_t n)
{
	const struct gcm_key_data *key = sa->session.handle;
	aes_gcm_enc_dec_t crypt = direct->gcm[sa->session.transform][sa->inbound];
	struct scratch *scratch = direct->scratch;

	for (uint16_t i = 0; i < n; i++) {
		struct region region = cipher_region_one(sa, pkt_of(pkts[i]));
		uint8_t *text = rte_pktmbuf_mtod_offset(pkts[i], uint8_t *, region.offset);

		aead_scratch_fill_one(scratch, sa, pkts[i]);
		crypt(key, &direct->gcm_context, text, text, region.length, scratch->iv, scratch->aad,
			aad_bytes_of(sa), scratch->digest, AEAD_TAG_BYTES);
		aead_finish_one(pkts[i], sa, scratch->digest);
	}
}

/*
 * n packets of one SA. The number stands in the packet, but for the half that is not sent: so header and rest
 * are given one after the other (RFC 4543 section 3.3).
 */
static void gmac_run(struct crypto_direct *direct, const struct sa *sa, struct rte_mbuf **pkts, uint16_t n)
{
	const struct gcm_key_data *key = sa->session.handle;
	const struct gmac *gmac = &direct->gmac[sa->session.transform - MB_GMAC_128];
	struct scratch *scratch = direct->scratch;

	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);
		const uint8_t *rest =
			rte_pktmbuf_mtod_offset(pkts[i], uint8_t *, p->esp_offset + ESP_HEADER_BYTES);

		aead_scratch_fill_one(scratch, sa, pkts[i]);
		gmac->init(key, &direct->gcm_context, scratch->iv, AEAD_NONCE_MAX);
		gmac->update(key, &direct->gcm_context, scratch->aad, aad_bytes_of(sa));
		gmac->update(
			key, &direct->gcm_context, rest, p->icv_offset - p->esp_offset - ESP_HEADER_BYTES);
		gmac->finalize(key, &direct->gcm_context, scratch->digest, AEAD_TAG_BYTES);
		aead_finish_one(pkts[i], sa, scratch->digest);
	}
}

void crypto_direct_add(struct crypto_direct *direct, const struct sa *sa, struct rte_mbuf **pkts, uint16_t n)
{
	enum mb_transform transform = sa->session.transform;
	struct waiting *waiting = &direct->waiting[transform][sa->inbound];

	if (transform <= MB_GCM_256) {
		if (likely(sa->icv_bytes == AEAD_TAG_BYTES && sa->iv_bytes == AEAD_IV_BYTES))
			gcm_run_usual(direct, sa, pkts, n);
		else
			gcm_run(direct, sa, pkts, n);
		return;
	}
	if (transform <= MB_GMAC_256) {
		gmac_run(direct, sa, pkts, n);
		return;
	}
	if (transform >= MB_HMAC)
		direct->n_hash[hash_of(transform)][sa->inbound] += n;
	memcpy(&waiting->pkts[waiting->n], pkts, n * sizeof(*pkts));
	waiting->n += n;
	direct->n_waiting += n;
}

static inline void chacha20_job_fill_one(
	IMB_JOB *job, struct scratch *scratch, uint8_t *tag, struct rte_mbuf *m)
{
	const struct sa *sa = pkt_of(m)->sa;
	struct region region = cipher_region_one(sa, pkt_of(m));
	uint8_t *text = rte_pktmbuf_mtod_offset(m, uint8_t *, region.offset);

	aead_scratch_fill_one(scratch, sa, m);
	*job = (IMB_JOB){
		.enc_keys = sa->session.handle,
		.dec_keys = sa->session.handle,
		.key_len_in_bytes = MB_CHACHA20_KEY_BYTES,
		.src = text,
		.dst = text,
		.msg_len_to_cipher_in_bytes = region.length,
		.msg_len_to_hash_in_bytes = region.length,
		.iv = scratch->iv,
		.iv_len_in_bytes = AEAD_NONCE_MAX,
		.auth_tag_output = tag,
		.auth_tag_output_len_in_bytes = AEAD_TAG_BYTES,
		.u.CHACHA20_POLY1305.aad = scratch->aad,
		.u.CHACHA20_POLY1305.aad_len_in_bytes = aad_bytes_of(sa),
		.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305,
		.cipher_direction = sa->inbound ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT,
		.hash_alg = IMB_AUTH_CHACHA20_POLY1305,
		.chain_order = sa->inbound ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH,
	};
}

/*
 * Through the ring of jobs, the only way there is in one call. It is empty between bursts, and a job of this
 * algorithm is finished once it is submitted; one that were not is no packet to send or to read.
 */
static void chacha20_run(struct crypto_direct *direct, struct waiting *waiting)
{
	IMB_JOB *jobs[BURST_MAX], *done[BURST_MAX];
	uint16_t n = (uint16_t)IMB_GET_NEXT_BURST(direct->manager, waiting->n, jobs);

	for (uint16_t i = 0; i < n; i++)
		chacha20_job_fill_one(jobs[i], &direct->scratch[i], direct->tags[i], waiting->pkts[i]);
	memcpy(done, jobs, n * sizeof(*jobs));
	IMB_SUBMIT_BURST_NOCHECK(direct->manager, n, done);
	for (uint16_t i = 0; i < waiting->n; i++) {
		struct rte_mbuf *m = waiting->pkts[i];

		if (i < n && jobs[i]->status == IMB_STATUS_COMPLETED)
			aead_finish_one(m, pkt_of(m)->sa, direct->tags[i]);
		else
			pkt_of(m)->flags |= PKT_CRYPTO_FAILED;
	}
	waiting->n = 0;
}

/* What CCM has in a job, where it authenticates what it encrypts, and in a direction's other order. */
static inline void ccm_job_fill_one(IMB_JOB *job, struct scratch *scratch, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct sa *sa = p->sa;
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_offset);
	struct region region = cipher_region_one(sa, p);

	ccm_nonce_write_one(scratch->iv, sa, esp);
	aad_write_one(scratch->aad, sa, esp, p->seq);
	job->iv_len_in_bytes = CCM_NONCE_BYTES;
	job->hash_start_src_offset_in_bytes = region.offset;
	job->msg_len_to_hash_in_bytes = region.length;
	job->u.CCM.aad = scratch->aad;
	job->u.CCM.aad_len_in_bytes = aad_bytes_of(sa);
	job->chain_order = sa->inbound ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
}

/* What XCBC, CMAC and 3DES's HMAC have in a job. */
static inline void mac_job_fill_one(
	IMB_JOB *job, struct scratch *scratch, const struct mb_job_key *key, struct rte_mbuf *m)
{
	const struct sa *sa = pkt_of(m)->sa;
	struct region auth = auth_region_one(sa, pkt_of(m));

	hmac_scratch_fill_one(scratch, sa, m);
	job->iv_len_in_bytes = sizeof(scratch->iv);
	job->hash_start_src_offset_in_bytes = auth.offset;
	job->msg_len_to_hash_in_bytes = auth.length;
	if (key->cipher_mode == IMB_CIPHER_DES3) {
		job->iv_len_in_bytes = sa->iv_bytes;
		job->enc_keys = key->des_keys;
		job->dec_keys = key->des_keys;
		job->u.HMAC._hashed_auth_key_xor_ipad = key->mac_schedule;
		job->u.HMAC._hashed_auth_key_xor_opad = key->mac_schedule + MB_JOB_HMAC_STATE_BYTES;
	} else if (key->hash_alg == IMB_AUTH_AES_XCBC) {
		job->u.XCBC._k1_expanded = (const uint32_t *)key->mac_schedule;
		job->u.XCBC._k2 = key->mac_last[0];
		job->u.XCBC._k3 = key->mac_last[1];
	} else {
		job->u.CMAC._key_expanded = key->mac_schedule;
		job->u.CMAC._skey1 = key->mac_last[0];
		job->u.CMAC._skey2 = key->mac_last[1];
	}
	job->chain_order = sa->inbound ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
}

static inline void job_fill_one(IMB_JOB *job, struct scratch *scratch, uint8_t *tag, struct rte_mbuf *m)
{
	const struct sa *sa = pkt_of(m)->sa;
	const struct mb_job_key *key = sa->session.handle;
	struct region cipher = cipher_region_one(sa, pkt_of(m));
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	*job = (IMB_JOB){
		.enc_keys = key->schedule,
		.dec_keys = key->schedule,
		.key_len_in_bytes = key->key_bytes,
		.src = data,
		.dst = data + cipher.offset,
		.cipher_start_src_offset_in_bytes = cipher.offset,
		.msg_len_to_cipher_in_bytes = cipher.length,
		.iv = scratch->iv,
		.auth_tag_output = tag,
		.auth_tag_output_len_in_bytes = sa->icv_bytes,
		.cipher_mode = key->cipher_mode,
		.cipher_direction = sa->inbound ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT,
		.hash_alg = key->hash_alg,
	};
	if (key->hash_alg == IMB_AUTH_AES_CCM)
		ccm_job_fill_one(job, scratch, m);
	else
		mac_job_fill_one(job, scratch, key, m);
}

/* Inbound, the ICV of a MAC of its own is in the scratch: see hmac_scratch_fill_one. */
static inline void job_finish_one(struct rte_mbuf *m, const struct scratch *scratch, const uint8_t *tag)
{
	struct pkt *p = pkt_of(m);

	if (p->sa->aead || !p->sa->inbound)
		aead_finish_one(m, p->sa, tag);
	else if (!tag_equal(scratch->digest, tag, p->sa->icv_bytes))
		p->flags |= PKT_ICV_BAD;
}

/* Through the ring of jobs, packets of any SAs and algorithms: each algorithm has lanes of its own. */
static void jobs_run(struct crypto_direct *direct, struct waiting *waiting)
{
	struct IMB_MGR *manager = direct->manager;
	IMB_JOB *jobs[BURST_MAX];

	for (uint16_t i = 0; i < waiting->n; i++) {
		jobs[i] = IMB_GET_NEXT_JOB(manager);
		job_fill_one(jobs[i], &direct->scratch[i], direct->tags[i], waiting->pkts[i]);
		IMB_SUBMIT_JOB_NOCHECK(manager);
	}
	while (IMB_FLUSH_JOB(manager))
		;
	/* The ring is longer than a burst, so that no job was overwritten. */
	for (uint16_t i = 0; i < waiting->n; i++) {
		if (jobs[i]->status == IMB_STATUS_COMPLETED)
			job_finish_one(waiting->pkts[i], &direct->scratch[i], direct->tags[i]);
		else
			pkt_of(waiting->pkts[i])->flags |= PKT_CRYPTO_FAILED;
	}
	waiting->n = 0;
}

static inline void hmac_job_fill_one(IMB_JOB *job, struct scratch *scratch, uint8_t *tag, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct sa *sa = p->sa;
	const struct mb_hmac_key *key = sa->session.handle;
	struct region cipher = cipher_region_one(sa, p);
	struct region auth = auth_region_one(sa, p);
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	hmac_scratch_fill_one(scratch, sa, m);
	job->enc_keys = key->schedule;
	job->dec_keys = key->schedule;
	job->src = data;
	job->dst = data + cipher.offset;
	job->cipher_start_src_offset_in_bytes = cipher.offset;
	job->msg_len_to_cipher_in_bytes = cipher.length;
	job->hash_start_src_offset_in_bytes = auth.offset;
	job->msg_len_to_hash_in_bytes = auth.length;
	job->iv = scratch->iv;
	job->iv_len_in_bytes = sizeof(scratch->iv);
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = sa->icv_bytes;
	job->u.HMAC._hashed_auth_key_xor_ipad = key->states;
	job->u.HMAC._hashed_auth_key_xor_opad =
		key->states + mb_hmac_state_bytes((enum mb_transform)sa->session.transform);
	job->user_data = m;
}

/* Fill jobs[first...] with what waits there; returns the first free one. */
static uint16_t hmac_jobs_fill(struct crypto_direct *direct, struct waiting *waiting, uint16_t first)
{
	for (uint16_t i = 0; i < waiting->n; i++, first++)
		hmac_job_fill_one(
			&direct->jobs[first], &direct->scratch[first], direct->tags[first], waiting->pkts[i]);
	waiting->n = 0;
	return first;
}

/* What IPsec-MB did not do is no packet to send or to read. */
static void jobs_check(const IMB_JOB *jobs, uint32_t n, uint32_t done)
{
	for (uint32_t i = 0; done != n && i < n; i++)
		pkt_of(jobs[i].user_data)->flags |= PKT_CRYPTO_FAILED;
}

static void jobs_cipher(
	struct crypto_direct *direct, IMB_JOB *jobs, uint16_t n, enum mb_transform transform, bool inbound)
{
	struct mb_cipher cipher = mb_hmac_cipher(transform);
	IMB_CIPHER_MODE mode = cipher.alg == CIPHER_AES_CBC ? IMB_CIPHER_CBC : IMB_CIPHER_CNTR;

	if (cipher.key_bytes > 0 && n > 0)
		jobs_check(jobs, n,
			IMB_SUBMIT_CIPHER_BURST_NOCHECK(direct->manager, jobs, n, mode,
				inbound ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT,
				(IMB_KEY_SIZE_BYTES)cipher.key_bytes));
}

static void jobs_hash(struct crypto_direct *direct, uint16_t n, unsigned hash)
{
	struct IMB_MGR *manager = n >= direct->wide_from[hash] ? direct->manager : direct->sha;

	jobs_check(
		direct->jobs, n, IMB_SUBMIT_HASH_BURST_NOCHECK(manager, direct->jobs, n, hashes[hash].alg));
}

/* RFC 4303 section 3.3.2: encryption first, and the ICV is made over what came of it. */
static void hmac_run_out(struct crypto_direct *direct, unsigned hash)
{
	uint16_t n = 0;

	for (enum mb_transform t = hash_first(hash); t < hash_first(hash + 1); t++) {
		uint16_t first = n;

		n = hmac_jobs_fill(direct, &direct->waiting[t][0], first);
		jobs_cipher(direct, &direct->jobs[first], n - first, t, false);
	}
	direct->n_hash[hash][0] = 0;
	jobs_hash(direct, n, hash);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = direct->jobs[i].user_data;
		const struct pkt *p = pkt_of(m);

		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset), direct->tags[i],
			p->sa->icv_bytes);
	}
}

/* Keep the jobs of authentic packets among the n from `first` on; how many there are. */
static uint16_t jobs_verify(struct crypto_direct *direct, uint16_t first, uint16_t n)
{
	IMB_JOB *jobs = &direct->jobs[first];
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(jobs[i].user_data);

		if (!tag_equal(
			    direct->tags[first + i], direct->scratch[first + i].digest, p->sa->icv_bytes)) {
			p->flags |= PKT_ICV_BAD;
			continue;
		}
		if (kept != i)
			jobs[kept] = jobs[i];
		kept++;
	}
	return kept;
}

/* RFC 4303 section 3.4.4.1: the ICV first, and what it does not prove is not even decrypted. */
static void hmac_run_in(struct crypto_direct *direct, unsigned hash)
{
	uint16_t starts[MB_CIPHERS + 1] = {0};

	for (unsigned i = 0; i < MB_CIPHERS; i++)
		starts[i + 1] = hmac_jobs_fill(direct, &direct->waiting[hash_first(hash) + i][1], starts[i]);
	direct->n_hash[hash][1] = 0;
	jobs_hash(direct, starts[MB_CIPHERS], hash);
	for (unsigned i = 0; i < MB_CIPHERS; i++) {
		uint16_t kept = jobs_verify(direct, starts[i], starts[i + 1] - starts[i]);

		jobs_cipher(direct, &direct->jobs[starts[i]], kept, hash_first(hash) + i, true);
	}
}

void crypto_direct_finish(struct crypto_direct *direct)
{
	if (direct->n_waiting == 0)
		return;
	for (unsigned inbound = 0; inbound < 2; inbound++) {
		if (direct->waiting[MB_CHACHA20_POLY1305][inbound].n > 0)
			chacha20_run(direct, &direct->waiting[MB_CHACHA20_POLY1305][inbound]);
		if (direct->waiting[MB_JOB][inbound].n > 0)
			jobs_run(direct, &direct->waiting[MB_JOB][inbound]);
	}
	for (unsigned hash = 0; hash < MB_HASHES; hash++) {
		if (direct->n_hash[hash][0] > 0)
			hmac_run_out(direct, hash);
		if (direct->n_hash[hash][1] > 0)
			hmac_run_in(direct, hash);
	}
	direct->n_waiting = 0;
}
