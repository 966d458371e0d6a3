#include "net/drop.h"

static const char *const names[] = {
#define X(name, xfrm, text) #name,
	DROP_REASONS(X)
#undef X
};

static const char *const xfrm_names[] = {
#define X(name, xfrm, text) xfrm,
	DROP_REASONS(X)
#undef X
};

static const char *const texts[] = {
#define X(name, xfrm, text) text,
	DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop_reason reason)
{
	return names[reason];
}

const char *drop_xfrm_name(enum drop_reason reason)
{
	return xfrm_names[reason];
}

const char *drop_text(enum drop_reason reason)
{
	return texts[reason];
}

void drop_burst(struct drops *drops, struct burst *burst, enum drop_reason reason)
{
	for (uint16_t i = 0; i < burst->n; i++)
		drop_one(drops, burst->pkts[i], reason);
	burst->n = 0;
}
