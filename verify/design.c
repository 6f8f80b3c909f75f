/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/design.h"

#include "pgo/core/vec.h"
#include "verify/design_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FEW_HOSTS 8
#define NS_AN_HOUR 3.6e12

int pgo_design_note(struct pgo_verdict_design *say, struct pgo_err *err, const char *fmt, ...)
{
	char text[512];
	char **slot;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	slot = PGO_VEC_PUSH(say->notes, say->n_notes, say->notes_room);
	if (slot == NULL || (*slot = pgo_strdup(text)) == NULL) {
		say->n_notes -= slot != NULL;
		return pgo_err_nomem(err);
	}
	return 0;
}

/* ---- what there is */

static int by_value(const void *pa, const void *pb)
{
	int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;

	return (a > b) - (a < b);
}

/* Distinct values of n, in order; gives their number. */
static size_t distinct(int64_t *v, size_t n)
{
	size_t k = 0;

	qsort(v, n, sizeof *v, by_value);
	for (size_t i = 0; i < n; i++)
		if (k == 0 || v[k - 1] != v[i])
			v[k++] = v[i];
	return k;
}

static bool usable(const struct pgo_design *d, size_t rep)
{
	return d->unit_of[rep] != PGO_NONE;
}

/* Distinct days of one side of the rebuilt arm, sorted; -1 if a replicate has no time. */
static long side_days(
	const struct pgo_design *d, const struct pgo_costs *c, bool after, int64_t *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_reps; i++) {
		if (!usable(d, i) || c->reps[i].after != after || c->reps[i].control)
			continue;
		if (c->reps[i].start_ns == 0)
			return -1;
		ret[n++] = pgo_cost_rep_day(&c->reps[i]);
	}
	return (long)distinct(ret, n);
}

static void find_span(struct pgo_facts *f, const struct pgo_design *d, const struct pgo_costs *c)
{
	for (int s = 0; s < 2; s++) {
		f->start[s] = INT64_MAX;
		f->end[s] = INT64_MIN;
	}
	for (size_t i = 0; i < c->n_reps; i++) {
		const struct pgo_cost_rep *r = &c->reps[i];

		if (!usable(d, i) || r->control)
			continue;
		if (r->start_ns < f->start[r->after])
			f->start[r->after] = r->start_ns;
		if (r->end_ns > f->end[r->after])
			f->end[r->after] = r->end_ns;
	}
}

/* Do the sides cover the same time, for half of the shorter span at least?  Load does not change
 * within an hour: what is shorter counts as that. */
static bool overlapping(const struct pgo_facts *f)
{
	double start[2], end[2], from, to, shorter;

	for (int s = 0; s < 2; s++) {
		start[s] = (double)f->start[s];
		end[s] = fmax((double)f->end[s], start[s] + NS_AN_HOUR);
	}
	from = fmax(start[0], start[1]);
	to = fmin(end[0], end[1]);
	shorter = fmin(end[0] - start[0], end[1] - start[1]);
	return to - from >= shorter / 2;
}

/* Hosts of the rebuilt arm on each side and on both; the costs are sorted by side and host. */
static void count_hosts(struct pgo_facts *f, const struct pgo_design *d, const struct pgo_costs *c)
{
	uint8_t *seen = f->seen;

	for (size_t i = 0; i < c->n_reps; i++) {
		const struct pgo_cost_rep *r = &c->reps[i];

		if (!usable(d, i))
			continue;
		f->reps[r->after]++;
		if (r->control)
			f->control_reps[r->after]++;
		else if (r->host == 0)
			f->unknown++;
		else
			seen[r->host] |= r->after ? 2 : 1;
	}
	for (size_t i = 0; i < f->n_strings; i++) {
		f->hosts[0] += (seen[i] & 1) != 0;
		f->hosts[1] += (seen[i] & 2) != 0;
		f->both += seen[i] == 3;
	}
}

static int look(struct pgo_facts *f, const struct pgo_design *d, const struct pgo_costs *c,
	struct pgo_err *err)
{
	int64_t *days = pgo_calloc(c->n_reps + 1, sizeof *days);
	long n[2];

	f->n_strings = c->strs.n_strs;
	f->seen = pgo_calloc(f->n_strings + 1, 1);
	if (days == NULL || f->seen == NULL) {
		pgo_free(days);
		return pgo_err_nomem(err);
	}
	count_hosts(f, d, c);
	for (int s = 0; s < 2; s++) {
		n[s] = side_days(d, c, s == 1, days);
		f->days[s] = n[s] > 0 ? (size_t)n[s] : 0;
		f->first_day[s] = n[s] > 0 ? days[0] : 0;
		f->last_day[s] = n[s] > 0 ? days[n[s] - 1] : 0;
	}
	f->timed = n[0] > 0 && n[1] > 0;
	if (f->timed) {
		find_span(f, d, c);
		f->concurrent = overlapping(f);
	}
	pgo_free(days);
	return 0;
}

/* ---- which design */

static bool can_pair(const struct pgo_facts *f)
{
	size_t fewer = f->hosts[0] < f->hosts[1] ? f->hosts[0] : f->hosts[1];

	return f->both >= 2 && 2 * f->both >= fewer;
}

static enum pgo_design_kind choose(const struct pgo_facts *f)
{
	if (f->control_reps[0] > 0 && f->control_reps[1] > 0)
		return PGO_DESIGN_DID;
	if (can_pair(f))
		return PGO_DESIGN_PAIRED;
	if (f->timed && !f->concurrent)
		return PGO_DESIGN_BEFORE_AFTER;
	return PGO_DESIGN_WELCH;
}

static int check_forced(const struct pgo_facts *f, enum pgo_design_kind kind, struct pgo_err *err)
{
	if (kind == PGO_DESIGN_PAIRED && f->both < 2)
		return pgo_err_set(err, PGO_EUSAGE,
			"--design paired needs two hosts or more that are on both sides; there %s "
			"%zu (%zu before, %zu after)",
			f->both == 1 ? "is" : "are", f->both, f->hosts[0], f->hosts[1]);
	if (kind == PGO_DESIGN_DID && (f->control_reps[0] == 0 || f->control_reps[1] == 0))
		return pgo_err_set(err, PGO_EUSAGE,
			"--design difference-in-differences needs a control arm before and after: "
			"give --control-before and --control-after");
	return 0;
}

/* ---- units */

static int64_t part_of(const struct pgo_design *d, const struct pgo_facts *f,
	const struct pgo_cost_rep *r, size_t rep)
{
	int64_t day;

	if (d->replicate == PGO_REPLICATE_PROFILE || r->host == 0)
		return (int64_t)rep;
	if (d->replicate == PGO_REPLICATE_HOST || r->start_ns == 0)
		return 0;
	day = pgo_cost_rep_day(r);
	if (d->kind != PGO_DESIGN_PAIRED && d->kind != PGO_DESIGN_DID)
		return day;
	/* Days of both sides must meet: the same weekday, or the same place in the order. */
	if (f->concurrent)
		return day;
	if (f->days[0] >= 7 && f->days[1] >= 7)
		return ((day % 7) + 7) % 7;
	return day - f->first_day[r->after];
}

static int by_unit(const void *pa, const void *pb)
{
	const struct pgo_unit_key *a = pa, *b = pb;

	if (a->control != b->control)
		return a->control ? 1 : -1;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return (a->rep > b->rep) - (a->rep < b->rep);
}

static void join_rep(struct pgo_unit *u, const struct pgo_cost_rep *r, double work)
{
	u->has[r->after] = true;
	u->work[r->after] += work;
	u->total[r->after] += r->total;
	u->samples[r->after] += r->samples;
}

/* Strings have numbers by their first use, which depends on the order of inputs; replicates are
 * sorted by the text, so hosts are numbered by the replicates. */
static void number_hosts(
	struct pgo_unit_key *key, size_t n, const struct pgo_costs *c, uint32_t *number)
{
	uint32_t next = 1;

	for (size_t i = 0; i < c->n_reps; i++)
		if (c->reps[i].host != 0 && number[c->reps[i].host] == 0)
			number[c->reps[i].host] = next++;
	for (size_t i = 0; i < n; i++)
		key[i].host = key[i].host != 0 ? number[key[i].host] : 0;
}

static int make_units(struct pgo_design *d, const struct pgo_costs *c, const struct pgo_facts *f,
	const double *work, struct pgo_err *err)
{
	struct pgo_unit_key *key = pgo_calloc(c->n_reps + 1, sizeof *key);
	uint32_t *number = pgo_calloc(f->n_strings + 1, sizeof *number);
	size_t n = 0;

	if (key == NULL || number == NULL) {
		pgo_free(key);
		pgo_free(number);
		return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < c->n_reps; i++)
		if (usable(d, i))
			key[n++] = (struct pgo_unit_key){c->reps[i].control, c->reps[i].host,
				part_of(d, f, &c->reps[i], i), i};
	number_hosts(key, n, c, number);
	qsort(key, n, sizeof *key, by_unit);
	d->n_units = d->n_clusters = 0;
	for (size_t i = 0; i < n; i++) {
		const struct pgo_unit_key *k = &key[i], *last = i > 0 ? &key[i - 1] : NULL;
		bool host = last == NULL || last->control != k->control || last->host != k->host ||
			    k->host == 0;
		struct pgo_unit *u = i > 0 ? &d->units[d->n_units - 1] : NULL;

		d->n_clusters += host;
		if (host || last->part != k->part) {
			u = PGO_VEC_PUSH(d->units, d->n_units, d->units_room);
			if (u == NULL)
				break;
			*u = (struct pgo_unit){.host = c->reps[k->rep].host,
				.cluster = (uint32_t)d->n_clusters - 1,
				.part = k->part,
				.control = k->control};
		}
		join_rep(u, &c->reps[k->rep], work[k->rep]);
		d->unit_of[k->rep] = (uint32_t)(d->n_units - 1);
	}
	pgo_free(key);
	pgo_free(number);
	return n > 0 && d->n_units == 0 ? pgo_err_nomem(err) : 0;
}

/* ---- samples */

static bool fits(const struct pgo_unit *u, int side, bool control)
{
	if (u->control != control)
		return false;
	for (int s = 0; s < 2; s++)
		if ((side == 2 || side == s) && !(u->has[s] && u->work[s] > 0 && u->total[s] > 0))
			return false;
	return true;
}

static int add_list(struct pgo_design *d, int side, bool control, double sign, struct pgo_err *err)
{
	struct pgo_unit_list *l = &d->list[d->n_lists];

	l->unit = pgo_malloc((d->n_units + 1) * sizeof *l->unit);
	if (l->unit == NULL)
		return pgo_err_nomem(err);
	d->n_lists++;
	l->n = 0;
	l->side = side;
	l->sign = sign;
	for (size_t i = 0; i < d->n_units; i++)
		if (fits(&d->units[i], side, control))
			l->unit[l->n++] = (uint32_t)i;
	return 0;
}

static void drop_lists(struct pgo_design *d)
{
	for (size_t i = 0; i < d->n_lists; i++)
		pgo_free(d->list[i].unit);
	d->n_lists = 0;
	memset(d->list, 0, sizeof d->list);
}

static bool enough(const struct pgo_design *d)
{
	for (size_t i = 0; i < d->n_lists; i++)
		if (d->list[i].n < 2)
			return false;
	return d->n_lists > 0;
}

int pgo_design_lists(struct pgo_design *d, struct pgo_err *err)
{
	int rc = 0;

	drop_lists(d);
	if (d->kind == PGO_DESIGN_PAIRED)
		rc = add_list(d, 2, false, 1, err);
	if (d->kind == PGO_DESIGN_DID) {
		rc = add_list(d, 2, true, -1, err);
		if (rc == 0)
			rc = add_list(d, 2, false, 1, err);
		if (rc == 0 && !enough(d)) {
			drop_lists(d);
			for (int i = 0; i < 4 && rc == 0; i++)
				rc = add_list(d, i & 1, i >= 2, i == 1 || i == 2 ? 1 : -1, err);
		}
	}
	if (d->kind == PGO_DESIGN_WELCH || d->kind == PGO_DESIGN_BEFORE_AFTER) {
		rc = add_list(d, 0, false, -1, err);
		if (rc == 0)
			rc = add_list(d, 1, false, 1, err);
	}
	if (rc == 0 && !enough(d)) {
		drop_lists(d);
		d->kind = PGO_DESIGN_COUNTS;
	}
	return rc;
}

void pgo_design_sample(const struct pgo_design *d, const double *values, size_t i, double *ret_x)
{
	const struct pgo_unit_list *l = &d->list[i];

	for (size_t k = 0; k < l->n; k++) {
		const double *v = values + 2 * (size_t)l->unit[k];

		ret_x[k] = l->side == 2 ? v[1] - v[0] : v[l->side];
	}
}

/* Variance of the log of a count of `share` of this unit's samples on the sides of the list. */
static double count_variance(const struct pgo_unit *u, int side, double share, double effect)
{
	double v = 0;

	for (int s = 0; s < 2; s++)
		if (side == 2 || side == s)
			v += effect / (share * (double)u->samples[s] + effect / 2);
	return v;
}

void pgo_design_weights(const struct pgo_design *d, size_t i, const double *x, double share,
	double design_effect, double *ret)
{
	const struct pgo_unit_list *l = &d->list[i];
	struct pgo_moments m = pgo_moments_of(x, l->n);
	double mean = 0, between, sum = 0;

	for (size_t k = 0; k < l->n; k++) {
		ret[k] = count_variance(&d->units[l->unit[k]], l->side, share, design_effect);
		mean += ret[k] / (double)l->n;
	}
	between = pgo_moments_variance(&m) - mean;
	between = between > 0 ? between : 0;
	for (size_t k = 0; k < l->n; k++) {
		ret[k] = 1 / (between + ret[k]);
		sum += ret[k];
	}
	for (size_t k = 0; k < l->n; k++)
		ret[k] *= (double)l->n / sum;
}

void pgo_design_fini(struct pgo_design *d)
{
	drop_lists(d);
	pgo_free(d->units);
	pgo_free(d->unit_of);
	memset(d, 0, sizeof *d);
}

/* ---- all of it */

/* Units of work of each replicate; which are compared at all. */
static int weigh(struct pgo_design *d, const struct pgo_costs *c,
	const struct pgo_design_options *o, double *work, struct pgo_verdict_design *say,
	struct pgo_err *err)
{
	size_t with[2] = {0}, without = 0, empty = 0;

	for (size_t i = 0; i < c->n_reps; i++)
		with[c->reps[i].after] += c->reps[i].work >= 0;
	if (o->same_work)
		d->by = PGO_PER_PROFILE;
	else if (with[0] + with[1] > 0)
		d->by = PGO_PER_WORK;
	else
		d->by = PGO_PER_SHARE;
	if (d->by == PGO_PER_WORK && (with[0] == 0 || with[1] == 0))
		return pgo_err_set(err, PGO_EMISMATCH,
			"no profile %s has units of work, but those %s have: give rows for both "
			"sides, or none",
			with[0] == 0 ? "before" : "after", with[0] == 0 ? "after" : "before");
	for (size_t i = 0; i < c->n_reps; i++) {
		const struct pgo_cost_rep *r = &c->reps[i];
		bool worked = d->by != PGO_PER_WORK || (r->work > 0 && isfinite(r->work));

		without += !worked;
		empty += worked && !(r->total > 0);
		d->unit_of[i] = worked && r->total > 0 ? 0 : PGO_NONE;
		work[i] = d->by == PGO_PER_WORK ? r->work : d->by == PGO_PER_SHARE ? r->total : 1;
	}
	if (without > 0 && pgo_design_note(say, err,
				   "%zu of %zu profiles have no units of work and are left out",
				   without, c->n_reps) < 0)
		return (int)err->code;
	if (empty > 0 &&
		pgo_design_note(say, err, "%zu of %zu profiles have no cost and are left out",
			empty, c->n_reps) < 0)
		return (int)err->code;
	return 0;
}

static void choose_replicate(struct pgo_design *d, const struct pgo_facts *f)
{
	size_t hosts = d->kind == PGO_DESIGN_PAIRED ? f->both
		       : f->hosts[0] < f->hosts[1]  ? f->hosts[0]
						    : f->hosts[1];

	d->replicate = PGO_REPLICATE_HOST;
	if (hosts < 2)
		d->replicate = PGO_REPLICATE_PROFILE;
	if (hosts > 0 && hosts < FEW_HOSTS && f->timed && f->days[0] > 1 && f->days[1] > 1)
		d->replicate = PGO_REPLICATE_HOST_DAY;
}

/* Hosts that ran two builds on one side: their cost is of both. */
static int note_builds(struct pgo_verdict_design *say, const struct pgo_design *d,
	const struct pgo_costs *c, struct pgo_err *err)
{
	size_t mixed = 0;
	bool counted = false;

	for (size_t i = 1; i < c->n_reps; i++) {
		const struct pgo_cost_rep *a = &c->reps[i - 1], *b = &c->reps[i];
		bool same = a->after == b->after && a->control == b->control && a->host == b->host;

		counted = counted && same;
		if (!same || counted || a->host == 0 || a->build == 0 || b->build == 0 ||
			a->build == b->build || !usable(d, i))
			continue;
		counted = true;
		mixed++;
	}
	if (mixed == 0)
		return 0;
	return pgo_design_note(say, err,
		"%zu host%s ran two builds of the program on one side: what is said of %s is about "
		"both",
		mixed, mixed == 1 ? "" : "s", mixed == 1 ? "it" : "them");
}

static int describe(struct pgo_verdict_design *say, const struct pgo_design *d,
	const struct pgo_costs *c, const struct pgo_facts *f, const struct pgo_design_options *o,
	struct pgo_err *err)
{
	static const char *const per[] = {NULL, "control cost", "profile", "share"};
	const char *word = d->by != PGO_PER_WORK  ? per[d->by]
			   : o->work_unit != NULL ? o->work_unit
						  : "unit of work";
	size_t len = strlen(word);

	/* "requests" -> per request, "queries" -> per query */
	bool plural = d->by == PGO_PER_WORK && len > 1 && word[len - 1] == 's';
	bool ies = plural && len > 3 && memcmp(word + len - 3, "ies", 3) == 0;

	say->kind = d->kind;
	say->replicate = d->replicate;
	say->by = d->by;
	say->timed = f->timed;
	say->concurrent = f->timed && f->concurrent;
	say->causal = d->kind == PGO_DESIGN_DID ||
		      (say->concurrent && d->kind != PGO_DESIGN_COUNTS &&
			      d->kind != PGO_DESIGN_BEFORE_AFTER && d->by != PGO_PER_SHARE);
	say->hosts_before = f->hosts[0];
	say->hosts_after = f->hosts[1];
	say->hosts_both = f->both;
	say->days_before = (double)f->days[0];
	say->days_after = (double)f->days[1];
	say->unit = pgo_strdup(c->unit != NULL ? c->unit : "cost");
	say->per = ies      ? pgo_asprintf("%.*sy", (int)len - 3, word)
		   : plural ? pgo_strndup(word, len - 1)
			    : pgo_strdup(word);
	return say->unit == NULL || say->per == NULL ? pgo_err_nomem(err) : 0;
}

int pgo_design_choose(struct pgo_design *d, const struct pgo_costs *c,
	const struct pgo_design_options *o, struct pgo_verdict_design *say, struct pgo_err *err)
{
	double *work = pgo_calloc(c->n_reps + 1, sizeof *work);
	struct pgo_facts f = {0};
	bool control = false;
	int rc;

	memset(d, 0, sizeof *d);
	d->unit_of = pgo_malloc((c->n_reps + 1) * sizeof *d->unit_of);
	if (work == NULL || d->unit_of == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	rc = weigh(d, c, o, work, say, err);
	if (rc == 0)
		rc = look(&f, d, c, err);
	if (rc == 0)
		rc = check_forced(&f, o->kind, err);
	if (rc < 0)
		goto out;
	d->kind = o->kind != PGO_DESIGN_AUTO ? o->kind : choose(&f);
	choose_replicate(d, &f);
	if (d->kind == PGO_DESIGN_BEFORE_AFTER && f.timed)
		rc = pgo_design_weeks(d, c, &f, work, say, err);
	if (rc == 0)
		rc = make_units(d, c, &f, work, err);
	if (rc == 0 && d->by == PGO_PER_SHARE)
		rc = pgo_design_by_control(d, c, o->control, &control, err);
	if (rc == 0 && o->control != NULL && d->by == PGO_PER_SHARE && !control)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"--control '%s' matches too little to compare by: three functions seen on "
			"every host, or 1,000 samples a side, are needed",
			o->control);
	if (control)
		d->by = PGO_PER_CONTROL;
	if (rc == 0)
		rc = pgo_design_lists(d, err);
	if (rc == 0)
		rc = describe(say, d, c, &f, o, err);
	if (rc == 0)
		rc = pgo_design_remarks(d, &f, say, err);
	if (rc == 0)
		rc = note_builds(say, d, c, err);
out:
	pgo_free(work);
	pgo_free(f.seen);
	if (rc < 0)
		pgo_design_fini(d);
	return rc;
}
