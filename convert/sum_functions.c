/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sample profiles added up.  Binary ones of LLVM are read straight into the sums; the others are
 * read by themselves and then added.
 */
#include "convert/fmt_gcc.h"
#include "convert/fmt_llvm.h"
#include "convert/sum_impl.h"

#include "pgo/core/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What profiles must have in common. */
struct marks {
	bool contexts, flow_sensitive, hashes, preinlined, checksums;
};

struct pgo_sum_functions {
	struct pgo_fnprof *p;
	char *first; /* name of the first file */
	struct marks marks;
	bool partial, unique_suffixes;
	const struct pgo_format *format; /* that of all files, or NULL */
	uint32_t version;                /* of .afdo */
	size_t n_cold;                   /* after repeats were last taken out */
};

struct pgo_sum_functions *pgo_sum_functions_new(struct pgo_err *err)
{
	struct pgo_sum_functions *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->p = pgo_fnprof_new(err);
	if (s->p == NULL) {
		pgo_free(s);
		return NULL;
	}
	return s;
}

void pgo_sum_functions_free(struct pgo_sum_functions *s)
{
	if (s == NULL)
		return;
	pgo_fnprof_free(s->p);
	pgo_free(s->first);
	pgo_free(s);
}

/* ---------------------------------------------------------------- marks */

static int differ(const struct pgo_sum_functions *s, const char *what, const char *with,
	const char *without, bool has, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EMISMATCH, "%s has %s, %s has %s: merge each kind by itself",
		what, has ? with : without, s->first, has ? without : with);
}

static int join_marks(struct pgo_sum_functions *s, const char *what, const struct marks *m,
	const struct pgo_format *format, uint32_t version, struct pgo_err *err)
{
	if (s->first == NULL) {
		s->first = pgo_strdup(what);
		s->marks = *m;
		s->format = format;
		s->version = version;
		return s->first != NULL ? 0 : pgo_err_nomem(err);
	}
	if (s->format != format)
		s->format = NULL;
	if (s->version != version)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s is of version %u, which gcc %s reads; %s of version %u: merge each "
			"by itself",
			what, version,
			version == 3   ? "16 and later"
			: version == 2 ? "12 to 15"
				       : "up to 11",
			s->first, s->version);
	if (m->contexts != s->marks.contexts)
		return differ(s, what, "calling contexts", "no calling contexts", m->contexts, err);
	if (m->hashes != s->marks.hashes)
		return differ(s, what, "MD5 hashes of names", "names", m->hashes, err);
	if (m->checksums != s->marks.checksums)
		return differ(s, what, "probes", "lines", m->checksums, err);
	if (m->flow_sensitive != s->marks.flow_sensitive)
		return differ(s, what, "flow-sensitive discriminators", "plain discriminators",
			m->flow_sensitive, err);
	if (m->preinlined != s->marks.preinlined)
		return differ(s, what, "contexts chosen by a pre-inliner", "contexts as sampled",
			m->preinlined, err);
	return 0;
}

static struct marks marks_of(const struct pgo_fnprof *p, bool checksums)
{
	return (struct marks){
		p->context_sensitive, p->fs_discriminators, p->md5_names, p->preinlined, checksums};
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Every file repeats its list of symbols. */
static void drop_repeats(struct pgo_sum_functions *s)
{
	struct pgo_fnprof *p = s->p;
	size_t kept = 0;

	if (p->n_cold < 2 * s->n_cold + 1024)
		return;
	qsort(p->cold, p->n_cold, sizeof *p->cold, by_id);
	for (size_t i = 0; i < p->n_cold; i++)
		if (kept == 0 || p->cold[kept - 1] != p->cold[i])
			p->cold[kept++] = p->cold[i];
	p->n_cold = s->n_cold = kept;
}

/* ---------------------------------------------------------------- adding */

static uint32_t carry(struct pgo_fnprof *p, const struct pgo_fnprof *q, uint32_t id)
{
	return id == 0 ? 0 : pgo_strtab_add(&p->strs, q->strs.strs[id].s, q->strs.strs[id].len);
}

/* Records with different checksums stay apart: the checksum is kept where gcc 16 has the file. */
static uint32_t part_of_key(
	struct pgo_fnprof *p, const struct pgo_fnprof *q, const struct pgo_fn *f)
{
	char text[24];

	if (!f->has_checksum || f->file != 0)
		return carry(p, q, f->file);
	return pgo_strtab_add(&p->strs, text,
		(size_t)snprintf(text, sizeof text, "#%016llx", (unsigned long long)f->checksum));
}

static int add_functions(struct pgo_sum_functions *s, const struct pgo_fnprof *q, uint64_t weight,
	struct pgo_err *err)
{
	struct pgo_fnprof *p = s->p;

	for (size_t i = 0; i < q->n_fns; i++) {
		uint32_t name = carry(p, q, q->fns[i]->name);
		uint32_t file = part_of_key(p, q, q->fns[i]);
		struct pgo_fn *f;

		if (name == PGO_STR_NONE || file == PGO_STR_NONE)
			return pgo_err_nomem(err);
		f = pgo_fnprof_fn_of_file(p, name, file);
		if (f == NULL || pgo_fn_merge(p, f, q, q->fns[i], weight) < 0)
			return pgo_err_nomem(err);
	}
	for (size_t i = 0; i < q->n_cold; i++) {
		uint32_t name = carry(p, q, q->cold[i]);

		if (name == PGO_STR_NONE || pgo_fnprof_add_cold(p, name) < 0)
			return pgo_err_nomem(err);
	}
	return 0;
}

static bool any_checksum(const struct pgo_fnprof *q)
{
	for (size_t i = 0; i < q->n_fns; i++)
		if (q->fns[i]->has_checksum)
			return true;
	return false;
}

/* 704 is what create_gcov calls its flavour of version 1. */
static uint32_t afdo_version(const struct pgo_format *format, const struct pgo_buf *data)
{
	/* A little-endian word, and the numbers are small. */
	unsigned char v =
		format == &pgo_format_gcc && data->len > 4 ? (unsigned char)data->data[4] : 0;

	if (format != &pgo_format_gcc)
		return 0;
	return v == 2 || v == 3 ? v : 1;
}

static int add_apart(struct pgo_sum_functions *s, const struct pgo_format *format, const char *what,
	const struct pgo_buf *data, uint64_t weight, uint64_t *ret_records, struct pgo_err *err)
{
	struct pgo_fnprof *q = format->read(what, data->data, data->len, err);
	struct marks m;
	int rc;

	if (q == NULL)
		return err->code;
	m = marks_of(q, any_checksum(q));
	s->partial |= q->partial;
	s->unique_suffixes |= q->unique_suffixes;
	*ret_records = q->n_fns;
	rc = join_marks(s, what, &m, format, afdo_version(format, data), err);
	s->p->md5_names = m.hashes; /* how names compare */
	if (rc == 0)
		rc = add_functions(s, q, weight, err);
	pgo_fnprof_free(q);
	return rc;
}

static bool is_binary(const struct pgo_format *format)
{
	return format == &pgo_format_llvm_binary || format == &pgo_format_llvm_extbinary;
}

int pgo_sum_functions_add(struct pgo_sum_functions *s, const char *what, const struct pgo_buf *data,
	uint64_t weight, uint64_t *ret_records, struct pgo_err *err)
{
	const struct pgo_format *format =
		pgo_format_probe(data->data, data->len < 4096 ? data->len : 4096);
	struct marks m;
	int rc;

	if (format == NULL)
		return pgo_err_set(err, PGO_EFORMAT, "%s is no sample profile", what);
	if (!is_binary(format) || pgo_llvm_has_checksums(data->data, data->len)) {
		rc = add_apart(s, format, what, data, weight, ret_records, err);
	} else {
		rc = pgo_llvm_read_into(
			s->p, what, data->data, data->len, weight, ret_records, err);
		m = marks_of(s->p, false);
		s->partial |= s->p->partial;
		s->unique_suffixes |= s->p->unique_suffixes;
		if (rc == 0)
			rc = join_marks(s, what, &m, format, 0, err);
	}
	drop_repeats(s);
	return rc;
}

int pgo_sum_functions_join(
	struct pgo_sum_functions *s, const struct pgo_sum_functions *from, struct pgo_err *err)
{
	int rc;

	if (from->first == NULL)
		return 0;
	rc = join_marks(s, from->first, &from->marks, from->format, from->version, err);
	s->partial |= from->partial;
	s->unique_suffixes |= from->unique_suffixes;
	s->p->md5_names = s->marks.hashes;
	return rc == 0 ? add_functions(s, from->p, 1, err) : rc;
}

/* ---------------------------------------------------------------- the result */

static int by_name_and_total(const void *a, const void *b)
{
	const struct pgo_fn *x = *(struct pgo_fn *const *)a, *y = *(struct pgo_fn *const *)b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return x->checksum < y->checksum ? -1 : x->checksum > y->checksum;
}

/* Of the records of one name with different checksums, the one with the largest total. */
static void choose_code(struct pgo_sum_functions *s, struct pgo_sum *ret)
{
	struct pgo_fnprof *p = s->p;
	size_t kept = 0;

	if (!s->marks.checksums)
		return;
	qsort(p->fns, p->n_fns, sizeof *p->fns, by_name_and_total);
	for (size_t i = 0; i < p->n_fns; i++) {
		struct pgo_fn *f = p->fns[i];

		if (kept != 0 && p->fns[kept - 1]->name == f->name) {
			ret->other_code++;
			ret->other_code_total = pgo_sat_add(ret->other_code_total, f->total);
			continue;
		}
		f->file = 0;
		p->fns[kept++] = f;
	}
	p->n_fns = kept;
}

/* What was written is what was meant: read back it gives the same counts. */
static int check_back(const struct pgo_sum_functions *s, const struct pgo_format *format,
	const struct pgo_sum *ret, struct pgo_err *err)
{
	struct pgo_fnprof *q = format->read("the result", ret->data.data, ret->data.len, err);
	struct pgo_summary a, b;
	int rc = q != NULL ? 0 : err->code;

	if (rc == 0)
		rc = pgo_fnprof_summary(s->p, &a, err);
	if (rc == 0)
		rc = pgo_fnprof_summary(q, &b, err);
	if (rc == 0 && (a.total != b.total || a.max != b.max || a.n_counts != b.n_counts))
		rc = pgo_err_set(err, PGO_EFORMAT,
			"the result does not read back as it was written; please report this");
	pgo_fnprof_free(q);
	return rc;
}

int pgo_sum_functions_write(struct pgo_sum_functions *s, const struct pgo_sum_options *o,
	struct pgo_sum *ret, struct pgo_err *err)
{
	static const unsigned releases[] = {0, 11, 15, 16}; /* by version of .afdo */
	struct pgo_format_options fo = o->fo;
	const struct pgo_format *format =
		s->format != NULL ? s->format : &pgo_format_llvm_extbinary;
	int rc;

	if (ret->kind == PGO_SUM_LLVM && o->format != NULL)
		format = o->format;
	fo.gcc_release = releases[s->version];
	s->p->context_sensitive = s->marks.contexts;
	s->p->fs_discriminators = s->marks.flow_sensitive;
	s->p->md5_names = s->marks.hashes;
	s->p->preinlined = s->marks.preinlined;
	s->p->partial = s->partial;
	s->p->unique_suffixes = s->unique_suffixes;
	s->n_cold = 0;
	drop_repeats(s);
	choose_code(s, ret);
	pgo_fnprof_sort(s->p);
	ret->format = format->name;
	ret->records_out = s->p->n_fns;
	rc = format->write(s->p, &fo, &ret->data, err);
	if (rc == 0)
		rc = pgo_buf_check(&ret->data, "the merged profile", err);
	return rc == 0 ? check_back(s, format, ret, err) : rc;
}
