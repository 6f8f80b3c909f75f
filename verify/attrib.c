/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/attrib.h"

#include "convert/lines.h"
#include "convert/rules_name.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMES_BUDGET ((size_t)1 << 30)

int pgo_attrib_init(
	struct pgo_attrib *a, const char *binary, const char *sample_type, struct pgo_err *err)
{
	memset(a, 0, sizeof *a);
	a->binary = binary;
	a->sample_type = sample_type;
	if (pgo_strtab_init(&a->names, NAMES_BUDGET) < 0)
		return pgo_err_nomem(err);
	if (binary != NULL && (a->elf = pgo_elf_open(binary, err)) == NULL)
		return err != NULL ? (int)err->code : PGO_EIO;
	return 0;
}

void pgo_attrib_fini(struct pgo_attrib *a)
{
	pgo_elf_close(a->elf);
	pgo_free(a->unit);
	pgo_free(a->reps);
	pgo_free(a->costs);
	pgo_free(a->addrs);
	pgo_strtab_fini(&a->names);
	memset(a, 0, sizeof *a);
}

bool pgo_attrib_is_pseudo(const char *name)
{
	return name[0] == '[';
}

static bool is_lbr_type(const struct pgo_profile *p, uint32_t column)
{
	return strncmp(pgo_profile_str(p, p->sample_types[column].type), "lbr_", 4) == 0;
}

/* The column that says what execution costs: as asked, else CPU time, else the default type, else
 * the last that is no branch record. */
static uint32_t cost_column(const struct pgo_profile *p, const char *asked)
{
	uint32_t c = pgo_profile_sample_type(p, asked != NULL ? asked : "cpu");

	if (c != PGO_NONE || asked != NULL)
		return c;
	if (p->default_sample_type != 0)
		c = pgo_profile_sample_type(p, pgo_profile_str(p, p->default_sample_type));
	if (c != PGO_NONE && !is_lbr_type(p, c))
		return c;
	for (c = (uint32_t)p->n_sample_types; c-- > 0;)
		if (!is_lbr_type(p, c))
			return c;
	return PGO_NONE;
}

static int check_unit(struct pgo_attrib *a, const struct pgo_profile *p, uint32_t column,
	const char *name, struct pgo_err *err)
{
	char *unit;
	int rc = 0;

	if (column == PGO_NONE)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s has no sample type '%s'; `pgo show` lists those it has", name,
			a->sample_type != NULL ? a->sample_type : "cpu");
	unit = pgo_asprintf("%s/%s", pgo_profile_str(p, p->sample_types[column].type),
		pgo_profile_str(p, p->sample_types[column].unit));
	if (unit == NULL)
		return pgo_err_nomem(err);
	if (a->unit == NULL) {
		a->unit = unit;
		return 0;
	}
	if (strcmp(a->unit, unit) != 0)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"%s measures %s but the profiles before it measure %s; choose one with "
			"--sample-type",
			name, unit, a->unit);
	pgo_free(unit);
	return rc;
}

struct leaf_sum {
	int64_t value;
	uint64_t samples;
};

/* Sums the column by leaf location: everything else about a sample is irrelevant to self cost. */
static int sum_leaves(
	struct pgo_reader *r, uint32_t column, struct leaf_sum *sums, struct pgo_err *err)
{
	uint32_t count = pgo_profile_sample_type(r->head, "samples");
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		int64_t v = s.value[column];

		if (v <= 0 || s.n_loc == 0)
			continue;
		if (__builtin_add_overflow(sums[s.loc[0]].value, v, &sums[s.loc[0]].value))
			return pgo_err_set(err, PGO_ELIMIT,
				"the values of one location add up to more than 2^63");
		sums[s.loc[0]].samples += count != PGO_NONE ? (uint64_t)s.value[count] : 1;
	}
	return rc;
}

static uint32_t add_name(struct pgo_strtab *t, const char *name)
{
	return pgo_strtab_add(t, name, pgo_name_cut_tails(name, strlen(name)));
}

/* The name a profile itself gives to a location. */
static uint32_t own_name(
	struct pgo_attrib *a, const struct pgo_profile *p, const struct pgo_location *l)
{
	char file[300];

	if (l->n_lines != 0) {
		const struct pgo_function *f = &p->functions[p->lines[l->first_line].function];

		return add_name(&a->names,
			pgo_profile_str(p, f->system_name != 0 ? f->system_name : f->name));
	}
	if (l->mapping == PGO_NONE)
		return pgo_strtab_puts(&a->names, "[unknown]");
	snprintf(file, sizeof file, "[%s]",
		pgo_path_base(pgo_profile_str(p, p->mappings[l->mapping].filename)));
	return pgo_strtab_puts(&a->names, file);
}

static int push_named(struct pgo_attrib *a, uint32_t name, uint32_t rep, const struct leaf_sum *s)
{
	struct pgo_cost *c = PGO_VEC_PUSH(a->costs, a->n_costs, a->costs_room);

	if (c == NULL || name == PGO_STR_NONE)
		return -1;
	*c = (struct pgo_cost){name, rep, s->value, s->samples};
	return 0;
}

static int push_addr(struct pgo_attrib *a, uint64_t vaddr, uint32_t rep, const struct leaf_sum *s)
{
	struct pgo_addr_cost *c = PGO_VEC_PUSH(a->addrs, a->n_addrs, a->addrs_room);

	if (c == NULL)
		return -1;
	*c = (struct pgo_addr_cost){vaddr, rep, s->value, s->samples};
	return 0;
}

static int push_leaves(struct pgo_attrib *a, const struct pgo_profile *p,
	const struct leaf_sum *sums, struct pgo_err *err)
{
	struct pgo_resolver resolver = {0};
	uint32_t rep = (uint32_t)a->n_reps - 1;
	int rc = 0;

	if (a->elf != NULL && (rc = pgo_resolver_init(&resolver, p, a->elf, NULL, err)) < 0)
		return rc;
	for (size_t i = 0; i < p->n_locations && rc == 0; i++) {
		bool ours = a->elf != NULL && resolver.at[i].loss == PGO_LOSS_NONE;

		if (sums[i].value == 0)
			continue;
		a->reps[rep].total += (double)sums[i].value;
		a->reps[rep].samples += sums[i].samples;
		rc = ours ? push_addr(a, resolver.at[i].vaddr, rep, &sums[i])
			  : push_named(a, own_name(a, p, &p->locations[i]), rep, &sums[i]);
	}
	pgo_resolver_fini(&resolver);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

int pgo_attrib_add(struct pgo_attrib *a, struct pgo_reader *r, struct pgo_err *err)
{
	const struct pgo_profile *p = r->head;
	uint32_t column = cost_column(p, a->sample_type);
	struct leaf_sum *sums = NULL;
	int rc;

	rc = check_unit(a, p, column, r->name, err);
	if (rc < 0)
		return rc;
	sums = pgo_calloc(p->n_locations, sizeof *sums);
	if (sums == NULL || PGO_VEC_PUSH(a->reps, a->n_reps, a->reps_room) == NULL) {
		rc = pgo_err_nomem(err);
		goto out;
	}
	rc = sum_leaves(r, column, sums, err);
	if (rc < 0) {
		pgo_err_prefix(err, "%s", r->name);
		goto out;
	}
	rc = push_leaves(a, p, sums, err);
	if (rc == 0 && a->reps[a->n_reps - 1].total <= 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"%s has no samples with a %s value; choose another --sample-type (`pgo "
			"show` lists them)",
			r->name, a->unit);
out:
	pgo_free(sums);
	return rc;
}

static int by_addr(const void *pa, const void *pb)
{
	const struct pgo_addr_cost *a = pa, *b = pb;

	return a->vaddr != b->vaddr ? (a->vaddr < b->vaddr ? -1 : 1)
				    : (a->rep > b->rep) - (a->rep < b->rep);
}

static uint32_t name_of_address(struct pgo_attrib *a, const struct pgo_lines *lines,
	const struct pgo_strtab *strs, uint64_t vaddr)
{
	struct pgo_frame frames[PGO_MAX_FRAMES];
	const struct pgo_symbol *sym;
	uint64_t end;

	if (lines != NULL && pgo_lines_at(lines, vaddr, frames, &end) > 0 &&
		frames[0].function != 0)
		return add_name(&a->names, pgo_strtab_get(strs, frames[0].function));
	sym = pgo_elf_symbol(a->elf, vaddr);
	return sym != NULL ? add_name(&a->names, sym->name)
			   : pgo_strtab_puts(&a->names, "[unknown]");
}

/* Addresses to names: debug information is opened once for all of them. */
static int name_addresses(struct pgo_attrib *a, struct pgo_err *err)
{
	uint64_t *wanted = pgo_malloc(a->n_addrs * sizeof *wanted);
	struct pgo_lines *lines = NULL;
	struct pgo_strtab strs;
	size_t n = 0;
	int rc = 0;

	if (wanted == NULL || pgo_strtab_init(&strs, NAMES_BUDGET) < 0) {
		pgo_free(wanted);
		return pgo_err_nomem(err);
	}
	qsort(a->addrs, a->n_addrs, sizeof *a->addrs, by_addr);
	for (size_t i = 0; i < a->n_addrs; i++)
		if (n == 0 || wanted[n - 1] != a->addrs[i].vaddr)
			wanted[n++] = a->addrs[i].vaddr;
	/* Without debug information symbols still tell functions apart. */
	lines = pgo_lines_open(a->elf, NULL, wanted, n, &strs, NULL);
	for (size_t i = 0; i < a->n_addrs && rc == 0; i++) {
		struct leaf_sum s = {a->addrs[i].value, a->addrs[i].samples};

		rc = push_named(a, name_of_address(a, lines, &strs, a->addrs[i].vaddr),
			a->addrs[i].rep, &s);
	}
	pgo_lines_close(lines);
	pgo_strtab_fini(&strs);
	pgo_free(wanted);
	return rc < 0 ? pgo_err_nomem(err) : 0;
}

static int by_name_rep(const void *pa, const void *pb, void *strs)
{
	const struct pgo_cost *a = pa, *b = pb;

	if (a->name != b->name)
		return strcmp(pgo_strtab_get(strs, a->name), pgo_strtab_get(strs, b->name));
	return (a->rep > b->rep) - (a->rep < b->rep);
}

int pgo_attrib_finish(struct pgo_attrib *a, struct pgo_strtab *strs, struct pgo_err *err)
{
	size_t n = 0;
	int rc = a->n_addrs != 0 ? name_addresses(a, err) : 0;

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < a->n_costs; i++) {
		const char *name = pgo_strtab_get(&a->names, a->costs[i].name);

		if (pgo_attrib_is_pseudo(name))
			a->reps[a->costs[i].rep].unnamed += (double)a->costs[i].value;
		a->costs[i].name = pgo_strtab_puts(strs, name);
		if (a->costs[i].name == PGO_STR_NONE)
			return pgo_err_nomem(err);
	}
	qsort_r(a->costs, a->n_costs, sizeof *a->costs, by_name_rep, strs);
	for (size_t i = 0; i < a->n_costs; i++) {
		struct pgo_cost *last = n > 0 ? &a->costs[n - 1] : NULL;

		if (last != NULL && last->name == a->costs[i].name &&
			last->rep == a->costs[i].rep) {
			last->value += a->costs[i].value;
			last->samples += a->costs[i].samples;
		} else {
			a->costs[n++] = a->costs[i];
		}
	}
	a->n_costs = n;
	return 0;
}
