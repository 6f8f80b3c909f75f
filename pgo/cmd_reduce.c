/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/partials.h"

#include <inttypes.h>
#include <string.h>

#define PRINT_MAX ((size_t)1 << 20)
#define LINE_MAX_BYTES ((size_t)16 << 30)

struct reduce_values {
	const char *out;
	uint64_t memory;
	bool text;
};

#define AT(field) offsetof(struct reduce_values, field)

static const struct pgo_opt opts[] = {
	{"output", 'o', "FILE", "the reduced partial; - is standard output", PGO_OPT_STR, AT(out)},
	{"text", 0, NULL, "write it as a line of text, for engines that move lines", PGO_OPT_FLAG,
		AT(text)},
	{"memory", 0, "SIZE", "most memory; stacks beyond it go to disk (default 256M)",
		PGO_OPT_SIZE, AT(memory)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"reduce",
	"[OPTION]... PARTIAL|DIR... -o OUT",
	"Joins partials of pgo merge --shard into one, in any order and any tree; what is in "
	"several "
	"of them counts once.",
	opts,
};

static int put_line(struct pgo_partials *p, const char *path, struct pgo_err *err)
{
	struct pgo_buf out;
	int rc;

	pgo_buf_init(&out, LINE_MAX_BYTES);
	rc = pgo_partial_write_line(p->merge, &p->head, &out, err);
	if (rc == 0)
		rc = pgo_file_write(path, out.data, out.len, err);
	pgo_buf_fini(&out);
	return rc;
}

static void put_json(const struct pgo_partials *p, const char *path, struct pgo_buf *out)
{
	struct pgo_json j;

	pgo_json_init(&j, out, false);
	pgo_json_object(&j);
	pgo_json_kv_u64(&j, "schema", 1);
	pgo_json_kv_str(&j, "kind", "partial");
	pgo_json_kv_str(&j, "output", pgo_path_base(path));
	pgo_json_kv_str(&j, "plan", p->head.plan);
	pgo_json_kv_u64(&j, "partials", p->n);
	pgo_json_kv_u64(&j, "partials_repeated", p->n_repeated);
	pgo_json_kv_u64(&j, "shards", p->head.n_shards_in);
	pgo_json_kv_u64(&j, "shards_of_plan", p->head.n_shards);
	pgo_json_kv_u64(&j, "inputs", p->head.n_inputs);
	pgo_json_kv_u64(&j, "inputs_of_plan", p->head.n_planned);
	pgo_json_kv_u64(&j, "hosts", p->head.n_hosts);
	pgo_json_kv_u64(&j, "days", p->head.n_days);
	pgo_json_kv_u64(&j, "samples_in", p->head.stats.samples_in);
	pgo_json_end_object(&j);
	pgo_json_finish(&j);
}

static int say(const struct pgo_partials *p, const char *path, const struct pgo_opt_globals *g)
{
	struct pgo_buf out;
	int code = PGO_EXIT_OK;

	if (strcmp(path, "-") == 0 || (g->quiet && !g->json))
		return code;
	pgo_buf_init(&out, PRINT_MAX);
	if (g->json) {
		put_json(p, path, &out);
	} else {
		pgo_buf_printf(&out, "%s: %zu partials", path, p->n);
		if (p->n_repeated != 0)
			pgo_buf_printf(&out, " (%zu of them repeat others)", p->n_repeated);
		pgo_buf_printf(&out, ", %zu inputs, ", p->head.n_inputs);
		pgo_partials_shards(&p->head, &out);
		pgo_buf_putc(&out, '\n');
	}
	code = out.failed ? PGO_EXIT_FAILED : pgo_cmd_print(&pgo_cmd_reduce, g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

static int run(int argc, char **argv)
{
	struct reduce_values o = {0};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_partials p = {0};
	struct pgo_opt_globals g;
	int first, code, rc = 0;

	if (pgo_cmd_begin(&pgo_cmd_reduce, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	if (first == argc)
		rc = pgo_err_set(&err, PGO_EUSAGE, "no partial given; see pgo reduce --help");
	else if (o.out == NULL)
		rc = pgo_err_set(&err, PGO_EUSAGE, "say with -o FILE where the partial shall go");
	if (rc == 0)
		rc = pgo_partials_load(
			argv + first, (size_t)(argc - first), o.memory, o.out, &p, &err);
	if (rc == 0)
		rc = o.text ? put_line(&p, o.out, &err)
			    : pgo_partial_write(p.merge, &p.head, o.out, &err);
	code = rc == 0 ? say(&p, o.out, &g) : pgo_cmd_fail(&pgo_cmd_reduce, &g, &err);
	pgo_partials_fini(&p);
	return code;
}

const struct pgo_cmd pgo_cmd_reduce = {"reduce", "join partials of shards into one", &table, run};
