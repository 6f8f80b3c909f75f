/* SPDX-License-Identifier: Apache-2.0 */
/* Routes: a tree of path segments, searched recursively because a literal and a wildcard may both
 * fit, and only the rest of the path decides. */
#include <stdlib.h>
#include <string.h>

#include "quarry.h"

enum kind { LITERAL, NUMBER, HEX, ANY, REST };

struct step {
	enum kind kind;
	char name[16];
	size_t name_n;
	int final;
	struct step *child, *next;
};

struct q_router {
	struct step root;
};

static const char *const routes[] = {
	"/",
	"/health",
	"/static/*rest",
	"/api/v1/users/#id",
	"/api/v1/users/#id/cart",
	"/api/v1/users/#id/orders/#order",
	"/api/v1/users/me",
	"/api/v1/orders/#order",
	"/api/v1/orders/#order/items/#item",
	"/api/v1/search",
	"/api/v2/users/%key",
	"/api/v2/users/%key/cart",
	"/api/v2/blobs/%key",
	"/api/v2/blobs/%key/parts/#part",
	"/jobs/:queue/#job",
	"/jobs/:queue/#job/log",
	"/jobs/:queue/stats",
	"/tmp/:any/:any/end",
};

static int is_digits(struct q_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
	return s.n > 0;
}

static int is_hex(struct q_span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return 0;
	}
	return s.n >= 8;
}

static int fits(const struct step *s, struct q_span part)
{
	switch (s->kind) {
	case LITERAL:
		return s->name_n == part.n && memcmp(s->name, part.p, part.n) == 0;
	case NUMBER:
		return is_digits(part);
	case HEX:
		return is_hex(part);
	case ANY:
		return part.n > 0;
	case REST:
		return 1;
	}
	return 0;
}

static struct q_span split(struct q_span *rest)
{
	struct q_span part = {rest->p, 0};

	while (part.n < rest->n && rest->p[part.n] != '/')
		part.n++;
	rest->p += part.n;
	rest->n -= part.n;
	if (rest->n) {
		rest->p++;
		rest->n--;
	}
	return part;
}

static void add(struct q_router *r, const char *route)
{
	static const char mark[] = "\0#%:*";
	struct q_span rest = {route + 1, strlen(route + 1)};
	struct step *at = &r->root;

	while (rest.n) {
		struct q_span part = split(&rest);
		const char *m = part.n ? strchr(mark + 1, part.p[0]) : NULL;
		enum kind kind = m ? (enum kind)(m - mark) : LITERAL;
		struct step **s = &at->child;

		while (*s && ((*s)->name_n != part.n || memcmp((*s)->name, part.p, part.n) != 0))
			s = &(*s)->next;
		if (!*s) {
			*s = q_alloc(sizeof(**s));
			**s = (struct step){.kind = kind, .name_n = part.n};
			memcpy((*s)->name, part.p, part.n);
		}
		at = *s;
	}
	at->final = 1;
}

struct q_router *q_router_new(void)
{
	struct q_router *r = q_alloc(sizeof(*r));

	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		add(r, routes[i]);
	return r;
}

static void free_steps(struct step *s)
{
	while (s) {
		struct step *next = s->next;
		free_steps(s->child);
		free(s);
		s = next;
	}
}

void q_router_free(struct q_router *r)
{
	if (!r)
		return;
	free_steps(r->root.child);
	free(r);
}

/* Writes the names of the steps from the back to the front; returns the length, 0 for no match. */
static size_t match(const struct step *at, struct q_span rest, char *out, size_t used, size_t size)
{
	struct q_span part;

	if (!rest.n)
		return at->final ? used : 0;
	part = split(&rest);
	for (const struct step *s = at->child; s; s = s->next) {
		size_t n;

		if (!fits(s, part))
			continue;
		if (used + 1 + s->name_n > size)
			return 0;
		out[used] = '/';
		memcpy(out + used + 1, s->name, s->name_n);
		if (s->kind == REST)
			return used + 1 + s->name_n;
		n = match(s, rest, out, used + 1 + s->name_n, size);
		if (n)
			return n;
	}
	return 0;
}

size_t q_router_match(const struct q_router *r, struct q_span path, char *out, size_t out_size)
{
	if (!path.n || path.p[0] != '/')
		return 0;
	if (path.n == 1) {
		out[0] = '/';
		return 1;
	}
	return match(&r->root, (struct q_span){path.p + 1, path.n - 1}, out, 0, out_size);
}
