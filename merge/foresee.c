/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of an input the tables know already, looked up before any sample asks for it: in the order of
 * the input's own tables, and many at a time, so that the memory needed is asked for before it is
 * waited for.  Nothing is added, and nothing that a sample's first use of an element does is done
 * here; what is not found here is found or added then.
 */
#include "merge/tables.h"
#include "pgo/core/resolve.h"
#include "pgo/core/vec.h"

#define BLOCK 64

static void find_strings(struct pgo_merge *m, size_t from, size_t n)
{
	const struct pgo_str *in = m->remap.head->strs.strs + from;
	const struct pgo_strtab *t = &m->strs;
	uint32_t guess[BLOCK];

	for (size_t i = 0; i < n; i++)
		pgo_map_prefetch(&t->map, in[i].hash);
	for (size_t i = 0; i < n; i++) {
		guess[i] = pgo_map_guess(&t->map, in[i].hash);
		if (guess[i] != PGO_MAP_NONE)
			__builtin_prefetch(&t->strs[guess[i]]);
	}
	for (size_t i = 0; i < n; i++) {
		if (guess[i] != PGO_MAP_NONE && t->strs[guess[i]].len != in[i].len)
			guess[i] = PGO_MAP_NONE;
		if (guess[i] == PGO_MAP_NONE)
			continue;
		__builtin_prefetch(t->strs[guess[i]].s);
		__builtin_prefetch(t->strs[guess[i]].s + 64);
	}
	for (size_t i = 0; i < n; i++)
		if (guess[i] != PGO_MAP_NONE &&
			memcmp(t->strs[guess[i]].s, in[i].s, in[i].len) == 0)
			m->remap.str[from + i] = guess[i];
}

static void find_functions(struct pgo_merge *m, size_t from, size_t n)
{
	struct pgo_mt_remap *r = &m->remap;
	struct pgo_mt_function key[BLOCK];
	uint32_t guess[BLOCK];
	uint64_t hash[BLOCK];

	memset(key, 0, sizeof key);
	for (size_t i = 0; i < n; i++) {
		const struct pgo_function *in = &r->head->functions[from + i];

		key[i].name = r->str[in->name];
		key[i].system_name = r->str[in->system_name];
		key[i].filename = r->str[in->filename];
		key[i].start_line = in->start_line;
		hash[i] = pgo_hash(&key[i], sizeof key[i]);
		pgo_map_prefetch(&m->function_map, hash[i]);
	}
	for (size_t i = 0; i < n; i++) {
		guess[i] = pgo_map_guess(&m->function_map, hash[i]);
		if (guess[i] != PGO_MAP_NONE)
			__builtin_prefetch(&m->functions[guess[i]]);
	}
	/* A key with a string that is not known equals none. */
	for (size_t i = 0; i < n; i++)
		if (guess[i] != PGO_MAP_NONE &&
			memcmp(&m->functions[guess[i]], &key[i], sizeof key[i]) == 0)
			r->function[from + i] = guess[i];
}

/* The mapping of the tables that addresses of this one go to, or PGO_NONE. */
static uint32_t find_mapping(const struct pgo_merge *m, const struct pgo_mapping *in)
{
	const struct pgo_profile *head = m->remap.head;
	const char *text = pgo_profile_str(head, in->build_id);
	struct pgo_mt_mapping want;
	char hex[129];

	pgo_mt_mapping_key(in, false, &want);
	want.has_id = text[0] != '\0';
	if (want.has_id) {
		pgo_build_id_normalize(text, hex);
		if (hex[0] != '\0')
			text = hex;
	} else {
		text = pgo_profile_str(head, in->filename);
	}
	want.ident = pgo_strtab_find(&m->strs, text, strlen(text));
	return pgo_map_find_key(&m->mapping_map, m->mappings, sizeof *m->mappings, &want,
		offsetof(struct pgo_mt_mapping, start));
}

struct location_block {
	struct pgo_mt_location key[BLOCK];
	uint64_t hash[BLOCK];
	uint32_t guess[BLOCK];
	size_t line[BLOCK]; /* first in the scratch lines */
};

/* False if the location cannot be in the tables, or is better looked up by itself. */
static bool location_key(
	struct pgo_merge *m, struct location_block *b, size_t i, uint32_t id, size_t line)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_location *in = &r->head->locations[id];
	struct pgo_mt_location *key = &b->key[i];

	memset(key, 0, sizeof *key);
	pgo_mt_location_key(r->head, in, key);
	/* Outside its mapping it goes to another one: rare. */
	if (in->mapping != PGO_NONE && (key->flags & PGO_MT_RAW) != 0)
		return false;
	key->mapping = in->mapping != PGO_NONE ? r->known_mapping[in->mapping] : PGO_NONE;
	if (in->mapping != PGO_NONE && key->mapping == PGO_NONE)
		return false;
	for (uint32_t k = 0; k < in->n_lines; k++) {
		const struct pgo_line *from = &r->head->lines[in->first_line + k];
		struct pgo_line *to = &r->lines[line + k];

		memset(to, 0, sizeof *to);
		to->function = r->function[from->function];
		to->line = from->line;
		to->column = from->column;
		if (to->function == PGO_NONE)
			return false;
	}
	b->hash[i] = pgo_mt_location_hash(key, r->lines + line);
	return true;
}

static int find_locations(struct pgo_merge *m, struct location_block *b, size_t from, size_t n)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_location *in = r->head->locations + from;
	size_t lines = 0;

	for (size_t i = 0; i < n; i++) {
		b->line[i] = lines;
		lines += in[i].n_lines;
	}
	if (PGO_VEC_RESERVE(r->lines, r->lines_room, lines) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		b->guess[i] =
			location_key(m, b, i, (uint32_t)(from + i), b->line[i]) ? 0 : PGO_NONE;
		if (b->guess[i] == 0)
			pgo_map_prefetch(&m->location_map, b->hash[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (b->guess[i] == 0)
			b->guess[i] = pgo_map_guess(&m->location_map, b->hash[i]);
		if (b->guess[i] != PGO_NONE)
			__builtin_prefetch(&m->locations[b->guess[i]]);
	}
	for (size_t i = 0; i < n; i++)
		if (b->guess[i] != PGO_NONE && in[i].n_lines != 0)
			__builtin_prefetch(&m->lines[m->locations[b->guess[i]].first_line]);
	for (size_t i = 0; i < n; i++)
		if (b->guess[i] != PGO_NONE &&
			pgo_mt_location_is(m, b->guess[i], &b->key[i], r->lines + b->line[i]))
			r->known_location[from + i] = b->guess[i];
	return 0;
}

int pgo_mt_foresee(struct pgo_merge *m)
{
	struct pgo_mt_remap *r = &m->remap;
	const struct pgo_profile *p = r->head;
	struct location_block block;

	for (size_t i = 0; i < p->strs.n_strs; i += BLOCK)
		find_strings(m, i, p->strs.n_strs - i < BLOCK ? p->strs.n_strs - i : BLOCK);
	for (size_t i = 0; i < p->n_functions; i += BLOCK)
		find_functions(m, i, p->n_functions - i < BLOCK ? p->n_functions - i : BLOCK);
	for (size_t i = 0; i < p->n_mappings; i++)
		r->known_mapping[i] = find_mapping(m, &p->mappings[i]);
	for (size_t i = 0; i < p->n_locations; i += BLOCK)
		if (find_locations(m, &block, i,
			    p->n_locations - i < BLOCK ? p->n_locations - i : BLOCK) < 0)
			return -1;
	return 0;
}
