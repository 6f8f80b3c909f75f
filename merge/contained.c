/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/contained.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_DIGITS 16

/* ---------------------------------------------------------------- text */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_part(const char *text, uint32_t *ret)
{
	uint32_t part = 0;

	if (text[0] != '#' || text[1] == '\0' || strlen(text) > 8)
		return false;
	for (const char *c = text + 1; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return false;
		part = part * 10 + (uint32_t)(*c - '0');
	}
	*ret = part;
	return part != 0;
}

/* "0123456789abcdef", longer digests, and "#N" behind. */
static bool parse_leaf(const char *text, struct pgo_plan_leaf *ret)
{
	struct pgo_plan_leaf leaf = {0};
	size_t n = strspn(text, "0123456789abcdef");

	if (n < ID_DIGITS)
		return false;
	for (int i = 0; i < ID_DIGITS; i++)
		leaf.id = leaf.id << 4 | (uint64_t)hex_digit(text[i]);
	if (text[n] != '\0' && !parse_part(text + n, &leaf.part))
		return false;
	*ret = leaf;
	return true;
}

void pgo_contained_comment(const char *digest, char ret[48])
{
	const char *part = strchr(digest, '#');
	struct pgo_plan_leaf leaf;

	ret[0] = '\0';
	if (parse_leaf(digest, &leaf))
		snprintf(ret, 48, PGO_PPROF_INPUT "%.16s%s", digest, part != NULL ? part : "");
}

void pgo_contained_day_comment(int64_t time_ns, char ret[48])
{
	char text[32];

	ret[0] = '\0';
	if (time_ns <= 0)
		return;
	pgo_format_time(time_ns, text, sizeof text);
	snprintf(ret, 48, PGO_PPROF_DAY "%.10s", text);
}

int64_t pgo_contained_newest(const struct pgo_profile *head)
{
	const size_t len = sizeof PGO_PPROF_DAY - 1;
	const int64_t noon = (int64_t)12 * 3600 * 1000000000;
	int64_t newest = 0, day;

	for (size_t i = 0; i < head->n_comments; i++) {
		const char *text = pgo_profile_str(head, head->comments[i]);

		if (strncmp(text, PGO_PPROF_DAY, len) == 0 &&
			pgo_parse_time(text + len, 0, &day, NULL) == 0 && day + noon > newest)
			newest = day + noon;
	}
	return newest != 0 ? newest : head->time_ns;
}

static bool leaf_of_comment(const struct pgo_profile *p, size_t i, struct pgo_plan_leaf *ret)
{
	const char *text = pgo_profile_str(p, p->comments[i]);
	size_t len = sizeof PGO_PPROF_INPUT - 1;

	return strncmp(text, PGO_PPROF_INPUT, len) == 0 && parse_leaf(text + len, ret);
}

bool pgo_contained_known(const struct pgo_profile *head)
{
	struct pgo_plan_leaf leaf;

	for (size_t i = 0; i < head->n_comments; i++)
		if (leaf_of_comment(head, i, &leaf))
			return true;
	return false;
}

static int cmp_leaf(const void *pa, const void *pb)
{
	const struct pgo_plan_leaf *a = pa, *b = pb;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return (a->part > b->part) - (a->part < b->part);
}

int pgo_contained_read(struct pgo_plan_input *in, const struct pgo_profile *head)
{
	size_t room = 0, n = 0;
	struct pgo_plan_leaf leaf;

	for (size_t i = 0; i < head->n_comments; i++) {
		if (!leaf_of_comment(head, i, &leaf))
			continue;
		if (PGO_VEC_RESERVE(in->leaves, room, in->n_leaves + 1) < 0)
			return -1;
		in->leaves[in->n_leaves++] = leaf;
	}
	if (in->n_leaves != 0)
		qsort(in->leaves, in->n_leaves, sizeof *in->leaves, cmp_leaf);
	for (size_t i = 0; i < in->n_leaves; i++)
		if (n == 0 || cmp_leaf(&in->leaves[n - 1], &in->leaves[i]) != 0)
			in->leaves[n++] = in->leaves[i];
	in->n_leaves = n;
	return 0;
}

/* ---------------------------------------------------------------- who holds what */

/* One leaf of one input; sorted by leaf. */
struct holding {
	struct pgo_plan_leaf leaf;
	size_t input;
};

struct merged { /* an input that holds several */
	size_t n_leaves, input;
};

struct job {
	struct pgo_plan *p;
	struct holding *h;
	struct merged *merged; /* most first */
	size_t n, n_merged;
};

static int cmp_holding(const void *pa, const void *pb)
{
	const struct holding *a = pa, *b = pb;
	int c = cmp_leaf(&a->leaf, &b->leaf);

	return c != 0 ? c : (a->input > b->input) - (a->input < b->input);
}

/* Most first; of equals the first by content. */
static int cmp_most(const void *pa, const void *pb)
{
	const struct merged *a = pa, *b = pb;

	if (a->n_leaves != b->n_leaves)
		return a->n_leaves > b->n_leaves ? -1 : 1;
	return (a->input > b->input) - (a->input < b->input);
}

static bool is_candidate(const struct pgo_plan_input *in)
{
	return in->drop == PGO_PLAN_KEPT && !in->blend;
}

/* What `in` holds: its leaves, or itself; 0 if nothing is known. */
static size_t leaves_of(const struct pgo_plan_input *in, struct pgo_plan_leaf *own,
	const struct pgo_plan_leaf **ret)
{
	*ret = in->leaves;
	if (in->n_leaves != 0)
		return in->n_leaves;
	*ret = own;
	return in->digest != NULL && parse_leaf(in->digest, own) ? 1 : 0;
}

static int list_holdings(struct job *job)
{
	struct pgo_plan *p = job->p;
	struct pgo_plan_leaf own;
	const struct pgo_plan_leaf *leaf;
	size_t room = 0;

	for (size_t i = 0; i < p->n; i++)
		room += p->inputs[i].n_leaves + 1;
	job->h = pgo_calloc(room, sizeof *job->h);
	job->merged = pgo_calloc(p->n, sizeof *job->merged);
	if (job->h == NULL || job->merged == NULL)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		size_t n = is_candidate(&p->inputs[i]) ? leaves_of(&p->inputs[i], &own, &leaf) : 0;

		for (size_t k = 0; k < n; k++)
			job->h[job->n++] = (struct holding){leaf[k], i};
		if (n > 1)
			job->merged[job->n_merged++] = (struct merged){n, i};
	}
	if (job->n != 0)
		qsort(job->h, job->n, sizeof *job->h, cmp_holding);
	if (job->n_merged != 0)
		qsort(job->merged, job->n_merged, sizeof *job->merged, cmp_most);
	return 0;
}

/* The holdings of the same file as `leaf`: [*first, end), whatever their parts. */
static size_t same_file(const struct job *job, uint64_t id, size_t *first)
{
	size_t lo = 0, hi = job->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (job->h[mid].leaf.id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	*first = lo;
	while (lo < job->n && job->h[lo].leaf.id == id)
		lo++;
	return lo;
}

/* All of a recording meets each of its parts. */
static bool meets(const struct pgo_plan_leaf *a, const struct pgo_plan_leaf *b)
{
	return a->id == b->id && (a->part == b->part || a->part == 0 || b->part == 0);
}

/* Is this leaf in another input that is kept and is (not) a merged one? */
static size_t holder(
	const struct job *job, const struct pgo_plan_leaf *leaf, size_t but, bool merged)
{
	const struct pgo_plan_input *in = job->p->inputs;
	size_t first, end = same_file(job, leaf->id, &first);

	for (size_t k = first; k < end; k++) {
		size_t i = job->h[k].input;

		if (i != but && in[i].drop == PGO_PLAN_KEPT && (in[i].n_leaves > 1) == merged &&
			meets(leaf, &job->h[k].leaf))
			return i;
	}
	return SIZE_MAX;
}

/* ---------------------------------------------------------------- the rules */

static void drop(struct pgo_plan *p, size_t i, size_t twin)
{
	p->inputs[i].drop = PGO_PLAN_CONTAINED;
	p->inputs[i].twin = p->inputs[twin].name;
}

/* 1: what a single input was made into goes; without the original, the first by digest stays. */
static void drop_remade(struct job *job)
{
	struct pgo_plan *p = job->p;
	struct pgo_plan_leaf own;
	const struct pgo_plan_leaf *leaf;

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < p->n; i++) {
			struct pgo_plan_input *in = &p->inputs[i];
			size_t twin;

			if (!is_candidate(in) || in->n_leaves != 1 ||
				leaves_of(in, &own, &leaf) != 1)
				continue;
			twin = holder(job, leaf, i, false);
			if (twin == SIZE_MAX || (pass == 0 && p->inputs[twin].n_leaves != 0) ||
				(pass == 1 && twin > i))
				continue;
			drop(p, i, twin);
			pgo_warn("%s was made from %s, which is given as well; it is left out",
				in->name, p->inputs[twin].name);
		}
	}
}

static size_t count_held(const struct job *job, size_t i, bool merged, size_t *ret_by)
{
	const struct pgo_plan_input *in = &job->p->inputs[i];
	size_t n = 0;

	for (size_t k = 0; k < in->n_leaves; k++) {
		size_t by = holder(job, &in->leaves[k], i, merged);

		if (by == SIZE_MAX)
			continue;
		n++;
		if (*ret_by == SIZE_MAX || by < *ret_by)
			*ret_by = by;
	}
	return n;
}

/* 2 */
static void drop_covered(struct job *job)
{
	for (size_t m = 0; m < job->n_merged; m++) {
		struct pgo_plan_input *in = &job->p->inputs[job->merged[m].input];
		size_t by = SIZE_MAX;

		if (count_held(job, job->merged[m].input, false, &by) != in->n_leaves)
			continue;
		drop(job->p, job->merged[m].input, by);
		pgo_warn("%s is a merge of %zu profiles that are all given as well (%s ...); it is "
			 "left out",
			in->name, in->n_leaves, in->twin);
	}
}

/* 3: looks back only, as those behind are judged by this one. */
static void drop_overlapping(struct job *job)
{
	struct pgo_plan *p = job->p;
	enum pgo_plan_drop waiting = PGO_PLAN_DUPLICATE; /* any but kept: not a holder yet */

	for (size_t m = 0; m < job->n_merged; m++)
		if (p->inputs[job->merged[m].input].drop == PGO_PLAN_KEPT)
			p->inputs[job->merged[m].input].drop = waiting;
	for (size_t m = 0; m < job->n_merged; m++) {
		struct pgo_plan_input *in = &p->inputs[job->merged[m].input];
		size_t by = SIZE_MAX, n;

		if (in->drop != waiting)
			continue;
		in->drop = PGO_PLAN_KEPT;
		n = count_held(job, job->merged[m].input, true, &by);
		if (n == 0)
			continue;
		drop(p, job->merged[m].input, by);
		pgo_warn("%s is a merge that shares %zu of its %zu profiles with %s; it is left "
			 "out, and with it %zu that are nowhere else: merge those themselves",
			in->name, n, in->n_leaves, in->twin, in->n_leaves - n);
	}
}

/* 4, with one sentence for each merged file. */
static int drop_held(struct job *job)
{
	struct pgo_plan *p = job->p;
	size_t *count = pgo_calloc(p->n, sizeof *count), *example;
	struct pgo_plan_leaf own;
	const struct pgo_plan_leaf *leaf;

	if (count == NULL)
		return -1;
	example = pgo_calloc(p->n, sizeof *example);
	if (example == NULL) {
		pgo_free(count);
		return -1;
	}
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];
		size_t by;

		if (!is_candidate(in) || in->n_leaves > 1 || leaves_of(in, &own, &leaf) == 0)
			continue;
		by = holder(job, leaf, i, true);
		if (by == SIZE_MAX)
			continue;
		drop(p, i, by);
		if (count[by]++ == 0)
			example[by] = i;
	}
	for (size_t i = 0; i < p->n; i++)
		if (count[i] != 0)
			pgo_warn("%s is a merge that holds %zu of the profiles given (%s%s); they "
				 "count once, in it",
				p->inputs[i].name, count[i], p->inputs[example[i]].name,
				count[i] > 1 ? " ..." : "");
	pgo_free(count);
	pgo_free(example);
	return 0;
}

int pgo_plan_drop_contained(struct pgo_plan *p, struct pgo_err *err)
{
	struct job job = {.p = p};
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < p->n && !any; i++)
		any = is_candidate(&p->inputs[i]) && p->inputs[i].n_leaves != 0;
	if (!any)
		return 0;
	if (list_holdings(&job) < 0) {
		rc = pgo_err_nomem(err);
	} else {
		drop_remade(&job);
		drop_covered(&job);
		drop_overlapping(&job);
		if (drop_held(&job) < 0)
			rc = pgo_err_nomem(err);
	}
	pgo_free(job.h);
	pgo_free(job.merged);
	return rc;
}
