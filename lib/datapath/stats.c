#include "datapath/stats.h"

#include <inttypes.h>

#include "base/counter.h"

/* SAs that the table shows; telemetry pages through all of them. */
#define STATS_SAS_MAX 64

static void add_drops(struct stats *stats, const struct drops *drops)
{
	stats->drops_total += counter_read(&drops->total);
	for (unsigned port = 0; port < PKT_PORTS_ALL; port++)
		for (unsigned reason = 0; reason < DROP_COUNT; reason++) {
			uint64_t count = counter_read(&drops->count[port][reason]);

			stats->port_drops[port] += count;
			stats->drops[reason] += count;
		}
}

static void add_worker(struct stats *stats, const struct worker *w)
{
	for (uint8_t port = 0; port < stats->n_ports; port++) {
		uint64_t received = counter_read(&w->counters.rx_packets[port]);
		uint64_t sent = counter_read(&w->tx.ports[port].packets);

		stats->rx_packets[port] += received;
		stats->rx_bytes[port] += counter_read(&w->counters.rx_bytes[port]);
		stats->tx_packets[port] += sent;
		stats->tx_bytes[port] += counter_read(&w->tx.ports[port].bytes);
		stats->rx_total += received;
		stats->tx_total += sent;
	}
	stats->generated += counter_read(&w->counters.generated);
	stats->consumed += counter_read(&w->counters.answered);
	if (w->reass) {
		stats->consumed += counter_read(&reass_counters(w->reass)->merged);
		stats->held += counter_read(&reass_counters(w->reass)->held);
	}
	add_drops(stats, &w->drops);
}

void stats_collect(const struct worker *const *workers, unsigned n_workers,
	const struct control_counters *control, uint8_t n_ports, struct stats *stats)
{
	*stats = (struct stats){
		.n_ports = n_ports,
		.generated = counter_read(&control->generated),
		.consumed = counter_read(&control->consumed),
		.held = counter_read(&control->held),
		.to_host = counter_read(&control->to_host),
		.from_host = counter_read(&control->from_host),
	};
	add_drops(stats, &control->drops);
	for (unsigned i = 0; i < n_workers; i++)
		add_worker(stats, workers[i]);
}

bool stats_balanced(const struct stats *stats)
{
	return stats->rx_total + stats->generated ==
	       stats->tx_total + stats->drops_total + stats->consumed + stats->held;
}

static void print_sa(FILE *file, const struct sa *sa)
{
	struct sa_counters sum;

	sa_counters_sum(sa, &sum);
	fprintf(file, "%-20s 0x%08" PRIx32 "  %-3s %14" PRIu64 " %18" PRIu64 " ", sa->name,
		rte_be_to_cpu_32(sa->spi), sa->inbound ? "in" : "out", sum.packets, sum.bytes);
	for (unsigned i = 0; i < SA_DROP_COUNT; i++)
		if (sum.drops[i] > 0)
			fprintf(file, " %s=%" PRIu64, drop_name(sa_drop_reason(i)), sum.drops[i]);
	fputc('\n', file);
}

static void print_ports(FILE *file, const struct stats *stats, const char *const *port_names)
{
	fprintf(file, "%-20s %14s %18s %14s %18s %14s %14s\n", "port", "rx packets", "rx bytes", "tx packets",
		"tx bytes", "drops", "missed");
	for (uint8_t i = 0; i < stats->n_ports; i++)
		fprintf(file,
			"%-20s %14" PRIu64 " %18" PRIu64 " %14" PRIu64 " %18" PRIu64 " %14" PRIu64
			" %14" PRIu64 "\n",
			port_names[i], stats->rx_packets[i], stats->rx_bytes[i], stats->tx_packets[i],
			stats->tx_bytes[i], stats->port_drops[i], stats->missed[i]);
}

static void print_drops(FILE *file, const struct stats *stats)
{
	if (stats->drops_total == 0)
		return;
	fprintf(file, "%-20s %14s  cause\n", "drop", "packets");
	for (unsigned i = 0; i < DROP_COUNT; i++)
		if (stats->drops[i] > 0)
			fprintf(file, "%-20s %14" PRIu64 "  %s\n", drop_name(i), stats->drops[i],
				drop_text(i));
}

void stats_print(FILE *file, const struct stats *stats, const char *const *port_names,
	const struct sa *const *sas, size_t n_sas)
{
	print_ports(file, stats, port_names);
	print_drops(file, stats);
	if (n_sas > 0)
		fprintf(file, "%-20s %-10s  dir %14s %18s  drops\n", "sa", "spi", "packets", "bytes");
	for (size_t i = 0; i < n_sas && i < STATS_SAS_MAX; i++)
		print_sa(file, sas[i]);
	if (n_sas > STATS_SAS_MAX)
		fprintf(file, "... and %zu more\n", n_sas - STATS_SAS_MAX);
	fprintf(file,
		"total: received=%" PRIu64 " generated=%" PRIu64 " sent=%" PRIu64 " dropped=%" PRIu64
		" consumed=%" PRIu64 " held=%" PRIu64 " to_host=%" PRIu64 " from_host=%" PRIu64 "\n",
		stats->rx_total, stats->generated, stats->tx_total, stats->drops_total, stats->consumed,
		stats->held, stats->to_host, stats->from_host);
	fflush(file);
}
