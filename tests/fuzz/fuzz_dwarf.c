/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a unit of debug information and as a line number program: refused, or answered from
 * within the sections.  The input: version, size of addresses, size of offsets; where the unit's
 * entries begin and the base in .debug_addr (16 bits each); then six sections, each behind its
 * length in 32 bits: info, abbrev, addr, line, str, line_str.
 */
#include "convert/lines_rows.h"
#include "convert/lines_scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* Takes a section off the input, as a block of its own, so that a sanitizer sees its ends. */
static struct pgo_dw_bytes take(struct pgo_dw_cursor *c)
{
	uint64_t len = pgo_dw_uint(c, 4), left = (uint64_t)(c->end - c->at);
	uint8_t *copy;

	if (len > left)
		len = left;
	copy = malloc(len + 1);
	demand(copy != NULL);
	memcpy(copy, c->at, len);
	copy = realloc(copy, len != 0 ? len : 1);
	c->at += len;
	return (struct pgo_dw_bytes){copy, len};
}

static bool wanted(const void *ctx, uint64_t lo, uint64_t hi)
{
	(void)ctx;
	return lo < hi && (lo & 1) == 0;
}

static void scan(const struct pgo_dw_unit *u)
{
	struct pgo_dw_scan s = {0};

	for (int i = 0; i < 2; i++)
		if (pgo_dw_scan_unit(&s, u, wanted, NULL) != 1)
			break;
	for (size_t i = 0; i < s.n_found; i++) {
		demand(s.found[i].offset < u->info.len);
		demand(i == 0 || s.found[i - 1].offset < s.found[i].offset);
		demand(pgo_dw_class_around(&s, s.found[i].offset) < s.found[i].offset);
	}
	pgo_dw_scan_fini(&s);
}

static const struct pgo_dw_range ranges[] = {{0x10, 0x20}, {0x1000, 0x1800}, {0x401000, 0x402000}};

struct rows {
	uint64_t n;
	bool open;
};

static int on_row(void *ctx, const struct pgo_dw_row *row)
{
	struct rows *r = ctx;

	r->n++;
	r->open = !row->end;
	return r->n > 100000 ? -1 : 0;
}

static int on_file(void *ctx, const char *name)
{
	*(size_t *)ctx += strlen(name);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pgo_dw_cursor c = {data, data + size, false};
	struct pgo_dw_program p = {0};
	struct pgo_dw_unit u = {0};
	struct rows rows = {0};
	size_t names = 0;
	int rc;

	u.version = (unsigned)pgo_dw_uint(&c, 1);
	u.address_size = (unsigned)pgo_dw_uint(&c, 1);
	u.offset_size = (unsigned)pgo_dw_uint(&c, 1);
	u.first = pgo_dw_uint(&c, 2);
	u.addr_base = pgo_dw_uint(&c, 2);
	u.info = take(&c);
	u.abbrev = take(&c);
	u.addr = take(&c);
	p.line = take(&c);
	p.str = take(&c);
	p.line_str = take(&c);
	p.address_size = u.address_size;
	scan(&u);
	rc = pgo_dw_rows(&p, ranges, sizeof ranges / sizeof *ranges, on_row, &rows);
	demand(rc == 0 || rc == 1 || (rc == -1 && rows.n > 100000));
	rc = pgo_dw_files(&p, on_file, &names);
	demand(rc == 0 || rc == 1);
	free((void *)(uintptr_t)u.info.data);
	free((void *)(uintptr_t)u.abbrev.data);
	free((void *)(uintptr_t)u.addr.data);
	free((void *)(uintptr_t)p.line.data);
	free((void *)(uintptr_t)p.str.data);
	free((void *)(uintptr_t)p.line_str.data);
	return 0;
}
