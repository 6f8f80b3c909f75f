/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/profile.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

/* Text of all strings of one profile; a reader sets a smaller one. */
#define STRINGS_MAX ((size_t)4 << 30)

struct pgo_profile *pgo_profile_new(struct pgo_err *err)
{
	struct pgo_profile *p = pgo_calloc(1, sizeof *p);

	if (p != NULL && pgo_strtab_init(&p->strs, STRINGS_MAX) == 0)
		return p;
	pgo_free(p);
	pgo_err_nomem(err);
	return NULL;
}

void pgo_profile_free(struct pgo_profile *p)
{
	if (p == NULL)
		return;
	pgo_strtab_fini(&p->strs);
	pgo_free(p->sample_types);
	pgo_free(p->mappings);
	pgo_free(p->locations);
	pgo_free(p->lines);
	pgo_free(p->functions);
	pgo_free(p->comments);
	pgo_free(p->samples);
	pgo_free(p->sample_locs);
	pgo_free(p->sample_values);
	pgo_free(p->sample_labels);
	pgo_free(p);
}

/* ---------------------------------------------------------------- building */

uint32_t pgo_profile_add_sample_type(struct pgo_profile *p, const char *type, const char *unit)
{
	uint32_t t = pgo_strtab_puts(&p->strs, type);
	uint32_t u = pgo_strtab_puts(&p->strs, unit);
	struct pgo_value_type *vt;

	if (t == PGO_STR_NONE || u == PGO_STR_NONE || p->n_sample_types >= PGO_NONE)
		return PGO_NONE;
	vt = PGO_VEC_PUSH(p->sample_types, p->n_sample_types, p->sample_types_room);
	if (vt == NULL)
		return PGO_NONE;
	vt->type = t;
	vt->unit = u;
	return (uint32_t)(p->n_sample_types - 1);
}

uint32_t pgo_profile_add_mapping(struct pgo_profile *p, const struct pgo_mapping *m)
{
	struct pgo_mapping copy = *m; /* `m` may point into the array that moves */
	struct pgo_mapping *to;

	if (p->n_mappings >= PGO_NONE)
		return PGO_NONE;
	to = PGO_VEC_PUSH(p->mappings, p->n_mappings, p->mappings_room);
	if (to == NULL)
		return PGO_NONE;
	*to = copy;
	return (uint32_t)(p->n_mappings - 1);
}

uint32_t pgo_profile_add_function(struct pgo_profile *p, const struct pgo_function *f)
{
	struct pgo_function copy = *f;
	struct pgo_function *to;

	if (p->n_functions >= PGO_NONE)
		return PGO_NONE;
	to = PGO_VEC_PUSH(p->functions, p->n_functions, p->functions_room);
	if (to == NULL)
		return PGO_NONE;
	*to = copy;
	return (uint32_t)(p->n_functions - 1);
}

uint32_t pgo_profile_add_location(struct pgo_profile *p, uint32_t mapping, uint64_t addr,
	const struct pgo_line *lines, uint32_t n_lines)
{
	struct pgo_location *l;

	if (p->n_locations >= PGO_NONE || p->n_lines + n_lines >= PGO_NONE ||
		PGO_VEC_RESERVE(p->lines, p->lines_room, p->n_lines + n_lines) < 0)
		return PGO_NONE;
	l = PGO_VEC_PUSH(p->locations, p->n_locations, p->locations_room);
	if (l == NULL)
		return PGO_NONE;
	l->mapping = mapping;
	l->addr = addr;
	l->first_line = (uint32_t)p->n_lines;
	l->n_lines = n_lines;
	for (uint32_t i = 0; i < n_lines; i++)
		p->lines[p->n_lines++] = lines[i];
	return (uint32_t)(p->n_locations - 1);
}

int pgo_profile_add_comment(struct pgo_profile *p, const char *text)
{
	uint32_t id = pgo_strtab_puts(&p->strs, text);
	uint32_t *c;

	if (id == PGO_STR_NONE)
		return PGO_ENOMEM;
	c = PGO_VEC_PUSH(p->comments, p->n_comments, p->comments_room);
	if (c == NULL)
		return PGO_ENOMEM;
	*c = id;
	return 0;
}

int pgo_profile_add_sample(struct pgo_profile *p, const struct pgo_sample *s)
{
	size_t n_values =
		p->n_samples * p->n_sample_types; /* both are counts of what is in memory */
	struct pgo_sample_ref *r;

	if (PGO_VEC_RESERVE(p->sample_locs, p->sample_locs_room, p->n_sample_locs + s->n_loc) < 0 ||
		PGO_VEC_RESERVE(p->sample_values, p->sample_values_room,
			n_values + p->n_sample_types) < 0 ||
		PGO_VEC_RESERVE(p->sample_labels, p->sample_labels_room,
			p->n_sample_labels + s->n_label) < 0)
		return PGO_ENOMEM;
	r = PGO_VEC_PUSH(p->samples, p->n_samples, p->samples_room);
	if (r == NULL)
		return PGO_ENOMEM;
	*r = (struct pgo_sample_ref){p->n_sample_locs, p->n_sample_labels, s->n_loc, s->n_label};
	for (uint32_t i = 0; i < s->n_loc; i++)
		p->sample_locs[p->n_sample_locs++] = s->loc[i];
	for (size_t i = 0; i < p->n_sample_types; i++)
		p->sample_values[n_values + i] = s->value[i];
	for (uint32_t i = 0; i < s->n_label; i++)
		p->sample_labels[p->n_sample_labels++] = s->label[i];
	return 0;
}

struct pgo_sample pgo_profile_sample(const struct pgo_profile *p, size_t i)
{
	const struct pgo_sample_ref *r = &p->samples[i];

	return (struct pgo_sample){
		.loc = r->n_loc != 0 ? p->sample_locs + r->first_loc : NULL,
		.value = p->n_sample_types != 0 ? p->sample_values + i * p->n_sample_types : NULL,
		.label = r->n_label != 0 ? p->sample_labels + r->first_label : NULL,
		.n_loc = r->n_loc,
		.n_label = r->n_label,
	};
}

uint32_t pgo_profile_sample_type(const struct pgo_profile *p, const char *type)
{
	uint32_t id = pgo_strtab_find(&p->strs, type, strlen(type));

	if (id == PGO_STR_NONE)
		return PGO_NONE;
	for (size_t i = 0; i < p->n_sample_types; i++)
		if (p->sample_types[i].type == id)
			return (uint32_t)i;
	return PGO_NONE;
}

/* ---------------------------------------------------------------- validity */

/* Positions in messages count from 1, as the ids of most producers do. */
static int check_str(const struct pgo_profile *p, uint32_t id, const char *what, size_t i,
	const char *field, struct pgo_err *err)
{
	if (id < p->strs.n_strs)
		return 0;
	return pgo_err_set(err, PGO_EFORMAT, "%s %zu: %s is string %u, but there are only %zu",
		what, i + 1, field, id, p->strs.n_strs);
}

static int check_mappings(const struct pgo_profile *p, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_mappings && rc == 0; i++) {
		const struct pgo_mapping *m = &p->mappings[i];

		/* A limit of 0 stands for "unknown": several agents leave it out. */
		if (m->limit != 0 && m->limit < m->start)
			return pgo_err_set(err, PGO_EFORMAT,
				"mapping %zu ends at 0x%llx before it starts at 0x%llx", i + 1,
				(unsigned long long)m->limit, (unsigned long long)m->start);
		rc = check_str(p, m->filename, "mapping", i, "the file name", err);
		if (rc == 0)
			rc = check_str(p, m->build_id, "mapping", i, "the build-id", err);
	}
	return rc;
}

static int check_functions(const struct pgo_profile *p, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_functions && rc == 0; i++) {
		const struct pgo_function *f = &p->functions[i];

		rc = check_str(p, f->name, "function", i, "the name", err);
		if (rc == 0)
			rc = check_str(p, f->system_name, "function", i, "the system name", err);
		if (rc == 0)
			rc = check_str(p, f->filename, "function", i, "the file name", err);
	}
	return rc;
}

static int check_locations(const struct pgo_profile *p, struct pgo_err *err)
{
	for (size_t i = 0; i < p->n_locations; i++) {
		const struct pgo_location *l = &p->locations[i];

		if (l->mapping != PGO_NONE && l->mapping >= p->n_mappings)
			return pgo_err_set(err, PGO_EFORMAT,
				"location %zu: mapping %u is not in the table of %zu", i + 1,
				l->mapping + 1, p->n_mappings);
		if (l->first_line > p->n_lines || l->n_lines > p->n_lines - l->first_line)
			return pgo_err_set(err, PGO_EFORMAT,
				"location %zu: lines %u to %u are not in the table of %zu", i + 1,
				l->first_line, l->first_line + l->n_lines, p->n_lines);
		for (uint32_t k = 0; k < l->n_lines; k++)
			if (p->lines[l->first_line + k].function >= p->n_functions)
				return pgo_err_set(err, PGO_EFORMAT,
					"location %zu: line %u names no function of the table of "
					"%zu",
					i + 1, k + 1, p->n_functions);
	}
	return 0;
}

static int check_header(const struct pgo_profile *p, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_sample_types && rc == 0; i++) {
		rc = check_str(p, p->sample_types[i].type, "sample type", i, "the type", err);
		if (rc == 0)
			rc = check_str(
				p, p->sample_types[i].unit, "sample type", i, "the unit", err);
	}
	for (size_t i = 0; i < p->n_comments && rc == 0; i++)
		rc = check_str(p, p->comments[i], "comment", i, "the text", err);
	if (rc == 0)
		rc = check_str(p, p->period_type.type, "period type", 0, "the type", err);
	if (rc == 0)
		rc = check_str(p, p->period_type.unit, "period type", 0, "the unit", err);
	if (rc == 0)
		rc = check_str(p, p->drop_frames, "drop_frames", 0, "the pattern", err);
	if (rc == 0)
		rc = check_str(p, p->keep_frames, "keep_frames", 0, "the pattern", err);
	if (rc == 0)
		rc = check_str(
			p, p->default_sample_type, "default sample type", 0, "the name", err);
	if (rc == 0)
		rc = check_str(p, p->doc_url, "doc_url", 0, "the address", err);
	return rc;
}

int pgo_profile_check_tables(const struct pgo_profile *p, struct pgo_err *err)
{
	int rc;

	if (p->n_samples != 0 && p->n_sample_types == 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%zu samples but no sample type that says what their values mean",
			p->n_samples);
	rc = check_header(p, err);
	if (rc == 0)
		rc = check_mappings(p, err);
	if (rc == 0)
		rc = check_functions(p, err);
	if (rc == 0)
		rc = check_locations(p, err);
	return rc;
}

int pgo_profile_check_sample(
	const struct pgo_profile *p, const struct pgo_sample *s, struct pgo_err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < s->n_loc; i++)
		if (s->loc[i] >= p->n_locations)
			return pgo_err_set(err, PGO_EFORMAT,
				"frame %u: location %u is not in the table of %zu", i + 1,
				s->loc[i] + 1, p->n_locations);
	for (uint32_t i = 0; i < s->n_label && rc == 0; i++) {
		rc = check_str(p, s->label[i].key, "label", i, "the key", err);
		if (rc == 0)
			rc = check_str(p, s->label[i].str, "label", i, "the value", err);
		if (rc == 0)
			rc = check_str(p, s->label[i].num_unit, "label", i, "the unit", err);
	}
	return rc;
}

/* ---------------------------------------------------------------- reader over memory */

struct memory_reader {
	struct pgo_reader base;
	struct pgo_profile *owned; /* freed on close, or NULL */
	size_t at;
};

static int memory_next(struct pgo_reader *r, struct pgo_sample *ret, struct pgo_err *err)
{
	struct memory_reader *m = (struct memory_reader *)r;
	int rc;

	if (m->at >= r->head->n_samples)
		return 0;
	*ret = pgo_profile_sample(r->head, m->at);
	rc = pgo_profile_check_sample(r->head, ret, err);
	if (rc < 0)
		return pgo_err_prefix(err, "%s: sample %zu", r->name, m->at + 1);
	m->at++;
	return 1;
}

static void memory_close(struct pgo_reader *r)
{
	struct memory_reader *m = (struct memory_reader *)r;

	pgo_profile_free(m->owned);
	pgo_free(m);
}

struct pgo_reader *pgo_profile_reader(
	struct pgo_profile *p, const char *name, bool take, struct pgo_err *err)
{
	struct memory_reader *m = NULL;

	if (pgo_profile_check_tables(p, err) < 0) {
		pgo_err_prefix(err, "%s", name);
	} else if ((m = pgo_calloc(1, sizeof *m)) == NULL) {
		pgo_err_nomem(err);
	} else {
		m->base = (struct pgo_reader){p, name, memory_next, memory_close};
		m->owned = take ? p : NULL;
		return &m->base;
	}
	if (take)
		pgo_profile_free(p);
	return NULL;
}

void pgo_reader_close(struct pgo_reader *r)
{
	if (r != NULL)
		r->close(r);
}
