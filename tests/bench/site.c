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

/* For printf: an IPv4 address in host order. */
#define IPV4_FORMAT      "%u.%u.%u.%u"
#define IPV4_ARGS(host_) (host_) >> 24, (host_) >> 16 & 0xff, (host_) >> 8 & 0xff, (host_)&0xff

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

	fprintf(out, "  %s: {device: \"", is_protected ? "lan" : "wan");
	if (is_source)
		source_write(out, site);
	else
		fputs("net_null0,no-rx=1", out);
	fprintf(out, "\", side: %s, addresses: [%s], mtu: 1500}\n",
		is_protected ? "protected" : "unprotected", is_protected ? "10.0.0.1/24" : "192.0.2.1/24");
}

static size_t key_bytes(const struct site *site)
{
	const struct alg *alg = alg_find(site->algorithm);

	return alg ? (size_t)alg->cipher_key_bytes + alg->salt_bytes + alg->auth_key_bytes : 0;
}

static int sa_write(FILE *out, const struct site *site, const char *direction, uint32_t index, uint32_t spi)
{
	uint8_t key[KEY_BYTES_MAX];
	size_t bytes = key_bytes(site);

	if (bytes > sizeof(key) || getrandom(key, bytes, 0) != (ssize_t)bytes)
		return -1;
	fprintf(out, "  %s%u: {spi: 0x%x, mode: tunnel, esp: %s, key: \"0x", direction, index, spi,
		site->algorithm);
	for (size_t i = 0; i < bytes; i++)
		fprintf(out, "%02x", key[i]);
	fprintf(out, "\", %s", site->in_udp ? "encap: udp, " : "");
	return 0;
}

static int sa_out_write(FILE *out, const struct site *site, uint32_t index)
{
	int ret = sa_write(out, site, "out", index, SPI_OUT_FIRST + index);

	fprintf(out, "source: 192.0.2.1, destination: " IPV4_FORMAT "}\n", IPV4_ARGS(PEER_FIRST + index));
	return ret;
}

static int sa_in_write(FILE *out, const struct site *site, uint32_t index)
{
	int ret = sa_write(out, site, "in", index, SPI_IN_FIRST + index);

	fprintf(out, "source: " IPV4_FORMAT ", destination: 192.0.2.1, replay_window: %u}\n",
		IPV4_ARGS(PEER_FIRST + index), site->replay_window_pkts);
	return ret;
}

static int sas_write(FILE *out, const struct site *site)
{
	int ret = 0;

	fputs("sas:\n", out);
	for (uint32_t i = 0; ret == 0 && i < site->n_sas; i++) {
		if (site->directions & SITE_OUT)
			ret = sa_out_write(out, site, i);
		if (ret == 0 && (site->directions & SITE_IN))
			ret = sa_in_write(out, site, i);
	}
	return ret;
}

static void policies_write(FILE *out, const struct site *site)
{
	fputs("policies:\n", out);
	for (uint32_t i = 0; i < site->n_policies; i++) {
		uint32_t remote = site_remote_network(i);

		if (site->directions & SITE_OUT)
			fprintf(out,
				"  - {name: out%u, direction: out, action: protect, source: 10.1.0.0/16, "
				"destination: " IPV4_FORMAT "/27, sas: [out%u]}\n",
				i, IPV4_ARGS(remote), i % site->n_sas);
		if (site->directions & SITE_IN)
			fprintf(out,
				"  - {name: in%u, direction: in, action: protect, source: " IPV4_FORMAT
				"/27, destination: 10.1.0.0/16, sas: [in%u]}\n",
				i, IPV4_ARGS(remote), i % site->n_sas);
	}
}

static int site_print(FILE *out, const struct site *site)
{
	int ret;

	fprintf(out, "memory: {hugepages: %s", site->hugepages ? "true" : "false");
	if (site->packets)
		fprintf(out, ", packets: %u", site->packets);
	fprintf(out,
		"}\n"
		"workers: {lcores: [%s]}\n"
		"routes:\n"
		"  - {to: 0.0.0.0/0, via: 192.0.2.254}\n"
		"  - {to: 10.1.0.0/16, via: 10.0.0.2}\n"
		"neighbours:\n"
		"  - {port: wan, address: 192.0.2.254, mac: \"02:00:5e:00:00:fe\"}\n"
		"  - {port: lan, address: 10.0.0.2, mac: \"02:00:5e:00:00:02\"}\n",
		site->cpus);
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
