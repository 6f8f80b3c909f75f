/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/store.h"

#include "fetch/durable.h"
#include "fetch/examine.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/profile.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINE ((size_t)16 << 20)

/* ---------------------------------------------------------------- tables */

struct source_key {
	const char *source;
	uint64_t size;
	int64_t mtime_ns;
};

static uint64_t source_hash(const struct source_key *k)
{
	return pgo_hash(k->source, strlen(k->source)) ^
	       pgo_hash_u64(k->size * 31 + (uint64_t)k->mtime_ns);
}

static bool source_eq(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_store_table *t = ctx;
	const struct pgo_record *r = &t->manifest.records[i];
	const struct source_key *k = key;

	return !t->claimed[i] && r->source_size == k->size && r->source_mtime_ns == k->mtime_ns &&
	       strcmp(r->source, k->source) == 0;
}

static int table_index(struct pgo_store_table *t, uint32_t i)
{
	const struct pgo_record *r = &t->manifest.records[i];
	const struct source_key k = {r->source, r->source_size, r->source_mtime_ns};

	if (PGO_VEC_RESERVE(t->claimed, t->claimed_room, (size_t)i + 1) < 0)
		return -1;
	t->claimed[i] = false;
	return pgo_map_add(&t->by_source, source_hash(&k), i);
}

/* What pgo_store_replace() looks records up by. */
static int stored_index(struct pgo_store *s, uint32_t i)
{
	const char *name = s->stored.manifest.records[i].source;

	if (PGO_VEC_RESERVE(s->replaced, s->replaced_room, (size_t)i + 1) < 0)
		return -1;
	s->replaced[i] = false;
	return pgo_map_add(&s->by_name, pgo_hash(name, strlen(name)), i);
}

static bool may_be_replaced(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_store *s = ctx;

	return !s->stored.claimed[i] && !s->replaced[i] &&
	       strcmp(s->stored.manifest.records[i].source, key) == 0;
}

void pgo_store_replace(struct pgo_store *s, const char *name)
{
	uint64_t hash = pgo_hash(name, strlen(name));
	uint32_t i;

	while ((i = pgo_map_find(&s->by_name, hash, may_be_replaced, s, name)) != PGO_MAP_NONE)
		s->replaced[i] = true;
}

static void table_fini(struct pgo_store_table *t)
{
	pgo_manifest_fini(&t->manifest);
	pgo_map_fini(&t->by_source);
	pgo_free(t->claimed);
}

uint32_t pgo_store_claim(
	struct pgo_store_table *t, const char *source, uint64_t size, int64_t mtime_ns)
{
	const struct source_key k = {source, size, mtime_ns};
	uint32_t i = pgo_map_find(&t->by_source, source_hash(&k), source_eq, t, &k);

	if (i == PGO_MAP_NONE)
		return PGO_NONE;
	t->claimed[i] = true;
	return i;
}

/* As source_eq, but for records that were claimed before. */
static bool source_is(const void *ctx, uint32_t i, const void *key)
{
	const struct pgo_store_table *t = ctx;
	const struct pgo_record *r = &t->manifest.records[i];
	const struct source_key *k = key;

	return r->source_size == k->size && r->source_mtime_ns == k->mtime_ns &&
	       strcmp(r->source, k->source) == 0;
}

const struct pgo_record *pgo_store_peek(
	const struct pgo_store *s, const char *source, uint64_t size, int64_t mtime_ns)
{
	const struct source_key k = {source, size, mtime_ns};
	uint32_t i = pgo_map_find(&s->stored.by_source, source_hash(&k), source_is, &s->stored, &k);

	if (i != PGO_MAP_NONE)
		return &s->stored.manifest.records[i];
	i = pgo_map_find(&s->seen.by_source, source_hash(&k), source_is, &s->seen, &k);
	return i != PGO_MAP_NONE ? &s->seen.manifest.records[i] : NULL;
}

uint32_t pgo_store_find(const struct pgo_store *s, const char *digest)
{
	return pgo_map_find_key(&s->by_digest, s->stored.manifest.records,
		sizeof *s->stored.manifest.records, digest, 64);
}

/* Moves *r into the table and its indices. */
static int table_add(
	struct pgo_store *s, struct pgo_store_table *t, struct pgo_record *r, struct pgo_err *err)
{
	struct pgo_record *to = pgo_manifest_add(&t->manifest);
	uint32_t i = (uint32_t)(t->manifest.n_records - 1);

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = *r;
	memset(r, 0, sizeof *r);
	if (table_index(t, i) < 0 ||
		(t == &s->stored && (pgo_map_add_key(&s->by_digest, to->digest, 64, i) < 0 ||
					    stored_index(s, i) < 0)))
		return pgo_err_nomem(err);
	t->claimed[i] = true;
	return 0;
}

/* ---------------------------------------------------------------- paths and journal */

static char *path_in(const struct pgo_store *s, const char *name)
{
	return pgo_asprintf("%s/%s", s->dir, name);
}

char *pgo_store_temp(struct pgo_store *s)
{
	return pgo_asprintf("%s/.tmp/%" PRIu64, s->dir, s->n_temp++);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* One write a line: a kill cannot mix two, and a torn last one is seen by its missing newline. */
static int journal(struct pgo_store *s, const struct pgo_record *r, struct pgo_err *err)
{
	struct pgo_buf line;
	int rc;

	pgo_buf_init(&line, MAX_LINE);
	pgo_record_line(r, &line);
	rc = pgo_buf_check(&line, "a record of the manifest", err);
	if (rc == 0 && write_all(s->journal, line.data, line.len) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s/.journal.jsonl cannot be written", s->dir);
	pgo_buf_fini(&line);
	return rc;
}

int pgo_store_put(struct pgo_store *s, const char *temp, struct pgo_record *r, struct pgo_err *err)
{
	char *path = pgo_object_path(s->dir, r->digest);
	char *slash = path != NULL ? strrchr(path, '/') : NULL;
	int rc;

	if (path == NULL)
		return pgo_err_nomem(err);
	*slash = '\0';
	rc = mkdir(path, 0777) < 0 && errno != EEXIST
		     ? pgo_err_errno(err, PGO_EIO, "%s cannot be created", path)
		     : 0;
	*slash = '/';
	/* First the line: a run that is killed in between did not have the object yet, and gets it
	 * again; after the rename it has it, and knows where from. */
	if (rc == 0)
		rc = journal(s, r, err);
	if (rc == 0 && rename(temp, path) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be renamed to %s", temp, path);
	if (rc == 0)
		rc = table_add(s, &s->stored, r, err);
	s->n_put++;
	pgo_free(path);
	return rc;
}

int pgo_store_note(struct pgo_store *s, struct pgo_record *r, struct pgo_err *err)
{
	int rc = journal(s, r, err);

	return rc == 0 ? table_add(s, &s->seen, r, err) : rc;
}

/* Takes *r (zeroed) as the record of stored object i. */
static int replace(struct pgo_store *s, uint32_t i, struct pgo_record *r, struct pgo_err *err)
{
	struct pgo_record *have = &s->stored.manifest.records[i];

	pgo_record_fini(have);
	*have = *r;
	memset(r, 0, sizeof *r);
	return table_index(&s->stored, i) < 0 || stored_index(s, i) < 0 ? pgo_err_nomem(err) : 0;
}

bool pgo_store_is_of(const struct pgo_store *s, uint32_t i, const struct pgo_record *r)
{
	const char *source = s->stored.manifest.records[i].source;

	if (s->replaced[i]) /* whoever has these bytes now keeps them from going */
		return true;
	return source[0] == '\0' || strcmp(source, r->source) == 0;
}

int pgo_store_refresh(struct pgo_store *s, uint32_t i, struct pgo_record *r, struct pgo_err *err)
{
	int rc = replace(s, i, r, err);

	if (rc < 0)
		return rc;
	s->stored.claimed[i] = true;
	s->replaced[i] = false;
	return journal(s, &s->stored.manifest.records[i], err);
}

/* ---------------------------------------------------------------- opening */

static int lock(struct pgo_store *s, struct pgo_err *err)
{
	char *path = path_in(s, ".lock");
	int rc = 0;

	if (path == NULL)
		return pgo_err_nomem(err);
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (s->lock < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be created", path);
	else if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		rc = errno == EWOULDBLOCK
			     ? pgo_err_set(err, PGO_EIO,
				       "another fetch is writing to %s; wait for it, or name "
				       "another directory",
				       s->dir)
			     : pgo_err_errno(err, PGO_EIO, "%s cannot be locked", path);
	pgo_free(path);
	return rc;
}

/* Calls `fn` for the entries of a directory, hidden ones left out; a missing directory is empty. */
static int each_name(struct pgo_store *s, const char *dir,
	int (*fn)(struct pgo_store *s, const char *dir, const char *name, struct pgo_err *err),
	struct pgo_err *err)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int rc = 0;

	if (d == NULL)
		return errno == ENOENT ? 0 : pgo_err_errno(err, PGO_EIO, "%s cannot be read", dir);
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			rc = fn(s, dir, e->d_name, err);
	closedir(d);
	return rc;
}

static int remove_temp(struct pgo_store *s, const char *dir, const char *name, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", dir, name);

	(void)s;
	if (path == NULL)
		return pgo_err_nomem(err);
	unlink(path);
	pgo_free(path);
	return 0;
}

static int make_dirs(struct pgo_store *s, struct pgo_err *err)
{
	char *objects = path_in(s, "objects"), *temp = path_in(s, ".tmp");
	int rc = objects != NULL && temp != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0)
		rc = pgo_mkdirs(objects, err);
	if (rc == 0)
		rc = pgo_mkdirs(temp, err);
	if (rc == 0)
		rc = each_name(s, temp, remove_temp, err);
	pgo_file_sweep(s->dir, NULL);
	pgo_free(objects);
	pgo_free(temp);
	return rc;
}

/* Lines of the journal go where they belong: the first with a digest is the stored object, a later
 * one from the same source (or from the first source of an adopted one) is news of it, others are
 * further places with the same bytes. */
static int sort_in_journal(struct pgo_store *s, struct pgo_manifest *from, struct pgo_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < from->n_records && rc == 0; i++) {
		struct pgo_record *r = &from->records[i];
		uint32_t have = r->digest[0] != '\0' ? pgo_store_find(s, r->digest) : PGO_NONE;
		struct pgo_store_table *t = &s->seen;

		if (have != PGO_NONE && pgo_store_is_of(s, have, r)) {
			rc = replace(s, have, r, err);
			continue;
		}
		if (r->digest[0] != '\0' && have == PGO_NONE)
			t = &s->stored;
		rc = table_add(s, t, r, err);
		if (rc == 0)
			t->claimed[t->manifest.n_records - 1] = false;
	}
	return rc;
}

static int load_table(
	struct pgo_store *s, struct pgo_store_table *t, const char *name, struct pgo_err *err)
{
	char *path = path_in(s, name);
	int rc = path != NULL ? pgo_manifest_load(&t->manifest, path, err) : pgo_err_nomem(err);

	pgo_free(path);
	for (size_t i = 0; i < t->manifest.n_records && rc == 0; i++) {
		const struct pgo_record *r = &t->manifest.records[i];

		if (table_index(t, (uint32_t)i) < 0 ||
			(t == &s->stored &&
				(pgo_map_add_key(&s->by_digest, r->digest, 64, (uint32_t)i) < 0 ||
					stored_index(s, (uint32_t)i) < 0)))
			rc = pgo_err_nomem(err);
	}
	return rc;
}

static int load_journal(struct pgo_store *s, struct pgo_err *err)
{
	char *path = path_in(s, ".journal.jsonl");
	struct pgo_manifest lines;
	bool torn;
	struct stat st;
	int rc;

	if (path == NULL)
		return pgo_err_nomem(err);
	pgo_manifest_init(&lines);
	torn = stat(path, &st) == 0 && st.st_size > 0;
	rc = pgo_manifest_load_torn(&lines, path, err);
	if (rc == 0)
		rc = sort_in_journal(s, &lines, err);
	pgo_manifest_fini(&lines);
	if (rc == 0) {
		/* A torn last line must not be continued by the next one. */
		s->journal = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (s->journal < 0)
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be created", path);
		else if (torn && write_all(s->journal, "\n", 1) < 0)
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be written", path);
	}
	pgo_free(path);
	return rc;
}

/* ---------------------------------------------------------------- repair */

static bool digest_holds(const char *path, const char *digest)
{
	char have[65];

	return pgo_sha256_file(path, have, NULL) == 0 && strcmp(have, digest) == 0;
}

/* Removes the records whose object is gone; of what only the journal knows, and where the disk may
 * not have got everything, also those whose object is damaged. */
static int drop_lost(struct pgo_store *s, bool doubt, struct pgo_err *err)
{
	struct pgo_manifest *m = &s->stored.manifest;
	size_t n = 0;

	for (size_t i = 0; i < m->n_records; i++) {
		struct pgo_record *r = &m->records[i];
		char *path = pgo_object_path(s->dir, r->digest);
		bool there, good;
		struct stat st;

		if (path == NULL)
			return pgo_err_nomem(err);
		there = stat(path, &st) == 0;
		good = there && (uint64_t)st.st_size == r->bytes &&
		       ((i < s->n_committed && !doubt) || digest_holds(path, r->digest));
		if (!good) {
			/* One that was about to be stored when its run was killed is no loss. */
			if (there || i < s->n_committed)
				pgo_warn("%s is missing or damaged; it is fetched again", path);
			unlink(path);
			pgo_record_fini(r);
		} else {
			struct pgo_record keep = *r;

			memset(r, 0, sizeof *r);
			m->records[n++] = keep;
		}
		pgo_free(path);
	}
	if (n == m->n_records)
		return 0;
	m->n_records = n;
	pgo_map_fini(&s->by_digest);
	pgo_map_fini(&s->by_name);
	pgo_map_fini(&s->stored.by_source);
	for (size_t i = 0; i < n; i++)
		if (table_index(&s->stored, (uint32_t)i) < 0 || stored_index(s, (uint32_t)i) < 0 ||
			pgo_map_add_key(&s->by_digest, m->records[i].digest, 64, (uint32_t)i) < 0)
			return pgo_err_nomem(err);
	return 0;
}

static int adopt(struct pgo_store *s, const char *dir, const char *name, struct pgo_err *err)
{
	struct pgo_err why = PGO_ERR_INIT;
	struct pgo_record r = {0};
	bool profile = false;
	struct stat st;
	char *path;
	int rc = 0;

	if (strlen(name) != 64 || pgo_store_find(s, name) != PGO_NONE)
		return 0;
	path = pgo_asprintf("%s/%s", dir, name);
	if (path == NULL)
		return pgo_err_nomem(err);
	memcpy(r.digest, name, 65);
	if (digest_holds(path, name) && stat(path, &st) == 0)
		rc = pgo_examine(path, &r, NULL, &profile, &why);
	if (rc == PGO_ENOMEM) {
		pgo_err_nomem(err);
	} else if (rc < 0 || !profile) {
		/* Nothing of ours: what we wrote was examined before. */
		pgo_warn("%s is no whole profile, removing it", path);
		unlink(path);
		rc = 0;
	} else {
		r.bytes = (uint64_t)st.st_size;
		rc = pgo_record_set(&r.source, "", err);
		if (rc == 0)
			rc = journal(s, &r, err);
		if (rc == 0)
			rc = table_add(s, &s->stored, &r, err);
		if (rc == 0) {
			s->stored.claimed[s->stored.manifest.n_records - 1] = false;
			s->n_adopted++;
		}
	}
	pgo_record_fini(&r);
	pgo_free(path);
	return rc;
}

static int adopt_below(struct pgo_store *s, const char *dir, const char *name, struct pgo_err *err)
{
	char *path = pgo_asprintf("%s/%s", dir, name);
	int rc = path != NULL ? each_name(s, path, adopt, err) : pgo_err_nomem(err);

	pgo_free(path);
	return rc;
}

static int repair(struct pgo_store *s, struct pgo_err *err)
{
	char *objects = path_in(s, "objects");
	int doubt = pgo_durable_doubt(s->dir, s->lock, err);
	int rc = doubt;

	if (rc >= 0)
		rc = objects != NULL ? drop_lost(s, doubt == 1, err) : pgo_err_nomem(err);
	if (rc == 0 && doubt == 1)
		pgo_durable_settle(s->dir);
	if (rc == 0)
		rc = each_name(s, objects, adopt_below, err);
	pgo_free(objects);
	if (s->n_adopted != 0)
		pgo_note("%" PRIu64 " objects of an interrupted run were taken over", s->n_adopted);
	return rc;
}

struct pgo_store *pgo_store_open(const char *dir, struct pgo_err *err)
{
	struct pgo_store *s = pgo_calloc(1, sizeof *s);
	int rc;

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	s->lock = s->journal = -1;
	s->dir = pgo_strdup(dir);
	rc = s->dir != NULL ? pgo_mkdirs(dir, err) : pgo_err_nomem(err);
	if (rc == 0)
		rc = lock(s, err);
	if (rc == 0)
		rc = make_dirs(s, err);
	if (rc == 0)
		rc = load_table(s, &s->stored, "manifest.jsonl", err);
	s->n_committed = s->stored.manifest.n_records;
	if (rc == 0)
		rc = load_table(s, &s->seen, ".seen.jsonl", err);
	if (rc == 0)
		rc = load_journal(s, err);
	if (rc == 0)
		rc = repair(s, err);
	if (rc < 0) {
		pgo_store_close(s);
		return NULL;
	}
	return s;
}

void pgo_store_close(struct pgo_store *s)
{
	if (s == NULL)
		return;
	if (s->journal >= 0)
		close(s->journal);
	if (s->lock >= 0)
		close(s->lock);
	table_fini(&s->stored);
	table_fini(&s->seen);
	pgo_map_fini(&s->by_digest);
	pgo_map_fini(&s->by_name);
	pgo_free(s->replaced);
	pgo_free(s->dir);
	pgo_free(s);
}

/* ---------------------------------------------------------------- commit */

/* What is known of objects that the sources no longer have is of no use. */
static void forget_unmet(struct pgo_store_table *t)
{
	struct pgo_manifest *m = &t->manifest;
	size_t n = 0;

	for (size_t i = 0; i < m->n_records; i++) {
		struct pgo_record r = m->records[i];

		if (t->claimed[i])
			m->records[n++] = r;
		else
			pgo_record_fini(&r);
	}
	m->n_records = n;
}

/* Takes the records of replaced objects out of the manifest; `ret` are their paths. */
static int forget_replaced(struct pgo_store *s, struct pgo_paths *ret, struct pgo_err *err)
{
	struct pgo_manifest *m = &s->stored.manifest;
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < m->n_records; i++) {
		struct pgo_record r = m->records[i];
		char *path = NULL;

		if (!s->replaced[i] || rc < 0) {
			m->records[n++] = r;
			continue;
		}
		path = pgo_object_path(s->dir, r.digest);
		rc = path != NULL ? pgo_paths_add(ret, path, err) : pgo_err_nomem(err);
		pgo_free(path);
		pgo_record_fini(&r);
	}
	m->n_records = n;
	return rc;
}

int pgo_store_commit(struct pgo_store *s, struct pgo_err *err)
{
	char *manifest = path_in(s, "manifest.jsonl"), *seen = path_in(s, ".seen.jsonl");
	char *journal_path = path_in(s, ".journal.jsonl");
	int rc = manifest != NULL && seen != NULL && journal_path != NULL ? 0 : pgo_err_nomem(err);
	struct pgo_paths old = {0};

	forget_unmet(&s->seen);
	if (rc == 0)
		rc = forget_replaced(s, &old, err);
	/* A line must never be more durable than what it describes, or not be believed. */
	if (rc == 0 && s->n_put != 0)
		rc = pgo_durable_promise(s->dir, s->lock, err);
	if (rc == 0)
		rc = pgo_manifest_save(&s->stored.manifest, manifest, err);
	if (rc == 0)
		rc = pgo_manifest_save(&s->seen.manifest, seen, err);
	if (rc == 0 && unlink(journal_path) < 0)
		rc = pgo_err_errno(err, PGO_EIO, "%s cannot be removed", journal_path);
	for (size_t i = 0; i < old.n && rc == 0; i++)
		unlink(old.path[i]);
	pgo_paths_free(&old);
	pgo_free(manifest);
	pgo_free(seen);
	pgo_free(journal_path);
	return rc;
}
