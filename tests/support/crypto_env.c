/* rte_cryptodev_sym_session_pool_create is an experimental symbol. */
#define ALLOW_EXPERIMENTAL_API

#include "support/crypto_env.h"

#include "ipsec/mb.h"

#include <stdio.h>
#include <string.h>

#include <check.h>
#include <rte_bus_vdev.h>
#include <rte_cryptodev.h>
#include <rte_dev.h>

static struct rte_mempool *sessions_pool(const struct crypto_device *device)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	snprintf(name, sizeof(name), "test-sess%u", device->id);
	pool = rte_mempool_lookup(name);
	if (pool == NULL)
		pool = rte_cryptodev_sym_session_pool_create(name, CRYPTO_ENV_SESSIONS,
			rte_cryptodev_sym_get_private_session_size(device->id), 0, 0, SOCKET_ID_ANY);
	ck_assert_ptr_nonnull(pool);
	return pool;
}

static void device_start(const struct crypto_device *device, uint32_t depth)
{
	struct rte_cryptodev_config config = {
		.socket_id = SOCKET_ID_ANY, .nb_queue_pairs = CRYPTO_ENV_WORKERS};
	struct rte_cryptodev_qp_conf queue = {.nb_descriptors = depth, .mp_session = device->sessions};

	ck_assert_int_eq(rte_cryptodev_configure(device->id, &config), 0);
	for (uint16_t i = 0; i < CRYPTO_ENV_WORKERS; i++)
		ck_assert_int_eq(rte_cryptodev_queue_pair_setup(device->id, i, &queue, SOCKET_ID_ANY), 0);
	ck_assert_int_eq(rte_cryptodev_start(device->id), 0);
}

static struct crypto_device direct_device(void)
{
	struct crypto_device device = {.name = "ipsec_mb", .sync = true};
	struct err err;

	ck_assert_msg(mb_manager_create(SOCKET_ID_ANY, &device.manager, &err) == 0, "%s", err.text);
	return device;
}

struct crypto_device crypto_env_device(const char *driver)
{
	struct crypto_device device = {0};
	struct rte_cryptodev_info info;
	bool is_new;

	if (strcmp(driver, "ipsec_mb") == 0)
		return direct_device();
	snprintf(device.name, sizeof(device.name), "crypto_%s", driver);
	is_new = rte_cryptodev_get_dev_id(device.name) < 0;
	if (is_new)
		ck_assert_msg(rte_eal_hotplug_add("vdev", device.name, "max_nb_queue_pairs=2") == 0,
			"this DPDK has no driver %s", device.name);
	device.id = (uint8_t)rte_cryptodev_get_dev_id(device.name);
	device.sessions = sessions_pool(&device);
	rte_cryptodev_info_get(device.id, &info);
	device.sync = (info.feature_flags & RTE_CRYPTODEV_FF_SYM_CPU_CRYPTO) != 0;
	/* One driver's ring is larger than the most in flight, so that either bound is met in a test. */
	if (is_new)
		device_start(&device,
			strcmp(driver, "aesni_gcm") == 0 ? 2 * CRYPTO_QUEUE_DEPTH : CRYPTO_QUEUE_DEPTH);
	return device;
}

static void env_begin(struct crypto_env *env)
{
	struct err err;

	ck_assert_msg(crypto_worker_create(&env->crypto, 0, SOCKET_ID_ANY, &env->worker, &err) == 0, "%s",
		err.text);
	ck_assert_int_eq(crypto_worker_warm_up(env->worker), 0);
	env->tally = (struct sa_tally){.drops = &env->drops, .worker = 0};
}

void crypto_env_begin(struct crypto_env *env, enum crypto_way way)
{
	crypto_env_begin_driver(env, way, "ipsec_mb");
}

void crypto_env_begin_driver(struct crypto_env *env, enum crypto_way way, const char *driver)
{
	*env = (struct crypto_env){.crypto = {.n_devices = 1, .way = way}};
	env->crypto.devices[0] = crypto_env_device(driver);
	if (strcmp(driver, "aesni_mb") != 0)
		env->crypto.devices[env->crypto.n_devices++] = crypto_env_device("aesni_mb");
	env_begin(env);
}

bool crypto_env_knows(const struct crypto_env *env, const struct alg *alg, bool esn)
{
	bool aes_mac = alg->auth == AUTH_AES_XCBC || alg->auth == AUTH_AES_CMAC;

	if (env->crypto.devices[0].manager != NULL && env->crypto.way != CRYPTO_WAY_ASYNC)
		return true;
	return !(alg->cipher == CIPHER_AES_GMAC && esn) && !(aes_mac && env->crypto.way == CRYPTO_WAY_SYNC);
}

void crypto_env_end(struct crypto_env *env)
{
	ck_assert_uint_eq(crypto_in_flight(env->worker), 0);
	crypto_worker_destroy(env->worker);
	for (unsigned i = 0; i < env->crypto.n_devices; i++)
		mb_manager_destroy(env->crypto.devices[i].manager);
}

void crypto_env_run(struct crypto_env *env, struct burst *burst)
{
	crypto_run(env->worker, burst, &env->tally);
	while (crypto_in_flight(env->worker) > 0) {
		BURST(done);

		crypto_poll(env->worker, &done);
		for (uint16_t i = 0; i < done.n; i++)
			burst_add_one(burst, done.pkts[i]);
	}
}
