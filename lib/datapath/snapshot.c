#include "datapath/snapshot.h"

#include <rte_malloc.h>

/* The pointers of some parts. */
static void parts_copy(struct snapshot *to, const struct snapshot *from, unsigned parts)
{
	if (parts & SNAPSHOT_SPD_OUT)
		to->spd_out = from->spd_out;
	if (parts & SNAPSHOT_SPD_IN)
		to->spd_in = from->spd_in;
	if (parts & SNAPSHOT_ALTERNATIVES) {
		to->alternatives_out = from->alternatives_out;
		to->alternatives_in = from->alternatives_in;
	}
	if (parts & SNAPSHOT_ROUTES)
		to->routes = from->routes;
	if (parts & SNAPSHOT_ACQUIRES)
		to->acquires = from->acquires;
	if (parts & SNAPSHOT_DUMMIES)
		to->dummies = from->dummies;
}

void snapshot_inherit(struct snapshot *snapshot, struct snapshot *before, unsigned parts)
{
	parts_copy(snapshot, before, parts);
	before->lent |= parts;
}

void snapshot_return(struct snapshot *snapshot, struct snapshot *before, unsigned parts)
{
	snapshot->lent |= parts;
	before->lent &= ~parts;
}

void snapshot_destroy(struct snapshot *snapshot)
{
	static const struct snapshot nothing;

	if (!snapshot)
		return;
	parts_copy(snapshot, &nothing, snapshot->lent);
	spd_destroy(snapshot->spd_out);
	spd_destroy(snapshot->spd_in);
	alternatives_destroy(snapshot->alternatives_out);
	alternatives_destroy(snapshot->alternatives_in);
	acquire_table_destroy(snapshot->acquires);
	route_table_destroy(snapshot->routes);
	rte_free(snapshot->dummies.sas);
	rte_free(snapshot);
}
