#include "datapath/capture.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "base/counter.h"
#include "base/slots.h"

#define POINTS 4
/* A bucket holds the packets of so much time, one at least. */
#define BUCKET_PER_SECOND 20

struct capture_worker {
	struct tx_watch watch;
	const struct capture_conf *conf;
	bool is_open; /* the filter need not be asked */
	struct slots slots;
	uint16_t prepared; /* slots that are filled and not published */
	uint64_t filled_tsc;
	uint64_t tsc_per_packet;
	uint32_t tokens;
	uint32_t tokens_max;
	struct capture_counts counts[POINTS][PKT_PORTS_MAX];
};

struct capture {
	struct capture_conf conf;
	struct capture_worker **workers;
};

void capture_tick(struct capture_worker *c, uint64_t now_tsc)
{
	uint64_t earned = (now_tsc - c->filled_tsc) / c->tsc_per_packet;

	if (earned == 0)
		return;
	c->filled_tsc += earned * c->tsc_per_packet;
	c->tokens = (uint32_t)RTE_MIN(c->tokens + earned, (uint64_t)c->tokens_max);
}

static bool passes(const struct capture_worker *c, struct rte_mbuf *m, enum capture_point point, uint8_t port,
	const struct sa *sa)
{
	bool is_frame = point == CAPTURE_RX || point == CAPTURE_TX;
	struct sight sight = {.port_in = is_frame ? port : pkt_of(m)->port_in, .sa = sa};

	if (c->conf->filter.port != FILTER_ANY && c->conf->filter.port != sight.port_in)
		return false;
	if (c->is_open)
		return true;
	sight_take_one(&sight, m, is_frame);
	return filter_match(&c->conf->filter, &sight);
}

/* The first bytes of the packet, in however many segments it lies. */
static void copy(struct capture_slot *slot, struct rte_mbuf *m, uint32_t snap_bytes)
{
	uint32_t done = 0;

	slot->bytes = rte_pktmbuf_pkt_len(m);
	for (const struct rte_mbuf *segment = m; segment && done < snap_bytes; segment = segment->next) {
		uint32_t n = RTE_MIN((uint32_t)segment->data_len, snap_bytes - done);

		memcpy(slot->data + done, rte_pktmbuf_mtod(segment, const void *), n);
		done += n;
	}
	slot->captured_bytes = done;
}

/* Fill the next slot, or count why not. */
static void take_one(struct capture_worker *c, struct rte_mbuf *m, enum capture_point point, uint8_t port,
	const struct sa *sa, uint16_t of_burst, uint64_t tsc)
{
	struct capture_counts *counts = &c->counts[point][port];
	struct capture_slot *slot;

	if (!passes(c, m, point, port, sa))
		return;
	if (c->tokens == 0) {
		counts->over_rate++;
		return;
	}
	slot = slots_claim(&c->slots, c->prepared);
	if (!slot) {
		counts->no_room++;
		return;
	}
	c->tokens--;
	c->prepared++;
	counts->captured++;
	slot->tsc = tsc;
	slot->point = (uint8_t)point;
	slot->port = port;
	slot->of_burst = of_burst;
	slot->sa[0] = '\0';
	if (sa)
		memcpy(slot->sa, sa->name, sizeof(slot->sa));
	copy(slot, m, c->conf->snap_bytes);
}

static void publish(struct capture_worker *c)
{
	slots_publish(&c->slots, c->prepared);
	c->prepared = 0;
}

void capture_rx(struct capture_worker *c, uint8_t port, const struct burst *burst)
{
	uint64_t tsc = rte_rdtsc();

	if (!c->conf->rx || !(c->conf->ports >> port & 1))
		return;
	for (uint16_t i = 0; i < burst->n; i++)
		take_one(c, burst->pkts[i], CAPTURE_RX, port, NULL, i, tsc);
	publish(c);
}

/* The copies are made before the port may have changed or freed the frames. */
static void sending(struct tx_watch *watch, uint8_t port, const struct burst *burst)
{
	struct capture_worker *c = (struct capture_worker *)watch;
	uint64_t tsc = rte_rdtsc();

	if (!c->conf->tx || !(c->conf->ports >> port & 1))
		return;
	for (uint16_t i = 0; i < burst->n; i++)
		take_one(c, burst->pkts[i], CAPTURE_TX, port, NULL, i, tsc);
}

static void sent(struct tx_watch *watch, uint16_t n_sent)
{
	struct capture_worker *c = (struct capture_worker *)watch;

	/* What the port did not take is at the end, and counts as if it had not been seen. */
	while (c->prepared > 0) {
		const struct capture_slot *slot = slots_claim(&c->slots, c->prepared - 1u);

		if (slot->of_burst < n_sent)
			break;
		c->counts[CAPTURE_TX][slot->port].captured--;
		c->tokens++;
		c->prepared--;
	}
	publish(c);
}

struct tx_watch *capture_tx(struct capture_worker *c)
{
	return &c->watch;
}

void capture_inner(struct capture_worker *c, enum capture_point point, const struct burst *burst)
{
	uint64_t tsc = rte_rdtsc();

	if (!c->conf->inner)
		return;
	for (uint16_t i = 0; i < burst->n; i++)
		take_one(c, burst->pkts[i], point, 0, pkt_of(burst->pkts[i])->sa, i, tsc);
	publish(c);
}

static struct capture_worker *worker_create(const struct capture_conf *conf)
{
	struct capture_worker *c =
		aligned_alloc(SLOTS_LINE_BYTES, RTE_ALIGN_CEIL(sizeof(*c), SLOTS_LINE_BYTES));
	size_t slot_bytes = sizeof(struct capture_slot) + conf->snap_bytes;
	uint32_t rate_pps = RTE_MAX(conf->rate_pps / conf->n_workers, 1u);

	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->watch = (struct tx_watch){.sending = sending, .sent = sent};
	c->conf = conf;
	c->is_open = filter_is_open(&conf->filter);
	c->tsc_per_packet = RTE_MAX(rte_get_tsc_hz() / rate_pps, 1u);
	c->tokens = c->tokens_max = RTE_MAX(rate_pps / BUCKET_PER_SECOND, 1u);
	c->filled_tsc = rte_rdtsc();
	if (slots_init(&c->slots, CAPTURE_BUFFER_BYTES / (uint32_t)slot_bytes, slot_bytes) == 0)
		return c;
	free(c);
	return NULL;
}

int capture_create(const struct capture_conf *conf, struct capture **out, struct err *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	bool is_whole;

	if (capture) {
		capture->conf = *conf;
		capture->workers = calloc(conf->n_workers, sizeof(struct capture_worker *));
	}
	is_whole = capture && capture->workers;
	for (unsigned i = 0; is_whole && i < conf->n_workers; i++)
		is_whole = (capture->workers[i] = worker_create(&capture->conf)) != NULL;
	if (!is_whole) {
		capture_destroy(capture);
		return err_set(err, ENOMEM, "no memory for a capture");
	}
	*out = capture;
	return 0;
}

void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	for (unsigned i = 0; capture->workers && i < capture->conf.n_workers; i++)
		if (capture->workers[i]) {
			slots_fini(&capture->workers[i]->slots);
			free(capture->workers[i]);
		}
	free(capture->workers);
	free(capture);
}

struct capture_worker *capture_of(struct capture *capture, unsigned worker)
{
	return capture->workers[worker];
}

const struct capture_slot *capture_peek(const struct capture *capture, unsigned worker)
{
	return slots_peek(&capture->workers[worker]->slots);
}

void capture_release(struct capture *capture, unsigned worker)
{
	slots_release(&capture->workers[worker]->slots);
}

struct capture_counts capture_counts(const struct capture *capture, enum capture_point point, uint8_t port)
{
	struct capture_counts sum = {0};

	for (unsigned i = 0; i < capture->conf.n_workers; i++) {
		const struct capture_counts *counts = &capture->workers[i]->counts[point][port];

		sum.captured += counter_read(&counts->captured);
		sum.no_room += counter_read(&counts->no_room);
		sum.over_rate += counter_read(&counts->over_rate);
	}
	return sum;
}
