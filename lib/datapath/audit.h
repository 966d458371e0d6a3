/*
 * Auditable events (RFC 4301 sections 4.4.2.1 and 9, RFC 4303 section 4): a record of a packet that a worker
 * dropped for a reason of AUDIT_REASONS, which the control thread takes and logs (control/audit_log.h).
 *
 * A worker posts, control takes; nobody waits. Each worker has a token bucket for each reason, so that a
 * flood of one hides no other; what gets no token, or finds the queue full, is counted as suppressed.
 * Limits: AUDIT_PER_SECOND records a second of each reason and worker, AUDIT_AT_ONCE at once.
 */
#ifndef CULVERT_DATAPATH_AUDIT_H
#define CULVERT_DATAPATH_AUDIT_H

#include "base/err.h"
#include "base/flow.h"
#include "net/drop.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

struct rte_ring;

#define AUDIT_QUEUE_RECORDS 512
#define AUDIT_PER_SECOND    10
#define AUDIT_AT_ONCE       10

/*
 * X(drop reason, what the packet is when it is dropped): OUTER, IPsec as it came, not to be trusted; INNER,
 * what an SA carried or should carry; CLEAR, of no SA.
 */
/* clang-format off */
#define AUDIT_REASONS(X) \
	X(in_no_sa, OUTER) X(in_endpoint, OUTER) X(in_seq_zero, OUTER) X(in_replay, OUTER) X(in_late, OUTER) \
	X(in_icv, OUTER) X(in_expired, OUTER) X(in_selector, INNER) X(in_tmpl_mismatch, CLEAR) \
	X(out_seq_overflow, INNER) X(out_seq_reserved, INNER) X(out_expired, INNER)
/* clang-format on */

enum audit_view { AUDIT_NONE, AUDIT_OUTER, AUDIT_INNER, AUDIT_CLEAR };

struct audit_record {
	enum drop_reason reason;
	uint8_t view;          /* enum audit_view */
	uint8_t protocol;      /* enum sa_protocol; CLEAR: 0 */
	uint8_t port_in;       /* PKT_PORT_SELF: the gateway made the packet */
	bool has_seq;          /* seq is the packet's */
	bool has_sa;           /* spi and tunnel are of an SA, else of the packet */
	bool inbound;          /* that SA */
	uint8_t lookup;        /* that SA's, enum sa_lookup: others of other kinds may have its SPI */
	rte_be32_t spi;        /* CLEAR: 0 */
	uint32_t label;        /* the flow label of the IPv6 header at hand, host order */
	uint64_t seq;          /* all 64 bits where an SA is known */
	struct ip_addr source; /* of the packet, or where it would go; CLEAR: none */
	struct ip_addr destination;
	struct flow flow; /* INNER and CLEAR: what the packet is */
};

struct audit;

/* Returns 0, or -ENOMEM with err set. *audit is the caller's. */
int audit_create(unsigned worker, int socket, struct audit **audit, struct err *err);
void audit_destroy(struct audit *audit);

/* Where the worker's drops look whether they are to be recorded. */
struct drop_audit *audit_hook(struct audit *audit);

/* Fill the buckets; called in each loop. Worker. */
void audit_refill(struct audit *audit, uint64_t now_tsc);

/* Take the oldest record. False: there is none. Control. */
bool audit_take(struct audit *audit, struct audit_record *record);

/* Events of the reason that were not recorded so far. Any thread. */
uint64_t audit_suppressed(const struct audit *audit, enum drop_reason reason);

/* What of a packet of that reason is recorded; AUDIT_NONE: it is not auditable. */
enum audit_view audit_view_of(enum drop_reason reason);

#endif
