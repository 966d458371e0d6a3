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
	char **sas; /* names, innermost first; none unless the action is POLICY_PROTECT */
	size_t n_sas;
	/* POLICY_OUT: answer packets for which there is no SA with ICMP (RFC 4301 section 5.1.1). */
	bool tell_sender;
};

#endif
