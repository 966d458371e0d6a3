#include "base/secret.h"

#include <errno.h>
#include <string.h>

void secret_wipe(struct secret *secret)
{
	explicit_bzero(secret, sizeof(*secret));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int secret_parse_hex(const char *text, size_t length, struct secret *secret)
{
	secret_wipe(secret);
	if (length >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		length -= 2;
	}
	if (length % 2 != 0)
		return -EINVAL;
	if (length / 2 > SECRET_BYTES_MAX)
		return -E2BIG;
	for (size_t i = 0; i < length; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0) {
			secret_wipe(secret);
			return -EINVAL;
		}
		secret->bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	secret->length_bytes = length / 2;
	return 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	volatile uint8_t differs = a->length_bytes != b->length_bytes;

	for (size_t i = 0; i < SECRET_BYTES_MAX; i++)
		differs |= a->bytes[i] ^ b->bytes[i];
	return !differs;
}
