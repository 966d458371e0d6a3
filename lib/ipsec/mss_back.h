/*
 * TCP's MSS on the way out of a tunnel: a SYN is lowered to what the tunnel back carries, since the segments
 * that it asks for will go into that. On the way in, esp_out_mtu does it.
 *
 * Workers only. What carries the answers is what the outbound policies say of an answer: the packet turned
 * round is looked up in full, which only a SYN costs; of a policy's alternatives, the one for its peer.
 */
#ifndef CULVERT_IPSEC_MSS_BACK_H
#define CULVERT_IPSEC_MSS_BACK_H

#include "ipsec/alternatives.h"
#include "ipsec/spd.h"
#include "net/burst.h"
#include "net/drop.h"

/* Lower the MSS of packets out of a tunnel that are PKT_TCP_SYN, where the answer's SA says mss_clamp. */
void mss_back(struct burst *burst, const struct spd *out, const struct alternatives *alternatives,
	struct drops *drops);

#endif
