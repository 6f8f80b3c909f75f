/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lines_file.h"

#include "pgo/core/alloc.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A copy of the debug information, all of it unpacked. */
static Dwarf *open_unpacked(struct pgo_dwarf_one *f, const struct pgo_elf *e)
{
	struct pgo_elf_part *parts = pgo_calloc(e->n_sections + 1, sizeof *parts);
	size_t n = 0, len;

	for (size_t i = 0; parts != NULL && i < e->n_sections; i++) {
		struct pgo_elf_part *p = &parts[n];

		p->name = e->sections[i].name;
		if (strncmp(p->name, ".debug_", 7) != 0)
			continue;
		p->data = pgo_elf_section_data(e, p->name, &p->len);
		n += p->data != NULL;
	}
	if (parts != NULL)
		f->image = pgo_elf_image(e->machine, parts, n, &len);
	pgo_free(parts);
	f->elf = f->image != NULL ? elf_memory((char *)f->image, len) : NULL;
	return f->elf != NULL ? dwarf_begin_elf(f->elf, DWARF_C_READ, NULL) : NULL;
}

static int open_one(struct pgo_dwarf_one *f, const struct pgo_elf *e, struct pgo_err *err)
{
	if (pgo_elf_packed_debug(e)) {
		f->dw = open_unpacked(f, e);
	} else {
		f->fd = open(e->path, O_RDONLY | O_CLOEXEC);
		if (f->fd < 0)
			return pgo_err_errno(err, PGO_EIO, "%s", e->path);
		f->dw = dwarf_begin(f->fd, DWARF_C_READ);
	}
	if (f->dw == NULL)
		return pgo_err_set(
			err, PGO_EFORMAT, "%s: debug information: %s", e->path, dwarf_errmsg(-1));
	return 0;
}

static void close_one(struct pgo_dwarf_one *f)
{
	dwarf_end(f->dw);
	elf_end(f->elf);
	pgo_free(f->image);
	if (f->fd >= 0)
		close(f->fd);
}

int pgo_dwarf_open(struct pgo_dwarf_file *f, const struct pgo_elf *debug,
	const struct pgo_debug_places *where, struct pgo_err *err)
{
	struct pgo_elf *supplement = NULL;
	int rc;

	*f = (struct pgo_dwarf_file){.file.fd = -1, .supplement.fd = -1};
	rc = open_one(&f->file, debug, err);
	if (rc == 0)
		rc = pgo_debugfile_supplement(debug, where, &supplement, err);
	if (rc == 0 && supplement != NULL) {
		rc = open_one(&f->supplement, supplement, err);
		if (rc == 0)
			dwarf_setalt(f->file.dw, f->supplement.dw);
	}
	pgo_elf_close(supplement);
	f->dw = f->file.dw;
	return rc;
}

void pgo_dwarf_close(struct pgo_dwarf_file *f)
{
	close_one(&f->file);
	close_one(&f->supplement);
}
