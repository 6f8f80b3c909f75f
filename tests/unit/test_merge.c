/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The laws of merge, over random fleets, and each rule for keys, columns, header and rounding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "merge/merge.h"
#include "merge/order.h"
#include "pgo/core/alloc.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- helpers */

static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed += 0x9e3779b97f4a7c15u;
	uint64_t z = seed;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

static uint32_t str(struct pgo_profile *p, const char *s)
{
	return pgo_strtab_puts(&p->strs, s);
}

static struct pgo_profile *new_profile(const char *type, const char *unit)
{
	struct pgo_profile *p = pgo_profile_new(NULL);

	assert_non_null(p);
	if (type != NULL)
		assert_int_not_equal(pgo_profile_add_sample_type(p, type, unit), PGO_NONE);
	return p;
}

static uint32_t add_mapping(struct pgo_profile *p, uint64_t start, uint64_t limit, uint64_t offset,
	const char *file, const char *id)
{
	struct pgo_mapping m = {.start = start,
		.limit = limit,
		.offset = offset,
		.filename = str(p, file),
		.build_id = str(p, id)};

	return pgo_profile_add_mapping(p, &m);
}

static uint32_t add_named(struct pgo_profile *p, const char *name)
{
	struct pgo_function f = {.name = str(p, name), .system_name = str(p, name)};
	struct pgo_line l;

	memset(&l, 0, sizeof l);
	l.function = pgo_profile_add_function(p, &f);
	l.line = 7;
	return pgo_profile_add_location(p, PGO_NONE, 0, &l, 1);
}

static void add_values(
	struct pgo_profile *p, const uint32_t *loc, uint32_t n_loc, const int64_t *values)
{
	struct pgo_sample s = {.loc = loc, .n_loc = n_loc, .value = values};

	assert_int_equal(pgo_profile_add_sample(p, &s), 0);
}

static void add_one(struct pgo_profile *p, uint32_t loc, int64_t value)
{
	add_values(p, &loc, 1, &value);
}

/* A profile of a made-up fleet: shared program and library at random bases, random columns, stacks
 * of shared functions, pseudo-locations, erased and foreign addresses, labels. */
static struct pgo_profile *random_profile(void)
{
	static const char *const types[] = {
		"samples", "cpu", "lbr_traces", "lbr_mispredicts", "wall"};
	static const char *const builds[] = {"aabbccdd00", "aabbccdd01", ""};
	struct pgo_profile *p = new_profile(NULL, NULL);
	uint64_t base = 0x550000000000u + rnd(1000) * 0x1000,
		 lib = 0x7f0000000000u + rnd(1000) * 4096;
	uint32_t maps[4], locs[60], n_locs = 0;
	size_t first = rnd(4), n = 1 + rnd(4 - first);

	for (size_t i = first; i < first + n; i++)
		pgo_profile_add_sample_type(p, types[i], i == 1 ? "nanoseconds" : "count");
	if (rnd(2))
		p->default_sample_type = p->sample_types[rnd(p->n_sample_types)].type;
	maps[0] = add_mapping(p, base, base + 0x9000 - rnd(3) * 100, 0x1000,
		rnd(2) ? "/a/app" : "/b/app", builds[rnd(3)]);
	maps[1] = add_mapping(p, lib, lib + 0x5000, 0x2000, "/lib/libc.so", "1122");
	maps[2] = add_mapping(p, 0, 0, 0, "/x/app", builds[rnd(2)]);
	maps[3] = add_mapping(p, rnd(2) * base, 0, 0, "[jit]", "");
	for (size_t i = 0; i < p->n_mappings; i++)
		p->mappings[i].has_functions = rnd(3) != 0;
	p->period_type.type = str(p, rnd(2) ? "cpu" : "cycles");
	p->period_type.unit = str(p, "nanoseconds");
	p->period = (int64_t)rnd(5) * 1000;
	p->time_ns = (int64_t)rnd(5) * 1000000;
	p->duration_ns = (int64_t)rnd(5) * 1000000;
	p->drop_frames = str(p, rnd(2) ? "malloc" : "");
	pgo_profile_add_comment(p, rnd(2) ? "one" : "two");
	while (n_locs < 60) {
		switch (rnd(8)) {
		case 0:
			locs[n_locs++] = add_named(p, rnd(2) ? "[lbr:branch_only]" : "spin");
			break;
		case 1:
			locs[n_locs++] =
				pgo_profile_add_location(p, maps[1], lib + rnd(30) * 16, NULL, 0);
			break;
		case 2: /* outside its mapping, or erased */
			locs[n_locs++] = pgo_profile_add_location(
				p, maps[rnd(2)], rnd(2) * (0x401000 + rnd(10) * 4), NULL, 0);
			break;
		case 3:
			locs[n_locs++] = pgo_profile_add_location(
				p, maps[2 + rnd(2)], 0x1000 + rnd(10) * 4, NULL, 0);
			p->locations[p->n_locations - 1].folded = rnd(2);
			break;
		default:
			locs[n_locs++] =
				pgo_profile_add_location(p, maps[0], base + rnd(60) * 8, NULL, 0);
		}
	}
	for (size_t i = 0, k = 1 + rnd(80); i < k; i++) {
		struct pgo_label labels[2];
		uint32_t stack[5];
		int64_t values[8];
		struct pgo_sample s = {.loc = stack, .n_loc = (uint32_t)rnd(6), .value = values};

		memset(labels, 0, sizeof labels);
		labels[0].key = str(p, "host");
		labels[0].str = str(p, rnd(2) ? "h1" : "h2");
		labels[1].key = str(p, "bytes");
		labels[1].num = (int64_t)rnd(2);
		labels[1].num_unit = str(p, "bytes");
		s.label = labels;
		s.n_label = (uint32_t)rnd(3);
		for (uint32_t l = 0; l < s.n_loc; l++)
			stack[l] = locs[rnd(60)];
		for (size_t v = 0; v < p->n_sample_types; v++)
			values[v] = (int64_t)(rnd(3) * rnd(1000));
		assert_int_equal(pgo_profile_add_sample(p, &s), 0);
	}
	return p;
}

static struct pgo_profile *merge_weighted(struct pgo_profile *const *in, const uint64_t *weights,
	size_t n, uint64_t one, bool labels, struct pgo_err *err)
{
	struct pgo_merge_options o = {.weight_one = one, .keep_labels = labels};
	struct pgo_merge *m = pgo_merge_new(&o, err);
	struct pgo_profile *p = NULL;
	int rc = 0;

	for (size_t i = 0; m != NULL && i < n && rc == 0; i++) {
		struct pgo_reader *r = pgo_profile_reader(in[i], "test", false, err);

		rc = r == NULL ? PGO_ENOMEM
			       : pgo_merge_add(m, r, weights != NULL ? weights[i] : 1, err);
		pgo_reader_close(r);
	}
	if (m != NULL && rc == 0)
		p = pgo_merge_finish(m, err);
	pgo_merge_free(m);
	return p;
}

static struct pgo_profile *merge(struct pgo_profile *const *in, size_t n)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_profile *p = merge_weighted(in, NULL, n, 1, true, &err);

	if (p == NULL)
		fail_msg("%s", err.msg);
	if (pgo_profile_check_tables(p, &err) < 0)
		fail_msg("the result is not valid: %s", err.msg);
	return p;
}

static struct pgo_profile *merge2(struct pgo_profile *a, struct pgo_profile *b)
{
	struct pgo_profile *in[2] = {a, b};

	return merge(in, 2);
}

static void digest(const struct pgo_profile *p, char ret[65])
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_sha256 s;
	struct pgo_buf out;
	uint8_t raw[32];

	pgo_buf_init(&out, (size_t)1 << 30);
	if (pgo_pprof_encode(p, false, &out, &err) < 0)
		fail_msg("%s", err.msg);
	pgo_sha256_init(&s);
	pgo_sha256_add(&s, out.data, out.len);
	pgo_sha256_final(&s, raw);
	pgo_sha256_hex(raw, ret);
	pgo_buf_fini(&out);
}

static void assert_same(const struct pgo_profile *a, const struct pgo_profile *b)
{
	char da[65], db[65];

	digest(a, da);
	digest(b, db);
	assert_string_equal(da, db);
}

static int64_t total(const struct pgo_profile *p, const char *type)
{
	uint32_t c = pgo_profile_sample_type(p, type);
	int64_t sum = 0;

	for (size_t i = 0; c != PGO_NONE && i < p->n_samples; i++)
		sum += pgo_profile_sample(p, i).value[c];
	return sum;
}

/* The value of the only sample whose leaf is at `addr`. */
static int64_t value_at(const struct pgo_profile *p, uint64_t addr, size_t column)
{
	int64_t v = -1;

	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);

		if (s.n_loc != 0 && p->locations[s.loc[0]].addr == addr) {
			assert_int_equal(v, -1);
			v = s.value[column];
		}
	}
	return v;
}

/* ---------------------------------------------------------------- laws */

#define FLEET 12

static void random_fleet(struct pgo_profile **fleet)
{
	for (size_t i = 0; i < FLEET; i++)
		fleet[i] = random_profile();
}

static void free_all(struct pgo_profile **p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pgo_profile_free(p[i]);
}

static void shuffle(void *array, size_t n, size_t size)
{
	char *a = array, tmp[16];

	for (size_t i = n; i > 1; i--) {
		size_t j = rnd(i);

		memcpy(tmp, a + (i - 1) * size, size);
		memcpy(a + (i - 1) * size, a + j * size, size);
		memcpy(a + j * size, tmp, size);
	}
}

static void a_hundred_orders_give_one_digest(void **state)
{
	struct pgo_profile *fleet[FLEET], *p;
	char first[65], other[65];

	(void)state;
	seed = 1;
	random_fleet(fleet);
	p = merge(fleet, FLEET);
	digest(p, first);
	pgo_profile_free(p);
	for (int round = 0; round < 100; round++) {
		shuffle(fleet, FLEET, sizeof *fleet);
		p = merge(fleet, FLEET);
		digest(p, other);
		pgo_profile_free(p);
		assert_string_equal(first, other);
	}
	free_all(fleet, FLEET);
}

static void a_hundred_weighted_orders_give_one_digest(void **state)
{
	struct weighted {
		struct pgo_profile *p;
		uint64_t w;
	} pairs[FLEET];
	char first[65], other[65];

	(void)state;
	seed = 2;
	for (size_t i = 0; i < FLEET; i++)
		pairs[i] = (struct weighted){random_profile(), 1 + rnd(1 << 24)};
	for (int round = 0; round < 100; round++) {
		struct pgo_profile *in[FLEET], *p;
		uint64_t w[FLEET];

		for (size_t i = 0; i < FLEET; i++) {
			in[i] = pairs[i].p;
			w[i] = pairs[i].w;
		}
		p = merge_weighted(in, w, FLEET, 1 << 24, round % 2, NULL);
		assert_non_null(p);
		digest(p, round < 2 ? first : other);
		pgo_profile_free(p);
		if (round < 2) {
			p = merge_weighted(in, w, FLEET, 1 << 24, true, NULL);
			digest(p, first);
			pgo_profile_free(p);
		} else if (round % 2) {
			assert_string_equal(first, other);
		}
		shuffle(pairs, FLEET, sizeof *pairs);
	}
	for (size_t i = 0; i < FLEET; i++)
		pgo_profile_free(pairs[i].p);
}

static void every_tree_of_merges_gives_the_bytes_of_one_merge(void **state)
{
	(void)state;
	for (int round = 0; round < 60; round++) {
		struct pgo_profile *fleet[FLEET], *all;
		size_t n = FLEET;

		seed = 1000 + (uint64_t)round;
		random_fleet(fleet);
		all = merge(fleet, FLEET);
		while (n > 1) { /* two at random become one */
			struct pgo_profile *p;

			shuffle(fleet, n, sizeof *fleet);
			p = merge2(fleet[n - 1], fleet[n - 2]);
			pgo_profile_free(fleet[n - 1]);
			pgo_profile_free(fleet[n - 2]);
			n--;
			fleet[n - 1] = p;
		}
		assert_same(fleet[0], all);
		pgo_profile_free(fleet[0]);
		pgo_profile_free(all);
	}
}

/* `fleet` dealt out to `n` mergers, which then absorb each other; labels are kept. */
static struct pgo_profile *merge_in_parts(
	struct pgo_profile *const *fleet, const uint64_t *weights, size_t n, struct pgo_err *err)
{
	struct pgo_merge_options o = {.weight_one = 1 << 24, .keep_labels = true};
	struct pgo_merge *m[16] = {NULL};
	struct pgo_profile *p = NULL;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		m[i] = pgo_merge_new(&o, err);
		rc = m[i] != NULL ? 0 : PGO_ENOMEM;
	}
	for (size_t i = 0; i < FLEET && rc == 0; i++) {
		struct pgo_reader *r = pgo_profile_reader(fleet[i], "test", false, err);

		rc = r == NULL ? PGO_ENOMEM : pgo_merge_add(m[rnd(n)], r, weights[i], err);
		pgo_reader_close(r);
	}
	for (size_t left = n; left > 1 && rc == 0; left--) { /* any one takes the last one in */
		rc = pgo_merge_absorb(m[rnd(left - 1)], m[left - 1], err);
		pgo_merge_free(m[left - 1]);
		m[left - 1] = NULL;
	}
	if (rc == 0)
		p = pgo_merge_finish(m[0], err);
	for (size_t i = 0; i < n; i++)
		pgo_merge_free(m[i]);
	return p;
}

static void mergers_that_absorb_each_other_give_the_bytes_of_one(void **state)
{
	static const size_t parts[] = {1, 2, 3, 7, 16};

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct pgo_profile *fleet[FLEET], *all, *p;
		uint64_t w[FLEET];

		seed = 3000 + (uint64_t)round;
		random_fleet(fleet);
		for (size_t i = 0; i < FLEET; i++)
			w[i] = 1 + rnd(1 << 25);
		all = merge_weighted(fleet, w, FLEET, 1 << 24, true, NULL);
		assert_non_null(all);
		for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
			p = merge_in_parts(fleet, w, parts[k], NULL);
			assert_non_null(p);
			assert_same(p, all);
			pgo_profile_free(p);
		}
		pgo_profile_free(all);
		free_all(fleet, FLEET);
	}
}

static void running_out_of_memory_while_absorbing_leaks_nothing(void **state)
{
	struct pgo_profile *fleet[FLEET], *p = NULL;
	uint64_t w[FLEET], live;
	uint64_t n;

	(void)state;
	seed = 77;
	random_fleet(fleet);
	for (size_t i = 0; i < FLEET; i++)
		w[i] = 1 << 24;
	live = pgo_alloc_live();
	for (n = 0; p == NULL; n += 1 + n / 40) {
		struct pgo_err err = PGO_ERR_INIT;

		pgo_alloc_fail_after(n);
		p = merge_in_parts(fleet, w, 3, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (p == NULL) {
			assert_int_equal(err.code, PGO_ENOMEM);
			assert_int_equal(pgo_alloc_live(), live);
		}
	}
	assert_true(n > 50);
	pgo_profile_free(p);
	free_all(fleet, FLEET);
}

static void merging_one_profile_keeps_every_sum(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct pgo_profile *in, *p, *again;

		seed = 2000 + (uint64_t)round;
		in = random_profile();
		p = merge(&in, 1);
		assert_int_equal(p->n_sample_types, in->n_sample_types);
		for (size_t c = 0; c < in->n_sample_types; c++) {
			const char *type = pgo_profile_str(in, in->sample_types[c].type);

			assert_int_equal(total(p, type), total(in, type));
		}
		assert_int_equal(p->time_ns, in->time_ns);
		assert_int_equal(p->period, in->period);
		again = merge(&p, 1);
		assert_same(p, again);
		pgo_profile_free(again);
		pgo_profile_free(p);
		pgo_profile_free(in);
	}
}

static void equal_weights_change_nothing(void **state)
{
	struct pgo_profile *fleet[FLEET], *plain, *weighted;
	uint64_t w[FLEET];

	(void)state;
	seed = 5;
	random_fleet(fleet);
	for (size_t i = 0; i < FLEET; i++)
		w[i] = 1 << 24;
	plain = merge_weighted(fleet, NULL, FLEET, 1, false, NULL);
	weighted = merge_weighted(fleet, w, FLEET, 1 << 24, false, NULL);
	assert_same(plain, weighted);
	pgo_profile_free(plain);
	pgo_profile_free(weighted);
	free_all(fleet, FLEET);
}

/* ---------------------------------------------------------------- keys */

static void load_bases_disappear_and_the_lowest_is_kept(void **state)
{
	struct pgo_profile *a = new_profile("cpu", "nanoseconds");
	struct pgo_profile *b = new_profile("cpu", "nanoseconds"), *p;
	uint32_t ma = add_mapping(a, 0x7000000, 0x7005000, 0x1000, "/a", "AB");
	uint32_t mb = add_mapping(b, 0x5000000, 0x5005000, 0x1000, "/b", "{\"gnu\":\"ab\"}");

	(void)state;
	b->mappings[mb].build_id = str(b, "ab");
	add_one(a, pgo_profile_add_location(a, ma, 0x7000010, NULL, 0), 3);
	add_one(b, pgo_profile_add_location(b, mb, 0x5000010, NULL, 0), 4);
	p = merge2(a, b);
	assert_int_equal(p->n_samples, 1);
	assert_int_equal(p->n_mappings, 1);
	assert_int_equal(p->mappings[0].start, 0x5000000);
	assert_int_equal(p->mappings[0].limit, 0x5005000);
	assert_string_equal(pgo_profile_str(p, p->mappings[0].filename), "/a");
	assert_string_equal(pgo_profile_str(p, p->mappings[0].build_id), "ab");
	assert_int_equal(value_at(p, 0x5000010, 0), 7);
	pgo_profile_free(p);
	pgo_profile_free(a);
	pgo_profile_free(b);
}

static void other_builds_segments_and_sizes_stay_apart(void **state)
{
	struct pgo_profile *a = new_profile("cpu", "nanoseconds"), *p;

	(void)state;
	add_one(a,
		pgo_profile_add_location(
			a, add_mapping(a, 0x1000, 0x3000, 0, "/a", "01"), 0x1010, NULL, 0),
		1);
	add_one(a,
		pgo_profile_add_location(
			a, add_mapping(a, 0x1000, 0x3000, 0, "/a", "02"), 0x1010, NULL, 0),
		1);
	add_one(a,
		pgo_profile_add_location(
			a, add_mapping(a, 0x1000, 0x3000, 0x5000, "/a", "01"), 0x1010, NULL, 0),
		1);
	add_one(a,
		pgo_profile_add_location(
			a, add_mapping(a, 0x1000, 0x4000, 0, "/a", "01"), 0x1010, NULL, 0),
		1);
	/* the same up to a page */
	add_one(a,
		pgo_profile_add_location(
			a, add_mapping(a, 0x1000, 0x3fff, 0, "/a", "01"), 0x1010, NULL, 0),
		1);
	p = merge(&a, 1);
	assert_int_equal(p->n_mappings, 4);
	assert_int_equal(p->n_samples, 4);
	pgo_profile_free(p);
	pgo_profile_free(a);
}

static void addresses_outside_their_mapping_are_not_rebased(void **state)
{
	struct pgo_profile *in[2], *p;

	(void)state;
	for (int i = 0; i < 2; i++) { /* ELF addresses under run-time mappings */
		uint64_t base = 0x7f0000000000u + (uint64_t)i * 0x1000000;
		uint32_t m;

		in[i] = new_profile("cpu", "nanoseconds");
		m = add_mapping(in[i], base, base + 0x5000, 0x1000, "/a", "ab");
		add_one(in[i], pgo_profile_add_location(in[i], m, 0x1234, NULL, 0), 1);
		add_one(in[i], pgo_profile_add_location(in[i], m, base + 0x234, NULL, 0), 10);
		add_one(in[i], pgo_profile_add_location(in[i], m, 0, NULL, 0), 100);
	}
	p = merge(in, 2);
	assert_int_equal(p->n_mappings, 2);
	assert_int_equal(value_at(p, 0x1234, 0), 2);
	assert_int_equal(value_at(p, 0x7f0000000234, 0), 20);
	assert_int_equal(value_at(p, 0, 0), 200);
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct pgo_mapping *m = &p->mappings[p->locations[i].mapping];

		if (p->locations[i].addr == 0x1234)
			assert_true(m->start == 0 && m->limit == 0 && m->offset == 0);
		else
			assert_int_equal(m->start, 0x7f0000000000);
		assert_string_equal(pgo_profile_str(p, m->build_id), "ab");
	}
	pgo_profile_free(p);
	free_all(in, 2);
}

static void outside_addresses_are_counted(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds");
	uint32_t map = add_mapping(p, 0x5000, 0x6000, 0, "/a", "");
	struct pgo_merge *m = pgo_merge_new(NULL, NULL);
	struct pgo_reader *r = pgo_profile_reader(p, "x", false, NULL);

	(void)state;
	add_one(p, pgo_profile_add_location(p, map, 0x9000, NULL, 0), 1);
	add_one(p, pgo_profile_add_location(p, map, 0x5010, NULL, 0), 1);
	add_one(p, pgo_profile_add_location(p, map, 0x5020, NULL, 0), 0);
	assert_int_equal(pgo_merge_add(m, r, 1, NULL), 0);
	assert_int_equal(pgo_merge_stats_of(m)->locations_outside, 1);
	assert_int_equal(pgo_merge_stats_of(m)->locations_in, 2);
	assert_int_equal(pgo_merge_stats_of(m)->samples_in, 3);
	assert_int_equal(pgo_merge_stats_of(m)->samples_zero, 1);
	pgo_reader_close(r);
	pgo_merge_free(m);
	pgo_profile_free(p);
}

static void lines_are_part_of_a_location(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;
	struct pgo_function f = {.name = str(p, "f"), .start_line = 10};
	struct pgo_line l[2];

	(void)state;
	memset(l, 0, sizeof l);
	l[0].function = l[1].function = pgo_profile_add_function(p, &f);
	l[0].line = 11;
	l[1].line = 12;
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 0x10, l, 1), 1);
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 0x10, l + 1, 1), 1);
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 0x10, l, 2), 1);
	l[1].line = 11;
	l[1].column = 3;
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 0x10, l + 1, 1), 1);
	l[1].column = 0;
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 0x10, l + 1, 1), 1); /* = the first */
	out = merge(&p, 1);
	assert_int_equal(out->n_samples, 4);
	assert_int_equal(out->n_functions, 1);
	assert_int_equal(out->functions[0].start_line, 10);
	pgo_profile_free(out);
	pgo_profile_free(p);
}

static void labels_are_dropped_or_kept(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;
	uint32_t loc = add_named(p, "f");
	struct pgo_label l[2];
	int64_t one = 1;
	struct pgo_sample s = {.loc = &loc, .n_loc = 1, .value = &one, .label = l, .n_label = 2};

	(void)state;
	memset(l, 0, sizeof l);
	l[0].key = str(p, "host");
	l[0].str = str(p, "a");
	l[1].key = str(p, "zone");
	l[1].str = str(p, "b");
	pgo_profile_add_sample(p, &s);
	s.label = (struct pgo_label[]){l[1], l[0]}; /* the same set */
	pgo_profile_add_sample(p, &s);
	l[0].str = str(p, "other");
	s.label = l;
	pgo_profile_add_sample(p, &s);
	out = merge_weighted(&p, NULL, 1, 1, true, NULL);
	assert_int_equal(out->n_samples, 2);
	assert_int_equal(pgo_profile_sample(out, 0).value[0], 2);
	assert_string_equal(pgo_profile_str(out, pgo_profile_sample(out, 0).label[0].key), "host");
	assert_string_equal(pgo_profile_str(out, pgo_profile_sample(out, 0).label[0].str), "a");
	pgo_profile_free(out);
	out = merge_weighted(&p, NULL, 1, 1, false, NULL);
	assert_int_equal(out->n_samples, 1);
	assert_int_equal(out->n_sample_labels, 0);
	assert_int_equal(pgo_profile_sample(out, 0).value[0], 3);
	pgo_profile_free(out);
	pgo_profile_free(p);
}

/* ---------------------------------------------------------------- columns, header */

static void columns_are_united_with_zeros(void **state)
{
	struct pgo_profile *a = new_profile("lbr_traces", "count"),
			   *b = new_profile("cpu", "nanoseconds");
	struct pgo_profile *c = new_profile("cpu", "count"), *p;
	struct pgo_profile *in[3] = {a, b, c};

	(void)state;
	pgo_profile_add_sample_type(b, "samples", "count");
	add_one(a, add_named(a, "f"), 5);
	add_values(b, (uint32_t[]){add_named(b, "f")}, 1, (int64_t[]){100, 1});
	add_one(c, add_named(c, "g"), 9);
	p = merge(in, 3);
	assert_int_equal(p->n_sample_types, 4);
	assert_string_equal(pgo_profile_str(p, p->sample_types[0].type), "samples");
	assert_string_equal(pgo_profile_str(p, p->sample_types[1].type), "cpu");
	assert_string_equal(pgo_profile_str(p, p->sample_types[1].unit), "count");
	assert_string_equal(pgo_profile_str(p, p->sample_types[2].unit), "nanoseconds");
	assert_string_equal(pgo_profile_str(p, p->sample_types[3].type), "lbr_traces");
	assert_string_equal(pgo_profile_str(p, p->default_sample_type), "cpu");
	assert_int_equal(p->n_samples, 2);
	/* f: one stack whose columns come from two inputs */
	assert_int_equal(pgo_profile_sample(p, 0).value[0], 1);
	assert_int_equal(pgo_profile_sample(p, 0).value[1], 0);
	assert_int_equal(pgo_profile_sample(p, 0).value[2], 100);
	assert_int_equal(pgo_profile_sample(p, 0).value[3], 5);
	assert_int_equal(pgo_profile_sample(p, 1).value[1], 9);
	pgo_profile_free(p);
	free_all(in, 3);
}

static void header_fields_follow_their_rules(void **state)
{
	struct pgo_profile *a = new_profile("cpu", "nanoseconds"),
			   *b = new_profile("cpu", "nanoseconds");
	struct pgo_profile *p;

	(void)state;
	add_one(a, add_named(a, "f"), 1);
	add_one(b, add_named(b, "f"), 1);
	a->time_ns = 500;
	b->time_ns = 0;
	a->duration_ns = 3;
	b->duration_ns = 4;
	a->period_type = b->period_type =
		(struct pgo_value_type){a->sample_types[0].type, a->sample_types[0].unit};
	b->period_type.type = b->sample_types[0].type;
	b->period_type.unit = b->sample_types[0].unit;
	a->period = 10;
	b->period = 20;
	pgo_profile_add_comment(a, "zebra");
	pgo_profile_add_comment(a, "ant");
	pgo_profile_add_comment(b, "zebra");
	b->drop_frames = str(b, "free|malloc");
	p = merge2(a, b);
	assert_int_equal(p->time_ns, 500);
	assert_int_equal(p->duration_ns, 7);
	assert_int_equal(p->period, 20);
	assert_string_equal(pgo_profile_str(p, p->drop_frames), "free|malloc");
	assert_int_equal(p->n_comments, 2);
	assert_string_equal(pgo_profile_str(p, p->comments[0]), "ant");
	pgo_profile_free(p);
	pgo_profile_free(a);
	pgo_profile_free(b);
}

static void has_functions_needs_all_inputs(void **state)
{
	(void)state;
	for (int second = 0; second < 2; second++) {
		struct pgo_profile *in[2], *p;

		for (int i = 0; i < 2; i++) {
			uint32_t m;

			in[i] = new_profile("cpu", "nanoseconds");
			m = add_mapping(in[i], 0x5000, 0x6000, 0, "/a", "ab");
			in[i]->mappings[m].has_functions = i == 0 || second;
			add_one(in[i], pgo_profile_add_location(in[i], m, 0x5010, NULL, 0), 1);
		}
		p = merge(in, 2);
		assert_int_equal(p->mappings[0].has_functions, second);
		pgo_profile_free(p);
		free_all(in, 2);
	}
}

static void the_main_binary_comes_first_even_without_samples(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;
	uint32_t m;

	(void)state;
	add_mapping(p, 0x1000, 0x2000, 0, "/z/main", "ff");
	m = add_mapping(p, 0x5000, 0x6000, 0, "/a/lib", "01");
	add_one(p, pgo_profile_add_location(p, m, 0x5010, NULL, 0), 1);
	out = merge(&p, 1);
	assert_int_equal(out->n_mappings, 2);
	assert_string_equal(pgo_profile_str(out, out->mappings[0].filename), "/z/main");
	assert_string_equal(pgo_profile_str(out, out->mappings[0].build_id), "ff");
	assert_int_equal(out->locations[0].mapping, 1);
	pgo_profile_free(out);
	pgo_profile_free(p);
}

/* ---------------------------------------------------------------- values */

static void rounding_keeps_the_total_and_favours_the_largest_remainder(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;
	const uint64_t w = 3;

	(void)state;
	/* 3/8 of 1, 2, 3, 5: 0.375, 0.75, 1.125, 1.875; total 4.125 -> 4 */
	for (int i = 0; i < 4; i++)
		add_one(p, pgo_profile_add_location(p, PGO_NONE, (uint64_t)(16 + i), NULL, 0),
			(int64_t[]){1, 2, 3, 5}[i]);
	out = merge_weighted(&p, &w, 1, 8, false, NULL);
	assert_int_equal(total(out, "cpu"), 4);
	assert_int_equal(value_at(out, 16, 0), -1); /* 0: gone */
	assert_int_equal(value_at(out, 17, 0), 1);
	assert_int_equal(value_at(out, 18, 0), 1);
	assert_int_equal(value_at(out, 19, 0), 2);
	pgo_profile_free(out);
	pgo_profile_free(p);
}

static void equal_remainders_are_decided_by_content(void **state)
{
	const uint64_t w = 1;

	(void)state;
	for (int reverse = 0; reverse < 2; reverse++) {
		struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;

		for (int i = 0; i < 4; i++)
			add_one(p,
				pgo_profile_add_location(p, PGO_NONE,
					(uint64_t)(16 + (reverse ? 3 - i : i)), NULL, 0),
				1);
		out = merge_weighted(&p, &w, 1, 2, false, NULL);
		assert_int_equal(out->n_samples, 2);
		assert_int_equal(value_at(out, 16, 0), 1);
		assert_int_equal(value_at(out, 17, 0), 1);
		pgo_profile_free(out);
		pgo_profile_free(p);
	}
}

static void negative_values_round_like_positive_ones(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;
	const uint64_t w = 3;

	(void)state;
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 16, NULL, 0), -10); /* -7.5 */
	add_one(p, pgo_profile_add_location(p, PGO_NONE, 17, NULL, 0), 7);   /* 5.25 */
	out = merge_weighted(&p, &w, 1, 4, false, NULL);
	assert_int_equal(total(out, "cpu"), -2); /* of -2.25 */
	assert_int_equal(value_at(out, 16, 0), -7);
	assert_int_equal(value_at(out, 17, 0), 5);
	pgo_profile_free(out);
	pgo_profile_free(p);
}

static void sums_beyond_64_bits_survive_until_the_division(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds"), *out;
	struct pgo_profile *in[2] = {p, p};
	const uint64_t w[2] = {1 << 23, 1 << 23};

	(void)state;
	add_one(p, add_named(p, "f"), INT64_MAX);
	out = merge_weighted(in, w, 2, 1 << 24, false, NULL);
	assert_non_null(out);
	assert_true(total(out, "cpu") == INT64_MAX);
	pgo_profile_free(out);
	pgo_profile_free(p);
}

static void a_result_beyond_64_bits_is_an_error_that_names_the_column(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds");
	struct pgo_profile *in[2] = {p, p};
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	add_one(p, add_named(p, "f"), INT64_MAX);
	assert_null(merge_weighted(in, NULL, 2, 1, false, &err));
	assert_int_equal(err.code, PGO_ELIMIT);
	assert_non_null(strstr(err.msg, "cpu/nanoseconds"));
	pgo_profile_free(p);
}

static void values_that_cancel_leave_nothing(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds");
	struct pgo_err err = PGO_ERR_INIT;

	(void)state;
	add_one(p, add_named(p, "f"), 5);
	add_one(p, 0, -5);
	assert_null(merge_weighted(&p, NULL, 1, 1, false, &err));
	assert_int_equal(err.code, PGO_EEMPTY);
	pgo_profile_free(p);
}

static void no_input_and_no_weight_are_refused(void **state)
{
	struct pgo_profile *p = new_profile("cpu", "nanoseconds");
	struct pgo_err err = PGO_ERR_INIT;
	const uint64_t none = 0;

	(void)state;
	assert_null(merge_weighted(NULL, NULL, 0, 1, false, &err));
	assert_int_equal(err.code, PGO_EEMPTY);
	assert_null(merge_weighted(&p, &none, 1, 1, false, &err));
	assert_int_equal(err.code, PGO_EUSAGE);
	pgo_profile_free(p);
}

static void the_memory_limit_is_an_error_not_an_outage(void **state)
{
	struct pgo_merge_options o = {.max_memory = 1 << 20};
	struct pgo_profile *p = new_profile("cpu", "nanoseconds");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_merge *m = pgo_merge_new(&o, &err);
	struct pgo_reader *r;

	(void)state;
	for (uint64_t i = 0; i < 40000; i++)
		add_one(p, pgo_profile_add_location(p, PGO_NONE, 16 + i, NULL, 0), 1);
	r = pgo_profile_reader(p, "big", false, &err);
	assert_int_equal(pgo_merge_add(m, r, 1, &err), PGO_ELIMIT);
	assert_non_null(strstr(err.msg, "big"));
	pgo_reader_close(r);
	pgo_merge_free(m);
	pgo_profile_free(p);
}

static void every_failed_allocation_is_an_error_without_a_leak(void **state)
{
	struct pgo_profile *in[2];
	uint64_t live;

	(void)state;
	seed = 77;
	in[0] = random_profile();
	in[1] = random_profile();
	live = pgo_alloc_live();
	for (uint64_t n = 0;; n++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_profile *p;

		pgo_alloc_fail_after(n);
		p = merge_weighted(in, NULL, 2, 1, true, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		if (p != NULL) {
			assert_true(n > 50);
			pgo_profile_free(p);
			break;
		}
		assert_int_equal(err.code, PGO_ENOMEM);
		assert_int_equal(pgo_alloc_live(), live);
	}
	assert_int_equal(pgo_alloc_live(), live);
	free_all(in, 2);
}

/* ---------------------------------------------------------------- the sort */

static int cmp_modulo(const void *ctx, uint32_t a, uint32_t b)
{
	(void)ctx;
	return (a > b) - (a < b);
}

static void sorting_agrees_with_qsort(void **state)
{
	enum { N = 5000 };
	static struct pgo_order a[N];

	(void)state;
	seed = 9;
	for (uint64_t range = 2; range != 0 && range < (1ull << 60); range *= 37) {
		for (uint32_t i = 0; i < N; i++)
			a[i] = (struct pgo_order){rnd(range) * (UINT64_MAX / range), N - i, 0};
		assert_int_equal(pgo_order_sort(a, N, cmp_modulo, NULL), 0);
		for (uint32_t i = 1; i < N; i++)
			assert_true(a[i - 1].key < a[i].key ||
				    (a[i - 1].key == a[i].key && a[i - 1].index < a[i].index));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_orders_give_one_digest),
		cmocka_unit_test(a_hundred_weighted_orders_give_one_digest),
		cmocka_unit_test(every_tree_of_merges_gives_the_bytes_of_one_merge),
		cmocka_unit_test(mergers_that_absorb_each_other_give_the_bytes_of_one),
		cmocka_unit_test(running_out_of_memory_while_absorbing_leaks_nothing),
		cmocka_unit_test(merging_one_profile_keeps_every_sum),
		cmocka_unit_test(equal_weights_change_nothing),
		cmocka_unit_test(load_bases_disappear_and_the_lowest_is_kept),
		cmocka_unit_test(other_builds_segments_and_sizes_stay_apart),
		cmocka_unit_test(addresses_outside_their_mapping_are_not_rebased),
		cmocka_unit_test(outside_addresses_are_counted),
		cmocka_unit_test(lines_are_part_of_a_location),
		cmocka_unit_test(labels_are_dropped_or_kept),
		cmocka_unit_test(columns_are_united_with_zeros),
		cmocka_unit_test(header_fields_follow_their_rules),
		cmocka_unit_test(has_functions_needs_all_inputs),
		cmocka_unit_test(the_main_binary_comes_first_even_without_samples),
		cmocka_unit_test(rounding_keeps_the_total_and_favours_the_largest_remainder),
		cmocka_unit_test(equal_remainders_are_decided_by_content),
		cmocka_unit_test(negative_values_round_like_positive_ones),
		cmocka_unit_test(sums_beyond_64_bits_survive_until_the_division),
		cmocka_unit_test(a_result_beyond_64_bits_is_an_error_that_names_the_column),
		cmocka_unit_test(values_that_cancel_leave_nothing),
		cmocka_unit_test(no_input_and_no_weight_are_refused),
		cmocka_unit_test(the_memory_limit_is_an_error_not_an_outage),
		cmocka_unit_test(every_failed_allocation_is_an_error_without_a_leak),
		cmocka_unit_test(sorting_agrees_with_qsort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
