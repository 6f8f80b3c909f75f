/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protobuf wire format, as far as profile.proto needs it: varints, tags, skipping.  Header-only
 * because the sample decoder lives in it.
 *
 * A message is a run of (tag, payload); tag = field << 3 | type, as a varint.  Every function
 * checks against the end; none allocates.
 */
#ifndef PGO_CORE_WIRE_H
#define PGO_CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pgo_wire_type {
	PGO_WIRE_VARINT = 0,
	PGO_WIRE_FIXED64 = 1,
	PGO_WIRE_BYTES = 2, /* length, then that many bytes: strings, messages, packed numbers */
	PGO_WIRE_FIXED32 = 5,
};

struct pgo_wire {
	const uint8_t *p, *end;
};

/* Up to ten bytes, seven bits each, lowest first; bits beyond 64 are dropped, as everyone does. */
static inline bool pgo_wire_varint_slow(struct pgo_wire *w, uint64_t *ret)
{
	const uint8_t *p = w->p;
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && p < w->end; shift += 7) {
		uint8_t b = *p++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			w->p = p;
			*ret = v;
			return true;
		}
	}
	return false;
}

static inline bool pgo_wire_varint(struct pgo_wire *w, uint64_t *ret)
{
	if (w->p < w->end && *w->p < 0x80) {
		*ret = *w->p++;
		return true;
	}
	if (w->end - w->p >= 2 && w->p[1] < 0x80) {
		*ret = (uint64_t)(w->p[0] & 0x7f) | (uint64_t)w->p[1] << 7;
		w->p += 2;
		return true;
	}
	return pgo_wire_varint_slow(w, ret);
}

/* One field of a message: `v` for numbers, `in` for bytes; the other is 0 or empty. */
struct pgo_wire_field {
	uint32_t number;
	uint8_t type;
	uint64_t v;
	struct pgo_wire in;
};

/* Splits a tag; false for field 0, fields above 2^29 - 1, and types that do not exist (the groups
 * of old are not used by this format). */
static inline bool pgo_wire_tag(uint64_t tag, uint32_t *ret_number, uint8_t *ret_type)
{
	uint8_t type = (uint8_t)(tag & 7);

	if (tag < 8 || tag >> 32 != 0 || type == 3 || type == 4 || type > 5)
		return false;
	*ret_number = (uint32_t)(tag >> 3);
	*ret_type = type;
	return true;
}

/* Takes the next field; needs w->p < w->end.  False if it is cut off or no field. */
static inline bool pgo_wire_next(struct pgo_wire *w, struct pgo_wire_field *ret)
{
	uint64_t v;

	if (!pgo_wire_varint(w, &v) || !pgo_wire_tag(v, &ret->number, &ret->type))
		return false;
	ret->in = (struct pgo_wire){w->p, w->p};
	ret->v = 0;
	if (ret->type == PGO_WIRE_VARINT)
		return pgo_wire_varint(w, &ret->v);
	if (ret->type == PGO_WIRE_BYTES) {
		if (!pgo_wire_varint(w, &v))
			return false;
	} else {
		v = ret->type == PGO_WIRE_FIXED64 ? 8 : 4;
	}
	if (v > (uint64_t)(w->end - w->p))
		return false;
	ret->in = (struct pgo_wire){w->p, w->p + v};
	w->p += v;
	return true;
}

/* Bytes that `v` takes as a varint. */
static inline size_t pgo_wire_size(uint64_t v)
{
	return ((size_t)(63 - __builtin_clzll(v | 1)) * 9 + 73) / 64;
}

/* Writes `v` where there is room for it; the byte after. */
static inline uint8_t *pgo_wire_put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

#endif
