#include "model/sa_conf.h"
#include "model/gateway.h"

_Static_assert(SA_DSCP_MAX < 64 && GATEWAY_WORKERS_MAX <= 64, "a bit for each");

uint64_t sa_conf_dscps(const struct sa_conf *conf)
{
	uint64_t dscps = 0;

	for (size_t i = 0; i < conf->n_for_dscp; i++)
		dscps |= UINT64_C(1) << conf->for_dscp[i];
	return conf->n_for_dscp > 0 ? dscps : UINT64_MAX;
}

uint64_t sa_conf_workers(const struct sa_conf *conf)
{
	uint64_t workers = 0;

	for (size_t i = 0; i < conf->n_for_worker; i++)
		workers |= UINT64_C(1) << conf->for_worker[i];
	return conf->n_for_worker > 0 ? workers : UINT64_MAX;
}
