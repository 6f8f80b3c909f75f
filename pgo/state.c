/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and reading; state_change.c changes. */
#include "pgo/state.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/opt.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_DOC ((size_t)1 << 30)
#define DAY_NS INT64_C(86400000000000)

/* ---- opening */

static int make_paths(struct pgo_state *s, struct pgo_err *err)
{
	struct {
		char **to;
		const char *name;
	} paths[] = {
		{&s->raw, "raw"},
		{&s->cache, "cache"},
		{&s->published, "published"},
		{&s->quarantine, "quarantine"},
		{&s->reports, "reports"},
		{&s->last_good, "last-good"},
		{&s->pinned, "pinned"},
		{&s->log, "log.jsonl"},
		{&s->lock_path, "lock"},
	};

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		*paths[i].to = pgo_asprintf("%s/%s", s->dir, paths[i].name);
		if (*paths[i].to == NULL)
			return pgo_err_nomem(err);
	}
	return 0;
}

static bool has(const struct pgo_state *s, const char *name)
{
	char *path = pgo_asprintf("%s/%s", s->dir, name);
	bool there = path != NULL && pgo_path_exists(path);

	pgo_free(path);
	return there;
}

/* A format that is not a number came of a crash while the very first run made it: the rest tells. */
static int read_format(struct pgo_state *s, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/format", s->dir);
	struct pgo_buf text;
	uint64_t n = 0;
	int rc = 0;

	if (path == NULL)
		return pgo_err_nomem(err);
	pgo_buf_init(&text, 64);
	if (pgo_path_exists(path) && pgo_file_read(path, 64, &text, NULL) == 0 && text.len != 0) {
		text.data[strcspn(text.data, "\n")] = '\0';
		if (pgo_parse_u64(text.data, &n, NULL) < 0)
			n = 0;
	}
	if (n > PGO_STATE_FORMAT)
		rc = pgo_err_set(err, PGO_EMISMATCH,
			"%s has format %llu; this pgo (" PGO_VERSION ") knows up to %d: use the "
			"newer pgo that made it, or another state directory",
			s->dir, (unsigned long long)n, PGO_STATE_FORMAT);
	else if (n != 0)
		s->format = (unsigned)n;
	else if (has(s, "manifest.json") || has(s, "merged.pb.gz"))
		s->format = 1;
	else
		s->format = has(s, "published") ? PGO_STATE_FORMAT : 0;
	pgo_buf_fini(&text);
	pgo_free(path);
	return rc;
}

int pgo_state_open(const char *root, const char *target, struct pgo_state *ret, struct pgo_err *err)
{
	struct pgo_state s = {.lock = -1};
	int rc;

	s.target = pgo_strdup(target);
	s.dir = pgo_asprintf("%s/%s", root, target);
	rc = s.target != NULL && s.dir != NULL ? make_paths(&s, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = read_format(&s, err);
	if (rc < 0)
		pgo_state_close(&s);
	else
		*ret = s;
	return rc;
}

/* ---- ids and paths */

bool pgo_state_is_id(const char *text)
{
	size_t n = strlen(text);

	if (n != PGO_STATE_ID_SIZE - 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';

		if (i == 8 ? text[i] != '-' : !digit && (i < 8 || text[i] < 'a' || text[i] > 'f'))
			return false;
	}
	return true;
}

void pgo_state_make_id(
	int64_t time_ns, const char *const *digests, size_t n, char ret[PGO_STATE_ID_SIZE])
{
	char day[32], hex[65];
	struct pgo_sha256 h;
	uint8_t digest[32];

	pgo_sha256_init(&h);
	for (size_t i = 0; i < n; i++)
		pgo_sha256_add(&h, digests[i], strlen(digests[i]) + 1);
	pgo_sha256_final(&h, digest);
	pgo_sha256_hex(digest, hex);
	pgo_format_time(time_ns, day, sizeof day);
	snprintf(ret, PGO_STATE_ID_SIZE, "%.4s%.2s%.2s-%.12s", day, day + 5, day + 8, hex);
}

char *pgo_state_path(const struct pgo_state *s, bool quarantined, const char *id, const char *file)
{
	return pgo_asprintf("%s/%s%s%s", quarantined ? s->quarantine : s->published, id,
		file != NULL ? "/" : "", file != NULL ? file : "");
}

static void read_pointer(const char *path, char ret[PGO_STATE_ID_SIZE])
{
	char to[64];
	ssize_t n = readlink(path, to, sizeof to - 1);

	ret[0] = '\0';
	if (n <= 0)
		return;
	to[n] = '\0';
	if (strncmp(to, "published/", 10) == 0 && pgo_state_is_id(to + 10))
		memcpy(ret, to + 10, PGO_STATE_ID_SIZE);
}

void pgo_state_last_good(const struct pgo_state *s, char ret[PGO_STATE_ID_SIZE])
{
	read_pointer(s->last_good, ret);
}

void pgo_state_pinned(const struct pgo_state *s, char ret[PGO_STATE_ID_SIZE])
{
	read_pointer(s->pinned, ret);
}

/* ---- the list */

static int compare_entries(const void *va, const void *vb)
{
	const struct pgo_state_entry *a = va, *b = vb;

	if (a->quarantined != b->quarantined)
		return a->quarantined ? 1 : -1;
	return strcmp(a->id, b->id);
}

static int list_dir(
	const char *path, bool quarantined, struct pgo_state_entries *e, struct pgo_err *err)
{
	DIR *d = opendir(path);
	struct dirent *item;
	int rc = 0;

	if (d == NULL)
		return errno == ENOENT ? 0 : pgo_err_errno(err, PGO_EIO, "%s cannot be read", path);
	while (rc == 0 && (item = readdir(d)) != NULL) {
		struct pgo_state_entry *new;

		if (!pgo_state_is_id(item->d_name))
			continue;
		new = PGO_VEC_PUSH(e->of, e->n, e->room);
		if (new == NULL || (new->dir = pgo_asprintf("%s/%s", path, item->d_name)) == NULL) {
			rc = pgo_err_nomem(err);
			break;
		}
		memcpy(new->id, item->d_name, PGO_STATE_ID_SIZE);
		new->quarantined = quarantined;
	}
	closedir(d);
	return rc;
}

int pgo_state_list(const struct pgo_state *s, struct pgo_state_entries *ret, struct pgo_err *err)
{
	char last_good[PGO_STATE_ID_SIZE], pinned[PGO_STATE_ID_SIZE];
	struct pgo_state_entries e = {0};
	int rc = list_dir(s->published, false, &e, err);

	if (rc == 0)
		rc = list_dir(s->quarantine, true, &e, err);
	if (rc < 0) {
		pgo_state_entries_fini(&e);
		return rc;
	}
	if (e.n != 0)
		qsort(e.of, e.n, sizeof *e.of, compare_entries);
	pgo_state_last_good(s, last_good);
	pgo_state_pinned(s, pinned);
	for (size_t i = 0; i < e.n; i++) {
		e.of[i].last_good = !e.of[i].quarantined && strcmp(e.of[i].id, last_good) == 0;
		e.of[i].pinned = !e.of[i].quarantined && strcmp(e.of[i].id, pinned) == 0;
	}
	*ret = e;
	return 0;
}

void pgo_state_entries_fini(struct pgo_state_entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		pgo_free(e->of[i].dir);
	pgo_free(e->of);
	*e = (struct pgo_state_entries){0};
}

static bool fits(const struct pgo_state_entry *e, const char *word)
{
	size_t n = strlen(word);

	if (strcmp(word, "last-good") == 0)
		return e->last_good;
	if (strcmp(word, "pinned") == 0)
		return e->pinned;
	return n >= 3 && (strncmp(e->id, word, n) == 0 || strncmp(e->id + 9, word, n) == 0);
}

static int ambiguous(const struct pgo_state_entries *e, const char *word, struct pgo_err *err)
{
	struct pgo_buf names;

	pgo_buf_init(&names, 256);
	for (size_t i = 0; i < e->n; i++)
		if (fits(&e->of[i], word) && names.len < 200)
			pgo_buf_printf(&names, "%s%s", names.len != 0 ? ", " : "", e->of[i].id);
	pgo_err_set(err, PGO_EUSAGE, "'%s' fits several results: %s; write more of it", word,
		names.data != NULL ? names.data : "");
	pgo_buf_fini(&names);
	return PGO_EUSAGE;
}

int pgo_state_find(const struct pgo_state *s, const struct pgo_state_entries *e, const char *word,
	const struct pgo_state_entry **ret, struct pgo_err *err)
{
	const struct pgo_state_entry *found = NULL;

	for (size_t i = 0; i < e->n; i++) {
		if (!fits(&e->of[i], word))
			continue;
		/* One id at both places: a crash while it was moved. The published one counts. */
		if (found != NULL && strcmp(found->id, e->of[i].id) == 0)
			continue;
		if (found != NULL)
			return ambiguous(e, word, err);
		found = &e->of[i];
	}
	if (found == NULL)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"%s has no result '%s'; `pgo status --all` lists what it has", s->dir,
			word);
	*ret = found;
	return 0;
}

/* ---- what is in an entry */

struct pgo_jval *pgo_state_doc(
	const struct pgo_state_entry *e, const char *file, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", e->dir, file);
	struct pgo_jval *doc = NULL;
	struct pgo_buf text;

	if (path == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	if (pgo_file_read(path, MAX_DOC, &text, err) == 0)
		doc = pgo_jdoc_parse(path, text.data != NULL ? text.data : "", text.len, err);
	pgo_buf_fini(&text);
	pgo_free(path);
	return doc;
}

const char *pgo_state_output_file(const struct pgo_jval *output)
{
	const char *file = pgo_jval_str(pgo_jval_get(output, "file"), "");

	/* Manifests of format 1 have none. */
	return file[0] != '\0' ? file
			       : pgo_path_base(pgo_jval_str(pgo_jval_get(output, "path"), ""));
}

/* Manifests of format 1 do not have the merged profile's: "" is content with any. */
static bool has_digest(const char *dir, const char *file, const char *digest)
{
	char *path = pgo_asprintf("%s/%s", dir, file);
	char found[65] = "";
	bool same = path != NULL && pgo_sha256_file(path, found, NULL) == 0 &&
		    (digest[0] == '\0' || strcmp(found, digest) == 0);

	pgo_free(path);
	return same;
}

bool pgo_state_intact(const char *dir, const struct pgo_jval *manifest)
{
	const struct pgo_jval *outputs = pgo_jval_get(manifest, "outputs");
	const struct pgo_jval *merged = pgo_jval_get(manifest, "merged");

	if (pgo_jval_len(outputs) == 0 ||
		!has_digest(dir, "merged.pb.gz", pgo_jval_str(pgo_jval_get(merged, "sha256"), "")))
		return false;
	for (size_t i = 0; i < pgo_jval_len(outputs); i++) {
		const struct pgo_jval *o = pgo_jval_at(outputs, i);
		const char *file = pgo_state_output_file(o);

		/* What somebody else wrote into it leads nowhere outside. */
		if (file[0] == '\0' || strchr(file, '/') != NULL ||
			strlen(pgo_jval_str(pgo_jval_get(o, "sha256"), "")) != 64 ||
			!has_digest(dir, file, pgo_jval_str(pgo_jval_get(o, "sha256"), "")))
			return false;
	}
	return true;
}

int64_t pgo_state_age(int64_t then_ns, int64_t now_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}
