/*
 * check-host --config: the CPUs and the NICs that a configuration names.
 */
#include <stdio.h>
#include <string.h>

#include "host_checks.h"

#define PCI_ADDRESS_MAX 32

/* Another worker on the same core, or -1. */
static long sibling_worker(const struct host *host, const struct workers_conf *workers, size_t self)
{
	struct cpu_list siblings;

	host_cpus(host, &siblings, "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
		workers->lcores[self]);
	for (size_t i = 0; i < workers->n_lcores; i++)
		if (i != self && workers->lcores[i] < HOST_CPUS_MAX && siblings.has[workers->lcores[i]])
			return (long)workers->lcores[i];
	return -1;
}

static void check_worker(const struct host *host, const struct workers_conf *workers, size_t i,
	const struct cpu_list *online, const struct cpu_list *isolated, struct host_report *report)
{
	unsigned cpu = workers->lcores[i];
	long sibling = sibling_worker(host, workers, i);

	if (cpu >= HOST_CPUS_MAX || !online->has[cpu])
		host_report_cure(host_report_add(report, "worker", HOST_LACKS, "CPU %u is not there", cpu),
			"name another in workers.lcores; `lscpu -e` lists them");
	else if (sibling >= 0)
		host_report_cure(
			host_report_add(report, "worker", HOST_ADVICE,
				"CPU %u shares its core with CPU %ld, which is a worker's too", cpu, sibling),
			"name CPUs of different cores in workers.lcores; `lscpu -e` lists them");
	else if (!isolated->has[cpu])
		host_report_add(report, "worker", HOST_ADVICE, "CPU %u is not isolated", cpu);
	else
		host_report_add(report, "worker", HOST_OK,
			"CPU %u is isolated, and its core is the worker's own", cpu);
}

static void check_workers(
	const struct host *host, const struct workers_conf *workers, struct host_report *report)
{
	struct cpu_list online, isolated;

	if (!host_cpus(host, &online, "sys/devices/system/cpu/online"))
		return;
	host_cpus(host, &isolated, "sys/devices/system/cpu/isolated");
	for (size_t i = 0; i < workers->n_lcores; i++)
		check_worker(host, workers, i, &online, &isolated, report);
}

/* The whole address of `41:00.0` or `0000:41:00.0`; false for a virtual device. */
static bool pci_address(const char *device, char address[PCI_ADDRESS_MAX])
{
	unsigned domain = 0, bus, slot, function;
	int end = 0;

	if (sscanf(device, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4) {
		domain = 0;
		if (sscanf(device, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3)
			return false;
	}
	snprintf(address, PCI_ADDRESS_MAX, "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return device[end] == '\0';
}

/* Is a worker on the NIC's node? A NIC that does not tell is on every node. */
static bool has_near_worker(const struct host *host, const char *address, const struct workers_conf *workers)
{
	long node = host_number(host, "sys/bus/pci/devices/%s/numa_node", address);
	struct cpu_list cpus;

	if (!host_cpus(host, &cpus, "sys/devices/system/node/node%ld/cpulist", node))
		return true;
	for (size_t i = 0; i < workers->n_lcores; i++)
		if (workers->lcores[i] < HOST_CPUS_MAX && cpus.has[workers->lcores[i]])
			return true;
	return false;
}

static void check_port(const struct host *host, const struct gateway *gateway, const struct port_conf *port,
	struct host_report *report)
{
	char address[PCI_ADDRESS_MAX], driver[HOST_LINE_MAX] = "no driver";

	if (!pci_address(port->device, address))
		return;
	if (!host_exists(host, "sys/bus/pci/devices/%s", address)) {
		host_report_cure(host_report_add(report, "port", HOST_LACKS, "%s: there is no device %s",
					 port->name, address),
			"dpdk-devbind.py --status");
		return;
	}
	host_link(host, driver, "sys/bus/pci/devices/%s/driver", address);
	if (!driver_is_dpdk(driver))
		host_report_cure(host_report_add(report, "port", HOST_LACKS, "%s: %s is bound to %.64s",
					 port->name, address, driver),
			"dpdk-devbind.py --bind=vfio-pci %s", address);
	else if (!has_near_worker(host, address, &gateway->workers))
		host_report_cure(host_report_add(report, "port", HOST_ADVICE,
					 "%s: no worker is on the node of %s", port->name, address),
			"name CPUs of that node in workers.lcores; `lscpu -e` lists them");
	else
		host_report_add(
			report, "port", HOST_OK, "%s: %s is bound to %.64s", port->name, address, driver);
}

void check_configured(const struct host *host, const struct gateway *gateway, struct host_report *report)
{
	check_workers(host, &gateway->workers, report);
	for (size_t i = 0; i < gateway->n_ports; i++)
		check_port(host, gateway, &gateway->ports[i], report);
}
