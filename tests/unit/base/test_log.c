#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

static int saved, file;

/* Standard error goes to a file. */
static void setup(void)
{
	char path[] = "/tmp/culvert-test-XXXXXX";

	file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	unlink(path);
	saved = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
}

static void teardown(void)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(file);
}

static void ck_said(const char *expected)
{
	char text[256] = "";

	ck_assert_int_ge(pread(file, text, sizeof(text) - 1, 0), 0);
	ck_assert_str_eq(text, expected);
}

/* What systemd sets for a service whose standard error is that file. */
static void journal_set(unsigned long inode_offset)
{
	struct stat status;
	char text[64];

	ck_assert_int_eq(fstat(file, &status), 0);
	snprintf(text, sizeof(text), "%lu:%lu", (unsigned long)status.st_dev,
		(unsigned long)status.st_ino + inode_offset);
	setenv("JOURNAL_STREAM", text, 1);
}

START_TEST(a_line_names_the_program_and_the_level)
{
	log_info("port=%s", "lan");
	log_warning("b");
	log_error("c");
	ck_said("culvertd: info: port=lan\nculvertd: warning: b\nculvertd: error: c\n");
}
END_TEST

START_TEST(a_line_for_the_journal_has_its_priority_in_front)
{
	journal_set(0);
	log_info("port=%s", "lan");
	log_warning("b");
	log_error("c");
	ck_said("<6>info: port=lan\n<4>warning: b\n<3>error: c\n");
}
END_TEST

START_TEST(another_file_than_the_journals_gets_no_priority)
{
	journal_set(1);
	log_info("a");
	ck_said("culvertd: info: a\n");
}
END_TEST

START_TEST(a_variable_that_says_nothing_is_no_journal)
{
	setenv("JOURNAL_STREAM", "journal", 1);
	log_info("a");
	ck_said("culvertd: info: a\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_line_names_the_program_and_the_level);
	tcase_add_test(tcase, a_line_for_the_journal_has_its_priority_in_front);
	tcase_add_test(tcase, another_file_than_the_journals_gets_no_priority);
	tcase_add_test(tcase, a_variable_that_says_nothing_is_no_journal);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
