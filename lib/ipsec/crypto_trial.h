/*
 * A measurement at the start: from how many packets on does IPsec-MB hash faster with wide registers than
 * with instructions made for the hash?
 *
 * For crypto_direct.c alone; control thread. It takes some hundred microseconds. What else runs meanwhile can
 * make the answer worse, never wrong: both ways have the same results.
 */
#ifndef CULVERT_IPSEC_CRYPTO_TRIAL_H
#define CULVERT_IPSEC_CRYPTO_TRIAL_H

#include <stdint.h>

#include <intel-ipsec-mb.h>

/*
 * `wide` and `sha` are managers that are idle; icv_bytes is what the hash is cut to. Returns packets, a power
 * of two, or BURST_MAX + 1 if `wide` is never faster.
 */
uint16_t crypto_trial(struct IMB_MGR *wide, struct IMB_MGR *sha, IMB_HASH_ALG hash, uint8_t icv_bytes);

#endif
