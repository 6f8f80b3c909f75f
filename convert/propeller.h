/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Propeller's basic-block clusters: what clang -fbasic-block-sections=list=FILE splits functions
 * and orders their blocks by, when the same source is compiled once more with the same options.
 *
 *	v0 (every clang)			v1 (clang 17 or newer)
 *						v1
 *	!NAME/ALIAS/ALIAS			f NAME ALIAS ALIAS
 *	!!ID ID ID				c ID ID ID
 *
 * Ids are those of the block address map of the profiled program (convert/bbaddrmap.h).  Listed
 * blocks stay together in the order given, the entry first; the others of the function become
 * NAME.cold, far away.  Reading passes over what else the formats know: modules, paths to clone,
 * counts, hashes, comments.
 *
 * A function is named by every symbol at its address.  One whose only names are those of several
 * local functions is left out: its clusters would be taken for the others as well.
 */
#ifndef PGO_CONVERT_PROPELLER_H
#define PGO_CONVERT_PROPELLER_H

#include "convert/bbaddrmap.h"
#include "convert/codefns.h"
#include "convert/linkorder.h"
#include "convert/ranges.h"
#include "pgo/core/buf.h"
#include "pgo/core/err.h"
#include "pgo/core/strtab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_cluster_block {
	uint32_t id;
	bool first; /* of a cluster */
};

struct pgo_cluster_fn {
	uint32_t first_name, n_names; /* in names[]; the first is the function's own */
	uint32_t first_block, n_blocks;
	bool rest; /* has blocks that are not listed (not in files) */
};

struct pgo_propeller {
	struct pgo_strtab strs;
	struct pgo_cluster_fn *fns;
	uint32_t *names; /* strings */
	struct pgo_cluster_block *blocks;
	size_t n_fns, fns_room, n_names, names_room, n_blocks, blocks_room;
	size_t n_ambiguous; /* functions left out for their names */
};

struct pgo_propeller *pgo_propeller_new(struct pgo_err *err);
/* NULL is fine. */
void pgo_propeller_free(struct pgo_propeller *p);
/*
 * Chains the blocks of every function that ran (convert/exttsp.h), functions in the order of
 * convert/callgraph.h.  PGO_ENOTFOUND without a block address map, PGO_EEMPTY if nothing ran in
 * blocks of it.  `elf` has the code and the map, `symbols` the names.
 */
struct pgo_propeller *pgo_propeller_make(const struct pgo_elf *elf, const struct pgo_elf *symbols,
	const struct pgo_codefns *fns, const struct pgo_ranges *r, struct pgo_err *err);
/* The order of symbols that goes with it: the listed parts, then the NAME.cold.  `l` is
 * initialised. */
int pgo_propeller_order(
	const struct pgo_propeller *p, struct pgo_linkorder *l, struct pgo_err *err) PGO_MUST_CHECK;
bool pgo_propeller_probe(const void *head, size_t len);
/* Either version, by its first line.  Errors name the line. */
struct pgo_propeller *pgo_propeller_read(
	const char *what, const void *data, size_t len, struct pgo_err *err);
/* `version`: 0 or 1. */
int pgo_propeller_write(const struct pgo_propeller *p, unsigned version, struct pgo_buf *out,
	struct pgo_err *err) PGO_MUST_CHECK;

#endif
