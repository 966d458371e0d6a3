#include "control/lasting.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "model/name_index.h"

struct policy *lasting_others(const struct gateway *running, size_t *n)
{
	struct policy *others = xcalloc(running->n_policies + 1, sizeof(*others));

	*n = 0;
	for (size_t i = 0; i < running->n_policies; i++)
		if (!running->policies[i].is_lasting)
			others[(*n)++] = running->policies[i];
	return others;
}

/* For each wanted policy, and the end, which lasting ones are before it: they have the same order as now. */
struct places {
	long *before;   /* by place in the running list: the wanted policy, or -1 if it does not last */
	size_t *counts; /* by place in the wanted list */
	size_t n_lasting;
};

static void places_find(struct places *places, const struct gateway *running, const struct gateway *wanted)
{
	struct name_index names;
	long next = (long)wanted->n_policies;

	name_index_init(&names);
	for (size_t i = 0; i < wanted->n_policies; i++)
		name_index_add(&names, wanted->policies[i].name, i);
	for (size_t i = running->n_policies; i-- > 0;) {
		long found = name_index_find(&names, running->policies[i].name);

		places->before[i] = running->policies[i].is_lasting && found < 0 ? next : -1;
		if (found >= 0)
			next = found;
		if (places->before[i] < 0)
			continue;
		places->counts[next]++;
		places->n_lasting++;
	}
	name_index_fini(&names);
}

/* Put both where they belong. `counts` become the places of the next lasting one. */
static void merge(const struct places *places, const struct gateway *running, const struct gateway *wanted,
	struct change *change)
{
	size_t place = 0;

	for (size_t i = 0; i <= wanted->n_policies; i++) {
		size_t first = place;

		place += places->counts[i];
		places->counts[i] = first;
		if (i == wanted->n_policies)
			break;
		change->is_owned[place] = true;
		change->policies[place++] = wanted->policies[i];
	}
	for (size_t i = 0; i < running->n_policies; i++) {
		if (places->before[i] < 0)
			continue;
		change->is_kept[i] = true;
		change->policies[places->counts[places->before[i]]++] = running->policies[i];
	}
}

void lasting_merge(const struct gateway *running, struct gateway *wanted, struct change *change)
{
	struct places places = {
		.before = xcalloc(running->n_policies + 1, sizeof(*places.before)),
		.counts = xcalloc(wanted->n_policies + 1, sizeof(*places.counts)),
	};

	places_find(&places, running, wanted);
	change->has_policies = true;
	change->n_policies = wanted->n_policies + places.n_lasting;
	change->policies = xcalloc(change->n_policies + 1, sizeof(*change->policies));
	change->is_owned = xcalloc(change->n_policies + 1, sizeof(*change->is_owned));
	change->is_kept = xcalloc(running->n_policies + 1, sizeof(*change->is_kept));
	merge(&places, running, wanted, change);
	free(wanted->policies);
	wanted->policies = NULL;
	wanted->n_policies = 0;
	free(places.before);
	free(places.counts);
}
