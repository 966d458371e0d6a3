#include "control/rtnl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX 256
#define ANSWER_BYTES_MAX  1024

/* One message to the kernel: a header, a struct by its type, attributes. */
struct request {
	_Alignas(struct nlmsghdr) uint8_t bytes[REQUEST_BYTES_MAX];
};

static struct nlmsghdr *header_of(struct request *request)
{
	return (struct nlmsghdr *)request->bytes;
}

static void request_begin(
	struct request *request, uint16_t type, uint16_t flags, const void *body, size_t body_bytes)
{
	memset(request, 0, sizeof(*request));
	*header_of(request) = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_bytes),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags,
	};
	memcpy(NLMSG_DATA(header_of(request)), body, body_bytes);
}

/* An attribute behind what is there; with no data, others are put into it, and attribute_end closes it. */
static struct rtattr *attribute_add(struct request *request, uint16_t type, const void *data, size_t bytes)
{
	struct nlmsghdr *header = header_of(request);
	struct rtattr *attribute = (struct rtattr *)(request->bytes + NLMSG_ALIGN(header->nlmsg_len));

	*attribute = (struct rtattr){.rta_len = (uint16_t)RTA_LENGTH(bytes), .rta_type = type};
	if (bytes > 0)
		memcpy(RTA_DATA(attribute), data, bytes);
	header->nlmsg_len = (uint32_t)(NLMSG_ALIGN(header->nlmsg_len) + RTA_LENGTH(bytes));
	return attribute;
}

static void attribute_end(struct request *request, struct rtattr *attribute)
{
	const uint8_t *end = request->bytes + NLMSG_ALIGN(header_of(request)->nlmsg_len);

	attribute->rta_len = (uint16_t)(end - (const uint8_t *)attribute);
}

/* The kernel answers at once. */
static int request_send(int fd, struct request *request)
{
	_Alignas(struct nlmsghdr) uint8_t answer[ANSWER_BYTES_MAX];
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	const struct nlmsgerr *error = NLMSG_DATA(header);
	ssize_t bytes;

	if (send(fd, request->bytes, header_of(request)->nlmsg_len, 0) < 0)
		return -errno;
	bytes = recv(fd, answer, sizeof(answer), 0);
	if (bytes < 0)
		return -errno;
	if ((size_t)bytes < NLMSG_LENGTH(sizeof(*error)) || header->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return error->error;
}

int rtnl_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

static void link_begin(struct request *request, const struct ifinfomsg *body)
{
	request_begin(request, RTM_NEWLINK, 0, body, sizeof(*body));
}

int rtnl_no_link_local(int fd, unsigned interface)
{
	const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	struct request request;
	struct rtattr *families, *ipv6;

	link_begin(&request, &(struct ifinfomsg){.ifi_index = (int)interface});
	families = attribute_add(&request, IFLA_AF_SPEC, NULL, 0);
	ipv6 = attribute_add(&request, AF_INET6, NULL, 0);
	attribute_add(&request, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	attribute_end(&request, ipv6);
	attribute_end(&request, families);
	header_of(&request)->nlmsg_len = NLMSG_ALIGN(header_of(&request)->nlmsg_len);
	return request_send(fd, &request);
}

int rtnl_mtu_set(int fd, unsigned interface, uint32_t mtu_bytes)
{
	struct request request;

	link_begin(&request, &(struct ifinfomsg){.ifi_index = (int)interface});
	attribute_add(&request, IFLA_MTU, &mtu_bytes, sizeof(mtu_bytes));
	return request_send(fd, &request);
}

int rtnl_up(int fd, unsigned interface)
{
	struct request request;

	link_begin(&request,
		&(struct ifinfomsg){.ifi_index = (int)interface, .ifi_flags = IFF_UP, .ifi_change = IFF_UP});
	return request_send(fd, &request);
}

static uint8_t family_of(const struct ip_addr *address)
{
	return address->family == IP_V4 ? AF_INET : AF_INET6;
}

int rtnl_address_add(int fd, unsigned interface, const struct ip_addr *address)
{
	size_t bytes = ip_family_bytes(address->family);
	const struct ifaddrmsg body = {
		.ifa_family = family_of(address),
		.ifa_prefixlen = (uint8_t)(8 * bytes),
		/* Nobody is there who could have it too (RFC 4862 section 5.4). */
		.ifa_flags = IFA_F_NODAD,
		.ifa_index = interface,
	};
	struct request request;

	request_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	attribute_add(&request, IFA_LOCAL, address->bytes, bytes);
	attribute_add(&request, IFA_ADDRESS, address->bytes, bytes);
	return request_send(fd, &request);
}

int rtnl_route_add(
	int fd, unsigned interface, const struct ip_prefix *to, const struct ip_addr *source, uint32_t metric)
{
	const struct ip_addr first = ip_prefix_range(to).first;
	const struct rtmsg body = {
		.rtm_family = family_of(&to->addr),
		.rtm_dst_len = to->length_bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = to->addr.family == IP_V4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct request request;

	request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	if (to->length_bits > 0)
		attribute_add(&request, RTA_DST, first.bytes, ip_family_bytes(first.family));
	if (source->family != IP_NONE)
		attribute_add(&request, RTA_PREFSRC, source->bytes, ip_family_bytes(source->family));
	attribute_add(&request, RTA_OIF, &interface, sizeof(interface));
	attribute_add(&request, RTA_PRIORITY, &metric, sizeof(metric));
	return request_send(fd, &request);
}
