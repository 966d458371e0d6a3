/*
 * Path MTUs: what is made of ICMP errors about the packets of SAs, which workers found plausible
 * (datapath/icmp_errors.h), and the forgetting of it.
 *
 * Main thread only; time is given by the caller.
 */
#ifndef CULVERT_CONTROL_PATH_MTUS_H
#define CULVERT_CONTROL_PATH_MTUS_H

#include "control/control.h"

#include <stdint.h>

struct rte_mbuf;

/* Take an ICMP error from a worker; it is consumed, or dropped as icmp_quote where the SA is gone. */
void path_mtus_receive(struct control *control, struct rte_mbuf *m, uint64_t now_ns);

/* Forget what is too old. Looks at the SAs once a second. */
void path_mtus_poll(struct control *control, uint64_t now_ns);

#endif
