/*
 * Words for what an SA is, as telemetry and metrics say them. Any thread.
 */
#ifndef CULVERT_CONTROL_SA_TEXT_H
#define CULVERT_CONTROL_SA_TEXT_H

#include "ipsec/sa.h"

/* The configuration's keyword of its `esp`, `ah` or `ipcomp`; a constant. */
static inline const char *sa_algorithm_name(const struct sa *sa)
{
	if (sa->protocol == SA_IPCOMP)
		return "deflate";
	return sa->protocol == SA_AH ? alg_auth_name(sa->alg) : sa->alg->name;
}

#endif
