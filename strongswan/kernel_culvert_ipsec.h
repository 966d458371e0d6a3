/*
 * charon's interface to the IPsec of a kernel, which here is culvertd.
 *
 * charon makes one of it, calls it from any of its threads, and destroys it at its end. It owns the tables of
 * SAs and policies and the connections to culvertd; one lock guards all. What charon asks for is one change
 * of culvertd each, made wholly or not at all. Where culvertd ends and comes back, it has none of charon's
 * SAs: the policies are installed again without any, and charon is told that each SA has expired, whereupon
 * it makes new ones. Limits: ESP and AH, tunnel and transport mode; no IPComp, marks, interface IDs, labels
 * or BEET.
 */
#ifndef KERNEL_CULVERT_IPSEC_H
#define KERNEL_CULVERT_IPSEC_H

#include "strongswan.h"

/* A kernel_ipsec_constructor_t. */
kernel_ipsec_t *kernel_culvert_ipsec_create(void);

#endif
