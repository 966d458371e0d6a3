#include "datapath/flows.h"

#include "base/words.h"
#include "net/stage.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <rte_random.h>

#define FAMILIES     2
#define KEY_WORDS_V4 2 /* of 8 bytes: addresses; ports and the rest */
#define KEY_WORDS_V6 5
#define KEY_WORDS    KEY_WORDS_V6

/* The last word of a key: both ports, the protocol, whether there are ports, direction, generation. */
#define REST_PROTOCOL_SHIFT   32
#define REST_HAS_PORTS        (UINT64_C(1) << 40)
#define REST_INBOUND          (UINT64_C(1) << 41)
#define REST_GENERATION_SHIFT 48

struct flow_key {
	uint64_t words[KEY_WORDS]; /* as many as the family takes */
};

/* What is remembered, behind the key: of the SPD all but its own memory, so that nobody reads that. */
struct flow_verdict {
	struct sa *sa;
	uint32_t policy;
	uint16_t next_hop;
	uint8_t port_out;
	uint8_t action : 6;
	uint8_t is_own : 1;
};

#define VERDICT_NO_ROUTE  UINT16_MAX
#define VERDICT_NO_POLICY 0x3f

_Static_assert(ROUTE_NEXT_HOPS_MAX <= VERDICT_NO_ROUTE, "a next hop fits");

struct flow_v4 {
	uint64_t key[KEY_WORDS_V4];
	struct flow_verdict verdict;
};

struct flow_v6 {
	uint64_t key[KEY_WORDS_V6];
	struct flow_verdict verdict;
	uint64_t unused;
};

_Static_assert(sizeof(struct flow_v4) == 32, "both places of a flow are in one cache line");
_Static_assert(sizeof(struct flow_v6) == 64, "one a cache line");

#define WAYS 2

struct flows {
	struct flow_v4 *v4;
	struct flow_v6 *v6;
	uint64_t seed;
	unsigned worker;     /* whose it is */
	uint16_t generation; /* never 0, which is that of an entry that was never written */
};

int flows_create(unsigned worker, int socket, struct flows **out, struct err *err)
{
	struct flows *flows = rte_zmalloc_socket("flows", sizeof(*flows), RTE_CACHE_LINE_SIZE, socket);

	if (flows) {
		flows->v4 = rte_zmalloc_socket(
			"flows_v4", FLOWS_IPV4_ENTRIES * sizeof(*flows->v4), RTE_CACHE_LINE_SIZE, socket);
		flows->v6 = rte_zmalloc_socket(
			"flows_v6", FLOWS_IPV6_ENTRIES * sizeof(*flows->v6), RTE_CACHE_LINE_SIZE, socket);
	}
	if (!flows || !flows->v4 || !flows->v6) {
		flows_destroy(flows);
		return err_set(err, ENOMEM, "no memory for a worker's flow cache");
	}
	flows->seed = rte_rand();
	flows->worker = worker;
	flows->generation = 1;
	*out = flows;
	return 0;
}

void flows_destroy(struct flows *flows)
{
	if (!flows)
		return;
	rte_free(flows->v4);
	rte_free(flows->v6);
	rte_free(flows);
}

void flows_forget(struct flows *flows)
{
	flows->generation++;
	if (flows->generation != 0)
		return;
	/* The numbers come again, so what they stood for must go. */
	memset(flows->v4, 0, FLOWS_IPV4_ENTRIES * sizeof(*flows->v4));
	memset(flows->v6, 0, FLOWS_IPV6_ENTRIES * sizeof(*flows->v6));
	flows->generation = 1;
}

/* What all packets of a burst have in common in the last word. */
static uint64_t rest_common(const struct flows *flows, enum flows_direction direction)
{
	return (uint64_t)flows->generation << REST_GENERATION_SHIFT |
	       (direction == FLOWS_IN ? REST_INBOUND : 0);
}

static inline uint64_t rest_one(const struct pkt *p, uint64_t common)
{
	bool has_ports = (p->flags & PKT_HAS_PORTS) != 0;
	uint32_t ports = (uint32_t)p->source_port << 16 | p->destination_port;

	return common | (uint64_t)p->protocol << REST_PROTOCOL_SHIFT |
	       (has_ports ? REST_HAS_PORTS | ports : 0);
}

/* The key, and the first of the places where its flow may be. */
static inline void *key_make_one(
	const struct flows *flows, struct flow_key *key, struct rte_mbuf *m, uint64_t common)
{
	const struct pkt *p = pkt_of(m);
	uint64_t rest = rest_one(p, common);
	uint32_t hash = (uint32_t)flows->seed;

	if (p->family == IP_V4) {
		memcpy(&key->words[0], &pkt_ipv4(m)->src_addr, sizeof(uint64_t));
		key->words[1] = rest;
		hash = rte_hash_crc_8byte(rest, rte_hash_crc_8byte(key->words[0], hash));
		return &flows->v4[hash & (FLOWS_IPV4_ENTRIES - 1) & -WAYS];
	}
	memcpy(key->words, &pkt_ipv6(m)->src_addr, 4 * sizeof(uint64_t));
	key->words[4] = rest;
	hash = rte_hash_crc(key->words, KEY_WORDS_V6 * sizeof(key->words[0]), hash);
	return &flows->v6[hash & (FLOWS_IPV6_ENTRIES - 1) & -WAYS];
}

static inline void verdict_apply_one(struct rte_mbuf *m, struct flow_verdict verdict)
{
	struct pkt *p = pkt_of(m);

	p->policy_sa = verdict.sa;
	p->policy = verdict.policy;
	p->next_hop = verdict.next_hop == VERDICT_NO_ROUTE ? ROUTE_NONE : verdict.next_hop;
	p->port_out = verdict.port_out;
	p->action = verdict.action == VERDICT_NO_POLICY ? SPD_NO_POLICY : verdict.action;
	p->flags |= verdict.is_own ? PKT_OWN : 0;
}

/* False if the flow is not remembered. */
static inline bool remembered_one(struct rte_mbuf *m, const struct flow_key *key, const void *places)
{
	const struct flow_v4 *v4 = places;
	const struct flow_v6 *v6 = places;

	if (pkt_of(m)->family == IP_V4) {
		for (unsigned way = 0; way < WAYS; way++) {
			if (!words_equal(v4[way].key, key->words, KEY_WORDS_V4))
				continue;
			verdict_apply_one(m, v4[way].verdict);
			return true;
		}
		return false;
	}
	for (unsigned way = 0; way < WAYS; way++) {
		if (!words_equal(v6[way].key, key->words, KEY_WORDS_V6))
			continue;
		verdict_apply_one(m, v6[way].verdict);
		return true;
	}
	return false;
}

/* The way that has nothing of this generation, else either. */
static unsigned way_choose(const struct flows *flows, uint64_t first_rest, uint64_t second_rest)
{
	if (first_rest >> REST_GENERATION_SHIFT != flows->generation)
		return 0;
	if (second_rest >> REST_GENERATION_SHIFT != flows->generation)
		return 1;
	return (unsigned)(rte_rdtsc() >> 4) % WAYS;
}

static void remember_one(const struct flows *flows, struct rte_mbuf *m, const struct flow_key *key,
	void *places, const struct flow_verdict *verdict)
{
	struct flow_v4 *v4 = places;
	struct flow_v6 *v6 = places;

	if (pkt_of(m)->family == IP_V4) {
		v4 += way_choose(flows, v4[0].key[KEY_WORDS_V4 - 1], v4[1].key[KEY_WORDS_V4 - 1]);
		memcpy(v4->key, key->words, sizeof(v4->key));
		v4->verdict = *verdict;
	} else {
		v6 += way_choose(flows, v6[0].key[KEY_WORDS_V6 - 1], v6[1].key[KEY_WORDS_V6 - 1]);
		memcpy(v6->key, key->words, sizeof(v6->key));
		v6->verdict = *verdict;
	}
}

/* The SA of a policy, on the way out that of this worker. */
static struct sa *sa_of_entry(unsigned worker, const struct spd_entry *entry, enum flows_direction direction,
	const struct snapshot *s)
{
	struct sa *of_worker = NULL;

	if (direction == FLOWS_OUT)
		of_worker = alternatives_worker_sa(s->alternatives_out, entry->index, worker);
	return of_worker ? of_worker : entry->sa;
}

/* Where a packet with that answer of the SPD goes to. */
static struct flow_verdict verdict_make_one(unsigned worker, struct rte_mbuf *m,
	const struct spd_entry *entry, enum flows_direction direction, const struct snapshot *s)
{
	struct sa *sa = entry ? sa_of_entry(worker, entry, direction, s) : NULL;
	bool is_tunnelled = direction == FLOWS_OUT && entry && entry->action == POLICY_PROTECT && sa;
	struct ip_addr to = is_tunnelled ? sa_outermost(sa)->destination
					 : ip_addr_from_bytes(pkt_of(m)->family, pkt_destination(m));
	uint32_t next_hop = route_find_index(s->routes, &to);

	return (struct flow_verdict){
		.sa = sa,
		.policy = entry ? entry->index : 0,
		.action = entry ? entry->action & VERDICT_NO_POLICY : VERDICT_NO_POLICY,
		.next_hop = next_hop == ROUTE_NONE ? VERDICT_NO_ROUTE : (uint16_t)next_hop,
		.port_out = next_hop == ROUTE_NONE ? 0 : route_next_hop(s->routes, next_hop)->port,
		.is_own = local_match_one(&s->local, m),
	};
}

/* The packets of a burst that are looked up in full. */
struct unknown {
	uint16_t n;
	struct rte_mbuf *pkts[BURST_MAX];
	uint8_t at[BURST_MAX]; /* in the burst */
};

static void unknown_find(const struct flows *flows, struct unknown *unknown, const struct flow_key *keys,
	void *const *places, enum flows_direction direction, const struct snapshot *s)
{
	const struct spd_entry *entries[BURST_MAX];

	spd_find(direction == FLOWS_OUT ? s->spd_out : s->spd_in, unknown->pkts, unknown->n, entries);
	for (uint16_t i = 0; i < unknown->n; i++) {
		struct rte_mbuf *m = unknown->pkts[i];
		struct flow_verdict verdict = verdict_make_one(flows->worker, m, entries[i], direction, s);

		verdict_apply_one(m, verdict);
		remember_one(flows, m, &keys[unknown->at[i]], places[unknown->at[i]], &verdict);
	}
}

void flows_ask_one(
	struct rte_mbuf *m, unsigned worker, enum flows_direction direction, const struct snapshot *s)
{
	const struct spd_entry *entry;

	spd_find(direction == FLOWS_OUT ? s->spd_out : s->spd_in, &m, 1, &entry);
	verdict_apply_one(m, verdict_make_one(worker, m, entry, direction, s));
}

void flows_find(struct flows *flows, struct burst *burst, enum flows_direction direction,
	const struct snapshot *s, struct drops *drops)
{
	STAGE(flows, burst, drops);
	uint64_t common = rest_common(flows, direction);
	struct flow_key keys[BURST_MAX];
	void *places[BURST_MAX];
	struct unknown unknown;

	unknown.n = 0;
	for (uint16_t i = 0; i < burst->n; i++) {
		places[i] = key_make_one(flows, &keys[i], burst->pkts[i], common);
		rte_prefetch0(places[i]);
	}
	for (uint16_t i = 0; i < burst->n; i++) {
		if (remembered_one(burst->pkts[i], &keys[i], places[i])) {
			if (direction == FLOWS_OUT && pkt_of(burst->pkts[i])->policy_sa)
				sa_prefetch(pkt_of(burst->pkts[i])->policy_sa);
			continue;
		}
		unknown.at[unknown.n] = (uint8_t)i;
		unknown.pkts[unknown.n++] = burst->pkts[i];
	}
	if (unknown.n > 0)
		unknown_find(flows, &unknown, keys, places, direction, s);
}
