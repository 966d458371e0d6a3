#include "model/alg.h"

#include <check.h>
#include <stdlib.h>

START_TEST(each_keyword_finds_its_own_row)
{
	const struct alg *alg;
	size_t n = 0;

	for (; (alg = alg_at(n)); n++)
		ck_assert_ptr_eq(alg_find(alg->name), alg);
	ck_assert_uint_eq(n, 7);
}
END_TEST

START_TEST(a_keyword_is_matched_whole_and_in_lower_case)
{
	ck_assert_ptr_null(alg_find(""));
	ck_assert_ptr_null(alg_find("aes128gcm"));
	ck_assert_ptr_null(alg_find("aes128gcm16x"));
	ck_assert_ptr_null(alg_find("AES128GCM16"));
	ck_assert_ptr_null(alg_find("3des-md5"));
}
END_TEST

/* The lengths as the RFCs have them, written out a second time so that a slip in the table shows. */
static const struct {
	const char *name;
	enum cipher_alg cipher;
	enum auth_alg auth;
	size_t key_bytes, salt_bytes, iv_bytes, icv_bytes, align_bytes;
} rfc_rows[] = {
	/* RFC 4106 sections 3, 4, 6 and 8.1 */
	{"aes128gcm16", CIPHER_AES_GCM, AUTH_NONE, 16 + 4, 4, 8, 16, 4},
	{"aes256gcm16", CIPHER_AES_GCM, AUTH_NONE, 32 + 4, 4, 8, 16, 4},
	/* RFC 3602 sections 2.4 and 3, RFC 4868 section 2.6 */
	{"aes128-sha256", CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 16 + 32, 0, 16, 16, 16},
	{"aes256-sha256", CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 32 + 32, 0, 16, 16, 16},
	{"aes256-sha512", CIPHER_AES_CBC, AUTH_HMAC_SHA2_512, 32 + 64, 0, 16, 32, 16},
	/* RFC 2410 */
	{"null-sha256", CIPHER_NULL, AUTH_HMAC_SHA2_256, 32, 0, 0, 16, 4},
	/* RFC 7634 section 2 */
	{"chacha20poly1305", CIPHER_CHACHA20_POLY1305, AUTH_NONE, 32 + 4, 4, 8, 16, 4},
};

START_TEST(lengths_are_those_of_the_rfcs)
{
	const struct alg *alg = alg_find(rfc_rows[_i].name);

	ck_assert_ptr_nonnull(alg);
	ck_assert_int_eq(alg->cipher, rfc_rows[_i].cipher);
	ck_assert_int_eq(alg->auth, rfc_rows[_i].auth);
	ck_assert_uint_eq(alg_key_bytes(alg), rfc_rows[_i].key_bytes);
	ck_assert_uint_eq(alg->salt_bytes, rfc_rows[_i].salt_bytes);
	ck_assert_uint_eq(alg->iv_bytes, rfc_rows[_i].iv_bytes);
	ck_assert_uint_eq(alg->icv_bytes, rfc_rows[_i].icv_bytes);
	ck_assert_uint_eq(alg->align_bytes, rfc_rows[_i].align_bytes);
}
END_TEST

START_TEST(gcm_and_chacha20_encrypt_and_authenticate_at_once)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)); i++)
		ck_assert_int_eq(alg_is_aead(alg),
			alg->cipher == CIPHER_AES_GCM || alg->cipher == CIPHER_CHACHA20_POLY1305);
}
END_TEST

/* ESP-9, ALG-9 */
START_TEST(every_algorithm_proves_who_sent_a_packet)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)); i++) {
		ck_assert_uint_ge(alg->icv_bytes, 8);
		ck_assert(alg_is_aead(alg) || alg->auth_key_bytes > 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model/alg");
	TCase *cases = tcase_create("alg");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, cases);
	tcase_add_test(cases, each_keyword_finds_its_own_row);
	tcase_add_test(cases, a_keyword_is_matched_whole_and_in_lower_case);
	tcase_add_loop_test(cases, lengths_are_those_of_the_rfcs, 0, sizeof(rfc_rows) / sizeof(rfc_rows[0]));
	tcase_add_test(cases, gcm_and_chacha20_encrypt_and_authenticate_at_once);
	tcase_add_test(cases, every_algorithm_proves_who_sent_a_packet);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
