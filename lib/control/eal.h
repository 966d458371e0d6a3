/*
 * DPDK's environment, set up from the configuration: CPUs, memory, PCI devices.
 *
 * Main thread only, once in a process. What the machine lacks is said in one sentence with its cure.
 */
#ifndef CULVERT_CONTROL_EAL_H
#define CULVERT_CONTROL_EAL_H

#include "base/err.h"
#include "model/gateway.h"

#include <stdbool.h>

/*
 * Start EAL: worker i becomes EAL's lcore i + 1, pinned to the CPU workers.lcores[i]; the calling thread
 * becomes lcore 0 and may run on the other CPUs (on all of them if workers have all). Only the PCI devices
 * that the configuration names are touched. Sockets of telemetry go to `directory`. Returns 0, -EINVAL for a
 * CPU that isn't there, -ENOMEM without hugepages, -EIO for what else EAL refuses.
 */
int eal_begin(const struct gateway *gateway, const char *directory, struct err *err);
void eal_end(void);

/* Is the device a PCI address (0000:41:00.0, or 41:00.0), not a vdev string? */
bool device_is_pci(const char *device);

#endif
