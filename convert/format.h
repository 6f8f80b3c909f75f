/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output formats, a row each; reader and writer of a format live in one file (fmt_*.c) together
 * with a drawing of its bytes. Sample-profile formats (GCC .afdo, LLVM) carry a struct pgo_fnprof;
 * BOLT's .fdata carries a struct pgo_fdata (convert/fdata.h).
 */
#ifndef PGO_CONVERT_FORMAT_H
#define PGO_CONVERT_FORMAT_H

#include "convert/fnprof.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>

struct pgo_format_options {
	unsigned gcc_release; /* major version of the consuming gcc: 5..; decides version and rules;
				 0 = newest */
	bool compress;        /* LLVM extbinary: zlib sections */
	bool md5;             /* LLVM extbinary: MD5 names */
};

struct pgo_format {
	const char *name; /* "gcc", "llvm-text", "llvm-binary", "llvm-extbinary" */
	const char *about;
	/* Could these first bytes (up to 4 KiB; the whole file if shorter) be this format? */
	bool (*probe)(const void *head, size_t len);
	/* Gives a profile. Truncation, wrong version, counts beyond the file: a sentence with the
	 * byte offset or line. `what` is the file's name. */
	struct pgo_fnprof *(*read)(
		const char *what, const void *data, size_t len, struct pgo_err *err);
	/* Appends the encoded profile. `p` must be sorted. PGO_EEMPTY if it has no function with a
	 * count. */
	int (*write)(const struct pgo_fnprof *p, const struct pgo_format_options *o,
		struct pgo_buf *out, struct pgo_err *err);
};

extern const struct pgo_format pgo_format_gcc, pgo_format_llvm_text, pgo_format_llvm_binary,
	pgo_format_llvm_extbinary;
extern const struct pgo_format *const pgo_formats[]; /* NULL-terminated */
const struct pgo_format *pgo_format_find(const char *name);
const struct pgo_format *pgo_format_probe(const void *head, size_t len);

/*
 * Rewrites a copy of the profile by the rules of one consumer before writing: names as GCC of that
 * release looks them up (cut at the first dot, or numbered clone suffixes only; .cold folded;
 * C2/D2), discriminators collapsed or kept, call sites keyed as that release keys them, heads at
 * least 1.  For LLVM: names cut as the compiler cuts them.
 */
struct pgo_fnprof *pgo_rules_gcc(
	const struct pgo_fnprof *p, unsigned gcc_release, struct pgo_err *err);
struct pgo_fnprof *pgo_rules_llvm(const struct pgo_fnprof *p, struct pgo_err *err);
/* The .afdo version word for a gcc release: 1 (5..11), 2 (12..15), 3 (16..). */
unsigned pgo_gcc_afdo_version(unsigned gcc_release);

#endif
