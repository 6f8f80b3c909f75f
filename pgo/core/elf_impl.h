/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of an open ELF file, shared by elf.c (headers, sections, addresses), elf_symbols.c
 * (functions) and elf_plt.c (stubs, relocations).
 *
 * The file is mapped read-only and nothing in it is believed: every offset, count and string is
 * checked against the mapping before use, and structures are copied out, because nothing says they
 * are aligned.
 */
#ifndef PGO_CORE_ELF_IMPL_H
#define PGO_CORE_ELF_IMPL_H

#include "pgo/core/arena.h"
#include "pgo/core/elf.h"

#include <elf.h>
#include <pthread.h>

struct pgo_elf_inflated { /* a compressed section, unpacked on first use */
	struct pgo_elf_inflated *next;
	size_t section, len;
	uint8_t *data;
};

/* From `start` up to the start of the next interval the answer is `symbol`. */
struct pgo_elf_interval {
	uint64_t start;
	uint32_t symbol; /* UINT32_MAX: no function */
};

struct pgo_elf_impl {
	const uint8_t *map;
	size_t size;
	Elf64_Ehdr ehdr;
	Elf64_Shdr *shdrs; /* as in the file, one per section */
	uint32_t *by_addr; /* allocated sections with an address, sorted by it */
	size_t n_by_addr;
	struct pgo_arena names; /* names that had to be cut */
	struct pgo_elf_interval *intervals;
	size_t n_intervals;
	pthread_mutex_t lock; /* of `inflated`: the rest never changes */
	struct pgo_elf_inflated *inflated;
};

static inline struct pgo_elf_impl *pgo_elf_impl_of(const struct pgo_elf *e)
{
	return e->impl;
}

/* Are [offset, offset + len) bytes of the file? */
static inline bool pgo_elf_in_file(const struct pgo_elf_impl *im, uint64_t offset, uint64_t len)
{
	return offset <= im->size && len <= im->size - offset;
}

/* The string at `offset` of string table section `section`; NULL if it is not there or has no end.
 */
const char *pgo_elf_string(const struct pgo_elf *e, size_t section, uint64_t offset);
/* The section of kind `sh_type` called `name`, or n_sections. */
size_t pgo_elf_find_section(const struct pgo_elf *e, const char *name, uint32_t sh_type);
/* Element i of a table section (symbols, relocations); false past its end. */
bool pgo_elf_element(const struct pgo_elf *e, size_t section, uint64_t i, void *ret, size_t size);
static inline uint64_t pgo_elf_n_elements(const struct pgo_elf *e, size_t section, size_t size)
{
	return section < e->n_sections && e->sections[section].data != NULL
		       ? e->sections[section].size / size
		       : 0;
}
/* `name` without its version (after an @); NULL when out of memory. */
const char *pgo_elf_unversioned(struct pgo_elf *e, const char *name);

int pgo_elf_read_symbols(struct pgo_elf *e, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_elf_read_islands(struct pgo_elf *e, struct pgo_err *err) PGO_MUST_CHECK;
int pgo_elf_read_plt(struct pgo_elf *e, struct pgo_err *err) PGO_MUST_CHECK;

#endif
