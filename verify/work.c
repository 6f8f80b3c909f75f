/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/work.h"

#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/vec.h"
#include "verify/csv.h"

#include <math.h>
#include <stdlib.h>

#define MAX_BYTES ((size_t)1 << 28)
#define COVERED 0.9

struct columns {
	size_t file, host, start, end, unit;
};

static int no_unit(const struct pgo_csv *c, const char *name, size_t n, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		n == 0 ? "%s, line %zu: no column says how much work was done; call one requests"
		       : "%s, line %zu: several columns could be the work done; call one requests",
		name, c->line[0]);
}

static int find_columns(
	const struct pgo_csv *c, const char *name, struct columns *ret, struct pgo_err *err)
{
	size_t others = 0;

	ret->file = pgo_csv_column(c, "file");
	ret->host = pgo_csv_column(c, "host");
	ret->start = pgo_csv_column(c, "start");
	ret->end = pgo_csv_column(c, "end");
	ret->unit = pgo_csv_column(c, "requests");
	if (ret->file == c->n_columns && ret->host == c->n_columns)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s, line %zu: there is no column file, and none host (with start and end)",
			name, c->line[0]);
	if (ret->file == c->n_columns && (ret->start == c->n_columns || ret->end == c->n_columns))
		return pgo_err_set(err, PGO_EFORMAT,
			"%s, line %zu: rows by host need the columns start and end", name,
			c->line[0]);
	if (ret->unit < c->n_columns)
		return 0;
	for (size_t i = 0; i < c->n_columns; i++)
		if (i != ret->file && i != ret->host && i != ret->start && i != ret->end) {
			ret->unit = i;
			others++;
		}
	return others == 1 ? 0 : no_unit(c, name, others, err);
}

static int parse_when(const char *text, int64_t *ret, struct pgo_err *err)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t n;

	if (digits == 0 || text[digits] != '\0')
		return pgo_parse_time(text, 0, ret, err);
	if (digits > 19 || pgo_parse_u64(text, &n, err) < 0 || n > INT64_MAX)
		return pgo_err_set(err, PGO_EFORMAT, "'%s' is too large for a time", text);
	if (digits < 12 && n <= INT64_MAX / 1000000000)
		n *= 1000000000;
	else if (digits < 18 && n <= INT64_MAX / 1000000)
		n *= 1000000;
	*ret = (int64_t)n;
	return 0;
}

static int add_row(struct pgo_work *w, const struct pgo_csv *c, const struct columns *k, size_t at,
	struct pgo_err *err)
{
	struct pgo_work_row *r = PGO_VEC_PUSH(w->row, w->n, w->room);
	const char *text = pgo_csv_at(c, at, k->unit);

	if (r == NULL)
		return pgo_err_nomem(err);
	r->line = c->line[at];
	if (k->file < c->n_columns && pgo_csv_at(c, at, k->file)[0] != '\0')
		r->file = pgo_csv_at(c, at, k->file);
	if (k->host < c->n_columns && pgo_csv_at(c, at, k->host)[0] != '\0')
		r->host = pgo_csv_at(c, at, k->host);
	if (r->file == NULL && r->host == NULL)
		return pgo_err_set(
			err, PGO_EFORMAT, "%s, line %zu: neither file nor host", w->name, r->line);
	if (pgo_parse_double(text, &r->work, err) < 0 || !(r->work >= 0) || isinf(r->work))
		return pgo_err_set(err, PGO_EFORMAT,
			"%s, line %zu: '%s' is no amount of work: a number of 0 or more is wanted",
			w->name, r->line, text);
	if (r->file != NULL)
		return 0;
	if (k->start == c->n_columns || k->end == c->n_columns ||
		parse_when(pgo_csv_at(c, at, k->start), &r->start_ns, err) < 0 ||
		parse_when(pgo_csv_at(c, at, k->end), &r->end_ns, err) < 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s, line %zu: start and end must be times such as 2026-11-20T10:00:00Z or "
			"seconds since 1970",
			w->name, r->line);
	if (r->end_ns <= r->start_ns)
		return pgo_err_set(err, PGO_EFORMAT, "%s, line %zu: it ends before it starts",
			w->name, r->line);
	return 0;
}

int pgo_work_parse(
	struct pgo_work *w, const char *name, const char *text, size_t len, struct pgo_err *err)
{
	struct columns k;
	int rc;

	memset(w, 0, sizeof *w);
	w->name = pgo_strdup(name);
	w->csv = pgo_calloc(1, sizeof *w->csv);
	rc = w->name == NULL || w->csv == NULL ? pgo_err_nomem(err)
					       : pgo_csv_parse(w->csv, name, text, len, err);
	if (rc == 0)
		rc = find_columns(w->csv, name, &k, err);
	for (size_t i = 1; rc == 0 && i < w->csv->n_rows; i++)
		rc = add_row(w, w->csv, &k, i, err);
	if (rc == 0 && w->n == 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s has a header but no rows", name);
	if (rc == 0) {
		w->unit = pgo_strdup(pgo_csv_at(w->csv, 0, k.unit));
		rc = w->unit == NULL ? pgo_err_nomem(err) : 0;
	}
	if (rc < 0)
		pgo_work_fini(w);
	return rc;
}

int pgo_work_read(struct pgo_work *w, const char *path, struct pgo_err *err)
{
	struct pgo_buf b;
	int rc = pgo_file_read(path, MAX_BYTES, &b, err);

	memset(w, 0, sizeof *w);
	if (rc < 0)
		return rc;
	rc = pgo_work_parse(w, path, b.data != NULL ? b.data : "", b.len, err);
	pgo_buf_fini(&b);
	return rc;
}

void pgo_work_fini(struct pgo_work *w)
{
	if (w->csv != NULL)
		pgo_csv_fini(w->csv);
	pgo_free(w->csv);
	pgo_free(w->row);
	pgo_free(w->name);
	pgo_free(w->unit);
	memset(w, 0, sizeof *w);
}

/* ---- rows to replicates */

/* Is `file` the path, or the end of it?  A group of a recording is "path#group". */
static bool names_input(const char *file, const char *input)
{
	size_t len = strlen(file), all = strlen(input), hash = strcspn(input, "#");

	for (size_t end = all;; end = hash) {
		if (end >= len && memcmp(input + end - len, file, len) == 0 &&
			(end == len || input[end - len - 1] == '/'))
			return true;
		if (end == hash)
			return false;
	}
}

struct fit {
	struct pgo_work *w;
	struct pgo_costs *c;
	double *covered; /* of each replicate, of its time */
};

static int by_file(struct fit *f, struct pgo_work_row *r, struct pgo_err *err)
{
	/* Of each side and arm: the same file may be on both. */
	size_t found[4] = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX}, first = SIZE_MAX;

	for (size_t i = 0; i < f->c->n_reps; i++) {
		const struct pgo_cost_rep *rep = &f->c->reps[i];
		const char *input = pgo_costs_str(f->c, rep->input), *other;
		size_t *slot = &found[2 * rep->control + rep->after];

		if (rep->input == 0 || !names_input(r->file, input) ||
			(r->host != NULL && strcmp(r->host, pgo_costs_str(f->c, rep->host)) != 0))
			continue;
		other = first != SIZE_MAX ? pgo_costs_str(f->c, f->c->reps[first].input) : input;
		if (strcmp(other, input) != 0)
			return pgo_err_set(err, PGO_EMISMATCH,
				"%s, line %zu: '%s' fits %s and %s: write more of the path",
				f->w->name, r->line, r->file, other, input);
		if (*slot != SIZE_MAX)
			return pgo_err_set(err, PGO_EMISMATCH,
				"%s, line %zu: %s holds several hosts or processes (%s): add a "
				"column host",
				f->w->name, r->line, input, pgo_costs_str(f->c, rep->host));
		if (rep->work >= 0)
			return pgo_err_set(err, PGO_EMISMATCH,
				"%s, line %zu: there is another row for %s; a profile has one",
				f->w->name, r->line, input);
		*slot = i;
		first = i;
	}
	for (int k = 0; k < 4; k++) {
		if (found[k] == SIZE_MAX)
			continue;
		f->c->reps[found[k]].work = r->work;
		f->covered[found[k]] = 1;
		r->used++;
	}
	return 0;
}

static void give(struct fit *f, struct pgo_work_row *r, size_t rep, double work, double covered)
{
	struct pgo_cost_rep *to = &f->c->reps[rep];

	to->work = (to->work >= 0 ? to->work : 0) + work;
	f->covered[rep] += covered;
	r->used++;
}

/* By host and time.  `at`, `n`: the replicates of the host. */
static void by_time(struct fit *f, struct pgo_work_row *r, const uint32_t *at, size_t n)
{
	double length = (double)(r->end_ns - r->start_ns);
	size_t points = 0;

	for (size_t k = 0; k < n; k++) {
		const struct pgo_cost_rep *rep = &f->c->reps[at[k]];
		int64_t from = rep->start_ns > r->start_ns ? rep->start_ns : r->start_ns;
		int64_t to = rep->end_ns < r->end_ns ? rep->end_ns : r->end_ns;

		if (rep->start_ns == 0)
			continue;
		if (rep->end_ns <= rep->start_ns)
			points += rep->start_ns >= r->start_ns && rep->start_ns < r->end_ns;
		else if (to > from)
			give(f, r, at[k], r->work * ((double)(to - from) / length),
				(double)(to - from) / (double)(rep->end_ns - rep->start_ns));
	}
	for (size_t k = 0; k < n && points > 0; k++) {
		const struct pgo_cost_rep *rep = &f->c->reps[at[k]];

		if (rep->start_ns != 0 && rep->end_ns <= rep->start_ns &&
			rep->start_ns >= r->start_ns && rep->start_ns < r->end_ns)
			give(f, r, at[k], r->work / (double)points, 1);
	}
}

/* Replicates by the text of their host. */
static int by_host(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_costs *c = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int d = strcmp(pgo_costs_str(c, c->reps[a].host), pgo_costs_str(c, c->reps[b].host));

	return d != 0 ? d : (a > b) - (a < b);
}

static size_t find_host(
	const struct pgo_costs *c, const uint32_t *order, const char *host, size_t *ret_n)
{
	size_t low = 0, high = c->n_reps, end;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(pgo_costs_str(c, c->reps[order[mid]].host), host) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low;
		end < c->n_reps && strcmp(pgo_costs_str(c, c->reps[order[end]].host), host) == 0;
		end++)
		;
	*ret_n = end - low;
	return low;
}

static void account(struct fit *f, struct pgo_verdict_work *ret)
{
	ret->given = true;
	for (size_t i = 0; i < f->w->n; i++) {
		const struct pgo_work_row *r = &f->w->row[i];

		ret->rows++;
		ret->rows_zero += !(r->work > 0);
		ret->rows_used += r->work > 0 && r->used > 0;
		ret->rows_unmatched += r->work > 0 && r->used == 0;
	}
	for (size_t i = 0; i < f->c->n_reps; i++) {
		struct pgo_cost_rep *rep = &f->c->reps[i];

		if (f->covered[i] < COVERED)
			rep->work = -1;
		ret->profiles++;
		ret->profiles_with += rep->work > 0;
		ret->profiles_without += !(rep->work > 0);
	}
}

int pgo_work_apply(
	struct pgo_work *w, struct pgo_costs *c, struct pgo_verdict_work *ret, struct pgo_err *err)
{
	struct fit f = {.w = w, .c = c};
	uint32_t *order = pgo_malloc((c->n_reps + 1) * sizeof *order);
	int rc = 0;

	f.covered = pgo_calloc(c->n_reps + 1, sizeof *f.covered);
	if (order == NULL || f.covered == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < c->n_reps; i++) {
		order[i] = (uint32_t)i;
		c->reps[i].work = -1;
	}
	qsort_r(order, c->n_reps, sizeof *order, by_host, c);
	for (size_t i = 0; i < w->n && rc == 0; i++) {
		struct pgo_work_row *r = &w->row[i];
		size_t n, at;

		if (r->file != NULL) {
			rc = by_file(&f, r, err);
			continue;
		}
		at = find_host(c, order, r->host, &n);
		by_time(&f, r, order + at, n);
	}
	if (rc == 0)
		account(&f, ret);
	if (rc == 0 && ret->profiles_with == 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"none of the %llu rows of %s fits a profile; the first, line %zu, is for "
			"%s '%s'",
			(unsigned long long)ret->rows, w->name, w->row[0].line,
			w->row[0].file != NULL ? "the file" : "the host",
			w->row[0].file != NULL ? w->row[0].file : w->row[0].host);
out:
	pgo_free(order);
	pgo_free(f.covered);
	return rc;
}
