/*
 * The tables that workers read while control changes them, and the QSBR variable that says when nobody reads
 * what was removed. Main thread only.
 */
#ifndef CULVERT_CONTROL_TABLES_H
#define CULVERT_CONTROL_TABLES_H

#include "control/control.h"

/* All neighbours that neigh_proto may put there. */
#define TABLES_NEIGHBOURS_MAX (NEIGH_DYNAMIC_MAX + NEIGH_STATIC_MAX)

/* Make qsbr, sad, neighbours and the queues of `control`. Returns 0 or -ENOMEM; then none of them is left. */
int tables_create(struct control *control, struct err *err);
/* No worker runs. */
void tables_destroy(struct control *control);

#endif
