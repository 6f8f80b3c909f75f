/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/layout.h"

#include "pgo/core/insn.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

const double pgo_layout_cover[PGO_LAYOUT_COVERS] = {0.5, 0.9, 0.99, 0.999};

#define LINE_BITS 6
#define SMALL_BITS 12
#define LARGE_BITS 21

void pgo_layout_init(struct pgo_layout *l)
{
	memset(l, 0, sizeof *l);
	pgo_ranges_init(&l->ranges);
}

void pgo_layout_fini(struct pgo_layout *l)
{
	pgo_ranges_fini(&l->ranges);
	memset(l, 0, sizeof *l);
}

/* ---- reading */

/* The address of one end of a trace; false if it is not in the program. */
static bool inside(
	const struct pgo_lbr_columns *c, const struct pgo_resolved *at, uint32_t loc, uint64_t *ret)
{
	if (loc == PGO_NONE || c->end_kind[loc] != PGO_LBR_ADDR || at[loc].loss != PGO_LOSS_NONE)
		return false;
	*ret = at[loc].vaddr;
	return true;
}

static int add_trace(struct pgo_layout *l, const struct pgo_lbr_columns *c,
	const struct pgo_resolved *at, const struct pgo_lbr_trace *t)
{
	struct pgo_trace run = {.source = PGO_AT_NONE, .count = (uint64_t)t->count};
	uint64_t source;

	if (t->count <= 0)
		return 0;
	l->seen = true;
	if (inside(c, at, t->source, &source)) {
		l->branches += (double)t->count;
		l->mispredicts += (double)t->mispredicts;
	}
	if (t->end == PGO_NONE || c->end_kind[t->end] == PGO_LBR_IS_BRANCH_ONLY) {
		l->open += (double)t->count;
		return 0;
	}
	if (!inside(c, at, t->target, &run.target) || !inside(c, at, t->end, &run.end)) {
		l->outside += (double)t->count;
		return 0;
	}
	return pgo_ranges_add(&l->ranges, &run);
}

int pgo_layout_add(struct pgo_layout *l, const struct pgo_lbr_columns *c,
	const struct pgo_profile *p, const struct pgo_resolved *at, const struct pgo_sample *s,
	struct pgo_err *err)
{
	struct pgo_lbr_trace t;
	uint32_t step = 0;
	int rc;

	l->has_mispredicts = l->has_mispredicts || c->mispredicts != PGO_NONE;
	while ((rc = pgo_lbr_trace_next(c, p, s, &step, &t, err)) > 0)
		if (add_trace(l, c, at, &t) < 0)
			return pgo_err_nomem(err);
	return rc;
}

/* ---- runs: from the first instruction up to behind the last */

/* Where the number of executions changes. */
struct step {
	uint64_t addr;
	double change;
};

/* How often the instructions that begin in one line are executed. */
struct block {
	uint64_t at; /* address >> bits */
	double count;
};

struct facts {
	const struct pgo_elf *elf;
	struct pgo_insn_decoder decoder;
	struct pgo_layout_facts *f;
	struct step *steps;
	struct block *lines;
	size_t n_steps, steps_room, n_lines, lines_room;
};

/* False if the program has no such run of instructions. */
static bool measure_run(
	const struct facts *w, const struct pgo_trace *t, uint32_t *ret_n, uint64_t *ret_bytes)
{
	size_t len;
	const uint8_t *code;
	struct pgo_insn last;

	if (t->end < t->target || t->end - t->target > PGO_RANGE_MAX)
		return false;
	code = pgo_elf_code(w->elf, t->target, &len);
	if (code == NULL || t->end - t->target >= len)
		return false;
	*ret_n = pgo_insn_count(&w->decoder, code, len, t->end - t->target);
	if (*ret_n == 0)
		return false;
	code += t->end - t->target;
	len -= (size_t)(t->end - t->target);
	if (!pgo_insn_decode(&w->decoder, t->end, code, len, &last))
		return false;
	*ret_bytes = t->end - t->target + last.size;
	return true;
}

static int add_step(struct facts *w, uint64_t addr, double change)
{
	struct step *s = PGO_VEC_PUSH(w->steps, w->n_steps, w->steps_room);

	if (s == NULL)
		return -1;
	*s = (struct step){addr, change};
	return 0;
}

/* Traces are sorted by (target, end): each run is looked at once. */
static int add_runs(struct facts *w, const struct pgo_ranges *r)
{
	uint32_t insns = 0;
	uint64_t bytes = 0;
	bool good = false;

	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];
		double count = (double)t->count;

		if (i == 0 || t->target != t[-1].target || t->end != t[-1].end)
			good = measure_run(w, t, &insns, &bytes);
		if (!good) {
			w->f->bogus += count;
			continue;
		}
		w->f->runs += count;
		w->f->instructions += count * insns;
		w->f->bytes += count * (double)bytes;
		if (add_step(w, t->target, count) < 0 || add_step(w, t->target + bytes, -count) < 0)
			return -1;
	}
	return 0;
}

/* ---- executions by line */

static int by_addr(const void *pa, const void *pb)
{
	const struct step *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return (a->change > b->change) - (a->change < b->change);
}

static int add_insn(struct facts *w, uint64_t addr, double count)
{
	struct block *b = w->n_lines > 0 ? &w->lines[w->n_lines - 1] : NULL;

	if (b == NULL || b->at != addr >> LINE_BITS) {
		b = PGO_VEC_PUSH(w->lines, w->n_lines, w->lines_room);
		if (b == NULL)
			return -1;
		b->at = addr >> LINE_BITS;
	}
	b->count += count;
	return 0;
}

/* All instructions that begin in [lo, hi) are executed `count` times. */
static int sweep_piece(struct facts *w, uint64_t lo, uint64_t hi, double count)
{
	while (lo < hi) {
		size_t len;
		const uint8_t *code = pgo_elf_code(w->elf, lo, &len);
		struct pgo_insn insn;

		if (code == NULL || !pgo_insn_decode(&w->decoder, lo, code, len, &insn))
			return 0;
		if (add_insn(w, lo, count) < 0)
			return -1;
		lo += insn.size;
	}
	return 0;
}

static int sweep(struct facts *w)
{
	double count = 0;

	if (w->n_steps > 1)
		qsort(w->steps, w->n_steps, sizeof *w->steps, by_addr);
	for (size_t i = 0; i + 1 < w->n_steps; i++) {
		count += w->steps[i].change;
		if (count > 0.5 && w->steps[i].addr < w->steps[i + 1].addr &&
			sweep_piece(w, w->steps[i].addr, w->steps[i + 1].addr, count) < 0)
			return -1;
	}
	return 0;
}

static int by_count(const void *pa, const void *pb)
{
	const struct block *a = pa, *b = pb;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return (a->at > b->at) - (a->at < b->at);
}

/* Blocks of 2^bits bytes that hold each share of execution; lines are in address order. */
static int cover(const struct facts *w, unsigned bits, uint64_t ret[PGO_LAYOUT_COVERS])
{
	struct block *b = pgo_malloc((w->n_lines + 1) * sizeof *b);
	double total = 0, sum = 0;
	size_t n = 0;
	int k = 0;

	if (b == NULL)
		return -1;
	for (size_t i = 0; i < w->n_lines; i++) {
		uint64_t at = w->lines[i].at >> (bits - LINE_BITS);

		if (n == 0 || b[n - 1].at != at)
			b[n++] = (struct block){at, 0};
		b[n - 1].count += w->lines[i].count;
		total += w->lines[i].count;
	}
	if (n > 1)
		qsort(b, n, sizeof *b, by_count);
	for (size_t i = 0; i < n; i++) {
		sum += b[i].count;
		while (k < PGO_LAYOUT_COVERS && (sum >= pgo_layout_cover[k] * total || i + 1 == n))
			ret[k++] = i + 1;
	}
	pgo_free(b);
	return 0;
}

static void set_rates(struct pgo_layout_facts *f, const struct pgo_layout *l)
{
	f->records = f->runs + f->open + f->outside + f->bogus;
	f->taken_per_1000 = f->runs / f->instructions * 1000;
	f->run_instructions = f->instructions / f->runs;
	f->run_bytes = f->bytes / f->runs;
	f->has_mispredicts = l->has_mispredicts && l->branches > 0;
	f->mispredicts = f->has_mispredicts ? l->mispredicts / l->branches : 0;
}

int pgo_layout_finish(struct pgo_layout *l, const struct pgo_elf *elf, struct pgo_layout_facts *ret,
	struct pgo_err *err)
{
	struct pgo_layout_facts f = {.open = l->open, .outside = l->outside};
	struct facts w = {.elf = elf, .f = &f};
	int rc = 0;

	if (elf == NULL) {
		f.why = "the program is not given (--binary), without which branch records say "
			"nothing "
			"of its code";
	} else if (!l->seen) {
		f.why = "the profiles hold no branch records (LBR)";
	} else {
		pgo_insn_decoder_init(&w.decoder, elf->machine);
		pgo_ranges_sort(&l->ranges, false);
		rc = add_runs(&w, &l->ranges);
		f.valid = rc == 0 && f.runs > 0;
		if (rc == 0 && !f.valid)
			f.why = "no branch record is of this program's code: is it the one that "
				"ran?";
		if (f.valid) {
			set_rates(&f, l);
			rc = sweep(&w) < 0 || cover(&w, LINE_BITS, f.lines) < 0 ||
					     cover(&w, SMALL_BITS, f.small_pages) < 0 ||
					     cover(&w, LARGE_BITS, f.large_pages) < 0
				     ? -1
				     : 0;
		}
	}
	pgo_free(w.steps);
	pgo_free(w.lines);
	if (rc < 0)
		return pgo_err_nomem(err);
	*ret = f;
	return 0;
}

/* ---- text and JSON */

static void text_rate(struct pgo_buf *out, const char *what, double before, double after)
{
	pgo_buf_printf(out, "  %-38s %10.2f -> %10.2f", what, before, after);
	if (before > 0)
		pgo_buf_printf(out, "  (%+.1f%%)", (after / before - 1) * 100);
	pgo_buf_putc(out, '\n');
}

static void text_cover(
	struct pgo_buf *out, const char *what, const uint64_t *before, const uint64_t *after)
{
	pgo_buf_printf(out, "  %-38s", what);
	for (int i = 0; i < PGO_LAYOUT_COVERS; i++)
		pgo_buf_printf(out, "%s %llu -> %llu", i == 0 ? "" : ",",
			(unsigned long long)before[i], (unsigned long long)after[i]);
	pgo_buf_putc(out, '\n');
}

void pgo_layout_text(const struct pgo_layout_facts *before, const struct pgo_layout_facts *after,
	struct pgo_buf *out)
{
	if (!before->valid || !after->valid) {
		pgo_buf_printf(out, "layout: not known: %s: %s\n",
			before->valid ? "after" : "before",
			before->valid ? after->why : before->why);
		return;
	}
	pgo_buf_puts(out, "layout, by branch records:\n");
	text_rate(out, "taken branches per 1,000 instructions", before->taken_per_1000,
		after->taken_per_1000);
	text_rate(out, "instructions in a straight run", before->run_instructions,
		after->run_instructions);
	text_rate(out, "bytes in a straight run", before->run_bytes, after->run_bytes);
	if (before->has_mispredicts && after->has_mispredicts)
		text_rate(out, "mispredicted branches, per cent", before->mispredicts * 100,
			after->mispredicts * 100);
	pgo_buf_printf(out, "  %-38s\n", "code that 50, 90, 99, 99.9 % of execution is in:");
	text_cover(out, "  64-byte lines", before->lines, after->lines);
	text_cover(out, "  4 KiB pages", before->small_pages, after->small_pages);
	text_cover(out, "  2 MiB pages", before->large_pages, after->large_pages);
}

static void cover_json(struct pgo_json *j, const char *key, const uint64_t *n)
{
	static const char *const shares[PGO_LAYOUT_COVERS] = {"50", "90", "99", "99.9"};

	pgo_json_key(j, key);
	pgo_json_object(j);
	for (int i = 0; i < PGO_LAYOUT_COVERS; i++)
		pgo_json_kv_u64(j, shares[i], n[i]);
	pgo_json_end_object(j);
}

static void side_json(struct pgo_json *j, const char *key, const struct pgo_layout_facts *f)
{
	pgo_json_key(j, key);
	pgo_json_object(j);
	if (!f->valid) {
		pgo_json_kv_str(j, "why", f->why);
		pgo_json_end_object(j);
		return;
	}
	pgo_json_kv_double(j, "records", f->records);
	pgo_json_kv_double(j, "runs", f->runs);
	pgo_json_kv_double(j, "open", f->open);
	pgo_json_kv_double(j, "outside", f->outside);
	pgo_json_kv_double(j, "bogus", f->bogus);
	pgo_json_kv_double(j, "taken_per_1000", f->taken_per_1000);
	pgo_json_kv_double(j, "run_instructions", f->run_instructions);
	pgo_json_kv_double(j, "run_bytes", f->run_bytes);
	if (f->has_mispredicts)
		pgo_json_kv_double(j, "mispredicts", f->mispredicts);
	cover_json(j, "lines", f->lines);
	cover_json(j, "small_pages", f->small_pages);
	cover_json(j, "large_pages", f->large_pages);
	pgo_json_end_object(j);
}

void pgo_layout_json(const struct pgo_layout_facts *before, const struct pgo_layout_facts *after,
	struct pgo_json *j)
{
	pgo_json_object(j);
	side_json(j, "before", before);
	side_json(j, "after", after);
	pgo_json_end_object(j);
}
