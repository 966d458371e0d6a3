#include "ipsec/sad.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include "support/eal.h"
#include "support/packet.h"
#include "support/tsan.h"

#define N_MANY     1000
#define N_WORKERS  4 /* that the table and the QSBR variable know */
#define N_READERS  2
#define N_ALIVE    16 /* SAs that come and go, each under an SPI of its own */
#define N_REPLACED 4  /* of them at a time */
#define N_ROUNDS   TSAN_ROUNDS(1000)
#define POISON     0xdb

static struct rte_rcu_qsbr *qsbr;
static struct sad *sad;
static struct drops drops;
static struct sa_tally tally = {.drops = &drops, .worker = 0};

static void setup(void)
{
	struct err err;

	eal_setup();
	qsbr = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(N_WORKERS), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(qsbr, N_WORKERS);
	ck_assert_int_eq(sad_create(&(struct sad_conf){.capacity = N_MANY,
					    .n_workers = N_WORKERS,
					    .qsbr = qsbr,
					    .socket = SOCKET_ID_ANY},
				 &sad, &err),
		0);
	drops = (struct drops){0};
}

static void teardown(void)
{
	sad_destroy(sad);
	rte_free(qsbr);
	eal_teardown();
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr out;

	ck_assert_int_eq(ip_addr_parse(text, &out), 0);
	return out;
}

/* An SA with what the SAD looks at. The caller frees it with free_sa. */
static struct sa *make_sa(uint32_t spi, const char *source, const char *destination)
{
	struct sa *sa = aligned_alloc(alignof(struct sa), sizeof(*sa));

	memset(sa, 0, sizeof(*sa));
	sa->protocol = SA_ESP;
	sa->spi = rte_cpu_to_be_32(spi);
	sa->source = addr(source);
	sa->destination = addr(destination);
	sa->family = sa->destination.family;
	sa->inbound = true;
	sa->counters = aligned_alloc(alignof(struct sa_counters), sizeof(struct sa_counters));
	memset(sa->counters, 0, sizeof(struct sa_counters));
	snprintf(sa->name, sizeof(sa->name), "sa-%u", spi);
	return sa;
}

/* The same, found by what `lookup` says. */
static struct sa *make_sa_by(enum sa_lookup lookup, uint32_t spi, const char *source, const char *destination)
{
	struct sa *sa = make_sa(spi, source, destination);

	sa->lookup = lookup;
	sa->special = lookup == SA_LOOKUP_SPI ? SA_FROM_ANY : 0;
	return sa;
}

static void free_sa(struct sa *sa)
{
	free(sa->counters);
	free(sa);
}

static struct sa *add_sa(uint32_t spi, const char *source, const char *destination)
{
	struct sa *sa = make_sa(spi, source, destination);
	struct err err;

	ck_assert_int_eq(sad_add(sad, sa, &err), 0);
	return sa;
}

/* An ESP packet as parse leaves it: an ESP header and some bytes. */
static struct rte_mbuf *esp_packet(uint32_t spi, const char *source, const char *destination)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){
		.source = source, .destination = destination, .protocol = IPPROTO_ESP, .payload_bytes = 40});
	rte_be32_t wire = rte_cpu_to_be_32(spi);

	memcpy(rte_pktmbuf_mtod_offset(m, void *, pkt_of(m)->l4), &wire, sizeof(wire));
	return m;
}

/* Look one packet up: the SA that it was given, or NULL if it was dropped. */
static struct sa *lookup_one(struct rte_mbuf *m)
{
	struct burst burst = {.n = 1, .pkts = {m}};
	struct sa *sa = NULL;

	sad_lookup(&burst, sad, &tally);
	if (burst.n == 1) {
		sa = pkt_of(m)->sa;
		rte_pktmbuf_free(m);
	}
	return sa;
}

static uint64_t dropped(enum drop_reason reason)
{
	return drops.count[0][reason];
}

/* The same three numbers of AH, whose SPI is the second word, and of IPComp, whose CPI is half a word. */
static struct rte_mbuf *packet_of(uint8_t protocol, uint32_t spi)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.source = "198.51.100.1",
		.destination = "192.0.2.1",
		.protocol = protocol,
		.payload_bytes = 40});
	uint8_t *header = rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_of(m)->l4);
	rte_be32_t wire = rte_cpu_to_be_32(spi);

	memset(header, 0, 8);
	if (protocol == SA_IPCOMP)
		memcpy(header + 2, (uint8_t *)&wire + 2, 2);
	else
		memcpy(header + (protocol == SA_AH ? 4 : 0), &wire, sizeof(wire));
	return m;
}

/* SAL-1, IPC-3 */
START_TEST(each_protocol_has_spis_of_its_own)
{
	static const uint8_t protocols[] = {SA_ESP, SA_AH, SA_IPCOMP};
	struct sa *sas[RTE_DIM(protocols)];

	for (unsigned i = 0; i < RTE_DIM(protocols); i++) {
		struct err err;

		sas[i] = make_sa(0x1001, "198.51.100.1", "192.0.2.1");
		sas[i]->protocol = protocols[i];
		ck_assert_int_eq(sad_add(sad, sas[i], &err), 0);
	}
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < RTE_DIM(protocols); i++)
			ck_assert_ptr_eq(lookup_one(packet_of(protocols[i], 0x1001)), sas[i]);
	for (unsigned i = 0; i < RTE_DIM(protocols); i++) {
		ck_assert_int_eq(sad_remove(sad, sas[i]), 0);
		ck_assert_ptr_null(lookup_one(packet_of(protocols[i], 0x1001)));
		free_sa(sas[i]);
	}
}
END_TEST

/* SAL-1 */
START_TEST(a_packet_finds_the_sa_of_its_spi_and_destination)
{
	struct sa *first = add_sa(0x1001, "198.51.100.1", "192.0.2.1");
	struct sa *second = add_sa(0x1002, "198.51.100.1", "192.0.2.1");
	struct sa *elsewhere = add_sa(0x1001, "198.51.100.1", "192.0.2.2");

	ck_assert_ptr_eq(lookup_one(esp_packet(0x1001, "198.51.100.1", "192.0.2.1")), first);
	ck_assert_ptr_eq(lookup_one(esp_packet(0x1002, "198.51.100.1", "192.0.2.1")), second);
	ck_assert_ptr_eq(lookup_one(esp_packet(0x1001, "198.51.100.1", "192.0.2.2")), elsewhere);
	ck_assert_uint_eq(drops.total, 0);
	free_sa(first);
	free_sa(second);
	free_sa(elsewhere);
}
END_TEST

START_TEST(an_ipv6_packet_finds_its_sa)
{
	struct sa *sa = add_sa(0x2001, "2001:db8::1", "2001:db8::2");

	ck_assert_ptr_eq(lookup_one(esp_packet(0x2001, "2001:db8::1", "2001:db8::2")), sa);
	free_sa(sa);
}
END_TEST

/* SAL-2, SAL-4 */
START_TEST(an_unknown_spi_or_destination_is_in_no_sa)
{
	struct sa *sa = add_sa(0x1001, "198.51.100.1", "192.0.2.1");

	ck_assert_ptr_null(lookup_one(esp_packet(0x1003, "198.51.100.1", "192.0.2.1")));
	ck_assert_ptr_null(lookup_one(esp_packet(0x1001, "198.51.100.1", "192.0.2.9")));
	ck_assert_ptr_null(lookup_one(esp_packet(0, "198.51.100.1", "192.0.2.1"))); // SAL-3
	ck_assert_uint_eq(dropped(DROP_in_no_sa), 3);
	free_sa(sa);
}
END_TEST

/* SAL-4 */
START_TEST(a_known_spi_from_another_source_is_in_endpoint)
{
	struct sa *sa = add_sa(0x1001, "198.51.100.1", "192.0.2.1");

	ck_assert_ptr_null(lookup_one(esp_packet(0x1001, "198.51.100.66", "192.0.2.1")));
	ck_assert_uint_eq(dropped(DROP_in_endpoint), 1);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_in_endpoint], 1);
	free_sa(sa);
}
END_TEST

/* SAL-5 */
START_TEST(a_fragment_of_esp_is_frag_bad)
{
	struct sa *sa = add_sa(0x1001, "10.1.0.1", "10.2.0.1");
	struct rte_mbuf *first = packet_mbuf(
		&(struct packet_spec){.protocol = IPPROTO_ESP, .payload_bytes = 40, .more_fragments = true});
	struct rte_mbuf *later = packet_mbuf(&(struct packet_spec){
		.protocol = IPPROTO_ESP, .payload_bytes = 40, .fragment_offset_bytes = 40});

	ck_assert_ptr_null(lookup_one(first));
	ck_assert_ptr_null(lookup_one(later));
	ck_assert_uint_eq(dropped(DROP_frag_bad), 2);
	free_sa(sa);
}
END_TEST

/* SAL-7: no byte behind the packet is read, which AddressSanitizer would see. */
START_TEST(an_esp_header_cut_short_is_in_hdr)
{
	struct sa *sa = add_sa(0x1001, "10.1.0.1", "10.2.0.1");

	for (uint16_t bytes = 0; bytes < ESP_HEADER_BYTES; bytes++)
		ck_assert_ptr_null(lookup_one(
			packet_mbuf(&(struct packet_spec){.protocol = IPPROTO_ESP, .payload_bytes = bytes})));
	ck_assert_uint_eq(dropped(DROP_in_hdr), ESP_HEADER_BYTES);
	free_sa(sa);
}
END_TEST

START_TEST(packets_of_a_burst_keep_their_order_and_their_own_sas)
{
	struct sa *sas[4];
	struct burst burst = {0};

	for (uint32_t i = 0; i < 4; i++)
		sas[i] = add_sa(0x1000 + i, "198.51.100.1", "192.0.2.1");
	/* Every fifth is unknown. */
	for (uint32_t i = 0; i < BURST_MAX; i++)
		burst_add_one(&burst, esp_packet(0x1000 + i % 5, "198.51.100.1", "192.0.2.1"));

	sad_lookup(&burst, sad, &tally);

	ck_assert_uint_eq(dropped(DROP_in_no_sa), BURST_MAX / 5);
	ck_assert_uint_eq(burst.n, BURST_MAX - BURST_MAX / 5);
	for (uint32_t i = 0; i < burst.n; i++) {
		ck_assert_ptr_eq(pkt_of(burst.pkts[i])->sa, sas[i % 4]);
		rte_pktmbuf_free(burst.pkts[i]);
	}
	for (uint32_t i = 0; i < 4; i++)
		free_sa(sas[i]);
}
END_TEST

static struct sa *add_sa_by(enum sa_lookup lookup, uint32_t spi, const char *source, const char *destination)
{
	struct sa *sa = make_sa_by(lookup, spi, source, destination);
	struct err err;

	ck_assert_int_eq(sad_add(sad, sa, &err), 0);
	return sa;
}

/* Twice, so that the second time a worker remembers what it may. */
static void assert_found(struct sa *sa, const char *source, const char *destination)
{
	for (unsigned time = 0; time < 2; time++)
		ck_assert_ptr_eq(lookup_one(esp_packet(0x1001, source, destination)), sa);
}

/* SAL-1: in each order of adding them. */
START_TEST(of_the_sas_with_an_spi_the_most_specific_one_is_found)
{
	static const enum sa_lookup orders[][3] = {
		{SA_LOOKUP_SPI, SA_LOOKUP_DESTINATION, SA_LOOKUP_SOURCE},
		{SA_LOOKUP_SOURCE, SA_LOOKUP_DESTINATION, SA_LOOKUP_SPI},
		{SA_LOOKUP_DESTINATION, SA_LOOKUP_SPI, SA_LOOKUP_SOURCE},
	};
	static const char *const sources[] = {
		[SA_LOOKUP_SPI] = "198.51.100.3",
		[SA_LOOKUP_DESTINATION] = "198.51.100.2",
		[SA_LOOKUP_SOURCE] = "198.51.100.1",
	};
	struct sa *sas[SA_LOOKUP_COUNT];

	for (unsigned i = 0; i < 3; i++) {
		sas[orders[_i][i]] = add_sa_by(orders[_i][i], 0x1001, sources[orders[_i][i]], "192.0.2.1");
		/* So that the worker remembers what it may be wrong to remember with the next one. */
		for (unsigned source = 0; source < 3; source++)
			lookup_one(esp_packet(0x1001, sources[source], "192.0.2.1"));
	}
	drops = (struct drops){0};
	assert_found(sas[SA_LOOKUP_SOURCE], "198.51.100.1", "192.0.2.1");
	assert_found(sas[SA_LOOKUP_DESTINATION], "198.51.100.2", "192.0.2.1");
	assert_found(sas[SA_LOOKUP_SPI], "198.51.100.1", "192.0.2.2");
	assert_found(sas[SA_LOOKUP_SPI], "203.0.113.9", "192.0.2.2");
	/* The one by destination is for these, and says whom it takes packets from. */
	assert_found(NULL, "203.0.113.9", "192.0.2.1");
	ck_assert_uint_eq(dropped(DROP_in_endpoint), 2);

	ck_assert_int_eq(sad_remove(sad, sas[SA_LOOKUP_SOURCE]), 0);
	assert_found(NULL, "198.51.100.1", "192.0.2.1");
	ck_assert_uint_eq(dropped(DROP_in_endpoint), 4);
	ck_assert_int_eq(sad_remove(sad, sas[SA_LOOKUP_DESTINATION]), 0);
	assert_found(sas[SA_LOOKUP_SPI], "198.51.100.1", "192.0.2.1");
	assert_found(sas[SA_LOOKUP_SPI], "198.51.100.2", "192.0.2.1");
	ck_assert_int_eq(sad_remove(sad, sas[SA_LOOKUP_SPI]), 0);
	assert_found(NULL, "198.51.100.1", "192.0.2.1");
	ck_assert_uint_eq(dropped(DROP_in_no_sa), 2);
	for (unsigned i = 0; i < SA_LOOKUP_COUNT; i++)
		free_sa(sas[i]);
}
END_TEST

/* SAL-1 */
START_TEST(sas_with_an_spi_from_different_sources_are_two)
{
	struct sa *first = add_sa_by(SA_LOOKUP_SOURCE, 0x1001, "2001:db8::1", "2001:db8::9");
	struct sa *second = add_sa_by(SA_LOOKUP_SOURCE, 0x1001, "2001:db8::2", "2001:db8::9");

	assert_found(first, "2001:db8::1", "2001:db8::9");
	assert_found(second, "2001:db8::2", "2001:db8::9");
	assert_found(NULL, "2001:db8::3", "2001:db8::9");
	assert_found(NULL, "2001:db8::1", "2001:db8::8");
	ck_assert_uint_eq(dropped(DROP_in_no_sa), 4);
	ck_assert_int_eq(sad_remove(sad, first), 0);
	assert_found(NULL, "2001:db8::1", "2001:db8::9");
	assert_found(second, "2001:db8::2", "2001:db8::9");
	free_sa(first);
	free_sa(second);
}
END_TEST

/* Each with another SA of its kind that the same packets would find. */
static const struct {
	enum sa_lookup lookup;
	const char *source, *destination;
	const char *error;
} taken[] = {
	{SA_LOOKUP_DESTINATION, "198.51.100.2", "192.0.2.1",
		"sa sa-4097: spi 0x00001001 to this destination is already taken by sa sa-4097"},
	{SA_LOOKUP_SOURCE, "198.51.100.1", "192.0.2.1",
		"sa sa-4097: spi 0x00001001 to this destination from this source is already taken by sa "
		"sa-4097"},
	{SA_LOOKUP_SPI, "198.51.100.2", "192.0.2.2",
		"sa sa-4097: spi 0x00001001, to any destination, is already taken by sa sa-4097"},
};

/* SAL-1 */
START_TEST(a_second_sa_that_the_same_packets_find_is_refused)
{
	struct sa *sa = add_sa_by(taken[_i].lookup, 0x1001, "198.51.100.1", "192.0.2.1");
	struct sa *other = make_sa_by(taken[_i].lookup, 0x1001, taken[_i].source, taken[_i].destination);
	struct err err;

	ck_assert_int_eq(sad_add(sad, other, &err), -EEXIST);
	ck_assert_str_eq(err.text, taken[_i].error);
	ck_assert_int_eq(sad_remove(sad, sa), 0);
	ck_assert_int_eq(sad_add(sad, other, &err), 0);
	free_sa(sa);
	free_sa(other);
}
END_TEST

/* All SAs that can be of a few SPIs and addresses, some of them in the SAD at a time. */
#define FEW_SPIS      3
#define FEW_ENDS      3
#define MODEL_SAS     (SA_LOOKUP_COUNT * FEW_SPIS * FEW_ENDS * FEW_ENDS)
#define MODEL_CHANGES 20000

static const char *const few_sources[FEW_ENDS] = {"198.51.100.1", "198.51.100.2", "198.51.100.3"};
static const char *const few_destinations[FEW_ENDS] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};

struct model {
	struct sa *sas[MODEL_SAS];
	bool is_in[MODEL_SAS];
};

static bool model_is_found(const struct sa *sa, const struct sa *packet)
{
	return sa->spi == packet->spi &&
	       (sa->lookup == SA_LOOKUP_SPI || ip_addr_equal(&sa->destination, &packet->destination)) &&
	       (sa->lookup != SA_LOOKUP_SOURCE || ip_addr_equal(&sa->source, &packet->source));
}

/* RFC 4301 section 4.1, word for word; `packet` is an SA with the packet's SPI and ends. */
static struct sa *model_find(const struct model *model, const struct sa *packet)
{
	static const enum sa_lookup order[] = {SA_LOOKUP_SOURCE, SA_LOOKUP_DESTINATION, SA_LOOKUP_SPI};

	for (unsigned level = 0; level < RTE_DIM(order); level++)
		for (unsigned i = 0; i < MODEL_SAS; i++)
			if (model->is_in[i] && model->sas[i]->lookup == order[level] &&
				model_is_found(model->sas[i], packet))
				return model->sas[i];
	return NULL;
}

/* The SA that the same packets find, if the SAD has one. */
static bool model_has_same(const struct model *model, const struct sa *sa)
{
	for (unsigned i = 0; i < MODEL_SAS; i++)
		if (model->is_in[i] && model->sas[i]->lookup == sa->lookup &&
			model_is_found(model->sas[i], sa))
			return true;
	return false;
}

static void model_change(struct model *model, unsigned index)
{
	struct sa *sa = model->sas[index];
	bool has_same = model_has_same(model, sa);
	struct err err;

	if (model->is_in[index]) {
		ck_assert_int_eq(sad_remove(sad, sa), 0);
		model->is_in[index] = false;
	} else {
		ck_assert_int_eq(sad_add(sad, sa, &err), has_same ? -EEXIST : 0);
		model->is_in[index] = !has_same;
	}
}

static void model_compare(const struct model *model, unsigned index)
{
	const struct sa *packet = model->sas[index];
	struct sa *sa = model_find(model, packet);
	bool is_from_there =
		sa && (sa->lookup == SA_LOOKUP_SPI || ip_addr_equal(&sa->source, &packet->source));
	unsigned source = index % FEW_ENDS, destination = index / FEW_ENDS % FEW_ENDS;

	ck_assert_ptr_eq(lookup_one(esp_packet(rte_be_to_cpu_32(packet->spi), few_sources[source],
				 few_destinations[destination])),
		is_from_there ? sa : NULL);
	ck_assert_ptr_eq(sad_find(sad, SA_ESP, packet->spi, &packet->destination, &packet->source), sa);
}

/* SAL-1: what a worker remembers is never in the way. */
START_TEST(random_sas_are_found_as_the_rfc_says)
{
	struct model model = {0};

	for (unsigned i = 0; i < MODEL_SAS; i++)
		model.sas[i] = make_sa_by(i / (FEW_ENDS * FEW_ENDS * FEW_SPIS),
			0x1001 + i / (FEW_ENDS * FEW_ENDS) % FEW_SPIS, few_sources[i % FEW_ENDS],
			few_destinations[i / FEW_ENDS % FEW_ENDS]);
	for (unsigned change = 0; change < MODEL_CHANGES; change++) {
		model_change(&model, (unsigned)rte_rand_max(MODEL_SAS));
		for (unsigned packet = 0; packet < 8; packet++)
			model_compare(&model, (unsigned)rte_rand_max(MODEL_SAS));
	}
	for (unsigned i = 0; i < MODEL_SAS; i++)
		free_sa(model.sas[i]);
}
END_TEST

START_TEST(a_removed_sa_is_found_no_more_and_its_place_is_free)
{
	struct sa *sa = add_sa(0x1001, "198.51.100.1", "192.0.2.1");
	struct ip_addr destination = addr("192.0.2.1");
	struct err err;

	ck_assert_int_eq(sad_remove(sad, sa), 0);
	ck_assert_ptr_null(sad_find(sad, SA_ESP, sa->spi, &destination, &sa->source));
	ck_assert_ptr_null(lookup_one(esp_packet(0x1001, "198.51.100.1", "192.0.2.1")));
	ck_assert_int_eq(sad_remove(sad, sa), -ENOENT);
	ck_assert_int_eq(sad_add(sad, sa, &err), 0);
	ck_assert_ptr_eq(sad_find(sad, SA_ESP, sa->spi, &destination, &sa->source), sa);
	free_sa(sa);
}
END_TEST

START_TEST(as_many_sas_fit_as_were_asked_for)
{
	static struct sa *sas[N_MANY];
	struct ip_addr destination = addr("192.0.2.1");

	for (uint32_t i = 0; i < N_MANY; i++)
		sas[i] = add_sa(SA_SPI_MIN + i, "198.51.100.1", "192.0.2.1");
	for (uint32_t i = 0; i < N_MANY; i++)
		ck_assert_ptr_eq(sad_find(sad, SA_ESP, rte_cpu_to_be_32(SA_SPI_MIN + i), &destination,
					 &sas[i]->source),
			sas[i]);
	for (uint32_t i = 0; i < N_MANY; i++)
		free_sa(sas[i]);
}
END_TEST

/* A reader of the table while it changes: it reports quiescent states as a worker does. */
struct reader {
	struct sa *stable;
	atomic_bool stop;
	uint64_t wrong;
	uint64_t lookups;
};

static void *reader_main(void *argument)
{
	struct reader *reader = argument;
	struct ip_addr destination = reader->stable->destination;

	rte_rcu_qsbr_thread_register(qsbr, 0);
	rte_rcu_qsbr_thread_online(qsbr, 0);
	while (!atomic_load(&reader->stop)) {
		reader->wrong += sad_find(sad, SA_ESP, reader->stable->spi, &destination,
					 &reader->stable->source) != reader->stable;
		reader->lookups++;
		rte_rcu_qsbr_quiescent(qsbr, 0);
	}
	rte_rcu_qsbr_thread_offline(qsbr, 0);
	rte_rcu_qsbr_thread_unregister(qsbr, 0);
	return NULL;
}

START_TEST(a_reader_never_misses_an_sa_while_others_come_and_go)
{
	static struct sa *others[N_MANY / 2];
	struct reader reader = {.stable = add_sa(0x7fffffff, "198.51.100.1", "192.0.2.1")};
	pthread_t thread;
	struct err err;

	for (uint32_t i = 0; i < RTE_DIM(others); i++)
		others[i] = make_sa(SA_SPI_MIN + i, "198.51.100.1", "192.0.2.1");
	thread = eal_thread_create(reader_main, &reader);
	for (unsigned round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < RTE_DIM(others); i++)
			ck_assert_int_eq(sad_add(sad, others[i], &err), 0);
		for (uint32_t i = 0; i < RTE_DIM(others); i++)
			ck_assert_int_eq(sad_remove(sad, others[i]), 0);
	}
	atomic_store(&reader.stop, true);
	pthread_join(thread, NULL);

	ck_assert_uint_eq(reader.wrong, 0);
	ck_assert_uint_gt(reader.lookups, 0);
	for (uint32_t i = 0; i < RTE_DIM(others); i++)
		free_sa(others[i]);
	free_sa(reader.stable);
}
END_TEST

/* A worker: it looks up packets of all SPIs, and holds what it found until its quiescent state. */
struct looker {
	unsigned thread; /* of the QSBR variable */
	atomic_bool *stop;
	atomic_uint *begun; /* lookers that have looked */
	struct drops drops;
	uint64_t found;
	uint64_t wrong; /* look-ups that gave another SA, or what was left of one */
};

static void lookup_all(struct looker *looker)
{
	struct sa_tally mine = {.drops = &looker->drops, .worker = looker->thread};
	struct burst burst = {0};

	for (uint32_t i = 0; i < 2 * N_ALIVE; i++)
		burst_add_one(&burst, esp_packet(SA_SPI_MIN + i % N_ALIVE, "198.51.100.1", "192.0.2.1"));
	sad_lookup(&burst, sad, &mine);
	for (uint16_t i = 0; i < burst.n; i++) {
		rte_be32_t spi;

		memcpy(&spi, rte_pktmbuf_mtod_offset(burst.pkts[i], void *, pkt_of(burst.pkts[i])->l4),
			sizeof(spi));
		looker->wrong += pkt_of(burst.pkts[i])->sa->spi != spi;
		rte_pktmbuf_free(burst.pkts[i]);
	}
	looker->found += burst.n;
}

static void *looker_main(void *argument)
{
	struct looker *looker = argument;

	rte_rcu_qsbr_thread_register(qsbr, looker->thread);
	rte_rcu_qsbr_thread_online(qsbr, looker->thread);
	lookup_all(looker);
	atomic_fetch_add(looker->begun, 1);
	while (!atomic_load(looker->stop)) {
		lookup_all(looker);
		rte_rcu_qsbr_quiescent(qsbr, looker->thread);
	}
	rte_rcu_qsbr_thread_offline(qsbr, looker->thread);
	rte_rcu_qsbr_thread_unregister(qsbr, looker->thread);
	return NULL;
}

/* Until every worker has passed a quiescent state. */
static void await_grace(void)
{
	uint64_t token = rte_rcu_qsbr_start(qsbr);

	while (rte_rcu_qsbr_check(qsbr, token, false) == 0)
		usleep(1);
}

/* Unlink, wait, destroy; and new SAs under the same SPIs. */
static void sas_replace(struct sa *sas[N_REPLACED])
{
	for (unsigned i = 0; i < N_REPLACED; i++)
		ck_assert_int_eq(sad_remove(sad, sas[i]), 0);
	await_grace();
	for (unsigned i = 0; i < N_REPLACED; i++) {
		uint32_t spi = rte_be_to_cpu_32(sas[i]->spi);
		struct sa_counters *counters = sas[i]->counters;

		memset(sas[i], POISON, sizeof(*sas[i]));
		sas[i]->counters = counters;
		free_sa(sas[i]);
		sas[i] = add_sa(spi, "198.51.100.1", "192.0.2.1");
	}
}

/* REK-4 */
START_TEST(no_lookup_gives_an_sa_that_was_destroyed)
{
	struct sa *sas[N_ALIVE];
	struct looker lookers[N_READERS] = {0};
	pthread_t threads[N_READERS];
	atomic_bool stop = false;
	atomic_uint begun = 0;

	for (uint32_t i = 0; i < N_ALIVE; i++)
		sas[i] = add_sa(SA_SPI_MIN + i, "198.51.100.1", "192.0.2.1");
	for (unsigned i = 0; i < N_READERS; i++) {
		lookers[i] = (struct looker){.thread = i, .stop = &stop, .begun = &begun};
		threads[i] = eal_thread_create(looker_main, &lookers[i]);
	}
	while (atomic_load(&begun) < N_READERS)
		usleep(100);
	for (unsigned round = 0; round < N_ROUNDS; round++)
		sas_replace(&sas[round * N_REPLACED % N_ALIVE]);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < N_READERS; i++)
		pthread_join(threads[i], NULL);

	for (unsigned i = 0; i < N_READERS; i++) {
		ck_assert_uint_eq(lookers[i].wrong, 0);
		ck_assert_uint_gt(lookers[i].found, 0);
		/* What was not found was gone for the moment. */
		ck_assert_uint_eq(lookers[i].drops.count[0][DROP_in_no_sa], lookers[i].drops.total);
	}
	for (uint32_t i = 0; i < N_ALIVE; i++)
		free_sa(sas[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sad");
	TCase *tcase = tcase_create("sad");
	TCase *threads = tcase_create("threads");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, each_protocol_has_spis_of_its_own);
	tcase_add_test(tcase, a_packet_finds_the_sa_of_its_spi_and_destination);
	tcase_add_test(tcase, an_ipv6_packet_finds_its_sa);
	tcase_add_test(tcase, an_unknown_spi_or_destination_is_in_no_sa);
	tcase_add_test(tcase, a_known_spi_from_another_source_is_in_endpoint);
	tcase_add_test(tcase, a_fragment_of_esp_is_frag_bad);
	tcase_add_test(tcase, an_esp_header_cut_short_is_in_hdr);
	tcase_add_test(tcase, packets_of_a_burst_keep_their_order_and_their_own_sas);
	tcase_add_loop_test(tcase, of_the_sas_with_an_spi_the_most_specific_one_is_found, 0, 3);
	tcase_add_test(tcase, sas_with_an_spi_from_different_sources_are_two);
	tcase_add_loop_test(tcase, a_second_sa_that_the_same_packets_find_is_refused, 0, (int)RTE_DIM(taken));
	tcase_add_test(tcase, random_sas_are_found_as_the_rfc_says);
	tcase_add_test(tcase, a_removed_sa_is_found_no_more_and_its_place_is_free);
	tcase_add_test(tcase, as_many_sas_fit_as_were_asked_for);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(threads, setup, teardown);
	tcase_set_tags(threads, "threads");
	tcase_set_timeout(threads, 60);
	tcase_add_test(threads, a_reader_never_misses_an_sa_while_others_come_and_go);
	tcase_add_test(threads, no_lookup_gives_an_sa_that_was_destroyed);
	suite_add_tcase(suite, threads);
	return eal_run_suite(suite);
}
