/*
 * Metrics over HTTP: GET /metrics, for Prometheus and whatever else speaks OpenMetrics.
 *
 * Control thread, by libmicrohttpd without a thread of its own: metrics_http_poll serves what has come in, a
 * bounded piece of each connection, and returns. So nothing is locked. Workers only count. Limits: no TLS and
 * no authentication, which is why it listens on the loopback interface unless it is told otherwise;
 * METRICS_CONNECTIONS_MAX connections, METRICS_SCRAPES_MAX scrapes at a time; one that rests for
 * METRICS_TIMEOUT_S is closed.
 */
#ifndef CULVERT_CONTROL_METRICS_HTTP_H
#define CULVERT_CONTROL_METRICS_HTTP_H

#include "control/control.h"

#define METRICS_CONNECTIONS_MAX 32
#define METRICS_SCRAPES_MAX     4 /* others are told to come again */
#define METRICS_TIMEOUT_S       10

/* Listen where the configuration says, if it does. Returns 0, or -errno with err set. */
int metrics_http_begin(struct control *control, struct err *err);
/* Close all connections. */
void metrics_http_end(struct control *control);

/* Serve. Never waits. */
void metrics_http_poll(struct control *control);

#endif
