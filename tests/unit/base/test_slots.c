#include "base/slots.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>

#include "run.h"

START_TEST(what_is_published_is_read_in_order_and_given_back)
{
	struct slots slots;

	ck_assert_int_eq(slots_init(&slots, 4, sizeof(int)), 0);
	for (int round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < 4; i++)
			*(int *)slots_claim(&slots, i) = round * 10 + (int)i;
		ck_assert_ptr_null(slots_claim(&slots, 4));
		ck_assert_ptr_null(slots_peek(&slots));
		slots_publish(&slots, 4);
		ck_assert_ptr_null(slots_claim(&slots, 0));
		for (int i = 0; i < 4; i++) {
			ck_assert_int_eq(*(const int *)slots_peek(&slots), round * 10 + i);
			slots_release(&slots);
		}
		ck_assert_ptr_null(slots_peek(&slots));
	}
	slots_fini(&slots);
}
END_TEST

START_TEST(slots_are_as_many_as_asked_for_and_apart_by_cache_lines)
{
	struct slots slots;

	ck_assert_int_eq(slots_init(&slots, 5, 65), 0);
	ck_assert_uint_eq(slots.n, 8);
	ck_assert_uint_eq(slots.slot_bytes, 128);
	slots_fini(&slots);
	ck_assert_ptr_null(slots.memory);
}
END_TEST

#define NUMBERS 100000

static void *write_numbers(void *argument)
{
	struct slots *slots = argument;
	uint64_t next = 0;

	while (next < NUMBERS) {
		uint64_t *slot = slots_claim(slots, 0);

		if (!slot) {
			sched_yield();
			continue;
		}
		slot[0] = next;
		slot[7] = ~next;
		slots_publish(slots, 1);
		next++;
	}
	return NULL;
}

START_TEST(a_reader_sees_each_slot_whole_while_a_writer_writes)
{
	struct slots slots;
	pthread_t writer;

	ck_assert_int_eq(slots_init(&slots, 16, 64), 0);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_numbers, &slots), 0);
	for (uint64_t expected = 0; expected < NUMBERS;) {
		const uint64_t *slot = slots_peek(&slots);

		if (!slot) {
			sched_yield();
			continue;
		}
		ck_assert_uint_eq(slot[0], expected);
		ck_assert_uint_eq(slot[7], ~expected);
		slots_release(&slots);
		expected++;
	}
	pthread_join(writer, NULL);
	slots_fini(&slots);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slots");
	TCase *tcase = tcase_create("slots");
	tcase_set_timeout(tcase, 60);

	tcase_add_test(tcase, what_is_published_is_read_in_order_and_given_back);
	tcase_add_test(tcase, slots_are_as_many_as_asked_for_and_apart_by_cache_lines);
	tcase_add_test(tcase, a_reader_sees_each_slot_whole_while_a_writer_writes);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
