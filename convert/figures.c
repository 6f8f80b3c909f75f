/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert_impl.h"

#include "convert/positions.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_to(uint64_t *counter, uint64_t n)
{
	*counter = pgo_add_sat(*counter, n);
}

/* ------------------------------------------------------------------ density */

/*
 * How well functions are covered.  Each has a density: what was counted in it by what there is of it;
 * the profile's is the lowest of those functions that together, the densest first, hold 99 % of all
 * that was counted.  llvm-bolt: bytes in fall-through ranges (up to the start of their last
 * instruction) by the bytes of the function.  llvm-profgen: the counts of a function's positions,
 * inlined ones included, by their number.
 */
struct cover {
	uint64_t counted, size;
};

struct covers {
	struct cover *of;
	size_t n, room;
};

static int by_cover(const void *pa, const void *pb)
{
	const struct cover *a = pa, *b = pb;
	unsigned __int128 x = (unsigned __int128)a->counted * b->size;
	unsigned __int128 y = (unsigned __int128)b->counted * a->size;

	return x > y ? -1 : x < y;
}

static double density_of(struct covers *c)
{
	uint64_t sum = 0, all = 0;
	double density = 0;

	if (c->n != 0)
		qsort(c->of, c->n, sizeof *c->of, by_cover);
	for (size_t i = 0; i < c->n; i++)
		add_to(&all, c->of[i].counted);
	for (size_t i = 0; i < c->n && (double)sum < 0.99 * (double)all; i++) {
		add_to(&sum, c->of[i].counted);
		density = (double)c->of[i].counted / (double)c->of[i].size;
	}
	return density;
}

static int add_cover(struct covers *c, struct cover of)
{
	struct cover *slot;

	if (of.counted == 0 || of.size == 0)
		return 0;
	slot = PGO_VEC_PUSH(c->of, c->n, c->room);
	if (slot == NULL)
		return -1;
	*slot = of;
	return 0;
}

/* Of one binary's ranges; both they and the functions come by address. */
static int cover_ranges(const struct pgo_convert_part *part, struct covers *c)
{
	const struct pgo_ranges *r = &part->ranges;
	size_t t = 0;

	for (size_t f = 0; f < part->fns.n_fns; f++) {
		const struct pgo_codefn *fn = &part->fns.fns[f];
		struct cover of = {0, fn->end - fn->start};

		while (t < r->n_traces && r->traces[t].target < fn->start)
			t++;
		for (; t < r->n_traces && r->traces[t].target < fn->end; t++) {
			const struct pgo_trace *x = &r->traces[t];

			if (x->end >= x->target && x->end < fn->end)
				add_to(&of.counted, pgo_sat_mul(x->records, x->end - x->target));
		}
		if (add_cover(c, of) < 0)
			return -1;
	}
	return 0;
}

static int part_density(struct pgo_convert_part *part)
{
	struct covers ranges = {0};
	int rc = cover_ranges(part, &ranges);

	part->account.density = density_of(&ranges);
	pgo_free(ranges.of);
	return rc;
}

static void cover_positions(const struct pgo_fn *f, struct cover *of)
{
	of->size += f->n_pos;
	for (uint32_t i = 0; i < f->n_pos; i++)
		add_to(&of->counted, f->pos[i].count);
	for (uint32_t i = 0; i < f->n_calls; i++)
		cover_positions(f->calls[i].callee, of);
}

/* Of all binaries. */
static int densities(struct pgo_convert *c)
{
	struct covers ranges = {0}, positions = {0};
	int rc = 0;

	for (size_t k = 0; k < c->n_parts && rc == 0; k++)
		rc = cover_ranges(c->parts[k], &ranges);
	for (size_t i = 0; c->fnprof != NULL && i < c->fnprof->n_fns && rc == 0; i++) {
		struct cover of = {0};

		cover_positions(c->fnprof->fns[i], &of);
		rc = add_cover(&positions, of);
	}
	c->account.density = density_of(&ranges);
	c->account.density_llvm = density_of(&positions);
	/* What others call density is of records. */
	if (c->executions && c->estimated > 0)
		c->account.density_llvm *= (double)c->estimated_records / (double)c->estimated;
	pgo_free(ranges.of);
	pgo_free(positions.of);
	return rc;
}

/* ------------------------------------------------------------------ figures */

static int by_name(const void *pa, const void *pb)
{
	const struct pgo_heat *a = pa, *b = pb;

	return a->name < b->name ? -1 : a->name > b->name;
}

static int by_count(const void *pa, const void *pb, void *names)
{
	const struct pgo_heat *a = pa, *b = pb;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(pgo_strtab_get(names, a->name), pgo_strtab_get(names, b->name));
}

static size_t merge_heat(struct pgo_heat *h, size_t n)
{
	size_t k = 0;

	if (n != 0)
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

/* `h`: one of each function that ran.  Leaves it in another order. */
static void figures_of(struct pgo_convert *c, struct pgo_account *a, struct pgo_heat *h, size_t n)
{
	uint64_t sum = 0;

	a->functions = n;
	if (n == 0)
		return;
	qsort_r(h, n, sizeof *h, by_count, &c->names);
	sum = 0;
	for (size_t i = 0; i < n && (double)sum < 0.99 * (double)a->executions; i++) {
		add_to(&sum, h[i].count);
		a->functions_hot++;
	}
	for (size_t i = 0; i < n && i < PGO_ACCOUNT_TOP; i++) {
		a->hottest[i].name = pgo_strtab_get(&c->names, h[i].name);
		a->hottest[i].count = h[i].count;
		a->hottest[i].share = (double)h[i].count / (double)a->executions;
		a->n_hottest = i + 1;
	}
}

int pgo_convert_figures(
	struct pgo_convert *c, struct pgo_convert_part *part, const struct pgo_pass *p)
{
	struct pgo_heat *h = pgo_calloc(part->fns.n_fns + 1, sizeof *h);
	size_t n = 0;

	if (h == NULL)
		return -1;
	part->heat = h;
	for (size_t i = 0; i < part->fns.n_fns; i++) {
		const struct pgo_codefn *fn = &part->fns.fns[i];
		uint32_t name = PGO_STR_NONE;

		if (p->positions != NULL)
			name = pgo_positions_name_at(p->positions, fn->start);
		if (name != PGO_STR_NONE)
			name = pgo_strtab_puts(
				&c->names, pgo_fnprof_str(pgo_convert_fnprof_of(c, part), name));
		else
			name = pgo_strtab_add(
				&c->names, fn->symbol->name, pgo_codefn_base_len(fn->symbol->name));
		if (name == PGO_STR_NONE)
			return -1;
		h[n++] = (struct pgo_heat){
			name, p->executed[2 * i], p->executed[2 * i + 1], fn->end - fn->start};
	}
	part->n_heat = merge_heat(h, n);
	figures_of(c, &part->account, h, part->n_heat);
	return part_density(part);
}

/* ------------------------------------------------------------------ the sum */

static void settle_losses(uint64_t *loss, const uint64_t *unowned, uint64_t read, uint64_t used)
{
	uint64_t known = 0;

	for (int i = 0; i < PGO_N_LOSSES; i++) {
		if (i == PGO_LOSS_OTHER_BINARY)
			continue;
		add_to(&loss[i], unowned[i]);
		add_to(&known, loss[i]);
	}
	add_to(&known, used);
	loss[PGO_LOSS_OTHER_BINARY] = read > known ? read - known : 0;
}

/* The losses of the sum that no part has booked. */
static void unowned_losses(const struct pgo_convert *c, size_t offset, uint64_t ret[PGO_N_LOSSES])
{
	const uint64_t *sum = (const uint64_t *)((const char *)&c->account + offset);

	memcpy(ret, sum, PGO_N_LOSSES * sizeof *ret);
	for (size_t k = 0; k < c->n_parts; k++) {
		const uint64_t *own =
			(const uint64_t *)((const char *)&c->parts[k]->account + offset);

		for (int i = 0; i < PGO_N_LOSSES; i++)
			ret[i] -= own[i] < ret[i] ? own[i] : ret[i];
	}
}

void pgo_convert_settle(struct pgo_convert *c)
{
	uint64_t branch[PGO_N_LOSSES], range[PGO_N_LOSSES], plain[PGO_N_LOSSES];
	const struct pgo_account *sum = &c->account;

	unowned_losses(c, offsetof(struct pgo_account, branch_loss), branch);
	unowned_losses(c, offsetof(struct pgo_account, range_loss), range);
	unowned_losses(c, offsetof(struct pgo_account, plain_loss), plain);
	for (size_t k = 0; k < c->n_parts; k++) {
		struct pgo_account *a = &c->parts[k]->account;
		uint64_t inside = c->parts[k]->ranges_inside;

		a->lbr = sum->lbr;
		a->executions_used = sum->executions_used;
		a->executions_coarse = sum->executions_coarse;
		a->unestimated = sum->unestimated;
		a->inputs = sum->inputs;
		a->samples_read = sum->samples_read;
		a->branches_read = sum->branches_read;
		a->ranges_read = sum->ranges_read;
		a->plain_read = sum->plain_read;
		if (sum->lbr) {
			a->plain_used = 0;
			memset(a->plain_loss, 0, sizeof a->plain_loss);
			memset(plain, 0, sizeof plain);
		}
		settle_losses(a->branch_loss, branch, a->branches_read, a->branches_used);
		settle_losses(a->range_loss, range, a->ranges_read, inside);
		settle_losses(a->plain_loss, plain, a->plain_read,
			a->plain_used + a->symbolic.no_function + a->symbolic.no_line);
		a->mapped_share = pgo_convert_mapped_share(a);
	}
}

/* The samples that a part took for its own, and then found on no instruction. */
static void add_stray(struct pgo_account *sum, const struct pgo_account *a)
{
	uint64_t all =
		pgo_add_sat(a->plain_stub, pgo_add_sat(a->plain_no_function, a->plain_misplaced));

	add_to(&sum->plain_stub, a->plain_stub);
	add_to(&sum->plain_no_function, a->plain_no_function);
	add_to(&sum->plain_misplaced, a->plain_misplaced);
	sum->plain_used -= all < sum->plain_used ? all : sum->plain_used;
}

static void add_estimate(struct pgo_plain_estimate *sum, const struct pgo_plain_estimate *e)
{
	add_to(&sum->samples, e->samples);
	add_to(&sum->samples_thin, e->samples_thin);
	sum->functions += e->functions;
	sum->functions_thin += e->functions_thin;
	sum->blocks += e->blocks;
	sum->blocks_sampled += e->blocks_sampled;
	sum->jumps_unknown += e->jumps_unknown;
	sum->sites += e->sites;
	sum->sites_known += e->sites_known;
	add_to(&sum->calls, e->calls);
	add_to(&sum->calls_known, e->calls_known);
	sum->stacks_unreliable |= e->stacks_unreliable;
}

static void add_account(struct pgo_account *sum, const struct pgo_account *a)
{
	add_to(&sum->ranges_used, a->ranges_used);
	add_to(&sum->ranges_backward, a->ranges_backward);
	add_to(&sum->ranges_too_long, a->ranges_too_long);
	add_to(&sum->ranges_no_function, a->ranges_no_function);
	add_to(&sum->ranges_cross_function, a->ranges_cross_function);
	add_to(&sum->ranges_cross_jump, a->ranges_cross_jump);
	add_to(&sum->ranges_misaligned, a->ranges_misaligned);
	add_to(&sum->ranges_stub, a->ranges_stub);
	add_to(&sum->instructions_hit, a->instructions_hit);
	add_to(&sum->no_line, a->no_line);
	add_to(&sum->executions, a->executions);
	add_stray(sum, a);
	add_estimate(&sum->estimate, &a->estimate);
	add_to(&sum->split_units, a->split_units);
	add_to(&sum->split_missing, a->split_missing);
}

static int by_mass(const void *pa, const void *pb, void *names)
{
	const struct pgo_convert_other *a = pa, *b = pb;
	int c;

	if (a->traces != b->traces)
		return a->traces > b->traces ? -1 : 1;
	c = strcmp(pgo_strtab_get(names, a->name), pgo_strtab_get(names, b->name));
	return c != 0 ? c
		      : strcmp(pgo_strtab_get(names, a->build_id),
				pgo_strtab_get(names, b->build_id));
}

/* The files that were profiled and not given.  The table of them is done with. */
static void list_missing(struct pgo_convert *c)
{
	struct pgo_account *a = &c->account;
	size_t n = 0;

	for (size_t i = 0; i < c->n_others; i++) {
		struct pgo_convert_other o = c->others[i];

		if (!a->lbr)
			o.traces = o.samples;
		if (o.traces != 0)
			c->others[n++] = o;
	}
	c->n_others = n;
	if (n != 0)
		qsort_r(c->others, n, sizeof *c->others, by_mass, &c->names);
	a->n_missing_all = n;
	a->n_missing = n < PGO_ACCOUNT_TOP ? n : PGO_ACCOUNT_TOP;
	for (size_t i = 0; i < a->n_missing; i++)
		a->missing[i] = (struct pgo_convert_missing){
			pgo_strtab_get(&c->names, c->others[i].name),
			pgo_strtab_get(&c->names, c->others[i].build_id), c->others[i].traces};
}

int pgo_convert_sum(struct pgo_convert *c)
{
	struct pgo_account *a = &c->account;
	size_t n = 0, all = 0;
	struct pgo_heat *h;

	for (size_t k = 0; k < c->n_parts; k++)
		all += c->parts[k]->n_heat;
	h = pgo_calloc(all + 1, sizeof *h);
	c->accounts = pgo_calloc(c->n_parts + 1, sizeof *c->accounts);
	if (h == NULL || c->accounts == NULL) {
		pgo_free(h);
		return -1;
	}
	for (size_t k = 0; k < c->n_parts; k++) {
		const struct pgo_convert_part *part = c->parts[k];

		c->accounts[k] = &part->account;
		add_account(a, &part->account);
		if (part->n_heat != 0)
			memcpy(h + n, part->heat, part->n_heat * sizeof *h);
		n += part->n_heat;
	}
	a->mapped_share = pgo_convert_mapped_share(a);
	figures_of(c, a, h, merge_heat(h, n));
	pgo_free(h);
	if (densities(c) < 0)
		return -1;
	list_missing(c);
	a->binaries = c->accounts;
	a->n_binaries = c->n_parts;
	if (c->n_parts == 1) {
		a->name = c->parts[0]->account.name;
		a->build_id = c->parts[0]->account.build_id;
		a->debug_file = c->parts[0]->account.debug_file;
		a->split_file = c->parts[0]->account.split_file;
	}
	return 0;
}

double pgo_convert_mapped_share(const struct pgo_account *a)
{
	uint64_t read = a->lbr ? a->branches_read : a->plain_read;
	uint64_t other = (a->lbr ? a->branch_loss : a->plain_loss)[PGO_LOSS_OTHER_BINARY];
	uint64_t used = a->lbr ? a->branches_used : a->plain_used;

	if (!a->lbr) /* in the binary, if not in what can be used of it */
		used += a->plain_stub + a->plain_no_function + a->plain_misplaced;

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
	const struct pgo_convert_part *first = c->n_parts != 0 ? c->parts[0] : NULL;
	char more[64] = "";
	const char *why = "";

	if (a->branches_read == 0 && a->ranges_read == 0 && a->plain_read == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"the profile has no samples (%llu inputs, %llu records): record for "
			"longer, or check what was fetched",
			(unsigned long long)a->inputs, (unsigned long long)a->samples_read);
	if (first == NULL)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s: no file there has a build-id that the profile names%s%s",
			c->o.binary_dirs[0], c->other_file != NULL ? "; the profile is of " : "",
			c->other_file != NULL ? c->other_file : "");
	for (size_t i = 0; i < c->n_parts; i++) {
		const struct pgo_elf *elf = c->parts[i]->elf;
		const char *other = c->parts[i]->other_build;

		if (other[0] != '\0' && strcmp(other, elf->build_id) != 0)
			return pgo_err_set(err, PGO_EMISMATCH,
				"the profile was taken from build %s of %s, but %s is build %s: "
				"give the binary that ran",
				other, pgo_path_base(elf->path), elf->path,
				elf->build_id[0] != '\0' ? elf->build_id : "none");
	}
	if (c->nameless != 0)
		return pgo_err_set(err, PGO_EMISMATCH,
			"no sample has an address in %s: %llu of %llu have names and lines only; "
			"--allow-symbolic makes do with these (better: a profile with addresses)",
			first->elf->path, (unsigned long long)c->nameless,
			(unsigned long long)a->plain_read);
	if (a->symbolic.read != 0)
		return pgo_err_set(err, PGO_EMISMATCH,
			"no sample belongs to %s: of %zu function names of the profile it has %zu, "
			"and no line of those (the most sampled name is %s)",
			first->elf->path, a->symbolic.names, a->symbolic.names_found,
			a->symbolic.n_missing != 0 ? a->symbolic.missing[0].name : "known");
	if (largest_loss(a->branches_read != 0 ? a->branch_loss : a->plain_loss, &why) == 0)
		largest_loss(a->range_loss, &why);
	if (c->n_parts > 1)
		snprintf(more, sizeof more, " or any other of the %zu binaries", c->n_parts);
	return pgo_err_set(err, PGO_EMISMATCH,
		"no sample belongs to %s (build-id %s)%s; most were lost as \"%s\"%s%s",
		first->elf->path, first->elf->build_id[0] != '\0' ? first->elf->build_id : "none",
		more, why, c->other_file != NULL ? "; the profile is of " : "",
		c->other_file != NULL ? c->other_file : "");
}

int pgo_convert_nothing_ran(const struct pgo_convert_part *part, struct pgo_err *err)
{
	const struct pgo_account *a = &part->account;
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

	if (!a->lbr)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s: nothing can be made of the profile: its samples are in no function "
			"(%llu), in linkage stubs (%llu) or on no instruction (%llu): is the "
			"binary stripped? give its debug file with --debug",
			part->elf->path, (unsigned long long)a->plain_no_function,
			(unsigned long long)a->plain_stub, (unsigned long long)a->plain_misplaced);
	for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
		worst = kinds[i].n > kinds[worst].n ? i : worst;
	if (kinds[worst].n == 0)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s: %llu branches but no range between two of them: the branch stacks "
			"hold "
			"one entry each; record with a deeper stack (perf record -b)",
			part->elf->path, (unsigned long long)a->branches_used);
	return pgo_err_set(err, PGO_EEMPTY,
		"%s: nothing can be made of the profile: most ranges (%llu of %llu) %s",
		part->elf->path, (unsigned long long)kinds[worst].n,
		(unsigned long long)a->ranges_read, kinds[worst].what);
}
