/*
 * The host interface: a TUN device by which the host's own stack has what is for the gateway's addresses, an
 * IKE daemon's packets, say, and sends what is from them.
 *
 * Main thread only. It is set up before privileges are given up; afterwards its descriptor is all that is
 * needed, and what was made goes with that. A device that was there before is its maker's: nothing of it is
 * changed. If it is deleted meanwhile, that is logged, what would go there is dropped, and all else goes on.
 * Limits: one queue, read and written as often as the control thread comes round.
 */
#ifndef CULVERT_CONTROL_HOST_DEVICE_H
#define CULVERT_CONTROL_HOST_DEVICE_H

#include "base/err.h"

#include <stdbool.h>

struct control;

struct host_device {
	bool is_open; /* false: there is none, or no more */
	int fd;
};

/* Make the device that the configuration names, if it names one. Returns 0 or -errno with err set. */
int host_device_create(struct control *control, struct err *err);
void host_device_destroy(struct control *control);

/*
 * Give the host what the workers have for it, and a worker what the host sends: as much as it has room for,
 * and no more than keeps the thread for a moment. Drops: host_interface; what parse_host_one finds.
 */
void host_device_poll(struct control *control);

#endif
