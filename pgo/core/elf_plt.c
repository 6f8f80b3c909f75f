/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PLT stubs and relocations.
 *
 * A stub jumps through a slot of the global offset table; a dynamic relocation of that slot names
 * the function.  So: decode the slot out of each stub, look it up among the relocations.
 *
 *	x86-64:  [endbr64] [bnd] jmp *disp32(%rip)          f3 0f 1e fa | f2 | ff 25 disp
 *	         mov disp32(%rip), %r11; call or jmp        4c 8b 1d disp: with retpolines
 *	AArch64: [bti c] adrp x16, page; ldr x17, [x16, #offset]; add x16, x16, #offset;
 *	         [autia1716] br x17
 */
#include "pgo/core/elf_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

struct slot {
	uint64_t addr;
	const char *name;
};

struct slots {
	struct slot *v;
	size_t n, room;
};

static int slot_cmp(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_irelative(const struct pgo_elf *e, uint32_t type)
{
	return type == (e->machine == PGO_MACHINE_X86_64 ? (uint32_t)R_X86_64_IRELATIVE
							 : (uint32_t)R_AARCH64_IRELATIVE);
}

static bool is_slot(const struct pgo_elf *e, uint32_t type)
{
	if (e->machine == PGO_MACHINE_X86_64)
		return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
	return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
}

/* The function a slot will point to: "" if none is known; NULL when out of memory. */
static const char *slot_name(struct pgo_elf *e, size_t symtab, const Elf64_Rela *r)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info);
	const char *name = NULL;
	Elf64_Sym sym;

	if (is_irelative(e, type)) {
		/* The resolver of an indirect function carries the function's own name. */
		const struct pgo_symbol *s = pgo_elf_symbol(e, (uint64_t)r->r_addend);

		return s != NULL ? s->name : "";
	}
	if (is_slot(e, type) && symtab < e->n_sections &&
		pgo_elf_element(e, symtab, ELF64_R_SYM(r->r_info), &sym, sizeof sym))
		name = pgo_elf_string(e, im->shdrs[symtab].sh_link, sym.st_name);
	return name != NULL ? pgo_elf_unversioned(e, name) : "";
}

static int read_slots(struct pgo_elf *e, struct slots *s, struct pgo_err *err)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);

	for (size_t i = 0; i < e->n_sections; i++) {
		uint64_t n = pgo_elf_n_elements(e, i, sizeof(Elf64_Rela));

		if (im->shdrs[i].sh_type != SHT_RELA || !e->sections[i].alloc)
			continue;
		for (uint64_t k = 0; k < n; k++) {
			struct slot *to;
			const char *name;
			Elf64_Rela r;

			pgo_elf_element(e, i, k, &r, sizeof r);
			name = slot_name(e, im->shdrs[i].sh_link, &r);
			if (name != NULL && name[0] == '\0')
				continue;
			to = name != NULL ? PGO_VEC_PUSH(s->v, s->n, s->room) : NULL;
			if (to == NULL)
				return pgo_err_nomem(err);
			*to = (struct slot){r.r_offset, name};
		}
	}
	if (s->n != 0)
		qsort(s->v, s->n, sizeof *s->v, slot_cmp);
	return 0;
}

static const char *find_slot(const struct slots *s, uint64_t addr)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->v[lo].addr == addr ? s->v[lo].name : NULL;
}

/* ---------------------------------------------------------------- stubs */

/* A stub: the slot it jumps through, and its length. */
struct stub {
	uint64_t slot, size;
};

/* The stub at `p` (address `addr`, `len` bytes left); false if there is none. */
static bool decode_x86(
	const uint8_t *p, size_t len, uint64_t addr, uint64_t entry, struct stub *ret)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa}, mov_r11[] = {0x4c, 0x8b, 0x1d};
	size_t at = 0, skip;
	int32_t disp;

	ret->size = entry;
	if (len >= sizeof endbr64 && memcmp(p, endbr64, sizeof endbr64) == 0)
		at += sizeof endbr64;
	if (at < len && p[at] == 0xf2)
		at++;
	if (len - at >= 8 && memcmp(p + at, mov_r11, sizeof mov_r11) == 0) {
		/* call: lazily resolved, and of two lines; jmp: of one */
		skip = sizeof mov_r11;
		ret->size = p[at + 7] == 0xe8 ? 32 : 16;
	} else if (len - at >= 6 && p[at] == 0xff && p[at + 1] == 0x25) {
		skip = 2;
	} else {
		return false;
	}
	memcpy(&disp, p + at + skip, sizeof disp);
	ret->slot = addr + at + skip + sizeof disp + (uint64_t)(int64_t)disp;
	return true;
}

static uint32_t word_at(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof w);
	return w;
}

static bool decode_a64(const uint8_t *p, size_t len, uint64_t addr, struct stub *ret)
{
	uint32_t adrp, ldr;
	uint64_t page;
	size_t at = 0;

	if (len >= 4 && word_at(p) == 0xd503245f) /* bti c */
		at = 4;
	if (len < at + 8)
		return false;
	adrp = word_at(p + at);
	ldr = word_at(p + at + 4);
	if ((adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400211)
		return false;
	page = (uint64_t)(adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3);
	if ((page & (1 << 20)) != 0)
		page |= ~(uint64_t)0 << 21;
	ret->slot =
		((addr + at) & ~(uint64_t)0xfff) + (page << 12) + (uint64_t)(ldr >> 10 & 0xfff) * 8;
	/* Up to its jump: br x17, or one that authenticates. */
	for (at += 8; len >= at + 4 && at < 28; at += 4) {
		if ((word_at(p + at) & 0xfffff3e0) == (0xd61f0000 | 17 << 5) ||
			(word_at(p + at) & 0xfffffbff) == (0xd71f0800 | 17 << 5 | 16))
			break;
	}
	if (len < at + 4 || at == 28)
		return false;
	ret->size = at + 4;
	return true;
}

static int add_stubs(struct pgo_elf *e, const struct pgo_section *s, uint64_t entry,
	const struct slots *slots, size_t *room, struct pgo_err *err)
{
	bool x86 = e->machine == PGO_MACHINE_X86_64;
	/* On AArch64 the first, longer entry shifts the others: look at every instruction. */
	uint64_t step = x86 ? entry : 4;

	for (uint64_t at = 0; at < s->size;) {
		struct stub stub = {0};
		const char *name = NULL;
		struct pgo_plt *to;

		if (x86 ? decode_x86(s->data + at, s->size - at, s->addr + at, entry, &stub)
			: decode_a64(s->data + at, s->size - at, s->addr + at, &stub))
			name = find_slot(slots, stub.slot);
		if (name == NULL) {
			at += step;
			continue;
		}
		to = PGO_VEC_PUSH(e->plt, e->n_plt, *room);
		if (to == NULL)
			return pgo_err_nomem(err);
		to->addr = s->addr + at;
		to->size = stub.size < s->size - at ? stub.size : s->size - at;
		to->name = name;
		at += to->size;
	}
	return 0;
}

static int plt_cmp(const void *a, const void *b)
{
	const struct pgo_plt *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int pgo_elf_read_plt(struct pgo_elf *e, struct pgo_err *err)
{
	static const char *const names[] = {".plt", ".plt.sec", ".plt.got", ".iplt"};
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	struct slots slots = {0};
	size_t room = 0;
	int rc = read_slots(e, &slots, err);

	for (size_t i = 0; i < sizeof names / sizeof *names && rc == 0; i++) {
		const struct pgo_section *s = pgo_elf_section(e, names[i]);
		uint64_t entry;

		if (s == NULL || s->data == NULL || !s->exec)
			continue;
		entry = im->shdrs[s - e->sections].sh_entsize;
		if (entry != 8 && entry != 16 && entry != 24)
			entry = 16;
		rc = add_stubs(e, s, entry, &slots, &room, err);
	}
	if (rc == 0 && e->n_plt != 0)
		qsort(e->plt, e->n_plt, sizeof *e->plt, plt_cmp);
	pgo_free(slots.v);
	return rc;
}

/* ---------------------------------------------------------------- relocations */

static int reloc_cmp(const void *a, const void *b)
{
	const struct pgo_reloc *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return x->target < y->target ? -1 : x->target > y->target;
}

int pgo_elf_relocs(const struct pgo_elf *e, const char *name, struct pgo_reloc **ret, size_t *ret_n,
	struct pgo_err *err)
{
	const struct pgo_elf_impl *im = pgo_elf_impl_of(e);
	char *rela = pgo_asprintf(".rela%s", name);
	struct pgo_reloc *v;
	size_t section;
	uint64_t n;

	if (rela == NULL)
		return pgo_err_nomem(err);
	section = pgo_elf_find_section(e, rela, SHT_RELA);
	pgo_free(rela);
	n = pgo_elf_n_elements(e, section, sizeof(Elf64_Rela));
	v = pgo_calloc(n, sizeof *v);
	if (v == NULL)
		return pgo_err_nomem(err);
	for (uint64_t i = 0; i < n; i++) {
		Elf64_Sym sym = {0};
		Elf64_Rela r;

		pgo_elf_element(e, section, i, &r, sizeof r);
		if (ELF64_R_SYM(r.r_info) != 0)
			pgo_elf_element(e, im->shdrs[section].sh_link, ELF64_R_SYM(r.r_info), &sym,
				sizeof sym);
		v[i].addr = r.r_offset;
		v[i].target = sym.st_value + (uint64_t)r.r_addend;
		v[i].type = (uint32_t)ELF64_R_TYPE(r.r_info);
	}
	if (n != 0)
		qsort(v, n, sizeof *v, reloc_cmp);
	*ret = v;
	*ret_n = n;
	return 0;
}
