#include "run.h"

#include "base/err.h"

#include <errno.h>
#include <string.h>

START_TEST(a_sentence_comes_with_the_negative_code)
{
	struct err err;

	ck_assert_int_eq(err_set(&err, ENOENT, "no port '%s'", "lan"), -ENOENT);
	ck_assert_str_eq(err.text, "no port 'lan'");
}
END_TEST

START_TEST(a_prefix_stands_in_front_and_keeps_the_code)
{
	struct err err;

	err_set(&err, EIO, "no link");
	ck_assert_int_eq(err_prefix(&err, -EIO, "port %d", 3), -EIO);
	ck_assert_str_eq(err.text, "port 3: no link");
}
END_TEST

START_TEST(a_sentence_that_is_too_long_is_cut)
{
	char text[2 * ERR_TEXT_MAX];
	struct err err;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, EIO, "%s", text);
	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, -EIO, "port");
	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);
	ck_assert_int_eq(memcmp(err.text, "port: xxx", 9), 0);
	err_prefix(&err, -EIO, "%s", text);
	ck_assert_uint_eq(strlen(err.text), ERR_TEXT_MAX - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base/err");
	TCase *tcase = tcase_create("err");

	tcase_add_test(tcase, a_sentence_comes_with_the_negative_code);
	tcase_add_test(tcase, a_prefix_stands_in_front_and_keeps_the_code);
	tcase_add_test(tcase, a_sentence_that_is_too_long_is_cut);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
