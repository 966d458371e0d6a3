/*
 * A small gateway without faults, for the suites of model: ports lan and wan, SAs up (outbound) and down
 * (inbound), and a policy for each. The caller owns it: gateway_fini.
 */
#ifndef CULVERT_TESTS_UNIT_MODEL_SAMPLE_H
#define CULVERT_TESTS_UNIT_MODEL_SAMPLE_H

#include "base/array.h"
#include "model/gateway.h"

#include <check.h>
#include <string.h>

static inline struct ip_addr sample_addr(const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	return addr;
}

static inline struct ip_prefix sample_prefix(const char *text)
{
	struct ip_prefix prefix;

	ck_assert_int_eq(ip_prefix_parse(text, &prefix), 0);
	return prefix;
}

static inline struct port_conf *sample_add_port(struct gateway *gateway, const char *name, const char *device,
	enum port_side side, const char *address)
{
	struct port_conf *port = array_append(&gateway->ports, &gateway->n_ports);

	port->name = xstrdup(name);
	port->device = xstrdup(device);
	port->side = side;
	*array_append(&port->addresses, &port->n_addresses) = sample_prefix(address);
	return port;
}

static inline struct sa_conf *sample_add_sa(
	struct gateway *gateway, const char *name, uint32_t spi, const char *source, const char *destination)
{
	struct sa_conf *sa = array_append(&gateway->sas, &gateway->n_sas);

	sa->name = xstrdup(name);
	sa->protocol = SA_ESP;
	sa->spi = spi;
	sa->source = sample_addr(source);
	sa->destination = sample_addr(destination);
	sa->alg = alg_find("aes128gcm16");
	sa->key.length_bytes = alg_key_bytes(sa->alg);
	sa->key.bytes[0] = (uint8_t)gateway->n_sas;
	return sa;
}

static inline struct policy *sample_add_policy(
	struct gateway *gateway, const char *name, enum policy_direction direction, const char *sa)
{
	struct policy *policy = array_append(&gateway->policies, &gateway->n_policies);

	selector_init(&policy->selector);
	policy->name = xstrdup(name);
	policy->direction = direction;
	policy->action = sa ? POLICY_PROTECT : POLICY_BYPASS;
	if (sa)
		*array_append(&policy->sas, &policy->n_sas) = xstrdup(sa);
	return policy;
}

static inline void sample_add_route(struct gateway *gateway, const char *to, const char *via)
{
	*array_append(&gateway->routes, &gateway->n_routes) =
		(struct route_conf){.to = sample_prefix(to), .via = sample_addr(via)};
}

static inline void sample_add_neighbour(struct gateway *gateway, const char *port, const char *address)
{
	*array_append(&gateway->neighbours, &gateway->n_neighbours) =
		(struct neighbour_conf){.port = xstrdup(port), .address = sample_addr(address), .mac = {{2}}};
}

static inline void sample_init(struct gateway *gateway)
{
	gateway_init(gateway);
	sample_add_port(gateway, "lan", "net_tap0", SIDE_PROTECTED, "10.1.0.1/24");
	sample_add_port(gateway, "wan", "net_tap1", SIDE_UNPROTECTED, "192.0.2.1/24");
	sample_add_sa(gateway, "up", 0x1001, "192.0.2.1", "198.51.100.1");
	sample_add_sa(gateway, "down", 0x2001, "198.51.100.1", "192.0.2.1");
	sample_add_policy(gateway, "out", POLICY_OUT, "up");
	sample_add_policy(gateway, "in", POLICY_IN, "down");
}

#endif
