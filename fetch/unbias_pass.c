/* SPDX-License-Identifier: Apache-2.0 */
/* Passes over the rings of one event: means by target, then counts and weights. */
#include "fetch/unbias_impl.h"

#include <string.h>

/* Fractional bits of a ring's weight 1 / span in the means, and of 1 / W in the counts by target.
 * The sums hold 2^34 and, with windows of one unit, 2^38 entries of one target. */
#define SPAN_BITS 30
#define COUNT_BITS 24
#define RINGS_ENOUGH 10000
#define LENGTH_MAX ((double)(1u << 30))

/* ---------------------------------------------------------------- a ring */

static uint32_t code_length(const struct pgo_unbias *u, uint32_t id)
{
	uint64_t n;

	if (id == PGO_SPOOL_GAP_UNKNOWN)
		return u->code_mean;
	n = (uint64_t)(id & ~PGO_SPOOL_GAP) * u->code_per_byte;
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static bool mispredicted(uint32_t id)
{
	return (id & (PGO_SPOOL_GAP | PGO_SPOOL_MISPREDICTED)) == PGO_SPOOL_MISPREDICTED;
}

/* A run of this unit's length or code, as it is thought to be now. */
static uint32_t length_now(
	const struct pgo_unbias_work *w, uint32_t target, uint32_t code, bool missed)
{
	double n = w->unit == PGO_UNBIAS_ONE ? (double)PGO_UNBIAS_LENGTH_ONE : code;

	if (w->modelled)
		n = (w->model.branch + (missed ? w->model.mispredict : 0)) *
			    (double)PGO_UNBIAS_LENGTH_ONE +
		    w->model.code * n;
	if (w->factor != NULL)
		n *= w->factor[target];
	return n + 0.5 > LENGTH_MAX ? (uint32_t)LENGTH_MAX : (uint32_t)(n + 0.5);
}

/* Once for each pass: lengths of all traces, so that entries need only look them up. */
static void set_lengths(struct pgo_unbias_work *w)
{
	for (size_t g = 0; g < w->u->n_groups; g++)
		for (size_t i = 0; i < w->u->groups[g].n; i++) {
			const struct pgo_unbias_trace *t = &w->u->groups[g].traces[i];
			struct pgo_unbias_length *l = &w->lengths[g][i];

			l->target = t->target;
			l->length[0] = length_now(w, t->target, t->length, false);
			l->length[1] = length_now(w, t->target, t->length, true);
		}
}

/* Looks up targets and adds lengths up. */
static void unfold(struct pgo_unbias_work *w, const struct pgo_spool_ring *r, const uint32_t *ids)
{
	const struct pgo_unbias_length *lengths = w->lengths[r->group];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t id = ids[i];

		if ((id & PGO_SPOOL_GAP) == 0) {
			const struct pgo_unbias_length *l = &lengths[PGO_SPOOL_TRACE(id)];

			w->at[i] = l->target;
			sum += i > 0 ? l->length[(id & PGO_SPOOL_MISPREDICTED) != 0] : 0;
		} else {
			w->at[i] = 0;
			sum += i > 0 ? length_now(w, 0, code_length(w->u, id), false) : 0;
		}
		w->sum[i] = sum;
	}
}

/* The same where entries say how long they took: the cycles of the next newer one. */
static void unfold_cycles(struct pgo_unbias_work *w, const struct pgo_spool_ring *r,
	const uint32_t *ids, const uint16_t *cycles)
{
	const struct pgo_unbias_length *lengths = w->lengths[r->group];
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		uint32_t code = i > 0 ? (uint32_t)cycles[i - 1] << PGO_UNBIAS_LENGTH_BITS : 0;
		uint32_t at = 0;

		if ((ids[i] & PGO_SPOOL_GAP) == 0)
			at = lengths[PGO_SPOOL_TRACE(ids[i])].target;
		w->at[i] = at;
		sum += w->factor == NULL ? code : length_now(w, at, code, false);
		w->sum[i] = sum;
	}
}

/* The next ring of the event that can be used, unfolded: 1, 0 at the end, or an error. */
static int next_ring(struct pgo_unbias_work *w, struct pgo_spool_ring *r, const uint32_t **ids,
	uint64_t *without_cycles, struct pgo_err *err)
{
	const uint16_t *cycles;
	int rc;

	while ((rc = pgo_spool_next(w->u->rings, r, ids, &cycles, err)) > 0) {
		if (r->event != w->e->index || r->n < 2)
			continue;
		if (w->unit == PGO_UNBIAS_CYCLES && !r->has_cycles) {
			++*without_cycles;
			continue;
		}
		if (w->unit == PGO_UNBIAS_CYCLES)
			unfold_cycles(w, r, *ids, cycles);
		else
			unfold(w, r, *ids);
		return 1;
	}
	return rc;
}

/* Places that runs of this ring could have been seen in. */
static uint32_t depth_of(const struct pgo_unbias_work *w, const struct pgo_spool_ring *r)
{
	uint32_t depth = w->e->depth > r->taken ? w->e->depth - r->taken : 0;

	return depth > r->n ? depth : r->n;
}

/* ---------------------------------------------------------------- means by target */

/* A ring that was seen for being long counts for less, by as much. */
static uint64_t ring_weight(const struct pgo_unbias_work *w, const struct pgo_spool_ring *r)
{
	double places = (double)(depth_of(w, r) - 1) / (double)(r->n - 1);
	double span = (double)w->sum[r->n - 1] * places + (double)PGO_UNBIAS_LENGTH_ONE;

	return (uint64_t)((double)(PGO_UNBIAS_LENGTH_ONE << SPAN_BITS) / span);
}

static void add_means(struct pgo_unbias_work *w, const struct pgo_spool_ring *r, bool own)
{
	uint64_t weight = ring_weight(w, r);

	for (uint32_t i = 1; own && i < r->n; i++) {
		struct pgo_unbias_target *t = &w->target[w->at[i]];

		t->n1 += weight;
		t->s1 += weight * (w->sum[i] - w->sum[i - 1]) >> PGO_UNBIAS_LENGTH_BITS;
	}
	for (uint32_t i = w->ahead + 1; i < r->n; i++) {
		struct pgo_unbias_target *t = &w->target[w->at[i]];

		t->n2 += weight;
		t->s2 += weight * (w->sum[i - 1] - w->sum[i - 1 - w->ahead]) >>
			 PGO_UNBIAS_LENGTH_BITS;
	}
	if (own)
		w->observations1 += r->n - 1;
	if (r->n > w->ahead + 1)
		w->observations2 += r->n - 1 - w->ahead;
}

/* Spans by size, 64 classes for each power of two. */
static size_t span_class(uint64_t span)
{
	unsigned shift = 0;

	while (span >> shift >= 128)
		shift++;
	return (size_t)shift * 64 + (size_t)(span >> shift);
}

static uint64_t class_span(size_t class)
{
	return class < 128 ? class : (64 + class % 64) << (class / 64 - 1);
}

static void add_span(struct pgo_unbias_work *w, const struct pgo_spool_ring *r)
{
	if (r->n == depth_of(w, r))
		w->spans[span_class(w->sum[r->n - 1])]++;
}

/* The median; 0 with few full rings, which are not enough to count less of them. */
static uint64_t middle_span(const struct pgo_unbias_work *w)
{
	uint64_t all = 0, below = 0;

	for (size_t i = 0; i < PGO_UNBIAS_SPANS; i++)
		all += w->spans[i];
	for (size_t i = 0; i < PGO_UNBIAS_SPANS && all >= RINGS_ENOUGH; i++) {
		below += w->spans[i];
		if (below * 2 >= all)
			return class_span(i);
	}
	return 0;
}

struct mean {
	double all, each; /* mean length; mean weight of an observation */
};

static struct mean mean_of(unsigned __int128 n, unsigned __int128 s, uint64_t observations)
{
	struct mean m = {1, 1};

	if (n > 0)
		m.all = (double)s / (double)n;
	if (observations > 0 && n > 0)
		m.each = (double)n / (double)observations;
	return m;
}

/* Sums -> lambda (if `own`) and gamma, in units of the event. */
void pgo_unbias_finish_means(struct pgo_unbias_work *w, bool own)
{
	unsigned __int128 n1 = 0, s1 = 0, n2 = 0, s2 = 0;
	struct mean m1, m2;
	double ahead = w->ahead;

	for (uint32_t i = 0; i < w->u->n_targets; i++) {
		n1 += w->target[i].n1;
		s1 += w->target[i].s1;
		n2 += w->target[i].n2;
		s2 += w->target[i].s2;
	}
	m1 = mean_of(n1, s1, w->observations1);
	m2 = mean_of(n2, s2, w->observations2);
	if (n2 == 0) /* rings too short to look ahead in */
		m2.all = m1.all * ahead;
	for (uint32_t i = 0; i < w->u->n_targets; i++) {
		const struct pgo_unbias_target *t = &w->target[i];

		if (own)
			w->lambda[i] = ((double)t->s1 + 2 * m1.each * m1.all) /
				       ((double)t->n1 + 2 * m1.each);
		w->gamma[i] = ((double)t->s2 + 4 * m2.each * m2.all) /
			      ((double)t->n2 + 4 * m2.each) / ahead;
	}
}

int pgo_unbias_measure(struct pgo_unbias_work *w, struct pgo_err *err)
{
	struct pgo_spool_ring r;
	const uint32_t *ids;
	uint64_t unused = 0;
	int rc;

	if (w->unit == PGO_UNBIAS_ONE) {
		for (uint32_t i = 0; i < w->u->n_targets; i++)
			w->lambda[i] = w->gamma[i] = 1;
		return 0;
	}
	memset(w->target, 0, w->u->n_targets * sizeof *w->target);
	memset(w->spans, 0, sizeof w->spans);
	w->observations1 = w->observations2 = 0;
	set_lengths(w);
	pgo_spool_rewind(w->u->rings);
	while ((rc = next_ring(w, &r, &ids, &unused, err)) > 0) {
		add_means(w, &r, true);
		add_span(w, &r);
	}
	pgo_unbias_finish_means(w, true);
	w->middle = middle_span(w);
	return rc;
}

/* ---------------------------------------------------------------- weights */

static uint64_t quantised(double v)
{
	/* Signed, which is what processors convert to. */
	return v >= 0x1p62 ? (uint64_t)1 << 62 : (uint64_t)(int64_t)(v + 0.5);
}

/* Mispredictions of the ring's complete runs. */
static uint32_t count_mispredictions(const struct pgo_spool_ring *r, const uint32_t *ids)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < r->n; i++)
		n += mispredicted(ids[i]);
	return n;
}

/*
 * What a unit more for each branch, and for each misprediction, would do: the run takes longer by
 * its own, and its count becomes less as its window takes longer, of which the whole ring tells:
 * there are `branches` and `missed` of them for each unit of length.
 */
static void add_effects(struct pgo_unbias_work *w, const struct pgo_spool_ring *r, uint32_t id,
	uint32_t i, double branches, double missed, uint64_t count)
{
	const struct pgo_unbias_group *g = &w->u->groups[r->group];
	double length = (double)(int64_t)(w->sum[i] - w->sum[i - 1]), n = (double)(int64_t)count;
	uint64_t code = (id & PGO_SPOOL_GAP) != 0 ? code_length(w->u, id)
						  : g->traces[PGO_SPOOL_TRACE(id)].length;
	uint32_t at = w->at[i];

	w->branch_effect[at] += (int64_t)(n * (1 - length * branches));
	w->mispredict_effect[at] += (int64_t)(n * (mispredicted(id) - length * missed));
	w->sum_count += count;
	w->sum_code += count * code >> PGO_UNBIAS_LENGTH_BITS;
	if (mispredicted(id))
		w->sum_mispredict += count;
}

/* How much of the cut run lies within the horizon of what ended `after` before it began. */
static double part_within(const struct pgo_unbias_work *w, double after, double lambda)
{
	double left = (double)(int64_t)w->horizon - after;

	return left <= 0 ? 0 : left >= lambda ? 1 : left / lambda;
}

/* Adds period / window to each trace; beyond the horizon nothing. */
static void weigh_entry(const struct pgo_unbias_work *w, uint64_t *weight, double period,
	double window, uint64_t after, double lambda, struct pgo_unbias_result *ret)
{
	uint64_t n;

	if (w->horizon != 0) {
		period *= part_within(w, (double)(int64_t)after, lambda);
		if (window > (double)(int64_t)w->horizon)
			window = (double)(int64_t)w->horizon;
	}
	n = quantised(period / window);
	*weight = pgo_unbias_add(*weight, n);
	ret->weight += n;
	ret->entries++;
}

/* What a ring says of how often its entries were executed: counts, and into `ret` weights. */
static void weigh_ring(struct pgo_unbias_work *w, const struct pgo_spool_ring *r,
	const uint32_t *ids, struct pgo_unbias_result *ret)
{
	static const double one = (double)PGO_UNBIAS_LENGTH_ONE;
	static const double count_one = one * (double)((uint64_t)1 << COUNT_BITS);
	uint64_t *weights = w->u->groups[r->group].weights;
	uint64_t period = r->period != 0 ? r->period : w->e->period != 0 ? w->e->period : 1;
	double numerator = (double)(w->e->every_period != 0 ? w->e->every_period : period) *
			   (double)((uint64_t)1 << PGO_UNBIAS_WEIGHT_BITS) * one;
	double lambda = w->span_cut[w->at[0]] * one, gamma = w->gamma[w->at[0]] * one;
	double rest = lambda + ((double)depth_of(w, r) - 1) * gamma;
	double branches = 0, missed = 0;
	/* Where every branch has the same chance there is nothing to correct, and nothing is lost:
	 * all entries weigh the same, and the newest one like the others, as in the records. */
	const bool alike = w->unit == PGO_UNBIAS_ONE && w->factor == NULL;

	if (w->fitting && w->sum[r->n - 1] > 0) {
		branches = (double)(r->n - 1) / (double)w->sum[r->n - 1];
		missed = (double)count_mispredictions(r, ids) / (double)w->sum[r->n - 1];
	}
	w->newest[w->at[0]]++;
	w->rings++;
	if (ret != NULL && alike && (ids[0] & PGO_SPOOL_GAP) == 0)
		weigh_entry(w, &weights[PGO_SPOOL_TRACE(ids[0])], numerator, rest, 0, lambda, ret);
	for (uint32_t i = 1; i < r->n; i++) {
		double window = alike ? rest
				      : (double)(int64_t)w->sum[i - 1] +
						(rest - (double)(int32_t)i * gamma);
		uint64_t count;

		if (window < 1)
			window = 1;
		count = (uint64_t)(int64_t)(count_one / window + 0.5);
		w->count[w->at[i]] += count;
		if (w->fitting)
			add_effects(w, r, ids[i], i, branches, missed, count);
		if (ret != NULL && (ids[i] & PGO_SPOOL_GAP) == 0)
			weigh_entry(w, &weights[PGO_SPOOL_TRACE(ids[i])], numerator, window,
				w->sum[i - 1], lambda, ret);
	}
}

/* Counts and newest anew; gamma for the next round with them if lengths have factors. */
int pgo_unbias_weigh(
	struct pgo_unbias_work *w, bool means, struct pgo_unbias_result *ret, struct pgo_err *err)
{
	uint64_t without_cycles = 0;
	struct pgo_spool_ring r;
	const uint32_t *ids;
	int rc;

	memset(w->count, 0, w->u->n_targets * sizeof *w->count);
	memset(w->newest, 0, w->u->n_targets * sizeof *w->newest);
	memset(w->branch_effect, 0, w->u->n_targets * sizeof *w->branch_effect);
	memset(w->mispredict_effect, 0, w->u->n_targets * sizeof *w->mispredict_effect);
	w->sum_count = w->sum_code = w->sum_mispredict = 0;
	memset(w->target, 0, w->u->n_targets * sizeof *w->target);
	w->observations2 = 0;
	w->rings = 0;
	for (uint32_t i = 0; i < w->u->n_targets; i++)
		w->span_cut[i] = w->lambda[i] * (w->factor != NULL ? w->factor[i] : 1);
	set_lengths(w);
	pgo_spool_rewind(w->u->rings);
	while ((rc = next_ring(w, &r, &ids, &without_cycles, err)) > 0) {
		weigh_ring(w, &r, ids, ret);
		if (means)
			add_means(w, &r, false);
	}
	if (ret != NULL) {
		ret->rings = w->rings;
		ret->rings_without_cycles = without_cycles;
	}
	return rc;
}
