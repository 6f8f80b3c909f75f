/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came from where: one record per stored profile (the raw layout's manifest), and labels that
 * travel with a profile.
 *
 * The raw layout is a directory:
 *	objects/ab/abcdef...   a profile's bytes exactly as the store gave them, under their SHA-256
 *	manifest.jsonl         one JSON object a line for each of them, sorted by (time, digest)
 * Both appear by rename.  A line:
 *	{"v":1,"digest":"abcdef...","kind":"pprof","source":"profiles/web-3/cpu.pb.gz",
 *	 "host":"web-3","service":"shop","version":"1.2","time_ns":...,"duration_ns":...,
 *	 "bytes":...,"source_size":...,"source_mtime_ns":...,"labels":[["zone","a"]],
 *	 "build_ids":["..."],"sample_types":["cpu/nanoseconds"]}
 * Every line carries the schema version, so that lines may be cut out, joined and appended to.
 */
#ifndef PGO_CORE_MANIFEST_H
#define PGO_CORE_MANIFEST_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stddef.h>
#include <stdint.h>

#define PGO_MANIFEST_VERSION 1

struct pgo_kv {
	char *key, *value;
};

struct pgo_record {
	char digest[65]; /* SHA-256 of the object's bytes; "" where it is only known, not stored */
	char *kind;      /* "pprof", "perf.data", "brstack", "gperftools", "otlp" */
	char *source;    /* where it was: a path relative to the store's root, or a URL without
			    credentials */
	char *host, *service, *version; /* "" if unknown */
	int64_t time_ns, duration_ns;   /* of the profile; 0 if unknown */
	uint64_t bytes;                 /* size of the object */
	uint64_t source_size; /* size and time of change at the source: what an unchanged listing
				 shows */
	int64_t source_mtime_ns;
	struct pgo_kv *labels; /* others, sorted by key */
	char **build_ids;      /* sorted */
	char **sample_types;   /* "cpu/nanoseconds", in profile order */
	size_t n_labels, n_build_ids, n_sample_types, labels_room, build_ids_room,
		sample_types_room;
};

struct pgo_manifest {
	struct pgo_record *records; /* sorted by (time, digest) after pgo_manifest_sort */
	size_t n_records, records_room;
};

void pgo_manifest_init(struct pgo_manifest *m);
void pgo_manifest_fini(struct pgo_manifest *m);
/* Fields are zero; strings are set with pgo_record_set (copies). Index-stable until the next add.
 * NULL = out of memory. */
struct pgo_record *pgo_manifest_add(struct pgo_manifest *m);
/* For a record outside of a manifest: frees what it holds and zeroes it. */
void pgo_record_fini(struct pgo_record *r);
int pgo_record_set(char **field, const char *value, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_record_label(struct pgo_record *r, const char *key, const char *value,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Appends a copy of `text` to one of the record's lists. */
int pgo_record_list_add(char ***list, size_t *n, size_t *room, const char *text,
	struct pgo_err *err) PGO_MUST_CHECK;
const char *pgo_record_get_label(const struct pgo_record *r,
	const char *key); /* also "host", "service", "version"; NULL if absent */
void pgo_manifest_sort(struct pgo_manifest *m);
/* The record with that digest, or NULL; looks at one after the other. */
struct pgo_record *pgo_manifest_find(const struct pgo_manifest *m, const char *digest);

/* One record as a line with its newline. */
void pgo_record_line(const struct pgo_record *r, struct pgo_buf *out);
/* DIR/objects/ab/abcdef...: gives a string (pgo_free), NULL when out of memory. */
char *pgo_object_path(const char *dir, const char *digest);

/* A missing file is an empty manifest.  A damaged line is PGO_EFORMAT with its number; a newer
 * schema is refused by version. */
int pgo_manifest_load(struct pgo_manifest *m, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
/* The same for a file that lines were appended to when the process was killed: a last line without
 * its newline is left out. */
int pgo_manifest_load_torn(
	struct pgo_manifest *m, const char *path, struct pgo_err *err) PGO_MUST_CHECK;
/* Sorts, and writes atomically. */
int pgo_manifest_save(struct pgo_manifest *m, const char *path, struct pgo_err *err) PGO_MUST_CHECK;

#endif
