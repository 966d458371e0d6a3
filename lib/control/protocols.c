#include "control/protocols.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint8_t number;
	bool has_ports; /* or type and code */
} protocols[] = {
	{"tcp", IPPROTO_TCP, true},
	{"udp", IPPROTO_UDP, true},
	{"sctp", IPPROTO_SCTP, true},
	{"dccp", IPPROTO_DCCP, true},
	{"udplite", IPPROTO_UDPLITE, true},
	{"icmp", IPPROTO_ICMP, true},
	{"icmpv6", IPPROTO_ICMPV6, true},
	{"esp", IPPROTO_ESP, false},
	{"ah", IPPROTO_AH, false},
	{"ipcomp", IPPROTO_COMP, false},
	{NULL, 0, false},
};

bool protocol_read(const char *text, uint8_t *protocol, bool *has_ports)
{
	unsigned long number;
	char *rest;
	size_t i;

	for (i = 0; text && protocols[i].name; i++)
		if (strcmp(protocols[i].name, text) == 0) {
			*protocol = protocols[i].number;
			*has_ports = protocols[i].has_ports;
			return true;
		}
	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	number = strtoul(text, &rest, 10);
	if (*rest != '\0' || number > UINT8_MAX)
		return false;
	for (i = 0; protocols[i].name && protocols[i].number != number; i++)
		;
	*protocol = (uint8_t)number;
	*has_ports = protocols[i].has_ports;
	return true;
}

const char *protocol_name(uint8_t protocol, char text[PROTOCOL_TEXT_MAX])
{
	for (size_t i = 0; protocols[i].name; i++)
		if (protocols[i].number == protocol)
			return protocols[i].name;
	snprintf(text, PROTOCOL_TEXT_MAX, "%u", protocol);
	return text;
}
