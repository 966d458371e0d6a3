#include "ipsec/spd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_acl.h>
#include <rte_errno.h>
#include <rte_branch_prediction.h>
#include <rte_malloc.h>

#include "ipsec/spd_pairs.h"
#include "ipsec/spd_seen.h"
#include "net/quote.h"
#include "net/stage.h"

/*
 * What the classifier reads of a packet, in network order: the protocol in the first byte, and from the
 * second group of four bytes on the words of the source, those of the destination, both ports, and what of
 * all that is there (spd_seen.h). The three bytes behind the protocol are padding.
 */
#define GROUP_BYTES 4
#define WORDS_MAX   (16 / GROUP_BYTES) /* of an address */
#define FIELDS_MAX  (1 + 2 * WORDS_MAX + 2 + 1)
#define FAMILIES    2

struct spd_key {
	rte_be32_t protocol;                /* in its first byte */
	rte_be32_t rest[2 * WORDS_MAX + 2]; /* as many as the family's addresses take */
};

RTE_ACL_RULE_DEF(acl_rule, FIELDS_MAX);

struct spd {
	struct spd_pairs *pairs;
	struct rte_acl_ctx *contexts[FAMILIES]; /* of the other rules; NULL where none is of the family */
	uint32_t first_other;                   /* the least index of those */
	bool reads_ports;                       /* any rule does, as the next */
	bool reads_opaque;
	struct spd_entry entries[];
};

/* What spd_create was called with. */
struct spd_source {
	const char *name;
	const struct spd_rule *rules;
	size_t n_rules;
	int socket;
	bool *in_pairs; /* of each rule: it is not rte_acl's */
};

static const uint8_t families[FAMILIES] = {IP_V4, IP_V6};

/* In a key. */
static unsigned address_words(uint8_t family)
{
	return (unsigned)ip_family_bytes(family) / GROUP_BYTES;
}

static uint32_t acl_rule_bytes(uint8_t family)
{
	return RTE_ACL_RULE_SZ(1 + 2 * address_words(family) + 2 + 1);
}

static struct rte_acl_field_def field_make(uint8_t type, uint8_t bytes, unsigned group, unsigned offset_bytes)
{
	return (struct rte_acl_field_def){
		.type = type,
		.size = bytes,
		.input_index = (uint8_t)group,
		.offset = group * GROUP_BYTES + offset_bytes,
	};
}

/* The fields of the family's keys, in the order of acl_rule's. */
static void acl_config_make(struct rte_acl_config *config, uint8_t family)
{
	unsigned ports = 1 + 2 * address_words(family); /* their group */
	struct rte_acl_field_def *field = config->defs;

	*config = (struct rte_acl_config){.num_categories = 1};
	*field++ = field_make(RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0);
	for (unsigned group = 1; group < ports; group++)
		*field++ = field_make(RTE_ACL_FIELD_TYPE_MASK, GROUP_BYTES, group, 0);
	*field++ = field_make(RTE_ACL_FIELD_TYPE_RANGE, 2, ports, 0);
	*field++ = field_make(RTE_ACL_FIELD_TYPE_RANGE, 2, ports, 2);
	*field++ = field_make(RTE_ACL_FIELD_TYPE_BITMASK, GROUP_BYTES, ports + 1, 0);
	config->num_fields = (uint32_t)(field - config->defs);
	for (uint32_t i = 0; i < config->num_fields; i++)
		config->defs[i].field_index = (uint8_t)i;
}

/* Values of rules are in host order. */
static void acl_prefix_set(struct rte_acl_field *fields, const struct ip_prefix *prefix)
{
	unsigned left_bits = prefix->length_bits;

	for (unsigned i = 0; i < address_words(prefix->addr.family); i++) {
		unsigned bits = RTE_MIN(left_bits, 8u * GROUP_BYTES);
		rte_be32_t word;

		memcpy(&word, prefix->addr.bytes + i * GROUP_BYTES, sizeof(word));
		fields[i].value.u32 = rte_be_to_cpu_32(word);
		fields[i].mask_range.u32 = bits;
		left_bits -= bits;
	}
}

/* Where there are none to be seen, the key has zeros. */
static void acl_ports_set(struct rte_acl_field *field, const struct port_range *range)
{
	field->value.u16 = port_range_is_opaque(range) ? 0 : range->first;
	field->mask_range.u16 = port_range_is_opaque(range) ? SELECTOR_PORT_LAST : range->last;
}

/* Everything of the rule but the addresses. The first of the list has the highest priority. */
static void acl_rule_init(
	struct acl_rule *rule, const struct selector *selector, size_t index, uint8_t family)
{
	struct rte_acl_field *ports = &rule->field[1 + 2 * address_words(family)];
	struct seen seen = seen_wanted(selector);

	*rule = (struct acl_rule){
		.data = {.category_mask = 1,
			.priority = RTE_ACL_MAX_PRIORITY - (int32_t)index,
			.userdata = (uint32_t)index + 1}, /* 0 is no match */
	};
	if (selector->protocol >= 0) {
		rule->field[0].value.u8 = (uint8_t)selector->protocol;
		rule->field[0].mask_range.u8 = UINT8_MAX;
	}
	acl_ports_set(&ports[0], &selector->source_ports);
	acl_ports_set(&ports[1], &selector->destination_ports);
	ports[2].value.u32 = seen.bits;
	ports[2].mask_range.u32 = seen.mask;
}

/* The sources or the destinations of a selector. */
struct side {
	const struct ip_range *ranges;
	size_t n_ranges; /* 0: ANY, which counts as one range of either family */
};

static size_t side_ranges(const struct side *side)
{
	return RTE_MAX(side->n_ranges, 1u);
}

/* The prefixes of a range, none if it is of the other family. Returns how many. */
static size_t side_prefixes(const struct side *side, size_t index, uint8_t family,
	struct ip_prefix prefixes[IP_RANGE_PREFIXES_MAX])
{
	if (side->n_ranges == 0) {
		prefixes[0] = (struct ip_prefix){.addr.family = family, .length_bits = 0};
		return 1;
	}
	if (side->ranges[index].first.family != family)
		return 0;
	return ip_range_prefixes(&side->ranges[index], prefixes);
}

static size_t side_prefixes_count(const struct side *side, uint8_t family)
{
	struct ip_prefix prefixes[IP_RANGE_PREFIXES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < side_ranges(side); i++)
		count += side_prefixes(side, i, family, prefixes);
	return count;
}

static struct side side_of_sources(const struct selector *selector)
{
	return (struct side){selector->sources, selector->n_sources};
}

static struct side side_of_destinations(const struct selector *selector)
{
	return (struct side){selector->destinations, selector->n_destinations};
}

/* How many rules of rte_acl the family takes; it stops counting above `max`. */
static size_t acl_rules_count(const struct spd_source *source, uint8_t family, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < source->n_rules && count <= max; i++) {
		struct side sources = side_of_sources(source->rules[i].selector);
		struct side destinations = side_of_destinations(source->rules[i].selector);

		if (source->in_pairs[i])
			continue;
		count += side_prefixes_count(&sources, family) * side_prefixes_count(&destinations, family);
	}
	return count;
}

/* Add a rule for each destination of the family; the source is in the rule. */
static int acl_add_destinations(
	struct rte_acl_ctx *context, struct acl_rule *rule, const struct selector *selector, uint8_t family)
{
	struct ip_prefix prefixes[IP_RANGE_PREFIXES_MAX];
	struct side destinations = side_of_destinations(selector);
	int rc = 0;

	for (size_t i = 0; i < side_ranges(&destinations) && rc == 0; i++) {
		size_t n = side_prefixes(&destinations, i, family, prefixes);

		for (size_t j = 0; j < n && rc == 0; j++) {
			acl_prefix_set(&rule->field[1 + address_words(family)], &prefixes[j]);
			rc = rte_acl_add_rules(context, (const struct rte_acl_rule *)rule, 1);
		}
	}
	return rc;
}

/* Add the family's part of entry `index`: its sources times its destinations. */
static int acl_add_entry(
	struct rte_acl_ctx *context, const struct selector *selector, size_t index, uint8_t family)
{
	struct ip_prefix prefixes[IP_RANGE_PREFIXES_MAX];
	struct side sources = side_of_sources(selector);
	struct acl_rule rule;
	int rc = 0;

	acl_rule_init(&rule, selector, index, family);
	for (size_t i = 0; i < side_ranges(&sources) && rc == 0; i++) {
		size_t n = side_prefixes(&sources, i, family, prefixes);

		for (size_t j = 0; j < n && rc == 0; j++) {
			acl_prefix_set(&rule.field[1], &prefixes[j]);
			rc = acl_add_destinations(context, &rule, selector, family);
		}
	}
	return rc;
}

/*
 * Without a limit of size the classifier splits the rules into another trie as soon as one rule costs much,
 * which keeps overlapping ranges from multiplying. A thousand random rules may need more tries so than the
 * eight that there can be; with a limit, even one that is never reached, it splits later, takes more memory,
 * and finds room.
 */
static int acl_build(struct rte_acl_ctx *context, uint8_t family)
{
	struct rte_acl_config config;

	acl_config_make(&config, family);
	if (rte_acl_build(context, &config) == 0)
		return 0;
	config.max_size = SIZE_MAX;
	return rte_acl_build(context, &config);
}

static int acl_fill(struct rte_acl_ctx *context, const struct spd_source *source, uint8_t family)
{
	int rc = 0;

	for (size_t i = 0; i < source->n_rules && rc == 0; i++)
		if (!source->in_pairs[i])
			rc = acl_add_entry(context, source->rules[i].selector, i, family);
	return rc == 0 ? acl_build(context, family) : rc;
}

/* Make the context of one family; without rules of the family there is none. */
static int acl_create(
	const struct spd_source *source, uint8_t family, struct rte_acl_ctx **context, struct err *err)
{
	/* rte_acl_create computes the size of its rules in 32 bits. */
	size_t max = UINT32_MAX / acl_rule_bytes(family) - 1;
	size_t count = acl_rules_count(source, family, max);
	char name[RTE_ACL_NAMESIZE];
	struct rte_acl_param param = {
		.name = name,
		.socket_id = source->socket,
		.rule_size = acl_rule_bytes(family),
		.max_rule_num = (uint32_t)count,
	};

	if (count == 0)
		return 0;
	if (count > max)
		return err_set(err, E2BIG,
			"policies: %zu or more pairs of IPv%u prefixes, but at most %zu can be searched",
			count, family, max);
	snprintf(name, sizeof(name), "%s_ipv%u", source->name, family);
	/* rte_acl_create would return the context that has the name. */
	if (rte_acl_find_existing(name))
		return err_set(err, EEXIST, "policies: there is an SPD %s already", source->name);
	*context = rte_acl_create(&param);
	if (!*context || acl_fill(*context, source, family) != 0)
		return err_set(err, ENOMEM, "policies: no memory to search %zu pairs of IPv%u prefixes",
			count, family);
	return 0;
}

static struct spd *spd_allocate(const struct spd_source *source)
{
	struct spd *spd = rte_zmalloc_socket("spd", sizeof(*spd) + source->n_rules * sizeof(spd->entries[0]),
		RTE_CACHE_LINE_SIZE, source->socket);

	for (size_t i = 0; spd && i < source->n_rules; i++) {
		spd->entries[i] = (struct spd_entry){
			.sa = source->rules[i].sa,
			.index = (uint32_t)i,
			.action = (uint8_t)source->rules[i].action,
			.icmp_errors = source->rules[i].icmp_errors,
		};
		spd->reads_ports |= selector_reads_ports(source->rules[i].selector);
		spd->reads_opaque |= selector_reads_opaque(source->rules[i].selector);
	}
	return spd;
}

/* Narrow rules go to the table of pairs, and the others to rte_acl. */
static int spd_fill(struct spd *spd, const struct spd_source *source, struct err *err)
{
	int rc = spd_pairs_create(
		source->rules, source->n_rules, source->socket, source->in_pairs, &spd->pairs);

	if (rc != 0)
		return err_set(err, -rc, "policies: no memory to search %zu of them", source->n_rules);
	while (spd->first_other < source->n_rules && source->in_pairs[spd->first_other])
		spd->first_other++;
	for (unsigned i = 0; i < FAMILIES && rc == 0; i++)
		rc = acl_create(source, families[i], &spd->contexts[i], err);
	return rc;
}

int spd_create(const char *name, const struct spd_rule *rules, size_t n_rules, int socket, struct spd **out,
	struct err *err)
{
	struct spd_source source = {.name = name, .rules = rules, .n_rules = n_rules, .socket = socket};
	struct spd *spd;
	int rc;

	if (n_rules >= RTE_ACL_MAX_PRIORITY)
		return err_set(err, E2BIG, "policies: %zu, but at most %d can be ordered", n_rules,
			RTE_ACL_MAX_PRIORITY - 1);
	source.in_pairs = calloc(n_rules + 1, sizeof(*source.in_pairs));
	spd = spd_allocate(&source);
	rc = source.in_pairs && spd ? spd_fill(spd, &source, err)
				    : err_set(err, ENOMEM, "policies: no memory for %zu of them", n_rules);
	free(source.in_pairs);
	if (rc != 0) {
		spd_destroy(spd);
		return rc;
	}
	*out = spd;
	return 0;
}

void spd_destroy(struct spd *spd)
{
	if (!spd)
		return;
	for (unsigned i = 0; i < FAMILIES; i++)
		rte_acl_free(spd->contexts[i]);
	spd_pairs_destroy(spd->pairs);
	rte_free(spd);
}

bool spd_reads_ports(const struct spd *spd)
{
	return spd->reads_ports;
}

bool spd_reads_opaque(const struct spd *spd)
{
	return spd->reads_opaque;
}

static inline void key_make_one(struct spd_key *key, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	size_t address_bytes = ip_family_bytes(p->family);
	uint8_t *at = (uint8_t *)key->rest;
	rte_be16_t ports[2] = {rte_cpu_to_be_16(p->source_port), rte_cpu_to_be_16(p->destination_port)};
	rte_be32_t seen = rte_cpu_to_be_32(seen_one(p));

	*(uint8_t *)&key->protocol = p->protocol;
	/* The header has the source and the destination one behind the other. */
	memcpy(at, pkt_source(m), 2 * address_bytes);
	memcpy(at + 2 * address_bytes, ports, sizeof(ports));
	memcpy(at + 2 * address_bytes + sizeof(ports), &seen, sizeof(seen));
}

/* Classify the packets of one family that no narrow rule before all of rte_acl's has taken. */
static void acl_find(
	const struct spd *spd, unsigned index, struct rte_mbuf *const *pkts, uint16_t n, uint32_t *found)
{
	struct spd_key keys[BURST_MAX];
	const uint8_t *key_pointers[BURST_MAX];
	uint32_t results[BURST_MAX];
	uint16_t at[BURST_MAX]; /* which packet a key is of */
	uint16_t n_keys = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (pkt_of(pkts[i])->family != families[index] || found[i] < spd->first_other)
			continue;
		key_make_one(&keys[n_keys], pkts[i]);
		key_pointers[n_keys] = (const uint8_t *)&keys[n_keys];
		at[n_keys++] = i;
	}
	if (n_keys == 0)
		return;
	rte_acl_classify(spd->contexts[index], key_pointers, results, n_keys, 1);
	for (uint16_t i = 0; i < n_keys; i++)
		if (results[i] != 0)
			found[at[i]] = RTE_MIN(found[at[i]], results[i] - 1);
}

void spd_find(
	const struct spd *spd, struct rte_mbuf *const *pkts, uint16_t n, const struct spd_entry **entries)
{
	uint32_t found[BURST_MAX];

	memset(found, UINT8_MAX, n * sizeof(found[0])); /* SPD_PAIRS_NONE */
	spd_pairs_find(spd->pairs, pkts, n, found);
	for (unsigned i = 0; i < FAMILIES; i++)
		if (spd->contexts[i])
			acl_find(spd, i, pkts, n, found);
	for (uint16_t i = 0; i < n; i++) {
		entries[i] = NULL;
		if (found[i] == SPD_PAIRS_NONE)
			continue;
		entries[i] = &spd->entries[found[i]];
	}
}

bool spd_takes_icmp_errors(const struct spd *spd, uint32_t index)
{
	return spd->entries[index].icmp_errors;
}

struct sa *spd_sa(const struct spd *spd, uint32_t index)
{
	return spd->entries[index].sa;
}

void spd_out(struct burst *burst, struct burst *protect, struct burst *no_sa, struct burst *errors,
	struct drops *drops)
{
	STAGE(spd_out, burst, drops, protect, no_sa, errors);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct pkt *p = pkt_of(m);

		switch (p->action) {
		case POLICY_PROTECT:
			p->sa = p->policy_sa;
			burst_add_one(likely(p->sa != NULL) ? protect : no_sa, m);
			break;
		case POLICY_BYPASS:
			burst->pkts[kept++] = m;
			break;
		case SPD_NO_POLICY:
			if (icmp_kind_one(m) != ICMP_KIND_NONE)
				burst_add_one(errors, m);
			else
				drop_one(drops, m, DROP_out_no_policy);
			break;
		default:
			drop_one(drops, m, DROP_out_policy_block);
		}
	}
	burst->n = kept;
}

/* Packets in clear: keep BYPASS, and if `keep_unmatched` what no policy matches. */
static inline void spd_in(struct burst *burst, bool keep_unmatched, struct drops *drops)
{
	STAGE(spd_in, burst, drops);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		uint8_t action = pkt_of(m)->action;

		if (action == POLICY_BYPASS || (keep_unmatched && action == SPD_NO_POLICY))
			burst->pkts[kept++] = m;
		else if (action == SPD_NO_POLICY)
			drop_one(drops, m, DROP_in_no_policy);
		else if (action == POLICY_PROTECT)
			drop_one(drops, m, DROP_in_tmpl_mismatch);
		else
			drop_one(drops, m, DROP_in_policy_block);
	}
	burst->n = kept;
}

void spd_in_clear(struct burst *burst, struct drops *drops)
{
	spd_in(burst, false, drops);
}

void spd_in_host(struct burst *burst, struct drops *drops)
{
	spd_in(burst, true, drops);
}

/*
 * Where the innermost SA of a bundle is IPComp: what could not be compressed comes without (RFC 3173 section
 * 2.2). In tunnel mode it has come out of that tunnel all the same, but its header does not say which of the
 * IPComp SAs with these ends it is of (ipcomp_in).
 */
static bool is_uncompressed(const struct sa *policy_sa, const struct sa *sa)
{
	if (!policy_sa || policy_sa->protocol != SA_IPCOMP)
		return false;
	if (sa_is_transport(policy_sa))
		return policy_sa->around == sa;
	return sa->protocol == SA_IPCOMP && !sa_is_transport(sa) && policy_sa->around == sa->around &&
	       ip_addr_equal(&policy_sa->source, &sa->source) &&
	       ip_addr_equal(&policy_sa->destination, &sa->destination);
}

/* It came out of the SA around IPComp; it counts for IPComp too, as it does at the peer. */
static void uncompressed_count_one(const struct pkt *p, const struct sa_tally *tally)
{
	if (p->policy_sa && p->policy_sa->protocol == SA_IPCOMP && p->policy_sa->around == p->sa)
		sa_count_uncompressed(p->policy_sa, p->ip_len, tally);
}

bool spd_sa_may_carry(const struct pkt *found, const struct sa *sa, const struct alternatives *alternatives)
{
	return found->action == POLICY_PROTECT &&
	       (found->policy_sa == sa || is_uncompressed(found->policy_sa, sa) ||
		       alternatives_have(alternatives, found->policy, sa));
}

void spd_in_selector(struct burst *burst, const struct alternatives *alternatives, struct burst *errors,
	const struct sa_tally *tally)
{
	STAGE(spd_in_selector, burst, tally->drops, errors);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct pkt *p = pkt_of(m);

		if (likely(p->action == POLICY_PROTECT && p->policy_sa == p->sa) ||
			spd_sa_may_carry(p, p->sa, alternatives)) {
			if (unlikely(p->policy_sa != p->sa))
				uncompressed_count_one(p, tally);
			burst->pkts[kept++] = m;
		} else if (p->action != POLICY_DISCARD && icmp_kind_one(m) != ICMP_KIND_NONE) {
			burst_add_one(errors, m);
		} else {
			sa_drop_one(tally, m, in_selector);
		}
	}
	burst->n = kept;
}
