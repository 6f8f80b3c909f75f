/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses become places in the inline tree. */
#include "verify/attrib.h"

#include "convert/lines.h"
#include "convert/rules_name.h"
#include "convert/shape.h"
#include "pgo/core/buf.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

#define STRINGS_BUDGET ((size_t)1 << 30)
#define NAME_MAX_BYTES ((size_t)1 << 26)

/* The kinds of one constructor or destructor are aliases of one another or not, as it happens: C1 and
 * C4 become C2, D1 and D4 become D2.  D0, which also deletes, is another function. */
static void unify_structor(char *s, size_t len)
{
	if (len < 4 || memcmp(s, "_Z", 2) != 0)
		return;
	for (size_t i = 2; i + 1 < len; i++) {
		char kind = s[i + 1];

		if ((s[i] != 'C' && s[i] != 'D') || (kind != '1' && kind != '4'))
			continue;
		s[i + 1] = '4';
		if (pgo_name_unified_structor(s, len) == i + 1) {
			s[i + 1] = '2';
			return;
		}
		s[i + 1] = kind;
	}
}

uint32_t pgo_attrib_name(struct pgo_attrib *a, const char *name)
{
	uint32_t id = PGO_STR_NONE;
	struct pgo_buf text;

	pgo_buf_init(&text, NAME_MAX_BYTES);
	pgo_name_canonical(name, strlen(name), &text);
	if (!text.failed) {
		unify_structor(text.data, text.len);
		id = pgo_strtab_add(&a->names, text.data, text.len);
	}
	pgo_buf_fini(&text);
	return id;
}

/* What naming a batch of addresses works with. */
struct naming {
	struct pgo_attrib *a;
	struct pgo_lines *lines; /* NULL: no debug information, symbols only */
	struct pgo_strtab strs;
	uint32_t *of_node;   /* frame of a node of the inline tree, UINT32_MAX = not made yet */
	uint32_t *of_str;    /* canonical name of a string, PGO_STR_NONE = not made yet */
	uint32_t *addresses; /* frames to name, by address */
	size_t n, room;
};

static uint32_t frame_of_name(struct pgo_attrib *a, const char *name, uint32_t up)
{
	uint32_t id = pgo_attrib_name(a, name);

	return id == PGO_STR_NONE ? UINT32_MAX : pgo_attrib_frame(a, 0, id, up, PGO_ITEM_REBUILT);
}

static uint32_t name_of_string(struct naming *n, uint32_t str)
{
	if (n->of_str[str] == PGO_STR_NONE)
		n->of_str[str] = pgo_attrib_name(n->a, pgo_strtab_get(&n->strs, str));
	return n->of_str[str];
}

/* The frame of a node: its callers first, as a frame names what it is inlined into. */
static uint32_t frame_of_node(struct naming *n, uint32_t node)
{
	uint32_t chain[PGO_MAX_FRAMES], up = 0;
	size_t depth = 0;

	while (node != UINT32_MAX && depth < PGO_MAX_FRAMES && n->of_node[node] == UINT32_MAX) {
		chain[depth++] = node;
		node = pgo_lines_node(n->lines, node)->parent;
	}
	if (node != UINT32_MAX && n->of_node[node] != UINT32_MAX)
		up = n->of_node[node] + 1;
	while (depth-- > 0) {
		uint32_t str = pgo_lines_node(n->lines, chain[depth])->name;
		uint32_t name = name_of_string(n, str), f = up - 1;

		if (name == PGO_STR_NONE)
			return UINT32_MAX;
		if (str != 0 || up == 0)
			f = pgo_attrib_frame(n->a, 0, name, up, PGO_ITEM_REBUILT);

		if (f == UINT32_MAX)
			return UINT32_MAX;
		n->of_node[chain[depth]] = f;
		up = f + 1;
	}
	return up - 1;
}

static bool has_name(const struct pgo_attrib *a, uint32_t frame)
{
	return a->frames[frame].key.name != 0;
}

/* By DWARF, else by symbol, else by the profile, else not at all. */
static uint32_t frame_of_address(struct naming *n, uint32_t frame)
{
	struct pgo_attrib *a = n->a;
	uint64_t vaddr = a->frames[frame].key.addr;
	struct pgo_lines_hit hit;
	const struct pgo_symbol *sym;
	uint32_t id;

	if (n->lines != NULL) {
		pgo_lines_find(n->lines, vaddr, &hit);
		if (hit.node != UINT32_MAX) {
			uint32_t f = frame_of_node(n, hit.node);

			if (f == UINT32_MAX || has_name(a, f))
				return f;
		}
	}
	sym = pgo_elf_symbol(a->elf, vaddr);
	if (sym != NULL)
		return frame_of_name(a, sym->name, 0);
	if (a->frames[frame].own != UINT32_MAX)
		return a->frames[frame].own;
	id = pgo_strtab_puts(&a->names, "[unknown]");
	return id == PGO_STR_NONE ? UINT32_MAX : pgo_attrib_frame(a, 0, id, 0, PGO_ITEM_UNNAMED);
}

static int by_address(const void *pa, const void *pb, void *ctx)
{
	const struct pgo_attrib *a = ctx;
	uint64_t x = a->frames[*(const uint32_t *)pa].key.addr;
	uint64_t y = a->frames[*(const uint32_t *)pb].key.addr;

	return (x > y) - (x < y);
}

static int collect(struct naming *n)
{
	for (size_t i = 0; i < n->a->n_frames; i++) {
		uint32_t *slot;

		if (n->a->frames[i].named != UINT32_MAX)
			continue;
		slot = PGO_VEC_PUSH(n->addresses, n->n, n->room);
		if (slot == NULL)
			return -1;
		*slot = (uint32_t)i;
	}
	if (n->n > 1)
		qsort_r(n->addresses, n->n, sizeof *n->addresses, by_address, n->a);
	return 0;
}

/* Without debug information symbols still tell functions apart, so that is no failure. */
static int open_lines(struct naming *n, struct pgo_err *err)
{
	uint64_t *wanted;
	size_t nodes;

	if (n->a->no_lines)
		return 0;
	wanted = pgo_malloc((n->n + 1) * sizeof *wanted);
	if (wanted == NULL)
		return pgo_err_nomem(err);
	for (size_t i = 0; i < n->n; i++)
		wanted[i] = n->a->frames[n->addresses[i]].key.addr;
	n->lines = pgo_lines_open(n->a->elf, NULL, wanted, n->n, &n->strs, NULL);
	pgo_free(wanted);
	n->a->no_lines = n->lines == NULL;
	if (n->lines == NULL)
		return 0;
	nodes = pgo_lines_n_nodes(n->lines);
	n->of_node = pgo_malloc((nodes + 1) * sizeof *n->of_node);
	n->of_str = pgo_malloc(n->strs.n_strs * sizeof *n->of_str);
	if (n->of_node == NULL || n->of_str == NULL)
		return pgo_err_nomem(err);
	memset(n->of_node, 0xff, nodes * sizeof *n->of_node);
	memset(n->of_str, 0xff, n->strs.n_strs * sizeof *n->of_str);
	/* Also the places where nothing was seen: where inlining went is known from them. */
	for (size_t i = 0; i < nodes; i++)
		if (frame_of_node(n, (uint32_t)i) == UINT32_MAX)
			return pgo_err_nomem(err);
	return 0;
}

int pgo_attrib_name_frames(struct pgo_attrib *a, struct pgo_err *err)
{
	struct naming n = {.a = a};
	int rc = 0;

	if (a->elf == NULL)
		return 0;
	if (pgo_strtab_init(&n.strs, STRINGS_BUDGET) < 0)
		return pgo_err_nomem(err);
	if (collect(&n) < 0)
		rc = pgo_err_nomem(err);
	if (rc == 0 && n.n != 0)
		rc = open_lines(&n, err);
	for (size_t i = 0; i < n.n && rc == 0; i++) {
		uint32_t named = frame_of_address(&n, n.addresses[i]);

		if (named == UINT32_MAX)
			rc = pgo_err_nomem(err);
		else
			a->frames[n.addresses[i]].named = named;
	}
	pgo_lines_close(n.lines);
	pgo_free(n.of_node);
	pgo_free(n.of_str);
	pgo_free(n.addresses);
	pgo_strtab_fini(&n.strs);
	return rc;
}
