/* SPDX-License-Identifier: Apache-2.0 */
/* The candidate: its files, its manifest, its place. */
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/opt.h"
#include "pgo/core/pprof.h"
#include "pgo/core/sha256.h"
#include "pgo/pipeline_impl.h"
#include "verify/applied.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MANIFEST_SCHEMA 2
#define GATES_SCHEMA 1
#define MAX_MANIFEST ((size_t)1 << 30)

/* ---- names */

static bool is_taken(const struct pgo_pipeline *p, const char *name)
{
	static const char *const ours[] = {
		"merged.pb.gz", "manifest.json", "gates.json", "why.txt"};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcmp(name, ours[i]) == 0)
			return true;
	for (size_t i = 0; i < p->files.n; i++)
		if (strcmp(name, p->files.path[i]) == 0)
			return true;
	return false;
}

/* Their base names; of two that are alike the second has its kind before it. */
int pgo_pipeline_name_files(struct pgo_pipeline *p, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = p->files.n; i < p->outputs.n && rc == 0; i++) {
		struct pgo_output *o = &p->outputs.of[i];
		const char *base = pgo_path_base(o->path);
		char *other = NULL;

		if (is_taken(p, base)) {
			other = pgo_asprintf("%s-%s", pgo_output_kind_name(o->kind), base);
			if (other == NULL)
				return pgo_err_nomem(err);
		}
		rc = pgo_paths_add(&p->files, other != NULL ? other : base, err);
		pgo_free(other);
		/* Where it was put is the machine's business, unless it is pgo.conf's. */
		o->name = pgo_conf_relative(p->conf, o->path);
		if (o->name[0] == '/')
			o->name = pgo_path_base(o->path);
	}
	/* Now that the list no longer moves. */
	for (size_t i = 0; i < p->files.n && rc == 0; i++)
		p->outputs.of[i].file = p->files.path[i];
	return rc;
}

/* The same content has one id, that of the day it came first. */
static int keep_old_id(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_state_entries e;
	const char *old = NULL;
	int rc = pgo_state_list(&p->state, &e, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < e.n; i++)
		if (strcmp(e.of[i].id + 9, p->id + 9) == 0 && (old == NULL || e.of[i].last_good))
			old = e.of[i].id;
	if (old != NULL)
		memcpy(p->id, old, sizeof p->id);
	pgo_state_entries_fini(&e);
	return 0;
}

static int encode_merged(struct pgo_pipeline *p, struct pgo_err *err)
{
	struct pgo_sha256 h;
	uint8_t digest[32];
	int rc = pgo_pprof_encode(p->merged.profile, true, &p->merged_data, err);

	if (rc < 0)
		return rc;
	pgo_sha256_init(&h);
	pgo_sha256_add(&h, p->merged_data.data, p->merged_data.len);
	pgo_sha256_final(&h, digest);
	pgo_sha256_hex(digest, p->merged_digest);
	return 0;
}

static int make_id(struct pgo_pipeline *p, struct pgo_err *err)
{
	size_t n = p->is_converted ? p->outputs.n : 0;
	const char **all = pgo_calloc(n + 2, sizeof *all);
	char(*digests)[65] = pgo_calloc(n + 1, sizeof *digests);

	if (all == NULL || digests == NULL) {
		pgo_free(all);
		pgo_free(digests);
		return pgo_err_nomem(err);
	}
	all[0] = p->merged_digest;
	for (size_t i = 0; i < n; i++) {
		pgo_output_digest(&p->outputs.of[i], digests[i]);
		all[i + 1] = digests[i];
	}
	/* Without outputs it is what went in that tells one from another. */
	all[n + 1] = p->fingerprint;
	pgo_state_make_id(p->now_ns, all, p->is_converted ? n + 1 : n + 2, p->id);
	pgo_free(all);
	pgo_free(digests);
	return 0;
}

int pgo_pipeline_name(struct pgo_pipeline *p, struct pgo_err *err)
{
	int rc = 0;

	if (p->is_merged)
		rc = encode_merged(p, err);
	if (rc == 0 && p->is_converted)
		rc = pgo_pipeline_name_files(p, err);
	if (rc == 0)
		rc = make_id(p, err);
	return rc == 0 ? keep_old_id(p, err) : rc;
}

/* ---- what is written */

static void put_head(const struct pgo_pipeline *p, struct pgo_json *j, int schema, const char *kind)
{
	char time[64];

	pgo_format_time(p->now_ns, time, sizeof time);
	pgo_json_object(j);
	pgo_json_kv_i64(j, "schema", schema);
	pgo_json_kv_str(j, "kind", kind);
	pgo_json_kv_str(j, "tool", "pgo " PGO_VERSION);
	pgo_json_kv_str(j, "target", p->target->name);
	pgo_json_kv_str(j, "id", p->id);
	pgo_json_kv_str(j, "time", time);
	pgo_json_kv_str(j, "fingerprint", p->fingerprint);
}

static void put_merged(const struct pgo_pipeline *p, struct pgo_json *j)
{
	pgo_json_key(j, "merged");
	pgo_json_object(j);
	pgo_json_kv_str(j, "file", "merged.pb.gz");
	pgo_json_kv_str(j, "sha256", p->merged_digest);
	pgo_json_kv_u64(j, "bytes", p->merged_data.len);
	pgo_json_end_object(j);
}

/* So that a later result can tell that another compiler made its program. */
static void put_compilers(const struct pgo_pipeline *p, struct pgo_json *j)
{
	const char *debug = p->target->debug;
	const struct pgo_debug_places where = {
		.debug = &debug, .n_debug = debug[0] != '\0', .sole = true};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = pgo_elf_open_bare(p->target->binary, &err);
	char *text = e != NULL ? pgo_program_compilers(e, &where) : NULL;

	pgo_json_kv_str(j, "compilers", text != NULL ? text : "");
	pgo_free(text);
	pgo_elf_close(e);
}

static void manifest_json(const struct pgo_pipeline *p, struct pgo_json *j)
{
	put_head(p, j, MANIFEST_SCHEMA, "manifest");
	pgo_json_kv_str(j, "settings", p->settings);
	pgo_json_kv_str(j, "binary", pgo_path_base(p->target->binary));
	pgo_json_kv_str(j, "build_id", p->binary_id);
	put_compilers(p, j);
	if (p->is_merged)
		put_merged(p, j);
	pgo_json_key(j, "weights");
	pgo_json_object(j);
	pgo_plan_summary_json(&p->merged.plan, j);
	pgo_json_end_object(j);
	pgo_json_key(j, "plan");
	pgo_plan_json(&p->merged.plan, j);
	if (p->is_converted) {
		pgo_json_key(j, "account");
		pgo_account_json(pgo_convert_account(p->convert), j);
		pgo_json_key(j, "outputs");
		pgo_outputs_json(&p->outputs, j);
	}
	pgo_json_key(j, "gates");
	pgo_gates_json(&p->gates, j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}

static void gates_json(const struct pgo_pipeline *p, struct pgo_json *j)
{
	put_head(p, j, GATES_SCHEMA, "gates");
	pgo_json_kv_str(j, "verdict", pgo_gate_verdict_name(pgo_gates_worst(&p->gates)));
	pgo_json_key(j, "gates");
	pgo_gates_json(&p->gates, j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}

static void why_text(const struct pgo_pipeline *p, const char *why, struct pgo_buf *out)
{
	pgo_buf_printf(out, "%s was not published: %s\n\n", p->id, why);
	pgo_gates_text(&p->gates, out);
	pgo_buf_printf(out,
		"\nLimits are set in pgo.conf, gates { NAME = \"WARN/FAIL\" }.  To use it all the "
		"same:\n\tpgo promote --target %s %s -m REASON\n",
		p->target->name, p->id);
}

/* ---- writing it */

struct packing {
	const char *dir;
	struct pgo_outfile **files;
	size_t n;
};

static int pack(
	struct packing *k, const char *name, const void *data, size_t len, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", k->dir, name);
	struct pgo_outfile *f = path != NULL ? pgo_outfile_open(path, err) : NULL;
	int rc;

	if (path == NULL)
		rc = pgo_err_nomem(err);
	else
		rc = f != NULL ? pgo_outfile_write(f, data, len, err) : PGO_EIO;
	if (f != NULL)
		k->files[k->n++] = f;
	pgo_free(path);
	return rc;
}

static int pack_json(struct packing *k, const struct pgo_pipeline *p, const char *name,
	void (*put)(const struct pgo_pipeline *, struct pgo_json *), struct pgo_err *err)
{
	struct pgo_buf text;
	struct pgo_json j;
	int rc;

	pgo_buf_init(&text, MAX_MANIFEST);
	pgo_json_init(&j, &text, false);
	put(p, &j);
	rc = pgo_buf_check(&text, name, err);
	if (rc == 0)
		rc = pack(k, name, text.data, text.len, err);
	pgo_buf_fini(&text);
	return rc;
}

static int pack_why(
	struct packing *k, const struct pgo_pipeline *p, const char *why, struct pgo_err *err)
{
	struct pgo_buf text;
	int rc;

	pgo_buf_init(&text, MAX_MANIFEST);
	why_text(p, why, &text);
	rc = pgo_buf_check(&text, "why.txt", err);
	if (rc == 0)
		rc = pack(k, "why.txt", text.data, text.len, err);
	pgo_buf_fini(&text);
	return rc;
}

static int pack_all(
	struct packing *k, const struct pgo_pipeline *p, const char *why, struct pgo_err *err)
{
	int rc = 0;

	if (p->is_merged)
		rc = pack(k, "merged.pb.gz", p->merged_data.data, p->merged_data.len, err);
	for (size_t i = 0; i < p->files.n && rc == 0; i++) {
		const struct pgo_output *o = &p->outputs.of[i];

		rc = pack(k, o->file, o->data.data, o->data.len, err);
	}
	if (rc == 0)
		rc = pack_json(k, p, "manifest.json", manifest_json, err);
	if (rc == 0)
		rc = pack_json(k, p, "gates.json", gates_json, err);
	if (rc == 0 && why != NULL)
		rc = pack_why(k, p, why, err);
	if (rc == 0)
		rc = pgo_outfiles_commit(k->files, k->n, err);
	for (size_t i = 0; i < k->n; i++)
		pgo_outfile_abort(k->files[i]);
	return rc;
}

int pgo_pipeline_adopt(struct pgo_pipeline *p, const char *why, struct pgo_err *err)
{
	struct packing k = {0};
	char *dir = pgo_state_candidate(&p->state, err);
	int rc;

	if (dir == NULL)
		return PGO_EIO;
	k.dir = dir;
	k.files = pgo_calloc(p->files.n + 4, sizeof(struct pgo_outfile *));
	rc = k.files != NULL ? pack_all(&k, p, why, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = pgo_state_adopt(&p->state, dir, why != NULL, p->id, err);
	if (rc < 0)
		(void)!pgo_state_remove(dir, NULL);
	pgo_free(k.files);
	pgo_free(dir);
	return rc;
}
