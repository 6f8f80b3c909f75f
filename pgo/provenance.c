/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/provenance.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "verify/gates.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int pgo_explain_open(const struct pgo_state *s, const struct pgo_state_entry *e,
	struct pgo_explained *ret, struct pgo_err *err)
{
	char *gates, *raw;
	int rc;

	*ret = (struct pgo_explained){.state = s, .entry = e};
	pgo_manifest_init(&ret->raw);
	ret->manifest = pgo_state_doc(e, "manifest.json", err);
	if (ret->manifest == NULL)
		return err->code;
	gates = pgo_asprintf("%s/gates.json", e->dir);
	raw = pgo_asprintf("%s/manifest.jsonl", s->raw);
	rc = gates != NULL && raw != NULL ? 0 : pgo_err_nomem(err);
	if (rc == 0 && pgo_path_exists(gates)) {
		ret->gates = pgo_state_doc(e, "gates.json", err);
		rc = ret->gates != NULL ? 0 : (int)err->code;
	}
	if (rc == 0)
		rc = pgo_state_log_read(s, &ret->log, err);
	if (rc == 0)
		rc = pgo_manifest_load(&ret->raw, raw, err);
	pgo_free(gates);
	pgo_free(raw);
	return rc;
}

void pgo_explain_close(struct pgo_explained *x)
{
	pgo_jdoc_free(x->manifest);
	pgo_jdoc_free(x->gates);
	pgo_state_events_fini(&x->log);
	pgo_manifest_fini(&x->raw);
}

/* ------------------------------------------------------------------ parts of the text */

static int64_t int_of(const struct pgo_jval *v, const char *key)
{
	return pgo_jval_i64(pgo_jval_get(v, key), 0);
}

/* "2026-11-20 12:00" */
static const char *minute(int64_t ns, char buf[32])
{
	pgo_format_time(ns, buf, 32);
	buf[16] = '\0';
	if (buf[10] == 'T')
		buf[10] = ' ';
	return buf;
}

static void head(const struct pgo_explained *x, struct pgo_buf *out)
{
	struct pgo_state_story story;
	char when[32];

	pgo_state_story(&x->log, x->entry->id, &story);
	pgo_buf_printf(out, "%s %s: ", x->state->target, x->entry->id);
	if (x->entry->quarantined)
		pgo_buf_puts(out, "in quarantine, never published");
	else
		pgo_buf_printf(out, "published %s UTC", minute(story.published_ns, when));
	pgo_buf_printf(out, "%s%s%s%s\n", x->entry->last_good ? ", in use (last-good)" : "",
		x->entry->pinned ? ", pinned" : "", story.verified ? ", verified" : "",
		story.withdrawn ? ", withdrawn since" : "");
	pgo_buf_printf(out, "  made by   %s, for %s, build-id %s\n",
		pgo_jval_text(x->manifest, "tool"), pgo_jval_text(x->manifest, "binary"),
		pgo_jval_text(x->manifest, "build_id"));
}

static void put_outputs(const struct pgo_explained *x, struct pgo_buf *out)
{
	const struct pgo_jval *outputs = pgo_jval_get(x->manifest, "outputs");

	for (size_t i = 0; i < pgo_jval_len(outputs); i++) {
		const struct pgo_jval *o = pgo_jval_at(outputs, i);

		pgo_buf_printf(out,
			"  %-8s  %s, for %s: %" PRId64 " records, %" PRId64
			" bytes, sha256 %.16s\n",
			i == 0 ? "outputs" : "", pgo_state_output_file(o), pgo_jval_text(o, "kind"),
			int_of(o, "records"), int_of(o, "bytes"), pgo_jval_text(o, "sha256"));
	}
}

static const char *source_of(const struct pgo_explained *x, const struct pgo_jval *in)
{
	const struct pgo_record *r = pgo_manifest_find(&x->raw, pgo_jval_text(in, "digest"));

	return r != NULL && r->source[0] != '\0' ? r->source : pgo_jval_text(in, "name");
}

/* By weight, heaviest first; then by digest. */
static int by_weight(const void *a, const void *b)
{
	const struct pgo_jval *x = *(const struct pgo_jval *const *)a,
			      *y = *(const struct pgo_jval *const *)b;
	double p = (double)int_of(x, "weight") * pgo_jval_double(pgo_jval_get(x, "mass"), 0);
	double q = (double)int_of(y, "weight") * pgo_jval_double(pgo_jval_get(y, "mass"), 0);

	if (p != q)
		return p < q ? 1 : -1;
	return strcmp(pgo_jval_text(x, "digest"), pgo_jval_text(y, "digest"));
}

static void put_input(const struct pgo_explained *x, const struct pgo_jval *in, double one,
	double all, struct pgo_buf *out)
{
	double weight = (double)int_of(in, "weight");
	double mass = pgo_jval_double(pgo_jval_get(in, "mass"), 0);
	char when[32];

	pgo_buf_printf(out, "    %5.2f%%  x %-8.6g  %-12s  %s  %8" PRId64 "  %.12s  %s; %s\n",
		all > 0 ? weight * mass * 100 / all : 0, one > 0 ? weight / one : 0,
		pgo_jval_text(in, "host"), minute(int_of(in, "time_ns"), when),
		int_of(in, "samples_counted"), pgo_jval_text(in, "digest"), source_of(x, in),
		pgo_jval_text(in, "why"));
}

static bool dropped(const struct pgo_jval *in)
{
	return pgo_jval_get(in, "dropped") != NULL;
}

static void put_inputs(const struct pgo_explained *x, size_t most, struct pgo_buf *out)
{
	const struct pgo_jval *plan = pgo_jval_get(x->manifest, "plan");
	const struct pgo_jval *w = pgo_jval_get(x->manifest, "weights");
	double one = (double)int_of(w, "weight_one"), all = 0;
	size_t n = pgo_jval_len(plan), kept = 0, k = 0;
	const struct pgo_jval **of = pgo_calloc(n + 1, sizeof *of);

	if (of == NULL) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		of[i] = pgo_jval_at(plan, i);
		kept += !dropped(of[i]);
		all += (double)int_of(of[i], "weight") *
		       pgo_jval_double(pgo_jval_get(of[i], "mass"), 0);
	}
	qsort(of, n, sizeof *of, by_weight);
	pgo_buf_printf(out,
		"  inputs    %zu of %zu profiles, %" PRId64 " hosts (as good as %.1f equal ones; "
		"the largest has %.1f%%), %" PRId64 " days\n",
		kept, n, int_of(w, "hosts"), pgo_jval_double(pgo_jval_get(w, "effective_hosts"), 0),
		pgo_jval_double(pgo_jval_get(w, "dominance"), 0) * 100, int_of(w, "days"));
	if (kept != 0)
		pgo_buf_puts(out,
			"    share   weight      host          taken              samples  "
			"digest        source; why\n");
	for (size_t i = 0; i < n; i++)
		if (!dropped(of[i]) && (most == 0 || k++ < most))
			put_input(x, of[i], one, all, out);
	if (most != 0 && kept > most)
		pgo_buf_printf(out, "    ... and %zu more; --all lists them\n", kept - most);
	if (kept < n)
		pgo_buf_printf(out, "  left out  %zu profiles\n", n - kept);
	k = 0;
	for (size_t i = 0; i < n; i++)
		if (dropped(of[i]) && (most == 0 || k++ < most))
			put_input(x, of[i], one, all, out);
	if (most != 0 && n - kept > most)
		pgo_buf_printf(out, "    ... and %zu more; --all lists them\n", n - kept - most);
	pgo_free(of);
}

/* One kind of record: everything that was read is used or has a name for its loss. */
static void put_losses(
	const struct pgo_jval *account, const char *key, const char *what, struct pgo_buf *out)
{
	const struct pgo_jval *v = pgo_jval_get(account, key), *member;
	int64_t read = int_of(v, "read");
	const char *name;

	if (read == 0)
		return;
	pgo_buf_printf(out, "    %-20s %15" PRId64 "\n", what, read);
	for (size_t i = 0; (member = pgo_jval_member(v, i, &name)) != NULL; i++) {
		int64_t n = pgo_jval_i64(member, 0);
		char words[64];
		size_t k = 0;

		if (strcmp(name, "read") == 0 || n == 0)
			continue;
		for (; name[k] != '\0' && k < sizeof words - 1; k++)
			words[k] = name[k] == '_' ? ' ' : name[k];
		words[k] = '\0';
		pgo_buf_printf(out, "      %-18s %15" PRId64 "  %6.2f%%\n", words, n,
			(double)n * 100 / (double)read);
	}
}

static void put_account(const struct pgo_explained *x, struct pgo_buf *out)
{
	const struct pgo_jval *a = pgo_jval_get(x->manifest, "account");
	const struct pgo_jval *hottest = pgo_jval_get(a, "hottest");

	pgo_buf_printf(out,
		"  on the way  %.2f%% mapped; %" PRId64 " functions, %" PRId64
		" of them hot; density %.4g\n",
		pgo_jval_double(pgo_jval_get(a, "mapped_share"), 0) * 100, int_of(a, "functions"),
		int_of(a, "functions_hot"), pgo_jval_double(pgo_jval_get(a, "density"), 0));
	put_losses(a, "branches", "taken branches", out);
	put_losses(a, "ranges", "fall-through ranges", out);
	put_losses(a, "plain", "plain samples", out);
	for (size_t i = 0; i < pgo_jval_len(hottest); i++) {
		const struct pgo_jval *h = pgo_jval_at(hottest, i);

		pgo_buf_printf(out, "%s    %6.2f%%  %s\n", i == 0 ? "  hottest\n" : "",
			pgo_jval_double(pgo_jval_get(h, "share"), 0) * 100,
			pgo_jval_text(h, "name"));
	}
}

static int read_gates(const struct pgo_explained *x, struct pgo_gates *ret, struct pgo_err *err)
{
	pgo_gates_init(ret);
	return x->gates != NULL ? pgo_gates_from_json(ret, x->gates, "gates.json", err) : 0;
}

static void indented(const struct pgo_gates *g, struct pgo_buf *out)
{
	struct pgo_buf text;

	pgo_buf_init(&text, out->max);
	pgo_gates_text(g, &text);
	for (const char *line = text.data; line != NULL && *line != '\0';) {
		size_t len = strcspn(line, "\n");

		pgo_buf_printf(out, "    %.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	out->failed |= text.failed;
	pgo_buf_fini(&text);
}

static void put_gates(const struct pgo_explained *x, struct pgo_buf *out)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_gates g;

	if (x->gates == NULL)
		pgo_buf_puts(out, "  gates     none were kept with it\n");
	else if (read_gates(x, &g, &err) < 0)
		pgo_buf_printf(out, "  gates     %s\n", err.msg);
	else {
		pgo_buf_puts(out, "  gates\n");
		indented(&g, out);
	}
	if (x->gates != NULL)
		pgo_gates_fini(&g);
}

static void put_log(const struct pgo_explained *x, struct pgo_buf *out)
{
	bool any = false;
	char when[32];

	for (size_t i = 0; i < x->log.n; i++) {
		const struct pgo_state_event *e = &x->log.of[i];

		if (strcmp(e->id, x->entry->id) != 0)
			continue;
		pgo_buf_printf(out, "%s    %s  %-11s %s\n", any ? "" : "  decisions\n",
			minute(e->time_ns, when), e->decision, e->reason);
		any = true;
	}
}

void pgo_explain_text(const struct pgo_explained *x, size_t inputs, struct pgo_buf *out)
{
	head(x, out);
	put_outputs(x, out);
	put_inputs(x, inputs, out);
	put_account(x, out);
	put_gates(x, out);
	put_log(x, out);
}

/* ------------------------------------------------------------------ JSON */

static void kv_copy(struct pgo_json *j, const struct pgo_jval *from, const char *key)
{
	pgo_json_key(j, key);
	pgo_json_copy(j, pgo_jval_get(from, key));
}

static void json_inputs(const struct pgo_explained *x, struct pgo_json *j)
{
	const struct pgo_jval *plan = pgo_jval_get(x->manifest, "plan");

	pgo_json_key(j, "inputs");
	pgo_json_array(j);
	for (size_t i = 0; i < pgo_jval_len(plan); i++) {
		const struct pgo_jval *in = pgo_jval_at(plan, i);
		const char *digest = pgo_jval_text(in, "digest");

		pgo_json_object(j);
		pgo_json_kv_str(j, "source", source_of(x, in));
		pgo_json_kv_bool(j, "kept", pgo_manifest_find(&x->raw, digest) != NULL);
		pgo_json_key(j, "plan");
		pgo_json_copy(j, in);
		pgo_json_end_object(j);
	}
	pgo_json_end_array(j);
}

static void json_log(const struct pgo_explained *x, struct pgo_json *j)
{
	pgo_json_key(j, "decisions");
	pgo_json_array(j);
	for (size_t i = 0; i < x->log.n; i++)
		if (strcmp(x->log.of[i].id, x->entry->id) == 0)
			pgo_json_copy(j, x->log.of[i].doc);
	pgo_json_end_array(j);
}

void pgo_explain_json(const struct pgo_explained *x, struct pgo_json *j)
{
	pgo_json_object(j);
	pgo_json_kv_u64(j, "schema", 1);
	pgo_json_kv_str(j, "kind", "explanation");
	pgo_json_kv_str(j, "target", x->state->target);
	pgo_json_kv_str(j, "id", x->entry->id);
	pgo_json_kv_bool(j, "quarantined", x->entry->quarantined);
	pgo_json_kv_bool(j, "last_good", x->entry->last_good);
	pgo_json_kv_bool(j, "pinned", x->entry->pinned);
	kv_copy(j, x->manifest, "tool");
	kv_copy(j, x->manifest, "binary");
	kv_copy(j, x->manifest, "build_id");
	kv_copy(j, x->manifest, "fingerprint");
	kv_copy(j, x->manifest, "weights");
	json_inputs(x, j);
	kv_copy(j, x->manifest, "account");
	kv_copy(j, x->manifest, "outputs");
	pgo_json_key(j, "gates");
	pgo_json_copy(j, x->gates);
	json_log(x, j);
	pgo_json_end_object(j);
	pgo_json_finish(j);
}
