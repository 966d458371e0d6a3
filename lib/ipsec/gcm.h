/*
 * AES-GCM by Intel IPsec-MB, called without cryptodev: its manager, and keys.
 *
 * Managers and keys are made and destroyed by the control thread. A manager is of one thread; a key never
 * changes, and is used by any number of workers at once (ipsec/crypto.c).
 * Limits: keys of 128 and 256 bits, tags of 16 bytes; CPUs with AES-NI and PCLMULQDQ.
 */
#ifndef CULVERT_IPSEC_GCM_H
#define CULVERT_IPSEC_GCM_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define GCM_KEY_BYTES_256 32

struct IMB_MGR;
struct gcm_key_data;

/*
 * The fastest functions that the CPU has. *manager is the caller's. Returns 0; -ENOMEM; -ENOTSUP where the
 * CPU has no instructions for AES, which IPsec-MB at best emulates; -EIO where IPsec-MB fails otherwise.
 */
int gcm_manager_create(struct IMB_MGR **manager, struct err *err);
void gcm_manager_destroy(struct IMB_MGR *manager);

/* The schedule of a key of 16 or 32 bytes; it holds the key too. Returns NULL when there is no memory. */
struct gcm_key_data *gcm_key_create(struct IMB_MGR *manager, const uint8_t *key, size_t length_bytes);
/* Wipes it. */
void gcm_key_destroy(struct gcm_key_data *key);

#endif
