/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/zip.h"

#include "pgo/core/alloc.h"
#include "pgo/core/buf.h"
#include "pgo/core/inflate.h"

#include <inttypes.h>
#include <string.h>

#define END_BYTES 22
#define ENTRY_BYTES 46
#define LOCAL_BYTES 30
#define COMMENT_MAX 65535
#define STORED 0
#define DEFLATED 8

struct archive {
	const uint8_t *data;
	size_t len;
	uint64_t left; /* bytes that may still come out */
};

struct entry {
	char *name;
	uint32_t method, flags, crc, packed, len, at;
};

static uint32_t u16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) | u16(p + 2) << 16;
}

bool pgo_zip_probe(const void *data, size_t len)
{
	return len >= END_BYTES &&
	       (memcmp(data, "PK\3\4", 4) == 0 || memcmp(data, "PK\5\6", 4) == 0);
}

static int damaged(struct pgo_err *err, const char *what)
{
	return pgo_err_set(err, PGO_EFORMAT, "the ZIP archive is damaged: %s", what);
}

/* The record at its end, behind which there may be a comment. */
static const uint8_t *find_end(const struct archive *a)
{
	size_t most = END_BYTES + COMMENT_MAX;

	for (size_t back = END_BYTES; back <= a->len && back <= most; back++) {
		const uint8_t *p = a->data + a->len - back;

		if (memcmp(p, "PK\5\6", 4) == 0 && u16(p + 20) == back - END_BYTES)
			return p;
	}
	return NULL;
}

/* CRC-32 as ZIP and gzip have it. */
static uint32_t crc_of(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;

	while (len-- > 0) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0xedb88320 & (0u - (crc & 1)));
	}
	return ~crc;
}

/* ---------------------------------------------------------------- contents */

static int inflate(
	const struct entry *e, const uint8_t *packed, struct pgo_buf *to, struct pgo_err *err)
{
	static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
	struct pgo_stream *s;
	struct pgo_buf gz;
	int64_t n = -1;

	pgo_buf_init(&gz, (size_t)e->packed + 18);
	pgo_buf_add(&gz, head, sizeof head);
	pgo_buf_add(&gz, packed, e->packed);
	pgo_buf_u32le(&gz, e->crc);
	pgo_buf_u32le(&gz, e->len);
	if (gz.failed) {
		pgo_buf_fini(&gz);
		return pgo_err_nomem(err);
	}
	/* What says that it is small does not get room to be large. */
	s = pgo_stream_memory(e->name, gz.data, gz.len, (uint64_t)e->len + 1, err);
	while (s != NULL) {
		char *at = pgo_buf_reserve(to, (size_t)64 << 10);

		n = at != NULL ? pgo_stream_read(s, at, (size_t)64 << 10, err) : pgo_err_nomem(err);
		if (n <= 0)
			break;
		to->len += (size_t)n;
	}
	pgo_stream_close(s);
	pgo_buf_fini(&gz);
	return n < 0 ? (err != NULL ? err->code : PGO_EFORMAT) : 0;
}

/* Where the bytes of an entry lie; NULL: nowhere. */
static const uint8_t *bytes_of(const struct archive *a, const struct entry *e)
{
	const uint8_t *p = a->data + e->at;
	size_t skip;

	if (a->len < LOCAL_BYTES || e->at > a->len - LOCAL_BYTES || memcmp(p, "PK\3\4", 4) != 0)
		return NULL;
	skip = LOCAL_BYTES + (size_t)u16(p + 26) + u16(p + 28);
	if (skip > a->len - e->at || e->packed > a->len - e->at - skip)
		return NULL;
	return p + skip;
}

static int read_entry(struct archive *a, const struct entry *e, pgo_zip_each *each, void *ctx,
	struct pgo_err *err)
{
	const uint8_t *bytes = bytes_of(a, e);
	struct pgo_buf plain;
	int rc = 0;

	if (bytes == NULL)
		return damaged(err, "a file lies outside of it");
	if ((e->flags & 1) != 0 || (e->method != STORED && e->method != DEFLATED))
		return pgo_err_set(err, PGO_EFORMAT, "%s is %s in the ZIP archive", e->name,
			(e->flags & 1) != 0 ? "encrypted" : "packed by a method that is not known");
	if (e->len > a->left)
		return pgo_err_set(err, PGO_ELIMIT,
			"the ZIP archive holds more than the limit; %" PRIu64 " bytes are left",
			a->left);
	pgo_buf_init(&plain, (size_t)e->len + ((size_t)64 << 10));
	if (e->method == DEFLATED) {
		rc = inflate(e, bytes, &plain, err);
		bytes = (const uint8_t *)(plain.data != NULL ? plain.data : "");
		if (rc == 0 && plain.len != e->len)
			rc = damaged(err, "the length of a file is another");
	} else if (e->packed != e->len || crc_of(bytes, e->len) != e->crc) {
		rc = damaged(err, "a file has changed");
	}
	a->left -= rc == 0 ? e->len : 0;
	if (rc == 0)
		rc = each(ctx, e->name, bytes, e->len, err);
	pgo_buf_fini(&plain);
	return rc;
}

/* ---------------------------------------------------------------- the directory */

static int next_entry(
	const struct archive *a, size_t *at, size_t end, struct entry *e, struct pgo_err *err)
{
	const uint8_t *p = a->data + *at;
	size_t name_len, rest;

	if (end - *at < ENTRY_BYTES || memcmp(p, "PK\1\2", 4) != 0)
		return damaged(err, "its directory ends early");
	name_len = u16(p + 28);
	rest = name_len + u16(p + 30) + u16(p + 32);
	if (rest > end - *at - ENTRY_BYTES)
		return damaged(err, "its directory ends early");
	*e = (struct entry){.flags = u16(p + 8),
		.method = u16(p + 10),
		.crc = u32(p + 16),
		.packed = u32(p + 20),
		.len = u32(p + 24),
		.at = u32(p + 42)};
	if (e->packed == UINT32_MAX || e->len == UINT32_MAX || e->at == UINT32_MAX)
		return pgo_err_set(err, PGO_EFORMAT, "the ZIP archive is of the kind ZIP64");
	e->name = pgo_strndup((const char *)p + ENTRY_BYTES, name_len);
	*at += ENTRY_BYTES + rest;
	return e->name != NULL ? 0 : pgo_err_nomem(err);
}

int pgo_zip_read(const void *data, size_t len, uint64_t max, pgo_zip_each *each, void *ctx,
	struct pgo_err *err)
{
	struct archive a = {data, len, max};
	const uint8_t *end = find_end(&a);
	size_t at, n, size;
	int rc = 0;

	if (end == NULL)
		return damaged(err, "its end is not there");
	n = u16(end + 10);
	size = u32(end + 12);
	at = u32(end + 16);
	if (u16(end + 4) != 0 || u16(end + 8) != n)
		return pgo_err_set(err, PGO_EFORMAT, "the ZIP archive is one of several parts");
	if (at > (size_t)(end - a.data) || size > (size_t)(end - a.data) - at)
		return damaged(err, "its directory lies outside of it");
	size += at;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct entry e = {0};
		size_t name_len;

		rc = next_entry(&a, &at, size, &e, err);
		name_len = e.name != NULL ? strlen(e.name) : 0;
		if (rc == 0 && name_len > 0 && e.name[name_len - 1] != '/')
			rc = read_entry(&a, &e, each, ctx, err);
		pgo_free(e.name);
	}
	return rc;
}
