/*
 * What happens, told to those who asked by the control socket's command `events`: a line of JSON each.
 *
 * Main thread only. What is told is what the log says too; nothing is made while nobody hears. Limits: a
 * listener that does not read loses events, and the next one that it gets says how many.
 */
#ifndef CULVERT_CONTROL_EVENTS_H
#define CULVERT_CONTROL_EVENTS_H

#include "control/control.h"
#include "datapath/acquire.h"
#include "datapath/audit.h"
#include "ipsec/natt.h"

/* So many packets a second of one kind are told of as failures. */
#define EVENTS_FAILURES_PER_S 100

/* A soft limit of an SA was reached, or a hard one, at which it has ended. A listener of control/lifetime.h.
 */
void events_lifetime(void *control, const struct lifetime_event *event);

/* An outbound SA has used nine tenths of its sequence numbers. A listener of control/seq_store.h. */
void events_sequence(void *control, const struct sa *sa, uint64_t next, uint64_t last);

/* A packet wants an SA that is not there. A listener of control/acquire_log.h. */
void events_acquire(void *control, const struct acquire *acquire, const char *policy);

/* An SA sends to another address now. */
void events_peer_moved(struct control *control, const struct sa *sa, const struct natt_endpoint *peer);

/* A packet was dropped that RFC 4301 calls auditable; `sa` may be NULL. */
void events_audit(struct control *control, const struct audit_record *record, const struct sa *sa);

/* A change was made, by that command. */
void events_changed(struct control *control, const char *by);

/* Look at ports' links and at rates of failures, in their time. */
void events_poll(struct control *control, uint64_t now_ns);

#endif
