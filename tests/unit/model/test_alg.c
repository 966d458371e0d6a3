#include "model/alg.h"

#include <check.h>
#include <stdlib.h>

START_TEST(each_keyword_finds_its_own_row)
{
	const struct alg *alg;
	size_t n = 0;

	for (; (alg = alg_at(n)); n++) {
		ck_assert_ptr_eq(alg_find(alg->name), alg);
		ck_assert_uint_eq(alg_index(alg), n);
	}
	ck_assert_uint_eq(n, 12 + 1 + 6 + 3 + 7 * 7 + 2);
}
END_TEST

START_TEST(a_keyword_is_matched_whole_and_in_lower_case)
{
	ck_assert_ptr_null(alg_find(""));
	ck_assert_ptr_null(alg_find("aes128gcm"));
	ck_assert_ptr_null(alg_find("aes128"));
	ck_assert_ptr_null(alg_find("aes128-sha256-96"));
	ck_assert_ptr_null(alg_find("sha256"));
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
	{"aes128gcm8", CIPHER_AES_GCM, AUTH_NONE, 16 + 4, 4, 8, 8, 4},
	{"aes128gcm12", CIPHER_AES_GCM, AUTH_NONE, 16 + 4, 4, 8, 12, 4},
	{"aes128gcm16", CIPHER_AES_GCM, AUTH_NONE, 16 + 4, 4, 8, 16, 4},
	{"aes192gcm8", CIPHER_AES_GCM, AUTH_NONE, 24 + 4, 4, 8, 8, 4},
	{"aes192gcm12", CIPHER_AES_GCM, AUTH_NONE, 24 + 4, 4, 8, 12, 4},
	{"aes192gcm16", CIPHER_AES_GCM, AUTH_NONE, 24 + 4, 4, 8, 16, 4},
	{"aes256gcm8", CIPHER_AES_GCM, AUTH_NONE, 32 + 4, 4, 8, 8, 4},
	{"aes256gcm12", CIPHER_AES_GCM, AUTH_NONE, 32 + 4, 4, 8, 12, 4},
	{"aes256gcm16", CIPHER_AES_GCM, AUTH_NONE, 32 + 4, 4, 8, 16, 4},
	/* RFC 8750 section 4 */
	{"aes128gcm16iiv", CIPHER_AES_GCM, AUTH_NONE, 16 + 4, 4, 0, 16, 4},
	{"aes192gcm16iiv", CIPHER_AES_GCM, AUTH_NONE, 24 + 4, 4, 0, 16, 4},
	{"aes256gcm16iiv", CIPHER_AES_GCM, AUTH_NONE, 32 + 4, 4, 0, 16, 4},
	/* RFC 7634 section 2 */
	{"chacha20poly1305", CIPHER_CHACHA20_POLY1305, AUTH_NONE, 32 + 4, 4, 8, 16, 4},
	/* RFC 4309 sections 3.1, 4, 6 and 7.1 */
	{"aes128ccm8", CIPHER_AES_CCM, AUTH_NONE, 16 + 3, 3, 8, 8, 4},
	{"aes128ccm12", CIPHER_AES_CCM, AUTH_NONE, 16 + 3, 3, 8, 12, 4},
	{"aes128ccm16", CIPHER_AES_CCM, AUTH_NONE, 16 + 3, 3, 8, 16, 4},
	{"aes256ccm8", CIPHER_AES_CCM, AUTH_NONE, 32 + 3, 3, 8, 8, 4},
	{"aes256ccm12", CIPHER_AES_CCM, AUTH_NONE, 32 + 3, 3, 8, 12, 4},
	{"aes256ccm16", CIPHER_AES_CCM, AUTH_NONE, 32 + 3, 3, 8, 16, 4},
	/* RFC 4543 sections 3 and 5 */
	{"aes128gmac", CIPHER_AES_GMAC, AUTH_NONE, 16 + 4, 4, 8, 16, 4},
	{"aes192gmac", CIPHER_AES_GMAC, AUTH_NONE, 24 + 4, 4, 8, 16, 4},
	{"aes256gmac", CIPHER_AES_GMAC, AUTH_NONE, 32 + 4, 4, 8, 16, 4},
	/* RFC 3602 sections 2.4 and 3, RFC 2404 section 3, RFC 4868 section 2.6 */
	{"aes128-sha1", CIPHER_AES_CBC, AUTH_HMAC_SHA1, 16 + 20, 0, 16, 12, 16},
	{"aes128-sha256", CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 16 + 32, 0, 16, 16, 16},
	{"aes128-sha256_96", CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 16 + 32, 0, 16, 12, 16},
	{"aes192-sha384", CIPHER_AES_CBC, AUTH_HMAC_SHA2_384, 24 + 48, 0, 16, 24, 16},
	{"aes256-sha256", CIPHER_AES_CBC, AUTH_HMAC_SHA2_256, 32 + 32, 0, 16, 16, 16},
	{"aes256-sha512", CIPHER_AES_CBC, AUTH_HMAC_SHA2_512, 32 + 64, 0, 16, 32, 16},
	/* RFC 3566 sections 3 and 4, RFC 4494 section 2 */
	{"aes128-aesxcbc", CIPHER_AES_CBC, AUTH_AES_XCBC, 16 + 16, 0, 16, 12, 16},
	{"aes256-aescmac", CIPHER_AES_CBC, AUTH_AES_CMAC, 32 + 16, 0, 16, 12, 16},
	/* RFC 3686 sections 3 and 5.1 */
	{"aes128ctr-sha256", CIPHER_AES_CTR, AUTH_HMAC_SHA2_256, 16 + 4 + 32, 4, 8, 16, 4},
	{"aes192ctr-sha1", CIPHER_AES_CTR, AUTH_HMAC_SHA1, 24 + 4 + 20, 4, 8, 12, 4},
	{"aes256ctr-sha512", CIPHER_AES_CTR, AUTH_HMAC_SHA2_512, 32 + 4 + 64, 4, 8, 32, 4},
	/* RFC 2410 */
	{"null-sha1", CIPHER_NULL, AUTH_HMAC_SHA1, 20, 0, 0, 12, 4},
	{"null-sha256", CIPHER_NULL, AUTH_HMAC_SHA2_256, 32, 0, 0, 16, 4},
	{"null-sha256_96", CIPHER_NULL, AUTH_HMAC_SHA2_256, 32, 0, 0, 12, 4},
	{"null-sha384", CIPHER_NULL, AUTH_HMAC_SHA2_384, 48, 0, 0, 24, 4},
	{"null-sha512", CIPHER_NULL, AUTH_HMAC_SHA2_512, 64, 0, 0, 32, 4},
	{"null-aesxcbc", CIPHER_NULL, AUTH_AES_XCBC, 16, 0, 0, 12, 4},
	{"null-aescmac", CIPHER_NULL, AUTH_AES_CMAC, 16, 0, 0, 12, 4},
	/* RFC 2451 sections 2.2 and 2.3 */
	{"3des-sha1", CIPHER_3DES_CBC, AUTH_HMAC_SHA1, 24 + 20, 0, 8, 12, 8},
	{"3des-sha256", CIPHER_3DES_CBC, AUTH_HMAC_SHA2_256, 24 + 32, 0, 8, 16, 8},
};

// ALG-1, ALG-2, ALG-3, ALG-4, ALG-5, ALG-6, ALG-7, ALG-8, ALG-9, ALG-10
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

START_TEST(gcm_ccm_and_chacha20_encrypt_and_authenticate_at_once)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)); i++)
		ck_assert_int_eq(alg_is_aead(alg), alg->cipher == CIPHER_AES_GCM ||
							   alg->cipher == CIPHER_AES_CCM ||
							   alg->cipher == CIPHER_CHACHA20_POLY1305);
}
END_TEST

/* ESP-9, ALG-9 */
START_TEST(every_algorithm_protects_integrity)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)); i++) {
		ck_assert(alg->auth != AUTH_NONE || alg_is_aead(alg) || alg->cipher == CIPHER_AES_GMAC);
		ck_assert_uint_ge(alg->icv_bytes, 8);
	}
}
END_TEST

// ALG-11, ALG-10
START_TEST(three_des_and_implicit_ivs_are_insecure_and_no_others)
{
	const struct alg *alg;

	for (size_t i = 0; (alg = alg_at(i)); i++)
		ck_assert_int_eq(
			alg->insecure != NULL, alg->cipher == CIPHER_3DES_CBC || alg_has_implicit_iv(alg));
}
END_TEST

static const struct {
	const char *name;
	const char *why; /* NULL: nothing forbids it */
} keywords[] = {
	{"des-sha1", "DES is forbidden (RFC 8221 section 5)"},
	{"des", "DES is forbidden (RFC 8221 section 5)"},
	{"blowfish256-sha256", "Blowfish is forbidden (RFC 8221 section 5)"},
	{"idea-sha1", "IDEA is forbidden (RFC 8221 section 5)"},
	{"aes128-md5", "HMAC-MD5 is forbidden (RFC 8221 section 6)"},
	{"3des-md5", "HMAC-MD5 is forbidden (RFC 8221 section 6)"},
	{"aes128", "encryption without integrity is forbidden (RFC 8221 section 4)"},
	{"aes256ctr", "encryption without integrity is forbidden (RFC 8221 section 4)"},
	{"aes192-none", "encryption without integrity is forbidden (RFC 8221 section 4)"},
	{"3des-null", "encryption without integrity is forbidden (RFC 8221 section 4)"},
	{"null", "ESP without encryption and without integrity is forbidden (RFC 8221 section 4)"},
	{"null-none", "ESP without encryption and without integrity is forbidden (RFC 8221 section 4)"},
	{"", NULL},
	{"-", NULL},
	{"aes", NULL},
	{"aes128gcm", NULL},
	{"aes128-sha", NULL},
	{"aes128gcm16", NULL},
	{"destiny", NULL},
	{"sha1-aes128", NULL},
};

// ALG-11, ESP-9
START_TEST(what_rfc_8221_forbids_is_told_from_what_is_unknown)
{
	const char *why = alg_forbidden(keywords[_i].name);

	if (keywords[_i].why)
		ck_assert_pstr_eq(why, keywords[_i].why);
	else
		ck_assert_ptr_null(why);
	ck_assert(!keywords[_i].why || !alg_find(keywords[_i].name));
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
	tcase_add_test(cases, gcm_ccm_and_chacha20_encrypt_and_authenticate_at_once);
	tcase_add_test(cases, every_algorithm_protects_integrity);
	tcase_add_test(cases, three_des_and_implicit_ivs_are_insecure_and_no_others);
	tcase_add_loop_test(cases, what_rfc_8221_forbids_is_told_from_what_is_unknown, 0,
		sizeof(keywords) / sizeof(keywords[0]));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
