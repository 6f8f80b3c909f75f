/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/trim.h"

#include "convert/rules_name.h"

#include "pgo/core/alloc.h"

#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct family { /* all records of one function */
	uint32_t name;
	uint64_t counts;
	bool out;
};

struct trimmer {
	struct pgo_fnprof *p;
	regex_t drop;
	bool have_drop;
	enum { UNKNOWN, KEEP, DROP } * verdicts; /* by string, of `drop` */
	uint32_t *family_of;                     /* by string: index + 1 */
	size_t n_strs;
	struct family *families; /* at most one for each top-level record */
	size_t n_families;
	struct pgo_trim_account *a;
};

bool pgo_trim_wanted(const struct pgo_trim_options *o)
{
	return (o->drop != NULL && o->drop[0] != '\0') || o->min_count != 0 || o->hottest != 0;
}

static int compile(regex_t *ret, const char *text, struct pgo_err *err)
{
	char why[200];
	int rc = regcomp(ret, text, REG_EXTENDED | REG_NOSUB);

	if (rc == 0)
		return 0;
	regerror(rc, ret, why, sizeof why);
	return pgo_err_set(err, PGO_EUSAGE,
		"--drop-functions '%s' is no extended regular expression: %s", text, why);
}

int pgo_trim_check(const struct pgo_trim_options *o, struct pgo_err *err)
{
	regex_t re;
	int rc;

	if (o->drop == NULL || o->drop[0] == '\0')
		return 0;
	rc = compile(&re, o->drop, err);
	if (rc == 0)
		regfree(&re);
	return rc;
}

uint64_t pgo_trim_cut(const struct pgo_trim_account *a)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PGO_N_TRIMS; i++)
		sum = pgo_sat_add(sum, a->cut[i].counts);
	return sum;
}

/* ------------------------------------------------------------------ by name */

/* The name without tails, as a string of its own (pgo_free). */
static char *base_of(const struct trimmer *t, uint32_t name)
{
	const struct pgo_str *s = &t->p->strs.strs[name];

	return pgo_strndup(s->s, pgo_name_cut_tails(s->s, s->len));
}

static int dropped(struct trimmer *t, uint32_t name, bool *ret)
{
	char *base;

	*ret = false;
	if (!t->have_drop)
		return 0;
	if (t->verdicts[name] == UNKNOWN) {
		base = base_of(t, name);
		if (base == NULL)
			return PGO_ENOMEM;
		t->verdicts[name] = regexec(&t->drop, base, 0, NULL, 0) == 0 ? DROP : KEEP;
		pgo_free(base);
	}
	*ret = t->verdicts[name] == DROP;
	return 0;
}

/* Takes inlined bodies out; what their callers' totals had of them goes too. */
static int drop_inlined(struct trimmer *t, struct pgo_fn *f)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < f->n_calls; i++) {
		struct pgo_fn *g = f->calls[i].callee;
		uint64_t before = g->total;
		bool out;

		if (dropped(t, g->name, &out) < 0)
			return PGO_ENOMEM;
		if (out) {
			t->a->cut[PGO_TRIM_DROP].counts = pgo_sat_add(
				t->a->cut[PGO_TRIM_DROP].counts, pgo_fn_position_sum(g));
			f->total -= f->total < before ? f->total : before;
			continue;
		}
		if (drop_inlined(t, g) < 0)
			return PGO_ENOMEM;
		f->total -= f->total < before - g->total ? f->total : before - g->total;
		f->calls[kept++] = f->calls[i];
	}
	if (kept != f->n_calls) { /* places have moved: the index is made anew when needed */
		f->n_calls = kept;
		f->calls_index = (struct pgo_fn_index){0};
	}
	return 0;
}

static int drop_cold(struct trimmer *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->p->n_cold; i++) {
		bool out;

		if (dropped(t, t->p->cold[i], &out) < 0)
			return PGO_ENOMEM;
		if (!out)
			t->p->cold[kept++] = t->p->cold[i];
	}
	t->p->n_cold = kept;
	return 0;
}

/* ------------------------------------------------------------------ by weight */

static int find_families(struct trimmer *t)
{
	struct pgo_fnprof *p = t->p;

	for (size_t i = 0; i < p->n_fns; i++) {
		const struct pgo_str *s = &p->strs.strs[p->fns[i]->name];
		uint32_t base = pgo_strtab_add(&p->strs, s->s, pgo_name_cut_tails(s->s, s->len));
		struct family *f;

		if (base == PGO_STR_NONE)
			return PGO_ENOMEM;
		if (base >= t->n_strs) { /* names that stand only for families come at the end */
			size_t n = p->strs.n_strs + p->strs.n_strs / 2;
			uint32_t *more = pgo_realloc_array(t->family_of, n, sizeof *more);

			if (more == NULL)
				return PGO_ENOMEM;
			memset(more + t->n_strs, 0, (n - t->n_strs) * sizeof *more);
			t->family_of = more;
			t->n_strs = n;
		}
		if (t->family_of[base] == 0) {
			t->families[t->n_families] = (struct family){.name = base};
			t->family_of[base] = (uint32_t)++t->n_families;
		}
		t->family_of[p->fns[i]->name] = t->family_of[base];
		f = &t->families[t->family_of[base] - 1];
		f->counts = pgo_sat_add(f->counts, pgo_fn_position_sum(p->fns[i]));
	}
	return 0;
}

static void cut(struct trimmer *t, struct family *f, enum pgo_trim_why why)
{
	f->out = true;
	t->a->cut[why].functions++;
	t->a->cut[why].counts = pgo_sat_add(t->a->cut[why].counts, f->counts);
}

static int by_weight(const void *pa, const void *pb, void *ctx)
{
	const struct family *const *a = pa, *const *b = pb;

	if ((*a)->counts != (*b)->counts)
		return (*a)->counts > (*b)->counts ? -1 : 1;
	return strcmp(pgo_fnprof_str(ctx, (*a)->name), pgo_fnprof_str(ctx, (*b)->name));
}

static int keep_hottest(struct trimmer *t, uint64_t n)
{
	struct family **order = pgo_calloc(t->n_families + 1, sizeof(void *));
	size_t k = 0;

	if (order == NULL)
		return PGO_ENOMEM;
	for (size_t i = 0; i < t->n_families; i++)
		if (!t->families[i].out)
			order[k++] = &t->families[i];
	if (k > 1)
		qsort_r(order, k, sizeof(void *), by_weight, t->p);
	for (size_t i = n; i < k; i++)
		cut(t, order[i], PGO_TRIM_HOTTEST);
	pgo_free(order);
	return 0;
}

/* ------------------------------------------------------------------ all of it */

static int mark(struct trimmer *t, const struct pgo_trim_options *o)
{
	for (size_t i = 0; i < t->n_families; i++) {
		struct family *f = &t->families[i];
		bool out;

		if (dropped(t, f->name, &out) < 0)
			return PGO_ENOMEM;
		if (out)
			cut(t, f, PGO_TRIM_DROP);
		else if (f->counts < o->min_count)
			cut(t, f, PGO_TRIM_MIN_COUNT);
	}
	return o->hottest != 0 ? keep_hottest(t, o->hottest) : 0;
}

static int trim(struct trimmer *t, const struct pgo_trim_options *o)
{
	struct pgo_fnprof *p = t->p;
	size_t kept = 0;

	for (size_t i = 0; i < p->n_fns; i++)
		t->a->counts = pgo_sat_add(t->a->counts, pgo_fn_position_sum(p->fns[i]));
	if (find_families(t) < 0)
		return PGO_ENOMEM;
	t->a->functions = t->n_families;
	if (t->have_drop) {
		t->verdicts = pgo_calloc(p->strs.n_strs, sizeof *t->verdicts);
		if (t->verdicts == NULL || drop_cold(t) < 0)
			return PGO_ENOMEM;
		for (size_t i = 0; i < p->n_fns; i++) {
			struct family *f = &t->families[t->family_of[p->fns[i]->name] - 1];
			uint64_t before = pgo_fn_position_sum(p->fns[i]);
			bool out;

			if (dropped(t, p->fns[i]->name, &out) < 0 ||
				(!out && drop_inlined(t, p->fns[i]) < 0))
				return PGO_ENOMEM;
			f->counts -= before - pgo_fn_position_sum(p->fns[i]);
		}
	}
	if (mark(t, o) < 0)
		return PGO_ENOMEM;
	for (size_t i = 0; i < p->n_fns; i++)
		if (!t->families[t->family_of[p->fns[i]->name] - 1].out)
			p->fns[kept++] = p->fns[i];
	p->n_fns = kept;
	pgo_fnprof_sort(p);
	pgo_fnprof_reindex(p);
	return 0;
}

int pgo_trim(struct pgo_fnprof *p, const struct pgo_trim_options *o, struct pgo_trim_account *ret,
	struct pgo_err *err)
{
	struct trimmer t = {.p = p, .a = ret, .n_strs = p->strs.n_strs};
	int rc = 0;

	*ret = (struct pgo_trim_account){.asked = true};
	if (o->drop != NULL && o->drop[0] != '\0') {
		rc = compile(&t.drop, o->drop, err);
		if (rc < 0)
			return rc;
		t.have_drop = true;
	}
	t.family_of = pgo_calloc(t.n_strs, sizeof *t.family_of);
	t.families = pgo_calloc(p->n_fns + 1, sizeof *t.families);
	if (t.family_of == NULL || t.families == NULL || trim(&t, o) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0 && p->n_fns == 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"nothing is left of the profile's %" PRIu64
			" functions: leave out less with --min-count and --drop-functions",
			ret->functions);
	if (t.have_drop)
		regfree(&t.drop);
	pgo_free(t.verdicts);
	pgo_free(t.family_of);
	pgo_free(t.families);
	return rc;
}

/* ------------------------------------------------------------------ the account */

static const struct {
	const char *key, *text;
} whys[PGO_N_TRIMS] = {
	[PGO_TRIM_DROP] = {"drop_functions", "left out by name (--drop-functions)"},
	[PGO_TRIM_MIN_COUNT] = {"min_count", "left out as too cold (--min-count)"},
	[PGO_TRIM_HOTTEST] = {"hottest", "left out behind the hottest (--hottest)"},
};

void pgo_trim_text(const struct pgo_trim_account *a, struct pgo_buf *out)
{
	if (!a->asked)
		return;
	pgo_buf_printf(out, "  counts of %" PRIu64 " functions of the profile %*s%14" PRIu64 "\n",
		a->functions, 4, "", a->counts);
	for (size_t i = 0; i < PGO_N_TRIMS; i++)
		if (a->cut[i].counts != 0 || a->cut[i].functions != 0)
			pgo_buf_printf(out,
				"    %-44s %14" PRIu64 "  %6.2f%%  %" PRIu64 " functions\n",
				whys[i].text, a->cut[i].counts,
				a->counts != 0
					? 100.0 * (double)a->cut[i].counts / (double)a->counts
					: 0.0,
				a->cut[i].functions);
}

void pgo_trim_json(const struct pgo_trim_account *a, struct pgo_json *j)
{
	if (!a->asked)
		return;
	pgo_json_key(j, "trim");
	pgo_json_object(j);
	pgo_json_kv_u64(j, "functions", a->functions);
	pgo_json_kv_u64(j, "counts", a->counts);
	for (size_t i = 0; i < PGO_N_TRIMS; i++) {
		pgo_json_key(j, whys[i].key);
		pgo_json_object(j);
		pgo_json_kv_u64(j, "functions", a->cut[i].functions);
		pgo_json_kv_u64(j, "counts", a->cut[i].counts);
		pgo_json_end_object(j);
	}
	pgo_json_end_object(j);
}
