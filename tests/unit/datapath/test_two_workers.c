/*
 * Two workers as threads, one SA for both in each direction, and a control thread that changes what they
 * read. Each way of crypto. With ThreadSanitizer (tests/support/tsan.h) the same cases look for races.
 */
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

#include "base/clock.h"
#include "control/workers.h"
#include "sites.h"
#include "support/eal.h"
#include "support/gateway.h"
#include "support/tsan.h"
#include "support/wire.h"

#define N_WORKERS     2
#define N_OUT         TSAN_ROUNDS(40000)
#define IN_FLIGHT_MAX 256 /* so that nothing is dropped for want of room */
#define N_BLOCKS      20
#define BLOCK         256 /* numbers; both workers are done with a block before the next, so none is late */
#define N_SNAPSHOTS   60
#define N_SAS         60
#define SA_PACKETS    16
#define PATIENCE_S    60 /* for one wait, on a machine that others use */
#define POISON        0xdb

static struct gateway_env env;
static struct wire lan, wan;
static unsigned sent, received;

/* The workers poll the wires and not the gateway's own ports, which send to themselves. */
static void plug_in(struct worker *w)
{
	const uint8_t lan_port = gateway_env_port(&env, "lan");

	for (uint16_t i = 0; i < w->n_rx; i++)
		w->rx[i].ethdev = w->rx[i].port == lan_port ? lan.ethdev : wan.ethdev;
	for (uint8_t i = 0; i < w->tx.n_ports; i++) {
		ck_assert_ptr_null(w->tx.ports[i].lock);
		w->tx.ports[i].ethdev = i == lan_port ? lan.ethdev : wan.ethdev;
	}
}

static void setup(const char *yaml)
{
	eal_setup();
	lan = wire_open("lan");
	wan = wire_open("wan");
	sent = received = 0;
	gateway_env_begin(&env, yaml);
	worker_end(env.worker);
	for (unsigned i = 0; i < N_WORKERS; i++)
		plug_in(env.control.workers[i]);
}

static void setup_direct(void)
{
	setup(SITE_YAML("0, 1", SITE_DIRECT));
}

static void setup_sync(void)
{
	setup(SITE_YAML("0, 1", SITE_SYNC));
}

static void setup_async(void)
{
	setup(SITE_YAML("0, 1", SITE_ASYNC));
}

static void launch(void)
{
	struct err err = {.text = "no error"};

	ck_assert_msg(workers_launch(&env.control, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
	workers_stop(&env.control);
	wire_clear(&lan);
	wire_clear(&wan);
	ck_assert_int_eq(worker_begin(env.worker), 0);
	gateway_env_end(&env);
	eal_teardown();
}

/* Fails a test that waits for what does not come. */
static void assert_soon(uint64_t start_ns, const char *what)
{
	ck_assert_msg(clock_now_ns() - start_ns < PATIENCE_S * CLOCK_NS_PER_S, "%s", what);
	usleep(10);
}

static struct rte_mbuf *copy_of(struct rte_mbuf *m)
{
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, eal_pool(), 0, UINT32_MAX);

	ck_assert_ptr_nonnull(copy);
	return copy;
}

/* An IPv4 packet that the port sent, with its Ethernet header, or NULL; what the gateway says of itself is
 * not. */
static struct rte_mbuf *take_ipv4(const struct wire *wire, unsigned queue)
{
	struct rte_mbuf *m;

	while ((m = wire_take(wire, queue))) {
		if (rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
			break;
		rte_pktmbuf_free(m);
	}
	return m;
}

#define L4_OFFSET (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr))

static uint32_t esp_seq(struct rte_mbuf *m)
{
	rte_be32_t wire;

	memcpy(&wire, rte_pktmbuf_mtod_offset(m, void *, L4_OFFSET + 4), sizeof(wire));
	return rte_be_to_cpu_32(wire);
}

/* A packet from the lan's host for the tunnel, to the next worker. */
static void send_out(struct rte_mbuf *frame)
{
	wire_put(&lan, sent % N_WORKERS, copy_of(frame));
	sent++;
}

struct outbound {
	uint32_t last[N_WORKERS]; /* of each queue */
	uint8_t *seen;            /* how often each number left */
};

static void look_at_esp(struct outbound *out, unsigned queue)
{
	struct rte_mbuf *m;

	while ((m = take_ipv4(&wan, queue))) {
		uint32_t seq = esp_seq(m);

		ck_assert_msg(seq > out->last[queue], "queue %u: %u after %u", queue, seq, out->last[queue]);
		ck_assert_uint_le(seq, N_OUT);
		out->last[queue] = seq;
		out->seen[seq]++;
		received++;
		rte_pktmbuf_free(m);
	}
}

/* ESP-6, PCP-2 */
START_TEST(each_number_leaves_once_and_they_ascend_in_each_queue)
{
	struct rte_mbuf *frame =
		gateway_env_frame_of(&env, "lan", &(struct packet_spec){.payload_bytes = 20});
	struct outbound out = {.seen = calloc(N_OUT + 1, 1)};
	uint64_t start_ns = clock_now_ns();

	launch();
	while (received < N_OUT) {
		while (sent < N_OUT && sent - received < IN_FLIGHT_MAX)
			send_out(frame);
		for (unsigned queue = 0; queue < N_WORKERS; queue++)
			look_at_esp(&out, queue);
		assert_soon(start_ns, "packets are missing");
	}
	for (uint32_t seq = 1; seq <= N_OUT; seq++)
		if (out.seen[seq] != 1)
			ck_abort_msg("number %u left %u times", seq, out.seen[seq]);
	for (unsigned queue = 0; queue < N_WORKERS; queue++)
		ck_assert_uint_gt(out.last[queue], 0);
	free(out.seen);
	rte_pktmbuf_free(frame);
}
END_TEST

/* A block of what the peer sends by the inbound SA: each packet has its place in the block as source port. */
struct block {
	uint16_t bytes; /* of each frame */
	uint8_t frames[BLOCK][192];
};

static void block_seal(struct block *block)
{
	for (uint16_t i = 0; i < BLOCK; i++) {
		struct rte_mbuf *m = gateway_env_peer_esp(
			&env, "wan", &(struct peer_esp){.sa = "in", .inner = {SITE_INNER, .source_port = i}});

		block->bytes = m->data_len;
		ck_assert_uint_le(block->bytes, sizeof(block->frames[i]));
		memcpy(block->frames[i], rte_pktmbuf_mtod(m, void *), block->bytes);
		rte_pktmbuf_free(m);
	}
}

/* The whole block to one worker, in an order of its own: index times an odd number. */
static void block_put(const struct block *block, unsigned queue, unsigned odd)
{
	for (unsigned i = 0; i < BLOCK; i++)
		wire_put(&wan, queue, mbuf_of(block->frames[i * odd % BLOCK], block->bytes));
}

static void look_at_inner(uint8_t seen[BLOCK])
{
	struct rte_mbuf *m;

	for (unsigned queue = 0; queue < N_WORKERS; queue++)
		while ((m = take_ipv4(&lan, queue))) {
			rte_be16_t wire;

			memcpy(&wire, rte_pktmbuf_mtod_offset(m, void *, L4_OFFSET), sizeof(wire));
			uint16_t number = rte_be_to_cpu_16(wire);
			ck_assert_uint_lt(number, BLOCK);
			seen[number]++;
			received++;
			rte_pktmbuf_free(m);
		}
}

/* AR-2, AR-6: both workers get each packet of the SA, one delivers it, and the other drops it as a replay. */
START_TEST(of_a_packet_that_both_workers_get_one_passes)
{
	struct block *blocks = calloc(N_BLOCKS, sizeof(*blocks));
	uint64_t start_ns;

	for (unsigned block = 0; block < N_BLOCKS; block++)
		block_seal(&blocks[block]);
	launch();
	for (unsigned block = 0; block < N_BLOCKS; block++) {
		uint8_t seen[BLOCK] = {0};

		start_ns = clock_now_ns();
		block_put(&blocks[block], 0, 1);
		block_put(&blocks[block], 1, 2 * (block % (BLOCK / 2)) + 1);
		while (received < (block + 1) * BLOCK ||
			gateway_env_dropped(&env, DROP_in_replay) < (block + 1) * BLOCK) {
			look_at_inner(seen);
			assert_soon(start_ns, "packets are missing");
		}
		look_at_inner(seen);
		for (unsigned i = 0; i < BLOCK; i++)
			if (seen[i] != 1)
				ck_abort_msg("block %u: packet %u passed %u times", block, i, seen[i]);
	}
	ck_assert_uint_eq(received, N_BLOCKS * BLOCK);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_replay), N_BLOCKS * BLOCK);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_late), 0);
	free(blocks);
}
END_TEST

static size_t sa_index(const char *name)
{
	size_t i = 0;

	while (i < env.gateway.n_sas && strcmp(env.gateway.sas[i].name, name) != 0)
		i++;
	ck_assert_uint_lt(i, env.gateway.n_sas);
	return i;
}

static struct sa *sa_of_rule(const struct policy *policy)
{
	for (size_t i = 0; policy->n_sas > 0 && i < env.control.n_sas; i++)
		if (strcmp(env.control.sas[i]->name, policy->sas[0]) == 0)
			return env.control.sas[i];
	return NULL;
}

/*
 * The snapshot once more, as a reload would publish it, with an outbound SPD of its own. Names of SPDs are
 * unique, and two generations at most are there at once.
 */
static struct snapshot *snapshot_next(unsigned generation)
{
	struct snapshot *s = rte_zmalloc("snapshot", sizeof(*s), RTE_CACHE_LINE_SIZE);
	const struct gateway *gateway = &env.gateway;
	struct spd_rule rules[32];
	struct err err = {.text = "no error"};
	size_t n_rules = 0;
	char name[16];

	*s = *env.control.snapshot;
	snprintf(name, sizeof(name), "generation%u", generation % 2);
	for (size_t i = 0; i < gateway->n_policies; i++) {
		const struct policy *policy = &gateway->policies[i];

		if (policy->direction == POLICY_OUT)
			rules[n_rules++] = (struct spd_rule){
				.selector = &policy->selector,
				.action = policy->action,
				.sa = sa_of_rule(policy),
			};
	}
	ck_assert_msg(spd_create(name, rules, n_rules, 0, &s->spd_out, &err) == 0, "%s", err.text);
	return s;
}

static void publish(const struct snapshot *s)
{
	for (unsigned i = 0; i < N_WORKERS; i++)
		atomic_store_explicit(&env.control.workers[i]->published, s, memory_order_release);
}

static bool is_adopted(const struct snapshot *s)
{
	for (unsigned i = 0; i < N_WORKERS; i++)
		if (atomic_load_explicit(&env.control.workers[i]->adopted, memory_order_acquire) != s)
			return false;
	return true;
}

/* A worker that still reads it finds no port and no table, and ThreadSanitizer sees it read. */
static void snapshot_poison_and_free(struct snapshot *s)
{
	struct spd *spd_out = s->spd_out;

	memset(s, POISON, sizeof(*s));
	spd_destroy(spd_out);
	rte_free(s);
}

/* One in clear, one for the tunnel with GCM and one for that with CBC, which stays in its device for a while.
 */
#define N_KINDS 3

/* Keep both workers busy; all that they sent is taken. */
static void pump(struct rte_mbuf *const frames[N_KINDS])
{
	struct rte_mbuf *m;

	while (sent - received < IN_FLIGHT_MAX)
		send_out(frames[sent / N_WORKERS % N_KINDS]);
	for (unsigned queue = 0; queue < N_WORKERS; queue++)
		while ((m = take_ipv4(&wan, queue))) {
			received++;
			rte_pktmbuf_free(m);
		}
}

/* Until each packet that was put on the lan's wire has left, or was dropped. */
static void await_all(uint64_t start_ns)
{
	struct rte_mbuf *m;

	while (received < sent) {
		for (unsigned queue = 0; queue < N_WORKERS; queue++)
			while ((m = take_ipv4(&wan, queue))) {
				received++;
				rte_pktmbuf_free(m);
			}
		assert_soon(start_ns, "packets are missing");
	}
}

/* Control frees a snapshot when both workers have adopted the next, while they forward. */
START_TEST(no_worker_reads_a_snapshot_that_control_has_freed)
{
	const char *destinations[N_KINDS] = {"203.0.113.5", "10.2.0.1", "10.2.3.1"};
	struct rte_mbuf *frames[N_KINDS];
	struct snapshot *last = NULL;
	uint64_t start_ns = clock_now_ns();

	for (unsigned i = 0; i < N_KINDS; i++)
		frames[i] = gateway_env_frame_of(&env, "lan",
			&(struct packet_spec){.source = "10.1.0.1", .destination = destinations[i]});
	launch();
	for (unsigned i = 0; i < N_SNAPSHOTS; i++) {
		struct snapshot *next = snapshot_next(i);

		start_ns = clock_now_ns();
		publish(next);
		while (!is_adopted(next)) {
			pump(frames);
			assert_soon(start_ns, "a worker does not adopt");
		}
		if (last)
			snapshot_poison_and_free(last);
		last = next;
		pump(frames);
	}
	publish(env.control.snapshot);
	while (!is_adopted(env.control.snapshot))
		assert_soon(start_ns, "a worker does not adopt");
	snapshot_poison_and_free(last);
	await_all(start_ns);

	ck_assert_uint_gt(sent, N_SNAPSHOTS);
	rte_pktmbuf_free_bulk(frames, N_KINDS);
}
END_TEST

/* The snapshot with one outbound policy for every packet: this action. */
static struct snapshot *snapshot_of_action(unsigned generation, enum policy_action action)
{
	struct snapshot *s = rte_zmalloc("snapshot", sizeof(*s), RTE_CACHE_LINE_SIZE);
	struct err err = {.text = "no error"};
	struct selector every_packet;
	struct spd_rule rule = {
		.selector = &every_packet,
		.action = action,
		.sa = action == POLICY_PROTECT ? env.control.sas[0] : NULL,
	};
	char name[16];

	selector_init(&every_packet);
	*s = *env.control.snapshot;
	snprintf(name, sizeof(name), "action%u", generation % 2);
	ck_assert_msg(spd_create(name, &rule, 1, 0, &s->spd_out, &err) == 0, "%s", err.text);
	return s;
}

/* How often packets of one flow left in each of the ways that the two sets of policies know. */
struct ways {
	unsigned protected, bypassed;
};

static void look_at_ways(struct ways *ways)
{
	struct rte_mbuf *m;

	for (unsigned queue = 0; queue < N_WORKERS; queue++)
		while ((m = take_ipv4(&wan, queue))) {
			const struct rte_ipv4_hdr *ip =
				rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);

			if (ip->next_proto_id == IPPROTO_ESP)
				ways->protected ++;
			else
				ways->bypassed++;
			received++;
			rte_pktmbuf_free(m);
		}
}

/* Send n packets, and look at what leaves until all of them have. */
static struct ways ways_of(struct rte_mbuf *frame, unsigned n)
{
	struct ways ways = {0};
	uint64_t start_ns = clock_now_ns();

	for (unsigned i = 0; i < n; i++)
		send_out(frame);
	while (received < sent) {
		look_at_ways(&ways);
		assert_soon(start_ns, "packets are missing");
	}
	return ways;
}

/*
 * SPD-13: while the policies change, each packet gets the answer of the old ones or of the new ones, and none
 * finds no policy; when both workers have adopted the new ones, all get theirs, although the flow is
 * remembered.
 */
START_TEST(each_packet_sees_the_old_policies_or_the_new_ones)
{
	struct rte_mbuf *frame = gateway_env_frame_of(
		&env, "lan", &(struct packet_spec){.source = "10.1.0.1", .destination = "203.0.113.5"});
	struct snapshot *last = NULL;
	struct ways between = {0};

	launch();
	for (unsigned i = 0; i < N_SNAPSHOTS; i++) {
		bool protects = i % 2;
		struct snapshot *next = snapshot_of_action(i, protects ? POLICY_PROTECT : POLICY_BYPASS);
		uint64_t start_ns = clock_now_ns();

		for (unsigned n = 0; n < IN_FLIGHT_MAX / 2; n++)
			send_out(frame);
		publish(next);
		while (!is_adopted(next) || received < sent) {
			look_at_ways(&between);
			assert_soon(start_ns, "a worker does not adopt, or packets are missing");
		}
		struct ways after = ways_of(frame, 2 * N_WORKERS);
		ck_assert_uint_eq(protects ? after.bypassed : after.protected, 0);
		if (last)
			snapshot_poison_and_free(last);
		last = next;
	}
	publish(env.control.snapshot);
	while (!is_adopted(env.control.snapshot))
		usleep(10);
	snapshot_poison_and_free(last);

	ck_assert_uint_gt(between.protected, 0);
	ck_assert_uint_gt(between.bypassed, 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_no_policy), 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_out_policy_block), 0);
	rte_pktmbuf_free(frame);
}
END_TEST

/* The inbound SA of that name under another SPI, as a rekeying would add it; no policy names it. */
static struct sa *sa_make(const char *name, uint32_t spi)
{
	struct sa_conf conf = env.gateway.sas[sa_index(name)];
	struct sa_params params = {
		.conf = &conf, .inbound = true, .n_workers = N_WORKERS, .socket = SOCKET_ID_ANY};
	struct err err = {.text = "no error"};
	struct sa *sa;

	conf.spi = spi;
	ck_assert_msg(sa_create(&params, &env.control.crypto, &sa, &err) == 0, "%s", err.text);
	ck_assert_msg(sad_add(env.control.sad, sa, &err) == 0, "%s", err.text);
	return sa;
}

static uint64_t dropped_total(void)
{
	struct stats stats;

	control_statistics(&env.control, &stats);
	return stats.drops_total;
}

/*
 * REK-4: an SA is unlinked while its packets are on the way, and destroyed when both workers have adopted a
 * snapshot that was published afterwards. What a crypto device has in flight is back by then, which a
 * quiescent state alone does not say.
 */
START_TEST(an_sa_is_destroyed_under_traffic_when_no_worker_holds_it)
{
	static struct snapshot copies[2];
	struct rte_mbuf *esp[SA_PACKETS];
	uint64_t start_ns = clock_now_ns();
	uint64_t dropped;

	for (unsigned i = 0; i < SA_PACKETS; i++)
		esp[i] = gateway_env_peer_esp(&env, "wan",
			&(struct peer_esp){.sa = "in-other", .inner = {SITE_INNER, .payload_bytes = 900}});
	dropped = dropped_total();
	launch();
	for (unsigned round = 0; round < N_SAS; round++) {
		struct snapshot *next = &copies[round % 2];
		/* A device takes several packets with CBC before it gives the first back. */
		struct sa *sa = sa_make("in-other", 0x3000 + round % 3);

		start_ns = clock_now_ns();
		for (unsigned i = 0; i < SA_PACKETS * N_WORKERS; i++) {
			struct rte_mbuf *m = copy_of(esp[i / N_WORKERS]);

			memcpy(rte_pktmbuf_mtod_offset(m, void *, L4_OFFSET), &sa->spi, sizeof(sa->spi));
			wire_put(&wan, i % N_WORKERS, m);
			sent++;
		}
		if (round % 2)
			while (dropped_total() - dropped < sent - SA_PACKETS)
				assert_soon(start_ns, "packets are missing");
		ck_assert_int_eq(sad_remove(env.control.sad, sa), 0);
		*next = *env.control.snapshot;
		publish(next);
		while (!is_adopted(next))
			assert_soon(start_ns, "a worker does not adopt");
		memset(sa->counters, POISON, N_WORKERS * sizeof(*sa->counters));
		memset(sa->outer_header, POISON, sizeof(sa->outer_header));
		sa->spi = RTE_BE32(0xdeadbeef);
		sa_destroy(sa);
	}
	/* None of the packets belongs to a policy's SA, so all end as drops: unknown, forged or not selected.
	 */
	while (dropped_total() - dropped < sent)
		assert_soon(start_ns, "packets are missing");
	publish(env.control.snapshot);
	while (!is_adopted(env.control.snapshot))
		assert_soon(start_ns, "a worker does not adopt");

	ck_assert_uint_eq(dropped_total() - dropped, sent);
	ck_assert_uint_gt(gateway_env_dropped(&env, DROP_in_no_sa), 0);
	ck_assert_uint_gt(gateway_env_dropped(&env, DROP_in_icv), 0);
	rte_pktmbuf_free_bulk(esp, SA_PACKETS);
}
END_TEST

#define N_GENERATIONS   12
#define GENERATION_PKTS 32
#define GENERATION_SPI  0x4000

/* What the peer sends by the SA of a generation. */
static void generation_seal(unsigned generation, struct rte_mbuf *esp[GENERATION_PKTS])
{
	struct sa_conf *conf = &env.gateway.sas[sa_index("in")];
	struct sa **peer = &env.peers[sa_index("in")];
	uint32_t spi = conf->spi;

	sa_destroy(*peer);
	*peer = NULL;
	conf->spi = GENERATION_SPI + generation;
	for (unsigned i = 0; i < GENERATION_PKTS; i++)
		esp[i] = gateway_env_peer_esp(
			&env, "wan", &(struct peer_esp){.sa = "in", .inner = {SITE_INNER}});
	conf->spi = spi;
}

/* Send the packets, in turn to both workers. */
static void generation_send(struct rte_mbuf *const *esp, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		wire_put(&wan, sent++ % N_WORKERS, esp[i]);
}

/* The snapshot with these SAs as alternatives of the policy; SPDs and routes stay what they are. */
static void publish_alternatives(struct snapshot *s, struct sa *const *sas, unsigned n)
{
	struct err err;

	*s = *env.control.snapshot;
	ck_assert_int_eq(alternatives_create(16, n, SOCKET_ID_ANY, &s->alternatives_in, &err), 0);
	for (unsigned i = 0; i < n; i++)
		alternatives_add(s->alternatives_in, gateway_env_policy(&env, "in"),
			&(struct alternative){.sa = sas[i]});
	publish(s);
}

static void await_adopted(const struct snapshot *s)
{
	uint64_t start_ns = clock_now_ns();

	while (!is_adopted(s))
		assert_soon(start_ns, "a worker does not adopt");
}

/* Until what was sent has come out of the lan. */
static void await_delivered(void)
{
	uint64_t start_ns = clock_now_ns();
	struct rte_mbuf *m;

	while (received < sent) {
		for (unsigned queue = 0; queue < N_WORKERS; queue++)
			while ((m = take_ipv4(&lan, queue))) {
				received++;
				rte_pktmbuf_free(m);
			}
		assert_soon(start_ns, "packets are missing");
	}
}

/*
 * REK-1, REK-5: the peer changes its SA again and again while it sends. The new one is added before it is
 * used, both are good while packets of both are on the way, and the old one goes when none are: each packet
 * is delivered, and the policy is the same all the time.
 */
START_TEST(a_policys_sas_change_over_under_traffic_without_loss)
{
	static struct snapshot both, one;
	struct rte_mbuf *esp[N_GENERATIONS][GENERATION_PKTS];
	struct sa *sas[2] = {0}; /* new, old */
	const unsigned half = GENERATION_PKTS / 2;

	for (unsigned g = 0; g < N_GENERATIONS; g++)
		generation_seal(g, esp[g]);
	launch();
	for (unsigned g = 0; g < N_GENERATIONS; g++) {
		sas[1] = sas[0];
		sas[0] = sa_make("in", GENERATION_SPI + g);
		if (g > 0)
			generation_send(esp[g - 1] + half / 2, half / 2);
		publish_alternatives(&both, sas, g > 0 ? 2 : 1);
		await_adopted(&both);
		if (g > 0)
			alternatives_destroy(one.alternatives_in);
		generation_send(esp[g], half / 2);
		if (g > 0)
			generation_send(esp[g - 1] + half, half);
		await_delivered();

		publish_alternatives(&one, sas, 1);
		await_adopted(&one);
		alternatives_destroy(both.alternatives_in);
		if (!sas[1])
			continue;
		ck_assert_int_eq(sad_remove(env.control.sad, sas[1]), 0);
		/* A snapshot that is published after the SA is out of the SAD (datapath/snapshot.h). */
		both = one;
		publish(&both);
		await_adopted(&both);
		publish(&one);
		await_adopted(&one);
		sa_destroy(sas[1]);
	}
	publish(env.control.snapshot);
	await_adopted(env.control.snapshot);
	alternatives_destroy(one.alternatives_in);
	ck_assert_int_eq(sad_remove(env.control.sad, sas[0]), 0);
	workers_stop(&env.control);
	sa_destroy(sas[0]);

	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_no_sa), 0);
	ck_assert_uint_eq(gateway_env_dropped(&env, DROP_in_selector), 0);
	ck_assert_uint_eq(received, sent);
	/* What no generation was left to send. */
	rte_pktmbuf_free_bulk(esp[N_GENERATIONS - 1] + half / 2, GENERATION_PKTS - half / 2);
}
END_TEST

static TCase *cases(const char *name, SFun way)
{
	TCase *tcase = tcase_create(name);

	tcase_set_tags(tcase, "threads");
	tcase_add_checked_fixture(tcase, way, teardown);
	tcase_add_test(tcase, each_number_leaves_once_and_they_ascend_in_each_queue);
	tcase_add_test(tcase, of_a_packet_that_both_workers_get_one_passes);
	tcase_add_test(tcase, no_worker_reads_a_snapshot_that_control_has_freed);
	tcase_add_test(tcase, each_packet_sees_the_old_policies_or_the_new_ones);
	tcase_add_test(tcase, an_sa_is_destroyed_under_traffic_when_no_worker_holds_it);
	tcase_add_test(tcase, a_policys_sas_change_over_under_traffic_without_loss);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("two workers");

	if (eal_start() != 0 || rte_lcore_count() < 1 + N_WORKERS) {
		puts("0 passed, 0 failed, 1 skipped");
		fputs("two worker threads need a second CPU\n", stderr);
		return 0;
	}
	suite_add_tcase(suite, cases("direct", setup_direct));
	suite_add_tcase(suite, cases("sync", setup_sync));
	suite_add_tcase(suite, cases("async", setup_async));
	return eal_run_suite(suite);
}
