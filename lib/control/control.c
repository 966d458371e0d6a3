#include "control/control.h"

#include <errno.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_launch.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/host_if.h"
#include "control/metrics_http.h"
#include "control/reloading.h"
#include "control/request.h"
#include "control/retire.h"
#include "control/server.h"
#include "control/watches.h"

/* How often control looks for work: an ARP answer waits no longer than this. */
#define CONTROL_PERIOD_US 500

static void own_statistics(const struct control *control, struct stats *stats)
{
	stats_collect((const struct worker *const *)control->workers, control->n_workers, &control->counters,
		(uint8_t)control->gateway->n_ports, stats);
}

void control_statistics(const struct control *control, struct stats *stats)
{
	own_statistics(control, stats);
	for (size_t i = 0; i < control->ports.n_ports; i++) {
		struct rte_eth_stats port;

		if (rte_eth_stats_get(control->ports.ports[i].ethdev, &port) != 0)
			continue;
		stats->missed[i] = port.imissed + port.ierrors + port.rx_nombuf;
		stats->tx_errors[i] = port.oerrors;
	}
}

void control_print_statistics(struct control *control)
{
	const char *names[GATEWAY_PORTS_MAX];
	struct stats stats;

	for (size_t i = 0; i < control->gateway->n_ports; i++)
		names[i] = control->gateway->ports[i].name;
	control_statistics(control, &stats);
	stats_print(stdout, &stats, names, (const struct sa *const *)control->sas, control->n_sas);
}

/* A worker that has returned before it was asked to has failed. */
static bool workers_run(const struct control *control)
{
	for (unsigned i = 0; i < control->n_workers; i++)
		if (rte_eal_get_lcore_state(control->workers[i]->lcore) != RUNNING)
			return false;
	return true;
}

/* Has nothing been received for so long? `last_*` are the caller's memory between calls. */
static bool idle_for(const struct control *control, uint64_t now_ns, uint64_t limit_ns,
	uint64_t *last_received, uint64_t *last_change_ns)
{
	struct stats stats;

	own_statistics(control, &stats);
	if (stats.rx_total != *last_received) {
		*last_received = stats.rx_total;
		*last_change_ns = now_ns;
	}
	return now_ns - *last_change_ns >= limit_ns;
}

/* Until it is asked to stop, or idle. */
static int serve(struct control *control, struct control_requests *requests, uint32_t until_idle_s)
{
	uint64_t last_received = 0, last_change_ns = clock_now_ns();

	while (!requests->stop) {
		uint64_t now_ns = clock_now_ns();

		if (!workers_run(control))
			return -EIO;
		host_if_poll(control, now_ns);
		watches_poll(control, now_ns);
		service_poll(&control->service, control->qsbr, now_ns);
		retire_poll(control);
		reloading_poll(control);
		server_poll(control, now_ns);
		metrics_http_poll(control);
		/* One that comes while another is under way is remembered. */
		if (requests->reload && !reloading_is_under_way(control)) {
			requests->reload = 0;
			service_reloading(&control->service, now_ns);
			request_reload(control);
		}
		if (requests->print_statistics) {
			requests->print_statistics = 0;
			control_print_statistics(control);
		}
		if (until_idle_s > 0 && idle_for(control, now_ns, until_idle_s * CLOCK_NS_PER_S,
						&last_received, &last_change_ns))
			break;
		usleep(CONTROL_PERIOD_US);
	}
	return 0;
}

int control_run(struct control *control, struct control_requests *requests, uint32_t until_idle_s)
{
	int ret;

	log_info("forwarding");
	service_ready(&control->service);
	ret = serve(control, requests, until_idle_s);
	service_stopping(&control->service);
	watches_look(control);
	if (ret == 0)
		log_info("stopping");
	return ret;
}
