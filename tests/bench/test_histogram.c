#include "bench/histogram.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#define NUMBERS 20000

static struct histogram histogram;

static void setup(void)
{
	memset(&histogram, 0, sizeof(histogram));
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 32;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

START_TEST(test_empty_has_no_quantiles)
{
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 0);
	ck_assert_uint_eq(histogram_quantile(&histogram, 1), 0);
}
END_TEST

START_TEST(test_small_numbers_are_exact)
{
	for (uint32_t i = 1; i <= 100; i++)
		histogram_add(&histogram, i);
	ck_assert_uint_eq(histogram.n, 100);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0), 1);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.01), 1);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), 50);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.99), 99);
	ck_assert_uint_eq(histogram_quantile(&histogram, 1), 100);
}
END_TEST

/* Each power of two and its neighbours: never told too small, nor by more than one part in 64 too large. */
START_TEST(test_edges_of_buckets)
{
	for (unsigned bit = 0; bit < 32; bit++)
		for (int step = -1; step <= 1; step++) {
			uint64_t x = (UINT64_C(1) << bit) + (uint64_t)step;
			uint32_t told;

			setup();
			histogram_add(&histogram, x);
			histogram_add(&histogram, UINT32_MAX);
			told = histogram_quantile(&histogram, 0.5);
			ck_assert_uint_ge(told, x);
			ck_assert_uint_le(told - x, x / HISTOGRAM_EXACT);
		}
}
END_TEST

START_TEST(test_what_is_too_large_counts_as_the_largest)
{
	histogram_add(&histogram, UINT64_MAX);
	ck_assert_uint_eq(histogram_quantile(&histogram, 0.5), UINT32_MAX);
}
END_TEST

START_TEST(test_quantiles_are_those_of_the_sorted_numbers)
{
	static const double shares[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
	static uint32_t numbers[NUMBERS];
	uint64_t state = 1;

	for (int i = 0; i < NUMBERS; i++) {
		numbers[i] = (uint32_t)(random_next(&state) >> random_next(&state) % 32);
		histogram_add(&histogram, numbers[i]);
	}
	qsort(numbers, NUMBERS, sizeof(numbers[0]), compare);
	for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		uint32_t right = numbers[(int)(shares[i] * NUMBERS + 0.5) - 1];
		uint32_t told = histogram_quantile(&histogram, shares[i]);

		ck_assert_uint_ge(told, right);
		ck_assert_uint_le(told - right, right / HISTOGRAM_EXACT);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("histogram");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_empty_has_no_quantiles);
	tcase_add_test(tcase, test_small_numbers_are_exact);
	tcase_add_test(tcase, test_edges_of_buckets);
	tcase_add_test(tcase, test_what_is_too_large_counts_as_the_largest);
	tcase_add_test(tcase, test_quantiles_are_those_of_the_sorted_numbers);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
