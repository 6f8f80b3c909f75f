/* SPDX-License-Identifier: Apache-2.0 */
/* Two views, or a view and the names of a program, laid one over the other; and several in a row. */
#include "convert/shape.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/vec.h"
#include "verify/fit.h"
#include "verify/fit_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES ((size_t)1 << 20)
#define PREFIX_LOOKED_AT 200 /* of the largest functions that were not found */
#define HOT 0.99
#define COLD 0.25 /* of the smallest hot share */

/* ---- canonical names */

struct folding {
	struct pgo_strtab *strs;
	const char *prefix; /* left out; "" */
	bool as_is;         /* hashes */
	struct pgo_buf text;
};

static uint32_t canonical(struct folding *f, uint32_t name)
{
	const struct pgo_str *s = &f->strs->strs[name];
	size_t skip = strlen(f->prefix), len = s->len;
	const char *slash;

	if (f->as_is)
		return name;
	if (skip != 0 && len > skip && memcmp(s->s, f->prefix, skip) == 0)
		len -= skip;
	else
		skip = 0;
	slash = memchr(s->s + skip, '/', len);
	if (slash != NULL && slash != s->s + skip)
		len = (size_t)(slash - s->s) - skip;
	pgo_buf_clear(&f->text);
	pgo_name_canonical(s->s + skip, len, &f->text);
	if (f->text.failed)
		return PGO_STR_NONE;
	return pgo_strtab_add(f->strs, f->text.data != NULL ? f->text.data : "", f->text.len);
}

/* The same rows under canonical names. */
static int fold(const struct pgo_fit_rows *from, struct pgo_strtab *strs, const char *prefix,
	bool as_is, struct pgo_fit_rows *ret)
{
	struct folding f = {.strs = strs, .prefix = prefix, .as_is = as_is};
	uint32_t last = PGO_STR_NONE, name = PGO_STR_NONE;
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	pgo_buf_init(&f.text, NAME_MAX_BYTES);
	for (size_t i = 0; i < from->n && rc == 0; i++) {
		if (i == 0 || from->row[i].name != last)
			name = canonical(&f, from->row[i].name);
		last = from->row[i].name;
		rc = pgo_fit_rows_put(ret, name, from->row[i].place, from->row[i].mass);
	}
	pgo_buf_fini(&f.text);
	if (rc < 0)
		pgo_fit_rows_fini(ret);
	else
		pgo_fit_rows_finish(ret);
	return rc;
}

/* ---- a prefix that one side has */

static int by_mass(const void *pa, const void *pb)
{
	const struct pgo_fit_row *a = pa, *b = pb;

	if (a->mass != b->mass)
		return a->mass > b->mass ? -1 : 1;
	return (a->name > b->name) - (a->name < b->name);
}

struct votes {
	struct vote {
		char prefix[24];
		double mass;
	} of[64];
	size_t n;
};

static void vote(struct votes *v, const char *prefix, size_t len, double mass)
{
	size_t i = 0;

	while (i < v->n &&
		(strlen(v->of[i].prefix) != len || memcmp(v->of[i].prefix, prefix, len) != 0))
		i++;
	if (i == sizeof v->of / sizeof v->of[0])
		return;
	if (i == v->n) {
		memcpy(v->of[i].prefix, prefix, len);
		v->of[i].prefix[len] = '\0';
		v->n++;
	}
	v->of[i].mass += mass;
}

/* What stands before names of `a` that `b` has without it, if that explains most of what `b` lacks. */
static int find_prefix(const struct pgo_fit_rows *a, const struct pgo_fit_rows *b,
	const struct pgo_strtab *strs, char ret[24])
{
	struct pgo_fit_row *lost = pgo_malloc((a->n + 1) * sizeof *lost);
	struct votes v = {.n = 0};
	double all = 0;
	size_t n = 0;

	ret[0] = '\0';
	if (lost == NULL)
		return -1;
	for (size_t i = 0; i < a->n; i++)
		if (pgo_fit_rows_find(b, a->row[i].name) == NULL)
			lost[n++] = a->row[i];
	if (n != 0)
		qsort(lost, n, sizeof *lost, by_mass);
	n = n < PREFIX_LOOKED_AT ? n : PREFIX_LOOKED_AT;
	for (size_t i = 0; i < n; i++) {
		const struct pgo_str *s = &strs->strs[lost[i].name];

		all += (double)lost[i].mass;
		for (size_t k = 1; k < sizeof v.of[0].prefix && k + 2 <= s->len; k++) {
			uint32_t rest = pgo_strtab_find(strs, s->s + k, s->len - k);

			if (rest != PGO_STR_NONE && pgo_fit_rows_find(b, rest) != NULL)
				vote(&v, s->s, k, (double)lost[i].mass);
		}
	}
	pgo_free(lost);
	for (size_t i = 0; i < v.n; i++)
		if (v.of[i].mass > all / 2)
			memcpy(ret, v.of[i].prefix, sizeof v.of[i].prefix);
	return 0;
}

/* ---- overlap */

static double share(uint64_t mass, double total)
{
	return total > 0 ? (double)mass / total : 0;
}

static double overlap(const struct pgo_fit_rows *a, const struct pgo_fit_rows *b)
{
	double sum = 0;

	for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
		const struct pgo_fit_row *x = &a->row[i], *y = &b->row[k];

		if (x->name == y->name && x->place == y->place) {
			sum += fmin(share(x->mass, a->total), share(y->mass, b->total));
			i++;
			k++;
		} else if (x->name != y->name ? x->name < y->name : x->place < y->place) {
			i++;
		} else {
			k++;
		}
	}
	return sum;
}

static size_t end_of(const struct pgo_fit_rows *r, size_t i)
{
	size_t k = i;

	while (k < r->n && r->row[k].name == r->row[i].name)
		k++;
	return k;
}

/* Do the places of one function agree?  At least four of five of the side that has fewer. */
static bool same_code(const struct pgo_fit_row *a, size_t n, const struct pgo_fit_row *b, size_t m)
{
	size_t both = 0, least = n < m ? n : m;

	for (size_t i = 0, k = 0; i < n && k < m;) {
		both += a[i].place == b[k].place;
		if (a[i].place <= b[k].place)
			i += 1;
		else
			k += 1;
	}
	return both * 5 >= least * 4;
}

/* Keeps, of both, the functions whose code is the same; says how much of `b` that is. */
static int keep_same_code(struct pgo_fit_rows *a, struct pgo_fit_rows *b, double *ret)
{
	struct pgo_fit_rows x = {0}, y = {0};
	double total = b->total;

	for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
		size_t ie = end_of(a, i), ke = end_of(b, k);
		bool equal = a->row[i].name == b->row[k].name;
		bool less = a->row[i].name < b->row[k].name;

		if (equal && same_code(a->row + i, ie - i, b->row + k, ke - k)) {
			if (PGO_VEC_RESERVE(x.row, x.room, x.n + ie - i) < 0 ||
				PGO_VEC_RESERVE(y.row, y.room, y.n + ke - k) < 0) {
				pgo_fit_rows_fini(&x);
				pgo_fit_rows_fini(&y);
				return -1;
			}
			memcpy(x.row + x.n, a->row + i, (ie - i) * sizeof *x.row);
			memcpy(y.row + y.n, b->row + k, (ke - k) * sizeof *y.row);
			x.n += ie - i;
			y.n += ke - k;
		}
		i = equal || less ? ie : i;
		k = equal || !less ? ke : k;
	}
	pgo_fit_rows_finish(&x);
	pgo_fit_rows_finish(&y);
	pgo_fit_rows_fini(a);
	pgo_fit_rows_fini(b);
	*a = x;
	*b = y;
	*ret = total > 0 ? y.total / total : 0;
	return 0;
}

static int find_moved(const struct pgo_fit_rows *a, const struct pgo_fit_rows *b,
	const struct pgo_strtab *strs, struct pgo_fit_overlap *ret)
{
	uint32_t most = PGO_STR_NONE;
	double best = 0;

	for (size_t i = 0, k = 0; i < a->n || k < b->n;) {
		bool in_a = i < a->n && (k == b->n || a->row[i].name <= b->row[k].name);
		bool in_b = k < b->n && (i == a->n || b->row[k].name <= a->row[i].name);
		uint32_t name = in_a ? a->row[i].name : b->row[k].name;
		double before = in_a ? share(a->row[i].mass, a->total) : 0;
		double after = in_b ? share(b->row[k].mass, b->total) : 0;

		if (fabs(after - before) > best) {
			best = fabs(after - before);
			most = name;
			ret->moved_before = before;
			ret->moved_after = after;
		}
		i += in_a;
		k += in_b;
	}
	if (most == PGO_STR_NONE)
		return 0;
	ret->moved = pgo_strdup(pgo_strtab_get(strs, most));
	return ret->moved != NULL ? 0 : -1;
}

static int compare(const struct pgo_fit_view *old, const struct pgo_fit_view *new,
	struct pgo_strtab *strs, struct pgo_fit_overlap *ret, struct pgo_fit_rows of[4])
{
	char of_old[24] = "", of_new[24] = "";

	if (!old->hashed &&
		(find_prefix(&new->functions, &old->functions, strs, of_new) < 0 ||
			find_prefix(&old->functions, &new->functions, strs, of_old) < 0))
		return -1;
	if (of_new[0] != '\0')
		of_old[0] = '\0';
	ret->prefix_new = of_new[0] != '\0';
	memcpy(ret->prefix, ret->prefix_new ? of_new : of_old, sizeof ret->prefix);
	if (fold(&old->functions, strs, of_old, old->hashed, &of[0]) < 0 ||
		fold(&new->functions, strs, of_new, old->hashed, &of[1]) < 0 ||
		fold(&old->blocks, strs, of_old, old->hashed, &of[2]) < 0 ||
		fold(&new->blocks, strs, of_new, old->hashed, &of[3]) < 0)
		return -1;
	ret->functions_raw = overlap(&old->functions, &new->functions);
	ret->functions = overlap(&of[0], &of[1]);
	ret->blocks_raw = overlap(&old->blocks, &new->blocks);
	ret->blocks_compared = 1;
	if (new->offsets && keep_same_code(&of[2], &of[3], &ret->blocks_compared) < 0)
		return -1;
	ret->blocks = overlap(&of[2], &of[3]);
	return find_moved(&of[0], &of[1], strs, ret);
}

int pgo_fit_compare(const struct pgo_fit_view *old, const struct pgo_fit_view *new,
	struct pgo_strtab *strs, struct pgo_fit_overlap *ret, struct pgo_err *err)
{
	struct pgo_fit_rows of[4] = {{0}};
	int rc;

	memset(ret, 0, sizeof *ret);
	if (old->hashed != new->hashed || old->offsets != new->offsets)
		return pgo_err_set(err, PGO_EMISMATCH,
			"one of the two has %s and the other has not",
			old->hashed != new->hashed ? "hashes for names" : "offsets for lines");
	rc = compare(old, new, strs, ret, of);
	for (size_t i = 0; i < 4; i++)
		pgo_fit_rows_fini(&of[i]);
	if (rc < 0) {
		pgo_fit_overlap_fini(ret);
		return pgo_err_nomem(err);
	}
	return 0;
}

void pgo_fit_overlap_fini(struct pgo_fit_overlap *o)
{
	pgo_free(o->moved);
	memset(o, 0, sizeof *o);
}

/* ---- the names of a program */

static double covered(const struct pgo_fit_rows *v, const struct pgo_fit_rows *names,
	struct pgo_fit_row *ret_missing)
{
	double sum = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (pgo_fit_rows_find(names, v->row[i].name) != NULL)
			sum += (double)v->row[i].mass;
		else if (v->row[i].mass > ret_missing->mass)
			*ret_missing = v->row[i];
	}
	return v->total > 0 ? sum / v->total : 0;
}

static int cover(const struct pgo_fit_view *v, struct pgo_fit_rows of[3], struct pgo_strtab *strs,
	struct pgo_fit_cover *ret)
{
	char of_view[24] = "", of_names[24] = "";
	struct pgo_fit_row missing = {0};

	if (!v->hashed && (find_prefix(&v->symbols, &of[0], strs, of_view) < 0 ||
				  find_prefix(&of[0], &v->symbols, strs, of_names) < 0))
		return -1;
	if (of_view[0] != '\0')
		of_names[0] = '\0';
	ret->prefix_new = of_view[0] != '\0';
	memcpy(ret->prefix, ret->prefix_new ? of_view : of_names, sizeof ret->prefix);
	if (fold(&of[0], strs, of_names, v->hashed, &of[1]) < 0 ||
		fold(&v->symbols, strs, of_view, v->hashed, &of[2]) < 0)
		return -1;
	ret->raw = covered(&v->symbols, &of[0], &missing);
	missing = (struct pgo_fit_row){0};
	ret->canonical = covered(&of[2], &of[1], &missing);
	/* Two names of the program may have one canonical form; the other way round there is none. */
	ret->canonical = ret->canonical > ret->raw ? ret->canonical : ret->raw;
	if (missing.mass == 0)
		return 0;
	ret->missing_share = share(missing.mass, of[2].total);
	ret->missing = pgo_strdup(pgo_strtab_get(strs, missing.name));
	return ret->missing != NULL ? 0 : -1;
}

int pgo_fit_covered(const struct pgo_fit_view *v, uint32_t *names, size_t n,
	struct pgo_strtab *strs, struct pgo_fit_cover *ret, struct pgo_err *err)
{
	struct pgo_fit_rows of[3] = {{0}};
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = pgo_fit_rows_put(&of[0], names[i], 0, 1);
	if (rc == 0) {
		pgo_fit_rows_finish(&of[0]);
		rc = cover(v, of, strs, ret);
	}
	for (size_t i = 0; i < 3; i++)
		pgo_fit_rows_fini(&of[i]);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

void pgo_fit_cover_fini(struct pgo_fit_cover *c)
{
	pgo_free(c->missing);
	memset(c, 0, sizeof *c);
}

/* ---- flips */

struct cycle {
	struct pgo_fit_rows rows; /* by canonical name */
	double hot;               /* the smallest hot share */
	double hot_mass;          /* of all hot ones together */
};

static int measure_cycle(struct cycle *c)
{
	struct pgo_fit_row *sorted = pgo_malloc((c->rows.n + 1) * sizeof *sorted);
	double sum = 0;

	if (sorted == NULL)
		return -1;
	if (c->rows.n != 0) {
		memcpy(sorted, c->rows.row, c->rows.n * sizeof *sorted);
		qsort(sorted, c->rows.n, sizeof *sorted, by_mass);
	}
	for (size_t i = 0; i < c->rows.n && sum < HOT; i++) {
		c->hot = share(sorted[i].mass, c->rows.total);
		sum += c->hot;
	}
	c->hot_mass = sum;
	pgo_free(sorted);
	return 0;
}

/* The mean share of a function where it is hot, if it flipped; else 0. */
static double flipped(const struct cycle *c, size_t n, uint32_t name)
{
	bool was_hot = false, was_cold = false, again = false;
	double sum = 0;
	size_t hot = 0;

	for (size_t i = 0; i < n; i++) {
		const struct pgo_fit_row *r = pgo_fit_rows_find(&c[i].rows, name);
		double s = r != NULL ? share(r->mass, c[i].rows.total) : 0;

		if (s > 0 && s >= c[i].hot) {
			again |= was_cold;
			was_hot = true;
			sum += s;
			hot++;
		} else if (was_hot && s < c[i].hot * COLD) {
			was_cold = true;
		}
	}
	return again ? sum / (double)hot : 0;
}

static int keep_largest(struct pgo_fit_flips *ret, const char *name, double s)
{
	size_t at = ret->n_names;
	char *copy;

	while (at > 0 &&
		(ret->name_share[at - 1] < s ||
			(ret->name_share[at - 1] == s && strcmp(ret->name[at - 1], name) > 0)))
		at--;
	if (at == PGO_FIT_FLIPS_TOP)
		return 0;
	copy = pgo_strdup(name);
	if (copy == NULL)
		return -1;
	if (ret->n_names == PGO_FIT_FLIPS_TOP)
		pgo_free(ret->name[--ret->n_names]);
	for (size_t i = ret->n_names; i > at; i--) {
		ret->name[i] = ret->name[i - 1];
		ret->name_share[i] = ret->name_share[i - 1];
	}
	ret->name[at] = copy;
	ret->name_share[at] = s;
	ret->n_names++;
	return 0;
}

/* Every name once: where the first cycle that has it comes by. */
static bool seen_before(const struct cycle *c, size_t i, uint32_t name)
{
	for (size_t k = 0; k < i; k++)
		if (pgo_fit_rows_find(&c[k].rows, name) != NULL)
			return true;
	return false;
}

static int find_flips(
	struct cycle *c, size_t n, const struct pgo_strtab *strs, struct pgo_fit_flips *ret)
{
	double hot = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (measure_cycle(&c[i]) < 0)
			return -1;
		hot += c[i].hot_mass / (double)n;
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < c[i].rows.n; k++) {
			uint32_t name = c[i].rows.row[k].name;
			double s = seen_before(c, i, name) ? 0 : flipped(c, n, name);

			if (s == 0)
				continue;
			sum += s;
			ret->functions++;
			if (keep_largest(ret, pgo_strtab_get(strs, name), s) < 0)
				return -1;
		}
	}
	ret->share = hot > 0 ? sum / hot : 0;
	return 0;
}

int pgo_fit_flips(const struct pgo_fit_view *const *v, size_t n, struct pgo_strtab *strs,
	struct pgo_fit_flips *ret, struct pgo_err *err)
{
	struct cycle *c;
	int rc = 0;

	memset(ret, 0, sizeof *ret);
	if (n < 3)
		return pgo_err_set(err, PGO_EUSAGE,
			"it takes three results to see a function go hot, cold and hot again; "
			"there "
			"are %zu",
			n);
	c = pgo_calloc(n, sizeof *c);
	if (c == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fold(&v[i]->functions, strs, "", v[i]->hashed, &c[i].rows);
	if (rc == 0)
		rc = find_flips(c, n, strs, ret);
	for (size_t i = 0; i < n; i++)
		pgo_fit_rows_fini(&c[i].rows);
	pgo_free(c);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

void pgo_fit_flips_fini(struct pgo_fit_flips *f)
{
	for (size_t i = 0; i < f->n_names; i++)
		pgo_free(f->name[i]);
	memset(f, 0, sizeof *f);
}
