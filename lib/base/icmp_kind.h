/*
 * The kinds of ICMP errors, by one name for both versions (RFC 792, RFC 4443 section 3).
 *
 * Plain values: the configuration says which of them are accepted, `net` tells a packet's.
 * Limits: source quench (RFC 6633) and redirects, which no router heeds (RFC 1812 section 5.2.7.2), are none.
 */
#ifndef CULVERT_BASE_ICMP_KIND_H
#define CULVERT_BASE_ICMP_KIND_H

enum icmp_kind {
	ICMP_KIND_NONE, /* no ICMP error */
	ICMP_KIND_UNREACHABLE,
	ICMP_KIND_TOO_BIG, /* of IPv4: unreachable, since fragmentation is needed and DF set (RFC 1191) */
	ICMP_KIND_TIME_EXCEEDED,
	ICMP_KIND_PARAMETER_PROBLEM,
};

#endif
