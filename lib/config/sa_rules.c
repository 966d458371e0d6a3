#include "config/sa_rules.h"

#include "model/sa_conf.h"

#include <stdio.h>

/* `20 (16 key + 4 salt)`: the parts of the keying material that the algorithm has. */
static const char *key_parts(const struct alg *alg, char *buf, size_t size)
{
	const struct {
		const char *name;
		unsigned bytes;
	} parts[] = {{"key", alg->cipher_key_bytes}, {"salt", alg->salt_bytes},
		{"authentication", alg->auth_key_bytes}};
	int used = snprintf(buf, size, "%zu (", alg_key_bytes(alg));
	const char *plus = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].bytes == 0)
			continue;
		used += snprintf(
			buf + used, size - (size_t)used, "%s%u %s", plus, parts[i].bytes, parts[i].name);
		plus = " + ";
	}
	snprintf(buf + used, size - (size_t)used, ")");
	return buf;
}

static void check_key(struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	const struct yaml_node *key = yaml_node_find(result->node, "key");
	const struct yaml_node *file = yaml_node_find(result->node, "key_file");
	const char *name = key ? "key" : "key_file";
	char parts[80];

	if (sa->protocol == SA_IPCOMP) {
		if (key || file)
			read_fault(reader, key ? key : file, name, "IPComp has no key");
		return;
	}
	if (key && file)
		read_fault(reader, file, "key_file", "'key' is given too; expects one of the two");
	else if (!key && !file)
		read_fault(reader, result->node, NULL, "'key' or 'key_file' is missing");
	else if (result_is_good(result, name) && sa->alg && sa->key.length_bytes != alg_key_bytes(sa->alg))
		read_fault(reader, key ? key : file, name, "%zu bytes given, %s needs %s",
			sa->key.length_bytes, sa->protocol == SA_AH ? alg_auth_name(sa->alg) : sa->alg->name,
			key_parts(sa->alg, parts, sizeof(parts)));
}

static void check_insecure(
	struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	if (sa->protocol == SA_ESP && sa->alg && sa->alg->insecure && !sa->allow_insecure &&
		result_is_good(result, "allow_insecure"))
		read_fault(reader, yaml_node_find(result->node, "esp"), "esp",
			"%s %s; 'allow_insecure: true' on this SA accepts it", sa->alg->name,
			sa->alg->insecure);
}

/* Which of the three it is: exactly one is given. */
static void check_protocol(struct reader *reader, const struct schema_result *result, struct sa_conf *sa)
{
	static const struct {
		const char *key;
		enum sa_protocol protocol;
	} kinds[] = {{"esp", SA_ESP}, {"ah", SA_AH}, {"ipcomp", SA_IPCOMP}};
	const char *first = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct yaml_node *node = yaml_node_find(result->node, kinds[i].key);

		if (node && first)
			read_fault(reader, node, kinds[i].key,
				"'%s' is given too; further SAs of a bundle are SAs of their own", first);
		if (!node || first)
			continue;
		first = kinds[i].key;
		sa->protocol = kinds[i].protocol;
	}
	if (!first)
		read_fault(reader, result->node, NULL, "'esp', 'ah' or 'ipcomp' is missing");
}

static void check_cpi(struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	if (sa->protocol == SA_IPCOMP && result_is_good(result, "spi") && sa->spi > SA_CPI_MAX)
		read_fault(reader, yaml_node_find(result->node, "spi"), "spi",
			"expects the CPI of IPComp, a whole number from %d to %d", SA_SPI_MIN, SA_CPI_MAX);
}

#define OF_IPCOMP    "IPComp has no sequence numbers and no key"
#define OF_TRANSPORT "transport mode keeps the packet's own IP header"
#define OF_ESP       "only ESP in tunnel mode hides lengths and traffic"

/* Keys that mean nothing to the SA's protocol or mode. */
static void check_meaning(struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	enum { TUNNEL = 1, NO_IPCOMP = 2, ESP = 4 };
	static const struct {
		const char *key;
		unsigned needs;
		const char *why;
	} keys[] = {
		{"df", TUNNEL, OF_TRANSPORT},
		{"dscp", TUNNEL, OF_TRANSPORT},
		{"fragment", TUNNEL, OF_TRANSPORT},
		{"lookup", NO_IPCOMP, "IPComp is found by its CPI and destination (RFC 3173 section 3.3)"},
		{"replay_window", NO_IPCOMP, OF_IPCOMP},
		{"esn", NO_IPCOMP, OF_IPCOMP},
		{"allow_static_iv_reuse", NO_IPCOMP, OF_IPCOMP},
		{"rekey_bytes", NO_IPCOMP, OF_IPCOMP},
		{"life_bytes", NO_IPCOMP, OF_IPCOMP},
		{"rekey_packets", NO_IPCOMP, OF_IPCOMP},
		{"life_packets", NO_IPCOMP, OF_IPCOMP},
		{"tfc_padding", TUNNEL | ESP, OF_ESP},
		{"dummy_rate", TUNNEL | ESP, OF_ESP},
	};
	unsigned has = (sa->mode == SA_TUNNEL ? TUNNEL : 0) | (sa->protocol != SA_IPCOMP ? NO_IPCOMP : 0) |
		       (sa->protocol == SA_ESP ? ESP : 0);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct yaml_node *node = yaml_node_find(result->node, keys[i].key);

		if (node && (keys[i].needs & ~has))
			read_fault(reader, node, keys[i].key, "%s", keys[i].why);
	}
}

/* In transport mode a packet's ends are those of the policy, which are the SA's. */
static void check_lookup(struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	if (sa->lookup == SA_LOOKUP_SPI && sa->mode == SA_TRANSPORT && result_is_good(result, "mode"))
		read_fault(reader, yaml_node_find(result->node, "lookup"), "lookup",
			"by SPI alone a packet may have any ends, but in transport mode they are the SA's");
}

/* An SA without a destination is not judged: that it has no condition would not be what the file says. */
static void sa_forget_faulty(const struct schema_result *result, struct sa_conf *sa)
{
	if (!result_is_good(result, "for_dscp") || !result_is_good(result, "for_worker") ||
		!result_is_good(result, "after") || !result_is_good(result, "for_peer"))
		sa->destination.family = IP_NONE;
}

/* A key that means nothing without another. */
static void check_needs(struct reader *reader, const struct schema_result *result, const char *key,
	bool allowed, const char *needs)
{
	const struct yaml_node *node = yaml_node_find(result->node, key);

	if (node && !allowed)
		read_fault(reader, node, key, "needs %s", needs);
}

static void check_encap(struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	static const char *const keys[] = {
		"source_port", "destination_port", "bare_esp", "udp_checksum", "keepalive", "follows"};

	if (!result_is_good(result, "encap"))
		return;
	/* RFC 3948 is of ESP; AH proves the addresses, which a NAT changes. */
	check_needs(reader, result, "encap", sa->protocol == SA_ESP, "ESP");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		check_needs(reader, result, keys[i], sa->encap == SA_ENCAP_UDP, "encap: udp");
	if (sa->encap == SA_ENCAP_UDP && result_is_good(result, "source"))
		check_needs(reader, result, "udp_checksum", sa->source.family == IP_V6,
			"a tunnel over IPv6; over IPv4 it is always zero (RFC 3948 section 2.1)");
}

/* A soft limit past the hard one would never be reached. */
static void check_limits(struct reader *reader, const struct schema_result *result, const struct sa_conf *sa)
{
	static const struct {
		const char *soft;
		const char *hard;
	} keys[] = {
		[SA_LIMIT_TIME] = {"rekey_time", "life_time"},
		[SA_LIMIT_BYTES] = {"rekey_bytes", "life_bytes"},
		[SA_LIMIT_PACKETS] = {"rekey_packets", "life_packets"},
	};

	for (size_t kind = 0; kind < SA_LIMIT_COUNT; kind++) {
		const struct sa_limit *limit = &sa->limits[kind];

		if (limit->hard > 0 && limit->soft > limit->hard)
			read_fault(reader, yaml_node_find(result->node, keys[kind].soft), keys[kind].soft,
				"is more than '%s'", keys[kind].hard);
	}
}

void sa_rules_check(struct reader *reader, const struct schema_result *result, void *object)
{
	struct sa_conf *sa = object;

	check_protocol(reader, result, sa);
	check_cpi(reader, result, sa);
	check_meaning(reader, result, sa);
	check_lookup(reader, result, sa);
	/* What could not be read must not lead check.c to a finding of its own. */
	sa->bare_esp |= !result_is_good(result, "bare_esp");
	check_key(reader, result, sa);
	check_insecure(reader, result, sa);
	check_encap(reader, result, sa);
	check_limits(reader, result, sa);
	if (result_is_good(result, "source") && result_is_good(result, "destination") &&
		sa->source.family != sa->destination.family)
		read_fault(reader, yaml_node_find(result->node, "destination"), "destination",
			"source and destination are of different families");
	/* RFC 4303 section 3.3.3: without anti-replay the receiver doesn't follow the high 32 bits. */
	if (sa->esn && result_is_good(result, "replay_window") && sa->replay_window_pkts == 0)
		read_fault(reader, yaml_node_find(result->node, "esn"), "esn",
			"extended sequence numbers need anti-replay, but replay_window is 0");
	if (yaml_node_find(result->node, "df") && result_is_good(result, "df") && sa->source.family == IP_V6)
		read_fault(reader, yaml_node_find(result->node, "df"), "df",
			"the tunnel's header is IPv6, which has no DF flag");
	sa_forget_faulty(result, sa);
}
