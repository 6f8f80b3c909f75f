/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of a profile but its samples.  The rare messages go through protobuf-c on a scratch
 * arena; locations and functions, of which there are many, are decoded directly.  Strings, mappings and functions
 * may come after what names them, so references stay as the file has them until all is read.
 */
#include "pgo/core/pprof_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include "profile.pb-c.h"

#include <sys/random.h>

enum {
	LOCATION_ID = 1,
	LOCATION_MAPPING = 2,
	LOCATION_ADDR = 3,
	LOCATION_LINE = 4,
	LOCATION_FOLDED = 5
};
enum {
	FUNCTION_ID = 1,
	FUNCTION_NAME = 2,
	FUNCTION_SYSTEM_NAME = 3,
	FUNCTION_FILENAME = 4,
	FUNCTION_START_LINE = 5,
	FUNCTION_FIELDS = 5
};
enum { LINE_FUNCTION = 1, LINE_LINE = 2, LINE_COLUMN = 3 };

/* Any single rare message, decoded; names of mappings and functions are elsewhere. */
#define SCRATCH_MAX ((size_t)64 << 20)

/* ---------------------------------------------------------------- ids */

void pgo_pprof_ids_init(struct pgo_pprof_ids *m)
{
	memset(m, 0, sizeof *m);
	pgo_map_init(&m->map);
}

void pgo_pprof_ids_fini(struct pgo_pprof_ids *m)
{
	pgo_map_fini(&m->map);
	pgo_free(m->ids);
	pgo_pprof_ids_init(m);
}

static bool id_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_pprof_ids *m = ctx;

	return m->ids[index] == *(const uint64_t *)key;
}

static uint64_t id_hash(const struct pgo_pprof_ids *m, uint64_t id)
{
	return pgo_hash_u64(id ^ m->salt);
}

uint32_t pgo_pprof_ids_find_sparse(const struct pgo_pprof_ids *m, uint64_t id)
{
	return pgo_map_find(&m->map, id_hash(m, id), id_eq, m, &id);
}

/* The first id out of sequence: from here on all of them are looked up. */
static int make_sparse(struct pgo_pprof_ids *m)
{
	if (PGO_VEC_RESERVE(m->ids, m->room, m->n + 1) < 0)
		return -1;
	if (getrandom(&m->salt, sizeof m->salt, GRND_NONBLOCK) < 0)
		m->salt = (uint64_t)(uintptr_t)m->ids;
	for (size_t i = 0; i < m->n; i++) {
		m->ids[i] = i + 1;
		if (pgo_map_add(&m->map, id_hash(m, i + 1), (uint32_t)i) < 0)
			return -1;
	}
	m->sparse = true;
	return 0;
}

int pgo_pprof_ids_add(struct pgo_pprof_ids *m, uint64_t id, const char *what, struct pgo_err *err)
{
	if (id == 0)
		return pgo_err_set(err, PGO_EFORMAT, "a %s has id 0, which means none", what);
	if (m->n >= PGO_NONE - 1)
		return pgo_err_set(err, PGO_ELIMIT, "more than %u %ss", PGO_NONE - 1, what);
	if (pgo_pprof_ids_find(m, id) != PGO_NONE)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s %llu is there twice; these may be two profiles one after the other, "
			"which must be merged instead",
			what, (unsigned long long)id);
	if (!m->sparse && id == m->n + 1) {
		m->n++;
		return 0;
	}
	if (!m->sparse && make_sparse(m) < 0)
		return pgo_err_nomem(err);
	if (PGO_VEC_RESERVE(m->ids, m->room, m->n + 1) < 0 ||
		pgo_map_add(&m->map, id_hash(m, id), (uint32_t)m->n) < 0)
		return pgo_err_nomem(err);
	m->ids[m->n++] = id;
	return 0;
}

/* ---------------------------------------------------------------- life */

void pgo_pprof_tables_init(
	struct pgo_pprof_tables *t, struct pgo_profile *p, const struct pgo_pprof_limits *limits)
{
	memset(t, 0, sizeof *t);
	t->p = p;
	t->budget = limits->max_tables;
	p->strs.arena.budget = limits->max_tables;
	pgo_pprof_ids_init(&t->mapping_ids);
	pgo_pprof_ids_init(&t->location_ids);
	pgo_pprof_ids_init(&t->function_ids);
	pgo_arena_init(&t->scratch, SCRATCH_MAX);
}

static void forget_references(struct pgo_pprof_tables *t)
{
	pgo_pprof_ids_fini(&t->mapping_ids);
	pgo_pprof_ids_fini(&t->function_ids);
	pgo_arena_fini(&t->scratch);
	pgo_free(t->location_mapping);
	pgo_free(t->line_function);
	t->location_mapping = t->line_function = NULL;
	t->n_location_mapping = t->location_mapping_room = 0;
	t->n_line_function = t->line_function_room = 0;
}

void pgo_pprof_tables_fini(struct pgo_pprof_tables *t)
{
	forget_references(t);
	pgo_pprof_ids_fini(&t->location_ids);
	pgo_free(t->strings);
	pgo_free(t->origins);
	t->strings = NULL;
	t->n_strings = t->strings_room = 0;
}

int pgo_pprof_tables_charge(struct pgo_pprof_tables *t, uint64_t bytes, struct pgo_err *err)
{
	if (bytes > t->budget || t->used > t->budget - bytes)
		return pgo_err_set(err, PGO_ELIMIT,
			"the tables of the profile need more than the limit of %llu bytes",
			(unsigned long long)t->budget);
	t->used += bytes;
	return 0;
}

/* ---------------------------------------------------------------- protobuf-c on the arena */

static void *scratch_alloc(void *ctx, size_t size)
{
	struct pgo_pprof_tables *t = ctx;
	void *p = pgo_arena_alloc(&t->scratch, size);

	t->scratch_failed |= p == NULL;
	return p;
}

static void scratch_free(void *ctx, void *p)
{
	(void)ctx;
	(void)p; /* the arena is reset as a whole */
}

static int unpack_failed(
	const struct pgo_pprof_tables *t, const char *message, size_t len, struct pgo_err *err)
{
	if (!t->scratch_failed)
		return pgo_err_set(err, PGO_EFORMAT, "a %s message is malformed", message);
	if (len < SCRATCH_MAX / 128)
		return pgo_err_nomem(err);
	return pgo_err_set(
		err, PGO_ELIMIT, "a %s message of %zu bytes needs too much memory", message, len);
}

/* Decodes one message of the kind `d`; valid until the next call. */
static int unpack(struct pgo_pprof_tables *t, const ProtobufCMessageDescriptor *d,
	struct pgo_wire in, void *ret, struct pgo_err *err)
{
	ProtobufCAllocator a = {scratch_alloc, scratch_free, t};
	size_t len = (size_t)(in.end - in.p);
	ProtobufCMessage *m;

	pgo_arena_reset(&t->scratch);
	t->scratch_failed = false;
	m = protobuf_c_message_unpack(d, &a, len, in.p);
	if (m == NULL)
		return unpack_failed(t, d->short_name, len, err);
	t->unknown_fields += m->n_unknown_fields;
	memcpy(ret, &m, sizeof m);
	return 0;
}

/* A string as the file names it; what it is shows when all strings are there. */
static int raw_string(int64_t index, uint32_t *ret, struct pgo_err *err)
{
	if (index < 0 || index >= PGO_NONE)
		return pgo_err_set(
			err, PGO_EFORMAT, "string %lld is not in the table", (long long)index);
	*ret = (uint32_t)index;
	return 0;
}

/* ---------------------------------------------------------------- the messages */

static int unpack_value_type(struct pgo_pprof_tables *t, struct pgo_wire in,
	struct pgo_value_type *ret, struct pgo_err *err)
{
	const Perftools__Profiles__ValueType *m;
	struct pgo_value_type vt;
	int rc = unpack(t, &perftools__profiles__value_type__descriptor, in, &m, err);

	if (rc < 0)
		return rc;
	if (raw_string(m->type, &vt.type, err) < 0 || raw_string(m->unit, &vt.unit, err) < 0)
		return pgo_err_prefix(err, "a value type");
	*ret = vt;
	return 0;
}

static int add_sample_type(struct pgo_pprof_tables *t, struct pgo_wire in, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	struct pgo_value_type vt, *to;
	int rc = unpack_value_type(t, in, &vt, err);

	if (rc == 0)
		rc = pgo_pprof_tables_charge(t, sizeof *to, err);
	if (rc < 0)
		return rc;
	to = PGO_VEC_PUSH(p->sample_types, p->n_sample_types, p->sample_types_room);
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = vt;
	return 0;
}

static int add_mapping(struct pgo_pprof_tables *t, struct pgo_wire in, struct pgo_err *err)
{
	const Perftools__Profiles__Mapping *m;
	struct pgo_mapping to = {0};
	int rc = unpack(t, &perftools__profiles__mapping__descriptor, in, &m, err);

	if (rc < 0)
		return rc;
	rc = pgo_pprof_ids_add(&t->mapping_ids, m->id, "mapping", err);
	if (rc < 0)
		return rc;
	if (raw_string(m->filename, &to.filename, err) < 0 ||
		raw_string(m->build_id, &to.build_id, err) < 0)
		return pgo_err_prefix(err, "mapping %llu", (unsigned long long)m->id);
	to.start = m->memory_start;
	to.limit = m->memory_limit;
	to.offset = m->file_offset;
	to.has_functions = m->has_functions;
	to.has_filenames = m->has_filenames;
	to.has_line_numbers = m->has_line_numbers;
	to.has_inline_frames = m->has_inline_frames;
	rc = pgo_pprof_tables_charge(t, sizeof to + 2 * sizeof m->id, err);
	if (rc < 0)
		return rc;
	return pgo_profile_add_mapping(t->p, &to) != PGO_NONE ? 0 : pgo_err_nomem(err);
}

/* A message of nothing but numbers in fields 1 to n; false if malformed. */
static bool decode_ints(struct pgo_wire in, uint64_t *ret, uint32_t n, uint64_t *unknown)
{
	struct pgo_wire_field f;

	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return false;
		if (f.number > n)
			++*unknown;
		else if (f.type != PGO_WIRE_VARINT)
			return false;
		else
			ret[f.number - 1] = f.v;
	}
	return true;
}

static int add_function(struct pgo_pprof_tables *t, struct pgo_wire in, struct pgo_err *err)
{
	uint64_t v[FUNCTION_FIELDS] = {0};
	const uint64_t id_of = FUNCTION_ID - 1;
	struct pgo_function to = {0};
	int rc;

	if (!decode_ints(in, v, FUNCTION_FIELDS, &t->unknown_fields))
		return pgo_err_set(err, PGO_EFORMAT, "a Function message is malformed");
	rc = pgo_pprof_ids_add(&t->function_ids, v[id_of], "function", err);
	if (rc < 0)
		return rc;
	if (raw_string((int64_t)v[FUNCTION_NAME - 1], &to.name, err) < 0 ||
		raw_string((int64_t)v[FUNCTION_SYSTEM_NAME - 1], &to.system_name, err) < 0 ||
		raw_string((int64_t)v[FUNCTION_FILENAME - 1], &to.filename, err) < 0)
		return pgo_err_prefix(err, "function %llu", (unsigned long long)v[id_of]);
	to.start_line = (int64_t)v[FUNCTION_START_LINE - 1];
	rc = pgo_pprof_tables_charge(t, sizeof to + 2 * sizeof *v, err);
	if (rc < 0)
		return rc;
	return pgo_profile_add_function(t->p, &to) != PGO_NONE ? 0 : pgo_err_nomem(err);
}

/* ---------------------------------------------------------------- locations, directly */

static bool decode_line(struct pgo_wire in, struct pgo_pprof_line *ret, uint64_t *unknown)
{
	uint64_t v[LINE_COLUMN] = {0};

	if (!decode_ints(in, v, LINE_COLUMN, unknown))
		return false;
	ret->function_id = v[LINE_FUNCTION - 1];
	ret->line = (int64_t)v[LINE_LINE - 1];
	ret->column = (int64_t)v[LINE_COLUMN - 1];
	return true;
}

bool pgo_pprof_location_decode(struct pgo_wire in, struct pgo_pprof_location *ret,
	struct pgo_pprof_line *lines, size_t max)
{
	struct pgo_pprof_location l = {0};
	struct pgo_pprof_line line;
	struct pgo_wire_field f;

	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return false;
		if (f.number > LOCATION_FOLDED) {
			l.unknown_fields++;
		} else if (f.type !=
			   (f.number == LOCATION_LINE ? PGO_WIRE_BYTES : PGO_WIRE_VARINT)) {
			return false;
		} else if (f.number == LOCATION_LINE) {
			if (!decode_line(f.in, &line, &l.unknown_fields))
				return false;
			if (l.n_lines < max)
				lines[l.n_lines] = line;
			l.n_lines++;
		} else if (f.number == LOCATION_ID) {
			l.id = f.v;
		} else if (f.number == LOCATION_MAPPING) {
			l.mapping_id = f.v;
		} else if (f.number == LOCATION_ADDR) {
			l.addr = f.v;
		} else {
			l.folded = f.v != 0;
		}
	}
	*ret = l;
	return true;
}

static int add_line(
	struct pgo_pprof_tables *t, const struct pgo_pprof_line *from, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	struct pgo_line *to = PGO_VEC_PUSH(p->lines, p->n_lines, p->lines_room);
	uint64_t *fn;

	if (to == NULL)
		return pgo_err_nomem(err);
	fn = PGO_VEC_PUSH(t->line_function, t->n_line_function, t->line_function_room);
	if (fn == NULL)
		return pgo_err_nomem(err);
	to->line = from->line;
	to->column = from->column;
	*fn = from->function_id;
	return 0;
}

/* More inlined calls than this are decoded a second time, into memory from the arena. */
#define LINES_AT_ONCE 64

static int add_lines(struct pgo_pprof_tables *t, struct pgo_wire in, size_t n,
	const struct pgo_pprof_line *lines, struct pgo_err *err)
{
	struct pgo_pprof_line *all = NULL;
	struct pgo_pprof_location again;
	int rc = 0;

	if (t->p->n_lines + n >= PGO_NONE)
		return pgo_err_set(err, PGO_ELIMIT, "more than %u lines", PGO_NONE - 1);
	if (n > LINES_AT_ONCE) {
		all = pgo_calloc(n, sizeof *all);
		if (all == NULL)
			return pgo_err_nomem(err);
		if (pgo_pprof_location_decode(in, &again, all, n))
			lines = all;
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_line(t, &lines[i], err);
	pgo_free(all);
	return rc;
}

static int add_location(struct pgo_pprof_tables *t, struct pgo_wire in, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	struct pgo_pprof_line lines[LINES_AT_ONCE];
	struct pgo_pprof_location l;
	struct pgo_location *to;
	uint64_t *mapping;
	int rc;

	if (!pgo_pprof_location_decode(in, &l, lines, LINES_AT_ONCE))
		return pgo_err_set(err, PGO_EFORMAT, "a Location message is malformed");
	t->unknown_fields += l.unknown_fields;
	rc = pgo_pprof_tables_charge(t,
		sizeof *to + 2 * sizeof l.id + l.n_lines * (sizeof *p->lines + sizeof l.id), err);
	if (rc == 0)
		rc = pgo_pprof_ids_add(&t->location_ids, l.id, "location", err);
	if (rc < 0)
		return rc;
	to = PGO_VEC_PUSH(p->locations, p->n_locations, p->locations_room);
	mapping =
		PGO_VEC_PUSH(t->location_mapping, t->n_location_mapping, t->location_mapping_room);
	if (to == NULL || mapping == NULL)
		return pgo_err_nomem(err);
	*mapping = l.mapping_id;
	to->mapping = PGO_NONE;
	to->addr = l.addr;
	to->folded = l.folded;
	to->first_line = (uint32_t)p->n_lines;
	to->n_lines = (uint32_t)l.n_lines;
	return add_lines(t, in, l.n_lines, lines, err);
}

/* ---------------------------------------------------------------- strings and scalars */

static int add_string(struct pgo_pprof_tables *t, struct pgo_wire in, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	size_t len = (size_t)(in.end - in.p);
	size_t n_before = p->strs.n_strs;
	uint32_t *to, id;
	int rc;

	if (t->n_strings == 0 && len != 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"the first string of the table is not \"\"; its writer is broken");
	if (t->n_strings >= PGO_NONE - 1)
		return pgo_err_set(err, PGO_ELIMIT, "more than %u strings", PGO_NONE - 1);
	rc = pgo_pprof_tables_charge(t, sizeof *to, err);
	if (rc < 0)
		return rc;
	id = pgo_strtab_add(&p->strs, (const char *)in.p, len);
	if (id == PGO_STR_NONE)
		return p->strs.arena.used + len > t->budget / 2
			       ? pgo_err_set(err, PGO_ELIMIT,
					 "the strings of the profile need more than the limit of "
					 "%llu "
					 "bytes",
					 (unsigned long long)t->budget)
			       : pgo_err_nomem(err);
	if (p->strs.n_strs != n_before) {
		rc = pgo_pprof_tables_charge(t, sizeof(struct pgo_str) + 16 + len, err);
		if (rc < 0)
			return rc;
	}
	to = PGO_VEC_PUSH(t->strings, t->n_strings, t->strings_room);
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = id;
	return 0;
}

static int add_comment(struct pgo_pprof_tables *t, uint64_t index, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	uint32_t *to, id = 0;
	int rc = raw_string((int64_t)index, &id, err);

	if (rc == 0)
		rc = pgo_pprof_tables_charge(t, sizeof *to, err);
	if (rc < 0)
		return rc;
	to = PGO_VEC_PUSH(p->comments, p->n_comments, p->comments_room);
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = id;
	return 0;
}

static int add_comments(
	struct pgo_pprof_tables *t, const struct pgo_wire_field *f, struct pgo_err *err)
{
	struct pgo_wire in = f->in;
	uint64_t v;
	int rc = 0;

	if (f->type == PGO_WIRE_VARINT)
		return add_comment(t, f->v, err);
	while (in.p < in.end && rc == 0)
		rc = pgo_wire_varint(&in, &v)
			     ? add_comment(t, v, err)
			     : pgo_err_set(err, PGO_EFORMAT, "the comments are malformed");
	return rc;
}

/* A comment that is written apart from the others, without the "pgo-" it begins with. */
static int add_origin(struct pgo_pprof_tables *t, struct pgo_wire in, struct pgo_err *err)
{
	size_t len = (size_t)(in.end - in.p);
	char text[PGO_PPROF_ORIGIN_MAX + 1] = "pgo-";
	uint32_t *to, id;
	int rc;

	if (len > sizeof text - 5 || memchr(in.p, '\0', len) != NULL)
		return 0;
	memcpy(text + 4, in.p, len);
	text[4 + len] = '\0';
	if (!pgo_pprof_is_origin(text))
		return 0;
	rc = pgo_pprof_tables_charge(t, 2 * sizeof *to + sizeof(struct pgo_str) + 32 + len, err);
	if (rc < 0)
		return rc;
	id = pgo_strtab_puts(&t->p->strs, text);
	to = id != PGO_STR_NONE ? PGO_VEC_PUSH(t->origins, t->n_origins, t->origins_room) : NULL;
	if (to == NULL)
		return pgo_err_nomem(err);
	*to = id;
	return 0;
}

static int add_origins(struct pgo_pprof_tables *t, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;

	if (PGO_VEC_RESERVE(p->comments, p->comments_room, p->n_comments + t->n_origins) < 0)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < t->n_origins; i++)
		p->comments[p->n_comments++] = t->origins[i];
	return 0;
}

static int set_time(struct pgo_pprof_tables *t, int64_t time_ns, struct pgo_err *err)
{
	if (t->timed)
		return pgo_err_set(err, PGO_EFORMAT,
			"the profile has a second start time: these are two profiles one after "
			"the other, which must be merged instead");
	t->timed = true;
	t->p->time_ns = time_ns;
	return 0;
}

static bool right_type(const struct pgo_wire_field *f)
{
	switch (f->number) {
	case PGO_PPROF_SAMPLE_TYPE:
	case PGO_PPROF_SAMPLE:
	case PGO_PPROF_MAPPING:
	case PGO_PPROF_LOCATION:
	case PGO_PPROF_FUNCTION:
	case PGO_PPROF_STRING:
	case PGO_PPROF_PERIOD_TYPE:
	case PGO_PPROF_ORIGIN:
		return f->type == PGO_WIRE_BYTES;
	case PGO_PPROF_COMMENT:
		return f->type == PGO_WIRE_BYTES || f->type == PGO_WIRE_VARINT;
	default:
		return f->type == PGO_WIRE_VARINT || f->number > PGO_PPROF_DOC_URL;
	}
}

int pgo_pprof_tables_add(
	struct pgo_pprof_tables *t, const struct pgo_wire_field *f, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;

	if (!right_type(f))
		return pgo_err_set(err, PGO_EFORMAT,
			"field %u has wire type %u; this is no pprof profile", f->number, f->type);
	switch (f->number) {
	case PGO_PPROF_SAMPLE_TYPE:
		return add_sample_type(t, f->in, err);
	case PGO_PPROF_MAPPING:
		return add_mapping(t, f->in, err);
	case PGO_PPROF_LOCATION:
		return add_location(t, f->in, err);
	case PGO_PPROF_FUNCTION:
		return add_function(t, f->in, err);
	case PGO_PPROF_STRING:
		return add_string(t, f->in, err);
	case PGO_PPROF_DROP_FRAMES:
		return raw_string((int64_t)f->v, &p->drop_frames, err);
	case PGO_PPROF_KEEP_FRAMES:
		return raw_string((int64_t)f->v, &p->keep_frames, err);
	case PGO_PPROF_TIME:
		return set_time(t, (int64_t)f->v, err);
	case PGO_PPROF_DURATION:
		p->duration_ns = (int64_t)f->v;
		return 0;
	case PGO_PPROF_PERIOD_TYPE:
		return unpack_value_type(t, f->in, &p->period_type, err);
	case PGO_PPROF_PERIOD:
		p->period = (int64_t)f->v;
		return 0;
	case PGO_PPROF_COMMENT:
		return add_comments(t, f, err);
	case PGO_PPROF_DEFAULT_TYPE:
		return raw_string((int64_t)f->v, &p->default_sample_type, err);
	case PGO_PPROF_DOC_URL:
		return raw_string((int64_t)f->v, &p->doc_url, err);
	case PGO_PPROF_ORIGIN:
		return add_origin(t, f->in, err);
	default:
		t->unknown_fields++;
		return 0;
	}
}

/* ---------------------------------------------------------------- references */

static int fix_string(const struct pgo_pprof_tables *t, uint32_t *id, const char *what, size_t i,
	struct pgo_err *err)
{
	if (*id >= t->n_strings)
		return pgo_err_set(err, PGO_EFORMAT,
			"%s %zu names string %u, but there are only %zu", what, i + 1, *id,
			t->n_strings);
	*id = t->strings[*id];
	return 0;
}

static int fix_header(struct pgo_pprof_tables *t, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	uint32_t *one[] = {&p->period_type.type, &p->period_type.unit, &p->drop_frames,
		&p->keep_frames, &p->default_sample_type, &p->doc_url};
	int rc = 0;

	for (size_t i = 0; i < sizeof one / sizeof *one && rc == 0; i++)
		rc = fix_string(t, one[i], "header field", i, err);
	for (size_t i = 0; i < p->n_comments && rc == 0; i++)
		rc = fix_string(t, &p->comments[i], "comment", i, err);
	if (rc == 0)
		rc = add_origins(t, err);
	for (size_t i = 0; i < p->n_sample_types && rc == 0; i++) {
		rc = fix_string(t, &p->sample_types[i].type, "sample type", i, err);
		if (rc == 0)
			rc = fix_string(t, &p->sample_types[i].unit, "sample type", i, err);
	}
	return rc;
}

static int fix_mappings_and_functions(struct pgo_pprof_tables *t, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;
	int rc = 0;

	for (size_t i = 0; i < p->n_mappings && rc == 0; i++) {
		rc = fix_string(t, &p->mappings[i].filename, "mapping", i, err);
		if (rc == 0)
			rc = fix_string(t, &p->mappings[i].build_id, "mapping", i, err);
	}
	for (size_t i = 0; i < p->n_functions && rc == 0; i++) {
		rc = fix_string(t, &p->functions[i].name, "function", i, err);
		if (rc == 0)
			rc = fix_string(t, &p->functions[i].system_name, "function", i, err);
		if (rc == 0)
			rc = fix_string(t, &p->functions[i].filename, "function", i, err);
	}
	return rc;
}

static int fix_locations(struct pgo_pprof_tables *t, struct pgo_err *err)
{
	struct pgo_profile *p = t->p;

	for (size_t i = 0; i < p->n_locations; i++) {
		if (t->location_mapping[i] == 0)
			continue;
		p->locations[i].mapping =
			pgo_pprof_ids_find(&t->mapping_ids, t->location_mapping[i]);
		if (p->locations[i].mapping == PGO_NONE)
			return pgo_err_set(err, PGO_EFORMAT,
				"location %zu: mapping %llu is not in the table", i + 1,
				(unsigned long long)t->location_mapping[i]);
	}
	for (size_t i = 0; i < p->n_lines; i++) {
		p->lines[i].function = pgo_pprof_ids_find(&t->function_ids, t->line_function[i]);
		if (p->lines[i].function == PGO_NONE)
			return pgo_err_set(err, PGO_EFORMAT,
				"line %zu of the locations: function %llu is not in the table",
				i + 1, (unsigned long long)t->line_function[i]);
	}
	return 0;
}

int pgo_pprof_tables_finish(struct pgo_pprof_tables *t, struct pgo_err *err)
{
	int rc;

	if (t->n_strings == 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"there is no string table; this is no pprof profile, or a truncated one");
	rc = fix_header(t, err);
	if (rc == 0)
		rc = fix_mappings_and_functions(t, err);
	if (rc == 0)
		rc = fix_locations(t, err);
	if (rc == 0)
		rc = pgo_profile_check_tables(t->p, err);
	forget_references(t);
	return rc;
}
