/*
 * The log's line for each SA that packets want and that is not there: the policy, and the packet's selectors,
 * by which a key exchange would be begun (RFC 4301 sections 4.4.1 and 5.1.1).
 *
 * Control thread only. Workers limit the events of a policy (datapath/acquire.h), this limits all of them:
 * what is more than ACQUIRE_LOG_PER_S lines in a second is counted, and the next second's first line says how
 * many.
 */
#ifndef CULVERT_CONTROL_ACQUIRE_LOG_H
#define CULVERT_CONTROL_ACQUIRE_LOG_H

#include <stddef.h>
#include <stdint.h>

struct acquire;
struct acquire_table;
struct gateway;

#define ACQUIRE_LOG_PER_S 100

struct acquire_log {
	const char **names; /* of the outbound policies, in their order; borrowed */
	uint64_t second_ns; /* when the current second began */
	unsigned lines;     /* in it */
	uint64_t unlogged;  /* events since the last line */
	/* Told of each that is logged, if it is not NULL. */
	void (*listener)(void *argument, const struct acquire *acquire, const char *policy);
	void *argument;
};

void acquire_log_init(struct acquire_log *log, const struct gateway *gateway);
void acquire_log_fini(struct acquire_log *log);

/* Take what workers posted. `table` may be NULL. Returns the lines logged. */
unsigned acquire_log_poll(struct acquire_log *log, struct acquire_table *table, uint64_t now_ns);

#endif
