/*
 * culvertd: the gateway's daemon. main reads the configuration, brings the parts up in the order of the list
 * below, runs, and takes them down in mirror order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "config/load.h"
#include "control/audit_log.h"
#include "control/change.h"
#include "control/control.h"
#include "control/cryptodevs.h"
#include "control/eal.h"
#include "control/events.h"
#include "control/host_device.h"
#include "control/host_if.h"
#include "control/lock.h"
#include "control/metrics_http.h"
#include "control/ports.h"
#include "control/privileges.h"
#include "control/reloading.h"
#include "control/secrecy.h"
#include "control/seq_store.h"
#include "control/server.h"
#include "control/service.h"
#include "control/tables.h"
#include "control/telemetry.h"
#include "control/watches.h"
#include "control/workers.h"
#include "options.h"

struct part {
	int (*begin)(struct control *control, struct err *err);
	void (*end)(struct control *control);
};

static int service_begin(struct control *control, struct err *err __attribute__((unused)))
{
	service_init(&control->service);
	return 0;
}

static void service_end(struct control *control)
{
	service_fini(&control->service);
}

static int lock_begin(struct control *control, struct err *err)
{
	control->lock_fd = control_lock(control->gateway->control_directory, err);
	return control->lock_fd < 0 ? control->lock_fd : 0;
}

static void lock_end(struct control *control)
{
	close(control->lock_fd);
}

static int environment_begin(struct control *control, struct err *err)
{
	return eal_begin(control->gateway, control->gateway->control_directory, err);
}

static void environment_end(struct control *control __attribute__((unused)))
{
	eal_end();
}

static int cryptodevs_begin(struct control *control, struct err *err)
{
	return cryptodevs_open(control->gateway, &control->crypto, err);
}

static void cryptodevs_end(struct control *control)
{
	cryptodevs_close(&control->crypto);
}

static int ports_begin(struct control *control, struct err *err)
{
	return ports_open(control->gateway, &control->ports, err);
}

static void ports_end(struct control *control)
{
	ports_close(&control->ports);
}

static int sequences_begin(struct control *control, struct err *err __attribute__((unused)))
{
	control->sequences = seq_store_create(control->gateway->state_directory);
	seq_store_listen(control->sequences, events_sequence, control);
	return 0;
}

static void sequences_end(struct control *control)
{
	seq_store_destroy(control->sequences);
}

static int traffic_begin(struct control *control, struct err *err)
{
	return ports_start(&control->ports, err);
}

static void traffic_end(struct control *control)
{
	ports_stop(&control->ports);
}

static int privileges_begin(struct control *control, struct err *err)
{
	return privileges_drop(control->gateway, control->filter, err);
}

static void nothing_end(struct control *control __attribute__((unused)))
{
}

static int nothing_begin(
	struct control *control __attribute__((unused)), struct err *err __attribute__((unused)))
{
	return 0;
}

/* What privileges_begin gives up does not come back. */
static const struct part parts[] = {
	{service_begin, service_end},
	{lock_begin, lock_end},
	{environment_begin, environment_end},
	{cryptodevs_begin, cryptodevs_end},
	{ports_begin, ports_end},
	{host_device_create, host_device_destroy},
	{tables_create, tables_destroy},
	{workers_create, workers_destroy},
	{watches_create, watches_destroy},
	{sequences_begin, sequences_end},
	{change_begin, change_end},
	{host_if_create, host_if_destroy},
	{audit_log_create, audit_log_destroy},
	{nothing_begin, tracing_destroy}, /* workers have stopped, as in the next */
	{nothing_begin, capturing_destroy},
	{telemetry_begin, telemetry_end},
	{metrics_http_begin, metrics_http_end},
	{server_create, server_destroy},
	{nothing_begin, reloading_end}, /* its answer is one of the last that the server gives */
	{traffic_begin, traffic_end},
	{nothing_begin, control_print_statistics}, /* the last word, when the workers have drained */
	{workers_launch, workers_stop},
	{privileges_begin, nothing_end},
};

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

/* What the signal handler sets and control_run reads; it can be nowhere but here. */
static struct control_requests requests;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		requests.print_statistics = 1;
	else if (number == SIGHUP)
		requests.reload = 1;
	else
		requests.stop = 1;
}

static void signals_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	/* A file that may not become longer is an error like others. */
	signal(SIGXFSZ, SIG_IGN);
}

/* Bring everything up, run, take everything down. Returns the exit code. */
static int run(struct gateway *gateway, const struct options *options)
{
	char *whole_path = realpath(options->config, NULL);
	const struct config_source source = {
		whole_path ? whole_path : options->config, config_load_until, config_read_part};
	struct control control = {
		.gateway = gateway,
		.source = &source,
		.filter = !options->no_seccomp,
		.version = CULVERT_VERSION,
		.begun_ns = clock_now_ns(),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	struct err err;
	size_t up = 0;
	int ret = 0;

	while (up < N_PARTS && (ret = parts[up].begin(&control, &err)) == 0)
		up++;
	if (ret != 0)
		log_error("%s", err.text);
	else
		ret = control_run(&control, &requests, options->until_idle_s);
	while (up > 0)
		parts[--up].end(&control);
	free(whole_path);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Read the file; what is wrong with it goes to standard error. */
static int load(const char *path, struct gateway *gateway)
{
	struct report report;
	int ret;

	report_init(&report);
	ret = config_load(path, gateway, &report);
	config_report_print(stderr, path, &report);
	report_fini(&report);
	return ret;
}

int main(int argc, char **argv)
{
	struct options options;
	struct gateway gateway;
	struct err err;
	int exit_code = EXIT_SUCCESS;

	if (options_parse(argc, argv, &options, &err) != 0) {
		fprintf(stderr, "culvertd: %s\n%s", err.text, options_usage());
		return 2;
	}
	if (options.help || options.version) {
		fputs(options.help ? options_usage() : "culvertd " CULVERT_VERSION "\n", stdout);
		return EXIT_SUCCESS;
	}
	/* Before a key is read. */
	if (!options.check_only)
		secrecy_begin();
	signals_catch();
	if (load(options.config, &gateway) != 0)
		return EXIT_FAILURE;
	if (!options.check_only) {
		control_directory_set(&gateway);
		state_directory_set(&gateway);
		exit_code = run(&gateway, &options);
	}
	gateway_fini(&gateway);
	return exit_code;
}
