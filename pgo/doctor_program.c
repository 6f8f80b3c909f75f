/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is to be profiled or rebuilt: what is in its file. */
#include "convert/debugfile.h"
#include "pgo/core/alloc.h"
#include "pgo/core/elf.h"
#include "pgo/core/file.h"
#include "pgo/doctor.h"

#include <string.h>

#define AREA "program"

static void add(struct pgo_doctor *d, const char *what, enum pgo_health health, const char *found,
	const char *mend)
{
	pgo_doctor_add(
		d, AREA, what, health, pgo_strdup(found), mend != NULL ? pgo_strdup(mend) : NULL);
}

static void build_id_row(struct pgo_doctor *d, const struct pgo_elf *e)
{
	if (e->build_id[0] != '\0')
		add(d, "build-id", PGO_HEALTH_GOOD, e->build_id, NULL);
	else
		add(d, "build-id", PGO_HEALTH_LACKS,
			"none: profiles of other builds at the same path cannot be told apart",
			"link with -Wl,--build-id (Go: -ldflags=-B=gobuildid)");
}

static void debug_row(struct pgo_doctor *d, const struct pgo_elf *e, const char *debug)
{
	const struct pgo_debug_places where = {
		.debug = &debug, .n_debug = debug != NULL, .sole = true};
	struct pgo_err err = PGO_ERR_INIT;
	char *path = pgo_debugfile_find(e, &where, &err);

	if (path == NULL)
		pgo_doctor_add(d, AREA, "debug information", PGO_HEALTH_LACKS, pgo_strdup(err.msg),
			pgo_strdup("compile with -g1 at least (clang: also "
				   "-fdebug-info-for-profiling), or name the debug file with "
				   "--debug; llvm-bolt's profiles do without"));
	else
		pgo_doctor_add(d, AREA, "debug information", PGO_HEALTH_GOOD,
			strcmp(path, e->path) == 0 ? pgo_strdup("in the program")
						   : pgo_asprintf("in %s", path),
			NULL);
	pgo_free(path);
}

static void symbol_row(struct pgo_doctor *d, const struct pgo_elf *e)
{
	if (e->has_symtab)
		pgo_doctor_add(d, AREA, "symbols", PGO_HEALTH_GOOD,
			pgo_asprintf("%zu of code", e->n_symbols), NULL);
	else
		add(d, "symbols", PGO_HEALTH_LACKS,
			"only those of dynamic linking: functions that are not exported have no "
			"name",
			"do not strip, or keep .symtab in a separate debug file");
}

static void bolt_rows(struct pgo_doctor *d, const struct pgo_elf *e)
{
	if (e->emit_relocs)
		add(d, "relocations", PGO_HEALTH_GOOD, "kept: llvm-bolt may move whole functions",
			NULL);
	else
		add(d, "relocations", PGO_HEALTH_NOTE,
			"not kept: llvm-bolt rearranges blocks, not functions",
			"for all that llvm-bolt can do: link with -Wl,--emit-relocs (-Wl,-q)");
	if (pgo_elf_section(e, ".note.bolt_info") != NULL)
		add(d, "llvm-bolt",
			pgo_elf_section(e, ".note.bolt_bat") != NULL ? PGO_HEALTH_NOTE
								     : PGO_HEALTH_LACKS,
			pgo_elf_section(e, ".note.bolt_bat") != NULL
				? "the program was rewritten, and has the table that leads back "
				  "(BAT)"
				: "the program was rewritten, without the table that leads back",
			pgo_elf_section(e, ".note.bolt_bat") != NULL
				? NULL
				: "run llvm-bolt with -enable-bat, so that profiles of its result "
				  "can be used");
}

static void kind_row(struct pgo_doctor *d, const struct pgo_elf *e)
{
	pgo_doctor_add(d, AREA, "file", PGO_HEALTH_GOOD,
		pgo_asprintf("%s: %s, %s%s", pgo_path_base(e->path),
			e->machine == PGO_MACHINE_X86_64 ? "x86-64" : "AArch64",
			e->pie ? "position-independent" : "at fixed addresses",
			pgo_elf_section(e, ".go.buildinfo") != NULL ? ", built by Go" : ""),
		NULL);
}

void pgo_doctor_program(struct pgo_doctor *d, const char *path, const char *debug)
{
	struct pgo_err err = PGO_ERR_INIT;
	struct pgo_elf *e = pgo_elf_open(path, &err);

	if (e == NULL) {
		add(d, "file", PGO_HEALTH_BROKEN, err.msg,
			"name the executable or library that was profiled, not a script or "
			"wrapper");
		return;
	}
	kind_row(d, e);
	build_id_row(d, e);
	debug_row(d, e, debug);
	symbol_row(d, e);
	bolt_rows(d, e);
	pgo_elf_close(e);
}
