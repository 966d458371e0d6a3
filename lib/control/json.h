/*
 * Putting values into a JSON object, as answers and events of the control socket are made.
 *
 * Main thread. The object stays the caller's; a number past 2^63 - 1 is not for here.
 */
#ifndef CULVERT_CONTROL_JSON_H
#define CULVERT_CONTROL_JSON_H

#include "base/addr.h"

#include <stdint.h>

#include <jansson.h>

static inline void json_put_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static inline void json_put_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_string(value));
}

/* Nothing, where there is no address. */
static inline void json_put_address(json_t *object, const char *key, const struct ip_addr *addr)
{
	char text[IP_ADDR_TEXT_MAX];

	if (addr->family != IP_NONE)
		json_put_text(object, key, ip_addr_format(addr, text));
}

#endif
