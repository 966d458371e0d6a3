/*
 * Addresses and traffic selectors, as the control socket has them.
 *
 * IKE's selectors are ranges of addresses and of ports with a protocol, as culvert's are (RFC 7296
 * section 3.13.1, RFC 4301 section 4.4.1.1). ICMP's type and code are in the upper and the lower byte of the
 * ports.
 */
#ifndef CULVERT_TEXT_H
#define CULVERT_TEXT_H

#include "strongswan.h"

#include <jansson.h>

#define CULVERT_ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

/* The address of a host; its length is that of its family. */
json_t *culvert_address(host_t *host);
/* The host of an address and a port; NULL if the text is none. */
host_t *culvert_host(const json_t *address, uint16_t port);

/* Put what a policy with these selectors is about into its object: `source`, `destination`, `protocol`, ...
 */
void culvert_selectors_put(json_t *policy, traffic_selector_t *source, traffic_selector_t *destination);

/* The selector of one end of a packet that an event tells of (`source` or `destination`); NULL if it has
 * none. */
traffic_selector_t *culvert_packet_selector(const json_t *packet, const char *end);

#endif
