/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns and header of an input joined to those of the merger, each by a rule that is commutative
 * and associative.
 */
#include "merge/spill.h"
#include "merge/tables.h"
#include "merge/units.h"
#include "pgo/core/pprof.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

static bool is_lbr(const char *type)
{
	return strncmp(type, "lbr_", 4) == 0;
}

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

/* ---------------------------------------------------------------- columns */

/*
 * An implied column.  A profile that has nothing but counts of samples, and a period, stands for as
 * many events as count times period.  Where all profiles are such and have one period, their counts
 * can be added, and nothing more is said.  Where they are not, counts of one are no counts of the
 * other, and the header, which has one period, could not say which are which: then those that imply
 * events get a column of them.  Until that is known the counts of such profiles are also summed in a
 * column named IMPLIED, the type, '/', the period in the base unit; there is one for each event at
 * most, and none in a result; one that is settled is left behind, empty, named IMPLIED twice.  A
 * column named IMPLIED alone holds nothing: it says that there are counts of unknown period.
 */
#define IMPLIED '\1'

bool pgo_mt_is_implied(const struct pgo_merge *m, uint32_t column)
{
	return pgo_strtab_get(&m->strs, m->columns[column].type)[0] == IMPLIED;
}

bool pgo_mt_is_left_behind(const struct pgo_merge *m, uint32_t column)
{
	const char *name = pgo_strtab_get(&m->strs, m->columns[column].type);

	return name[0] == IMPLIED && name[1] == IMPLIED;
}

/* The period that an implied column of `type` is of, or 0. */
static uint64_t implied_period(const struct pgo_merge *m, uint32_t column, const char *type)
{
	const char *text = pgo_strtab_get(&m->strs, m->columns[column].type);
	size_t len = strlen(type);

	if (text[0] != IMPLIED || strncmp(text + 1, type, len) != 0 || text[1 + len] != '/')
		return 0;
	return strtoull(text + len + 2, NULL, 10);
}

static int scale_column(struct pgo_merge *m, uint32_t c, uint64_t factor, struct pgo_err *err)
{
	int rc = factor != 1 ? pgo_mt_spill_scale(m, c, factor, err) : 0;

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < m->n_stacks && factor != 1; i++) {
		pgo_i128 *sum = &m->sums[i * m->stride + c];

		if (__builtin_mul_overflow(*sum, (pgo_i128)factor, sum))
			return pgo_err_set(err, PGO_ELIMIT,
				"the sum of column %s exceeds 128 bits; its values cannot be right",
				pgo_strtab_get(&m->strs, m->columns[c].type));
	}
	return 0;
}

static int new_column(struct pgo_merge *m, const struct pgo_value_type *t, uint32_t *ret)
{
	*ret = (uint32_t)m->n_columns;
	if (PGO_VEC_RESERVE(m->columns, m->columns_room, m->n_columns + 1) < 0)
		return -1;
	m->columns[m->n_columns++] = *t;
	/* Two spare columns: most fleets have one or two kinds of profile. */
	if (m->n_columns > m->stride)
		return widen(m, m->stride == 0 ? m->n_columns : m->n_columns + 2);
	return 0;
}

/* Units of one dimension are one unit, the finest that any input has: that loses nothing. */
static bool same_dimension(const struct pgo_merge *m, uint32_t a, uint32_t b,
	struct pgo_unit *ret_a, struct pgo_unit *ret_b)
{
	return pgo_unit_find(pgo_strtab_get(&m->strs, a), ret_a) &&
	       pgo_unit_find(pgo_strtab_get(&m->strs, b), ret_b) &&
	       ret_a->dimension == ret_b->dimension;
}

/* The column of this type in this unit or one that it can be counted in: brought to the finer of the
 * two.  PGO_NONE if there is none. */
static int find_column(struct pgo_merge *m, const struct pgo_value_type *t, uint32_t *ret,
	uint64_t *ret_factor, struct pgo_err *err)
{
	struct pgo_unit have, want;

	*ret_factor = 1;
	for (uint32_t c = 0; c < m->n_columns; c++) {
		uint32_t unit = m->columns[c].unit;
		int rc = 0;

		if (m->columns[c].type != t->type ||
			(unit != t->unit && !same_dimension(m, unit, t->unit, &have, &want)))
			continue;
		*ret = c;
		if (unit == t->unit)
			return 0;
		if (want.factor < have.factor) {
			rc = scale_column(m, c, have.factor / want.factor, err);
			m->columns[c].unit = t->unit;
		} else if (want.factor == have.factor) {
			m->columns[c].unit = pgo_mt_first_str(m, unit, t->unit);
		} else {
			*ret_factor = want.factor / have.factor;
		}
		return rc;
	}
	*ret = PGO_NONE;
	return 0;
}

/* The implied column of the event `type`, or PGO_NONE. */
static uint32_t find_implied(
	const struct pgo_merge *m, const char *type, uint32_t unit, uint64_t *ret_period)
{
	for (uint32_t c = 0; c < m->n_columns; c++) {
		*ret_period = implied_period(m, c, type);
		if (*ret_period != 0 && m->columns[c].unit == unit)
			return c;
	}
	return PGO_NONE;
}

/* The unit that implied columns of an event in `unit` are kept in. */
static uint32_t base_unit(struct pgo_merge *m, uint32_t unit, uint64_t *ret_factor)
{
	struct pgo_unit u;

	*ret_factor = 1;
	if (!pgo_unit_find(pgo_strtab_get(&m->strs, unit), &u))
		return unit;
	*ret_factor = u.factor;
	return pgo_strtab_puts(&m->strs, u.dimension == PGO_DIM_TIME ? "nanoseconds" : "bytes");
}

/* The event has a column now: what was implied goes there.  The column is left behind, empty. */
static int settle_implied(
	struct pgo_merge *m, uint32_t event, uint32_t implied, uint64_t period, struct pgo_err *err)
{
	struct pgo_value_type t = {m->columns[event].type, m->columns[implied].unit};
	uint64_t factor;
	int rc = find_column(m, &t, &event, &factor, err);

	if (rc < 0)
		return rc;
	rc = scale_column(m, implied, period, err);
	if (rc == 0)
		rc = scale_column(m, implied, factor, err);
	for (size_t i = 0; i < m->n_stacks && rc == 0; i++) {
		pgo_i128 *row = m->sums + i * m->stride;

		if (__builtin_add_overflow(row[event], row[implied], &row[event]))
			rc = pgo_err_set(err, PGO_ELIMIT,
				"the sum of column %s exceeds 128 bits; its values cannot be right",
				pgo_strtab_get(&m->strs, t.type));
		row[implied] = 0;
	}
	pgo_mt_spill_move(m, implied, event);
	m->columns[implied].type = pgo_strtab_add(&m->strs, (const char[]){IMPLIED, IMPLIED}, 2);
	return rc == 0 && m->columns[implied].type == PGO_STR_NONE ? pgo_err_nomem(err) : rc;
}

static int join_explicit(struct pgo_merge *m, const struct pgo_value_type *t, uint32_t *ret,
	uint64_t *ret_factor, struct pgo_err *err)
{
	uint64_t period, unit_factor;
	uint32_t implied, base;
	int rc = find_column(m, t, ret, ret_factor, err);

	if (rc < 0 || *ret != PGO_NONE)
		return rc;
	if (new_column(m, t, ret) < 0)
		return pgo_err_nomem(err);
	base = base_unit(m, t->unit, &unit_factor);
	if (base == PGO_STR_NONE)
		return pgo_err_nomem(err);
	implied = find_implied(m, pgo_strtab_get(&m->strs, t->type), base, &period);
	if (implied == PGO_NONE)
		return 0;
	rc = settle_implied(m, *ret, implied, period, err);
	/* That may have made the unit a finer one. */
	return rc < 0 ? rc : find_column(m, t, ret, ret_factor, err);
}

int pgo_mt_join_implied(struct pgo_merge *m, const char *type, uint32_t unit, uint64_t period,
	uint32_t *ret, uint64_t *ret_factor, struct pgo_err *err)
{
	struct pgo_value_type t = {pgo_strtab_puts(&m->strs, type), unit};
	uint64_t unit_factor, other;
	uint32_t implied;
	char *name;
	int rc;

	t.unit = base_unit(m, unit, &unit_factor);
	if (t.type == PGO_STR_NONE || t.unit == PGO_STR_NONE)
		return pgo_err_nomem(err);
	if (period == 0 || __builtin_mul_overflow(period, unit_factor, &period))
		return pgo_err_set(err, PGO_EFORMAT, "a period of %llu %s cannot be right",
			(unsigned long long)period, pgo_strtab_get(&m->strs, unit));
	implied = find_implied(m, type, t.unit, &other);
	rc = find_column(m, &t, ret, ret_factor, err);
	if (rc < 0)
		return rc;
	if (*ret == PGO_NONE && implied != PGO_NONE && other != period)
		rc = join_explicit(m, &t, ret, ret_factor, err);
	if (rc == 0 && *ret != PGO_NONE && __builtin_mul_overflow(*ret_factor, period, ret_factor))
		rc = pgo_err_set(err, PGO_EFORMAT, "a period of %llu cannot be right",
			(unsigned long long)period);
	if (rc < 0 || *ret != PGO_NONE)
		return rc;
	*ret = implied;
	if (implied != PGO_NONE)
		return 0;
	name = pgo_asprintf("%c%s/%llu", IMPLIED, type, (unsigned long long)period);
	t.type = name != NULL ? pgo_strtab_puts(&m->strs, name) : PGO_STR_NONE;
	pgo_free(name);
	return t.type == PGO_STR_NONE || new_column(m, &t, ret) < 0 ? pgo_err_nomem(err) : 0;
}

int pgo_mt_join_column(struct pgo_merge *m, const struct pgo_value_type *t, uint32_t *ret,
	uint64_t *ret_factor, struct pgo_err *err)
{
	const char *text = pgo_strtab_get(&m->strs, t->type);
	const char *slash = strrchr(text, '/');
	char *type;
	int rc;

	if (text[0] != IMPLIED || slash == NULL)
		return join_explicit(m, t, ret, ret_factor, err);
	type = pgo_strndup(text + 1, (size_t)(slash - text - 1));
	if (type == NULL)
		return pgo_err_nomem(err);
	rc = pgo_mt_join_implied(
		m, type, t->unit, strtoull(slash + 1, NULL, 10), ret, ret_factor, err);
	pgo_free(type);
	return rc;
}

/* Of an input: is there nothing in it but counts of samples, and perhaps branch data?  The column. */
static uint32_t only_counts(const struct pgo_profile *p)
{
	uint32_t samples = PGO_NONE;

	for (uint32_t i = 0; i < p->n_sample_types; i++) {
		const char *type = pgo_profile_str(p, p->sample_types[i].type);

		if (is_lbr(type))
			continue;
		if (samples != PGO_NONE || strcmp(type, "samples") != 0 ||
			strcmp(pgo_profile_str(p, p->sample_types[i].unit), "count") != 0)
			return PGO_NONE;
		samples = i;
	}
	return samples;
}

/* Can counts with a period of this event imply anything? */
static bool can_imply(const char *type, int64_t period)
{
	return period > 0 && type[0] != '\0' && type[0] != IMPLIED &&
	       strcmp(type, "samples") != 0 && !is_lbr(type);
}

static int join_unknown(struct pgo_merge *m, struct pgo_err *err)
{
	const struct pgo_value_type t = {pgo_strtab_add(&m->strs, (const char[]){IMPLIED}, 1), 0};
	uint64_t factor;
	uint32_t column;

	return t.type == PGO_STR_NONE ? pgo_err_nomem(err)
				      : join_explicit(m, &t, &column, &factor, err);
}

static int join_implied(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err)
{
	const char *type = pgo_profile_str(p, p->period_type.type);
	struct pgo_mt_remap *r = &m->remap;
	uint32_t unit;
	int rc;

	r->counts = only_counts(p);
	if (r->counts == PGO_NONE)
		return 0;
	if (!can_imply(type, p->period)) {
		r->counts = PGO_NONE;
		return join_unknown(m, err);
	}
	rc = pgo_mt_str(m, p->period_type.unit, &unit, err);
	return rc < 0 ? rc
		      : pgo_mt_join_implied(m, type, unit, (uint64_t)p->period, &r->implied,
				&r->implied_factor, err);
}

/*
 * Would a reader of the result take from it what it implies, no more and no less?  Nothing is implied
 * where there is a column of something else; with counts alone, what the header says must be what
 * all of them implied.
 */
static bool speaks_for_itself(const struct pgo_merge *m)
{
	const struct pgo_mt_period *h = &m->header.period;
	const char *type = pgo_strtab_get(&m->strs, h->type);
	const bool can = can_imply(type, h->period);
	unsigned same = 0, implied = 0, unknown = 0, samples = 0, others = 0;
	struct pgo_unit u = {.factor = 1};
	uint64_t period = 0;

	(void)pgo_unit_find(pgo_strtab_get(&m->strs, h->unit), &u);
	if (can && __builtin_mul_overflow((uint64_t)h->period, u.factor, &period))
		return false;
	for (uint32_t c = 0; c < m->n_columns; c++) {
		const char *name = pgo_strtab_get(&m->strs, m->columns[c].type);

		same += can && implied_period(m, c, type) == period;
		implied += name[0] == IMPLIED && name[1] != '\0' && name[1] != IMPLIED;
		unknown += name[0] == IMPLIED && name[1] == '\0';
		samples += strcmp(name, "samples") == 0;
		others += name[0] != IMPLIED && !is_lbr(name) && strcmp(name, "samples") != 0;
	}
	if (others != 0 || samples == 0)
		return implied == 0;
	return can ? implied == 1 && same == 1 && unknown == 0 : implied == 0;
}

const struct pgo_mt_period *pgo_mt_period_of(const struct pgo_merge *m)
{
	const struct pgo_mt_header *h = &m->header;

	for (size_t c = 0; c < m->n_columns; c++)
		if (!is_lbr(pgo_strtab_get(&m->strs, m->columns[c].type)))
			return &h->period;
	return &h->lbr_period;
}

int pgo_mt_settle(struct pgo_merge *m, struct pgo_err *err)
{
	uint32_t column;
	uint64_t factor;
	int rc = 0;

	if (speaks_for_itself(m))
		return 0;
	for (uint32_t c = 0; c < m->n_columns && rc == 0; c++) {
		const char *name = pgo_strtab_get(&m->strs, m->columns[c].type);
		const char *slash = strrchr(name, '/');
		struct pgo_value_type t = {.unit = m->columns[c].unit};

		if (name[0] != IMPLIED || slash == NULL)
			continue;
		t.type = pgo_strtab_add(&m->strs, name + 1, (size_t)(slash - name - 1));
		rc = t.type == PGO_STR_NONE ? pgo_err_nomem(err)
					    : join_explicit(m, &t, &column, &factor, err);
	}
	return rc;
}

/* Joining one column may bring another to a finer unit, so all are looked up again at the end. */
int pgo_mt_join_columns(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	int rc = 0;

	if (PGO_VEC_RESERVE(r->factor, r->factor_room, p->n_sample_types + 1) < 0)
		return pgo_err_nomem(err);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < p->n_sample_types; i++) {
			struct pgo_value_type t;

			if ((rc = pgo_mt_str(m, p->sample_types[i].type, &t.type, err)) < 0 ||
				(rc = pgo_mt_str(m, p->sample_types[i].unit, &t.unit, err)) < 0)
				return rc;
			if (pgo_strtab_get(&m->strs, t.type)[0] == IMPLIED)
				return pgo_err_set(err, PGO_EFORMAT,
					"a sample type with a control character in its name");
			rc = join_explicit(m, &t, &r->column[i], &r->factor[i], err);
			if (rc < 0)
				return rc;
		}
		rc = join_implied(m, p, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < p->n_sample_types; i++)
		for (size_t k = 0; k < i; k++)
			if (r->column[i] == r->column[k] && r->factor[i] != r->factor[k])
				return pgo_err_set(err, PGO_EFORMAT,
					"it has the column %s twice, in two units; merge one of "
					"them",
					pgo_profile_str(p, p->sample_types[i].type));
	return 0;
}

static int type_group(const char *type)
{
	static const char *const lbr[] = {"lbr_traces", "lbr_branches", "lbr_ranges",
		"lbr_mispredicts", "lbr_cycles", "lbr_executions"};

	if (strcmp(type, "samples") == 0)
		return 0;
	if (!is_lbr(type))
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
static void join_period(
	struct pgo_merge *m, struct pgo_mt_period *h, const struct pgo_mt_period *in)
{
	int c = (in->type == 0 && in->unit == 0) - (h->type == 0 && h->unit == 0);

	if (c == 0)
		c = pgo_mt_str_cmp(m, in->type, h->type);
	if (c == 0)
		c = pgo_mt_str_cmp(m, in->unit, h->unit);
	if (c < 0 || (c == 0 && in->period > h->period))
		*h = *in;
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
	if (pgo_map_find_key(&m->comment_map, m->comments, sizeof id, &id, sizeof id) !=
		PGO_MAP_NONE)
		return 0;
	if (PGO_VEC_RESERVE(m->comments, m->comments_room, m->n_comments + 1) < 0 ||
		pgo_map_add_key(&m->comment_map, &id, sizeof id, (uint32_t)m->n_comments) < 0)
		return -1;
	m->comments[m->n_comments++] = id;
	return 0;
}

int pgo_merge_add_comment(struct pgo_merge *m, const char *text, struct pgo_err *err)
{
	uint32_t id;

	if (text[0] == '\0' || (m->options.no_origins && pgo_pprof_is_origin(text)))
		return 0;
	id = pgo_strtab_puts(&m->strs, text);
	return id == PGO_STR_NONE || pgo_mt_join_comment(m, id) < 0 ? pgo_err_nomem(err) : 0;
}

void pgo_mt_combine_headers(struct pgo_merge *m, const struct pgo_mt_header *in)
{
	struct pgo_mt_header *h = &m->header;

	join_period(m, &h->period, &in->period);
	join_period(m, &h->lbr_period, &in->lbr_period);
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
	struct pgo_mt_header h = {.time_ns = p->time_ns, .duration_ns = p->duration_ns};
	struct pgo_mt_period period = {.period = p->period};
	bool lbr = true;
	uint32_t id;
	int rc;

	if ((rc = pgo_mt_str(m, p->drop_frames, &h.drop_frames, err)) < 0 ||
		(rc = pgo_mt_str(m, p->keep_frames, &h.keep_frames, err)) < 0 ||
		(rc = pgo_mt_str(m, p->doc_url, &h.doc_url, err)) < 0 ||
		(rc = pgo_mt_str(m, p->period_type.type, &period.type, err)) < 0 ||
		(rc = pgo_mt_str(m, p->period_type.unit, &period.unit, err)) < 0 ||
		(rc = pgo_mt_str(m, shown_first(p), &h.default_type, err)) < 0)
		return rc;
	for (size_t i = 0; i < p->n_sample_types; i++)
		lbr = lbr && is_lbr(pgo_profile_str(p, p->sample_types[i].type));
	*(lbr ? &h.lbr_period : &h.period) = period;
	if (p->n_mappings != 0) {
		h.has_main = true;
		rc = pgo_mt_ident(
			m, &p->mappings[0], &h.main_ident, &h.main_has_id, &h.main_filename, err);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < p->n_comments; i++) {
		if (m->options.no_origins &&
			pgo_pprof_is_origin(pgo_profile_str(p, p->comments[i])))
			continue;
		rc = pgo_mt_str(m, p->comments[i], &id, err);
		if (rc < 0)
			return rc;
		if (pgo_mt_join_comment(m, id) < 0)
			return pgo_err_nomem(err);
	}
	pgo_mt_combine_headers(m, &h);
	return 0;
}
