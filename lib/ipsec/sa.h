/*
 * A security association at run time (RFC 4301 section 4.4.2): what the workers read, hot lines first.
 *
 * Made, retired and destroyed by the control thread; used by any number of workers at once. Once they see it,
 * only the sequence number, the replay window and the counters change. Policies and the SAD borrow it: it
 * outlives them, and sa_destroy comes after every worker has let go (datapath/snapshot.h).
 * The three protocols differ in what they do to a packet, see esp_out.h, ah.h and ipcomp.h; the rest is one.
 */
#ifndef CULVERT_IPSEC_SA_H
#define CULVERT_IPSEC_SA_H

#include "base/addr.h"
#include "base/err.h"
#include "ipsec/crypto.h"
#include "ipsec/life.h"
#include "ipsec/replay.h"
#include "ipsec/seq.h"
#include "model/sa_conf.h"
#include "net/drop.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#define ESP_HEADER_BYTES  8 /* SPI and sequence number, RFC 4303 section 2 */
#define ESP_TRAILER_BYTES 2 /* pad length and next header */
#define ESP_IV_BYTES_MAX  16
#define ESP_ICV_BYTES_MAX 32
#define AH_FIXED_BYTES    12 /* RFC 4302 section 2: all but the ICV */
#define IPCOMP_BYTES      4  /* RFC 3173 section 3.1 */
#define SA_OUTER_TTL      64 /* of the tunnel's header, RFC 4301 section 5.1.2.1 */
#define SA_NAME_MAX       64

struct natt;

/* The drop reasons that are counted for each SA too. */
/* clang-format off */
#define SA_DROP_REASONS(X) \
	X(in_hdr) X(in_endpoint) X(in_encap) X(in_seq_zero) X(in_replay) X(in_late) X(in_icv) X(in_sa_proto) X(in_dummy) \
	X(in_ecn) X(in_bundle) X(in_nesting) X(in_ipcomp) X(in_buf) \
	X(in_selector) X(in_expired) X(out_expired) X(out_seq_overflow) X(out_seq_reserved) X(out_mtu) X(out_buf) X(crypto_full) X(crypto_failed)
/* clang-format on */

enum sa_drop {
#define X(name) SA_DROP_##name,
	SA_DROP_REASONS(X)
#undef X
		SA_DROP_COUNT
};

/* One worker's counters of one SA. The worker alone writes them; any thread may read. */
struct sa_counters {
	uint64_t packets;        /* encapsulated, or decapsulated and accepted */
	uint64_t bytes;          /* of the inner IP packets */
	uint64_t dummies;        /* sent, which `packets` does not count */
	uint64_t last_tsc;       /* when a packet passed that was authentic, dummies included; 0: never */
	struct life_purse purse; /* of an SA that is metered */
	uint64_t drops[SA_DROP_COUNT];
	uint64_t uncompressed; /* IPComp: packets, of the above, that go without its header */
} __rte_cache_aligned;

/* How much the path of an outbound SA's packets takes; see ipsec/path_mtu.h. Control writes. */
struct sa_path {
	_Atomic uint16_t
		mtu_bytes; /* of the tunnel's packets. Workers read it where one is too long for it */
	uint16_t link_mtu_bytes;
	bool is_learned;      /* from ICMP */
	uint64_t until_ns;    /* then it is forgotten */
	uint64_t icmp_errors; /* that were accepted; telemetry reads it */
};

/* What few SAs have, so that a packet of the others asks once. */
enum sa_special {
	SA_METERED = 1 << 0,      /* workers pay for each packet, `life` has the account */
	SA_ENDED = 1 << 1,        /* a hard limit was reached: no packet passes any more. Set at any time */
	SA_TFC = 1 << 2,          /* outbound: packets are padded to tfc_bytes */
	SA_IS_TRANSPORT = 1 << 3, /* as sa_is_transport, so that one look tells of all */
	SA_IN_UDP = 1 << 4,       /* `natt` is there, and packets go in UDP */
	SA_FROM_ANY = 1 << 5,     /* inbound: found by its SPI alone, whatever the packet's ends are */
	SA_RETIRED = 1 << 6,      /* taken out: destroyed once every worker has adopted the next snapshot */
	SA_OF_PEER = 1 << 7,      /* inbound: its flows are noted as those of `peer` */
};

struct sa {
	/* Read for each packet; never written once workers see it. */
	struct crypto_session session;
	uint64_t iv_mask; /* random; IVs are made from sequence number XOR this. One for all SAs of a key */
	rte_be32_t spi;
	rte_be32_t salt; /* of AEAD nonces, RFC 4106 section 4 */
	bool inbound : 1;
	bool esn : 1;
	bool aead : 1;
	bool cuts_after : 1; /* outbound: what may be cut is cut after encryption */
	uint8_t cipher;      /* enum cipher_alg */
	uint8_t iv_bytes;
	uint8_t icv_bytes;
	uint8_t align_bytes;
	uint8_t family;       /* of the tunnel's header */
	uint16_t outer_bytes; /* length of outer_header; 0 in transport mode */
	/*
	 * The largest inner packet that fits the path to the peer: set by control with path.mtu_bytes, read
	 * by workers, relaxed. It is exact: one byte more does not fit.
	 */
	_Atomic uint16_t inner_mtu;
	/* Outbound: the bits of the inner traffic class that the tunnel's header gets, and those it always
	 * has. */
	uint8_t class_copied;
	uint8_t class_fixed;
	uint8_t df;                   /* enum sa_df */
	uint8_t protocol;             /* enum sa_protocol, the number in the IP header */
	_Atomic uint8_t special;      /* enum sa_special */
	struct sa_counters *counters; /* one for each worker */
	struct replay *replay;        /* inbound */
	/*
	 * Outbound: the tunnel's header, with length and traffic class zero. An IPv4 checksum is right for
	 * that, so that a packet's own is an update of it.
	 */
	alignas(RTE_CACHE_LINE_SIZE) uint8_t outer_header[40];
	struct ip_addr source;
	uint16_t outer_id;   /* random; what the ID of an IPv4 header without DF counts from */
	uint32_t label_seed; /* random; of the hash that is an IPv6 header's flow label */
	/* Written if the SA is outbound. The destination is compared where it is inbound. */
	alignas(RTE_CACHE_LINE_SIZE) struct seq seq;
	struct ip_addr destination;
	/*
	 * The SA around this one in its bundle, or NULL: outbound it is applied next, inbound it is what the
	 * packet must have come out of. Set by control before the SA is used.
	 */
	struct sa *around;
	bool has_inside; /* the reverse: another SA of its bundle is inside */
	/*
	 * Inbound: an IPComp SA in tunnel mode that this one is around, or NULL. What could not be compressed
	 * comes without IPComp's header, as IP in IP between its ends. Further ones have the same ends, or
	 * take nothing uncompressed.
	 */
	struct sa *ipcomp_inside;
	struct natt *natt;  /* NULL: not in UDP */
	uint16_t tfc_bytes; /* what the SA's configuration says */
	struct life *life;  /* NULL: it has no limits but its sequence numbers */
	/* Cold. */
	/*
	 * Outbound: its first number, and the last that the protocol and its life allow; seq.last is at most
	 * that, and lower where further numbers are yet to be reserved on disk (control/seq_store.h).
	 */
	uint64_t seq_first;
	uint64_t seq_end;
	uint32_t seq_lease; /* seq_store's own; 0: it has none */
	struct sa_path path;
	struct dummy_schedule {
		uint64_t interval_tsc; /* 0: no dummies */
		uint64_t next_tsc;     /* written by the worker that sends them */
	} dummy;
	const struct alg *alg;
	/* Inbound, with SA_OF_PEER: the number of its peer (ipsec/replies.h). Set by control before it is
	 * used. */
	uint64_t peer;
	uint8_t lookup; /* enum sa_lookup */
	unsigned n_workers;
	bool mss_clamp; /* outbound; read for TCP's SYN alone */
	char name[SA_NAME_MAX];
};

_Static_assert(offsetof(struct sa, outer_header) == RTE_CACHE_LINE_SIZE &&
		       offsetof(struct sa, seq) == 2 * RTE_CACHE_LINE_SIZE,
	"a packet reads two lines and writes one");

/* Many SAs are in no cache: ask for the lines that the next stages read. */
static inline void sa_prefetch(const struct sa *sa)
{
	rte_prefetch0(sa);
	rte_prefetch0(sa->outer_header);
	rte_prefetch0(&sa->seq);
}

/* Who counts: a worker's index and its drops. A stage of IPsec takes one of these. */
struct sa_tally {
	struct drops *drops;
	uint64_t now_tsc; /* of the worker's loop */
	unsigned worker;
};

struct sa_params {
	const struct sa_conf *conf; /* borrowed during the call; the key is not kept */
	bool inbound;
	unsigned n_workers;
	int socket;       /* NUMA socket, or SOCKET_ID_ANY */
	uint64_t iv_mask; /* random from the operating system; a test may say 0 */
	/* Its place the SA takes, under the same key: window and account go on. NULL: a new key. */
	const struct sa *before;
};

/*
 * Make an SA with its crypto session. Control thread. *sa is the caller's. Returns 0, -ENOMEM, or what
 * crypto_session_create returns; err names the SA.
 */
int sa_create(const struct sa_params *params, const struct crypto *crypto, struct sa **sa, struct err *err);

/* Destroy the session (which wipes the keys that the driver holds) and free. No worker may hold the SA. */
void sa_destroy(struct sa *sa);

/* Sum the counters of all workers into *sum. Any thread; each number is exact, their time is not one. */
void sa_counters_sum(const struct sa *sa, struct sa_counters *sum);

/*
 * Let an outbound SA that no worker sees yet begin with number `first` (at least 1) rather than 1, and give
 * out none before seq_extend says up to which. Its packets are counted from there; what its cipher allows a
 * key is counted from 1. If it may have no such number, it never sends.
 */
void sa_number_from(struct sa *sa, uint64_t first, uint64_t iv_mask);

/* A hard limit was reached: every worker drops the SA's packets from its next look on. Any thread. */
void sa_end(struct sa *sa, enum sa_limit_kind by);

/*
 * How much of a limit of an SA that has some (`life`) was used by clock_now_ns: seconds, bytes, packets. Any
 * thread. Bytes, and packets of an inbound SA, are only counted if they are limited.
 */
uint64_t sa_life_used(const struct sa *sa, enum sa_limit_kind kind, uint64_t now_ns);

/* Of an enum sa_protocol: the keyword of the configuration. */
const char *sa_protocol_name(uint8_t protocol);

/* The drop reason of a slot. */
enum drop_reason sa_drop_reason(enum sa_drop slot);

/*
 * The largest packet that goes into the SA such that what leaves its bundle is at most link_mtu_bytes long
 * (RFC 4301 section 8.2.1: of ESP, tunnel header, UDP, ESP header and IV, padding to align_bytes, trailer,
 * ICV); 0 if none fits. IPComp counts as if nothing could be compressed.
 */
uint16_t sa_inner_mtu(const struct sa *sa, uint16_t link_mtu_bytes);

static inline bool sa_is_transport(const struct sa *sa)
{
	return sa->outer_bytes == 0;
}

static inline bool sa_is_in_udp(const struct sa *sa)
{
	return (atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_IN_UDP) != 0;
}

/* Plain ESP: neither another protocol, nor a part of a bundle. */
static inline bool sa_is_single_esp(const struct sa *sa)
{
	return sa->protocol == SA_ESP && !sa->around && !sa->has_inside;
}

/* The last SA of its bundle, whose packets go to the link. */
static inline const struct sa *sa_outermost(const struct sa *sa)
{
	while (sa->around)
		sa = sa->around;
	return sa;
}

/* Length of the AH header, with padding as the IP version wants it (RFC 4302 section 3.3.3.2.1). */
static inline uint16_t sa_ah_bytes(const struct sa *sa)
{
	uint16_t unit = sa->family == IP_V4 ? 4 : 8;

	return RTE_ALIGN_CEIL(AH_FIXED_BYTES + sa->icv_bytes, unit);
}

/* A packet of an IPComp SA that goes without its header. */
static inline void sa_count_uncompressed(struct sa *sa, uint16_t bytes, const struct sa_tally *tally)
{
	struct sa_counters *counters = &sa->counters[tally->worker];

	counters->packets++;
	counters->bytes += bytes;
	counters->uncompressed++;
}

/* Drop a packet, counted for the gateway and for its SA: sa_drop_one(tally, m, in_icv). */
#define sa_drop_one(tally_, m_, name_) sa_drop_slot_one(tally_, m_, DROP_##name_, SA_DROP_##name_)

static inline void sa_drop_slot_one(
	const struct sa_tally *tally, struct rte_mbuf *m, enum drop_reason reason, enum sa_drop slot)
{
	pkt_of(m)->sa->counters[tally->worker].drops[slot]++;
	drop_one(tally->drops, m, reason);
}

/* Does a metered SA still carry a packet that makes its cipher work on so many bytes? If not, it has ended.
 */
static inline bool sa_pay_one(struct sa *sa, const struct sa_tally *tally, uint32_t bytes)
{
	int by = life_pay(sa->life, &sa->counters[tally->worker].purse, bytes);

	if (likely(by == LIFE_GOES_ON))
		return true;
	sa_end(sa, (enum sa_limit_kind)by);
	return false;
}

#endif
