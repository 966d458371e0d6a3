/*
 * The direct path of the crypto seam: IPsec-MB on the worker, for packets of many SAs at once.
 *
 * For crypto.c alone; one a worker, made and destroyed by the control thread. AES-GCM and GMAC are done
 * packet by packet as they are added, since that is as fast as it gets. The rest waits for the end of the
 * burst, so that packets of all SAs fill the lanes of AES-CBC, HMAC, XCBC and CMAC together; nothing waits
 * for the next burst. Keys are those of ipsec/mb.h, in the sessions.
 */
#ifndef CULVERT_IPSEC_CRYPTO_DIRECT_H
#define CULVERT_IPSEC_CRYPTO_DIRECT_H

#include "base/err.h"
#include "ipsec/sa.h"

#include <stdint.h>

struct crypto_direct;
struct pkt;
struct rte_mbuf;

/*
 * Makes the managers and measures, in a millisecond, which of them hashes faster. Returns 0 or what
 * mb_manager_create does.
 */
int crypto_direct_create(int socket, struct crypto_direct **direct, struct err *err);
void crypto_direct_destroy(struct crypto_direct *direct);

/* Send for the key of a packet that is added soon. */
void crypto_direct_prefetch_one(const struct crypto_direct *direct, const struct pkt *p);

/* n packets of that SA: BURST_MAX at most until crypto_direct_finish. */
void crypto_direct_add(struct crypto_direct *direct, const struct sa *sa, struct rte_mbuf **pkts, uint16_t n);

/* Finish all packets that were added; those that failed are marked as crypto_run says. */
void crypto_direct_finish(struct crypto_direct *direct);

#endif
