/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/sides.h"

#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/target_fetch.h"

#include <string.h>

#define BUILD_ID_MIN 6
#define VERSIONS_SHOWN 10

/* ------------------------------------------------------------------ profiles of a version */

static bool is_version(const struct pgo_record *r, const char *word)
{
	return strcmp(r->version, word) == 0;
}

static bool is_build(const struct pgo_record *r, const char *word)
{
	if (strlen(word) < BUILD_ID_MIN)
		return false;
	for (size_t i = 0; i < r->n_build_ids; i++)
		if (strncmp(r->build_ids[i], word, strlen(word)) == 0)
			return true;
	return false;
}

static size_t count(const struct pgo_manifest *m, const char *word,
	bool (*is)(const struct pgo_record *r, const char *word))
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_records; i++)
		n += is(&m->records[i], word);
	return n;
}

/* The versions that there are, the newest of which comes last. */
static int no_such(
	const struct pgo_manifest *m, const char *word, const char *target, struct pgo_err *err)
{
	struct pgo_buf list;
	size_t n = 0;

	pgo_buf_init(&list, PGO_ERR_MAX / 2);
	for (size_t i = m->n_records; i-- > 0 && n < VERSIONS_SHOWN;) {
		const char *v = m->records[i].version;
		bool known = v[0] == '\0';

		for (size_t k = i + 1; k < m->n_records && !known; k++)
			known = strcmp(m->records[k].version, v) == 0;
		if (!known)
			pgo_buf_printf(&list, "%s%s (%zu profiles)", n++ != 0 ? ", " : "", v,
				count(m, v, is_version));
	}
	if (n != 0)
		pgo_err_set(err, PGO_ENOTFOUND,
			"no profile of target '%s' is of version or build '%s'; there are, the "
			"newest first: %s",
			target, word, list.data);
	else
		pgo_err_set(err, PGO_ENOTFOUND,
			"no profile of target '%s' is of build '%s', and none of the %zu tells its "
			"version: stores give it as the label `version`, pgo.conf can "
			"(labels = {\"version=...\"})",
			target, word, m->n_records);
	pgo_buf_fini(&list);
	return PGO_ENOTFOUND;
}

static int find_profiles(
	struct pgo_sides *s, const struct pgo_target *t, struct pgo_side *side, struct pgo_err *err)
{
	bool versions = count(&s->raw, side->word, is_version) != 0;
	int rc = 0;

	if (!versions && count(&s->raw, side->word, is_build) == 0)
		return no_such(&s->raw, side->word, t->name, err);
	for (size_t i = 0; i < s->raw.n_records && rc == 0; i++) {
		const struct pgo_record *r = &s->raw.records[i];

		if (versions ? is_version(r, side->word) : is_build(r, side->word))
			rc = pgo_operands_add_record(&side->profiles, s->state.raw, r, err);
	}
	return rc;
}

/* ------------------------------------------------------------------ the program of a version */

/* In how many of the side's profiles is this build? */
static size_t votes(const struct pgo_side *side, const char *build_id)
{
	size_t n = 0;

	for (size_t i = 0; i < side->profiles.n && build_id[0] != '\0'; i++) {
		const struct pgo_record *r = side->profiles.in[i].record;

		for (size_t k = 0; k < r->n_build_ids; k++)
			n += strcmp(r->build_ids[k], build_id) == 0;
	}
	return n;
}

struct search {
	const struct pgo_side *side;
	const char *name; /* base name of the target's binary */
	size_t best;
	bool best_named;
	char *path;
};

/* Of two files that are in as many profiles (a program and its libraries) the one with the
 * program's name. */
static void offer(struct search *s, const char *path)
{
	struct pgo_err err = PGO_ERR_INIT;
	char build_id[129];
	bool named = strcmp(pgo_path_base(path), s->name) == 0;
	size_t n;

	if (!pgo_elf_probe(path) || pgo_elf_build_id(path, build_id, &err) < 0)
		return;
	n = votes(s->side, build_id);
	if (n == 0 || n < s->best || (n == s->best && (s->best_named || !named)))
		return;
	pgo_free(s->path);
	s->path = pgo_strdup(path);
	s->best = n;
	s->best_named = named;
}

static void find_binary(const struct pgo_target *t, struct pgo_side *side)
{
	struct search s = {.side = side, .name = pgo_path_base(t->binary)};

	offer(&s, t->binary);
	for (size_t i = 0; i < t->n_older_builds; i++) {
		struct pgo_err err = PGO_ERR_INIT;
		struct pgo_paths files = {0};

		if (pgo_paths_list(t->older_builds[i], &files, &err) == 0)
			for (size_t k = 0; k < files.n; k++)
				offer(&s, files.path[k]);
		pgo_paths_free(&files);
	}
	side->binary = s.path;
}

/* ------------------------------------------------------------------ the whole */

static int fetch(struct pgo_sides *s, const struct pgo_target *t, struct pgo_err *err)
{
	struct pgo_fetch_stats stats;
	int64_t since = 0, until = 0;
	int rc = 0;

	if (t->since[0] != '\0')
		rc = pgo_parse_time(t->since, pgo_now(), &since, err);
	if (rc == 0 && t->until[0] != '\0')
		rc = pgo_parse_time(t->until, pgo_now(), &until, err);
	if (rc == 0)
		rc = pgo_mkdirs(s->state.raw, err);
	return rc == 0 ? pgo_target_fetch(t, s->state.raw, since, until, &stats, &s->raw, err) : rc;
}

static int load(struct pgo_sides *s, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/manifest.jsonl", s->state.raw);
	int rc = path != NULL ? pgo_manifest_load(&s->raw, path, err) : pgo_err_nomem(err);

	pgo_free(path);
	return rc;
}

/* Words are people's: what a file name should not have becomes '_'. */
static char *file_word(const char *word)
{
	char *copy = pgo_strdup(word);

	for (char *p = copy; p != NULL && *p != '\0'; p++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+~",
			    *p) == NULL)
			*p = '_';
	return copy;
}

static int name_report(struct pgo_sides *s, struct pgo_err *err)
{
	char *b = file_word(s->before.word), *a = file_word(s->after.word);

	if (b != NULL && a != NULL)
		s->report = pgo_asprintf("%s/verify-%s-%s", s->state.reports, b, a);
	pgo_free(b);
	pgo_free(a);
	return s->report != NULL ? 0 : pgo_err_nomem(err);
}

int pgo_sides_find(const struct pgo_conf *c, const struct pgo_target *t, const char *before,
	const char *after, bool do_fetch, struct pgo_sides *ret, struct pgo_err *err)
{
	int rc;

	*ret = (struct pgo_sides){.before.word = before, .after.word = after};
	ret->state.lock = -1;
	pgo_manifest_init(&ret->raw);
	if (strcmp(before, after) == 0)
		return pgo_err_set(err, PGO_EUSAGE,
			"before and after are both '%s': name two versions", before);
	rc = pgo_state_open(c->state, t->name, &ret->state, err);
	if (rc == 0)
		rc = do_fetch ? fetch(ret, t, err) : load(ret, err);
	if (rc == 0)
		rc = find_profiles(ret, t, &ret->before, err);
	if (rc == 0)
		rc = find_profiles(ret, t, &ret->after, err);
	if (rc == 0)
		rc = name_report(ret, err);
	if (rc < 0)
		return rc;
	find_binary(t, &ret->before);
	find_binary(t, &ret->after);
	return 0;
}

static void side_fini(struct pgo_side *s)
{
	pgo_operands_fini(&s->profiles);
	pgo_free(s->binary);
}

void pgo_sides_fini(struct pgo_sides *s)
{
	side_fini(&s->before);
	side_fini(&s->after);
	pgo_manifest_fini(&s->raw);
	pgo_state_close(&s->state);
	pgo_free(s->report);
}
