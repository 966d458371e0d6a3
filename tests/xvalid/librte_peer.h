/*
 * A peer that speaks ESP by librte_ipsec, with the keys and addresses of tests/support/sa_pair.h.
 *
 * Test suites with EAL. It uses what librte_ipsec 22.11 gets right: encapsulation, decapsulation, and
 * look-aside crypto (rte_ipsec_pkt_crypto_prepare, enqueue, dequeue, group, process). Its anti-replay window
 * accepts duplicates, and its synchronous AES-CBC gives all packets one IV, so no suite may rely on the one
 * or use the other. Limits: tunnel mode; one family of inner packets; the crypto devices of
 * tests/support/crypto_env.h, on a queue pair of its own.
 */
#ifndef CULVERT_TESTS_XVALID_LIBRTE_PEER_H
#define CULVERT_TESTS_XVALID_LIBRTE_PEER_H

#include "support/sa_pair.h"

#include <rte_ipsec.h>

struct librte_peer_conf {
	const struct sa_spec *spec; /* iv_mask is culvert's own */
	const char *driver;
	uint8_t inner; /* family of the packets inside */
	bool inbound;
	uint64_t seq; /* outbound: the first one; inbound: the last one that was seen */
};

struct librte_peer {
	struct rte_ipsec_session session;
	struct rte_mempool *ops;
	uint16_t outer_bytes;
	bool inbound;
};

/* The test fails where librte_ipsec or the driver refuses. */
void librte_peer_begin(struct librte_peer *peer, const struct librte_peer_conf *conf);
void librte_peer_end(struct librte_peer *peer);

/*
 * Outbound: inner packets become tunnel packets. Inbound: the reverse. Keeps what librte_ipsec accepts, in
 * its order, and frees the rest.
 */
void librte_peer_run(struct librte_peer *peer, struct burst *burst);

#endif
