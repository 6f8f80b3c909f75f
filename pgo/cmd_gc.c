/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/json.h"
#include "pgo/state_gc.h"

#include <inttypes.h>
#include <string.h>

struct gc_values {
	const char *config;
	bool dry_run;
	uint64_t keep;
	int64_t keep_ns, quarantine_ns;
};

#define AT(field) offsetof(struct gc_values, field)
#define UNSET INT64_MIN

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"dry-run", 'n', NULL, "say what would go and do nothing", PGO_OPT_FLAG, AT(dry_run)},
	{"keep", 0, "N", "the newest results that stay whatever their age", PGO_OPT_U64, AT(keep)},
	{"keep-for", 0, "DURATION", "how long older results stay", PGO_OPT_DURATION, AT(keep_ns)},
	{"quarantine-for", 0, "DURATION", "how long candidates that failed stay", PGO_OPT_DURATION,
		AT(quarantine_ns)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"gc",
	"[-c FILE] [OPTION]... [TARGET]...",
	"Removes what is no longer needed from the state: old results, old candidates, and "
	"profiles "
	"that are in no window and in no result that stays.",
	opts,
};

static void put_line(struct pgo_buf *out, const char *what, const struct pgo_gc_sum *gone,
	const struct pgo_gc_sum *kept)
{
	pgo_buf_printf(out,
		"  %-11s %" PRIu64 " gone (%" PRIu64 " bytes), %" PRIu64 " kept (%" PRIu64
		" bytes)\n",
		what, gone->n, gone->bytes, kept->n, kept->bytes);
}

static void put_text(const struct pgo_target *t, const struct pgo_gc_plan *p, uint64_t cache_gone,
	bool dry_run, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%s%s\n", t->name, dry_run ? " (nothing is removed)" : "");
	put_line(out, "results", &p->results_gone, &p->results_kept);
	put_line(out, "quarantine", &p->quarantine_gone, &p->quarantine_kept);
	put_line(out, "profiles", &p->profiles_gone, &p->profiles_kept);
	if (dry_run)
		pgo_buf_printf(
			out, "  cache       %" PRIu64 " bytes, not looked into\n", p->cache_bytes);
	else
		pgo_buf_printf(out, "  cache       %" PRIu64 " bytes gone, %" PRIu64 " kept\n",
			cache_gone, p->cache_bytes - cache_gone);
	if (p->profiles_busy)
		pgo_buf_puts(
			out, "  a fetch was cut short: profiles are left until the next run\n");
	for (size_t i = 0; dry_run && i < p->n; i++)
		pgo_buf_printf(out, "  would remove %s\n", p->item[i].path);
}

static void put_sum(struct pgo_json *j, const char *key, const struct pgo_gc_sum *gone,
	const struct pgo_gc_sum *kept)
{
	pgo_json_key(j, key);
	pgo_json_object(j);
	pgo_json_kv_u64(j, "gone", gone->n);
	pgo_json_kv_u64(j, "gone_bytes", gone->bytes);
	pgo_json_kv_u64(j, "kept", kept->n);
	pgo_json_kv_u64(j, "kept_bytes", kept->bytes);
	pgo_json_end_object(j);
}

static void put_json(const struct pgo_target *t, const struct pgo_gc_plan *p, uint64_t cache_gone,
	bool dry_run, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_str(j, "target", t->name);
	pgo_json_kv_bool(j, "dry_run", dry_run);
	put_sum(j, "results", &p->results_gone, &p->results_kept);
	put_sum(j, "quarantine", &p->quarantine_gone, &p->quarantine_kept);
	put_sum(j, "profiles", &p->profiles_gone, &p->profiles_kept);
	pgo_json_kv_u64(j, "cache_gone_bytes", cache_gone);
	pgo_json_key(j, "removed");
	pgo_json_array(j);
	for (size_t i = 0; i < p->n; i++)
		pgo_json_str(j, p->item[i].name);
	pgo_json_end_array(j);
	pgo_json_end_object(j);
}

static int collect(const struct pgo_conf *c, const struct pgo_target *t, const struct gc_values *v,
	struct pgo_buf *out, struct pgo_json *json, struct pgo_err *err)
{
	const struct pgo_gc_rule rule = {
		.keep = v->keep != UINT64_MAX ? v->keep : t->keep,
		.keep_ns = v->keep_ns != UNSET ? v->keep_ns : t->keep_ns,
		.quarantine_ns = v->quarantine_ns != UNSET ? v->quarantine_ns : t->quarantine_ns,
		.cache_size = t->cache_size,
	};
	struct pgo_gc_plan plan = {0};
	uint64_t cache_gone = 0;
	struct pgo_on_target o;
	/* A plan needs no lock: it can be made where nothing can be changed. */
	int rc = pgo_on_target_open(c, t, !v->dry_run, &o, err);

	if (rc < 0)
		return rc;
	rc = pgo_gc_plan(&o, &rule, &plan, err);
	if (rc == 0 && !v->dry_run)
		rc = pgo_gc_sweep(&o, &rule, &plan, &cache_gone, err);
	if (rc == 0 && json != NULL)
		put_json(t, &plan, cache_gone, v->dry_run, json);
	else if (rc == 0)
		put_text(t, &plan, cache_gone, v->dry_run, out);
	pgo_gc_plan_fini(&plan);
	pgo_on_target_close(&o);
	return rc;
}

static int collect_all(const struct pgo_conf *c, char **names, int n, const struct gc_values *v,
	const struct pgo_opt_globals *g)
{
	struct pgo_err err = PGO_ERR_INIT;
	int code = PGO_EXIT_OK, printed;
	struct pgo_json json;
	struct pgo_buf out;

	pgo_buf_init(&out, (size_t)1 << 28);
	pgo_json_init(&json, &out, false);
	if (g->json)
		pgo_json_array(&json);
	for (size_t i = 0; i < c->n_targets; i++) {
		if (!pgo_target_is_named(&c->targets[i], names, n))
			continue;
		if (collect(c, &c->targets[i], v, &out, g->json ? &json : NULL, &err) < 0) {
			code = pgo_cmd_fail(&pgo_cmd_gc, g, &err);
			pgo_err_clear(&err);
		}
	}
	if (g->json) {
		pgo_json_end_array(&json);
		pgo_json_finish(&json);
	}
	printed = pgo_cmd_print(&pgo_cmd_gc, g, out.data != NULL ? out.data : "", out.len);
	pgo_buf_fini(&out);
	return code != PGO_EXIT_OK ? code : printed;
}

static int run(int argc, char **argv)
{
	struct gc_values v = {
		.config = "pgo.conf", .keep = UINT64_MAX, .keep_ns = UNSET, .quarantine_ns = UNSET};
	const struct pgo_target *t;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_conf conf;
	int first, code, rc = 0;

	if (pgo_cmd_begin(&pgo_cmd_gc, argc, argv, &v, &g, &first, NULL, &code) != 0)
		return code;
	if (pgo_conf_load(v.config, &conf, &err) < 0)
		return pgo_cmd_fail(&pgo_cmd_gc, &g, &err);
	for (int i = first; i < argc && rc == 0; i++)
		rc = pgo_target_find(&conf, argv[i], &t, &err);
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_gc, &g, &err)
		      : collect_all(&conf, argv + first, argc - first, &v, &g);
	pgo_conf_fini(&conf);
	return code;
}

const struct pgo_cmd pgo_cmd_gc = {
	"gc", "remove from the state what is no longer needed", &table, run};
