#include "control/retire.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "control/sas.h"
#include "datapath/snapshot.h"

/* In a list, the oldest first. */
struct retired {
	struct retired *next;
	uint64_t generation; /* of the snapshot that does without these */
	struct snapshot *snapshot;
	size_t n_sas;
	struct sa *sas[];
};

void retire(struct control *control, struct snapshot *before, struct sa *const *sas, size_t n_sas)
{
	struct retired *retired = xcalloc(1, sizeof(*retired) + n_sas * sizeof(sas[0]));
	struct retired **end = &control->retired;

	retired->generation = control->snapshot->generation;
	retired->snapshot = before;
	retired->n_sas = n_sas;
	if (n_sas > 0)
		memcpy(retired->sas, sas, n_sas * sizeof(sas[0]));
	while (*end)
		end = &(*end)->next;
	*end = retired;
}

static void oldest_destroy(struct control *control)
{
	struct retired *oldest = control->retired;

	control->retired = oldest->next;
	for (size_t i = 0; i < oldest->n_sas; i++)
		sas_unmake(control, oldest->sas[i]);
	snapshot_destroy(oldest->snapshot);
	free(oldest);
}

/* The oldest snapshot that a worker reads; one that has not begun reads none. */
static uint64_t adopted_by_all(const struct control *control)
{
	uint64_t oldest = UINT64_MAX;

	for (unsigned i = 0; i < control->n_workers; i++) {
		const struct snapshot *adopted =
			atomic_load_explicit(&control->workers[i]->adopted, memory_order_acquire);

		/* It is there still: it goes only when all have adopted a later one. */
		if (!adopted)
			return 0;
		oldest = adopted->generation < oldest ? adopted->generation : oldest;
	}
	return oldest;
}

void retire_poll(struct control *control)
{
	uint64_t adopted;

	if (!control->retired)
		return;
	adopted = adopted_by_all(control);
	while (control->retired && control->retired->generation <= adopted)
		oldest_destroy(control);
}

void retire_fini(struct control *control)
{
	while (control->retired)
		oldest_destroy(control);
}

size_t retire_pending(const struct control *control)
{
	size_t n = 0;

	for (const struct retired *retired = control->retired; retired; retired = retired->next)
		n++;
	return n;
}
