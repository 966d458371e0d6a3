#include "control/metrics_sas.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/counter.h"
#include "control/sa_text.h"

/* So few at a time that other work of the thread waits for less than a millisecond. */
#define SAS_PER_TAKE    256
#define LINES_PER_WRITE 1024

/* What a sample has; a family is written for those that have what it needs. */
enum sa_has {
	HAS_ALL = 0,
	HAS_OUT = 1 << 0,
	HAS_IN = 1 << 1,
	HAS_PASSED = 1 << 2, /* a packet, ever */
	HAS_LIFE = 1 << 3,
	HAS_SEQUENCE = 1 << 4, /* the protocol has numbers */
	HAS_IPCOMP = 1 << 5,
	HAS_SOFT = 1 << 6, /* shifted by the kind of limit */
	HAS_HARD = 1 << (6 + SA_LIMIT_COUNT),
};

/* An SA at the time at which it was looked at. It points nowhere: the SA may be gone when it is written. */
struct sa_sample {
	char name[SA_NAME_MAX];
	const char *algorithm; /* constant */
	struct ip_addr source;
	struct ip_addr destination;
	uint32_t spi;
	uint8_t protocol;
	bool is_transport;
	uint16_t has; /* enum sa_has */
	uint64_t packets;
	uint64_t bytes;
	uint64_t dummies;
	uint64_t uncompressed;
	uint64_t last_used_s; /* since 1970 */
	uint64_t sequence;
	uint64_t sequences_left;
	uint64_t ended;
	uint64_t soft_left[SA_LIMIT_COUNT];
	uint64_t hard_left[SA_LIMIT_COUNT];
	uint64_t path_mtu;
	uint64_t inner_mtu;
	uint64_t icmp_errors;
};

struct sa_sample_drop {
	uint32_t sample;
	uint8_t slot; /* enum sa_drop */
	uint64_t packets;
};

/* A row of numbers: a family, or the rest of the one above. */
struct sa_row {
	struct metrics_family family; /* without name: the one above */
	size_t offset;                /* of the number in struct sa_sample */
	unsigned needs;               /* enum sa_has, all of them */
	const char *limit;            /* value of the label `limit` */
};

#define NUMBER(member) .offset = offsetof(struct sa_sample, member)
#define SOFT(kind)     (HAS_SOFT << SA_LIMIT_##kind)
#define HARD(kind)     (HAS_HARD << SA_LIMIT_##kind)

/* clang-format off */
static const struct metrics_family info_family = {"culvert_sa", METRICS_INFO, NULL,
	"What the SA is: direction, protocol, mode, SPI, ends and algorithm. One for each SA that is configured."};

static const struct metrics_family drops_family = {"culvert_sa_dropped_packets", METRICS_COUNTER, "packets",
	"Packets of the SA that were dropped, by reason; reasons that have not occurred are left out."};

static const struct sa_row rows[] = {
	{{"culvert_sa_packets", METRICS_COUNTER, "packets",
		"Packets that the SA encapsulated, or that were authentic and accepted."}, NUMBER(packets)},
	{{"culvert_sa_bytes", METRICS_COUNTER, "bytes", "Bytes of the inner IP packets of these."}, NUMBER(bytes)},
	{{"culvert_sa_dummy_packets", METRICS_COUNTER, "packets", "Dummy packets sent beside the traffic."},
		NUMBER(dummies), HAS_OUT},
	{{"culvert_sa_uncompressed_packets", METRICS_COUNTER, "packets",
		"Packets of an IPComp SA that go without its header, since they would not get shorter."},
		NUMBER(uncompressed), HAS_IPCOMP},
	{{"culvert_sa_last_used_timestamp_seconds", METRICS_GAUGE, "seconds",
		"When a packet last passed that was authentic, since 1970; absent while none has."},
		NUMBER(last_used_s), HAS_PASSED},
	{{"culvert_sa_sequence_number", METRICS_GAUGE, NULL, "The sequence number that an outbound SA sent last."},
		NUMBER(sequence), HAS_OUT | HAS_SEQUENCE},
	{{"culvert_sa_sequence_numbers_left", METRICS_GAUGE, NULL,
		"How many sequence numbers an outbound SA has left; at 0 it sends no more."},
		NUMBER(sequences_left), HAS_OUT | HAS_SEQUENCE},
	{{"culvert_sa_replay_window_top", METRICS_GAUGE, NULL,
		"The highest sequence number that an inbound SA has accepted."}, NUMBER(sequence), HAS_IN | HAS_SEQUENCE},
	{{"culvert_sa_ended", METRICS_GAUGE, NULL,
		"1 if a hard limit has ended the SA. Only of SAs that have limits."}, NUMBER(ended), HAS_LIFE},
	{{"culvert_sa_remaining_seconds", METRICS_GAUGE, "seconds",
		"Time until a limit of the SA: at the soft one it is to be replaced, at the hard one it ends."},
		NUMBER(soft_left[SA_LIMIT_TIME]), SOFT(TIME), "soft"},
	{{0}, NUMBER(hard_left[SA_LIMIT_TIME]), HARD(TIME), "hard"},
	{{"culvert_sa_remaining_bytes", METRICS_GAUGE, "bytes", "Bytes until a limit of the SA."},
		NUMBER(soft_left[SA_LIMIT_BYTES]), SOFT(BYTES), "soft"},
	{{0}, NUMBER(hard_left[SA_LIMIT_BYTES]), HARD(BYTES), "hard"},
	{{"culvert_sa_remaining_packets", METRICS_GAUGE, "packets", "Packets until a limit of the SA."},
		NUMBER(soft_left[SA_LIMIT_PACKETS]), SOFT(PACKETS), "soft"},
	{{0}, NUMBER(hard_left[SA_LIMIT_PACKETS]), HARD(PACKETS), "hard"},
	{{"culvert_sa_path_mtu_bytes", METRICS_GAUGE, "bytes",
		"The longest packet that the path to the peer takes, as far as it is known."}, NUMBER(path_mtu), HAS_OUT},
	{{"culvert_sa_inner_mtu_bytes", METRICS_GAUGE, "bytes",
		"The longest inner packet that an outbound SA carries in one piece."}, NUMBER(inner_mtu), HAS_OUT},
	{{"culvert_sa_icmp_errors", METRICS_COUNTER, NULL, "ICMP errors about the SA's packets that were accepted."},
		NUMBER(icmp_errors), HAS_OUT},
};
/* clang-format on */

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* The families in their order: the information, the rows, the drops. */
#define FAMILY_INFO  0
#define FAMILY_ROWS  1
#define FAMILY_DROPS (FAMILY_ROWS + N_ROWS)
#define FAMILY_COUNT (FAMILY_DROPS + 1)

_Static_assert(SA_DROP_COUNT <= UINT8_MAX, "a slot fits");

void metrics_sas_fini(struct metrics_sas *sas)
{
	free(sas->samples);
	free(sas->drops);
	*sas = (struct metrics_sas){0};
}

static uint64_t left(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

static void take_life(struct sa_sample *sample, const struct sa *sa, uint64_t now_ns)
{
	sample->has |= HAS_LIFE;
	sample->ended = atomic_load(&sa->life->ended_by) != LIFE_GOES_ON;
	for (enum sa_limit_kind kind = 0; kind < SA_LIMIT_COUNT; kind++) {
		const struct sa_limit *limit = &sa->life->limits[kind];
		uint64_t used = sa_life_used(sa, kind, now_ns);

		sample->has |= limit->soft > 0 ? HAS_SOFT << kind : 0;
		sample->has |= limit->hard > 0 ? HAS_HARD << kind : 0;
		sample->soft_left[kind] = left(limit->soft, used);
		sample->hard_left[kind] = left(limit->hard, used);
	}
}

static void take_out(struct sa_sample *sample, const struct sa *sa)
{
	uint64_t next = atomic_load_explicit(&sa->seq.next, memory_order_relaxed);

	sample->sequence = next - 1;
	sample->sequences_left = left(sa->seq_end + 1, next);
	sample->path_mtu = atomic_load_explicit(&sa->path.mtu_bytes, memory_order_relaxed);
	sample->inner_mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
	sample->icmp_errors = counter_read(&sa->path.icmp_errors);
}

static void take_counters(struct metrics_sas *sas, struct sa_sample *sample, const struct sa *sa)
{
	struct sa_counters sum;

	sa_counters_sum(sa, &sum);
	sample->packets = sum.packets;
	sample->bytes = sum.bytes;
	sample->dummies = sum.dummies;
	sample->uncompressed = sum.uncompressed;
	if (sum.last_tsc > 0) {
		sample->has |= HAS_PASSED;
		sample->last_used_s = (uint64_t)time(NULL) - (rte_rdtsc() - sum.last_tsc) / rte_get_tsc_hz();
	}
	for (unsigned slot = 0; slot < SA_DROP_COUNT; slot++)
		if (sum.drops[slot] > 0)
			*array_append(&sas->drops, &sas->n_drops) = (struct sa_sample_drop){
				.sample = (uint32_t)(sample - sas->samples),
				.slot = (uint8_t)slot,
				.packets = sum.drops[slot],
			};
}

static void take_one(struct metrics_sas *sas, const struct sa *sa, uint64_t now_ns)
{
	struct sa_sample *sample = &sas->samples[sas->n++];

	*sample = (struct sa_sample){
		.algorithm = sa_algorithm_name(sa),
		.source = sa->source,
		.destination = sa->destination,
		.spi = rte_be_to_cpu_32(sa->spi),
		.protocol = sa->protocol,
		.is_transport = sa_is_transport(sa),
		.has = (uint16_t)(sa->inbound ? HAS_IN : HAS_OUT),
	};
	snprintf(sample->name, sizeof(sample->name), "%s", sa->name);
	sample->has |= sa->protocol == SA_IPCOMP ? HAS_IPCOMP : HAS_SEQUENCE;
	if (!sa->inbound)
		take_out(sample, sa);
	else if (sa->replay)
		sample->sequence = replay_highest(sa->replay);
	take_counters(sas, sample, sa);
	if (sa->life)
		take_life(sample, sa, now_ns);
}

/* The one place that knows where control has its SAs. */
bool metrics_sas_take(struct metrics_sas *sas, const struct control *control)
{
	uint64_t now_ns = clock_now_ns();

	if (!sas->samples) {
		sas->size = control->n_sas;
		sas->samples = xcalloc(sas->size + 1, sizeof(*sas->samples));
	}
	for (unsigned i = 0; i < SAS_PER_TAKE && sas->n < sas->size && sas->n < control->n_sas; i++)
		take_one(sas, control->sas[sas->n], now_ns);
	return sas->n < sas->size && sas->n < control->n_sas;
}

static void write_info(struct metrics_text *text, const struct sa_sample *sample)
{
	char spi[16], source[IP_ADDR_TEXT_MAX], destination[IP_ADDR_TEXT_MAX];

	snprintf(spi, sizeof(spi), "0x%08" PRIx32, sample->spi);
	metrics_text_put(text, 1, {"sa", sample->name}, {"direction", sample->has & HAS_IN ? "in" : "out"},
		{"protocol", sa_protocol_name(sample->protocol)},
		{"mode", sample->is_transport ? "transport" : "tunnel"}, {"spi", spi},
		{"source", ip_addr_format(&sample->source, source)},
		{"destination", ip_addr_format(&sample->destination, destination)},
		{"algorithm", sample->algorithm});
}

static void write_row(struct metrics_text *text, const struct sa_row *row, const struct sa_sample *sample)
{
	uint64_t value;

	if ((sample->has & row->needs) != row->needs)
		return;
	memcpy(&value, (const char *)sample + row->offset, sizeof(value));
	metrics_text_put(text, value, {"sa", sample->name}, {"limit", row->limit});
}

static void write_drop(
	struct metrics_text *text, const struct metrics_sas *sas, const struct sa_sample_drop *drop)
{
	metrics_text_put(text, drop->packets, {"sa", sas->samples[drop->sample].name},
		{"reason", drop_name(sa_drop_reason(drop->slot))});
}

static const struct metrics_family *family_at(size_t i)
{
	if (i == FAMILY_INFO)
		return &info_family;
	return i == FAMILY_DROPS ? &drops_family : &rows[i - FAMILY_ROWS].family;
}

static void write_one(const struct metrics_sas *sas, struct metrics_text *text)
{
	if (sas->family == FAMILY_INFO)
		write_info(text, &sas->samples[sas->next]);
	else if (sas->family == FAMILY_DROPS)
		write_drop(text, sas, &sas->drops[sas->next]);
	else
		write_row(text, &rows[sas->family - FAMILY_ROWS], &sas->samples[sas->next]);
}

bool metrics_sas_write(struct metrics_sas *sas, struct metrics_text *text)
{
	size_t n = sas->family == FAMILY_DROPS ? sas->n_drops : sas->n;

	if (sas->family == FAMILY_COUNT)
		return false;
	if (sas->next == 0 && family_at(sas->family)->name)
		metrics_text_family(text, family_at(sas->family));
	for (unsigned i = 0; i < LINES_PER_WRITE && sas->next < n; i++, sas->next++)
		write_one(sas, text);
	if (sas->next >= n) {
		sas->family++;
		sas->next = 0;
	}
	return true;
}

void metrics_sas_families(void (*each)(const struct metrics_family *family))
{
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		if (family_at(i)->name)
			each(family_at(i));
}
