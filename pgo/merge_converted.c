/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/merge_converted.h"

#include "convert/output.h"
#include "convert/sum.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PRINT_MAX ((size_t)1 << 30)
#define SCHEMA 1

/* What cannot be read is none of them: whoever opens it next says why. */
static bool is_converted(const char *path)
{
	enum pgo_sum_kind kind;

	return pgo_sum_kind_of(path, &kind, NULL) == 0 && kind != PGO_SUM_NONE;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool pgo_merge_is_converted(const char *path)
{
	struct pgo_paths found = {0};
	bool yes = false;

	/* Standard input cannot be looked at twice. */
	if (strcmp(path, "-") == 0)
		return false;
	if (!is_directory(path))
		return is_converted(path);
	if (pgo_paths_list(path, &found, NULL) == 0)
		for (size_t i = 0; i < found.n && !yes; i++)
			yes = is_converted(found.path[i]);
	pgo_paths_free(&found);
	return yes;
}

/* ---------------------------------------------------------------- inputs */

struct job {
	const struct pgo_merge_converted *o;
	struct pgo_paths paths; /* of the inputs */
	struct pgo_sum_input *in;
	size_t n, room;
	struct pgo_sum sum;
	char digest[65];
};

static int add_input(struct job *j, const char *path, uint64_t weight, struct pgo_err *err)
{
	struct pgo_sum_input *in = PGO_VEC_PUSH(j->in, j->n, j->room);

	if (in == NULL)
		return pgo_err_nomem(err);
	in->weight = weight;
	return pgo_paths_add(&j->paths, path, err);
}

static int add_operand(struct job *j, const char *path, struct pgo_err *err)
{
	struct pgo_paths found = {0};
	size_t before = j->n;
	int rc;

	if (!is_directory(path))
		return add_input(j, path, 1, err);
	rc = pgo_paths_list(path, &found, err);
	for (size_t i = 0; i < found.n && rc == 0; i++) {
		if (is_converted(found.path[i]))
			rc = add_input(j, found.path[i], 1, err);
		else
			pgo_note("%s is no converted profile, skipping", found.path[i]);
	}
	if (rc == 0 && j->n == before)
		rc = pgo_err_set(
			err, PGO_EEMPTY, "%s: there is no profile in this directory", path);
	pgo_paths_free(&found);
	return rc;
}

static int add_weighted(struct job *j, const char *text, struct pgo_err *err)
{
	uint64_t weight = 0;
	size_t i = 0;

	for (; text[i] >= '0' && text[i] <= '9' && i < 18; i++)
		weight = weight * 10 + (uint64_t)(text[i] - '0');
	if (weight == 0 || text[i] != ',' || text[i + 1] == '\0')
		return pgo_err_set(err, PGO_EUSAGE,
			"--weighted-input %s is not of the form WEIGHT,FILE with a whole number "
			"from 1 on",
			text);
	return add_input(j, text + i + 1, weight, err);
}

static int collect(struct job *j, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < j->o->n_operands && rc == 0; i++)
		rc = add_operand(j, j->o->operands[i], err);
	for (size_t i = 0; i < j->o->n_weighted && rc == 0; i++)
		rc = add_weighted(j, j->o->weighted[i], err);
	for (size_t i = 0; i < j->n && rc == 0; i++)
		j->in[i].path = j->paths.path[i];
	return rc;
}

/* ---------------------------------------------------------------- what is said */

static const char *unit(const struct job *j)
{
	return j->sum.kind == PGO_SUM_FDATA ? "lines" : "functions";
}

static int by_name(const void *a, const void *b)
{
	const struct pgo_sum_input *x = *(struct pgo_sum_input *const *)a;
	const struct pgo_sum_input *y = *(struct pgo_sum_input *const *)b;
	int c = strcmp(x->path, y->path);

	return c != 0 ? c : x->weight < y->weight ? -1 : x->weight > y->weight;
}

static void put_inputs(const struct job *j, struct pgo_json *json)
{
	const struct pgo_sum_input **sorted = pgo_calloc(j->n, sizeof *sorted);

	pgo_json_array(json);
	for (size_t i = 0; sorted != NULL && i < j->n; i++)
		sorted[i] = &j->in[i];
	if (sorted != NULL)
		qsort(sorted, j->n, sizeof *sorted, by_name);
	for (size_t i = 0; sorted != NULL && i < j->n; i++) {
		const struct pgo_sum_input *in = sorted[i];

		pgo_json_object(json);
		pgo_json_kv_str(json, "name", in->path);
		pgo_json_kv_u64(json, "weight", in->twin == SIZE_MAX ? in->weight : 0);
		pgo_json_kv_u64(json, unit(j), in->records);
		if (in->twin != SIZE_MAX)
			pgo_json_kv_str(json, "same_bytes_as", j->in[in->twin].path);
		pgo_json_end_object(json);
	}
	pgo_json_end_array(json);
	pgo_free(sorted);
}

static void put_json(const struct job *j, struct pgo_buf *out)
{
	const struct pgo_sum *s = &j->sum;
	struct pgo_json json;

	pgo_json_init(&json, out, false);
	pgo_json_object(&json);
	pgo_json_kv_u64(&json, "schema", SCHEMA);
	pgo_json_kv_str(&json, "kind", "merge-converted");
	pgo_json_kv_str(&json, "tool", "pgo " PGO_VERSION);
	pgo_json_kv_str(&json, "output", j->o->out != NULL ? pgo_path_base(j->o->out) : NULL);
	pgo_json_kv_str(&json, "digest", j->digest);
	pgo_json_kv_u64(&json, "bytes", s->data.len);
	pgo_json_kv_str(&json, "format", s->format);
	pgo_json_key(&json, "account");
	pgo_json_object(&json);
	pgo_json_kv_u64(&json, "files", j->n);
	pgo_json_kv_u64(&json, "files_duplicate", s->duplicates);
	pgo_json_kv_str(&json, "unit", unit(j));
	pgo_json_kv_u64(&json, "records_in", s->records_in);
	pgo_json_kv_u64(&json, "records_out", s->records_out);
	pgo_json_kv_u64(&json, "records_other_code", s->other_code);
	pgo_json_kv_u64(&json, "total_other_code", s->other_code_total);
	pgo_json_kv_bool(&json, "saturated", s->saturated);
	pgo_json_end_object(&json);
	pgo_json_key(&json, "inputs");
	put_inputs(j, &json);
	pgo_json_end_object(&json);
	pgo_json_finish(&json);
}

static void warn(const struct job *j)
{
	const struct pgo_sum *s = &j->sum;

	for (size_t i = 0; i < j->n; i++)
		if (j->in[i].twin != SIZE_MAX)
			pgo_warn("%s has the same bytes as %s and counts once", j->in[i].path,
				j->in[j->in[i].twin].path);
	if (s->other_code != 0)
		pgo_warn("%" PRIu64 " functions with a total of %" PRIu64
			 " are of other code than their namesakes with more, and left out",
			s->other_code, s->other_code_total);
	if (s->saturated)
		pgo_warn("a count is larger than the format can hold, and was cut to its maximum");
}

static int say(const struct pgo_cmd *cmd, const struct job *j, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code;

	warn(j);
	if (j->o->out != NULL && strcmp(j->o->out, "-") == 0)
		return PGO_EXIT_OK;
	pgo_buf_init(&out, PRINT_MAX);
	if (g->json)
		put_json(j, &out);
	else if (!g->quiet)
		pgo_buf_printf(&out,
			"%s: %zu files, %" PRIu64 " %s -> %" PRIu64 ", %zu bytes of %s\n",
			j->o->out != NULL ? j->o->out : "not written", j->n, j->sum.records_in,
			unit(j), j->sum.records_out, j->sum.data.len, j->sum.format);
	code = out.failed ? PGO_EXIT_FAILED : pgo_cmd_print(cmd, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

/* ---------------------------------------------------------------- the command */

static void digest(struct job *j)
{
	struct pgo_sha256 sha;
	uint8_t raw[32];

	pgo_sha256_init(&sha);
	pgo_sha256_add(&sha, j->sum.data.data, j->sum.data.len);
	pgo_sha256_final(&sha, raw);
	pgo_sha256_hex(raw, j->digest);
}

static int write_outputs(const struct job *j, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc = 0;

	if (j->o->out != NULL)
		rc = pgo_file_write(j->o->out, j->sum.data.data, j->sum.data.len, err);
	if (rc < 0 || j->o->manifest == NULL)
		return rc;
	pgo_buf_init(&text, PRINT_MAX);
	put_json(j, &text);
	rc = pgo_buf_check(&text, "the manifest", err);
	if (rc == 0)
		rc = pgo_file_write(j->o->manifest, text.data, text.len, err);
	pgo_buf_fini(&text);
	return rc;
}

static int merge(struct job *j, struct pgo_err *err)
{
	struct pgo_sum_options o = {0};
	int rc = collect(j, err);

	if (rc == 0 && j->o->format != NULL)
		rc = pgo_clang_format_find(j->o->format, &o.format, &o.fo, err);
	if (rc == 0)
		rc = pgo_sum_files(j->in, j->n, &o, &j->sum, err);
	if (rc == 0 && o.format != NULL && j->sum.kind != PGO_SUM_LLVM)
		rc = pgo_err_set(err, PGO_EUSAGE,
			"--clang-format is for LLVM's sample profiles; "
			"%s is %s",
			j->in[0].path, pgo_sum_kind_name(j->sum.kind));
	if (rc < 0)
		return rc;
	digest(j);
	return write_outputs(j, err);
}

int pgo_merge_converted(const struct pgo_cmd *cmd, const struct pgo_merge_converted *o,
	const struct pgo_opt_globals *g)
{
	struct job j = {.o = o};
	struct pgo_err err = PGO_ERR_INIT;
	int code = merge(&j, &err) == 0 ? say(cmd, &j, g) : pgo_cmd_fail(cmd, g, &err);

	pgo_sum_fini(&j.sum);
	pgo_paths_free(&j.paths);
	pgo_free(j.in);
	return code;
}
