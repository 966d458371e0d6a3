#include "ipsec/sad.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_esp.h>
#include <rte_hash.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include "net/stage.h"

_Static_assert(BURST_MAX <= RTE_HASH_LOOKUP_BULK_MAX, "a burst is looked up in one call");

/* The triple of RFC 4301 section 4.1. An IPv4 destination fills the first four bytes, the rest is zero. */
struct sad_key {
	rte_be32_t spi;
	uint8_t family;
	uint8_t protocol;
	uint16_t zero;
	uint8_t destination[16];
};

_Static_assert(sizeof(struct sad_key) == 24, "no padding, since the whole key is hashed");

struct sad {
	struct rte_hash *hash;     /* struct sad_key to struct sa * */
	struct rte_rcu_qsbr *qsbr; /* borrowed */
};

static struct sad_key key_make(rte_be32_t spi, uint8_t family, const void *destination)
{
	struct sad_key key = {.spi = spi, .family = family, .protocol = IPPROTO_ESP};

	memcpy(key.destination, destination, ip_family_bytes(family));
	return key;
}

int sad_create(uint32_t capacity, struct rte_rcu_qsbr *qsbr, int socket, struct sad **out, struct err *err)
{
	struct rte_hash_parameters parameters = {
		.name = "culvert_sad",
		.entries = RTE_MAX(capacity, 64u),
		.key_len = sizeof(struct sad_key),
		/* An outsider chooses what is looked up, so the seed is not one he knows. */
		.hash_func_init_val = (uint32_t)rte_rand(),
		.socket_id = socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = {.v = qsbr, .mode = RTE_HASH_QSBR_MODE_DQ};
	struct sad *sad = rte_zmalloc_socket("sad", sizeof(*sad), RTE_CACHE_LINE_SIZE, socket);

	if (sad)
		sad->hash = rte_hash_create(&parameters);
	if (!sad || !sad->hash || rte_hash_rcu_qsbr_add(sad->hash, &rcu) != 0) {
		sad_destroy(sad);
		return err_set(err, ENOMEM, "no memory for an SAD of %u SAs", capacity);
	}
	sad->qsbr = qsbr;
	*out = sad;
	return 0;
}

void sad_destroy(struct sad *sad)
{
	if (!sad)
		return;
	rte_hash_free(sad->hash);
	rte_free(sad);
}

/*
 * Slots of removed keys come back only when every worker has passed a quiescent state. A table that seems
 * full may be full of those, so wait for the workers once; they never rest without saying so.
 */
static int key_add(struct sad *sad, const struct sad_key *key, struct sa *sa)
{
	int ret = rte_hash_add_key_data(sad->hash, key, sa);

	if (ret == -ENOSPC) {
		rte_rcu_qsbr_synchronize(sad->qsbr, RTE_QSBR_THRID_INVALID);
		ret = rte_hash_add_key_data(sad->hash, key, sa);
	}
	return ret;
}

int sad_add(struct sad *sad, struct sa *sa, struct err *err)
{
	struct sad_key key = key_make(sa->spi, sa->destination.family, sa->destination.bytes);
	void *other;

	if (rte_hash_lookup_data(sad->hash, &key, &other) >= 0)
		return err_set(err, EEXIST, "sa %s: spi 0x%08x to this destination is already taken by sa %s",
			sa->name, rte_be_to_cpu_32(sa->spi), ((const struct sa *)other)->name);
	if (key_add(sad, &key, sa) != 0)
		return err_set(err, ENOSPC, "sa %s: the SAD is full", sa->name);
	return 0;
}

int sad_remove(struct sad *sad, const struct sa *sa)
{
	struct sad_key key = key_make(sa->spi, sa->destination.family, sa->destination.bytes);

	/*
	 * From here on no look-up finds the SA. The key's slot is reused only after every worker's next
	 * quiescent state (the table's defer queue). A worker may hold the SA itself for longer: sad.h.
	 */
	return rte_hash_del_key(sad->hash, &key) < 0 ? -ENOENT : 0;
}

struct sa *sad_find(const struct sad *sad, rte_be32_t spi, const struct ip_addr *destination)
{
	struct sad_key key = key_make(spi, destination->family, destination->bytes);
	void *sa;

	return rte_hash_lookup_data(sad->hash, &key, &sa) >= 0 ? sa : NULL;
}

/*
 * RFC 4301 section 4.1: the tunnel's other end is part of the SA, so that a stolen SPI is of no use
 * elsewhere.
 */
static inline bool sad_source_matches(const struct sa *sa, struct rte_mbuf *m)
{
	return ip_bytes_equal(sa->family, pkt_source(m), sa->source.bytes);
}

/* What the packets of a burst ask for: a run of packets of one SA asks once. */
struct questions {
	struct sad_key keys[BURST_MAX];
	const void *key_pointers[BURST_MAX];
	void *sas[BURST_MAX]; /* the answers */
	uint64_t found;       /* which of them are there */
	uint16_t n;
	uint8_t of[BURST_MAX]; /* the question of each packet */
};

static inline rte_be32_t spi_of_one(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, struct rte_esp_hdr *, pkt_of(m)->l4)->spi;
}

static inline bool asks_the_same_one(struct rte_mbuf *m, const struct sad_key *key)
{
	uint8_t family = pkt_of(m)->family;

	return spi_of_one(m) == key->spi && family == key->family &&
	       ip_bytes_equal(family, pkt_destination(m), key->destination);
}

/*
 * A packet must be whole (RFC 4303 section 3.4.1) and long enough to hold an ESP header before its SPI is
 * read. Drops the others.
 */
static void questions_make(struct questions *q, struct burst *burst, struct drops *drops)
{
	uint16_t kept = 0;

	q->n = 0;
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct pkt *p = pkt_of(m);

		if (p->flags & PKT_FRAGMENT) {
			drop_one(drops, m, DROP_frag_bad);
			continue;
		}
		if (p->l4 + ESP_HEADER_BYTES > p->ip_len) {
			drop_one(drops, m, DROP_in_hdr);
			continue;
		}
		if (q->n == 0 || !asks_the_same_one(m, &q->keys[q->n - 1])) {
			q->keys[q->n] = key_make(spi_of_one(m), p->family, pkt_destination(m));
			q->key_pointers[q->n] = &q->keys[q->n];
			q->n++;
		}
		q->of[kept] = (uint8_t)(q->n - 1);
		burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

void sad_lookup(struct burst *burst, const struct sad *sad, const struct sa_tally *tally)
{
	STAGE(sad, burst, tally->drops);
	struct questions q;
	uint16_t kept = 0;

	questions_make(&q, burst, tally->drops);
	if (burst->n == 0)
		return;
	q.found = 0;
	rte_hash_lookup_bulk_data(sad->hash, q.key_pointers, q.n, &q.found, q.sas);
	for (uint16_t i = 0; i < q.n; i++)
		if (q.found & UINT64_C(1) << i)
			sa_prefetch(q.sas[i]);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		uint8_t of = q.of[i];

		if (!(q.found & UINT64_C(1) << of)) {
			drop_one(tally->drops, m, DROP_in_no_sa);
			continue;
		}
		pkt_of(m)->sa = q.sas[of];
		if (sad_source_matches(q.sas[of], m)) {
			replay_prefetch(pkt_of(m)->sa->replay);
			burst->pkts[kept++] = m;
		} else {
			sa_drop_one(tally, m, in_endpoint);
		}
	}
	burst->n = kept;
}
