/* SPDX-License-Identifier: Apache-2.0 */
/* Propeller's clusters as files. */
#include "convert/propeller.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <inttypes.h>
#include <string.h>

struct reader {
	struct pgo_propeller *p;
	const char *what, *at, *end; /* what is left of the line */
	size_t line;
	struct pgo_err *err;
};

static int bad(const struct reader *r, const char *why)
{
	return pgo_err_set(r->err, PGO_EFORMAT, "%s, line %zu: %s", r->what, r->line, why);
}

/* The next piece up to one of `ends`; NULL: none is left. */
static const char *word(struct reader *r, const char *ends, size_t *ret_len)
{
	const char *s;

	while (r->at < r->end && strchr(ends, *r->at) != NULL)
		r->at++;
	s = r->at;
	while (r->at < r->end && strchr(ends, *r->at) == NULL)
		r->at++;
	*ret_len = (size_t)(r->at - s);
	return *ret_len != 0 ? s : NULL;
}

static int read_function(struct reader *r, const char *ends)
{
	struct pgo_propeller *p = r->p;
	struct pgo_cluster_fn *fn = PGO_VEC_PUSH(p->fns, p->n_fns, p->fns_room);
	const char *s;
	size_t len;

	if (fn == NULL)
		return pgo_err_nomem(r->err);
	fn->first_name = (uint32_t)p->n_names;
	fn->first_block = (uint32_t)p->n_blocks;
	while ((s = word(r, ends, &len)) != NULL) {
		uint32_t *id;

		if (len > 2 && memcmp(s, "M=", 2) == 0) /* a module, in version 0 */
			continue;
		id = PGO_VEC_PUSH(p->names, p->n_names, p->names_room);
		if (id == NULL || (*id = pgo_strtab_add(&p->strs, s, len)) == PGO_STR_NONE)
			return pgo_err_nomem(r->err);
		fn->n_names++;
	}
	return fn->n_names != 0 ? 0 : bad(r, "a function without a name");
}

static int read_cluster(struct reader *r)
{
	struct pgo_propeller *p = r->p;
	const char *s;
	size_t len;
	bool first = true;

	if (p->n_fns == 0)
		return bad(r, "a cluster before the first function");
	while ((s = word(r, " \t", &len)) != NULL) {
		struct pgo_cluster_block *b;
		uint64_t id = 0;

		for (size_t i = 0; i < len; i++) {
			if (s[i] < '0' || s[i] > '9' || id > UINT32_MAX)
				return bad(r, "a block id is a number (clones are not supported)");
			id = id * 10 + (uint64_t)(s[i] - '0');
		}
		if (id > UINT32_MAX)
			return bad(r, "a block id is a number of 32 bits");
		b = PGO_VEC_PUSH(p->blocks, p->n_blocks, p->blocks_room);
		if (b == NULL)
			return pgo_err_nomem(r->err);
		*b = (struct pgo_cluster_block){(uint32_t)id, first};
		first = false;
		p->fns[p->n_fns - 1].n_blocks++;
	}
	return first ? bad(r, "a cluster without blocks") : 0;
}

static int read_v0(struct reader *r)
{
	if (r->at == r->end || *r->at == '#' || *r->at == '@')
		return 0;
	if (*r->at++ != '!')
		return bad(r, "not a line of clusters: those begin with ! or !!");
	if (r->at == r->end || *r->at != '!')
		return read_function(r, " /\t");
	r->at++;
	return read_cluster(r);
}

static int read_v1(struct reader *r)
{
	if (r->at == r->end)
		return 0;
	switch (*r->at++) {
	case 'f':
		return read_function(r, " \t");
	case 'c':
		return read_cluster(r);
	case '#':
	case 'm':
	case 'p':
	case 'g':
	case 'h':
	case 't':
		return 0;
	default:
		return bad(r, "not a line of clusters: those begin with f, c, m, p, g, h, t or #");
	}
}

struct pgo_propeller *pgo_propeller_read(
	const char *what, const void *data, size_t len, struct pgo_err *err)
{
	struct reader r = {.p = pgo_propeller_new(err), .what = what, .err = err};
	const char *s = data;
	bool v1 = len >= 3 && memcmp(s, "v1\n", 3) == 0;
	int rc = 0;

	for (size_t at = v1 ? 3 : 0; r.p != NULL && at < len && rc == 0;) {
		const char *nl = memchr(s + at, '\n', len - at);

		r.line++;
		r.at = s + at;
		r.end = nl != NULL ? nl : s + len;
		at = (size_t)(r.end - s) + 1;
		if (memchr(r.at, '\0', (size_t)(r.end - r.at)) != NULL)
			rc = bad(&r, "a zero byte: this is not text");
		else
			rc = v1 ? read_v1(&r) : read_v0(&r);
	}
	if (r.p != NULL && rc == 0 && r.p->n_fns == 0)
		rc = pgo_err_set(err, PGO_EFORMAT, "%s: no function", what);
	if (rc < 0) {
		pgo_propeller_free(r.p);
		return NULL;
	}
	return r.p;
}

bool pgo_propeller_probe(const void *head, size_t len)
{
	const char *s = head;

	if (len > 3 && memcmp(s, "v1\n", 3) == 0)
		return true;
	return len > 2 && s[0] == '!' && s[1] != '!' && s[1] > ' ';
}

int pgo_propeller_write(
	const struct pgo_propeller *p, unsigned version, struct pgo_buf *out, struct pgo_err *err)
{
	if (version != 0)
		pgo_buf_puts(out, "v1\n");
	for (size_t i = 0; i < p->n_fns; i++) {
		const struct pgo_cluster_fn *f = &p->fns[i];

		pgo_buf_puts(out, version != 0 ? "f" : "!");
		for (uint32_t k = 0; k < f->n_names; k++)
			pgo_buf_printf(out, "%s%s",
				version != 0 ? " "
				: k != 0     ? "/"
					     : "",
				pgo_strtab_get(&p->strs, p->names[f->first_name + k]));
		for (uint32_t k = 0; k < f->n_blocks; k++) {
			const struct pgo_cluster_block *b = &p->blocks[f->first_block + k];

			if (b->first)
				pgo_buf_puts(out, version != 0 ? "\nc" : "\n!!");
			pgo_buf_printf(
				out, "%s%" PRIu32, version == 0 && b->first ? "" : " ", b->id);
		}
		pgo_buf_putc(out, '\n');
	}
	return pgo_buf_check(out, "the clusters", err);
}
