#include "support/sa_pair.h"

#include "ipsec/esp_in.h"
#include "ipsec/esp_out.h"
#include "net/parse.h"
#include "support/eal.h"

#include <string.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr out;

	ck_assert_int_eq(ip_addr_parse(text, &out), 0);
	return out;
}

int sa_pair_algs(void)
{
	int n = 0;

	while (alg_at((size_t)n))
		n++;
	return n;
}

struct secret sa_pair_key(const struct alg *alg)
{
	struct secret key = {.length_bytes = alg_key_bytes(alg)};

	for (size_t i = 0; i < key.length_bytes; i++)
		key.bytes[i] = (uint8_t)(i + 1);
	return key;
}

struct sa *sa_of(struct crypto_env *env, const struct sa_spec *spec, bool inbound)
{
	bool has_alg = spec->protocol != SA_IPCOMP;
	const struct alg *alg = has_alg ? alg_find(spec->alg ? spec->alg : "aes128gcm16") : NULL;
	struct sa_conf conf = {
		.name = inbound ? (char[]){"in"} : (char[]){"out"},
		.spi = spec->spi ? spec->spi : 0x1001,
		.source = addr(spec->outer == IP_V6 ? "2001:db8::1" : "192.0.2.1"),
		.destination = addr(spec->outer == IP_V6 ? "2001:db8:1::1" : "198.51.100.1"),
		.protocol = spec->protocol ? spec->protocol : SA_ESP,
		.mode = spec->mode,
		.alg = alg,
		.key = alg ? sa_pair_key(alg) : (struct secret){0},
		.replay_window_pkts = SA_PAIR_WINDOW,
		.esn = spec->esn,
		.df = spec->df,
		.dscp = spec->has_dscp ? spec->dscp : SA_DSCP_COPY,
		.encap = spec->in_udp ? SA_ENCAP_UDP : SA_ENCAP_NONE,
		.source_port = SA_ENCAP_PORT_DEFAULT,
		.destination_port = SA_ENCAP_PORT_DEFAULT,
		.bare_esp = true,
		.tfc_bytes = spec->tfc_bytes,
		.dummy_rate_pps = spec->dummy_rate_pps,
	};
	struct sa_params params = {
		.conf = &conf,
		.inbound = inbound,
		.n_workers = spec->n_workers ? spec->n_workers : 1,
		.socket = SOCKET_ID_ANY,
		.iv_mask = spec->iv_mask,
	};
	struct err err;
	struct sa *sa = NULL;

	memcpy(conf.limits, spec->limits, sizeof(conf.limits));
	ck_assert_msg(sa_create(&params, &env->crypto, &sa, &err) == 0, "%s", err.text);
	return sa;
}

struct sa_pair sa_pair_create(struct crypto_env *env, const struct sa_spec *spec)
{
	return (struct sa_pair){.out = sa_of(env, spec, false), .in = sa_of(env, spec, true)};
}

void sa_pair_destroy(struct sa_pair *pair)
{
	sa_destroy(pair->out);
	sa_destroy(pair->in);
}

void sa_pair_encrypt(struct crypto_env *env, struct sa *sa, struct burst *burst)
{
	for (uint16_t i = 0; i < burst->n; i++)
		pkt_of(burst->pkts[i])->sa = sa;
	esp_out_prepare(burst, &env->tally);
	crypto_env_run(env, burst);
	esp_out_finish(burst, &env->tally);
}

void sa_pair_transfer(struct sa *sa, struct burst *burst)
{
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *sent = burst->pkts[i];
		struct rte_mbuf *m =
			mbuf_exact_of(rte_pktmbuf_mtod(sent, void *), rte_pktmbuf_data_len(sent));

		ck_assert(parse_inner_one(m, pkt_of(sent)->family));
		ck_assert_uint_eq(rte_pktmbuf_data_len(m), rte_pktmbuf_data_len(sent));
		pkt_of(m)->sa = sa;
		rte_pktmbuf_free(sent);
		burst->pkts[i] = m;
	}
}

void sa_pair_decrypt(struct crypto_env *env, struct burst *burst)
{
	esp_in_prepare(burst, &env->tally);
	crypto_env_run(env, burst);
	esp_in_finish(burst, &env->tally);
}
