/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lines_split.h"

#include "convert/lines_bytes.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <dwarf.h>
#include <string.h>

/* Names that older dwarf.h files lack. */
#define AT_GNU_DWO_NAME 0x2130
#define AT_GNU_DWO_ID 0x2131
#define AT_GNU_RANGES_BASE 0x2132
#define AT_GNU_ADDR_BASE 0x2133

int pgo_split_init(struct pgo_split *s, const struct pgo_elf *binary, const struct pgo_elf *debug,
	const char *const *dirs, size_t n_dirs, struct pgo_err *err)
{
	s->debug = debug;
	s->files = pgo_dwo_new(binary, debug, dirs, n_dirs, err);
	return s->files != NULL ? 0 : PGO_ENOMEM;
}

static void close_unit(struct pgo_split *s)
{
	dwarf_end(s->dw);
	elf_end(s->elf);
	pgo_free(s->image);
	s->dw = NULL;
	s->elf = NULL;
	s->image = NULL;
}

void pgo_split_fini(struct pgo_split *s)
{
	close_unit(s);
	pgo_dwo_free(s->files);
	pgo_free(s->ranges);
	pgo_free(s->file);
	pgo_free(s->missing);
	*s = (struct pgo_split){0};
}

/* ------------------------------------------------------------------ reading */

static uint64_t offset_attr(Dwarf_Die *die, unsigned name, unsigned gnu_name)
{
	Dwarf_Attribute a;
	Dwarf_Word v;

	if (dwarf_attr(die, name, &a) == NULL && dwarf_attr(die, gnu_name, &a) == NULL)
		return 0;
	return dwarf_formudata(&a, &v) == 0 ? v : 0;
}

static const char *string_attr(Dwarf_Die *die, unsigned name, unsigned gnu_name)
{
	Dwarf_Attribute a;

	if (dwarf_attr(die, name, &a) == NULL && dwarf_attr(die, gnu_name, &a) == NULL)
		return NULL;
	return dwarf_formstring(&a);
}

/* ------------------------------------------------------------------ one unit */

/*
 * The unit's addresses: from its base to the end of its contribution, which DWARF 5 has a header
 * for.  DWARF 4 has none, and the unit's indices reach as far as they reach.
 */
static struct pgo_dwo_bytes addresses(
	const struct pgo_split *s, Dwarf_Die *skeleton, unsigned version)
{
	struct pgo_dwo_bytes b = pgo_dwo_section(s->debug, ".debug_addr");
	uint64_t base = offset_attr(skeleton, DW_AT_addr_base, AT_GNU_ADDR_BASE);
	uint32_t len;

	if (base > b.len)
		return (struct pgo_dwo_bytes){0};
	if (version >= 5 && base >= 8) {
		memcpy(&len, b.p + base - 8, sizeof len);
		if (len >= 4 && len - 4 <= b.len - base)
			return (struct pgo_dwo_bytes){b.p + base, len - 4};
	}
	return (struct pgo_dwo_bytes){b.p + base, b.len - base};
}

/* How many of them the unit can use: a .dwp's neighbours are others', and copying all of them for
 * each unit would take the square of their number. */
static void cut_addresses(struct pgo_split *s)
{
	/* No unit has more addresses than bytes. */
	size_t most = s->unit.info.len * 8;

	if (s->addrs.len > most)
		s->addrs.len = most;
}

/* The strings of the unit, and their offsets as they are in the new section. */
struct strings {
	uint8_t *offsets, *text;
	size_t n_offsets, n_text, text_room;
};

static int copy_string(struct strings *t, struct pgo_dwo_bytes from, uint32_t offset, uint8_t *to)
{
	const uint8_t *p, *end;
	uint32_t at = 0;
	size_t len;

	if (offset < from.len) {
		p = from.p + offset;
		end = memchr(p, '\0', from.len - offset);
		len = end != NULL ? (size_t)(end - p) + 1 : 0;
		if (len > 1) {
			if (PGO_VEC_RESERVE(t->text, t->text_room, t->n_text + len) < 0)
				return -1;
			memcpy(t->text + t->n_text, p, len);
			at = (uint32_t)t->n_text;
			t->n_text += len;
		}
	}
	memcpy(to, &at, sizeof at);
	return 0;
}

static int copy_strings(const struct pgo_dwo_unit *u, struct strings *t)
{
	size_t header = u->version >= 5 && u->str_offsets.len >= 8 ? 8 : 0;

	t->offsets = pgo_calloc(u->str_offsets.len + 1, 1);
	if (t->offsets == NULL || PGO_VEC_PUSH(t->text, t->n_text, t->text_room) == NULL)
		return -1; /* "" is at 0 */
	t->n_offsets = u->str_offsets.len;
	if (header != 0)
		memcpy(t->offsets, u->str_offsets.p, header);
	for (size_t i = header; i + 4 <= t->n_offsets; i += 4) {
		uint32_t offset;

		memcpy(&offset, u->str_offsets.p + i, sizeof offset);
		if (copy_string(t, u->str, offset, t->offsets + i) < 0)
			return -1;
	}
	return 0;
}

static int make_dwarf(struct pgo_split *s)
{
	const struct pgo_dwo_unit *u = &s->unit;
	struct strings t = {0};
	size_t len = 0;
	int rc = copy_strings(u, &t);

	if (rc == 0) {
		const struct pgo_elf_part parts[] = {
			{".debug_info", u->info.p, u->info.len},
			{".debug_abbrev", u->abbrev.p, u->abbrev.len},
			{".debug_str", t.text, t.n_text},
			{".debug_str_offsets", t.offsets, t.n_offsets},
			{".debug_addr", s->addrs.p, s->addrs.len},
			{".debug_rnglists", u->rnglists.p, u->rnglists.len},
			{".debug_line", u->line.p, u->line.len},
		};

		s->image =
			pgo_elf_image(s->debug->machine, parts, sizeof parts / sizeof *parts, &len);
	}
	pgo_free(t.offsets);
	pgo_free(t.text);
	if (s->image == NULL)
		return -1;
	s->elf = elf_memory((char *)s->image, len);
	s->dw = s->elf != NULL ? dwarf_begin_elf(s->elf, DWARF_C_READ, NULL) : NULL;
	return s->dw != NULL ? 1 : 0;
}

static int first_unit(struct pgo_split *s, uint64_t id, Dwarf_Die *ret)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;

	if (dwarf_get_units(s->dw, NULL, &cu, NULL, NULL, &die, NULL) != 0 ||
		dwarf_tag(&die) != DW_TAG_compile_unit)
		return 0;
	if (s->unit.unchecked && offset_attr(&die, AT_GNU_DWO_ID, AT_GNU_DWO_ID) != id)
		return 0;
	*ret = die;
	return 1;
}

static int note_missing(struct pgo_split *s, const char *name)
{
	if (s->n_missing++ == 0)
		s->missing = pgo_strdup(name);
	return 0;
}

int pgo_split_open(struct pgo_split *s, Dwarf_Die *skeleton, Dwarf_Die *ret)
{
	struct pgo_dwo_query q = {.name = string_attr(skeleton, DW_AT_dwo_name, AT_GNU_DWO_NAME),
		.comp_dir = string_attr(skeleton, DW_AT_comp_dir, DW_AT_comp_dir)};
	Dwarf_Addr low = 0;
	Dwarf_Half version;
	int rc;

	close_unit(s);
	if (q.name == NULL)
		return 0;
	if (dwarf_cu_info(skeleton->cu, &version, NULL, NULL, NULL, &q.id, NULL, NULL) != 0 ||
		!pgo_dwo_find(s->files, &q, &s->unit))
		return note_missing(s, q.name);
	s->low = dwarf_lowpc(skeleton, &low) == 0 ? low : 0;
	s->ranges_base = offset_attr(skeleton, AT_GNU_RANGES_BASE, AT_GNU_RANGES_BASE);
	s->addrs = addresses(s, skeleton, version);
	cut_addresses(s);
	rc = make_dwarf(s);
	if (rc == 1)
		rc = first_unit(s, q.id, ret);
	if (rc == 0)
		return note_missing(s, q.name);
	if (rc > 0 && s->n_found++ == 0)
		s->file = pgo_strdup(s->unit.file);
	return rc;
}

/* ------------------------------------------------------------------ ranges */

static int add_range(struct pgo_split *s, uint64_t lo, uint64_t hi)
{
	struct pgo_split_range *r;

	if (hi <= lo)
		return 0;
	r = PGO_VEC_PUSH(s->ranges, s->n_ranges, s->ranges_room);
	if (r == NULL)
		return -1;
	*r = (struct pgo_split_range){lo, hi};
	return 0;
}

static uint64_t address(const struct pgo_split *s, uint64_t index, struct pgo_dw_cursor *c)
{
	uint64_t v = 0;

	if (index >= s->addrs.len / 8)
		c->bad = true;
	else
		memcpy(&v, s->addrs.p + index * 8, sizeof v);
	return v;
}

/* DWARF 5, section 7.25; from `c` to the end of the list. */
static int read_rnglist(struct pgo_split *s, struct pgo_dw_cursor *c)
{
	uint64_t base = s->low, lo, hi;

	while (!c->bad && c->at < c->end) {
		switch (*c->at++) {
		case DW_RLE_end_of_list:
			return 0;
		case DW_RLE_base_addressx:
			base = address(s, pgo_dw_uleb(c), c);
			continue;
		case DW_RLE_base_address:
			base = pgo_dw_uint(c, 8);
			continue;
		case DW_RLE_startx_endx:
			lo = address(s, pgo_dw_uleb(c), c);
			hi = address(s, pgo_dw_uleb(c), c);
			break;
		case DW_RLE_startx_length:
			lo = address(s, pgo_dw_uleb(c), c);
			hi = lo + pgo_dw_uleb(c);
			break;
		case DW_RLE_offset_pair:
			lo = base + pgo_dw_uleb(c);
			hi = base + pgo_dw_uleb(c);
			break;
		case DW_RLE_start_end:
			lo = pgo_dw_uint(c, 8);
			hi = pgo_dw_uint(c, 8);
			break;
		case DW_RLE_start_length:
			lo = pgo_dw_uint(c, 8);
			hi = lo + pgo_dw_uleb(c);
			break;
		default:
			return -1;
		}
		if (!c->bad && add_range(s, lo, hi) < 0)
			return -1;
	}
	return -1;
}

/* Before DWARF 5: pairs of offsets from a base, (all ones, base) to set it, (0, 0) at the end. */
static int read_old_list(struct pgo_split *s, uint64_t offset)
{
	struct pgo_dwo_bytes b = pgo_dwo_section(s->debug, ".debug_ranges");
	struct pgo_dw_cursor c = {b.p, b.p + b.len, false};
	uint64_t base = s->low;

	if (offset > b.len)
		return -1;
	c.at += offset;
	while (!c.bad) {
		uint64_t lo = pgo_dw_uint(&c, 8), hi = pgo_dw_uint(&c, 8);

		if (lo == 0 && hi == 0)
			break;
		if (lo == UINT64_MAX)
			base = hi;
		else if (add_range(s, base + lo, base + hi) < 0)
			return -1;
	}
	return c.bad ? -1 : 0;
}

/* The list that DW_AT_ranges means.  A unit here has one table of lists, whose index of offsets
 * comes right behind the header of 12 bytes. */
static int read_list(struct pgo_split *s, const Dwarf_Attribute *a)
{
	struct pgo_dwo_bytes b = s->unit.rnglists, info = s->unit.info;
	/* The image begins with the unit, so what follows an attribute is readable. */
	struct pgo_dw_cursor value = {a->valp, a->valp + 10, false};
	struct pgo_dw_cursor c = {b.p, b.p + b.len, false};
	uint64_t index;

	if (info.len == 0)
		return -1;
	if (a->form == DW_FORM_sec_offset || a->form == DW_FORM_data4) {
		index = pgo_dw_uint(&value, 4);
		if (s->unit.version < 5)
			return read_old_list(s, s->ranges_base + index);
		if (index > b.len)
			return -1;
		c.at += index;
		return read_rnglist(s, &c);
	}
	if (a->form != DW_FORM_rnglistx || b.len < 12)
		return -1;
	index = pgo_dw_uleb(&value);
	if (index >= (b.len - 12) / 4)
		return -1;
	c.at += 12 + index * 4;
	index = pgo_dw_uint(&c, 4);
	if (index > b.len - 12)
		return -1;
	c.at = b.p + 12 + index;
	return read_rnglist(s, &c);
}

static int read_ranges(struct pgo_split *s, Dwarf_Die *die)
{
	Dwarf_Addr lo, hi;
	Dwarf_Attribute a;

	s->n_ranges = 0;
	if (dwarf_attr(die, DW_AT_ranges, &a) != NULL)
		return read_list(s, &a);
	if (dwarf_lowpc(die, &lo) != 0 || dwarf_highpc(die, &hi) != 0)
		return 0;
	return add_range(s, lo, hi);
}

ptrdiff_t pgo_split_next(
	struct pgo_split *s, Dwarf_Die *die, ptrdiff_t at, Dwarf_Addr *ret_lo, Dwarf_Addr *ret_hi)
{
	if (at == 0 && read_ranges(s, die) < 0)
		return -1;
	if ((size_t)at >= s->n_ranges)
		return 0;
	*ret_lo = s->ranges[at].lo;
	*ret_hi = s->ranges[at].hi;
	return at + 1;
}
