#include "control/host_device.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "base/log.h"
#include "control/control.h"
#include "control/host_if.h"
#include "control/rtnl.h"
#include "datapath/worker.h"
#include "fwd/route.h"
#include "net/parse.h"

#define TUN_PATH "/dev/net/tun"
/* Behind every other way that a host may have: those of DHCP and router advertisements are some hundreds. */
#define ROUTE_METRIC 65536
/* Packets that are read at once; more wait in the kernel. */
#define READS_MAX 256

static int tun_open(const char *name, struct err *err)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int error;

	if (fd < 0)
		return err_set(
			err, errno, "host.interface: " TUN_PATH " can't be opened: %s", strerror(errno));
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (ioctl(fd, TUNSETIFF, &request) == 0)
		return fd;
	error = errno;
	close(fd);
	if (error == EPERM)
		return err_set(err, error,
			"host.interface: %s may not be made or taken: that needs CAP_NET_ADMIN, or a device "
			"that `ip tuntap add %s mode tun user USER` made",
			name, name);
	return err_set(
		err, error, "host.interface: %s is no TUN device that is free: %s", name, strerror(error));
}

/* What all links take, so that nothing is too long but for a tunnel. */
static uint32_t mtu_of(const struct gateway *gateway)
{
	uint32_t mtu_bytes = PORT_MTU_MAX;

	for (size_t i = 0; i < gateway->n_ports; i++)
		mtu_bytes = RTE_MIN(mtu_bytes, (uint32_t)gateway->ports[i].mtu_bytes);
	return mtu_bytes;
}

/* The gateway's first address of the family on the unprotected side, or on any. */
static struct ip_addr usual_source(const struct gateway *gateway, uint8_t family)
{
	struct ip_addr found = {.family = IP_NONE};

	for (size_t i = gateway->n_ports; i-- > 0;)
		for (size_t j = gateway->ports[i].n_addresses; j-- > 0;) {
			const struct ip_addr *addr = &gateway->ports[i].addresses[j].addr;

			if (addr->family == family &&
				(found.family == IP_NONE || gateway->ports[i].side == SIDE_UNPROTECTED))
				found = *addr;
		}
	return found;
}

/* A host without IPv6 has none here either, and does not need it. */
static bool lacks_ipv6(int ret)
{
	return ret == -EAFNOSUPPORT || ret == -EOPNOTSUPP || ret == -EACCES;
}

static int addresses_add(const struct gateway *gateway, int rtnl, unsigned interface)
{
	char text[IP_ADDR_TEXT_MAX];
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < gateway->n_ports; i++)
		for (size_t j = 0; ret == 0 && j < gateway->ports[i].n_addresses; j++) {
			const struct ip_addr *addr = &gateway->ports[i].addresses[j].addr;

			ret = rtnl_address_add(rtnl, interface, addr);
			if (addr->family != IP_V6 || !lacks_ipv6(ret))
				continue;
			log_warning("the host has no ipv6 for the host interface address=%s",
				ip_addr_format(addr, text));
			ret = 0;
		}
	return ret;
}

/* Of the families that the gateway has an address of; others would lead nowhere. */
static int routes_add(const struct gateway *gateway, int rtnl, unsigned interface)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < gateway->host.n_routes; i++) {
		const struct ip_prefix *to = &gateway->host.routes[i];
		struct ip_addr source = usual_source(gateway, to->addr.family);

		if (source.family != IP_NONE)
			ret = rtnl_route_add(rtnl, interface, to, &source, ROUTE_METRIC);
		/* It is the same as another, or the host has no IPv6. */
		if (ret == -EEXIST || (source.family == IP_V6 && (lacks_ipv6(ret) || ret == -EINVAL)))
			ret = 0;
	}
	return ret;
}

static int set_up(const struct gateway *gateway, unsigned interface)
{
	int rtnl = rtnl_open();
	int ret = rtnl < 0 ? rtnl : rtnl_no_link_local(rtnl, interface);

	if (lacks_ipv6(ret))
		ret = 0;
	if (ret == 0)
		ret = rtnl_mtu_set(rtnl, interface, mtu_of(gateway));
	if (ret == 0)
		ret = addresses_add(gateway, rtnl, interface);
	if (ret == 0)
		ret = rtnl_up(rtnl, interface);
	if (ret == 0)
		ret = routes_add(gateway, rtnl, interface);
	if (rtnl >= 0)
		close(rtnl);
	return ret;
}

static bool has_address(const struct ifaddrs *entries, const char *name, const struct ip_addr *addr)
{
	int family = addr->family == IP_V4 ? AF_INET : AF_INET6;

	for (const struct ifaddrs *entry = entries; entry; entry = entry->ifa_next) {
		const void *bytes;

		if (strcmp(entry->ifa_name, name) != 0 || !entry->ifa_addr ||
			entry->ifa_addr->sa_family != family)
			continue;
		bytes = family == AF_INET
				? (const void *)&((const struct sockaddr_in *)(void *)entry->ifa_addr)
					  ->sin_addr
				: &((const struct sockaddr_in6 *)(void *)entry->ifa_addr)->sin6_addr;
		if (memcmp(bytes, addr->bytes, ip_family_bytes(addr->family)) == 0)
			return true;
	}
	return false;
}

/* Of a device that somebody else made: what it has not, its maker may have left out on purpose. */
static void look_at(const struct gateway *gateway, const char *name)
{
	struct ifaddrs *entries = NULL;
	char text[IP_ADDR_TEXT_MAX];

	log_info("host_interface=%s made_by=operator", name);
	if (getifaddrs(&entries) != 0)
		return;
	for (size_t i = 0; i < gateway->n_ports; i++)
		for (size_t j = 0; j < gateway->ports[i].n_addresses; j++) {
			const struct ip_addr *addr = &gateway->ports[i].addresses[j].addr;

			if (!has_address(entries, name, addr))
				log_warning(
					"the host interface lacks an address of the gateway, for which the "
					"host takes no packets host_interface=%s address=%s",
					name, ip_addr_format(addr, text));
		}
	freeifaddrs(entries);
}

int host_device_create(struct control *control, struct err *err)
{
	const struct gateway *gateway = control->gateway;
	const char *name = gateway->host.interface;
	bool was_there;
	int fd, ret;

	if (!name)
		return 0;
	was_there = if_nametoindex(name) != 0;
	fd = tun_open(name, err);
	if (fd < 0)
		return fd;
	ret = was_there ? 0 : set_up(gateway, if_nametoindex(name));
	if (ret != 0) {
		close(fd);
		return err_set(err, -ret, "host.interface: %s can't be set up: %s", name, strerror(-ret));
	}
	control->host_device = (struct host_device){.is_open = true, .fd = fd};
	if (was_there)
		look_at(gateway, name);
	else
		log_info("host_interface=%s mtu=%u made_by=culvertd", name, mtu_of(gateway));
	return 0;
}

void host_device_destroy(struct control *control)
{
	if (control->host_device.is_open)
		close(control->host_device.fd);
	control->host_device.is_open = false;
}

/* A call failed: for good, if the device was deleted. */
static void failed(struct control *control, int error)
{
	if (error != EBADFD)
		return;
	log_error("the host interface is gone: the host gets no packets until the daemon is restarted "
		  "host_interface=%s",
		control->gateway->host.interface);
	host_device_destroy(control);
}

static void write_one(struct control *control, struct rte_mbuf *m)
{
	const struct host_device *device = &control->host_device;
	uint32_t bytes = rte_pktmbuf_data_len(m);

	if (device->is_open && write(device->fd, rte_pktmbuf_mtod(m, void *), bytes) == (ssize_t)bytes) {
		control->counters.consumed++;
		control->counters.to_host++;
		rte_pktmbuf_free(m);
		return;
	}
	if (device->is_open)
		failed(control, errno);
	drop_one(&control->counters.drops, m, DROP_host_interface);
}

/* A packet that the host sent. It has no next hop yet, by which the pipeline knows that it is new. */
static void take_one(struct control *control, struct rte_mbuf *m)
{
	enum drop_reason reason;

	*pkt_of(m) = (struct pkt){.port_in = PKT_PORT_HOST};
	control->counters.from_host++;
	reason = parse_host_one(m);
	if (reason != DROP_COUNT) {
		control->counters.generated++;
		drop_one(&control->counters.drops, m, reason);
		return;
	}
	pkt_of(m)->next_hop = ROUTE_NONE;
	host_if_send(control, m);
}

/* False if there is nothing more now, or no buffer for it. */
static bool read_one(struct control *control)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(control->ports.packets);
	ssize_t bytes;

	if (!m)
		return false;
	bytes = read(control->host_device.fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
	if (bytes <= 0) {
		rte_pktmbuf_free(m);
		failed(control, bytes < 0 ? errno : 0);
		return false;
	}
	rte_pktmbuf_append(m, (uint16_t)bytes);
	take_one(control, m);
	return true;
}

/* Half of the queue to the worker stays free for what control itself has to send. */
static bool has_room(const struct control *control)
{
	return rte_ring_count(control->workers[0]->host.from_control) < HOST_QUEUE_PKTS / 2;
}

void host_device_poll(struct control *control)
{
	struct rte_mbuf *m;

	if (!control->to_host)
		return;
	for (unsigned i = 0; i < HOST_STACK_PKTS && rte_ring_dequeue(control->to_host, (void **)&m) == 0; i++)
		write_one(control, m);
	for (unsigned i = 0; i < READS_MAX && control->host_device.is_open && has_room(control); i++)
		if (!read_one(control))
			break;
}
