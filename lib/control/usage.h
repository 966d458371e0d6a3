/*
 * How full what is bounded is: tables, queues and pools, by name.
 *
 * Any thread, while control is up: each number is read by itself, and may be old when it is looked at.
 */
#ifndef CULVERT_CONTROL_USAGE_H
#define CULVERT_CONTROL_USAGE_H

#include "control/control.h"

#include <stddef.h>
#include <stdint.h>

#define USAGE_NAME_MAX 32
/* Tables and pools that there is one of, and two of each worker. */
#define USAGE_MAX (16 + 2 * GATEWAY_WORKERS_MAX)

struct usage {
	char name[USAGE_NAME_MAX];
	uint64_t used;
	uint64_t capacity;
};

/*
 * Into `out`, which has room for USAGE_MAX; returns how many. Tables: `sad_in`, `sad_out`, `neighbours`,
 * `held` (packets that wait for a neighbour), `reassembly0` (a worker's fragments), `to_control`,
 * `from_control0`, `to_host` (queues between workers and control), `acquires`, `replies` (flows of peers).
 */
size_t usage_of_tables(const struct control *control, struct usage out[USAGE_MAX]);
/* Pools of packet buffers: `packets`, `large`. */
size_t usage_of_pools(const struct control *control, struct usage out[USAGE_MAX]);

#endif
