/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/alloc.h"
#include "pgo/metrics.h"
#include "pgo/watch.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void values_stand_together_below_their_help_and_type(void **state)
{
	const char *a[] = {"target", "a", NULL}, *b[] = {"target", "b", NULL};
	struct pgo_metrics m = {0};
	struct pgo_buf text;

	(void)state;
	assert_int_equal(pgo_metrics_add(&m, PGO_METRIC_HOSTS, 40, a, NULL), 0);
	assert_int_equal(pgo_metrics_add(&m, PGO_METRIC_LAST_GOOD_TIME, 1795089600, a, NULL), 0);
	assert_int_equal(pgo_metrics_add(&m, PGO_METRIC_HOSTS, 2.5, b, NULL), 0);
	pgo_buf_init(&text, 1 << 16);
	pgo_metrics_text(&m, &text);
	assert_string_equal(text.data,
		"# HELP pgo_last_good_timestamp_seconds When the published profile was published.\n"
		"# TYPE pgo_last_good_timestamp_seconds gauge\n"
		"pgo_last_good_timestamp_seconds{target=\"a\"} 1795089600\n"
		"# HELP pgo_hosts Hosts in the published profile.\n"
		"# TYPE pgo_hosts gauge\n"
		"pgo_hosts{target=\"a\"} 40\n"
		"pgo_hosts{target=\"b\"} 2.5\n");
	pgo_buf_fini(&text);
	pgo_metrics_fini(&m);
}

static void labels_are_escaped_and_values_may_be_no_numbers(void **state)
{
	const char *labels[] = {"target", "a\"b\\c\nd", "unit", NULL, "gate", "x", NULL};
	const char *none[] = {NULL};
	struct pgo_metrics m = {0};
	struct pgo_buf text;

	(void)state;
	/* A value that is NULL leaves its label out, not those behind it. */
	assert_int_equal(pgo_metrics_add(&m, PGO_METRIC_GATE_VALUE, NAN, labels, NULL), 0);
	assert_int_equal(pgo_metrics_add(&m, PGO_METRIC_DAYS, -INFINITY, none, NULL), 0);
	pgo_buf_init(&text, 1 << 16);
	pgo_metrics_text(&m, &text);
	assert_has(text.data, "\npgo_gate_value{target=\"a\\\"b\\\\c\\nd\",gate=\"x\"} NaN\n");
	assert_has(text.data, "\npgo_dates -Inf\n");
	pgo_buf_fini(&text);
	pgo_metrics_fini(&m);
}

static void no_allocation_failure_leaks(void **state)
{
	const char *labels[] = {"target", "a", NULL};
	uint64_t live = pgo_alloc_live();

	(void)state;
	for (uint64_t n = 0; n < 150; n++) {
		struct pgo_metrics m = {0};
		int rc = 0;

		pgo_alloc_fail_after(n);
		for (int i = 0; i < 40 && rc == 0; i++)
			rc = pgo_metrics_add(&m, PGO_METRIC_HOSTS, i, labels, NULL);
		pgo_alloc_fail_after(UINT64_MAX);
		pgo_metrics_fini(&m);
		assert_int_equal(pgo_alloc_live(), live);
	}
}

/* Standard error of this program stands for the journal's. */
static void a_mark_is_made_for_the_journal_only(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(pgo_journal_mark(3), "");
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_string_equal(pgo_journal_mark(3), "<3>");
	assert_string_equal(pgo_journal_mark(6), "<6>");
	assert_string_equal(pgo_journal_mark(8), "");
	assert_string_equal(pgo_journal_mark(-1), "");
	/* Standard error was sent elsewhere. */
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_string_equal(pgo_journal_mark(3), "");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_string_equal(pgo_journal_mark(3), "");
	setenv("JOURNAL_STREAM", "1:", 1);
	assert_string_equal(pgo_journal_mark(3), "");
	unsetenv("JOURNAL_STREAM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_stand_together_below_their_help_and_type),
		cmocka_unit_test(labels_are_escaped_and_values_may_be_no_numbers),
		cmocka_unit_test(no_allocation_failure_leaks),
		cmocka_unit_test(a_mark_is_made_for_the_journal_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
