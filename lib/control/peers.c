#include "control/peers.h"

#include <stdlib.h>

#include "base/array.h"
#include "ipsec/replies.h"

struct peer {
	char *name;
	uint64_t number;
	size_t n_sas;
};

void peers_fini(struct peers *peers)
{
	name_index_fini(&peers->names);
	for (size_t i = 0; i < peers->n; i++)
		free(peers->list[i].name);
	free(peers->list);
	peers->list = NULL;
	peers->n = 0;
}

static struct peer *peer_find(const struct peers *peers, const char *name)
{
	long place = name_index_find(&peers->names, name);

	return place < 0 ? NULL : &peers->list[place];
}

static struct peer *peer_add(struct peers *peers, const char *name)
{
	size_t place = peers->n;
	struct peer *peer = array_append(&peers->list, &peers->n);

	*peer = (struct peer){.name = xstrdup(name), .number = ++peers->last_number};
	name_index_add(&peers->names, peer->name, place);
	return peer;
}

uint64_t peers_take(struct peers *peers, const char *name)
{
	struct peer *peer = peer_find(peers, name);

	if (!peer)
		peer = peer_add(peers, name);
	peer->n_sas++;
	return peer->number;
}

void peers_release(struct peers *peers, const char *name)
{
	peers->has_unused |= --peer_find(peers, name)->n_sas == 0;
}

/* The last takes the place. */
static void peer_remove(struct peers *peers, size_t place)
{
	struct peer *last = &peers->list[--peers->n];

	name_index_remove(&peers->names, peers->list[place].name);
	free(peers->list[place].name);
	if (place == peers->n)
		return;
	peers->list[place] = *last;
	name_index_set(&peers->names, last->name, place);
}

void peers_forget_unused(struct peers *peers)
{
	if (!peers->has_unused)
		return;
	for (size_t i = peers->n; i-- > 0;)
		if (peers->list[i].n_sas == 0)
			peer_remove(peers, i);
	peers->has_unused = false;
}

uint64_t peers_find(const struct peers *peers, const char *name)
{
	const struct peer *peer = peer_find(peers, name);

	return peer ? peer->number : REPLIES_PEER_NONE;
}

const char *peers_name(const struct peers *peers, uint64_t number)
{
	for (size_t i = 0; i < peers->n; i++)
		if (peers->list[i].number == number)
			return peers->list[i].name;
	return NULL;
}
