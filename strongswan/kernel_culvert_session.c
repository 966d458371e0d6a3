/* The session with culvertd: its beginning, its events, and what becomes of SAs and policies when culvertd
 * was gone. */
#include "culvert_events.h"
#include "kernel_culvert.h"

#include <processing/jobs/callback_job.h>

#define CONNECT_PERIOD_MS    500
#define POLICIES_IN_A_CHANGE 1000 /* some 400 bytes each; a request has 1 MiB */
#define PAGE_ITEMS           2000 /* the most that culvertd gives */
#define NAMES_OF_IKE         "ike-*"

/* Append to `names` those of a kind that are IKE's. False if culvertd does not tell. */
static bool names_read(struct kernel_culvert *this, const char *command, const char *kind, json_t *names)
{
	json_int_t offset = 0;

	for (;;) {
		json_t *result = culvert_client_ask(&this->client, command,
			json_pack("{s:s, s:I, s:i}", "name", NAMES_OF_IKE, "offset", offset, "limit",
				PAGE_ITEMS),
			NULL);
		json_t *items = json_object_get(result, kind), *next = json_object_get(result, "next"), *item;
		size_t i;

		json_array_foreach(items, i, item) json_array_append(names, json_object_get(item, "name"));
		offset = json_integer_value(next);
		if (!result || !next) {
			json_decref(result);
			return result != NULL;
		}
		json_decref(result);
	}
}

static bool is_named(const json_t *names, const char *name)
{
	size_t i;
	json_t *one;

	json_array_foreach((json_t *)names, i, one) if (streq(json_string_value(one), name)) return true;
	return false;
}

/* Those that culvertd has and we have not. */
static json_t *stale_of(struct kernel_culvert *this, const json_t *names)
{
	json_t *stale = json_array(), *name;
	size_t i;

	json_array_foreach(
		(json_t *)names, i, name) if (!culvert_sas_find_name(&this->sas, json_string_value(name)))
		json_array_append(stale, name);
	return stale;
}

/* Whatever culvertd has of policies gives way to what we have, in one change as far as that goes. */
static bool policies_renew(struct kernel_culvert *this, json_t *change)
{
	bool is_made;

	culvert_policies_forget(&this->policies);
	do {
		bool has_more =
			culvert_policies_missing(&this->policies, &this->sas, POLICIES_IN_A_CHANGE, change);

		if (!has_more && json_object_size(change) == 0)
			break;
		json_object_set_new(change, "replace", json_true());
		json_object_set_new(change, "lasting", json_true());
		json_t *result = culvert_client_ask(&this->client, "change", change, NULL);

		is_made = result != NULL;
		json_decref(result);
		culvert_policies_made(&this->policies, is_made);
		if (!is_made)
			return false;
		change = json_object();
	} while (true);
	json_decref(change);
	return true;
}

/* SAs that culvertd has not any more, as entries of our table. */
static linked_list_t *lost_of(struct kernel_culvert *this, const json_t *names)
{
	enumerator_t *enumerator = this->sas.list->create_enumerator(this->sas.list);
	linked_list_t *lost = linked_list_create();
	struct culvert_sa *sa;

	while (enumerator->enumerate(enumerator, &sa))
		if (sa->is_installed && !is_named(names, sa->name))
			lost->insert_last(lost, sa);
	enumerator->destroy(enumerator);
	return lost;
}

struct expiry {
	uint8_t protocol;
	uint32_t spi;
	host_t *destination;
};

/* They are out of our table, so that policies wait for others; what charon is to be told of each remains. */
static linked_list_t *lost_take(struct kernel_culvert *this, linked_list_t *lost)
{
	linked_list_t *expiries = linked_list_create();
	struct culvert_sa *sa;
	struct expiry *expiry;

	while (lost->remove_first(lost, (void **)&sa) == SUCCESS) {
		DBG1(DBG_KNL, "culvertd has lost SA '%s'", sa->name);
		culvert_sas_unfollow(&this->sas, sa, NULL);
		if (sa->inbound) {
			INIT(expiry, .protocol = sa->protocol, .spi = sa->spi,
				.destination = sa->destination->clone(sa->destination));
			expiries->insert_last(expiries, expiry);
		}
		culvert_sas_remove(&this->sas, sa);
	}
	lost->destroy(lost);
	return expiries;
}

/* The CHILD_SA of each is made anew by charon. */
static void expiries_tell(linked_list_t *expiries)
{
	struct expiry *expiry;

	while (expiries->remove_first(expiries, (void **)&expiry) == SUCCESS) {
		charon->kernel->expire(
			charon->kernel, expiry->protocol, expiry->spi, expiry->destination, true);
		expiry->destination->destroy(expiry->destination);
		free(expiry);
	}
	expiries->destroy(expiries);
}

/* Make what culvertd has and what we have the same. Returns what charon is to be told of; NULL if it failed.
 */
static linked_list_t *reconcile(struct kernel_culvert *this)
{
	json_t *sas = json_array(), *policies = json_array(), *change = json_object();
	linked_list_t *expiries = NULL;

	if (names_read(this, "show-sas", "sas", sas) &&
		names_read(this, "show-policies", "policies", policies)) {
		expiries = lost_take(this, lost_of(this, sas));
		if (json_array_size(policies) > 0)
			json_object_set(change, "delete_policies", policies);
		if (json_array_size(sas) > 0)
			json_object_set_new(change, "delete_sas", stale_of(this, sas));
		if (!policies_renew(this, json_incref(change)))
			DBG1(DBG_KNL, "culvertd does not take charon's policies");
	}
	json_decref(change);
	json_decref(sas);
	json_decref(policies);
	return expiries;
}

static bool on_event(void *data, int fd, watcher_event_t event);

static void listen_to_events(struct kernel_culvert *this)
{
	lib->watcher->add(lib->watcher, this->client.events, WATCHER_READ, on_event, this);
}

static bool session_begin(struct kernel_culvert *this)
{
	linked_list_t *expiries = NULL;

	this->mutex->lock(this->mutex);
	if (culvert_client_connect(&this->client)) {
		expiries = reconcile(this);
		if (!expiries)
			culvert_client_disconnect(&this->client);
	}
	this->mutex->unlock(this->mutex);
	if (!expiries)
		return false;
	DBG1(DBG_KNL, "culvertd at '%s' is there", this->client.path);
	listen_to_events(this);
	expiries_tell(expiries);
	return true;
}

static job_requeue_t connect_again(void *data)
{
	return session_begin(data) ? JOB_REQUEUE_NONE : JOB_RESCHEDULE_MS(CONNECT_PERIOD_MS);
}

static void connect_later(struct kernel_culvert *this)
{
	lib->scheduler->schedule_job_ms(lib->scheduler,
		(job_t *)callback_job_create(connect_again, this, NULL, NULL), CONNECT_PERIOD_MS);
}

static void hear(void *argument, json_t *event)
{
	culvert_event_hear(argument, event);
}

/* A thread of charon's; false takes the socket from those that are watched. */
static bool on_event(void *data, int fd, watcher_event_t event)
{
	struct kernel_culvert *this = data;

	(void)fd;
	(void)event;
	if (culvert_client_read_events(&this->client, hear, this))
		return true;
	DBG1(DBG_KNL, "culvertd is gone; connecting again");
	this->mutex->lock(this->mutex);
	culvert_client_disconnect(&this->client);
	this->mutex->unlock(this->mutex);
	connect_later(this);
	return false;
}

void kernel_culvert_begin(struct kernel_culvert *this)
{
	if (!session_begin(this))
		connect_later(this);
}

static void users_remove(struct kernel_culvert *this)
{
	enumerator_t *enumerator = this->policies.list->create_enumerator(this->policies.list);
	struct culvert_policy *policy;

	while (enumerator->enumerate(enumerator, &policy))
		culvert_policy_users_remove(policy);
	enumerator->destroy(enumerator);
}

static void entries_remove(struct kernel_culvert *this)
{
	struct culvert_sa *sa;

	while (this->sas.list->get_first(this->sas.list, (void **)&sa) == SUCCESS)
		culvert_sas_remove(&this->sas, sa);
}

void kernel_culvert_flush(struct kernel_culvert *this, bool sas, bool policies)
{
	linked_list_t *expiries;

	if (policies)
		users_remove(this);
	if (sas)
		entries_remove(this);
	if (!culvert_client_is_connected(&this->client))
		return;
	expiries = reconcile(this);
	/* Those that are gone have been removed, so that there is nothing to tell. */
	if (expiries)
		expiries->destroy(expiries);
}

void kernel_culvert_end(struct kernel_culvert *this)
{
	if (this->client.events >= 0)
		lib->watcher->remove(lib->watcher, this->client.events);
	this->mutex->lock(this->mutex);
	kernel_culvert_flush(this, true, true);
	culvert_client_disconnect(&this->client);
	this->mutex->unlock(this->mutex);
}
