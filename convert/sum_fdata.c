/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of .fdata added up.  What stands before a line's counts is its key, compared as text: only a
 * text that was not seen before is parsed.  Files of one program come in much the same order, so the
 * line that followed in the last file is tried first, and seldom a hash is needed.
 */
#include "convert/fdata.h"
#include "convert/sum_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/arena.h"
#include "pgo/core/file.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Texts of distinct lines. */
#define KEYS_BUDGET ((size_t)16 << 30)
/* Instead of an edge. */
#define MEMORY UINT32_MAX
#define LINE_MAX_BYTES ((size_t)1 << 26)

struct line {
	const char *key;
	uint32_t len;
	uint32_t edge; /* index in the sum; MEMORY: an access to memory, kept as text */
	uint64_t mispreds, count;
};

struct pgo_sum_lines {
	struct pgo_fdata *sum; /* headers, and an edge for every line but memory's */
	bool have_head;
	char *first; /* its name */
	struct pgo_arena keys;
	struct line *lines;
	size_t n_lines, lines_room;
	struct pgo_map map;
	bool saturated;
};

struct pgo_sum_lines *pgo_sum_lines_new(struct pgo_err *err)
{
	struct pgo_sum_lines *s = pgo_calloc(1, sizeof *s);

	if (s == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	pgo_arena_init(&s->keys, KEYS_BUDGET);
	pgo_map_init(&s->map);
	s->sum = pgo_fdata_new(err);
	if (s->sum == NULL) {
		pgo_sum_lines_free(s);
		return NULL;
	}
	return s;
}

void pgo_sum_lines_free(struct pgo_sum_lines *s)
{
	if (s == NULL)
		return;
	pgo_fdata_free(s->sum);
	pgo_arena_fini(&s->keys);
	pgo_map_fini(&s->map);
	pgo_free(s->lines);
	pgo_free(s->first);
	pgo_free(s);
}

/* ---------------------------------------------------------------- headers */

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of events are a set: the result names those of all files. */
static int add_events(struct pgo_fdata *head, const char *more, struct pgo_err *err)
{
	const char *have = pgo_strtab_get(&head->strs, head->events);
	struct pgo_paths words = {0};
	struct pgo_buf text;
	int rc = 0;

	if (strcmp(have, more) == 0)
		return 0;
	pgo_buf_init(&text, (size_t)1 << 20);
	for (int i = 0; i < 2 && rc == 0; i++)
		for (const char *at = i == 0 ? have : more; *at != '\0' && rc == 0;) {
			size_t len = strcspn(at, " ");

			pgo_buf_clear(&text);
			pgo_buf_add(&text, at, len);
			rc = text.failed ? pgo_err_nomem(err)
			     : len == 0  ? 0
					 : pgo_paths_add(&words, text.data, err);
			at += len + strspn(at + len, " ");
		}
	pgo_buf_clear(&text);
	if (words.n > 1)
		qsort(words.path, words.n, sizeof *words.path, by_bytes);
	for (size_t i = 0; i < words.n && rc == 0; i++)
		if (i == 0 || strcmp(words.path[i - 1], words.path[i]) != 0)
			pgo_buf_printf(&text, "%s%s", text.len != 0 ? " " : "", words.path[i]);
	if (rc == 0) {
		head->events = pgo_strtab_add(&head->strs, text.data, text.len);
		if (text.failed || head->events == PGO_STR_NONE)
			rc = pgo_err_nomem(err);
	}
	pgo_paths_free(&words);
	pgo_buf_fini(&text);
	return rc;
}

static int join_head(struct pgo_sum_lines *s, const struct pgo_fdata *head, const char *what,
	struct pgo_err *err)
{
	const char *events = pgo_strtab_get(&head->strs, head->events);

	if (!s->have_head) {
		s->have_head = true;
		s->sum->no_lbr = head->no_lbr;
		s->sum->bolted = head->bolted;
		s->sum->events = pgo_strtab_puts(&s->sum->strs, events);
		s->first = pgo_strdup(what);
		return s->first == NULL || s->sum->events == PGO_STR_NONE ? pgo_err_nomem(err) : 0;
	}
	if (s->sum->no_lbr != head->no_lbr)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s has %s, %s has %s: merge each kind by itself", what,
			head->no_lbr ? "samples (no_lbr)" : "branches", s->first,
			s->sum->no_lbr ? "samples (no_lbr)" : "branches");
	if (s->sum->bolted != head->bolted)
		return pgo_err_set(err, PGO_EMISMATCH,
			"%s is of %s program, %s of %s: merge each kind by itself", what,
			head->bolted ? "a BOLTed" : "an original", s->first,
			s->sum->bolted ? "a BOLTed one" : "an original one");
	return *events != '\0' ? add_events(s->sum, events, err) : 0;
}

/* ---------------------------------------------------------------- lines */

struct key {
	const char *text;
	uint32_t len;
};

static bool line_eq(const void *ctx, uint32_t index, const void *key)
{
	const struct pgo_sum_lines *s = ctx;
	const struct key *k = key;

	return s->lines[index].len == k->len && memcmp(s->lines[index].key, k->text, k->len) == 0;
}

/* Takes " DIGITS" off the end of at[0..*len); false if that is not what is there. */
static bool take_count(const char *at, size_t *len, uint64_t *ret)
{
	uint64_t v = 0, unit = 1;
	size_t i = *len;

	for (; i > 0 && at[i - 1] >= '0' && at[i - 1] <= '9'; i--) {
		if (*len - i == 19)
			return false;
		v += unit * (uint64_t)(at[i - 1] - '0');
		unit *= 10;
	}
	if (i == *len || i == 0 || at[i - 1] != ' ' || v > PGO_FDATA_COUNT_MAX)
		return false;
	*len = i - 1;
	*ret = v;
	return true;
}

static uint64_t add_count(struct pgo_sum_lines *s, uint64_t a, uint64_t b)
{
	if (b <= PGO_FDATA_COUNT_MAX && a <= PGO_FDATA_COUNT_MAX - b)
		return a + b;
	s->saturated = true;
	return PGO_FDATA_COUNT_MAX;
}

/* A line, with its counts and its end, whose key was not seen before: parsing it says what is wrong
 * with it. */
static int new_line(struct pgo_sum_lines *s, const char *what, uint64_t number, const char *at,
	size_t len, const struct key *k, uint64_t hash, struct pgo_err *err)
{
	size_t edges = s->sum->n_edges;
	int rc = pgo_fdata_add_line(s->sum, what, number, at, len, err);
	struct line *l;

	if (rc < 0)
		return rc;
	l = PGO_VEC_PUSH(s->lines, s->n_lines, s->lines_room);
	if (l == NULL)
		return pgo_err_nomem(err);
	*l = (struct line){pgo_arena_strndup(&s->keys, k->text, k->len), k->len,
		s->sum->n_edges != edges ? (uint32_t)edges : MEMORY, 0, 0};
	if (l->key == NULL || s->n_lines >= PGO_MAP_NONE ||
		pgo_map_add(&s->map, hash, (uint32_t)(s->n_lines - 1)) < 0)
		return pgo_err_nomem(err);
	return 0;
}

/* The row of that key, `guess` if it is that one; PGO_MAP_NONE if there is none. */
static uint32_t find_line(
	const struct pgo_sum_lines *s, const struct key *k, uint32_t guess, uint64_t *ret_hash)
{
	if (guess < s->n_lines && line_eq(s, guess, k))
		return guess;
	*ret_hash = pgo_hash(k->text, k->len);
	return pgo_map_find(&s->map, *ret_hash, line_eq, s, k);
}

/* One line with its end, `len` bytes. */
static int add_line(struct pgo_sum_lines *s, const char *what, uint64_t number, const char *at,
	size_t len, uint64_t weight, uint32_t *guess, struct pgo_err *err)
{
	bool memory = at[0] >= '3' && at[0] <= '5';
	uint64_t count = 0, mispreds = 0, hash = 0;
	size_t key_len = len - 1;
	bool counts = take_count(at, &key_len, &count) &&
		      (memory || s->sum->no_lbr || take_count(at, &key_len, &mispreds));
	struct key k = {at, (uint32_t)key_len};
	uint32_t i = PGO_MAP_NONE;
	int rc;

	if (counts && key_len <= UINT32_MAX)
		i = find_line(s, &k, *guess, &hash);
	if (i == PGO_MAP_NONE) {
		rc = new_line(s, what, number, at, len, &k, hash, err);
		if (rc < 0)
			return rc;
		i = (uint32_t)(s->n_lines - 1);
	}
	*guess = i + 1;
	s->lines[i].count = add_count(s, s->lines[i].count, pgo_sat_mul(count, weight));
	s->lines[i].mispreds = add_count(s, s->lines[i].mispreds, pgo_sat_mul(mispreds, weight));
	return 0;
}

int pgo_sum_lines_add(struct pgo_sum_lines *s, const char *what, const struct pgo_buf *data,
	uint64_t weight, uint64_t *ret_records, struct pgo_err *err)
{
	const char *at = data->data, *end = at + data->len, *nl;
	struct pgo_fdata *head = pgo_fdata_new(err);
	uint64_t number = 0, records = 0;
	uint32_t guess = 0;
	size_t skip = 0;
	int rc = head != NULL ? 0 : err->code;

	if (rc == 0)
		rc = pgo_fdata_read_headers(head, what, data->data, data->len, &skip, &number, err);
	if (rc == 0)
		rc = join_head(s, head, what, err);
	for (at += skip; rc == 0 && at < end; at = nl + 1, records++) {
		nl = memchr(at, '\n', (size_t)(end - at));
		number++;
		rc = nl != NULL ? add_line(s, what, number, at, (size_t)(nl + 1 - at), weight,
					  &guess, err)
				: pgo_fdata_add_line(s->sum, what, number, at, (size_t)(end - at),
					  err); /* says so */
		if (nl == NULL)
			break;
	}
	if (rc == 0 && records == 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s: no record", what);
	pgo_fdata_free(head);
	*ret_records = records;
	return rc;
}

/* A line of another table: its key with counts of 0, so that one parser knows the format. */
static int carry_line(struct pgo_sum_lines *s, const struct line *l, const struct key *k,
	uint64_t hash, struct pgo_buf *text, struct pgo_err *err)
{
	int rc;

	pgo_buf_clear(text);
	pgo_buf_add(text, l->key, l->len);
	pgo_buf_puts(text, s->sum->no_lbr || l->edge == MEMORY ? " 0\n" : " 0 0\n");
	rc = pgo_buf_check(text, "a line", err);
	return rc == 0 ? new_line(s, "a sum", 1, text->data, text->len, k, hash, err) : rc;
}

int pgo_sum_lines_join(
	struct pgo_sum_lines *s, const struct pgo_sum_lines *from, struct pgo_err *err)
{
	uint32_t guess = 0;
	struct pgo_buf text;
	int rc = from->have_head ? join_head(s, from->sum, from->first, err) : 0;

	pgo_buf_init(&text, LINE_MAX_BYTES);
	for (size_t j = 0; j < from->n_lines && rc == 0; j++) {
		const struct line *l = &from->lines[j];
		struct key k = {l->key, l->len};
		uint64_t hash = 0;
		uint32_t i = find_line(s, &k, guess, &hash);

		if (i == PGO_MAP_NONE) {
			rc = carry_line(s, l, &k, hash, &text, err);
			i = (uint32_t)(s->n_lines - 1);
		}
		if (rc < 0)
			break;
		guess = i + 1;
		s->lines[i].count = add_count(s, s->lines[i].count, l->count);
		s->lines[i].mispreds = add_count(s, s->lines[i].mispreds, l->mispreds);
	}
	s->saturated |= from->saturated;
	pgo_buf_fini(&text);
	return rc;
}

/* ---------------------------------------------------------------- the result */

static int by_key(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int c = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);

	return c != 0 ? c : x->len < y->len ? -1 : x->len > y->len;
}

/* Memory accesses stand behind the edges, in byte order. */
static uint64_t write_memory(struct pgo_sum_lines *s, struct pgo_buf *out)
{
	uint64_t n = 0;

	if (s->n_lines > 1)
		qsort(s->lines, s->n_lines, sizeof *s->lines, by_key);
	for (size_t i = 0; i < s->n_lines; i++) {
		if (s->lines[i].edge != MEMORY || s->lines[i].count == 0)
			continue;
		pgo_buf_add(out, s->lines[i].key, s->lines[i].len);
		pgo_buf_printf(out, " %" PRIu64 "\n", s->lines[i].count);
		n++;
	}
	return n;
}

int pgo_sum_lines_write(struct pgo_sum_lines *s, struct pgo_sum *ret, struct pgo_err *err)
{
	int rc;

	for (size_t i = 0; i < s->n_lines; i++)
		if (s->lines[i].edge != MEMORY) {
			s->sum->edges[s->lines[i].edge].count = s->lines[i].count;
			s->sum->edges[s->lines[i].edge].mispreds = s->lines[i].mispreds;
		}
	rc = pgo_fdata_sort(s->sum, err);
	if (rc == 0)
		rc = pgo_fdata_write(s->sum, &ret->data, err);
	if (rc < 0)
		return rc;
	ret->records_out = s->sum->n_edges + write_memory(s, &ret->data);
	ret->saturated = s->saturated;
	ret->format = "fdata";
	return pgo_buf_check(&ret->data, "the .fdata file", err);
}
