/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert_impl.h"

#include "convert/positions.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ figures */

static void add_to(uint64_t *counter, uint64_t n)
{
	*counter = pgo_add_sat(*counter, n);
}

struct heat {
	uint32_t name;
	uint64_t count, total, size;
};

static int by_name(const void *pa, const void *pb)
{
	const struct heat *a = pa, *b = pb;

	return a->name < b->name ? -1 : a->name > b->name;
}

static int by_count(const void *pa, const void *pb, void *names)
{
	const struct heat *a = pa, *b = pb;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(pgo_strtab_get(names, a->name), pgo_strtab_get(names, b->name));
}

static int by_density(const void *pa, const void *pb)
{
	const struct heat *a = pa, *b = pb;
	unsigned __int128 x = (unsigned __int128)a->total * b->size;
	unsigned __int128 y = (unsigned __int128)b->total * a->size;

	return x > y ? -1 : x < y;
}

static size_t merge_heat(struct heat *h, size_t n)
{
	size_t k = 0;

	qsort(h, n, sizeof *h, by_name);
	for (size_t i = 0; i < n; i++) {
		if (k != 0 && h[k - 1].name == h[i].name) {
			add_to(&h[k - 1].count, h[i].count);
			add_to(&h[k - 1].total, h[i].total);
			h[k - 1].size += h[i].size;
		} else {
			h[k++] = h[i];
		}
	}
	n = 0;
	for (size_t i = 0; i < k; i++) {
		if (h[i].count != 0)
			h[n++] = h[i];
	}
	return n;
}

int pgo_convert_figures(struct pgo_convert *c, const struct pgo_pass *p, struct pgo_strtab *names)
{
	struct pgo_account *a = &c->account;
	struct heat *h = pgo_calloc(c->fns.n_fns + 1, sizeof *h);
	uint64_t sum = 0, all = 0;
	size_t n = 0;

	if (h == NULL)
		return -1;
	for (size_t i = 0; i < c->fns.n_fns; i++) {
		const struct pgo_codefn *fn = &c->fns.fns[i];
		uint32_t name = PGO_STR_NONE;

		if (p->positions != NULL)
			name = pgo_positions_name_at(p->positions, fn->start);
		if (name == PGO_STR_NONE)
			name = pgo_strtab_add(
				names, fn->symbol->name, pgo_codefn_base_len(fn->symbol->name));
		if (name == PGO_STR_NONE) {
			pgo_free(h);
			return -1;
		}
		h[n++] = (struct heat){
			name, p->executed[2 * i], p->executed[2 * i + 1], fn->end - fn->start};
		all = pgo_add_sat(all, p->executed[2 * i + 1]);
	}
	n = merge_heat(h, n);
	a->functions = n;
	qsort(h, n, sizeof *h, by_density);
	for (size_t i = 0; i < n && (double)sum < 0.99 * (double)all; i++) {
		sum = pgo_add_sat(sum, h[i].total);
		a->density = (double)h[i].total / (double)h[i].size;
	}
	qsort_r(h, n, sizeof *h, by_count, names);
	sum = 0;
	for (size_t i = 0; i < n && (double)sum < 0.99 * (double)a->executions; i++) {
		sum = pgo_add_sat(sum, h[i].count);
		a->functions_hot++;
	}
	for (size_t i = 0; i < n && i < 10; i++) {
		a->hottest[i].name = pgo_strdup(pgo_strtab_get(names, h[i].name));
		a->hottest[i].count = h[i].count;
		a->hottest[i].share = (double)h[i].count / (double)a->executions;
		a->n_hottest = i + 1;
	}
	pgo_free(h);
	return 0;
}

double pgo_convert_mapped_share(const struct pgo_account *a)
{
	uint64_t read = a->lbr ? a->branches_read : a->plain_read;
	uint64_t other = (a->lbr ? a->branch_loss : a->plain_loss)[PGO_LOSS_OTHER_BINARY];
	uint64_t used = a->lbr ? a->branches_used : a->plain_used;

	if (a->lbr && read == 0) {
		read = a->ranges_read;
		other = a->range_loss[PGO_LOSS_OTHER_BINARY];
		used = a->ranges_used;
	}
	return read > other ? (double)used / (double)(read - other) : 0;
}

/* ------------------------------------------------------------------ explanations */

static uint64_t largest_loss(const uint64_t *loss, const char **ret_name)
{
	uint64_t most = 0;

	for (int i = PGO_LOSS_NONE + 1; i < PGO_N_LOSSES; i++) {
		if (loss[i] > most) {
			most = loss[i];
			*ret_name = pgo_loss_name((enum pgo_loss)i);
		}
	}
	return most;
}

int pgo_convert_nothing_fits(const struct pgo_convert *c, struct pgo_err *err)
{
	const struct pgo_account *a = &c->account;
	const char *id = c->elf->build_id[0] != '\0' ? c->elf->build_id : "none";
	const char *why = "";

	if (a->branches_read == 0 && a->ranges_read == 0 && a->plain_read == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"the profile has no samples (%llu inputs, %llu records): record for "
			"longer, or check what was fetched",
			(unsigned long long)a->inputs, (unsigned long long)a->samples_read);
	if (c->other_build[0] != '\0' && strcmp(c->other_build, c->elf->build_id) != 0)
		return pgo_err_set(err, PGO_EMISMATCH,
			"the profile was taken from build %s of %s, but %s is build %s: give the "
			"binary that ran",
			c->other_build, pgo_path_base(c->o.binary), c->o.binary, id);
	if (largest_loss(a->branches_read != 0 ? a->branch_loss : a->plain_loss, &why) == 0)
		largest_loss(a->range_loss, &why);
	return pgo_err_set(err, PGO_EMISMATCH,
		"no sample belongs to %s (build-id %s); most were lost as \"%s\"%s%s", c->o.binary,
		id, why, c->other_file != NULL ? "; the profile is of " : "",
		c->other_file != NULL ? c->other_file : "");
}

int pgo_convert_nothing_ran(const struct pgo_convert *c, struct pgo_err *err)
{
	const struct pgo_account *a = &c->account;
	const struct {
		uint64_t n;
		const char *what;
	} kinds[] = {
		{a->ranges_backward, "end before they start"},
		{a->ranges_too_long, "are over 1 MiB long"},
		{a->ranges_no_function,
			"are in no function: is the binary stripped? give its debug "
			"file with --debug"},
		{a->ranges_cross_function, "run from one function into another"},
		{a->ranges_cross_jump, "run over a jump, call or return"},
		{a->ranges_misaligned, "begin or end inside an instruction"},
	};
	size_t worst = 0;

	for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
		worst = kinds[i].n > kinds[worst].n ? i : worst;
	if (kinds[worst].n == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s: %llu branches but no range between two of them: the branch stacks "
			"hold "
			"one entry each; record with a deeper stack (perf record -b)",
			c->o.binary, (unsigned long long)a->branches_used);
	return pgo_err_set(err, PGO_EEMPTY,
		"%s: nothing can be made of the profile: most ranges (%llu of %llu) %s",
		c->o.binary, (unsigned long long)kinds[worst].n, (unsigned long long)a->ranges_read,
		kinds[worst].what);
}
