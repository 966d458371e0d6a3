/*
 * The IP header as AH's ICV covers it (RFC 4302 section 3.3.3.1): what changes on the way is zero, what
 * changes in a known way is as the receiver will see it.
 *
 * Workers only, on parsed packets. IPv4 options and the IPv6 extension headers in front of AH are a part of
 * it. Limits: of IPv6 routing headers, type 0 is predicted; the others count as they are. The fragment header
 * of a packet that was never cut (RFC 6946) counts as it is too.
 */
#ifndef CULVERT_NET_MUTABLE_H
#define CULVERT_NET_MUTABLE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Make it so in place: `ip` is a header of `family` that ends after `bytes`, as parse_burst has found it.
 * False if an option or a source route in it is malformed; what is behind that is then as it was.
 */
bool mutable_clear(uint8_t *ip, uint16_t bytes, uint8_t family);

#endif
