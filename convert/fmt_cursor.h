/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded reader of binary formats: every step checks what is left, and the first thing that does
 * not fit sets one sentence with the byte offset.  After a failure every further step gives 0 and
 * keeps the first sentence, so callers may test once per record.
 */
#ifndef PGO_CONVERT_FMT_CURSOR_H
#define PGO_CONVERT_FMT_CURSOR_H

#include "pgo/core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pgo_cursor {
	const uint8_t *start, *at, *end;
	const char *what; /* file, for messages */
	struct pgo_err *err;
	bool failed;
};

static inline void pgo_cursor_init(
	struct pgo_cursor *c, const char *what, const void *data, size_t len, struct pgo_err *err)
{
	c->start = c->at = data;
	c->end = c->start + len;
	c->what = what;
	c->err = err;
	c->failed = false;
}

static inline size_t pgo_cursor_left(const struct pgo_cursor *c)
{
	return (size_t)(c->end - c->at);
}

static inline size_t pgo_cursor_offset(const struct pgo_cursor *c)
{
	return (size_t)(c->at - c->start);
}

/* "FILE: byte N: SENTENCE"; only the first failure is told. */
#define PGO_CURSOR_FAIL(c, ...)                                                                    \
	do {                                                                                       \
		if (!(c)->failed) {                                                                \
			(void)pgo_err_set((c)->err, PGO_EFORMAT, __VA_ARGS__);                     \
			(void)pgo_err_prefix(                                                      \
				(c)->err, "%s: byte %zu", (c)->what, pgo_cursor_offset(c));        \
			(c)->failed = true;                                                        \
		}                                                                                  \
	} while (0)

/* Points at the next `n` bytes and steps over them, or NULL. */
static inline const uint8_t *pgo_cursor_take(struct pgo_cursor *c, size_t n, const char *thing)
{
	const uint8_t *p = c->at;

	if (c->failed)
		return NULL;
	if (pgo_cursor_left(c) < n) {
		PGO_CURSOR_FAIL(c, "the file ends inside %s", thing);
		return NULL;
	}
	c->at += n;
	return p;
}

static inline uint32_t pgo_cursor_u32le(struct pgo_cursor *c, const char *thing)
{
	const uint8_t *p = pgo_cursor_take(c, 4, thing);

	return p == NULL ? 0
			 : (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
				   (uint32_t)p[3] << 24;
}

static inline uint64_t pgo_cursor_u64le(struct pgo_cursor *c, const char *thing)
{
	uint64_t low, high;

	if (!c->failed && pgo_cursor_left(c) < 8) {
		PGO_CURSOR_FAIL(c, "the file ends inside %s", thing);
		return 0;
	}
	low = pgo_cursor_u32le(c, thing);
	high = pgo_cursor_u32le(c, thing);
	return low | high << 32;
}

static inline uint64_t pgo_cursor_uleb(struct pgo_cursor *c, const char *thing)
{
	uint64_t v = 0;

	for (unsigned shift = 0;; shift += 7) {
		const uint8_t *p = pgo_cursor_take(c, 1, thing);

		if (p == NULL)
			return 0;
		if (shift > 63 || (shift == 63 && (*p & 0x7e) != 0)) {
			PGO_CURSOR_FAIL(c, "a number wider than 64 bits in %s", thing);
			return 0;
		}
		v |= (uint64_t)(*p & 0x7f) << shift;
		if ((*p & 0x80) == 0)
			return v;
	}
}

/*
 * A count of things that take at least `min_size` bytes each: one that the rest of the file cannot
 * hold is a failure, so that nothing is allocated for it.
 */
static inline uint64_t pgo_cursor_fits(
	struct pgo_cursor *c, uint64_t n, size_t min_size, const char *things)
{
	if (c->failed)
		return 0;
	if (n > pgo_cursor_left(c) / min_size) {
		PGO_CURSOR_FAIL(c, "%llu %s are announced, but only %zu bytes are left",
			(unsigned long long)n, things, pgo_cursor_left(c));
		return 0;
	}
	return n;
}

#endif
