#include "control/sas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <rte_byteorder.h>
#include <rte_lcore.h>

#include "base/array.h"
#include "control/seq_store.h"
#include "ipsec/sad.h"

struct control_sa *sas_find(const struct control *control, const char *name)
{
	long index = name_index_find(&control->sa_names, name);

	return index < 0 ? NULL : control->sa_notes[index];
}

struct sa *sas_named(const struct control *control, const char *name)
{
	return control->sas[sas_find(control, name)->index];
}

/* The SA there is that goes on under the same key: the one of that name, or of that SPI. */
static const struct sa *same_key_before(
	const struct control *control, const struct sa_conf *conf, bool inbound)
{
	const struct control_sa *found = sas_find(control, conf->name);
	const struct sa *sa = found ? control->sas[found->index] : NULL;

	if (!sa || sa->inbound != inbound ||
		!secret_equal(&control->gateway->sas[found->index].key, &conf->key))
		sa = sad_find(inbound ? control->sad : control->sad_out, (uint8_t)conf->protocol,
			rte_cpu_to_be_32(conf->spi), &conf->destination, &conf->source);
	found = sa ? sas_find(control, sa->name) : NULL;
	return found && conf->key.length_bytes > 0 &&
			       secret_equal(&control->gateway->sas[found->index].key, &conf->key)
		       ? sa
		       : NULL;
}

int sas_make(struct control *control, const struct sa_conf *conf, struct sa **sa, struct err *err)
{
	struct sa_params params = {
		.conf = conf,
		.inbound = gateway_sa_is_inbound(control->gateway, conf),
		.n_workers = control->n_workers,
		.socket = (int)rte_socket_id(),
	};

	params.before = same_key_before(control, conf, params.inbound);
	if (getrandom(&params.iv_mask, sizeof(params.iv_mask), 0) != sizeof(params.iv_mask))
		return err_set(err, EIO, "the operating system gives no random numbers");
	int ret = sa_create(&params, &control->crypto, sa, err);
	if (ret != 0 || !control->sequences)
		return ret;
	ret = seq_store_attach(control->sequences, *sa, conf, err);
	if (ret != 0)
		sa_destroy(*sa);
	return ret;
}

void sas_unmake(struct control *control, struct sa *sa)
{
	if (control->sequences)
		seq_store_detach(control->sequences, sa);
	sa_destroy(sa);
}

/* Before workers use the SA: whose packets come by it. */
static void peer_take(struct control *control, const struct sa_conf *conf, struct sa *sa)
{
	uint64_t number;

	if (!conf->peer)
		return;
	number = peers_take(&control->peers, conf->peer);
	/* One that comes back, since the change failed, has it, and is in use. */
	if (sa->peer == number)
		return;
	sa->peer = number;
	atomic_fetch_or(&sa->special, SA_OF_PEER);
}

static void peer_release(struct control *control, const struct sa_conf *conf)
{
	if (conf->peer)
		peers_release(&control->peers, conf->peer);
}

/* Three arrays of one order: two are counted here, the model's by itself. */
void sas_append(struct control *control, struct sa_conf *conf, struct sa *sa)
{
	struct gateway *gateway = control->gateway;
	size_t index = control->n_sas, n_notes = control->n_sas;

	*array_append(&gateway->sas, &gateway->n_sas) = *conf;
	*array_append(&control->sa_notes, &n_notes) = xcalloc(1, sizeof(struct control_sa));
	*array_append(&control->sas, &control->n_sas) = sa;
	control->sa_notes[index]->index = index;
	name_index_add(&control->sa_names, gateway->sas[index].name, index);
	sa_keys_add(&control->sa_keys, &gateway->sas[index].key, control->sa_notes[index]);
	peer_take(control, conf, sa);
	*conf = (struct sa_conf){0};
}

void sas_exchange(struct control *control, size_t index, struct sa_conf *conf, struct sa **sa)
{
	struct sa_conf before = control->gateway->sas[index];
	struct sa *sa_before = control->sas[index];

	/* The index borrows the name, which is the same. */
	name_index_remove(&control->sa_names, before.name);
	sa_keys_remove(&control->sa_keys, &before.key, control->sa_notes[index]);
	sa_keys_add(&control->sa_keys, &conf->key, control->sa_notes[index]);
	peer_take(control, conf, *sa);
	peer_release(control, &before);
	control->gateway->sas[index] = *conf;
	control->sas[index] = *sa;
	control->sa_notes[index]->icv_told = false;
	name_index_add(&control->sa_names, conf->name, index);
	*conf = before;
	*sa = sa_before;
}

/* The last SA goes where one was taken out. */
static void last_move(struct control *control, size_t index)
{
	struct gateway *gateway = control->gateway;
	size_t last = --control->n_sas;

	gateway->n_sas--;
	if (index != last) {
		gateway->sas[index] = gateway->sas[last];
		control->sas[index] = control->sas[last];
		control->sa_notes[index] = control->sa_notes[last];
		control->sa_notes[index]->index = index;
		name_index_set(&control->sa_names, gateway->sas[index].name, index);
	}
	explicit_bzero(&gateway->sas[last], sizeof(gateway->sas[last]));
}

static void note_destroy(struct control_sa *note)
{
	free(note->last_event);
	free(note);
}

struct sa *sas_take(struct control *control, size_t index, struct sa_conf *conf)
{
	struct sa *sa = control->sas[index];

	*conf = control->gateway->sas[index];
	name_index_remove(&control->sa_names, conf->name);
	sa_keys_remove(&control->sa_keys, &conf->key, control->sa_notes[index]);
	peer_release(control, conf);
	note_destroy(control->sa_notes[index]);
	last_move(control, index);
	return sa;
}

static void user_count(const struct control *control, const char *name, int more)
{
	struct control_sa *used = name ? sas_find(control, name) : NULL;

	if (used)
		used->n_users += (unsigned)more;
}

void sas_count_users(struct control *control, const struct sa_conf *conf, int more)
{
	user_count(control, conf->follows, more);
	user_count(control, conf->after, more);
}

void sas_count_policy(struct control *control, const struct policy *policy, int more)
{
	for (size_t i = 0; i < policy->n_sas; i++)
		user_count(control, policy->sas[i], more);
	for (size_t i = 0; i < policy->n_alternatives; i++)
		user_count(control, policy->alternatives[i], more);
}

void sas_count_all_users(struct control *control)
{
	const struct gateway *gateway = control->gateway;

	for (size_t i = 0; i < control->n_sas; i++)
		control->sa_notes[i]->n_users = 0;
	for (size_t i = 0; i < gateway->n_sas; i++)
		sas_count_users(control, &gateway->sas[i], 1);
	for (size_t i = 0; i < gateway->n_policies; i++)
		sas_count_policy(control, &gateway->policies[i], 1);
}

struct sad *sas_table_of(const struct control *control, const struct sa *sa)
{
	return sa->inbound ? control->sad : control->sad_out;
}

/* The configurations stay in the model, whose owner frees them. */
void sas_fini(struct control *control)
{
	for (size_t i = 0; i < control->n_sas; i++) {
		sas_unmake(control, control->sas[i]);
		note_destroy(control->sa_notes[i]);
	}
	free(control->sas);
	free(control->sa_notes);
	name_index_fini(&control->sa_names);
	sa_keys_fini(&control->sa_keys);
	peers_fini(&control->peers);
	control->sas = NULL;
	control->sa_notes = NULL;
	control->n_sas = 0;
}
