/*
 * A security association as the operator wants it (RFC 4301 section 4.4.2).
 *
 * Plain data. The gateway model owns the name and wipes the key when it is freed.
 * Limits: ESP in tunnel mode; keys are given, not negotiated.
 */
#ifndef CULVERT_MODEL_SA_CONF_H
#define CULVERT_MODEL_SA_CONF_H

#include "base/addr.h"
#include "base/secret.h"
#include "model/alg.h"

#include <stdbool.h>
#include <stdint.h>

/* RFC 4303 section 2.1: 0 is never sent, 1 to 255 are reserved. */
#define SA_SPI_MIN 256
/* RFC 4303 section 3.4.3: 32 at least; any size between these, or 0 for no anti-replay. */
#define SA_REPLAY_WINDOW_MIN     32
#define SA_REPLAY_WINDOW_MAX     16384
#define SA_REPLAY_WINDOW_DEFAULT 1024
/* RFC 2474 section 3: six bits. */
#define SA_DSCP_MAX  63
#define SA_DSCP_COPY (-1)

/* The DF flag of the tunnel's IPv4 header (RFC 4301 section 8.1). */
enum sa_df {
	SA_DF_SET,
	SA_DF_CLEAR,
	SA_DF_COPY, /* an IPv4 packet's own; set for an IPv6 packet, which no router fragments */
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
	uint32_t spi;          /* host order */
	struct ip_addr source; /* the tunnel's ends, of one family */
	struct ip_addr destination;
	const struct alg *alg;
	struct secret key;           /* cipher key, salt, authentication key: alg_key_bytes(alg) of them */
	uint32_t replay_window_pkts; /* 0: off */
	bool esn;                    /* extended (64-bit) sequence numbers, RFC 4303 section 2.2.1 */
	enum sa_df df;
	int dscp; /* of the tunnel's header, or SA_DSCP_COPY: the inner packet's (RFC 4301 section 4.4.2.1) */
	struct sa_limit limits[SA_LIMIT_COUNT];
	/*
	 * Outbound, RFC 4303 section 2.7: inner packets that are shorter get so long, or SA_TFC_MTU: as long
	 * as the tunnel carries.
	 */
	int tfc_bytes;
	uint32_t dummy_rate_pps; /* outbound: dummy packets (RFC 4303 section 2.6) */
	bool allow_insecure;     /* the operator knows what alg->insecure says */
};

#endif
