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
#include "convert/linkorder.h"
#include "convert/lookup.h"

/* In the order in which they are made, listed and fingerprinted. */
enum pgo_output_kind {
	PGO_OUTPUT_GCC,
	PGO_OUTPUT_CLANG,
	PGO_OUTPUT_BOLT,
	PGO_OUTPUT_BOLT_PREAGG,
	PGO_OUTPUT_PROPELLER,
	PGO_OUTPUT_PROPELLER_ORDER,
	PGO_OUTPUT_SYMBOL_ORDER,
	PGO_OUTPUT_CALL_GRAPH,
	PGO_OUTPUT_GO,
	PGO_OUTPUT_GO_PREPROFILE,
	PGO_N_OUTPUT_KINDS /* not a kind */
};

/* What is to be known of a kind; a row each in output.c. */
struct pgo_output;

struct pgo_output_type {
	const char *name;     /* "gcc": in manifests, and the key of pgo.conf */
	const char *option;   /* "--gcc" */
	const char *consumer; /* whose file it is, for people */
	const char *records;  /* what its records are: "functions" */
	int (*encode)(struct pgo_output *o, const struct pgo_convert *c, struct pgo_err *err);
	/* Where each binary has its own: the ending of files in a directory; NULL: one of all. */
	const char *ending;
};

struct pgo_output {
	enum pgo_output_kind kind;
	const char *path;    /* kept */
	size_t binary;       /* whose it is, where each has its own */
	const char *name;    /* what manifests call it; kept; the path unless set otherwise */
	const char *file;    /* its name in the directory of a result; kept; NULL = in none */
	const char *variant; /* PGO_OUTPUT_CLANG: the format by its full name; "" for others */
	struct pgo_format_options fo;
	const struct pgo_format *format; /* of sample profiles; NULL for the others */
	bool traces;                     /* PGO_OUTPUT_BOLT_PREAGG: records of LLVM 22 */
	unsigned version;                /* PGO_OUTPUT_PROPELLER: 0 or 1 */
	enum pgo_link_form form;         /* of orders */
	/* Results. */
	struct pgo_buf data;
	uint64_t records;         /* functions, edges ... */
	struct pgo_lookup lookup; /* of sample profiles */
};

struct pgo_outputs {
	struct pgo_output *of;
	size_t n, room;
	char **paths; /* made from patterns */
	size_t n_paths, paths_room;
};

/* What the user named. */
struct pgo_outputs_wanted {
	const char *path[PGO_N_OUTPUT_KINDS]; /* NULL or "" = not wanted */
	unsigned gcc_release;     /* 0 = ask the gcc on PATH (or the newest release we know, with a
				 warning) */
	const char *clang_format; /* NULL or "" = extbinary */
	unsigned bolt_release;    /* whose perf2bolt reads pre-aggregated records; 0 = the newest */
	unsigned propeller_version; /* 0 or 1 */
	const char *order_format;   /* NULL or "" = lld */
};

const struct pgo_output_type *pgo_output_type(enum pgo_output_kind kind);
const char *pgo_output_kind_name(enum pgo_output_kind kind); /* its type's name */
/* The names that --clang-format takes, for messages: "extbinary, text, ...". */
extern const char pgo_clang_formats[];
/* What such a name (NULL or "": the default) stands for; of the options it sets md5 and compress. */
int pgo_clang_format_find(const char *name, const struct pgo_format **ret_format,
	struct pgo_format_options *ret_options, struct pgo_err *err) PGO_MUST_CHECK;
/* Fills the list.  PGO_EUSAGE for an unknown format or an empty list. */
int pgo_outputs_init(struct pgo_outputs *o, const struct pgo_outputs_wanted *w,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_outputs_fini(struct pgo_outputs *o);
/* What the conversion must compute for them. */
bool pgo_outputs_want_fnprof(const struct pgo_outputs *o);
bool pgo_outputs_want_fdata(const struct pgo_outputs *o);
bool pgo_outputs_want_go(const struct pgo_outputs *o);
bool pgo_outputs_only_go(const struct pgo_outputs *o);
/*
 * Some outputs are of one binary (pgo_output_type.ending).  The path the user gave may hold %b (base
 * name of the binary) and %i (its build-id; %% is a %), or be a directory: then it means
 * DIRECTORY/%b and the ending.  PGO_EUSAGE if that does not tell the binaries at hand apart; `more`:
 * others may be found as profiles are read.
 */
int pgo_outputs_check(const struct pgo_outputs *o, const struct pgo_convert *c, bool more,
	struct pgo_err *err) PGO_MUST_CHECK;
/* After the run, once: one of them for each binary that has any of it.  pgo_outputs_encode() calls
 * it. */
int pgo_outputs_each(
	struct pgo_outputs *o, const struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
/* Encodes and reads back; nothing is written. */
int pgo_outputs_encode(
	struct pgo_outputs *o, const struct pgo_convert *c, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_outputs_write(const struct pgo_outputs *o, struct pgo_err *err) PGO_MUST_CHECK;
/* SHA-256 of its bytes. */
void pgo_output_digest(const struct pgo_output *o, char ret[65]);
/* An array of {kind, path, file, sha256, bytes, records}. */
void pgo_outputs_json(const struct pgo_outputs *o, struct pgo_json *j);
/* The major version that `gcc -dumpversion` prints; 0 if there is none. */
unsigned pgo_gcc_release_on_path(void);

#endif
