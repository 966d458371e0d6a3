#include "ipsec/seq.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/tsan.h"

#define N_THREADS 2
#define N_NUMBERS TSAN_ROUNDS(2000000)
#define RUN_MAX   64

START_TEST(the_first_number_is_one)
{
	struct seq seq;
	uint64_t first;

	seq_init(&seq, _i);

	ck_assert_uint_eq(seq_reserve(&seq, 1, &first), 1);
	ck_assert_uint_eq(first, 1);
	ck_assert_uint_eq(seq_reserve(&seq, 64, &first), 64);
	ck_assert_uint_eq(first, 2);
	ck_assert_uint_eq(seq_reserve(&seq, 1, &first), 1);
	ck_assert_uint_eq(first, 66);
}
END_TEST

// ESP-6
START_TEST(without_esn_the_last_number_is_2_to_the_32_less_one)
{
	struct seq seq;
	uint64_t first;

	seq_init(&seq, false);
	atomic_store(&seq.next, UINT64_C(0xfffffffe));

	ck_assert_uint_eq(seq_reserve(&seq, 5, &first), 2);
	ck_assert_uint_eq(first, 0xfffffffe);
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(seq_reserve(&seq, 64, &first), 0);
}
END_TEST

START_TEST(an_exhausted_counter_stands_still)
{
	struct seq seq;
	uint64_t first;
	uint64_t next;

	seq_init(&seq, true);
	atomic_store(&seq.next, SEQ_ESN_LAST);

	ck_assert_uint_eq(seq_reserve(&seq, RUN_MAX, &first), 1);
	ck_assert_uint_eq(first, SEQ_ESN_LAST);
	next = atomic_load(&seq.next);
	ck_assert_uint_eq(seq_reserve(&seq, RUN_MAX, &first), 0);
	ck_assert_uint_eq(atomic_load(&seq.next), next);
}
END_TEST

// ESP-7
START_TEST(with_esn_the_numbers_go_on_past_2_to_the_32)
{
	struct seq seq;
	uint64_t first;

	seq_init(&seq, true);
	atomic_store(&seq.next, UINT64_C(0xfffffffe));

	ck_assert_uint_eq(seq_reserve(&seq, 5, &first), 5);
	ck_assert_uint_eq(first, 0xfffffffe);
	ck_assert_uint_eq(seq_reserve(&seq, 1, &first), 1);
	ck_assert_uint_eq(first, UINT64_C(0x100000003));
}
END_TEST

struct taker {
	struct seq *seq;
	uint64_t base;         /* number of seen[0] */
	_Atomic uint8_t *seen; /* how often each number was given out */
};

/* Take runs of all lengths until there are no more. */
static void *take_all(void *argument)
{
	struct taker *taker = argument;
	uint32_t count = 1;
	uint64_t first;
	uint32_t got;

	while ((got = seq_reserve(taker->seq, count, &first)) > 0) {
		for (uint32_t i = 0; i < got; i++)
			atomic_fetch_add(&taker->seen[first + i - taker->base], 1);
		count = count % RUN_MAX + 1;
	}
	return NULL;
}

START_TEST(two_threads_take_each_number_once_up_to_the_last)
{
	pthread_t threads[N_THREADS];
	struct seq seq;
	struct taker taker = {.seq = &seq, .base = SEQ_LAST - N_NUMBERS + 1};
	uint32_t n_once = 0;

	seq_init(&seq, false);
	atomic_store(&seq.next, taker.base);
	taker.seen = calloc(N_NUMBERS, sizeof(*taker.seen));
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_all, &taker), 0);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);

	/* One assertion, since millions of them take long. */
	for (uint32_t i = 0; i < N_NUMBERS; i++)
		n_once += atomic_load(&taker.seen[i]) == 1;
	ck_assert_uint_eq(n_once, N_NUMBERS);
	free(taker.seen);
}
END_TEST

START_TEST(a_counter_that_is_extended_goes_on_where_it_was)
{
	struct seq seq;
	uint64_t first;

	seq_init(&seq, false);
	atomic_store(&seq.last, 0);
	ck_assert_uint_eq(seq_reserve(&seq, 3, &first), 0);

	seq_extend(&seq, 1, 4);
	ck_assert_uint_eq(seq_reserve(&seq, 3, &first), 3);
	ck_assert_uint_eq(first, 1);
	seq_extend(&seq, 5, 8);
	ck_assert_uint_eq(seq_reserve(&seq, 3, &first), 3);
	ck_assert_uint_eq(first, 4);
}
END_TEST

START_TEST(a_counter_that_is_extended_elsewhere_jumps_there)
{
	struct seq seq;
	uint64_t first;

	seq_init(&seq, false);
	atomic_store(&seq.last, 4);
	ck_assert_uint_eq(seq_reserve(&seq, 3, &first), 3);

	seq_extend(&seq, 100, 102);
	ck_assert_uint_eq(seq_reserve(&seq, 8, &first), 3);
	ck_assert_uint_eq(first, 100);
	ck_assert_uint_eq(seq_reserve(&seq, 1, &first), 0);
}
END_TEST

#define SHARED_BLOCK   100
#define SHARED_NUMBERS TSAN_ROUNDS(1000000)

/* Numbers in blocks, of which two counters get one in turn: what one takes outside its own, the other has. */
struct shared {
	struct seq seqs[2];
	_Atomic uint8_t *seen;
	atomic_bool is_over;
};

static void *take_shared(void *argument)
{
	struct shared *shared = argument;
	uint64_t first;

	for (uint32_t count = 1; !atomic_load(&shared->is_over); count = count % RUN_MAX + 1) {
		uint32_t got = seq_reserve(&shared->seqs[count % 2], count, &first);

		for (uint32_t i = 0; i < got; i++)
			atomic_fetch_add(&shared->seen[first + i], 1);
	}
	return NULL;
}

static void shared_extend(struct shared *shared)
{
	for (uint64_t first = 1; first + SHARED_BLOCK < SHARED_NUMBERS; first += SHARED_BLOCK) {
		struct seq *seq = &shared->seqs[first / SHARED_BLOCK % 2];

		while (atomic_load(&seq->next) <= atomic_load(&seq->last))
			;
		seq_extend(seq, first, first + SHARED_BLOCK - 1);
	}
	atomic_store(&shared->is_over, true);
}

// MAN-1
START_TEST(two_counters_that_share_numbers_never_give_out_the_same)
{
	pthread_t threads[N_THREADS];
	struct shared shared = {.seen = calloc(SHARED_NUMBERS, sizeof(*shared.seen))};
	uint32_t n_twice = 0, n_once = 0;

	for (int i = 0; i < 2; i++) {
		seq_init(&shared.seqs[i], false);
		atomic_store(&shared.seqs[i].last, 0);
	}
	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_shared, &shared), 0);
	shared_extend(&shared);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);

	for (uint32_t i = 0; i < SHARED_NUMBERS; i++) {
		n_twice += atomic_load(&shared.seen[i]) > 1;
		n_once += atomic_load(&shared.seen[i]) == 1;
	}
	ck_assert_uint_eq(n_twice, 0);
	ck_assert_uint_gt(n_once, SHARED_NUMBERS / 4);
	free(shared.seen);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/seq");
	TCase *tcase = tcase_create("seq");
	TCase *threads = tcase_create("threads");
	SRunner *runner = srunner_create(suite);

	tcase_add_test(tcase, a_counter_that_is_extended_goes_on_where_it_was);
	tcase_add_test(tcase, a_counter_that_is_extended_elsewhere_jumps_there);
	tcase_add_loop_test(tcase, the_first_number_is_one, 0, 2);
	tcase_add_test(tcase, without_esn_the_last_number_is_2_to_the_32_less_one);
	tcase_add_test(tcase, an_exhausted_counter_stands_still);
	tcase_add_test(tcase, with_esn_the_numbers_go_on_past_2_to_the_32);
	suite_add_tcase(suite, tcase);
	tcase_set_tags(threads, "threads");
	tcase_set_timeout(threads, 60);
	tcase_add_test(threads, two_threads_take_each_number_once_up_to_the_last);
	tcase_add_test(threads, two_counters_that_share_numbers_never_give_out_the_same);
	suite_add_tcase(suite, threads);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
