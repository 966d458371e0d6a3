#include "control/acquire_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "datapath/acquire.h"
#include "model/gateway.h"

#define PORTS_TEXT_MAX 64

void acquire_log_init(struct acquire_log *log, const struct gateway *gateway)
{
	size_t n = 0;

	*log = (struct acquire_log){.names = xcalloc(gateway->n_policies + 1, sizeof(log->names[0]))};
	for (size_t i = 0; i < gateway->n_policies; i++)
		if (gateway->policies[i].direction == POLICY_OUT)
			log->names[n++] = gateway->policies[i].name;
}

void acquire_log_fini(struct acquire_log *log)
{
	free(log->names);
	*log = (struct acquire_log){0};
}

/* ` source_port=1 destination_port=2`, ` icmp_type=8 icmp_code=0`, ` mobility_type=5`, or nothing. */
static const char *ports_text(const struct flow *flow, char text[PORTS_TEXT_MAX])
{
	bool is_icmp = flow->protocol == IPPROTO_NUMBER_ICMP || flow->protocol == IPPROTO_NUMBER_ICMPV6;

	text[0] = '\0';
	if (flow->has_ports && flow->protocol == IPPROTO_NUMBER_MH)
		snprintf(text, PORTS_TEXT_MAX, " mobility_type=%u", flow->source_port);
	else if (flow->has_ports)
		snprintf(text, PORTS_TEXT_MAX,
			is_icmp ? " icmp_type=%u icmp_code=%u" : " source_port=%u destination_port=%u",
			flow->source_port, flow->destination_port);
	return text;
}

static void log_one(const struct acquire_log *log, const struct acquire *acquire)
{
	char source[IP_ADDR_TEXT_MAX], destination[IP_ADDR_TEXT_MAX], ports[PORTS_TEXT_MAX];

	log_info("acquire policy=%s source=%s destination=%s protocol=%u%s suppressed=%u unlogged=%" PRIu64,
		log->names[acquire->policy], ip_addr_format(&acquire->flow.source, source),
		ip_addr_format(&acquire->flow.destination, destination), acquire->flow.protocol,
		ports_text(&acquire->flow, ports), acquire->suppressed, log->unlogged);
}

unsigned acquire_log_poll(struct acquire_log *log, struct acquire_table *table, uint64_t now_ns)
{
	unsigned logged = 0;
	struct acquire acquire;

	if (now_ns - log->second_ns >= CLOCK_NS_PER_S) {
		log->second_ns = now_ns;
		log->lines = 0;
	}
	/* No more than the queue holds, so that a flood doesn't keep the thread from its other work. */
	for (unsigned i = 0; i < ACQUIRE_QUEUE && table && acquire_take(table, &acquire); i++) {
		if (log->lines == ACQUIRE_LOG_PER_S) {
			log->unlogged++;
			continue;
		}
		log_one(log, &acquire);
		if (log->listener)
			log->listener(log->argument, &acquire, log->names[acquire.policy]);
		log->unlogged = 0;
		log->lines++;
		logged++;
	}
	return logged;
}
