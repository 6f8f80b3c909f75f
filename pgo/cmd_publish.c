/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/json.h"
#include "pgo/publish.h"

#include <inttypes.h>
#include <string.h>

#define PRINT_MAX ((size_t)1 << 20)
#define MAX_TRIES 100

struct publish_values {
	const char *config, *sign_with, *ca_file;
	uint64_t tries;
	bool merged, insecure;
};

#define AT(field) offsetof(struct publish_values, field)

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default pgo.conf)", PGO_OPT_STR, AT(config)},
	{"merged", 0, NULL, "the merged profile as well", PGO_OPT_FLAG, AT(merged)},
	{"sign-with", 0, "COMMAND", "signs the release: writes {signature} for {file}", PGO_OPT_STR,
		AT(sign_with)},
	{"tries", 0, "N", "how often to ask a server that is busy or gone (default 5)", PGO_OPT_U64,
		AT(tries)},
	{"cacert", 0, "FILE", "certificates to trust instead of the system's", PGO_OPT_STR,
		AT(ca_file)},
	{"insecure", 0, NULL,
		"trust any certificate: whoever is in between can read and change all",
		PGO_OPT_FLAG, AT(insecure)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"publish",
	"[-c FILE] [OPTION]... [TARGET[/ID]]... URL",
	"Puts last-good of targets, or the result ID, into a directory or a bucket, for pgo get. "
	"Readers see the release before or this one, never half of it.",
	opts,
};

struct publish_run {
	const struct publish_values *o;
	const struct pgo_opt_globals *g;
	struct pgo_publish_options po;
	struct pgo_conf conf;
	struct pgo_buf out;
	struct pgo_json json;
	size_t n_new, n_same, n_none;
};

static void report(
	struct publish_run *r, const struct pgo_target *t, const struct pgo_publish_result *p)
{
	if (!r->g->json) {
		if (!r->g->quiet)
			pgo_buf_printf(&r->out,
				"%s: %s is release %.12s: %" PRIu64 " objects, %" PRIu64
				" there before, %" PRIu64 " bytes put%s\n",
				t->name, p->id, p->release, p->files, p->present, p->bytes,
				p->unchanged ? "; it was published before" : "");
		return;
	}
	pgo_json_object(&r->json);
	pgo_json_kv_str(&r->json, "target", t->name);
	pgo_json_kv_str(&r->json, "id", p->id);
	pgo_json_kv_str(&r->json, "release", p->release);
	pgo_json_kv_bool(&r->json, "unchanged", p->unchanged);
	pgo_json_kv_u64(&r->json, "objects", p->files);
	pgo_json_kv_u64(&r->json, "present", p->present);
	pgo_json_kv_u64(&r->json, "bytes", p->bytes);
	pgo_json_end_object(&r->json);
}

/* One target; without a result of its own it keeps no other from being published. */
static int one(struct publish_run *r, const struct pgo_target *t, const char *id, bool named,
	struct pgo_err *err)
{
	struct pgo_publish_result p;
	int rc = pgo_publish(&r->conf, t, id, &r->po, &p, err);

	if (rc == PGO_EEMPTY && !named) {
		r->n_none++;
		pgo_err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	r->n_new += !p.unchanged;
	r->n_same += p.unchanged;
	report(r, t, &p);
	return 0;
}

/* TARGET or TARGET/ID. */
static int word(struct publish_run *r, const char *text, struct pgo_err *err)
{
	size_t len = strcspn(text, "/");

	for (size_t i = 0; i < r->conf.n_targets; i++) {
		const struct pgo_target *t = &r->conf.targets[i];

		if (strncmp(t->name, text, len) == 0 && t->name[len] == '\0')
			return one(r, t, text[len] == '/' ? text + len + 1 : "", true, err);
	}
	return pgo_err_set(
		err, PGO_EUSAGE, "%s has no target '%.*s'", r->o->config, (int)len, text);
}

static int all(struct publish_run *r, char **words, int n, struct pgo_err *err)
{
	int rc = pgo_conf_load(r->o->config, &r->conf, err);

	for (int i = 0; i < n && rc == 0; i++)
		rc = word(r, words[i], err);
	for (size_t i = 0; n == 0 && i < r->conf.n_targets && rc == 0; i++)
		rc = one(r, &r->conf.targets[i], "", r->conf.n_targets == 1, err);
	return rc;
}

static int finish(struct publish_run *r)
{
	int code;

	if (r->g->json) {
		pgo_json_end_array(&r->json);
		pgo_json_finish(&r->json);
	}
	code = r->out.failed ? PGO_EXIT_FAILED
			     : pgo_cmd_print(&pgo_cmd_publish, r->g,
				       r->out.data != NULL ? r->out.data : "", r->out.len);
	if (code != PGO_EXIT_OK || r->n_new != 0)
		return code;
	return r->n_same != 0 ? PGO_EXIT_UNCHANGED : PGO_EXIT_NO_PROFILE;
}

static int run(int argc, char **argv)
{
	struct publish_values o = {.config = "pgo.conf"};
	struct publish_run r = {.o = &o};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	int first, code, rc = 0;

	if (pgo_cmd_begin(&pgo_cmd_publish, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	pgo_buf_init(&r.out, PRINT_MAX);
	pgo_json_init(&r.json, &r.out, false);
	r.g = &g;
	if (first == argc)
		rc = pgo_err_set(&err, PGO_EUSAGE,
			"say where to publish, as the last argument: a directory, or "
			"s3://BUCKET/PREFIX");
	else if (o.tries > MAX_TRIES)
		rc = pgo_err_set(&err, PGO_EUSAGE, "--tries is at most %d", MAX_TRIES);
	if (rc == 0) {
		r.po = (struct pgo_publish_options){.url = argv[argc - 1],
			.sign_with = o.sign_with,
			.merged = o.merged,
			.http = {.tries = (unsigned)o.tries,
				.insecure = o.insecure,
				.ca_file = o.ca_file}};
		if (g.json)
			pgo_json_array(&r.json);
		rc = all(&r, argv + first, argc - 1 - first, &err);
	}
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_publish, &g, &err) : finish(&r);
	pgo_conf_fini(&r.conf);
	pgo_buf_fini(&r.out);
	return code;
}

const struct pgo_cmd pgo_cmd_publish = {
	"publish", "put last-good into a store, for build machines", &table, run};
