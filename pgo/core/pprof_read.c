/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader over a pprof.  First pass: tables are decoded, sample messages passed over; the inflated
 * bytes are kept.  Second pass, a sample at a time: over the bytes kept, or, if they outgrew their
 * limit, over the input once more.
 */
#include "pgo/core/pprof_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct pgo_pprof_limits pgo_pprof_default_limits = {
	.max_inflated = PGO_INFLATE_MAX,
	.max_tables = (uint64_t)2 << 30,
	.max_held = (uint64_t)64 << 20,
};

struct pprof_reader {
	struct pgo_reader base;
	struct pgo_profile *p; /* the tables; base.head */
	char *name;
	struct pgo_pprof_limits limits;
	struct pgo_stream *stream;
	struct pgo_pprof_split split;
	struct pgo_pprof_tables tables;
	struct pgo_pprof_sample_buf buf;

	uint64_t n_samples; /* seen in the first pass */
	uint64_t n_drawn;
	bool can_rewind;
};

/* ---------------------------------------------------------------- first pass */

static int outgrown(const struct pprof_reader *r, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_ELIMIT,
		"it inflates to more than %llu bytes and comes through a pipe, which cannot be "
		"read "
		"twice; give it as a file",
		(unsigned long long)r->limits.max_held);
}

static int pass_over(struct pprof_reader *r, const struct pgo_pprof_field *f, struct pgo_err *err)
{
	size_t len = (size_t)(f->f.in.end - f->f.in.p);

	r->n_samples++;
	if (f->f.type != PGO_WIRE_BYTES)
		return pgo_err_set(err, PGO_EFORMAT,
			"field 2 has wire type %u; this is no pprof profile", f->f.type);
	if (len > PGO_PPROF_SAMPLE_MAX)
		return pgo_err_set(err, PGO_ELIMIT,
			"a sample of %zu bytes; no stack has millions of frames", len);
	return r->split.kept || r->can_rewind ? 0 : outgrown(r, err);
}

/* Context for a sentence that does not start with an offset yet. */
static int at_byte(uint64_t offset, struct pgo_err *err)
{
	return pgo_err_prefix(err, "at byte %llu", (unsigned long long)offset);
}

static int read_tables(struct pprof_reader *r, struct pgo_err *err)
{
	struct pgo_pprof_field f;
	uint64_t n_fields = 0;
	int rc;

	while ((rc = pgo_pprof_split_next(&r->split, &f, err)) > 0) {
		n_fields++;
		rc = f.f.number == PGO_PPROF_SAMPLE ? pass_over(r, &f, err)
						    : pgo_pprof_tables_add(&r->tables, &f.f, err);
		if (rc < 0)
			return at_byte(f.offset, err);
	}
	if (rc < 0)
		return rc;
	if (n_fields == 0)
		return pgo_err_set(err, PGO_EFORMAT, "it is empty; there is no profile in it");
	if (r->n_samples != 0 && r->p->n_sample_types == 0)
		return pgo_err_set(err, PGO_EFORMAT,
			"%llu samples but no sample type that says what their values mean",
			(unsigned long long)r->n_samples);
	return pgo_pprof_tables_finish(&r->tables, err);
}

static int prepare_samples(struct pprof_reader *r, struct pgo_err *err)
{
	int rc = 0;

	if (r->split.kept) {
		pgo_stream_close(r->stream);
		r->stream = NULL;
	} else if (r->n_samples != 0) {
		rc = pgo_stream_rewind(r->stream, err);
	}
	pgo_pprof_split_restart(&r->split);
	return rc;
}

/* ---------------------------------------------------------------- second pass */

/* The next sample message: 1, 0 at the end, or a negative code. */
static int draw(
	struct pprof_reader *r, struct pgo_wire *ret, uint64_t *ret_offset, struct pgo_err *err)
{
	struct pgo_pprof_field f;
	int rc;

	if (r->n_drawn == r->n_samples)
		return 0;
	while ((rc = pgo_pprof_split_next(&r->split, &f, err)) > 0)
		if (f.f.number == PGO_PPROF_SAMPLE && f.f.type == PGO_WIRE_BYTES &&
			(uint64_t)(f.f.in.end - f.f.in.p) <= PGO_PPROF_SAMPLE_MAX)
			break;
	if (rc < 0)
		return pgo_err_prefix(err, "%s", r->name);
	if (rc == 0)
		return pgo_err_set(err, PGO_EIO, "%s: it changed while it was being read", r->name);
	*ret = f.f.in;
	*ret_offset = f.payload;
	return 1;
}

static int pprof_next(struct pgo_reader *base, struct pgo_sample *ret, struct pgo_err *err)
{
	struct pprof_reader *r = (struct pprof_reader *)base;
	struct pgo_wire in;
	uint64_t offset = 0;
	int rc = draw(r, &in, &offset, err);

	if (rc <= 0)
		return rc;
	rc = pgo_pprof_sample_decode(&r->buf, &r->tables, in, ret, err);
	if (rc < 0)
		return pgo_err_prefix(err, "%s: sample %llu, at byte %llu", r->name,
			(unsigned long long)r->n_drawn + 1, (unsigned long long)offset);
	r->n_drawn++;
	return 1;
}

/* ---------------------------------------------------------------- life */

static void pprof_close(struct pgo_reader *base)
{
	struct pprof_reader *r = (struct pprof_reader *)base;

	pgo_pprof_split_fini(&r->split);
	pgo_pprof_tables_fini(&r->tables);
	pgo_pprof_sample_buf_fini(&r->buf);
	if (r->stream != NULL)
		pgo_stream_close(r->stream);
	pgo_profile_free(r->p);
	pgo_free(r->name);
	pgo_free(r);
}

/* Can it be read a second time?  Regular files and memory can. */
static bool is_file(const char *path)
{
	struct stat st;

	return (strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &st) : stat(path, &st)) == 0 &&
	       S_ISREG(st.st_mode);
}

/* Takes `stream`. */
static struct pgo_reader *open_stream(const char *name, struct pgo_stream *stream, bool can_rewind,
	const struct pgo_pprof_limits *limits, struct pgo_err *err)
{
	struct pprof_reader *r = pgo_calloc(1, sizeof *r);
	int rc;

	if (r == NULL) {
		pgo_stream_close(stream);
		pgo_err_nomem(err);
		return NULL;
	}
	r->base = (struct pgo_reader){NULL, NULL, pprof_next, pprof_close};
	r->limits = *limits;
	r->can_rewind = can_rewind;
	r->stream = stream;
	pgo_pprof_split_init(&r->split, stream, limits->max_tables, limits->max_held);
	r->name = pgo_strdup(name);
	r->p = pgo_profile_new(err);
	if (r->name == NULL || r->p == NULL) {
		pgo_err_nomem(err);
		pprof_close(&r->base);
		return NULL;
	}
	r->base.head = r->p;
	r->base.name = r->name;
	pgo_pprof_tables_init(&r->tables, r->p, limits);
	rc = read_tables(r, err);
	if (rc == 0)
		rc = prepare_samples(r, err);
	if (rc < 0) {
		pgo_err_prefix(err, "%s", name);
		pprof_close(&r->base);
		return NULL;
	}
	if (r->tables.unknown_fields != 0)
		pgo_debug("pprof", "%s: skipped %llu fields that profile.proto does not have", name,
			(unsigned long long)r->tables.unknown_fields);
	return &r->base;
}

struct pgo_reader *pgo_pprof_open(
	const char *path, const struct pgo_pprof_limits *limits, struct pgo_err *err)
{
	const struct pgo_pprof_limits *l = limits != NULL ? limits : &pgo_pprof_default_limits;
	struct pgo_stream *stream = pgo_stream_open(path, l->max_inflated, err);

	return stream != NULL ? open_stream(path, stream, is_file(path), l, err) : NULL;
}

struct pgo_reader *pgo_pprof_open_stream(
	const char *path, struct pgo_stream *stream, struct pgo_err *err)
{
	return open_stream(path, stream, is_file(path), &pgo_pprof_default_limits, err);
}

struct pgo_reader *pgo_pprof_open_memory(const char *name, const void *data, size_t len,
	const struct pgo_pprof_limits *limits, struct pgo_err *err)
{
	const struct pgo_pprof_limits *l = limits != NULL ? limits : &pgo_pprof_default_limits;
	struct pgo_stream *stream = pgo_stream_memory(name, data, len, l->max_inflated, err);

	return stream != NULL ? open_stream(name, stream, true, l, err) : NULL;
}

/* ---------------------------------------------------------------- as a whole */

static int load_samples(struct pprof_reader *r, struct pgo_err *err)
{
	struct pgo_sample s;
	int rc;

	while ((rc = pprof_next(&r->base, &s, err)) > 0) {
		rc = pgo_pprof_tables_charge(&r->tables,
			sizeof(struct pgo_sample_ref) + s.n_loc * sizeof *s.loc +
				r->p->n_sample_types * sizeof *s.value +
				s.n_label * sizeof *s.label,
			err);
		if (rc < 0)
			return pgo_err_prefix(err, "%s: with its samples in memory", r->name);
		if (pgo_profile_add_sample(r->p, &s) < 0)
			return pgo_err_nomem(err);
	}
	return rc;
}

/* Takes `base`, which may be NULL. */
static struct pgo_profile *load(struct pgo_reader *base, struct pgo_err *err)
{
	struct pprof_reader *r = (struct pprof_reader *)base;
	struct pgo_profile *p = NULL;

	if (r == NULL)
		return NULL;
	if (load_samples(r, err) == 0) {
		p = r->p;
		r->p = NULL;
	}
	pprof_close(base);
	return p;
}

struct pgo_profile *pgo_pprof_load(
	const char *path, const struct pgo_pprof_limits *limits, struct pgo_err *err)
{
	return load(pgo_pprof_open(path, limits, err), err);
}

struct pgo_profile *pgo_pprof_load_memory(const char *name, const void *data, size_t len,
	const struct pgo_pprof_limits *limits, struct pgo_err *err)
{
	return load(pgo_pprof_open_memory(name, data, len, limits, err), err);
}

/* ---------------------------------------------------------------- probing */

/* Fields of the nested message `in`, of which only the front may be there. */
static bool plausible_message(struct pgo_wire in, bool whole)
{
	struct pgo_wire_field f;
	unsigned n = 0;

	while (in.p < in.end) {
		if (!pgo_wire_next(&in, &f))
			return !whole && n != 0;
		if (f.number > 15 || f.type == PGO_WIRE_FIXED64 || f.type == PGO_WIRE_FIXED32)
			return false;
		n++;
	}
	return true;
}

static bool plausible_type(uint32_t number, uint8_t type)
{
	bool bytes = number <= PGO_PPROF_STRING || number == PGO_PPROF_PERIOD_TYPE;

	if (number > PGO_PPROF_DOC_URL)
		return number == PGO_PPROF_ORIGIN && type == PGO_WIRE_BYTES;
	return type == (bytes ? PGO_WIRE_BYTES : PGO_WIRE_VARINT) ||
	       (number == PGO_PPROF_COMMENT && type == PGO_WIRE_BYTES);
}

static bool holds_message(const struct pgo_wire_field *f)
{
	return f->type == PGO_WIRE_BYTES && f->number != PGO_PPROF_STRING &&
	       f->number != PGO_PPROF_COMMENT && f->number != PGO_PPROF_ORIGIN;
}

bool pgo_pprof_is_origin(const char *comment)
{
	return strncmp(comment, PGO_PPROF_INPUT, sizeof PGO_PPROF_INPUT - 1) == 0 ||
	       strncmp(comment, PGO_PPROF_DAY, sizeof PGO_PPROF_DAY - 1) == 0;
}

bool pgo_pprof_probe(const void *head, size_t len)
{
	struct pgo_wire w = {head, (const uint8_t *)head + len};
	unsigned n = 0;

	for (; w.p < w.end; n++) {
		struct pgo_wire at_tag = w;
		struct pgo_wire_field f;
		uint64_t v;

		if (!pgo_wire_varint(&w, &v))
			return n != 0;
		if (!pgo_wire_tag(v, &f.number, &f.type) || !plausible_type(f.number, f.type))
			return false;
		if (pgo_wire_next(&at_tag, &f)) {
			if (holds_message(&f) && !plausible_message(f.in, true))
				return false;
			w = at_tag;
			continue;
		}
		/* Cut off here: judge by the fields before, or by what is there of a first
		 * message. */
		if (n != 0 || !holds_message(&f) || !pgo_wire_varint(&w, &v))
			return n != 0;
		return plausible_message(w, false);
	}
	return n != 0;
}
