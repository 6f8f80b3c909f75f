/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/lbr.h"

#include "pgo/core/alloc.h"

#include <string.h>

/* ---------------------------------------------------------------- columns */

static uint32_t find_stacks(const struct pgo_profile *p)
{
	for (size_t i = 0; i < p->n_sample_types; i++)
		if (strcmp(pgo_profile_str(p, p->sample_types[i].type), PGO_LBR_TYPE_STACKS) == 0 &&
			strcmp(pgo_profile_str(p, p->sample_types[i].unit), "stacks") == 0)
			return (uint32_t)i;
	return PGO_NONE;
}

static const char *const pseudo_names[] = {
	[PGO_LBR_IS_BRANCH_ONLY] = PGO_LBR_BRANCH_ONLY,
	[PGO_LBR_IS_FALLTHROUGH_ONLY] = PGO_LBR_FALLTHROUGH_ONLY,
	[PGO_LBR_IS_EXTERNAL] = PGO_LBR_EXTERNAL,
	[PGO_LBR_IS_EXTERNAL_RETURN] = PGO_LBR_EXTERNAL_RETURN,
};
enum { N_KINDS = sizeof pseudo_names / sizeof *pseudo_names };

/* Stores may move pseudo-locations into a stub mapping, so only address and name count. */
static uint8_t kind_of(
	const struct pgo_profile *p, const struct pgo_location *l, const uint32_t names[N_KINDS])
{
	const struct pgo_function *f;

	if (l->addr != 0 || l->n_lines == 0)
		return PGO_LBR_ADDR;
	f = &p->functions[p->lines[l->first_line].function];
	for (uint8_t kind = 1; kind < N_KINDS; kind++)
		if (names[kind] != PGO_STR_NONE &&
			(f->name == names[kind] || f->system_name == names[kind]))
			return kind;
	return PGO_LBR_ADDR;
}

int pgo_lbr_columns_init(
	struct pgo_lbr_columns *c, const struct pgo_profile *p, bool *ret_has, struct pgo_err *err)
{
	uint32_t names[N_KINDS];

	memset(c, 0, sizeof *c);
	c->traces = pgo_profile_sample_type(p, PGO_LBR_TYPE_TRACES);
	c->mispredicts = pgo_profile_sample_type(p, PGO_LBR_TYPE_MISPREDICTS);
	c->cycles = pgo_profile_sample_type(p, PGO_LBR_TYPE_CYCLES);
	c->executions = pgo_profile_sample_type(p, PGO_LBR_TYPE_EXECUTIONS);
	c->branches = pgo_profile_sample_type(p, PGO_LBR_TYPE_BRANCHES);
	c->ranges = pgo_profile_sample_type(p, PGO_LBR_TYPE_RANGES);
	c->stacks = find_stacks(p);
	c->end_kind = pgo_calloc(p->n_locations, sizeof *c->end_kind);
	if (c->end_kind == NULL)
		return pgo_err_nomem(err);
	c->n_locations = p->n_locations;
	for (size_t kind = 1; kind < N_KINDS; kind++)
		names[kind] =
			pgo_strtab_find(&p->strs, pseudo_names[kind], strlen(pseudo_names[kind]));
	for (size_t i = 0; i < p->n_locations; i++)
		c->end_kind[i] = kind_of(p, &p->locations[i], names);
	*ret_has = c->traces != PGO_NONE || c->branches != PGO_NONE || c->ranges != PGO_NONE ||
		   c->stacks != PGO_NONE;
	return 0;
}

void pgo_lbr_columns_fini(struct pgo_lbr_columns *c)
{
	pgo_free(c->end_kind);
	memset(c, 0, sizeof *c);
}

/* ---------------------------------------------------------------- traces of a sample */

/* A sample may hold, in this order: a trace, a branch, a range, and the branches of a ring. */
enum { PART_TRACE, PART_BRANCH, PART_RANGE, PART_RING };

static int64_t value_of(const struct pgo_sample *s, uint32_t column)
{
	return column != PGO_NONE ? s->value[column] : 0;
}

static int64_t column_or(const struct pgo_sample *s, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return value_of(s, a) | value_of(s, b) | value_of(s, c) | value_of(s, d);
}

static int wrong_length(
	const struct pgo_sample *s, const char *column, const char *want, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%u locations with a value of %s, where there must be %s; these are no branch "
		"records, or a tool between has changed the stacks",
		s->n_loc, column, want);
}

static int check_kind(const struct pgo_lbr_columns *c, uint32_t location, unsigned allowed,
	const char *place, struct pgo_err *err)
{
	uint8_t kind = c->end_kind[location];

	if ((allowed >> kind & 1) != 0)
		return 0;
	return pgo_err_set(err, PGO_EFORMAT,
		"%s stands for the %s of a branch, where it has no "
		"meaning",
		pseudo_names[kind], place);
}

enum {
	ANY_CODE = 1 << PGO_LBR_ADDR | 1 << PGO_LBR_IS_EXTERNAL,
	SOURCES = ANY_CODE | 1 << PGO_LBR_IS_FALLTHROUGH_ONLY | 1 << PGO_LBR_IS_EXTERNAL_RETURN,
	ENDS = ANY_CODE | 1 << PGO_LBR_IS_BRANCH_ONLY,
};

static int check_trace(
	const struct pgo_lbr_columns *c, const struct pgo_lbr_trace *t, struct pgo_err *err)
{
	int rc;

	if ((t->count | t->mispredicts | t->cycles | t->executions) < 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"a negative number of branches; differences of profiles cannot be used");
	rc = check_kind(c, t->target, ANY_CODE, "target", err);
	if (rc == 0 && t->source != PGO_NONE)
		rc = check_kind(c, t->source, SOURCES, "source", err);
	if (rc == 0 && t->end != PGO_NONE)
		rc = check_kind(c, t->end, ENDS, "end", err);
	return rc < 0 ? rc : 1;
}

static void add_costs(
	const struct pgo_lbr_columns *c, const struct pgo_sample *s, struct pgo_lbr_trace *t)
{
	t->mispredicts = value_of(s, c->mispredicts);
	t->cycles = value_of(s, c->cycles);
	t->executions = value_of(s, c->executions);
}

/* Are there costs that no count came with?  A store gives columns one by one. */
static bool only_costs(const struct pgo_lbr_columns *c, const struct pgo_sample *s)
{
	return column_or(s, c->traces, c->branches, c->ranges, c->stacks) == 0 &&
	       column_or(s, c->mispredicts, c->cycles, c->executions, PGO_NONE) != 0;
}

static int part_trace(const struct pgo_lbr_columns *c, const struct pgo_sample *s,
	struct pgo_lbr_trace *ret, struct pgo_err *err)
{
	bool costs = c->traces != PGO_NONE && s->n_loc == 3 && only_costs(c, s);

	if (value_of(s, c->traces) == 0 && !costs)
		return 0;
	if (s->n_loc != 3)
		return wrong_length(s, PGO_LBR_TYPE_TRACES, "three", err);
	*ret = (struct pgo_lbr_trace){.source = s->loc[2], .target = s->loc[1], .end = s->loc[0]};
	ret->count = value_of(s, c->traces);
	add_costs(c, s, ret);
	return check_trace(c, ret, err);
}

static int part_branch(const struct pgo_lbr_columns *c, const struct pgo_sample *s,
	struct pgo_lbr_trace *ret, struct pgo_err *err)
{
	bool costs = c->branches != PGO_NONE && s->n_loc == 2 && only_costs(c, s);

	if (value_of(s, c->branches) == 0 && !costs)
		return 0;
	if (s->n_loc != 2)
		return wrong_length(s, PGO_LBR_TYPE_BRANCHES, "two", err);
	*ret = (struct pgo_lbr_trace){.source = s->loc[1], .target = s->loc[0], .end = PGO_NONE};
	ret->count = value_of(s, c->branches);
	add_costs(c, s, ret);
	return check_trace(c, ret, err);
}

static int part_range(const struct pgo_lbr_columns *c, const struct pgo_sample *s,
	struct pgo_lbr_trace *ret, struct pgo_err *err)
{
	if (value_of(s, c->ranges) == 0)
		return 0;
	if (s->n_loc != 2)
		return wrong_length(s, PGO_LBR_TYPE_RANGES, "two", err);
	*ret = (struct pgo_lbr_trace){.source = PGO_NONE, .target = s->loc[1], .end = s->loc[0]};
	ret->count = value_of(s, c->ranges);
	return check_trace(c, ret, err);
}

/* Entry i of a ring: its branch, and the run up to the source of the next newer one. */
static int part_ring(const struct pgo_lbr_columns *c, const struct pgo_sample *s, uint32_t i,
	struct pgo_lbr_trace *ret, struct pgo_err *err)
{
	if (value_of(s, c->stacks) == 0 || i >= s->n_loc / 2)
		return 0;
	if (s->n_loc % 2 != 0)
		return wrong_length(s, "lbr/stacks", "an even number", err);
	*ret = (struct pgo_lbr_trace){
		.source = s->loc[2 * i],
		.target = s->loc[2 * i + 1],
		.end = i > 0 ? s->loc[2 * (i - 1)] : PGO_NONE,
		.count = value_of(s, c->stacks),
	};
	return check_trace(c, ret, err);
}

int pgo_lbr_trace_next(const struct pgo_lbr_columns *c, const struct pgo_profile *p,
	const struct pgo_sample *s, uint32_t *at, struct pgo_lbr_trace *ret, struct pgo_err *err)
{
	int rc = 0;

	(void)p;
	for (; rc == 0 && *at < PART_RING; ++*at) {
		if (*at == PART_TRACE)
			rc = part_trace(c, s, ret, err);
		else if (*at == PART_BRANCH)
			rc = part_branch(c, s, ret, err);
		else
			rc = part_range(c, s, ret, err);
	}
	if (rc == 0) {
		rc = part_ring(c, s, *at - PART_RING, ret, err);
		++*at;
	}
	return rc;
}
