/*
 * libFuzzer target: bytes as what a client of the control socket sends. Each line that comes whole is
 * answered by one line of JSON, and a gateway with two SAs and their policies lives through whatever it asks
 * for. Afterwards a reload brings that gateway back, so that an input does not depend on those before it.
 */
#include "config/load.h"
#include "control/connection.h"
#include "control/lock.h"
#include "control/reloading.h"
#include "control/request.h"
#include "control/retire.h"
#include "datapath/worker.h"
#include "fuzz.h"
#include "support/eal.h"
#include "support/gateway.h"

#include <rte_rcu_qsbr.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 4096
#define SITE                                                                                                 \
	"control: {directory: /run/fuzz}\n"                                                                  \
	"memory: {hugepages: false, packets: 4096}\n"                                                        \
	"workers: {lcores: [0]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24]}\n"                          \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"                         \
	"routes: [{to: 198.51.100.0/24, via: 192.0.2.254}]\n"                                                \
	"neighbours: [{port: wan, address: 192.0.2.254, mac: '02:00:5e:00:02:fe'}]\n"                        \
	"sas:\n"                                                                                             \
	"  out: {spi: 0x1001, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,\n"             \
	"        key: '0x000102030405060708090a0b0c0d0e0f10111213', life_time: 90m, life_bytes: 1M}\n"       \
	"  in: {spi: 0x2001, source: 198.51.100.1, destination: 192.0.2.1, esp: aes128gcm16,\n"              \
	"       key: '0x100102030405060708090a0b0c0d0e0f10111213'}\n"                                        \
	"policies:\n"                                                                                        \
	"  - {name: out, direction: out, action: protect, destination: 10.2.0.0/16, sas: [out]}\n"           \
	"  - {name: in, direction: in, action: protect, source: 10.2.0.0/16, sas: [in]}\n"

static struct gateway_env env;

/* No file is read, whatever its name: it is always the gateway's own. */
static int load(const char *path, const atomic_bool *stop, struct gateway *gateway, struct report *report)
{
	(void)path, (void)stop;
	return config_load_text(SITE, strlen(SITE), "/nonexistent", gateway, report);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct config_source source = {"/nonexistent/site.yaml", load, config_read_part};

	struct err err;

	(void)argc, (void)argv;
	if (eal_start() != 0 || gateway_env_try(&env, SITE, &err) != 0)
		return -1;
	/* The worker runs in this thread, so that nobody may wait for it. */
	rte_rcu_qsbr_thread_offline(env.control.qsbr, env.worker->index);
	control_directory_set(&env.gateway);
	state_directory_set(&env.gateway);
	env.control.source = &source;
	env.control.version = "0.0.0";
	return 0;
}

/* The answer, which is whole and alone. */
static void require_answer(struct connection *connection)
{
	const struct connection_buffer *out = &connection->out;
	json_error_t fault;
	json_t *answer;

	require(out->used > 1 && memchr(out->bytes, '\n', out->used) == out->bytes + out->used - 1);
	answer = json_loadb(out->bytes, out->used, 0, &fault);
	require(json_integer_value(json_object_get(answer, "version")) == 1);
	if (json_is_true(json_object_get(answer, "ok")))
		require(json_is_object(json_object_get(answer, "result")));
	else
		require(json_string_length(json_object_get(json_object_get(answer, "error"), "text")) > 0);
	json_decref(answer);
	connection->out.used = 0;
}

/* Every worker has adopted what was changed, and what is gone is freed. */
static void settle(void)
{
	worker_adopt(env.worker);
	retire_poll(&env.control);
	require(retire_pending(&env.control) == 0);
}

/* The answer to a line, for which another thread may have work to do. */
static void answer(struct connection *connection, const char *line, size_t length)
{
	require(request_answer(&env.control, connection, line, length));
	while (reloading_is_under_way(&env.control)) {
		usleep(1);
		reloading_poll(&env.control);
	}
}

static void restore(struct connection *connection)
{
	static const char reload[] = "{\"command\":\"reload\"}";

	answer(connection, reload, strlen(reload));
	require(memmem(connection->out.bytes, connection->out.used, "\"ok\":true", strlen("\"ok\":true")));
	require_answer(connection);
	settle();
	require(env.control.n_sas == 2 && env.gateway.n_sas == 2 && env.gateway.n_policies == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct connection *connection;
	size_t length;
	char *line;
	int fds[2];

	if (size > INPUT_BYTES_MAX)
		return -1;
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	require(write(fds[1], data, size) == (ssize_t)size);
	connection = connection_create(fds[0], 0);
	while (connection_line(connection, 0, &line, &length) == CONNECTION_LINE) {
		answer(connection, line, length);
		connection_line_done(connection, length);
		require_answer(connection);
		settle();
	}
	restore(connection);
	connection_destroy(connection);
	close(fds[1]);
	return 0;
}
