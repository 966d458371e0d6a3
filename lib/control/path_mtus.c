#include "control/path_mtus.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipsec/path_mtu.h"
#include "ipsec/sad.h"
#include "net/quote.h"

#define PERIOD_NS CLOCK_NS_PER_S

static void log_mtu(const struct sa *sa, const char *because)
{
	log_info("path mtu %s sa=%s path_mtu=%u inner_mtu=%u", because, sa->name,
		atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed),
		atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed));
}

/* A bundle's packets are those of the SA around the others. */
static void changed(struct control *control, struct sa *sa, const char *because)
{
	log_mtu(sa, because);
	for (size_t i = 0; i < control->n_sas; i++)
		if (sa_outermost(control->sas[i]) == sa)
			path_mtu_follow(control->sas[i]);
}

static void learn(struct control *control, struct sa *sa, const struct quote *quote, uint64_t now_ns)
{
	const struct icmp_conf *conf = &control->gateway->icmp;
	uint16_t min_bytes = sa->family == IP_V4 ? conf->path_mtu_min_ipv4 : conf->path_mtu_min_ipv6;
	bool was_learned = sa->path.is_learned;

	if (path_mtu_learn(sa, quote->mtu_bytes, min_bytes, now_ns + conf->path_mtu_age_s * CLOCK_NS_PER_S))
		changed(control, sa, "told by icmp");
	control->n_path_mtus += sa->path.is_learned && !was_learned;
}

/* The worker has seen the same: but the SA may have gone since, and it is not the worker's to hold. */
void path_mtus_receive(struct control *control, struct rte_mbuf *m, uint64_t now_ns)
{
	struct quote quote;
	struct sa *sa = quote_read_one(m, &quote) ? sad_find(control->sad_out, quote.ipsec, quote.spi,
							    &quote.flow.destination, &quote.flow.source)
						  : NULL;

	if (!sa || !path_mtu_quote_is_plausible(sa, &quote)) {
		drop_one(&control->counters.drops, m, DROP_icmp_quote);
		return;
	}
	sa->path.icmp_errors++;
	if (quote.kind == ICMP_KIND_TOO_BIG)
		learn(control, sa, &quote, now_ns);
	control->counters.consumed++;
	rte_pktmbuf_free(m);
}

void path_mtus_poll(struct control *control, uint64_t now_ns)
{
	if (control->n_path_mtus == 0 || now_ns < control->path_mtus_next_ns)
		return;
	control->path_mtus_next_ns = now_ns + PERIOD_NS;
	for (size_t i = 0; i < control->n_sas; i++) {
		if (!path_mtu_age(control->sas[i], now_ns))
			continue;
		changed(control, control->sas[i], "forgotten");
		control->n_path_mtus--;
	}
}
