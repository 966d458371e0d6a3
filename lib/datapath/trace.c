#include "datapath/trace.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "base/counter.h"
#include "base/slots.h"
#include "ipsec/spd.h"
#include "net/stage_list.h"

/* Records of a worker that wait for control. */
#define RECORDS_MAX 64

/* Stages in stages; icmp_error asks flows. */
#define VISITS_MAX 4

enum end { FOLLOWED, IN_FLIGHT, ENDED };

/* A packet that is followed. */
struct follow {
	uint8_t end;                         /* enum end */
	bool passed;                         /* the filter, at some step */
	bool is_frame;                       /* data starts with the link header */
	bool sa_known;                       /* struct pkt's `sa` is of this packet */
	const struct sa *sas[TRACE_SAS_MAX]; /* those of the record; compared, never read again */
	struct trace_record record;
};

struct trace_worker {
	struct tracer tracer;
	struct trace *trace;
	uint16_t index;
	uint32_t next_id;
	struct slots records;
	/* The stages that packets are in, one called by the other; at [0] there is none. */
	struct visit {
		struct stage_visit stage;
		uint64_t tsc;
		uint64_t visitors; /* who came into it, a bit for each of `packets` */
	} visits[VISITS_MAX];
	struct visit *visit; /* the innermost */
	struct trace_losses losses;
	struct rte_mbuf *packets[TRACE_FOLLOWED_MAX]; /* NULL where nobody is followed */
	struct follow follows[TRACE_FOLLOWED_MAX];
};

#define BIT(i) (UINT64_C(1) << (i))

static int find(const struct trace_worker *t, const struct rte_mbuf *m)
{
	for (int i = 0; i < TRACE_FOLLOWED_MAX; i++)
		if (t->packets[i] == m)
			return i;
	return -1;
}

/* Hand the record over if the packet is one of those asked for, and forget the packet. */
static void finish(struct trace_worker *t, int i)
{
	struct trace_record *record = &t->follows[i].record;
	struct trace_record *out;

	t->packets[i] = NULL;
	if (!t->follows[i].passed || atomic_load_explicit(&t->trace->left, memory_order_relaxed) <= 0)
		return;
	out = slots_claim(&t->records, 0);
	if (!out) {
		t->losses.not_captured++;
		return;
	}
	if (atomic_fetch_sub_explicit(&t->trace->left, 1, memory_order_relaxed) <= 0)
		return;
	memcpy(out, record,
		offsetof(struct trace_record, steps) + record->n_steps * sizeof(record->steps[0]));
	slots_publish(&t->records, 1);
}

/* The SA's place in the record, where its name is copied, since the SA may be gone when that is read. */
static uint8_t sa_place(struct follow *f, const struct sa *sa)
{
	struct trace_record *record = &f->record;
	struct trace_sa *out;

	for (uint8_t i = 0; i < record->n_sas; i++)
		if (f->sas[i] == sa)
			return i;
	if (record->n_sas == TRACE_SAS_MAX)
		return TRACE_SA_NONE;
	out = &record->sas[record->n_sas];
	f->sas[record->n_sas] = sa;
	memcpy(out->name, sa->name, sizeof(out->name));
	out->spi = sa->spi;
	out->inbound = sa->inbound;
	return record->n_sas++;
}

/* struct pkt's policy, where the stage tells of which SPD it is. */
static void policy_note(struct trace_step *step, const struct pkt *p)
{
	switch (step->stage) {
	case STAGE_spd_out:
		step->policy_of = TRACE_POLICY_OUT;
		break;
	case STAGE_spd_in:
	case STAGE_spd_in_selector:
		step->policy_of = TRACE_POLICY_IN;
		break;
	default:
		return;
	}
	step->policy = p->policy;
	if (p->action == SPD_NO_POLICY)
		step->policy_of = TRACE_POLICY_NONE;
}

/* Stages that put an SA into struct pkt; what was there before may be of a packet of long ago. */
static bool sets_sa(enum stage stage)
{
	return stage == STAGE_spd_out || stage == STAGE_sad || stage == STAGE_alternatives;
}

/* The packet as it is now. */
static void look(struct trace_worker *t, struct follow *f, struct rte_mbuf *m, struct trace_step *step)
{
	struct sight sight = {.port_in = f->record.port_in};
	const struct pkt *p = pkt_of(m);

	sight_take_one(&sight, m, f->is_frame);
	if (f->sa_known)
		sight.sa = p->sa;
	step->is_ip = sight.is_ip;
	step->quote = sight.quote;
	step->bytes = rte_pktmbuf_pkt_len(m);
	step->sa = sight.sa ? sa_place(f, sight.sa) : TRACE_SA_NONE;
	policy_note(step, p);
	f->passed |= filter_match(&t->trace->conf.filter, &sight);
}

/* NULL where there is no room. */
static struct trace_step *step_add(struct follow *f, enum stage stage, uint64_t tsc)
{
	struct trace_record *record = &f->record;
	struct trace_step *step;

	if (record->n_steps == TRACE_STEPS_MAX) {
		record->n_lost++;
		return NULL;
	}
	step = &record->steps[record->n_steps++];
	*step = (struct trace_step){
		.tsc = tsc, .stage = (uint8_t)stage, .sa = TRACE_SA_NONE, .outcome = TRACE_GONE};
	return step;
}

static struct trace_step *step_last(struct follow *f)
{
	return f->record.n_lost > 0 || f->record.n_steps == 0 ? NULL
							      : &f->record.steps[f->record.n_steps - 1];
}

/* Begin to follow; -1 where there is no room. */
static int follow_begin(struct trace_worker *t, struct rte_mbuf *m, uint8_t port)
{
	int i = find(t, m);

	/* The buffer of a packet that was followed has come back: that one has ended. */
	if (i >= 0)
		finish(t, i);
	else
		i = find(t, NULL);
	if (i < 0) {
		t->losses.not_followed++;
		return -1;
	}
	struct follow *f = &t->follows[i];
	memset(f, 0, offsetof(struct follow, record.sas));
	t->packets[i] = m;
	f->record.id = ++t->next_id;
	f->record.worker = t->index;
	f->record.port_in = port;
	return i;
}

/* In the stage's own burst or in a named one: it was kept, or moved there. */
static void visitor_leaves(struct trace_worker *t, int i, unsigned burst)
{
	struct follow *f = &t->follows[i];
	struct trace_step *step = step_last(f);
	enum stage stage = t->visit->stage.stage;

	t->visit->visitors &= ~BIT(i);
	f->end = FOLLOWED;
	f->sa_known |= sets_sa(stage) && burst <= 1;
	/* Parsing takes the link header off, and what has a neighbour gets one. */
	if (stage == STAGE_parse)
		f->is_frame = false;
	if (stage == STAGE_neigh && burst == 0)
		f->is_frame = true;
	if (!step)
		return;
	step->outcome = burst == 0 ? TRACE_KEPT : TRACE_MOVED;
	step->moved_to = (uint8_t)(burst > 0 ? burst - 1 : 0);
	step->names = t->visit->stage.names;
	look(t, f, t->packets[i], step);
}

/* In no burst that the stage has: it went where packets go by that stage. */
static void visitor_gone(struct trace_worker *t, int i)
{
	struct follow *f = &t->follows[i];

	if (t->visit->stage.stage == STAGE_crypto_run) {
		f->end = IN_FLIGHT;
		return;
	}
	finish(t, i);
}

static void enter(struct tracer *tracer, const struct stage_visit *visit)
{
	struct trace_worker *t = (struct trace_worker *)tracer;
	const struct burst *burst = visit->bursts[0];

	assert(t->visit < &t->visits[VISITS_MAX - 1]);
	*++t->visit = (struct visit){.stage = *visit, .tsc = rte_rdtsc()};
	for (uint16_t n = 0; n < burst->n; n++) {
		int i = find(t, burst->pkts[n]);
		struct trace_step *step;

		if (i < 0 || t->follows[i].end == ENDED)
			continue;
		t->visit->visitors |= BIT(i);
		step = step_add(&t->follows[i], visit->stage, t->visit->tsc);
		if (step)
			look(t, &t->follows[i], burst->pkts[n], step);
	}
}

/* It was not there when the stage began: it came from a device, or was made of fragments. */
static void newcomer(struct trace_worker *t, struct rte_mbuf *m)
{
	int i = find(t, m);

	if (i < 0 && t->visit->stage.stage == STAGE_reass && pkt_of(m)->fragment_bytes != 0)
		i = follow_begin(t, m, pkt_of(m)->port_in);
	if (i < 0)
		return;
	step_add(&t->follows[i], t->visit->stage.stage, t->visit->tsc);
	visitor_leaves(t, i, 0);
}

static void leave(struct tracer *tracer)
{
	struct trace_worker *t = (struct trace_worker *)tracer;

	for (unsigned b = 0; b < RTE_DIM(t->visit->stage.bursts); b++) {
		const struct burst *burst = t->visit->stage.bursts[b];

		for (uint16_t n = 0; burst && n < burst->n; n++) {
			int i = find(t, burst->pkts[n]);

			if (i >= 0 && t->visit->visitors & BIT(i))
				visitor_leaves(t, i, b);
			else if (b == 0)
				newcomer(t, burst->pkts[n]);
		}
	}
	for (int i = 0; t->visit->visitors != 0; i++)
		if (t->visit->visitors & BIT(i)) {
			t->visit->visitors &= ~BIT(i);
			visitor_gone(t, i);
		}
	t->visit--;
}

static void dropped(struct tracer *tracer, struct rte_mbuf *m, enum drop_reason reason)
{
	struct trace_worker *t = (struct trace_worker *)tracer;
	int i = find(t, m);
	struct trace_step *step;
	struct follow *f;

	if (i < 0)
		return;
	f = &t->follows[i];
	f->sa_known |= t->visit->stage.stage == STAGE_sad && reason != DROP_in_no_sa &&
		       reason != DROP_in_hdr && reason != DROP_frag_bad;
	step = t->visit->visitors & BIT(i) ? step_last(f) : step_add(f, t->visit->stage.stage, rte_rdtsc());
	if (step) {
		step->outcome = TRACE_DROPPED;
		step->reason = (uint8_t)reason;
		/* Parsing has taken the link header off, or has not: it is shown as it came. */
		if (t->visit->stage.stage != STAGE_parse)
			look(t, f, m, step);
	}
	t->visit->visitors &= ~BIT(i);
	finish(t, i);
}

static void cut(struct tracer *tracer, struct rte_mbuf *m, struct rte_mbuf *part)
{
	struct trace_worker *t = (struct trace_worker *)tracer;
	int i = find(t, m);
	struct trace_step *step;
	int made;

	if (i < 0)
		return;
	if (!part) {
		step = step_add(&t->follows[i], STAGE_frag, rte_rdtsc());
		if (step)
			look(t, &t->follows[i], m, step);
		finish(t, i);
		return;
	}
	made = follow_begin(t, part, t->follows[i].record.port_in);
	if (made < 0)
		return;
	t->follows[made].passed = t->follows[i].passed;
	t->follows[made].sa_known = t->follows[i].sa_known;
	t->follows[made].record.part_of = t->follows[i].record.id;
	step = step_add(&t->follows[made], STAGE_frag, rte_rdtsc());
	step->outcome = TRACE_KEPT;
	look(t, &t->follows[made], part, step);
}

void trace_tick(struct trace_worker *t)
{
	for (int i = 0; i < TRACE_FOLLOWED_MAX; i++)
		if (t->packets[i] && t->follows[i].end != IN_FLIGHT)
			finish(t, i);
}

static bool is_over(const struct trace_worker *t)
{
	return atomic_load_explicit(&t->trace->left, memory_order_relaxed) <= 0;
}

static void came(struct trace_worker *t, struct rte_mbuf *m, uint8_t port, bool is_frame)
{
	int i = follow_begin(t, m, port);
	struct trace_step *step;

	if (i < 0)
		return;
	t->follows[i].is_frame = is_frame;
	step = step_add(&t->follows[i], STAGE_rx, rte_rdtsc());
	step->outcome = TRACE_KEPT;
	look(t, &t->follows[i], m, step);
}

void trace_receive(struct trace_worker *t, uint8_t port, const struct burst *burst)
{
	int wanted = t->trace->conf.filter.port;

	if (is_over(t) || (wanted != FILTER_ANY && wanted != port))
		return;
	for (uint16_t n = 0; n < burst->n; n++)
		came(t, burst->pkts[n], port, true);
}

void trace_from_control(struct trace_worker *t, const struct burst *burst)
{
	if (is_over(t))
		return;
	for (uint16_t n = 0; n < burst->n; n++)
		came(t, burst->pkts[n], pkt_of(burst->pkts[n])->port_in,
			(pkt_of(burst->pkts[n])->flags & PKT_FRAME) != 0);
}

struct tracer *trace_tracer(struct trace_worker *t)
{
	return &t->tracer;
}

static struct trace_worker *worker_create(struct trace *trace, unsigned index)
{
	struct trace_worker *t =
		aligned_alloc(SLOTS_LINE_BYTES, RTE_ALIGN_CEIL(sizeof(*t), SLOTS_LINE_BYTES));

	if (!t)
		return NULL;
	/* All of it, so that the worker finds every page there. */
	memset(t, 0, sizeof(*t));
	t->tracer = (struct tracer){.enter = enter, .leave = leave, .dropped = dropped, .cut = cut};
	t->trace = trace;
	t->index = (uint16_t)index;
	t->visits[0].stage.stage = STAGE_COUNT;
	t->visit = t->visits;
	if (slots_init(&t->records, RECORDS_MAX, sizeof(struct trace_record)) == 0)
		return t;
	free(t);
	return NULL;
}

int trace_create(const struct trace_conf *conf, struct trace **out, struct err *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	bool is_whole;

	if (trace) {
		trace->conf = *conf;
		atomic_init(&trace->left, (int32_t)conf->n_pkts);
		trace->workers = calloc(conf->n_workers, sizeof(struct trace_worker *));
	}
	is_whole = trace && trace->workers;
	for (unsigned i = 0; is_whole && i < conf->n_workers; i++)
		is_whole = (trace->workers[i] = worker_create(trace, i)) != NULL;
	if (!is_whole) {
		trace_destroy(trace);
		return err_set(err, ENOMEM, "no memory for a trace");
	}
	*out = trace;
	return 0;
}

void trace_destroy(struct trace *trace)
{
	if (!trace)
		return;
	for (unsigned i = 0; trace->workers && i < trace->conf.n_workers; i++)
		if (trace->workers[i]) {
			slots_fini(&trace->workers[i]->records);
			free(trace->workers[i]);
		}
	free(trace->workers);
	free(trace);
}

const struct trace_record *trace_peek(const struct trace *trace, unsigned worker)
{
	return slots_peek(&trace->workers[worker]->records);
}

void trace_release(struct trace *trace, unsigned worker)
{
	slots_release(&trace->workers[worker]->records);
}

struct trace_losses trace_losses(const struct trace *trace)
{
	struct trace_losses sum = {0};

	for (unsigned i = 0; i < trace->conf.n_workers; i++) {
		sum.not_captured += counter_read(&trace->workers[i]->losses.not_captured);
		sum.not_followed += counter_read(&trace->workers[i]->losses.not_followed);
	}
	return sum;
}
