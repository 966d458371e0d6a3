/*
 * What the keys of one SA say of each other: which of them belong together, and what a key's length must be.
 *
 * Called by read.c when the keys of an SA have been read, as schema.c's table says. What one SA says of other
 * objects is for model/check.c.
 */
#ifndef CULVERT_CONFIG_SA_RULES_H
#define CULVERT_CONFIG_SA_RULES_H

#include "config/read.h"

/* Add a finding for each contradiction in a struct sa_conf, and name its protocol. */
void sa_rules_check(struct reader *reader, const struct schema_result *result, void *object);

#endif
