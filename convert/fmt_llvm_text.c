/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LLVM's text sample profile, as clang -fprofile-sample-use and llvm-profdata read it.
 *
 *	work:41448:7                        function, total, head; the last two colons count
 *	 1: 1000                            line offset: count
 *	 3.1: 400 leaf:390 other:10         with a discriminator, and call targets
 *	 3.2: mid:7200                      inlined function and its total (begins with no digit)
 *	  1: 400                           ... and what is in it, one blank deeper
 *	 !CFGChecksum: 4660                last in its record: what probe-based profiles
 *	 !Attributes: 2                    and contexts carry
 *	[main:3 @ foo:1.2 @ bar]:10:1      or: a calling context in the place of the function
 *
 * Empty lines and those beginning with # are skipped.  "vtables" lines (types seen at a virtual
 * call; LLVM 22) are accepted and dropped: no other format holds them.
 */
#include "convert/fmt_llvm.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

/* ------------------------------------------------------------------ reading */

struct span {
	const char *s;
	size_t len;
};

struct reader {
	const char *what;
	struct pgo_err *err;
	struct pgo_fnprof *p;
	uint64_t line; /* number, for messages */
	struct {
		struct pgo_fn *fn;
		bool closed; /* metadata seen: nothing but metadata may follow */
	} stack[PGO_FN_DEPTH_MAX + 1];
	size_t depth; /* records open */
	struct pgo_fn_target *targets;
	size_t targets_room;
};

static int bad(struct reader *r, const char *sentence)
{
	(void)pgo_err_set(r->err, PGO_EFORMAT, "%s", sentence);
	return pgo_err_prefix(r->err, "%s: line %" PRIu64, r->what, r->line);
}

static int out_of_memory(struct reader *r)
{
	(void)pgo_err_nomem(r->err);
	return pgo_err_prefix(r->err, "%s: line %" PRIu64, r->what, r->line);
}

/* All of the span is one decimal number. */
static bool to_u64(struct span t, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < t.len; i++) {
		unsigned digit = (unsigned char)t.s[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret = v;
	return t.len > 0;
}

static struct span part(struct span t, size_t from, size_t to)
{
	return (struct span){t.s + from, to - from};
}

/* Splits at the last colon: "a:b:7" gives 7 and leaves "a:b". */
static bool cut_number(struct span *t, uint64_t *ret)
{
	const char *colon = t->len != 0 ? memrchr(t->s, ':', t->len) : NULL;
	size_t at;

	if (colon == NULL)
		return false;
	at = (size_t)(colon - t->s);
	if (!to_u64(part(*t, at + 1, t->len), ret))
		return false;
	t->len = at;
	return true;
}

static uint32_t intern(struct reader *r, struct span t)
{
	uint32_t id = pgo_strtab_add(&r->p->strs, t.s, t.len);

	if (!r->p->unique_suffixes && memmem(t.s, t.len, ".__uniq.", 8) != NULL)
		r->p->unique_suffixes = true;
	return id;
}

static int read_header(struct reader *r, struct span t)
{
	uint64_t total, head;
	uint32_t name;
	bool context;
	struct pgo_fn *f;

	if (!cut_number(&t, &head) || !cut_number(&t, &total) || t.len == 0)
		return bad(r, "a function should stand here as NAME:TOTAL:HEAD");
	context = t.s[0] == '[' && t.s[t.len - 1] == ']';
	if (r->p->n_fns != 0 && context != r->p->context_sensitive)
		return bad(r, "functions with and without a calling context in one file");
	r->p->context_sensitive = context;
	name = intern(r, t);
	f = name != PGO_STR_NONE ? pgo_fnprof_fn(r->p, name) : NULL;
	if (f == NULL)
		return out_of_memory(r);
	f->total = pgo_sat_add(f->total, total);
	f->head = pgo_sat_add(f->head, head);
	r->stack[0].fn = f;
	r->stack[0].closed = false;
	r->depth = 1;
	return 0;
}

/*
 * " NAME:COUNT NAME:COUNT ...": a name may hold blanks and colons, so one ends at the first colon
 * that a number and then a blank or the end follows.
 */
static int read_targets(struct reader *r, struct span t, uint32_t *ret_n)
{
	size_t n = 0, at = 0;

	while (at < t.len) {
		struct pgo_fn_target *x;
		size_t colon, end;
		uint64_t count;

		for (; at < t.len && t.s[at] == ' '; at++)
			;
		for (colon = at, end = 0;; colon++) {
			const char *c =
				colon < t.len ? memchr(t.s + colon, ':', t.len - colon) : NULL;
			const char *blank;

			if (c == NULL)
				return bad(r, "call targets should stand here as NAME:COUNT");
			colon = (size_t)(c - t.s);
			blank = memchr(c, ' ', t.len - colon);
			end = blank != NULL ? (size_t)(blank - t.s) : t.len;
			if (to_u64(part(t, colon + 1, end), &count))
				break;
		}
		if (colon == at || PGO_VEC_RESERVE(r->targets, r->targets_room, n + 1) < 0)
			return colon == at ? bad(r, "a call target without a name")
					   : out_of_memory(r);
		x = &r->targets[n++];
		x->name = intern(r, part(t, at, colon));
		x->count = count;
		if (x->name == PGO_STR_NONE)
			return out_of_memory(r);
		at = end;
	}
	*ret_n = (uint32_t)n;
	return 0;
}

static int read_position(
	struct reader *r, struct pgo_fn *f, uint32_t line, uint32_t disc, struct span t)
{
	const char *blank = memchr(t.s, ' ', t.len);
	size_t end = blank != NULL ? (size_t)(blank - t.s) : t.len;
	struct pgo_fn_pos *x;
	uint64_t count;
	uint32_t n = 0;
	int rc = 0;

	if (!to_u64(part(t, 0, end), &count))
		return bad(r, "a count should stand after the position");
	if (end < t.len)
		rc = read_targets(r, part(t, end, t.len), &n);
	if (rc < 0)
		return rc;
	x = pgo_fn_position(r->p, f, line, disc);
	if (x == NULL || pgo_fn_targets_add(r->p, x, r->targets, n) < 0)
		return out_of_memory(r);
	x->count = pgo_sat_add(x->count, count);
	return 0;
}

static int read_callee(
	struct reader *r, struct pgo_fn *f, uint32_t line, uint32_t disc, struct span t)
{
	struct pgo_fn *callee;
	uint64_t total;
	uint32_t name;

	if (!cut_number(&t, &total) || t.len == 0)
		return bad(r, "a count, or an inlined function as NAME:TOTAL, should stand after "
			      "the position");
	if (r->depth > PGO_FN_DEPTH_MAX)
		return bad(r, "inlined functions nest too deep");
	name = intern(r, t);
	callee = name != PGO_STR_NONE ? pgo_fn_inlined(r->p, f, line, disc, name) : NULL;
	if (callee == NULL)
		return out_of_memory(r);
	callee->total = pgo_sat_add(callee->total, total);
	r->stack[r->depth].fn = callee;
	r->stack[r->depth++].closed = false;
	return 0;
}

static bool starts_with(struct span t, const char *word)
{
	size_t len = strlen(word);

	return t.len >= len && memcmp(t.s, word, len) == 0;
}

static int read_metadata(struct reader *r, struct span t)
{
	static const char checksum[] = "!CFGChecksum: ", attributes[] = "!Attributes: ";
	struct pgo_fn *f = r->stack[r->depth - 1].fn;
	uint64_t v;

	r->stack[r->depth - 1].closed = true;
	if (starts_with(t, checksum) && to_u64(part(t, sizeof checksum - 1, t.len), &v)) {
		f->checksum = v;
		f->has_checksum = true;
		return 0;
	}
	if (starts_with(t, attributes) && to_u64(part(t, sizeof attributes - 1, t.len), &v) &&
		v <= UINT32_MAX) {
		f->attributes |= (uint32_t)v;
		r->p->preinlined |= (v & PGO_LLVM_SHOULD_BE_INLINED) != 0;
		return 0;
	}
	if (t.len == 5 && starts_with(t, "!Flat"))
		return 0; /* a hint of layout */
	return bad(r, "unknown metadata; !CFGChecksum: and !Attributes: are known");
}

/* "OFFSET[.DISCRIMINATOR]: REST" */
static int read_place(struct reader *r, struct span t, uint32_t *ret_line, uint32_t *ret_disc,
	struct span *ret_rest)
{
	const char *colon = memchr(t.s, ':', t.len), *dot;
	struct span place, disc = {0};
	uint64_t l, d = 0;

	if (colon == NULL || (size_t)(colon - t.s) + 2 >= t.len || colon[1] != ' ')
		return bad(
			r, "a position should stand here as OFFSET[.DISCRIMINATOR]: and a blank");
	place = part(t, 0, (size_t)(colon - t.s));
	dot = memchr(place.s, '.', place.len);
	if (dot != NULL) {
		size_t at = (size_t)(dot - place.s);

		disc = part(place, at + 1, place.len);
		place.len = at;
	}
	if (!to_u64(place, &l) || (dot != NULL && !to_u64(disc, &d)))
		return bad(r, "a position that is not a number");
	if (l > 0xffff || d > UINT32_MAX)
		return bad(r, "a line offset above 65535 or a discriminator above 32 bits");
	*ret_line = (uint32_t)l;
	*ret_disc = (uint32_t)d;
	*ret_rest = part(t, (size_t)(colon - t.s) + 2, t.len);
	return 0;
}

static int read_line(struct reader *r, struct span t)
{
	size_t depth = 0;
	uint32_t line = 0, disc = 0;
	struct span rest = {0};
	int rc;

	while (depth < t.len && t.s[depth] == ' ')
		depth++;
	if (depth == t.len || t.s[0] == '#')
		return 0;
	if (memchr(t.s, '\0', t.len) != NULL)
		return bad(r, "a zero byte: this is not text");
	if (depth == 0)
		return read_header(r, t);
	if (depth > r->depth)
		return bad(r, r->depth == 0 ? "a position before the first function"
					    : "indented deeper than any record that is open");
	r->depth = depth;
	t = part(t, depth, t.len);
	if (t.s[0] == '!')
		return read_metadata(r, t);
	if (r->stack[depth - 1].closed)
		return bad(r, "a position after the metadata of its record");
	rc = read_place(r, t, &line, &disc, &rest);
	if (rc < 0)
		return rc;
	if (rest.s[0] >= '0' && rest.s[0] <= '9')
		return read_position(r, r->stack[depth - 1].fn, line, disc, rest);
	if (starts_with(rest, "vtables "))
		return 0;
	return read_callee(r, r->stack[depth - 1].fn, line, disc, rest);
}

static struct pgo_fnprof *text_read(
	const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct reader *r = pgo_calloc(1, sizeof *r);
	struct pgo_fnprof *p = NULL;
	const char *s = data;
	int rc = 0;

	if (r != NULL)
		r->p = pgo_fnprof_new(err);
	if (r == NULL || r->p == NULL) {
		(void)pgo_err_nomem(err);
		goto out;
	}
	r->what = what;
	r->err = err;
	/* A line of five bytes can make a position of 40 or, in nine, a record of 150. */
	r->p->arena.budget = ((size_t)16 << 20) + len * 64;
	for (size_t at = 0; at < len && rc == 0;) {
		const char *nl = memchr(s + at, '\n', len - at);
		size_t end = nl != NULL ? (size_t)(nl - s) : len;
		size_t stop = end > at && s[end - 1] == '\r' ? end - 1 : end;

		r->line++;
		rc = read_line(r, (struct span){s + at, stop - at});
		/* A file that breaks off in a number reads well, but wrongly. */
		if (rc == 0 && nl == NULL)
			rc = bad(r, "the last line has no end: the file seems cut off");
		at = end + 1;
	}
	if (rc == 0) {
		p = r->p;
		r->p = NULL;
	}
out:
	if (r != NULL) {
		pgo_free(r->targets);
		pgo_fnprof_free(r->p);
	}
	pgo_free(r);
	return p;
}

/* The first line that says something is NAME:TOTAL:HEAD. */
static bool text_probe(const void *head, size_t len)
{
	const char *s = head;

	for (size_t at = 0; at < len;) {
		const char *nl = memchr(s + at, '\n', len - at);
		struct span t = {s + at, (nl != NULL ? (size_t)(nl - s) : len) - at};
		uint64_t v;

		if (t.len > 0 && t.s[t.len - 1] == '\r')
			t.len--;
		if (t.len > 0 && t.s[0] != '#')
			return t.s[0] != ' ' && memchr(t.s, '\0', t.len) == NULL &&
			       cut_number(&t, &v) && cut_number(&t, &v) && t.len > 0;
		if (nl == NULL)
			break;
		at = (size_t)(nl - s) + 1;
	}
	return false;
}

/* ------------------------------------------------------------------ writing */

static void put_place(struct pgo_buf *out, int indent, uint32_t line, uint32_t disc)
{
	pgo_buf_printf(out, "%*s%u", indent, "", line);
	if (disc != 0)
		pgo_buf_printf(out, ".%u", disc);
	pgo_buf_puts(out, ": ");
}

static void put_body(
	const struct pgo_fnprof *p, const struct pgo_fn *f, int indent, struct pgo_buf *out)
{
	for (uint32_t i = 0; i < f->n_pos; i++) {
		const struct pgo_fn_pos *x = &f->pos[i];

		put_place(out, indent, x->line, x->disc);
		pgo_buf_printf(out, "%" PRIu64, x->count);
		for (uint32_t t = 0; t < x->n_targets; t++)
			pgo_buf_printf(out, " %s:%" PRIu64, pgo_fnprof_str(p, x->targets[t].name),
				x->targets[t].count);
		pgo_buf_putc(out, '\n');
	}
	for (uint32_t i = 0; i < f->n_calls; i++) {
		const struct pgo_fn *g = f->calls[i].callee;

		put_place(out, indent, f->calls[i].line, f->calls[i].disc);
		pgo_buf_printf(out, "%s:%" PRIu64 "\n", pgo_fnprof_str(p, g->name), g->total);
		put_body(p, g, indent + 1, out);
	}
	if (f->has_checksum)
		pgo_buf_printf(out, "%*s!CFGChecksum: %" PRIu64 "\n", indent, "", f->checksum);
	if (f->attributes != 0)
		pgo_buf_printf(out, "%*s!Attributes: %u\n", indent, "", f->attributes);
}

/* What the notation cannot say would be read as something else. */
enum place { TOP, INLINED, TARGET };

static bool name_fits(const char *s, enum place place)
{
	if (s[0] == '\0' || s[0] == ' ' || strpbrk(s, "\n\r") != NULL)
		return false;
	if (place == TOP)
		return s[0] != '#';
	if (place == INLINED)
		return (s[0] < '0' || s[0] > '9') && strncmp(s, "vtables ", 8) != 0;
	/* "a:5 b" would be two targets. */
	for (s = strchr(s, ':'); s != NULL; s = strchr(s + 1, ':')) {
		size_t digits = strspn(s + 1, "0123456789");

		if (digits > 0 && s[1 + digits] == ' ')
			return false;
	}
	return true;
}

static int check_name(
	const struct pgo_fnprof *p, uint32_t name, enum place place, struct pgo_err *err)
{
	static const char *const roles[] = {"a function", "an inlined function", "a call target"};
	const char *s = pgo_fnprof_str(p, name);

	return name_fits(s, place)
		       ? 0
		       : pgo_err_set(err, PGO_EMISMATCH,
				 "LLVM's text format cannot hold %s called '%s'", roles[place], s);
}

static int check_names(const struct pgo_fnprof *p, const struct pgo_fn *f, struct pgo_err *err)
{
	int rc = check_name(p, f->name, f->depth == 0 ? TOP : INLINED, err);

	for (uint32_t i = 0; i < f->n_pos && rc == 0; i++)
		for (uint32_t t = 0; t < f->pos[i].n_targets && rc == 0; t++)
			rc = check_name(p, f->pos[i].targets[t].name, TARGET, err);
	for (uint32_t i = 0; i < f->n_calls && rc == 0; i++)
		rc = check_names(p, f->calls[i].callee, err);
	return rc;
}

static int text_write(const struct pgo_fnprof *p, const struct pgo_format_options *o,
	struct pgo_buf *out, struct pgo_err *err)
{
	int rc = pgo_llvm_check(p, err);

	(void)o;
	for (size_t i = 0; i < p->n_fns && rc == 0; i++) {
		const struct pgo_fn *f = p->fns[i];

		rc = check_names(p, f, err);
		pgo_buf_printf(out, "%s:%" PRIu64 ":%" PRIu64 "\n", pgo_fnprof_str(p, f->name),
			f->total, f->head);
		put_body(p, f, 1, out);
	}
	return rc < 0 ? rc : pgo_buf_check(out, "the text profile", err);
}

const struct pgo_format pgo_format_llvm_text = {
	.name = "llvm-text",
	.about = "clang -fprofile-sample-use, text",
	.probe = text_probe,
	.read = text_read,
	.write = text_write,
};
