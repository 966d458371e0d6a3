/*
 * The limits of an SA by time, bytes and packets (RFC 4301 section 4.4.2.1), and the account of what it has
 * used.
 *
 * Control makes it and looks at soft limits and time (control/lifetime.h); workers pay for each packet of an
 * SA whose bytes are limited, or whose packets are and which is inbound. Outbound packets need no account:
 * their sequence numbers are one. A worker takes from the account in chunks, so that it seldom touches what
 * others write.
 * Limits: never more than the hard limit passes. An SA may end sooner, by one packet and by what the other
 * workers have taken and not used, which is at most the LIFE_CHUNKS-th part of the limit.
 */
#ifndef CULVERT_IPSEC_LIFE_H
#define CULVERT_IPSEC_LIFE_H

#include "base/err.h"
#include "model/sa_conf.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

/* The parts in which all workers together take a limit. */
#define LIFE_CHUNKS            64
#define LIFE_CHUNK_BYTES_MAX   (UINT64_C(1) << 20)
#define LIFE_CHUNK_PACKETS_MAX UINT64_C(1024)

/* What workers take from. */
struct life_account {
	_Atomic uint64_t taken;
	uint64_t limit; /* UINT64_MAX: none, and it only counts */
	uint64_t chunk;
};

/* What a worker has taken and not used. It alone writes; any thread may read. */
struct life_purse {
	uint64_t bytes;
	uint64_t packets;
};

struct life {
	struct sa_limit limits[SA_LIMIT_COUNT]; /* those that hold, 0: none */
	uint64_t made_ns;                       /* by clock_now_ns */
	_Atomic int ended_by; /* enum sa_limit_kind of what ended it first, or LIFE_GOES_ON */
	struct life_account bytes;
	struct life_account packets;
};

#define LIFE_GOES_ON (-1)

/*
 * The limits that hold: those of the configuration, and where the cipher demands lower ones of a key with
 * which this end encrypts, those. All zero: none.
 */
void life_limits(const struct sa_conf *conf, bool inbound, struct sa_limit limits[SA_LIMIT_COUNT]);

/* An account for so many workers. *life is the caller's. Returns 0, or -ENOMEM with err set. */
int life_create(const struct sa_limit limits[SA_LIMIT_COUNT], unsigned n_workers, int socket,
	struct life **life, struct err *err);
void life_destroy(struct life *life);

/* Must workers pay, other than by sequence numbers? */
bool life_is_metered(const struct life *life, bool inbound);

/*
 * How many packets may be encrypted with one key, whatever SA it is of: UINT64_MAX where the sequence numbers
 * end before, or the cipher has no such limit.
 */
uint64_t life_key_packets_max(const struct alg *alg, bool esn);

/*
 * The last number of an outbound SA that begins with number `first`, at most `last`. A hard limit that
 * `last` does not leave room for is lowered to what there is.
 */
uint64_t life_seq_last(struct life *life, uint64_t first, uint64_t last);

/* Take more than the purse has, so that it has `need`. False: there is not so much left. */
bool life_take(struct life_account *account, uint64_t *purse, uint64_t need);

static inline bool life_pay_from(struct life_account *account, uint64_t *purse, uint64_t amount)
{
	if (unlikely(*purse < amount) && !life_take(account, purse, amount))
		return false;
	*purse -= amount;
	return true;
}

/* The limit that forbids a packet of so many bytes, or LIFE_GOES_ON if it has paid. Worker. */
static inline int life_pay(struct life *life, struct life_purse *purse, uint32_t bytes)
{
	if (!life_pay_from(&life->packets, &purse->packets, 1))
		return SA_LIMIT_PACKETS;
	if (!life_pay_from(&life->bytes, &purse->bytes, bytes))
		return SA_LIMIT_BYTES;
	return LIFE_GOES_ON;
}

#endif
