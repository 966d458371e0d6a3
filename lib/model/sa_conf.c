#include "model/sa_conf.h"
#include "base/array.h"
#include "model/gateway.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(SA_DSCP_MAX < 64 && GATEWAY_WORKERS_MAX <= 64, "a bit for each");

uint64_t sa_conf_dscps(const struct sa_conf *conf)
{
	uint64_t dscps = 0;

	for (size_t i = 0; i < conf->n_for_dscp; i++)
		dscps |= UINT64_C(1) << conf->for_dscp[i];
	return conf->n_for_dscp > 0 ? dscps : UINT64_MAX;
}

uint64_t sa_conf_workers(const struct sa_conf *conf)
{
	uint64_t workers = 0;

	for (size_t i = 0; i < conf->n_for_worker; i++)
		workers |= UINT64_C(1) << conf->for_worker[i];
	return conf->n_for_worker > 0 ? workers : UINT64_MAX;
}

void sa_conf_fini(struct sa_conf *conf)
{
	free(conf->for_dscp);
	free(conf->for_worker);
	free(conf->after);
	free(conf->for_peer);
	free(conf->peer);
	free(conf->name);
	free(conf->follows);
	explicit_bzero(conf, sizeof(*conf));
}

static void *memory_copy(const void *memory, size_t bytes)
{
	return bytes > 0 ? memcpy(xcalloc(1, bytes), memory, bytes) : NULL;
}

static char *text_copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

void sa_conf_copy(const struct sa_conf *conf, struct sa_conf *copy)
{
	memcpy(copy, conf, sizeof(*copy));
	copy->name = text_copy(conf->name);
	copy->after = text_copy(conf->after);
	copy->for_peer = text_copy(conf->for_peer);
	copy->peer = text_copy(conf->peer);
	copy->follows = text_copy(conf->follows);
	copy->for_dscp = memory_copy(conf->for_dscp, conf->n_for_dscp * sizeof(conf->for_dscp[0]));
	copy->for_worker = memory_copy(conf->for_worker, conf->n_for_worker * sizeof(conf->for_worker[0]));
}

static bool bytes_equal(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
	return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

/* What is neither a pointer nor the key, with the gaps between fields, which the reader zeroed. */
static void plain_fields(const struct sa_conf *conf, struct sa_conf *plain)
{
	memcpy(plain, conf, sizeof(*plain));
	plain->name = plain->after = plain->for_peer = plain->peer = plain->follows = NULL;
	plain->for_dscp = NULL;
	plain->for_worker = NULL;
	secret_wipe(&plain->key);
}

/*
 * All that is plain is compared as it lies in memory, so that a field that is added to the struct is compared
 * too.
 */
bool sa_conf_equal(const struct sa_conf *a, const struct sa_conf *b)
{
	struct sa_conf x, y;

	plain_fields(a, &x);
	plain_fields(b, &y);
	return memcmp(&x, &y, sizeof(x)) == 0 && secret_equal(&a->key, &b->key) &&
	       texts_equal(a->name, b->name) && texts_equal(a->after, b->after) &&
	       texts_equal(a->for_peer, b->for_peer) && texts_equal(a->peer, b->peer) &&
	       texts_equal(a->follows, b->follows) &&
	       bytes_equal(a->for_dscp, a->n_for_dscp * sizeof(a->for_dscp[0]), b->for_dscp,
		       b->n_for_dscp * sizeof(b->for_dscp[0])) &&
	       bytes_equal(a->for_worker, a->n_for_worker * sizeof(a->for_worker[0]), b->for_worker,
		       b->n_for_worker * sizeof(b->for_worker[0]));
}
