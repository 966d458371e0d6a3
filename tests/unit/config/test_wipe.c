/*
 * Every block of memory that is freed while a configuration is loaded is searched for the key: this program's
 * free takes the place of the C library's, for libyaml too.
 */
#include "support.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#define HEX "c0ffee00112233445566778899aabbccddeeff42"
#define SITE                                                                                                 \
	"workers: {lcores: [1]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_tap0, side: protected, addresses: [10.1.0.1/24]}\n"                             \
	"  wan: {device: net_tap1, side: unprotected, addresses: [192.0.2.1/24]}\n"                          \
	"sas:\n"                                                                                             \
	"  up: {spi: 4097, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, "

static const uint8_t key_bytes[] = {0xc0, 0xff, 0xee, 0x00, 0x11, 0x22, 0x33, 0x44};

/* Volatile, since the compiler knows that the C library's free reads nothing of ours. */
static volatile struct {
	bool on;
	unsigned blocks; /* that were freed */
	unsigned with_key;
} watch;

void __libc_free(void *memory);
void free(void *memory);

void free(void *memory)
{
	if (memory && watch.on) {
		size_t size = malloc_usable_size(memory);

		watch.blocks++;
		if (memmem(memory, size, HEX, sizeof(HEX) - 1) ||
			memmem(memory, size, key_bytes, sizeof(key_bytes)))
			watch.with_key++;
	}
	__libc_free(memory);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Load a file of that text, free everything, and expect no trace of the key. */
static void assert_wiped(const char *text, int expected)
{
	char directory[] = "/tmp/culvert-test-XXXXXX", site[64], key[64];
	struct gateway gateway;
	struct report report;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(site, sizeof(site), "%s/site.yaml", directory);
	snprintf(key, sizeof(key), "%s/up.key", directory);
	write_file(site, text);
	write_file(key, HEX "\n");
	watch.on = true;
	report_init(&report);
	ck_assert_int_eq(config_load(site, &gateway, &report), expected);
	report_fini(&report);
	gateway_fini(&gateway);
	watch.on = false;
	unlink(site);
	unlink(key);
	rmdir(directory);
	ck_assert_uint_gt(watch.blocks, 0);
	ck_assert_uint_eq(watch.with_key, 0);
}

START_TEST(a_key_is_found_in_memory_that_is_not_wiped)
{
	char *text = strdup("key: " HEX);

	watch.on = true;
	free(text);
	watch.on = false;
	ck_assert_uint_eq(watch.with_key, 1);
}
END_TEST

// ALG-13
START_TEST(a_key_in_the_configuration_leaves_no_trace)
{
	assert_wiped(SITE "key: \"0x" HEX "\"}\n", 0);
	assert_wiped(SITE "key: 0x" HEX "}\n", 0);
}
END_TEST

// ALG-13
START_TEST(a_key_in_a_file_leaves_no_trace)
{
	assert_wiped(SITE "key_file: up.key}\n", 0);
}
END_TEST

// ALG-13
START_TEST(a_key_in_a_faulty_configuration_leaves_no_trace)
{
	assert_wiped(SITE "key: \"0x" HEX "\", nonsense: 1}\n", -EINVAL);
	assert_wiped(SITE "key: \"0x" HEX "00\"}\n", -EINVAL);
	assert_wiped(SITE "spi: \"0x" HEX "\", \"" HEX "\": 1}\n", -EINVAL);
	assert_wiped(SITE "key: &anchor \"0x" HEX "\"}\n", -EINVAL);
	assert_wiped(SITE "key: \"0x" HEX "\"}\n]\n", -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config/wipe");
	TCase *tcase = tcase_create("wipe");

	tcase_add_test(tcase, a_key_is_found_in_memory_that_is_not_wiped);
	tcase_add_test(tcase, a_key_in_the_configuration_leaves_no_trace);
	tcase_add_test(tcase, a_key_in_a_file_leaves_no_trace);
	tcase_add_test(tcase, a_key_in_a_faulty_configuration_leaves_no_trace);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
