/*
 * ICMP errors that others send: those to the gateway about packets of its tunnels, and those to hosts whom a
 * tunnel's policy covers, from routers whom it does not.
 *
 * Workers only. A packet that is looked at here has left the usual way already: no other pays.
 * Limits: of errors to the gateway, those about anything but IPsec packets are the host's, or dropped.
 */
#ifndef CULVERT_DATAPATH_ICMP_ERRORS_H
#define CULVERT_DATAPATH_ICMP_ERRORS_H

#include "datapath/worker.h"
#include "net/burst.h"

/*
 * Of packets in clear to the gateway's addresses on the unprotected side, keep what is no ICMP error. Errors
 * of a kind that the snapshot accepts, which quote a packet that an outbound SA may have sent, go to control
 * (control/path_mtus.h); those which quote another packet that an address of ours outside sent, to the host's
 * stack, which knows whether it did. Drops: icmp_refused, icmp_quote, icmp_flood, host_full, host_busy.
 */
void icmp_errors_to_control(struct worker *worker, struct burst *burst);

/*
 * Packets out of the SA in struct pkt that it may not carry by their own headers (spd_in_selector moved them
 * here): move to *passed those whose quote, turned round, it may (RFC 4301 section 6.2). The burst is empty
 * then. Drops: in_selector.
 */
void icmp_errors_in(struct worker *worker, struct burst *burst, struct burst *passed);

/*
 * The same on the way out, of packets that no policy covers: move to *protect those whose quote, turned
 * round, a policy protects, with its SA and next hop in struct pkt, and to *no_sa those whose policy has only
 * alternatives. Drops: out_no_policy.
 */
void icmp_errors_out(struct worker *worker, struct burst *burst, struct burst *protect, struct burst *no_sa);

#endif
