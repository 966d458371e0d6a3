#include "culvert_sas.h"

#include <stdio.h>

#include <collections/linked_list.h>

void culvert_sas_init(struct culvert_sas *sas)
{
	sas->list = linked_list_create();
}

static void sa_destroy(struct culvert_sa *sa)
{
	DESTROY_IF(sa->source);
	DESTROY_IF(sa->destination);
	free(sa);
}

void culvert_sas_fini(struct culvert_sas *sas)
{
	sas->list->destroy_function(sas->list, (void (*)(void *))sa_destroy);
}

/* What a walk looks for; the first SA that has all of it ends the walk. */
struct wanted {
	const char *name;
	bool is_ours;
	bool inbound;
	uint32_t reqid;
	uint8_t protocol;
	uint32_t spi;
	host_t *destination;
};

static bool has_all(const struct culvert_sa *sa, const struct wanted *wanted)
{
	if (wanted->name)
		return sa->is_installed && streq(sa->name, wanted->name);
	if (wanted->is_ours)
		return sa->inbound && sa->protocol == wanted->protocol && sa->spi == wanted->spi;
	if (wanted->destination)
		return sa->protocol == wanted->protocol && sa->spi == wanted->spi &&
		       sa->destination->ip_equals(sa->destination, wanted->destination);
	return sa->is_installed && sa->inbound == wanted->inbound && sa->reqid == wanted->reqid &&
	       (wanted->spi == 0 || sa->spi == wanted->spi);
}

static struct culvert_sa *find(const struct culvert_sas *sas, const struct wanted *wanted)
{
	enumerator_t *enumerator = sas->list->create_enumerator(sas->list);
	struct culvert_sa *sa, *found = NULL;

	while (!found && enumerator->enumerate(enumerator, &sa))
		if (has_all(sa, wanted))
			found = sa;
	enumerator->destroy(enumerator);
	return found;
}

struct culvert_sa *culvert_sas_find(
	const struct culvert_sas *sas, uint8_t protocol, uint32_t spi, const host_t *destination)
{
	const struct wanted wanted = {.protocol = protocol, .spi = spi, .destination = (host_t *)destination};
	const struct wanted ours = {.protocol = protocol, .spi = spi, .is_ours = true};
	struct culvert_sa *exact = find(sas, &wanted);

	/* An SPI that we chose is no other's: charon may have another destination for it when a move went
	 * half way. */
	return exact ? exact : find(sas, &ours);
}

struct culvert_sa *culvert_sas_find_name(const struct culvert_sas *sas, const char *name)
{
	return find(sas, &(const struct wanted){.name = name});
}

struct culvert_sa *culvert_sas_newest(
	const struct culvert_sas *sas, bool inbound, uint32_t reqid, uint32_t spi)
{
	return find(sas, &(const struct wanted){.inbound = inbound, .reqid = reqid, .spi = spi});
}

json_t *culvert_sas_inbound_names(const struct culvert_sas *sas, uint32_t reqid)
{
	enumerator_t *enumerator = sas->list->create_enumerator(sas->list);
	json_t *names = json_array();
	struct culvert_sa *sa;

	while (enumerator->enumerate(enumerator, &sa))
		if (sa->is_installed && sa->inbound && sa->reqid == reqid)
			json_array_append_new(names, json_string(sa->name));
	enumerator->destroy(enumerator);
	return names;
}

/* Among all: an outbound SA of the same SPI has another name, but logs are read by people. */
static bool spi_is_taken(const struct culvert_sas *sas, uint32_t spi)
{
	enumerator_t *enumerator = sas->list->create_enumerator(sas->list);
	struct culvert_sa *sa;
	bool is_taken = false;

	while (!is_taken && enumerator->enumerate(enumerator, &sa))
		is_taken = sa->spi == spi;
	enumerator->destroy(enumerator);
	return is_taken;
}

bool culvert_sas_take_spi(struct culvert_sas *sas, uint8_t protocol, host_t *destination, uint32_t *spi)
{
	rng_t *rng = lib->crypto->create_rng(lib->crypto, RNG_WEAK);
	struct culvert_sa *sa;
	uint32_t random;
	bool has_spi = false;

	while (rng && rng->get_bytes(rng, sizeof(random), (uint8_t *)&random)) {
		random = KERNEL_SPI_MIN + random % (KERNEL_SPI_MAX - KERNEL_SPI_MIN + 1);
		*spi = htonl(random);
		has_spi = !spi_is_taken(sas, *spi);
		if (has_spi)
			break;
	}
	DESTROY_IF(rng);
	if (!has_spi)
		return false;
	INIT(sa, .spi = *spi, .protocol = protocol, .inbound = true,
		.destination = destination->clone(destination));
	sas->list->insert_first(sas->list, sa);
	return true;
}

struct culvert_sa *culvert_sas_add(
	struct culvert_sas *sas, const kernel_ipsec_sa_id_t *id, const kernel_ipsec_add_sa_t *data)
{
	struct culvert_sa *sa = culvert_sas_find(sas, id->proto, id->spi, id->dst);

	if (sa && sa->is_installed) {
		DBG1(DBG_KNL, "there is an SA with SPI %.8x to %H already", ntohl(id->spi), id->dst);
		return NULL;
	}
	if (sa)
		culvert_sas_remove(sas, sa);
	INIT(sa, .reqid = data->reqid, .spi = id->spi, .protocol = id->proto, .inbound = data->inbound,
		.is_in_udp = data->encap, .has_window = data->replay_window > 0,
		.source = id->src->clone(id->src), .destination = id->dst->clone(id->dst));
	snprintf(sa->name, sizeof(sa->name), "ike-%u-%08x-%s", sa->reqid, ntohl(sa->spi),
		sa->inbound ? "in" : "out");
	sas->list->insert_first(sas->list, sa);
	return sa;
}

void culvert_sas_remove(struct culvert_sas *sas, struct culvert_sa *sa)
{
	sas->list->remove(sas->list, sa, NULL);
	sa_destroy(sa);
}

/*
 * RFC 7296 section 2.23: who is not behind a NAT follows a peer who is, and who is behind one himself does
 * not. The IKE SA that is being worked on is this thread's.
 */
static bool may_follow(void)
{
	ike_sa_t *ike_sa = charon->bus->get_sa(charon->bus);

	return ike_sa && ike_sa->has_condition(ike_sa, COND_NAT_THERE) &&
	       !ike_sa->has_condition(ike_sa, COND_NAT_HERE);
}

static bool has_same_peer(const struct culvert_sa *out, const struct culvert_sa *in)
{
	return out->source->equals(out->source, in->destination) &&
	       out->destination->equals(out->destination, in->source);
}

void culvert_sas_follow(const struct culvert_sas *sas, struct culvert_sa *sa)
{
	struct culvert_sa *in = culvert_sas_newest(sas, true, sa->reqid, 0);

	sa->follows = NULL;
	if (!sa->inbound && sa->is_in_udp && in && in->is_in_udp && in->has_window && has_same_peer(sa, in) &&
		may_follow())
		sa->follows = in;
}

void culvert_sas_unfollow(const struct culvert_sas *sas, const struct culvert_sa *followed, json_t *moves)
{
	enumerator_t *enumerator = sas->list->create_enumerator(sas->list);
	struct culvert_sa *sa;

	while (enumerator->enumerate(enumerator, &sa)) {
		if (sa->follows != followed)
			continue;
		sa->follows = NULL;
		if (moves)
			json_object_set_new(moves, sa->name, json_pack("{s:n}", "follows"));
	}
	enumerator->destroy(enumerator);
}
