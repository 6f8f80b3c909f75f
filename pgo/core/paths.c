/* SPDX-License-Identifier: Apache-2.0 */
/* The half of file.h that deals in names: listing, making directories. */
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool pgo_path_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

const char *pgo_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int pgo_mkdirs(const char *path, struct pgo_err *err)
{
	char *part = pgo_strdup(path);
	struct stat st;
	int r = 0;

	if (part == NULL)
		return pgo_err_nomem(err);
	for (char *p = part; r == 0 && *p != '\0';) {
		char saved;

		p += strspn(p, "/");
		p += strcspn(p, "/");
		saved = *p;
		*p = '\0';
		/* EEXIST is judged at the end; a directory that cannot be written may exist. */
		if (mkdir(part, 0777) < 0 && errno != EEXIST) {
			int why = errno;

			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode)) {
				errno = why;
				r = pgo_err_errno(
					err, PGO_EIO, "%s: the directory cannot be made", part);
			}
		}
		*p = saved;
	}
	if (r == 0 && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
		r = pgo_err_set(err, PGO_EIO,
			"%s: is in the way: it is not a directory; remove it or name another "
			"place",
			path);
	pgo_free(part);
	return r;
}

/* ---------------------------------------------------------------- what killed writers left */

#define RANDOM_PART 6

/* ".BASE.XXXXXX.tmp", as pgo_outfile_open() makes them. */
static bool is_left_of(const char *name, const char *base)
{
	size_t len = strlen(name), stem = base != NULL ? strlen(base) : 0;
	size_t tail = 1 + RANDOM_PART + strlen(".tmp");

	if (name[0] != '.' || len < 1 + tail + (base == NULL) ||
		strcmp(name + len - 4, ".tmp") != 0 || name[len - tail] != '.')
		return false;
	for (size_t i = len - tail + 1; i < len - 4; i++)
		if (!((name[i] >= '0' && name[i] <= '9') || (name[i] >= 'A' && name[i] <= 'Z') ||
			    (name[i] >= 'a' && name[i] <= 'z')))
			return false;
	return base == NULL || (len == 1 + stem + tail && memcmp(name + 1, base, stem) == 0);
}

void pgo_file_sweep(const char *dir, const char *base)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (is_left_of(e->d_name, base))
			unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
}

/* ---------------------------------------------------------------- listing */

int pgo_paths_add(struct pgo_paths *p, const char *path, struct pgo_err *err)
{
	char *copy = pgo_strdup(path);
	char **slot = copy != NULL ? PGO_VEC_PUSH(p->path, p->n, p->room) : NULL;

	if (slot == NULL) {
		pgo_free(copy);
		return pgo_err_nomem(err);
	}
	*slot = copy;
	return 0;
}

void pgo_paths_free(struct pgo_paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		pgo_free(p->path[i]);
	pgo_free(p->path);
	memset(p, 0, sizeof *p);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct pgo_paths *p)
{
	if (p->n != 0)
		qsort(p->path, p->n, sizeof *p->path, by_bytes);
}

struct dir_id {
	uint64_t dev, ino;
};

/* A walk in progress: each directory is entered once, so links cannot make a loop. */
struct walk {
	struct pgo_paths *found;
	struct dir_id *seen;
	size_t n_seen, seen_room;
	struct pgo_map seen_map;
};

/* 1 the first time, 0 later, or PGO_ENOMEM. */
static int enter(struct walk *w, const struct stat *st, struct pgo_err *err)
{
	struct dir_id id = {st->st_dev, st->st_ino};
	struct dir_id *slot;

	if (pgo_map_find_key(&w->seen_map, w->seen, sizeof id, &id, sizeof id) != PGO_MAP_NONE)
		return 0;
	slot = PGO_VEC_PUSH(w->seen, w->n_seen, w->seen_room);
	if (slot == NULL ||
		pgo_map_add_key(&w->seen_map, &id, sizeof id, (uint32_t)(w->n_seen - 1)) < 0)
		return pgo_err_nomem(err);
	*slot = id;
	return 1;
}

/* Names of a directory, hidden ones left out, sorted, with the directory in front. */
static int names_in(const char *dir, struct pgo_paths *ret, struct pgo_err *err)
{
	size_t len = strlen(dir);
	const char *slash = len != 0 && dir[len - 1] == '/' ? "" : "/";
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (d == NULL)
		return pgo_err_errno(err, PGO_EIO, "%s: the directory cannot be read", dir);
	while (r == 0 && (errno = 0, e = readdir(d)) != NULL) {
		char *path;

		if (e->d_name[0] == '.')
			continue;
		path = pgo_asprintf("%s%s%s", dir, slash, e->d_name);
		r = path != NULL ? pgo_paths_add(ret, path, err) : pgo_err_nomem(err);
		pgo_free(path);
	}
	if (r == 0 && errno != 0)
		r = pgo_err_errno(err, PGO_EIO, "%s: the directory cannot be read", dir);
	closedir(d);
	sort(ret);
	return r;
}

static int walk_dir(struct walk *w, const char *dir, struct pgo_err *err)
{
	struct pgo_paths names = {0};
	struct stat st;
	int r;

	r = names_in(dir, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		if (stat(names.path[i], &st) < 0)
			continue; /* a dangling link, or just removed */
		if (S_ISREG(st.st_mode)) {
			r = pgo_paths_add(w->found, names.path[i], err);
			continue;
		}
		if (!S_ISDIR(st.st_mode) || (r = enter(w, &st, err)) <= 0)
			continue;
		r = walk_dir(w, names.path[i], err);
		if (r == PGO_EIO) {
			pgo_warn("%s, skipping", err != NULL ? err->msg : names.path[i]);
			pgo_err_clear(err);
			r = 0;
		}
	}
	pgo_paths_free(&names);
	return r;
}

static int list_one(struct walk *w, const char *path, struct pgo_err *err)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return pgo_err_errno(err, PGO_EIO, "%s: cannot be found", path);
	if (!S_ISDIR(st.st_mode))
		return pgo_paths_add(w->found, path, err);
	r = enter(w, &st, err);
	return r <= 0 ? r : walk_dir(w, path, err);
}

static int list_glob(struct walk *w, const char *pattern, struct pgo_err *err)
{
	glob_t g;
	int r = glob(pattern, 0, NULL, &g);

	if (r == GLOB_NOMATCH)
		return pgo_err_set(err, PGO_ENOTFOUND, "%s: no file matches", pattern);
	if (r != 0)
		return r == GLOB_NOSPACE
			       ? pgo_err_nomem(err)
			       : pgo_err_errno(err, PGO_EIO, "%s: cannot be searched", pattern);
	for (size_t i = 0; r == 0 && i < g.gl_pathc; i++)
		r = list_one(w, g.gl_pathv[i], err);
	globfree(&g);
	return r;
}

int pgo_paths_list(const char *dir_or_glob, struct pgo_paths *ret, struct pgo_err *err)
{
	struct pgo_paths found = {0};
	struct walk w = {.found = &found};
	int r;

	/* A name that exists is meant as it is, even with brackets in it. */
	if (!pgo_path_exists(dir_or_glob) && strpbrk(dir_or_glob, "*?[") != NULL)
		r = list_glob(&w, dir_or_glob, err);
	else
		r = list_one(&w, dir_or_glob, err);
	pgo_map_fini(&w.seen_map);
	pgo_free(w.seen);
	if (r < 0) {
		pgo_paths_free(&found);
		return r;
	}
	sort(&found);
	*ret = found;
	return 0;
}
