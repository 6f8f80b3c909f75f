/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels whose address is taken: where a computed goto may lead.
 *
 * A position-independent program has a relocation for each such address it stores; a program at
 * fixed addresses stores the address itself, in read-only or initialised data.  Addresses of whole
 * functions are among them: ask for what lies inside of one.
 */
#ifndef PGO_CONVERT_LABELS_H
#define PGO_CONVERT_LABELS_H

#include "pgo/core/elf.h"
#include "pgo/core/err.h"

#include <stdbool.h>

struct pgo_labels {
	uint64_t *at; /* sorted, unique */
	size_t n, room;
	bool read;
};

/* Reads them, the first time; zero the struct before. */
int pgo_labels_read(
	struct pgo_labels *l, const struct pgo_elf *code, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_labels_fini(struct pgo_labels *l);
/* Index of the first label at or behind `addr`. */
size_t pgo_labels_find(const struct pgo_labels *l, uint64_t addr);

#endif
