/*
 * An entry of the SPD as the operator wants it (RFC 4301 section 4.4.1).
 *
 * Plain data; the gateway model owns it. Policies are searched in the order of the configuration, the first
 * match wins, and a packet that matches none is discarded.
 */
#ifndef CULVERT_MODEL_POLICY_H
#define CULVERT_MODEL_POLICY_H

#include "model/selector.h"

#include <stdbool.h>
#include <stddef.h>

#define POLICY_BUNDLE_MAX 4 /* SAs one around the other */

enum policy_direction {
	POLICY_OUT, /* from the protected side */
	POLICY_IN,  /* towards the protected side */
};

enum policy_action {
	POLICY_DISCARD,
	POLICY_BYPASS,
	POLICY_PROTECT,
};

struct policy {
	char *name;
	enum policy_direction direction;
	enum policy_action action;
	struct selector selector;
	bool icmp_errors; /* POLICY_PROTECT: takes ICMP errors about its packets, whoever sent them
			     (RFC 4301 section 6.2) */
	char **sas;       /* names, a bundle, innermost first; none unless the action is POLICY_PROTECT */
	size_t n_sas;
	/*
	 * Names of further SAs for the same packets. Inbound, they may come out of any of these. Outbound,
	 * the first that is for a packet protects it, and `sas` where none is (model/check_alternatives.h).
	 */
	char **alternatives;
	size_t n_alternatives;
	/* POLICY_OUT: answer packets for which there is no SA with ICMP (RFC 4301 section 5.1.1). */
	bool tell_sender;
	bool is_lasting; /* by a change that no reload undoes, as of a key exchange */
};

#define POLICY_ALTERNATIVES_MAX 1024

/* Free what the policy owns. */
void policy_fini(struct policy *policy);

/* Is the SA of that name among its `sas`? */
bool policy_uses_sa(const struct policy *policy, const char *sa);

/* Do two policies say the same? */
bool policy_equal(const struct policy *a, const struct policy *b);

/* The configuration's keywords. */
static inline const char *policy_direction_name(enum policy_direction direction)
{
	return direction == POLICY_OUT ? "out" : "in";
}

static inline const char *policy_action_name(enum policy_action action)
{
	return action == POLICY_PROTECT ? "protect" : action == POLICY_BYPASS ? "bypass" : "discard";
}

#endif
