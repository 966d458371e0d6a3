#include "culvert_events.h"

#include "culvert_text.h"

/* What charon knows an SA by, taken out of the table so that charon can be called without the lock. */
struct sa_id {
	uint8_t protocol;
	uint32_t spi;
	host_t *destination;
};

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "";
}

/* False if it is no SA of charon's. If it is `followed`, that which the named one follows. */
static bool sa_id_take(struct kernel_culvert *this, const char *name, bool followed, struct sa_id *id)
{
	const struct culvert_sa *sa;

	this->mutex->lock(this->mutex);
	sa = culvert_sas_find_name(&this->sas, name);
	if (sa && followed)
		sa = sa->follows;
	if (sa)
		*id = (struct sa_id){sa->protocol, sa->spi, sa->destination->clone(sa->destination)};
	this->mutex->unlock(this->mutex);
	return sa != NULL;
}

static void hear_expired(struct kernel_culvert *this, json_t *event, bool is_hard)
{
	struct sa_id id;

	if (!sa_id_take(this, text_of(event, "sa"), false, &id))
		return;
	charon->kernel->expire(charon->kernel, id.protocol, id.spi, id.destination, is_hard);
	id.destination->destroy(id.destination);
}

static uint32_t reqid_of(struct kernel_culvert *this, const char *policy_name)
{
	const struct culvert_policy *policy;
	const struct culvert_policy_user *user;
	uint32_t reqid = 0;

	this->mutex->lock(this->mutex);
	policy = culvert_policies_find_name(&this->policies, policy_name);
	user = policy ? culvert_policy_first(policy) : NULL;
	if (user)
		reqid = user->sa.reqid;
	this->mutex->unlock(this->mutex);
	return reqid;
}

static void hear_acquire(struct kernel_culvert *this, json_t *event)
{
	const json_t *packet = json_object_get(event, "packet");
	uint32_t reqid = reqid_of(this, text_of(event, "policy"));
	kernel_acquire_data_t data;

	if (reqid == 0)
		return;
	data = (kernel_acquire_data_t){
		.src = culvert_packet_selector(packet, "source"),
		.dst = culvert_packet_selector(packet, "destination"),
	};
	charon->kernel->acquire(charon->kernel, reqid, &data);
	DESTROY_IF(data.src);
	DESTROY_IF(data.dst);
}

/* culvertd says which outbound SA sends elsewhere; charon wants to know whose packets came from there. */
static void hear_moved(struct kernel_culvert *this, json_t *event)
{
	uint16_t port = (uint16_t)json_integer_value(json_object_get(event, "port"));
	host_t *peer;
	struct sa_id id;

	if (!sa_id_take(this, text_of(event, "sa"), true, &id))
		return;
	peer = culvert_host(json_object_get(event, "address"), port);
	if (peer)
		charon->kernel->mapping(charon->kernel, id.protocol, id.spi, id.destination, peer);
	DESTROY_IF(peer);
	id.destination->destroy(id.destination);
}

void culvert_event_hear(struct kernel_culvert *this, json_t *event)
{
	const char *name = text_of(event, "event");

	if (json_object_get(event, "lost"))
		DBG1(DBG_KNL, "culvertd's events came too fast: %lld are lost",
			(long long)json_integer_value(json_object_get(event, "lost")));
	if (streq(name, "sa-hard-expired"))
		hear_expired(this, event, true);
	else if (streq(name, "sa-soft-expired") || streq(name, "sa-sequence-near-end"))
		hear_expired(this, event, false);
	else if (streq(name, "acquire"))
		hear_acquire(this, event);
	else if (streq(name, "peer-moved"))
		hear_moved(this, event);
}
