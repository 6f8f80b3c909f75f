/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/landing.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

/* Pointer encodings: low half the form, high half what it is relative to. */
#define PE_OMIT 0xff
#define PE_FORM 0x0f
#define PE_PCREL 0x10
#define PE_RELATIVE 0x70
#define PE_INDIRECT 0x80

/* A reader over a section that stops, and stays stopped, at its end. */
struct cursor {
	const uint8_t *p, *end;
	uint64_t addr; /* of p */
	bool bad;
};

static const uint8_t *take(struct cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || n > (uint64_t)(c->end - c->p)) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	c->addr += n;
	return p;
}

static uint64_t fixed(struct cursor *c, size_t n, bool is_signed)
{
	const uint8_t *p = take(c, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	memcpy(&v, p, n);
	if (is_signed && n < 8 && (v >> (n * 8 - 1) & 1))
		v |= UINT64_MAX << n * 8;
	return v;
}

static uint64_t leb(struct cursor *c, bool is_signed)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = (uint8_t)fixed(c, 1, false);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (is_signed && shift < 64 && (b & 0x40))
		v |= UINT64_MAX << shift;
	return v;
}

static uint64_t encoded(struct cursor *c, uint8_t enc)
{
	uint64_t at = c->addr, v;

	switch (enc & PE_FORM) {
	case 0x0:
	case 0x4:
	case 0xc:
		v = fixed(c, 8, false);
		break;
	case 0x1:
		v = leb(c, false);
		break;
	case 0x9:
		v = leb(c, true);
		break;
	case 0x2:
	case 0xa:
		v = fixed(c, 2, enc & 8);
		break;
	case 0x3:
	case 0xb:
		v = fixed(c, 4, enc & 8);
		break;
	default:
		c->bad = true;
		return 0;
	}
	if (v == 0)
		return 0;
	if ((enc & PE_RELATIVE) == PE_PCREL)
		v += at;
	else if ((enc & PE_RELATIVE) != 0)
		c->bad = true; /* text-, data- and function-relative: not used on our machines */
	return v;
}

/* ------------------------------------------------------------------ .eh_frame */

struct cie {
	uint8_t fde_enc, lsda_enc;
	bool has_augmentation;
};

static struct cie read_cie(struct cursor c)
{
	struct cie ret = {0, PE_OMIT, false};
	const char *aug;
	uint8_t version = (uint8_t)fixed(&c, 1, false);
	size_t n;

	aug = (const char *)c.p;
	n = c.bad ? 0 : strnlen(aug, (size_t)(c.end - c.p));
	if (take(&c, n + 1) == NULL || aug[0] != 'z')
		return ret;
	ret.has_augmentation = true;
	leb(&c, false);
	leb(&c, true);
	if (version == 1)
		fixed(&c, 1, false);
	else
		leb(&c, false);
	leb(&c, false); /* length of what follows */
	for (const char *a = aug + 1; *a != '\0' && !c.bad; a++) {
		if (*a == 'L')
			ret.lsda_enc = (uint8_t)fixed(&c, 1, false);
		else if (*a == 'R')
			ret.fde_enc = (uint8_t)fixed(&c, 1, false);
		else if (*a == 'P')
			encoded(&c, (uint8_t)fixed(&c, 1, false));
		else if (*a != 'S' && *a != 'B')
			break;
	}
	return ret;
}

static int read_fde(struct pgo_landing *l, struct cursor c, const struct cie *cie)
{
	struct pgo_landing_fn *fn;
	uint64_t start, lsda;

	if (!cie->has_augmentation || cie->lsda_enc == PE_OMIT || (cie->lsda_enc & PE_INDIRECT))
		return 0;
	start = encoded(&c, cie->fde_enc);
	encoded(&c, cie->fde_enc & PE_FORM);
	leb(&c, false);
	lsda = encoded(&c, cie->lsda_enc);
	if (c.bad || lsda == 0)
		return 0;
	fn = PGO_VEC_PUSH(l->fns, l->n_fns, l->fns_room);
	if (fn == NULL)
		return -1;
	*fn = (struct pgo_landing_fn){start, lsda};
	return 0;
}

static int compare_fns(const void *pa, const void *pb)
{
	const struct pgo_landing_fn *a = pa, *b = pb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->lsda < b->lsda ? -1 : a->lsda > b->lsda;
}

int pgo_landing_init(struct pgo_landing *l, const struct pgo_elf *elf)
{
	const struct pgo_section *s = pgo_elf_section(elf, ".eh_frame");
	struct cursor c;

	*l = (struct pgo_landing){.elf = elf};
	if (s == NULL || s->data == NULL)
		return 0;
	c = (struct cursor){s->data, s->data + s->size, s->addr, false};
	while (c.p < c.end && !c.bad) {
		uint64_t len = fixed(&c, 4, false), id_addr;
		struct cursor rec;
		uint32_t id;

		if (len == 0xffffffff)
			len = fixed(&c, 8, false);
		if (len == 0)
			break;
		rec = c;
		if (take(&c, len) == NULL)
			break;
		rec.end = c.p;
		id_addr = rec.addr;
		id = (uint32_t)fixed(&rec, 4, false);
		if (id != 0 && id <= id_addr - s->addr) {
			/* The id is the distance back to the record's CIE. */
			struct cursor at = {s->data + (id_addr - s->addr - id), s->data + s->size,
				id_addr - id, false};
			struct cie cie;

			fixed(&at, 8, false);
			cie = read_cie(at);
			if (read_fde(l, rec, &cie) < 0)
				return -1;
		}
	}
	if (l->n_fns != 0)
		qsort(l->fns, l->n_fns, sizeof *l->fns, compare_fns);
	return 0;
}

void pgo_landing_fini(struct pgo_landing *l)
{
	pgo_free(l->fns);
	*l = (struct pgo_landing){0};
}

/* ------------------------------------------------------------------ .gcc_except_table */

static int read_lsda(struct cursor c, uint64_t start, uint64_t **pads, size_t *n, size_t *room)
{
	uint8_t enc = (uint8_t)fixed(&c, 1, false);
	uint64_t base = start, len;

	if (enc != PE_OMIT)
		base = encoded(&c, enc);
	enc = (uint8_t)fixed(&c, 1, false);
	if (enc != PE_OMIT)
		leb(&c, false);
	enc = (uint8_t)fixed(&c, 1, false);
	len = leb(&c, false);
	if (c.bad || len > (uint64_t)(c.end - c.p))
		return 0;
	c.end = c.p + len;
	while (c.p < c.end) {
		uint64_t pad, *to;

		encoded(&c, enc & PE_FORM);
		encoded(&c, enc & PE_FORM);
		pad = encoded(&c, enc & PE_FORM);
		leb(&c, false);
		if (c.bad)
			break;
		if (pad == 0)
			continue;
		to = PGO_VEC_PUSH(*pads, *n, *room);
		if (to == NULL)
			return -1;
		*to = base + pad;
	}
	return 0;
}

int pgo_landing_pads(
	const struct pgo_landing *l, uint64_t start, uint64_t **pads, size_t *n_pads, size_t *room)
{
	size_t lo = 0, hi = l->n_fns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->fns[mid].start < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < l->n_fns && l->fns[lo].start == start; lo++) {
		size_t len;
		const uint8_t *p = pgo_elf_data(l->elf, l->fns[lo].lsda, &len);
		struct cursor c = {p, NULL, l->fns[lo].lsda, false};

		if (p == NULL)
			continue;
		c.end = p + len;
		if (read_lsda(c, start, pads, n_pads, room) < 0)
			return -1;
	}
	return 0;
}
