/* SPDX-License-Identifier: Apache-2.0 */
/* Functions, and what was inlined into them, from the entries of a unit. */
#include "convert/lines_loader.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

/* Discriminator of an inlined call; older dwarf.h files have no name for it. */
#define AT_GNU_DISCRIMINATOR 0x2136
/* Steps from a DIE to the one that it was made from, and on. */
#define MAX_ORIGINS 8
/* Deeper nesting than any compiler makes is taken for damage. */
#define MAX_DEPTH 1024

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

bool pgo_loader_program(struct loader *ld, Dwarf_Die *cu, struct pgo_dw_program *ret)
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
		pgo_loader_program(ld, &die, &program))
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
bool pgo_loader_wants(const struct loader *ld, uint64_t lo, uint64_t hi)
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

bool pgo_loader_wants_die(struct loader *ld, Dwarf_Die *die, bool *ret_has)
{
	Dwarf_Addr lo, hi;
	ptrdiff_t at = 0;
	bool wanted = false;

	*ret_has = false;
	while (!wanted && (at = next_range(ld, die, at, &lo, &hi)) > 0) {
		*ret_has = true;
		wanted = pgo_loader_wants(ld, lo, hi);
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

int pgo_loader_add_function(struct loader *ld, Dwarf_Die *die, uint32_t *ret_node)
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
		if (pgo_loader_wants_die(ld, &die, &has))
			return pgo_loader_add_function(ld, &die, ret_node) < 0 ? -1 : 1;
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
int pgo_loader_walk(struct loader *ld, Dwarf_Die *root, uint32_t root_node)
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
