/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile -> profile.proto, in the order of the field numbers and with zero fields left out, so
 * that any protobuf library that decodes and encodes it again gives the same bytes.
 *
 * A nested message needs its length in front, so each kind has one function that measures and one
 * that writes; both walk the same fields through the macros below.  Ids count from 1 in table
 * order (some stores insist on it).  Only strings that are used are written, numbered by first use.
 */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/pprof.h"
#include "pgo/core/pprof_impl.h"
#include "pgo/core/sha256.h"

#include <inttypes.h>
#include <string.h>

/* Encoded bytes at most; readers of the format hold it whole. */
#define ENCODED_MAX ((size_t)16 << 30)

struct writer {
	const struct pgo_profile *p;
	struct pgo_buf *out;
	uint32_t *file_index; /* string of p -> index in the file; 0 also for not used yet */
	uint32_t *used;       /* the other way round, by file index */
	uint32_t n_used;
};

/* ---------------------------------------------------------------- strings */

static void use(struct writer *w, uint32_t id)
{
	if (id == 0 || w->file_index[id] != 0)
		return;
	w->used[w->n_used] = id;
	w->file_index[id] = w->n_used++;
}

static void use_samples(struct writer *w)
{
	for (size_t i = 0; i < w->p->n_sample_labels; i++) {
		use(w, w->p->sample_labels[i].key);
		use(w, w->p->sample_labels[i].str);
		use(w, w->p->sample_labels[i].num_unit);
	}
}

static void use_tables(struct writer *w)
{
	const struct pgo_profile *p = w->p;

	for (size_t i = 0; i < p->n_mappings; i++) {
		use(w, p->mappings[i].filename);
		use(w, p->mappings[i].build_id);
	}
	for (size_t i = 0; i < p->n_functions; i++) {
		use(w, p->functions[i].name);
		use(w, p->functions[i].system_name);
		use(w, p->functions[i].filename);
	}
}

static void use_types(struct writer *w)
{
	for (size_t i = 0; i < w->p->n_sample_types; i++) {
		use(w, w->p->sample_types[i].type);
		use(w, w->p->sample_types[i].unit);
	}
}

static bool is_origin(const struct writer *w, size_t i)
{
	return pgo_pprof_is_origin(pgo_profile_str(w->p, w->p->comments[i]));
}

static void use_header(struct writer *w)
{
	const struct pgo_profile *p = w->p;

	use(w, p->drop_frames);
	use(w, p->keep_frames);
	use(w, p->period_type.type);
	use(w, p->period_type.unit);
	for (size_t i = 0; i < p->n_comments; i++)
		if (!is_origin(w, i))
			use(w, p->comments[i]);
	use(w, p->default_sample_type);
	use(w, p->doc_url);
}

static int begin_strings(struct writer *w, struct pgo_err *err)
{
	const struct pgo_profile *p = w->p;

	w->file_index = pgo_calloc(p->strs.n_strs, sizeof *w->file_index);
	w->used = pgo_calloc(p->strs.n_strs, sizeof *w->used);
	if (w->file_index == NULL || w->used == NULL)
		return pgo_err_nomem(err);
	w->n_used = 1; /* "" */
	use_types(w);
	return 0;
}

/* ---------------------------------------------------------------- scalars */

static size_t int_size(uint64_t v)
{
	return v != 0 ? 1 + pgo_wire_size(v) : 0;
}

/* Tags of this format take one byte: no field number but our own is above 15. */
static void put_tag(struct writer *w, unsigned field, enum pgo_wire_type type)
{
	pgo_buf_putc(w->out, (char)(field << 3 | type));
}

static void put_int(struct writer *w, unsigned field, uint64_t v)
{
	if (v == 0)
		return;
	put_tag(w, field, PGO_WIRE_VARINT);
	pgo_buf_uleb(w->out, v);
}

static void put_head(struct writer *w, unsigned field, size_t len)
{
	put_tag(w, field, PGO_WIRE_BYTES);
	pgo_buf_uleb(w->out, len);
}

/* A message of nothing but numbers in fields 1 to n. */
static size_t ints_size(const uint64_t *v, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += int_size(v[i]);
	return size;
}

static void put_ints(struct writer *w, unsigned field, const uint64_t *v, size_t n)
{
	put_head(w, field, ints_size(v, n));
	for (size_t i = 0; i < n; i++)
		put_int(w, (unsigned)i + 1, v[i]);
}

/* ---------------------------------------------------------------- samples */

static void label_ints(const struct writer *w, const struct pgo_label *l, uint64_t ret[4])
{
	ret[0] = w->file_index[l->key];
	ret[1] = w->file_index[l->str];
	ret[2] = (uint64_t)l->num;
	ret[3] = w->file_index[l->num_unit];
}

/* Bytes of a packed field of `size` bytes of numbers; nothing is written for none. */
static size_t packed_size(size_t size)
{
	return size != 0 ? 1 + pgo_wire_size(size) + size : 0;
}

static uint8_t *packed_head(uint8_t *to, unsigned field, size_t size)
{
	if (size == 0)
		return to;
	*to++ = (uint8_t)(field << 3 | PGO_WIRE_BYTES);
	return pgo_wire_put(to, size);
}

/* Samples are most of the output: sized once, then written without further checks. */
static void put_sample(struct writer *w, const struct pgo_sample *s)
{
	size_t n_values = w->p->n_sample_types;
	size_t locs = 0, values = 0, labels = 0, numbers;
	uint64_t v[4];
	uint8_t *to;

	for (uint32_t i = 0; i < s->n_loc; i++)
		locs += pgo_wire_size((uint64_t)s->loc[i] + 1);
	for (size_t i = 0; i < n_values; i++)
		values += pgo_wire_size((uint64_t)s->value[i]);
	for (uint32_t i = 0; i < s->n_label; i++) {
		label_ints(w, &s->label[i], v);
		/* A label message is under 128 bytes: one byte of length. */
		labels += 2 + ints_size(v, 4);
	}
	numbers = packed_size(locs) + packed_size(values);
	put_head(w, PGO_PPROF_SAMPLE, numbers + labels);
	to = (uint8_t *)pgo_buf_reserve(w->out, numbers);
	if (to == NULL)
		return;
	to = packed_head(to, 1, locs);
	for (uint32_t i = 0; i < s->n_loc; i++)
		to = pgo_wire_put(to, (uint64_t)s->loc[i] + 1);
	to = packed_head(to, 2, values);
	for (size_t i = 0; i < n_values; i++)
		to = pgo_wire_put(to, (uint64_t)s->value[i]);
	w->out->len += numbers;
	*to = '\0';
	for (uint32_t i = 0; i < s->n_label; i++) {
		label_ints(w, &s->label[i], v);
		put_ints(w, 3, v, 4);
	}
}

static int check_samples(const struct pgo_profile *p, struct pgo_err *err)
{
	for (size_t i = 0; i < p->n_samples; i++) {
		struct pgo_sample s = pgo_profile_sample(p, i);

		if (pgo_profile_check_sample(p, &s, err) < 0)
			return pgo_err_prefix(err, "sample %zu", i + 1);
	}
	return 0;
}

/* ---------------------------------------------------------------- tables */

static void put_value_type(struct writer *w, unsigned field, const struct pgo_value_type *t)
{
	uint64_t v[] = {w->file_index[t->type], w->file_index[t->unit]};

	put_ints(w, field, v, 2);
}

static void put_mapping(struct writer *w, size_t i)
{
	const struct pgo_mapping *m = &w->p->mappings[i];
	uint64_t v[] = {i + 1, m->start, m->limit, m->offset, w->file_index[m->filename],
		w->file_index[m->build_id], m->has_functions, m->has_filenames, m->has_line_numbers,
		m->has_inline_frames};

	put_ints(w, PGO_PPROF_MAPPING, v, sizeof v / sizeof *v);
}

static void put_function(struct writer *w, size_t i)
{
	const struct pgo_function *f = &w->p->functions[i];
	uint64_t v[] = {i + 1, w->file_index[f->name], w->file_index[f->system_name],
		w->file_index[f->filename], (uint64_t)f->start_line};

	put_ints(w, PGO_PPROF_FUNCTION, v, sizeof v / sizeof *v);
}

static void line_ints(const struct pgo_line *l, uint64_t ret[3])
{
	ret[0] = (uint64_t)l->function + 1;
	ret[1] = (uint64_t)l->line;
	ret[2] = (uint64_t)l->column;
}

static void put_location(struct writer *w, size_t i)
{
	const struct pgo_location *l = &w->p->locations[i];
	const struct pgo_line *lines = w->p->lines + l->first_line;
	uint64_t v[3] = {i + 1, l->mapping != PGO_NONE ? (uint64_t)l->mapping + 1 : 0, l->addr};
	uint64_t line[3];
	size_t size = ints_size(v, 3) + (l->folded ? 2 : 0);

	for (uint32_t k = 0; k < l->n_lines; k++) {
		line_ints(&lines[k], line);
		size += 2 + ints_size(line, 3); /* under 128 bytes again */
	}
	put_head(w, PGO_PPROF_LOCATION, size);
	for (unsigned k = 0; k < 3; k++)
		put_int(w, k + 1, v[k]);
	for (uint32_t k = 0; k < l->n_lines; k++) {
		line_ints(&lines[k], line);
		put_ints(w, 4, line, 3);
	}
	put_int(w, 5, l->folded);
}

static void put_comments(struct writer *w)
{
	const uint32_t *comment = w->p->comments;
	size_t size = 0;

	for (size_t i = 0; i < w->p->n_comments; i++)
		if (!is_origin(w, i))
			size += pgo_wire_size(w->file_index[comment[i]]);
	if (size != 0)
		put_head(w, PGO_PPROF_COMMENT, size);
	for (size_t i = 0; i < w->p->n_comments; i++)
		if (!is_origin(w, i))
			pgo_buf_uleb(w->out, w->file_index[comment[i]]);
}

static void put_origins(struct writer *w)
{
	for (size_t i = 0; i < w->p->n_comments; i++) {
		const struct pgo_str *s = &w->p->strs.strs[w->p->comments[i]];

		if (!is_origin(w, i))
			continue;
		pgo_buf_uleb(w->out, PGO_PPROF_ORIGIN << 3 | PGO_WIRE_BYTES);
		pgo_buf_uleb(w->out, s->len - 4);
		pgo_buf_add(w->out, s->s + 4, s->len - 4);
	}
}

static void put_types(struct writer *w)
{
	for (size_t i = 0; i < w->p->n_sample_types; i++)
		put_value_type(w, PGO_PPROF_SAMPLE_TYPE, &w->p->sample_types[i]);
}

/* What comes after the samples. */
static void put_tables(struct writer *w)
{
	const struct pgo_profile *p = w->p;

	for (size_t i = 0; i < p->n_mappings; i++)
		put_mapping(w, i);
	for (size_t i = 0; i < p->n_locations; i++)
		put_location(w, i);
	for (size_t i = 0; i < p->n_functions; i++)
		put_function(w, i);
	for (uint32_t i = 0; i < w->n_used; i++) {
		const struct pgo_str *s = &p->strs.strs[w->used[i]];

		put_head(w, PGO_PPROF_STRING, s->len);
		pgo_buf_add(w->out, s->s, s->len);
	}
	put_int(w, PGO_PPROF_DROP_FRAMES, w->file_index[p->drop_frames]);
	put_int(w, PGO_PPROF_KEEP_FRAMES, w->file_index[p->keep_frames]);
	put_int(w, PGO_PPROF_TIME, (uint64_t)p->time_ns);
	put_int(w, PGO_PPROF_DURATION, (uint64_t)p->duration_ns);
	if (p->period_type.type != 0 || p->period_type.unit != 0)
		put_value_type(w, PGO_PPROF_PERIOD_TYPE, &p->period_type);
	put_int(w, PGO_PPROF_PERIOD, (uint64_t)p->period);
	put_comments(w);
	put_int(w, PGO_PPROF_DEFAULT_TYPE, w->file_index[p->default_sample_type]);
	put_int(w, PGO_PPROF_DOC_URL, w->file_index[p->doc_url]);
	put_origins(w);
}

static int encode(const struct pgo_profile *p, struct pgo_buf *out, struct pgo_err *err)
{
	struct writer w = {.p = p, .out = out};
	int rc = pgo_profile_check_tables(p, err);

	if (rc == 0)
		rc = check_samples(p, err);
	if (rc == 0)
		rc = begin_strings(&w, err);
	if (rc == 0) {
		use_samples(&w);
		use_tables(&w);
		use_header(&w);
		put_types(&w);
		for (size_t i = 0; i < p->n_samples; i++) {
			struct pgo_sample s = pgo_profile_sample(p, i);

			put_sample(&w, &s);
		}
		put_tables(&w);
		rc = pgo_buf_check(out, "the encoded profile", err);
	}
	pgo_free(w.file_index);
	pgo_free(w.used);
	return rc;
}

int pgo_pprof_encode(
	const struct pgo_profile *p, bool gzip, struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_buf plain;
	int rc;

	if (!gzip)
		return encode(p, out, err);
	pgo_buf_init(&plain, ENCODED_MAX);
	rc = encode(p, &plain, err);
	if (rc == 0)
		rc = pgo_gzip(plain.data, plain.len, out, err);
	pgo_buf_fini(&plain);
	return rc;
}

int pgo_pprof_write(const struct pgo_profile *p, const char *path, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, ENCODED_MAX);
	rc = pgo_pprof_encode(p, true, &out, err);
	if (rc < 0)
		pgo_err_prefix(err, "%s", path);
	else
		rc = pgo_file_write(path, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

/* ---------------------------------------------------------------- from a reader */

/* Encoded bytes between two visits of the compressor. */
#define STRETCH ((size_t)256 << 10)

struct stream {
	struct writer w;
	struct pgo_buf out;
	struct pgo_gzip *gzip;
	struct pgo_outfile *file; /* NULL: only counted */
	struct pgo_sha256 sha;
	struct pgo_pprof_written *ret;
};

static int take_gzip(void *ctx, const void *data, size_t len, struct pgo_err *err)
{
	struct stream *s = ctx;

	pgo_sha256_add(&s->sha, data, len);
	s->ret->bytes += len;
	return s->file != NULL ? pgo_outfile_write(s->file, data, len, err) : 0;
}

static int compress(struct stream *s, struct pgo_err *err)
{
	int rc = pgo_buf_check(&s->out, "the encoded profile", err);

	if (rc == 0)
		rc = pgo_gzip_add(s->gzip, s->out.data, s->out.len, err);
	pgo_buf_clear(&s->out);
	return rc;
}

static int stream_samples(struct stream *s, struct pgo_reader *r, struct pgo_err *err)
{
	const struct pgo_profile *p = r->head;
	const size_t n_strs = p->strs.n_strs;
	struct pgo_sample sample;
	int rc;

	while ((rc = pgo_reader_next(r, &sample, err)) > 0) {
		rc = pgo_profile_check_sample(p, &sample, err);
		if (rc < 0)
			return pgo_err_prefix(err, "sample %" PRIu64, s->ret->samples + 1);
		if (p->strs.n_strs != n_strs)
			return pgo_err_set(err, PGO_EFORMAT,
				"the strings of the profile grew while it was written");
		for (uint32_t i = 0; i < sample.n_label; i++) {
			use(&s->w, sample.label[i].key);
			use(&s->w, sample.label[i].str);
			use(&s->w, sample.label[i].num_unit);
		}
		put_sample(&s->w, &sample);
		for (size_t c = 0; s->ret->totals != NULL && c < p->n_sample_types; c++)
			s->ret->totals[c] += (double)sample.value[c];
		s->ret->samples++;
		if (s->out.len >= STRETCH && (rc = compress(s, err)) < 0)
			return rc;
	}
	return rc;
}

static int stream_all(struct stream *s, struct pgo_reader *r, struct pgo_err *err)
{
	int rc = pgo_profile_check_tables(r->head, err);

	if (rc == 0)
		rc = begin_strings(&s->w, err);
	if (rc < 0)
		return rc;
	put_types(&s->w);
	rc = stream_samples(s, r, err);
	if (rc < 0)
		return rc;
	use_tables(&s->w);
	use_header(&s->w);
	put_tables(&s->w);
	rc = compress(s, err);
	return rc == 0 ? pgo_gzip_end(s->gzip, err) : rc;
}

int pgo_pprof_write_reader(
	struct pgo_reader *r, const char *path, struct pgo_pprof_written *ret, struct pgo_err *err)
{
	struct stream s = {.w = {.p = r->head, .out = &s.out}, .ret = ret};
	uint8_t digest[32];
	int rc = PGO_ENOMEM;

	ret->bytes = ret->samples = 0;
	pgo_buf_init(&s.out, ENCODED_MAX);
	pgo_sha256_init(&s.sha);
	s.gzip = pgo_gzip_new(take_gzip, &s, 0, err);
	if (s.gzip == NULL)
		goto out;
	if (path != NULL && (s.file = pgo_outfile_open(path, err)) == NULL) {
		rc = PGO_EIO;
		goto out;
	}
	rc = stream_all(&s, r, err);
	if (rc == 0 && s.file != NULL) {
		rc = pgo_outfile_commit(s.file, err);
		s.file = NULL;
	}
	pgo_sha256_final(&s.sha, digest);
	pgo_sha256_hex(digest, ret->digest);
out:
	pgo_outfile_abort(s.file);
	pgo_gzip_free(s.gzip);
	pgo_buf_fini(&s.out);
	pgo_free(s.w.file_index);
	pgo_free(s.w.used);
	return rc;
}
