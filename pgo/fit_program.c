/* SPDX-License-Identifier: Apache-2.0 */
/* A profile against the program that shall be built with it. */
#include "convert/rules_name.h"
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/vec.h"
#include "pgo/fit_parts.h"

#include <inttypes.h>
#include <string.h>

static int push_name(uint32_t **names, size_t *n, size_t *room, uint32_t name)
{
	uint32_t *x = name != PGO_STR_NONE ? PGO_VEC_PUSH(*names, *n, *room) : NULL;

	if (x == NULL)
		return -1;
	*x = name;
	return 0;
}

/* A symbol by every name that a consumer might look it up by. */
static int push_symbol(
	struct pgo_fit *k, const struct pgo_symbol *s, uint32_t **names, size_t *n, size_t *room)
{
	size_t len = strlen(s->name),
	       cut[2] = {pgo_name_cut_dot(s->name, len), pgo_name_cut_llvm(s->name, len)};

	if (push_name(names, n, room, pgo_strtab_add(&k->strs, s->name, len)) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++)
		if (cut[i] != len &&
			push_name(names, n, room, pgo_strtab_add(&k->strs, s->name, cut[i])) < 0)
			return -1;
	if (k->best->kind == PGO_OUTPUT_BOLT && s->local_rank != 0) {
		char *local = pgo_asprintf("%s/%u", s->name, s->local_rank);
		int rc = local != NULL ? push_name(names, n, room, pgo_strtab_puts(&k->strs, local))
				       : -1;

		pgo_free(local);
		return rc;
	}
	return 0;
}

/* As llvm-bolt calls it. */
static int push_stub(
	struct pgo_fit *k, const struct pgo_plt *p, uint32_t **names, size_t *n, size_t *room)
{
	char *name = p->name != NULL ? pgo_asprintf("%s@PLT", p->name) : pgo_strdup("");
	int rc = name != NULL ? push_name(names, n, room, pgo_strtab_puts(&k->strs, name)) : -1;

	pgo_free(name);
	return rc;
}

static int find_cover(struct pgo_fit *k, struct pgo_err *err)
{
	uint32_t *names = NULL;
	size_t n = 0, room = 0;
	int rc = 0;

	if (!k->elf->has_symtab)
		return 0;
	for (size_t i = 0; i < k->elf->n_symbols && rc == 0; i++)
		rc = push_symbol(k, &k->elf->symbols[i], &names, &n, &room);
	for (size_t i = 0; i < k->elf->n_plt && rc == 0; i++)
		rc = push_stub(k, &k->elf->plt[i], &names, &n, &room);
	if (rc < 0)
		rc = pgo_err_nomem(err);
	else if (n != 0)
		rc = pgo_fit_covered(&k->best->view, names, n, &k->strs, &k->cover, err);
	k->covered = rc == 0 && n != 0;
	pgo_free(names);
	return rc;
}

/* What the debug information says of each line; why not, if it says nothing. */
static int find_stale(struct pgo_fit *k, struct pgo_err *err)
{
	struct pgo_err own = PGO_ERR_INIT;
	int rc;

	if (k->best->fnprof == NULL || k->best->view.hashed)
		return pgo_gates_skip(k->gates, "stale", err, "%s",
			k->best->fnprof == NULL
				? "offsets of .fdata say nothing of lines; llvm-bolt judges them"
				: "names are hashes");
	rc = pgo_stale_find(&k->stale, k->best->fnprof, k->in->binary, &k->in->where, &own);
	if (rc == PGO_ENOMEM)
		return pgo_err_nomem(err);
	if (rc == PGO_EMISMATCH)
		return pgo_gates_measure(k->gates, k->in->limits, "stale", 100, err, "%s", own.msg);
	if (rc < 0)
		return pgo_gates_skip(k->gates, "stale", err,
			"lines cannot be compared without debug information: %s", own.msg);
	k->staled = true;
	return pgo_gates_measure(k->gates, k->in->limits, "stale",
		pgo_fit_percent(k->stale.no_function + k->stale.unusable, k->stale.total), err,
		"%.2f %% of the counts are of %" PRIu64
		" functions that the program does not have, "
		"%.2f %% cannot be used of %" PRIu64 " that have changed%s%s",
		pgo_fit_percent(k->stale.no_function, k->stale.total), k->stale.functions_gone,
		pgo_fit_percent(k->stale.unusable, k->stale.total), k->stale.functions_changed,
		k->stale.n_top != 0 ? ", first of all " : "",
		k->stale.n_top != 0 ? k->stale.top[0].name : "");
}

static int check_mapped_by_name(struct pgo_fit *k, struct pgo_err *err)
{
	const char *missing = k->cover.missing != NULL ? k->cover.missing : "";
	double value = k->cover.raw * 100;

	if (!k->covered)
		return pgo_gates_skip(
			k->gates, "mapped", err, "the program has no symbols to look names up in");
	/* A function that is inlined everywhere has no symbol; debug information knows it. */
	if (k->staled && 100 - pgo_fit_percent(k->stale.no_function, k->stale.total) > value)
		value = 100 - pgo_fit_percent(k->stale.no_function, k->stale.total);
	return pgo_gates_measure(k->gates, k->in->limits, "mapped", value, err,
		"%.2f %% of the counts are of functions that the program has%s%s", value,
		missing[0] != '\0' ? "; it has no " : "", missing);
}

static uint64_t mass_of(const struct pgo_fit *k, const char *name)
{
	uint32_t id = pgo_strtab_find(&k->strs, name, strlen(name));
	const struct pgo_fit_row *r =
		id != PGO_STR_NONE ? pgo_fit_rows_find(&k->best->view.symbols, id) : NULL;

	return r != NULL ? r->mass : 0;
}

/* Constructors and destructors have two names by design. */
static bool same_function(const char *a, const char *b)
{
	size_t n = strlen(a), differ = 0;

	if (n != strlen(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (a[i] == b[i])
			continue;
		if (i == 0 || (a[i - 1] != 'C' && a[i - 1] != 'D') || a[i] > '9' || b[i] > '9')
			return false;
		differ++;
	}
	return differ <= 1;
}

/* Is there another function at the address of symbol i?  Symbols are sorted by address. */
static bool has_alias(const struct pgo_elf *e, size_t i)
{
	const struct pgo_symbol *s = &e->symbols[i];
	size_t lo = i, hi = i + 1;

	while (lo > 0 && e->symbols[lo - 1].addr == s->addr)
		lo--;
	while (hi < e->n_symbols && e->symbols[hi].addr == s->addr)
		hi++;
	for (size_t x = lo; x < hi; x++)
		if (x != i && e->symbols[x].function && e->symbols[x].size != 0 &&
			!same_function(e->symbols[x].name, s->name))
			return true;
	return false;
}

static int check_aliases(struct pgo_fit *k, struct pgo_err *err)
{
	uint64_t shared = 0;
	size_t functions = 0;
	const char *first = NULL, *last = "";

	for (size_t i = 0; i < k->elf->n_symbols; i++) {
		const struct pgo_symbol *s = &k->elf->symbols[i];
		uint64_t mass;

		if (!s->function || s->size == 0 || strcmp(s->name, last) == 0 ||
			!has_alias(k->elf, i))
			continue;
		last = s->name;
		mass = mass_of(k, s->name);
		shared = pgo_sat_add(shared, mass);
		functions += mass != 0;
		first = first == NULL && mass != 0 ? s->name : first;
	}
	return pgo_gates_measure(k->gates, k->in->limits, "aliases",
		k->best->view.symbols.total > 0
			? 100.0 * (double)shared / k->best->view.symbols.total
			: 0,
		err, "%zu functions with counts share their address with others%s%s", functions,
		first != NULL ? ", such as " : "", first != NULL ? first : "");
}

/* Counts of older builds that were lost on the way to this one; those that were moved are not. */
static int check_carried(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_reanchor_account *c = &k->in->account->carried;
	uint64_t lost = c->no_function + c->no_line;
	double used = k->best->view.functions.total;
	double own = used - (double)c->same - (double)c->moved;
	double all = (own > 0 ? own : 0) + (double)c->read;

	return pgo_gates_measure(k->gates, k->in->limits, "stale",
		all > 0 ? 100 * (double)lost / all : 0, err,
		"%.1f %% of the counts are of older builds, %.2f %% are of lines that are gone; of "
		"%" PRIu64 " of their functions %" PRIu64 " have changed and %" PRIu64 " are gone",
		all > 0 ? 100 * (double)c->read / all : 0, all > 0 ? 100 * (double)lost / all : 0,
		c->functions, c->functions_moved, c->functions_gone);
}

int pgo_fit_program(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_account *a = k->in->account;
	int rc;

	k->elf = pgo_elf_open(k->in->binary, err);
	if (k->elf == NULL)
		return err != NULL && err->code != PGO_OK ? (int)err->code : PGO_EIO;
	rc = find_cover(k, err);
	if (rc == 0 && a != NULL && a->carried.builds != 0)
		rc = check_carried(k, err);
	else if (rc == 0 && a != NULL && a->build_id != NULL && a->build_id[0] != '\0' &&
		 strcmp(a->build_id, k->elf->build_id) == 0)
		rc = pgo_gates_measure(k->gates, k->in->limits, "stale", 0, err,
			"all that is used was recorded in this very build");
	else if (rc == 0)
		rc = find_stale(k, err);
	if (rc == 0 && a == NULL)
		rc = check_mapped_by_name(k, err);
	return rc < 0 ? rc : check_aliases(k, err);
}
