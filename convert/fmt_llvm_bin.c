/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LLVM's binary sample profiles, as clang -fprofile-sample-use and llvm-profdata read them. Numbers
 * are ULEB128 unless marked; indices count from 0.
 *
 *	raw:       magic 0x..ff  103  summary  names  { function }* to the end of the file
 *
 *	ext:       magic 0x..04  103  u64le n  n x { u64le type, flags, offset, size }  payloads
 *	           1 summary  2 names  6 contexts  4 offsets  32 functions  3 symbols  5 metadata
 *	           compressed (flag bit 0): size, size of the zlib stream, the stream
 *	           rows are read in table order; one of size 0 is skipped, an unknown type too
 *
 *	summary:   total max max_head n_counts n_functions n  n x { cutoff min_count n_counts }
 *	names:     n  n x { text NUL }      MD5: n x number, or with the fixed flag n x u64le
 *	contexts:  n  n x { n_frames  n_frames x { name line disc } }     outermost first, leaf 0 0
 *	function:  head body                (with contexts its name is a context's index)
 *	body:      name total n_pos  n_pos x { line disc count n_targets  n_targets x { name count }
 *	           } n_calls  n_calls x { line disc body }
 *	offsets:   n  n x { name or context, offset of the function in the payload of functions }
 *	symbols:   { text NUL }*            functions that are known and were never sampled
 *	metadata:  { name or context, marks }*
 *	marks:     [checksum] [attributes] [without contexts: n_calls  n_calls x { line disc name
 *	           marks }]
 */
#include "convert/fmt_llvm_read.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* zlib shrinks to no less than a thousandth; a claim beyond that is false. */
#define ZLIB_RATIO_MAX 1040
/* The longest text one calling context is spelled out to. */
#define CONTEXT_TEXT_MAX ((size_t)1 << 20)

void pgo_llvm_nomem(struct pgo_llvm_reader *r)
{
	if (!r->c->failed) {
		(void)pgo_err_nomem(r->c->err);
		(void)pgo_err_prefix(r->c->err, "%s", r->c->what);
		r->c->failed = true;
	}
}

static void *room_for(struct pgo_llvm_reader *r, size_t n, size_t size)
{
	void *a = r->c->failed ? NULL : pgo_calloc(n, size);

	if (a == NULL)
		pgo_llvm_nomem(r);
	return a;
}

uint32_t pgo_llvm_intern(struct pgo_llvm_reader *r, const char *s, size_t len)
{
	uint32_t id = pgo_strtab_add(&r->p->strs, s, len);

	if (id == PGO_STR_NONE)
		pgo_llvm_nomem(r);
	return id == PGO_STR_NONE ? 0 : id;
}

/* ------------------------------------------------------------------ tables */

/* What it says follows from the counts, so it is checked for form and forgotten, but for the number
 * of functions, which tells where a file without sections should end. */
static uint64_t read_summary(struct pgo_llvm_reader *r)
{
	uint64_t n, n_functions;

	for (int i = 0; i < 4; i++)
		(void)pgo_cursor_uleb(r->c, "the summary");
	n_functions = pgo_cursor_uleb(r->c, "the summary");
	n = pgo_cursor_fits(r->c, pgo_cursor_uleb(r->c, "the summary"), 3, "summary rows");
	for (uint64_t i = 0; i < n * 3 && !r->c->failed; i++)
		(void)pgo_cursor_uleb(r->c, "the summary");
	return n_functions;
}

uint32_t pgo_llvm_read_text(struct pgo_llvm_reader *r, const char *thing)
{
	const uint8_t *end;
	uint32_t id;

	if (r->c->failed)
		return 0;
	end = memchr(r->c->at, '\0', pgo_cursor_left(r->c));
	if (end == NULL) {
		PGO_CURSOR_FAIL(r->c, "the file ends inside %s", thing);
		return 0;
	}
	id = pgo_llvm_intern(r, (const char *)r->c->at, (size_t)(end - r->c->at));
	r->c->at = end + 1;
	return id;
}

static uint32_t read_hash(struct pgo_llvm_reader *r, bool fixed)
{
	uint64_t v = fixed ? pgo_cursor_u64le(r->c, "the name table")
			   : pgo_cursor_uleb(r->c, "the name table");
	char text[24];

	return pgo_llvm_intern(r, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, v));
}

static void read_names(struct pgo_llvm_reader *r, uint64_t flags)
{
	bool md5 = (flags & PGO_LLVM_NAMES_MD5) != 0, fixed = (flags & PGO_LLVM_NAMES_FIXED) != 0;
	uint64_t n = pgo_cursor_uleb(r->c, "the name table");

	n = pgo_cursor_fits(r->c, n, md5 && fixed ? 8 : 1, "names");
	pgo_free(r->names);
	r->names = room_for(r, n, sizeof *r->names);
	r->n_names = r->names != NULL ? n : 0;
	r->p->md5_names = md5;
	r->p->unique_suffixes = (flags & PGO_LLVM_NAMES_UNIQUE) != 0;
	for (size_t i = 0; i < r->n_names && !r->c->failed; i++)
		r->names[i] = md5 ? read_hash(r, fixed) : pgo_llvm_read_text(r, "the name table");
	/* Raw files have no mark for it. */
	for (size_t i = 0; i < r->n_names && !r->c->failed && !r->p->unique_suffixes; i++)
		r->p->unique_suffixes =
			strstr(pgo_fnprof_str(r->p, r->names[i]), ".__uniq.") != NULL;
}

uint32_t pgo_llvm_read_name(struct pgo_llvm_reader *r, const char *thing)
{
	uint64_t i = pgo_cursor_uleb(r->c, thing);

	if (!r->c->failed && (i >= r->n_names || r->names[i] == 0))
		PGO_CURSOR_FAIL(r->c, "name %" PRIu64 " of %zu in %s", i, r->n_names, thing);
	return r->c->failed ? 0 : r->names[i];
}

static uint32_t read_context(struct pgo_llvm_reader *r, struct pgo_buf *text)
{
	uint64_t n = pgo_cursor_uleb(r->c, "a context");

	n = pgo_cursor_fits(r->c, n, 3, "frames");
	if (!r->c->failed && n == 0)
		PGO_CURSOR_FAIL(r->c, "a context without frames");
	pgo_buf_clear(text);
	pgo_buf_putc(text, '[');
	for (uint64_t i = 0; i < n && !r->c->failed; i++) {
		uint32_t name = pgo_llvm_read_name(r, "a context");
		uint64_t line = pgo_cursor_uleb(r->c, "a context");
		uint64_t disc = pgo_cursor_uleb(r->c, "a context");

		pgo_buf_puts(text, pgo_fnprof_str(r->p, name));
		if (i + 1 == n)
			break;
		pgo_buf_printf(text, ":%" PRIu64, line);
		if (disc != 0)
			pgo_buf_printf(text, ".%" PRIu64, disc);
		pgo_buf_puts(text, " @ ");
	}
	pgo_buf_putc(text, ']');
	if (!r->c->failed && text->failed)
		PGO_CURSOR_FAIL(r->c, "a context of more than %zu bytes", text->max);
	return r->c->failed ? 0 : pgo_llvm_intern(r, text->data, text->len);
}

static void read_contexts(struct pgo_llvm_reader *r)
{
	uint64_t n = pgo_cursor_uleb(r->c, "the context table");
	struct pgo_buf text;

	n = pgo_cursor_fits(r->c, n, 4, "contexts");
	pgo_buf_init(&text, CONTEXT_TEXT_MAX);
	pgo_free(r->contexts);
	r->contexts = room_for(r, n, sizeof *r->contexts);
	r->n_contexts = r->contexts != NULL ? n : 0;
	for (size_t i = 0; i < r->n_contexts && !r->c->failed; i++)
		r->contexts[i] = read_context(r, &text);
	pgo_buf_fini(&text);
}

static int by_offset(const void *a, const void *b)
{
	const struct pgo_llvm_start *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void read_offsets(struct pgo_llvm_reader *r)
{
	uint64_t n = pgo_cursor_uleb(r->c, "the offset table");

	n = pgo_cursor_fits(r->c, n, 2, "function offsets");
	pgo_free(r->offsets);
	r->offsets = room_for(r, n, sizeof *r->offsets);
	r->n_offsets = r->offsets != NULL ? n : 0;
	for (size_t i = 0; i < r->n_offsets && !r->c->failed; i++) {
		r->offsets[i].index = pgo_cursor_uleb(r->c, "the offset table");
		r->offsets[i].offset = pgo_cursor_uleb(r->c, "the offset table");
	}
	if (r->n_offsets > 1)
		qsort(r->offsets, r->n_offsets, sizeof *r->offsets, by_offset);
	r->have_offsets = true;
}

/* clang goes straight to the functions it needs: a wrong offset would show there, not here. */
void pgo_llvm_check_offsets(struct pgo_llvm_reader *r)
{
	if (!r->have_offsets || r->c->failed)
		return;
	if (r->n_offsets != r->n_starts ||
		(r->n_starts != 0 &&
			memcmp(r->offsets, r->starts, r->n_starts * sizeof *r->starts) != 0))
		PGO_CURSOR_FAIL(r->c, "the offset table does not fit the functions");
	r->have_offsets = false;
}

/* ------------------------------------------------------------------ files */

static void read_payload(struct pgo_llvm_reader *r, uint64_t type, uint64_t flags)
{
	switch (type) {
	case PGO_LLVM_SUMMARY:
		r->in_contexts = r->p->context_sensitive = (flags & PGO_LLVM_SUMMARY_CONTEXTS) != 0;
		r->p->partial = (flags & PGO_LLVM_SUMMARY_PARTIAL) != 0;
		r->p->fs_discriminators = (flags & PGO_LLVM_SUMMARY_FS) != 0;
		r->p->preinlined = (flags & PGO_LLVM_SUMMARY_PREINLINED) != 0;
		(void)read_summary(r);
		break;
	case PGO_LLVM_NAMES:
		read_names(r, flags);
		break;
	case PGO_LLVM_CONTEXTS:
		read_contexts(r);
		break;
	case PGO_LLVM_OFFSETS:
		read_offsets(r);
		break;
	case PGO_LLVM_FUNCTIONS:
		pgo_llvm_read_functions(r);
		break;
	case PGO_LLVM_SYMBOLS:
		pgo_llvm_read_symbols(r);
		break;
	case PGO_LLVM_METADATA:
		pgo_llvm_read_metadata(r, flags);
		break;
	default: /* from a later LLVM; it, too, would step over */
		r->c->at = r->c->end;
	}
	if (!r->c->failed && pgo_cursor_left(r->c) != 0)
		PGO_CURSOR_FAIL(r->c, "%zu bytes too many in a section of type %" PRIu64,
			pgo_cursor_left(r->c), type);
}

static void inflate_section(struct pgo_llvm_reader *r, struct pgo_buf *out)
{
	uint64_t size = pgo_cursor_uleb(r->c, "a compressed section");
	uint64_t packed = pgo_cursor_uleb(r->c, "a compressed section");

	if (!r->c->failed && packed != pgo_cursor_left(r->c))
		PGO_CURSOR_FAIL(r->c, "%" PRIu64 " compressed bytes are announced, %zu are here",
			packed, pgo_cursor_left(r->c));
	if (!r->c->failed && size / ZLIB_RATIO_MAX > packed)
		PGO_CURSOR_FAIL(
			r->c, "%" PRIu64 " bytes cannot come out of %" PRIu64, size, packed);
	if (r->c->failed)
		return;
	pgo_buf_init(out, size);
	if (pgo_zlib_inflate(r->c->what, r->c->at, packed, size, out, r->c->err) < 0)
		r->c->failed = true;
	else if (out->len != size)
		PGO_CURSOR_FAIL(r->c, "a compressed section of %zu bytes that should have %" PRIu64,
			out->len, size);
}

struct row {
	uint64_t type, flags, offset, size;
};

static void read_section(struct pgo_llvm_reader *r, struct pgo_cursor *file, const struct row *row)
{
	struct pgo_cursor c = *file;
	struct pgo_buf inflated = {0};

	/* Messages give offsets in the file, or in the section if it was compressed. */
	c.at = c.start + row->offset;
	c.end = c.at + row->size;
	r->c = &c;
	if (row->flags & PGO_LLVM_COMPRESSED) {
		inflate_section(r, &inflated);
		if (!c.failed)
			pgo_cursor_init(&c, c.what, inflated.data, inflated.len, c.err);
	}
	if (!c.failed)
		read_payload(r, row->type, row->flags);
	file->failed = c.failed;
	r->c = file;
	pgo_buf_fini(&inflated);
}

/* Rows may not claim bytes outside the file, nor the same bytes twice. */
static void check_rows(struct pgo_cursor *c, const struct row *rows, size_t n)
{
	size_t file = (size_t)(c->end - c->start);

	for (size_t i = 0; i < n && !c->failed; i++) {
		if (rows[i].size == 0)
			continue;
		if (rows[i].offset < pgo_cursor_offset(c) || rows[i].offset > file ||
			rows[i].size > file - rows[i].offset)
			PGO_CURSOR_FAIL(c,
				"section %zu (type %" PRIu64 ") lies at %" PRIu64 " with %" PRIu64
				" bytes, outside the file of %zu: it seems cut off",
				i, rows[i].type, rows[i].offset, rows[i].size, file);
		for (size_t k = 0; k < i && !c->failed; k++)
			if (rows[k].size != 0 && rows[i].offset < rows[k].offset + rows[k].size &&
				rows[k].offset < rows[i].offset + rows[i].size)
				PGO_CURSOR_FAIL(c, "sections %zu and %zu overlap", k, i);
	}
}

#define N_ROWS_MAX 64

static void read_ext(struct pgo_llvm_reader *r)
{
	struct pgo_cursor *c = r->c;
	struct row rows[N_ROWS_MAX];
	uint64_t n = pgo_cursor_u64le(c, "the section table");
	bool functions = false;

	if (!c->failed && n > N_ROWS_MAX)
		PGO_CURSOR_FAIL(c, "%" PRIu64 " sections; at most %d make sense", n, N_ROWS_MAX);
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		rows[i].type = pgo_cursor_u64le(c, "the section table");
		rows[i].flags = pgo_cursor_u64le(c, "the section table");
		rows[i].offset = pgo_cursor_u64le(c, "the section table");
		rows[i].size = pgo_cursor_u64le(c, "the section table");
	}
	if (!c->failed)
		check_rows(c, rows, n);
	for (uint64_t i = 0; !c->failed && i < n; i++) {
		functions |= rows[i].type == PGO_LLVM_FUNCTIONS;
		if (rows[i].size != 0)
			read_section(r, c, &rows[i]);
	}
	if (!c->failed && !functions)
		PGO_CURSOR_FAIL(c, "no section of functions");
	/* Bytes that no section claims are a file made longer, or a table made shorter. */
	uint64_t claimed = pgo_cursor_offset(c);
	for (uint64_t i = 0; !c->failed && i < n; i++)
		claimed += rows[i].size;
	if (!c->failed && claimed != (uint64_t)(c->end - c->start))
		PGO_CURSOR_FAIL(c, "the sections cover %" PRIu64 " of the file's %zu bytes",
			claimed, (size_t)(c->end - c->start));
}

/* What is in the file joins what `r->p` has. */
static int read_file(struct pgo_llvm_reader *r, size_t len)
{
	struct pgo_cursor *c = r->c;
	uint64_t magic, version;

	/* A position of four bytes becomes one of 40, a body of five a record of 150; compression
	 * comes on top. */
	r->p->arena.budget = r->p->arena.used + ((size_t)256 << 20) + len * 64;
	magic = pgo_cursor_uleb(c, "the header");
	version = pgo_cursor_uleb(c, "the header");
	if (!c->failed && magic != PGO_LLVM_MAGIC_RAW && magic != PGO_LLVM_MAGIC_EXT)
		PGO_CURSOR_FAIL(c, "not a binary LLVM sample profile");
	if (!c->failed && version != PGO_LLVM_VERSION)
		PGO_CURSOR_FAIL(c, "version %" PRIu64 " of LLVM's sample profile; %d is known",
			version, PGO_LLVM_VERSION);
	if (!c->failed && magic == PGO_LLVM_MAGIC_EXT) {
		read_ext(r);
	} else if (!c->failed) {
		uint64_t n_functions = read_summary(r);

		read_names(r, 0);
		pgo_llvm_read_functions(r);
		if (!c->failed && r->n_functions < n_functions)
			PGO_CURSOR_FAIL(c, "it ends after %" PRIu64 " of its %" PRIu64 " functions",
				r->n_functions, n_functions);
	}
	pgo_free(r->names);
	pgo_free(r->contexts);
	pgo_free(r->offsets);
	pgo_free(r->starts);
	pgo_free(r->targets);
	return c->failed ? PGO_EFORMAT : 0;
}

static struct pgo_fnprof *bin_read(
	const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct pgo_cursor c;
	struct pgo_llvm_reader r = {.c = &c, .p = pgo_fnprof_new(err), .weight = 1};

	if (r.p == NULL)
		return NULL;
	pgo_cursor_init(&c, what, data, len, err);
	if (read_file(&r, len) == 0)
		return r.p;
	pgo_fnprof_free(r.p);
	return NULL;
}

int pgo_llvm_read_into(struct pgo_fnprof *p, const char *what, const void *data, size_t len,
	uint64_t weight, uint64_t *ret_functions, struct pgo_err *err)
{
	struct pgo_cursor c;
	struct pgo_llvm_reader r = {.c = &c, .p = p, .weight = weight};
	int rc;

	pgo_cursor_init(&c, what, data, len, err);
	rc = read_file(&r, len);
	*ret_functions = r.n_functions;
	return rc < 0 && err != NULL ? err->code : rc;
}

bool pgo_llvm_has_checksums(const void *data, size_t len)
{
	struct pgo_cursor c;
	uint64_t n = 0;

	pgo_cursor_init(&c, "", data, len, NULL);
	if (pgo_cursor_uleb(&c, "") == PGO_LLVM_MAGIC_EXT && pgo_cursor_uleb(&c, "") != 0)
		n = pgo_cursor_u64le(&c, "");
	for (uint64_t i = 0; i < n && !c.failed; i++) {
		uint64_t type = pgo_cursor_u64le(&c, ""), flags = pgo_cursor_u64le(&c, "");

		if (type == PGO_LLVM_METADATA && (flags & PGO_LLVM_METADATA_PROBES) && !c.failed)
			return true;
		(void)pgo_cursor_u64le(&c, "");
		(void)pgo_cursor_u64le(&c, "");
	}
	return false;
}

static bool has_magic(const void *head, size_t len, uint64_t magic)
{
	struct pgo_cursor c;

	pgo_cursor_init(&c, "", head, len, NULL);
	return pgo_cursor_uleb(&c, "") == magic && !c.failed;
}

static bool raw_probe(const void *head, size_t len)
{
	return has_magic(head, len, PGO_LLVM_MAGIC_RAW);
}

static bool ext_probe(const void *head, size_t len)
{
	return has_magic(head, len, PGO_LLVM_MAGIC_EXT);
}

const struct pgo_format pgo_format_llvm_binary = {
	.name = "llvm-binary",
	.about = "clang -fprofile-sample-use, raw binary",
	.probe = raw_probe,
	.read = bin_read,
	.write = pgo_llvm_write_raw,
};

const struct pgo_format pgo_format_llvm_extbinary = {
	.name = "llvm-extbinary",
	.about = "clang -fprofile-sample-use, extensible binary: the usual one",
	.probe = ext_probe,
	.read = bin_read,
	.write = pgo_llvm_write_ext,
};
