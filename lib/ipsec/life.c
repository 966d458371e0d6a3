#include "ipsec/life.h"

#include <errno.h>
#include <stdatomic.h>

#include <rte_common.h>
#include <rte_malloc.h>

#include "base/clock.h"

/*
 * Of a cipher with blocks of 128 bits, s blocks under one key give an attacker an advantage of at most
 * s^2 / 2^129 (Bellare, Desai, Jokipii, Rogaway 1997, for CTR). 2^38 packets of less than 2^10 blocks, which
 * 9,000 bytes are, make it 2^-33. Without ESN the sequence numbers end long before.
 */
#define AES_PACKETS_MAX (UINT64_C(1) << 38)
/* NIST SP 800-67 rev. 2 section 3.3: at most 2^20 blocks of 64 bits under one key. */
#define TDEA_BYTES (UINT64_C(8) << 20)
/* What an SA may ask for instead: at 2^32 of such blocks two are likely to be equal. */
#define TDEA_BYTES_MAX (UINT64_C(8) << 32)

static bool has_aes(const struct alg *alg)
{
	switch (alg->cipher) {
	case CIPHER_AES_CBC:
	case CIPHER_AES_GCM:
	case CIPHER_AES_CCM:
	case CIPHER_AES_GMAC:
	case CIPHER_AES_CTR:
		return true;
	default:
		return false;
	}
}

uint64_t life_key_packets_max(const struct alg *alg, bool esn)
{
	return esn && has_aes(alg) ? AES_PACKETS_MAX : UINT64_MAX;
}

/* The lower of two hard limits, of which 0 is none. */
static uint64_t lower(uint64_t limit, uint64_t other)
{
	return limit == 0 ? other : RTE_MIN(limit, other);
}

void life_limits(const struct sa_conf *conf, bool inbound, struct sa_limit limits[SA_LIMIT_COUNT])
{
	uint64_t *packets = &limits[SA_LIMIT_PACKETS].hard, *bytes = &limits[SA_LIMIT_BYTES].hard;

	for (unsigned kind = 0; kind < SA_LIMIT_COUNT; kind++)
		limits[kind] = conf->limits[kind];
	if (inbound || !conf->alg)
		return; /* to refuse what was encrypted already hides nothing */
	if (life_key_packets_max(conf->alg, conf->esn) != UINT64_MAX)
		*packets = lower(*packets, life_key_packets_max(conf->alg, conf->esn));
	if (conf->alg->cipher == CIPHER_3DES_CBC)
		*bytes = *bytes == 0 ? TDEA_BYTES : RTE_MIN(*bytes, TDEA_BYTES_MAX);
}

static void account_init(
	struct life_account *account, const struct sa_limit *limit, unsigned n_workers, uint64_t chunk_max)
{
	atomic_init(&account->taken, 0);
	account->limit = limit->hard == 0 ? UINT64_MAX : limit->hard;
	account->chunk = RTE_MIN(account->limit / ((uint64_t)LIFE_CHUNKS * n_workers), chunk_max);
}

int life_create(const struct sa_limit limits[SA_LIMIT_COUNT], unsigned n_workers, int socket,
	struct life **out, struct err *err)
{
	struct life *life = rte_zmalloc_socket("life", sizeof(*life), RTE_CACHE_LINE_SIZE, socket);

	if (!life)
		return err_set(err, ENOMEM, "no memory");
	for (unsigned kind = 0; kind < SA_LIMIT_COUNT; kind++)
		life->limits[kind] = limits[kind];
	life->made_ns = clock_now_ns();
	atomic_init(&life->ended_by, LIFE_GOES_ON);
	account_init(&life->bytes, &limits[SA_LIMIT_BYTES], n_workers, LIFE_CHUNK_BYTES_MAX);
	account_init(&life->packets, &limits[SA_LIMIT_PACKETS], n_workers, LIFE_CHUNK_PACKETS_MAX);
	*out = life;
	return 0;
}

void life_destroy(struct life *life)
{
	rte_free(life);
}

static bool is_limited(const struct sa_limit *limit)
{
	return limit->soft > 0 || limit->hard > 0;
}

bool life_is_metered(const struct life *life, bool inbound)
{
	return is_limited(&life->limits[SA_LIMIT_BYTES]) ||
	       (inbound && is_limited(&life->limits[SA_LIMIT_PACKETS]));
}

uint64_t life_seq_last(struct life *life, uint64_t first, uint64_t last)
{
	uint64_t *hard = &life->limits[SA_LIMIT_PACKETS].hard, before = first - 1;

	if (*hard == 0 || last <= before)
		return last;
	*hard = RTE_MIN(*hard, last - before);
	return before + *hard;
}

bool life_take(struct life_account *account, uint64_t *purse, uint64_t need)
{
	uint64_t taken = atomic_load_explicit(&account->taken, memory_order_relaxed);
	uint64_t least = need - *purse, amount;

	do {
		uint64_t left = account->limit - taken;

		if (left < least)
			return false;
		amount = RTE_MIN(RTE_MAX(least, account->chunk), left);
	} while (!atomic_compare_exchange_weak_explicit(
		&account->taken, &taken, taken + amount, memory_order_relaxed, memory_order_relaxed));
	*purse += amount;
	return true;
}
