/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A release: what `pgo publish` put into a store, as one small document.
 *
 *	{"schema":1,"kind":"release","target":"app","id":"20261120-0123456789ab",
 *	 "time":"2026-11-20T12:00:00Z","ttl_s":3628800,"tool":"pgo 0.1.0",
 *	 "files":[{"name":"app.prof","kind":"clang","sha256":"...","bytes":123}, ...]}
 *
 * In a store, below the place that is named for publishing and the target's name:
 *	objects/SHA256		each file, and each release
 *	index.json		{"schema":1,"kind":"index","release":SHA256,"signature":TEXT or null},
 *				written last: who reads it sees the old release or the new one
 * In a directory that `pgo get` fills: the files under their names, and release.json, written last.
 *
 * `time` is when `pgo run` published the result, or found it to be as good as a newer one; not when it
 * was put there, so that the same state is the same release.  File names are plain ones: no slash, no leading dot.
 */
#ifndef PGO_RELEASE_H
#define PGO_RELEASE_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

#define PGO_RELEASE_NAME "release.json"

struct pgo_release_file {
	char *name, *kind; /* kind: that of an output, or "manifest", "gates", "merged" */
	char sha256[65];
	uint64_t bytes;
};

struct pgo_release {
	char *target, *id, *tool;
	int64_t time_ns, ttl_ns;        /* 0 = unknown */
	struct pgo_release_file *files; /* by name */
	size_t n_files, files_room;
};

/* Fills *ret (pgo_release_fini, also after a failure) from a document; `name` is for messages. */
int pgo_release_parse(const char *name, const char *text, size_t len, struct pgo_release *ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* From DIR/release.json; PGO_EEMPTY if there is none. */
int pgo_release_load(const char *dir, struct pgo_release *ret, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_release_fini(struct pgo_release *r);
/* Adds a file of which name and kind are copied; NULL when out of memory. */
struct pgo_release_file *pgo_release_add(struct pgo_release *r, const char *name, const char *kind);
/* The first file of a kind, or NULL. */
const struct pgo_release_file *pgo_release_find(const struct pgo_release *r, const char *kind);
/* Sorts the files and writes the document: the same release gives the same bytes. */
void pgo_release_json(struct pgo_release *r, struct pgo_buf *out);

#endif
