/* SPDX-License-Identifier: Apache-2.0 */
/* Who compiled the units of a program. */
#include "convert/lines.h"
#include "convert/lines_file.h"
#include "pgo/core/alloc.h"

#include <dwarf.h>
#include <string.h>

static int visit(Dwarf *dw, int (*each)(void *ctx, const char *producer), void *ctx)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;

	while (dwarf_get_units(dw, cu, &cu, NULL, NULL, &die, NULL) == 0) {
		const char *producer = NULL;
		Dwarf_Attribute a;

		/* Partial units, and those of types, are parts of others. */
		if (dwarf_tag(&die) != DW_TAG_compile_unit &&
			dwarf_tag(&die) != DW_TAG_skeleton_unit)
			continue;
		if (dwarf_attr_integrate(&die, DW_AT_producer, &a) != NULL)
			producer = dwarf_formstring(&a);
		if (each(ctx, producer != NULL ? producer : "") < 0)
			return -1;
	}
	return 0;
}

int pgo_lines_producers(const struct pgo_elf *elf, const struct pgo_debug_places *where,
	int (*each)(void *ctx, const char *producer), void *ctx, struct pgo_err *err)
{
	const struct pgo_debug_places nowhere = {0};
	struct pgo_dwarf_file f = {0};
	struct pgo_elf *debug = NULL;
	char *path;
	int rc;

	where = where != NULL ? where : &nowhere;
	path = pgo_debugfile_find(elf, where, err);
	if (path == NULL)
		return err != NULL && err->code != PGO_OK ? (int)err->code : PGO_ENOTFOUND;
	debug = pgo_elf_open_bare(path, err);
	rc = debug == NULL ? PGO_EIO : pgo_dwarf_open(&f, debug, where, err);
	if (rc == 0 && visit(f.dw, each, ctx) < 0)
		rc = pgo_err_nomem(err);
	if (debug != NULL)
		pgo_dwarf_close(&f);
	pgo_elf_close(debug);
	pgo_free(path);
	return rc;
}
