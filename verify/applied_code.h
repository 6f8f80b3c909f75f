/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of a binary with their code, so that two builds can be laid one over the other.
 *
 * A function is all that carries its name: copies of one name in several files, and parts that were
 * split off (NAME.cold, NAME.cold.0), are added up; names are canonical ones.  The hash is of its
 * instructions, normalised: targets of branches count relative to the function, or, outside,
 * by the name of the function they go to; other bytes that hold an address of the program, relative or
 * absolute, are left out.
 */
#ifndef PGO_VERIFY_APPLIED_CODE_H
#define PGO_VERIFY_APPLIED_CODE_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

struct pgo_body {
	uint32_t name; /* string */
	uint64_t size; /* bytes of all parts */
	uint64_t cold; /* of those split off */
	uint64_t hash;
	bool branches;   /* it branches or calls: a profile could change it */
	uint8_t section; /* 0 other, 1 hot, 2 cold, 3 left where llvm-bolt found it: of the largest part that is not split off */
	uint64_t largest; /* its bytes */
};

struct pgo_bodies {
	struct pgo_body *fn; /* by name */
	size_t n, room;
	uint64_t text, cold_parts, cold_bytes, hot_section, cold_section;
};

/* 0, PGO_ENOMEM, or PGO_ENOTFOUND for a binary without symbols. */
int pgo_bodies_read(struct pgo_bodies *c, const struct pgo_elf *e, struct pgo_strtab *strs,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_bodies_fini(struct pgo_bodies *c);
const struct pgo_body *pgo_bodies_find(const struct pgo_bodies *c, uint32_t name);
/* The canonical form (convert/shape.h) of a symbol's name, or of one in .fdata; PGO_STR_NONE: out of
 * memory. */
uint32_t pgo_body_name(struct pgo_strtab *strs, const char *name);

#endif
