/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a merger whose rows are on disk, without ever holding them: rounded and drawn row
 * by row, with the bytes that pgo_merge_finish() would have made in memory.
 *
 *	the sorted runs merged into one file, remainders counted on the way
 *	where weights are divided away: passes over that file until it is known which rows get the
 *	units that rounding down leaves over
 *	a pass that marks the locations needed
 *	the pass of the reader
 */
#include "merge/finish_impl.h"
#include "merge/rows.h"
#include "merge/spill.h"
#include "merge/wide.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

#define BINS 4096u
#define READ_ROOM ((size_t)1 << 20)

typedef unsigned __int128 u128;

/*
 * Who gets the units left over in a column: all rows whose remainder is `high` or more, and of
 * those between `low` and `high` the first `take`, once only one remainder lies there.
 */
struct share {
	u128 low, high;
	u128 sum; /* of all remainders */
	uint64_t take, rows;
	uint64_t bin[BINS];
};

struct stream {
	struct pgo_reader reader;
	struct pgo_merge *m;
	struct pgo_profile *head;
	struct pgo_mt_finish f;
	struct pgo_mt_run all; /* every row once, sorted */
	struct pgo_mt_run_reader in;
	struct share *shares;     /* per column of the result; NULL: weights are 1 */
	uint64_t *left;           /* per column: of `take`, in this pass */
	bool *used, *used_labels; /* locations by id; label sets by rank */
	uint32_t *location_new;
	pgo_i128 *sums;  /* of a row, per column of the tables */
	int64_t *values; /* per column of the result */
	uint32_t *loc;
	size_t loc_room;
};

/* ---------------------------------------------------------------- remainders */

static u128 remainder_of(const struct stream *s, pgo_i128 sum, pgo_i128 *ret_floor)
{
	const pgo_i128 one = (pgo_i128)s->m->options.weight_one;
	pgo_i128 q = sum / one, r = sum % one;

	if (r < 0) {
		r += one;
		q--;
	}
	*ret_floor = q;
	return (u128)r;
}

static u128 width_of(const struct share *sh)
{
	u128 width = (sh->high - sh->low + BINS - 1) / BINS;

	return width != 0 ? width : 1;
}

static void count(struct stream *s, const pgo_i128 *sums)
{
	for (size_t c = 0; s->shares != NULL && c < s->f.n_columns; c++) {
		struct share *sh = &s->shares[c];
		pgo_i128 floor;
		u128 r = remainder_of(s, sums[s->f.column_at[c]], &floor);

		if (r >= sh->low && r < sh->high)
			sh->bin[(size_t)((r - sh->low) / width_of(sh))]++;
	}
}

/* The bins, from the top, until one has more rows than there are units left. */
static void narrow(struct share *sh)
{
	const u128 width = width_of(sh);
	u128 low = sh->low, high = sh->high;

	for (unsigned b = BINS; b-- > 0;) {
		u128 from = low + b * width;

		if (from >= high || sh->bin[b] == 0)
			continue;
		if (sh->bin[b] <= sh->take) {
			sh->take -= sh->bin[b];
			sh->high = from;
			continue;
		}
		/* Rows above it have all got theirs. */
		sh->low = from;
		sh->high = from + width < sh->high ? from + width : sh->high;
		memset(sh->bin, 0, sizeof sh->bin);
		return;
	}
	sh->low = sh->high; /* nobody else */
	memset(sh->bin, 0, sizeof sh->bin);
}

static bool settled(const struct stream *s)
{
	for (size_t c = 0; s->shares != NULL && c < s->f.n_columns; c++)
		if (s->shares[c].high - s->shares[c].low > 1 && s->shares[c].take != 0)
			return false;
	return true;
}

/* What the row is worth in the result; false if nothing. */
static int final_values(struct stream *s, bool *ret_any, struct pgo_err *err)
{
	const struct pgo_merge *m = s->m;

	*ret_any = false;
	for (size_t c = 0; c < s->f.n_columns; c++) {
		pgo_i128 v = s->sums[s->f.column_at[c]];
		const struct share *sh = s->shares != NULL ? &s->shares[c] : NULL;

		if (sh != NULL) {
			u128 r = remainder_of(s, v, &v);

			if (r != 0 && r >= sh->high) {
				v++;
			} else if (r != 0 && r >= sh->low && s->left[c] != 0) {
				s->left[c]--;
				v++;
			}
		}
		if (v > INT64_MAX || v < INT64_MIN)
			return pgo_mt_too_large(m, s->f.column_at[c], err);
		s->values[c] = (int64_t)v;
		*ret_any = *ret_any || v != 0;
	}
	return 0;
}

/* ---------------------------------------------------------------- passes */

static void begin_pass(struct stream *s)
{
	for (size_t c = 0; s->shares != NULL && c < s->f.n_columns; c++)
		s->left[c] = s->shares[c].take;
}

static int next_row(struct stream *s, struct pgo_err *err)
{
	int rc = pgo_mt_run_next(&s->in, err);

	for (size_t c = 0; rc > 0 && c < s->m->n_columns; c++) {
		int bad = pgo_mt_run_sum(&s->in, &s->sums[c], err);

		if (bad < 0)
			return bad;
	}
	return rc;
}

static int open_pass(struct stream *s, struct pgo_err *err)
{
	pgo_mt_run_close(&s->in);
	begin_pass(s);
	return pgo_mt_run_open(&s->in, &s->all, READ_ROOM, err);
}

/* All runs into one, and the first look at the remainders. */
static int merge_runs(struct stream *s, struct pgo_mt_rows *rows, struct pgo_err *err)
{
	struct pgo_mt_run_writer w;
	struct pgo_mt_row row;
	struct pgo_mt_spill_file *file = pgo_mt_spill_file_new(s->m->options.spill_dir, err);
	int rc = file != NULL ? pgo_mt_run_begin(&w, file, err) : PGO_EIO;

	s->all.file = file;
	if (rc < 0)
		return rc;
	while ((rc = pgo_mt_rows_next(rows, &row, err)) > 0) {
		rc = pgo_mt_run_put(&w, row.loc, row.n_loc, row.labels, true, err);
		if (rc < 0)
			break;
		for (size_t c = 0; c < s->m->n_columns; c++)
			pgo_mt_put_wide(&w.out, row.sums[c]);
		for (size_t c = 0; s->shares != NULL && c < s->f.n_columns; c++) {
			pgo_i128 floor;
			u128 r = remainder_of(s, row.sums[s->f.column_at[c]], &floor);

			s->shares[c].sum += r;
			s->shares[c].rows += r != 0;
		}
		count(s, row.sums);
	}
	if (rc < 0) {
		pgo_mt_run_abort(&w);
		return rc;
	}
	return pgo_mt_run_end(&w, &s->all, err);
}

/* How many units each column has to hand out, then to whom. */
static int share_out(struct stream *s, struct pgo_err *err)
{
	const u128 one = s->m->options.weight_one;
	int rc = 0;

	for (size_t c = 0; s->shares != NULL && c < s->f.n_columns; c++) {
		struct share *sh = &s->shares[c];
		u128 units = (sh->sum + one / 2) / one;

		sh->take = units < sh->rows ? (uint64_t)units : sh->rows;
		narrow(sh);
	}
	while (rc == 0 && !settled(s)) {
		rc = open_pass(s, err);
		while (rc == 0 && (rc = next_row(s, err)) > 0) {
			count(s, s->sums);
			rc = 0;
		}
		for (size_t c = 0; rc == 0 && c < s->f.n_columns; c++)
			if (s->shares[c].high - s->shares[c].low > 1)
				narrow(&s->shares[c]);
	}
	return rc;
}

/* Which locations the result needs; counts its samples. */
static int mark_used(struct stream *s, struct pgo_err *err)
{
	bool any;
	int rc = open_pass(s, err);

	s->m->stats.samples_out = 0;
	while (rc == 0 && (rc = next_row(s, err)) > 0) {
		rc = final_values(s, &any, err);
		if (rc < 0)
			return rc;
		s->m->stats.samples_out += any;
		if (any)
			s->used_labels[s->in.labels] = true;
		for (uint32_t i = 0; any && i < s->in.n_loc; i++)
			s->used[s->f.r.location_at[s->in.loc[i]]] = true;
	}
	if (rc == 0 && s->m->stats.samples_out == 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"none of the %" PRIu64 " samples read has a value: the merged profile "
			"would be empty",
			s->m->stats.samples_in);
	return rc;
}

/* ---------------------------------------------------------------- the reader */

static int stream_next(struct pgo_reader *r, struct pgo_sample *ret, struct pgo_err *err)
{
	struct stream *s = (struct stream *)r;
	bool any = false;
	int rc;

	while (!any) {
		rc = next_row(s, err);
		if (rc <= 0)
			return rc;
		rc = final_values(s, &any, err);
		if (rc < 0)
			return rc;
	}
	if (PGO_VEC_RESERVE(s->loc, s->loc_room, s->in.n_loc + (size_t)1) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < s->in.n_loc; i++)
		s->loc[i] = s->location_new[s->in.loc[i]];
	ret->loc = s->loc;
	ret->n_loc = s->in.n_loc;
	ret->value = s->values;
	if (pgo_mt_put_labels(&s->f, s->head, s->f.r.labels_at[s->in.labels], ret) < 0)
		return pgo_err_nomem(err);
	return 1;
}

static void stream_free(struct stream *s)
{
	pgo_mt_run_close(&s->in);
	pgo_mt_spill_file_drop(s->all.file);
	pgo_mt_finish_fini(&s->f);
	pgo_profile_free(s->head);
	pgo_free(s->shares);
	pgo_free(s->left);
	pgo_free(s->used);
	pgo_free(s->used_labels);
	pgo_free(s->location_new);
	pgo_free(s->sums);
	pgo_free(s->values);
	pgo_free(s->loc);
	pgo_free(s);
}

static void stream_close(struct pgo_reader *r)
{
	stream_free((struct stream *)r);
}

static int allocate(struct stream *s, struct pgo_err *err)
{
	const struct pgo_merge *m = s->m;
	const bool weighted = m->options.weight_one != 1;

	s->used = pgo_calloc(m->n_locations, sizeof *s->used);
	s->used_labels = pgo_calloc(m->n_label_sets, sizeof *s->used_labels);
	s->location_new = pgo_calloc(m->n_locations, sizeof *s->location_new);
	s->sums = pgo_calloc(m->n_columns, sizeof *s->sums);
	s->values = pgo_calloc(m->n_columns, sizeof *s->values);
	s->left = pgo_calloc(m->n_columns, sizeof *s->left);
	if (weighted)
		s->shares = pgo_calloc(m->n_columns, sizeof *s->shares);
	if (s->used == NULL || s->used_labels == NULL || s->location_new == NULL ||
		s->sums == NULL || s->values == NULL || s->left == NULL ||
		(weighted && s->shares == NULL))
		return pgo_err_nomem(err);
	for (size_t c = 0; weighted && c < m->n_columns; c++) {
		s->shares[c].low = 1;
		s->shares[c].high = m->options.weight_one;
	}
	return 0;
}

/* The tables, complete before the first sample is drawn: with the strings of labels. */
static int put_head(struct stream *s, struct pgo_err *err)
{
	struct pgo_sample ignore;

	s->head = pgo_profile_new(err);
	if (s->head == NULL)
		return PGO_ENOMEM;
	if (pgo_mt_put_head(&s->f, s->head, s->used, s->location_new) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < s->m->n_label_sets; i++)
		if (s->used_labels[i] &&
			pgo_mt_put_labels(&s->f, s->head, s->f.r.labels_at[i], &ignore) < 0)
			return pgo_err_nomem(err);
	s->m->stats.locations_out = s->head->n_locations;
	return 0;
}

static int prepare(struct stream *s, struct pgo_err *err)
{
	struct pgo_mt_rows rows = {0};
	int rc = pgo_mt_settle(s->m, err);

	if (rc == 0)
		rc = pgo_mt_rows_init(&rows, &s->f.r, false, err);
	if (rc == 0)
		rc = allocate(s, err);
	if (rc == 0 && pgo_mt_finish_columns(&s->f) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = merge_runs(s, &rows, err);
	pgo_mt_rows_fini(&rows);
	pgo_mt_spill_free(s->m); /* everything is in the one file now */
	if (rc == 0)
		rc = share_out(s, err);
	if (rc == 0)
		rc = mark_used(s, err);
	if (rc == 0)
		rc = put_head(s, err);
	return rc == 0 ? open_pass(s, err) : rc;
}

static struct pgo_reader *stream(struct pgo_merge *m, struct pgo_err *err)
{
	struct stream *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->m = s->f.m = s->f.r.m = m;
	if (prepare(s, err) < 0) {
		stream_free(s);
		return NULL;
	}
	s->reader = (struct pgo_reader){s->head, "the merged profile", stream_next, stream_close};
	return &s->reader;
}

struct pgo_reader *pgo_merge_stream(struct pgo_merge *m, struct pgo_err *err)
{
	struct pgo_profile *p;

	if (m->spent || !pgo_mt_spilled(m)) {
		p = pgo_merge_finish(m, err);
		return p != NULL ? pgo_profile_reader(p, "the merged profile", true, err) : NULL;
	}
	m->spent = true;
	return stream(m, err);
}

struct pgo_profile *pgo_mt_draw_all(struct pgo_merge *m, struct pgo_err *err)
{
	struct pgo_reader *r = pgo_merge_stream(m, err);
	struct pgo_profile *p = NULL;
	struct pgo_sample sample;
	int rc;

	if (r == NULL)
		return NULL;
	p = ((struct stream *)r)->head;
	while ((rc = pgo_reader_next(r, &sample, err)) > 0) {
		if (pgo_profile_add_sample(p, &sample) < 0) {
			rc = pgo_err_nomem(err);
			break;
		}
	}
	if (rc == 0)
		((struct stream *)r)->head = NULL;
	pgo_reader_close(r);
	return rc == 0 ? p : NULL;
}
