/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The laws of sharded merging over random fleets: whatever the order of the inputs, the number of
 * shards and the tree in which their partials are reduced, the result has one digest, that of one
 * merger that saw everything.  PGO_LAW_ORDERS sets how many orders are tried (12).
 */
#include "merge/partial.h"
#include "merge/reduce.h"
#include "merge/spill.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "tests/lib/randfleet.h"
#include "tests/lib/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLEET 23
#define MAX_SHARDS 16

struct fleet {
	struct pgo_profile *p[FLEET];
	uint64_t weight[FLEET];
	struct pgo_merge_options o;
};

static struct fleet *fleet_new(uint64_t seed, bool labels, uint64_t one)
{
	struct fleet *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->o.keep_labels = labels;
	f->o.weight_one = one;
	for (unsigned i = 0; i < FLEET; i++) {
		f->p[i] = randfleet_profile(&seed, 120);
		f->weight[i] = one == 1 ? 1 : 1 + randfleet_rnd(&seed, one);
	}
	return f;
}

static void fleet_free(struct fleet *f)
{
	for (unsigned i = 0; i < FLEET; i++)
		pgo_profile_free(f->p[i]);
	free(f);
}

static bool spilling; /* to disk, every few stacks */
static size_t n_spilled;

static struct pgo_merge *new_merge(const struct fleet *f)
{
	struct pgo_merge_options o = f->o;
	struct pgo_merge *m;

	o.spill_at = spilling ? 20000 : 0;
	m = pgo_merge_new(&o, NULL);

	assert_non_null(m);
	return m;
}

static void add(struct pgo_merge *m, const struct fleet *f, unsigned i)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = pgo_profile_reader(f->p[i], "profile", false, &err);

	assert_non_null(r);
	if (pgo_merge_add(m, r, f->weight[i], &err) < 0)
		fail_msg("%s", err.msg);
	pgo_reader_close(r);
}

static void digest_of(const void *data, size_t len, char ret[65])
{
	struct pgo_sha256 s;
	uint8_t raw[32];

	pgo_sha256_init(&s);
	pgo_sha256_add(&s, data, len);
	pgo_sha256_final(&s, raw);
	pgo_sha256_hex(raw, ret);
}

/* The digest of the merged profile; frees `m`. */
static void finish(struct pgo_merge *m, char ret[65])
{
	n_spilled += pgo_mt_spilled(m);
	struct pgo_pprof_written w = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r = pgo_merge_stream(m, &err);

	if (r == NULL || pgo_pprof_write_reader(r, NULL, &w, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(w.samples, pgo_merge_stats_of(m)->samples_out);
	memcpy(ret, w.digest, sizeof w.digest);
	pgo_reader_close(r);
	pgo_merge_free(m);
}

static struct pgo_partial_head head_of(const struct fleet *f)
{
	return (struct pgo_partial_head){.tool = pgo_strdup("test"),
		.plan = pgo_strdup(""),
		.options = pgo_strdup(""),
		.weight_one = f->o.weight_one,
		.keep_labels = f->o.keep_labels};
}

static void name_input(struct pgo_partial_head *h, unsigned i)
{
	struct pgo_partial_input in = {.part = 0};

	in.digest[0] = (uint8_t)(i + 1);
	assert_int_equal(pgo_partial_add_input(h, &in, NULL), 0);
}

/* A line of text with these inputs of the fleet. */
static void partial_of(const struct fleet *f, const unsigned *which, size_t n, struct pgo_buf *out)
{
	struct pgo_merge *m = new_merge(f);
	struct pgo_partial_head h = head_of(f);
	struct pgo_err err = PGO_ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		add(m, f, which[i]);
		name_input(&h, which[i]);
	}
	h.stats = *pgo_merge_stats_of(m);
	pgo_partial_head_sort(&h);
	pgo_buf_init(out, (size_t)1 << 30);
	if (pgo_partial_write_line(m, &h, out, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_partial_head_fini(&h);
	pgo_merge_free(m);
}

/* Partials that count, summed up; the joined head. */
static struct pgo_merge *load(
	const struct fleet *f, const struct pgo_buf *part, size_t n, struct pgo_partial_head *ret)
{
	struct pgo_partial_reader *r[2 * MAX_SHARDS];
	struct pgo_reduce_item items[2 * MAX_SHARDS];
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merge *m = new_merge(f);

	assert_true(n <= 2 * MAX_SHARDS);
	for (size_t i = 0; i < n; i++) {
		r[i] = pgo_partial_open_memory("part", part[i].data, part[i].len, &err);
		if (r[i] == NULL)
			fail_msg("%s", err.msg);
		items[i] = (struct pgo_reduce_item){pgo_partial_head_of(r[i]), "part", false, NULL};
	}
	memset(ret, 0, sizeof *ret);
	if (pgo_reduce_choose(items, n, ret, &err) < 0)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < n; i++) {
		if (items[i].use && pgo_partial_load(r[i], m, &err) < 0)
			fail_msg("%s", err.msg);
		pgo_partial_close(r[i]);
	}
	return m;
}

static void reduce(const struct fleet *f, const struct pgo_buf *part, size_t n, struct pgo_buf *out)
{
	struct pgo_partial_head h;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merge *m = load(f, part, n, &h);

	pgo_buf_init(out, (size_t)1 << 30);
	if (pgo_partial_write_line(m, &h, out, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_partial_head_fini(&h);
	pgo_merge_free(m);
}

/* Joins random neighbours until few are left, then all: a random tree. */
static size_t random_tree(const struct fleet *f, struct pgo_buf *part, size_t n, uint64_t *seed)
{
	while (n > 1 && randfleet_rnd(seed, 4) != 0) {
		size_t k = 2 + randfleet_rnd(seed, n - 1), at = randfleet_rnd(seed, n - k + 1);
		struct pgo_buf joined;

		reduce(f, part + at, k, &joined);
		for (size_t i = 0; i < k; i++)
			pgo_buf_fini(&part[at + i]);
		part[at] = joined;
		memmove(part + at + 1, part + at + k, (n - at - k) * sizeof *part);
		n -= k - 1;
	}
	return n;
}

static void shuffle(unsigned *order, uint64_t *seed)
{
	for (unsigned i = 0; i < FLEET; i++)
		order[i] = i;
	for (unsigned i = FLEET; i > 1; i--) {
		unsigned k = (unsigned)randfleet_rnd(seed, i), swap = order[k];

		order[k] = order[i - 1];
		order[i - 1] = swap;
	}
}

/* One order, one number of shards, one random tree, some shards twice. */
static void one_way(const struct fleet *f, size_t n, uint64_t *seed, char ret[65], char whole[65])
{
	struct pgo_buf part[2 * MAX_SHARDS], all;
	struct pgo_partial_head h;
	unsigned order[FLEET];
	size_t left = n, at = 0;
	struct pgo_merge *m;

	shuffle(order, seed);
	for (size_t s = 0; s < n; s++) {
		size_t end = s + 1 == n ? FLEET : (s + 1) * FLEET / n;

		partial_of(f, order + at, end - at, &part[s]);
		at = end;
	}
	left = random_tree(f, part, left, seed);
	/* One comes once more, after it was reduced with others (with different others each time it
	 * could be neither counted nor left out). */
	if (randfleet_rnd(seed, 2) != 0) {
		size_t to = randfleet_rnd(seed, left + 1);

		memmove(part + to + 1, part + to, (left - to) * sizeof *part);
		partial_of(f, order, FLEET / n, &part[to]);
		left++;
	}
	reduce(f, part, left, &all);
	digest_of(all.data, all.len, whole);
	m = load(f, part, left, &h);
	finish(m, ret);
	pgo_partial_head_fini(&h);
	for (size_t i = 0; i < left; i++)
		pgo_buf_fini(&part[i]);
	pgo_buf_fini(&all);
}

static void hold(bool labels, uint64_t one)
{
	static const size_t shards[] = {1, 2, 3, 7, 16};
	const char *env = getenv("PGO_LAW_ORDERS");
	unsigned orders = env != NULL ? (unsigned)strtoul(env, NULL, 10) : 12;
	struct fleet *f = fleet_new(17 + one, labels, one);
	struct pgo_merge *m = new_merge(f);
	char want[65], want_partial[65] = "", have[65], have_partial[65];
	uint64_t seed = 1;

	for (unsigned i = 0; i < FLEET; i++)
		add(m, f, i);
	finish(m, want);
	for (unsigned k = 0; k < orders; k++) {
		spilling = k % 3 == 1;
		for (size_t s = 0; s < sizeof shards / sizeof *shards; s++) {
			setenv("PGO_THREADS", (k + s) % 2 != 0 ? "2" : "1", 1);
			one_way(f, shards[s], &seed, have, have_partial);
			assert_string_equal(have, want);
			if (want_partial[0] == '\0')
				memcpy(want_partial, have_partial, sizeof want_partial);
			assert_string_equal(have_partial, want_partial);
		}
	}
	unsetenv("PGO_THREADS");
	spilling = false;
	assert_true(orders < 2 || n_spilled != 0);
	fleet_free(f);
}

static void every_order_and_tree_has_the_bytes_of_one_merge(void **state)
{
	(void)state;
	hold(false, 1);
}

static void the_same_with_labels_kept(void **state)
{
	(void)state;
	hold(true, 1);
}

static void the_same_with_weights_rounded_once_at_the_end(void **state)
{
	(void)state;
	hold(false, (uint64_t)1 << 24);
	hold(true, 1000003);
	hold(true, 7); /* many equal remainders */
}

/* The sums of two mergers, one or both on disk, as threads put them together. */
static void threads_may_spill_or_not(void **state)
{
	struct fleet *f = fleet_new(11, true, 1000003);
	char want[65], have[65];

	(void)state;
	for (unsigned k = 0; k < 16; k++) {
		struct pgo_merge *m[2];

		for (unsigned t = 0; t < 2; t++) {
			spilling = (k >> t & 1) != 0;
			m[t] = new_merge(f);
		}
		for (unsigned i = 0; i < FLEET; i++)
			add(m[(k & 4) != 0 ? i % 2 : i < 4], f, i);
		assert_int_equal(pgo_merge_absorb(m[0], m[1], NULL), 0);
		pgo_merge_free(m[1]);
		if (k >= 8) { /* and once more through a third */
			spilling = k % 2 == 0;
			m[1] = new_merge(f);
			assert_int_equal(pgo_merge_absorb(m[1], m[0], NULL), 0);
			pgo_merge_free(m[0]);
			m[0] = m[1];
		}
		finish(m[0], have);
		if (k == 0)
			memcpy(want, have, sizeof want);
		assert_string_equal(have, want);
	}
	spilling = false;
	fleet_free(f);
}

static void a_spilled_result_can_be_held_in_memory(void **state)
{
	struct fleet *f = fleet_new(12, true, 1);
	struct pgo_profile *p[2];
	struct pgo_buf out[2];

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct pgo_merge *m;

		spilling = k != 0;
		m = new_merge(f);
		for (unsigned i = 0; i < FLEET; i++)
			add(m, f, i);
		assert_int_equal(pgo_mt_spilled(m), k != 0);
		p[k] = pgo_merge_finish(m, NULL);
		assert_non_null(p[k]);
		pgo_buf_init(&out[k], (size_t)1 << 30);
		assert_int_equal(pgo_pprof_encode(p[k], true, &out[k], NULL), 0);
		pgo_merge_free(m);
	}
	spilling = false;
	assert_int_equal(out[0].len, out[1].len);
	assert_memory_equal(out[0].data, out[1].data, out[0].len);
	for (unsigned k = 0; k < 2; k++) {
		pgo_profile_free(p[k]);
		pgo_buf_fini(&out[k]);
	}
	fleet_free(f);
}

static void no_room_to_spill_is_told_with_the_way_out(void **state)
{
	struct fleet *f = fleet_new(13, true, 1);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_reader *r;
	struct pgo_merge *m;

	(void)state;
	spilling = true;
	m = new_merge(f);
	setenv("TMPDIR", "/nonexistent/dir", 1);
	r = pgo_profile_reader(f->p[0], "profile", false, &err);
	for (int rc = 0; rc == 0;) {
		pgo_reader_close(r);
		r = pgo_profile_reader(f->p[0], "profile", false, &err);
		rc = pgo_merge_add(m, r, 1, &err);
		if (rc == 0) /* other stacks */
			rc = pgo_mt_spill_rows(m, &err);
	}
	unsetenv("TMPDIR");
	assert_int_equal(err.code, PGO_EIO);
	assert_has(err.msg, "/nonexistent/dir");
	assert_has(err.msg, "give more --memory");
	pgo_reader_close(r);
	pgo_merge_free(m);
	spilling = false;
	fleet_free(f);
}

static void an_empty_partial_changes_nothing(void **state)
{
	struct fleet *f = fleet_new(5, true, 1);
	const unsigned which[] = {0, 1, 2};
	struct pgo_buf part[2], joined;

	(void)state;
	partial_of(f, which, 3, &part[0]);
	partial_of(f, which, 0, &part[1]);
	reduce(f, part, 2, &joined);
	assert_int_equal(joined.len, part[0].len);
	assert_memory_equal(joined.data, part[0].data, joined.len);
	pgo_buf_fini(&part[0]);
	pgo_buf_fini(&part[1]);
	pgo_buf_fini(&joined);
	fleet_free(f);
}

static void sums_beyond_64_bits_survive_partials(void **state)
{
	/* 23 values of 2^63 - 1 with weights near 2^24: 2^92; then back to the mean. */
	struct fleet *f = fleet_new(3, false, (uint64_t)1 << 24);
	struct pgo_buf part[3];
	struct pgo_partial_head h;
	unsigned order[FLEET];
	struct pgo_merge *m = new_merge(f);
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_profile *p;
	char want[65], have[65];

	(void)state;
	for (unsigned i = 0; i < FLEET; i++) {
		uint32_t loc = 0;
		int64_t value = INT64_MAX - i;
		struct pgo_sample s = {.loc = &loc, .n_loc = 1, .value = &value};

		order[i] = i;
		pgo_profile_free(f->p[i]);
		f->p[i] = pgo_profile_new(NULL);
		pgo_profile_add_sample_type(f->p[i], "cpu", "nanoseconds");
		pgo_profile_add_location(f->p[i], PGO_NONE, 0x1234, NULL, 0);
		assert_int_equal(pgo_profile_add_sample(f->p[i], &s), 0);
		f->weight[i] = ((uint64_t)1 << 24) / FLEET;
	}
	for (unsigned i = 0; i < FLEET; i++)
		add(m, f, i);
	finish(m, want);
	for (unsigned s = 0; s < 3; s++)
		partial_of(f, order + s * FLEET / 3, (s + 1) * FLEET / 3 - s * FLEET / 3, &part[s]);
	finish(load(f, part, 3, &h), have);
	assert_string_equal(have, want);
	pgo_partial_head_fini(&h);
	/* Where the result itself does not fit, a sentence. */
	f->o.weight_one = 1;
	m = load(f, part, 3, &h);
	p = pgo_merge_finish(m, &err);
	assert_null(p);
	assert_int_equal(err.code, PGO_ELIMIT);
	assert_has(err.msg, "does not fit the 64 bits");
	pgo_merge_free(m);
	pgo_partial_head_fini(&h);
	for (unsigned s = 0; s < 3; s++)
		pgo_buf_fini(&part[s]);
	fleet_free(f);
}

/* ---------------------------------------------------------------- what counts */

static struct pgo_partial_head inputs(const unsigned *which, size_t n)
{
	struct pgo_partial_head h = {.tool = pgo_strdup("test"),
		.plan = pgo_strdup("p"),
		.options = pgo_strdup(""),
		.n_shards = 4,
		.n_planned = 4,
		.weight_one = 1};

	for (size_t i = 0; i < n; i++) {
		name_input(&h, which[i]);
		assert_int_equal(pgo_partial_add_shard(&h, which[i], NULL), 0);
	}
	h.stats.profiles = n;
	pgo_partial_head_sort(&h);
	return h;
}

static void overlapping_partials_count_once_or_are_refused(void **state)
{
	static const unsigned a[] = {0}, ab[] = {0, 1}, bc[] = {1, 2}, cd[] = {2, 3}, c[] = {2};
	struct pgo_partial_head h[] = {
		inputs(bc, 2), inputs(a, 1), inputs(ab, 2), inputs(cd, 2), inputs(c, 1)};
	const char *names[] = {"bc", "a", "ab", "cd", "c"};
	struct pgo_reduce_item items[5];
	struct pgo_partial_head all = {0};
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		items[i] = (struct pgo_reduce_item){&h[i], names[i], false, NULL};
	/* a is in ab, c in cd; bc, named first, is in both together. */
	assert_int_equal(pgo_reduce_choose(items, 5, &all, &err), 0);
	assert_true(items[2].use && items[3].use);
	assert_false(items[0].use || items[1].use || items[4].use);
	assert_string_equal(items[1].twin, "ab");
	assert_int_equal(all.n_inputs, 4);
	assert_int_equal(all.stats.profiles, 4);
	assert_int_equal(pgo_reduce_complete(&all, &err), 0);
	pgo_partial_head_fini(&all);

	items[3] = items[0]; /* a, ab, bc, c */
	assert_int_equal(pgo_reduce_choose(items + 1, 3, &all, &err), PGO_EMISMATCH);
	assert_has(err.msg, "1 of its 2 inputs");
	pgo_partial_head_fini(&all);
	for (unsigned i = 0; i < 5; i++)
		pgo_partial_head_fini(&h[i]);
}

static void missing_shards_are_named(void **state)
{
	static const unsigned bd[] = {1, 3};
	struct pgo_partial_head h = inputs(bd, 2);
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(pgo_reduce_complete(&h, &err), PGO_EMISMATCH);
	assert_has(err.msg, "2 of 4 shards are missing: 1, 3;");
	pgo_partial_head_fini(&h);
}

static void partials_that_do_not_belong_together_are_refused(void **state)
{
	static const unsigned a[] = {0}, b[] = {1};
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		struct pgo_partial_head x = inputs(a, 1), y = inputs(b, 1), all = {0};
		struct pgo_reduce_item items[2] = {{&x, "x", false, NULL}, {&y, "y", false, NULL}};
		static const char *const say[] = {"it was made by pgo 9", "partials of two plans",
			"with other options", "does not agree with the others", "labels kept"};

		if (k == 0) {
			pgo_free(y.tool);
			y.tool = pgo_strdup("pgo 9");
		} else if (k == 1) {
			y.plan[0] = 'q';
		} else if (k == 2) {
			pgo_free(y.options);
			y.options = pgo_strdup("focus");
		} else if (k == 3) {
			y.weight_one = 2;
		} else {
			y.keep_labels = true;
		}
		assert_int_equal(pgo_reduce_choose(items, 2, &all, &err), PGO_EMISMATCH);
		assert_has(err.msg, say[k]);
		assert_has(err.msg, "y: ");
		pgo_partial_head_fini(&x);
		pgo_partial_head_fini(&y);
		pgo_partial_head_fini(&all);
	}
}

/* ---------------------------------------------------------------- damage */

static int load_bytes(const void *data, size_t len, struct pgo_err *err)
{
	struct pgo_merge_options o = {0};
	struct pgo_merge *m = pgo_merge_new(&o, NULL);
	struct pgo_partial_reader *r = pgo_partial_open_memory("x.part", data, len, err);
	int rc = r != NULL ? pgo_partial_load(r, m, err) : (int)err->code;

	pgo_partial_close(r);
	pgo_merge_free(m);
	return rc;
}

static void damage_is_told_wherever_it_is(void **state)
{
	struct fleet *f = fleet_new(9, true, 1);
	const unsigned which[] = {0, 1};
	struct pgo_buf line, bytes;
	struct pgo_merge *m = new_merge(f);
	struct pgo_partial_head h = head_of(f);
	struct pgo_err err = PGO_ERR_INIT;
	char *path = scratch_path(*state, "a.part"), *copy;

	partial_of(f, which, 2, &line);
	assert_int_equal(load_bytes(line.data, line.len, &err), 0);
	add(m, f, 0);
	h.stats = *pgo_merge_stats_of(m);
	name_input(&h, 0);
	assert_int_equal(pgo_partial_write(m, &h, path, &err), 0);
	assert_int_equal(pgo_file_read(path, 1 << 30, &bytes, &err), 0);
	assert_int_equal(load_bytes(bytes.data, bytes.len, &err), 0);
	for (size_t len = 0; len < bytes.len; len += 1 + len / 37) {
		assert_true(load_bytes(bytes.data, len, &err) < 0);
		assert_has(err.msg, "x.part");
	}
	for (size_t at = 0; at < bytes.len; at += 1 + at / 37) {
		/* The header of gzip has bytes that mean nothing. */
		if (at >= 4 && at < 10)
			continue;
		bytes.data[at] ^= 0x10;
		assert_true(load_bytes(bytes.data, bytes.len, &err) < 0);
		bytes.data[at] ^= 0x10;
	}
	for (size_t len = 0; len < line.len - 1; len += 1 + len / 11)
		assert_true(load_bytes(line.data, len, &err) < 0);
	copy = strchr(line.data + 20, 'A');
	assert_non_null(copy);
	*copy = '*';
	assert_true(load_bytes(line.data, line.len, &err) < 0);
	assert_has(err.msg, "line of a partial is cut off or damaged");
	pgo_buf_fini(&line);
	pgo_buf_fini(&bytes);
	pgo_partial_head_fini(&h);
	pgo_merge_free(m);
	fleet_free(f);
}

static void a_partial_of_the_future_is_refused_with_its_version(void **state)
{
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	assert_int_equal(load_bytes("pgo-part\x02", 9, &err), PGO_EFORMAT);
	assert_has(err.msg, "is a partial of version 2, this program reads version 1");
	assert_int_equal(load_bytes("no partial at all", 17, &err), PGO_EFORMAT);
	assert_has(err.msg, "is no partial");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_and_tree_has_the_bytes_of_one_merge),
		cmocka_unit_test(the_same_with_labels_kept),
		cmocka_unit_test(the_same_with_weights_rounded_once_at_the_end),
		cmocka_unit_test(threads_may_spill_or_not),
		cmocka_unit_test(a_spilled_result_can_be_held_in_memory),
		cmocka_unit_test(no_room_to_spill_is_told_with_the_way_out),
		cmocka_unit_test(an_empty_partial_changes_nothing),
		cmocka_unit_test(sums_beyond_64_bits_survive_partials),
		cmocka_unit_test(overlapping_partials_count_once_or_are_refused),
		cmocka_unit_test(missing_shards_are_named),
		cmocka_unit_test(partials_that_do_not_belong_together_are_refused),
		cmocka_unit_test_setup_teardown(
			damage_is_told_wherever_it_is, scratch_up, scratch_down),
		cmocka_unit_test(a_partial_of_the_future_is_refused_with_its_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
