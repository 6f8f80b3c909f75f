/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BOLT's address translation: how code that llvm-bolt has moved (--enable-bat) is to be found in the
 * program it was moved from.
 *
 * A note of owner "BOLT" in section .note.bolt_bat.  Its contents, as llvm-bolt 19 and newer
 * writes them, all numbers ULEB128 unless said otherwise: two tables, first of whole functions (or
 * the hot part of split ones), then of split-off parts.  Each has a number of functions, and each
 * function has
 *
 *	address		minus the last address that was read before it, of whatever kind
 *	[part]		index of its function in the first table, minus that of the part before;
 *			what its input offsets are larger by than its output offsets
 *	[whole]		hash, 8 bytes; number of blocks; number of secondary entry points
 *	n, e		number of entries; in the first e of them both offsets are equal (in parts:
 *			differ by the number above) and only the output offset is there
 *	mask		if e is not 0: e bits in whole bytes, set where the entry is a branch
 *	n entries	output address minus the last address; then, from entry e on, the
 *			difference (SLEB128) of 2 x input offset + (is a branch) to the entry before;
 *			where it is no branch, but a block: hash, 8 bytes, and number of the block
 *			minus that before
 *	[whole]		secondary entry points, as differences
 *
 * Input offsets count from the start of the whole function, for its parts too.
 */
#ifndef PGO_CONVERT_BAT_H
#define PGO_CONVERT_BAT_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_bat_entry {
	uint32_t out; /* offset in the moved function or part */
	uint32_t in;  /* in the whole function before; at a branch, that of the branch */
	bool branch;  /* else it is the start of a block */
};

struct pgo_bat_fn {
	uint64_t addr;  /* after the move */
	uint64_t whole; /* address of the function that it is a part of, or its own */
	size_t first;   /* entries, by `out` */
	uint32_t n;
};

struct pgo_bat {
	struct pgo_bat_fn *fns; /* by address */
	struct pgo_bat_entry *entries;
	size_t n_fns, fns_room, n_entries, entries_room;
};

/* Was the file rewritten by llvm-bolt? */
bool pgo_elf_is_bolted(const struct pgo_elf *e);
/* Gives the tables; NULL in *ret if the file has none.  PGO_EFORMAT: damaged, or another version's. */
int pgo_bat_read(const struct pgo_elf *e, struct pgo_bat **ret, struct pgo_err *err) PGO_MUST_CHECK;
/* The same from the section's bytes. */
int pgo_bat_parse(const char *what, const uint8_t *data, size_t len, struct pgo_bat **ret,
	struct pgo_err *err) PGO_MUST_CHECK;
/* NULL is fine. */
void pgo_bat_free(struct pgo_bat *b);

/* The function or part that starts at `addr`, or NULL. */
const struct pgo_bat_fn *pgo_bat_fn(const struct pgo_bat *b, uint64_t addr);
/* Index (in b->entries) of the last entry at or before offset `out`; SIZE_MAX: none. */
size_t pgo_bat_entry_at(const struct pgo_bat *b, const struct pgo_bat_fn *f, uint32_t out);
/* Where offset `out` of `f` was; a branch source becomes the branch it was made of, or, if BOLT added
 * it, the start of its block. */
uint32_t pgo_bat_translate(
	const struct pgo_bat *b, const struct pgo_bat_fn *f, uint32_t out, bool source);

#endif
