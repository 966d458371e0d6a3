#include "control/metrics_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/array.h"
#include "base/log.h"
#include "control/metrics.h"

/* A connection writes from half of its memory, so this is what a turn makes of a scrape. */
#define CONNECTION_BYTES (256u << 10)
#define BLOCK_BYTES      (CONNECTION_BYTES / 2)
#define LISTEN_BACKLOG   16
#define SEND_BYTES       (256 << 10) /* that wait in the kernel for a client, so that a slow one is seen to be */

#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_PROMETHEUS  "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_TEXT        "text/plain; charset=utf-8"

struct metrics_http {
	struct control *control;
	struct MHD_Daemon *daemon;
	unsigned n_scrapes; /* that are being read */
};

/* What the reader of a response has. */
struct reading {
	struct metrics_http *http;
	struct metrics_scrape *scrape;
};

static ssize_t on_read(void *argument, uint64_t position __rte_unused, char *buffer, size_t size)
{
	struct reading *reading = argument;
	ssize_t n = metrics_scrape_read(reading->scrape, buffer, size);

	return n == METRICS_SCRAPE_DONE ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void on_read_end(void *argument)
{
	struct reading *reading = argument;

	reading->http->n_scrapes--;
	metrics_scrape_end(reading->scrape);
	free(reading);
}

static enum MHD_Result send_response(
	struct MHD_Connection *connection, unsigned status, const char *type, struct MHD_Response *response)
{
	enum MHD_Result ret;

	if (!response)
		return MHD_NO; /* the connection is closed */
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	ret = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return ret;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
	return send_response(connection, status, TYPE_TEXT,
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT));
}

/* RFC 9110 section 12.5.1, as far as scrapers go: who names OpenMetrics gets it, whatever else is named. */
static enum metrics_format format_wanted(struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return accept && strcasestr(accept, "application/openmetrics-text") ? METRICS_OPENMETRICS
									    : METRICS_PROMETHEUS;
}

static enum MHD_Result scrape(struct metrics_http *http, struct MHD_Connection *connection)
{
	enum metrics_format format = format_wanted(connection);
	struct reading *reading;

	if (http->n_scrapes >= METRICS_SCRAPES_MAX)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many scrapes at a time\n");
	reading = xcalloc(1, sizeof(*reading));
	*reading = (struct reading){.http = http, .scrape = metrics_scrape_begin(http->control, format)};
	http->n_scrapes++;
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, reading, on_read_end);
	if (!response)
		on_read_end(reading);
	return send_response(connection, MHD_HTTP_OK,
		format == METRICS_OPENMETRICS ? TYPE_OPENMETRICS : TYPE_PROMETHEUS, response);
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version __rte_unused, const char *upload __rte_unused,
	size_t *upload_bytes __rte_unused, void **request)
{
	static char headers_seen;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	/* The library calls twice, and takes an answer to the second. */
	if (!*request) {
		*request = &headers_seen;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return refuse(connection, MHD_HTTP_NOT_FOUND, "metrics are at /metrics\n");
	return scrape(argument, connection);
}

/* What to bind to. Returns its length. */
static socklen_t address_make(const struct metrics_conf *conf, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (conf->address.family == IP_V4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(conf->port);
		memcpy(&v4->sin_addr, conf->address.bytes, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(conf->port);
	memcpy(&v6->sin6_addr, conf->address.bytes, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

/* Our own socket rather than the library's, so that we can say what is wrong. Returns it, or -errno. */
static int socket_listen(const struct metrics_conf *conf, struct err *err)
{
	struct sockaddr_storage address;
	socklen_t length = address_make(conf, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, send_bytes = SEND_BYTES;
	char text[IP_ADDR_TEXT_MAX];
	int ret = 0;

	/* Connections inherit what is set here. */
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
			       setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)) != 0 ||
			       bind(fd, (struct sockaddr *)&address, length) != 0 ||
			       listen(fd, LISTEN_BACKLOG) != 0))
		ret = errno;
	if (fd < 0)
		ret = errno;
	if (ret == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set(err, ret, "metrics: address %s port %u: %s", ip_addr_format(&conf->address, text),
		conf->port, strerror(ret));
}

static int daemon_start(struct metrics_http *http, struct err *err)
{
	int fd = socket_listen(&http->control->gateway->metrics, err);

	if (fd < 0)
		return fd;
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)METRICS_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)METRICS_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (http->daemon)
		return 0;
	close(fd);
	return err_set(err, ENOMEM, "metrics: the HTTP server does not start");
}

int metrics_http_begin(struct control *control, struct err *err)
{
	const struct metrics_conf *conf = &control->gateway->metrics;
	char text[IP_ADDR_TEXT_MAX];
	int ret;

	if (conf->port == 0)
		return 0;
	control->metrics = xcalloc(1, sizeof(*control->metrics));
	control->metrics->control = control;
	ret = daemon_start(control->metrics, err);
	if (ret != 0) {
		metrics_http_end(control);
		return ret;
	}
	log_info("metrics address=%s port=%u", ip_addr_format(&conf->address, text), conf->port);
	return 0;
}

void metrics_http_end(struct control *control)
{
	if (!control->metrics)
		return;
	if (control->metrics->daemon)
		MHD_stop_daemon(control->metrics->daemon);
	free(control->metrics);
	control->metrics = NULL;
}

void metrics_http_poll(struct control *control)
{
	if (control->metrics)
		MHD_run(control->metrics->daemon);
}
