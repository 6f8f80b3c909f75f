/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lines.h"

#include "convert/debugfile.h"
#include "convert/lines_file.h"
#include "convert/lines_impl.h"
#include "convert/lines_rows.h"
#include "convert/lines_scan.h"
#include "convert/lines_split.h"
#include "convert/linetab.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"
#include "pgo/core/map.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <ctype.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

/* Discriminator of an inlined call; older dwarf.h files have no name for it. */
#define AT_GNU_DISCRIMINATOR 0x2136
/* Steps from a DIE to the one that it was made from, and on. */
#define MAX_ORIGINS 8
/* Deeper nesting than any compiler makes is taken for damage. */
#define MAX_DEPTH 1024

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

/* Units are scanned by several threads, so many at once, while libdw is left alone. */
#define SCANS 32

struct scans {
	const struct loader *ld;
	struct pgo_dw_unit unit[SCANS];
	struct pgo_dw_scan scan[SCANS];
	int rc[SCANS]; /* of pgo_dw_scan_unit() */
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

/* ------------------------------------------------------------------ discriminators */

/* One prefix-coded component; takes it off `*raw`. */
static uint32_t clang_component(uint32_t *raw)
{
	uint32_t v;

	if (*raw & 1) {
		*raw >>= 1;
		return 0;
	}
	v = *raw >> 1 & 31;
	if (*raw & 0x40) {
		v |= (*raw >> 7 & 0x7f) << 5;
		*raw >>= 14;
	} else {
		*raw >>= 7;
	}
	return v;
}

void pgo_disc_decode(enum pgo_disc_encoding enc, uint32_t raw, uint32_t *ret_base,
	uint32_t *ret_factor, uint32_t *ret_copy)
{
	*ret_base = raw;
	*ret_factor = 1;
	*ret_copy = 0;
	if (enc == PGO_DISC_CLANG) {
		*ret_base = clang_component(&raw);
		*ret_factor = clang_component(&raw);
		/* LLVM's copy ids tell clones apart; counts take the largest over them. */
	} else if (enc == PGO_DISC_GCC16) {
		*ret_base = raw & 0xff;
		*ret_factor = raw >> 8 & 0x7f;
		*ret_copy = raw >> 15 & 0x7ff;
	}
	if (*ret_factor == 0)
		*ret_factor = 1;
}

bool pgo_elf_has_fs_discriminators(const struct pgo_elf *elf)
{
	static const char name[] = "__llvm_fs_discriminator__";
	size_t len;
	const uint8_t *names = pgo_elf_section_data(elf, ".strtab", &len);

	/* A variable, which the table of functions does not hold. */
	return names != NULL && memmem(names, len, name, sizeof name) != NULL;
}

enum pgo_disc_encoding pgo_disc_encoding_of(const char *producer)
{
	const char *p;

	if (producer == NULL || strncmp(producer, "GNU ", 4) != 0)
		return producer != NULL && strncmp(producer, "Go ", 3) == 0 ? PGO_DISC_PLAIN
									    : PGO_DISC_CLANG;
	/* "GNU C++17 16.2.0 -O2": the release follows the language. */
	p = strchr(producer + 4, ' ');
	return p != NULL && isdigit((unsigned char)p[1]) && atoi(p + 1) >= 16 ? PGO_DISC_GCC16
									      : PGO_DISC_PLAIN;
}

/* ------------------------------------------------------------------ attributes */

static uint32_t unsigned_attr(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute a;
	Dwarf_Word v;

	if (dwarf_attr(die, name, &a) == NULL || dwarf_formudata(&a, &v) != 0 || v > UINT32_MAX)
		return 0;
	return (uint32_t)v;
}

/* The linkage name, along origin and specification; NULL if there is none. */
static const char *linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute a;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &a) == NULL &&
		dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &a) == NULL)
		return NULL;
	return dwarf_formstring(&a);
}

static const char *plain_name(Dwarf_Die *die)
{
	Dwarf_Attribute a;

	return dwarf_attr_integrate(die, DW_AT_name, &a) != NULL ? dwarf_formstring(&a) : NULL;
}

static uint32_t intern(struct loader *ld, const char *s)
{
	return s != NULL ? pgo_strtab_puts(ld->strs, s) : 0;
}

static bool program_of(struct loader *ld, Dwarf_Die *cu, struct pgo_dw_program *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word offset;
	uint8_t address_size;

	if (dwarf_attr(cu, DW_AT_stmt_list, &a) == NULL || dwarf_formudata(&a, &offset) != 0 ||
		dwarf_cu_die(cu->cu, &(Dwarf_Die){0}, NULL, NULL, &address_size, NULL, NULL,
			NULL) == NULL)
		return false;
	*ret = (struct pgo_dw_program){ld->line, ld->str, ld->line_str, offset, address_size};
	return true;
}

static int add_file_name(void *ctx, const char *name)
{
	struct loader *ld = ctx;

	if (PGO_VEC_RESERVE(ld->file_names, ld->file_names_room, ld->n_file_names + 1) < 0 ||
		PGO_VEC_RESERVE(ld->file_ids, ld->file_ids_room, ld->n_file_names + 1) < 0)
		return -1;
	ld->file_names[ld->n_file_names] = name;
	ld->file_ids[ld->n_file_names++] = PGO_STR_NONE;
	return 0;
}

/* The table of a unit, read at the first call; NULL when out of memory. */
static const struct file_table *file_table_of(struct loader *ld, Dwarf_CU *cu)
{
	uint64_t key = (uint64_t)(uintptr_t)cu;
	uint32_t i =
		pgo_map_find_key(&ld->table_map, ld->tables, sizeof *ld->tables, &key, sizeof key);
	struct pgo_dw_program program;
	struct file_table *t;
	Dwarf_Die die;
	int rc = 0;

	if (i != PGO_MAP_NONE)
		return &ld->tables[i];
	t = PGO_VEC_PUSH(ld->tables, ld->n_tables, ld->tables_room);
	if (t == NULL ||
		pgo_map_add_key(&ld->table_map, &key, sizeof key, (uint32_t)(ld->n_tables - 1)) < 0)
		return NULL;
	t->key = key;
	t->first = ld->n_file_names;
	if (dwarf_cu_getdwarf(cu) == ld->dw &&
		dwarf_cu_die(cu, &die, NULL, NULL, NULL, NULL, NULL, NULL) != NULL &&
		program_of(ld, &die, &program))
		rc = pgo_dw_files(&program, add_file_name, ld);
	if (rc == 1)
		t->n = ld->n_file_names - t->first;
	else
		ld->n_file_names = t->first;
	return rc < 0 ? NULL : t;
}

/*
 * File `i` of a unit's table as a string, without libdw, which would read all rows for it.  False:
 * the table is not understood.
 */
static bool file_of_unit(struct loader *ld, Dwarf_CU *cu, Dwarf_Word i, uint32_t *ret)
{
	const struct file_table *t = file_table_of(ld, cu);
	uint32_t *id;

	if (t != NULL && i >= t->n)
		return false;
	*ret = PGO_STR_NONE;
	if (t == NULL)
		return true;
	id = &ld->file_ids[t->first + i];
	if (*id == PGO_STR_NONE)
		*id = intern(ld, pgo_path_base(ld->file_names[t->first + i]));
	*ret = *id;
	return true;
}

/* The same by libdw, for units of other files.  A split unit may share its skeleton's table. */
static const char *file_elsewhere(struct loader *ld, Dwarf_Die *die, Dwarf_Word i)
{
	Dwarf_Files *files;
	Dwarf_Die unit;
	size_t n;

	if (dwarf_diecu(die, &unit, NULL, NULL) == NULL ||
		(dwarf_getsrcfiles(&unit, &files, &n) != 0 &&
			(!ld->in_split || dwarf_getsrcfiles(&ld->skeleton, &files, &n) != 0)))
		return NULL;
	return i < n ? dwarf_filesrc(files, i, NULL, NULL) : NULL;
}

/* The DIE itself or the one it was made from, whichever says the file; the number is one of that
 * DIE's unit.  (dwarf_decl_file() ends the program at a split unit without a table.) */
static uint32_t decl_file(struct loader *ld, Dwarf_Die *die)
{
	const char *path = NULL;
	Dwarf_Die at = *die;
	Dwarf_Attribute a;
	Dwarf_Word i;
	uint32_t id;

	for (int depth = 0; depth < MAX_ORIGINS; depth++) {
		if (dwarf_attr(&at, DW_AT_decl_file, &a) != NULL) {
			if (dwarf_formudata(&a, &i) != 0)
				break;
			if (!ld->in_split && file_of_unit(ld, a.cu, i, &id))
				return id;
			path = file_elsewhere(ld, &at, i);
			break;
		}
		if ((dwarf_attr(&at, DW_AT_abstract_origin, &a) == NULL &&
			    dwarf_attr(&at, DW_AT_specification, &a) == NULL) ||
			dwarf_formref_die(&a, &at) == NULL)
			break;
	}
	return path != NULL ? intern(ld, pgo_path_base(path)) : 0;
}

static bool is_child(Dwarf_Die *parent, Dwarf_Off offset)
{
	Dwarf_Die child;

	if (dwarf_child(parent, &child) != 0)
		return false;
	while (dwarf_dieoffset(&child) != offset)
		if (dwarf_dieoffset(&child) > offset || dwarf_siblingof(&child, &child) != 0)
			return false;
	return true;
}

/* Line of the class around a member function; 0 if there is none.  Slow in units that were not
 * scanned: libdw searches them. */
static uint32_t class_line(struct loader *ld, Dwarf_Die *die)
{
	Dwarf_Die own = *die, class, *scopes = NULL;
	Dwarf_Attribute a;
	int n, line = 0;

	if (dwarf_attr(&own, DW_AT_abstract_origin, &a) != NULL &&
		dwarf_formref_die(&a, &own) == NULL)
		return 0;
	if (own.cu == ld->scanned) {
		uint64_t around = pgo_dw_class_around(ld->scan, dwarf_dieoffset(&own));

		if (around == 0 || dwarf_offdie(ld->dw, around, &class) == NULL ||
			!is_child(&class, dwarf_dieoffset(&own)) ||
			dwarf_decl_line(&class, &line) != 0)
			return 0;
		return line > 0 ? (uint32_t)line : 0;
	}
	n = dwarf_getscopes_die(&own, &scopes);
	if (n < 2 ||
		(dwarf_tag(&scopes[1]) != DW_TAG_structure_type &&
			dwarf_tag(&scopes[1]) != DW_TAG_class_type) ||
		dwarf_decl_line(&scopes[1], &line) != 0)
		line = 0;
	free(scopes); /* libdw's own */
	return line > 0 ? (uint32_t)line : 0;
}

/*
 * Line of the declaration.  GCC gives none for the body of a lambda; the compiler counts from the
 * lambda's introducer.  Its first parameter is nearly always on that line; without any, the
 * closure's class says it.
 */
static uint32_t decl_line(struct loader *ld, Dwarf_Die *die)
{
	const char *name;
	Dwarf_Die child;
	Dwarf_Attribute a;
	int line;

	if (dwarf_decl_line(die, &line) == 0)
		return line > 0 ? (uint32_t)line : 0;
	name = plain_name(die);
	if (name == NULL || strcmp(name, "operator()") != 0)
		return 0;
	if (dwarf_child(die, &child) != 0)
		return class_line(ld, die);
	for (int n = 0; n < 16; n++) {
		if (dwarf_tag(&child) == DW_TAG_formal_parameter &&
			dwarf_attr_integrate(&child, DW_AT_artificial, &a) == NULL &&
			dwarf_decl_line(&child, &line) == 0)
			return line > 0 ? (uint32_t)line : 0;
		if (dwarf_siblingof(&child, &child) != 0)
			break;
	}
	return class_line(ld, die);
}

/* Name and declaration of an inlined body, by its abstract origin.  NULL: out of memory. */
static const struct origin *origin_of(struct loader *ld, Dwarf_Die *die, struct origin *room)
{
	Dwarf_Attribute a;
	Dwarf_Die origin;
	const char *name;
	uint32_t i;

	if (dwarf_attr(die, DW_AT_abstract_origin, &a) == NULL ||
		dwarf_formref_die(&a, &origin) == NULL)
		origin = *die;
	*room = (struct origin){.key = (uint64_t)(uintptr_t)origin.addr};
	i = pgo_map_find_key(
		&ld->origin_map, ld->origins, sizeof *ld->origins, &room->key, sizeof room->key);
	if (i != PGO_MAP_NONE)
		return &ld->origins[i];
	name = linkage_name(&origin);
	room->name = intern(ld, name != NULL && name[0] != '\0' ? name : plain_name(&origin));
	room->file = decl_file(ld, &origin);
	room->decl_line = decl_line(ld, &origin);
	if (room->name == PGO_STR_NONE || room->file == PGO_STR_NONE ||
		PGO_VEC_RESERVE(ld->origins, ld->origins_room, ld->n_origins + 1) < 0 ||
		pgo_map_add_key(
			&ld->origin_map, &room->key, sizeof room->key, (uint32_t)ld->n_origins) < 0)
		return NULL;
	ld->origins[ld->n_origins++] = *room;
	return room;
}

/* ------------------------------------------------------------------ ranges */

/* Is a wanted address in [lo, hi)? */
static bool wanted_in(const struct loader *ld, uint64_t lo, uint64_t hi)
{
	size_t a = 0, b = ld->n_wanted;

	while (a < b) {
		size_t mid = a + (b - a) / 2;

		if (ld->wanted[mid] < lo)
			a = mid + 1;
		else
			b = mid;
	}
	return a < ld->n_wanted && ld->wanted[a] < hi;
}

/* The next range of a DIE: positive, to be given back; 0 or -1 at the end. */
static ptrdiff_t next_range(
	struct loader *ld, Dwarf_Die *die, ptrdiff_t at, Dwarf_Addr *ret_lo, Dwarf_Addr *ret_hi)
{
	Dwarf_Addr base;

	return ld->in_split ? pgo_split_next(&ld->split, die, at, ret_lo, ret_hi)
			    : dwarf_ranges(die, at, &base, ret_lo, ret_hi);
}

static bool die_wanted(struct loader *ld, Dwarf_Die *die, bool *ret_has)
{
	Dwarf_Addr lo, hi;
	ptrdiff_t at = 0;
	bool wanted = false;

	*ret_has = false;
	while (!wanted && (at = next_range(ld, die, at, &lo, &hi)) > 0) {
		*ret_has = true;
		wanted = wanted_in(ld, lo, hi);
	}
	return wanted;
}

/* Adds the DIE's ranges as intervals of `node`; for a function (`fn`) to its own list as well. */
static int add_ranges(
	struct loader *ld, Dwarf_Die *die, uint32_t node, uint32_t depth, struct pgo_lines_fn *fn)
{
	struct pgo_linetab_interval *r;
	Dwarf_Addr lo, hi;
	ptrdiff_t at = 0;

	while ((at = next_range(ld, die, at, &lo, &hi)) > 0) {
		if (hi <= lo)
			continue;
		if (pgo_linetab_add_interval(ld->tab, lo, hi, node, depth) < 0)
			return -1;
		if (fn == NULL)
			continue;
		r = PGO_VEC_PUSH(ld->tab->ranges, ld->tab->n_ranges, ld->tab->ranges_room);
		if (r == NULL)
			return -1;
		*r = (struct pgo_linetab_interval){lo, hi, (uint32_t)(fn - ld->tab->fns), 0};
		fn->n_ranges++;
	}
	return 0;
}

/* ------------------------------------------------------------------ the tree */

static int add_function(struct loader *ld, Dwarf_Die *die, uint32_t *ret_node)
{
	struct pgo_linetab *t = ld->tab;
	struct pgo_lines_node *n;
	struct pgo_lines_fn *fn;
	Dwarf_Addr entry;

	n = PGO_VEC_PUSH(t->nodes, t->n_nodes, t->nodes_room);
	fn = PGO_VEC_PUSH(t->fns, t->n_fns, t->fns_room);
	if (n == NULL || fn == NULL)
		return -1;
	*ret_node = (uint32_t)(t->n_nodes - 1);
	fn->linkage = intern(ld, linkage_name(die));
	fn->name = intern(ld, plain_name(die));
	fn->file = decl_file(ld, die);
	fn->decl_line = decl_line(ld, die);
	fn->first_range = (uint32_t)t->n_ranges;
	fn->node = *ret_node;
	fn->enc = ld->enc;
	if (fn->linkage == PGO_STR_NONE || fn->name == PGO_STR_NONE || fn->file == PGO_STR_NONE)
		return -1;
	*n = (struct pgo_lines_node){.parent = UINT32_MAX,
		.fn = (uint32_t)(t->n_fns - 1),
		.name = fn->linkage != 0 ? fn->linkage : fn->name,
		.file = fn->file,
		.decl_line = fn->decl_line};
	if (add_ranges(ld, die, *ret_node, 0, fn) < 0)
		return -1;
	if (dwarf_entrypc(die, &entry) == 0)
		fn->entry = entry;
	else if (fn->n_ranges != 0)
		fn->entry = t->ranges[fn->first_range].lo;
	return 0;
}

static int add_inlined(
	struct loader *ld, Dwarf_Die *die, const struct level *up, uint32_t *ret_node)
{
	struct pgo_linetab *t = ld->tab;
	const struct origin *o;
	struct pgo_lines_node *n;
	struct origin room;
	uint32_t factor, copy;

	o = origin_of(ld, die, &room);
	n = o != NULL ? PGO_VEC_PUSH(t->nodes, t->n_nodes, t->nodes_room) : NULL;
	if (n == NULL)
		return -1;
	*ret_node = (uint32_t)(t->n_nodes - 1);
	n->parent = up->node;
	n->fn = t->nodes[up->node].fn;
	n->name = o->name;
	n->file = o->file;
	n->decl_line = o->decl_line;
	n->call_line = unsigned_attr(die, DW_AT_call_line);
	pgo_disc_decode(
		ld->enc, unsigned_attr(die, AT_GNU_DISCRIMINATOR), &n->call_disc, &factor, &copy);
	return add_ranges(ld, die, *ret_node, up->depth + 1, NULL);
}

static int push(struct loader *ld, Dwarf_Die *child, uint32_t node, uint32_t depth)
{
	struct level *l = PGO_VEC_PUSH(ld->stack, ld->n_stack, ld->stack_room);

	if (l == NULL)
		return -1;
	*l = (struct level){*child, node, depth};
	return 0;
}

/*
 * What to do with one DIE: 1 = walk its children as parts of *ret_node, 0 = pass over, -1 = out of
 * memory.
 */
static int visit(struct loader *ld, const struct level *l, uint32_t *ret_node, uint32_t *ret_depth)
{
	Dwarf_Die die = l->die;
	bool has;

	*ret_node = UINT32_MAX;
	*ret_depth = 0;
	switch (dwarf_tag(&die)) {
	case DW_TAG_subprogram:
		if (!ld->whole)
			return 0;
		if (die_wanted(ld, &die, &has))
			return add_function(ld, &die, ret_node) < 0 ? -1 : 1;
		return 1; /* for functions of classes that are local to it */
	case DW_TAG_inlined_subroutine:
		if (l->node == UINT32_MAX || l->depth + 1 >= PGO_MAX_FRAMES)
			return 0;
		*ret_depth = l->depth + 1;
		return add_inlined(ld, &die, l, ret_node) < 0 ? -1 : 1;
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
		*ret_node = l->node;
		*ret_depth = l->depth;
		return 1;
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return ld->whole;
	default:
		return 0;
	}
}

/*
 * Depth-first, in file order.  In sound debug information offsets only grow on this walk; a sibling
 * reference that leads back would make it endless, so the unit is given up there.
 */
static int walk_tree(struct loader *ld, Dwarf_Die *root, uint32_t root_node)
{
	Dwarf_Die child;

	ld->n_stack = 0;
	ld->last = dwarf_dieoffset(root);
	if (dwarf_child(root, &child) != 0)
		return 0;
	if (push(ld, &child, root_node, 0) < 0)
		return -1;
	while (ld->n_stack != 0) {
		struct level *top = &ld->stack[ld->n_stack - 1];
		uint32_t node, depth;
		Dwarf_Off off = dwarf_dieoffset(&top->die);
		int down;

		if (off <= ld->last || ld->n_stack > MAX_DEPTH) {
			ld->damaged++;
			return 0;
		}
		ld->last = off;
		down = visit(ld, top, &node, &depth);
		if (down < 0)
			return -1;
		down = down == 1 && dwarf_child(&top->die, &child) == 0;
		if (dwarf_siblingof(&top->die, &top->die) != 0)
			ld->n_stack--;
		if (down && push(ld, &child, node, depth) < 0)
			return -1;
	}
	return 0;
}

/* ------------------------------------------------------------------ units */

static int load_rows(struct loader *ld, Dwarf_Die *cu)
{
	Dwarf_Lines *lines;
	size_t n;

	if (dwarf_getsrclines(cu, &lines, &n) != 0)
		return 0;
	if (PGO_VEC_RESERVE(ld->tab->rows, ld->tab->rows_room, ld->tab->n_rows + n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		Dwarf_Line *row = dwarf_onesrcline(lines, i);
		unsigned disc = 0;
		Dwarf_Addr addr;
		bool end = false;
		int line = 0;

		if (row == NULL || dwarf_lineaddr(row, &addr) != 0)
			continue;
		dwarf_lineno(row, &line);
		dwarf_linediscriminator(row, &disc);
		dwarf_lineendsequence(row, &end);
		if (pgo_linetab_add_row(
			    ld->tab, addr, line > 0 ? (uint32_t)line : 0, disc, ld->enc, end) < 0)
			return -1;
	}
	return 0;
}

static int compare_dw_ranges(const void *pa, const void *pb)
{
	const struct pgo_dw_range *a = pa, *b = pb;

	if (a->lo != b->lo)
		return a->lo < b->lo ? -1 : 1;
	return a->hi < b->hi ? -1 : a->hi > b->hi;
}

/* Where wanted code is: sorted, disjoint.  NULL when out of memory. */
static struct pgo_dw_range *wanted_code(const struct loader *ld, size_t *ret_n)
{
	const struct pgo_linetab *t = ld->tab;
	struct pgo_dw_range *r = pgo_calloc(t->n_ranges + 1, sizeof *r);
	size_t n = 0;

	if (r == NULL)
		return NULL;
	for (size_t i = 0; i < t->n_ranges; i++)
		r[i] = (struct pgo_dw_range){t->ranges[i].lo, t->ranges[i].hi};
	if (t->n_ranges != 0)
		qsort(r, t->n_ranges, sizeof *r, compare_dw_ranges);
	for (size_t i = 0; i < t->n_ranges; i++) {
		if (n != 0 && r[i].lo <= r[n - 1].hi)
			r[n - 1].hi = r[i].hi > r[n - 1].hi ? r[i].hi : r[n - 1].hi;
		else
			r[n++] = r[i];
	}
	*ret_n = n;
	return r;
}

struct row_job {
	const struct pgo_dw_range *ranges;
	size_t n_ranges;
	struct row_source *sources;
};

static int add_row(void *ctx, const struct pgo_dw_row *row)
{
	struct row_source *to = ctx;
	struct pgo_dw_row *r = PGO_VEC_PUSH(to->rows, to->n_rows, to->rows_room);

	if (r == NULL)
		return -1;
	*r = *row;
	return 0;
}

static int rows_piece(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	const struct row_job *job = ctx;
	struct row_source *from = &job->sources[i];

	(void)thread;
	(void)err;
	if (from->rc == 1)
		from->rc = pgo_dw_rows(&from->program, job->ranges, job->n_ranges, add_row, from);
	return 0;
}

/* Moves the rows of a unit to the table; if they were not understood, libdw's. */
static int take_rows(struct loader *ld, struct row_source *from)
{
	ld->enc = from->enc;
	if (from->rc < 0)
		return -1;
	if (from->rc == 0)
		return load_rows(ld, &from->cu);
	for (size_t i = 0; i < from->n_rows; i++) {
		const struct pgo_dw_row *r = &from->rows[i];

		if (pgo_linetab_add_row(ld->tab, r->addr, r->line <= INT32_MAX ? r->line : 0,
			    r->disc, from->enc, r->end) < 0)
			return -1;
	}
	return 0;
}

/* The rows of all units, once all functions are known: only theirs are kept. */
static int load_all_rows(struct loader *ld)
{
	struct row_job job = {.sources = ld->sources};
	struct pgo_dw_range *ranges = wanted_code(ld, &job.n_ranges);
	int rc = ranges != NULL ? 0 : -1;

	job.ranges = ranges;
	for (size_t i = 0; i < ld->n_sources; i++)
		ld->sources[i].rc = program_of(ld, &ld->sources[i].cu, &ld->sources[i].program);
	if (rc == 0)
		rc = pgo_parallel(ld->n_sources, pgo_threads(), rows_piece, &job, NULL);
	for (size_t i = 0; i < ld->n_sources; i++) {
		if (rc == 0)
			rc = take_rows(ld, &ld->sources[i]);
		pgo_free(ld->sources[i].rows);
	}
	pgo_free(ranges);
	return rc;
}

/* What the scanner must know of a unit; false if it is not for it. */
static bool describe_unit(struct loader *ld, Dwarf_Die *cu, struct pgo_dw_unit *ret)
{
	uint8_t address_size, offset_size;
	Dwarf_Half version;
	Dwarf_Attribute a;
	Dwarf_Off abbrev;
	Dwarf_Word base;
	unsigned header;

	if (dwarf_cu_die(cu->cu, &(Dwarf_Die){0}, &version, &abbrev, &address_size, &offset_size,
		    NULL, NULL) == NULL)
		return false;
	*ret = (struct pgo_dw_unit){.info = ld->info,
		.abbrev = ld->abbrev,
		.addr = ld->addr,
		.first = dwarf_dieoffset(cu),
		.abbrev_offset = abbrev,
		.version = version,
		.address_size = address_size,
		.offset_size = offset_size};
	/* length, version, kind since DWARF 5, size of addresses, abbreviations */
	header = (offset_size == 8 ? 12u : 4u) + 2 + (version >= 5) + 1 + offset_size;
	if (ret->first < header)
		return false;
	ret->header = ret->first - header;
	if ((dwarf_attr(cu, DW_AT_addr_base, &a) != NULL ||
		    dwarf_attr(cu, DW_AT_GNU_addr_base, &a) != NULL) &&
		dwarf_formudata(&a, &base) == 0)
		ret->addr_base = base;
	return true;
}

static bool scan_wants(const void *ctx, uint64_t lo, uint64_t hi)
{
	return wanted_in(ctx, lo, hi);
}

static int scan_piece(void *ctx, size_t i, unsigned thread, struct pgo_err *err)
{
	struct scans *s = ctx;

	(void)thread;
	(void)err;
	if (s->rc[i] == 1)
		s->rc[i] = pgo_dw_scan_unit(&s->scan[i], &s->unit[i], scan_wants, s->ld);
	return 0;
}

/* Scans `n` units from the first on. */
static int scan_units(struct loader *ld, struct scans *s, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct unit *u = &ld->units[first + i];

		s->rc[i] = !u->skeleton && describe_unit(ld, &u->die, &s->unit[i]);
	}
	return pgo_parallel(n, pgo_threads(), scan_piece, s, NULL);
}

/* Walks the functions of a unit that were found, one by one. */
static int load_scanned(struct loader *ld, Dwarf_Die *cu, const struct pgo_dw_scan *scan)
{
	int rc = 0;

	ld->scan = scan;
	ld->scanned = cu->cu;
	for (size_t i = 0; i < scan->n_found && rc == 0; i++) {
		const struct pgo_dw_found *f = &scan->found[i];
		uint32_t node;
		Dwarf_Die die;
		bool has;

		if (dwarf_offdie(ld->dw, f->offset, &die) == NULL ||
			(f->ranges && !die_wanted(ld, &die, &has)))
			continue;
		if (add_function(ld, &die, &node) < 0 || walk_tree(ld, &die, node) < 0)
			rc = -1;
	}
	ld->scanned = NULL;
	return rc;
}

/* What is kept by the place of DIEs in memory is no good once they are gone. */
static void forget_origins(struct loader *ld)
{
	pgo_map_fini(&ld->origin_map);
	pgo_map_init(&ld->origin_map);
	ld->n_origins = 0;
}

static int walk_unit(struct loader *ld, Dwarf_Die *tree)
{
	int rc;

	ld->whole = true;
	rc = walk_tree(ld, tree, UINT32_MAX);
	ld->whole = false;
	return rc;
}

/* `split`: the unit that the skeleton `cu` stands for, or NULL. */
/* The unit that belongs to a skeleton, if it is to be found: 1, 0 or -1. */
static int open_split(struct loader *ld, Dwarf_Die *skeleton, Dwarf_Die *ret)
{
	const struct pgo_debug_places *where = ld->l->where;

	if (ld->split.files == NULL && pgo_split_init(&ld->split, ld->l->elf, ld->debug,
					       where->dwo_dirs, where->n_dwo_dirs, NULL) < 0)
		return -1;
	return pgo_split_open(&ld->split, skeleton, ret);
}

/* `scan`: what was found in the unit, or NULL: it was not understood. */
static int load_unit(struct loader *ld, struct unit *u, const struct pgo_dw_scan *scan)
{
	struct row_source *source;
	const char *producer = NULL;
	Dwarf_Attribute a;
	Dwarf_Die full;
	int split = u->skeleton ? open_split(ld, &u->die, &full) : 0, rc;

	if (split < 0)
		return -1;
	if (!u->has && dwarf_haschildren(&u->die) == 0 && split == 0)
		return 0;
	if (dwarf_attr_integrate(split != 0 ? &full : &u->die, DW_AT_producer, &a) != NULL)
		producer = dwarf_formstring(&a);
	ld->enc = pgo_disc_encoding_of(producer);
	if (ld->enc == PGO_DISC_CLANG && ld->l->fs)
		ld->enc = PGO_DISC_LLVM_FS;
	source = PGO_VEC_PUSH(ld->sources, ld->n_sources, ld->sources_room);
	if (source == NULL)
		return -1;
	*source = (struct row_source){.cu = u->die, .enc = ld->enc};
	if (split == 0)
		return scan != NULL ? load_scanned(ld, &u->die, scan) : walk_unit(ld, &u->die);
	ld->in_split = true;
	ld->skeleton = u->die;
	forget_origins(ld);
	rc = walk_unit(ld, &full);
	forget_origins(ld);
	ld->in_split = false;
	return rc;
}

/* Units with wanted code, and those that do not say where their code is. */
static int find_units(struct loader *ld)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Half version;
	struct unit *u;
	Dwarf_Die die;
	uint8_t type;

	while (dwarf_get_units(ld->dw, cu, &cu, &version, &type, &die, NULL) == 0) {
		bool has;

		if (die.addr == NULL || (type != DW_UT_compile && type != DW_UT_skeleton))
			continue;
		ld->l->work.units++;
		if (!die_wanted(ld, &die, &has) && has)
			continue;
		u = PGO_VEC_PUSH(ld->units, ld->n_units, ld->units_room);
		if (u == NULL)
			return -1;
		*u = (struct unit){die, type == DW_UT_skeleton, has};
	}
	return 0;
}

static int load_units(struct loader *ld)
{
	struct scans *s = pgo_calloc(1, sizeof *s);
	int rc = s != NULL ? find_units(ld) : -1;

	if (s != NULL)
		s->ld = ld;
	for (size_t first = 0; first < ld->n_units && rc == 0; first += SCANS) {
		size_t n = ld->n_units - first < SCANS ? ld->n_units - first : SCANS;

		rc = scan_units(ld, s, first, n);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = s->rc[i] < 0 ? -1
					  : load_unit(ld, &ld->units[first + i],
						    s->rc[i] == 1 ? &s->scan[i] : NULL);
	}
	for (size_t i = 0; i < SCANS && s != NULL; i++) {
		ld->l->work.entries += s->scan[i].entries;
		pgo_dw_scan_fini(&s->scan[i]);
	}
	ld->l->work.units_read = ld->n_units;
	pgo_free(s);
	return rc;
}

static void loader_fini(struct loader *ld)
{
	pgo_split_fini(&ld->split);
	pgo_free(ld->stack);
	pgo_free(ld->origins);
	pgo_map_fini(&ld->origin_map);
	pgo_free(ld->units);
	pgo_free(ld->tables);
	pgo_map_fini(&ld->table_map);
	pgo_free(ld->file_names);
	pgo_free(ld->file_ids);
	pgo_free(ld->sources);
}

/* A section as libdw has it: unpacked. */
static struct pgo_dw_bytes section_of(Elf *elf, const char *name)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return (struct pgo_dw_bytes){0};
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr header;
		const char *at = gelf_getshdr(scn, &header) != NULL
					 ? elf_strptr(elf, names, header.sh_name)
					 : NULL;
		Elf_Data *data;

		if (at == NULL || header.sh_type == SHT_NOBITS ||
			(header.sh_flags & SHF_COMPRESSED) != 0)
			continue;
		/* ".zdebug_info" keeps its name. */
		if (strcmp(at, name) != 0 &&
			(strncmp(at, ".z", 2) != 0 || strcmp(at + 2, name + 1) != 0))
			continue;
		data = elf_rawdata(scn, NULL);
		if (data != NULL && data->d_buf != NULL)
			return (struct pgo_dw_bytes){data->d_buf, data->d_size};
	}
	return (struct pgo_dw_bytes){0};
}

static void find_sections(struct loader *ld)
{
	Elf *elf = dwarf_getelf(ld->dw);

	ld->info = section_of(elf, ".debug_info");
	ld->abbrev = section_of(elf, ".debug_abbrev");
	ld->addr = section_of(elf, ".debug_addr");
	ld->line = section_of(elf, ".debug_line");
	ld->str = section_of(elf, ".debug_str");
	ld->line_str = section_of(elf, ".debug_line_str");
}

static void report(const struct pgo_lines *l, const struct loader *ld)
{
	if (ld->damaged != 0)
		pgo_warn("%s: debug information of %zu units is damaged, using what came before",
			l->debug_file, ld->damaged);
	if (ld->split.n_missing != 0)
		pgo_warn("%s: the split debug information of %zu units that ran is missing (%s%s); "
			 "say where it is with --dwo-dir",
			l->debug_file, ld->split.n_missing,
			ld->split.missing != NULL ? ld->split.missing : "",
			ld->split.n_missing > 1 ? ", ..." : "");
}

static int load_dwarf(struct pgo_lines *l, struct loader *ld, struct pgo_err *err)
{
	struct pgo_dwarf_file f;
	int rc = pgo_dwarf_open(&f, ld->debug, l->where, err);

	if (rc == 0) {
		ld->dw = f.dw;
		find_sections(ld);
		if (load_units(ld) < 0 || load_all_rows(ld) < 0 || pgo_linetab_finish(ld->tab) < 0)
			rc = pgo_err_nomem(err);
	}
	pgo_dwarf_close(&f);
	return rc;
}

static int load(struct pgo_lines *l, const uint64_t *wanted, size_t n_wanted,
	struct pgo_strtab *strs, struct pgo_err *err)
{
	struct loader ld = {
		.l = l, .tab = &l->tab, .strs = strs, .wanted = wanted, .n_wanted = n_wanted};
	struct pgo_elf *own = NULL;
	int rc;

	pgo_map_init(&ld.origin_map);
	pgo_map_init(&ld.table_map);
	ld.debug = l->elf;
	if (strcmp(l->debug_file, l->elf->path) != 0)
		ld.debug = own = pgo_elf_open_bare(l->debug_file, err);
	rc = ld.debug != NULL ? load_dwarf(l, &ld, err) : PGO_EFORMAT;
	if (rc == 0)
		report(l, &ld);
	l->work.functions = l->tab.n_fns;
	l->work.rows = l->tab.n_rows;
	l->n_split = ld.split.n_found;
	l->n_split_missing = ld.split.n_missing;
	l->split_file = ld.split.file;
	ld.split.file = NULL;
	loader_fini(&ld);
	pgo_elf_close(own);
	return rc;
}

/* ------------------------------------------------------------------ the object */

struct pgo_lines *pgo_lines_open(const struct pgo_elf *elf, const struct pgo_debug_places *where,
	const uint64_t *wanted, size_t n_wanted, struct pgo_strtab *strs, struct pgo_err *err)
{
	static const struct pgo_debug_places nowhere;
	struct pgo_lines *l = pgo_calloc(1, sizeof *l);

	if (l == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	l->elf = elf;
	l->where = where != NULL ? where : &nowhere;
	l->fs = pgo_elf_has_fs_discriminators(elf);
	l->debug_file = pgo_debugfile_find(elf, where, err);
	if (l->debug_file == NULL || load(l, wanted, n_wanted, strs, err) < 0) {
		pgo_lines_close(l);
		return NULL;
	}
	return l;
}

void pgo_lines_close(struct pgo_lines *l)
{
	if (l == NULL)
		return;
	pgo_linetab_fini(&l->tab);
	pgo_free(l->debug_file);
	pgo_free(l->split_file);
	pgo_free(l);
}

const char *pgo_lines_debug_file(const struct pgo_lines *l)
{
	return l->debug_file;
}

const char *pgo_lines_split_file(const struct pgo_lines *l, uint64_t *ret_n, uint64_t *ret_missing)
{
	*ret_n = l->n_split;
	*ret_missing = l->n_split_missing;
	return l->split_file;
}

struct pgo_lines_work pgo_lines_work(const struct pgo_lines *l)
{
	return l->work;
}

void pgo_lines_find(const struct pgo_lines *l, uint64_t vaddr, struct pgo_lines_hit *ret)
{
	pgo_linetab_find(&l->tab, vaddr, ret);
}

size_t pgo_lines_n_nodes(const struct pgo_lines *l)
{
	return l->tab.n_nodes;
}

const struct pgo_lines_node *pgo_lines_node(const struct pgo_lines *l, uint32_t node)
{
	return &l->tab.nodes[node];
}

size_t pgo_lines_n_fns(const struct pgo_lines *l)
{
	return l->tab.n_fns;
}

const struct pgo_lines_fn *pgo_lines_fn(const struct pgo_lines *l, uint32_t fn)
{
	return &l->tab.fns[fn];
}

const struct pgo_lines_fn *pgo_lines_fn_at(const struct pgo_lines *l, uint64_t vaddr)
{
	struct pgo_lines_hit hit;

	pgo_linetab_find(&l->tab, vaddr, &hit);
	return hit.node == UINT32_MAX ? NULL : &l->tab.fns[l->tab.nodes[hit.node].fn];
}

void pgo_lines_range(const struct pgo_lines *l, const struct pgo_lines_fn *fn, uint32_t i,
	uint64_t *ret_lo, uint64_t *ret_hi)
{
	*ret_lo = l->tab.ranges[fn->first_range + i].lo;
	*ret_hi = l->tab.ranges[fn->first_range + i].hi;
}

size_t pgo_lines_at(
	const struct pgo_lines *l, uint64_t vaddr, struct pgo_frame *ret, uint64_t *ret_end)
{
	struct pgo_lines_hit hit;
	uint32_t line, disc;
	size_t n = 0;

	pgo_linetab_find(&l->tab, vaddr, &hit);
	*ret_end = hit.end;
	line = hit.line;
	disc = hit.disc;
	for (uint32_t node = hit.node; node != UINT32_MAX && n < PGO_MAX_FRAMES; n++) {
		const struct pgo_lines_node *d = &l->tab.nodes[node];

		ret[n] = (struct pgo_frame){
			.function = d->name,
			.file = d->file,
			.decl_line = d->decl_line,
			.line = line,
			.line_offset = (line - d->decl_line) & 0xffff,
			.disc = disc,
			.factor = n == 0 ? hit.factor : 1,
			.copy = n == 0 ? hit.copy : 0,
		};
		line = d->call_line;
		disc = d->call_disc;
		node = d->parent;
	}
	return n;
}
