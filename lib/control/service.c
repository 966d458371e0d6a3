#include "control/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "base/clock.h"
#include "base/log.h"

/* sd_watchdog_enabled(3) advises half of the time that the manager waits; twice as often forgives one miss.
 */
#define SIGNS_IN_WATCHDOG_TIME 4

/* The address that the text names: a path, or a name in the abstract space after an @. */
static bool address_read(const char *text, struct sockaddr_un *address, socklen_t *bytes)
{
	size_t length = strlen(text);

	if (length < 2 || length >= sizeof(address->sun_path) || (text[0] != '/' && text[0] != '@'))
		return false;
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, text, length);
	if (text[0] == '@')
		address->sun_path[0] = '\0';
	*bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return true;
}

/* Is the watchdog meant for this process, not for one that started it? */
static uint64_t watchdog_ns(void)
{
	const char *time_us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!time_us || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	return strtoull(time_us, NULL, 10) * (CLOCK_NS_PER_S / 1000000);
}

void service_init(struct service *service)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*service = (struct service){.fd = -1};
	if (!name)
		return;
	if (!address_read(name, &service->address, &service->address_bytes)) {
		log_warning("NOTIFY_SOCKET names no socket: the service manager is not told of anything");
		return;
	}
	service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (service->fd < 0)
		log_warning("no socket to the service manager: %s", strerror(errno));
	else
		service->period_ns = watchdog_ns() / SIGNS_IN_WATCHDOG_TIME;
}

void service_fini(struct service *service)
{
	if (service->fd >= 0)
		close(service->fd);
	service->fd = -1;
}

static void tell(struct service *service, const char *message)
{
	if (service->fd >= 0 &&
		sendto(service->fd, message, strlen(message), MSG_NOSIGNAL,
			(const struct sockaddr *)&service->address, service->address_bytes) < 0)
		log_warning("the service manager can't be told: %s", strerror(errno));
}

void service_ready(struct service *service)
{
	tell(service, "READY=1\nSTATUS=forwarding");
}

void service_reloading(struct service *service, uint64_t now_ns)
{
	char message[80];

	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_ns / 1000);
	tell(service, message);
}

void service_stopping(struct service *service)
{
	tell(service, "STOPPING=1\nSTATUS=draining");
}

void service_poll(struct service *service, struct rte_rcu_qsbr *qsbr, uint64_t now_ns)
{
	if (service->period_ns == 0 || now_ns < service->next_ns)
		return;
	if (rte_rcu_qsbr_check(qsbr, service->token, false) != 1) {
		if (!service->told_of_halt)
			log_error("a worker does not come round: the watchdog is not told that all is well");
		service->told_of_halt = true;
		return;
	}
	service->told_of_halt = false;
	service->token = rte_rcu_qsbr_start(qsbr);
	service->next_ns = now_ns + service->period_ns;
	tell(service, "WATCHDOG=1");
}
