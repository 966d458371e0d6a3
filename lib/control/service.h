/*
 * The daemon as a service of systemd's: it tells when it forwards, reloads and stops, and that it is alive.
 *
 * Control thread only. The protocol is sd_notify(3)'s: a datagram of VARIABLE=value lines to the socket that
 * the environment names. Without that variable nothing is sent. Limits: a socket that does not take a message
 * at once loses it, since the control thread waits for nobody.
 */
#ifndef CULVERT_CONTROL_SERVICE_H
#define CULVERT_CONTROL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct rte_rcu_qsbr;

struct service {
	int fd; /* -1: nobody to tell */
	struct sockaddr_un address;
	socklen_t address_bytes;
	/* The watchdog. */
	uint64_t period_ns; /* between two signs of life; 0: nobody waits for them */
	uint64_t next_ns;
	uint64_t token;    /* what every worker has to have passed until then; 0, at first, they all have */
	bool told_of_halt; /* the log has it that a worker doesn't come round */
};

/* Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. A service that can't be told goes to the log. */
void service_init(struct service *service);
void service_fini(struct service *service);

/* Packets are forwarded: the units that are ordered behind this one may start. */
void service_ready(struct service *service);

/* A reload begins; service_ready ends it. systemd wants the time at which it began (sd_notify(3)). */
void service_reloading(struct service *service, uint64_t now_ns);

void service_stopping(struct service *service);

/*
 * Give a sign of life in time, but only if every worker has come round since the last one: systemd then ends
 * and restarts a gateway of which a part hangs.
 */
void service_poll(struct service *service, struct rte_rcu_qsbr *qsbr, uint64_t now_ns);

#endif
