#include "control/connection.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int peer;
static struct connection *connection;

static void setup(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	peer = fds[0];
	connection = connection_create(fds[1], 1);
}

static void teardown(void)
{
	connection_destroy(connection);
	close(peer);
}

static void say(const char *text)
{
	ck_assert_int_eq(write(peer, text, strlen(text)), (ssize_t)strlen(text));
}

static void ck_line(const char *expected)
{
	size_t length;
	char *line;

	ck_assert_int_eq(connection_line(connection, 2, &line, &length), CONNECTION_LINE);
	ck_assert_str_eq(line, expected);
	ck_assert_uint_eq(length, strlen(expected));
	connection_line_done(connection, length);
}

static void ck_input(enum connection_input expected)
{
	size_t length;
	char *line;

	ck_assert_int_eq(connection_line(connection, 2, &line, &length), expected);
}

START_TEST(lines_come_one_by_one_however_they_were_sent)
{
	say("first\nsecond\n\nthi");
	ck_line("first");
	ck_line("second");
	ck_line("");
	ck_input(CONNECTION_NOTHING);
	say("rd\n");
	ck_line("third");
	ck_input(CONNECTION_NOTHING);
}
END_TEST

START_TEST(what_comes_keeps_a_connection_awake_and_its_end_is_told)
{
	ck_input(CONNECTION_NOTHING);
	ck_assert_uint_eq(connection->active_ns, 1);
	say("x\n");
	ck_line("x");
	ck_assert_uint_eq(connection->active_ns, 2);
	say("half");
	shutdown(peer, SHUT_WR);
	ck_input(CONNECTION_NOTHING);
	ck_input(CONNECTION_END);
}
END_TEST

START_TEST(a_line_of_the_longest_length_is_taken_and_a_longer_one_is_not)
{
	char *text = malloc(CONNECTION_LINE_MAX + 2);

	for (size_t length = CONNECTION_LINE_MAX; length <= CONNECTION_LINE_MAX + 1; length++) {
		size_t sent = 0, got;
		enum connection_input input = CONNECTION_NOTHING;
		char *line;

		memset(text, 'x', length);
		text[length] = '\n';
		while (input == CONNECTION_NOTHING) {
			if (sent <= length) {
				ssize_t n = write(peer, text + sent, length + 1 - sent);

				sent += n > 0 ? (size_t)n : 0;
			}
			input = connection_line(connection, 2, &line, &got);
		}
		ck_assert_int_eq(
			input, length == CONNECTION_LINE_MAX ? CONNECTION_LINE : CONNECTION_TOO_LONG);
		if (input == CONNECTION_LINE)
			connection_line_done(connection, got);
	}
	free(text);
}
END_TEST

/* Read what the connection has written so far; the lines. */
static size_t hear(char *last, size_t last_bytes)
{
	static char text[8 << 20];
	size_t used = 0, lines = 0;
	ssize_t got;

	do {
		ck_assert(connection_flush(connection, 3));
		got = read(peer, text + used, sizeof(text) - used);
		used += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	for (size_t i = 0, begin = 0; i < used; i++) {
		if (text[i] != '\n')
			continue;
		lines++;
		snprintf(last, last_bytes, "%.*s", (int)(i - begin), text + begin);
		begin = i + 1;
	}
	return lines;
}

START_TEST(events_that_find_no_room_are_counted_and_the_next_one_says_how_many)
{
	json_t *event = json_pack("{s:s}", "event", "changed");
	char last[128];
	size_t told = 0, heard;

	for (; connection->lost < 7; told++)
		connection_tell(connection, event);
	told -= 7;
	heard = hear(last, sizeof(last));
	ck_assert_uint_eq(heard, told);
	ck_assert_str_eq(last, "{\"event\":\"changed\"}");

	connection_tell(connection, event);
	connection_tell(connection, event);
	ck_assert_uint_eq(hear(last, sizeof(last)), 2);
	ck_assert_str_eq(last, "{\"event\":\"changed\"}");
	ck_assert_uint_eq(connection->lost, 0);
	json_decref(event);
}
END_TEST

START_TEST(the_first_event_after_a_loss_has_the_number)
{
	json_t *event = json_pack("{s:s}", "event", "changed");
	char last[128];

	while (connection->lost < 3)
		connection_tell(connection, event);
	hear(last, sizeof(last));
	connection_tell(connection, event);
	ck_assert_uint_eq(hear(last, sizeof(last)), 1);
	ck_assert_str_eq(last, "{\"event\":\"changed\",\"lost\":3}");
	json_decref(event);
}
END_TEST

START_TEST(who_has_gone_fails_the_connection)
{
	json_t *event = json_pack("{s:s}", "event", "changed");

	close(peer);
	connection_tell(connection, event);
	ck_assert(!connection_flush(connection, 3));
	json_decref(event);
	peer = open("/dev/null", O_RDONLY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection");
	TCase *tcase = tcase_create("connection");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, lines_come_one_by_one_however_they_were_sent);
	tcase_add_test(tcase, what_comes_keeps_a_connection_awake_and_its_end_is_told);
	tcase_add_test(tcase, a_line_of_the_longest_length_is_taken_and_a_longer_one_is_not);
	tcase_add_test(tcase, events_that_find_no_room_are_counted_and_the_next_one_says_how_many);
	tcase_add_test(tcase, the_first_event_after_a_loss_has_the_number);
	tcase_add_test(tcase, who_has_gone_fails_the_connection);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
