/*
 * The two ends of a tunnel in one process: an outbound SA and the inbound one that the peer would have.
 *
 * Test suites and benchmarks with EAL, on top of a struct crypto_env, which outlives the SAs.
 */
#ifndef CULVERT_TESTS_SUPPORT_SA_PAIR_H
#define CULVERT_TESTS_SUPPORT_SA_PAIR_H

#include "support/crypto_env.h"

#define SA_PAIR_WINDOW 1024

struct sa_spec {
	const char *alg;           /* NULL: aes128gcm16 */
	uint8_t outer;             /* family of the tunnel; 0: IP_V4 */
	enum sa_protocol protocol; /* 0: SA_ESP; IPComp has no alg */
	enum sa_mode mode;
	bool esn;
	uint32_t spi; /* 0: 0x1001 */
	uint64_t iv_mask;
	enum sa_df df;
	bool has_dscp; /* else copied */
	uint8_t dscp;
	unsigned n_workers; /* 0: 1 */
	bool in_udp;        /* by port 4500 at both ends */
	struct sa_limit limits[SA_LIMIT_COUNT];
	int tfc_bytes;
	uint32_t dummy_rate_pps;
};

struct sa_pair {
	struct sa *out;
	struct sa *in;
};

/* How many algorithms there are, for the cases of a loop. */
int sa_pair_algs(void);

/* A key of the length that the algorithm wants: bytes that count up from 1. */
struct secret sa_pair_key(const struct alg *alg);

/* One SA of the tunnel 192.0.2.1 - 198.51.100.1, or 2001:db8::1 - 2001:db8:1::1. The caller destroys it. */
struct sa *sa_of(struct crypto_env *env, const struct sa_spec *spec, bool inbound);

struct sa_pair sa_pair_create(struct crypto_env *env, const struct sa_spec *spec);
void sa_pair_destroy(struct sa_pair *pair);

/* Everything that happens to the packets on the way out, their SA being `sa`. */
void sa_pair_encrypt(struct crypto_env *env, struct sa *sa, struct burst *burst);

/*
 * The packets arrive at the other end: each becomes a new mbuf, exact in AddressSanitizer's eyes, parsed,
 * with `sa` as if the SAD had found it.
 */
void sa_pair_transfer(struct sa *sa, struct burst *burst);

/* Everything that happens to them on the way in, each with its own SA. */
void sa_pair_decrypt(struct crypto_env *env, struct burst *burst);

#endif
