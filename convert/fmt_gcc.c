/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GCC's AutoFDO profile (.afdo), as -fauto-profile reads it.
 *
 * Little-endian 32-bit words; u64 = two words, low first.  Lengths of sections are 0 here: no
 * reader looks at them.
 *
 *	u32 0x67636461 "adcg"   u32 version   u32 0
 *	[3] u32 0xa8000000  u64 total  u64 max  u64 max_head  u64 n_counts  u64 n_functions
 *	    u64 16  16 x { u32 cutoff  u64 min_count  u64 n_counts }
 *	u32 0xaa000000  u32 length  [3: u32 n_files  n_files x str]
 *	    u32 n_names  n_names x { str  [3: u32 file, 0xffffffff = none] }     name 0 is ""
 *	u32 0xac000000  u32 length  u32 n_functions
 *	    n_functions x { u64 head  [3: u64 time stamp]  body }
 *	u32 0xae000000  u32 length  u32 0        module groups, always none
 *	u32 0xaf000000  u32 384  128 x { u32 n_counters/10  u64 min_counter }     the working set
 *
 *	body: u32 name  u32 n_positions  u32 n_calls
 *	      n_positions x { u32 place  u32 n_targets  u64 count
 *	                      n_targets x { u32 7  u64 name  u64 count } }
 *	      n_calls x { u32 place  body }
 *	place: line offset << 16 | discriminator
 *
 *	version   gcc       str
 *	704       -         u32 words, then text and NULs to fill 4 x words bytes (create_gcov's
 *	                    default)
 *	1         5..11     the same
 *	2         12..15    u32 bytes, then text and one NUL
 *	3         16..      as 2
 *
 * The time stamp of version 3 came a few months after the rest of it, under the same number: files
 * without it exist, and only reading the whole file tells.
 */
#include "convert/fmt_gcc.h"
#include "convert/fmt_cursor.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

unsigned pgo_gcc_afdo_version(unsigned gcc_release)
{
	if (gcc_release == 0 || gcc_release >= 16)
		return 3;
	return gcc_release >= 12 ? 2 : 1;
}

/* ------------------------------------------------------------------ reading */

struct reader {
	struct pgo_cursor c;
	struct pgo_fnprof *p;
	uint32_t version;
	bool word_strings;
	bool stamps; /* version 3 with time stamps */
	struct name {
		uint32_t str, file; /* strings */
	} * names;
	uint32_t n_names;
	struct pgo_fn_target *targets; /* of the position at hand */
	size_t targets_room;
};

static void out_of_memory(struct reader *r)
{
	if (!r->c.failed) {
		(void)pgo_err_nomem(r->c.err);
		(void)pgo_err_prefix(r->c.err, "%s", r->c.what);
		r->c.failed = true;
	}
}

static void expect_tag(struct reader *r, uint32_t want, const char *section)
{
	uint32_t tag = pgo_cursor_u32le(&r->c, "a section's tag");

	if (!r->c.failed && tag != want)
		PGO_CURSOR_FAIL(&r->c, "the %s should begin here with tag %08x, but %08x is here",
			section, want, tag);
}

static uint32_t read_str(struct reader *r)
{
	uint32_t n = pgo_cursor_u32le(&r->c, "a name's length");
	size_t size = r->word_strings ? (size_t)n * 4 : n;
	const uint8_t *s;
	size_t len;
	uint32_t id;

	if (!r->c.failed && n == 0)
		PGO_CURSOR_FAIL(&r->c, "a name of length 0, which crashes gcc");
	s = pgo_cursor_take(&r->c, size, "a name");
	if (s == NULL)
		return 0;
	len = strnlen((const char *)s, size);
	/* One NUL, or up to four in words; nothing after the first. */
	if (len == size || (!r->word_strings && len != size - 1) ||
		(r->word_strings && len + 4 < size)) {
		PGO_CURSOR_FAIL(&r->c, "a name whose text does not fill its length");
		return 0;
	}
	for (size_t i = len; i < size; i++)
		if (s[i] != 0) {
			PGO_CURSOR_FAIL(&r->c, "a name with text after its end");
			return 0;
		}
	id = pgo_strtab_add(&r->p->strs, (const char *)s, len);
	if (id == PGO_STR_NONE) {
		out_of_memory(r);
		return 0;
	}
	return id;
}

/* What it says follows from the counts, so it is checked for form and forgotten. */
static void read_summary(struct reader *r)
{
	uint64_t n;

	expect_tag(r, PGO_AFDO_TAG_SUMMARY, "summary");
	for (int i = 0; i < 5; i++)
		(void)pgo_cursor_u64le(&r->c, "the summary");
	n = pgo_cursor_u64le(&r->c, "the summary");
	if (!r->c.failed && n != PGO_SUMMARY_ROWS)
		PGO_CURSOR_FAIL(&r->c, "a summary of %llu rows; gcc takes exactly %d",
			(unsigned long long)n, PGO_SUMMARY_ROWS);
	(void)pgo_cursor_take(&r->c, (size_t)PGO_SUMMARY_ROWS * 20, "the summary");
}

static void read_names(struct reader *r)
{
	struct pgo_cursor *c = &r->c;
	uint32_t n_files = 0;
	uint32_t *files = NULL;

	expect_tag(r, PGO_AFDO_TAG_NAMES, "name table");
	(void)pgo_cursor_u32le(c, "the name table");
	if (r->version == 3) {
		n_files = pgo_cursor_u32le(c, "the file table");
		n_files = (uint32_t)pgo_cursor_fits(c, n_files, 5, "file names");
		files = pgo_calloc(n_files, sizeof *files);
		if (files == NULL)
			out_of_memory(r);
		for (uint32_t i = 0; i < n_files && !c->failed; i++)
			files[i] = read_str(r);
	}
	r->n_names = pgo_cursor_u32le(c, "the name table");
	r->n_names = (uint32_t)pgo_cursor_fits(c, r->n_names, 5, "names");
	r->names = pgo_calloc(r->n_names, sizeof *r->names);
	if (r->names == NULL)
		out_of_memory(r);
	for (uint32_t i = 0; i < r->n_names && !c->failed; i++) {
		uint32_t file = PGO_AFDO_NO_FILE;

		r->names[i].str = read_str(r);
		if (r->version == 3)
			file = pgo_cursor_u32le(c, "a name's file");
		if (c->failed)
			break;
		if (file != PGO_AFDO_NO_FILE && file >= n_files)
			PGO_CURSOR_FAIL(c, "name %u has file %u of %u", i, file, n_files);
		else if (file != PGO_AFDO_NO_FILE)
			r->names[i].file = files[file];
		if (i == 0 && r->names[i].str != 0)
			PGO_CURSOR_FAIL(c, "name 0 is not empty, which gcc relies on");
	}
	if (!c->failed && r->n_names == 0)
		PGO_CURSOR_FAIL(c, "a name table without even the empty name");
	pgo_free(files);
}

/* The name of a function: in range and not empty. */
static const struct name *read_name(struct reader *r, uint64_t i)
{
	static const struct name none;

	if (r->c.failed)
		return &none;
	if (i == 0 || i >= r->n_names || r->names[i].str == 0) {
		PGO_CURSOR_FAIL(&r->c, "name %llu where a function of the %u names is meant",
			(unsigned long long)i, r->n_names);
		return &none;
	}
	return &r->names[i];
}

static void read_targets(struct reader *r, uint32_t n)
{
	if (PGO_VEC_RESERVE(r->targets, r->targets_room, n) < 0) {
		out_of_memory(r);
		return;
	}
	for (uint32_t i = 0; i < n && !r->c.failed; i++) {
		uint32_t type = pgo_cursor_u32le(&r->c, "a call target");

		r->targets[i].name = read_name(r, pgo_cursor_u64le(&r->c, "a call target"))->str;
		r->targets[i].count = pgo_cursor_u64le(&r->c, "a call target");
		if (!r->c.failed && type != PGO_AFDO_HIST_TYPE_INDIRECT_CALL)
			PGO_CURSOR_FAIL(&r->c, "a histogram of type %u; 7 is call targets", type);
	}
}

static void read_position(struct reader *r, struct pgo_fn *f)
{
	uint32_t place = pgo_cursor_u32le(&r->c, "a position");
	uint32_t n_targets = pgo_cursor_u32le(&r->c, "a position");
	uint64_t count = pgo_cursor_u64le(&r->c, "a position");
	uint32_t before = f->n_pos;
	struct pgo_fn_pos *x;

	n_targets = (uint32_t)pgo_cursor_fits(&r->c, n_targets, 20, "call targets");
	read_targets(r, n_targets);
	if (r->c.failed)
		return;
	x = pgo_fn_position(r->p, f, place >> 16, place & 0xffff);
	if (x == NULL || pgo_fn_targets_add(r->p, x, r->targets, n_targets) < 0) {
		out_of_memory(r);
	} else if (f->n_pos == before) {
		PGO_CURSOR_FAIL(&r->c, "position %u.%u twice in %s; gcc would use the last",
			place >> 16, place & 0xffff, pgo_fnprof_str(r->p, f->name));
	}
	x = r->c.failed ? NULL : x;
	if (x != NULL)
		x->count = count;
}

static void read_body(struct reader *r, struct pgo_fn *f, uint32_t n_pos, uint32_t n_calls);

static void read_call(struct reader *r, struct pgo_fn *f)
{
	uint32_t place = pgo_cursor_u32le(&r->c, "a call site");
	const struct name *name = read_name(r, pgo_cursor_u32le(&r->c, "a call site"));
	uint32_t n_pos = pgo_cursor_u32le(&r->c, "a call site");
	uint32_t n_calls = pgo_cursor_u32le(&r->c, "a call site");
	uint32_t before = f->n_calls;
	struct pgo_fn *callee;

	if (r->c.failed)
		return;
	if (f->depth >= PGO_FN_DEPTH_MAX) {
		PGO_CURSOR_FAIL(
			&r->c, "inlined functions nest more than %d deep", PGO_FN_DEPTH_MAX);
		return;
	}
	callee = pgo_fn_inlined(r->p, f, place >> 16, place & 0xffff, name->str);
	if (callee == NULL) {
		out_of_memory(r);
	} else if (f->n_calls == before) {
		PGO_CURSOR_FAIL(&r->c, "%s inlined twice at %u.%u of %s; gcc would use the last",
			pgo_fnprof_str(r->p, name->str), place >> 16, place & 0xffff,
			pgo_fnprof_str(r->p, f->name));
	} else {
		callee->file = name->file;
		read_body(r, callee, n_pos, n_calls);
	}
}

static void read_body(struct reader *r, struct pgo_fn *f, uint32_t n_pos, uint32_t n_calls)
{
	n_pos = (uint32_t)pgo_cursor_fits(&r->c, n_pos, 16, "positions");
	n_calls = (uint32_t)pgo_cursor_fits(&r->c, n_calls, 16, "call sites");
	if (!r->c.failed && pgo_fn_reserve(r->p, f, n_pos, n_calls) < 0)
		out_of_memory(r);
	for (uint32_t i = 0; i < n_pos && !r->c.failed; i++)
		read_position(r, f);
	for (uint32_t i = 0; i < n_calls && !r->c.failed; i++)
		read_call(r, f);
	for (uint32_t i = 0; i < f->n_pos && !r->c.failed; i++)
		f->total = pgo_sat_add(f->total, f->pos[i].count);
	for (uint32_t i = 0; i < f->n_calls && !r->c.failed; i++)
		f->total = pgo_sat_add(f->total, f->calls[i].callee->total);
}

static void read_function(struct reader *r)
{
	uint64_t head = pgo_cursor_u64le(&r->c, "a function");
	uint64_t stamp = r->stamps ? pgo_cursor_u64le(&r->c, "a function") : 0;
	const struct name *name = read_name(r, pgo_cursor_u32le(&r->c, "a function"));
	uint32_t n_pos = pgo_cursor_u32le(&r->c, "a function");
	uint32_t n_calls = pgo_cursor_u32le(&r->c, "a function");
	size_t before = r->p->n_fns;
	struct pgo_fn *f;

	if (r->c.failed)
		return;
	f = pgo_fnprof_fn_of_file(r->p, name->str, name->file);
	if (f == NULL) {
		out_of_memory(r);
		return;
	}
	if (r->p->n_fns == before) {
		PGO_CURSOR_FAIL(
			&r->c, "function %s has two records", pgo_fnprof_str(r->p, name->str));
		return;
	}
	f->head = head;
	f->first_seen = stamp;
	read_body(r, f, n_pos, n_calls);
}

static void read_tail(struct reader *r)
{
	uint32_t words;

	expect_tag(r, PGO_AFDO_TAG_MODULES, "module section");
	(void)pgo_cursor_u32le(&r->c, "the module section");
	if (pgo_cursor_u32le(&r->c, "the module section") != 0)
		PGO_CURSOR_FAIL(&r->c, "module groups, which no released gcc reads");
	if (r->c.failed || pgo_cursor_left(&r->c) == 0)
		return; /* only early releases look further */
	expect_tag(r, PGO_AFDO_TAG_WORKING_SET, "working set");
	words = pgo_cursor_u32le(&r->c, "the working set");
	if (!r->c.failed && words != PGO_AFDO_WORKING_SET_WORDS)
		PGO_CURSOR_FAIL(&r->c, "a working set of %u words; it has %d", words,
			PGO_AFDO_WORKING_SET_WORDS);
	(void)pgo_cursor_take(&r->c, (size_t)PGO_AFDO_WORKING_SET_WORDS * 4, "the working set");
	if (!r->c.failed && pgo_cursor_left(&r->c) != 0)
		PGO_CURSOR_FAIL(&r->c, "%zu bytes after the end", pgo_cursor_left(&r->c));
}

/* One strict attempt; `r` says with what strings and time stamps. */
static struct pgo_fnprof *attempt(
	struct reader *r, const char *what, const void *data, size_t len, struct pgo_err *err)
{
	uint32_t n;

	pgo_cursor_init(&r->c, what, data, len, err);
	r->p = pgo_fnprof_new(err);
	if (r->p == NULL)
		return NULL;
	/* A position of 16 bytes becomes one of 40; records become ten times as large. */
	r->p->arena.budget = ((size_t)16 << 20) + len * 64;
	(void)pgo_cursor_take(&r->c, 12, "the header");
	if (r->version == 3)
		read_summary(r);
	read_names(r);
	expect_tag(r, PGO_AFDO_TAG_FUNCTIONS, "function section");
	(void)pgo_cursor_u32le(&r->c, "the function section");
	n = pgo_cursor_u32le(&r->c, "the function section");
	n = (uint32_t)pgo_cursor_fits(&r->c, n, 20, "functions");
	for (uint32_t i = 0; i < n && !r->c.failed; i++)
		read_function(r);
	read_tail(r);
	if (r->c.failed) {
		pgo_fnprof_free(r->p);
		r->p = NULL;
	}
	pgo_free(r->names);
	pgo_free(r->targets);
	r->names = NULL;
	r->targets = NULL;
	r->targets_room = 0;
	return r->p;
}

static bool is_known_version(uint32_t version)
{
	return (version >= 1 && version <= 3) || version == PGO_AFDO_VERSION_704;
}

static int check_header(
	const char *what, const void *data, size_t len, uint32_t *ret_version, struct pgo_err *err)
{
	struct pgo_cursor c;
	uint32_t magic, version;

	pgo_cursor_init(&c, what, data, len, err);
	magic = pgo_cursor_u32le(&c, "the header");
	version = pgo_cursor_u32le(&c, "the header");
	(void)pgo_cursor_u32le(&c, "the header");
	if (!c.failed && magic == PGO_AFDO_MAGIC_SWAPPED)
		PGO_CURSOR_FAIL(&c, "an AutoFDO profile of a big-endian machine; gcc reads only "
				    "its own byte order");
	else if (!c.failed && magic != PGO_AFDO_MAGIC)
		PGO_CURSOR_FAIL(&c, "not an AutoFDO profile: it begins with %08x", magic);
	else if (!c.failed && (version >> 24 == 'A' || version >> 24 == 'B'))
		PGO_CURSOR_FAIL(&c, "a .gcda file of an instrumented program, not an AutoFDO "
				    "profile: gcc reads it with -fprofile-use");
	else if (!c.failed && !is_known_version(version))
		PGO_CURSOR_FAIL(&c, "AutoFDO profile version %u (0x%x); 1, 2 and 3 are known",
			version, version);
	if (c.failed)
		return PGO_EFORMAT;
	*ret_version = version;
	return 0;
}

static struct pgo_fnprof *gcc_read(
	const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct reader r = {0};
	struct pgo_fnprof *p, *other;

	if (check_header(what, data, len, &r.version, err) < 0)
		return NULL;
	r.word_strings = r.version == 1 || r.version == PGO_AFDO_VERSION_704;
	r.stamps = r.version == 3;
	p = attempt(&r, what, data, len, err);
	if (p != NULL || r.word_strings)
		return p;
	if (r.stamps) {
		/* The early flavour, without time stamps. */
		r.stamps = false;
		p = attempt(&r, what, data, len, NULL);
		if (p != NULL)
			pgo_err_clear(err);
		return p;
	}
	r.word_strings = true;
	other = attempt(&r, what, data, len, NULL);
	if (other != NULL)
		(void)pgo_err_set(err, PGO_EFORMAT,
			"%s: it says version %u but has the padded names of version 1 "
			"(create_gcov of autofdo 0.19 writes such files); no gcc reads it",
			what, r.version);
	pgo_fnprof_free(other);
	return NULL;
}

/* By the magic alone: another version is this format too, and reading it says what is wrong. */
static bool gcc_probe(const void *head, size_t len)
{
	struct pgo_cursor c;
	uint32_t magic;

	pgo_cursor_init(&c, "", head, len, NULL);
	magic = pgo_cursor_u32le(&c, "");
	return !c.failed && (magic == PGO_AFDO_MAGIC || magic == PGO_AFDO_MAGIC_SWAPPED);
}

const struct pgo_format pgo_format_gcc = {
	.name = "gcc",
	.about = "gcc -fauto-profile (.afdo), version 1, 2 or 3 by the gcc release",
	.probe = gcc_probe,
	.read = gcc_read,
	.write = pgo_gcc_write,
};
