/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns and header of an input joined to those of the merger, each by a rule that is commutative
 * and associative.
 */
#include "merge/tables.h"
#include "pgo/core/vec.h"

/* Rows get wider: from the last to the first, in place. */
static int widen(struct pgo_merge *m, size_t stride)
{
	size_t room;

	if (__builtin_mul_overflow(m->n_stacks + 1, stride, &room) ||
		PGO_VEC_RESERVE(m->sums, m->sums_room, room) < 0)
		return -1;
	for (size_t i = m->n_stacks; i-- > 0;) {
		memmove(m->sums + i * stride, m->sums + i * m->stride, m->stride * sizeof *m->sums);
		memset(m->sums + i * stride + m->stride, 0, (stride - m->stride) * sizeof *m->sums);
	}
	m->stride = stride;
	return 0;
}

int pgo_mt_join_column(struct pgo_merge *m, const struct pgo_value_type *t, uint32_t *ret)
{
	size_t c = 0;

	while (c < m->n_columns && (m->columns[c].type != t->type || m->columns[c].unit != t->unit))
		c++;
	*ret = (uint32_t)c;
	if (c < m->n_columns)
		return 0;
	if (PGO_VEC_RESERVE(m->columns, m->columns_room, c + 1) < 0)
		return -1;
	m->columns[m->n_columns++] = *t;
	/* Two spare columns: most fleets have one or two kinds of profile. */
	if (m->n_columns > m->stride)
		return widen(m, m->stride == 0 ? m->n_columns : m->n_columns + 2);
	return 0;
}

int pgo_mt_join_columns(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err)
{
	for (size_t i = 0; i < p->n_sample_types; i++) {
		struct pgo_value_type t;
		int rc;

		if ((rc = pgo_mt_str(m, p->sample_types[i].type, &t.type, err)) < 0 ||
			(rc = pgo_mt_str(m, p->sample_types[i].unit, &t.unit, err)) < 0)
			return rc;
		if (pgo_mt_join_column(m, &t, &m->remap.column[i]) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

static int type_group(const char *type)
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

int pgo_mt_type_order(const char *a, const char *b)
{
	int ga = type_group(a), gb = type_group(b);

	return ga != gb ? (ga < gb ? -1 : 1) : strcmp(a, b);
}

/* Which of two types to show first: never branch data if there is another; of others the later. */
static bool better_default(const char *a, const char *b)
{
	bool lbr_a = type_group(a) > 1, lbr_b = type_group(b) > 1;

	return lbr_a != lbr_b ? lbr_b : pgo_mt_type_order(a, b) > 0;
}

/* ---------------------------------------------------------------- two headers */

static void join_default_type(struct pgo_merge *m, uint32_t id)
{
	struct pgo_mt_header *h = &m->header;

	if (id == 0)
		return;
	if (h->default_type == 0 || better_default(pgo_strtab_get(&m->strs, id),
					    pgo_strtab_get(&m->strs, h->default_type)))
		h->default_type = id;
}

/* Periods of different events are not comparable: the first event in byte order wins, and of it
 * the largest period. */
static void join_period(struct pgo_merge *m, uint32_t type, uint32_t unit, int64_t period)
{
	struct pgo_mt_header *h = &m->header;
	int c = (type == 0 && unit == 0) - (h->period_type == 0 && h->period_unit == 0);

	if (c == 0)
		c = pgo_mt_str_cmp(m, type, h->period_type);
	if (c == 0)
		c = pgo_mt_str_cmp(m, unit, h->period_unit);
	if (c < 0 || (c == 0 && period > h->period)) {
		h->period_type = type;
		h->period_unit = unit;
		h->period = period;
	}
}

/* The main binary of the result is named by the first ident in byte order, build-ids first: any
 * rule would do where inputs differ, but it must not depend on their order or number. */
static void join_main(struct pgo_merge *m, const struct pgo_mt_header *in)
{
	struct pgo_mt_header *h = &m->header;
	int c;

	if (!in->has_main)
		return;
	c = h->has_main ? (int)h->main_has_id - (int)in->main_has_id : -1;
	if (c == 0)
		c = pgo_mt_str_cmp(m, in->main_ident, h->main_ident);
	if (c == 0)
		h->main_filename = pgo_mt_first_str(m, h->main_filename, in->main_filename);
	if (c >= 0)
		return;
	h->has_main = true;
	h->main_ident = in->main_ident;
	h->main_has_id = in->main_has_id;
	h->main_filename = in->main_filename;
}

int pgo_mt_join_comment(struct pgo_merge *m, uint32_t id)
{
	for (size_t j = 0; j < m->n_comments; j++)
		if (m->comments[j] == id)
			return 0;
	if (PGO_VEC_RESERVE(m->comments, m->comments_room, m->n_comments + 1) < 0)
		return -1;
	m->comments[m->n_comments++] = id;
	return 0;
}

void pgo_mt_combine_headers(struct pgo_merge *m, const struct pgo_mt_header *in)
{
	struct pgo_mt_header *h = &m->header;

	join_period(m, in->period_type, in->period_unit, in->period);
	join_main(m, in);
	join_default_type(m, in->default_type);
	h->drop_frames = pgo_mt_first_str(m, h->drop_frames, in->drop_frames);
	h->keep_frames = pgo_mt_first_str(m, h->keep_frames, in->keep_frames);
	h->doc_url = pgo_mt_first_str(m, h->doc_url, in->doc_url);
	if (in->time_ns != 0 && (h->time_ns == 0 || in->time_ns < h->time_ns))
		h->time_ns = in->time_ns;
	/* Saturating: of non-negative numbers that is still associative. */
	if (in->duration_ns > 0 &&
		__builtin_add_overflow(h->duration_ns, in->duration_ns, &h->duration_ns))
		h->duration_ns = INT64_MAX;
}

/* ---------------------------------------------------------------- the header of an input */

/* The type that an input shows first: the one it names if it has it, else its last. */
static uint32_t shown_first(const struct pgo_profile *p)
{
	for (size_t i = 0; i < p->n_sample_types; i++)
		if (p->sample_types[i].type == p->default_sample_type)
			return p->default_sample_type;
	return p->n_sample_types != 0 ? p->sample_types[p->n_sample_types - 1].type : 0;
}

int pgo_mt_join_header(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err)
{
	struct pgo_mt_header h = {
		.period = p->period, .time_ns = p->time_ns, .duration_ns = p->duration_ns};
	uint32_t id;
	int rc;

	if ((rc = pgo_mt_str(m, p->drop_frames, &h.drop_frames, err)) < 0 ||
		(rc = pgo_mt_str(m, p->keep_frames, &h.keep_frames, err)) < 0 ||
		(rc = pgo_mt_str(m, p->doc_url, &h.doc_url, err)) < 0 ||
		(rc = pgo_mt_str(m, p->period_type.type, &h.period_type, err)) < 0 ||
		(rc = pgo_mt_str(m, p->period_type.unit, &h.period_unit, err)) < 0 ||
		(rc = pgo_mt_str(m, shown_first(p), &h.default_type, err)) < 0)
		return rc;
	if (p->n_mappings != 0) {
		h.has_main = true;
		rc = pgo_mt_ident(
			m, &p->mappings[0], &h.main_ident, &h.main_has_id, &h.main_filename, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < p->n_comments; i++) {
		rc = pgo_mt_str(m, p->comments[i], &id, err);
		if (rc < 0)
			return rc;
		if (pgo_mt_join_comment(m, id) < 0)
			return pgo_err_nomem(err);
	}
	pgo_mt_combine_headers(m, &h);
	return 0;
}
