/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert_impl.h"

#include "convert/bat_edges.h"
#include "convert/debugfile.h"
#include "convert/edges.h"
#include "convert/plain.h"
#include "convert/positions.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of function and file names that an account may need. */
#define MAX_NAMES ((size_t)4 << 30)

/* Counts are carried over to a build that can be told from the others. */
static int name_target(struct pgo_convert *c, struct pgo_err *err)
{
	if (!c->o.carry_over)
		return 0;
	if (pgo_elf_build_id(c->o.target, c->target_build_id, err) < 0)
		return err->code;
	return c->target_build_id[0] != '\0'
		       ? 0
		       : pgo_err_set(err, PGO_EMISMATCH,
				 "%s has no build-id: link it with -Wl,--build-id, so that it can "
				 "be told from other builds",
				 c->o.target);
}

struct pgo_convert *pgo_convert_new(const struct pgo_convert_options *o, struct pgo_err *err)
{
	struct pgo_convert *c = pgo_calloc(1, sizeof *c);

	if (c == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	c->o = *o;
	c->executions = true;
	pgo_map_init(&c->other_map);
	if (pgo_strtab_init(&c->names, MAX_NAMES) < 0 || pgo_strtab_init(&c->sought, MAX_NAMES) < 0)
		pgo_err_nomem(err);
	else if ((!o->want_go || (c->go = pgo_gopgo_new(err)) != NULL) &&
		 name_target(c, err) == 0 && pgo_convert_open_parts(c, err) == 0)
		return c;
	pgo_convert_free(c);
	return NULL;
}

void pgo_convert_free(struct pgo_convert *c)
{
	if (c == NULL)
		return;
	pgo_stale_fini(&c->account.stale);
	pgo_convert_free_parts(c);
	pgo_fnprof_free(c->fnprof);
	pgo_gopgo_free(c->go);
	pgo_strtab_fini(&c->names);
	pgo_strtab_fini(&c->sought);
	pgo_map_fini(&c->other_map);
	pgo_free(c->others);
	pgo_free(c->accounts);
	pgo_free(c->event);
	pgo_free(c->other_file);
	pgo_free(c);
}

/* ------------------------------------------------------------------ running */

/* Addresses whose units and functions the debug information is wanted of: sorted, unique. */
static int wanted_addresses(const struct pgo_convert_part *part, uint64_t **ret, size_t *ret_n)
{
	const struct pgo_ranges *r = &part->ranges;
	size_t n = 0, k = 0;
	uint64_t *w = pgo_calloc(2 * r->n_traces + part->fns.n_fns + 1, sizeof *w);

	if (w == NULL)
		return -1;
	for (size_t i = 0; i < part->fns.n_fns; i++)
		w[n++] = part->fns.fns[i].start;
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

/* llvm-bolt gives what it makes the build-id of what it was made from, with the last bit changed. */
static bool is_rewritten(const struct pgo_elf *e, const struct pgo_elf *of)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = strlen(e->build_id);
	const char *a, *b;

	if (n < 2 || strlen(of->build_id) != n || memcmp(e->build_id, of->build_id, n - 1) != 0)
		return false;
	a = strchr(digits, e->build_id[n - 1]);
	b = strchr(digits, of->build_id[n - 1]);
	return a != NULL && b != NULL && ((a - digits) ^ (b - digits)) == 1;
}

/* The program that a rewritten one was made from, or (`back`) the other way round; NULL: not given. */
static const struct pgo_convert_part *relative_of(
	const struct pgo_convert *c, const struct pgo_convert_part *part, bool back)
{
	for (size_t i = 0; i < c->n_parts; i++) {
		const struct pgo_convert_part *other = c->parts[i];

		if (is_rewritten(part->elf, other->elf) && pgo_elf_is_bolted(other->elf) == back &&
			pgo_elf_is_bolted(part->elf) != back)
			return other;
	}
	return NULL;
}

/* Debug information of the program that this one was rewritten from, if both are at hand. */
static struct pgo_lines *lines_of_original(struct pgo_convert *c, struct pgo_convert_part *part,
	const uint64_t *wanted, size_t n, struct pgo_err *why)
{
	const struct pgo_convert_part *original =
		part->bat != NULL ? relative_of(c, part, false) : NULL;

	if (original == NULL || why->code != PGO_ENOTFOUND)
		return NULL;
	pgo_err_clear(why);
	return pgo_lines_open_moved(part->fns.symbols, part->bat, original->elf, &c->o.where,
		wanted, n, &pgo_convert_fnprof_of(c, part)->strs, why);
}

/* Programs whose profiles are of a kind of their own. */
static void look_at_kind(struct pgo_convert *c, const struct pgo_convert_part *part)
{
	if (pgo_elf_has_fs_discriminators(part->elf))
		c->fnprof->fs_discriminators = true;
	if (pgo_elf_section(part->elf, ".pseudo_probe") != NULL)
		pgo_warn("%s was built with -fpseudo-probe-for-profiling; this profile goes by "
			 "lines, so build with it without that option, or let llvm-profgen make "
			 "one that goes by probes",
			part->elf->path);
}

static int open_lines(struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_err *err)
{
	struct pgo_err why = PGO_ERR_INIT;
	uint64_t *wanted;
	size_t n;

	if (wanted_addresses(part, &wanted, &n) < 0)
		return pgo_err_nomem(err);
	part->lines = pgo_lines_open(
		part->elf, &c->o.where, wanted, n, &pgo_convert_fnprof_of(c, part)->strs, &why);
	if (part->lines == NULL)
		part->lines = lines_of_original(c, part, wanted, n, &why);
	pgo_free(wanted);
	look_at_kind(c, part);
	if (part->lines != NULL) {
		part->account.debug_file = pgo_lines_debug_file(part->lines);
		part->account.split_file = pgo_lines_split_file(
			part->lines, &part->account.split_units, &part->account.split_missing);
		return 0;
	}
	if (why.code != PGO_ENOTFOUND || c->n_parts == 1)
		return pgo_err_set(err, why.code, "%s", why.msg);
	if (!part->found)
		pgo_warn("%s", why.msg);
	return 0;
}

/* The symbol table: the binary's own, or that of its debug file. */
int pgo_convert_open_symbols(
	struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_err *err)
{
	char *path;

	if (part->elf->has_symtab || part->debug_elf != NULL)
		return 0;
	path = pgo_debugfile_find(part->elf, &c->o.where, NULL);
	if (path == NULL || strcmp(path, part->elf->path) == 0) {
		pgo_free(path);
		return 0;
	}
	part->debug_elf = pgo_elf_open(path, err);
	pgo_free(path);
	return part->debug_elf != NULL ? 0 : err != NULL ? (int)err->code : PGO_EFORMAT;
}

static int find_functions(struct pgo_convert_part *part)
{
	const struct pgo_ranges *r = &part->ranges;

	for (size_t i = 0; i < r->n_traces; i++) {
		const struct pgo_trace *t = &r->traces[i];

		if ((pgo_at_inside(t->target) && pgo_codefns_add(&part->fns, t->target) < 0) ||
			(pgo_at_inside(t->source) && pgo_codefns_add(&part->fns, t->source) < 0))
			return -1;
	}
	pgo_codefns_finish(&part->fns);
	return 0;
}

/* The other parts of the functions that ran: their instructions did not, and that counts. */
static int add_split_off(struct pgo_convert_part *part)
{
	for (size_t i = 0; i < pgo_lines_n_fns(part->lines); i++) {
		const struct pgo_lines_fn *fn = pgo_lines_fn(part->lines, (uint32_t)i);

		for (uint32_t k = 0; fn->n_ranges > 1 && k < fn->n_ranges; k++) {
			uint64_t lo, hi;

			pgo_lines_range(part->lines, fn, k, &lo, &hi);
			if (pgo_codefns_add(&part->fns, lo) < 0)
				return -1;
		}
	}
	pgo_codefns_finish(&part->fns);
	return 0;
}

/* ------------------------------------------------------------------ one binary */

static int run_pass(struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_pass *p,
	struct pgo_err *err)
{
	int rc = pgo_pass_run(p, err);

	if (rc < 0)
		return rc;
	if (!c->account.lbr) /* the ranges were made of samples, which are counted already */
		part->account.ranges_used = part->account.ranges_misaligned = 0;
	if (part->account.executions == 0)
		return pgo_convert_nothing_ran(part, err);
	if (p->lines == NULL)
		part->account.no_line = part->account.executions;
	if ((p->positions != NULL && pgo_positions_finish(p->positions, p) < 0) ||
		pgo_convert_figures(c, part, p) < 0 ||
		(part->fdata != NULL && part->bat != NULL &&
			pgo_bat_edges(part->bat, part->elf, p->symbols, p->ranges, part->fdata) <
				0))
		return pgo_err_nomem(err);
	return part->fdata != NULL ? pgo_fdata_sort(part->fdata, err) : 0;
}

/* How noisy samples are depends on how many there were: of counts it is the weight they were merged
 * with that is taken out, of times their least, which is about the time between two. */
static double sample_unit(const struct pgo_convert *c)
{
	uint64_t unit = c->unit_is_time ? c->unit_least : c->unit_divisor;

	return unit != 0 ? (double)unit : 1;
}

/* What llvm-bolt says of where it moved code from. */
static int open_bat(struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_err *err)
{
	int rc = pgo_bat_read(part->elf, &part->bat, err);

	if (rc < 0 || part->bat != NULL || !c->o.want_fdata || !pgo_elf_is_bolted(part->elf))
		return rc;
	return pgo_err_set(err, PGO_EMISMATCH,
		"%s was rewritten by llvm-bolt, which cannot read a profile of the result: rewrite "
		"it "
		"with --enable-bat, so that addresses can be translated back, or profile the "
		"program "
		"as it was before",
		part->elf->path);
}

static int prepare(struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_err *err)
{
	int rc = open_bat(c, part, err);

	if (rc == 0 && c->o.carry_over && c->o.want_fnprof) {
		part->fnprof = pgo_fnprof_new(err);
		rc = part->fnprof != NULL ? 0 : PGO_ENOMEM;
	}
	if (rc < 0)
		return rc;
	pgo_ranges_sort(&part->ranges, c->executions);
	rc = pgo_convert_open_symbols(c, part, err);
	if (rc < 0)
		return rc;
	pgo_codefns_init(&part->fns, part->debug_elf != NULL ? part->debug_elf : part->elf);
	if (!c->account.lbr) {
		rc = pgo_plain_to_ranges(&part->ranges, part->fns.symbols, part->elf, &part->stacks,
			sample_unit(c), &part->account, err);
		if (rc < 0)
			return rc;
	}
	if (find_functions(part) < 0)
		return pgo_err_nomem(err);
	rc = c->o.want_fnprof ? open_lines(c, part, err) : 0;
	if (rc == 0 && part->lines != NULL && add_split_off(part) < 0)
		rc = pgo_err_nomem(err);
	return rc < 0 ? rc : pgo_codefns_find_joints(&part->fns, part->elf, err);
}

static int run_part(struct pgo_convert *c, struct pgo_convert_part *part, struct pgo_err *err)
{
	struct pgo_positions positions = {0};
	struct pgo_edges edges = {0};
	struct pgo_pass p = {0};
	int rc = prepare(c, part, err);

	if (rc < 0)
		return rc;
	p = (struct pgo_pass){.elf = part->elf,
		.symbols = part->fns.symbols,
		.lines = part->lines,
		.ranges = &part->ranges,
		.fns = &part->fns,
		.account = &part->account};
	if (part->lines != NULL) {
		p.positions = &positions;
		if (pgo_positions_init(&positions, pgo_convert_fnprof_of(c, part), &p) < 0)
			rc = pgo_err_nomem(err);
	}
	if (rc == 0 && c->o.want_fdata) {
		part->fdata = pgo_fdata_new(err);
		rc = part->fdata != NULL ? 0 : PGO_ENOMEM;
		edges.fdata = part->fdata;
		p.edges = part->bat == NULL ? &edges : NULL;
	}
	if (rc == 0)
		rc = run_pass(c, part, &p, err);
	pgo_positions_fini(&positions);
	pgo_pass_fini(&p);
	return rc;
}

/* ------------------------------------------------------------------ all binaries */

static bool has_samples(const struct pgo_convert *c, const struct pgo_convert_part *part)
{
	return c->account.lbr ? part->ranges.n_traces != 0 : part->ranges.n_ips != 0;
}

/* With fewer executions than this to a record, which only very short periods give, whole numbers
 * say less than the records do. */
#define LEAST_EXECUTIONS 4

/* Records or executions?  Executions are wanted, but of all records or of none. */
static void choose_counts(struct pgo_convert *c)
{
	struct pgo_account *a = &c->account;

	c->executions = c->executions && a->lbr && !c->o.no_unbias && a->unestimated == 0;
	a->executions_coarse =
		c->executions && c->estimated / LEAST_EXECUTIONS < c->estimated_records;
	c->executions = c->executions && !a->executions_coarse;
	a->executions_used = c->executions;
	if (c->estimated == 0 || c->o.no_unbias || a->executions_coarse)
		a->unestimated = 0;
	else if (a->lbr && !c->executions)
		pgo_warn("%" PRIu64 " of %" PRIu64 " branch records come without an estimate of "
			 "executions (lbr_executions), so "
			 "that of the others is not used and the sampling bias stays in; import "
			 "their "
			 "recordings again",
			a->unestimated, pgo_add_sat(a->unestimated, c->estimated_records));
}

static void add_symbolic(struct pgo_symbolic_report *sum, const struct pgo_symbolic_report *r)
{
	sum->read = pgo_add_sat(sum->read, r->read);
	sum->placed = pgo_add_sat(sum->placed, r->placed);
	sum->no_function = pgo_add_sat(sum->no_function, r->no_function);
	sum->no_line = pgo_add_sat(sum->no_line, r->no_line);
	sum->names += r->names;
	sum->names_found += r->names_found;
	if (sum->n_missing == 0) { /* of the first binary that misses any */
		memcpy(sum->missing, r->missing, sizeof sum->missing);
		sum->n_missing = r->n_missing;
	}
}

/* Samples that have names only become samples of instructions. */
static int place_symbolic(struct pgo_convert *c, struct pgo_err *err)
{
	for (size_t i = 0; i < c->n_parts; i++) {
		struct pgo_convert_part *part = c->parts[i];
		struct pgo_symbolic_report *r = &part->account.symbolic;
		int rc;

		if (!part->symbolic.ready || c->account.lbr)
			continue;
		rc = pgo_convert_open_symbols(c, part, err);
		if (rc == 0)
			rc = pgo_symbolic_place(&part->symbolic, part->elf,
				part->debug_elf != NULL ? part->debug_elf : part->elf, &c->o.where,
				&part->ranges, r, err);
		if (rc < 0)
			return rc;
		part->account.plain_used = pgo_add_sat(part->account.plain_used, r->placed);
		c->account.plain_used = pgo_add_sat(c->account.plain_used, r->placed);
		add_symbolic(&c->account.symbolic, r);
	}
	return 0;
}

/* Are there branch records?  Plain samples beside them are another view of the same. */
static int look_at_samples(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_account *a = &c->account;
	bool any = false;
	int rc;

	for (size_t i = 0; i < c->n_parts; i++)
		a->lbr = a->lbr || c->parts[i]->ranges.n_traces != 0;
	rc = place_symbolic(c, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < c->n_parts; i++) {
		any = any || c->parts[i]->ranges.n_ips != 0;
	}
	if (!a->lbr && !any && !c->o.only_go)
		return pgo_convert_nothing_fits(c, err);
	if (a->lbr) {
		a->plain_unused = c->plain_alone;
		a->plain_read = a->plain_used = 0;
		memset(a->plain_loss, 0, sizeof a->plain_loss);
	}
	choose_counts(c);
	pgo_convert_settle(c);
	return 0;
}

/*
 * A binary of several that comes to nothing does not spoil the others.  *ret_why keeps the first
 * reason, for when none comes to anything.
 */
static int run_parts(struct pgo_convert *c, struct pgo_err *why, struct pgo_err *err)
{
	for (size_t i = 0; i < c->n_parts; i++) {
		struct pgo_convert_part *part = c->parts[i];
		struct pgo_err own = PGO_ERR_INIT;
		int rc;

		if (!has_samples(c, part)) {
			if (!part->found && relative_of(c, part, true) == NULL)
				pgo_warn("no sample of the profile belongs to %s", part->elf->path);
			continue;
		}
		rc = run_part(c, part, &own);
		if (rc == 0)
			continue;
		if (rc != PGO_EEMPTY || c->n_parts == 1)
			return pgo_err_set(err, own.code, "%s", own.msg);
		pgo_warn("%s", own.msg);
		if (why->code == PGO_OK)
			*why = own;
	}
	return 0;
}

/* What one binary shows to be cold another may have run. */
static void drop_warm(struct pgo_fnprof *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_cold; i++)
		if (pgo_fnprof_find(p, pgo_fnprof_str(p, p->cold[i])) == NULL)
			p->cold[n++] = p->cold[i];
	p->n_cold = n;
}

static int check_lines(const struct pgo_convert *c, struct pgo_err *err)
{
	const struct pgo_account *a = &c->account;

	if (c->fnprof == NULL || a->no_line != a->executions)
		return 0;
	if (a->split_missing != 0)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"%s: the split debug information of all that ran is missing; say where the "
			".dwo or .dwp files are with --dwo-dir",
			a->debug_file != NULL ? a->debug_file : c->parts[0]->elf->path);
	return pgo_err_set(err, PGO_EEMPTY,
		"%s: no instruction that ran has a source line and a declaration line: "
		"rebuild with -g (clang: -gmlt -fdebug-info-for-profiling at least)",
		a->debug_file != NULL ? a->debug_file : c->parts[0]->elf->path);
}

/* From stacks, or from branches where there are any. */
static int finish_go(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_account *a = &c->account;
	const struct pgo_go_stats *s = pgo_gopgo_stats(c->go);
	int rc = 0;

	for (size_t i = 0; i < c->n_parts && rc == 0 && a->lbr; i++) {
		const struct pgo_convert_part *part = c->parts[i];

		if (part->account.executions != 0)
			rc = pgo_gopgo_branches(
				c->go, part->number, part->elf, &part->fns, &part->ranges, err);
	}
	for (size_t i = 0; i < c->n_parts && rc == 0; i++)
		rc = pgo_gopgo_look_up(
			c->go, c->parts[i]->elf, c->parts[i]->number, &c->o.where, err);
	if (rc == 0)
		rc = pgo_gopgo_finish(c->go, err);
	a->go.wanted = true;
	a->go.read = s->read;
	a->go.used = s->used;
	a->go.unnamed = s->unnamed;
	a->go.no_start = s->no_start;
	if (rc == 0 && s->no_start != 0)
		pgo_warn("%.1f%% of the samples are in functions whose first line is not known, "
			 "and Go's compiler will not match them; name the program that was "
			 "profiled with --binary",
			100.0 * (double)s->no_start / (double)s->used);
	return rc;
}

int pgo_convert_run(struct pgo_convert *c, struct pgo_err *err)
{
	struct pgo_err why = PGO_ERR_INIT;
	int rc;

	pgo_convert_sort_parts(c);
	rc = look_at_samples(c, err);
	if (rc < 0)
		return rc;
	if (c->o.only_go && !c->account.lbr)
		return finish_go(c, err);
	if (c->o.want_fnprof) {
		c->fnprof = pgo_fnprof_new(err);
		if (c->fnprof == NULL)
			return PGO_ENOMEM;
	}
	rc = run_parts(c, &why, err);
	if (rc == 0 && c->fnprof != NULL && c->o.carry_over)
		rc = pgo_convert_carry_over(c, err);
	if (rc == 0 && pgo_convert_sum(c) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0 && c->account.executions == 0)
		rc = pgo_err_set(err, PGO_EEMPTY, "%s", why.msg);
	if (rc == 0)
		rc = check_lines(c, err);
	if (rc == 0 && c->fnprof != NULL && (c->n_parts > 1 || c->o.carry_over)) {
		pgo_fnprof_sort(c->fnprof);
		drop_warm(c->fnprof);
	}
	if (rc == 0 && c->fnprof != NULL && pgo_trim_wanted(&c->o.trim))
		rc = pgo_trim(c->fnprof, &c->o.trim, &c->account.trim, err);
	if (rc == 0 && c->fnprof != NULL && c->o.target != NULL)
		rc = pgo_stale_find(&c->account.stale, c->fnprof, c->o.target, &c->o.where, err);
	return rc == 0 && c->go != NULL ? finish_go(c, err) : rc;
}

size_t pgo_convert_n_binaries(const struct pgo_convert *c)
{
	return c->n_parts;
}

const struct pgo_elf *pgo_convert_binary(const struct pgo_convert *c, size_t i)
{
	return c->parts[i]->elf;
}

const struct pgo_fnprof *pgo_convert_fnprof(const struct pgo_convert *c)
{
	return c->fnprof;
}

const struct pgo_gopgo *pgo_convert_go(const struct pgo_convert *c)
{
	return c->go;
}

struct pgo_fdata *pgo_convert_fdata(const struct pgo_convert *c, size_t i)
{
	return c->parts[i]->fdata;
}

void pgo_convert_look(const struct pgo_convert *c, size_t i, struct pgo_convert_view *ret)
{
	const struct pgo_convert_part *part = c->parts[i];

	*ret = (struct pgo_convert_view){.elf = part->elf,
		.symbols = part->fns.symbols,
		.ranges = &part->ranges,
		.fns = &part->fns,
		.event = c->event};
}

const struct pgo_account *pgo_convert_account(const struct pgo_convert *c)
{
	return &c->account;
}
