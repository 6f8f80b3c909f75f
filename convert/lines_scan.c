/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lines_scan.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <dwarf.h>

/* GNU's forms for split and shared debug information; older headers have no names for them. */
enum {
	FORM_GNU_ADDR_INDEX = 0x1f01,
	FORM_GNU_STR_INDEX = 0x1f02,
	FORM_GNU_REF_ALT = 0x1f20,
	FORM_GNU_STRP_ALT = 0x1f21
};

/* Abbreviations are numbered from 1; a gap wastes room, so there is an end to it. */
#define ABBREVS_MAX ((uint64_t)1 << 20)
#define DEPTH_MAX 65536

/* What to do with one attribute, or with several of fixed size. */
enum step_kind { STEP_SKIP, STEP_ULEB, STEP_BLOCK, STEP_BLOCK_ULEB, STEP_STRING, STEP_INDIRECT };
/* For what a value is wanted besides. */
enum step_use { USE_NONE, USE_SIBLING, USE_LOW, USE_HIGH, USE_RANGES };

struct pgo_dw_step {
	uint8_t kind, use;
	uint16_t form;
	uint32_t n;       /* bytes: of all, or of a block's length */
	int64_t implicit; /* the value itself, of DW_FORM_implicit_const */
};

struct pgo_dw_abbrev {
	uint32_t first, n; /* steps */
	uint16_t tag;      /* 0: there is no such abbreviation */
	bool children;
};

/* ------------------------------------------------------------------ abbreviations */

/* How to pass over a form; false if it is not known. */
static bool step_of_form(const struct pgo_dw_unit *u, uint64_t form, struct pgo_dw_step *ret)
{
	static const uint8_t sizes[] = {
		[DW_FORM_data1] = 1,
		[DW_FORM_ref1] = 1,
		[DW_FORM_flag] = 1,
		[DW_FORM_strx1] = 1,
		[DW_FORM_addrx1] = 1,
		[DW_FORM_data2] = 2,
		[DW_FORM_ref2] = 2,
		[DW_FORM_strx2] = 2,
		[DW_FORM_addrx2] = 2,
		[DW_FORM_strx3] = 3,
		[DW_FORM_addrx3] = 3,
		[DW_FORM_data4] = 4,
		[DW_FORM_ref4] = 4,
		[DW_FORM_ref_sup4] = 4,
		[DW_FORM_strx4] = 4,
		[DW_FORM_addrx4] = 4,
		[DW_FORM_data8] = 8,
		[DW_FORM_ref8] = 8,
		[DW_FORM_ref_sig8] = 8,
		[DW_FORM_ref_sup8] = 8,
		[DW_FORM_data16] = 16,
	};

	*ret = (struct pgo_dw_step){.kind = STEP_SKIP, .form = (uint16_t)form};
	switch (form) {
	case DW_FORM_addr:
		ret->n = u->address_size;
		return true;
	case DW_FORM_strp:
	case DW_FORM_sec_offset:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case FORM_GNU_REF_ALT:
	case FORM_GNU_STRP_ALT:
		ret->n = u->offset_size;
		return true;
	case DW_FORM_ref_addr: /* of DWARF 2: as an address */
		ret->n = u->version == 2 ? u->address_size : u->offset_size;
		return true;
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return true;
	case DW_FORM_udata:
	case DW_FORM_sdata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case FORM_GNU_ADDR_INDEX:
	case FORM_GNU_STR_INDEX:
		ret->kind = STEP_ULEB;
		return true;
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
		ret->kind = STEP_BLOCK;
		ret->n = form == DW_FORM_block1 ? 1 : form == DW_FORM_block2 ? 2 : 4;
		return true;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		ret->kind = STEP_BLOCK_ULEB;
		return true;
	case DW_FORM_string:
		ret->kind = STEP_STRING;
		return true;
	case DW_FORM_indirect:
		ret->kind = STEP_INDIRECT;
		return true;
	default:
		ret->n = form < sizeof sizes ? sizes[form] : 0;
		return ret->n != 0;
	}
}

static enum step_use use_of(uint64_t tag, uint64_t attr)
{
	if (attr == DW_AT_sibling)
		return USE_SIBLING;
	if (tag != DW_TAG_subprogram)
		return USE_NONE;
	return attr == DW_AT_low_pc    ? USE_LOW
	       : attr == DW_AT_high_pc ? USE_HIGH
	       : attr == DW_AT_ranges  ? USE_RANGES
				       : USE_NONE;
}

/* Appends a step, or makes the last one of this abbreviation longer. */
static int add_step(struct pgo_dw_scan *s, const struct pgo_dw_abbrev *a, struct pgo_dw_step step)
{
	struct pgo_dw_step *last = s->n_steps > a->first ? &s->steps[s->n_steps - 1] : NULL, *to;

	if (step.kind == STEP_SKIP && step.use == USE_NONE && last != NULL &&
		last->kind == STEP_SKIP && last->use == USE_NONE) {
		last->n += step.n;
		return 0;
	}
	to = PGO_VEC_PUSH(s->steps, s->n_steps, s->steps_room);
	if (to == NULL)
		return -1;
	*to = step;
	return 0;
}

/* The attributes of one abbreviation.  1, 0 or -1, as all below. */
static int read_attributes(struct pgo_dw_scan *s, const struct pgo_dw_unit *u,
	struct pgo_dw_cursor *c, const struct pgo_dw_abbrev *a)
{
	for (;;) {
		uint64_t attr = pgo_dw_uleb(c), form = pgo_dw_uleb(c);
		struct pgo_dw_step step;

		if (c->bad || (attr == 0) != (form == 0))
			return 0;
		if (attr == 0)
			return 1;
		if (!step_of_form(u, form, &step))
			return 0;
		step.use = (uint8_t)use_of(a->tag, attr);
		if (form == DW_FORM_implicit_const)
			step.implicit = pgo_dw_sleb(c);
		if (add_step(s, a, step) < 0)
			return -1;
	}
}

static int read_abbrevs(struct pgo_dw_scan *s, const struct pgo_dw_unit *u)
{
	struct pgo_dw_cursor c = pgo_dw_cursor_at(u->abbrev, u->abbrev_offset);

	s->n_steps = s->n_abbrevs = 0;
	for (;;) {
		uint64_t code = pgo_dw_uleb(&c), tag;
		struct pgo_dw_abbrev a;
		int rc;

		if (c.bad || code >= ABBREVS_MAX)
			return 0;
		if (code == 0)
			return 1;
		tag = pgo_dw_uleb(&c);
		a = (struct pgo_dw_abbrev){.first = (uint32_t)s->n_steps, .tag = (uint16_t)tag};
		a.children = pgo_dw_uint(&c, 1) != 0;
		if (tag == 0 || tag > UINT16_MAX)
			return 0;
		rc = read_attributes(s, u, &c, &a);
		if (rc != 1)
			return rc;
		a.n = (uint32_t)(s->n_steps - a.first);
		while (s->n_abbrevs <= code)
			if (PGO_VEC_PUSH(s->abbrevs, s->n_abbrevs, s->abbrevs_room) == NULL)
				return -1;
		s->abbrevs[code] = a;
	}
}

/* ------------------------------------------------------------------ entries */

struct entry { /* what is read of one */
	uint64_t sibling, low, high;
	bool has_low, has_high, high_is_length, ranges;
};

/* An address by its number in .debug_addr. */
static bool indexed_address(const struct pgo_dw_unit *u, uint64_t index, uint64_t *ret)
{
	struct pgo_dw_cursor c;

	if (u->addr_base == 0 || index > u->addr.len / u->address_size)
		return false;
	c = pgo_dw_cursor_at(u->addr, u->addr_base + index * u->address_size);
	*ret = pgo_dw_uint(&c, u->address_size);
	return !c.bad;
}

/* The value at hand, of a form that is known; false if it is none that its use can have. */
static bool use_value(const struct pgo_dw_unit *u, const struct pgo_dw_step *step,
	struct pgo_dw_cursor *c, struct entry *e)
{
	uint64_t v = step->form == DW_FORM_implicit_const ? (uint64_t)step->implicit
		     : step->form == DW_FORM_sdata        ? (uint64_t)pgo_dw_sleb(c)
		     : step->kind == STEP_ULEB            ? pgo_dw_uleb(c)
							  : pgo_dw_uint(c, step->n);
	bool address = step->form == DW_FORM_addr;

	if (step->form == DW_FORM_addrx || step->form == FORM_GNU_ADDR_INDEX ||
		(step->form >= DW_FORM_addrx1 && step->form <= DW_FORM_addrx4)) {
		address = true;
		if (!indexed_address(u, v, &v))
			return false;
	}
	switch ((enum step_use)step->use) {
	case USE_LOW:
		e->low = v;
		e->has_low = true;
		return address;
	case USE_HIGH:
		e->high = v;
		e->has_high = true;
		e->high_is_length = !address;
		return true;
	case USE_RANGES:
		e->ranges = true;
		return true;
	case USE_SIBLING: /* in the unit, but for one odd form */
		e->sibling = step->form == DW_FORM_ref_addr ? v : u->header + v;
		return true;
	case USE_NONE:
	default:
		return true;
	}
}

static __attribute__((noinline)) bool take_step(const struct pgo_dw_unit *u,
	const struct pgo_dw_step *step, struct pgo_dw_cursor *c, struct entry *e)
{
	struct pgo_dw_step real;

	switch ((enum step_kind)step->kind) {
	case STEP_SKIP:
	case STEP_ULEB:
		if (step->use != USE_NONE && step->n <= 8)
			return use_value(u, step, c, e);
		if (step->kind == STEP_ULEB)
			pgo_dw_uleb(c);
		else
			pgo_dw_skip(c, step->n);
		return step->use == USE_NONE;
	case STEP_BLOCK:
		pgo_dw_skip(c, pgo_dw_uint(c, step->n));
		return true;
	case STEP_BLOCK_ULEB:
		pgo_dw_skip(c, pgo_dw_uleb(c));
		return true;
	case STEP_STRING:
		pgo_dw_string(c);
		return true;
	case STEP_INDIRECT:
	default:
		if (!step_of_form(u, pgo_dw_uleb(c), &real) || real.kind == STEP_INDIRECT ||
			real.form == DW_FORM_implicit_const)
			return false;
		real.use = step->use;
		return take_step(u, &real, c, e);
	}
}

/* The same for all of an abbreviation; what most consist of without a call. */
static inline bool take_steps(const struct pgo_dw_unit *u, const struct pgo_dw_step *step,
	uint32_t n, struct pgo_dw_cursor *c, struct entry *e)
{
	for (const struct pgo_dw_step *end = step + n; step < end; step++) {
		if (step->use == USE_NONE && step->kind == STEP_SKIP)
			pgo_dw_skip(c, step->n);
		else if (step->use == USE_NONE && step->kind == STEP_ULEB)
			pgo_dw_uleb(c);
		else if (step->kind == STEP_BLOCK_ULEB)
			pgo_dw_skip(c, pgo_dw_uleb(c));
		else if (!take_step(u, step, c, e))
			return false;
	}
	return true;
}

/* Functions may be among the children of these. */
static bool is_entered(unsigned tag)
{
	switch (tag) {
	case DW_TAG_compile_unit:
	case DW_TAG_subprogram:
	case DW_TAG_lexical_block:
	case DW_TAG_try_block:
	case DW_TAG_catch_block:
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return true;
	default:
		return false;
	}
}

static int note_function(struct pgo_dw_scan *s, const struct entry *e, uint64_t offset,
	pgo_dw_wanted *wanted, const void *ctx)
{
	struct pgo_dw_found *f;

	/* What an entry does not say is not set either. */
	if (!e->ranges &&
		!(e->has_low && e->has_high &&
			wanted(ctx, e->low, e->high_is_length ? e->low + e->high : e->high)))
		return 0;
	f = PGO_VEC_PUSH(s->found, s->n_found, s->found_room);
	if (f == NULL)
		return -1;
	*f = (struct pgo_dw_found){offset, e->ranges};
	return 0;
}

/* A class whose members come next, at `depth`. */
static int open_class(struct pgo_dw_scan *s, uint64_t offset, uint32_t depth)
{
	struct pgo_dw_class *k = PGO_VEC_PUSH(s->classes, s->n_classes, s->classes_room);

	if (k == NULL || PGO_VEC_RESERVE(s->open, s->open_room, s->n_open + 2) < 0)
		return -1;
	*k = (struct pgo_dw_class){
		offset, UINT64_MAX, s->n_open != 0 ? s->open[s->n_open - 2] : UINT32_MAX};
	s->open[s->n_open++] = (uint32_t)(s->n_classes - 1);
	s->open[s->n_open++] = depth;
	return 0;
}

static void close_class(struct pgo_dw_scan *s, uint64_t end, uint32_t depth)
{
	if (s->n_open != 0 && s->open[s->n_open - 1] == depth) {
		s->classes[s->open[s->n_open - 2]].end = end;
		s->n_open -= 2;
	}
}

static int walk(struct pgo_dw_scan *s, const struct pgo_dw_unit *u, struct pgo_dw_cursor *c,
	pgo_dw_wanted *wanted, const void *ctx)
{
	uint32_t depth = 0, passed = UINT32_MAX; /* depth whose entries are passed over */

	do {
		uint64_t offset = (uint64_t)(c->at - u->info.data), code = pgo_dw_uleb(c);
		struct entry e;
		const struct pgo_dw_abbrev *a;

		if (c->bad)
			return 0;
		if (code == 0) {
			if (depth == 0)
				return 1;
			close_class(s, offset, depth);
			if (depth == passed)
				passed = UINT32_MAX;
			depth--;
			continue;
		}
		if (code >= s->n_abbrevs || s->abbrevs[code].tag == 0)
			return 0;
		s->entries++;
		a = &s->abbrevs[code];
		e.sibling = 0;
		e.has_low = e.has_high = e.ranges = false;
		if (!take_steps(u, &s->steps[a->first], a->n, c, &e) || c->bad)
			return 0;
		if (passed == UINT32_MAX && a->tag == DW_TAG_subprogram &&
			note_function(s, &e, offset, wanted, ctx) < 0)
			return -1;
		if (!a->children)
			continue;
		if (passed == UINT32_MAX && !is_entered(a->tag)) {
			if (e.sibling > (uint64_t)(c->at - u->info.data) &&
				e.sibling <= (uint64_t)(c->end - u->info.data)) {
				c->at = u->info.data + e.sibling;
				continue;
			}
			passed = depth + 1;
		}
		if (++depth > DEPTH_MAX)
			return 0;
		if (passed == UINT32_MAX &&
			(a->tag == DW_TAG_class_type || a->tag == DW_TAG_structure_type) &&
			open_class(s, offset, depth) < 0)
			return -1;
	} while (depth != 0 && c->at < c->end);
	return 1;
}

int pgo_dw_scan_unit(
	struct pgo_dw_scan *s, const struct pgo_dw_unit *u, pgo_dw_wanted *wanted, const void *ctx)
{
	struct pgo_dw_cursor c = pgo_dw_cursor_at(u->info, u->header);
	unsigned offset_size;
	uint64_t len = pgo_dw_length(&c, &offset_size);
	int rc;

	s->n_found = s->n_classes = s->n_open = 0;
	if (c.bad || len > (uint64_t)(c.end - c.at) || offset_size != u->offset_size ||
		u->address_size == 0 || u->address_size > 8 || u->version < 2 || u->version > 5)
		return 0;
	c.end = c.at + len;
	if (u->first < (uint64_t)(c.at - u->info.data) ||
		u->first > (uint64_t)(c.end - u->info.data))
		return 0;
	c.at = u->info.data + u->first;
	rc = read_abbrevs(s, u);
	return rc == 1 ? walk(s, u, &c, wanted, ctx) : rc;
}

void pgo_dw_scan_fini(struct pgo_dw_scan *s)
{
	pgo_free(s->found);
	pgo_free(s->classes);
	pgo_free(s->steps);
	pgo_free(s->abbrevs);
	pgo_free(s->open);
	memset(s, 0, sizeof *s);
}

uint64_t pgo_dw_class_around(const struct pgo_dw_scan *s, uint64_t offset)
{
	size_t lo = 0, hi = s->n_classes;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->classes[mid].offset < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* The nearest that begins before it, or one around that. */
	for (uint32_t i = lo != 0 ? (uint32_t)(lo - 1) : UINT32_MAX; i != UINT32_MAX;
		i = s->classes[i].parent)
		if (s->classes[i].end > offset)
			return s->classes[i].offset;
	return 0;
}
