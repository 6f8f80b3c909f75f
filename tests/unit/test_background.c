/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/background.h"
#include "tests/lib/scratch.h"

#include <sched.h>

enum { JOBS = 2000 };

struct job {
	struct pgo_job base;
	unsigned number, times;
};

/* Some take longer than those behind them. */
static void work(void *ctx, struct pgo_job *job)
{
	struct job *j = (struct job *)job;

	for (unsigned i = 0; i < j->number % 7; i++)
		sched_yield();
	j->times++;
	__atomic_add_fetch((unsigned *)ctx, 1, __ATOMIC_RELAXED);
}

static void jobs_come_back_once_and_in_order(void **state)
{
	static const unsigned threads[] = {0, 1, 2, 5, 64, 1000};

	(void)state;
	for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
		static struct job jobs[JOBS];
		unsigned done = 0, taken = 0;
		struct pgo_background *b = pgo_background_new(threads[t], work, &done);

		assert_non_null(b);
		for (unsigned i = 0; i < JOBS; i++) {
			struct pgo_job *back;

			jobs[i] = (struct job){.number = i};
			pgo_background_give(b, &jobs[i].base);
			/* Sometimes what is ready, sometimes until few are left. */
			while ((back = pgo_background_take(
					b, i % 3 == 0 && pgo_background_held(b) > 8)) != NULL)
				assert_ptr_equal(back, &jobs[taken++]);
			assert_int_equal(pgo_background_held(b), i + 1 - taken);
		}
		while (pgo_background_held(b) != 0)
			assert_ptr_equal(pgo_background_take(b, true), &jobs[taken++]);
		assert_null(pgo_background_take(b, true));
		pgo_background_free(b);
		assert_int_equal(taken, JOBS);
		assert_int_equal(done, JOBS);
		for (unsigned i = 0; i < JOBS; i++)
			assert_int_equal(jobs[i].times, 1);
	}
}

static void with_one_thread_a_job_is_done_when_it_is_given(void **state)
{
	struct job job = {.number = 3};
	unsigned done = 0;
	struct pgo_background *b = pgo_background_new(1, work, &done);

	(void)state;
	assert_non_null(b);
	pgo_background_give(b, &job.base);
	assert_int_equal(done, 1);
	assert_ptr_equal(pgo_background_take(b, false), &job);
	pgo_background_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_come_back_once_and_in_order),
		cmocka_unit_test(with_one_thread_a_job_is_done_when_it_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
