/* SPDX-License-Identifier: Apache-2.0 */
/* What a binary LLVM profile is written with: its names and contexts, numbered. */
#ifndef PGO_CONVERT_FMT_LLVM_TABLES_H
#define PGO_CONVERT_FMT_LLVM_TABLES_H

#include "convert/format.h"

/* A calling context, "[main:3 @ foo:1.2 @ bar]", taken apart. */
struct pgo_llvm_frame {
	uint32_t name, line, disc;
};

struct pgo_llvm_context {
	struct pgo_llvm_frame *frames; /* outermost first; the leaf's place is 0.0 */
	size_t n;
};

struct pgo_llvm_writer {
	struct pgo_fnprof *p; /* only its string table grows, by names that contexts hold */
	const struct pgo_format_options *o;
	bool md5;
	uint32_t *index; /* of the name table, by string id; 0 = not used, else index + 1 */
	size_t index_room;
	uint32_t *names; /* string ids in table order */
	size_t n_names, names_room;
	struct pgo_llvm_frame *frames; /* of all contexts */
	size_t n_frames, frames_room;
	struct pgo_llvm_context *contexts; /* by function */
	uint32_t *context_order;           /* functions in order of context */
	uint32_t *context_index;           /* by function: index in the context table */
};

/* Checks and numbers; borrows `p` and `o` until the end. */
int pgo_llvm_begin(struct pgo_llvm_writer *w, const struct pgo_fnprof *p,
	const struct pgo_format_options *o, struct pgo_err *err);
/* After a begin that failed, too. */
void pgo_llvm_end(struct pgo_llvm_writer *w, const struct pgo_fnprof *p);

#endif
