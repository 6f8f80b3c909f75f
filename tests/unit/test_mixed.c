/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles that do not all measure the same, merged: units, periods, labels; and fleets against a
 * merge that is slow and plain. */
#include "merge/merge.h"
#include "merge/tags.h"
#include "merge/units.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"
#include "tests/lib/mkprofile.h"
#include "tests/lib/randfleet.h"
#include "tests/lib/scratch.h"

#include <stdlib.h>
#include <string.h>

static struct pgo_profile *merge_some(
	struct pgo_profile *const *p, size_t n, const struct pgo_merge_options *o)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merge *m = pgo_merge_new(o, &err);
	struct pgo_profile *out;

	for (size_t i = 0; i < n; i++) {
		struct pgo_reader *r = pgo_profile_reader(p[i], "profile", false, &err);

		if (pgo_merge_add(m, r, 1, &err) < 0)
			fail_msg("%s", err.msg);
		pgo_reader_close(r);
	}
	out = pgo_merge_finish(m, &err);
	if (out == NULL && err.code != PGO_EEMPTY)
		fail_msg("%s", err.msg);
	pgo_merge_free(m);
	return out;
}

/* "TYPE/UNIT=TOTAL ..." */
static char *totals(const struct pgo_profile *p)
{
	struct pgo_buf b;

	pgo_buf_init(&b, 10000);
	for (size_t c = 0; c < p->n_sample_types; c++) {
		long long total = 0;

		for (size_t i = 0; i < p->n_samples; i++)
			total += p->sample_values[i * p->n_sample_types + c];
		pgo_buf_printf(&b, "%s%s/%s=%lld", c != 0 ? " " : "",
			pgo_profile_str(p, p->sample_types[c].type),
			pgo_profile_str(p, p->sample_types[c].unit), total);
	}
	return b.data;
}

/* A profile of one column with one sample of it, and a period. */
static struct pgo_profile *one(const char *type, const char *unit, int64_t value, const char *event,
	const char *event_unit, int64_t period)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_sample s = {.n_loc = 1, .value = &value};
	uint32_t loc;

	pgo_profile_add_sample_type(p, type, unit);
	p->period_type.type = pgo_strtab_puts(&p->strs, event);
	p->period_type.unit = pgo_strtab_puts(&p->strs, event_unit);
	p->period = period;
	loc = pgo_profile_add_location(p, PGO_NONE, 0x1000, NULL, 0);
	s.loc = &loc;
	assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	return p;
}

/* In every order, and as a merge of merges. */
static void expect_totals(struct pgo_profile **p, size_t n, const char *want)
{
	for (size_t turn = 0; turn < n; turn++) {
		struct pgo_profile *all = merge_some(p, n, NULL), *first, *two[2], *tree;
		char *got = totals(all), *again;

		assert_string_equal(got, want);
		first = merge_some(p, n - 1, NULL);
		two[0] = p[n - 1];
		two[1] = first;
		tree = merge_some(two, 2, NULL);
		again = totals(tree);
		assert_string_equal(again, want);
		free(got);
		free(again);
		pgo_profile_free(all);
		pgo_profile_free(first);
		pgo_profile_free(tree);
		first = p[0];
		memmove(p, p + 1, (n - 1) * sizeof *p);
		p[n - 1] = first;
	}
	for (size_t i = 0; i < n; i++)
		pgo_profile_free(p[i]);
}

/* ---------------------------------------------------------------- units and periods */

static void units_have_the_names_that_profiles_use(void **state)
{
	static const struct {
		const char *name;
		uint64_t factor;
	} good[] = {{"nanoseconds", 1}, {"ns", 1}, {"microseconds", 1000}, {"us", 1000},
		{"\xc2\xb5s", 1000}, {"milliseconds", 1000000}, {"ms", 1000000},
		{"seconds", 1000000000}, {"s", 1000000000}, {"bytes", 1}, {"B", 1}, {"kB", 1024},
		{"kilobytes", 1024}, {"MB", 1 << 20}};
	static const char *const none[] = {"count", "", "cycles", "requests", "m", "nanosecondss"};
	struct pgo_unit u;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(pgo_unit_find(good[i].name, &u));
		assert_true(u.factor == good[i].factor);
	}
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_false(pgo_unit_find(none[i], &u));
}

static void one_type_in_several_units_is_counted_in_the_finest(void **state)
{
	struct pgo_profile *time[] = {one("cpu", "milliseconds", 3, "", "", 0),
		one("cpu", "nanoseconds", 5, "", "", 0), one("cpu", "us", 7, "", "", 0)};
	struct pgo_profile *memory[] = {one("space", "kB", 3, "", "", 0),
		one("space", "bytes", 5, "", "", 0), one("space", "count", 1, "", "", 0)};
	struct pgo_profile *spelled[] = {one("cpu", "ns", 3, "", "", 0),
		one("cpu", "nanoseconds", 5, "", "", 0), one("cpu", "ns", 1, "", "", 0)};

	(void)state;
	expect_totals(time, 3, "cpu/nanoseconds=3007005");
	expect_totals(memory, 3, "space/bytes=3077 space/count=1");
	expect_totals(spelled, 3, "cpu/nanoseconds=9");
}

static void counts_with_one_period_are_added_and_nothing_is_made_up(void **state)
{
	struct pgo_profile *p[] = {one("samples", "count", 3, "cpu", "nanoseconds", 10),
		one("samples", "count", 4, "cpu", "nanoseconds", 10),
		one("samples", "count", 5, "cpu", "nanoseconds", 10)};

	(void)state;
	expect_totals(p, 3, "samples/count=12");
}

static void counts_with_different_periods_get_the_event_as_a_column(void **state)
{
	struct pgo_profile *p[] = {one("samples", "count", 3, "cpu", "nanoseconds", 10),
		one("samples", "count", 4, "cpu", "nanoseconds", 100),
		one("samples", "count", 5, "cpu", "microseconds", 1)};
	struct pgo_profile *events[] = {one("samples", "count", 3, "cpu", "nanoseconds", 10),
		one("samples", "count", 4, "cycles", "count", 1000),
		one("samples", "count", 5, "cpu", "nanoseconds", 10)};

	(void)state;
	expect_totals(p, 3, "samples/count=12 cpu/nanoseconds=5430");
	expect_totals(events, 3, "samples/count=12 cpu/nanoseconds=80 cycles/count=4000");
}

static void counts_beside_a_profile_of_the_event_get_it_too(void **state)
{
	struct pgo_profile *p[] = {one("samples", "count", 3, "cpu", "nanoseconds", 10),
		one("cpu", "nanoseconds", 500, "cpu", "nanoseconds", 100),
		one("samples", "count", 5, "cpu", "nanoseconds", 10)};
	struct pgo_profile *coarse[] = {one("samples", "count", 3, "cpu", "nanoseconds", 10),
		one("cpu", "milliseconds", 2, "cpu", "milliseconds", 1),
		one("samples", "count", 5, "cpu", "nanoseconds", 10)};

	(void)state;
	expect_totals(p, 3, "samples/count=8 cpu/nanoseconds=580");
	expect_totals(coarse, 3, "samples/count=8 cpu/nanoseconds=2000080");
}

static void counts_of_unknown_period_do_not_take_that_of_others(void **state)
{
	struct pgo_profile *p[] = {one("samples", "count", 3, "cpu", "nanoseconds", 10),
		one("samples", "count", 4, "", "", 0),
		one("lbr_traces", "count", 9, "cpu", "ns", 7)};
	struct pgo_profile *unknown[] = {one("samples", "count", 3, "cpu", "nanoseconds", 0),
		one("samples", "count", 4, "", "", 0),
		one("lbr_traces", "count", 9, "cpu", "ns", 7)};

	(void)state;
	expect_totals(p, 3, "samples/count=7 cpu/nanoseconds=30 lbr_traces/count=9");
	expect_totals(unknown, 3, "samples/count=7 lbr_traces/count=9");
}

static void one_column_in_two_units_within_a_profile_is_refused(void **state)
{
	struct pgo_profile *p = pgo_profile_new(NULL);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merge *m = pgo_merge_new(NULL, &err);
	struct pgo_reader *r;

	(void)state;
	pgo_profile_add_sample_type(p, "cpu", "ms");
	pgo_profile_add_sample_type(p, "cpu", "ns");
	r = pgo_profile_reader(p, "twice", true, &err);
	assert_int_equal(pgo_merge_add(m, r, 1, &err), PGO_EFORMAT);
	assert_has(err.msg, "twice: it has the column cpu twice");
	pgo_reader_close(r);
	pgo_merge_free(m);
}

/* ---------------------------------------------------------------- labels */

static const char labelled[] = "type samples/count\n"
			       "a 1 host=web-1 zone=east\n"
			       "b 2 host=web-2 zone=west\n"
			       "c 4 host=db-1 zone=east\n"
			       "d 8\n"
			       "e 16 bytes:2048\n"
			       "f 32 bytes:4194304\n"
			       "g 64 latency:15\n";

/* The sum of the samples that are taken, or a negative code. */
static long long taken(const char *focus, const char *ignore)
{
	const struct pgo_tag_options o = {focus, ignore, NULL};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merge_options mo = {.tags = pgo_tags_new(&o, &err)};
	struct pgo_profile *p, *out;
	long long sum = 0;

	if (mo.tags == NULL)
		return err.code;
	p = mkprofile(labelled);
	out = merge_some(&p, 1, &mo);
	for (size_t i = 0; out != NULL && i < out->n_samples; i++)
		sum += out->sample_values[i];
	pgo_profile_free(out);
	pgo_profile_free(p);
	pgo_tags_free((struct pgo_tags *)(uintptr_t)mo.tags);
	return sum;
}

static void samples_are_taken_by_their_labels(void **state)
{
	(void)state;
	assert_int_equal(taken("web", NULL), 3);
	assert_int_equal(taken("host:web", NULL), 3);
	assert_int_equal(taken("web,east", NULL), 1);
	assert_int_equal(taken("host=web-2,db", NULL), 6);
	assert_int_equal(taken("zone=web", NULL), 0);
	assert_int_equal(taken("zone=^ea", "host=db"), 1);
	assert_int_equal(taken(NULL, "east"), 127 - 5);
	assert_int_equal(taken("bytes=2kb", NULL), 16);
	assert_int_equal(taken("bytes=2kb:", NULL), 48);
	assert_int_equal(taken("bytes=:4095", NULL), 16);
	assert_int_equal(taken("bytes=2049:5mb", NULL), 32);
	assert_int_equal(taken("latency=10:20", NULL), 64);
	assert_int_equal(taken(NULL, "latency=10:20"), 63);
	assert_int_equal(taken("host=(", NULL), PGO_EUSAGE);
}

static void only_the_labels_asked_for_are_kept(void **state)
{
	const struct pgo_tag_options o = {NULL, NULL, "zone,bytes"};
	struct pgo_merge_options mo = {.keep_labels = true, .tags = pgo_tags_new(&o, NULL)};
	struct pgo_profile *p = mkprofile(labelled), *out = merge_some(&p, 1, &mo);
	size_t zones = 0, bytes = 0;

	(void)state;
	for (size_t i = 0; i < out->n_sample_labels; i++) {
		zones += strcmp(pgo_profile_str(out, out->sample_labels[i].key), "zone") == 0;
		bytes += strcmp(pgo_profile_str(out, out->sample_labels[i].key), "bytes") == 0;
	}
	assert_int_equal(zones, 3);
	assert_int_equal(bytes, 2);
	assert_int_equal(out->n_sample_labels, 5);
	pgo_profile_free(p);
	pgo_profile_free(out);
	pgo_tags_free((struct pgo_tags *)(uintptr_t)mo.tags);
}

/* ---------------------------------------------------------------- against a plain merge */

/* Everything that makes a location, in text: what two must share to be one. */
static void put_location(struct pgo_buf *b, const struct pgo_profile *p, uint32_t id)
{
	const struct pgo_location *l = &p->locations[id];
	const struct pgo_mapping *m = l->mapping != PGO_NONE ? &p->mappings[l->mapping] : NULL;

	if (m == NULL) {
		pgo_buf_printf(b, "[%llx", (unsigned long long)l->addr);
	} else {
		const char *build = pgo_profile_str(p, m->build_id);
		const char *file = build[0] != '\0' ? build : pgo_profile_str(p, m->filename);
		bool bare = m->start == 0 && m->limit == 0;
		bool inside = !bare && l->addr != 0 && l->addr >= m->start &&
			      (l->addr < m->limit || m->limit <= m->start);
		uint64_t size = m->limit > m->start ? (m->limit - m->start + 4095) / 4096 : 0;

		/* Outside: an address of the file, whatever the mapping says.  Address 0 was erased,
		 * and stays in its mapping. */
		if (inside)
			pgo_buf_printf(b, "[%s %llu@%llx+%llx", file, (unsigned long long)size,
				(unsigned long long)m->offset,
				(unsigned long long)(l->addr - m->start));
		else if (l->addr == 0 && !bare)
			pgo_buf_printf(b, "[%s %llu@%llx erased", file, (unsigned long long)size,
				(unsigned long long)m->offset);
		else
			pgo_buf_printf(b, "[%s %llx", file, (unsigned long long)l->addr);
	}
	for (uint32_t i = 0; i < l->n_lines; i++) {
		const struct pgo_line *line = &p->lines[l->first_line + i];
		const struct pgo_function *f = &p->functions[line->function];

		pgo_buf_printf(b, " %s|%s|%s|%lld:%lld:%lld", pgo_profile_str(p, f->name),
			pgo_profile_str(p, f->system_name), pgo_profile_str(p, f->filename),
			(long long)f->start_line, (long long)line->line, (long long)line->column);
	}
	pgo_buf_puts(b, l->folded ? " folded]" : "]");
}

struct plain_row {
	char *text; /* the stack and the column */
	__int128 sum;
};

struct plain {
	struct plain_row *rows;
	size_t n, room;
};

static int cmp_row(const void *pa, const void *pb)
{
	const struct plain_row *a = pa, *b = pb;

	return strcmp(a->text, b->text);
}

/* One row for each value that is not 0. */
static void plain_add(struct plain *to, const struct pgo_profile *p, int64_t weight)
{
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);

		for (size_t c = 0; c < p->n_sample_types; c++) {
			struct pgo_buf b;

			if (s.value[c] == 0)
				continue;
			pgo_buf_init(&b, 1 << 20);
			for (uint32_t k = 0; k < s.n_loc; k++)
				put_location(&b, p, s.loc[k]);
			pgo_buf_printf(&b, " %s/%s", pgo_profile_str(p, p->sample_types[c].type),
				pgo_profile_str(p, p->sample_types[c].unit));
			assert_false(b.failed);
			if (to->n == to->room) {
				to->room = to->room * 2 + 1000;
				to->rows = realloc(to->rows, to->room * sizeof *to->rows);
			}
			to->rows[to->n++] =
				(struct plain_row){b.data, (__int128)s.value[c] * weight};
		}
	}
}

static void plain_sum(struct plain *p)
{
	size_t n = 0;

	qsort(p->rows, p->n, sizeof *p->rows, cmp_row);
	for (size_t i = 0; i < p->n; i++) {
		if (n != 0 && strcmp(p->rows[n - 1].text, p->rows[i].text) == 0) {
			p->rows[n - 1].sum += p->rows[i].sum;
			pgo_free(p->rows[i].text);
		} else {
			p->rows[n++] = p->rows[i];
		}
	}
	p->n = n;
}

static void plain_free(struct plain *p)
{
	for (size_t i = 0; i < p->n; i++)
		pgo_free(p->rows[i].text);
	free(p->rows);
}

/* Implied columns are tested above; here every profile has a column of its own kind. */
static bool counts_alone(const struct pgo_profile *p)
{
	for (size_t i = 0; i < p->n_sample_types; i++)
		if (strncmp(pgo_profile_str(p, p->sample_types[i].type), "lbr_", 4) != 0 &&
			strcmp(pgo_profile_str(p, p->sample_types[i].type), "samples") != 0)
			return false;
	return true;
}

static void a_hundred_fleets_have_the_sums_of_a_plain_merge(void **state)
{
	uint64_t seed = 20261121;

	(void)state;
	for (unsigned fleet = 0; fleet < 100; fleet++) {
		struct plain want = {0}, got = {0};
		struct pgo_profile *p[8], *merged;
		size_t n = 0;

		while (n < 2 + fleet % 7) {
			p[n] = randfleet_profile(&seed, 40);
			if (counts_alone(p[n])) {
				pgo_profile_free(p[n]);
				continue;
			}
			plain_add(&want, p[n++], 1);
		}
		merged = merge_some(p, n, NULL);
		plain_add(&got, merged, 1);
		plain_sum(&want);
		plain_sum(&got);
		assert_int_equal(got.n, want.n);
		for (size_t i = 0; i < want.n; i++) {
			assert_string_equal(got.rows[i].text, want.rows[i].text);
			assert_true(got.rows[i].sum == want.rows[i].sum);
		}
		pgo_profile_free(merged);
		for (size_t i = 0; i < n; i++)
			pgo_profile_free(p[i]);
		plain_free(&want);
		plain_free(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_have_the_names_that_profiles_use),
		cmocka_unit_test(one_type_in_several_units_is_counted_in_the_finest),
		cmocka_unit_test(counts_with_one_period_are_added_and_nothing_is_made_up),
		cmocka_unit_test(counts_with_different_periods_get_the_event_as_a_column),
		cmocka_unit_test(counts_beside_a_profile_of_the_event_get_it_too),
		cmocka_unit_test(counts_of_unknown_period_do_not_take_that_of_others),
		cmocka_unit_test(one_column_in_two_units_within_a_profile_is_refused),
		cmocka_unit_test(samples_are_taken_by_their_labels),
		cmocka_unit_test(only_the_labels_asked_for_are_kept),
		cmocka_unit_test(a_hundred_fleets_have_the_sums_of_a_plain_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
