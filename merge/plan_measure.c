/* SPDX-License-Identifier: Apache-2.0 */
/* One input: its labels, totals and the column that says what it stands for. */
#include "merge/contained.h"
#include "merge/plan.h"
#include "merge/shares.h"
#include "pgo/core/alloc.h"
#include "pgo/core/opt.h"
#include "pgo/core/resolve.h"

#include <math.h>
#include <string.h>

typedef __int128 i128;

/* ---------------------------------------------------------------- drawing */

enum { HOST, SERVICE, SERVICE_NAME, CLASS, PROBABILITY, N_LABELS };

/* A label that all samples have, with one value. */
struct common {
	uint32_t key, value; /* strings of the profile */
	bool holds;
};

struct totals {
	i128 *column;  /* per sample type */
	int64_t *leaf; /* per location and sample type; NULL if nobody asks for it */
	uint64_t samples;
	struct common label[N_LABELS];
};

static void look_at_label(struct common *c, const struct pgo_sample *s, bool first)
{
	uint32_t value = PGO_STR_NONE;

	for (uint32_t i = 0; i < s->n_label; i++)
		if (s->label[i].key == c->key)
			value = s->label[i].str;
	if (first)
		c->value = value;
	c->holds = value == c->value && value != PGO_STR_NONE;
}

static void add_leaf(struct totals *t, const struct pgo_sample *s, size_t n)
{
	int64_t *to = t->leaf + (size_t)s->loc[0] * n;

	for (size_t i = 0; i < n; i++)
		if (s->value[i] > 0 && __builtin_add_overflow(to[i], s->value[i], &to[i]))
			to[i] = INT64_MAX;
}

static void find_labels(
	struct totals *t, const struct pgo_profile *h, const struct pgo_plan_options *o)
{
	const char *const keys[N_LABELS] = {[HOST] = "host",
		[SERVICE] = "service",
		[SERVICE_NAME] = "service_name",
		[CLASS] = o->class_label != NULL ? o->class_label : "class",
		[PROBABILITY] = "sampling_probability"};

	for (size_t i = 0; i < N_LABELS; i++) {
		t->label[i].key = pgo_strtab_find(&h->strs, keys[i], strlen(keys[i]));
		t->label[i].holds = t->label[i].key != PGO_STR_NONE;
	}
}

static int draw(struct pgo_reader *r, struct totals *t, struct pgo_err *err)
{
	const struct pgo_profile *h = r->head;
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		bool zero = true;

		for (size_t i = 0; i < h->n_sample_types; i++) {
			zero = zero && s.value[i] == 0;
			t->column[i] += s.value[i];
		}
		if (zero)
			continue;
		for (size_t i = 0; i < N_LABELS; i++)
			if (t->label[i].holds)
				look_at_label(&t->label[i], &s, t->samples == 0);
		if (t->leaf != NULL && s.n_loc != 0)
			add_leaf(t, &s, h->n_sample_types);
		t->samples++;
	}
	return rc;
}

/* ---------------------------------------------------------------- the column */

static bool is_type(const struct pgo_profile *h, size_t i, const char *type, const char *unit)
{
	return strcmp(pgo_profile_str(h, h->sample_types[i].type), type) == 0 &&
	       strcmp(pgo_profile_str(h, h->sample_types[i].unit), unit) == 0;
}

/* How well a column says what the profile stands for: its event, then a count of samples, then the
 * default, then any. Columns that are all zero say nothing. */
static int suits(const struct pgo_profile *h, size_t i, const struct totals *t)
{
	const char *event = pgo_profile_str(h, h->period_type.type);
	const char *unit = pgo_profile_str(h, h->period_type.unit);
	uint32_t def = h->default_sample_type;

	if (t->column[i] == 0)
		return 0;
	if (event[0] != '\0' && is_type(h, i, event, unit))
		return 5;
	if (is_type(h, i, "samples", "count") && h->period > 0)
		return 4;
	if (def != 0 ? h->sample_types[i].type == def : i + 1 == h->n_sample_types)
		return 3;
	return strncmp(pgo_profile_str(h, h->sample_types[i].type), "lbr_", 4) != 0 ? 2 : 1;
}

static char *type_name(const struct pgo_profile *h, const struct pgo_value_type *t)
{
	return pgo_asprintf("%s/%s", pgo_profile_str(h, t->type), pgo_profile_str(h, t->unit));
}

static int64_t clamp(i128 v)
{
	return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

/* How many samples were taken: what counts them, else the total in periods, else the rows. */
static uint64_t count_samples(const struct pgo_profile *h, const struct totals *t, size_t best)
{
	for (size_t i = 0; i < h->n_sample_types; i++)
		if (is_type(h, i, "samples", "count") && t->column[i] > 0)
			return (uint64_t)clamp(t->column[i]);
	if (suits(h, best, t) == 5 && h->period > 0 && t->column[best] > 0)
		return (uint64_t)clamp(t->column[best] / h->period);
	return t->samples;
}

static int choose_column(struct pgo_plan_input *in, const struct pgo_profile *h,
	const struct totals *t, size_t *ret_best)
{
	const struct pgo_value_type *unit;
	size_t best = 0;
	bool counts;

	for (size_t i = 1; i < h->n_sample_types; i++)
		if (suits(h, i, t) > suits(h, best, t))
			best = i;
	*ret_best = best;
	if (h->n_sample_types == 0) {
		in->column = pgo_strdup("");
		in->unit = pgo_strdup("");
		return in->column != NULL && in->unit != NULL ? 0 : -1;
	}
	counts = suits(h, best, t) == 4;
	unit = counts && h->period_type.type != 0 ? &h->period_type : &h->sample_types[best];
	in->column = type_name(h, &h->sample_types[best]);
	in->unit = type_name(h, unit);
	in->period = h->period;
	in->total = clamp(t->column[best]);
	in->n_counted = count_samples(h, t, best);
	in->mass = (double)in->total;
	if (counts)
		in->mass *= (double)h->period;
	return in->column != NULL && in->unit != NULL ? 0 : -1;
}

/* ---------------------------------------------------------------- the input */

/* The label's value; else what the source says; else "". */
static const char *label_or(
	const struct pgo_profile *h, const struct totals *t, int label, const char *or_else)
{
	if (t->label[label].holds && t->samples != 0)
		return pgo_profile_str(h, t->label[label].value);
	return or_else != NULL ? or_else : "";
}

/* A label that is no probability is none: the input counts once, which --explain shows. */
static double probability_of(
	const struct pgo_profile *h, const struct totals *t, const struct pgo_plan_source *src)
{
	const char *text = label_or(h, t, PROBABILITY, "");
	double q = src->probability;

	if (!(q > 0) && (text[0] == '\0' || pgo_parse_double(text, &q, NULL) < 0))
		q = 1;
	return q > 0 && q <= 1 ? q : 1;
}

static int fill_strings(struct pgo_plan_input *in, const struct pgo_reader *r,
	const struct totals *t, const struct pgo_plan_source *src)
{
	const struct pgo_profile *h = r->head;
	const char *service = label_or(h, t, SERVICE_NAME, src->service);
	char id[129] = "";

	if (h->n_mappings != 0)
		pgo_build_id_normalize(pgo_profile_str(h, h->mappings[0].build_id), id);
	in->name = pgo_strdup(src->name != NULL ? src->name : r->name);
	in->host = pgo_strdup(label_or(h, t, HOST, src->host));
	in->service = pgo_strdup(label_or(h, t, SERVICE, service));
	in->class = pgo_strdup(src->class != NULL ? src->class : label_or(h, t, CLASS, ""));
	in->build_id = pgo_strdup(id);
	if (src->digest != NULL)
		in->digest = pgo_strdup(src->digest);
	return in->name == NULL || in->host == NULL || in->service == NULL || in->class == NULL ||
			       in->build_id == NULL || (src->digest != NULL && in->digest == NULL)
		       ? -1
		       : 0;
}

/* The chosen column's sums per location, moved to the front of the table. */
static const int64_t *leaf_sums(struct totals *t, const struct pgo_profile *h, size_t column)
{
	for (size_t i = 0; i < h->n_locations; i++)
		t->leaf[i] = t->leaf[i * h->n_sample_types + column];
	return t->leaf;
}

static int fill(struct pgo_plan_input *in, const struct pgo_reader *r, struct totals *t,
	const struct pgo_plan_source *src, const struct pgo_plan_options *o)
{
	const struct pgo_profile *h = r->head;
	size_t best;

	in->samples = t->samples;
	in->time_ns = h->time_ns != 0 ? h->time_ns : src->time_ns;
	in->blend = src->blend;
	if (in->blend && pgo_contained_newest(h) != 0)
		in->time_ns = pgo_contained_newest(h);
	in->mapped = in->survival = in->overlap = -1;
	in->probability = o->no_probability ? 1 : probability_of(h, t, src);
	if (fill_strings(in, r, t, src) < 0 || choose_column(in, h, t, &best) < 0 ||
		pgo_contained_read(in, h) < 0)
		return -1;
	in->mass /= in->probability;
	if (t->leaf == NULL || h->n_sample_types == 0)
		return 0;
	return pgo_shares_measure(in, h, leaf_sums(t, h, best), o);
}

int pgo_plan_measure(const struct pgo_plan_options *o, struct pgo_reader *r,
	const struct pgo_plan_source *source, struct pgo_plan_input *ret, struct pgo_err *err)
{
	const struct pgo_plan_source none = {0};
	const struct pgo_profile *h = r->head;
	struct pgo_plan_input in = {0};
	struct totals t = {0};
	bool leaves = o->outliers || o->shares || o->target != NULL;
	int rc;

	t.column = pgo_calloc(h->n_sample_types, sizeof *t.column);
	if (leaves)
		t.leaf = pgo_calloc(h->n_locations, h->n_sample_types * sizeof *t.leaf);
	if (t.column == NULL || (leaves && t.leaf == NULL)) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	find_labels(&t, h, o);
	rc = draw(r, &t, err);
	if (rc == 0 && fill(&in, r, &t, source != NULL ? source : &none, o) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		*ret = in;
	else
		pgo_plan_input_fini(&in);
out:
	pgo_free(t.column);
	pgo_free(t.leaf);
	return rc;
}
