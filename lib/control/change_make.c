/* Making a change: all that can fail first, then what workers see. */
#include "control/change.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/alternatives.h"
#include "control/apply.h"
#include "control/change_check.h"
#include "control/host_if.h"
#include "control/links.h"
#include "control/retire.h"
#include "control/sas.h"
#include "control/seq_store.h"
#include "control/watches.h"
#include "datapath/snapshot.h"
#include "ipsec/natt.h"
#include "ipsec/replies.h"
#include "ipsec/sad.h"

/* A fresh SA in its place among the gateway's, and what was there. */
struct placed {
	size_t place;
	bool is_exchanged;
	/* The fresh ones until placed, and what they took the place of from then on. */
	struct sa_conf conf;
	struct sa *sa;
};

/* What is being made, until it can't fail. */
struct making {
	struct control *control;
	struct change *change;
	struct gateway after;
	struct placed *placed;
	size_t n_placed;
	struct sa **leaving; /* SAs that are replaced or go */
	size_t n_leaving;
	size_t n_replaced;
	bool is_first;   /* nothing runs yet */
	bool is_local;   /* change_is_local */
	size_t n_tabled; /* fresh SAs in their SAD */
};

static struct sa *fresh_sa(const struct making *making, size_t i)
{
	return making->control->sas[making->placed[i].place];
}

static void leave(struct making *making, struct sa *sa)
{
	*array_append(&making->leaving, &making->n_leaving) = sa;
	atomic_fetch_or(&sa->special, SA_RETIRED);
}

/* Put a fresh SA where the gateway has its SAs, so that its name leads to it. */
static void place(struct making *making, struct sa_conf *conf, struct sa *sa)
{
	struct control *control = making->control;
	struct control_sa *before = sas_find(control, conf->name);
	struct placed *placed = array_append(&making->placed, &making->n_placed);

	placed->place = before ? before->index : control->n_sas;
	if (before) {
		placed->is_exchanged = true;
		placed->conf = *conf;
		placed->sa = sa;
		*conf = (struct sa_conf){0};
		sas_exchange(control, placed->place, &placed->conf, &placed->sa);
		leave(making, placed->sa);
		making->n_replaced++;
	} else {
		sas_append(control, conf, sa);
	}
	control->sa_notes[placed->place]->is_fresh = true;
}

/* The reverse, from the last: what was appended is the last one then. */
static void displace_all(struct making *making)
{
	while (making->n_placed > 0) {
		struct placed *placed = &making->placed[--making->n_placed];

		making->control->sa_notes[placed->place]->is_fresh = false;
		if (placed->is_exchanged)
			sas_exchange(making->control, placed->place, &placed->conf, &placed->sa);
		else
			placed->sa = sas_take(making->control, placed->place, &placed->conf);
		sas_unmake(making->control, placed->sa);
		sa_conf_fini(&placed->conf);
	}
}

static int make_and_place(struct making *making, struct sa_conf *conf, struct err *err)
{
	struct sa *sa;
	int ret = sas_make(making->control, conf, &sa, err);

	if (ret == 0)
		place(making, conf, sa);
	return ret;
}

static int fresh_make(struct making *making, struct err *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < making->change->n_fresh; i++)
		ret = make_and_place(making, &making->change->fresh[i], err);
	return ret;
}

/* Its links would change, so it is made anew, with the same configuration. */
static int remake(struct making *making, size_t place, struct err *err)
{
	struct sa_conf conf;
	int ret;

	sa_conf_copy(&making->control->gateway->sas[place], &conf);
	ret = make_and_place(making, &conf, err);
	sa_conf_fini(&conf);
	return ret;
}

/* Make those SAs anew that get other links. *is_done is set when there were none. */
static int links_round(struct making *making, const struct links *links, bool *is_done, struct err *err)
{
	const struct control *control = making->control;
	size_t n_sas = control->n_sas;
	int ret = 0;

	*is_done = true;
	for (size_t i = 0; ret == 0 && i < n_sas; i++) {
		if (control->sa_notes[i]->is_fresh || atomic_load(&control->sas[i]->special) & SA_RETIRED ||
			!links_differ(control, links, i))
			continue;
		ret = remake(making, i, err);
		*is_done = false;
	}
	return ret;
}

/* An SA that is made anew may be linked to others, which are then made anew too; bundles are short. */
static int links_change(struct making *making, struct err *err)
{
	bool is_done = false;
	int ret = 0;

	while (ret == 0 && !is_done) {
		struct links *links = links_make(making->control, &making->after);

		ret = links_round(making, links, &is_done, err);
		for (size_t i = 0; ret == 0 && is_done && i < making->n_placed; i++)
			links_set(making->control, links, making->placed[i].place);
		free(links);
	}
	return ret;
}

/* A fresh SA that no policy names has no links but to the one that it follows. */
static void follows_link(const struct making *making)
{
	const struct control *control = making->control;

	for (size_t i = 0; i < making->n_placed; i++) {
		const char *follows = control->gateway->sas[making->placed[i].place].follows;

		if (follows)
			natt_link(fresh_sa(making, i), sas_named(control, follows));
	}
}

static void gone_leave(struct making *making)
{
	for (size_t i = 0; i < making->change->n_gone; i++)
		leave(making, sas_named(making->control, making->change->gone[i]));
}

/* Each entry of an SAD is one SA's, so those that leave go first. */
static int sads_change(struct making *making, struct err *err)
{
	struct control *control = making->control;
	int ret = 0;

	for (size_t i = 0; i < making->n_leaving; i++)
		sad_remove(sas_table_of(control, making->leaving[i]), making->leaving[i]);
	while (ret == 0 && making->n_tabled < making->n_placed) {
		struct sa *sa = fresh_sa(making, making->n_tabled);

		ret = sad_add(sas_table_of(control, sa), sa, err);
		making->n_tabled += ret == 0;
	}
	return ret;
}

static void sads_restore(struct making *making)
{
	struct control *control = making->control;
	struct err ignored;

	while (making->n_tabled > 0) {
		struct sa *sa = fresh_sa(making, --making->n_tabled);

		sad_remove(sas_table_of(control, sa), sa);
	}
	for (size_t i = 0; i < making->n_leaving; i++)
		sad_add(sas_table_of(control, making->leaving[i]), making->leaving[i], &ignored);
}

static bool changes_dummies(const struct making *making)
{
	for (size_t i = 0; i < making->n_leaving; i++)
		if (making->leaving[i]->dummy.interval_tsc > 0)
			return true;
	for (size_t i = 0; i < making->n_placed; i++)
		if (fresh_sa(making, i)->dummy.interval_tsc > 0)
			return true;
	return false;
}

/* Does a policy of that direction come or go? Others keep their order. */
static bool changes_direction(const struct making *making, enum policy_direction direction)
{
	const struct gateway *gateway = making->control->gateway;
	const struct change *change = making->change;

	if (!making->is_local)
		return change->has_policies || making->n_replaced > 0 || making->is_first;
	for (size_t i = 0; change->has_policies && i < gateway->n_policies; i++)
		if (!change->is_kept[i] && gateway->policies[i].direction == direction)
			return true;
	for (size_t i = 0; change->has_policies && i < change->n_policies; i++)
		if (change->is_owned[i] && change->policies[i].direction == direction)
			return true;
	return false;
}

/* Do policies lead elsewhere? */
static bool changes_policies(const struct making *making)
{
	return changes_direction(making, POLICY_OUT) || changes_direction(making, POLICY_IN);
}

/* Which parts of the snapshot before stay as they are. */
static unsigned parts_that_stay(const struct making *making)
{
	unsigned stays = 0;

	if (making->is_first)
		return 0;
	if (!changes_direction(making, POLICY_OUT))
		stays |= SNAPSHOT_SPD_OUT;
	if (!changes_direction(making, POLICY_IN))
		stays |= SNAPSHOT_SPD_IN;
	if (!changes_policies(making) && !making->change->has_routes)
		stays |= SNAPSHOT_ALTERNATIVES;
	if (!making->change->has_policies)
		stays |= SNAPSHOT_ACQUIRES;
	if (!making->change->has_routes)
		stays |= SNAPSHOT_ROUTES;
	if (!changes_dummies(making))
		stays |= SNAPSHOT_DUMMIES;
	return stays;
}

static int neighbours_change(struct making *making, struct err *err)
{
	return making->change->has_neighbours ? host_if_set_neighbours(making->control, &making->after, err)
					      : 0;
}

/* Nothing fails from here on: workers see the new, and what was is destroyed when they do. */
static void publish(struct making *making, struct snapshot *snapshot)
{
	struct snapshot *before = making->control->snapshot;

	apply_publish(making->control, snapshot);
	if (before)
		retire(making->control, before, making->leaving, making->n_leaving);
}

static void policies_take(struct control *control, struct change *change)
{
	struct gateway *gateway = control->gateway;

	for (size_t i = 0; i < gateway->n_policies; i++) {
		if (change->is_kept[i])
			continue;
		name_index_remove(&control->policy_names, gateway->policies[i].name);
		policy_fini(&gateway->policies[i]);
	}
	for (size_t i = 0; i < change->n_policies; i++)
		if (change->is_owned[i])
			name_index_add(&control->policy_names, change->policies[i].name, 0);
	free(gateway->policies);
	gateway->policies = change->policies;
	gateway->n_policies = change->n_policies;
	change->policies = NULL;
	change->n_policies = 0;
}

/* What the change has become the gateway's, and what was the gateway's the change's, which frees it. */
static void lists_take(struct making *making)
{
	struct gateway *gateway = making->control->gateway, before = *gateway;
	struct change *change = making->change;

	if (change->has_routes) {
		gateway->routes = change->routes;
		gateway->n_routes = change->n_routes;
		change->routes = before.routes;
	}
	if (change->has_neighbours) {
		gateway->neighbours = change->neighbours;
		gateway->n_neighbours = change->n_neighbours;
		change->neighbours = before.neighbours;
		change->n_neighbours = before.n_neighbours;
	}
	if (change->has_icmp) {
		gateway->icmp = change->icmp;
		change->icmp = before.icmp;
	}
	if (change->has_policies)
		policies_take(making->control, change);
}

/* The SAs that go; those that were replaced are out already. */
static void gone_take(struct making *making)
{
	struct control *control = making->control;
	const struct change *change = making->change;

	for (size_t i = 0; i < change->n_gone; i++) {
		size_t index = sas_find(control, change->gone[i])->index;
		struct sa_conf conf;

		sas_count_users(control, &control->gateway->sas[index], -1);
		sas_take(control, index, &conf);
		sa_conf_fini(&conf);
	}
}

/* Before what goes is freed. */
static void users_count(struct making *making)
{
	struct control *control = making->control;
	const struct gateway *gateway = control->gateway;
	const struct change *change = making->change;

	for (size_t i = 0; i < making->n_placed; i++) {
		const struct placed *placed = &making->placed[i];

		sas_count_users(control, &gateway->sas[placed->place], 1);
		if (placed->is_exchanged)
			sas_count_users(control, &placed->conf, -1);
	}
	for (size_t i = 0; change->has_policies && i < gateway->n_policies; i++)
		if (!change->is_kept[i])
			sas_count_policy(control, &gateway->policies[i], -1);
	for (size_t i = 0; change->has_policies && i < change->n_policies; i++)
		if (change->is_owned[i])
			sas_count_policy(control, &change->policies[i], 1);
}

static void watches_tell(struct making *making, uint64_t now_ns)
{
	struct control *control = making->control;

	for (size_t i = 0; i < making->n_leaving; i++)
		watches_remove(control, making->leaving[i]);
	for (size_t i = 0; i < making->n_placed; i++)
		watches_add(control, fresh_sa(making, i), &control->gateway->sas[making->placed[i].place],
			now_ns);
	if (making->change->has_policies)
		watches_policies(control);
}

static void path_mtus_set(struct making *making, const struct snapshot *snapshot)
{
	struct control *control = making->control;

	for (size_t i = 0; i < making->n_placed; i++)
		apply_path_mtu(fresh_sa(making, i), snapshot);
	for (size_t i = 0; making->change->has_routes && i < control->n_sas; i++)
		apply_path_mtu(control->sas[i], snapshot);
}

static void finish(struct making *making, struct snapshot *snapshot)
{
	path_mtus_set(making, snapshot);
	publish(making, snapshot);
	if (making->is_local)
		users_count(making);
	lists_take(making);
	if (!making->is_local)
		sas_count_all_users(making->control);
	watches_tell(making, clock_now_ns());
	gone_take(making);
	peers_forget_unused(&making->control->peers);
	for (size_t i = 0; i < making->n_placed; i++) {
		making->control->sa_notes[making->placed[i].place]->is_fresh = false;
		sa_conf_fini(&making->placed[i].conf);
	}
}

/* The SA of each policy, NULL where there is none. Those that stay have what they had. The caller frees it.
 */
static struct sa **policy_sas_make(const struct making *making)
{
	const struct control *control = making->control;
	const struct change *change = making->change;
	const struct gateway *after = &making->after, *gateway = control->gateway;
	struct sa **sas = xcalloc(after->n_policies + 1, sizeof(*sas));
	uint32_t places[2] = {0}; /* in the SPDs there are */

	for (size_t i = 0, before = 0; i < after->n_policies; i++) {
		const struct policy *policy = &after->policies[i];

		if (!making->is_local || change->is_owned[i]) {
			sas[i] = policy->n_sas > 0 ? sas_named(control, policy->sas[0]) : NULL;
			continue;
		}
		while (!change->is_kept[before])
			places[gateway->policies[before++].direction]++;
		sas[i] = spd_sa(policy->direction == POLICY_OUT ? control->snapshot->spd_out
								: control->snapshot->spd_in,
			places[policy->direction]++);
		before++;
	}
	return sas;
}

/* Only for SAs that policies lead to: what a change brings, and by which policies. */
static bool brings_bundles(const struct making *making, struct sa *const *policy_sas)
{
	for (size_t i = 0; i < making->n_placed; i++)
		if (!sa_is_single_esp(fresh_sa(making, i)))
			return true;
	for (size_t i = 0; i < making->after.n_policies; i++)
		if (making->change->is_owned[i] && policy_sas[i] && !sa_is_single_esp(policy_sas[i]))
			return true;
	return false;
}

static int snapshot_make(struct making *making, struct snapshot **snapshot, struct err *err)
{
	struct control *control = making->control;
	size_t *places = xcalloc(making->n_placed + 1, sizeof(*places));
	struct sa **policy_sas = changes_policies(making) ? policy_sas_make(making) : NULL;
	const struct apply_conf conf = {
		.control = control,
		.gateway = &making->after,
		.policy_sas = policy_sas,
		.is_local = making->is_local,
		.brings_bundles = policy_sas && making->is_local && brings_bundles(making, policy_sas),
		.before = control->snapshot,
		.stays = parts_that_stay(making),
		.fresh = places,
		.n_fresh = making->n_placed,
	};
	int ret;

	for (size_t i = 0; i < making->n_placed; i++)
		places[i] = making->placed[i].place;
	ret = apply_snapshot(&conf, snapshot, err);
	if (ret == 0) {
		ret = neighbours_change(making, err);
		if (ret != 0)
			apply_snapshot_drop(&conf, *snapshot);
	}
	free(policy_sas);
	free(places);
	return ret;
}

static bool wants_numbers(const struct making *making)
{
	for (size_t i = 0; i < making->n_placed; i++)
		if (fresh_sa(making, i)->seq_lease != 0)
			return true;
	return false;
}

/* One write for all that are fresh. Those that send nothing go without, even if the disk is full. */
static int sequences_reserve(struct making *making, struct err *err)
{
	return wants_numbers(making) ? seq_store_commit(making->control->sequences, err) : 0;
}

/* The first SA that is for a peer brings the table of flows. */
static int replies_prepare(struct making *making, struct err *err)
{
	const struct control *control = making->control;
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < making->n_placed; i++)
		if (control->gateway->sas[making->placed[i].place].for_peer)
			ret = alternatives_prepare(making->control, err);
	return ret;
}

static int all_make(struct making *making, struct snapshot **snapshot, struct err *err)
{
	int ret = making->is_first ? 0 : change_check_room(making->control, making->change, err);

	making->is_local = !making->is_first && change_is_local(making->control, making->change);
	if (ret == 0)
		ret = fresh_make(making, err);
	if (ret != 0)
		return ret;
	gone_leave(making);
	making->after = change_lists_after(making->control->gateway, making->change);
	if (making->is_local)
		follows_link(making);
	else
		ret = links_change(making, err);
	if (ret == 0)
		ret = replies_prepare(making, err);
	if (ret == 0)
		ret = sequences_reserve(making, err);
	if (ret == 0)
		ret = sads_change(making, err);
	return ret == 0 ? snapshot_make(making, snapshot, err) : ret;
}

static void undo(struct making *making)
{
	sads_restore(making);
	displace_all(making);
	for (size_t i = 0; i < making->n_leaving; i++)
		atomic_fetch_and(&making->leaving[i]->special, (uint8_t)~SA_RETIRED);
}

static bool is_empty(const struct change *change)
{
	return change->n_fresh == 0 && change->n_gone == 0 && !change->has_policies && !change->has_routes &&
	       !change->has_neighbours && !change->has_icmp;
}

/* What was before a change is kept until the last worker has adopted it, which must have an end. */
static int may_begin(const struct control *control, struct err *err)
{
	if (retire_pending(control) < CHANGES_PENDING_MAX)
		return 0;
	return err_set(
		err, EBUSY, "a worker has not adopted the last %d changes; try again", CHANGES_PENDING_MAX);
}

int change_make(struct control *control, struct change *change, struct err *err)
{
	struct making making = {.control = control, .change = change, .is_first = !control->snapshot};
	struct snapshot *snapshot = NULL;
	int ret = may_begin(control, err);

	if (ret != 0 || (is_empty(change) && !making.is_first)) {
		change_fini(change);
		return ret;
	}
	pthread_mutex_lock(&control->lock);
	ret = all_make(&making, &snapshot, err);
	if (ret == 0)
		finish(&making, snapshot);
	else
		undo(&making);
	pthread_mutex_unlock(&control->lock);
	free(making.placed);
	free(making.leaving);
	change_fini(change);
	return ret;
}

int change_begin(struct control *control, struct err *err)
{
	struct gateway *gateway = control->gateway;
	struct change change;
	uint64_t start_ns = clock_now_ns();
	int ret;

	change_init(&change);
	change.fresh = gateway->sas;
	change.n_fresh = gateway->n_sas;
	gateway->sas = NULL;
	gateway->n_sas = 0;
	for (size_t i = 0; i < gateway->n_policies; i++)
		name_index_add(&control->policy_names, gateway->policies[i].name, 0);
	ret = change_make(control, &change, err);
	if (ret != 0) {
		name_index_fini(&control->policy_names);
		sas_fini(control);
		return ret;
	}
	apply_log_devices(control);
	log_info("sas=%zu load_ms=%" PRIu64, control->n_sas, (clock_now_ns() - start_ns) / CLOCK_NS_PER_MS);
	return 0;
}

/* The SADs are destroyed after this, without being asked. */
void change_end(struct control *control)
{
	struct snapshot *snapshot = control->snapshot;

	apply_publish(control, NULL);
	retire_fini(control);
	snapshot_destroy(snapshot);
	replies_destroy(control->replies);
	control->replies = NULL;
	for (size_t i = 0; i < control->n_sas; i++)
		sad_remove(sas_table_of(control, control->sas[i]), control->sas[i]);
	sas_fini(control);
	name_index_fini(&control->policy_names);
}
