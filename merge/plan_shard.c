/* SPDX-License-Identifier: Apache-2.0 */
/* One shard of a plan file, line by line. */
#include "merge/plan_file.h"
#include "pgo/core/alloc.h"
#include "pgo/core/inflate.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

#define SCHEMA 1
#define PLAN_MAX ((uint64_t)64 << 30)
#define LINE_MAX_BYTES ((size_t)256 << 20)
#define ROOM ((size_t)64 << 10)

void pgo_plan_shard_fini(struct pgo_plan_shard *s)
{
	for (size_t i = 0; i < s->n_files; i++) {
		struct pgo_plan_entry *f = &s->files[i];

		for (size_t k = 0; k < f->n_parts; k++) {
			pgo_free(f->parts[k].digest);
			pgo_free(f->parts[k].host);
			pgo_free(f->parts[k].unit);
		}
		pgo_free(f->parts);
		pgo_free(f->path);
		pgo_free(f->digest);
	}
	for (size_t i = 0; i < s->n_args; i++)
		pgo_free(s->args[i]);
	pgo_free(s->tool);
	pgo_free(s->args);
	pgo_free(s->files);
	memset(s, 0, sizeof *s);
}

/* ---------------------------------------------------------------- lines */

struct lines {
	const char *path;
	struct pgo_stream *stream;
	struct pgo_sha256 sha;
	struct pgo_buf line;
	uint8_t buf[ROOM];
	size_t at, len;
	uint64_t n;
};

/* The next line without its end; 1, 0 at the end of the file. */
static int next_line(struct lines *l, struct pgo_err *err)
{
	pgo_buf_clear(&l->line);
	l->n++;
	for (;;) {
		const uint8_t *end = memchr(l->buf + l->at, '\n', l->len - l->at);
		size_t n = (end != NULL ? (size_t)(end - l->buf) : l->len) - l->at;
		int64_t more;

		pgo_buf_add(&l->line, l->buf + l->at, n);
		if (pgo_buf_check(&l->line, "a line of the plan", err) < 0)
			return pgo_err_prefix(err, "%s", l->path);
		l->at += n + (end != NULL);
		if (end != NULL)
			return 1;
		more = pgo_stream_read(l->stream, l->buf, sizeof l->buf, err);
		if (more < 0)
			return (int)more;
		l->at = 0;
		l->len = (size_t)more;
		pgo_sha256_add(&l->sha, l->buf, l->len);
		if (more == 0)
			return l->line.len != 0;
	}
}

static int bad(const struct lines *l, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%s: line %" PRIu64 ": %s; use the plan as pgo plan wrote it", l->path, l->n, what);
}

/* The line as JSON, with `tail` to close what it leaves open. */
static struct pgo_jval *parse(struct lines *l, const char *tail, struct pgo_err *err)
{
	struct pgo_buf *b = &l->line;

	if (b->len != 0 && b->data[b->len - 1] == ',')
		b->len--;
	pgo_buf_puts(b, tail);
	if (pgo_buf_check(b, "a line of the plan", err) < 0)
		return NULL;
	return pgo_jdoc_parse(l->path, b->data, b->len, err);
}

/* ---------------------------------------------------------------- the first line */

static int read_args(struct pgo_plan_shard *s, const struct pgo_jval *args, struct pgo_err *err)
{
	for (size_t i = 0; i < pgo_jval_len(args); i++) {
		char **to = PGO_VEC_PUSH(s->args, s->n_args, s->args_room);
		const char *text = pgo_jval_str(pgo_jval_at(args, i), "");

		if (to == NULL || (*to = pgo_strdup(text)) == NULL)
			return pgo_err_nomem(err);
	}
	return 0;
}

static uint64_t number(const struct pgo_jval *v, const char *key)
{
	int64_t n = pgo_jval_i64(pgo_jval_get(v, key), -1);

	return n > 0 ? (uint64_t)n : 0;
}

static int read_head(
	struct lines *l, struct pgo_plan_shard *s, uint64_t *ret_files, struct pgo_err *err)
{
	struct pgo_jval *v;
	int64_t schema;
	int rc = next_line(l, err);

	if (rc < 0)
		return rc;
	if (rc == 0 || l->line.data[0] != '{')
		return bad(l, "this is no plan", err);
	v = parse(l, "]}", err);
	if (v == NULL)
		return bad(l, "this is no plan", err);
	schema = pgo_jval_i64(pgo_jval_get(v, "schema"), 0);
	s->n_shards = number(v, "shards");
	s->n_inputs = number(v, "inputs");
	s->weight_one = number(v, "weight_one");
	s->tool = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "tool"), ""));
	*ret_files = number(v, "n_files");
	if (strcmp(pgo_jval_str(pgo_jval_get(v, "kind"), ""), "plan") != 0)
		rc = bad(l, "this is no plan", err);
	else if (schema != SCHEMA)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s is a plan of schema %" PRId64 ", this program reads %d; plan and merge "
			"by one program",
			l->path, schema, SCHEMA);
	else if (s->n_shards == 0 || s->weight_one == 0)
		rc = bad(l, "the number of shards or the unit of weight is missing", err);
	else if (s->tool == NULL)
		rc = pgo_err_nomem(err);
	else
		rc = read_args(s, pgo_jval_get(v, "args"), err);
	pgo_jdoc_free(v);
	return rc;
}

/* ---------------------------------------------------------------- files */

static int read_part(
	struct lines *l, struct pgo_plan_entry *f, const struct pgo_jval *v, struct pgo_err *err)
{
	struct pgo_plan_part *part = PGO_VEC_PUSH(f->parts, f->n_parts, f->parts_room);
	const int64_t weight = pgo_jval_i64(pgo_jval_get(v, "weight"), -1);

	if (part == NULL)
		return pgo_err_nomem(err);
	if (weight < 0)
		return bad(l, "an input has no weight", err);
	part->weight = (uint64_t)weight;
	part->time_ns = pgo_jval_i64(pgo_jval_get(v, "time_ns"), 0);
	part->mass = pgo_jval_double(pgo_jval_get(v, "mass"), 0);
	part->blend = pgo_jval_bool(pgo_jval_get(v, "blend"), false);
	part->digest = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "digest"), ""));
	part->host = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "host"), ""));
	part->unit = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "unit"), ""));
	return part->digest != NULL && part->host != NULL && part->unit != NULL
		       ? 0
		       : pgo_err_nomem(err);
}

static int keep_file(
	struct lines *l, struct pgo_plan_shard *s, const struct pgo_jval *v, struct pgo_err *err)
{
	const struct pgo_jval *inputs = pgo_jval_get(v, "inputs");
	struct pgo_plan_entry *f = PGO_VEC_PUSH(s->files, s->n_files, s->files_room);
	int rc = 0;

	if (f == NULL)
		return pgo_err_nomem(err);
	f->path = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "path"), ""));
	f->digest = pgo_strdup(pgo_jval_str(pgo_jval_get(v, "digest"), ""));
	f->bytes = number(v, "bytes");
	if (f->path == NULL || f->digest == NULL)
		return pgo_err_nomem(err);
	if (f->path[0] == '\0' || strlen(f->digest) != 64)
		return bad(l, "a file has no path or digest", err);
	for (size_t i = 0; i < pgo_jval_len(inputs) && rc == 0; i++)
		rc = read_part(l, f, pgo_jval_at(inputs, i), err);
	return rc;
}

static int read_file(struct lines *l, struct pgo_plan_shard *s, uint64_t shard, struct pgo_err *err)
{
	struct pgo_jval *v;
	int64_t in;
	int rc = 0;

	v = parse(l, "", err);
	if (v == NULL)
		return bad(l, "this is no file of a plan", err);
	in = pgo_jval_i64(pgo_jval_get(v, "shard"), -1);
	if (in < 0 || (uint64_t)in > s->n_shards)
		rc = bad(l, "a file is in no shard of the plan", err);
	else if (in != 0 && (shard == 0 || (uint64_t)in == shard))
		rc = keep_file(l, s, v, err);
	pgo_jdoc_free(v);
	return rc;
}

/* The files, up to the end of the plan. */
static int read_files(struct lines *l, uint64_t shard, uint64_t files, struct pgo_plan_shard *s,
	struct pgo_err *err)
{
	uint64_t seen = 0;
	int rc = 0;

	if (shard > s->n_shards)
		return pgo_err_set(err, PGO_EUSAGE,
			"%s has %" PRIu64 " shards; there is no shard %" PRIu64, l->path,
			s->n_shards, shard);
	while ((rc = next_line(l, err)) > 0) {
		if (l->line.len == 2 && memcmp(l->line.data, "]}", 2) == 0) {
			/* To the end, for the digest. */
			while ((rc = next_line(l, err)) > 0)
				if (l->line.len != 0)
					return bad(l, "something follows the plan", err);
			return rc < 0 || seen == files ? rc : bad(l, "files are missing", err);
		}
		seen++;
		rc = read_file(l, s, shard, err);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? rc : bad(l, "the plan is cut off", err);
}

static int read_plan(const char *path, uint64_t shard, bool with_files, struct pgo_plan_shard *ret,
	struct pgo_err *err)
{
	struct lines *l = pgo_calloc(1, sizeof *l);
	uint64_t files = 0;
	uint8_t raw[32];
	int rc;

	memset(ret, 0, sizeof *ret);
	if (l == NULL)
		return pgo_err_nomem(err);
	l->path = path;
	pgo_buf_init(&l->line, LINE_MAX_BYTES);
	pgo_sha256_init(&l->sha);
	l->stream = pgo_stream_open(path, PLAN_MAX, err);
	rc = l->stream != NULL ? read_head(l, ret, &files, err) : PGO_EIO;
	if (rc == 0 && with_files) {
		rc = read_files(l, shard, files, ret, err);
		pgo_sha256_final(&l->sha, raw);
		pgo_sha256_hex(raw, ret->digest);
	}
	pgo_stream_close(l->stream);
	pgo_buf_fini(&l->line);
	pgo_free(l);
	return rc;
}

int pgo_plan_shard_read(
	const char *path, uint64_t shard, struct pgo_plan_shard *ret, struct pgo_err *err)
{
	return read_plan(path, shard, true, ret, err);
}

int pgo_plan_shard_head(const char *path, struct pgo_plan_shard *ret, struct pgo_err *err)
{
	return read_plan(path, 0, false, ret, err);
}
