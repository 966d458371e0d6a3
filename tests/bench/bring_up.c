#include "bench/bring_up.h"

#include <errno.h>
#include <stdio.h>

#include "base/report.h"
#include "config/load.h"
#include "control/change.h"
#include "control/cryptodevs.h"
#include "control/eal.h"
#include "control/ports.h"
#include "control/tables.h"
#include "control/workers.h"

static int environment_begin(struct bring_up *b, struct err *err)
{
	return eal_begin(&b->gateway, b->directory, err);
}

static void environment_end(struct bring_up *b __attribute__((unused)))
{
	eal_end();
}

static int crypto_begin(struct bring_up *b, struct err *err)
{
	return cryptodevs_open(&b->gateway, &b->control.crypto, err);
}

static void crypto_end(struct bring_up *b)
{
	cryptodevs_close(&b->control.crypto);
}

static int ports_begin(struct bring_up *b, struct err *err)
{
	return ports_open(&b->gateway, &b->control.ports, err);
}

static void ports_end(struct bring_up *b)
{
	ports_close(&b->control.ports);
}

static int tables_begin(struct bring_up *b, struct err *err)
{
	return tables_create(&b->control, err);
}

static void tables_end(struct bring_up *b)
{
	tables_destroy(&b->control);
}

static int workers_begin(struct bring_up *b, struct err *err)
{
	return workers_create(&b->control, err);
}

static void workers_end(struct bring_up *b)
{
	workers_destroy(&b->control);
}

static int policy_begin(struct bring_up *b, struct err *err)
{
	return change_begin(&b->control, err);
}

static void policy_end(struct bring_up *b)
{
	change_end(&b->control);
}

static int traffic_begin(struct bring_up *b, struct err *err)
{
	const struct gateway *gateway = &b->gateway;

	for (size_t i = 0; i < gateway->n_neighbours; i++) {
		const struct neighbour_conf *neighbour = &gateway->neighbours[i];
		int port = gateway_find_port(gateway, neighbour->port);

		if (neigh_set(b->control.neighbours, (uint8_t)port, &neighbour->address,
			    (const struct rte_ether_addr *)&neighbour->mac) != 0)
			return err_set(err, ENOSPC, "no room for the neighbours");
	}
	return ports_start(&b->control.ports, err);
}

static void traffic_end(struct bring_up *b)
{
	ports_stop(&b->control.ports);
}

static const struct {
	int (*begin)(struct bring_up *b, struct err *err);
	void (*end)(struct bring_up *b);
} parts[BRING_UP_PARTS] = {
	[BRING_UP_ENVIRONMENT] = {environment_begin, environment_end},
	[BRING_UP_CRYPTO] = {crypto_begin, crypto_end},
	[BRING_UP_PORTS] = {ports_begin, ports_end},
	[BRING_UP_TABLES] = {tables_begin, tables_end},
	[BRING_UP_WORKERS] = {workers_begin, workers_end},
	[BRING_UP_POLICY] = {policy_begin, policy_end},
	[BRING_UP_TRAFFIC] = {traffic_begin, traffic_end},
};

int bring_up_begin(struct bring_up *b, const char *directory, const char *path, struct err *err)
{
	struct report report;
	int ret;

	*b = (struct bring_up){.directory = directory};
	b->control.gateway = &b->gateway;
	report_init(&report);
	ret = config_load(path, &b->gateway, &report);
	config_report_print(stderr, path, &report);
	report_fini(&report);
	return ret == 0 ? 0 : err_set(err, -ret, "%s is faulty", path);
}

int bring_up_to(struct bring_up *b, enum bring_up_part last, struct err *err)
{
	int ret = 0;

	while (ret == 0 && b->n_up <= last) {
		ret = parts[b->n_up].begin(b, err);
		b->n_up += ret == 0;
	}
	return ret;
}

void bring_down_to(struct bring_up *b, enum bring_up_part last)
{
	while (b->n_up > last + 1u)
		parts[--b->n_up].end(b);
}

void bring_down(struct bring_up *b)
{
	while (b->n_up > 0)
		parts[--b->n_up].end(b);
	gateway_fini(&b->gateway);
}
