/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/pprof_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#define BLOCK_SIZE ((size_t)256 << 10)
/* A tag and a length, ten bytes each at most. */
#define HEAD_MAX 20
/* What protobuf itself allows for a message. */
#define FIELD_MAX ((uint64_t)INT32_MAX)

void pgo_pprof_split_init(
	struct pgo_pprof_split *s, struct pgo_stream *stream, uint64_t max_field, uint64_t max_kept)
{
	memset(s, 0, sizeof *s);
	s->stream = stream;
	s->max_field = max_field;
	s->max_kept = max_kept;
	s->kept = true;
}

void pgo_pprof_split_fini(struct pgo_pprof_split *s)
{
	pgo_free(s->block);
	memset(s, 0, sizeof *s);
}

void pgo_pprof_split_restart(struct pgo_pprof_split *s)
{
	s->at = 0;
	if (s->kept)
		return;
	s->len = 0;
	s->block_offset = 0;
	s->at_end = false;
}

/* Forgets what was taken already; a block that was kept so far goes back to its first size. */
static void forget_taken(struct pgo_pprof_split *s)
{
	uint8_t *smaller;

	memmove(s->block, s->block + s->at, s->len - s->at);
	s->block_offset += s->at;
	s->len -= s->at;
	s->at = 0;
	if (s->room <= 4 * BLOCK_SIZE || s->len > BLOCK_SIZE)
		return;
	smaller = pgo_realloc_array(s->block, 2 * BLOCK_SIZE, 1);
	if (smaller == NULL)
		return;
	s->block = smaller;
	s->room = 2 * BLOCK_SIZE;
}

/*
 * Tries to have `want` bytes from s->at on in the block; fewer are there at the end of the stream.
 * The block grows with the bytes that arrive, never with a length that is only claimed.
 */
static int fill(struct pgo_pprof_split *s, size_t want, struct pgo_err *err)
{
	if (s->len - s->at >= want || s->at_end)
		return 0;
	if (s->at != 0 && !s->kept)
		forget_taken(s);
	while (s->len - s->at < want && !s->at_end) {
		int64_t n;

		if (PGO_VEC_RESERVE(s->block, s->room, s->len + BLOCK_SIZE) < 0)
			return pgo_err_nomem(err);
		n = pgo_stream_read(s->stream, s->block + s->len, BLOCK_SIZE, err);
		if (n < 0)
			return (int)n;
		s->at_end = (size_t)n < BLOCK_SIZE;
		s->len += (size_t)n;
		s->kept = s->kept && s->len <= s->max_kept;
	}
	return 0;
}

/*
 * Nearly every field: a tag of one byte, a length of at most two, and all of it in the block. False
 * for any other.
 */
static bool next_plain(struct pgo_pprof_split *s, struct pgo_pprof_field *ret)
{
	const uint8_t *p = s->block + s->at;
	size_t left = s->len - s->at, head = 2, len;

	if (left < HEAD_MAX || p[0] >= 0x80 || (p[0] & 7) != PGO_WIRE_BYTES || p[0] < 8)
		return false;
	len = p[1];
	if (len >= 0x80) {
		if (p[2] >= 0x80)
			return false;
		len = (len & 0x7f) | (size_t)p[2] << 7;
		head = 3;
	}
	if (len > left - head || len > s->max_field)
		return false;
	ret->offset = s->block_offset + s->at;
	ret->payload = ret->offset + head;
	ret->f.number = p[0] >> 3;
	ret->f.type = PGO_WIRE_BYTES;
	ret->f.v = len;
	ret->f.in = (struct pgo_wire){p + head, p + head + len};
	s->at += head + len;
	return true;
}

static int cut_off(const struct pgo_pprof_split *s, const struct pgo_pprof_field *f, uint64_t need,
	struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT,
		"at byte %llu: the data end within field %u, %llu bytes too early; the profile is "
		"truncated or no pprof, fetch it again",
		(unsigned long long)f->offset, f->f.number,
		(unsigned long long)(need - (s->len - s->at)));
}

static int no_field(const struct pgo_pprof_field *f, struct pgo_err *err)
{
	return pgo_err_set(err, PGO_EFORMAT, "at byte %llu: no protobuf field starts here%s",
		(unsigned long long)f->offset,
		f->offset == 0 ? "; this is not a pprof profile" : "; the profile is damaged");
}

static int take_bytes(
	struct pgo_pprof_split *s, struct pgo_pprof_field *ret, uint64_t len, struct pgo_err *err)
{
	int rc;

	if (len > FIELD_MAX)
		return pgo_err_set(err, PGO_EFORMAT,
			"at byte %llu: field %u claims %llu bytes, more than protobuf allows; the "
			"profile is damaged or no pprof",
			(unsigned long long)ret->offset, ret->f.number, (unsigned long long)len);
	if (len > s->max_field)
		return pgo_err_set(err, PGO_ELIMIT,
			"at byte %llu: field %u has %llu bytes, more than the limit of %llu",
			(unsigned long long)ret->offset, ret->f.number, (unsigned long long)len,
			(unsigned long long)s->max_field);
	rc = fill(s, (size_t)len, err);
	if (rc < 0)
		return rc;
	if (s->len - s->at < len)
		return cut_off(s, ret, len, err);
	ret->f.in = (struct pgo_wire){s->block + s->at, s->block + s->at + len};
	s->at += (size_t)len;
	return 1;
}

int pgo_pprof_split_next(
	struct pgo_pprof_split *s, struct pgo_pprof_field *ret, struct pgo_err *err)
{
	struct pgo_wire w;
	uint64_t tag, v = 0;
	int rc;

	if (next_plain(s, ret))
		return 1;
	rc = fill(s, HEAD_MAX, err);
	if (rc < 0)
		return rc;
	if (s->at == s->len)
		return 0;
	w = (struct pgo_wire){s->block + s->at, s->block + s->len};
	ret->offset = s->block_offset + s->at;
	ret->f.number = 0;
	if (!pgo_wire_varint(&w, &tag))
		return s->len - s->at < 10 ? cut_off(s, ret, s->len - s->at + 1, err)
					   : no_field(ret, err);
	if (!pgo_wire_tag(tag, &ret->f.number, &ret->f.type))
		return no_field(ret, err);
	if (ret->f.type == PGO_WIRE_VARINT || ret->f.type == PGO_WIRE_BYTES) {
		if (!pgo_wire_varint(&w, &v))
			return w.end - w.p < 10 ? cut_off(s, ret, s->len - s->at + 1, err)
						: no_field(ret, err);
	} else {
		v = ret->f.type == PGO_WIRE_FIXED64 ? 8 : 4;
	}
	s->at = (size_t)(w.p - s->block);
	ret->payload = s->block_offset + s->at;
	ret->f.v = v;
	return ret->f.type == PGO_WIRE_VARINT ? 1 : take_bytes(s, ret, v, err);
}
