#include "control/neigh_proto.h"

#include "base/log.h"
#include "control/neigh_wire.h"
#include "net/martian.h"

#include <rte_hash.h>
#include <rte_jhash.h>
#include <rte_random.h>

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* One line in the log for so long about stations that use our addresses. */
#define CONFLICT_LOG_NS    (UINT64_C(10) * CLOCK_NS_PER_S)
#define NEIGHBOURS_MAX     (NEIGH_DYNAMIC_MAX + NEIGH_STATIC_MAX)
#define LINK_LOCAL_BITS    64 /* RFC 4291 section 2.5.6 */
#define IPV4_BROADCAST_MAX 30 /* on a longer prefix each address is a host's (RFC 3021) */

/* RFC 4861 section 7.3.2. Workers find those from REACHABLE on in the table. */
enum neigh_state {
	NEIGH_FREE,      /* no neighbour */
	NEIGH_RESOLVING, /* asked everyone, no answer yet; packets may wait */
	NEIGH_FAILED,    /* nobody answered; not asked again until it is due */
	NEIGH_REACHABLE,
	NEIGH_PROBING, /* asked it alone whether it is still there */
	NEIGH_STATIC,
};

/* rte_jhash reads words. */
struct neigh_key {
	alignas(uint32_t) uint8_t port;
	struct ip_addr addr;
	uint8_t zero[2];
};

_Static_assert(sizeof(struct neigh_key) == 20, "no padding, since the whole key is hashed");

struct neigh {
	struct neigh_key key;
	uint8_t state; /* enum neigh_state */
	uint8_t tries; /* requests sent in this state */
	uint8_t n_held;
	struct rte_ether_addr mac;                  /* from REACHABLE on */
	uint64_t due_ns;                            /* when something is to be done about it */
	struct rte_mbuf *held[NEIGH_HELD_EACH_MAX]; /* the oldest first */
};

struct port {
	char *name;
	struct neigh_port link;
	struct ip_prefix *own; /* the configured addresses, then the link-local one */
	size_t n_own;
};

struct neigh_proto {
	struct neigh_proto_conf conf; /* ports and their arrays are in `ports` */
	uint32_t held_max;
	struct port ports[PKT_PORTS_MAX];
	struct rte_hash *index; /* struct neigh_key to a place in `neighbours` */
	uint32_t n_dynamic;
	uint32_t n_static;
	uint32_t n_pending; /* RESOLVING or FAILED */
	uint32_t n_held;
	uint64_t now_ns;
	uint64_t next_scan_ns;
	uint64_t next_conflict_log_ns;
	struct neigh neighbours[NEIGHBOURS_MAX];
};

static bool is_known(const struct neigh *n)
{
	return n->state >= NEIGH_REACHABLE;
}

static bool is_pending(uint8_t state)
{
	return state == NEIGH_RESOLVING || state == NEIGH_FAILED;
}

static void state_set(struct neigh_proto *np, struct neigh *n, enum neigh_state state, uint64_t due_ns)
{
	np->n_pending -= is_pending(n->state);
	np->n_pending += is_pending((uint8_t)state);
	n->state = (uint8_t)state;
	n->due_ns = due_ns;
	n->tries = 0;
}

static struct neigh_key key_make(uint8_t port, const struct ip_addr *addr)
{
	return (struct neigh_key){.port = port, .addr = *addr};
}

static struct neigh *neigh_lookup(struct neigh_proto *np, uint8_t port, const struct ip_addr *addr)
{
	struct neigh_key key = key_make(port, addr);
	int32_t place = rte_hash_lookup(np->index, &key);

	return place >= 0 ? &np->neighbours[place] : NULL;
}

/* NULL when there are too many. The caller sets the state at once. */
static struct neigh *neigh_add(struct neigh_proto *np, uint8_t port, const struct ip_addr *addr)
{
	struct neigh_key key = key_make(port, addr);
	int32_t place;

	if (np->n_dynamic == NEIGH_DYNAMIC_MAX)
		return NULL;
	place = rte_hash_add_key(np->index, &key);
	if (place < 0)
		return NULL;
	np->n_dynamic++;
	np->neighbours[place] = (struct neigh){.key = key};
	return &np->neighbours[place];
}

static void held_drop(struct neigh_proto *np, struct neigh *n, enum drop_reason reason)
{
	for (uint8_t i = 0; i < n->n_held; i++)
		drop_one(np->conf.drops, n->held[i], reason);
	np->n_held -= n->n_held;
	n->n_held = 0;
}

/* Forget a dynamic neighbour. */
static void neigh_forget(struct neigh_proto *np, struct neigh *n)
{
	if (is_known(n))
		neigh_remove(np->conf.table, n->key.port, &n->key.addr);
	held_drop(np, n, DROP_neigh_unresolved);
	state_set(np, n, NEIGH_FREE, 0);
	rte_hash_del_key(np->index, &n->key);
	np->n_dynamic--;
}

static bool is_own(const struct port *port, const struct ip_addr *addr)
{
	for (size_t i = 0; i < port->n_own; i++)
		if (ip_addr_equal(&port->own[i].addr, addr))
			return true;
	return false;
}

/* The first and last address of an IPv4 link stand for all hosts (RFC 1122 section 3.2.1.3). */
static bool is_broadcast(const struct ip_prefix *link, const struct ip_addr *addr)
{
	struct ip_range range = ip_prefix_range(link);

	if (addr->family != IP_V4 || link->length_bits > IPV4_BROADCAST_MAX)
		return false;
	return ip_addr_equal(addr, &range.first) || ip_addr_equal(addr, &range.last);
}

/* Our own address on the link that the address belongs to, or NULL if no neighbour can have it. */
static const struct ip_addr *own_towards(const struct port *port, const struct ip_addr *addr)
{
	if (neigh_is_unspecified(addr) || address_is_local(addr->family, addr->bytes) ||
		address_is_group(addr->family, addr->bytes) || is_own(port, addr))
		return NULL;
	for (size_t i = 0; i < port->n_own; i++)
		if (ip_prefix_contains(&port->own[i], addr))
			return is_broadcast(&port->own[i], addr) ? NULL : &port->own[i].addr;
	return NULL;
}

static void frame_send(struct neigh_proto *np, uint8_t port, struct rte_mbuf *m)
{
	if (!m)
		return; // the pool is empty: what is asked for is asked again, and who asks us does too
	*pkt_of(m) = (struct pkt){.flags = PKT_FRAME | PKT_LOCAL, .port_in = PKT_PORT_SELF, .port_out = port};
	np->conf.send(np->conf.arg, m);
}

/* Ask for the neighbour, once; it itself if we know where it was. */
static void request_send(struct neigh_proto *np, struct neigh *n)
{
	const struct port *port = &np->ports[n->key.port];
	const struct ip_addr *own = own_towards(port, &n->key.addr);

	n->tries++;
	n->due_ns = np->now_ns + NEIGH_RETRY_NS;
	frame_send(np, n->key.port,
		neigh_wire_request(
			np->conf.pool, &port->link, own, &n->key.addr, is_known(n) ? &n->mac : NULL));
}

/* RFC 4861 section 6.3.2: a random time, so that neighbours that came together are not asked together. */
static void confirm(struct neigh_proto *np, struct neigh *n)
{
	uint64_t spread_ns = rte_rand_max(NEIGH_REACHABLE_MAX_NS - NEIGH_REACHABLE_MIN_NS);

	state_set(np, n, NEIGH_REACHABLE, np->now_ns + NEIGH_REACHABLE_MIN_NS + spread_ns);
}

static void probe(struct neigh_proto *np, struct neigh *n)
{
	state_set(np, n, NEIGH_PROBING, 0);
	request_send(np, n);
}

/* Let the packets go that waited for it. */
static void held_release(struct neigh_proto *np, struct neigh *n)
{
	for (uint8_t i = 0; i < n->n_held; i++) {
		struct rte_mbuf *m = n->held[i];

		np->n_held--;
		pkt_of(m)->flags &= (uint16_t)~PKT_UNRESOLVED;
		np->conf.release(np->conf.arg, m);
	}
	n->n_held = 0;
}

/* Its MAC address has become known, or has changed. */
static void mac_set(struct neigh_proto *np, struct neigh *n, const struct rte_ether_addr *mac)
{
	if (neigh_set(np->conf.table, n->key.port, &n->key.addr, mac) != 0) {
		held_drop(np, n, DROP_neigh_full);
		neigh_forget(np, n);
		return;
	}
	n->mac = *mac;
	if (!is_known(n))
		confirm(np, n);
	held_release(np, n);
}

/*
 * What somebody says of a neighbour that we have or ask for: RFC 4861 section 7.2.5, with the states STALE,
 * DELAY and PROBE as one: a change that doesn't answer a question of ours is believed, and asked about at
 * once.
 */
static void neigh_update(struct neigh_proto *np, struct neigh *n, const struct neigh_message *message)
{
	bool changes = message->has_mac && !(is_known(n) && rte_is_same_ether_addr(&n->mac, &message->mac));

	if (n->state == NEIGH_STATIC)
		return;
	if (!is_known(n)) {
		if (message->has_mac)
			mac_set(np, n, &message->mac);
		return;
	}
	if (changes && !message->overrides) {
		if (n->state == NEIGH_REACHABLE)
			probe(np, n);
		return;
	}
	if (changes)
		mac_set(np, n, &message->mac);
	if (!is_known(n))
		return; // it has been forgotten
	if (message->solicited && (n->state == NEIGH_PROBING || !changes))
		confirm(np, n);
	else if (changes)
		probe(np, n);
}

static void conflict_log(
	struct neigh_proto *np, uint8_t port, const struct ip_addr *addr, const struct neigh_message *message)
{
	char text[IP_ADDR_TEXT_MAX], mac_text[MAC_ADDR_TEXT_MAX] = "unknown";
	struct mac_addr mac;

	if (np->now_ns < np->next_conflict_log_ns)
		return;
	np->next_conflict_log_ns = np->now_ns + CONFLICT_LOG_NS;
	memcpy(mac.bytes, message->mac.addr_bytes, sizeof(mac.bytes));
	log_warning("another station uses our address port=%s address=%s mac=%s", np->ports[port].name,
		ip_addr_format(addr, text), message->has_mac ? mac_addr_format(&mac, mac_text) : mac_text);
}

/* A neighbour that asks for one of our addresses will soon get packets from us, so it is worth learning. */
static void asker_learn(struct neigh_proto *np, uint8_t port, const struct neigh_message *message)
{
	struct neigh *n = neigh_lookup(np, port, &message->sender);

	if (n) {
		neigh_update(np, n, message);
		return;
	}
	if (!own_towards(&np->ports[port], &message->sender))
		return;
	n = neigh_add(np, port, &message->sender);
	if (!n)
		return;
	if (message->has_mac) {
		mac_set(np, n, &message->mac);
	} else if (np->n_pending < NEIGH_PENDING_MAX) {
		state_set(np, n, NEIGH_RESOLVING, 0);
		request_send(np, n); // it asks again, and is answered then
	} else {
		neigh_forget(np, n);
	}
}

static void reply_send(struct neigh_proto *np, uint8_t port, const struct neigh_message *message)
{
	const struct neigh_port *link = &np->ports[port].link;
	const struct neigh *asker = neigh_lookup(np, port, &message->sender);
	const struct rte_ether_addr *to = message->has_mac ? &message->mac : NULL;

	if (message->target.family == IP_V6 && neigh_is_unspecified(&message->sender)) {
		frame_send(np, port, neigh_wire_announce(np->conf.pool, link, &message->target));
		return;
	}
	if (!to && asker && is_known(asker))
		to = &asker->mac;
	if (to)
		frame_send(np, port,
			neigh_wire_reply(np->conf.pool, link, &message->target, &message->sender, to));
}

/* A request says who asks, too. What it says of a neighbour overrides, but answers no question of ours. */
static void request_receive(struct neigh_proto *np, uint8_t port, struct neigh_message *message)
{
	struct neigh *n;

	message->overrides = true;
	if (is_own(&np->ports[port], &message->sender)) {
		conflict_log(np, port, &message->sender, message);
	} else if (is_own(&np->ports[port], &message->target)) {
		if (!neigh_is_unspecified(&message->sender))
			asker_learn(np, port, message);
		reply_send(np, port, message);
	} else if (message->target.family == IP_V4) {
		/* RFC 826 merges before it looks at the target; RFC 4861 section 7.2.3 looks at it first. */
		n = neigh_lookup(np, port, &message->sender);
		if (n)
			neigh_update(np, n, message);
	}
}

static void advert_receive(struct neigh_proto *np, uint8_t port, const struct neigh_message *message)
{
	struct neigh *n = neigh_lookup(np, port, &message->target);

	if (is_own(&np->ports[port], &message->target))
		conflict_log(np, port, &message->target, message);
	else if (n)
		neigh_update(np, n, message); // section 7.2.5: an advertisement makes no new neighbour
}

void neigh_proto_receive(struct neigh_proto *np, struct rte_mbuf *m)
{
	uint8_t port = pkt_of(m)->port_in;
	struct neigh_message message;

	assert(port < np->conf.n_ports);
	if (!neigh_wire_parse(m, &message)) {
		drop_one(np->conf.drops, m, DROP_nd_bad);
		return;
	}
	rte_pktmbuf_free(m);
	if (message.has_mac && rte_is_same_ether_addr(&message.mac, &np->ports[port].link.mac))
		return; // our own, come back
	if (message.kind == NEIGH_REQUEST)
		request_receive(np, port, &message);
	else if (message.kind == NEIGH_ADVERT)
		advert_receive(np, port, &message);
}

/*
 * RFC 4861 section 7.2.2: when there are too many for one neighbour, the newest takes the place of the
 * oldest.
 */
static void hold(struct neigh_proto *np, struct neigh *n, struct rte_mbuf *m)
{
	if (n->n_held == NEIGH_HELD_EACH_MAX || (np->n_held == np->held_max && n->n_held > 0)) {
		drop_one(np->conf.drops, n->held[0], DROP_neigh_full);
		memmove(&n->held[0], &n->held[1], --n->n_held * sizeof(n->held[0]));
		np->n_held--;
	}
	if (np->n_held == np->held_max) {
		drop_one(np->conf.drops, m, DROP_neigh_full);
		return;
	}
	n->held[n->n_held++] = m;
	np->n_held++;
}

/* Begin to ask for a neighbour that nothing is known of; NULL when there are too many. */
static struct neigh *resolve_start(struct neigh_proto *np, uint8_t port, const struct ip_addr *addr)
{
	struct neigh *n = np->n_pending < NEIGH_PENDING_MAX ? neigh_add(np, port, addr) : NULL;

	if (!n)
		return NULL;
	state_set(np, n, NEIGH_RESOLVING, 0);
	request_send(np, n);
	return n;
}

void neigh_proto_unresolved(struct neigh_proto *np, struct rte_mbuf *m, const struct ip_addr *addr)
{
	uint8_t port = pkt_of(m)->port_out;
	struct neigh *n;

	assert(port < np->conf.n_ports);
	n = neigh_lookup(np, port, addr);
	if (n && is_known(n)) {
		/* It was learned while the packet was on its way here. */
		pkt_of(m)->flags &= (uint16_t)~PKT_UNRESOLVED;
		np->conf.release(np->conf.arg, m);
		return;
	}
	if ((n && n->state == NEIGH_FAILED) || !own_towards(&np->ports[port], addr)) {
		drop_one(np->conf.drops, m, DROP_neigh_unresolved);
		return;
	}
	if (!n)
		n = resolve_start(np, port, addr);
	if (n)
		hold(np, n, m);
	else
		drop_one(np->conf.drops, m, DROP_neigh_full);
}

/* Its time has come: ask, ask again, or give it up. */
static void neigh_due(struct neigh_proto *np, struct neigh *n)
{
	switch ((enum neigh_state)n->state) {
	case NEIGH_RESOLVING:
		if (n->tries < NEIGH_TRIES) {
			request_send(np, n);
			break;
		}
		held_drop(np, n, DROP_neigh_unresolved);
		state_set(np, n, NEIGH_FAILED, np->now_ns + NEIGH_HOLD_DOWN_NS);
		break;
	case NEIGH_REACHABLE:
		probe(np, n);
		break;
	case NEIGH_PROBING:
		if (n->tries < NEIGH_TRIES)
			request_send(np, n);
		else
			neigh_forget(np, n);
		break;
	case NEIGH_FAILED:
		neigh_forget(np, n);
		break;
	case NEIGH_STATIC:
	case NEIGH_FREE:
		break;
	}
}

void neigh_proto_tick(struct neigh_proto *np, uint64_t now_ns)
{
	np->now_ns = now_ns;
	if (now_ns < np->next_scan_ns)
		return;
	np->next_scan_ns = now_ns + NEIGH_SCAN_NS;
	for (size_t i = 0; i < NEIGHBOURS_MAX; i++)
		if (np->neighbours[i].due_ns <= now_ns)
			neigh_due(np, &np->neighbours[i]);
}

int neigh_proto_add_static(
	struct neigh_proto *np, uint8_t port, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
	struct neigh *n = neigh_lookup(np, port, addr);
	struct neigh_key key = key_make(port, addr);
	bool is_new = !n || n->state != NEIGH_STATIC;
	int32_t place;

	if (is_new && np->n_static == NEIGH_STATIC_MAX)
		return -ENOSPC;
	if (neigh_set(np->conf.table, port, addr, mac) != 0)
		return -ENOSPC;
	if (!n) {
		place = rte_hash_add_key(np->index, &key);
		assert(place >= 0); // the index has room for all of both kinds
		n = &np->neighbours[place];
		*n = (struct neigh){.key = key};
	} else if (is_new) {
		np->n_dynamic--;
	}
	np->n_static += is_new;
	n->mac = *mac;
	state_set(np, n, NEIGH_STATIC, UINT64_MAX);
	held_release(np, n);
	return 0;
}

int neigh_proto_remove_static(struct neigh_proto *np, uint8_t port, const struct ip_addr *addr)
{
	struct neigh *n = neigh_lookup(np, port, addr);

	if (!n || n->state != NEIGH_STATIC)
		return -ENOENT;
	neigh_remove(np->conf.table, port, addr);
	state_set(np, n, NEIGH_FREE, 0);
	rte_hash_del_key(np->index, &n->key);
	np->n_static--;
	return 0;
}

void neigh_proto_each(const struct neigh_proto *np,
	void (*show)(void *argument, const struct neigh_proto_entry *entry), void *argument)
{
	static const char *const states[] = {
		[NEIGH_RESOLVING] = "resolving",
		[NEIGH_FAILED] = "failed",
		[NEIGH_REACHABLE] = "reachable",
		[NEIGH_PROBING] = "probing",
		[NEIGH_STATIC] = "static",
	};

	for (size_t i = 0; i < NEIGHBOURS_MAX; i++) {
		const struct neigh *n = &np->neighbours[i];
		struct neigh_proto_entry entry = {
			.port = n->key.port,
			.address = n->key.addr,
			.has_mac = is_known(n),
			.mac = n->mac,
			.state = states[n->state],
		};

		if (n->state != NEIGH_FREE)
			show(argument, &entry);
	}
}

void neigh_proto_announce(struct neigh_proto *np)
{
	for (uint8_t i = 0; i < np->conf.n_ports; i++) {
		const struct port *port = &np->ports[i];

		for (size_t j = 0; j < port->n_own; j++)
			frame_send(
				np, i, neigh_wire_announce(np->conf.pool, &port->link, &port->own[j].addr));
	}
}

uint32_t neigh_proto_held(const struct neigh_proto *np)
{
	return np->n_held;
}

/* False without memory; what was allocated is in the port. */
static bool port_init(struct port *port, const struct neigh_proto_port *conf)
{
	port->link = conf->link;
	port->name = strdup(conf->name);
	port->own = calloc(conf->n_addresses + 1, sizeof(*port->own));
	if (!port->name || !port->own)
		return false;
	for (size_t i = 0; i < conf->n_addresses; i++)
		port->own[port->n_own++] = conf->addresses[i];
	port->own[port->n_own++] = (struct ip_prefix){neigh_link_local(&conf->link.mac), LINK_LOCAL_BITS};
	return true;
}

static bool proto_init(struct neigh_proto *np)
{
	const struct rte_hash_parameters parameters = {
		.name = "culvert_neigh_proto",
		.entries = NEIGHBOURS_MAX,
		.key_len = sizeof(struct neigh_key),
		.hash_func = rte_jhash,
		.hash_func_init_val = (uint32_t)rte_rand(), // hosts on the link choose addresses
		.socket_id = (int)rte_socket_id(),
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};

	for (uint8_t i = 0; i < np->conf.n_ports; i++)
		if (!port_init(&np->ports[i], &np->conf.ports[i]))
			return false;
	np->conf.ports = NULL; // the caller's
	np->index = rte_hash_create(&parameters);
	return np->index != NULL;
}

int neigh_proto_create(
	const struct neigh_proto_conf *conf, uint64_t now_ns, struct neigh_proto **out, struct err *err)
{
	struct neigh_proto *np = calloc(1, sizeof(*np));

	assert(conf->n_ports <= PKT_PORTS_MAX);
	if (np) {
		np->conf = *conf;
		np->held_max = neigh_held_max(conf->pool->size);
		np->now_ns = now_ns;
	}
	if (!np || !proto_init(np)) {
		neigh_proto_destroy(np);
		return err_set(err, ENOMEM, "no memory for ARP and neighbour discovery");
	}
	*out = np;
	return 0;
}

void neigh_proto_destroy(struct neigh_proto *np)
{
	if (!np)
		return;
	for (size_t i = 0; i < NEIGHBOURS_MAX; i++)
		held_drop(np, &np->neighbours[i], DROP_shutdown);
	for (uint8_t i = 0; i < np->conf.n_ports; i++) {
		free(np->ports[i].name);
		free(np->ports[i].own);
	}
	rte_hash_free(np->index);
	free(np);
}
