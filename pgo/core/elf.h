/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pipeline needs to know of an ELF file.
 *
 * Build-id (GNU note, walked by owner and type), loadable segments and the address arithmetic
 * between file offsets and ELF virtual addresses, sections, function symbols, PLT entries.  64-bit,
 * little-endian, x86-64 and AArch64; others are refused by name. The object is read-only after
 * opening and may be shared by threads.
 *
 * The file is mapped, not read: what is never asked for is never touched.  Nothing in it is
 * trusted; every offset and count is checked here, which is why no ELF library stands in between.
 * It must not be cut short while it is open (a build that replaces it by a rename is fine).
 */
#ifndef PGO_CORE_ELF_H
#define PGO_CORE_ELF_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_machine { PGO_MACHINE_X86_64, PGO_MACHINE_AARCH64 };

struct pgo_segment { /* PT_LOAD */
	uint64_t offset, vaddr, filesz, memsz;
	bool exec, write;
};

struct pgo_section {
	const char *name;
	uint64_t addr, size, offset;
	uint32_t type; /* sh_type */
	bool exec, alloc, nobits;
	const uint8_t *data; /* borrowed from the file image; NULL for nobits and for debug files'
				empty sections */
};

struct pgo_symbol {
	const char *name;
	const char *file; /* STT_FILE that precedes a local symbol, or NULL */
	uint64_t addr, size;
	uint32_t local_rank; /* for locals: 1-based rank among locals of the same name by address; 0
				for globals */
	uint16_t section;    /* index into sections */
	bool global, weak;
	bool function; /* STT_FUNC or STT_GNU_IFUNC; others (STT_NOTYPE in code) are kept for
			  assembler functions */
};

struct pgo_plt { /* a PLT stub and the function it reaches */
	uint64_t addr, size;
	const char *name;
};

struct pgo_island { /* data among code, where marks say so (AArch64); [start, end) */
	uint64_t start, end;
};

struct pgo_reloc {       /* from .rela.* sections kept by --emit-relocs, and dynamic ones */
	uint64_t addr;   /* place */
	uint64_t target; /* symbol value + addend, as far as it is known at link time */
	uint32_t type;
};

struct pgo_elf {
	const char *path;   /* as opened */
	char build_id[129]; /* lower-case hex, "" if there is none */
	enum pgo_machine machine;
	bool pie;         /* ET_DYN */
	bool has_dwarf;   /* .debug_info (compressed counts) */
	bool has_symtab;  /* .symtab, not only .dynsym */
	bool emit_relocs; /* relocations of code kept at link */
	uint64_t entry;
	const char *debuglink; /* .gnu_debuglink name or NULL */

	struct pgo_segment *segments; /* by vaddr */
	struct pgo_section *sections; /* by index in the file */
	struct pgo_symbol
		*symbols; /* code symbols by (addr, ...); all aliases kept; .symtab, else .dynsym */
	struct pgo_plt *plt;        /* by addr */
	struct pgo_island *islands; /* by address, disjoint */
	size_t n_segments, n_sections, n_symbols, n_plt, n_islands;
	void *impl;
};

/* Gives an object; pgo_elf_close().  Not an ELF, truncated, another class or machine: one sentence.
 */
struct pgo_elf *pgo_elf_open(const char *path, struct pgo_err *err);
/* Headers and sections only, without symbols and stubs; object files (.dwo, .dwp) as well. */
struct pgo_elf *pgo_elf_open_bare(const char *path, struct pgo_err *err);
void pgo_elf_close(struct pgo_elf *e);
/* Only the build-id as hex into `ret` ("" if none); cheaper than opening. */
int pgo_elf_build_id(const char *path, char ret[129], struct pgo_err *err) PGO_MUST_CHECK;
/*
 * The file id by which OpenTelemetry's profiler and its relatives know a file that may have no
 * build-id, as hex: the first 16 bytes of SHA-256 over its first 4 KiB, its last 4 KiB, and its
 * length as 8 bytes, most significant first.
 */
void pgo_elf_file_id(const struct pgo_elf *e, char ret[33]);
/* Is this file an ELF at all (by its first bytes)? */
bool pgo_elf_probe(const char *path);

/* File offset -> virtual address by the segment that holds it; false if none does.  Executable
 * segments are preferred. */
bool pgo_elf_offset_to_vaddr(const struct pgo_elf *e, uint64_t offset, uint64_t *ret);
bool pgo_elf_vaddr_to_offset(const struct pgo_elf *e, uint64_t vaddr, uint64_t *ret);
/* Is `vaddr` in an executable segment (by memsz)? */
bool pgo_elf_is_code(const struct pgo_elf *e, uint64_t vaddr);
/* Bytes of an executable section from `vaddr` to its end; NULL outside. */
const uint8_t *pgo_elf_code(const struct pgo_elf *e, uint64_t vaddr, size_t *ret_len);
/* Bytes of any allocated section with contents (jump tables in .rodata). */
const uint8_t *pgo_elf_data(const struct pgo_elf *e, uint64_t vaddr, size_t *ret_len);
/*
 * The function symbol that covers `vaddr`: functions before labels, those with a size before those
 * without, global before weak before local, then the longest, then names without a dot; NULL if
 * none.  Symbols of size 0 reach to the next symbol.  For aliases at one address constructors and
 * destructors prefer C2/D2.  One binary search.
 */
const struct pgo_symbol *pgo_elf_symbol(const struct pgo_elf *e, uint64_t vaddr);
const struct pgo_section *pgo_elf_section(const struct pgo_elf *e, const char *name);
/* Contents of a section by name (also non-allocated), decompressed; borrowed. NULL if absent. */
const uint8_t *pgo_elf_section_data(const struct pgo_elf *e, const char *name, size_t *ret_len);
/* Is any section of debug information packed in a way that ELF libraries may not know (zstd)? */
bool pgo_elf_packed_debug(const struct pgo_elf *e);
/* A section of a file that is made in memory. */
struct pgo_elf_part {
	const char *name;
	const void *data;
	size_t len;
};
/* The bytes of an ELF file with these sections and nothing else (pgo_free), for libraries that
 * know how to read only files; NULL: out of memory. */
uint8_t *pgo_elf_image(
	enum pgo_machine machine, const struct pgo_elf_part *parts, size_t n, size_t *ret_len);
/* Relocations kept for section `name` (its .rela.NAME), sorted by place: gives an array (pgo_free).
 * 0 if there are none. */
int pgo_elf_relocs(const struct pgo_elf *e, const char *name, struct pgo_reloc **ret, size_t *ret_n,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
