#include "control/icv_hint.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "control/sas.h"
#include "ipsec/sa.h"

#define PERIOD_NS CLOCK_NS_PER_S

#define ICV_BITS(icv_bytes_) (8u * (icv_bytes_))
#define BITS_RFC             128 /* RFC 4868 section 2.6 */
#define BITS_DRAFT           96  /* draft-ietf-ipsec-ciph-sha-256-00 */

/*
 * What an ICV of another length looks like: a wrong one, or, where the payload is blocks of a cipher, a
 * payload of no whole blocks.
 */
static uint64_t failures(const struct sa *sa)
{
	uint64_t sum = 0;

	for (unsigned worker = 0; worker < sa->n_workers; worker++)
		sum += counter_read(&sa->counters[worker].drops[SA_DROP_in_icv]) +
		       counter_read(&sa->counters[worker].drops[SA_DROP_in_hdr]);
	return sum;
}

/* True if there was something to tell. */
static bool tell(const struct sa *sa)
{
	unsigned bits = ICV_BITS(sa->icv_bytes);
	uint64_t n;

	if (!sa->inbound || !sa->alg || sa->alg->auth != AUTH_HMAC_SHA2_256 || (n = failures(sa)) == 0)
		return false;
	log_warning("packets fail integrity: HMAC-SHA2-256 of 96 and of 128 bits may be mixed up sa=%s "
		    "spi=0x%08x esp=%s bits=%u peer_bits=%u packets=%" PRIu64,
		sa->name, rte_be_to_cpu_32(sa->spi), sa->alg->name, bits,
		bits == BITS_RFC ? BITS_DRAFT : BITS_RFC, n);
	return true;
}

size_t icv_hint_look(const struct control *control)
{
	size_t n = 0;

	for (size_t i = 0; i < control->n_sas; i++) {
		if (control->sa_notes[i]->icv_told || !tell(control->sas[i]))
			continue;
		control->sa_notes[i]->icv_told = true;
		n++;
	}
	return n;
}

void icv_hint_poll(struct control *control, uint64_t now_ns)
{
	if (now_ns < control->icv_hint_next_ns)
		return;
	icv_hint_look(control);
	control->icv_hint_next_ns = now_ns + PERIOD_NS;
}
