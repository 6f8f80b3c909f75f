/* SPDX-License-Identifier: Apache-2.0 */
#include "perftext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OUTSIDE UINT64_MAX
#define NONE (UINT64_MAX - 1)  /* a trace without a fall-through */
#define BOLT_NO_END UINT64_MAX /* how BOLT wants that written */

/* A branch and the fall-through after it, summed. */
struct trace {
	uint64_t from, to, end;
	uint64_t count, mispreds;
};

struct traces {
	struct trace *t;
	size_t n, cap;
};

void text_brstack(FILE *f, const struct plan *plan, int ip_only, int with_type)
{
	static const char *const types[] = {"", "COND", "UNCOND", "IND", "CALL", "IND_CALL", "RET"};
	size_t i;

	for (i = 0; i < plan->n_items; i++) {
		struct plan_branch br[RING_DEPTH_MAX];
		unsigned n = plan_ring(plan, &plan->items[i], br), k;

		fprintf(f, "%17" PRIx64, plan_addr(plan->items[i].proc, plan->items[i].sample->ip));
		for (k = 0; k < n && !ip_only; k++)
			fprintf(f, " 0x%" PRIx64 "/0x%" PRIx64 "/%c/-/-/%u/%s ", br[k].from,
				br[k].to, br[k].mispred ? 'M' : 'P', br[k].cycles,
				with_type ? types[br[k].type] : "");
		fputc('\n', f);
	}
}

static int trace_cmp(const void *x, const void *y)
{
	const struct trace *a = x, *b = y;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	if (a->to != b->to)
		return a->to < b->to ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

static void traces_add(struct traces *all, uint64_t from, uint64_t to, uint64_t end, int mispred)
{
	if (all->n == all->cap) {
		all->cap = all->cap ? 2 * all->cap : 1 << 16;
		all->t = realloc(all->t, all->cap * sizeof(*all->t));
		if (!all->t) {
			fputs("mkperf: out of memory\n", stderr);
			exit(1);
		}
	}
	all->t[all->n++] = (struct trace){from, to, end, 1, (uint64_t)mispred};
}

/* Sorted by (from, to, end), equal ones summed. */
static void traces_sum(struct traces *all)
{
	size_t i, n = 0;

	if (!all->n)
		return;
	qsort(all->t, all->n, sizeof(*all->t), trace_cmp);
	for (i = 1; i < all->n; i++) {
		if (trace_cmp(&all->t[n], &all->t[i])) {
			all->t[++n] = all->t[i];
		} else {
			all->t[n].count += all->t[i].count;
			all->t[n].mispreds += all->t[i].mispreds;
		}
	}
	all->n = n + 1;
}

/* Address in the binary (before relocation in the plan): file offset or ELF virtual address. */
static uint64_t in_binary(
	const struct plan_proc *proc, const char *binary, uint64_t addr, int offset)
{
	const struct ring_map *m = ring_dump_map(proc->dump, addr);

	if (!m || (binary ? strcmp(m->path, binary) != 0 : !m->main))
		return OUTSIDE;
	return addr - m->start + m->pgoff + (offset ? 0 : m->vaddr_off);
}

static void add_ring(
	struct traces *all, const struct plan_item *item, const char *binary, int offset)
{
	const struct ring_entry *e = ring_sample_ring(item->sample);
	const struct ring_edge *edges = item->proc->dump->edges;
	uint64_t end = NONE;
	unsigned k;

	for (k = 0; k < item->sample->n_ring; k++) {
		const struct ring_edge *edge = &edges[e[k].edge];
		uint64_t from = in_binary(item->proc, binary, edge->from, offset);
		uint64_t to = in_binary(item->proc, binary, edge->to, offset);

		if (to == OUTSIDE || end == OUTSIDE || (end != NONE && end < to))
			end = NONE;
		if (from != OUTSIDE || to != OUTSIDE)
			traces_add(all, from, to, end, e[k].mispred);
		end = from;
	}
}

static void put_addr(FILE *f, uint64_t addr)
{
	if (addr == OUTSIDE)
		fputs(" X:0", f);
	else
		fprintf(f, " %" PRIx64, addr);
}

static void put_preagg_traces(FILE *f, const struct traces *all)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		const struct trace *t = &all->t[i];

		fputc('T', f);
		put_addr(f, t->from);
		put_addr(f, t->to);
		fprintf(f, " %" PRIx64 " %" PRIu64 "\n", t->end == NONE ? BOLT_NO_END : t->end,
			t->count);
	}
}

/* The traces' fall-throughs alone, or their branches alone. */
static struct traces project(const struct traces *all, int ranges)
{
	struct traces some = {0};
	size_t i;

	for (i = 0; i < all->n; i++) {
		const struct trace *t = &all->t[i];

		if (ranges && t->end == NONE)
			continue;
		traces_add(&some, ranges ? t->to : t->from, ranges ? t->end : t->to, 0, 0);
		some.t[some.n - 1].count = t->count;
		some.t[some.n - 1].mispreds = t->mispreds;
	}
	traces_sum(&some);
	return some;
}

static void put_preagg_pairs(FILE *f, const struct traces *ranges, const struct traces *branches)
{
	size_t i;

	for (i = 0; i < branches->n; i++) {
		fputc('B', f);
		put_addr(f, branches->t[i].from);
		put_addr(f, branches->t[i].to);
		fprintf(f, " %" PRIu64 " %" PRIu64 "\n", branches->t[i].count,
			branches->t[i].mispreds);
	}
	for (i = 0; i < ranges->n; i++)
		fprintf(f, "F %" PRIx64 " %" PRIx64 " %" PRIu64 "\n", ranges->t[i].from,
			ranges->t[i].to, ranges->t[i].count);
}

static void put_sections(
	FILE *f, const struct traces *ranges, const struct traces *branches, enum text_form form)
{
	size_t i, n = 0;

	fprintf(f, "%zu\n", ranges->n);
	for (i = 0; i < ranges->n; i++)
		fprintf(f, "%" PRIx64 "-%" PRIx64 ":%" PRIu64 "\n", ranges->t[i].from,
			ranges->t[i].to, ranges->t[i].count);
	if (form == TEXT_AUTOFDO)
		fputs("0\n", f);
	for (i = 0; i < branches->n; i++)
		n += branches->t[i].to != OUTSIDE &&
		     (branches->t[i].from != OUTSIDE || form == TEXT_UNSYMBOLIZED);
	fprintf(f, "%zu\n", n);
	for (i = 0; i < branches->n; i++) {
		const struct trace *t = &branches->t[i];

		if (t->to != OUTSIDE && (t->from != OUTSIDE || form == TEXT_UNSYMBOLIZED))
			fprintf(f, "%" PRIx64 "->%" PRIx64 ":%" PRIu64 "\n",
				t->from == OUTSIDE ? 1 : t->from, t->to, t->count);
	}
}

void text_counts(FILE *f, const struct plan *plan, const char *binary, enum text_form form)
{
	struct traces all = {0}, ranges = {0}, branches = {0};
	size_t i;

	for (i = 0; i < plan->n_items; i++)
		add_ring(&all, &plan->items[i], binary, form == TEXT_AUTOFDO);
	traces_sum(&all);
	if (form == TEXT_PREAGG_T) {
		put_preagg_traces(f, &all);
	} else {
		ranges = project(&all, 1);
		branches = project(&all, 0);
		if (form == TEXT_PREAGG_BF)
			put_preagg_pairs(f, &ranges, &branches);
		else
			put_sections(f, &ranges, &branches, form);
	}
	free(all.t);
	free(ranges.t);
	free(branches.t);
}
