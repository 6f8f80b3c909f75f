/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of reading a binary LLVM profile: tables and files (fmt_llvm_bin.c), functions and
 * what belongs to them (fmt_llvm_body.c). */
#ifndef PGO_CONVERT_FMT_LLVM_READ_H
#define PGO_CONVERT_FMT_LLVM_READ_H

#include "convert/fmt_cursor.h"
#include "convert/fmt_llvm.h"

struct pgo_llvm_start { /* of a function in its section: what the offset table should say */
	uint64_t offset, index;
};

struct pgo_llvm_reader {
	struct pgo_cursor *c; /* what is being read: the file, or a section's payload */
	struct pgo_fnprof *p;
	uint64_t weight; /* of the counts */
	uint32_t *names; /* string ids */
	size_t n_names;
	uint32_t *contexts; /* string ids of the bracketed texts */
	size_t n_contexts;
	bool in_contexts; /* functions are named by context */
	struct pgo_llvm_start *offsets;
	size_t n_offsets;
	bool have_offsets;
	uint64_t n_functions; /* read so far */
	struct pgo_llvm_start *starts;
	size_t n_starts, starts_room;
	struct pgo_fn_target *targets;
	size_t targets_room;
};

/* Failures are the cursor's: it keeps the first. */
void pgo_llvm_nomem(struct pgo_llvm_reader *r);
uint32_t pgo_llvm_intern(struct pgo_llvm_reader *r, const char *s, size_t len);
/* An index of the name table; gives a string, never the empty one. */
uint32_t pgo_llvm_read_name(struct pgo_llvm_reader *r, const char *thing);
uint32_t pgo_llvm_read_text(struct pgo_llvm_reader *r, const char *thing);
void pgo_llvm_check_offsets(struct pgo_llvm_reader *r);

/* These read to the cursor's end. */
void pgo_llvm_read_functions(struct pgo_llvm_reader *r);
void pgo_llvm_read_metadata(struct pgo_llvm_reader *r, uint64_t flags);
void pgo_llvm_read_symbols(struct pgo_llvm_reader *r);

#endif
