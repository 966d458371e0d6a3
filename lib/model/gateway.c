#include "model/gateway.h"
#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_SLEEP_DEFAULT_US 50

void gateway_init(struct gateway *gateway)
{
	*gateway = (struct gateway){
		.workers = {.idle_sleep_us = IDLE_SLEEP_DEFAULT_US},
		.memory = {.hugepages = true},
		.icmp = {.path_mtu_min_ipv4 = PATH_MTU_IPV4_DEFAULT,
			.path_mtu_min_ipv6 = PATH_MTU_IPV6_MIN,
			.path_mtu_age_s = PATH_MTU_AGE_DEFAULT_S},
	};
}

static void ports_fini(struct gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_ports; i++) {
		free(gateway->ports[i].name);
		free(gateway->ports[i].device);
		free(gateway->ports[i].addresses);
	}
	free(gateway->ports);
}

static void sas_fini(struct gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_sas; i++)
		sa_conf_fini(&gateway->sas[i]);
	free(gateway->sas);
}

static void policies_fini(struct gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_policies; i++)
		policy_fini(&gateway->policies[i]);
	free(gateway->policies);
}

void gateway_fini(struct gateway *gateway)
{
	free(gateway->control_directory);
	free(gateway->state_directory);
	free(gateway->capture_directory);
	free(gateway->control_socket);
	free(gateway->control_group);
	free(gateway->workers.lcores);
	names_free(gateway->workers.crypto, gateway->workers.n_crypto);
	ports_fini(gateway);
	free(gateway->routes);
	for (size_t i = 0; i < gateway->n_neighbours; i++)
		free(gateway->neighbours[i].port);
	free(gateway->neighbours);
	sas_fini(gateway);
	policies_fini(gateway);
	free(gateway->icmp.accept);
	free(gateway->host.interface);
	free(gateway->host.routes);
	gateway_init(gateway);
}

size_t gateway_sas_room(const struct gateway *gateway)
{
	return gateway->memory.sas ? gateway->memory.sas : 2 * gateway->n_sas + MEMORY_SAS_MORE;
}

int gateway_find_port(const struct gateway *gateway, const char *name)
{
	for (size_t i = 0; i < gateway->n_ports; i++)
		if (strcmp(gateway->ports[i].name, name) == 0)
			return (int)i;
	return -1;
}

int gateway_find_own_address(const struct gateway *gateway, const struct ip_addr *addr)
{
	for (size_t i = 0; i < gateway->n_ports; i++)
		for (size_t j = 0; j < gateway->ports[i].n_addresses; j++)
			if (ip_addr_equal(&gateway->ports[i].addresses[j].addr, addr))
				return (int)i;
	return -1;
}

int gateway_find_link(const struct gateway *gateway, const struct ip_addr *addr)
{
	for (size_t i = 0; i < gateway->n_ports; i++)
		for (size_t j = 0; j < gateway->ports[i].n_addresses; j++)
			if (ip_prefix_contains(&gateway->ports[i].addresses[j], addr))
				return (int)i;
	return -1;
}

bool gateway_sa_is_inbound(const struct gateway *gateway, const struct sa_conf *sa)
{
	return gateway_find_own_address(gateway, &sa->destination) >= 0;
}
