#include "control/ports.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "base/array.h"
#include "base/log.h"
#include "control/eal.h"

_Static_assert(GATEWAY_PORTS_MAX <= PKT_PORTS_MAX, "a port's index fits into the packet's metadata");

#define PORT_DESCRIPTORS 1024
#define POOL_CACHE_PKTS  256
/*
 * Buffers in the caches of all threads are one part in so many at most, and half as many again (a cache
 * overflows at one and a half times its size): what one thread has freed no other can take.
 */
#define POOL_CACHE_SHARE 4
/* Tailroom that the tunnel's padding, trailer and ICV need, generously. */
#define POOL_TAILROOM_BYTES 128
#define POOL_FRAME_BYTES    2048
/*
 * Buffers of a worker for packets that came in fragments and are longer than a frame. They live for one pass,
 * and as long as the crypto takes, and are never sent: frames are all of one pool (conf_make).
 */
#define LARGE_PKTS 64
#define RSS_TYPES  (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_ESP)

/*
 * Buffers for every ring in the gateway to be full at once; one less than a power of two suits a mempool
 * best.
 */
static uint32_t pool_packets(const struct gateway *gateway)
{
	size_t n_workers = gateway->workers.n_lcores;
	size_t needed =
		2 * PORT_DESCRIPTORS * gateway->n_ports * n_workers +
		n_workers * (CRYPTO_QUEUE_DEPTH + 2 * POOL_CACHE_PKTS + HOST_QUEUE_PKTS + REASS_PKTS_MAX) +
		HOST_QUEUE_PKTS + HOST_STACK_PKTS;
	uint32_t packets = 4096;

	if (gateway->memory.packets)
		return gateway->memory.packets;
	while (packets - 1 < needed)
		packets *= 2;
	return packets - 1;
}

/* Of each worker and of control. */
static uint32_t pool_cache(const struct gateway *gateway, uint32_t packets)
{
	size_t n_threads = gateway->workers.n_lcores + 1;

	return RTE_MIN(packets / (uint32_t)(POOL_CACHE_SHARE * n_threads), (uint32_t)POOL_CACHE_PKTS);
}

static int pool_create(const struct gateway *gateway, struct ports *ports, struct err *err)
{
	uint32_t packets = pool_packets(gateway);
	uint32_t frame = POOL_FRAME_BYTES;

	for (size_t i = 0; i < gateway->n_ports; i++)
		frame = RTE_MAX(
			frame, (uint32_t)gateway->ports[i].mtu_bytes + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN);
	ports->packets =
		rte_pktmbuf_pool_create("packets", packets, pool_cache(gateway, packets), sizeof(struct pkt),
			(uint16_t)(RTE_PKTMBUF_HEADROOM + frame + POOL_TAILROOM_BYTES), (int)rte_socket_id());
	if (!ports->packets)
		return err_set(err, ENOMEM,
			"no memory for %u packet buffers of %u bytes: %s; raise memory.size_mb or lower "
			"memory.packets",
			packets, frame, rte_strerror(rte_errno));
	ports->large = rte_pktmbuf_pool_create("large", (unsigned)(LARGE_PKTS * gateway->workers.n_lcores), 0,
		sizeof(struct pkt), UINT16_MAX, (int)rte_socket_id());
	if (!ports->large)
		return err_set(err, ENOMEM, "no memory for buffers of 64 kB: %s; raise memory.size_mb",
			rte_strerror(rte_errno));
	return 0;
}

/* The name of a virtual device: what stands before the first comma of `driver,arguments`. */
static int vdev_name(const char *device, char name[RTE_ETH_NAME_MAX_LEN])
{
	size_t length = strcspn(device, ",");

	if (length >= RTE_ETH_NAME_MAX_LEN)
		return -ENAMETOOLONG;
	memcpy(name, device, length);
	name[length] = '\0';
	return 0;
}

static int vdev_open(const char *device, uint16_t *ethdev)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	const char *arguments = strchr(device, ',');
	int ret = vdev_name(device, name);

	if (ret == 0)
		ret = rte_eal_hotplug_add("vdev", name, arguments ? arguments + 1 : "");
	return ret == 0 ? rte_eth_dev_get_port_by_name(name, ethdev) : ret;
}

/* Close the port; a virtual device goes away with it. */
static void device_close(const struct port *port)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	rte_eth_dev_close(port->ethdev);
	if (!device_is_pci(port->conf->device) && vdev_name(port->conf->device, name) == 0)
		rte_eal_hotplug_remove("vdev", name);
}

static int device_open(struct port *port, struct err *err)
{
	const struct port_conf *conf = port->conf;

	if (device_is_pci(conf->device)) {
		if (rte_eth_dev_get_port_by_name(conf->device, &port->ethdev) != 0)
			return err_set(err, ENODEV,
				"port %s: no device %s; `dpdk-devbind.py --status` lists them, and it must "
				"be bound to vfio-pci",
				conf->name, conf->device);
		return 0;
	}
	if (vdev_open(conf->device, &port->ethdev) != 0)
		return err_set(err, ENODEV,
			"port %s: the device '%s' can't be opened: no such driver, or wrong arguments",
			conf->name, conf->device);
	return 0;
}

static void conf_make(const struct rte_eth_dev_info *info, const struct port *port, struct rte_eth_conf *conf)
{
	*conf = (struct rte_eth_conf){
		/* Drivers size their receive buffers by it, when a queue is set up. */
		.rxmode.mtu = RTE_MIN(port->conf->mtu_bytes, info->max_mtu),
		.rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM,
		/* All packets are of one pool and nobody shares them. */
		.txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE,
	};
	if (port->n_rx_queues > 1 && (info->flow_type_rss_offloads & RSS_TYPES)) {
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RSS_TYPES;
	}
}

static int queues_setup(struct port *port, const struct rte_eth_dev_info *info, struct rte_mempool *packets)
{
	uint16_t n_rx = PORT_DESCRIPTORS, n_tx = PORT_DESCRIPTORS;
	int socket = rte_eth_dev_socket_id(port->ethdev);
	struct rte_eth_conf conf;
	int ret;

	conf_make(info, port, &conf);
	ret = rte_eth_dev_configure(port->ethdev, port->n_rx_queues, port->n_tx_queues, &conf);
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(port->ethdev, &n_rx, &n_tx);
	for (uint16_t i = 0; ret == 0 && i < port->n_rx_queues; i++)
		ret = rte_eth_rx_queue_setup(port->ethdev, i, n_rx, (unsigned)socket, NULL, packets);
	for (uint16_t i = 0; ret == 0 && i < port->n_tx_queues; i++)
		ret = rte_eth_tx_queue_setup(port->ethdev, i, n_tx, (unsigned)socket, NULL);
	return ret;
}

static int port_open(const struct port_conf *conf, uint16_t n_workers, struct rte_mempool *packets,
	struct port *port, struct err *err)
{
	struct rte_eth_dev_info info;
	int ret;

	*port = (struct port){.conf = conf};
	ret = device_open(port, err);
	if (ret != 0)
		return ret;
	ret = rte_eth_dev_info_get(port->ethdev, &info);
	if (ret == 0 && (info.max_rx_queues == 0 || info.max_tx_queues == 0))
		ret = -ENOTSUP;
	port->n_rx_queues = RTE_MIN(n_workers, info.max_rx_queues);
	port->n_tx_queues = RTE_MIN(n_workers, info.max_tx_queues);
	if (ret == 0)
		ret = queues_setup(port, &info, packets);
	if (ret == 0)
		ret = rte_eth_macaddr_get(port->ethdev, &port->mac);
	if (ret != 0) {
		device_close(port);
		return err_set(err, EIO, "port %s: the device '%s' can't be set up: %s", conf->name,
			conf->device, rte_strerror(-ret));
	}
	/* Virtual devices often have no MTU to set; the data path checks lengths itself. */
	if (rte_eth_dev_set_mtu(port->ethdev, conf->mtu_bytes) != 0)
		log_info("the mtu is not the device's to set port=%s mtu=%u", conf->name, conf->mtu_bytes);
	/* Neighbour discovery comes by multicast. */
	if (rte_eth_allmulticast_enable(port->ethdev) != 0 && rte_eth_promiscuous_enable(port->ethdev) != 0)
		log_info("there is no multicast filter port=%s", conf->name);
	return 0;
}

int ports_open(const struct gateway *gateway, struct ports *ports, struct err *err)
{
	*ports = (struct ports){0};
	int ret = pool_create(gateway, ports, err);

	for (size_t i = 0; ret == 0 && i < gateway->n_ports; i++) {
		ret = port_open(&gateway->ports[i], (uint16_t)gateway->workers.n_lcores, ports->packets,
			&ports->ports[i], err);
		if (ret == 0)
			ports->n_ports++;
	}
	if (ret != 0)
		ports_close(ports);
	return ret;
}

void ports_close(struct ports *ports)
{
	while (ports->n_ports > 0)
		device_close(&ports->ports[--ports->n_ports]);
	rte_mempool_free(ports->packets);
	rte_mempool_free(ports->large);
	ports->packets = NULL;
	ports->large = NULL;
}

int ports_start(struct ports *ports, struct err *err)
{
	for (size_t i = 0; i < ports->n_ports; i++) {
		struct port *port = &ports->ports[i];
		char mac[MAC_ADDR_TEXT_MAX];
		int ret = rte_eth_dev_start(port->ethdev);

		if (ret != 0) {
			ports_stop(ports);
			return err_set(err, EIO, "port %s: the device '%s' does not start: %s",
				port->conf->name, port->conf->device, rte_strerror(-ret));
		}
		port->started = true;
		log_info("port=%s device=%s side=%s mac=%s mtu=%u", port->conf->name, port->conf->device,
			port->conf->side == SIDE_PROTECTED ? "protected" : "unprotected",
			mac_addr_format((const struct mac_addr *)&port->mac, mac), port->conf->mtu_bytes);
	}
	return 0;
}

void ports_stop(struct ports *ports)
{
	for (size_t i = 0; i < ports->n_ports; i++) {
		if (ports->ports[i].started)
			rte_eth_dev_stop(ports->ports[i].ethdev);
		ports->ports[i].started = false;
	}
}

static void assign_rx(const struct port *port, uint8_t index, struct worker *const *workers,
	unsigned n_workers, unsigned *next)
{
	for (uint16_t queue = 0; queue < port->n_rx_queues; queue++) {
		struct worker *w = workers[(*next)++ % n_workers];

		w->rx[w->n_rx++] = (struct worker_rx){.ethdev = port->ethdev, .queue = queue, .port = index};
		log_info("a worker polls worker=%u port=%s rx_queue=%u", w->index, port->conf->name, queue);
	}
	if (port->n_rx_queues < n_workers)
		log_warning("fewer rx queues than workers: the others don't receive from it port=%s "
			    "rx_queues=%u workers=%u",
			port->conf->name, port->n_rx_queues, n_workers);
}

static void assign_tx(struct port *port, uint8_t index, struct worker *const *workers, unsigned n_workers)
{
	for (unsigned i = 0; i < n_workers; i++) {
		uint16_t queue = (uint16_t)(i % port->n_tx_queues);

		workers[i]->tx.n_ports = index + 1;
		workers[i]->tx.ports[index] = (struct tx_port){
			.ethdev = port->ethdev,
			.queue = queue,
			.lock = port->n_tx_queues < n_workers ? &port->tx_locks[queue] : NULL,
		};
	}
	if (port->n_tx_queues < n_workers)
		log_warning("fewer tx queues than workers: they share them under a lock port=%s tx_queues=%u "
			    "workers=%u",
			port->conf->name, port->n_tx_queues, n_workers);
}

void ports_assign(struct ports *ports, struct worker *const *workers, unsigned n_workers)
{
	unsigned next = 0;

	for (size_t i = 0; i < ports->n_ports; i++) {
		assign_rx(&ports->ports[i], (uint8_t)i, workers, n_workers, &next);
		assign_tx(&ports->ports[i], (uint8_t)i, workers, n_workers);
	}
}

/* As the kernel sees it: up, and with a carrier. */
static bool interface_is_running(const char *name)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return true; /* not known */
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	ret = ioctl(fd, SIOCGIFFLAGS, &request);
	close(fd);
	return ret == 0 && (request.ifr_flags & IFF_UP) && (request.ifr_flags & IFF_RUNNING);
}

/* What this daemon's user may not look at is not known to be gone. */
static bool file_is_there(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

/* Is what `key=value` names there? */
static bool argument_is_there(const char *argument)
{
	static const char *const interfaces[] = {"iface=", "rx_iface=", "rx_iface_in=", "tx_iface="};
	static const char *const files[] = {"rx_pcap=", "tx_pcap="};

	for (size_t i = 0; i < RTE_DIM(interfaces); i++)
		if (strncmp(argument, interfaces[i], strlen(interfaces[i])) == 0)
			return interface_is_running(argument + strlen(interfaces[i]));
	for (size_t i = 0; i < RTE_DIM(files); i++)
		if (strncmp(argument, files[i], strlen(files[i])) == 0)
			return file_is_there(argument + strlen(files[i]));
	return true;
}

/*
 * Most drivers of virtual devices call the link up as long as it is started, whatever becomes of the network
 * interface or the files behind it.
 */
static bool backing_is_there(const char *device)
{
	char *arguments = xstrdup(device), *rest = arguments;
	const char *argument;
	bool is_there = true;

	while (is_there && (argument = strsep(&rest, ",")) != NULL)
		is_there = argument_is_there(argument);
	free(arguments);
	return is_there;
}

bool ports_link_is_up(const struct port *port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port->ethdev, &link) == 0 && link.link_status == RTE_ETH_LINK_UP &&
	       (device_is_pci(port->conf->device) || backing_is_there(port->conf->device));
}
