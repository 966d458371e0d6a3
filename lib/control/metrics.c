#include "control/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include "base/array.h"
#include "base/counter.h"
#include "control/metrics_sas.h"
#include "control/usage.h"
#include "ipsec/sad.h"

#define MS_PER_SECOND 1000
#define INDEX_TEXT    12

struct metrics_scrape {
	const struct control *control;
	struct metrics_sas sas;
	struct metrics_text text; /* what is written and not read yet, from `at` on */
	size_t at;
	bool is_taking; /* samples of SAs */
	bool is_written;
};

/* clang-format off */
#define FAMILIES(X) \
	X(culvert, INFO, NULL, "The version of culvertd and of the DPDK that it runs on.") \
	X(process_start_time_seconds, GAUGE, "seconds", "When the daemon was started, since 1970.") \
	X(culvert_port, INFO, NULL, "What the port is: device, side and MAC address.") \
	X(culvert_port_up, GAUGE, NULL, "1 if the link is up.") \
	X(culvert_port_mtu_bytes, GAUGE, "bytes", "The longest IP packet that the link carries.") \
	X(culvert_port_rx_packets, COUNTER, "packets", "Packets that workers took from the port.") \
	X(culvert_port_rx_bytes, COUNTER, "bytes", "Bytes of the frames of these.") \
	X(culvert_port_tx_packets, COUNTER, "packets", "Packets that the port took to send.") \
	X(culvert_port_tx_bytes, COUNTER, "bytes", "Bytes of the frames of these.") \
	X(culvert_port_dropped_packets, COUNTER, "packets", "Packets that came by the port and were dropped for a reason.") \
	X(culvert_port_rx_missed_packets, COUNTER, "packets", "Packets that the port had no room for, since the workers were too slow.") \
	X(culvert_port_rx_errors, COUNTER, NULL, "Frames that the port found faulty.") \
	X(culvert_port_rx_no_buffer, COUNTER, NULL, "Frames for which there was no packet buffer.") \
	X(culvert_port_tx_errors, COUNTER, NULL, "Frames that the port could not send.") \
	X(culvert_worker, INFO, NULL, "What the worker is: its CPU.") \
	X(culvert_worker_loops, COUNTER, NULL, "Rounds over everything that can bring a packet.") \
	X(culvert_worker_busy_loops, COUNTER, NULL, "Rounds that found a packet.") \
	X(culvert_worker_busy_seconds, COUNTER, "seconds", "Time in rounds that found a packet; its rate is the busy share.") \
	X(culvert_worker_rx_packets, COUNTER, "packets", "Packets that the worker took from ports.") \
	X(culvert_worker_rx_bursts, COUNTER, NULL, "Bursts in which it took them.") \
	X(culvert_worker_dropped_packets, COUNTER, "packets", "Packets that the worker dropped.") \
	X(culvert_generated_packets, COUNTER, "packets", "Packets that the gateway made, or its host: ARP, neighbour discovery, ICMP, dummies, keepalives, fragments.") \
	X(culvert_consumed_packets, COUNTER, "packets", "Packets that ended at the gateway, or became part of another.") \
	X(culvert_to_host_packets, COUNTER, "packets", "Of those consumed: given to this host's own stack by the host interface.") \
	X(culvert_from_host_packets, COUNTER, "packets", "Of those generated: sent by this host's own stack by the host interface.") \
	X(culvert_held_packets, GAUGE, "packets", "Packets that wait now, for a neighbour or for other fragments.") \
	X(culvert_dropped_packets, COUNTER, "packets", "Packets that were dropped, by reason; `xfrm` is the counter of /proc/net/xfrm_stat that Linux has for it.") \
	X(culvert_table_entries, GAUGE, NULL, "How many entries a table or queue has.") \
	X(culvert_table_capacity, GAUGE, NULL, "How many it has room for.") \
	X(culvert_pool_buffers_in_use, GAUGE, NULL, "Packet buffers of a pool that are in use.") \
	X(culvert_pool_buffers, GAUGE, NULL, "Packet buffers that the pool has.") \
	X(culvert_sas, GAUGE, NULL, "How many SAs there are, by direction.") \
	X(culvert_policies, GAUGE, NULL, "How many policies there are, by direction and action.")
/* clang-format on */

#define X(name, kind, unit, help)                                                                            \
	static const struct metrics_family family_##name = {#name, METRICS_##kind, unit, help};
FAMILIES(X)
#undef X

#define OPEN(text, name) metrics_text_family(text, &family_##name)

/* When the process began, since 1970. */
static uint64_t process_start_s(void)
{
	char line[1024], *after_name;
	unsigned long long ticks = 0;
	struct timespec since_boot;
	FILE *file = fopen("/proc/self/stat", "re");

	if (file && fgets(line, sizeof(line), file) && (after_name = strrchr(line, ')')))
		/* proc(5): field 22, in clock ticks since the machine's start; the name is field 2. */
		sscanf(after_name + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&ticks);
	if (file)
		fclose(file);
	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	return (uint64_t)(time(NULL) - since_boot.tv_sec) + ticks / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void write_process(struct metrics_text *text, const struct control *control)
{
	OPEN(text, culvert);
	metrics_text_put(text, 1, {"version", control->version}, {"dpdk", rte_version()});
	OPEN(text, process_start_time_seconds);
	metrics_text_sample(text, NULL, 0, process_start_s());
}

static void write_port_info(struct metrics_text *text, const struct control *control)
{
	char mac[MAC_ADDR_TEXT_MAX];

	OPEN(text, culvert_port);
	for (size_t i = 0; i < control->ports.n_ports; i++) {
		const struct port *port = &control->ports.ports[i];

		metrics_text_put(text, 1, {"port", port->conf->name}, {"device", port->conf->device},
			{"side", port->conf->side == SIDE_PROTECTED ? "protected" : "unprotected"},
			{"mac", mac_addr_format((const struct mac_addr *)&port->mac, mac)});
	}
	OPEN(text, culvert_port_up);
	for (size_t i = 0; i < control->ports.n_ports; i++)
		metrics_text_put(text, ports_link_is_up(&control->ports.ports[i]),
			{"port", control->ports.ports[i].conf->name});
	OPEN(text, culvert_port_mtu_bytes);
	for (size_t i = 0; i < control->ports.n_ports; i++)
		metrics_text_put(text, control->ports.ports[i].conf->mtu_bytes,
			{"port", control->ports.ports[i].conf->name});
}

/* A family with a number of each port. */
#define WRITE_PORTS(text_, control_, name_, value_)                                                          \
	do {                                                                                                 \
		OPEN(text_, name_);                                                                          \
		for (size_t i = 0; i < (control_)->ports.n_ports; i++)                                       \
			metrics_text_put(text_, value_, {"port", (control_)->ports.ports[i].conf->name});    \
	} while (0)

static void write_ports(struct metrics_text *text, const struct control *control, const struct stats *stats)
{
	struct rte_eth_stats device[GATEWAY_PORTS_MAX] = {0};

	for (size_t i = 0; i < control->ports.n_ports; i++)
		rte_eth_stats_get(control->ports.ports[i].ethdev, &device[i]); /* zero if it has none */
	write_port_info(text, control);
	WRITE_PORTS(text, control, culvert_port_rx_packets, stats->rx_packets[i]);
	WRITE_PORTS(text, control, culvert_port_rx_bytes, stats->rx_bytes[i]);
	WRITE_PORTS(text, control, culvert_port_tx_packets, stats->tx_packets[i]);
	WRITE_PORTS(text, control, culvert_port_tx_bytes, stats->tx_bytes[i]);
	WRITE_PORTS(text, control, culvert_port_dropped_packets, stats->port_drops[i]);
	WRITE_PORTS(text, control, culvert_port_rx_missed_packets, device[i].imissed);
	WRITE_PORTS(text, control, culvert_port_rx_errors, device[i].ierrors);
	WRITE_PORTS(text, control, culvert_port_rx_no_buffer, device[i].rx_nombuf);
	WRITE_PORTS(text, control, culvert_port_tx_errors, device[i].oerrors);
}

static const char *index_text(unsigned index, char text[INDEX_TEXT])
{
	snprintf(text, INDEX_TEXT, "%u", index);
	return text;
}

/* A family with a counter of each worker, which `w` is in the expression. */
#define WRITE_WORKERS(text_, control_, name_, value_)                                                        \
	do {                                                                                                 \
		char of_worker[INDEX_TEXT];                                                                  \
		OPEN(text_, name_);                                                                          \
		for (unsigned i = 0; i < (control_)->n_workers; i++) {                                       \
			const struct worker *w = (control_)->workers[i];                                     \
			metrics_text_put(text_, value_, {"worker", index_text(i, of_worker)});               \
		}                                                                                            \
	} while (0)

static void write_busy_seconds(struct metrics_text *text, const struct control *control)
{
	char number[INDEX_TEXT];

	OPEN(text, culvert_worker_busy_seconds);
	for (unsigned i = 0; i < control->n_workers; i++) {
		const struct metrics_label label = {"worker", index_text(i, number)};

		metrics_text_sample_ms(text, &label, 1, worker_busy_ms(control->workers[i]));
	}
}

static void write_workers(struct metrics_text *text, const struct control *control)
{
	char number[INDEX_TEXT], cpu[INDEX_TEXT];

	OPEN(text, culvert_worker);
	for (unsigned i = 0; i < control->n_workers; i++)
		metrics_text_put(text, 1, {"worker", index_text(i, number)},
			{"cpu", index_text(control->gateway->workers.lcores[i], cpu)});
	WRITE_WORKERS(text, control, culvert_worker_loops, counter_read(&w->counters.loops));
	WRITE_WORKERS(text, control, culvert_worker_busy_loops, counter_read(&w->counters.busy_loops));
	write_busy_seconds(text, control);
	WRITE_WORKERS(text, control, culvert_worker_rx_packets, worker_rx_packets(w));
	WRITE_WORKERS(text, control, culvert_worker_rx_bursts, counter_read(&w->counters.rx_bursts));
	WRITE_WORKERS(text, control, culvert_worker_dropped_packets, counter_read(&w->drops.total));
}

static void write_totals(struct metrics_text *text, const struct stats *stats)
{
	OPEN(text, culvert_generated_packets);
	metrics_text_sample(text, NULL, 0, stats->generated);
	OPEN(text, culvert_consumed_packets);
	metrics_text_sample(text, NULL, 0, stats->consumed);
	OPEN(text, culvert_to_host_packets);
	metrics_text_sample(text, NULL, 0, stats->to_host);
	OPEN(text, culvert_from_host_packets);
	metrics_text_sample(text, NULL, 0, stats->from_host);
	OPEN(text, culvert_held_packets);
	metrics_text_sample(text, NULL, 0, stats->held);
}

/* All of them: one that has not occurred yet must be there, so that its first time is seen. */
static void write_drops(struct metrics_text *text, const struct stats *stats)
{
	OPEN(text, culvert_dropped_packets);
	for (unsigned reason = 0; reason < DROP_COUNT; reason++) {
		const char *xfrm = drop_xfrm_name(reason);

		metrics_text_put(text, stats->drops[reason], {"reason", drop_name(reason)},
			{"xfrm", xfrm[0] == '-' ? NULL : xfrm});
	}
}

static void write_usage(struct metrics_text *text, const struct control *control)
{
	struct usage usage[USAGE_MAX];
	size_t n = usage_of_tables(control, usage);

	OPEN(text, culvert_table_entries);
	for (size_t i = 0; i < n; i++)
		metrics_text_put(text, usage[i].used, {"table", usage[i].name});
	OPEN(text, culvert_table_capacity);
	for (size_t i = 0; i < n; i++)
		metrics_text_put(text, usage[i].capacity, {"table", usage[i].name});
	n = usage_of_pools(control, usage);
	OPEN(text, culvert_pool_buffers_in_use);
	for (size_t i = 0; i < n; i++)
		metrics_text_put(text, usage[i].used, {"pool", usage[i].name});
	OPEN(text, culvert_pool_buffers);
	for (size_t i = 0; i < n; i++)
		metrics_text_put(text, usage[i].capacity, {"pool", usage[i].name});
}

/* How many there are; what each of them does with packets, its SAs count. */
static void write_policies(struct metrics_text *text, const struct gateway *gateway)
{
	uint64_t n[POLICY_IN + 1][POLICY_PROTECT + 1] = {0};

	for (size_t i = 0; i < gateway->n_policies; i++)
		n[gateway->policies[i].direction][gateway->policies[i].action]++;
	OPEN(text, culvert_policies);
	for (unsigned direction = POLICY_OUT; direction <= POLICY_IN; direction++)
		for (unsigned action = POLICY_DISCARD; action <= POLICY_PROTECT; action++)
			metrics_text_put(text, n[direction][action],
				{"direction", policy_direction_name(direction)},
				{"action", policy_action_name(action)});
}

static void write_counts(struct metrics_text *text, const struct control *control)
{
	OPEN(text, culvert_sas);
	metrics_text_put(text, sad_count(control->sad), {"direction", "in"});
	metrics_text_put(text, sad_count(control->sad_out), {"direction", "out"});
	write_policies(text, control->gateway);
}

struct metrics_scrape *metrics_scrape_begin(const struct control *control, enum metrics_format format)
{
	struct metrics_scrape *scrape = xcalloc(1, sizeof(*scrape));
	struct stats stats;

	scrape->control = control;
	scrape->text.format = format;
	scrape->is_taking = control->gateway->metrics.sas;
	stats_collect((const struct worker *const *)control->workers, control->n_workers, &control->counters,
		(uint8_t)control->gateway->n_ports, &stats);
	write_process(&scrape->text, control);
	write_ports(&scrape->text, control, &stats);
	write_workers(&scrape->text, control);
	write_totals(&scrape->text, &stats);
	write_drops(&scrape->text, &stats);
	write_usage(&scrape->text, control);
	write_counts(&scrape->text, control);
	return scrape;
}

void metrics_scrape_end(struct metrics_scrape *scrape)
{
	metrics_sas_fini(&scrape->sas);
	metrics_text_fini(&scrape->text);
	free(scrape);
}

/* Write more, now that all that was written is read. */
static void go_on(struct metrics_scrape *scrape)
{
	scrape->at = scrape->text.length = 0;
	if (scrape->control->gateway->metrics.sas && metrics_sas_write(&scrape->sas, &scrape->text))
		return;
	metrics_text_end(&scrape->text);
	scrape->is_written = true;
}

ssize_t metrics_scrape_read(struct metrics_scrape *scrape, char *buffer, size_t size)
{
	size_t n;

	if (scrape->at == scrape->text.length) {
		if (scrape->is_written)
			return METRICS_SCRAPE_DONE;
		if (scrape->is_taking) {
			scrape->is_taking = metrics_sas_take(&scrape->sas, scrape->control);
			return 0;
		}
		go_on(scrape);
	}
	n = RTE_MIN(size, scrape->text.length - scrape->at);
	if (n > 0)
		memcpy(buffer, scrape->text.bytes + scrape->at, n);
	scrape->at += n;
	return (ssize_t)n;
}

void metrics_families(void (*each)(const struct metrics_family *family))
{
#define X(name, kind, unit, help) each(&family_##name);
	FAMILIES(X)
#undef X
	metrics_sas_families(each);
}
