/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a finished conversion to files that can be trusted: encode by the rules of the consumer,
 * read back with our own reader, compare, and only when every output has passed write them, each
 * atomically.  Either all outputs are made or none is.
 */
#ifndef PGO_CONVERT_OUTPUT_H
#define PGO_CONVERT_OUTPUT_H

#include "convert/convert.h"
#include "convert/format.h"

enum pgo_output_kind { PGO_OUTPUT_GCC, PGO_OUTPUT_CLANG, PGO_OUTPUT_BOLT };

struct pgo_output {
	enum pgo_output_kind kind;
	const char *path;     /* kept */
	const char *name;     /* what manifests call it; kept; the path unless set otherwise */
	unsigned gcc_release; /* PGO_OUTPUT_GCC */
	const struct pgo_format *format; /* PGO_OUTPUT_CLANG */
	/* Results. */
	struct pgo_buf data;
	char digest[65];  /* SHA-256 of the file */
	uint64_t records; /* functions, or edges */
};

#define PGO_MAX_OUTPUTS 3
struct pgo_outputs {
	struct pgo_output of[PGO_MAX_OUTPUTS];
	size_t n;
};

const char *pgo_output_kind_name(enum pgo_output_kind kind); /* "gcc", "clang", "bolt" */
/*
 * Fills the list from what the user named; NULL or "" = not wanted.  `gcc_release` 0 = ask the gcc
 * on PATH (or the newest release we know, with a warning).  `clang_format` NULL = extbinary.
 * PGO_EUSAGE for an unknown format or an empty list.
 */
int pgo_outputs_init(struct pgo_outputs *o, const char *gcc, unsigned gcc_release,
	const char *clang, const char *clang_format, const char *bolt,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_outputs_fini(struct pgo_outputs *o);
/* What the conversion must compute for them. */
bool pgo_outputs_want_fnprof(const struct pgo_outputs *o);
bool pgo_outputs_want_fdata(const struct pgo_outputs *o);
/* Encodes and reads back; nothing is written. */
int pgo_outputs_encode(
	struct pgo_outputs *o, const struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_outputs_write(const struct pgo_outputs *o, struct pgo_err *err) PGO_MUST_CHECK;
/* An array of {kind, path, sha256, bytes, records}. */
void pgo_outputs_json(const struct pgo_outputs *o, struct pgo_json *j);
/* The major version that `gcc -dumpversion` prints; 0 if there is none. */
unsigned pgo_gcc_release_on_path(void);

#endif
