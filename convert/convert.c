/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert.h"

#include "convert/edges.h"
#include "convert/pass.h"
#include "convert/plain.h"
#include "convert/source.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

struct pgo_convert {
	struct pgo_convert_options o;
	struct pgo_elf *elf;
	struct pgo_elf *debug_elf; /* for its symbols, if the binary is stripped */
	struct pgo_ranges ranges;
	struct pgo_codefns fns;
	struct pgo_lines *lines;
	struct pgo_fnprof *fnprof;
	struct pgo_fdata *fdata;
	struct pgo_account account;
	struct pgo_strtab events; /* sample types of plain samples */
	bool executions;          /* every profile with traces estimates executions */
	char other_build[129];    /* a build-id that a file of the binary's name had */
	char *other_file;         /* a file that is not the binary */
};

/* ------------------------------------------------------------------ reading */

struct pgo_convert *pgo_convert_new(const struct pgo_convert_options *o, struct pgo_err *err)
{
	struct pgo_convert *c = pgo_calloc(1, sizeof *c);

	if (c == NULL || pgo_strtab_init(&c->events, 1 << 20) < 0) {
		pgo_free(c);
		pgo_err_nomem(err);
		return NULL;
	}
	c->o = *o;
	c->executions = true;
	pgo_ranges_init(&c->ranges);
	c->elf = pgo_elf_open(o->binary, err);
	if (c->elf == NULL) {
		pgo_convert_free(c);
		return NULL;
	}
	return c;
}

void pgo_convert_free(struct pgo_convert *c)
{
	if (c == NULL)
		return;
	pgo_ranges_fini(&c->ranges);
	pgo_codefns_fini(&c->fns);
	pgo_lines_close(c->lines);
	pgo_fnprof_free(c->fnprof);
	pgo_fdata_free(c->fdata);
	for (size_t i = 0; i < c->account.n_hottest; i++)
		pgo_free(c->account.hottest[i].name);
	pgo_elf_close(c->debug_elf);
	pgo_elf_close(c->elf);
	pgo_strtab_fini(&c->events);
	pgo_free(c->other_file);
	pgo_free(c);
}

/* One input while it is read. */
struct intake {
	struct pgo_convert *c;
	const struct pgo_profile *p;
	struct pgo_resolver res;
	struct pgo_lbr_columns lbr;
	uint32_t plain; /* value index of plain samples, or PGO_NONE */
};

/* Remembers what the profile was taken from instead, for the message if nothing fits. */
static void note_others(struct intake *in)
{
	struct pgo_convert *c = in->c;
	const char *base = pgo_path_base(c->o.binary);

	for (size_t i = 0; i < in->p->n_mappings; i++) {
		const char *file = pgo_profile_str(in->p, in->p->mappings[i].filename);

		if (in->res.ours[i])
			continue;
		if (strcmp(pgo_path_base(file), base) == 0 && c->other_build[0] == '\0')
			pgo_build_id_normalize(
				pgo_profile_str(in->p, in->p->mappings[i].build_id), c->other_build);
		else if (c->other_file == NULL && file[0] != '\0')
			c->other_file = pgo_strdup(file);
	}
}

/* Which column counts plain samples: "samples", else the profile's own default, else the last. */
static uint32_t plain_column(const struct pgo_profile *p, const struct pgo_lbr_columns *l)
{
	uint32_t i = pgo_profile_sample_type(p, "samples");

	if (i == PGO_NONE && p->default_sample_type != 0)
		i = pgo_profile_sample_type(p, pgo_profile_str(p, p->default_sample_type));
	if (i == PGO_NONE && p->n_sample_types != 0)
		i = (uint32_t)p->n_sample_types - 1;
	if (i == l->traces || i == l->mispredicts || i == l->cycles || i == l->executions ||
		i == l->branches || i == l->ranges || i == l->stacks)
		return PGO_NONE;
	return i;
}

/* Where one end of a trace is, and why, if it is not in the binary. */
static uint64_t place(const struct intake *in, uint32_t loc, bool is_source, enum pgo_loss *ret_loss)
{
	*ret_loss = PGO_LOSS_NONE;
	if (loc == PGO_NONE)
		return PGO_AT_NONE;
	switch ((enum pgo_lbr_end)in->lbr.end_kind[loc]) {
	case PGO_LBR_IS_BRANCH_ONLY:
	case PGO_LBR_IS_FALLTHROUGH_ONLY:
		return PGO_AT_NONE;
	case PGO_LBR_IS_EXTERNAL_RETURN:
		*ret_loss = PGO_LOSS_OTHER_BINARY;
		return is_source ? PGO_AT_OUTSIDE_RETURN : PGO_AT_OUTSIDE;
	case PGO_LBR_IS_EXTERNAL:
		*ret_loss = PGO_LOSS_OTHER_BINARY;
		return PGO_AT_OUTSIDE;
	case PGO_LBR_ADDR:
		break;
	}
	*ret_loss = (enum pgo_loss)in->res.at[loc].loss;
	return *ret_loss == PGO_LOSS_NONE ? in->res.at[loc].vaddr : PGO_AT_OUTSIDE;
}

static void bump(uint64_t *counter, uint64_t n)
{
	*counter = pgo_add_sat(*counter, n);
}

/* Books the branch and the range of a trace; either may be lost, or not be there at all. */
static int add_trace(struct intake *in, const struct pgo_lbr_trace *lt)
{
	struct pgo_account *a = &in->c->account;
	enum pgo_loss source_loss, target_loss, end_loss;
	struct pgo_trace t = {
		.source = place(in, lt->source, true, &source_loss),
		.target = place(in, lt->target, false, &target_loss),
		.end = place(in, lt->end, false, &end_loss),
		.count = (uint64_t)lt->count,
		.mispreds = (uint64_t)lt->mispredicts,
		.executions = (uint64_t)lt->executions,
	};
	bool used = false;

	if (t.source != PGO_AT_NONE && t.target != PGO_AT_NONE) {
		bump(&a->branches_read, t.count);
		if (!pgo_at_inside(t.source) && !pgo_at_inside(t.target)) {
			bump(&a->branch_loss[target_loss], t.count);
			t.source = PGO_AT_NONE;
		} else {
			used = true;
			bump(&a->branches_used, t.count);
			if (!pgo_at_inside(t.source))
				bump(&a->branches_entering, t.count);
			if (!pgo_at_inside(t.target))
				bump(&a->branches_leaving, t.count);
		}
	}
	if (t.end != PGO_AT_NONE) {
		bump(&a->ranges_read, t.count);
		if (pgo_at_inside(t.target) && pgo_at_inside(t.end)) {
			used = true;
		} else {
			bump(&a->range_loss[pgo_at_inside(t.target) ? end_loss : target_loss],
				t.count);
			t.end = PGO_AT_NONE;
		}
	}
	return used ? pgo_ranges_add(&in->c->ranges, &t) : 0;
}

static int add_plain(struct intake *in, const struct pgo_sample *s)
{
	struct pgo_account *a = &in->c->account;
	const struct pgo_resolved *at;
	uint64_t n;

	if (in->plain == PGO_NONE || s->n_loc == 0 || s->value[in->plain] <= 0)
		return 0;
	n = (uint64_t)s->value[in->plain];
	bump(&a->plain_read, n);
	at = &in->res.at[s->loc[0]];
	if (at->loss != PGO_LOSS_NONE) {
		bump(&a->plain_loss[at->loss], n);
		return 0;
	}
	bump(&a->plain_used, n);
	return pgo_ranges_add_ip(&in->c->ranges, at->vaddr, n);
}

static int add_samples(struct intake *in, struct pgo_reader *r, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(r, &s, err)) > 0) {
		struct pgo_lbr_trace t;
		uint32_t at = 0;

		in->c->account.samples_read++;
		while ((rc = pgo_lbr_trace_next(&in->lbr, in->p, &s, &at, &t, err)) > 0) {
			if (add_trace(in, &t) < 0)
				return pgo_err_nomem(err);
		}
		if (rc < 0)
			return rc;
		if (add_plain(in, &s) < 0)
			return pgo_err_nomem(err);
	}
	return rc;
}

int pgo_convert_add(struct pgo_convert *c, struct pgo_reader *r, struct pgo_err *err)
{
	struct intake in = {.c = c, .p = r->head};
	bool has_lbr = false;
	int rc;

	rc = pgo_resolver_init(&in.res, in.p, c->elf, NULL, err);
	if (rc < 0)
		goto out;
	rc = pgo_lbr_columns_init(&in.lbr, in.p, &has_lbr, err);
	if (rc < 0)
		goto out;
	note_others(&in);
	in.plain = plain_column(in.p, &in.lbr);
	if (in.plain != PGO_NONE)
		pgo_strtab_puts(&c->events,
			pgo_profile_str(in.p, in.p->sample_types[in.plain].type));
	if (has_lbr && in.lbr.executions == PGO_NONE)
		c->executions = false;
	c->account.inputs++;
	rc = add_samples(&in, r, err);
out:
	pgo_lbr_columns_fini(&in.lbr);
	pgo_resolver_fini(&in.res);
	return rc < 0 ? pgo_err_prefix(err, "%s", r->name) : 0;
}

/* ------------------------------------------------------------------ running */

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

/* Nothing of the profile is the binary's: say what it is of. */
static int nothing_fits(const struct pgo_convert *c, struct pgo_err *err)
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
		"no sample belongs to %s (build-id %s); most were lost as \"%s\"%s%s", c->o.binary, id,
		why, c->other_file != NULL ? "; the profile is of " : "",
		c->other_file != NULL ? c->other_file : "");
}

/* There were samples, but no instruction can be said to have run. */
static int nothing_ran(const struct pgo_convert *c, struct pgo_err *err)
{
	const struct pgo_account *a = &c->account;
	const struct {
		uint64_t n;
		const char *what;
	} kinds[] = {
		{a->ranges_backward, "end before they start"},
		{a->ranges_too_long, "are over 1 MiB long"},
		{a->ranges_no_function, "are in no function: is the binary stripped? give its debug "
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
			"%s: %llu branches but no range between two of them: the branch stacks hold "
			"one entry each; record with a deeper stack (perf record -b)",
			c->o.binary, (unsigned long long)a->branches_used);
	return pgo_err_set(err, PGO_EEMPTY,
		"%s: nothing can be made of the profile: most ranges (%llu of %llu) %s", c->o.binary,
		(unsigned long long)kinds[worst].n, (unsigned long long)a->ranges_read,
		kinds[worst].what);
}

/* Addresses whose units and functions the debug information is wanted of: sorted, unique. */
static int wanted_addresses(const struct pgo_convert *c, uint64_t **ret, size_t *ret_n)
{
	const struct pgo_ranges *r = &c->ranges;
	size_t n = 0, k = 0;
	uint64_t *w = pgo_calloc(2 * r->n_traces + c->fns.n_fns + 1, sizeof *w);

	if (w == NULL)
		return -1;
	for (size_t i = 0; i < c->fns.n_fns; i++)
		w[n++] = c->fns.fns[i].start;
	for (size_t i = 0; i < r->n_traces; i++) {
		if (pgo_at_inside(r->traces[i].target))
			w[n++] = r->traces[i].target;
		if (pgo_at_inside(r->traces[i].source))
			w[n++] = r->traces[i].source;
	}
	if (n != 0)
		qsort(w, n, sizeof *w, pgo_compare_u64);
	for (size_t i = 0; i < n; i++) {
		if (k == 0 || w[k - 1] != w[i])
			w[k++] = w[i];
	}
	*ret = w;
	*ret_n = k;
	return 0;
}

static int open_lines(struct pgo_convert *c, struct pgo_err *err)
{
	uint64_t *wanted;
	size_t n;

	c->fnprof = pgo_fnprof_new(err);
	if (c->fnprof == NULL)
		return PGO_ENOMEM;
	if (wanted_addresses(c, &wanted, &n) < 0)
		return pgo_err_nomem(err);
	c->lines = pgo_lines_open(c->elf, c->o.debug, wanted, n, &c->fnprof->strs, err);
	pgo_free(wanted);
	if (c->lines == NULL)
		return err != NULL ? (int)err->code : PGO_EFORMAT;
	c->account.debug_file = pgo_lines_debug_file(c->lines);
	return 0;
}

/* The symbol table: the binary's own, or that of its debug file. */
static int open_symbols(struct pgo_convert *c, struct pgo_err *err)
{
	char *path;

	if (c->elf->has_symtab)
		return 0;
	path = pgo_debugfile_find(c->elf, c->o.debug, NULL);
	if (path == NULL || strcmp(path, c->elf->path) == 0) {
		pgo_free(path);
		return 0;
	}
	c->debug_elf = pgo_elf_open(path, err);
	pgo_free(path);
	return c->debug_elf != NULL ? 0 : err != NULL ? (int)err->code : PGO_EFORMAT;
}

static int find_functions(struct pgo_convert *c)
{
	const struct pgo_ranges *r = &c->ranges;

	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];

		if ((pgo_at_inside(t->target) && pgo_codefns_add(&c->fns, t->target) < 0) ||
			(pgo_at_inside(t->source) && pgo_codefns_add(&c->fns, t->source) < 0))
			return -1;
	}
	pgo_codefns_finish(&c->fns);
	return 0;
}

/* The other parts of the functions that ran: their instructions did not, and that counts. */
static int add_parts(struct pgo_convert *c)
{
	for (size_t i = 0; i < pgo_lines_n_fns(c->lines); i++) {
		const struct pgo_lines_fn *fn = pgo_lines_fn(c->lines, (uint32_t)i);

		for (uint32_t k = 0; fn->n_ranges > 1 && k < fn->n_ranges; k++) {
			uint64_t lo, hi;

			pgo_lines_range(c->lines, fn, k, &lo, &hi);
			if (pgo_codefns_add(&c->fns, lo) < 0)
				return -1;
		}
	}
	pgo_codefns_finish(&c->fns);
	return 0;
}

/* ------------------------------------------------------------------ the account's figures */

struct heat {
	uint32_t name;
	uint64_t count, total, size;
};

static int by_name(const void *pa, const void *pb)
{
	const struct heat *a = pa, *b = pb;

	return a->name < b->name ? -1 : a->name > b->name;
}

static const struct pgo_strtab *sort_names; /* of by_count(); one conversion at a time sorts */

static int by_count(const void *pa, const void *pb)
{
	const struct heat *a = pa, *b = pb;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(pgo_strtab_get(sort_names, a->name), pgo_strtab_get(sort_names, b->name));
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
			bump(&h[k - 1].count, h[i].count);
			bump(&h[k - 1].total, h[i].total);
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

static int figures(struct pgo_convert *c, const struct pgo_pass *p, struct pgo_strtab *names)
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

		if (p->source != NULL)
			name = pgo_source_name_at(p->source, fn->start);
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
	sort_names = names;
	qsort(h, n, sizeof *h, by_count);
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

/* Of what could have been the binary's: samples in other programs and libraries say nothing. */
static double mapped_share(const struct pgo_account *a)
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

/* ------------------------------------------------------------------ putting it together */

static int run_pass(struct pgo_convert *c, struct pgo_pass *p, struct pgo_err *err)
{
	struct pgo_strtab *names = c->fnprof != NULL ? &c->fnprof->strs : &c->fdata->strs;
	int rc;

	rc = pgo_pass_run(p, err);
	if (rc < 0)
		return rc;
	if (c->account.executions == 0)
		return nothing_ran(c, err);
	if ((p->source != NULL && pgo_source_finish(p->source, p) < 0) ||
		figures(c, p, names) < 0)
		return pgo_err_nomem(err);
	if (c->fdata != NULL && !c->account.lbr)
		rc = pgo_plain_samples(&c->ranges, p, &c->events, err);
	if (rc == 0 && c->fdata != NULL)
		rc = pgo_fdata_sort(c->fdata, err);
	if (rc == 0 && c->fnprof != NULL && c->account.no_line == c->account.executions)
		return pgo_err_set(err, PGO_EEMPTY,
			"%s: no instruction that ran has a source line and a declaration line: "
			"rebuild with -g (clang: -gmlt -fdebug-info-for-profiling at least)",
			c->account.debug_file);
	return rc;
}

static int prepare(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_account *a = &c->account;
	int rc;

	a->lbr = c->ranges.n_traces != 0;
	if (!a->lbr && c->ranges.n_ips == 0)
		return nothing_fits(c, err);
	if (a->lbr) { /* plain samples beside branch records are another view of the same */
		a->plain_read = a->plain_used = 0;
		memset(a->plain_loss, 0, sizeof a->plain_loss);
	}
	pgo_ranges_sort(&c->ranges, a->lbr && c->executions);
	a->mapped_share = mapped_share(a);
	rc = open_symbols(c, err);
	if (rc < 0)
		return rc;
	pgo_codefns_init(&c->fns, c->debug_elf != NULL ? c->debug_elf : c->elf);
	if (!a->lbr) {
		rc = pgo_plain_to_ranges(&c->ranges, c->fns.symbols, c->elf, err);
		if (rc < 0)
			return rc;
	}
	return find_functions(c) < 0 ? pgo_err_nomem(err) : 0;
}

int pgo_convert_run(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_source source = {0};
	struct pgo_edges edges = {0};
	struct pgo_pass p = {0};
	int rc;

	rc = prepare(c, err);
	if (rc == 0 && c->o.want_fnprof)
		rc = open_lines(c, err);
	if (rc == 0 && c->lines != NULL && add_parts(c) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_codefns_find_joints(&c->fns, c->elf, err);
	if (rc < 0)
		goto out;
	p = (struct pgo_pass){.elf = c->elf,
		.symbols = c->fns.symbols,
		.lines = c->lines,
		.ranges = &c->ranges,
		.fns = &c->fns,
		.account = &c->account};
	if (c->lines != NULL) {
		p.source = &source;
		if (pgo_source_init(&source, c->fnprof, &p) < 0) {
			rc = pgo_err_nomem(err);
			goto out;
		}
	}
	if (c->o.want_fdata || c->fnprof == NULL) {
		c->fdata = pgo_fdata_new(err);
		rc = c->fdata != NULL ? 0 : PGO_ENOMEM;
		edges.fdata = c->fdata;
		p.edges = c->account.lbr && c->o.want_fdata ? &edges : NULL;
	}
	if (rc == 0)
		rc = run_pass(c, &p, err);
out:
	pgo_source_fini(&source);
	pgo_pass_fini(&p);
	return rc;
}

const struct pgo_fnprof *pgo_convert_fnprof(const struct pgo_convert *c)
{
	return c->fnprof;
}

struct pgo_fdata *pgo_convert_fdata(const struct pgo_convert *c)
{
	return c->fdata;
}

const struct pgo_account *pgo_convert_account(const struct pgo_convert *c)
{
	return &c->account;
}
