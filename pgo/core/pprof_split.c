/* SPDX-License-Identifier: Apache-2.0 */
#include "pgo/core/pprof_impl.h"

#include "pgo/core/alloc.h"
#include "pgo/core/vec.h"

#define BLOCK_SIZE ((size_t)256 << 10)
/* A tag and a length, ten bytes each at most. */
#define HEAD_MAX 20
/* What protobuf itself allows for a message. */
#define FIELD_MAX ((uint64_t)INT32_MAX)

void pgo_pprof_split_init(struct pgo_pprof_split *s, struct pgo_stream *stream, uint64_t max_field)
{
	memset(s, 0, sizeof *s);
	s->stream = stream;
	s->max_field = max_field;
}

void pgo_pprof_split_fini(struct pgo_pprof_split *s)
{
	pgo_free(s->block);
	memset(s, 0, sizeof *s);
}

void pgo_pprof_split_restart(struct pgo_pprof_split *s)
{
	s->at = s->len = 0;
	s->block_offset = 0;
	s->at_end = false;
}

/*
 * Tries to have `want` bytes from s->at on in the block; fewer are there at the end of the stream.
 * The block grows with the bytes that arrive, never with a length that is only claimed.
 */
static int fill(struct pgo_pprof_split *s, size_t want, struct pgo_err *err)
{
	if (s->len - s->at >= want || s->at_end)
		return 0;
	if (s->at != 0) {
		memmove(s->block, s->block + s->at, s->len - s->at);
		s->block_offset += s->at;
		s->len -= s->at;
		s->at = 0;
	}
	while (s->len < want && !s->at_end) {
		size_t room = s->len < BLOCK_SIZE ? BLOCK_SIZE : s->len * 2;
		int64_t n;

		if (PGO_VEC_RESERVE(s->block, s->room, room) < 0)
			return pgo_err_nomem(err);
		n = pgo_stream_read(s->stream, s->block + s->len, s->room - s->len, err);
		if (n < 0)
			return (int)n;
		s->at_end = n == 0;
		s->len += (size_t)n;
	}
	return 0;
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
	int rc = fill(s, HEAD_MAX, err);

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
