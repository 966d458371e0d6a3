#include "ipsec/sad.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_errno.h>
#include <rte_branch_prediction.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include "ipsec/natt.h"
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

/*
 * What a worker found lately, by SPI: the hash takes two look-ups in memory, this one. An entry is good as
 * long as no SA has been removed since, so that none is followed to an SA that may be gone.
 */
struct recent {
	rte_be32_t spi;
	uint32_t removals;
	struct sa *sa; /* NULL: never used */
};

#define RECENT_SLOTS 32768 /* of each worker, a power of two: half a megabyte */

struct sad {
	struct rte_hash *hash;     /* struct sad_key to struct sa * */
	struct rte_rcu_qsbr *qsbr; /* borrowed */
	uint32_t capacity;
	_Atomic uint32_t n; /* control writes */
	uint32_t seed;      /* of the places in `recent` */
	unsigned n_workers;
	struct recent *recent; /* RECENT_SLOTS for each worker */
	/* Written by control. */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t removals;
};

static struct sad_key key_make(rte_be32_t spi, uint8_t protocol, uint8_t family, const void *destination)
{
	struct sad_key key = {.spi = spi, .family = family, .protocol = protocol};

	memcpy(key.destination, destination, ip_family_bytes(family));
	return key;
}

static struct sad_key key_of(const struct sa *sa)
{
	return key_make(sa->spi, sa->protocol, sa->family, sa->destination.bytes);
}

int sad_create(const struct sad_conf *conf, struct sad **out, struct err *err)
{
	struct rte_hash_parameters parameters = {
		.name = conf->name ? conf->name : "culvert_sad",
		.entries = RTE_MAX(conf->capacity, 64u),
		.key_len = sizeof(struct sad_key),
		/* An outsider chooses what is looked up, so the seed is not one he knows. */
		.hash_func_init_val = (uint32_t)rte_rand(),
		.socket_id = conf->socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = {.v = conf->qsbr, .mode = RTE_HASH_QSBR_MODE_DQ};
	struct sad *sad = rte_zmalloc_socket("sad", sizeof(*sad), alignof(struct sad), conf->socket);

	if (sad) {
		sad->hash = rte_hash_create(&parameters);
		if (conf->n_workers > 0)
			sad->recent = rte_zmalloc_socket("sad_recent",
				conf->n_workers * RECENT_SLOTS * sizeof(*sad->recent), RTE_CACHE_LINE_SIZE,
				conf->socket);
	}
	if (!sad || !sad->hash || (conf->n_workers > 0 && !sad->recent) ||
		rte_hash_rcu_qsbr_add(sad->hash, &rcu) != 0) {
		sad_destroy(sad);
		return err_set(err, ENOMEM, "no memory for an SAD of %u SAs", conf->capacity);
	}
	sad->qsbr = conf->qsbr;
	sad->capacity = parameters.entries;
	sad->seed = (uint32_t)rte_rand();
	sad->n_workers = conf->n_workers;
	*out = sad;
	return 0;
}

void sad_destroy(struct sad *sad)
{
	if (!sad)
		return;
	rte_hash_free(sad->hash);
	rte_free(sad->recent);
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
	struct sad_key key = key_of(sa);
	void *other;

	if (rte_hash_lookup_data(sad->hash, &key, &other) >= 0)
		return err_set(err, EEXIST, "sa %s: spi 0x%08x to this destination is already taken by sa %s",
			sa->name, rte_be_to_cpu_32(sa->spi), ((const struct sa *)other)->name);
	if (key_add(sad, &key, sa) != 0)
		return err_set(err, ENOSPC, "sa %s: the SAD is full", sa->name);
	atomic_fetch_add_explicit(&sad->n, 1, memory_order_relaxed);
	return 0;
}

int sad_remove(struct sad *sad, const struct sa *sa)
{
	struct sad_key key = key_of(sa);
	int ret = rte_hash_del_key(sad->hash, &key) < 0 ? -ENOENT : 0;

	if (ret == 0)
		atomic_fetch_sub_explicit(&sad->n, 1, memory_order_relaxed);
	/*
	 * From here on no look-up finds the SA: first it is out of the table, then whatever workers remember
	 * is void. The key's slot is reused only after every worker's next quiescent state (the table's defer
	 * queue). A worker may hold the SA itself for longer: sad.h.
	 */
	atomic_fetch_add_explicit(&sad->removals, 1, memory_order_release);
	return ret;
}

uint32_t sad_count(const struct sad *sad)
{
	return atomic_load_explicit(&sad->n, memory_order_relaxed);
}

uint32_t sad_capacity(const struct sad *sad)
{
	return sad->capacity;
}

struct sa *sad_find(
	const struct sad *sad, uint8_t protocol, rte_be32_t spi, const struct ip_addr *destination)
{
	struct sad_key key = key_make(spi, protocol, destination->family, destination->bytes);
	void *sa;

	return rte_hash_lookup_data(sad->hash, &key, &sa) >= 0 ? sa : NULL;
}

/*
 * RFC 4301 section 4.1: the tunnel's other end is part of the SA, so that a stolen SPI is of no use
 * elsewhere.
 */
static inline enum natt_match sad_match_one(const struct sa *sa, struct rte_mbuf *m)
{
	if (unlikely(sa_is_in_udp(sa) || pkt_of(m)->flags & PKT_ENCAP))
		return natt_match_one(m);
	return ip_bytes_equal(sa->family, pkt_source(m), sa->source.bytes) ? NATT_MATCH : NATT_OTHER_ENDPOINT;
}

static void sad_mismatch_one(struct rte_mbuf *m, enum natt_match match, const struct sa_tally *tally)
{
	if (match == NATT_OTHER_ENCAP)
		sa_drop_one(tally, m, in_encap);
	else
		sa_drop_one(tally, m, in_endpoint);
}

static inline bool sad_destination_matches(const struct sa *sa, struct rte_mbuf *m)
{
	return sa->family == pkt_of(m)->family && sa->protocol == pkt_of(m)->protocol &&
	       ip_bytes_equal(sa->family, pkt_destination(m), sa->destination.bytes);
}

/* RFC 4303 section 2, RFC 4302 section 2, RFC 3173 section 3.1: IPComp's has 16 bits. */
static inline rte_be32_t spi_of_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *header = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4);
	rte_be32_t spi;

	if (unlikely(p->protocol == SA_IPCOMP))
		return rte_cpu_to_be_32((uint32_t)header[2] << 8 | header[3]);
	memcpy(&spi, header + (p->protocol == SA_AH ? 4 : 0), sizeof(spi));
	return spi;
}

rte_be32_t sad_spi_one(struct rte_mbuf *m)
{
	return spi_of_one(m);
}

/* Behind the SPI, in both protocols that have it. */
uint32_t sad_seq_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint16_t spi_at = p->l4 + (p->protocol == SA_AH ? 4 : 0);
	rte_be32_t seq;

	memcpy(&seq, rte_pktmbuf_mtod_offset(m, uint8_t *, spi_at + sizeof(rte_be32_t)), sizeof(seq));
	return rte_be_to_cpu_32(seq);
}

static inline uint16_t header_bytes_of(uint8_t protocol)
{
	if (likely(protocol == SA_ESP))
		return ESP_HEADER_BYTES;
	return protocol == SA_AH ? AH_FIXED_BYTES : IPCOMP_BYTES;
}

/*
 * Keep packets that are whole (RFC 4303 section 3.4.1, RFC 4302 section 3.4.1) and long enough to hold a
 * header, so that their SPI may be read.
 */
static void sad_keep_readable(struct burst *burst, struct drops *drops)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct pkt *p = pkt_of(m);

		if (p->flags & PKT_FRAGMENT)
			drop_one(drops, m, DROP_frag_bad);
		else if (p->l4 + header_bytes_of(p->protocol) > p->ip_len)
			drop_one(drops, m, DROP_in_hdr);
		else
			burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

/* A worker's look-up of a burst. */
struct search {
	const struct sad *sad;
	uint32_t removals; /* when it began */
	rte_be32_t spis[BURST_MAX];
	struct recent *slots[BURST_MAX];
	uint16_t n_unknown;
	uint8_t unknown[BURST_MAX]; /* places in the burst of packets that the hash is asked for */
};

/* Put the SAs that the worker remembers into struct pkt, NULL for the others. */
static void search_recent(struct search *search, const struct burst *burst, unsigned worker)
{
	struct recent *recent = &search->sad->recent[(size_t)worker * RECENT_SLOTS];

	for (uint16_t i = 0; i < burst->n; i++) {
		rte_be32_t spi = spi_of_one(burst->pkts[i]);
		uint32_t hash = rte_hash_crc_4byte(spi, search->sad->seed);

		search->spis[i] = spi;
		search->slots[i] = &recent[hash & (RECENT_SLOTS - 1)];
		rte_prefetch0(search->slots[i]);
	}
	for (uint16_t i = 0; i < burst->n; i++) {
		const struct recent *slot = search->slots[i];
		bool is_good = slot->spi == search->spis[i] && slot->removals == search->removals;

		pkt_of(burst->pkts[i])->sa = is_good ? slot->sa : NULL;
		if (is_good && slot->sa)
			sa_prefetch(slot->sa);
	}
	for (uint16_t i = 0; i < burst->n; i++) {
		const struct sa *sa = pkt_of(burst->pkts[i])->sa;

		if (!sa || !sad_destination_matches(sa, burst->pkts[i]))
			search->unknown[search->n_unknown++] = (uint8_t)i;
	}
}

/* Ask the hash for the others, and remember what it has. */
static void search_hash(struct search *search, const struct burst *burst)
{
	struct sad_key keys[BURST_MAX];
	const void *key_pointers[BURST_MAX];
	void *sas[BURST_MAX];
	uint64_t found = 0;

	for (uint16_t i = 0; i < search->n_unknown; i++) {
		struct rte_mbuf *m = burst->pkts[search->unknown[i]];

		keys[i] = key_make(search->spis[search->unknown[i]], pkt_of(m)->protocol, pkt_of(m)->family,
			pkt_destination(m));
		key_pointers[i] = &keys[i];
	}
	rte_hash_lookup_bulk_data(search->sad->hash, key_pointers, search->n_unknown, &found, sas);
	for (uint16_t i = 0; i < search->n_unknown; i++) {
		struct rte_mbuf *m = burst->pkts[search->unknown[i]];

		pkt_of(m)->sa = found & UINT64_C(1) << i ? sas[i] : NULL;
		if (!pkt_of(m)->sa)
			continue;
		*search->slots[search->unknown[i]] =
			(struct recent){.spi = keys[i].spi, .removals = search->removals, .sa = sas[i]};
		sa_prefetch(sas[i]);
	}
}

void sad_lookup(struct burst *burst, const struct sad *sad, const struct sa_tally *tally)
{
	STAGE(sad, burst, tally->drops);
	struct search search;
	uint16_t kept = 0;

	assert(tally->worker < sad->n_workers);
	sad_keep_readable(burst, tally->drops);
	search.sad = sad;
	search.n_unknown = 0;
	/* Before anything is read that a later removal would make void. */
	search.removals = atomic_load_explicit(&sad->removals, memory_order_acquire);
	search_recent(&search, burst, tally->worker);
	if (search.n_unknown > 0)
		search_hash(&search, burst);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct sa *sa = pkt_of(m)->sa;
		enum natt_match match;

		if (!sa) {
			drop_one(tally->drops, m, DROP_in_no_sa);
		} else if ((match = sad_match_one(sa, m)) != NATT_MATCH) {
			sad_mismatch_one(m, match, tally);
		} else {
			replay_prefetch(sa->replay);
			burst->pkts[kept++] = m;
		}
	}
	burst->n = kept;
}
