/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/sum_impl.h"

#include "convert/fdata.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/map.h"
#include "pgo/core/parallel.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define FILE_MAX ((size_t)16 << 30)
#define HEAD 4096

enum pgo_sum_kind pgo_sum_probe(const void *head, size_t len)
{
	const struct pgo_format *f = pgo_format_probe(head, len);

	if (f != NULL)
		return f == &pgo_format_gcc ? PGO_SUM_GCC : PGO_SUM_LLVM;
	return pgo_fdata_probe(head, len) ? PGO_SUM_FDATA : PGO_SUM_NONE;
}

const char *pgo_sum_kind_name(enum pgo_sum_kind kind)
{
	static const char *const names[] = {"no converted profile", "an LLVM sample profile",
		"an .afdo of GCC", "a .fdata of BOLT"};

	return names[kind];
}

/* ---------------------------------------------------------------- one thread's tables */

struct tables {
	struct pgo_sum_functions *functions;
	struct pgo_sum_lines *lines;
};

static int make_tables(struct tables *t, enum pgo_sum_kind kind, struct pgo_err *err)
{
	if (kind == PGO_SUM_FDATA)
		t->lines = pgo_sum_lines_new(err);
	else
		t->functions = pgo_sum_functions_new(err);
	return t->lines != NULL || t->functions != NULL ? 0 : err->code;
}

static void free_tables(struct tables *t)
{
	pgo_sum_lines_free(t->lines);
	pgo_sum_functions_free(t->functions);
}

/* ---------------------------------------------------------------- inputs */

struct seen { /* what may be a file's twin */
	uint64_t hash;
	size_t len;
	bool done;
};

struct job {
	struct pgo_sum_input *in;
	size_t n;
	enum pgo_sum_kind kind;
	struct tables *tables; /* per thread, made when first used */
	struct seen *seen;     /* per input */
	pthread_mutex_t lock;
};

static bool same_bytes(const char *path, const struct pgo_buf *data)
{
	struct pgo_buf other;
	bool same = pgo_file_read(path, FILE_MAX, &other, NULL) == 0 && other.len == data->len &&
		    memcmp(other.data, data->data, data->len) == 0;

	pgo_buf_fini(&other);
	return same;
}

/* The input that has the same bytes and was met before, or SIZE_MAX; which of them comes first does
 * not show, for they are equal. */
static size_t find_twin(struct job *j, size_t i, const struct pgo_buf *data)
{
	struct seen mine = {pgo_hash(data->data, data->len), data->len, true};
	size_t twin = SIZE_MAX;

	if (j->in[i].weight != 1)
		return twin;
	pthread_mutex_lock(&j->lock);
	for (size_t k = 0; k < j->n && twin == SIZE_MAX; k++)
		if (j->seen[k].done && j->seen[k].hash == mine.hash && j->seen[k].len == mine.len)
			twin = k;
	j->seen[i] = mine;
	pthread_mutex_unlock(&j->lock);
	return twin != SIZE_MAX && same_bytes(j->in[twin].path, data) ? twin : SIZE_MAX;
}

static int add_data(
	struct job *j, size_t i, struct tables *t, const struct pgo_buf *data, struct pgo_err *err)
{
	struct pgo_sum_input *in = &j->in[i];
	enum pgo_sum_kind kind = pgo_sum_probe(data->data, data->len < HEAD ? data->len : HEAD);

	if (data->len == 0)
		return pgo_err_set(err, PGO_EFORMAT, "%s is empty", in->path);
	if (kind != j->kind)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s is %s, but %s is %s: merge each kind by itself", in->path,
			pgo_sum_kind_name(kind), j->in[0].path, pgo_sum_kind_name(j->kind));
	in->twin = find_twin(j, i, data);
	if (in->twin != SIZE_MAX)
		return 0;
	if (t->lines != NULL)
		return pgo_sum_lines_add(t->lines, in->path, data, in->weight, &in->records, err);
	return pgo_sum_functions_add(t->functions, in->path, data, in->weight, &in->records, err);
}

static int add_input(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct job *j = ctx;
	struct tables *t = &j->tables[thread];
	struct pgo_buf data;
	int rc = 0;

	if (t->lines == NULL && t->functions == NULL)
		rc = make_tables(t, j->kind, err);
	if (rc < 0)
		return rc;
	rc = pgo_file_read(j->in[i].path, FILE_MAX, &data, err);
	if (rc == 0)
		rc = add_data(j, i, t, &data, err);
	pgo_buf_fini(&data);
	pgo_progress("merging", i + 1, j->n, "files");
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int join(struct job *j, unsigned threads, struct tables *ret, struct pgo_err *err)
{
	int rc = 0;

	for (unsigned t = 0; t < threads && rc == 0; t++) {
		struct tables *from = &j->tables[t];

		if (ret->lines == NULL && ret->functions == NULL) {
			*ret = *from;
			*from = (struct tables){0};
		} else if (from->lines != NULL) {
			rc = pgo_sum_lines_join(ret->lines, from->lines, err);
		} else if (from->functions != NULL) {
			rc = pgo_sum_functions_join(ret->functions, from->functions, err);
		}
		free_tables(from);
		*from = (struct tables){0};
	}
	return rc;
}

static void account(const struct job *j, struct pgo_sum *ret)
{
	for (size_t i = 0; i < j->n; i++) {
		ret->records_in += j->in[i].records;
		ret->duplicates += j->in[i].twin != SIZE_MAX;
	}
}

int pgo_sum_kind_of(const char *path, enum pgo_sum_kind *ret, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_stream_open(path, PGO_INFLATE_MAX, err);
	const uint8_t *head;
	int64_t len;

	*ret = PGO_SUM_NONE;
	if (s == NULL)
		return PGO_EIO;
	len = pgo_stream_peek(s, HEAD, &head, err);
	if (len > 0 && pgo_stream_coding(s) == PGO_CODING_PLAIN)
		*ret = pgo_sum_probe(head, (size_t)len);
	pgo_stream_close(s);
	return len < 0 ? (int)len : 0;
}

/* What all the others must be, too. */
static int kind_of_first(const char *path, enum pgo_sum_kind *ret, struct pgo_err *err)
{
	int rc = pgo_sum_kind_of(path, ret, err);

	if (rc == 0 && *ret == PGO_SUM_NONE)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s is neither a sample profile of LLVM or GCC nor a .fdata of BOLT", path);
	return rc;
}

int pgo_sum_files(struct pgo_sum_input *in, size_t n, const struct pgo_sum_options *o,
	struct pgo_sum *ret, struct pgo_err *err)
{
	struct job j = {.in = in, .n = n};
	unsigned threads = o->threads != 0 ? o->threads : pgo_threads();
	struct tables all = {0};
	int rc;

	*ret = (struct pgo_sum){0};
	pgo_buf_init(&ret->data, FILE_MAX);
	if (threads > n)
		threads = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		in[i].twin = SIZE_MAX;
		in[i].records = 0;
	}
	rc = n != 0 ? kind_of_first(in[0].path, &j.kind, err)
		    : pgo_err_set(err, PGO_EEMPTY, "no file to merge");
	if (rc < 0)
		return rc;
	ret->kind = j.kind;
	j.tables = pgo_calloc(threads, sizeof *j.tables);
	j.seen = pgo_calloc(n, sizeof *j.seen);
	pthread_mutex_init(&j.lock, NULL);
	rc = j.tables != NULL && j.seen != NULL ? 0 : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_parallel(n, threads, add_input, &j, err);
	pgo_progress_end();
	if (rc == 0)
		rc = join(&j, threads, &all, err);
	if (rc == 0)
		rc = all.lines != NULL ? pgo_sum_lines_write(all.lines, ret, err)
				       : pgo_sum_functions_write(all.functions, o, ret, err);
	account(&j, ret);
	free_tables(&all);
	for (unsigned t = 0; j.tables != NULL && t < threads; t++)
		free_tables(&j.tables[t]);
	pthread_mutex_destroy(&j.lock);
	pgo_free(j.tables);
	pgo_free(j.seen);
	return rc;
}

void pgo_sum_fini(struct pgo_sum *s)
{
	pgo_buf_fini(&s->data);
}
