#include "run.h"

#include "base/secret.h"

#include <errno.h>
#include <string.h>

static const struct secret wiped;

START_TEST(hexadecimal_digits_become_bytes_in_their_order)
{
	struct secret secret;
	static const uint8_t bytes[] = {0x00, 0x1a, 0xff};

	ck_assert_int_eq(secret_parse_hex("0x001aFF", 8, &secret), 0);
	ck_assert_uint_eq(secret.length_bytes, 3);
	ck_assert_mem_eq(secret.bytes, bytes, 3);
	ck_assert_int_eq(secret_parse_hex("001aFF", 6, &secret), 0);
	ck_assert_mem_eq(secret.bytes, bytes, 3);
	ck_assert_int_eq(secret_parse_hex("0X00", 4, &secret), 0);
	ck_assert_uint_eq(secret.length_bytes, 1);
}
END_TEST

START_TEST(only_the_given_length_is_read)
{
	struct secret secret;

	ck_assert_int_eq(secret_parse_hex("abcdzz", 4, &secret), 0);
	ck_assert_uint_eq(secret.length_bytes, 2);
}
END_TEST

START_TEST(no_digits_are_a_secret_without_bytes)
{
	struct secret secret;

	ck_assert_int_eq(secret_parse_hex("0x", 2, &secret), 0);
	ck_assert_uint_eq(secret.length_bytes, 0);
}
END_TEST

START_TEST(a_refused_text_leaves_the_secret_wiped)
{
	static const char *const texts[] = {"abc", "0xabc", "abcg", "ab cd ", "0x0x12", "-1", "abcd:f"};
	struct secret secret;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&secret, 0x5a, sizeof(secret));
		ck_assert_msg(
			secret_parse_hex(texts[i], strlen(texts[i]), &secret) == -EINVAL, "%s", texts[i]);
		ck_assert_mem_eq(&secret, &wiped, sizeof(secret));
	}
}
END_TEST

START_TEST(the_longest_secret_fits_and_a_longer_one_is_refused)
{
	char text[2 * SECRET_BYTES_MAX + 2];
	struct secret secret;

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(secret_parse_hex(text, 2 * SECRET_BYTES_MAX, &secret), 0);
	ck_assert_uint_eq(secret.bytes[SECRET_BYTES_MAX - 1], 0xaa);
	ck_assert_int_eq(secret_parse_hex(text, sizeof(text), &secret), -E2BIG);
	ck_assert_mem_eq(&secret, &wiped, sizeof(secret));
}
END_TEST

START_TEST(a_wiped_secret_is_all_zeros)
{
	struct secret secret;

	memset(&secret, 0x5a, sizeof(secret));
	secret_wipe(&secret);
	ck_assert_mem_eq(&secret, &wiped, sizeof(secret));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base/secret");
	TCase *tcase = tcase_create("secret");

	tcase_add_test(tcase, hexadecimal_digits_become_bytes_in_their_order);
	tcase_add_test(tcase, only_the_given_length_is_read);
	tcase_add_test(tcase, no_digits_are_a_secret_without_bytes);
	tcase_add_test(tcase, a_refused_text_leaves_the_secret_wiped);
	tcase_add_test(tcase, the_longest_secret_fits_and_a_longer_one_is_refused);
	tcase_add_test(tcase, a_wiped_secret_is_all_zeros);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
