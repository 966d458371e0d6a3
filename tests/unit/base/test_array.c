#include "run.h"

#include "base/array.h"

#include <string.h>

struct item {
	int number;
	char name[5];
};

START_TEST(an_array_keeps_its_items_while_it_grows)
{
	struct item *items = NULL;
	size_t n = 0;

	for (int i = 0; i < 1000; i++) {
		struct item *item = array_append(&items, &n);

		ck_assert_ptr_eq(item, &items[i]);
		item->number = i;
	}
	ck_assert_uint_eq(n, 1000);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(items[i].number, i);
	free(items);
}
END_TEST

/* Taking the last item off and appending again must not show what was there. */
START_TEST(a_new_item_is_zeroed)
{
	struct item *items = NULL;
	static const struct item zero;
	size_t n = 0;

	for (int i = 0; i < 100; i++) {
		memset(array_append(&items, &n), 0x5a, sizeof(*items));
		n--;
		ck_assert_mem_eq(array_append(&items, &n), &zero, sizeof(zero));
	}
	free(items);
}
END_TEST

START_TEST(allocated_memory_is_zeroed_and_a_copy_is_ones_own)
{
	static const char zero[64];
	char *memory = xcalloc(8, 8), text[] = "text", *copy = xstrdup(text);

	ck_assert_mem_eq(memory, zero, sizeof(zero));
	text[0] = 'n';
	ck_assert_str_eq(copy, "text");
	free(memory);
	free(copy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base/array");
	TCase *tcase = tcase_create("array");

	tcase_add_test(tcase, an_array_keeps_its_items_while_it_grows);
	tcase_add_test(tcase, a_new_item_is_zeroed);
	tcase_add_test(tcase, allocated_memory_is_zeroed_and_a_copy_is_ones_own);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
