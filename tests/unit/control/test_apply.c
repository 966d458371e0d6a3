#include "control/apply.h"

#include "ipsec/sad.h"
#include "support/eal.h"
#include "support/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A site of many tunnels, with policies as an IKE daemon makes them, and a few of other kinds around them. */
#define TUNNELS          5000
#define BURSTS           200
#define SPI_IN_FIRST     0x01000000
#define REMOTE_FIRST     UINT32_C(0x0a400000) /* 10.64.0.0 */
#define REMOTE_ADDRESSES 32
#define LOCAL_FIRST      UINT32_C(0x0a010000) /* 10.1.0.0/16 */
#define PORT_NTP         123

static struct gateway_env env;
static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % limit);
}

static void tunnel_sas_write(FILE *yaml, unsigned i)
{
	unsigned high = i >> 8, low = i & UINT8_MAX;

	fprintf(yaml,
		"  out%u: {spi: %u, source: 192.0.2.1, destination: 198.18.%u.%u, esp: aes128gcm16,\n"
		"    key: '0x01%038x'}\n"
		"  in%u: {spi: %u, source: 198.18.%u.%u, destination: 192.0.2.1, esp: aes128gcm16,\n"
		"    key: '0x02%038x', replay_window: 64}\n",
		i, 0x10000 + i, high, low, i, i, SPI_IN_FIRST + i, high, low, i);
}

static void tunnel_policies_write(FILE *yaml, unsigned i)
{
	uint32_t remote = REMOTE_FIRST + i * REMOTE_ADDRESSES;
	unsigned a = remote >> 24, b = remote >> 16 & UINT8_MAX, c = remote >> 8 & UINT8_MAX,
		 d = remote & UINT8_MAX;

	fprintf(yaml,
		"  - {name: out%u, direction: out, action: protect, source: 10.1.0.0/16,\n"
		"     destination: %u.%u.%u.%u/27, sas: [out%u]}\n"
		"  - {name: in%u, direction: in, action: protect, source: %u.%u.%u.%u/27,\n"
		"     destination: 10.1.0.0/16, sas: [in%u]}\n",
		i, a, b, c, d, i, i, a, b, c, d, i);
}

static char *site_yaml(void)
{
	char *text;
	size_t length;
	FILE *yaml = open_memstream(&text, &length);

	fputs("memory: {hugepages: false, packets: 1024}\n"
	      "workers: {lcores: [0]}\n"
	      "ports:\n"
	      "  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/16]}\n"
	      "  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"
	      "routes:\n"
	      "  - {to: 0.0.0.0/0, via: 192.0.2.254}\n"
	      "sas:\n",
		yaml);
	for (unsigned i = 0; i < TUNNELS; i++)
		tunnel_sas_write(yaml, i);
	fputs("policies:\n"
	      "  - {name: ntp, direction: out, action: bypass, protocol: udp, destination_port: 123}\n",
		yaml);
	for (unsigned i = 0; i < TUNNELS; i++)
		tunnel_policies_write(yaml, i);
	fputs("  - {name: rest, direction: out, action: discard, destination: 10.64.0.0/10}\n", yaml);
	fclose(yaml);
	return text;
}

static void setup(void)
{
	char *yaml = site_yaml();

	eal_setup();
	gateway_env_begin(&env, yaml);
	free(yaml);
	random_state = 88172645463325252u;
}

static void teardown(void)
{
	gateway_env_end(&env);
	eal_teardown();
}

/* A random packet from here to the network of a tunnel, or of none: the last quarter. */
static uint32_t outbound_randomise(struct rte_mbuf *m)
{
	uint32_t tunnel = random_below(TUNNELS + TUNNELS / 3);
	uint32_t remote = REMOTE_FIRST + tunnel * REMOTE_ADDRESSES + random_below(REMOTE_ADDRESSES);

	pkt_ipv4(m)->src_addr = rte_cpu_to_be_32(LOCAL_FIRST + random_below(UINT16_MAX + 1));
	pkt_ipv4(m)->dst_addr = rte_cpu_to_be_32(remote);
	pkt_of(m)->destination_port = random_below(8) ? 80 : PORT_NTP;
	return tunnel;
}

/* The same from there. */
static uint32_t inbound_randomise(struct rte_mbuf *m)
{
	uint32_t tunnel = outbound_randomise(m);
	rte_be32_t remote = pkt_ipv4(m)->dst_addr;

	pkt_ipv4(m)->dst_addr = pkt_ipv4(m)->src_addr;
	pkt_ipv4(m)->src_addr = remote;
	return tunnel;
}

static void assert_protected(const struct spd_entry *entry, const char *direction, uint32_t tunnel)
{
	char name[SA_NAME_MAX];

	snprintf(name, sizeof(name), "%s%u", direction, tunnel);
	ck_assert_ptr_nonnull(entry);
	ck_assert_int_eq(entry->action, POLICY_PROTECT);
	ck_assert_str_eq(entry->sa->name, name);
}

static void outbound_check(const struct pkt *p, const struct spd_entry *entry, uint32_t tunnel)
{
	ck_assert_ptr_nonnull(entry);
	if (p->destination_port == PORT_NTP)
		ck_assert_int_eq(entry->action, POLICY_BYPASS);
	else if (tunnel >= TUNNELS)
		ck_assert_int_eq(entry->action, POLICY_DISCARD);
	else
		assert_protected(entry, "out", tunnel);
}

static void inbound_check(const struct pkt *p, const struct spd_entry *entry, uint32_t tunnel)
{
	(void)p;
	if (tunnel >= TUNNELS)
		ck_assert_ptr_null(entry);
	else
		assert_protected(entry, "in", tunnel);
}

static void policies_check(const struct spd *spd, uint32_t (*randomise)(struct rte_mbuf *m),
	void (*check)(const struct pkt *p, const struct spd_entry *entry, uint32_t tunnel))
{
	struct rte_mbuf *pkts[BURST_MAX];
	const struct spd_entry *entries[BURST_MAX];
	uint32_t tunnels[BURST_MAX];

	for (unsigned i = 0; i < BURST_MAX; i++)
		pkts[i] = packet_mbuf(&(struct packet_spec){.protocol = IPPROTO_UDP});
	for (unsigned burst = 0; burst < BURSTS; burst++) {
		for (unsigned i = 0; i < BURST_MAX; i++)
			tunnels[i] = randomise(pkts[i]);
		spd_find(spd, pkts, BURST_MAX, entries);
		for (unsigned i = 0; i < BURST_MAX; i++)
			check(pkt_of(pkts[i]), entries[i], tunnels[i]);
	}
	for (unsigned i = 0; i < BURST_MAX; i++)
		rte_pktmbuf_free(pkts[i]);
}

START_TEST(random_packets_of_thousands_of_tunnels_find_their_sa)
{
	policies_check(env.control.snapshot->spd_out, outbound_randomise, outbound_check);
	policies_check(env.control.snapshot->spd_in, inbound_randomise, inbound_check);
	for (uint32_t i = 0; i < TUNNELS; i++) {
		struct sa *sa = sad_find(env.control.sad, SA_ESP, rte_cpu_to_be_32(SPI_IN_FIRST + i),
			&env.control.sas[2 * i + 1]->destination, &env.control.sas[2 * i + 1]->source);

		ck_assert_ptr_nonnull(sa);
		ck_assert_ptr_eq(sa, env.control.sas[2 * i + 1]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control/apply");
	TCase *cases = tcase_create("apply");

	suite_add_tcase(suite, cases);
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, random_packets_of_thousands_of_tunnels_find_their_sa);
	return eal_run_suite(suite);
}
