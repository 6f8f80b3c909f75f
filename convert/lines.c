/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lines.h"

#include "convert/debugfile.h"
#include "convert/lines_file.h"
#include "convert/lines_loader.h"
#include "pgo/core/alloc.h"
#include "pgo/core/diag.h"
#include "pgo/core/file.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ loading */

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
		if (pgo_loader_load_units(ld) < 0 || pgo_loader_load_rows(ld) < 0 ||
			pgo_linetab_finish(ld->tab) < 0)
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

static int compare_u64(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;

	return *a < *b ? -1 : *a > *b;
}

struct pgo_lines *pgo_lines_open_target(const struct pgo_elf *elf,
	const struct pgo_debug_places *where, struct pgo_strtab *strs, struct pgo_err *err)
{
	struct pgo_debug_places places = where != NULL ? *where : (struct pgo_debug_places){0};
	uint64_t *wanted = pgo_calloc(elf->n_symbols + 1, sizeof *wanted);
	struct pgo_lines *l;

	if (wanted == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	for (size_t i = 0; i < elf->n_symbols; i++)
		wanted[i] = elf->symbols[i].addr;
	if (elf->n_symbols != 0)
		qsort(wanted, elf->n_symbols, sizeof *wanted, compare_u64);
	places.sole = false;
	l = pgo_lines_open(elf, &places, wanted, elf->n_symbols, strs, err);
	pgo_free(wanted);
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
