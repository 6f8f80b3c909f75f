/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of an input -> ids of the tables.  They are translated on first use by a sample that is not
 * zero, so that what no sample needs never enters, and each string, function and location of the
 * input is hashed once however many samples name it.
 */
#include "merge/tables.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

/* `n` ids, all PGO_NONE. */
static int fresh(uint32_t **ids, size_t *room, size_t n)
{
	if (PGO_VEC_RESERVE(*ids, *room, n) < 0)
		return -1;
	if (n != 0)
		memset(*ids, 0xff, n * sizeof **ids);
	return 0;
}

int pgo_mt_str(struct pgo_merge *m, uint32_t id, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_strtab *strs = &r->head->strs;

	if (id >= strs->n_strs)
		return pgo_err_set(err, PGO_EFORMAT, "string %u is not in the table", id);
	if (id >= r->n_str) { /* the reader interned more since the input began */
		if (PGO_VEC_RESERVE(r->str, r->str_room, strs->n_strs) < 0)
			return pgo_err_nomem(err);
		memset(r->str + r->n_str, 0xff, (strs->n_strs - r->n_str) * sizeof *r->str);
		r->n_str = strs->n_strs;
	}
	if (r->str[id] == PGO_NONE) {
		r->str[id] = pgo_strtab_take(&m->strs, &strs->strs[id]);
		if (r->str[id] == PGO_STR_NONE)
			return pgo_err_nomem(err);
	}
	*ret = r->str[id];
	return 0;
}

int pgo_mt_str_cmp(const struct pgo_merge *m, uint32_t a, uint32_t b)
{
	const struct pgo_str *sa = &m->strs.strs[a], *sb = &m->strs.strs[b];
	int c = memcmp(sa->s, sb->s, sa->len < sb->len ? sa->len : sb->len);

	return c != 0 ? c : (sa->len > sb->len) - (sa->len < sb->len);
}

uint32_t pgo_mt_first_str(const struct pgo_merge *m, uint32_t a, uint32_t b)
{
	if (a == b || b == 0)
		return a;
	if (a == 0)
		return b;
	return pgo_mt_str_cmp(m, a, b) <= 0 ? a : b;
}

/* ---------------------------------------------------------------- mappings */

int pgo_mt_ident(struct pgo_merge *m, const struct pgo_mapping *in, uint32_t *ret_ident,
	uint32_t *ret_has_id, uint32_t *ret_filename, struct pgo_err *err)
{
	const char *text = pgo_profile_str(m->remap.head, in->build_id);
	char hex[129];
	int rc;

	rc = pgo_mt_str(m, in->filename, ret_filename, err);
	if (rc < 0)
		return rc;
	*ret_has_id = text[0] != '\0';
	if (!*ret_has_id) {
		*ret_ident = *ret_filename;
		return 0;
	}
	pgo_build_id_normalize(text, hex);
	*ret_ident = pgo_strtab_puts(&m->strs, hex[0] != '\0' ? hex : text);
	return *ret_ident == PGO_STR_NONE ? pgo_err_nomem(err) : 0;
}

uint32_t pgo_mt_intern_mapping(struct pgo_merge *m, const struct pgo_mt_mapping *want)
{
	const size_t key_size = offsetof(struct pgo_mt_mapping, start);
	uint32_t i =
		pgo_map_find_key(&m->mapping_map, m->mappings, sizeof *m->mappings, want, key_size);
	struct pgo_mt_mapping *have;

	if (i != PGO_MAP_NONE) {
		have = &m->mappings[i];
		if (have->start == 0 || (want->start != 0 && want->start < have->start))
			have->start = want->start;
		if (want->exact > have->exact)
			have->exact = want->exact;
		have->filename = pgo_mt_first_str(m, have->filename, want->filename);
		have->functions &= want->functions;
		have->filenames &= want->filenames;
		have->line_numbers &= want->line_numbers;
		have->inline_frames &= want->inline_frames;
		return i;
	}
	if (m->n_mappings >= PGO_NONE ||
		PGO_VEC_RESERVE(m->mappings, m->mappings_room, m->n_mappings + 1) < 0 ||
		pgo_map_add_key(&m->mapping_map, want, key_size, (uint32_t)m->n_mappings) < 0)
		return PGO_NONE;
	m->mappings[m->n_mappings] = *want;
	return (uint32_t)m->n_mappings++;
}

void pgo_mt_mapping_key(const struct pgo_mapping *in, bool bare, struct pgo_mt_mapping *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->bare = bare || (in->start == 0 && in->limit == 0);
	if (bare)
		return;
	ret->start = in->start;
	ret->exact = in->limit > in->start ? in->limit - in->start : 0;
	/* The last page of the address space would round up to nothing. */
	ret->size = ret->exact > UINT64_MAX - 4095 ? UINT64_MAX : (ret->exact + 4095) & ~4095ull;
	ret->offset = in->offset;
}

static int map_mapping(
	struct pgo_merge *m, uint32_t id, bool bare, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	uint32_t *slot = bare ? &r->bare_mapping[id] : &r->mapping[id];
	const struct pgo_mapping *in = &r->head->mappings[id];
	struct pgo_mt_mapping want;
	uint32_t has_id;
	int rc;

	if (*slot == PGO_NONE) {
		pgo_mt_mapping_key(in, bare, &want);
		want.functions = in->has_functions;
		want.filenames = in->has_filenames;
		want.line_numbers = in->has_line_numbers;
		want.inline_frames = in->has_inline_frames;
		rc = pgo_mt_ident(m, in, &want.ident, &has_id, &want.filename, err);
		if (rc < 0)
			return rc;
		want.has_id = (uint16_t)has_id;
		*slot = pgo_mt_intern_mapping(m, &want);
		if (*slot == PGO_NONE)
			return pgo_err_nomem(err);
	}
	*ret = *slot;
	return 0;
}

/* ---------------------------------------------------------------- functions and locations */

uint32_t pgo_mt_intern_function(struct pgo_merge *m, const struct pgo_mt_function *key)
{
	uint32_t i = pgo_map_find_key(
		&m->function_map, m->functions, sizeof *m->functions, key, sizeof *key);

	if (i != PGO_MAP_NONE)
		return i;
	i = (uint32_t)m->n_functions;
	if (m->n_functions >= PGO_NONE ||
		PGO_VEC_RESERVE(m->functions, m->functions_room, m->n_functions + 1) < 0 ||
		pgo_map_add_key(&m->function_map, key, sizeof *key, i) < 0)
		return PGO_NONE;
	m->functions[m->n_functions++] = *key;
	return i;
}

static int map_function(struct pgo_merge *m, uint32_t id, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_function *in;
	struct pgo_mt_function key;
	int rc;

	if (id >= r->head->n_functions)
		return pgo_err_set(err, PGO_EFORMAT, "function %u is not in the table", id);
	if (r->function[id] == PGO_NONE) {
		in = &r->head->functions[id];
		memset(&key, 0, sizeof key);
		key.start_line = in->start_line;
		if ((rc = pgo_mt_str(m, in->name, &key.name, err)) < 0 ||
			(rc = pgo_mt_str(m, in->system_name, &key.system_name, err)) < 0 ||
			(rc = pgo_mt_str(m, in->filename, &key.filename, err)) < 0)
			return rc;
		r->function[id] = pgo_mt_intern_function(m, &key);
		if (r->function[id] == PGO_NONE)
			return pgo_err_nomem(err);
	}
	*ret = r->function[id];
	return 0;
}

struct location_key {
	struct pgo_mt_location loc;
	const struct pgo_line *lines;
};

bool pgo_mt_location_is(const struct pgo_merge *m, uint32_t id, const struct pgo_mt_location *key,
	const struct pgo_line *lines)
{
	const struct pgo_mt_location *l = &m->locations[id];

	return l->addr == key->addr && l->mapping == key->mapping && l->flags == key->flags &&
	       l->n_lines == key->n_lines &&
	       (l->n_lines == 0 ||
		       memcmp(m->lines + l->first_line, lines, l->n_lines * sizeof *lines) == 0);
}

uint64_t pgo_mt_location_hash(const struct pgo_mt_location *key, const struct pgo_line *lines)
{
	uint64_t hash = pgo_hash(key, offsetof(struct pgo_mt_location, first_line));

	if (key->n_lines != 0)
		hash ^= pgo_hash_u64(pgo_hash(lines, key->n_lines * sizeof *lines));
	return hash;
}

static bool location_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct location_key *k = key;

	return pgo_mt_location_is(ctx, index, &k->loc, k->lines);
}

/* The lines of a location in the tables' ids, into the scratch array. */
static int map_lines(struct pgo_merge *m, const struct pgo_location *in, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	int rc;

	if (in->n_lines > r->head->n_lines || in->first_line > r->head->n_lines - in->n_lines)
		return pgo_err_set(err, PGO_EFORMAT, "lines %u to %u are not in the table",
			in->first_line, in->first_line + in->n_lines);
	if (PGO_VEC_RESERVE(r->lines, r->lines_room, in->n_lines) < 0)
		return pgo_err_nomem(err);
	for (uint32_t i = 0; i < in->n_lines; i++) {
		const struct pgo_line *from = &r->head->lines[in->first_line + i];
		struct pgo_line *to = &r->lines[i];

		memset(to, 0, sizeof *to);
		to->line = from->line;
		to->column = from->column;
		rc = map_function(m, from->function, &to->function, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pgo_mt_intern_location(struct pgo_merge *m, const struct pgo_mt_location *loc,
	const struct pgo_line *lines, uint32_t *ret)
{
	const struct location_key k = {*loc, lines};
	uint64_t hash = pgo_mt_location_hash(loc, lines);
	uint32_t i;

	i = pgo_map_find(&m->location_map, hash, location_eq, m, &k);
	if (i == PGO_MAP_NONE) {
		i = (uint32_t)m->n_locations;
		if (m->n_locations >= PGO_NONE || m->n_lines + k.loc.n_lines >= UINT32_MAX ||
			PGO_VEC_RESERVE(m->lines, m->lines_room, m->n_lines + k.loc.n_lines) < 0 ||
			PGO_VEC_RESERVE(m->locations, m->locations_room, m->n_locations + 1) < 0 ||
			pgo_map_add(&m->location_map, hash, i) < 0)
			return -1;
		m->locations[m->n_locations] = k.loc;
		m->locations[m->n_locations++].first_line = (uint32_t)m->n_lines;
		if (k.loc.n_lines != 0)
			memcpy(m->lines + m->n_lines, lines, k.loc.n_lines * sizeof *lines);
		m->n_lines += k.loc.n_lines;
	}
	*ret = i;
	return 0;
}

static enum pgo_mt_place place_of(const struct pgo_mapping *map, uint64_t addr)
{
	if (addr == 0 || (map->start == 0 && map->limit == 0))
		return PGO_MT_ABSOLUTE;
	return addr >= map->start && (addr < map->limit || map->limit <= map->start)
		       ? PGO_MT_INSIDE
		       : PGO_MT_OUTSIDE;
}

enum pgo_mt_place pgo_mt_location_key(
	const struct pgo_profile *p, const struct pgo_location *in, struct pgo_mt_location *ret)
{
	const struct pgo_mapping *map;
	enum pgo_mt_place where;

	ret->addr = in->addr;
	ret->mapping = PGO_NONE;
	ret->flags = (in->folded ? PGO_MT_FOLDED : 0) | PGO_MT_RAW;
	ret->n_lines = in->n_lines;
	if (in->mapping == PGO_NONE)
		return PGO_MT_ABSOLUTE;
	map = &p->mappings[in->mapping];
	where = place_of(map, in->addr);
	if (where == PGO_MT_INSIDE) {
		ret->addr = in->addr - map->start;
		ret->flags &= ~PGO_MT_RAW;
	}
	return where;
}

int pgo_mt_location(struct pgo_merge *m, uint32_t id, uint32_t *ret, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_location *in = &r->head->locations[id];
	struct pgo_mt_location loc;
	int rc;

	memset(&loc, 0, sizeof loc);
	if (in->mapping != PGO_NONE && in->mapping >= r->head->n_mappings)
		return pgo_err_set(err, PGO_EFORMAT, "mapping %u is not in the table", in->mapping);
	if (in->mapping != PGO_NONE) {
		bool outside = pgo_mt_location_key(r->head, in, &loc) == PGO_MT_OUTSIDE;

		m->stats.locations_outside += outside;
		rc = map_mapping(m, in->mapping, outside, &loc.mapping, err);
		if (rc < 0)
			return rc;
	} else {
		(void)pgo_mt_location_key(r->head, in, &loc);
	}
	m->stats.locations_in++;
	*ret = r->location[id] = r->known_location[id];
	if (*ret != PGO_NONE)
		return 0;
	rc = map_lines(m, in, err);
	if (rc < 0)
		return rc;
	if (pgo_mt_intern_location(m, &loc, r->lines, &r->location[id]) < 0)
		return pgo_err_nomem(err);
	*ret = r->location[id];
	return 0;
}

/* ---------------------------------------------------------------- one input */

int pgo_mt_begin(struct pgo_merge *m, const struct pgo_profile *p, struct pgo_err *err)
{
	struct pgo_mt_remap *r = &m->remap;
	int rc;

	r->head = p;
	r->n_str = p->strs.n_strs;
	if (fresh(&r->str, &r->str_room, p->strs.n_strs) < 0 ||
		fresh(&r->mapping, &r->mapping_room, p->n_mappings) < 0 ||
		fresh(&r->bare_mapping, &r->bare_mapping_room, p->n_mappings) < 0 ||
		fresh(&r->function, &r->function_room, p->n_functions) < 0 ||
		fresh(&r->location, &r->location_room, p->n_locations) < 0 ||
		fresh(&r->known_location, &r->known_location_room, p->n_locations) < 0 ||
		fresh(&r->known_mapping, &r->known_mapping_room, p->n_mappings) < 0 ||
		fresh(&r->column, &r->column_room, p->n_sample_types) < 0)
		return pgo_err_nomem(err);
	if (m->options.tags != NULL && pgo_tags_filter(m->options.tags)) {
		if (m->tag_seen == NULL && (m->tag_seen = pgo_tag_seen_new()) == NULL)
			return pgo_err_nomem(err);
		pgo_tag_seen_reset(m->tag_seen);
	}
	/* There is something to be found from the second input on. */
	if (m->n_locations != 0 && pgo_profile_check_tables(p, NULL) == 0 && pgo_mt_foresee(m) < 0)
		return pgo_err_nomem(err);
	rc = pgo_mt_join_columns(m, p, err);
	return rc < 0 ? rc : pgo_mt_join_header(m, p, err);
}

void pgo_mt_fini(struct pgo_merge *m)
{
	struct pgo_mt_remap *r = &m->remap;

	pgo_free(r->str);
	pgo_free(r->mapping);
	pgo_free(r->bare_mapping);
	pgo_free(r->function);
	pgo_free(r->location);
	pgo_free(r->known_location);
	pgo_free(r->known_mapping);
	pgo_free(r->column);
	pgo_free(r->factor);
	pgo_free(r->lines);
	pgo_free(r->labels);
	pgo_tag_seen_free(m->tag_seen);
	pgo_free(m->batch.locs);
	pgo_free(m->batch.values);
	pgo_free(m->mappings);
	pgo_free(m->functions);
	pgo_free(m->locations);
	pgo_free(m->lines);
	pgo_free(m->label_sets);
	pgo_free(m->labels);
	pgo_free(m->stacks);
	pgo_free(m->stack_locs);
	pgo_free(m->columns);
	pgo_free(m->comments);
	pgo_free(m->sums);
	pgo_map_fini(&m->mapping_map);
	pgo_map_fini(&m->function_map);
	pgo_map_fini(&m->location_map);
	pgo_map_fini(&m->label_map);
	pgo_map_fini(&m->stack_map);
	pgo_map_fini(&m->comment_map);
	pgo_strtab_fini(&m->strs);
}

uint64_t pgo_mt_bytes(const struct pgo_merge *m)
{
	const struct pgo_mt_remap *r = &m->remap;
	uint64_t slots = m->mapping_map.n_slots + m->function_map.n_slots +
			 m->location_map.n_slots + m->label_map.n_slots + m->stack_map.n_slots +
			 m->strs.map.n_slots;

	/* Rows by what is used: room that nothing was written to yet costs nothing. */
	return m->n_stacks * (m->stride * sizeof *m->sums + sizeof *m->stacks) +
	       m->n_stack_locs * sizeof *m->stack_locs + m->locations_room * sizeof *m->locations +
	       m->lines_room * sizeof *m->lines + m->functions_room * sizeof *m->functions +
	       m->mappings_room * sizeof *m->mappings + m->labels_room * sizeof *m->labels +
	       m->label_sets_room * sizeof *m->label_sets + slots * sizeof(struct pgo_map_slot) +
	       m->strs.arena.used + m->strs.strs_room * sizeof *m->strs.strs +
	       (r->str_room + r->mapping_room + r->bare_mapping_room + r->function_room +
		       r->location_room) *
		       sizeof *r->str;
}
