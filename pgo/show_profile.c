/* SPDX-License-Identifier: Apache-2.0 */
/* Views of profiles: what is in them, where it points, and what is hottest. */
#include "pgo/show.h"

#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/opt.h"
#include "pgo/core/pprof.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A name with what it weighs: functions or addresses, labels. */
struct weighed {
	uint32_t key[2]; /* first, so that it is the map's key */
	int64_t value;
	uint64_t samples;
};

struct weights {
	struct weighed *rows;
	size_t n, room;
	struct pgo_map map;
};

struct view {
	const struct pgo_show *show;
	const struct pgo_profile *p;
	uint64_t n_samples;
	int64_t *totals;   /* per sample type */
	uint64_t *nonzero; /* per sample type */
	uint32_t column;   /* of the list of the hottest */
	struct weights
		leaves; /* key: function name id, or location index with the second word set */
	struct weights labels; /* key: label key, label value */
	uint64_t traces, branches, mispredicts;
};

static int weigh(struct weights *w, uint32_t a, uint32_t b, int64_t value)
{
	uint32_t key[2] = {a, b};
	uint32_t i = pgo_map_find_key(&w->map, w->rows, sizeof *w->rows, key, sizeof key);
	struct weighed *row;

	if (i == PGO_MAP_NONE) {
		row = PGO_VEC_PUSH(w->rows, w->n, w->room);
		if (row == NULL ||
			pgo_map_add_key(&w->map, key, sizeof key, (uint32_t)w->n - 1) < 0)
			return -1;
		memcpy(row->key, key, sizeof key);
	} else {
		row = &w->rows[i];
	}
	row->samples++;
	if (__builtin_add_overflow(row->value, value, &row->value))
		row->value = INT64_MAX;
	return 0;
}

static int by_value(const void *pa, const void *pb)
{
	const struct weighed *a = pa, *b = pb;

	if (a->value != b->value)
		return a->value < b->value ? 1 : -1;
	return memcmp(a->key, b->key, sizeof a->key);
}

static void weights_free(struct weights *w)
{
	pgo_free(w->rows);
	pgo_map_fini(&w->map);
}

/* The column whose hottest places are listed: time, if the profile has it; else its default; else
 * the first. */
static uint32_t main_column(const struct pgo_profile *p)
{
	uint32_t c = pgo_profile_sample_type(p, "cpu");

	if (c == PGO_NONE && p->default_sample_type != 0)
		c = pgo_profile_sample_type(p, pgo_profile_str(p, p->default_sample_type));
	return c == PGO_NONE ? 0 : c;
}

static int weigh_leaf(struct view *v, const struct pgo_sample *s)
{
	const struct pgo_location *l;
	int64_t value = s->value[v->column];

	if (s->n_loc == 0 || value == 0)
		return 0;
	l = &v->p->locations[s->loc[0]];
	if (l->n_lines == 0)
		return weigh(&v->leaves, s->loc[0], 1, value);
	return weigh(
		&v->leaves, v->p->functions[v->p->lines[l->first_line].function].name, 0, value);
}

static int scan(struct view *v, struct pgo_reader *r, const struct pgo_lbr_columns *lbr,
	struct pgo_err *err)
{
	struct pgo_lbr_trace t;
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		v->n_samples++;
		for (size_t i = 0; i < v->p->n_sample_types; i++) {
			if (s.value[i] != 0)
				v->nonzero[i]++;
			if (__builtin_add_overflow(v->totals[i], s.value[i], &v->totals[i]))
				return pgo_err_set(err, PGO_ELIMIT,
					"the values of sample type %zu add up to more than 2^63",
					i);
		}
		if (weigh_leaf(v, &s) < 0)
			return pgo_err_nomem(err);
		for (uint32_t i = 0; i < s.n_label; i++)
			if (s.label[i].str != 0 &&
				weigh(&v->labels, s.label[i].key, s.label[i].str, 1) < 0)
				return pgo_err_nomem(err);
		if (lbr == NULL)
			continue;
		for (uint32_t at = 0; (rc = pgo_lbr_trace_next(lbr, v->p, &s, &at, &t, err)) > 0;) {
			v->traces++;
			if (t.source != PGO_NONE)
				v->branches += (uint64_t)t.count;
			v->mispredicts += (uint64_t)t.mispredicts;
		}
		if (rc < 0)
			return rc;
	}
	return rc;
}

static const char *str(const struct view *v, uint32_t id)
{
	return pgo_profile_str(v->p, id);
}

/* Of inputs there may be thousands. */
static void comments_text(const struct view *v, struct pgo_buf *out)
{
	const struct pgo_profile *p = v->p;
	const size_t len = sizeof PGO_PPROF_INPUT - 1;
	size_t inputs = 0, shown = 0;

	for (size_t i = 0; i < p->n_comments; i++) {
		const char *text = str(v, p->comments[i]);

		inputs += strncmp(text, PGO_PPROF_INPUT, len) == 0;
		if (!pgo_pprof_is_origin(text))
			pgo_buf_printf(out, "  %-13s %s\n", shown++ == 0 ? "comments" : "", text);
	}
	if (inputs != 0)
		pgo_buf_printf(out, "  made from     %zu input%s\n", inputs, inputs > 1 ? "s" : "");
}

static void header_text(const struct view *v, const char *kind)
{
	struct pgo_buf *out = v->show->out;
	const struct pgo_profile *p = v->p;
	char when[40];

	pgo_buf_printf(out, "%s: %s\n", v->show->path, kind);
	if (p->time_ns != 0) {
		pgo_format_time(p->time_ns, when, sizeof when);
		pgo_buf_printf(out, "  taken         %s, over %.1f s\n", when,
			(double)p->duration_ns / 1e9);
	}
	if (p->period != 0)
		pgo_buf_printf(out, "  period        %" PRId64 " %s/%s\n", p->period,
			str(v, p->period_type.type), str(v, p->period_type.unit));
	pgo_buf_printf(out, "  samples       %" PRIu64 " distinct; %zu locations, %zu functions\n",
		v->n_samples, p->n_locations, p->n_functions);
	for (size_t i = 0; i < p->n_sample_types; i++)
		pgo_buf_printf(out, "  %-13s %s/%s, sum %" PRId64 " in %" PRIu64 " samples\n",
			i == 0 ? "sample types" : "", str(v, p->sample_types[i].type),
			str(v, p->sample_types[i].unit), v->totals[i], v->nonzero[i]);
	if (v->traces != 0)
		pgo_buf_printf(out,
			"  branches      %" PRIu64 " in %" PRIu64
			" distinct traces, %.2f%% mispredicted\n",
			v->branches, v->traces,
			v->branches != 0 ? 100.0 * (double)v->mispredicts / (double)v->branches
					 : 0.0);
	for (size_t i = 0; i < p->n_mappings; i++)
		pgo_buf_printf(out,
			"  %-13s %" PRIx64 "-%" PRIx64 " offset %" PRIx64 " %s build-id %s%s\n",
			i == 0 ? "mappings" : "", p->mappings[i].start, p->mappings[i].limit,
			p->mappings[i].offset, str(v, p->mappings[i].filename),
			p->mappings[i].build_id != 0 ? str(v, p->mappings[i].build_id) : "(none)",
			p->mappings[i].has_functions ? ", symbolized" : "");
	for (size_t i = 0; i < v->labels.n; i++)
		pgo_buf_printf(out, "  %-13s %s=%s on %" PRIu64 " samples\n",
			i == 0 ? "labels" : "", str(v, v->labels.rows[i].key[0]),
			str(v, v->labels.rows[i].key[1]), v->labels.rows[i].samples);
	comments_text(v, out);
}

/* What a row of the hottest is called: a function, or file+0xaddress. */
static void leaf_name(const struct view *v, const struct weighed *w, struct pgo_buf *name)
{
	const struct pgo_location *l;

	pgo_buf_clear(name);
	if (w->key[1] == 0) {
		pgo_buf_puts(name, str(v, w->key[0]));
		return;
	}
	l = &v->p->locations[w->key[0]];
	pgo_buf_printf(name, "%s+0x%" PRIx64,
		l->mapping != PGO_NONE ? pgo_path_base(str(v, v->p->mappings[l->mapping].filename))
				       : "?",
		l->addr);
}

static size_t shown(const struct pgo_show *s, size_t n)
{
	return s->all || s->top == 0 || s->top > n ? n : s->top;
}

static void hottest_text(const struct view *v, struct pgo_buf *name)
{
	struct pgo_buf *out = v->show->out;
	int64_t total = v->totals[v->column];

	if (v->leaves.n == 0)
		return;
	pgo_buf_printf(out, "  hottest by %s/%s\n", str(v, v->p->sample_types[v->column].type),
		str(v, v->p->sample_types[v->column].unit));
	for (size_t i = 0; i < shown(v->show, v->leaves.n); i++) {
		leaf_name(v, &v->leaves.rows[i], name);
		pgo_buf_printf(out, "    %6.2f%% %12" PRId64 "  %s\n",
			total != 0 ? 100.0 * (double)v->leaves.rows[i].value / (double)total : 0.0,
			v->leaves.rows[i].value, name->data);
	}
}

static void tables_json(const struct view *v, struct pgo_json *j)
{
	const struct pgo_profile *p = v->p;

	pgo_json_key(j, "sample_types");
	pgo_json_array(j);
	for (size_t i = 0; i < p->n_sample_types; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "type", str(v, p->sample_types[i].type));
		pgo_json_kv_str(j, "unit", str(v, p->sample_types[i].unit));
		pgo_json_kv_i64(j, "sum", v->totals[i]);
		pgo_json_kv_u64(j, "samples", v->nonzero[i]);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_key(j, "mappings");
	pgo_json_array(j);
	for (size_t i = 0; i < p->n_mappings; i++) {
		pgo_json_object(j);
		pgo_json_kv_u64(j, "start", p->mappings[i].start);
		pgo_json_kv_u64(j, "limit", p->mappings[i].limit);
		pgo_json_kv_u64(j, "offset", p->mappings[i].offset);
		pgo_json_kv_str(j, "file", str(v, p->mappings[i].filename));
		pgo_json_kv_str(j, "build_id", str(v, p->mappings[i].build_id));
		pgo_json_kv_bool(j, "has_functions", p->mappings[i].has_functions);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_key(j, "labels");
	pgo_json_array(j);
	for (size_t i = 0; i < v->labels.n; i++) {
		pgo_json_object(j);
		pgo_json_kv_str(j, "key", str(v, v->labels.rows[i].key[0]));
		pgo_json_kv_str(j, "value", str(v, v->labels.rows[i].key[1]));
		pgo_json_kv_u64(j, "samples", v->labels.rows[i].samples);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void profile_json(const struct view *v, const char *kind, struct pgo_buf *name)
{
	struct pgo_json *j = v->show->json;

	pgo_json_object(j);
	pgo_json_kv_str(j, "file", v->show->path);
	pgo_json_kv_str(j, "kind", kind);
	pgo_json_kv_i64(j, "time_ns", v->p->time_ns);
	pgo_json_kv_i64(j, "duration_ns", v->p->duration_ns);
	pgo_json_kv_i64(j, "period", v->p->period);
	pgo_json_kv_u64(j, "samples", v->n_samples);
	pgo_json_kv_u64(j, "locations", v->p->n_locations);
	pgo_json_kv_u64(j, "functions", v->p->n_functions);
	pgo_json_kv_u64(j, "traces", v->traces);
	pgo_json_kv_u64(j, "branches", v->branches);
	pgo_json_kv_u64(j, "mispredicts", v->mispredicts);
	tables_json(v, j);
	pgo_json_key(j, "hottest");
	pgo_json_array(j);
	for (size_t i = 0; i < shown(v->show, v->leaves.n); i++) {
		leaf_name(v, &v->leaves.rows[i], name);
		pgo_json_object(j);
		pgo_json_kv_str(j, "name", name->data);
		pgo_json_kv_i64(j, "value", v->leaves.rows[i].value);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

int pgo_show_reader(
	const struct pgo_show *s, const char *kind, struct pgo_reader *r, struct pgo_err *err)
{
	struct view v = {.show = s, .p = r->head};
	struct pgo_lbr_columns lbr = {0};
	struct pgo_buf name;
	bool has_lbr = false;
	int rc;

	pgo_buf_init(&name, (size_t)1 << 20);
	pgo_buf_putc(&name, ' ');
	v.totals = pgo_calloc(v.p->n_sample_types, sizeof *v.totals);
	v.nonzero = pgo_calloc(v.p->n_sample_types, sizeof *v.nonzero);
	v.column = main_column(v.p);
	if (v.totals == NULL || v.nonzero == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	rc = pgo_lbr_columns_init(&lbr, v.p, &has_lbr, err);
	if (rc == 0)
		rc = scan(&v, r, has_lbr ? &lbr : NULL, err);
	if (rc < 0)
		goto out;
	if (v.leaves.n != 0)
		qsort(v.leaves.rows, v.leaves.n, sizeof *v.leaves.rows, by_value);
	if (v.labels.n != 0)
		qsort(v.labels.rows, v.labels.n, sizeof *v.labels.rows, by_value);
	if (s->json != NULL) {
		profile_json(&v, kind, &name);
	} else {
		header_text(&v, kind);
		hottest_text(&v, &name);
	}
out:
	pgo_lbr_columns_fini(&lbr);
	weights_free(&v.leaves);
	weights_free(&v.labels);
	pgo_free(v.totals);
	pgo_free(v.nonzero);
	pgo_buf_fini(&name);
	return rc;
}
