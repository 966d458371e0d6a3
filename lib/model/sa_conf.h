/*
 * A security association as the operator wants it (RFC 4301 section 4.4.2).
 *
 * Plain data. The gateway model owns the name and wipes the key when it is freed.
 * Limits: keys are given, not negotiated.
 */
#ifndef CULVERT_MODEL_SA_CONF_H
#define CULVERT_MODEL_SA_CONF_H

#include "base/addr.h"
#include "base/secret.h"
#include "model/alg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 4303 section 2.1: 0 is never sent, 1 to 255 are reserved. */
#define SA_SPI_MIN 256
/* RFC 3173 section 3.3: IPComp's has 16 bits, and is agreed on from SA_SPI_MIN to this. */
#define SA_CPI_MAX 61439
/* RFC 4303 section 3.4.3: 32 at least; any size between these, or 0 for no anti-replay. */
#define SA_REPLAY_WINDOW_MIN     32
#define SA_REPLAY_WINDOW_MAX     16384
#define SA_REPLAY_WINDOW_DEFAULT 1024
/* RFC 2474 section 3: six bits. */
#define SA_DSCP_MAX  63
#define SA_DSCP_COPY (-1)

/* What it does to a packet: the IP protocol number of the header that it adds. */
enum sa_protocol {
	SA_ESP = 50,     /* RFC 4303 */
	SA_AH = 51,      /* RFC 4302 */
	SA_IPCOMP = 108, /* RFC 3173: no security, but a part of bundles */
};

enum sa_mode {
	SA_TUNNEL,    /* a whole IP packet inside another */
	SA_TRANSPORT, /* behind the packet's own IP header, whose ends are the SA's */
};

/*
 * What of a packet, beside its SPI, the receiver finds an SA by; of the SAs that match the most specific one
 * is taken (RFC 4301 section 4.1).
 */
enum sa_lookup {
	SA_LOOKUP_DESTINATION, /* its destination; the source must then be the SA's */
	SA_LOOKUP_SOURCE,      /* both: SAs from other sources may have the same SPI */
	SA_LOOKUP_SPI,         /* nothing: it may come from and to any address of the SA's family */
	SA_LOOKUP_COUNT,
};

/* The DF flag of the tunnel's IPv4 header (RFC 4301 section 8.1). */
enum sa_df {
	SA_DF_SET,
	SA_DF_CLEAR,
	SA_DF_COPY, /* an IPv4 packet's own; set for an IPv6 packet, which no router fragments */
};

/* When a packet is cut that is too long for the tunnel and may be (RFC 4459 sections 3.1 and 3.4). */
enum sa_fragment {
	SA_FRAGMENT_BEFORE, /* encryption: each fragment is a packet of the tunnel, and its peer reassembles
			       nothing */
	SA_FRAGMENT_AFTER,  /* encryption: the peer reassembles, and the hosts behind it don't */
};

/* What carries the ESP packets of an SA. */
enum sa_encap {
	SA_ENCAP_NONE, /* IP itself */
	SA_ENCAP_UDP,  /* RFC 3948 */
};

/* RFC 3948 section 2.1: the port of IKE behind a NAT, which ESP in UDP shares with it. */
#define SA_ENCAP_PORT_DEFAULT 4500
/* RFC 3948 section 4 says 20 s; a NAT that forgets later than in an hour needs none. */
#define SA_KEEPALIVE_MAX_S 3600

/* Of an outbound SA in UDP over IPv6. */
enum sa_udp_checksum {
	SA_UDP_CHECKSUM_COMPUTED,
	SA_UDP_CHECKSUM_ZERO, /* RFC 6935, RFC 6936 */
};

/* What an SA's life is counted in. */
enum sa_limit_kind {
	SA_LIMIT_TIME, /* seconds since it was made */
	SA_LIMIT_BYTES,
	SA_LIMIT_PACKETS,
	SA_LIMIT_COUNT,
};

/*
 * RFC 4301 section 4.4.2.1: at the soft one it is to be replaced, at the hard one it ends. 0: none.
 */
struct sa_limit {
	uint64_t soft;
	uint64_t hard;
};

#define SA_TIME_MAX_S     (10u * 366 * 24 * 3600)
#define SA_TFC_NONE       0
#define SA_TFC_MTU        UINT16_MAX
#define SA_DUMMY_RATE_MAX 1000

struct sa_conf {
	char *name;
	enum sa_protocol protocol;
	enum sa_mode mode;
	uint32_t spi;          /* host order; IPComp's is the CPI */
	struct ip_addr source; /* of one family */
	struct ip_addr destination;
	enum sa_lookup lookup;       /* inbound */
	const struct alg *alg;       /* of ESP; AH's is the one of ESP without encryption; NULL for IPComp */
	struct secret key;           /* cipher key, salt, authentication key: alg_key_bytes(alg) of them */
	uint32_t replay_window_pkts; /* 0: off */
	bool esn;                    /* extended (64-bit) sequence numbers, RFC 4303 section 2.2.1 */
	enum sa_df df;
	enum sa_fragment fragment; /* outbound, tunnel mode */
	int dscp; /* of the tunnel's header, or SA_DSCP_COPY: the inner packet's (RFC 4301 section 4.4.2.1) */
	bool mss_clamp;             /* outbound: lower TCP's MSS to what the tunnel carries, both ways */
	bool allow_insecure;        /* the operator knows what alg->insecure says */
	bool allow_static_iv_reuse; /* outbound: nobody minds if a restart uses its numbers again */
	/*
	 * Outbound: the packets that it is for, where it is an alternative of a policy; all of this must be
	 * true of one.
	 */
	int *for_dscp; /* one of these DSCPs (RFC 4301 section 4.1); none: any */
	size_t n_for_dscp;
	unsigned *for_worker; /* one of these workers, by index (RFC 9611); none: any */
	size_t n_for_worker;
	char *after; /* this inbound SA has accepted a packet (RFC 7296 section 2.8); NULL: at once */
	/* It answers one that came by an inbound SA with this `peer` (RFC 3948 section 5); NULL: any. */
	char *for_peer;
	/* Inbound: whom its packets come from, a name that all SAs of one peer share; NULL: nobody asks. */
	char *peer;
	enum sa_encap encap;
	/* The rest matters only in UDP. */
	uint16_t source_port; /* host order, as the next */
	uint16_t destination_port;
	uint32_t
		keepalive_s; /* outbound: how long nothing may be sent without a keepalive; 0: none is sent */
	bool bare_esp;       /* inbound: packets without UDP are taken too (RFC 7296 section 2.23) */
	enum sa_udp_checksum udp_checksum;
	char *follows; /* outbound: the inbound SA whose peer it sends to, wherever that moves; or NULL */
	struct sa_limit limits[SA_LIMIT_COUNT];
	/*
	 * Outbound, RFC 4303 section 2.7: inner packets that are shorter get so long, or SA_TFC_MTU: as long
	 * as the tunnel carries.
	 */
	int tfc_bytes;
	uint32_t dummy_rate_pps; /* outbound: dummy packets (RFC 4303 section 2.6) */
	bool is_lasting;         /* by a change that no reload undoes, as of a key exchange */
};

/* Wipe the key and free what the SA's configuration owns. */
void sa_conf_fini(struct sa_conf *conf);

/* A copy that owns what it points to; *copy is the caller's to sa_conf_fini. */
void sa_conf_copy(const struct sa_conf *conf, struct sa_conf *copy);

/* Do two say the same? The keys are compared in constant time. */
bool sa_conf_equal(const struct sa_conf *a, const struct sa_conf *b);

/*
 * The DSCPs and the workers that an alternative is for, a bit for each (a worker's index is below
 * GATEWAY_WORKERS_MAX); all bits where it is for any.
 */
uint64_t sa_conf_dscps(const struct sa_conf *conf);
uint64_t sa_conf_workers(const struct sa_conf *conf);

#endif
