/*
 * check-host: IOMMU, the drivers that give NICs to user space, and which NIC has which driver.
 */
#include <stdio.h>
#include <string.h>

#include "host_checks.h"

/* PCI base class 02h, sub-class 00h: Ethernet controller (PCI Code and ID Assignment Specification). */
#define CLASS_ETHERNET "0x0200"

bool driver_is_dpdk(const char *driver)
{
	/* Those of mlx* serve the kernel and user space side by side. */
	static const char *const names[] = {
		"vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", NULL};

	for (const char *const *name = names; *name; name++)
		if (strcmp(driver, *name) == 0)
			return true;
	return false;
}

static bool is_intel(const struct host *host)
{
	char line[HOST_LINE_MAX];

	return host_field(host, line, "vendor_id", "proc/cpuinfo") && strstr(line, "Intel");
}

static void cure_iommu(const struct host *host, struct host_finding *finding)
{
	char line[HOST_LINE_MAX];

	if (host_line(host, line, "proc/cmdline") && strstr(line, "intel_iommu=on"))
		host_report_cure(finding, "turn on VT-d in the firmware's set-up");
	else if (is_intel(host))
		host_report_cure(finding,
			"sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on iommu=pt /' /etc/default/grub && "
			"update-grub && reboot");
	else
		host_report_cure(finding, "turn on the IOMMU (AMD-Vi) in the firmware's set-up");
}

void check_iommu(const struct host *host, struct host_report *report)
{
	char line[HOST_LINE_MAX];
	struct host_finding *finding;
	size_t n;
	char **groups = host_names(host, "", &n, "sys/kernel/iommu_groups");

	host_names_free(groups, n);
	if (n > 0) {
		host_report_add(report, "iommu", HOST_OK, "on, with %zu groups", n);
		return;
	}
	if (host_line(host, line, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode") &&
		line[0] == 'Y') {
		finding = host_report_add(report, "iommu", HOST_ADVICE,
			"off; vfio's mode without one is on, in which a NIC may write to any memory");
		cure_iommu(host, finding);
		return;
	}
	finding = host_report_add(report, "iommu", HOST_LACKS, "off: vfio-pci can't have a NIC");
	cure_iommu(host, finding);
}

void check_vfio(const struct host *host, struct host_report *report)
{
	struct host_finding *finding;

	if (host_exists(host, "sys/bus/pci/drivers/vfio-pci")) {
		host_report_add(report, "vfio", HOST_OK, "vfio-pci is loaded");
		return;
	}
	if (host_exists(host, "sys/bus/pci/drivers/igb_uio") ||
		host_exists(host, "sys/bus/pci/drivers/uio_pci_generic"))
		finding = host_report_add(report, "vfio", HOST_ADVICE,
			"only a uio driver is loaded, which does without the IOMMU's protection");
	else
		finding = host_report_add(report, "vfio", HOST_LACKS, "vfio-pci is not loaded");
	host_report_cure(finding, "modprobe vfio-pci && echo vfio-pci > /etc/modules-load.d/culvert.conf");
}

/* What a NIC is called in a report: its address, its IDs and its node. */
static void nic_name(const struct host *host, const char *address, char text[HOST_TEXT_MAX])
{
	char vendor[HOST_LINE_MAX] = "", device[HOST_LINE_MAX] = "";

	host_line(host, vendor, "sys/bus/pci/devices/%s/vendor", address);
	host_line(host, device, "sys/bus/pci/devices/%s/device", address);
	snprintf(text, HOST_TEXT_MAX, "%s (%.8s %.8s, node %ld)", address, vendor, device,
		host_number(host, "sys/bus/pci/devices/%s/numa_node", address));
}

static bool is_nic(const struct host *host, const char *address)
{
	char line[HOST_LINE_MAX];

	return host_line(host, line, "sys/bus/pci/devices/%s/class", address) &&
	       strncmp(line, CLASS_ETHERNET, strlen(CLASS_ETHERNET)) == 0;
}

/* Adds the NIC's finding; true if it is one for DPDK. */
static bool nic_report(const struct host *host, const char *address, struct host_report *report)
{
	char driver[HOST_LINE_MAX], name[HOST_TEXT_MAX];
	struct host_finding *finding;

	nic_name(host, address, name);
	if (!host_link(host, driver, "sys/bus/pci/devices/%s/driver", address))
		finding = host_report_add(report, "nic", HOST_OK, "%.256s has no driver", name);
	else if (driver_is_dpdk(driver)) {
		host_report_add(report, "nic", HOST_OK, "%.256s is bound to %.64s", name, driver);
		return true;
	} else
		finding = host_report_add(
			report, "nic", HOST_OK, "%.256s is the kernel's, by %.64s", name, driver);
	host_report_cure(finding, "dpdk-devbind.py --bind=vfio-pci %s", address);
	return false;
}

void check_nics(const struct host *host, struct host_report *report)
{
	size_t n, n_nics = 0, n_bound = 0;
	char **addresses = host_names(host, "", &n, "sys/bus/pci/devices");

	for (size_t i = 0; i < n; i++)
		if (is_nic(host, addresses[i])) {
			n_nics++;
			n_bound += nic_report(host, addresses[i], report);
		}
	host_names_free(addresses, n);
	if (n_bound > 0)
		return;
	if (n_nics == 0)
		host_report_add(report, "nics", HOST_UNKNOWN,
			"no Ethernet controller on a PCI bus: only virtual ports can be had");
	else
		host_report_cure(host_report_add(report, "nics", HOST_LACKS, "none is bound to vfio-pci"),
			"the command of each NIC that is to be the gateway's, but not of the one that you "
			"came by");
}
