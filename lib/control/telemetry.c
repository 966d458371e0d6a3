#include "control/telemetry.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_telemetry.h>

#include "base/clock.h"
#include "base/counter.h"
#include "control/lifetime.h"
#include "control/sa_text.h"
#include "control/sas.h"
#include "control/usage.h"

/*
 * A reply holds 512 entries of an array (RTE_TEL_MAX_ARRAY_ENTRIES) and 16 KB; names have up to 63
 * characters.
 */
#define NAMES_PER_REPLY 200

/*
 * The library passes a callback nothing of ours, so the gateway that it asks about stands here. The mutex is
 * for the end: after telemetry_end no callback reads the gateway.
 */
static struct {
	pthread_mutex_t lock;
	struct control *control;
} served = {.lock = PTHREAD_MUTEX_INITIALIZER};

typedef int (*answer)(const struct control *control, const char *argument, struct rte_tel_data *data);

static int with_control(answer fn, const char *argument, struct rte_tel_data *data)
{
	int ret = -ESHUTDOWN;

	pthread_mutex_lock(&served.lock);
	if (served.control) {
		pthread_mutex_lock(&served.control->lock);
		ret = fn(served.control, argument ? argument : "", data);
		pthread_mutex_unlock(&served.control->lock);
	}
	pthread_mutex_unlock(&served.lock);
	return ret;
}

static int answer_port(const struct stats *stats, const char *name, uint8_t port, struct rte_tel_data *data)
{
	struct rte_tel_data *dict = rte_tel_data_alloc();

	if (!dict)
		return -ENOMEM;
	rte_tel_data_start_dict(dict);
	rte_tel_data_add_dict_u64(dict, "rx_packets", stats->rx_packets[port]);
	rte_tel_data_add_dict_u64(dict, "rx_bytes", stats->rx_bytes[port]);
	rte_tel_data_add_dict_u64(dict, "tx_packets", stats->tx_packets[port]);
	rte_tel_data_add_dict_u64(dict, "tx_bytes", stats->tx_bytes[port]);
	rte_tel_data_add_dict_u64(dict, "drops", stats->port_drops[port]);
	rte_tel_data_add_dict_u64(dict, "missed", stats->missed[port]);
	rte_tel_data_add_dict_u64(dict, "tx_errors", stats->tx_errors[port]);
	return rte_tel_data_add_dict_container(data, name, dict, 0);
}

static int answer_ports(
	const struct control *control, const char *argument __rte_unused, struct rte_tel_data *data)
{
	struct stats stats;
	int ret = 0;

	control_statistics(control, &stats);
	rte_tel_data_start_dict(data);
	for (uint8_t i = 0; ret == 0 && i < stats.n_ports; i++)
		ret = answer_port(&stats, control->gateway->ports[i].name, i, data);
	return ret;
}

static int answer_drops(
	const struct control *control, const char *argument __rte_unused, struct rte_tel_data *data)
{
	struct stats stats;

	control_statistics(control, &stats);
	rte_tel_data_start_dict(data);
	for (unsigned i = 0; i < DROP_COUNT; i++)
		if (stats.drops[i] > 0)
			rte_tel_data_add_dict_u64(data, drop_name(i), stats.drops[i]);
	return 0;
}

static int answer_totals(
	const struct control *control, const char *argument __rte_unused, struct rte_tel_data *data)
{
	struct stats stats;

	control_statistics(control, &stats);
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_u64(data, "received", stats.rx_total);
	rte_tel_data_add_dict_u64(data, "generated", stats.generated);
	rte_tel_data_add_dict_u64(data, "sent", stats.tx_total);
	rte_tel_data_add_dict_u64(data, "dropped", stats.drops_total);
	rte_tel_data_add_dict_u64(data, "consumed", stats.consumed);
	rte_tel_data_add_dict_u64(data, "held", stats.held);
	rte_tel_data_add_dict_u64(data, "to_host", stats.to_host);
	rte_tel_data_add_dict_u64(data, "from_host", stats.from_host);
	return 0;
}

static int answer_workers(
	const struct control *control, const char *argument __rte_unused, struct rte_tel_data *data)
{
	rte_tel_data_start_dict(data);
	for (unsigned i = 0; i < control->n_workers; i++) {
		const struct worker *w = control->workers[i];
		struct rte_tel_data *dict = rte_tel_data_alloc();
		char name[32];

		if (!dict)
			return -ENOMEM;
		snprintf(name, sizeof(name), "worker%u", i);
		rte_tel_data_start_dict(dict);
		rte_tel_data_add_dict_u64(dict, "cpu", control->gateway->workers.lcores[i]);
		rte_tel_data_add_dict_u64(dict, "loops", counter_read(&w->counters.loops));
		rte_tel_data_add_dict_u64(dict, "busy_loops", counter_read(&w->counters.busy_loops));
		rte_tel_data_add_dict_u64(dict, "busy_ms", worker_busy_ms(w));
		rte_tel_data_add_dict_u64(dict, "rx_packets", worker_rx_packets(w));
		rte_tel_data_add_dict_u64(dict, "rx_bursts", counter_read(&w->counters.rx_bursts));
		rte_tel_data_add_dict_u64(dict, "drops", counter_read(&w->drops.total));
		rte_tel_data_add_dict_container(data, name, dict, 0);
	}
	return 0;
}

/* Each as a dictionary `used`, `capacity`, under its name. */
static int answer_usage(const struct usage *usage, size_t n, struct rte_tel_data *data)
{
	int ret = 0;

	rte_tel_data_start_dict(data);
	for (size_t i = 0; ret == 0 && i < n; i++) {
		struct rte_tel_data *dict = rte_tel_data_alloc();

		if (!dict)
			return -ENOMEM;
		rte_tel_data_start_dict(dict);
		rte_tel_data_add_dict_u64(dict, "used", usage[i].used);
		rte_tel_data_add_dict_u64(dict, "capacity", usage[i].capacity);
		ret = rte_tel_data_add_dict_container(data, usage[i].name, dict, 0);
	}
	return ret;
}

static int answer_tables(
	const struct control *control, const char *argument __rte_unused, struct rte_tel_data *data)
{
	struct usage usage[USAGE_MAX];

	return answer_usage(usage, usage_of_tables(control, usage), data);
}

static int answer_pools(
	const struct control *control, const char *argument __rte_unused, struct rte_tel_data *data)
{
	struct usage usage[USAGE_MAX];

	return answer_usage(usage, usage_of_pools(control, usage), data);
}

static int answer_policies(const struct control *control, const char *argument, struct rte_tel_data *data)
{
	const struct gateway *gateway = control->gateway;
	size_t start = strtoul(argument, NULL, 10);

	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	for (size_t i = start; i < gateway->n_policies && i < start + NAMES_PER_REPLY; i++)
		rte_tel_data_add_array_string(data, gateway->policies[i].name);
	return 0;
}

/* Names, with commas between them. */
static void answer_names(struct rte_tel_data *data, const char *key, char *const *names, size_t n)
{
	char text[RTE_TEL_MAX_STRING_LEN] = "";
	size_t length = 0;

	for (size_t i = 0; i < n && length < sizeof(text); i++)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length, "%s%s", i > 0 ? "," : "", names[i]);
	rte_tel_data_add_dict_string(data, key, text);
}

static int answer_policy(const struct control *control, const char *argument, struct rte_tel_data *data)
{
	const struct gateway *gateway = control->gateway;
	const struct policy *policy = NULL;

	for (size_t i = 0; i < gateway->n_policies && !policy; i++)
		if (strcmp(gateway->policies[i].name, argument) == 0)
			policy = &gateway->policies[i];
	if (!policy)
		return -ENOENT;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_u64(data, "place", (uint64_t)(policy - gateway->policies));
	rte_tel_data_add_dict_string(data, "direction", policy_direction_name(policy->direction));
	rte_tel_data_add_dict_string(data, "action", policy_action_name(policy->action));
	answer_names(data, "sas", policy->sas, policy->n_sas);
	answer_names(data, "alternatives", policy->alternatives, policy->n_alternatives);
	return 0;
}

static int answer_sas(const struct control *control, const char *argument, struct rte_tel_data *data)
{
	size_t start = strtoul(argument, NULL, 10);

	rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
	for (size_t i = start; i < control->n_sas && i < start + NAMES_PER_REPLY; i++)
		rte_tel_data_add_array_string(data, control->sas[i]->name);
	return 0;
}

static void answer_path(const struct sa *sa, struct rte_tel_data *data)
{
	rte_tel_data_add_dict_u64(
		data, "path_mtu", atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed));
	rte_tel_data_add_dict_u64(
		data, "inner_mtu", atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed));
	rte_tel_data_add_dict_u64(data, "icmp_errors", counter_read(&sa->path.icmp_errors));
}

/* What was used of each limit, as `seconds_used` with `seconds_soft` and `seconds_hard`. */
static void answer_life(const struct sa *sa, struct rte_tel_data *data)
{
	uint64_t now_ns = clock_now_ns();

	rte_tel_data_add_dict_u64(data, "ended", atomic_load(&sa->life->ended_by) != LIFE_GOES_ON);
	for (enum sa_limit_kind kind = 0; kind < SA_LIMIT_COUNT; kind++) {
		const struct sa_limit *limit = &sa->life->limits[kind];
		char name[32];

		if (limit->soft == 0 && limit->hard == 0)
			continue;
		snprintf(name, sizeof(name), "%s_used", lifetime_unit(kind));
		rte_tel_data_add_dict_u64(data, name, sa_life_used(sa, kind, now_ns));
		snprintf(name, sizeof(name), "%s_soft", lifetime_unit(kind));
		if (limit->soft > 0)
			rte_tel_data_add_dict_u64(data, name, limit->soft);
		snprintf(name, sizeof(name), "%s_hard", lifetime_unit(kind));
		if (limit->hard > 0)
			rte_tel_data_add_dict_u64(data, name, limit->hard);
	}
}

static int answer_sa(const struct control *control, const char *argument, struct rte_tel_data *data)
{
	struct sa_counters sum;
	const struct sa *sa;
	char text[IP_ADDR_TEXT_MAX];

	if (!sas_find(control, argument))
		return -ENOENT;
	sa = sas_named(control, argument);
	sa_counters_sum(sa, &sum);
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_string(data, "direction", sa->inbound ? "in" : "out");
	rte_tel_data_add_dict_string(data, "mode", sa_is_transport(sa) ? "transport" : "tunnel");
	rte_tel_data_add_dict_string(data, sa_protocol_name(sa->protocol), sa_algorithm_name(sa));
	rte_tel_data_add_dict_string(data, "source", ip_addr_format(&sa->source, text));
	rte_tel_data_add_dict_string(data, "destination", ip_addr_format(&sa->destination, text));
	rte_tel_data_add_dict_u64(data, "spi", rte_be_to_cpu_32(sa->spi));
	rte_tel_data_add_dict_u64(
		data, "sequence", sa->inbound ? replay_highest(sa->replay) : atomic_load(&sa->seq.next) - 1);
	rte_tel_data_add_dict_u64(data, "packets", sum.packets);
	rte_tel_data_add_dict_u64(data, "bytes", sum.bytes);
	if (sa->protocol == SA_IPCOMP)
		rte_tel_data_add_dict_u64(data, "uncompressed", sum.uncompressed);
	if (!sa->inbound)
		answer_path(sa, data);
	rte_tel_data_add_dict_u64(data, "dummies", sum.dummies);
	if (sum.last_tsc > 0)
		rte_tel_data_add_dict_u64(
			data, "idle_seconds", (rte_rdtsc() - sum.last_tsc) / rte_get_tsc_hz());
	if (sa->life)
		answer_life(sa, data);
	for (unsigned i = 0; i < SA_DROP_COUNT; i++)
		if (sum.drops[i] > 0)
			rte_tel_data_add_dict_u64(data, drop_name(sa_drop_reason(i)), sum.drops[i]);
	return 0;
}

#define COMMAND(name)                                                                                        \
	static int on_##name(                                                                                \
		const char *command __rte_unused, const char *argument, struct rte_tel_data *data)           \
	{                                                                                                    \
		return with_control(answer_##name, argument, data);                                          \
	}

COMMAND(ports)
COMMAND(drops)
COMMAND(totals)
COMMAND(workers)
COMMAND(tables)
COMMAND(pools)
COMMAND(policies)
COMMAND(policy)
COMMAND(sas)
COMMAND(sa)

static const struct {
	const char *command;
	telemetry_cb callback;
	const char *help;
} commands[] = {
	{"/culvert/ports", on_ports, "Packets, bytes and drops of each port."},
	{"/culvert/drops", on_drops, "Drop reasons that occurred, with their counts."},
	{"/culvert/totals", on_totals, "The balance of all packets."},
	{"/culvert/workers", on_workers, "Loops of each worker, how many found packets, and what they took."},
	{"/culvert/tables", on_tables, "How full tables and queues are."},
	{"/culvert/pools", on_pools, "How many packet buffers are in use."},
	{"/culvert/policies", on_policies, "Names of policies. Parameter: the number to start from."},
	{"/culvert/policy", on_policy, "One policy. Parameter: its name."},
	{"/culvert/sas", on_sas, "Names of SAs. Parameter: the number to start from."},
	{"/culvert/sa", on_sa, "Counters of one SA. Parameter: its name."},
};

int telemetry_begin(struct control *control, struct err *err)
{
	for (size_t i = 0; i < RTE_DIM(commands); i++) {
		int ret = rte_telemetry_register_cmd(
			commands[i].command, commands[i].callback, commands[i].help);

		if (ret != 0)
			return err_set(err, -ret, "telemetry: %s can't be registered: %s",
				commands[i].command, rte_strerror(-ret));
	}
	pthread_mutex_lock(&served.lock);
	served.control = control;
	pthread_mutex_unlock(&served.lock);
	return 0;
}

void telemetry_end(struct control *control __rte_unused)
{
	pthread_mutex_lock(&served.lock);
	served.control = NULL;
	pthread_mutex_unlock(&served.lock);
}
