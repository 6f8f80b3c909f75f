/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/lines_rows.h"

#include <dwarf.h>

struct header {
	struct pgo_dw_cursor files; /* the tables of directories and files */
	struct pgo_dw_cursor code;
	unsigned version, offset_size, address_size;
	unsigned min_length, max_ops, line_range, opcode_base;
	int line_base;
	const uint8_t *lengths; /* of the standard opcodes, from 1 */
	/* By special opcode: what it adds. */
	uint32_t add_addr[256], add_line[256];
};

static bool read_header(const struct pgo_dw_program *p, struct header *h)
{
	struct pgo_dw_cursor c = pgo_dw_cursor_at(p->line, p->offset);
	uint64_t len = pgo_dw_length(&c, &h->offset_size);

	if (c.bad || len > (uint64_t)(c.end - c.at))
		return false;
	c.end = c.at + len;
	h->version = (unsigned)pgo_dw_uint(&c, 2);
	h->address_size = p->address_size;
	if (h->version < 2 || h->version > 5)
		return false;
	if (h->version >= 5) {
		h->address_size = (unsigned)pgo_dw_uint(&c, 1);
		pgo_dw_skip(&c, 1); /* size of segment numbers */
	}
	len = pgo_dw_uint(&c, h->offset_size);
	if (c.bad || len > (uint64_t)(c.end - c.at))
		return false;
	h->code = (struct pgo_dw_cursor){c.at + len, c.end, false};
	c.end = c.at + len;
	h->min_length = (unsigned)pgo_dw_uint(&c, 1);
	h->max_ops = h->version >= 4 ? (unsigned)pgo_dw_uint(&c, 1) : 1;
	pgo_dw_skip(&c, 1); /* default of "is a statement" */
	h->line_base = (int8_t)pgo_dw_uint(&c, 1);
	h->line_range = (unsigned)pgo_dw_uint(&c, 1);
	h->opcode_base = (unsigned)pgo_dw_uint(&c, 1);
	h->lengths = c.at;
	if (h->opcode_base != 0)
		pgo_dw_skip(&c, h->opcode_base - 1);
	h->files = c;
	return !c.bad && h->max_ops == 1 && h->line_range != 0 && h->opcode_base != 0 &&
	       h->address_size != 0 && h->address_size <= 8;
}

/* ------------------------------------------------------------------ rows */

/* What stands between the program and who wants its rows. */
struct filter {
	const struct pgo_dw_range *ranges;
	size_t n, at; /* ranges; the one that the last row was near */
	pgo_dw_on_row *row;
	void *ctx;
	struct pgo_dw_row last;      /* waits for the next one, which says how far it reaches */
	bool waiting, open;          /* rows were handed out that still want an end */
	uint64_t quiet_lo, quiet_hi; /* nothing is wanted in [lo, hi) */
};

/* Is anything wanted in [lo, hi), or on one of its ends? */
static bool near(struct filter *f, uint64_t lo, uint64_t hi)
{
	size_t a = 0, b = f->n;

	/* Mostly it is the same range as the last time, or the next one. */
	if (f->at < f->n && f->ranges[f->at].hi >= lo &&
		(f->at == 0 || f->ranges[f->at - 1].hi < lo) && f->ranges[f->at].lo <= hi)
		return true;
	while (a < b) {
		size_t mid = a + (b - a) / 2;

		if (f->ranges[mid].hi < lo)
			a = mid + 1;
		else
			b = mid;
	}
	f->at = a;
	if (a < f->n && f->ranges[a].lo <= hi)
		return true;
	f->quiet_lo = a != 0 ? f->ranges[a - 1].hi + 1 : 0;
	f->quiet_hi = a < f->n ? f->ranges[a].lo : UINT64_MAX;
	return false;
}

/* The row that waits is followed by one at `next`. */
static int settle(struct filter *f, uint64_t next)
{
	struct pgo_dw_row row = f->last;
	bool wanted;

	if (!f->waiting)
		return 0;
	f->waiting = false;
	/* The next row's own address is its own affair. */
	wanted = near(f, row.addr, next > row.addr && !row.end ? next - 1 : row.addr);
	if (!wanted && !f->open)
		return 0;
	f->open = wanted && !row.end;
	row.end = row.end || !wanted;
	return f->row(f->ctx, &row);
}

static inline int next_row(struct filter *f, const struct pgo_dw_row *row)
{
	int rc = 0;

	/* Most rows are of functions that nobody asked for. */
	if (f->open || f->last.addr < f->quiet_lo || row->addr > f->quiet_hi ||
		f->last.addr >= f->quiet_hi)
		rc = settle(f, row->addr);
	f->last = *row;
	f->waiting = true;
	if (rc == 0 && row->end) {
		rc = settle(f, row->addr);
		f->waiting = f->open = false;
	}
	return rc;
}

static int extended(
	const struct header *h, struct pgo_dw_cursor *c, struct pgo_dw_row *row, struct filter *f)
{
	uint64_t len = pgo_dw_uleb(c);
	const uint8_t *end;
	int rc = 0;

	if (c->bad || len == 0 || len > (uint64_t)(c->end - c->at)) {
		c->bad = true;
		return 0;
	}
	end = c->at + len;
	switch (*c->at++) {
	case DW_LNE_end_sequence:
		row->end = true;
		rc = next_row(f, row);
		*row = (struct pgo_dw_row){.line = 1};
		break;
	case DW_LNE_set_address:
		if (len - 1 > h->address_size)
			c->bad = true;
		else
			row->addr = pgo_dw_uint(c, (unsigned)len - 1);
		break;
	case DW_LNE_set_discriminator:
		row->disc = (uint32_t)pgo_dw_uleb(c);
		break;
	default: /* defines a file, or is not known */
		break;
	}
	if (c->at > end)
		c->bad = true;
	c->at = end;
	return rc;
}

static int standard(const struct header *h, unsigned op, struct pgo_dw_cursor *c,
	struct pgo_dw_row *row, struct filter *f)
{
	int rc = 0;

	switch (op) {
	case DW_LNS_copy:
		rc = next_row(f, row);
		row->disc = 0;
		break;
	case DW_LNS_advance_pc:
		row->addr += pgo_dw_uleb(c) * h->min_length;
		break;
	case DW_LNS_advance_line:
		row->line += (uint32_t)pgo_dw_sleb(c);
		break;
	case DW_LNS_const_add_pc:
		row->addr += (uint64_t)(255 - h->opcode_base) / h->line_range * h->min_length;
		break;
	case DW_LNS_fixed_advance_pc:
		row->addr += pgo_dw_uint(c, 2);
		break;
	default: /* nothing that matters here: as many numbers as the header says */
		for (unsigned i = 0; i < h->lengths[op - 1]; i++)
			pgo_dw_uleb(c);
		break;
	}
	return rc;
}

/* Once for the program, because divisions are slow. */
static void make_special(struct header *h)
{
	for (unsigned op = h->opcode_base; op < 256; op++) {
		unsigned n = op - h->opcode_base;

		h->add_addr[op] = n / h->line_range * h->min_length;
		h->add_line[op] = (uint32_t)(h->line_base + (int)(n % h->line_range));
	}
}

static int run(struct header *h, struct filter *f)
{
	struct pgo_dw_cursor c = h->code;
	struct pgo_dw_row row = {.line = 1};
	int rc = 0;

	make_special(h);
	while (rc == 0 && !c.bad && c.at < c.end) {
		unsigned op = *c.at++;

		if (op >= h->opcode_base) {
			row.addr += h->add_addr[op];
			row.line += h->add_line[op];
			rc = next_row(f, &row);
			row.disc = 0;
		} else if (op == 0) {
			rc = extended(h, &c, &row, f);
		} else {
			rc = standard(h, op, &c, &row, f);
		}
	}
	return rc < 0 ? rc : !c.bad;
}

int pgo_dw_rows(const struct pgo_dw_program *p, const struct pgo_dw_range *ranges, size_t n,
	pgo_dw_on_row *row, void *ctx)
{
	struct filter f = {.ranges = ranges, .n = n, .row = row, .ctx = ctx};
	struct header h;

	return read_header(p, &h) ? run(&h, &f) : 0;
}

/* ------------------------------------------------------------------ files */

static int files_by_name(struct header *h, pgo_dw_on_file *file, void *ctx)
{
	struct pgo_dw_cursor *c = &h->files;
	int rc = file(ctx, "");

	while (!c->bad && *pgo_dw_string(c) != '\0') /* directories */
		;
	while (rc == 0 && !c->bad) {
		const char *name = pgo_dw_string(c);

		if (c->bad || *name == '\0')
			break;
		for (int i = 0; i < 3; i++) /* directory, time, size */
			pgo_dw_uleb(c);
		if (!c->bad)
			rc = file(ctx, name);
	}
	return rc < 0 ? rc : !c->bad;
}

#define FORMATS_MAX 16

struct format {
	uint64_t content, form;
};

/* One field of an entry; sets *ret_name if it is the path. */
static bool field(const struct pgo_dw_program *p, const struct header *h, const struct format *f,
	struct pgo_dw_cursor *c, const char **ret_name)
{
	struct pgo_dw_cursor in;
	const char *s = NULL;

	switch (f->form) {
	case DW_FORM_string:
		s = pgo_dw_string(c);
		break;
	case DW_FORM_line_strp:
	case DW_FORM_strp:
		in = pgo_dw_cursor_at(f->form == DW_FORM_strp ? p->str : p->line_str,
			pgo_dw_uint(c, h->offset_size));
		if (f->content == DW_LNCT_path)
			s = in.bad ? "" : pgo_dw_string(&in);
		break;
	case DW_FORM_udata:
		pgo_dw_uleb(c);
		break;
	case DW_FORM_data1:
		pgo_dw_skip(c, 1);
		break;
	case DW_FORM_data2:
		pgo_dw_skip(c, 2);
		break;
	case DW_FORM_data4:
		pgo_dw_skip(c, 4);
		break;
	case DW_FORM_data8:
		pgo_dw_skip(c, 8);
		break;
	case DW_FORM_data16:
		pgo_dw_skip(c, 16);
		break;
	case DW_FORM_block:
		pgo_dw_skip(c, pgo_dw_uleb(c));
		break;
	default:
		return false;
	}
	if (s != NULL && f->content == DW_LNCT_path)
		*ret_name = s;
	return true;
}

/* A table of DWARF 5: what an entry is made of, how many there are, the entries. */
static int table(const struct pgo_dw_program *p, struct header *h, pgo_dw_on_file *file, void *ctx)
{
	struct pgo_dw_cursor *c = &h->files;
	struct format formats[FORMATS_MAX];
	uint64_t n_formats = pgo_dw_uint(c, 1), n;

	if (n_formats > FORMATS_MAX)
		return 0;
	for (uint64_t i = 0; i < n_formats; i++) {
		formats[i].content = pgo_dw_uleb(c);
		formats[i].form = pgo_dw_uleb(c);
	}
	n = pgo_dw_uleb(c);
	/* An entry takes a byte at least, so that the number is no larger than what is left. */
	if (c->bad || (n_formats == 0 && n != 0) || n > (uint64_t)(c->end - c->at))
		return 0;
	for (uint64_t i = 0; i < n; i++) {
		const char *name = "";
		int rc;

		for (uint64_t k = 0; k < n_formats; k++)
			if (!field(p, h, &formats[k], c, &name))
				return 0;
		if (c->bad)
			return 0;
		rc = file != NULL ? file(ctx, name) : 0;
		if (rc < 0)
			return rc;
	}
	return 1;
}

int pgo_dw_files(const struct pgo_dw_program *p, pgo_dw_on_file *file, void *ctx)
{
	struct header h;
	int rc;

	if (!read_header(p, &h))
		return 0;
	if (h.version < 5)
		return files_by_name(&h, file, ctx);
	rc = table(p, &h, NULL, NULL);
	return rc == 1 ? table(p, &h, file, ctx) : rc;
}
