/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: reading within a limit, and writing so that a crash, a full disk or a second process never
 * leaves half a file under the real name.
 */
#ifndef PGO_CORE_FILE_H
#define PGO_CORE_FILE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The whole file into a buffer of at most `max` bytes ("-" is standard input).  Directories and
 * missing files are PGO_EIO.  `*ret` is made anew, whatever was in it (empty on failure): free it
 * with pgo_buf_fini(). */
int pgo_file_read(
	const char *path, size_t max, struct pgo_buf *ret, struct pgo_err *err) PGO_MUST_CHECK;

/*
 * Writes `path` as a whole: temporary file in the same directory, fsync, rename, fsync of the
 * directory.  On failure the old file is untouched and the temporary one is gone.  "-" writes to
 * standard output; device files and pipes (/dev/full, /dev/stdout) are written in place.  A
 * symbolic link stays: what it points to is replaced.  New files get mode 0644 less the umask,
 * replaced ones keep theirs.
 */
int pgo_file_write(
	const char *path, const void *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;

/* The same in pieces, for outputs that are streamed. */
struct pgo_outfile;
struct pgo_outfile *pgo_outfile_open(const char *path, struct pgo_err *err);
int pgo_outfile_write(
	struct pgo_outfile *f, const void *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;
/* Takes `f`: makes the file appear under its name, or fails and leaves the old one. */
int pgo_outfile_commit(struct pgo_outfile *f, struct pgo_err *err) PGO_MUST_CHECK;
/*
 * Several that belong together: all are on disk before the first takes its name, and the disk is
 * waited for once, not once for each.  Takes them and makes their places NULL.
 */
int pgo_outfiles_commit(struct pgo_outfile **files, size_t n, struct pgo_err *err) PGO_MUST_CHECK;
/* Takes `f`: throws the temporary file away.  NULL is fine. */
void pgo_outfile_abort(struct pgo_outfile *f);

/*
 * Removes temporary files that killed writers left in `dir`: those for the file `base`, or for any if
 * NULL.  Only for who holds the lock under which they are written; what cannot be removed stays.
 */
void pgo_file_sweep(const char *dir, const char *base);

/* mkdir -p. */
int pgo_mkdirs(const char *path, struct pgo_err *err) PGO_MUST_CHECK;
bool pgo_path_exists(const char *path);
/* The part after the last slash; borrowed from `path`. */
const char *pgo_path_base(const char *path);

/*
 * Every regular file below `dir` (or the file itself, or the matches of a glob pattern), sorted by
 * byte order of path.  Hidden files, `*.tmp` of our own and sockets are skipped; symbolic links are
 * followed once, loops are not.  Gives `*ret`: free with pgo_paths_free().
 */
struct pgo_paths {
	char **path;
	size_t n, room;
};
int pgo_paths_list(
	const char *dir_or_glob, struct pgo_paths *ret, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_paths_add(struct pgo_paths *p, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_paths_free(struct pgo_paths *p);

#endif
