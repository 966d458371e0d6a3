#include "support/gateway.h"

#include <string.h>

#include <check.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include "config/load.h"
#include "control/change.h"
#include "control/cryptodevs.h"
#include "control/host_if.h"
#include "control/tables.h"
#include "control/watches.h"
#include "control/workers.h"
#include "datapath/pipeline.h"
#include "ipsec/esp_out.h"
#include "ipsec/natt.h"
#include "net/parse.h"
#include "net/rewrite.h"
#include "support/eal.h"

static void load(struct gateway_env *env, const char *yaml)
{
	struct report report;

	report_init(&report);
	if (config_load_text(yaml, strlen(yaml), ".", &env->gateway, &report) != 0) {
		config_report_print(stderr, "test", &report);
		ck_abort_msg("the test's configuration is faulty");
	}
	report_fini(&report);
}

int gateway_env_try(struct gateway_env *env, const char *yaml, struct err *err)
{
	struct control *control = &env->control;
	int ret;

	*env = (struct gateway_env){0};
	load(env, yaml);
	control->gateway = &env->gateway;
	ret = cryptodevs_open(&env->gateway, &control->crypto, err);
	ret = ret ? ret : ports_open(&env->gateway, &control->ports, err);
	ret = ret ? ret : tables_create(control, err);
	ret = ret ? ret : workers_create(control, err);
	ret = ret ? ret : watches_create(control, err);
	ret = ret ? ret : change_begin(control, err);
	ret = ret ? ret : host_if_create(control, err);
	ret = ret ? ret : ports_start(&control->ports, err);
	env->worker = control->workers[0];
	return ret ? ret : worker_begin(env->worker);
}

void gateway_env_begin(struct gateway_env *env, const char *yaml)
{
	struct err err = {.text = "no error"};

	ck_assert_msg(gateway_env_try(env, yaml, &err) == 0, "%s", err.text);
}

uint8_t gateway_env_port(const struct gateway_env *env, const char *name)
{
	int port = gateway_find_port(&env->gateway, name);

	ck_assert_msg(port >= 0, "no port %s", name);
	return (uint8_t)port;
}

uint32_t gateway_env_policy(const struct gateway_env *env, const char *name)
{
	uint32_t before[2] = {0};

	for (size_t i = 0; i < env->gateway.n_policies; i++) {
		const struct policy *policy = &env->gateway.policies[i];

		if (strcmp(policy->name, name) == 0)
			return before[policy->direction];
		before[policy->direction]++;
	}
	ck_abort_msg("no policy %s", name);
}

static void crypto_wait(struct worker *w)
{
	while (crypto_in_flight(w->crypto) > 0) {
		struct burst done = {0};

		crypto_poll(w->crypto, &done);
		pipeline_crypto_done(w, &done);
	}
}

void gateway_env_receive_frames(
	struct gateway_env *env, const char *port, struct rte_mbuf **frames, uint16_t n)
{
	struct worker *w = env->worker;
	uint8_t index = gateway_env_port(env, port);
	struct burst burst = {.n = n};

	memcpy(burst.pkts, frames, n * sizeof(frames[0]));
	w->counters.rx_packets[index] += n;
	worker_tick(w);
	pipeline_receive(w, index, &burst);
	crypto_wait(w);
	tx_flush(&w->tx, &w->drops);
}

void gateway_env_from_control(struct gateway_env *env)
{
	struct burst burst = {0};
	struct worker *w = env->worker;
	void *m;

	while (burst.n < BURST_MAX && rte_ring_dequeue(w->host.from_control, &m) == 0)
		burst_add_one(&burst, m);
	worker_tick(w);
	pipeline_from_control(w, &burst);
	crypto_wait(w);
	tx_flush(&w->tx, &w->drops);
}

struct rte_mbuf *gateway_env_frame_of(
	const struct gateway_env *env, const char *port, const struct packet_spec *spec)
{
	struct rte_mbuf *m = packet_frame_mbuf(spec);

	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr =
		env->control.ports.ports[gateway_env_port(env, port)].mac;
	return m;
}

void gateway_env_receive(struct gateway_env *env, const char *port, const struct packet_spec *spec)
{
	struct rte_mbuf *m = gateway_env_frame_of(env, port, spec);

	gateway_env_receive_frames(env, port, &m, 1);
}

struct rte_mbuf *gateway_env_sent(struct gateway_env *env, const char *port)
{
	struct rte_mbuf *m;

	return rte_eth_rx_burst(env->control.ports.ports[gateway_env_port(env, port)].ethdev, 0, &m, 1) == 1
		       ? m
		       : NULL;
}

uint64_t gateway_env_dropped(const struct gateway_env *env, enum drop_reason reason)
{
	struct stats stats;

	control_statistics(&env->control, &stats);
	return stats.drops[reason];
}

/* The same conf, turned round; made at the first call. */
struct sa *gateway_env_peer(struct gateway_env *env, const char *name)
{
	struct err err = {.text = "no such sa"};
	size_t i = 0;

	while (i < env->gateway.n_sas && strcmp(env->gateway.sas[i].name, name) != 0)
		i++;
	ck_assert_msg(i < env->gateway.n_sas && i < RTE_DIM(env->peers), "no sa %s", name);
	if (!env->peers[i]) {
		struct sa_params params = {
			.conf = &env->gateway.sas[i], .n_workers = 1, .socket = SOCKET_ID_ANY};

		ck_assert_msg(
			sa_create(&params, &env->control.crypto, &env->peers[i], &err) == 0, "%s", err.text);
	}
	return env->peers[i];
}

/* Everything that the peer's SA does, and the Ethernet header; `esp` says what is spoiled on the way. */
static struct rte_mbuf *peer_send(
	struct gateway_env *env, const char *port, struct rte_mbuf *m, const struct peer_esp *esp)
{
	const struct rte_ether_addr from = PACKET_MAC_PEER;
	struct burst burst = {.n = 1, .pkts = {m}};
	struct worker *w = env->worker;

	pkt_of(m)->sa = gateway_env_peer(env, esp->sa);
	esp_out_prepare(&burst, &w->tally);
	ck_assert_uint_eq(burst.n, 1);
	if (esp->next_header)
		*rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_of(m)->icv_offset - 1) = esp->next_header;
	crypto_run(w->crypto, &burst, &w->tally);
	while (burst.n == 0)
		crypto_poll(w->crypto, &burst);
	esp_out_finish(&burst, &w->tally);
	natt_out(&burst, &(struct burst){0}, &w->drops);
	ck_assert_uint_eq(burst.n, 1);
	if (esp->outer_ecn)
		traffic_class_set_one(m, esp->outer_ecn);
	ethernet_prepend_one(m, &env->control.ports.ports[gateway_env_port(env, port)].mac, &from, 0,
		pkt_of(m)->family == IP_V4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
	return m;
}

struct rte_mbuf *gateway_env_peer_esp(struct gateway_env *env, const char *port, const struct peer_esp *esp)
{
	struct rte_mbuf *m = packet_mbuf(&esp->inner);

	if (esp->inner_version)
		*rte_pktmbuf_mtod(m, uint8_t *) = (uint8_t)(esp->inner_version << 4 | 5);
	return peer_send(env, port, m, esp);
}

struct rte_mbuf *gateway_env_peer_around(
	struct gateway_env *env, const char *port, const char *sa, struct rte_mbuf *frame)
{
	struct rte_mbuf *m = mbuf_of(rte_pktmbuf_mtod_offset(frame, void *, sizeof(struct rte_ether_hdr)),
		rte_pktmbuf_data_len(frame) - sizeof(struct rte_ether_hdr));

	ck_assert(parse_inner_one(m, pkt_of(frame)->family));
	return peer_send(env, port, m, &(struct peer_esp){.sa = sa});
}

/* Rings outlive their ports: what nobody has read would be in the next gateway's. */
static void links_clear(struct gateway_env *env)
{
	struct rte_mbuf *m;

	for (size_t i = 0; i < env->gateway.n_ports; i++)
		while ((m = gateway_env_sent(env, env->gateway.ports[i].name)))
			rte_pktmbuf_free(m);
}

void gateway_env_end(struct gateway_env *env)
{
	struct control *control = &env->control;
	struct stats stats;

	worker_end(env->worker);
	workers_stop(control);
	links_clear(env);
	control_statistics(control, &stats);
	ports_stop(&control->ports);
	host_if_destroy(control);
	for (size_t i = 0; i < RTE_DIM(env->peers); i++)
		if (env->peers[i])
			sa_destroy(env->peers[i]);
	change_end(control);
	watches_destroy(control);
	workers_destroy(control);
	tables_destroy(control);
	ports_close(&control->ports);
	cryptodevs_close(&control->crypto);
	gateway_fini(&env->gateway);
	/*
	 * Frames came past rte_eth_rx_burst, so nobody counted them as received but
	 * gateway_env_receive_frames.
	 */
	ck_assert_msg(stats_balanced(&stats),
		"received=%lu generated=%lu sent=%lu dropped=%lu consumed=%lu held=%lu", stats.rx_total,
		stats.generated, stats.tx_total, stats.drops_total, stats.consumed, stats.held);
}
