/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loading of lines, shared by its files: what is known while a debug file is open.
 *
 *	units that hold wanted code	lines_unit.c, with the scanner of lines_scan.h
 *	their functions, and what was inlined into them
 *					lines_die.c, by libdw
 *	their rows			lines_unit.c, with lines_rows.h; by libdw where that gives up
 *	                        --> convert/linetab.h
 *
 * One at a time; only scanning and line programs run on several threads, while libdw is left alone.
 */
#ifndef PGO_CONVERT_LINES_LOADER_H
#define PGO_CONVERT_LINES_LOADER_H

#include "convert/lines_impl.h"
#include "convert/lines_rows.h"
#include "convert/lines_scan.h"
#include "convert/lines_split.h"
#include "convert/linetab.h"
#include "pgo/core/map.h"

#include <elfutils/libdw.h>

/* What an inlined body's origin says, looked up once. */
struct origin {
	uint64_t key; /* address of the origin's DIE in memory */
	uint32_t name, file, decl_line;
};

/* A DIE whose children are being walked. */
struct level {
	Dwarf_Die die;
	uint32_t node;  /* inline-tree node the children belong to, or UINT32_MAX */
	uint32_t depth; /* of that node */
};

/* The files that a unit's declarations name, as far as they were asked for. */
struct file_table {
	uint64_t key;    /* the unit's object in libdw */
	size_t first, n; /* in file_names and file_ids; n 0: not understood */
};

/* A unit with wanted code. */
struct unit {
	Dwarf_Die die;
	bool skeleton, has; /* its rest is elsewhere; it says where its code is */
};

/* A unit with wanted code: its rows are read when it is known where all of that is. */
struct row_source {
	Dwarf_Die cu;
	enum pgo_disc_encoding enc;
	struct pgo_dw_program program;
	struct pgo_dw_row *rows;
	size_t n_rows, rows_room;
	int rc; /* of pgo_dw_rows() */
};

struct loader {
	struct pgo_lines *l;
	Dwarf *dw;
	struct pgo_linetab *tab;
	struct pgo_strtab *strs;
	const uint64_t *wanted;
	size_t n_wanted;
	enum pgo_disc_encoding enc; /* of the current unit */
	Dwarf_Off last;             /* offset of the last DIE visited in it */
	struct level *stack;
	size_t n_stack, stack_room;
	struct origin *origins;
	size_t n_origins, origins_room;
	struct pgo_map origin_map;
	size_t damaged; /* units given up half-way */
	const struct pgo_elf *debug;
	struct pgo_split split; /* units that are elsewhere */
	bool in_split;          /* the current unit is one */
	Dwarf_Die skeleton;     /* of that unit */

	struct pgo_dw_bytes info, abbrev, addr, line, str, line_str; /* sections */
	struct unit *units;                                          /* those with wanted code */
	size_t n_units, units_room;
	const struct pgo_dw_scan *scan; /* of the current unit */
	Dwarf_CU *scanned;              /* that unit, or NULL */
	bool whole;                     /* a whole unit is being walked, not a single function */
	struct file_table *tables;
	struct pgo_map table_map;
	const char **file_names;
	uint32_t *file_ids; /* strings; PGO_STR_NONE: not interned yet */
	size_t n_tables, tables_room, n_file_names, file_names_room, n_file_ids, file_ids_room;
	struct row_source *sources;
	size_t n_sources, sources_room;
};

/* Is a wanted address in [lo, hi)? */
bool pgo_loader_wants(const struct loader *ld, uint64_t lo, uint64_t hi);
/* The same for the ranges of a DIE; *ret_has: it has some. */
bool pgo_loader_wants_die(struct loader *ld, Dwarf_Die *die, bool *ret_has);
/* Adds a function and its ranges; its node of the tree of inlined bodies.  0 or -1 (memory). */
int pgo_loader_add_function(struct loader *ld, Dwarf_Die *die, uint32_t *ret_node);
/* Adds what is below a DIE: inlined bodies to `root_node`, and, if ld->whole is set, wanted
 * functions.  0 or -1 (memory). */
int pgo_loader_walk(struct loader *ld, Dwarf_Die *root, uint32_t root_node);
/* The line program of a unit; false if there is none to be found. */
bool pgo_loader_program(struct loader *ld, Dwarf_Die *cu, struct pgo_dw_program *ret);
/* All units with wanted code, then their rows.  Both 0 or -1 (memory). */
int pgo_loader_load_units(struct loader *ld);
int pgo_loader_load_rows(struct loader *ld);

#endif
