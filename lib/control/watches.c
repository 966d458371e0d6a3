#include "control/watches.h"

#include "base/clock.h"
#include "control/events.h"
#include "control/icv_hint.h"
#include "datapath/snapshot.h"
#include "ipsec/sa.h"

static void acquires_begin(struct control *control)
{
	acquire_log_init(&control->acquires, control->gateway);
	control->acquires.listener = events_acquire;
	control->acquires.argument = control;
}

int watches_create(struct control *control, struct err *err __rte_unused)
{
	lifetime_init(&control->lifetime, events_lifetime, control);
	acquires_begin(control);
	return 0;
}

void watches_poll(struct control *control, uint64_t now_ns)
{
	icv_hint_poll(control, now_ns);
	lifetime_poll(&control->lifetime, now_ns);
	audit_log_poll(control, now_ns);
	natt_watch_poll(&control->natt, control, now_ns);
	acquire_log_poll(&control->acquires, control->snapshot->acquires, now_ns);
	events_poll(control, now_ns);
}

void watches_look(struct control *control)
{
	uint64_t now_ns = clock_now_ns();

	icv_hint_look(control);
	lifetime_look(&control->lifetime, now_ns);
	natt_watch_tell(&control->natt, control);
	acquire_log_poll(&control->acquires, control->snapshot->acquires, now_ns);
}

void watches_destroy(struct control *control)
{
	acquire_log_fini(&control->acquires);
	natt_watch_fini(&control->natt);
	lifetime_fini(&control->lifetime);
}

void watches_add(struct control *control, struct sa *sa, const struct sa_conf *conf, uint64_t now_ns)
{
	lifetime_add(&control->lifetime, sa);
	natt_watch_add(&control->natt, sa, conf->keepalive_s, now_ns);
}

void watches_remove(struct control *control, const struct sa *sa)
{
	lifetime_remove(&control->lifetime, sa);
	natt_watch_remove(&control->natt, sa);
}

void watches_policies(struct control *control)
{
	acquire_log_fini(&control->acquires);
	acquires_begin(control);
}
