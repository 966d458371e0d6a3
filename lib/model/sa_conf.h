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
	bool mss_clamp;      /* outbound: lower TCP's MSS to what the tunnel carries, both ways */
	bool allow_insecure; /* the operator knows what alg->insecure says */
};

#endif
