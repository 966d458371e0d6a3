#include "kernel_culvert_ipsec.h"

#include "culvert_client.h"
#include "culvert_events.h"
#include "culvert_policies.h"
#include "culvert_sas.h"
#include "culvert_text.h"
#include "kernel_culvert.h"

#include <threading/mutex.h>

static struct kernel_culvert *self(kernel_ipsec_t *ipsec)
{
	return (struct kernel_culvert *)ipsec;
}

/* SAs may be as long as they like, and policies have no keys, so that all that culvertd is told is a change.
 */
static bool change_make(struct kernel_culvert *this, json_t *change, const struct culvert_key *key)
{
	json_t *result;

	json_object_set_new(change, "replace", json_true());
	json_object_set_new(change, "lasting", json_true());
	result = culvert_client_ask(&this->client, "change", change, key);
	json_decref(result);
	culvert_policies_made(&this->policies, result != NULL);
	return result != NULL;
}

static kernel_feature_t get_features(kernel_ipsec_t *ipsec)
{
	(void)ipsec;
	return KERNEL_ESP_V3_TFC | KERNEL_POLICY_SPI;
}

static status_t get_spi(kernel_ipsec_t *ipsec, host_t *src, host_t *dst, uint8_t protocol, uint32_t *spi)
{
	struct kernel_culvert *this = self(ipsec);
	bool is_taken;

	(void)src;
	this->mutex->lock(this->mutex);
	is_taken = culvert_sas_take_spi(&this->sas, protocol, dst, spi);
	this->mutex->unlock(this->mutex);
	return is_taken ? SUCCESS : FAILED;
}

/* charon then goes on without IPComp. */
static status_t get_cpi(kernel_ipsec_t *ipsec, host_t *src, host_t *dst, uint16_t *cpi)
{
	(void)ipsec;
	(void)src;
	(void)dst;
	(void)cpi;
	DBG1(DBG_KNL, "kernel-culvert installs no IPComp SAs");
	return NOT_SUPPORTED;
}

/* What culvert has nothing for, and what would apply to other packets than charon means if it were left out.
 */
static bool has_only_known(
	const mark_t *mark, uint32_t if_id, const char *interface, const sec_label_t *label)
{
	if (!mark->value && !mark->mask && !if_id && !interface && !label)
		return true;
	DBG1(DBG_KNL, "culvert has no marks, interface IDs, policies for an interface, or security labels");
	return false;
}

/* The SA's entry goes if culvertd does not have it. */
static bool sa_install(struct kernel_culvert *this, struct culvert_sa *sa, kernel_ipsec_add_sa_t *data)
{
	const struct culvert_key key = {.encryption = data->enc_key, .integrity = data->int_key};
	json_t *conf, *change;

	culvert_sas_follow(&this->sas, sa);
	conf = culvert_sa_conf(sa, data, &key);
	if (conf) {
		change = json_pack("{s:{s:o}}", "sas", sa->name, conf);
		sa->is_installed = true;
		culvert_policies_differ(&this->policies, &this->sas, sa->inbound, sa->reqid, change);
		if (change_make(this, change, &key))
			return true;
	}
	culvert_sas_remove(&this->sas, sa);
	return false;
}

static status_t add_sa(kernel_ipsec_t *ipsec, kernel_ipsec_sa_id_t *id, kernel_ipsec_add_sa_t *data)
{
	struct kernel_culvert *this = self(ipsec);
	struct culvert_sa *sa;
	bool is_installed;

	if (!has_only_known(&id->mark, id->if_id, data->interface, data->label))
		return NOT_SUPPORTED;
	this->mutex->lock(this->mutex);
	sa = culvert_sas_add(&this->sas, id, data);
	is_installed = sa && sa_install(this, sa, data);
	this->mutex->unlock(this->mutex);
	return is_installed ? SUCCESS : FAILED;
}

/* Those that follow it would not be between the same ends for a moment, which culvertd does not allow. */
static json_t *move_make(struct kernel_culvert *this, struct culvert_sa *sa, kernel_ipsec_update_sa_t *data)
{
	json_t *moves = json_object();

	culvert_sas_unfollow(&this->sas, sa, moves);
	json_object_set_new(
		moves, sa->name, culvert_sa_move(sa, data->new_src, data->new_dst, data->new_encap));
	return json_pack("{s:o}", "moves", moves);
}

static void ends_set(struct culvert_sa *sa, const kernel_ipsec_update_sa_t *data)
{
	sa->source->destroy(sa->source);
	sa->source = data->new_src->clone(data->new_src);
	sa->destination->destroy(sa->destination);
	sa->destination = data->new_dst->clone(data->new_dst);
	sa->is_in_udp = data->new_encap;
	if (data->new_reqid)
		sa->reqid = data->new_reqid;
}

/*
 * The SA goes on with its key, sequence numbers and window. Where culvertd can't, between ends that are not
 * its own, say, NOT_SUPPORTED makes charon leave it as it is and replace it.
 */
static status_t sa_move(struct kernel_culvert *this, struct culvert_sa *sa, kernel_ipsec_update_sa_t *data)
{
	const struct culvert_sa before = *sa;

	sa->source = data->new_src;
	sa->destination = data->new_dst;
	sa->is_in_udp = data->new_encap;
	culvert_sas_follow(&this->sas, sa);
	sa->source = before.source;
	sa->destination = before.destination;
	if (!change_make(this, move_make(this, sa, data), NULL)) {
		sa->is_in_udp = before.is_in_udp;
		sa->follows = before.follows;
		return NOT_SUPPORTED;
	}
	ends_set(sa, data);
	return SUCCESS;
}

static status_t update_sa(kernel_ipsec_t *ipsec, kernel_ipsec_sa_id_t *id, kernel_ipsec_update_sa_t *data)
{
	struct kernel_culvert *this = self(ipsec);
	struct culvert_sa *sa;
	status_t status = NOT_FOUND;

	this->mutex->lock(this->mutex);
	sa = culvert_sas_find(&this->sas, id->proto, id->spi, id->dst);
	if (sa && sa->is_installed)
		status = sa_move(this, sa, data);
	this->mutex->unlock(this->mutex);
	return status;
}

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void use_read(const json_t *result, uint64_t *bytes, uint64_t *packets, time_t *used)
{
	const json_t *sa = json_object_get(result, "sa"), *idle = json_object_get(sa, "idle_seconds");

	if (bytes)
		*bytes = number_of(sa, "bytes");
	if (packets)
		*packets = number_of(sa, "packets");
	if (used)
		*used = idle ? time_monotonic(NULL) - (time_t)json_integer_value(idle) : 0;
}

static status_t query_sa(kernel_ipsec_t *ipsec, kernel_ipsec_sa_id_t *id, kernel_ipsec_query_sa_t *data,
	uint64_t *bytes, uint64_t *packets, time_t *time)
{
	struct kernel_culvert *this = self(ipsec);
	struct culvert_sa *sa;
	json_t *result = NULL;

	(void)data;
	this->mutex->lock(this->mutex);
	sa = culvert_sas_find(&this->sas, id->proto, id->spi, id->dst);
	if (sa && sa->is_installed)
		result = culvert_client_ask(
			&this->client, "show-sa", json_pack("{s:s}", "name", sa->name), NULL);
	this->mutex->unlock(this->mutex);
	if (!result)
		return sa ? FAILED : NOT_FOUND;
	use_read(result, bytes, packets, time);
	json_decref(result);
	return SUCCESS;
}

/* No policy and no SA names it any more in that very change. */
static bool sa_delete(struct kernel_culvert *this, struct culvert_sa *sa)
{
	json_t *change = json_pack("{s:[s]}", "delete_sas", sa->name), *moves = json_object();

	sa->is_installed = false;
	culvert_policies_differ(&this->policies, &this->sas, sa->inbound, sa->reqid, change);
	culvert_sas_unfollow(&this->sas, sa, moves);
	if (json_object_size(moves) > 0)
		json_object_set(change, "moves", moves);
	json_decref(moves);
	return change_make(this, change, NULL);
}

/* The entry goes in any case: where culvertd is not there, its SAs are not there either. */
static status_t del_sa(kernel_ipsec_t *ipsec, kernel_ipsec_sa_id_t *id, kernel_ipsec_del_sa_t *data)
{
	struct kernel_culvert *this = self(ipsec);
	struct culvert_sa *sa;
	bool is_deleted = false;

	(void)data;
	this->mutex->lock(this->mutex);
	sa = culvert_sas_find(&this->sas, id->proto, id->spi, id->dst);
	if (sa) {
		is_deleted = !sa->is_installed || sa_delete(this, sa);
		culvert_sas_remove(&this->sas, sa);
	}
	this->mutex->unlock(this->mutex);
	return is_deleted ? SUCCESS : FAILED;
}

/* Inbound policies of culvert are for what is forwarded too. */
static bool is_covered(const kernel_ipsec_policy_id_t *id)
{
	return id->dir == POLICY_FWD;
}

static status_t policy_change(struct kernel_culvert *this, struct culvert_policy *policy)
{
	json_t *change = json_object();

	culvert_policy_differ(&this->policies, policy, &this->sas, change);
	if (json_object_size(change) > 0)
		return change_make(this, change, NULL) ? SUCCESS : FAILED;
	json_decref(change);
	culvert_policies_made(&this->policies, true);
	return SUCCESS;
}

/* While culvertd is not there, policies are kept for its return: they are what fetches the SAs then. */
static status_t policy_add(
	struct kernel_culvert *this, kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data)
{
	struct culvert_policy *policy = culvert_policies_find(&this->policies, id);

	if (!policy)
		policy = culvert_policies_add(&this->policies, id);
	culvert_policy_user_add(policy, id, data);
	if (!culvert_client_is_connected(&this->client))
		return SUCCESS;
	if (policy_change(this, policy) == SUCCESS)
		return SUCCESS;
	culvert_policy_user_remove(policy, id, data);
	culvert_policies_made(&this->policies, false);
	return FAILED;
}

static status_t add_policy(
	kernel_ipsec_t *ipsec, kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data)
{
	struct kernel_culvert *this = self(ipsec);
	status_t status;

	if (is_covered(id))
		return SUCCESS;
	if (!has_only_known(&id->mark, id->if_id, id->interface, id->label))
		return NOT_SUPPORTED;
	this->mutex->lock(this->mutex);
	status = policy_add(this, id, data);
	this->mutex->unlock(this->mutex);
	return status;
}

/* charon asks its SAs, which tell the same. */
static status_t query_policy(kernel_ipsec_t *ipsec, kernel_ipsec_policy_id_t *id,
	kernel_ipsec_query_policy_t *data, time_t *use_time)
{
	(void)ipsec;
	(void)id;
	(void)data;
	(void)use_time;
	return NOT_SUPPORTED;
}

static status_t policy_delete(
	struct kernel_culvert *this, kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data)
{
	struct culvert_policy *policy = culvert_policies_find(&this->policies, id);

	if (!policy || !culvert_policy_user_remove(policy, id, data))
		return NOT_FOUND;
	if (culvert_client_is_connected(&this->client))
		return policy_change(this, policy);
	culvert_policies_forget(&this->policies);
	return SUCCESS;
}

static status_t del_policy(
	kernel_ipsec_t *ipsec, kernel_ipsec_policy_id_t *id, kernel_ipsec_manage_policy_t *data)
{
	struct kernel_culvert *this = self(ipsec);
	status_t status;

	if (is_covered(id))
		return SUCCESS;
	this->mutex->lock(this->mutex);
	status = policy_delete(this, id, data);
	this->mutex->unlock(this->mutex);
	return status;
}

static status_t flush_sas(kernel_ipsec_t *ipsec)
{
	struct kernel_culvert *this = self(ipsec);

	this->mutex->lock(this->mutex);
	kernel_culvert_flush(this, true, false);
	this->mutex->unlock(this->mutex);
	return SUCCESS;
}

static status_t flush_policies(kernel_ipsec_t *ipsec)
{
	struct kernel_culvert *this = self(ipsec);

	this->mutex->lock(this->mutex);
	kernel_culvert_flush(this, false, true);
	this->mutex->unlock(this->mutex);
	return SUCCESS;
}

/* IKE is for the gateway's own addresses, and passes without charon's asking. */
static bool bypass_socket(kernel_ipsec_t *ipsec, int fd, int family)
{
	(void)ipsec;
	(void)fd;
	(void)family;
	return true;
}

static bool enable_udp_decap(kernel_ipsec_t *ipsec, int fd, int family, uint16_t port)
{
	(void)ipsec;
	(void)fd;
	(void)family;
	(void)port;
	return true;
}

static void destroy(kernel_ipsec_t *ipsec)
{
	struct kernel_culvert *this = self(ipsec);

	kernel_culvert_end(this);
	culvert_policies_fini(&this->policies);
	culvert_sas_fini(&this->sas);
	this->mutex->destroy(this->mutex);
	free(this);
}

kernel_ipsec_t *kernel_culvert_ipsec_create(void)
{
	struct kernel_culvert *this;

	INIT(this,
		.interface =
			{
				.get_features = get_features,
				.get_spi = get_spi,
				.get_cpi = get_cpi,
				.add_sa = add_sa,
				.update_sa = update_sa,
				.query_sa = query_sa,
				.del_sa = del_sa,
				.flush_sas = flush_sas,
				.add_policy = add_policy,
				.query_policy = query_policy,
				.del_policy = del_policy,
				.flush_policies = flush_policies,
				.bypass_socket = bypass_socket,
				.enable_udp_decap = enable_udp_decap,
				.destroy = destroy,
			},
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT));
	culvert_sas_init(&this->sas);
	culvert_policies_init(&this->policies,
		lib->settings->get_str(lib->settings, "%s.plugins.kernel-culvert.before", NULL, lib->ns));
	culvert_client_init(
		&this->client, lib->settings->get_str(lib->settings, "%s.plugins.kernel-culvert.socket",
				       CONTROL_SOCKET, lib->ns));
	kernel_culvert_begin(this);
	return &this->interface;
}
