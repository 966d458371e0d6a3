/*
 * What would become of a packet, and why: asked of the very tables and stages that workers use, on the
 * control thread, of a packet that is made for the question and never sent.
 *
 * Main thread. Nothing changes by it: no counter, no window, no sequence number, no table.
 * Limits: it answers for this moment, and for one worker (the first) where alternatives of a policy depend on
 * that; fragments, what is inside ESP unless it is given, what an ICMP error quotes and whether an ICV is
 * right are not in a question, so they are not in the answer. A bundle is answered up to its outermost SA.
 */
#ifndef CULVERT_CONTROL_EXPLAIN_H
#define CULVERT_CONTROL_EXPLAIN_H

#include "base/err.h"
#include "base/flow.h"
#include "control/control.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPLAIN_STEPS_MAX 24
#define EXPLAIN_NAME_MAX  64

/* The packet that is asked about. */
struct explain_query {
	uint8_t port; /* index of the port that it comes in by */
	struct flow flow;
	uint32_t spi; /* host order; of ESP, AH and IPComp, where has_spi says so */
	bool has_spi;
	uint16_t bytes; /* of the IP packet; 0, or too few for its headers: as short as it can be */
	bool df;        /* IPv4 */
	uint8_t dscp;
	bool has_inner; /* the next is what the ESP packet carries */
	struct flow inner;
};

enum explain_end {
	EXPLAIN_SENT,     /* it leaves by a port */
	EXPLAIN_WAITS,    /* the same, once the next hop has told its MAC address */
	EXPLAIN_DROPPED,  /* for `reason` */
	EXPLAIN_ANSWERED, /* the gateway answers it itself */
	EXPLAIN_CONTROL,  /* the control thread takes it */
	EXPLAIN_HOST,     /* the host's own stack gets it */
	EXPLAIN_INSIDE,   /* what is inside decides; it was not given */
};

enum explain_kind {
	EXPLAIN_IN,     /* by that port */
	EXPLAIN_LOCAL,  /* it is for the gateway itself */
	EXPLAIN_IKE,    /* and is IKE, which no policy is asked about */
	EXPLAIN_SA_IN,  /* the SA that it comes out of */
	EXPLAIN_INNER,  /* what comes out of it */
	EXPLAIN_NEARLY, /* a policy that fails by one thing alone */
	EXPLAIN_POLICY, /* the policy that it matches */
	EXPLAIN_NO_POLICY,
	EXPLAIN_SA_OUT, /* the SA that protects it; innermost first */
	EXPLAIN_NO_SA,
	EXPLAIN_PEER,    /* whose flow it answers, where the policy's alternatives are for peers */
	EXPLAIN_NO_PEER, /* nobody's */
	EXPLAIN_CUT,     /* into fragments of mtu_bytes */
	EXPLAIN_TOO_BIG, /* for mtu_bytes */
	EXPLAIN_ROUTE,
	EXPLAIN_NO_ROUTE,
	EXPLAIN_NEIGHBOUR,   /* known */
	EXPLAIN_NO_NEIGHBOUR /* not yet */
};

/* One thing that was found; of the rest of the members, those that the kind has. */
struct explain_step {
	enum explain_kind kind;
	char name[EXPLAIN_NAME_MAX]; /* of the port, SA, policy or peer */
	enum policy_direction direction;
	enum policy_action action;
	size_t number, of;      /* of a policy: its place among all, from 1 */
	const char *failed;     /* EXPLAIN_NEARLY: what does not match */
	uint8_t protocol;       /* of an SA, enum sa_protocol */
	uint32_t spi;           /* host order */
	uint16_t mtu_bytes;     /* of an SA: what fits; of a route: its link's */
	struct ip_addr source;  /* of an SA or a packet */
	struct ip_addr address; /* an SA's or a packet's destination, a next hop, a neighbour */
	struct mac_addr mac;
};

struct explanation {
	enum explain_end end;
	enum drop_reason reason;
	uint8_t port_out; /* EXPLAIN_SENT and EXPLAIN_WAITS: its index */
	unsigned n_steps;
	struct explain_step steps[EXPLAIN_STEPS_MAX];
};

/*
 * Read `SRC DST PROTOCOL [SPORT DPORT]`, for ICMP `SRC DST icmp TYPE CODE`, for IPsec `SRC DST esp SPI`,
 * which
 * `: SRC DST PROTOCOL [SPORT DPORT]` may follow, the packet inside. Returns 0, or -EINVAL with err set.
 */
int explain_query_parse(const char *text, struct explain_query *query, struct err *err);

/* Returns 0, or -EINVAL (no such port, or what can't be a packet) or -ENOMEM with err set. */
int explain(const struct control *control, const struct explain_query *query, struct explanation *explanation,
	struct err *err);

/* A step, and the end, each as a sentence. */
#define EXPLAIN_TEXT_MAX 320
const char *explain_step_text(const struct explain_step *step, char text[EXPLAIN_TEXT_MAX]);
const char *explain_end_text(
	const struct control *control, const struct explanation *explanation, char text[EXPLAIN_TEXT_MAX]);
/* `sent`, `waits`, `dropped`, `answered`, `control`, `host`, `inside`. */
const char *explain_end_name(enum explain_end end);

#endif
