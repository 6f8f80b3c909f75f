/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/pbwire.h"

#include "pgo/core/alloc.h"

#include <string.h>

static void put_tag(struct pgo_buf *b, unsigned field, enum pgo_wire_type type)
{
	pgo_buf_uleb(b, (uint64_t)field << 3 | type);
}

void pgo_pb_int(struct pgo_buf *b, unsigned field, int64_t v)
{
	if (v == 0)
		return;
	put_tag(b, field, PGO_WIRE_VARINT);
	pgo_buf_uleb(b, (uint64_t)v);
}

void pgo_pb_double(struct pgo_buf *b, unsigned field, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	if (bits == 0)
		return;
	put_tag(b, field, PGO_WIRE_FIXED64);
	pgo_buf_u64le(b, bits);
}

void pgo_pb_bytes(struct pgo_buf *b, unsigned field, const void *data, size_t len)
{
	put_tag(b, field, PGO_WIRE_BYTES);
	pgo_buf_uleb(b, len);
	if (len != 0)
		pgo_buf_add(b, data, len);
}

void pgo_pb_string(struct pgo_buf *b, unsigned field, const char *text)
{
	if (text[0] != '\0')
		pgo_pb_bytes(b, field, text, strlen(text));
}

size_t pgo_pb_open(struct pgo_buf *b, unsigned field)
{
	put_tag(b, field, PGO_WIRE_BYTES);
	return b->len;
}

/* The length goes in front of what was written since, which moves up by its size. */
void pgo_pb_close(struct pgo_buf *b, size_t at)
{
	size_t len, head;

	if (b->failed)
		return;
	len = b->len - at;
	head = pgo_wire_size(len);
	if (pgo_buf_reserve(b, head) == NULL)
		return;
	memmove(b->data + at + head, b->data + at, len);
	pgo_wire_put((uint8_t *)b->data + at, len);
	b->len += head;
	b->data[b->len] = '\0';
}

double pgo_pb_as_double(const struct pgo_wire_field *f)
{
	uint64_t bits = 0;
	double v;

	if (f->type == PGO_WIRE_FIXED64)
		for (unsigned i = 0; i < 8; i++)
			bits |= (uint64_t)f->in.p[i] << (8 * i);
	memcpy(&v, &bits, sizeof v);
	return v;
}

char *pgo_pb_as_string(const struct pgo_wire_field *f)
{
	return pgo_strndup((const char *)f->in.p, (size_t)(f->in.end - f->in.p));
}
