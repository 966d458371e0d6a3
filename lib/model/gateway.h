/*
 * The whole gateway as the operator wants it: what one configuration file says, as plain data.
 *
 * config/ fills it, model/check.c checks it, control/ turns it into run-time objects. It owns all that it
 * points to. Limits: it says nothing of the state that a running gateway has.
 */
#ifndef CULVERT_MODEL_GATEWAY_H
#define CULVERT_MODEL_GATEWAY_H

#include "base/addr.h"
#include "base/icmp_kind.h"
#include "model/policy.h"
#include "model/sa_conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATEWAY_WORKERS_MAX 64
#define GATEWAY_PORTS_MAX   32
#define PORT_MTU_MIN        1280 /* RFC 8200 section 5 */
#define PORT_MTU_MAX        9000
#define PORT_MTU_DEFAULT    1500
#define PORT_VLAN_NONE      0
#define PORT_VLAN_MAX       4094

enum port_side {
	SIDE_PROTECTED,
	SIDE_UNPROTECTED,
};

struct port_conf {
	char *name;
	char *device; /* a PCI address, or a DPDK vdev string */
	enum port_side side;
	struct ip_prefix *addresses; /* the gateway's own, with the prefix of the link */
	size_t n_addresses;
	uint16_t mtu_bytes; /* of an IP packet */
	uint16_t vlan;      /* 802.1Q tag of all frames, or PORT_VLAN_NONE */
};

struct route_conf {
	struct ip_prefix to;
	struct ip_addr via; /* a neighbour on one of the ports' links */
};

struct neighbour_conf {
	char *port;
	struct ip_addr address;
	struct mac_addr mac;
};

enum crypto_mode {
	CRYPTO_AUTO,  /* for each algorithm, the faster of the two that the driver has */
	CRYPTO_SYNC,  /* on the worker, in the call */
	CRYPTO_ASYNC, /* enqueue, and dequeue later */
};

struct workers_conf {
	unsigned *lcores; /* CPU numbers, one pinned worker each */
	size_t n_lcores;
	char **crypto; /* drivers in order of preference */
	size_t n_crypto;
	enum crypto_mode crypto_mode;
	uint32_t idle_sleep_us; /* the longest sleep of a worker that finds nothing to do; 0: poll without
				   rest */
};

/* SAs that there is room for beside twice those of the file: each may be rekeyed, and others come. */
#define MEMORY_SAS_MORE 1024

struct memory_conf {
	bool hugepages;
	uint32_t size_mb; /* 0: as needed, from the hugepages there are */
	uint32_t packets; /* packet buffers in the pool; 0: computed from ports and workers */
	uint32_t sas;     /* that there is room for; 0: gateway_sas_room() */
};

/* For each worker, at least. */
#define MEMORY_PACKETS_EACH 512u

/* The MTU of a path that ICMP may tell at least: what every host takes whole (RFC 1122 section 3.3.2). */
#define PATH_MTU_IPV4_MIN     68 /* RFC 791 section 3.2 */
#define PATH_MTU_IPV4_DEFAULT 576
#define PATH_MTU_IPV6_MIN     1280 /* RFC 8201 section 4 */
/* RFC 1191 section 6.3: ten minutes; section 3: no less than five. */
#define PATH_MTU_AGE_MIN_S     300
#define PATH_MTU_AGE_MAX_S     86400
#define PATH_MTU_AGE_DEFAULT_S 600

/* What is made of ICMP errors from the unprotected side, which nobody has authenticated. */
struct icmp_conf {
	enum icmp_kind *accept; /* RFC 4301 section 6.1.1; others are dropped */
	size_t n_accept;
	uint16_t path_mtu_min_ipv4; /* no ICMP error makes an SA's path narrower than this */
	uint16_t path_mtu_min_ipv6;
	uint32_t path_mtu_age_s;
};

#define METRICS_PORT_USUAL 9464 /* of what exports metrics for Prometheus */

/* Where metrics are served over HTTP. */
struct metrics_conf {
	struct ip_addr address;
	uint16_t port; /* 0: they are not served */
	bool sas;      /* of each SA too */
};

#define HOST_INTERFACE_NAME_MAX 15 /* the kernel's IFNAMSIZ, less the end */

/* The network interface by which the host's own stack has what is for the gateway itself. */
struct host_conf {
	char *interface;          /* NULL: there is none */
	struct ip_prefix *routes; /* what the host reaches by it, where it has no better way */
	size_t n_routes;
};

struct gateway {
	char *control_directory; /* lock and sockets; one daemon holds it */
	char *state_directory;   /* what must outlive the daemon; one daemon holds it too */
	char *control_socket;    /* NULL: in the directory */
	char *control_group;     /* whose members may use the socket */
	bool audit;              /* log auditable events, RFC 4301 section 9 */
	char *capture_directory; /* where captures are written; NULL: none is */
	bool capture_inner;      /* captures may show what tunnels protect */
	struct workers_conf workers;
	struct memory_conf memory;
	struct port_conf *ports;
	size_t n_ports;
	struct route_conf *routes;
	size_t n_routes;
	struct neighbour_conf *neighbours;
	size_t n_neighbours;
	struct sa_conf *sas;
	size_t n_sas;
	struct policy *policies;
	size_t n_policies;
	struct icmp_conf icmp;
	struct metrics_conf metrics;
	struct host_conf host;
};

/* An empty gateway with every default in place. */
void gateway_init(struct gateway *gateway);

/* Wipe the keys and free all that the gateway owns; it is empty again. */
void gateway_fini(struct gateway *gateway);

/* How many SAs there is to be room for, those that come while it runs among them. */
size_t gateway_sas_room(const struct gateway *gateway);

/* Index of the port, or -1. For the names of SAs and policies, which are many, see model/name_index.h. */
int gateway_find_port(const struct gateway *gateway, const char *name);

/* The port that has this very address, or -1. */
int gateway_find_own_address(const struct gateway *gateway, const struct ip_addr *addr);

/* The port on whose link the address lies, or -1. */
int gateway_find_link(const struct gateway *gateway, const struct ip_addr *addr);

/* An SA that ends at this gateway is inbound: its destination is one of the gateway's own addresses. */
bool gateway_sa_is_inbound(const struct gateway *gateway, const struct sa_conf *sa);

#endif
