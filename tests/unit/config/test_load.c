#include "support.h"

#include "config/key_file.h"
#include "support/sanitizer.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define HEX "00112233445566778899aabbccddeeff01020304"
#define SITE                                                                                                 \
	"workers: {lcores: [1]}\n"                                                                           \
	"ports:\n"                                                                                           \
	"  lan: {device: net_tap0, side: protected, addresses: [10.1.0.1/24]}\n"                             \
	"  wan: {device: net_tap1, side: unprotected, addresses: [192.0.2.1/24]}\n"                          \
	"sas:\n"                                                                                             \
	"  up: {spi: 4097, source: 192.0.2.1, destination: 198.51.100.1, esp: aes128gcm16, key_file: "       \
	"up.key}\n"

/* Each test has a directory of its own, which it removes. */
static char directory[] = "/tmp/culvert-test-XXXXXX";

static void setup(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(command), 0);
}

/* The path of a file in the directory; one at a time. */
static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* Load the site with its key file as it is; the printed report, to be freed. */
static char *load_site(int expected, struct gateway *gateway)
{
	struct report report;
	char *printed;

	report_init(&report);
	ck_assert_int_eq(config_load(path_of("site.yaml"), gateway, &report), expected);
	printed = report_text(&report);
	report_fini(&report);
	return printed;
}

static void assert_refused(const char *finding)
{
	struct gateway gateway;
	char *printed;

	write_file("site.yaml", SITE, 0644);
	printed = load_site(-EINVAL, &gateway);
	ck_assert_str_eq(printed, finding);
	ck_assert_uint_eq(gateway.n_sas, 0);
	free(printed);
}

START_TEST(a_key_file_is_found_beside_the_configuration)
{
	struct gateway gateway;
	char *printed;

	write_file("site.yaml", SITE, 0644);
	write_file("up.key", "0x" HEX "\n", 0600);
	printed = load_site(0, &gateway);
	ck_assert_str_eq(printed, "");
	ck_assert_uint_eq(gateway.sas[0].key.length_bytes, 20);
	ck_assert_uint_eq(gateway.sas[0].key.bytes[1], 0x11);
	ck_assert_uint_eq(gateway.sas[0].key.bytes[19], 0x04);
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(a_key_file_of_an_absolute_path_is_read)
{
	struct secret key;
	struct err err;

	write_file("up.key", "\n " HEX " \n\n", 0400);
	ck_assert_int_eq(key_file_read("/nonexistent", path_of("up.key"), &key, &err), 0);
	ck_assert_uint_eq(key.length_bytes, 20);
}
END_TEST

START_TEST(a_configuration_of_the_working_directory_has_its_key_files_there)
{
	struct gateway gateway;
	struct report report;

	write_file("site.yaml", SITE, 0644);
	write_file("up.key", HEX, 0600);
	ck_assert_int_eq(chdir(directory), 0);
	report_init(&report);
	ck_assert_int_eq(config_load("site.yaml", &gateway, &report), 0);
	gateway_fini(&gateway);
	report_fini(&report);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

static void assert_stopped(const char *path)
{
	const atomic_bool stop = true;
	struct gateway gateway;
	struct report report;

	report_init(&report);
	ck_assert_int_eq(config_load_until(path, &stop, &gateway, &report), -ECANCELED);
	ck_assert_uint_eq(report_total(&report), 1);
	ck_assert_uint_eq(gateway.n_ports, 0);
	report_fini(&report);
}

START_TEST(nothing_more_is_waited_for_once_it_is_told_to_stop)
{
	write_file("site.yaml", SITE, 0644);
	assert_stopped(path_of("site.yaml"));
	ck_assert_int_eq(mkfifo(path_of("pipe"), 0600), 0);
	assert_stopped(path_of("pipe"));
	unlink(path_of("pipe"));
}
END_TEST

START_TEST(a_path_that_is_too_long_is_no_key_file)
{
	char path[PATH_MAX + 1];
	struct secret key;
	struct err err;

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(key_file_read("/tmp", path, &key, &err), -ENAMETOOLONG);
	ck_assert_str_eq(err.text, "can't open the key file: File name too long");
}
END_TEST

START_TEST(a_key_file_that_others_may_read_is_refused)
{
	write_file("up.key", HEX, 0640);
	assert_refused(
		"6:93: sas.up.key_file: the key file has mode 0640; only its owner may have access to it "
		"(chmod 600)\n");
	write_file("up.key", HEX, 0602);
	assert_refused(
		"6:93: sas.up.key_file: the key file has mode 0602; only its owner may have access to it "
		"(chmod 600)\n");
}
END_TEST

START_TEST(a_key_file_of_another_user_is_refused)
{
	write_file("up.key", HEX, 0600);
	if (chown(path_of("up.key"), 12345, 0) != 0)
		return; /* only root can give a file away */
	assert_refused(
		"6:93: sas.up.key_file: the key file belongs to user 12345, who is neither root nor the user "
		"that reads it\n");
}
END_TEST

START_TEST(a_key_file_that_is_no_regular_file_is_refused)
{
	ck_assert_int_eq(mkdir(path_of("up.key"), 0700), 0);
	assert_refused("6:93: sas.up.key_file: the key file is not a regular file\n");
	ck_assert_int_eq(rmdir(path_of("up.key")), 0);
	ck_assert_int_eq(mkfifo(path_of("up.key"), 0600), 0);
	assert_refused("6:93: sas.up.key_file: the key file is not a regular file\n");
}
END_TEST

START_TEST(a_key_file_that_is_missing_is_refused)
{
	assert_refused("6:93: sas.up.key_file: can't open the key file: No such file or directory\n");
}
END_TEST

START_TEST(a_key_file_of_another_length_is_refused_and_not_shown)
{
	write_file("up.key", "0011223344556677", 0600);
	assert_refused("6:93: sas.up.key_file: 8 bytes given, aes128gcm16 needs 20 (16 key + 4 salt)\n");
}
END_TEST

START_TEST(a_key_file_of_something_else_is_refused_and_not_shown)
{
	static const char finding[] =
		"6:93: sas.up.key_file: the key file must hold hexadecimal digits, two a byte, "
		"at most 100 bytes\n";

	write_file("up.key", "correct horse battery staple\n", 0600);
	assert_refused(finding);
	write_file("up.key", HEX "\n" HEX "\n", 0600);
	assert_refused(finding);
	write_file("up.key", "\n", 0600);
	assert_refused(finding);
}
END_TEST

START_TEST(a_key_file_that_is_too_long_is_refused)
{
	char text[KEY_FILE_BYTES_MAX + 2];

	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	write_file("up.key", text, 0600);
	assert_refused("6:93: sas.up.key_file: the key file is longer than 4096 bytes\n");
}
END_TEST

START_TEST(a_missing_file_is_a_finding_without_a_line)
{
	struct gateway gateway;
	char *printed = load_site(-ENOENT, &gateway);

	ck_assert_str_eq(printed, " can't read the file: No such file or directory\n");
	free(printed);
}
END_TEST

START_TEST(a_directory_is_no_configuration)
{
	struct gateway gateway;
	char *printed;

	ck_assert_int_eq(mkdir(path_of("site.yaml"), 0700), 0);
	printed = load_site(-EISDIR, &gateway);
	ck_assert_str_eq(printed, " can't read the file: Is a directory\n");
	free(printed);
}
END_TEST

START_TEST(findings_are_printed_as_a_compiler_does)
{
	struct report report;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	report_init(&report);
	report_add_at(&report, 41, 7, "sas.hq-out.key", "16 bytes given");
	report_add(&report, "", "no place");
	report.n_more = 3;
	config_report_print(out, "site.yaml", &report);
	fclose(out);
	ck_assert_str_eq(text, "site.yaml:41:7: sas.hq-out.key: 16 bytes given\n"
			       "site.yaml: no place\n"
			       "site.yaml: and 3 more\n");
	free(text);
	report_fini(&report);
}
END_TEST

#define MANY ASAN_ROUNDS(100000)

/* Natively as large as the largest gateway we mean to serve; quadratic work would take minutes. */
START_TEST(a_hundred_thousand_sas_and_policies_load_in_seconds)
{
	struct gateway gateway;
	FILE *out = fopen(path_of("site.yaml"), "w");
	char *printed;

	fputs("workers: {lcores: [1]}\nports:\n"
	      "  lan: {device: net_tap0, side: protected, addresses: [10.1.0.1/24]}\n"
	      "  wan: {device: net_tap1, side: unprotected, addresses: [192.0.2.1/24]}\nsas:\n",
		out);
	for (unsigned i = 0; i < MANY; i++)
		fprintf(out,
			"  customer-tunnel-%06u: {spi: %u, source: 192.0.2.1, destination: 198.51.100.1, "
			"esp: aes128gcm16, key: \"0x%040x\"}\n",
			i, 4096 + i, i + 1);
	fputs("policies:\n", out);
	for (unsigned i = 0; i < MANY; i++)
		fprintf(out,
			"  - {name: customer-policy-%06u, direction: out, action: protect, "
			"destination: 10.2.0.0/16, sas: [customer-tunnel-%06u]}\n",
			i, i);
	fclose(out);
	printed = load_site(0, &gateway);
	ck_assert_str_eq(printed, "");
	ck_assert_uint_eq(gateway.n_sas, MANY);
	ck_assert_uint_eq(gateway.n_policies, MANY);
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

/* As many faults: the report is bounded, and finding them costs no quadratic time either. */
START_TEST(a_hundred_thousand_duplicates_are_found_in_seconds)
{
	struct gateway gateway;
	FILE *out = fopen(path_of("site.yaml"), "w");
	char more[64], *printed;

	fputs("workers: {lcores: [1]}\nsas:\n", out);
	for (unsigned i = 0; i < MANY; i++)
		fprintf(out, "  same: 1\n");
	fclose(out);
	printed = load_site(-EINVAL, &gateway);
	ck_assert_ptr_nonnull(strstr(printed, "sas: 'same' is given twice; the first is in line 3\n"));
	snprintf(more, sizeof(more), " and %d more\n", 2 * MANY - REPORT_FINDINGS_MAX);
	ck_assert_ptr_nonnull(strstr(printed, more));
	free(printed);
}
END_TEST

static void copy_example(const char *name)
{
	char command[512];

	snprintf(command, sizeof(command), "cp '%s/%s' '%s'", getenv("CULVERT_CONFIG_DIR"), name,
		path_of("site.yaml"));
	ck_assert_int_eq(system(command), 0);
}

/* The examples name two key files; git keeps no mode 0600, so they are made here. */
static void assert_example_loads(const char *name)
{
	struct gateway gateway;
	char *printed;

	copy_example(name);
	write_file("a-to-b.key", "0x" HEX, 0600);
	write_file("b-to-a.key", "0x40302010ffeeddccbbaa99887766554433221100", 0600);
	printed = load_site(0, &gateway);
	ck_assert_str_eq(printed, "");
	ck_assert_uint_eq(gateway.n_ports, 2);
	ck_assert_uint_eq(gateway.n_sas, 4);
	ck_assert_uint_ge(gateway.n_policies, 5);
	free(printed);
	gateway_fini(&gateway);
}

START_TEST(the_example_of_site_a_loads)
{
	assert_example_loads("site-a.yaml");
}
END_TEST

START_TEST(the_example_of_site_b_loads)
{
	assert_example_loads("site-b.yaml");
}
END_TEST

START_TEST(the_example_of_the_hub_loads)
{
	struct gateway gateway;
	char *printed;

	copy_example("hub.yaml");
	printed = load_site(0, &gateway);
	ck_assert_str_eq(printed, "");
	ck_assert_uint_eq(gateway.n_sas, 10);
	free(printed);
	gateway_fini(&gateway);
}
END_TEST

START_TEST(the_examples_are_the_two_ends_of_the_same_sas)
{
	struct gateway a, b;

	copy_example("site-a.yaml");
	write_file("a-to-b.key", "0x" HEX, 0600);
	write_file("b-to-a.key", "0x40302010ffeeddccbbaa99887766554433221100", 0600);
	free(load_site(0, &a));
	copy_example("site-b.yaml");
	free(load_site(0, &b));
	for (size_t i = 0; i < a.n_sas; i++) {
		ck_assert_uint_eq(a.sas[i].spi, b.sas[i].spi);
		ck_assert_ptr_eq(a.sas[i].alg, b.sas[i].alg);
		ck_assert(ip_addr_equal(&a.sas[i].source, &b.sas[i].source));
		ck_assert(ip_addr_equal(&a.sas[i].destination, &b.sas[i].destination));
		ck_assert_mem_eq(&a.sas[i].key, &b.sas[i].key, sizeof(a.sas[i].key));
		ck_assert_int_eq(a.sas[i].esn, b.sas[i].esn);
		ck_assert(gateway_sa_is_inbound(&a, &a.sas[i]) != gateway_sa_is_inbound(&b, &b.sas[i]));
	}
	gateway_fini(&a);
	gateway_fini(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config/load");
	TCase *tcase = tcase_create("load");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_key_file_is_found_beside_the_configuration);
	tcase_add_test(tcase, a_key_file_of_an_absolute_path_is_read);
	tcase_add_test(tcase, a_configuration_of_the_working_directory_has_its_key_files_there);
	tcase_add_test(tcase, nothing_more_is_waited_for_once_it_is_told_to_stop);
	tcase_add_test(tcase, a_path_that_is_too_long_is_no_key_file);
	tcase_add_test(tcase, a_key_file_that_others_may_read_is_refused);
	tcase_add_test(tcase, a_key_file_of_another_user_is_refused);
	tcase_add_test(tcase, a_key_file_that_is_no_regular_file_is_refused);
	tcase_add_test(tcase, a_key_file_that_is_missing_is_refused);
	tcase_add_test(tcase, a_key_file_of_another_length_is_refused_and_not_shown);
	tcase_add_test(tcase, a_key_file_of_something_else_is_refused_and_not_shown);
	tcase_add_test(tcase, a_key_file_that_is_too_long_is_refused);
	tcase_add_test(tcase, a_missing_file_is_a_finding_without_a_line);
	tcase_add_test(tcase, a_directory_is_no_configuration);
	tcase_add_test(tcase, findings_are_printed_as_a_compiler_does);
	tcase_add_test(tcase, a_hundred_thousand_sas_and_policies_load_in_seconds);
	tcase_add_test(tcase, a_hundred_thousand_duplicates_are_found_in_seconds);
	tcase_add_test(tcase, the_example_of_site_a_loads);
	tcase_add_test(tcase, the_example_of_site_b_loads);
	tcase_add_test(tcase, the_example_of_the_hub_loads);
	tcase_add_test(tcase, the_examples_are_the_two_ends_of_the_same_sas);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
