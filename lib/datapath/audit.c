#include "datapath/audit.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_esp.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "base/counter.h"
#include "ipsec/sad.h"

#define FLOW_LABEL_MASK 0xfffffu /* RFC 8200 section 3 */

_Static_assert(sizeof(struct audit_record) % 4 == 0, "the ring copies words");

struct audit {
	struct drop_audit hook;
	uint64_t filled_tsc;
	uint64_t tsc_per_token;
	struct rte_ring *records;
};

static const uint8_t views[DROP_COUNT] = {
#define X(name, view) [DROP_##name] = AUDIT_##view,
	AUDIT_REASONS(X)
#undef X
};

enum audit_view audit_view_of(enum drop_reason reason)
{
	return (enum audit_view)views[reason];
}

/* The drop reasons that are of an SA are those of packets whose SA is known. */
static bool is_of_sa(enum drop_reason reason)
{
	for (unsigned slot = 0; slot < SA_DROP_COUNT; slot++)
		if (sa_drop_reason(slot) == reason)
			return true;
	return false;
}

static uint32_t flow_label(struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V6 ? rte_be_to_cpu_32(pkt_ipv6(m)->vtc_flow) & FLOW_LABEL_MASK : 0;
}

static void record_sa(struct audit_record *record, const struct sa *sa)
{
	record->has_sa = true;
	record->inbound = sa->inbound;
	record->lookup = sa->lookup;
	record->protocol = sa->protocol;
	record->spi = sa->spi;
	record->source = sa->source;
	record->destination = sa->destination;
}

/* What the packet itself says, which whoever sent it may have made up. */
static void record_outer(struct audit_record *record, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	record->protocol = p->protocol;
	record->spi = sad_spi_one(m);
	record->has_seq = p->protocol != SA_IPCOMP;
	record->seq = record->has_seq ? sad_seq_one(m) : 0;
	/* Where it was dropped before that was looked at, p->seq is of another packet. */
	if (record->has_sa && (uint32_t)p->seq == record->seq)
		record->seq = p->seq;
	record->source = ip_addr_from_bytes(p->family, pkt_source(m));
	record->destination = ip_addr_from_bytes(p->family, pkt_destination(m));
}

static void record_make(struct audit_record *record, struct rte_mbuf *m, enum drop_reason reason)
{
	const struct pkt *p = pkt_of(m);

	*record = (struct audit_record){
		.reason = reason, .view = views[reason], .port_in = p->port_in, .label = flow_label(m)};
	if (is_of_sa(reason))
		record_sa(record, p->sa);
	switch (record->view) {
	case AUDIT_OUTER:
		record_outer(record, m);
		break;
	case AUDIT_INNER:
		record->has_seq = record->inbound;
		record->seq = p->seq;
		record->flow = pkt_flow(m);
		break;
	default:
		record->flow = pkt_flow(m);
	}
}

/* The hook's function: there is a token. */
static void post(struct drop_audit *hook, struct rte_mbuf *m, enum drop_reason reason)
{
	struct audit *audit = (struct audit *)((char *)hook - offsetof(struct audit, hook));
	struct audit_record record;

	hook->tokens[reason]--;
	record_make(&record, m, reason);
	if (rte_ring_sp_enqueue_elem(audit->records, &record, sizeof(record)) != 0)
		hook->suppressed[reason]++;
}

int audit_create(unsigned worker, int socket, struct audit **out, struct err *err)
{
	struct audit *audit = rte_zmalloc_socket("audit", sizeof(*audit), RTE_CACHE_LINE_SIZE, socket);
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "audit%u", worker);
	if (audit)
		audit->records = rte_ring_create_elem(name, sizeof(struct audit_record), AUDIT_QUEUE_RECORDS,
			socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!audit || !audit->records) {
		audit_destroy(audit);
		return err_set(err, ENOMEM, "no memory for the audit records of worker %u", worker);
	}
	audit->hook.post = post;
	audit->tsc_per_token = rte_get_tsc_hz() / AUDIT_PER_SECOND;
	for (unsigned reason = 0; reason < DROP_COUNT; reason++)
		audit->hook.tokens[reason] = views[reason] != AUDIT_NONE ? AUDIT_AT_ONCE : 0;
	*out = audit;
	return 0;
}

void audit_destroy(struct audit *audit)
{
	if (!audit)
		return;
	rte_ring_free(audit->records);
	rte_free(audit);
}

struct drop_audit *audit_hook(struct audit *audit)
{
	return &audit->hook;
}

void audit_refill(struct audit *audit, uint64_t now_tsc)
{
	if (now_tsc - audit->filled_tsc < audit->tsc_per_token)
		return;
	audit->filled_tsc = now_tsc;
	for (unsigned reason = 0; reason < DROP_COUNT; reason++)
		if (views[reason] != AUDIT_NONE && audit->hook.tokens[reason] < AUDIT_AT_ONCE)
			audit->hook.tokens[reason]++;
}

bool audit_take(struct audit *audit, struct audit_record *record)
{
	return rte_ring_sc_dequeue_elem(audit->records, record, sizeof(*record)) == 0;
}

uint64_t audit_suppressed(const struct audit *audit, enum drop_reason reason)
{
	return counter_read(&audit->hook.suppressed[reason]);
}
