/*
 * The SAs of the running gateway, which come and go while it runs: found by name, and by a place that others
 * take when they go.
 *
 * Main thread only; control/change.h is who changes them. control->sas, control->sa_notes and the model's
 * control->gateway->sas have the same order, and the last one takes the place of one that goes. Each of the
 * functions costs the same however many there are.
 */
#ifndef CULVERT_CONTROL_SAS_H
#define CULVERT_CONTROL_SAS_H

#include "control/control.h"
#include "model/sa_conf.h"

/* What control knows of an SA beside the SA and its configuration. */
struct control_sa {
	size_t index;        /* in control->sas */
	unsigned n_users;    /* how often policies and other SAs name it */
	unsigned n_released; /* and how often those that go; control/change_check.c */
	bool is_fresh;       /* the change that is being made brought it */
	bool icv_told;       /* the hint of control/icv_hint.h was given */
	char *last_event;    /* the last auditable packet, as the log has it; NULL: none */
};

/* The SA of that name, or NULL. */
struct control_sa *sas_find(const struct control *control, const char *name);

/* The SA of a name that there is. */
struct sa *sas_named(const struct control *control, const char *name);

/* Make an SA of the gateway, which no table has yet. *sa is the caller's. Returns 0 or -errno with err set.
 */
int sas_make(struct control *control, const struct sa_conf *conf, struct sa **sa, struct err *err);
/* The reverse; no table has it, and no worker. */
void sas_unmake(struct control *control, struct sa *sa);

/* Add an SA and its configuration, both of which become the gateway's. No other has its name. */
void sas_append(struct control *control, struct sa_conf *conf, struct sa *sa);
/* The SA and its configuration take the place of those there, which become the caller's. */
void sas_exchange(struct control *control, size_t index, struct sa_conf *conf, struct sa **sa);
/* Take an SA out; it and its configuration become the caller's. */
struct sa *sas_take(struct control *control, size_t index, struct sa_conf *conf);

/* Count the SAs that this configuration names as used once more (1) or less (-1). */
void sas_count_users(struct control *control, const struct sa_conf *conf, int more);
/* The same of a policy. */
void sas_count_policy(struct control *control, const struct policy *policy, int more);
/* Count all uses anew, by policies and by SAs. */
void sas_count_all_users(struct control *control);

/* The table that the SA is found in by its peer's packets, or by errors about its own. */
struct sad *sas_table_of(const struct control *control, const struct sa *sa);

/* Destroy all; no worker runs, and the SADs have none of them. */
void sas_fini(struct control *control);

#endif
