#include "ipsec/sad.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include "ipsec/natt.h"
#include "net/stage.h"

_Static_assert(BURST_MAX <= RTE_HASH_LOOKUP_BULK_MAX, "a burst is looked up in one call");

/*
 * What RFC 4301 section 4.1 finds an SA by. An IPv4 address fills the first four bytes, the rest is zero, as
 * is all of an address that does not count. There is no padding, since a whole key is hashed.
 */
struct sad_key {
	rte_be32_t spi;
	uint8_t family;
	uint8_t protocol;
	uint8_t lookup; /* enum sa_lookup */
	uint8_t zero;
	uint8_t destination[16];
	uint8_t source[16]; /* of SA_LOOKUP_SOURCE; the keys of the others end before it */
};

#define KEY_BYTES        offsetof(struct sad_key, source)
#define KEY_SOURCE_BYTES sizeof(struct sad_key)

_Static_assert(KEY_BYTES == 24 && KEY_SOURCE_BYTES == 40, "no padding");

/*
 * What a worker found lately, by SPI: the hash takes two look-ups in memory, this one. An entry is good as
 * long as no SA has been removed since, so that none is followed to an SA that may be gone, and none added
 * that is more specific than another. SAs with more specific ones beside them are not remembered, and one
 * that is found by its SPI alone is for packets to its own destination.
 */
struct recent {
	rte_be32_t spi;
	uint32_t changes;
	struct sa *sa; /* NULL: never used */
};

#define RECENT_SLOTS    32768 /* of each worker, a power of two: half a megabyte */
#define WORKERS_WAIT_MS 100   /* for places of removed SAs */

/*
 * SAs by source are few, if there are any: how many have an SPI that falls into each of these places. In the
 * others a packet needs no second look, and what is found for it may be remembered.
 */
#define SOURCED_PLACES 4096 /* a power of two */

struct sad {
	struct rte_hash *hash;     /* struct sad_key to struct sa *, of all but SA_LOOKUP_SOURCE */
	struct rte_rcu_qsbr *qsbr; /* borrowed */
	uint32_t capacity;
	uint32_t seed; /* of the places in `recent` and `sourced` */
	unsigned n_workers;
	struct recent *recent; /* RECENT_SLOTS for each worker */
	struct rte_hash_parameters by_source_parameters;
	char by_source_name[RTE_HASH_NAMESIZE];
	/* Written by control. */
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t changes; /* that may make a remembered SA wrong */
	_Atomic uint32_t n[SA_LOOKUP_COUNT];                   /* SAs */
	struct rte_hash *by_source; /* made with the first of them; read where there are any */
	_Atomic uint16_t sourced[SOURCED_PLACES];
};

/* From the most specific to the least. */
static const uint8_t lookups[SA_LOOKUP_COUNT] = {SA_LOOKUP_SOURCE, SA_LOOKUP_DESTINATION, SA_LOOKUP_SPI};

/* The key of that kind for a packet. */
static inline struct sad_key key_make(uint8_t lookup, rte_be32_t spi, uint8_t protocol, uint8_t family,
	const void *destination, const void *source)
{
	struct sad_key key = {.spi = spi, .family = family, .protocol = protocol, .lookup = lookup};

	if (lookup != SA_LOOKUP_SPI)
		memcpy(key.destination, destination, ip_family_bytes(family));
	if (lookup == SA_LOOKUP_SOURCE)
		memcpy(key.source, source, ip_family_bytes(family));
	return key;
}

static struct sad_key key_of(const struct sa *sa)
{
	return key_make(
		sa->lookup, sa->spi, sa->protocol, sa->family, sa->destination.bytes, sa->source.bytes);
}

static inline struct rte_hash *hash_of(const struct sad *sad, uint8_t lookup)
{
	return lookup == SA_LOOKUP_SOURCE ? sad->by_source : sad->hash;
}

static inline bool has_any(const struct sad *sad, uint8_t lookup)
{
	return atomic_load_explicit(&sad->n[lookup], memory_order_acquire) > 0;
}

static inline uint32_t spi_hash(const struct sad *sad, rte_be32_t spi)
{
	return rte_hash_crc_4byte(spi, sad->seed);
}

static struct rte_hash *hash_create(const struct rte_hash_parameters *parameters, struct rte_rcu_qsbr *qsbr)
{
	struct rte_hash_rcu_config rcu = {.v = qsbr, .mode = RTE_HASH_QSBR_MODE_DQ};
	struct rte_hash *hash = rte_hash_create(parameters);

	if (hash && rte_hash_rcu_qsbr_add(hash, &rcu) != 0) {
		rte_hash_free(hash);
		return NULL;
	}
	return hash;
}

int sad_create(const struct sad_conf *conf, struct sad **out, struct err *err)
{
	struct rte_hash_parameters parameters = {
		.name = conf->name ? conf->name : "culvert_sad",
		.entries = RTE_MAX(conf->capacity, 64u),
		.key_len = KEY_BYTES,
		/* An outsider chooses what is looked up, so the seed is not one he knows. */
		.hash_func_init_val = (uint32_t)rte_rand(),
		.socket_id = conf->socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct sad *sad = rte_zmalloc_socket("sad", sizeof(*sad), alignof(struct sad), conf->socket);

	if (sad) {
		sad->hash = hash_create(&parameters, conf->qsbr);
		if (conf->n_workers > 0)
			sad->recent = rte_zmalloc_socket("sad_recent",
				conf->n_workers * RECENT_SLOTS * sizeof(*sad->recent), RTE_CACHE_LINE_SIZE,
				conf->socket);
	}
	if (!sad || !sad->hash || (conf->n_workers > 0 && !sad->recent)) {
		sad_destroy(sad);
		return err_set(err, ENOMEM, "no memory for an SAD of %u SAs", conf->capacity);
	}
	sad->qsbr = conf->qsbr;
	sad->capacity = parameters.entries;
	sad->seed = (uint32_t)rte_rand();
	sad->n_workers = conf->n_workers;
	snprintf(sad->by_source_name, sizeof(sad->by_source_name), "%s_source", parameters.name);
	sad->by_source_parameters = parameters;
	sad->by_source_parameters.name = sad->by_source_name;
	sad->by_source_parameters.key_len = KEY_SOURCE_BYTES;
	*out = sad;
	return 0;
}

void sad_destroy(struct sad *sad)
{
	if (!sad)
		return;
	rte_hash_free(sad->hash);
	rte_hash_free(sad->by_source);
	rte_free(sad->recent);
	rte_free(sad);
}

/* Until every worker has passed a quiescent state, or for so long. */
static void workers_wait(struct rte_rcu_qsbr *qsbr)
{
	uint64_t token = rte_rcu_qsbr_start(qsbr);

	for (unsigned ms = 0; ms < WORKERS_WAIT_MS && rte_rcu_qsbr_check(qsbr, token, false) != 1; ms++)
		rte_delay_us_sleep(1000);
}

/*
 * Slots of removed keys come back only when every worker has passed a quiescent state. A table that seems
 * full may be full of those, so wait for the workers once; they never rest without saying so, and one that
 * hangs must not stop control too.
 */
static int key_add(struct sad *sad, struct rte_hash *hash, const struct sad_key *key, struct sa *sa)
{
	int ret = rte_hash_add_key_data(hash, key, sa);

	if (ret == -ENOSPC) {
		workers_wait(sad->qsbr);
		ret = rte_hash_add_key_data(hash, key, sa);
	}
	return ret;
}

/* What workers remember is void from here on. */
static void recent_forget(struct sad *sad)
{
	atomic_fetch_add_explicit(&sad->changes, 1, memory_order_release);
}

/* The SA is in the table, or out of it: tell the workers where to look, `change` is 1 or -1. */
static void lookups_count(struct sad *sad, const struct sa *sa, int change)
{
	atomic_fetch_add_explicit(&sad->n[sa->lookup], (uint32_t)change, memory_order_release);
	if (sa->lookup == SA_LOOKUP_SOURCE)
		atomic_fetch_add_explicit(&sad->sourced[spi_hash(sad, sa->spi) & (SOURCED_PLACES - 1)],
			(uint16_t)change, memory_order_release);
}

/* Another SA of the same kind that the same packets would find, or NULL. */
static struct sa *find_same(const struct sad *sad, const struct sad_key *key)
{
	struct rte_hash *hash = hash_of(sad, key->lookup);
	void *other;

	return hash && rte_hash_lookup_data(hash, key, &other) >= 0 ? other : NULL;
}

struct sa *sad_find_same(const struct sad *sad, const struct sa_conf *conf)
{
	struct sad_key key =
		key_make((uint8_t)conf->lookup, rte_cpu_to_be_32(conf->spi), (uint8_t)conf->protocol,
			conf->destination.family, conf->destination.bytes, conf->source.bytes);

	return find_same(sad, &key);
}

int sad_add(struct sad *sad, struct sa *sa, struct err *err)
{
	static const char *const what[SA_LOOKUP_COUNT] = {
		[SA_LOOKUP_DESTINATION] = " to this destination",
		[SA_LOOKUP_SOURCE] = " to this destination from this source",
		[SA_LOOKUP_SPI] = ", to any destination,",
	};
	struct sad_key key = key_of(sa);
	const struct sa *other = find_same(sad, &key);

	if (other)
		return err_set(err, EEXIST, "sa %s: spi 0x%08x%s is already taken by sa %s", sa->name,
			rte_be_to_cpu_32(sa->spi), what[sa->lookup], other->name);
	if (sa->lookup == SA_LOOKUP_SOURCE && !sad->by_source)
		sad->by_source = hash_create(&sad->by_source_parameters, sad->qsbr);
	if (!hash_of(sad, sa->lookup))
		return err_set(err, ENOMEM, "sa %s: no memory for an SAD by source", sa->name);
	if (key_add(sad, hash_of(sad, sa->lookup), &key, sa) != 0)
		return err_set(err, ENOSPC, "sa %s: the SAD is full", sa->name);
	lookups_count(sad, sa, 1);
	/* A less specific SA may be remembered for the packets of this one. */
	if (sa->lookup == SA_LOOKUP_SOURCE || has_any(sad, SA_LOOKUP_SPI))
		recent_forget(sad);
	return 0;
}

int sad_remove(struct sad *sad, const struct sa *sa)
{
	struct sad_key key = key_of(sa);
	struct rte_hash *hash = hash_of(sad, sa->lookup);

	if (!hash || rte_hash_del_key(hash, &key) < 0)
		return -ENOENT;
	lookups_count(sad, sa, -1);
	/*
	 * From here on no look-up finds the SA: first it is out of the table, then whatever workers remember
	 * is void. The key's slot is reused only after every worker's next quiescent state (the table's defer
	 * queue). A worker may hold the SA itself for longer: sad.h.
	 */
	recent_forget(sad);
	return 0;
}

uint32_t sad_count(const struct sad *sad)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < SA_LOOKUP_COUNT; i++)
		sum += atomic_load_explicit(&sad->n[i], memory_order_relaxed);
	return sum;
}

uint32_t sad_capacity(const struct sad *sad)
{
	return sad->capacity;
}

struct sa *sad_find(const struct sad *sad, uint8_t protocol, rte_be32_t spi,
	const struct ip_addr *destination, const struct ip_addr *source)
{
	for (unsigned i = 0; i < SA_LOOKUP_COUNT; i++) {
		struct sad_key key;
		void *sa;

		if (!has_any(sad, lookups[i]))
			continue;
		key = key_make(
			lookups[i], spi, protocol, destination->family, destination->bytes, source->bytes);
		if (rte_hash_lookup_data(hash_of(sad, lookups[i]), &key, &sa) >= 0)
			return sa;
	}
	return NULL;
}

/*
 * RFC 4301 section 4.1: the tunnel's other end is part of the SA, so that a stolen SPI is of no use
 * elsewhere.
 */
static inline enum natt_match sad_match_one(const struct sa *sa, struct rte_mbuf *m)
{
	uint8_t special = atomic_load_explicit(&sa->special, memory_order_relaxed);

	if (unlikely(special & (SA_IN_UDP | SA_FROM_ANY) || pkt_of(m)->flags & PKT_ENCAP))
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

	if (likely(p->protocol == SA_ESP))
		memcpy(&spi, header, sizeof(spi));
	else if (p->protocol == SA_AH)
		memcpy(&spi, header + 4, sizeof(spi));
	else
		spi = rte_cpu_to_be_32((uint32_t)header[2] << 8 | header[3]);
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
	uint32_t changes; /* when it began */
	rte_be32_t spis[BURST_MAX];
	struct recent *slots[BURST_MAX];
	uint16_t n_unknown;
	uint8_t unknown[BURST_MAX]; /* places in the burst of packets that the hashes are asked for */
};

/* Put the SAs that the worker remembers into struct pkt, NULL for the others. */
static void search_recent(struct search *search, const struct burst *burst, unsigned worker)
{
	struct recent *recent = &search->sad->recent[(size_t)worker * RECENT_SLOTS];

	for (uint16_t i = 0; i < burst->n; i++) {
		rte_be32_t spi = spi_of_one(burst->pkts[i]);

		search->spis[i] = spi;
		search->slots[i] = &recent[spi_hash(search->sad, spi) & (RECENT_SLOTS - 1)];
		rte_prefetch0(search->slots[i]);
	}
	for (uint16_t i = 0; i < burst->n; i++) {
		const struct recent *slot = search->slots[i];
		bool is_good = slot->spi == search->spis[i] && slot->changes == search->changes;

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

/*
 * Remember what a hash had for a packet, if that is right for all with this SPI to the SA's own destination:
 * there is no SA by source, and if this one was found by its SPI alone, this packet has shown that there is
 * none by destination.
 */
static inline void search_remember(const struct search *search, uint16_t at, struct rte_mbuf *m)
{
	const struct sad *sad = search->sad;
	rte_be32_t spi = search->spis[at];
	struct sa *sa = pkt_of(m)->sa;

	if (!sad_destination_matches(sa, m) ||
		atomic_load_explicit(
			&sad->sourced[spi_hash(sad, spi) & (SOURCED_PLACES - 1)], memory_order_acquire) > 0)
		return;
	*search->slots[at] = (struct recent){.spi = spi, .changes = search->changes, .sa = sa};
}

/* Ask for the SAs of one kind; packets that have none stay unknown. */
static void search_hash(struct search *search, const struct burst *burst, uint8_t lookup)
{
	struct sad_key keys[BURST_MAX];
	const void *key_pointers[BURST_MAX];
	void *sas[BURST_MAX];
	uint64_t found = 0;
	uint16_t n = search->n_unknown;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = burst->pkts[search->unknown[i]];

		keys[i] = key_make(lookup, search->spis[search->unknown[i]], pkt_of(m)->protocol,
			pkt_of(m)->family, pkt_destination(m), pkt_source(m));
		key_pointers[i] = &keys[i];
	}
	rte_hash_lookup_bulk_data(hash_of(search->sad, lookup), key_pointers, n, &found, sas);
	search->n_unknown = 0;
	for (uint16_t i = 0; i < n; i++) {
		uint8_t at = search->unknown[i];

		if (!(found & UINT64_C(1) << i)) {
			search->unknown[search->n_unknown++] = at;
			continue;
		}
		pkt_of(burst->pkts[at])->sa = sas[i];
		search_remember(search, at, burst->pkts[at]);
		sa_prefetch(sas[i]);
	}
}

/* Ask the hashes for the packets of which nothing is remembered, for the most specific SAs first. */
static void search_unknown(struct search *search, const struct burst *burst)
{
	for (unsigned i = 0; i < SA_LOOKUP_COUNT && search->n_unknown > 0; i++)
		if (has_any(search->sad, lookups[i]))
			search_hash(search, burst, lookups[i]);
	for (uint16_t i = 0; i < search->n_unknown; i++)
		pkt_of(burst->pkts[search->unknown[i]])->sa = NULL;
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
	/* Before anything is read that a later change would make void. */
	search.changes = atomic_load_explicit(&sad->changes, memory_order_acquire);
	search_recent(&search, burst, tally->worker);
	if (search.n_unknown > 0)
		search_unknown(&search, burst);
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
