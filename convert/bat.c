/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/bat.h"

#include "convert/lines_bytes.h"
#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#include <stdlib.h>
#include <string.h>

#define SECTION ".note.bolt_bat"

void pgo_bat_free(struct pgo_bat *b)
{
	if (b == NULL)
		return;
	pgo_free(b->fns);
	pgo_free(b->entries);
	pgo_free(b);
}

/* ------------------------------------------------------------------ reading */

static const uint8_t *skip(struct pgo_dw_cursor *c, uint64_t n)
{
	const uint8_t *p = c->at;

	if (n > (uint64_t)(c->end - c->at)) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return p;
}

struct reader {
	struct pgo_bat *bat;
	struct pgo_dw_cursor c;
	uint64_t last;   /* address */
	uint64_t *addrs; /* of the first table, in its order */
	size_t n_addrs, addrs_room;
};

/* The entries of one function: 0, or -1 (memory).  Nonsense sets `bad`. */
static int read_entries(struct reader *r, struct pgo_bat_fn *f, uint64_t skew)
{
	struct pgo_bat *bat = r->bat;
	uint64_t n = pgo_dw_uleb(&r->c), equal = pgo_dw_uleb(&r->c), in = 0;
	const uint8_t *mask = skip(&r->c, (equal + 7) / 8);

	/* An entry takes a byte at least. */
	if (r->c.bad || n > (uint64_t)(r->c.end - r->c.at) || equal > n) {
		r->c.bad = true;
		return 0;
	}
	f->first = bat->n_entries;
	f->n = (uint32_t)n;
	if (PGO_VEC_RESERVE(bat->entries, bat->entries_room, bat->n_entries + n) < 0)
		return -1;
	for (uint64_t i = 0; i < n && !r->c.bad; i++) {
		uint64_t out;

		r->last += pgo_dw_uleb(&r->c);
		out = r->last - f->addr;
		in = i < equal ? (out + skew) << 1 | (mask[i / 8] >> i % 8 & 1)
			       : in + (uint64_t)pgo_dw_sleb(&r->c);
		if (out > UINT32_MAX || in >> 1 > UINT32_MAX)
			r->c.bad = true;
		bat->entries[bat->n_entries++] =
			(struct pgo_bat_entry){(uint32_t)out, (uint32_t)(in >> 1), in & 1};
		if (!(in & 1)) {
			skip(&r->c, 8);
			pgo_dw_uleb(&r->c);
		}
	}
	return 0;
}

static int read_table(struct reader *r, bool parts)
{
	uint64_t n = pgo_dw_uleb(&r->c), index = 0;

	if (n > (uint64_t)(r->c.end - r->c.at))
		r->c.bad = true;
	for (uint64_t i = 0; i < n && !r->c.bad; i++) {
		struct pgo_bat_fn *f = PGO_VEC_PUSH(r->bat->fns, r->bat->n_fns, r->bat->fns_room);
		uint64_t skew = 0, secondary = 0, *slot;

		if (f == NULL)
			return -1;
		f->addr = f->whole = r->last += pgo_dw_uleb(&r->c);
		if (parts) {
			index += pgo_dw_uleb(&r->c);
			skew = pgo_dw_uleb(&r->c);
			r->c.bad = r->c.bad || index >= r->n_addrs;
			f->whole = r->c.bad ? 0 : r->addrs[index];
		} else {
			slot = PGO_VEC_PUSH(r->addrs, r->n_addrs, r->addrs_room);
			if (slot == NULL)
				return -1;
			*slot = f->addr;
			skip(&r->c, 8);
			pgo_dw_uleb(&r->c);
			secondary = pgo_dw_uleb(&r->c);
		}
		if (!r->c.bad && read_entries(r, f, skew) < 0)
			return -1;
		for (uint64_t k = 0; k < secondary && !r->c.bad; k++)
			pgo_dw_uleb(&r->c);
	}
	return 0;
}

static int compare_fns(const void *pa, const void *pb)
{
	const struct pgo_bat_fn *a = pa, *b = pb;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static bool sorted(const struct pgo_bat *b)
{
	for (size_t i = 0; i < b->n_fns; i++) {
		const struct pgo_bat_fn *f = &b->fns[i];

		for (size_t k = f->first + 1; k < f->first + f->n; k++)
			if (b->entries[k].out < b->entries[k - 1].out)
				return false;
	}
	return true;
}

static int read_note(struct reader *r, const uint8_t *data, size_t len)
{
	uint32_t name_len, desc_len;
	size_t at;

	r->c.bad = true;
	if (len < 12)
		return 0;
	memcpy(&name_len, data, 4);
	memcpy(&desc_len, data + 4, 4);
	at = 12 + (((size_t)name_len + 3) & ~(size_t)3);
	if (name_len < 4 || at > len || desc_len > len - at || memcmp(data + 12, "BOLT", 4) != 0)
		return 0;
	r->c = (struct pgo_dw_cursor){data + at, data + at + desc_len, false};
	if (read_table(r, false) < 0 || read_table(r, true) < 0)
		return -1;
	/* An older version's tables read as newer ones end somewhere else. */
	if (!r->c.bad && (r->c.end - r->c.at > 3 || !sorted(r->bat)))
		r->c.bad = true;
	return 0;
}

int pgo_bat_parse(const char *what, const uint8_t *data, size_t len, struct pgo_bat **ret,
	struct pgo_err *err)
{
	struct reader r = {.bat = pgo_calloc(1, sizeof *r.bat)};
	int rc = r.bat != NULL ? read_note(&r, data, len) : -1;

	pgo_free(r.addrs);
	if (rc < 0 || r.c.bad) {
		pgo_bat_free(r.bat);
		if (rc < 0)
			return pgo_err_nomem(err);
		return pgo_err_set(err, PGO_EFORMAT,
			"%s: the address translation of llvm-bolt (" SECTION
			") is damaged, or of a version that is not known: that of llvm-bolt 19 and "
			"newer is",
			what);
	}
	if (r.bat->n_fns != 0)
		qsort(r.bat->fns, r.bat->n_fns, sizeof *r.bat->fns, compare_fns);
	*ret = r.bat;
	return 0;
}

bool pgo_elf_is_bolted(const struct pgo_elf *e)
{
	return pgo_elf_section(e, ".note.bolt_info") != NULL ||
	       pgo_elf_section(e, ".bolt.org.text") != NULL;
}

int pgo_bat_read(const struct pgo_elf *e, struct pgo_bat **ret, struct pgo_err *err)
{
	size_t len;
	const uint8_t *data = pgo_elf_section_data(e, SECTION, &len);

	*ret = NULL;
	return data != NULL ? pgo_bat_parse(e->path, data, len, ret, err) : 0;
}

/* ------------------------------------------------------------------ look-up */

const struct pgo_bat_fn *pgo_bat_fn(const struct pgo_bat *b, uint64_t addr)
{
	struct pgo_bat_fn key = {.addr = addr};

	return b->n_fns != 0 ? bsearch(&key, b->fns, b->n_fns, sizeof key, compare_fns) : NULL;
}

size_t pgo_bat_entry_at(const struct pgo_bat *b, const struct pgo_bat_fn *f, uint32_t out)
{
	size_t lo = f->first, hi = f->first + f->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->entries[mid].out <= out)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo != f->first ? lo - 1 : SIZE_MAX;
}

uint32_t pgo_bat_translate(
	const struct pgo_bat *b, const struct pgo_bat_fn *f, uint32_t out, bool source)
{
	size_t i = pgo_bat_entry_at(b, f, out);

	if (i == SIZE_MAX)
		return out;
	return source ? b->entries[i].in : b->entries[i].in + (out - b->entries[i].out);
}
