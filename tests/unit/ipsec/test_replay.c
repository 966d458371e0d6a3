#include "ipsec/replay.h"

#include "model/sa_conf.h"
#include "support/eal.h"
#include "support/sanitizer.h"
#include "support/tsan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#define EVENTS   ASAN_ROUNDS(1000000)
#define SUBSPACE (UINT64_C(1) << 32) /* numbers that 32 bits on the wire tell apart */
#define LAST_32  (SUBSPACE - 1)

static const uint32_t windows[] = {32, 64, 65, 127, 128, 129, 1024, 4096, 16384};

#define N_WINDOWS ((int)(sizeof(windows) / sizeof(windows[0])))

/* xorshift64*: the same sequence in each run, so that a failure can be repeated. */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static struct replay *window_make(uint32_t window_pkts, bool esn, uint64_t highest)
{
	struct replay *replay = replay_create(window_pkts, esn, highest, SOCKET_ID_ANY);

	ck_assert_ptr_nonnull(replay);
	return replay;
}

static enum replay_verdict accept_one(struct replay *replay, uint64_t seq)
{
	enum replay_verdict verdict;

	replay_accept(replay, &seq, 1, &verdict);
	return verdict;
}

/*
 * The model: what RFC 4303 section 3.4.3 says, in so many words. A number is remembered at itself modulo
 * something larger than any window, so no number inside the window is ever overwritten by another.
 */
#define MODEL_NUMBERS (2 * SA_REPLAY_WINDOW_MAX)

struct model {
	uint64_t window;
	uint64_t start; /* numbers up to here count as seen */
	uint64_t highest;
	uint64_t seen[MODEL_NUMBERS];
};

static void model_init(struct model *model, uint32_t window, uint64_t start)
{
	memset(model, 0, sizeof(*model));
	model->window = window;
	model->start = start;
	model->highest = start;
}

/* The lowest number that the window holds. */
static uint64_t model_bottom(const struct model *model)
{
	return model->highest >= model->window ? model->highest - model->window + 1 : 0;
}

static enum replay_verdict model_accept(struct model *model, uint64_t seq)
{
	if (seq == 0)
		return REPLAY_ZERO;
	if (seq < model_bottom(model))
		return REPLAY_LATE;
	if (seq <= model->start || model->seen[seq % MODEL_NUMBERS] == seq)
		return REPLAY_DUPLICATE;
	model->seen[seq % MODEL_NUMBERS] = seq;
	if (seq > model->highest)
		model->highest = seq;
	return REPLAY_OK;
}

/*
 * RFC 4303 appendix A2.1 turned round: the first number from the window's bottom on that has these low bits.
 */
static uint64_t model_guess(const struct model *model, uint32_t low)
{
	uint64_t bottom = model_bottom(model);
	uint64_t seq = (bottom & ~LAST_32) | low;

	return seq < bottom ? seq + SUBSPACE : seq;
}

/* A number to offer: mostly near the window's edges, at times far ahead, never above `last`. */
static uint64_t event_next(const struct model *model, uint64_t *state, uint64_t jump_max, uint64_t last)
{
	uint64_t dice = random_next(state) % 1000;
	uint64_t value = random_next(state);
	uint64_t top = model->highest;
	uint64_t seq;

	if (dice < 450)
		seq = top + 1 + value % 4;
	else if (dice < 700)
		seq = top - value % (2 * model->window);
	else if (dice < 850)
		seq = top - value % 8;
	else if (dice < 930)
		seq = top - model->window - 2 + value % 4;
	else if (dice < 990)
		seq = top + value % 70;
	else if (dice < 999)
		seq = top + value % (2 * model->window);
	else
		seq = value % 100 ? top + model->window - 1 + value % 3 : top + value / 100 % jump_max;
	/* Left of 0 it has wrapped: 0 and its neighbours are worth offering too. */
	return seq > last ? value % 3 : seq;
}

/*
 * Offer one number to both: the window must say what the model says, its pre-check the same before, and its
 * guess from the low 32 bits be the model's. No ck_assert in a loop of millions: each writes to a file.
 */
static void offer(struct replay *replay, struct model *model, uint64_t seq, bool esn)
{
	uint64_t guess = replay_guess(replay, (uint32_t)seq);
	uint64_t expected_guess = esn ? model_guess(model, (uint32_t)seq) : seq;
	enum replay_verdict before = replay_check(replay, seq);
	enum replay_verdict verdict = accept_one(replay, seq);
	enum replay_verdict expected = model_accept(model, seq);

	if (guess != expected_guess || verdict != expected || before != expected ||
		replay_highest(replay) != model->highest)
		ck_abort_msg("W=%lu T=%lu seq=%lu: guess %lu, check %d, accept %d; model: %lu, %d",
			model->window, model->highest, seq, guess, before, verdict, expected_guess, expected);
}

static struct model model;

static void run_model(uint32_t window, bool esn, uint64_t start, uint64_t jump_max, uint64_t last)
{
	struct replay *replay = window_make(window, esn, start);
	uint64_t state = 0x1234567 + window + start;

	model_init(&model, window, start);
	for (unsigned i = 0; i < EVENTS; i++)
		offer(replay, &model, event_next(&model, &state, jump_max, last), esn);
	replay_put(replay);
}

#define RUN_MAX 64 /* a burst */

/* Numbers as a burst brings them: mostly in order, with gaps, jumps, zeros and repetitions. */
static uint16_t run_next(uint64_t *state, uint64_t *seqs)
{
	uint16_t n = (uint16_t)(1 + random_next(state) % RUN_MAX);
	uint64_t seq = event_next(&model, state, UINT64_C(1) << 20, LAST_32);

	for (uint16_t i = 0; i < n; i++) {
		uint64_t value = random_next(state);

		seqs[i] = seq;
		if (i > 0 && value % 16 == 0)
			seqs[i] = seqs[value / 16 % i];
		else if (value % 97 == 0)
			seqs[i] = event_next(&model, state, UINT64_C(1) << 20, LAST_32);
		else if (value % 211 == 0)
			seqs[i] = 0;
		seq = seq < LAST_32 ? seq + 1 + (value % 8 == 0) : seq;
	}
	return n;
}

/* AR-2, AR-6: numbers that are taken together get the verdicts that they would get one by one. */
START_TEST(a_run_of_numbers_agrees_with_the_model)
{
	struct replay *replay = window_make(windows[_i], false, 0);
	uint64_t state = 88172645463325252u + windows[_i];
	unsigned long accepted = 0, refused = 0;

	model_init(&model, windows[_i], 0);
	for (unsigned offered = 0; offered < EVENTS;) {
		enum replay_verdict verdicts[RUN_MAX];
		uint64_t seqs[RUN_MAX];
		uint16_t n = run_next(&state, seqs);

		replay_accept(replay, seqs, n, verdicts);
		for (uint16_t i = 0; i < n; i++) {
			enum replay_verdict expected =
				seqs[i] == 0 ? REPLAY_ZERO : model_accept(&model, seqs[i]);

			if (verdicts[i] != expected)
				ck_abort_msg("W=%u T=%lu seq=%lu, number %u of %u: %d, model: %d",
					windows[_i], model.highest, seqs[i], i, n, verdicts[i], expected);
			accepted += expected == REPLAY_OK;
			refused += expected != REPLAY_OK;
		}
		if (replay_highest(replay) != model.highest)
			ck_abort_msg("T=%lu, model: %lu", replay_highest(replay), model.highest);
		offered += n;
	}
	ck_assert_uint_gt(accepted, EVENTS / 4);
	ck_assert_uint_gt(refused, EVENTS / 20);
	replay_put(replay);
}
END_TEST

/* AR-1, AR-2, AR-4 */
START_TEST(a_new_window_agrees_with_the_model)
{
	run_model(windows[_i], false, 0, UINT64_C(1) << 20, LAST_32);
	ck_assert_uint_gt(model.highest, EVENTS / 2);
}
END_TEST

/* AR-2: the events run into 2^32 - 1 and stay there. */
START_TEST(a_window_at_the_last_32_bit_number_agrees_with_the_model)
{
	run_model(windows[_i], false, LAST_32 - EVENTS / 2, 1000, LAST_32);
	ck_assert_uint_eq(model.highest, LAST_32);
}
END_TEST

/*
 * AR-2, AR-5: one event in 100,000 jumps by up to 2^31, and the window goes over boundaries step by step too.
 * A million events pass more than one.
 */
START_TEST(a_window_with_esn_agrees_with_the_model_across_2_to_the_32)
{
	run_model(windows[_i], true, SUBSPACE - EVENTS / 2, UINT64_C(1) << 31, UINT64_MAX / 2);
	ck_assert_uint_gt(model.highest, (1 + EVENTS / 1000000) * SUBSPACE);
}
END_TEST

/* AR-5: many times over the boundary with the window on both sides of it. */
START_TEST(a_window_that_spans_two_subspaces_agrees_with_the_model)
{
	for (uint64_t high = 1; high <= 20; high++) {
		struct replay *replay = window_make(windows[_i], true, high * SUBSPACE - 3000);
		uint64_t state = high;

		model_init(&model, windows[_i], high * SUBSPACE - 3000);
		while (model.highest < high * SUBSPACE + 2ul * windows[_i])
			offer(replay, &model, event_next(&model, &state, 100, UINT64_MAX / 2), true);
		replay_put(replay);
	}
}
END_TEST

/* AR-3 */
START_TEST(the_left_edge_of_the_window_is_exact)
{
	struct replay *replay = window_make(64, false, 0);

	ck_assert_int_eq(accept_one(replay, 100), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, 37), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, 36), REPLAY_LATE);
	ck_assert_int_eq(accept_one(replay, 37), REPLAY_DUPLICATE);
	ck_assert_int_eq(accept_one(replay, 100), REPLAY_DUPLICATE);
	replay_put(replay);
}
END_TEST

/* AR-2: the oldest numbers are remembered until the very last moment. */
START_TEST(every_number_of_a_full_window_is_a_duplicate)
{
	uint32_t window = windows[_i];
	struct replay *replay = window_make(window, false, 0);
	uint32_t n_taken = 0, n_duplicates = 0;

	for (uint64_t seq = 1; seq <= 3ul * window; seq++)
		n_taken += accept_one(replay, seq) == REPLAY_OK;
	for (uint64_t back = 0; back < window; back++)
		n_duplicates += accept_one(replay, 3ul * window - back) == REPLAY_DUPLICATE;
	ck_assert_uint_eq(n_taken, 3 * window);
	ck_assert_uint_eq(n_duplicates, window);
	ck_assert_int_eq(accept_one(replay, 2ul * window), REPLAY_LATE);
	replay_put(replay);
}
END_TEST

/* AR-4 */
START_TEST(number_zero_is_refused_but_not_a_64_bit_number_with_a_low_half_of_zero)
{
	struct replay *replay = window_make(64, true, SUBSPACE - 10);

	ck_assert_int_eq(accept_one(replay, 0), REPLAY_ZERO);
	ck_assert_int_eq(replay_check(replay, 0), REPLAY_ZERO);
	ck_assert_uint_eq(replay_guess(replay, 0), SUBSPACE);
	ck_assert_int_eq(accept_one(replay, SUBSPACE), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, SUBSPACE), REPLAY_DUPLICATE);
	replay_put(replay);
}
END_TEST

/* AR-5 */
START_TEST(a_jump_leaves_nothing_of_the_old_window)
{
	static const uint64_t jumps[] = {64, 65, 96, 127, 128, 1 << 20, UINT64_C(1) << 31};

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct replay *replay = window_make(64, false, 0);
		uint64_t top = 64 + jumps[i];

		for (uint64_t seq = 1; seq <= 64; seq++)
			ck_assert_int_eq(accept_one(replay, seq), REPLAY_OK);
		ck_assert_int_eq(accept_one(replay, top), REPLAY_OK);
		ck_assert_int_eq(accept_one(replay, 64), REPLAY_LATE);
		for (uint64_t back = 1; back < 64; back++)
			ck_assert_int_eq(accept_one(replay, top - back), REPLAY_OK);
		replay_put(replay);
	}
}
END_TEST

/* AR-5, RFC 4303 appendix A2.1 case A: Tl >= W - 1. */
START_TEST(a_window_within_one_subspace_guesses_this_one_or_the_next)
{
	struct replay *replay = window_make(16384, true, 5 * SUBSPACE + 16383);

	ck_assert_uint_eq(replay_guess(replay, 0), 5 * SUBSPACE);
	ck_assert_uint_eq(replay_guess(replay, LAST_32), 6 * SUBSPACE - 1);
	replay_put(replay);
	replay = window_make(16384, true, 5 * SUBSPACE + 16384);
	ck_assert_uint_eq(replay_guess(replay, 0), 6 * SUBSPACE);
	ck_assert_uint_eq(replay_guess(replay, 1), 5 * SUBSPACE + 1);
	replay_put(replay);
}
END_TEST

/* AR-5, case B: Tl < W - 1. */
START_TEST(a_window_that_spans_two_subspaces_guesses_the_one_before_or_this_one)
{
	struct replay *replay = window_make(16384, true, 5 * SUBSPACE + 16382);

	ck_assert_uint_eq(replay_guess(replay, LAST_32), 5 * SUBSPACE - 1);
	ck_assert_uint_eq(replay_guess(replay, LAST_32 - 1), 6 * SUBSPACE - 2);
	ck_assert_uint_eq(replay_guess(replay, 0), 5 * SUBSPACE);
	replay_put(replay);
}
END_TEST

START_TEST(no_subspace_comes_before_the_first)
{
	struct replay *replay = window_make(1024, true, 0);

	ck_assert_uint_eq(replay_guess(replay, LAST_32), LAST_32);
	ck_assert_uint_eq(replay_guess(replay, 1), 1);
	replay_put(replay);
}
END_TEST

START_TEST(numbers_up_to_the_highest_at_the_start_count_as_seen)
{
	static const uint64_t starts[] = {1, 31, 32, 1000, LAST_32 - 5, 7 * SUBSPACE + 33};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct replay *replay = window_make(128, true, starts[i]);

		ck_assert_uint_eq(replay_highest(replay), starts[i]);
		for (uint64_t back = 0; back < 128 && back < starts[i]; back++)
			ck_assert_int_eq(accept_one(replay, starts[i] - back), REPLAY_DUPLICATE);
		if (starts[i] > 128)
			ck_assert_int_eq(accept_one(replay, starts[i] - 128), REPLAY_LATE);
		for (uint64_t ahead = 300; ahead > 172; ahead--)
			ck_assert_int_eq(accept_one(replay, starts[i] + ahead), REPLAY_OK);
		replay_put(replay);
	}
}
END_TEST

START_TEST(the_last_64_bit_numbers_do_not_wrap)
{
	struct replay *replay = window_make(64, true, UINT64_MAX - 70);

	ck_assert_int_eq(accept_one(replay, UINT64_MAX), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, UINT64_MAX - 63), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, UINT64_MAX - 64), REPLAY_LATE);
	ck_assert_int_eq(accept_one(replay, UINT64_MAX), REPLAY_DUPLICATE);
	ck_assert_int_eq(accept_one(replay, 5), REPLAY_LATE);
	replay_put(replay);
}
END_TEST

/* AR-8 */
START_TEST(without_a_window_every_number_but_zero_is_taken)
{
	struct replay *replay = window_make(0, false, 0);

	ck_assert_int_eq(accept_one(replay, 7), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, 7), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, 1), REPLAY_OK);
	ck_assert_int_eq(replay_check(replay, 1), REPLAY_OK);
	ck_assert_int_eq(accept_one(replay, 0), REPLAY_ZERO);
	ck_assert_uint_eq(replay_highest(replay), 7);
	ck_assert_uint_eq(replay_guess(replay, 7), 7);
	replay_put(replay);
}
END_TEST

START_TEST(a_check_changes_nothing)
{
	struct replay *replay = window_make(64, false, 0);

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(replay_check(replay, 1000), REPLAY_OK);
	ck_assert_uint_eq(replay_highest(replay), 0);
	ck_assert_int_eq(accept_one(replay, 1), REPLAY_OK);
	replay_put(replay);
}
END_TEST

/*
 * Two threads. What each was told of a number is kept for it: how often it was taken, and whether somebody
 * was told that it is a duplicate.
 */
#define THREADS        2
#define THREAD_NUMBERS ASAN_ROUNDS(TSAN_ROUNDS(1000000))

struct told {
	_Atomic uint8_t taken;
	_Atomic uint8_t duplicate;
	_Atomic uint8_t late;
};

struct contest {
	struct replay *replay;
	uint64_t start; /* told[i] is about start + i */
	struct told *told;
	uint32_t block; /* numbers that both offer before either goes on */
	pthread_barrier_t barrier;
};

struct contestant {
	struct contest *contest;
	uint64_t state;
	pthread_t thread;
};

static void contest_offer(struct contest *contest, uint64_t index)
{
	switch (accept_one(contest->replay, contest->start + index)) {
	case REPLAY_OK:
		atomic_fetch_add(&contest->told[index].taken, 1);
		break;
	case REPLAY_DUPLICATE:
		atomic_store(&contest->told[index].duplicate, 1);
		break;
	default:
		atomic_store(&contest->told[index].late, 1);
		break;
	}
}

static void contest_run(struct contest *contest, void *(*body)(void *))
{
	struct contestant contestants[THREADS];

	contest->told = calloc(THREAD_NUMBERS, sizeof(*contest->told));
	ck_assert_ptr_nonnull(contest->told);
	ck_assert_int_eq(pthread_barrier_init(&contest->barrier, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		contestants[i] = (struct contestant){.contest = contest, .state = i + 1};
		contestants[i].thread = eal_thread_create(body, &contestants[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(contestants[i].thread, NULL);
	pthread_barrier_destroy(&contest->barrier);
}

/* Numbers in rising order with disorder of up to two windows, so that many are late. */
static void *offer_at_will(void *arg)
{
	struct contestant *me = arg;
	struct contest *contest = me->contest;

	pthread_barrier_wait(&contest->barrier);
	for (uint64_t i = 0; i < 2 * THREAD_NUMBERS; i++) {
		uint64_t back = random_next(&me->state) % (2ul * contest->block);

		contest_offer(contest, i / 2 > back ? i / 2 - back : i / 2);
	}
	return NULL;
}

/*
 * AR-2, AR-6. However the threads interleave: none is taken twice; a number that somebody was told is a
 * duplicate was taken; and one that somebody was told is late is left of the window from then on.
 */
START_TEST(two_threads_never_take_a_number_twice)
{
	uint32_t window = windows[_i];
	struct contest contest = {.start = SUBSPACE - THREAD_NUMBERS / 2, .block = window};
	uint64_t n_taken = 0;
	uint64_t top;

	contest.replay = window_make(window, true, contest.start - 1);
	contest_run(&contest, offer_at_will);
	top = replay_highest(contest.replay);
	for (uint64_t i = 0; i < THREAD_NUMBERS; i++) {
		const struct told *told = &contest.told[i];

		n_taken += told->taken;
		if (told->taken > 1 || (told->duplicate && !told->taken) ||
			(told->late && contest.start + i + window > top))
			ck_abort_msg("W=%u number %lu: taken %u times, duplicate %u, late %u, T=%lu", window,
				contest.start + i, told->taken, told->duplicate, told->late, top);
	}
	ck_assert_uint_gt(n_taken, THREAD_NUMBERS / 4);
	free(contest.told);
	replay_put(contest.replay);
}
END_TEST

/* All numbers of a block in an order of one's own: index times an odd number modulo a power of two. */
static void *offer_block_by_block(void *arg)
{
	struct contestant *me = arg;
	struct contest *contest = me->contest;

	for (uint64_t block = 0; block + contest->block <= THREAD_NUMBERS; block += contest->block) {
		uint64_t odd = random_next(&me->state) | 1;

		pthread_barrier_wait(&contest->barrier);
		for (uint64_t i = 0; i < contest->block; i++)
			contest_offer(contest, block + i * odd % contest->block);
	}
	return NULL;
}

/*
 * AR-6. Blocks as long as the window: while both threads offer a block, its numbers can't be late, so each is
 * taken by one thread and refused to the other.
 */
START_TEST(of_two_threads_exactly_one_takes_each_number)
{
	struct contest contest = {.start = SUBSPACE - THREAD_NUMBERS / 2, .block = 4096};
	uint64_t n_offered = THREAD_NUMBERS / contest.block * contest.block;

	contest.replay = window_make(contest.block, true, contest.start - 1);
	contest_run(&contest, offer_block_by_block);
	for (uint64_t i = 0; i < n_offered; i++) {
		const struct told *told = &contest.told[i];

		if (told->taken != 1 || !told->duplicate || told->late)
			ck_abort_msg("number %lu: taken %u times, duplicate %u, late %u", contest.start + i,
				told->taken, told->duplicate, told->late);
	}
	free(contest.told);
	replay_put(contest.replay);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/replay");
	TCase *cases = tcase_create("replay");
	TCase *threads = tcase_create("threads");

	suite_add_tcase(suite, cases);
	tcase_set_timeout(cases, 60);
	tcase_add_checked_fixture(cases, eal_setup, eal_teardown);
	tcase_add_loop_test(cases, a_run_of_numbers_agrees_with_the_model, 0, N_WINDOWS);
	tcase_add_loop_test(cases, a_new_window_agrees_with_the_model, 0, N_WINDOWS);
	tcase_add_loop_test(cases, a_window_at_the_last_32_bit_number_agrees_with_the_model, 0, N_WINDOWS);
	tcase_add_loop_test(cases, a_window_with_esn_agrees_with_the_model_across_2_to_the_32, 0, N_WINDOWS);
	tcase_add_loop_test(cases, a_window_that_spans_two_subspaces_agrees_with_the_model, 0, N_WINDOWS);
	tcase_add_test(cases, the_left_edge_of_the_window_is_exact);
	tcase_add_loop_test(cases, every_number_of_a_full_window_is_a_duplicate, 0, N_WINDOWS);
	tcase_add_test(cases, number_zero_is_refused_but_not_a_64_bit_number_with_a_low_half_of_zero);
	tcase_add_test(cases, a_jump_leaves_nothing_of_the_old_window);
	tcase_add_test(cases, a_window_within_one_subspace_guesses_this_one_or_the_next);
	tcase_add_test(cases, a_window_that_spans_two_subspaces_guesses_the_one_before_or_this_one);
	tcase_add_test(cases, no_subspace_comes_before_the_first);
	tcase_add_test(cases, numbers_up_to_the_highest_at_the_start_count_as_seen);
	tcase_add_test(cases, the_last_64_bit_numbers_do_not_wrap);
	tcase_add_test(cases, without_a_window_every_number_but_zero_is_taken);
	tcase_add_test(cases, a_check_changes_nothing);
	suite_add_tcase(suite, threads);
	tcase_set_tags(threads, "threads");
	tcase_set_timeout(threads, 60);
	tcase_add_checked_fixture(threads, eal_setup, eal_teardown);
	tcase_add_loop_test(threads, two_threads_never_take_a_number_twice, 0, N_WINDOWS);
	tcase_add_test(threads, of_two_threads_exactly_one_takes_each_number);
	return eal_run_suite(suite);
}
