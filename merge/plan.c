/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/plan.h"

#include "merge/weight.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_NS ((int64_t)86400 * 1000000000)

typedef __int128 i128;

void pgo_plan_init(struct pgo_plan *p, const struct pgo_plan_options *o)
{
	memset(p, 0, sizeof *p);
	p->options = *o;
	p->weight_one = 1;
}

static void input_fini(struct pgo_plan_input *in)
{
	pgo_free(in->name);
	pgo_free(in->digest);
	pgo_free(in->host);
	pgo_free(in->build_id);
	pgo_free(in->column);
	pgo_free(in->unit);
}

void pgo_plan_fini(struct pgo_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		input_fini(&p->inputs[i]);
	pgo_free(p->inputs);
	pgo_free(p->at);
	memset(p, 0, sizeof *p);
}

/* ---------------------------------------------------------------- one input */

struct totals {
	i128 *column; /* per sample type */
	uint64_t samples;
	uint32_t host_key, host; /* strings of the profile */
	bool one_host;
};

static void look_at_host(struct totals *t, const struct pgo_sample *s, bool first)
{
	uint32_t host = PGO_STR_NONE;

	for (uint32_t i = 0; i < s->n_label; i++)
		if (s->label[i].key == t->host_key)
			host = s->label[i].str;
	if (first)
		t->host = host;
	t->one_host = t->one_host && host == t->host && host != PGO_STR_NONE;
}

static int draw(struct pgo_reader *r, struct totals *t, struct pgo_err *err)
{
	const struct pgo_profile *h = r->head;
	struct pgo_sample s;
	int rc;

	t->host_key = pgo_strtab_find(&h->strs, "host", 4);
	t->one_host = t->host_key != PGO_STR_NONE;
	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		bool zero = true;

		for (size_t i = 0; i < h->n_sample_types; i++) {
			zero = zero && s.value[i] == 0;
			t->column[i] += s.value[i];
		}
		if (zero)
			continue;
		if (t->one_host)
			look_at_host(t, &s, t->samples == 0);
		t->samples++;
	}
	return rc;
}

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

static int choose_column(
	struct pgo_plan_input *in, const struct pgo_profile *h, const struct totals *t)
{
	const struct pgo_value_type *unit;
	size_t best = 0;
	i128 total;
	bool counts;

	for (size_t i = 1; i < h->n_sample_types; i++)
		if (suits(h, i, t) > suits(h, best, t))
			best = i;
	if (h->n_sample_types == 0) {
		in->column = pgo_strdup("");
		in->unit = pgo_strdup("");
		return in->column != NULL && in->unit != NULL ? 0 : -1;
	}
	total = t->column[best];
	counts = suits(h, best, t) == 4;
	unit = counts && h->period_type.type != 0 ? &h->period_type : &h->sample_types[best];
	in->column = type_name(h, &h->sample_types[best]);
	in->unit = type_name(h, unit);
	in->period = h->period;
	in->total = total > INT64_MAX ? INT64_MAX : total < INT64_MIN ? INT64_MIN : (int64_t)total;
	in->mass = (double)in->total;
	if (counts)
		in->mass *= (double)h->period;
	return in->column != NULL && in->unit != NULL ? 0 : -1;
}

static int fill(struct pgo_plan_input *in, const struct pgo_reader *r, const struct totals *t,
	const struct pgo_plan_source *src)
{
	const struct pgo_profile *h = r->head;
	const char *host = src->host != NULL ? src->host : "";
	char id[129] = "";

	if (t->one_host && t->samples != 0)
		host = pgo_profile_str(h, t->host);
	if (h->n_mappings != 0)
		pgo_build_id_normalize(pgo_profile_str(h, h->mappings[0].build_id), id);
	in->samples = t->samples;
	in->time_ns = h->time_ns != 0 ? h->time_ns : src->time_ns;
	in->name = pgo_strdup(src->name != NULL ? src->name : r->name);
	in->host = pgo_strdup(host);
	in->build_id = pgo_strdup(id);
	if (src->digest != NULL)
		in->digest = pgo_strdup(src->digest);
	if (in->name == NULL || in->host == NULL || in->build_id == NULL ||
		(src->digest != NULL && in->digest == NULL))
		return -1;
	return choose_column(in, h, t);
}

int pgo_plan_add(struct pgo_plan *p, struct pgo_reader *r, const struct pgo_plan_source *source,
	struct pgo_err *err)
{
	const struct pgo_plan_source none = {0};
	struct pgo_plan_input in = {0}, *to;
	struct totals t = {0};
	int rc;

	t.column = pgo_calloc(r->head->n_sample_types, sizeof *t.column);
	if (t.column == NULL)
		return pgo_err_nomem(err);
	rc = draw(r, &t, err);
	if (rc < 0)
		goto out;
	in.seq = p->n;
	if (fill(&in, r, &t, source != NULL ? source : &none) < 0 ||
		(to = PGO_VEC_PUSH(p->inputs, p->n, p->room)) == NULL) {
		input_fini(&in);
		rc = pgo_err_nomem(err);
		goto out;
	}
	*to = in;
out:
	pgo_free(t.column);
	return rc;
}

/* ---------------------------------------------------------------- all inputs */

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static int cmp_input(const void *pa, const void *pb)
{
	const struct pgo_plan_input *a = pa, *b = pb;
	int c = strcmp(or_empty(a->digest), or_empty(b->digest));

	return c != 0 ? c : strcmp(a->name, b->name);
}

static void drop_unusable(struct pgo_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];
		struct pgo_plan_input *before = i > 0 ? &p->inputs[i - 1] : NULL;

		in->drop = PGO_PLAN_KEPT;
		if (before != NULL && in->digest != NULL && before->digest != NULL &&
			strcmp(in->digest, before->digest) == 0) {
			in->drop = PGO_PLAN_DUPLICATE;
			in->twin = before->twin != NULL ? before->twin : before->name;
			pgo_warn("%s has the same bytes as %s; it is counted once", in->name,
				in->twin);
		} else if (in->samples == 0) {
			in->drop = PGO_PLAN_NO_SAMPLES;
		}
	}
}

/* Ages, and the factor that follows; what is beyond the window goes. */
static void weigh_age(struct pgo_plan *p)
{
	const struct pgo_plan_options *o = &p->options;

	p->now_ns = o->now_ns;
	for (size_t i = 0; i < p->n && o->now_ns == 0; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT && p->inputs[i].time_ns > p->now_ns)
			p->now_ns = p->inputs[i].time_ns;
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		in->age_ns =
			in->time_ns != 0 && p->now_ns > in->time_ns ? p->now_ns - in->time_ns : 0;
		in->age_factor = pgo_weight_age(in->age_ns, o->half_life_ns);
		in->host_factor = 1;
		if (in->drop == PGO_PLAN_KEPT && o->window_ns > 0 && in->age_ns > o->window_ns)
			in->drop = PGO_PLAN_TOO_OLD;
	}
}

/* A host's sum within one unit of mass. */
struct share {
	const char *unit, *host;
	double mass;   /* sum of M x T */
	double factor; /* C */
};

static int cmp_share(const void *pa, const void *pb)
{
	const struct share *a = pa, *b = pb;
	int c = strcmp(a->unit, b->unit);

	return c != 0 ? c : strcmp(a->host, b->host);
}

static int cmp_double(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return (a > b) - (a < b);
}

/* One element per (unit, host) of kept inputs, sorted.  Masses are added in the order of the
 * inputs, which is that of their content, so that the last bit is everywhere the same. */
static struct share *sum_shares(const struct pgo_plan *p, size_t *ret_n)
{
	struct share *s = pgo_calloc(p->n, sizeof *s), *found;
	size_t n = 0, distinct = 0;

	if (s == NULL)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT)
			s[n++] = (struct share){p->inputs[i].unit, p->inputs[i].host, 0, 1};
	qsort(s, n, sizeof *s, cmp_share);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || cmp_share(&s[i], &s[distinct - 1]) != 0)
			s[distinct++] = s[i];
	for (size_t i = 0; i < p->n; i++) {
		const struct pgo_plan_input *in = &p->inputs[i];
		const struct share key = {in->unit, in->host, 0, 0};

		found = bsearch(&key, s, distinct, sizeof *s, cmp_share);
		if (found != NULL && in->drop == PGO_PLAN_KEPT)
			found->mass += in->mass * in->age_factor * in->host_factor;
	}
	*ret_n = distinct;
	return s;
}

/* The cap of every named host, against the median of the hosts of its unit. */
static int cap_hosts(struct share *s, size_t n, double kappa)
{
	double *mass = pgo_calloc(n, sizeof *mass);

	if (mass == NULL)
		return -1;
	for (size_t i = 0, end; i < n; i = end) {
		size_t k = 0;
		double median;

		for (end = i; end < n && strcmp(s[end].unit, s[i].unit) == 0; end++)
			if (s[end].host[0] != '\0')
				mass[k++] = s[end].mass;
		qsort(mass, k, sizeof *mass, cmp_double);
		median = pgo_weight_median(mass, k);
		for (size_t h = i; h < end; h++)
			if (s[h].host[0] != '\0')
				s[h].factor = pgo_weight_cap(s[h].mass, median, kappa);
	}
	pgo_free(mass);
	return 0;
}

static int weigh_hosts(struct pgo_plan *p)
{
	size_t n;
	struct share *s;

	if (!(p->options.host_cap > 0))
		return 0;
	s = sum_shares(p, &n);
	if (s == NULL || cap_hosts(s, n, p->options.host_cap) < 0) {
		pgo_free(s);
		return -1;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct share key = {p->inputs[i].unit, p->inputs[i].host, 0, 0};
		const struct share *found = bsearch(&key, s, n, sizeof *s, cmp_share);

		if (found != NULL && p->inputs[i].drop == PGO_PLAN_KEPT)
			p->inputs[i].host_factor = found->factor;
	}
	pgo_free(s);
	return 0;
}

static void set_weights(struct pgo_plan *p)
{
	double max = 0;

	p->weighted = false;
	for (size_t i = 0; i < p->n; i++) {
		const struct pgo_plan_input *in = &p->inputs[i];
		double w = in->age_factor * in->host_factor;

		if (in->drop != PGO_PLAN_KEPT)
			continue;
		p->weighted = p->weighted || (p->n_kept != 0 && w != max);
		if (w > max)
			max = w;
		p->n_kept++;
	}
	p->weight_one = p->weighted ? PGO_WEIGHT_ONE : 1;
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (in->drop != PGO_PLAN_KEPT)
			continue;
		in->weight =
			p->weighted ? pgo_weight_scale(in->age_factor * in->host_factor, max) : 1;
	}
}

static int cmp_day(const void *pa, const void *pb)
{
	int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;

	return (a > b) - (a < b);
}

static int count_days(struct pgo_plan *p)
{
	int64_t *day = pgo_calloc(p->n, sizeof *day);
	size_t n = 0;

	if (day == NULL)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT && p->inputs[i].time_ns > 0)
			day[n++] = p->inputs[i].time_ns / DAY_NS;
	qsort(day, n, sizeof *day, cmp_day);
	p->n_days = 0;
	for (size_t i = 0; i < n; i++)
		p->n_days += i == 0 || day[i] != day[i - 1];
	pgo_free(day);
	return 0;
}

static int cmp_name(const void *pa, const void *pb)
{
	return strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

/* All inputs without a host are one: that is the careful reading. */
static int count_hosts(struct pgo_plan *p)
{
	const char **host = pgo_calloc(p->n, sizeof *host);
	size_t n = 0;

	if (host == NULL)
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT)
			host[n++] = p->inputs[i].host;
	qsort(host, n, sizeof *host, cmp_name);
	p->n_hosts = 0;
	for (size_t i = 0; i < n; i++)
		p->n_hosts += i == 0 || strcmp(host[i], host[i - 1]) != 0;
	pgo_free(host);
	return 0;
}

/* How evenly the weighted mass lies on the hosts, within the unit that has most of them. */
static int spread_hosts(struct pgo_plan *p)
{
	size_t n, most = 0;
	struct share *s = sum_shares(p, &n);

	if (s == NULL)
		return -1;
	for (size_t i = 0, end; i < n; i = end) {
		double sum = 0, squares = 0, largest = 0;

		for (end = i; end < n && strcmp(s[end].unit, s[i].unit) == 0; end++) {
			sum += s[end].mass;
			squares += s[end].mass * s[end].mass;
			if (s[end].mass > largest)
				largest = s[end].mass;
		}
		if (end - i <= most)
			continue;
		most = end - i;
		p->effective_hosts = squares > 0 ? sum * sum / squares : 0;
		p->dominance = sum > 0 ? largest / sum : 0;
	}
	pgo_free(s);
	return 0;
}

int pgo_plan_finish(struct pgo_plan *p, struct pgo_err *err)
{
	pgo_free(p->at);
	p->at = pgo_calloc(p->n, sizeof *p->at);
	if (p->at == NULL)
		return pgo_err_nomem(err);
	if (p->n != 0)
		qsort(p->inputs, p->n, sizeof *p->inputs, cmp_input);
	for (size_t i = 0; i < p->n; i++)
		p->at[p->inputs[i].seq] = i;
	drop_unusable(p);
	weigh_age(p);
	if (weigh_hosts(p) < 0)
		return pgo_err_nomem(err);
	set_weights(p);
	if (count_days(p) < 0 || count_hosts(p) < 0 || spread_hosts(p) < 0)
		return pgo_err_nomem(err);
	if (p->n == 0)
		return pgo_err_set(err, PGO_EEMPTY, "no usable profile is left");
	if (p->n_kept == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"none of %zu profiles is usable: they have no samples, or are older than "
			"the window",
			p->n);
	return 0;
}

const struct pgo_plan_input *pgo_plan_of(const struct pgo_plan *p, size_t seq)
{
	return &p->inputs[p->at[seq]];
}

const char *pgo_plan_drop_name(enum pgo_plan_drop drop)
{
	static const char *const names[] = {"", "too old", "no samples", "duplicate"};

	return names[drop];
}
