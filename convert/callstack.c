/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/callstack.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

void pgo_callstack_init(
	struct pgo_callstack *s, const struct pgo_elf *symbols, const struct pgo_elf *code)
{
	*s = (struct pgo_callstack){.symbols = symbols, .code = code};
	pgo_map_init(&s->fn_map);
	pgo_map_init(&s->pair_map);
}

void pgo_callstack_fini(struct pgo_callstack *s)
{
	pgo_free(s->fns);
	pgo_free(s->pairs);
	pgo_map_fini(&s->fn_map);
	pgo_map_fini(&s->pair_map);
	*s = (struct pgo_callstack){0};
}

int pgo_callstack_function(struct pgo_callstack *s, uint64_t addr, uint32_t *ret)
{
	const struct pgo_symbol *sym = pgo_elf_symbol(s->symbols, addr);
	struct pgo_callstack_fn *fn;

	*ret = PGO_CALLSTACK_OUTSIDE;
	if (sym == NULL)
		return 0;
	*ret = pgo_map_find_key(&s->fn_map, s->fns, sizeof *s->fns, &sym->addr, sizeof sym->addr);
	if (*ret != PGO_MAP_NONE)
		return 0;
	fn = PGO_VEC_PUSH(s->fns, s->n_fns, s->fns_room);
	if (fn == NULL)
		return -1;
	fn->start = sym->addr;
	*ret = (uint32_t)(s->n_fns - 1);
	return pgo_map_add_key(&s->fn_map, &fn->start, sizeof fn->start, *ret);
}

void pgo_callstack_begin(struct pgo_callstack *s)
{
	s->now++;
}

void pgo_callstack_on(struct pgo_callstack *s, uint32_t fn, uint64_t samples)
{
	if (fn == PGO_CALLSTACK_OUTSIDE || s->fns[fn].stamp == s->now)
		return;
	s->fns[fn].stamp = s->now;
	s->fns[fn].samples = pgo_add_sat(s->fns[fn].samples, samples);
}

/* ------------------------------------------------------------------ direct calls */

/* Where the direct call at `addr` leads; false if there is none. */
static bool direct_call(const struct pgo_callstack *s, uint64_t addr, uint64_t *ret)
{
	struct pgo_insn_decoder d;
	struct pgo_insn in;
	const uint8_t *code;
	size_t len;

	code = pgo_elf_code(s->code, addr, &len);
	if (code == NULL)
		return false;
	/* Backwards there is no telling an operand from an instruction but by the first byte; where
	 * instructions are of one size, by its place. */
	if (s->code->machine == PGO_MACHINE_X86_64 ? *code != 0xe8 : addr % 4 != 0)
		return false;
	pgo_insn_decoder_init(&d, s->code->machine);
	if (!pgo_insn_decode(&d, addr, code, len, &in) || in.kind != PGO_INSN_CALL)
		return false;
	*ret = in.target;
	return true;
}

/*
 * Is the caller's instruction a direct call, by any of the conventions?  One whose target is the
 * function above counts for its convention; if only others are there, they count against the stacks.
 */
static enum pgo_callstack_call judge(const struct pgo_callstack *s, uint64_t caller, uint32_t fn)
{
	uint64_t size = s->code->machine == PGO_MACHINE_X86_64 ? 5 : 4, to;
	const struct {
		uint64_t at;
		enum pgo_callstack_call call;
	} of[] = {{caller - size, PGO_CALLSTACK_BEHIND}, {caller + 1 - size, PGO_CALLSTACK_INSIDE},
		{caller, PGO_CALLSTACK_OWN}};
	bool any = false;

	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		if (!direct_call(s, of[i].at, &to))
			continue;
		if (fn != PGO_CALLSTACK_OUTSIDE && to == s->fns[fn].start)
			return of[i].call;
		/* Through a linkage stub, or to what jumped on to the function above. */
		any = any || (pgo_elf_is_code(s->code, to) && i != 2);
	}
	if (!any)
		return PGO_CALLSTACK_INDIRECT;
	return fn != PGO_CALLSTACK_OUTSIDE ? PGO_CALLSTACK_WRONG : PGO_CALLSTACK_DIRECT;
}

static void count_direct(struct pgo_callstack *s, enum pgo_callstack_call call)
{
	s->behind += call == PGO_CALLSTACK_BEHIND;
	s->inside += call == PGO_CALLSTACK_INSIDE;
	s->own += call == PGO_CALLSTACK_OWN;
	s->wrong += call == PGO_CALLSTACK_WRONG;
}

int pgo_callstack_under(struct pgo_callstack *s, uint64_t caller, uint32_t fn, uint64_t samples)
{
	struct pgo_callstack_pair key = {.key = {caller, fn}}, *p;
	uint32_t i;

	i = pgo_map_find_key(&s->pair_map, s->pairs, sizeof *s->pairs, &key.key, sizeof key.key);
	if (i == PGO_MAP_NONE) {
		p = PGO_VEC_PUSH(s->pairs, s->n_pairs, s->pairs_room);
		if (p == NULL)
			return -1;
		*p = key;
		p->call = judge(s, caller, fn);
		i = (uint32_t)(s->n_pairs - 1);
		if (pgo_map_add_key(&s->pair_map, &p->key, sizeof p->key, i) < 0)
			return -1;
	}
	p = &s->pairs[i];
	if (p->call != PGO_CALLSTACK_INDIRECT) {
		count_direct(s, p->call);
		return 0;
	}
	if (p->stamp == s->now)
		return 0;
	p->stamp = s->now;
	p->samples = pgo_add_sat(p->samples, samples);
	return 0;
}

/* ------------------------------------------------------------------ targets */

static int compare_pairs(const void *pa, const void *pb)
{
	const struct pgo_callstack_pair *a = pa, *b = pb;

	if (a->key.caller != b->key.caller)
		return a->key.caller < b->key.caller ? -1 : 1;
	return a->key.callee < b->key.callee ? -1 : a->key.callee > b->key.callee;
}

static int compare_callees(const void *pa, const void *pb)
{
	const struct pgo_callstack_pair *a = pa, *b = pb;

	return a->key.callee < b->key.callee ? -1 : a->key.callee > b->key.callee;
}

static void drop_direct(struct pgo_callstack *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_pairs; i++)
		if (s->pairs[i].call == PGO_CALLSTACK_INDIRECT)
			s->pairs[n++] = s->pairs[i];
	s->n_pairs = n;
}

/* Functions get their numbers in the order they came; addresses do not depend on that. */
static void number_by_address(struct pgo_callstack *s)
{
	drop_direct(s);
	for (size_t i = 0; i < s->n_pairs; i++) {
		uint64_t *callee = &s->pairs[i].key.callee;

		*callee = *callee == PGO_CALLSTACK_OUTSIDE ? PGO_AT_OUTSIDE : s->fns[*callee].start;
	}
	if (s->n_pairs != 0)
		qsort(s->pairs, s->n_pairs, sizeof *s->pairs, compare_pairs);
}

static size_t first_pair(const struct pgo_callstack *s, uint64_t caller)
{
	size_t lo = 0, hi = s->n_pairs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->pairs[mid].key.caller < caller)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Samples for each entry: of a function, and of all together, for those whose entries are not known. */
struct durations {
	const struct pgo_callstack *s;
	struct pgo_flow_sink *sink;
	double mean;
};

static uint64_t entries_of(const struct durations *d, uint64_t start)
{
	uint32_t i = pgo_map_find_key(&d->sink->entry_map, d->sink->entries,
		sizeof *d->sink->entries, &start, sizeof start);

	return i != PGO_MAP_NONE ? d->sink->entries[i].entered : 0;
}

static double duration(const struct durations *d, uint64_t start)
{
	uint32_t i =
		pgo_map_find_key(&d->s->fn_map, d->s->fns, sizeof *d->s->fns, &start, sizeof start);
	uint64_t entries = entries_of(d, start);

	if (i == PGO_MAP_NONE || entries == 0 || d->s->fns[i].samples == 0)
		return d->mean;
	return (double)d->s->fns[i].samples / (double)entries;
}

static void find_mean(struct durations *d)
{
	uint64_t samples = 0, entries = 0;

	for (size_t i = 0; i < d->s->n_fns; i++) {
		uint64_t n = entries_of(d, d->s->fns[i].start);

		if (n == 0)
			continue;
		samples = pgo_add_sat(samples, d->s->fns[i].samples);
		entries = pgo_add_sat(entries, n);
	}
	d->mean = entries != 0 && samples != 0 ? (double)samples / (double)entries : 1;
}

/* The pairs of one site, equal callees together; gives how many. */
static size_t gather(const struct pgo_callstack *s, const struct pgo_flow_site *site,
	struct pgo_callstack_pair *ret)
{
	size_t n = 0, k = 0;

	for (size_t i = first_pair(s, site->addr); i < s->n_pairs; i++) {
		uint64_t at = s->pairs[i].key.caller;

		if (at > site->addr + site->size)
			break;
		/* At either end it may be the return address of another call. */
		if ((at == site->addr && s->own <= s->behind) ||
			(at == site->addr + site->size && s->own > s->behind))
			continue;
		ret[n++] = s->pairs[i];
	}
	if (n != 0)
		qsort(ret, n, sizeof *ret, compare_callees);
	for (size_t i = 0; i < n; i++) {
		if (k != 0 && ret[k - 1].key.callee == ret[i].key.callee)
			ret[k - 1].samples = pgo_add_sat(ret[k - 1].samples, ret[i].samples);
		else
			ret[k++] = ret[i];
	}
	return k;
}

static int one_site(const struct durations *d, const struct pgo_flow_site *site,
	struct pgo_callstack_pair *of, struct pgo_callstack_report *ret)
{
	size_t n = gather(d->s, site, of);
	double sum = 0, all = 0, out = 0;
	uint64_t calls;

	for (size_t i = 0; i < n; i++) {
		all += (double)of[i].samples;
		if (of[i].key.callee == PGO_AT_OUTSIDE)
			out += (double)of[i].samples;
		else
			sum += (double)of[i].samples / duration(d, of[i].key.callee);
	}
	if (sum <= 0)
		return 0;
	calls = pgo_flow_share(site->count, all - out, all);
	ret->sites_known++;
	ret->calls_known = pgo_add_sat(ret->calls_known, calls);
	for (size_t i = 0; i < n; i++) {
		double one = (double)of[i].samples;

		if (of[i].key.callee != PGO_AT_OUTSIDE &&
			pgo_flow_call(d->sink, site->addr, of[i].key.callee,
				pgo_flow_share(calls, one / duration(d, of[i].key.callee), sum)) <
				0)
			return -1;
	}
	return 0;
}

int pgo_callstack_targets(
	struct pgo_callstack *s, struct pgo_flow_sink *sink, struct pgo_callstack_report *ret)
{
	struct durations d = {.s = s, .sink = sink};
	struct pgo_callstack_pair *scratch;
	int rc = 0;

	*ret = (struct pgo_callstack_report){0};
	for (size_t i = 0; i < sink->n_sites; i++) {
		ret->sites++;
		ret->calls = pgo_add_sat(ret->calls, sink->sites[i].count);
	}
	ret->unreliable = s->wrong > s->behind + s->inside + s->own;
	if (s->n_pairs == 0 || ret->unreliable)
		return 0;
	scratch = pgo_calloc(s->n_pairs, sizeof *scratch);
	if (scratch == NULL)
		return -1;
	number_by_address(s);
	find_mean(&d);
	for (size_t i = 0; i < sink->n_sites && rc == 0; i++)
		rc = one_site(&d, &sink->sites[i], scratch, ret);
	pgo_free(scratch);
	return rc;
}
