/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/dwo.h"

#include "pgo/core/alloc.h"
#include "pgo/core/file.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UNIT_SPLIT_COMPILE 5
/* Section numbers in an index. */
#define SECT_INFO 1
#define SECT_ABBREV 3
#define SECT_LINE 4
#define SECT_STR_OFFSETS 6
#define SECT_RNGLISTS 8
/* Columns that an index may have; newer standards may add some. */
#define MAX_COLUMNS 64

struct pgo_dwo {
	const struct pgo_elf *binary, *debug;
	const char *const *dirs;
	size_t n_dirs;
	struct pgo_elf **packs; /* .dwp files */
	size_t n_packs, packs_room;
	struct pgo_elf *loose; /* the .dwo opened last: its units come one after another */
};

/* ------------------------------------------------------------------ bytes */

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

struct pgo_dwo_bytes pgo_dwo_section(const struct pgo_elf *e, const char *name)
{
	struct pgo_dwo_bytes b = {0};

	b.p = pgo_elf_section_data(e, name, &b.len);
	if (b.p == NULL)
		b.len = 0;
	return b;
}

static bool slice(
	struct pgo_dwo_bytes from, uint64_t offset, uint64_t len, struct pgo_dwo_bytes *ret)
{
	if (offset > from.len || len > from.len - offset)
		return false;
	*ret = (struct pgo_dwo_bytes){from.p + offset, len};
	return true;
}

/* A unit's length with its header, and its version; false: damaged, or 64-bit DWARF. */
static bool unit_header(struct pgo_dwo_bytes b, size_t *ret_len, unsigned *ret_version)
{
	uint16_t version;

	if (b.len < 12 || get32(b.p) >= 0xfffffff0 || get32(b.p) > b.len - 4 || get32(b.p) < 8)
		return false;
	memcpy(&version, b.p + 4, sizeof version);
	*ret_len = (size_t)get32(b.p) + 4;
	*ret_version = version;
	return version >= 4 && version <= 5;
}

/* ------------------------------------------------------------------ .dwp */

/* The index, taken apart; all within the section. */
struct index {
	uint32_t version, columns, units, slots;
	const uint8_t *ids, *rows, *sections, *offsets, *sizes;
};

static bool read_index(struct pgo_dwo_bytes b, struct index *ret)
{
	struct index x;
	uint64_t need;

	if (b.len < 16)
		return false;
	x.version = get32(b.p) & 0xffff;
	x.columns = get32(b.p + 4);
	x.units = get32(b.p + 8);
	x.slots = get32(b.p + 12);
	if ((x.version != 2 && x.version != 5) || x.columns > MAX_COLUMNS || x.slots == 0 ||
		(x.slots & (x.slots - 1)) != 0 || x.slots > b.len || x.units > b.len)
		return false;
	need = 16 + (uint64_t)x.slots * 12 + (uint64_t)x.columns * 4 +
	       (uint64_t)x.units * x.columns * 8;
	if (need > b.len)
		return false;
	x.ids = b.p + 16;
	x.rows = x.ids + (size_t)x.slots * 8;
	x.sections = x.rows + (size_t)x.slots * 4;
	x.offsets = x.sections + (size_t)x.columns * 4;
	x.sizes = x.offsets + (size_t)x.units * x.columns * 4;
	*ret = x;
	return true;
}

/* The row of a unit, from 0; UINT32_MAX: none. */
static uint32_t find_row(const struct index *x, uint64_t id)
{
	uint32_t mask = x->slots - 1, at = (uint32_t)id & mask;
	uint32_t step = ((uint32_t)(id >> 32) & mask) | 1;

	for (uint32_t n = 0; n < x->slots; n++, at = (at + step) & mask) {
		uint32_t row = get32(x->rows + (size_t)at * 4);

		if (row == 0 || row > x->units)
			return UINT32_MAX;
		if (get64(x->ids + (size_t)at * 8) == id)
			return row - 1;
	}
	return UINT32_MAX;
}

static bool cut(
	const struct pgo_elf *pack, const struct index *x, uint32_t row, struct pgo_dwo_unit *u)
{
	bool ok = true;

	for (uint32_t c = 0; c < x->columns && ok; c++) {
		size_t cell = ((size_t)row * x->columns + c) * 4;
		uint32_t offset = get32(x->offsets + cell), size = get32(x->sizes + cell);

		switch (get32(x->sections + (size_t)c * 4)) {
		case SECT_INFO:
			ok = slice(
				pgo_dwo_section(pack, ".debug_info.dwo"), offset, size, &u->info);
			break;
		case SECT_ABBREV:
			ok = slice(pgo_dwo_section(pack, ".debug_abbrev.dwo"), offset, size,
				&u->abbrev);
			break;
		case SECT_LINE:
			ok = slice(
				pgo_dwo_section(pack, ".debug_line.dwo"), offset, size, &u->line);
			break;
		case SECT_STR_OFFSETS:
			ok = slice(pgo_dwo_section(pack, ".debug_str_offsets.dwo"), offset, size,
				&u->str_offsets);
			break;
		case SECT_RNGLISTS: /* version 2: macros */
			ok = x->version != 5 || slice(pgo_dwo_section(pack, ".debug_rnglists.dwo"),
							offset, size, &u->rnglists);
			break;
		default:
			break;
		}
	}
	u->str = pgo_dwo_section(pack, ".debug_str.dwo");
	u->file = pack->path;
	return ok && u->info.p != NULL && u->abbrev.p != NULL;
}

static bool find_in_pack(const struct pgo_elf *pack, uint64_t id, struct pgo_dwo_unit *ret)
{
	struct pgo_dwo_unit u = {0};
	struct index x;
	uint32_t row;
	size_t len;

	if (!read_index(pgo_dwo_section(pack, ".debug_cu_index"), &x))
		return false;
	row = find_row(&x, id);
	if (row == UINT32_MAX || !cut(pack, &x, row, &u) || !unit_header(u.info, &len, &u.version))
		return false;
	u.info.len = len;
	*ret = u;
	return true;
}

/* ------------------------------------------------------------------ .dwo */

static bool find_in_loose(const struct pgo_elf *e, uint64_t id, struct pgo_dwo_unit *ret)
{
	struct pgo_dwo_bytes info = pgo_dwo_section(e, ".debug_info.dwo");
	struct pgo_dwo_unit u = {.abbrev = pgo_dwo_section(e, ".debug_abbrev.dwo"),
		.line = pgo_dwo_section(e, ".debug_line.dwo"),
		.str = pgo_dwo_section(e, ".debug_str.dwo"),
		.str_offsets = pgo_dwo_section(e, ".debug_str_offsets.dwo"),
		.rnglists = pgo_dwo_section(e, ".debug_rnglists.dwo"),
		.file = e->path};
	size_t len = 0;

	if (u.abbrev.p == NULL)
		return false;
	for (; unit_header(info, &len, &u.version); info.p += len, info.len -= len) {
		u.info = (struct pgo_dwo_bytes){info.p, len};
		u.unchecked = u.version < 5;
		if (u.version == 5 &&
			(len < 20 || info.p[6] != UNIT_SPLIT_COMPILE || get64(info.p + 12) != id))
			continue;
		*ret = u;
		return true;
	}
	return false;
}

/* Takes `path`. */
static bool try_loose(struct pgo_dwo *d, char *path, uint64_t id, struct pgo_dwo_unit *ret)
{
	struct stat st;
	bool found = false;

	if (path != NULL && d->loose != NULL && strcmp(d->loose->path, path) == 0) {
		found = find_in_loose(d->loose, id, ret);
	} else if (path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		struct pgo_elf *e = pgo_elf_open_bare(path, NULL);

		if (e != NULL && find_in_loose(e, id, ret)) {
			pgo_elf_close(d->loose);
			d->loose = e;
			found = true;
		} else {
			pgo_elf_close(e);
		}
	}
	pgo_free(path);
	return found;
}

static char *beside(const char *path, const char *name)
{
	return pgo_asprintf("%.*s%s", (int)(pgo_path_base(path) - path), path, name);
}

static bool find_loose(struct pgo_dwo *d, const struct pgo_dwo_query *q, struct pgo_dwo_unit *ret)
{
	const char *base = pgo_path_base(q->name);

	if (q->name[0] == '/' && try_loose(d, pgo_strdup(q->name), q->id, ret))
		return true;
	if (q->name[0] != '/' && q->comp_dir != NULL &&
		try_loose(d, pgo_asprintf("%s/%s", q->comp_dir, q->name), q->id, ret))
		return true;
	if (q->name[0] != '/' && try_loose(d, beside(d->debug->path, q->name), q->id, ret))
		return true;
	for (size_t i = 0; i < d->n_dirs; i++) {
		if (try_loose(d, pgo_asprintf("%s/%s", d->dirs[i], q->name), q->id, ret) ||
			try_loose(d, pgo_asprintf("%s/%s", d->dirs[i], base), q->id, ret))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ the object */

/* Takes `path`; what is no .dwp is passed over. */
static int add_pack(struct pgo_dwo *d, char *path, struct pgo_err *err)
{
	struct pgo_elf *e, **slot;
	struct stat st;
	struct index x;

	if (path == NULL)
		return pgo_err_nomem(err);
	e = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? pgo_elf_open_bare(path, NULL) : NULL;
	pgo_free(path);
	if (e == NULL || !read_index(pgo_dwo_section(e, ".debug_cu_index"), &x)) {
		pgo_elf_close(e);
		return 0;
	}
	slot = PGO_VEC_PUSH(d->packs, d->n_packs, d->packs_room);
	if (slot == NULL) {
		pgo_elf_close(e);
		return pgo_err_nomem(err);
	}
	*slot = e;
	return 0;
}

static int add_packs_of(struct pgo_dwo *d, const char *program, struct pgo_err *err)
{
	int rc = add_pack(d, pgo_asprintf("%s.dwp", program), err);

	for (size_t i = 0; i < d->n_dirs && rc == 0; i++)
		rc = add_pack(
			d, pgo_asprintf("%s/%s.dwp", d->dirs[i], pgo_path_base(program)), err);
	return rc;
}

struct pgo_dwo *pgo_dwo_new(const struct pgo_elf *binary, const struct pgo_elf *debug,
	const char *const *dirs, size_t n_dirs, struct pgo_err *err)
{
	struct pgo_dwo *d = pgo_calloc(1, sizeof *d);
	int rc;

	if (d == NULL) {
		pgo_err_nomem(err);
		return NULL;
	}
	*d = (struct pgo_dwo){.binary = binary, .debug = debug, .dirs = dirs, .n_dirs = n_dirs};
	rc = add_packs_of(d, binary->path, err);
	if (rc == 0 && strcmp(debug->path, binary->path) != 0)
		rc = add_packs_of(d, debug->path, err);
	for (size_t i = 0; i < n_dirs && rc == 0; i++)
		rc = add_pack(d, pgo_strdup(dirs[i]), err);
	if (rc < 0) {
		pgo_dwo_free(d);
		return NULL;
	}
	return d;
}

void pgo_dwo_free(struct pgo_dwo *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_packs; i++)
		pgo_elf_close(d->packs[i]);
	pgo_elf_close(d->loose);
	pgo_free(d->packs);
	pgo_free(d);
}

bool pgo_dwo_find(struct pgo_dwo *d, const struct pgo_dwo_query *q, struct pgo_dwo_unit *ret)
{
	for (size_t i = 0; i < d->n_packs; i++)
		if (find_in_pack(d->packs[i], q->id, ret))
			return true;
	return find_loose(d, q, ret);
}
