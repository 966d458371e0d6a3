#include "model/alg.h"

#include <string.h>

/* clang-format off */

/* RFC 4106: a salt of 4 bytes; all three lengths of the ICV (section 6). */
#define GCM_ROW(name_, key_, iv_, icv_, insecure_) \
	{.name = name_, .cipher = CIPHER_AES_GCM, .cipher_key_bytes = key_, .salt_bytes = 4, .iv_bytes = iv_, \
		.icv_bytes = icv_, .align_bytes = 4, .insecure = insecure_}
#define GCM(name_, key_) \
	GCM_ROW(name_ "8", key_, 8, 8, NULL), \
	GCM_ROW(name_ "12", key_, 8, 12, NULL), \
	GCM_ROW(name_ "16", key_, 8, 16, NULL), \
	GCM_ROW(name_ "16iiv", key_, 0, 16, NONCES_REPEAT)

/* RFC 4309 sections 3.1, 4 and 7.1: a salt of 3 bytes. */
#define CCM_ROW(name_, key_, icv_) \
	{.name = name_, .cipher = CIPHER_AES_CCM, .cipher_key_bytes = key_, .salt_bytes = 3, .iv_bytes = 8, \
		.icv_bytes = icv_, .align_bytes = 4}
#define CCM(name_, key_) \
	CCM_ROW(name_ "8", key_, 8), CCM_ROW(name_ "12", key_, 12), CCM_ROW(name_ "16", key_, 16)

#define GMAC(name_, key_) \
	{.name = name_, .cipher = CIPHER_AES_GMAC, .cipher_key_bytes = key_, .salt_bytes = 4, .iv_bytes = 8, \
		.icv_bytes = 16, .align_bytes = 4}

/* The parts of a cipher that does not authenticate, in the order of struct alg. */
#define CIPHER(cipher_, key_, salt_, iv_, align_) \
	.cipher = cipher_, .cipher_key_bytes = key_, .salt_bytes = salt_, .iv_bytes = iv_, .align_bytes = align_

/* What authenticates: the key is as long as the hash (RFC 4868 section 2.1.1, RFC 2404 section 3). */
#define SHA1 .auth = AUTH_HMAC_SHA1, .auth_key_bytes = 20, .icv_bytes = 12
#define SHA256 .auth = AUTH_HMAC_SHA2_256, .auth_key_bytes = 32, .icv_bytes = 16
/* As the draft before RFC 4868 had it, and with it old Linux and Android. */
#define SHA256_96 .auth = AUTH_HMAC_SHA2_256, .auth_key_bytes = 32, .icv_bytes = 12
#define SHA384 .auth = AUTH_HMAC_SHA2_384, .auth_key_bytes = 48, .icv_bytes = 24
#define SHA512 .auth = AUTH_HMAC_SHA2_512, .auth_key_bytes = 64, .icv_bytes = 32
#define XCBC .auth = AUTH_AES_XCBC, .auth_key_bytes = 16, .icv_bytes = 12
#define CMAC .auth = AUTH_AES_CMAC, .auth_key_bytes = 16, .icv_bytes = 12

/* A cipher with each of them. */
#define WITH_AUTHS(name_, ...) \
	{.name = name_ "-sha1", SHA1, __VA_ARGS__}, \
	{.name = name_ "-sha256", SHA256, __VA_ARGS__}, \
	{.name = name_ "-sha256_96", SHA256_96, __VA_ARGS__}, \
	{.name = name_ "-sha384", SHA384, __VA_ARGS__}, \
	{.name = name_ "-sha512", SHA512, __VA_ARGS__}, \
	{.name = name_ "-aesxcbc", XCBC, __VA_ARGS__}, \
	{.name = name_ "-aescmac", CMAC, __VA_ARGS__}

#define NONCES_REPEAT \
	"with a key from this file uses its nonces again after a restart (RFC 8750 section 7)"
#define SHORT_BLOCKS "is advised against (RFC 8221 section 5)"

static const struct alg algs[] = {
	GCM("aes128gcm", 16),
	GCM("aes192gcm", 24),
	GCM("aes256gcm", 32),
	/* RFC 7634 section 2 */
	{.name = "chacha20poly1305", .cipher = CIPHER_CHACHA20_POLY1305, .cipher_key_bytes = 32, .salt_bytes = 4,
		.iv_bytes = 8, .icv_bytes = 16, .align_bytes = 4},
	CCM("aes128ccm", 16),
	CCM("aes256ccm", 32),
	/* RFC 4543 section 3 */
	GMAC("aes128gmac", 16),
	GMAC("aes192gmac", 24),
	GMAC("aes256gmac", 32),
	/* RFC 3602 section 2 */
	WITH_AUTHS("aes128", CIPHER(CIPHER_AES_CBC, 16, 0, 16, 16)),
	WITH_AUTHS("aes192", CIPHER(CIPHER_AES_CBC, 24, 0, 16, 16)),
	WITH_AUTHS("aes256", CIPHER(CIPHER_AES_CBC, 32, 0, 16, 16)),
	/* RFC 3686 sections 3.1 and 5.1: what it calls a nonce is a salt */
	WITH_AUTHS("aes128ctr", CIPHER(CIPHER_AES_CTR, 16, 4, 8, 4)),
	WITH_AUTHS("aes192ctr", CIPHER(CIPHER_AES_CTR, 24, 4, 8, 4)),
	WITH_AUTHS("aes256ctr", CIPHER(CIPHER_AES_CTR, 32, 4, 8, 4)),
	/* RFC 2410 */
	WITH_AUTHS("null", CIPHER(CIPHER_NULL, 0, 0, 0, 4)),
	/* RFC 2451 */
	{.name = "3des-sha1", SHA1, CIPHER(CIPHER_3DES_CBC, 24, 0, 8, 8), .insecure = SHORT_BLOCKS},
	{.name = "3des-sha256", SHA256, CIPHER(CIPHER_3DES_CBC, 24, 0, 8, 8), .insecure = SHORT_BLOCKS},
};
/* clang-format on */

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

/* Parts of a keyword, as they begin, of what MUST NOT be used. */
static const struct {
	const char *part;
	const char *why;
} forbidden[] = {
	{"des-", "DES is forbidden (RFC 8221 section 5)"},
	{"blowfish", "Blowfish is forbidden (RFC 8221 section 5)"},
	{"idea", "IDEA is forbidden (RFC 8221 section 5)"},
	{"md5", "HMAC-MD5 is forbidden (RFC 8221 section 6)"},
};

const struct alg *alg_at(size_t index)
{
	return index < N_ALGS ? &algs[index] : NULL;
}

size_t alg_index(const struct alg *alg)
{
	return (size_t)(alg - algs);
}

const struct alg *alg_find(const char *name)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

static const char *forbidden_part(const char *part)
{
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (strncmp(part, forbidden[i].part, strlen(forbidden[i].part)) == 0)
			return forbidden[i].why;
	return strcmp(part, "des") == 0 ? forbidden[0].why : NULL;
}

/* Is the text, up to `length`, a cipher that needs another algorithm for integrity? */
static bool needs_auth(const char *cipher, size_t length)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (strncmp(algs[i].name, cipher, length) == 0 && algs[i].name[length] == '-')
			return true;
	return false;
}

const char *alg_forbidden(const char *name)
{
	const char *dash = strchr(name, '-');
	const char *auth = dash ? dash + 1 : "";
	const char *why = forbidden_part(name);

	if (!why)
		why = forbidden_part(auth);
	if (why)
		return why;
	/* strongSwan writes neither; people do. */
	if (strcmp(auth, "") != 0 && strcmp(auth, "none") != 0 && strcmp(auth, "null") != 0)
		return NULL;
	if (!needs_auth(name, dash ? (size_t)(dash - name) : strlen(name)))
		return NULL;
	return strncmp(name, "null", 4) == 0
		       ? "ESP without encryption and without integrity is forbidden (RFC 8221 section 4)"
		       : "encryption without integrity is forbidden (RFC 8221 section 4)";
}
