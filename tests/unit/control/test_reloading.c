/*
 * A configuration that another thread reads while control goes on. With ThreadSanitizer the same cases look
 * for races between that thread and what control does meanwhile.
 */
#include "control/reloading.h"

#include "base/clock.h"
#include "config/load.h"
#include "control/host_if.h"
#include "control/lock.h"
#include "control/retire.h"
#include "control/sas.h"
#include "control/watches.h"
#include "datapath/worker.h"
#include "support/eal.h"
#include "support/gateway.h"

#include <rte_rcu_qsbr.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_SAS      300
#define PATIENCE_S 60
#define HEAD                                                                                                 \
	"control: {directory: /run/test}\n"                                                                  \
	"memory: {hugepages: false, packets: 4096, sas: 1024}\n"                                             \
	"workers: {lcores: [0]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_ring0, side: protected, addresses: [10.1.0.254/24]}\n"                          \
	"  wan: {device: net_ring1, side: unprotected, addresses: [192.0.2.1/24]}\n"                         \
	"routes: [{to: 198.51.100.0/24, via: 192.0.2.254}]\n"                                                \
	"sas:\n"

static struct gateway_env env;
static struct connection *connection;
static int peer;
static char *text; /* of the file */
static sem_t gate; /* which the reader waits at */

static int load(const char *path, const atomic_bool *stop, struct gateway *gateway, struct report *report)
{
	(void)path;
	while (sem_trywait(&gate) != 0) {
		if (atomic_load(stop)) {
			gateway_init(gateway);
			return -ECANCELED;
		}
		usleep(100);
	}
	return config_load_text(text, strlen(text), "/none", gateway, report);
}

/* So many SAs, each of which has another key in each generation. */
static void text_make(unsigned n, unsigned generation)
{
	char *at;

	free(text);
	at = text = malloc(sizeof(HEAD) + n * (size_t)200 + 200);
	at += sprintf(at, HEAD);
	for (unsigned i = 0; i < n; i++)
		at += sprintf(at,
			"  s%u: {spi: %u, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16,"
			" key: '0x%08x%032x'}\n",
			i, 0x1000 + i, generation, i);
}

static void setup(void)
{
	static const struct config_source source = {"/none/site.yaml", load, config_read_part};
	int fds[2];

	eal_setup();
	text_make(N_SAS, 0);
	gateway_env_begin(&env, text);
	rte_rcu_qsbr_thread_offline(env.control.qsbr, env.worker->index);
	control_directory_set(&env.gateway);
	state_directory_set(&env.gateway);
	env.control.source = &source;
	env.control.version = "0.0.0";
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[0];
	connection = connection_create(fds[1], 0);
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
}

static void teardown(void)
{
	if (connection)
		connection_destroy(connection);
	close(peer);
	sem_destroy(&gate);
	worker_adopt(env.worker);
	retire_poll(&env.control);
	gateway_env_end(&env);
	free(text);
	text = NULL;
	eal_teardown();
}

/* Is the line done with, or has it to wait? */
static bool ask(const char *line)
{
	return request_answer(&env.control, connection, line, strlen(line));
}

/* Is there an answer, and does it have that in it? It is taken. */
static bool has_answer(const char *part)
{
	struct connection_buffer *out = &connection->out;
	bool has = out->used > 0 && memmem(out->bytes, out->used, part, strlen(part)) != NULL;

	ck_assert_msg(out->used == 0 || has, "%.*s", (int)out->used, out->bytes);
	out->used = 0;
	return has;
}

/* What control's loop does meanwhile, a page of SAs for another client among it, until the reload is made. */
static void serve_until_done(void)
{
	uint64_t start_ns = clock_now_ns();
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	while (reloading_is_under_way(&env.control)) {
		struct connection *other = connection_create(dup(fds[0]), 0);
		static const char show[] = "{\"command\": \"show-sas\"}";

		ck_assert_msg(clock_now_ns() - start_ns < PATIENCE_S * CLOCK_NS_PER_S, "it does not end");
		host_if_poll(&env.control, clock_now_ns());
		watches_poll(&env.control, clock_now_ns());
		ck_assert(request_answer(&env.control, other, show, strlen(show)));
		ck_assert_uint_gt(other->out.used, 0);
		connection_destroy(other);
		reloading_poll(&env.control);
	}
	close(fds[0]);
	close(fds[1]);
}

START_TEST(the_file_is_read_while_control_serves_and_then_the_change_is_made)
{
	text_make(N_SAS, 1);
	ck_assert(ask("{\"command\": \"reload\", \"id\": 7}"));
	ck_assert(reloading_is_under_way(&env.control) && connection->awaits);
	reloading_poll(&env.control);
	ck_assert(!has_answer("") && env.gateway.sas[0].key.bytes[3] == 0);

	sem_post(&gate);
	serve_until_done();

	ck_assert(has_answer("\"id\":7") && !connection->awaits);
	ck_assert_uint_eq(env.control.n_sas, N_SAS);
	ck_assert_uint_eq(env.gateway.sas[0].key.bytes[3], 1);
}
END_TEST

START_TEST(what_would_change_the_model_waits_and_is_asked_again)
{
	static const char *const changes[] = {
		"{\"command\": \"change\", \"arguments\": {\"delete_sas\": [\"s0\"]}}",
		"{\"command\": \"change\", \"arguments\": {\"delete_sas\": [\"s0\"], \"dry_run\": true}}",
		"{\"command\": \"reload\"}",
		"{\"command\": \"apply\", \"arguments\": {\"file\": \"/none/site.yaml\"}}",
	};

	ck_assert(ask(changes[2]));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		ck_assert(!ask(changes[i]) && connection->awaits && !has_answer(""));
	sem_post(&gate);
	serve_until_done();
	ck_assert(has_answer("\"made\":true"));

	ck_assert(ask(changes[0]) && has_answer("\"removed\":1") && !connection->awaits);
	ck_assert_uint_eq(env.control.n_sas, N_SAS - 1);
}
END_TEST

START_TEST(one_that_ends_early_has_changed_nothing_and_says_so)
{
	text_make(N_SAS + 1, 0);
	ck_assert(ask("{\"command\": \"reload\"}"));

	reloading_end(&env.control);

	ck_assert(!reloading_is_under_way(&env.control));
	ck_assert_uint_eq(env.control.n_sas, N_SAS);
	/* It was sent: nobody flushes after that. */
	char answer[512] = "";
	ck_assert_int_gt(read(peer, answer, sizeof(answer) - 1), 0);
	ck_assert_ptr_nonnull(strstr(answer, "the gateway stops; nothing has changed"));
}
END_TEST

START_TEST(one_that_was_read_when_it_ends_has_changed_nothing)
{
	text_make(N_SAS + 1, 0);
	ck_assert(ask("{\"command\": \"reload\"}"));
	sem_post(&gate);

	reloading_end(&env.control);

	ck_assert_uint_eq(env.control.n_sas, N_SAS);
	ck_assert_uint_eq(env.gateway.n_sas, N_SAS);
}
END_TEST

START_TEST(a_client_that_leaves_is_forgotten_and_a_signal_needs_none)
{
	text_make(N_SAS + 1, 0);
	ck_assert(ask("{\"command\": \"reload\"}"));
	reloading_forget(&env.control, connection);
	connection_destroy(connection);
	connection = NULL;
	sem_post(&gate);
	serve_until_done();
	ck_assert_uint_eq(env.control.n_sas, N_SAS + 1);

	text_make(N_SAS, 0);
	request_reload(&env.control);
	sem_post(&gate);
	serve_until_done();
	ck_assert_uint_eq(env.control.n_sas, N_SAS);
}
END_TEST

START_TEST(a_file_with_faults_is_answered_with_them)
{
	strcpy(text, "sas: {}\n");
	ck_assert(ask("{\"command\": \"reload\"}"));
	sem_post(&gate);
	serve_until_done();

	ck_assert(has_answer("\"findings_of\":\"file\""));
	ck_assert_uint_eq(env.control.n_sas, N_SAS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control/reloading");
	TCase *tcase = tcase_create("reloading");

	tcase_set_tags(tcase, "threads");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, PATIENCE_S);
	tcase_add_test(tcase, the_file_is_read_while_control_serves_and_then_the_change_is_made);
	tcase_add_test(tcase, what_would_change_the_model_waits_and_is_asked_again);
	tcase_add_test(tcase, one_that_ends_early_has_changed_nothing_and_says_so);
	tcase_add_test(tcase, one_that_was_read_when_it_ends_has_changed_nothing);
	tcase_add_test(tcase, a_client_that_leaves_is_forgotten_and_a_signal_needs_none);
	tcase_add_test(tcase, a_file_with_faults_is_answered_with_them);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
