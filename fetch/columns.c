/* SPDX-License-Identifier: Apache-2.0 */
/* Replies -> tuples and values; what becomes of them is columns_write.c. */
#include "fetch/columns.h"

#include "fetch/columns_impl.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/core/vec.h"

#include <string.h>

#define STRINGS_MAX ((size_t)2 << 30)

/* ---------------------------------------------------------------- tuples */

struct words {
	const uint32_t *w;
	size_t n;
};

static bool same_tuple(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_tuples *t = ctx;
	const struct words *k = key;

	return t->of[i].n == k->n &&
	       (k->n == 0 || memcmp(pgo_tuple_words(t, i), k->w, k->n * sizeof *k->w) == 0);
}

/* The index of the tuple, added if new; PGO_NONE when out of memory. */
static uint32_t intern(struct pgo_tuples *t, const uint32_t *w, size_t n)
{
	const struct words k = {w, n};
	uint64_t hash = pgo_hash(w, n * sizeof *w);
	uint32_t i = pgo_map_find(&t->map, hash, same_tuple, t, &k);
	struct pgo_tuple *to;

	if (i != PGO_MAP_NONE)
		return i;
	if (t->n >= PGO_NONE || n > UINT32_MAX ||
		PGO_VEC_RESERVE(t->words, t->words_room, t->n_words + n) < 0 ||
		(to = PGO_VEC_PUSH(t->of, t->n, t->room)) == NULL)
		return PGO_NONE;
	*to = (struct pgo_tuple){t->n_words, (uint32_t)n};
	if (n != 0)
		memcpy(t->words + t->n_words, w, n * sizeof *w);
	t->n_words += n;
	i = (uint32_t)(t->n - 1);
	return pgo_map_add(&t->map, hash, i) < 0 ? PGO_NONE : i;
}

static void tuples_fini(struct pgo_tuples *t)
{
	pgo_free(t->words);
	pgo_free(t->of);
	pgo_map_fini(&t->map);
}

/* Room for a tuple of `n` words, or NULL. */
static uint32_t *scratch(struct pgo_columns *c, size_t n)
{
	return PGO_VEC_RESERVE(c->scratch, c->scratch_room, n) < 0 ? NULL : c->scratch;
}

/* ---------------------------------------------------------------- the object */

struct pgo_columns *pgo_columns_new(struct pgo_err *err)
{
	struct pgo_columns *c = pgo_calloc(1, sizeof *c);

	if (c == NULL || pgo_strtab_init(&c->strs, STRINGS_MAX) < 0) {
		pgo_free(c);
		pgo_err_nomem(err);
		return NULL;
	}
	return c;
}

void pgo_columns_free(struct pgo_columns *c)
{
	if (c == NULL)
		return;
	tuples_fini(&c->mappings);
	tuples_fini(&c->functions);
	tuples_fini(&c->locations);
	tuples_fini(&c->labels);
	tuples_fini(&c->stacks);
	for (size_t i = 0; i < c->n_columns; i++)
		pgo_free(c->columns[i].value);
	pgo_free(c->columns);
	pgo_free(c->flags);
	pgo_free(c->scratch);
	pgo_strtab_fini(&c->strs);
	pgo_free(c);
}

static struct pgo_column *find_column(
	const struct pgo_columns *c, const char *type, const char *unit)
{
	for (size_t i = 0; i < c->n_columns; i++)
		if (strcmp(pgo_strtab_get(&c->strs, c->columns[i].type), type) == 0 &&
			strcmp(pgo_strtab_get(&c->strs, c->columns[i].unit), unit) == 0)
			return &c->columns[i];
	return NULL;
}

int64_t pgo_columns_total(const struct pgo_columns *c, const char *type, const char *unit)
{
	const struct pgo_column *col = find_column(c, type, unit);

	if (col == NULL)
		return 0;
	return col->total > INT64_MAX ? INT64_MAX : (int64_t)col->total;
}

/* ---------------------------------------------------------------- one reply */

/* A reply being read: indices of its tables -> ours, made when they are first used. */
struct reply {
	struct pgo_columns *c;
	const struct pgo_profile *p;
	uint32_t *mapping, *function, *location; /* our index + 1; 0 = not yet, for mappings also
						    those that are none */
	bool *known_mapping;
};

static int string_of(const struct reply *r, uint32_t id, uint32_t *ret)
{
	const char *s = pgo_profile_str(r->p, id);
	size_t len = id < r->p->strs.n_strs ? r->p->strs.strs[id].len : 0;

	*ret = id == 0 ? 0 : pgo_strtab_add(&r->c->strs, s, len);
	return *ret == PGO_STR_NONE ? -1 : 0;
}

/* Pyroscope puts the build-id into a JSON object with where the sources are, if it knows that; in
 * the object of the mapping that is none there is no build-id. */
static int build_id_of(const struct reply *r, uint32_t id, uint32_t *ret)
{
	const char *s = pgo_profile_str(r->p, id);
	struct pgo_jval *doc;

	if (s[0] != '{')
		return string_of(r, id, ret);
	doc = pgo_jdoc_parse("a build-id", s, strlen(s), NULL);
	if (doc == NULL)
		return string_of(r, id, ret);
	*ret = pgo_strtab_puts(&r->c->strs, pgo_jval_str(pgo_jval_get(doc, "build_id"), ""));
	pgo_jdoc_free(doc);
	return *ret == PGO_STR_NONE ? -1 : 0;
}

static uint8_t flags_of(const struct pgo_mapping *m)
{
	return (uint8_t)((m->has_functions ? PGO_CFLAG_FUNCTIONS : 0) |
			 (m->has_filenames ? PGO_CFLAG_FILES : 0) |
			 (m->has_line_numbers ? PGO_CFLAG_LINES : 0) |
			 (m->has_inline_frames ? PGO_CFLAG_INLINE : 0));
}

/* A mapping that says nothing at all stands for "none". */
static int take_mapping(struct reply *r, uint32_t i)
{
	const struct pgo_mapping *m = &r->p->mappings[i];
	struct pgo_columns *c = r->c;
	uint32_t w[PGO_CM_WORDS], at;

	r->known_mapping[i] = true;
	pgo_words_put64(w + PGO_CM_START, m->start);
	pgo_words_put64(w + PGO_CM_LIMIT, m->limit);
	pgo_words_put64(w + PGO_CM_OFFSET, m->offset);
	if (string_of(r, m->filename, &w[PGO_CM_FILE]) < 0 ||
		build_id_of(r, m->build_id, &w[PGO_CM_ID]) < 0)
		return -1;
	if (m->start == 0 && m->limit == 0 && m->offset == 0 && w[PGO_CM_FILE] == 0 &&
		w[PGO_CM_ID] == 0)
		return 0;
	at = intern(&c->mappings, w, PGO_CM_WORDS);
	if (at == PGO_NONE || PGO_VEC_RESERVE(c->flags, c->flags_room, c->mappings.n) < 0)
		return -1;
	while (c->n_flags < c->mappings.n)
		c->flags[c->n_flags++] = 0;
	c->flags[at] |= flags_of(m);
	r->mapping[i] = at + 1;
	return 0;
}

static int take_function(struct reply *r, uint32_t i)
{
	const struct pgo_function *f = &r->p->functions[i];
	uint32_t w[PGO_CF_WORDS], at;

	if (string_of(r, f->name, &w[PGO_CF_NAME]) < 0 ||
		string_of(r, f->system_name, &w[PGO_CF_SYSTEM]) < 0 ||
		string_of(r, f->filename, &w[PGO_CF_FILE]) < 0)
		return -1;
	pgo_words_put64(w + PGO_CF_LINE, (uint64_t)f->start_line);
	at = intern(&r->c->functions, w, PGO_CF_WORDS);
	r->function[i] = at + 1;
	return at == PGO_NONE ? -1 : 0;
}

static int take_location(struct reply *r, uint32_t i)
{
	const struct pgo_location *l = &r->p->locations[i];
	const struct pgo_line *lines = r->p->lines + l->first_line;
	uint32_t *w, at;

	if (l->mapping != PGO_NONE && !r->known_mapping[l->mapping] &&
		take_mapping(r, l->mapping) < 0)
		return -1;
	for (uint32_t k = 0; k < l->n_lines; k++)
		if (r->function[lines[k].function] == 0 && take_function(r, lines[k].function) < 0)
			return -1;
	w = scratch(r->c, PGO_CL_LINES + (size_t)l->n_lines * PGO_CN_WORDS);
	if (w == NULL)
		return -1;
	w[PGO_CL_MAPPING] = l->mapping != PGO_NONE ? r->mapping[l->mapping] - 1 : PGO_NONE;
	pgo_words_put64(w + PGO_CL_ADDR, l->addr);
	w[PGO_CL_FOLDED] = l->folded;
	for (uint32_t k = 0; k < l->n_lines; k++) {
		uint32_t *to = w + PGO_CL_LINES + (size_t)k * PGO_CN_WORDS;

		to[PGO_CN_FUNCTION] = r->function[lines[k].function] - 1;
		pgo_words_put64(to + PGO_CN_LINE, (uint64_t)lines[k].line);
		pgo_words_put64(to + PGO_CN_COLUMN, (uint64_t)lines[k].column);
	}
	at = intern(&r->c->locations, w, PGO_CL_LINES + (size_t)l->n_lines * PGO_CN_WORDS);
	r->location[i] = at + 1;
	return at == PGO_NONE ? -1 : 0;
}

static uint32_t take_labels(struct reply *r, const struct pgo_sample *s)
{
	uint32_t *w = scratch(r->c, (size_t)s->n_label * PGO_CB_WORDS + 1);

	if (w == NULL)
		return PGO_NONE;
	for (uint32_t i = 0; i < s->n_label; i++) {
		const struct pgo_label *l = &s->label[i];
		uint32_t *to = w + (size_t)i * PGO_CB_WORDS;

		if (string_of(r, l->key, &to[PGO_CB_KEY]) < 0 ||
			string_of(r, l->str, &to[PGO_CB_STR]) < 0 ||
			string_of(r, l->num_unit, &to[PGO_CB_UNIT]) < 0)
			return PGO_NONE;
		pgo_words_put64(to + PGO_CB_NUM, (uint64_t)l->num);
	}
	return intern(&r->c->labels, w, (size_t)s->n_label * PGO_CB_WORDS);
}

static uint32_t take_stack(struct reply *r, const struct pgo_sample *s)
{
	uint32_t labels = take_labels(r, s), *w;

	for (uint32_t i = 0; i < s->n_loc; i++)
		if (r->location[s->loc[i]] == 0 && take_location(r, s->loc[i]) < 0)
			return PGO_NONE;
	w = scratch(r->c, PGO_CS_LOCS + (size_t)s->n_loc);
	if (w == NULL || labels == PGO_NONE)
		return PGO_NONE;
	w[PGO_CS_LABELS] = labels;
	for (uint32_t i = 0; i < s->n_loc; i++)
		w[PGO_CS_LOCS + i] = r->location[s->loc[i]] - 1;
	return intern(&r->c->stacks, w, PGO_CS_LOCS + (size_t)s->n_loc);
}

static int add_value(struct reply *r, struct pgo_column *col, const struct pgo_sample *s,
	int64_t factor, struct pgo_err *err)
{
	int64_t v = s->value[0];
	uint32_t stack;

	if (v == 0)
		return 0;
	if (factor > 1 && v % factor != 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"the value %lld is no multiple of the period %lld that the store "
			"multiplied "
			"it by",
			(long long)v, (long long)factor);
	v /= factor;
	stack = take_stack(r, s);
	if (stack == PGO_NONE || PGO_VEC_RESERVE(col->value, col->room, (size_t)stack + 1) < 0)
		return pgo_err_nomem(err);
	while (col->n <= stack)
		col->value[col->n++] = 0;
	if (__builtin_add_overflow(col->value[stack], v, &col->value[stack]))
		return pgo_err_set(
			err, PGO_EFORMAT, "the values of one stack add up to more than 64 bits");
	col->total += v;
	return 0;
}

static int read_samples(struct reply *r, struct pgo_reader *rd, struct pgo_column *col,
	int64_t factor, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pgo_reader_next(rd, &s, err)) > 0)
		if ((rc = add_value(r, col, &s, factor, err)) < 0)
			break;
	return rc;
}

static int read_reply(struct pgo_columns *c, struct pgo_column *col, struct pgo_reader *rd,
	int64_t factor, struct pgo_err *err)
{
	const struct pgo_profile *p = rd->head;
	struct reply r = {.c = c, .p = p};
	int rc;

	if (p->n_sample_types == 0) /* what an empty answer looks like */
		return 0;
	if (p->n_sample_types > 1)
		return pgo_err_set(err, PGO_EFORMAT,
			"the store was asked for one sample type and gave %zu", p->n_sample_types);
	r.mapping = pgo_calloc(p->n_mappings, sizeof *r.mapping);
	r.known_mapping = pgo_calloc(p->n_mappings, sizeof *r.known_mapping);
	r.function = pgo_calloc(p->n_functions, sizeof *r.function);
	r.location = pgo_calloc(p->n_locations, sizeof *r.location);
	if (r.mapping == NULL || r.known_mapping == NULL || r.function == NULL ||
		r.location == NULL)
		rc = pgo_err_nomem(err);
	else
		rc = read_samples(&r, rd, col, factor, err);
	pgo_free(r.mapping);
	pgo_free(r.known_mapping);
	pgo_free(r.function);
	pgo_free(r.location);
	return rc;
}

int pgo_columns_add_divided(struct pgo_columns *c, const char *type, const char *unit,
	struct pgo_reader *r, int64_t factor, struct pgo_err *err)
{
	struct pgo_column *col = find_column(c, type, unit);

	if (col == NULL) {
		col = PGO_VEC_PUSH(c->columns, c->n_columns, c->columns_room);
		if (col == NULL)
			return pgo_err_nomem(err);
		col->type = pgo_strtab_puts(&c->strs, type);
		col->unit = pgo_strtab_puts(&c->strs, unit);
		if (col->type == PGO_STR_NONE || col->unit == PGO_STR_NONE)
			return pgo_err_nomem(err);
	}
	return r != NULL ? read_reply(c, col, r, factor > 1 ? factor : 1, err) : 0;
}

int pgo_columns_add(struct pgo_columns *c, const char *type, const char *unit, struct pgo_reader *r,
	struct pgo_err *err)
{
	return pgo_columns_add_divided(c, type, unit, r, 1, err);
}

bool pgo_columns_is_empty(const struct pgo_columns *c)
{
	return c->stacks.n == 0;
}
