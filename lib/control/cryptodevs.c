#include "control/cryptodevs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cryptodev.h>
#include <rte_dev.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "base/array.h"
#include "base/log.h"
#include "control/eal.h"
#include "ipsec/mb.h"

/* The name of IPsec-MB without cryptodev. */
#define DIRECT "ipsec_mb"

/* Sessions of a device beyond those of SAs: one for each worker's warm-up (ipsec/crypto.h). */
#define SESSIONS_SPARE GATEWAY_WORKERS_MAX

static enum crypto_way way_of(enum crypto_mode mode)
{
	switch (mode) {
	case CRYPTO_SYNC:
		return CRYPTO_WAY_SYNC;
	case CRYPTO_ASYNC:
		return CRYPTO_WAY_ASYNC;
	default:
		return CRYPTO_WAY_BEST;
	}
}

/* Find the device, making it first if it is a software driver. */
static int device_find(const char *conf, size_t n_workers, struct crypto_device *device, struct err *err)
{
	char args[64];
	int id;

	if (device_is_pci(conf)) {
		/* QAT's driver puts its service behind the address. */
		snprintf(device->name, sizeof(device->name), "%s_qat_sym", conf);
	} else {
		snprintf(device->name, sizeof(device->name), "crypto_%s", conf);
		snprintf(args, sizeof(args), "max_nb_queue_pairs=%zu", n_workers);
		if (rte_eal_hotplug_add("vdev", device->name, args) != 0)
			return err_set(
				err, ENODEV, "workers.crypto: this DPDK has no driver %s", device->name);
		device->is_virtual = true;
	}
	id = rte_cryptodev_get_dev_id(device->name);
	if (id < 0)
		return err_set(
			err, ENODEV, "workers.crypto: no device %s; is it bound to vfio-pci?", device->name);
	device->id = (uint8_t)id;
	return 0;
}

static int sessions_create(struct crypto_device *device, size_t n_sas, struct err *err)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	unsigned private_bytes = rte_cryptodev_sym_get_private_session_size(device->id);

	snprintf(name, sizeof(name), "sessions%u", device->id);
	device->sessions = rte_cryptodev_sym_session_pool_create(
		name, (uint32_t)n_sas + SESSIONS_SPARE, private_bytes, 0, 0, (int)rte_socket_id());
	if (!device->sessions)
		return err_set(err, ENOMEM,
			"no memory for %zu crypto sessions of %u bytes on %s; raise memory.size_mb", n_sas,
			private_bytes, device->name);
	return 0;
}

static int device_start(struct crypto_device *device, uint16_t n_workers, struct err *err)
{
	/* Without a pool: every operation comes with a session. */
	struct rte_cryptodev_qp_conf queue = {.nb_descriptors = CRYPTO_QUEUE_DEPTH};
	struct rte_cryptodev_config conf = {.socket_id = (int)rte_socket_id(), .nb_queue_pairs = n_workers};
	struct rte_cryptodev_info info;

	rte_cryptodev_info_get(device->id, &info);
	device->sync = (info.feature_flags & RTE_CRYPTODEV_FF_SYM_CPU_CRYPTO) != 0;
	if (info.max_nb_queue_pairs < n_workers)
		return err_set(err, ENOSPC, "workers.crypto: %s has %u queue pairs, and there are %u workers",
			device->name, info.max_nb_queue_pairs, n_workers);
	if (rte_cryptodev_configure(device->id, &conf) != 0)
		return err_set(err, EIO, "workers.crypto: %s can't be configured", device->name);
	for (uint16_t i = 0; i < n_workers; i++)
		if (rte_cryptodev_queue_pair_setup(device->id, i, &queue, (int)rte_socket_id()) != 0)
			return err_set(err, EIO, "workers.crypto: queue pair %u of %s can't be set up", i,
				device->name);
	if (rte_cryptodev_start(device->id) != 0)
		return err_set(err, EIO, "workers.crypto: %s does not start", device->name);
	return 0;
}

static void cryptodev_close(struct crypto_device *device)
{
	rte_cryptodev_stop(device->id);
	rte_cryptodev_close(device->id);
	if (device->is_virtual)
		rte_eal_hotplug_remove("vdev", device->name);
	rte_mempool_free(device->sessions);
	device->sessions = NULL;
}

static int direct_open(struct crypto_device *device, struct err *err)
{
	int ret = mb_manager_create((int)rte_socket_id(), &device->manager, err);

	if (ret != 0)
		return err_prefix(err, ret, "workers.crypto: " DIRECT);
	snprintf(device->name, sizeof(device->name), DIRECT);
	device->sync = true;
	return 0;
}

/* On failure it is closed again. */
static int cryptodev_open(const char *conf, size_t n_workers, struct crypto_device *device, struct err *err)
{
	int ret = device_find(conf, n_workers, device, err);

	if (ret != 0)
		return ret;
	ret = sessions_create(device, 0, err);
	if (ret == 0)
		ret = device_start(device, (uint16_t)n_workers, err);
	if (ret != 0)
		cryptodev_close(device);
	return ret;
}

/* What decides which device an SA gets. */
struct sa_kind {
	const struct alg *alg;
	bool inbound;
	bool esn;
};

/* Found by making a session, so that it is the one that SAs get; NULL if no device knows the kind. */
static struct crypto_device *device_of_kind(struct crypto *crypto, const struct sa_kind *kind)
{
	struct secret key = {.length_bytes = alg_key_bytes(kind->alg)};
	struct crypto_session_conf conf = {
		.alg = kind->alg, .key = &key, .inbound = kind->inbound, .esn = kind->esn};
	struct crypto_session session;
	struct crypto_device *device;
	struct err err;

	if (crypto_session_create(crypto, &conf, &session, &err) != 0)
		return NULL;
	device = &crypto->devices[session.queue];
	crypto_session_destroy(&session);
	return device;
}

/* How many SAs of the algorithm, by direction and ESN. */
struct alg_counts {
	size_t sas[2][2];
};

/* For each row of the table of algorithms. The caller frees it. */
static struct alg_counts *algs_count(const struct gateway *gateway)
{
	struct alg_counts *counts;
	size_t n_algs = 0;

	while (alg_at(n_algs) != NULL)
		n_algs++;
	counts = xcalloc(n_algs, sizeof(*counts));
	for (size_t i = 0; i < gateway->n_sas; i++) {
		const struct sa_conf *sa = &gateway->sas[i];

		if (sa->alg)
			counts[alg_index(sa->alg)].sas[gateway_sa_is_inbound(gateway, sa)][sa->esn]++;
	}
	return counts;
}

/* Add the SAs of an algorithm to the devices that they will have their sessions on. */
static void needs_add(const struct alg *alg, const struct alg_counts *counts, struct crypto *crypto,
	size_t needs[CRYPTO_DEVICES_MAX])
{
	for (unsigned i = 0; i < 4; i++) {
		struct sa_kind kind = {.alg = alg, .inbound = i & 1, .esn = i & 2};
		size_t n_sas = counts->sas[kind.inbound][kind.esn];
		struct crypto_device *device = n_sas > 0 ? device_of_kind(crypto, &kind) : NULL;

		if (device)
			needs[device - crypto->devices] += n_sas;
	}
}

/*
 * Of a device that so many SAs need at the start. They are a kilobyte each, and most SAs may be of another
 * device, so that there is not room for all on each: those that come are taken to be of the same kinds, but
 * for some.
 */
static size_t sessions_wanted(const struct gateway *gateway, size_t need)
{
	size_t room = gateway_sas_room(gateway), to_come = room > gateway->n_sas ? room - gateway->n_sas : 0;

	return need + RTE_MIN(to_come, RTE_MAX(need, (size_t)MEMORY_SAS_MORE));
}

/* Give each device the sessions that it needs. */
static int sessions_provide(const struct gateway *gateway, struct crypto *crypto, struct err *err)
{
	size_t needs[CRYPTO_DEVICES_MAX] = {0};
	struct alg_counts *counts = algs_count(gateway);
	const struct alg *alg;
	int ret = 0;

	for (size_t i = 0; (alg = alg_at(i)) != NULL; i++)
		needs_add(alg, &counts[i], crypto, needs);
	free(counts);
	for (unsigned i = 0; i < crypto->n_devices && ret == 0; i++) {
		struct crypto_device *device = &crypto->devices[i];

		if (device->manager)
			continue;
		rte_mempool_free(device->sessions);
		ret = sessions_create(device, sessions_wanted(gateway, needs[i]), err);
	}
	return ret;
}

static int devices_open(const struct gateway *gateway, struct crypto *crypto, struct err *err)
{
	const struct workers_conf *workers = &gateway->workers;

	for (size_t i = 0; i < workers->n_crypto; i++) {
		struct crypto_device *device = &crypto->devices[crypto->n_devices];
		int ret;

		if (crypto->n_devices == CRYPTO_DEVICES_MAX)
			return err_set(
				err, E2BIG, "workers.crypto: more than %d devices", CRYPTO_DEVICES_MAX);
		ret = strcmp(workers->crypto[i], DIRECT) == 0
			      ? direct_open(device, err)
			      : cryptodev_open(workers->crypto[i], workers->n_lcores, device, err);
		if (ret != 0)
			return ret;
		crypto->n_devices++;
		log_info("crypto device=%s synchronous=%s queue_pairs=%zu", device->name,
			device->sync ? "yes" : "no", device->manager ? 0 : workers->n_lcores);
	}
	return 0;
}

int cryptodevs_open(const struct gateway *gateway, struct crypto *crypto, struct err *err)
{
	int ret;

	*crypto = (struct crypto){.way = way_of(gateway->workers.crypto_mode)};
	ret = devices_open(gateway, crypto, err);
	if (ret == 0)
		ret = sessions_provide(gateway, crypto, err);
	if (ret != 0)
		cryptodevs_close(crypto);
	return ret;
}

void cryptodevs_close(struct crypto *crypto)
{
	while (crypto->n_devices > 0) {
		struct crypto_device *device = &crypto->devices[--crypto->n_devices];

		if (device->manager)
			mb_manager_destroy(device->manager);
		else
			cryptodev_close(device);
		*device = (struct crypto_device){0};
	}
}
