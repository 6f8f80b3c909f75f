/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers and writers of LLVM's sample profiles share; the bytes are drawn in
 * fmt_llvm_text.c and fmt_llvm_bin.c. */
#ifndef PGO_CONVERT_FMT_LLVM_H
#define PGO_CONVERT_FMT_LLVM_H

#include "convert/format.h"

#define PGO_LLVM_SHOULD_BE_INLINED 2 /* an attribute */

#define PGO_LLVM_MAGIC_RAW 0x5350524f463432ffu /* "SPROF42" and 0xff, as ULEB128 */
#define PGO_LLVM_MAGIC_EXT 0x5350524f46343204u
#define PGO_LLVM_VERSION 103

enum pgo_llvm_section {
	PGO_LLVM_SUMMARY = 1,
	PGO_LLVM_NAMES = 2,
	PGO_LLVM_SYMBOLS = 3,
	PGO_LLVM_OFFSETS = 4,
	PGO_LLVM_METADATA = 5,
	PGO_LLVM_CONTEXTS = 6,
	PGO_LLVM_FUNCTIONS = 32,
};

/* Flags of a section; from bit 32 on they differ by type. */
#define PGO_LLVM_COMPRESSED (1ull << 0)
#define PGO_LLVM_FLAT (1ull << 1)
#define PGO_LLVM_SUMMARY_PARTIAL (1ull << 32)
#define PGO_LLVM_SUMMARY_CONTEXTS (1ull << 33)
#define PGO_LLVM_SUMMARY_FS (1ull << 34)
#define PGO_LLVM_SUMMARY_PREINLINED (1ull << 36)
#define PGO_LLVM_NAMES_MD5 (1ull << 32)
#define PGO_LLVM_NAMES_FIXED (1ull << 33)
#define PGO_LLVM_NAMES_UNIQUE (1ull << 34)
#define PGO_LLVM_OFFSETS_ORDERED (1ull << 32)
#define PGO_LLVM_METADATA_PROBES (1ull << 32)
#define PGO_LLVM_METADATA_ATTRIBUTES (1ull << 33)

/* PGO_EEMPTY without any count, PGO_EMISMATCH for two records of one name or none. */
int pgo_llvm_check(const struct pgo_fnprof *p, struct pgo_err *err);
/* The `write` of the two binary formats. */
int pgo_llvm_write_raw(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err);
int pgo_llvm_write_ext(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err);

/*
 * Reads a binary profile into one that may hold others: equal records add up, counts are multiplied
 * by `weight`; the marks of the profile (context_sensitive ...) become those of the file.  After a
 * failure `p` holds a part of it: throw it away.
 */
int pgo_llvm_read_into(struct pgo_fnprof *p, const char *what, const void *data, size_t len,
	uint64_t weight, uint64_t *ret_functions, struct pgo_err *err) PGO_MUST_CHECK;

/* Are functions of that extbinary marked with checksums of their control flow? */
bool pgo_llvm_has_checksums(const void *data, size_t len);

/* First eight bytes, little-endian, of the MD5 (RFC 1321) of the text: how LLVM hashes a name. */
uint64_t pgo_llvm_hash_name(const char *s, size_t len);

#endif
