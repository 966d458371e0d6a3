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
	uint32_t n; /* control alone */
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

/* False if the buffer has no room in front. */
static bool frame_one(struct rte_mbuf *m, const struct rte_ether_addr *to, const struct neigh_port *port)
{
	uint16_t bytes = RTE_ETHER_HDR_LEN + (port->vlan ? RTE_VLAN_HLEN : 0);

	if (rte_pktmbuf_headroom(m) < bytes)
		return false;
	ethernet_prepend_one(m, to, &port->mac, port->vlan,
		pkt_of(m)->family == IP_V4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	return true;
}

/* Do two packets go to one router? (Those to hosts on the link are told apart by their destinations.) */
static bool goes_with_one(struct rte_mbuf *m, struct rte_mbuf *other, const struct route_table *routes)
{
	uint32_t next_hop = pkt_of(m)->next_hop;

	return next_hop == pkt_of(other)->next_hop &&
	       route_next_hop(routes, next_hop)->gateway.family != IP_NONE;
}

/*
 * The neighbour of each packet: bit i of the result says whether data[i] is its MAC address. A run of packets
 * to one router is looked up once.
 */
static uint64_t lookup_burst(const struct burst *burst, const struct neigh_table *table,
	const struct route_table *routes, void *data[BURST_MAX])
{
	struct neigh_key keys[BURST_MAX];
	const void *key_pointers[BURST_MAX];
	void *key_data[BURST_MAX];
	uint8_t key_of[BURST_MAX];
	uint64_t keys_found = 0, found = 0;
	uint16_t n_keys = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		if (i == 0 || !goes_with_one(burst->pkts[i], burst->pkts[i - 1], routes)) {
			keys[n_keys] = target_key(burst->pkts[i], routes);
			key_pointers[n_keys] = &keys[n_keys];
			n_keys++;
		}
		key_of[i] = (uint8_t)(n_keys - 1);
	}
	rte_hash_lookup_bulk_data(table->hash, key_pointers, n_keys, &keys_found, key_data);
	for (uint16_t i = 0; i < burst->n; i++) {
		data[i] = key_data[key_of[i]];
		found |= (keys_found >> key_of[i] & 1) << i;
	}
	return found;
}

void neigh_resolve(struct burst *burst, const struct neigh_table *table, const struct route_table *routes,
	const struct neigh_port *ports, struct burst *unresolved, struct drops *drops)
{
	STAGE(burst, drops, unresolved);
	void *data[BURST_MAX];
	uint64_t found;
	uint16_t kept = 0;

	if (burst->n == 0)
		return;
	found = lookup_burst(burst, table, routes, data);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct rte_ether_addr mac;

		if (!(found & UINT64_C(1) << i)) {
			pkt_of(m)->flags |= PKT_UNRESOLVED;
			burst_add_one(unresolved, m);
			continue;
		}
		mac = word_mac(data[i]);
		if (frame_one(m, &mac, &ports[pkt_of(m)->port_out]))
			burst->pkts[kept++] = m;
		else
			drop_one(drops, m, DROP_out_buf);
	}
	burst->n = kept;
}
