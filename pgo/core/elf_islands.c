/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data among the code of AArch64: assemblers mark where data ($d) and code ($x) begin, after the
 * ELF for the Arm 64-bit Architecture, "Mapping symbols".  A mark holds up to the next one of its
 * section.
 */
#include "pgo/core/elf_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>

struct mark {
	uint64_t addr, section_end;
	uint32_t index; /* in the symbol table: of two at one address the later counts */
	bool data;
};

struct marks {
	struct mark *v;
	size_t n, room;
};

static int mark_cmp(const void *pa, const void *pb)
{
	const struct mark *a = pa, *b = pb;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int gather(const struct pgo_elf *e, size_t table, struct marks *m)
{
	size_t strings = pgo_elf_impl_of(e)->shdrs[table].sh_link;
	uint64_t n = pgo_elf_n_elements(e, table, sizeof(Elf64_Sym));

	for (uint64_t i = 1; i < n && i < UINT32_MAX; i++) {
		const struct pgo_section *s;
		const char *name;
		struct mark *to;
		Elf64_Sym sym;

		pgo_elf_element(e, table, i, &sym, sizeof sym);
		if (sym.st_info != ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE) ||
			sym.st_shndx >= e->n_sections)
			continue;
		s = &e->sections[sym.st_shndx];
		name = pgo_elf_string(e, strings, sym.st_name);
		if (!s->exec || name == NULL || name[0] != '$' ||
			(name[1] != 'd' && name[1] != 'x') || (name[2] != '\0' && name[2] != '.') ||
			sym.st_value < s->addr || sym.st_value - s->addr >= s->size)
			continue;
		to = PGO_VEC_PUSH(m->v, m->n, m->room);
		if (to == NULL)
			return -1;
		*to = (struct mark){sym.st_value, s->addr + s->size, (uint32_t)i, name[1] == 'd'};
	}
	return 0;
}

int pgo_elf_read_islands(struct pgo_elf *e, struct pgo_err *err)
{
	size_t table = pgo_elf_find_section(e, ".symtab", SHT_SYMTAB), room = 0;
	struct marks m = {0};
	int rc = 0;

	if (e->machine != PGO_MACHINE_AARCH64 || table >= e->n_sections)
		return 0;
	if (gather(e, table, &m) < 0)
		rc = pgo_err_nomem(err);
	if (m.n != 0)
		qsort(m.v, m.n, sizeof *m.v, mark_cmp);
	for (size_t i = 0; i < m.n && rc == 0; i++) {
		uint64_t end = m.v[i].section_end;
		struct pgo_island *to;

		if (i + 1 < m.n && m.v[i + 1].addr < end)
			end = m.v[i + 1].addr;
		if (!m.v[i].data || end == m.v[i].addr)
			continue;
		to = PGO_VEC_PUSH(e->islands, e->n_islands, room);
		if (to == NULL)
			rc = pgo_err_nomem(err);
		else
			*to = (struct pgo_island){m.v[i].addr, end};
	}
	pgo_free(m.v);
	return rc;
}
