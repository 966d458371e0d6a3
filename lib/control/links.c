#include "control/links.h"

#include <stdlib.h>

#include "base/array.h"
#include "control/sas.h"
#include "ipsec/natt.h"
#include "model/bundle.h"

/* What can't be compressed comes out of the SA around: it knows one of those inside, and keeps the one it
 * has.
 */
static void ipcomp_find(const struct control *control, struct links *links, size_t place)
{
	struct sa *sa = control->sas[place], *around = links[place].around;
	struct links *outer;

	if (sa->protocol != SA_IPCOMP || sa_is_transport(sa) || !around)
		return;
	outer = &links[sas_find(control, around->name)->index];
	if (!outer->ipcomp_inside || around->ipcomp_inside == sa)
		outer->ipcomp_inside = sa;
}

struct links *links_make(const struct control *control, const struct gateway *gateway)
{
	struct bundle_place *places = bundles_make(gateway, &control->sa_names, NULL);
	struct links *links = xcalloc(control->n_sas + 1, sizeof(*links));

	for (size_t i = 0; i < control->n_sas; i++) {
		const char *follows = control->gateway->sas[i].follows;

		if (places[i].around != BUNDLE_NONE)
			links[i].around = control->sas[places[i].around];
		links[i].has_inside = places[i].inside != BUNDLE_NONE;
		if (follows)
			links[i].follows = sas_named(control, follows);
	}
	for (size_t i = 0; i < control->n_sas; i++)
		ipcomp_find(control, links, i);
	free(places);
	return links;
}

/* Several may follow one, which does not know them. */
static bool follows_another(const struct sa *sa, const struct sa *follows)
{
	return follows && sa->natt->peer != &follows->natt->own_peer;
}

bool links_differ(const struct control *control, const struct links *links, size_t place)
{
	const struct sa *sa = control->sas[place];
	const struct links *want = &links[place];

	return sa->around != want->around || sa->has_inside != want->has_inside ||
	       sa->ipcomp_inside != want->ipcomp_inside || follows_another(sa, want->follows);
}

void links_set(const struct control *control, const struct links *links, size_t place)
{
	struct sa *sa = control->sas[place];

	sa->around = links[place].around;
	sa->has_inside = links[place].has_inside;
	sa->ipcomp_inside = links[place].ipcomp_inside;
	if (links[place].follows)
		natt_link(sa, links[place].follows);
}
