/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/labels.h"

#include "convert/cfg.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* Relocations of 64 bits: base + addend, symbol + addend.  From the processors' ELF supplements. */
enum { X86_64_64 = 1, X86_64_RELATIVE = 8, AARCH64_ABS64 = 257, AARCH64_RELATIVE = 1027 };

static int add(struct pgo_labels *l, const struct pgo_elf *code, uint64_t addr)
{
	uint64_t *to;

	if (!pgo_elf_is_code(code, addr))
		return 0;
	to = PGO_VEC_PUSH(l->at, l->n, l->room);
	if (to == NULL)
		return -1;
	*to = addr;
	return 0;
}

static bool stores_address(const struct pgo_elf *code, uint32_t type)
{
	if (code->machine == PGO_MACHINE_X86_64)
		return type == X86_64_RELATIVE || type == X86_64_64;
	return type == AARCH64_RELATIVE || type == AARCH64_ABS64;
}

static int from_relocations(struct pgo_labels *l, const struct pgo_elf *code, struct pgo_err *err)
{
	struct pgo_reloc *v;
	size_t n;
	int rc = pgo_elf_relocs(code, ".dyn", &v, &n, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (stores_address(code, v[i].type) && add(l, code, v[i].target) < 0)
			rc = pgo_err_nomem(err);
	}
	pgo_free(v);
	return rc;
}

static int from_data(struct pgo_labels *l, const struct pgo_elf *code)
{
	for (size_t i = 0; i < code->n_sections; i++) {
		const struct pgo_section *s = &code->sections[i];

		if (!s->alloc || s->exec || s->nobits || s->data == NULL ||
			(strncmp(s->name, ".rodata", 7) != 0 && strncmp(s->name, ".data", 5) != 0))
			continue;
		for (uint64_t at = (8 - s->addr % 8) % 8; at + 8 <= s->size; at += 8) {
			uint64_t addr;

			memcpy(&addr, s->data + at, 8);
			if (addr != 0 && add(l, code, addr) < 0)
				return -1;
		}
	}
	return 0;
}

int pgo_labels_read(struct pgo_labels *l, const struct pgo_elf *code, struct pgo_err *err)
{
	size_t n = 0;
	int rc = 0;

	if (l->read)
		return 0;
	l->read = true;
	if (code->pie)
		rc = from_relocations(l, code, err);
	else if (from_data(l, code) < 0)
		rc = pgo_err_nomem(err);
	if (rc < 0)
		return rc;
	if (l->n != 0)
		qsort(l->at, l->n, sizeof *l->at, pgo_compare_u64);
	for (size_t i = 0; i < l->n; i++) {
		if (n == 0 || l->at[n - 1] != l->at[i])
			l->at[n++] = l->at[i];
	}
	l->n = n;
	return 0;
}

void pgo_labels_fini(struct pgo_labels *l)
{
	pgo_free(l->at);
	*l = (struct pgo_labels){0};
}

size_t pgo_labels_find(const struct pgo_labels *l, uint64_t addr)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->at[mid] < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}
