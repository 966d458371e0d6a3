/* The words of control/explain.h: how a question is read, and the answer's sentences. */
#include "control/explain.h"

#include "control/protocols.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_TEXT_MAX 256
#define SEPARATORS     " \t"

static bool number_read(const char *text, uint64_t max, uint64_t *value)
{
	char *rest;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &rest, 0);
	return errno == 0 && *rest == '\0' && *value <= max;
}

static bool is_icmp(const struct flow *flow)
{
	return flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6;
}

static int ports_read(char **rest, struct flow *flow, struct err *err)
{
	uint64_t max = is_icmp(flow) ? UINT8_MAX : UINT16_MAX, first, second;

	if (!number_read(strtok_r(NULL, SEPARATORS, rest), max, &first) ||
		!number_read(strtok_r(NULL, SEPARATORS, rest), max, &second))
		return err_set(err, EINVAL, "%s, 0 to %" PRIu64,
			is_icmp(flow) ? "type and code follow icmp" : "two ports follow the protocol", max);
	flow->source_port = (uint16_t)first;
	flow->destination_port = (uint16_t)second;
	return 0;
}

/* `SRC DST PROTOCOL`, and the ports if the protocol has them; the rest is left. */
static int flow_read(char *text, char **rest, struct flow *flow, struct err *err)
{
	const char *source = strtok_r(text, SEPARATORS, rest);
	const char *destination = strtok_r(NULL, SEPARATORS, rest);
	const char *protocol = strtok_r(NULL, SEPARATORS, rest);

	if (!source || ip_addr_parse(source, &flow->source) != 0)
		return err_set(
			err, EINVAL, "the packet's source is not an address: %s", source ? source : "''");
	if (!destination || ip_addr_parse(destination, &flow->destination) != 0)
		return err_set(err, EINVAL, "the packet's destination is not an address: %s",
			destination ? destination : "''");
	if (flow->source.family != flow->destination.family)
		return err_set(err, EINVAL, "source and destination are of two families");
	if (!protocol_read(protocol, &flow->protocol, &flow->has_ports))
		return err_set(err, EINVAL, "no such protocol: %s", protocol ? protocol : "''");
	return flow->has_ports ? ports_read(rest, flow, err) : 0;
}

static bool is_ipsec(const struct flow *flow)
{
	return flow->protocol == IPPROTO_ESP || flow->protocol == IPPROTO_AH ||
	       flow->protocol == IPPROTO_COMP;
}

static int nothing_follows(char **rest, struct err *err)
{
	const char *more = strtok_r(NULL, SEPARATORS, rest);

	return more ? err_set(err, EINVAL, "'%s' is more than a packet has", more) : 0;
}

static int outer_read(char *text, struct explain_query *query, struct err *err)
{
	char *rest = NULL;
	uint64_t spi;
	int ret = flow_read(text, &rest, &query->flow, err);

	if (ret != 0)
		return ret;
	if (is_ipsec(&query->flow)) {
		if (!number_read(strtok_r(NULL, SEPARATORS, &rest), UINT32_MAX, &spi))
			return err_set(err, EINVAL, "an SPI follows esp, ah and ipcomp");
		query->spi = (uint32_t)spi;
		query->has_spi = true;
	}
	return nothing_follows(&rest, err);
}

int explain_query_parse(const char *text, struct explain_query *query, struct err *err)
{
	char copy[QUERY_TEXT_MAX], *inner, *rest = NULL;
	int ret;

	if (strlen(text) >= sizeof(copy))
		return err_set(
			err, EINVAL, "a packet is described in less than %d characters", QUERY_TEXT_MAX);
	strcpy(copy, text);
	/* An IPv6 address has colons too, with no space before. */
	inner = strstr(copy, " : ");
	if (inner) {
		*inner = '\0';
		inner += strlen(" : ");
	}
	ret = outer_read(copy, query, err);
	if (ret != 0 || !inner)
		return ret;
	if (!query->has_spi)
		return err_set(err, EINVAL, "only a packet of esp, ah or ipcomp has another inside");
	query->has_inner = true;
	ret = flow_read(inner, &rest, &query->inner, err);
	return ret != 0 ? ret : nothing_follows(&rest, err);
}

static const char *action_text(enum policy_action action)
{
	switch (action) {
	case POLICY_PROTECT:
		return "protect";
	case POLICY_BYPASS:
		return "bypass";
	default:
		return "discard";
	}
}

static const char *direction_text(enum policy_direction direction)
{
	return direction == POLICY_OUT ? "outbound" : "inbound";
}

static void sa_text(const struct explain_step *step, char text[EXPLAIN_TEXT_MAX])
{
	char source[IP_ADDR_TEXT_MAX], destination[IP_ADDR_TEXT_MAX];
	int n = snprintf(text, EXPLAIN_TEXT_MAX, "%s SA %s: %s spi=0x%08" PRIx32 " from %s to %s",
		step->kind == EXPLAIN_SA_IN ? "it comes out of" : "it is protected by", step->name,
		sa_protocol_name(step->protocol), step->spi, ip_addr_format(&step->source, source),
		ip_addr_format(&step->address, destination));

	if (step->kind == EXPLAIN_SA_OUT)
		snprintf(text + n, EXPLAIN_TEXT_MAX - (size_t)n, "; packets up to %u bytes fit",
			step->mtu_bytes);
}

static void route_text(const struct explain_step *step, char text[EXPLAIN_TEXT_MAX])
{
	char address[IP_ADDR_TEXT_MAX];

	if (step->address.family == IP_NONE)
		snprintf(text, EXPLAIN_TEXT_MAX, "its destination is on the link of port %s, MTU %u",
			step->name, step->mtu_bytes);
	else
		snprintf(text, EXPLAIN_TEXT_MAX, "the route is via %s on port %s, MTU %u",
			ip_addr_format(&step->address, address), step->name, step->mtu_bytes);
}

const char *explain_step_text(const struct explain_step *step, char text[EXPLAIN_TEXT_MAX])
{
	char address[IP_ADDR_TEXT_MAX], source[IP_ADDR_TEXT_MAX], mac[MAC_ADDR_TEXT_MAX];

	switch (step->kind) {
	case EXPLAIN_IN:
		snprintf(text, EXPLAIN_TEXT_MAX, "it comes in by port %s, from the %s side", step->name,
			step->direction == POLICY_OUT ? "protected" : "unprotected");
		break;
	case EXPLAIN_LOCAL:
		snprintf(text, EXPLAIN_TEXT_MAX, "it is for the gateway itself");
		break;
	case EXPLAIN_IKE:
		snprintf(text, EXPLAIN_TEXT_MAX, "it is IKE, which policies don't keep from the host");
		break;
	case EXPLAIN_SA_IN:
	case EXPLAIN_SA_OUT:
		sa_text(step, text);
		break;
	case EXPLAIN_INNER:
		snprintf(text, EXPLAIN_TEXT_MAX, "inside is a packet from %s to %s, protocol %u",
			ip_addr_format(&step->source, source), ip_addr_format(&step->address, address),
			step->protocol);
		break;
	case EXPLAIN_NEARLY:
		snprintf(text, EXPLAIN_TEXT_MAX, "%s policy %s (%s) would match but for the %s",
			direction_text(step->direction), step->name, action_text(step->action), step->failed);
		break;
	case EXPLAIN_POLICY:
		snprintf(text, EXPLAIN_TEXT_MAX, "%s policy %s, number %zu of %zu, matches first: %s",
			direction_text(step->direction), step->name, step->number, step->of,
			action_text(step->action));
		break;
	case EXPLAIN_NO_POLICY:
		snprintf(text, EXPLAIN_TEXT_MAX, "no %s policy matches", direction_text(step->direction));
		break;
	case EXPLAIN_NO_SA:
		snprintf(text, EXPLAIN_TEXT_MAX, "the policy has no SA: one is wanted (acquire)");
		break;
	case EXPLAIN_PEER:
		snprintf(text, EXPLAIN_TEXT_MAX, "it answers what came in from the peer %s", step->name);
		break;
	case EXPLAIN_NO_PEER:
		snprintf(text, EXPLAIN_TEXT_MAX, "it answers nothing that came in from a peer");
		break;
	case EXPLAIN_CUT:
		snprintf(text, EXPLAIN_TEXT_MAX, "it is cut into fragments of at most %u bytes",
			step->mtu_bytes);
		break;
	case EXPLAIN_TOO_BIG:
		snprintf(text, EXPLAIN_TEXT_MAX, "at most %u bytes fit, and it may not be cut",
			step->mtu_bytes);
		break;
	case EXPLAIN_ROUTE:
		route_text(step, text);
		break;
	case EXPLAIN_NO_ROUTE:
		snprintf(text, EXPLAIN_TEXT_MAX, "no route to %s", ip_addr_format(&step->address, address));
		break;
	case EXPLAIN_NEIGHBOUR:
		snprintf(text, EXPLAIN_TEXT_MAX, "the neighbour %s has the MAC address %s",
			ip_addr_format(&step->address, address), mac_addr_format(&step->mac, mac));
		break;
	case EXPLAIN_NO_NEIGHBOUR:
		snprintf(text, EXPLAIN_TEXT_MAX,
			"the MAC address of %s is not known yet; it will be asked for",
			ip_addr_format(&step->address, address));
		break;
	}
	return text;
}

const char *explain_end_text(
	const struct control *control, const struct explanation *explanation, char text[EXPLAIN_TEXT_MAX])
{
	const struct gateway *gateway = control->gateway;

	switch (explanation->end) {
	case EXPLAIN_SENT:
		snprintf(text, EXPLAIN_TEXT_MAX, "it is sent by port %s",
			gateway->ports[explanation->port_out].name);
		break;
	case EXPLAIN_WAITS:
		snprintf(text, EXPLAIN_TEXT_MAX, "it waits for its neighbour, and is then sent by port %s",
			gateway->ports[explanation->port_out].name);
		break;
	case EXPLAIN_DROPPED:
		snprintf(text, EXPLAIN_TEXT_MAX, "it is dropped as %s: %s", drop_name(explanation->reason),
			drop_text(explanation->reason));
		break;
	case EXPLAIN_ANSWERED:
		snprintf(text, EXPLAIN_TEXT_MAX, "the gateway answers it");
		break;
	case EXPLAIN_CONTROL:
		snprintf(text, EXPLAIN_TEXT_MAX, "the control thread takes it, if what it says is right");
		break;
	case EXPLAIN_HOST:
		snprintf(text, EXPLAIN_TEXT_MAX, "the host gets it by its interface %s",
			gateway->host.interface);
		break;
	case EXPLAIN_INSIDE:
		snprintf(text, EXPLAIN_TEXT_MAX,
			"if its ICV is right and its number is new, what is inside decides its way");
		break;
	}
	return text;
}

const char *explain_end_name(enum explain_end end)
{
	static const char *const names[] = {
		[EXPLAIN_SENT] = "sent",
		[EXPLAIN_WAITS] = "waits",
		[EXPLAIN_DROPPED] = "dropped",
		[EXPLAIN_ANSWERED] = "answered",
		[EXPLAIN_CONTROL] = "control",
		[EXPLAIN_HOST] = "host",
		[EXPLAIN_INSIDE] = "inside",
	};

	return names[end];
}
