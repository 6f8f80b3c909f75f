/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dictionary of one message.  Its tables refer to each other but lie in the order of their field
 * numbers, so they are read in the order of need: strings, attributes, functions, mappings,
 * locations, stacks.  An entry that says nothing (the first one of each table) is number 0, "none".
 */
#include "fetch/otlp_impl.h"

#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

#define STACK_MAX ((size_t)1 << 16)

int pgo_otlp_broken(struct pgo_err *err, const char *what)
{
	return pgo_err_set(err, PGO_EFORMAT, "%s is no valid protobuf; is the file cut off?", what);
}

int pgo_otlp_outside(struct pgo_err *err, const char *what, uint64_t index, size_t n)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%s %" PRIu64 " is named, but the dictionary has only %zu", what, index, n);
}

bool pgo_otlp_number(struct pgo_wire_field *f, uint64_t *ret)
{
	if (f->type == PGO_WIRE_VARINT || f->type == PGO_WIRE_FIXED64) {
		/* Not packed: one; remembered as used by its type. */
		if (f->type == PGO_WIRE_FIXED64)
			memcpy(ret, f->in.p, 8);
		else
			*ret = f->v;
		f->type = PGO_WIRE_BYTES;
		f->in.p = f->in.end;
		return true;
	}
	return f->type == PGO_WIRE_BYTES && f->in.p < f->in.end && pgo_wire_varint(&f->in, ret);
}

/* ---------------------------------------------------------------- one entry of each table */

static int string_at(
	const struct pgo_otlp *otlp, uint64_t index, uint32_t *ret, struct pgo_err *err)
{
	if (index >= otlp->t.n_strings)
		return pgo_otlp_outside(err, "string", index, otlp->t.n_strings);
	*ret = otlp->t.strings[index];
	return 0;
}

static int text(struct pgo_otlp *otlp, struct pgo_wire in, uint32_t *ret, struct pgo_err *err)
{
	*ret = pgo_strtab_add(&otlp->strs, (const char *)in.p, (size_t)(in.end - in.p));
	return *ret != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
}

/* An AnyValue; lists, maps, bytes and fractions are none. */
static int any_value(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_attribute *ret,
	struct pgo_err *err)
{
	struct pgo_wire_field f;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "the value of an attribute");
		if (f.number == 1 && f.type == PGO_WIRE_BYTES) {
			rc = text(otlp, f.in, &ret->str, err);
		} else if (f.number == 2 && f.type == PGO_WIRE_VARINT) {
			ret->str = pgo_strtab_puts(&otlp->strs, f.v != 0 ? "true" : "false");
			rc = ret->str != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
		} else if (f.number == 3 && f.type == PGO_WIRE_VARINT) {
			ret->num = (int64_t)f.v;
			ret->is_number = true;
		} else if (f.number == 8 && f.type == PGO_WIRE_VARINT) {
			rc = string_at(otlp, f.v, &ret->str, err);
		}
	}
	return rc;
}

/* An entry of the attribute table: its key is a number of a string, or (older) the string. */
static int attribute(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_attribute *ret,
	uint32_t key_index, struct pgo_err *err)
{
	struct pgo_wire_field f;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "an attribute");
		if (f.number == 1 && f.type == PGO_WIRE_BYTES)
			rc = text(otlp, f.in, &ret->key, err);
		else if (f.number == key_index && f.type == PGO_WIRE_VARINT)
			rc = string_at(otlp, f.v, &ret->key, err);
		else if (f.number == 2 && f.type == PGO_WIRE_BYTES)
			rc = any_value(otlp, f.in, ret, err);
	}
	return rc;
}

int pgo_otlp_key_value(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_attribute *ret,
	struct pgo_err *err)
{
	memset(ret, 0, sizeof *ret);
	return attribute(otlp, in, ret, 3, err);
}

static int add_string(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err)
{
	uint32_t *to = PGO_VEC_PUSH(otlp->t.strings, otlp->t.n_strings, otlp->t.strings_room);

	return to != NULL ? text(otlp, in, to, err) : pgo_err_nomem(err);
}

static int add_attribute(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err)
{
	struct pgo_otlp_attribute *to =
		PGO_VEC_PUSH(otlp->t.attributes, otlp->t.n_attributes, otlp->t.attributes_room);

	return to != NULL ? attribute(otlp, in, to, 1, err) : pgo_err_nomem(err);
}

static int add_function(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err)
{
	static const struct pgo_otlp_function nothing;
	uint32_t *to = PGO_VEC_PUSH(otlp->t.functions, otlp->t.n_functions, otlp->t.functions_room);
	struct pgo_otlp_function fn = {0};
	struct pgo_wire_field f;
	int rc = 0;

	if (to == NULL)
		return pgo_err_nomem(err);
	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a function");
		if (f.number == 1)
			rc = string_at(otlp, f.v, &fn.name, err);
		else if (f.number == 2)
			rc = string_at(otlp, f.v, &fn.system_name, err);
		else if (f.number == 3)
			rc = string_at(otlp, f.v, &fn.filename, err);
		else if (f.number == 4)
			fn.start_line = (int64_t)f.v;
	}
	if (rc == 0 && memcmp(&fn, &nothing, sizeof fn) != 0) {
		*to = pgo_otlp_intern(&otlp->functions, &fn, sizeof fn);
		rc = *to != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
	}
	return rc;
}

/* ---------------------------------------------------------------- mappings */

/* The build-id among a mapping's attributes: the GNU one, else the id of the file, else Go's. */
struct ids {
	uint32_t gnu, file, go;
};

static int look_for_id(
	const struct pgo_otlp *otlp, uint64_t index, struct ids *ids, struct pgo_err *err)
{
	const struct pgo_otlp_attribute *a;

	if (index >= otlp->t.n_attributes)
		return pgo_otlp_outside(err, "attribute", index, otlp->t.n_attributes);
	a = &otlp->t.attributes[index];
	if (a->key == otlp->s_gnu)
		ids->gnu = a->str;
	else if (a->key == otlp->s_htlhash)
		ids->file = a->str;
	else if (a->key == otlp->s_go)
		ids->go = a->str;
	return 0;
}

/* The build-id of a binary that was given and is the file of this id; else the id. */
static int known_file(struct pgo_otlp *otlp, uint32_t *id, struct pgo_err *err)
{
	for (size_t i = 0; i < otlp->n_ids; i++)
		if (strcmp(otlp->ids[i].file_id, pgo_strtab_get(&otlp->strs, *id)) == 0 &&
			otlp->ids[i].build_id[0] != '\0') {
			*id = pgo_strtab_puts(&otlp->strs, otlp->ids[i].build_id);
			return *id != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
		}
	return 0;
}

static int read_mapping(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_mapping *m,
	struct ids *ids, struct pgo_err *err)
{
	struct pgo_wire_field f;
	uint64_t v;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a mapping");
		if (f.number == 1)
			m->start = f.v;
		else if (f.number == 2)
			m->limit = f.v;
		else if (f.number == 3)
			m->offset = f.v;
		else if (f.number == 4)
			rc = string_at(otlp, f.v, &m->filename, err);
		while (f.number == 5 && rc == 0 && pgo_otlp_number(&f, &v))
			rc = look_for_id(otlp, v, ids, err);
	}
	return rc;
}

static int add_mapping(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err)
{
	static const struct pgo_otlp_mapping nothing;
	uint32_t *to = PGO_VEC_PUSH(otlp->t.mappings, otlp->t.n_mappings, otlp->t.mappings_room);
	struct pgo_otlp_mapping m = {0};
	struct ids ids = {0};
	int rc;

	if (to == NULL)
		return pgo_err_nomem(err);
	rc = read_mapping(otlp, in, &m, &ids, err);
	if (rc == 0 && ids.gnu == 0 && ids.file != 0)
		rc = known_file(otlp, &ids.file, err);
	m.build_id = ids.gnu != 0 ? ids.gnu : ids.file != 0 ? ids.file : ids.go;
	if (rc < 0 || memcmp(&m, &nothing, sizeof m) == 0)
		return rc;
	/* A mapping that ends before it starts says nothing of addresses. */
	if (m.limit < m.start)
		m.start = m.limit = m.offset = 0;
	*to = pgo_otlp_intern(&otlp->mappings, &m, sizeof m);
	return *to != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
}

/* ---------------------------------------------------------------- locations, stacks */

/* Lines without a function and without a number are none. */
static int read_line(
	struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_line *l, struct pgo_err *err)
{
	struct pgo_wire_field f;

	memset(l, 0, sizeof *l);
	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a line");
		if (f.number == 1) {
			if (f.v >= otlp->t.n_functions)
				return pgo_otlp_outside(err, "function", f.v, otlp->t.n_functions);
			l->function = otlp->t.functions[f.v];
		} else if (f.number == 2) {
			l->line = (int64_t)f.v;
		} else if (f.number == 3) {
			l->column = (int64_t)f.v;
		}
	}
	return 0;
}

static int read_location(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_otlp_location *to,
	struct pgo_buf *lines, struct pgo_err *err)
{
	struct pgo_otlp_line line;
	struct pgo_wire_field f;
	int rc = 0;

	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a location");
		if (f.number == 1) {
			if (f.v >= otlp->t.n_mappings)
				return pgo_otlp_outside(err, "mapping", f.v, otlp->t.n_mappings);
			to->mapping = otlp->t.mappings[f.v];
		} else if (f.number == 2) {
			to->addr = f.v;
		} else if (f.number == 3 && f.type == PGO_WIRE_BYTES) {
			rc = read_line(otlp, f.in, &line, err);
			if (rc == 0 && line.function != 0)
				pgo_buf_add(lines, &line, sizeof line);
		}
	}
	return rc;
}

static int add_location(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err)
{
	uint32_t *to = PGO_VEC_PUSH(otlp->t.locations, otlp->t.n_locations, otlp->t.locations_room);
	struct pgo_otlp_location loc = {0};
	struct pgo_buf lines;
	int rc;

	if (to == NULL)
		return pgo_err_nomem(err);
	pgo_buf_init(&lines, 1 << 24);
	rc = read_location(otlp, in, &loc, &lines, err);
	if (rc == 0)
		rc = pgo_buf_check(&lines, "the lines of a location", err);
	if (rc == 0 && lines.len > 0)
		loc.lines = pgo_otlp_intern(&otlp->lines, lines.data, lines.len);
	pgo_buf_fini(&lines);
	/* The first entry of the table stands for no location; others may be without everything. */
	if (rc < 0 ||
		(otlp->t.n_locations == 1 && loc.addr == 0 && loc.mapping == 0 && loc.lines == 0))
		return rc;
	if (loc.lines != PGO_STR_NONE)
		*to = pgo_otlp_intern(&otlp->locations, &loc, sizeof loc);
	return *to != PGO_STR_NONE && loc.lines != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
}

uint32_t pgo_otlp_stack(struct pgo_otlp *otlp, const uint32_t *at, size_t n)
{
	size_t kept = 0;

	if (PGO_VEC_RESERVE(otlp->scratch, otlp->scratch_room, n) < 0)
		return PGO_STR_NONE;
	for (size_t i = 0; i < n; i++)
		if (at[i] != 0)
			otlp->scratch[kept++] = at[i];
	return kept == 0 ? 0 : pgo_otlp_intern(&otlp->stacks, otlp->scratch, kept * sizeof *at);
}

static int add_stack(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err)
{
	uint32_t *to = PGO_VEC_PUSH(otlp->t.stacks, otlp->t.n_stacks, otlp->t.stacks_room);
	struct pgo_wire_field f;
	size_t n = 0;
	uint64_t v;

	if (to == NULL)
		return pgo_err_nomem(err);
	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return pgo_otlp_broken(err, "a stack");
		while (f.number == 1 && pgo_otlp_number(&f, &v)) {
			if (v >= otlp->t.n_locations)
				return pgo_otlp_outside(err, "location", v, otlp->t.n_locations);
			if (n == STACK_MAX)
				return pgo_err_set(err, PGO_ELIMIT,
					"a stack has more than %zu frames", STACK_MAX);
			if (PGO_VEC_RESERVE(otlp->scratch, otlp->scratch_room, n + 1) < 0)
				return pgo_err_nomem(err);
			otlp->scratch[n++] = otlp->t.locations[v];
		}
	}
	*to = pgo_otlp_stack(otlp, otlp->scratch, n);
	return *to != PGO_STR_NONE ? 0 : pgo_err_nomem(err);
}

/* ---------------------------------------------------------------- all of it */

typedef int add_entry(struct pgo_otlp *otlp, struct pgo_wire in, struct pgo_err *err);

static const struct table {
	uint32_t field;
	const char *name;
	add_entry *add;
} tables[] = {
	{OTLP_STRINGS, "string", add_string},
	{OTLP_ATTRIBUTES, "attribute", add_attribute},
	{OTLP_FUNCTIONS, "function", add_function},
	{OTLP_MAPPINGS, "mapping", add_mapping},
	{OTLP_LOCATIONS, "location", add_location},
	{OTLP_STACKS, "stack", add_stack},
};

/* One table of all dictionaries of the message (there is one; protobuf would join several). */
static int read_table(struct pgo_otlp *otlp, const struct table *t, struct pgo_wire message,
	bool *any, struct pgo_err *err)
{
	struct pgo_wire_field d, f;
	size_t n = 0;

	while (message.p < message.end) {
		if (!pgo_wire_next(&message, &d))
			return pgo_otlp_broken(err, "it");
		if (d.number != OTLP_DICTIONARY || d.type != PGO_WIRE_BYTES)
			continue;
		*any = true;
		while (d.in.p < d.in.end) {
			if (!pgo_wire_next(&d.in, &f))
				return pgo_otlp_broken(err, "its dictionary");
			if (f.number != t->field || f.type != PGO_WIRE_BYTES)
				continue;
			if (t->add(otlp, f.in, err) < 0)
				return pgo_err_prefix(err, "%s %zu of the dictionary", t->name, n);
			n++;
		}
	}
	return 0;
}

int pgo_otlp_dict(struct pgo_otlp *otlp, struct pgo_wire message, struct pgo_err *err)
{
	struct pgo_otlp_tables *t = &otlp->t;
	bool any = false;
	int rc = 0;

	t->n_strings = t->n_functions = t->n_mappings = t->n_locations = t->n_stacks =
		t->n_attributes = 0;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0] && rc == 0; i++) {
		/* In the oldest revision something else has the number of the stacks. */
		if (tables[i].field == OTLP_STACKS) {
			otlp->layout = pgo_otlp_current;
			if (!otlp->current)
				rc = pgo_otlp_layout(message, t->n_attributes, &otlp->layout, err);
			if (rc < 0 || otlp->layout.ranges)
				break;
		}
		rc = read_table(otlp, &tables[i], message, &any, err);
	}
	if (rc == 0 && !any && message.p < message.end)
		return pgo_err_set(err, PGO_EFORMAT,
			"it has no dictionary: OTLP profiles from before OTLP 1.6 cannot be read, "
			"nor traces, metrics and logs; let the sender write a newer revision");
	return rc;
}
