#include "control/lifetime.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"

#define PERIOD_NS (CLOCK_NS_PER_S / LIFETIME_LOOKS_PER_SECOND)

struct lifetime_watch {
	struct sa *sa;
	bool told_soft[SA_LIMIT_COUNT];
	bool told_hard; /* an SA ends once, whatever it was */
};

void lifetime_init(struct lifetime *lifetime, lifetime_listener listener, void *argument)
{
	*lifetime = (struct lifetime){.listener = listener, .argument = argument};
}

void lifetime_add(struct lifetime *lifetime, struct sa *sa)
{
	if (sa->life)
		*array_append(&lifetime->watched, &lifetime->n) = (struct lifetime_watch){.sa = sa};
}

void lifetime_remove(struct lifetime *lifetime, const struct sa *sa)
{
	for (size_t i = 0; sa->life && i < lifetime->n; i++) {
		if (lifetime->watched[i].sa != sa)
			continue;
		lifetime->watched[i] = lifetime->watched[--lifetime->n];
		return;
	}
}

void lifetime_fini(struct lifetime *lifetime)
{
	free(lifetime->watched);
	*lifetime = (struct lifetime){0};
}

static void tell(const struct lifetime *lifetime, const struct sa *sa, enum sa_limit_kind kind, bool is_hard,
	uint64_t used)
{
	const struct sa_limit *limit = &sa->life->limits[kind];
	struct lifetime_event event = {
		.sa = sa,
		.kind = kind,
		.is_hard = is_hard,
		.used = used,
		.limit = is_hard ? limit->hard : limit->soft,
	};

	lifetime->listener(lifetime->argument, &event);
}

static bool is_reached(uint64_t used, uint64_t limit)
{
	return limit > 0 && used >= limit;
}

/* The soft limits, and the hard ones that no worker looks at. */
static void look_at(const struct lifetime *lifetime, struct lifetime_watch *watch, uint64_t now_ns)
{
	struct sa *sa = watch->sa;

	for (enum sa_limit_kind kind = 0; kind < SA_LIMIT_COUNT; kind++) {
		const struct sa_limit *limit = &sa->life->limits[kind];
		uint64_t used = sa_life_used(sa, kind, now_ns);

		if (is_reached(used, limit->soft) && !watch->told_soft[kind]) {
			watch->told_soft[kind] = true;
			tell(lifetime, sa, kind, false, used);
		}
		if (is_reached(used, limit->hard))
			sa_end(sa, kind);
	}
	int ended_by = atomic_load(&sa->life->ended_by);
	if (ended_by != LIFE_GOES_ON) {
		watch->told_hard = true;
		tell(lifetime, sa, (enum sa_limit_kind)ended_by, true,
			sa_life_used(sa, (enum sa_limit_kind)ended_by, now_ns));
	}
}

void lifetime_look(struct lifetime *lifetime, uint64_t now_ns)
{
	for (size_t i = 0; i < lifetime->n; i++)
		if (!lifetime->watched[i].told_hard)
			look_at(lifetime, &lifetime->watched[i], now_ns);
}

void lifetime_poll(struct lifetime *lifetime, uint64_t now_ns)
{
	if (now_ns < lifetime->next_ns)
		return;
	lifetime->next_ns = now_ns + PERIOD_NS;
	lifetime_look(lifetime, now_ns);
}

const char *lifetime_unit(enum sa_limit_kind kind)
{
	static const char *const units[] = {
		[SA_LIMIT_TIME] = "seconds", [SA_LIMIT_BYTES] = "bytes", [SA_LIMIT_PACKETS] = "packets"};

	return units[kind];
}

void lifetime_log(void *argument __rte_unused, const struct lifetime_event *event)
{
	const struct sa *sa = event->sa;

	if (event->is_hard)
		log_warning("sa has ended sa=%s spi=0x%08x limit=%s used=%" PRIu64 " hard=%" PRIu64, sa->name,
			rte_be_to_cpu_32(sa->spi), lifetime_unit(event->kind), event->used, event->limit);
	else
		log_info("sa is to be replaced sa=%s spi=0x%08x limit=%s used=%" PRIu64 " soft=%" PRIu64,
			sa->name, rte_be_to_cpu_32(sa->spi), lifetime_unit(event->kind), event->used,
			event->limit);
}
