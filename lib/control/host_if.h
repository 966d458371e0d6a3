/*
 * The control thread's side of the queues to the workers: ARP and neighbour discovery, and packets that wait
 * for them, ICMP errors (control/path_mtus.h), and what the host's own stack gets
 * and sends (control/host_device.h). Main thread only.
 */
#ifndef CULVERT_CONTROL_HOST_IF_H
#define CULVERT_CONTROL_HOST_IF_H

#include "control/control.h"

#include <stdint.h>

/* Make neigh_proto with the ports' addresses and the configured neighbours. Returns 0 or -errno. */
int host_if_create(struct control *control, struct err *err);
/* What is held is dropped as shutdown. */
void host_if_destroy(struct control *control);

/*
 * Give a packet that control made to a worker: PKT_LOCAL, port_in is PKT_PORT_SELF. A PKT_FRAME is sent as it
 * is, others are routed. And what the host sent (control/host_device.h). Drops: host_full.
 */
void host_if_send(struct control *control, struct rte_mbuf *m);

/* Take what the workers handed over, and let time pass for the neighbours and for path MTUs. */
void host_if_poll(struct control *control, uint64_t now_ns);

/*
 * The configured neighbours become those of the gateway `after`. Returns 0, or -ENOSPC with err set and, if
 * there are too many, nothing changed.
 */
int host_if_set_neighbours(struct control *control, const struct gateway *after, struct err *err);

#endif
