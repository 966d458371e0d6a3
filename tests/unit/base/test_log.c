#include "base/log.h"
#include "run.h"

#include <string.h>

static void ck_format(const char *text, const char *expected)
{
	char out[LOG_TEXT_MAX];

	log_format("info", text, out);
	ck_assert_str_eq(out, expected);
}

START_TEST(words_are_the_message_and_the_pairs_behind_them_stay)
{
	ck_format("peer moved sa=a spi=0x00000001", "level=info msg=\"peer moved\" sa=a spi=0x00000001");
	ck_format("forwarding", "level=info msg=forwarding");
	ck_format("worker=0 cpu=3", "level=info worker=0 cpu=3");
	ck_format("", "level=info");
}
END_TEST

START_TEST(a_value_is_quoted_where_it_must_be)
{
	ck_format("port=lan device=net_pcap0,rx_pcap=a,tx_pcap=b",
		"level=info port=lan device=\"net_pcap0,rx_pcap=a,tx_pcap=b\"");
	ck_format("it is device=\"x\\", "level=info msg=\"it is\" device=\"\\\"x\\\\\"");
	ck_format("it is empty=", "level=info msg=\"it is\" empty=\"\"");
}
END_TEST

START_TEST(pairs_in_the_middle_of_words_are_words)
{
	ck_format("port lan: 'a=b' can't be opened: no x=y there",
		"level=info msg=\"port lan: 'a=b' can't be opened: no x=y there\"");
	ck_format("a=b is wrong port=lan", "level=info msg=\"a=b is wrong\" port=lan");
}
END_TEST

START_TEST(what_would_end_a_line_or_a_quote_is_escaped)
{
	ck_format("it said \"no\"\nand\tleft", "level=info msg=\"it said \\\"no\\\"\\nand?left\"");
	ck_format("Grüße sa=a", "level=info msg=Grüße sa=a");
}
END_TEST

START_TEST(the_longest_line_fits_however_much_is_escaped)
{
	char text[LOG_LINE_MAX], out[LOG_TEXT_MAX];

	memset(text, '"', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_format("warning", text, out);
	ck_assert_uint_lt(strlen(out), sizeof(out));
	/* Pairs of which each is quoted. */
	for (size_t i = 0; i + 3 < sizeof(text); i += 3)
		memcpy(text + i, "a= ", 3);
	log_format("warning", text, out);
	ck_assert_uint_lt(strlen(out), sizeof(out));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_test(tcase, words_are_the_message_and_the_pairs_behind_them_stay);
	tcase_add_test(tcase, a_value_is_quoted_where_it_must_be);
	tcase_add_test(tcase, pairs_in_the_middle_of_words_are_words);
	tcase_add_test(tcase, what_would_end_a_line_or_a_quote_is_escaped);
	tcase_add_test(tcase, the_longest_line_fits_however_much_is_escaped);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
