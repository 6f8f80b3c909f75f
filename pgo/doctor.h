/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine, a compiler, a program and a store allow, and how to mend what they do not.
 *
 * A row is one fact that was looked at, not deduced from a list: the kernel is asked for a counter
 * and for branch records, a compiler for its version, a program's sections are read, a store is
 * listed up to its first object.  Rows are in a fixed order.
 *
 *	good    it is there
 *	note    it is as it is: nothing is lost, or another way exists
 *	lacks   something that pgo could use is not there; `mend` says how to get it
 *	broken  what the user named (a program, a store, a compiler) cannot be used
 */
#ifndef PGO_DOCTOR_H
#define PGO_DOCTOR_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/json.h"

#include <stdbool.h>
#include <stddef.h>

enum pgo_health { PGO_HEALTH_GOOD, PGO_HEALTH_NOTE, PGO_HEALTH_LACKS, PGO_HEALTH_BROKEN };

struct pgo_symptom {
	const char *area; /* "machine", "compiler", "program", "store"; static */
	const char *what; /* "branch records"; static */
	enum pgo_health health;
	char *found; /* a sentence, or half of one */
	char *mend;  /* what to do; NULL if nothing */
};

struct pgo_doctor {
	struct pgo_symptom *row;
	size_t n, room;
	bool failed; /* memory */
};

void pgo_doctor_fini(struct pgo_doctor *d);
/* Kernel, processor, counters, branch records, perf. */
void pgo_doctor_machine(struct pgo_doctor *d);
/* The compilers and tools that read profiles; with `compiler` NULL those that are found. */
void pgo_doctor_compilers(struct pgo_doctor *d, const char *compiler);
/* A program: build-id, debug information, symbols, relocations, what made it. */
void pgo_doctor_program(struct pgo_doctor *d, const char *path, const char *debug);
/* A store, directory or glob: can it be listed, is anything in it? */
void pgo_doctor_store(struct pgo_doctor *d, const char *url);

/* For the parts: a row; both texts are taken (NULL `found`: memory). */
void pgo_doctor_add(struct pgo_doctor *d, const char *area, const char *what,
	enum pgo_health health, char *found, char *mend);
const char *pgo_health_name(enum pgo_health h);
void pgo_doctor_text(const struct pgo_doctor *d, struct pgo_buf *out);
void pgo_doctor_json(const struct pgo_doctor *d, struct pgo_json *j);
/* Is anything broken that the user named? */
bool pgo_doctor_broken(const struct pgo_doctor *d);

#endif
