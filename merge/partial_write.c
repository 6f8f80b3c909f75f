/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/finish_impl.h"
#include "merge/partial.h"
#include "merge/partial_impl.h"
#include "merge/ranks.h"
#include "merge/rows.h"
#include "merge/spill.h"
#include "merge/wide.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define STRETCH ((size_t)256 << 10) /* bytes between two visits of the compressor */
#define GZIP_LEVEL 9                /* written once, sent and kept often */
#define GZIP_QUICK 1
#define HELD_MAX ((size_t)8 << 30)

struct writer {
	struct pgo_merge *m;
	const struct pgo_partial_head *head;
	struct pgo_mt_ranks r;
	struct pgo_mt_rows rows;
	uint32_t *str_new; /* per rank of a string: its index in the file, once it is used */
	uint32_t *column_at;
	size_t n_columns;
	struct pgo_buf out;
	struct pgo_gzip *gzip;
	struct pgo_sha256 sha;
	struct pgo_outfile *file;
	struct pgo_buf *text;
	/* A block of rows, column by column. */
	struct pgo_buf shared, locs, labels, *sums;
	uint32_t *prev;
	size_t n_prev, prev_room, n_rows;
};

/* ---------------------------------------------------------------- bytes */

static void put(struct writer *w, uint64_t v)
{
	pgo_buf_uleb(&w->out, v);
}

static void put_text(struct writer *w, const char *s)
{
	put(w, strlen(s));
	pgo_buf_puts(&w->out, s);
}

static int take_gzip(void *ctx, const void *data, size_t len, struct pgo_err *err)
{
	struct writer *w = ctx;

	if (w->file != NULL)
		return pgo_outfile_write(w->file, data, len, err);
	pgo_buf_add(w->text, data, len);
	return pgo_buf_check(w->text, "the partial", err);
}

static int compress(struct writer *w, struct pgo_err *err)
{
	int rc = pgo_buf_check(&w->out, "the partial", err);

	if (rc == 0) {
		pgo_sha256_add(&w->sha, w->out.data, w->out.len);
		rc = pgo_gzip_add(w->gzip, w->out.data, w->out.len, err);
	}
	pgo_buf_clear(&w->out);
	return rc;
}

/* Between the elements of a table, so that no more than a stretch is held. */
static int breathe(struct writer *w, struct pgo_err *err)
{
	return w->out.len >= STRETCH || w->out.failed ? compress(w, err) : 0;
}

/* ---------------------------------------------------------------- head */

static void put_lists(struct writer *w)
{
	const struct pgo_partial_head *h = w->head;
	uint64_t before = 0;

	put(w, h->n_shards_in);
	for (size_t i = 0; i < h->n_shards_in; i++) {
		put(w, h->shards[i] - before);
		before = h->shards[i];
	}
	put(w, h->n_inputs);
	for (size_t i = 0; i < h->n_inputs; i++) {
		pgo_buf_add(&w->out, h->inputs[i].digest, sizeof h->inputs[i].digest);
		put(w, h->inputs[i].part);
	}
	put(w, h->n_hosts);
	for (size_t i = 0; i < h->n_hosts; i++) {
		put_text(w, h->hosts[i].unit);
		put_text(w, h->hosts[i].host);
		pgo_mt_put_wide(&w->out, h->hosts[i].mass);
		put(w, h->hosts[i].inputs);
	}
	put(w, h->n_days);
	for (size_t i = 0; i < h->n_days; i++)
		pgo_mt_put_wide(&w->out, h->days[i]);
}

static int put_head(struct writer *w, struct pgo_err *err)
{
	const struct pgo_partial_head *h = w->head;

	pgo_buf_add(&w->out, PGO_PARTIAL_MAGIC, PGO_PARTIAL_MAGIC_LEN);
	put(w, PGO_PARTIAL_VERSION);
	put_text(w, h->tool);
	put_text(w, h->plan);
	put(w, h->n_shards);
	put(w, h->n_planned);
	put_text(w, h->options);
	put(w, h->keep_labels);
	put(w, h->weight_one);
	put_lists(w);
	put(w, h->stats.profiles);
	put(w, h->stats.samples_in);
	put(w, h->stats.samples_zero);
	put(w, h->stats.samples_filtered);
	put(w, h->stats.locations_in);
	put(w, h->stats.locations_outside);
	return compress(w, err);
}

/* ---------------------------------------------------------------- strings */

static void use(struct writer *w, uint32_t id)
{
	w->str_new[w->r.str_rank[id]] = 0;
}

/* Only what something names: then the file is that of the content, not of how it came about. */
static void use_all(struct writer *w)
{
	const struct pgo_merge *m = w->m;
	const struct pgo_mt_header *h = &m->header;
	const uint32_t of_header[] = {0, h->period.type, h->period.unit, h->lbr_period.type,
		h->lbr_period.unit, h->drop_frames, h->keep_frames, h->doc_url, h->default_type,
		h->main_ident, h->main_filename};

	for (size_t i = 0; i < sizeof of_header / sizeof *of_header; i++)
		use(w, of_header[i]);
	for (size_t i = 0; i < m->n_columns; i++) {
		if (pgo_mt_is_left_behind(m, (uint32_t)i))
			continue;
		use(w, m->columns[i].type);
		use(w, m->columns[i].unit);
	}
	for (size_t i = 0; i < m->n_comments; i++)
		use(w, m->comments[i]);
	for (size_t i = 0; i < m->n_mappings; i++) {
		use(w, m->mappings[i].ident);
		use(w, m->mappings[i].filename);
	}
	for (size_t i = 0; i < m->n_functions; i++) {
		use(w, m->functions[i].name);
		use(w, m->functions[i].system_name);
		use(w, m->functions[i].filename);
	}
	for (size_t i = 0; i < m->n_labels; i++) {
		use(w, m->labels[i].key);
		use(w, m->labels[i].str);
		use(w, m->labels[i].num_unit);
	}
}

static int put_strings(struct writer *w, struct pgo_err *err)
{
	const struct pgo_merge *m = w->m;
	const size_t n = m->strs.n_strs;
	const struct pgo_str *before = NULL;
	uint32_t *id_of = pgo_calloc(n, sizeof *id_of), used = 0;
	int rc = 0;

	w->str_new = pgo_calloc(n, sizeof *w->str_new);
	if (id_of == NULL || w->str_new == NULL) {
		pgo_free(id_of);
		return pgo_err_nomem(err);
	}
	memset(w->str_new, 0xff, n * sizeof *w->str_new);
	use_all(w);
	for (size_t i = 0; i < n; i++)
		id_of[w->r.str_rank[i]] = (uint32_t)i;
	for (size_t i = 0; i < n; i++)
		if (w->str_new[i] != PGO_NONE)
			w->str_new[i] = used++;
	put(w, used);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct pgo_str *s = &m->strs.strs[id_of[i]];
		uint32_t shared = 0;

		if (w->str_new[i] == PGO_NONE)
			continue;
		while (before != NULL && shared < s->len && shared < before->len &&
			s->s[shared] == before->s[shared])
			shared++;
		put(w, shared);
		put(w, s->len - shared);
		pgo_buf_add(&w->out, s->s + shared, s->len - shared);
		before = s;
		rc = breathe(w, err);
	}
	pgo_free(id_of);
	return rc;
}

static void put_str(struct writer *w, uint32_t id)
{
	put(w, w->str_new[w->r.str_rank[id]]);
}

/* ---------------------------------------------------------------- tables */

static int cmp_comment(const void *pa, const void *pb, void *ctx)
{
	const struct writer *w = ctx;
	uint32_t a = w->r.str_rank[*(const uint32_t *)pa], b = w->r.str_rank[*(const uint32_t *)pb];

	return (a > b) - (a < b);
}

/* The tables keep theirs in the order in which they know them. */
static int put_comments(struct writer *w, struct pgo_err *err)
{
	const struct pgo_merge *m = w->m;
	uint32_t *sorted = pgo_calloc(m->n_comments, sizeof *sorted);

	if (sorted == NULL)
		return pgo_err_nomem(err);
	if (m->n_comments != 0) {
		memcpy(sorted, m->comments, m->n_comments * sizeof *sorted);
		qsort_r(sorted, m->n_comments, sizeof *sorted, cmp_comment, w);
	}
	put(w, m->n_comments);
	for (size_t i = 0; i < m->n_comments; i++)
		put_str(w, sorted[i]);
	pgo_free(sorted);
	return 0;
}

static int put_header(struct writer *w, struct pgo_err *err)
{
	struct pgo_merge *m = w->m;
	const struct pgo_mt_header *h = &m->header;

	put_str(w, h->period.type);
	put_str(w, h->period.unit);
	pgo_mt_put_wide(&w->out, h->period.period);
	put_str(w, h->lbr_period.type);
	put_str(w, h->lbr_period.unit);
	pgo_mt_put_wide(&w->out, h->lbr_period.period);
	pgo_mt_put_wide(&w->out, h->time_ns);
	pgo_mt_put_wide(&w->out, h->duration_ns);
	put_str(w, h->drop_frames);
	put_str(w, h->keep_frames);
	put_str(w, h->doc_url);
	put_str(w, h->default_type);
	put(w, h->has_main);
	put(w, h->main_has_id);
	put_str(w, h->main_ident);
	put_str(w, h->main_filename);
	w->column_at = pgo_mt_sort_columns(m, &w->n_columns);
	if (w->column_at == NULL)
		return pgo_err_nomem(err);
	put(w, w->n_columns);
	for (size_t c = 0; c < w->n_columns; c++) {
		put_str(w, m->columns[w->column_at[c]].type);
		put_str(w, m->columns[w->column_at[c]].unit);
	}
	return put_comments(w, err);
}

static unsigned mapping_bits(const struct pgo_mt_mapping *map)
{
	return (map->has_id ? PGO_PARTIAL_HAS_ID : 0u) | (map->bare ? PGO_PARTIAL_BARE : 0u) |
	       (map->functions ? PGO_PARTIAL_FUNCTIONS : 0u) |
	       (map->filenames ? PGO_PARTIAL_FILENAMES : 0u) |
	       (map->line_numbers ? PGO_PARTIAL_LINE_NUMBERS : 0u) |
	       (map->inline_frames ? PGO_PARTIAL_INLINE_FRAMES : 0u);
}

static int put_mappings(struct writer *w, struct pgo_err *err)
{
	const struct pgo_merge *m = w->m;
	int rc = 0;

	put(w, m->n_mappings);
	for (size_t i = 0; i < m->n_mappings && rc == 0; i++) {
		const struct pgo_mt_mapping *map = &m->mappings[w->r.mapping_at[i]];

		put(w, mapping_bits(map));
		put(w, map->size);
		put(w, map->offset);
		put(w, map->start);
		put(w, map->exact);
		put_str(w, map->ident);
		put_str(w, map->filename);
		rc = breathe(w, err);
	}
	return rc;
}

static int put_functions(struct writer *w, struct pgo_err *err)
{
	const struct pgo_merge *m = w->m;
	int rc = 0;

	put(w, m->n_functions);
	for (size_t i = 0; i < m->n_functions && rc == 0; i++) {
		const struct pgo_mt_function *fn = &m->functions[w->r.function_at[i]];

		put_str(w, fn->name);
		put_str(w, fn->system_name);
		put_str(w, fn->filename);
		pgo_mt_put_wide(&w->out, fn->start_line);
		rc = breathe(w, err);
	}
	return rc;
}

/* Addresses as differences from the location before: most are small. */
static int put_locations(struct writer *w, struct pgo_err *err)
{
	const struct pgo_merge *m = w->m;
	uint64_t before = 0;
	int rc = 0;

	put(w, m->n_locations);
	for (size_t i = 0; i < m->n_locations && rc == 0; i++) {
		const struct pgo_mt_location *l = &m->locations[w->r.location_at[i]];

		put(w, l->mapping == PGO_NONE ? 0 : (uint64_t)w->r.mapping_rank[l->mapping] + 1);
		put(w, l->flags);
		pgo_mt_put_wide(&w->out, (int64_t)(l->addr - before));
		before = l->addr;
		put(w, l->n_lines);
		for (uint32_t k = 0; k < l->n_lines; k++) {
			const struct pgo_line *line = &m->lines[l->first_line + k];

			put(w, w->r.function_rank[line->function]);
			pgo_mt_put_wide(&w->out, line->line);
			pgo_mt_put_wide(&w->out, line->column);
		}
		rc = breathe(w, err);
	}
	return rc;
}

/* Set 0 of the order is the one without labels; it is understood. */
static int put_labels(struct writer *w, struct pgo_err *err)
{
	const struct pgo_merge *m = w->m;
	int rc = 0;

	put(w, m->n_label_sets);
	for (size_t i = 1; i < m->n_label_sets && rc == 0; i++) {
		const struct pgo_mt_labels *set = &m->label_sets[w->r.labels_at[i]];

		put(w, set->n);
		for (uint32_t k = 0; k < set->n; k++) {
			const struct pgo_label *l = &m->labels[set->first + k];

			put_str(w, l->key);
			put_str(w, l->str);
			pgo_mt_put_wide(&w->out, l->num);
			put_str(w, l->num_unit);
		}
		rc = breathe(w, err);
	}
	return rc;
}

/* ---------------------------------------------------------------- rows */

static int end_block(struct writer *w, struct pgo_err *err)
{
	struct pgo_buf *parts[3] = {&w->shared, &w->locs, &w->labels};
	int rc = 0;

	if (w->n_rows == 0)
		return 0;
	put(w, w->n_rows);
	for (size_t i = 0; i < 3 + w->n_columns && rc == 0; i++) {
		struct pgo_buf *b = i < 3 ? parts[i] : &w->sums[i - 3];

		rc = pgo_buf_check(b, "the partial", err);
		pgo_buf_add(&w->out, b->data, b->len);
		pgo_buf_clear(b);
	}
	w->n_rows = 0;
	w->n_prev = 0; /* each block stands by itself */
	return rc == 0 ? breathe(w, err) : rc;
}

static int put_row(struct writer *w, const struct pgo_mt_row *row, struct pgo_err *err)
{
	size_t shared = 0;

	while (shared < w->n_prev && shared < row->n_loc && w->prev[shared] == row->loc[shared])
		shared++;
	pgo_buf_uleb(&w->shared, shared);
	pgo_buf_uleb(&w->shared, row->n_loc - shared);
	for (size_t i = shared; i < row->n_loc; i++)
		pgo_buf_uleb(&w->locs, row->loc[i]);
	pgo_buf_uleb(&w->labels, row->labels);
	for (size_t c = 0; c < w->n_columns; c++)
		pgo_mt_put_wide(&w->sums[c], row->sums[w->column_at[c]]);
	if (PGO_VEC_RESERVE(w->prev, w->prev_room, row->n_loc) < 0)
		return pgo_err_nomem(err);
	if (row->n_loc != shared)
		memcpy(w->prev + shared, row->loc + shared,
			(row->n_loc - shared) * sizeof *w->prev);
	w->n_prev = row->n_loc;
	return ++w->n_rows == PGO_PARTIAL_BLOCK ? end_block(w, err) : 0;
}

static int put_rows(struct writer *w, struct pgo_err *err)
{
	struct pgo_mt_row row;
	int rc;

	w->sums = pgo_calloc(w->n_columns, sizeof *w->sums);
	if (w->sums == NULL)
		return pgo_err_nomem(err);
	for (size_t c = 0; c < w->n_columns; c++)
		pgo_buf_init(&w->sums[c], HELD_MAX);
	while ((rc = pgo_mt_rows_next(&w->rows, &row, err)) > 0) {
		rc = put_row(w, &row, err);
		if (rc < 0)
			return rc;
	}
	if (rc == 0)
		rc = end_block(w, err);
	put(w, 0);
	return rc;
}

/* ---------------------------------------------------------------- all of it */

static int write_all(struct writer *w, struct pgo_err *err)
{
	uint8_t digest[32];
	int rc;

	/* From the root: the frames that stacks share are then at their start. */
	rc = pgo_mt_rows_init(&w->rows, &w->r, true, err);
	if (rc < 0 || (rc = put_head(w, err)) < 0 || (rc = put_strings(w, err)) < 0 ||
		(rc = put_header(w, err)) < 0 || (rc = put_mappings(w, err)) < 0 ||
		(rc = put_functions(w, err)) < 0 || (rc = put_locations(w, err)) < 0 ||
		(rc = put_labels(w, err)) < 0 || (rc = put_rows(w, err)) < 0 ||
		(rc = compress(w, err)) < 0)
		return rc;
	pgo_sha256_final(&w->sha, digest);
	rc = pgo_gzip_add(w->gzip, digest, sizeof digest, err);
	return rc == 0 ? pgo_gzip_end(w->gzip, err) : rc;
}

static void writer_fini(struct writer *w)
{
	pgo_mt_rows_fini(&w->rows);
	pgo_mt_ranks_fini(&w->r);
	for (size_t c = 0; w->sums != NULL && c < w->n_columns; c++)
		pgo_buf_fini(&w->sums[c]);
	pgo_free(w->sums);
	pgo_free(w->str_new);
	pgo_free(w->column_at);
	pgo_free(w->prev);
	pgo_buf_fini(&w->out);
	pgo_buf_fini(&w->shared);
	pgo_buf_fini(&w->locs);
	pgo_buf_fini(&w->labels);
	pgo_gzip_free(w->gzip);
}

/* What ranking has turned, sorted and put ranks into, as it was. */
static void restore(struct writer *w)
{
	struct pgo_merge *m = w->m;

	for (size_t i = 0; i < m->n_stack_locs; i++)
		m->stack_locs[i] = w->r.location_at[m->stack_locs[i]];
	pgo_mt_turn_stacks(m);
	for (size_t i = 1; i < m->n_label_sets; i++)
		pgo_mt_sort_labels(m->labels + m->label_sets[i].first, m->label_sets[i].n);
	m->spent = false;
}

/* `keep`: the merger is as it was if that went well. */
static int write_partial(struct writer *w, struct pgo_merge *m, const struct pgo_partial_head *h,
	int level, bool keep, struct pgo_err *err)
{
	int rc;

	if (m->spent)
		return pgo_err_set(err, PGO_EUSAGE, "the merge is already finished; begin another");
	m->spent = true;
	w->m = w->r.m = m;
	w->head = h;
	pgo_buf_init(&w->out, HELD_MAX);
	pgo_buf_init(&w->shared, HELD_MAX);
	pgo_buf_init(&w->locs, HELD_MAX);
	pgo_buf_init(&w->labels, HELD_MAX);
	pgo_sha256_init(&w->sha);
	w->gzip = pgo_gzip_new(take_gzip, w, level, err);
	rc = w->gzip != NULL ? write_all(w, err) : PGO_ENOMEM;
	if (rc == 0 && keep)
		restore(w);
	writer_fini(w);
	return rc;
}

int pgo_partial_write(struct pgo_merge *m, const struct pgo_partial_head *h, const char *path,
	struct pgo_err *err)
{
	struct writer w = {.file = pgo_outfile_open(path, err)};
	int rc;

	if (w.file == NULL)
		return err != NULL ? err->code : PGO_EIO;
	rc = write_partial(&w, m, h, GZIP_LEVEL, false, err);
	if (rc < 0) {
		pgo_outfile_abort(w.file);
		return rc;
	}
	return pgo_outfile_commit(w.file, err);
}

int pgo_partial_copy(struct pgo_merge *m, const struct pgo_partial_head *h, struct pgo_buf *out,
	struct pgo_err *err)
{
	struct writer w = {.text = out};

	if (pgo_mt_spilled(m))
		return pgo_err_set(err, PGO_EUSAGE, "a merger that is partly on disk has no copy");
	return write_partial(&w, m, h, GZIP_QUICK, true, err);
}

static void put_base64(struct pgo_buf *out, const uint8_t *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = (uint32_t)data[i] << 16 | (n > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
			     (n > 2 ? data[i + 2] : 0);

		for (unsigned k = 0; k < 4; k++)
			pgo_buf_putc(out, k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
	}
}

int pgo_partial_write_line(struct pgo_merge *m, const struct pgo_partial_head *h,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_buf bytes;
	struct writer w = {.text = &bytes};
	int rc;

	pgo_buf_init(&bytes, HELD_MAX);
	rc = write_partial(&w, m, h, GZIP_LEVEL, false, err);
	if (rc == 0) {
		pgo_buf_printf(out, PGO_PARTIAL_LINE "%zu ", bytes.len);
		put_base64(out, (const uint8_t *)bytes.data, bytes.len);
		pgo_buf_putc(out, '\n');
		rc = pgo_buf_check(out, "the partial", err);
	}
	pgo_buf_fini(&bytes);
	return rc;
}
