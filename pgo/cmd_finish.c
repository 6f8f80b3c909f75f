/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "merge/reduce.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/merge_written.h"
#include "pgo/partials.h"

#include <string.h>

#define PRINT_MAX ((size_t)1 << 20)

struct finish_values {
	const char *out, *manifest;
	uint64_t memory;
	bool allow_missing;
};

#define AT(field) offsetof(struct finish_values, field)

static const struct pgo_opt opts[] = {
	{"output", 'o', "FILE", "the merged profile, a gzipped pprof; - is standard output",
		PGO_OPT_STR, AT(out)},
	{"manifest", 0, "FILE", "also write a JSON account of what is in it", PGO_OPT_STR,
		AT(manifest)},
	{"allow-missing", 0, NULL, "go on without shards that are missing", PGO_OPT_FLAG,
		AT(allow_missing)},
	{"memory", 0, "SIZE", "most memory; stacks beyond it go to disk (default 256M)",
		PGO_OPT_SIZE, AT(memory)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"finish",
	"[OPTION]... PARTIAL|DIR... -o OUT",
	"Makes the merged profile of partials: the bytes that pgo merge makes of the same inputs "
	"on one "
	"machine.",
	opts,
};

struct result {
	const struct finish_values *o;
	struct pgo_partials p;
	struct pgo_merge_written written;
};

static void put_json(const struct result *r, struct pgo_buf *out)
{
	const struct pgo_partial_head *h = &r->p.head;
	double effective, dominance;
	size_t hosts;
	struct pgo_json j;

	pgo_partial_spread(h, &effective, &dominance, &hosts);
	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "merge");
	pgo_json_kv_str(&j, "tool", "pgo " PGO_VERSION);
	pgo_merge_written_json(&r->written, r->o->out, &j);
	pgo_json_kv_str(&j, "plan", h->plan);
	pgo_json_kv_u64(&j, "shards", h->n_shards_in);
	pgo_json_kv_u64(&j, "shards_of_plan", h->n_shards);
	pgo_json_kv_u64(&j, "inputs", h->n_inputs);
	pgo_json_kv_u64(&j, "inputs_of_plan", h->n_planned);
	pgo_json_kv_u64(&j, "hosts", hosts);
	pgo_json_kv_double(&j, "effective_hosts", effective);
	pgo_json_kv_double(&j, "dominance", dominance);
	pgo_json_kv_u64(&j, "days", h->n_days);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static void put_text(const struct result *r, struct pgo_buf *out)
{
	pgo_merge_written_text(&r->written, r->o->out, out);
	pgo_buf_puts(out, "; ");
	pgo_partials_shards(&r->p.head, out);
	pgo_buf_putc(out, '\n');
}

static int write_manifest(const struct result *r, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, PRINT_MAX);
	put_json(r, &out);
	rc = pgo_buf_check(&out, "the manifest", err);
	if (rc == 0)
		rc = pgo_file_write(r->o->manifest, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

static int finish(struct result *r, char **paths, size_t n, struct pgo_err *err)
{
	struct pgo_err missing = PGO_ERR_INIT;
	int rc = pgo_partials_load(paths, n, r->o->memory, r->o->out, &r->p, err);

	if (rc == 0)
		rc = pgo_reduce_complete(&r->p.head, &missing);
	if (missing.code != PGO_OK && r->o->allow_missing) {
		pgo_warn("%s", missing.msg);
		rc = 0;
	} else if (missing.code != PGO_OK) {
		*err = missing;
	}
	if (rc == 0)
		rc = pgo_merge_write(r->p.merge, r->o->out, &r->written, err);
	if (rc == 0)
		pgo_merge_warn_outside(&r->written.stats);
	if (rc == 0 && r->o->manifest != NULL)
		rc = write_manifest(r, err);
	return rc;
}

static int say(const struct result *r, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code;

	if (strcmp(r->o->out, "-") == 0)
		return PGO_EXIT_OK;
	pgo_buf_init(&out, PRINT_MAX);
	if (g->json)
		put_json(r, &out);
	else if (!g->quiet)
		put_text(r, &out);
	code = out.failed ? PGO_EXIT_FAILED : pgo_cmd_print(&pgo_cmd_finish, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int run(int argc, char **argv)
{
	struct finish_values o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct result r = {.o = &o};
	struct pgo_opt_globals g;
	int first, code, rc = 0;

	if (pgo_cmd_begin(&pgo_cmd_finish, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (first == argc)
		rc = pgo_err_set(&err, PGO_EUSAGE, "no partial given; see pgo finish --help");
	else if (o.out == NULL)
		rc = pgo_err_set(
			&err, PGO_EUSAGE, "say with -o FILE where the merged profile shall go");
	if (rc == 0)
		rc = finish(&r, argv + first, (size_t)(argc - first), &err);
	code = rc == 0 ? say(&r, &g) : pgo_cmd_fail(&pgo_cmd_finish, &g, &err);
	pgo_partials_fini(&r.p);
	pgo_merge_written_fini(&r.written);
	return code;
}

const struct pgo_cmd pgo_cmd_finish = {
	"finish", "make the merged profile of partials", &table, run};
