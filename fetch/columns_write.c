/* SPDX-License-Identifier: Apache-2.0 */
/* Joined columns, in the order of their content (columns_rank.c) -> a profile. */
#include "fetch/columns.h"
#include "fetch/columns_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/pprof.h"
#include "pgo/core/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)8 << 30)

/* ---------------------------------------------------------------- the profile */

struct writer {
	struct pgo_columns *c;
	const struct pgo_columns_header *h;
	struct pgo_column_ranks ranks;
	struct pgo_profile *p;
	uint32_t *string; /* of p, by rank; PGO_NONE = not yet */
	size_t *column;   /* index in c of the result's columns */
	struct pgo_line *lines;
	struct pgo_label *labels;
	int64_t *values;
	size_t lines_room, labels_room;
};

static int string_of(struct writer *w, uint32_t rank, uint32_t *ret)
{
	if (w->string[rank] == PGO_NONE) {
		const struct pgo_str *s = &w->c->strs.strs[w->ranks.strings.order[rank]];

		w->string[rank] = pgo_strtab_add(&w->p->strs, s->s, s->len);
	}
	*ret = w->string[rank];
	return *ret == PGO_STR_NONE ? -1 : 0;
}

static int put_mappings(struct writer *w)
{
	const struct pgo_columns *c = w->c;

	for (size_t i = 0; i < c->mappings.n; i++) {
		uint32_t at = w->ranks.mappings.order[i];
		const uint32_t *m = pgo_tuple_words(&c->mappings, at);
		uint8_t flags = c->flags[at];
		struct pgo_mapping to = {
			.start = pgo_words_get64(m + PGO_CM_START),
			.limit = pgo_words_get64(m + PGO_CM_LIMIT),
			.offset = pgo_words_get64(m + PGO_CM_OFFSET),
			.has_functions = (flags & PGO_CFLAG_FUNCTIONS) != 0,
			.has_filenames = (flags & PGO_CFLAG_FILES) != 0,
			.has_line_numbers = (flags & PGO_CFLAG_LINES) != 0,
			.has_inline_frames = (flags & PGO_CFLAG_INLINE) != 0,
		};

		/* Strings of mappings were not translated. */
		if (string_of(w, w->ranks.strings.rank[m[PGO_CM_FILE]], &to.filename) < 0 ||
			string_of(w, w->ranks.strings.rank[m[PGO_CM_ID]], &to.build_id) < 0 ||
			pgo_profile_add_mapping(w->p, &to) == PGO_NONE)
			return -1;
	}
	return 0;
}

static int put_functions(struct writer *w)
{
	const struct pgo_tuples *t = &w->c->functions;

	for (size_t i = 0; i < t->n; i++) {
		const uint32_t *f = pgo_tuple_words(t, w->ranks.functions.order[i]);
		struct pgo_function to = {.start_line = (int64_t)pgo_words_get64(f + PGO_CF_LINE)};

		if (string_of(w, f[PGO_CF_NAME], &to.name) < 0 ||
			string_of(w, f[PGO_CF_SYSTEM], &to.system_name) < 0 ||
			string_of(w, f[PGO_CF_FILE], &to.filename) < 0 ||
			pgo_profile_add_function(w->p, &to) == PGO_NONE)
			return -1;
	}
	return 0;
}

static int put_locations(struct writer *w)
{
	const struct pgo_tuples *t = &w->c->locations;

	for (size_t i = 0; i < t->n; i++) {
		uint32_t at = w->ranks.locations.order[i], id;
		const uint32_t *l = pgo_tuple_words(t, at);
		uint32_t n = (t->of[at].n - PGO_CL_LINES) / PGO_CN_WORDS;

		if (PGO_VEC_RESERVE(w->lines, w->lines_room, n) < 0)
			return -1;
		for (uint32_t k = 0; k < n; k++) {
			const uint32_t *from = l + PGO_CL_LINES + (size_t)k * PGO_CN_WORDS;

			w->lines[k] = (struct pgo_line){from[PGO_CN_FUNCTION],
				(int64_t)pgo_words_get64(from + PGO_CN_LINE),
				(int64_t)pgo_words_get64(from + PGO_CN_COLUMN)};
		}
		id = pgo_profile_add_location(
			w->p, l[PGO_CL_MAPPING], pgo_words_get64(l + PGO_CL_ADDR), w->lines, n);
		if (id == PGO_NONE)
			return -1;
		w->p->locations[id].folded = l[PGO_CL_FOLDED] != 0;
	}
	return 0;
}

/* The labels of the header, then those of the sample. */
static int labels_of(struct writer *w, uint32_t rank, uint32_t *ret_n)
{
	const struct pgo_tuples *t = &w->c->labels;
	uint32_t at = w->ranks.labels.order[rank];
	const uint32_t *l = pgo_tuple_words(t, at);
	uint32_t n = t->of[at].n / PGO_CB_WORDS, given = (uint32_t)w->h->n_labels;

	if (PGO_VEC_RESERVE(w->labels, w->labels_room, (size_t)given + n) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++, l += PGO_CB_WORDS) {
		struct pgo_label *to = &w->labels[given + i];

		to->num = (int64_t)pgo_words_get64(l + PGO_CB_NUM);
		if (string_of(w, l[PGO_CB_KEY], &to->key) < 0 ||
			string_of(w, l[PGO_CB_STR], &to->str) < 0 ||
			string_of(w, l[PGO_CB_UNIT], &to->num_unit) < 0)
			return -1;
	}
	*ret_n = given + n;
	return 0;
}

static int put_given_labels(struct writer *w)
{
	if (PGO_VEC_RESERVE(w->labels, w->labels_room, w->h->n_labels) < 0)
		return -1;
	for (size_t i = 0; i < w->h->n_labels; i++) {
		struct pgo_label *to = &w->labels[i];

		*to = (struct pgo_label){
			.key = pgo_strtab_puts(&w->p->strs, w->h->labels[i].key),
			.str = pgo_strtab_puts(&w->p->strs, w->h->labels[i].value),
		};
		if (to->key == PGO_STR_NONE || to->str == PGO_STR_NONE)
			return -1;
	}
	return 0;
}

static int put_samples(struct writer *w)
{
	const struct pgo_columns *c = w->c;

	for (size_t i = 0; i < c->stacks.n; i++) {
		uint32_t at = w->ranks.stacks.order[i];
		const uint32_t *s = pgo_tuple_words(&c->stacks, at);
		struct pgo_sample to = {.loc = s + PGO_CS_LOCS,
			.value = w->values,
			.n_loc = c->stacks.of[at].n - PGO_CS_LOCS};
		bool any = false;

		for (size_t k = 0; k < c->n_columns; k++) {
			const struct pgo_column *col = &c->columns[w->column[k]];

			w->values[k] = at < col->n ? col->value[at] : 0;
			any = any || w->values[k] != 0;
		}
		if (!any) /* what cancels out is no sample */
			continue;
		if (labels_of(w, s[PGO_CS_LABELS], &to.n_label) < 0)
			return -1;
		to.label = w->labels;
		if (pgo_profile_add_sample(w->p, &to) < 0)
			return -1;
	}
	return 0;
}

/* ---------------------------------------------------------------- columns and header */

static int group_of(const char *type)
{
	static const char *const lbr[] = {"lbr_traces", "lbr_branches", "lbr_ranges",
		"lbr_mispredicts", "lbr_cycles", "lbr_executions"};

	if (strcmp(type, "samples") == 0)
		return 0;
	if (strncmp(type, "lbr_", 4) != 0)
		return 1;
	for (size_t i = 0; i < sizeof lbr / sizeof *lbr; i++)
		if (strcmp(type, lbr[i]) == 0)
			return 2 + (int)i;
	return 100;
}

int pgo_columns_order(const char *a, const char *b)
{
	int ga = group_of(a), gb = group_of(b);

	return ga != gb ? (ga < gb ? -1 : 1) : strcmp(a, b);
}

static int cmp_columns(const void *a, const void *b, void *ctx)
{
	const struct pgo_columns *c = ctx;
	const struct pgo_column *x = &c->columns[*(const size_t *)a];
	const struct pgo_column *y = &c->columns[*(const size_t *)b];
	int d = pgo_columns_order(
		pgo_strtab_get(&c->strs, x->type), pgo_strtab_get(&c->strs, y->type));

	return d != 0 ? d
		      : strcmp(pgo_strtab_get(&c->strs, x->unit),
				pgo_strtab_get(&c->strs, y->unit));
}

static int put_columns(struct writer *w)
{
	struct pgo_columns *c = w->c;
	bool lbr = false;

	for (size_t i = 0; i < c->n_columns; i++)
		w->column[i] = i;
	qsort_r(w->column, c->n_columns, sizeof *w->column, cmp_columns, c);
	for (size_t i = 0; i < c->n_columns; i++) {
		const struct pgo_column *col = &c->columns[w->column[i]];
		const char *type = pgo_strtab_get(&c->strs, col->type);

		lbr = lbr || group_of(type) > 1;
		if (pgo_profile_add_sample_type(w->p, type, pgo_strtab_get(&c->strs, col->unit)) ==
			PGO_NONE)
			return -1;
	}
	return lbr ? pgo_profile_add_comment(
			     w->p, "The lbr_ columns are branch records: pgo-lbr(7).")
		   : 0;
}

static const char *text(const char *s)
{
	return s != NULL ? s : "";
}

/* Both sums are of the same samples, each with the period that it stands for. */
static int64_t period_of(const struct writer *w)
{
	int64_t samples, events;

	if (w->h->period != 0)
		return w->h->period;
	samples = pgo_columns_total(w->c, "samples", "count");
	events = pgo_columns_total(w->c, text(w->h->period_type), text(w->h->period_unit));
	if (samples <= 0 || events <= 0)
		return 0;
	return events / samples + (events % samples >= samples - samples / 2);
}

/* What tools show first: the event that was sampled, or else the first column. */
static uint32_t default_type(const struct writer *w)
{
	const struct pgo_profile *p = w->p;

	for (size_t i = 0; i < p->n_sample_types; i++)
		if (strcmp(pgo_profile_str(p, p->sample_types[i].type), text(w->h->period_type)) ==
			0)
			return p->sample_types[i].type;
	return p->n_sample_types != 0 ? p->sample_types[0].type : 0;
}

static int put_header(struct writer *w)
{
	struct pgo_profile *p = w->p;

	p->time_ns = w->h->time_ns;
	p->duration_ns = w->h->duration_ns;
	p->period = period_of(w);
	p->period_type.type = pgo_strtab_puts(&p->strs, text(w->h->period_type));
	p->period_type.unit = pgo_strtab_puts(&p->strs, text(w->h->period_unit));
	p->default_sample_type = default_type(w);
	return p->period_type.type == PGO_STR_NONE || p->period_type.unit == PGO_STR_NONE ? -1 : 0;
}

/* ---------------------------------------------------------------- the file */

static int write_file(const char *path, const struct pgo_buf *b, struct pgo_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t done = 0;

	if (fd < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be created", path);
	while (done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0 && errno != EINTR) {
			int rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", path);

			close(fd);
			return rc;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return close(fd) < 0 ? pgo_err_errno(err, PGO_EIO, "%s cannot be written", path) : 0;
}

static int encode(struct writer *w, const char *path, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, OUTPUT_MAX);
	rc = pgo_pprof_encode(w->p, true, &out, err);
	if (rc == 0)
		rc = write_file(path, &out, err);
	pgo_buf_fini(&out);
	return rc;
}

static int build(struct writer *w, struct pgo_err *err)
{
	struct pgo_columns *c = w->c;

	w->p = pgo_profile_new(err);
	w->string = pgo_malloc(c->strs.n_strs * sizeof *w->string);
	w->column = pgo_calloc(c->n_columns, sizeof *w->column);
	w->values = pgo_calloc(c->n_columns, sizeof *w->values);
	if (w->p == NULL || w->string == NULL || w->column == NULL || w->values == NULL)
		return pgo_err_nomem(err);
	memset(w->string, 0xff, c->strs.n_strs * sizeof *w->string);
	if (put_columns(w) < 0 || put_header(w) < 0 || put_mappings(w) < 0 ||
		put_functions(w) < 0 || put_locations(w) < 0 || put_given_labels(w) < 0 ||
		put_samples(w) < 0)
		return pgo_err_nomem(err);
	return 0;
}

int pgo_columns_write(struct pgo_columns *c, const struct pgo_columns_header *h, const char *path,
	struct pgo_err *err)
{
	struct writer w = {.c = c, .h = h};
	int rc;

	if (c->stacks.n == 0)
		return pgo_err_set(err, PGO_EEMPTY, "no samples");
	rc = pgo_column_ranks_make(c, &w.ranks, err);
	if (rc == 0)
		rc = build(&w, err);
	if (rc == 0)
		rc = encode(&w, path, err);
	pgo_column_ranks_fini(&w.ranks);
	pgo_profile_free(w.p);
	pgo_free(w.string);
	pgo_free(w.column);
	pgo_free(w.values);
	pgo_free(w.lines);
	pgo_free(w.labels);
	return rc;
}
