/* SPDX-License-Identifier: Apache-2.0 */
/* A profile against those before it. */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/json.h"
#include "pgo/fit_parts.h"
#include "verify/applied.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_MANIFEST ((size_t)1 << 30)

/* ---- the last good one */

/* last-good itself, or the file of the same base name in it. */
static char *counterpart(const char *where, const char *name)
{
	struct stat st;

	if (stat(where, &st) == 0 && S_ISDIR(st.st_mode))
		return pgo_asprintf("%s/%s", where, pgo_path_base(name));
	return pgo_strdup(where);
}

static int skip_overlaps(struct pgo_fit *k, const char *why, struct pgo_err *err)
{
	int rc = pgo_gates_skip(k->gates, "overlap_functions", err, "%s", why);

	if (rc == 0)
		rc = pgo_gates_skip(k->gates, "overlap_blocks", err, "%s", why);
	return rc < 0 ? rc : pgo_gates_skip(k->gates, "moved", err, "%s", why);
}

/* "GNU C17 12.2.0 (14 units), ..." -> the length of the first one's name. */
static size_t first_compiler(const char *list)
{
	const char *end = strstr(list, " (");

	return end != NULL ? (size_t)(end - list) : strlen(list);
}

/* Did another compiler make the program than the one that last-good is for?  By what its manifest says. */
static bool other_compiler(const struct pgo_fit *k)
{
	char *path = pgo_asprintf("%s/manifest.json", k->in->last_good);
	char *now = k->elf != NULL ? pgo_program_compilers(k->elf, &k->in->where) : NULL;
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_jval *doc = NULL;
	const char *then;
	struct pgo_buf text;
	bool other = false;

	pgo_buf_init(&text, MAX_MANIFEST);
	if (path != NULL && pgo_path_exists(path) &&
		pgo_file_read(path, MAX_MANIFEST, &text, &err) == 0)
		doc = pgo_jdoc_parse(path, text.data, text.len, &err);
	then = pgo_jval_str(pgo_jval_get(doc, "compilers"), "");
	if (now != NULL && now[0] != '\0' && then[0] != '\0')
		other = first_compiler(now) != first_compiler(then) ||
			strncmp(now, then, first_compiler(then)) != 0;
	pgo_jdoc_free(doc);
	pgo_buf_fini(&text);
	pgo_free(now);
	pgo_free(path);
	return other;
}

/*
 * Compilers draw lines and copies of them differently: after a change of compiler the blocks of no
 * profile are those of the last one.  If the functions agree that is no reason to refuse it, this week
 * and every week after.
 */
static int allow_for_compiler(struct pgo_fit *k, struct pgo_err *err)
{
	struct pgo_gate_row *r = &k->gates->row[k->gates->n - 1];
	const struct pgo_gate_row *functions = pgo_gates_find(k->gates, "overlap_functions");
	char *why;

	if (r->verdict != PGO_GATE_FAIL || pgo_gate_limits_set(k->in->limits, r->name) ||
		functions == NULL || functions->verdict == PGO_GATE_FAIL || !other_compiler(k))
		return 0;
	why = pgo_asprintf("%s; another compiler made the program since, and the mix of functions "
			   "is not refused",
		r->why);
	if (why == NULL)
		return pgo_err_nomem(err);
	pgo_free(r->why);
	r->why = why;
	r->verdict = PGO_GATE_WARN;
	return 0;
}

static int check_blocks(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_fit_overlap *o = &k->overlap;
	int rc;

	if (o->blocks_compared < 0.5)
		return pgo_gates_skip(k->gates, "overlap_blocks", err,
			"only %.0f %% of the counts are in functions that still branch at the same "
			"offsets: they were compiled anew",
			o->blocks_compared * 100);
	rc = pgo_gates_measure(k->gates, k->in->limits, "overlap_blocks", o->blocks * 100, err,
		"lines and blocks have %.1f %% in common with the last good profile (%.1f %% by "
		"names as they are)",
		o->blocks * 100, o->blocks_raw * 100);
	return rc == 0 ? allow_for_compiler(k, err) : rc;
}

static int check_overlaps(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_fit_overlap *o = &k->overlap;
	double points = 100 * fabs(o->moved_after - o->moved_before);
	int rc = pgo_gates_measure(k->gates, k->in->limits, "overlap_functions", o->functions * 100,
		err,
		"the mix of functions has %.1f %% in common with the last good profile (%.1f %% by "
		"names as they are)",
		o->functions * 100, o->functions_raw * 100);

	if (rc == 0)
		rc = check_blocks(k, err);
	if (rc < 0)
		return rc;
	return pgo_gates_measure(k->gates, k->in->limits, "moved", points, err,
		o->moved != NULL ? "most moved %s, from %.1f %% to %.1f %%" : "nothing moved%s",
		o->moved != NULL ? o->moved : "", o->moved_before * 100, o->moved_after * 100);
}

int pgo_fit_last_good(struct pgo_fit *k, struct pgo_err *err)
{
	struct pgo_err own = PGO_ERR_INIT;
	char *path;
	int rc;

	if (k->in->last_good == NULL)
		return skip_overlaps(k, "there is no last good profile to compare with", err);
	path = counterpart(k->in->last_good, k->in->files[k->best_index].name);
	if (path == NULL)
		return pgo_err_nomem(err);
	rc = pgo_fit_load_file(path, &k->strs, &k->last, &own);
	pgo_free(path);
	if (rc == 0)
		rc = pgo_fit_compare(&k->last.view, &k->best->view, &k->strs, &k->overlap, &own);
	if (rc == PGO_ENOMEM)
		return pgo_err_nomem(err);
	if (rc < 0) {
		pgo_err_prefix(&own, "the last good profile cannot be compared");
		return skip_overlaps(k, own.msg, err);
	}
	k->compared = true;
	return check_overlaps(k, err);
}

/* ---- names */

static int collapse(struct pgo_fit *k, double raw, double canonical, const char *with,
	const char *prefix, bool prefix_new, struct pgo_err *err)
{
	struct pgo_gate_row row = {.name = (char[]){"name_collapse"}, .value = raw * 100};
	char why[PGO_ERR_MAX], by[80] = "";
	char *source;
	int rc = pgo_gate_judge(&row, k->in->limits, err);

	source = row.source;
	if (rc == 0 && prefix[0] != '\0')
		snprintf(by, sizeof by, ": \"%s\" stands before the names of %s", prefix,
			prefix_new ? "the profile" : with);
	if (rc == 0 && row.verdict == PGO_GATE_WARN) {
		/* Different names are one thing, different functions another. */
		row.verdict = canonical < 0.2   ? PGO_GATE_FAIL
			      : canonical > 0.6 ? PGO_GATE_WARN
						: PGO_GATE_PASS;
	}
	snprintf(why, sizeof why,
		"%.1f %% in common with %s by names as they are, %.1f %% by canonical ones%s%s",
		raw * 100, with, canonical * 100, by,
		row.verdict == PGO_GATE_WARN
			? "; compilers will find nothing: rewrite the names, or "
			  "build with the ones of the profile"
		: row.verdict == PGO_GATE_FAIL ? "; it is of another program"
					       : "");
	row.why = row.verdict == PGO_GATE_SKIPPED ? (char[]){"it is switched off"} : why;
	if (rc == 0)
		rc = pgo_gates_add(k->gates, &row, err);
	pgo_free(source);
	return rc;
}

int pgo_fit_names(struct pgo_fit *k, struct pgo_err *err)
{
	const struct pgo_fit_overlap *o = &k->overlap;

	if (k->covered && (!k->compared || k->cover.raw < o->functions_raw))
		return collapse(k, k->cover.raw, k->cover.canonical, "the program", k->cover.prefix,
			k->cover.prefix_new, err);
	if (k->compared)
		return collapse(k, o->functions_raw, o->functions, "the last good profile",
			o->prefix, o->prefix_new, err);
	return pgo_gates_skip(k->gates, "name_collapse", err,
		"there is neither a program nor a last good profile to compare names with");
}

/* ---- the history */

int pgo_fit_flips_gate(struct pgo_gates *g, const struct pgo_gate_limits *limits,
	const struct pgo_fit_view *const *v, size_t n, struct pgo_strtab *strs, struct pgo_err *err)
{
	struct pgo_fit_flips f;
	struct pgo_buf names;
	int rc = pgo_fit_flips(v, n, strs, &f, err);

	if (rc < 0)
		return rc;
	pgo_buf_init(&names, 1 << 12);
	for (size_t i = 0; i < f.n_names; i++)
		pgo_buf_printf(&names, "%s%s (%.1f %%)", i == 0 ? ": " : ", ", f.name[i],
			f.name_share[i] * 100);
	if (f.functions == 0)
		rc = pgo_gates_measure(g, limits, "flips", 0, err,
			"no function went hot, cold and hot again over %zu results", n);
	else
		rc = pgo_gates_measure(g, limits, "flips", f.share * 100, err,
			"%zu functions went hot, cold and hot again over %zu results%s; a larger "
			"share of the last good profile (blend) would damp it",
			f.functions, n, names.data != NULL ? names.data : "");
	pgo_buf_fini(&names);
	pgo_fit_flips_fini(&f);
	return rc;
}

int pgo_fit_history(struct pgo_fit *k, struct pgo_err *err)
{
	size_t n = k->in->n_published, loaded = 0;
	struct pgo_fit_loaded *past = pgo_calloc(n + 1, sizeof *past);
	const struct pgo_fit_view **v = pgo_calloc(n + 1, sizeof *v);
	int rc = past == NULL || v == NULL ? pgo_err_nomem(err) : 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		char *path = counterpart(k->in->published[i], k->in->files[k->best_index].name);

		if (path == NULL)
			rc = pgo_err_nomem(err);
		else if (pgo_fit_load_file(path, &k->strs, &past[loaded], NULL) == 0) {
			v[loaded] = &past[loaded].view;
			loaded++;
		}
		pgo_free(path);
	}
	if (rc == 0) {
		v[loaded] = &k->best->view;
		rc = loaded < 2
			     ? pgo_gates_skip(k->gates, "flips", err,
				       "it takes two earlier results to see functions go hot, cold "
				       "and hot again; there are %zu",
				       loaded)
			     : pgo_fit_flips_gate(
				       k->gates, k->in->limits, v, loaded + 1, &k->strs, err);
	}
	for (size_t i = 0; i < loaded; i++)
		pgo_fit_loaded_fini(&past[i]);
	pgo_free(past);
	pgo_free(v);
	return rc;
}
