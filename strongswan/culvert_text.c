#include "culvert_text.h"

#include <arpa/inet.h>
#include <stdio.h>

#define PORT_MAX      65535
#define ICMP_BYTE_MAX 255
#define RANGE_MAX     (2 * CULVERT_ADDRESS_MAX + 2)

/* RFC 7296 section 3.13.1: OPAQUE is a range that ends before it begins. */
static bool is_opaque(traffic_selector_t *ts)
{
	return ts->get_from_port(ts) == PORT_MAX && ts->get_to_port(ts) == 0;
}

static bool is_any_port(traffic_selector_t *ts)
{
	return ts->get_from_port(ts) == 0 && ts->get_to_port(ts) == PORT_MAX;
}

static const char *address_text(chunk_t address, char text[CULVERT_ADDRESS_MAX])
{
	inet_ntop(address.len == 4 ? AF_INET : AF_INET6, address.ptr, text, CULVERT_ADDRESS_MAX);
	return text;
}

json_t *culvert_address(host_t *host)
{
	char text[CULVERT_ADDRESS_MAX] = "";

	return json_string(address_text(host->get_address(host), text));
}

host_t *culvert_host(const json_t *address, uint16_t port)
{
	const char *text = json_string_value(address);

	return text ? host_create_from_string((char *)text, port) : NULL;
}

static json_t *range_json(traffic_selector_t *ts)
{
	chunk_t first = ts->get_from_address(ts), last = ts->get_to_address(ts);
	char a[CULVERT_ADDRESS_MAX] = "", b[CULVERT_ADDRESS_MAX] = "";

	address_text(first, a);
	if (chunk_equals(first, last))
		return json_string(a);
	return json_sprintf("%s-%s", a, address_text(last, b));
}

static json_t *numbers_json(unsigned first, unsigned last)
{
	return first == last ? json_integer(first) : json_sprintf("%u-%u", first, last);
}

static void port_put(json_t *policy, const char *key, traffic_selector_t *ts)
{
	if (is_opaque(ts))
		json_object_set_new(policy, key, json_string("opaque"));
	else if (!is_any_port(ts))
		json_object_set_new(policy, key, numbers_json(ts->get_from_port(ts), ts->get_to_port(ts)));
}

static void byte_put(json_t *policy, const char *key, unsigned first, unsigned last)
{
	if (first != 0 || last != ICMP_BYTE_MAX)
		json_object_set_new(policy, key, numbers_json(first, last));
}

static void icmp_put(json_t *policy, traffic_selector_t *ts)
{
	uint16_t from = ts->get_from_port(ts), to = ts->get_to_port(ts);

	if (is_opaque(ts)) {
		json_object_set_new(policy, "icmp_type", json_string("opaque"));
		return;
	}
	byte_put(policy, "icmp_type", traffic_selector_icmp_type(from), traffic_selector_icmp_type(to));
	byte_put(policy, "icmp_code", traffic_selector_icmp_code(from), traffic_selector_icmp_code(to));
}

static bool is_icmp(unsigned protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

void culvert_selectors_put(json_t *policy, traffic_selector_t *source, traffic_selector_t *destination)
{
	/* One end may leave it open. */
	unsigned protocol = max(source->get_protocol(source), destination->get_protocol(destination));

	json_object_set_new(policy, "source", range_json(source));
	json_object_set_new(policy, "destination", range_json(destination));
	if (protocol != 0)
		json_object_set_new(policy, "protocol", json_integer(protocol));
	if (is_icmp(protocol)) {
		icmp_put(policy, is_any_port(source) ? destination : source);
		return;
	}
	port_put(policy, "source_port", source);
	port_put(policy, "destination_port", destination);
}

static uint16_t port_of(const json_t *packet, const char *key)
{
	return (uint16_t)json_integer_value(json_object_get(packet, key));
}

/* RFC 7296 section 3.13.1: an ICMP selector has type and code in both ports. */
static uint16_t packet_port(const json_t *packet, unsigned protocol, bool is_source)
{
	if (is_icmp(protocol))
		return (uint16_t)(port_of(packet, "icmp_type") << 8 | port_of(packet, "icmp_code"));
	return port_of(packet, is_source ? "source_port" : "destination_port");
}

static bool has_ports(const json_t *packet, unsigned protocol)
{
	return json_object_get(packet, is_icmp(protocol) ? "icmp_type" : "source_port") != NULL;
}

traffic_selector_t *culvert_packet_selector(const json_t *packet, const char *end)
{
	host_t *host = culvert_host(json_object_get(packet, end), 0);
	unsigned protocol = (unsigned)json_integer_value(json_object_get(packet, "protocol"));
	uint16_t first = 0, last = PORT_MAX;
	traffic_selector_t *ts;

	if (!host)
		return NULL;
	if (has_ports(packet, protocol))
		first = last = packet_port(packet, protocol, streq(end, "source"));
	ts = traffic_selector_create_from_bytes((uint8_t)protocol,
		host->get_family(host) == AF_INET ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE,
		host->get_address(host), first, host->get_address(host), last);
	host->destroy(host);
	return ts;
}
