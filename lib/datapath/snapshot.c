#include "datapath/snapshot.h"

#include <rte_malloc.h>

void snapshot_destroy(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	spd_destroy(snapshot->spd_out);
	spd_destroy(snapshot->spd_in);
	alternatives_destroy(snapshot->alternatives_out);
	alternatives_destroy(snapshot->alternatives_in);
	acquire_table_destroy(snapshot->acquires);
	route_table_destroy(snapshot->routes);
	rte_free(snapshot->dummies.sas);
	rte_free(snapshot);
}
