/* SPDX-License-Identifier: Apache-2.0 */
/* Functions, metadata and the symbol list of LLVM's binary profiles; drawn in fmt_llvm_bin.c. */
#include "convert/fmt_llvm_read.h"

#include "pgo/core/vec.h"

#include <inttypes.h>

/* ------------------------------------------------------------------ functions */

static void read_position(struct pgo_llvm_reader *r, struct pgo_fn *f)
{
	uint64_t line = pgo_cursor_uleb(r->c, "a position");
	uint64_t disc = pgo_cursor_uleb(r->c, "a position");
	uint64_t count = pgo_cursor_uleb(r->c, "a position");
	uint64_t n = pgo_cursor_uleb(r->c, "a position");
	struct pgo_fn_pos *x;

	if (!r->c->failed && (line > 0xffff || disc > UINT32_MAX))
		PGO_CURSOR_FAIL(
			r->c, "line offset %" PRIu64 ".%" PRIu64 " is out of range", line, disc);
	n = pgo_cursor_fits(r->c, n, 2, "call targets");
	if (r->c->failed)
		return;
	if (PGO_VEC_RESERVE(r->targets, r->targets_room, n) < 0) {
		pgo_llvm_nomem(r);
		return;
	}
	for (uint64_t i = 0; i < n && !r->c->failed; i++) {
		r->targets[i].name = pgo_llvm_read_name(r, "a call target");
		r->targets[i].count =
			pgo_sat_mul(pgo_cursor_uleb(r->c, "a call target"), r->weight);
	}
	if (r->c->failed)
		return;
	x = pgo_fn_position(r->p, f, (uint32_t)line, (uint32_t)disc);
	if (x == NULL || pgo_fn_targets_add(r->p, x, r->targets, (uint32_t)n) < 0)
		pgo_llvm_nomem(r);
	else
		x->count = pgo_sat_add(x->count, pgo_sat_mul(count, r->weight));
}

static void read_body(struct pgo_llvm_reader *r, struct pgo_fn *f);

static void read_call(struct pgo_llvm_reader *r, struct pgo_fn *f)
{
	uint64_t line = pgo_cursor_uleb(r->c, "a call site");
	uint64_t disc = pgo_cursor_uleb(r->c, "a call site");
	uint32_t name = pgo_llvm_read_name(r, "a call site");
	struct pgo_fn *callee;

	if (!r->c->failed && (line > 0xffff || disc > UINT32_MAX))
		PGO_CURSOR_FAIL(
			r->c, "line offset %" PRIu64 ".%" PRIu64 " is out of range", line, disc);
	if (!r->c->failed && f->depth >= PGO_FN_DEPTH_MAX)
		PGO_CURSOR_FAIL(r->c, "inlined functions nest more than %d deep", PGO_FN_DEPTH_MAX);
	if (r->c->failed)
		return;
	callee = pgo_fn_inlined(r->p, f, (uint32_t)line, (uint32_t)disc, name);
	if (callee == NULL)
		pgo_llvm_nomem(r);
	else
		read_body(r, callee);
}

/* What follows the name of a body. */
static void read_body(struct pgo_llvm_reader *r, struct pgo_fn *f)
{
	uint64_t total = pgo_cursor_uleb(r->c, "a function");
	uint64_t n = pgo_cursor_fits(r->c, pgo_cursor_uleb(r->c, "a function"), 4, "positions");

	f->total = pgo_sat_add(f->total, pgo_sat_mul(total, r->weight));
	if (!r->c->failed && (n > UINT32_MAX / 4 || pgo_fn_reserve(r->p, f, (uint32_t)n, 0) < 0))
		pgo_llvm_nomem(r);
	for (uint64_t i = 0; i < n && !r->c->failed; i++)
		read_position(r, f);
	n = pgo_cursor_fits(r->c, pgo_cursor_uleb(r->c, "a function"), 6, "call sites");
	for (uint64_t i = 0; i < n && !r->c->failed; i++)
		read_call(r, f);
}

static void read_function(struct pgo_llvm_reader *r, const uint8_t *section)
{
	uint64_t offset = (uint64_t)(r->c->at - section), index;
	uint64_t head = pgo_cursor_uleb(r->c, "a function");
	size_t n = r->in_contexts ? r->n_contexts : r->n_names;
	struct pgo_llvm_start *s;
	struct pgo_fn *f;
	uint32_t name;

	index = pgo_cursor_uleb(r->c, "a function");
	if (r->c->failed)
		return;
	if (index >= n) {
		PGO_CURSOR_FAIL(r->c, "%s %" PRIu64 " of %zu in a function",
			r->in_contexts ? "context" : "name", index, n);
		return;
	}
	name = r->in_contexts ? r->contexts[index] : r->names[index];
	if (name == 0) {
		PGO_CURSOR_FAIL(r->c, "a function without a name");
		return;
	}
	s = PGO_VEC_PUSH(r->starts, r->n_starts, r->starts_room);
	f = pgo_fnprof_fn(r->p, name);
	if (s == NULL || f == NULL) {
		pgo_llvm_nomem(r);
		return;
	}
	r->n_functions++;
	s->offset = offset;
	s->index = index;
	f->head = pgo_sat_add(f->head, pgo_sat_mul(head, r->weight));
	read_body(r, f);
}

void pgo_llvm_read_functions(struct pgo_llvm_reader *r)
{
	const uint8_t *section = r->c->at;

	r->n_starts = 0;
	while (!r->c->failed && pgo_cursor_left(r->c) != 0)
		read_function(r, section);
	pgo_llvm_check_offsets(r);
}

/* ------------------------------------------------------------------ metadata and symbols */

/* `f` may be NULL: marks of a call site without counts. */
static void read_marks(struct pgo_llvm_reader *r, struct pgo_fn *f, uint64_t flags, unsigned depth)
{
	uint64_t checksum = 0, attributes = 0, n;

	if (flags & PGO_LLVM_METADATA_PROBES)
		checksum = pgo_cursor_uleb(r->c, "metadata");
	if (flags & PGO_LLVM_METADATA_ATTRIBUTES)
		attributes = pgo_cursor_uleb(r->c, "metadata");
	if (!r->c->failed && attributes > UINT32_MAX)
		PGO_CURSOR_FAIL(r->c, "attributes wider than 32 bits");
	if (r->c->failed)
		return;
	if (f != NULL) {
		f->checksum = checksum;
		f->has_checksum = (flags & PGO_LLVM_METADATA_PROBES) != 0;
		f->attributes = (uint32_t)attributes;
	}
	if (r->in_contexts)
		return;
	n = pgo_cursor_fits(r->c, pgo_cursor_uleb(r->c, "metadata"), 4, "call sites");
	for (uint64_t i = 0; i < n && !r->c->failed; i++) {
		uint64_t line = pgo_cursor_uleb(r->c, "metadata");
		uint64_t disc = pgo_cursor_uleb(r->c, "metadata");
		uint32_t name = pgo_llvm_read_name(r, "metadata");
		struct pgo_fn *g = NULL;

		if (f != NULL && !r->c->failed)
			g = pgo_fn_inlined_find(f, (uint32_t)line, (uint32_t)disc, name);
		if (depth >= PGO_FN_DEPTH_MAX)
			PGO_CURSOR_FAIL(r->c, "metadata nests too deep");
		else if (!r->c->failed)
			read_marks(r, g, flags, depth + 1);
	}
}

void pgo_llvm_read_metadata(struct pgo_llvm_reader *r, uint64_t flags)
{
	while (!r->c->failed && pgo_cursor_left(r->c) != 0) {
		uint64_t i = pgo_cursor_uleb(r->c, "metadata");
		size_t n = r->in_contexts ? r->n_contexts : r->n_names;

		if (!r->c->failed && i >= n)
			PGO_CURSOR_FAIL(r->c, "metadata of function %" PRIu64 " of %zu", i, n);
		if (!r->c->failed)
			read_marks(r,
				pgo_fnprof_find(r->p,
					pgo_fnprof_str(r->p,
						r->in_contexts ? r->contexts[i] : r->names[i])),
				flags, 0);
	}
}

void pgo_llvm_read_symbols(struct pgo_llvm_reader *r)
{
	while (!r->c->failed && pgo_cursor_left(r->c) != 0) {
		uint32_t name = pgo_llvm_read_text(r, "the symbol list");

		if (!r->c->failed && pgo_fnprof_add_cold(r->p, name) < 0)
			pgo_llvm_nomem(r);
	}
}
