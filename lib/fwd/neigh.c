#include "fwd/neigh.h"

#include "net/rewrite.h"
#include "net/stage.h"

#include <rte_hash.h>
#include <rte_jhash.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include <errno.h>
#include <stdalign.h>
#include <string.h>

_Static_assert(BURST_MAX <= RTE_HASH_LOOKUP_BULK_MAX, "a burst is looked up in one call");
_Static_assert(sizeof(uintptr_t) >= RTE_ETHER_ADDR_LEN, "a MAC address fits into the table's data word");

/* The smallest hash that rte_hash makes well; a smaller capacity is kept by counting. */
#define HASH_ENTRIES_MIN 64

/* An IPv4 address fills the first four bytes, the rest is zero. rte_jhash reads words. */
struct neigh_key {
	alignas(uint32_t) uint8_t port;
	uint8_t family;
	uint16_t zero;
	uint8_t address[16];
};

_Static_assert(sizeof(struct neigh_key) == 20, "no padding, since the whole key is hashed");

struct neigh_table {
	struct rte_hash *hash; /* struct neigh_key to mac_word */
	uint32_t capacity;
	uint32_t n; /* control writes */
};

static struct neigh_key key_make(uint8_t port, uint8_t family, const void *address)
{
	struct neigh_key key = {.port = port, .family = family};

	memcpy(key.address, address, ip_family_bytes(family));
	return key;
}

static void *mac_word(const struct rte_ether_addr *mac)
{
	uintptr_t word = 0;

	memcpy(&word, mac, sizeof(*mac));
	return (void *)word;
}

static struct rte_ether_addr word_mac(const void *data)
{
	uintptr_t word = (uintptr_t)data;
	struct rte_ether_addr mac;

	memcpy(&mac, &word, sizeof(mac));
	return mac;
}

int neigh_table_create(
	uint32_t capacity, struct rte_rcu_qsbr *qsbr, int socket, struct neigh_table **out, struct err *err)
{
	struct rte_hash_parameters parameters = {
		.name = "culvert_neigh",
		.entries = RTE_MAX(capacity, (uint32_t)HASH_ENTRIES_MIN),
		.key_len = sizeof(struct neigh_key),
		/*
		 * Hosts on the link choose addresses. Under CRC, the default, keys that collide do so with
		 * any seed.
		 */
		.hash_func = rte_jhash,
		.hash_func_init_val = (uint32_t)rte_rand(),
		.socket_id = socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash_rcu_config rcu = {.v = qsbr, .mode = RTE_HASH_QSBR_MODE_DQ};
	struct neigh_table *table = rte_zmalloc_socket("neigh", sizeof(*table), RTE_CACHE_LINE_SIZE, socket);

	if (table)
		table->hash = rte_hash_create(&parameters);
	if (!table || !table->hash || rte_hash_rcu_qsbr_add(table->hash, &rcu) != 0) {
		neigh_table_destroy(table);
		return err_set(err, ENOMEM, "no memory for a table of %u neighbours", capacity);
	}
	table->capacity = capacity;
	*out = table;
	return 0;
}

void neigh_table_destroy(struct neigh_table *table)
{
	if (!table)
		return;
	rte_hash_free(table->hash);
	rte_free(table);
}

int neigh_set(
	struct neigh_table *table, uint8_t port, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
	struct neigh_key key = key_make(port, addr->family, addr->bytes);
	bool is_new = rte_hash_lookup(table->hash, &key) < 0;

	if (is_new && table->n == table->capacity)
		return -ENOSPC;
	/*
	 * A known key's word is replaced by one atomic store, so a reader sees the old MAC address or the new
	 * one.
	 */
	if (rte_hash_add_key_data(table->hash, &key, mac_word(mac)) != 0)
		return -ENOSPC;
	table->n += is_new;
	return 0;
}

int neigh_remove(struct neigh_table *table, uint8_t port, const struct ip_addr *addr)
{
	struct neigh_key key = key_make(port, addr->family, addr->bytes);

	/*
	 * The key's slot is reused only after every worker's next quiescent state: the table's defer queue.
	 */
	if (rte_hash_del_key(table->hash, &key) < 0)
		return -ENOENT;
	table->n--;
	return 0;
}

uint32_t neigh_count(const struct neigh_table *table)
{
	return __atomic_load_n(&table->n, __ATOMIC_RELAXED);
}

uint32_t neigh_capacity(const struct neigh_table *table)
{
	return table->capacity;
}

bool neigh_find(
	const struct neigh_table *table, uint8_t port, const struct ip_addr *addr, struct rte_ether_addr *mac)
{
	struct neigh_key key = key_make(port, addr->family, addr->bytes);
	void *data;

	if (rte_hash_lookup_data(table->hash, &key, &data) < 0)
		return false;
	*mac = word_mac(data);
	return true;
}

struct ip_addr neigh_target_one(struct rte_mbuf *m, const struct route_table *routes)
{
	const struct next_hop *hop = route_next_hop(routes, pkt_of(m)->next_hop);

	if (hop->gateway.family != IP_NONE)
		return hop->gateway;
	return ip_addr_from_bytes(pkt_of(m)->family, pkt_destination(m));
}

static struct neigh_key target_key(struct rte_mbuf *m, const struct route_table *routes)
{
	const struct ip_addr *gateway = &route_next_hop(routes, pkt_of(m)->next_hop)->gateway;

	if (gateway->family != IP_NONE)
		return key_make(pkt_of(m)->port_out, gateway->family, gateway->bytes);
	return key_make(pkt_of(m)->port_out, pkt_of(m)->family, pkt_destination(m));
}

/* The Ethernet header that a run of packets has in common. */
struct link_header {
	uint8_t bytes[RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN];
	uint16_t length;
};

static struct link_header link_header_make(
	const struct rte_ether_addr *to, const struct neigh_port *port, uint8_t family)
{
	struct link_header header;

	header.length = ethernet_write(header.bytes, to, &port->mac, port->vlan,
		family == IP_V4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	return header;
}

/* False if the buffer has no room in front. */
static inline bool frame_one(struct rte_mbuf *m, const struct link_header *header)
{
	uint8_t *front = (uint8_t *)rte_pktmbuf_prepend(m, header->length);

	if (!front)
		return false;
	/* With a constant length it is two stores. */
	if (header->length == RTE_ETHER_HDR_LEN)
		memcpy(front, header->bytes, RTE_ETHER_HDR_LEN);
	else
		memcpy(front, header->bytes, sizeof(header->bytes));
	return true;
}

/* What the packets of a burst ask for: a run of packets to one router asks once. */
struct questions {
	struct neigh_key keys[BURST_MAX];
	const void *key_pointers[BURST_MAX];
	void *data[BURST_MAX]; /* the answers */
	uint64_t found;        /* which of them are there */
	uint16_t n;
	uint8_t of[BURST_MAX]; /* the question of each packet */
};

static void questions_make(struct questions *q, const struct burst *burst, const struct route_table *routes)
{
	uint32_t router = ROUTE_NONE; /* next hop of the packet before, if that is a router */
	uint8_t family = IP_NONE;

	q->n = 0;
	for (uint16_t i = 0; i < burst->n; i++) {
		const struct pkt *p = pkt_of(burst->pkts[i]);

		if (p->next_hop != router || p->family != family) {
			bool is_router = route_next_hop(routes, p->next_hop)->gateway.family != IP_NONE;

			q->keys[q->n] = target_key(burst->pkts[i], routes);
			q->key_pointers[q->n] = &q->keys[q->n];
			q->n++;
			router = is_router ? p->next_hop : ROUTE_NONE;
			family = p->family;
		}
		q->of[i] = (uint8_t)(q->n - 1);
	}
}

void neigh_resolve(struct burst *burst, const struct neigh_table *table, const struct route_table *routes,
	const struct neigh_port *ports, struct burst *unresolved, struct drops *drops)
{
	STAGE(neigh, burst, drops, unresolved);
	struct link_header header;
	struct questions q;
	int asked = -1; /* the question that the header is the answer to */
	uint16_t kept = 0;

	if (burst->n == 0)
		return;
	questions_make(&q, burst, routes);
	q.found = 0;
	rte_hash_lookup_bulk_data(table->hash, q.key_pointers, q.n, &q.found, q.data);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		uint8_t of = q.of[i];

		if (!(q.found & UINT64_C(1) << of)) {
			pkt_of(m)->flags |= PKT_UNRESOLVED;
			burst_add_one(unresolved, m);
			continue;
		}
		if (of != asked) {
			struct rte_ether_addr mac = word_mac(q.data[of]);

			header = link_header_make(&mac, &ports[pkt_of(m)->port_out], pkt_of(m)->family);
			asked = of;
		}
		if (frame_one(m, &header))
			burst->pkts[kept++] = m;
		else
			drop_one(drops, m, DROP_out_buf);
	}
	burst->n = kept;
}
