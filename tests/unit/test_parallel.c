/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/parallel.h"
#include "tests/lib/scratch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 1000 };

struct job {
	unsigned done[PIECES];
	size_t bad_from; /* pieces from here on fail */
	unsigned threads;
	bool out_of_range;
};

static int piece(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct job *j = ctx;

	if (i >= PIECES || thread >= j->threads) { /* no assertion: this may be another thread */
		__atomic_store_n(&j->out_of_range, true, __ATOMIC_RELAXED);
		return 0;
	}
	__atomic_add_fetch(&j->done[i], 1, __ATOMIC_RELAXED);
	if (i >= j->bad_from)
		return pgo_err_set(err, PGO_EFORMAT, "piece %zu is bad", i);
	return 0;
}

static void every_piece_is_done_once_whatever_the_number_of_threads(void **state)
{
	static const unsigned threads[] = {1, 2, 3, 16, 64, 1000};

	(void)state;
	for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
		struct job j = {.bad_from = PIECES, .threads = threads[t]};

		assert_int_equal(pgo_parallel(PIECES, threads[t], piece, &j, NULL), 0);
		assert_false(j.out_of_range);
		for (size_t i = 0; i < PIECES; i++)
			assert_int_equal(j.done[i], 1);
	}
}

static void no_pieces_are_no_work(void **state)
{
	struct job j = {.bad_from = PIECES, .threads = 4};

	(void)state;
	assert_int_equal(pgo_parallel(0, 4, piece, &j, NULL), 0);
	assert_int_equal(j.done[0], 0);
}

static void the_first_failure_is_the_one_that_is_told(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		struct job j = {.bad_from = 300, .threads = 8};
		struct pgo_err err = PGO_ERR_INIT;

		assert_int_equal(pgo_parallel(PIECES, 8, piece, &j, &err), PGO_EFORMAT);
		assert_string_equal(err.msg, "piece 300 is bad");
		for (size_t i = 0; i <= 300; i++)
			assert_int_equal(j.done[i], 1);
		/* Nothing is begun that a failure was seen before; a thread may have one in hand. */
		for (size_t i = 300 + 8 + 1; i < PIECES; i++)
			assert_int_equal(j.done[i], 0);
	}
}

static void the_environment_says_how_many(void **state)
{
	unsigned all;

	(void)state;
	unsetenv("PGO_THREADS");
	all = pgo_threads();
	assert_in_range(all, 1, PGO_MAX_THREADS);
	setenv("PGO_THREADS", "3", 1);
	assert_int_equal(pgo_threads(), 3);
	setenv("PGO_THREADS", "0", 1);
	assert_int_equal(pgo_threads(), all);
	setenv("PGO_THREADS", "3x", 1);
	assert_int_equal(pgo_threads(), all);
	unsetenv("PGO_THREADS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_piece_is_done_once_whatever_the_number_of_threads),
		cmocka_unit_test(no_pieces_are_no_work),
		cmocka_unit_test(the_first_failure_is_the_one_that_is_told),
		cmocka_unit_test(the_environment_says_how_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
