/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sample messages, decoded straight from the wire: they are most of a profile's bytes, and a
 * general decoder spends its time on allocating each of them.
 */
#include "pgo/core/pprof_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STR = 2, LABEL_NUM = 3, LABEL_UNIT = 4 };

void pgo_pprof_sample_buf_fini(struct pgo_pprof_sample_buf *b)
{
	pgo_free(b->loc);
	pgo_free(b->value);
	pgo_free(b->label);
	memset(b, 0, sizeof *b);
}

static int malformed(struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT, "the message is malformed");
}

static int no_location(uint64_t id, struct pgo_err *err)
{
	return pgo_err_set(
		err, PGO_EFORMAT, "location %llu is not in the table", (unsigned long long)id);
}

static int add_location(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_ids *ids,
	uint64_t id, struct pgo_sample *ret, struct pgo_err *err)
{
	if (PGO_VEC_RESERVE(b->loc, b->loc_room, (size_t)ret->n_loc + 1) < 0)
		return pgo_err_nomem(err);
	b->loc[ret->n_loc] = pgo_pprof_ids_find(ids, id);
	if (b->loc[ret->n_loc++] == PGO_NONE)
		return no_location(id, err);
	return 0;
}

static int add_locations(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_ids *ids,
	struct pgo_wire in, struct pgo_sample *ret, struct pgo_err *err)
{
	size_t most = ret->n_loc + (size_t)(in.end - in.p); /* a byte each at least */
	const bool sparse = ids->sparse;
	const uint64_t n = ids->n;
	uint32_t *to;
	uint64_t id;

	if (PGO_VEC_RESERVE(b->loc, b->loc_room, most) < 0)
		return pgo_err_nomem(err);
	to = b->loc + ret->n_loc;
	/* The innermost loop of all reading: no call and no store but that of the result. */
	while (in.p < in.end) {
		if (!pgo_wire_varint(&in, &id))
			return malformed(err);
		if (sparse) {
			*to = pgo_pprof_ids_find_sparse(ids, id);
			if (*to++ == PGO_NONE)
				return no_location(id, err);
			continue;
		}
		if (id - 1 >= n)
			return no_location(id, err);
		*to++ = (uint32_t)(id - 1);
	}
	ret->n_loc = (uint32_t)(to - b->loc);
	return 0;
}

static int add_value(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_tables *t, uint64_t v,
	size_t *n, struct pgo_err *err)
{
	if (*n >= t->p->n_sample_types)
		return pgo_err_set(err, PGO_EFORMAT,
			"more values than the %zu sample types of the profile",
			t->p->n_sample_types);
	b->value[(*n)++] = (int64_t)v;
	return 0;
}

static int add_values(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_tables *t,
	struct pgo_wire in, size_t *n, struct pgo_err *err)
{
	const size_t most = t->p->n_sample_types;
	int64_t *to = b->value;
	size_t i = *n;
	uint64_t v;

	for (; in.p < in.end && i < most; i++) {
		if (!pgo_wire_varint(&in, &v))
			return malformed(err);
		to[i] = (int64_t)v;
	}
	*n = i;
	/* One more than there may be has its sentence there. */
	return in.p < in.end ? add_value(b, t, 0, n, err) : 0;
}

static int label_string(
	const struct pgo_pprof_tables *t, uint64_t index, uint32_t *ret, struct pgo_err *err)
{
	if (index >= t->n_strings)
		return pgo_err_set(err, PGO_EFORMAT,
			"a label names string %llu, but there are only %zu",
			(unsigned long long)index, t->n_strings);
	*ret = t->strings[index];
	return 0;
}

static int add_label(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_tables *t,
	struct pgo_wire in, struct pgo_sample *ret, struct pgo_err *err)
{
	struct pgo_label l = {0};
	struct pgo_wire_field f;
	int rc = 0;

	if (PGO_VEC_RESERVE(b->label, b->label_room, (size_t)ret->n_label + 1) < 0)
		return pgo_err_nomem(err);
	while (in.p < in.end && rc == 0) {
		if (!pgo_wire_next(&in, &f) ||
			(f.number <= LABEL_UNIT && f.type != PGO_WIRE_VARINT))
			return malformed(err);
		if (f.number == LABEL_KEY)
			rc = label_string(t, f.v, &l.key, err);
		else if (f.number == LABEL_STR)
			rc = label_string(t, f.v, &l.str, err);
		else if (f.number == LABEL_NUM)
			l.num = (int64_t)f.v;
		else if (f.number == LABEL_UNIT)
			rc = label_string(t, f.v, &l.num_unit, err);
		else
			b->unknown_fields++;
	}
	b->label[ret->n_label++] = l;
	return rc;
}

int pgo_pprof_sample_decode(struct pgo_pprof_sample_buf *b, const struct pgo_pprof_tables *t,
	struct pgo_wire in, struct pgo_sample *ret, struct pgo_err *err)
{
	struct pgo_sample s = {0};
	struct pgo_wire_field f;
	size_t n_values = 0;
	int rc = 0;

	if (PGO_VEC_RESERVE(b->value, b->value_room, t->p->n_sample_types) < 0)
		return pgo_err_nomem(err);
	while (in.p < in.end && rc == 0) {
		bool packed;

		if (!pgo_wire_next(&in, &f))
			return malformed(err);
		packed = f.type == PGO_WIRE_BYTES;
		if (f.number > SAMPLE_LABEL)
			b->unknown_fields++;
		else if (f.type != PGO_WIRE_BYTES && f.type != PGO_WIRE_VARINT)
			return malformed(err);
		else if (f.number == SAMPLE_LOCATION)
			rc = packed ? add_locations(b, &t->location_ids, f.in, &s, err)
				    : add_location(b, &t->location_ids, f.v, &s, err);
		else if (f.number == SAMPLE_VALUE)
			rc = packed ? add_values(b, t, f.in, &n_values, err)
				    : add_value(b, t, f.v, &n_values, err);
		else
			rc = packed ? add_label(b, t, f.in, &s, err) : malformed(err);
	}
	if (rc < 0)
		return rc;
	if (n_values != t->p->n_sample_types)
		return pgo_err_set(err, PGO_EFORMAT, "%zu values for %zu sample types", n_values,
			t->p->n_sample_types);
	s.loc = b->loc;
	s.value = b->value;
	s.label = b->label;
	*ret = s;
	return 0;
}
