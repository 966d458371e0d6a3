/*
 * What kernel_culvert_ipsec.c, which charon calls, and kernel_culvert_session.c, which culvertd's coming and
 * going and its events call, have in common.
 */
#ifndef KERNEL_CULVERT_H
#define KERNEL_CULVERT_H

#include "culvert_client.h"
#include "culvert_policies.h"
#include "culvert_sas.h"
#include "strongswan.h"

#include <threading/mutex.h>

#define CONTROL_SOCKET "/run/culvert/control.sock"

struct kernel_culvert {
	kernel_ipsec_t interface; /* first: charon has a pointer to it */
	mutex_t *mutex;           /* guards what follows */
	struct culvert_client client;
	struct culvert_sas sas;
	struct culvert_policies policies;
};

/* Connect to culvertd, and whenever it was gone and is back. */
void kernel_culvert_begin(struct kernel_culvert *this);
void kernel_culvert_end(struct kernel_culvert *this);

/* Delete SAs, policies or both, whoever installed them by IKE. The lock is held. */
void kernel_culvert_flush(struct kernel_culvert *this, bool sas, bool policies);

#endif
