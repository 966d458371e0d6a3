/*
 * Network interfaces as the kernel has them, set up by rtnetlink(7).
 *
 * Main thread only, at the start, while CAP_NET_ADMIN may be there. Each call returns 0 or the kernel's
 * -errno. Limits: what the host interface needs (control/host_device.h).
 */
#ifndef CULVERT_CONTROL_RTNL_H
#define CULVERT_CONTROL_RTNL_H

#include "base/addr.h"

#include <stdint.h>

/* A socket to the kernel, or -errno. The caller closes it. */
int rtnl_open(void);

/* IPv6 on the interface takes no address by itself. */
int rtnl_no_link_local(int fd, unsigned interface);
int rtnl_mtu_set(int fd, unsigned interface, uint32_t mtu_bytes);
int rtnl_up(int fd, unsigned interface);

/* The interface has the address, alone: there is no link that others are on. */
int rtnl_address_add(int fd, unsigned interface, const struct ip_addr *address);

/*
 * These destinations are behind the interface, and what is sent there is from `source` where the sender says
 * nothing else (family IP_NONE: the kernel chooses). Of routes to the same prefix the kernel takes the lowest
 * metric.
 */
int rtnl_route_add(int fd, unsigned interface, const struct ip_prefix *to, const struct ip_addr *source,
	uint32_t metric);

#endif
