/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/goprofile.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "GO PREPROFILE V1\n"
#define NAMES_BUDGET ((size_t)4 << 30)

int pgo_go_calls_init(struct pgo_go_calls *c, struct pgo_err *err)
{
	*c = (struct pgo_go_calls){0};
	return pgo_strtab_init(&c->strs, NAMES_BUDGET) < 0 ? pgo_err_nomem(err) : 0;
}

void pgo_go_calls_fini(struct pgo_go_calls *c)
{
	pgo_strtab_fini(&c->strs);
	pgo_free(c->calls);
	*c = (struct pgo_go_calls){0};
}

static int by_key(const void *pa, const void *pb)
{
	const struct pgo_go_call *a = pa, *b = pb;

	if (a->caller != b->caller)
		return a->caller < b->caller ? -1 : 1;
	if (a->callee != b->callee)
		return a->callee < b->callee ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int by_weight(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_go_call *a = pa, *b = pb;
	int d;

	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	d = strcmp(pgo_strtab_get(ctx, a->caller), pgo_strtab_get(ctx, b->caller));
	if (d == 0)
		d = strcmp(pgo_strtab_get(ctx, a->callee), pgo_strtab_get(ctx, b->callee));
	return d != 0 ? d : a->offset < b->offset ? -1 : a->offset > b->offset;
}

void pgo_go_calls_sort(struct pgo_go_calls *c)
{
	size_t n = 0;

	if (c->n_calls == 0)
		return;
	qsort(c->calls, c->n_calls, sizeof *c->calls, by_key);
	for (size_t i = 0; i < c->n_calls; i++) {
		if (n == 0 || by_key(&c->calls[n - 1], &c->calls[i]) != 0)
			c->calls[n++] = c->calls[i];
		else if (__builtin_add_overflow(c->calls[n - 1].weight, c->calls[i].weight,
				 &c->calls[n - 1].weight))
			c->calls[n - 1].weight = INT64_MAX;
	}
	c->n_calls = n;
	qsort_r(c->calls, n, sizeof *c->calls, by_weight, &c->strs);
}

bool pgo_go_calls_probe(const void *head, size_t len)
{
	return len >= sizeof HEAD - 1 && memcmp(head, HEAD, sizeof HEAD - 1) == 0;
}

/* ------------------------------------------------------------------ reading */

struct reader {
	const char *what, *at, *end;
	size_t line;
	struct pgo_err *err;
};

static int bad(const struct reader *r, const char *why)
{
	return pgo_err_set(r->err, PGO_EFORMAT, "%s, line %zu: %s", r->what, r->line, why);
}

static bool next_line(struct reader *r, const char **ret, size_t *ret_len)
{
	const char *nl = r->at < r->end ? memchr(r->at, '\n', (size_t)(r->end - r->at)) : NULL;

	r->line++;
	if (nl == NULL)
		return false;
	*ret = r->at;
	*ret_len = (size_t)(nl - r->at);
	r->at = nl + 1;
	return true;
}

/* A decimal number that ends at `end`; a sign where it is allowed. */
static bool number(const char *s, const char *end, bool sign, int64_t *ret)
{
	bool negative = sign && s < end && *s == '-';
	int64_t v = 0;

	s += negative;
	if (s == end)
		return false;
	for (; s < end; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, *s - '0', &v))
			return false;
	*ret = negative ? -v : v;
	return true;
}

static int read_call(struct pgo_go_calls *c, struct reader *r)
{
	const char *caller, *callee, *counts, *blank;
	size_t caller_len, callee_len, len;
	struct pgo_go_call call, *p;

	if (!next_line(r, &caller, &caller_len) || !next_line(r, &callee, &callee_len) ||
		!next_line(r, &counts, &len))
		return bad(r, "the file ends inside a call");
	blank = memchr(counts, ' ', len);
	if (blank == NULL || !number(counts, blank, true, &call.offset) ||
		!number(blank + 1, counts + len, false, &call.weight))
		return bad(r, "an offset and a weight are expected");
	if (memchr(caller, '\0', caller_len) != NULL || memchr(callee, '\0', callee_len) != NULL)
		return bad(r, "a zero byte: this is not text");
	call.caller = pgo_strtab_add(&c->strs, caller, caller_len);
	call.callee = pgo_strtab_add(&c->strs, callee, callee_len);
	p = call.caller != PGO_STR_NONE && call.callee != PGO_STR_NONE
		    ? PGO_VEC_PUSH(c->calls, c->n_calls, c->calls_room)
		    : NULL;
	if (p == NULL)
		return pgo_err_nomem(r->err);
	*p = call;
	return 0;
}

int pgo_go_calls_read(
	struct pgo_go_calls *c, const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct reader r = {what, data, (const char *)data + len, 1, err};
	int rc = 0;

	if (!pgo_go_calls_probe(data, len))
		return bad(&r, "the first line is not GO PREPROFILE V1");
	r.at += sizeof HEAD - 1;
	while (r.at < r.end && rc == 0)
		rc = read_call(c, &r);
	return rc;
}

int pgo_go_calls_write(const struct pgo_go_calls *c, struct pgo_buf *out, struct pgo_err *err)
{
	pgo_buf_puts(out, HEAD);
	for (size_t i = 0; i < c->n_calls; i++) {
		const struct pgo_go_call *x = &c->calls[i];

		if (strchr(pgo_strtab_get(&c->strs, x->caller), '\n') != NULL ||
			strchr(pgo_strtab_get(&c->strs, x->callee), '\n') != NULL)
			return pgo_err_set(
				err, PGO_EMISMATCH, "a function's name has a line end in it");
		pgo_buf_printf(out, "%s\n%s\n%" PRId64 " %" PRId64 "\n",
			pgo_strtab_get(&c->strs, x->caller), pgo_strtab_get(&c->strs, x->callee),
			x->offset, x->weight);
	}
	return pgo_buf_check(out, "the calls", err);
}
