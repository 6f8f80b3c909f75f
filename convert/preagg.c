/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/preagg.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a line of each type holds. */
struct shape {
	char type;
	unsigned n_at;
	bool mispreds;
};

static const struct shape shapes[] = {
	{'B', 2, true},
	{'F', 2, false},
	{'R', 3, false},
	{'S', 1, false},
	{'T', 3, false},
	{'f', 2, false},
	{'r', 2, false},
};

static const struct shape *shape_of(char type)
{
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

struct pgo_preagg *pgo_preagg_new(struct pgo_err *err)
{
	struct pgo_preagg *p = pgo_calloc(1, sizeof *p);

	if (p == NULL)
		(void)pgo_err_nomem(err);
	return p;
}

void pgo_preagg_free(struct pgo_preagg *p)
{
	if (p == NULL)
		return;
	pgo_free(p->records);
	pgo_free(p->event);
	pgo_free(p);
}

static int add(struct pgo_preagg *p, struct pgo_preagg_record r)
{
	struct pgo_preagg_record *to;

	if (r.count == 0 && r.mispreds == 0)
		return 0;
	to = PGO_VEC_PUSH(p->records, p->n_records, p->records_room);
	if (to == NULL)
		return -1;
	*to = r;
	return 0;
}

/* ------------------------------------------------------------------ making */

static uint64_t address(uint64_t at)
{
	return pgo_at_inside(at) ? at : 0;
}

static bool has_branch(const struct pgo_trace *t)
{
	return t->source != PGO_AT_NONE;
}

/* A return from outside without a run says nothing that BOLT could use. */
static int add_branch(struct pgo_preagg *p, const struct pgo_trace *t, uint64_t count)
{
	if (!has_branch(t) || (t->source == PGO_AT_OUTSIDE_RETURN && count != 0))
		return 0;
	return add(p, (struct pgo_preagg_record){.type = 'B',
			      .at = {address(t->source), address(t->target)},
			      .count = count,
			      .mispreds = t->source == PGO_AT_OUTSIDE_RETURN ? 0 : t->mispreds});
}

static int add_trace(struct pgo_preagg *p, const struct pgo_trace *t)
{
	const struct pgo_preagg_record run = {
		.type = has_branch(t) ? (t->source == PGO_AT_OUTSIDE_RETURN ? 'R' : 'T') : 'F',
		.at = {has_branch(t) ? address(t->source) : t->target,
			has_branch(t) ? t->target : t->end, has_branch(t) ? t->end : 0},
		.count = t->count};

	if (t->end == PGO_AT_NONE)
		return add_branch(p, t, t->count);
	if (add(p, run) < 0)
		return -1;
	return t->mispreds != 0 ? add_branch(p, t, 0) : 0;
}

/* Did another function lead here? */
static bool entered(const struct pgo_codefns *fns, const struct pgo_trace *t)
{
	return has_branch(t) &&
	       (!pgo_at_inside(t->source) ||
		       pgo_codefns_find(fns, t->source) != pgo_codefns_find(fns, t->target));
}

static int add_parts(struct pgo_preagg *p, const struct pgo_codefns *fns, const struct pgo_trace *t)
{
	if (add_branch(p, t, t->count) < 0)
		return -1;
	if (t->end == PGO_AT_NONE)
		return 0;
	return add(p, (struct pgo_preagg_record){.type = entered(fns, t) ? 'f' : 'F',
			      .at = {t->target, t->end},
			      .count = t->count});
}

static int add_samples(struct pgo_preagg *p, const struct pgo_ranges *r, const char *event)
{
	if (event != NULL && event[0] != '\0') {
		p->event = pgo_strdup(event);
		if (p->event == NULL)
			return -1;
	}
	for (size_t i = 0; i < r->n_ips; i++)
		if (add(p, (struct pgo_preagg_record){.type = 'S',
				   .at = {r->ips[i].addr},
				   .count = r->ips[i].count}) < 0)
			return -1;
	return 0;
}

struct pgo_preagg *pgo_preagg_make(const struct pgo_ranges *r, const struct pgo_codefns *fns,
	bool traces, const char *event, struct pgo_err *err)
{
	struct pgo_preagg *p = pgo_preagg_new(err);
	bool branches = false;
	int rc = 0;

	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < r->n_traces && !branches; i++)
		branches = has_branch(&r->traces[i]);
	for (size_t i = 0; i < r->n_traces && branches && rc == 0; i++)
		rc = traces ? add_trace(p, &r->traces[i]) : add_parts(p, fns, &r->traces[i]);
	if (!branches)
		rc = add_samples(p, r, event);
	if (rc < 0) {
		(void)pgo_err_nomem(err);
		pgo_preagg_free(p);
		return NULL;
	}
	pgo_preagg_sort(p);
	return p;
}

static int compare(const void *pa, const void *pb)
{
	const struct pgo_preagg_record *a = pa, *b = pb;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	for (size_t i = 0; i < 3; i++)
		if (a->at[i] != b->at[i])
			return a->at[i] < b->at[i] ? -1 : 1;
	return 0;
}

void pgo_preagg_sort(struct pgo_preagg *p)
{
	size_t n = 0;

	if (p->n_records != 0)
		qsort(p->records, p->n_records, sizeof *p->records, compare);
	for (size_t i = 0; i < p->n_records; i++) {
		const struct pgo_preagg_record *r = &p->records[i];

		if (n != 0 && compare(&p->records[n - 1], r) == 0) {
			p->records[n - 1].count = pgo_add_sat(p->records[n - 1].count, r->count);
			p->records[n - 1].mispreds =
				pgo_add_sat(p->records[n - 1].mispreds, r->mispreds);
		} else {
			p->records[n++] = *r;
		}
	}
	p->n_records = n;
}

/* ------------------------------------------------------------------ reading */

struct reader {
	const char *what, *at, *end; /* what is left of the line */
	size_t line;
	struct pgo_err *err;
};

static int bad(const struct reader *r, const char *why)
{
	return pgo_err_set(r->err, PGO_EFORMAT, "%s, line %zu: %s", r->what, r->line, why);
}

/* The next field, after exactly one blank. */
static bool field(struct reader *r, const char **ret, size_t *ret_len)
{
	const char *end;

	if (r->at == r->end || *r->at != ' ')
		return false;
	r->at++;
	end = memchr(r->at, ' ', (size_t)(r->end - r->at));
	if (end == NULL)
		end = r->end;
	*ret = r->at;
	*ret_len = (size_t)(end - r->at);
	r->at = end;
	return *ret_len != 0;
}

static bool digits(const char *s, size_t len, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned d = s[i] >= '0' && s[i] <= '9'   ? (unsigned)(s[i] - '0')
			     : s[i] >= 'a' && s[i] <= 'f' ? (unsigned)(s[i] - 'a' + 10)
							  : 99;

		if (d >= base || v > (UINT64_MAX - d) / base)
			return false;
		v = v * base + d;
	}
	*ret = v;
	return len != 0;
}

static bool read_address(struct reader *r, uint64_t *ret)
{
	const char *s, *colon;
	size_t len;

	if (!field(r, &s, &len))
		return false;
	colon = memchr(s, ':', len);
	if (colon != NULL) {
		len -= (size_t)(colon + 1 - s);
		s = colon + 1;
	}
	return digits(s, len, 16, ret);
}

static bool read_count(struct reader *r, uint64_t *ret)
{
	const char *s;
	size_t len;

	return field(r, &s, &len) && digits(s, len, 10, ret) && *ret <= (uint64_t)INT64_MAX;
}

static int read_event(struct pgo_preagg *p, struct reader *r)
{
	const char *s;
	size_t len;

	if (!field(r, &s, &len) || r->at != r->end)
		return bad(r, "an event is E and one name");
	pgo_free(p->event);
	p->event = pgo_strndup(s, len);
	return p->event != NULL ? 0 : pgo_err_nomem(r->err);
}

static int read_record(struct pgo_preagg *p, struct reader *r)
{
	const struct shape *shape = r->at != r->end ? shape_of(*r->at) : NULL;
	struct pgo_preagg_record rec = {0};

	if (r->at != r->end && *r->at == 'E') {
		r->at++;
		return read_event(p, r);
	}
	if (shape == NULL)
		return bad(r, "not a record: lines begin with one of " PGO_PREAGG_TYPES " or E");
	rec.type = *r->at++;
	for (unsigned i = 0; i < shape->n_at; i++)
		if (!read_address(r, &rec.at[i]))
			return bad(r, "an address in hex is missing or unreadable");
	if (!read_count(r, &rec.count))
		return bad(r, "a decimal count is missing or unreadable");
	if (shape->mispreds && r->at != r->end && !read_count(r, &rec.mispreds))
		return bad(r, "the number of mispredictions is unreadable");
	if (r->at != r->end)
		return bad(r, "something follows the record");
	return add(p, rec) < 0 ? pgo_err_nomem(r->err) : 0;
}

struct pgo_preagg *pgo_preagg_read(
	const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct pgo_preagg *p = pgo_preagg_new(err);
	struct reader r = {.what = what, .err = err};
	const char *s = data;
	int rc = 0;

	for (size_t at = 0; p != NULL && at < len && rc == 0;) {
		const char *nl = memchr(s + at, '\n', len - at);

		r.line++;
		r.at = s + at;
		r.end = nl;
		rc = nl != NULL ? read_record(p, &r)
				: bad(&r, "the last line has no end: the file seems cut off");
		at = nl != NULL ? (size_t)(nl - s) + 1 : len;
	}
	if (p != NULL && rc == 0 && p->n_records == 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s: no record", what);
	if (rc < 0) {
		pgo_preagg_free(p);
		return NULL;
	}
	return p;
}

bool pgo_preagg_probe(const void *head, size_t len)
{
	const char *s = head, *nl;
	struct pgo_preagg *p;

	while ((nl = len != 0 ? memchr(s, '\n', len) : NULL) != NULL) {
		size_t n = (size_t)(nl - s) + 1;

		if (n < 4 || s[1] != ' ')
			return false;
		if (s[0] != 'E') {
			p = pgo_preagg_read("", s, n, NULL);
			pgo_preagg_free(p);
			return p != NULL;
		}
		s += n;
		len -= n;
	}
	return false;
}

/* ------------------------------------------------------------------ writing */

static uint64_t readable(uint64_t count)
{
	return count < (uint64_t)INT64_MAX ? count : (uint64_t)INT64_MAX;
}

int pgo_preagg_write(const struct pgo_preagg *p, struct pgo_buf *out, struct pgo_err *err)
{
	bool counts = false;

	for (size_t i = 0; i < p->n_records && !counts; i++)
		counts = p->records[i].count != 0;
	if (!counts)
		return pgo_err_set(err, PGO_EEMPTY, "no record has a count");
	if (p->event != NULL) {
		if (strpbrk(p->event, " \n") != NULL)
			return pgo_err_set(err, PGO_EMISMATCH,
				"the event '%s' has a blank in its name", p->event);
		pgo_buf_printf(out, "E %s\n", p->event);
	}
	for (size_t i = 0; i < p->n_records; i++) {
		const struct pgo_preagg_record *r = &p->records[i];
		const struct shape *shape = shape_of(r->type);

		pgo_buf_putc(out, r->type);
		for (unsigned k = 0; k < shape->n_at; k++)
			pgo_buf_printf(out, " %" PRIx64, r->at[k]);
		pgo_buf_printf(out, " %" PRIu64, readable(r->count));
		if (shape->mispreds)
			pgo_buf_printf(out, " %" PRIu64, readable(r->mispreds));
		pgo_buf_putc(out, '\n');
	}
	return pgo_buf_check(out, "the pre-aggregated profile", err);
}
