/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/buf.h"

#include "pgo/core/alloc.h"

#include <stdio.h>
#include <string.h>

void pgo_buf_init(struct pgo_buf *b, size_t max)
{
	memset(b, 0, sizeof *b);
	b->max = max;
}

void pgo_buf_fini(struct pgo_buf *b)
{
	pgo_free(b->data);
	pgo_buf_init(b, b->max);
}

void pgo_buf_clear(struct pgo_buf *b)
{
	b->len = 0;
	b->failed = b->over = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

static int grow(struct pgo_buf *b, size_t n)
{
	size_t room = b->room != 0 ? b->room : 64;
	char *data;

	while (room < b->len + n + 1)
		room = room > SIZE_MAX / 2 ? b->len + n + 1 : room * 2;
	data = pgo_realloc_array(b->data, room, 1);
	if (data == NULL)
		return -1;
	b->data = data;
	b->room = room;
	return 0;
}

char *pgo_buf_reserve(struct pgo_buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	/* The block may have more room than the maximum allows. */
	if (n > b->max || b->len > b->max - n || b->len + n == SIZE_MAX) {
		b->failed = b->over = true;
		return NULL;
	}
	if (n >= b->room - b->len && grow(b, n) < 0) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->len;
}

void pgo_buf_add(struct pgo_buf *b, const void *data, size_t len)
{
	char *p = pgo_buf_reserve(b, len);

	if (p == NULL)
		return;
	if (len != 0)
		memcpy(p, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void pgo_buf_puts(struct pgo_buf *b, const char *s)
{
	pgo_buf_add(b, s, strlen(s));
}

void pgo_buf_putc(struct pgo_buf *b, char c)
{
	pgo_buf_add(b, &c, 1);
}

void pgo_buf_printf(struct pgo_buf *b, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0) {
		b->failed = true;
		return;
	}
	p = pgo_buf_reserve(b, (size_t)len);
	if (p == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

void pgo_buf_u32le(struct pgo_buf *b, uint32_t v)
{
	unsigned char raw[4];

	for (int i = 0; i < 4; i++)
		raw[i] = (unsigned char)(v >> (8 * i));
	pgo_buf_add(b, raw, sizeof raw);
}

void pgo_buf_u64le(struct pgo_buf *b, uint64_t v)
{
	pgo_buf_u32le(b, (uint32_t)v);
	pgo_buf_u32le(b, (uint32_t)(v >> 32));
}

void pgo_buf_uleb(struct pgo_buf *b, uint64_t v)
{
	unsigned char raw[10];
	size_t n = 0;

	do {
		raw[n] = (unsigned char)(v & 0x7f);
		v >>= 7;
		if (v != 0)
			raw[n] |= 0x80;
		n++;
	} while (v != 0);
	pgo_buf_add(b, raw, n);
}

int pgo_buf_check(const struct pgo_buf *b, const char *what, struct pgo_err *err)
{
	if (!b->failed)
		return 0;
	if (b->over)
		return pgo_err_set(err, PGO_ELIMIT,
			"%s would be larger than its limit of %zu bytes", what, b->max);
	return pgo_err_nomem(err);
}
