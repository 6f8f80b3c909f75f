/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program is compiled here, and profiles of it are made by hand from the places of its
 * instructions; without gcc these tests are skipped.
 */
#include "convert/cfg.h"
#include "convert/convert.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/lbr.h"
#include "tests/lib/scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char source[] = "__attribute__((noinline)) int twice(int x)\n" /* 1 */
			     "{\n"                                          /* 2 */
			     "\treturn x * 2 + 1;\n"                        /* 3 */
			     "}\n"                                          /* 4 */
			     "__attribute__((noinline)) int loop(int n)\n"  /* 5 */
			     "{\n"                                          /* 6 */
			     "\tint sum = 0;\n"                             /* 7 */
			     "\tfor (int i = 0; i < n; i++)\n"              /* 8 */
			     "\t\tsum += twice(sum ^ i);\n"                 /* 9 */
			     "\treturn sum;\n"                              /* 10 */
			     "}\n"                                          /* 11 */
			     "int main(int argc, char **argv)\n"            /* 12 */
			     "{\n"                                          /* 13 */
			     "\t(void)argv;\n"                              /* 14 */
			     "\treturn loop(argc * 100) & 1;\n"             /* 15 */
			     "}\n";

struct fn {
	uint64_t start, end;
	uint64_t call, after_call; /* its call, and where that returns to */
	uint64_t back, top;        /* its backward branch, and where that goes */
	uint64_t ret;              /* its last instruction */
};

struct bench {
	char *path;
	struct pgo_elf *elf;
	struct fn loop, twice;
	struct pgo_profile *p;
	uint32_t mapping, libc, branch_only, external;
};

static struct fn look(const struct pgo_elf *e, const char *name)
{
	struct pgo_cfg c = {0};
	struct fn f = {0};

	for (size_t i = 0; i < e->n_symbols; i++) {
		if (strcmp(e->symbols[i].name, name) == 0) {
			f.start = e->symbols[i].addr;
			f.end = f.start + e->symbols[i].size;
		}
	}
	assert_true(f.end > f.start);
	assert_int_equal(pgo_cfg_decode(&c, e, f.start, f.end, NULL, 0, NULL), 0);
	for (size_t i = 0; i < c.n_insns; i++) {
		const struct pgo_insn *p = &c.insns[i];

		if (p->kind == PGO_INSN_CALL) {
			f.call = p->addr;
			f.after_call = p->addr + p->size;
		}
		if (p->kind == PGO_INSN_COND && p->target < p->addr && p->target >= f.start) {
			f.back = p->addr;
			f.top = p->target;
		}
		if (p->kind == PGO_INSN_RET)
			f.ret = p->addr;
	}
	pgo_cfg_fini(&c);
	return f;
}

static void compile(void *state, const char *to, const char *flags)
{
	const char *from = scratch_file(state, "p.c", source, strlen(source));
	char cmd[2048];

	if (system("command -v gcc >/dev/null 2>&1") != 0)
		skip();
	snprintf(cmd, sizeof cmd, "gcc -O1 -fno-optimize-sibling-calls -Wl,--build-id %s -o %s %s",
		flags, to, from);
	if (system(cmd) != 0)
		fail_msg("failed: %s", cmd);
}

static uint32_t add_mapping(struct pgo_profile *p, const char *file, const char *build_id)
{
	struct pgo_mapping m = {.limit = 1 << 30,
		.filename = pgo_strtab_puts(&p->strs, file),
		.build_id = pgo_strtab_puts(&p->strs, build_id)};

	return pgo_profile_add_mapping(p, &m);
}

static uint32_t add_pseudo(struct pgo_profile *p, const char *name)
{
	struct pgo_function f = {.name = pgo_strtab_puts(&p->strs, name)};
	struct pgo_line l = {.function = pgo_profile_add_function(p, &f)};

	return pgo_profile_add_location(p, PGO_NONE, 0, &l, 1);
}

/* An empty profile of the program, with columns for samples and branch records. */
static struct pgo_profile *new_profile(struct bench *b, const char *build_id)
{
	struct pgo_profile *p = pgo_profile_new(NULL);

	pgo_profile_add_sample_type(p, "samples", "count");
	pgo_profile_add_sample_type(p, PGO_LBR_TYPE_TRACES, "count");
	pgo_profile_add_sample_type(p, PGO_LBR_TYPE_MISPREDICTS, "count");
	/* ELF-mapped: the whole file from 0, as its one segment were. */
	b->mapping = add_mapping(p, b->path, build_id);
	b->libc = add_mapping(p, "/lib/libc.so.6", "00ff");
	b->branch_only = add_pseudo(p, PGO_LBR_BRANCH_ONLY);
	b->external = add_pseudo(p, PGO_LBR_EXTERNAL);
	return p;
}

static struct bench *up(void *state, const char *flags)
{
	struct bench *b = calloc(1, sizeof *b);
	struct pgo_err err = PGO_ERR_INIT;

	b->path = scratch_path(state, "app");
	compile(state, b->path, flags);
	b->elf = pgo_elf_open(b->path, &err);
	if (b->elf == NULL)
		fail_msg("%s", err.msg);
	b->loop = look(b->elf, "loop");
	b->twice = look(b->elf, "twice");
	assert_true(b->loop.call != 0 && b->loop.back != 0 && b->twice.ret != 0);
	b->p = new_profile(b, b->elf->build_id);
	return b;
}

static void down(struct bench *b)
{
	pgo_profile_free(b->p);
	pgo_elf_close(b->elf);
	free(b);
}

static uint32_t at(struct bench *b, uint64_t vaddr)
{
	return pgo_profile_add_location(b->p, b->mapping, vaddr, NULL, 0);
}

static void add(
	struct bench *b, uint32_t end, uint32_t target, uint32_t src, int64_t n, int64_t miss)
{
	uint32_t loc[3] = {end, target, src};
	int64_t value[3] = {0, n, miss};
	struct pgo_sample s = {.loc = loc, .value = value, .n_loc = 3};

	assert_int_equal(pgo_profile_add_sample(b->p, &s), 0);
}

static void add_plain(struct bench *b, uint64_t vaddr, int64_t n)
{
	uint32_t loc = at(b, vaddr);
	int64_t value[3] = {n, 0, 0};
	struct pgo_sample s = {.loc = &loc, .value = value, .n_loc = 1};

	assert_int_equal(pgo_profile_add_sample(b->p, &s), 0);
}

/* 10 runs of loop() with 100 rounds each, as branch records would tell. */
static void add_run(struct bench *b)
{
	const struct fn *l = &b->loop, *t = &b->twice;

	add(b, at(b, l->call), at(b, l->start), b->external, 10, 1);
	add(b, at(b, t->ret), at(b, t->start), at(b, l->call), 1000, 0);
	add(b, at(b, l->back), at(b, l->after_call), at(b, t->ret), 990, 0);
	add(b, at(b, l->ret), at(b, l->after_call), at(b, t->ret), 10, 0);
	add(b, at(b, l->call), at(b, l->top), at(b, l->back), 990, 7);
	add(b, b->branch_only, b->external, at(b, l->ret), 10, 0);
}

static struct pgo_convert *convert(
	struct bench *b, bool fnprof, bool fdata, const char *debug, struct pgo_err *err)
{
	const char *binary = b->path;
	struct pgo_convert_options o = {.binaries = &binary,
		.n_binaries = 1,
		.where = {.debug = &debug, .n_debug = debug != NULL, .sole = true},
		.want_fnprof = fnprof,
		.want_fdata = fdata};
	struct pgo_convert *c = pgo_convert_new(&o, err);
	struct pgo_reader *r = c != NULL ? pgo_profile_reader(b->p, "in", false, err) : NULL;

	if (r == NULL || pgo_convert_add(c, r, err) < 0 || pgo_convert_run(c, err) < 0) {
		pgo_convert_free(c);
		c = NULL;
	}
	pgo_reader_close(r);
	return c;
}

static struct pgo_convert *convert_good(struct bench *b, bool fnprof, bool fdata)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_convert *c = convert(b, fnprof, fdata, NULL, &err);

	if (c == NULL)
		fail_msg("%s", err.msg);
	return c;
}

static uint64_t sum(const uint64_t *v)
{
	uint64_t n = 0;

	for (int i = 0; i < PGO_N_LOSSES; i++)
		n += v[i];
	return n;
}

/* The law of the account: everything read is used or lost under a name. */
static void assert_adds_up(const struct pgo_account *a)
{
	assert_int_equal(a->branches_read, a->branches_used + sum(a->branch_loss));
	assert_int_equal(a->ranges_read, a->ranges_used + sum(a->range_loss) + a->ranges_backward +
						 a->ranges_too_long + a->ranges_no_function +
						 a->ranges_cross_function + a->ranges_cross_jump +
						 a->ranges_misaligned + a->ranges_stub);
	assert_int_equal(a->plain_read, a->plain_used + sum(a->plain_loss) + a->plain_stub +
						a->plain_no_function + a->plain_misplaced);
}

static uint64_t edge(const struct pgo_fdata *f, const char *from, uint64_t from_off, const char *to,
	uint64_t to_off, uint64_t *ret_mispreds)
{
	for (size_t i = 0; i < f->n_edges; i++) {
		const struct pgo_fdata_edge *e = &f->edges[i];

		if (strcmp(pgo_strtab_get(&f->strs, e->from.name), from) == 0 &&
			strcmp(pgo_strtab_get(&f->strs, e->to.name), to) == 0 &&
			e->from.offset == from_off && e->to.offset == to_off) {
			if (ret_mispreds != NULL)
				*ret_mispreds = e->mispreds;
			return e->count;
		}
	}
	return 0;
}

/* ------------------------------------------------------------------ what comes out */

static void positions_heads_and_targets(void **state)
{
	struct bench *b = up(*state, "-g");
	const struct pgo_fnprof *p;
	const struct pgo_fn *loop, *twice;
	const struct pgo_fn_pos *pos;
	struct pgo_convert *c;

	add_run(b);
	c = convert_good(b, true, false);
	p = pgo_convert_fnprof(c);
	loop = pgo_fnprof_find(p, "loop");
	twice = pgo_fnprof_find(p, "twice");
	assert_non_null(loop);
	assert_non_null(twice);
	assert_int_equal(loop->head, 10);
	assert_int_equal(twice->head, 1000);
	assert_string_equal(pgo_fnprof_str(p, loop->file), "p.c");
	pos = pgo_fn_position_find(twice, 2, 0);
	assert_non_null(pos);
	assert_int_equal(pos->count, 1000);
	assert_int_equal(pgo_fn_position_find(loop, 6, 0)->count, 10);
	/* The call in the loop: line 9, whatever its discriminator. */
	pos = NULL;
	for (uint32_t i = 0; i < loop->n_pos; i++) {
		if (loop->pos[i].n_targets != 0)
			pos = &loop->pos[i];
	}
	assert_non_null(pos);
	assert_int_equal(pos->line, 4);
	assert_int_equal(pos->count, 1000);
	assert_string_equal(pgo_fnprof_str(p, pos->targets[0].name), "twice");
	assert_int_equal(pos->targets[0].count, 1000);
	assert_adds_up(pgo_convert_account(c));
	assert_true(pgo_convert_account(c)->lbr);
	assert_true(pgo_convert_account(c)->mapped_share == 1.0);
	/* main() is there and never ran. */
	assert_null(pgo_fnprof_find(p, "main"));
	for (size_t i = 0; i <= p->n_cold; i++) {
		assert_true(i < p->n_cold);
		if (strcmp(pgo_fnprof_str(p, p->cold[i]), "main") == 0)
			break;
	}
	pgo_convert_free(c);
	down(b);
}

static void edges_of_branches_calls_and_fall_throughs(void **state)
{
	struct bench *b = up(*state, "-g");
	const struct fn *l = &b->loop, *t = &b->twice;
	const struct pgo_fdata *f;
	struct pgo_convert *c;
	uint64_t miss = 0, into = 0, out_of = 0;

	add_run(b);
	c = convert_good(b, false, true);
	f = pgo_convert_fdata(c, 0);
	assert_null(pgo_convert_fnprof(c));
	assert_int_equal(edge(f, "loop", l->call - l->start, "twice", 0, NULL), 1000);
	assert_int_equal(
		edge(f, "loop", l->back - l->start, "loop", l->top - l->start, &miss), 990);
	assert_int_equal(miss, 7);
	assert_int_equal(edge(f, "", 0, "loop", 0, NULL), 10);
	/* Returns are not edges. */
	assert_int_equal(
		edge(f, "twice", t->ret - t->start, "loop", l->after_call - l->start, NULL), 0);
	assert_int_equal(edge(f, "loop", l->ret - l->start, "", 0, NULL), 0);
	/* What enters the block at the loop's top leaves it: 10 fall in, 990 jump in. */
	for (size_t i = 0; i < f->n_edges; i++) {
		const struct pgo_fdata_edge *e = &f->edges[i];

		if (strcmp(pgo_strtab_get(&f->strs, e->to.name), "loop") == 0 &&
			e->to.offset == l->top - l->start)
			into += e->count;
		if (strcmp(pgo_strtab_get(&f->strs, e->from.name), "loop") == 0 &&
			e->from.offset == l->back - l->start)
			out_of += e->count;
	}
	assert_int_equal(into, 1000);
	assert_int_equal(out_of, 1000); /* 990 back, 10 on */
	assert_adds_up(pgo_convert_account(c));
	pgo_convert_free(c);
	down(b);
}

static void bogus_ranges_are_counted_by_kind_and_left_out(void **state)
{
	struct bench *b = up(*state, "-g");
	const struct fn *l = &b->loop, *t = &b->twice;
	const struct pgo_account *a;
	struct pgo_convert *c;

	add_run(b);
	add(b, at(b, l->start), at(b, l->call), at(b, l->back), 3, 0);   /* backward */
	add(b, at(b, t->start), at(b, t->ret), at(b, l->call), 5, 0);    /* backward */
	add(b, at(b, l->ret), at(b, l->start), at(b, l->back), 11, 0);   /* over the call */
	add(b, at(b, l->ret), at(b, l->top + 1), at(b, l->back), 13, 0); /* inside an instruction */
	add(b, at(b, t->start < l->start ? l->call : t->ret),
		at(b, t->start < l->start ? t->start : l->after_call), at(b, l->call), 17, 0);
	add(b, pgo_profile_add_location(b->p, b->libc, 0x1000, NULL, 0), at(b, l->start),
		b->external, 19, 0);
	c = convert_good(b, true, true);
	a = pgo_convert_account(c);
	assert_int_equal(a->ranges_backward, 8);
	assert_int_equal(a->ranges_cross_jump, 11);
	assert_int_equal(a->ranges_misaligned, 13);
	assert_int_equal(a->ranges_cross_function, 17);
	assert_int_equal(a->range_loss[PGO_LOSS_OTHER_BINARY], 19);
	assert_int_equal(a->ranges_used, 3000);
	assert_adds_up(a);
	/* 3068 branches into the program, 3049 runs: runs are scaled by that when written. */
	assert_int_equal(
		pgo_fn_position_find(pgo_fnprof_find(pgo_convert_fnprof(c), "twice"), 2, 0)->count,
		(1000 * 3068 + 3049 / 2) / 3049);
	pgo_convert_free(c);
	down(b);
}

static void account_adds_up_whatever_the_traces(void **state)
{
	struct bench *b = up(*state, "-g");
	uint32_t seed = 5, loc[64];
	struct pgo_convert *c;

	for (int i = 0; i < 60; i++) {
		seed = seed * 1664525u + 1013904223u;
		loc[i] = i % 7 == 0 ? pgo_profile_add_location(
					      b->p, b->libc, 4096 + (seed >> 16), NULL, 0)
			 : i % 11 == 0 ? pgo_profile_add_location(b->p, PGO_NONE, 0, NULL, 0)
				       : at(b, b->twice.start - 64 + (seed >> 8) % 256);
	}
	loc[60] = loc[61] = b->external;
	loc[62] = loc[63] = at(b, b->loop.call);
	for (int i = 0; i < 3000; i++) {
		uint32_t e, t, s;

		seed = seed * 1664525u + 1013904223u;
		e = seed >> 9 & 63;
		t = seed >> 15 & 63;
		s = seed >> 21 & 63;
		add(b, i % 31 == 0 ? b->branch_only : loc[e], loc[t], loc[s], 1 + i % 5, i % 2);
	}
	add_run(b);
	c = convert_good(b, true, true);
	assert_adds_up(pgo_convert_account(c));
	pgo_convert_free(c);
	down(b);
}

static void plain_samples_give_block_frequencies(void **state)
{
	struct bench *b = up(*state, "-g");
	const struct pgo_fn *twice;
	const struct pgo_account *a;
	struct pgo_convert *c;
	struct pgo_buf text;
	size_t n = 0;

	/* Every instruction of twice() sampled 8 times, except the first: 21 times. */
	for (uint64_t x = b->twice.start; x < b->twice.end; x++) {
		struct pgo_cfg cfg = {0};

		assert_int_equal(
			pgo_cfg_decode(&cfg, b->elf, b->twice.start, b->twice.end, NULL, 0, NULL),
			0);
		if (pgo_cfg_at(&cfg, x) != UINT32_MAX) {
			add_plain(b, x, n == 0 ? 21 : 8);
			n++;
		}
		pgo_cfg_fini(&cfg);
	}
	c = convert_good(b, true, true);
	a = pgo_convert_account(c);
	assert_false(a->lbr);
	assert_adds_up(a);
	assert_int_equal(a->plain_used, 8 * n + 13);
	assert_int_equal(a->estimate.samples, a->plain_used);
	assert_int_equal(a->estimate.functions, 1);
	twice = pgo_fnprof_find(pgo_convert_fnprof(c), "twice");
	assert_non_null(twice);
	/* Between what most instructions say and the mean, to which the outlier adds. */
	assert_true(twice->head >= 8 * 1000);
	assert_true(twice->head < ((8 * n + 13) * 1000) / n);
	assert_int_equal(pgo_fn_position_find(twice, 2, 0)->count, twice->head);
	/* One edge: into the function, from nowhere known. */
	assert_false(pgo_convert_fdata(c, 0)->no_lbr);
	assert_int_equal(pgo_convert_fdata(c, 0)->n_edges, 1);
	assert_int_equal(pgo_convert_fdata(c, 0)->edges[0].from.known, 0);
	assert_int_equal(pgo_convert_fdata(c, 0)->edges[0].count, twice->head);
	pgo_buf_init(&text, 1 << 20);
	pgo_account_text(a, &text);
	assert_has(text.data, "without branch records: block counts are estimates");
	assert_has(text.data, "samples without branch records: 1 functions");
	pgo_buf_fini(&text);
	pgo_convert_free(c);
	down(b);
}

static void plain_samples_beside_branch_records_are_not_counted_twice(void **state)
{
	struct bench *b = up(*state, "-g");
	struct pgo_convert *c;

	add_run(b);
	add_plain(b, b->twice.start, 100000);
	c = convert_good(b, true, false);
	assert_true(pgo_convert_account(c)->lbr);
	assert_int_equal(pgo_convert_account(c)->plain_read, 0);
	assert_int_equal(
		pgo_fn_position_find(pgo_fnprof_find(pgo_convert_fnprof(c), "twice"), 2, 0)->count,
		1000);
	pgo_convert_free(c);
	down(b);
}

static void result_does_not_depend_on_the_order_of_samples(void **state)
{
	struct bench *b = up(*state, "-g");
	struct pgo_buf out[2];

	for (int i = 0; i < 2; i++) {
		struct pgo_convert *c;

		if (i == 1) {
			pgo_profile_free(b->p);
			b->p = new_profile(b, b->elf->build_id);
			add(b, at(b, b->twice.ret), at(b, b->twice.start), at(b, b->loop.call), 1,
				0);
			add(b, b->branch_only, b->external, at(b, b->loop.ret), 2, 0);
			add_run(b);
		} else {
			add_run(b);
			add(b, b->branch_only, b->external, at(b, b->loop.ret), 2, 0);
			add(b, at(b, b->twice.ret), at(b, b->twice.start), at(b, b->loop.call), 1,
				0);
		}
		c = convert_good(b, true, true);
		pgo_buf_init(&out[i], 1 << 20);
		assert_int_equal(pgo_fdata_write(pgo_convert_fdata(c, 0), &out[i], NULL), 0);
		pgo_account_text(pgo_convert_account(c), &out[i]);
		pgo_convert_free(c);
	}
	assert_string_equal(out[0].data, out[1].data);
	pgo_buf_fini(&out[0]);
	pgo_buf_fini(&out[1]);
	down(b);
}

/* ------------------------------------------------------------------ what cannot be done */

static void refused(struct bench *b, bool fnprof, int code, const char *a, const char *bb)
{
	struct pgo_err err = PGO_ERR_INIT;

	assert_null(convert(b, fnprof, !fnprof, NULL, &err));
	assert_int_equal(err.code, code);
	assert_has(err.msg, a);
	assert_has(err.msg, bb);
}

static void profile_of_another_build_names_both(void **state)
{
	struct bench *b = up(*state, "-g");

	pgo_profile_free(b->p);
	b->p = new_profile(b, "0123456789abcdef0123456789abcdef01234567");
	add_run(b);
	refused(b, true, PGO_EMISMATCH, "0123456789abcdef0123456789abcdef01234567",
		b->elf->build_id);
	down(b);
}

static void profile_of_something_else_names_it(void **state)
{
	struct bench *b = up(*state, "-g");
	uint32_t x = pgo_profile_add_location(b->p, b->libc, 0x2000, NULL, 0);

	b->p->mappings[0].filename = pgo_strtab_puts(&b->p->strs, "/usr/bin/something");
	b->p->mappings[0].build_id = pgo_strtab_puts(&b->p->strs, "77");
	add(b, x, x, x, 5, 0);
	refused(b, true, PGO_EMISMATCH, "other binary", "/usr/bin/something");
	down(b);
}

static void empty_profile_and_empty_result_say_why(void **state)
{
	struct bench *b = up(*state, "-g");

	refused(b, true, PGO_EEMPTY, "no samples", "record");
	add(b, at(b, b->loop.start), at(b, b->loop.call), b->external, 9, 0);
	refused(b, false, PGO_EEMPTY, "end before they start", "9 of 9");
	pgo_profile_free(b->p);
	b->p = new_profile(b, b->elf->build_id);
	add(b, b->branch_only, at(b, b->loop.top), at(b, b->loop.back), 4, 0);
	refused(b, false, PGO_EEMPTY, "no range between two of them", "4 branches");
	down(b);
}

static void missing_debug_information_stops_source_level_outputs_only(void **state)
{
	struct bench *b = up(*state, "-g0");
	struct pgo_convert *c;

	add_run(b);
	refused(b, true, PGO_ENOTFOUND, "-fdebug-info-for-profiling", "--debug");
	c = convert_good(b, false, true);
	assert_int_equal(pgo_convert_fdata(c, 0)->n_edges != 0, 1);
	pgo_convert_free(c);
	down(b);
}

static void stripped_program_takes_names_from_its_debug_file(void **state)
{
	struct bench *b = up(*state, "-g");
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_convert *c;
	char cmd[1024], debug[512];

	add_run(b);
	snprintf(debug, sizeof debug, "%s.debug", b->path);
	snprintf(cmd, sizeof cmd, "objcopy --only-keep-debug %s %s && strip %s", b->path, debug,
		b->path);
	assert_int_equal(system(cmd), 0);
	c = convert(b, true, true, debug, &err);
	if (c == NULL)
		fail_msg("%s", err.msg);
	assert_non_null(pgo_fnprof_find(pgo_convert_fnprof(c), "twice"));
	assert_int_equal(edge(pgo_convert_fdata(c, 0), "loop", b->loop.call - b->loop.start,
				 "twice", 0, NULL),
		1000);
	assert_string_equal(pgo_convert_account(c)->debug_file, debug);
	pgo_convert_free(c);
	down(b);
}

static void memory_may_end_anywhere(void **state)
{
	struct bench *b = up(*state, "-g");
	struct pgo_err err = PGO_ERR_INIT;
	uint64_t live;
	bool done = false;

	add_run(b);
	pgo_diag_set_verbosity(-1);
	live = pgo_alloc_live();
	for (uint64_t n = 0; !done; n += 1 + n / 16) {
		struct pgo_convert *c;

		assert_true(n < 100000);
		pgo_err_clear(&err);
		pgo_alloc_fail_after(n);
		c = convert(b, true, true, NULL, &err);
		pgo_alloc_fail_after(UINT64_MAX);
		done = c != NULL;
		if (!done)
			assert_true(err.code == PGO_ENOMEM || err.code == PGO_ENOTFOUND);
		pgo_convert_free(c);
		assert_int_equal(pgo_alloc_live(), live);
	}
	pgo_diag_set_verbosity(0);
	down(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_up, scratch_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(positions_heads_and_targets),
		TEST(edges_of_branches_calls_and_fall_throughs),
		TEST(bogus_ranges_are_counted_by_kind_and_left_out),
		TEST(account_adds_up_whatever_the_traces),
		TEST(plain_samples_give_block_frequencies),
		TEST(plain_samples_beside_branch_records_are_not_counted_twice),
		TEST(result_does_not_depend_on_the_order_of_samples),
		TEST(profile_of_another_build_names_both),
		TEST(profile_of_something_else_names_it),
		TEST(empty_profile_and_empty_result_say_why),
		TEST(missing_debug_information_stops_source_level_outputs_only),
		TEST(stripped_program_takes_names_from_its_debug_file),
		TEST(memory_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
