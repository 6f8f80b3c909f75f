/* SPDX-License-Identifier: Apache-2.0 */
/* Reading DWARF's bytes, which nobody has checked: past the end everything is 0 and `bad` is set. */
#ifndef PGO_CONVERT_LINES_BYTES_H
#define PGO_CONVERT_LINES_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pgo_dw_bytes { /* a section; data NULL = there is none */
	const uint8_t *data;
	size_t len;
};

struct pgo_dw_cursor {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct pgo_dw_cursor pgo_dw_cursor_at(struct pgo_dw_bytes b, uint64_t offset)
{
	bool bad = b.data == NULL || offset > b.len;

	return bad ? (struct pgo_dw_cursor){NULL, NULL, true}
		   : (struct pgo_dw_cursor){b.data + offset, b.data + b.len, false};
}

static inline void pgo_dw_skip(struct pgo_dw_cursor *c, uint64_t n)
{
	if (n > (uint64_t)(c->end - c->at)) {
		c->bad = true;
		c->at = c->end;
	} else {
		c->at += n;
	}
}

/* A little-endian number of 1 to 8 bytes. */
static inline uint64_t pgo_dw_uint(struct pgo_dw_cursor *c, unsigned size)
{
	uint64_t v = 0;

	if (size > (uint64_t)(c->end - c->at)) {
		c->bad = true;
		c->at = c->end;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)c->at[i] << 8 * i;
	c->at += size;
	return v;
}

static inline uint64_t pgo_dw_uleb(struct pgo_dw_cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; c->at < c->end; shift += 7) {
		uint8_t b = *c->at++;

		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		if ((b & 0x80) == 0)
			return v;
	}
	c->bad = true;
	return 0;
}

static inline int64_t pgo_dw_sleb(struct pgo_dw_cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; c->at < c->end;) {
		uint8_t b = *c->at++;

		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
		if ((b & 0x80) == 0) {
			if (shift < 64 && (b & 0x40) != 0)
				v |= UINT64_MAX << shift;
			return (int64_t)v;
		}
	}
	c->bad = true;
	return 0;
}

/* A string that ends in a zero byte; "" and bad if none does. */
static inline const char *pgo_dw_string(struct pgo_dw_cursor *c)
{
	const uint8_t *start = c->at;
	const uint8_t *nul = start < c->end ? memchr(start, 0, (size_t)(c->end - start)) : NULL;

	if (nul == NULL) {
		c->bad = true;
		c->at = c->end;
		return "";
	}
	c->at = nul + 1;
	return (const char *)start;
}

/* The length at the head of a unit: 32 bits, or 0xffffffff and 64 bits; says which (4 or 8). */
static inline uint64_t pgo_dw_length(struct pgo_dw_cursor *c, unsigned *ret_offset_size)
{
	uint64_t n = pgo_dw_uint(c, 4);

	*ret_offset_size = 4;
	if (n == 0xffffffffu) {
		*ret_offset_size = 8;
		n = pgo_dw_uint(c, 8);
	}
	return n;
}

#endif
