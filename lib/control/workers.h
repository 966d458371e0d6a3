/*
 * The worker threads: made, launched on their lcores, stopped and drained. Main thread only.
 */
#ifndef CULVERT_CONTROL_WORKERS_H
#define CULVERT_CONTROL_WORKERS_H

#include "control/control.h"

/* Make every worker with its crypto queue pair, its queue from control and its ports. Returns 0 or -errno. */
int workers_create(struct control *control, struct err *err);
/* No worker runs. */
void workers_destroy(struct control *control);

/* Start the threads. A snapshot has been published. Returns 0 or -errno; then none runs. */
int workers_launch(struct control *control, struct err *err);
/*
 * Ask them to stop, wait until they have drained, and drop what is left in the queues between them and
 * control.
 */
void workers_stop(struct control *control);

#endif
