/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as a whole: what is left out, and one weight for each of the rest. */
#include "merge/plan.h"

#include "merge/weight.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/vec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS ((int64_t)3600 * 1000000000)
#define DAY_NS (24 * HOUR_NS)
#define WEIGHT_BITS 56 /* so that 2^63 times it is far from 2^127 */

void pgo_plan_init(struct pgo_plan *p, const struct pgo_plan_options *o)
{
	memset(p, 0, sizeof *p);
	p->options = *o;
	p->weight_one = 1;
}

void pgo_plan_input_fini(struct pgo_plan_input *in)
{
	pgo_free(in->name);
	pgo_free(in->digest);
	pgo_free(in->host);
	pgo_free(in->build_id);
	pgo_free(in->service);
	pgo_free(in->class);
	pgo_free(in->column);
	pgo_free(in->unit);
	pgo_free(in->leaves);
	pgo_free(in->shares);
	memset(in, 0, sizeof *in);
}

void pgo_plan_fini(struct pgo_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		pgo_plan_input_fini(&p->inputs[i]);
	pgo_free(p->inputs);
	pgo_free(p->at);
	memset(p, 0, sizeof *p);
}

int pgo_plan_put(struct pgo_plan *p, struct pgo_plan_input *in, struct pgo_err *err)
{
	struct pgo_plan_input *to = PGO_VEC_PUSH(p->inputs, p->n, p->room);

	if (to == NULL) {
		pgo_plan_input_fini(in);
		return pgo_err_nomem(err);
	}
	in->seq = p->n - 1;
	*to = *in;
	memset(in, 0, sizeof *in);
	return 0;
}

int pgo_plan_add(struct pgo_plan *p, struct pgo_reader *r, const struct pgo_plan_source *source,
	struct pgo_err *err)
{
	struct pgo_plan_input in;
	int rc = pgo_plan_measure(&p->options, r, source, &in, err);

	return rc < 0 ? rc : pgo_plan_put(p, &in, err);
}

/* ---------------------------------------------------------------- what is left out */

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

/* The last good profile after an input of the same bytes, which then counts. */
static int cmp_input(const void *pa, const void *pb)
{
	const struct pgo_plan_input *a = pa, *b = pb;
	int c = strcmp(or_empty(a->digest), or_empty(b->digest));

	if (c == 0)
		c = (int)a->blend - (int)b->blend;
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

static bool is_class(const struct pgo_plan *p, const char *name)
{
	for (size_t i = 0; i < p->options.n_classes; i++)
		if (strcmp(p->options.classes[i].name, name) == 0)
			return true;
	return false;
}

static void drop_other_classes(struct pgo_plan *p)
{
	const char *example = NULL;
	size_t n = 0;

	for (size_t i = 0; i < p->n && p->options.n_classes != 0; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (in->drop != PGO_PLAN_KEPT || in->blend || is_class(p, in->class))
			continue;
		in->drop = PGO_PLAN_OTHER_CLASS;
		example = in->name;
		n++;
	}
	if (n != 0)
		pgo_warn("%zu profile%s of no class in the mix, %s for one; left out", n,
			n == 1 ? " is" : "s are", example);
}

/* ---------------------------------------------------------------- age */

/* Ages, and the factor that follows; what is beyond the window goes, but for the last good profile:
 * how long that may be used is decided elsewhere. */
static void weigh_age(struct pgo_plan *p)
{
	const struct pgo_plan_options *o = &p->options;

	p->now_ns = o->now_ns;
	for (size_t i = 0; i < p->n && o->now_ns == 0; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT && p->inputs[i].time_ns > p->now_ns)
			p->now_ns = p->inputs[i].time_ns;
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];
		double beta = o->blend > 0 ? o->blend : PGO_PLAN_BLEND;

		in->age_ns =
			in->time_ns != 0 && p->now_ns > in->time_ns ? p->now_ns - in->time_ns : 0;
		in->age_factor = pgo_weight_age(in->age_ns, o->half_life_ns);
		in->probability_factor = 1 / in->probability;
		in->build_factor = 1;
		in->blend_factor = in->blend ? beta : 1;
		if (in->drop == PGO_PLAN_KEPT && !in->blend && o->window_ns > 0 &&
			in->age_ns > o->window_ns)
			in->drop = PGO_PLAN_TOO_OLD;
	}
}

/* ---------------------------------------------------------------- weights */

/* All factors but that of age. */
static double rest_of(const struct pgo_plan_input *in)
{
	return in->probability_factor * in->season_factor * in->build_factor * in->host_factor *
	       in->class_factor * in->blend_factor;
}

double pgo_plan_factor(const struct pgo_plan_input *in)
{
	return in->drop == PGO_PLAN_KEPT ? in->age_factor * rest_of(in) : 0;
}

/* The mass has the probability in it already. */
double pgo_plan_mass(const struct pgo_plan_input *in)
{
	return pgo_plan_factor(in) / in->probability_factor * in->mass;
}

/* What is older than all half-lives that count is as old as the oldest of them, whenever it was. */
static void set_marks(struct pgo_plan *p, struct pgo_weight_mark now)
{
	const int64_t least = now.exponent - PGO_PLAN_HALF_LIVES;
	bool any = false;

	p->base = now.exponent;
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];

		if (in->drop != PGO_PLAN_KEPT)
			continue;
		in->mark = in->age_ns > 0 ? pgo_weight_mark(in->time_ns, p->options.half_life_ns)
					  : now;
		in->oldest = in->mark.exponent < least;
		if (in->oldest)
			in->mark = (struct pgo_weight_mark){
				(uint32_t)1 << PGO_WEIGHT_MARK_BITS, least - 1};
		if (!any || in->mark.exponent < p->base)
			p->base = in->mark.exponent;
		any = true;
	}
}

/* The power of 2 that brings the largest of the other factors up to what 2^56 leaves beside age. */
static double set_rests(struct pgo_plan *p, struct pgo_weight_mark now)
{
	const int age_bits = PGO_WEIGHT_MARK_BITS + 1 + (int)(now.exponent - p->base);
	double max = 1, scale;
	int bits;

	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT && rest_of(&p->inputs[i]) > max)
			max = rest_of(&p->inputs[i]);
	frexp(max, &bits);
	scale = ldexp(1, WEIGHT_BITS - age_bits - bits);
	for (size_t i = 0; i < p->n; i++)
		if (p->inputs[i].drop == PGO_PLAN_KEPT)
			p->inputs[i].rest = pgo_weight_factor(rest_of(&p->inputs[i]) * scale);
	return scale;
}

static uint64_t weight_of(const struct pgo_plan *p, uint64_t rest, struct pgo_weight_mark mark)
{
	return rest * ((uint64_t)mark.mantissa << (mark.exponent - p->base));
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void set_weights(struct pgo_plan *p)
{
	const struct pgo_weight_mark now = pgo_weight_mark(p->now_ns, p->options.half_life_ns);
	double max = 0, scale;
	uint64_t most = 0;

	p->weighted = false;
	p->n_kept = 0;
	p->divisor = 0;
	set_marks(p, now);
	scale = set_rests(p, now);
	for (size_t i = 0; i < p->n; i++) {
		struct pgo_plan_input *in = &p->inputs[i];
		double f = pgo_plan_factor(in);

		in->weight = 0;
		if (in->drop != PGO_PLAN_KEPT)
			continue;
		p->weighted = p->weighted || (p->n_kept != 0 && f != max);
		if (f > max)
			max = f;
		p->n_kept++;
		in->weight = weight_of(p, in->rest, in->mark);
		if (in->weight > most)
			most = in->weight;
		p->divisor = common_divisor(p->divisor, in->weight);
	}
	/* Factors above 1 keep their meaning, so that all counts together stay what they were. */
	p->weight_one = most;
	if (max > 1)
		p->weight_one = weight_of(p, pgo_weight_factor(scale), now);
	p->divisor = common_divisor(p->divisor, p->weight_one);
	if (p->divisor == 0)
		p->divisor = p->weight_one = 1;
	p->weight_one /= p->divisor;
	for (size_t i = 0; i < p->n; i++)
		p->inputs[i].weight /= p->divisor;
}

/* ---------------------------------------------------------------- coverage */

static int cmp_i64(const void *pa, const void *pb)
{
	int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;

	return (a > b) - (a < b);
}

static size_t count_distinct(int64_t *v, size_t n)
{
	size_t distinct = 0;

	if (n != 0)
		qsort(v, n, sizeof *v, cmp_i64);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || v[i] != v[i - 1];
	return distinct;
}

/* A blend is no evidence of a day or a host. */
static bool is_evidence(const struct pgo_plan_input *in)
{
	return in->drop == PGO_PLAN_KEPT && !in->blend;
}

static int count_times(struct pgo_plan *p)
{
	int64_t *v = pgo_calloc(p->n, sizeof *v);

	if (v == NULL)
		return -1;
	for (int hours = 0; hours < 2; hours++) {
		size_t n = 0;

		for (size_t i = 0; i < p->n; i++) {
			const struct pgo_plan_input *in = &p->inputs[i];

			if (is_evidence(in) && in->time_ns > 0)
				v[n++] = hours != 0 ? in->time_ns / HOUR_NS % 168
						    : in->time_ns / DAY_NS;
		}
		*(hours != 0 ? &p->n_hours : &p->n_days) = count_distinct(v, n);
	}
	pgo_free(v);
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
		if (is_evidence(&p->inputs[i]))
			host[n++] = p->inputs[i].host;
	if (n != 0)
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
	struct pgo_plan_sum *s = pgo_plan_sums(p, true, &n);

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

/* ---------------------------------------------------------------- all inputs */

static int sort_inputs(struct pgo_plan *p)
{
	pgo_free(p->at);
	p->at = pgo_calloc(p->n, sizeof *p->at);
	if (p->at == NULL)
		return -1;
	if (p->n != 0)
		qsort(p->inputs, p->n, sizeof *p->inputs, cmp_input);
	for (size_t i = 0; i < p->n; i++)
		p->at[p->inputs[i].seq] = i;
	return 0;
}

/* The terms in the order of the formula: each sees the product of those before it. */
static int weigh(struct pgo_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->inputs[i].season_factor = p->inputs[i].host_factor = p->inputs[i].class_factor =
			1;
	return pgo_plan_weigh_season(p) < 0 || pgo_plan_weigh_hosts(p) < 0 ||
			       pgo_plan_weigh_classes(p) < 0
		       ? -1
		       : 0;
}

int pgo_plan_finish(struct pgo_plan *p, struct pgo_err *err)
{
	struct pgo_err gate = PGO_ERR_INIT;
	int rc, judged = 0;

	if (sort_inputs(p) < 0)
		return pgo_err_nomem(err);
	drop_unusable(p);
	rc = pgo_plan_drop_contained(p, err);
	if (rc < 0)
		return rc;
	drop_other_classes(p);
	weigh_age(p);
	pgo_plan_weigh_builds(p);
	/* How much outliers are is measured as the others are weighed; then anew without them. */
	if (p->options.outliers)
		judged = weigh(p) < 0 ? PGO_ENOMEM : pgo_plan_drop_outliers(p, &gate);
	if (judged == PGO_ENOMEM || weigh(p) < 0)
		return pgo_err_nomem(err);
	set_weights(p);
	if (count_times(p) < 0 || count_hosts(p) < 0 || spread_hosts(p) < 0)
		return pgo_err_nomem(err);
	if (judged < 0)
		return pgo_err_set(err, judged, "%s", gate.msg);
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
	static const char *const names[] = {
		[PGO_PLAN_KEPT] = "",
		[PGO_PLAN_TOO_OLD] = "too old",
		[PGO_PLAN_NO_SAMPLES] = "no samples",
		[PGO_PLAN_DUPLICATE] = "duplicate",
		[PGO_PLAN_CONTAINED] = "contained",
		[PGO_PLAN_OTHER_CLASS] = "other class",
		[PGO_PLAN_OTHER_BUILD] = "other build",
		[PGO_PLAN_FEW_SAMPLES] = "few samples",
		[PGO_PLAN_UNMAPPED] = "unmapped",
		[PGO_PLAN_OUTLIER] = "outlier",
	};

	return names[drop];
}
