#include "model/name_index.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define MANY         100000
#define RANDOM_NAMES 512 /* a power of two */
#define RANDOM_STEPS 200000

START_TEST(a_name_leads_to_its_value)
{
	struct name_index index;

	name_index_init(&index);
	name_index_add(&index, "wan", 7);
	name_index_add(&index, "lan", 0);
	name_index_add(&index, "dmz", 5);
	ck_assert_int_eq(name_index_find(&index, "wan"), 7);
	ck_assert_int_eq(name_index_find(&index, "lan"), 0);
	ck_assert_int_eq(name_index_find(&index, "dmz"), 5);
	ck_assert_int_eq(name_index_find(&index, "la"), -1);
	ck_assert_int_eq(name_index_find(&index, "lann"), -1);
	ck_assert_int_eq(name_index_find(&index, "zzz"), -1);
	name_index_fini(&index);
}
END_TEST

START_TEST(a_name_that_is_added_again_keeps_its_value)
{
	struct name_index index;

	name_index_init(&index);
	name_index_add(&index, "a", 9);
	name_index_add(&index, "b", 4);
	name_index_add(&index, "b", 2);
	ck_assert_int_eq(name_index_find(&index, "b"), 4);
	name_index_fini(&index);
}
END_TEST

START_TEST(a_name_that_was_removed_is_not_found)
{
	struct name_index index;

	name_index_init(&index);
	name_index_add(&index, "a", 9);
	name_index_add(&index, "b", 4);
	name_index_remove(&index, "a");
	name_index_remove(&index, "c");
	ck_assert_int_eq(name_index_find(&index, "a"), -1);
	ck_assert_int_eq(name_index_find(&index, "b"), 4);
	name_index_fini(&index);
}
END_TEST

START_TEST(a_name_gets_another_value)
{
	struct name_index index;

	name_index_init(&index);
	name_index_add(&index, "a", 9);
	name_index_set(&index, "a", 1);
	name_index_set(&index, "b", 2);
	ck_assert_int_eq(name_index_find(&index, "a"), 1);
	ck_assert_int_eq(name_index_find(&index, "b"), -1);
	name_index_fini(&index);
}
END_TEST

START_TEST(an_empty_index_finds_nothing)
{
	struct name_index index;

	name_index_init(&index);
	ck_assert_int_eq(name_index_find(&index, ""), -1);
	name_index_fini(&index);
}
END_TEST

/* Names that begin alike all fall into one chain of a weak hash; here they must cost no more than others. */
START_TEST(a_hundred_thousand_numbered_names_are_all_found)
{
	struct name_index index;
	char(*names)[32] = calloc(MANY, sizeof(*names));
	size_t found = 0;

	name_index_init(&index);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "customer-tunnel-%06zu", (i * 7919) % MANY);
		name_index_add(&index, names[i], i);
	}
	for (size_t i = 0; i < MANY; i++)
		found += name_index_find(&index, names[i]) == (long)i;
	ck_assert_uint_eq(found, MANY);
	name_index_fini(&index);
	free(names);
}
END_TEST

/* Beside an array by number, which is obviously right. */
START_TEST(names_come_and_go_at_random_and_those_there_are_found)
{
	struct name_index index;
	long values[RANDOM_NAMES];
	char names[RANDOM_NAMES][8];
	unsigned state = 1, n_wrong = 0;

	name_index_init(&index);
	for (size_t i = 0; i < RANDOM_NAMES; i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu", i);
		values[i] = -1;
	}
	for (long step = 0; step < RANDOM_STEPS; step++) {
		size_t i = (state = state * 1103515245 + 12345) >> 16 & (RANDOM_NAMES - 1);

		if (values[i] < 0)
			name_index_add(&index, names[i], (size_t)(values[i] = step));
		else if (state & 1u << 30)
			name_index_set(&index, names[i], (size_t)(values[i] = step));
		else
			name_index_remove(&index, names[i]), values[i] = -1;
		i = state >> 8 & (RANDOM_NAMES - 1);
		n_wrong += name_index_find(&index, names[i]) != values[i];
	}
	ck_assert_uint_eq(n_wrong, 0);
	for (size_t i = 0; i < RANDOM_NAMES; i++)
		ck_assert_int_eq(name_index_find(&index, names[i]), values[i]);
	name_index_fini(&index);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model/name_index");
	TCase *tcase = tcase_create("name_index");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_name_leads_to_its_value);
	tcase_add_test(tcase, a_name_that_is_added_again_keeps_its_value);
	tcase_add_test(tcase, a_name_that_was_removed_is_not_found);
	tcase_add_test(tcase, a_name_gets_another_value);
	tcase_add_test(tcase, an_empty_index_finds_nothing);
	tcase_add_test(tcase, a_hundred_thousand_numbered_names_are_all_found);
	tcase_add_test(tcase, names_come_and_go_at_random_and_those_there_are_found);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
