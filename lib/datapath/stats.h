/*
 * Statistics: the counters of all workers and of the control thread, summed and printed.
 *
 * Called by control and telemetry threads while workers run. Each number is exact; those of one struct stats
 * are not of one instant, so the balance holds only when traffic stands still.
 */
#ifndef CULVERT_DATAPATH_STATS_H
#define CULVERT_DATAPATH_STATS_H

#include "datapath/worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What the control thread counts; it alone writes. */
struct control_counters {
	struct drops drops;
	uint64_t
		consumed; /* packets that ended at the control thread: ARP, neighbour discovery, the host's */
	uint64_t generated; /* frames that it made, and packets that the host sent */
	uint64_t to_host;   /* of those consumed: given to the host's stack */
	uint64_t from_host; /* of those generated: sent by it */
	uint64_t held;      /* packets that wait for their next hop's MAC address now */
};

struct stats {
	uint8_t n_ports;
	uint64_t rx_packets[PKT_PORTS_MAX];
	uint64_t rx_bytes[PKT_PORTS_MAX];
	uint64_t tx_packets[PKT_PORTS_MAX];
	uint64_t tx_bytes[PKT_PORTS_MAX];
	uint64_t missed[PKT_PORTS_MAX];    /* by the port's own count, lost before a worker could take them */
	uint64_t tx_errors[PKT_PORTS_MAX]; /* by the port's own count, taken by it or offered, and not sent */
	uint64_t port_drops[PKT_PORTS_ALL]; /* by the port that the packet came in by */
	uint64_t drops[DROP_COUNT];
	uint64_t rx_total;
	uint64_t tx_total;
	uint64_t drops_total;
	uint64_t generated;
	uint64_t consumed;  /* answered by a worker, taken by control, given to the host, or a fragment that
			       became part of a packet */
	uint64_t to_host;   /* of those consumed */
	uint64_t from_host; /* of those generated */
	uint64_t held;      /* fragments too */
};

/* Sum up; `missed` and `tx_errors` stay zero, since only control asks ports. `workers` has n_workers
 * pointers. */
void stats_collect(const struct worker *const *workers, unsigned n_workers,
	const struct control_counters *control, uint8_t n_ports, struct stats *stats);

/* Nothing was lost without a name: received + generated == sent + dropped + consumed + held. */
bool stats_balanced(const struct stats *stats);

/*
 * A table that a person can read: ports, drop reasons that occurred, and SAs. Arrays have n_ports and n_sas.
 */
void stats_print(FILE *file, const struct stats *stats, const char *const *port_names,
	const struct sa *const *sas, size_t n_sas);

#endif
