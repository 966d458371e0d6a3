#include "bench/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "model/alg.h"

#define KEY_BYTES_MAX 128

#define SPI_OUT_FIRST 0x00010000
#define SPI_IN_FIRST  0x01000000
#define PEER_FIRST    UINT32_C(0xc6120000) /* 198.18.0.0 */
#define REMOTE_FIRST  UINT32_C(0x0a400000) /* 10.64.0.0 */
#define SPI_STEP      0x00100000           /* from an SA to the one around it */
#define CPI_FIRST     0x1000               /* IPComp's has 16 bits */

#define STEPS_MAX 3

/* Lengths of prefixes. */
#define LOCAL_BITS       16
#define REMOTE_BITS      27
#define IPV6_PREFIX_BITS 96

/* For printf: an IPv4 address in host order. */
#define IPV4_FORMAT      "%u.%u.%u.%u"
#define IPV4_ARGS(host_) (host_) >> 24, (host_) >> 16 & 0xff, (host_) >> 8 & 0xff, (host_)&0xff

/* One of the SAs that are one around the other. */
struct step {
	const char *protocol;  /* the configuration's key */
	const char *algorithm; /* its value; NULL: the site's */
	const char *key_of;    /* the ESP algorithm that has the same key; NULL: the site's */
	const char *options;
	bool has_no_key;
};

static const char ipv6_route[] = "  - {to: \"2001:db8::10.1.0.0/112\", via: \"2001:db8:1::2\"}\n";
static const char ipv6_neighbour[] =
	"  - {port: lan, address: \"2001:db8:1::2\", mac: \"02:00:5e:00:00:02\"}\n";

#define TUNNEL_ESP                                                                                           \
	{                                                                                                    \
		.protocol = "esp", .options = "mode: tunnel"                                                 \
	}

static const struct step shapes[SITE_SHAPES][STEPS_MAX] = {
	[SITE_PLAIN] = {TUNNEL_ESP},
	[SITE_ESN] = {{.protocol = "esp", .options = "mode: tunnel, esn: true"}},
	[SITE_IPV6] = {TUNNEL_ESP},
	[SITE_AH] = {{.protocol = "ah",
		.algorithm = "sha256",
		.key_of = "null-sha256",
		.options = "mode: tunnel"}},
	[SITE_TRANSPORT] = {TUNNEL_ESP, {.protocol = "esp", .options = "mode: transport"}},
	[SITE_BUNDLE] = {{.protocol = "ipcomp",
				 .algorithm = "deflate",
				 .options = "mode: tunnel",
				 .has_no_key = true},
		{.protocol = "esp", .options = "mode: transport"},
		{.protocol = "ah",
			.algorithm = "sha256",
			.key_of = "null-sha256",
			.options = "mode: transport"}},
	[SITE_FRAGMENTS] = {TUNNEL_ESP},
};

uint32_t site_steps(enum site_shape shape)
{
	uint32_t n = 0;

	while (n < STEPS_MAX && shapes[shape][n].protocol)
		n++;
	return n;
}

uint32_t site_remote_network(uint32_t policy)
{
	return REMOTE_FIRST + policy * SITE_REMOTE_ADDRESSES;
}

static void source_write(FILE *out, const struct site *site)
{
	if (site->source_is_ring) {
		fputs("net_ring0", out);
		return;
	}
	if (!site->frames[0]) {
		fputs("net_null1,no-rx=1", out);
		return;
	}
	fputs("net_pcap0", out);
	for (unsigned i = 0; i < SITE_QUEUES_MAX && site->frames[i]; i++)
		fprintf(out, ",rx_pcap=%s", site->frames[i]);
	fputs(",infinite_rx=1", out);
}

static void port_write(FILE *out, const struct site *site, bool is_protected)
{
	bool is_source = is_protected == ((site->directions & SITE_OUT) != 0);
	bool is_ipv6 = site->shape == SITE_IPV6;

	fprintf(out, "  %s: {device: \"", is_protected ? "lan" : "wan");
	if (is_source)
		source_write(out, site);
	else
		fputs("net_null0,no-rx=1", out);
	fprintf(out, "\", side: %s, addresses: [%s], mtu: %u}\n", is_protected ? "protected" : "unprotected",
		!is_protected ? "192.0.2.1/24"
		: is_ipv6     ? "10.0.0.1/24, \"2001:db8:1::1/64\""
			      : "10.0.0.1/24",
		SITE_MTU_BYTES);
}

static size_t key_bytes(const char *algorithm)
{
	const struct alg *alg = alg_find(algorithm);

	return alg ? (size_t)alg->cipher_key_bytes + alg->salt_bytes + alg->auth_key_bytes : 0;
}

static int key_write(FILE *out, const char *algorithm)
{
	uint8_t key[KEY_BYTES_MAX];
	size_t bytes = key_bytes(algorithm);

	if (bytes > sizeof(key) || getrandom(key, bytes, 0) != (ssize_t)bytes)
		return -1;
	fputs(", key: \"0x", out);
	for (size_t i = 0; i < bytes; i++)
		fprintf(out, "%02x", key[i]);
	putc('"', out);
	return 0;
}

static void sa_name_write(FILE *out, const char *direction, uint32_t index, uint32_t step)
{
	fprintf(out, "%s%u", direction, index);
	if (step > 0)
		fprintf(out, "-%u", step);
}

/* All of an SA but its ends; what is left has a comma in front. */
static int sa_write(FILE *out, const struct site *site, bool inbound, uint32_t index, uint32_t i)
{
	const struct step *step = &shapes[site->shape][i];
	uint32_t spi = (inbound ? SPI_IN_FIRST : SPI_OUT_FIRST) + i * SPI_STEP + index;

	fputs("  ", out);
	sa_name_write(out, inbound ? "in" : "out", index, i);
	fprintf(out, ": {spi: 0x%x, %s, %s: %s", step->has_no_key ? CPI_FIRST + index : spi, step->options,
		step->protocol, step->algorithm ? step->algorithm : site->algorithm);
	if (site->in_udp)
		fputs(", encap: udp", out);
	if (step->has_no_key)
		return 0;
	if (inbound)
		fprintf(out, ", replay_window: %u", site->replay_window_pkts);
	return key_write(out, step->key_of ? step->key_of : site->algorithm);
}

static int sa_out_write(FILE *out, const struct site *site, uint32_t index, uint32_t step)
{
	int ret = sa_write(out, site, false, index, step);

	fprintf(out, ", source: 192.0.2.1, destination: " IPV4_FORMAT "}\n", IPV4_ARGS(PEER_FIRST + index));
	return ret;
}

static int sa_in_write(FILE *out, const struct site *site, uint32_t index, uint32_t step)
{
	int ret = sa_write(out, site, true, index, step);

	fprintf(out, ", source: " IPV4_FORMAT ", destination: 192.0.2.1}\n", IPV4_ARGS(PEER_FIRST + index));
	return ret;
}

static int sas_write(FILE *out, const struct site *site)
{
	uint32_t n_steps = site_steps(site->shape);
	int ret = 0;

	fputs("sas:\n", out);
	for (uint32_t i = 0; ret == 0 && i < site->n_sas * n_steps; i++) {
		if (site->directions & SITE_OUT)
			ret = sa_out_write(out, site, i / n_steps, i % n_steps);
		if (ret == 0 && (site->directions & SITE_IN))
			ret = sa_in_write(out, site, i / n_steps, i % n_steps);
	}
	return ret;
}

/* A network that is of the IP version that goes through the tunnels. */
static void network_write(FILE *out, const struct site *site, const char *end, uint32_t first, unsigned bits)
{
	bool is_ipv6 = site->shape == SITE_IPV6;

	fprintf(out, "%s: \"%s" IPV4_FORMAT "/%u\", ", end, is_ipv6 ? "2001:db8::" : "", IPV4_ARGS(first),
		is_ipv6 ? IPV6_PREFIX_BITS + bits : bits);
}

static void policy_write(FILE *out, const struct site *site, bool inbound, uint32_t index)
{
	const char *direction = inbound ? "in" : "out";

	fprintf(out, "  - {name: %s%u, direction: %s, action: protect, ", direction, index, direction);
	network_write(out, site, inbound ? "source" : "destination", site_remote_network(index), REMOTE_BITS);
	network_write(out, site, inbound ? "destination" : "source", SITE_LOCAL_NETWORK, LOCAL_BITS);
	fputs("sas: [", out);
	for (uint32_t step = 0; step < site_steps(site->shape); step++) {
		fputs(step > 0 ? ", " : "", out);
		sa_name_write(out, direction, index % site->n_sas, step);
	}
	fputs("]}\n", out);
}

static void policies_write(FILE *out, const struct site *site)
{
	fputs("policies:\n", out);
	for (uint32_t i = 0; i < site->n_policies; i++) {
		if (site->directions & SITE_OUT)
			policy_write(out, site, false, i);
		if (site->directions & SITE_IN)
			policy_write(out, site, true, i);
	}
}

static int site_print(FILE *out, const struct site *site)
{
	bool is_ipv6 = site->shape == SITE_IPV6;
	int ret;

	fprintf(out, "memory: {hugepages: %s", site->hugepages ? "true" : "false");
	if (site->packets)
		fprintf(out, ", packets: %u", site->packets);
	fprintf(out,
		"}\n"
		"workers: {lcores: [%s]}\n"
		"routes:\n"
		"  - {to: 0.0.0.0/0, via: 192.0.2.254}\n"
		"  - {to: 10.1.0.0/16, via: 10.0.0.2}\n%s"
		"neighbours:\n"
		"  - {port: wan, address: 192.0.2.254, mac: \"02:00:5e:00:00:fe\"}\n"
		"  - {port: lan, address: 10.0.0.2, mac: \"02:00:5e:00:00:02\"}\n%s",
		site->cpus, is_ipv6 ? ipv6_route : "", is_ipv6 ? ipv6_neighbour : "");
	fputs("ports:\n", out);
	port_write(out, site, true);
	port_write(out, site, false);
	ret = sas_write(out, site);
	policies_write(out, site);
	return ret;
}

int site_write(const struct site *site, const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int ret = out ? site_print(out, site) : -1;

	if (out && fclose(out) != 0)
		ret = -1;
	return ret == 0 ? 0 : err_set(err, EIO, "%s can't be written: %s", path, strerror(errno));
}
