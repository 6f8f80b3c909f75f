/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles in: every sample becomes a trace or a plain sample of the binary, or a named loss. */
#include "convert/convert_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/lbr.h"
#include "pgo/core/vec.h"

#include <string.h>

/* Of struct pgo_convert_other: name and build-id. */
#define OTHER_KEY (2 * sizeof(uint32_t))

/* Where a location is: in which binary, and why, if in none. */
struct place {
	uint64_t vaddr;
	uint32_t part; /* index; PGO_NONE: of no binary */
	uint8_t loss;  /* enum pgo_loss; of that part where there is one */
};

/* One input while it is read. */
struct intake {
	struct pgo_convert *c;
	const struct pgo_profile *p;
	struct place *at;           /* per location */
	uint32_t *owner;            /* per mapping: part or PGO_NONE */
	uint64_t *traces, *samples; /* per mapping without an owner */
	struct pgo_lbr_columns lbr;
	uint32_t plain; /* value index of plain samples, or PGO_NONE */
	bool has_lbr;
	struct frame *frames; /* per location; made when the first call stack comes */
};

/* The function of a location, as its part's call stacks number it; looked for once. */
struct frame {
	uint32_t leaf, caller;
	bool leaf_known, caller_known;
};

/* Remembers what the profile was taken from instead, for the message if nothing fits. */
static void note_others(struct intake *in)
{
	struct pgo_convert *c = in->c;

	for (size_t i = 0; i < in->p->n_mappings; i++) {
		const char *file = pgo_profile_str(in->p, in->p->mappings[i].filename);
		bool same_name = false;

		if (in->owner[i] != PGO_NONE)
			continue;
		for (size_t k = 0; k < c->n_parts; k++) {
			struct pgo_convert_part *part = c->parts[k];

			if (strcmp(pgo_path_base(file), part->account.name) != 0)
				continue;
			same_name = true;
			if (part->other_build[0] == '\0')
				pgo_build_id_normalize(
					pgo_profile_str(in->p, in->p->mappings[i].build_id),
					part->other_build);
		}
		if (!same_name && c->other_file == NULL && file[0] != '\0')
			c->other_file = pgo_strdup(file);
	}
}

/* ------------------------------------------------------------------ places */

/* A build-id on both sides leaves no doubt; names without one may. */
static bool sure(const struct intake *in, uint32_t part, size_t mapping)
{
	return in->c->parts[part]->elf->build_id[0] != '\0' &&
	       pgo_profile_str(in->p, in->p->mappings[mapping].build_id)[0] != '\0';
}

static int claim_mappings(
	struct intake *in, uint32_t part, const struct pgo_resolver *res, struct pgo_err *err)
{
	for (size_t i = 0; i < in->p->n_mappings; i++) {
		uint32_t other = in->owner[i];

		if (!res->ours[i])
			continue;
		if (other == PGO_NONE || (!sure(in, other, i) && sure(in, part, i)))
			in->owner[i] = part;
		else if (sure(in, other, i) == sure(in, part, i))
			return pgo_err_set(err, PGO_EUSAGE,
				"both %s and %s may be what the profile calls %s, because "
				"build-ids "
				"are missing; convert them one by one",
				in->c->parts[other]->elf->path, in->c->parts[part]->elf->path,
				pgo_profile_str(in->p, in->p->mappings[i].filename));
	}
	return 0;
}

/* What part `k` knows of the locations: its own, and why others are nobody's. */
static void take_places(struct intake *in, uint32_t k, const struct pgo_resolver *res)
{
	for (size_t i = 0; i < in->p->n_locations; i++) {
		uint32_t m = in->p->locations[i].mapping;
		const struct pgo_resolved *r = &res->at[i];
		struct place *at = &in->at[i];

		if (m != PGO_NONE && in->owner[m] == k)
			*at = (struct place){r->vaddr, k, r->loss};
		else if (at->part == PGO_NONE && at->loss == PGO_LOSS_OTHER_BINARY &&
			 r->loss != PGO_LOSS_NONE)
			at->loss = r->loss;
	}
}

static int find_places(struct intake *in, struct pgo_err *err)
{
	const struct pgo_profile *p = in->p;
	int rc = 0;

	in->at = pgo_calloc(p->n_locations, sizeof *in->at);
	in->owner = pgo_calloc(p->n_mappings, sizeof *in->owner);
	in->traces = pgo_calloc(p->n_mappings, sizeof *in->traces);
	in->samples = pgo_calloc(p->n_mappings, sizeof *in->samples);
	if (in->at == NULL || in->owner == NULL || in->traces == NULL || in->samples == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < p->n_mappings; i++)
		in->owner[i] = PGO_NONE;
	for (size_t i = 0; i < p->n_locations; i++)
		in->at[i] = (struct place){.part = PGO_NONE,
			.loss = p->locations[i].mapping == PGO_NONE ? PGO_LOSS_NO_MAPPING
								    : PGO_LOSS_OTHER_BINARY};
	for (uint32_t k = 0; k < in->c->n_parts && rc == 0; k++) {
		struct pgo_resolver res;

		rc = pgo_resolver_init(&res, p, in->c->parts[k]->elf, NULL, err);
		if (rc < 0)
			break;
		rc = claim_mappings(in, k, &res, err);
		take_places(in, k, &res);
		pgo_resolver_fini(&res);
	}
	return rc;
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

/* One end of a trace: an address of part `part`, or a stand-in. */
struct end {
	uint64_t addr;
	uint32_t part;
	uint8_t loss;
};

static struct end place(const struct intake *in, uint32_t loc, bool is_source)
{
	const struct place *at;

	if (loc == PGO_NONE)
		return (struct end){PGO_AT_NONE, PGO_NONE, PGO_LOSS_NONE};
	switch ((enum pgo_lbr_end)in->lbr.end_kind[loc]) {
	case PGO_LBR_IS_BRANCH_ONLY:
	case PGO_LBR_IS_FALLTHROUGH_ONLY:
		return (struct end){PGO_AT_NONE, PGO_NONE, PGO_LOSS_NONE};
	case PGO_LBR_IS_EXTERNAL_RETURN:
		return (struct end){is_source ? PGO_AT_OUTSIDE_RETURN : PGO_AT_OUTSIDE, PGO_NONE,
			PGO_LOSS_OTHER_BINARY};
	case PGO_LBR_IS_EXTERNAL:
		return (struct end){PGO_AT_OUTSIDE, PGO_NONE, PGO_LOSS_OTHER_BINARY};
	case PGO_LBR_ADDR:
		break;
	}
	at = &in->at[loc];
	return (struct end){
		at->loss == PGO_LOSS_NONE ? at->vaddr : PGO_AT_OUTSIDE, at->part, at->loss};
}

static void bump(uint64_t *counter, uint64_t n)
{
	*counter = pgo_add_sat(*counter, n);
}

/* Whose loss it is: the sum's always, and the part's whose address it is. */
static struct pgo_account *account_of(const struct intake *in, uint32_t part)
{
	return part != PGO_NONE ? &in->c->parts[part]->account : NULL;
}

/* The end as part `k` sees it. */
static uint64_t seen_from(const struct end *e, uint32_t k)
{
	return pgo_at_inside(e->addr) && e->part != k ? PGO_AT_OUTSIDE : e->addr;
}

static void use_branch(struct pgo_account *a, uint64_t source, uint64_t target, uint64_t count)
{
	bump(&a->branches_used, count);
	if (!pgo_at_inside(source))
		bump(&a->branches_entering, count);
	if (!pgo_at_inside(target))
		bump(&a->branches_leaving, count);
}

/* A branch between two places neither of which is in a binary. */
static void lose_branch(struct intake *in, const struct end *target, uint32_t loc, uint64_t count)
{
	struct pgo_account *own = account_of(in, target->part);
	uint32_t m = loc != PGO_NONE ? in->p->locations[loc].mapping : PGO_NONE;

	bump(&in->c->account.branch_loss[target->loss], count);
	if (own != NULL)
		bump(&own->branch_loss[target->loss], count);
	else if (m != PGO_NONE)
		bump(&in->traces[m], count);
}

static void lose_range(struct intake *in, const struct end *at, uint64_t count)
{
	struct pgo_account *own = account_of(in, at->part);

	bump(&in->c->account.range_loss[at->loss], count);
	if (own != NULL)
		bump(&own->range_loss[at->loss], count);
}

/* Adds what of the trace is part `k`'s. */
static int add_to_part(struct intake *in, uint32_t k, const struct end *source,
	const struct end *target, uint64_t end, struct pgo_trace t)
{
	struct pgo_convert_part *part = in->c->parts[k];

	t.source = seen_from(source, k);
	t.target = seen_from(target, k);
	t.end = pgo_at_inside(t.target) ? end : PGO_AT_NONE;
	if (t.source != PGO_AT_NONE && t.target != PGO_AT_NONE) {
		if (pgo_at_inside(t.source) || pgo_at_inside(t.target))
			use_branch(&part->account, t.source, t.target, t.count);
		else
			t.source = PGO_AT_NONE;
	}
	if ((t.source == PGO_AT_NONE || t.target == PGO_AT_NONE) && t.end == PGO_AT_NONE)
		return 0;
	return pgo_ranges_add(&part->ranges, &t);
}

/* Books the branch and the range of a trace; either may be lost, or not be there at all. */
static int add_trace(struct intake *in, const struct pgo_lbr_trace *lt)
{
	struct pgo_account *a = &in->c->account;
	struct end source = place(in, lt->source, true), target = place(in, lt->target, false);
	struct end end = place(in, lt->end, false);
	struct pgo_trace t = {
		.count = (uint64_t)lt->count,
		.mispreds = (uint64_t)lt->mispredicts,
		.executions = (uint64_t)lt->executions,
	};

	if (t.executions == 0) {
		bump(&a->unestimated, t.count);
	} else {
		bump(&in->c->estimated, t.executions);
		bump(&in->c->estimated_records, t.count);
	}
	if (source.addr != PGO_AT_NONE && target.addr != PGO_AT_NONE) {
		bump(&a->branches_read, t.count);
		if (pgo_at_inside(source.addr) || pgo_at_inside(target.addr))
			use_branch(a, source.addr, target.addr, t.count);
		else
			lose_branch(in, &target, lt->target, t.count);
	}
	if (end.addr != PGO_AT_NONE) {
		bump(&a->ranges_read, t.count);
		if (!pgo_at_inside(target.addr)) {
			lose_range(in, &target, t.count);
			end.addr = PGO_AT_NONE;
		} else if (!pgo_at_inside(end.addr) || end.part != target.part) {
			end.loss = end.loss != PGO_LOSS_NONE ? end.loss : PGO_LOSS_OTHER_BINARY;
			end.part = end.loss == PGO_LOSS_OTHER_BINARY ? PGO_NONE : end.part;
			lose_range(in, &end, t.count);
			end.addr = PGO_AT_NONE;
		} else {
			bump(&in->c->parts[target.part]->ranges_inside, t.count);
		}
	}
	if (pgo_at_inside(target.addr) &&
		add_to_part(in, target.part, &source, &target, end.addr, t) < 0)
		return -1;
	if (pgo_at_inside(source.addr) &&
		(!pgo_at_inside(target.addr) || source.part != target.part))
		return add_to_part(in, source.part, &source, &target, PGO_AT_NONE, t);
	return 0;
}

/* ------------------------------------------------------------------ call stacks */

/* The function at frame i of a sample, in part k; a caller's address may be behind its end. */
static int frame_function(
	struct intake *in, uint32_t k, const struct pgo_sample *s, uint32_t i, uint32_t *ret)
{
	const struct place *at = &in->at[s->loc[i]];
	struct frame *f = &in->frames[s->loc[i]];
	bool *known = i == 0 ? &f->leaf_known : &f->caller_known;
	uint32_t *fn = i == 0 ? &f->leaf : &f->caller;

	*ret = PGO_CALLSTACK_OUTSIDE;
	if (at->part != k || at->loss != PGO_LOSS_NONE)
		return 0;
	if (!*known &&
		pgo_callstack_function(&in->c->parts[k]->stacks, at->vaddr - (i != 0), fn) < 0)
		return -1;
	*known = true;
	*ret = *fn;
	return 0;
}

static int add_stack_of(struct intake *in, uint32_t k, const struct pgo_sample *s, uint64_t n)
{
	struct pgo_callstack *stacks = &in->c->parts[k]->stacks;
	uint32_t above = PGO_CALLSTACK_OUTSIDE, fn;

	pgo_callstack_begin(stacks);
	for (uint32_t i = 0; i < s->n_loc; i++) {
		const struct place *at = &in->at[s->loc[i]];

		if (frame_function(in, k, s, i, &fn) < 0)
			return -1;
		pgo_callstack_on(stacks, fn, n);
		if (i != 0 && at->part == k && at->loss == PGO_LOSS_NONE &&
			pgo_callstack_under(stacks, at->vaddr, above, n) < 0)
			return -1;
		above = fn;
	}
	return 0;
}

/* Shows the stack to each part that has a frame on it. */
static int add_stack(struct intake *in, const struct pgo_sample *s, uint64_t n, struct pgo_err *err)
{
	if (in->frames == NULL)
		in->frames = pgo_calloc(in->p->n_locations, sizeof *in->frames);
	if (in->frames == NULL)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < s->n_loc; i++) {
		uint32_t k = in->at[s->loc[i]].part, j = 0;
		struct pgo_convert_part *part;

		while (j < i && in->at[s->loc[j]].part != k)
			j++;
		if (k == PGO_NONE || j < i)
			continue;
		part = in->c->parts[k];
		if (part->stacks.code == NULL) {
			int rc = pgo_convert_open_symbols(in->c, part, err);

			if (rc < 0)
				return rc;
			pgo_callstack_init(&part->stacks,
				part->debug_elf != NULL ? part->debug_elf : part->elf, part->elf);
		}
		if (add_stack_of(in, k, s, n) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

/* ------------------------------------------------------------------ samples */

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* What one sample counts as: a weight, or the time between two of them. */
static void note_unit(struct pgo_convert *c, uint64_t n)
{
	if (c->unit_divisor != 1)
		c->unit_divisor = common_divisor(n, c->unit_divisor);
	if (c->unit_least == 0 || n < c->unit_least)
		c->unit_least = n;
}

/* The part whose names a location without an address may have; PGO_NONE if it has neither. */
static uint32_t symbolic_part(const struct intake *in, uint32_t loc)
{
	const struct pgo_location *l = &in->p->locations[loc];
	const struct place *at = &in->at[loc];
	const struct pgo_mapping *m;

	if (l->n_lines == 0 || in->has_lbr)
		return PGO_NONE;
	if (at->part != PGO_NONE)
		return at->loss == PGO_LOSS_SYMBOL_ONLY || at->loss == PGO_LOSS_ERASED ? at->part
										       : PGO_NONE;
	m = l->mapping != PGO_NONE ? &in->p->mappings[l->mapping] : NULL;
	/* Whose it is is not said; there is one program to ask. */
	return in->c->n_parts == 1 && l->addr == 0 &&
			       (m == NULL || (m->filename == 0 && m->build_id == 0))
		       ? 0
		       : PGO_NONE;
}

static int add_plain(struct intake *in, const struct pgo_sample *s)
{
	struct pgo_account *sum = &in->c->account, *own;
	const struct place *at;
	uint32_t m, part;
	uint64_t n;

	if (in->plain == PGO_NONE || s->n_loc == 0 || s->value[in->plain] <= 0)
		return 0;
	n = (uint64_t)s->value[in->plain];
	bump(&sum->plain_read, n);
	note_unit(in->c, n);
	if (!in->has_lbr)
		bump(&in->c->plain_alone, n);
	at = &in->at[s->loc[0]];
	own = account_of(in, at->part);
	if (at->loss == PGO_LOSS_NONE) {
		bump(&sum->plain_used, n);
		bump(&own->plain_used, n);
		return pgo_ranges_add_ip(&in->c->parts[at->part]->ranges, at->vaddr, n);
	}
	part = symbolic_part(in, s->loc[0]);
	if (part != PGO_NONE && in->c->o.allow_symbolic)
		return pgo_symbolic_add(&in->c->parts[part]->symbolic, in->p, s->loc[0], n);
	if (part != PGO_NONE)
		bump(&in->c->nameless, n);
	bump(&sum->plain_loss[at->loss], n);
	m = in->p->locations[s->loc[0]].mapping;
	if (own != NULL)
		bump(&own->plain_loss[at->loss], n);
	else if (m != PGO_NONE)
		bump(&in->samples[m], n);
	return 0;
}

static struct pgo_go_place go_place(const void *ctx, uint32_t location)
{
	const struct intake *in = ctx;
	const struct place *at = &in->at[location];
	const struct pgo_symbol *symbol;

	if (at->loss != PGO_LOSS_NONE)
		return (struct pgo_go_place){0, PGO_NONE, NULL};
	symbol = pgo_elf_symbol(in->c->parts[at->part]->elf, at->vaddr);
	return (struct pgo_go_place){at->vaddr, at->part, symbol != NULL ? symbol->name : NULL};
}

static int add_go(struct intake *in, const struct pgo_sample *s, struct pgo_err *err)
{
	if (in->c->go == NULL || in->plain == PGO_NONE || s->value[in->plain] <= 0)
		return 0;
	return pgo_gopgo_sample(in->c->go, s, (uint64_t)s->value[in->plain], go_place, in, err);
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
		rc = add_go(in, &s, err);
		if (rc < 0)
			return rc;
		if (!in->has_lbr && in->plain != PGO_NONE && s.n_loc > 1 &&
			s.value[in->plain] > 0) {
			rc = add_stack(in, &s, (uint64_t)s.value[in->plain], err);
			if (rc < 0)
				return rc;
		}
	}
	return rc;
}

/* ------------------------------------------------------------------ what is missing */

static struct pgo_convert_other *other_of(
	struct pgo_convert *c, const struct pgo_mapping *m, const struct pgo_profile *p)
{
	struct pgo_convert_other key = {0}, *o;
	char build_id[129];
	uint32_t i;

	pgo_build_id_normalize(pgo_profile_str(p, m->build_id), build_id);
	key.name = pgo_strtab_puts(&c->names, pgo_profile_str(p, m->filename));
	key.build_id = pgo_strtab_puts(&c->names, build_id);
	if (key.name == PGO_STR_NONE || key.build_id == PGO_STR_NONE)
		return NULL;
	i = pgo_map_find_key(&c->other_map, c->others, sizeof *c->others, &key.name, OTHER_KEY);
	if (i != PGO_MAP_NONE)
		return &c->others[i];
	o = PGO_VEC_PUSH(c->others, c->n_others, c->others_room);
	if (o == NULL || pgo_map_add_key(&c->other_map, &key.name, OTHER_KEY,
				 (uint32_t)(c->n_others - 1)) < 0)
		return NULL;
	*o = key;
	return o;
}

static int keep_others(struct intake *in)
{
	for (size_t i = 0; i < in->p->n_mappings; i++) {
		struct pgo_convert_other *o;

		if (in->traces[i] == 0 && in->samples[i] == 0)
			continue;
		o = other_of(in->c, &in->p->mappings[i], in->p);
		if (o == NULL)
			return -1;
		bump(&o->traces, in->traces[i]);
		bump(&o->samples, in->samples[i]);
	}
	return 0;
}

int pgo_convert_add(struct pgo_convert *c, struct pgo_reader *r, struct pgo_err *err)
{
	struct intake in = {.c = c, .p = r->head};
	int rc;

	rc = pgo_convert_find_parts(c, in.p, err);
	if (rc == 0)
		rc = find_places(&in, err);
	if (rc == 0)
		rc = pgo_lbr_columns_init(&in.lbr, in.p, &in.has_lbr, err);
	if (rc < 0)
		goto out;
	note_others(&in);
	in.plain = plain_column(in.p, &in.lbr);
	if (in.plain != PGO_NONE && c->event == NULL)
		c->event = pgo_strdup(pgo_profile_str(in.p, in.p->sample_types[in.plain].type));
	if (in.has_lbr && in.lbr.executions == PGO_NONE)
		c->executions = false;
	if (in.plain != PGO_NONE &&
		strcmp(pgo_profile_str(in.p, in.p->sample_types[in.plain].unit), "count") != 0)
		c->unit_is_time = true;
	c->account.inputs++;
	c->account.inputs_plain += !in.has_lbr;
	rc = c->go != NULL ? pgo_gopgo_begin(c->go, in.p, err) : 0;
	if (rc == 0)
		rc = add_samples(&in, r, err);
	if (rc == 0 && keep_others(&in) < 0)
		rc = pgo_err_nomem(err);
out:
	pgo_lbr_columns_fini(&in.lbr);
	pgo_free(in.at);
	pgo_free(in.owner);
	pgo_free(in.traces);
	pgo_free(in.samples);
	pgo_free(in.frames);
	return rc < 0 ? pgo_err_prefix(err, "%s", r->name) : 0;
}
