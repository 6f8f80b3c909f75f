/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose cost is it: the self cost of every sample goes to the source-level function that its leaf
 * instruction came from.
 *
 * With the binary at hand that is the innermost inlined function by DWARF, so that a rebuild which
 * inlines differently does not move cost from one name to another; without DWARF the ELF symbol;
 * without a binary the function names in the profile.  Names lose what compilers append to clones
 * (".cold", ".isra.0", ...). Cost of other files goes to "[file]", cost without any name to
 * "[unknown]".
 *
 * One object a side (before, after).  Profiles are added one by one and each is a replicate;
 * nothing is named until finish, so that debug information is read once.
 */
#ifndef PGO_VERIFY_ATTRIB_H
#define PGO_VERIFY_ATTRIB_H

#include "pgo/core/err.h"
#include "pgo/core/profile.h"

#include <stdbool.h>
#include <stdint.h>

/* Cost of one function in one profile. */
struct pgo_cost {
	uint32_t name; /* id in the string table given to finish */
	uint32_t rep;  /* which profile, from 0 */
	int64_t value;
	uint64_t samples; /* times seen, by the profile's count column where it has one */
};

struct pgo_replicate {
	double total;   /* value of all samples */
	double unnamed; /* of which without a function */
	uint64_t samples;
};

struct pgo_attrib {
	struct pgo_elf *elf; /* NULL without a binary */
	const char *binary;
	const char *sample_type; /* asked for, or NULL */
	char *unit;              /* "cpu/nanoseconds": what was found; the same in all profiles */
	struct pgo_replicate *reps;
	struct pgo_cost *costs; /* after finish: sorted by (name text, rep), one row each */
	size_t n_reps, reps_room, n_costs, costs_room;
	/* Not yet named: costs by address in `elf`, and by name in `names`. */
	struct pgo_addr_cost {
		uint64_t vaddr;
		uint32_t rep;
		int64_t value;
		uint64_t samples;
	} * addrs;
	size_t n_addrs, addrs_room;
	struct pgo_strtab names;
};

/* `binary` and `sample_type` may be NULL and outlive the object. */
int pgo_attrib_init(struct pgo_attrib *a, const char *binary, const char *sample_type,
	struct pgo_err *err) PGO_MUST_CHECK;
void pgo_attrib_fini(struct pgo_attrib *a);
/* PGO_EMISMATCH if the profile lacks the sample type or has another unit than its predecessors;
 * PGO_EEMPTY if it has no samples in it. */
int pgo_attrib_add(struct pgo_attrib *a, struct pgo_reader *r, struct pgo_err *err) PGO_MUST_CHECK;
/* Names everything, into `strs`. */
int pgo_attrib_finish(
	struct pgo_attrib *a, struct pgo_strtab *strs, struct pgo_err *err) PGO_MUST_CHECK;
/* Is this one of the names in brackets, which stand for no function? */
bool pgo_attrib_is_pseudo(const char *name);

#endif
