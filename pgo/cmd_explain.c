/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/cmd.h"

#include "pgo/conf.h"
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/core/sha256.h"
#include "pgo/on_target.h"
#include "pgo/provenance.h"
#include "pgo/state.h"

#include <string.h>

#define MOST_INPUTS 20

struct explain_values {
	const char *config, *id, *function;
	bool all;
};

#define AT(field) offsetof(struct explain_values, field)

static const struct pgo_opt opts[] = {
	{"config", 'c', "FILE", "the configuration (default: pgo.conf)", PGO_OPT_STR, AT(config)},
	{"id", 0, "ID", "which result: an id or its beginning, last-good (default), pinned",
		PGO_OPT_STR, AT(id)},
	{"function", 'f', "NAME", "where the counts of this function came from", PGO_OPT_STR,
		AT(function)},
	{"all", 'a', NULL, "every input, not only the heaviest 20", PGO_OPT_FLAG, AT(all)},
	PGO_OPT_END,
};

static const struct pgo_opt_table table = {
	"explain",
	"[OPTION]... [TARGET|OUTPUT]",
	"Tells how a published result came to be: every input with its weight and the reason for "
	"it, what was left out, what was lost, how the gates judged it; or where one function's "
	"counts came from.",
	opts,
};

/* The entry that has a file of these bytes among its outputs, or as its merged profile. */
static int entry_by_digest(const struct pgo_state_entries *e, const char *digest,
	const struct pgo_state_entry **ret, struct pgo_err *err)
{
	for (size_t i = e->n; i-- > 0;) {
		struct pgo_jval *doc = pgo_state_doc(&e->of[i], "manifest.json", err);
		const struct pgo_jval *outputs = pgo_jval_get(doc, "outputs");
		bool same = doc != NULL &&
			    strcmp(pgo_jval_str(
					   pgo_jval_get(pgo_jval_get(doc, "merged"), "sha256"), ""),
				    digest) == 0;

		for (size_t k = 0; k < pgo_jval_len(outputs) && !same; k++)
			same = strcmp(pgo_jval_str(
					      pgo_jval_get(pgo_jval_at(outputs, k), "sha256"), ""),
				       digest) == 0;
		pgo_jdoc_free(doc);
		if (same) {
			*ret = &e->of[i];
			return 1;
		}
	}
	return 0;
}

struct chosen {
	const struct pgo_target *target;
	struct pgo_state state;
	struct pgo_state_entries entries;
	const struct pgo_state_entry *entry;
};

static int open_target(const struct pgo_conf *c, const struct pgo_target *t, struct chosen *ret,
	struct pgo_err *err)
{
	int rc = pgo_state_open(c->state, t->name, &ret->state, err);

	if (rc < 0)
		return rc;
	ret->target = t;
	rc = pgo_state_list(&ret->state, &ret->entries, err);
	return rc;
}

static void close_target(struct chosen *c)
{
	pgo_state_entries_fini(&c->entries);
	pgo_state_close(&c->state);
	*c = (struct chosen){.state = {.lock = -1}};
}

/* A file that some target published: its result. */
static int by_file(
	const struct pgo_conf *c, const char *path, struct chosen *ret, struct pgo_err *err)
{
	char digest[65];
	int rc = pgo_sha256_file(path, digest, err);

	for (size_t i = 0; i < c->n_targets && rc == 0; i++) {
		rc = open_target(c, &c->targets[i], ret, err);
		if (rc == 0)
			rc = entry_by_digest(&ret->entries, digest, &ret->entry, err);
		if (rc <= 0)
			close_target(ret);
	}
	if (rc == 0)
		rc = pgo_err_set(err, PGO_ENOTFOUND,
			"%s is of no result that is kept in %s: another version of it may have "
			"been, look with `pgo status -c %s`",
			path, c->state, c->path);
	return rc < 0 ? rc : 0;
}

static int in_use(const struct pgo_state_entries *e, const char *target,
	const struct pgo_state_entry **ret, struct pgo_err *err)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->of[i].last_good) {
			*ret = &e->of[i];
			return 0;
		}
	return pgo_err_set(err, PGO_ENOTFOUND,
		"no result of target '%s' is in use; %s is the last of %zu that are kept: --id %s "
		"tells about it",
		target, e->of[e->n - 1].id, e->n, e->of[e->n - 1].id);
}

static int by_name(const struct pgo_conf *c, const char *word, const char *id, struct chosen *ret,
	struct pgo_err *err)
{
	const struct pgo_target *t;
	int rc = pgo_target_find(c, word, &t, err);

	if (rc < 0)
		return rc;
	rc = open_target(c, t, ret, err);
	if (rc == 0 && ret->entries.n == 0)
		rc = pgo_err_set(err, PGO_EEMPTY,
			"nothing of target '%s' is published yet; `pgo run -c %s %s` does it",
			t->name, c->path, t->name);
	if (rc == 0 && id == NULL)
		return in_use(&ret->entries, ret->target->name, &ret->entry, err);
	return rc == 0 ? pgo_state_find(&ret->state, &ret->entries, id, &ret->entry, err) : rc;
}

static int tell(const struct explain_values *o, const struct chosen *c, bool json,
	struct pgo_buf *out, struct pgo_err *err)
{
	struct pgo_function_story story = {0};
	struct pgo_explained x = {0};
	struct pgo_json j;
	int rc = pgo_explain_open(&c->state, c->entry, &x, err);

	pgo_json_init(&j, out, false);
	if (rc == 0 && o->function != NULL) {
		rc = pgo_explain_function(&x, c->target->binary, o->function, &story, err);
		if (rc == 0 && json)
			pgo_function_story_json(&story, &j);
		else if (rc == 0)
			pgo_function_story_text(&x, &story, out);
	} else if (rc == 0 && json) {
		pgo_explain_json(&x, &j);
	} else if (rc == 0) {
		pgo_explain_text(&x, o->all ? 0 : MOST_INPUTS, out);
	}
	pgo_function_story_fini(&story);
	pgo_explain_close(&x);
	return rc == 0 ? pgo_buf_check(out, "the explanation", err) : rc;
}

static int explain(const struct explain_values *o, const char *word, bool json, struct pgo_buf *out,
	struct pgo_err *err)
{
	struct chosen chosen = {.state = {.lock = -1}};
	struct pgo_conf conf;
	bool target = false;
	int rc = pgo_conf_load(o->config, &conf, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < conf.n_targets && word != NULL; i++)
		target |= strcmp(conf.targets[i].name, word) == 0;
	rc = word != NULL && !target && pgo_path_exists(word)
		     ? by_file(&conf, word, &chosen, err)
		     : by_name(&conf, word, o->id, &chosen, err);
	if (rc == 0)
		rc = tell(o, &chosen, json, out, err);
	close_target(&chosen);
	pgo_conf_fini(&conf);
	return rc;
}

static int run(int argc, char **argv)
{
	struct explain_values o = {.config = "pgo.conf"};
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_opt_globals g;
	struct pgo_buf out;
	int first, code, rc;

	if (pgo_cmd_begin(&pgo_cmd_explain, argc, argv, &o, &g, &first, NULL, &code) != 0)
		return code;
	pgo_buf_init(&out, (size_t)1 << 30);
	rc = argc - first > 1 ? pgo_err_set(&err, PGO_EUSAGE,
					"name one target or output at a time, not %d", argc - first)
			      : explain(&o, first < argc ? argv[first] : NULL, g.json, &out, &err);
	code = rc < 0 ? pgo_cmd_fail(&pgo_cmd_explain, &g, &err)
		      : pgo_cmd_print(&pgo_cmd_explain, &g, out.data, out.len);
	pgo_buf_fini(&out);
	return code;
}

const struct pgo_cmd pgo_cmd_explain = {
	"explain", "tell how a published result came to be", &table, run};
