/* rte_cryptodev_sym_cpu_crypto_process is an experimental symbol in every release so far. */
#define ALLOW_EXPERIMENTAL_API

#include "ipsec/crypto.h"

#include "ipsec/crypto_direct.h"
#include "ipsec/crypto_scratch.h"
#include "net/stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <rte_cryptodev.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#define OPS_CACHE     RTE_MEMPOOL_CACHE_MAX_SIZE
#define KEYS_AHEAD    3
#define WARM_UP_BYTES 64 /* a multiple of every algorithm's block */

struct batch {
	uint16_t n;
	struct rte_crypto_op *ops[BURST_MAX];
};

/* The arrays of one synchronous call. The pointers between them are set once. */
struct sync_arrays {
	struct rte_crypto_vec data[BURST_MAX];
	struct rte_crypto_sgl sgl[BURST_MAX];
	struct rte_crypto_va_iova_ptr iv[BURST_MAX];
	struct rte_crypto_va_iova_ptr aad[BURST_MAX];
	struct rte_crypto_va_iova_ptr digest[BURST_MAX];
	int32_t status[BURST_MAX];
	struct scratch scratch[BURST_MAX];
};

struct crypto_worker {
	const struct crypto *crypto;
	struct rte_mempool *ops;
	uint16_t queue_pair; /* of every device */
	uint16_t poll_first; /* device to poll first, so that a busy one can't starve the others */
	uint32_t in_flight[CRYPTO_DEVICES_MAX];
	struct crypto_session warm_up[CRYPTO_DEVICES_MAX]; /* of the synchronous cryptodevs */
	struct batch batches[CRYPTO_DEVICES_MAX];
	struct sync_arrays sync;
	struct crypto_direct *direct; /* NULL without IPsec-MB among the devices */
};

static void sync_arrays_init(struct sync_arrays *sync)
{
	for (unsigned i = 0; i < BURST_MAX; i++) {
		sync->sgl[i] = (struct rte_crypto_sgl){.vec = &sync->data[i], .num = 1};
		sync->iv[i].va = sync->scratch[i].iv;
		sync->aad[i].va = sync->scratch[i].aad;
	}
}

/* A session of the first algorithm that the device knows, for which any key will do. */
static int warm_up_session_create(
	const struct crypto_device *device, struct crypto_session *session, struct err *err)
{
	static const struct secret zeros = {.length_bytes = SECRET_BYTES_MAX};
	struct crypto alone = {.devices = {*device}, .n_devices = 1, .way = CRYPTO_WAY_SYNC};
	const struct alg *alg;
	int ret = -ENOTSUP;

	for (size_t i = 0; ret == -ENOTSUP && (alg = alg_at(i)) != NULL; i++) {
		struct crypto_session_conf conf = {.alg = alg, .key = &zeros};

		ret = crypto_session_create(&alone, &conf, session, err);
	}
	/* A device that knows nothing gets no packets. */
	return ret == -ENOTSUP ? 0 : ret;
}

/* What the worker needs of one device. */
static int worker_device_create(struct crypto_worker *worker, unsigned index, int socket, struct err *err)
{
	const struct crypto_device *device = &worker->crypto->devices[index];

	if (device->manager)
		return worker->direct ? 0 : crypto_direct_create(socket, &worker->direct, err);
	return device->sync ? warm_up_session_create(device, &worker->warm_up[index], err) : 0;
}

static int worker_parts_create(struct crypto_worker *worker, int socket, struct err *err)
{
	const struct crypto *crypto = worker->crypto;
	unsigned n_ops = RTE_MAX(crypto->n_devices, 1u) * CRYPTO_QUEUE_DEPTH + BURST_MAX;
	char name[RTE_MEMPOOL_NAMESIZE];
	int ret = 0;

	snprintf(name, sizeof(name), "ops%" PRIxPTR, (uintptr_t)worker);
	worker->ops = rte_crypto_op_pool_create(
		name, RTE_CRYPTO_OP_TYPE_SYMMETRIC, n_ops, OPS_CACHE, sizeof(struct scratch), socket);
	if (!worker->ops)
		return err_set(err, ENOMEM, "no memory for %u crypto operations", n_ops);
	for (unsigned i = 0; ret == 0 && i < crypto->n_devices; i++)
		ret = worker_device_create(worker, i, socket, err);
	return ret;
}

int crypto_worker_create(const struct crypto *crypto, unsigned queue_pair, int socket,
	struct crypto_worker **out, struct err *err)
{
	struct crypto_worker *worker =
		rte_zmalloc_socket("crypto_worker", sizeof(*worker), RTE_CACHE_LINE_SIZE, socket);
	int ret;

	if (!worker)
		return err_set(err, ENOMEM, "no memory for a worker's crypto");
	worker->crypto = crypto;
	worker->queue_pair = (uint16_t)queue_pair;
	sync_arrays_init(&worker->sync);
	ret = worker_parts_create(worker, socket, err);
	if (ret != 0) {
		crypto_worker_destroy(worker);
		return ret;
	}
	*out = worker;
	return 0;
}

void crypto_worker_destroy(struct crypto_worker *worker)
{
	if (!worker)
		return;
	for (unsigned i = 0; i < CRYPTO_DEVICES_MAX; i++)
		if (worker->warm_up[i].handle)
			crypto_session_destroy(&worker->warm_up[i]);
	rte_mempool_free(worker->ops);
	crypto_direct_destroy(worker->direct);
	rte_free(worker);
}

uint32_t crypto_in_flight(const struct crypto_worker *worker)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < worker->crypto->n_devices; i++)
		sum += worker->in_flight[i];
	return sum;
}

/* What both ways of cryptodev share: a packet's outcome. */

/* `outcome` is what the driver says: 0, or a flag of struct pkt. */
static inline void packet_finish_one(
	struct rte_mbuf *m, const struct sa *sa, const struct scratch *scratch, uint16_t outcome)
{
	struct pkt *p = pkt_of(m);

	if (!sa->aead && !sa->inbound)
		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset), scratch->digest, sa->icv_bytes);
	p->flags |= outcome;
}

/* The synchronous way. */

static inline void sync_fill_one(
	struct sync_arrays *sync, uint16_t i, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct region region = sa->aead ? cipher_region_one(sa, p) : auth_region_one(sa, p);

	scratch_fill_one(&sync->scratch[i], sa, m);
	sync->data[i].base = rte_pktmbuf_mtod_offset(m, void *, region.offset);
	sync->data[i].len = region.length;
	sync->digest[i].va =
		sa->aead ? rte_pktmbuf_mtod_offset(m, void *, p->icv_offset) : sync->scratch[i].digest;
	/* A driver that gives up early leaves the status as it is. */
	sync->status[i] = EINVAL;
}

/* Where in the region of sync_fill_one the cipher begins and ends; the same for all packets of an SA. */
static inline union rte_crypto_sym_ofs sync_offsets(const struct sa *sa)
{
	union rte_crypto_sym_ofs offsets = {.raw = 0};

	if (cipher_is_cbc(sa->cipher) || sa->cipher == CIPHER_AES_CTR) {
		bool with_iv = cipher_is_cbc(sa->cipher) && !sa->inbound;

		offsets.ofs.cipher.head = ESP_HEADER_BYTES + (with_iv ? 0 : sa->iv_bytes);
		offsets.ofs.cipher.tail = sa->esn ? ESN_HIGH_BYTES : 0;
	}
	return offsets;
}

static void sync_process(struct sync_arrays *sync, const struct crypto_session *session,
	union rte_crypto_sym_ofs offsets, uint16_t n)
{
	struct rte_crypto_sym_vec vec = {
		.num = n,
		.src_sgl = sync->sgl,
		.iv = sync->iv,
		.digest = sync->digest,
		.aad = sync->aad,
		.status = sync->status,
	};

	rte_cryptodev_sym_cpu_crypto_process(session->device, session->handle, offsets, &vec);
}

static inline uint16_t sync_outcome_one(const struct sa *sa, int32_t status)
{
	if (status == 0)
		return 0;
	return status == EBADMSG && sa->inbound ? PKT_ICV_BAD : PKT_CRYPTO_FAILED;
}

/* n packets of one SA. */
static void sync_run(struct crypto_worker *worker, struct rte_mbuf **pkts, uint16_t n)
{
	const struct sa *sa = pkt_of(pkts[0])->sa;
	struct sync_arrays *sync = &worker->sync;

	for (uint16_t i = 0; i < n; i++)
		sync_fill_one(sync, i, sa, pkts[i]);
	sync_process(sync, &sa->session, sync_offsets(sa), n);
	for (uint16_t i = 0; i < n; i++)
		packet_finish_one(pkts[i], sa, &sync->scratch[i], sync_outcome_one(sa, sync->status[i]));
}

int crypto_worker_warm_up(struct crypto_worker *worker)
{
	struct sync_arrays *sync = &worker->sync;
	uint8_t zeros[WARM_UP_BYTES] = {0};

	for (unsigned i = 0; i < worker->crypto->n_devices; i++) {
		if (!worker->warm_up[i].handle)
			continue;
		sync->data[0].base = zeros;
		sync->data[0].len = sizeof(zeros);
		sync->digest[0].va = sync->scratch[0].digest;
		sync->status[0] = EINVAL;
		sync_process(sync, &worker->warm_up[i], (union rte_crypto_sym_ofs){.raw = 0}, 1);
		if (sync->status[0] != 0)
			return -EIO;
	}
	return 0;
}

/* The asynchronous way. */

static inline struct scratch *op_scratch_one(struct rte_crypto_op *op)
{
	return rte_crypto_op_ctod_offset(op, struct scratch *, SCRATCH_OFFSET);
}

static inline rte_iova_t op_scratch_iova_one(struct rte_crypto_op *op, size_t offset)
{
	return rte_crypto_op_ctophys_offset(op, SCRATCH_OFFSET + offset);
}

static inline void op_fill_aead_one(struct rte_crypto_op *op, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct region cipher = cipher_region_one(sa, p);

	op->sym->aead.data.offset = cipher.offset;
	op->sym->aead.data.length = cipher.length;
	op->sym->aead.digest.data = rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset);
	op->sym->aead.digest.phys_addr = rte_pktmbuf_iova_offset(m, p->icv_offset);
	/* CCM's driver skips the bytes in front of it itself: they begin where the AAD of the others does. */
	op->sym->aead.aad.data = op_scratch_one(op)->aad;
	op->sym->aead.aad.phys_addr = op_scratch_iova_one(op, offsetof(struct scratch, aad));
}

static inline void op_fill_hmac_one(struct rte_crypto_op *op, const struct sa *sa, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct region cipher = cipher_region_one(sa, p);
	struct region auth = auth_region_one(sa, p);

	op->sym->cipher.data.offset = cipher.offset;
	op->sym->cipher.data.length = cipher_encrypts(sa->cipher) ? cipher.length : 0;
	op->sym->auth.data.offset = auth.offset;
	op->sym->auth.data.length = auth.length;
	op->sym->auth.digest.data = op_scratch_one(op)->digest;
	op->sym->auth.digest.phys_addr = op_scratch_iova_one(op, offsetof(struct scratch, digest));
}

static inline void op_fill_one(struct rte_crypto_op *op, struct rte_mbuf *m)
{
	const struct sa *sa = pkt_of(m)->sa;

	rte_crypto_op_attach_sym_session(op, sa->session.handle);
	op->sym->m_src = m;
	scratch_fill_one(op_scratch_one(op), sa, m);
	if (sa->aead)
		op_fill_aead_one(op, sa, m);
	else
		op_fill_hmac_one(op, sa, m);
}

/* Enqueue the batch of one device; what it doesn't take is dropped. */
static void batch_enqueue(struct crypto_worker *worker, unsigned queue, const struct sa_tally *tally)
{
	struct batch *batch = &worker->batches[queue];
	uint32_t room = CRYPTO_QUEUE_DEPTH - worker->in_flight[queue];
	uint16_t taken = rte_cryptodev_enqueue_burst(worker->crypto->devices[queue].id, worker->queue_pair,
		batch->ops, (uint16_t)RTE_MIN(batch->n, room));

	worker->in_flight[queue] += taken;
	for (uint16_t i = taken; i < batch->n; i++) {
		sa_drop_one(tally, batch->ops[i]->sym->m_src, crypto_full);
		rte_mempool_put(worker->ops, batch->ops[i]);
	}
	batch->n = 0;
}

/* Packets of any SAs: each device gets all of its own at once. */
static void async_run(
	struct crypto_worker *worker, struct rte_mbuf **pkts, uint16_t n, const struct sa_tally *tally)
{
	struct rte_crypto_op *ops[BURST_MAX];

	if (rte_crypto_op_bulk_alloc(worker->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC, ops, n) != n) {
		for (uint16_t i = 0; i < n; i++)
			sa_drop_one(tally, pkts[i], crypto_full);
		return;
	}
	for (uint16_t i = 0; i < n; i++) {
		struct batch *batch = &worker->batches[pkt_of(pkts[i])->sa->session.queue];

		op_fill_one(ops[i], pkts[i]);
		batch->ops[batch->n++] = ops[i];
	}
	for (unsigned queue = 0; queue < worker->crypto->n_devices; queue++)
		if (worker->batches[queue].n > 0)
			batch_enqueue(worker, queue, tally);
}

static inline uint16_t async_outcome_one(const struct rte_crypto_op *op)
{
	switch (op->status) {
	case RTE_CRYPTO_OP_STATUS_SUCCESS:
		return 0;
	case RTE_CRYPTO_OP_STATUS_AUTH_FAILED:
		return PKT_ICV_BAD;
	default:
		return PKT_CRYPTO_FAILED;
	}
}

static void queue_poll(struct crypto_worker *worker, unsigned queue, struct burst *done)
{
	struct rte_crypto_op *ops[BURST_MAX];
	uint16_t n = rte_cryptodev_dequeue_burst(
		worker->crypto->devices[queue].id, worker->queue_pair, ops, BURST_MAX - done->n);

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = ops[i]->sym->m_src;

		packet_finish_one(m, pkt_of(m)->sa, op_scratch_one(ops[i]), async_outcome_one(ops[i]));
		burst_add_one(done, m);
	}
	worker->in_flight[queue] -= n;
	if (n > 0)
		rte_mempool_put_bulk(worker->ops, (void **)ops, n);
}

void crypto_poll(struct crypto_worker *worker, struct burst *done)
{
	unsigned n_devices = worker->crypto->n_devices;

	for (unsigned i = 0; i < n_devices && done->n < BURST_MAX; i++) {
		unsigned queue = (worker->poll_first + i) % n_devices;

		/*
		 * Some drivers do their work only when asked for the result, so ask as long as there is any.
		 */
		if (worker->in_flight[queue] > 0)
			queue_poll(worker, queue, done);
	}
	worker->poll_first = (uint16_t)(worker->poll_first + 1) % CRYPTO_DEVICES_MAX;
}

/*
 * Send for the keys of packets `from` to `until`, without `until`, as far as there are any. Returns where to
 * go on. With many SAs each key is far away, and a packet takes about as long as two or three of them need.
 */
static inline uint16_t keys_prefetch(
	const struct crypto_worker *worker, const struct burst *burst, uint16_t from, uint16_t until)
{
	until = RTE_MIN(until, burst->n);
	for (; from < until; from++) {
		const struct pkt *p = pkt_of(burst->pkts[from]);

		if (p->sa->session.path == CRYPTO_PATH_DIRECT && p->sa != pkt_of(burst->pkts[from - 1])->sa)
			crypto_direct_prefetch_one(worker->direct, p);
	}
	return from;
}

/*
 * Packets of one SA, which are finished when this returns, or when crypto_direct_finish does.
 */
static inline void run_sync(
	struct crypto_worker *worker, const struct sa *sa, struct rte_mbuf **pkts, uint16_t n)
{
	if (sa->session.path == CRYPTO_PATH_DIRECT)
		crypto_direct_add(worker->direct, sa, pkts, n);
	else
		sync_run(worker, pkts, n);
}

void crypto_run(struct crypto_worker *worker, struct burst *burst, const struct sa_tally *tally)
{
	struct rte_mbuf *async[BURST_MAX];
	uint16_t n_async = 0;
	uint16_t kept = 0;
	uint16_t ahead = 0;
	STAGE_OPEN(crypto_run, burst->n, tally->drops);
	STAGE_TRACE(crypto_run, burst, tally->drops);

	for (uint16_t start = 0, end; start < burst->n; start = end) {
		struct rte_mbuf **run = &burst->pkts[start];
		const struct sa *sa = pkt_of(*run)->sa;
		uint16_t n;

		for (end = start + 1; end < burst->n && pkt_of(burst->pkts[end])->sa == sa; end++)
			;
		n = end - start;
		if (sa->session.path == CRYPTO_PATH_QUEUE) {
			memcpy(&async[n_async], run, n * sizeof(*run));
			n_async += n;
			continue;
		}
		ahead = keys_prefetch(worker, burst, RTE_MAX(ahead, end), end + KEYS_AHEAD);
		run_sync(worker, sa, run, n);
		memmove(&burst->pkts[kept], run, n * sizeof(*run));
		kept += n;
	}
	burst->n = kept;
	if (worker->direct)
		crypto_direct_finish(worker->direct);
	if (n_async > 0)
		async_run(worker, async, n_async, tally);
}
