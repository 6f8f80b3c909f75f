/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that take their places, and links that are switched. */
#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/state.h"
#include "pgo/state_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OPEN 16

void pgo_state_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

/* ---- directories */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)at;
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

int pgo_state_remove(const char *dir, struct pgo_err *err)
{
	struct stat st;

	if (lstat(dir, &st) < 0 && errno == ENOENT)
		return 0;
	if (nftw(dir, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS) != 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be removed", dir);
	return 0;
}

char *pgo_state_candidate(struct pgo_state *s, struct pgo_err *err)
{
	char *dir = pgo_asprintf("%s/candidate.XXXXXX", s->dir);

	if (dir == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) < 0) {
		pgo_err_errno(err, PGO_EIO, "%s: no directory can be made in it", s->dir);
		pgo_free(dir);
		return NULL;
	}
	return dir;
}

static bool entry_intact(const char *dir)
{
	const struct pgo_state_entry e = {.dir = (char *)(uintptr_t)dir};
	struct pgo_jval *manifest = pgo_state_doc(&e, "manifest.json", NULL);
	bool intact = manifest != NULL && pgo_state_intact(dir, manifest);

	pgo_jdoc_free(manifest);
	return intact;
}

/* In one step where the kernel has it, so that nobody sees the place empty. */
static int exchange(const char *candidate, const char *place)
{
	char *aside;
	int rc;

	if (renameat2(AT_FDCWD, candidate, AT_FDCWD, place, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	aside = pgo_asprintf("%s.old", candidate);
	rc = aside != NULL && rename(place, aside) == 0 ? rename(candidate, place) : -1;
	if (rc == 0)
		rc = rename(aside, candidate);
	pgo_free(aside);
	return rc;
}

static int take_place(const char *candidate, const char *place, bool keep, struct pgo_err *err)
{
	pgo_state_sync_dir(candidate);
	if (rename(candidate, place) == 0)
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be renamed to %s", candidate, place);
	if (!(keep && entry_intact(place)) && exchange(candidate, place) < 0)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be replaced", place);
	return pgo_state_remove(candidate, err);
}

int pgo_state_adopt(struct pgo_state *s, const char *candidate, bool quarantined, const char *id,
	struct pgo_err *err)
{
	char *place = pgo_state_path(s, quarantined, id, NULL);
	int rc = place != NULL ? take_place(candidate, place, !quarantined, err)
			       : pgo_err_nomem(err);

	if (rc == 0)
		pgo_state_sync_dir(quarantined ? s->quarantine : s->published);
	pgo_free(place);
	return rc;
}

int pgo_state_move(struct pgo_state *s, const char *id, bool to_quarantine, struct pgo_err *err)
{
	char *from = pgo_state_path(s, !to_quarantine, id, NULL);
	char *to = pgo_state_path(s, to_quarantine, id, NULL);
	int rc = from != NULL && to != NULL ? 0 : pgo_err_nomem(err);

	if (rc == 0)
		rc = take_place(from, to, true, err);
	if (rc == 0) {
		pgo_state_sync_dir(s->published);
		pgo_state_sync_dir(s->quarantine);
	}
	pgo_free(from);
	pgo_free(to);
	return rc;
}

/* ---- links */

static int point(const struct pgo_state *s, const char *link, const char *id, struct pgo_err *err)
{
	char *temp = pgo_asprintf("%s/.pointer.%ld", s->dir, (long)getpid());
	char *to = pgo_asprintf("published/%s", id);
	int rc = 0;

	if (temp == NULL || to == NULL) {
		rc = pgo_err_nomem(err);
	} else {
		unlink(temp);
		if (symlink(to, temp) < 0 || rename(temp, link) < 0) {
			rc = pgo_err_errno(err, PGO_EIO, "%s cannot be pointed to %s", link, id);
			unlink(temp);
		} else {
			pgo_state_sync_dir(s->dir);
		}
	}
	pgo_free(temp);
	pgo_free(to);
	return rc;
}

static int unlink_pointer(const struct pgo_state *s, const char *link, struct pgo_err *err)
{
	if (unlink(link) < 0 && errno != ENOENT)
		return pgo_err_errno(err, PGO_EIO, "%s cannot be removed", link);
	pgo_state_sync_dir(s->dir);
	return 0;
}

int pgo_state_switch(struct pgo_state *s, const char *id, struct pgo_err *err)
{
	return id[0] != '\0' ? point(s, s->last_good, id, err)
			     : unlink_pointer(s, s->last_good, err);
}

int pgo_state_pin(struct pgo_state *s, const char *id, struct pgo_err *err)
{
	return id != NULL ? point(s, s->pinned, id, err) : unlink_pointer(s, s->pinned, err);
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words != NULL && strcmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

int pgo_state_settle(struct pgo_state *s, const struct pgo_state_events *log, struct pgo_err *err)
{
	static const char *const persons[] = {
		"rolled_back", "rejected", "promoted", "pinned", "unpinned", NULL};
	const struct pgo_state_event *e = log->n != 0 ? &log->of[log->n - 1] : NULL;
	char now[PGO_STATE_ID_SIZE], *dir;
	int rc = 0;

	if (e == NULL || !is_one_of(e->decision, persons))
		return 0;
	if (strcmp(e->decision, "unpinned") == 0)
		return pgo_state_pin(s, NULL, err);
	if (e->last_good[0] != '\0' && !pgo_state_is_id(e->last_good))
		return 0;
	pgo_state_last_good(s, now);
	dir = pgo_state_path(s, false, e->last_good, NULL);
	if (dir == NULL)
		return pgo_err_nomem(err);
	/* What is no longer there cannot be used. */
	if (pgo_path_exists(dir)) {
		pgo_state_pinned(s, now);
		if (strcmp(e->decision, "pinned") == 0 && strcmp(now, e->last_good) != 0)
			rc = pgo_state_pin(s, e->last_good, err);
		pgo_state_last_good(s, now);
		if (rc == 0 && strcmp(now, e->last_good) != 0)
			rc = pgo_state_switch(s, e->last_good, err);
	}
	pgo_free(dir);
	return rc;
}
