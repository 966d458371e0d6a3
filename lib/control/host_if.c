#include "control/host_if.h"

#include <errno.h>
#include <string.h>

#include <rte_ring.h>

#include "base/clock.h"
#include "control/host_device.h"
#include "control/path_mtus.h"
#include "net/quote.h"

/* Both callbacks of neigh_proto: frames and released packets go to a worker, any worker, which sends them. */
static void to_worker(struct control *control, struct rte_mbuf *m)
{
	if (rte_ring_enqueue(control->workers[0]->host.from_control, m) != 0)
		drop_one(&control->counters.drops, m, DROP_host_full);
}

void host_if_send(struct control *control, struct rte_mbuf *m)
{
	control->counters.generated++;
	to_worker(control, m);
}

static void on_send(void *argument, struct rte_mbuf *m)
{
	host_if_send(argument, m);
}

static void on_release(void *argument, struct rte_mbuf *m)
{
	to_worker(argument, m);
}

static int neighbours_add(struct control *control, const struct gateway *gateway, struct err *err)
{
	for (size_t i = 0; i < gateway->n_neighbours; i++) {
		const struct neighbour_conf *conf = &gateway->neighbours[i];
		struct rte_ether_addr mac;

		memcpy(mac.addr_bytes, conf->mac.bytes, sizeof(mac.addr_bytes));
		if (neigh_proto_add_static(control->neigh_proto,
			    (uint8_t)gateway_find_port(gateway, conf->port), &conf->address, &mac) != 0)
			return err_set(err, ENOSPC, "neighbours[%zu]: more than %d", i, NEIGH_STATIC_MAX);
	}
	return 0;
}

static bool is_among(const struct neighbour_conf *conf, const struct neighbour_conf *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(conf->port, list[i].port) == 0 && ip_addr_equal(&conf->address, &list[i].address))
			return true;
	return false;
}

int host_if_set_neighbours(struct control *control, const struct gateway *after, struct err *err)
{
	const struct gateway *before = control->gateway;

	if (after->n_neighbours > NEIGH_STATIC_MAX)
		return err_set(err, ENOSPC, "neighbours: more than %d", NEIGH_STATIC_MAX);
	for (size_t i = 0; i < before->n_neighbours; i++)
		if (!is_among(&before->neighbours[i], after->neighbours, after->n_neighbours))
			neigh_proto_remove_static(control->neigh_proto,
				(uint8_t)gateway_find_port(before, before->neighbours[i].port),
				&before->neighbours[i].address);
	return neighbours_add(control, after, err);
}

int host_if_create(struct control *control, struct err *err)
{
	const struct gateway *gateway = control->gateway;
	struct neigh_proto_port ports[GATEWAY_PORTS_MAX];
	struct neigh_proto_conf conf = {
		.ports = ports,
		.n_ports = (uint8_t)gateway->n_ports,
		.table = control->neighbours,
		.pool = control->ports.packets,
		.drops = &control->counters.drops,
		.send = on_send,
		.release = on_release,
		.arg = control,
	};
	int ret;

	for (size_t i = 0; i < gateway->n_ports; i++)
		ports[i] = (struct neigh_proto_port){
			.name = gateway->ports[i].name,
			.link = control->snapshot->neigh_ports[i],
			.addresses = gateway->ports[i].addresses,
			.n_addresses = gateway->ports[i].n_addresses,
		};
	ret = neigh_proto_create(&conf, clock_now_ns(), &control->neigh_proto, err);
	if (ret == 0)
		ret = neighbours_add(control, gateway, err);
	if (ret == 0)
		neigh_proto_announce(control->neigh_proto);
	else
		host_if_destroy(control);
	return ret;
}

void host_if_destroy(struct control *control)
{
	if (control->neigh_proto)
		neigh_proto_destroy(control->neigh_proto);
	control->neigh_proto = NULL;
}

static void take_one(struct control *control, struct rte_mbuf *m, uint64_t now_ns)
{
	if (pkt_of(m)->flags & PKT_UNRESOLVED) {
		struct ip_addr target = neigh_target_one(m, control->snapshot->routes);

		neigh_proto_unresolved(control->neigh_proto, m, &target);
	} else if (icmp_kind_one(m) != ICMP_KIND_NONE) {
		path_mtus_receive(control, m, now_ns);
	} else {
		/* It is consumed, unless it was dropped as bad. */
		const uint64_t *bad = &control->counters.drops.count[pkt_of(m)->port_in][DROP_nd_bad];
		uint64_t bad_before = *bad;

		neigh_proto_receive(control->neigh_proto, m);
		control->counters.consumed += *bad == bad_before;
	}
}

void host_if_poll(struct control *control, uint64_t now_ns)
{
	struct rte_mbuf *m;

	/* No more than the queue holds, so that a flood doesn't keep the thread from its other work. */
	for (unsigned i = 0; i < HOST_QUEUE_PKTS && rte_ring_dequeue(control->to_control, (void **)&m) == 0;
		i++)
		take_one(control, m, now_ns);
	host_device_poll(control);
	neigh_proto_tick(control->neigh_proto, now_ns);
	path_mtus_poll(control, now_ns);
	control->counters.held = neigh_proto_held(control->neigh_proto);
}
