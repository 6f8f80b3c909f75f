/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partial -> the tables of a merger.  What the file says is interned like what another thread
 * found; ids in the file are positions in its tables.  No count in the file is believed before as
 * many elements have come.
 */
#include "merge/partial.h"
#include "merge/partial_impl.h"
#include "merge/wide.h"
#include "pgo/core/file.h"
#include "pgo/core/inflate.h"
#include "pgo/core/sha256.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROOM ((size_t)64 << 10)
#define INFLATED_MAX ((uint64_t)256 << 30)
#define TEXT_MAX ((uint64_t)16 << 20) /* bytes of one string */
#define COLUMNS_MAX 4096
#define STACK_MAX ((uint64_t)1 << 24)       /* frames of a stack */
#define BLOCK_LOCS_MAX ((uint64_t)64 << 20) /* frames of a block */
#define LINE_TEXT_MAX ((size_t)12 << 30)    /* bytes of a file of lines */

/* Ids of the file -> ids of the tables. */
struct ids {
	uint32_t *id;
	size_t n, room;
};

struct pgo_partial_reader {
	char *name;
	struct pgo_stream *stream;
	struct pgo_buf bytes; /* decoded from text */
	struct pgo_partial_head head;
	uint8_t *buf;
	size_t at, len, hashed;
	uint64_t offset; /* of buf[0] in the inflated data */
	struct pgo_sha256 sha;
	bool loaded;
	/* While loading. */
	struct pgo_merge *m;
	struct pgo_value_type *types; /* of the columns */
	uint64_t *factor;             /* what brings each to the unit of the tables */
	uint64_t times;               /* and what all sums are multiplied by */
	size_t types_room, factor_room;
	struct ids str, column, mapping, function, location, labels;
	struct pgo_line *lines;
	struct pgo_label *label;
	size_t lines_room, label_room;
	/* A block. */
	uint32_t *shared, *own, *set, *loc, *prev;
	size_t loc_room, prev_room;
	pgo_i128 *sums; /* per column, all rows of the block */
};

static int damaged(const struct pgo_partial_reader *r, const char *what, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"%s: damaged before byte %" PRIu64 ": %s; make the partial again", r->name,
		r->offset + r->at, what);
}

/* ---------------------------------------------------------------- bytes */

static void hash_taken(struct pgo_partial_reader *r)
{
	pgo_sha256_add(&r->sha, r->buf + r->hashed, r->at - r->hashed);
	r->hashed = r->at;
}

/* More bytes into the empty buffer; 0 at the end. */
static int refill(struct pgo_partial_reader *r, struct pgo_err *err)
{
	int64_t n;

	hash_taken(r);
	r->offset += r->len;
	r->at = r->hashed = r->len = 0;
	n = pgo_stream_read(r->stream, r->buf, ROOM, err);
	if (n < 0)
		return (int)n;
	r->len = (size_t)n;
	return n > 0;
}

static int take_byte(struct pgo_partial_reader *r, uint8_t *ret, struct pgo_err *err)
{
	if (r->at == r->len) {
		int rc = refill(r, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			return pgo_err_set(err, PGO_EFORMAT,
				"%s: the partial is cut off after %" PRIu64
				" bytes; copy or make it again",
				r->name, r->offset);
	}
	*ret = r->buf[r->at++];
	return 0;
}

static int take_bytes(struct pgo_partial_reader *r, void *to, size_t n, struct pgo_err *err)
{
	uint8_t *p = to;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = take_byte(r, &p[i], err);
	return rc;
}

static int take_wide(
	struct pgo_partial_reader *r, unsigned __int128 *ret, unsigned bits, struct pgo_err *err)
{
	unsigned __int128 v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; b >= 0x80; shift += 7) {
		int rc = take_byte(r, &b, err);

		if (rc < 0)
			return rc;
		if (shift >= bits || (bits - shift < 7 && (b & 0x7f) >> (bits - shift) != 0))
			return damaged(r, "a number is too large", err);
		v |= (unsigned __int128)(b & 0x7f) << shift;
	}
	*ret = v;
	return 0;
}

static int take(struct pgo_partial_reader *r, uint64_t *ret, struct pgo_err *err)
{
	unsigned __int128 v;
	int rc;

	/* Nearly all numbers have one byte or two. */
	if (r->len - r->at >= 2 && r->buf[r->at + 1] < 0x80 && r->buf[r->at] >= 0x80) {
		*ret = (r->buf[r->at] & 0x7fu) | (uint64_t)r->buf[r->at + 1] << 7;
		r->at += 2;
		return 0;
	}
	rc = take_wide(r, &v, 64, err);
	if (rc == 0)
		*ret = (uint64_t)v;
	return rc;
}

/* A number below `limit`. */
static int take_below(struct pgo_partial_reader *r, uint64_t limit, const char *what, uint64_t *ret,
	struct pgo_err *err)
{
	int rc = take(r, ret, err);

	if (rc == 0 && *ret >= limit)
		rc = damaged(r, what, err);
	return rc;
}

static int take_i128(struct pgo_partial_reader *r, pgo_i128 *ret, struct pgo_err *err)
{
	unsigned __int128 v;
	int rc = take_wide(r, &v, 128, err);

	if (rc == 0)
		*ret = pgo_mt_unzigzag(v);
	return rc;
}

static int take_i64(struct pgo_partial_reader *r, int64_t *ret, struct pgo_err *err)
{
	pgo_i128 v = 0;
	int rc = take_i128(r, &v, err);

	if (rc < 0)
		return rc;
	if (v > INT64_MAX || v < INT64_MIN)
		return damaged(r, "a number is too large", err);
	*ret = (int64_t)v;
	return 0;
}

/* `n` bytes to the end of `to`, as they come. */
static int take_tail(
	struct pgo_partial_reader *r, struct pgo_buf *to, uint64_t n, struct pgo_err *err)
{
	while (n != 0) {
		size_t some;
		uint8_t first;
		int rc = take_byte(r, &first, err);

		if (rc < 0)
			return rc;
		r->at--;
		some = r->len - r->at < n ? r->len - r->at : (size_t)n;
		pgo_buf_add(to, r->buf + r->at, some);
		r->at += some;
		n -= some;
	}
	return pgo_buf_check(to, r->name, err);
}

/* Gives a string without NULs in it. */
static int take_text(struct pgo_partial_reader *r, char **ret, struct pgo_err *err)
{
	struct pgo_buf b;
	uint64_t n;
	int rc = take_below(r, TEXT_MAX, "a text is too long", &n, err);

	if (rc < 0)
		return rc;
	pgo_buf_init(&b, TEXT_MAX + 1);
	rc = take_tail(r, &b, n, err);
	if (rc == 0 && b.len != 0 && memchr(b.data, '\0', b.len) != NULL)
		rc = damaged(r, "a text holds a zero byte", err);
	if (rc == 0 && (*ret = pgo_strdup(b.len != 0 ? b.data : "")) == NULL)
		rc = pgo_err_nomem(err);
	pgo_buf_fini(&b);
	return rc;
}

/* ---------------------------------------------------------------- head */

static int read_shards(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_partial_head *h = &r->head;
	uint64_t n, step, shard = 0;
	int rc = take(r, &n, err);

	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = take(r, &step, err);
		if (rc == 0 &&
			((i != 0 && step == 0) || __builtin_add_overflow(shard, step, &shard) ||
				shard >= h->n_shards))
			rc = damaged(r, "a shard is not one of the plan", err);
		if (rc == 0)
			rc = pgo_partial_add_shard(h, shard, err);
	}
	return rc;
}

static int cmp_input(const struct pgo_partial_input *a, const struct pgo_partial_input *b)
{
	int c = memcmp(a->digest, b->digest, sizeof a->digest);

	return c != 0 ? c : (a->part > b->part) - (a->part < b->part);
}

static int read_inputs(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_partial_head *h = &r->head;
	uint64_t n, part;
	int rc = take(r, &n, err);

	for (uint64_t i = 0; i < n && rc == 0; i++) {
		struct pgo_partial_input in = {.part = 0};

		rc = take_bytes(r, in.digest, sizeof in.digest, err);
		if (rc == 0)
			rc = take_below(r, PGO_NONE, "the part of an input", &part, err);
		if (rc < 0)
			break;
		in.part = (uint32_t)part;
		if (i != 0 && cmp_input(&h->inputs[i - 1], &in) >= 0)
			rc = damaged(r, "its inputs are not in order", err);
		if (rc == 0)
			rc = pgo_partial_add_input(h, &in, err);
	}
	return rc;
}

static int read_host(struct pgo_partial_reader *r, struct pgo_err *err)
{
	char *unit = NULL, *host = NULL;
	uint64_t inputs = 0;
	pgo_i128 mass = 0;
	int rc = take_text(r, &unit, err);

	if (rc == 0)
		rc = take_text(r, &host, err);
	if (rc == 0)
		rc = take_i128(r, &mass, err);
	if (rc == 0)
		rc = take(r, &inputs, err);
	if (rc == 0)
		rc = pgo_partial_add_host(&r->head, unit, host, mass, inputs, err);
	pgo_free(unit);
	pgo_free(host);
	return rc;
}

static int read_lists(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint64_t n = 0;
	int64_t day;
	int rc = read_shards(r, err);

	if (rc == 0)
		rc = read_inputs(r, err);
	if (rc == 0)
		rc = take(r, &n, err);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = read_host(r, err);
	if (rc == 0)
		rc = take(r, &n, err);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = take_i64(r, &day, err);
		if (rc == 0)
			rc = pgo_partial_add_day(&r->head, day, err);
	}
	return rc;
}

static int read_version(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint8_t magic[PGO_PARTIAL_MAGIC_LEN];
	uint64_t version;
	int rc = take_bytes(r, magic, sizeof magic, err);

	if (rc == 0 && memcmp(magic, PGO_PARTIAL_MAGIC, sizeof magic) != 0)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s is no partial; make one with pgo merge --shard", r->name);
	if (rc == 0)
		rc = take(r, &version, err);
	if (rc == 0 && version != PGO_PARTIAL_VERSION)
		rc = pgo_err_set(err, PGO_EFORMAT,
			"%s is a partial of version %" PRIu64
			", this program reads version %d; make all of them by one program",
			r->name, version, PGO_PARTIAL_VERSION);
	return rc;
}

static int read_head(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_partial_head *h = &r->head;
	uint64_t flag = 0;
	int rc = read_version(r, err);

	if (rc < 0 || (rc = take_text(r, &h->tool, err)) < 0 ||
		(rc = take_text(r, &h->plan, err)) < 0 || (rc = take(r, &h->n_shards, err)) < 0 ||
		(rc = take(r, &h->n_planned, err)) < 0 ||
		(rc = take_text(r, &h->options, err)) < 0 ||
		(rc = take_below(r, 2, "a flag", &flag, err)) < 0 ||
		(rc = take(r, &h->weight_one, err)) < 0 || (rc = read_lists(r, err)) < 0 ||
		(rc = take(r, &h->stats.profiles, err)) < 0 ||
		(rc = take(r, &h->stats.samples_in, err)) < 0 ||
		(rc = take(r, &h->stats.samples_zero, err)) < 0 ||
		(rc = take(r, &h->stats.samples_filtered, err)) < 0 ||
		(rc = take(r, &h->stats.locations_in, err)) < 0 ||
		(rc = take(r, &h->stats.locations_outside, err)) < 0)
		return rc;
	h->keep_labels = flag != 0;
	if (h->weight_one == 0)
		return damaged(r, "its unit of weight is 0", err);
	pgo_partial_head_sort(h);
	return 0;
}

/* ---------------------------------------------------------------- tables */

static int add_id(struct ids *ids, uint32_t id, struct pgo_err *err)
{
	uint32_t *to = id != PGO_NONE ? PGO_VEC_PUSH(ids->id, ids->n, ids->room) : NULL;

	if (to == NULL)
		return pgo_err_nomem(err);
	*to = id;
	return 0;
}

/* An id of the file, as one of the tables. */
static int take_id(struct pgo_partial_reader *r, const struct ids *ids, const char *what,
	uint32_t *ret, struct pgo_err *err)
{
	uint64_t v;
	int rc = take_below(r, ids->n, what, &v, err);

	if (rc == 0)
		*ret = ids->id[v];
	return rc;
}

static int take_str(struct pgo_partial_reader *r, uint32_t *ret, struct pgo_err *err)
{
	return take_id(r, &r->str, "a string is not in its table", ret, err);
}

static int read_strings(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_buf b;
	uint64_t n, shared, more;
	int rc = take(r, &n, err);

	pgo_buf_init(&b, TEXT_MAX);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = take(r, &shared, err);
		if (rc == 0)
			rc = take(r, &more, err);
		if (rc == 0 && (shared > b.len || more > TEXT_MAX))
			rc = damaged(r, "a string is too long", err);
		if (rc < 0)
			break;
		b.len = (size_t)shared;
		rc = take_tail(r, &b, more, err);
		if (rc == 0)
			rc = add_id(&r->str,
				pgo_strtab_add(&r->m->strs, b.data != NULL ? b.data : "", b.len),
				err);
	}
	pgo_buf_fini(&b);
	return rc;
}

static int read_columns(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint64_t n;
	int rc = take_below(r, COLUMNS_MAX, "there are too many columns", &n, err);

	if (rc == 0 && (PGO_VEC_RESERVE(r->types, r->types_room, n + 1) < 0 ||
			       PGO_VEC_RESERVE(r->factor, r->factor_room, n + 1) < 0))
		rc = pgo_err_nomem(err);
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = take_str(r, &r->types[i].type, err);
		if (rc == 0)
			rc = take_str(r, &r->types[i].unit, err);
		if (rc == 0)
			rc = add_id(&r->column, 0, err);
	}
	/* Twice: joining one column may bring another to a finer unit. */
	for (uint64_t i = 0; i < 2 * n && rc == 0; i++)
		rc = pgo_mt_join_column(
			r->m, &r->types[i % n], &r->column.id[i % n], &r->factor[i % n], err);
	return rc;
}

static int read_header(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_mt_header h = {0};
	uint64_t n, main, has_id;
	uint32_t id;
	int rc;

	if ((rc = take_str(r, &h.period.type, err)) < 0 ||
		(rc = take_str(r, &h.period.unit, err)) < 0 ||
		(rc = take_i64(r, &h.period.period, err)) < 0 ||
		(rc = take_str(r, &h.lbr_period.type, err)) < 0 ||
		(rc = take_str(r, &h.lbr_period.unit, err)) < 0 ||
		(rc = take_i64(r, &h.lbr_period.period, err)) < 0 ||
		(rc = take_i64(r, &h.time_ns, err)) < 0 ||
		(rc = take_i64(r, &h.duration_ns, err)) < 0 ||
		(rc = take_str(r, &h.drop_frames, err)) < 0 ||
		(rc = take_str(r, &h.keep_frames, err)) < 0 ||
		(rc = take_str(r, &h.doc_url, err)) < 0 ||
		(rc = take_str(r, &h.default_type, err)) < 0 ||
		(rc = take_below(r, 2, "a flag", &main, err)) < 0 ||
		(rc = take_below(r, 2, "a flag", &has_id, err)) < 0 ||
		(rc = take_str(r, &h.main_ident, err)) < 0 ||
		(rc = take_str(r, &h.main_filename, err)) < 0 || (rc = read_columns(r, err)) < 0 ||
		(rc = take(r, &n, err)) < 0)
		return rc;
	h.has_main = main != 0;
	h.main_has_id = (uint32_t)has_id;
	for (uint64_t i = 0; i < n && rc == 0; i++) {
		rc = take_str(r, &id, err);
		if (rc == 0 && pgo_mt_join_comment(r->m, id) < 0)
			rc = pgo_err_nomem(err);
	}
	/* An empty partial has seen no header, not one that is empty. */
	if (rc == 0 && r->head.stats.profiles != 0)
		pgo_mt_combine_headers(r->m, &h);
	return rc;
}

static int read_mapping(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_mt_mapping map;
	uint64_t bits;
	int rc;

	memset(&map, 0, sizeof map);
	if ((rc = take_below(r, 64, "the kind of a mapping", &bits, err)) < 0 ||
		(rc = take(r, &map.size, err)) < 0 || (rc = take(r, &map.offset, err)) < 0 ||
		(rc = take(r, &map.start, err)) < 0 || (rc = take(r, &map.exact, err)) < 0 ||
		(rc = take_str(r, &map.ident, err)) < 0 ||
		(rc = take_str(r, &map.filename, err)) < 0)
		return rc;
	map.has_id = (bits & PGO_PARTIAL_HAS_ID) != 0;
	map.bare = (bits & PGO_PARTIAL_BARE) != 0;
	map.functions = (bits & PGO_PARTIAL_FUNCTIONS) != 0;
	map.filenames = (bits & PGO_PARTIAL_FILENAMES) != 0;
	map.line_numbers = (bits & PGO_PARTIAL_LINE_NUMBERS) != 0;
	map.inline_frames = (bits & PGO_PARTIAL_INLINE_FRAMES) != 0;
	return add_id(&r->mapping, pgo_mt_intern_mapping(r->m, &map), err);
}

static int read_function(struct pgo_partial_reader *r, struct pgo_err *err)
{
	struct pgo_mt_function fn;
	int rc;

	memset(&fn, 0, sizeof fn);
	if ((rc = take_str(r, &fn.name, err)) < 0 || (rc = take_str(r, &fn.system_name, err)) < 0 ||
		(rc = take_str(r, &fn.filename, err)) < 0 ||
		(rc = take_i64(r, &fn.start_line, err)) < 0)
		return rc;
	return add_id(&r->function, pgo_mt_intern_function(r->m, &fn), err);
}

static int read_line(struct pgo_partial_reader *r, size_t k, struct pgo_err *err)
{
	struct pgo_line *l;
	int rc;

	if (PGO_VEC_RESERVE(r->lines, r->lines_room, k + 1) < 0)
		return pgo_err_nomem(err);
	l = &r->lines[k];
	memset(l, 0, sizeof *l);
	rc = take_id(r, &r->function, "a function is not in its table", &l->function, err);
	if (rc == 0)
		rc = take_i64(r, &l->line, err);
	return rc == 0 ? take_i64(r, &l->column, err) : rc;
}

static int read_location(struct pgo_partial_reader *r, uint64_t *addr, struct pgo_err *err)
{
	struct pgo_mt_location loc;
	uint64_t map, flags, n;
	uint32_t id;
	int64_t step;
	int rc;

	memset(&loc, 0, sizeof loc);
	if ((rc = take_below(r, r->mapping.n + 1, "a mapping is not in its table", &map, err)) <
			0 ||
		(rc = take_below(r, 4, "the kind of a location", &flags, err)) < 0 ||
		(rc = take_i64(r, &step, err)) < 0 ||
		(rc = take_below(r, UINT32_MAX, "a location has too many lines", &n, err)) < 0)
		return rc;
	/* An address that is relative needs what it is relative to. */
	if (map == 0 && (flags & PGO_MT_RAW) == 0)
		return damaged(r, "an address has no mapping to lie in", err);
	*addr += (uint64_t)step;
	loc.addr = *addr;
	loc.mapping = map != 0 ? r->mapping.id[map - 1] : PGO_NONE;
	loc.flags = (uint32_t)flags;
	loc.n_lines = (uint32_t)n;
	for (size_t k = 0; k < n && rc == 0; k++)
		rc = read_line(r, k, err);
	if (rc == 0 && pgo_mt_intern_location(r->m, &loc, r->lines, &id) < 0)
		rc = pgo_err_nomem(err);
	return rc == 0 ? add_id(&r->location, id, err) : rc;
}

static int read_label_set(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint64_t n;
	uint32_t id;
	int rc = take_below(r, UINT32_MAX, "a sample has too many labels", &n, err);

	if (rc == 0 && n == 0)
		return damaged(r, "a set of labels is empty", err);
	for (size_t k = 0; k < n && rc == 0; k++) {
		struct pgo_label *l;

		if (PGO_VEC_RESERVE(r->label, r->label_room, k + 1) < 0)
			return pgo_err_nomem(err);
		l = &r->label[k];
		memset(l, 0, sizeof *l);
		if ((rc = take_str(r, &l->key, err)) == 0 &&
			(rc = take_str(r, &l->str, err)) == 0 &&
			(rc = take_i64(r, &l->num, err)) == 0)
			rc = take_str(r, &l->num_unit, err);
	}
	if (rc == 0 && pgo_mt_intern_labels(r->m, r->label, (uint32_t)n, &id) < 0)
		rc = pgo_err_nomem(err);
	return rc == 0 ? add_id(&r->labels, id, err) : rc;
}

static int read_tables(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint64_t n = 0, addr = 0;
	int rc = read_strings(r, err);

	if (rc == 0)
		rc = read_header(r, err);
	if (rc == 0)
		rc = take(r, &n, err);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = read_mapping(r, err);
	if (rc == 0)
		rc = take(r, &n, err);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = read_function(r, err);
	if (rc == 0)
		rc = take(r, &n, err);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = read_location(r, &addr, err);
	if (rc == 0)
		rc = take(r, &n, err);
	if (rc == 0 && n == 0)
		rc = damaged(r, "there is no set without labels", err);
	if (rc == 0)
		rc = add_id(&r->labels, 0, err);
	for (uint64_t i = 1; i < n && rc == 0; i++)
		rc = read_label_set(r, err);
	return rc;
}

/* ---------------------------------------------------------------- rows */

/* The frames of all rows of a block, one row after the other, from the root. */
static int read_frames(
	struct pgo_partial_reader *r, uint64_t n_rows, size_t *n_locs, struct pgo_err *err)
{
	uint64_t shared, own, len, before = 0, all = 0, frames = 0;
	int rc = 0;

	for (uint64_t i = 0; i < n_rows && rc == 0; i++) {
		rc = take(r, &shared, err);
		if (rc == 0)
			rc = take_below(r, STACK_MAX, "a stack is too deep", &own, err);
		if (rc < 0)
			break;
		len = shared + own;
		all += own;
		frames += len;
		if (shared > before || len >= STACK_MAX || frames > BLOCK_LOCS_MAX)
			return damaged(r, "a stack is too deep", err);
		r->shared[i] = (uint32_t)shared;
		r->own[i] = (uint32_t)own;
		before = len;
	}
	*n_locs = 0;
	for (uint64_t i = 0; i < all && rc == 0; i++) {
		if (PGO_VEC_RESERVE(r->loc, r->loc_room, i + 1) < 0)
			return pgo_err_nomem(err);
		rc = take_id(r, &r->location, "a location is not in its table", &r->loc[i], err);
		*n_locs = i + 1;
	}
	return rc;
}

static int read_sums(struct pgo_partial_reader *r, uint64_t n_rows, struct pgo_err *err)
{
	int rc = 0;

	for (uint64_t i = 0; i < n_rows && rc == 0; i++)
		rc = take_id(r, &r->labels, "a set of labels is not in its table", &r->set[i], err);
	for (size_t c = 0; c < r->column.n; c++)
		for (uint64_t i = 0; i < n_rows && rc == 0; i++)
			rc = take_i128(r, &r->sums[c * PGO_PARTIAL_BLOCK + i], err);
	return rc;
}

/* Row `i` of the block to the tables; its frames are r->prev[0..n), from the root. */
static int add_row(struct pgo_partial_reader *r, size_t i, uint32_t n, struct pgo_err *err)
{
	struct pgo_merge *m = r->m;
	uint32_t row, *to;

	if (PGO_VEC_RESERVE(m->stack_locs, m->stack_locs_room, m->n_stack_locs + n + 1) < 0)
		return pgo_err_nomem(err);
	to = m->stack_locs + m->n_stack_locs;
	for (uint32_t k = 0; k < n; k++)
		to[k] = r->prev[n - 1 - k];
	if (pgo_mt_intern_stack(m, n, r->set[i], &row) < 0)
		return pgo_err_nomem(err);
	for (size_t c = 0; c < r->column.n; c++) {
		pgo_i128 *sum = &m->sums[(size_t)row * m->stride + r->column.id[c]];

		pgo_i128 part = r->sums[c * PGO_PARTIAL_BLOCK + i];

		if (__builtin_mul_overflow(part, (pgo_i128)r->factor[c], &part) ||
			__builtin_mul_overflow(part, (pgo_i128)r->times, &part) ||
			__builtin_add_overflow(*sum, part, sum))
			return pgo_err_set(err, PGO_ELIMIT,
				"%s: the sum of column %s exceeds 128 bits; its values cannot be "
				"right",
				r->name,
				pgo_strtab_get(&m->strs, m->columns[r->column.id[c]].type));
	}
	return 0;
}

static int add_block(struct pgo_partial_reader *r, uint64_t n_rows, struct pgo_err *err)
{
	size_t at = 0;
	int rc = 0;

	for (uint64_t i = 0; i < n_rows && rc == 0; i++) {
		uint32_t n = r->shared[i] + r->own[i];

		if (PGO_VEC_RESERVE(r->prev, r->prev_room, n) < 0)
			return pgo_err_nomem(err);
		if (r->own[i] != 0)
			memcpy(r->prev + r->shared[i], r->loc + at, r->own[i] * sizeof *r->loc);
		at += r->own[i];
		rc = add_row(r, i, n, err);
	}
	return rc;
}

static int read_rows(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint64_t n = 0;
	size_t n_locs;
	int rc;

	r->shared = pgo_calloc(PGO_PARTIAL_BLOCK, sizeof *r->shared);
	r->own = pgo_calloc(PGO_PARTIAL_BLOCK, sizeof *r->own);
	r->set = pgo_calloc(PGO_PARTIAL_BLOCK, sizeof *r->set);
	r->sums = pgo_calloc(r->column.n * PGO_PARTIAL_BLOCK, sizeof *r->sums);
	if (r->shared == NULL || r->own == NULL || r->set == NULL || r->sums == NULL)
		return pgo_err_nomem(err);
	while ((rc = take_below(r, PGO_PARTIAL_BLOCK + 1, "a block is too large", &n, err)) == 0 &&
		n != 0) {
		rc = read_frames(r, n, &n_locs, err);
		if (rc == 0)
			rc = read_sums(r, n, err);
		if (rc == 0)
			rc = add_block(r, n, err);
		if (rc == 0)
			rc = pgo_mt_check_memory(r->m, err);
		if (rc < 0)
			break;
	}
	return rc;
}

/* ---------------------------------------------------------------- all of it */

static int check_end(struct pgo_partial_reader *r, struct pgo_err *err)
{
	uint8_t want[32], have[32], more;
	int rc;

	hash_taken(r);
	pgo_sha256_final(&r->sha, want);
	pgo_sha256_init(&r->sha); /* what follows is not hashed */
	rc = take_bytes(r, have, sizeof have, err);
	if (rc == 0 && memcmp(want, have, sizeof have) != 0)
		rc = damaged(r, "its checksum is wrong", err);
	if (rc < 0)
		return rc;
	if (r->at == r->len && (rc = refill(r, err)) <= 0)
		return rc;
	rc = take_byte(r, &more, err);
	return rc < 0 ? rc : damaged(r, "something follows it", err);
}

int pgo_partial_load(struct pgo_partial_reader *r, struct pgo_merge *m, struct pgo_err *err)
{
	return pgo_partial_load_times(r, m, 1, err);
}

int pgo_partial_load_times(
	struct pgo_partial_reader *r, struct pgo_merge *m, uint64_t times, struct pgo_err *err)
{
	const struct pgo_merge_stats *s = &r->head.stats;
	int rc;

	if (r->loaded || m->spent)
		return pgo_err_set(err, PGO_EUSAGE, "%s: it can be loaded once", r->name);
	r->loaded = true;
	r->times = times;
	r->m = m;
	rc = read_tables(r, err);
	if (rc == 0)
		rc = read_rows(r, err);
	if (rc == 0)
		rc = check_end(r, err);
	if (rc < 0)
		return rc;
	m->stats.profiles += s->profiles;
	m->stats.samples_in += s->samples_in;
	m->stats.samples_zero += s->samples_zero;
	m->stats.samples_filtered += s->samples_filtered;
	m->stats.locations_in += s->locations_in;
	m->stats.locations_outside += s->locations_outside;
	return 0;
}

const struct pgo_partial_head *pgo_partial_head_of(const struct pgo_partial_reader *r)
{
	return &r->head;
}

void pgo_partial_close(struct pgo_partial_reader *r)
{
	struct ids *ids[6];

	if (r == NULL)
		return;
	ids[0] = &r->str;
	ids[1] = &r->column;
	ids[2] = &r->mapping;
	ids[3] = &r->function;
	ids[4] = &r->location;
	ids[5] = &r->labels;
	for (size_t i = 0; i < 6; i++)
		pgo_free(ids[i]->id);
	pgo_stream_close(r->stream);
	pgo_buf_fini(&r->bytes);
	pgo_partial_head_fini(&r->head);
	pgo_free(r->name);
	pgo_free(r->buf);
	pgo_free(r->types);
	pgo_free(r->factor);
	pgo_free(r->lines);
	pgo_free(r->label);
	pgo_free(r->shared);
	pgo_free(r->own);
	pgo_free(r->set);
	pgo_free(r->loc);
	pgo_free(r->prev);
	pgo_free(r->sums);
	pgo_free(r);
}

/* Takes `stream` and `bytes`. */
static struct pgo_partial_reader *open_stream(const char *name, struct pgo_stream *stream,
	const struct pgo_buf *bytes, struct pgo_err *err)
{
	struct pgo_partial_reader *r = pgo_calloc(1, sizeof *r);
	int rc;

	if (r == NULL) {
		pgo_stream_close(stream);
		pgo_err_nomem(err);
		return NULL;
	}
	r->stream = stream;
	r->bytes = *bytes;
	r->name = pgo_strdup(name);
	r->buf = pgo_malloc(ROOM);
	pgo_sha256_init(&r->sha);
	rc = r->name != NULL && r->buf != NULL ? read_head(r, err) : pgo_err_nomem(err);
	if (rc < 0) {
		r->bytes = (struct pgo_buf){0}; /* the caller's again */
		pgo_partial_close(r);
		return NULL;
	}
	return r;
}

bool pgo_partial_probe(const void *head, size_t len)
{
	return (len >= PGO_PARTIAL_MAGIC_LEN &&
		       memcmp(head, PGO_PARTIAL_MAGIC, PGO_PARTIAL_MAGIC_LEN) == 0) ||
	       (len >= strlen(PGO_PARTIAL_LINE) &&
		       memcmp(head, PGO_PARTIAL_LINE, strlen(PGO_PARTIAL_LINE)) == 0);
}

struct pgo_partial_reader *pgo_partial_open(const char *path, struct pgo_err *err)
{
	struct pgo_stream *s = pgo_stream_open(path, INFLATED_MAX, err);
	struct pgo_buf none = {0};

	return s != NULL ? open_stream(path, s, &none, err) : NULL;
}

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The payload of a line; the count in it says how long it must be. */
static int decode_line(
	const char *name, const char *p, const char *end, struct pgo_buf *out, struct pgo_err *err)
{
	uint64_t want = 0, v = 0;
	unsigned have = 0, pad = 0;

	for (; p < end && *p >= '0' && *p <= '9' && want < LINE_TEXT_MAX; p++)
		want = want * 10 + (uint64_t)(*p - '0');
	if (p == end || *p != ' ')
		goto bad;
	for (p++; p < end; p++) {
		int d = *p == '=' && pad < 2 ? 0 : digit(*p);

		if (d < 0 || (pad != 0 && *p != '='))
			goto bad;
		pad += *p == '=';
		v = v << 6 | (uint64_t)d;
		if (++have % 4 == 0) {
			pgo_buf_putc(out, (char)(v >> 16));
			pgo_buf_putc(out, (char)(v >> 8));
			pgo_buf_putc(out, (char)v);
			v = 0;
		}
	}
	if (out->failed)
		return pgo_buf_check(out, name, err);
	if (have % 4 != 0 || out->len < pad || out->len - pad != want)
		goto bad;
	out->len -= pad;
	return 0;
bad:
	return pgo_err_set(err, PGO_EFORMAT,
		"%s: the line of a partial is cut off or damaged; make it again", name);
}

struct pgo_partial_reader *pgo_partial_open_memory(
	const char *name, const void *data, size_t len, struct pgo_err *err)
{
	const size_t intro = strlen(PGO_PARTIAL_LINE);
	struct pgo_partial_reader *r = NULL;
	struct pgo_stream *s;
	struct pgo_buf bytes = {0};

	if (len >= intro && memcmp(data, PGO_PARTIAL_LINE, intro) == 0) {
		const char *text = data;

		while (len > intro && (text[len - 1] == '\n' || text[len - 1] == '\r'))
			len--;
		pgo_buf_init(&bytes, LINE_TEXT_MAX);
		if (decode_line(name, text + intro, text + len, &bytes, err) < 0)
			goto out;
		data = bytes.data;
		len = bytes.len;
	}
	s = pgo_stream_memory(name, data, len, INFLATED_MAX, err);
	if (s != NULL)
		r = open_stream(name, s, &bytes, err);
out:
	if (r == NULL)
		pgo_buf_fini(&bytes);
	return r;
}
