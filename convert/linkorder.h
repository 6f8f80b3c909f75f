/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that tell linkers where functions go.
 *
 *	lld      --symbol-ordering-file      NAME
 *	gold     --section-ordering-file     .text.hot.NAME, then .text.NAME: a line each
 *	gnu-ld   --section-ordering-file     (binutils 2.43) .text : { a line "*(SECTIONS)" a function }
 *	calls    --call-graph-ordering-file  FROM TO COUNT, of lld
 *
 * All of them move input sections, so the program has to be compiled with -ffunction-sections.
 * Compilers that know the profile put a function into .text.hot.NAME or .text.unlikely.NAME;
 * the section forms name the hot one, too.  What was never seen is not listed.
 */
#ifndef PGO_CONVERT_LINKORDER_H
#define PGO_CONVERT_LINKORDER_H

#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_link_form { PGO_LINK_LLD, PGO_LINK_GOLD, PGO_LINK_GNU_LD, PGO_LINK_CALLS };

struct pgo_link_line {
	uint32_t name, to; /* strings; `to` and `count` of calls only */
	uint64_t count;
};

struct pgo_linkorder {
	struct pgo_strtab strs;
	struct pgo_link_line *lines;
	size_t n_lines, lines_room;
	size_t n_unfit; /* names left out, because the form cannot hold them */
};

/* "lld", "gold", "gnu-ld"; PGO_EUSAGE for another.  NULL or "" is lld. */
int pgo_link_form_parse(
	const char *name, enum pgo_link_form *ret, struct pgo_err *err) PGO_MUST_CHECK;
const char *pgo_link_form_name(enum pgo_link_form form); /* "calls" as well */
int pgo_linkorder_init(struct pgo_linkorder *l, struct pgo_err *err) PGO_MUST_CHECK;
void pgo_linkorder_fini(struct pgo_linkorder *l);
/* Appends a line; names that `form` cannot hold, and repeated ones of an order, are counted
 * and left out.  0 or PGO_ENOMEM. */
int pgo_linkorder_add(struct pgo_linkorder *l, enum pgo_link_form form, const char *name,
	const char *to, uint64_t count);
/* Appends the file.  PGO_EEMPTY without a line. */
int pgo_linkorder_write(const struct pgo_linkorder *l, enum pgo_link_form form, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;
/* Into an initialised, empty order.  Errors name the line. */
int pgo_linkorder_read(struct pgo_linkorder *l, enum pgo_link_form form, const char *what,
	const void *data, size_t len, struct pgo_err *err) PGO_MUST_CHECK;

#endif
