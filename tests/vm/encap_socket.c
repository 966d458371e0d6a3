/*
 * The guest's socket for ESP in UDP: what Linux takes out of UDP it takes out of a socket with UDP_ENCAP
 * alone (RFC 3948; udp(7)), and neither busybox nor iproute2 makes one. encap_socket PORT stays behind with
 * one for each IP version.
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The socket's own policy, as an IKE daemon sets it: else what comes in UDP is held against the policies for
 * what is inside, and refused because it is not in ESP. */
static void bypass(int s, sa_family_t family, uint8_t direction)
{
	struct xfrm_userpolicy_info policy = {
		.sel.family = family, .dir = direction, .action = XFRM_POLICY_ALLOW};
	int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int name = family == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;

	if (setsockopt(s, level, name, &policy, sizeof(policy)) < 0)
		err(1, "XFRM_POLICY");
}

static void serve(const struct sockaddr *address, socklen_t length)
{
	int type = UDP_ENCAP_ESPINUDP, only = 1;
	int s = socket(address->sa_family, SOCK_DGRAM, IPPROTO_UDP);

	if (s < 0)
		err(1, "socket");
	if (address->sa_family == AF_INET6 &&
		setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0)
		err(1, "IPV6_V6ONLY");
	if (bind(s, address, length) < 0)
		err(1, "bind");
	if (setsockopt(s, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) < 0)
		err(1, "UDP_ENCAP");
	bypass(s, address->sa_family, XFRM_POLICY_IN);
	bypass(s, address->sa_family, XFRM_POLICY_OUT);
}

int main(int argc, char **argv)
{
	in_port_t port = argc > 1 ? htons((in_port_t)atoi(argv[1])) : 0;

	serve((struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET, .sin_port = port},
		sizeof(struct sockaddr_in));
	serve((struct sockaddr *)&(struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port},
		sizeof(struct sockaddr_in6));
	if (daemon(0, 0) < 0)
		err(1, "daemon");
	for (;;)
		pause();
}
