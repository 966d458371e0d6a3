#include "support.h"

#include "config/yaml.h"
#include "support/sanitizer.h"

struct bad_case {
	const char *text;
	const char *findings;
};

/* clang-format off */
static const struct bad_case cases[] = {
	{"",
	 "1:1: the file is empty\n"},
	{"# nothing\n",
	 "2:1: the file is empty\n"},
	{"a: b\n" "\tc: d\n",
	 "2:1: not YAML: found a tab character that violates indentation while scanning a plain scalar; indent with spaces, not tabs\n"},
	{"a: [1, 2\n" "b: 3\n",
	 "2:2: not YAML: did not find expected ',' or ']' while parsing a flow sequence\n"},
	{"a: \"unterminated\n",
	 "2:1: not YAML: found unexpected end of stream while scanning a quoted scalar\n"},
	{"workers: &w {lcores: [1]}\n" "ports: *w\n",
	 "1:10: anchors (&name) are not read; write the value out where it is used\n"},
	{"workers: {lcores: [1]}\n" "ports: *w\n",
	 "2:8: aliases (*name) are not read; write the value out\n"},
	{"a: !!str b\n",
	 "1:4: tags (!name) are not read\n"},
	{"--- \n" "a: 1\n" "---\n" "b: 2\n",
	 "3:1: a second document; one file is one gateway\n"},
	{"{[1, 2]: 3}\n",
	 "1:2: a key must be a word\n"},
	{"a: \"x\\0y\"\n",
	 "1:4: a NUL character in a value\n"},
	{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n",
	 "1:17: nested too deep\n"},
};
/* clang-format on */

static struct yaml_node *parse(const char *text)
{
	struct report report;
	struct yaml_node *root;

	report_init(&report);
	root = yaml_tree_parse(text, strlen(text), &report);
	ck_assert_ptr_nonnull(root);
	ck_assert_uint_eq(report.n_findings, 0);
	report_fini(&report);
	return root;
}

START_TEST(text_that_is_not_read_is_found_at_its_place)
{
	struct report report;
	char *printed;

	report_init(&report);
	ck_assert_ptr_null(yaml_tree_parse(cases[_i].text, strlen(cases[_i].text), &report));
	printed = report_text(&report);
	ck_assert_str_eq(printed, cases[_i].findings);
	free(printed);
	report_fini(&report);
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_found_at_their_place)
{
	static const char text[] = "a: 1\nbc: \xff\n";
	struct report report;
	char *printed;

	report_init(&report);
	ck_assert_ptr_null(yaml_tree_parse(text, sizeof(text) - 1, &report));
	printed = report_text(&report);
	ck_assert_str_eq(printed, "2:5: not UTF-8 text: invalid leading UTF-8 octet\n");
	free(printed);
	report_fini(&report);
}
END_TEST

START_TEST(a_node_knows_its_line_and_column_from_one)
{
	struct yaml_node *root = parse("a: 1\nb:\n  - x\n  - {c: y}\n");
	const struct yaml_node *list = yaml_node_find(root, "b"), *c = yaml_node_find(&list->items[1], "c");

	ck_assert_int_eq(list->kind, YAML_LIST);
	ck_assert_uint_eq(list->key_line, 2);
	ck_assert_uint_eq(list->key_column, 1);
	ck_assert_uint_eq(list->line, 3);
	ck_assert_uint_eq(list->column, 3);
	ck_assert_str_eq(c->text, "y");
	ck_assert_uint_eq(c->line, 4);
	ck_assert_uint_eq(c->column, 9);
	ck_assert_uint_eq(c->key_column, 6);
	yaml_tree_free(root);
}
END_TEST

START_TEST(the_first_of_two_equal_keys_is_found)
{
	struct yaml_node *root = parse("{b: 1, a: 2, b: 3, c: 4, b: 5}");

	ck_assert_str_eq(yaml_node_find(root, "b")->text, "1");
	ck_assert_str_eq(yaml_node_find(root, "c")->text, "4");
	ck_assert_ptr_null(yaml_node_find(root, "d"));
	ck_assert_ptr_null(yaml_node_find(&root->items[0], "b"));
	yaml_tree_free(root);
}
END_TEST

START_TEST(a_path_leads_to_its_node_or_the_nearest_above)
{
	struct yaml_node *root = parse("sas: {hq: {key: k}}\npolicies: [{}, {sas: [x, y]}]\n");
	const struct yaml_node *hq = yaml_node_find(yaml_node_find(root, "sas"), "hq");
	const struct yaml_node *second = &yaml_node_find(root, "policies")->items[1];

	ck_assert_str_eq(yaml_node_find_path(root, "sas.hq.key")->text, "k");
	ck_assert_ptr_eq(yaml_node_find_path(root, "sas.hq.esn"), hq);
	ck_assert_str_eq(yaml_node_find_path(root, "policies[1].sas[1]")->text, "y");
	ck_assert_ptr_eq(yaml_node_find_path(root, "policies[1].sas[2]"), yaml_node_find(second, "sas"));
	ck_assert_ptr_eq(yaml_node_find_path(root, "policies[7].sas[0]"), yaml_node_find(root, "policies"));
	ck_assert_ptr_eq(yaml_node_find_path(root, "nothing.here"), root);
	ck_assert_ptr_eq(yaml_node_find_path(root, ""), root);
	yaml_tree_free(root);
}
END_TEST

START_TEST(the_deepest_nesting_that_is_allowed_is_read)
{
	char text[2 * YAML_DEPTH_MAX + 1] = "";

	memset(text, '[', YAML_DEPTH_MAX);
	memset(text + YAML_DEPTH_MAX, ']', YAML_DEPTH_MAX);
	yaml_tree_free(parse(text));
}
END_TEST

/* Lists in a list, since a value without text is the cheapest. */
static struct yaml_node *parse_lists(size_t n, struct report *report)
{
	char *text = malloc(3 * n + 2);
	struct yaml_node *root;

	text[0] = '[';
	for (size_t i = 0; i < n; i++)
		memcpy(text + 1 + 3 * i, "[],", 3);
	text[1 + 3 * n] = ']';
	report_init(report);
	root = yaml_tree_parse(text, 3 * n + 2, report);
	free(text);
	return root;
}

START_TEST(as_many_values_as_100000_tunnels_take_are_read)
{
	size_t n = ASAN_ROUNDS(5800000);
	struct report report;
	struct yaml_node *root = parse_lists(n, &report);

	ck_assert_ptr_nonnull(root);
	ck_assert_uint_eq(root->n_items, n);
	yaml_tree_free(root);
	report_fini(&report);
}
END_TEST

#ifndef HAS_ASAN
START_TEST(too_many_values_are_refused)
{
	struct report report;

	ck_assert_ptr_null(parse_lists(YAML_NODES_MAX, &report));
	ck_assert_uint_eq(report.n_findings, 1);
	ck_assert_str_eq(report.findings[0].text, "more than 8388608 keys and values in one file");
	ck_assert_uint_eq(report.findings[0].line, 1);
	ck_assert_uint_eq(report.findings[0].column, 3 * (YAML_NODES_MAX - 1) + 2);
	report_fini(&report);
}
END_TEST
#endif

START_TEST(a_file_that_is_too_long_is_refused)
{
	struct report report;

	report_init(&report);
	ck_assert_ptr_null(yaml_tree_parse("", YAML_BYTES_MAX + 1, &report));
	ck_assert_str_eq(report.findings[0].text, "the file is longer than 134217728 bytes");
	report_fini(&report);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config/yaml");
	TCase *tcase = tcase_create("yaml");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, text_that_is_not_read_is_found_at_its_place, 0,
		(int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tcase, bytes_that_are_not_utf8_are_found_at_their_place);
	tcase_add_test(tcase, a_node_knows_its_line_and_column_from_one);
	tcase_add_test(tcase, the_first_of_two_equal_keys_is_found);
	tcase_add_test(tcase, a_path_leads_to_its_node_or_the_nearest_above);
	tcase_add_test(tcase, the_deepest_nesting_that_is_allowed_is_read);
	tcase_add_test(tcase, as_many_values_as_100000_tunnels_take_are_read);
#ifndef HAS_ASAN
	/* Eight million values, before the same end as that of any other text that is refused. */
	tcase_add_test(tcase, too_many_values_are_refused);
#endif
	tcase_add_test(tcase, a_file_that_is_too_long_is_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
