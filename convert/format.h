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
	/*
	 * Appends the encoded profile as it is: apply the consumer's rules (below) first.  `p` must
	 * be sorted.  PGO_EEMPTY if it has no function with a count; PGO_EMISMATCH for what the
	 * format cannot hold or the consumer would choke on: two records of one name, an unusable
	 * name, a discriminator beyond 16 bits for GCC.
	 */
	int (*write)(const struct pgo_fnprof *p, const struct pgo_format_options *o,
		struct pgo_buf *out, struct pgo_err *err);
};

extern const struct pgo_format pgo_format_gcc, pgo_format_llvm_text, pgo_format_llvm_binary,
	pgo_format_llvm_extbinary;
extern const struct pgo_format *const pgo_formats[]; /* NULL-terminated */
const struct pgo_format *pgo_format_find(const char *name);
const struct pgo_format *pgo_format_probe(const void *head, size_t len);

/*
 * Rewrites a copy of the profile by the rules of one consumer before writing, and sorts it.
 * Applying rules twice changes nothing.  What they do:
 *
 * GCC, every release: .cold parts fold into their function, and so does what a function seems to
 * inline of itself at its own first line (a part that gcc had split off); the "unified" constructors and
 * destructors of DWARF (C4, D4) become the bodies the compiler emits (C2, D2); heads are at least 1
 * (0 makes GCC distrust or drop the record); records without any count go; time stamps stay only if
 * every function has one; totals become the sums of the positions.
 *	5..15	names are cut at the first dot and what becomes equal is summed, because GCC cuts
 *		too and lets the last of equal records win
 *	5..12	GCC looks up with discriminator 0: positions of one line become their maximum,
 *		inlined bodies of one callee on one line are merged the same way
 *	10, 11	no call targets: these read past the end of what they make of them, and crash or not
 *	13..15	position discriminators stay; inlined bodies move to discriminator 0, where the
 *		annotation looks, and are repeated under their own discriminator, where the early
 *		inliner's test of hotness looks
 *	16..	discriminators stay; numbered clones (.isra.N .constprop.N .part.N .cold.N
 *		.lto_priv.N) are summed into their function as GCC does itself; same-named
 *		functions of different files are kept apart as NAME.lto_priv.N with the file
 *		beside the name
 *
 * LLVM: names are cut at the first dot, as the compiler cuts them, except that those of
 * -funique-internal-linkage-names keep their ".__uniq.NUMBER"; C4/D4 as above; equal names are
 * summed.  Contexts and MD5 names stay as they are.
 */
struct pgo_fnprof *pgo_rules_gcc(
	const struct pgo_fnprof *p, unsigned gcc_release, struct pgo_err *err);
struct pgo_fnprof *pgo_rules_llvm(const struct pgo_fnprof *p, struct pgo_err *err);
/* The .afdo version word for a gcc release: 1 (5..11), 2 (12..15), 3 (16.., and 0 = newest). */
unsigned pgo_gcc_afdo_version(unsigned gcc_release);

#endif
