#include "model/bundle.h"
#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_TEXT_MAX 80

#define NOT_FOR_ENDS                                                                                         \
	"is in transport mode: the policy's source and destination must be the SA's, and a gateway tunnels " \
	"what it forwards"

struct bundles {
	const struct gateway *gateway;
	const struct name_index *names;
	struct report *report;
};

/* One place in a policy's list. */
struct step {
	size_t policy;
	size_t index;
};

static const struct policy *policy_of(const struct bundles *bundles, struct step step)
{
	return &bundles->gateway->policies[step.policy];
}

/* BUNDLE_NONE past the ends of the list, and where there is no such SA. */
static size_t sa_index_at(const struct bundles *bundles, size_t policy, size_t index)
{
	const struct policy *of = &bundles->gateway->policies[policy];
	long found = index < of->n_sas ? name_index_find(bundles->names, of->sas[index]) : -1;

	return found < 0 ? BUNDLE_NONE : (size_t)found;
}

static const struct sa_conf *sa_at(const struct bundles *bundles, struct step step)
{
	size_t index = sa_index_at(bundles, step.policy, step.index);

	return index == BUNDLE_NONE ? NULL : &bundles->gateway->sas[index];
}

static void fault(const struct bundles *bundles, struct step step, const char *name, const char *text)
{
	char path[PATH_TEXT_MAX];

	if (!bundles->report)
		return;
	snprintf(path, sizeof(path), "policies[%zu].sas[%zu]", step.policy, step.index);
	report_add(bundles->report, path, "'%s' %s", name, text);
}

/* What is around the SA here must be what was around it before. */
static void place_set(const struct bundles *bundles, struct bundle_place *places, struct step step)
{
	const char *name = policy_of(bundles, step)->sas[step.index];
	size_t index = sa_index_at(bundles, step.policy, step.index);
	size_t around = sa_index_at(bundles, step.policy, step.index + 1);

	if (index == BUNDLE_NONE || around == index)
		return;
	if (places[index].policy == BUNDLE_NONE) {
		places[index].policy = step.policy;
		places[index].around = around;
	} else if (places[index].around != around) {
		fault(bundles, step, name,
			"is in another bundle elsewhere; an SA has the same SAs around it in all policies");
		return;
	}
	if (around != BUNDLE_NONE && places[around].inside == BUNDLE_NONE)
		places[around].inside = index;
}

struct bundle_place *bundles_make(
	const struct gateway *gateway, const struct name_index *names, struct report *report)
{
	const struct bundles bundles = {gateway, names, report};
	struct bundle_place *places = xcalloc(gateway->n_sas + 1, sizeof(*places));

	for (size_t i = 0; i < gateway->n_sas; i++)
		places[i] = (struct bundle_place){BUNDLE_NONE, BUNDLE_NONE, BUNDLE_NONE};
	for (size_t i = 0; i < gateway->n_policies; i++)
		for (size_t j = 0; j < gateway->policies[i].n_sas; j++)
			place_set(&bundles, places, (struct step){i, j});
	return places;
}

static bool is_twice(const struct bundles *bundles, struct step step)
{
	size_t index = sa_index_at(bundles, step.policy, step.index);

	for (size_t i = 0; i < step.index; i++)
		if (sa_index_at(bundles, step.policy, i) == index)
			return true;
	return false;
}

static bool is_only(const struct ip_range *ranges, size_t n, const struct ip_addr *addr)
{
	return n == 1 && ip_addr_equal(&ranges[0].first, addr) && ip_addr_equal(&ranges[0].last, addr);
}

/* RFC 4301 section 4.1: a gateway tunnels what it forwards. */
static bool is_for_ends(const struct policy *policy, const struct sa_conf *sa)
{
	const struct selector *selector = &policy->selector;

	return is_only(selector->sources, selector->n_sources, &sa->source) &&
	       is_only(selector->destinations, selector->n_destinations, &sa->destination);
}

static bool ends_are_equal(const struct sa_conf *a, const struct sa_conf *b)
{
	return ip_addr_equal(&a->source, &b->source) && ip_addr_equal(&a->destination, &b->destination);
}

static void check_transport(const struct bundles *bundles, struct step step, const struct sa_conf *sa)
{
	const struct sa_conf *inside =
		step.index > 0 ? sa_at(bundles, (struct step){step.policy, step.index - 1}) : NULL;

	if (step.index == 0 && !is_for_ends(policy_of(bundles, step), sa))
		fault(bundles, step, sa->name, NOT_FOR_ENDS);
	if (inside && !ends_are_equal(inside, sa))
		fault(bundles, step, sa->name,
			"is in transport mode, but has other ends than the SA inside it");
}

static void check_step(const struct bundles *bundles, struct step step)
{
	const struct sa_conf *sa = sa_at(bundles, step);

	if (!sa)
		return;
	if (is_twice(bundles, step))
		fault(bundles, step, sa->name, "is in the bundle twice");
	if (sa->protocol == SA_IPCOMP && step.index > 0)
		fault(bundles, step, sa->name,
			"is IPComp, which comes first: what is encrypted can't be compressed");
	if (sa->protocol == SA_IPCOMP && policy_of(bundles, step)->n_sas == 1)
		fault(bundles, step, sa->name, "is IPComp, which protects nothing; ESP or AH must follow");
	if (sa->encap == SA_ENCAP_UDP && step.index + 1 < policy_of(bundles, step)->n_sas)
		fault(bundles, step, sa->name, "goes in UDP, which no other SA can be around");
	if (sa->mode == SA_TRANSPORT && sa->source.family != IP_NONE && sa->destination.family != IP_NONE)
		check_transport(bundles, step, sa);
}

/* What is an alternative takes the place of the innermost SA, so it is held to the same. */
static void check_alternative(const struct bundles *bundles, size_t index, size_t number)
{
	const struct policy *policy = &bundles->gateway->policies[index];
	long found = name_index_find(bundles->names, policy->alternatives[number]);
	const struct sa_conf *sa = found < 0 ? NULL : &bundles->gateway->sas[found];
	char path[PATH_TEXT_MAX];

	if (!sa || sa->source.family == IP_NONE || sa->destination.family == IP_NONE)
		return;
	snprintf(path, sizeof(path), "policies[%zu].alternatives[%zu]", index, number);
	if (sa->protocol == SA_IPCOMP)
		report_add(bundles->report, path, "'%s' is IPComp, which protects nothing", sa->name);
	else if (sa->mode == SA_TRANSPORT && !is_for_ends(policy, sa))
		report_add(bundles->report, path, "'%s' " NOT_FOR_ENDS, sa->name);
}

void bundles_check(const struct gateway *gateway, const struct name_index *names, struct report *report)
{
	const struct bundles bundles = {gateway, names, report};

	for (size_t i = 0; i < gateway->n_policies; i++) {
		for (size_t j = 0; j < gateway->policies[i].n_sas; j++)
			check_step(&bundles, (struct step){i, j});
		for (size_t j = 0; j < gateway->policies[i].n_alternatives; j++)
			check_alternative(&bundles, i, j);
	}
	free(bundles_make(gateway, names, report));
}
