#include "model/policy.h"
#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void policy_fini(struct policy *policy)
{
	selector_fini(&policy->selector);
	names_free(policy->sas, policy->n_sas);
	names_free(policy->alternatives, policy->n_alternatives);
	free(policy->name);
	*policy = (struct policy){0};
}

bool policy_uses_sa(const struct policy *policy, const char *sa)
{
	for (size_t i = 0; i < policy->n_sas; i++)
		if (strcmp(policy->sas[i], sa) == 0)
			return true;
	return false;
}

bool policy_equal(const struct policy *a, const struct policy *b)
{
	return texts_equal(a->name, b->name) && a->direction == b->direction && a->action == b->action &&
	       selector_equal(&a->selector, &b->selector) && a->icmp_errors == b->icmp_errors &&
	       a->tell_sender == b->tell_sender && a->is_lasting == b->is_lasting &&
	       names_equal(a->sas, a->n_sas, b->sas, b->n_sas) &&
	       names_equal(a->alternatives, a->n_alternatives, b->alternatives, b->n_alternatives);
}
