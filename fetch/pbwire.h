/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few small protobuf messages that stores are asked with and answer with, by hand: no generated
 * code, no message objects.  Reading is pgo/core/wire.h; here is the writing side, and the two or
 * three things that readers of replies need beside it.
 *
 *	pgo_pb_string(&b, 1, type_id);              // fields in the order of the calls
 *	pgo_pb_int(&b, 3, start_ms);                // 0 is left out, as proto3 has it
 *	at = pgo_pb_open(&b, 2);                    // a nested message ...
 *	pgo_pb_string(&b, 1, name);
 *	pgo_pb_close(&b, at);                       // ... whose length is known only now
 *
 * Field numbers are 1 to 2047.  A buffer that fails (pgo/core/buf.h) stays failed: test it once.
 */
#ifndef PGO_FETCH_PBWIRE_H
#define PGO_FETCH_PBWIRE_H

#include "pgo/core/buf.h"
#include "pgo/core/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void pgo_pb_int(struct pgo_buf *b, unsigned field, int64_t v);
void pgo_pb_double(struct pgo_buf *b, unsigned field, double v); /* 0.0 is left out */
void pgo_pb_bytes(struct pgo_buf *b, unsigned field, const void *data, size_t len);
/* "" is left out; for elements of a repeated field, where "" counts, use pgo_pb_bytes. */
void pgo_pb_string(struct pgo_buf *b, unsigned field, const char *text);
/* Begins a nested message and ends the innermost open one; `at` is what open gave. */
size_t pgo_pb_open(struct pgo_buf *b, unsigned field);
void pgo_pb_close(struct pgo_buf *b, size_t at);

/* The number of a fixed64 field that holds a double. */
double pgo_pb_as_double(const struct pgo_wire_field *f);
/* A copy of a string field (pgo_free); NULL when out of memory.  A NUL in it ends it. */
char *pgo_pb_as_string(const struct pgo_wire_field *f);
/* Is `f` field `number` of type `type`?  A known number with another type is not that field. */
static inline bool pgo_pb_is(
	const struct pgo_wire_field *f, uint32_t number, enum pgo_wire_type type)
{
	return f->number == number && f->type == type;
}
/* All of a reply as a message. */
static inline struct pgo_wire pgo_pb_wire(const void *data, size_t len)
{
	const uint8_t *p = (const uint8_t *)data;

	return (struct pgo_wire){p, len != 0 ? p + len : p};
}

#endif
