#include "ipsec/crypto_trial.h"

#include <rte_common.h>
#include <rte_cycles.h>

#include "ipsec/sa.h"
#include "net/burst.h"

/* Packets of that many bytes, the least time of so many. */
#define TRIAL_BYTES  256
#define TRIAL_ROUNDS 8

/* The least of several times, since whatever else runs only adds to it. */
static uint64_t hash_time(struct IMB_MGR *manager, IMB_JOB *jobs, uint16_t n, IMB_HASH_ALG hash)
{
	uint64_t least = UINT64_MAX;

	for (unsigned round = 0; round < TRIAL_ROUNDS; round++) {
		uint64_t start = rte_rdtsc();

		IMB_SUBMIT_HASH_BURST_NOCHECK(manager, jobs, n, hash);
		least = RTE_MIN(least, rte_rdtsc() - start);
	}
	return least;
}

/* Jobs that hash zeros, with zeros for a key. */
static void jobs_init(IMB_JOB *jobs, uint8_t (*tags)[ESP_ICV_BYTES_MAX], uint8_t icv_bytes)
{
	static const uint8_t zeros[TRIAL_BYTES];

	for (unsigned i = 0; i < BURST_MAX; i++)
		jobs[i] = (IMB_JOB){
			.src = zeros,
			.msg_len_to_hash_in_bytes = TRIAL_BYTES,
			.auth_tag_output = tags[i],
			.auth_tag_output_len_in_bytes = icv_bytes,
			.u.HMAC._hashed_auth_key_xor_ipad = zeros,
			.u.HMAC._hashed_auth_key_xor_opad = zeros,
		};
}

/*
 * Wide registers take as long for one packet as for 4, 8 or 16 of them. Instructions made for the hash take
 * as long for each, and on some CPUs less than a full wide register does. So the number of packets decides.
 */
uint16_t crypto_trial(struct IMB_MGR *wide, struct IMB_MGR *sha, IMB_HASH_ALG hash, uint8_t icv_bytes)
{
	uint8_t tags[BURST_MAX][ESP_ICV_BYTES_MAX];
	IMB_JOB jobs[BURST_MAX];
	uint16_t from = BURST_MAX + 1;

	jobs_init(jobs, tags, icv_bytes);
	for (uint16_t n = BURST_MAX; n > 0; n /= 2) {
		if (hash_time(wide, jobs, n, hash) >= hash_time(sha, jobs, n, hash))
			break;
		from = n;
	}
	return from;
}
