/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a hard maximum and sticky failure: append as much as you like, test
 * `failed` once at the end.  After a failure the content is undefined and further appends do
 * nothing.  `data` is always followed by a NUL.
 */
#ifndef PGO_CORE_BUF_H
#define PGO_CORE_BUF_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgo_buf {
	char *data;  /* NULL while empty */
	size_t len;  /* bytes used, without the NUL */
	size_t room; /* bytes allocated */
	size_t max;  /* never longer than this */
	bool failed; /* memory or maximum used up */
	bool over;   /* it was the maximum */
};

void pgo_buf_init(struct pgo_buf *b, size_t max);
void pgo_buf_fini(struct pgo_buf *b);
/* Length 0, memory kept, failure forgotten. */
void pgo_buf_clear(struct pgo_buf *b);
/* Room for `n` more bytes; gives a pointer to them (then add to len yourself), or NULL. */
char *pgo_buf_reserve(struct pgo_buf *b, size_t n);
void pgo_buf_add(struct pgo_buf *b, const void *data, size_t len);
void pgo_buf_puts(struct pgo_buf *b, const char *s);
void pgo_buf_putc(struct pgo_buf *b, char c);
void pgo_buf_printf(struct pgo_buf *b, const char *fmt, ...) PGO_PRINTF(2, 3);
void pgo_buf_u32le(struct pgo_buf *b, uint32_t v);
void pgo_buf_u64le(struct pgo_buf *b, uint64_t v);
/* Base-128 varint, low seven bits first: protobuf's and DWARF's unsigned LEB128. */
void pgo_buf_uleb(struct pgo_buf *b, uint64_t v);
/* 0, or PGO_ENOMEM/PGO_ELIMIT with a sentence that names `what`. */
int pgo_buf_check(const struct pgo_buf *b, const char *what, struct pgo_err *err) PGO_MUST_CHECK;

#endif
