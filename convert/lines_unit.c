/* SPDX-License-Identifier: Apache-2.0 */
/* Units with wanted code, and the rows of their line tables. */
#include "convert/lines_loader.h"

#include "convert/debugfile.h"
#include "pgo/core/alloc.h"
#include "pgo/core/parallel.h"
#include "pgo/core/vec.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

/* Units are scanned by several threads, so many at once, while libdw is left alone. */
#define SCANS 32

struct scans {
	const struct loader *ld;
	struct pgo_dw_unit unit[SCANS];
	struct pgo_dw_scan scan[SCANS];
	int rc[SCANS]; /* of pgo_dw_scan_unit() */
};

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
int pgo_loader_load_rows(struct loader *ld)
{
	struct row_job job = {.sources = ld->sources};
	struct pgo_dw_range *ranges = wanted_code(ld, &job.n_ranges);
	int rc = ranges != NULL ? 0 : -1;

	job.ranges = ranges;
	for (size_t i = 0; i < ld->n_sources; i++)
		ld->sources[i].rc =
			pgo_loader_program(ld, &ld->sources[i].cu, &ld->sources[i].program);
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
	return pgo_loader_wants(ctx, lo, hi);
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
			(f->ranges && !pgo_loader_wants_die(ld, &die, &has)))
			continue;
		if (pgo_loader_add_function(ld, &die, &node) < 0 ||
			pgo_loader_walk(ld, &die, node) < 0)
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
	rc = pgo_loader_walk(ld, tree, UINT32_MAX);
	ld->whole = false;
	return rc;
}

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
		if (!pgo_loader_wants_die(ld, &die, &has) && has)
			continue;
		u = PGO_VEC_PUSH(ld->units, ld->n_units, ld->units_room);
		if (u == NULL)
			return -1;
		*u = (struct unit){die, type == DW_UT_skeleton, has};
	}
	return 0;
}

int pgo_loader_load_units(struct loader *ld)
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
