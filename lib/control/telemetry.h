/*
 * Telemetry: what DPDK's own tools can ask of a running gateway, under /culvert/.
 *
 *   /culvert/ports          packets, bytes and drops of each port
 *   /culvert/drops          drop reasons that occurred, with their counts
 *   /culvert/sas[,START]    names of SAs, from number START on, as many as a reply holds
 *   /culvert/sa,NAME        one SA: its counters and drop reasons; never a key
 *   /culvert/policies[,START]  and  /culvert/policy,NAME  the same of policies
 *   /culvert/workers        loops, how many of them found packets and their time, and what they took from
 * ports /culvert/tables         how full tables and queues are /culvert/pools          packet buffers in use
 *   /culvert/totals         the balance: received, generated, sent, dropped, consumed, held; to and from the
 * host
 *
 * The callbacks run on EAL's telemetry thread and only read counters. Main thread for begin and end.
 */
#ifndef CULVERT_CONTROL_TELEMETRY_H
#define CULVERT_CONTROL_TELEMETRY_H

#include "control/control.h"

/* Register the commands. Returns 0, or -errno with err set. */
int telemetry_begin(struct control *control, struct err *err);
/* From here on the commands answer that the gateway is stopping; waits for one that is being answered. */
void telemetry_end(struct control *control);

#endif
