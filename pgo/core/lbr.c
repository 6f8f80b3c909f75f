/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/lbr.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

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

int pgo_lbr_trace_of(const struct pgo_lbr_columns *c, const struct pgo_profile *p,
	const struct pgo_sample *s, struct pgo_lbr_trace *ret, struct pgo_err *err)
{
	struct pgo_lbr_trace first, more;
	uint32_t at = 0;
	int rc = pgo_lbr_trace_next(c, p, s, &at, &first, err);

	if (rc <= 0)
		return rc;
	rc = pgo_lbr_trace_next(c, p, s, &at, &more, err);
	if (rc < 0)
		return rc;
	if (rc > 0)
		return pgo_err_set(err, PGO_EMISMATCH,
			"one sample holds several branches; only the lbr_traces form can be read "
			"here");
	*ret = first;
	return 1;
}

/* ---------------------------------------------------------------- sums by (source, target, end) */

struct lbr_slot {
	uint32_t row1; /* row + 1; 0 = free */
	uint32_t hash;
};

struct pgo_lbr_table {
	struct pgo_lbr_row *rows;
	size_t n_rows, rows_room;
	struct lbr_slot *slots; /* power of two; NULL after the rows were sorted */
	size_t n_slots;
	bool sorted;
};

struct pgo_lbr_table *pgo_lbr_table_new(struct pgo_err *err)
{
	struct pgo_lbr_table *t = pgo_calloc(1, sizeof *t);

	if (t == NULL)
		pgo_err_nomem(err);
	return t;
}

void pgo_lbr_table_free(struct pgo_lbr_table *t)
{
	if (t == NULL)
		return;
	pgo_free(t->rows);
	pgo_free(t->slots);
	pgo_free(t);
}

/* Multiply and fold: every bit of both words reaches every bit of the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	__uint128_t m = (__uint128_t)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint32_t row_hash(const struct pgo_lbr_row *r)
{
	uint64_t h =
		fold(r->source.vaddr ^ 0x9e3779b97f4a7c15u, r->target.vaddr ^ 0xd6e8feb86659fd93u);

	h ^= fold(r->end.vaddr ^ 0xa0761d6478bd642fu,
		((uint64_t)r->source.image << 32 | r->target.image) ^ 0xe7037ed1a0b428dbu);
	h = fold(h ^ r->end.image, 0x8ebc6af09c88c6e3u);
	return (uint32_t)(h ^ h >> 32);
}

static bool same_point(const struct pgo_lbr_point *a, const struct pgo_lbr_point *b)
{
	return a->vaddr == b->vaddr && a->image == b->image;
}

static bool same_key(const struct pgo_lbr_row *a, const struct pgo_lbr_row *b)
{
	return same_point(&a->source, &b->source) && same_point(&a->target, &b->target) &&
	       same_point(&a->end, &b->end);
}

static void place(struct lbr_slot *slots, size_t mask, uint32_t hash, uint32_t row1)
{
	size_t i = hash & mask;

	while (slots[i].row1 != 0)
		i = (i + 1) & mask;
	slots[i] = (struct lbr_slot){row1, hash};
}

/* A new table of slots for the rows there are and as many again. */
static int index_rows(struct pgo_lbr_table *t)
{
	size_t n = 1024;
	struct lbr_slot *slots;

	while (n < t->n_rows * 4)
		n *= 2;
	slots = pgo_calloc(n, sizeof *slots);
	if (slots == NULL)
		return PGO_ENOMEM;
	for (size_t i = 0; i < t->n_rows; i++)
		place(slots, n - 1, row_hash(&t->rows[i]), (uint32_t)i + 1);
	pgo_free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	return 0;
}

static uint64_t add_sat(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static struct pgo_lbr_row *find_or_add(struct pgo_lbr_table *t, const struct pgo_lbr_row *key)
{
	uint32_t hash = row_hash(key);
	struct pgo_lbr_row *to;
	size_t mask, i;

	if ((t->slots == NULL || t->n_rows * 2 >= t->n_slots) && index_rows(t) < 0)
		return NULL;
	mask = t->n_slots - 1;
	for (i = hash & mask; t->slots[i].row1 != 0; i = (i + 1) & mask)
		if (t->slots[i].hash == hash && same_key(&t->rows[t->slots[i].row1 - 1], key))
			return &t->rows[t->slots[i].row1 - 1];
	if (t->n_rows >= UINT32_MAX - 1)
		return NULL;
	to = PGO_VEC_PUSH(t->rows, t->n_rows, t->rows_room);
	if (to == NULL)
		return NULL;
	*to = *key;
	t->sorted = false;
	t->slots[i] = (struct lbr_slot){(uint32_t)t->n_rows, hash};
	return to;
}

int pgo_lbr_table_add(struct pgo_lbr_table *t, struct pgo_lbr_point source,
	struct pgo_lbr_point target, struct pgo_lbr_point end, uint64_t count, uint64_t mispredicts,
	uint64_t cycles, uint64_t executions)
{
	struct pgo_lbr_row key = {.source = source, .target = target, .end = end};
	struct pgo_lbr_row *r;

	key.source.zero = key.target.zero = key.end.zero = 0;
	r = find_or_add(t, &key);
	if (r == NULL)
		return PGO_ENOMEM;
	r->count = add_sat(r->count, count);
	r->mispredicts = add_sat(r->mispredicts, mispredicts);
	r->cycles = add_sat(r->cycles, cycles);
	r->executions = add_sat(r->executions, executions);
	return 0;
}

size_t pgo_lbr_table_size(const struct pgo_lbr_table *t)
{
	return t->n_rows;
}

static int point_cmp(const struct pgo_lbr_point *a, const struct pgo_lbr_point *b)
{
	if (a->image != b->image)
		return a->image < b->image ? -1 : 1;
	return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

static int row_cmp(const void *a, const void *b)
{
	const struct pgo_lbr_row *x = a, *y = b;
	int c = point_cmp(&x->source, &y->source);

	if (c == 0)
		c = point_cmp(&x->target, &y->target);
	return c != 0 ? c : point_cmp(&x->end, &y->end);
}

const struct pgo_lbr_row *pgo_lbr_table_rows(struct pgo_lbr_table *t)
{
	if (t->sorted)
		return t->rows;
	/* The slots name rows by position: they are made again when something is added. */
	pgo_free(t->slots);
	t->slots = NULL;
	t->n_slots = 0;
	if (t->n_rows != 0)
		qsort(t->rows, t->n_rows, sizeof *t->rows, row_cmp);
	t->sorted = true;
	return t->rows;
}
