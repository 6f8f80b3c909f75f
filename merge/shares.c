/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/shares.h"

#include "pgo/core/alloc.h"
#include "pgo/core/map.h"
#include "pgo/core/resolve.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BITS 8 /* of addresses, where there are no names */

/* ---------------------------------------------------------------- functions */

/* The innermost function at a location, by its linkage name; NULL without names. */
static const char *leaf_name(const struct pgo_profile *p, const struct pgo_location *l)
{
	const struct pgo_function *f;
	const char *name;

	if (l->n_lines == 0)
		return NULL;
	f = &p->functions[p->lines[l->first_line].function];
	name = pgo_profile_str(p, f->system_name);
	if (name[0] == '\0')
		name = pgo_profile_str(p, f->name);
	return name[0] != '\0' ? name : NULL;
}

static uint32_t key_of_name(const char *name)
{
	return (uint32_t)(pgo_hash(name, strlen(name)) >> 32);
}

/* Addresses of one file are compared as offsets, so that where it was loaded does not show. */
static uint32_t key_of_address(const struct pgo_profile *p, const struct pgo_location *l)
{
	uint64_t key[2] = {0, l->addr};

	if (l->mapping != PGO_NONE) {
		const struct pgo_mapping *m = &p->mappings[l->mapping];
		const char *file = pgo_profile_str(p, m->build_id);

		if (file[0] == '\0')
			file = pgo_profile_str(p, m->filename);
		key[0] = pgo_hash(file, strlen(file));
		if (l->addr >= m->start && l->addr < m->limit)
			key[1] = l->addr - m->start + m->offset;
	}
	key[1] >>= BLOCK_BITS;
	return (uint32_t)(pgo_hash(key, sizeof key) >> 32);
}

/* ---------------------------------------------------------------- shares */

struct mass {
	uint32_t key;
	int64_t sum;
};

static int cmp_key(const void *pa, const void *pb)
{
	const struct mass *a = pa, *b = pb;

	return (a->key > b->key) - (a->key < b->key);
}

/* Largest first; the key decides between equals, so that one set is always chosen. */
static int cmp_mass(const void *pa, const void *pb)
{
	const struct mass *a = pa, *b = pb;

	if (a->sum != b->sum)
		return a->sum > b->sum ? -1 : 1;
	return cmp_key(pa, pb);
}

static size_t join_keys(struct mass *m, size_t n)
{
	size_t out = 0;

	if (n != 0)
		qsort(m, n, sizeof *m, cmp_key);
	for (size_t i = 0; i < n; i++) {
		if (out == 0 || m[out - 1].key != m[i].key)
			m[out++] = m[i];
		else if (__builtin_add_overflow(m[out - 1].sum, m[i].sum, &m[out - 1].sum))
			m[out - 1].sum = INT64_MAX;
	}
	return out;
}

static int keep_shares(struct pgo_plan_input *in, struct mass *m, size_t n, double total)
{
	double kept = 0;
	size_t k = 0;

	n = join_keys(m, n);
	if (n != 0)
		qsort(m, n, sizeof *m, cmp_mass);
	while (k < n && k < PGO_SHARES_MAX && kept < 0.99 * total)
		kept += (double)m[k++].sum;
	if (k == 0)
		return 0;
	qsort(m, k, sizeof *m, cmp_key);
	in->shares = pgo_calloc(k, sizeof *in->shares);
	if (in->shares == NULL)
		return -1;
	in->n_shares = k;
	for (size_t i = 0; i < k; i++)
		in->shares[i] = (struct pgo_plan_share){
			m[i].key, (uint32_t)((double)m[i].sum / total * PGO_SHARE_ONE)};
	return 0;
}

double pgo_shares_overlap(
	const struct pgo_plan_share *a, size_t n_a, const struct pgo_plan_share *b, size_t n_b)
{
	uint64_t sum = 0;

	for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
		if (a[i].key == b[j].key) {
			sum += a[i].share < b[j].share ? a[i].share : b[j].share;
			i++;
			j++;
		} else if (a[i].key < b[j].key) {
			i++;
		} else {
			j++;
		}
	}
	return (double)sum / PGO_SHARE_ONE;
}

/* ---------------------------------------------------------------- the target */

/* Names that a symbol table does not have: written for people, with their parameters or spaces. */
static bool is_linkage_name(const char *name)
{
	return strpbrk(name, " (<:") == NULL;
}

enum { UNASKED, FOUND, GONE, UNCLEAR };

struct survival {
	const struct pgo_plan_target *target;
	uint8_t *answer; /* per function */
	double found, gone;
	double total; /* in the program, with a name or without */
};

static void ask(
	struct survival *s, const struct pgo_profile *p, const struct pgo_location *l, double mass)
{
	const char *name = leaf_name(p, l);
	uint8_t *answer;

	if (l->mapping != PGO_NONE && l->mapping != 0)
		return; /* a library, or the kernel */
	s->total += mass;
	if (name == NULL)
		return;
	answer = &s->answer[p->lines[l->first_line].function];
	if (*answer == UNASKED && !is_linkage_name(name))
		*answer = UNCLEAR;
	else if (*answer == UNASKED)
		*answer = s->target->has_function(s->target->ctx, name) ? FOUND : GONE;
	if (*answer == FOUND)
		s->found += mass;
	else if (*answer == GONE)
		s->gone += mass;
}

/* ---------------------------------------------------------------- one input */

static bool is_target_build(const struct pgo_profile *p, const char *build_id)
{
	char id[129];

	for (size_t i = 0; i < p->n_mappings && build_id[0] != '\0'; i++) {
		pgo_build_id_normalize(pgo_profile_str(p, p->mappings[i].build_id), id);
		if (strcmp(id, build_id) == 0)
			return true;
	}
	return false;
}

struct tally {
	struct mass *m;
	size_t n;
	double total, mapped, named;
};

static void tally_locations(struct tally *t, const struct pgo_profile *p, const int64_t *leaf,
	struct survival *survival)
{
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct pgo_location *l = &p->locations[i];
		const char *name = leaf[i] > 0 ? leaf_name(p, l) : NULL;
		double mass = (double)leaf[i];

		if (leaf[i] <= 0)
			continue;
		t->total += mass;
		t->named += name != NULL ? mass : 0;
		t->mapped += name != NULL || l->mapping != PGO_NONE ? mass : 0;
		t->m[t->n++] = (struct mass){
			name != NULL ? key_of_name(name) : key_of_address(p, l), leaf[i]};
		if (survival->answer != NULL)
			ask(survival, p, l, mass);
	}
}

int pgo_shares_measure(struct pgo_plan_input *in, const struct pgo_profile *head,
	const int64_t *leaf, const struct pgo_plan_options *o)
{
	struct survival survival = {.target = o->target};
	struct tally t = {.m = pgo_calloc(head->n_locations, sizeof *t.m)};
	int rc = 0;

	in->own_build = o->target != NULL && is_target_build(head, o->target->build_id);
	if (o->target != NULL && !in->own_build)
		survival.answer = pgo_calloc(head->n_functions, 1);
	if (t.m == NULL || (o->target != NULL && !in->own_build && survival.answer == NULL)) {
		rc = -1;
		goto out;
	}
	tally_locations(&t, head, leaf, &survival);
	/* A profile without any mapping and any name does not know. */
	if (t.total > 0 && (head->n_mappings != 0 || t.named > 0))
		in->mapped = t.mapped / t.total;
	in->by_address = t.named < t.total / 2;
	/* Too few names, and nothing is known. */
	if (survival.found + survival.gone > survival.total / 2)
		in->survival = survival.found / (survival.found + survival.gone);
	if (in->own_build)
		in->survival = 1;
	if ((o->outliers || o->shares) && t.total > 0)
		rc = keep_shares(in, t.m, t.n, t.total);
out:
	pgo_free(survival.answer);
	pgo_free(t.m);
	return rc;
}
