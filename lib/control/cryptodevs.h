/*
 * The crypto devices: opened, configured with a queue pair for each worker, and started.
 *
 * Main thread only, after eal_begin. Sessions are made from struct crypto (ipsec/crypto.h) while they are
 * open.
 */
#ifndef CULVERT_CONTROL_CRYPTODEVS_H
#define CULVERT_CONTROL_CRYPTODEVS_H

#include "base/err.h"
#include "ipsec/crypto.h"
#include "model/gateway.h"

/*
 * Open the drivers of workers.crypto in their order, with room for a session for each SA that may come to
 * one. Software drivers are made as virtual devices; a PCI address names a device that EAL has found;
 * ipsec_mb is no cryptodev, and has as many sessions as there is memory for. Returns 0 or -errno; err names
 * the device. On failure nothing is left open.
 */
int cryptodevs_open(const struct gateway *gateway, struct crypto *crypto, struct err *err);

/* Stop and close them. No session may be left. */
void cryptodevs_close(struct crypto *crypto);

#endif
