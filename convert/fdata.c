/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/fdata.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN "[unknown]"
#define NAMES_BUDGET ((size_t)4 << 30)

struct pgo_fdata *pgo_fdata_new(struct pgo_err *err)
{
	struct pgo_fdata *f = pgo_calloc(1, sizeof *f);

	if (f == NULL || pgo_strtab_init(&f->strs, NAMES_BUDGET) < 0) {
		(void)pgo_err_nomem(err);
		pgo_free(f);
		return NULL;
	}
	return f;
}

void pgo_fdata_free(struct pgo_fdata *f)
{
	if (f == NULL)
		return;
	pgo_strtab_fini(&f->strs);
	pgo_free(f->edges);
	pgo_free(f);
}

int pgo_fdata_add(struct pgo_fdata *f, struct pgo_fdata_loc from, struct pgo_fdata_loc to,
	uint64_t mispreds, uint64_t count)
{
	struct pgo_fdata_edge *e = PGO_VEC_PUSH(f->edges, f->n_edges, f->edges_room);

	if (e == NULL)
		return PGO_ENOMEM;
	*e = (struct pgo_fdata_edge){from, to, mispreds, count};
	return 0;
}

/* ------------------------------------------------------------------ sorting */

static int by_text(const void *a, const void *b, void *ctx)
{
	return strcmp(pgo_strtab_get(ctx, *(const uint32_t *)a),
		pgo_strtab_get(ctx, *(const uint32_t *)b));
}

/* Place of every string in byte order, so that names compare as numbers. */
static uint32_t *rank_names(struct pgo_fdata *f)
{
	size_t n = f->strs.n_strs;
	uint32_t *order = pgo_malloc(n * sizeof *order), *rank = pgo_malloc(n * sizeof *rank);

	if (order != NULL && rank != NULL) {
		for (size_t i = 0; i < n; i++)
			order[i] = (uint32_t)i;
		qsort_r(order, n, sizeof *order, by_text, &f->strs);
		for (size_t i = 0; i < n; i++)
			rank[order[i]] = (uint32_t)i;
		pgo_free(order);
		return rank;
	}
	pgo_free(order);
	pgo_free(rank);
	return NULL;
}

static int compare_locs(
	const struct pgo_fdata_loc *x, const struct pgo_fdata_loc *y, const uint32_t *rank)
{
	if ((x->known == 0) != (y->known == 0))
		return x->known == 0 ? 1 : -1;
	if (x->name != y->name)
		return rank[x->name] < rank[y->name] ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->known < y->known ? -1 : x->known > y->known;
}

static int compare_edges(const void *a, const void *b, void *ctx)
{
	const struct pgo_fdata_edge *x = a, *y = b;
	int c = compare_locs(&x->from, &y->from, ctx);

	return c != 0 ? c : compare_locs(&x->to, &y->to, ctx);
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return b > PGO_FDATA_COUNT_MAX || a > PGO_FDATA_COUNT_MAX - b ? PGO_FDATA_COUNT_MAX : a + b;
}

int pgo_fdata_sort(struct pgo_fdata *f, struct pgo_err *err)
{
	uint32_t *rank = rank_names(f);
	size_t kept = 0;

	if (rank == NULL)
		return pgo_err_nomem(err);
	if (f->n_edges > 1)
		qsort_r(f->edges, f->n_edges, sizeof *f->edges, compare_edges, rank);
	for (size_t i = 0; i < f->n_edges; i++) {
		struct pgo_fdata_edge *e = &f->edges[i], *last = &f->edges[kept > 0 ? kept - 1 : 0];

		if (kept > 0 && compare_edges(last, e, rank) == 0) {
			last->count = sum(last->count, e->count);
			last->mispreds = sum(last->mispreds, e->mispreds);
		} else {
			f->edges[kept++] = *e;
		}
	}
	f->n_edges = kept;
	pgo_free(rank);
	return 0;
}

/* ------------------------------------------------------------------ reading */

struct reader {
	struct pgo_fdata *f;
	const char *what;
	struct pgo_err *err;
	uint64_t line;
	const char *at, *end; /* of the line */
	struct pgo_buf name;  /* unescaped */
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

/* One blank between fields, none at the ends. */
static int blank(struct reader *r)
{
	if (r->at == r->end || *r->at != ' ')
		return bad(r, "a blank and a further field should follow");
	r->at++;
	return 0;
}

static int read_type(struct reader *r, uint32_t *ret)
{
	if (r->at == r->end || *r->at < '0' || *r->at > '5')
		return bad(r, "a record should begin with its type, 0 to 5");
	*ret = (uint32_t)(*r->at++ - '0');
	return blank(r);
}

static int read_name(struct reader *r, uint32_t type, uint32_t *ret)
{
	uint32_t id;

	pgo_buf_clear(&r->name);
	while (r->at < r->end && *r->at != ' ') {
		if (*r->at == '\\') {
			r->at++;
			if (r->at == r->end || (*r->at != ' ' && *r->at != '\\'))
				return bad(r, "a backslash in a name that escapes nothing");
		}
		pgo_buf_putc(&r->name, *r->at++);
	}
	if (r->name.failed)
		return out_of_memory(r);
	if (r->name.len == 0)
		return bad(r, "a name is missing");
	if (type % 3 == 0 && strcmp(r->name.data, UNKNOWN) == 0)
		r->name.len = 0;
	id = pgo_strtab_add(&r->f->strs, r->name.data, r->name.len);
	if (id == PGO_STR_NONE)
		return out_of_memory(r);
	*ret = id;
	return blank(r);
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* Up to the next blank or the end of the line. */
static int read_number(struct reader *r, unsigned base, uint64_t max, uint64_t *ret)
{
	const char *start = r->at;
	uint64_t v = 0;

	for (; r->at < r->end && *r->at != ' '; r->at++) {
		unsigned digit = (unsigned)digit_of(*r->at);

		if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, digit, &v) || v > max)
			return bad(r, base == 16 ? "an offset should be hexadecimal, without 0x"
						 : "a count should be decimal, below 2^63");
	}
	if (r->at == start)
		return bad(r, "a number is missing");
	*ret = v;
	return 0;
}

static int read_loc(struct reader *r, struct pgo_fdata_loc *loc)
{
	uint32_t type = 0;
	int rc = read_type(r, &type);

	if (rc == 0)
		rc = read_name(r, type, &loc->name);
	if (rc == 0)
		rc = read_number(r, 16, UINT64_MAX, &loc->offset);
	loc->known = type;
	return rc;
}

static int read_count(struct reader *r, uint64_t *ret)
{
	int rc = blank(r);

	return rc < 0 ? rc : read_number(r, 10, PGO_FDATA_COUNT_MAX, ret);
}

static int read_record(struct reader *r)
{
	struct pgo_fdata_edge e = {0};
	bool memory;
	int rc = read_loc(r, &e.from);

	if (rc < 0)
		return rc;
	memory = e.from.known >= 3;
	if (!r->f->no_lbr || memory) {
		rc = blank(r);
		if (rc == 0)
			rc = read_loc(r, &e.to);
		if (rc == 0 && (e.to.known >= 3) != memory)
			rc = bad(r, "a branch on one side and a memory access on the other");
		if (rc == 0 && !memory)
			rc = read_count(r, &e.mispreds);
	}
	if (rc == 0)
		rc = read_count(r, &e.count);
	if (rc < 0)
		return rc;
	if (r->at != r->end)
		return bad(r, "more fields than a record has");
	if (memory) {
		r->f->n_memory++;
		return 0;
	}
	return pgo_fdata_add(r->f, e.from, e.to, e.mispreds, e.count) < 0 ? out_of_memory(r) : 0;
}

static bool is_word(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - at) >= len && memcmp(at, word, len) == 0 &&
	       ((size_t)(end - at) == len || at[len] == ' ');
}

/* 1 if the line was a header. */
static int read_header(struct reader *r)
{
	static const char no_lbr[] = "no_lbr", bolted[] = "boltedcollection";
	struct pgo_fdata *f = r->f;

	if (f->n_edges != 0 || f->n_memory != 0)
		return 0;
	if (!f->bolted && is_word(r->at, r->end, bolted) &&
		(size_t)(r->end - r->at) == sizeof bolted - 1) {
		f->bolted = true;
		return 1;
	}
	if (f->no_lbr || !is_word(r->at, r->end, no_lbr))
		return 0;
	f->no_lbr = true;
	r->at += sizeof no_lbr - 1;
	if (r->at < r->end)
		f->events = pgo_strtab_add(&f->strs, r->at + 1, (size_t)(r->end - r->at - 1));
	if (f->events == PGO_STR_NONE) {
		f->events = 0;
		return out_of_memory(r);
	}
	return 1;
}

/* The next line, without its end: 1, 0 at the end of the file. */
static int next_line(struct reader *r, const char **at, const char *end)
{
	if (*at == end)
		return 0;
	r->line++;
	r->at = *at;
	r->end = memchr(*at, '\n', (size_t)(end - *at));
	if (r->end == NULL)
		return bad(r, "the last line has no end: the file seems cut off");
	if (memchr(r->at, '\0', (size_t)(r->end - r->at)) != NULL)
		return bad(r, "a zero byte: this is not text");
	*at = r->end + 1;
	return 1;
}

int pgo_fdata_read_headers(struct pgo_fdata *f, const char *what, const void *data, size_t len,
	size_t *ret_len, uint64_t *ret_lines, struct pgo_err *err)
{
	struct reader r = {.f = f, .what = what, .err = err};
	const char *at = data, *end = at + len;
	int rc;

	for (*ret_len = *ret_lines = 0;; ++*ret_lines) {
		rc = next_line(&r, &at, end);
		if (rc == 1)
			rc = read_header(&r);
		if (rc <= 0)
			return rc;
		*ret_len = (size_t)(at - (const char *)data);
	}
}

int pgo_fdata_add_line(struct pgo_fdata *f, const char *what, uint64_t line, const char *text,
	size_t len, struct pgo_err *err)
{
	struct reader r = {f, what, err, line - 1, NULL, NULL, {0}};
	int rc;

	pgo_buf_init(&r.name, (size_t)1 << 24);
	rc = next_line(&r, &text, text + len);
	if (rc == 1)
		rc = read_record(&r);
	pgo_buf_fini(&r.name);
	return rc;
}

struct pgo_fdata *pgo_fdata_read(
	const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct reader r = {.what = what, .err = err};
	const char *at = data, *end = at + len;
	int rc;

	r.f = pgo_fdata_new(err);
	if (r.f == NULL)
		return NULL;
	pgo_buf_init(&r.name, (size_t)1 << 24);
	while ((rc = next_line(&r, &at, end)) == 1) {
		rc = read_header(&r);
		if (rc == 0)
			rc = read_record(&r);
		if (rc < 0)
			break;
	}
	if (rc >= 0 && r.f->n_edges == 0 && r.f->n_memory == 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s: no record", what);
	pgo_buf_fini(&r.name);
	if (rc < 0) {
		pgo_fdata_free(r.f);
		return NULL;
	}
	return r.f;
}

bool pgo_fdata_probe(const void *head, size_t len)
{
	const char *s = head, *nl = len != 0 ? memchr(s, '\n', len) : NULL;
	struct pgo_fdata *f;
	bool yes;

	if (nl == NULL)
		return false;
	len = (size_t)(nl - s);
	if (is_word(s, s + len, "no_lbr") || (len == 16 && memcmp(s, "boltedcollection", len) == 0))
		return true;
	if (len < 8 || s[0] < '0' || s[0] > '5' || s[1] != ' ')
		return false;
	f = pgo_fdata_read("", s, len + 1, NULL);
	yes = f != NULL;
	pgo_fdata_free(f);
	return yes;
}

/* ------------------------------------------------------------------ writing */

/* Each of these writes at `at` and gives the place after it; the caller has made room. */
static char *put_number(char *at, uint64_t v, unsigned base)
{
	char digits[24];
	size_t i = sizeof digits;

	do
		digits[--i] = "0123456789abcdef"[v % base];
	while ((v /= base) != 0);
	memcpy(at, digits + i, sizeof digits - i);
	return at + (sizeof digits - i);
}

static char *put_name(char *at, const struct pgo_str *s)
{
	for (size_t i = 0; i < s->len; i++) {
		if (s->s[i] == ' ' || s->s[i] == '\\')
			*at++ = '\\';
		*at++ = s->s[i];
	}
	return at;
}

static char *put_loc(const struct pgo_fdata *f, const struct pgo_fdata_loc *loc, char *at)
{
	static const struct pgo_str unknown = {UNKNOWN, sizeof UNKNOWN - 1, 0};

	*at++ = (char)('0' + loc->known);
	*at++ = ' ';
	at = put_name(at, loc->name != 0 ? &f->strs.strs[loc->name] : &unknown);
	*at++ = ' ';
	at = put_number(at, loc->offset, 16);
	*at++ = ' ';
	return at;
}

static uint64_t readable(uint64_t count)
{
	return count < PGO_FDATA_COUNT_MAX ? count : PGO_FDATA_COUNT_MAX;
}

static int check_loc(
	const struct pgo_fdata *f, const struct pgo_fdata_loc *loc, struct pgo_err *err)
{
	const struct pgo_str *s = &f->strs.strs[loc->name];

	if (loc->name == 0 && loc->known != 0)
		return pgo_err_set(err, PGO_EMISMATCH, "a function without a name");
	if (memchr(s->s, '\n', s->len) != NULL)
		return pgo_err_set(err, PGO_EMISMATCH,
			"a .fdata line cannot hold a name with a line end: %s", s->s);
	return 0;
}

static int put_edge(const struct pgo_fdata *f, const struct pgo_fdata_edge *e, struct pgo_buf *out,
	struct pgo_err *err)
{
	/* Two types, offsets and counts, blanks, and names that are all escapes. */
	size_t room =
		128 + 2 * ((size_t)f->strs.strs[e->from.name].len + f->strs.strs[e->to.name].len);
	int rc = check_loc(f, &e->from, err);
	char *line, *at;

	if (rc == 0 && !f->no_lbr)
		rc = check_loc(f, &e->to, err);
	line = rc == 0 ? pgo_buf_reserve(out, room) : NULL;
	if (line == NULL)
		return rc; /* the buffer remembers */
	at = put_loc(f, &e->from, line);
	if (!f->no_lbr) {
		at = put_loc(f, &e->to, at);
		at = put_number(at, readable(e->mispreds), 10);
		*at++ = ' ';
	}
	at = put_number(at, readable(e->count), 10);
	*at++ = '\n';
	out->len += (size_t)(at - line);
	out->data[out->len] = '\0';
	return 0;
}

int pgo_fdata_write(const struct pgo_fdata *f, struct pgo_buf *out, struct pgo_err *err)
{
	bool counts = false;
	int rc = 0;

	for (size_t i = 0; i < f->n_edges && !counts; i++)
		counts = f->edges[i].count != 0;
	if (!counts)
		return pgo_err_set(err, PGO_EEMPTY, "no edge has a count");
	/* llvm-bolt wants no_lbr first; merge-fdata the other order, of a pair that is rare. */
	if (f->no_lbr) {
		pgo_buf_puts(out, "no_lbr");
		if (f->events != 0) {
			pgo_buf_putc(out, ' ');
			pgo_buf_puts(out, pgo_strtab_get(&f->strs, f->events));
		}
		pgo_buf_putc(out, '\n');
	}
	if (f->bolted)
		pgo_buf_puts(out, "boltedcollection\n");
	for (size_t i = 0; i < f->n_edges && rc == 0; i++)
		rc = put_edge(f, &f->edges[i], out, err);
	return rc < 0 ? rc : pgo_buf_check(out, "the .fdata file", err);
}
