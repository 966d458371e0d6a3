#include "control/natt_watch.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/counter.h"
#include "base/log.h"
#include "control/events.h"
#include "control/host_if.h"
#include "datapath/snapshot.h"
#include "ipsec/natt.h"
#include "ipsec/path_mtu.h"

struct natt_watched {
	struct sa *sa;
	uint64_t keepalive_ns; /* 0: none */
	uint64_t sent_packets; /* at the last look */
	uint64_t sent_ns;      /* when there were more than at the look before, or a keepalive */
	uint32_t moves;        /* that are told of */
};

void natt_watch_add(struct natt_watch *watch, struct sa *sa, uint32_t keepalive_s, uint64_t now_ns)
{
	if (sa->inbound || !sa_is_in_udp(sa) || (keepalive_s == 0 && !sa->natt->peer))
		return;
	*array_append(&watch->sas, &watch->n_sas) = (struct natt_watched){
		.sa = sa,
		.keepalive_ns = keepalive_s * CLOCK_NS_PER_S,
		.sent_ns = now_ns,
	};
}

void natt_watch_remove(struct natt_watch *watch, const struct sa *sa)
{
	for (size_t i = 0; sa_is_in_udp(sa) && i < watch->n_sas; i++) {
		if (watch->sas[i].sa != sa)
			continue;
		watch->sas[i] = watch->sas[--watch->n_sas];
		return;
	}
}

void natt_watch_fini(struct natt_watch *watch)
{
	free(watch->sas);
	*watch = (struct natt_watch){0};
}

static uint64_t packets_of(const struct sa *sa)
{
	uint64_t sum = 0;

	for (unsigned worker = 0; worker < sa->n_workers; worker++)
		sum += counter_read(&sa->counters[worker].packets);
	return sum;
}

static void keepalive_send(struct control *control, const struct sa *sa)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(control->ports.packets);

	if (!m)
		return; /* there will be another */
	if (natt_keepalive_write(m, sa))
		host_if_send(control, m);
	else
		rte_pktmbuf_free(m);
}

static void keepalive_look(struct natt_watched *watched, struct control *control, uint64_t now_ns)
{
	uint64_t packets = packets_of(watched->sa);

	if (packets != watched->sent_packets) {
		watched->sent_packets = packets;
		watched->sent_ns = now_ns;
	} else if (now_ns - watched->sent_ns >= watched->keepalive_ns) {
		keepalive_send(control, watched->sa);
		watched->sent_ns = now_ns;
	}
}

static void mtu_follow(struct sa *sa, const struct control *control, const struct ip_addr *address)
{
	const struct next_hop *hop = route_find(control->snapshot->routes, address);

	if (hop)
		path_mtu_set_link(sa, hop->mtu_bytes);
	else
		log_warning("sa=%s has no route to where its peer moved", sa->name);
}

/* True if there is news. */
static bool move_look(struct natt_watched *watched, struct control *control, bool tell)
{
	struct sa *sa = watched->sa;
	uint32_t moves = natt_peer_moves(sa->natt->peer);
	char text[IP_ADDR_TEXT_MAX];
	struct natt_endpoint peer;

	if (moves == watched->moves)
		return false;
	watched->moves = moves;
	peer = natt_peer_read(sa->natt->peer);
	mtu_follow(sa, control, &peer.address);
	if (tell)
		log_info("peer moved sa=%s spi=0x%08x address=%s port=%u moves=%u", sa->name,
			rte_be_to_cpu_32(sa->spi), ip_addr_format(&peer.address, text), peer.port, moves);
	events_peer_moved(control, sa, &peer);
	return true;
}

void natt_watch_tell(struct natt_watch *watch, struct control *control)
{
	size_t n_moved = 0;

	for (size_t i = 0; i < watch->n_sas; i++)
		if (watch->sas[i].sa->natt->peer)
			n_moved += move_look(&watch->sas[i], control, n_moved < NATT_WATCH_LOG_MAX);
	if (n_moved > NATT_WATCH_LOG_MAX)
		log_info("more peers moved sas=%zu", n_moved - NATT_WATCH_LOG_MAX);
}

void natt_watch_poll(struct natt_watch *watch, struct control *control, uint64_t now_ns)
{
	if (watch->n_sas == 0 || now_ns < watch->next_ns)
		return;
	for (size_t i = 0; i < watch->n_sas; i++)
		if (watch->sas[i].keepalive_ns > 0)
			keepalive_look(&watch->sas[i], control, now_ns);
	natt_watch_tell(watch, control);
	watch->next_ns = now_ns + NATT_WATCH_PERIOD_NS;
}
