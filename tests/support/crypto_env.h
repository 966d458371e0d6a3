/*
 * The crypto devices of the build machine, and one worker's view of them.
 *
 * Test suites and benchmarks with EAL, CK_NOFORK. Devices stay for the process, as EAL's do; a struct
 * crypto_env is one choice of them: which drivers, and which way. Limits: ipsec-mb and its drivers;
 * CRYPTO_ENV_WORKERS queue pairs a device; CRYPTO_ENV_SESSIONS sessions at once.
 */
#ifndef CULVERT_TESTS_SUPPORT_CRYPTO_ENV_H
#define CULVERT_TESTS_SUPPORT_CRYPTO_ENV_H

#include "ipsec/sa.h"

#define CRYPTO_ENV_WORKERS  2
#define CRYPTO_ENV_SESSIONS 128

struct crypto_env {
	struct crypto crypto;
	struct crypto_worker *worker; /* on queue pair 0, warmed up */
	struct drops drops;
	struct sa_tally tally; /* worker 0, counting into drops */
};

/*
 * Start a driver ("aesni_gcm", "aesni_mb") unless it runs already, and describe it. The manager of "ipsec_mb"
 * is the caller's.
 */
struct crypto_device crypto_env_device(const char *driver);

/* The product's default: ipsec_mb, aesni_mb. */
void crypto_env_begin(struct crypto_env *env, enum crypto_way way);
/* One driver, and aesni_mb behind it for the algorithms that it doesn't know. */
void crypto_env_begin_driver(struct crypto_env *env, enum crypto_way way, const char *driver);
/*
 * All of them know every algorithm, but for what cryptodevs get wrong: GMAC with ESN, and XCBC and CMAC in
 * the call.
 */
bool crypto_env_knows(const struct crypto_env *env, const struct alg *alg, bool esn);
/* Asserts that nothing is in flight. */
void crypto_env_end(struct crypto_env *env);

/* crypto_run, and crypto_poll until nothing is in flight. The order of packets may change. */
void crypto_env_run(struct crypto_env *env, struct burst *burst);

#endif
