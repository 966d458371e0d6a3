/*
 * The things that check-host looks at, each a function that adds its findings to the report.
 */
#ifndef CULVERT_CULVERTCTL_HOST_CHECKS_H
#define CULVERT_CULVERTCTL_HOST_CHECKS_H

#include "host.h"
#include "host_report.h"
#include "model/gateway.h"

/* host_memory.c */
void check_hugepages(const struct host *host, struct host_report *report);
void check_hugetlbfs(const struct host *host, struct host_report *report);
void check_locked_memory(const struct host *host, struct host_report *report);
void check_transparent_hugepages(const struct host *host, struct host_report *report);

/* host_pci.c */
void check_iommu(const struct host *host, struct host_report *report);
void check_vfio(const struct host *host, struct host_report *report);
void check_nics(const struct host *host, struct host_report *report);

/* host_cpu.c */
void check_cpu_features(const struct host *host, struct host_report *report);
void check_isolation(const struct host *host, struct host_report *report);
void check_siblings(const struct host *host, struct host_report *report);
void check_governor(const struct host *host, struct host_report *report);
void check_irqbalance(const struct host *host, struct host_report *report);

/* host_config.c: the CPUs and the NICs that a configuration names. */
void check_configured(const struct host *host, const struct gateway *gateway, struct host_report *report);

/* Does a driver of that name leave the NIC to a program in user space? */
bool driver_is_dpdk(const char *driver);

#endif
