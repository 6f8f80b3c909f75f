/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/bbaddrmap.h"

#include "convert/fmt_cursor.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define SECTION ".llvm_bb_addr_map"
#define TYPE_UNVERSIONED 0x6fff4c08u
#define NEWEST_VERSION 5

enum feature {
	ENTRY_COUNT = 1 << 0,
	FREQUENCIES = 1 << 1,
	PROBABILITIES = 1 << 2,
	SEVERAL_RANGES = 1 << 3,
	NO_BLOCKS = 1 << 4,
	CALL_ENDS = 1 << 5,
	HASHES = 1 << 6,
	POST_LINK = 1 << 7,
	KNOWN_FEATURES = (1 << 8) - 1
};

/* One entry while it is read. */
struct entry {
	struct pgo_bbaddrmap *m;
	struct pgo_cursor *c;
	unsigned version, features;
	uint64_t base; /* of the range */
	uint64_t end;  /* of the block before, from base */
	uint64_t n_blocks;
	uint32_t fn;
};

/* ------------------------------------------------------------------ reading */

static int read_block(struct entry *e, uint64_t index)
{
	struct pgo_cursor *c = e->c;
	uint64_t id = e->version >= 2 ? pgo_cursor_uleb(c, "a block's id") : index;
	uint64_t offset = pgo_cursor_uleb(c, "a block's offset"), calls = 0, n, size, flags;
	struct pgo_bb *b;

	if (e->version >= 1)
		offset += e->end;
	if (e->features & CALL_ENDS) {
		n = pgo_cursor_fits(c, pgo_cursor_uleb(c, "the calls of a block"), 1, "calls");
		for (uint64_t i = 0; i < n && !c->failed; i++)
			calls += pgo_cursor_uleb(c, "the end of a call");
	}
	size = pgo_cursor_uleb(c, "a block's size") + calls;
	flags = pgo_cursor_uleb(c, "a block's flags");
	if (e->features & HASHES)
		(void)pgo_cursor_u64le(c, "a block's hash");
	if (!c->failed && (id >= UINT32_MAX || offset > UINT32_MAX || size > UINT32_MAX ||
				  flags > UINT32_MAX || e->base + offset + size < e->base))
		PGO_CURSOR_FAIL(c, "a block that no function of 4 GB could hold");
	if (c->failed)
		return PGO_EFORMAT;
	e->end = offset + size;
	if (size == 0)
		return 0;
	b = PGO_VEC_PUSH(e->m->blocks, e->m->n_blocks, e->m->blocks_room);
	if (b == NULL)
		return pgo_err_nomem(c->err);
	*b = (struct pgo_bb){e->base + offset, size, e->fn, (uint32_t)id, (uint32_t)flags};
	return 0;
}

static int read_range(struct entry *e)
{
	uint64_t n;
	int rc = 0;

	e->base = pgo_cursor_u64le(e->c, "a function's address");
	e->end = 0;
	n = pgo_cursor_uleb(e->c, "the number of blocks");
	if (e->features & NO_BLOCKS)
		n = 0;
	n = pgo_cursor_fits(e->c, n, 3, "blocks");
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = read_block(e, i);
	e->n_blocks += n;
	return rc < 0 ? rc : e->c->failed ? PGO_EFORMAT : 0;
}

/* What the compiler thought of frequencies is of no use here, and is stepped over. */
static void skip_frequencies(struct entry *e)
{
	struct pgo_cursor *c = e->c;

	if (e->features & ENTRY_COUNT)
		(void)pgo_cursor_uleb(c, "an entry count");
	if ((e->features & (FREQUENCIES | PROBABILITIES)) == 0)
		return;
	for (uint64_t i = 0; i < e->n_blocks && !c->failed; i++) {
		uint64_t n;

		if (e->features & FREQUENCIES)
			(void)pgo_cursor_uleb(c, "a block's frequency");
		if (e->features & POST_LINK)
			(void)pgo_cursor_uleb(c, "a block's frequency");
		if ((e->features & PROBABILITIES) == 0)
			continue;
		n = pgo_cursor_fits(c, pgo_cursor_uleb(c, "a block's successors"), 2, "successors");
		for (uint64_t k = 0; k < n && !c->failed; k++) {
			(void)pgo_cursor_uleb(c, "a successor");
			(void)pgo_cursor_uleb(c, "a successor's probability");
			if (e->features & POST_LINK)
				(void)pgo_cursor_uleb(c, "a successor's frequency");
		}
	}
}

static int read_entry(struct entry *e, bool unversioned)
{
	struct pgo_bbfn *fn;
	uint64_t ranges = 1;
	size_t first = e->m->n_blocks;
	const uint8_t *p;
	int rc = 0;

	if (!unversioned) {
		p = pgo_cursor_take(e->c, 2, "a function's entry");
		e->version = p != NULL ? p[0] : 0;
		e->features = p != NULL ? p[1] : 0;
		if (!e->c->failed && (e->version == 0 || e->version > NEWEST_VERSION))
			PGO_CURSOR_FAIL(e->c,
				"version %u of the block address map; versions 1 to %d are known",
				e->version, NEWEST_VERSION);
		if (e->version >= 5 && (p = pgo_cursor_take(e->c, 1, "features")) != NULL)
			e->features |= (unsigned)*p << 8;
		if (!e->c->failed && (e->features & ~(unsigned)KNOWN_FEATURES) != 0)
			PGO_CURSOR_FAIL(e->c, "unknown features %x", e->features);
	}
	if (e->features & SEVERAL_RANGES)
		ranges = pgo_cursor_fits(
			e->c, pgo_cursor_uleb(e->c, "the number of ranges"), 9, "ranges");
	fn = PGO_VEC_PUSH(e->m->fns, e->m->n_fns, e->m->fns_room);
	if (fn == NULL)
		return pgo_err_nomem(e->c->err);
	e->fn = (uint32_t)(e->m->n_fns - 1);
	for (uint64_t i = 0; i < ranges && rc == 0; i++) {
		rc = read_range(e);
		if (i == 0)
			e->m->fns[e->fn].addr = e->base;
	}
	if (rc == 0)
		skip_frequencies(e);
	e->m->fns[e->fn].n_blocks = (uint32_t)(e->m->n_blocks - first);
	return rc < 0 ? rc : e->c->failed ? PGO_EFORMAT : 0;
}

int pgo_bbaddrmap_decode(struct pgo_bbaddrmap *m, const char *what, const void *data, size_t len,
	bool unversioned, struct pgo_err *err)
{
	struct pgo_cursor c;
	int rc = 0;

	pgo_cursor_init(&c, what, data, len, err);
	while (pgo_cursor_left(&c) != 0 && rc == 0) {
		struct entry e = {.m = m, .c = &c};

		if (m->n_fns >= UINT32_MAX || m->n_blocks >= UINT32_MAX / 2)
			return pgo_err_set(err, PGO_ELIMIT, "%s: too many blocks", what);
		rc = read_entry(&e, unversioned);
	}
	return rc;
}

int pgo_bbaddrmap_load(struct pgo_bbaddrmap *m, const struct pgo_elf *elf, struct pgo_err *err)
{
	bool found = false;
	int rc = 0;

	*m = (struct pgo_bbaddrmap){0};
	for (size_t i = 0; i < elf->n_sections && rc == 0; i++) {
		const struct pgo_section *s = &elf->sections[i];

		if (strcmp(s->name, SECTION) != 0 || s->data == NULL)
			continue;
		found = true;
		rc = pgo_bbaddrmap_decode(
			m, SECTION, s->data, s->size, s->type == TYPE_UNVERSIONED, err);
	}
	if (rc < 0)
		return pgo_err_prefix(err, "%s", elf->path);
	if (!found || m->n_blocks == 0)
		return pgo_err_set(err, PGO_ENOTFOUND,
			"%s has no basic-block address map, which tells clang's blocks apart: "
			"build "
			"the program to be profiled with clang -fbasic-block-address-map (before "
			"clang 20: -fbasic-block-sections=labels), and do not strip the "
			"section " SECTION,
			elf->path);
	pgo_bbaddrmap_sort(m);
	return 0;
}

/* ------------------------------------------------------------------ using */

static int by_address(const void *pa, const void *pb)
{
	const struct pgo_bb *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->fn < b->fn ? -1 : a->fn > b->fn;
}

/* Linkers fold equal functions, and leave an entry for each: the first one stays. */
void pgo_bbaddrmap_sort(struct pgo_bbaddrmap *m)
{
	size_t n = 0;

	if (m->n_blocks != 0)
		qsort(m->blocks, m->n_blocks, sizeof *m->blocks, by_address);
	for (size_t i = 0; i < m->n_blocks; i++) {
		const struct pgo_bb b = m->blocks[i];

		if (n != 0 && b.addr < m->blocks[n - 1].addr + m->blocks[n - 1].size)
			continue;
		m->blocks[n++] = b;
	}
	m->n_blocks = n;
}

void pgo_bbaddrmap_fini(struct pgo_bbaddrmap *m)
{
	pgo_free(m->blocks);
	pgo_free(m->fns);
	*m = (struct pgo_bbaddrmap){0};
}

uint32_t pgo_bbaddrmap_find(const struct pgo_bbaddrmap *m, uint64_t addr)
{
	size_t lo = 0, hi = m->n_blocks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->blocks[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != 0 && addr - m->blocks[lo - 1].addr < m->blocks[lo - 1].size
		       ? (uint32_t)(lo - 1)
		       : UINT32_MAX;
}
