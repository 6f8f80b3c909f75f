/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/applied_code.h"

#include "convert/shape.h"
#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/insn.h"
#include "pgo/core/map.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* Smaller distances are offsets in a structure more often than in the program. */
#define NEAR 64
#define NAME_MAX_BYTES ((size_t)1 << 20)

uint32_t pgo_body_name(struct pgo_strtab *strs, const char *name)
{
	size_t len = strcspn(name, "/");
	struct pgo_buf text;
	uint32_t id;

	pgo_buf_init(&text, NAME_MAX_BYTES);
	pgo_name_canonical(name, len != 0 ? len : strlen(name), &text);
	id = text.failed ? PGO_STR_NONE
			 : pgo_strtab_add(strs, text.data != NULL ? text.data : "", text.len);
	pgo_buf_fini(&text);
	return id;
}

static bool is_cold_part(const char *name)
{
	const char *p = strstr(name, ".cold");

	return p != NULL && p != name && (p[5] == '\0' || p[5] == '.');
}

/* ---- normalised code */

static bool in_program(const struct pgo_elf *e, uint64_t addr)
{
	for (size_t i = 0; i < e->n_segments; i++)
		if (addr - e->segments[i].vaddr < e->segments[i].memsz)
			return true;
	return false;
}

/* x86-64: four bytes that are an address, or the distance to one from the end of the instruction. */
static void mask_x86(const struct pgo_elf *e, const struct pgo_insn *x, uint8_t *bytes)
{
	for (unsigned i = 1; i + 4 <= x->size; i++) {
		int32_t v;
		uint64_t target;

		memcpy(&v, bytes + i, 4);
		target = x->addr + x->size + (uint64_t)(int64_t)v;
		if ((v >= NEAR || v <= -NEAR) &&
			(in_program(e, target) || (v > 0x1000 && in_program(e, (uint64_t)v)))) {
			memset(bytes + i, 0, 4);
			i += 3;
		}
	}
}

/* AArch64: the numbers of ADR and ADRP, and the low twelve bits that go with them. */
static void mask_arm64(uint8_t *bytes)
{
	uint32_t w;

	memcpy(&w, bytes, 4);
	if ((w & 0x1f000000) == 0x10000000)
		w &= 0x9f00001f;
	else if ((w & 0xff800000) == 0x91000000 || (w & 0x3b000000) == 0x39000000)
		w &= ~(uint32_t)(0xfff << 10);
	memcpy(bytes, &w, 4);
}

struct hashing {
	const struct pgo_elf *e;
	struct pgo_insn_decoder d;
	struct pgo_strtab *strs;
	uint32_t *names; /* canonical ones, of all symbols */
	uint64_t start, end;
	bool branches; /* of the function at hand */
};

/* What a branch or call goes to: a place in the function, or another function by its name. */
static uint64_t hash_target(const struct hashing *h, uint64_t target)
{
	const struct pgo_symbol *s;

	if (target >= h->start && target < h->end)
		return target - h->start;
	s = pgo_elf_symbol(h->e, target);
	if (s != NULL)
		return pgo_hash_u64(h->names[s - h->e->symbols]);
	for (size_t i = 0; i < h->e->n_plt; i++)
		if (target - h->e->plt[i].addr < h->e->plt[i].size && h->e->plt[i].name != NULL)
			return pgo_hash(h->e->plt[i].name, strlen(h->e->plt[i].name));
	return 1;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	return pgo_hash_u64(h * 31 + v);
}

static uint64_t hash_insn(const struct hashing *h, const struct pgo_insn *x, const uint8_t *code)
{
	uint8_t bytes[16] = {0};

	if (x->kind == PGO_INSN_NOP)
		return 0;
	memcpy(bytes, code, x->size < sizeof bytes ? x->size : sizeof bytes);
	/* The condition is in the first two bytes; how far the branch reaches is not. */
	if (x->target != 0)
		return mix(mix(x->kind, bytes[0] == 0x0f ? bytes[1] & 0xf : bytes[0] & 0xf),
			hash_target(h, x->target));
	if (h->e->machine == PGO_MACHINE_X86_64)
		mask_x86(h->e, x, bytes);
	else
		mask_arm64(bytes);
	return pgo_hash(bytes, x->size);
}

static uint64_t hash_code(struct hashing *h, const uint8_t *code, size_t len)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < len;) {
		struct pgo_insn x;
		uint64_t one;

		if (!pgo_insn_decode(&h->d, h->start + at, code + at, len - at, &x) || x.size == 0)
			return mix(sum, pgo_hash(code + at, len - at));
		one = hash_insn(h, &x, code + at);
		h->branches |= x.kind == PGO_INSN_COND || x.kind == PGO_INSN_JUMP_INDIRECT ||
			       pgo_insn_is_call(x.kind);
		if (one != 0)
			sum = mix(sum, one);
		at += x.size;
	}
	return sum;
}

/* ---- functions */

static uint8_t section_kind(const struct pgo_elf *e, const struct pgo_symbol *s)
{
	const char *name = s->section < e->n_sections ? e->sections[s->section].name : "";

	if (strncmp(name, ".bolt.org.", 10) == 0)
		return 3;
	if (strncmp(name, ".text.hot", 9) == 0)
		return 1;
	return strncmp(name, ".text.unlikely", 14) == 0 || strncmp(name, ".text.cold", 10) == 0 ||
			       strncmp(name, ".text.split", 11) == 0
		       ? 2
		       : 0;
}

static int add(struct pgo_bodies *c, struct hashing *h, const struct pgo_symbol *s)
{
	struct pgo_body *f = PGO_VEC_PUSH(c->fn, c->n, c->room);
	size_t len;
	const uint8_t *code = pgo_elf_code(h->e, s->addr, &len);
	bool cold = is_cold_part(s->name);

	if (f == NULL)
		return -1;
	len = code == NULL ? 0 : len < s->size ? len : s->size;
	h->start = s->addr;
	h->end = s->addr + len;
	h->branches = false;
	*f = (struct pgo_body){.name = h->names[s - h->e->symbols],
		.size = len,
		.cold = cold ? len : 0,
		.hash = hash_code(h, code, len),
		.section = section_kind(h->e, s),
		.largest = cold ? 0 : len};
	f->branches = h->branches;
	c->text += len;
	c->cold_parts += cold;
	c->cold_bytes += f->cold;
	c->hot_section += f->section == 1 ? len : 0;
	c->cold_section += f->section == 2 ? len : 0;
	return 0;
}

static int by_name(const void *pa, const void *pb)
{
	const struct pgo_body *a = pa, *b = pb;

	return (a->name > b->name) - (a->name < b->name);
}

/* Parts and copies of one name become one function, whatever their order. */
static void join(struct pgo_bodies *c)
{
	size_t n = 0;

	if (c->n != 0)
		qsort(c->fn, c->n, sizeof *c->fn, by_name);
	for (size_t i = 0; i < c->n; i++) {
		struct pgo_body *f = &c->fn[i], *into = n > 0 ? &c->fn[n - 1] : NULL;

		if (into == NULL || into->name != f->name) {
			c->fn[n++] = *f;
			continue;
		}
		into->size += f->size;
		into->cold += f->cold;
		into->hash += f->hash;
		into->branches |= f->branches;
		if (f->largest > into->largest) {
			into->largest = f->largest;
			into->section = f->section;
		}
	}
	c->n = n;
}

/* One function may have several symbols: the one that others would find it by. */
static bool is_function(const struct pgo_elf *e, const struct pgo_symbol *s)
{
	bool cold = is_cold_part(s->name);

	return (s->function || cold) && s->size != 0 && (cold || pgo_elf_symbol(e, s->addr) == s);
}

static int read_functions(struct pgo_bodies *c, struct hashing *h)
{
	const struct pgo_elf *e = h->e;

	h->names = pgo_malloc((e->n_symbols + 1) * sizeof *h->names);
	if (h->names == NULL)
		return -1;
	for (size_t i = 0; i < e->n_symbols; i++) {
		h->names[i] = pgo_body_name(h->strs, e->symbols[i].name);
		if (h->names[i] == PGO_STR_NONE)
			return -1;
	}
	for (size_t i = 0; i < e->n_symbols; i++)
		if (is_function(e, &e->symbols[i]) && add(c, h, &e->symbols[i]) < 0)
			return -1;
	return 0;
}

int pgo_bodies_read(
	struct pgo_bodies *c, const struct pgo_elf *e, struct pgo_strtab *strs, struct pgo_err *err)
{
	struct hashing h = {.e = e, .strs = strs};
	int rc;

	memset(c, 0, sizeof *c);
	pgo_insn_decoder_init(&h.d, e->machine);
	rc = read_functions(c, &h);
	pgo_free(h.names);
	if (rc < 0) {
		pgo_bodies_fini(c);
		return pgo_err_nomem(err);
	}
	join(c);
	if (c->n != 0)
		return 0;
	pgo_bodies_fini(c);
	return pgo_err_set(err, PGO_ENOTFOUND,
		"%s has no symbols of functions; give the binary before it was stripped", e->path);
}

void pgo_bodies_fini(struct pgo_bodies *c)
{
	pgo_free(c->fn);
	memset(c, 0, sizeof *c);
}

const struct pgo_body *pgo_bodies_find(const struct pgo_bodies *c, uint32_t name)
{
	struct pgo_body key = {.name = name};

	return c->n != 0 ? bsearch(&key, c->fn, c->n, sizeof *c->fn, by_name) : NULL;
}
