#include "bench/site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define KEY_BYTES 20 /* aes128gcm16: key and salt */

#define SPI_OUT_FIRST 0x00010000
#define SPI_IN_FIRST  0x01000000
#define PEER_FIRST    UINT32_C(0xc6120000) /* 198.18.0.0 */
#define REMOTE_FIRST  UINT32_C(0x0a400000) /* 10.64.0.0 */

/* For printf: an IPv4 address in host order. */
#define IPV4_FORMAT      "%u.%u.%u.%u"
#define IPV4_ARGS(host_) (host_) >> 24, (host_) >> 16 & 0xff, (host_) >> 8 & 0xff, (host_)&0xff

uint32_t site_remote_network(uint32_t tunnel)
{
	return REMOTE_FIRST + tunnel * SITE_REMOTE_ADDRESSES;
}

static void ports_write(FILE *out, const struct site *site)
{
	char source[512] = "net_null1,no-rx=1";
	const char *sink = "net_null0,no-rx=1";

	if (site->frames)
		snprintf(source, sizeof(source), "net_pcap0,rx_pcap=%s,infinite_rx=1", site->frames);
	fprintf(out,
		"ports:\n"
		"  lan: {device: \"%s\", side: protected, addresses: [10.0.0.1/24], mtu: 1500}\n"
		"  wan: {device: \"%s\", side: unprotected, addresses: [192.0.2.1/24], mtu: 1500}\n",
		site->inbound ? sink : source, site->inbound ? source : sink);
}

static int sa_write(FILE *out, const char *direction, uint32_t tunnel, uint32_t spi)
{
	uint8_t key[KEY_BYTES];

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -1;
	fprintf(out, "  %s%u: {spi: 0x%x, mode: tunnel, esp: aes128gcm16, key: \"0x", direction, tunnel, spi);
	for (unsigned i = 0; i < sizeof(key); i++)
		fprintf(out, "%02x", key[i]);
	fputs("\", ", out);
	return 0;
}

static int sas_write(FILE *out, const struct site *site)
{
	fputs("sas:\n", out);
	for (uint32_t i = 0; i < site->n_tunnels; i++) {
		uint32_t peer = PEER_FIRST + i;

		if (sa_write(out, "out", i, SPI_OUT_FIRST + i) != 0)
			return -1;
		fprintf(out, "source: 192.0.2.1, destination: " IPV4_FORMAT "}\n", IPV4_ARGS(peer));
		if (sa_write(out, "in", i, SPI_IN_FIRST + i) != 0)
			return -1;
		fprintf(out, "source: " IPV4_FORMAT ", destination: 192.0.2.1, replay_window: %u}\n",
			IPV4_ARGS(peer), site->replay_window_pkts);
	}
	return 0;
}

static void policies_write(FILE *out, const struct site *site)
{
	fputs("policies:\n", out);
	for (uint32_t i = 0; i < site->n_tunnels; i++) {
		uint32_t remote = site_remote_network(i);

		fprintf(out,
			"  - {name: out%u, direction: out, action: protect, source: 10.1.0.0/16, "
			"destination: " IPV4_FORMAT "/26, sas: [out%u]}\n"
			"  - {name: in%u, direction: in, action: protect, source: " IPV4_FORMAT
			"/26, destination: 10.1.0.0/16, sas: [in%u]}\n",
			i, IPV4_ARGS(remote), i, i, IPV4_ARGS(remote), i);
	}
}

static int site_print(FILE *out, const struct site *site)
{
	int ret;

	fprintf(out,
		"memory: {hugepages: %s}\n"
		"workers: {lcores: [%u], crypto: [%s]}\n"
		"routes:\n"
		"  - {to: 0.0.0.0/0, via: 192.0.2.254}\n"
		"  - {to: 10.1.0.0/16, via: 10.0.0.2}\n"
		"neighbours:\n"
		"  - {port: wan, address: 192.0.2.254, mac: \"02:00:5e:00:00:fe\"}\n"
		"  - {port: lan, address: 10.0.0.2, mac: \"02:00:5e:00:00:02\"}\n",
		site->hugepages ? "true" : "false", site->cpu, site->crypto);
	ports_write(out, site);
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
